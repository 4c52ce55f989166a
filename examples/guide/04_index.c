/*
 * 04_index.c - an index as a class: search and search_batch, and what override does to one that is there already.
 *
 *     04_index [--json] [ROWS]
 *
 * build_vector_index writes the index of its passages into a folder and gives a TokenIndex that knows no more than the
 * path: it opens the files at its first search, once for each worker. The vectors are made up, so no model is needed.
 */
#include "guide.h"

#include <math.h>

enum { DIM = 64, TOKENS = 24, QUERY_TOKENS = 8, PASSAGES = 2000, TOP_K = 10 };

/* {vectors: [n, DIM], pooled: [DIM]} of unit length, the same for the same seed. */
static ht_value embedding_of(uint64_t seed, int64_t n, ht_error *err)
{
    static const char *const names[] = {"vectors", "pooled"};
    float data[TOKENS * DIM];
    ht_value parts[2], out;
    uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        for (int d = 0; d < DIM; d++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            data[t * DIM + d] = (float)((double)(state >> 33) / (double)(1u << 30) - 1);
            sum += (double)data[t * DIM + d] * data[t * DIM + d];
        }
        for (int d = 0; d < DIM; d++) data[t * DIM + d] /= (float)sqrt(sum);
    }
    const int64_t shape[] = {n, DIM};
    or_die(ht_value_tensor(HT_F32, 2, shape, data, &parts[0], err), err);
    or_die(ht_value_tensor(HT_F32, 1, &shape[1], data, &parts[1], err), err);
    or_die(ht_value_struct(names, parts, 2, &out, err), err);
    ht_value_release(parts[0]);
    ht_value_release(parts[1]);
    return out;
}

static ht_value passages_of(size_t n, uint64_t seed, ht_error *err)
{
    static const char *const names[] = {"uuid", "embedding"};
    ht_value *items = malloc((n + 1) * sizeof *items), list;
    if (!items) exit(1);
    for (size_t i = 0; i < n; i++) {
        char uuid[30];
        ht_value fields[2];
        (void)snprintf(uuid, sizeof uuid, "p%zu", i);
        or_die(ht_value_string(text_of(uuid), &fields[0], err), err);
        fields[1] = embedding_of(seed + i, TOKENS, err);
        or_die(ht_value_struct(names, fields, 2, &items[i], err), err);
        ht_value_release(fields[0]);
        ht_value_release(fields[1]);
    }
    or_die(ht_value_list_take(items, n, &list, err), err);
    free(items);
    return list;
}

/* PLAIDIndex(passages, folder, "made_up", override) */
static ht_status build(ht_registry *registry, ht_value passages, const char *folder, bool override, ht_value *index,
                       ht_error *err)
{
    static const char *const names[] = {"encoded_passages", "index_folder", "index_name", "override"};
    ht_value values[] = {passages, ht_value_null(), ht_value_null(), ht_value_bool(override)}, inputs, out, made;
    ht_pipeline *pipeline;
    or_die(ht_value_string(text_of(folder), &values[1], err), err);
    or_die(ht_value_string(text_of("made_up"), &values[2], err), err);
    or_die(ht_value_struct(names, values, 4, &inputs, err), err);
    or_die(ht_pipeline_new("index", &pipeline, err), err);
    or_die(ht_pipeline_add_node(pipeline, ht_registry_node(registry, "build_vector_index"), err), err);
    const ht_status status = ht_pipeline_run(pipeline, inputs, NULL, &out, err);
    if (status == HT_OK) {
        (void)ht_value_field(out, "vector_index", &made);
        *index = ht_value_retain(made);
        ht_value_release(out);
    }
    ht_pipeline_release(pipeline);
    ht_value_release(inputs);
    ht_value_release(values[1]);
    ht_value_release(values[2]);
    return status;
}

/* [index.search(q, k=10) for q in queries] */
static ht_value by_rows(ht_instance *index, ht_value queries, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(queries, &n);
    ht_value *made = malloc((n + 1) * sizeof *made), list;
    if (!made) exit(1);
    for (size_t i = 0; i < n; i++) {
        const ht_value args[] = {items[i], ht_value_int(TOP_K)};
        or_die(ht_instance_call(index, "search", args, 2, &made[i], err), err);
    }
    or_die(ht_value_list_take(made, n, &list, err), err);
    free(made);
    return list;
}

/* Pipeline(nodes=[index.search]).map(queries) */
static ht_value by_pipeline(ht_instance *index, ht_value queries, ht_engine engine, ht_registry *registry,
                            ht_error *err)
{
    static const char *const names[] = {"query", "k"};
    const ht_value k = ht_value_int(TOP_K), values[] = {queries, k};
    const ht_input inputs_of[] = {{"query", NULL}, {"k", NULL}};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine,  .n_workers = 2,
                                    .registry = registry,    .map_over = names, .n_map_over = 1};
    ht_pipeline *pipeline;
    ht_value inputs, out, list;
    size_t n;
    or_die(ht_value_struct(names, values, 2, &inputs, err), err);
    or_die(ht_pipeline_new("search", &pipeline, err), err);
    or_die(ht_pipeline_add_method(pipeline, "search", index, "search", inputs_of, "hits", err), err);
    or_die(ht_pipeline_map(pipeline, inputs, &options, &out, err), err);
    const ht_value *items = ht_value_items(out, &n);
    ht_value *made = malloc((n + 1) * sizeof *made);
    if (!made) exit(1);
    for (size_t i = 0; i < n; i++) (void)ht_value_field(items[i], "hits", &made[i]);
    or_die(ht_value_list(made, n, &list, err), err);
    free(made);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_pipeline_release(pipeline);
    return list;
}

