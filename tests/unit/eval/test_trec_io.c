/*
 * test_trec_io.c - files of runs and judgements: every form, the message for every bad line, writing.
 */
#include "eval_testing.h"

#include "fault_alloc.h"
#include "squeeze.h"

#include <fcntl.h>

static ht_run *run_of(const char *text)
{
    ht_run *run;
    MUST(ht_run_read(temp_text(text), NULL, &run, err));
    return run;
}

static void assert_row(const ht_run *run, size_t q, size_t row, const char *doc, double wanted)
{
    double score;
    assert_text(ht_run_row(run, q, row, &score), doc);
    assert_true(score == wanted);
}

/* ---- good files ---- */

static void test_run_forms(void **unused)
{
    (void)unused;
    /* mark, CR, blank lines, tabs, leading blanks, interleaved queries, a rank that is no number, no last newline */
    ht_run *run = run_of("\xEF\xBB\xBFq1 Q0 a 1 2.5 t\r\n\r\n  \n\tq2\tQ0\tb  x -1e-3 t \n q1 Q0 \xE4\xB8\xAD 9 7 t");
    assert_int_equal(ht_run_n_queries(run), 2);
    size_t n;
    assert_text(ht_run_query(run, 0, &n), "q1");
    assert_int_equal(n, 2);
    assert_row(run, 0, 0, "a", 2.5);
    assert_row(run, 0, 1, "\xE4\xB8\xAD", 7);
    assert_row(run, 1, 0, "b", -1e-3);
    ht_run_free(run);
}

static void check_qrels(const char *text, size_t n_queries, size_t n_docs)
{
    ht_qrels *qrels;
    MUST(ht_qrels_read(temp_text(text), NULL, &qrels, err));
    size_t sum = 0, n;
    for (size_t q = 0; q < ht_qrels_n_queries(qrels); q++) {
        (void)ht_qrels_query(qrels, q, &n);
        sum += n;
    }
    if (ht_qrels_n_queries(qrels) != n_queries || sum != n_docs)
        fail_msg("\"%s\": %zu queries, %zu documents", text, ht_qrels_n_queries(qrels), sum);
    ht_qrels_free(qrels);
}

static void test_qrels_forms(void **unused)
{
    (void)unused;
    check_qrels("1 0 a 1\n1 0 b -2\n\n2\t0\ta\t+3\r\n", 2, 3);
    check_qrels("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t0\n", 2, 2);
    check_qrels("\xEF\xBB\xBFquery-id\tcorpus-id\tscore\r\n1\ta\t1\r\n", 1, 1);
    check_qrels("1\ta\t1\n2\tb\t0\n", 2, 2);                /* BEIR without its header */
    check_qrels("Query-ID corpus-id score\n1 a 1\n", 1, 1); /* blanks for tabs */
    check_qrels("qid Q0 docid relevance\n1 0 a 1\n", 1, 1);
    check_qrels("query-id\tx\t1\n", 1, 1); /* a query of that name, for its grade is a number */
    check_qrels(" 1\t a \t1 \n", 1, 1);
}

static void check_squeezed(void (*squeeze)(squeezed *, const void *, size_t))
{
    static const char text[] = "q Q0 a 1 2 t\nq Q0 b 2 1 t\n";
    squeezed file = {NULL, 0};
    ht_run *run;
    squeeze(&file, text, 20); /* the members part a line */
    squeeze(&file, text + 20, sizeof text - 1 - 20);
    MUST(ht_run_read(temp_file(file.data, file.len), NULL, &run, err));
    size_t n;
    (void)ht_run_query(run, 0, &n);
    assert_int_equal(n, 2);
    assert_row(run, 0, 1, "b", 1);
    ht_run_free(run);
    for (size_t len = 5; len < file.len; len++) { /* cut short anywhere: rows may be read only up to a member's end */
        ht_error why = {0};
        const ht_status status = ht_run_read(temp_file(file.data, len), NULL, &run, &why);
        if (status == HT_OK) ht_run_free(run);
        assert_true(status == HT_PARSE && why.message[0]);
    }
    free(file.data);
}

static void test_compressed(void **unused)
{
    (void)unused;
    check_squeezed(squeeze_gzip);
    check_squeezed(squeeze_zstd);
}

static void test_standard_input(void **unused)
{
    (void)unused;
    const int kept = dup(0), fd = open(temp_text("q Q0 a 1 2 t\nbad\n"), O_RDONLY);
    assert_true(kept >= 0 && fd >= 0 && dup2(fd, 0) == 0);
    ht_run *run;
    ht_error why = {0};
    assert_int_equal(ht_run_read("-", NULL, &run, &why), HT_PARSE);
    assert_string_equal(why.message,
                        "standard input:2:1: 1 field where a run has 6; write \"qid Q0 docid rank score tag\"");
    assert_true(dup2(kept, 0) == 0);
    (void)close(fd);
    (void)close(kept);
}

