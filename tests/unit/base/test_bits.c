/*
 * test_bits.c - bit sets, little-endian numbers, half floats (all of them), hashes and random numbers.
 *
 * Oracles: half floats are computed here from their definition in double; hashes and random numbers are
 * compared with values of XXH3's and SplitMix64's reference programs.
 */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_bit_sets(void **unused)
{
    (void)unused;
    enum { N = 1000 };
    uint64_t bits[(N + 63) / 64] = {0}, random = 9;
    bool naive[N] = {false};
    assert_int_equal(hti_bits_words(0), 0);
    assert_int_equal(hti_bits_words(64), 1);
    assert_int_equal(hti_bits_words(65), 2);
    for (int step = 0; step < 5000; step++) {
        const size_t at = hti_random_next(&random) % N;
        naive[at] = hti_random_next(&random) % 2;
        if (naive[at])
            hti_bits_set(bits, at);
        else
            hti_bits_clear(bits, at);
    }
    size_t count = 0;
    for (size_t n = 0; n < N; n++) {
        assert_int_equal(hti_bits_count(bits, n), count); /* bits behind the end do not count */
        assert_int_equal(hti_bits_get(bits, n), naive[n]);
        count += naive[n];
    }
}

static void test_little_endian(void **unused)
{
    (void)unused;
    unsigned char bytes[16] = {0};
    hti_put_u64(bytes + 3, 0x0123456789ABCDEFULL);
    const unsigned char expected[8] = {0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01};
    assert_memory_equal(bytes + 3, expected, 8);
    assert_true(hti_get_u64(bytes + 3) == 0x0123456789ABCDEFULL);
    assert_int_equal(hti_get_u32(bytes + 3), 0x89ABCDEF);
    assert_int_equal(hti_get_u16(bytes + 3), 0xCDEF);
    hti_put_u16(bytes + 1, 0xFEDC);
    assert_int_equal(bytes[1], 0xDC);
    assert_int_equal(bytes[2], 0xFE);
    assert_int_equal(bytes[3], 0xEF);
    hti_put_f32(bytes + 5, -0.15625f); /* 0xBE200000 */
    assert_int_equal(hti_get_u32(bytes + 5), 0xBE200000);
    assert_true(hti_get_f32(bytes + 5) == -0.15625f);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Value of a finite half by definition. */
static double half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, mantissa = half & 0x3FF;
    const double magnitude = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half_to_float_and_back(void **unused)
{
    (void)unused;
    for (uint32_t half = 0; half < 65536; half++) {
        const float value = hti_half_to_float((uint16_t)half);
        const bool special = (half >> 10 & 31) == 31;
        if (special && (half & 0x3FF)) {
            assert_true(isnan(value));
            assert_true(isnan(hti_half_to_float(hti_half_from_float(value))));
            continue;
        }
        if (special)
            assert_true(isinf(value) && !!signbit(value) == (int)(half >> 15));
        else
            assert_true((double)value == half_value((uint16_t)half) && !!signbit(value) == (int)(half >> 15));
        assert_int_equal(hti_half_from_float(value), half);
    }
}

/* Nearest half by looking at both neighbours in double; ties go to the even one. */
static uint16_t nearest_half(float value)
{
    const double magnitude = fabs((double)value);
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (magnitude >= 65520.0) return sign | 0x7C00; /* half way between 65504 and 65536, which is even */
    uint32_t low = 0, high = 0x7BFF;
    while (low < high) { /* largest half not above */
        const uint32_t middle = (low + high + 1) / 2;
        if (half_value((uint16_t)middle) <= magnitude)
            low = middle;
        else
            high = middle - 1;
    }
    if (low == 0x7BFF) return (uint16_t)(sign | low);
    const double below = magnitude - half_value((uint16_t)low), above = half_value((uint16_t)(low + 1)) - magnitude;
    const uint32_t nearest = below < above || (below == above && low % 2 == 0) ? low : low + 1;
    return (uint16_t)(sign | nearest);
}

static void check_half_of(float value)
{
    if (hti_half_from_float(value) != nearest_half(value))
        fail_msg("half of %a: %04x, should be %04x", (double)value, hti_half_from_float(value), nearest_half(value));
}

static void test_float_to_half_rounds_to_nearest_even(void **unused)
{
    (void)unused;
    for (uint32_t half = 0; half < 0x7BFF; half++) { /* around every tie between neighbours */
        const float tie = (float)((half_value((uint16_t)half) + half_value((uint16_t)(half + 1))) / 2);
        const uint32_t bits = bits_of(tie);
        check_half_of(tie);
        check_half_of(-tie);
        check_half_of(float_of(bits + 1));
        if (bits) check_half_of(float_of(bits - 1));
    }
    uint64_t random = 5;
    for (int i = 0; i < 300000; i++) {
        const float value = float_of((uint32_t)hti_random_next(&random));
        if (!isnan(value)) check_half_of(value);
    }
    const float edges[] = {65504.0f, 65519.99f, 65520.0f, 65536.0f,        1e30f,
                           INFINITY, 0x1p-24f,  0x1p-25f, 0x1.000002p-25f, 0x1p-149f};
    for (size_t i = 0; i < HTI_LEN(edges); i++) check_half_of(edges[i]);
}

static void test_every_bf16_to_float_and_back(void **unused)
{
    (void)unused;
    for (uint32_t bf16 = 0; bf16 < 65536; bf16++) {
        const float value = hti_bf16_to_float((uint16_t)bf16);
        assert_int_equal(bits_of(value), bf16 << 16);
        if (isnan(value))
            assert_true(isnan(hti_bf16_to_float(hti_bf16_from_float(value))));
        else
            assert_int_equal(hti_bf16_from_float(value), bf16);
    }
    assert_true(isnan(hti_bf16_to_float(hti_bf16_from_float(float_of(0x7F800001))))); /* no NaN becomes infinity */
    assert_true(isnan(hti_bf16_to_float(hti_bf16_from_float(float_of(0xFFFFFFFF)))));
}

static void test_float_to_bf16_rounds_to_nearest_even(void **unused)
{
    (void)unused;
    uint64_t random = 6;
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)hti_random_next(&random);
        if (i % 2) bits = (bits & 0xFFFF0000) | 0x8000; /* exact ties */
        const float value = float_of(bits);
        if (!isfinite(value)) continue;
        const uint16_t low = (uint16_t)(bits >> 16), high = (uint16_t)(low + 1);
        /* Above the largest bf16 the next step counts as a finite number for rounding (IEEE 754, 4.3.1). */
        const double at_low = (double)float_of((uint32_t)low << 16), step = ldexp(1.0, ilogb((double)value) - 7);
        const double limit = (bits & 0x7F800000) ? fabs(at_low) + step : fabs((double)float_of((uint32_t)high << 16));
        const double below = fabs((double)value) - fabs(at_low), above = limit - fabs((double)value);
        const uint16_t expected = below < above || (below == above && low % 2 == 0) ? low : high;
        if (hti_bf16_from_float(value) != expected) fail_msg("bf16 of %a", (double)value);
    }
}

