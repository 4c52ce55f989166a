/*
 * math_amx.c - the encoder table for AMX: bf16 products and attention on tiles; the rest as on AVX-512.
 *
 * A tile is 16 rows of 64 bytes. TDPBF16PS adds to c [16, 16] f32 the product of a [16, 32] bf16, rows as they lie in
 * memory, and b [16 pairs of k][16 columns][2] bf16. A product runs 32 rows x 32 columns at a time: tmm0-3 sums,
 * tmm4-5 rows, tmm6-7 columns. The 32 rows (24 KB at k = 384) stay in L1 while packed panels stream past them from L2:
 * 1.5-1.9 TFLOP/s a core where oneDNN 2.6's matmul reaches 0.9-1.0.
 * Invariants: bits of a row depend on that row alone (tile rows are independent, k goes in order); rows behind the last
 * are multiplied and thrown away.
 * Thread rule: tile state is a thread's own; every entry configures it and gives it back.
 * Easy to get wrong: gcc 12's _tile_loadconfig names only 8 of its 64 bytes as input and _tile_loadd no memory at
 * all, so
 * the compiler drops the stores before them; hence the statements below with a "memory" clobber.
 */
#include "math_zmm.h"

#define V16_STORE_BF16(p, x) _mm256_storeu_si256((__m256i *)(p), (__m256i)_mm512_cvtneps_pbh(x))

#define GEMM_ROWS 14
#define GEMM_BLOCKS 2
#include "gemm_lanes.h"

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

static const tile_config whole_tiles = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

#define TILES_BEGIN() __asm__ volatile("ldtilecfg %0" ::"m"(whole_tiles) : "memory")
#define TILES_END() __asm__ volatile("tilerelease" ::: "memory")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define TILE_LOAD(t, from, stride) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(from), "r"(stride) : "memory")
#define TILE_STORE(t, to, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(to), "r"(stride) : "memory")
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")

enum { TILE = 512 }; /* elements of a bf16 tile */

/* ---- product ---- */

/* Sums [rows <= 32, 32] on their way to c. */
typedef struct tile_end {
    const float *sums, *bias;
    void *c;
    size_t ldc, rows;
} tile_end;

HTI_INLINE void end_rows(const tile_end *e, size_t first, size_t end_row, const hti_gemm_end end)
{
    const v16 b0 = v16_load(e->bias), b1 = v16_load(e->bias + 16);
    for (size_t i = first; i < end_row; i++) {
        v16 s0 = v16_add(v16_load(e->sums + i * HTI_PANEL), b0);
        v16 s1 = v16_add(v16_load(e->sums + i * HTI_PANEL + 16), b1);
        if (end == HTI_GEMM_ADD) {
            float *c = (float *)e->c + i * e->ldc;
            v16_store(c, v16_add(v16_load(c), s0));
            v16_store(c + 16, v16_add(v16_load(c + 16), s1));
            continue;
        }
        if (end == HTI_GEMM_GELU) {
            s0 = v16_gelu_short(s0);
            s1 = v16_gelu_short(s1);
        }
        _mm512_storeu_si512((uint16_t *)e->c + i * e->ldc, (__m512i)_mm512_cvtne2ps_pbh(s1, s0));
    }
}

/* Rows of `e` that step `at` of a product over k ends, so that vector units work while tiles multiply. */
HTI_INLINE void end_step(const tile_end *e, size_t at, size_t k, const hti_gemm_end end)
{
    const size_t per_step = (32 * 32 + k - 1) / k, first = at / 32 * per_step;
    if (first < e->rows) end_rows(e, first, HTI_MIN(first + per_step, e->rows), end);
}

/* Lines that the next product needs, brought into L2 some at every step of this one. */
typedef struct tile_ahead {
    const char *at;
    size_t per_step, left; /* lines */
} tile_ahead;

HTI_INLINE void look_ahead(tile_ahead *ahead)
{
    const size_t n = HTI_MIN(ahead->per_step, ahead->left);
    for (size_t i = 0; i < n; i++) _mm_prefetch(ahead->at + 64 * i, _MM_HINT_T1);
    ahead->at += 64 * n;
    ahead->left -= n;
}

