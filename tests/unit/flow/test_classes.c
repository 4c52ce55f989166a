/*
 * test_classes.c - classes: loaded lazily and once, called alone, in batches, from the middle of bodies, and when they
 * fail.
 */
#include "flow_test.h"

/* ---- a class that counts what is done to it ---- */

static int n_inits, n_finis, n_rows, n_batches, n_batch_rows, most_rows;
static bool init_fails;

static ht_status init(void **self, ht_value args, ht_error *e)
{
    (void)__atomic_add_fetch(&n_inits, 1, __ATOMIC_SEQ_CST);
    for (const uint64_t end = hti_clock_ns() + 20000000; hti_clock_ns() < end;) continue; /* slow: 20 ms */
    if (init_fails) {
        e->status = HT_NOT_FOUND;
        snprintf(e->message, sizeof e->message, "no such model");
        return HT_NOT_FOUND;
    }
    int64_t *made = malloc(sizeof *made);
    *made = args.as.integer;
    *self = made;
    return HT_OK;
}

static void fini(void *self)
{
    n_finis++;
    free(self);
}

/* A negative number fails. */
static ht_status one(const int64_t *factor, ht_value x, ht_value *out, ht_error *e)
{
    if (x.as.integer < 0) {
        e->status = HT_FAILED;
        snprintf(e->message, sizeof e->message, "negative: %lld", (long long)x.as.integer);
        return HT_FAILED;
    }
    *out = ht_value_int(x.as.integer * *factor);
    return HT_OK;
}

static ht_status times(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)__atomic_add_fetch(&n_rows, 1, __ATOMIC_SEQ_CST);
    return one(self, in[0], out, e);
}

static ht_status times_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    n_batches++;
    n_batch_rows += (int)n;
    most_rows = HTI_MAX(most_rows, (int)n);
    for (size_t k = 0; k < n; k++) {
        const ht_status status = one(self, in[0].rows[k], &out[0][k], e);
        if (status != HT_OK) return status;
    }
    return HT_OK;
}

static const ht_method methods[] = {
    {"times", 1, {.row = times, .batch = times_batch}},
    {"by_four", 1, {.row = times, .batch = times_batch, .batch_size = 4}},
    {"null_bad", 1, {.row = times, .batch = times_batch, .on_error = HT_ON_ERROR_NULL}},
    {"again", 1, {.batch = times_batch, .max_retries = 2}},
};
static const ht_class times_class = {HT_DESC(ht_class), .name = "test.Times", .init = init,
                                     .fini = fini,      .methods = methods,   .n_methods = HTI_LEN(methods)};

static ht_instance *new_instance(int64_t factor)
{
    ht_instance *instance;
    n_inits = n_finis = n_rows = n_batches = n_batch_rows = most_rows = 0;
    init_fails = false;
    OK(ht_instance_new(&times_class, ht_value_int(factor), &instance, &err));
    return instance;
}

/* ---- alone ---- */

static void loaded_at_the_first_call_and_ended_with_the_last_reference(void **state)
{
    ht_value out, args[5];
    (void)state;
    ht_instance *instance = new_instance(3);
    assert_int_equal(n_inits, 0);
    args[0] = ht_value_int(5);
    OK(ht_instance_call(instance, "times", args, 1, &out, &err));
    assert_int_equal(out.as.integer, 15);
    assert_int_equal(n_inits, 1);
    assert_int_equal(n_rows, 1);
    ht_value many[10], results[10];
    for (int i = 0; i < 10; i++) many[i] = ht_value_int(i);
    const ht_column column = {many, false};
    OK(ht_instance_call_batch(instance, "by_four", 10, &column, 1, results, &err));
    for (int i = 0; i < 10; i++) assert_int_equal(results[i].as.integer, 3 * i);
    assert_int_equal(n_batches, 3);
    assert_int_equal(most_rows, 4);
    assert_int_equal(n_inits, 1);
    assert_int_equal(ht_instance_call(instance, "tims", args, 1, &out, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, "has no method 'tims'; there is times, by_four"));
    assert_int_equal(ht_instance_call(instance, "times", args, 2, &out, &err), HT_INVALID);
    ht_instance_release(instance);
    assert_int_equal(n_finis, 1);
}

static void first_call(void *ud)
{
    ht_value out, arg = ht_value_int(2);
    ht_error e = {0};
    if (ht_instance_call(ud, "times", &arg, 1, &out, &e) != HT_OK || out.as.integer != 14) abort();
}

