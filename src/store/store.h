/*
 * store.h - the door of the room that keeps a collection on disk.
 *
 * A collection is a directory: `houndstooth.db` (SQLite: manifest, generations, external ids, deletes,
 * stored fields) and immutable segment files. A generation is a set of segments and deletes; it
 * exists from the moment its row is committed. A segment is a run of documents with consecutive
 * ordinals and one file per kind ("lexical", "vectors", ...).
 *
 * Protocol of a write: lock file -> files under temporary names, each fsynced -> rename -> fsync of
 * the directory -> database commit that names them with size and XXH3-64. A kill at any instant
 * leaves the old generation or the new one. Files that no generation names are removed by the next writer.
 *
 * Thread rule: hti_store_doc, _doc_id and _find may be called from any thread (they take turns); what the
 * other accessors return lives in memory and is constant until this object commits. Changes and checks
 * belong to one thread at a time.
 */
#ifndef HTI_STORE_STORE_H
#define HTI_STORE_STORE_H

#include "base/base.h"

typedef struct hti_store hti_store;

typedef enum hti_store_mode { HTI_STORE_READ, HTI_STORE_WRITE, HTI_STORE_CREATE } hti_store_mode;

/*
 * Opens a collection. READ and WRITE fail with NOT_FOUND if there is none; CREATE makes it (also in
 * an existing empty directory) or opens it for writing. WRITE and CREATE take the writer's lock
 * (BUSY if held) and remove leftovers. The newest generation whose files are all there with the right
 * size is served; if that is not the newest, `hti_store_warning` tells which file is damaged.
 */
HT_CHECKED ht_status hti_store_open(const char *dir, hti_store_mode mode, hti_store **out, ht_error *err);
void hti_store_close(hti_store *store);
/* One line about a damaged file and the generation served instead; NULL if all is well. */
const char *hti_store_warning(const hti_store *store);

/* ---- settings: name -> text, fixed by the first commit that sets them ---- */

/* Value, or NULL if unset; lives as long as the store object. */
const char *hti_store_setting(const hti_store *store, const char *name);

/* ---- the generation served ---- */

typedef struct hti_segment {
    uint64_t number;
    uint32_t first_doc, n_docs;
} hti_segment;
uint64_t hti_store_generation(const hti_store *store);
/* Segments in ordinal order, [*n]; live as long as the store object or until its next commit. */
const hti_segment *hti_store_segments(const hti_store *store, size_t *n);
/* Path of a segment's file of one kind, NULL if it has none; same lifetime. */
const char *hti_store_segment_path(const hti_store *store, size_t segment, const char *kind);
/* Documents in all segments, deleted ones included: ordinals are [0, n). */
uint32_t hti_store_n_docs(const hti_store *store);
/* Bit set over ordinals, NULL if nothing is deleted; *n_deleted counts. */
const uint64_t *hti_store_deleted(const hti_store *store, uint32_t *n_deleted);
/* Bytes of database and segment files of this generation. */
uint64_t hti_store_size_bytes(const hti_store *store);

/* Stored fields of one document, copied into the arena. NOT_FOUND beyond the end. */
typedef struct hti_doc {
    ht_text id, title, text;
} hti_doc;
HT_CHECKED ht_status hti_store_doc(hti_store *store, uint32_t doc, hti_arena *arena, hti_doc *out, ht_error *err);
/* Only the external id: much cheaper, for runs. */
HT_CHECKED ht_status hti_store_doc_id(hti_store *store, uint32_t doc, hti_arena *arena, ht_text *out, ht_error *err);
/* Ordinal of an external id among documents not deleted; NOT_FOUND. */
HT_CHECKED ht_status hti_store_find(hti_store *store, ht_text id, uint32_t *doc, ht_error *err);

/* ---- one change: all or nothing ---- */

typedef struct hti_change hti_change;
/* Starts a change on a store opened for writing; one at a time. */
HT_CHECKED ht_status hti_change_begin(hti_store *store, hti_change **out, ht_error *err);
/*
 * Adds a document to the new segment; *doc is its ordinal in the collection. EXISTS if the id is there already
 * (in the collection or this change).
 */
HT_CHECKED ht_status hti_change_add(hti_change *change, const hti_doc *fields, uint32_t *doc, ht_error *err);
/* Marks a document as deleted by external id; NOT_FOUND. */
HT_CHECKED ht_status hti_change_delete(hti_change *change, ht_text id, ht_error *err);
HT_CHECKED ht_status hti_change_set(hti_change *change, const char *name, const char *value, ht_error *err);
/*
 * Temporary path under which the caller writes (and fsyncs) the new segment's file of this kind; lives until
 * commit or abort.
 */
HT_CHECKED ht_status hti_change_file(hti_change *change, const char *kind, const char **path, ht_error *err);
/*
 * Makes it durable and visible; afterwards the store serves the new generation. Frees the change, also on
 * failure (then nothing has changed).
 */
HT_CHECKED ht_status hti_change_commit(hti_change *change, ht_error *err);
/* NULL allowed. */
void hti_change_abort(hti_change *change);

/* ---- checking ---- */

/* Called for each problem found, one line each. */
typedef void (*hti_problem_fn)(void *ud, const char *problem);
/*
 * Reads everything: SQLite's integrity check, size and checksum of each file of each kept generation, ids against
 * ordinals. OK if whole, CORRUPT if a problem was reported.
 */
HT_CHECKED ht_status hti_store_check(hti_store *store, const ht_monitor *monitor, hti_problem_fn fn, void *ud,
                                     ht_error *err);

#endif
