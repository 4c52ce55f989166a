/*
 * arrow.c - arrays of the Arrow C Data Interface, checked and read.
 *
 * A tree of arrays is checked without recursion: each array to look at is a task on a list, which names the rows that
 * its parent needs of it. Sizes of buffers are not part of the interface, so what can be checked is: pointers that must
 * not be NULL, counts against the type, lengths against overflow, offsets rising and within the child, null counts
 * against the bits, and text. Workload: arrays of up to millions of rows, checked once, in time linear in rows and
 * bytes of text.
 * Easy to get wrong: an array's offset counts rows, so it is bits in the validity and in bools; a struct's and a
 * fixed-size list's offset applies to the children on top of their own, a list's does not; buffers need no
 * alignment, so values are copied out; a buffer of no bytes may be NULL.
 */
#include "arrow.h"

#include "codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct type_row {
    const char *format, *name;
    int n_buffers, width, offset_width, n_children;
} type_row;

static const type_row types[] = {
#define ROW(type, format, name, n_buffers, width, offset_width, n_children) \
    {format, name, n_buffers, width, offset_width, n_children},
    HTI_ARROW_TYPES(ROW)
#undef ROW
};

const char *hti_arrow_type_name(hti_arrow_type type)
{
    return (size_t)type < HTI_LEN(types) ? types[type].name : "unknown";
}

size_t hti_arrow_width(hti_arrow_type type) { return (size_t)types[type].width; }

/* The digits behind "+w:". */
static bool parse_list_len(const char *digits, int64_t *out)
{
    *out = 0;
    if (*digits == '\0') return false;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9') return false;
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *digits - '0', out)) return false;
    }
    return true;
}

ht_status hti_arrow_format_parse(const char *format, hti_arrow_type *type, int64_t *list_len, ht_error *err)
{
    *list_len = 0;
    for (size_t i = 0; i < HTI_LEN(types); i++) {
        const bool fixed = i == HTI_ARROW_FIXED_LIST;
        if (fixed ? strncmp(format, "+w:", 3) != 0 : strcmp(format, types[i].format) != 0) continue;
        if (fixed && !parse_list_len(format + 3, list_len)) break;
        *type = (hti_arrow_type)i;
        return HT_OK;
    }
    return HT_FAIL(err, UNSUPPORTED, "Arrow format \"%.40s\" is not one of those read here; cast the column", format);
}

void hti_arrow_format_make(hti_arrow_type type, int64_t list_len, char into[HTI_ARROW_FORMAT_CAP])
{
    if (type == HTI_ARROW_FIXED_LIST)
        (void)snprintf(into, HTI_ARROW_FORMAT_CAP, "+w:%lld", (long long)list_len);
    else
        (void)snprintf(into, HTI_ARROW_FORMAT_CAP, "%s", types[type].format);
}

/* ---- checking ---- */

/* An array to look at: its parent needs the rows [first, first + n) of it, and sees only these if `cut`. */
typedef struct task {
    struct task *next;
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    hti_arrow_view *view;
    int64_t first, n;
    bool cut, is_root;
    uint32_t depth;
} task;

typedef struct checker {
    hti_arena *arena;
    task *tasks;
    int64_t n_fields;
} checker;

#define REFUSE(view, ...) refuse(err, (view)->name, __VA_ARGS__)

