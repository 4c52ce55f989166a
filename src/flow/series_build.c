/*
 * series_build.c - columns that grow row by row or range by range, and what is made of them: series from values,
 * joined and picked rows.
 *
 * A growing column has the buffers of an Arrow array and grows its children with it. Bits are written into bytes that
 * are appended when the row before was the eighth. Errors of memory stick to the buffers; finish tells them once.
 * Easy to get wrong: a null row of a fixed-size list or struct has rows in the children all the same; what stands at a
 * null is zeros, so that equal columns have equal bytes.
 */
#include "series_int.h"
#include "value_int.h"

#include <string.h>

static const int64_t no_offset = 0;

static bool is_text(hti_arrow_type type) { return type >= HTI_ARROW_UTF8 && type <= HTI_ARROW_LARGE_BINARY; }
static bool is_list(hti_arrow_type type) { return type == HTI_ARROW_LIST || type == HTI_ARROW_LARGE_LIST; }
static bool is_wide(hti_arrow_type type)
{
    return type == HTI_ARROW_LARGE_UTF8 || type == HTI_ARROW_LARGE_BINARY || type == HTI_ARROW_LARGE_LIST;
}

static void push_offset(hti_growing *column, int64_t offset)
{
    const int32_t narrow = (int32_t)offset;
    if (is_wide(column->type)) {
        hti_buffer_append(&column->values, &offset, sizeof offset);
        return;
    }
    column->too_long |= offset > INT32_MAX;
    hti_buffer_append(&column->values, &narrow, sizeof narrow);
}

ht_status hti_growing_init(hti_growing *column, ht_error *err)
{
    column->n = column->n_nulls = 0;
    column->too_long = false;
    hti_buffer_init(&column->validity);
    hti_buffer_init(&column->values);
    hti_buffer_init(&column->data);
    if (is_text(column->type) || is_list(column->type)) push_offset(column, no_offset);
    for (int64_t i = 0; i < column->n_children; i++) HT_TRY(hti_growing_init(&column->children[i], err));
    return hti_buffer_status(&column->values, err);
}

static ht_status copy_type(hti_growing *column, const hti_arrow_view *view, hti_arena *arena, ht_error *err)
{
    *column = (hti_growing){.type = view->type, .list_len = view->list_len, .n_children = view->n_children};
    column->name = hti_arena_text(arena, (ht_text){view->name, strlen(view->name)});
    column->children = HTI_ARENA_ARRAY(arena, hti_growing, (size_t)view->n_children);
    if (!column->name || !column->children) {
        column->n_children = 0;
        return HTI_NO_MEMORY(err);
    }
    memset(column->children, 0, (size_t)view->n_children * sizeof *column->children);
    for (int64_t i = 0; i < view->n_children; i++)
        HT_TRY(copy_type(&column->children[i], &view->children[i], arena, err));
    return HT_OK;
}

ht_status hti_growing_like(hti_growing *column, const hti_arrow_view *view, hti_arena *arena, ht_error *err)
{
    HT_TRY(copy_type(column, view, arena, err));
    const ht_status status = hti_growing_init(column, err);
    if (status != HT_OK) hti_growing_deinit(column);
    return status;
}

void hti_growing_deinit(hti_growing *column)
{
    hti_buffer_deinit(&column->validity);
    hti_buffer_deinit(&column->values);
    hti_buffer_deinit(&column->data);
    for (int64_t i = 0; i < column->n_children; i++) hti_growing_deinit(&column->children[i]);
}

/* ---- appending ---- */

static void push_bit(hti_buffer *bits, int64_t at, bool set)
{
    static const char zero = 0;
    if (at % 8 == 0) hti_buffer_append(bits, &zero, 1);
    if (set && bits->status == HT_OK) bits->data[at / 8] = (char)(bits->data[at / 8] | 1 << at % 8);
}

