/*
 * store_change.c - one change to a collection: all of it or nothing.
 *
 * A change is one SQLite write transaction from begin to commit; documents go in as they come. Commit:
 *   1. each segment file (written and fsynced by its builder under a temporary name) is digested,
 *   2. renamed, and the directory fsynced;
 *   3. the rows that name it, and the generation with its checksum, are inserted; the generation is
 *      loaded back as a reader would load it, so what is served afterwards is what was proved;
 *   4. COMMIT: the instant the generation exists. Then the log is emptied into the database.
 * Whatever fails before 4 rolls back and removes the files. If 4 fails, the files stay: the log may hold the
 * commit after all (see store_clean.c), so the store refuses changes until it is opened again.
 *
 * Workload: 1e5..1e7 documents a change, three prepared statements, no statement journal.
 * Invariant: `failed` keeps the first failure that may have left half a document behind, or for which SQLite
 * may have ended the transaction; from then on the change can only be aborted. A refused id (EXISTS)
 * or a missing one (NOT_FOUND) is no such failure.
 * Easy to get wrong: commit frees the change on every path, and after COMMIT nothing may fail.
 */
#include "store_int.h"

#include <string.h>

enum { MAX_KIND = 32, MAX_ID = 1 << 16 };
#define MAX_DOCS (UINT32_MAX - 1)

typedef struct change_file {
    char *kind, *name, *temp, *path;
    bool renamed;
} change_file;

struct hti_change {
    hti_store *store;
    uint64_t generation, segment;
    uint32_t first_doc, n_docs;
    bool touched; /* something beyond documents changed */
    ht_error failed;
    hti_hasher *hasher; /* over the new documents */
    hti_query *insert_document, *insert_content, *delete_document;
    change_file *files;
    size_t n_files, cap_files;
};

static void free_change(hti_change *change)
{
    hti_query_free(change->insert_document);
    hti_query_free(change->insert_content);
    hti_query_free(change->delete_document);
    hti_hasher_free(change->hasher);
    for (size_t i = 0; i < change->n_files; i++) {
        hti_free(change->files[i].kind);
        hti_free(change->files[i].name);
        hti_free(change->files[i].temp);
        hti_free(change->files[i].path);
    }
    hti_free(change->files);
    if (change->store->change == change) change->store->change = NULL;
    hti_free(change);
}

/* Files that are left when this fails are removed by the next writer. */
static void remove_files(const hti_change *change)
{
    for (size_t i = 0; i < change->n_files; i++) {
        const change_file *file = &change->files[i];
        hti_discard(file->temp);
        if (file->renamed) hti_discard(file->path);
    }
}

void hti_change_abort(hti_change *change)
{
    if (!change) return;
    hti_db_rollback(change->store->db);
    remove_files(change);
    free_change(change);
}

static ht_status prepare(hti_change *change, ht_error *err)
{
    hti_db *db = change->store->db;
    int64_t segment;
    change->hasher = hti_hasher_new();
    if (!change->hasher) return HTI_NO_MEMORY(err);
    HT_TRY(hti_db_begin(db, err));
    HT_TRY(hti_store_counter(db, "segment", 1, &segment, err));
    const hti_manifest *served = change->store->manifest;
    const uint64_t above = served->n_segments ? served->segments[served->n_segments - 1].number + 1 : 1;
    change->segment = segment > 0 ? HTI_MAX((uint64_t)segment, above) : above; /* a damaged counter reuses no name */
    HT_TRY(
        hti_db_query(db, "INSERT INTO document (ordinal, id, live) VALUES (?, ?, 1)", &change->insert_document, err));
    HT_TRY(hti_db_query(db, "INSERT INTO content (ordinal, encoding, title, text) VALUES (?, 0, ?, ?)",
                        &change->insert_content, err));
    return hti_db_query(db, "UPDATE document SET live = NULL, deleted = ? WHERE id = ? AND live = 1",
                        &change->delete_document, err);
}

ht_status hti_change_begin(hti_store *store, hti_change **out, ht_error *err)
{
    *out = NULL;
    if (store->mode == HTI_STORE_READ) return HT_FAIL(err, INVALID, "%s: opened for reading only", store->dir);
    if (store->change) return HT_FAIL(err, INVALID, "%s: a change is open already; commit or abort it", store->dir);
    if (store->broken) return HT_FAIL(err, IO, "%s: an earlier commit failed; open the collection again", store->dir);
    if (store->warning)
        return HT_FAIL(err, CORRUPT, "%s; restore the file or index anew before changing the collection",
                       store->warning);
    hti_change *change = HTI_NEW(hti_change);
    if (!change) return HTI_NO_MEMORY(err);
    change->store = store;
    change->generation = store->manifest->generation + 1;
    change->first_doc = store->manifest->n_docs;
    const ht_status status = prepare(change, err);
    if (status != HT_OK) {
        hti_change_abort(change);
        return status;
    }
    *out = store->change = change;
    return HT_OK;
}

