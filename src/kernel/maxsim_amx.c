/*
 * maxsim_amx.c - maxsim table for AMX int8 tiles; what is not int8 comes from the AVX-512 templates.
 *
 * Packed int8 query: blocks of 16 query vectors, in groups of 2 (the last may be 1), each
 * [row_bytes / 64][blocks][16 quads of components][16 query vectors][4 signed bytes]: 1 KiB tiles. A tile of 16
 * document rows is read from the file as it lies there; tdpbusd multiplies 16 rows x 16 query vectors x 64 components,
 * 2 x 2 tiles of sums share their loads. The sums start from the offsets, a tile whose 16 rows are one (stride 0).
 * Workload: as maxsim_avx512.c; from memory the rows arrive slower than the tiles eat them (12 to 20 GB/s
 * on one core against 40), so what counts is prefetching.
 * Spans end anywhere: the last window of rows begins earlier and repeats rows, which changes no maximum. A
 * window may cover other documents' rows (never rows beyond the segment); those are computed and not looked at.
 * Thread rule: tile state is loaded at entry and released at exit of each call.
 * Easy to get wrong: AMX tiles may not be read or written before the configuration is loaded on this very thread.
 */
#include "maxsim_int.h"

#include "maxsim_zmm.h"

#include "maxsim_lanes.h"

enum { TILE_ROWS = 16, WINDOW = 32, MAX_GROUP = 2, TILE_BYTES = 1024, PREFETCH_ROWS = 64 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t col_bytes[16];
    uint8_t rows[16];
} tile_config;

/* A constant, and then a barrier: gcc's tile intrinsics do not say which memory they read. */
static void load_config(const hti_rows *rows)
{
    static const tile_config eight_whole_tiles = {
        .palette = 1,
        .col_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {TILE_ROWS, TILE_ROWS, TILE_ROWS, TILE_ROWS, TILE_ROWS, TILE_ROWS, TILE_ROWS, TILE_ROWS},
    };
    _tile_loadconfig(&eight_whole_tiles);
    __asm__ volatile("" : : "r"(rows->data) : "memory");
}

static void pack_int8(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    const size_t row_bytes = hti_int8_row_bytes(dim), n_blocks = (n_query + 15) / 16;
    int8_t *data = memory;
    int32_t *offsets = (int32_t *)(void *)(data + n_blocks * 16 * row_bytes); /* [n_blocks * 16] */
    float *scales = (float *)(void *)(offsets + n_blocks * 16);
    memset(data, 0, n_blocks * 16 * row_bytes);
    memset(offsets, 0, n_blocks * 16 * sizeof *offsets);
    for (size_t token = 0; token < n_query; token++) {
        uint8_t codes[HTI_MAXSIM_MAX_DIM];
        const size_t block = token / 16, group = block / MAX_GROUP * MAX_GROUP;
        const size_t in_group = HTI_MIN(n_blocks - group, (size_t)MAX_GROUP);
        int8_t *at = data + group * 16 * row_bytes + (block - group) * TILE_BYTES + token % 16 * 4;
        quantise_row(query + token * dim, dim, codes, &scales[token]);
        int32_t sum = 0;
        for (size_t k = 0; k < row_bytes; k++) {
            at[k / 64 * in_group * TILE_BYTES + k % 64 / 4 * 64 + k % 4] = (int8_t)(codes[k] - 128);
            sum += codes[k] - 128;
        }
        offsets[token] = -128 * sum;
    }
    *out = (hti_packed_query){n_query, dim, scales, offsets, data};
}

/* One group of query blocks against one span. */
typedef struct tile_job {
    const int8_t *query;    /* the group, [row_bytes / 64][blocks][1024] */
    const int32_t *offsets; /* [blocks][16] */
    const hti_rows *rows;
    hti_row_span span;
    size_t next;    /* first row of the span to follow, for prefetching */
    float *best;    /* [blocks * 16] */
    uint32_t *from; /* the same, NULL if not asked for */
} tile_job;

