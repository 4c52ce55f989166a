/*
 * test_retrieval_pipeline.c - the nodes of retrieval in one pipeline, against a program written by hand.
 *
 * CACM is searched twice by BM25 (english; whitespace with other parameters), both lists are fused by reciprocal rank
 * and judged by nDCG and recall, on every engine. The other program shares the analyzers and nothing else: it reads the
 * files itself, counts tokens in arrays, scores every document for every query, and sorts.
 */
#include "flow_cases.h"

#include <houndstooth/lexical.h>
#include <houndstooth/retrieval.h>

#include <math.h>

#define CACM HT_TEST_DATA "/cacm/"
enum { TOP_K = 100, NDCG_K = 10, RRF_K = 60, N_CUTS = 3, MAX_DOCS = 4000, MAX_QUERIES = 80 };
static const int cuts[N_CUTS] = {5, 20, 100};

/* ---- by hand: files ---- */

typedef struct record {
    char id[20];
    char *text; /* title, newline, text */
} record;

static char *copy_of(const char *title, const char *text)
{
    const size_t len = strlen(title) + strlen(text) + 2;
    char *copy = malloc(len);
    (void)snprintf(copy, len, "%s%s%s", title, *title ? "\n" : "", text);
    return copy;
}

static size_t read_records(const char *path, record *records, size_t most)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, n = 0;
    assert_non_null(file);
    while (getline(&line, &cap, file) > 1) {
        ht_value title = ht_value_null();
        const ht_value value = from_json(line);
        assert_true(n < most);
        (void)ht_value_field(value, "title", &title);
        (void)snprintf(records[n].id, sizeof records[n].id, "%s", ht_value_text(field_of(value, "_id")).data);
        records[n++].text = copy_of(ht_value_text(title).data, ht_value_text(field_of(value, "text")).data);
        ht_value_release(value);
    }
    free(line);
    (void)fclose(file);
    return n;
}

static void free_records(record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) free(records[i].text);
}

static record docs[MAX_DOCS], queries[MAX_QUERIES];
static size_t n_docs, n_queries;
static bool relevant[MAX_QUERIES][MAX_DOCS];
static size_t n_relevant[MAX_QUERIES];

static size_t number_of(const record *records, size_t n, const char *id)
{
    size_t i = 0;
    while (i < n && strcmp(records[i].id, id) != 0) i++;
    return i;
}

static void read_judgements(void)
{
    FILE *file = fopen(CACM "qrels/test.tsv", "r");
    char line[200], query[20], doc[20], grade[4];
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fscanf(file, "%19s %19s %3s", query, doc, grade) == 3) {
        const size_t q = number_of(queries, n_queries, query), d = number_of(docs, n_docs, doc);
        assert_true(q < n_queries && !strcmp(grade, "1"));
        n_relevant[q]++; /* some are no documents of the corpus: nobody finds them */
        if (d < n_docs) relevant[q][d] = true;
    }
    (void)fclose(file);
}

/* ---- by hand: BM25 over every document ---- */

typedef struct tokens {
    uint32_t *at; /* [n] numbers of terms */
    size_t n;
} tokens;

static tokens analyse(const ht_analyzer *analyzer, const char *text, hti_map *vocabulary)
{
    ht_tokens *found;
    tokens t;
    OK(ht_tokens_new(&found, &err));
    OK(ht_analyzer_run(analyzer, (ht_text){text, strlen(text)}, found, &err));
    const ht_token *view = ht_tokens_view(found, &t.n);
    t.at = calloc(t.n + 1, sizeof *t.at);
    for (size_t i = 0; i < t.n; i++) {
        uint32_t entry;
        bool inserted;
        OK(hti_map_put(vocabulary, view[i].text, (uint32_t)vocabulary->n, &entry, &inserted, &err));
        t.at[i] = vocabulary->entries[entry].value;
    }
    ht_tokens_free(found);
    return t;
}

typedef struct ranked {
    size_t doc;
    double score;
    int best_rank; /* of fused ones */
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->doc < y->doc ? -1 : 1;
}

typedef struct list {
    ranked hits[MAX_DOCS];
    size_t n;
} list;

