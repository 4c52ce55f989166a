/*
 * mutex.c - one lock, for the few objects that load something on first use.
 */
#include "os.h"

#include <pthread.h>

struct hti_mutex {
    pthread_mutex_t lock;
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
