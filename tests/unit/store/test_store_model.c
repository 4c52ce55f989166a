/*
 * test_store_model.c - a collection against its naive twin, and the door's contract call by call.
 *
 * HT_SEED repeats a run, HT_ITERS lengthens it.
 */
#include "fast_dir.h"
#include "fault_alloc.h"
#include "fault_sqlite.h"
#include "store_testing.h"

static char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
static ht_error err;

static int set_up(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    assert_int_equal(fault_alloc_live_blocks(), 0);
    return 0;
}

/* Random changes, aborts, reopenings; a reader opened earlier keeps its own state whatever happens. */
static void test_equals_the_twin(void **unused)
{
    (void)unused;
    static twin state, pending, seen;
    const uint64_t seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 40);
    uint64_t random = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    memset(&state, 0, sizeof state);
    hti_store *store = open_store(dir, HTI_STORE_CREATE), *reader = open_store(dir, HTI_STORE_READ);
    seen = state;
    for (uint64_t i = 0; i < iters && state.n_docs + 60 < TWIN_DOCS && state.n_segments < TWIN_SEGMENTS; i++) {
        const uint64_t kind = hti_random_next(&random) % 10, generation = hti_store_generation(store);
        if (kind < 5) {
            if (twin_commit(store, &state, &random, hti_random_next(&random) % 60, &err) != HT_OK)
                fail_msg("%s", err.message);
            assert_true(hti_store_generation(store) <= generation + 1);
        } else if (kind < 7) { /* a change given up, or lost with its store */
            hti_change *change;
            pending = state;
            assert_int_equal(hti_change_begin(store, &change, &err), HT_OK);
            if (twin_change(change, &pending, &random, 20, &err) != HT_OK) fail_msg("%s", err.message);
            if (kind == 5) hti_change_abort(change);
        } else if (kind == 7) {
            hti_store_close(reader);
            reader = open_store(dir, HTI_STORE_READ);
            seen = state;
        }
        if (kind == 6 || kind == 8) {
            hti_store_close(store);
            store = open_store(dir, kind == 6 ? HTI_STORE_WRITE : HTI_STORE_CREATE);
        }
        assert_equals_twin(store, &state);
        assert_equals_twin(reader, &seen);
    }
    assert_true(state.n_docs > 100 || iters < 40);
    assert_whole(store);
    assert_whole(reader);
    hti_store_close(reader);
    hti_store_close(store);
}

static void test_places_without_a_collection(void **unused)
{
    (void)unused;
    hti_store *store;
    temp_dir_path(dir, "absent", path);
    assert_int_equal(hti_store_open(path, HTI_STORE_READ, &store, &err), HT_NOT_FOUND);
    assert_null(store);
    assert_non_null(strstr(err.message, "absent"));
    assert_non_null(strstr(err.message, "hound index"));
    assert_int_equal(hti_store_open(path, HTI_STORE_WRITE, &store, &err), HT_NOT_FOUND);
    assert_int_equal(hti_store_open(dir, HTI_STORE_READ, &store, &err), HT_NOT_FOUND); /* an empty directory */
    assert_int_equal(hti_store_open(dir, HTI_STORE_WRITE, &store, &err), HT_NOT_FOUND);
    temp_dir_path(dir, "houndstooth.lock", path);
    assert_false(hti_path_exists(path)); /* looking leaves nothing */
    temp_dir_path(dir, "letter.txt", path);
    assert_int_equal(hti_replace_file(path, "dear", 4, &err), HT_OK);
    assert_int_equal(hti_store_open(dir, HTI_STORE_READ, &store, &err), HT_NOT_FOUND);
    assert_int_equal(hti_store_open(dir, HTI_STORE_CREATE, &store, &err), HT_EXISTS); /* a foreign directory */
    assert_non_null(strstr(err.message, "letter.txt"));
    assert_int_equal(hti_store_open(path, HTI_STORE_READ, &store, &err), HT_NOT_FOUND); /* a file */
    assert_true(hti_store_open(path, HTI_STORE_CREATE, &store, &err) != HT_OK);
    assert_int_equal(hti_store_open("", HTI_STORE_CREATE, &store, &err), HT_INVALID);
    assert_int_equal(hti_remove(path, &err), HT_OK);
    temp_dir_path(dir, "houndstooth.db", path); /* a creation cut off before its first page */
    assert_int_equal(hti_replace_file(path, "", 0, &err), HT_OK);
    assert_int_equal(hti_store_open(dir, HTI_STORE_READ, &store, &err), HT_NOT_FOUND);
    hti_store_close(open_store(dir, HTI_STORE_CREATE));
    hti_store_close(open_store(dir, HTI_STORE_READ));
    temp_dir_path(dir, "new/and/deep/", path);
    hti_store_close(open_store(path, HTI_STORE_CREATE));
    store = open_store(path, HTI_STORE_READ);
    assert_int_equal(hti_store_generation(store), 0);
    assert_int_equal(hti_store_n_docs(store), 0);
    assert_whole(store);
    hti_store_close(store);
    hti_store_close(NULL);
}

