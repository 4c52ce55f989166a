/*
 * test_store_crash.c - kills, two writers, readers beside a writer, read-only places, full disks.
 *
 * HT_ITERS is the number of kills. After each the collection holds the old state or the new one, whole.
 */
#include "fast_dir.h"
#include "store_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
    return 0;
}

static pid_t start_child(void)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody waiting */
    return child;
}

static int end_of(pid_t child)
{
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    return how;
}

static void nap(uint64_t nanoseconds)
{
    const struct timespec time = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
    nanosleep(&time, NULL);
}

/* What the child has reached: states[done] is committed, states[done + 1] may be. Shared memory survives a kill. */
typedef struct progress {
    volatile uint32_t done;
    twin states[8];
} progress;

static _Noreturn void commit_all(progress *shared, uint64_t seed)
{
    hti_store *store;
    uint64_t random = seed;
    if (hti_store_open(dir, HTI_STORE_CREATE, &store, NULL) != HT_OK) _exit(1);
    for (uint32_t i = 1; i < 8; i++) {
        twin now = shared->states[i - 1];
        if (twin_commit(store, &now, &random, 25, NULL) != HT_OK) _exit(2);
        shared->done = i;
    }
    hti_store_close(store);
    _exit(0);
}

/* The states that commit_all passes through, from a run of the same seed without disks. */
static void foresee(progress *shared, uint64_t seed)
{
    char other[TEMP_DIR_CAP];
    uint64_t random = seed;
    temp_dir_make(other);
    memset(&shared->states[0], 0, sizeof shared->states[0]);
    hti_store *store = open_store(other, HTI_STORE_CREATE);
    for (uint32_t i = 1; i < 8; i++) {
        shared->states[i] = shared->states[i - 1];
        if (twin_commit(store, &shared->states[i], &random, 25, &err) != HT_OK) fail_msg("%s", err.message);
    }
    hti_store_close(store);
    temp_dir_remove(other);
}

/* After a random number of commits (however slow this machine is now) and a random part of the next one. */
static void kill_at_random(pid_t child, const progress *shared, uint64_t *random, uint64_t commit_ns)
{
    const uint32_t target = (uint32_t)(hti_random_next(random) % 7);
    siginfo_t info = {0};
    while (shared->done < target && info.si_pid == 0) {
        nap(50000);
        assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    }
    nap(hti_random_next(random) % commit_ns);
    (void)kill(child, SIGKILL);
}

static void test_a_kill_leaves_old_or_new(void **unused)
{
    (void)unused;
    progress *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    const uint64_t iters = from_env("HT_ITERS", 50), seed = from_env("HT_SEED", 1);
    uint64_t random = seed, n_unfinished = 0, n_middle = 0, whole_ns = 40000000;
    foresee(shared, seed);
    for (uint64_t i = 0; i < iters; i++) {
        temp_dir_remove(dir);
        shared->done = 0;
        const uint64_t start = hti_clock_ns();
        const pid_t child = start_child();
        if (child == 0) commit_all(shared, seed);
        if (i > 0) kill_at_random(child, shared, &random, HTI_MIN(whole_ns / 8, 3000000));
        const int how = end_of(child);
        if (i == 0) whole_ns = hti_clock_ns() - start; /* the first one runs to its end and gives the measure */
        assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) == 0);
        const uint32_t done = shared->done;
        hti_store *store;
        const ht_status status = hti_store_open(dir, HTI_STORE_READ, &store, &err);
        if (status == HT_NOT_FOUND && done == 0) continue; /* killed before there was a collection */
        if (status != HT_OK) fail_msg("kill %llu: %s", (unsigned long long)i, err.message);
        const uint64_t generation = hti_store_generation(store);
        if (generation != done && generation != done + 1)
            fail_msg("generation %d, %u committed", (int)generation, done);
        assert_equals_twin(store, &shared->states[generation]);
        assert_whole(store);
        hti_store_close(store);
        twin next = shared->states[generation]; /* and life goes on */
        store = open_store(dir, HTI_STORE_WRITE);
        if (twin_commit(store, &next, &random, 10, &err) != HT_OK) fail_msg("%s", err.message);
        assert_equals_twin(store, &next);
        assert_whole(store);
        hti_store_close(store);
        n_unfinished += done < 7;
        n_middle += done > 0 && done < 7;
    }
    print_message("%llu kills, %llu before the end, %llu between commits\n", (unsigned long long)(iters - 1),
                  (unsigned long long)n_unfinished, (unsigned long long)n_middle);
    assert_true(iters < 50 || n_middle > 0); /* a loaded machine may let many children end */
    munmap(shared, sizeof *shared);
}

