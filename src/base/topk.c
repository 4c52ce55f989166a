/*
 * topk.c - keep the k best (score, document) pairs of a stream.
 *
 * Workload: n pushes, n up to 1e7; k is 10..1000; after warm-up nearly every push is rejected, so
 * that test comes first. Layout: hits[0..len) is a binary heap with the worst hit at the root.
 * Invariant: no child is worse than its parent.
 * Order: higher score first, then lower document ordinal, so a result never depends on push order
 * or thread count. NaN never enters. Not thread-safe: one collector per thread, merged at the end.
 * Easy to get wrong: a hit that ties the worst one can still replace it, by its document.
 */
#include "topk.h"

#include <math.h>

bool hti_hit_is_worse(ht_hit a, ht_hit b) { return a.score != b.score ? a.score < b.score : a.doc > b.doc; }

static void sift_up(ht_hit *hits, size_t at)
{
    const ht_hit moving = hits[at];
    for (size_t parent; at > 0 && hti_hit_is_worse(moving, hits[parent = (at - 1) / 2]); at = parent)
        hits[at] = hits[parent];
    hits[at] = moving;
}

static void sift_down(ht_hit *hits, size_t len, size_t at)
{
    const ht_hit moving = hits[at];
    for (size_t child; (child = 2 * at + 1) < len; at = child) {
        if (child + 1 < len && hti_hit_is_worse(hits[child + 1], hits[child])) child++;
        if (!hti_hit_is_worse(hits[child], moving)) break;
        hits[at] = hits[child];
    }
    hits[at] = moving;
}

void hti_topk_init(hti_topk *topk, ht_hit *storage, size_t cap)
{
    *topk = (hti_topk){.hits = storage, .len = 0, .cap = cap};
}

bool hti_topk_push(hti_topk *topk, double score, uint32_t doc)
{
    const ht_hit hit = {score, doc};
    if (isnan(score) || topk->cap == 0) return false;
    if (topk->len < topk->cap) {
        topk->hits[topk->len] = hit;
        sift_up(topk->hits, topk->len++);
        return true;
    }
    if (!hti_hit_is_worse(topk->hits[0], hit)) return false;
    topk->hits[0] = hit;
    sift_down(topk->hits, topk->len, 0);
    return true;
}

double hti_topk_threshold(const hti_topk *topk)
{
    if (topk->cap == 0) return HUGE_VAL;
    return topk->len < topk->cap ? -HUGE_VAL : topk->hits[0].score;
}

size_t hti_topk_finish(hti_topk *topk)
{
    const size_t kept = topk->len;
    for (size_t end = kept; end > 1; end--) { /* heap sort: the worst hit left goes to the end */
        const ht_hit worst = topk->hits[0];
        topk->hits[0] = topk->hits[end - 1];
        topk->hits[end - 1] = worst;
        sift_down(topk->hits, end - 1, 0);
    }
    return kept;
}