static void test_a_change_follows_its_contract(void **unused)
{
    (void)unused;
    hti_store *store = open_store(dir, HTI_STORE_CREATE), *second;
    hti_change *change, *another;
    const char *first_path, *second_path;
    uint32_t doc;
    const hti_doc nameless = {{"", 0}, {"t", 1}, {"x", 1}}, plain = {{"a", 1}, {NULL, 0}, {NULL, 0}};
    assert_int_equal(hti_store_open(dir, HTI_STORE_WRITE, &second, &err), HT_BUSY);
    assert_int_equal(hti_change_begin(store, &change, &err), HT_OK);
    assert_int_equal(hti_change_begin(store, &another, &err), HT_INVALID);
    assert_int_equal(hti_store_check(store, NULL, NULL, NULL, &err), HT_INVALID);
    assert_int_equal(hti_change_add(change, &nameless, &doc, &err), HT_INVALID);
    assert_int_equal(hti_change_add(change, &plain, &doc, &err), HT_OK);
    assert_int_equal(doc, 0);
    assert_int_equal(hti_change_add(change, &plain, &doc, &err), HT_EXISTS);
    assert_non_null(strstr(err.message, "\"a\""));
    assert_int_equal(hti_change_file(change, "words", &first_path, &err), HT_OK);
    assert_int_equal(hti_change_file(change, "words", &second_path, &err), HT_OK);
    assert_ptr_equal(first_path, second_path);
    static const char *const bad_kinds[] = {"", "../x", "a/b", "A", "a.b", "123456789012345678901234567890123"};
    for (size_t i = 0; i < HTI_LEN(bad_kinds); i++)
        assert_int_equal(hti_change_file(change, bad_kinds[i], &second_path, &err), HT_INVALID);
    assert_int_equal(hti_change_commit(change, &err), HT_INVALID); /* the file was never written */
    assert_non_null(strstr(err.message, "words"));
    assert_int_equal(hti_store_generation(store), 0);
    assert_int_equal(hti_store_find(store, plain.id, &doc, &err), HT_NOT_FOUND);

    assert_int_equal(hti_change_begin(store, &change, &err), HT_OK);
    assert_int_equal(hti_change_set(change, "model", "mini", &err), HT_OK);
    assert_int_equal(hti_change_set(change, "model", "mini", &err), HT_OK);
    assert_int_equal(hti_change_set(change, "model", "maxi", &err), HT_INVALID);
    assert_null(hti_store_setting(store, "model"));
    assert_int_equal(hti_change_commit(change, &err), HT_OK); /* a change of settings alone */
    assert_int_equal(hti_store_generation(store), 1);
    assert_string_equal(hti_store_setting(store, "model"), "mini");
    assert_int_equal(hti_change_begin(store, &change, &err), HT_OK);
    assert_int_equal(hti_change_set(change, "model", "maxi", &err), HT_INVALID);
    assert_int_equal(hti_change_set(change, "model", "mini", &err), HT_OK);
    assert_int_equal(hti_change_commit(change, &err), HT_OK); /* nothing changed: no new generation */
    assert_int_equal(hti_store_generation(store), 1);
    hti_store_close(store);

    store = open_store(dir, HTI_STORE_READ);
    assert_int_equal(hti_change_begin(store, &change, &err), HT_INVALID);
    assert_null(change);
    hti_change_abort(NULL);
    hti_store_close(store);
}

static void test_an_id_may_die_and_come_back_in_one_change(void **unused)
{
    (void)unused;
    hti_store *store = open_store(dir, HTI_STORE_CREATE);
    hti_change *change;
    uint32_t doc, n_deleted;
    const hti_doc one = {{"a", 1}, {"one", 3}, {"", 0}}, two = {{"a", 1}, {"two", 3}, {"", 0}};
    assert_int_equal(hti_change_begin(store, &change, &err), HT_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hti_change_add(change, i == 2 ? &two : &one, &doc, &err), HT_OK);
        if (i < 2) assert_int_equal(hti_change_delete(change, one.id, &err), HT_OK);
        if (i < 2) assert_int_equal(hti_change_delete(change, one.id, &err), HT_NOT_FOUND);
    }
    assert_int_equal(hti_change_commit(change, &err), HT_OK);
    (void)hti_store_deleted(store, &n_deleted);
    assert_int_equal(n_deleted, 2);
    assert_int_equal(hti_store_find(store, one.id, &doc, &err), HT_OK);
    assert_int_equal(doc, 2);
    assert_whole(store);
    hti_store_close(store);
}