static ht_status usable(const hti_change *change, ht_error *err)
{
    if (change->failed.status == HT_OK) return HT_OK;
    return hti_fail(err, change->failed.status, "%s; this change can only be given up", change->failed.message);
}

/* Keeps a failure from which there is no way on, and reports it. */
static ht_status give_up(hti_change *change, const ht_error *failure, ht_error *err)
{
    change->failed = *failure;
    return hti_fail(err, failure->status, "%s", failure->message);
}

static ht_status check_fields(const hti_change *change, const hti_doc *fields, ht_error *err)
{
    const char *dir = change->store->dir;
    if (fields->id.len == 0) return HT_FAIL(err, INVALID, "%s: a document needs an id that is not empty", dir);
    if (fields->id.len > MAX_ID)
        return HT_FAIL(err, LIMIT, "%s: an id of %zu bytes, at most %d are allowed", dir, fields->id.len, (int)MAX_ID);
    if (change->n_docs >= MAX_DOCS - change->first_doc)
        return HT_FAIL(err, LIMIT, "%s: a collection holds at most %lu documents", dir, (unsigned long)MAX_DOCS);
    return HT_OK;
}

ht_status hti_change_add(hti_change *change, const hti_doc *fields, uint32_t *doc, ht_error *err)
{
    *doc = UINT32_MAX;
    HT_TRY(usable(change, err));
    HT_TRY(check_fields(change, fields, err));
    const uint32_t ordinal = change->first_doc + change->n_docs;
    ht_error failure = {0};
    hti_query_bind_int(change->insert_document, 1, ordinal);
    hti_query_bind_text(change->insert_document, 2, fields->id);
    ht_status status = hti_query_run(change->insert_document, &failure);
    if (status == HT_EXISTS && hti_db_in_transaction(change->store->db))
        return HT_FAIL(err, EXISTS,
                       "%s: a document with id \"%.*s\" is there already; delete it first or use another id",
                       change->store->dir, (int)HTI_MIN(fields->id.len, (size_t)200), fields->id.data);
    if (status != HT_OK) return give_up(change, &failure, err);
    hti_query_bind_int(change->insert_content, 1, ordinal);
    hti_query_bind_text(change->insert_content, 2, fields->title);
    hti_query_bind_text(change->insert_content, 3, fields->text);
    status = hti_query_run(change->insert_content, &failure);
    if (status != HT_OK) return give_up(change, &failure, err);
    hti_store_hash_doc(change->hasher, fields->id, fields->title, fields->text);
    change->n_docs++;
    *doc = ordinal;
    return HT_OK;
}

ht_status hti_change_delete(hti_change *change, ht_text id, ht_error *err)
{
    HT_TRY(usable(change, err));
    ht_error failure = {0};
    hti_query_bind_int(change->delete_document, 1, (int64_t)change->generation);
    hti_query_bind_text(change->delete_document, 2, id);
    const ht_status status = hti_query_run(change->delete_document, &failure);
    if (status != HT_OK) return give_up(change, &failure, err);
    if (hti_db_changes(change->store->db) == 0)
        return HT_FAIL(err, NOT_FOUND, "%s: no document with id \"%.*s\" to delete", change->store->dir,
                       (int)HTI_MIN(id.len, (size_t)200), id.len ? id.data : "");
    change->touched = true;
    return HT_OK;
}

/* *set tells whether the setting is there; then *same whether with this value. */
static ht_status compare_setting(hti_change *change, ht_text name, ht_text value, bool *set, bool *same, ht_error *err)
{
    hti_query *query;
    *same = false;
    HT_TRY(hti_db_query(change->store->db, "SELECT value FROM setting WHERE name = ?", &query, err));
    hti_query_bind_text(query, 1, name);
    const ht_status status = hti_query_next(query, set, err);
    if (status == HT_OK && *set) {
        const ht_text now = hti_query_text(query, 0);
        *same = now.len == value.len && memcmp(now.data, value.data, value.len) == 0;
    }
    hti_query_free(query);
    return status;
}

