/*
 * retrieval_mock.c - a whole retrieval pipeline with mock components: thirteen nodes, an inner pipeline of six.
 *
 *     retrieval_mock [--no-batch] [--threads | --processes] [--output NAME]
 *
 * The nodes are written row by row: encode_passage awaits encoder.encode for its one passage. The runtime calls the
 * encoder's batch form twice, once for all passages and once for all queries; with --no-batch it makes seven row calls.
 * The results are the same. With --processes maps run in two worker processes, which are this program too: main begins
 * with ht_worker_main, and what it may be asked for stands in a registry.
 */
#include "common.h"

#include <houndstooth/registry.h>

#include <string.h>

enum { TOP_K = 500, RERANK_K = 500, RRF_K = 500, NDCG_K = 20 };

static ht_error err; /* of what main itself calls */

/* ---- values in short ---- */

static ht_status make_struct(const char *a, ht_value x, const char *b, ht_value y, ht_value *out, ht_error *e)
{
    const char *const names[] = {a, b};
    const ht_value items[] = {x, y};
    return ht_value_struct(names, items, 2, out, e);
}

static ht_value field(ht_value value, const char *name)
{
    ht_value found = ht_value_null();
    (void)ht_value_field(value, name, &found);
    return found;
}

/* "p0", "p1", ... in a list of {uuid, text}. */
static ht_status numbered(const char *prefix, const char *text, size_t n, ht_value *out, ht_error *e)
{
    ht_value items[8];
    size_t made = 0;
    ht_status status = HT_OK;
    for (; status == HT_OK && made < n; made++) {
        char name[16], words[48];
        ht_value id = ht_value_null(), body = ht_value_null();
        const int id_len = snprintf(name, sizeof name, "%s%zu", prefix, made);
        const int len = snprintf(words, sizeof words, "%s %zu", text, made);
        status = ht_value_string((ht_text){name, (size_t)id_len}, &id, e);
        if (status == HT_OK) status = ht_value_string((ht_text){words, (size_t)len}, &body, e);
        if (status == HT_OK) status = make_struct("uuid", id, "text", body, &items[made], e);
        ht_value_release(id);
        ht_value_release(body);
    }
    if (status == HT_OK) return ht_value_list_take(items, n, out, e);
    for (size_t i = 0; i + 1 < made; i++) ht_value_release(items[i]);
    return status;
}

/* The first k items. */
static ht_status first_k(ht_value list, ht_value k, ht_value *out, ht_error *e)
{
    size_t n;
    const ht_value *items = ht_value_items(list, &n);
    const size_t most = k.as.integer > 0 ? (size_t)k.as.integer : 0;
    return ht_value_list(items, n < most ? n : most, out, e);
}

/* ---- mock classes ---- */

static ht_status keep_args(void **self, ht_value args, ht_error *e)
{
    ht_value *kept = malloc(sizeof *kept);
    if (!kept) {
        e->status = HT_NO_MEMORY;
        return HT_NO_MEMORY;
    }
    *kept = ht_value_retain(args);
    *self = kept;
    return HT_OK;
}

static void drop_args(void *self)
{
    ht_value_release(*(ht_value *)self);
    free(self);
}

/* encode(text, is_query): three floats. */
static ht_status encode(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    static const int64_t shape[] = {3};
    static const double query[] = {.1, .2, .3}, passage[] = {.4, .5, .6};
    (void)self;
    return ht_value_tensor(HT_F64, 1, shape, in[1].as.boolean ? query : passage, &out[0], e);
}

static ht_status encode_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        const ht_value row[] = {in[0].rows[i], in[1].rows[0]};
        status = encode(self, row, &out[0][i], e);
    }
    return status;
}

static const ht_method encoder_methods[] = {{"encode", 2, {.row = encode, .batch = encode_batch}}};
static const ht_class encoder_class = {HT_DESC(ht_class),   .name = "mock.ColBERTEncoder", .init = keep_args,
                                       .fini = drop_args,   .methods = encoder_methods,    .n_methods = 1,
                                       .max_concurrency = 2};

