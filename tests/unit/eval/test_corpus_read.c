/*
 * test_corpus_read.c - records of a corpus, the message for every bad line, and the plain reader of a
 * line against jansson on random JSON, sound and damaged.
 */
#include "eval_testing.h"

#include "fault_alloc.h"
#include "squeeze.h"

static ht_corpus_reader *reader_of(const void *data, size_t len, const ht_read_opts *opts)
{
    ht_corpus_reader *reader;
    MUST(ht_corpus_open(temp_file(data, len), opts, &reader, err));
    return reader;
}

static void assert_next(ht_corpus_reader *reader, const char *id, const char *title, const char *text, uint64_t line)
{
    ht_record record;
    bool more;
    MUST(ht_corpus_next(reader, &record, &more, err));
    assert_true(more);
    assert_text(record.id, id);
    assert_text(record.title, title);
    assert_text(record.text, text);
    assert_int_equal(record.line, line);
}

static void assert_end(ht_corpus_reader *reader)
{
    ht_record record;
    bool more = true;
    MUST(ht_corpus_next(reader, &record, &more, err));
    assert_false(more);
}

static void test_good_records(void **unused)
{
    (void)unused;
    static const char corpus[] =
        "\xEF\xBB\xBF{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"caf\\u00e9 \\ud83d\\ude00\\n\\\"x\\\\\\/\"}\r\n"
        "\n \t\n"
        "{\"id\":42,\"title\":null,\"text\":\"\"}\n"
        "{\"text\": \"b\", \"metadata\": {\"url\": \"u\", \"n\": [1, -2.5, 1e5, {}, [], true, null]}, "
        "\"_id\": \"\xE4\xB8\xAD \xE6\x96\x87\"}\n"
        "{\"_id\": null, \"id\": \"second\", \"text\": null}\n"
        "{\"_id\": \"a\", \"id\": \"b\", \"\\u0074ext\": \"escaped key\"}\n"
        "{\"_id\": \"nul\", \"text\": \"a\\u0000b\"}\n"
        "{\"_id\": -9223372036854775808, \"text\": \"last, no newline\"}";
    ht_corpus_reader *reader = reader_of(corpus, sizeof corpus - 1, NULL);
    assert_next(reader, "d1", "T", "caf\xC3\xA9 \xF0\x9F\x98\x80\n\"x\\/", 1);
    assert_next(reader, "42", "", "", 4);
    assert_next(reader, "\xE4\xB8\xAD \xE6\x96\x87", "", "b", 5);
    assert_next(reader, "second", "", "", 6);
    assert_next(reader, "a", "", "escaped key", 7);
    ht_record record;
    bool more;
    MUST(ht_corpus_next(reader, &record, &more, err));
    assert_int_equal(record.text.len, 3);
    assert_memory_equal(record.text.data, "a\0b", 3);
    assert_next(reader, "-9223372036854775808", "", "last, no newline", 9);
    assert_end(reader);
    assert_end(reader);
    uint64_t done, total;
    ht_corpus_progress(reader, &done, &total);
    assert_int_equal(done, sizeof corpus - 1);
    assert_int_equal(total, sizeof corpus - 1);
    ht_corpus_close(reader);
    ht_corpus_close(NULL);
    reader = reader_of("", 0, NULL);
    assert_end(reader);
    ht_corpus_close(reader);
}

static void test_real_corpora(void **unused)
{
    (void)unused;
    static const struct {
        const char *path;
        size_t n;
    } rows[] = {{HT_SOURCE_DIR "/data/cranfield/corpus.jsonl", 1400}, {HT_TEST_DATA "/cacm/corpus.jsonl", 3204}};
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        ht_corpus_reader *reader;
        ht_record record;
        bool more = true;
        size_t n = 0;
        MUST(ht_corpus_open(rows[i].path, NULL, &reader, err));
        for (;; n++) {
            MUST(ht_corpus_next(reader, &record, &more, err));
            if (!more) break;
        }
        assert_int_equal(n, rows[i].n);
        ht_corpus_close(reader);
    }
}

