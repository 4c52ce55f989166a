/*
 * test_evaluate.c - every golden value of trec_eval, and a naive twin that follows the definitions.
 *
 * The twin knows a document's rank as 1 + the number of documents that beat it, and computes each
 * measure from ranks alone, in O(n^2). HT_SEED repeats a run, HT_ITERS lengthens it.
 */
#include "eval_testing.h"

enum { MAX_DOCS = 40, MAX_MEASURES = 64 };
static const double close_enough = 1e-9;

static void assert_near(double got, double wanted, const char *where, const char *what)
{
    if (!(fabs(got - wanted) <= close_enough * fmax(1.0, fabs(wanted))))
        fail_msg("%s: %s is %.12g, not %.12g", where, what, got, wanted);
}

/* ---- cases.json ---- */

static void build_case(const json_t *one, ht_qrels *qrels, ht_run *run)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(one, "qrels"), i, row) MUST(ht_qrels_add(
        qrels, text_of(json_string_value(json_array_get(row, 0))), text_of(json_string_value(json_array_get(row, 1))),
        (int32_t)json_integer_value(json_array_get(row, 2)), err));
    json_array_foreach(json_object_get(one, "run"), i, row) MUST(
        hti_run_add_any(run, text_of(json_string_value(json_array_get(row, 0))),
                        text_of(json_string_value(json_array_get(row, 1))), number_of(json_array_get(row, 2)), err));
}

/* All measures that the object names, by their trec_eval names. */
static size_t measures_of(json_t *object, ht_measure *measures, const char **names)
{
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        assert_true(n < MAX_MEASURES);
        measures[n] = measure_of(key);
        names[n++] = key;
    }
    return n;
}

static size_t check_means(const char *name, json_t *wanted, const ht_qrels *qrels, const ht_run *run, bool complete)
{
    ht_measure measures[MAX_MEASURES];
    const char *names[MAX_MEASURES];
    const size_t n = measures_of(wanted, measures, names);
    ht_eval_opts opts;
    ht_eval_opts_init(&opts);
    opts.complete = complete;
    ht_evaluation *evaluation;
    MUST(ht_evaluate(qrels, run, measures, n, &opts, &evaluation, err));
    for (size_t m = 0; m < n; m++) {
        const bool sum = strncmp(names[m], "num_", 4) == 0; /* ours are sums, the golden's means */
        assert_near(sum ? evaluation->means[m] / (double)evaluation->n_queries : evaluation->means[m],
                    json_number_value(json_object_get(wanted, names[m])), name, names[m]);
    }
    ht_evaluation_free(evaluation);
    return n;
}

static size_t check_queries(const char *name, json_t *per_query, const ht_qrels *qrels, const ht_run *run)
{
    ht_measure measures[MAX_MEASURES];
    const char *names[MAX_MEASURES];
    json_t *first = json_object_iter_value(json_object_iter(per_query));
    const size_t n = first ? measures_of(first, measures, names) : 0;
    ht_evaluation *evaluation;
    MUST(ht_evaluate(qrels, run, measures, n, NULL, &evaluation, err));
    if (evaluation->n_queries != json_object_size(per_query)) fail_msg("%s: %zu queries", name, evaluation->n_queries);
    for (size_t q = 0; q < evaluation->n_queries; q++) {
        json_t *wanted = json_object_getn(per_query, evaluation->queries[q].data, evaluation->queries[q].len);
        for (size_t m = 0; m < n; m++)
            assert_near(evaluation->values[q * n + m], member_number(wanted, names[m]), name, names[m]);
    }
    const size_t n_values = n * evaluation->n_queries;
    ht_evaluation_free(evaluation);
    return n_values;
}

