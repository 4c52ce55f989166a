/*
 * math_int.h - what the encoder tables share: their names, constants and fitted polynomials.
 *
 * Coefficients are our own weighted minimax fits (Lawson iteration over Chebyshev nodes in double), rounded to float.
 */
#ifndef HTI_KERNEL_MATH_INT_H
#define HTI_KERNEL_MATH_INT_H

#include "encoder_kernels.h"

#if defined(__x86_64__)
#define HTI_MATH_X86 1
#else
#define HTI_MATH_X86 0
#endif

extern const hti_encoder_kernels hti_math_scalar, hti_math_avx2, hti_math_avx512, hti_math_amx;

#define HTI_MASKED (-1e30f) /* score of a key that is not seen: exp gives 0, and no NaN if none is seen */
#define HTI_NORM_FLOOR 1e-12f

/* Scratch of attend: packed keys, packed values (bf16), scores and weights of a group of rows. */
enum { HTI_SCORE_ROWS = 16 };

/* Attention works on key counts rounded up to panels. */
static inline size_t hti_keys_round(size_t n_tokens) { return (n_tokens + 31) / 32 * 32; }

/* e^r on |r| <= ln 2 / 2, relative error 2e-9. */
#define HTI_EXP_POLY                                                                                     \
    {                                                                                                    \
        0x1p+0f, 0x1p+0f, 0x1.fffffap-2f, 0x1.55540ap-3f, 0x1.55589ap-5f, 0x1.126d1p-7f, 0x1.6ab976p-10f \
    }
/* erf(t) / t - 1 as a polynomial of t^2 on [0, 1], relative error 1.3e-9. */
#define HTI_ERF_LOW_POLY                                                                                    \
    {                                                                                                       \
        0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2cf8p-4f, -0x1.b7f90cp-6f, 0x1.5405b2p-8f, -0x1.a3f6fcp-11f, \
            0x1.496a28p-14f                                                                                 \
    }
/* ln(1 - erf t) on [0.98, 4], error 1.2e-9 in erf. */
#define HTI_ERF_HIGH_POLY                                                                                    \
    {                                                                                                        \
        -0x1.3b05ap-12f, -0x1.20938ep+0f, -0x1.46989cp-1f, -0x1.a73a94p-4f, 0x1.6778d6p-6f, -0x1.859a9ap-9f, \
            0x1.8bfde8p-13f                                                                                  \
    }
/*
 * (Phi(x) - 1/2) / x as a polynomial of x^2 on |x| <= 4.25, error 1.6e-5 in Phi: enough where the result is
 * rounded to bf16.
 */
#define HTI_PHI_POLY                                                                                       \
    {                                                                                                      \
        0x1.98641p-2f, -0x1.0f1d86p-4f, 0x1.3e76fp-7f, -0x1.1adf7cp-10f, 0x1.7325eep-14f, -0x1.5970cp-18f, \
            0x1.aa84b6p-23f, -0x1.364898p-28f, 0x1.8ff4a4p-35f                                             \
    }
#define HTI_PHI_END 4.25f
/* 2^f on [0, 1), relative error 7.5e-5: enough where the result is rounded to bf16. */
#define HTI_EXP2_POLY                                                  \
    {                                                                  \
        0x1.fff632p-1f, 0x1.64444ap-1f, 0x1.cefc58p-3f, 0x1.3f9694p-4f \
    }

#endif
