/*
 * maxsim_lanes.h - the float half of a maxsim table, as a template over `v16`, sixteen float lanes.
 *
 * The including file has defined v16 and its operations (maxsim_zmm.h: one 512-bit register; maxsim_avx2.c: two
 * of 256 bits) and LANES_ROWS, LANES_BLOCKS: the register block of rows x blocks of 16 query vectors.
 * Packed f16 query: groups of LANES_BLOCKS blocks (the last may be smaller), each [dim][blocks][16] floats.
 * Workload: 176 rows of 384 halves against 23 query vectors; a row is widened once per group, the query group
 * stays in L1 or L2, and each multiply-add step loads `blocks` vectors and broadcasts `rows` floats.
 * Easy to get wrong: rows beyond the span's end are the last row again, which changes no maximum; the index of the
 * best row moves on `>` only, so the lowest row keeps a tie.
 */
#ifndef HTI_KERNEL_MAXSIM_LANES_H
#define HTI_KERNEL_MAXSIM_LANES_H

#include "maxsim_int.h"

#include <string.h>

#define HTI_INLINE static inline __attribute__((always_inline))

/* ---- quantising ---- */

/* The last lanes of a row, zeros behind. */
HTI_INLINE v16 load_tail(const float *row, size_t n)
{
    float lanes[16] = {0};
    memcpy(lanes, row, n * sizeof *row);
    return v16_load(lanes);
}

static void quantise_row(const float *row, size_t dim, uint8_t *codes, float *scale)
{
    const size_t whole = dim & ~(size_t)15, row_bytes = hti_int8_row_bytes(dim);
    v16 largest = v16_splat(0.0f);
    for (size_t k = 0; k < whole; k += 16) largest = v16_max(v16_abs(v16_load(row + k)), largest);
    largest = v16_max(v16_abs(load_tail(row + whole, dim - whole)), largest);
    *scale = v16_largest(largest) / 127.0f;
    memset(codes + whole, 128, row_bytes - whole);
    if (*scale == 0.0f) {
        memset(codes, 128, row_bytes);
        return;
    }
    for (size_t k = 0; k < whole; k += 16) v16_store_codes(codes + k, v16_div(v16_load(row + k), v16_splat(*scale)));
    if (whole < dim) v16_store_codes(codes + whole, v16_div(load_tail(row + whole, dim - whole), v16_splat(*scale)));
}

static void quantise(const float *rows, size_t n_rows, size_t dim, uint8_t *codes, float *scales)
{
    for (size_t i = 0; i < n_rows; i++)
        quantise_row(rows + i * dim, dim, codes + i * hti_int8_row_bytes(dim), &scales[i]);
}

static void to_f16(const float *rows, size_t n_rows, size_t dim, uint16_t *halves)
{
    const size_t whole = dim & ~(size_t)15, width = hti_f16_row_bytes(dim) / 2;
    for (size_t i = 0; i < n_rows; i++, rows += dim, halves += width) {
        memset(halves + whole, 0, (width - whole) * sizeof *halves);
        for (size_t k = 0; k < whole; k += 16) v16_store_half(halves + k, v16_load(rows + k));
        if (whole < dim) v16_store_half(halves + whole, load_tail(rows + whole, dim - whole));
    }
}

/* ---- f16 MaxSim ---- */

static void pack_f16(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    const size_t n_blocks = (n_query + 15) / 16;
    float *data = memory, *scales = data + n_blocks * 16 * dim;
    for (size_t block = 0; block < n_blocks; block++) {
        const size_t group = block / LANES_BLOCKS * LANES_BLOCKS,
                     in_group = HTI_MIN(n_blocks - group, (size_t)LANES_BLOCKS);
        float *at = data + group * 16 * dim + (block - group) * 16;
        for (size_t lane = 0; lane < 16; lane++) {
            const size_t token = block * 16 + lane;
            for (size_t k = 0; k < dim; k++)
                at[k * in_group * 16 + lane] = token < n_query ? query[token * dim + k] : 0.0f;
        }
    }
    for (size_t t = 0; t < n_query; t++) scales[t] = 1.0f;
    *out = (hti_packed_query){n_query, dim, scales, NULL, data};
}

/* One group of query blocks against one span. */
typedef struct lanes_job {
    const float *query; /* the group, [dim][blocks][16] */
    const hti_rows *rows;
    hti_row_span span;
    size_t dim;
    float *best;    /* [blocks * 16] */
    uint32_t *from; /* [blocks * 16], NULL if not asked for */
} lanes_job;

