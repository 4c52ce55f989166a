/*
 * test_eval_text.c - fields, ids and numbers; numbers against the C library.
 */
#include "eval_testing.h"

#include <locale.h>

static void test_splitting(void **unused)
{
    (void)unused;
    ht_text f[3];
    assert_int_equal(hti_split_blank(text_of("  a\t b\r"), f, 3), 2);
    assert_text(f[0], "a");
    assert_text(f[1], "b");
    assert_int_equal(hti_split_blank(text_of("1 2 3 4 5"), f, 3), 5);
    assert_int_equal(hti_split_blank(text_of(" \t "), f, 3), 0);
    assert_int_equal(hti_split_tabs(text_of("a b\t \t c "), f, 3), 3);
    assert_text(f[0], "a b");
    assert_text(f[1], "");
    assert_text(f[2], "c");
    assert_int_equal(hti_split_tabs(text_of(""), f, 3), 1);
    assert_int_equal(hti_split_tabs(text_of("a\t"), f, 3), 2);
    assert_text(f[1], "");
    assert_int_equal(hti_blank_head(text_of(" \tx ")), 2);
}

static void test_ids(void **unused)
{
    (void)unused;
    assert_null(hti_id_fault(text_of("a-1_\xE4\xB8\xAD.#\"'")));
    assert_string_equal(hti_id_fault(text_of("")), "is empty");
    assert_string_equal(hti_id_fault(text_of("a b")), "holds a blank");
    assert_string_equal(hti_id_fault(text_of("a\tb")), "holds a blank");
    assert_string_equal(hti_id_fault(text_of("a\x01")), "holds a control character");
    assert_string_equal(hti_id_fault((ht_text){"a\0b", 3}), "holds a control character");
    assert_string_equal(hti_id_fault(text_of("a\x7F")), "holds a control character");
}

static void assert_real(const char *text)
{
    double got = 0;
    if (!hti_parse_real(text_of(text), &got)) fail_msg("\"%s\" was refused", text);
    const double wanted = strtod(text, NULL);
    uint64_t got_bits, wanted_bits;
    memcpy(&got_bits, &got, sizeof got_bits);
    memcpy(&wanted_bits, &wanted, sizeof wanted_bits);
    if (got_bits != wanted_bits) fail_msg("\"%s\": %.17g, not %.17g", text, got, wanted);
}

static void test_reals(void **unused)
{
    (void)unused;
    static const char *const good[] = {"0",
                                       "-0",
                                       "+1",
                                       "1.",
                                       ".5",
                                       "-.5e1",
                                       "1e22",
                                       "1e23",
                                       "123456789012345",
                                       "1234567890123456",
                                       "9007199254740993",
                                       "0.1",
                                       "1e-22",
                                       "1e-23",
                                       "5e-324",
                                       "2.4703282292062327e-324",
                                       "1e308",
                                       "1.7976931348623157e308",
                                       "1e999",
                                       "1e-999",
                                       "0e999",
                                       "000000000000000000000000000001.5",
                                       "0.000000000000000000000000000001",
                                       "12345678901234567890123",
                                       "1e+05",
                                       "1E5",
                                       "123456789012345678901234567890.123456789e-30",
                                       "0.00000000000000000000123456789012345678"};
    static const char *const bad[] = {
        "",         "+",    "-",   ".",  "e5", "1e",  "1e+", "1.2.3", "nan",   "inf",
        "Infinity", "0x10", "1,5", "1 ", " 1", "abc", "1f",  "--1",   "1e5.0", "\xE2\x88\x92 1"};
    for (size_t i = 0; i < HTI_LEN(good); i++) assert_real(good[i]);
    double value;
    for (size_t i = 0; i < HTI_LEN(bad); i++)
        if (hti_parse_real(text_of(bad[i]), &value)) fail_msg("\"%s\" was taken", bad[i]);
    char many[1000];
    memset(many, '1', sizeof many);
    assert_false(hti_parse_real((ht_text){many, sizeof many}, &value));
}

static void test_random_reals(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    for (unsigned long i = 0; i < from_env("HT_ITERS", 20000); i++) {
        char text[80];
        const int digits = 1 + (int)below(&state, 19);
        (void)snprintf(text, sizeof text, "%.*g", digits,
                       (hti_random_unit(&state) - 0.5) * pow(10, (double)below(&state, 60) - 30));
        assert_real(text);
        (void)snprintf(text, sizeof text, "%.*f", digits, hti_random_unit(&state) * 1000);
        assert_real(text);
        double value, back;
        const uint64_t bits = hti_random_next(&state);
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        hti_buffer_clear(&buffer);
        hti_put_real(&buffer, value);
        assert_true(hti_parse_real(hti_buffer_view(&buffer), &back));
        assert_memory_equal(&value, &back, sizeof value);
    }
    hti_buffer_deinit(&buffer);
}

/* A host program's locale with a decimal comma must not leak in. Needs one installed. */
static void test_comma_locale(void **unused)
{
    (void)unused;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
    for (size_t i = 0; i < HTI_LEN(names); i++)
        if (setlocale(LC_ALL, names[i])) break;
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    hti_put_real(&buffer, 0.1);
    hti_buffer_append(&buffer, " ", 1);
    hti_put_real(&buffer, -1e300);
    hti_buffer_append(&buffer, " ", 1);
    hti_put_real(&buffer, 3);
    assert_string_equal(buffer.data, "0.10000000000000001 -1.0000000000000001e+300 3");
    double value;
    assert_true(hti_parse_real(text_of("0.10000000000000001"), &value) && value == 0.1);
    hti_buffer_deinit(&buffer);
    (void)setlocale(LC_ALL, "C");
}

static void test_integers(void **unused)
{
    (void)unused;
    int32_t value = 0;
    assert_true(hti_parse_int32(text_of("2147483647"), &value) && value == INT32_MAX);
    assert_true(hti_parse_int32(text_of("-2147483648"), &value) && value == INT32_MIN);
    assert_true(hti_parse_int32(text_of("+7"), &value) && value == 7);
    static const char *const bad[] = {"",   "-", "2147483648", "-2147483649", "1.0", "1e1", "99999999999999999999999",
                                      " 1", "x"};
    for (size_t i = 0; i < HTI_LEN(bad); i++) assert_false(hti_parse_int32(text_of(bad[i]), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splitting),    cmocka_unit_test(test_ids),          cmocka_unit_test(test_reals),
        cmocka_unit_test(test_random_reals), cmocka_unit_test(test_comma_locale), cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests_name("eval_text", tests, NULL, NULL);
}
