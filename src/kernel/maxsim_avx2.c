/*
 * maxsim_avx2.c - maxsim table for AVX2 with FMA and F16C.
 *
 * Packed int8 query: groups of 2 blocks (the last may be 1) of 8 query vectors, each [row_bytes / 2][blocks][8 query
 * vectors][2 16-bit codes]. A document row is widened once to 16 bits, less its 128, so vpmaddwd of two broadcast
 * components with a block adds two products a lane. vpmaddubsw would take bytes, but 2 * 255 * 127 saturates it.
 * Workload: as maxsim_avx512.c; 4 rows x 2 blocks are 8 sums of the 16 registers.
 * Easy to get wrong: rows are signed here (the 128 is taken off while widening), so there are no offsets.
 */
#include "maxsim_int.h"

#include <immintrin.h>
#include <string.h>

#define LANES_ROWS 4
#define LANES_BLOCKS 1

typedef struct v16 {
    __m256 low, high;
} v16;
typedef struct v16i {
    __m256i low, high;
} v16i;
#define V16_OP static inline __attribute__((always_inline))

V16_OP v16 v16_load(const float *at) { return (v16){_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
V16_OP void v16_store(float *at, v16 v)
{
    _mm256_storeu_ps(at, v.low);
    _mm256_storeu_ps(at + 8, v.high);
}
V16_OP v16 v16_splat(float value) { return (v16){_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
V16_OP v16 v16_max(v16 now, v16 best)
{
    return (v16){_mm256_max_ps(now.low, best.low), _mm256_max_ps(now.high, best.high)};
}
V16_OP v16 v16_abs(v16 v)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_andnot_ps(sign, v.low), _mm256_andnot_ps(sign, v.high)};
}
V16_OP v16 v16_div(v16 a, v16 b) { return (v16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
V16_OP v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
V16_OP v16 v16_load_half(const uint16_t *at)
{
    const __m128i *halves = (const __m128i *)(const void *)at;
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
V16_OP void v16_store_half(uint16_t *at, v16 v)
{
    __m128i *halves = (__m128i *)(void *)at;
    _mm_storeu_si128(halves, _mm256_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT));
}

/* Rounds half to even, clamps to [-127, 127], as 32-bit integers. */
V16_OP __m256i rounded(__m256 v)
{
    const __m256 most = _mm256_set1_ps(127.0f), least = _mm256_set1_ps(-127.0f);
    return _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(v, most), least));
}

/* The same plus 128, narrowed to bytes. */
V16_OP void v16_store_codes(uint8_t *at, v16 v)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(rounded(v.low), rounded(v.high)), 0xD8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)at, _mm_xor_si128(bytes, _mm_set1_epi8((char)0x80)));
}

