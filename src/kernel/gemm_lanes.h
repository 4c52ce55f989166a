/*
 * gemm_lanes.h - f32 matrix product and attention, as a template over v16.
 *
 * The including file defines GEMM_ROWS x GEMM_BLOCKS, the register tile: rows times blocks of 16 columns.
 * Layout: b in panels [n / 32][k][32] (see encoder_kernels.h). A panel's loop runs over all rows before the next panel
 * comes, so the panel (48 KB at k = 384) is read from L2 once per GEMM_ROWS rows and a's rows once per panel.
 * Workload: 512 x 384 x 1536: 28 multiply-adds per 2 loads and 14 broadcasts on AVX-512.
 * Easy to get wrong: the chain of each sum must stay k = 0, 1, 2, ... with fused multiply-adds for any number of rows
 * in the tile; that is what makes a row's bits independent of its neighbours.
 */
#ifndef HTI_KERNEL_GEMM_LANES_H
#define HTI_KERNEL_GEMM_LANES_H

#include "math_lanes.h"

/* Operands of one register tile: a [rows, k], b [k, 32] with row strides, out [rows, 32]. */
typedef struct gemm_tile {
    const float *a, *b;
    size_t lda, ldb, k;
    float *out;
} gemm_tile;

HTI_INLINE void tile_product(const gemm_tile *t, const size_t rows, const size_t column)
{
    const float *a = t->a, *b = t->b + column;
    const size_t lda = t->lda, ldb = t->ldb;
    v16 sums[GEMM_ROWS][GEMM_BLOCKS];
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < GEMM_BLOCKS; j++) sums[i][j] = v16_splat(0.0f);
    for (size_t k = 0; k < t->k; k++, a++, b += ldb) {
        v16 row[GEMM_BLOCKS];
#pragma GCC unroll 2
        for (size_t j = 0; j < GEMM_BLOCKS; j++) row[j] = v16_load(b + 16 * j);
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++) {
            const v16 x = v16_splat(a[i * lda]);
#pragma GCC unroll 2
            for (size_t j = 0; j < GEMM_BLOCKS; j++) sums[i][j] = v16_fma(x, row[j], sums[i][j]);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (size_t j = 0; j < GEMM_BLOCKS; j++) v16_store(t->out + i * HTI_PANEL + column + 16 * j, sums[i][j]);
}

#define TILE_CASE(n)                                                                    \
    case n:                                                                             \
        for (size_t c = 0; c < HTI_PANEL; c += 16 * GEMM_BLOCKS) tile_product(t, n, c); \
        break;

/* 1 <= rows <= GEMM_ROWS. */
static void run_tile(const gemm_tile *t, size_t rows)
{
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if GEMM_ROWS > 6
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    default: HT_ASSERT(false);
    }
}

/* Sums of a tile [rows, 32] -> c, through bias and the product's end. */
HTI_INLINE void end_tile(const float *sums, const float *bias, float *c, size_t ldc, size_t rows,
                         const hti_gemm_end end)
{
    for (size_t j = 0; j < HTI_PANEL; j += 16) {
        const v16 b = v16_load(bias + j);
        for (size_t i = 0; i < rows; i++) {
            v16 s = v16_add(v16_load(sums + i * HTI_PANEL + j), b);
            float *to = c + i * ldc + j;
            if (end == HTI_GEMM_GELU) s = v16_gelu(s);
            if (end == HTI_GEMM_ADD) s = v16_add(v16_load(to), s);
            v16_store(to, s);
        }
    }
}

static void gemm(const hti_gemm *g)
{
    _Alignas(64) float sums[GEMM_ROWS * HTI_PANEL];
    for (size_t panel = 0; panel < g->n; panel += HTI_PANEL) {
        const float *bias = g->bias + panel;
        gemm_tile tile = {
            .b = (const float *)g->b + panel * g->k, .lda = g->lda, .ldb = HTI_PANEL, .k = g->k, .out = sums};
        for (size_t row = 0; row < g->m; row += GEMM_ROWS) {
            const size_t rows = HTI_MIN(g->m - row, (size_t)GEMM_ROWS);
            float *c = (float *)g->c + row * g->ldc + panel;
            tile.a = (const float *)g->a + row * g->lda;
            run_tile(&tile, rows);
            switch (g->end) {
            case HTI_GEMM_STORE: end_tile(sums, bias, c, g->ldc, rows, HTI_GEMM_STORE); break;
            case HTI_GEMM_GELU: end_tile(sums, bias, c, g->ldc, rows, HTI_GEMM_GELU); break;
            case HTI_GEMM_ADD: end_tile(sums, bias, c, g->ldc, rows, HTI_GEMM_ADD); break;
            }
        }
    }
}

static void pack(const float *rows, size_t stride, size_t k, void *panel)
{
    float *out = panel;
    for (size_t i = 0; i < k; i += 16)
        for (size_t j = 0; j < HTI_PANEL; j += 16)
            v16_transpose(rows + j * stride + i, stride, out + i * HTI_PANEL + j, HTI_PANEL);
}

/* ---- attention ---- */

