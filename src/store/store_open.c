/*
 * store_open.c - opening a collection, choosing the generation to serve, and looking documents up.
 *
 * Snapshot: a store object keeps the number of its generation and what belongs to it in memory, and
 * every look-up is filtered by it (ordinal below n_docs; deleted later than this generation is alive).
 * So no SQLite transaction stays open, a writer's log can always be emptied, and a reader is never
 * disturbed by commits.
 * Workload: open a collection of 1e5 documents in under 5 ms: nothing is read per document but deletes.
 * Thread rule: what is in memory may be read by any thread until the next commit of this object; look-ups
 * share three prepared queries under `mutex`. Nothing else is locked inside.
 */
#include "store_int.h"

#include <string.h>

static ht_status no_collection(const char *dir, const char *why, ht_error *err)
{
    return HT_FAIL(err, NOT_FOUND, "%s: no collection here (%s); make one with `hound index`", dir, why);
}

static ht_status settle_directory(hti_store *store, ht_error *err)
{
    const char *dir = store->dir;
    uint64_t size;
    if (store->mode == HTI_STORE_CREATE) HT_TRY(hti_make_dirs(dir, err));
    const ht_status there = hti_file_size(store->db_path, &size, err);
    if (there == HT_NOT_FOUND && store->mode != HTI_STORE_CREATE)
        return no_collection(dir, hti_path_is_dir(dir) ? "it has no " HTI_STORE_DB : "no such directory", err);
    if (there == HT_NOT_FOUND)
        HT_TRY(hti_store_refuse_foreign(dir, err));
    else
        HT_TRY(there);
    if (store->mode == HTI_STORE_READ) return HT_OK;
    char *lock = hti_store_path(dir, HTI_STORE_LOCK);
    if (!lock) return HTI_NO_MEMORY(err);
    const ht_status status = hti_lock_take(lock, &store->lock, err);
    hti_free(lock);
    return status;
}

static ht_status open_database(hti_store *store, ht_error *err)
{
    static const hti_db_mode modes[] = {
        [HTI_STORE_READ] = HTI_DB_READ, [HTI_STORE_WRITE] = HTI_DB_WRITE, [HTI_STORE_CREATE] = HTI_DB_CREATE};
    const ht_status status = hti_db_open(store->db_path, modes[store->mode], &hti_store_schema, &store->db, err);
    if (status == HT_NOT_FOUND)
        return no_collection(store->dir, HTI_STORE_DB " is empty: its creation was cut off", err);
    HT_TRY(status);
    return store->mode == HTI_STORE_CREATE ? hti_sync_dir(store->dir, err) : HT_OK;
}

/* The generation that the counter promises must be in the table; an empty collection has no documents. */
static ht_status check_newest(hti_store *store, uint64_t newest, ht_error *err)
{
    int64_t promised;
    hti_query *query;
    bool row = false;
    HT_TRY(hti_store_counter(store->db, "generation", 0, &promised, err));
    if ((uint64_t)promised != newest)
        return HT_FAIL(err, CORRUPT, "%s: generation %lld was committed, %llu is the newest in the table",
                       store->db_path, (long long)promised, (unsigned long long)newest);
    if (newest > 0) return HT_OK;
    HT_TRY(hti_db_query(store->db, "SELECT 1 FROM document LIMIT 1", &query, err));
    const ht_status status = hti_query_next(query, &row, err);
    hti_query_free(query);
    if (status == HT_OK && row) return HT_FAIL(err, CORRUPT, "%s: documents without a generation", store->db_path);
    return status;
}

/* Serves numbers[at..]: the first that is whole. `why` holds what was wrong with the newest, if anything. */
static ht_status choose(hti_store *store, const uint64_t *numbers, size_t n, ht_error *why, ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ht_error reason = {0};
        const ht_status status =
            hti_manifest_load(store->db, store->dir, numbers[i], HTI_MANIFEST_WHOLE, &store->manifest, &reason);
        if (status == HT_OK) return HT_OK;
        if (status != HT_CORRUPT) return hti_fail(err, status, "%s", reason.message);
        if (why->status == HT_OK) *why = reason;
    }
    return HT_FAIL(err, CORRUPT, "%s; no older generation is whole", why->message);
}

static ht_status serve(hti_store *store, ht_error *err)
{
    uint64_t *numbers;
    size_t n;
    ht_error why = {0};
    HT_TRY(hti_manifest_list(store->db, store->db_path, &numbers, &n, err));
    ht_status status = check_newest(store, n ? numbers[0] : 0, &why);
    if (status == HT_OK || (status == HT_CORRUPT && n > 0))
        status = n ? choose(store, numbers, n, &why, err)
                   : hti_manifest_load(store->db, store->dir, 0, HTI_MANIFEST_WHOLE, &store->manifest, err);
    else
        status = hti_fail(err, status, "%s", why.message);
    hti_free(numbers);
    if (status != HT_OK || why.status == HT_OK) return status;
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_printf(&text, "%s; serving generation %llu", why.message,
                      (unsigned long long)store->manifest->generation);
    status = hti_buffer_status(&text, err);
    store->warning = text.data; /* the block moves; hti_free is its end */
    return status;
}