static void test_two_writers(void **unused)
{
    (void)unused;
    static twin state;
    int ready[2];
    hti_store *store;
    make_collection(dir, &state, 3, 2);
    assert_int_equal(pipe(ready), 0);
    const pid_t child = start_child();
    if (child == 0) {
        hti_change *change;
        uint64_t random = 1;
        store = NULL;
        if (hti_store_open(dir, HTI_STORE_WRITE, &store, NULL) != HT_OK) _exit(1);
        if (hti_change_begin(store, &change, NULL) != HT_OK || twin_change(change, &state, &random, 20, NULL) != HT_OK)
            _exit(2);
        if (write(ready[1], "x", 1) == 1) pause();
        _exit(3);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    const uint64_t start = hti_clock_ns();
    assert_int_equal(hti_store_open(dir, HTI_STORE_WRITE, &store, &err), HT_BUSY);
    assert_int_equal(hti_store_open(dir, HTI_STORE_CREATE, &store, &err), HT_BUSY);
    assert_true(hti_clock_ns() - start < 1000000000); /* at once */
    store = open_store(dir, HTI_STORE_READ);          /* readers are not disturbed */
    assert_equals_twin(store, &state);
    assert_whole(store);
    kill(child, SIGKILL);
    (void)end_of(child);
    assert_equals_twin(store, &state);
    hti_store_close(store);
    store = open_store(dir, HTI_STORE_WRITE); /* the lock died with its holder */
    assert_equals_twin(store, &state);
    assert_whole(store);
    hti_store_close(store);
    close(ready[0]);
    close(ready[1]);
}

/* Opens, checks and looks up until the writer `child` has ended; returns how often it had not yet. */
static uint64_t read_beside(pid_t child, const progress *shared)
{
    uint64_t n_opened = 0;
    int how = 0;
    while (waitpid(child, &how, WNOHANG) == 0) {
        const uint32_t done_before = shared->done;
        hti_store *store = open_store(dir, HTI_STORE_READ);
        const uint32_t done_after = shared->done;
        const uint64_t generation = hti_store_generation(store);
        assert_true(generation >= done_before && generation <= done_after + 1);
        assert_whole(store);
        assert_equals_twin(store, &shared->states[generation]);
        hti_store_close(store);
        n_opened++;
    }
    assert_int_equal(how, 0);
    return n_opened;
}

static void test_readers_beside_a_writer(void **unused)
{
    (void)unused;
    progress *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    foresee(shared, 9);
    uint64_t n_opened = 0;
    for (int round = 0; round < 100 && n_opened < 20; round++) { /* on a loaded machine a writer may run alone */
        temp_dir_remove(dir);
        shared->done = 0;
        hti_store_close(open_store(dir, HTI_STORE_CREATE));
        const pid_t child = start_child();
        if (child == 0) commit_all(shared, 9);
        hti_store *first = open_store(dir, HTI_STORE_READ);
        const uint64_t first_generation = hti_store_generation(first);
        n_opened += read_beside(child, shared);
        assert_equals_twin(first, &shared->states[first_generation]);
        hti_store_close(first);
    }
    assert_true(n_opened > 0);
    munmap(shared, sizeof *shared);
}

/* Runs as a user who may read but not write: 65534 if we are root. */
static int read_without_permission(const twin *state, ht_status expected)
{
    const pid_t child = start_child();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(9);
        hti_store *store;
        const ht_status status = hti_store_open(dir, HTI_STORE_READ, &store, &err);
        if (status != expected) {
            fprintf(stderr, "%s: %s\n", ht_status_name(status), err.message);
            _exit(1);
        }
        if (status == HT_OK) {
            assert_equals_twin(store, state);
            if (hti_store_check(store, NULL, NULL, NULL, &err) != HT_OK) _exit(2);
            hti_store_close(store);
        }
        ht_error refused = {0};
        if (hti_store_open(dir, HTI_STORE_WRITE, &store, &refused) == HT_OK) _exit(3);
        _exit(refused.message[0] ? 0 : 4);
    }
    return end_of(child);
}

