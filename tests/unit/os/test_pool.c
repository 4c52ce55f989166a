/*
 * test_pool.c - the pool gives every chunk once, the same answer with any number of threads, nests, and
 * reports the lowest failing chunk. Meant to run under ThreadSanitizer too.
 */
#include "fault_alloc.h"
#include "os/os.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

enum { N_CHUNKS = 1000, MAX_THREADS = 8 };

typedef struct work {
    ht_pool *pool;
    size_t n_threads;
    _Atomic unsigned char seen[N_CHUNKS];
    _Atomic unsigned char thread_busy[MAX_THREADS];
    double parts[N_CHUNKS];
    _Atomic size_t n_run;
    bool fails[N_CHUNKS];
} work;

static ht_error err;

static ht_pool *new_pool(size_t n)
{
    ht_pool *pool;
    assert_int_equal(ht_pool_new(n, &pool, &err), HT_OK);
    assert_int_equal(ht_pool_threads(pool), n);
    return pool;
}

/* Notes the chunk; the scratch of a thread is never in two hands. */
static ht_status note_chunk(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    work *now = ud;
    if (thread >= now->n_threads) return HT_FAIL(error, INTERNAL, "thread %zu of %zu", thread, now->n_threads);
    if (atomic_fetch_add(&now->thread_busy[thread], 1) != 0)
        return HT_FAIL(error, INTERNAL, "thread %zu twice", thread);
    atomic_fetch_add(&now->seen[chunk], 1);
    double sum = 0;
    for (size_t i = 1; i < 50 + chunk % 13; i++) sum += 1.0 / (double)(chunk * 100 + i);
    now->parts[chunk] = sum;
    atomic_fetch_sub(&now->thread_busy[thread], 1);
    return HT_OK;
}

static double run_all(size_t n_threads)
{
    static work now;
    memset(&now, 0, sizeof now);
    now.n_threads = n_threads;
    ht_pool *pool = new_pool(n_threads);
    for (int round = 0; round < 20; round++) {
        const size_t n_chunks = round == 0 ? 0 : round == 1 ? 1 : round == 2 ? n_threads : N_CHUNKS;
        memset(&now.seen, 0, sizeof now.seen);
        assert_int_equal(hti_pool_run(pool, n_chunks, note_chunk, &now, &err), HT_OK);
        for (size_t i = 0; i < N_CHUNKS; i++) assert_int_equal(now.seen[i], i < n_chunks);
    }
    ht_pool_free(pool);
    double sum = 0;
    for (size_t i = 0; i < N_CHUNKS; i++) sum += now.parts[i];
    return sum;
}

static void test_every_chunk_once_and_the_same_answer(void **unused)
{
    (void)unused;
    const double expected = run_all(1);
    for (size_t n = 2; n <= MAX_THREADS; n++) assert_true(run_all(n) == expected);
}

static void test_no_pool_runs_in_order(void **unused)
{
    (void)unused;
    static work now;
    memset(&now, 0, sizeof now);
    now.n_threads = 1;
    assert_int_equal(hti_pool_run(NULL, N_CHUNKS, note_chunk, &now, NULL), HT_OK);
    for (size_t i = 0; i < N_CHUNKS; i++) assert_int_equal(now.seen[i], 1);
    assert_int_equal(ht_pool_threads(NULL), 1);
    ht_pool_free(NULL);
}

static ht_status fail_some(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    work *now = ud;
    (void)thread;
    atomic_fetch_add(&now->n_run, 1);
    if (!now->fails[chunk]) return HT_OK;
    if (chunk % 2 == 0) { /* let a higher chunk fail first */
        const struct timespec nap = {0, 200000};
        nanosleep(&nap, NULL);
    }
    return hti_fail(error, chunk % 2 ? HT_PARSE : HT_LIMIT, "chunk %zu", chunk);
}