static void test_golden_cases(void **unused)
{
    (void)unused;
    size_t i, n_values = 0;
    json_t *cases = golden_json(GOLDEN "cases.json"), *one;
    json_array_foreach(cases, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        ht_qrels *qrels;
        ht_run *run;
        MUST(ht_qrels_new(&qrels, err));
        MUST(ht_run_new(&run, err));
        build_case(one, qrels, run);
        n_values += check_queries(name, json_object_get(one, "per_query"), qrels, run);
        n_values += check_means(name, json_object_get(one, "mean_over_both"), qrels, run, false);
        n_values += check_means(name, json_object_get(one, "mean_over_all_qrels"), qrels, run, true);
        ht_run_free(run);
        ht_qrels_free(qrels);
    }
    assert_int_equal(json_array_size(cases), 49);
    assert_true(n_values > 49 * 50);
    json_decref(cases);
}

/* ---- files: per-query tables and means ---- */

static void check_table(const char *qrels_path, const char *run_path, const char *table_path)
{
    ht_qrels *qrels;
    ht_run *run;
    ht_evaluation *evaluation = NULL;
    ht_measure measures[MAX_MEASURES];
    hti_buffer table;
    hti_buffer_init(&table);
    MUST(ht_qrels_read(qrels_path, NULL, &qrels, err));
    MUST(ht_run_read(run_path, NULL, &run, err));
    MUST(hti_read_file(table_path, 1 << 20, &table, err));
    size_t n = 0, row = 0;
    char *rest;
    for (char *line = strtok_r(table.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), row++) {
        char *save, *field = strtok_r(line, "\t", &save);
        if (row == 0) {
            while ((field = strtok_r(NULL, "\t", &save))) measures[n++] = measure_of(field);
            MUST(ht_evaluate(qrels, run, measures, n, NULL, &evaluation, err));
            continue;
        }
        assert_text(evaluation->queries[row - 1], field);
        for (size_t m = 0; m < n; m++) {
            const double got = evaluation->values[(row - 1) * n + m],
                         wanted = strtod(strtok_r(NULL, "\t", &save), NULL);
            if (fabs(got - wanted) > 1e-7)
                fail_msg("%s: query %s, %s: %.9g, not %.9g", table_path, field, measures[m].name, got, wanted);
        }
    }
    assert_int_equal(row - 1, evaluation ? evaluation->n_queries : 0);
    hti_buffer_deinit(&table);
    ht_evaluation_free(evaluation);
    ht_run_free(run);
    ht_qrels_free(qrels);
}

static void check_collection(const char *name, const char *qrels_path, const char *const *runs)
{
    char path[300], table_path[300], key[60];
    (void)snprintf(path, sizeof path, GOLDEN "%s.json", name);
    json_t *golden = golden_json(path);
    for (size_t i = 0; i < 3; i++) {
        ht_qrels *qrels;
        ht_run *run;
        (void)snprintf(path, sizeof path, GOLDEN "%s.%s.top100.run.gz", name, runs[i]);
        (void)snprintf(table_path, sizeof table_path, GOLDEN "%s.%s_top100.per_query.tsv", name, runs[i]);
        if (access(table_path, R_OK) == 0) check_table(qrels_path, path, table_path);
        (void)snprintf(key, sizeof key, "%s_top100", runs[i]);
        MUST(ht_qrels_read(qrels_path, NULL, &qrels, err));
        MUST(ht_run_read(path, NULL, &run, err));
        json_t *means = json_object_get(json_object_get(json_object_get(golden, "runs"), key), "mean_over_both");
        assert_true(check_means(path, means, qrels, run, false) > 20);
        ht_run_free(run);
        ht_qrels_free(qrels);
    }
    json_decref(golden);
}

static void test_golden_collections(void **unused)
{
    (void)unused;
    static const char *const runs[] = {"k0.9b0.4", "k1.2b0.75", "tfidf"};
    check_collection("cranfield", QRELS_CRANFIELD, runs);
    check_collection("cacm", QRELS_CACM, runs);
}

/* ---- the naive twin ---- */

typedef struct twin {
    char ids[MAX_DOCS][32];
    double scores[MAX_DOCS];
    int grades[MAX_DOCS]; /* judged ones */
    bool judged[MAX_DOCS], returned[MAX_DOCS];
    size_t n;
    int level;
} twin;

