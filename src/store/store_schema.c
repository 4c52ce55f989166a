/*
 * store_schema.c - the tables of a collection and the small pieces that every file of the room uses.
 *
 * Layout: see docs/formats/collection.md. Two tables for documents: `document` is small (a page holds over
 * a hundred rows), so ids are found and looked up without reading text; `content` is large and read
 * once a hit. `live` is 1 or NULL, so UNIQUE (id, live) allows one living document an id and any
 * number of dead ones. `encoding` 0 is plain UTF-8; 1 is kept for zstd.
 */
#include "store_int.h"

#include <string.h>

static const char *const objects[] = {
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE generation (number INTEGER PRIMARY KEY, created INTEGER NOT NULL, n_docs INTEGER NOT NULL, "
    "n_deleted INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT",
    "CREATE TABLE segment (number INTEGER PRIMARY KEY, first_doc INTEGER NOT NULL, n_docs INTEGER NOT NULL, "
    "checksum INTEGER NOT NULL) STRICT",
    "CREATE TABLE member (generation INTEGER NOT NULL, segment INTEGER NOT NULL, PRIMARY KEY (generation, segment)) "
    "STRICT, WITHOUT ROWID",
    "CREATE TABLE file (segment INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, "
    "checksum INTEGER NOT NULL, PRIMARY KEY (segment, kind)) STRICT, WITHOUT ROWID",
    "CREATE TABLE document (ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL, live INTEGER, deleted INTEGER) STRICT",
    "CREATE UNIQUE INDEX document_id ON document (id, live)",
    "CREATE INDEX document_deleted ON document (deleted) WHERE deleted IS NOT NULL",
    "CREATE TABLE content (ordinal INTEGER PRIMARY KEY, encoding INTEGER NOT NULL, "
    "title TEXT NOT NULL, text ANY NOT NULL) "
    "STRICT",
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL, "
    "generation INTEGER NOT NULL) STRICT, WITHOUT ROWID",
};

const hti_db_schema hti_store_schema = {
    .name = "collection",
    .application_id = 0x48544442, /* "HTDB" */
    .objects = objects,
    .n_objects = HTI_LEN(objects),
};

char *hti_store_copy(const char *text)
{
    const size_t len = strlen(text) + 1;
    char *copy = hti_alloc(len);
    if (copy) memcpy(copy, text, len);
    return copy;
}

char *hti_store_path(const char *dir, const char *name)
{
    const size_t dir_len = strlen(dir), name_len = strlen(name) + 1;
    char *path = hti_alloc(hti_add(dir_len + 1, name_len));
    if (!path) return NULL;
    memcpy(path, dir, dir_len);
    path[dir_len] = '/';
    memcpy(path + dir_len + 1, name, name_len);
    return path;
}

ht_status hti_store_counter(hti_db *db, const char *name, int64_t otherwise, int64_t *out, ht_error *err)
{
    hti_query *query;
    bool row = false;
    *out = otherwise;
    HT_TRY(hti_db_query(db, "SELECT value FROM counter WHERE name = ?", &query, err));
    hti_query_bind_text(query, 1, (ht_text){name, strlen(name)});
    const ht_status status = hti_query_next(query, &row, err);
    if (status == HT_OK && row) *out = hti_query_int(query, 0);
    hti_query_free(query);
    return status;
}

ht_status hti_store_set_counter(hti_db *db, const char *name, int64_t value, ht_error *err)
{
    hti_query *query;
    HT_TRY(hti_db_query(db, "INSERT OR REPLACE INTO counter (name, value) VALUES (?, ?)", &query, err));
    hti_query_bind_text(query, 1, (ht_text){name, strlen(name)});
    hti_query_bind_int(query, 2, value);
    const ht_status status = hti_query_run(query, err);
    hti_query_free(query);
    return status;
}

ht_status hti_store_digest(const char *path, const ht_monitor *monitor, uint64_t *size, uint64_t *checksum,
                           ht_error *err)
{
    enum { STEP = 1 << 20 };
    *size = *checksum = 0;
    hti_input *input = NULL;
    char *piece = hti_alloc(STEP);
    hti_hasher *hasher = hti_hasher_new();
    ht_status status = piece && hasher ? hti_input_open(path, &input, err) : HTI_NO_MEMORY(err);
    for (size_t len = STEP; status == HT_OK && len == STEP;) {
        if (monitor && monitor->cancelled && monitor->cancelled(monitor->ud))
            status = HT_FAIL(err, CANCELLED, "%s: reading was cancelled", path);
        else
            status = hti_input_read(input, piece, STEP, &len, err);
        if (status != HT_OK) break;
        hti_hasher_add(hasher, piece, len);
        *size += len;
    }
    if (status == HT_OK) *checksum = hti_hasher_finish(hasher);
    hti_input_close(input);
    hti_hasher_free(hasher);
    hti_free(piece);
    return status;
}

void hti_store_hash_doc(hti_hasher *hasher, ht_text id, ht_text title, ht_text text)
{
    const ht_text fields[] = {id, title, text};
    for (size_t i = 0; i < HTI_LEN(fields); i++) {
        unsigned char len[8];
        hti_put_u64(len, fields[i].len);
        hti_hasher_add(hasher, len, sizeof len);
        hti_hasher_add(hasher, fields[i].data, fields[i].len);
    }
}
