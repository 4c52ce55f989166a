/*
 * mutex.c - a lock and what waits on it, for the few objects that several threads change.
 *
 * Easy to get wrong: a timed wait counts on the clock the condition was made with, and the default is the
 * wall clock, which an administrator may set back; ours is hti_clock_ns().
 */
#include "os.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

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

void hti_mutex_lock(hti_mutex *mutex) { (void)pthread_mutex_lock(&mutex->lock); }

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

void hti_cond_wait(hti_cond *cond, hti_mutex *mutex) { (void)pthread_cond_wait(&cond->cond, &mutex->lock); }

bool hti_cond_wait_until(hti_cond *cond, hti_mutex *mutex, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000U),
                                   .tv_nsec = (long)(until_ns % 1000000000U)};
    return pthread_cond_timedwait(&cond->cond, &mutex->lock, &until) != ETIMEDOUT;
}

void hti_cond_signal(hti_cond *cond) { (void)pthread_cond_signal(&cond->cond); }

void hti_cond_broadcast(hti_cond *cond) { (void)pthread_cond_broadcast(&cond->cond); }
