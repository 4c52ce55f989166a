/*
 * store_check.c - reads everything a collection holds and reports what is not as it should be.
 *
 * Order: SQLite's own check; the generations, as a reader loads them; the documents' fields against the
 * checksum of their segment; every file against its checksum. A database that SQLite calls damaged is
 * not read further. All in one snapshot, so a writer may go on.
 * Workload: disk speed (XXH3 is faster); progress and cancellation by the megabyte.
 */
#include "store_int.h"

typedef struct checker {
    hti_store *store;
    const ht_monitor *monitor;
    hti_problem_fn fn;
    void *ud;
    size_t n_problems;
    uint64_t done; /* files and documents, for progress */
} checker;

static void report(checker *check, const char *problem)
{
    check->n_problems++;
    if (check->fn) check->fn(check->ud, problem);
}

#define REPORT(check, ...)                           \
    do {                                             \
        ht_error line_;                              \
        (void)HT_FAIL(&line_, CORRUPT, __VA_ARGS__); \
        report((check), line_.message);              \
    } while (0)

static void report_database(void *ud, const char *problem) { report(ud, problem); }

static ht_status advance(checker *check, uint64_t n, ht_error *err)
{
    const ht_monitor *monitor = check->monitor;
    check->done += n;
    if (!monitor) return HT_OK;
    if (monitor->cancelled && monitor->cancelled(monitor->ud))
        return HT_FAIL(err, CANCELLED, "%s: the check was cancelled", check->store->dir);
    if (monitor->progress) monitor->progress(monitor->ud, "check", check->done, 0);
    return HT_OK;
}

/* A failure that speaks of damage is a problem to report; others end the check. */
static ht_status absorb(checker *check, ht_status status, const ht_error *reason, ht_error *err)
{
    if (status == HT_OK) return HT_OK;
    if (status != HT_CORRUPT && status != HT_NOT_FOUND) return hti_fail(err, status, "%s", reason->message);
    report(check, reason->message);
    return HT_OK;
}

static ht_status check_generations(checker *check, ht_error *err)
{
    const hti_store *store = check->store;
    ht_error reason = {0};
    uint64_t *numbers;
    size_t n;
    ht_status status = hti_manifest_list(store->db, store->db_path, &numbers, &n, &reason);
    if (status != HT_OK) return absorb(check, status, &reason, err);
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        hti_manifest *manifest;
        const ht_status loaded =
            hti_manifest_load(store->db, store->dir, numbers[i], HTI_MANIFEST_ROWS, &manifest, &reason);
        status = absorb(check, loaded, &reason, err);
        hti_manifest_free(manifest);
    }
    hti_free(numbers);
    return status;
}

static ht_status check_file(checker *check, const hti_query *row, ht_error *err)
{
    ht_error reason = {0};
    uint64_t size, checksum;
    hti_arena arena;
    hti_arena_init(&arena);
    const char *name = hti_arena_text(&arena, hti_query_text(row, 0));
    char *path = name ? hti_store_path(check->store->dir, name) : NULL;
    ht_status status = path ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK && !hti_store_is_segment_name(name)) {
        REPORT(check, "%s: a file name that no segment can have", check->store->db_path);
    } else if (status == HT_OK) {
        status = hti_store_digest(path, check->monitor, &size, &checksum, &reason);
        if (status != HT_OK)
            status = absorb(check, status, &reason, err);
        else if (size != (uint64_t)hti_query_int(row, 1))
            REPORT(check, "%s: %llu bytes, should be %lld", path, (unsigned long long)size,
                   (long long)hti_query_int(row, 1));
        else if (checksum != (uint64_t)hti_query_int(row, 2))
            REPORT(check, "%s: its content does not match its checksum", path);
    }
    hti_free(path);
    hti_arena_deinit(&arena);
    return status == HT_OK ? advance(check, 1, err) : status;
}

static ht_status check_files(checker *check, ht_error *err)
{
    hti_query *query;
    bool row = true;
    HT_TRY(hti_db_query(check->store->db, "SELECT name, size, checksum FROM file", &query, err));
    ht_status status = HT_OK;
    while (status == HT_OK && (status = hti_query_next(query, &row, err)) == HT_OK && row)
        status = check_file(check, query, err);
    hti_query_free(query);
    return status;
}

/* What no checksum covers: alive or deleted, content in an encoding that can be read. */
static void check_row(checker *check, const hti_query *row, int64_t ordinal)
{
    const char *path = check->store->db_path;
    const bool alive = !hti_query_is_null(row, 4), deleted = !hti_query_is_null(row, 5);
    if (alive == deleted || (alive && hti_query_int(row, 4) != 1) || (deleted && hti_query_int(row, 5) < 1))
        REPORT(check, "%s: document %lld is neither alive nor deleted", path, (long long)ordinal);
    if (hti_query_is_null(row, 6) || hti_query_int(row, 6) != 0)
        REPORT(check, "%s: document %lld has no content or one in an unknown encoding", path, (long long)ordinal);
}

