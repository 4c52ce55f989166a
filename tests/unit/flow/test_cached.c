/*
 * test_cached.c - pipelines with a cache: what is known is not computed again, item by item, and never taken for
 * something else; a run that is killed goes on where it stopped.
 *
 *     test_cached [N]     kills a cached map N times, default 10
 */
#include "flow_test.h"
#include "temp_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static ht_registry *registry;

/* ---- nodes that count ---- */

static int n_calls, n_batches;

static ht_status describe_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    char text[100];
    (void)self;
    n_calls++;
    if (in[0].kind == HT_KIND_INT && in[0].as.integer == 666) return HT_FAIL(e, FAILED, "no");
    if (in[0].kind == HT_KIND_INT && in[0].as.integer == 555) return HT_OK; /* null is a result like any other */
    ht_value_describe(in[0], text, sizeof text);
    return ht_value_string((ht_text){text, strlen(text)}, &out[0], e);
}

static ht_status scale_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    (void)self;
    (void)e;
    n_batches++;
    for (size_t i = 0; i < n; i++, n_calls++)
        out[0][i] = ht_value_int(in[0].rows[i].as.integer * in[1].rows[0].as.integer);
    return HT_OK;
}

static ht_status scaler_init(void **self, ht_value args, ht_error *e)
{
    (void)e;
    *self = malloc(sizeof(int64_t));
    *(int64_t *)*self = args.as.integer;
    return HT_OK;
}

static ht_status scaler_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)e;
    n_calls++;
    out[0] = ht_value_int(in[0].as.integer * *(int64_t *)self);
    return HT_OK;
}

static const ht_method scaler_methods[] = {{"scale", 1, {.row = scaler_row}}, {"again", 1, {.row = scaler_row}}};
static const ht_class scaler = {HT_DESC(ht_class),         .name = "test.Scaler", .init = scaler_init, .fini = free,
                                .methods = scaler_methods, .n_methods = 2,        .version = "1"};

/* Writes a line for each item that it computes, so that a killed process's work is known. */
static ht_status slow_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    char line[32];
    (void)self;
    (void)e;
    const char *log = getenv("HT_TEST_LOG");
    if (!log) abort();
    hti_sleep_ns(30000);
    const int fd = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    const int len = snprintf(line, sizeof line, "%lld\n", (long long)in[0].as.integer);
    assert_int_equal(write(fd, line, (size_t)len), len);
    close(fd);
    out[0] = ht_value_int(in[0].as.integer * in[0].as.integer);
    return HT_OK;
}

static const ht_input x_input[] = {{"x", NULL}}, xk_input[] = {{"x", NULL}, {"k", NULL}};
static const char *const y_output[] = {"y"};
static const ht_node_desc describe_node = {
    HT_DESC(ht_node_desc), .name = "test.describe",        .inputs = x_input, .n_inputs = 1, .outputs = y_output,
    .n_outputs = 1,        .forms = {.row = describe_row}, .version = "1"};
static const ht_node_desc scale_node = {HT_DESC(ht_node_desc),
                                        .name = "test.scale",
                                        .inputs = xk_input,
                                        .n_inputs = 2,
                                        .outputs = y_output,
                                        .n_outputs = 1,
                                        .forms = {.batch = scale_batch},
                                        .version = "1"};
static const ht_node_desc slow_node = {
    HT_DESC(ht_node_desc), .name = "test.slow", .inputs = x_input,          .n_inputs = 1,
    .outputs = y_output,   .n_outputs = 1,      .forms = {.row = slow_row}, .version = "1"};

static ht_value inputs_of(ht_value x, const ht_value *k)
{
    const char *const names[] = {"x", "k"};
    ht_value values[] = {x, k ? *k : ht_value_null()}, inputs;
    OK(ht_value_struct(names, values, k ? 2 : 1, &inputs, &err));
    ht_value_release(x);
    return inputs;
}

/* ---- keys ---- */

static int calls_of(const ht_pipeline *p, ht_value x, ht_cache *cache)
{
    const ht_run_options options = {HT_DESC(ht_run_options), .cache = cache};
    ht_value inputs = inputs_of(x, NULL), out;
    const int before = n_calls;
    OK(ht_pipeline_run(p, inputs, &options, &out, &err));
    ht_value_release(out);
    ht_value_release(inputs);
    return n_calls - before;
}

