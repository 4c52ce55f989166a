/*
 * trie.c - a trie whose edges live in one hash table, keyed by parent node and byte.
 *
 * Workload: vocabularies of 1e3..1e6 strings of about 7 bytes, built once from a file and walked for
 * every word of every text. An edge holds child and value, so a step is one look-up, mostly in the
 * first and second level caches, as few edges are hot. Built in linear time whatever the strings are,
 * which a double array is not. Nodes are numbered as they come; there are at most 2^24 - 1.
 * Thread rule: readers may share a trie that nobody changes.
 */
#include "trie.h"

#include <string.h>

enum { FIRST_BITS = 8, MAX_NODES = (1 << 24) - 1 };

void hti_trie_init(hti_trie *trie) { *trie = (hti_trie){0}; }

void hti_trie_deinit(hti_trie *trie)
{
    hti_free(trie->edges);
    hti_trie_init(trie);
}

static hti_trie_edge *free_slot(const hti_trie *trie, uint32_t key)
{
    size_t at = hti_trie_slot(trie, key);
    while (trie->edges[at].key != 0) at = (at + 1) & (trie->n_slots - 1);
    return &trie->edges[at];
}

/* Keeps the load at or under 5/8. */
static ht_status make_room(hti_trie *trie, ht_error *err)
{
    if (8 * (trie->n_edges + 1) <= 5 * trie->n_slots) return HT_OK;
    const unsigned shift = trie->n_slots ? trie->shift - 1 : 32 - FIRST_BITS;
    hti_trie grown = {NULL, (size_t)1 << (32 - shift), trie->n_edges, shift};
    grown.edges = hti_alloc_zero(hti_mul(grown.n_slots, sizeof *grown.edges));
    if (!grown.edges) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < trie->n_slots; i++)
        if (trie->edges[i].key != 0) *free_slot(&grown, trie->edges[i].key) = trie->edges[i];
    hti_free(trie->edges);
    *trie = grown;
    return HT_OK;
}

ht_status hti_trie_put(hti_trie *trie, ht_text text, uint32_t value, bool *fresh, ht_error *err)
{
    *fresh = false;
    uint32_t node = HTI_TRIE_ROOT;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        const bool last = i + 1 == text.len;
        const hti_trie_edge *edge = hti_trie_step(trie, node, byte);
        if (!edge) {
            if (trie->n_edges + 1 >= MAX_NODES)
                return HT_FAIL(err, LIMIT, "a vocabulary of more than %d trie nodes", (int)MAX_NODES);
            HT_TRY(make_room(trie, err));
            const uint32_t key = node << 8 | byte, child = (uint32_t)++trie->n_edges + HTI_TRIE_ROOT;
            hti_trie_edge *made = free_slot(trie, key);
            *made = (hti_trie_edge){key, child, HTI_TRIE_NONE};
            edge = made;
        }
        if (last && edge->value == HTI_TRIE_NONE) {
            trie->edges[edge - trie->edges].value = value;
            *fresh = true;
        }
        node = edge->child;
    }
    return HT_OK;
}

uint32_t hti_trie_node(const hti_trie *trie, ht_text text)
{
    uint32_t node = HTI_TRIE_ROOT;
    for (size_t i = 0; i < text.len; i++) {
        const hti_trie_edge *edge = hti_trie_step(trie, node, (unsigned char)text.data[i]);
        if (!edge) return 0;
        node = edge->child;
    }
    return node;
}

uint32_t hti_trie_get(const hti_trie *trie, ht_text text)
{
    size_t len;
    const uint32_t value = hti_trie_longest(trie, text, 0, &len);
    return len == text.len ? value : HTI_TRIE_NONE;
}

uint32_t hti_trie_longest(const hti_trie *trie, ht_text text, size_t from, size_t *len)
{
    uint32_t node = HTI_TRIE_ROOT, best = HTI_TRIE_NONE;
    *len = 0;
    for (size_t at = from; at < text.len; at++) {
        const hti_trie_edge *edge = hti_trie_step(trie, node, (unsigned char)text.data[at]);
        if (!edge) break;
        node = edge->child;
        if (edge->value == HTI_TRIE_NONE) continue;
        best = edge->value;
        *len = at + 1 - from;
    }
    return best;
}
