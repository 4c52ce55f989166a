/*
 * maxsim_zmm.h - v16 as one 512-bit register, for the tables that have AVX-512 (see maxsim_lanes.h).
 */
#ifndef HTI_KERNEL_MAXSIM_ZMM_H
#define HTI_KERNEL_MAXSIM_ZMM_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define LANES_ROWS 6
#define LANES_BLOCKS 2

typedef __m512 v16;
typedef __m512i v16i;
#define V16_OP static inline __attribute__((always_inline))

V16_OP v16 v16_load(const float *at) { return _mm512_loadu_ps(at); }
V16_OP void v16_store(float *at, v16 v) { _mm512_storeu_ps(at, v); }
V16_OP v16 v16_splat(float value) { return _mm512_set1_ps(value); }
V16_OP v16 v16_max(v16 now, v16 best) { return _mm512_max_ps(now, best); }
V16_OP v16 v16_abs(v16 v) { return _mm512_abs_ps(v); }
V16_OP v16 v16_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
V16_OP v16 v16_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
V16_OP v16 v16_load_half(const uint16_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}
V16_OP void v16_store_half(uint16_t *at, v16 v)
{
    _mm256_storeu_si256((__m256i *)(void *)at, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* Rounds half to even, clamps to [-127, 127], adds 128, narrows to bytes. */
V16_OP void v16_store_codes(uint8_t *at, v16 v)
{
    const v16 clamped = _mm512_max_ps(_mm512_min_ps(v, _mm512_set1_ps(127.0f)), _mm512_set1_ps(-127.0f));
    const __m512i codes = _mm512_add_epi32(_mm512_cvtps_epi32(clamped), _mm512_set1_epi32(128));
    _mm_storeu_si128((__m128i *)(void *)at, _mm512_cvtepi32_epi8(codes));
}

V16_OP float v16_largest(v16 v) { return _mm512_reduce_max_ps(v); }

/* lane l + lane l+8, then +4, +2, +1 */
V16_OP float v16_sum(v16 v)
{
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

V16_OP v16i v16i_splat(uint32_t value) { return _mm512_set1_epi32((int)value); }
V16_OP void v16i_store(uint32_t *at, v16i v) { _mm512_storeu_si512(at, v); }

/* Lanes where now > best take now and the row number. */
V16_OP void v16_take_best(v16 now, uint32_t row, v16 *best, v16i *from)
{
    const __mmask16 better = _mm512_cmp_ps_mask(now, *best, _CMP_GT_OQ);
    *best = _mm512_mask_mov_ps(*best, better, now);
    *from = _mm512_mask_mov_epi32(*from, better, _mm512_set1_epi32((int)row));
}

#endif
