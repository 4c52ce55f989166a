/*
 * pipeline_steps.c - a retrieval pipeline grown from one node: the program of docs/guide_pipelines.md.
 *
 *     pipeline_steps [--data FOLDER] N      step N of 1 to 9
 */
#include "word_vectors.h"

static ht_error err; /* of what the program itself calls */
static ht_registry *registry;
static const char *data_folder = "data/cranfield";

/* ---- in short ---- */

static void need(ht_status status) { or_die(status, &err); }

static ht_value text_value(const char *text)
{
    ht_value value;
    need(ht_value_string(text_of(text), &value, &err));
    return value;
}

static ht_pipeline *pipeline(const char *name)
{
    ht_pipeline *p;
    need(ht_pipeline_new(name, &p, &err));
    return p;
}

/* A node of the registry. */
static void add(ht_pipeline *p, const char *type)
{
    need(ht_pipeline_add_node(p, ht_registry_node(registry, type), &err));
}

static void bind(ht_pipeline *p, const char *input, ht_value value)
{
    need(ht_pipeline_bind(p, input, value, &err));
    ht_value_release(value);
}

static void bind_path(ht_pipeline *p, const char *input, const char *file)
{
    char path[2000];
    (void)snprintf(path, sizeof path, "%s/%s", data_folder, file);
    bind(p, input, text_value(path));
}

static ht_value instance_value(ht_instance *instance)
{
    ht_value value;
    need(ht_instance_value(instance, &value, &err));
    return value;
}

/* The instance of a registered class with one argument. */
static ht_instance *instance_of(const char *cls, const char *argument, int64_t number)
{
    const ht_value value = ht_value_int(number);
    ht_instance *instance;
    ht_value args;
    need(ht_value_struct(&argument, &value, 1, &args, &err));
    need(ht_registry_instance(registry, cls, args, &instance, &err));
    ht_value_release(args);
    return instance;
}

static void print_vectors(const char *what, ht_value embedding)
{
    const ht_tensor *vectors = ht_value_tensor_view(field(embedding, "vectors"));
    printf("%s: %lld vectors of %lld\n", what, (long long)vectors->shape[0], (long long)vectors->shape[1]);
}

static void print_calls(const char *what, ht_instance *instance)
{
    const ht_instance_stats s = ht_instance_get_stats(instance);
    printf("%s: objects %llu, row calls %llu, batch calls %llu\n", what, (unsigned long long)s.objects,
           (unsigned long long)s.rows_alone, (unsigned long long)s.batches);
}

/* ---- 1. a node ---- */

/* {uuid, text, embedding} */
static ht_status with_embedding(ht_value passage, ht_value embedding, ht_value *out, ht_error *e)
{
    static const char *const names[] = {"uuid", "text", "embedding"};
    const ht_value values[] = {field(passage, "uuid"), field(passage, "text"), embedding};
    return ht_value_struct(names, values, 3, out, e);
}

static ht_status encode_alone(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    ht_value embedding;
    TRY(embed(ht_value_text(field(in[0], "text")), 1, &embedding, e));
    const ht_status status = with_embedding(in[0], embedding, &out[0], e);
    ht_value_release(embedding);
    return status;
}

static const ht_input passage[] = {{"passage", NULL}, {"encoder", NULL}};
static const char *const encoded_passage[] = {"encoded_passage"};
static const ht_node_desc alone = {
    HT_DESC(ht_node_desc), .name = "encode_passage",      .inputs = passage, .n_inputs = 1, .outputs = encoded_passage,
    .n_outputs = 1,        .forms = {.row = encode_alone}};

static ht_value one_passage(void)
{
    static const char json[] = "{\"passage\": {\"uuid\": \"p1\", \"text\": \"the flow close to a wall\"}}";
    ht_value inputs;
    need(ht_value_from_json(text_of(json), &inputs, &err));
    return inputs;
}

static void step_1(void)
{
    const ht_value inputs = one_passage();
    ht_pipeline *p = pipeline("one");
    ht_value out;
    need(ht_pipeline_add_node(p, &alone, &err));
    need(ht_pipeline_run(p, inputs, NULL, &out, &err));
    const ht_value encoded = field(out, "encoded_passage");
    print_vectors(ht_value_text(field(encoded, "uuid")).data, field(encoded, "embedding"));
    ht_value_release(out);
    ht_value_release(inputs);
    ht_pipeline_release(p);
}

/* ---- 2. a class ---- */

static ht_status encode_passage(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    const ht_value args[] = {field(in[0], "text"), ht_value_bool(false)};
    ht_value embedding;
    TRY(ht_await(body, in[1], "encode", args, 2, &embedding, e));
    return with_embedding(in[0], embedding, &out[0], e);
}

static const ht_node_desc node = {HT_DESC(ht_node_desc),
                                  .name = "encode_passage",
                                  .inputs = passage,
                                  .n_inputs = 2,
                                  .outputs = encoded_passage,
                                  .n_outputs = 1,
                                  .forms = {.body = encode_passage}};