/* Without a null there is no validity buffer; the first one makes it, with a 1 for each row before. */
static void push_valid(hti_growing *column, bool valid)
{
    if (!valid && column->n_nulls == 0)
        for (int64_t i = 0; i < column->n; i++) push_bit(&column->validity, i, true);
    column->n_nulls += !valid;
    if (column->n_nulls) push_bit(&column->validity, column->n, valid);
    column->n++;
}

static void push_zeros(hti_buffer *buffer, size_t n)
{
    char *room = hti_buffer_room(buffer, n);
    if (!room) return;
    memset(room, 0, n);
    buffer->len += n;
}

/* A row that holds nothing: of a struct or fixed-size list its children have theirs. */
static void push_blank(hti_growing *column)
{
    const size_t width = hti_arrow_width(column->type);
    if (column->type == HTI_ARROW_BOOL) push_bit(&column->values, column->n, false);
    if (width) push_zeros(&column->values, width);
    if (is_text(column->type)) push_offset(column, (int64_t)column->data.len);
    if (is_list(column->type)) push_offset(column, column->children[0].n);
    const int64_t times = column->type == HTI_ARROW_FIXED_LIST ? column->list_len : 1;
    for (int64_t i = 0; i < column->n_children && !is_list(column->type); i++)
        for (int64_t k = 0; k < times; k++) hti_growing_null(&column->children[i]);
}

void hti_growing_null(hti_growing *column)
{
    push_blank(column);
    push_valid(column, false);
}

static void push_text(hti_growing *column, ht_text text)
{
    hti_buffer_append(&column->data, text.data, text.len);
    push_offset(column, (int64_t)column->data.len);
}

static void push_row(hti_growing *column, const hti_arrow_view *view, int64_t row)
{
    int64_t first, n = 0;
    ht_text text;
    if (hti_arrow_is_null(view, row)) {
        hti_growing_null(column);
        return;
    }
    if (column->type == HTI_ARROW_BOOL) {
        push_bit(&column->values, column->n, hti_arrow_int(view, row, &n, NULL) == HT_OK && n != 0);
    } else if (is_text(column->type)) {
        if (hti_arrow_text(view, row, &text, NULL) == HT_OK) push_text(column, text);
    } else if (is_list(column->type)) {
        if (hti_arrow_list(view, row, &first, &n, NULL) == HT_OK)
            hti_growing_rows(&column->children[0], &view->children[0], first, n);
        push_offset(column, column->children[0].n);
    } else {
        const int64_t times = column->type == HTI_ARROW_FIXED_LIST ? column->list_len : 1;
        for (int64_t i = 0; i < column->n_children; i++)
            hti_growing_rows(&column->children[i], &view->children[i], row * times, times);
    }
    push_valid(column, true);
}

