/*
 * test_cache.c - caches on disk and in memory: what is put comes back, or nothing does; never anything else.
 */
#include "os/os.h"

#include <houndstooth/cache.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "temp_dir.h"

static ht_error err;
#define OK(call)                                          \
    do {                                                  \
        if ((call) != HT_OK) fail_msg("%s", err.message); \
    } while (0)

static ht_key key_of(uint64_t i) { return (ht_key){i * 0x9E3779B97F4A7C15ULL, ~i}; }

/* A value that tells its key, of any length. */
static char *value_of(uint64_t i, size_t len)
{
    char *data = malloc(len + 1);
    for (size_t k = 0; k < len; k++) data[k] = (char)(i * 31 + k * 7 + (k >> 8));
    return data;
}

static void put(ht_cache *cache, uint64_t i, size_t len)
{
    char *data = value_of(i, len);
    const ht_cache_entry entry = {.key = key_of(i), .data = data, .len = len, .node = "node"};
    OK(ht_cache_put(cache, &entry, 1, &err));
    free(data);
}

/* True if it is there, and then it must be whole. */
static bool get(ht_cache *cache, uint64_t i, size_t len)
{
    ht_writer *writer;
    bool found;
    size_t got;
    OK(ht_writer_new(&writer, &err));
    OK(ht_cache_get(cache, key_of(i), writer, &found, &err));
    const void *data = ht_writer_data(writer, &got);
    if (found) {
        char *expected = value_of(i, len);
        assert_int_equal(got, len);
        assert_memory_equal(data, expected, len);
        free(expected);
    }
    ht_writer_free(writer);
    return found;
}

static uint64_t the_time = 1000000;
static uint64_t fake_now(void *ud)
{
    (void)ud;
    return the_time;
}

static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 1 << 20};

static void what_is_put_comes_back(void **state)
{
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    for (int kind = 0; kind < 2; kind++) {
        ht_cache *cache;
        bool found;
        OK(kind ? ht_cache_memory(NULL, &cache, &err) : ht_cache_open(dir, NULL, &cache, &err));
        for (size_t i = 0; i < HTI_LEN(sizes); i++) {
            assert_false(get(cache, i, sizes[i]));
            put(cache, i, sizes[i]);
            assert_true(get(cache, i, sizes[i]));
        }
        put(cache, 0, 70000); /* replaced by a larger one, and back */
        assert_true(get(cache, 0, 70000));
        put(cache, 0, 0);
        assert_true(get(cache, 0, 0));
        OK(ht_cache_has(cache, key_of(1), &found, &err));
        assert_true(found);
        ht_cache_stats stats;
        OK(ht_cache_get_stats(cache, &stats, &err));
        assert_int_equal(stats.entries, HTI_LEN(sizes));
        assert_int_equal(stats.puts, HTI_LEN(sizes) + 2);
        assert_int_equal(stats.hits, HTI_LEN(sizes) + 2);
        assert_int_equal(stats.misses, HTI_LEN(sizes));
        if (!kind) { /* again by another object */
            ht_cache *again;
            OK(ht_cache_open(dir, NULL, &again, &err));
            for (size_t i = 0; i < HTI_LEN(sizes); i++) assert_true(get(again, i, sizes[i]));
            ht_cache_close(again);
            assert_string_equal(ht_cache_path(cache), dir);
        }
        OK(ht_cache_clear(cache, &err));
        for (size_t i = 0; i < HTI_LEN(sizes); i++) assert_false(get(cache, i, sizes[i]));
        ht_cache_close(cache);
    }
    temp_dir_remove(dir);
}

static void the_least_recently_used_leave(void **state)
{
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    for (int kind = 0; kind < 2; kind++) {
        const ht_cache_options options = {HT_DESC(ht_cache_options), .max_bytes = 100000, .now = fake_now};
        ht_cache *cache;
        OK(kind ? ht_cache_memory(&options, &cache, &err) : ht_cache_open(dir, &options, &cache, &err));
        for (uint64_t i = 0; i < 90; i++) put(cache, i, 1000);
        assert_true(get(cache, 0, 1000)); /* used last */
        for (uint64_t i = 90; i < 110; i++) put(cache, i, 1000);
        ht_cache_stats stats;
        OK(ht_cache_get_stats(cache, &stats, &err));
        assert_true(stats.bytes <= 100000);
        assert_true(stats.evicted >= 10);
        assert_true(get(cache, 0, 1000));
        assert_false(get(cache, 1, 1000));
        assert_true(get(cache, 109, 1000));
        ht_cache_close(cache);
    }
    temp_dir_remove(dir);
}

