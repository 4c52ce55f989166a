/*
 * test_plaid_quality.c - what int8 costs: rank agreement with exact MaxSim in double.
 *
 * Two corpora of 384 dimensions: independent random vectors (every document about equally far: the hardest order
 * to keep) and clustered ones, where a query's topic decides, as with real text. The figures for a real model are
 * measured elsewhere (nDCG on Cranfield and CACM); this guards against a quantiser that is merely nearly right.
 */
#include "plaid_scene.h"

enum { N_DOCS = 200, DIM = 384, MAX_VECTORS = 40, N_QUERY = 12, TOPICS = 20 };

static const double *by_score;
static int by_falling_score(const void *a, const void *b)
{
    const double x = by_score[*(const uint32_t *)a], y = by_score[*(const uint32_t *)b];
    return (x < y) - (x > y);
}

static void ranks_of(const double *scores, double *ranks)
{
    uint32_t order[N_DOCS];
    for (uint32_t i = 0; i < N_DOCS; i++) order[i] = i;
    by_score = scores;
    qsort(order, N_DOCS, sizeof *order, by_falling_score);
    for (size_t i = 0; i < N_DOCS; i++) ranks[order[i]] = (double)i;
}

/* Spearman's rank correlation. */
static double rank_correlation(const double *a, const double *b)
{
    double ranks_a[N_DOCS], ranks_b[N_DOCS], sum = 0.0;
    ranks_of(a, ranks_a);
    ranks_of(b, ranks_b);
    for (size_t i = 0; i < N_DOCS; i++) sum += (ranks_a[i] - ranks_b[i]) * (ranks_a[i] - ranks_b[i]);
    return 1.0 - 6.0 * sum / ((double)N_DOCS * ((double)N_DOCS * N_DOCS - 1.0));
}

/* Pulls each document's vectors, and the query's, towards a topic; normalises again. */
static void add_topic(float *rows, size_t n, const float *topic)
{
    for (size_t i = 0; i < n; i++) {
        double norm = 0.0;
        for (size_t k = 0; k < DIM; k++) {
            rows[i * DIM + k] += topic[k];
            norm += (double)rows[i * DIM + k] * (double)rows[i * DIM + k];
        }
        for (size_t k = 0; k < DIM; k++) rows[i * DIM + k] = (float)((double)rows[i * DIM + k] / sqrt(norm));
    }
}

static void cluster(plaid_scene *scene)
{
    uint64_t state = 99;
    float *topics = scene_floats((size_t)TOPICS * DIM);
    scene_unit_vectors(&state, topics, TOPICS, DIM);
    for (size_t i = 0; i < N_DOCS; i++)
        add_topic(scene->vectors + scene->starts[i] * DIM, scene->starts[i + 1] - scene->starts[i],
                  topics + i % TOPICS * DIM);
    add_topic(scene->query, N_QUERY, topics);
    free(topics);
}

static double agreement(ht_vector_type type, bool clustered)
{
    plaid_scene scene;
    double scores[N_DOCS], exact[N_DOCS];
    uint32_t docs[N_DOCS];
    ht_plaid_session *session;
    scene_make(&scene, 1234, N_DOCS, DIM, MAX_VECTORS, N_QUERY);
    if (clustered) cluster(&scene);
    scene_segment(&scene, type, 0, N_DOCS);
    ht_plaid *plaid = scene_open(&scene);
    SCENE_OK(ht_plaid_session_new(plaid, NULL, &session, &scene_err));
    for (uint32_t i = 0; i < N_DOCS; i++) {
        docs[i] = i;
        exact[i] = scene_maxsim(&scene, i);
    }
    SCENE_OK(ht_plaid_score(session, scene.query, N_QUERY, docs, N_DOCS, scores, &scene_err));
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    scene_free(&scene);
    return rank_correlation(scores, exact);
}

static void test_rank_agreement(void **unused)
{
    (void)unused;
    static const struct {
        ht_vector_type type;
        bool clustered;
        double least;
    } cases[] = {{HT_VECTOR_INT8, false, 0.9995},
                 {HT_VECTOR_INT8, true, 0.9998},
                 {HT_VECTOR_F16, false, 0.99999},
                 {HT_VECTOR_F16, true, 0.99999}};
    for (size_t i = 0; i < HTI_LEN(cases); i++) {
        const double found = agreement(cases[i].type, cases[i].clustered);
        print_message("%s, %s: rank correlation %.7f\n", cases[i].type == HT_VECTOR_INT8 ? "int8" : "f16",
                      cases[i].clustered ? "clustered" : "random", found);
        assert_true(found >= cases[i].least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rank_agreement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
