/*
 * table.c - columns that are there, in chunks, and frames made of them; record batches in and out.
 */
#include "frame_int.h"

size_t hti_find_name(const char *const *names, size_t n, const char *name)
{
    size_t at = 0;
    while (at < n && strcmp(names[at], name) != 0) at++;
    return at;
}

hti_table *hti_table_retain(hti_table *table)
{
    (void)__atomic_add_fetch(&table->n_refs, 1, __ATOMIC_RELAXED);
    return table;
}

void hti_table_release(hti_table *table)
{
    if (!table || __atomic_sub_fetch(&table->n_refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    for (size_t i = 0; table->parts && i < table->n_chunks * table->n_columns; i++) ht_series_release(table->parts[i]);
    hti_arena_deinit(&table->arena);
    hti_free(table);
}

ht_status hti_table_new(const char *const *names, size_t n_columns, size_t n_chunks, hti_table **out, ht_error *err)
{
    hti_table *table = HTI_NEW(hti_table);
    *out = NULL;
    if (!table) return HTI_NO_MEMORY(err);
    const size_t n_parts = hti_mul(n_columns, n_chunks);
    table->n_refs = 1;
    hti_arena_init(&table->arena);
    table->names = HTI_ARENA_ARRAY(&table->arena, const char *, n_columns);
    table->lens = HTI_ARENA_ARRAY(&table->arena, size_t, n_chunks);
    ht_series **parts = HTI_ARENA_ARRAY(&table->arena, ht_series *, n_parts);
    ht_status status = table->names && table->lens && parts ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n_columns; i++) {
        table->names[i] = hti_arena_text(&table->arena, hti_name_text(names[i]));
        if (!table->names[i]) status = HTI_NO_MEMORY(err);
    }
    if (status == HT_OK) {
        for (size_t i = 0; i < n_parts; i++) parts[i] = NULL;
        memset(table->lens, 0, n_chunks * sizeof *table->lens);
        table->parts = parts;
        table->n_columns = n_columns;
        table->n_chunks = n_chunks;
        *out = table;
        return HT_OK;
    }
    hti_table_release(table);
    return status;
}

ht_status hti_table_head(hti_table *table, size_t n, hti_table **out, ht_error *err)
{
    size_t n_chunks = 0, left = n;
    *out = NULL;
    if (n >= table->n_rows) {
        *out = hti_table_retain(table);
        return HT_OK;
    }
    for (size_t rest = n; rest > 0; n_chunks++) rest -= HTI_MIN(rest, table->lens[n_chunks]);
    HT_TRY(hti_table_new(table->names, table->n_columns, n_chunks, out, err));
    for (size_t k = 0; k < n_chunks; k++) {
        const size_t len = HTI_MIN(left, table->lens[k]);
        (*out)->lens[k] = len;
        for (size_t c = 0; c < table->n_columns; c++) {
            const size_t at = k * table->n_columns + c;
            const ht_status status = ht_series_slice(table->parts[at], 0, len, &(*out)->parts[at], err);
            if (status == HT_OK) continue;
            hti_table_release(*out);
            *out = NULL;
            return status;
        }
        left -= len;
    }
    (*out)->n_rows = n;
    return HT_OK;
}

ht_status hti_table_column(const hti_table *table, size_t column, ht_series **out, ht_error *err)
{
    ht_series **parts = HTI_NEW_ARRAY(ht_series *, table->n_chunks);
    *out = NULL;
    if (!parts) return HTI_NO_MEMORY(err);
    for (size_t k = 0; k < table->n_chunks; k++) parts[k] = table->parts[k * table->n_columns + column];
    const ht_status status = ht_series_concat(parts, table->n_chunks, out, err);
    hti_free(parts);
    return status;
}

/* ---- frames of tables ---- */

static ht_status check_columns(const char *const *names, ht_series *const *columns, size_t n, ht_error *err)
{
    bool differ = false;
    for (size_t i = 0; i < n; i++) {
        if (hti_find_name(names, i, names[i]) < i)
            return HT_FAIL(err, INVALID, "column '%s' stands twice in a frame", names[i]);
        differ |= ht_series_len(columns[i]) != ht_series_len(columns[0]);
    }
    if (!differ) return HT_OK;
    hti_buffer text;
    hti_buffer_init(&text);
    for (size_t i = 0; i < n; i++)
        hti_buffer_printf(&text, "%s%s: %zu", i ? ", " : "", names[i], ht_series_len(columns[i]));
    const ht_status status =
        HT_FAIL(err, INVALID, "columns of a frame differ in length: %.700s", hti_buffer_view(&text).data);
    hti_buffer_deinit(&text);
    return status;
}

ht_status ht_frame_from_columns(const char *const *names, ht_series *const *columns, size_t n, ht_frame **out,
                                ht_error *err)
{
    hti_table *table;
    *out = NULL;
    HT_TRY(check_columns(names, columns, n, err));
    HT_TRY(hti_table_new(names, n, n > 0, &table, err));
    for (size_t i = 0; i < n; i++) table->parts[i] = ht_series_retain(columns[i]);
    if (n) table->n_rows = table->lens[0] = ht_series_len(columns[0]);
    return hti_frame_of_table(table, out, err);
}

/* ---- record batches ---- */

typedef struct batches {
    ht_series **at; /* [n] owned: structs */
    size_t n, cap;
} batches;

static ht_status read_batches(struct ArrowArrayStream *stream, batches *b, char ***names, size_t *n_names,
                              hti_arena *arena, ht_error *err)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    HT_TRY(hti_arrow_stream_schema(stream, &schema, err));
    ht_status status = HT_OK;
    if (strcmp(schema.format ? schema.format : "", "+s") != 0)
        status = HT_FAIL(err, INVALID, "an Arrow stream whose arrays are no structs is no stream of record batches");
    *n_names = (size_t)schema.n_children;
    *names = HTI_ARENA_ARRAY(arena, char *, *n_names);
    if (!*names) status = HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < *n_names; i++) {
        const char *name = schema.children[i]->name;
        (*names)[i] = hti_arena_text(arena, hti_name_text(name ? name : ""));
        if (!(*names)[i]) status = HTI_NO_MEMORY(err);
    }
    hti_arrow_schema_release(&schema);
    while (status == HT_OK) {
        status = hti_arrow_stream_next(stream, &array, err);
        if (status != HT_OK || !array.release) break;
        status = hti_arrow_stream_schema(stream, &schema, err);
        if (status == HT_OK) status = hti_reserve(&b->at, &b->cap, b->n + 1, sizeof(ht_series *), err);
        if (status == HT_OK)
            status = ht_series_import(&schema, &array, &b->at[b->n], err);
        else
            hti_arrow_array_release(&array);
        if (status == HT_OK) b->n++;
    }
    return status;
}

