/*
 * series_codec.c - a series as a value: its bytes (docs/formats/values.md), digest and description.
 *
 * An object series travels as a list of its values, an array as a struct of its type and buffers, children inside.
 * Only the window travels: numbers as they lie, what is more is made dense first. Decoding trusts nothing: every
 * buffer's size is checked against the rows before the array is looked at, since Arrow itself does not tell sizes.
 */
#include "fields.h"
#include "series_int.h"
#include "value_int.h"

#include <stdio.h>
#include <string.h>

/* Rows of nulls and structs cost no bytes, so nothing else holds a damaged count of them. */
enum { MOST_WITHOUT_BYTES = 1 << 24 };

/* ---- writing ---- */

static size_t bits_of(int64_t n) { return (size_t)(n + 7) / 8; }

/* Bytes of buffer 1 and 2 of a dense array. */
static void buffer_sizes(hti_arrow_type type, int64_t n, size_t *values, size_t *width)
{
    *width = 0;
    *values = type == HTI_ARROW_BOOL ? bits_of(n) : hti_mul((size_t)n, hti_arrow_width(type));
    if (type == HTI_ARROW_UTF8 || type == HTI_ARROW_BINARY || type == HTI_ARROW_LIST) *width = 4;
    if (type == HTI_ARROW_LARGE_UTF8 || type == HTI_ARROW_LARGE_BINARY || type == HTI_ARROW_LARGE_LIST) *width = 8;
    if (*width) *values = hti_mul(hti_add((size_t)n, 1), *width);
}

static int64_t offset_in(const void *offsets, size_t width, int64_t at)
{
    int32_t narrow;
    int64_t wide;
    HT_ASSERT(offsets);
    if (width == 8) {
        memcpy(&wide, (const char *)offsets + at * 8, sizeof wide);
        return wide;
    }
    memcpy(&narrow, (const char *)offsets + at * 4, sizeof narrow);
    return narrow;
}

/* Rows of an array: what of it becomes a value. */
typedef struct array_part {
    const hti_arrow_view *view;
    const struct ArrowArray *array;
    int64_t first, n;
} array_part;

static void release_object(void *object) { ht_series_release(object); }

/* Bytes of a buffer of the series, which the value holds. */
static void take_bytes(hti_fields *f, const char *name, ht_series *owner, const void *data, size_t len)
{
    const int64_t shape[1] = {(int64_t)len};
    ht_value value = ht_value_null();
    void *same;
    memcpy(&same, &data, sizeof same); /* nobody writes what a value shares */
    if (f->status == HT_OK && !data) f->status = ht_value_tensor(HT_U8, 1, shape, NULL, &value, f->err);
    if (f->status == HT_OK && data) {
        f->status = ht_value_tensor_foreign(HT_U8, 1, shape, same, release_object, owner, &value, f->err);
        if (f->status == HT_OK) (void)ht_series_retain(owner);
    }
    hti_fields_take(f, name, value);
}

/* `part` is plain, or a whole array as the builder makes it. Depth is bounded by HTI_ARROW_MAX_DEPTH. */
static ht_status array_value(ht_series *owner, const array_part *part, const char *name, ht_value *out, ht_error *err)
{
    const hti_arrow_view *view = part->view;
    const struct ArrowArray *array = part->array;
    const size_t item = hti_arrow_width(view->type);
    const bool inlined = view->type == HTI_ARROW_FIXED_LIST || view->type == HTI_ARROW_STRUCT;
    const int64_t times = view->type == HTI_ARROW_FIXED_LIST ? view->list_len : 1;
    hti_fields f = {.err = err};
    size_t values, width;
    hti_fields_take(&f, "type", ht_value_int(view->type));
    hti_fields_text(&f, "name", name);
    hti_fields_take(&f, "n", ht_value_int(part->n));
    if (view->type == HTI_ARROW_FIXED_LIST) hti_fields_take(&f, "list_len", ht_value_int(view->list_len));
    buffer_sizes(view->type, part->n, &values, &width);
    if (view->validity && view->null_count) take_bytes(&f, "validity", owner, view->validity, bits_of(part->n));
    if (values && array->n_buffers > 1) {
        const char *from = array->buffers[1];
        take_bytes(&f, "values", owner, from + (size_t)(view->offset + part->first) * item, values);
    }
    if (array->n_buffers > 2)
        take_bytes(&f, "data", owner, array->buffers[2], (size_t)offset_in(array->buffers[1], width, part->n));
    ht_value *children = HTI_NEW_ARRAY(ht_value, (size_t)view->n_children);
    if (!children && f.status == HT_OK) f.status = HTI_NO_MEMORY(err);
    int64_t made = 0;
    for (; f.status == HT_OK && made < view->n_children; made += f.status == HT_OK) {
        const hti_arrow_view *child = &view->children[made];
        const array_part inner = {child, array->children[made], inlined ? part->first * times : 0,
                                  inlined ? part->n * times : child->length};
        f.status = array_value(owner, &inner, child->name, &children[made], err);
    }
    ht_value list = ht_value_null();
    if (f.status == HT_OK)
        f.status = ht_value_list_take(children, (size_t)made, &list, err);
    else
        for (int64_t i = 0; i < made; i++) ht_value_release(children[i]);
    hti_free(children);
    hti_fields_take(&f, "children", list);
    return hti_fields_end(&f, out);
}