/* Hits in the order of insertion, the i-th with score(i); `key` names the document. */
static ht_status hits_of(ht_value documents, ht_value k, const char *key, double (*score)(size_t), ht_value *out,
                         ht_error *e)
{
    ht_value list, hits[8];
    size_t n, made = 0;
    ht_status status = first_k(documents, k, &list, e);
    if (status != HT_OK) return status;
    const ht_value *items = ht_value_items(list, &n);
    for (; status == HT_OK && made < n && made < 8; made++)
        status = make_struct(key, field(items[made], "uuid"), "score", ht_value_float(score(made)), &hits[made], e);
    if (status == HT_OK) {
        status = ht_value_list_take(hits, made, out, e);
    } else {
        for (size_t i = 0; i + 1 < made; i++) ht_value_release(hits[i]);
    }
    ht_value_release(list);
    return status;
}

static double by_rank(size_t i) { return 1.0 / (double)(i + 1); }
static double by_tenths(size_t i) { return .9 - .1 * (double)i; }

static ht_status search_plaid(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    return hits_of(*(ht_value *)self, in[1], "id", by_rank, &out[0], e);
}

static ht_status search_bm25(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    return hits_of(*(ht_value *)self, in[1], "passage_uuid", by_tenths, &out[0], e);
}

static const ht_method plaid_methods[] = {{"search", 2, {.row = search_plaid}}};
static const ht_class plaid_class = {HT_DESC(ht_class), .name = "mock.PLAIDIndex", .init = keep_args,
                                     .fini = drop_args, .methods = plaid_methods,  .n_methods = 1};
static const ht_method bm25_methods[] = {{"search", 2, {.row = search_bm25}}};
static const ht_class bm25_class = {HT_DESC(ht_class), .name = "mock.BM25IndexImpl", .init = keep_args,
                                    .fini = drop_args, .methods = bm25_methods,      .n_methods = 1};

/* fuse(a, b): 1 / (k + rank) summed over the lists; mock lists agree in order, so the sums are sorted already. */
static ht_status fuse(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const ht_value k = *(ht_value *)self;
    ht_value fused[8];
    size_t n, n_other, made = 0;
    const ht_value *hits = ht_value_items(in[0], &n), *others = ht_value_items(in[1], &n_other);
    ht_status status = HT_OK;
    for (; status == HT_OK && made < n && made < 8; made++) {
        const ht_value id = field(hits[made], "id");
        double score = 1.0 / (double)(k.as.integer + (int64_t)made + 1);
        for (size_t j = 0; j < n_other; j++)
            if (ht_value_equal(field(others[j], "passage_uuid"), id))
                score += 1.0 / (double)(k.as.integer + (int64_t)j + 1);
        status = make_struct("id", id, "score", ht_value_float(score), &fused[made], e);
    }
    if (status == HT_OK) return ht_value_list_take(fused, made, &out[0], e);
    for (size_t i = 0; i + 1 < made; i++) ht_value_release(fused[i]);
    return status;
}

static const ht_method rrf_methods[] = {{"fuse", 2, {.row = fuse}}};
static const ht_class rrf_class = {HT_DESC(ht_class), .name = "mock.RRFFusion", .init = keep_args,
                                   .fini = drop_args, .methods = rrf_methods,   .n_methods = 1};

/* ---- nodes, each for one row ---- */

static ht_status load_passages(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    return numbered("p", "passage", 5, &out[0], e);
}

static ht_status load_queries(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    return numbered("q", "query", 2, &out[0], e);
}

/* {uuid, embedding} of {uuid, text}; is_query is what `self` points to. */
static ht_status encode_one(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    const bool is_query = *(const bool *)self;
    const ht_value args[] = {field(in[0], "text"), ht_value_bool(is_query)};
    ht_value embedding;
    const ht_status status = ht_await(body, in[1], "encode", args, 2, &embedding, e);
    if (status != HT_OK) return status; /* HT_PARKED too: the body runs again with the answer at hand */
    return make_struct("uuid", field(in[0], "uuid"), "embedding", embedding, &out[0], e);
}

/* An index of the class that `self` points to: a spec, so nothing is built yet. */
static ht_status build_index(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_instance *index;
    ht_status status = ht_instance_new(*(const ht_class *const *)self, in[0], &index, e);
    if (status != HT_OK) return status;
    status = ht_instance_value(index, &out[0], e);
    ht_instance_release(index);
    return status;
}

