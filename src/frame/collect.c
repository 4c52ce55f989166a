/*
 * collect.c - frames run: chunk after chunk through the compiled pipeline, by whatever engine.
 *
 * A table is cut into chunks of at most CHUNK rows, SHARED_CHUNK where several workers take them, and the pipeline is
 * mapped over them, so engines, windows, caches and traces are those of every other map. Where only some rows are
 * wanted, the table is cut to them if row i comes from row i; else chunks are small, and the run ends with the chunk
 * that suffices.
 */
#include "frame_int.h"

enum { CHUNK = 1048576, SHARED_CHUNK = 131072, SMALL_CHUNK = 4096 };

ht_status hti_frame_ops(const ht_frame *frame, hti_arena *arena, const ht_frame ***ops, size_t *n_ops,
                        const ht_frame **base, ht_error *err)
{
    size_t n = 0;
    const ht_frame *at = frame;
    for (; at->op != HTI_OP_TABLE && at->op != HTI_OP_LIMIT; at = at->before) n++;
    *base = at;
    *n_ops = n;
    *ops = HTI_ARENA_ARRAY(arena, const ht_frame *, n);
    if (!*ops) return HTI_NO_MEMORY(err);
    for (at = frame; n > 0; at = at->before) (*ops)[--n] = at;
    return HT_OK;
}

/* ---- running over chunks ---- */

typedef struct running {
    const hti_table *table;
    const hti_compiled *compiled;
    size_t want, n_rows, n_chunks;
    ht_value *results; /* [n_chunks] structs, owned */
    size_t cut;        /* rows of a chunk at most */
    bool enough;
} running;

static size_t pieces_of(const running *r)
{
    size_t n = 0;
    for (size_t k = 0; k < r->table->n_chunks; k++) n += (r->table->lens[k] + r->cut - 1) / r->cut;
    return n;
}

/* The chunks of one column as a list of series. */
static ht_status column_list(const running *r, size_t column, size_t n_pieces, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, n_pieces);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    for (size_t k = 0; k < r->table->n_chunks; k++) {
        ht_series *part = r->table->parts[k * r->table->n_columns + column];
        for (size_t at = 0; status == HT_OK && at < r->table->lens[k]; at += r->cut) {
            ht_series *slice;
            status = ht_series_slice(part, at, HTI_MIN(r->cut, r->table->lens[k] - at), &slice, err);
            if (status != HT_OK) break;
            status = ht_series_value(slice, &items[made], err);
            ht_series_release(slice);
            if (status == HT_OK) made++;
        }
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, made, out, err);
    else
        for (size_t i = 0; i < made; i++) ht_value_release(items[i]);
    hti_free(items);
    return status;
}

static ht_status make_inputs(const running *r, size_t n_pieces, ht_value *out, ht_error *err)
{
    const hti_compiled *compiled = r->compiled;
    ht_value *lists = HTI_NEW_ARRAY(ht_value, compiled->n_inputs);
    ht_status status = lists ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    for (; status == HT_OK && made < compiled->n_inputs; made += status == HT_OK)
        status = column_list(r, compiled->input_of[made], n_pieces, &lists[made], err);
    if (status == HT_OK) status = ht_value_struct(compiled->inputs, lists, made, out, err);
    for (size_t i = 0; i < made; i++) ht_value_release(lists[i]);
    hti_free(lists);
    return status;
}

static ht_status length_of(ht_value result, size_t *n, ht_error *err)
{
    size_t n_items;
    const ht_value *items = ht_value_items(result, &n_items);
    const ht_series *first = n_items ? ht_value_series(items[0]) : NULL;
    if (!first) return HT_FAIL(err, INTERNAL, "a chunk of a frame without columns");
    *n = ht_series_len(first);
    return HT_OK;
}

static ht_status take_chunk(void *ud, uint64_t item, ht_value value, ht_error *err)
{
    running *r = ud;
    size_t n;
    (void)item;
    HT_TRY(length_of(value, &n, err));
    r->results[r->n_chunks++] = ht_value_retain(value);
    r->n_rows += n;
    if (r->n_rows < r->want) return HT_OK;
    r->enough = true; /* a refused result ends the run */
    return HT_CANCELLED;
}

static ht_status run_chunks(running *r, const ht_run_options *with, ht_error *err)
{
    const hti_compiled *compiled = r->compiled;
    ht_run_options options = with ? *with : (ht_run_options){HT_DESC(ht_run_options)};
    ht_value inputs = ht_value_null(), none;
    size_t n_pieces = pieces_of(r), n_asked = 0;
    const char **asked = HTI_NEW_ARRAY(const char *, compiled->n_outputs);
    r->results = HTI_NEW_ARRAY(ht_value, n_pieces);
    if (!asked || !r->results) {
        hti_free(asked);
        return HTI_NO_MEMORY(err);
    }
    for (size_t o = 0; o < compiled->n_outputs; o++)
        if (compiled->output_of[o] == UINT32_MAX && hti_find_name(asked, n_asked, compiled->outputs[o]) == n_asked)
            asked[n_asked++] = compiled->outputs[o];
    options.outputs = asked;
    options.n_outputs = n_asked;
    options.map_over = compiled->inputs;
    options.n_map_over = compiled->n_inputs;
    options.map_mode = HT_MAP_ZIP;
    options.errors = HT_ERRORS_RAISE;
    options.result = take_chunk;
    options.result_ud = r;
    ht_status status = make_inputs(r, n_pieces, &inputs, err);
    if (status == HT_OK) status = ht_pipeline_map(compiled->pipeline, inputs, &options, &none, err);
    ht_value_release(inputs);
    hti_free(asked);
    return r->enough ? HT_OK : status;
}

