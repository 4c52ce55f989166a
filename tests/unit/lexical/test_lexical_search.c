/*
 * test_lexical_search.c - search, score and explain against brute force over random collections.
 *
 * The brute force is the formula over plain arrays (lexical_support.h) and shares no code with the
 * library. Scores agree to 1e-12; search, score and explain agree with each other to the last bit.
 * HT_SEED repeats a run, HT_ITERS lengthens it.
 */
#include "lexical_support.h"

enum { MAX_QUERY = 12 };

static const ht_bm25 settings[] = {{1.2, .75}, {.9, .4}, {0.0, .5}, {2.0, 0.0}, {1.5, 1.0}, {100.0, .3}};

typedef struct opened {
    folder files;
    size_t n_segments;
    ht_lexical *lexical;
    ht_lexical_session *session;
} opened;

/* Indexes the corpus in `n_segments` runs of documents (some may be empty) and opens it. */
static void open_corpus(const corpus *c, size_t n_segments, opened *o)
{
    ht_error err = {0};
    make_folder(&o->files);
    o->n_segments = n_segments;
    for (size_t i = 0; i < n_segments; i++) {
        const uint32_t from = (uint32_t)((uint64_t)c->n_docs * i / n_segments),
                       to = (uint32_t)((uint64_t)c->n_docs * (i + 1) / n_segments);
        assert_ht_ok(build_segment(c, from, to, o->files.paths[i], NULL, &err));
    }
    assert_ht_ok(ht_lexical_open(o->files.list, n_segments, &o->lexical, &err));
    assert_ht_ok(ht_lexical_session_new(o->lexical, &o->session, &err));
    assert_ht_ok(ht_lexical_verify(o->lexical, NULL, &err));
}

static void close_corpus(opened *o)
{
    ht_lexical_session_free(o->session);
    ht_lexical_close(o->lexical);
    drop_folder(&o->files);
}

static size_t random_query(uint64_t *state, uint32_t n_words, uint32_t *words)
{
    const size_t n = random_below(state, MAX_QUERY + 1);
    for (size_t i = 0; i < n; i++) {
        const bool repeats = i > 0 && random_below(state, 4) == 0;
        words[i] = repeats ? words[random_below(state, (uint32_t)i)]
                           : random_below(state, n_words + 3); /* three unknown words */
    }
    return n;
}

static bool nearly(double a, double b) { return fabs(a - b) <= 1e-12 * (1.0 + fabs(b)); }

/* Some of the documents, out of order, one twice: the same scores as with all. all[i] is of n_docs - 1 - i. */
static void check_some_documents(const opened *o, const corpus *c, ht_text query, ht_bm25 bm25, const double *all)
{
    ht_error err = {0};
    uint64_t state = query.len + c->n_docs;
    uint32_t *docs = calloc(c->n_docs + 1, sizeof *docs);
    double *scores = malloc((c->n_docs + 1) * sizeof *scores);
    size_t n = 0;
    for (uint32_t d = 0; d < c->n_docs; d += 1 + random_below(&state, c->n_docs / 6 + 2)) docs[n++] = d;
    for (size_t i = 0; i < n; i++) {
        const size_t other = random_below(&state, (uint32_t)n);
        const uint32_t doc = docs[i];
        docs[i] = docs[other];
        docs[other] = doc;
    }
    if (n > 1) docs[0] = docs[n - 1];
    assert_ht_ok(ht_lexical_score(o->session, query, &bm25, docs, n, scores, &err));
    for (size_t i = 0; i < n; i++) assert_true(scores[i] == all[c->n_docs - 1 - docs[i]]);
    free(docs);
    free(scores);
}

