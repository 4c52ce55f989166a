/*
 * test_random_pipelines.c - random pipelines against a recursive evaluator that knows nothing of plans, frames or
 * rounds.
 *
 *     test_random_pipelines [N [SEED [N_PROCESSES]]]     N pipelines, default 3,000; every so many in processes too
 *
 * Graphs, nesting, zip and product maps, pruning, defaults, every form of a node (row, batch, both, started and ended
 * by another thread or at their time of a made-up clock, bodies that await a method), failures with each policy. For
 * any engine, window and batch size the result equals the evaluator's, value by value, or both fail; and the same rows
 * meet in the same calls. A plan printed as JSON and loaded again prints and gives the same.
 *
 * What a node computes travels as the default of its last input, so that worker processes, which are this program, need
 * to know only the types: one for each combination of ports, form and policy.
 */
#include "os/os.h"

#include <houndstooth/registry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_NODES = 7, MAX_PORTS = 3, MAX_NAMES = 40, MAX_DEPTH = 3, PRIME = 1000003 };

typedef enum form { ROW, BATCH, ROW_AND_BATCH, START, BODY, N_FORMS } form;

/* One node of a made-up pipeline. */
typedef struct made_node {
    char name[24], type[48], inputs[MAX_PORTS][48], outputs[2][48];
    size_t n_inputs, n_outputs;
    form form;
    int64_t k;
    bool makes_list, fails;
    ht_on_error policy;
    size_t batch_size, retries;
    bool over_all;
    struct made_pipeline *inner;
    char inner_inputs[MAX_PORTS][48], inner_outputs[2][48];
    bool mapped[MAX_PORTS];
    ht_map_mode mode;
} made_node;

typedef struct made_name {
    char name[48];
    int list_depth; /* 0: a number */
} made_name;

typedef struct made_pipeline {
    made_node nodes[MAX_NODES];
    size_t n_nodes;
    made_name names[MAX_NAMES]; /* roots first, then outputs */
    size_t n_names, n_roots;
} made_pipeline;

/* ---- the arithmetic that every form of a node does ---- */

static int64_t fold(ht_value value)
{
    if (value.kind == HT_KIND_INT) return value.as.integer;
    if (value.kind != HT_KIND_LIST) return 7;
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    int64_t sum = 11;
    for (size_t i = 0; i < n; i++) sum = (sum * 31 + fold(items[i])) % PRIME;
    return sum;
}

static int64_t mix_inputs(const made_node *node, const ht_value *in)
{
    int64_t sum = node->k;
    for (size_t i = 0; i < node->n_inputs; i++) sum = (sum * 37 + fold(in[i])) % PRIME;
    return sum;
}

static ht_value number_or_list(const made_node *node, int64_t number)
{
    ht_value items[4], list;
    if (!node->makes_list) return ht_value_int(number);
    const size_t n = (size_t)(number % 4);
    for (size_t i = 0; i < n; i++) items[i] = ht_value_int((number * (int64_t)(i + 3)) % PRIME);
    assert_int_equal(ht_value_list(items, n, &list, NULL), HT_OK);
    return list;
}

/* False: the node fails on these inputs. */
static bool compute(const made_node *node, int64_t sum, ht_value *out)
{
    if (node->fails && sum % 5 == 0) return false;
    for (size_t o = 0; o < node->n_outputs; o++) out[o] = number_or_list(node, (sum + (int64_t)o * 101) % PRIME);
    return true;
}

/* ---- what a node computes, as a value and back ---- */

static ht_value spec_of(const made_node *node)
{
    const ht_value parts[] = {ht_value_int(node->k), ht_value_int((int64_t)node->n_inputs),
                              ht_value_int((int64_t)node->n_outputs), ht_value_bool(node->makes_list),
                              ht_value_bool(node->fails)};
    ht_value list;
    assert_int_equal(ht_value_list(parts, HTI_LEN(parts), &list, NULL), HT_OK);
    return list;
}