HT_PRINTF(3, 4) static ht_status refuse(ht_error *err, const char *name, const char *fmt, ...)
{
    char reason[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return HT_FAIL(err, INVALID, "Arrow array \"%.60s\": %s", name, reason);
}

static bool bit_at(const uint8_t *bits, int64_t at) { return bits[at / 8] >> (at % 8) & 1; }

static int64_t count_ones(const uint8_t *bits, int64_t first, int64_t n)
{
    int64_t at = first, ones = 0;
    const int64_t end = first + n;
    for (; at < end && at % 8 != 0; at++) ones += bit_at(bits, at);
    for (; end - at >= 64; at += 64) {
        uint64_t word;
        memcpy(&word, bits + at / 8, sizeof word);
        ones += __builtin_popcountll(word);
    }
    for (; at < end; at++) ones += bit_at(bits, at);
    return ones;
}

/* What the array says of itself, before any buffer is looked at. */
static ht_status check_counts(const task *t, ht_error *err)
{
    const struct ArrowArray *array = t->array;
    const type_row *row = &types[t->view->type];
    int64_t end;
    if (array->length < 0 || array->offset < 0 || __builtin_add_overflow(array->length, array->offset, &end))
        return REFUSE(t->view, "length %lld with offset %lld", (long long)array->length, (long long)array->offset);
    if (array->null_count < -1 || array->null_count > array->length)
        return REFUSE(t->view, "%lld nulls in %lld rows", (long long)array->null_count, (long long)array->length);
    if (array->n_buffers != row->n_buffers)
        return REFUSE(t->view, "%lld buffers; %s has %d", (long long)array->n_buffers, row->name, row->n_buffers);
    if (row->n_buffers > 0 && !array->buffers) return REFUSE(t->view, "no pointer to its buffers");
    if (array->n_children != t->schema->n_children)
        return REFUSE(t->view, "%lld children, its schema has %lld", (long long)array->n_children,
                      (long long)t->schema->n_children);
    if (row->n_children >= 0 && array->n_children != row->n_children)
        return REFUSE(t->view, "%lld children; %s has %d", (long long)array->n_children, row->name, row->n_children);
    if (array->n_children < 0) return REFUSE(t->view, "%lld children", (long long)array->n_children);
    if (array->n_children > 0 && (!array->children || !t->schema->children))
        return REFUSE(t->view, "no pointer to its children");
    if (t->is_root || (t->first <= array->length && t->n <= array->length - t->first)) return HT_OK;
    return REFUSE(t->view, "%lld rows; its parent needs %lld", (long long)array->length,
                  (long long)(t->n > INT64_MAX - t->first ? INT64_MAX : t->first + t->n));
}

static ht_status check_head(const task *t, ht_error *err)
{
    hti_arrow_view *view = t->view;
    const char *name = t->schema && t->schema->release && t->schema->name ? t->schema->name : "";
    *view = (hti_arrow_view){.name = name};
    if (!t->schema || !t->array) return REFUSE(view, "no %s", t->schema ? "array" : "schema");
    if (!t->schema->release) return REFUSE(view, "its schema is released already");
    if (!t->array->release) return REFUSE(view, "it is released already, or moved");
    if (!t->schema->format) return REFUSE(view, "a schema without a format");
    if (t->schema->dictionary || t->array->dictionary)
        return HT_FAIL(err, UNSUPPORTED, "Arrow array \"%.60s\": dictionary-encoded; decode it first", name);
    HT_TRY(hti_arrow_format_parse(t->schema->format, &view->type, &view->list_len, err));
    return check_counts(t, err);
}

/* The bits against the count told; then the count of the rows that the parent sees. */
static ht_status check_nulls(const task *t, ht_error *err)
{
    const struct ArrowArray *array = t->array;
    hti_arrow_view *view = t->view;
    if (view->type == HTI_ARROW_NULL) {
        if (array->null_count != -1 && array->null_count != array->length)
            return REFUSE(view, "%lld nulls in %lld rows of type null", (long long)array->null_count,
                          (long long)array->length);
        view->null_count = view->length;
        return HT_OK;
    }
    view->validity = array->buffers[0];
    if (!view->validity) {
        if (array->null_count > 0) return REFUSE(view, "nulls without a validity buffer");
        return HT_OK;
    }
    const int64_t n_nulls = array->length - count_ones(view->validity, array->offset, array->length);
    if (array->null_count != -1 && array->null_count != n_nulls)
        return REFUSE(view, "%lld nulls told, %lld in its bits", (long long)array->null_count, (long long)n_nulls);
    view->null_count = n_nulls;
    if (view->length < array->length)
        view->null_count = view->length - count_ones(view->validity, view->offset, view->length);
    return HT_OK;
}

/* Offset `at` of the rows behind view->offset. */
static int64_t offset_at(const hti_arrow_view *view, int64_t at)
{
    const size_t width = (size_t)types[view->type].offset_width;
    const char *from = (const char *)view->offsets + (size_t)(view->offset + at) * width;
    int64_t wide;
    int32_t narrow;
    if (width == sizeof wide) {
        memcpy(&wide, from, sizeof wide);
        return wide;
    }
    memcpy(&narrow, from, sizeof narrow);
    return narrow;
}

static ht_status check_values(const task *t, ht_error *err)
{
    hti_arrow_view *view = t->view;
    const type_row *row = &types[view->type];
    if (row->width == 0 && view->type != HTI_ARROW_BOOL) return HT_OK;
    const int64_t end = t->array->offset + t->array->length;
    int64_t size = end;
    if (row->width > 0 && (__builtin_mul_overflow(end, (int64_t)row->width, &size) || size > PTRDIFF_MAX))
        return REFUSE(view, "%lld rows of %d bytes", (long long)end, row->width);
    view->values = t->array->buffers[1];
    if (!view->values && end > 0) return REFUSE(view, "no buffer of values");
    return HT_OK;
}

static ht_status check_text(const hti_arrow_view *view, ht_error *err)
{
    for (int64_t i = 0; i < view->length; i++) {
        if (hti_arrow_is_null(view, i)) continue;
        const int64_t first = offset_at(view, i), len = offset_at(view, i + 1) - first;
        if (len > 0 && hti_utf8_valid((ht_text){(const char *)view->data + first, (size_t)len}) != (size_t)len)
            return REFUSE(view, "row %lld is no UTF-8", (long long)i);
    }
    return HT_OK;
}

static ht_status check_offsets(const task *t, ht_error *err)
{
    static const int64_t none[1] = {0};
    hti_arrow_view *view = t->view;
    const type_row *row = &types[view->type];
    const int64_t end = t->array->offset + t->array->length;
    if (row->offset_width == 0) return HT_OK;
    if (end >= PTRDIFF_MAX / row->offset_width) return REFUSE(view, "%lld rows", (long long)end);
    view->offsets = t->array->buffers[1];
    if (!view->offsets && end > 0) return REFUSE(view, "no buffer of offsets");
    if (!view->offsets) view->offsets = none;
    int64_t last = offset_at(view, 0);
    if (last < 0) return REFUSE(view, "offset %lld in front of row 0", (long long)last);
    const int64_t first = last;
    for (int64_t i = 0; i < view->length; i++) {
        const int64_t next = offset_at(view, i + 1);
        if (next < last)
            return REFUSE(view, "offset %lld behind %lld at row %lld", (long long)next, (long long)last, (long long)i);
        last = next;
    }
    if (row->n_buffers < 3) return HT_OK;
    view->data = t->array->buffers[2];
    if (!view->data && first != last) return REFUSE(view, "no buffer of bytes");
    return view->type == HTI_ARROW_UTF8 || view->type == HTI_ARROW_LARGE_UTF8 ? check_text(view, err) : HT_OK;
}

/* The rows that a parent needs of each child. */
static ht_status rows_of_child(const hti_arrow_view *view, task *child, ht_error *err)
{
    child->cut = true;
    child->first = view->offset;
    child->n = view->length;
    if (view->type == HTI_ARROW_FIXED_LIST) {
        int64_t end;
        if (__builtin_mul_overflow(view->offset, view->list_len, &child->first) ||
            __builtin_mul_overflow(view->length, view->list_len, &child->n) ||
            __builtin_add_overflow(child->first, child->n, &end))
            return REFUSE(view, "%lld rows of %lld values", (long long)view->length, (long long)view->list_len);
    } else if (view->type != HTI_ARROW_STRUCT) {
        child->cut = false;
        child->first = 0;
        child->n = offset_at(view, view->length);
    }
    return HT_OK;
}

static ht_status add_children(checker *c, const task *t, ht_error *err)
{
    hti_arrow_view *view = t->view;
    view->n_children = t->array->n_children;
    if (view->n_children == 0) return HT_OK;
    if (t->depth == HTI_ARROW_MAX_DEPTH)
        return HT_FAIL(err, LIMIT, "Arrow array \"%.60s\": more than %d types inside each other", view->name,
                       HTI_ARROW_MAX_DEPTH);
    if (view->n_children > HTI_ARROW_MAX_FIELDS - c->n_fields)
        return HT_FAIL(err, LIMIT, "Arrow array \"%.60s\": more than %d fields", view->name, HTI_ARROW_MAX_FIELDS);
    c->n_fields += view->n_children;
    view->children = HTI_ARENA_ARRAY(c->arena, hti_arrow_view, (size_t)view->n_children);
    task *tasks = HTI_ARENA_ARRAY(c->arena, task, (size_t)view->n_children);
    if (!view->children || !tasks) return HTI_NO_MEMORY(err);
    for (int64_t i = 0; i < view->n_children; i++) {
        tasks[i] = (task){.next = c->tasks,
                          .schema = t->schema->children[i],
                          .array = t->array->children[i],
                          .view = &view->children[i],
                          .depth = t->depth + 1};
        HT_TRY(rows_of_child(view, &tasks[i], err));
        c->tasks = &tasks[i];
    }
    return HT_OK;
}

static ht_status check_one(checker *c, const task *t, ht_error *err)
{
    HT_TRY(check_head(t, err));
    t->view->offset = t->array->offset + (t->cut ? t->first : 0);
    t->view->length = t->cut ? t->n : t->array->length;
    HT_TRY(check_nulls(t, err));
    HT_TRY(check_values(t, err));
    HT_TRY(check_offsets(t, err));
    return add_children(c, t, err);
}

ht_status hti_arrow_view_make(const struct ArrowSchema *schema, const struct ArrowArray *array, hti_arena *arena,
                              hti_arrow_view *out, ht_error *err)
{
    task root = {.schema = schema, .array = array, .view = out, .is_root = true, .depth = 1};
    checker c = {.arena = arena, .tasks = &root};
    while (c.tasks) {
        const task *t = c.tasks;
        c.tasks = t->next;
        HT_TRY(check_one(&c, t, err));
    }
    return HT_OK;
}

/* ---- rows ---- */

bool hti_arrow_is_null(const hti_arrow_view *view, int64_t row)
{
    return view->type == HTI_ARROW_NULL || (view->validity && !bit_at(view->validity, view->offset + row));
}

static ht_status check_row(const hti_arrow_view *view, int64_t row, ht_error *err)
{
    if (row < 0 || row >= view->length)
        return REFUSE(view, "row %lld of %lld", (long long)row, (long long)view->length);
    return hti_arrow_is_null(view, row) ? REFUSE(view, "row %lld is null", (long long)row) : HT_OK;
}

static ht_status wrong_type(const hti_arrow_view *view, const char *wanted, ht_error *err)
{
    return REFUSE(view, "%s, where %s is wanted", hti_arrow_type_name(view->type), wanted);
}

/* The value as its bits in the lowest bytes. */
static uint64_t bits_at(const hti_arrow_view *view, int64_t row)
{
    const size_t width = hti_arrow_width(view->type);
    unsigned char bytes[8] = {0};
    memcpy(bytes, (const char *)view->values + (size_t)(view->offset + row) * width, width);
    return hti_get_u64(bytes);
}

ht_status hti_arrow_int(const hti_arrow_view *view, int64_t row, int64_t *out, ht_error *err)
{
    HT_TRY(check_row(view, row, err));
    if (view->type == HTI_ARROW_BOOL) {
        *out = bit_at(view->values, view->offset + row);
        return HT_OK;
    }
    if (view->type < HTI_ARROW_INT8 || view->type > HTI_ARROW_UINT64) return wrong_type(view, "an integer", err);
    const uint64_t bits = bits_at(view, row);
    const bool is_signed = view->type == HTI_ARROW_INT8 || view->type == HTI_ARROW_INT16 ||
                           view->type == HTI_ARROW_INT32 || view->type == HTI_ARROW_INT64;
    const unsigned shift = 64 - 8 * (unsigned)hti_arrow_width(view->type);
    if (!is_signed && bits > INT64_MAX)
        return HT_FAIL(err, LIMIT, "Arrow array \"%.60s\": %llu in row %lld is beyond a signed integer", view->name,
                       (unsigned long long)bits, (long long)row);
    *out = is_signed ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
    return HT_OK;
}

ht_status hti_arrow_real(const hti_arrow_view *view, int64_t row, double *out, ht_error *err)
{
    HT_TRY(check_row(view, row, err));
    int64_t integer;
    if (view->type == HTI_ARROW_UINT64) {
        *out = (double)bits_at(view, row);
    } else if (view->type >= HTI_ARROW_INT8 && view->type < HTI_ARROW_UINT64) {
        HT_TRY(hti_arrow_int(view, row, &integer, err));
        *out = (double)integer;
    } else if (view->type == HTI_ARROW_FLOAT16) {
        *out = (double)hti_half_to_float((uint16_t)bits_at(view, row));
    } else if (view->type == HTI_ARROW_FLOAT32) {
        unsigned char bytes[4];
        hti_put_u32(bytes, (uint32_t)bits_at(view, row));
        *out = (double)hti_get_f32(bytes);
    } else if (view->type == HTI_ARROW_FLOAT64) {
        const uint64_t bits = bits_at(view, row);
        memcpy(out, &bits, sizeof bits);
    } else {
        return wrong_type(view, "a number", err);
    }
    return HT_OK;
}

ht_status hti_arrow_text(const hti_arrow_view *view, int64_t row, ht_text *out, ht_error *err)
{
    HT_TRY(check_row(view, row, err));
    if (view->type < HTI_ARROW_UTF8 || view->type > HTI_ARROW_LARGE_BINARY) return wrong_type(view, "a text", err);
    const int64_t first = offset_at(view, row), len = offset_at(view, row + 1) - first;
    *out = (ht_text){len > 0 ? (const char *)view->data + first : "", (size_t)len};
    return HT_OK;
}

ht_status hti_arrow_list(const hti_arrow_view *view, int64_t row, int64_t *first, int64_t *n, ht_error *err)
{
    HT_TRY(check_row(view, row, err));
    if (view->type == HTI_ARROW_FIXED_LIST) {
        *first = row * view->list_len;
        *n = view->list_len;
        return HT_OK;
    }
    if (view->type != HTI_ARROW_LIST && view->type != HTI_ARROW_LARGE_LIST) return wrong_type(view, "a list", err);
    *first = offset_at(view, row);
    *n = offset_at(view, row + 1) - *first;
    return HT_OK;
}