static void score_all(const tokens *all, tokens query, double k1, double b, list *out)
{
    double n = 0, total = 0;
    for (size_t d = 0; d < n_docs; d++) {
        n += all[d].n > 0;
        total += (double)all[d].n;
    }
    static double tf[MAX_DOCS];
    for (size_t d = 0; d < n_docs; d++) out->hits[d] = (ranked){d, 0, 0};
    for (size_t q = 0; q < query.n; q++) {
        double df = 0;
        for (size_t d = 0; d < n_docs; d++) {
            tf[d] = 0;
            for (size_t i = 0; i < all[d].n; i++) tf[d] += all[d].at[i] == query.at[q];
            df += tf[d] > 0;
        }
        const double idf = log(1 + (n - df + .5) / (df + .5));
        for (size_t d = 0; d < n_docs; d++)
            out->hits[d].score += idf * tf[d] / (tf[d] + k1 * (1 - b + b * (double)all[d].n / (total / n)));
    }
    qsort(out->hits, n_docs, sizeof *out->hits, by_score);
    for (out->n = 0; out->n < TOP_K && out->hits[out->n].score > 0;) out->n++;
}

static void search_all(const char *analyzer_name, double k1, double b, list *out)
{
    const ht_analyzer *analyzer;
    hti_map vocabulary;
    hti_map_init(&vocabulary);
    OK(ht_analyzer_find(analyzer_name, &analyzer, &err));
    tokens *all = calloc(n_docs, sizeof *all);
    for (size_t d = 0; d < n_docs; d++) all[d] = analyse(analyzer, docs[d].text, &vocabulary);
    for (size_t q = 0; q < n_queries; q++) {
        const tokens query = analyse(analyzer, queries[q].text, &vocabulary);
        score_all(all, query, k1, b, &out[q]);
        free(query.at);
    }
    for (size_t d = 0; d < n_docs; d++) free(all[d].at);
    free(all);
    hti_map_deinit(&vocabulary);
}

/* ---- by hand: fusion and measures ---- */

static int by_fused(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->best_rank != y->best_rank) return x->best_rank - y->best_rank;
    return strcmp(docs[x->doc].id, docs[y->doc].id);
}

static void fuse(const list *a, const list *b, list *out)
{
    static ranked of[MAX_DOCS];
    for (size_t d = 0; d < n_docs; d++) of[d] = (ranked){d, 0, 1 << 20};
    for (int which = 0; which < 2; which++)
        for (size_t i = 0; i < (which ? b : a)->n; i++) {
            ranked *r = &of[(which ? b : a)->hits[i].doc];
            r->score += 1.0 / (double)(RRF_K + i + 1);
            r->best_rank = HTI_MIN(r->best_rank, (int)i);
        }
    out->n = 0;
    for (size_t d = 0; d < n_docs; d++) {
        if (of[d].score == 0) continue;
        of[d].score = round(of[d].score * 1e12) / 1e12;
        out->hits[out->n++] = of[d];
    }
    qsort(out->hits, out->n, sizeof *out->hits, by_fused);
}

/* trec_eval's order: score, then the greater id. */
static int by_trec(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return -strcmp(docs[x->doc].id, docs[y->doc].id);
}

typedef struct measures {
    double ndcg, recall[N_CUTS];
} measures;

static measures judge(const list *fused)
{
    static list sorted;
    measures mean = {0};
    double n_judged = 0;
    for (size_t q = 0; q < n_queries; q++) {
        double gain = 0, ideal = 0;
        if (n_relevant[q] == 0) continue;
        n_judged++;
        sorted = fused[q];
        qsort(sorted.hits, sorted.n, sizeof *sorted.hits, by_trec);
        for (size_t i = 0; i < NDCG_K; i++) {
            if (i < sorted.n && relevant[q][sorted.hits[i].doc]) gain += 1 / log2((double)i + 2);
            if (i < n_relevant[q]) ideal += 1 / log2((double)i + 2);
        }
        mean.ndcg += gain / ideal;
        for (int c = 0; c < N_CUTS; c++) {
            double found = 0;
            for (size_t i = 0; i < HTI_MIN(sorted.n, (size_t)cuts[c]); i++) found += relevant[q][sorted.hits[i].doc];
            mean.recall[c] += found / (double)n_relevant[q];
        }
    }
    mean.ndcg /= n_judged;
    for (int c = 0; c < N_CUTS; c++) mean.recall[c] /= n_judged;
    return mean;
}

