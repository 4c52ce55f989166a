/*
 * mutex.c - a lock and what waits on it, for the few objects that several threads change.
 *
 * Easy to get wrong: a timed wait counts on the clock the condition was made with, and the default is the
 * wall clock, which an administrator may set back; ours is hti_clock_ns(). And callbacks that need the program's own
 * lock (ht_blocking_set) run under locks of ours, so nobody may wait for one of ours while holding the program's.
 */
#include "os.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static void *(*leave_fn)(void);
static void (*enter_fn)(void *left);
static void (*ending_fn)(void);

void ht_blocking_set(void *(*leave)(void), void (*enter)(void *left), void (*ending)(void))
{
    leave_fn = leave;
    enter_fn = enter;
    ending_fn = ending;
}

void hti_thread_ending(void)
{
    if (ending_fn) ending_fn();
}

void *hti_block_leave(void) { return leave_fn ? leave_fn() : NULL; }

void hti_block_enter(void *left)
{
    if (left && enter_fn) enter_fn(left);
}

struct hti_mutex {
    pthread_mutex_t lock;
};

struct hti_cond {
    pthread_cond_t cond;
};

hti_mutex *hti_mutex_new(void)
{
    hti_mutex *mutex = HTI_NEW(hti_mutex);
    if (mutex) (void)pthread_mutex_init(&mutex->lock, NULL);
    return mutex;
}

void hti_mutex_free(hti_mutex *mutex)
{
    if (!mutex) return;
    (void)pthread_mutex_destroy(&mutex->lock);
    hti_free(mutex);
}

void hti_mutex_lock(hti_mutex *mutex)
{
    if (!leave_fn) {
        (void)pthread_mutex_lock(&mutex->lock);
    } else if (pthread_mutex_trylock(&mutex->lock) != 0) {
        void *left = hti_block_leave();
        (void)pthread_mutex_lock(&mutex->lock);
        hti_block_enter(left);
    }
}

void hti_mutex_unlock(hti_mutex *mutex) { (void)pthread_mutex_unlock(&mutex->lock); }

hti_cond *hti_cond_new(void)
{
    hti_cond *cond = HTI_NEW(hti_cond);
    if (!cond) return NULL;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cond->cond, &attr);
    (void)pthread_condattr_destroy(&attr);
    return cond;
}

void hti_cond_free(hti_cond *cond)
{
    if (!cond) return;
    (void)pthread_cond_destroy(&cond->cond);
    hti_free(cond);
}

void hti_cond_wait(hti_cond *cond, hti_mutex *mutex)
{
    void *left = hti_block_leave();
    (void)pthread_cond_wait(&cond->cond, &mutex->lock);
    hti_block_enter(left);
}

bool hti_cond_wait_until(hti_cond *cond, hti_mutex *mutex, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000U),
                                   .tv_nsec = (long)(until_ns % 1000000000U)};
    void *left = hti_block_leave();
    const bool in_time = pthread_cond_timedwait(&cond->cond, &mutex->lock, &until) != ETIMEDOUT;
    hti_block_enter(left);
    return in_time;
}

void hti_cond_signal(hti_cond *cond) { (void)pthread_cond_signal(&cond->cond); }

void hti_cond_broadcast(hti_cond *cond) { (void)pthread_cond_broadcast(&cond->cond); }