static ht_status insert_setting(hti_change *change, ht_text name, ht_text value, ht_error *err)
{
    hti_query *query;
    HT_TRY(
        hti_db_query(change->store->db, "INSERT INTO setting (name, value, generation) VALUES (?, ?, ?)", &query, err));
    hti_query_bind_text(query, 1, name);
    hti_query_bind_text(query, 2, value);
    hti_query_bind_int(query, 3, (int64_t)change->generation);
    const ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    return status;
}

ht_status hti_change_set(hti_change *change, const char *name, const char *value, ht_error *err)
{
    const ht_text name_text = {name, strlen(name)}, value_text = {value, strlen(value)};
    bool set = false, same;
    ht_error failure = {0};
    HT_TRY(usable(change, err));
    ht_status status = compare_setting(change, name_text, value_text, &set, &same, &failure);
    if (status == HT_OK && set && !same)
        return HT_FAIL(err, INVALID, "%s: its setting %s is fixed and not \"%s\"; make a new collection for that",
                       change->store->dir, name, value);
    if (status == HT_OK && !set) status = insert_setting(change, name_text, value_text, &failure);
    if (status != HT_OK) return give_up(change, &failure, err);
    change->touched |= !set;
    return HT_OK;
}

static bool is_kind(const char *kind)
{
    size_t len = 0;
    for (; kind[len]; len++)
        if (len >= MAX_KIND || !((kind[len] >= 'a' && kind[len] <= 'z') || kind[len] == '-')) return false;
    return len > 0;
}

static ht_status name_file(const hti_change *change, const char *kind, change_file *file, ht_error *err)
{
    hti_buffer name;
    hti_buffer_init(&name);
    hti_buffer_printf(&name, HTI_STORE_PREFIX "%06llu.%s", (unsigned long long)change->segment, kind);
    const ht_status status = hti_buffer_status(&name, err);
    if (status == HT_OK) {
        file->kind = hti_store_copy(kind);
        file->name = hti_store_copy(name.data);
        file->path = hti_store_path(change->store->dir, name.data);
        hti_buffer_text(&name, ".tmp");
        file->temp = hti_buffer_status(&name, NULL) == HT_OK ? hti_store_path(change->store->dir, name.data) : NULL;
    }
    hti_buffer_deinit(&name);
    if (status != HT_OK) return status;
    return file->kind && file->name && file->path && file->temp ? HT_OK : HTI_NO_MEMORY(err);
}

ht_status hti_change_file(hti_change *change, const char *kind, const char **path, ht_error *err)
{
    *path = NULL;
    HT_TRY(usable(change, err));
    if (!is_kind(kind)) return HT_FAIL(err, INVALID, "\"%s\": a kind of file is 1 to 32 of a-z and -", kind);
    for (size_t i = 0; i < change->n_files; i++) {
        if (strcmp(change->files[i].kind, kind) != 0) continue;
        *path = change->files[i].temp;
        return HT_OK;
    }
    HT_TRY(hti_reserve(&change->files, &change->cap_files, change->n_files + 1, sizeof *change->files, err));
    change_file *file = &change->files[change->n_files];
    *file = (change_file){NULL, NULL, NULL, NULL, false};
    const ht_status status = name_file(change, kind, file, err);
    if (status != HT_OK) {
        hti_free(file->kind);
        hti_free(file->name);
        hti_free(file->temp);
        hti_free(file->path);
        return status;
    }
    change->n_files++;
    *path = file->temp;
    return HT_OK;
}

static ht_status insert_file(const hti_change *change, const change_file *file, ht_error *err)
{
    uint64_t size, checksum;
    hti_query *query;
    const ht_status digested = hti_store_digest(file->temp, NULL, &size, &checksum, err);
    if (digested == HT_NOT_FOUND)
        return HT_FAIL(err, INVALID, "%s: the segment's file of kind %s was asked for but not written", file->temp,
                       file->kind);
    HT_TRY(digested);
    HT_TRY(hti_db_query(change->store->db,
                        "INSERT INTO file (segment, kind, name, size, checksum) VALUES (?, ?, ?, ?, ?)", &query, err));
    hti_query_bind_int(query, 1, (int64_t)change->segment);
    hti_query_bind_text(query, 2, (ht_text){file->kind, strlen(file->kind)});
    hti_query_bind_text(query, 3, (ht_text){file->name, strlen(file->name)});
    hti_query_bind_int(query, 4, (int64_t)size);
    hti_query_bind_int(query, 5, (int64_t)checksum);
    const ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    return status;
}