static size_t rank_of(const twin *t, size_t d)
{
    size_t rank = 1;
    for (size_t o = 0; o < t->n; o++) {
        if (!t->returned[o] || o == d) continue;
        const bool tie = t->scores[o] == t->scores[d];
        rank += t->scores[o] > t->scores[d] || (tie && strcmp(t->ids[o], t->ids[d]) > 0);
    }
    return rank;
}

static bool relevant(const twin *t, size_t d) { return t->judged[d] && t->grades[d] >= t->level; }

/* Returned documents at rank <= k that are relevant, or any when `all`. */
static double top(const twin *t, size_t k, bool all)
{
    double n = 0;
    for (size_t d = 0; d < t->n; d++) n += t->returned[d] && rank_of(t, d) <= k && (all || relevant(t, d));
    return n;
}

static double twin_ndcg(const twin *t, size_t k)
{
    double dcg = 0, ideal = 0;
    for (size_t d = 0; d < t->n; d++) {
        if (!t->judged[d] || t->grades[d] <= 0) continue;
        const size_t rank = rank_of(t, d);
        if (t->returned[d] && rank <= k) dcg += t->grades[d] / log2((double)rank + 1);
        size_t best = 1; /* its place in the ideal order, equals in any order */
        for (size_t o = 0; o < t->n; o++)
            best += t->judged[o] && (t->grades[o] > t->grades[d] || (t->grades[o] == t->grades[d] && o < d));
        if (best <= k) ideal += t->grades[d] / log2((double)best + 1);
    }
    return ideal > 0 ? dcg / ideal : 0;
}

static double twin_map(const twin *t, size_t k, double n_rel)
{
    double sum = 0;
    for (size_t d = 0; d < t->n; d++)
        if (t->returned[d] && relevant(t, d) && rank_of(t, d) <= k)
            sum += top(t, rank_of(t, d), false) / (double)rank_of(t, d);
    return n_rel > 0 ? sum / n_rel : 0;
}

static double twin_bpref(const twin *t, double n_rel)
{
    double sum = 0, n_bad = 0;
    for (size_t d = 0; d < t->n; d++) n_bad += t->judged[d] && t->grades[d] >= 0 && t->grades[d] < t->level;
    for (size_t d = 0; d < t->n; d++) {
        if (!t->returned[d] || !relevant(t, d)) continue;
        double above = 0;
        for (size_t o = 0; o < t->n; o++)
            above += t->returned[o] && t->judged[o] && t->grades[o] >= 0 && t->grades[o] < t->level &&
                     rank_of(t, o) < rank_of(t, d);
        sum += above > 0 ? 1 - fmin(above, n_rel) / fmin(n_bad, n_rel) : 1;
    }
    return n_rel > 0 ? sum / n_rel : 0;
}

static double twin_iprec(const twin *t, double level, double n_rel)
{
    double best = 0;
    for (size_t k = 1; k <= (size_t)top(t, MAX_DOCS, true); k++)
        if (top(t, k, false) >= floor(level * n_rel + 0.9)) best = fmax(best, top(t, k, false) / (double)k);
    return best;
}

