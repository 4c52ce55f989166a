/*
 * bits.h - bit sets, half floats, hashes and seeded random numbers: small pure functions.
 */
#ifndef HTI_BASE_BITS_H
#define HTI_BASE_BITS_H

#include "status.h"

#include <string.h>

/* Bit sets are plain words, bit i in word i / 64; the owner keeps the length. */
static inline size_t hti_bits_words(size_t n_bits) { return n_bits / 64 + (n_bits % 64 != 0); }
static inline bool hti_bits_get(const uint64_t *bits, size_t at) { return bits[at / 64] >> (at % 64) & 1; }
static inline void hti_bits_set(uint64_t *bits, size_t at) { bits[at / 64] |= (uint64_t)1 << (at % 64); }
static inline void hti_bits_clear(uint64_t *bits, size_t at) { bits[at / 64] &= ~((uint64_t)1 << (at % 64)); }
size_t hti_bits_count(const uint64_t *bits, size_t n_bits);

/* Little-endian fixed width, any alignment: every number in our files goes through these. */
static inline uint16_t hti_get_u16(const void *at)
{
    const unsigned char *b = at;
    return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t hti_get_u32(const void *at)
{
    const unsigned char *b = at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t hti_get_u64(const void *at)
{
    return hti_get_u32(at) | (uint64_t)hti_get_u32((const char *)at + 4) << 32;
}
static inline void hti_put_u16(void *at, uint16_t value)
{
    unsigned char *b = at;
    b[0] = (unsigned char)value;
    b[1] = (unsigned char)(value >> 8);
}
static inline void hti_put_u32(void *at, uint32_t value)
{
    hti_put_u16(at, (uint16_t)value);
    hti_put_u16((char *)at + 2, (uint16_t)(value >> 16));
}
static inline void hti_put_u64(void *at, uint64_t value)
{
    hti_put_u32(at, (uint32_t)value);
    hti_put_u32((char *)at + 4, (uint32_t)(value >> 32));
}
static inline float hti_get_f32(const void *at)
{
    const uint32_t bits = hti_get_u32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline void hti_put_f32(void *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    hti_put_u32(at, bits);
}

/* IEEE binary16 and bfloat16 to and from float; rounding is to nearest, ties to even. */
float hti_half_to_float(uint16_t half);
uint16_t hti_half_from_float(float value);
float hti_bf16_to_float(uint16_t bf16);
uint16_t hti_bf16_from_float(float value);

/* XXH3, 64 bits, seed 0: checksums of our files and keys of our maps. */
uint64_t hti_hash(const void *data, size_t len);
/* The same over parts. Opaque; free it also on error paths. */
typedef struct hti_hasher hti_hasher;
HT_CHECKED hti_hasher *hti_hasher_new(void);
void hti_hasher_add(hti_hasher *hasher, const void *data, size_t len);
uint64_t hti_hasher_finish(const hti_hasher *hasher);
/* XXH3 of 128 bits over the same. */
void hti_hasher_finish128(const hti_hasher *hasher, uint64_t *low, uint64_t *high);
void hti_hasher_free(hti_hasher *hasher);

/* SplitMix64 (Steele, Lea, Flood 2014): a counter generator, so sequences split and repeat exactly. */
static inline uint64_t hti_random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}
/* Uniform in [0, 1) with 53 bits. */
static inline double hti_random_unit(uint64_t *state) { return (double)(hti_random_next(state) >> 11) * 0x1p-53; }

#endif
