/*
 * series_int.h - the inside of series, for the files that make, read and send them.
 */
#ifndef HTI_FLOW_SERIES_INT_H
#define HTI_FLOW_SERIES_INT_H

#include "codec/codec.h"

#include <houndstooth/series.h>

/* What series share: an Arrow array with its view, or values. */
typedef struct hti_storage {
    int n_refs;
    struct ArrowSchema schema;
    struct ArrowArray array;
    hti_arena arena;     /* of the views */
    hti_arrow_view view; /* of the whole array */
    ht_value *values;    /* [n] owned; NULL: an array */
    size_t n;
} hti_storage;

/* Row i is row `first` + i of the view, or of the values. */
struct ht_series {
    int n_refs;
    ht_dtype dtype;
    size_t first, len;
    hti_storage *storage;
    const hti_arrow_view *view; /* inside the storage: of the array or one of its children */
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
};

static inline ht_dtype hti_dtype_of(hti_arrow_type type) { return (ht_dtype)((int)type + HT_DTYPE_NULL); }
static inline hti_arrow_type hti_arrow_of(ht_dtype dtype) { return (hti_arrow_type)((int)dtype - HT_DTYPE_NULL); }

/* A series of values; takes the array, a block of hti_alloc, and the references in it, also on failure. */
HT_CHECKED ht_status hti_series_take_values(ht_value *values, size_t n, ht_series **out, ht_error *err);
/* A row of a view as a value. */
HT_CHECKED ht_status hti_row_value(const hti_arrow_view *view, int64_t row, ht_value *out, ht_error *err);

/* ---- series_build.c: columns that grow ---- */

/*
 * A column under construction, children included. Memory errors are kept in the buffers and told by finish; whatever is
 * appended fits the type, which the caller has seen to.
 */
typedef struct hti_growing hti_growing;
struct hti_growing {
    hti_arrow_type type;
    const char *name; /* in the arena */
    int64_t list_len, n, n_nulls;
    hti_buffer validity, values, data; /* bits; values or offsets; bytes of text */
    hti_growing *children;             /* [n_children] in the arena */
    int64_t n_children;
    bool too_long; /* offsets of 32 bits do not suffice */
};
/* The same type as a view's, no rows. NO_MEMORY. */
HT_CHECKED ht_status hti_growing_like(hti_growing *column, const hti_arrow_view *view, hti_arena *arena, ht_error *err);
void hti_growing_deinit(hti_growing *column);
/* Rows [first, first + n) of a view of the same type. */
void hti_growing_rows(hti_growing *column, const hti_arrow_view *view, int64_t first, int64_t n);
void hti_growing_null(hti_growing *column);
/* A value that fits. */
void hti_growing_value(hti_growing *column, ht_value value);
/* The column as a series; what it held is gone. */
HT_CHECKED ht_status hti_growing_finish(hti_growing *column, ht_series **out, ht_error *err);
/* A type and its children as a growing column; only type, name, list_len and children are given. */
HT_CHECKED ht_status hti_growing_init(hti_growing *column, ht_error *err);

/* series_infer.c: the type that all values fit, children included; false: none but OBJECT does. */
HT_CHECKED ht_status hti_infer(const ht_value *values, size_t n, hti_arena *arena, hti_growing *out, bool *found,
                               ht_error *err);

#endif
