/*
 * math_lanes.h - the row operations of an encoder table, as a template over v16 (math_zmm.h or math_ymm.h).
 *
 * Workload: 512 rows of 384 floats between two matrix products; everything is in L2, so the aim is few passes.
 * Easy to get wrong: sums run over 16 lanes and one tree whatever the register width, or AVX2 and AVX-512 would part.
 */
#ifndef HTI_KERNEL_MATH_LANES_H
#define HTI_KERNEL_MATH_LANES_H

#include "math_int.h"

#include <math.h>
#include <string.h>

/* ---- functions of one number ---- */

#define V16_POLY(name, coefficients)                                                                               \
    HTI_INLINE v16 name(v16 x)                                                                                     \
    {                                                                                                              \
        const float c[] = coefficients;                                                                            \
        v16 sum = v16_splat(c[HTI_LEN(c) - 1]);                                                                    \
        _Pragma("GCC unroll 16") for (size_t i = HTI_LEN(c) - 1; i-- > 0;) sum = v16_fma(sum, x, v16_splat(c[i])); \
        return sum;                                                                                                \
    }
#define COEFFICIENTS(...) __VA_ARGS__
V16_POLY(exp_poly, COEFFICIENTS(HTI_EXP_POLY))
V16_POLY(erf_low_poly, COEFFICIENTS(HTI_ERF_LOW_POLY))
V16_POLY(erf_high_poly, COEFFICIENTS(HTI_ERF_HIGH_POLY))
V16_POLY(phi_poly, COEFFICIENTS(HTI_PHI_POLY))

/* e^x for x <= 0: 2^n e^r with r = x - n ln 2 in two steps (Cody and Waite); 0 below -87, where floats end. */
HTI_INLINE v16 v16_exp(v16 x)
{
    const v16 floor = v16_splat(-87.0f), at = v16_max(x, floor);
    const v16 n = v16_round(v16_mul(at, v16_splat(0x1.715476p+0f)));
    const v16 r = v16_fma(n, v16_splat(-0x1.7f7d1cp-20f), v16_fma(n, v16_splat(-0x1.62e4p-1f), at));
    return v16_pick(x, floor, v16_splat(0.0f), v16_power(exp_poly(r), n));
}

/* Below 1 an odd polynomial, above 1 - exp of a fit of ln(1 - erf): neither loses digits. */
HTI_INLINE v16 v16_erf(v16 x)
{
    const v16 one = v16_splat(1.0f), t = v16_min(v16_abs(x), v16_splat(4.0f));
    const v16 low = v16_fma(erf_low_poly(v16_mul(t, t)), t, t);
    const v16 high = v16_sub(one, v16_exp(erf_high_poly(t)));
    return v16_sign(v16_pick(t, one, low, high), x);
}

HTI_INLINE v16 v16_gelu(v16 x)
{
    const v16 half = v16_mul(x, v16_splat(0.5f));
    return v16_fma(half, v16_erf(v16_mul(x, v16_splat(0x1.6a09e6p-1f))), half);
}

/* x Phi(x), where the result is rounded to bf16: a clamped polynomial, no exponential. */
HTI_INLINE v16 v16_gelu_short(v16 x)
{
    const v16 at = v16_max(v16_min(x, v16_splat(HTI_PHI_END)), v16_splat(-HTI_PHI_END));
    return v16_mul(x, v16_fma(at, phi_poly(v16_mul(at, at)), v16_splat(0.5f)));
}

/* ---- rows whose width is no multiple of 16 ---- */

HTI_INLINE v16 v16_load_part(const float *p, size_t n)
{
    if (n >= 16) return v16_load(p);
    float lanes[16] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return v16_load(lanes);
}

HTI_INLINE void v16_store_part(float *p, size_t n, v16 x)
{
    float lanes[16];
    v16_store(n >= 16 ? p : lanes, x);
    if (n < 16) memcpy(p, lanes, n * sizeof *p);
}

#define V16_MAP(name, function)                                                                                 \
    static void name(float *x, size_t n)                                                                        \
    {                                                                                                           \
        for (size_t i = 0; i < n; i += 16) v16_store_part(x + i, n - i, function(v16_load_part(x + i, n - i))); \
    }
V16_MAP(exp_row, v16_exp)
V16_MAP(gelu_row, v16_gelu)
V16_MAP(gelu_short_row, v16_gelu_short)

HTI_INLINE v16 widen_16(const void *in, hti_element type, size_t i)
{
    const char *bytes = in;
    if (type == HTI_ELEMENT_F16) return v16_load_f16(bytes + 2 * i);
    if (type == HTI_ELEMENT_BF16) return v16_load_bf16(bytes + 2 * i);
    float lanes[16];
    memcpy(lanes, bytes + 4 * i, sizeof lanes);
    return v16_load(lanes);
}

static void widen(const void *in, hti_element type, size_t n, const float *add, float *out)
{
    const size_t size = type == HTI_ELEMENT_F32 ? 4 : 2;
    for (size_t i = 0; i < n; i += 16) {
        const size_t left = n - i;
        char lanes[64] = {0};
        if (left < 16) memcpy(lanes, (const char *)in + i * size, left * size);
        v16 x = left < 16 ? widen_16(lanes, type, 0) : widen_16(in, type, i);
        if (add) x = v16_add(x, v16_load_part(add + i, left));
        v16_store_part(out + i, left, x);
    }
}