V16_OP float v16_largest(v16 v)
{
    const __m256 eight = _mm256_max_ps(v.low, v.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/* lane l + lane l+8, then +4, +2, +1 */
V16_OP float v16_sum(v16 v)
{
    const __m256 eight = _mm256_add_ps(v.low, v.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

V16_OP v16i v16i_splat(uint32_t value) { return (v16i){_mm256_set1_epi32((int)value), _mm256_set1_epi32((int)value)}; }
V16_OP void v16i_store(uint32_t *at, v16i v)
{
    _mm256_storeu_si256((__m256i *)(void *)at, v.low);
    _mm256_storeu_si256((__m256i *)(void *)(at + 8), v.high);
}

/* Lanes where now > best take now and the row number. */
V16_OP void take_best(__m256 now, __m256i row, __m256 *best, __m256i *from)
{
    const __m256 better = _mm256_cmp_ps(now, *best, _CMP_GT_OQ);
    *best = _mm256_blendv_ps(*best, now, better);
    *from = _mm256_blendv_epi8(*from, row, _mm256_castps_si256(better));
}

V16_OP void v16_take_best(v16 now, uint32_t row, v16 *best, v16i *from)
{
    take_best(now.low, _mm256_set1_epi32((int)row), &best->low, &from->low);
    take_best(now.high, _mm256_set1_epi32((int)row), &best->high, &from->high);
}

#include "maxsim_lanes.h"

enum { ROWS = 4, MAX_GROUP = 2 };

static void pack_int8(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    const size_t row_bytes = hti_int8_row_bytes(dim), n_blocks = (n_query + 7) / 8;
    int16_t *data = memory;
    float *scales = (float *)(void *)(data + n_blocks * 8 * row_bytes);
    memset(data, 0, n_blocks * 8 * row_bytes * sizeof *data);
    for (size_t token = 0; token < n_query; token++) {
        uint8_t codes[HTI_MAXSIM_MAX_DIM];
        const size_t block = token / 8, group = block / MAX_GROUP * MAX_GROUP;
        const size_t in_group = HTI_MIN(n_blocks - group, (size_t)MAX_GROUP);
        int16_t *at = data + group * 8 * row_bytes + (block - group) * 16 + token % 8 * 2;
        quantise_row(query + token * dim, dim, codes, &scales[token]);
        for (size_t k = 0; k < row_bytes; k++) at[k / 2 * in_group * 16 + k % 2] = (int16_t)(codes[k] - 128);
    }
    *out = (hti_packed_query){n_query, dim, scales, NULL, data};
}

/* One group of query blocks against one span. */
typedef struct word_job {
    const int16_t *query; /* the group, [row_bytes / 2][blocks][16] */
    const hti_rows *rows;
    hti_row_span span;
    float *best;    /* [blocks * 8] */
    uint32_t *from; /* [blocks * 8] */
} word_job;

/* Widens the rows [first, first + ROWS) of the span, the last row standing for those beyond. */
static void widen_codes(const word_job *job, size_t first, int16_t *wide)
{
    const size_t row_bytes = job->rows->row_bytes;
    for (size_t i = 0; i < ROWS; i++) {
        const size_t row = job->span.first + HTI_MIN(first + i, job->span.n - 1);
        const uint8_t *codes = (const uint8_t *)job->rows->data + row * row_bytes;
        for (size_t k = 0; k < row_bytes; k += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(codes + k));
            const __m256i words = _mm256_cvtepi8_epi16(_mm_xor_si128(bytes, _mm_set1_epi8((char)0x80)));
            _mm256_store_si256((__m256i *)(void *)(wide + i * row_bytes + k), words);
        }
    }
}

HTI_INLINE void word_dots(const int16_t *wide, const word_job *job, const size_t n_blocks, __m256i *sums)
{
    const size_t row_bytes = job->rows->row_bytes;
    const int16_t *query = job->query;
#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS * n_blocks; i++) sums[i] = _mm256_setzero_si256();
    for (size_t k = 0; k < row_bytes; k += 2, query += n_blocks * 16) {
        __m256i q[MAX_GROUP];
#pragma GCC unroll 2
        for (size_t b = 0; b < n_blocks; b++)
            q[b] = _mm256_loadu_si256((const __m256i *)(const void *)(query + b * 16));
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; i++) {
            int32_t two;
            memcpy(&two, wide + i * row_bytes + k, sizeof two);
            const __m256i d = _mm256_set1_epi32(two);
#pragma GCC unroll 2
            for (size_t b = 0; b < n_blocks; b++)
                sums[i * n_blocks + b] = _mm256_add_epi32(sums[i * n_blocks + b], _mm256_madd_epi16(d, q[b]));
        }
    }
}

HTI_INLINE void word_group(const word_job *job, const size_t n_blocks)
{
    _Alignas(64) int16_t wide[ROWS * HTI_MAXSIM_MAX_DIM];
    __m256 best[MAX_GROUP];
    __m256i from[MAX_GROUP];
    for (size_t b = 0; b < n_blocks; b++) {
        best[b] = _mm256_set1_ps(-INFINITY);
        from[b] = _mm256_setzero_si256();
    }
    for (size_t first = 0; first < job->span.n; first += ROWS) {
        __m256i sums[ROWS * MAX_GROUP];
        widen_codes(job, first, wide);
        word_dots(wide, job, n_blocks, sums);
        for (size_t i = 0; i < ROWS; i++) {
            const size_t at = HTI_MIN(first + i, job->span.n - 1);
            const __m256 scale = _mm256_set1_ps(job->rows->scales[job->span.first + at]);
            for (size_t b = 0; b < n_blocks; b++)
                take_best(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[i * n_blocks + b]), scale), _mm256_set1_epi32((int)at),
                          &best[b], &from[b]);
        }
    }
    for (size_t b = 0; b < n_blocks; b++) {
        _mm256_storeu_ps(job->best + 8 * b, best[b]);
        _mm256_storeu_si256((__m256i *)(void *)(job->from + 8 * b), from[b]);
    }
}

/* Fills job->best for the group that starts at `token`; returns how many query vectors it holds. */
static size_t run_group(const hti_packed_query *query, size_t token, word_job *job)
{
    const size_t left = query->n_query - token;
    job->query = (const int16_t *)query->data + token * job->rows->row_bytes;
    if (left > 8)
        word_group(job, 2);
    else
        word_group(job, 1);
    return HTI_MIN(left, (size_t)8 * MAX_GROUP);
}

static void maxsim_int8(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores)
{
    float best[8 * MAX_GROUP];
    uint32_t from[8 * MAX_GROUP];
    for (size_t i = 0; i < n_spans; i++) {
        word_job job = {.rows = rows, .span = spans[i], .best = best, .from = from};
        scores[i] = spans[i].n ? 0.0 : (double)-INFINITY;
        for (size_t t = 0, n; t < query->n_query && spans[i].n; t += n) {
            n = run_group(query, t, &job);
            scores[i] = hti_maxsim_sum(scores[i], best, query->scales + t, n);
        }
    }
}

static void match_int8(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    float best[8 * MAX_GROUP];
    uint32_t from[8 * MAX_GROUP];
    word_job job = {.rows = rows, .span = span, .best = best, .from = from};
    for (size_t t = 0, n; t < query->n_query; t += n) {
        n = run_group(query, t, &job);
        for (size_t i = 0; i < n; i++)
            matches[t + i] = (hti_row_match){hti_match_score(best[i], query->scales[t + i]), from[i]};
    }
}

const hti_maxsim_kernels hti_maxsim_avx2 = {
    .name = "avx2",
    .quantise = quantise,
    .to_f16 = to_f16,
    .pack_int8 = pack_int8,
    .pack_f16 = pack_f16,
    .maxsim_int8 = maxsim_int8,
    .maxsim_f16 = maxsim_f16,
    .match_int8 = match_int8,
    .match_f16 = match_f16,
    .dots_f32 = dots_f32,
};