/* sums [WINDOW][blocks][16] of the rows at `rows`; `ahead` is what to prefetch meanwhile. */
HTI_INLINE void tile_dots(const uint8_t *rows, const char *ahead, const tile_job *job, const size_t n_blocks,
                          int32_t *sums)
{
    const size_t row_bytes = job->rows->row_bytes, second = TILE_ROWS * row_bytes;
    const int8_t *query = job->query;
    _tile_loadd(0, job->offsets, 0);
    _tile_loadd(1, job->offsets, 0);
    if (n_blocks == 2) {
        _tile_loadd(2, job->offsets + 16, 0);
        _tile_loadd(3, job->offsets + 16, 0);
    }
    for (size_t k = 0; k < row_bytes; k += 64, query += n_blocks * TILE_BYTES) {
        _tile_loadd(4, rows + k, row_bytes);
        _tile_loadd(6, query, 64);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(5, rows + second + k, row_bytes);
        _tile_dpbusd(1, 5, 6);
        if (n_blocks == 2) {
            _tile_loadd(7, query + TILE_BYTES, 64);
            _tile_dpbusd(2, 4, 7);
            _tile_dpbusd(3, 5, 7);
        }
        for (size_t i = 0; i < WINDOW; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
    }
    const size_t stride = n_blocks * 64, below = TILE_ROWS * n_blocks * 16;
    _tile_stored(0, sums, stride);
    _tile_stored(1, sums + below, stride);
    if (n_blocks == 2) {
        _tile_stored(2, sums + 16, stride);
        _tile_stored(3, sums + below + 16, stride);
    }
}

/* First row of the window that serves row `at` of the span: never beyond the last whole window of the segment. */
static size_t window_start(const tile_job *job, size_t at)
{
    const size_t row = job->span.first + at;
    return HTI_MIN(row, job->rows->n_rows - WINDOW);
}

HTI_INLINE void tile_group(const tile_job *job, const size_t n_blocks, const bool with_from)
{
    _Alignas(64) int32_t sums[WINDOW * MAX_GROUP * 16];
    const uint8_t *data = job->rows->data;
    v16 best[MAX_GROUP];
    v16i from[MAX_GROUP];
    for (size_t b = 0; b < n_blocks; b++) {
        best[b] = v16_splat(-INFINITY);
        from[b] = v16i_splat(0);
    }
    for (size_t at = 0, n; at < job->span.n; at += n) {
        const size_t start = window_start(job, at), skip = job->span.first + at - start;
        n = HTI_MIN(WINDOW - skip, job->span.n - at);
        const char *ahead = hti_row_ahead(job->rows, job->span, at + PREFETCH_ROWS, job->next);
        tile_dots(data + start * job->rows->row_bytes, ahead, job, n_blocks, sums);
        for (size_t i = 0; i < n; i++) {
            const v16 scale = v16_splat(job->rows->scales[start + skip + i]);
            for (size_t b = 0; b < n_blocks; b++) {
                const __m512i dots = _mm512_load_si512(sums + ((skip + i) * n_blocks + b) * 16);
                const v16 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dots), scale);
                if (with_from)
                    v16_take_best(value, (uint32_t)(at + i), &best[b], &from[b]);
                else
                    best[b] = v16_max(value, best[b]);
            }
        }
    }
    for (size_t b = 0; b < n_blocks; b++) {
        v16_store(job->best + 16 * b, best[b]);
        if (with_from) v16i_store(job->from + 16 * b, from[b]);
    }
}

/* One function a shape: the compiler must see blocks as a constant. */
#define GROUP_FUNCTION(name, n_blocks, with_from) \
    static void name(const tile_job *job) { tile_group(job, n_blocks, with_from); }
GROUP_FUNCTION(best_of_1, 1, false)
GROUP_FUNCTION(best_of_2, 2, false)
GROUP_FUNCTION(match_of_1, 1, true)
GROUP_FUNCTION(match_of_2, 2, true)

/* Fills job->best for the group that starts at `token`; returns how many query vectors it holds. */
static size_t run_group(const hti_packed_query *query, size_t token, tile_job *job)
{
    const size_t left = query->n_query - token;
    job->query = (const int8_t *)query->data + token * job->rows->row_bytes;
    job->offsets = query->offsets + token;
    if (left > 16)
        (job->from ? match_of_2 : best_of_2)(job);
    else
        (job->from ? match_of_1 : best_of_1)(job);
    return HTI_MIN(left, (size_t)16 * MAX_GROUP);
}

static void score_spans(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores)
{
    float best[16 * MAX_GROUP];
    load_config(rows);
    for (size_t i = 0; i < n_spans; i++) {
        tile_job job = {.rows = rows, .span = spans[i], .best = best};
        job.next = spans[i + (i + 1 < n_spans)].first;
        scores[i] = spans[i].n ? 0.0 : (double)-INFINITY;
        for (size_t t = 0, n; t < query->n_query && spans[i].n; t += n) {
            n = run_group(query, t, &job);
            scores[i] = hti_maxsim_sum(scores[i], best, query->scales + t, n);
        }
    }
    _tile_release();
}

static void match_span(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    float best[16 * MAX_GROUP];
    uint32_t from[16 * MAX_GROUP];
    tile_job job = {.rows = rows, .span = span, .next = span.first, .best = best, .from = from};
    load_config(rows);
    for (size_t t = 0, n; t < query->n_query; t += n) {
        n = run_group(query, t, &job);
        for (size_t i = 0; i < n; i++)
            matches[t + i] = (hti_row_match){hti_match_score(best[i], query->scales[t + i]), from[i]};
    }
    _tile_release();
}

/* A segment smaller than a window, copied into one, so that tiles never read past its end. */
static hti_rows copy_small(const hti_rows *rows, uint8_t *memory)
{
    memset(memory, 128, WINDOW * rows->row_bytes);
    if (rows->n_rows > 0) memcpy(memory, rows->data, rows->n_rows * rows->row_bytes);
    return (hti_rows){memory, rows->scales, WINDOW, rows->row_bytes};
}

/* Functions of their own: 128 KiB of stack are for small segments only. */
static __attribute__((noinline)) void score_small(const hti_packed_query *query, const hti_rows *rows,
                                                  const hti_row_span *spans, size_t n_spans, double *scores)
{
    _Alignas(64) uint8_t memory[WINDOW * HTI_MAXSIM_MAX_DIM];
    const hti_rows copy = copy_small(rows, memory);
    score_spans(query, &copy, spans, n_spans, scores);
}

static __attribute__((noinline)) void match_small(const hti_packed_query *query, const hti_rows *rows,
                                                  hti_row_span span, hti_row_match *matches)
{
    _Alignas(64) uint8_t memory[WINDOW * HTI_MAXSIM_MAX_DIM];
    const hti_rows copy = copy_small(rows, memory);
    match_span(query, &copy, span, matches);
}

static void maxsim_int8(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores)
{
    (rows->n_rows < WINDOW ? score_small : score_spans)(query, rows, spans, n_spans, scores);
}

static void match_int8(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    (rows->n_rows < WINDOW ? match_small : match_span)(query, rows, span, matches);
}

const hti_maxsim_kernels hti_maxsim_amx = {
    .name = "amx",
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