/* ---- bad lines ---- */

typedef struct bad_file {
    const char *text, *message;
    ht_status status;
} bad_file;

static const bad_file bad_runs[] = {
    {"", "PATH: no rows; write one \"qid Q0 docid rank score tag\" a line", HT_PARSE},
    {"\n \n", "PATH: no rows; write one \"qid Q0 docid rank score tag\" a line", HT_PARSE},
    {"q Q0 a 1 2\n", "PATH:1:1: 5 fields where a run has 6; write \"qid Q0 docid rank score tag\"", HT_PARSE},
    {"q Q0 a 1 2 t x\n", "PATH:1:1: 7 fields where a run has 6; write \"qid Q0 docid rank score tag\"", HT_PARSE},
    {"q Q0 a 1 1 t\nq Q0 b 2 nan t\n",
     "PATH:2:10: the score \"nan\" is not a finite decimal number; correct it or remove the line", HT_PARSE},
    {"q Q0 b 2 -Infinity t\n",
     "PATH:1:10: the score \"-Infinity\" is not a finite decimal number; correct it or remove the line", HT_PARSE},
    {"q Q0 b 2 abc t\n", "PATH:1:10: the score \"abc\" is not a finite decimal number; correct it or remove the line",
     HT_PARSE},
    {"q Q0 b 2 1,5 t\n", "PATH:1:10: the score \"1,5\" is not a finite decimal number; correct it or remove the line",
     HT_PARSE},
    {"q Q0 b 2 0x1p3 t\n",
     "PATH:1:10: the score \"0x1p3\" is not a finite decimal number; correct it or remove the line", HT_PARSE},
    {"q Q0 b 2 1e999 t\n", "PATH:1:10: the score \"1e999\" is too large for a double; scale the scores", HT_PARSE},
    {"q Q0 a 1 2 t\n\nq Q0 a 2 1 t\n", "PATH:3: query \"q\" holds document \"a\" already; keep one of the two",
     HT_EXISTS},
    {"q\xC3 Q0 a 1 2 t\n", "PATH:1:2: byte 0xC3 is not valid UTF-8; convert the file to UTF-8", HT_PARSE},
    {"q Q0 a\x01"
     "b 1 2 t\n",
     "PATH:1:6: the document id \"a b\" holds a control character; ids are words of visible characters", HT_PARSE},
    {"q\x7F Q0 a 1 2 t\n",
     "PATH:1:1: the query id \"q \" holds a control character; ids are words of visible characters", HT_PARSE},
};

static const bad_file bad_qrels[] = {
    {"", "PATH: no rows; write one \"qid 0 docid grade\" a line", HT_PARSE},
    {"query-id\tcorpus-id\tscore\n", "PATH: no rows; write one \"qid 0 docid grade\" a line", HT_PARSE},
    {"1 0 a 1.5\n", "PATH:1:7: the grade \"1.5\" is not a whole number of 32 bits; correct it or remove the line",
     HT_PARSE},
    {"1 0 a 2147483648\n",
     "PATH:1:7: the grade \"2147483648\" is not a whole number of 32 bits; correct it or remove the line", HT_PARSE},
    {"1\ta\thigh\n", "PATH:1:5: the grade \"high\" is not a whole number of 32 bits; correct it or remove the line",
     HT_PARSE}, /* no known header */
    {"1\ta\t1\nquery-id\tcorpus-id\tscore\n",
     "PATH:2:20: the grade \"score\" is not a whole number of 32 bits; correct it or remove the line", HT_PARSE},
    {"1 0 a 1\n1 0 a 0\n", "PATH:2: query \"1\" holds document \"a\" already; keep one of the two", HT_EXISTS},
    {"1 0 a\tx 1 7\n",
     "PATH:1:1: 6 fields where these judgements have 4; write "
     "\"qid 0 docid grade\", or \"query-id<TAB>corpus-id<TAB>score\"",
     HT_PARSE},
    {"x\n",
     "PATH:1:1: 1 field where these judgements have 4; write "
     "\"qid 0 docid grade\", or \"query-id<TAB>corpus-id<TAB>score\"",
     HT_PARSE},
    {"1\ta\t1\n1\tb\n",
     "PATH:2:1: 2 fields where these judgements have 3; write \"query-id<TAB>corpus-id<TAB>score\" as the first row",
     HT_PARSE},
    {"1 a 1\n1 0 b 1\n",
     "PATH:2:1: 4 fields where these judgements have 3; write \"query-id corpus-id score\" as the first row", HT_PARSE},
    {"1\ta b\t1\n", "PATH:1:3: the document id \"a b\" holds a blank; ids are words of visible characters", HT_PARSE},
    {"1\t\t1\n", "PATH:1:3: the document id \"\" is empty; ids are words of visible characters", HT_PARSE},
    {"1 0 \xED\xA0\x80 1\n", "PATH:1:5: byte 0xED is not valid UTF-8; convert the file to UTF-8", HT_PARSE},
};

