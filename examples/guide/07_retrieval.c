/*
 * 07_retrieval.c - the whole retrieval graph built in C out of the library's components: thirteen nodes, an inner
 * pipeline of six, on a real collection; the same figures on every engine.
 *
 *     07_retrieval [--json] [--model FOLDER] [--data FOLDER]
 *
 * "By hand" encodes all passages and queries in one call each and runs the rest of the graph.
 */
#include "guide.h"

#include <unistd.h>

enum { N_INPUTS = 10 };
static const char *const input_names[N_INPUTS] = {"corpus_path", "queries_path", "qrels_path", "index_folder",
                                                  "index_name",  "override",     "top_k",      "rerank_k",
                                                  "ndcg_k",      "recall_k_list"};

static void add(ht_pipeline *pipeline, ht_registry *registry, const char *node, ht_error *err)
{
    or_die(ht_pipeline_add_node(pipeline, ht_registry_node(registry, node), err), err);
}

/* A pipeline of these nodes as one node, mapped over `over`, which is `inner` inside; one output under another name. */
static void add_mapped(ht_pipeline *outer, ht_registry *registry, const char *name, const char *const *nodes,
                       const char *over, const char *inner, const char *output, const char *as, ht_error *err)
{
    const ht_rename in = {over, inner}, out = {output, as};
    const ht_as_node how = {HT_DESC(ht_as_node), .name = name,   .inputs = &in,     .n_inputs = 1,
                            .outputs = &out,     .n_outputs = 1, .map_over = &over, .n_map_over = 1};
    ht_pipeline *nested;
    or_die(ht_pipeline_new(name, &nested, err), err);
    for (; *nodes; nodes++) add(nested, registry, *nodes, err);
    or_die(ht_pipeline_add_pipeline(outer, nested, &how, err), err);
    ht_pipeline_release(nested);
}

static ht_pipeline *graph_of(ht_registry *registry, bool encodes, ht_error *err)
{
    static const char *const
        passage[] = {"encode_passage", NULL},
        *const query[] = {"encode_query", NULL}, *const retrieve[] = {"extract_query",
                                                                      "retrieve_colbert",
                                                                      "retrieve_bm25",
                                                                      "fuse_results",
                                                                      "rerank_results",
                                                                      "hits_to_predictions",
                                                                      NULL},
        *const before[] = {"load_passages", "load_queries", "load_ground_truths", NULL},
        *const after[] = {"build_vector_index", "build_bm25_index", "build_passage_lookup",       "flatten_predictions",
                          "compute_ndcg",       "compute_recall",   "combine_evaluation_results", NULL};
    ht_pipeline *p;
    or_die(ht_pipeline_new("retrieval", &p, err), err);
    for (size_t i = 0; before[i]; i++) add(p, registry, before[i], err);
    if (encodes) {
        add_mapped(p, registry, "encode_passages", passage, "passages", "passage", "encoded_passage",
                   "encoded_passages", err);
        add_mapped(p, registry, "encode_queries", query, "queries", "query", "encoded_query", "encoded_queries", err);
    }
    add_mapped(p, registry, "retrieve_queries", retrieve, "encoded_queries", "encoded_query", "predictions",
               "all_query_predictions", err);
    for (size_t i = 0; after[i]; i++) add(p, registry, after[i], err);
    return p;
}

static ht_value text_value(const char *text, ht_error *err)
{
    ht_value value;
    or_die(ht_value_string(text_of(text), &value, err), err);
    return value;
}

static ht_value path_value(const char *folder, const char *name, ht_error *err)
{
    char path[2000];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return text_value(path, err);
}

static ht_instance *instance_of(ht_registry *registry, const char *cls, const char *name, ht_value value, ht_error *err)
{
    ht_instance *instance;
    ht_value args;
    or_die(ht_value_struct(&name, &value, 1, &args, err), err);
    or_die(ht_registry_instance(registry, cls, args, &instance, err), err);
    ht_value_release(args);
    ht_value_release(value);
    return instance;
}

static void bind_inputs(ht_pipeline *p, const char *data, const char *folder, ht_instance *encoder, ht_instance *rrf,
                        ht_error *err)
{
    const ht_value ks[] = {ht_value_int(20), ht_value_int(50), ht_value_int(100)};
    ht_value list, objects[2];
    or_die(ht_value_list(ks, 3, &list, err), err);
    const ht_value values[N_INPUTS] = {path_value(data, "corpus.jsonl", err),
                                       path_value(data, "queries.jsonl", err),
                                       path_value(data, "qrels/test.tsv", err),
                                       text_value(folder, err),
                                       text_value("cranfield", err),
                                       ht_value_bool(true),
                                       ht_value_int(100),
                                       ht_value_int(100),
                                       ht_value_int(10),
                                       list};
    for (size_t i = 0; i < N_INPUTS; i++) {
        or_die(ht_pipeline_bind(p, input_names[i], values[i], err), err);
        ht_value_release(values[i]);
    }
    or_die(ht_instance_value(encoder, &objects[0], err), err);
    or_die(ht_instance_value(rrf, &objects[1], err), err);
    or_die(ht_pipeline_bind(p, "encoder", objects[0], err), err);
    or_die(ht_pipeline_bind(p, "rrf", objects[1], err), err);
    ht_value_release(objects[0]);
    ht_value_release(objects[1]);
}

static ht_value run(ht_pipeline *p, ht_registry *registry, ht_engine engine, size_t batch_max, ht_error *err)
{
    static const char *const wanted = "evaluation_results";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &wanted, .n_outputs = 1,
                                    .engine = engine,        .n_workers = 2,     .registry = registry,
                                    .batch_max = batch_max};
    ht_value out;
    or_die(ht_pipeline_run(p, ht_value_null(), &options, &out, err), err);
    return out;
}

