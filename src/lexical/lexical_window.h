/*
 * lexical_window.h - the two inner loops of search: adding postings into a window of sums, and
 * collecting the sums that beat the k-th best.
 */
#ifndef HTI_LEXICAL_LEXICAL_WINDOW_H
#define HTI_LEXICAL_LEXICAL_WINDOW_H

#include "best_hits.h"
#include "lexical_session.h"

enum { HTI_WINDOW_DOCS = 1 << 12 };

/* Documents [first, first + HTI_WINDOW_DOCS) of one segment and their sums so far. */
typedef struct hti_window {
    double *sums;      /* [HTI_WINDOW_DOCS], zero where nothing was added */
    uint32_t *touched; /* [HTI_WINDOW_DOCS + HTI_BLOCK_DOCS] places in `sums`, when listing */
    uint32_t first, n_touched;
    bool listing; /* keep a list of touched places instead of scanning all sums */
} hti_window;

/* Adds weight * tf_part for postings [from, to), all of which lie in the window. */
void hti_window_add(hti_window *window, const hti_scorer *scorer, double weight, const hti_postings *postings,
                    uint32_t from, uint32_t to);
/*
 * Offers every sum above 0 to the collector, `first_doc` added to its document, and sets it to 0.
 * `deleted` as in ht_lexical_search.
 */
void hti_window_collect(hti_window *window, uint32_t first_doc, const uint64_t *deleted, hti_best *best);

#endif
