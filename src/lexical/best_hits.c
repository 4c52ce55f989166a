/*
 * best_hits.c - selection and sorting of hits as 128-bit keys.
 *
 * A heap of k costs log k unforeseeable branches a hit kept: at k = 1000 that is most of a search. Here
 * hits are appended until there are 2 k (at least k + 64), then a selection keeps the k best and
 * raises the bar; the keys make every comparison one subtraction with borrow, so partitioning and
 * merging run without unforeseeable branches. Cost: a few ns a hit offered, whatever k.
 * Order: higher score, then lower document (hti_hit_is_worse); all keys differ, so the result is unique.
 * Thread rule: one thread.
 * Easy to get wrong: scores must be positive, or their bits do not sort as they do.
 */
#include "best_hits.h"

enum { MAX_TRIES = 64, SMALL = 24 };

/* A merge sort without branches on data; sorts [n] in `keys`, `spare` [n] is scratch. */
static void merge_runs(const hti_hit_key *from, size_t middle, size_t n, hti_hit_key *into)
{
    size_t left = 0, right = middle, at = 0;
    while (left < middle && right < n) {
        const hti_hit_key a = from[left], b = from[right];
        const bool take_right = b < a;
        into[at++] = take_right ? b : a;
        right += take_right;
        left += !take_right;
    }
    memcpy(into + at, from + left, (middle - left) * sizeof *into);
    memcpy(into + at + (middle - left), from + right, (n - right) * sizeof *into);
}

static void sort_keys(hti_hit_key *keys, hti_hit_key *spare, size_t n)
{
    hti_hit_key *from = keys, *into = spare;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t len = HTI_MIN(2 * run, n - at);
            merge_runs(from + at, HTI_MIN(run, len), len, into + at);
        }
        hti_hit_key *const swap = from;
        from = into;
        into = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

static hti_hit_key middle_of(hti_hit_key a, hti_hit_key b, hti_hit_key c)
{
    const hti_hit_key low = HTI_MIN(a, b), high = HTI_MAX(a, b);
    return c < low ? low : c > high ? high : c;
}

/* Copies keys below the pivot to the front of `into` and the others to its end; returns how many are below. */
static size_t partition(const hti_hit_key *keys, size_t n, hti_hit_key pivot, hti_hit_key *into)
{
    size_t low = 0, high = n - 1;
    for (size_t i = 0; i < n; i++) {
        const hti_hit_key key = keys[i];
        const bool below = key < pivot;
        into[low] = into[high] = key; /* one of the two places is the right one, the other is written again */
        low += below;
        high -= !below;
    }
    return low;
}

/* The k-th smallest (from 1) of [n]; `spare` [2 n] is scratch. */
static hti_hit_key kth_key(const hti_hit_key *keys, size_t n, size_t k, hti_hit_key *spare)
{
    hti_hit_key *into = spare, *other = spare + n;
    for (size_t tries = 0; tries < MAX_TRIES && n > SMALL; tries++) {
        const hti_hit_key pivot = middle_of(keys[0], keys[n / 2], keys[n - 1]);
        const size_t n_below = partition(keys, n, pivot, into);
        if (k <= n_below) {
            keys = into;
            n = n_below;
        } else if (k == n_below + 1) {
            return pivot;
        } else {
            keys = into + n_below; /* n_below > 0: of three different keys the middle one is not the least */
            n -= n_below;
            k -= n_below;
        }
        hti_hit_key *const swap = into;
        into = other;
        other = swap;
    }
    memmove(into, keys, n * sizeof *into);
    sort_keys(into, other, n);
    return into[k - 1];
}

void hti_best_cut(hti_best *best)
{
    if (best->n <= best->k) return;
    const hti_hit_key worst = kth_key(best->keys, best->n, best->k, best->spare);
    size_t n = 0;
    for (size_t i = 0; i < best->n; i++) {
        const hti_hit_key key = best->keys[i];
        best->keys[n] = key;
        n += key <= worst;
    }
    best->n = n;
    best->bar = hti_hit_key_score(worst);
}

size_t hti_best_finish(hti_best *best, ht_hit *hits)
{
    hti_best_cut(best);
    sort_keys(best->keys, best->spare, best->n);
    for (size_t i = 0; i < best->n; i++) hits[i] = (ht_hit){hti_hit_key_score(best->keys[i]), (uint32_t)best->keys[i]};
    return best->n;
}