static ht_status insert_member(const hti_change *change, uint64_t segment, ht_error *err)
{
    hti_query *query;
    HT_TRY(hti_db_query(change->store->db, "INSERT INTO member (generation, segment) VALUES (?, ?)", &query, err));
    hti_query_bind_int(query, 1, (int64_t)change->generation);
    hti_query_bind_int(query, 2, (int64_t)segment);
    const ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    return status;
}

/* The new documents' segment: its files under their final names, and its rows. */
static ht_status add_segment(hti_change *change, ht_error *err)
{
    hti_db *db = change->store->db;
    hti_query *query;
    for (size_t i = 0; i < change->n_files; i++) HT_TRY(insert_file(change, &change->files[i], err));
    for (size_t i = 0; i < change->n_files; i++) {
        change->files[i].renamed = true; /* even if the answer gets lost */
        HT_TRY(hti_rename(change->files[i].temp, change->files[i].path, err));
    }
    HT_TRY(hti_sync_dir(change->store->dir, err));
    HT_TRY(
        hti_db_query(db, "INSERT INTO segment (number, first_doc, n_docs, checksum) VALUES (?, ?, ?, ?)", &query, err));
    hti_query_bind_int(query, 1, (int64_t)change->segment);
    hti_query_bind_int(query, 2, change->first_doc);
    hti_query_bind_int(query, 3, change->n_docs);
    hti_query_bind_int(query, 4, (int64_t)hti_hasher_finish(change->hasher));
    const ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    HT_TRY(status);
    HT_TRY(insert_member(change, change->segment, err));
    return hti_store_set_counter(db, "segment", (int64_t)change->segment + 1, err);
}

/* Inserts the generation's row, loads it back and completes it with what that computed. */
static ht_status insert_generation(const hti_change *change, hti_manifest **loaded, ht_error *err)
{
    hti_store *store = change->store;
    hti_query *query;
    HT_TRY(hti_db_query(store->db,
                        "INSERT INTO generation (number, created, n_docs, n_deleted, checksum) "
                        "VALUES (?, unixepoch(), ?, (SELECT count(*) FROM document WHERE deleted IS NOT NULL), 0)",
                        &query, err));
    hti_query_bind_int(query, 1, (int64_t)change->generation);
    hti_query_bind_int(query, 2, (int64_t)change->first_doc + change->n_docs);
    ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    HT_TRY(status);
    HT_TRY(hti_manifest_load(store->db, store->dir, change->generation, HTI_MANIFEST_NEW, loaded, err));
    HT_TRY(hti_db_query(store->db, "UPDATE generation SET checksum = ? WHERE number = ?", &query, err));
    hti_query_bind_int(query, 1, (int64_t)(*loaded)->checksum);
    hti_query_bind_int(query, 2, (int64_t)change->generation);
    status = hti_query_run(query, err);
    hti_query_free(query);
    return status;
}

static ht_status write_generation(hti_change *change, hti_manifest **loaded, ht_error *err)
{
    hti_store *store = change->store;
    for (size_t i = 0; i < store->manifest->n_segments; i++)
        HT_TRY(insert_member(change, store->manifest->segments[i].number, err));
    if (change->n_docs > 0) HT_TRY(add_segment(change, err));
    HT_TRY(insert_generation(change, loaded, err));
    HT_TRY(hti_store_set_counter(store->db, "generation", (int64_t)change->generation, err));
    return hti_store_prune(store->db, store->manifest->generation, err); /* this one and the new one stay */
}

ht_status hti_change_commit(hti_change *change, ht_error *err)
{
    hti_store *store = change->store;
    hti_manifest *loaded = NULL;
    ht_status status = usable(change, err);
    const bool empty = change->n_docs == 0 && !change->touched;
    if (status == HT_OK && !empty) status = write_generation(change, &loaded, err);
    if (status != HT_OK || empty) {
        hti_manifest_free(loaded);
        hti_change_abort(change);
        return status;
    }
    status = hti_db_commit(store->db, err);
    if (status != HT_OK) {
        store->broken = true;
        hti_manifest_free(loaded);
    } else {
        if (change->n_docs == 0) remove_files(change);
        hti_manifest_free(store->manifest);
        store->manifest = loaded;
        free_change(change);
        hti_db_checkpoint(store->db);
        return HT_OK;
    }
    free_change(change);
    return status;
}
