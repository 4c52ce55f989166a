/*
 * db_query.c - prepared statements and the integrity check.
 *
 * Invariant: a query that gave its last row or failed is reset, so it holds no lock and no snapshot; a
 * caller that stops early resets it. Binding keeps its first failure, so callers bind without looking.
 * Workload: one INSERT a document in bulk adds, one primary key look-up a hit in searches.
 */
#include "db_int.h"

#include <string.h>

struct hti_query {
    hti_db *db;
    sqlite3_stmt *handle;
    int failed; /* SQLite result of a bind */
};

ht_status hti_db_query(hti_db *db, const char *sql, hti_query **out, ht_error *err)
{
    *out = NULL;
    hti_query *query = HTI_NEW(hti_query);
    if (!query) return HTI_NO_MEMORY(err);
    query->db = db;
    const int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->handle, NULL);
    if (rc != SQLITE_OK) {
        const ht_status status = hti_db_fail(db, rc, "prepare a query", err);
        hti_query_free(query);
        return status;
    }
    *out = query;
    return HT_OK;
}

void hti_query_free(hti_query *query)
{
    if (!query) return;
    (void)sqlite3_finalize(query->handle);
    hti_free(query);
}

static void note(hti_query *query, int rc)
{
    if (query->failed == SQLITE_OK) query->failed = rc;
}

void hti_query_bind_int(hti_query *query, int at, int64_t value)
{
    note(query, sqlite3_bind_int64(query->handle, at, value));
}

void hti_query_bind_text(hti_query *query, int at, ht_text text)
{
    const char *data = text.len ? text.data : ""; /* NULL would bind SQL's NULL */
    note(query, sqlite3_bind_text64(query->handle, at, data, text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void hti_query_bind_blob(hti_query *query, int at, const void *data, size_t len)
{
    note(query, sqlite3_bind_blob64(query->handle, at, len ? data : "", len, SQLITE_STATIC));
}

void hti_query_reset(hti_query *query)
{
    (void)sqlite3_reset(query->handle);
    (void)sqlite3_clear_bindings(query->handle);
    query->failed = SQLITE_OK;
}

ht_status hti_query_next(hti_query *query, bool *row, ht_error *err)
{
    HT_ASSERT(query != NULL);
    const int rc = query->failed != SQLITE_OK ? query->failed : sqlite3_step(query->handle);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) return HT_OK;
    const ht_status status = rc == SQLITE_DONE ? HT_OK : hti_db_fail(query->db, rc, "read or write", err);
    hti_query_reset(query);
    return status;
}

ht_status hti_query_run(hti_query *query, ht_error *err)
{
    bool row;
    const ht_status status = hti_query_next(query, &row, err);
    if (status == HT_OK && row) hti_query_reset(query);
    return status;
}

int64_t hti_query_int(const hti_query *query, int column) { return sqlite3_column_int64(query->handle, column); }

ht_text hti_query_text(const hti_query *query, int column)
{
    const int type = sqlite3_column_type(query->handle, column);
    if (type != SQLITE_TEXT && type != SQLITE_BLOB) return (ht_text){NULL, 0};
    const char *data = sqlite3_column_blob(query->handle, column); /* as stored: no NUL, no conversion, no memory */
    const int len = sqlite3_column_bytes(query->handle, column);
    return data && len > 0 ? (ht_text){data, (size_t)len} : (ht_text){"", 0};
}

bool hti_query_is_null(const hti_query *query, int column)
{
    return sqlite3_column_type(query->handle, column) == SQLITE_NULL;
}

static int watch(void *ud)
{
    const ht_monitor *monitor = ud;
    return monitor->cancelled(monitor->ud);
}

/*
 * SQLite's check reports a page that it could not read as damage, with its own result at the end of the
 * line: "... error code=7". Out of memory and failing disks are no damage. SQLITE_OK if there is no such code.
 */
static int code_at_end(ht_text line)
{
    static const char mark[] = "error code=";
    if (!line.data) return SQLITE_OK;
    const char *found = memmem(line.data, line.len, mark, sizeof mark - 1);
    int code = 0;
    if (!found) return SQLITE_OK;
    for (const char *at = found + sizeof mark - 1;
         at < line.data + line.len && *at >= '0' && *at <= '9' && code < 100000; at++)
        code = 10 * code + (*at - '0');
    return (code & 0xFF) == SQLITE_NOMEM || (code & 0xFF) == SQLITE_IOERR ? code : SQLITE_OK;
}

static ht_status take_line(hti_db *db, ht_text line, hti_db_problem_fn fn, void *ud, ht_error *err)
{
    if (line.len == 2 && memcmp(line.data, "ok", 2) == 0) return HT_OK;
    const int code = code_at_end(line);
    if (code != SQLITE_OK) return hti_db_fail(db, code, "check", err);
    ht_error problem;
    (void)HT_FAIL(&problem, CORRUPT, "%s: %.*s", db->path, (int)line.len, line.data);
    fn(ud, problem.message);
    return HT_OK;
}

ht_status hti_db_check(hti_db *db, const ht_monitor *monitor, hti_db_problem_fn fn, void *ud, ht_error *err)
{
    enum { STEPS_BETWEEN_POLLS = 10000 };
    ht_monitor copy = monitor ? *monitor : (ht_monitor){NULL, NULL, NULL};
    hti_query *query;
    HT_TRY(hti_db_query(db, "PRAGMA integrity_check(50)", &query, err));
    if (copy.cancelled) sqlite3_progress_handler(db->handle, STEPS_BETWEEN_POLLS, watch, &copy);
    bool row = true;
    ht_error reason = {0};
    ht_status status;
    while ((status = hti_query_next(query, &row, &reason)) == HT_OK && row) {
        status = take_line(db, hti_query_text(query, 0), fn, ud, &reason);
        if (status != HT_OK) break;
    }
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    hti_query_free(query);
    if (status == HT_OK) return HT_OK;
    if (status != HT_CORRUPT) return hti_fail(err, status, "%s", reason.message);
    fn(ud, reason.message); /* so damaged that the check itself stumbled */
    return HT_OK;
}
