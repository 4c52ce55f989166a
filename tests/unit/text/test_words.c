/*
 * test_words.c - word segmentation against Unicode's own test file, every line of it.
 */
#include "text/words.h"
#include "text_testing.h"

enum { MAX_CODES = 64, N_LINES = 1823 };

/* One line: "÷ 0061 × 0308 ÷ # ..." gives the text and the boundaries in it. */
typedef struct sample {
    char text[MAX_CODES * HTI_UTF8_MAX];
    size_t len, bounds[MAX_CODES + 1], n_bounds;
} sample;

static bool parse_line(const char *line, sample *out)
{
    out->len = out->n_bounds = 0;
    for (const char *at = line; *at && *at != '#' && *at != '\n';) {
        if (memcmp(at, "\xC3\xB7", 2) == 0) { /* the sign for a boundary */
            out->bounds[out->n_bounds++] = out->len;
            at += 2;
        } else if (memcmp(at, "\xC3\x97", 2) == 0) {
            at += 2;
        } else if (*at == ' ' || *at == '\t') {
            at++;
        } else {
            char *end;
            const unsigned long code = strtoul(at, &end, 16);
            assert_true(end > at && code <= 0x10FFFF && out->len + HTI_UTF8_MAX <= sizeof out->text);
            out->len += hti_utf8_encode((uint32_t)code, out->text + out->len);
            at = end;
        }
    }
    return out->n_bounds > 0;
}

static bool agrees(const sample *s)
{
    hti_words words = {{s->text, s->len}, 0};
    ht_text segment;
    size_t n = 1, at = 0;
    if (s->bounds[0] != 0) return false;
    while (hti_words_next(&words, &segment)) {
        at += segment.len;
        if (n >= s->n_bounds || s->bounds[n++] != at) return false;
    }
    return n == s->n_bounds && at == s->len;
}

static void test_unicode_test_file(void **unused)
{
    (void)unused;
    FILE *file = fopen(HT_TEST_DATA "/unicode/WordBreakTest.txt", "r");
    assert_non_null(file);
    char *line = NULL;
    size_t cap = 0, n = 0, n_spoilt = 0;
    sample s;
    while (getline(&line, &cap, file) > 0) {
        if (!parse_line(line, &s)) continue;
        n++;
        if (!agrees(&s)) fail_msg("%s", line);
        if (s.n_bounds > 2) { /* a boundary taken out must be noticed */
            s.bounds[1] = s.bounds[--s.n_bounds];
            n_spoilt += !agrees(&s);
        }
    }
    free(line);
    (void)fclose(file);
    assert_int_equal(n, N_LINES);
    assert_true(n_spoilt > 1000);
}

static void test_segments_cover_any_bytes(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    for (unsigned long i = 0; i < from_env("HT_ITERS", 2000); i++) {
        char bytes[40];
        const size_t len = hti_random_next(&state) % sizeof bytes;
        for (size_t k = 0; k < len; k++) bytes[k] = (char)hti_random_next(&state);
        hti_words words = {{bytes, len}, 0};
        ht_text segment;
        size_t at = 0;
        while (hti_words_next(&words, &segment)) {
            assert_ptr_equal(segment.data, bytes + at);
            assert_true(segment.len > 0);
            at += segment.len;
        }
        assert_int_equal(at, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unicode_test_file),
        cmocka_unit_test(test_segments_cover_any_bytes),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