static made_node node_of(ht_value spec)
{
    size_t n;
    const ht_value *parts = ht_value_items(spec, &n);
    made_node node = {.k = parts[0].as.integer};
    node.n_inputs = (size_t)parts[1].as.integer;
    node.n_outputs = (size_t)parts[2].as.integer;
    node.makes_list = parts[3].as.boolean;
    node.fails = parts[4].as.boolean;
    return node;
}

/* ---- the forms ---- */

static uint64_t composition; /* which rows met in which calls, in whatever order the calls came */

static void note_batch(int64_t what, size_t n, const ht_column *in, size_t n_inputs)
{
    uint64_t hash = (uint64_t)what + n;
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < n_inputs; i++)
            hash = (hash ^ (uint64_t)fold(in[i].rows[in[i].constant ? 0 : k])) * 0x9E3779B97F4A7C15ULL;
    (void)__atomic_add_fetch(&composition, hash, __ATOMIC_RELAXED);
}

static ht_status compute_row(const made_node *node, const ht_value *in, ht_value *out, ht_error *err)
{
    if (compute(node, mix_inputs(node, in), out)) return HT_OK;
    if (err) snprintf(err->message, sizeof err->message, "made to fail");
    return err ? err->status = HT_FAILED : HT_FAILED;
}

/* self: how many inputs there are before the spec. */
static const size_t port_counts[] = {0, 1, 2, 3};

static ht_status row_form(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const made_node node = node_of(in[*(const size_t *)self]);
    return compute_row(&node, in, out, err);
}

static ht_status batch_form(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    const made_node made_up = node_of(in[*(const size_t *)self].rows[0]), *node = &made_up;
    assert_true(in[*(const size_t *)self].constant);
    note_batch(node->k, n, in, node->n_inputs);
    for (size_t k = 0; k < n; k++) {
        ht_value row[MAX_PORTS], made[2];
        for (size_t i = 0; i < node->n_inputs; i++) row[i] = in[i].rows[in[i].constant ? 0 : k];
        const ht_status status = compute_row(node, row, made, err);
        if (status != HT_OK) return status; /* what was filled is the runtime's to release */
        for (size_t o = 0; o < node->n_outputs; o++) out[o][k] = made[o];
    }
    return HT_OK;
}

/* Another thread ends what was started, the latest first. */
static struct {
    hti_mutex *lock;
    hti_cond *changed;
    hti_thread *thread;
    struct {
        ht_completion *completion;
        ht_value out[2];
        bool good;
        uint64_t due; /* of the made-up clock */
    } waiting[4096];
    size_t n;
    bool stop;
    bool on_clock; /* calls end when their time has come, and no thread is there to end them */
    uint64_t now;
} ender;

/* With the lock held: ends the call at `at`, without the lock meanwhile. */
static void end_call(size_t at)
{
    ht_completion *completion = ender.waiting[at].completion;
    const ht_value out[2] = {ender.waiting[at].out[0], ender.waiting[at].out[1]};
    const bool good = ender.waiting[at].good;
    ender.waiting[at] = ender.waiting[--ender.n];
    hti_mutex_unlock(ender.lock);
    if (good)
        ht_complete(completion, out);
    else
        ht_complete_error(completion, HT_FAILED, "made to fail");
    hti_mutex_lock(ender.lock);
}

static uint64_t clock_now(void *ud)
{
    (void)ud;
    return __atomic_load_n(&ender.now, __ATOMIC_RELAXED);
}

/* Time goes on to the next call's end, or to what the run waits for. */
static void clock_wait(void *ud, uint64_t until)
{
    size_t next = SIZE_MAX;
    (void)ud;
    hti_mutex_lock(ender.lock);
    for (size_t i = 0; i < ender.n; i++)
        if (ender.waiting[i].due <= until && (next == SIZE_MAX || ender.waiting[i].due < ender.waiting[next].due))
            next = i;
    if (next == SIZE_MAX && until == UINT64_MAX) fail_msg("a run waits for nothing");
    __atomic_store_n(&ender.now, next == SIZE_MAX ? until : HTI_MAX(ender.now, ender.waiting[next].due),
                     __ATOMIC_RELAXED);
    if (next != SIZE_MAX) end_call(next);
    hti_mutex_unlock(ender.lock);
}

