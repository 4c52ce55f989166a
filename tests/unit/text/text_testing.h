/*
 * text_testing.h - what the tests of this room share: golden files, random text, a check of offsets.
 */
#ifndef HT_TESTS_TEXT_TESTING_H
#define HT_TESTS_TEXT_TESTING_H

#include "codec/codec.h"
#include "text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN HT_TEST_DATA "/golden"

static inline unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static inline void must(ht_status status, const ht_error *err)
{
    if (status != HT_OK) fail_msg("%s: %s", ht_status_name(status), err->message);
}

static inline json_t *load_json(const char *path)
{
    json_t *json;
    ht_error err = {0};
    must(hti_json_load(path, 64u << 20, &json, &err), &err);
    return json;
}

static inline ht_text text_of(const json_t *json)
{
    return (ht_text){json_string_value(json), json_string_length(json)};
}
static inline ht_text text_at(const json_t *object, const char *key) { return text_of(json_object_get(object, key)); }

/* Is `at` the start of a character of valid UTF-8, or the end of the text? */
static inline bool on_boundary(ht_text text, size_t at)
{
    return at == text.len || (at < text.len && ((unsigned char)text.data[at] & 0xC0) != 0x80);
}

/* Appends a random character: often ASCII, sometimes a mark, a letter of some script, or anything. */
static inline void random_char(uint64_t *state, hti_buffer *out)
{
    static const char *const odd[] = {"\u00e9",     "\u0301",     "\u0323",     "\u4e2d",     "\uac00", "\u30a2",
                                      "\u05d0",     "\u200d",     "\ufe0f",     "\U0001f469", "\u0e01", "\u3042",
                                      "\u00df",     "\u2019",     "\u0130",     "\xC2\x85",   "\u00a0", "\u20e3",
                                      "\U0001f1e9", "\U0001f3fd", "\U00010400", "[MASK]"};
    const uint64_t pick = hti_random_next(state);
    if (pick % 100 < 70) {
        static const char ascii[] = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789    \t\n.,:;'\"_-[]#*\x01\x7f";
        hti_buffer_append(out, &ascii[(pick >> 8) % (sizeof ascii - 1)], 1);
    } else if (pick % 100 < 95) {
        hti_buffer_text(out, odd[(pick >> 8) % HTI_LEN(odd)]);
    } else {
        const uint32_t code = (uint32_t)((pick >> 8) % 0xD000 + 0x80); /* two or three bytes */
        char bytes[3];
        size_t n = 0;
        if (code < 0x800) {
            bytes[n++] = (char)(0xC0 | code >> 6);
        } else {
            bytes[n++] = (char)(0xE0 | code >> 12);
            bytes[n++] = (char)(0x80 | (code >> 6 & 0x3F));
        }
        bytes[n++] = (char)(0x80 | (code & 0x3F));
        hti_buffer_append(out, bytes, n);
    }
}

static inline void random_ascii(uint64_t *state, hti_buffer *out, size_t len)
{
    static const char common[] = "abcdefgy ' .,:_0123 \"-";
    for (size_t i = 0; i < len; i++) {
        const uint64_t pick = hti_random_next(state);
        const char c = pick % 4 ? common[(pick >> 8) % (sizeof common - 1)] : (char)((pick >> 8) % 128);
        hti_buffer_append(out, &c, 1);
    }
}

#endif
