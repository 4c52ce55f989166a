/*
 * maxsim_avx512.c - maxsim table for AVX-512 with VNNI.
 *
 * Packed int8 query: blocks of 8 query vectors, in groups of at most 4 blocks that start at an even block. A group
 * is [row_bytes / 8][blocks][8 query vectors][8 signed bytes]: one 64-byte load a block meets 8 bytes of a document
 * row, broadcast as a quadword, so vpdpbusd leaves two partial sums a query vector in neighbouring lanes and
 * nothing horizontal is needed until the row is done. Blocks of 8, not 16: 23 query vectors cost 24, not 32.
 * Folding a pair of blocks with vshufps mixes their lanes by fours; the packing places the query vectors so that
 * the folded register holds 16 of them in order. A block without a partner folds into lanes 0, 1, 4, 5, 8, 9, ...
 * Workload: 176 rows of 384 bytes against 23 query vectors: 25,344 vpdpbusd a document, two a cycle. The register
 * block of rows x blocks (12 x 1, 12 x 2, 6 x 3, 6 x 4) keeps at least 12 sums in flight (latency 5, two ports) and
 * loads well under two registers a cycle; 8 x 3 would fit too, but gcc 12 then spills inside the loop. Rows ahead are
 * prefetched into L2: one core alone, with its hardware prefetcher, reads memory at half the rate.
 * Easy to get wrong: offsets (-128 * sum of the query vector) start the even lane of each pair; the odd starts at 0.
 */
#include "maxsim_int.h"

#include "maxsim_zmm.h"

#include "maxsim_lanes.h"

enum { MAX_GROUP = 4, PREFETCH_ROWS = 64 };

/* Blocks of the group that starts where `left` blocks are left. */
static size_t group_blocks(size_t left) { return left == 5 ? 2 : HTI_MIN(left, (size_t)MAX_GROUP); }

/* Which query vector stands at `slot` of a block: see the head comment. */
static size_t token_of_slot(size_t block, size_t n_blocks, size_t slot)
{
    const bool alone = block % 2 == 0 && block + 1 == n_blocks;
    if (alone) return block * 8 + slot;
    return (block & ~(size_t)1) * 8 + slot / 2 * 4 + slot % 2 + (block % 2 ? 2 : 0);
}

static void pack_block(const uint8_t *codes, size_t row_bytes, size_t slot, size_t n_blocks, int8_t *at)
{
    for (size_t k = 0; k < row_bytes; k++) at[k / 8 * n_blocks * 64 + slot * 8 + k % 8] = (int8_t)(codes[k] - 128);
}

static void pack_int8(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    const size_t row_bytes = hti_int8_row_bytes(dim), n_blocks = (n_query + 7) / 8;
    int8_t *data = memory;
    int32_t *offsets = (int32_t *)(void *)(data + n_blocks * 8 * row_bytes); /* [n_blocks][16 lanes] */
    float *scales = (float *)(void *)(offsets + n_blocks * 16);              /* [n_blocks * 8] */
    memset(data, 0, n_blocks * 8 * row_bytes);
    memset(offsets, 0, n_blocks * 16 * sizeof *offsets);
    for (size_t group = 0, n; group < n_blocks; group += n) {
        n = group_blocks(n_blocks - group);
        for (size_t i = 0; i < n * 8; i++) {
            const size_t block = group + i / 8, token = token_of_slot(block, n_blocks, i % 8);
            if (token >= n_query) continue;
            uint8_t codes[HTI_MAXSIM_MAX_DIM];
            int32_t sum = 0;
            quantise_row(query + token * dim, dim, codes, &scales[token]);
            for (size_t k = 0; k < dim; k++) sum += codes[k] - 128;
            offsets[block * 16 + 2 * (i % 8)] = -128 * sum;
            pack_block(codes, row_bytes, i % 8, n, data + group * 8 * row_bytes + i / 8 * 64);
        }
    }
    *out = (hti_packed_query){n_query, dim, scales, offsets, data};
}

/* One group of query blocks against one span. */
typedef struct vnni_job {
    const int8_t *query;    /* the group, [row_bytes / 8][blocks][64] */
    const int32_t *offsets; /* [blocks][16] */
    const hti_rows *rows;
    hti_row_span span;
    size_t next;    /* first row of the span to follow, for prefetching */
    float *best;    /* [blocks rounded up to even, * 8] */
    uint32_t *from; /* the same, NULL if not asked for */
} vnni_job;

/* One step: 8 bytes of each row against the same 8 of every query vector. */
HTI_INLINE void vnni_step(const uint8_t *const *row, size_t k, const int8_t *query, const size_t n_rows,
                          const size_t n_blocks, __m512i *sums)
{
    __m512i q[MAX_GROUP];
#pragma GCC unroll 4
    for (size_t b = 0; b < n_blocks; b++) q[b] = _mm512_loadu_si512(query + b * 64);
#pragma GCC unroll 12
    for (size_t i = 0; i < n_rows; i++) {
        int64_t eight;
        memcpy(&eight, row[i] + k, sizeof eight);
        const __m512i d = _mm512_set1_epi64(eight);
#pragma GCC unroll 4
        for (size_t b = 0; b < n_blocks; b++)
            sums[i * n_blocks + b] = _mm512_dpbusd_epi32(sums[i * n_blocks + b], d, q[b]);
    }
}