/* index.search_batch(queries, k=10) */
static ht_value by_hand(ht_instance *index, ht_value queries, ht_error *err)
{
    const ht_value args[] = {queries, ht_value_int(TOP_K)};
    ht_value out;
    or_die(ht_instance_call(index, "search_batch", args, 2, &out, err), err);
    return out;
}

/* Ids and scores of all hits. */
static guide_digest digest_hits(ht_value lists)
{
    guide_digest digest = {0};
    size_t n, n_hits;
    const ht_value *items = ht_value_items(lists, &n);
    for (size_t i = 0; i < n; i++) {
        const ht_value *hits = ht_value_items(items[i], &n_hits);
        for (size_t k = 0; k < n_hits; k++) {
            ht_value id = ht_value_null(), score = ht_value_null();
            (void)ht_value_field(hits[k], "id", &id);
            (void)ht_value_field(hits[k], "score", &score);
            digest_text(&digest, ht_value_text(id));
            digest_number(&digest, score.as.number);
        }
    }
    return digest;
}

/* Another index under the same name is refused, unless it may be replaced. */
static bool check_override(ht_registry *registry, const char *folder, ht_value same, bool quiet, ht_error *err)
{
    const ht_value others = passages_of(3, 777, err);
    ht_value index = ht_value_null();
    ht_error why = {0};
    const ht_status again = build(registry, same, folder, false, &index, err); /* equal passages: opened, not built */
    ht_value_release(index);
    index = ht_value_null();
    const ht_status refused = build(registry, others, folder, false, &index, &why);
    if (!quiet) printf("override=false over other passages: %s\n", why.message);
    const ht_status replaced = build(registry, others, folder, true, &index, err);
    ht_value_release(index);
    ht_value_release(others);
    return again == HT_OK && refused == HT_INVALID && replaced == HT_OK;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    ht_registry *registry;
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    ht_value made[5], index = ht_value_null();
    char folder[] = "/tmp/guide-index-XXXXXX", command[80];
    or_die(ht_registry_new(&registry, &err), &err);
    or_die(ht_retrieval_register(registry, &err), &err);
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    const guide_options options = guide_parse(argc, argv, 200);
    if (!mkdtemp(folder)) return 1;
    const ht_value passages = passages_of(PASSAGES, 1, &err);
    ht_value *items = malloc((options.n + 1) * sizeof *items), queries;
    if (!items) return 1;
    for (size_t i = 0; i < options.n; i++) items[i] = embedding_of(1000000 + i, QUERY_TOKENS, &err);
    or_die(ht_value_list_take(items, options.n, &queries, &err), &err);
    free(items);
    or_die(build(registry, passages, folder, true, &index, &err), &err);
    for (int i = 0; i < 3; i++) {
        ht_instance *fresh;
        ht_value path, args, warm;
        char base[80];
        static const char *const name = "path";
        (void)snprintf(base, sizeof base, "%s/made_up", folder);
        or_die(ht_value_string(text_of(base), &path, &err), &err);
        or_die(ht_value_struct(&name, &path, 1, &args, &err), &err);
        or_die(ht_instance_new(ht_registry_class(registry, "TokenIndex"), args, &fresh, &err), &err);
        const ht_value *first = ht_value_items(queries, &(size_t){0});
        const ht_value one[] = {first[0], ht_value_int(1)};
        or_die(ht_instance_call(fresh, "search", one, 2, &warm, &err), &err); /* opens it: not what is measured */
        ht_value_release(warm);
        const ht_instance_stats before = ht_instance_get_stats(fresh);
        const double start = seconds_now();
        made[i] = i == 0   ? by_rows(fresh, queries, &err)
                  : i == 1 ? by_pipeline(fresh, queries, HT_ENGINE_SEQUENTIAL, registry, &err)
                           : by_hand(fresh, queries, &err);
        ways[i].seconds = seconds_now() - start;
        ways[i].stats = ht_instance_get_stats(fresh);
        ways[i].stats.rows_alone -= before.rows_alone;
        ways[i].stats.batches -= before.batches;
        ht_value_release(path);
        ht_value_release(args);
        ht_instance_release(fresh);
    }
    made[3] = by_pipeline(ht_value_instance(index), queries, HT_ENGINE_THREADS, registry, &err);
    made[4] = by_pipeline(ht_value_instance(index), queries, HT_ENGINE_PROCESSES, registry, &err);
    bool same = true;
    for (int i = 1; i < 5; i++) same = same && ht_value_equal(made[0], made[i]);
    if (!options.json) printf("threads and two processes find %s\n", same ? "the same" : "OTHERS");
    same = check_override(registry, folder, passages, options.json, &err) && same;
    const guide_digest digest = digest_hits(made[1]);
    for (int i = 0; i < 5; i++) ht_value_release(made[i]);
    ht_value_release(index);
    ht_value_release(queries);
    ht_value_release(passages);
    ht_registry_free(registry);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) return 1;
    return guide_report("04_index", options, ways, same, digest);
}