HTI_INLINE void f16_dots(const float *rows, size_t width, const lanes_job *job, const size_t n_blocks, v16 *sums)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES_ROWS * n_blocks; i++) sums[i] = v16_splat(0.0f);
    for (size_t k = 0; k < job->dim; k++) {
        v16 q[LANES_BLOCKS];
#pragma GCC unroll 4
        for (size_t b = 0; b < n_blocks; b++) q[b] = v16_load(job->query + (k * n_blocks + b) * 16);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_ROWS; i++) {
            const v16 d = v16_splat(rows[i * width + k]);
#pragma GCC unroll 4
            for (size_t b = 0; b < n_blocks; b++) sums[i * n_blocks + b] = v16_fma(d, q[b], sums[i * n_blocks + b]);
        }
    }
}

/* Widens the rows [first, first + LANES_ROWS) of the span, the last row standing for those beyond. */
static void widen_rows(const lanes_job *job, size_t first, float *wide, size_t width)
{
    for (size_t i = 0; i < LANES_ROWS; i++) {
        const size_t row = job->span.first + HTI_MIN(first + i, job->span.n - 1);
        const uint16_t *halves = (const uint16_t *)((const char *)job->rows->data + row * job->rows->row_bytes);
        for (size_t k = 0; k < width; k += 16) v16_store(wide + i * width + k, v16_load_half(halves + k));
    }
}

HTI_INLINE void f16_group(const lanes_job *job, const size_t n_blocks)
{
    _Alignas(64) float wide[LANES_ROWS * HTI_MAXSIM_MAX_DIM];
    const size_t width = job->rows->row_bytes / 2;
    v16 best[LANES_BLOCKS];
    v16i from[LANES_BLOCKS];
    for (size_t b = 0; b < n_blocks; b++) {
        best[b] = v16_splat(-INFINITY);
        from[b] = v16i_splat(0);
    }
    for (size_t first = 0; first < job->span.n; first += LANES_ROWS) {
        v16 sums[LANES_ROWS * LANES_BLOCKS];
        widen_rows(job, first, wide, width);
        f16_dots(wide, width, job, n_blocks, sums);
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES_ROWS * n_blocks; i++)
            v16_take_best(sums[i], (uint32_t)(first + i / n_blocks), &best[i % n_blocks], &from[i % n_blocks]);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        v16_store(job->best + 16 * b, best[b]);
        if (job->from) v16i_store(job->from + 16 * b, from[b]);
    }
}

/* Fills job->best for the group that starts at `token`; returns how many query vectors it holds. */
static size_t run_f16_group(const hti_packed_query *query, size_t token, lanes_job *job)
{
    const size_t left = query->n_query - token, n_blocks = HTI_MIN((left + 15) / 16, (size_t)LANES_BLOCKS);
    job->query = (const float *)query->data + token * query->dim;
    job->dim = query->dim;
#if LANES_BLOCKS > 1
    if (n_blocks > 1)
        f16_group(job, LANES_BLOCKS);
    else
#endif
        f16_group(job, 1);
    return HTI_MIN(left, n_blocks * 16);
}

_Static_assert(LANES_BLOCKS <= 2, "run_f16_group knows groups of one and of LANES_BLOCKS blocks");

static void maxsim_f16(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                       double *scores)
{
    float best[16 * LANES_BLOCKS];
    for (size_t i = 0; i < n_spans; i++) {
        lanes_job job = {.rows = rows, .span = spans[i], .best = best};
        scores[i] = spans[i].n ? 0.0 : (double)-INFINITY;
        for (size_t t = 0, n; t < query->n_query && spans[i].n; t += n) {
            n = run_f16_group(query, t, &job);
            scores[i] = hti_maxsim_sum(scores[i], best, query->scales + t, n);
        }
    }
}

static void match_f16(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    float best[16 * LANES_BLOCKS];
    uint32_t from[16 * LANES_BLOCKS];
    lanes_job job = {.rows = rows, .span = span, .best = best, .from = from};
    for (size_t t = 0, n; t < query->n_query; t += n) {
        n = run_f16_group(query, t, &job);
        for (size_t i = 0; i < n; i++)
            matches[t + i] = (hti_row_match){hti_match_score(best[i], query->scales[t + i]), from[i]};
    }
}

/* ---- pooled dots ---- */

enum { DOT_ROWS = 4 };

HTI_INLINE void dots_of_rows(const float *query, const float *rows, const size_t n, size_t width, float *out)
{
    v16 sums[DOT_ROWS];
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) sums[i] = v16_splat(0.0f);
    for (size_t k = 0; k < width; k += 16) {
        const v16 q = v16_load(query + k);
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++) sums[i] = v16_fma(v16_load(rows + i * width + k), q, sums[i]);
    }
    for (size_t i = 0; i < n; i++) out[i] = v16_sum(sums[i]);
}

static void dots_f32(const float *query, const float *rows, size_t n_rows, size_t width, float *out)
{
    size_t i = 0;
    for (; i + DOT_ROWS <= n_rows; i += DOT_ROWS) dots_of_rows(query, rows + i * width, DOT_ROWS, width, out + i);
    for (; i < n_rows; i++) dots_of_rows(query, rows + i * width, 1, width, out + i);
}

#endif