static void test_hashes(void **unused)
{
    (void)unused; /* values of the reference library (xxhash 3.5 for Python), a length for each of its code paths */
    static unsigned char ramp[1000];
    for (size_t i = 0; i < sizeof ramp; i++) ramp[i] = (unsigned char)(i * 7);
    assert_true(hti_hash(NULL, 0) == 0x2D06800538D394C2ULL);
    assert_true(hti_hash("", 0) == 0x2D06800538D394C2ULL);
    assert_true(hti_hash("a", 1) == 0xE6C632B61E964E1FULL);
    assert_true(hti_hash("xxhash", 6) == 0xAA4C2B42AE6B13DEULL);
    assert_true(hti_hash(ramp, sizeof ramp) == 0x10AD30264426C830ULL);
}

static void test_hash_of_parts_equals_the_whole(void **unused)
{
    (void)unused;
    enum { MAX = 3000 };
    static unsigned char data[MAX];
    uint64_t random = 8;
    for (size_t i = 0; i < MAX; i++) data[i] = (unsigned char)hti_random_next(&random);
    for (size_t len = 0; len < MAX; len += 1 + len / 40) {
        hti_hasher *hasher = hti_hasher_new();
        assert_non_null(hasher);
        for (size_t at = 0; at < len;) {
            const size_t wanted = hti_random_next(&random) % 400, part = HTI_MIN(len - at, wanted);
            hti_hasher_add(hasher, data + at, part);
            at += part;
            (void)hti_hasher_finish(hasher); /* asking in between changes nothing */
        }
        hti_hasher_add(hasher, NULL, 0);
        assert_true(hti_hasher_finish(hasher) == hti_hash(data, len));
        hti_hasher_free(hasher);
    }
}

static void test_random_numbers(void **unused)
{
    (void)unused;
    uint64_t state = 1234567; /* the published first values of SplitMix64 for this seed */
    const uint64_t expected[] = {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                                 4593380528125082431ULL, 16408922859458223821ULL};
    for (size_t i = 0; i < HTI_LEN(expected); i++) assert_true(hti_random_next(&state) == expected[i]);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        const double unit = hti_random_unit(&state);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bit_sets),
        cmocka_unit_test(test_little_endian),
        cmocka_unit_test(test_every_half_to_float_and_back),
        cmocka_unit_test(test_float_to_half_rounds_to_nearest_even),
        cmocka_unit_test(test_every_bf16_to_float_and_back),
        cmocka_unit_test(test_float_to_bf16_rounds_to_nearest_even),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_hash_of_parts_equals_the_whole),
        cmocka_unit_test(test_random_numbers),
    };
    return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