static void permit(bool writing)
{
    assert_int_equal(chmod(dir, writing ? 0755 : 0555), 0);
    static const char *const names[] = {"houndstooth.db", "houndstooth.db-wal", "houndstooth.db-shm",
                                        "houndstooth.lock"};
    for (size_t i = 0; i < HTI_LEN(names); i++)
        if (hti_path_exists(temp_dir_path(dir, names[i], path)))
            assert_int_equal(chmod(path, writing ? 0644 : 0444), 0);
}

static void test_reading_without_permission_to_write(void **unused)
{
    (void)unused;
    static twin state;
    make_collection(dir, &state, 4, 3);
    permit(false);
    assert_int_equal(read_without_permission(&state, HT_OK), 0); /* log and index are there: SQLite's locks hold */
    permit(true);
    assert_int_equal(hti_remove(temp_dir_path(dir, "houndstooth.db-wal", path), &err), HT_OK);
    assert_int_equal(hti_remove(temp_dir_path(dir, "houndstooth.db-shm", path), &err), HT_OK);
    permit(false);
    assert_int_equal(read_without_permission(&state, HT_OK), 0); /* copied without them: immutable */
    permit(true);

    /* A writer that died leaves a log that holds the newest generation. */
    const pid_t child = start_child();
    if (child == 0) {
        uint64_t random = 8;
        hti_store *store, *reader;
        if (hti_store_open(dir, HTI_STORE_READ, &reader, NULL) != HT_OK ||
            hti_store_open(dir, HTI_STORE_WRITE, &store, NULL) != HT_OK)
            _exit(1);
        _exit(twin_commit(store, &state, &random, 5, NULL) == HT_OK ? 0 : 2);
    }
    assert_int_equal(end_of(child), 0);
    hti_store *store = open_store(dir, HTI_STORE_READ);
    assert_int_equal(hti_store_generation(store), 4);
    hti_store_close(store);
    permit(false);
    static twin next;
    uint64_t random = 8;
    permit(true);
    next = state;
    { /* the same change on the twin alone, by a copy of the collection */
        char other[TEMP_DIR_CAP];
        temp_dir_make(other);
        make_collection(other, &next, 4, 3);
        store = open_store(other, HTI_STORE_WRITE);
        assert_int_equal(twin_commit(store, &next, &random, 5, &err), HT_OK);
        hti_store_close(store);
        temp_dir_remove(other);
    }
    permit(false);
    assert_int_equal(read_without_permission(&next, HT_OK), 0);
    permit(true);
}

static void test_a_full_disk_changes_nothing(void **unused)
{
    (void)unused;
    static twin state;
    make_collection(dir, &state, 6, 3);
    for (rlim_t limit = 1000; limit < 8000000; limit += limit / 2) { /* no file may grow beyond */
        const pid_t child = start_child();
        if (child == 0) {
            signal(SIGXFSZ, SIG_IGN);
            const struct rlimit small = {limit, limit};
            uint64_t random = 5;
            hti_store *store;
            setrlimit(RLIMIT_FSIZE, &small);
            ht_status status = hti_store_open(dir, HTI_STORE_WRITE, &store, &err);
            if (status == HT_OK) status = twin_commit(store, &state, &random, 200, &err);
            if (status == HT_OK) _exit(0);
            if (status != HT_NO_SPACE)
                fprintf(stderr, "limit %llu: %s: %s\n", (unsigned long long)limit, ht_status_name(status), err.message);
            _exit(status == HT_NO_SPACE ? 7 : 1);
        }
        const int how = end_of(child);
        if (WEXITSTATUS(how) == 0) return; /* enough room */
        assert_int_equal(WEXITSTATUS(how), 7);
        hti_store *store = open_store(dir, HTI_STORE_READ);
        assert_equals_twin(store, &state);
        assert_whole(store);
        hti_store_close(store);
        hti_store_close(open_store(dir, HTI_STORE_WRITE));
    }
    fail_msg("the change never fitted");
}

int main(void)
{
    fast_dir_use();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_kill_leaves_old_or_new),    TEST(test_two_writers),
        TEST(test_readers_beside_a_writer),     TEST(test_reading_without_permission_to_write),
        TEST(test_a_full_disk_changes_nothing),
    };
    return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
