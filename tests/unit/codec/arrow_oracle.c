/*
 * arrow_oracle.c - for arrow_oracle.py: reads any array row by row through views and makes the same one anew.
 *
 * A module of its own, since the library hides these functions. Rows are gathered by number; -1 asks for a null.
 */
#include "codec/codec.h"

#include <stdlib.h>
#include <string.h>

HT_API int oracle_copy(const struct ArrowSchema *schema, const struct ArrowArray *array, struct ArrowSchema *schema_out,
                       struct ArrowArray *array_out, char *message, size_t cap);

static void require(bool held)
{
    if (!held) abort();
}

static void *block_of(int64_t n, size_t size)
{
    void *block = hti_alloc_zero((size_t)(n + 1) * size);
    require(block);
    return block;
}

static void set_bit(uint8_t *bits, int64_t at) { bits[at / 8] |= (uint8_t)(1 << at % 8); }

static void put_value(const hti_arrow_view *view, int64_t row, char *into)
{
    const size_t width = hti_arrow_width(view->type);
    int64_t integer;
    double real;
    if (view->type == HTI_ARROW_FLOAT16 || view->type == HTI_ARROW_FLOAT32 || view->type == HTI_ARROW_FLOAT64) {
        require(hti_arrow_real(view, row, &real, NULL) == HT_OK);
        const float narrow = (float)real;
        const uint16_t half = hti_half_from_float(narrow);
        memcpy(into, width == 8 ? (const void *)&real : width == 4 ? (const void *)&narrow : &half, width);
        return;
    }
    ht_status status = hti_arrow_int(view, row, &integer, NULL);
    if (status == HT_LIMIT) {
        status = hti_arrow_real(view, row, &real, NULL); /* the test's large values are doubles */
        const uint64_t large = (uint64_t)real;
        memcpy(&integer, &large, sizeof large);
    }
    require(status == HT_OK);
    memcpy(into, &integer, width); /* little-endian: the lowest bytes */
}

static void put_offset(void *offsets, bool wide, int64_t at, int64_t value)
{
    const int32_t narrow = (int32_t)value;
    memcpy((char *)offsets + (size_t)at * (wide ? 8 : 4), wide ? (const void *)&value : &narrow, wide ? 8 : 4);
}

static void gather_text(const hti_arrow_view *view, const int64_t *rows, int64_t n, struct ArrowArray *out)
{
    const bool wide = view->type == HTI_ARROW_LARGE_UTF8 || view->type == HTI_ARROW_LARGE_BINARY;
    hti_buffer bytes;
    hti_buffer_init(&bytes);
    void *offsets = block_of(n, 8);
    for (int64_t i = 0; i < n; i++) {
        ht_text text = {"", 0};
        if (rows[i] >= 0 && !hti_arrow_is_null(view, rows[i]))
            require(hti_arrow_text(view, rows[i], &text, NULL) == HT_OK);
        hti_buffer_append(&bytes, text.data, text.len);
        put_offset(offsets, wide, i + 1, (int64_t)bytes.len);
    }
    hti_arrow_array_take(out, 1, offsets);
    char *data = block_of((int64_t)bytes.len, 1);
    if (bytes.len) memcpy(data, bytes.data, bytes.len);
    hti_arrow_array_take(out, 2, data);
    hti_buffer_deinit(&bytes);
}

static void gather(const hti_arrow_view *view, const int64_t *rows, int64_t n, struct ArrowSchema *schema,
                   struct ArrowArray *out);

static void gather_list(const hti_arrow_view *view, const int64_t *rows, int64_t n, struct ArrowSchema *schema,
                        struct ArrowArray *out)
{
    const bool fixed = view->type == HTI_ARROW_FIXED_LIST;
    void *offsets = block_of(n, 8);
    int64_t n_all = 0, *all = NULL;
    for (int64_t i = 0; i < n; i++) {
        const bool null = rows[i] < 0 || hti_arrow_is_null(view, rows[i]);
        int64_t first = -1, len = fixed ? view->list_len : 0;
        if (!null) require(hti_arrow_list(view, rows[i], &first, &len, NULL) == HT_OK);
        all = hti_realloc(all, (size_t)(n_all + len + 1) * sizeof *all);
        require(all);
        for (int64_t k = 0; k < len; k++) all[n_all++] = null ? -1 : first + k;
        put_offset(offsets, view->type == HTI_ARROW_LARGE_LIST, i + 1, n_all);
    }
    if (fixed)
        hti_free(offsets);
    else
        hti_arrow_array_take(out, 1, offsets);
    gather(&view->children[0], all, n_all, schema->children[0], out->children[0]);
    hti_free(all);
}

static void gather(const hti_arrow_view *view, const int64_t *rows, int64_t n, struct ArrowSchema *schema,
                   struct ArrowArray *out)
{
    const hti_arrow_field field = {view->type, view->name, view->list_len, view->n_children, true};
    require(hti_arrow_schema_make(&field, schema, NULL) == HT_OK);
    require(hti_arrow_array_make(view->type, n, view->n_children, out, NULL) == HT_OK);
    uint8_t *validity = block_of(n / 8, 1), *bits = block_of(n / 8, 1);
    char *values = block_of(n, 8);
    for (int64_t i = 0; i < n; i++) {
        if (rows[i] < 0 || hti_arrow_is_null(view, rows[i])) continue;
        set_bit(validity, i);
        int64_t on = 0;
        if (view->type == HTI_ARROW_BOOL) require(hti_arrow_int(view, rows[i], &on, NULL) == HT_OK);
        if (on) set_bit(bits, i);
        if (hti_arrow_width(view->type) > 0) put_value(view, rows[i], values + (size_t)i * hti_arrow_width(view->type));
    }
    if (out->n_buffers > 0) hti_arrow_array_take(out, 0, validity);
    if (out->n_buffers == 0) hti_free(validity);
    const bool has_values = hti_arrow_width(view->type) > 0;
    if (has_values) hti_arrow_array_take(out, 1, values);
    if (!has_values) hti_free(values);
    if (view->type == HTI_ARROW_BOOL) hti_arrow_array_take(out, 1, bits);
    if (view->type != HTI_ARROW_BOOL) hti_free(bits);
    if (view->type >= HTI_ARROW_UTF8 && view->type <= HTI_ARROW_LARGE_BINARY) gather_text(view, rows, n, out);
    if (view->type >= HTI_ARROW_LIST && view->type != HTI_ARROW_STRUCT) gather_list(view, rows, n, schema, out);
    for (int64_t i = 0; view->type == HTI_ARROW_STRUCT && i < view->n_children; i++)
        gather(&view->children[i], rows, n, schema->children[i], out->children[i]);
    hti_arrow_array_finish(out);
}

/* Status as a number; with a failure the message. */
int oracle_copy(const struct ArrowSchema *schema, const struct ArrowArray *array, struct ArrowSchema *schema_out,
                struct ArrowArray *array_out, char *message, size_t cap)
{
    hti_arena arena;
    hti_arrow_view view;
    ht_error err = {0};
    hti_arena_init(&arena);
    const ht_status status = hti_arrow_view_make(schema, array, &arena, &view, &err);
    if (status == HT_OK) {
        int64_t *rows = block_of(view.length, sizeof *rows);
        for (int64_t i = 0; i < view.length; i++) rows[i] = i;
        gather(&view, rows, view.length, schema_out, array_out);
        hti_free(rows);
    } else if (cap > 0) {
        const size_t len = HTI_MIN(strlen(err.message), cap - 1);
        memcpy(message, err.message, len);
        message[len] = '\0';
    }
    hti_arena_deinit(&arena);
    return (int)status;
}
