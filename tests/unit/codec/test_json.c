/*
 * test_json.c - JSON in and out: messages, typed members, quoting, memory running out.
 */
#include "codec/codec.h"

#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault_alloc.h"

static ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

static json_t *parsed(const char *text)
{
    json_t *root;
    ht_error err = {0};
    if (hti_json_parse(text_of(text), "x", 0, &root, &err) != HT_OK) fail_msg("%s: %s", text, err.message);
    return root;
}

static void assert_refused(const char *text, uint64_t line, const char *message)
{
    json_t *root = (json_t *)1;
    ht_error err = {0};
    assert_int_equal(hti_json_parse(text_of(text), "a.json", line, &root, &err), HT_PARSE);
    assert_null(root);
    assert_string_equal(err.message, message);
}

static void test_messages(void **unused)
{
    (void)unused;
    assert_refused("{\n \"a\": tru }", 0, "a.json:2:9: not valid JSON: invalid token near 'tru'");
    assert_refused("{\"a\": 1, \"a\": 2}", 7, "a.json:7:12: not valid JSON: duplicate object key near '\"a\"'");
    assert_refused("", 3, "a.json:3:0: not valid JSON: '[' or '{' expected near end of file");
    assert_refused("[\"\xC3(\"]", 1, "a.json:1:2: not valid JSON: unable to decode byte 0xc3 near '\"'");
    assert_refused("[1] x", 1, "a.json:1:5: not valid JSON: end of file expected near 'x'");
    json_t *root;
    ht_error err = {0};
    char deep[6000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(hti_json_parse((ht_text){deep, sizeof deep}, "x", 0, &root, &err),
                     HT_PARSE); /* told, no stack overflow */
    json_decref(parsed("[\"a\\u0000b\"]"));
    assert_int_equal(hti_json_parse((ht_text){NULL, 0}, "x", 0, &root, &err), HT_PARSE);
}

static void test_members(void **unused)
{
    (void)unused;
    json_t *o = parsed("{\"i\": 7, \"r\": 1.5, \"b\": true, \"s\": \"t\\u0000u\", \"n\": null}");
    int64_t i;
    double r;
    bool b;
    ht_text t;
    ht_error err = {0};
    assert_true(hti_json_int(o, "x", "i", 1, &i, &err) == HT_OK && i == 7);
    assert_true(hti_json_int(o, "x", "n", 3, &i, &err) == HT_OK && i == 3);
    assert_true(hti_json_int(o, "x", "none", 4, &i, &err) == HT_OK && i == 4);
    assert_int_equal(hti_json_int(o, "x", "r", 1, &i, &err), HT_PARSE);
    assert_string_equal(err.message, "x: \"r\" must be an integer");
    assert_true(hti_json_real(o, "x", "r", 0, &r, &err) == HT_OK && r == 1.5);
    assert_true(hti_json_real(o, "x", "i", 0, &r, &err) == HT_OK && r == 7);
    assert_int_equal(hti_json_real(o, "x", "s", 0, &r, &err), HT_PARSE);
    assert_string_equal(err.message, "x: \"s\" must be a number");
    assert_true(hti_json_bool(o, "x", "b", false, &b, &err) == HT_OK && b);
    assert_int_equal(hti_json_bool(o, "x", "i", false, &b, &err), HT_PARSE);
    assert_string_equal(err.message, "x: \"i\" must be true or false");
    assert_true(hti_json_text(o, "x", "s", &t, &err) == HT_OK && t.len == 3 && memcmp(t.data, "t\0u", 3) == 0);
    assert_true(hti_json_text(o, "x", "n", &t, &err) == HT_OK && !t.data);
    assert_int_equal(hti_json_text(o, "x", "b", &t, &err), HT_PARSE);
    assert_string_equal(err.message, "x: \"b\" must be a string");
    json_decref(o);
}

static void test_load(void **unused)
{
    (void)unused;
    char path[] = "/tmp/ht-json-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"a\": [1, 2]}", 13), 13);
    (void)close(fd);
    json_t *root;
    ht_error err = {0};
    assert_int_equal(hti_json_load(path, 13, &root, &err), HT_OK);
    json_decref(root);
    assert_int_equal(hti_json_load(path, 12, &root, &err), HT_LIMIT);
    assert_null(root);
    (void)unlink(path);
    assert_int_equal(hti_json_load(path, 12, &root, &err), HT_NOT_FOUND);
}

/* ---- quoting ---- */

static void assert_quoted(const void *data, size_t len, const char *wanted)
{
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    hti_json_quote(&buffer, (ht_text){data, len});
    assert_string_equal(buffer.data, wanted);
    hti_buffer_deinit(&buffer);
}

static void test_quote(void **unused)
{
    (void)unused;
    assert_quoted(NULL, 0, "\"\"");
    assert_quoted("a\"b\\c\n\x01\x7F", 8, "\"a\\\"b\\\\c\\u000a\\u0001\x7F\"");
    assert_quoted("\0", 1, "\"\\u0000\"");
    assert_quoted("\xC3\xA9\xF0\x9F\x98\x80", 6, "\"\xC3\xA9\xF0\x9F\x98\x80\"");
    assert_quoted("\xC3", 1, "\"\xEF\xBF\xBD\"");
    assert_quoted("\xC3(", 2, "\"\xEF\xBF\xBD(\"");
    assert_quoted("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_quoted("\x80\xFF", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

/* What is quoted parses, and to the same text if that was valid. */
static void test_quote_random(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    static const char *const pieces[] = {
        "a",    "\"",       "\\",  "\n", "\x1F", "\x7F", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        "\xC3", "\xF0\x9F", "\xFF"};
    hti_buffer text, json;
    hti_buffer_init(&text);
    hti_buffer_init(&json);
    for (int i = 0; i < 5000; i++) {
        hti_buffer_clear(&text);
        hti_buffer_clear(&json);
        const size_t n_pieces = i % 2 ? HTI_LEN(pieces) : HTI_LEN(pieces) - 3;
        for (size_t n = (size_t)(hti_random_next(&state) % 9); n > 0; n--)
            hti_buffer_text(&text, pieces[hti_random_next(&state) % n_pieces]);
        hti_buffer_text(&json, "[");
        hti_json_quote(&json, hti_buffer_view(&text));
        hti_buffer_text(&json, "]");
        json_t *root = parsed(json.data);
        const json_t *got = json_array_get(root, 0);
        if (hti_utf8_valid(hti_buffer_view(&text)) == text.len) {
            assert_int_equal(json_string_length(got), text.len);
            if (text.len) assert_memory_equal(json_string_value(got), text.data, text.len);
        }
        json_decref(root);
    }
    hti_buffer_deinit(&text);
    hti_buffer_deinit(&json);
}

/* ---- memory ---- */

static ht_status parse_once(void *ud, ht_error *err)
{
    (void)ud;
    json_t *root;
    HT_TRY(hti_json_parse(
        text_of("{\"a\": [1, 2.5, \"x\\u00e9\", {\"b\": null}], \"c\": {\"d\": \"a longer text: the buffer grows\"}}"),
        "x", 0, &root, err));
    json_decref(root);
    return HT_OK;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(parse_once, NULL, false, 500) > 15);
    assert_true(fault_alloc_sweep(parse_once, NULL, true, 500) > 15);
    assert_refused("[", 1,
                   "a.json:1:1: not valid JSON: ']' expected near end of file"); /* a fault of the text is one again */
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_members),      cmocka_unit_test(test_load),
        cmocka_unit_test(test_quote),    cmocka_unit_test(test_quote_random), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