/* a [32, k] x one panel -> sums, while the sums before are ended. */
HTI_INLINE void tile_sums(const hti_gemm *g, const uint16_t *a, const uint16_t *b, float *sums, const tile_end *before,
                          tile_ahead *ahead, const hti_gemm_end end)
{
    const size_t row_bytes = g->lda * sizeof *a, sum_bytes = HTI_PANEL * sizeof *sums, tile_bytes = 64;
    const uint16_t *low = a + 16 * g->lda;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (size_t i = 0; i < g->k; i += 32, b += 2 * TILE) {
        TILE_LOAD(6, b, tile_bytes);
        TILE_LOAD(4, a + i, row_bytes);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, b + TILE, tile_bytes);
        TILE_DOT(1, 4, 7);
        TILE_LOAD(5, low + i, row_bytes);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
        end_step(before, i, g->k, end);
        look_ahead(ahead);
    }
    TILE_STORE(0, sums, sum_bytes);
    TILE_STORE(1, sums + 16, sum_bytes);
    TILE_STORE(2, sums + 16 * HTI_PANEL, sum_bytes);
    TILE_STORE(3, sums + 16 * HTI_PANEL + 16, sum_bytes);
}

/* The same for at most 16 rows of a. */
HTI_INLINE void tile_sums_16(const hti_gemm *g, const uint16_t *a, const uint16_t *b, float *sums,
                             const tile_end *before, tile_ahead *ahead, const hti_gemm_end end)
{
    const size_t row_bytes = g->lda * sizeof *a, sum_bytes = HTI_PANEL * sizeof *sums, tile_bytes = 64;
    TILE_ZERO(0);
    TILE_ZERO(1);
    for (size_t i = 0; i < g->k; i += 32, b += 2 * TILE) {
        TILE_LOAD(6, b, tile_bytes);
        TILE_LOAD(4, a + i, row_bytes);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, b + TILE, tile_bytes);
        TILE_DOT(1, 4, 7);
        end_step(before, i, g->k, end);
        look_ahead(ahead);
    }
    TILE_STORE(0, sums, sum_bytes);
    TILE_STORE(1, sums + 16, sum_bytes);
}

HTI_INLINE void gemm_with_end(const hti_gemm *g, const hti_gemm_end end)
{
    _Alignas(64) float sums[2][32 * HTI_PANEL];
    const size_t size = end == HTI_GEMM_ADD ? sizeof(float) : sizeof(uint16_t);
    const size_t n_steps = (g->m + 31) / 32 * (g->n / HTI_PANEL) * (g->k / 32),
                 n_lines = g->next ? g->next_bytes / 64 : 0;
    tile_end before = {.bias = g->bias};
    tile_ahead ahead = {g->next, (n_lines + n_steps - 1) / n_steps, n_lines};
    size_t at = 0;
    for (size_t row = 0; row < g->m; row += 32) {
        const uint16_t *a = (const uint16_t *)g->a + row * g->lda;
        const size_t rows = HTI_MIN(g->m - row, (size_t)32);
        for (size_t panel = 0; panel < g->n; panel += HTI_PANEL, at ^= 1) {
            const uint16_t *b = (const uint16_t *)g->b + panel * g->k;
            if (rows > 16)
                tile_sums(g, a, b, sums[at], &before, &ahead, end);
            else
                tile_sums_16(g, a, b, sums[at], &before, &ahead, end);
            before = (tile_end){sums[at], g->bias + panel, (char *)g->c + (row * g->ldc + panel) * size, g->ldc, rows};
        }
    }
    end_rows(&before, 0, before.rows, end);
}

static void gemm_bf16(const hti_gemm *g)
{
    TILES_BEGIN();
    switch (g->end) {
    case HTI_GEMM_STORE: gemm_with_end(g, HTI_GEMM_STORE); break;
    case HTI_GEMM_GELU: gemm_with_end(g, HTI_GEMM_GELU); break;
    case HTI_GEMM_ADD: gemm_with_end(g, HTI_GEMM_ADD); break;
    }
    TILES_END();
}

/* Column j of the panel is row j of `rows`: pairs of k side by side, so 16 columns are a transposition of words. */
static void pack_bf16(const float *rows, size_t stride, size_t k, void *panel)
{
    uint16_t *out = panel;
    for (size_t i = 0; i < k; i += 32)
        for (size_t j = 0; j < HTI_PANEL; j += 16, out += TILE) {
            _Alignas(64) uint16_t block[TILE];
            for (size_t r = 0; r < 16; r++) {
                const float *row = rows + (j + r) * stride + i;
                _mm512_store_si512(block + 32 * r, (__m512i)_mm512_cvtne2ps_pbh(v16_load(row + 16), v16_load(row)));
            }
            v16_transpose(block, 16, out, 16);
        }
}