static void push_valid_rows(hti_growing *column, int64_t n)
{
    if (column->n_nulls == 0)
        column->n += n;
    else
        for (int64_t i = 0; i < n; i++) push_valid(column, true);
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
void hti_growing_rows(hti_growing *column, const hti_arrow_view *view, int64_t first, int64_t n)
{
    const size_t width = hti_arrow_width(column->type);
    if (column->type == HTI_ARROW_NULL) {
        column->n += n; /* has no buffers */
        column->n_nulls += n;
        return;
    }
    if (view->null_count == 0 && (column->type == HTI_ARROW_FIXED_LIST || column->type == HTI_ARROW_STRUCT)) {
        const int64_t times = column->type == HTI_ARROW_FIXED_LIST ? column->list_len : 1;
        for (int64_t i = 0; i < column->n_children; i++)
            hti_growing_rows(&column->children[i], &view->children[i], first * times, n * times);
        push_valid_rows(column, n);
        return;
    }
    if (width == 0) {
        for (int64_t i = 0; i < n; i++) push_row(column, view, first + i);
        return;
    }
    for (int64_t i = first, end; i < first + n; i = end) {
        for (end = i; end < first + n && !hti_arrow_is_null(view, end);) end++;
        if (end == i) {
            hti_growing_null(column);
            end++;
            continue;
        }
        const char *from = (const char *)view->values + (size_t)(view->offset + i) * width;
        hti_buffer_append(&column->values, from, (size_t)(end - i) * width);
        push_valid_rows(column, end - i);
    }
}

/* ---- values ---- */

static void push_number(hti_growing *column, ht_value value)
{
    const double real = value.kind == HT_KIND_INT ? (double)value.as.integer : value.as.number;
    const float narrow = (float)real;
    const uint16_t half = hti_half_from_float(narrow);
    switch (column->type) {
    case HTI_ARROW_FLOAT64: hti_buffer_append(&column->values, &real, sizeof real); return;
    case HTI_ARROW_FLOAT32: hti_buffer_append(&column->values, &narrow, sizeof narrow); return;
    case HTI_ARROW_FLOAT16: hti_buffer_append(&column->values, &half, sizeof half); return;
    default: break;
    }
    hti_buffer_append(&column->values, &value.as.integer, hti_arrow_width(column->type)); /* little-endian */
}

static void push_items(hti_growing *column, ht_value value)
{
    size_t n;
    const ht_tensor *tensor = ht_value_tensor_view(value);
    const ht_value *items = ht_value_items(value, &n);
    hti_growing *child = column->n_children ? &column->children[0] : NULL;
    HT_ASSERT(child || column->type == HTI_ARROW_STRUCT);
    if (tensor) {
        hti_buffer_append(&child->values, tensor->data, tensor->n * ht_element_size(tensor->element));
        for (size_t i = 0; i < tensor->n; i++) push_valid(child, true);
    } else if (column->type == HTI_ARROW_STRUCT) {
        for (size_t i = 0; i < n; i++) hti_growing_value(&column->children[i], items[i]);
    } else {
        for (size_t i = 0; i < n; i++) hti_growing_value(child, items[i]);
    }
    if (child && is_list(column->type)) push_offset(column, child->n);
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
void hti_growing_value(hti_growing *column, ht_value value)
{
    if (value.kind == HT_KIND_NULL) {
        hti_growing_null(column);
        return;
    }
    if (column->type == HTI_ARROW_BOOL)
        push_bit(&column->values, column->n, value.as.boolean);
    else if (is_text(column->type))
        push_text(column, ht_value_text(value));
    else if (hti_arrow_width(column->type))
        push_number(column, value);
    else
        push_items(column, value);
    push_valid(column, true);
}

/* ---- finishing ---- */

/* The buffer's bytes become the array's, the buffer is empty. */
static ht_status give_buffer(struct ArrowArray *array, int64_t at, hti_buffer *buffer, ht_error *err)
{
    HT_TRY(hti_buffer_status(buffer, err));
    hti_arrow_array_take(array, at, buffer->data);
    hti_buffer_init(buffer);
    return HT_OK;
}

static ht_status finish_array(hti_growing *column, struct ArrowArray *array, ht_error *err)
{
    if (column->too_long)
        return HT_FAIL(err, LIMIT, "column '%s' holds more than 2 GiB of text or 2^31 items: make it in parts",
                       column->name);
    HT_TRY(hti_arrow_array_make(column->type, column->n, column->n_children, array, err));
    if (column->type == HTI_ARROW_NULL) return HT_OK;
    if (column->n_nulls) HT_TRY(give_buffer(array, 0, &column->validity, err));
    if (array->n_buffers > 1) HT_TRY(give_buffer(array, 1, &column->values, err));
    if (array->n_buffers > 2) HT_TRY(give_buffer(array, 2, &column->data, err));
    array->null_count = column->n_nulls;
    return hti_buffer_status(&column->validity, err);
}

/* Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static ht_status finish_tree(hti_growing *column, struct ArrowSchema *schema, struct ArrowArray *array, ht_error *err)
{
    const hti_arrow_field field = {column->type, column->name, column->list_len, column->n_children, true};
    HT_TRY(hti_arrow_schema_make(&field, schema, err));
    HT_TRY(finish_array(column, array, err));
    for (int64_t i = 0; i < column->n_children; i++)
        HT_TRY(finish_tree(&column->children[i], schema->children[i], array->children[i], err));
    return HT_OK;
}

ht_status hti_growing_finish(hti_growing *column, ht_series **out, ht_error *err)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    *out = NULL;
    const ht_status status = finish_tree(column, &schema, &array, err);
    hti_growing_deinit(column);
    if (status == HT_OK) return ht_series_import(&schema, &array, out, err);
    hti_arrow_array_release(&array);
    hti_arrow_schema_release(&schema);
    return status;
}

/* ---- series from values ---- */

static ht_status share_values(const ht_value *values, size_t n, ht_series **out, ht_error *err)
{
    ht_value *copy = HTI_NEW_ARRAY(ht_value, n);
    if (!copy) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) copy[i] = ht_value_retain(values[i]);
    return hti_series_take_values(copy, n, out, err);
}

static bool fits(ht_dtype dtype, ht_value value)
{
    static const struct {
        ht_dtype dtype;
        int64_t low, high;
    } ranges[] = {
        {HT_DTYPE_INT8, INT8_MIN, INT8_MAX},    {HT_DTYPE_UINT8, 0, UINT8_MAX},
        {HT_DTYPE_INT16, INT16_MIN, INT16_MAX}, {HT_DTYPE_UINT16, 0, UINT16_MAX},
        {HT_DTYPE_INT32, INT32_MIN, INT32_MAX}, {HT_DTYPE_UINT32, 0, UINT32_MAX},
        {HT_DTYPE_INT64, INT64_MIN, INT64_MAX}, {HT_DTYPE_UINT64, 0, INT64_MAX},
    };
    if (value.kind == HT_KIND_NULL) return true;
    if (dtype == HT_DTYPE_BOOL) return value.kind == HT_KIND_BOOL;
    if (dtype == HT_DTYPE_STRING || dtype == HT_DTYPE_LARGE_STRING) return value.kind == HT_KIND_STRING;
    if (dtype == HT_DTYPE_BINARY || dtype == HT_DTYPE_LARGE_BINARY) return value.kind == HT_KIND_BYTES;
    if (dtype >= HT_DTYPE_FLOAT16 && dtype <= HT_DTYPE_FLOAT64)
        return value.kind == HT_KIND_FLOAT || value.kind == HT_KIND_INT;
    for (size_t i = 0; i < HTI_LEN(ranges); i++)
        if (ranges[i].dtype == dtype)
            return value.kind == HT_KIND_INT && value.as.integer >= ranges[i].low && value.as.integer <= ranges[i].high;
    return false;
}

static ht_status check_values(ht_dtype dtype, const ht_value *values, size_t n, ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (fits(dtype, values[i])) continue;
        char text[100];
        ht_value_describe(values[i], text, sizeof text);
        return HT_FAIL(err, INVALID, "row %zu, %s, is no %s", i, text, ht_dtype_name(dtype));
    }
    return HT_OK;
}

