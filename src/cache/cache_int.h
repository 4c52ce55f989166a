/*
 * cache_int.h - what the two kinds of cache share.
 */
#ifndef HTI_CACHE_CACHE_INT_H
#define HTI_CACHE_CACHE_INT_H

#include "base/base.h"
#include "os/os.h"

#include <houndstooth/cache.h>

typedef struct hti_cache_disk hti_cache_disk;
typedef struct hti_cache_memory hti_cache_memory;

struct ht_cache {
    hti_mutex *lock; /* guards all of it */
    uint64_t max_bytes, max_age_s;
    uint64_t (*now)(void *ud);
    void *ud;
    hti_cache_disk *disk; /* one of the two */
    hti_cache_memory *memory;
    ht_cache_stats stats; /* entries and bytes: of a cache in memory */
};

/* Seconds since 1970 by the cache's clock. */
uint64_t hti_cache_now(const ht_cache *cache);
/* The oldest making time that still counts. */
uint64_t hti_cache_oldest(const ht_cache *cache);

/* With the lock held, as the public functions of these names. */
HT_CHECKED ht_status hti_disk_open(ht_cache *cache, const char *path, ht_error *err);
void hti_disk_close(ht_cache *cache);
const char *hti_disk_path(const ht_cache *cache);
HT_CHECKED ht_status hti_disk_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err);
HT_CHECKED ht_status hti_disk_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err);
HT_CHECKED ht_status hti_disk_visit(ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit, void *ud,
                                    ht_error *err);
HT_CHECKED ht_status hti_disk_count(ht_cache *cache, ht_cache_stats *out, ht_error *err);
HT_CHECKED ht_status hti_disk_prune(ht_cache *cache, uint64_t *freed, ht_error *err);
HT_CHECKED ht_status hti_disk_clear(ht_cache *cache, ht_error *err);

HT_CHECKED ht_status hti_memory_open(ht_cache *cache, ht_error *err);
void hti_memory_close(ht_cache *cache);
HT_CHECKED ht_status hti_memory_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err);
HT_CHECKED ht_status hti_memory_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err);
void hti_memory_visit(const ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit, void *ud);
void hti_memory_prune(ht_cache *cache, uint64_t *freed);
void hti_memory_clear(ht_cache *cache);

#endif