/* ---- the table of the results ---- */

static ht_status column_of_results(const running *r, size_t output, size_t chunk, size_t piece, ht_series **out,
                                   ht_error *err)
{
    const hti_compiled *compiled = r->compiled;
    ht_value field;
    if (compiled->output_of[output] == UINT32_MAX) {
        HT_ASSERT(r->results);
        if (!ht_value_field(r->results[chunk], compiled->outputs[output], &field) || !ht_value_series(field))
            return HT_FAIL(err, INTERNAL, "a chunk of a frame without '%s'", compiled->outputs[output]);
        *out = ht_series_retain(ht_value_series(field));
        return HT_OK;
    }
    const uint32_t column = compiled->output_of[output];
    size_t first = piece * r->cut, k = 0;
    for (; first >= r->table->lens[k]; k++) first -= (r->table->lens[k] + r->cut - 1) / r->cut * r->cut;
    return ht_series_slice(r->table->parts[k * r->table->n_columns + column], first,
                           HTI_MIN(r->cut, r->table->lens[k] - first), out, err);
}

static ht_status fill_table(const running *r, hti_table *table, ht_error *err)
{
    for (size_t chunk = 0; chunk < table->n_chunks; chunk++) {
        for (size_t o = 0; o < table->n_columns; o++) {
            ht_series **part = &table->parts[chunk * table->n_columns + o];
            HT_TRY(column_of_results(r, o, chunk, chunk, part, err));
            const size_t n = ht_series_len(*part);
            if (o == 0) table->lens[chunk] = n;
            if (n != table->lens[chunk])
                return HT_FAIL(err, INVALID, "column '%s' has %zu rows where '%s' has %zu", table->names[o], n,
                               table->names[0], table->lens[chunk]);
        }
        table->n_rows += table->lens[chunk];
    }
    return HT_OK;
}

static ht_status run_over(hti_table *table, const ht_frame *frame, const hti_compiled *compiled, size_t want,
                          const ht_run_options *options, hti_table **out, ht_error *err)
{
    running r = {.table = table, .compiled = compiled, .want = want, .cut = CHUNK};
    if (options && options->engine != HT_ENGINE_SEQUENTIAL) r.cut = SHARED_CHUNK;
    bool any = false;
    if (want != SIZE_MAX && !compiled->keeps_rows) r.cut = SMALL_CHUNK;
    for (size_t o = 0; o < compiled->n_outputs; o++) any |= compiled->output_of[o] == UINT32_MAX;
    ht_status status = any && table->n_rows ? run_chunks(&r, options, err) : HT_OK;
    if (!any) r.n_chunks = pieces_of(&r);
    if (status == HT_OK) status = hti_table_new(frame->names, frame->n_names, r.n_chunks, out, err);
    if (status == HT_OK) {
        status = fill_table(&r, *out, err);
        if (status != HT_OK) hti_table_release(*out);
    }
    for (size_t k = 0; r.results && k < r.n_chunks; k++) ht_value_release(r.results[k]);
    hti_free(r.results);
    return status;
}

/* Limits nest at most as deep as the program wrote them. */
ht_status hti_frame_rows(const ht_frame *frame, size_t want, const ht_run_options *options, hti_table **out,
                         ht_error *err)
{
    const ht_frame **ops, *base;
    size_t n_ops;
    hti_arena arena;
    hti_table *table = NULL, *cut = NULL, *made = NULL;
    hti_compiled compiled;
    *out = NULL;
    hti_arena_init(&arena);
    ht_status status = hti_frame_ops(frame, &arena, &ops, &n_ops, &base, err);
    if (status == HT_OK)
        status = base->op == HTI_OP_TABLE ? HT_OK : hti_frame_rows(base->before, base->n_limit, options, &table, err);
    if (status == HT_OK && base->op == HTI_OP_TABLE) table = hti_table_retain(base->table);
    if (status == HT_OK) status = hti_compile(table, ops, n_ops, &compiled, err);
    if (status == HT_OK) {
        status = hti_table_head(table, compiled.keeps_rows ? want : SIZE_MAX, &cut, err);
        if (status == HT_OK) status = run_over(cut, frame, &compiled, want, options, &made, err);
        if (status == HT_OK) status = hti_table_head(made, want, out, err);
        hti_compiled_deinit(&compiled);
    }
    hti_table_release(made);
    hti_table_release(cut);
    hti_table_release(table);
    hti_arena_deinit(&arena);
    return status;
}

ht_status ht_frame_collect(ht_frame *frame, const ht_run_options *options, ht_frame **out, ht_error *err)
{
    hti_table *table;
    *out = NULL;
    if (frame->table) {
        *out = ht_frame_retain(frame);
        return HT_OK;
    }
    HT_TRY(hti_frame_rows(frame, SIZE_MAX, options, &table, err));
    return hti_frame_of_table(table, out, err);
}
