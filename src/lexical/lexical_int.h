/*
 * lexical_int.h - what the files of this room share: the segment format, an open segment, the session.
 */
#ifndef HTI_LEXICAL_LEXICAL_INT_H
#define HTI_LEXICAL_LEXICAL_INT_H

#include "lexical.h"
#include "postings_codec.h"
#include "term_dictionary.h"

#include "os/os.h"

/* ---- the segment file: docs/formats/inverted-index.md ---- */

#define HTI_SEGMENT_MAGIC "HTINVIDX"
enum {
    HTI_SEGMENT_VERSION = 1,
    HTI_HEADER_BYTES = 128,
    HTI_SECTION_BYTES = 32,
    HTI_MAX_SECTIONS = 64,
    HTI_SECTION_ALIGN = 64,
    HTI_ANALYZER_NAME_BYTES = 32,
};
/* Offsets in the header. */
enum {
    HTI_AT_MAGIC = 0,
    HTI_AT_VERSION = 8,
    HTI_AT_N_SECTIONS = 12,
    HTI_AT_FILE_SIZE = 16,
    HTI_AT_N_DOCS = 24,
    HTI_AT_N_DOCS_WITH_TOKENS = 32,
    HTI_AT_N_TOKENS = 40,
    HTI_AT_N_TERMS = 48,
    HTI_AT_N_POSTINGS = 56,
    HTI_AT_N_BLOCKS = 64,
    HTI_AT_N_LENGTHS = 72,
    HTI_AT_ANALYZER = 76,
    HTI_AT_FINGERPRINT = 112,
    HTI_AT_CHECKSUM = 120,
};
/* Offsets in a section record. */
enum { HTI_AT_KIND = 0, HTI_AT_OFF = 8, HTI_AT_SIZE = 16, HTI_AT_SECTION_CHECKSUM = 24 };

typedef enum hti_section {
    HTI_SECTION_LENGTHS,     /* u32 [n_lengths]: distinct document lengths, ascending */
    HTI_SECTION_DOC_LENGTHS, /* u16 (u32 if n_lengths > 65536) [n_docs]: place in LENGTHS */
    HTI_SECTION_GROUP_KEYS,  /* the dictionary: see term_dictionary.h */
    HTI_SECTION_GROUPS,
    HTI_SECTION_TERMS,
    HTI_SECTION_BLOCK_LASTS, /* u32 [n_blocks]: last document of each packed block */
    HTI_SECTION_BLOCK_ENDS,  /* u32 [n_blocks]: where the block ends, from the start of its list */
    HTI_SECTION_POSTINGS,
    HTI_N_SECTIONS
} hti_section;

typedef struct hti_slice {
    const unsigned char *data;
    uint64_t len;
} hti_slice;

/* One open segment. Immutable. */
typedef struct hti_lexical_segment {
    char *path;
    hti_mapping map;
    hti_slice sections[HTI_N_SECTIONS];
    hti_dictionary dictionary;
    uint64_t n_tokens, n_postings, n_blocks;
    uint32_t n_docs, n_docs_with_tokens, n_lengths;
    uint32_t first_doc; /* ordinal of its document 0 */
    char analyzer[HTI_ANALYZER_NAME_BYTES];
    uint64_t fingerprint;
} hti_lexical_segment;

/* Maps and validates; bulk checksums and postings are not read. Owns copies; close in any state. */
HT_CHECKED ht_status hti_lexical_segment_open(const char *path, hti_lexical_segment *out, ht_error *err);
void hti_lexical_segment_close(hti_lexical_segment *segment);
/* CORRUPT with path and byte. `at` points into the mapping. */
ht_status hti_lexical_damaged(const hti_lexical_segment *segment, const void *at, const char *what, ht_error *err);
/* XXH3-64 over the header before its checksum and the section table behind it. */
uint64_t hti_header_checksum(const unsigned char *header, size_t n_sections);

/* Place of a document's length in the distinct lengths. */
static inline uint32_t hti_length_number(const hti_lexical_segment *segment, uint32_t doc)
{
    const unsigned char *numbers = segment->sections[HTI_SECTION_DOC_LENGTHS].data;
    return segment->n_lengths > 65536 ? hti_get_u32(numbers + 4 * (size_t)doc) : hti_get_u16(numbers + 2 * (size_t)doc);
}
static inline uint32_t hti_length_at(const hti_lexical_segment *segment, uint32_t number)
{
    return hti_get_u32(segment->sections[HTI_SECTION_LENGTHS].data + 4 * (size_t)number);
}

/* One term's postings in one segment; df 0 where the segment lacks the term. */
typedef struct hti_term_list {
    const unsigned char *postings, *end;
    const uint32_t *block_lasts, *block_ends; /* [n_blocks] */
    uint32_t df, n_blocks;
} hti_term_list;
HT_CHECKED ht_status hti_lexical_segment_find(const hti_lexical_segment *segment, ht_text term, hti_term_list *out,
                                              ht_error *err);
/* The same from a dictionary entry, without looking up. */
void hti_lexical_segment_list(const hti_lexical_segment *segment, const hti_term_entry *entry, hti_term_list *out);

/* Postings of block `block` <= n_blocks (n_blocks: the tail) into *out, n 0 where a tail is empty. */
HT_CHECKED ht_status hti_term_list_decode(const hti_lexical_segment *segment, const hti_term_list *list, uint32_t block,
                                          hti_postings *out, ht_error *err);

/* Hash of what the analyzer makes of a fixed text: tells whether index and program analyse alike. */
HT_CHECKED ht_status hti_analyzer_fingerprint(const ht_analyzer *analyzer, uint64_t *out, ht_error *err);

/* ---- an open index ---- */

struct ht_lexical {
    hti_lexical_segment *segments; /* [n_segments] */
    size_t n_segments;
    const ht_analyzer *analyzer; /* NULL without segments */
    uint64_t n_docs, n_docs_with_tokens, n_tokens;
    double average_length; /* tokens a document with tokens */
};

#endif