/* One query: hits against all brute-force scores, then score() and explain() against the hits. */
static void check_query(const opened *o, const corpus *c, const uint32_t *words, size_t n_words, ht_bm25 bm25,
                        const uint64_t *deleted, size_t k)
{
    ht_error err = {0};
    hti_buffer text;
    hti_buffer_init(&text);
    put_words(&text, words, n_words);
    const ht_text query = hti_buffer_view(&text);
    double *want = malloc((c->n_docs + 1) * sizeof *want), *all = malloc((c->n_docs + 1) * sizeof *all);
    uint32_t *docs = malloc((c->n_docs + 1) * sizeof *docs);
    ht_hit *hits = malloc((k + 1) * sizeof *hits);
    size_t n_hits, n_matching = 0;
    brute_force(c, words, n_words, bm25, want);
    for (uint32_t d = 0; d < c->n_docs; d++) {
        docs[d] = c->n_docs - 1 - d;
        n_matching += want[d] > 0.0 && !(deleted && hti_bits_get(deleted, d));
    }
    assert_ht_ok(ht_lexical_search(o->session, query, &bm25, deleted, k, hits, &n_hits, &err));
    assert_int_equal(n_hits, n_matching < k ? n_matching : k);
    assert_ht_ok(ht_lexical_score(o->session, query, &bm25, docs, c->n_docs, all, &err));
    for (uint32_t d = 0; d < c->n_docs; d++) assert_true(nearly(all[c->n_docs - 1 - d], want[d]));
    check_some_documents(o, c, query, bm25, all);
    for (size_t i = 0; i < n_hits; i++) {
        const uint32_t doc = hits[i].doc;
        assert_true(doc < c->n_docs && !(deleted && hti_bits_get(deleted, doc)));
        assert_true(hits[i].score == all[c->n_docs - 1 - doc]);
        if (i > 0) assert_true(hti_hit_is_worse(hits[i], hits[i - 1]));
    }
    /* Nothing better was left out. */
    for (uint32_t d = 0; n_hits == k && k > 0 && d < c->n_docs; d++) {
        const ht_hit left = {all[c->n_docs - 1 - d], d};
        bool taken = deleted && hti_bits_get(deleted, d);
        for (size_t i = 0; i < n_hits; i++) taken |= hits[i].doc == d;
        assert_true(taken || hti_hit_is_worse(left, hits[k - 1]));
    }
    for (uint32_t d = 0; d < c->n_docs; d += 1 + c->n_docs / 5) {
        const ht_lexical_part *parts;
        size_t n_parts;
        double score, sum = 0.0;
        assert_ht_ok(ht_lexical_explain(o->session, query, &bm25, d, &parts, &n_parts, &score, &err));
        for (size_t i = 0; i < n_parts; i++) {
            assert_int_equal(parts[i].doc_len, c->starts[d + 1] - c->starts[d]);
            assert_true(parts[i].contribution == parts[i].query_tf * parts[i].idf * parts[i].tf_part);
            sum += parts[i].contribution;
        }
        assert_true(sum == score);
        assert_true(score == all[c->n_docs - 1 - d]);
    }
    free(want);
    free(all);
    free(docs);
    free(hits);
    hti_buffer_deinit(&text);
}

static uint64_t *random_deleted(uint64_t *state, uint32_t n_docs)
{
    uint64_t *deleted = calloc(hti_bits_words(n_docs) + 1, sizeof *deleted);
    for (uint32_t d = 0; d < n_docs; d++)
        if (random_below(state, 3) == 0) hti_bits_set(deleted, d);
    return deleted;
}

static void test_equals_brute_force(void **unused)
{
    (void)unused;
    const uint64_t seed = env_number("HT_SEED", 1), iters = env_number("HT_ITERS", 40);
    uint64_t state = seed;
    for (uint64_t i = 0; i < iters; i++) {
        opened o;
        corpus c = random_corpus(&state, random_below(&state, i % 4 ? 60 : 900), 1 + random_below(&state, 40),
                                 1 + random_below(&state, 30));
        uint64_t *deleted = random_deleted(&state, c.n_docs);
        open_corpus(&c, 1 + random_below(&state, 4), &o);
        for (int q = 0; q < 12; q++) {
            uint32_t words[MAX_QUERY];
            const size_t n_words = random_query(&state, c.n_words, words);
            check_query(&o, &c, words, n_words, settings[random_below(&state, HTI_LEN(settings))],
                        q % 3 ? NULL : deleted, random_below(&state, 4) ? random_below(&state, 20) : c.n_docs + 5);
        }
        close_corpus(&o);
        free(deleted);
        free_corpus(&c);
    }
}

