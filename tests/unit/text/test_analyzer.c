/*
 * test_analyzer.c - analyzers against Lucene's output, a naive twin for ASCII, and the room's promises.
 *
 * The golden lists are Lucene 10.4's, tests/data/golden_bm25/README.md. The twin cuts ASCII by the
 * segmentation of UAX #29 (words.c), which shares no code with the tokenizer under test.
 */
#include "fault_alloc.h"
#include "text/porter.h"
#include "text/standard.h"
#include "text/words.h"
#include "text_testing.h"

#define ANALYZERS HT_TEST_DATA "/golden_bm25/analyzers.json"
#define TRICKY GOLDEN "/analyzers/tricky.json"
#define ENGLISH_WORDS HT_TEST_DATA "/golden_bm25/english_words.tsv"

static const ht_analyzer *find(const char *name)
{
    const ht_analyzer *analyzer;
    ht_error err = {0};
    must(ht_analyzer_find(name, &analyzer, &err), &err);
    return analyzer;
}

static ht_tokens *new_tokens(void)
{
    ht_tokens *tokens;
    ht_error err = {0};
    must(ht_tokens_new(&tokens, &err), &err);
    return tokens;
}

static const ht_token *run(const char *name, ht_text text, ht_tokens *tokens, size_t *n)
{
    ht_error err = {0};
    must(ht_analyzer_run(find(name), text, tokens, &err), &err);
    return ht_tokens_view(tokens, n);
}

static bool same(const ht_token *token, const json_t *want)
{
    const ht_text text = text_of(json_array_get(want, 0));
    return token->text.len == text.len && memcmp(token->text.data, text.data, text.len) == 0 &&
           token->start == json_integer_value(json_array_get(want, 1)) &&
           token->end == json_integer_value(json_array_get(want, 2)) &&
           token->position_increment == json_integer_value(json_array_get(want, 3)) &&
           strcmp(token->type, json_string_value(json_array_get(want, 4))) == 0;
}

static void check_golden(const char *path, const char *name)
{
    json_t *cases = load_json(path);
    ht_tokens *tokens = new_tokens();
    assert_true(json_array_size(cases) > 300);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i), *want = json_object_get(one, name);
        const char *id = json_string_value(json_object_get(one, "id"));
        size_t n;
        const ht_token *got = run(name, text_at(one, "text"), tokens, &n);
        if (n != json_array_size(want)) fail_msg("%s: %zu tokens, not %zu", id, n, json_array_size(want));
        for (size_t k = 0; k < n; k++)
            if (!same(&got[k], json_array_get(want, k)))
                fail_msg("%s: token %zu is \"%.*s\"", id, k, (int)got[k].text.len, got[k].text.data);
    }
    ht_tokens_free(tokens);
    json_decref(cases);
}

static void test_english_is_lucenes(void **unused)
{
    (void)unused;
    check_golden(ANALYZERS, "english");
    check_golden(TRICKY, "english");
}

static void test_standard_is_lucenes(void **unused)
{
    (void)unused;
    check_golden(ANALYZERS, "standard");
    check_golden(TRICKY, "standard");
}

/* "word<TAB>stem"; no stem: a stop word. */
static void test_every_english_word(void **unused)
{
    (void)unused;
    FILE *file = fopen(ENGLISH_WORDS, "r");
    if (!file) abort();
    ht_tokens *tokens = new_tokens();
    char *line = NULL;
    size_t cap = 0, n_words = 0, n_stopped = 0;
    for (ssize_t len; (len = getline(&line, &cap, file)) > 0;) {
        char *tab = strchr(line, '\t'), *end = line + len - (line[len - 1] == '\n');
        if (!tab) abort();
        const ht_text stem = {tab + 1, (size_t)(end - tab - 1)};
        size_t n;
        const ht_token *got = run("english", (ht_text){line, (size_t)(tab - line)}, tokens, &n);
        n_words++;
        n_stopped += stem.len == 0;
        if (n != (stem.len > 0) ||
            (n && (got->text.len != stem.len || memcmp(got->text.data, stem.data, stem.len) != 0)))
            fail_msg("%s", line);
    }
    free(line);
    (void)fclose(file);
    ht_tokens_free(tokens);
    assert_true(n_words > 10000 && n_stopped > 20);
}

static void test_registry(void **unused)
{
    (void)unused;
    static const char *const names[] = {"english", "standard", "whitespace"};
    for (size_t i = 0; i < HTI_LEN(names); i++) assert_string_equal(ht_analyzer_name_at(i), names[i]);
    assert_null(ht_analyzer_name_at(HTI_LEN(names)));
    const ht_analyzer *analyzer;
    ht_error err = {0};
    assert_int_equal(ht_analyzer_find("klingon", &analyzer, &err), HT_NOT_FOUND);
    assert_null(analyzer);
    assert_non_null(strstr(err.message, "english, standard, whitespace"));
}

