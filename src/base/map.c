/*
 * map.c - open addressing with linear probing over entry numbers.
 *
 * Workload: vocabularies and term dictionaries, 1e4..1e7 keys of about 8 bytes, looked up far more
 * often than inserted, never removed. Slots hold 4-byte entry numbers, so a probe run stays in one
 * cache line and growing moves no key. Load is kept at or under 1/2.
 * Thread rule: readers may share a map that nobody changes.
 */
#include "map.h"

#include "bits.h"

#include <string.h>

enum { FIRST_SLOTS = 64, CHUNK = 32 * 1024 };

void hti_map_init(hti_map *map) { *map = (hti_map){0}; }

void hti_map_deinit(hti_map *map)
{
    for (size_t i = 0; i < map->n_chunks; i++) hti_free(map->chunks[i]);
    hti_free(map->chunks);
    hti_free(map->slots);
    hti_free(map->entries);
    hti_map_init(map);
}

/* The slot that holds the key, or the free slot where it belongs. n_slots > 0. */
static size_t slot_of(const hti_map *map, ht_text key, uint64_t hash)
{
    size_t at = (size_t)hash & (map->n_slots - 1);
    for (;; at = (at + 1) & (map->n_slots - 1)) {
        const uint32_t number = map->slots[at];
        if (number == HTI_MAP_NONE) return at;
        const hti_map_entry *entry = &map->entries[number];
        if (entry->hash == hash && entry->len == key.len &&
            (key.len == 0 || memcmp(entry->key, key.data, key.len) == 0))
            return at;
    }
}

uint32_t hti_map_find(const hti_map *map, ht_text key)
{
    return map->n_slots ? map->slots[slot_of(map, key, hti_hash(key.data, key.len))] : HTI_MAP_NONE;
}

uint32_t hti_map_get(const hti_map *map, ht_text key, uint32_t otherwise)
{
    const uint32_t number = hti_map_find(map, key);
    return number == HTI_MAP_NONE ? otherwise : map->entries[number].value;
}

static ht_status grow_slots(hti_map *map, ht_error *err)
{
    const size_t n_slots = map->n_slots ? 2 * map->n_slots : FIRST_SLOTS;
    uint32_t *slots = HTI_NEW_ARRAY(uint32_t, n_slots);
    if (!slots) return HTI_NO_MEMORY(err);
    memset(slots, 0xFF, n_slots * sizeof *slots);
    for (size_t i = 0; i < map->n; i++) {
        size_t at = (size_t)map->entries[i].hash & (n_slots - 1);
        while (slots[at] != HTI_MAP_NONE) at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)i;
    }
    hti_free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    return HT_OK;
}

static ht_status copy_key(hti_map *map, ht_text key, const char **out, ht_error *err)
{
    if (map->chunk_cap - map->chunk_used <= key.len || map->n_chunks == 0) {
        HT_TRY(hti_reserve(&map->chunks, &map->cap_chunks, map->n_chunks + 1, sizeof *map->chunks, err));
        const size_t cap = HTI_MAX(key.len + 1, (size_t)CHUNK);
        char *chunk = hti_alloc(cap);
        if (!chunk) return HTI_NO_MEMORY(err);
        map->chunks[map->n_chunks++] = chunk;
        map->chunk_cap = cap;
        map->chunk_used = 0;
    }
    char *copy = map->chunks[map->n_chunks - 1] + map->chunk_used;
    if (key.len) memcpy(copy, key.data, key.len);
    copy[key.len] = '\0';
    map->chunk_used += key.len + 1;
    *out = copy;
    return HT_OK;
}

ht_status hti_map_put(hti_map *map, ht_text key, uint32_t value, uint32_t *entry, bool *inserted, ht_error *err)
{
    if (2 * (map->n + 1) > map->n_slots) HT_TRY(grow_slots(map, err));
    const uint64_t hash = hti_hash(key.data, key.len);
    const size_t at = slot_of(map, key, hash);
    *inserted = map->slots[at] == HTI_MAP_NONE;
    if (*inserted) {
        if (map->n >= HTI_MAP_NONE - 1 || key.len > UINT32_MAX)
            return HT_FAIL(err, LIMIT, "too many or too long keys in a map");
        HT_TRY(hti_reserve(&map->entries, &map->cap_entries, map->n + 1, sizeof *map->entries, err));
        const char *copy;
        HT_TRY(copy_key(map, key, &copy, err));
        map->entries[map->n] = (hti_map_entry){hash, copy, (uint32_t)key.len, value};
        map->slots[at] = (uint32_t)map->n++;
    }
    *entry = map->slots[at];
    return HT_OK;
}
