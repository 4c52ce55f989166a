/*
 * test_tokenizer.c - WordPiece against the Hugging Face library's output, and the room's promises.
 *
 * Golden: tests/data/golden/tokenizers (README.md beside it): the real MiniLM tokenizer and a tiny
 * one with ids; `variants`, eight small tokenizers with other settings, with ids and byte offsets.
 */
#include "fault_alloc.h"
#include "text_testing.h"

#define MINILM GOLDEN "/tokenizers/minilm/tokenizer.json"
#define BERT_TINY GOLDEN "/bert_tiny/tokenizer.json"

typedef struct opened {
    hti_tokenizer *tokenizer;
    hti_tokenizer_session *session;
} opened;

static opened open_file(const char *path, const hti_tokenizer_opts *opts)
{
    opened o;
    ht_error err = {0};
    must(hti_tokenizer_open(path, opts, &o.tokenizer, &err), &err);
    must(hti_tokenizer_session_new(o.tokenizer, &o.session, &err), &err);
    return o;
}

static void close_both(opened *o)
{
    hti_tokenizer_session_free(o->session);
    hti_tokenizer_close(o->tokenizer);
}

static hti_token_ids encode(const opened *o, ht_text text, bool add_special, size_t max_ids)
{
    const hti_encode_opts opts = {HT_DESC(hti_encode_opts), .max_ids = max_ids, .add_special = add_special};
    hti_token_ids ids;
    ht_error err = {0};
    must(hti_tokenizer_encode(o->session, text, &opts, &ids, &err), &err);
    return ids;
}

static bool same_numbers(const uint32_t *got, size_t n, const json_t *want)
{
    if (n != json_array_size(want)) return false;
    for (size_t i = 0; i < n; i++)
        if (got[i] != json_integer_value(json_array_get(want, i))) return false;
    return true;
}

static hti_token_ids encode_string(const opened *o, const char *text, bool add_special)
{
    return encode(o, (ht_text){text, strlen(text)}, add_special, 0);
}

/* ---- golden ---- */

static void check_golden(const char *name, const char *tokenizer_path)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tokenizers/%s/golden.json", GOLDEN, name);
    json_t *golden = load_json(path), *cases = json_object_get(golden, "cases");
    opened o = open_file(tokenizer_path, NULL);
    assert_int_equal(json_array_size(cases), 353);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        const ht_text text = text_at(one, "text");
        hti_token_ids ids = encode(&o, text, true, 0);
        if (!same_numbers(ids.ids, ids.len, json_object_get(one, "ids")))
            fail_msg("%s: %.*s", name, (int)text.len, text.data);
        ids = encode(&o, text, false, 0);
        if (!same_numbers(ids.ids, ids.len, json_object_get(one, "ids_without_special")))
            fail_msg("%s, without special ids: %.*s", name, (int)text.len, text.data);
    }
    close_both(&o);
    json_decref(golden);
}

static void test_minilm_golden(void **unused)
{
    (void)unused;
    check_golden("minilm", MINILM);
}

static void test_bert_tiny_golden(void **unused)
{
    (void)unused;
    check_golden("bert_tiny", BERT_TINY);
}

static void check_variant(const char *name, const json_t *cases)
{
    char path[512];
    (void)snprintf(path, sizeof path, GOLDEN "/tokenizers/variants/%s.json", name);
    opened o = open_file(path, NULL);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        const size_t max_ids = (size_t)json_integer_value(json_object_get(one, "max_ids"));
        const hti_token_ids ids = encode(&o, text_at(one, "text"), true, max_ids);
        if (!same_numbers(ids.ids, ids.len, json_object_get(one, "ids"))) fail_msg("%s, case %zu: ids", name, i);
        if (!same_numbers(ids.starts, ids.len, json_object_get(one, "starts")))
            fail_msg("%s, case %zu: starts", name, i);
        if (!same_numbers(ids.ends, ids.len, json_object_get(one, "ends"))) fail_msg("%s, case %zu: ends", name, i);
    }
    close_both(&o);
}

