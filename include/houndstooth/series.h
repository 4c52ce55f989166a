/*
 * houndstooth/series.h - a column of rows: numbers, text, lists and structs as Arrow arrays, or values of any kind.
 *
 * A series is immutable and counted; slices and children share its memory. It comes from and goes to every library that
 * speaks the Arrow C Data Interface without a copy of its buffers. As a value it flows through pipelines, is mapped
 * over, cached, and sent to processes like any other. Thread rule: any thread.
 */
#ifndef HOUNDSTOOTH_SERIES_H
#define HOUNDSTOOTH_SERIES_H

#include "arrow_abi.h"
#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the rows are. All but OBJECT are Arrow's types, as its specification lays them out. */
typedef enum ht_dtype {
    HT_DTYPE_INFER,  /* no type: to be found out, where a type is asked for */
    HT_DTYPE_OBJECT, /* values of any kind, not for Arrow */
    HT_DTYPE_NULL,   /* nothing but nulls */
    HT_DTYPE_BOOL,   /* a bit a row */
    HT_DTYPE_INT8,
    HT_DTYPE_UINT8,
    HT_DTYPE_INT16,
    HT_DTYPE_UINT16,
    HT_DTYPE_INT32,
    HT_DTYPE_UINT32,
    HT_DTYPE_INT64,
    HT_DTYPE_UINT64,
    HT_DTYPE_FLOAT16,
    HT_DTYPE_FLOAT32,
    HT_DTYPE_FLOAT64,
    HT_DTYPE_STRING,
    HT_DTYPE_LARGE_STRING, /* offsets of 64 bits */
    HT_DTYPE_BINARY,
    HT_DTYPE_LARGE_BINARY,
    HT_DTYPE_LIST,
    HT_DTYPE_LARGE_LIST,
    HT_DTYPE_FIXED_LIST, /* lists of one length */
    HT_DTYPE_STRUCT,
} ht_dtype;
/* "float64", "fixed_size_list", ...; never NULL. */
HT_API const char *ht_dtype_name(ht_dtype dtype);

typedef struct ht_series ht_series;
/* One more reference; gives the series back. */
HT_API ht_series *ht_series_retain(ht_series *series);
HT_API void ht_series_release(ht_series *series); /* NULL allowed */

/* ---- making ---- */

/*
 * n rows of a bool-less fixed width, not yet filled: write them to *data [n], 64-byte aligned, before the series is
 * shared. INVALID for other types.
 */
HT_API HT_CHECKED ht_status ht_series_new(ht_dtype dtype, size_t n, void **data, ht_series **out, ht_error *err);
/* The same around memory of somebody else, aligned to the width, no copy: release(ud) runs once, with the last user. */
HT_API HT_CHECKED ht_status ht_series_foreign(ht_dtype dtype, size_t n, const void *data, void (*release)(void *ud),
                                              void *ud, ht_series **out, ht_error *err);
/*
 * Rows from values, which are copied, or shared in an OBJECT series. INFER: null, bool, int64, float64 (also of ints
 * and floats together), string, binary, lists, fixed-size lists (of tensors of one dimension, element and length),
 * structs of the same fields; OBJECT for everything else. A given scalar type: INVALID names the row that does not fit.
 */
HT_API HT_CHECKED ht_status ht_series_from_values(ht_dtype dtype, const ht_value *values, size_t n, ht_series **out,
                                                  ht_error *err);
/* Takes both structs over, which are released afterwards, also on failure; buffers are shared, never copied. */
HT_API HT_CHECKED ht_status ht_series_import(struct ArrowSchema *schema, struct ArrowArray *array, ht_series **out,
                                             ht_error *err);
/* Rows [first, first + n), shared. INVALID beyond the end. */
HT_API HT_CHECKED ht_status ht_series_slice(ht_series *series, size_t first, size_t n, ht_series **out, ht_error *err);
/*
 * All rows of the parts, in order; one part is shared, more are copied. Types differ: ints and floats become float64,
 * null goes with everything, else OBJECT. n 0: no rows of type null.
 */
HT_API HT_CHECKED ht_status ht_series_concat(ht_series *const *parts, size_t n, ht_series **out, ht_error *err);
/* Rows by number, any order, any number of times. INVALID beyond the end. */
HT_API HT_CHECKED ht_status ht_series_take(ht_series *series, const size_t *rows, size_t n, ht_series **out,
                                           ht_error *err);

/* ---- reading ---- */

/* Type and number of rows. */
HT_API ht_dtype ht_series_dtype(const ht_series *series);
/* The whole type for people: "fixed_size_list<float32>[64]"; cut to cap - 1 bytes, NUL-terminated. */
HT_API void ht_series_describe_type(const ht_series *series, char *text, size_t cap);
HT_API size_t ht_series_len(const ht_series *series);
HT_API size_t ht_series_n_nulls(const ht_series *series);
HT_API bool ht_series_is_null(const ht_series *series, size_t row);
/* Rows of this fixed-width type [len]; what stands at a null is undefined. NULL: another type, or unaligned memory. */
HT_API const void *ht_series_data(const ht_series *series, ht_dtype dtype);
/* A row's text or bytes, borrowed; {"", 0} for nulls and other types. */
HT_API ht_text ht_series_text(const ht_series *series, size_t row);
/*
 * A row as a value, with a reference: int for integers (LIMIT for an uint64 beyond int64), float, string, bytes, list,
 * struct; a fixed-size list of numbers without nulls is a tensor. INVALID beyond the end.
 */
HT_API HT_CHECKED ht_status ht_series_get(const ht_series *series, size_t row, ht_value *out, ht_error *err);
/* All rows as values, each with a reference for the caller. out [len] */
HT_API HT_CHECKED ht_status ht_series_values(const ht_series *series, ht_value *out, ht_error *err);
/* A struct's field, or the values of all lists one behind the other (child 0). INVALID if there is none. */
HT_API HT_CHECKED ht_status ht_series_child(ht_series *series, size_t child, ht_series **out, ht_error *err);
HT_API size_t ht_series_n_children(const ht_series *series);
HT_API const char *ht_series_child_name(const ht_series *series, size_t child); /* "" without one; NULL beyond */
/* Same type and rows; numbers by their bits. */
HT_API bool ht_series_equal(const ht_series *a, const ht_series *b);
/*
 * For others: buffers are shared, and live until array's release. name NULL: "". UNSUPPORTED for OBJECT.
 * On failure both are released structs.
 */
HT_API HT_CHECKED ht_status ht_series_export(ht_series *series, const char *name, struct ArrowSchema *schema,
                                             struct ArrowArray *array, ht_error *err);

/* ---- as a value ---- */

/* With a reference of its own; and back, borrowed, NULL if the value is none. */
HT_API HT_CHECKED ht_status ht_series_value(ht_series *series, ht_value *out, ht_error *err);
HT_API ht_series *ht_value_series(ht_value value);

#ifdef __cplusplus
}
#endif

#endif