static void eight_first_calls_make_one_object(void **state)
{
    hti_thread *threads[8];
    (void)state;
    ht_instance *instance = new_instance(7);
    for (int i = 0; i < 8; i++) OK(hti_thread_start(first_call, instance, &threads[i], &err));
    for (int i = 0; i < 8; i++) hti_thread_join(threads[i]);
    assert_int_equal(n_inits, 1);
    assert_int_equal(ht_instance_get_stats(instance).objects, 1);
    assert_int_equal(ht_instance_get_stats(instance).rows_alone, 8);
    ht_instance_release(instance);
}

static void failed_init_is_told_once_made_and_kept(void **state)
{
    ht_value out, arg = ht_value_int(2);
    (void)state;
    ht_instance *instance = new_instance(7);
    init_fails = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ht_instance_call(instance, "times", &arg, 1, &out, &err), HT_NOT_FOUND);
        assert_string_equal(err.message, "class 'test.Times' cannot be initialised: no such model");
    }
    assert_int_equal(n_inits, 1);
    ht_instance_release(instance);
    assert_int_equal(n_finis, 0);
}

/* ---- in pipelines ---- */

/* y = method(x) over the items of x; the caller releases *out. */
static ht_status map_method(ht_instance *instance, const char *method, ht_value list, ht_run_options options,
                            ht_value *out)
{
    static const ht_input input = {"x", NULL};
    static const char *const over = "x";
    ht_pipeline *p;
    const ht_value inputs = struct_of("x", list);
    OK(ht_pipeline_new("methods", &p, &err));
    OK(ht_pipeline_add_method(p, "call", instance, method, &input, "y", &err));
    options.size = sizeof options;
    options.map_over = &over;
    options.n_map_over = 1;
    const ht_status status = ht_pipeline_map(p, inputs, &options, out, &err);
    ht_pipeline_release(p);
    ht_value_release(inputs);
    return status;
}

static void check_results(ht_value out, size_t n, int64_t factor)
{
    size_t len;
    const ht_value *items = ht_value_items(out, &len);
    assert_int_equal(len, n);
    for (size_t i = 0; i < n; i++) {
        ht_value y;
        assert_true(ht_value_field(items[i], "y", &y));
        assert_int_equal(y.as.integer, factor * (int64_t)i);
    }
}

static void mapped_rows_become_one_batch(void **state)
{
    ht_value out;
    (void)state;
    ht_instance *instance = new_instance(2);
    OK(map_method(instance, "times", numbers_from(0, 1000), (ht_run_options){0}, &out));
    check_results(out, 1000, 2);
    assert_int_equal(n_batches, 1);
    assert_int_equal(n_rows, 0);
    ht_value_release(out);
    OK(map_method(instance, "by_four", numbers_from(0, 10), (ht_run_options){0}, &out));
    check_results(out, 10, 2);
    assert_int_equal(n_batches, 4); /* 1 + 4 + 4 + 2 rows */
    assert_int_equal(most_rows, 1000);
    ht_value_release(out);
    OK(map_method(instance, "times", numbers_from(0, 10), (ht_run_options){.batch_max = 1}, &out));
    assert_int_equal(n_rows, 10);
    assert_int_equal(n_batches, 4);
    ht_value_release(out);
    OK(map_method(instance, "times", numbers_from(0, 1), (ht_run_options){0}, &out));
    assert_int_equal(n_rows, 11); /* a group of one is a row */
    ht_value_release(out);
    ht_instance_release(instance);
}

static void the_window_bounds_a_batch(void **state)
{
    ht_value out;
    (void)state;
    ht_instance *instance = new_instance(2);
    OK(map_method(instance, "times", numbers_from(0, 100), (ht_run_options){.window = 30}, &out));
    check_results(out, 100, 2);
    assert_int_equal(n_batches, 4);
    assert_int_equal(most_rows, 30);
    ht_value_release(out);
    ht_instance_release(instance);
}