static ht_instance *new_encoder(const ht_class *cls)
{
    ht_instance *encoder;
    need(ht_instance_new(cls, ht_value_null(), &encoder, &err));
    return encoder;
}

static void step_2(void)
{
    ht_instance *encoder = new_encoder(&words_by_row);
    print_calls("made", encoder);

    const ht_value args[] = {text_value("the flow"), ht_value_bool(false)};
    ht_value embedding;
    need(ht_instance_call(encoder, "encode", args, 2, &embedding, &err));
    print_vectors("alone", embedding);

    const ht_value inputs = one_passage();
    ht_pipeline *p = pipeline("one");
    ht_value out;
    need(ht_pipeline_add_node(p, &node, &err));
    bind(p, "encoder", instance_value(encoder));
    need(ht_pipeline_run(p, inputs, NULL, &out, &err));
    print_vectors("in a node", field(field(out, "encoded_passage"), "embedding"));
    print_calls("now", encoder);

    ht_value_release(out);
    ht_value_release(inputs);
    ht_value_release(embedding);
    ht_value_release(args[0]);
    ht_pipeline_release(p);
    ht_instance_release(encoder);
}

/* ---- 3. a map, 4. batches ---- */

/* `inner` as a node of `outer`, once for each element of the list `over`. */
static void add_mapped(ht_pipeline *outer, ht_pipeline *inner, const char *over, const char *each, const char *makes,
                       const char *as)
{
    const ht_rename in = {over, each}, out = {makes, as};
    const ht_as_node how = {HT_DESC(ht_as_node), .inputs = &in,     .n_inputs = 1,  .outputs = &out,
                            .n_outputs = 1,      .map_over = &over, .n_map_over = 1};
    need(ht_pipeline_add_pipeline(outer, inner, &how, &err));
    ht_pipeline_release(inner);
}

static void encode_all(ht_instance *encoder)
{
    ht_pipeline *p = pipeline("encode_all"), *one = pipeline("encode_passages");
    ht_value out;
    size_t n;
    need(ht_pipeline_add_node(one, &node, &err));
    add(p, "load_passages");
    add_mapped(p, one, "passages", "passage", "encoded_passage", "encoded_passages");
    bind_path(p, "corpus_path", "corpus.jsonl");
    bind(p, "encoder", instance_value(encoder));
    need(ht_pipeline_run(p, ht_value_null(), NULL, &out, &err));
    (void)ht_value_items(field(out, "encoded_passages"), &n);
    printf("%zu passages; ", n);
    print_calls("encoder", encoder);
    ht_value_release(out);
    ht_pipeline_release(p);
    ht_instance_release(encoder);
}

static void step_3(void) { encode_all(new_encoder(&words_by_row)); }

static void step_4(void) { encode_all(new_encoder(&words)); }

/* ---- 5. BM25 ---- */

/* What every retrieval has around it: data in front, figures behind. */
static ht_pipeline *judged(const char *name)
{
    ht_pipeline *p = pipeline(name);
    add(p, "load_passages");
    add(p, "load_queries");
    add(p, "load_ground_truths");
    add(p, "build_bm25_index");
    add(p, "flatten_predictions");
    add(p, "compute_ndcg");
    bind_path(p, "corpus_path", "corpus.jsonl");
    bind_path(p, "queries_path", "queries.jsonl");
    bind_path(p, "qrels_path", "qrels/test.tsv");
    bind(p, "ndcg_k", ht_value_int(10));
    return p;
}

/* The registered node, with another name for its input. */
static void add_predictions(ht_pipeline *p, const char *hits)
{
    const ht_input inputs[] = {{hits, NULL}, {"query", NULL}};
    ht_node_desc renamed = *ht_registry_node(registry, "hits_to_predictions");
    renamed.inputs = inputs;
    need(ht_pipeline_add_node(p, &renamed, &err));
}

static double ndcg(ht_pipeline *p, const ht_run_options *options)
{
    ht_value out;
    need(ht_pipeline_run(p, ht_value_null(), options, &out, &err));
    const double found = field(out, "ndcg_score").as.number;
    ht_value_release(out);
    return found;
}

static void step_5(void)
{
    ht_pipeline *p = judged("bm25"), *one = pipeline("retrieve_queries");
    add(one, "retrieve_bm25");
    add_predictions(one, "bm25_hits");
    add_mapped(p, one, "queries", "query", "predictions", "all_query_predictions");
    bind(p, "top_k", ht_value_int(100));
    printf("nDCG@10 %.4f\n", ndcg(p, NULL));
    ht_pipeline_release(p);
}

/* ---- 6. two searches, fused ---- */

static ht_pipeline *encode_each(const char *type)
{
    ht_pipeline *p = pipeline(type);
    add(p, type);
    return p;
}

