/*
 * term_dictionary.h - sorted terms of one segment: term -> document frequency and place of its postings.
 *
 * Terms stand in groups of 16, front-coded; a key per group (its first term's first eight bytes as a
 * big-endian number) makes the search one binary search in a small array and one walk of about 150
 * bytes. docs/formats/inverted-index.md is normative.
 */
#ifndef HTI_LEXICAL_TERM_DICTIONARY_H
#define HTI_LEXICAL_TERM_DICTIONARY_H

#include "base/base.h"

enum { HTI_GROUP_TERMS = 16, HTI_GROUP_KEY_BYTES = 8, HTI_GROUP_BYTES = 24 };

/* Where one term's postings are, inside the sections of its segment. */
typedef struct hti_term_entry {
    uint32_t df, postings_len;
    uint64_t postings_off, first_block; /* its packed blocks are [first_block, first_block + df / 128) */
} hti_term_entry;

/* The sections of a dictionary and what they may point into; a view, immutable. */
typedef struct hti_dictionary {
    const unsigned char *keys;   /* [n_groups] u64 */
    const unsigned char *groups; /* [n_groups + 1] {u64 terms_off, u64 postings_off, u64 first_block} */
    const unsigned char *terms;  /* [terms_len] */
    uint64_t n_terms, n_groups, terms_len, postings_len, n_blocks;
    uint32_t max_df;
} hti_dictionary;

static inline uint64_t hti_dictionary_groups_of(uint64_t n_terms)
{
    return n_terms / HTI_GROUP_TERMS + (n_terms % HTI_GROUP_TERMS != 0);
}

/*
 * Are the group arrays whole: keys not descending, offsets ascending and ending at the sections' ends?
 * Returns -1 if so, else the number of the bad group. O(n_groups), run once at open.
 */
int64_t hti_dictionary_check(const hti_dictionary *dictionary);

typedef enum hti_find { HTI_FIND_NONE, HTI_FIND_FOUND, HTI_FIND_DAMAGED } hti_find;
/* Looks a term up. HTI_FIND_DAMAGED: *damaged_at is the offset in the terms section of a group that is not whole. */
hti_find hti_dictionary_find(const hti_dictionary *dictionary, ht_text term, hti_term_entry *out, uint64_t *damaged_at);

/* Walks all terms in order, for verification. */
typedef struct hti_dictionary_walk {
    const hti_dictionary *dictionary;
    const unsigned char *at, *end; /* inside the present group */
    uint64_t group, n_seen;
    hti_term_entry next; /* offsets of the term to come */
    hti_buffer term;     /* the present term's bytes */
} hti_dictionary_walk;
void hti_dictionary_walk_init(hti_dictionary_walk *walk, const hti_dictionary *dictionary);
void hti_dictionary_walk_deinit(hti_dictionary_walk *walk);
/*
 * The next term into *out and walk->term; false at the end (*status OK), on damage (CORRUPT) and when
 * memory is out (NO_MEMORY).
 */
bool hti_dictionary_walk_next(hti_dictionary_walk *walk, hti_term_entry *out, ht_status *status);

/* Builds the three sections from terms in ascending byte order. The buffers' sticky errors tell of missing memory. */
typedef struct hti_dictionary_writer {
    hti_buffer keys, groups, terms;
    ht_text last; /* the term before; borrowed from the caller until finish */
    uint64_t n_terms, postings_off, first_block;
} hti_dictionary_writer;
void hti_dictionary_writer_init(hti_dictionary_writer *writer);
void hti_dictionary_writer_deinit(hti_dictionary_writer *writer);
void hti_dictionary_put(hti_dictionary_writer *writer, ht_text term, uint32_t df, uint32_t postings_len);
/* Adds the closing group record. */
void hti_dictionary_finish(hti_dictionary_writer *writer);

/* First eight bytes of a term as a number in byte order, zeros behind a shorter one. */
uint64_t hti_term_key(ht_text term);
/* Byte order: negative, 0 or positive. */
int hti_term_compare(ht_text a, ht_text b);

#endif
