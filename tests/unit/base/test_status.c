/*
 * test_status.c - the status table, messages that stay one line of UTF-8 however cut, the log.
 */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A UTF-8 check of the test's own: true if [text, len) is whole characters without control characters. */
static bool is_one_line_of_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const size_t need = *at < 0x80 ? 0 : *at < 0xC2 ? 9 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : *at < 0xF5 ? 3 : 9;
        if (need == 9 || *at < 0x20 || *at == 0x7F) return false;
        if ((*at == 0xE0 && at[1] < 0xA0) || (*at == 0xED && at[1] > 0x9F)) return false;
        if ((*at == 0xF0 && at[1] < 0x90) || (*at == 0xF4 && at[1] > 0x8F)) return false;
        for (size_t i = 1; i <= need; i++)
            if ((at[i] & 0xC0) != 0x80) return false;
        at += 1 + need;
    }
    return true;
}

static void test_the_table(void **unused)
{
    (void)unused;
#define CHECK(name, number, text, exit_code, http, python)       \
    assert_int_equal(HT_##name, number);                         \
    assert_string_equal(ht_status_name(HT_##name), #name);       \
    assert_string_equal(ht_status_text(HT_##name), text);        \
    assert_int_equal(ht_status_exit_code(HT_##name), exit_code); \
    assert_int_equal(ht_status_http(HT_##name), http);           \
    assert_string_equal(ht_status_python(HT_##name), python);
    HT_STATUS_LIST(CHECK)
#undef CHECK
    assert_string_equal(ht_status_name((ht_status)999), "INTERNAL");
    assert_string_equal(ht_status_name((ht_status)-1), "INTERNAL");
    assert_string_equal(ht_version(), "0.1.0");
}

static void test_failing_fills_the_error(void **unused)
{
    (void)unused;
    ht_error err = {0};
    assert_int_equal(HT_FAIL(&err, PARSE, "%s: line %d: bad", "a.tsv", 7), HT_PARSE);
    assert_int_equal(err.status, HT_PARSE);
    assert_string_equal(err.message, "a.tsv: line 7: bad");
    assert_int_equal(HT_FAIL(NULL, IO, "nobody %s", "listens"), HT_IO);
    assert_int_equal(hti_fail_context(&err, HT_PARSE, "query %d", 3), HT_PARSE);
    assert_string_equal(err.message, "query 3: a.tsv: line 7: bad");
    assert_int_equal(hti_fail_context(NULL, HT_LIMIT, "x"), HT_LIMIT);
}

static void test_messages_stay_one_line(void **unused)
{
    (void)unused;
    ht_error err;
    (void)HT_FAIL(&err, IO, "a\nb\r\n\tc\x1b[0m\x7f");
    assert_true(is_one_line_of_utf8(err.message));
    assert_string_equal(err.message, "a b   c [0m ");
}

/* A long text of characters of every width, shifted so that the cut falls on every byte of each. */
static void test_cuts_fall_between_characters(void **unused)
{
    (void)unused;
    static const char *const characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x95"};
    for (size_t c = 0; c < HTI_LEN(characters); c++) {
        for (size_t shift = 0; shift < 8; shift++) {
            char text[2 * HT_ERROR_TEXT] = "";
            size_t len = shift;
            memset(text, '.', shift);
            while (len + 4 < sizeof text) {
                memcpy(text + len, characters[c], strlen(characters[c]));
                len += strlen(characters[c]);
            }
            text[len] = '\0';
            ht_error err;
            (void)HT_FAIL(&err, IO, "%s", text);
            assert_true(is_one_line_of_utf8(err.message));
            assert_true(strlen(err.message) >= HT_ERROR_TEXT - 4); /* no more is dropped than must be */
            assert_memory_equal(err.message, text, strlen(err.message));
        }
    }
}

static void test_bytes_that_are_no_utf8_are_replaced(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"\x80",
                                      "\xC3",
                                      "\xC3(",
                                      "\xE2\x82",
                                      "\xE2\x28\xAC",
                                      "\xF0\x9F\x90",
                                      "\xFF\xFE",
                                      "\xC0\xAF",
                                      "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xE0\x80\x80",
                                      "\xF0\x80\x80\x80",
                                      "\x80\x80\x80\x80\x80"};
    for (size_t i = 0; i < HTI_LEN(bad); i++) {
        ht_error err;
        (void)HT_FAIL(&err, IO, "%s", bad[i]);
        assert_true(is_one_line_of_utf8(err.message));
        (void)HT_FAIL(&err, IO, "file \"%s\": bad", bad[i]);
        assert_true(is_one_line_of_utf8(err.message));
        assert_non_null(strstr(err.message, "\": bad"));
    }
    uint64_t random = 4;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        const size_t len = hti_random_next(&random) % (sizeof text - 1);
        for (size_t at = 0; at < len; at++) text[at] = (char)(hti_random_next(&random) | (at % 2 ? 0x80 : 1));
        text[len] = '\0';
        ht_error err;
        (void)HT_FAIL(&err, IO, "%s", text);
        assert_true(is_one_line_of_utf8(err.message));
    }
}

static char logged[HT_ERROR_TEXT];
static ht_log_level logged_level;
static void keep_line(void *ud, ht_log_level level, const char *message)
{
    ++*(int *)ud;
    logged_level = level;
    (void)snprintf(logged, sizeof logged, "%s", message);
}

static void test_log(void **unused)
{
    (void)unused;
    int n = 0;
    hti_log(HT_LOG_WARNING, "nobody listens");
    ht_log_set(keep_line, &n);
    hti_log(HT_LOG_INFO, "two\nlines %d", 2);
    assert_int_equal(n, 1);
    assert_int_equal(logged_level, HT_LOG_INFO);
    assert_string_equal(logged, "two lines 2");
    ht_log_set(NULL, NULL);
    hti_log(HT_LOG_INFO, "silence");
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_failing_fills_the_error),
        cmocka_unit_test(test_messages_stay_one_line),
        cmocka_unit_test(test_cuts_fall_between_characters),
        cmocka_unit_test(test_bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
