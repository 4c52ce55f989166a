/*
 * test_significance.c - Student tails and sign flips against scipy's values and exact enumeration.
 */
#include "eval_testing.h"

enum { MAX_N = 20 };

static void assert_relative(double got, double wanted, double tolerance, const char *what)
{
    if (!(fabs(got - wanted) <= tolerance * fabs(wanted) + 1e-300))
        fail_msg("%s is %.12g, not %.12g", what, got, wanted);
}

static size_t vector_of(const json_t *array, double *out)
{
    size_t i;
    const json_t *value;
    json_array_foreach(array, i, value) out[i] = json_number_value(value);
    return json_array_size(array);
}

static void test_golden_vectors(void **unused)
{
    (void)unused;
    size_t i;
    json_t *golden = golden_json(GOLDEN "significance_small.json"), *one;
    json_array_foreach(json_object_get(golden, "vectors"), i, one)
    {
        double a[MAX_N], b[MAX_N];
        ht_significance s;
        const size_t n = vector_of(json_object_get(one, "a"), a);
        assert_int_equal(vector_of(json_object_get(one, "b"), b), n);
        MUST(ht_significance_test(a, b, n, 1000, 1, &s, err));
        assert_relative(s.t, member_number(one, "t"), 1e-8, "t");
        assert_relative(s.t_p, member_number(one, "t_test_p_two_sided"), 1e-8, "p of t");
        assert_relative(s.flip_p, member_number(one, "exact_sign_flip_p"), 1e-9, "exact p");
        assert_int_equal(s.n_flips, (uint64_t)1 << (n - s.ties));
    }
    assert_true(i >= 8);
    json_decref(golden);
}

static void test_golden_tails(void **unused)
{
    (void)unused;
    size_t i;
    json_t *golden = golden_json(GOLDEN "significance_small.json"), *one;
    json_array_foreach(json_object_get(golden, "student_t_tails"), i, one)
    {
        const double t = member_number(one, "t"), df = member_number(one, "df"), p = member_number(one, "p_two_sided");
        assert_relative(ht_student_t_p(t, df), p, 1e-9, "tail");
        assert_true(ht_student_t_p(-t, df) == ht_student_t_p(t, df));
    }
    assert_true(i > 30);
    json_decref(golden);
    assert_true(isnan(ht_student_t_p((double)NAN, 3)) && isnan(ht_student_t_p(1, 0)));
    assert_true(ht_student_t_p((double)INFINITY, 3) == 0.0);
    /* Closed forms: 1 degree is Cauchy, 2 degrees are algebraic; from tiny to huge. */
    for (int step = -36; step <= 36; step++) {
        const double t = pow(2, step / 1.2);
        assert_relative(ht_student_t_p(t, 1), 1 - 2 / acos(-1.0) * atan(t), t < 100 ? 1e-10 : 1e-4, "Cauchy tail");
        const double root = sqrt(2 + t * t);
        assert_relative(ht_student_t_p(t, 2), 2 / (root * (root + t)), 1e-10, "tail of 2 degrees");
    }
}

/* Pairs of systems whose golden values come from the first 100 rows alone. */
static void check_pair(const json_t *golden, const char *collection, const char *qrels, const char *const runs[2],
                       const char *name)
{
    char paths[2][300], key[100];
    double *values[2];
    size_t n[2];
    ht_significance s, again;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(paths[i], sizeof paths[i], GOLDEN "%s.%s.top100.run.gz", collection, runs[i]);
        values[i] = golden_values(paths[i], qrels, name, &n[i]);
    }
    assert_int_equal(n[0], n[1]);
    (void)snprintf(key, sizeof key, "%s vs %s %s", runs[0], runs[1], name);
    const json_t *wanted = json_object_get(json_object_get(golden, "significance"), key);
    assert_non_null(wanted);
    MUST(ht_significance_test(values[0], values[1], n[0], 200000, 42, &s, err));
    assert_int_equal(s.n, member_number(wanted, "n"));
    assert_int_equal(s.wins, member_number(wanted, "wins"));
    assert_int_equal(s.losses, member_number(wanted, "losses"));
    assert_int_equal(s.ties, member_number(wanted, "ties"));
    assert_true(fabs(s.mean_difference - member_number(wanted, "mean_difference")) < 1e-9);
    assert_relative(s.t, member_number(wanted, "t"), 1e-6, key);
    assert_relative(s.t_p, member_number(wanted, "t_test_p_two_sided"), 1e-6, key);
    const double p = member_number(wanted, "randomisation_p_two_sided");
    const double allowed = 3 * sqrt(p * (1 - p) / 200000.0) * sqrt(2.0) + 1e-9; /* both sides are drawn */
    if (fabs(s.flip_p - p) > allowed) fail_msg("%s: p %.6f, golden %.6f, allowed %.6f", key, s.flip_p, p, allowed);
    MUST(ht_significance_test(values[0], values[1], n[0], 200000, 42, &again, err));
    assert_true(again.flip_p == s.flip_p);
    MUST(ht_significance_test(values[1], values[0], n[0], 200000, 42, &again, err));
    assert_true(again.flip_p == s.flip_p && again.t == -s.t && again.wins == s.losses);
    free(values[0]);
    free(values[1]);
}