ht_status ht_series_from_values(ht_dtype dtype, const ht_value *values, size_t n, ht_series **out, ht_error *err)
{
    hti_growing column = {.name = ""};
    hti_arena arena;
    bool found = true;
    *out = NULL;
    if (dtype == HT_DTYPE_OBJECT) return share_values(values, n, out, err);
    if (dtype >= HT_DTYPE_LIST)
        return HT_FAIL(err, INVALID, "rows of type %s are made with HT_DTYPE_INFER", ht_dtype_name(dtype));
    hti_arena_init(&arena);
    ht_status status = HT_OK;
    if (dtype == HT_DTYPE_INFER) {
        status = hti_infer(values, n, &arena, &column, &found, err);
    } else {
        column.type = hti_arrow_of(dtype);
        status = check_values(dtype, values, n, err);
    }
    if (status == HT_OK && !found) status = share_values(values, n, out, err);
    if (status == HT_OK && found) {
        status = hti_growing_init(&column, err);
        for (size_t i = 0; status == HT_OK && i < n; i++) hti_growing_value(&column, values[i]);
        if (status == HT_OK)
            status = hti_growing_finish(&column, out, err);
        else
            hti_growing_deinit(&column);
    }
    hti_arena_deinit(&arena);
    return status;
}

/* ---- joining and picking ---- */