static void test_variants_golden(void **unused)
{
    (void)unused;
    json_t *golden = load_json(GOLDEN "/tokenizers/variants/golden.json"),
           *variants = json_object_get(golden, "variants");
    assert_int_equal(json_object_size(variants), 8);
    const char *name;
    json_t *cases;
    json_object_foreach(variants, name, cases) check_variant(name, cases);
    json_decref(golden);
}

/* ---- what a tokenizer knows ---- */

static void test_info(void **unused)
{
    (void)unused;
    opened o = open_file(MINILM, NULL);
    const hti_tokenizer_info info = hti_tokenizer_get_info(o.tokenizer);
    assert_string_equal(info.kind, "WordPiece");
    assert_int_equal(info.n_ids, 30522);
    assert_int_equal(info.n_tokens, 30522);
    assert_int_equal(info.n_special, 2);
    assert_int_equal(info.cls, 101);
    assert_int_equal(info.sep, 102);
    assert_int_equal(info.mask, 103);
    assert_int_equal(info.pad, 0);
    assert_int_equal(info.unk, 100);
    for (uint32_t id = 0; id < info.n_ids; id++)
        assert_int_equal(hti_tokenizer_token_id(o.tokenizer, hti_tokenizer_token_text(o.tokenizer, id)), id);
    assert_null(hti_tokenizer_token_text(o.tokenizer, info.n_ids).data);
    assert_int_equal(hti_tokenizer_token_id(o.tokenizer, (ht_text){"no such", 7}), HTI_TOKEN_NONE);
    assert_int_equal(hti_tokenizer_token_id(o.tokenizer, (ht_text){"", 0}), HTI_TOKEN_NONE);
    close_both(&o);
}

static void test_added_tokens_behind_the_vocabulary(void **unused)
{
    (void)unused;
    opened o = open_file(GOLDEN "/tokenizers/variants/added.json", NULL);
    const hti_tokenizer_info info = hti_tokenizer_get_info(o.tokenizer);
    const uint32_t id = hti_tokenizer_token_id(o.tokenizer, (ht_text){"[Q] ", 4});
    assert_true(id != HTI_TOKEN_NONE && id < info.n_ids);
    assert_int_equal(hti_tokenizer_token_text(o.tokenizer, id).len, 4);
    assert_int_equal(encode_string(&o, "[q] foo", false).ids[0], id); /* found in lower case */
    close_both(&o);
}

/* ---- limits ---- */

static void test_truncation_is_a_cut(void **unused)
{
    (void)unused;
    opened o = open_file(BERT_TINY, NULL);
    static const char text[] =
        "a wing in a supersonic slipstream, unbelievably\u00e9 compressed [MASK] flow over blunt bodies";
    const ht_text whole = {text, sizeof text - 1};
    uint32_t all[100];
    const hti_token_ids full = encode(&o, whole, false, 0);
    const size_t n = full.len;
    assert_true(n > 20 && n < HTI_LEN(all));
    assert_false(full.truncated);
    memcpy(all, full.ids, n * sizeof *all);
    for (size_t max_ids = 2; max_ids <= n + 3; max_ids++) {
        const hti_token_ids cut = encode(&o, whole, true, max_ids);
        const size_t n_text = HTI_MIN(n, max_ids - 2);
        assert_int_equal(cut.len, n_text + 2);
        assert_memory_equal(cut.ids + 1, all, n_text * sizeof *all);
        assert_int_equal(cut.ids[cut.len - 1], hti_tokenizer_get_info(o.tokenizer).sep);
        assert_int_equal(cut.starts[cut.len - 1], cut.ends[cut.len - 1]);
        assert_int_equal(cut.truncated, n_text < n);
    }
    const hti_encode_opts tight = {HT_DESC(hti_encode_opts), .max_ids = 1, .add_special = true};
    hti_token_ids ids;
    ht_error err = {0};
    assert_int_equal(hti_tokenizer_encode(o.session, whole, &tight, &ids, &err), HT_INVALID);
    assert_int_equal(ids.len, 0);
    close_both(&o);
}

