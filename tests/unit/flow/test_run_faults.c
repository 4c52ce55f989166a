/*
 * test_run_faults.c - runs with a cache, in worker processes and out of files, while memory, the disk or the system
 * refuses: every failure is told, nothing leaks, a run needs no cache to end well, and what the cache had stays.
 *
 * Runs with the shim preloaded (tests/support/fault_shim.c); this program is also its own worker. HT_STRIDE samples.
 */
#include "fault_alloc.h"
#include "fault_sqlite.h"
#include "flow_test.h"
#include "temp_dir.h"

#include <houndstooth/pipeline_file.h>

#include <dlfcn.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static void (*arm)(uint64_t n, int errno_value, int all_after);
static uint64_t (*calls_seen)(void);
static void (*watch_dir)(const char *path);
static char dir[TEMP_DIR_CAP], cache_path[2 * TEMP_DIR_CAP], yaml_path[2 * TEMP_DIR_CAP];

/* ---- what runs ---- */

enum { ITEMS = 12, LARGE = 70000 };

/* The number as text; of a multiple of five, so much of it that the cache keeps it in a file. */
static ht_status spell_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    const size_t len = in[0].as.integer % 5 ? 8 : LARGE;
    char *text = hti_alloc(len);
    if (!text) return HTI_NO_MEMORY(e);
    memset(text, 'a' + (char)(in[0].as.integer % 26), len);
    const ht_status status = ht_value_string((ht_text){text, len}, &out[0], e);
    hti_free(text);
    return status;
}

static ht_status spell_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    for (size_t i = 0; i < n; i++) HT_TRY(spell_row(self, &in[0].rows[i], &out[0][i], e));
    return HT_OK;
}

static ht_status none_init(void **self, ht_value args, ht_error *e)
{
    (void)args;
    (void)e;
    *self = NULL;
    return HT_OK;
}

static const ht_input x_input[] = {{"x", NULL}};
static const char *const y_output[] = {"y"};
static const ht_node_desc spell = {
    HT_DESC(ht_node_desc), .name = "spell", .inputs = x_input, .n_inputs = 1,
    .outputs = y_output,   .n_outputs = 1,  .version = "1",    .forms = {.row = spell_row, .batch = spell_batch}};
static const ht_method speller_methods[] = {{"spell", 1, {.row = spell_row, .batch = spell_batch}}};
static const ht_class speller = {HT_DESC(ht_class),          .name = "test.Speller", .init = none_init,
                                 .methods = speller_methods, .n_methods = 1,         .version = "1"};

static ht_status make_registry(ht_registry **out, ht_error *e)
{
    char name[] = "test", *argv[] = {name, NULL};
    HT_TRY(ht_registry_new(out, e));
    (void)ht_worker_main(1, argv, *out);
    ht_status status = ht_registry_add_node(*out, &spell, e);
    if (status == HT_OK) status = ht_registry_add_class(*out, &speller, e);
    if (status == HT_OK) return HT_OK;
    ht_registry_free(*out);
    return status;
}

static ht_status numbers(int64_t first, ht_value *out, ht_error *e)
{
    static const char *const name = "x";
    ht_value items[ITEMS], list;
    for (int64_t i = 0; i < ITEMS; i++) items[i] = ht_value_int(first + i);
    HT_TRY(ht_value_list(items, ITEMS, &list, e));
    const ht_status status = ht_value_struct(&name, &list, 1, out, e);
    ht_value_release(list);
    return status;
}

/* Whether the map's result is what it should be. */
static bool is_right(ht_value out, int64_t first)
{
    size_t n;
    const ht_value *items = ht_value_items(out, &n);
    bool right = n == ITEMS;
    for (size_t i = 0; right && i < n; i++) {
        const int64_t x = first + (int64_t)i;
        ht_value y = ht_value_null();
        right = ht_value_field(items[i], "y", &y) && y.kind == HT_KIND_STRING;
        const ht_text text = right ? ht_value_text(y) : (ht_text){"", 0};
        right = right && text.len == (x % 5 ? 8u : LARGE) && text.data[text.len - 1] == 'a' + (char)(x % 26);
    }
    return right;
}

static ht_status map_from(int64_t first, ht_cache *cache, ht_registry *registry, ht_engine engine, ht_error *e)
{
    static const char *const over = "x";
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine, .n_workers = 2, .registry = registry,
                                    .map_over = &over,       .n_map_over = 1,  .cache = cache};
    ht_pipeline *p = NULL;
    ht_value in, out;
    HT_TRY(numbers(first, &in, e));
    ht_status status = ht_pipeline_new("spelled", &p, e);
    if (status == HT_OK) status = ht_pipeline_add_node(p, &spell, e);
    if (status == HT_OK) status = ht_pipeline_map(p, in, &options, &out, e);
    if (status == HT_OK) {
        if (!is_right(out, first)) status = HT_FAIL(e, INTERNAL, "a wrong result");
        ht_value_release(out);
    }
    ht_pipeline_release(p);
    ht_value_release(in);
    return status;
}