/* Files of a dead writer go away with the next one; files of others, and files in use, stay. */
static void test_leftovers_are_removed(void **unused)
{
    (void)unused;
    static twin state;
    static const char *const leftovers[] = {"segment-000009.words", "segment-000009.words.tmp",
                                            "segment-000002.vectors.tmp.part3"};
    static const char *const kept[] = {"segment-", "segment-x", "notes.txt", "segment-1/", "Segment-000009.words"};
    make_collection(dir, &state, 5, 3);
    for (size_t i = 0; i < HTI_LEN(leftovers); i++)
        assert_int_equal(hti_replace_file(temp_dir_path(dir, leftovers[i], path), "x", 1, &err), HT_OK);
    for (size_t i = 0; i < HTI_LEN(kept); i++) {
        (void)temp_dir_path(dir, kept[i], path);
        if (path[strlen(path) - 1] != '/') assert_int_equal(hti_replace_file(path, "x", 1, &err), HT_OK);
    }
    hti_store_close(open_store(dir, HTI_STORE_READ));
    for (size_t i = 0; i < HTI_LEN(leftovers); i++)
        assert_true(hti_path_exists(temp_dir_path(dir, leftovers[i], path)));
    hti_store *store = open_store(dir, HTI_STORE_WRITE);
    for (size_t i = 0; i < HTI_LEN(leftovers); i++)
        assert_false(hti_path_exists(temp_dir_path(dir, leftovers[i], path)));
    for (size_t i = 0; i < HTI_LEN(kept); i++) {
        (void)temp_dir_path(dir, kept[i], path);
        if (path[strlen(path) - 1] != '/') assert_true(hti_path_exists(path));
    }
    assert_equals_twin(store, &state);
    assert_whole(store);
    hti_store_close(store);
}

static ht_status sync_everything(void *ud, ht_error *error)
{
    twin *state = ud;
    uint64_t random = 77;
    hti_store *store, *reader;
    static twin now;
    now = *state;
    HT_TRY(hti_store_open(dir, HTI_STORE_CREATE, &store, error));
    ht_status status = hti_store_warning(store) ? HT_FAIL(error, INTERNAL, "%s", hti_store_warning(store)) : HT_OK;
    hti_arena arena;
    hti_arena_init(&arena);
    hti_doc doc;
    if (status == HT_OK) status = hti_store_doc(store, 3, &arena, &doc, error);
    if (status == HT_OK) status = twin_commit(store, &now, &random, 12, error);
    if (status == HT_OK) status = hti_store_check(store, NULL, print_problem, NULL, error);
    hti_arena_deinit(&arena);
    hti_store_close(store);
    if (status != HT_OK) return status;
    HT_TRY(hti_store_open(dir, HTI_STORE_READ, &reader, error));
    hti_store_close(reader);
    return HT_OK;
}

typedef struct sweep {
    twin before, after; /* `after` is one commit further */
    uint64_t n_old, n_new;
} sweep;

/* One run on a copy of the collection; whatever failed, old or new is there, whole. */
static ht_status run_on_a_copy(void *ud, ht_error *error)
{
    sweep *now = ud;
    const uint64_t at = atomic_load(&fault_alloc_state.fail_at);
    const bool all = atomic_load(&fault_alloc_state.all_after);
    fault_alloc_disarm();
    temp_dir_remove(dir);
    assert_int_equal(hti_make_dirs(dir, &err), HT_OK);
    make_collection(dir, &now->before, 5, 2);
    fault_alloc_arm(at, all);
    const ht_status status = sync_everything(&now->before, error);
    const uint64_t n_failed = fault_alloc_disarm();
    hti_store *store = open_store(dir, HTI_STORE_READ);
    const bool is_new = hti_store_generation(store) == 3;
    if (status == HT_OK) assert_true(is_new);
    assert_equals_twin(store, is_new ? &now->after : &now->before);
    assert_whole(store);
    hti_store_close(store);
    now->n_old += !is_new;
    now->n_new += is_new;
    atomic_store(&fault_alloc_state.n_failed, n_failed);
    return status;
}

static void test_failing_memory(void **unused)
{
    (void)unused;
    static sweep now;
    uint64_t random = 77;
    memset(&now, 0, sizeof now);
    make_collection(dir, &now.after, 5, 2);
    hti_store *store = open_store(dir, HTI_STORE_WRITE);
    assert_int_equal(twin_commit(store, &now.after, &random, 12, &err), HT_OK);
    hti_store_close(store);
    const uint64_t stride = from_env("HT_STRIDE", 23); /* 1: every single one */
    bool reached_end;
    assert_true(fault_alloc_sweep_by(run_on_a_copy, &now, false, stride, 100000, &reached_end) > 50);
    assert_true(reached_end);
    assert_true(fault_alloc_sweep_by(run_on_a_copy, &now, true, 5 * stride, 100000, &reached_end) > 10);
    assert_true(reached_end);
    assert_true(now.n_old > 50 && now.n_new > 5);
    print_message("old %llu, new %llu\n", (unsigned long long)now.n_old, (unsigned long long)now.n_new);
}

int main(void)
{
    fast_dir_use();
    fault_alloc_install();
    fault_sqlite_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_equals_the_twin),
        TEST(test_places_without_a_collection),
        TEST(test_a_change_follows_its_contract),
        TEST(test_an_id_may_die_and_come_back_in_one_change),
        TEST(test_leftovers_are_removed),
        TEST(test_failing_memory),
    };
    return cmocka_run_group_tests_name("store_model", tests, NULL, NULL);
}
