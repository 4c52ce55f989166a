/*
 * houndstooth/value.h - what flows through a pipeline: null, bool, int, float, string, bytes, tensor, list, struct,
 * or an opaque object of the program with a table of functions.
 *
 * A value is 16 bytes and passed by value; null, bool, int and float live inside it, everything else is a counted
 * reference to an immutable object. Counts are atomic: a value may be shared between threads. "Takes" means that the
 * callee owns the caller's reference from then on, also when it fails; everything else borrows.
 * An object never contains itself, so counts suffice.
 */
#ifndef HOUNDSTOOTH_VALUE_H
#define HOUNDSTOOTH_VALUE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_kind {
    HT_KIND_NULL,
    HT_KIND_BOOL,
    HT_KIND_INT,   /* int64 */
    HT_KIND_FLOAT, /* double */
    HT_KIND_STRING,
    HT_KIND_BYTES,
    HT_KIND_TENSOR,
    HT_KIND_LIST,
    HT_KIND_STRUCT,
    HT_KIND_OPAQUE,
} ht_kind;

typedef struct ht_object ht_object;

typedef struct ht_value {
    ht_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        ht_object *object; /* string and all kinds behind it */
    } as;
} ht_value;

static inline ht_value ht_value_null(void)
{
    ht_value value;
    value.kind = HT_KIND_NULL;
    value.as.integer = 0;
    return value;
}
static inline ht_value ht_value_bool(bool boolean)
{
    ht_value value = ht_value_null();
    value.kind = HT_KIND_BOOL;
    value.as.boolean = boolean;
    return value;
}
static inline ht_value ht_value_int(int64_t integer)
{
    ht_value value = ht_value_null();
    value.kind = HT_KIND_INT;
    value.as.integer = integer;
    return value;
}
static inline ht_value ht_value_float(double number)
{
    ht_value value = ht_value_null();
    value.kind = HT_KIND_FLOAT;
    value.as.number = number;
    return value;
}

/* Name of a kind, for example "struct"; never NULL. */
HT_API const char *ht_kind_name(ht_kind kind);

/* One more reference; gives the value back. Both are nothing for null, bool, int and float. */
HT_API ht_value ht_value_retain(ht_value value);
HT_API void ht_value_release(ht_value value);

/* A string: UTF-8 is the caller's promise, the codec checks it. Copies. */
HT_API HT_CHECKED ht_status ht_value_string(ht_text text, ht_value *out, ht_error *err);
HT_API HT_CHECKED ht_status ht_value_bytes(const void *data, size_t len, ht_value *out, ht_error *err);
/* Text of a string or bytes value, borrowed, with a NUL behind it; {"", 0} for any other kind. */
HT_API ht_text ht_value_text(ht_value value);

typedef enum ht_element { HT_F32, HT_F64, HT_I8, HT_U8, HT_I32, HT_I64 } ht_element;
/* Bytes of one element; 0 for an unknown one. */
HT_API size_t ht_element_size(ht_element element);

enum { HT_MAX_DIMS = 8 };
/* Row-major, dense, aligned to 64 when we allocated it. A scalar has n_dims 0 and one element. */
typedef struct ht_tensor {
    ht_element element;
    uint32_t n_dims;
    int64_t shape[HT_MAX_DIMS];
    void *data; /* [product of shape]; read-only once the value is shared, by the system if another process made it */
    size_t n;   /* elements */
} ht_tensor;
/*
 * data NULL: zeros, for the maker to fill through ht_value_tensor_view before sharing. Copies otherwise. LIMIT on
 * overflow.
 */
HT_API HT_CHECKED ht_status ht_value_tensor(ht_element element, uint32_t n_dims, const int64_t *shape, const void *data,
                                            ht_value *out, ht_error *err);
/* The same around memory that somebody else owns, no copy: release(ud) runs once, with the last reference. */
HT_API HT_CHECKED ht_status ht_value_tensor_foreign(ht_element element, uint32_t n_dims, const int64_t *shape,
                                                    void *data, void (*release)(void *ud), void *ud, ht_value *out,
                                                    ht_error *err);
/* NULL unless it is a tensor. Borrowed. */
HT_API const ht_tensor *ht_value_tensor_view(ht_value value);

/* A list of n items; each item gains a reference. */
HT_API HT_CHECKED ht_status ht_value_list(const ht_value *items, size_t n, ht_value *out, ht_error *err);
/* The same, taking the items' references: for lists that are built once and given away. */
HT_API HT_CHECKED ht_status ht_value_list_take(const ht_value *items, size_t n, ht_value *out, ht_error *err);
/* Items of a list or struct, borrowed; *n is 0 and the result NULL for any other kind. */
HT_API const ht_value *ht_value_items(ht_value value, size_t *n);

/* A struct of n fields in the given order; a name that stands twice is INVALID. Names are copied. */
HT_API HT_CHECKED ht_status ht_value_struct(const char *const *names, const ht_value *items, size_t n, ht_value *out,
                                            ht_error *err);