/* Numbers without nulls, fixed-size lists and structs of such: any window is what the builder would make of it. */
static bool is_plain(const hti_arrow_view *view)
{
    if (view->null_count) return false;
    if (view->type != HTI_ARROW_FIXED_LIST && view->type != HTI_ARROW_STRUCT) return hti_arrow_width(view->type) > 0;
    for (int64_t i = 0; i < view->n_children; i++)
        if (!is_plain(&view->children[i])) return false;
    return true;
}

/* Bools as the builder would make them. */
static bool is_dense(const ht_series *series)
{
    const hti_arrow_view *view = series->view;
    return view == &series->storage->view && series->first == 0 && series->len == (size_t)view->length &&
           view->offset == 0 && !view->validity && view->type == HTI_ARROW_BOOL;
}

/* The window as a value that the value codec knows; equal windows give equal values, whatever lies around them. */
static ht_status portable(ht_series *series, ht_value *out, ht_error *err)
{
    ht_series *dense = NULL;
    if (!series->view) return ht_value_list(series->storage->values + series->first, series->len, out, err);
    array_part part = {series->view, series->array, (int64_t)series->first, (int64_t)series->len};
    if (is_plain(series->view) || is_dense(series)) return array_value(series, &part, "", out, err);
    hti_growing column = {0};
    hti_arena arena;
    hti_arena_init(&arena);
    ht_status status = hti_growing_like(&column, series->view, &arena, err);
    if (status == HT_OK) {
        hti_growing_rows(&column, series->view, (int64_t)series->first, (int64_t)series->len);
        status = hti_growing_finish(&column, &dense, err);
    }
    hti_arena_deinit(&arena);
    if (status == HT_OK) {
        part = (array_part){dense->view, dense->array, 0, (int64_t)dense->len};
        status = array_value(dense, &part, "", out, err);
    }
    ht_series_release(dense);
    return status;
}

/* ---- reading ---- */

static int64_t get_int(ht_value value, const char *name, int64_t otherwise)
{
    ht_value field;
    return ht_value_field(value, name, &field) && field.kind == HT_KIND_INT ? field.as.integer : otherwise;
}

/* A copy of a buffer that has at least `least` bytes; *data NULL where it is absent. */
static ht_status get_buffer(ht_value value, const char *name, size_t least, void **data, size_t *len, ht_error *err)
{
    ht_value field;
    *data = NULL;
    *len = 0;
    if (!ht_value_field(value, name, &field))
        return least ? HT_FAIL(err, PARSE, "a series without its %s", name) : HT_OK;
    const ht_tensor *tensor = ht_value_tensor_view(field);
    if (!tensor || tensor->element != HT_U8 || tensor->n < least)
        return HT_FAIL(err, PARSE, "a series whose %s are not at least %zu bytes", name, least);
    *data = hti_alloc(tensor->n);
    if (!*data) return HTI_NO_MEMORY(err);
    memcpy(*data, tensor->data, tensor->n);
    *len = tensor->n;
    return HT_OK;
}

/*
 * All of them, also those behind the rows that a parent needs, which no view looks at: the last one sizes the data.
 */
static ht_status check_rising(const void *offsets, size_t width, int64_t n, ht_error *err)
{
    int64_t last = 0;
    for (int64_t i = 0; i <= n; i++) {
        const int64_t next = offset_in(offsets, width, i);
        if (next < last) return HT_FAIL(err, PARSE, "a series whose offsets do not rise at row %lld", (long long)i);
        last = next;
    }
    return HT_OK;
}

static ht_status read_buffers(ht_value value, struct ArrowArray *array, hti_arrow_type type, ht_error *err)
{
    void *block;
    size_t len, values, width;
    buffer_sizes(type, array->length, &values, &width);
    if (array->n_buffers > 0) {
        ht_value field;
        const size_t least = ht_value_field(value, "validity", &field) ? bits_of(array->length) : 0;
        HT_TRY(get_buffer(value, "validity", least, &block, &len, err));
        hti_arrow_array_take(array, 0, block);
        if (!block) array->null_count = 0;
    }
    if (array->n_buffers < 2) return HT_OK;
    HT_TRY(get_buffer(value, "values", values, &block, &len, err));
    hti_arrow_array_take(array, 1, block);
    if (width) HT_TRY(check_rising(block, width, array->length, err));
    if (array->n_buffers < 3) return HT_OK;
    const int64_t end = offset_in(block, width, array->length);
    HT_TRY(get_buffer(value, "data", (size_t)end, &block, &len, err));
    hti_arrow_array_take(array, 2, block);
    return HT_OK;
}

