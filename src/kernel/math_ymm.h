/*
 * math_ymm.h - v16, sixteen float lanes, as two 256-bit registers. Its twin is math_zmm.h; both give the same bits.
 */
#ifndef HTI_KERNEL_MATH_YMM_H
#define HTI_KERNEL_MATH_YMM_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define HTI_INLINE static inline __attribute__((always_inline))

typedef struct v16 {
    __m256 low, high;
} v16;

#define V16_EACH(op) ((v16){op(a.low, b.low), op(a.high, b.high)})

HTI_INLINE v16 v16_load(const float *p) { return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
HTI_INLINE void v16_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
HTI_INLINE v16 v16_splat(float x) { return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
HTI_INLINE v16 v16_add(v16 a, v16 b) { return V16_EACH(_mm256_add_ps); }
HTI_INLINE v16 v16_sub(v16 a, v16 b) { return V16_EACH(_mm256_sub_ps); }
HTI_INLINE v16 v16_mul(v16 a, v16 b) { return V16_EACH(_mm256_mul_ps); }
HTI_INLINE v16 v16_max(v16 a, v16 b) { return V16_EACH(_mm256_max_ps); }
HTI_INLINE v16 v16_min(v16 a, v16 b) { return V16_EACH(_mm256_min_ps); }
/* a b + c, rounded once. */
HTI_INLINE v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
HTI_INLINE v16 v16_abs(v16 a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
HTI_INLINE v16 v16_round(v16 a)
{
    return (v16){_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
/* if_less where a < b, else otherwise. */
HTI_INLINE v16 v16_pick(v16 a, v16 b, v16 if_less, v16 otherwise)
{
    return (v16){_mm256_blendv_ps(otherwise.low, if_less.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                 _mm256_blendv_ps(otherwise.high, if_less.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
/* |a| with the sign of b. */
HTI_INLINE v16 v16_sign(v16 a, v16 b)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (v16){_mm256_or_ps(_mm256_andnot_ps(sign, a.low), _mm256_and_ps(sign, b.low)),
                 _mm256_or_ps(_mm256_andnot_ps(sign, a.high), _mm256_and_ps(sign, b.high))};
}
HTI_INLINE __m256 half_power(__m256 a, __m256 n)
{
    const __m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), shift));
}
/* a 2^n for whole n and a normal result. */
HTI_INLINE v16 v16_power(v16 a, v16 n) { return (v16){half_power(a.low, n.low), half_power(a.high, n.high)}; }
HTI_INLINE v16 v16_load_f16(const void *p)
{
    const __m128i *at = p;
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
}
HTI_INLINE __m256 half_bf16(const __m128i *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}
HTI_INLINE v16 v16_load_bf16(const void *p) { return (v16){half_bf16(p), half_bf16((const __m128i *)p + 1)}; }
/* Lanes i and i + 8, then i and i + 4, + 2, + 1: the tree of math_zmm.h too. */
HTI_INLINE float v16_sum(v16 a)
{
    const __m256 x = _mm256_add_ps(a.low, a.high);
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
HTI_INLINE float v16_largest(v16 a)
{
    const __m256 x = _mm256_max_ps(a.low, a.high);
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

HTI_INLINE void transpose_8(const uint32_t *from, size_t ldi, uint32_t *to, size_t ldo)
{
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) r[i] = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(from + i * ldi)));
#pragma GCC unroll 4
    for (size_t i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const __m256 low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        const __m256 high = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        _mm256_storeu_si256((__m256i *)(to + i * ldo), _mm256_castps_si256(low));
        _mm256_storeu_si256((__m256i *)(to + (i + 4) * ldo), _mm256_castps_si256(high));
    }
}
/* out[i * ldo + j] = in[j * ldi + i] for 16 x 16 words. */
HTI_INLINE void v16_transpose(const void *in, size_t ldi, void *out, size_t ldo)
{
    const uint32_t *from = in;
    uint32_t *to = out;
    for (size_t i = 0; i < 16; i += 8)
        for (size_t j = 0; j < 16; j += 8) transpose_8(from + j * ldi + i, ldi, to + i * ldo + j, ldo);
}

#endif