static const ht_clock made_up_clock = {NULL, clock_now, clock_wait};

static void end_calls(void *ud)
{
    (void)ud;
    hti_mutex_lock(ender.lock);
    for (;;) {
        while ((ender.n == 0 || ender.on_clock) && !ender.stop) hti_cond_wait(ender.changed, ender.lock);
        if (ender.stop) break;
        end_call(ender.n - 1);
    }
    hti_mutex_unlock(ender.lock);
}

static ht_status start_form(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    const made_node made_up = node_of(in[*(const size_t *)self]), *node = &made_up;
    ht_value out[2] = {ht_value_null(), ht_value_null()};
    const int64_t sum = mix_inputs(node, in);
    const bool good = compute(node, sum, out);
    (void)err;
    if (sum % 3 == 0) { /* at once, on this thread */
        if (good)
            ht_complete(completion, out);
        else
            ht_complete_error(completion, HT_FAILED, "made to fail");
        return HT_OK;
    }
    hti_mutex_lock(ender.lock);
    assert_true(ender.n < HTI_LEN(ender.waiting));
    ender.waiting[ender.n].completion = completion;
    memcpy(ender.waiting[ender.n].out, out, sizeof out);
    ender.waiting[ender.n].due = ender.now + 1 + (uint64_t)(sum * 7919 % 1000);
    ender.waiting[ender.n++].good = good;
    hti_cond_signal(ender.changed);
    hti_mutex_unlock(ender.lock);
    return HT_OK;
}

/* A class whose methods add: awaited by bodies, twice a body, with a constant in the second argument. */
static ht_status adder_init(void **self, ht_value args, ht_error *err)
{
    (void)args;
    (void)err;
    *self = NULL;
    return HT_OK;
}

static ht_status add_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    (void)err;
    out[0] = ht_value_int((fold(in[0]) + fold(in[1])) % PRIME);
    return HT_OK;
}

static ht_status add_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    assert_true(in[1].constant);
    note_batch(1, n, in, 2);
    for (size_t k = 0; k < n; k++) {
        const ht_value row[2] = {in[0].rows[k], in[1].rows[0]};
        if (add_row(self, row, &out[0][k], err) != HT_OK) return HT_FAILED;
    }
    return HT_OK;
}

static const ht_method adder_methods[] = {{"add", 2, {.row = add_row, .batch = add_batch, .batch_size = 5}},
                                          {"add_all", 2, {.batch = add_batch}}};
static const ht_class adder_class = {HT_DESC(ht_class),        .name = "test.Adder", .init = adder_init,
                                     .methods = adder_methods, .n_methods = 2,       .max_concurrency = 2};
static ht_value adder;

/* The same number as mix_inputs: each step of the sum by an awaited call. */
static ht_status body_form(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    const made_node made_up = node_of(in[*(const size_t *)self]), *node = &made_up;
    int64_t sum = node->k;
    for (size_t i = 0; i < node->n_inputs; i++) {
        ht_value args[2] = {ht_value_int(sum * 37 % PRIME), ht_value_int(fold(in[i]) % 2)}, got;
        const ht_status status = ht_await(body, adder, i % 2 ? "add_all" : "add", args, 2, &got, err);
        if (status != HT_OK) return status;
        sum = (got.as.integer + fold(in[i]) - fold(in[i]) % 2) % PRIME;
    }
    if (compute(node, sum, out)) return HT_OK;
    if (err) snprintf(err->message, sizeof err->message, "made to fail");
    return err ? err->status = HT_FAILED : HT_FAILED;
}

/* ---- the types: every combination of ports, form and policy ---- */

enum { N_BATCHES = 5, N_TYPES = MAX_PORTS * 2 * N_FORMS * 3 * N_BATCHES * 2 * 2 };

static struct {
    char name[48];
    ht_node_desc desc;
} types[N_TYPES];

static const char *const port_names[] = {"p0", "p1", "p2", "p3"};