static double twin_value(const twin *t, const char *name, size_t k)
{
    double n_rel = 0, first = 0, n_judged = 0;
    const double n_ret = top(t, MAX_DOCS, true), n_found = top(t, MAX_DOCS, false);
    for (size_t d = 0; d < t->n; d++) n_rel += relevant(t, d);
    for (size_t d = 0; d < t->n; d++) n_judged += t->returned[d] && t->judged[d] && rank_of(t, d) <= k;
    for (size_t d = 0; d < t->n; d++)
        if (t->returned[d] && relevant(t, d)) first = fmax(first, 1.0 / (double)rank_of(t, d));
    if (strcmp(name, "ndcg") == 0) return twin_ndcg(t, k);
    if (strcmp(name, "map") == 0) return twin_map(t, k, n_rel);
    if (strcmp(name, "bpref") == 0) return twin_bpref(t, n_rel);
    if (strcmp(name, "P") == 0) return top(t, k, false) / (double)k;
    if (strcmp(name, "recall") == 0) return n_rel > 0 ? top(t, k, false) / n_rel : 0;
    if (strcmp(name, "success") == 0) return top(t, k, false) > 0;
    if (strcmp(name, "mrr") == 0) return first * (double)k >= 1 - 1e-9 ? first : 0;
    if (strcmp(name, "Rprec") == 0) return n_rel > 0 ? top(t, (size_t)n_rel, false) / n_rel : 0;
    if (strcmp(name, "judged") == 0) return n_ret > 0 ? n_judged / fmin((double)k, n_ret) : 0;
    if (strcmp(name, "set_P") == 0) return n_ret > 0 ? n_found / n_ret : 0;
    if (strcmp(name, "set_recall") == 0) return n_rel > 0 ? n_found / n_rel : 0;
    if (strcmp(name, "set_F") == 0) return n_found > 0 ? 2 * n_found / (n_ret + n_rel) : 0;
    if (strcmp(name, "set_map") == 0) return n_found > 0 ? n_found * n_found / (n_ret * n_rel) : 0;
    if (strcmp(name, "iprec") == 0) return twin_iprec(t, (double)k / 100.0, n_rel);
    double sum = 0;
    for (int i = 0; i <= 10; i++) sum += twin_iprec(t, (double)(i * 10) / 100.0, n_rel);
    return sum / 11; /* 11pt_avg */
}

static void random_twin(uint64_t *state, twin *t)
{
    t->n = 1 + below(state, MAX_DOCS - 1);
    t->level = 1 + (int)below(state, 2);
    const size_t n_scores = 1 + below(state, 30);
    for (size_t d = 0; d < t->n; d++) {
        (void)snprintf(t->ids[d], sizeof t->ids[d], "%s%zu", below(state, 3) ? "d" : "\xC3\xA9", d);
        t->scores[d] = (double)below(state, n_scores) / 7.0 - 1.0;
        t->judged[d] = below(state, 3) > 0;
        t->grades[d] = (int)below(state, 6) - 2;
        t->returned[d] = below(state, 4) > 0;
    }
}

static const struct {
    const char *name, *parsed;
    size_t k;
} twin_measures[] = {
    {"ndcg", "ndcg", MAX_DOCS},  {"ndcg", "ndcg@5", 5},
    {"map", "map", MAX_DOCS},    {"map", "map@7", 7},
    {"bpref", "bpref", 0},       {"P", "P@3", 3},
    {"P", "P@30", 30},           {"recall", "recall@10", 10},
    {"success", "success@2", 2}, {"mrr", "mrr", MAX_DOCS},
    {"mrr", "mrr@3", 3},         {"Rprec", "Rprec", 0},
    {"judged", "judged@10", 10}, {"judged", "judged", MAX_DOCS},
    {"set_P", "set_P", 0},       {"set_recall", "set_recall", 0},
    {"set_F", "set_F", 0},       {"set_map", "set_map", 0},
    {"iprec", "iprec@0.30", 30}, {"iprec", "iprec@1.00", 100},
    {"11pt_avg", "11pt_avg", 0},
};

