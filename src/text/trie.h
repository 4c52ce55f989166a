/*
 * trie.h - byte strings -> 32-bit values, walked byte by byte for the longest match.
 */
#ifndef HTI_TEXT_TRIE_H
#define HTI_TEXT_TRIE_H

#include "base/base.h"

#define HTI_TRIE_NONE UINT32_MAX
enum { HTI_TRIE_ROOT = 1 };

typedef struct hti_trie_edge {
    uint32_t key;   /* parent << 8 | byte; 0: free */
    uint32_t child; /* node */
    uint32_t value; /* of the string that ends at the child, or HTI_TRIE_NONE */
} hti_trie_edge;

typedef struct hti_trie {
    hti_trie_edge *edges; /* [n_slots], a power of two */
    size_t n_slots, n_edges;
    unsigned shift; /* 32 - log2(n_slots) */
} hti_trie;

void hti_trie_init(hti_trie *trie);
void hti_trie_deinit(hti_trie *trie);
/* Inserts a string unless it is there; *fresh tells which (false for the empty string, which is never kept). */
HT_CHECKED ht_status hti_trie_put(hti_trie *trie, ht_text text, uint32_t value, bool *fresh, ht_error *err);

static inline size_t hti_trie_slot(const hti_trie *trie, uint32_t key)
{
    return (size_t)(key * 0x9E3779B1U >> trie->shift);
}

/* The edge from a node by a byte, NULL if there is none. */
static inline const hti_trie_edge *hti_trie_step(const hti_trie *trie, uint32_t node, unsigned char byte)
{
    if (trie->n_slots == 0) return NULL;
    const uint32_t key = node << 8 | byte;
    for (size_t at = hti_trie_slot(trie, key);; at = (at + 1) & (trie->n_slots - 1)) {
        if (trie->edges[at].key == key) return &trie->edges[at];
        if (trie->edges[at].key == 0) return NULL;
    }
}

/* Node that a string leads to, 0 if none; the root for the empty string. */
uint32_t hti_trie_node(const hti_trie *trie, ht_text text);
/* Value of a string, or HTI_TRIE_NONE. */
uint32_t hti_trie_get(const hti_trie *trie, ht_text text);
/* Value of the longest string that text[from, to) starts with, and its length; HTI_TRIE_NONE if there is none. */
uint32_t hti_trie_longest(const hti_trie *trie, ht_text text, size_t from, size_t *len);

#endif