static void test_bad_lines(void **unused)
{
    (void)unused;
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"not json", "PATH:1:3: not valid JSON: '[' or '{' expected near 'not'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"x\"",
         "PATH:1:24: not valid JSON: '}' expected near end of file; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"x\",}",
         "PATH:1:26: not valid JSON: string or '}' expected near '}'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"x\"} {}",
         "PATH:1:27: not valid JSON: end of file expected near '{'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"_id\": \"2\", \"text\": \"x\"}",
         "PATH:1:18: not valid JSON: duplicate object key near '\"_id\"'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"a\tb\"}",
         "PATH:1:23: not valid JSON: control character 0x9 near '\"a'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"\\ud800\"}",
         "PATH:1:29: not valid JSON: invalid Unicode '\\uD800' near '\"\\ud800\"'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"\\udc00x\"}",
         "PATH:1:30: not valid JSON: invalid Unicode '\\uDC00' near '\"\\udc00x\"'; write one JSON object a line"},
        {"{\"_id\": \"1\", \"text\": \"\xC3(\"}", "PATH:1:23: byte 0xC3 is not valid UTF-8; convert the file to UTF-8"},
        {"[1]", "PATH:1:1: a JSON array; write one JSON object a line"},
        {"{\"text\": \"x\"}",
         "PATH:1:1: no \"_id\"; give every record an \"_id\" (or \"id\"), a text or a whole number"},
        {"{\"_id\": null, \"text\": \"x\"}",
         "PATH:1:1: no \"_id\"; give every record an \"_id\" (or \"id\"), a text or a whole number"},
        {"{\"_id\": 1.5, \"text\": \"x\"}", "PATH:1:1: \"_id\" must be a text or a whole number; put it in quotes"},
        {"{\"id\": [], \"text\": \"x\"}", "PATH:1:1: \"id\" must be a text or a whole number; put it in quotes"},
        {"{\"_id\": 12345678901234567890, \"text\": \"x\"}",
         "PATH:1:28: not valid JSON: too big integer near '12345678901234567890'; write one JSON object a line"},
        {"{\"_id\": \"\", \"text\": \"x\"}", "PATH:1:1: \"_id\" is empty; give every record an id of its own"},
        {"{\"_id\": \"a\\nb\", \"text\": \"x\"}", "PATH:1:1: \"_id\" holds a control character; remove it"},
        {"{\"_id\": \"1\"}", "PATH:1:1: no \"text\"; write \"text\": \"\" where it is empty"},
        {"{\"_id\": \"1\", \"text\": 7}", "PATH:1:1: \"text\" must be a text; put it in quotes"},
        {"{\"_id\": \"1\", \"title\": {}, \"text\": \"x\"}", "PATH:1:1: \"title\" must be a text; put it in quotes"},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        ht_record record;
        bool more = true;
        ht_error why = {0};
        ht_corpus_reader *reader = reader_of(rows[i].line, strlen(rows[i].line), NULL);
        if (ht_corpus_next(reader, &record, &more, &why) != HT_PARSE) fail_msg("%s was taken", rows[i].line);
        assert_message(&why, rows[i].message);
        assert_false(more);
        ht_corpus_close(reader);
    }
    ht_corpus_reader *reader;
    assert_int_equal(ht_corpus_open("/nonexistent/c.jsonl", NULL, &reader, NULL), HT_NOT_FOUND);
    assert_null(reader);
    const ht_read_opts unset = {.lenient = true};
    assert_int_equal(ht_corpus_open(temp_text(""), &unset, &reader, NULL), HT_INVALID);
}

/* Behind a bad line the reader goes on, strict or lenient. */
static void test_going_on(void **unused)
{
    (void)unused;
    static const char corpus[] =
        "bad\n{\"_id\": 1, \"text\": \"a\"}\n{\"text\": \"no id\"}\n{\"_id\": 2, \"text\": \"b\"}\n";
    const ht_read_opts lenient = {HT_DESC(ht_read_opts), .lenient = true},
                       optional = {HT_DESC(ht_read_opts), .optional_id = true};
    ht_record record;
    bool more;
    ht_corpus_reader *reader = reader_of(corpus, sizeof corpus - 1, NULL);
    assert_int_equal(ht_corpus_next(reader, &record, &more, NULL), HT_PARSE);
    assert_next(reader, "1", "", "a", 2);
    assert_int_equal(ht_corpus_next(reader, &record, &more, NULL), HT_PARSE);
    assert_next(reader, "2", "", "b", 4);
    ht_corpus_close(reader);
    reader = reader_of(corpus, sizeof corpus - 1, &lenient);
    assert_next(reader, "1", "", "a", 2);
    assert_next(reader, "2", "", "b", 4);
    assert_end(reader);
    ht_corpus_close(reader);
    static const char nameless[] = "{\"text\": \"x\"}\n{\"_id\": \"\", \"text\": \"y\"}";
    reader = reader_of(nameless, sizeof nameless - 1, &optional);
    assert_next(reader, "", "", "x", 1);
    assert_next(reader, "", "", "y", 2);
    ht_corpus_close(reader);
}