/* Java's white space: the no-break spaces and U+0085 do not separate, U+001C does. */
static void test_whitespace(void **unused)
{
    (void)unused;
    static const char text[] = "  A-b\xC2\xA0"
                               "c\t\xE2\x80\x83"
                               "d\x1C"
                               "e\xC2\x85"
                               "f\xE3\x80\x80";
    static const ht_token want[] = {
        {{"A-b\xC2\xA0"
          "c",
          6},
         2,
         8,
         1,
         "word"},
        {{"d", 1}, 12, 13, 1, "word"},
        {{"e\xC2\x85"
          "f",
          4},
         14,
         18,
         1,
         "word"},
    };
    check_golden(TRICKY, "whitespace");
    ht_tokens *tokens = new_tokens();
    size_t n;
    const ht_token *got = run("whitespace", (ht_text){text, sizeof text - 1}, tokens, &n);
    assert_int_equal(n, HTI_LEN(want));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].text.len, want[i].text.len);
        assert_memory_equal(got[i].text.data, want[i].text.data, want[i].text.len);
        assert_int_equal(got[i].start, want[i].start);
        assert_int_equal(got[i].end, want[i].end);
        assert_string_equal(got[i].type, want[i].type);
    }
    ht_tokens_free(tokens);
}

/* Tokens are cut at 255 UTF-16 units; one outside the BMP takes two and is never parted. */
static void test_long_tokens_are_cut(void **unused)
{
    (void)unused;
    char text[1200];
    memset(text, 'x', 600);
    ht_tokens *tokens = new_tokens();
    size_t n;
    const ht_token *got = run("standard", (ht_text){text, 600}, tokens, &n);
    assert_int_equal(n, 3);
    assert_int_equal(got[0].end, 255);
    assert_int_equal(got[2].start, 510);
    static const char capital[4] = {(char)0xF0, (char)0x90, (char)0x90, (char)0x80}; /* U+10400 */
    for (size_t i = 0; i < 300; i++) memcpy(text + 4 * i, capital, sizeof capital);
    got = run("standard", (ht_text){text, 1200}, tokens, &n);
    assert_int_equal(n, 3);
    assert_int_equal(got[0].end, 127 * 4);
    assert_memory_equal(got[0].text.data, "\xF0\x90\x90\xA8", 4); /* its small letter */
    got = run("whitespace", (ht_text){text, 1200}, tokens, &n);
    assert_int_equal(got[0].end, 128 * 4); /* Lucene's other tokenizer goes one unit further */
    ht_tokens_free(tokens);
}

static bool has_alnum(ht_text segment)
{
    for (size_t i = 0; i < segment.len; i++) {
        const char c = segment.data[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    }
    return false;
}

/* On ASCII, StandardTokenizer takes the segments of UAX #29 that hold a letter or digit. */
static void test_ascii_against_uax29(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 4000);
    uint64_t state = seed;
    hti_buffer text;
    hti_buffer_init(&text);
    for (unsigned long i = 0; i < iters; i++) {
        hti_buffer_clear(&text);
        random_ascii(&state, &text, hti_random_next(&state) % 200);
        hti_words words = {hti_buffer_view(&text), 0};
        ht_text segment;
        hti_span span = {0, 0, HTI_STD_TYPE_ALPHANUM, false};
        while (hti_words_next(&words, &segment)) {
            if (!has_alnum(segment)) continue;
            const size_t start = (size_t)(segment.data - words.text.data);
            const bool found = hti_standard_next(words.text, span.end, &span);
            if (!found || span.start != start || span.end != start + segment.len || !span.ascii)
                fail_msg("seed %lu, iteration %lu, byte %zu of \"%.*s\"", seed, i, start, (int)text.len, text.data);
        }
        assert_false(hti_standard_next(words.text, span.end, &span));
    }
    hti_buffer_deinit(&text);
}

static void check_sound(const char *name, ht_text text, const ht_token *tokens, size_t n)
{
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const ht_token *t = &tokens[i];
        if (t->start < last || t->end <= t->start || t->end > text.len || !on_boundary(text, t->start) ||
            !on_boundary(text, t->end) || t->position_increment == 0 || t->text.len == 0 || t->type == NULL ||
            hti_utf8_valid(t->text) != t->text.len)
            fail_msg("%s: token %zu [%u, %u) of \"%.*s\"", name, i, t->start, t->end, (int)text.len, text.data);
        last = t->end;
    }
}