/* In one snapshot, so that a commit in between changes nothing. */
static ht_status serve_newest(hti_store *store, ht_error *err)
{
    if (store->mode != HTI_STORE_READ) return serve(store, err);
    HT_TRY(hti_db_begin(store->db, err));
    const ht_status status = serve(store, err);
    hti_db_rollback(store->db);
    return status;
}

static ht_status prepare_queries(hti_store *store, ht_error *err)
{
    HT_TRY(hti_db_query(store->db, "SELECT id FROM document WHERE ordinal = ?", &store->query_id, err));
    HT_TRY(hti_db_query(
        store->db,
        "SELECT id, encoding, title, text FROM document JOIN content ON content.ordinal = document.ordinal "
        "WHERE document.ordinal = ?",
        &store->query_doc, err));
    return hti_db_query(store->db, "SELECT ordinal, deleted FROM document WHERE id = ? AND ordinal < ?",
                        &store->query_find, err);
}

static ht_status open_all(hti_store *store, const char *dir, ht_error *err)
{
    store->dir = hti_store_copy(dir);
    store->db_path = hti_store_path(dir, HTI_STORE_DB);
    store->mutex = hti_mutex_new();
    if (!store->dir || !store->db_path || !store->mutex) return HTI_NO_MEMORY(err);
    HT_TRY(settle_directory(store, err));
    HT_TRY(open_database(store, err));
    HT_TRY(serve_newest(store, err));
    if (store->mode != HTI_STORE_READ && !store->warning) HT_TRY(hti_store_clean(store, err));
    return prepare_queries(store, err);
}

ht_status hti_store_open(const char *dir, hti_store_mode mode, hti_store **out, ht_error *err)
{
    *out = NULL;
    if (dir[0] == '\0') return HT_FAIL(err, INVALID, "the directory of a collection needs a name");
    hti_store *store = HTI_NEW(hti_store);
    if (!store) return HTI_NO_MEMORY(err);
    store->mode = mode;
    const ht_status status = open_all(store, dir, err);
    if (status != HT_OK) {
        hti_store_close(store);
        return status;
    }
    if (store->warning) hti_log(HT_LOG_WARNING, "%s", store->warning);
    *out = store;
    return HT_OK;
}

void hti_store_close(hti_store *store)
{
    if (!store) return;
    hti_change_abort(store->change);
    hti_query_free(store->query_doc);
    hti_query_free(store->query_id);
    hti_query_free(store->query_find);
    hti_db_close(store->db);
    hti_lock_release(store->lock); /* last: the database is closed before another writer comes */
    hti_manifest_free(store->manifest);
    hti_mutex_free(store->mutex);
    hti_free(store->warning);
    hti_free(store->db_path);
    hti_free(store->dir);
    hti_free(store);
}

const char *hti_store_warning(const hti_store *store) { return store->warning; }

const char *hti_store_setting(const hti_store *store, const char *name)
{
    const hti_manifest *served = store->manifest;
    for (size_t i = 0; i < served->n_settings; i++)
        if (strcmp(served->settings[i].name, name) == 0) return served->settings[i].value;
    return NULL;
}

uint64_t hti_store_generation(const hti_store *store) { return store->manifest->generation; }

const hti_segment *hti_store_segments(const hti_store *store, size_t *n)
{
    *n = store->manifest->n_segments;
    return store->manifest->segments;
}

const char *hti_store_segment_path(const hti_store *store, size_t segment, const char *kind)
{
    const hti_manifest *served = store->manifest;
    if (segment >= served->n_segments) return NULL;
    for (size_t i = served->file_starts[segment]; i < served->file_starts[segment + 1]; i++)
        if (strcmp(served->files[i].kind, kind) == 0) return served->files[i].path;
    return NULL;
}

uint32_t hti_store_n_docs(const hti_store *store) { return store->manifest->n_docs; }

const uint64_t *hti_store_deleted(const hti_store *store, uint32_t *n_deleted)
{
    if (n_deleted) *n_deleted = store->manifest->n_deleted;
    return store->manifest->deleted;
}

uint64_t hti_store_size_bytes(const hti_store *store)
{
    uint64_t size = 0;
    if (hti_file_size(store->db_path, &size, NULL) != HT_OK) size = 0;
    return store->manifest->size_bytes + size;
}