static void bad_rows_are_found_by_halving(void **state)
{
    ht_value out, y;
    size_t n;
    (void)state;
    ht_instance *instance = new_instance(1);
    OK(map_method(instance, "null_bad", numbers_from(-2, 12), (ht_run_options){0}, &out));
    const ht_value *items = ht_value_items(out, &n);
    assert_int_equal(n, 12);
    for (int i = 0; i < 12; i++) {
        assert_true(ht_value_field(items[i], "y", &y));
        if (i < 2)
            assert_int_equal(y.kind, HT_KIND_NULL);
        else
            assert_int_equal(y.as.integer, i - 2);
    }
    ht_value_release(out);
    assert_int_equal(map_method(instance, "again", numbers_from(-1, 3), (ht_run_options){0}, &out), HT_FAILED);
    assert_non_null(strstr(err.message, "node 'call', item 0: in a batch of 3: negative: -1"));
    ht_instance_release(instance);
}

/* ---- bodies written row by row ---- */

/* {"id": i, "value": encoder.times(i)}, in plain C with a call in its middle. */
static ht_status encode_one(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    static const char *const names[] = {"id", "value"};
    ht_value made;
    (void)self;
    HT_TRY(ht_await(body, in[1], "times", &in[0], 1, &made, e));
    const ht_value fields[] = {in[0], made};
    return ht_value_struct(names, fields, 2, out, e);
}

/* Catches the failure of its call. */
static ht_status caught(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_value made;
    (void)self;
    const ht_status status = ht_await(body, in[1], "times", &in[0], 1, &made, e);
    if (status == HT_PARKED) return status;
    out[0] = status == HT_OK ? made : ht_value_int(-1000);
    return HT_OK;
}

static ht_status map_body(ht_body_fn body, ht_instance *instance, ht_value list, const ht_run_options *with,
                          ht_value *out)
{
    static const ht_input inputs[] = {{"x", NULL}, {"encoder", NULL}};
    static const char *const output = "y", *const over = "x", *const names[] = {"x", "encoder"};
    const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = "encode", .inputs = inputs,       .n_inputs = 2,
                               .outputs = &output,    .n_outputs = 1,   .forms = {.body = body}};
    ht_pipeline *inner, *outer;
    ht_value values[2], all;
    values[0] = list;
    OK(ht_instance_value(instance, &values[1], &err));
    OK(ht_value_struct(names, values, 2, &all, &err));
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    OK(ht_pipeline_new("inner", &inner, &err));
    OK(ht_pipeline_new("outer", &outer, &err));
    OK(ht_pipeline_add_node(inner, &desc, &err));
    const ht_as_node as = {HT_DESC(ht_as_node), .name = "each", .map_over = &over, .n_map_over = 1};
    OK(ht_pipeline_add_pipeline(outer, inner, &as, &err));
    const ht_status status = ht_pipeline_run(outer, all, with, out, &err);
    ht_pipeline_release(inner);
    ht_pipeline_release(outer);
    ht_value_release(all);
    return status;
}

static void rows_written_one_by_one_are_called_together(void **state)
{
    ht_value out, list, value;
    size_t n;
    ht_pool *pool;
    (void)state;
    OK(ht_pool_new(4, &pool, &err));
    for (int engine = 0; engine < 2; engine++) {
        const ht_run_options options = {HT_DESC(ht_run_options), .pool = pool,
                                        .engine = engine ? HT_ENGINE_THREADS : HT_ENGINE_SEQUENTIAL};
        ht_instance *instance = new_instance(4);
        OK(map_body(encode_one, instance, numbers_from(0, 500), &options, &out));
        assert_true(ht_value_field(out, "y", &list));
        const ht_value *items = ht_value_items(list, &n);
        assert_int_equal(n, 500);
        for (size_t i = 0; i < n; i++) {
            assert_true(ht_value_field(items[i], "value", &value));
            assert_int_equal(value.as.integer, 4 * (int64_t)i);
        }
        assert_int_equal(n_batches, 1);
        assert_int_equal(n_batch_rows, 500);
        assert_int_equal(n_rows, 0);
        assert_int_equal(n_inits, 1);
        ht_value_release(out);
        ht_instance_release(instance);
    }
    ht_pool_free(pool);
}

/* Started by the program: told once, by whoever ends it. */
typedef struct told {
    int n;
    ht_status status;
    ht_value value;
} told;

static void tell(void *ud, ht_status status, ht_value value, const char *message)
{
    told *t = ud;
    assert_non_null(message);
    t->status = status;
    t->value = value;
    (void)__atomic_add_fetch(&t->n, 1, __ATOMIC_SEQ_CST);
}

static ht_completion *kept;

