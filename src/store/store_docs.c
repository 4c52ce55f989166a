/*
 * store_docs.c - looking documents up by ordinal and by external id.
 *
 * Workload: one primary key look-up a hit for runs (ids), one join a hit for snippets; nothing is cached
 * beyond SQLite's pages. Thread rule: `mutex` of the store is held around each look-up.
 * Easy to get wrong: `deleted` holds the generation that deleted a document, so it is alive for every
 * older generation, and an id may have several rows of which at most one is alive in any generation.
 */
#include "store_int.h"

static ht_status copy_text(hti_arena *arena, ht_text from, ht_text *to, ht_error *err)
{
    const char *copy = hti_arena_text(arena, from);
    if (!copy) return HTI_NO_MEMORY(err);
    *to = (ht_text){copy, from.len};
    return HT_OK;
}

static ht_status check_ordinal(const hti_store *store, uint32_t doc, ht_error *err)
{
    const uint32_t n_docs = store->manifest->n_docs;
    if (doc < n_docs) return HT_OK;
    return HT_FAIL(err, NOT_FOUND, "%s: no document %u, there are %u", store->dir, doc, n_docs);
}

/* Moves to the one row of a document; it must be there. */
static ht_status step_to(const hti_store *store, hti_query *query, uint32_t doc, ht_error *err)
{
    bool row = false;
    hti_query_bind_int(query, 1, doc);
    HT_TRY(hti_query_next(query, &row, err));
    if (row) return HT_OK;
    return HT_FAIL(err, CORRUPT, "%s: document %u is missing; restore a copy or index anew", store->db_path, doc);
}

ht_status hti_store_doc_id(hti_store *store, uint32_t doc, hti_arena *arena, ht_text *out, ht_error *err)
{
    *out = (ht_text){NULL, 0};
    HT_TRY(check_ordinal(store, doc, err));
    hti_mutex_lock(store->mutex);
    ht_status status = step_to(store, store->query_id, doc, err);
    if (status == HT_OK) {
        status = copy_text(arena, hti_query_text(store->query_id, 0), out, err);
        hti_query_reset(store->query_id);
    }
    hti_mutex_unlock(store->mutex);
    return status;
}

static ht_status copy_fields(const hti_store *store, uint32_t doc, hti_arena *arena, hti_doc *out, ht_error *err)
{
    const hti_query *row = store->query_doc;
    const int64_t encoding = hti_query_int(row, 1);
    if (encoding != 0)
        return HT_FAIL(err, VERSION, "%s: document %u is stored in encoding %lld, which this program does not know",
                       store->db_path, doc, (long long)encoding);
    HT_TRY(copy_text(arena, hti_query_text(row, 0), &out->id, err));
    HT_TRY(copy_text(arena, hti_query_text(row, 2), &out->title, err));
    return copy_text(arena, hti_query_text(row, 3), &out->text, err);
}

ht_status hti_store_doc(hti_store *store, uint32_t doc, hti_arena *arena, hti_doc *out, ht_error *err)
{
    *out = (hti_doc){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    HT_TRY(check_ordinal(store, doc, err));
    hti_mutex_lock(store->mutex);
    ht_status status = step_to(store, store->query_doc, doc, err);
    if (status == HT_OK) {
        status = copy_fields(store, doc, arena, out, err);
        hti_query_reset(store->query_doc);
    }
    hti_mutex_unlock(store->mutex);
    return status;
}

ht_status hti_store_find(hti_store *store, ht_text id, uint32_t *doc, ht_error *err)
{
    *doc = UINT32_MAX;
    bool row = true, found = false;
    ht_status status = HT_OK;
    hti_mutex_lock(store->mutex);
    hti_query *query = store->query_find;
    hti_query_bind_text(query, 1, id);
    hti_query_bind_int(query, 2, store->manifest->n_docs);
    while (!found && (status = hti_query_next(query, &row, err)) == HT_OK && row) {
        const int64_t ordinal = hti_query_int(query, 0);
        const bool alive =
            hti_query_is_null(query, 1) || hti_query_int(query, 1) > (int64_t)store->manifest->generation;
        found = alive && ordinal >= 0;
        if (found) *doc = (uint32_t)ordinal;
    }
    if (found) hti_query_reset(query);
    hti_mutex_unlock(store->mutex);
    if (status != HT_OK || found) return status;
    return HT_FAIL(err, NOT_FOUND, "%s: no document with id \"%.*s\"", store->dir, (int)HTI_MIN(id.len, (size_t)200),
                   id.len ? id.data : "");
}
