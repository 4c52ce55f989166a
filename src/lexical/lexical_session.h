/*
 * lexical_session.h - one thread's scratch: the analysed query, BM25's tables, cursors and sums.
 */
#ifndef HTI_LEXICAL_LEXICAL_SESSION_H
#define HTI_LEXICAL_LEXICAL_SESSION_H

#include "best_hits.h"
#include "lexical_int.h"

/* A distinct token of the query, in order of first occurrence. */
typedef struct hti_query_term {
    ht_text text;          /* owned by the session's tokens */
    uint32_t query_tf, df; /* df over all segments; 0: unknown */
    double idf, weight;    /* weight = query_tf * idf */
} hti_query_term;

enum { HTI_PART_ROWS = 8, HTI_PART_ROW_BITS = 3 };

/* What scoring needs of one segment: tables over its distinct lengths for the session's k1 and b. */
typedef struct hti_scorer {
    const hti_lexical_segment *segment;
    const double *norms; /* [n_lengths] k1 (1 - b + b len / avg) */
    const double *parts; /* [HTI_PART_ROWS, n_lengths] tf / (tf + norm) for tf = 1, 2, ... */
} hti_scorer;

/* A place in one term's list. */
typedef struct hti_cursor {
    hti_term_list list;
    double weight;
    uint32_t next_block; /* the first not decoded yet, > n_blocks when the tail has been */
    uint32_t at;         /* in `postings` */
    hti_postings postings;
} hti_cursor;

struct ht_lexical_session {
    const ht_lexical *lexical;
    ht_tokens *tokens;
    hti_query_term *terms; /* [n_terms] */
    size_t n_terms, cap_terms;
    uint32_t *slots; /* [n_slots] term number + 1, hashed by text */
    size_t cap_slots;
    hti_term_list *lists; /* [n_segments, n_terms] */
    size_t cap_lists;
    ht_bm25 bm25;        /* what the tables hold; k1 < 0 before the first query */
    double *tables;      /* [sum of n_lengths, 1 + HTI_PART_ROWS] */
    hti_scorer *scorers; /* [n_segments] */
    hti_cursor *cursors; /* [n_terms] */
    size_t cap_cursors;
    double *sums;      /* [HTI_WINDOW_DOCS], all zero between calls */
    uint32_t *touched; /* [HTI_WINDOW_DOCS + HTI_BLOCK_DOCS] */
    hti_hit_key *keys; /* [3, cap + slack] of the collector */
    size_t cap_keys;
    uint64_t *order; /* [2, n_docs] document << 32 | place, and scratch, for scoring a list */
    size_t cap_order;
    ht_lexical_part *parts; /* [n_terms] */
    size_t cap_parts;
};

/* Analyses the query, looks its terms up in every segment, makes the tables fit `bm25` (NULL: the default preset). */
HT_CHECKED ht_status hti_session_prepare(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25,
                                         ht_error *err);

/* tf / (tf + norm) of a document; tf_less_1 as decoded. */
static inline double hti_tf_part(const hti_scorer *scorer, uint32_t doc, uint32_t tf_less_1)
{
    const uint32_t number = hti_length_number(scorer->segment, doc);
    if (tf_less_1 < HTI_PART_ROWS) return scorer->parts[(size_t)tf_less_1 * scorer->segment->n_lengths + number];
    const double tf = (double)tf_less_1 + 1.0;
    return tf / (tf + scorer->norms[number]);
}

/* Puts the cursor before the first posting of `list`; nothing is decoded. */
void hti_cursor_init(hti_cursor *cursor, const hti_term_list *list, double weight);
/* Decodes the next block or tail that has postings; n is 0 behind the last. */
HT_CHECKED ht_status hti_cursor_refill(hti_cursor *cursor, const hti_lexical_segment *segment, ht_error *err);
/*
 * Moves to the first posting at or behind `doc`, skipping blocks; *found tells whether it is `doc` itself.
 * Documents must not descend from call to call.
 */
HT_CHECKED ht_status hti_cursor_seek(hti_cursor *cursor, const hti_lexical_segment *segment, uint32_t doc, bool *found,
                                     ht_error *err);

#endif