static ht_status keep_completion(void *self, const ht_value *in, ht_completion *completion, ht_error *e)
{
    (void)self;
    if (in[0].as.integer < 0) return HT_FAIL(e, FAILED, "it does not start");
    kept = completion;
    return HT_OK;
}

static void end_kept(void *ud) { ht_complete(kept, ud); }

static void calls_started_by_the_program_are_told_once(void **state)
{
    static const ht_method later[] = {{"later", 1, {.start = keep_completion}}, {"now", 1, {.row = times}}};
    static const ht_class later_class = {HT_DESC(ht_class), .name = "test.Later", .init = init,
                                         .fini = fini,      .methods = later,     .n_methods = HTI_LEN(later)};
    ht_instance *instance;
    hti_thread *thread;
    told t = {0};
    ht_value answer = ht_value_int(42), arg = ht_value_int(5);
    (void)state;
    n_finis = 0;
    init_fails = false;
    OK(ht_instance_new(&later_class, ht_value_int(3), &instance, &err));
    OK(ht_instance_start(instance, "later", &arg, 1, tell, &t, &err));
    assert_int_equal(t.n, 0);
    ht_instance_release(instance); /* the call keeps it */
    assert_int_equal(n_finis, 0);
    OK(hti_thread_start(end_kept, &answer, &thread, &err));
    hti_thread_join(thread);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.value.as.integer, 42);
    assert_int_equal(n_finis, 1);
    OK(ht_instance_new(&later_class, ht_value_int(3), &instance, &err));
    OK(ht_instance_start(instance, "later", &arg, 1, tell, &t, &err));
    ht_complete_error(kept, HT_IO, "the line broke");
    assert_int_equal(t.n, 2);
    assert_int_equal(t.status, HT_IO);
    OK(ht_instance_start(instance, "now", &arg, 1, tell, &t, &err));
    assert_int_equal(t.n, 3);
    assert_int_equal(t.value.as.integer, 15);
    arg = ht_value_int(-1);
    assert_int_equal(ht_instance_start(instance, "later", &arg, 1, tell, &t, &err), HT_FAILED);
    assert_int_equal(ht_instance_start(instance, "now", &arg, 1, tell, &t, &err), HT_FAILED);
    assert_int_equal(ht_instance_start(instance, "never", &arg, 1, tell, &t, &err), HT_NOT_FOUND);
    assert_int_equal(t.n, 3);
    ht_instance_release(instance);
}

static void a_body_that_parked_counts_as_one_call(void **state)
{
    ht_run_options options = {HT_DESC(ht_run_options)};
    ht_instance *instance = new_instance(4);
    const ht_span *spans;
    uint64_t lost, n_calls = 0;
    ht_value out;
    size_t n, n_pieces = 0;
    (void)state;
    assert_int_equal(ht_trace_new(0, &options.trace, &err), HT_OK);
    assert_int_equal(map_body(encode_one, instance, numbers_from(0, 20), &options, &out), HT_OK);
    assert_int_equal(ht_trace_spans(options.trace, &spans, &n, &lost, &err), HT_OK);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].kind != HT_SPAN_NODE || strcmp(spans[i].name, "encode") != 0) continue;
        n_calls += spans[i].n;
        n_pieces++;
    }
    assert_int_equal(n_calls, 20);
    assert_int_equal(n_pieces, 40); /* each ran to its call, and again with the answer */
    ht_value_release(out);
    ht_instance_release(instance);
    ht_trace_free(options.trace);
}

static void a_trace_tells_loads_and_waits(void **state)
{
    ht_run_options options = {HT_DESC(ht_run_options)};
    ht_instance *instance = new_instance(4);
    const ht_span *spans;
    uint64_t lost, made = 0, loads = 0, waited = 0, batched = 0;
    ht_value out;
    size_t n;
    (void)state;
    OK(ht_trace_new(0, &options.trace, &err));
    OK(map_body(encode_one, instance, numbers_from(0, 20), &options, &out));
    OK(ht_trace_spans(options.trace, &spans, &n, &lost, &err));
    for (size_t i = 0; i < n; i++) {
        assert_true(spans[i].start_ns <= spans[i].end_ns);
        if (spans[i].kind == HT_SPAN_LOAD) loads += spans[i].n, made = spans[i].end_ns;
        if (spans[i].kind == HT_SPAN_WAIT) waited += spans[i].n;
        if (spans[i].kind != HT_SPAN_BATCH) continue;
        batched += spans[i].n;
        assert_true(loads == 0 || made <= spans[i].end_ns);
    }
    assert_int_equal(loads, 1);
    assert_int_equal(waited, batched);
    assert_int_equal(batched, 20);
    ht_value_release(out);
    ht_instance_release(instance);
    ht_trace_free(options.trace);
    instance = new_instance(4); /* a run without a trace tells the last run's nothing */
    OK(map_body(encode_one, instance, numbers_from(0, 20), NULL, &out));
    ht_value_release(out);
    ht_instance_release(instance);
}

