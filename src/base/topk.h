/*
 * topk.h - keep the k best (score, document) pairs of a stream.
 *
 * What other rooms may call, and nothing else: the contract. The reasons are in topk.c.
 */
#ifndef HTI_BASE_TOPK_H
#define HTI_BASE_TOPK_H

#include "status.h"

typedef struct hti_topk {
    ht_hit *hits; /* [cap], owned by the caller (usually an arena) */
    size_t len, cap;
} hti_topk;

/* True if `a` ranks behind `b`: lower score, or the same score and a higher document ordinal. */
bool hti_hit_is_worse(ht_hit a, ht_hit b);

/* Prepares a collector over the caller's storage [cap]; cap == 0 keeps nothing. Cannot fail. */
void hti_topk_init(hti_topk *topk, ht_hit *storage, size_t cap);

/* Offers one hit; true if it is kept for now. NaN is refused. O(log k) when kept, O(1) when not. */
bool hti_topk_push(hti_topk *topk, double score, uint32_t doc);

/*
 * The score a new hit must reach to be kept: -INFINITY until `cap` hits are in. Callers prune with
 * `score < threshold`, never `<=`, because an equal score may still win by its document.
 */
double hti_topk_threshold(const hti_topk *topk);

/* Sorts what was kept, best first, and returns how many. After it: read the hits, or init again. */
size_t hti_topk_finish(hti_topk *topk);

#endif
