/*
 * maxsim_int.h - what the maxsim tables share: their names and the float tail that fixes the order of sums.
 */
#ifndef HTI_KERNEL_MAXSIM_INT_H
#define HTI_KERNEL_MAXSIM_INT_H

#include "maxsim.h"

#include <math.h>

#if defined(__x86_64__)
#define HTI_MAXSIM_X86 1
#else
#define HTI_MAXSIM_X86 0
#endif

extern const hti_maxsim_kernels hti_maxsim_scalar, hti_maxsim_avx2, hti_maxsim_avx512, hti_maxsim_amx;

/* Continues a document's score: every table ends with this loop, so the order of the sum is one. */
static inline double hti_maxsim_sum(double sum, const float *best, const float *scales, size_t n)
{
    for (size_t i = 0; i < n; i++) sum += (double)best[i] * (double)scales[i];
    return sum;
}

/*
 * Where row `at` of a span lies, for prefetching; beyond its end the rows of the span to come, which starts at row
 * `next`. The address may lie beyond the segment: prefetching it does no harm.
 */
static inline const char *hti_row_ahead(const hti_rows *rows, hti_row_span span, size_t at, size_t next)
{
    const size_t row = at < span.n ? span.first + at : next + (at - span.n);
    return (const char *)((uintptr_t)rows->data + row * rows->row_bytes);
}

static inline float hti_match_score(float best, float scale) { return (float)((double)best * (double)scale); }

#endif
