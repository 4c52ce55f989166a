/*
 * houndstooth/cache.h - results kept by the digest of all that made them: on disk (SQLite) or in memory.
 *
 * A cache maps 128-bit keys to bytes; a pipeline's run makes the keys and the bytes (docs/formats/values.md).
 * Off unless a run is given one. On disk many threads and processes may share it; what a put has returned from is
 * there after a kill. A damaged cache is never an error of the run: what cannot be read is computed again.
 */
#ifndef HOUNDSTOOTH_CACHE_H
#define HOUNDSTOOTH_CACHE_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_cache ht_cache;

typedef struct ht_cache_options {
    uint32_t size;
    uint64_t max_bytes; /* of values; beyond it the least recently used leave. 0: 4 GiB on disk, 256 MiB in memory */
    uint64_t max_age_s; /* older entries count as absent and leave. 0: no limit */
    uint64_t (*now)(void *ud); /* seconds since 1970, for tests. NULL: the clock */
    void *ud;
} ht_cache_options;

/*
 * The cache in directory `path`, made if need be; options NULL: defaults. A damaged database is moved aside to
 * "PATH/damaged-N" and a new one begun; ht_cache_stats tells of it. VERSION: made by a newer release.
 */
HT_API HT_CHECKED ht_status ht_cache_open(const char *path, const ht_cache_options *options, ht_cache **out,
                                          ht_error *err);
HT_API HT_CHECKED ht_status ht_cache_memory(const ht_cache_options *options, ht_cache **out, ht_error *err);
HT_API void ht_cache_close(ht_cache *cache); /* NULL allowed */

/* Its directory, NULL of one in memory. Borrowed. */
HT_API const char *ht_cache_path(const ht_cache *cache);
/* The bytes under a key appended to `into`; *found false if there are none. Any thread. */
HT_API HT_CHECKED ht_status ht_cache_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err);
/* True if there are bytes under the key; reads none and counts as no use. */
HT_API HT_CHECKED ht_status ht_cache_has(ht_cache *cache, ht_key key, bool *found, ht_error *err);

typedef struct ht_cache_entry {
    ht_key key;
    const void *data; /* [len] */
    size_t len;
    const char *node;      /* who made it; NULL: unknown */
    const uint64_t *parts; /* [n_parts] digests of what the key was made of, to tell later which one changed */
    size_t n_parts;
} ht_cache_entry;
/* n entries in one transaction: all or, after a failure (NO_SPACE, BUSY, ...), none. An older one is replaced. */
HT_API HT_CHECKED ht_status ht_cache_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err);

/* One entry's parts; false: enough seen. */
typedef bool (*ht_cache_visit_fn)(void *ud, const uint64_t *parts, size_t n_parts);
/* The parts of the entries that `node` made, the last used first, at most `most` of them. Counts as no use. */
HT_API HT_CHECKED ht_status ht_cache_visit(ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit,
                                           void *ud, ht_error *err);

typedef struct ht_cache_stats {
    uint64_t entries, bytes;     /* now */
    uint64_t hits, misses, puts; /* through this object */
    uint64_t evicted, damaged;   /* entries that left for size or age; found unreadable */
} ht_cache_stats;
HT_API HT_CHECKED ht_status ht_cache_get_stats(ht_cache *cache, ht_cache_stats *out, ht_error *err);
/* Drops what is too old or too much, and files that no entry names; *freed: bytes. */
HT_API HT_CHECKED ht_status ht_cache_prune(ht_cache *cache, uint64_t *freed, ht_error *err);
HT_API HT_CHECKED ht_status ht_cache_clear(ht_cache *cache, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