static void test_bad_runs(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < HTI_LEN(bad_runs); i++) {
        ht_run *run = (ht_run *)1;
        ht_error why = {0};
        if (ht_run_read(temp_text(bad_runs[i].text), NULL, &run, &why) != bad_runs[i].status)
            fail_msg("run %zu: status %s: %s", i, ht_status_name(why.status), why.message);
        assert_null(run);
        assert_message(&why, bad_runs[i].message);
    }
    ht_run *run;
    ht_error why = {0};
    assert_int_equal(ht_run_read(temp_file("q Q0 a\0b 1 2 t\n", 15), NULL, &run, &why), HT_PARSE);
    assert_message(&why,
                   "PATH:1:6: the document id \"a\" holds a control character; ids are words of visible characters");
    assert_int_equal(ht_run_read("/nonexistent/x.run", NULL, &run, &why), HT_NOT_FOUND);
}

static void test_bad_qrels(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < HTI_LEN(bad_qrels); i++) {
        ht_qrels *qrels = (ht_qrels *)1;
        ht_error why = {0};
        if (ht_qrels_read(temp_text(bad_qrels[i].text), NULL, &qrels, &why) != bad_qrels[i].status)
            fail_msg("qrels %zu: status %s: %s", i, ht_status_name(why.status), why.message);
        assert_null(qrels);
        assert_message(&why, bad_qrels[i].message);
    }
}

/* ---- lenient ---- */

static char logged[HT_ERROR_TEXT];
static int n_logged;
static void take_log(void *ud, ht_log_level level, const char *message)
{
    (void)ud;
    assert_int_equal(level, HT_LOG_WARNING);
    (void)snprintf(logged, sizeof logged, "%s", message);
    n_logged++;
}

static void test_lenient(void **unused)
{
    (void)unused;
    const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = true};
    ht_run *run;
    ht_qrels *qrels;
    size_t n;
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_text(&text, "bad\nq Q0 a 1 2 t\nq Q0 a 1 3 t\nq Q0 b 1 nan t\nq Q0 ");
    for (int i = 0; i < 1100000; i++) hti_buffer_append(&text, "x", 1); /* over the limit of a line */
    hti_buffer_text(&text, " 1 1 t\nq Q0 c 1 1 t\n");
    ht_log_set(take_log, NULL);
    n_logged = 0;
    MUST(ht_run_read(temp_file(text.data, text.len), &opts, &run, err));
    (void)ht_run_query(run, 0, &n);
    assert_int_equal(n, 2);
    assert_row(run, 0, 0, "a", 2);
    assert_row(run, 0, 1, "c", 1);
    ht_run_free(run);
    assert_int_equal(n_logged, 1);
    char wanted[HT_ERROR_TEXT];
    (void)snprintf(
        wanted, sizeof wanted,
        "%s: skipped 4 bad lines; the first: %s:1:1: 1 field where a run has 6; write \"qid Q0 docid rank score tag\"",
        temp_path, temp_path);
    assert_string_equal(logged, wanted);
    ht_error why = {0};
    assert_int_equal(ht_run_read(temp_file(text.data + 46, text.len - 46), NULL, &run, &why), HT_LIMIT);
    hti_buffer_deinit(&text);
    /* a bad first line does not decide the form */
    MUST(ht_qrels_read(temp_text("junk\nquery-id\tcorpus-id\tscore\n1\ta\t1\n1\tb\tx\n"), &opts, &qrels, err));
    (void)ht_qrels_query(qrels, 0, &n);
    assert_int_equal(n, 1);
    ht_qrels_free(qrels);
    MUST(ht_run_read(temp_text("nothing\n"), &opts, &run, err)); /* nothing left is no error when lenient */
    assert_int_equal(ht_run_n_queries(run), 0);
    ht_run_free(run);
    /* a damaged stream is never passed over */
    assert_int_equal(ht_run_read(temp_file("\x1F\x8B\x08\0garbage", 11), &opts, &run, &why), HT_PARSE);
    ht_log_set(NULL, NULL);
    const ht_read_opts unset = {.lenient = true};
    assert_int_equal(ht_run_read(temp_text("q Q0 a 1 2 t\n"), &unset, &run, &why), HT_INVALID);
    assert_int_equal(ht_qrels_read(temp_text("q 0 a 1\n"), &unset, &qrels, &why), HT_INVALID);
}

