/*
 * math_table.c - which encoder table this machine gets.
 *
 * Easy to get wrong: AMX alone is not enough for the bf16 table, it rounds with AVX512_BF16, which a hypervisor may
 * hide; then the machine counts as AVX-512 here.
 */
#include "math_int.h"

#if HTI_MATH_X86
static const hti_encoder_kernels *amx_table(void)
{
    return __builtin_cpu_supports("avx512bf16") ? &hti_math_amx : &hti_math_avx512;
}
#endif

const hti_encoder_kernels *hti_encoder_kernels_at(hti_cpu level)
{
    if (level > hti_cpu_level()) return NULL;
    switch (level) {
#if HTI_MATH_X86
    case HTI_CPU_AVX2: return &hti_math_avx2;
    case HTI_CPU_AVX512: return &hti_math_avx512;
    case HTI_CPU_AMX: return amx_table();
#endif
    default: return &hti_math_scalar;
    }
}

const hti_encoder_kernels *hti_encoder_kernels_get(void) { return hti_encoder_kernels_at(hti_cpu_level()); }

/* Per head: keys and values as panels (f32 keys: [keys, head_dim]; bf16: keys and values), then scores and weights. */
size_t hti_attention_scratch(size_t n_tokens, size_t head_dim)
{
    const size_t keys = hti_keys_round(n_tokens);
    const size_t packed = hti_mul(hti_mul(keys, head_dim), sizeof(float));
    const size_t scores = hti_mul(hti_mul(keys, HTI_SCORE_ROWS), sizeof(float) + sizeof(uint16_t));
    return hti_add(packed, scores);
}
