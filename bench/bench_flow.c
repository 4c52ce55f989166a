/*
 * bench_flow.c - what the pipeline runtime costs: JSON lines on stdout, each at a size and at ten times the size.
 *
 * usage: bench_flow
 * Each measure is the best of some passes, beside a bar that it is to stay under; growth_10x is its cost a unit at ten
 * times the size over that at the size, so 1 is linear. Chains and maps are told beside the same calls in a plain loop,
 * the awaited rows beside one batch made by hand. One thread, but for the child of the round trip.
 */
#include "os/os.h"

#include <houndstooth/cache.h>
#include <houndstooth/registry.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 15 };

static ht_error err;

static void need(ht_status status)
{
    if (status == HT_OK) return;
    fprintf(stderr, "bench_flow: %s\n", err.message);
    exit(ht_status_exit_code(status));
}

/* ---- a chain of trivial nodes ---- */

static ht_status add_one(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    out[0] = ht_value_int(in[0].as.integer + 1);
    return HT_OK;
}

static ht_pipeline *chain(size_t n)
{
    ht_pipeline *p;
    need(ht_pipeline_new("chain", &p, &err));
    for (size_t i = 0; i < n; i++) {
        char name[32], from[32], to[32];
        snprintf(name, sizeof name, "n%zu", i);
        snprintf(from, sizeof from, "v%zu", i);
        snprintf(to, sizeof to, "v%zu", i + 1);
        const ht_input input = {from, NULL};
        const char *output = to;
        const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = name,   .inputs = &input,         .n_inputs = 1,
                                   .outputs = &output,    .n_outputs = 1, .forms = {.row = add_one}};
        need(ht_pipeline_add_node(p, &desc, &err));
    }
    return p;
}

static ht_value inputs_of(const char *name, ht_value value)
{
    ht_value inputs;
    need(ht_value_struct(&name, &value, 1, &inputs, &err));
    ht_value_release(value);
    return inputs;
}

static uint64_t loop_by_hand(ht_row_fn volatile fn, size_t n, int64_t *sum)
{
    const uint64_t start = hti_clock_ns();
    ht_value value = ht_value_int(0), next;
    for (size_t i = 0; i < n; i++) {
        need(fn(NULL, &value, &next, &err));
        value = next;
    }
    *sum += value.as.integer;
    return hti_clock_ns() - start;
}

/* Microseconds a node more than by hand, the planning of the run included. */
static double chain_node(size_t n)
{
    uint64_t best = UINT64_MAX, by_hand = UINT64_MAX;
    int64_t sum = 0;
    char last[32];
    snprintf(last, sizeof last, "v%zu", n);
    const char *output = last;
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &output, .n_outputs = 1};
    const ht_value inputs = inputs_of("v0", ht_value_int(0));
    ht_pipeline *p = chain(n);
    for (int pass = 0; pass < PASSES; pass++) {
        ht_value out;
        const uint64_t start = hti_clock_ns();
        need(ht_pipeline_run(p, inputs, &options, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_value_release(out);
        const uint64_t now = loop_by_hand(add_one, n, &sum);
        by_hand = HTI_MIN(by_hand, now);
    }
    ht_pipeline_release(p);
    ht_value_release(inputs);
    return ((double)best - (double)by_hand) / (double)n * 1e-3;
}

/* Milliseconds. */
static double chain_built(size_t n)
{
    uint64_t best = UINT64_MAX;
    for (int pass = 0; pass < PASSES; pass++) {
        const uint64_t start = hti_clock_ns();
        ht_pipeline *p = chain(n);
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_pipeline_release(p);
    }
    return (double)best * 1e-6;
}

/* ---- a map of a chain: per node execution, planning spread over the items ---- */

static double map_node(size_t n_items, size_t n_nodes)
{
    uint64_t best = UINT64_MAX, by_hand = UINT64_MAX;
    int64_t sum = 0;
    char last[32];
    snprintf(last, sizeof last, "v%zu", n_nodes);
    const char *output = last, *over = "v0";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &output, .n_outputs = 1, .map_over = &over,
                                    .n_map_over = 1};
    ht_value list, *items = malloc(n_items * sizeof *items);
    for (size_t i = 0; i < n_items; i++) items[i] = ht_value_int((int64_t)i);
    need(ht_value_list_take(items, n_items, &list, &err));
    free(items);
    const ht_value inputs = inputs_of("v0", list);
    ht_pipeline *p = chain(n_nodes);
    for (int pass = 0; pass < PASSES; pass++) {
        ht_value out;
        const uint64_t start = hti_clock_ns();
        need(ht_pipeline_map(p, inputs, &options, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_value_release(out);
        uint64_t spent = 0;
        for (size_t i = 0; i < n_items; i++) spent += loop_by_hand(add_one, n_nodes, &sum);
        by_hand = HTI_MIN(by_hand, spent);
    }
    ht_pipeline_release(p);
    ht_value_release(inputs);
    return ((double)best - (double)by_hand) / (double)(n_items * n_nodes) * 1e-3;
}

static double map_item(size_t n) { return map_node(n, 1); }
static double map_chain_item(size_t n) { return map_node(n, 10); }

/* ---- a class that is worth batching ---- */

static void burn(uint64_t ns)
{
    for (const uint64_t end = hti_clock_ns() + ns; hti_clock_ns() < end;) continue;
}

static ht_status make_slow(void **self, ht_value args, ht_error *e)
{
    (void)args;
    (void)e;
    *self = NULL;
    return HT_OK;
}

static ht_status slow_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    burn(1010000);
    return add_one(self, in, out, e);
}

static ht_status slow_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    burn(1000000 + 10000 * (uint64_t)n);
    for (size_t k = 0; k < n; k++) need(add_one(self, &in[0].rows[k], &out[0][k], e));
    return HT_OK;
}