static void test_special_tokens_may_be_text(void **unused)
{
    (void)unused;
    const hti_tokenizer_opts opts = {HT_DESC(hti_tokenizer_opts), .special_as_text = true};
    opened as_token = open_file(MINILM, NULL), as_text = open_file(MINILM, &opts);
    assert_int_equal(encode_string(&as_token, "a [MASK] b", false).len, 3);
    const hti_token_ids ids = encode_string(&as_text, "a [MASK] b", false);
    assert_int_equal(ids.len, 5); /* a [ mask ] b */
    for (size_t i = 0; i < ids.len; i++) assert_true(ids.ids[i] != 103);
    close_both(&as_token);
    close_both(&as_text);
}

/* ---- properties ---- */

static void test_offsets_are_sound(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1);
    uint64_t state = seed;
    opened o = open_file(BERT_TINY, NULL);
    hti_buffer text;
    hti_buffer_init(&text);
    for (unsigned long i = 0; i < from_env("HT_ITERS", 2000); i++) {
        hti_buffer_clear(&text);
        for (uint64_t len = hti_random_next(&state) % 80; len > 0; len--) random_char(&state, &text);
        const ht_text view = hti_buffer_view(&text);
        const hti_token_ids ids = encode(&o, view, false, 0);
        size_t last = 0;
        for (size_t k = 0; k < ids.len; k++) {
            if (ids.starts[k] < last || ids.ends[k] < ids.starts[k] || ids.ends[k] > view.len ||
                !on_boundary(view, ids.starts[k]) || !on_boundary(view, ids.ends[k]))
                fail_msg("seed %lu, iteration %lu: token %zu [%u, %u)", seed, i, k, ids.starts[k], ids.ends[k]);
            last = ids.starts[k];
        }
    }
    hti_buffer_deinit(&text);
    close_both(&o);
}

/*
 * The same vocabulary with one more added token, looked for in normalized text, sends every text
 * with its first letter through the general road.
 */
static opened open_general_road(void)
{
    json_t *file = load_json(BERT_TINY);
    json_t *token = json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 2000, "content", "qzqzqzqz", "single_word",
                              0, "lstrip", 0, "rstrip", 0, "normalized", 1, "special", 0);
    assert_int_equal(json_array_append_new(json_object_get(file, "added_tokens"), token), 0);
    char *text = json_dumps(file, JSON_COMPACT);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    json_decref(file);
    opened o;
    ht_error err = {0};
    must(hti_tokenizer_parse((ht_text){text, strlen(text)}, "changed", NULL, &o.tokenizer, &err), &err);
    must(hti_tokenizer_session_new(o.tokenizer, &o.session, &err), &err);
    release(text);
    return o;
}

static void test_both_roads_agree(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1);
    uint64_t state = seed;
    opened fast = open_file(BERT_TINY, NULL), general = open_general_road();
    hti_buffer text;
    hti_buffer_init(&text);
    for (unsigned long i = 0; i < from_env("HT_ITERS", 1500); i++) {
        hti_buffer_clear(&text);
        if (i % 3 == 0)
            for (uint64_t len = hti_random_next(&state) % 60; len > 0; len--) random_char(&state, &text);
        else
            random_ascii(&state, &text, hti_random_next(&state) % 200);
        hti_buffer_text(&text, " q");
        const hti_token_ids a = encode(&fast, hti_buffer_view(&text), true, 0);
        const hti_token_ids b = encode(&general, hti_buffer_view(&text), true, 0);
        const size_t bytes = a.len * sizeof *a.ids;
        if (a.len != b.len || memcmp(a.ids, b.ids, bytes) != 0 || memcmp(a.starts, b.starts, bytes) != 0 ||
            memcmp(a.ends, b.ends, bytes) != 0)
            fail_msg("seed %lu, iteration %lu: \"%.*s\"", seed, i, (int)text.len, text.data);
    }
    hti_buffer_deinit(&text);
    close_both(&fast);
    close_both(&general);
}