/* ---- the pipeline ---- */

typedef struct other_name {
    const char *from, *to;
} other_name;

/* A registered node, with some of its inputs and its output under other names (pairs up to one without `from`). */
static void add_named(ht_pipeline *p, const char *type, const char *name, const other_name *names)
{
    const ht_node_desc *desc = ht_registry_node(registry, type);
    assert_non_null(desc);
    ht_node_desc copy = *desc;
    ht_input inputs[8];
    const char *output = desc->outputs[0];
    for (size_t i = 0; i < desc->n_inputs; i++) inputs[i] = desc->inputs[i];
    for (; names && names->from; names++) {
        if (!strcmp(output, names->from)) output = names->to;
        for (size_t i = 0; i < desc->n_inputs; i++)
            if (!strcmp(inputs[i].name, names->from)) inputs[i].name = names->to;
    }
    copy.type = type;
    copy.name = name;
    copy.inputs = inputs;
    copy.outputs = &output;
    OK(ht_pipeline_add_node(p, &copy, &err));
}

/* whitespace_index(passages): a BM25Index of other settings. */
static ht_status build_other(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    static const char *const names[] = {"passages", "analyzer", "preset"};
    ht_value values[] = {in[0], ht_value_null(), ht_value_null()}, args = ht_value_null();
    ht_instance *instance = NULL;
    (void)self;
    ht_status status = ht_value_string((ht_text){"whitespace", 10}, &values[1], e);
    if (status == HT_OK) status = ht_value_string((ht_text){"anserini", 8}, &values[2], e);
    if (status == HT_OK) status = ht_value_struct(names, values, 3, &args, e);
    if (status == HT_OK) status = ht_registry_instance(registry, "BM25Index", args, &instance, e);
    if (status == HT_OK) status = ht_instance_value(instance, &out[0], e);
    ht_instance_release(instance);
    ht_value_release(args);
    ht_value_release(values[1]);
    ht_value_release(values[2]);
    return status;
}

static ht_pipeline *whole_pipeline(void)
{
    static const ht_input passages = {"passages", NULL};
    static const char *const other_index = "other_index";
    const ht_node_desc other = {HT_DESC(ht_node_desc),        .name = "build_other_index",
                                .inputs = &passages,          .n_inputs = 1,
                                .outputs = &other_index,      .n_outputs = 1,
                                .forms = {.row = build_other}};
    ht_pipeline *one = new_pipeline("one_query"), *p = new_pipeline("retrieval");
    add_named(one, "retrieve_bm25", "retrieve_english", NULL);
    add_named(one, "retrieve_bm25", "retrieve_words",
              (const other_name[]){{"bm25_index", "other_index"}, {"bm25_hits", "other_hits"}, {NULL, NULL}});
    add_named(one, "fuse_results", "fuse_results", (const other_name[]){{"colbert_hits", "other_hits"}, {NULL, NULL}});
    add_named(one, "hits_to_predictions", "hits_to_predictions",
              (const other_name[]){{"reranked_hits", "fused_hits"}, {NULL, NULL}});
    add_named(p, "load_passages", "load_passages", NULL);
    add_named(p, "load_queries", "load_queries", NULL);
    add_named(p, "load_ground_truths", "load_ground_truths", NULL);
    add_named(p, "build_bm25_index", "build_bm25_index", NULL);
    OK(ht_pipeline_add_node(p, &other, &err));
    nest(p, one,
         AS_NODE(INPUTS({"queries", "query"}), OUTPUTS({"predictions", "all_query_predictions"}), OVER("queries")));
    add_named(p, "flatten_predictions", "flatten_predictions", NULL);
    add_named(p, "compute_ndcg", "compute_ndcg", NULL);
    add_named(p, "compute_recall", "compute_recall", NULL);
    add_named(p, "combine_evaluation_results", "combine_evaluation_results", NULL);
    ht_pipeline_release(one);
    return p;
}