static const ht_method slow_methods[] = {{"encode", 1, {.row = slow_row, .batch = slow_batch}}};
static const ht_class slow_class = {HT_DESC(ht_class), .name = "bench.Slow", .init = make_slow, .methods = slow_methods,
                                    .n_methods = 1};

/* Written row by row: the item's own body calls the instance. */
static ht_status encode_item(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    HT_TRY(ht_await(body, in[1], "encode", &in[0], 1, &out[0], e));
    return HT_OK;
}

/* Milliseconds; the other way is one batch made by hand. */
static double rows_awaited(size_t n, double *other)
{
    static const ht_input node_inputs[] = {{"x", NULL}, {"encoder", NULL}};
    static const char *const names[] = {"x", "encoder"}, *const output = "y", *const over = "x";
    const ht_node_desc desc = {
        HT_DESC(ht_node_desc), .name = "encode_item", .inputs = node_inputs,         .n_inputs = 2,
        .outputs = &output,    .n_outputs = 1,        .forms = {.body = encode_item}};
    const ht_run_options options = {HT_DESC(ht_run_options), .map_over = &over, .n_map_over = 1, .window = n};
    ht_instance *instance;
    ht_pipeline *p;
    ht_value values[2], inputs, out, *items = malloc(n * sizeof *items), *results = malloc(n * sizeof *results);
    uint64_t best = UINT64_MAX, by_hand = UINT64_MAX;
    for (size_t i = 0; i < n; i++) items[i] = ht_value_int((int64_t)i);
    need(ht_instance_new(&slow_class, ht_value_null(), &instance, &err));
    need(ht_instance_value(instance, &values[1], &err));
    need(ht_value_list(items, n, &values[0], &err));
    need(ht_value_struct(names, values, 2, &inputs, &err));
    need(ht_pipeline_new("rows", &p, &err));
    need(ht_pipeline_add_node(p, &desc, &err));
    const ht_column column = {items, false};
    for (int pass = 0; pass < 5; pass++) {
        uint64_t start = hti_clock_ns();
        need(ht_pipeline_map(p, inputs, &options, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_value_release(out);
        start = hti_clock_ns();
        need(ht_instance_call_batch(instance, "encode", n, &column, 1, results, &err));
        by_hand = HTI_MIN(by_hand, hti_clock_ns() - start);
    }
    ht_pipeline_release(p);
    ht_value_release(inputs);
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    ht_instance_release(instance);
    free(items);
    free(results);
    *other = (double)by_hand * 1e-6;
    return (double)best * 1e-6;
}

static double awaited(size_t n)
{
    double by_hand;
    return rows_awaited(n, &by_hand);
}
static double awaited_by_hand(size_t n)
{
    double by_hand;
    (void)rows_awaited(n, &by_hand);
    return by_hand;
}

/* ---- calls that end on another thread ---- */

enum { MOST_STARTED = 2000 };
static struct {
    hti_mutex *lock;
    struct {
        ht_completion *completion;
        uint64_t due;
        ht_value value;
    } waiting[MOST_STARTED];
    size_t n, n_told;
    bool over;
} later;

/* Ends what was started 10 ms after its start, in order. */
static void end_later(void *ud)
{
    (void)ud;
    for (;;) {
        hti_mutex_lock(later.lock);
        const bool over = later.over, any = later.n_told < later.n;
        const size_t at = later.n_told;
        later.n_told += any;
        hti_mutex_unlock(later.lock);
        if (over) return;
        if (!any) {
            hti_sleep_ns(50000);
            continue;
        }
        const uint64_t now = hti_clock_ns();
        if (later.waiting[at].due > now) hti_sleep_ns(later.waiting[at].due - now);
        ht_complete(later.waiting[at].completion, &later.waiting[at].value);
    }
}

static ht_status start_later(void *self, const ht_value *in, ht_completion *completion, ht_error *e)
{
    (void)self;
    (void)e;
    hti_mutex_lock(later.lock);
    later.waiting[later.n].completion = completion;
    later.waiting[later.n].due = hti_clock_ns() + 10000000;
    later.waiting[later.n++].value = in[0];
    hti_mutex_unlock(later.lock);
    return HT_OK;
}

/* Milliseconds of n calls of 10 ms. */
static double started(size_t n)
{
    static const ht_input input = {"x", NULL};
    static const char *const output = "y", *const over = "x";
    const ht_node_desc desc = {HT_DESC(ht_node_desc),
                               .name = "fetch",
                               .inputs = &input,
                               .n_inputs = 1,
                               .outputs = &output,
                               .n_outputs = 1,
                               .forms = {.start = start_later}};
    const ht_run_options options = {HT_DESC(ht_run_options), .map_over = &over, .n_map_over = 1};
    ht_pipeline *p;
    hti_thread *thread;
    ht_value list, *items = malloc(n * sizeof *items);
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < n; i++) items[i] = ht_value_int((int64_t)i);
    need(ht_value_list_take(items, n, &list, &err));
    free(items);
    const ht_value inputs = inputs_of("x", list);
    need(ht_pipeline_new("started", &p, &err));
    need(ht_pipeline_add_node(p, &desc, &err));
    later.lock = hti_mutex_new();
    for (int pass = 0; pass < 7; pass++) {
        ht_value out;
        later.n = later.n_told = 0;
        later.over = false;
        need(hti_thread_start(end_later, NULL, &thread, &err));
        const uint64_t start = hti_clock_ns();
        need(ht_pipeline_map(p, inputs, &options, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        hti_mutex_lock(later.lock);
        later.over = true;
        hti_mutex_unlock(later.lock);
        hti_thread_join(thread);
        ht_value_release(out);
    }
    hti_mutex_free(later.lock);
    ht_pipeline_release(p);
    ht_value_release(inputs);
    return (double)best * 1e-6;
}

/* ---- the cache on disk ---- */

static double cache_times(size_t n, double *get_us)
{
    char folder[] = "/tmp/bench_flow.XXXXXX", command[64];
    ht_cache *cache;
    static const char value[200] = "a value of some length";
    if (!mkdtemp(folder)) exit(1);
    need(ht_cache_open(folder, NULL, &cache, &err));
    const uint64_t began = hti_clock_ns();
    for (size_t i = 0; i < n; i++) {
        const ht_cache_entry entry = {.key = {i, i * 7}, .data = value, .len = sizeof value};
        need(ht_cache_put(cache, &entry, 1, &err));
    }
    const double put = (double)(hti_clock_ns() - began) * 1e-3 / (double)n;
    const uint64_t start = hti_clock_ns();
    ht_writer *writer;
    need(ht_writer_new(&writer, &err));
    for (size_t i = 0; i < n; i++) {
        bool found;
        ht_writer_clear(writer);
        need(ht_cache_get(cache, (ht_key){i, i * 7}, writer, &found, &err));
        if (!found) exit(1);
    }
    ht_writer_free(writer);
    *get_us = (double)(hti_clock_ns() - start) * 1e-3 / (double)n;
    ht_cache_close(cache);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0) exit(1);
    return put;
}

static double cache_put(size_t n)
{
    double get;
    return cache_times(n, &get);
}
static double cache_get(size_t n)
{
    double get;
    (void)cache_times(n, &get);
    return get;
}

/* ---- a child ---- */

static ht_status give_back(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    *out = ht_value_retain(in[0]);
    return HT_OK;
}
static const ht_method back_methods[] = {{"back", 1, {.row = give_back}}};
static const ht_class back_class = {HT_DESC(ht_class),       .name = "bench.Back", .init = make_slow,
                                    .methods = back_methods, .n_methods = 1,       .use_process = true};
static ht_registry *registry;

/* Milliseconds of n float rows there and back, the child warm. */
static double round_trip(size_t n)
{
    ht_instance *instance;
    ht_value rows, out;
    uint64_t best = UINT64_MAX;
    const int64_t shape[] = {(int64_t)n};
    need(ht_registry_instance(registry, "bench.Back", ht_value_null(), &instance, &err));
    need(ht_value_tensor(HT_F32, 1, shape, NULL, &rows, &err));
    for (int pass = 0; pass < 30; pass++) {
        const uint64_t start = hti_clock_ns();
        need(ht_instance_call(instance, "back", &rows, 1, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_value_release(out);
    }
    ht_value_release(rows);
    ht_instance_release(instance);
    return (double)best * 1e-6;
}

/* ---- the table ---- */

typedef struct measure {
    const char *name, *unit;
    double (*run)(size_t n);
    size_t n;
    double bar;    /* 0: none */
    bool per_unit; /* of n; else of all n */
} measure;

static const measure measures[] = {
    {"a node of a chain, planned and run, more than by hand", "us", chain_node, 100, 0.4, true},
    {"a chain built", "ms", chain_built, 1000, 10, false},
    {"an item of a map of one node, more than by hand", "us", map_item, 2000, 0.4, true},
    {"a node of a map of ten nodes, more than by hand", "us", map_chain_item, 2000, 0.4, true},
    {"rows awaited one by one, 1 ms a call and 0.01 ms a row", "ms", awaited, 1000, 14, false},
    {"the same in one batch made by hand", "ms", awaited_by_hand, 1000, 0, false},
    {"asynchronous calls of 10 ms, in order", "ms", started, 100, 13, false},
    {"a value put to the cache on disk", "us", cache_put, 10000, 40, true},
    {"a value taken from it", "us", cache_get, 10000, 6, true},
    {"float32 rows to a warm child and back", "ms", round_trip, 262144, 1, false},
};

static void print_measure(const measure *m)
{
    const double small = m->run(m->n), large = m->run(10 * m->n);
    const double growth = small > 0 ? large / small / (m->per_unit ? 1 : 10) : 0;
    printf("{\"bench\": \"flow\", \"name\": \"%s\", \"size\": %zu, \"value\": %.4g, \"unit\": \"%s\", ", m->name, m->n,
           small, m->unit);
    if (m->bar > 0)
        printf("\"bar\": %.3g, \"ok\": %s, ", m->bar, small <= m->bar ? "true" : "false");
    else
        printf("\"bar\": null, \"ok\": null, ");
    printf("\"value_10x\": %.4g, \"growth_10x\": %.3g, \"peer\": \"\", \"ratio\": null}\n", large, growth);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    need(ht_registry_new(&registry, &err));
    need(ht_registry_add_class(registry, &back_class, &err));
    const int code = ht_worker_main(argc, argv, registry);
    for (size_t i = 0; code < 0 && i < HTI_LEN(measures); i++) print_measure(&measures[i]);
    ht_registry_free(registry);
    return HTI_MAX(code, 0);
}