/* sums [n_rows][n_blocks]: two partial dot products a query vector. */
HTI_INLINE void vnni_dots(const uint8_t *const *row, const vnni_job *job, const char *ahead, const size_t n_rows,
                          const size_t n_blocks, __m512i *sums)
{
    const size_t row_bytes = job->rows->row_bytes;
    const int8_t *query = job->query;
#pragma GCC unroll 24
    for (size_t i = 0; i < n_rows * n_blocks; i++) sums[i] = _mm512_loadu_si512(job->offsets + i % n_blocks * 16);
    for (size_t k = 0; k < row_bytes; k += 64) {
#pragma GCC unroll 12
        for (size_t i = 0; i < n_rows; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
#pragma GCC unroll 8
        for (size_t step = 0; step < 64; step += 8, query += n_blocks * 64)
            vnni_step(row, k + step, query, n_rows, n_blocks, sums);
    }
}

/* The 16 dot products of two blocks, in order of the query vectors. */
HTI_INLINE __m512i fold_pair(__m512i a, __m512i b)
{
    const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
}

typedef struct best_lanes {
    v16 value[MAX_GROUP / 2];
    v16i from[MAX_GROUP / 2];
} best_lanes;

HTI_INLINE void take_row(const __m512i *sums, float scale, uint32_t row, const size_t n_blocks, const bool with_from,
                         best_lanes *best)
{
    const v16 factor = v16_splat(scale);
#pragma GCC unroll 2
    for (size_t p = 0; p < (n_blocks + 1) / 2; p++) {
        const __m512i dots = fold_pair(sums[2 * p], sums[2 * p + 1 < n_blocks ? 2 * p + 1 : 2 * p]);
        const v16 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dots), factor);
        if (with_from)
            v16_take_best(value, row, &best->value[p], &best->from[p]);
        else
            best->value[p] = v16_max(value, best->value[p]);
    }
}

/* A block without a partner: its lanes 0, 1, 4, 5, ... to the front. */
HTI_INLINE void store_best(const best_lanes *best, const vnni_job *job, const size_t n_blocks)
{
    for (size_t p = 0; p < (n_blocks + 1) / 2; p++) {
        const __mmask16 used = 2 * p + 1 < n_blocks ? 0xFFFF : 0x3333;
        v16_store(job->best + 16 * p, _mm512_maskz_compress_ps(used, best->value[p]));
        if (job->from) v16i_store(job->from + 16 * p, _mm512_maskz_compress_epi32(used, best->from[p]));
    }
}

HTI_INLINE void vnni_group(const vnni_job *job, const size_t n_rows, const size_t n_blocks, const bool with_from)
{
    best_lanes best;
    for (size_t p = 0; p < MAX_GROUP / 2; p++) {
        best.value[p] = v16_splat(-INFINITY);
        best.from[p] = v16i_splat(0);
    }
    const uint8_t *data = (const uint8_t *)job->rows->data + job->span.first * job->rows->row_bytes;
    for (size_t first = 0; first < job->span.n; first += n_rows) {
        __m512i sums[24];
        const uint8_t *row[12];
#pragma GCC unroll 12
        for (size_t i = 0; i < n_rows; i++) row[i] = data + HTI_MIN(first + i, job->span.n - 1) * job->rows->row_bytes;
        vnni_dots(row, job, hti_row_ahead(job->rows, job->span, first + PREFETCH_ROWS, job->next), n_rows, n_blocks,
                  sums);
#pragma GCC unroll 12
        for (size_t i = 0; i < n_rows; i++) {
            const size_t at = HTI_MIN(first + i, job->span.n - 1);
            take_row(sums + i * n_blocks, job->rows->scales[job->span.first + at], (uint32_t)at, n_blocks, with_from,
                     &best);
        }
    }
    store_best(&best, job, n_blocks);
}

/* One function a shape: the compiler must see rows and blocks as constants. */
#define GROUP_FUNCTION(name, n_rows, n_blocks, with_from) \
    static void name(const vnni_job *job) { vnni_group(job, n_rows, n_blocks, with_from); }
GROUP_FUNCTION(best_of_1, 12, 1, false)
GROUP_FUNCTION(best_of_2, 12, 2, false)
GROUP_FUNCTION(best_of_3, 6, 3, false)
GROUP_FUNCTION(best_of_4, 6, 4, false)
GROUP_FUNCTION(match_of_1, 12, 1, true)
GROUP_FUNCTION(match_of_2, 12, 2, true)
GROUP_FUNCTION(match_of_3, 6, 3, true)
GROUP_FUNCTION(match_of_4, 6, 4, true)

typedef void (*group_fn)(const vnni_job *job);
static const group_fn best_of[MAX_GROUP + 1] = {NULL, best_of_1, best_of_2, best_of_3, best_of_4};
static const group_fn match_of[MAX_GROUP + 1] = {NULL, match_of_1, match_of_2, match_of_3, match_of_4};

/* Fills job->best for the group that starts at `token`; returns how many query vectors it holds. */
static size_t run_group(const hti_packed_query *query, size_t token, vnni_job *job)
{
    const size_t left = query->n_query - token, n_blocks = group_blocks((left + 7) / 8);
    job->query = (const int8_t *)query->data + token * job->rows->row_bytes;
    job->offsets = query->offsets + token * 2;
    (job->from ? match_of : best_of)[n_blocks](job);
    return HTI_MIN(left, n_blocks * 8);
}

static void maxsim_int8(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores)
{
    float best[8 * MAX_GROUP];
    for (size_t i = 0; i < n_spans; i++) {
        vnni_job job = {.rows = rows, .span = spans[i], .next = spans[i + (i + 1 < n_spans)].first, .best = best};
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
    vnni_job job = {.rows = rows, .span = span, .next = span.first, .best = best, .from = from};
    for (size_t t = 0, n; t < query->n_query; t += n) {
        n = run_group(query, t, &job);
        for (size_t i = 0; i < n; i++)
            matches[t + i] = (hti_row_match){hti_match_score(best[i], query->scales[t + i]), from[i]};
    }
}

const hti_maxsim_kernels hti_maxsim_avx512 = {
    .name = "avx512",
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