/* ---- writing ---- */

static void test_writing(void **unused)
{
    (void)unused;
    ht_run *run, *back;
    uint64_t state = from_env("HT_SEED", 1);
    MUST(ht_run_new(&run, err));
    for (int i = 0; i < 300; i++) {
        char q[20], d[20];
        (void)snprintf(q, sizeof q, "q%d", i / 100);
        (void)snprintf(d, sizeof d, "d%d", i);
        double score;
        const uint64_t bits = hti_random_next(&state);
        memcpy(&score, &bits, sizeof score);
        if (!isfinite(score)) score = -0.0;
        MUST(ht_run_add(run, text_of(q), text_of(d), score, err));
    }
    MUST(ht_run_write(run, temp_text(""), "tag", err));
    MUST(ht_run_read(temp_path, NULL, &back, err));
    assert_int_equal(ht_run_n_queries(back), 3);
    for (size_t i = 0; i < 300; i++) {
        double wanted, got;
        const ht_text a = ht_run_row(run, i / 100, i % 100, &wanted), b = ht_run_row(back, i / 100, i % 100, &got);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        assert_memory_equal(&wanted, &got, sizeof got);
    }
    ht_run_free(back);
    ht_run_free(run);
    run = run_of("q Q0 b 7 0.1 x\nq Q0 a 9 3 x\n");
    hti_buffer text;
    hti_buffer_init(&text);
    MUST(ht_run_write(run, temp_path, NULL, err));
    MUST(hti_read_file(temp_path, 1000, &text, err));
    assert_string_equal(text.data, "q Q0 b 1 0.10000000000000001 houndstooth\nq Q0 a 2 3 houndstooth\n");
    (void)fflush(stdout);
    const int kept = dup(1), fd = open(temp_text(""), O_WRONLY);
    assert_true(kept >= 0 && fd >= 0 && dup2(fd, 1) == 1);
    const ht_status status = ht_run_write(run, "-", "t", NULL);
    assert_true(dup2(kept, 1) == 1);
    (void)close(fd);
    (void)close(kept);
    assert_int_equal(status, HT_OK);
    MUST(hti_read_file(temp_path, 1000, &text, err));
    assert_string_equal(text.data, "q Q0 b 1 0.10000000000000001 t\nq Q0 a 2 3 t\n");
    hti_buffer_deinit(&text);
    ht_run_free(run);
}

static void test_unwritable(void **unused)
{
    (void)unused;
    ht_run *run;
    ht_error why = {0};
    MUST(ht_run_new(&run, err));
    MUST(ht_run_add(run, text_of("q"), text_of("a b"), 1, err));
    assert_int_equal(ht_run_write(run, temp_text("old"), "t", &why), HT_INVALID);
    assert_string_equal(why.message, "the document id \"a b\" holds a blank and cannot stand in a run file; rename it");
    assert_int_equal(ht_run_write(run, temp_path, "two words", &why), HT_INVALID);
    assert_string_equal(why.message, "the tag \"two words\" holds a blank and cannot stand in a run file; rename it");
    hti_buffer text;
    hti_buffer_init(&text);
    MUST(hti_read_file(temp_path, 1000, &text, err)); /* what was there stays */
    assert_string_equal(text.data, "old");
    hti_buffer_deinit(&text);
    ht_run_free(run);
    run = run_of("q Q0 a 1 1 t\n");
    assert_int_equal(ht_run_write(run, "/nonexistent/x.run", "t", &why), HT_NOT_FOUND);
    ht_run_free(run);
}

static ht_status read_both(void *ud, ht_error *err)
{
    (void)ud;
    ht_run *run;
    ht_qrels *qrels;
    HT_TRY(ht_run_read(GOLDEN "cacm.tfidf.top100.run.gz", NULL, &run, err));
    ht_status status = ht_qrels_read(QRELS_CACM, NULL, &qrels, err);
    if (status == HT_OK) ht_qrels_free(qrels);
    if (status == HT_OK) status = ht_run_write(run, temp_path, "t", err);
    ht_run_free(run);
    return status;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    (void)temp_text("");
    assert_true(fault_alloc_sweep(read_both, NULL, false, 300) > 30);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_forms),     cmocka_unit_test(test_qrels_forms),    cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_bad_runs),      cmocka_unit_test(test_standard_input), cmocka_unit_test(test_bad_qrels),
        cmocka_unit_test(test_lenient),       cmocka_unit_test(test_writing),        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("trec_io", tests, NULL, NULL);
}