/* A stretch without ASCII is done in parts; the parts must not show. */
static void check_stretch(const opened *o, const char *unit)
{
    hti_buffer text;
    hti_buffer_init(&text);
    const hti_token_ids one = encode_string(o, unit, false);
    uint32_t ids[64];
    const size_t n = one.len;
    assert_true(n > 2 && n < HTI_LEN(ids));
    memcpy(ids, one.ids, n * sizeof *ids);
    for (size_t i = 0; i < 1000; i++) hti_buffer_text(&text, unit);
    const hti_token_ids many = encode(o, hti_buffer_view(&text), false, 0);
    assert_int_equal(many.len, 1000 * n);
    for (size_t i = 0; i < many.len; i++) assert_int_equal(many.ids[i], ids[i % n]);
    hti_buffer_deinit(&text);
}

static void test_long_stretches(void **unused)
{
    (void)unused;
    opened o = open_file(MINILM, NULL);
    check_stretch(&o, "\u4e2d\u6587\u3002\u043c\u0438\u0440\u00a0\u0301");
    check_stretch(&o, "\u3002\u043c\u0438\xC2\x85\u0440"); /* U+0085 is dropped inside a word */
    close_both(&o);
}

/* ---- bad files ---- */

#define VOCAB "\"vocab\": {\"[UNK]\": 0, \"a\": 1, \"##b\": 2}"
#define MODEL "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", " VOCAB "}"
#define PRE "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}"

static void test_bad_files(void **unused)
{
    (void)unused;
    static const struct {
        const char *json;
        ht_status status;
        const char *says;
    } cases[] = {
        {"", HT_PARSE, "JSON"},
        {"[]", HT_PARSE, "\"model\""},
        {"{\"version\": \"2.0\", " MODEL "}", HT_VERSION, "2.0"},
        {"{\"model\": {\"type\": \"BPE\", " VOCAB "}}", HT_UNSUPPORTED, "model.type \"BPE\""},
        {"{\"model\": {\"type\": \"WordPiece\"}}", HT_PARSE, "model.vocab"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}, " PRE "}", HT_PARSE, "empty"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": -1}}, " PRE "}", HT_PARSE, "[UNK]"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 4294967296}}, " PRE "}", HT_PARSE, "[UNK]"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": \"x\"}}, " PRE "}", HT_PARSE, "[UNK]"},
        {"{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"[UNK]\": 0, \"a\": 7, \"b\": 7}}, " PRE "}", HT_PARSE,
         "same id 7"},
        {"{\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"<u>\", " VOCAB "}, " PRE "}", HT_PARSE, "<u>"},
        {"{" MODEL "}", HT_UNSUPPORTED, "pre_tokenizer.type"},
        {"{" MODEL ", " PRE ", \"normalizer\": {\"type\": \"NFKC\"}}", HT_UNSUPPORTED, "normalizer.type \"NFKC\""},
        {"{" MODEL ", " PRE ", \"normalizer\": {\"type\": \"BertNormalizer\", \"lowercase\": 3}}", HT_PARSE,
         "lowercase"},
        {"{" MODEL ", " PRE ", \"post_processor\": {\"type\": \"ByteLevel\"}}", HT_UNSUPPORTED, "post_processor.type"},
        {"{" MODEL ", " PRE ", \"post_processor\": {\"type\": \"BertProcessing\"}}", HT_PARSE, "post_processor"},
        {"{" MODEL ", " PRE ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": []}}", HT_UNSUPPORTED,
         "sequence A"},
        {"{" MODEL ", " PRE ", \"added_tokens\": 5}", HT_PARSE, "added_tokens"},
        {"{" MODEL ", " PRE ", \"added_tokens\": [{\"id\": 3}]}", HT_PARSE, "content"},
        {"{" MODEL ", " PRE "}", HT_OK, ""},
    };
    for (size_t i = 0; i < HTI_LEN(cases); i++) {
        hti_tokenizer *tokenizer = (void *)&cases;
        ht_error err = {0};
        const ht_text json = {cases[i].json, strlen(cases[i].json)};
        const ht_status status = hti_tokenizer_parse(json, "file.json", NULL, &tokenizer, &err);
        if (status != cases[i].status) fail_msg("case %zu: %s: %s", i, ht_status_name(status), err.message);
        if (status != HT_OK && (tokenizer || !strstr(err.message, "file.json") || !strstr(err.message, cases[i].says)))
            fail_msg("case %zu: %s", i, err.message);
        hti_tokenizer_close(tokenizer);
    }
    hti_tokenizer *tokenizer;
    ht_error err = {0};
    assert_int_equal(hti_tokenizer_open("/no/such/tokenizer.json", NULL, &tokenizer, &err), HT_NOT_FOUND);
}

