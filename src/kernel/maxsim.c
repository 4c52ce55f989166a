/*
 * maxsim.c - which maxsim table this machine gets.
 */
#include "maxsim_int.h"

const hti_maxsim_kernels *hti_maxsim_at(hti_cpu level)
{
    switch (level) {
#if HTI_MAXSIM_X86
    case HTI_CPU_AVX2: return &hti_maxsim_avx2;
    case HTI_CPU_AVX512: return &hti_maxsim_avx512;
    case HTI_CPU_AMX: return &hti_maxsim_amx;
#endif
    case HTI_CPU_SCALAR: return &hti_maxsim_scalar;
    default: return NULL;
    }
}

const hti_maxsim_kernels *hti_maxsim(void)
{
    const hti_maxsim_kernels *table = hti_maxsim_at(hti_cpu_level());
    return table ? table : &hti_maxsim_scalar;
}