static void name_type(const made_node *node, char *name, size_t cap)
{
    snprintf(name, cap, "made.%zu.%zu.%d.%d.%zu.%zu.%d", node->n_inputs, node->n_outputs, (int)node->form,
             (int)node->policy, node->batch_size, node->retries, node->over_all);
}

static ht_forms forms_of(const made_node *node)
{
    return (ht_forms){.row = node->form == ROW || node->form == ROW_AND_BATCH ? row_form : NULL,
                      .batch = node->form == BATCH || node->form == ROW_AND_BATCH ? batch_form : NULL,
                      .start = node->form == START ? start_form : NULL,
                      .body = node->form == BODY ? body_form : NULL,
                      .over = node->over_all ? ((uint64_t)1 << node->n_inputs) - 1 : 0,
                      .batch_size = node->batch_size,
                      .max_retries = (uint32_t)node->retries,
                      .on_error = node->policy};
}

static ht_registry *registry;
static ht_instance *adder_instance;

static void make_registry(void)
{
    static const ht_input inputs[] = {{"p0", NULL}, {"p1", NULL}, {"p2", NULL}, {"p3", NULL}};
    ht_error err = {0};
    assert_int_equal(ht_registry_new(&registry, &err), HT_OK);
    for (size_t i = 0; i < N_TYPES; i++) {
        size_t rest = i;
        made_node node = {.n_inputs = 1 + rest % MAX_PORTS};
        rest /= MAX_PORTS;
        node.n_outputs = 1 + rest % 2;
        rest /= 2;
        node.form = (form)(rest % N_FORMS);
        rest /= N_FORMS;
        node.policy = (ht_on_error)(rest % 3);
        rest /= 3;
        node.batch_size = rest % N_BATCHES;
        rest /= N_BATCHES;
        node.retries = rest % 2;
        node.over_all = rest / 2 % 2 != 0;
        name_type(&node, types[i].name, sizeof types[i].name);
        types[i].desc = (ht_node_desc){HT_DESC(ht_node_desc),
                                       .name = types[i].name,
                                       .inputs = inputs,
                                       .n_inputs = node.n_inputs + 1,
                                       .outputs = port_names,
                                       .n_outputs = node.n_outputs,
                                       .self = (void *)(uintptr_t)&port_counts[node.n_inputs],
                                       .forms = forms_of(&node)};
        if (ht_registry_add_node(registry, &types[i].desc, &err) != HT_OK) fail_msg("%s", err.message);
    }
    assert_int_equal(ht_registry_add_class(registry, &adder_class, &err), HT_OK);
    assert_int_equal(ht_instance_new(&adder_class, ht_value_null(), &adder_instance, &err), HT_OK);
    assert_int_equal(ht_instance_value(adder_instance, &adder, &err), HT_OK);
    ender.lock = hti_mutex_new();
    ender.changed = hti_cond_new();
    assert_int_equal(hti_thread_start(end_calls, NULL, &ender.thread, &err), HT_OK);
}

static void end_registry(void)
{
    hti_mutex_lock(ender.lock);
    ender.stop = true;
    hti_cond_signal(ender.changed);
    hti_mutex_unlock(ender.lock);
    hti_thread_join(ender.thread);
    hti_cond_free(ender.changed);
    hti_mutex_free(ender.lock);
    ht_value_release(adder);
    ht_instance_release(adder_instance);
    ht_registry_free(registry);
}

/* ---- making pipelines up ---- */

static uint64_t seed;
static size_t below(size_t n) { return (size_t)(hti_random_next(&seed) % n); }

static void add_name(made_pipeline *p, const char *name, int list_depth)
{
    snprintf(p->names[p->n_names].name, sizeof p->names[0].name, "%s", name);
    p->names[p->n_names++].list_depth = list_depth;
}

static made_pipeline *make_up(size_t n_roots, const int *root_depths, int depth);

static int depth_of(const made_pipeline *p, const char *name)
{
    for (size_t i = 0; i < p->n_names; i++)
        if (!strcmp(p->names[i].name, name)) return p->names[i].list_depth;
    return 0;
}

