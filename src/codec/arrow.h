/*
 * arrow.h - columns of others and columns for others: the Arrow C Data Interface; part of the door codec.h.
 *
 * The three structs are the interface's ABI, as its specification defines them; every library that speaks it has the
 * same ones. What is behind a pointer is the producer's word: nothing tells the size of a buffer. Whatever can be
 * known is checked once, by hti_arrow_view_make; after that rows are read without further questions.
 */
#ifndef HTI_CODEC_ARROW_H
#define HTI_CODEC_ARROW_H

#include "base/base.h"

#include <houndstooth/arrow_abi.h>

/* ---- types ---- */

/* Type, format, name, buffers, bytes of a fixed-width value, bytes of an offset, children (-1: any number). */
#define HTI_ARROW_TYPES(X)                              \
    X(NULL, "n", "null", 0, 0, 0, 0)                    \
    X(BOOL, "b", "bool", 2, 0, 0, 0)                    \
    X(INT8, "c", "int8", 2, 1, 0, 0)                    \
    X(UINT8, "C", "uint8", 2, 1, 0, 0)                  \
    X(INT16, "s", "int16", 2, 2, 0, 0)                  \
    X(UINT16, "S", "uint16", 2, 2, 0, 0)                \
    X(INT32, "i", "int32", 2, 4, 0, 0)                  \
    X(UINT32, "I", "uint32", 2, 4, 0, 0)                \
    X(INT64, "l", "int64", 2, 8, 0, 0)                  \
    X(UINT64, "L", "uint64", 2, 8, 0, 0)                \
    X(FLOAT16, "e", "float16", 2, 2, 0, 0)              \
    X(FLOAT32, "f", "float32", 2, 4, 0, 0)              \
    X(FLOAT64, "g", "float64", 2, 8, 0, 0)              \
    X(UTF8, "u", "utf8", 3, 0, 4, 0)                    \
    X(LARGE_UTF8, "U", "large_utf8", 3, 0, 8, 0)        \
    X(BINARY, "z", "binary", 3, 0, 4, 0)                \
    X(LARGE_BINARY, "Z", "large_binary", 3, 0, 8, 0)    \
    X(LIST, "+l", "list", 2, 0, 4, 1)                   \
    X(LARGE_LIST, "+L", "large_list", 2, 0, 8, 1)       \
    X(FIXED_LIST, "+w:", "fixed_size_list", 1, 0, 0, 1) \
    X(STRUCT, "+s", "struct", 1, 0, 0, -1)

typedef enum hti_arrow_type {
#define HTI_ARROW_ENUM(type, format, name, n_buffers, width, offset_width, n_children) HTI_ARROW_##type,
    HTI_ARROW_TYPES(HTI_ARROW_ENUM)
#undef HTI_ARROW_ENUM
} hti_arrow_type;

/* "large_utf8", ...; never NULL. */
const char *hti_arrow_type_name(hti_arrow_type type);
/* Bytes of a value of fixed width; 0 for bool and every other type. */
size_t hti_arrow_width(hti_arrow_type type);
/* A format string's type, and for a fixed-size list its length; UNSUPPORTED names a format that is not in the table. */
HT_CHECKED ht_status hti_arrow_format_parse(const char *format, hti_arrow_type *type, int64_t *list_len, ht_error *err);
enum { HTI_ARROW_FORMAT_CAP = 24 };
/* Writes the format string of a type, NUL-terminated. */
void hti_arrow_format_make(hti_arrow_type type, int64_t list_len, char into[HTI_ARROW_FORMAT_CAP]);

/* ---- reading ---- */

enum { HTI_ARROW_MAX_DEPTH = 64, HTI_ARROW_MAX_FIELDS = 100000 };

/*
 * A checked array, borrowed from its producer: valid until that is released. Rows count from 0 behind `offset`, which
 * the functions below add. Children of a struct are cut to its rows: row i of each belongs to row i. The child of a
 * fixed-size list is cut likewise: list_len of its rows a row. Read-only, any thread.
 */
typedef struct hti_arrow_view hti_arrow_view;
struct hti_arrow_view {
    hti_arrow_type type;
    const char *name; /* "" without one */
    int64_t length, null_count, offset;
    int64_t list_len;        /* of a fixed-size list */
    const uint8_t *validity; /* bit offset + i, lowest first; NULL: no nulls (or all, type null) */
    const void *values;      /* of fixed width [offset + length], bits for bool; any alignment */
    const void *offsets;     /* int32 or int64 [offset + length + 1]; any alignment */
    const uint8_t *data;     /* of text and binary */
    int64_t n_children;
    hti_arrow_view *children;
};

