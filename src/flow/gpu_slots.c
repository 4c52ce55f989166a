/*
 * gpu_slots.c - slots of this process's GPUs: who holds which, and which one the present call has.
 *
 * A slot is a whole device or a share of one; a live object of a class with `gpus` holds its own from its making to its
 * end. Nothing waits for a slot that another class holds: it may hold it for as long as the program runs, so the
 * failure is told at once. Guards: one lock for the table, which is read and changed at makings and ends only.
 */
#include "registry_int.h"

#include <pthread.h>
#include <stdio.h>

static const double whole = 1.0, slack = 1e-9; /* three thirds fit into one device */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double used[HTI_MAX_GPUS]; /* guarded by lock */
static _Thread_local int32_t current = -1;

int32_t ht_current_device(void) { return current; }

int32_t hti_device_enter(int32_t device)
{
    const int32_t before = current;
    current = device;
    return before;
}

ht_status hti_gpus_check(const char *class_name, double gpus, ht_error *err)
{
    if (gpus >= 0 && gpus <= whole) return HT_OK;
    if (gpus > whole && gpus <= HTI_MAX_GPUS && gpus == (double)(int)gpus) return HT_OK;
    return HT_FAIL(err, INVALID, "class '%s': gpus is a share of one (up to 1) or a whole number up to %d, not %g",
                   class_name, HTI_MAX_GPUS, gpus);
}

ht_status hti_gpus_take(const char *class_name, double gpus, hti_gpus *out, ht_error *err)
{
    const size_t n = hti_gpu_count(), wanted = gpus > whole ? (size_t)gpus : 1;
    const double share = gpus > whole ? whole : gpus;
    size_t found = 0;
    *out = (hti_gpus){.share = share};
    if (gpus == 0) return HT_OK;
    if (wanted > n)
        return HT_FAIL(err, UNSUPPORTED, "class '%s' wants %g GPU%s, and there %s %zu", class_name, gpus,
                       gpus > whole ? "s" : "", n == 1 ? "is" : "are", n);
    (void)pthread_mutex_lock(&lock);
    for (size_t d = 0; d < n && found < wanted; d++) {
        if (used[d] + share > whole + slack) continue;
        out->devices |= (uint64_t)1 << d;
        found++;
    }
    for (size_t d = 0; d < n && found == wanted; d++)
        if (out->devices >> d & 1) used[d] += share;
    (void)pthread_mutex_unlock(&lock);
    if (found == wanted) return HT_OK;
    *out = (hti_gpus){.share = 0};
    return HT_FAIL(err, LIMIT, "class '%s' wants %g GPU%s, and too much of the %zu is held by other objects",
                   class_name, gpus, gpus > whole ? "s" : "", n);
}

void hti_gpus_give(hti_gpus *gpus)
{
    (void)pthread_mutex_lock(&lock);
    for (size_t d = 0; d < HTI_MAX_GPUS; d++)
        if (gpus->devices >> d & 1) used[d] -= gpus->share;
    (void)pthread_mutex_unlock(&lock);
    *gpus = (hti_gpus){.share = 0};
}

int32_t hti_gpus_first(const hti_gpus *gpus)
{
    for (int32_t d = 0; d < HTI_MAX_GPUS; d++)
        if (gpus->devices >> d & 1) return d;
    return -1;
}

void hti_gpus_variable(const hti_gpus *gpus, hti_buffer *into)
{
    char name[64];
    hti_buffer_text(into, "CUDA_VISIBLE_DEVICES=");
    for (size_t d = 0, n = 0; d < HTI_MAX_GPUS; d++) {
        if (!(gpus->devices >> d & 1)) continue;
        hti_gpu_name(d, name, sizeof name);
        hti_buffer_printf(into, "%s%s", n++ ? "," : "", name);
    }
}