/* ---- memory ---- */

static uint64_t stride(uint64_t otherwise)
{
    const char *text = getenv("HT_STRIDE");
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void sweep(fault_alloc_operation operation, void *ud, uint64_t step, uint64_t least)
{
    ht_error e = {0};
    bool reached_end;
    if (operation(ud, &e) != HT_OK) fail_msg("%s", e.message); /* whatever the process keeps is there now */
    for (int all_after = 0; all_after < 2; all_after++) {
        const uint64_t refused = fault_alloc_sweep_by(operation, ud, all_after, stride(step), 20000, &reached_end);
        print_message("%llu runs refused\n", (unsigned long long)refused);
        assert_true(reached_end);
        assert_true(refused >= least);
    }
}

/* A run with an empty cache, a dry run, and a run that finds everything. */
static ht_status with_cache(void *ud, ht_error *e)
{
    const char *path = ud;
    ht_cache *cache;
    HT_TRY(path ? ht_cache_open(path, NULL, &cache, e) : ht_cache_memory(NULL, &cache, e));
    ht_status status = map_from(0, cache, NULL, HT_ENGINE_SEQUENTIAL, e);
    if (status == HT_OK) {
        static const char *const given = "x";
        ht_pipeline *p = NULL;
        ht_plan *plan = NULL;
        ht_value in = ht_value_null(), rows = ht_value_null();
        status = ht_pipeline_new("spelled", &p, e);
        if (status == HT_OK) status = ht_pipeline_add_node(p, &spell, e);
        if (status == HT_OK) status = ht_plan_new(p, NULL, 0, &given, 1, &plan, e);
        const ht_value three = ht_value_int(3);
        if (status == HT_OK) status = ht_value_struct(&given, &three, 1, &in, e);
        if (status == HT_OK) status = ht_plan_explain_cache(plan, in, cache, NULL, &rows, e);
        ht_value_release(rows);
        ht_value_release(in);
        ht_plan_release(plan);
        ht_pipeline_release(p);
    }
    if (status == HT_OK) status = map_from(0, cache, NULL, HT_ENGINE_SEQUENTIAL, e);
    ht_cache_close(cache);
    return status;
}

static void memory_refused_with_a_cache_in_memory(void **state)
{
    (void)state;
    sweep(with_cache, NULL, 1, 50);
}

static void memory_refused_with_a_cache_on_disk(void **state)
{
    (void)state;
    sweep(with_cache, cache_path, 23, 10);
}

/* Workers begun, a map cut into slices, workers ended. */
static ht_status in_processes(void *ud, ht_error *e)
{
    ht_registry *registry;
    (void)ud;
    HT_TRY(make_registry(&registry, e));
    const ht_status status = map_from(0, NULL, registry, HT_ENGINE_PROCESSES, e);
    ht_registry_free(registry);
    return status;
}

static void memory_refused_with_worker_processes(void **state)
{
    (void)state;
    sweep(in_processes, NULL, 11, 5);
}

static const char yaml[] = "name: spelled\n"
                           "inputs: {x: [1, 2, 5]}\n"
                           "objects:\n"
                           "  s: {class: test.Speller}\n"
                           "nodes:\n"
                           "  - name: each\n"
                           "    pipeline:\n"
                           "      nodes:\n"
                           "        - node: spell\n"
                           "        - {name: again, method: s.spell, inputs: [x], output: z}\n"
                           "    map_over: x\n";

static ht_status load_and_run(void *ud, ht_error *e)
{
    ht_registry *registry;
    ht_pipeline_file *file = NULL;
    ht_plan *plan = NULL, *loaded = NULL;
    ht_writer *writer = NULL;
    ht_value out = ht_value_null();
    size_t len;
    (void)ud;
    HT_TRY(make_registry(&registry, e));
    ht_status status = ht_pipeline_file_load(yaml_path, registry, &file, e);
    if (status == HT_OK) status = ht_plan_new(ht_pipeline_file_pipeline(file), NULL, 0, NULL, 0, &plan, e);
    if (status == HT_OK) status = ht_writer_new(&writer, e);
    if (status == HT_OK) status = ht_plan_print(plan, HT_PLAN_JSON, writer, e);
    const char *json = writer ? ht_writer_data(writer, &len) : NULL;
    if (status == HT_OK) status = ht_plan_load((ht_text){json, len}, registry, &loaded, e);
    if (status == HT_OK) status = ht_plan_run(loaded, ht_value_null(), NULL, &out, e);
    ht_value_release(out);
    ht_writer_free(writer);
    ht_plan_release(loaded);
    ht_plan_release(plan);
    ht_pipeline_file_free(file);
    ht_registry_free(registry);
    return status;
}

static void memory_refused_while_a_file_is_read(void **state)
{
    (void)state;
    OK(hti_replace_file(yaml_path, yaml, sizeof yaml - 1, &err));
    sweep(load_and_run, NULL, 1, 100);
}

/* ---- the disk ---- */

enum { UNTOUCHED = 100 }; /* added where fewer than n calls were made */

/* Half of the items are known already. What cannot be kept is no failure of the run. */
static ht_status run_on_disk(ht_error *e)
{
    ht_cache *cache;
    HT_TRY(ht_cache_open(cache_path, NULL, &cache, e));
    const ht_status status = map_from(ITEMS / 2, cache, NULL, HT_ENGINE_SEQUENTIAL, e);
    ht_cache_close(cache);
    return status == HT_OK ? HT_OK : HT_FAIL(e, INTERNAL, "the run failed: %.500s", e->message);
}

static ht_status read_file(ht_error *e) { return load_and_run(NULL, e); }

static int in_child(ht_status (*operation)(ht_error *), uint64_t n, int errno_value, bool all)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        ht_error e = {0};
        arm(n, errno_value, all);
        const ht_status status = operation(&e);
        const uint64_t seen = calls_seen();
        arm(0, EIO, 0);
        if (status != HT_OK && !e.message[0]) _exit(90);
        if (status == HT_INTERNAL || status == HT_CORRUPT) (void)fprintf(stderr, "call %d: %s\n", (int)n, e.message);
        _exit((int)status + (seen < n ? UNTOUCHED : 0));
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void disk_refuses(int errno_value, bool all)
{
    static const ht_status told[] = {HT_OK, HT_IO, HT_NO_SPACE, HT_BUSY, HT_NOT_FOUND};
    uint64_t n = 1, refused = 0;
    for (int code = 0;; n += stride(1)) {
        ht_cache *cache;
        ht_cache_stats stats;
        bool expected = false;
        temp_dir_remove(cache_path);
        OK(ht_cache_open(cache_path, NULL, &cache, &err));
        OK(map_from(0, cache, NULL, HT_ENGINE_SEQUENTIAL, &err));
        ht_cache_close(cache);
        code = in_child(run_on_disk, n, errno_value, all);
        for (size_t i = 0; i < HTI_LEN(told); i++) expected |= code % UNTOUCHED == (int)told[i];
        if (!expected) fail_msg("call %llu: status %d", (unsigned long long)n, code);
        refused += code % UNTOUCHED != HT_OK;
        OK(ht_cache_open(cache_path, NULL, &cache, &err));
        OK(map_from(0, cache, NULL, HT_ENGINE_SEQUENTIAL, &err));
        OK(ht_cache_get_stats(cache, &stats, &err));
        ht_cache_close(cache);
        if (stats.hits != ITEMS || stats.damaged)
            fail_msg("call %llu: %llu of %d items are left", (unsigned long long)n, (unsigned long long)stats.hits,
                     ITEMS);
        if (code >= UNTOUCHED) break;
    }
    print_message("%llu calls, %llu runs refused\n", (unsigned long long)n, (unsigned long long)refused);
    assert_true(n > 5);
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    disk_refuses(ENOSPC, false);
    disk_refuses(ENOSPC, true);
}

static void a_failing_disk_loses_nothing(void **state)
{
    (void)state;
    disk_refuses(EIO, false);
    disk_refuses(EIO, true);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    OK(hti_replace_file(yaml_path, yaml, sizeof yaml - 1, &err));
    for (uint64_t n = 1;; n++) {
        const int code = in_child(read_file, n, EIO, false);
        if (code >= UNTOUCHED) {
            assert_int_equal(code, UNTOUCHED);
            assert_true(n > 1);
            break;
        }
        assert_true(code == HT_IO || code == HT_OK);
    }
}

static void find(const char *name, void *fn)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found) fail_msg("%s is missing: is the shim preloaded?", name);
    memcpy(fn, &found, sizeof found);
}

static int set_up(void **unused)
{
    (void)unused;
    find("ht_fault_arm", &arm);
    find("ht_fault_seen", &calls_seen);
    find("ht_fault_dir", &watch_dir);
    temp_dir_make(dir);
    temp_dir_path(dir, "cache", cache_path);
    temp_dir_path(dir, "pipeline.yaml", yaml_path);
    watch_dir(dir);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    return 0;
}

int main(int argc, char **argv)
{
    ht_registry *registry;
    if (make_registry(&registry, &err) != HT_OK) return 1;
    const int code = ht_worker_main(argc, argv, registry);
    ht_registry_free(registry);
    if (code >= 0) return code;
    fault_alloc_install();
    fault_sqlite_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_refused_with_a_cache_in_memory),
                                       cmocka_unit_test(memory_refused_with_a_cache_on_disk),
                                       cmocka_unit_test(memory_refused_with_worker_processes),
                                       cmocka_unit_test(memory_refused_while_a_file_is_read),
                                       cmocka_unit_test(a_full_disk_loses_nothing),
                                       cmocka_unit_test(a_failing_disk_loses_nothing),
                                       cmocka_unit_test(a_file_that_cannot_be_read_is_told)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