static ht_status give_first(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    out[0] = ht_value_retain(in[0]);
    return HT_OK;
}

/* method(a, b) of the instance that stands at input `self` of three. */
static ht_status search(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    const ht_value args[] = {in[0], in[2]};
    return ht_instance_call(ht_value_instance(in[1]), "search", args, 2, &out[0], e);
}

static ht_status fuse_results(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    return ht_instance_call(ht_value_instance(in[2]), "fuse", in, 2, &out[0], e);
}

static ht_status rerank_results(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    return first_k(in[1], in[4], &out[0], e);
}

static ht_status flatten(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_value all[64];
    size_t n, n_all = 0;
    (void)self;
    const ht_value *lists = ht_value_items(in[0], &n);
    for (size_t i = 0; i < n; i++) {
        size_t n_items;
        const ht_value *items = ht_value_items(lists[i], &n_items);
        for (size_t k = 0; k < n_items && n_all < 64; k++) all[n_all++] = items[k];
    }
    return ht_value_list(all, n_all, &out[0], e);
}

static ht_status compute_ndcg(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)e;
    out[0] = ht_value_float(.85);
    return HT_OK;
}

static const int recall_at[] = {20, 50, 100, 200, 300, 400, 500};

static ht_status compute_recall(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    char text[7][16];
    const char *names[7];
    ht_value values[7];
    (void)self;
    (void)in;
    for (int i = 0; i < 7; i++) {
        (void)snprintf(text[i], sizeof text[i], "recall@%d", recall_at[i]);
        names[i] = text[i];
        values[i] = ht_value_float(.7 + .01 * recall_at[i]);
    }
    return ht_value_struct(names, values, 7, &out[0], e);
}

static ht_status combine(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const char *names[9] = {"ndcg", "ndcg_k"};
    ht_value values[9] = {in[0], in[2]};
    size_t n;
    (void)self;
    const ht_value *recalls = ht_value_items(in[1], &n);
    for (size_t i = 0; i < n && i < 7; i++) {
        names[2 + i] = ht_value_field_name(in[1], i).data;
        values[2 + i] = recalls[i];
    }
    return ht_value_struct(names, values, 9, &out[0], e);
}

/* ---- the graph ---- */

static void need(ht_status status) { or_die(status, &err); }

/* Every node of the graph; a worker process finds them by their names. */
typedef struct mock_node {
    const char *name, *inputs[6], *output; /* inputs end at NULL */
    void *self;
    ht_forms forms;
} mock_node;
static bool yes = true, no = false;
static const ht_class *plaid = &plaid_class, *bm25 = &bm25_class;
#define ROW(fn)     \
    {               \
        .row = (fn) \
    }
static const mock_node nodes[] = {
    {"encode_passage", {"passage", "encoder"}, "encoded_passage", &no, {.body = encode_one}},
    {"encode_query", {"query", "encoder"}, "encoded_query", &yes, {.body = encode_one}},
    {"load_passages", {"corpus_path"}, "passages", NULL, ROW(load_passages)},
    {"load_queries", {"examples_path"}, "queries", NULL, ROW(load_queries)},
    {"load_ground_truths", {"examples_path"}, "ground_truths", NULL, ROW(load_queries)},
    {"build_vector_index",
     {"encoded_passages", "index_folder", "index_name", "override"},
     "vector_index",
     &plaid,
     ROW(build_index)},
    {"build_bm25_index", {"passages"}, "bm25_index", &bm25, ROW(build_index)},
    {"build_passage_lookup", {"encoded_passages"}, "passage_lookup", NULL, ROW(give_first)},
    {"extract_query", {"encoded_query"}, "query", NULL, ROW(give_first)},
    {"retrieve_colbert", {"encoded_query", "vector_index", "top_k"}, "colbert_hits", NULL, ROW(search)},
    {"retrieve_bm25", {"query", "bm25_index", "top_k"}, "bm25_hits", NULL, ROW(search)},
    {"fuse_results", {"colbert_hits", "bm25_hits", "rrf"}, "fused_hits", NULL, ROW(fuse_results)},
    {"rerank_results",
     {"query", "fused_hits", "encoder", "passage_lookup", "rerank_k"},
     "reranked_hits",
     NULL,
     ROW(rerank_results)},
    {"hits_to_predictions", {"reranked_hits", "query"}, "predictions", NULL, ROW(give_first)},
    {"flatten_predictions", {"all_query_predictions"}, "all_predictions", NULL, ROW(flatten)},
    {"compute_ndcg", {"all_predictions", "ground_truths"}, "ndcg_score", NULL, ROW(compute_ndcg)},
    {"compute_recall", {"all_predictions", "ground_truths"}, "recall_metrics", NULL, ROW(compute_recall)},
    {"combine_evaluation_results",
     {"ndcg_score", "recall_metrics", "ndcg_k"},
     "evaluation_results",
     NULL,
     ROW(combine)},
};
enum { N_NODES = sizeof nodes / sizeof *nodes };
static ht_node_desc descs[N_NODES];
static ht_input ports[N_NODES][6];

