/*
 * heap_sort.c - sorting in place: nothing allocated, nothing recursive, n log n at worst.
 *
 * glibc's qsort asks malloc for memory behind the allocator's back, for anything over 1 KB. The orders
 * of this room are total (equal elements are the same), so that heap sort is not stable does not show.
 * Workload: 100..1000 rows a query, of 4 to 48 bytes.
 */
#include "eval_int.h"

enum { MAX_ELEMENT = 64 };

typedef struct heap {
    char *base;
    size_t size;
    hti_compare_fn compare;
} heap;

static char *element(const heap *h, size_t i) { return h->base + i * h->size; }

/* Moves the element at `at` down until no child in [0, n) comes behind it. */
static void sift_down(const heap *h, size_t n, size_t at)
{
    char moving[MAX_ELEMENT];
    memcpy(moving, element(h, at), h->size);
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && h->compare(element(h, child + 1), element(h, child)) > 0) child++;
        if (h->compare(element(h, child), moving) <= 0) break;
        memcpy(element(h, at), element(h, child), h->size);
    }
    memcpy(element(h, at), moving, h->size);
}

void hti_heap_sort(void *base, size_t n, size_t size, hti_compare_fn compare)
{
    HT_ASSERT(size <= MAX_ELEMENT);
    const heap h = {base, size, compare};
    char last[MAX_ELEMENT];
    for (size_t at = n / 2; at > 0; at--) sift_down(&h, n, at - 1);
    for (size_t end = n; end > 1; end--) { /* what comes last of those left goes to their end */
        memcpy(last, element(&h, end - 1), size);
        memcpy(element(&h, end - 1), element(&h, 0), size);
        memcpy(element(&h, 0), last, size);
        sift_down(&h, end - 1, 0);
    }
}