static void test_offsets_are_sound(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    hti_buffer text;
    hti_buffer_init(&text);
    ht_tokens *tokens = new_tokens();
    for (unsigned long i = 0; i < from_env("HT_ITERS", 2000); i++) {
        hti_buffer_clear(&text);
        for (uint64_t len = hti_random_next(&state) % 80; len > 0; len--) random_char(&state, &text);
        for (size_t a = 0; ht_analyzer_name_at(a); a++) {
            size_t n;
            const ht_token *got = run(ht_analyzer_name_at(a), hti_buffer_view(&text), tokens, &n);
            check_sound(ht_analyzer_name_at(a), hti_buffer_view(&text), got, n);
        }
    }
    ht_tokens_free(tokens);
    hti_buffer_deinit(&text);
}

/* Bytes that are no UTF-8 break the contract: an error or tokens, but nothing outside the arrays. */
static void test_any_bytes_are_survived(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    ht_tokens *tokens = new_tokens();
    for (unsigned long i = 0; i < 500; i++) {
        char bytes[2000];
        const size_t len = hti_random_next(&state) % sizeof bytes;
        for (size_t k = 0; k < len; k++) bytes[k] = (char)(hti_random_next(&state) | (i % 2 ? 0x80 : 0));
        for (size_t a = 0; ht_analyzer_name_at(a); a++) {
            ht_error err = {0};
            const ht_status status = ht_analyzer_run(find(ht_analyzer_name_at(a)), (ht_text){bytes, len}, tokens, &err);
            assert_true(status == HT_OK || status == HT_INVALID);
        }
    }
    ht_tokens_free(tokens);
}

static const char sample[] =
    "The dogs' owner's naïve technologies were possibly re-tested in 1990's Zürich, 3.14 times 👍 漢字";

static ht_status analyze_sample(void *ud, ht_error *err)
{
    ht_tokens *tokens = NULL;
    HT_TRY(ht_tokens_new(&tokens, err));
    const ht_status status = ht_analyzer_run(ud, (ht_text){sample, sizeof sample - 1}, tokens, err);
    ht_tokens_free(tokens);
    return status;
}

static void test_memory(void **unused)
{
    (void)unused;
    const ht_analyzer *english = find("english");
    assert_true(fault_alloc_sweep(analyze_sample, (void *)(uintptr_t)english, false, 100) >= 3);
    ht_tokens *tokens = new_tokens();
    ht_error err = {0};
    must(ht_analyzer_run(english, (ht_text){sample, sizeof sample - 1}, tokens, &err), &err);
    fault_alloc_arm(0, false);
    must(ht_analyzer_run(english, (ht_text){sample, sizeof sample - 1}, tokens, &err), &err);
    assert_int_equal(fault_alloc_calls(), 0);
    ht_tokens_free(tokens);
}

static void test_porter_units(void **unused)
{
    (void)unused;
    /* The author's departures, short words, and letters outside ASCII as units. */
    static const char *const pairs[][2] = {
        {"technology", "technolog"},
        {"possibly", "possibl"},
        {"as", "as"},
        {"sky", "sky"},
        {"ies", "i"},
        {"yyying", "yy"},
        {"caf\u00e9s", "caf\u00e9"},
        {"ba\u00e9ing", "ba\u00e9e"},
        {"b\u00e9\u00e9ed", "b\u00e9\u00e9ed"},
        {"a\u00e9\u00e9ing", "a\u00e9"},
        {"a\U00010428\U00010428ing", "a\U00010428\U00010428"},
    };
    for (size_t i = 0; i < HTI_LEN(pairs); i++) {
        char word[64];
        const size_t len = strlen(pairs[i][0]);
        memcpy(word, pairs[i][0], len);
        const size_t stem = hti_porter_stem(word, len);
        if (stem != strlen(pairs[i][1]) || memcmp(word, pairs[i][1], stem) != 0)
            fail_msg("%s gives %.*s", pairs[i][0], (int)stem, word);
    }
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_english_is_lucenes),
        cmocka_unit_test(test_standard_is_lucenes),
        cmocka_unit_test(test_every_english_word),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_whitespace),
        cmocka_unit_test(test_long_tokens_are_cut),
        cmocka_unit_test(test_ascii_against_uax29),
        cmocka_unit_test(test_offsets_are_sound),
        cmocka_unit_test(test_any_bytes_are_survived),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_porter_units),
    };
    return cmocka_run_group_tests_name("analyzer", tests, NULL, NULL);
}
