/*
 * 05_encode.c - encode_passage as a node, and the same encoder object on every engine.
 *
 * The node is written for one passage and asks the encoder for one embedding; mapped, the calls of all passages meet in
 * batches of the encoder's. Nothing in node or class changes for threads or processes: a worker receives the encoder's
 * name and arguments and loads its own.
 */
#include "guide.h"

static ht_value passages_of(size_t n, ht_error *err)
{
    static const char *const names[] = {"uuid", "text"};
    static const char *const about[] = {"the boundary layer of a wing", "heat transfer at high speed", "flutter",
                                        "a slender body in supersonic flow with shock waves"};
    ht_value *items = malloc((n + 1) * sizeof *items), list;
    if (!items) exit(1);
    for (size_t i = 0; i < n; i++) {
        char uuid[30], text[120];
        ht_value fields[2];
        (void)snprintf(uuid, sizeof uuid, "p%zu", i);
        (void)snprintf(text, sizeof text, "%s, report %zu", about[i % 4], i);
        or_die(ht_value_string(text_of(uuid), &fields[0], err), err);
        or_die(ht_value_string(text_of(text), &fields[1], err), err);
        or_die(ht_value_struct(names, fields, 2, &items[i], err), err);
        ht_value_release(fields[0]);
        ht_value_release(fields[1]);
    }
    or_die(ht_value_list_take(items, n, &list, err), err);
    free(items);
    return list;
}

static ht_instance *new_encoder(ht_registry *registry, const char *model, ht_error *err)
{
    static const char *const name = "model";
    ht_value text, args, out;
    ht_instance *encoder;
    or_die(ht_value_string(text_of(model), &text, err), err);
    or_die(ht_value_struct(&name, &text, 1, &args, err), err);
    or_die(ht_registry_instance(registry, "Encoder", args, &encoder, err), err);
    ht_value_release(args);
    const ht_value warm[] = {text, ht_value_bool(false)}; /* loads it: that is not what is measured here */
    or_die(ht_instance_call(encoder, "encode", warm, 2, &out, err), err);
    ht_value_release(out);
    ht_value_release(text);
    return encoder;
}

/* [encoder.encode(p, is_query=False) for p in passages] */
static ht_value by_rows(ht_instance *encoder, ht_value passages, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(passages, &n);
    ht_value *made = malloc((n + 1) * sizeof *made), list;
    if (!made) exit(1);
    for (size_t i = 0; i < n; i++) {
        const ht_value args[] = {items[i], ht_value_bool(false)};
        or_die(ht_instance_call(encoder, "encode", args, 2, &made[i], err), err);
    }
    or_die(ht_value_list_take(made, n, &list, err), err);
    free(made);
    return list;
}

static guide_digest digest_pooled(ht_value embeddings)
{
    guide_digest digest = {0};
    size_t n;
    const ht_value *items = ht_value_items(embeddings, &n);
    for (size_t i = 0; i < n; i++) {
        ht_value pooled = ht_value_null();
        (void)ht_value_field(items[i], "pooled", &pooled);
        digest_floats(&digest, pooled);
    }
    return digest;
}

/* Pipeline(nodes=[encode_passage]).map(passages) */
static ht_value by_pipeline(ht_registry *registry, ht_instance *encoder, ht_value passages, ht_engine engine,
                            ht_error *err)
{
    static const char *const names[] = {"passage", "encoder"};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine,  .n_workers = 2,
                                    .registry = registry,    .map_over = names, .n_map_over = 1};
    ht_pipeline *pipeline;
    ht_value values[] = {passages, ht_value_null()}, inputs, out, list;
    size_t n;
    or_die(ht_instance_value(encoder, &values[1], err), err);
    or_die(ht_value_struct(names, values, 2, &inputs, err), err);
    or_die(ht_pipeline_new("encode", &pipeline, err), err);
    or_die(ht_pipeline_add_node(pipeline, ht_registry_node(registry, "encode_passage"), err), err);
    or_die(ht_pipeline_map(pipeline, inputs, &options, &out, err), err);
    const ht_value *items = ht_value_items(out, &n);
    ht_value *made = malloc((n + 1) * sizeof *made);
    if (!made) exit(1);
    for (size_t i = 0; i < n; i++) {
        ht_value encoded;
        (void)ht_value_field(items[i], "encoded_passage", &encoded);
        (void)ht_value_field(encoded, "embedding", &made[i]);
    }
    or_die(ht_value_list(made, n, &list, err), err);
    free(made);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_value_release(values[1]);
    ht_pipeline_release(pipeline);
    return list;
}

/* encoder.encode_batch(passages, is_query=False) */
static ht_value by_hand(ht_instance *encoder, ht_value passages, ht_error *err)
{
    const ht_value args[] = {passages, ht_value_bool(false)};
    ht_value out;
    or_die(ht_instance_call(encoder, "encode_batch", args, 2, &out, err), err);
    return out;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    ht_registry *registry;
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    ht_value made[5];
    or_die(ht_registry_new(&registry, &err), &err);
    or_die(ht_retrieval_register(registry, &err), &err);
    const int code = ht_worker_main(argc, argv, registry); /* a worker of this very program serves until its end */
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    const guide_options options = guide_parse(argc, argv, 256);
    const ht_value passages = passages_of(options.n, &err);
    for (int i = 0; i < 3; i++) {
        ht_instance *encoder = new_encoder(registry, options.model, &err);
        const ht_instance_stats before = ht_instance_get_stats(encoder);
        const double start = seconds_now();
        made[i] = i == 0   ? by_rows(encoder, passages, &err)
                  : i == 1 ? by_pipeline(registry, encoder, passages, HT_ENGINE_SEQUENTIAL, &err)
                           : by_hand(encoder, passages, &err);
        ways[i].seconds = seconds_now() - start;
        ways[i].stats = ht_instance_get_stats(encoder);
        ways[i].stats.rows_alone -= before.rows_alone;
        ways[i].stats.batches -= before.batches;
        ht_instance_release(encoder);
    }
    ht_instance *encoder = new_encoder(registry, options.model, &err);
    made[3] = by_pipeline(registry, encoder, passages, HT_ENGINE_THREADS, &err);
    made[4] = by_pipeline(registry, encoder, passages, HT_ENGINE_PROCESSES, &err);
    ht_instance_release(encoder);
    bool same = true;
    for (int i = 1; i < 5; i++) same = same && ht_value_equal(made[0], made[i]);
    if (!options.json) printf("threads and two processes give %s vectors\n", same ? "the same" : "OTHER");
    const guide_digest digest = digest_pooled(made[1]);
    for (int i = 0; i < 5; i++) ht_value_release(made[i]);
    ht_value_release(passages);
    ht_registry_free(registry);
    return guide_report("05_encode", options, ways, same, digest);
}
