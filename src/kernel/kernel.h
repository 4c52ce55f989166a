/*
 * kernel.h - the door of the room of SIMD kernels: one table per instruction set and subject, picked once.
 */
#ifndef HTI_KERNEL_KERNEL_H
#define HTI_KERNEL_KERNEL_H

#include "encoder_kernels.h"
#include "maxsim.h"

#endif
