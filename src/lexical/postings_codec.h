/*
 * postings_codec.h - blocks of 128 postings as packed bits, and the rest of a list as varints.
 *
 * docs/formats/inverted-index.md is normative. A list of df postings is df / 128 packed blocks and
 * then df % 128 postings in the tail code. Every decoder here takes bytes that may be damaged: it
 * reads inside [at, end) only, writes at most 128 entries, and says no instead of guessing.
 */
#ifndef HTI_LEXICAL_POSTINGS_CODEC_H
#define HTI_LEXICAL_POSTINGS_CODEC_H

#include "base/base.h"

enum {
    HTI_BLOCK_DOCS = 128,
    HTI_BLOCK_HEAD = 2,                                            /* width of documents, width of frequencies */
    HTI_BLOCK_MAX_BYTES = HTI_BLOCK_HEAD + 2 * 4 * HTI_BLOCK_DOCS, /* both widths 32 */
    HTI_TAIL_MAX_BYTES = 2 * 5,                                    /* of one posting */
    HTI_BLOCK_MAX_TF_BITS = 31,
};

/* "No document yet": the base of a list's first block. Gaps count from it with 32-bit wrap-around. */
#define HTI_DOC_NONE UINT32_MAX
/* Documents and frequencies of one segment stay below this, so that doubled values fit in 32 bits. */
#define HTI_DOC_LIMIT ((uint32_t)1 << 31)

/* Up to 128 postings with their documents ascending; tf_less_1 holds frequencies - 1. */
typedef struct hti_postings {
    uint32_t docs[HTI_BLOCK_DOCS], tf_less_1[HTI_BLOCK_DOCS];
    uint32_t n;
    unsigned tf_bits; /* no entry of tf_less_1 needs more */
} hti_postings;

/* Encodes n = 128 postings behind document `base` and returns the bytes written, <= HTI_BLOCK_MAX_BYTES. */
size_t hti_block_put(const hti_postings *postings, uint32_t base, unsigned char *into);
/*
 * Decodes one block behind `base` whose last document must be `last`. Returns the byte behind it, or
 * NULL where the bytes are damaged; then the content of *out is unspecified.
 */
const unsigned char *hti_block_get(const unsigned char *at, const unsigned char *end, uint32_t base, uint32_t last,
                                   hti_postings *out);

/* Encodes one posting of a tail: `gap` >= 1 documents behind the one before, frequency tf >= 1. */
size_t hti_tail_put(uint32_t gap, uint32_t tf, unsigned char *into);
/* Decodes a tail of n < 128 postings, which must end exactly at `end` and lie below n_docs; false if damaged. */
bool hti_tail_get(const unsigned char *at, const unsigned char *end, uint32_t base, uint32_t n, uint32_t n_docs,
                  hti_postings *out);

#endif