static void test_any_bytes_are_survived(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    opened o = open_file(GOLDEN "/tokenizers/variants/added.json", NULL);
    for (unsigned long i = 0; i < 1000; i++) {
        char bytes[300];
        const size_t len = hti_random_next(&state) % sizeof bytes;
        for (size_t k = 0; k < len; k++) bytes[k] = (char)(hti_random_next(&state) | (i % 2 ? 0x80 : 0));
        const hti_token_ids ids = encode(&o, (ht_text){bytes, len}, true, 0);
        for (size_t k = 0; k < ids.len; k++) assert_true(ids.starts[k] <= ids.ends[k] && ids.ends[k] <= len);
    }
    close_both(&o);
}

/* ---- memory ---- */

static const char sample[] = "The naïve [MASK] technologies, x\u0323\u0301 漢字 [Q] Foo bar";

static ht_status open_and_encode(void *ud, ht_error *err)
{
    hti_tokenizer *tokenizer = NULL;
    hti_tokenizer_session *session = NULL;
    const hti_encode_opts opts = {HT_DESC(hti_encode_opts), .add_special = true};
    hti_token_ids ids;
    ht_status status = hti_tokenizer_parse(*(const ht_text *)ud, "file", NULL, &tokenizer, err);
    if (status == HT_OK) status = hti_tokenizer_session_new(tokenizer, &session, err);
    if (status == HT_OK) status = hti_tokenizer_encode(session, (ht_text){sample, sizeof sample - 1}, &opts, &ids, err);
    hti_tokenizer_session_free(session);
    hti_tokenizer_close(tokenizer);
    return status;
}

static void test_memory_faults(void **unused)
{
    (void)unused;
    static const char json[] =
        "{" MODEL ", " PRE ", \"normalizer\": {\"type\": \"BertNormalizer\"}, \"added_tokens\": ["
        "{\"content\": \"[MASK]\", \"special\": true}, {\"content\": \"[Q] \"}]}";
    ht_text text = {json, sizeof json - 1};
    assert_true(fault_alloc_sweep(open_and_encode, &text, false, 2000) > 20);
}

static void test_second_encode_allocates_nothing(void **unused)
{
    (void)unused;
    static const char *const files[] = {MINILM, GOLDEN "/tokenizers/variants/added.json"};
    for (size_t i = 0; i < HTI_LEN(files); i++) {
        opened o = open_file(files[i], NULL);
        (void)encode_string(&o, sample, true);
        fault_alloc_arm(0, false);
        (void)encode_string(&o, sample, true);
        assert_int_equal(fault_alloc_calls(), 0);
        close_both(&o);
    }
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minilm_golden),
        cmocka_unit_test(test_bert_tiny_golden),
        cmocka_unit_test(test_variants_golden),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_added_tokens_behind_the_vocabulary),
        cmocka_unit_test(test_truncation_is_a_cut),
        cmocka_unit_test(test_special_tokens_may_be_text),
        cmocka_unit_test(test_offsets_are_sound),
        cmocka_unit_test(test_both_roads_agree),
        cmocka_unit_test(test_long_stretches),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_any_bytes_are_survived),
        cmocka_unit_test(test_memory_faults),
        cmocka_unit_test(test_second_encode_allocates_nothing),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
