/*
 * math_avx512.c - the encoder table for AVX-512 (F, BW, DQ, VL).
 */
#include "math_zmm.h"

#define GEMM_ROWS 14
#define GEMM_BLOCKS 2
#include "gemm_lanes.h"

const hti_encoder_kernels hti_math_avx512 = {.name = "avx512", HTI_LANES_TABLE};