static ht_value whole_inputs(void)
{
    ht_value inputs = from_json("{\"top_k\": 100, \"ndcg_k\": 10, \"recall_k_list\": [5, 20, 100]}"), all, rrf,
             texts[3];
    const char *const names[] = {"corpus_path", "queries_path", "qrels_path",   "rrf",
                                 "top_k",       "ndcg_k",       "recall_k_list"};
    const char *const paths[] = {CACM "corpus.jsonl", CACM "queries.jsonl", CACM "qrels/test.tsv"};
    ht_instance *instance;
    const ht_value k = struct_of("k", ht_value_int(RRF_K));
    size_t n;
    OK(ht_registry_instance(registry, "RRFFusion", k, &instance, &err));
    OK(ht_instance_value(instance, &rrf, &err));
    const ht_value *rest = ht_value_items(inputs, &n);
    for (int i = 0; i < 3; i++) OK(ht_value_string((ht_text){paths[i], strlen(paths[i])}, &texts[i], &err));
    const ht_value values[] = {texts[0], texts[1], texts[2], rrf, rest[0], rest[1], rest[2]};
    OK(ht_value_struct(names, values, 7, &all, &err));
    for (int i = 0; i < 3; i++) ht_value_release(texts[i]);
    ht_value_release(rrf);
    ht_instance_release(instance);
    ht_value_release(k);
    ht_value_release(inputs);
    return all;
}

/* ---- both ---- */

static void expect_near(ht_value value, double should)
{
    assert_int_equal(value.kind, HT_KIND_FLOAT);
    if (fabs(value.as.number - should) > 1e-9) fail_msg("%.12f, not %.12f", value.as.number, should);
}

static void expect_predictions(ht_value predictions, const list *fused)
{
    size_t n, at = 0;
    const ht_value *items = ht_value_items(predictions, &n);
    for (size_t q = 0; q < n_queries; q++)
        for (size_t i = 0; i < fused[q].n; i++, at++) {
            assert_true(at < n);
            assert_string_equal(ht_value_text(field_of(items[at], "query_uuid")).data, queries[q].id);
            assert_string_equal(ht_value_text(field_of(items[at], "passage_uuid")).data, docs[fused[q].hits[i].doc].id);
            expect_near(field_of(items[at], "score"), fused[q].hits[i].score);
        }
    assert_int_equal(at, n);
}

static void case_41_real_components_against_a_program_by_hand(void **state)
{
    list *english = calloc(MAX_QUERIES, sizeof *english), *words = calloc(MAX_QUERIES, sizeof *words);
    list *fused = calloc(MAX_QUERIES, sizeof *fused);
    (void)state;
    n_docs = read_records(CACM "corpus.jsonl", docs, MAX_DOCS);
    n_queries = read_records(CACM "queries.jsonl", queries, MAX_QUERIES);
    assert_int_equal(n_docs, 3204);
    assert_int_equal(n_queries, 64);
    read_judgements();
    search_all("english", 1.2, .75, english);
    search_all("whitespace", .9, .4, words);
    for (size_t q = 0; q < n_queries; q++) fuse(&english[q], &words[q], &fused[q]);
    const measures should = judge(fused);
    print_message("by hand: ndcg@%d %.4f, recall@%d %.4f\n", NDCG_K, should.ndcg, cuts[2], should.recall[2]);
    assert_true(should.ndcg > .3 && should.recall[2] > .5); /* it does search */
    FOR_ENGINES
    {
        ht_pipeline *p = whole_pipeline();
        const ht_value inputs = whole_inputs();
        ht_run_options options = on();
        ht_value out;
        options.outputs = NAMES("all_predictions", "evaluation_results");
        options.n_outputs = 2;
        OK(ht_pipeline_run(p, inputs, &options, &out, &err));
        const ht_value results = field_of(out, "evaluation_results");
        expect_predictions(field_of(out, "all_predictions"), fused);
        expect_near(field_of(results, "ndcg"), should.ndcg);
        assert_int_equal(int_of(results, "ndcg_k"), NDCG_K);
        for (int c = 0; c < N_CUTS; c++) {
            char name[20];
            (void)snprintf(name, sizeof name, "recall@%d", cuts[c]);
            expect_near(field_of(results, name), should.recall[c]);
        }
        ht_value_release(out);
        ht_value_release(inputs);
        ht_pipeline_release(p);
    }
    free(english);
    free(words);
    free(fused);
    free_records(docs, n_docs);
    free_records(queries, n_queries);
}