static ht_registry *make_registry(void)
{
    static const ht_class *const classes[] = {&encoder_class, &plaid_class, &bm25_class, &rrf_class};
    ht_registry *registry;
    need(ht_registry_new(&registry, &err));
    for (int i = 0; i < 4; i++) need(ht_registry_add_class(registry, classes[i], &err));
    for (int i = 0; i < N_NODES; i++) {
        size_t n = 0;
        for (; n < 6 && nodes[i].inputs[n]; n++) ports[i][n].name = nodes[i].inputs[n];
        descs[i] = (ht_node_desc){HT_DESC(ht_node_desc), .name = nodes[i].name,       .inputs = ports[i],
                                  .n_inputs = n,         .outputs = &nodes[i].output, .n_outputs = 1,
                                  .self = nodes[i].self, .forms = nodes[i].forms};
        need(ht_registry_add_node(registry, &descs[i], &err));
    }
    return registry;
}

static void add(ht_pipeline *p, const char *name)
{
    int i = 0;
    while (strcmp(descs[i].name, name) != 0) i++;
    need(ht_pipeline_add_node(p, &descs[i], &err));
}

static void add_mapped(ht_pipeline *outer, const ht_pipeline *inner, const char *name, ht_rename in, ht_rename out)
{
    const ht_as_node as = {HT_DESC(ht_as_node), .name = name,   .inputs = &in,        .n_inputs = 1,
                           .outputs = &out,     .n_outputs = 1, .map_over = &in.from, .n_map_over = 1};
    need(ht_pipeline_add_pipeline(outer, inner, &as, &err));
}

static ht_pipeline *new_pipeline(const char *name)
{
    ht_pipeline *p;
    need(ht_pipeline_new(name, &p, &err));
    return p;
}

static ht_pipeline *retrieve_single_query(void)
{
    ht_pipeline *p = new_pipeline("retrieve_single_query");
    add(p, "extract_query");
    add(p, "retrieve_colbert");
    add(p, "retrieve_bm25");
    add(p, "fuse_results");
    add(p, "rerank_results");
    add(p, "hits_to_predictions");
    return p;
}

static ht_pipeline *hebrew_retrieval(void)
{
    ht_pipeline *p = new_pipeline("hebrew_retrieval");
    ht_pipeline *passage = new_pipeline("encode_passage"), *query = new_pipeline("encode_query");
    ht_pipeline *retrieve = retrieve_single_query();
    add(passage, "encode_passage");
    add(query, "encode_query");
    add(p, "load_passages");
    add(p, "load_queries");
    add(p, "load_ground_truths");
    add_mapped(p, passage, "encode_passages_mapped", (ht_rename){"passages", "passage"},
               (ht_rename){"encoded_passage", "encoded_passages"});
    add(p, "build_vector_index");
    add(p, "build_bm25_index");
    add(p, "build_passage_lookup");
    add_mapped(p, query, "encode_queries_mapped", (ht_rename){"queries", "query"},
               (ht_rename){"encoded_query", "encoded_queries"});
    add_mapped(p, retrieve, "retrieve_queries_mapped", (ht_rename){"encoded_queries", "encoded_query"},
               (ht_rename){"predictions", "all_query_predictions"});
    add(p, "flatten_predictions");
    add(p, "compute_ndcg");
    add(p, "compute_recall");
    add(p, "combine_evaluation_results");
    ht_pipeline_release(passage);
    ht_pipeline_release(query);
    ht_pipeline_release(retrieve);
    return p;
}

