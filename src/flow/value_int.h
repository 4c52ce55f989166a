/*
 * value_int.h - how values lie in memory, for the files that make, write and read them.
 */
#ifndef HTI_FLOW_VALUE_INT_H
#define HTI_FLOW_VALUE_INT_H

#include "base/base.h"
#include "engine/engine.h"

#include <houndstooth/value.h>

/* Values nest at most this deep, so that walking them may recurse. */
enum { HTI_VALUE_DEPTH = 256, HTI_TYPE_NAME = 256 }; /* the latter: bytes of an opaque type's name with its NUL */

/* One allocation an object; what is behind the head depends on the kind. */
struct ht_object {
    int n_refs;
    ht_kind kind;
    uint32_t depth; /* 0: holds no value; a list: one more than its deepest item */
    size_t n;       /* bytes of a text, items of a list or struct */
    union {
        char text[1];      /* [n + 1] string, bytes: a NUL behind it */
        ht_value items[1]; /* [n] list; a struct has its names behind them, each with its NUL */
        struct {
            ht_tensor view;
            void (*release)(void *ud); /* NULL: data is ours */
            void *ud;
            uint64_t low, high; /* digest of the elements, once `is_digested`: atomic, since values are shared */
            bool is_digested;
        } tensor;
        struct {
            const ht_type *type;
            void *object;
        } opaque;
    } as;
};

struct ht_digest {
    hti_hasher *hasher;
};

/* Parts of at least so many bytes stay where they are, in messages that are written and in those that are read. */
enum { HTI_LARGE = 65536 };

/* Bytes that belong into a writer's buffer at `at`. */
typedef struct hti_outside {
    size_t at;
    ht_text bytes;
    ht_value owner; /* held */
} hti_outside;

struct ht_writer {
    hti_buffer buffer; /* its status is the writer's */
    bool gathers;
    hti_outside *outside; /* [n_outside] rising */
    size_t n_outside, cap_outside, n_outside_bytes;
    ht_writer *inner, *next; /* writers that own parts of this one; the next such one */
    ht_text *pieces;         /* [cap_pieces] the last answer of hti_writer_pieces */
    size_t cap_pieces;
};
/* From here on large parts stay outside; then ht_writer_data must not be asked. */
void hti_writer_gather(ht_writer *writer);
/* Bytes so far, those outside included. */
size_t hti_writer_len(const ht_writer *writer);
/* Bytes that `owner` owns. */
void hti_writer_add_part(ht_writer *writer, const void *data, size_t len, ht_value owner);
/* What another wrote, which is taken. */
void hti_writer_add_writer(ht_writer *writer, ht_writer *inner);
/* All bytes, borrowed until the next change. NO_MEMORY also where an earlier call ran out of it. */
HT_CHECKED ht_status hti_writer_pieces(ht_writer *writer, hti_pieces *out, ht_error *err);

/* Like ht_value_decode; large tensors look into the body's block, if it has one, and hold it. */
HT_CHECKED ht_status hti_value_decode_body(const hti_body *body, ht_registry *registry, ht_value *out, ht_error *err);
/*
 * Like ht_value_decode for who copies what is needed out of a struct before `data` ends: its tensors look into it,
 * aligned or not. Any other value is decoded whole.
 */
HT_CHECKED ht_status hti_value_decode_view(const void *data, size_t len, ht_registry *registry, ht_value *out,
                                           ht_error *err);

/* Takes the items, also on failure. names [n]. */
HT_CHECKED ht_status hti_value_struct_take(const ht_text *names, const ht_value *items, size_t n, ht_value *out,
                                           ht_error *err);

/* references.c: whether this thread encodes objects by reference; one into its table, and out of any. */
bool hti_reference_wanted(void);
HT_CHECKED ht_status hti_reference_put(ht_value value, uint64_t *number, ht_error *err);
bool hti_reference_get(uint64_t number, ht_value *out);
/* value_codec.c: for files and other processes, whatever this thread encodes by reference otherwise. */
HT_CHECKED ht_status hti_value_encode_whole(ht_value value, ht_writer *writer, ht_error *err);

#endif
