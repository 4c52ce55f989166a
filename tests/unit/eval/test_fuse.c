/*
 * test_fuse.c - golden fused lists in order and score, their measures, and a naive twin.
 *
 * The twin follows the definition document by document, in O(n^2), without tables.
 */
#include "eval_testing.h"

enum { MAX_DOCS = 60, MAX_LISTS = 4 };

static ht_fusion_opts opts_of(ht_fusion method)
{
    ht_fusion_opts opts;
    ht_fusion_opts_init(&opts);
    opts.method = method;
    return opts;
}

static ht_run *golden_fusion(ht_fusion method)
{
    ht_run *runs[2], *fused;
    MUST(ht_run_read(GOLDEN "cranfield.k0.9b0.4.top100.run.gz", NULL, &runs[0], err));
    MUST(ht_run_read(GOLDEN "cranfield.tfidf.top100.run.gz", NULL, &runs[1], err));
    const ht_fusion_opts opts = opts_of(method);
    MUST(ht_fuse((const ht_run *const *)runs, 2, &opts, &fused, err));
    ht_run_free(runs[0]);
    ht_run_free(runs[1]);
    return fused;
}

static size_t query_number(const ht_run *run, const char *id)
{
    for (size_t q = 0; q < ht_run_n_queries(run); q++) {
        const ht_text got = ht_run_query(run, q, NULL);
        if (got.len == strlen(id) && memcmp(got.data, id, got.len) == 0) return q;
    }
    fail_msg("no query %s", id);
    return 0;
}

static void check_list(const ht_run *fused, const char *path)
{
    hti_buffer text;
    hti_buffer_init(&text);
    MUST(hti_read_file(path, 1 << 20, &text, err));
    size_t n = 0;
    char *rest;
    for (char *line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
        char *save;
        const char *query = strtok_r(line, "\t", &save), *doc = strtok_r(NULL, "\t", &save);
        const size_t rank = strtoul(strtok_r(NULL, "\t", &save), NULL, 10);
        const double wanted = strtod(strtok_r(NULL, "\t", &save), NULL);
        double score;
        const ht_text got = ht_run_row(fused, query_number(fused, query), rank - 1, &score);
        if (got.len != strlen(doc) || memcmp(got.data, doc, got.len) != 0)
            fail_msg("%s: query %s, rank %zu: %.*s, not %s", path, query, rank, (int)got.len, got.data, doc);
        if (fabs(score - wanted) > 1e-8 * wanted)
            fail_msg("%s: query %s, rank %zu: %.12g, not %.12g", path, query, rank, score, wanted);
    }
    assert_int_equal(n, 225 * 20);
    hti_buffer_deinit(&text);
}

static void check_measures(const ht_run *fused, json_t *wanted)
{
    ht_qrels *qrels;
    const char *name;
    json_t *value;
    MUST(ht_qrels_read(QRELS_CRANFIELD, NULL, &qrels, err));
    json_object_foreach(wanted, name, value)
    {
        const ht_measure measure = measure_of(name);
        ht_evaluation *evaluation;
        MUST(ht_evaluate(qrels, fused, &measure, 1, NULL, &evaluation, err));
        if (fabs(evaluation->means[0] - json_number_value(value)) > 1e-9)
            fail_msg("%s: %.12g, not %.12g", name, evaluation->means[0], json_number_value(value));
        ht_evaluation_free(evaluation);
    }
    ht_qrels_free(qrels);
}

static void test_golden_lists(void **unused)
{
    (void)unused;
    static const struct {
        ht_fusion method;
        const char *name;
    } rows[] = {{HT_FUSION_RRF, "rrf_k60"},
                {HT_FUSION_MINMAX, "minmax_convex_0.5"},
                {HT_FUSION_COMBSUM, "minmax_combsum"},
                {HT_FUSION_COMBMNZ, "minmax_combmnz"}};
    json_t *golden = golden_json(GOLDEN "cranfield.fusion.json");
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        char path[300];
        (void)snprintf(path, sizeof path, GOLDEN "cranfield.fusion.%s.top20.tsv", rows[i].name);
        ht_run *fused = golden_fusion(rows[i].method);
        check_list(fused, path);
        check_measures(fused, json_object_get(json_object_get(golden, rows[i].name), "measures"));
        ht_run_free(fused);
    }
    json_decref(golden);
}