/* ---- attention ---- */

/* One head: keys in tiles [n_padded / 16][head_dim / 32], values in tiles [n_padded / 32][head_dim / 16]. */
typedef struct tile_head {
    const hti_attention *t;
    size_t n_padded;
    uint16_t *keys, *values;
    float *scores;     /* [16, n_padded] */
    uint16_t *weights; /* [16, n_padded] */
} tile_head;

static void pack_head_keys(const tile_head *h, const uint16_t *keys)
{
    const hti_attention *t = h->t;
    uint16_t *out = h->keys;
    for (size_t j = 0; j < h->n_padded; j += 16) {
        const size_t rows = j < t->n_tokens ? HTI_MIN(t->n_tokens - j, (size_t)16) : 0;
        for (size_t d = 0; d < t->head_dim; d += 32, out += TILE) {
            _Alignas(64) uint16_t block[TILE];
            for (size_t i = 0; i < 16; i++) {
                const __m512i row = i < rows ? _mm512_loadu_si512(keys + (j + i) * t->ld + d) : _mm512_setzero_si512();
                _mm512_store_si512(block + 32 * i, row);
            }
            v16_transpose(block, 16, out, 16);
        }
    }
}

/* Zeros behind the last value: a weight of 0 must not meet a NaN of a neighbour. */
static void pack_head_values(const tile_head *h, const uint16_t *values)
{
    const hti_attention *t = h->t;
    uint16_t *out = h->values;
    for (size_t j = 0; j < h->n_padded; j += 32)
        for (size_t d = 0; d < t->head_dim; d += 16)
            for (size_t i = j; i < j + 32; i += 2, out += 32) {
                const uint16_t *row = values + i * t->ld + d;
                __m512i even = _mm512_setzero_si512(), odd = even;
                if (i < t->n_tokens) even = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)row));
                if (i + 1 < t->n_tokens)
                    odd = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(row + t->ld)));
                _mm512_store_si512(out, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
            }
}

/* Scores of 16 queries [16, head_dim] with all keys. */
static void score_tiles(const tile_head *h, const uint16_t *q)
{
    const size_t dim = h->t->head_dim, row_bytes = h->t->ld * sizeof *q, score_bytes = h->n_padded * sizeof(float);
    const size_t tile_bytes = 64;
    const uint16_t *keys = h->keys;
    for (size_t j = 0; j < h->n_padded; j += 32, keys += 2 * TILE * (dim / 32)) {
        const uint16_t *next = keys + TILE * (dim / 32);
        TILE_ZERO(0);
        TILE_ZERO(1);
        for (size_t d = 0; d < dim; d += 32) {
            TILE_LOAD(4, q + d, row_bytes);
            TILE_LOAD(6, keys + d * 16, tile_bytes);
            TILE_LOAD(7, next + d * 16, tile_bytes);
            TILE_DOT(0, 4, 6);
            TILE_DOT(1, 4, 7);
        }
        TILE_STORE(0, h->scores + j, score_bytes);
        TILE_STORE(1, h->scores + j + 16, score_bytes);
    }
}

V16_POLY(exp2_poly, COEFFICIENTS(HTI_EXP2_POLY))

/* 2^x as 2^(x - floor x) 2^(floor x); any x down to -1e30. */
HTI_INLINE v16 exp2_short(v16 x) { return _mm512_scalef_ps(exp2_poly(_mm512_reduce_ps(x, 0x09)), x); }

/* Weights of 32 scores of a row, which go to `out`; adds their sum before rounding. */
HTI_INLINE v16 weigh_32(const float *scores, v16 by, v16 less, uint16_t *out, v16 sum)
{
    const v16 a = exp2_short(v16_fma(v16_load(scores), by, less));
    const v16 b = exp2_short(v16_fma(v16_load(scores + 16), by, less));
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    return v16_add(sum, v16_add(a, b));
}

/*
 * Two rows of scores -> bf16 weights 2^((score - largest) scale / ln 2), and what to divide by. Two at a time because a
 * row's steps wait for each other; `second` 0 does the first row twice.
 */