/* Documents of one segment: every ordinal there once, with fields that give the segment's checksum. */
static ht_status check_documents(checker *check, hti_query *docs, const hti_segment *segment, uint64_t checksum,
                                 ht_error *err)
{
    enum { DOCS_BETWEEN_POLLS = 4096 };
    const char *path = check->store->db_path;
    hti_hasher *hasher = hti_hasher_new();
    if (!hasher) return HTI_NO_MEMORY(err);
    int64_t next = segment->first_doc;
    bool row = true;
    ht_status status = HT_OK;
    hti_query_bind_int(docs, 1, next);
    hti_query_bind_int(docs, 2, next + segment->n_docs);
    while ((status = hti_query_next(docs, &row, err)) == HT_OK && row && hti_query_int(docs, 0) == next) {
        check_row(check, docs, next);
        hti_store_hash_doc(hasher, hti_query_text(docs, 1), hti_query_text(docs, 2), hti_query_text(docs, 3));
        next++;
        if (next % DOCS_BETWEEN_POLLS == 0 && (status = advance(check, DOCS_BETWEEN_POLLS, err)) != HT_OK) break;
    }
    hti_query_reset(docs);
    if (status == HT_OK && next != (int64_t)segment->first_doc + segment->n_docs)
        REPORT(check, "%s: document %lld of segment %llu is missing", path, (long long)next,
               (unsigned long long)segment->number);
    else if (status == HT_OK && hti_hasher_finish(hasher) != checksum)
        REPORT(check, "%s: the documents of segment %llu do not match their checksum", path,
               (unsigned long long)segment->number);
    hti_hasher_free(hasher);
    return status;
}

/* Documents that no generation counts: a commit never leaves any. */
static ht_status check_strays(checker *check, ht_error *err)
{
    hti_query *query;
    bool row = false;
    HT_TRY(hti_db_query(check->store->db,
                        "SELECT ordinal FROM (SELECT max(ordinal) AS ordinal FROM document UNION ALL "
                        "SELECT max(ordinal) FROM content UNION ALL SELECT min(ordinal) FROM document UNION ALL "
                        "SELECT min(ordinal) FROM content) WHERE ordinal < 0 OR ordinal >= "
                        "(SELECT coalesce(max(first_doc + n_docs), 0) FROM segment)",
                        &query, err));
    const ht_status status = hti_query_next(query, &row, err);
    if (status == HT_OK && row)
        REPORT(check, "%s: document %lld belongs to no segment", check->store->db_path,
               (long long)hti_query_int(query, 0));
    hti_query_free(query);
    return status;
}

static ht_status check_segments(checker *check, ht_error *err)
{
    const hti_store *store = check->store;
    const hti_manifest *served = store->manifest;
    hti_query *docs;
    HT_TRY(hti_db_query(
        store->db,
        "SELECT document.ordinal, id, title, text, live, deleted, encoding FROM document LEFT JOIN content "
        "ON content.ordinal = document.ordinal WHERE document.ordinal >= ? AND document.ordinal < ? "
        "ORDER BY document.ordinal",
        &docs, err));
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < served->n_segments; i++)
        status = check_documents(check, docs, &served->segments[i], served->doc_checksums[i], err);
    hti_query_free(docs);
    return status;
}

static ht_status check_all(checker *check, ht_error *err)
{
    hti_store *store = check->store;
    ht_error reason = {0};
    const ht_status status = hti_db_check(store->db, check->monitor, report_database, check, &reason);
    HT_TRY(absorb(check, status, &reason, err));
    if (check->n_problems > 0) return HT_OK;
    HT_TRY(check_generations(check, err));
    HT_TRY(check_segments(check, err));
    HT_TRY(check_strays(check, err));
    return check_files(check, err);
}

ht_status hti_store_check(hti_store *store, const ht_monitor *monitor, hti_problem_fn fn, void *ud, ht_error *err)
{
    checker check = {store, monitor, fn, ud, 0, 0};
    if (store->change) return HT_FAIL(err, INVALID, "%s: a change is open; commit or abort it first", store->dir);
    hti_mutex_lock(store->mutex);
    ht_status status = hti_db_begin(store->db, err);
    if (status == HT_OK) status = check_all(&check, err);
    hti_db_rollback(store->db);
    hti_mutex_unlock(store->mutex);
    if (status == HT_OK && check.n_problems == 0 && store->warning) report(&check, store->warning);
    if (status == HT_CORRUPT) report(&check, err ? err->message : "damaged");
    if ((status == HT_OK || status == HT_CORRUPT) && check.n_problems > 0)
        return HT_FAIL(err, CORRUPT, "%s: %zu problem%s found; restore a copy or index anew", store->dir,
                       check.n_problems, check.n_problems == 1 ? "" : "s");
    return status;
}
