/*
 * cache_memory.c - a cache in memory: a table of chains by key, and a list by use.
 */
#include "cache_int.h"

#include <string.h>

typedef struct entry {
    ht_key key;
    struct entry *chain, *newer, *older;
    uint64_t made; /* seconds */
    char *node;    /* behind the parts, which are behind the value; NULL: unknown */
    size_t len, n_parts;
    unsigned char data[];
} entry;

struct hti_cache_memory {
    entry **slots; /* [n_slots], a power of two */
    size_t n_slots;
    entry *newest, *oldest;
};

ht_status hti_memory_open(ht_cache *cache, ht_error *err)
{
    hti_cache_memory *m = HTI_NEW(hti_cache_memory);
    if (!m) return HTI_NO_MEMORY(err);
    cache->memory = m;
    m->n_slots = 256;
    m->slots = hti_alloc_zero(m->n_slots * sizeof(entry *));
    return m->slots ? HT_OK : HTI_NO_MEMORY(err);
}

static entry **find(const hti_cache_memory *m, ht_key key)
{
    entry **at = &m->slots[key.low & (m->n_slots - 1)];
    while (*at && ((*at)->key.low != key.low || (*at)->key.high != key.high)) at = &(*at)->chain;
    return at;
}

static void unlink_use(hti_cache_memory *m, entry *e)
{
    *(e->newer ? &e->newer->older : &m->newest) = e->older;
    *(e->older ? &e->older->newer : &m->oldest) = e->newer;
}

static void link_newest(hti_cache_memory *m, entry *e)
{
    e->newer = NULL;
    e->older = m->newest;
    *(m->newest ? &m->newest->newer : &m->oldest) = e;
    m->newest = e;
}

static void drop(ht_cache *cache, entry **at)
{
    entry *e = *at;
    if (!e) return;
    *at = e->chain;
    unlink_use(cache->memory, e);
    cache->stats.entries--;
    cache->stats.bytes -= e->len;
    hti_free(e);
}

ht_status hti_memory_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err)
{
    entry **at = find(cache->memory, key), *e = *at;
    if (!e) return HT_OK;
    if (e->made < hti_cache_oldest(cache)) {
        drop(cache, at);
        cache->stats.evicted++;
        return HT_OK;
    }
    *found = true;
    if (!into) return HT_OK;
    unlink_use(cache->memory, e);
    link_newest(cache->memory, e);
    return ht_writer_add(into, e->data, e->len, err);
}

void hti_memory_visit(const ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit, void *ud)
{
    enum { MOST_PARTS = 256 };
    uint64_t parts[MOST_PARTS];
    bool more = true;
    for (const entry *e = cache->memory->newest; e && more && most; e = e->older) {
        if (!e->node || strcmp(e->node, node) != 0) continue;
        const size_t n = HTI_MIN(e->n_parts, MOST_PARTS);
        if (n) memcpy(parts, e->data + e->len, n * sizeof *parts);
        more = visit(ud, parts, n);
        most--;
    }
}

/* Twice the slots, where memory allows. */
static void grow(ht_cache *cache)
{
    hti_cache_memory *m = cache->memory;
    if (cache->stats.entries < m->n_slots) return;
    entry **slots = hti_alloc_zero(hti_mul(2 * m->n_slots, sizeof(entry *)));
    if (!slots) return;
    hti_free(m->slots);
    m->slots = slots;
    m->n_slots *= 2;
    for (entry *e = m->newest; e; e = e->older) {
        entry **slot = &m->slots[e->key.low & (m->n_slots - 1)];
        e->chain = *slot;
        *slot = e;
    }
}

static void add(ht_cache *cache, entry *e)
{
    entry **old = find(cache->memory, e->key);
    if (*old) drop(cache, old);
    grow(cache);
    entry **slot = &cache->memory->slots[e->key.low & (cache->memory->n_slots - 1)];
    e->chain = *slot;
    *slot = e;
    link_newest(cache->memory, e);
    cache->stats.entries++;
    cache->stats.bytes += e->len;
}

void hti_memory_prune(ht_cache *cache, uint64_t *freed)
{
    const uint64_t oldest = hti_cache_oldest(cache), before = cache->stats.bytes;
    for (entry *e = cache->memory->oldest, *newer; e; e = newer) {
        newer = e->newer;
        if (e->made >= oldest && cache->stats.bytes <= cache->max_bytes) continue;
        drop(cache, find(cache->memory, e->key));
        cache->stats.evicted++;
    }
    *freed = before - cache->stats.bytes;
}

static entry *new_entry(const ht_cache_entry *from)
{
    const size_t n_node = from->node ? strlen(from->node) + 1 : 0, n_parts = from->n_parts * sizeof *from->parts;
    entry *e = hti_alloc(hti_add(hti_add(sizeof *e, from->len), hti_add(n_parts, n_node)));
    if (!e) return NULL;
    *e = (entry){.key = from->key, .len = from->len, .n_parts = from->n_parts};
    if (e->len) memcpy(e->data, from->data, e->len);
    if (n_parts) memcpy(e->data + e->len, from->parts, n_parts);
    if (n_node) e->node = memcpy(e->data + e->len + n_parts, from->node, n_node);
    return e;
}

ht_status hti_memory_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err)
{
    const uint64_t now = hti_cache_now(cache);
    entry *made = NULL;
    uint64_t freed;
    for (size_t i = 0; i < n; i++) { /* all or none */
        entry *e = new_entry(&entries[i]);
        if (!e) {
            for (entry *next; made; made = next) {
                next = made->chain;
                hti_free(made);
            }
            return HTI_NO_MEMORY(err);
        }
        e->chain = made;
        e->made = now;
        made = e;
    }
    for (entry *next; made; made = next) {
        next = made->chain;
        add(cache, made);
    }
    if (cache->stats.bytes > cache->max_bytes) hti_memory_prune(cache, &freed);
    return HT_OK;
}

void hti_memory_clear(ht_cache *cache)
{
    hti_cache_memory *m = cache->memory;
    while (m->newest) drop(cache, find(m, m->newest->key));
}

void hti_memory_close(ht_cache *cache)
{
    if (!cache->memory) return;
    if (cache->memory->slots) hti_memory_clear(cache);
    hti_free(cache->memory->slots);
    hti_free(cache->memory);
}