/* ---- layer norm ---- */

/* Lanes at and behind `n` of x become 0. */
HTI_INLINE v16 v16_first(v16 x, size_t n)
{
    if (n >= 16) return x;
    float lanes[16];
    v16_store(lanes, x);
    return v16_load_part(lanes, n);
}

#ifndef V16_STORE_BF16
#define V16_STORE_BF16(p, x) round_16(p, x)
/* To nearest, ties to even; as AVX-512's own instruction, except that it keeps tiny numbers. */
HTI_INLINE void round_16(uint16_t *p, v16 x)
{
    float lanes[16];
    v16_store(lanes, x);
    for (size_t i = 0; i < 16; i++) p[i] = hti_bf16_from_float(lanes[i]);
}
#endif

static void norm_row(const hti_norm *n, float *x, uint16_t *rounded)
{
    v16 sum = v16_splat(0.0f), squares = sum;
    for (size_t j = 0; j < n->width; j += 16) sum = v16_add(sum, v16_load_part(x + j, n->width - j));
    const v16 mean = v16_splat(v16_sum(sum) / (float)n->width);
    for (size_t j = 0; j < n->width; j += 16) {
        const v16 d = v16_first(v16_sub(v16_load_part(x + j, n->width - j), mean), n->width - j);
        squares = v16_fma(d, d, squares);
    }
    const v16 inverse = v16_splat(1.0f / sqrtf(v16_sum(squares) / (float)n->width + n->eps));
    for (size_t j = 0; j < n->width; j += 16) {
        const size_t left = n->width - j;
        const v16 d = v16_mul(v16_sub(v16_load_part(x + j, left), mean), inverse);
        const v16 y = v16_fma(d, v16_load_part(n->weight + j, left), v16_load_part(n->bias + j, left));
        v16_store_part(x + j, left, y);
        if (rounded) V16_STORE_BF16(rounded + j, v16_first(y, left));
    }
}

static void norm(const hti_norm *n)
{
    const size_t written = (n->width + 15) / 16 * 16, padded = hti_panel_round(n->width);
    for (size_t row = 0; row < n->n_rows; row++) {
        uint16_t *rounded = n->rounded ? n->rounded + row * n->ld : NULL;
        norm_row(n, n->x + row * n->ld, rounded);
        if (rounded && written < padded) memset(rounded + written, 0, (padded - written) * sizeof *rounded);
    }
}

/* ---- token vectors ---- */

HTI_INLINE v16 inverse_norm(v16 squares) { return v16_splat(1.0f / fmaxf(sqrtf(v16_sum(squares)), HTI_NORM_FLOOR)); }

static void pool(const hti_finish *f)
{
    const size_t n = f->pool_first ? HTI_MIN(f->n_tokens, (size_t)1) : f->n_tokens;
    const v16 share = v16_splat(n ? 1.0f / (float)n : 0.0f);
    v16 squares = v16_splat(0.0f);
    for (size_t j = 0; j < f->dim; j += 16) {
        v16 sum = v16_splat(0.0f);
        for (size_t i = 0; i < n; i++) sum = v16_add(sum, v16_load_part(f->hidden + i * f->ld + j, f->dim - j));
        const v16 mean = v16_mul(sum, share);
        squares = v16_fma(mean, mean, squares);
        v16_store_part(f->pooled + j, f->dim - j, mean);
    }
    const v16 inverse = inverse_norm(squares);
    for (size_t j = 0; j < f->dim; j += 16) {
        const size_t left = f->dim - j;
        v16_store_part(f->pooled + j, left, v16_mul(v16_load_part(f->pooled + j, left), inverse));
    }
}

static void finish_row(const hti_finish *f, const float *h, float *out)
{
    v16 squares = v16_splat(0.0f);
    for (size_t j = 0; j < f->dim; j += 16) {
        const v16 x = v16_load_part(h + j, f->dim - j);
        squares = v16_fma(x, x, squares);
    }
    v16 inverse = inverse_norm(squares);
    const v16 mix = v16_splat(f->mix);
    squares = v16_splat(0.0f);
    for (size_t j = 0; j < f->dim; j += 16) {
        const size_t left = f->dim - j;
        v16 u = v16_mul(v16_load_part(h + j, left), inverse);
        if (f->mix > 0) u = v16_fma(mix, v16_load_part(f->pooled + j, left), u);
        squares = v16_fma(u, u, squares);
        v16_store_part(out + j, left, u);
    }
    if (!(f->mix > 0)) return;
    inverse = inverse_norm(squares);
    for (size_t j = 0; j < f->dim; j += 16)
        v16_store_part(out + j, f->dim - j, v16_mul(v16_load_part(out + j, f->dim - j), inverse));
}

static void finish(const hti_finish *f)
{
    pool(f);
    float *out = f->vectors;
    for (size_t i = 0; out && i < f->n_tokens; i++) {
        if (f->keep && !f->keep[i]) continue;
        finish_row(f, f->hidden + i * f->ld, out);
        out += f->dim;
    }
}

#endif
