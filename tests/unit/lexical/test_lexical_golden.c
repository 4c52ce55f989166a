/*
 * test_lexical_golden.c - BM25 of Cranfield and CACM against the exact-length lists of tests/data/golden_bm25.
 *
 * The lists come from Lucene's analysis and an independent float64 scorer (README there): 20 hits a
 * query, 9 digits. Scores must agree to 1e-6 relative, and so must the order wherever two golden scores
 * are further apart than that.
 */
#include "lexical_support.h"

#include "codec/codec.h"

enum { DEPTH = 20, MAX_DOCS = 4000, MAX_LINE = 1 << 20, ID = 32 };

typedef struct collection {
    folder files;
    char ids[MAX_DOCS][ID];
    size_t n_docs;
    ht_lexical *lexical;
    ht_lexical_session *session;
    ht_lexical_info info;
} collection;

static collection now;

typedef ht_status (*line_fn)(const json_t *object, const char *path, void *ud, ht_error *err);

static void each_line(const char *path, line_fn fn, void *ud)
{
    ht_error err = {0};
    hti_lines *lines;
    assert_ht_ok(hti_lines_open(path, MAX_LINE, &lines, &err));
    for (;;) {
        ht_text line;
        json_t *object;
        assert_ht_ok(hti_lines_next(lines, &line, &err));
        if (!line.data) break;
        assert_ht_ok(hti_json_parse(line, path, hti_lines_number(lines), &object, &err));
        assert_ht_ok(fn(object, path, ud, &err));
        json_decref(object);
    }
    hti_lines_close(lines);
}

static ht_status add_doc(const json_t *object, const char *path, void *ud, ht_error *err)
{
    ht_text id, parts[2];
    HT_TRY(hti_json_text(object, path, "_id", &id, err));
    HT_TRY(hti_json_text(object, path, "title", &parts[0], err));
    HT_TRY(hti_json_text(object, path, "text", &parts[1], err));
    (void)snprintf(now.ids[now.n_docs++], ID, "%.*s", (int)id.len, id.data);
    return ht_lexical_builder_add(ud, parts, 2, err);
}

static void open_collection(const char *dir)
{
    ht_error err = {0};
    char path[512];
    ht_lexical_builder *builder;
    now.n_docs = 0;
    now.info.size = sizeof now.info;
    make_folder(&now.files);
    assert_ht_ok(ht_lexical_builder_new(now.files.paths[0], "english", &builder, &err));
    (void)snprintf(path, sizeof path, "%s/corpus.jsonl", dir);
    each_line(path, add_doc, builder);
    assert_ht_ok(ht_lexical_builder_finish(builder, &now.info, &err));
    assert_ht_ok(ht_lexical_open(now.files.list, 1, &now.lexical, &err));
    assert_ht_ok(ht_lexical_verify(now.lexical, NULL, &err));
    assert_ht_ok(ht_lexical_session_new(now.lexical, &now.session, &err));
}

static void close_collection(void)
{
    ht_lexical_session_free(now.session);
    ht_lexical_close(now.lexical);
    drop_folder(&now.files);
}

/* Lines "qid docid rank score" of one list, in order. */
typedef struct golden {
    FILE *file;
    char qid[ID], doc[ID];
    double score;
    bool has_line;
    ht_bm25 bm25;
    size_t n_queries, n_wrong_scores, n_wrong_places;
} golden;

static void next_line(golden *g)
{
    char score[ID], *end;
    g->has_line = fscanf(g->file, "%31s %31s %*s %31s", g->qid, g->doc, score) == 3;
    if (!g->has_line) return;
    g->score = strtod(score, &end);
    assert_true(*end == '\0' && end > score);
}

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-6 * fabs(b); }

/* Is `id` among the hits with the golden score (a tie may stand in another order)? */
static bool has_place(const ht_hit *hits, size_t n, const char *id, double score)
{
    for (size_t i = 0; i < n; i++)
        if (close_to(hits[i].score, score) && strcmp(now.ids[hits[i].doc], id) == 0) return true;
    return false;
}

static ht_status check_query(const json_t *object, const char *path, void *ud, ht_error *err)
{
    golden *g = ud;
    ht_text id, text;
    ht_hit hits[DEPTH + 10];
    size_t n;
    HT_TRY(hti_json_text(object, path, "_id", &id, err));
    HT_TRY(hti_json_text(object, path, "text", &text, err));
    if (!g->has_line || strlen(g->qid) != id.len || memcmp(g->qid, id.data, id.len) != 0) return HT_OK;
    HT_TRY(ht_lexical_search(now.session, text, &g->bm25, NULL, DEPTH + 10, hits, &n, err));
    for (size_t rank = 0; g->has_line && strlen(g->qid) == id.len && memcmp(g->qid, id.data, id.len) == 0; rank++) {
        g->n_wrong_scores += rank >= n || !close_to(hits[rank].score, g->score);
        const bool in_place = rank < n && strcmp(now.ids[hits[rank].doc], g->doc) == 0;
        g->n_wrong_places += !in_place && !has_place(hits, n, g->doc, g->score);
        next_line(g);
    }
    g->n_queries++;
    return HT_OK;
}

static void check_list(const char *name, const char *dir, ht_bm25 bm25, size_t n_queries)
{
    char path[512];
    golden g = {.bm25 = bm25};
    (void)snprintf(path, sizeof path, "%s/golden_bm25/%s.exact.k%gb%g.top20.tsv", HT_TEST_DATA, name, bm25.k1, bm25.b);
    g.file = fopen(path, "r");
    assert_non_null(g.file);
    next_line(&g);
    (void)snprintf(path, sizeof path, "%s/queries.jsonl", dir);
    each_line(path, check_query, &g);
    (void)fclose(g.file);
    assert_false(g.has_line); /* every line was used, so the queries came in the list's order */
    assert_int_equal(g.n_queries, n_queries);
    assert_int_equal(g.n_wrong_scores, 0);
    assert_int_equal(g.n_wrong_places, 0);
}

static void test_cranfield(void **unused)
{
    (void)unused;
    open_collection(HT_SOURCE_DIR "/data/cranfield");
    assert_int_equal(now.info.n_docs, 1400); /* cranfield.summary.json */
    assert_int_equal(now.info.n_docs_with_tokens, 1398);
    assert_int_equal(now.info.n_tokens, 154931);
    assert_int_equal(now.info.n_terms, 5171);
    assert_int_equal(now.info.n_postings, 94782);
    check_list("cranfield", HT_SOURCE_DIR "/data/cranfield", (ht_bm25){.9, .4}, 225);
    check_list("cranfield", HT_SOURCE_DIR "/data/cranfield", (ht_bm25){1.2, .75}, 225);
    close_collection();
}

static void test_cacm(void **unused)
{
    (void)unused;
    open_collection(HT_TEST_DATA "/cacm");
    assert_int_equal(now.info.n_docs, 3204); /* cacm.summary.json */
    assert_int_equal(now.info.n_tokens, 320968);
    assert_int_equal(now.info.n_terms, 14363);
    check_list("cacm", HT_TEST_DATA "/cacm", (ht_bm25){.9, .4}, 64);
    check_list("cacm", HT_TEST_DATA "/cacm", (ht_bm25){1.2, .75}, 64);
    close_collection();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cranfield), cmocka_unit_test(test_cacm)};
    return cmocka_run_group_tests_name("lexical_golden", tests, NULL, NULL);
}
