/*
 * test_gpu_slots.c - case 35 of the acceptance list: shares of GPUs are checked, counted, held by objects and told.
 *
 * No GPU is needed: HT_GPUS says how many there are. This program is also its own worker.
 */
#include "flow/registry_int.h"
#include "flow_test.h"

#include <unistd.h>

/* The device that init and the call see, as "init call list". */
typedef struct seen {
    int32_t at_init;
} seen;

static ht_status seen_init(void **self, ht_value args, ht_error *e)
{
    if (args.kind == HT_KIND_BOOL) return HT_FAIL(e, FAILED, "no model");
    seen *s = malloc(sizeof *s);
    s->at_init = ht_current_device();
    *self = s;
    return HT_OK;
}

static ht_status tell_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    char text[100];
    (void)in;
    const char *listed = getenv("CUDA_VISIBLE_DEVICES");
    const int len = snprintf(text, sizeof text, "%d %d [%s]", (int)((seen *)self)->at_init, (int)ht_current_device(),
                             listed ? listed : "unset");
    return ht_value_string((ht_text){text, (size_t)len}, &out[0], e);
}

static const ht_method methods[] = {{"tell", 1, {.row = tell_row}}};
#define GPU_CLASS(class_name, n, most, away)                                                                          \
    {                                                                                                                 \
        HT_DESC(ht_class), .name = (class_name), .init = seen_init, .fini = free, .methods = methods, .n_methods = 1, \
                           .max_concurrency = (most), .use_process = (away), .gpus = (n)                              \
    }
static const ht_class none = GPU_CLASS("None", 0, 1, false), half = GPU_CLASS("Half", .5, 2, false),
                      one = GPU_CLASS("One", 1, 4, false), two = GPU_CLASS("Two", 2, 1, false),
                      away_one = GPU_CLASS("AwayOne", 1, 2, true), away_none = GPU_CLASS("AwayNone", 0, 1, true);
static const ht_class *const classes[] = {&none, &half, &one, &two, &away_one, &away_none};

static void expect_told(ht_instance *instance, const char *text)
{
    const ht_value x = ht_value_null();
    ht_value out;
    OK(ht_instance_call(instance, "tell", &x, 1, &out, &err));
    assert_string_equal(ht_value_text(out).data, text);
    ht_value_release(out);
}

static void expect_refused(ht_instance *instance, ht_status status, const char *words)
{
    const ht_value x = ht_value_null();
    ht_value out;
    assert_int_equal(ht_instance_call(instance, "tell", &x, 1, &out, &err), status);
    if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
}

static ht_instance *new_instance(const ht_class *cls)
{
    ht_instance *instance;
    OK(ht_instance_new(cls, ht_value_null(), &instance, &err));
    return instance;
}

static void case_35_shares_are_checked(void **state)
{
    (void)state;
    static const double good[] = {0, .25, 1, 2, 64}, bad[] = {-1, 1.5, 65, 1e300};
    ht_instance *instance;
    for (size_t i = 0; i < HTI_LEN(good); i++) {
        const ht_class cls = GPU_CLASS("C", good[i], 1, false);
        OK(ht_instance_new(&cls, ht_value_null(), &instance, &err));
        ht_instance_release(instance);
    }
    for (size_t i = 0; i < HTI_LEN(bad); i++) {
        const ht_class cls = GPU_CLASS("C", bad[i], 1, false);
        assert_int_equal(ht_instance_new(&cls, ht_value_null(), &instance, &err), HT_INVALID);
        assert_non_null(strstr(err.message, "gpus is a share of one"));
    }
}

static void case_35_objects_hold_slots_from_making_to_end(void **state)
{
    (void)state;
    assert_int_equal(setenv("HT_GPUS", "2", 1), 0);
    ht_instance *a = new_instance(&half), *b = new_instance(&half), *c = new_instance(&one), *d = new_instance(&two),
                *n = new_instance(&none);
    expect_told(a, "0 0 [unset]");
    expect_told(b, "0 0 [unset]"); /* two halves fit */
    expect_told(c, "1 1 [unset]");
    expect_told(n, "-1 -1 [unset]");
    assert_int_equal(ht_current_device(), -1);
    expect_refused(d, HT_LIMIT, "class 'Two' wants 2 GPUs, and too much of the 2 is held");
    ht_instance_release(a);
    ht_instance_release(b);
    expect_refused(d, HT_LIMIT, "held by other objects");
    ht_instance_release(c);
    expect_told(d, "0 0 [unset]"); /* asked again, it is made */
    ht_instance_release(d);
    assert_int_equal(setenv("HT_GPUS", "1", 1), 0);
    d = new_instance(&two);
    expect_refused(d, HT_UNSUPPORTED, "class 'Two' wants 2 GPUs, and there is 1");
    ht_instance_release(d);
    ht_instance_release(n);
}