static ht_status table_of_batches(const batches *b, const char *const *names, size_t n_names, hti_table **out,
                                  ht_error *err)
{
    HT_TRY(hti_table_new(names, n_names, b->n, out, err));
    for (size_t k = 0; k < b->n; k++) {
        (*out)->lens[k] = ht_series_len(b->at[k]);
        (*out)->n_rows += (*out)->lens[k];
        ht_status status = HT_OK;
        if (ht_series_n_nulls(b->at[k]) > 0)
            status = HT_FAIL(err, INVALID, "record batch %zu has rows that are null as a whole", k);
        for (size_t c = 0; status == HT_OK && c < n_names; c++)
            status = ht_series_child(b->at[k], c, &(*out)->parts[k * n_names + c], err);
        if (status == HT_OK) continue;
        hti_table_release(*out);
        *out = NULL;
        return status;
    }
    return HT_OK;
}

ht_status ht_frame_from_arrow(struct ArrowArrayStream *stream, ht_frame **out, ht_error *err)
{
    batches b = {0};
    hti_table *table = NULL;
    hti_arena arena;
    char **names = NULL;
    size_t n_names = 0;
    *out = NULL;
    hti_arena_init(&arena);
    ht_status status = read_batches(stream, &b, &names, &n_names, &arena, err);
    if (status == HT_OK) status = table_of_batches(&b, (const char *const *)names, n_names, &table, err);
    for (size_t i = 0; i < n_names && status == HT_OK; i++)
        if (hti_find_name(table->names, i, table->names[i]) < i)
            status = HT_FAIL(err, INVALID, "column '%s' stands twice in a frame", table->names[i]);
    hti_arrow_stream_release(stream);
    for (size_t k = 0; k < b.n; k++) ht_series_release(b.at[k]);
    hti_free(b.at);
    hti_arena_deinit(&arena);
    if (status == HT_OK) return hti_frame_of_table(table, out, err);
    hti_table_release(table);
    return status;
}

/* A stream of a table, from chunk `next` on. */
typedef struct giving {
    hti_table *table;
    size_t next;
} giving;