/* Many windows of 4,096 documents, dense and sparse words, lists of many blocks. */
static void test_equals_brute_force_over_many_windows(void **unused)
{
    (void)unused;
    uint64_t state = env_number("HT_SEED", 1);
    for (int round = 0; round < 3; round++) {
        opened o;
        corpus c = random_corpus(&state, 30000, round == 1 ? 4000 : 300, 12);
        open_corpus(&c, round == 2 ? 3 : 1, &o);
        const uint32_t queries[][3] = {{0, 1, 250}, {299, 280, 299}, {3999, 3998, 3997}, {5, 5, 5}, {70, 2, 71}};
        for (size_t q = 0; q < HTI_LEN(queries); q++) {
            const size_t n = queries[q][0] == 5 ? 1 : 3;
            ht_error err = {0};
            ht_hit hits[50];
            size_t n_hits;
            double *want = malloc(c.n_docs * sizeof *want);
            hti_buffer text;
            hti_buffer_init(&text);
            put_words(&text, queries[q], n);
            brute_force(&c, queries[q], n, settings[0], want);
            assert_ht_ok(
                ht_lexical_search(o.session, hti_buffer_view(&text), &settings[0], NULL, 50, hits, &n_hits, &err));
            for (size_t i = 0; i < n_hits; i++) assert_true(nearly(hits[i].score, want[hits[i].doc]));
            size_t n_better = 0, n_matching = 0;
            for (uint32_t d = 0; d < c.n_docs; d++) {
                n_matching += want[d] > 0.0;
                n_better += n_hits > 0 && want[d] > hits[n_hits - 1].score * (1.0 + 1e-12);
            }
            assert_int_equal(n_hits, n_matching < 50 ? n_matching : 50);
            assert_true(n_better < 50);
            hti_buffer_deinit(&text);
            free(want);
        }
        close_corpus(&o);
        free_corpus(&c);
    }
}

/* The same documents in one segment and in several: the same hits, to the last bit. */
static void test_segments_do_not_change_a_bit(void **unused)
{
    (void)unused;
    uint64_t state = env_number("HT_SEED", 9);
    for (int round = 0; round < 10; round++) {
        opened one, many;
        ht_error err = {0};
        corpus c = random_corpus(&state, 20 + random_below(&state, 3000), 50, 15);
        open_corpus(&c, 1, &one);
        open_corpus(&c, 2 + random_below(&state, MAX_SEGMENTS - 2), &many);
        for (int q = 0; q < 20; q++) {
            uint32_t words[MAX_QUERY];
            hti_buffer text;
            ht_hit a[30], b[30];
            size_t n_a, n_b;
            hti_buffer_init(&text);
            put_words(&text, words, random_query(&state, c.n_words, words));
            assert_ht_ok(
                ht_lexical_search(one.session, hti_buffer_view(&text), &settings[q % 2], NULL, 30, a, &n_a, &err));
            assert_ht_ok(
                ht_lexical_search(many.session, hti_buffer_view(&text), &settings[q % 2], NULL, 30, b, &n_b, &err));
            assert_int_equal(n_a, n_b);
            for (size_t i = 0; i < n_a; i++) assert_true(a[i].doc == b[i].doc && a[i].score == b[i].score);
            hti_buffer_deinit(&text);
        }
        close_corpus(&one);
        close_corpus(&many);
        free_corpus(&c);
    }
}

static size_t search_text(const opened *o, const char *query, size_t k, ht_hit *hits)
{
    ht_error err = {0};
    size_t n_hits;
    assert_ht_ok(
        ht_lexical_search(o->session, (ht_text){query, strlen(query)}, &settings[0], NULL, k, hits, &n_hits, &err));
    return n_hits;
}

static void test_edges_of_a_collection(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    opened o;
    ht_hit hits[8];
    corpus none = random_corpus(&state, 0, 5, 5), hollow = random_corpus(&state, 4, 5, 1);
    open_corpus(&none, 1, &o); /* a segment without documents */
    assert_int_equal(search_text(&o, "w0 w1", 8, hits), 0);
    close_corpus(&o);
    memset(hollow.starts, 0, 5 * sizeof *hollow.starts);
    open_corpus(&hollow, 2, &o); /* documents without tokens */
    assert_int_equal(search_text(&o, "w0 w1", 8, hits), 0);
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    ht_lexical_get_info(o.lexical, &info);
    assert_int_equal(info.n_docs, 4);
    assert_int_equal(info.n_docs_with_tokens, 0);
    close_corpus(&o);
    open_corpus(&none, 0, &o); /* no segment at all */
    assert_int_equal(search_text(&o, "w0", 8, hits), 0);
    close_corpus(&o);
    free_corpus(&none);
    free_corpus(&hollow);
}