static void make_function(made_pipeline *p, made_node *node)
{
    node->n_outputs = 1 + (below(4) == 0);
    node->form = (form)below(N_FORMS);
    node->makes_list = below(3) == 0;
    node->fails = below(12) == 0;
    node->policy = (ht_on_error)below(3);
    node->batch_size = below(3) ? 0 : 1 + below(4);
    node->retries = below(2);
    node->over_all = below(2) == 0;
    for (size_t o = 0; o < node->n_outputs; o++) {
        snprintf(node->outputs[o], sizeof node->outputs[o], "%s_%zu", node->name, o);
        add_name(p, node->outputs[o], node->makes_list);
    }
}

static void make_nested(made_pipeline *p, made_node *node, int depth)
{
    int depths[MAX_PORTS];
    bool any = false;
    node->mode = below(2) ? HT_MAP_PRODUCT : HT_MAP_ZIP;
    for (size_t i = 0; i < node->n_inputs; i++) {
        const int outer = depth_of(p, node->inputs[i]);
        node->mapped[i] = outer > 0 && below(4) && (node->mode == HT_MAP_PRODUCT || !any || below(8) == 0);
        any |= node->mapped[i];
        depths[i] = outer - node->mapped[i];
        snprintf(node->inner_inputs[i], sizeof node->inner_inputs[i], "r%zu", i);
    }
    node->inner = make_up(node->n_inputs, depths, depth + 1);
    const made_pipeline *inner = node->inner;
    const size_t wanted = 1 + below(2);
    node->n_outputs = HTI_MIN(inner->n_names - inner->n_roots, wanted);
    for (size_t o = 0; o < node->n_outputs; o++) {
        const made_name *from = &inner->names[inner->n_names - 1 - o];
        snprintf(node->inner_outputs[o], sizeof node->inner_outputs[o], "%s", from->name);
        snprintf(node->outputs[o], sizeof node->outputs[o], "%s_%zu", node->name, o);
        add_name(p, node->outputs[o], from->list_depth + any);
    }
}

static made_pipeline *make_up(size_t n_roots, const int *root_depths, int depth)
{
    made_pipeline *p = calloc(1, sizeof *p);
    for (size_t r = 0; r < n_roots; r++) {
        char name[24];
        snprintf(name, sizeof name, "r%zu", r);
        add_name(p, name, root_depths[r]);
    }
    p->n_roots = n_roots;
    const size_t n_nodes = 1 + below(depth == 0 ? MAX_NODES : 4);
    for (; p->n_nodes < n_nodes; p->n_nodes++) {
        made_node *node = &p->nodes[p->n_nodes];
        snprintf(node->name, sizeof node->name, "%c%zu", (char)('a' + below(26)), p->n_nodes);
        node->k = (int64_t)below(PRIME);
        while (node->n_inputs == 0 || (node->n_inputs < MAX_PORTS && below(2))) {
            const made_name picked = p->names[below(p->n_names)];
            const char *from = picked.name;
            bool twice = false;
            for (size_t i = 0; i < node->n_inputs; i++) twice |= !strcmp(node->inputs[i], from);
            if (twice) break;
            snprintf(node->inputs[node->n_inputs++], sizeof node->inputs[0], "%s", from);
        }
        if (depth < MAX_DEPTH && below(3) == 0)
            make_nested(p, node, depth);
        else
            make_function(p, node);
    }
    return p;
}

static void free_made(made_pipeline *p)
{
    for (size_t i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].inner) free_made(p->nodes[i].inner);
    free(p);
}

#include "evaluator.h"

/* ---- the same pipeline for the library ---- */

/* Whether any function, however deep inside, takes a root; mappings to names that none takes are refused. */
static bool is_taken(const made_pipeline *p, const char *root)
{
    for (size_t i = 0; i < p->n_nodes; i++)
        for (size_t j = 0; j < p->nodes[i].n_inputs; j++) {
            if (strcmp(p->nodes[i].inputs[j], root) != 0) continue;
            if (!p->nodes[i].inner || is_taken(p->nodes[i].inner, p->nodes[i].inner_inputs[j])) return true;
        }
    return false;
}

