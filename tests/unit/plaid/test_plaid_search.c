/*
 * test_plaid_search.c - search, lists, matches and pooled search against MaxSim from the definition; ties, deletes,
 * segments and threads; no allocation in the second identical call. Runs once per instruction set (HT_CPU).
 */
#include "plaid_scene.h"

enum { N_DOCS = 331, DIM = 50, MAX_VECTORS = 40, N_QUERY = 11 };

static const ht_vector_type types[] = {HT_VECTOR_INT8, HT_VECTOR_F16};

static ht_plaid_session *new_session(const ht_plaid *plaid, ht_pool *pool)
{
    ht_plaid_session *session;
    SCENE_OK(ht_plaid_session_new(plaid, pool, &session, &scene_err));
    return session;
}

static size_t search(ht_plaid_session *session, const plaid_scene *scene, const uint64_t *deleted, size_t k,
                     ht_hit *hits)
{
    size_t n_hits;
    SCENE_OK(ht_plaid_search(session, scene->query, scene->n_query, deleted, k, hits, &n_hits, &scene_err));
    return n_hits;
}

static void scores_of_all(ht_plaid_session *session, const plaid_scene *scene, double *scores)
{
    uint32_t docs[N_DOCS];
    for (uint32_t i = 0; i < N_DOCS; i++) docs[i] = i;
    SCENE_OK(ht_plaid_score(session, scene->query, scene->n_query, docs, N_DOCS, scores, &scene_err));
}

/* The hits are the k best of `scores` over documents with vectors that are not deleted, in the house's order. */
static void check_hits(const ht_hit *hits, size_t n_hits, const double *scores, const uint64_t *deleted, size_t k)
{
    bool taken[N_DOCS] = {false};
    size_t n_candidates = 0;
    for (size_t i = 0; i < N_DOCS; i++) {
        taken[i] = isinf(scores[i]) || (deleted && hti_bits_get(deleted, i));
        n_candidates += !taken[i];
    }
    assert_int_equal(n_hits, HTI_MIN(k, n_candidates));
    for (size_t h = 0; h < n_hits; h++) {
        size_t best = N_DOCS;
        for (size_t i = 0; i < N_DOCS; i++)
            if (!taken[i] && (best == N_DOCS || scores[i] > scores[best])) best = i;
        assert_int_equal(hits[h].doc, best);
        assert_true(hits[h].score == scores[best]);
        taken[best] = true;
    }
}