static void test_golden_collections(void **unused)
{
    (void)unused;
    static const char *const names[] = {"ndcg_cut_10", "success_5"};
    static const char *const pairs[][2] = {{"k1.2b0.75", "k0.9b0.4"}, {"k0.9b0.4", "tfidf"}};
    json_t *cranfield = golden_json(GOLDEN "cranfield.json"), *cacm = golden_json(GOLDEN "cacm.json");
    for (size_t i = 0; i < HTI_LEN(names); i++)
        for (size_t p = 0; p < HTI_LEN(pairs); p++) {
            check_pair(cranfield, "cranfield", QRELS_CRANFIELD, pairs[p], names[i]);
            check_pair(cacm, "cacm", QRELS_CACM, pairs[p], names[i]);
        }
    json_decref(cranfield);
    json_decref(cacm);
}

/* All 2^n sign patterns, one by one. */
static double exact_p(const double *d, size_t n)
{
    uint64_t reached = 0;
    double seen = 0, whole = 0;
    for (size_t i = 0; i < n; i++) seen += d[i];
    for (size_t i = 0; i < n; i++) whole += fabs(d[i]);
    for (uint64_t pattern = 0; pattern < (uint64_t)1 << n; pattern++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += pattern >> i & 1 ? -d[i] : d[i];
        reached += fabs(sum) >= fabs(seen) - 1e-10 * whole;
    }
    return (double)reached / (double)((uint64_t)1 << n);
}

static void test_flips_equal_enumeration(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 150);
    uint64_t state = seed;
    for (unsigned long it = 0; it < iters; it++) {
        double a[MAX_N], b[MAX_N], d[MAX_N];
        const size_t n = 1 + below(&state, it % 50 == 0 ? 17 : 11);
        for (size_t i = 0; i < n; i++) {
            a[i] = (double)below(&state, 6) / 10; /* coarse: ties of sums are common */
            b[i] = (double)below(&state, 6) / 10;
            d[i] = a[i] - b[i];
        }
        ht_significance s;
        MUST(ht_significance_test(a, b, n, 10, 1, &s, err));
        if (fabs(s.flip_p - exact_p(d, n)) > 1e-12)
            fail_msg("seed %lu, iteration %lu: %g, not %g", seed, it, s.flip_p, exact_p(d, n));
    }
}

/* 21 differences are drawn: close to the exact value, of which 2^21 patterns are few enough to know. */
static void test_drawn_flips_are_close(void **unused)
{
    (void)unused;
    double a[21], b[21] = {0};
    uint64_t state = 9;
    for (size_t i = 0; i < 21; i++) a[i] = (double)below(&state, 1000) / 500 - 0.6;
    ht_significance s;
    MUST(ht_significance_test(a, b, 21, 200000, 7, &s, err));
    const double p = exact_p(a, 21);
    assert_int_equal(s.n_flips, 200000);
    if (fabs(s.flip_p - p) > 4 * sqrt(p * (1 - p) / 200000)) fail_msg("drawn %g, exact %g", s.flip_p, p);
    MUST(ht_significance_test(a, b, 21, 200000, 8, &s, err));
    if (fabs(s.flip_p - p) > 4 * sqrt(p * (1 - p) / 200000)) fail_msg("other seed: drawn %g, exact %g", s.flip_p, p);
}

static void test_edges(void **unused)
{
    (void)unused;
    ht_significance s;
    ht_error why = {0};
    const double a[] = {0.5, 0.25, 0.75}, b[] = {0.25, 0.0, 0.5}, nan_value[] = {0.5, (double)NAN, 0};
    MUST(ht_significance_test(a, b, 0, 100, 1, &s, err));
    assert_true(isnan(s.t) && s.t_p == 1.0 && s.flip_p == 1.0);
    MUST(ht_significance_test(a, b, 1, 100, 1, &s, err));
    assert_true(isnan(s.t) && s.t_p == 1.0 && s.flip_p == 1.0 && s.wins == 1);
    MUST(ht_significance_test(a, a, 3, 100, 1, &s, err));
    assert_true(isnan(s.t) && s.t_p == 1.0 && s.flip_p == 1.0 && s.ties == 3 && s.n_flips == 1);
    MUST(ht_significance_test(a, b, 3, 100, 1, &s, err)); /* all differences equal */
    assert_true(isinf(s.t) && s.t_p == 0.0 && s.flip_p == 0.25);
    assert_int_equal(ht_significance_test(a, nan_value, 3, 100, 1, &s, &why), HT_INVALID);
    assert_string_equal(why.message, "value 1 of the two systems is not finite; leave the query out of both");
    assert_int_equal(ht_significance_test(a, b, 3, 0, 1, &s, &why), HT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),        cmocka_unit_test(test_golden_tails),
        cmocka_unit_test(test_golden_collections),    cmocka_unit_test(test_flips_equal_enumeration),
        cmocka_unit_test(test_drawn_flips_are_close), cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests_name("significance", tests, NULL, NULL);
}