static void test_the_lowest_failing_chunk_is_told(void **unused)
{
    (void)unused;
    static work now;
    for (size_t n = 1; n <= MAX_THREADS; n++) {
        ht_pool *pool = new_pool(n);
        for (size_t first = 0; first < 200; first += 17) {
            memset(&now, 0, sizeof now);
            for (size_t i = first; i < N_CHUNKS; i++) now.fails[i] = i % 3 == first % 3;
            char expected[32];
            (void)snprintf(expected, sizeof expected, "chunk %zu", first);
            assert_int_equal(hti_pool_run(pool, N_CHUNKS, fail_some, &now, &err), first % 2 ? HT_PARSE : HT_LIMIT);
            assert_string_equal(err.message, expected);
            assert_true(now.n_run < N_CHUNKS); /* the rest was skipped */
            assert_int_equal(hti_pool_run(pool, N_CHUNKS, fail_some, &now, NULL), first % 2 ? HT_PARSE : HT_LIMIT);
            memset(now.fails, 0, sizeof now.fails);
            assert_int_equal(hti_pool_run(pool, N_CHUNKS, fail_some, &now, &err),
                             HT_OK); /* a failure does not linger */
        }
        ht_pool_free(pool);
    }
}

static ht_status inner(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    work *now = ud;
    (void)chunk;
    if (thread != 0) return HT_FAIL(error, INTERNAL, "a nested section left its thread");
    atomic_fetch_add(&now->n_run, 1);
    return HT_OK;
}

static ht_status outer(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    work *now = ud;
    (void)thread;
    HT_TRY(hti_pool_run(now->pool, 10, inner, now, error));
    if (chunk == 77) return hti_pool_run(now->pool, 10, fail_some, now, error);
    return HT_OK;
}

static void test_nested_sections_run_inline(void **unused)
{
    (void)unused;
    static work now;
    for (size_t n = 1; n <= MAX_THREADS; n++) {
        memset(&now, 0, sizeof now);
        now.pool = new_pool(n);
        assert_int_equal(hti_pool_run(now.pool, 70, outer, &now, &err), HT_OK);
        assert_int_equal(now.n_run, 700);
        now.fails[4] = true;
        assert_int_equal(hti_pool_run(now.pool, 100, outer, &now, &err), HT_LIMIT);
        assert_string_equal(err.message, "chunk 4");
        ht_pool_free(now.pool);
    }
}

/* ---- sections of another pool ---- */

typedef struct two_pools {
    ht_pool *outer, *inner;
    _Atomic size_t n_run, n_elsewhere;
} two_pools;

static ht_status back_again(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    two_pools *now = ud;
    (void)chunk;
    (void)error;
    if (thread != 0) atomic_fetch_add(&now->n_elsewhere, 1);
    atomic_fetch_add(&now->n_run, 1);
    return HT_OK;
}

static ht_status below(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    two_pools *now = ud;
    (void)chunk;
    if (thread != 0) atomic_fetch_add(&now->n_elsewhere, 1);
    hti_sleep_ns(1000000);
    return hti_pool_run(now->outer, 3, back_again, now, error); /* two deep: inline, whoever waits for whom */
}

static ht_status above(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    two_pools *now = ud;
    (void)chunk;
    (void)thread;
    return hti_pool_run(now->inner, 4, below, now, error);
}

static void *from_below(void *ud)
{
    two_pools *now = ud;
    ht_error why;
    for (int i = 0; i < 10; i++)
        if (hti_pool_run(now->inner, 4, below, now, &why) != HT_OK) return now;
    return NULL;
}

static void test_a_chunk_may_use_another_pool_that_is_free(void **unused)
{
    (void)unused;
    static two_pools now;
    now.outer = new_pool(2);
    now.inner = new_pool(3);
    assert_int_equal(hti_pool_run(now.outer, 2, above, &now, &err), HT_OK);
    assert_int_equal(now.n_run, 24);
    assert_true(now.n_elsewhere > 0);
    /* both ways at once: nobody waits for one that waits for him */
    pthread_t other;
    void *failed;
    now.n_run = 0;
    assert_int_equal(pthread_create(&other, NULL, from_below, &now), 0);
    for (int i = 0; i < 10; i++) assert_int_equal(hti_pool_run(now.outer, 2, above, &now, &err), HT_OK);
    assert_int_equal(pthread_join(other, &failed), 0);
    assert_null(failed);
    assert_int_equal(now.n_run, 240 + 120);
    ht_pool_free(now.inner);
    ht_pool_free(now.outer);
}