/* rows with their embeddings: [{uuid, text, embedding}, ...] by one call of encode_batch. */
static ht_value encode_all(ht_registry *registry, ht_instance *encoder, const char *loader, const char *input,
                           ht_value path, const char *output, bool is_query, ht_error *err)
{
    static const char *const names[] = {"uuid", "text", "embedding"};
    ht_pipeline *p;
    ht_value inputs, loaded, rows, encoded, list;
    size_t n;
    or_die(ht_value_struct(&input, &path, 1, &inputs, err), err);
    or_die(ht_pipeline_new("load", &p, err), err);
    add(p, registry, loader, err);
    or_die(ht_pipeline_run(p, inputs, NULL, &loaded, err), err);
    (void)ht_value_field(loaded, output, &rows);
    const ht_value *items = ht_value_items(rows, &n);
    const ht_value args[] = {rows, ht_value_bool(is_query)};
    or_die(ht_instance_call(encoder, "encode_batch", args, 2, &encoded, err), err);
    const ht_value *embeddings = ht_value_items(encoded, &n);
    ht_value *made = malloc((n + 1) * sizeof *made);
    if (!made) exit(1);
    for (size_t i = 0; i < n; i++) {
        ht_value parts[3];
        (void)ht_value_field(items[i], "uuid", &parts[0]);
        (void)ht_value_field(items[i], "text", &parts[1]);
        parts[2] = embeddings[i];
        or_die(ht_value_struct(names, parts, 3, &made[i], err), err);
    }
    or_die(ht_value_list_take(made, n, &list, err), err);
    free(made);
    ht_value_release(encoded);
    ht_value_release(loaded);
    ht_value_release(inputs);
    ht_value_release(path);
    ht_pipeline_release(p);
    return list;
}

static ht_value by_hand(ht_registry *registry, const char *data, const char *folder, ht_instance *encoder,
                        ht_instance *rrf, ht_error *err)
{
    ht_pipeline *p = graph_of(registry, false, err);
    const ht_value passages = encode_all(registry, encoder, "load_passages", "corpus_path",
                                         path_value(data, "corpus.jsonl", err), "passages", false, err);
    const ht_value queries = encode_all(registry, encoder, "load_queries", "queries_path",
                                        path_value(data, "queries.jsonl", err), "queries", true, err);
    bind_inputs(p, data, folder, encoder, rrf, err);
    or_die(ht_pipeline_bind(p, "encoded_passages", passages, err), err);
    or_die(ht_pipeline_bind(p, "encoded_queries", queries, err), err);
    const ht_value out = run(p, registry, HT_ENGINE_SEQUENTIAL, 0, err);
    ht_value_release(passages);
    ht_value_release(queries);
    ht_pipeline_release(p);
    return out;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    ht_registry *registry;
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    guide_options options = {1, false, "default"};
    const char *data = "data/cranfield";
    char folder[] = "/tmp/guide-retrieval-XXXXXX", command[80], text[500];
    ht_value made[5];
    or_die(ht_registry_new(&registry, &err), &err);
    or_die(ht_retrieval_register(registry, &err), &err);
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            options.json = true;
        else if (!strcmp(argv[i], "--model") && i + 1 < argc)
            options.model = argv[++i];
        else if (!strcmp(argv[i], "--data") && i + 1 < argc)
            data = argv[++i];
        else
            return (void)fprintf(stderr, "usage: %s [--json] [--model FOLDER] [--data FOLDER]\n", argv[0]), 2;
    }
    if (!mkdtemp(folder)) return 1;
    ht_instance *rrf = instance_of(registry, "RRFFusion", "k", ht_value_int(60), &err);
    ht_instance *encoder = instance_of(registry, "Encoder", "model", text_value(options.model, &err), &err);
    ht_pipeline *p = graph_of(registry, true, &err);
    bind_inputs(p, data, folder, encoder, rrf, &err);
    for (int i = 0; i < 3; i++) {
        const ht_instance_stats before = ht_instance_get_stats(encoder);
        const double start = seconds_now();
        made[i] = i == 2 ? by_hand(registry, data, folder, encoder, rrf, &err)
                         : run(p, registry, HT_ENGINE_SEQUENTIAL, i == 0 ? 1 : 0, &err);
        ways[i].seconds = seconds_now() - start;
        ways[i].stats = ht_instance_get_stats(encoder);
        ways[i].stats.rows_alone -= before.rows_alone;
        ways[i].stats.batches -= before.batches;
    }
    made[3] = run(p, registry, HT_ENGINE_THREADS, 0, &err);
    made[4] = run(p, registry, HT_ENGINE_PROCESSES, 0, &err);
    bool same = true;
    for (int i = 1; i < 5; i++) same = same && ht_value_equal(made[0], made[i]);
    ht_value_describe(made[1], text, sizeof text);
    if (!options.json) printf("%s\nthreads and two processes: %s\n", text, same ? "the same figures" : "OTHERS");
    size_t n_figures;
    guide_digest digest = {0};
    ht_value results = ht_value_null();
    (void)ht_value_field(made[1], "evaluation_results", &results);
    const ht_value *figures = ht_value_items(results, &n_figures);
    for (size_t i = 0; i < n_figures; i++)
        if (figures[i].kind == HT_KIND_FLOAT) digest_number(&digest, figures[i].as.number);
    for (int i = 0; i < 5; i++) ht_value_release(made[i]);
    ht_pipeline_release(p);
    ht_instance_release(encoder);
    ht_instance_release(rrf);
    ht_registry_free(registry);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) return 1;
    return guide_report("07_retrieval", options, ways, same, digest);
}