static void what_is_wrong_is_told_by_node_and_item(void **state)
{
    (void)state;
    FOR_ENGINES
    {
        ht_pipeline *p = new_pipeline("loading"), *inner = new_pipeline("inner");
        add_named(p, "load_passages", "load_passages", NULL);
        refuse(p, "{\"corpus_path\": 7}", HT_INVALID, "node 'load_passages': 'corpus_path' is a path, not a int");
        refuse(p, "{\"corpus_path\": \"/nowhere/corpus.jsonl\"}", HT_NOT_FOUND, "/nowhere/corpus.jsonl");
        ht_run_options options = on_engine(NAMES("corpus_path"), 1);
        refuse_with(p, "{\"corpus_path\": [\"/nowhere/corpus.jsonl\"]}", options, HT_NOT_FOUND,
                    "node 'load_passages', item 0: ");
        ht_pipeline_release(p);
        p = new_pipeline("judging");
        add_named(p, "compute_ndcg", "compute_ndcg", NULL);
        refuse(p, "{\"all_predictions\": [], \"ground_truths\": {}, \"ndcg_k\": 0}", HT_INVALID,
               "'ndcg_k' must be a whole number of at least 1");
        refuse(p, "{\"all_predictions\": [], \"ground_truths\": {}, \"ndcg_k\": 1}", HT_INVALID,
               "ground truths has no string 'path'");
        ht_pipeline_release(p);
        p = new_pipeline("searching");
        add_named(inner, "build_bm25_index", "build_bm25_index", NULL);
        add_named(inner, "retrieve_bm25", "retrieve_bm25", NULL);
        nest(p, inner, AS_NODE(OVER("query"), OUTPUTS({"bm25_hits", "hits"})));
        refuse(p,
               "{\"passages\": [{\"uuid\": \"a\", \"text\": \"b\"}, {\"uuid\": \"c\"}], "
               "\"query\": [{\"text\": \"b\"}], \"top_k\": 5}",
               HT_INVALID, "a passage has no string 'text'");
        expect(p, "{\"passages\": [], \"query\": [{\"text\": \"b\"}], \"top_k\": 5}", "{\"hits\": [[]]}");
        ht_pipeline_release(p);
        ht_pipeline_release(inner);
    }
}

static ht_status call_with(const char *cls, const char *method, const char *args, ht_value *out)
{
    const ht_value none = from_json("{}"), all = from_json(args);
    size_t n;
    ht_instance *instance;
    *out = ht_value_null();
    OK(ht_registry_instance(registry, cls, none, &instance, &err));
    const ht_value *items = ht_value_items(all, &n);
    const ht_status status = ht_instance_call(instance, method, items, n, out, &err);
    ht_instance_release(instance);
    ht_value_release(all);
    ht_value_release(none);
    return status;
}

/* Scores 3 and 1 in whole numbers: read as doubles of the same bits, they would all be next to 0. */
static void fusion_takes_whole_scores_and_refuses_what_is_none(void **state)
{
    (void)state;
    ht_value out;
    size_t n;
    OK(call_with("MinMaxFusion", "fuse",
                 "[[[{\"id\": \"a\", \"score\": 3}, {\"id\": \"b\", \"score\": 2}, {\"id\": \"c\", \"score\": 1}]]]",
                 &out));
    const ht_value *hits = ht_value_items(out, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) expect_near(field_of(hits[i], "score"), 1 - 0.5 * (double)i);
    ht_value_release(out);
    assert_int_equal(call_with("RRFFusion", "fuse", "[[[{\"id\": \"a\", \"score\": \"3\"}]]]", &out), HT_INVALID);
    assert_non_null(strstr(err.message, "a hit has no number 'score' (it is a string)"));
    assert_int_equal(call_with("RRFFusion", "fuse", "[{\"id\": \"a\"}]", &out), HT_INVALID);
    assert_int_equal(call_with("RRFFusion", "fuse", "[[{\"id\": \"a\"}]]", &out), HT_INVALID);
}

static void register_more(void) { OK(ht_retrieval_register(registry, &err)); }

int main(int argc, char **argv)
{
    const int code = cases_begin(argc, argv, register_more);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_41_real_components_against_a_program_by_hand),
        cmocka_unit_test(what_is_wrong_is_told_by_node_and_item),
        cmocka_unit_test(fusion_takes_whole_scores_and_refuses_what_is_none),
    };
    return cases_end(cmocka_run_group_tests(tests, NULL, NULL));
}
