/*
 * plaid_format.h - head and layout of a token-vector segment file; docs/formats/token-vectors.md is normative.
 */
#ifndef HTI_PLAID_FORMAT_H
#define HTI_PLAID_FORMAT_H

#include "base/base.h"

#include <houndstooth/plaid.h>

enum {
    HTI_PLAID_VERSION = 1,
    HTI_PLAID_MAX_DIM = 4096,
    HTI_PLAID_ALIGN = 64,
    HTI_PLAID_HEAD_BYTES = 192 /* header of 64 and four section rows of 32 */
};

/* Sections in file order. An absent one (scales of f16, pooled without vectors for it) has size 0. */
typedef enum hti_plaid_part {
    HTI_PLAID_VECTORS,
    HTI_PLAID_SCALES,
    HTI_PLAID_OFFSETS,
    HTI_PLAID_POOLED,
    HTI_PLAID_N_PARTS
} hti_plaid_part;

typedef struct hti_plaid_section {
    uint64_t off, size_bytes, hash; /* size includes the zeros up to the next multiple of 64 */
} hti_plaid_section;

typedef struct hti_plaid_head {
    uint32_t dim, row_bytes;
    ht_vector_type vector_type;
    bool has_pooled;
    uint64_t n_docs, n_vectors;
    hti_plaid_section parts[HTI_PLAID_N_PARTS];
} hti_plaid_head;

/* Fills row_bytes and each section's off and size from the other fields; LIMIT if a size overflows. */
HT_CHECKED ht_status hti_plaid_layout(hti_plaid_head *head, ht_error *err);
/* Writes the head [HTI_PLAID_HEAD_BYTES], its own checksum included. */
void hti_plaid_encode_head(const hti_plaid_head *head, unsigned char *bytes);
/*
 * Reads and validates the head of a file of `len` bytes: magic, version, byte order, checksum, every field, and that
 * the sections lie exactly where the layout puts them and end where the file ends. `path` is for messages.
 */
HT_CHECKED ht_status hti_plaid_decode_head(const char *path, const unsigned char *data, size_t len, hti_plaid_head *out,
                                           ht_error *err);
/* Name of a section for messages. */
const char *hti_plaid_part_name(hti_plaid_part part);

#endif