static ht_status struct_schema(const hti_table *table, struct ArrowSchema *out, ht_error *err)
{
    const hti_arrow_field field = {HTI_ARROW_STRUCT, NULL, 0, (int64_t)table->n_columns, false};
    return hti_arrow_schema_make(&field, out, err);
}

static ht_status give_schema(void *ud, struct ArrowSchema *out, ht_error *err)
{
    const giving *g = ud;
    struct ArrowArray array;
    ht_status status = struct_schema(g->table, out, err);
    for (size_t c = 0; status == HT_OK && c < g->table->n_columns; c++) {
        ht_series *first;
        status = ht_series_concat(g->table->parts + c, g->table->n_chunks > 0, &first, err);
        if (status == HT_OK) status = ht_series_export(first, g->table->names[c], out->children[c], &array, err);
        if (status == HT_OK) hti_arrow_array_release(&array);
        ht_series_release(first);
    }
    if (status != HT_OK) hti_arrow_schema_release(out);
    return status;
}

static ht_status give_batch(void *ud, struct ArrowArray *out, ht_error *err)
{
    giving *g = ud;
    struct ArrowSchema schema;
    const hti_table *table = g->table;
    *out = (struct ArrowArray){0};
    if (g->next == table->n_chunks) return HT_OK;
    HT_TRY(hti_arrow_array_make(HTI_ARROW_STRUCT, (int64_t)table->lens[g->next], (int64_t)table->n_columns, out, err));
    out->null_count = 0;
    for (size_t c = 0; c < table->n_columns; c++) {
        ht_series *part = table->parts[g->next * table->n_columns + c];
        const ht_status status = ht_series_export(part, table->names[c], &schema, out->children[c], err);
        if (status != HT_OK) {
            hti_arrow_array_release(out);
            return status;
        }
        hti_arrow_schema_release(&schema);
    }
    g->next++;
    return HT_OK;
}

static void give_end(void *ud)
{
    giving *g = ud;
    hti_table_release(g->table);
    hti_free(g);
}

/* Chunks of a column must have one type; those that differ are joined to one, and cut again. */
static ht_status unify(hti_table *table, ht_error *err)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        char first[256], type[256];
        bool same = true;
        for (size_t k = 0; k < table->n_chunks; k++) {
            ht_series_describe_type(table->parts[k * table->n_columns + c], type, sizeof type);
            if (k == 0) memcpy(first, type, sizeof type);
            same = same && !strcmp(type, first);
        }
        if (same) continue;
        ht_series *whole;
        size_t at = 0;
        HT_TRY(hti_table_column(table, c, &whole, err));
        for (size_t k = 0; k < table->n_chunks; at += table->lens[k++]) {
            ht_series **part = &table->parts[k * table->n_columns + c], *cut;
            const ht_status status = ht_series_slice(whole, at, table->lens[k], &cut, err);
            if (status != HT_OK) {
                ht_series_release(whole);
                return status;
            }
            ht_series_release(*part);
            *part = cut;
        }
        ht_series_release(whole);
    }
    return HT_OK;
}

ht_status ht_frame_to_arrow(ht_frame *frame, struct ArrowArrayStream *out, ht_error *err)
{
    *out = (struct ArrowArrayStream){0};
    if (!frame->table) return HT_FAIL(err, INVALID, "a frame that is not collected has no rows to give");
    hti_table *copy;
    HT_TRY(hti_table_new(frame->table->names, frame->table->n_columns, frame->table->n_chunks, &copy, err));
    copy->n_rows = frame->table->n_rows;
    memcpy(copy->lens, frame->table->lens, copy->n_chunks * sizeof *copy->lens);
    for (size_t i = 0; i < copy->n_chunks * copy->n_columns; i++)
        copy->parts[i] = ht_series_retain(frame->table->parts[i]);
    ht_status status = unify(copy, err);
    for (size_t c = 0; status == HT_OK && copy->n_chunks > 0 && c < copy->n_columns; c++)
        if (ht_series_dtype(copy->parts[c]) == HT_DTYPE_OBJECT)
            status =
                HT_FAIL(err, UNSUPPORTED, "column '%s' holds objects, which Arrow has no type for", copy->names[c]);
    giving *g = status == HT_OK ? HTI_NEW(giving) : NULL;
    if (status == HT_OK && !g) status = HTI_NO_MEMORY(err);
    if (status != HT_OK) {
        hti_table_release(copy);
        return status;
    }
    g->table = copy;
    const hti_arrow_source source = {g, give_schema, give_batch, give_end};
    return hti_arrow_stream_make(&source, out, err);
}
