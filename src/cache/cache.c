/*
 * cache.c - the door: locks, counts, and hands on to the disk or to memory.
 */
#include "cache_int.h"

static const uint64_t default_disk = (uint64_t)4 << 30, default_memory = (uint64_t)256 << 20;

uint64_t hti_cache_now(const ht_cache *cache)
{
    return cache->now ? cache->now(cache->ud) : hti_clock_wall_ns() / 1000000000;
}

uint64_t hti_cache_oldest(const ht_cache *cache)
{
    const uint64_t now = hti_cache_now(cache);
    return cache->max_age_s && now > cache->max_age_s ? now - cache->max_age_s : 0;
}

static ht_status open_cache(const char *path, const ht_cache_options *options, ht_cache **out, ht_error *err)
{
    ht_cache *cache = HTI_NEW(ht_cache);
    *out = NULL;
    if (!cache) return HTI_NO_MEMORY(err);
    if (options) {
        cache->max_bytes = options->max_bytes;
        cache->max_age_s = options->max_age_s;
        cache->now = options->now;
        cache->ud = options->ud;
    }
    if (cache->max_bytes == 0) cache->max_bytes = path ? default_disk : default_memory;
    cache->lock = hti_mutex_new();
    ht_status status = cache->lock ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) status = path ? hti_disk_open(cache, path, err) : hti_memory_open(cache, err);
    if (status == HT_OK)
        *out = cache;
    else
        ht_cache_close(cache);
    return status;
}

ht_status ht_cache_open(const char *path, const ht_cache_options *options, ht_cache **out, ht_error *err)
{
    return open_cache(path, options, out, err);
}

ht_status ht_cache_memory(const ht_cache_options *options, ht_cache **out, ht_error *err)
{
    return open_cache(NULL, options, out, err);
}

void ht_cache_close(ht_cache *cache)
{
    if (!cache) return;
    hti_disk_close(cache);
    hti_memory_close(cache);
    hti_mutex_free(cache->lock);
    hti_free(cache);
}

const char *ht_cache_path(const ht_cache *cache) { return cache->disk ? hti_disk_path(cache) : NULL; }

ht_status ht_cache_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err)
{
    *found = false;
    hti_mutex_lock(cache->lock);
    const ht_status status =
        cache->disk ? hti_disk_get(cache, key, into, found, err) : hti_memory_get(cache, key, into, found, err);
    cache->stats.hits += *found;
    cache->stats.misses += status == HT_OK && !*found;
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_has(ht_cache *cache, ht_key key, bool *found, ht_error *err)
{
    *found = false;
    hti_mutex_lock(cache->lock);
    const ht_status status =
        cache->disk ? hti_disk_get(cache, key, NULL, found, err) : hti_memory_get(cache, key, NULL, found, err);
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err)
{
    if (n == 0) return HT_OK;
    hti_mutex_lock(cache->lock);
    const ht_status status =
        cache->disk ? hti_disk_put(cache, entries, n, err) : hti_memory_put(cache, entries, n, err);
    if (status == HT_OK) cache->stats.puts += n;
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_visit(ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit, void *ud,
                         ht_error *err)
{
    ht_status status = HT_OK;
    hti_mutex_lock(cache->lock);
    if (cache->disk)
        status = hti_disk_visit(cache, node, most, visit, ud, err);
    else
        hti_memory_visit(cache, node, most, visit, ud);
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_get_stats(ht_cache *cache, ht_cache_stats *out, ht_error *err)
{
    hti_mutex_lock(cache->lock);
    *out = cache->stats;
    const ht_status status = cache->disk ? hti_disk_count(cache, out, err) : HT_OK;
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_prune(ht_cache *cache, uint64_t *freed, ht_error *err)
{
    ht_status status = HT_OK;
    *freed = 0;
    hti_mutex_lock(cache->lock);
    if (cache->disk)
        status = hti_disk_prune(cache, freed, err);
    else
        hti_memory_prune(cache, freed);
    hti_mutex_unlock(cache->lock);
    return status;
}

ht_status ht_cache_clear(ht_cache *cache, ht_error *err)
{
    ht_status status = HT_OK;
    hti_mutex_lock(cache->lock);
    if (cache->disk)
        status = hti_disk_clear(cache, err);
    else
        hti_memory_clear(cache);
    hti_mutex_unlock(cache->lock);
    return status;
}