static void values_of_different_types_are_different(void **state)
{
    ht_cache *cache;
    ht_value text, values[8];
    (void)state;
    OK(ht_cache_memory(NULL, &cache, &err));
    ht_pipeline *p = pipeline_of(&describe_node);
    OK(ht_value_string((ht_text){"1", 1}, &text, &err));
    values[0] = ht_value_int(1);
    values[1] = ht_value_float(1);
    values[2] = ht_value_bool(true);
    values[3] = ht_value_null();
    values[4] = text;
    OK(ht_value_bytes("1", 1, &values[5], &err));
    OK(ht_value_list(&text, 1, &values[6], &err));
    values[7] = ht_value_float(-0.0);
    for (int i = 0; i < 8; i++) assert_int_equal(calls_of(p, ht_value_retain(values[i]), cache), 1);
    for (int i = 0; i < 8; i++) assert_int_equal(calls_of(p, ht_value_retain(values[i]), cache), 0);
    for (int i = 0; i < 8; i++) ht_value_release(values[i]);
    assert_int_equal(calls_of(p, ht_value_int(555), cache), 1);
    assert_int_equal(calls_of(p, ht_value_int(555), cache), 0); /* null */
    ht_pipeline_release(p);
    ht_node_desc newer = describe_node, without = describe_node;
    newer.version = "2";
    without.version = NULL;
    p = pipeline_of(&newer);
    assert_int_equal(calls_of(p, ht_value_int(1), cache), 1);
    ht_pipeline_release(p);
    p = pipeline_of(&without);
    assert_int_equal(calls_of(p, ht_value_int(1), cache), 1);
    assert_int_equal(calls_of(p, ht_value_int(1), cache), 1);
    ht_pipeline_release(p);
    ht_cache_close(cache);
}

static void an_instance_counts_as_class_and_arguments(void **state)
{
    ht_cache *cache;
    (void)state;
    OK(ht_cache_memory(NULL, &cache, &err));
    for (int round = 0; round < 2; round++)
        for (int64_t k = 2; k < 4; k++)
            for (int m = 0; m < 2; m++) {
                ht_instance *instance;
                ht_pipeline *p = pipeline_of(NULL);
                OK(ht_instance_new(&scaler, ht_value_int(k), &instance, &err));
                OK(ht_pipeline_add_method(p, "scaled", instance, scaler_methods[m].name, x_input, "y", &err));
                assert_int_equal(calls_of(p, ht_value_int(10), cache), round == 0);
                assert_int_equal(ht_instance_get_stats(instance).objects, round == 0); /* not even loaded */
                ht_pipeline_release(p);
                ht_instance_release(instance);
            }
    ht_cache_close(cache);
}

static void failures_are_not_kept(void **state)
{
    ht_cache *cache;
    ht_value out;
    (void)state;
    OK(ht_cache_memory(NULL, &cache, &err));
    const ht_run_options options = {HT_DESC(ht_run_options), .cache = cache};
    for (int policy = HT_ON_ERROR_RAISE; policy <= HT_ON_ERROR_NULL; policy++) {
        ht_node_desc desc = describe_node;
        desc.forms.on_error = (ht_on_error)policy;
        ht_pipeline *p = pipeline_of(&desc);
        for (int i = 0; i < 2; i++) {
            ht_value inputs = inputs_of(ht_value_int(666), NULL);
            const int before = n_calls;
            const ht_status status = ht_pipeline_run(p, inputs, &options, &out, &err);
            assert_int_equal(status, policy == HT_ON_ERROR_RAISE ? HT_FAILED : HT_OK);
            assert_int_equal(n_calls - before, 1);
            ht_value_release(out);
            ht_value_release(inputs);
        }
        ht_pipeline_release(p);
    }
    ht_cache_close(cache);
}

/* ---- items ---- */

static const char *const over_x[] = {"x"};

static void items_hit_one_by_one(void **state)
{
    char dir[TEMP_DIR_CAP];
    (void)state;
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine++) {
        ht_cache *cache;
        ht_value out, expected = ht_value_null();
        temp_dir_make(dir);
        OK(ht_cache_open(dir, NULL, &cache, &err));
        ht_pipeline *p = pipeline_of(&scale_node);
        const ht_value k = ht_value_int(3);
        for (int round = 0; round < 3; round++) { /* 100 new; 50 known and 50 new; all known */
            counted c = {0};
            ht_run_options options = {HT_DESC(ht_run_options), .cache = cache,       .engine = (ht_engine)engine,
                                      .registry = registry,    .n_workers = 2,       .map_over = over_x,
                                      .n_map_over = 1,         .event = count_event, .ud = &c};
            ht_value inputs = inputs_of(numbers_from(round ? 50 : 0, 100), &k);
            OK(ht_pipeline_map(p, inputs, &options, &out, &err));
            assert_int_equal(c.cached, round == 0 ? 0 : round == 1 ? 50 : 100);
            assert_int_equal(c.started, 100 - c.cached);
            assert_int_equal(c.ended, 100 - c.cached);
            if (engine != HT_ENGINE_PROCESSES) assert_int_equal(c.batches, round < 2);
            if (round == 2) assert_true(ht_value_equal(out, expected));
            ht_value_release(expected);
            expected = out;
            ht_value_release(inputs);
        }
        ht_value_release(expected);
        ht_pipeline_release(p);
        ht_cache_close(cache);
        temp_dir_remove(dir);
    }
}

