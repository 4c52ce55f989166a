/*
 * math_scalar.c - the encoder table for any machine, and the specification of the others: written for reading.
 *
 * Packed panel, f32: [k][32] floats. bf16: for each 32 of k two tiles (columns 0..15 and 16..31), each
 * [16 pairs of k][16 columns][2], the layout that AMX multiplies (Intel SDM, TDPBF16PS).
 * The bf16 kernels here exist for the differential tests; the encoder uses them only where a table is fast.
 */
#include "math_int.h"

#include <math.h>
#include <string.h>

static float element_at(const void *in, hti_element type, size_t i)
{
    const char *bytes = in;
    if (type == HTI_ELEMENT_F16) return hti_half_to_float(hti_get_u16(bytes + 2 * i));
    if (type == HTI_ELEMENT_BF16) return hti_bf16_to_float(hti_get_u16(bytes + 2 * i));
    return hti_get_f32(bytes + 4 * i);
}

static void widen(const void *in, hti_element type, size_t n, const float *add, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = element_at(in, type, i) + (add ? add[i] : 0.0f);
}

static void pack(const float *rows, size_t stride, size_t k, void *panel)
{
    float *out = panel;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < HTI_PANEL; j++) out[i * HTI_PANEL + j] = rows[j * stride + i];
}

/* Where element (i, j) of a panel stands in its bf16 packing. */
static size_t bf16_place(size_t i, size_t j)
{
    return i / 32 * 1024 + j / 16 * 512 + i % 32 / 2 * 32 + j % 16 * 2 + i % 2;
}

static void pack_bf16(const float *rows, size_t stride, size_t k, void *panel)
{
    uint16_t *out = panel;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < HTI_PANEL; j++) out[bf16_place(i, j)] = hti_bf16_from_float(rows[j * stride + i]);
}

static float gelu_of(float x) { return 0.5f * x * (1.0f + erff(x * 0x1.6a09e6p-1f)); }

static void gemm(const hti_gemm *g)
{
    for (size_t row = 0; row < g->m; row++) {
        const float *a = (const float *)g->a + row * g->lda;
        for (size_t panel = 0; panel < g->n; panel += HTI_PANEL) {
            const float *b = (const float *)g->b + panel * g->k;
            float *c = (float *)g->c + row * g->ldc + panel;
            float sums[HTI_PANEL] = {0};
            for (size_t i = 0; i < g->k; i++)
                for (size_t j = 0; j < HTI_PANEL; j++) sums[j] += a[i] * b[i * HTI_PANEL + j];
            for (size_t j = 0; j < HTI_PANEL; j++) {
                const float s = sums[j] + g->bias[panel + j];
                c[j] = g->end == HTI_GEMM_ADD ? c[j] + s : g->end == HTI_GEMM_GELU ? gelu_of(s) : s;
            }
        }
    }
}

static void gemm_bf16(const hti_gemm *g)
{
    for (size_t row = 0; row < g->m; row++) {
        const uint16_t *a = (const uint16_t *)g->a + row * g->lda;
        for (size_t j = 0; j < g->n; j++) {
            const uint16_t *b = (const uint16_t *)g->b + j / HTI_PANEL * HTI_PANEL * g->k;
            float sum = 0;
            for (size_t i = 0; i < g->k; i++)
                sum += hti_bf16_to_float(a[i]) * hti_bf16_to_float(b[bf16_place(i, j % HTI_PANEL)]);
            const float s = sum + g->bias[j];
            const size_t at = row * g->ldc + j;
            if (g->end == HTI_GEMM_ADD)
                ((float *)g->c)[at] += s;
            else
                ((uint16_t *)g->c)[at] = hti_bf16_from_float(g->end == HTI_GEMM_GELU ? gelu_of(s) : s);
        }
    }
}

/* In place: scores of one query become weights that sum to 1. */
static void softmax(float *scores, size_t n, const uint8_t *seen)
{
    float largest = HTI_MASKED, sum = 0;
    for (size_t j = 0; j < n; j++) {
        if (seen && !seen[j]) scores[j] = HTI_MASKED;
        largest = fmaxf(largest, scores[j]);
    }
    for (size_t j = 0; j < n; j++) sum += scores[j] = expf(scores[j] - largest);
    for (size_t j = 0; j < n; j++) scores[j] /= sum;
}