static ht_status join_values(ht_series *const *parts, size_t n, ht_series **out, ht_error *err)
{
    size_t len = 0, made = 0;
    bool objects = false;
    for (size_t i = 0; i < n; i++) len = hti_add(len, parts[i]->len);
    ht_value *values = HTI_NEW_ARRAY(ht_value, len);
    if (!values) return HTI_NO_MEMORY(err);
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        objects |= parts[i]->dtype == HT_DTYPE_OBJECT;
        status = ht_series_values(parts[i], values + made, err);
        if (status == HT_OK) made += parts[i]->len;
    }
    if (status == HT_OK && objects) return hti_series_take_values(values, made, out, err);
    if (status == HT_OK) status = ht_series_from_values(HT_DTYPE_INFER, values, made, out, err);
    for (size_t i = 0; i < made; i++) ht_value_release(values[i]);
    hti_free(values);
    return status;
}

static ht_status join_rows(ht_series *const *parts, size_t n, ht_series **out, ht_error *err)
{
    hti_growing column = {0};
    hti_arena arena;
    hti_arena_init(&arena);
    ht_status status = hti_growing_like(&column, parts[0]->view, &arena, err);
    for (size_t i = 0; status == HT_OK && i < n; i++)
        hti_growing_rows(&column, parts[i]->view, (int64_t)parts[i]->first, (int64_t)parts[i]->len);
    if (status == HT_OK) status = hti_growing_finish(&column, out, err);
    hti_arena_deinit(&arena);
    return status;
}

/* Same types, children and their names included. Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static bool same_type(const hti_arrow_view *a, const hti_arrow_view *b)
{
    if (a->type != b->type || a->list_len != b->list_len || a->n_children != b->n_children) return false;
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->type == HTI_ARROW_STRUCT && strcmp(a->children[i].name, b->children[i].name) != 0) return false;
        if (!same_type(&a->children[i], &b->children[i])) return false;
    }
    return true;
}

ht_status ht_series_concat(ht_series *const *parts, size_t n, ht_series **out, ht_error *err)
{
    *out = NULL;
    if (n == 0) return ht_series_from_values(HT_DTYPE_NULL, NULL, 0, out, err);
    if (n == 1) {
        *out = ht_series_retain(parts[0]);
        return HT_OK;
    }
    bool same = true;
    for (size_t i = 0; i < n; i++)
        same = same && parts[i]->view && parts[0]->view && same_type(parts[0]->view, parts[i]->view);
    return same ? join_rows(parts, n, out, err) : join_values(parts, n, out, err);
}

ht_status ht_series_take(ht_series *series, const size_t *rows, size_t n, ht_series **out, ht_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        if (rows[i] >= series->len) return HT_FAIL(err, INVALID, "row %zu of a series of %zu", rows[i], series->len);
    if (!series->view) {
        ht_value *values = HTI_NEW_ARRAY(ht_value, n);
        if (!values) return HTI_NO_MEMORY(err);
        for (size_t i = 0; i < n; i++) values[i] = ht_value_retain(series->storage->values[series->first + rows[i]]);
        return hti_series_take_values(values, n, out, err);
    }
    hti_growing column = {0};
    hti_arena arena;
    hti_arena_init(&arena);
    ht_status status = hti_growing_like(&column, series->view, &arena, err);
    for (size_t at = 0, end; status == HT_OK && at < n; at = end) {
        for (end = at + 1; end < n && rows[end] == rows[end - 1] + 1;) end++;
        hti_growing_rows(&column, series->view, (int64_t)(series->first + rows[at]), (int64_t)(end - at));
    }
    if (status == HT_OK) status = hti_growing_finish(&column, out, err);
    hti_arena_deinit(&arena);
    return status;
}