/* ---- killed ---- */

enum { ITEMS = 2000 };

static int run_slow(const char *dir, ht_engine engine)
{
    ht_cache *cache;
    ht_value out, y;
    size_t n;
    OK(ht_cache_open(dir, NULL, &cache, &err));
    const ht_run_options options = {HT_DESC(ht_run_options), .cache = cache, .map_over = over_x,  .n_map_over = 1,
                                    .engine = engine,        .n_workers = 2, .registry = registry};
    ht_pipeline *p = pipeline_of(&slow_node);
    ht_value inputs = inputs_of(numbers_from(0, ITEMS), NULL);
    OK(ht_pipeline_map(p, inputs, &options, &out, &err));
    const ht_value *items = ht_value_items(out, &n);
    int good = n == ITEMS;
    for (size_t i = 0; i < n; i++)
        good &= ht_value_field(items[i], "y", &y) && y.kind == HT_KIND_INT && y.as.integer == (int64_t)(i * i);
    ht_value_release(out);
    ht_value_release(inputs);
    ht_pipeline_release(p);
    ht_cache_close(cache);
    return good;
}

static size_t lines_of(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t n = 0;
    for (int c; file && (c = fgetc(file)) != EOF;) n += c == '\n';
    if (file) fclose(file);
    return n;
}

static int n_kills = 10;

static void a_killed_map_goes_on(void **state)
{
    char dir[TEMP_DIR_CAP], log[TEMP_DIR_CAP + 10];
    uint64_t seed = 11;
    size_t n_again = 0, n_killed = 0, most = 0;
    (void)state;
    for (int round = 0; round < n_kills; round++) {
        temp_dir_make(dir);
        snprintf(log, sizeof log, "%s/log", dir);
        setenv("HT_TEST_LOG", log, 1);
        const pid_t pid = fork();
        if (pid == 0) _exit(run_slow(dir, HT_ENGINE_SEQUENTIAL) ? 0 : 1);
        hti_sleep_ns(3000000 + hti_random_next(&seed) % 190000000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        const size_t done = lines_of(log);
        n_killed += done < ITEMS;
        assert_true(run_slow(dir, HT_ENGINE_SEQUENTIAL));
        const size_t all = lines_of(log), again = all - ITEMS; /* items computed twice */
        assert_true(all >= ITEMS);
        n_again += again;
        most = HTI_MAX(most, again);
        assert_true(run_slow(dir, HT_ENGINE_SEQUENTIAL)); /* all known now */
        assert_int_equal(lines_of(log), all);
        temp_dir_remove(dir);
    }
    print_message("%d kills, %zu before the end; of %d items %.1f computed twice on average, %zu at most\n", n_kills,
                  n_killed, ITEMS, (double)n_again / n_kills, most);
    assert_true(most <= 256);
}

static void processes_share_it(void **state)
{
    char dir[TEMP_DIR_CAP], log[TEMP_DIR_CAP + 10];
    (void)state;
    temp_dir_make(dir);
    snprintf(log, sizeof log, "%s/log", dir);
    setenv("HT_TEST_LOG", log, 1);
    ht_registry *kept = registry; /* fresh children, which see the log's name */
    OK(ht_registry_new(&registry, &err));
    OK(ht_registry_add_node(registry, &slow_node, &err));
    char name[] = "test", *argv[] = {name, NULL};
    assert_int_equal(ht_worker_main(1, argv, registry), -1);
    assert_true(run_slow(dir, HT_ENGINE_PROCESSES));
    assert_int_equal(lines_of(log), ITEMS);
    assert_true(run_slow(dir, HT_ENGINE_PROCESSES));
    assert_true(run_slow(dir, HT_ENGINE_THREADS));
    assert_int_equal(lines_of(log), ITEMS);
    ht_registry_free(registry);
    registry = kept;
    temp_dir_remove(dir);
}

int main(int argc, char **argv)
{
    OK(ht_registry_new(&registry, &err));
    OK(ht_registry_add_node(registry, &scale_node, &err));
    OK(ht_registry_add_node(registry, &slow_node, &err));
    OK(ht_registry_add_class(registry, &scaler, &err));
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    if (argc > 1) n_kills = (int)strtol(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_different_types_are_different),
        cmocka_unit_test(an_instance_counts_as_class_and_arguments),
        cmocka_unit_test(failures_are_not_kept),
        cmocka_unit_test(a_killed_map_goes_on),
        cmocka_unit_test(items_hit_one_by_one),
        cmocka_unit_test(processes_share_it),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_registry_free(registry);
    return failed;
}