static float qkv_at(const hti_attention *t, bool bf16, size_t row, size_t column)
{
    const size_t at = row * t->ld + column;
    return bf16 ? hti_bf16_to_float(((const uint16_t *)t->qkv)[at]) : ((const float *)t->qkv)[at];
}

/* One query row of one head. */
static void attend_row(const hti_attention *t, bool bf16, size_t row, size_t head)
{
    const size_t dim = t->head_dim, q = head * 3 * dim, k = q + dim, v = k + dim;
    float *scores = t->scratch;
    for (size_t j = 0; j < t->n_tokens; j++) {
        float dot = 0;
        for (size_t d = 0; d < dim; d++) dot += qkv_at(t, bf16, row, q + d) * qkv_at(t, bf16, j, k + d);
        scores[j] = dot * t->scale;
    }
    softmax(scores, t->n_tokens, t->seen);
    for (size_t d = 0; d < dim; d++) {
        float sum = 0;
        for (size_t j = 0; j < t->n_tokens; j++) sum += scores[j] * qkv_at(t, bf16, j, v + d);
        const size_t at = row * t->ldo + head * dim + d;
        if (bf16)
            ((uint16_t *)t->out)[at] = hti_bf16_from_float(sum);
        else
            ((float *)t->out)[at] = sum;
    }
}

static void attend_rows(const hti_attention *t, bool bf16)
{
    for (size_t head = 0; head < t->n_heads; head++)
        for (size_t row = 0; row < t->n_tokens; row++) attend_row(t, bf16, row, head);
}

static void attend(const hti_attention *t) { attend_rows(t, false); }
static void attend_bf16(const hti_attention *t) { attend_rows(t, true); }

static void norm(const hti_norm *n)
{
    for (size_t row = 0; row < n->n_rows; row++) {
        float *x = n->x + row * n->ld, mean = 0, variance = 0;
        for (size_t j = 0; j < n->width; j++) mean += x[j];
        mean /= (float)n->width;
        for (size_t j = 0; j < n->width; j++) variance += (x[j] - mean) * (x[j] - mean);
        const float inverse = 1.0f / sqrtf(variance / (float)n->width + n->eps);
        for (size_t j = 0; j < n->width; j++) x[j] = (x[j] - mean) * inverse * n->weight[j] + n->bias[j];
        for (size_t j = 0; n->rounded && j < hti_panel_round(n->width); j++)
            n->rounded[row * n->ld + j] = j < n->width ? hti_bf16_from_float(x[j]) : 0;
    }
}

static void normalise(float *x, size_t n)
{
    float squares = 0;
    for (size_t j = 0; j < n; j++) squares += x[j] * x[j];
    const float inverse = 1.0f / fmaxf(sqrtf(squares), HTI_NORM_FLOOR);
    for (size_t j = 0; j < n; j++) x[j] *= inverse;
}

static void finish(const hti_finish *f)
{
    const size_t n_pooled = f->pool_first ? HTI_MIN(f->n_tokens, (size_t)1) : f->n_tokens;
    for (size_t j = 0; j < f->dim; j++) {
        float sum = 0;
        for (size_t i = 0; i < n_pooled; i++) sum += f->hidden[i * f->ld + j];
        f->pooled[j] = n_pooled ? sum / (float)n_pooled : 0.0f;
    }
    normalise(f->pooled, f->dim);
    float *out = f->vectors;
    for (size_t i = 0; out && i < f->n_tokens; i++) {
        if (f->keep && !f->keep[i]) continue;
        memcpy(out, f->hidden + i * f->ld, f->dim * sizeof *out);
        normalise(out, f->dim);
        for (size_t j = 0; j < f->dim && f->mix > 0; j++) out[j] += f->mix * f->pooled[j];
        if (f->mix > 0) normalise(out, f->dim);
        out += f->dim;
    }
}

static void exp_of(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] < -87.0f ? 0.0f : expf(x[i]);
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = gelu_of(x[i]);
}

const hti_encoder_kernels hti_math_scalar = {
    .name = "scalar",
    .widen = widen,
    .pack = pack,
    .pack_bf16 = pack_bf16,
    .gemm = gemm,
    .gemm_bf16 = gemm_bf16,
    .attend = attend,
    .attend_bf16 = attend_bf16,
    .norm = norm,
    .finish = finish,
    .exp = exp_of,
    .gelu = gelu,
    .gelu_bf16 = gelu,
};