static void print_json(const char *name, ht_value value)
{
    ht_writer *writer;
    size_t len;
    need(ht_writer_new(&writer, &err));
    need(ht_value_to_json(value, writer, &err));
    const char *json = ht_writer_data(writer, &len);
    printf("%s: %.*s\n", name, (int)len, json);
    ht_writer_free(writer);
}

static void on_event(void *ud, const ht_event *event)
{
    (void)ud;
    if (event->kind == HT_EVENT_NODE_END && event->depth == 0) printf("ran %s\n", event->node);
    if (event->kind == HT_EVENT_BATCH) printf("batch of %llu: %s\n", (unsigned long long)event->n, event->node);
}

int main(int n_args, char **args)
{
    static const char *const names[] = {"corpus_path", "examples_path", "encoder",  "rrf",   "index_folder",
                                        "index_name",  "override",      "rerank_k", "top_k", "ndcg_k"};
    const char *outputs[] = {"evaluation_results", "all_predictions"};
    ht_run_options options = {HT_DESC(ht_run_options), .outputs = outputs, .n_outputs = 2, .event = on_event};
    ht_value values[10], inputs, out;
    ht_instance *encoder, *rrf;
    ht_registry *registry = make_registry();
    const int code = ht_worker_main(n_args, args, registry);
    if (code >= 0) { /* this process was a worker and is done */
        ht_registry_free(registry);
        return code;
    }
    options.registry = registry;
    options.n_workers = 2;
    for (int i = 1; i < n_args; i++) {
        if (!strcmp(args[i], "--no-batch")) options.batch_max = 1;
        if (!strcmp(args[i], "--threads")) options.engine = HT_ENGINE_THREADS;
        if (!strcmp(args[i], "--processes")) options.engine = HT_ENGINE_PROCESSES;
        if (!strcmp(args[i], "--output") && i + 1 < n_args) {
            outputs[0] = args[++i];
            options.n_outputs = 1;
        }
    }
    need(ht_instance_new(&encoder_class, ht_value_null(), &encoder, &err));
    need(ht_instance_new(&rrf_class, ht_value_int(RRF_K), &rrf, &err));
    need(ht_value_string((ht_text){"mock_corpus.parquet", 19}, &values[0], &err));
    need(ht_value_string((ht_text){"mock_examples.parquet", 21}, &values[1], &err));
    need(ht_instance_value(encoder, &values[2], &err));
    need(ht_instance_value(rrf, &values[3], &err));
    need(ht_value_string((ht_text){"pylate-index", 12}, &values[4], &err));
    need(ht_value_string((ht_text){"sample_1_index", 14}, &values[5], &err));
    values[6] = ht_value_bool(true);
    values[7] = ht_value_int(RERANK_K);
    values[8] = ht_value_int(TOP_K);
    values[9] = ht_value_int(NDCG_K);
    need(ht_value_struct(names, values, 10, &inputs, &err));
    ht_pipeline *p = hebrew_retrieval();
    need(ht_pipeline_run(p, inputs, &options, &out, &err));
    for (size_t i = 0; i < options.n_outputs; i++) print_json(outputs[i], field(out, outputs[i]));
    const ht_instance_stats stats = ht_instance_get_stats(encoder);
    printf("encoder: %llu object, %llu row calls, %llu batch calls of %llu rows\n", (unsigned long long)stats.objects,
           (unsigned long long)stats.rows_alone, (unsigned long long)stats.batches,
           (unsigned long long)stats.batch_rows);
    for (size_t i = 0; i < 10; i++) ht_value_release(values[i]);
    ht_value_release(inputs);
    ht_value_release(out);
    ht_pipeline_release(p);
    ht_instance_release(encoder);
    ht_instance_release(rrf);
    ht_registry_free(registry);
    return 0;
}
