/*
 * bench_flow.c - what the pipeline runtime costs: JSON lines on stdout, each at a size and at ten times the size.
 *
 * usage: bench_flow
 * Chains and maps of nodes that add one, beside the same calls in a plain loop; building; a mapped node with a batch
 * form that takes 1 ms a call and .01 ms a row, beside one hand-made batch. One thread. Values are the best of some
 * passes.
 */
#include "os/os.h"

#include <houndstooth/flow.h>

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

static void print_line(const char *name, double value, const char *unit, const char *peer, double ratio)
{
    printf("{\"bench\": \"flow\", \"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", name, value, unit);
    printf("\"peer\": \"%s\", \"ratio\": ", peer);
    if (ratio > 0)
        printf("%.3g}\n", ratio);
    else
        printf("null}\n");
    fflush(stdout);
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

/* Per node, the planning of the run included; and what building costs. */
static void bench_chain(size_t n)
{
    uint64_t best = UINT64_MAX, by_hand = UINT64_MAX, built = UINT64_MAX;
    int64_t sum = 0;
    char last[32], name[80];
    snprintf(last, sizeof last, "v%zu", n);
    const char *output = last;
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &output, .n_outputs = 1};
    const ht_value inputs = inputs_of("v0", ht_value_int(0));
    for (int pass = 0; pass < PASSES; pass++) {
        ht_value out;
        uint64_t start = hti_clock_ns();
        ht_pipeline *p = chain(n);
        built = HTI_MIN(built, hti_clock_ns() - start);
        start = hti_clock_ns();
        need(ht_pipeline_run(p, inputs, &options, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
        ht_value_release(out);
        ht_pipeline_release(p);
        const uint64_t now = loop_by_hand(add_one, n, &sum);
        by_hand = HTI_MIN(by_hand, now);
    }
    ht_value_release(inputs);
    snprintf(name, sizeof name, "chain of %zu: planned and run, a node more than by hand", n);
    print_line(name, ((double)best - (double)by_hand) / (double)n * 1e-3, "us", "", 0);
    snprintf(name, sizeof name, "chain of %zu: built", n);
    print_line(name, (double)built * 1e-6, "ms", "", 0);
}

/* ---- a map of a chain: per node execution, planning spread over the items ---- */

static void bench_map(size_t n_items, size_t n_nodes)
{
    uint64_t best = UINT64_MAX, by_hand = UINT64_MAX;
    int64_t sum = 0;
    char last[32], name[80];
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
    snprintf(name, sizeof name, "map of %zu items x %zu nodes, a node more than by hand", n_items, n_nodes);
    print_line(name, ((double)best - (double)by_hand) / (double)(n_items * n_nodes) * 1e-3, "us", "", 0);
}

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

static void bench_batch(size_t n)
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
    char name[80];
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
    snprintf(name, sizeof name, "%zu rows awaited one by one, 1 ms a call and 0.01 ms a row", n);
    print_line(name, (double)best * 1e-6, "ms", "one batch by hand", (double)by_hand / (double)best);
    ht_pipeline_release(p);
    ht_value_release(inputs);
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    ht_instance_release(instance);
    free(items);
    free(results);
}

int main(void)
{
    bench_chain(100);
    bench_chain(1000);
    bench_map(2000, 1);
    bench_map(20000, 1);
    bench_map(2000, 10);
    bench_batch(1000);
    bench_batch(10000);
    return 0;
}
