/*
 * test_service.c - collections through the public API: modes, generations, refusals, explanations.
 *
 * The oracle of a mode is its definition, computed here from the scores of the single signals.
 */
#include "base/base.h"

#include <houndstooth/houndstooth.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "small_corpus.h"

enum { N_DOCS = 60 };
static const char *const query_text = "experimental investigation of the aerodynamics of a wing in a slipstream";

static char dir[TEMP_DIR_CAP], corpus_path[2 * TEMP_DIR_CAP], collection_path[2 * TEMP_DIR_CAP];
static ht_error err;

#define OK(expr)                                                         \
    do {                                                                 \
        err.message[0] = '\0';                                           \
        const ht_status ok_status_ = (expr);                             \
        if (ok_status_ != HT_OK) fail_msg("%s: %s", #expr, err.message); \
    } while (0)

static int make_collection(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    small_corpus_write(dir, "corpus.jsonl", 0, N_DOCS);
    (void)temp_dir_path(dir, "corpus.jsonl", corpus_path);
    (void)temp_dir_path(dir, "c.ht", collection_path);
    return small_corpus_index(collection_path, corpus_path, NULL, &err) == HT_OK ? 0 : -1;
}

static int remove_collection(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    return 0;
}

typedef struct opened {
    ht_collection *collection;
    ht_search_session *session;
} opened;

static opened open_it(const char *path)
{
    opened it;
    OK(ht_collection_open(path, NULL, &it.collection, &err));
    OK(ht_search_session_new(it.collection, &it.session, &err));
    return it;
}

static void close_it(opened it)
{
    ht_search_session_free(it.session);
    ht_collection_close(it.collection);
}

static const ht_search_result *search(opened it, ht_mode mode, size_t k, const char *query)
{
    ht_search_opts opts;
    ht_search_opts_init(&opts);
    opts.mode = mode;
    opts.k = k;
    const ht_search_result *result;
    OK(ht_search(it.session, (ht_text){query, strlen(query)}, &opts, &result, &err));
    return result;
}

/* Scores of every document by one signal; NaN where it is not in the list. */
static size_t all_scores(opened it, ht_mode mode, double scores[N_DOCS], uint32_t order[N_DOCS])
{
    const ht_search_result *result = search(it, mode, N_DOCS, query_text);
    for (size_t i = 0; i < N_DOCS; i++) scores[i] = (double)NAN;
    for (size_t i = 0; i < result->n_hits; i++) {
        order[i] = result->hits[i].doc;
        scores[result->hits[i].doc] = result->hits[i].score;
        if (i > 0) assert_true(result->hits[i - 1].score >= result->hits[i].score);
    }
    return result->n_hits;
}

static void test_single_modes_agree_with_what_hybrid_reports(void **unused)
{
    (void)unused;
    opened it = open_it(collection_path);
    double scores[3][N_DOCS];
    uint32_t order[N_DOCS];
    assert_true(all_scores(it, HT_MODE_BM25, scores[0], order) > 5);
    assert_int_equal(all_scores(it, HT_MODE_DENSE, scores[1], order), N_DOCS);
    assert_int_equal(all_scores(it, HT_MODE_MAXSIM, scores[2], order), N_DOCS);
    const ht_search_result *result = search(it, HT_MODE_HYBRID, N_DOCS, query_text);
    assert_int_equal(result->n_hits, N_DOCS);
    double least[3] = {1e9, 1e9, 1e9}, most[3] = {-1e9, -1e9, -1e9};
    for (size_t i = 0; i < result->n_hits; i++) {
        const ht_search_hit *hit = &result->hits[i];
        const double bm25 = isnan(scores[0][hit->doc]) ? 0 : scores[0][hit->doc],
                     got[3] = {hit->bm25, hit->cosine, hit->maxsim};
        assert_true(hit->bm25 == bm25 && hit->cosine == scores[1][hit->doc] && hit->maxsim == scores[2][hit->doc]);
        for (int s = 0; s < 3; s++) {
            least[s] = fmin(least[s], got[s]);
            most[s] = fmax(most[s], got[s]);
        }
    }
    for (size_t i = 0; i < result->n_hits;
         i++) { /* every document is a candidate here, so the sum is the definition's */
        const ht_search_hit *hit = &result->hits[i];
        const double got[3] = {hit->bm25, hit->cosine, hit->maxsim};
        double sum = 0;
        for (int s = 0; s < 3; s++) sum += (got[s] - least[s]) / (most[s] - least[s]) / 3;
        assert_true(fabs(sum - hit->score) < 1e-12);
    }
    close_it(it);
}

static void test_rrf_is_the_sum_of_reciprocal_ranks(void **unused)
{
    (void)unused;
    opened it = open_it(collection_path);
    double sums[N_DOCS] = {0}, scores[N_DOCS];
    uint32_t order[N_DOCS];
    for (int mode = HT_MODE_BM25; mode <= HT_MODE_MAXSIM; mode++) {
        const size_t n = all_scores(it, (ht_mode)mode, scores, order);
        for (size_t r = 0; r < n; r++) sums[order[r]] += 1.0 / (60.0 + (double)r + 1.0);
    }
    const ht_search_result *result = search(it, HT_MODE_RRF, N_DOCS, query_text);
    assert_int_equal(result->n_hits, N_DOCS);
    for (size_t i = 0; i < result->n_hits; i++)
        assert_true(fabs(result->hits[i].score - sums[result->hits[i].doc]) < 1e-12);
    close_it(it);
}

static void test_rerank_orders_the_candidates_by_maxsim(void **unused)
{
    (void)unused;
    opened it = open_it(collection_path);
    double bm25[N_DOCS], maxsim[N_DOCS];
    uint32_t order[N_DOCS];
    const size_t n = all_scores(it, HT_MODE_BM25, bm25, order);
    (void)all_scores(it, HT_MODE_MAXSIM, maxsim, order);
    const ht_search_result *result = search(it, HT_MODE_RERANK, N_DOCS, query_text);
    assert_int_equal(result->n_hits, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(result->hits[i].score == maxsim[result->hits[i].doc] &&
                    result->hits[i].bm25 == bm25[result->hits[i].doc]);
        if (i > 0) assert_true(result->hits[i - 1].score >= result->hits[i].score);
    }
    close_it(it);
}

static void test_two_changes_equal_one(void **unused)
{
    (void)unused;
    char first[2 * TEMP_DIR_CAP], second[2 * TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
    small_corpus_write(dir, "first.jsonl", 0, 25);
    small_corpus_write(dir, "second.jsonl", 25, N_DOCS - 25);
    (void)temp_dir_path(dir, "two.ht", path);
    ht_pool *pool;
    OK(ht_pool_new(3, &pool, &err));
    OK(small_corpus_index(path, temp_dir_path(dir, "first.jsonl", first), NULL, &err));
    OK(small_corpus_index(path, temp_dir_path(dir, "second.jsonl", second), pool, &err));
    opened one = open_it(collection_path), two = open_it(path);
    for (int mode = HT_MODE_BM25; ht_mode_name((ht_mode)mode); mode++) {
        const ht_search_result *a = search(one, (ht_mode)mode, N_DOCS, query_text),
                               *b = search(two, (ht_mode)mode, N_DOCS, query_text);
        assert_int_equal(a->n_hits, b->n_hits);
        for (size_t i = 0; i < a->n_hits; i++)
            assert_true(a->hits[i].doc == b->hits[i].doc && a->hits[i].score == b->hits[i].score);
    }
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(two.collection, &info);
    assert_int_equal(info.n_segments, 2);
    assert_int_equal(info.n_docs, N_DOCS);
    close_it(one);
    close_it(two);
    ht_pool_free(pool);
}

static void test_explanations_add_up(void **unused)
{
    (void)unused;
    opened it = open_it(collection_path);
    ht_search_opts opts;
    ht_search_opts_init(&opts);
    opts.explain = true;
    const ht_search_result *result;
    OK(ht_search(it.session, (ht_text){query_text, strlen(query_text)}, &opts, &result, &err));
    assert_true(result->n_hits > 3);
    for (size_t i = 0; i < result->n_hits; i++) {
        const ht_search_hit *hit = &result->hits[i];
        double bm25 = 0, maxsim = 0;
        for (size_t p = 0; p < hit->n_parts; p++) bm25 += hit->parts[p].contribution;
        for (size_t m = 0; m < hit->n_matches; m++) {
            maxsim += (double)hit->matches[m].score;
            assert_true(hit->matches[m].doc_start <= hit->matches[m].doc_end &&
                        hit->matches[m].doc_end <= hit->encoded_text.len);
        }
        assert_true(bm25 == hit->bm25);
        assert_true(fabs(maxsim - hit->maxsim) < 1e-3);
        assert_true(hit->n_matches > 10);
    }
    close_it(it);
}

static void test_refusals(void **unused)
{
    (void)unused;
    char path[2 * TEMP_DIR_CAP], bad[2 * TEMP_DIR_CAP];
    /* the same ids again */
    assert_int_equal(small_corpus_index(collection_path, corpus_path, NULL, &err), HT_EXISTS);
    assert_non_null(strstr(err.message, "corpus.jsonl:1"));
    /* other settings */
    ht_index_opts opts;
    ht_index_opts_init(&opts);
    opts.model = NULL;
    ht_indexer *indexer;
    assert_int_equal(ht_indexer_new(collection_path, &opts, &indexer, &err), HT_INVALID);
    assert_null(indexer);
    opts.analyzer = NULL;
    assert_int_equal(ht_indexer_new(collection_path, &opts, &indexer, &err), HT_INVALID);
    opts.model = "no-such-model";
    assert_int_equal(ht_indexer_new(temp_dir_path(dir, "none.ht", path), &opts, &indexer, &err), HT_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1); /* a wrong model leaves no directory behind */
    /* a corpus with a repeated id: nothing of it is kept */
    FILE *file = fopen(temp_dir_path(dir, "bad.jsonl", bad), "w");
    assert_non_null(file);
    (void)fputs(
        "{\"_id\":\"a\",\"text\":\"one\"}\n{\"_id\":\"b\",\"text\":\"two\"}\n{\"_id\":\"a\",\"text\":\"three\"}\n",
        file);
    (void)fclose(file);
    assert_int_equal(small_corpus_index(collection_path, bad, NULL, &err), HT_EXISTS);
    assert_non_null(strstr(err.message, "bad.jsonl:3"));
    opened it = open_it(collection_path);
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(it.collection, &info);
    assert_int_equal(info.n_docs, N_DOCS);
    /* bad queries */
    const ht_search_result *result;
    assert_int_equal(ht_search(it.session, (ht_text){"\xFF", 1}, NULL, &result, &err), HT_PARSE);
    assert_int_equal(search(it, HT_MODE_BM25, 10, "zzzzqqq")->n_hits, 0);
    assert_int_equal(search(it, HT_MODE_BM25, 10, "")->n_hits, 0);
    assert_int_equal(search(it, HT_MODE_HYBRID, 10, "")->n_hits, 10);
    close_it(it);
}

static void test_deleted_documents_are_not_found(void **unused)
{
    (void)unused;
    char path[2 * TEMP_DIR_CAP];
    OK(small_corpus_index(temp_dir_path(dir, "del.ht", path), corpus_path, NULL, &err));
    opened it = open_it(path);
    const ht_search_result *result = search(it, HT_MODE_HYBRID, 1, query_text);
    char id[64];
    (void)snprintf(id, sizeof id, "%.*s", (int)result->hits[0].id.len, result->hits[0].id.data);
    ht_index_opts opts;
    ht_index_opts_init(&opts);
    opts.model = SMALL_MODEL;
    ht_indexer *indexer;
    OK(ht_indexer_new(path, &opts, &indexer, &err));
    assert_int_equal(ht_indexer_delete(indexer, (ht_text){"nobody", 6}, &err), HT_NOT_FOUND);
    OK(ht_indexer_delete(indexer, (ht_text){id, strlen(id)}, &err));
    OK(ht_indexer_commit(indexer, NULL, NULL, &err));
    assert_int_equal(search(it, HT_MODE_HYBRID, N_DOCS, query_text)->n_hits,
                     N_DOCS); /* an open reader keeps its generation */
    close_it(it);
    it = open_it(path);
    for (int mode = HT_MODE_BM25; ht_mode_name((ht_mode)mode); mode++) {
        result = search(it, (ht_mode)mode, N_DOCS, query_text);
        for (size_t i = 0; i < result->n_hits; i++)
            assert_false(result->hits[i].id.len == strlen(id) && memcmp(result->hits[i].id.data, id, strlen(id)) == 0);
    }
    close_it(it);
}

static void test_the_second_search_allocates_nothing(void **unused)
{
    (void)unused;
    opened it = open_it(collection_path);
    for (int mode = HT_MODE_BM25; ht_mode_name((ht_mode)mode); mode++) {
        (void)search(it, (ht_mode)mode, 10, query_text);
        (void)search(it, (ht_mode)mode, 10, query_text);
        const uint64_t before = hti_alloc_get_stats().n_calls;
        (void)search(it, (ht_mode)mode, 10, query_text);
        if (hti_alloc_get_stats().n_calls != before)
            fail_msg("mode %s: %llu allocations", ht_mode_name((ht_mode)mode),
                     (unsigned long long)(hti_alloc_get_stats().n_calls - before));
    }
    close_it(it);
}

static void test_an_empty_collection_answers_nothing(void **unused)
{
    (void)unused;
    char path[2 * TEMP_DIR_CAP], empty[2 * TEMP_DIR_CAP];
    FILE *file = fopen(temp_dir_path(dir, "empty.jsonl", empty), "w");
    assert_non_null(file);
    (void)fclose(file);
    OK(small_corpus_index(temp_dir_path(dir, "empty.ht", path), empty, NULL, &err));
    opened it = open_it(path);
    for (int mode = HT_MODE_BM25; ht_mode_name((ht_mode)mode); mode++)
        assert_int_equal(search(it, (ht_mode)mode, 10, query_text)->n_hits, 0);
    close_it(it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_modes_agree_with_what_hybrid_reports),
        cmocka_unit_test(test_rrf_is_the_sum_of_reciprocal_ranks),
        cmocka_unit_test(test_rerank_orders_the_candidates_by_maxsim),
        cmocka_unit_test(test_two_changes_equal_one),
        cmocka_unit_test(test_explanations_add_up),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_deleted_documents_are_not_found),
        cmocka_unit_test(test_the_second_search_allocates_nothing),
        cmocka_unit_test(test_an_empty_collection_answers_nothing),
    };
    return cmocka_run_group_tests_name("service", tests, make_collection, remove_collection);
}
