/*
 * test_service_kill.c - `hound index` killed at random moments, and with every system call failing in turn.
 *
 * HOUND is the program, FAULT_SHIM the preload library. After each kill or failure `hound check` must find a
 * whole collection (or none, if it was never begun) and a rerun must complete it. HT_KILLS (200), HT_ITERS
 * (2000) and HT_SEED set the lengths.
 */
#include "base/base.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "small_corpus.h"

enum { N_DOCS = 50, EXIT_NOT_FOUND = 3, EXIT_EXISTS = 4, MAX_ARGS = 12 };

static char dir[TEMP_DIR_CAP], corpus_path[2 * TEMP_DIR_CAP], collection_path[2 * TEMP_DIR_CAP],
    log_path[2 * TEMP_DIR_CAP];
static char count_path[2 * TEMP_DIR_CAP];

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static pid_t start(const char *const *args, const char *const *env)
{
    const char *hound = getenv("HOUND");
    assert_non_null(hound);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) return child;
    const int log = open(log_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) _exit(126);
    char *argv[MAX_ARGS] = {(char *)(uintptr_t)hound};
    for (size_t i = 0; args[i] && i + 2 < MAX_ARGS; i++) argv[i + 1] = (char *)(uintptr_t)args[i];
    for (size_t i = 0; env && env[i]; i++)
        if (putenv((char *)(uintptr_t)env[i]) != 0) _exit(126);
    (void)execv(hound, argv);
    _exit(127);
}

/* Exit code, or 1000 + signal. */
static int finish(pid_t child)
{
    int outcome;
    while (waitpid(child, &outcome, 0) < 0) {
    }
    return WIFSIGNALED(outcome) ? 1000 + WTERMSIG(outcome) : WEXITSTATUS(outcome);
}

static const char *log_text(void)
{
    static char text[2000];
    FILE *file = fopen(log_path, "r");
    const size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = '\0';
    if (file) (void)fclose(file);
    return text;
}

static pid_t start_index(const char *const *env)
{
    const char *const args[] = {"index",     collection_path, "--corpus", corpus_path, "--model",
                                SMALL_MODEL, "--quiet",       "--jobs",   "1",         NULL};
    return start(args, env);
}

static int check(void)
{
    const char *const args[] = {"check", collection_path, "--quiet", NULL};
    return finish(start(args, NULL));
}

static void expect_whole(uint32_t n_docs)
{
    ht_error err = {0};
    ht_collection *collection;
    if (ht_collection_open(collection_path, NULL, &collection, &err) != HT_OK) fail_msg("%s", err.message);
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(collection, &info);
    if (info.warning) fail_msg("%s", info.warning);
    assert_int_equal(info.n_docs, n_docs);
    ht_collection_close(collection);
}

/* What must hold after an index run that was stopped: a whole collection or none; a rerun completes it. */
static void check_then_complete(const char *when, uint64_t n)
{
    const int whole = check();
    if (whole != 0 && whole != EXIT_NOT_FOUND)
        fail_msg("%s %llu: check says %d: %s", when, (unsigned long long)n, whole, log_text());
    const int again = finish(start_index(NULL));
    if (again != 0 && again != EXIT_EXISTS)
        fail_msg("%s %llu: the rerun says %d: %s", when, (unsigned long long)n, again, log_text());
    const int after = check();
    if (after != 0)
        fail_msg("%s %llu: check after the rerun says %d: %s", when, (unsigned long long)n, after, log_text());
    expect_whole(N_DOCS);
    temp_dir_remove(collection_path);
}

static void sleep_ns(uint64_t ns)
{
    const struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL);
}

static uint64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The fastest of five whole runs: on a busy machine a mean would put most kills behind the end. */
static uint64_t time_of_a_run(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        const uint64_t begin = now();
        assert_int_equal(finish(start_index(NULL)), 0);
        least = HTI_MIN(least, now() - begin);
        temp_dir_remove(collection_path);
    }
    return least;
}

