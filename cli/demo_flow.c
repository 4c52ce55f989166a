/*
 * demo_flow.c - the last part of `hound demo`: a class and a node written row by row, run four ways.
 *
 * The encoder is written for one text, and so is the node that calls it. Row by row is a loop over the class; by hand
 * is one batch call; the rest is the same pipeline on each engine, which batches by itself. All must give the same
 * bytes. Every way loads its own encoder first; the loading is not counted.
 */
#include "demo.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PASSAGES = 448, WAYS = 5 };

typedef struct way {
    const char *name;
    ht_engine engine;
    double seconds;
    ht_instance_stats stats;
    bool is_away, is_same;
} way;

typedef struct flow_demo {
    ht_registry *registry;
    const char *model;
    ht_value passages; /* list */
    ht_value first;    /* embeddings of the first way, as a list */
} flow_demo;

/* ---- pieces ---- */

static ht_status make_struct(const char *name, ht_value value, ht_value *out, ht_error *err)
{
    return ht_value_struct(&name, &value, 1, out, err);
}

static ht_status make_encoder(const flow_demo *demo, ht_instance **out, ht_error *err)
{
    ht_value args, name;
    TRY(ht_value_string((ht_text){demo->model, strlen(demo->model)}, &name, err));
    ht_status status = make_struct("model", name, &args, err);
    ht_value_release(name);
    if (status != HT_OK) return status;
    status = ht_instance_new(ht_registry_class(demo->registry, "Encoder"), args, out, err);
    ht_value_release(args);
    if (status != HT_OK) return status;
    ht_value text = ht_value_null(), warm; /* loads it */
    status = ht_value_string((ht_text){"warm", 4}, &text, err);
    const ht_value call[] = {text, ht_value_bool(false)};
    if (status == HT_OK) status = ht_instance_call(*out, "encode", call, 2, &warm, err);
    if (status == HT_OK) ht_value_release(warm);
    ht_value_release(text);
    if (status != HT_OK) ht_instance_release(*out);
    return status;
}

/* Passages of a corpus, by the node that loads them; the first MOST_PASSAGES. */
static ht_status load(flow_demo *demo, const char *corpus, ht_error *err)
{
    ht_pipeline *pipeline;
    ht_value path, inputs, out = ht_value_null(), all = ht_value_null();
    size_t n;
    TRY(ht_value_string((ht_text){corpus, strlen(corpus)}, &path, err));
    ht_status status = make_struct("corpus_path", path, &inputs, err);
    ht_value_release(path);
    if (status != HT_OK) return status;
    status = ht_pipeline_new("load", &pipeline, err);
    if (status == HT_OK) {
        status = ht_pipeline_add_node(pipeline, ht_registry_node(demo->registry, "load_passages"), err);
        if (status == HT_OK) status = ht_pipeline_run(pipeline, inputs, NULL, &out, err);
        ht_pipeline_release(pipeline);
    }
    ht_value_release(inputs);
    if (status == HT_OK) {
        (void)ht_value_field(out, "passages", &all);
        const ht_value *items = ht_value_items(all, &n);
        status = ht_value_list(items, n < MOST_PASSAGES ? n : MOST_PASSAGES, &demo->passages, err);
    }
    ht_value_release(out);
    return status;
}

/* ---- the ways ---- */

static ht_status by_rows(const flow_demo *demo, ht_instance *encoder, ht_value *out, size_t n, ht_error *err)
{
    size_t n_items;
    const ht_value *items = ht_value_items(demo->passages, &n_items);
    for (size_t i = 0; i < n; i++) {
        const ht_value args[] = {items[i], ht_value_bool(false)};
        TRY(ht_instance_call(encoder, "encode", args, 2, &out[i], err));
    }
    return HT_OK;
}

static ht_status by_hand(const flow_demo *demo, ht_instance *encoder, ht_value *out, size_t n, ht_error *err)
{
    size_t n_items;
    const ht_value no = ht_value_bool(false);
    const ht_column columns[] = {{ht_value_items(demo->passages, &n_items), false}, {&no, true}};
    return ht_instance_call_batch(encoder, "encode", n, columns, 2, out, err);
}

static ht_status run_map(const flow_demo *demo, const ht_pipeline *pipeline, ht_instance *encoder, ht_engine engine,
                         ht_value *out, ht_error *err)
{
    static const char *const names[] = {"passage", "encoder"};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine,  .registry = demo->registry,
                                    .n_workers = 2,          .map_over = names, .n_map_over = 1};
    ht_value values[] = {demo->passages, ht_value_null()}, inputs;
    TRY(ht_instance_value(encoder, &values[1], err));
    ht_status status = ht_value_struct(names, values, 2, &inputs, err);
    ht_value_release(values[1]);
    if (status != HT_OK) return status;
    status = ht_pipeline_map(pipeline, inputs, &options, out, err);
    ht_value_release(inputs);
    return status;
}