static void the_old_leave(void **state)
{
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    for (int kind = 0; kind < 2; kind++) {
        const ht_cache_options options = {HT_DESC(ht_cache_options), .max_age_s = 3600, .now = fake_now};
        ht_cache *cache;
        uint64_t freed;
        OK(kind ? ht_cache_memory(&options, &cache, &err) : ht_cache_open(dir, &options, &cache, &err));
        put(cache, 1, 100);
        put(cache, 3, 100000);
        the_time += 3000;
        put(cache, 2, 100);
        assert_true(get(cache, 1, 100));
        the_time += 700;
        assert_false(get(cache, 1, 100));
        assert_true(get(cache, 2, 100));
        OK(ht_cache_prune(cache, &freed, &err));
        assert_true(freed >= 100000);
        ht_cache_stats stats;
        OK(ht_cache_get_stats(cache, &stats, &err));
        assert_int_equal(stats.entries, 1);
        ht_cache_close(cache);
    }
    temp_dir_remove(dir);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void damage_is_a_miss(void **state)
{
    char path[500], command[1200];
    ht_cache *cache;
    ht_cache_stats stats;
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    OK(ht_cache_open(dir, NULL, &cache, &err));
    put(cache, 1, 100000);
    put(cache, 2, 100000);
    put(cache, 3, 100);
    snprintf(command, sizeof command,
             "f=$(ls %s/files/* | head -1); printf X | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null", dir);
    assert_int_equal(system(command), 0);
    const bool first = get(cache, 1, 100000), second = get(cache, 2, 100000);
    assert_true(first != second);
    assert_true(get(cache, 3, 100));
    OK(ht_cache_get_stats(cache, &stats, &err));
    assert_int_equal(stats.damaged, 1);
    put(cache, first ? 2 : 1, 100000); /* made again */
    assert_true(get(cache, 1, 100000) && get(cache, 2, 100000));
    ht_cache_close(cache);
    snprintf(path, sizeof path, "%s/cache.db", dir); /* the database itself */
    write_text(path,
               "this is no database at all, and it never was one ................................................");
    OK(ht_cache_open(dir, NULL, &cache, &err));
    OK(ht_cache_get_stats(cache, &stats, &err));
    assert_int_equal(stats.damaged, 1);
    assert_int_equal(stats.entries, 0);
    put(cache, 1, 100);
    assert_true(get(cache, 1, 100));
    uint64_t freed;
    OK(ht_cache_prune(cache, &freed, &err)); /* files of the lost database */
    assert_true(freed >= 200000);
    ht_cache_close(cache);
    snprintf(path, sizeof path, "%s/damaged-1/cache.db", dir);
    assert_int_equal(access(path, F_OK), 0);
    temp_dir_remove(dir);
}

/* ---- threads and processes ---- */

typedef struct shared_use {
    ht_cache *cache;
    uint64_t first;
} shared_use;

static void use_it(void *ud)
{
    const shared_use *use = ud;
    for (uint64_t i = 0; i < 100; i++) {
        put(use->cache, use->first + i, 200 + i);
        put(use->cache, 10000 + i, 70000); /* everybody's */
        (void)get(use->cache, 10000 + (i * 7) % 100, 70000);
        assert_true(get(use->cache, use->first + i, 200 + i));
    }
}

static void many_threads_share_one(void **state)
{
    ht_cache *cache;
    hti_thread *threads[4];
    shared_use uses[4];
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    OK(ht_cache_open(dir, NULL, &cache, &err));
    for (int i = 0; i < 4; i++) {
        uses[i] = (shared_use){cache, (uint64_t)i * 1000};
        OK(hti_thread_start(use_it, &uses[i], &threads[i], &err));
    }
    for (int i = 0; i < 4; i++) hti_thread_join(threads[i]);
    ht_cache_close(cache);
    temp_dir_remove(dir);
}

static void many_processes_share_a_directory(void **state)
{
    pid_t pids[3];
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            ht_cache *cache;
            if (ht_cache_open(dir, NULL, &cache, &err) != HT_OK) {
                (void)fprintf(stderr, "%s\n", err.message);
                _exit(2);
            }
            shared_use use = {cache, (uint64_t)i * 1000};
            use_it(&use);
            ht_cache_close(cache);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int how;
        assert_int_equal(waitpid(pids[i], &how, 0), pids[i]);
        assert_int_equal(how, 0);
    }
    ht_cache *cache;
    OK(ht_cache_open(dir, NULL, &cache, &err));
    for (uint64_t i = 0; i < 300; i++) assert_true(get(cache, i / 100 * 1000 + i % 100, 200 + i % 100));
    ht_cache_close(cache);
    temp_dir_remove(dir);
}

