/*
 * test_plaid_faults.c - every allocation and every system call of building, opening and searching fails once.
 *
 * Runs with the system-call shim preloaded (see tests/support/fault_shim.c).
 */
#include "plaid_scene.h"

#include "fault_alloc.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>

static plaid_scene scene;
static ht_pool *pool;
static char target[2 * TEMP_DIR_CAP];
static void (*arm_calls)(uint64_t n, int errno_value, int all_after);
static uint64_t (*calls_seen)(void);
static void (*watch_dir)(const char *path);

static void find(const char *name, void *fn)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found) fail_msg("%s is missing: is the shim preloaded?", name);
    memcpy(fn, &found, sizeof found);
}

static ht_status do_nothing(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    (void)ud;
    (void)chunk;
    (void)thread;
    (void)err;
    return HT_OK;
}

static int set_up(void **unused)
{
    (void)unused;
    find("ht_fault_arm", &arm_calls);
    find("ht_fault_seen", &calls_seen);
    find("ht_fault_dir", &watch_dir);
    scene_make(&scene, 7, 30, 20, 40, 5);
    scene_segment(&scene, HT_VECTOR_INT8, 0, 30);
    (void)temp_dir_path(scene.dir, "target", target);
    watch_dir(scene.dir);
    SCENE_OK(ht_pool_new(2, &pool, &scene_err));
    SCENE_OK(
        hti_pool_run(pool, 2, do_nothing, NULL, &scene_err)); /* its thread has started and freed what it began with */
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    arm_calls(0, EIO, 0);
    ht_pool_free(pool);
    scene_free(&scene);
    return 0;
}

/* Files in the scene's directory. */
static size_t n_files(void)
{
    size_t n = 0;
    DIR *list = opendir(scene.dir);
    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list));) n += entry->d_name[0] != '.';
    (void)closedir(list);
    return n;
}

static ht_status build(void *ud, ht_error *err)
{
    return scene_try_build(&scene, target, *(const ht_vector_type *)ud, 0, scene.n_docs, err);
}

static ht_status open_and_search(void *ud, ht_error *err)
{
    (void)ud;
    const char *const paths[2] = {scene.paths[0], scene.paths[0]};
    ht_plaid *plaid;
    ht_plaid_session *session = NULL;
    ht_hit hits[10];
    double scores[2];
    const uint32_t docs[2] = {0, 31};
    size_t n_hits;
    ht_plaid_match matches[5];
    ht_status status = ht_plaid_open(paths, 2, &plaid, err);
    if (status == HT_OK) status = ht_plaid_session_new(plaid, pool, &session, err);
    if (status == HT_OK) status = ht_plaid_search(session, scene.query, scene.n_query, NULL, 10, hits, &n_hits, err);
    if (status == HT_OK) status = ht_plaid_search_pooled(session, scene.query, NULL, 10, hits, &n_hits, err);
    if (status == HT_OK) status = ht_plaid_score(session, scene.query, scene.n_query, docs, 2, scores, err);
    if (status == HT_OK) status = ht_plaid_matches(session, scene.query, scene.n_query, hits[0].doc, matches, err);
    if (status == HT_OK) status = ht_plaid_verify(plaid, NULL, err);
    ht_plaid_session_free(session);
    ht_plaid_close(plaid);
    return status;
}

static void test_build_without_memory(void **unused)
{
    (void)unused;
    const size_t before = n_files();
    for (int type = HT_VECTOR_INT8; type <= HT_VECTOR_F16; type++)
        for (int all = 0; all < 2; all++) {
            ht_vector_type now = (ht_vector_type)type;
            assert_true(fault_alloc_sweep(build, &now, all, 1000) > 5);
            assert_int_equal(n_files(), before + 1); /* the last run, left alone, built it; no side file stays */
            assert_int_equal(remove(target), 0);
        }
}

static void test_search_without_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(open_and_search, NULL, false, 1000) > 5);
    assert_true(fault_alloc_sweep(open_and_search, NULL, true, 1000) > 5);
}

/* The n-th counted system call fails with `number`: a status, a message, no memory lost, and no file unless built. */
static uint64_t sweep_calls(fault_alloc_operation operation, void *ud, int number, bool all_after)
{
    uint64_t n_refused = 0;
    for (uint64_t n = 1; n < 2000; n++) {
        ht_error err = {0};
        const int64_t before = fault_alloc_live_blocks();
        arm_calls(n, number, all_after);
        const ht_status status = operation(ud, &err);
        const bool struck = calls_seen() >= n;
        arm_calls(0, EIO, 0);
        assert_int_equal(fault_alloc_live_blocks(), before);
        if (status != HT_OK && err.message[0] == '\0') fail_msg("call %llu: no message", (unsigned long long)n);
        if (status != HT_OK && number == ENOSPC) assert_int_equal(status, HT_NO_SPACE);
        if (operation == build && status == HT_OK) { /* then it is whole */
            const char *const paths[1] = {target};
            ht_plaid *plaid;
            SCENE_OK(ht_plaid_open(paths, 1, &plaid, &scene_err));
            SCENE_OK(ht_plaid_verify(plaid, NULL, &scene_err));
            ht_plaid_close(plaid);
        }
        n_refused += status != HT_OK;
        if (!struck) return n_refused;
    }
    fail_msg("the sweep did not end");
    return 0;
}

static void test_full_disk(void **unused)
{
    (void)unused;
    const size_t before = n_files();
    for (int type = HT_VECTOR_INT8; type <= HT_VECTOR_F16; type++) {
        ht_vector_type now = (ht_vector_type)type;
        assert_true(sweep_calls(build, &now, ENOSPC, true) > 3);
        assert_int_equal(remove(target), 0);
        assert_int_equal(n_files(), before);
    }
}

static void test_failing_calls(void **unused)
{
    (void)unused;
    ht_vector_type type = HT_VECTOR_INT8;
    assert_true(sweep_calls(build, &type, EIO, false) > 5);
    assert_int_equal(remove(target), 0);
    assert_true(sweep_calls(open_and_search, NULL, EIO, false) > 1);
}

/* A refused write stays refused: the later calls of the builder report it too, and finish cleans up. */
static void test_failure_is_sticky(void **unused)
{
    (void)unused;
    ht_plaid_builder *builder;
    ht_plaid_build_opts opts;
    ht_plaid_build_opts_init(&opts);
    opts.dim = 4096;
    float *vectors = calloc(400 * 4096, sizeof *vectors); /* more than the file's buffer */
    assert_non_null(vectors);
    const size_t before = n_files();
    SCENE_OK(ht_plaid_builder_new(target, &opts, &builder, &scene_err));
    arm_calls(1, ENOSPC, 1);
    assert_int_equal(ht_plaid_builder_add(builder, vectors, 400, NULL, &scene_err), HT_NO_SPACE);
    arm_calls(0, EIO, 0);
    scene_err.message[0] = '\0';
    assert_int_equal(ht_plaid_builder_add(builder, vectors, 1, NULL, &scene_err), HT_NO_SPACE);
    assert_non_null(strstr(scene_err.message, target));
    assert_int_equal(ht_plaid_builder_finish(builder, NULL, &scene_err), HT_NO_SPACE);
    assert_int_equal(n_files(), before);
    free(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_without_memory),
        cmocka_unit_test(test_search_without_memory),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_failure_is_sticky),
    };
    fault_alloc_install();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