static ht_pipeline *retrieve(void)
{
    ht_pipeline *p = pipeline("retrieve_queries");
    add(p, "extract_query");
    add(p, "retrieve_colbert");
    add(p, "retrieve_bm25");
    add(p, "fuse_results");
    add_predictions(p, "fused_hits");
    return p;
}

static ht_pipeline *retrieval(int64_t least)
{
    ht_pipeline *p = judged("retrieval");
    ht_instance *encoder = instance_of("Words", "least", least), *rrf = instance_of("RRFFusion", "k", 60);
    add_mapped(p, encode_each("encode_passage"), "passages", "passage", "encoded_passage", "encoded_passages");
    add_mapped(p, encode_each("encode_query"), "queries", "query", "encoded_query", "encoded_queries");
    add(p, "build_vector_index");
    add_mapped(p, retrieve(), "encoded_queries", "encoded_query", "predictions", "all_query_predictions");
    bind(p, "encoder", instance_value(encoder));
    bind(p, "rrf", instance_value(rrf));
    bind(p, "index_folder", text_value("indexes"));
    bind(p, "index_name", text_value("words"));
    bind(p, "override", ht_value_bool(true));
    bind(p, "top_k", ht_value_int(100));
    ht_instance_release(encoder);
    ht_instance_release(rrf);
    return p;
}

static void step_6(void)
{
    ht_pipeline *p = retrieval(1);
    printf("nDCG@10 %.4f\n", ndcg(p, NULL));
    ht_pipeline_release(p);
    p = retrieval(4);
    printf("nDCG@10 %.4f, words of four letters and more\n", ndcg(p, NULL));
    ht_pipeline_release(p);
}

/* ---- 7. engines ---- */

static void step_7(void)
{
    static const char *const names[] = {"one thread", "threads", "two processes"};
    static const ht_engine engines[] = {HT_ENGINE_SEQUENTIAL, HT_ENGINE_THREADS, HT_ENGINE_PROCESSES};
    ht_pipeline *p = retrieval(1);
    for (int i = 0; i < 3; i++) {
        const ht_run_options options = {HT_DESC(ht_run_options), .engine = engines[i], .n_workers = 2,
                                        .registry = registry};
        printf("%s: nDCG@10 %.4f\n", names[i], ndcg(p, &options));
    }
    ht_pipeline_release(p);
}

/* ---- 8. a cache ---- */

static void count_cached(void *ud, const ht_event *event)
{
    if (event->kind == HT_EVENT_NODE_CACHED) (*(size_t *)ud)++;
}

static void step_8(void)
{
    ht_pipeline *p = retrieval(1);
    ht_cache *cache;
    need(ht_cache_memory(NULL, &cache, &err)); /* or ht_cache_open(folder, ...) */
    for (int run = 1; run <= 3; run++) {
        size_t n_cached = 0;
        const ht_run_options options = {HT_DESC(ht_run_options), .cache = cache, .event = count_cached,
                                        .ud = &n_cached};
        if (run == 3) bind(p, "top_k", ht_value_int(50));
        const double found = ndcg(p, &options);
        printf("run %d: nDCG@10 %.4f, %zu results from the cache\n", run, found, n_cached);
    }
    ht_cache_close(cache);
    ht_pipeline_release(p);
}

/* ---- 9. a trace ---- */

static void step_9(void)
{
    ht_pipeline *p = retrieval(1);
    ht_run_options options = {HT_DESC(ht_run_options)};
    const ht_trace_total *rows;
    size_t n;
    uint64_t wall_ns;
    need(ht_trace_new(0, &options.trace, &err));
    (void)ndcg(p, &options);
    need(ht_trace_totals(options.trace, &rows, &n, &wall_ns, &err));
    for (size_t i = 0; i < n; i++)
        if (rows[i].kind == HT_SPAN_BATCH)
            printf("%-18s %3llu calls, %4llu rows, %9.3f ms\n", rows[i].name, (unsigned long long)rows[i].calls,
                   (unsigned long long)rows[i].rows, (double)rows[i].total_ns * 1e-6);
    ht_trace_free(options.trace);
    ht_pipeline_release(p);
}

int main(int argc, char **argv)
{
    static void (*const steps[])(void) = {step_1, step_2, step_3, step_4, step_5, step_6, step_7, step_8, step_9};
    need(ht_registry_new(&registry, &err));
    need(ht_retrieval_register(registry, &err));
    need(ht_module_init(registry, &err));
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) { /* this process was a worker and is done */
        ht_registry_free(registry);
        return code;
    }
    const int step = argc > 1 ? atoi(argv[argc - 1]) : 0;
    if (argc == 4 && !strcmp(argv[1], "--data")) data_folder = argv[2];
    if (step < 1 || step > 9) return (void)fprintf(stderr, "usage: pipeline_steps [--data FOLDER] N\n"), 2;
    steps[step - 1]();
    ht_registry_free(registry);
    return 0;
}