static void case_35_a_failed_making_gives_its_slot_back(void **state)
{
    (void)state;
    ht_instance *instance, *whole = new_instance(&one);
    assert_int_equal(setenv("HT_GPUS", "1", 1), 0);
    OK(ht_instance_new(&one, ht_value_bool(true), &instance, &err));
    expect_refused(instance, HT_FAILED, "no model");
    expect_told(whole, "0 0 [unset]");
    ht_instance_release(instance);
    ht_instance_release(whole);
}

static ht_status wait_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)e;
    hti_sleep_ns(2000000);
    out[0] = ht_value_int(ht_current_device());
    return HT_OK;
}

/* Four objects may live and two devices are there: two calls at a time, the others wait for those. */
static void case_35_more_objects_than_slots_wait_for_each_other(void **state)
{
    (void)state;
    static const ht_method wait_methods[] = {{"wait", 1, {.row = wait_row}}};
    static const ht_class waiting = {HT_DESC(ht_class),       .name = "Waiting", .init = seen_init,    .fini = free,
                                     .methods = wait_methods, .n_methods = 1,    .max_concurrency = 4, .gpus = 1};
    ht_instance *instance = new_instance(&waiting);
    assert_int_equal(setenv("HT_GPUS", "2", 1), 0);
    const ht_input x = {"x", NULL};
    const char *const over = "x";
    ht_pipeline *p;
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_method(p, "wait", instance, "wait", &x, "device", &err));
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = HT_ENGINE_THREADS, .n_workers = 4,
                                    .map_over = &over, .n_map_over = 1};
    const ht_value in = struct_of("x", numbers_from(0, 16));
    ht_value out;
    size_t n;
    OK(ht_pipeline_map(p, in, &options, &out, &err));
    const ht_value *items = ht_value_items(out, &n);
    assert_int_equal(n, 16);
    for (size_t i = 0; i < n; i++) assert_in_range(int_of(items[i], "device"), 0, 1);
    assert_in_range(ht_instance_get_stats(instance).objects, 1, 2);
    ht_value_release(out);
    ht_value_release(in);
    ht_pipeline_release(p);
    ht_instance_release(instance);
}

static ht_registry *registry;

static void case_35_processes_see_their_own_alone(void **state)
{
    (void)state;
    ht_instance *away, *nothing, *taken = new_instance(&one);
    assert_int_equal(setenv("HT_GPUS", "2", 1), 0);
    assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7", 1), 0);
    expect_told(taken, "0 0 [5,GPU-7]");
    OK(ht_registry_instance(registry, "AwayOne", ht_value_null(), &away, &err));
    OK(ht_registry_instance(registry, "AwayNone", ht_value_null(), &nothing, &err));
    expect_told(away, "0 0 [GPU-7]"); /* its device 0 is our second */
    expect_told(nothing, "-1 -1 []");
    ht_instance_release(taken);
    ht_instance_release(away);
    ht_instance_release(nothing);
}

int main(int argc, char **argv)
{
    OK(ht_registry_new(&registry, &err));
    for (size_t i = 0; i < HTI_LEN(classes); i++) OK(ht_registry_add_class(registry, classes[i], &err));
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) return code;
    (void)unsetenv("CUDA_VISIBLE_DEVICES");
    const struct CMUnitTest tests[] = {cmocka_unit_test(case_35_shares_are_checked),
                                       cmocka_unit_test(case_35_objects_hold_slots_from_making_to_end),
                                       cmocka_unit_test(case_35_a_failed_making_gives_its_slot_back),
                                       cmocka_unit_test(case_35_more_objects_than_slots_wait_for_each_other),
                                       cmocka_unit_test(case_35_processes_see_their_own_alone)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_registry_free(registry);
    return failed;
}