/*
 * Checks an array and what is below it: released or missing parts (INVALID), types (UNSUPPORTED), counts, lengths and
 * offsets, null counts, children long enough, text UTF-8 in rows that are not null. Views live in the arena.
 */
HT_CHECKED ht_status hti_arrow_view_make(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                         hti_arena *arena, hti_arrow_view *out, ht_error *err);

/* For 0 <= row < length; nothing is asked again. */
bool hti_arrow_is_null(const hti_arrow_view *view, int64_t row);
/* A bool or an integer; INVALID for other types, nulls and rows outside, LIMIT for an uint64 beyond int64. */
HT_CHECKED ht_status hti_arrow_int(const hti_arrow_view *view, int64_t row, int64_t *out, ht_error *err);
/* A float or an integer. */
HT_CHECKED ht_status hti_arrow_real(const hti_arrow_view *view, int64_t row, double *out, ht_error *err);
/* Text or binary, borrowed. */
HT_CHECKED ht_status hti_arrow_text(const hti_arrow_view *view, int64_t row, ht_text *out, ht_error *err);
/* The rows of the child that a row of a list holds: [*first, *first + *n). */
HT_CHECKED ht_status hti_arrow_list(const hti_arrow_view *view, int64_t row, int64_t *first, int64_t *n, ht_error *err);

/* ---- making ---- */

/*
 * A schema of ours. Children are there but released: make or move one into each out->children[i]. `name` is copied,
 * NULL is none. On failure *out is a released schema.
 */
typedef struct hti_arrow_field {
    hti_arrow_type type;
    const char *name;
    int64_t list_len;   /* of a fixed-size list */
    int64_t n_children; /* of a struct */
    bool nullable;
} hti_arrow_field;
HT_CHECKED ht_status hti_arrow_schema_make(const hti_arrow_field *field, struct ArrowSchema *out, ht_error *err);
/*
 * An array of ours without buffers and with released children, likewise. Give it buffers, then hti_arrow_array_finish.
 */
HT_CHECKED ht_status hti_arrow_array_make(hti_arrow_type type, int64_t length, int64_t n_children,
                                          struct ArrowArray *out, ht_error *err);
/* Buffer `at` (0 is the validity) becomes a block of hti_alloc, freed with the array. */
void hti_arrow_array_take(struct ArrowArray *array, int64_t at, void *block);
/* Buffer `at` is memory of somebody else, which must live until the array's last keeper is called. */
void hti_arrow_array_lend(struct ArrowArray *array, int64_t at, const void *memory);
/* release(ud) runs once, when the array is released. One for each array. */
void hti_arrow_array_keep(struct ArrowArray *array, void (*release)(void *ud), void *ud);
/* Counts the nulls. An array that is not finished has the null count -1, which means unknown: sound, but slower. */
void hti_arrow_array_finish(struct ArrowArray *array);

/* The content of *from becomes that of *to, which held none; *from is released from then on. */
void hti_arrow_schema_move(struct ArrowSchema *from, struct ArrowSchema *to);
void hti_arrow_array_move(struct ArrowArray *from, struct ArrowArray *to);
/* Releases what is not released; anybody's, and our own with all its children. */
void hti_arrow_schema_release(struct ArrowSchema *schema);
void hti_arrow_array_release(struct ArrowArray *array);

/* ---- streams ---- */

/*
 * Reading: out is ours to release. A failure tells the producer's code and reason (NO_MEMORY for ENOMEM, UNSUPPORTED
 * for ENOSYS, else FAILED); INVALID where the stream is released or gives a released schema.
 */
HT_CHECKED ht_status hti_arrow_stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out, ht_error *err);
/* The next array; a released one is the end. */
HT_CHECKED ht_status hti_arrow_stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out, ht_error *err);
/* Releases what is not released. */
void hti_arrow_stream_release(struct ArrowArrayStream *stream);

/* What a stream of ours gives. On failure out stays released; next gives a released array at the end. */
typedef struct hti_arrow_source {
    void *ud;
    ht_status (*schema)(void *ud, struct ArrowSchema *out, ht_error *err); /* a new one each time */
    ht_status (*next)(void *ud, struct ArrowArray *out, ht_error *err);
    void (*release)(void *ud); /* once, with the stream */
} hti_arrow_source;
/* Takes the source, also on failure; its table is copied. */
HT_CHECKED ht_status hti_arrow_stream_make(const hti_arrow_source *source, struct ArrowArrayStream *out, ht_error *err);

#endif