/* A word in every document, one 1,000 times in one document, a document of 10,000 words, an empty one between them. */
static void test_long_documents_and_high_frequencies(void **unused)
{
    (void)unused;
    enum { DOCS = 300, LONG = 10000 };
    corpus c = {DOCS, 20000, malloc((DOCS + 1) * sizeof *c.starts), malloc((DOCS * 3 + 1000 + LONG) * sizeof *c.words)};
    size_t at = 0;
    for (uint32_t d = 0; d < DOCS; d++) {
        c.starts[d] = at;
        if (d == 7) continue;
        c.words[at++] = 0;
        for (uint32_t i = 0; d == 5 && i < 1000; i++) c.words[at++] = 1;
        for (uint32_t i = 0; d == 9 && i < LONG; i++) c.words[at++] = 2 + i;
        if (d % 3 == 0) c.words[at++] = 1;
    }
    c.starts[DOCS] = at;
    const uint32_t queries[][3] = {{0, 1, 2}, {1, 1, 0}, {2 + LONG - 1, 0, 0}, {0, 0, 0}, {1, 50, 60}};
    for (size_t segments = 1; segments <= 3; segments++) {
        opened o;
        open_corpus(&c, segments, &o);
        for (size_t q = 0; q < HTI_LEN(queries); q++)
            for (size_t s = 0; s < HTI_LEN(settings); s++) check_query(&o, &c, queries[q], 3, settings[s], NULL, 20);
        close_corpus(&o);
    }
    free_corpus(&c);
}

/* Sparse windows come term by term: w1's documents are met before w2's lower ones, and all scores are equal. */
static void test_ties_go_to_the_lower_document(void **unused)
{
    (void)unused;
    enum { DOCS = 3000, EACH = 150, K = 10 };
    opened o;
    ht_hit hits[K];
    corpus c = {DOCS, 3, malloc((DOCS + 1) * sizeof *c.starts), malloc(DOCS * sizeof *c.words)};
    for (uint32_t d = 0; d < DOCS; d++) {
        c.starts[d] = d;
        c.words[d] = d >= DOCS - EACH ? 1 : d >= 100 && d < 100 + EACH ? 2 : 0;
    }
    c.starts[DOCS] = DOCS;
    open_corpus(&c, 1, &o);
    assert_int_equal(search_text(&o, "w1 w2", K, hits), K);
    for (uint32_t i = 0; i < K; i++) assert_true(hits[i].doc == 100 + i && hits[i].score == hits[0].score);
    close_corpus(&o);
    free_corpus(&c);
}

/* Documents at the ends of packed blocks, reached without decoding the block for another one before. */
static void test_skipping_to_the_end_of_a_block(void **unused)
{
    (void)unused;
    enum { DOCS = 128 * 40 + 5 };
    opened o;
    ht_error err = {0};
    corpus c = {DOCS, 1, malloc((DOCS + 1) * sizeof *c.starts), calloc(DOCS, sizeof *c.words)};
    for (uint32_t d = 0; d <= DOCS; d++) c.starts[d] = d;
    open_corpus(&c, 1, &o);
    const uint32_t sets[][4] = {{127, 383, 1151, 5119},
                                {255, 256, 3199, 5120},
                                {5119, 5119, 5124, 0},
                                {1, 2559, 2559, 5124},
                                {511, 512, 639, 4991}};
    for (size_t i = 0; i < HTI_LEN(sets); i++) {
        double scores[4], score;
        const ht_lexical_part *parts;
        size_t n;
        assert_ht_ok(ht_lexical_score(o.session, (ht_text){"w0", 2}, NULL, sets[i], 4, scores, &err));
        for (size_t j = 0; j < 4; j++) {
            assert_true(scores[j] > 0.0 && scores[j] == scores[0]);
            assert_ht_ok(ht_lexical_explain(o.session, (ht_text){"w0", 2}, NULL, sets[i][j], &parts, &n, &score, &err));
            assert_true(score == scores[0]);
        }
    }
    close_corpus(&o);
    free_corpus(&c);
}

