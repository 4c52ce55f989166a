/*
 * store_int.h - what the files of the store room share. docs/formats/collection.md is the format.
 */
#ifndef HTI_STORE_STORE_INT_H
#define HTI_STORE_STORE_INT_H

#include "store.h"

#include "db/db.h"
#include "os/os.h"

#define HTI_STORE_DB "houndstooth.db"
#define HTI_STORE_LOCK "houndstooth.lock"
#define HTI_STORE_PREFIX "segment-" /* every other file of ours: segment-NNNNNN.KIND, with a suffix while it is made */

extern const hti_db_schema hti_store_schema;

typedef struct hti_manifest_file {
    const char *kind, *name, *path;
    uint64_t size, checksum;
} hti_manifest_file;

typedef struct hti_manifest_setting {
    const char *name, *value;
} hti_manifest_setting;

/* One generation as it is in the database; immutable, in its own arena. */
typedef struct hti_manifest {
    hti_arena arena;
    uint64_t generation; /* 0: nothing was ever committed */
    int64_t created;     /* seconds since 1970 */
    uint32_t n_docs, n_deleted;
    uint64_t checksum; /* computed, not read */
    hti_segment *segments;
    uint64_t *doc_checksums; /* [n_segments]: over the documents' fields */
    size_t n_segments, cap_segments, cap_checksums;
    size_t *file_starts; /* [n_segments + 1] into files */
    hti_manifest_file *files;
    size_t n_files, cap_files;
    hti_manifest_setting *settings;
    size_t n_settings, cap_settings;
    uint64_t *deleted; /* bit set over n_docs ordinals, NULL if n_deleted is 0 */
    uint64_t size_bytes;
} hti_manifest;

struct hti_store {
    char *dir, *db_path;
    hti_store_mode mode;
    hti_lock *lock;
    hti_db *db;
    hti_mutex *mutex; /* around the look-up queries */
    hti_query *query_doc, *query_id, *query_find;
    hti_manifest *manifest;
    char *warning;
    hti_change *change; /* the one that is open */
    bool broken;        /* a database commit failed: what is on disk is known only after opening again */
};

/* "DIR/NAME" in an own block; NULL when memory is out. */
HT_CHECKED char *hti_store_path(const char *dir, const char *name);
HT_CHECKED char *hti_store_copy(const char *text);

/* How much must be right: WHOLE everything, ROWS all but the files, NEW all but the checksum (it is being made). */
typedef enum hti_manifest_trust { HTI_MANIFEST_WHOLE, HTI_MANIFEST_ROWS, HTI_MANIFEST_NEW } hti_manifest_trust;

/*
 * Reads a generation (0: the empty one). CORRUPT if its rows do not fit together, its checksum is another
 * or a file is missing or of wrong size; the message names the file.
 */
HT_CHECKED ht_status hti_manifest_load(hti_db *db, const char *dir, uint64_t generation, hti_manifest_trust trust,
                                       hti_manifest **out, ht_error *err);
void hti_manifest_free(hti_manifest *manifest);
/* Numbers of the generations in the database, newest first, in a block [*n] that the caller frees. */
HT_CHECKED ht_status hti_manifest_list(hti_db *db, const char *db_path, uint64_t **out, size_t *n, ht_error *err);
/* A counter's value, `otherwise` if it was never set. */
HT_CHECKED ht_status hti_store_counter(hti_db *db, const char *name, int64_t otherwise, int64_t *out, ht_error *err);
HT_CHECKED ht_status hti_store_set_counter(hti_db *db, const char *name, int64_t value, ht_error *err);

/* Removes files of ours that no generation in the database names. The writer's lock is held. */
HT_CHECKED ht_status hti_store_clean(hti_store *store, ht_error *err);
/* True for names that this room gives to segment files, finished or not; no path separators. */
bool hti_store_is_segment_name(const char *name);
/* CREATE refuses a directory that holds other files and no collection. */
HT_CHECKED ht_status hti_store_refuse_foreign(const char *dir, ht_error *err);
/* In the open transaction: forgets generations below `oldest_kept` and segments that none of the others has. */
HT_CHECKED ht_status hti_store_prune(hti_db *db, uint64_t oldest_kept, ht_error *err);

/* Size and XXH3-64 of a file, read in pieces. */
HT_CHECKED ht_status hti_store_digest(const char *path, const ht_monitor *monitor, uint64_t *size, uint64_t *checksum,
                                      ht_error *err);
/* Adds a document to the checksum of its segment. */
void hti_store_hash_doc(hti_hasher *hasher, ht_text id, ht_text title, ht_text text);

#endif
