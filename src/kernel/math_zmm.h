/*
 * math_zmm.h - v16, sixteen float lanes, as one 512-bit register. Its twin is math_ymm.h.
 */
#ifndef HTI_KERNEL_MATH_ZMM_H
#define HTI_KERNEL_MATH_ZMM_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define HTI_INLINE static inline __attribute__((always_inline))

typedef __m512 v16;

HTI_INLINE v16 v16_load(const float *p) { return _mm512_loadu_ps(p); }
HTI_INLINE void v16_store(float *p, v16 x) { _mm512_storeu_ps(p, x); }
HTI_INLINE v16 v16_splat(float x) { return _mm512_set1_ps(x); }
HTI_INLINE v16 v16_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
HTI_INLINE v16 v16_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
HTI_INLINE v16 v16_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
HTI_INLINE v16 v16_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
HTI_INLINE v16 v16_min(v16 a, v16 b) { return _mm512_min_ps(a, b); }
/* a b + c, rounded once. */
HTI_INLINE v16 v16_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
HTI_INLINE v16 v16_abs(v16 a) { return _mm512_abs_ps(a); }
HTI_INLINE v16 v16_round(v16 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* if_less where a < b, else otherwise. */
HTI_INLINE v16 v16_pick(v16 a, v16 b, v16 if_less, v16 otherwise)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, if_less);
}
/* |a| with the sign of b. */
HTI_INLINE v16 v16_sign(v16 a, v16 b)
{
    const __m512i sign = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(sign, _mm512_castps_si512(b), _mm512_castps_si512(a), 0xCA));
}
/* a 2^n for whole n and a normal result. */
HTI_INLINE v16 v16_power(v16 a, v16 n)
{
    const __m512i shift = _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), shift));
}
HTI_INLINE v16 v16_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
HTI_INLINE v16 v16_load_bf16(const void *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/* Lanes i and i + 8, then i and i + 4, + 2, + 1: the tree of math_ymm.h too. */
HTI_INLINE float v16_fold(__m256 x)
{
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}
HTI_INLINE float v16_sum(v16 a)
{
    return v16_fold(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}
HTI_INLINE float v16_largest(v16 a) { return _mm512_reduce_max_ps(a); }

/* out[i * ldo + j] = in[j * ldi + i] for 16 x 16 words, in three rounds of exchanges. */
HTI_INLINE void v16_transpose(const void *in, size_t ldi, void *out, size_t ldo)
{
    const uint32_t *from = in;
    uint32_t *to = out;
    __m512i r[16], t[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(from + i * ldi);
#pragma GCC unroll 8
    for (size_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88), b = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
        const __m512i c = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
        _mm512_storeu_si512(to + i * ldo, _mm512_shuffle_i32x4(a, c, 0x88));
        _mm512_storeu_si512(to + (i + 8) * ldo, _mm512_shuffle_i32x4(a, c, 0xDD));
        _mm512_storeu_si512(to + (i + 4) * ldo, _mm512_shuffle_i32x4(b, d, 0x88));
        _mm512_storeu_si512(to + (i + 12) * ldo, _mm512_shuffle_i32x4(b, d, 0xDD));
    }
}

#endif