static ht_pipeline *build(made_pipeline *p)
{
    ht_error err = {0};
    ht_pipeline *built;
    size_t order[MAX_NODES];
    assert_int_equal(ht_pipeline_new("made up", &built, &err), HT_OK);
    for (size_t i = 0; i < p->n_nodes; i++) order[i] = i;
    for (size_t i = p->n_nodes; i > 1; i--) { /* the order in which nodes are added means nothing */
        const size_t j = below(i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    for (size_t at = 0; at < p->n_nodes; at++) {
        made_node *node = &p->nodes[order[at]];
        ht_input inputs[MAX_PORTS + 1];
        ht_rename in_names[MAX_PORTS], out_names[2];
        const char *outputs[2], *over[MAX_PORTS];
        size_t n_over = 0;
        for (size_t j = 0; j < node->n_inputs; j++) {
            inputs[j] = (ht_input){node->inputs[j], NULL};
            in_names[j] = (ht_rename){node->inputs[j], node->inner_inputs[j]};
            if (node->mapped[j]) over[n_over++] = node->inputs[j];
        }
        for (size_t o = 0; o < node->n_outputs; o++) {
            outputs[o] = node->outputs[o];
            out_names[o] = (ht_rename){node->inner_outputs[o], node->outputs[o]};
        }
        if (node->inner) {
            ht_pipeline *inner = build(node->inner);
            ht_rename used[MAX_PORTS];
            size_t n_used = 0;
            for (size_t j = 0; j < node->n_inputs; j++)
                if (is_taken(node->inner, node->inner_inputs[j])) used[n_used++] = in_names[j];
            const ht_as_node as = {HT_DESC(ht_as_node), .name = node->name,   .inputs = used,
                                   .n_inputs = n_used,  .outputs = out_names, .n_outputs = node->n_outputs,
                                   .map_over = over,    .n_map_over = n_over, .map_mode = node->mode};
            if (ht_pipeline_add_pipeline(built, inner, &as, &err) != HT_OK) fail_msg("%s", err.message);
            ht_pipeline_release(inner);
            continue;
        }
        const ht_value spec = spec_of(node);
        inputs[node->n_inputs] = (ht_input){"spec", &spec};
        name_type(node, node->type, sizeof node->type);
        ht_node_desc desc = *ht_registry_node(registry, node->type);
        assert_int_equal(desc.n_outputs, node->n_outputs);
        assert_int_equal(desc.n_inputs, node->n_inputs + 1);
        desc.name = node->name;
        desc.type = node->type;
        desc.inputs = inputs;
        desc.outputs = outputs;
        if (ht_pipeline_add_node(built, &desc, &err) != HT_OK) fail_msg("%s", err.message);
        ht_value_release(spec);
    }
    return built;
}

/* A list that is mapped over must be taken inside. */
static bool all_taken(const made_pipeline *p)
{
    for (size_t i = 0; i < p->n_nodes; i++) {
        const made_node *node = &p->nodes[i];
        for (size_t j = 0; node->inner && j < node->n_inputs; j++)
            if (node->mapped[j] && !is_taken(node->inner, node->inner_inputs[j])) return false;
        if (node->inner && !all_taken(node->inner)) return false;
    }
    return true;
}

static ht_value random_root(int list_depth)
{
    ht_value items[6], list;
    if (list_depth == 0) return ht_value_int((int64_t)below(PRIME));
    const size_t n = below(6);
    for (size_t i = 0; i < n; i++) items[i] = random_root(list_depth - 1);
    assert_int_equal(ht_value_list_take(items, n, &list, NULL), HT_OK);
    return list;
}

static size_t n_compared, n_failed;

static void judge(const made_pipeline *p, const ht_run_options *options, verdict expected, const scope *s,
                  ht_status status, ht_value got, const ht_error *why)
{
    const ht_error err = *why;
    n_compared++;
    if (expected != GOOD) {
        n_failed++;
        assert_int_not_equal(status, HT_OK);
        assert_true(err.message[0] != '\0');
        return;
    }
    if (status != HT_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < options->n_outputs; i++) {
        ht_value value;
        assert_true(ht_value_field(got, options->outputs[i], &value));
        if (ht_value_equal(value, s->values[number_of(p, options->outputs[i])])) continue;
        char is[300], should[300];
        ht_value_describe(value, is, sizeof is);
        ht_value_describe(s->values[number_of(p, options->outputs[i])], should, sizeof should);
        fail_msg("%s is %s, not %s", options->outputs[i], is, should);
    }
    ht_value_release(got);
}

static void compare(const made_pipeline *p, const ht_pipeline *built, ht_value inputs, const ht_run_options *options,
                    verdict expected, const scope *s)
{
    ht_error err = {0};
    ht_value got;
    const ht_status status = ht_pipeline_run(built, inputs, options, &got, &err);
    judge(p, options, expected, s, status, got, &err);
}

static ht_writer *print_plan(const ht_plan *plan)
{
    ht_writer *writer;
    ht_error err = {0};
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    if (ht_plan_print(plan, HT_PLAN_JSON, writer, &err) != HT_OK) fail_msg("%s", err.message);
    return writer;
}

/* The plan through JSON and back: the same text, the same results. */
static void compare_loaded(const made_pipeline *p, const ht_pipeline *built, ht_value inputs,
                           const ht_run_options *options, verdict expected, const scope *s)
{
    ht_error err = {0};
    ht_plan *plan, *loaded;
    const char *names[MAX_PORTS];
    size_t n_given, len, len_again;
    ht_value got, given;
    (void)ht_value_items(inputs, &n_given);
    for (size_t i = 0; i < n_given; i++) names[i] = ht_value_field_name(inputs, i).data;
    if (ht_plan_new(built, options->outputs, options->n_outputs, names, n_given, &plan, &err) != HT_OK)
        fail_msg("%s", err.message);
    ht_writer *first = print_plan(plan);
    const char *text = ht_writer_data(first, &len);
    if (ht_plan_load((ht_text){text, len}, registry, &loaded, &err) != HT_OK) fail_msg("%s\n%s", err.message, text);
    ht_writer *second = print_plan(loaded);
    const char *again = ht_writer_data(second, &len_again);
    if (len != len_again || memcmp(text, again, len) != 0) fail_msg("%s\n%s", text, again);
    ht_run_options own = *options;
    own.n_outputs = 0;
    /* Only what the plan takes. */
    ht_value values[MAX_PORTS], list, parsed;
    const char *taken[MAX_PORTS];
    size_t n_taken;
    assert_int_equal(ht_value_from_json((ht_text){text, len}, &parsed, &err), HT_OK);
    assert_true(ht_value_field(parsed, "inputs", &list));
    const ht_value *wanted = ht_value_items(list, &n_taken);
    for (size_t i = 0; i < n_taken; i++) {
        taken[i] = ht_value_text(wanted[i]).data;
        assert_true(ht_value_field(inputs, taken[i], &values[i]));
    }
    assert_int_equal(ht_value_struct(taken, values, n_taken, &given, &err), HT_OK);
    const ht_status status = ht_plan_run(loaded, given, &own, &got, &err);
    judge(p, options, expected, s, status, got, &err);
    ht_value_release(given);
    ht_value_release(parsed);
    ht_writer_free(first);
    ht_writer_free(second);
    ht_plan_release(plan);
    ht_plan_release(loaded);
}

static void try_one(ht_pool *pool, bool in_processes)
{
    const int depths[MAX_PORTS] = {1, 2, 0};
    made_pipeline *p = make_up(MAX_PORTS, depths, 0);
    while (!all_taken(p)) {
        free_made(p);
        p = make_up(MAX_PORTS, depths, 0);
    }
    scope s = {.p = p};
    const char *outputs[MAX_NAMES], *root_names[MAX_PORTS];
    ht_value roots[MAX_PORTS], inputs;
    size_t n_outputs = 0, n_roots = 0;
    for (size_t i = p->n_roots; i < p->n_names; i++)
        if (below(2) || i + 1 == p->n_names) {
            outputs[n_outputs++] = p->names[i].name;
            s.wanted[i] = true;
        }
    for (size_t r = 0; r < p->n_roots; r++) {
        s.values[r] = random_root(depths[r]);
        s.known[r] = true;
        if (!is_taken(p, p->names[r].name)) continue;
        root_names[n_roots] = p->names[r].name;
        roots[n_roots++] = s.values[r];
    }
    assert_int_equal(ht_value_struct(root_names, roots, n_roots, &inputs, NULL), HT_OK);
    const verdict expected = evaluate(&s);
    ht_pipeline *built = build(p);
    static const size_t windows[] = {1, 2, 7, 0}, batches[] = {1, 2, 3, 0};
    const size_t window = windows[below(HTI_LEN(windows))], batch_max = batches[below(HTI_LEN(batches))];
    uint64_t compositions[2];
    hti_mutex_lock(ender.lock);
    ender.on_clock = below(2) == 0;
    hti_mutex_unlock(ender.lock);
    const ht_clock *clock = ender.on_clock ? &made_up_clock : NULL;
    for (int engine = 0; engine < 2; engine++) {
        composition = 0;
        const ht_run_options options = {HT_DESC(ht_run_options),
                                        .outputs = outputs,
                                        .n_outputs = n_outputs,
                                        .engine = engine ? HT_ENGINE_THREADS : HT_ENGINE_SEQUENTIAL,
                                        .pool = pool,
                                        .window = window,
                                        .batch_max = batch_max,
                                        .clock = clock};
        compare(p, built, inputs, &options, expected, &s);
        compositions[engine] = composition;
    }
    const ht_run_options plain = {HT_DESC(ht_run_options), .outputs = outputs,     .n_outputs = n_outputs,
                                  .window = window,        .batch_max = batch_max, .clock = clock};
    if (below(4) == 0) compare_loaded(p, built, inputs, &plain, expected, &s);
    if (in_processes) {
        ht_run_options away = plain;
        away.engine = HT_ENGINE_PROCESSES;
        away.registry = registry;
        away.n_workers = 2;
        compare(p, built, inputs, &away, expected, &s);
    }
    /* The same rows meet in the same calls on any number of threads; a run that fails stops anywhere. */
    if (expected == GOOD) assert_true(compositions[0] == compositions[1]);
    ht_pipeline_release(built);
    ht_value_release(inputs);
    for (size_t i = 0; i < MAX_NAMES; i++) ht_value_release(s.values[i]);
    free_made(p);
}

static size_t n_pipelines = 3000, n_in_processes = 300;

static void equal_to_the_evaluator(void **state)
{
    ht_error err = {0};
    ht_pool *pool;
    (void)state;
    assert_int_equal(ht_pool_new(3, &pool, &err), HT_OK);
    const uint64_t first = seed;
    const size_t every = n_in_processes ? HTI_MAX(n_pipelines / n_in_processes, 1) : SIZE_MAX;
    for (size_t i = 0; i < n_pipelines; i++) {
        seed = first + i;
        try_one(pool, i % every == every - 1);
    }
    const ht_instance_stats stats = ht_instance_get_stats(adder_instance);
    print_message(
        "%zu pipelines, %zu runs, %zu of them failed as they must; awaited: %llu batches of %llu rows, %llu rows "
        "alone\n",
        n_pipelines, n_compared, n_failed, (unsigned long long)stats.batches, (unsigned long long)stats.batch_rows,
        (unsigned long long)stats.rows_alone);
    assert_true(stats.batches > 0 && stats.batch_rows > stats.batches && n_failed > 0 && n_failed * 2 < n_compared);
    ht_pool_free(pool);
    end_registry();
    assert_int_equal(hti_alloc_get_stats().live_bytes, 0);
}

int main(int n_args, char **args)
{
    make_registry();
    const int code = ht_worker_main(n_args, args, registry);
    if (code >= 0) {
        end_registry();
        return code;
    }
    if (n_args > 1) n_pipelines = strtoul(args[1], NULL, 10);
    seed = n_args > 2 ? strtoull(args[2], NULL, 10) : 1;
    n_in_processes = n_args > 3 ? strtoul(args[3], NULL, 10) : n_pipelines / 20;
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_to_the_evaluator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