static void test_killed_at_random_moments(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1), n_killed = 0, n_before = 0;
    const uint64_t n_kills = from_env("HT_KILLS", 200), duration = time_of_a_run();
    for (uint64_t i = 0; i < n_kills; i++) {
        const pid_t child = start_index(NULL);
        sleep_ns((uint64_t)((double)duration * 1.05 * hti_random_unit(&state)));
        (void)kill(child, SIGKILL);
        n_killed += finish(child) == 1000 + SIGKILL;
        n_before += access(collection_path, F_OK) != 0;
        check_then_complete("kill", i);
    }
    print_message(
        "%llu runs, %llu killed before they ended, %llu before the collection was begun; one run takes %.0f ms\n",
        (unsigned long long)n_kills, (unsigned long long)n_killed, (unsigned long long)n_before,
        (double)duration / 1e6);
    assert_true(2 * n_killed > n_kills);
}

static uint64_t calls_seen(void)
{
    FILE *file = fopen(count_path, "r");
    unsigned long long n = 0;
    if (file && fscanf(file, "%llu", &n) != 1) n = 0;
    if (file) (void)fclose(file);
    return n;
}

static void sweep_system_calls(const char *error_name, const char *all)
{
    static char preload[600], number[64], reason[64], below[600], counts[600], every[64];
    const char *shim = getenv("FAULT_SHIM");
    assert_non_null(shim);
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
    (void)snprintf(reason, sizeof reason, "HT_FAULT_ERRNO=%s", error_name);
    (void)snprintf(below, sizeof below, "HT_FAULT_DIR=%s", collection_path);
    (void)snprintf(counts, sizeof counts, "HT_FAULT_COUNT=%s", count_path);
    (void)snprintf(every, sizeof every, "HT_FAULT_ALL=%s", all);
    const char *const env[] = {preload, number, reason, below, counts, every, "ASAN_OPTIONS=verify_asan_link_order=0",
                               NULL};
    uint64_t tried = 0, refused = 0;
    const uint64_t dense = from_env("HT_ITERS", 2000);
    for (uint64_t n = 1;; n += n < dense ? 1 : n / 20) {
        (void)snprintf(number, sizeof number, "HT_FAULT_SYS=%llu", (unsigned long long)n);
        const int code = finish(start_index(env));
        const uint64_t seen = calls_seen();
        tried++;
        refused += code != 0;
        if (code >= 100 && code != 130)
            fail_msg("call %llu (%s): ended by %d: %s", (unsigned long long)n, error_name, code, log_text());
        if (code != 0 && !strstr(log_text(), "hound index: "))
            fail_msg("call %llu (%s): no message: %s", (unsigned long long)n, error_name, log_text());
        check_then_complete(error_name, n);
        if (seen < n) break;
    }
    print_message("%s%s: %llu failing system calls tried, %llu refused the run\n", error_name,
                  all[0] == '1' ? ", all after" : "", (unsigned long long)tried, (unsigned long long)refused);
    assert_true(refused > 10);
}

static void test_every_system_call_fails(void **unused)
{
    (void)unused;
    sweep_system_calls("EIO", "0");
}

static void test_the_disk_is_full(void **unused)
{
    (void)unused;
    sweep_system_calls("ENOSPC", "1");
}

static int prepare(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    (void)temp_dir_path(dir, "corpus.jsonl", corpus_path);
    (void)temp_dir_path(dir, "c.ht", collection_path);
    (void)temp_dir_path(dir, "log", log_path);
    (void)temp_dir_path(dir, "count", count_path);
    small_corpus_write(dir, "corpus.jsonl", 0, N_DOCS);
    return 0;
}

static int clean_up(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_random_moments),
        cmocka_unit_test(test_every_system_call_fails),
        cmocka_unit_test(test_the_disk_is_full),
    };
    return cmocka_run_group_tests_name("hound index killed and starved", tests, prepare, clean_up);
}