/* The node encode_passage, written for one passage, mapped; the embeddings of its results. */
static ht_status by_map(const flow_demo *demo, ht_instance *encoder, ht_engine engine, ht_value *out, size_t n,
                        ht_error *err)
{
    ht_pipeline *pipeline;
    ht_value results = ht_value_null(), encoded;
    size_t n_results;
    TRY(ht_pipeline_new("encode", &pipeline, err));
    ht_status status = ht_pipeline_add_node(pipeline, ht_registry_node(demo->registry, "encode_passage"), err);
    if (status == HT_OK) status = run_map(demo, pipeline, encoder, engine, &results, err);
    const ht_value *items = ht_value_items(results, &n_results);
    for (size_t i = 0; status == HT_OK && i < n && i < n_results; i++) {
        (void)ht_value_field(items[i], "encoded_passage", &encoded);
        (void)ht_value_field(encoded, "embedding", &out[i]);
        (void)ht_value_retain(out[i]);
    }
    ht_value_release(results);
    ht_pipeline_release(pipeline);
    return status;
}

static ht_status run_way(flow_demo *demo, size_t which, way *w, ht_value *out, size_t n, ht_error *err)
{
    ht_instance *encoder;
    TRY(make_encoder(demo, &encoder, err));
    const ht_instance_stats before = ht_instance_get_stats(encoder);
    ht_status status = HT_OK;
    if (w->is_away) { /* workers load their own */
        status = by_map(demo, encoder, w->engine, out, n, err);
        for (size_t i = 0; i < n; i++) {
            ht_value_release(out[i]);
            out[i] = ht_value_null();
        }
    }
    const uint64_t start = now_ns();
    if (status == HT_OK)
        status = which == 0          ? by_rows(demo, encoder, out, n, err)
                 : which == WAYS - 1 ? by_hand(demo, encoder, out, n, err)
                                     : by_map(demo, encoder, w->engine, out, n, err);
    w->seconds = (double)(now_ns() - start) / 1e9;
    w->stats = ht_instance_get_stats(encoder);
    w->stats.rows_alone -= before.rows_alone;
    ht_instance_release(encoder);
    return status;
}

/* Runs it and compares with the first way's results. */
static ht_status try_way(flow_demo *demo, size_t which, way *w, size_t n, ht_error *err)
{
    ht_value list, *out = calloc(n + 1, sizeof *out);
    if (!out) return HT_NO_MEMORY;
    ht_status status = run_way(demo, which, w, out, n, err);
    if (status == HT_OK) status = ht_value_list(out, n, &list, err);
    for (size_t i = 0; i < n; i++) ht_value_release(out[i]);
    free(out);
    if (status != HT_OK) return status;
    w->is_same = which == 0 || ht_value_equal(list, demo->first);
    if (which == 0)
        demo->first = list;
    else
        ht_value_release(list);
    return HT_OK;
}

static void print_ways(const way *ways, size_t n)
{
    printf("\nA class and a node written for one passage, run over %zu (encoder loaded before):\n", n);
    printf("  %-34s %9s %9s %11s %9s %8s %s\n", "", "instances", "row calls", "batch calls", "seconds", "by hand",
           "same result");
    for (size_t i = 0; i < WAYS; i++) {
        const way *w = &ways[i];
        char objects[24] = "workers'", rows[24] = "-", batches[24] = "-";
        if (!w->is_away) {
            (void)snprintf(objects, sizeof objects, "%llu", (unsigned long long)w->stats.objects);
            (void)snprintf(rows, sizeof rows, "%llu", (unsigned long long)w->stats.rows_alone);
            (void)snprintf(batches, sizeof batches, "%llu", (unsigned long long)w->stats.batches);
        }
        printf("  %-34s %9s %9s %11s %9.2f %7.2fx %s\n", w->name, objects, rows, batches, w->seconds,
               w->seconds / ways[WAYS - 1].seconds, w->is_same ? "yes" : "NO");
    }
}

ht_status demo_flow(const char *corpus, const char *model, ht_error *err)
{
    flow_demo demo = {.model = model ? model : "default"};
    way ways[WAYS] = {{.name = "row by row, a loop"},
                      {.name = "pipeline, sequential", .engine = HT_ENGINE_SEQUENTIAL},
                      {.name = "pipeline, threads", .engine = HT_ENGINE_THREADS},
                      {.name = "pipeline, two processes", .engine = HT_ENGINE_PROCESSES, .is_away = true},
                      {.name = "one batch call, by hand"}};
    size_t n = 0;
    TRY(hound_registry(&demo.registry, err));
    ht_status status = load(&demo, corpus, err);
    (void)ht_value_items(demo.passages, &n);
    for (size_t i = 0; status == HT_OK && i < WAYS; i++) status = try_way(&demo, i, &ways[i], n, err);
    if (status == HT_OK) print_ways(ways, n);
    ht_value_release(demo.first);
    ht_value_release(demo.passages);
    ht_registry_free(demo.registry);
    for (size_t i = 0; status == HT_OK && i < WAYS; i++)
        if (!ways[i].is_same) status = fail(err, HT_INTERNAL, "%s gives other vectors than row by row", ways[i].name);
    return status;
}