static ht_status until_cancelled(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    work *now = ud;
    (void)thread;
    /* By the count itself: a thread that is put aside between two steps must not let the others run on. */
    if (atomic_fetch_add(&now->n_run, 1) >= 40) return HT_FAIL(error, CANCELLED, "cancelled at chunk %zu", chunk);
    return HT_OK;
}

static void test_cancellation_ends_the_section(void **unused)
{
    (void)unused;
    static work now;
    for (size_t n = 1; n <= MAX_THREADS; n++) {
        memset(&now, 0, sizeof now);
        ht_pool *pool = new_pool(n);
        assert_int_equal(hti_pool_run(pool, N_CHUNKS, until_cancelled, &now, &err), HT_CANCELLED);
        assert_true(now.n_run <= 41 + n);
        ht_pool_free(pool);
    }
}

/* Several threads share one pool: sections take turns. */
static void *share_pool(void *arg)
{
    work *now = arg;
    static _Thread_local work mine;
    memset(&mine, 0, sizeof mine);
    mine.n_threads = now->n_threads;
    ht_error error;
    for (int i = 0; i < 20; i++)
        if (hti_pool_run(now->pool, N_CHUNKS, note_chunk, &mine, &error) != HT_OK) return arg;
    for (size_t i = 0; i < N_CHUNKS; i++)
        if (mine.seen[i] != 20) return arg;
    return NULL;
}

static void test_a_pool_serves_several_threads(void **unused)
{
    (void)unused;
    static work now;
    memset(&now, 0, sizeof now);
    now.n_threads = 3;
    now.pool = new_pool(3);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, share_pool, &now), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    ht_pool_free(now.pool);
}

static ht_status make_pool(void *ud, ht_error *error)
{
    (void)ud;
    ht_pool *pool;
    HT_TRY(ht_pool_new(4, &pool, error));
    ht_pool_free(pool);
    return HT_OK;
}

static void test_making_pools(void **unused)
{
    (void)unused;
    ht_pool *pool;
    assert_int_equal(ht_pool_new(5000, &pool, &err), HT_INVALID);
    assert_null(pool);
    assert_int_equal(ht_pool_new(0, &pool, &err), HT_OK);
    assert_int_equal(ht_pool_threads(pool), hti_cpu_count());
    ht_pool_free(pool);
    for (int i = 0; i < 50; i++) ht_pool_free(new_pool(1 + (size_t)i % MAX_THREADS));
    assert_true(fault_alloc_sweep(make_pool, NULL, false, 100) >= 5);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static void *count_up(void *arg)
{
    void **pair = arg;
    for (int i = 0; i < 20000; i++) {
        hti_mutex_lock(pair[0]);
        ++*(int *)pair[1];
        hti_mutex_unlock(pair[0]);
    }
    return NULL;
}

static void test_mutex(void **unused)
{
    (void)unused;
    int count = 0;
    void *pair[2] = {hti_mutex_new(), &count};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, count_up, pair), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count, 80000);
    hti_mutex_free(pair[0]);
    hti_mutex_free(NULL);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_chunk_once_and_the_same_answer),
        cmocka_unit_test(test_no_pool_runs_in_order),
        cmocka_unit_test(test_the_lowest_failing_chunk_is_told),
        cmocka_unit_test(test_nested_sections_run_inline),
        cmocka_unit_test(test_a_chunk_may_use_another_pool_that_is_free),
        cmocka_unit_test(test_cancellation_ends_the_section),
        cmocka_unit_test(test_a_pool_serves_several_threads),
        cmocka_unit_test(test_making_pools),
        cmocka_unit_test(test_mutex),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