/* The child tells through a pipe what it has put; after its death all of that is there and whole. */
static void what_was_put_outlives_a_kill(void **state)
{
    uint64_t seed = 7, n_told = 0;
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    for (int round = 0; round < 40; round++) {
        int tube[2];
        assert_int_equal(pipe(tube), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            ht_cache *cache;
            if (ht_cache_open(dir, NULL, &cache, &err) != HT_OK) _exit(2);
            for (uint64_t i = 0;; i++) {
                const uint64_t number = (uint64_t)round * 100000 + i;
                put(cache, number, i % 5 == 0 ? 80000 : 300);
                if (write(tube[1], &number, sizeof number) != sizeof number) _exit(3);
            }
        }
        close(tube[1]);
        uint64_t last = 0, number;
        bool any = false;
        hti_sleep_ns(2000000 + hti_random_next(&seed) % 30000000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(tube[0], &number, sizeof number) == sizeof number) {
            last = number;
            any = true;
        }
        close(tube[0]);
        if (!any) continue;
        ht_cache *cache;
        OK(ht_cache_open(dir, NULL, &cache, &err));
        for (uint64_t i = (uint64_t)round * 100000; i <= last; i++, n_told++)
            assert_true(get(cache, i, i % 100000 % 5 == 0 ? 80000 : 300));
        for (uint64_t i = last + 1; i < last + 5; i++) (void)get(cache, i, i % 100000 % 5 == 0 ? 80000 : 300);
        ht_cache_stats stats;
        OK(ht_cache_get_stats(cache, &stats, &err));
        assert_int_equal(stats.damaged, 0);
        ht_cache_close(cache);
    }
    print_message("40 kills, %llu puts told before them, every one there\n", (unsigned long long)n_told);
    assert_true(n_told > 100);
    temp_dir_remove(dir);
}

static void speed(void **state)
{
    enum { N = 10000 };
    ht_cache *cache;
    ht_writer *writer;
    bool found;
    (void)state;
    char dir[TEMP_DIR_CAP];
    temp_dir_make(dir);
    OK(ht_cache_open(dir, NULL, &cache, &err));
    OK(ht_writer_new(&writer, &err));
    uint64_t start = hti_clock_ns();
    for (uint64_t i = 0; i < N; i++) put(cache, i, 100);
    const double a_put = (double)(hti_clock_ns() - start) / 1e3 / N;
    start = hti_clock_ns();
    for (uint64_t i = 0; i < N; i++) {
        ht_writer_clear(writer);
        OK(ht_cache_get(cache, key_of(i), writer, &found, &err));
    }
    print_message("a put of 100 bytes %.1f us, a get %.2f us, of %d values\n", a_put,
                  (double)(hti_clock_ns() - start) / 1e3 / N, N);
    ht_writer_free(writer);
    ht_cache_close(cache);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(the_least_recently_used_leave),
        cmocka_unit_test(the_old_leave),
        cmocka_unit_test(damage_is_a_miss),
        cmocka_unit_test(many_processes_share_a_directory),
        cmocka_unit_test(what_was_put_outlives_a_kill),
        cmocka_unit_test(many_threads_share_one),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
