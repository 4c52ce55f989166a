/*
 * math_avx2.c - the encoder table for AVX2 with FMA and F16C.
 */
#include "math_ymm.h"

#define GEMM_ROWS 6
#define GEMM_BLOCKS 1
#include "gemm_lanes.h"

const hti_encoder_kernels hti_math_avx2 = {.name = "avx2", HTI_LANES_TABLE};