static void a_failure_arrives_at_the_call(void **state)
{
    ht_value out, list;
    size_t n;
    (void)state;
    ht_instance *instance = new_instance(4);
    OK(map_body(caught, instance, numbers_from(-1, 3), NULL, &out));
    assert_true(ht_value_field(out, "y", &list));
    const ht_value *items = ht_value_items(list, &n);
    for (size_t i = 0; i < n; i++) assert_int_equal(items[i].as.integer, -1000); /* all of its batch */
    ht_value_release(out);
    assert_int_equal(map_body(encode_one, instance, numbers_from(-1, 3), NULL, &out), HT_FAILED);
    assert_non_null(strstr(err.message, "in 'each': node 'encode', item 0: in a batch of 3: negative: -1"));
    ht_instance_release(instance);
}

static bool always(void *ud)
{
    (void)ud;
    return true;
}

/* ---- a method that calls its own instance ---- */

static ht_instance *own;

static ht_status nest(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    if (in[0].as.integer == 0) {
        out[0] = ht_value_int(7);
        return HT_OK;
    }
    const ht_value less = ht_value_int(in[0].as.integer - 1);
    return ht_instance_call(own, "nest", &less, 1, &out[0], e);
}

static void a_method_does_not_wait_for_itself(void **state)
{
    static const ht_method nests[] = {{"nest", 1, {.row = nest}}};
    static const ht_class cls = {HT_DESC(ht_class), .name = "test.Nest", .init = init,        .fini = fini,
                                 .methods = nests,  .n_methods = 1,      .max_concurrency = 2};
    ht_value out, depth = ht_value_int(1);
    (void)state;
    OK(ht_instance_new(&cls, ht_value_int(1), &own, &err));
    OK(ht_instance_call(own, "nest", &depth, 1, &out, &err)); /* two objects: one call inside */
    assert_int_equal(out.as.integer, 7);
    depth = ht_value_int(2);
    assert_int_equal(ht_instance_call(own, "nest", &depth, 1, &out, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "by a method of the same instance"));
    depth = ht_value_int(1);
    OK(ht_instance_call(own, "nest", &depth, 1, &out, &err));
    ht_instance_release(own);
}

static void a_cancelled_run_ends(void **state)
{
    ht_value out;
    (void)state;
    const ht_monitor monitor = {NULL, always, NULL};
    const ht_run_options options = {HT_DESC(ht_run_options), .monitor = &monitor};
    ht_instance *instance = new_instance(4);
    assert_int_equal(map_body(encode_one, instance, numbers_from(0, 3), &options, &out), HT_CANCELLED);
    assert_int_equal(n_inits, 0);
    ht_instance_release(instance);
}

static int end_of_group(void **state)
{
    (void)state;
    return hti_alloc_get_stats().live_bytes != 0; /* nothing leaked in any test */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_at_the_first_call_and_ended_with_the_last_reference),
        cmocka_unit_test(eight_first_calls_make_one_object),
        cmocka_unit_test(failed_init_is_told_once_made_and_kept),
        cmocka_unit_test(mapped_rows_become_one_batch),
        cmocka_unit_test(the_window_bounds_a_batch),
        cmocka_unit_test(bad_rows_are_found_by_halving),
        cmocka_unit_test(rows_written_one_by_one_are_called_together),
        cmocka_unit_test(calls_started_by_the_program_are_told_once),
        cmocka_unit_test(a_trace_tells_loads_and_waits),
        cmocka_unit_test(a_body_that_parked_counts_as_one_call),
        cmocka_unit_test(a_failure_arrives_at_the_call),
        cmocka_unit_test(a_method_does_not_wait_for_itself),
        cmocka_unit_test(a_cancelled_run_ends),
    };
    return cmocka_run_group_tests(tests, NULL, end_of_group);
}