static bool equals_twin(const twin *t, bool spoil, char *why, size_t cap)
{
    enum { N = HTI_LEN(twin_measures) };
    ht_qrels *qrels;
    ht_run *run;
    ht_evaluation *evaluation;
    ht_measure measures[N];
    ht_eval_opts opts;
    ht_eval_opts_init(&opts);
    opts.min_grade = t->level;
    MUST(ht_qrels_new(&qrels, err));
    MUST(ht_run_new(&run, err));
    MUST(ht_qrels_add(qrels, text_of("other"), text_of(t->ids[0]), 1, err)); /* must not leak into q */
    for (size_t d = 0; d < t->n; d++) {
        if (t->judged[d]) MUST(ht_qrels_add(qrels, text_of("q"), text_of(t->ids[d]), t->grades[d], err));
        if (t->returned[d])
            MUST(ht_run_add(run, text_of("q"), text_of(t->ids[d]), t->scores[d] + (spoil && d == 0), err));
    }
    for (size_t m = 0; m < N; m++) measures[m] = measure_of(twin_measures[m].parsed);
    MUST(ht_evaluate(qrels, run, measures, N, &opts, &evaluation, err));
    bool same = true;
    for (size_t m = 0; same && evaluation->n_queries == 1 && m < N; m++) {
        const double wanted = twin_value(t, twin_measures[m].name, twin_measures[m].k);
        same = fabs(evaluation->values[m] - wanted) < 1e-12;
        if (!same) (void)snprintf(why, cap, "%s is %.15g, not %.15g", measures[m].name, evaluation->values[m], wanted);
    }
    ht_evaluation_free(evaluation);
    ht_run_free(run);
    ht_qrels_free(qrels);
    return same;
}

static void test_equals_naive_twin(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 400);
    uint64_t state = seed;
    for (unsigned long i = 0; i < iters; i++) {
        twin t;
        char why[120];
        random_twin(&state, &t);
        if (!equals_twin(&t, false, why, sizeof why)) fail_msg("seed %lu, iteration %lu: %s", seed, i, why);
    }
}

static void test_a_wrong_score_is_noticed(void **unused)
{
    (void)unused;
    uint64_t state = 3;
    size_t noticed = 0;
    for (int i = 0; i < 60; i++) {
        twin t;
        char why[120];
        random_twin(&state, &t);
        noticed += !equals_twin(&t, true, why, sizeof why);
    }
    assert_true(noticed > 20);
}

/* ---- the rest of the contract ---- */

static void test_counts_and_options(void **unused)
{
    (void)unused;
    ht_qrels *qrels;
    ht_run *run;
    ht_evaluation *evaluation;
    ht_error why = {0};
    const ht_measure measures[] = {measure_of("num_rel"), measure_of("P@1")};
    MUST(ht_qrels_read(temp_text("a 0 x 2\nb 0 x 1\nc 0 y 1\n"), NULL, &qrels, err));
    MUST(ht_run_read(temp_text("b Q0 x 1 2.5 t\na Q0 x 1 2.5 t\nz Q0 x 1 1 t\nzz Q0 x 1 1 t\n"), NULL, &run, err));
    MUST(ht_evaluate(qrels, run, measures, 2, NULL, &evaluation, err));
    assert_int_equal(evaluation->n_queries, 2);
    assert_int_equal(evaluation->n_missing, 1);
    assert_int_equal(evaluation->n_unjudged, 2);
    assert_text(evaluation->queries[0], "a"); /* the judgements' order, not the run's */
    assert_true(evaluation->means[0] == 2.0 && evaluation->means[1] == 1.0);
    ht_evaluation_free(evaluation);
    ht_eval_opts opts;
    ht_eval_opts_init(&opts);
    opts.min_grade = 2;
    opts.complete = true;
    MUST(ht_evaluate(qrels, run, measures, 2, &opts, &evaluation, err));
    assert_int_equal(evaluation->n_queries, 3);
    assert_true(fabs(evaluation->means[1] - 1.0 / 3.0) < 1e-15);
    ht_evaluation_free(evaluation);
    opts.min_grade = 0;
    assert_int_equal(ht_evaluate(qrels, run, measures, 2, &opts, &evaluation, &why), HT_INVALID);
    assert_null(evaluation);
    const ht_measure wrong = {.kind = 99};
    assert_int_equal(ht_evaluate(qrels, run, &wrong, 1, NULL, &evaluation, &why), HT_INVALID);
    ht_evaluation_free(NULL);
    ht_run_free(run);
    ht_qrels_free(qrels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_cases),       cmocka_unit_test(test_golden_collections),
        cmocka_unit_test(test_equals_naive_twin),  cmocka_unit_test(test_a_wrong_score_is_noticed),
        cmocka_unit_test(test_counts_and_options),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