/* 10 MB are a line like any other; over 64 MB is told and passed over. */
static void test_long_lines(void **unused)
{
    (void)unused;
    const size_t lens[] = {10u << 20, (64u << 20) + 1};
    char *text = malloc((65u << 20) + 100);
    assert_non_null(text);
    for (size_t i = 0; i < 2; i++) {
        size_t len = (size_t)sprintf(text, "{\"_id\": \"long\", \"text\": \"");
        memset(text + len, 'x', lens[i]);
        len += lens[i];
        len += (size_t)sprintf(text + len, "\"}\n{\"_id\": \"next\", \"text\": \"\"}\n");
        squeezed file = {NULL, 0};
        squeeze_zstd(&file, text, len);
        ht_corpus_reader *reader = reader_of(file.data, file.len, NULL);
        ht_record record;
        bool more;
        ht_error why = {0};
        const ht_status status = ht_corpus_next(reader, &record, &more, &why);
        assert_int_equal(status, i == 0 ? HT_OK : HT_LIMIT);
        if (i == 0) assert_int_equal(record.text.len, lens[0]);
        if (i == 1) assert_message(&why, "PATH:1: line longer than 67108864 bytes; shorten or split it");
        assert_next(reader, "next", "", "", 2);
        assert_end(reader);
        ht_corpus_close(reader);
        free(file.data);
    }
    free(text);
}

/* ---- the plain reader against jansson ---- */

static void put_random_string(uint64_t *state, hti_buffer *json, bool key)
{
    static const char *const pieces[] = {"a",
                                         "text",
                                         " ",
                                         "\\n",
                                         "\\u0041",
                                         "\\u00e9",
                                         "\\ud83d\\ude00",
                                         "\xC3\xA9",
                                         "\xF0\x9F\x98\x80",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "abcdefghijklmnop",
                                         "\\u0000",
                                         "\\u20ac",
                                         "\x7F",
                                         "{",
                                         "]",
                                         "\\t",
                                         "'"};
    static const char *const names[] = {"_id", "id", "title", "text", "x", "y", "metadata", "t\\u0065xt", ""};
    hti_buffer_append(json, "\"", 1);
    if (key)
        hti_buffer_text(json, names[below(state, HTI_LEN(names))]);
    else
        for (size_t n = below(state, 6); n > 0; n--) hti_buffer_text(json, pieces[below(state, HTI_LEN(pieces))]);
    hti_buffer_append(json, "\"", 1);
}

static void put_blank(uint64_t *state, hti_buffer *json)
{
    static const char *const blanks[] = {"", "", "", " ", "\t", "\r", "  "};
    hti_buffer_text(json, blanks[below(state, HTI_LEN(blanks))]);
}

static void put_random_value(uint64_t *state, hti_buffer *json, int depth)
{
    static const char *const scalars[] = {"0",
                                          "-1",
                                          "12345",
                                          "-0",
                                          "1.5",
                                          "-0.25",
                                          "1e5",
                                          "1E-3",
                                          "true",
                                          "false",
                                          "null",
                                          "123456789012345678",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "01",
                                          "1.",
                                          ".5",
                                          "-",
                                          "+1",
                                          "nul",
                                          "truex"};
    const size_t kind = below(state, depth > 0 ? 10 : 7);
    put_blank(state, json);
    if (kind < 4) {
        put_random_string(state, json, false);
    } else if (kind < 7) {
        hti_buffer_text(json, scalars[below(state, below(state, 4) ? 13 : HTI_LEN(scalars))]);
    } else {
        const bool object = kind != 9;
        hti_buffer_append(json, object ? "{" : "[", 1);
        for (size_t n = below(state, 4); n > 0; n--) {
            put_blank(state, json);
            if (object) put_random_string(state, json, true);
            put_blank(state, json);
            if (object) hti_buffer_append(json, ":", 1);
            put_random_value(state, json, depth - 1);
            if (n > 1) hti_buffer_append(json, ",", 1);
        }
        put_blank(state, json);
        hti_buffer_append(json, object ? "}" : "]", 1);
    }
    put_blank(state, json);
}

