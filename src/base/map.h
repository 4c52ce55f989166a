/*
 * map.h - byte string -> 32-bit value, insertion only, numbered in insertion order.
 */
#ifndef HTI_BASE_MAP_H
#define HTI_BASE_MAP_H

#include "alloc.h"

#define HTI_MAP_NONE UINT32_MAX

typedef struct hti_map_entry {
    uint64_t hash;
    const char *key; /* owned by the map, a NUL behind it */
    uint32_t len, value;
} hti_map_entry;

typedef struct hti_map {
    uint32_t *slots;        /* [n_slots], a power of two: entry number or HTI_MAP_NONE */
    hti_map_entry *entries; /* [n], in insertion order */
    size_t n_slots, n, cap_entries;
    char **chunks; /* [n_chunks] key bytes, in chunks that never move */
    size_t n_chunks, cap_chunks, chunk_used, chunk_cap;
} hti_map;

void hti_map_init(hti_map *map);
void hti_map_deinit(hti_map *map);
/* Number of the entry with this key, or HTI_MAP_NONE. */
uint32_t hti_map_find(const hti_map *map, ht_text key);
/*
 * Finds the key or inserts it with `value`; *entry is its number, *inserted tells which. Keys are
 * copied. At most 2^32 - 2 entries of at most 2^32 - 1 bytes.
 */
HT_CHECKED ht_status hti_map_put(hti_map *map, ht_text key, uint32_t value, uint32_t *entry, bool *inserted,
                                 ht_error *err);
/* Value of a key, or `otherwise`. */
uint32_t hti_map_get(const hti_map *map, ht_text key, uint32_t otherwise);

#endif