static void test_bad_arguments_are_told(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    opened o;
    ht_error err = {0};
    ht_hit hits[3];
    double score;
    size_t n;
    const ht_lexical_part *parts;
    const ht_text word = {"w1", 2}, broken = {"w1 \xC3", 4};
    const ht_bm25 bad[] = {{-1.0, .5}, {NAN, .5}, {1.2, 1.5}, {1.2, -.1}, {1.2, NAN}, {INFINITY, .5}, {1e9, .5}};
    const uint32_t beyond = 20;
    corpus c = random_corpus(&state, 20, 5, 5);
    open_corpus(&c, 2, &o);
    for (size_t i = 0; i < HTI_LEN(bad); i++)
        assert_int_equal(ht_lexical_search(o.session, word, &bad[i], NULL, 3, hits, &n, &err), HT_INVALID);
    assert_int_equal(ht_lexical_search(o.session, broken, NULL, NULL, 3, hits, &n, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "byte 3"));
    assert_int_equal(ht_lexical_score(o.session, word, NULL, &beyond, 1, &score, &err), HT_INVALID);
    assert_int_equal(ht_lexical_explain(o.session, word, NULL, beyond, &parts, &n, &score, &err), HT_INVALID);
    ht_bm25 preset;
    assert_int_equal(ht_bm25_preset("lucene9", &preset, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, "anserini"));
    assert_ht_ok(ht_bm25_preset("default", &preset, &err));
    assert_true(preset.k1 == 1.2 && preset.b == .75);
    assert_ht_ok(ht_lexical_search(o.session, word, NULL, NULL, 0, NULL, &n, &err));
    assert_int_equal(n, 0);
    close_corpus(&o);
    free_corpus(&c);
}

/* Parts are joined by a newline, empty ones leave nothing; a refused document leaves no trace. */
static void test_parts_and_refused_documents(void **unused)
{
    (void)unused;
    folder files;
    ht_error err = {0};
    ht_lexical_builder *builder;
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    const ht_text a[] = {{"x y", 3}, {"z x", 3}}, b[] = {{NULL, 0}, {"y", 1}, {"", 0}},
                  bad[] = {{"ok", 2}, {"\xFF", 1}};
    make_folder(&files);
    assert_int_equal(ht_lexical_builder_new(files.paths[0], "no such analyzer", &builder, &err), HT_NOT_FOUND);
    assert_null(builder);
    assert_ht_ok(ht_lexical_builder_new(files.paths[0], "whitespace", &builder, &err));
    assert_ht_ok(ht_lexical_builder_add(builder, a, 2, &err));
    assert_int_equal(ht_lexical_builder_add(builder, bad, 2, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "document 1, part 2"));
    assert_ht_ok(ht_lexical_builder_add(builder, b, 3, &err));
    assert_ht_ok(ht_lexical_builder_add(builder, NULL, 0, &err));
    assert_ht_ok(ht_lexical_builder_finish(builder, &info, &err));
    assert_int_equal(info.n_docs, 3);
    assert_int_equal(info.n_docs_with_tokens, 2);
    assert_int_equal(info.n_tokens, 5);
    assert_int_equal(info.n_terms, 3);
    assert_int_equal(info.n_postings, 4);
    assert_string_equal(info.analyzer, "whitespace");
    assert_ht_ok(ht_lexical_builder_new(files.paths[1], NULL, &builder, &err));
    ht_lexical_builder_abort(builder);
    ht_lexical_builder_abort(NULL);
    assert_int_not_equal(access(files.paths[1], F_OK), 0);
    assert_int_equal(ht_lexical_builder_new("/nonexistent/folder/x", NULL, &builder, &err), HT_NOT_FOUND);
    drop_folder(&files);
}

/* A spoiled score must be noticed by check_query's own measure. */
static void test_a_wrong_score_is_noticed(void **unused)
{
    (void)unused;
    uint64_t state = 3;
    corpus c = random_corpus(&state, 50, 10, 10);
    const uint32_t query[] = {0, 1};
    double right[50] = {0}, wrong[50] = {0};
    brute_force(&c, query, 2, settings[0], right);
    brute_force(&c, query, 2, settings[1], wrong);
    size_t noticed = 0;
    for (size_t d = 0; d < 50; d++) noticed += !nearly(right[d], wrong[d]);
    assert_true(noticed > 20);
    free_corpus(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_brute_force),
        cmocka_unit_test(test_equals_brute_force_over_many_windows),
        cmocka_unit_test(test_segments_do_not_change_a_bit),
        cmocka_unit_test(test_edges_of_a_collection),
        cmocka_unit_test(test_long_documents_and_high_frequencies),
        cmocka_unit_test(test_ties_go_to_the_lower_document),
        cmocka_unit_test(test_skipping_to_the_end_of_a_block),
        cmocka_unit_test(test_bad_arguments_are_told),
        cmocka_unit_test(test_parts_and_refused_documents),
        cmocka_unit_test(test_a_wrong_score_is_noticed),
    };
    return cmocka_run_group_tests_name("lexical_search", tests, NULL, NULL);
}
