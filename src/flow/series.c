/*
 * series.c - series: made around Arrow arrays or values, sliced, looked into, given to others.
 *
 * A series is a window of rows on a counted storage. Windows of a storage share its view, so a slice costs one small
 * block, and a row is found by adding `first`. Thread rule: any thread; counts are atomic, the rest never changes.
 * Easy to get wrong: the view's own offset is added by the view's functions, `first` by whoever calls them.
 */
#include "series_int.h"

#include "value_int.h"

#include <stdio.h>
#include <string.h>

const char *ht_dtype_name(ht_dtype dtype)
{
    if (dtype == HT_DTYPE_INFER) return "unknown";
    if (dtype == HT_DTYPE_OBJECT) return "object";
    return dtype == HT_DTYPE_STRING         ? "string"
           : dtype == HT_DTYPE_LARGE_STRING ? "large_string"
                                            : hti_arrow_type_name(hti_arrow_of(dtype));
}

/* ---- storage ---- */

static void release_storage(void *ud)
{
    hti_storage *storage = ud;
    if (__atomic_sub_fetch(&storage->n_refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    for (size_t i = 0; storage->values && i < storage->n; i++) ht_value_release(storage->values[i]);
    hti_free(storage->values);
    hti_arrow_array_release(&storage->array);
    hti_arrow_schema_release(&storage->schema);
    hti_arena_deinit(&storage->arena);
    hti_free(storage);
}

static hti_storage *retain_storage(hti_storage *storage)
{
    (void)__atomic_add_fetch(&storage->n_refs, 1, __ATOMIC_RELAXED);
    return storage;
}

static hti_storage *new_storage(void)
{
    hti_storage *storage = HTI_NEW(hti_storage);
    if (!storage) return NULL;
    storage->n_refs = 1;
    hti_arena_init(&storage->arena);
    return storage;
}

/* Takes the reference to the storage, also on failure. */
static ht_status new_series(hti_storage *storage, ht_series window, ht_series **out, ht_error *err)
{
    *out = HTI_NEW(ht_series);
    if (!*out) {
        release_storage(storage);
        return HTI_NO_MEMORY(err);
    }
    **out = window;
    (*out)->n_refs = 1;
    (*out)->storage = storage;
    return HT_OK;
}

ht_series *ht_series_retain(ht_series *series)
{
    (void)__atomic_add_fetch(&series->n_refs, 1, __ATOMIC_RELAXED);
    return series;
}

void ht_series_release(ht_series *series)
{
    if (!series || __atomic_sub_fetch(&series->n_refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    release_storage(series->storage);
    hti_free(series);
}

/* ---- making ---- */

ht_status ht_series_import(struct ArrowSchema *schema, struct ArrowArray *array, ht_series **out, ht_error *err)
{
    hti_storage *storage = new_storage();
    *out = NULL;
    if (!storage) {
        hti_arrow_array_release(array);
        hti_arrow_schema_release(schema);
        return HTI_NO_MEMORY(err);
    }
    hti_arrow_schema_move(schema, &storage->schema);
    hti_arrow_array_move(array, &storage->array);
    const ht_status status =
        hti_arrow_view_make(&storage->schema, &storage->array, &storage->arena, &storage->view, err);
    if (status != HT_OK) {
        release_storage(storage);
        return status;
    }
    const ht_series window = {.dtype = hti_dtype_of(storage->view.type),
                              .len = (size_t)storage->view.length,
                              .view = &storage->view,
                              .schema = &storage->schema,
                              .array = &storage->array};
    return new_series(storage, window, out, err);
}

static ht_status make_fixed(ht_dtype dtype, size_t n, struct ArrowSchema *schema, struct ArrowArray *array,
                            ht_error *err)
{
    *schema = (struct ArrowSchema){0};
    *array = (struct ArrowArray){0};
    if (dtype < HT_DTYPE_INT8 || dtype > HT_DTYPE_FLOAT64)
        return HT_FAIL(err, INVALID, "rows of type %s have no fixed width", ht_dtype_name(dtype));
    if (n > INT64_MAX / 16) return HT_FAIL(err, LIMIT, "a series of %zu rows", n);
    const hti_arrow_field field = {.type = hti_arrow_of(dtype), .nullable = true};
    HT_TRY(hti_arrow_schema_make(&field, schema, err));
    const ht_status status = hti_arrow_array_make(field.type, (int64_t)n, 0, array, err);
    if (status != HT_OK) hti_arrow_schema_release(schema);
    return status;
}

ht_status ht_series_new(ht_dtype dtype, size_t n, void **data, ht_series **out, ht_error *err)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    *data = NULL;
    *out = NULL;
    HT_TRY(make_fixed(dtype, n, &schema, &array, err));
    void *block = hti_alloc(hti_mul(n, hti_arrow_width(hti_arrow_of(dtype))));
    if (!block) {
        hti_arrow_array_release(&array);
        hti_arrow_schema_release(&schema);
        return HTI_NO_MEMORY(err);
    }
    hti_arrow_array_take(&array, 1, block);
    array.null_count = 0;
    HT_TRY(ht_series_import(&schema, &array, out, err));
    *data = block;
    return HT_OK;
}

ht_status ht_series_foreign(ht_dtype dtype, size_t n, const void *data, void (*release)(void *ud), void *ud,
                            ht_series **out, ht_error *err)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    *out = NULL;
    HT_TRY(make_fixed(dtype, n, &schema, &array, err));
    hti_arrow_array_lend(&array, 1, data);
    array.null_count = 0;
    /* The caller keeps the memory unless all goes well. */
    HT_TRY(ht_series_import(&schema, &array, out, err));
    if (release) hti_arrow_array_keep(&(*out)->storage->array, release, ud);
    return HT_OK;
}

ht_status hti_series_take_values(ht_value *values, size_t n, ht_series **out, ht_error *err)
{
    hti_storage *storage = new_storage();
    *out = NULL;
    if (!storage) {
        for (size_t i = 0; i < n; i++) ht_value_release(values[i]);
        hti_free(values);
        return HTI_NO_MEMORY(err);
    }
    storage->values = values;
    storage->n = n;
    const ht_series window = {.dtype = HT_DTYPE_OBJECT, .len = n};
    return new_series(storage, window, out, err);
}

ht_status ht_series_slice(ht_series *series, size_t first, size_t n, ht_series **out, ht_error *err)
{
    *out = NULL;
    if (first > series->len || n > series->len - first)
        return HT_FAIL(err, INVALID, "rows %zu to %zu of a series of %zu", first, hti_add(first, n), series->len);
    ht_series window = *series;
    window.first += first;
    window.len = n;
    return new_series(retain_storage(series->storage), window, out, err);
}

ht_status ht_series_child(ht_series *series, size_t child, ht_series **out, ht_error *err)
{
    *out = NULL;
    if (child >= ht_series_n_children(series))
        return HT_FAIL(err, INVALID, "child %zu of a series of type %s", child, ht_dtype_name(series->dtype));
    ht_series window = *series;
    window.view = &series->view->children[child];
    window.schema = series->schema->children[child];
    window.array = series->array->children[child];
    window.dtype = hti_dtype_of(window.view->type);
    if (series->dtype == HT_DTYPE_FIXED_LIST) {
        window.first = series->first * (size_t)series->view->list_len;
        window.len = series->len * (size_t)series->view->list_len;
    } else if (series->dtype != HT_DTYPE_STRUCT) {
        int64_t first = 0, n = 0, last = 0;
        if (series->len) {
            HT_TRY(hti_arrow_list(series->view, (int64_t)series->first, &first, &n, err));
            HT_TRY(hti_arrow_list(series->view, (int64_t)(series->first + series->len - 1), &last, &n, err));
        }
        window.first = (size_t)first;
        window.len = (size_t)(last + n - first);
    }
    return new_series(retain_storage(series->storage), window, out, err);
}

/* ---- looking ---- */

ht_dtype ht_series_dtype(const ht_series *series) { return series->dtype; }
size_t ht_series_len(const ht_series *series) { return series->len; }

bool ht_series_is_null(const ht_series *series, size_t row)
{
    if (row >= series->len) return false;
    if (!series->view) return series->storage->values[series->first + row].kind == HT_KIND_NULL;
    return hti_arrow_is_null(series->view, (int64_t)(series->first + row));
}

size_t ht_series_n_nulls(const ht_series *series)
{
    size_t n = 0;
    if (series->view && series->view->null_count == 0) return 0;
    for (size_t i = 0; i < series->len; i++) n += ht_series_is_null(series, i);
    return n;
}

const void *ht_series_data(const ht_series *series, ht_dtype dtype)
{
    if (series->dtype != dtype || dtype < HT_DTYPE_INT8 || dtype > HT_DTYPE_FLOAT64) return NULL;
    const size_t width = hti_arrow_width(series->view->type);
    if (!series->view->values) return series->len ? NULL : "";
    const char *data = (const char *)series->view->values + ((size_t)series->view->offset + series->first) * width;
    return (uintptr_t)data % width ? NULL : data;
}

ht_text ht_series_text(const ht_series *series, size_t row)
{
    ht_text text = {"", 0};
    if (row >= series->len) return text;
    if (!series->view) return ht_value_text(series->storage->values[series->first + row]);
    if (series->dtype >= HT_DTYPE_STRING && series->dtype <= HT_DTYPE_LARGE_BINARY && !ht_series_is_null(series, row) &&
        hti_arrow_text(series->view, (int64_t)(series->first + row), &text, NULL) != HT_OK)
        text = (ht_text){"", 0};
    return text;
}

size_t ht_series_n_children(const ht_series *series) { return series->view ? (size_t)series->view->n_children : 0; }

const char *ht_series_child_name(const ht_series *series, size_t child)
{
    return child < ht_series_n_children(series) ? series->view->children[child].name : NULL;
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static void describe_view(const hti_arrow_view *view, hti_buffer *text)
{
    hti_buffer_text(text, ht_dtype_name(hti_dtype_of(view->type)));
    if (view->n_children == 0) return;
    hti_buffer_text(text, "<");
    for (int64_t i = 0; i < view->n_children; i++) {
        if (i) hti_buffer_text(text, ", ");
        if (view->type == HTI_ARROW_STRUCT) hti_buffer_printf(text, "%s: ", view->children[i].name);
        describe_view(&view->children[i], text);
    }
    hti_buffer_text(text, ">");
    if (view->type == HTI_ARROW_FIXED_LIST) hti_buffer_printf(text, "[%lld]", (long long)view->list_len);
}

void ht_series_describe_type(const ht_series *series, char *text, size_t cap)
{
    hti_buffer buffer;
    if (cap == 0) return;
    hti_buffer_init(&buffer);
    if (series->view)
        describe_view(series->view, &buffer);
    else
        hti_buffer_text(&buffer, "object");
    (void)snprintf(text, cap, "%s", hti_buffer_view(&buffer).data);
    hti_buffer_deinit(&buffer);
}

/* ---- rows as values ---- */

static ht_status list_value(const hti_arrow_view *child, int64_t first, int64_t n, ht_value *out, ht_error *err)
{
    ht_value few[16];
    ht_value *items = n <= (int64_t)HTI_LEN(few) ? few : HTI_NEW_ARRAY(ht_value, (size_t)n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    int64_t made = 0;
    for (; status == HT_OK && made < n; made += status == HT_OK)
        status = hti_row_value(child, first + made, &items[made], err);
    if (status == HT_OK)
        status = ht_value_list_take(items, (size_t)n, out, err);
    else
        for (int64_t i = 0; i < made; i++) ht_value_release(items[i]);
    if (items != few) hti_free(items);
    return status;
}

static ht_status struct_value(const hti_arrow_view *view, int64_t row, ht_value *out, ht_error *err)
{
    ht_text *names = HTI_NEW_ARRAY(ht_text, (size_t)view->n_children);
    ht_value *items = HTI_NEW_ARRAY(ht_value, (size_t)view->n_children);
    ht_status status = names && items ? HT_OK : HTI_NO_MEMORY(err);
    int64_t made = 0;
    for (; status == HT_OK && made < view->n_children; made += status == HT_OK) {
        names[made] = (ht_text){view->children[made].name, strlen(view->children[made].name)};
        status = hti_row_value(&view->children[made], row, &items[made], err);
    }
    if (status == HT_OK)
        status = hti_value_struct_take(names, items, (size_t)made, out, err);
    else
        for (int64_t i = 0; i < made; i++) ht_value_release(items[i]);
    hti_free(names);
    hti_free(items);
    return status;
}

/* A fixed-size list of numbers as a tensor; false where it is none. */
static bool as_tensor(const hti_arrow_view *view, int64_t row, ht_value *out, ht_status *status, ht_error *err)
{
    const hti_arrow_view *child = &view->children[0];
    static const struct {
        hti_arrow_type type;
        ht_element element;
    } elements[] = {{HTI_ARROW_FLOAT32, HT_F32}, {HTI_ARROW_FLOAT64, HT_F64}, {HTI_ARROW_INT8, HT_I8},
                    {HTI_ARROW_UINT8, HT_U8},    {HTI_ARROW_INT32, HT_I32},   {HTI_ARROW_INT64, HT_I64}};
    if (view->list_len == 0) return false;
    for (int64_t i = 0; child->null_count != 0 && i < view->list_len; i++)
        if (hti_arrow_is_null(child, row * view->list_len + i)) return false;
    for (size_t i = 0; i < HTI_LEN(elements); i++) {
        if (elements[i].type != child->type) continue;
        const size_t width = hti_arrow_width(child->type);
        const char *from = (const char *)child->values + (size_t)(child->offset + row * view->list_len) * width;
        *status = ht_value_tensor(elements[i].element, 1, &view->list_len, from, out, err);
        return true;
    }
    return false;
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
ht_status hti_row_value(const hti_arrow_view *view, int64_t row, ht_value *out, ht_error *err)
{
    int64_t first, n;
    double real;
    ht_text text;
    ht_status status = HT_OK;
    *out = ht_value_null();
    if (hti_arrow_is_null(view, row)) return HT_OK;
    switch (view->type) {
    case HTI_ARROW_NULL: return HT_OK;
    case HTI_ARROW_FLOAT16:
    case HTI_ARROW_FLOAT32:
    case HTI_ARROW_FLOAT64:
        HT_TRY(hti_arrow_real(view, row, &real, err));
        *out = ht_value_float(real);
        return HT_OK;
    case HTI_ARROW_UTF8:
    case HTI_ARROW_LARGE_UTF8: HT_TRY(hti_arrow_text(view, row, &text, err)); return ht_value_string(text, out, err);
    case HTI_ARROW_BINARY:
    case HTI_ARROW_LARGE_BINARY:
        HT_TRY(hti_arrow_text(view, row, &text, err));
        return ht_value_bytes(text.data, text.len, out, err);
    case HTI_ARROW_FIXED_LIST:
        if (as_tensor(view, row, out, &status, err)) return status;
        return list_value(&view->children[0], row * view->list_len, view->list_len, out, err);
    case HTI_ARROW_LIST:
    case HTI_ARROW_LARGE_LIST:
        HT_TRY(hti_arrow_list(view, row, &first, &n, err));
        return list_value(&view->children[0], first, n, out, err);
    case HTI_ARROW_STRUCT: return struct_value(view, row, out, err);
    default: break;
    }
    HT_TRY(hti_arrow_int(view, row, &n, err));
    *out = view->type == HTI_ARROW_BOOL ? ht_value_bool(n != 0) : ht_value_int(n);
    return HT_OK;
}

ht_status ht_series_get(const ht_series *series, size_t row, ht_value *out, ht_error *err)
{
    *out = ht_value_null();
    if (row >= series->len) return HT_FAIL(err, INVALID, "row %zu of a series of %zu", row, series->len);
    if (series->view) return hti_row_value(series->view, (int64_t)(series->first + row), out, err);
    *out = ht_value_retain(series->storage->values[series->first + row]);
    return HT_OK;
}

ht_status ht_series_values(const ht_series *series, ht_value *out, ht_error *err)
{
    const double *doubles = ht_series_data(series, HT_DTYPE_FLOAT64);
    if (doubles && series->view->null_count == 0) {
        for (size_t i = 0; i < series->len; i++) out[i] = ht_value_float(doubles[i]);
        return HT_OK;
    }
    for (size_t i = 0; i < series->len; i++) {
        const ht_status status = ht_series_get(series, i, &out[i], err);
        if (status == HT_OK) continue;
        for (size_t k = 0; k < i; k++) {
            ht_value_release(out[k]);
            out[k] = ht_value_null();
        }
        return status;
    }
    return HT_OK;
}

/* ---- comparing ---- */

/* By what the rows are as values: two layouts of the same type are equal. */
bool ht_series_equal(const ht_series *a, const ht_series *b)
{
    char type_a[256], type_b[256];
    if (a == b) return true;
    ht_series_describe_type(a, type_a, sizeof type_a);
    ht_series_describe_type(b, type_b, sizeof type_b);
    if (a->len != b->len || strcmp(type_a, type_b) != 0) return false;
    for (size_t i = 0; i < a->len; i++) {
        ht_value x, y = ht_value_null();
        if (ht_series_get(a, i, &x, NULL) != HT_OK || ht_series_get(b, i, &y, NULL) != HT_OK) return false;
        const bool same = ht_value_equal(x, y);
        ht_value_release(x);
        ht_value_release(y);
        if (!same) return false;
    }
    return true;
}

/* ---- giving to others ---- */

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static ht_status copy_schema(const struct ArrowSchema *from, const char *name, struct ArrowSchema *to, ht_error *err)
{
    hti_arrow_field field = {
        .name = name, .n_children = from->n_children, .nullable = from->flags & ARROW_FLAG_NULLABLE};
    HT_TRY(hti_arrow_format_parse(from->format, &field.type, &field.list_len, err));
    HT_TRY(hti_arrow_schema_make(&field, to, err));
    for (int64_t i = 0; i < from->n_children; i++) {
        const ht_status status = copy_schema(from->children[i], from->children[i]->name, to->children[i], err);
        if (status == HT_OK) continue;
        hti_arrow_schema_release(to);
        return status;
    }
    return HT_OK;
}

/* Every array of the tree keeps the storage, since a consumer may keep a child alone. */
static ht_status lend_array(const struct ArrowSchema *schema, const struct ArrowArray *from, hti_storage *storage,
                            struct ArrowArray *to, ht_error *err)
{
    hti_arrow_type type;
    int64_t list_len;
    HT_TRY(hti_arrow_format_parse(schema->format, &type, &list_len, err));
    HT_TRY(hti_arrow_array_make(type, from->length, from->n_children, to, err));
    for (int64_t i = 0; i < from->n_buffers; i++) hti_arrow_array_lend(to, i, from->buffers[i]);
    hti_arrow_array_keep(to, release_storage, retain_storage(storage));
    to->offset = from->offset;
    to->null_count = from->null_count;
    for (int64_t i = 0; i < from->n_children; i++) {
        const ht_status status = lend_array(schema->children[i], from->children[i], storage, to->children[i], err);
        if (status == HT_OK) continue;
        hti_arrow_array_release(to);
        return status;
    }
    return HT_OK;
}

ht_status ht_series_export(ht_series *series, const char *name, struct ArrowSchema *schema, struct ArrowArray *array,
                           ht_error *err)
{
    *schema = (struct ArrowSchema){0};
    *array = (struct ArrowArray){0};
    if (!series->view)
        return HT_FAIL(err, UNSUPPORTED, "column '%s' holds objects, which Arrow has no type for", name ? name : "");
    HT_TRY(copy_schema(series->schema, name, schema, err));
    const ht_status status = lend_array(series->schema, series->array, series->storage, array, err);
    if (status != HT_OK) {
        hti_arrow_schema_release(schema);
        return status;
    }
    array->offset = series->view->offset + (int64_t)series->first;
    array->length = (int64_t)series->len;
    if (series->dtype == HT_DTYPE_NULL)
        array->null_count = array->length;
    else if (series->view->null_count != 0)
        array->null_count = (int64_t)ht_series_n_nulls(series);
    else
        array->null_count = 0;
    return HT_OK;
}