/* ---- the naive twin ---- */

typedef struct input {
    ht_hit hits[MAX_LISTS][MAX_DOCS];
    size_t lens[MAX_LISTS], n_lists;
    double weights[MAX_LISTS];
    ht_fusion_opts opts;
} input;

typedef struct twin_doc {
    double score;
    size_t best_rank;
    uint32_t doc;
} twin_doc;

static double twin_part(const input *in, size_t l, size_t len, size_t i)
{
    double least = in->hits[l][0].score, most = least;
    if (in->opts.method == HT_FUSION_RRF) return 1 / (in->opts.rrf_k + (double)i + 1);
    for (size_t j = 0; j < len; j++) {
        least = fmin(least, in->hits[l][j].score);
        most = fmax(most, in->hits[l][j].score);
    }
    return most > least ? (in->hits[l][i].score - least) / (most - least) : 1;
}

static bool twin_score(const input *in, uint32_t doc, twin_doc *out)
{
    double sum = 0, n_lists = 0;
    size_t best = SIZE_MAX;
    for (size_t l = 0; l < in->n_lists; l++) {
        const size_t len = in->opts.window && in->opts.window < in->lens[l] ? in->opts.window : in->lens[l];
        const double equal = in->opts.method == HT_FUSION_MINMAX ? 1.0 / (double)in->n_lists : 1.0;
        for (size_t i = 0; i < len; i++) {
            if (in->hits[l][i].doc != doc) continue;
            sum += (in->opts.weights ? in->weights[l] : equal) * twin_part(in, l, len, i);
            n_lists++;
            best = i < best ? i : best;
            break;
        }
    }
    if (in->opts.method == HT_FUSION_COMBMNZ) sum *= n_lists;
    *out = (twin_doc){round(sum * 1e12) / 1e12, best, doc};
    return best != SIZE_MAX;
}

static bool twin_before(const twin_doc *a, const twin_doc *b)
{
    if (a->score != b->score) return a->score > b->score;
    return a->best_rank != b->best_rank ? a->best_rank < b->best_rank : a->doc < b->doc;
}