/* Scores that must not count, in rows [rows] of `n_padded` scores: unseen keys and the padding behind the last key. */
static void mask_scores(const hti_attention *t, float *scores, size_t rows, size_t n_padded)
{
    for (size_t i = 0; i < rows; i++, scores += n_padded) {
        for (size_t j = 0; t->seen && j < t->n_tokens; j++)
            if (!t->seen[j]) scores[j] = HTI_MASKED;
        for (size_t j = t->n_tokens; j < n_padded; j++) scores[j] = HTI_MASKED;
    }
}

/* Largest score of a row. */
HTI_INLINE float row_largest(const float *scores, size_t n_padded)
{
    v16 largest = v16_load(scores);
    for (size_t j = 16; j < n_padded; j += 16) largest = v16_max(v16_load(scores + j), largest);
    return v16_largest(largest);
}

/* Scores of a row -> e^((score - largest) scale); returns the sum. */
static float soften_row(float *scores, size_t n_padded, float scale)
{
    const v16 by = v16_splat(scale), less = v16_splat(row_largest(scores, n_padded));
    v16 sum = v16_splat(0.0f);
    for (size_t j = 0; j < n_padded; j += 16) {
        const v16 weight = v16_exp(v16_mul(v16_sub(v16_load(scores + j), less), by));
        v16_store(scores + j, weight);
        sum = v16_add(sum, weight);
    }
    return v16_sum(sum);
}

/* One group of query rows of one head: q [rows, head_dim], v [n_tokens, head_dim], out [rows, head_dim]. */
typedef struct attend_group {
    const hti_attention *t;
    const float *q, *keys, *v;
    float *out, *scores;
    size_t rows, n_padded;
} attend_group;

static void run_group(const attend_group *g)
{
    const hti_attention *t = g->t;
    _Alignas(64) float tile[GEMM_ROWS * HTI_PANEL];
    gemm_tile product = {.a = g->q, .lda = t->ld, .ldb = HTI_PANEL, .k = t->head_dim, .out = tile};
    for (size_t j = 0; j < g->n_padded; j += HTI_PANEL) {
        product.b = g->keys + j * t->head_dim;
        run_tile(&product, g->rows);
        for (size_t i = 0; i < g->rows; i++)
            memcpy(g->scores + i * g->n_padded + j, tile + i * HTI_PANEL, HTI_PANEL * sizeof *tile);
    }
    mask_scores(t, g->scores, g->rows, g->n_padded);
    float shares[GEMM_ROWS];
    for (size_t i = 0; i < g->rows; i++)
        shares[i] = 1.0f / soften_row(g->scores + i * g->n_padded, g->n_padded, t->scale);
    product = (gemm_tile){.a = g->scores, .lda = g->n_padded, .ldb = t->ld, .k = t->n_tokens, .out = tile};
    for (size_t j = 0; j < t->head_dim; j += HTI_PANEL) {
        product.b = g->v + j;
        run_tile(&product, g->rows);
        for (size_t i = 0; i < g->rows; i++)
            for (size_t c = 0; c < HTI_PANEL; c += 16)
                v16_store(g->out + i * t->ldo + j + c,
                          v16_mul(v16_load(tile + i * HTI_PANEL + c), v16_splat(shares[i])));
    }
}

/* Keys of a head [n_tokens, head_dim] -> panels [n_padded / 32][head_dim][32], zeros behind the last key. */
static void pack_keys(const float *keys, const hti_attention *t, size_t n_padded, float *out)
{
    for (size_t j = 0; j < n_padded; j += 16) {
        float *to = out + j / HTI_PANEL * HTI_PANEL * t->head_dim + j % HTI_PANEL;
        const size_t rows = j < t->n_tokens ? HTI_MIN(t->n_tokens - j, (size_t)16) : 0;
        for (size_t d = 0; d < t->head_dim; d += 16) {
            float block[16 * 16] = {0};
            for (size_t i = 0; i < rows; i++) memcpy(block + 16 * i, keys + (j + i) * t->ld + d, 16 * sizeof *block);
            v16_transpose(block, 16, to + d * HTI_PANEL, HTI_PANEL);
        }
    }
}

static void attend(const hti_attention *t)
{
    const size_t n_padded = hti_keys_round(t->n_tokens);
    float *keys = t->scratch, *scores = keys + n_padded * t->head_dim;
    for (size_t head = 0; head < t->n_heads; head++) {
        const float *q = (const float *)t->qkv + head * 3 * t->head_dim;
        pack_keys(q + t->head_dim, t, n_padded, keys);
        for (size_t row = 0; row < t->n_tokens; row += GEMM_ROWS) {
            const attend_group group = {
                .t = t,
                .q = q + row * t->ld,
                .keys = keys,
                .v = q + 2 * t->head_dim,
                .out = (float *)t->out + row * t->ldo + head * t->head_dim,
                .scores = scores,
                .rows = HTI_MIN(t->n_tokens - row, (size_t)GEMM_ROWS),
                .n_padded = n_padded,
            };
            run_group(&group);
        }
    }
}

_Static_assert(GEMM_ROWS <= HTI_SCORE_ROWS, "scratch holds the scores of a group");

#define HTI_LANES_TABLE                                                                                           \
    .widen = widen, .pack = pack, .gemm = gemm, .attend = attend, .norm = norm, .finish = finish, .exp = exp_row, \
    .gelu = gelu_row, .gelu_bf16 = gelu_short_row

#endif
