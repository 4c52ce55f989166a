/*
 * best_hits.h - the k best of a stream of hits, for any k: collect with slack, cut back by selection.
 */
#ifndef HTI_LEXICAL_BEST_HITS_H
#define HTI_LEXICAL_BEST_HITS_H

#include "base/base.h"

#include <houndstooth/base.h>

/* A hit as one number: smaller is better. Inverted bits of a positive score, then the document. */
__extension__ typedef unsigned __int128 hti_hit_key;

/* Offers that may come between two looks at hti_best_is_full. */
enum { HTI_BEST_SLACK = 8, HTI_BEST_LEAST = 64 };

typedef struct hti_best {
    hti_hit_key *keys;  /* [cap + HTI_BEST_SLACK] */
    hti_hit_key *spare; /* [2, cap + HTI_BEST_SLACK] */
    size_t n, k, cap;
    double bar; /* a hit below this score cannot be among the k best; 0 until k hits were compared */
} hti_best;

/* Keys to collect before a cut. */
static inline size_t hti_best_cap(size_t k, uint64_t n_docs)
{
    const size_t wanted = hti_add(k, HTI_MAX(k, (size_t)HTI_BEST_LEAST));
    return wanted < n_docs ? wanted : (size_t)n_docs;
}

static inline hti_hit_key hti_hit_key_of(double score, uint32_t doc)
{
    uint64_t bits;
    memcpy(&bits, &score, sizeof bits);
    return (hti_hit_key)~bits << 32 | doc;
}

static inline double hti_hit_key_score(hti_hit_key key)
{
    const uint64_t bits = ~(uint64_t)(key >> 32);
    double score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Takes a hit with score > 0 if `wanted`; without a branch, so that it may be called for every document. */
static inline void hti_best_offer(hti_best *best, double score, uint32_t doc, bool wanted)
{
    best->keys[best->n] = hti_hit_key_of(score, doc);
    best->n += wanted;
}

/* To be called after at most HTI_BEST_SLACK offers: cuts back to the k best if the room is used up. */
void hti_best_cut(hti_best *best);
static inline void hti_best_settle(hti_best *best)
{
    if (best->n > best->cap) hti_best_cut(best);
}

/* Writes the best [<= k] hits, best first, and returns how many. */
size_t hti_best_finish(hti_best *best, ht_hit *hits);

#endif
