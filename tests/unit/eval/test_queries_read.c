/*
 * test_queries_read.c - queries in both forms, and the message for every bad line.
 */
#include "eval_testing.h"

#include "fault_alloc.h"

static void assert_query(const ht_queries *queries, size_t n, const char *id, const char *text)
{
    ht_text got;
    assert_text(ht_queries_at(queries, n, &got), id);
    assert_text(got, text);
}

static void test_both_forms(void **unused)
{
    (void)unused;
    ht_queries *queries;
    ht_text text;
    MUST(ht_queries_read(temp_text("\xEF\xBB\xBF{\"_id\": \"q1\", \"text\": \"caf\\u00e9\"}\r\n\n"
                                   "{\"id\": 7, \"text\": \"\", \"metadata\": {\"a\": [1, 2]}}"),
                         NULL, &queries, err));
    assert_int_equal(ht_queries_len(queries), 2);
    assert_query(queries, 0, "q1", "caf\xC3\xA9");
    assert_query(queries, 1, "7", "");
    assert_null(ht_queries_at(queries, 2, &text).data);
    assert_null(text.data);
    ht_queries_free(queries);
    MUST(ht_queries_read(temp_text("\n1\twhat is it\r\n22\t {not json}\n3\t\n"), NULL, &queries, err));
    assert_int_equal(ht_queries_len(queries), 3);
    assert_query(queries, 0, "1", "what is it");
    assert_query(queries, 1, "22", "{not json}");
    assert_query(queries, 2, "3", "");
    ht_queries_free(queries);
    MUST(ht_queries_read(HT_SOURCE_DIR "/data/cranfield/queries.jsonl", NULL, &queries, err));
    assert_int_equal(ht_queries_len(queries), 225);
    ht_queries_free(queries);
    ht_queries_free(NULL);
}

static void test_bad_lines(void **unused)
{
    (void)unused;
    static const struct {
        const char *file, *message;
        ht_status status;
    } rows[] = {
        {"", "PATH: no queries; write {\"_id\": ..., \"text\": ...} or \"qid<TAB>text\" lines", HT_PARSE},
        {"a b\n", "PATH:1:1: 1 field between tabs where queries have 2; write \"qid<TAB>text\"", HT_PARSE},
        {"1\tx\n2\tx\ty\n", "PATH:2:1: 3 fields between tabs where queries have 2; write \"qid<TAB>text\"", HT_PARSE},
        {"1\tx\n1\ty\n", "PATH:2: query \"1\" is there already; keep one of the two", HT_EXISTS},
        {"a b\tx\n", "PATH:1:1: the query id \"a b\" holds a blank; ids are words of visible characters", HT_PARSE},
        {"\tx\n", "PATH:1:1: the query id \"\" is empty; ids are words of visible characters", HT_PARSE},
        {"1\tx\xFF\n", "PATH:1:4: byte 0xFF is not valid UTF-8; convert the file to UTF-8", HT_PARSE},
        {"{\"_id\": \"1\"}\n", "PATH:1:1: no \"text\"; write \"text\": \"\" where it is empty", HT_PARSE},
        {"{\"text\": \"x\"}\n",
         "PATH:1:1: no \"_id\"; give every record an \"_id\" (or \"id\"), a text or a whole number", HT_PARSE},
        {"{\"_id\": \"a b\", \"text\": \"x\"}\n",
         "PATH:1:1: the query id \"a b\" holds a blank; ids are words of visible characters", HT_PARSE},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        ht_queries *queries = (ht_queries *)1;
        ht_error why = {0};
        assert_int_equal(ht_queries_read(temp_text(rows[i].file), NULL, &queries, &why), rows[i].status);
        assert_null(queries);
        assert_message(&why, rows[i].message);
    }
}

static void test_lenient(void **unused)
{
    (void)unused;
    const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = true};
    ht_queries *queries;
    MUST(ht_queries_read(temp_text("bad\n1\tx\n1\ty\n\t\n2\tz\n"), &opts, &queries, err));
    assert_int_equal(ht_queries_len(queries), 2);
    ht_queries_free(queries);
    const ht_read_opts unset = {.lenient = true};
    assert_int_equal(ht_queries_read(temp_text("1\tx\n"), &unset, &queries, NULL), HT_INVALID);
    assert_int_equal(ht_queries_read("/nonexistent/q.tsv", NULL, &queries, NULL), HT_NOT_FOUND);
}

static ht_status read_once(void *ud, ht_error *err)
{
    ht_queries *queries;
    HT_TRY(ht_queries_read(ud, NULL, &queries, err));
    ht_queries_free(queries);
    return HT_OK;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    const char *path =
        temp_text("{\"_id\": \"q1\", \"text\": \"caf\\u00e9\", \"x\": 1e5}\n{\"_id\": \"q2\", \"text\": \"b\"}\n");
    union {
        const char *in;
        void *out;
    } ud = {path};
    assert_true(fault_alloc_sweep(read_once, ud.out, false, 500) > 8);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("queries_read", tests, NULL, NULL);
}
