/*
 * thread.c - a thread that an object owns, and things done once in the life of a process.
 *
 * Thread rule: a thread is joined by one thread, once. hti_once has one lock for all, held only to look
 * at a state and never while a function runs, so a once may start another inside.
 * Easy to get wrong: a new thread takes over the signal mask of its maker, so all signals are blocked
 * around pthread_create, not in the thread, where one could still come in between.
 */
#include "os.h"

#include <pthread.h>
#include <signal.h>

struct hti_thread {
    pthread_t id;
    void (*fn)(void *ud);
    void *ud;
};

enum { ONCE_NEVER, ONCE_RUNNING, ONCE_DONE };

static pthread_mutex_t once_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t once_done = PTHREAD_COND_INITIALIZER;

static void *thread_main(void *arg)
{
    const hti_thread *thread = arg;
    thread->fn(thread->ud);
    hti_thread_ending();
    return NULL;
}

ht_status hti_thread_start(void (*fn)(void *ud), void *ud, hti_thread **out, ht_error *err)
{
    *out = NULL;
    hti_thread *thread = HTI_NEW(hti_thread);
    if (!thread) return HTI_NO_MEMORY(err);
    thread->fn = fn;
    thread->ud = ud;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&thread->id, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        hti_free(thread);
        return HT_FAIL(err, IO, "cannot start a thread: error %d; is the limit of threads reached (ulimit -u)?", rc);
    }
    *out = thread;
    return HT_OK;
}

void hti_thread_join(hti_thread *thread)
{
    if (!thread) return;
    void *left = hti_block_leave();
    (void)pthread_join(thread->id, NULL);
    hti_block_enter(left);
    hti_free(thread);
}

void hti_once_run(hti_once *once, void (*fn)(void))
{
    if (__atomic_load_n(&once->state, __ATOMIC_ACQUIRE) == ONCE_DONE) return;
    (void)pthread_mutex_lock(&once_lock);
    if (once->state == ONCE_NEVER) {
        __atomic_store_n(&once->state, ONCE_RUNNING, __ATOMIC_RELAXED);
        (void)pthread_mutex_unlock(&once_lock);
        fn();
        (void)pthread_mutex_lock(&once_lock);
        __atomic_store_n(&once->state, ONCE_DONE, __ATOMIC_RELEASE);
        (void)pthread_cond_broadcast(&once_done);
    }
    while (once->state != ONCE_DONE) (void)pthread_cond_wait(&once_done, &once_lock);
    (void)pthread_mutex_unlock(&once_lock);
}
