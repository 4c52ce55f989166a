/*
 * test_bytes.c - UTF-8 against the definition of a code point, varints at every boundary, the npy header.
 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- UTF-8 ---- */

/*
 * RFC 3629 by definition: the bits of the lead and the continuation bytes give a number; it must need
 * that many bytes, be at most U+10FFFF and no surrogate. 0: not a character.
 */
static size_t naive_len(const unsigned char *at, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = 0;
    if (at[0] < 0x80) return 1;
    while (len < 8 && at[0] & (0x80 >> len)) len++;
    if (len < 2 || len > 4 || len > left) return 0;
    uint32_t code = at[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xBF) return 0;
        code = code << 6 | (at[i] & 0x3F);
    }
    const bool fits = code >= least[len] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return fits ? len : 0;
}

static size_t naive_valid(const unsigned char *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        const size_t n = naive_len(data + at, len - at);
        if (n == 0) break;
        at += n;
    }
    return at;
}

static void check_utf8(const unsigned char *data, size_t len)
{
    const size_t got = hti_utf8_valid((ht_text){(const char *)data, len}), wanted = naive_valid(data, len);
    if (got != wanted)
        fail_msg("%02x %02x %02x %02x (%zu bytes): %zu, not %zu", data[0], data[1], data[2], data[3], len, got, wanted);
}

static void test_utf8_every_edge(void **unused)
{
    (void)unused;
    static const unsigned char tails[] = {0x00, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    enum { N = sizeof tails };
    for (unsigned lead = 0; lead < 256; lead++)
        for (size_t i = 0; i < N * N * N; i++) {
            const unsigned char data[4] = {(unsigned char)lead, tails[i % N], tails[i / N % N], tails[i / N / N]};
            for (size_t len = 1; len <= 4; len++) check_utf8(data, len);
        }
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        const unsigned char data[4] = {(unsigned char)(pair >> 8), (unsigned char)pair, 0, 0};
        check_utf8(data, 2);
    }
}

/* Every code point, encoded, behind 0 to 8 letters; the first byte that breaks a text is found wherever it is. */
static void test_utf8_in_texts(void **unused)
{
    (void)unused;
    unsigned char data[64];
    for (uint32_t code = 0; code <= 0x10FFFF; code += code > 0x3000 ? 7 : 1) {
        if (code >= 0xD800 && code <= 0xDFFF) continue;
        const size_t before = code % 9;
        memset(data, 'a', sizeof data);
        size_t n = before;
        if (code < 0x80) {
            data[n++] = (unsigned char)code;
        } else if (code < 0x800) {
            data[n++] = (unsigned char)(0xC0 | code >> 6);
            data[n++] = (unsigned char)(0x80 | (code & 63));
        } else {
            if (code < 0x10000) data[n++] = (unsigned char)(0xE0 | code >> 12);
            if (code >= 0x10000) data[n++] = (unsigned char)(0xF0 | code >> 18);
            if (code >= 0x10000) data[n++] = (unsigned char)(0x80 | (code >> 12 & 63));
            data[n++] = (unsigned char)(0x80 | (code >> 6 & 63));
            data[n++] = (unsigned char)(0x80 | (code & 63));
        }
        if (hti_utf8_valid((ht_text){(char *)data, 30}) != 30) fail_msg("U+%04X is refused", code);
        for (size_t cut = before + 1; cut < n; cut++)
            if (hti_utf8_valid((ht_text){(char *)data, cut}) != before)
                fail_msg("U+%04X cut to %zu bytes is taken", code, cut - before);
    }
    for (size_t at = 0; at < 40; at++) {
        memset(data, 'a', sizeof data);
        data[at] = 0xFF;
        assert_int_equal(hti_utf8_valid((ht_text){(char *)data, 40}), at);
    }
    assert_int_equal(hti_utf8_valid((ht_text){NULL, 0}), 0);
}

static void test_utf8_random(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    static const unsigned char likely[] = {'a', ' ', 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0};
    for (int i = 0; i < 20000; i++) {
        unsigned char data[40];
        const size_t len = (size_t)(hti_random_next(&state) % sizeof data);
        for (size_t j = 0; j < len; j++) data[j] = likely[hti_random_next(&state) % sizeof likely];
        if (hti_utf8_valid((ht_text){(char *)data, len}) != naive_valid(data, len)) fail_msg("iteration %d", i);
    }
}

/* ---- varints ---- */

static void test_varints(void **unused)
{
    (void)unused;
    unsigned char bytes[HTI_VARINT_MAX + 1];
    for (unsigned shift = 0; shift < 32; shift++)
        for (int step = -1; step <= 1; step++) {
            const uint32_t wanted = ((uint32_t)1 << shift) + (uint32_t)step;
            uint32_t got = ~wanted;
            const size_t n = hti_varint_put(bytes, wanted);
            size_t need = 1;
            while (need < 5 && wanted >> (7 * need)) need++;
            assert_int_equal(n, need);
            assert_ptr_equal(hti_varint_get(bytes, bytes + n, &got), bytes + n);
            assert_int_equal(got, wanted);
            for (size_t cut = 0; cut < n; cut++) assert_null(hti_varint_get(bytes, bytes + cut, &got));
        }
    assert_int_equal(hti_varint_put(bytes, 300), 2); /* the LEB128 of the standard's example */
    assert_true(bytes[0] == 0xAC && bytes[1] == 0x02);
    assert_int_equal(hti_varint_put(bytes, UINT32_MAX), 5);
    uint32_t value;
    static const unsigned char over[] = {0xFF, 0xFF, 0xFF, 0xFF, 0x10},
                               endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    assert_null(hti_varint_get(over, over + 5, &value));
    assert_null(hti_varint_get(endless, endless + 6, &value));
}

/* ---- npy ---- */

static void test_npy_header(void **unused)
{
    (void)unused;
    static const uint64_t shapes[][2] = {{0, 0}, {1, 1}, {10, 384}, {123456789, 128}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < HTI_LEN(shapes); i++) {
        hti_buffer buffer;
        hti_buffer_init(&buffer);
        hti_buffer_text(&buffer, "before"); /* the header need not come first in the buffer */
        hti_npy_header(&buffer, shapes[i][0], shapes[i][1]);
        const unsigned char *head = (const unsigned char *)buffer.data + 6;
        const size_t len = buffer.len - 6;
        char wanted[120];
        (void)snprintf(wanted, sizeof wanted, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %llu), }",
                       (unsigned long long)shapes[i][0], (unsigned long long)shapes[i][1]);
        assert_memory_equal(head, "\x93NUMPY\x01\x00", 8);
        assert_int_equal(head[8] | head[9] << 8, len - 10);
        assert_int_equal(len % 64, 0);
        assert_memory_equal(head + 10, wanted, strlen(wanted));
        for (size_t at = 10 + strlen(wanted); at < len - 1; at++) assert_int_equal(head[at], ' ');
        assert_int_equal(head[len - 1], '\n');
        hti_buffer_deinit(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_every_edge), cmocka_unit_test(test_utf8_in_texts),
        cmocka_unit_test(test_utf8_random),     cmocka_unit_test(test_varints),
        cmocka_unit_test(test_npy_header),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
