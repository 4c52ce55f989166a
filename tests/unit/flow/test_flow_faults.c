/*
 * test_flow_faults.c - building, planning and running a pipeline of every kind of node while the n-th allocation fails.
 *
 * Each run must succeed or tell NO_MEMORY, leak nothing, and leave the process fit for the next.
 */
#include "base/base.h"
#include "fault_alloc.h"

#include <houndstooth/flow.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static ht_status make(void **self, ht_value args, ht_error *err)
{
    (void)args;
    (void)err;
    *self = NULL;
    return HT_OK;
}

/* A list of the number and the next, so that a row allocates. */
static ht_status pair_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const ht_value items[] = {in[0], ht_value_int(in[0].as.integer + 1)};
    (void)self;
    return ht_value_list(items, 2, &out[0], err);
}

static ht_status pair_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    for (size_t k = 0; k < n; k++) HT_TRY(pair_row(self, &in[0].rows[k], &out[0][k], err));
    return HT_OK;
}

static ht_status pair_start(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    ht_value out = ht_value_null();
    HT_TRY(pair_row(self, in, &out, err));
    ht_complete(completion, &out);
    return HT_OK;
}

static ht_status pair_body(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_value first, second;
    size_t n;
    (void)self;
    HT_TRY(ht_await(body, in[1], "pair", &in[0], 1, &first, err));
    const ht_value *items = ht_value_items(first, &n);
    HT_TRY(ht_await(body, in[1], "start", &items[1], 1, &second, err));
    const ht_value both[] = {first, second};
    return ht_value_list(both, 2, out, err);
}

static const ht_method methods[] = {{"pair", 1, {.row = pair_row, .batch = pair_batch}},
                                    {"start", 1, {.start = pair_start}}};
static const ht_class pair_class = {HT_DESC(ht_class), .name = "test.Pair", .init = make, .methods = methods,
                                    .n_methods = 2};

static ht_status add(ht_pipeline *p, const char *name, const char *output, ht_forms forms, ht_error *err)
{
    const ht_input inputs[] = {{"x", NULL}, {"pairs", NULL}};
    const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = name,   .inputs = inputs, .n_inputs = forms.body ? 2 : 1,
                               .outputs = &output,    .n_outputs = 1, .forms = forms};
    return ht_pipeline_add_node(p, &desc, err);
}

static ht_status build(ht_pipeline *inner, ht_pipeline *outer, ht_error *err)
{
    const char *over = "x";
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "each", .map_over = &over, .n_map_over = 1};
    HT_TRY(add(inner, "row", "a", (ht_forms){.row = pair_row}, err));
    HT_TRY(add(inner, "batch", "b", (ht_forms){.batch = pair_batch, .batch_size = 2}, err));
    HT_TRY(add(inner, "start", "c", (ht_forms){.start = pair_start}, err));
    HT_TRY(add(inner, "body", "d", (ht_forms){.body = pair_body}, err));
    return ht_pipeline_add_pipeline(outer, inner, &as, err);
}

static ht_status run(ht_pipeline *outer, ht_instance *instance, ht_error *err)
{
    static const char *const names[] = {"x", "pairs"};
    const ht_value numbers[] = {ht_value_int(1), ht_value_int(2), ht_value_int(3)};
    ht_value values[2] = {ht_value_null(), ht_value_null()}, inputs = ht_value_null(), out = ht_value_null();
    ht_status status = ht_value_list(numbers, 3, &values[0], err);
    if (status == HT_OK) status = ht_instance_value(instance, &values[1], err);
    if (status == HT_OK) status = ht_value_struct(names, values, 2, &inputs, err);
    if (status == HT_OK) status = ht_pipeline_run(outer, inputs, NULL, &out, err);
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    ht_value_release(inputs);
    ht_value_release(out);
    return status;
}

/* Described with a bound list, then mapped over it. */
static ht_status inspect_and_map(ht_pipeline *inner, ht_instance *instance, ht_error *err)
{
    static const char *const over = "x", *const asked = "a";
    const ht_run_options options = {HT_DESC(ht_run_options), .outputs = &asked, .n_outputs = 1, .map_over = &over,
                                    .n_map_over = 1};
    const ht_value numbers[] = {ht_value_int(1), ht_value_int(2)};
    ht_value list, pairs, seen, out;
    HT_TRY(ht_value_list(numbers, 2, &list, err));
    ht_status status = ht_pipeline_bind(inner, "x", list, err);
    ht_value_release(list);
    HT_TRY(status);
    HT_TRY(ht_instance_value(instance, &pairs, err));
    status = ht_pipeline_bind(inner, "pairs", pairs, err);
    ht_value_release(pairs);
    HT_TRY(status);
    HT_TRY(ht_pipeline_inspect(inner, &seen, err));
    ht_value_release(seen);
    HT_TRY(ht_pipeline_map(inner, ht_value_null(), &options, &out, err));
    ht_value_release(out);
    return HT_OK;
}

static ht_status build_and_run(void *ud, ht_error *err)
{
    ht_pipeline *inner = NULL, *outer = NULL;
    ht_instance *instance = NULL;
    (void)ud;
    ht_status status = ht_pipeline_new("inner", &inner, err);
    if (status == HT_OK) status = ht_pipeline_new("outer", &outer, err);
    if (status == HT_OK) status = ht_instance_new(&pair_class, ht_value_null(), &instance, err);
    if (status == HT_OK) status = build(inner, outer, err);
    if (status == HT_OK) status = run(outer, instance, err);
    if (status == HT_OK) status = inspect_and_map(inner, instance, err);
    ht_instance_release(instance);
    ht_pipeline_release(inner);
    ht_pipeline_release(outer);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    bool reached_end;
    (void)state;
    ht_error err = {0};
    if (build_and_run(NULL, &err) != HT_OK) fail_msg("%s", err.message);
    for (int all_after = 0; all_after < 2; all_after++) {
        const uint64_t refused = fault_alloc_sweep_by(build_and_run, NULL, all_after, 1, 5000, &reached_end);
        print_message("%s%llu runs refused\n", all_after ? "all after: " : "", (unsigned long long)refused);
        assert_true(reached_end);
        assert_true(refused > 50);
    }
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