/* Children that are too short are found by the view. Depth is bounded here, since a file may say anything. */
static ht_status read_array(ht_value value, uint32_t depth, struct ArrowSchema *schema, struct ArrowArray *array,
                            ht_error *err)
{
    ht_value name, children;
    size_t n_children = 0;
    const int64_t type = get_int(value, "type", -1), n = get_int(value, "n", -1);
    if (depth > HTI_ARROW_MAX_DEPTH) return HT_FAIL(err, LIMIT, "a series nested deeper than %d", HTI_ARROW_MAX_DEPTH);
    if (type < 0 || type > HTI_ARROW_STRUCT || n < 0 || n > INT64_MAX / 16)
        return HT_FAIL(err, PARSE, "a series of type %lld with %lld rows", (long long)type, (long long)n);
    if ((type == HTI_ARROW_NULL || type == HTI_ARROW_STRUCT) && n > MOST_WITHOUT_BYTES)
        return HT_FAIL(err, LIMIT, "a series of %lld rows that have no bytes", (long long)n);
    if (!ht_value_field(value, "name", &name) || name.kind != HT_KIND_STRING ||
        !ht_value_field(value, "children", &children) || children.kind != HT_KIND_LIST)
        return HT_FAIL(err, PARSE, "a series without name or children");
    const ht_value *items = ht_value_items(children, &n_children);
    const hti_arrow_field field = {(hti_arrow_type)type, ht_value_text(name).data, get_int(value, "list_len", 0),
                                   (int64_t)n_children, true};
    HT_TRY(hti_arrow_schema_make(&field, schema, err));
    HT_TRY(hti_arrow_array_make(field.type, n, (int64_t)n_children, array, err));
    HT_TRY(read_buffers(value, array, field.type, err));
    for (size_t i = 0; i < n_children; i++)
        HT_TRY(read_array(items[i], depth + 1, schema->children[i], array->children[i], err));
    return HT_OK;
}

static ht_status from_portable(ht_value value, ht_series **out, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    *out = NULL;
    if (value.kind == HT_KIND_LIST) return ht_series_from_values(HT_DTYPE_OBJECT, items, n, out, err);
    const ht_status status = read_array(value, 1, &schema, &array, err);
    if (status == HT_OK) return ht_series_import(&schema, &array, out, err);
    hti_arrow_array_release(&array);
    hti_arrow_schema_release(&schema);
    return status;
}

/* ---- the type ---- */

/* Objects are counted, and what a value says of one holds it: nothing else is const about them. */
static ht_series *series_of(const void *object)
{
    ht_series *series;
    memcpy(&series, &object, sizeof(void *));
    return series;
}

static ht_status encode_object(const void *object, ht_writer *writer, ht_error *err)
{
    ht_value value;
    HT_TRY(portable(series_of(object), &value, err));
    const ht_status status = ht_value_encode(value, writer, err);
    ht_value_release(value);
    return status;
}

static ht_status decode_object(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err)
{
    ht_value value;
    ht_series *series;
    HT_TRY(hti_value_decode_view(data, len, registry, &value, err));
    const ht_status status = from_portable(value, &series, err);
    ht_value_release(value);
    *object = series;
    return status;
}

static ht_status digest_object(const void *object, ht_digest *digest, ht_error *err)
{
    ht_value value = ht_value_null();
    ht_key key;
    HT_TRY(portable(series_of(object), &value, err));
    const ht_status status = ht_value_digest(value, &key, err);
    ht_value_release(value);
    if (status == HT_OK) ht_digest_add(digest, &key, sizeof key);
    return status;
}

static void describe_object(const void *object, char *text, size_t cap)
{
    const ht_series *series = object;
    char type[200];
    ht_series_describe_type(series, type, sizeof type);
    (void)snprintf(text, cap, "series<%s>[%zu]", type, series->len);
}

static const ht_type series_type = {HT_DESC(ht_type),           .name = "houndstooth.Series", .release = release_object,
                                    .digest = digest_object,    .encode = encode_object,      .decode = decode_object,
                                    .describe = describe_object};
const ht_type *hti_series_type(void) { return &series_type; }

ht_status ht_series_value(ht_series *series, ht_value *out, ht_error *err)
{
    return ht_value_opaque(&series_type, ht_series_retain(series), out, err);
}

ht_series *ht_value_series(ht_value value) { return ht_value_object(value, &series_type); }