static void weigh_rows(const tile_head *h, size_t row, size_t second, float *shares)
{
    const size_t n = h->n_padded;
    const float *p = h->scores + row * n, *q = p + second * n;
    uint16_t *p_out = h->weights + row * n, *q_out = p_out + second * n;
    v16 p_most = v16_load(p), q_most = v16_load(q);
    for (size_t j = 16; j < n; j += 16) {
        p_most = v16_max(v16_load(p + j), p_most);
        q_most = v16_max(v16_load(q + j), q_most);
    }
    const float scale = h->t->scale * 0x1.715476p+0f;
    const v16 by = v16_splat(scale), p_less = v16_splat(-v16_largest(p_most) * scale);
    const v16 q_less = v16_splat(-v16_largest(q_most) * scale);
    v16 p_sum = v16_splat(0.0f), q_sum = p_sum;
    for (size_t j = 0; j < n; j += 32) {
        p_sum = weigh_32(p + j, by, p_less, p_out + j, p_sum);
        q_sum = weigh_32(q + j, by, q_less, q_out + j, q_sum);
    }
    shares[row] = 1.0f / v16_sum(p_sum);
    shares[row + second] = 1.0f / v16_sum(q_sum);
}

/* Weighted values of `rows` queries -> out [rows, head_dim], divided by the sums of the weights. */
static void value_tiles(const tile_head *h, const float *shares, size_t rows, uint16_t *out)
{
    _Alignas(64) float sums[16 * HTI_PANEL];
    const size_t dim = h->t->head_dim, weight_bytes = h->n_padded * sizeof(uint16_t),
                 sum_bytes = HTI_PANEL * sizeof *sums;
    const size_t tile_bytes = 64;
    for (size_t d = 0; d < dim; d += 32, out += 32) {
        const uint16_t *values = h->values + d * 32;
        TILE_ZERO(0);
        TILE_ZERO(1);
        for (size_t j = 0; j < h->n_padded; j += 32, values += dim * 32) {
            TILE_LOAD(4, h->weights + j, weight_bytes);
            TILE_LOAD(6, values, tile_bytes);
            TILE_LOAD(7, values + TILE, tile_bytes);
            TILE_DOT(0, 4, 6);
            TILE_DOT(1, 4, 7);
        }
        TILE_STORE(0, sums, sum_bytes);
        TILE_STORE(1, sums + 16, sum_bytes);
        for (size_t i = 0; i < rows; i++) {
            const v16 share = v16_splat(shares[i]);
            const v16 a = v16_mul(v16_load(sums + i * HTI_PANEL), share);
            const v16 b = v16_mul(v16_load(sums + i * HTI_PANEL + 16), share);
            _mm512_storeu_si512(out + i * h->t->ldo, (__m512i)_mm512_cvtne2ps_pbh(b, a));
        }
    }
}

static void attend_bf16(const hti_attention *t)
{
    const size_t n_padded = hti_keys_round(t->n_tokens);
    uint16_t *keys = t->scratch, *values = keys + n_padded * t->head_dim;
    float *scores = (float *)(void *)(values + n_padded * t->head_dim);
    const tile_head head = {t, n_padded, keys, values, scores, (uint16_t *)(scores + 16 * n_padded)};
    TILES_BEGIN();
    for (size_t at = 0; at < t->n_heads; at++) {
        const uint16_t *q = (const uint16_t *)t->qkv + at * 3 * t->head_dim;
        pack_head_keys(&head, q + t->head_dim);
        pack_head_values(&head, q + 2 * t->head_dim);
        for (size_t row = 0; row < t->n_tokens; row += 16) {
            const size_t rows = HTI_MIN(t->n_tokens - row, (size_t)16);
            float shares[16];
            score_tiles(&head, q + row * t->ld);
            mask_scores(t, scores, rows, n_padded);
            for (size_t i = 0; i < rows; i += 2) weigh_rows(&head, i, i + 1 < rows, shares);
            value_tiles(&head, shares, rows, (uint16_t *)t->out + row * t->ldo + at * t->head_dim);
        }
    }
    TILES_END();
}

const hti_encoder_kernels hti_math_amx = {
    .name = "amx", HTI_LANES_TABLE, .pack_bf16 = pack_bf16, .gemm_bf16 = gemm_bf16, .attend_bf16 = attend_bf16};