static void put_random_record(uint64_t *state, hti_buffer *json)
{
    static const char *const names[] = {"_id", "id", "title", "text", "other", "meta"};
    size_t first = below(state, 6);
    hti_buffer_clear(json);
    put_blank(state, json);
    hti_buffer_append(json, "{", 1);
    for (size_t n = below(state, 6); n > 0; n--) {
        put_blank(state, json);
        hti_buffer_printf(json, "\"%s\"", names[first++ % 6]);
        put_blank(state, json);
        hti_buffer_append(json, ":", 1);
        put_random_value(state, json, 3);
        if (n > 1) hti_buffer_append(json, ",", 1);
    }
    hti_buffer_append(json, "}", 1);
    put_blank(state, json);
    if (below(state, 4) > 0 || json->len == 0) return; /* now and then damage a byte, or cut */
    if (below(state, 2))
        json->data[below(state, json->len)] = "\"\\{}[],: 0e.nx\x01"[below(state, 16)];
    else
        json->len = below(state, json->len);
}

/* Equal where the plain reader gives a verdict; *sure tells whether it did. */
static bool readers_agree(ht_text line, bool *sure)
{
    hti_buffer a, b;
    hti_json_record plain, slow;
    hti_buffer_init(&a);
    hti_buffer_init(&b);
    bool same = true;
    *sure = hti_json_record_plain(line, &a, &plain);
    if (*sure && hti_utf8_valid(line) == line.len) {
        same = hti_json_record_slow(line, (hti_where){"x", 1}, &b, &slow, NULL) == HT_OK;
        for (size_t i = 0; same && i < HTI_N_MEMBERS; i++) {
            const ht_text p = plain.members[i].text, s = slow.members[i].text;
            same = plain.members[i].kind == slow.members[i].kind;
            if (plain.members[i].kind == HTI_VALUE_TEXT || plain.members[i].kind == HTI_VALUE_INT)
                same = same && p.len == s.len && (p.len == 0 || memcmp(p.data, s.data, p.len) == 0);
        }
    }
    hti_buffer_deinit(&a);
    hti_buffer_deinit(&b);
    return same;
}

static void test_plain_equals_jansson(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 40000);
    uint64_t state = seed;
    unsigned long n_sure = 0;
    hti_buffer json;
    hti_buffer_init(&json);
    for (unsigned long i = 0; i < iters; i++) {
        bool sure;
        put_random_record(&state, &json);
        char *copy = malloc(json.len ? json.len : 1); /* its end is the end of memory, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, json.data, json.len);
        if (!readers_agree((ht_text){copy, json.len}, &sure))
            fail_msg("seed %lu, iteration %lu: %.*s", seed, i, (int)json.len, json.data);
        free(copy);
        n_sure += sure;
    }
    hti_buffer_deinit(&json);
    if (n_sure < iters / 4) fail_msg("the plain reader was sure of %lu of %lu lines only", n_sure, iters);
}

/* What real corpora hold must be the plain reader's. */
static void test_plain_is_sure_of_real_lines(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "{\"_id\": \"4983\", \"title\": \"Micro\", \"text\": \"A\\u00b5 \\\"b\\\"\", \"metadata\": {}}",
        "{\"_id\": \"MED-10\", \"title\": \"S\", \"text\": \"R\", \"metadata\": {\"url\": \"http://x/y\"}}",
        "{\"_id\":\"1\",\"text\":\"\\ud835\\udc00\",\"metadata\":{\"a\":[\"b\",[],{}],\"n\":1,\"f\":0.5,\"z\":null}}",
        "{}",
        " { } ",
        "{\"id\": 7, \"title\": null, \"text\": \"\"}",
    };
    for (size_t i = 0; i < HTI_LEN(lines); i++) {
        bool sure;
        assert_true(readers_agree(text_of(lines[i]), &sure));
        if (!sure) fail_msg("not sure of %s", lines[i]);
    }
}

static ht_status read_all(void *ud, ht_error *err)
{
    (void)ud;
    ht_corpus_reader *reader;
    ht_record record;
    bool more = true;
    HT_TRY(ht_corpus_open(temp_path, NULL, &reader, err));
    ht_status status = HT_OK;
    while (status == HT_OK && more) status = ht_corpus_next(reader, &record, &more, err);
    ht_corpus_close(reader);
    return status;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    (void)temp_text("{\"_id\": \"q1\", \"text\": \"caf\\u00e9\", \"x\": {\"y\": [1e5, \"z\"]}}\n"
                    "{\"_id\": 7, \"text\": \"b\\n\"}\n");
    assert_true(fault_alloc_sweep(read_all, NULL, false, 500) > 10);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_records),
        cmocka_unit_test(test_real_corpora),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_plain_equals_jansson),
        cmocka_unit_test(test_plain_is_sure_of_real_lines),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("corpus_read", tests, NULL, NULL);
}
