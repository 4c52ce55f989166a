/*
 * bits.c - bit counting, half floats and hashing.
 *
 * Easy to get wrong: halves below 2^-14 are subnormal and NaN must stay NaN after rounding.
 */
#include "bits.h"

#include "alloc.h"

#define XXH_INLINE_ALL /* the header alone: no run-time dependency, and the state may be embedded */
#include <xxhash.h>

size_t hti_bits_count(const uint64_t *bits, size_t n_bits)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bits / 64; i++) n += (size_t)__builtin_popcountll(bits[i]);
    if (n_bits % 64) n += (size_t)__builtin_popcountll(bits[n_bits / 64] & (((uint64_t)1 << (n_bits % 64)) - 1));
    return n;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float hti_half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3FF;
    if (exponent == 0) { /* zero or subnormal: mantissa * 2^-24 */
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 31) return float_of_bits(sign | 0x7F800000u | mantissa << 13);
    return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t hti_half_from_float(float value)
{
    const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00); /* rounds to 65536 or more */
    if (magnitude < 0x38800000) {                                  /* subnormal: let the adder round */
        const float scaled = float_of_bits(magnitude) + 0.5f;      /* 0.5 has its last bit at 2^-24 */
        return (uint16_t)(sign | (bits_of_float(scaled) - 0x3F000000));
    }
    const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

float hti_bf16_to_float(uint16_t bf16) { return float_of_bits((uint32_t)bf16 << 16); }

uint16_t hti_bf16_from_float(float value)
{
    const uint32_t bits = bits_of_float(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

uint64_t hti_hash(const void *data, size_t len) { return XXH3_64bits(len ? data : "", len); }

struct hti_hasher {
    XXH3_state_t state;
};

hti_hasher *hti_hasher_new(void)
{
    hti_hasher *hasher = HTI_NEW(hti_hasher);
    if (hasher) (void)XXH3_64bits_reset(&hasher->state);
    return hasher;
}

void hti_hasher_add(hti_hasher *hasher, const void *data, size_t len)
{
    if (len) (void)XXH3_64bits_update(&hasher->state, data, len);
}

uint64_t hti_hasher_finish(const hti_hasher *hasher) { return XXH3_64bits_digest(&hasher->state); }

void hti_hasher_finish128(const hti_hasher *hasher, uint64_t *low, uint64_t *high)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(&hasher->state); /* the state is the same for both widths */
    *low = hash.low64;
    *high = hash.high64;
}

void hti_hasher_free(hti_hasher *hasher) { hti_free(hasher); }