/* Name of field `at`, with a NUL behind it; {NULL, 0} beyond the end or if it is no struct. */
HT_API ht_text ht_value_field_name(ht_value value, size_t at);
/* Field by name, borrowed; false if there is none or it is no struct. */
HT_API bool ht_value_field(ht_value value, const char *name, ht_value *out);

/* A digest under construction; see ht_digest_add. */
typedef struct ht_digest ht_digest;
HT_API void ht_digest_add(ht_digest *digest, const void *data, size_t len);
/* Bytes under construction. */
typedef struct ht_writer ht_writer;
HT_API HT_CHECKED ht_status ht_writer_add(ht_writer *writer, const void *data, size_t len, ht_error *err);

typedef struct ht_registry ht_registry; /* registry.h */

/*
 * What the runtime can do with an opaque object. Only `name` and `release` are needed. Without `digest` a value cannot
 * be part of a cache key, without encode and decode it cannot leave the process: both are told before anything runs.
 * All functions may be called from any thread. The table must outlive every value of it.
 */
typedef struct ht_type {
    uint32_t size;
    const char *name; /* in the registry: "mine.Index" */
    void (*release)(void *object);
    ht_status (*digest)(const void *object, ht_digest *digest, ht_error *err);
    ht_status (*encode)(const void *object, ht_writer *writer, ht_error *err);
    ht_status (*decode)(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err);
    /* One line for people, NUL-terminated, cut to fit; NULL: the name. */
    void (*describe)(const void *object, char *text, size_t cap);
    /* Whether two objects are the same constant of a batch, and a number equal for these; NULL: they never are. */
    bool (*same)(const void *a, const void *b);
    uint64_t (*hash)(const void *object);
    /* Its rows as a list, where it is mapped over; NULL: it cannot be. */
    ht_status (*rows)(const void *object, ht_value *out, ht_error *err);
} ht_type;
/* Takes `object`, also on failure. */
HT_API HT_CHECKED ht_status ht_value_opaque(const ht_type *type, void *object, ht_value *out, ht_error *err);
/* The object if the value is opaque and of this type (NULL: of any), else NULL. */
HT_API void *ht_value_object(ht_value value, const ht_type *type);
/* NULL unless it is opaque. */
HT_API const ht_type *ht_value_type(ht_value value);

/*
 * Deep equality by kind and content: 1, 1.0, true and "1" all differ, -0.0 and 0.0 differ, a NaN equals a NaN of the
 * same bits, structs compare names in order, opaque objects by identity.
 */
HT_API bool ht_value_equal(ht_value a, ht_value b);

/*
 * 128-bit digest of kind and content, equal in every process and on every machine (docs/formats/values.md).
 * UNSUPPORTED, naming the type, when an opaque object without a digest is inside.
 */
typedef struct ht_key {
    uint64_t low, high;
} ht_key;
HT_API HT_CHECKED ht_status ht_value_digest(ht_value value, ht_key *out, ht_error *err);

/* JSON-like text of a value for people, at most cap - 1 bytes and always NUL-terminated; "..." where it was cut. */
HT_API void ht_value_describe(ht_value value, char *text, size_t cap);

/*
 * The one binary form of values (docs/formats/values.md): what travels to workers and lies in caches. `registry` knows
 * the opaque types; an unknown one, or any with NULL, is NOT_FOUND. Decoding trusts nothing: PARSE with the byte
 * offset.
 */
HT_API HT_CHECKED ht_status ht_value_encode(ht_value value, ht_writer *writer, ht_error *err);
HT_API HT_CHECKED ht_status ht_value_decode(const void *data, size_t len, ht_registry *registry, ht_value *out,
                                            ht_error *err);
HT_API HT_CHECKED ht_status ht_writer_new(ht_writer **out, ht_error *err);
HT_API void ht_writer_free(ht_writer *writer);
/* Bytes so far, borrowed until the next change. */
HT_API const void *ht_writer_data(const ht_writer *writer, size_t *len);
HT_API void ht_writer_clear(ht_writer *writer);

/*
 * Objects that need not leave the process: while a thread uses such a table (NULL: none), what it encodes names opaque
 * objects instead of encoding them; decoding finds them, in this process, until the table is freed. `use` gives the one
 * before.
 */
typedef struct ht_references ht_references;
HT_API HT_CHECKED ht_status ht_references_new(ht_references **out, ht_error *err);
HT_API void ht_references_free(ht_references *references); /* NULL allowed */
HT_API ht_references *ht_references_use(ht_references *references);

/*
 * Values and JSON: {} is a struct, [] a list, numbers without fraction and exponent int (LIMIT beyond int64), others
 * float. Tensors become nested lists of numbers, bytes {"$bytes": base64}, opaque objects are UNSUPPORTED. PARSE names
 * the byte.
 */
HT_API HT_CHECKED ht_status ht_value_from_json(ht_text json, ht_value *out, ht_error *err);
HT_API HT_CHECKED ht_status ht_value_to_json(ht_value value, ht_writer *writer, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
