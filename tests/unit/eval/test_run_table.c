/*
 * test_run_table.c - rows added in any order against a plain list; what may not be added.
 */
#include "eval_testing.h"

#include "fault_alloc.h"

enum { N_QUERIES = 12, N_DOCS = 40 };

/* Adds random rows in groups or interleaved; a twin array knows what must be there. */
static void check_random(uint64_t *state)
{
    bool has[N_QUERIES][N_DOCS] = {{false}};
    int order[N_QUERIES][N_DOCS], n_rows[N_QUERIES] = {0}, first[N_QUERIES], n_queries = 0;
    const size_t stay = 1 + below(state, 40); /* on average so many rows before the query changes */
    size_t query = 0;
    ht_run *run;
    MUST(ht_run_new(&run, err));
    for (int i = 0; i < 300; i++) {
        char q[20], d[20];
        if (below(state, stay) == 0) query = below(state, N_QUERIES);
        const size_t doc = below(state, N_DOCS);
        (void)snprintf(q, sizeof q, "q%zu", query);
        (void)snprintf(d, sizeof d, "%zu", doc);
        const ht_status status = ht_run_add(run, text_of(q), text_of(d), (double)i, NULL);
        assert_int_equal(status, has[query][doc] ? HT_EXISTS : HT_OK);
        if (status != HT_OK) continue;
        if (n_rows[query] == 0) first[n_queries++] = (int)query;
        has[query][doc] = true;
        order[query][n_rows[query]++] = (int)doc;
    }
    assert_int_equal(ht_run_n_queries(run), n_queries);
    for (int i = 0; i < n_queries; i++) {
        size_t n;
        char wanted[20];
        (void)snprintf(wanted, sizeof wanted, "q%d", first[i]);
        assert_text(ht_run_query(run, (size_t)i, &n), wanted);
        assert_int_equal(n, n_rows[first[i]]);
        for (size_t r = 0; r < n; r++) {
            (void)snprintf(wanted, sizeof wanted, "%d", order[first[i]][r]);
            assert_text(ht_run_row(run, (size_t)i, r, NULL), wanted);
        }
    }
    ht_run_free(run);
}

static void test_any_order(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    for (unsigned long i = 0; i < from_env("HT_ITERS", 100); i++) check_random(&state);
}

static void test_refused(void **unused)
{
    (void)unused;
    ht_run *run;
    ht_qrels *qrels;
    ht_error why = {0};
    MUST(ht_run_new(&run, err));
    MUST(ht_qrels_new(&qrels, err));
    assert_int_equal(ht_run_add(run, text_of("q"), text_of("d"), (double)NAN, &why), HT_INVALID);
    assert_string_equal(why.message, "query \"q\": the score of document \"d\" is NaN; give a finite number");
    assert_int_equal(ht_run_add(run, text_of("q"), text_of("d"), -HUGE_VAL, &why), HT_INVALID);
    assert_string_equal(why.message, "query \"q\": the score of document \"d\" is infinite; give a finite number");
    assert_int_equal(ht_run_add(run, text_of(""), text_of("d"), 1, &why), HT_INVALID);
    assert_int_equal(ht_run_add(run, text_of("q"), text_of(""), 1, &why), HT_INVALID);
    assert_int_equal(ht_run_n_queries(run), 0);
    MUST(ht_run_add(run, text_of("q"), text_of("d"), 1, err));
    assert_int_equal(ht_run_add(run, text_of("q"), text_of("d"), 2, &why), HT_EXISTS);
    assert_string_equal(why.message, "query \"q\" holds document \"d\" already; keep one of the two");
    MUST(ht_qrels_add(qrels, text_of("q"), text_of("d"), -1, err));
    assert_int_equal(ht_qrels_add(qrels, text_of("q"), text_of("d"), 1, &why), HT_EXISTS);
    /* a long id is shown in part, and never half a character */
    char id[400];
    memset(id, 'x', sizeof id);
    for (size_t i = 59; i + 1 < sizeof id; i += 2) {
        id[i] = '\xC3';
        id[i + 1] = '\xA9';
    }
    assert_int_equal(ht_run_add(run, (ht_text){id, 200}, text_of("d"), (double)NAN, &why), HT_INVALID);
    assert_int_equal(hti_utf8_valid(text_of(why.message)), strlen(why.message));
    assert_true(strlen(why.message) < 150);
    /* behind the end */
    double score = 5;
    size_t n = 5;
    assert_null(ht_run_query(run, 1, &n).data);
    assert_int_equal(n, 0);
    assert_null(ht_run_row(run, 0, 1, &score).data);
    assert_null(ht_run_row(run, 1, 0, &score).data);
    assert_int_equal(ht_qrels_n_queries(qrels), 1);
    assert_text(ht_qrels_query(qrels, 0, &n), "q");
    assert_int_equal(n, 1);
    int32_t grade = 5;
    assert_text(ht_qrels_row(qrels, 0, 0, &grade), "d");
    assert_int_equal(grade, -1);
    assert_null(ht_qrels_row(qrels, 0, 1, &grade).data);
    assert_int_equal(grade, 0);
    assert_null(ht_qrels_row(qrels, 1, 0, NULL).data);
    ht_run_free(run);
    ht_qrels_free(qrels);
    ht_run_free(NULL);
    ht_qrels_free(NULL);
}

static ht_status build_and_evaluate(void *ud, ht_error *err)
{
    (void)ud;
    ht_run *run = NULL, *fused = NULL;
    ht_qrels *qrels = NULL;
    ht_evaluation *evaluation = NULL;
    ht_measure measure;
    ht_significance significance;
    double values[30] = {0}, zeros[30] = {0};
    ht_status status = ht_run_new(&run, err);
    if (status == HT_OK) status = ht_qrels_new(&qrels, err);
    for (int i = 0; status == HT_OK && i < 120; i++) {
        char q[20], d[20];
        (void)snprintf(q, sizeof q, "%d", i % 5);
        (void)snprintf(d, sizeof d, "d%d", i / 3);
        if (i % 15 >= 5) continue; /* interleaved, no document twice in a query */
        status = ht_run_add(run, text_of(q), text_of(d), i % 7, err);
        if (status == HT_OK) status = ht_qrels_add(qrels, text_of(q), text_of(d), i % 3, err);
    }
    if (status == HT_OK) status = ht_fuse((const ht_run *const[]){run, run}, 2, NULL, &fused, err);
    if (status == HT_OK) status = ht_measure_parse(text_of("ndcg"), &measure, err);
    if (status == HT_OK) status = ht_evaluate(qrels, fused, &measure, 1, NULL, &evaluation, err);
    for (int i = 0; i < 30; i++) values[i] = i - 10.5;
    if (status == HT_OK) status = ht_significance_test(values, zeros, 30, 10, 1, &significance, err);
    ht_evaluation_free(evaluation);
    ht_run_free(fused);
    ht_run_free(run);
    ht_qrels_free(qrels);
    return status;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(build_and_evaluate, NULL, false, 2000) > 20);
    assert_true(fault_alloc_sweep(build_and_evaluate, NULL, true, 2000) > 20);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_order), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests_name("run_table", tests, NULL, NULL);
}