static void test_scores_equal_the_definition(void **unused)
{
    (void)unused;
    for (size_t type = 0; type < HTI_LEN(types); type++) {
        plaid_scene scene;
        double scores[N_DOCS];
        scene_make(&scene, 11 + type, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
        scene_segment(&scene, types[type], 0, N_DOCS);
        ht_plaid *plaid = scene_open(&scene);
        ht_plaid_session *session = new_session(plaid, NULL);
        scores_of_all(session, &scene, scores);
        const double bound = (double)N_QUERY * scene_dot_bound(&scene, types[type]);
        for (size_t i = 0; i < N_DOCS; i++) {
            const double want = scene_maxsim(&scene, i);
            assert_int_equal(ht_plaid_doc_len(plaid, (uint32_t)i), scene.starts[i + 1] - scene.starts[i]);
            if (isinf(want))
                assert_true(scores[i] == want);
            else if (!(fabs(scores[i] - want) <= bound))
                fail_msg("document %zu: %.9g, not %.9g within %.3g", i, scores[i], want, bound);
        }
        ht_plaid_session_free(session);
        ht_plaid_close(plaid);
        scene_free(&scene);
    }
}

static void test_search_is_a_sort_of_all_scores(void **unused)
{
    (void)unused;
    static const size_t ks[] = {0, 1, 10, 100, N_DOCS, N_DOCS + 9};
    for (size_t type = 0; type < HTI_LEN(types); type++) {
        plaid_scene scene;
        double scores[N_DOCS];
        ht_hit hits[N_DOCS + 9];
        uint64_t deleted[N_DOCS / 64 + 1] = {0}, state = 5;
        scene_make(&scene, 21 + type, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
        scene_segment(&scene, types[type], 0, N_DOCS);
        ht_plaid *plaid = scene_open(&scene);
        ht_plaid_session *session = new_session(plaid, NULL);
        scores_of_all(session, &scene, scores);
        for (size_t i = 0; i < N_DOCS / 3; i++) hti_bits_set(deleted, scene_below(&state, N_DOCS));
        for (size_t i = 0; i < HTI_LEN(ks); i++) {
            check_hits(hits, search(session, &scene, NULL, ks[i], hits), scores, NULL, ks[i]);
            check_hits(hits, search(session, &scene, deleted, ks[i], hits), scores, deleted, ks[i]);
        }
        ht_plaid_session_free(session);
        ht_plaid_close(plaid);
        scene_free(&scene);
    }
}

/* Copies of one document score the same to the bit; the lower ordinal comes first. */
static void test_ties(void **unused)
{
    (void)unused;
    plaid_scene scene;
    ht_hit hits[N_DOCS];
    scene_make(&scene, 31, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    for (size_t i = 1; i <= N_DOCS; i++) scene.starts[i] = i * 3; /* three vectors each, the same three */
    free(scene.vectors);
    scene.vectors = scene_floats((size_t)N_DOCS * 3 * DIM);
    uint64_t state = 1;
    scene_unit_vectors(&state, scene.vectors, 3, DIM);
    for (size_t i = 1; i < N_DOCS; i++) memcpy(scene.vectors + i * 3 * DIM, scene.vectors, 3 * DIM * sizeof(float));
    scene_segment(&scene, HT_VECTOR_INT8, 0, N_DOCS);
    ht_pool *pool;
    SCENE_OK(ht_pool_new(3, &pool, &scene_err));
    ht_plaid *plaid = scene_open(&scene);
    ht_plaid_session *session = new_session(plaid, pool);
    const size_t n_hits = search(session, &scene, NULL, 40, hits);
    assert_int_equal(n_hits, 40);
    for (size_t i = 0; i < n_hits; i++) {
        assert_int_equal(hits[i].doc, i);
        assert_true(hits[i].score == hits[0].score);
    }
    ht_plaid_match matches[N_QUERY];
    SCENE_OK(ht_plaid_matches(session, scene.query, N_QUERY, 7, matches, &scene_err));
    for (size_t t = 0; t < N_QUERY; t++) assert_in_range(matches[t].doc_vector, 0, 2);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    ht_pool_free(pool);
    scene_free(&scene);
}

/* Several segments, empty ones among them, answer as one does, to the bit. */
static void test_segments_equal_one(void **unused)
{
    (void)unused;
    static const size_t cuts[] = {0, 0, 1, 1, 70, 70, 200, N_DOCS};
    for (size_t type = 0; type < HTI_LEN(types); type++) {
        plaid_scene whole, parts;
        double a[N_DOCS], b[N_DOCS];
        ht_hit hits_a[50], hits_b[50], pooled_a[50], pooled_b[50];
        size_t n_a, n_b;
        scene_make(&whole, 41, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
        scene_make(&parts, 41, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
        scene_segment(&whole, types[type], 0, N_DOCS);
        for (size_t i = 0; i + 1 < HTI_LEN(cuts); i++)
            scene_segment(&parts, types[type], cuts[i], cuts[i + 1] - cuts[i]);
        ht_plaid *one = scene_open(&whole), *many = scene_open(&parts);
        ht_plaid_session *of_one = new_session(one, NULL), *of_many = new_session(many, NULL);
        scores_of_all(of_one, &whole, a);
        scores_of_all(of_many, &parts, b);
        assert_memory_equal(a, b, sizeof a);
        n_a = search(of_one, &whole, NULL, 50, hits_a);
        n_b = search(of_many, &parts, NULL, 50, hits_b);
        assert_int_equal(n_a, n_b);
        for (size_t i = 0; i < n_a; i++)
            assert_true(hits_a[i].doc == hits_b[i].doc && hits_a[i].score == hits_b[i].score);
        SCENE_OK(ht_plaid_search_pooled(of_one, whole.query, NULL, 50, pooled_a, &n_a, &scene_err));
        SCENE_OK(ht_plaid_search_pooled(of_many, whole.query, NULL, 50, pooled_b, &n_b, &scene_err));
        assert_true(n_a == 50 && n_b == 50);
        for (size_t i = 0; i < 50; i++)
            assert_true(pooled_a[i].doc == pooled_b[i].doc && pooled_a[i].score == pooled_b[i].score);
        ht_plaid_info info = {HT_DESC(ht_plaid_info)};
        ht_plaid_get_info(many, &info);
        assert_true(info.n_docs == N_DOCS && info.n_vectors == whole.starts[N_DOCS] && info.dim == DIM &&
                    info.has_pooled);
        assert_int_equal(info.vector_type, types[type]);
        ht_plaid_session_free(of_one);
        ht_plaid_session_free(of_many);
        ht_plaid_close(one);
        ht_plaid_close(many);
        scene_free(&whole);
        scene_free(&parts);
    }
}

static void test_threads_change_nothing(void **unused)
{
    (void)unused;
    static const size_t n_threads[] = {1, 2, 5};
    plaid_scene scene;
    ht_hit hits[3][60], pooled[3][60];
    double scores[3][N_DOCS];
    size_t n[3];
    memset(hits, 0, sizeof hits);
    memset(pooled, 0, sizeof pooled);
    scene_make(&scene, 51, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    scene_segment(&scene, HT_VECTOR_INT8, 0, 100);
    scene_segment(&scene, HT_VECTOR_INT8, 100, N_DOCS - 100);
    ht_plaid *plaid = scene_open(&scene);
    for (size_t i = 0; i < 3; i++) {
        ht_pool *pool;
        SCENE_OK(ht_pool_new(n_threads[i], &pool, &scene_err));
        ht_plaid_session *session = new_session(plaid, pool);
        n[i] = search(session, &scene, NULL, 60, hits[i]);
        scores_of_all(session, &scene, scores[i]);
        SCENE_OK(ht_plaid_search_pooled(session, scene.query, NULL, 60, pooled[i], &n[i], &scene_err));
        for (size_t h = 0; h < 60; h++) {
            assert_true(hits[i][h].doc == hits[0][h].doc && hits[i][h].score == hits[0][h].score);
            assert_true(pooled[i][h].doc == pooled[0][h].doc && pooled[i][h].score == pooled[0][h].score);
        }
        assert_memory_equal(scores[i], scores[0], sizeof scores[0]);
        ht_plaid_session_free(session);
        ht_pool_free(pool);
    }
    ht_plaid_close(plaid);
    scene_free(&scene);
}

static void check_matches(const plaid_scene *scene, size_t doc, const ht_plaid_match *matches, double bound)
{
    for (size_t t = 0; t < scene->n_query; t++) {
        const size_t vector = scene->starts[doc] + matches[t].doc_vector;
        assert_true(vector < scene->starts[doc + 1]);
        const double dot = scene_dot(scene->query + t * scene->dim, scene->vectors + vector * scene->dim, scene->dim);
        assert_true(fabs(dot - (double)matches[t].score) <= bound);
        assert_true(dot >= scene_best(scene, doc, t) - 2 * bound);
    }
}

static void test_matches(void **unused)
{
    (void)unused;
    for (size_t type = 0; type < HTI_LEN(types); type++) {
        plaid_scene scene;
        ht_plaid_match matches[N_QUERY];
        double scores[N_DOCS];
        scene_make(&scene, 61, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
        scene_segment(&scene, types[type], 0, 9);
        scene_segment(&scene, types[type], 9, N_DOCS - 9);
        ht_plaid *plaid = scene_open(&scene);
        ht_plaid_session *session = new_session(plaid, NULL);
        scores_of_all(session, &scene, scores);
        for (size_t doc = 0; doc < N_DOCS; doc++) {
            if (scene.starts[doc] == scene.starts[doc + 1]) continue;
            SCENE_OK(ht_plaid_matches(session, scene.query, N_QUERY, (uint32_t)doc, matches, &scene_err));
            check_matches(&scene, doc, matches, scene_dot_bound(&scene, types[type]));
            double sum = 0.0;
            for (size_t t = 0; t < N_QUERY; t++) sum += (double)matches[t].score;
            assert_true(fabs(sum - scores[doc]) <= N_QUERY * 0x1p-23); /* scores are summed before rounding to f32 */
        }
        assert_int_equal(ht_plaid_matches(session, scene.query, N_QUERY, 1, matches, &scene_err),
                         HT_INVALID); /* no vectors */
        ht_plaid_session_free(session);
        ht_plaid_close(plaid);
        scene_free(&scene);
    }
}

static void test_pooled(void **unused)
{
    (void)unused;
    plaid_scene scene;
    double scores[N_DOCS];
    uint32_t docs[N_DOCS];
    ht_hit hits[N_DOCS];
    size_t n_hits;
    uint64_t deleted[N_DOCS / 64 + 1] = {0};
    scene_make(&scene, 71, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    scene_segment(&scene, HT_VECTOR_INT8, 0, N_DOCS);
    ht_plaid *plaid = scene_open(&scene);
    ht_plaid_session *session = new_session(plaid, NULL);
    for (uint32_t i = 0; i < N_DOCS; i++) docs[i] = N_DOCS - 1 - i;
    SCENE_OK(ht_plaid_score_pooled(session, scene.query, docs, N_DOCS, scores, &scene_err));
    for (size_t i = 0; i < N_DOCS; i++) {
        const double want = scene_dot(scene.query, scene.pooled + docs[i] * DIM, DIM);
        assert_true(fabs(scores[i] - want) <= DIM * 0x1p-24);
    }
    for (size_t i = 0; i < N_DOCS / 2; i++) { /* back into the order of the ordinals */
        const double swapped = scores[i];
        scores[i] = scores[N_DOCS - 1 - i];
        scores[N_DOCS - 1 - i] = swapped;
    }
    hti_bits_set(deleted, 4);
    hti_bits_set(deleted, 300);
    SCENE_OK(ht_plaid_search_pooled(session, scene.query, NULL, 25, hits, &n_hits, &scene_err));
    check_hits(hits, n_hits, scores, NULL, 25);
    SCENE_OK(ht_plaid_search_pooled(session, scene.query, deleted, N_DOCS, hits, &n_hits, &scene_err));
    check_hits(hits, n_hits, scores, deleted, N_DOCS);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    scene_free(&scene);
}

static void every_call(ht_plaid_session *session, const plaid_scene *scene)
{
    static ht_hit hits[N_DOCS];
    static double scores[N_DOCS];
    const uint32_t docs[3] = {5, 3, 300};
    ht_plaid_match matches[N_QUERY];
    size_t n_hits;
    (void)search(session, scene, NULL, 100, hits);
    SCENE_OK(ht_plaid_search_pooled(session, scene->query, NULL, 100, hits, &n_hits, &scene_err));
    SCENE_OK(ht_plaid_score(session, scene->query, N_QUERY, docs, 3, scores, &scene_err));
    SCENE_OK(ht_plaid_score_pooled(session, scene->query, docs, 3, scores, &scene_err));
    SCENE_OK(ht_plaid_matches(session, scene->query, N_QUERY, 0, matches, &scene_err));
}

static void test_second_call_allocates_nothing(void **unused)
{
    (void)unused;
    plaid_scene scene;
    scene_make(&scene, 81, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    scene.starts[1] = HTI_MAX(scene.starts[1], (size_t)1); /* document 0 has vectors */
    scene.starts[2] = HTI_MAX(scene.starts[2], scene.starts[1]);
    scene_segment(&scene, HT_VECTOR_INT8, 0, N_DOCS);
    ht_pool *pool;
    SCENE_OK(ht_pool_new(2, &pool, &scene_err));
    ht_plaid *plaid = scene_open(&scene);
    ht_plaid_session *session = new_session(plaid, pool);
    const uint64_t before = hti_alloc_get_stats().n_calls;
    every_call(session, &scene);
    const uint64_t first = hti_alloc_get_stats().n_calls;
    every_call(session, &scene);
    assert_true(first > before);
    assert_true(hti_alloc_get_stats().n_calls == first);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    ht_pool_free(pool);
    scene_free(&scene);
}

static void test_empty_index(void **unused)
{
    (void)unused;
    ht_plaid *plaid;
    ht_hit hits[3];
    size_t n_hits = 9;
    const float query[4] = {1.0f, 0.0f, 0.0f, 0.0f};
    SCENE_OK(ht_plaid_open(NULL, 0, &plaid, &scene_err));
    ht_plaid_session *session = new_session(plaid, NULL);
    SCENE_OK(ht_plaid_search(session, query, 1, NULL, 3, hits, &n_hits, &scene_err));
    assert_int_equal(n_hits, 0);
    SCENE_OK(ht_plaid_search_pooled(session, query, NULL, 3, hits, &n_hits, &scene_err));
    assert_int_equal(n_hits, 0);
    SCENE_OK(ht_plaid_score(session, query, 1, NULL, 0, NULL, &scene_err));
    SCENE_OK(ht_plaid_verify(plaid, NULL, &scene_err));
    assert_int_equal(ht_plaid_doc_len(plaid, 0), 0);
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    ht_plaid_get_info(plaid, &info);
    assert_true(info.n_docs == 0 && info.size_bytes == 0);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    ht_plaid_close(NULL);
    ht_plaid_session_free(NULL);
}

static void test_bad_questions(void **unused)
{
    (void)unused;
    plaid_scene scene;
    ht_hit hits[3];
    double scores[2];
    size_t n_hits;
    ht_plaid_match matches[N_QUERY];
    const uint32_t beyond[2] = {3, N_DOCS};
    scene_make(&scene, 91, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    scene_segment(&scene, HT_VECTOR_INT8, 0, N_DOCS);
    ht_plaid *plaid = scene_open(&scene);
    ht_plaid_session *session = new_session(plaid, NULL);
    assert_int_equal(ht_plaid_search(session, scene.query, 0, NULL, 3, hits, &n_hits, &scene_err), HT_INVALID);
    assert_int_equal(ht_plaid_score(session, scene.query, 1, beyond, 2, scores, &scene_err), HT_INVALID);
    assert_int_equal(ht_plaid_score_pooled(session, scene.query, beyond, 2, scores, &scene_err), HT_INVALID);
    assert_int_equal(ht_plaid_matches(session, scene.query, 1, N_DOCS, matches, &scene_err), HT_INVALID);
    scene.query[3 * DIM + 2] = NAN;
    assert_int_equal(ht_plaid_search(session, scene.query, N_QUERY, NULL, 3, hits, &n_hits, &scene_err), HT_INVALID);
    assert_non_null(strstr(scene_err.message, "query vector 3"));
    scene.query[3 * DIM + 2] = INFINITY;
    assert_int_equal(ht_plaid_score(session, scene.query, N_QUERY, beyond, 1, scores, &scene_err), HT_INVALID);
    scene.query[0] = NAN;
    assert_int_equal(ht_plaid_search_pooled(session, scene.query, NULL, 3, hits, &n_hits, &scene_err), HT_INVALID);
    assert_int_equal(n_hits, 0);
    assert_int_equal(ht_plaid_search(session, scene.query, SIZE_MAX / 2, NULL, 3, hits, &n_hits, &scene_err),
                     HT_NO_MEMORY);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores_equal_the_definition),
        cmocka_unit_test(test_search_is_a_sort_of_all_scores),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_segments_equal_one),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_pooled),
        cmocka_unit_test(test_second_call_allocates_nothing),
        cmocka_unit_test(test_empty_index),
        cmocka_unit_test(test_bad_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
