/*
 * test_thread.c - threads run and are joined with signals blocked; a condition wakes and times out on the
 * monotonic clock; a once runs its function once, and nobody passes it before the function has ended.
 */
#include "fault_alloc.h"
#include "os/os.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_THREADS = 8, N_TURNS = 2000 };

static ht_error err;

typedef struct meeting {
    hti_mutex *mutex;
    hti_cond *cond;
    unsigned turn; /* whose turn it is, modulo 2 */
    unsigned n_taken;
    bool signals_blocked;
} meeting;

static void meeting_open(meeting *at)
{
    *at = (meeting){.mutex = hti_mutex_new(), .cond = hti_cond_new()};
    assert_non_null(at->mutex);
    assert_non_null(at->cond);
}

static void meeting_close(meeting *at)
{
    hti_cond_free(at->cond);
    hti_mutex_free(at->mutex);
}

static void take_odd_turns(void *ud)
{
    meeting *at = ud;
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    hti_mutex_lock(at->mutex);
    at->signals_blocked = sigismember(&mask, SIGPIPE) && sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM);
    for (unsigned i = 0; i < N_TURNS; i++) {
        while (at->turn % 2 != 1) hti_cond_wait(at->cond, at->mutex);
        at->turn++;
        at->n_taken++;
        hti_cond_signal(at->cond);
    }
    hti_mutex_unlock(at->mutex);
}

/* Two threads that may only go in turns: a lost wake-up hangs, a missing wait gives a wrong count. */
static void test_turns(void **state)
{
    (void)state;
    meeting at;
    meeting_open(&at);
    hti_thread *thread;
    assert_int_equal(hti_thread_start(take_odd_turns, &at, &thread, &err), HT_OK);
    hti_mutex_lock(at.mutex);
    for (unsigned i = 0; i < N_TURNS; i++) {
        while (at.turn % 2 != 0) hti_cond_wait(at.cond, at.mutex);
        at.turn++;
        hti_cond_signal(at.cond);
    }
    hti_mutex_unlock(at.mutex);
    hti_thread_join(thread);
    assert_int_equal(at.turn, 2 * N_TURNS);
    assert_int_equal(at.n_taken, N_TURNS);
    assert_true(at.signals_blocked);
    sigset_t mine;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGINT));
    hti_thread_join(NULL);
    meeting_close(&at);
}

static void test_timed_wait(void **state)
{
    (void)state;
    meeting at;
    meeting_open(&at);
    hti_mutex_lock(at.mutex);
    const uint64_t begin = hti_clock_ns();
    const uint64_t until = begin + 20 * UINT64_C(1000000);
    while (hti_cond_wait_until(at.cond, at.mutex, until)) {
    }
    const uint64_t end = hti_clock_ns();
    assert_true(end >= until);
    assert_true(end - begin < 5 * UINT64_C(1000000000));
    assert_false(hti_cond_wait_until(at.cond, at.mutex, 0)); /* long gone */
    hti_mutex_unlock(at.mutex);
    meeting_close(&at);
}

static void wake_everyone(void *ud)
{
    meeting *at = ud;
    hti_mutex_lock(at->mutex);
    at->turn = 1;
    hti_cond_broadcast(at->cond);
    hti_mutex_unlock(at->mutex);
}

static void wait_for_one(void *ud)
{
    meeting *at = ud;
    hti_mutex_lock(at->mutex);
    while (at->turn == 0) {
        if (!hti_cond_wait_until(at->cond, at->mutex, hti_clock_ns() + UINT64_C(20000000000))) break;
    }
    at->n_taken += at->turn;
    hti_mutex_unlock(at->mutex);
}

static void test_broadcast(void **state)
{
    (void)state;
    meeting at;
    meeting_open(&at);
    hti_thread *threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(hti_thread_start(wait_for_one, &at, &threads[i], &err), HT_OK);
    wake_everyone(&at);
    for (size_t i = 0; i < N_THREADS; i++) hti_thread_join(threads[i]);
    assert_int_equal(at.n_taken, N_THREADS);
    meeting_close(&at);
}

static hti_once outer_once, inner_once;
static int n_outer, n_inner; /* plain: ThreadSanitizer sees who reads them without order */

static void run_inner(void) { n_inner++; }

static void run_outer(void)
{
    hti_once_run(&inner_once, run_inner);
    usleep(20000);
    n_outer++;
}

static void ask_once(void *ud)
{
    hti_once_run(&outer_once, run_outer);
    *(int *)ud = n_outer;
}

static void test_once(void **state)
{
    (void)state;
    hti_thread *threads[N_THREADS];
    int seen[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(hti_thread_start(ask_once, &seen[i], &threads[i], &err), HT_OK);
    for (size_t i = 0; i < N_THREADS; i++) hti_thread_join(threads[i]);
    for (size_t i = 0; i < N_THREADS; i++) assert_int_equal(seen[i], 1);
    assert_int_equal(n_inner, 1);
}

static void do_nothing(void *ud) { (void)ud; }

static ht_status start_and_join(void *ud, ht_error *error)
{
    (void)ud;
    hti_thread *thread;
    HT_TRY(hti_thread_start(do_nothing, NULL, &thread, error));
    hti_thread_join(thread);
    return HT_OK;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_int_equal(fault_alloc_sweep(start_and_join, NULL, false, 10), 1);
    fault_alloc_arm(1, true);
    assert_null(hti_cond_new());
    (void)fault_alloc_disarm();
    hti_cond_free(NULL);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns), cmocka_unit_test(test_timed_wait), cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_once),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