static size_t twin_fuse(const input *in, twin_doc *out)
{
    size_t n = 0;
    for (uint32_t doc = 0; doc < 100; doc++) {
        twin_doc one;
        if (!twin_score(in, doc, &one)) continue;
        size_t at = n++;
        for (; at > 0 && twin_before(&one, &out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = one;
    }
    return in->opts.k && in->opts.k < n ? in->opts.k : n;
}

static void random_input(uint64_t *state, input *in)
{
    ht_fusion_opts_init(&in->opts);
    in->opts.method = (ht_fusion)below(state, 4);
    in->opts.rrf_k = (double)below(state, 3) * 30;
    in->opts.window = below(state, 3) ? 0 : 1 + below(state, 20);
    in->opts.k = below(state, 3) ? 0 : 1 + below(state, 20);
    in->n_lists = 1 + below(state, MAX_LISTS);
    for (size_t l = 0; l < in->n_lists; l++) {
        in->lens[l] = below(state, MAX_DOCS);
        in->weights[l] = (double)below(state, 5) / 4;
        const size_t first = below(state, 30), n_scores = 1 + below(state, 20);
        uint32_t docs[MAX_DOCS] = {0};
        for (size_t i = 0; i < in->lens[l]; i++) { /* a shuffled run of neighbours, no document twice */
            const size_t other = below(state, i + 1);
            docs[i] = docs[other];
            docs[other] = (uint32_t)(first + i);
        }
        double score = 20;
        for (size_t i = 0; i < in->lens[l]; i++) {
            score -= below(state, n_scores) ? 0.0 : 0.1;
            in->hits[l][i] = (ht_hit){score, docs[i]};
        }
    }
    if (below(state, 2)) in->opts.weights = in->weights;
}

static bool hits_equal_twin(const input *in, bool spoil)
{
    ht_hit_list lists[MAX_LISTS];
    ht_hit out[MAX_LISTS * MAX_DOCS];
    twin_doc wanted[MAX_LISTS * MAX_DOCS];
    size_t n;
    for (size_t l = 0; l < in->n_lists; l++)
        lists[l] = (ht_hit_list){in->hits[l], in->lens[l] - (spoil && in->lens[l] > 0)};
    MUST(ht_fuse_hits(lists, in->n_lists, &in->opts, out, HTI_LEN(out), &n, err));
    bool same = n == twin_fuse(in, wanted);
    for (size_t i = 0; same && i < n; i++)
        same = out[i].doc == wanted[i].doc && fabs(out[i].score - wanted[i].score) < 2e-12;
    return same;
}

/* The same over runs, whose ids order as the ordinals do; queries of a run may be missing. */
static bool runs_equal_twin(const input *in)
{
    ht_run *runs[MAX_LISTS], *fused;
    twin_doc wanted[MAX_LISTS * MAX_DOCS];
    char id[20];
    for (size_t l = 0; l < in->n_lists; l++) {
        MUST(ht_run_new(&runs[l], err));
        for (size_t i = 0; i < in->lens[l]; i++) {
            (void)snprintf(id, sizeof id, "d%03u", in->hits[l][i].doc);
            MUST(ht_run_add(runs[l], text_of("q"), text_of(id), in->hits[l][i].score, err));
        }
    }
    MUST(ht_fuse((const ht_run *const *)runs, in->n_lists, &in->opts, &fused, err));
    size_t n = 0;
    const size_t n_wanted = twin_fuse(in, wanted);
    (void)ht_run_query(fused, 0, &n);
    bool same = n == n_wanted;
    for (size_t i = 0; same && i < n; i++) {
        double score;
        const ht_text doc = ht_run_row(fused, 0, i, &score);
        (void)snprintf(id, sizeof id, "d%03u", wanted[i].doc);
        same = doc.len == 4 && memcmp(doc.data, id, 4) == 0 && fabs(score - wanted[i].score) < 2e-12;
    }
    for (size_t l = 0; l < in->n_lists; l++) ht_run_free(runs[l]);
    ht_run_free(fused);
    return same;
}

static void test_equals_naive_twin(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 1000);
    uint64_t state = seed;
    for (unsigned long i = 0; i < iters; i++) {
        input in = {0};
        random_input(&state, &in);
        if (!hits_equal_twin(&in, false)) fail_msg("hits: seed %lu, iteration %lu", seed, i);
        if (!runs_equal_twin(&in)) fail_msg("runs: seed %lu, iteration %lu", seed, i);
    }
}

static void test_a_lost_row_is_noticed(void **unused)
{
    (void)unused;
    uint64_t state = 5;
    size_t noticed = 0;
    for (int i = 0; i < 100; i++) {
        input in = {0};
        random_input(&state, &in);
        in.opts.window = in.opts.k = 0;
        noticed += !hits_equal_twin(&in, true);
    }
    assert_true(noticed > 90);
}

/* ---- edges ---- */

static size_t fuse_two(const ht_hit *a, size_t n_a, const ht_hit *b, size_t n_b, ht_fusion method, ht_hit *out)
{
    const ht_hit_list lists[] = {{a, n_a}, {b, n_b}};
    const ht_fusion_opts opts = opts_of(method);
    size_t n;
    MUST(ht_fuse_hits(lists, 2, &opts, out, 8, &n, err));
    return n;
}

static void test_edges(void **unused)
{
    (void)unused;
    ht_hit out[8];
    const ht_hit flat[] = {{3, 7}, {3, 2}}, one[] = {{-5, 9}}, huge[] = {{1e308, 1}, {0, 2}, {-1e308, 3}};
    assert_int_equal(fuse_two(flat, 2, NULL, 0, HT_FUSION_COMBSUM, out), 2); /* equal scores count 1, order of ranks */
    assert_true(out[0].score == 1.0 && out[0].doc == 7 && out[1].score == 1.0 && out[1].doc == 2);
    assert_int_equal(fuse_two(flat, 2, one, 1, HT_FUSION_RRF, out), 3);
    assert_true(out[0].doc == 7 && out[1].doc == 9 && out[2].doc == 2); /* equal rank: the lower ordinal */
    assert_int_equal(fuse_two(huge, 3, NULL, 0, HT_FUSION_COMBSUM, out), 3);
    assert_true(out[0].score == 1.0 && out[1].score == 0.5 && out[2].score == 0.0);
    const ht_hit unmatched[] = {{2, 4}, {1, 5}, {-HUGE_VAL, 6}};
    assert_int_equal(fuse_two(unmatched, 3, NULL, 0, HT_FUSION_COMBMNZ, out), 2); /* what never matches is no hit */
    const ht_hit twice[] = {{2, 4}, {1.5, 4}, {1, 5}};
    assert_int_equal(fuse_two(twice, 3, NULL, 0, HT_FUSION_RRF, out), 2);
    assert_true(out[0].score == round(1e12 / 61) / 1e12);
    assert_int_equal(fuse_two(NULL, 0, NULL, 0, HT_FUSION_RRF, out), 0);
}

static void test_errors(void **unused)
{
    (void)unused;
    ht_hit out[4];
    size_t n;
    ht_error why = {0};
    ht_run *fused;
    const ht_hit bad[] = {{1, 0}, {(double)NAN, 1}};
    const ht_hit_list list = {bad, 2};
    const double weights[] = {-1};
    ht_fusion method;
    ht_fusion_opts opts = opts_of(HT_FUSION_RRF);
    assert_int_equal(ht_fuse_hits(&list, 1, &opts, out, 4, &n, &why), HT_INVALID);
    assert_string_equal(why.message, "list 0, hit 1: a score of nan cannot be fused");
    opts.weights = weights;
    assert_int_equal(ht_fuse_hits(&list, 1, &opts, out, 4, &n, &why), HT_INVALID);
    assert_string_equal(why.message, "weight 0 is -1: give 0 or more");
    opts = opts_of(HT_FUSION_RRF);
    opts.rrf_k = (double)NAN;
    assert_int_equal(ht_fuse_hits(&list, 1, &opts, out, 4, &n, &why), HT_INVALID);
    assert_int_equal(ht_fuse(NULL, 0, NULL, &fused, &why), HT_INVALID);
    assert_null(fused);
    opts = (ht_fusion_opts){0};
    assert_int_equal(ht_fuse_hits(&list, 1, &opts, out, 4, &n, &why), HT_INVALID);
    MUST(ht_fusion_find("combmnz", &method, err));
    assert_int_equal(method, HT_FUSION_COMBMNZ);
    assert_int_equal(ht_fusion_find("borda", &method, &why), HT_NOT_FOUND);
    assert_string_equal(why.message, "no fusion \"borda\"; there are: rrf, minmax, combsum, combmnz");
}

/* More rows than lie on the stack, a window over the rest, and a result cut at the caller's room. */
static void test_many_hits(void **unused)
{
    (void)unused;
    enum { N = 5000 };
    ht_hit *hits = malloc(2 * N * sizeof *hits), out[3];
    assert_non_null(hits);
    for (uint32_t i = 0; i < N; i++) {
        hits[i] = (ht_hit){N - i, i};
        hits[N + i] = (ht_hit){N - i, N - 1 - i};
    }
    const ht_hit_list lists[] = {{hits, N}, {hits + N, N}};
    size_t n;
    ht_fusion_opts opts = opts_of(HT_FUSION_RRF);
    MUST(ht_fuse_hits(lists, 2, &opts, out, 3, &n, err));
    assert_int_equal(n, 3);
    assert_int_equal(out[0].doc, 0);
    assert_int_equal(out[1].doc, N - 1);
    const uint64_t calls = hti_alloc_get_stats().n_calls;
    opts.window = 200;
    MUST(ht_fuse_hits(lists, 2, &opts, out, 3, &n, err));
    assert_int_equal(hti_alloc_get_stats().n_calls, calls); /* interactive depths allocate nothing */
    free(hits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_lists),
        cmocka_unit_test(test_equals_naive_twin),
        cmocka_unit_test(test_a_lost_row_is_noticed),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_many_hits),
    };
    return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
