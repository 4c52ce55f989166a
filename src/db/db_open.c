/*
 * db_open.c - opening SQLite the one way we use it, transactions, and errors.
 *
 * Journal: write-ahead log. The writer keeps the log and its index on disk when it closes (PERSIST_WAL),
 * because a reader without permission to write cannot make them: with them there it takes part in
 * SQLite's locking like any other. Only where they are missing and cannot be made is the file read as
 * immutable (no locks, no change expected), which is right for read-only media.
 *
 * Memory: SQLite allocates by the system's malloc, not by our hook. Its allocator is one for the whole
 * process (sqlite3_config before sqlite3_initialize) and belongs to the program around us - Python's
 * sqlite3 module shares the library - so setting it from here would either fail or take over blocks
 * that are not ours. Tests, which own their process, route it through the hook and sweep over it. What
 * SQLite takes is bounded by the cache sizes below.
 *
 * Easy to get wrong: some failures (full disk, no memory) end SQLite's transaction by themselves, and the
 * next INSERT would then commit on its own: callers look at hti_db_in_transaction or give up.
 */
#include "db_int.h"

#include "os/os.h"

#include <errno.h>
#include <string.h>

enum { BUSY_MS = 5000, CHECKPOINT_BUSY_MS = 100 };

static int file_errno(sqlite3_file *file)
{
    int number = 0;
    if (!file || !file->pMethods || file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number) != SQLITE_OK)
        return 0;
    return number;
}

/*
 * The system's reason behind an error, 0 if there is none. COMMIT leaves it with the files alone; and a page
 * that the disk refused to read (EIO) reaches us as SQLITE_CORRUPT, although nothing says it is damaged.
 */
static int system_errno(const hti_db *db, int rc)
{
    const int kind = rc & 0xFF, number = sqlite3_system_errno(db->handle);
    if (kind == SQLITE_CANTOPEN || (kind == SQLITE_IOERR && number != 0)) return number;
    if (kind != SQLITE_IOERR && rc != SQLITE_CORRUPT) return 0;
    sqlite3_file *main_file = NULL, *log_file = NULL;
    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &main_file);
    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log_file);
    const int in_log = file_errno(log_file), in_main = file_errno(main_file);
    if (rc == SQLITE_CORRUPT) return in_log == EIO || in_main == EIO ? EIO : 0;
    return in_log ? in_log : in_main;
}

static ht_status status_of(const hti_db *db, int rc)
{
    const int number = system_errno(db, rc);
    if (rc == SQLITE_CORRUPT && number == EIO) return HT_IO;
    switch (rc & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return HT_OK;
    case SQLITE_FULL: return HT_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return HT_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return HT_BUSY;
    case SQLITE_NOMEM: return HT_NO_MEMORY;
    case SQLITE_CONSTRAINT: return HT_EXISTS;
    case SQLITE_TOOBIG: return HT_LIMIT;
    case SQLITE_INTERRUPT: return HT_CANCELLED;
    default: break;
    }
    if (rc == SQLITE_IOERR_NOMEM) return HT_NO_MEMORY;
    if (rc == SQLITE_IOERR_SHORT_READ) return HT_CORRUPT; /* IOERR_CORRUPTFS is what SQLite makes of EIO */
    return hti_os_status(number) == HT_NO_SPACE ? HT_NO_SPACE : HT_IO;
}

static const char *mend_of(ht_status status)
{
    switch (status) {
    case HT_NO_SPACE: return "; make room and try again";
    case HT_CORRUPT: return "; restore a copy or make it anew";
    case HT_BUSY: return "; wait for the other process to end";
    default: return "";
    }
}

ht_status hti_db_fail(const hti_db *db, int rc, const char *what, ht_error *err)
{
    const ht_status status = status_of(db, rc);
    const int number = system_errno(db, rc);
    if (number != 0 && status != HT_NO_MEMORY) {
        errno = number;
        (void)hti_os_fail(err, db->path, what);
        if (err) err->status = status; /* a missing log is no missing database */
        return status;
    }
    const char *reason = sqlite3_errstr(rc); /* of the extended code: fixed texts, no file content */
    return hti_fail(err, status, "%s: cannot %s: %s (SQLite %d)%s", db->path, what, reason, rc, mend_of(status));
}

static int configure(hti_db *db)
{
    sqlite3 *handle = db->handle;
    const bool writes = db->mode != HTI_DB_READ;
    static const struct {
        int option, value;
    } wanted[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                  {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                  {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0}};
    (void)sqlite3_extended_result_codes(handle, 1);
    for (size_t i = 0; i < HTI_LEN(wanted); i++) {
        const int rc = sqlite3_db_config(handle, wanted[i].option, wanted[i].value, NULL);
        if (rc != SQLITE_OK) return rc;
    }
    int rc = sqlite3_busy_timeout(handle, BUSY_MS);
    /* A writer's cache holds the changed pages of bulk adds; what does not fit spills into the log. */
    const char *pragmas = writes ? "PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
                                   "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF;"
                                 : "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;";
    if (rc == SQLITE_OK) rc = sqlite3_exec(handle, pragmas, NULL, NULL, NULL);
    int persist = 1;
    if (rc == SQLITE_OK && writes) (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    return rc;
}

static int open_handle(hti_db *db, const char *name, int flags)
{
    int rc = sqlite3_open_v2(name, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK) rc = configure(db);
    if (rc == SQLITE_OK) /* the first read opens the log */
        rc = sqlite3_exec(db->handle, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    return rc;
}

static bool log_is_empty(const hti_db *db)
{
    hti_buffer name;
    uint64_t size = 0;
    hti_buffer_init(&name);
    hti_buffer_printf(&name, "%s-wal", db->path);
    ht_status status = hti_buffer_status(&name, NULL);
    if (status == HT_OK) status = hti_file_size(name.data, &size, NULL);
    hti_buffer_deinit(&name);
    return status == HT_NOT_FOUND || (status == HT_OK && size == 0); /* in doubt it is not */
}

/* "file:PATH?immutable=1" with everything but plain characters escaped. */
static void immutable_name(hti_buffer *name, const char *path)
{
    hti_buffer_text(name, "file:");
    for (const char *at = path; *at; at++) {
        const unsigned char byte = (unsigned char)*at;
        const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                           (byte >= '0' && byte <= '9') || strchr("/._-", byte) != NULL;
        hti_buffer_printf(name, plain ? "%c" : "%%%02X", byte);
    }
    hti_buffer_text(name, "?immutable=1");
}

static ht_status open_reader(hti_db *db, ht_error *err)
{
    int rc = open_handle(db, db->path, SQLITE_OPEN_READONLY);
    const bool no_index = (rc & 0xFF) == SQLITE_CANTOPEN || (rc & 0xFF) == SQLITE_READONLY;
    if (!no_index) return rc == SQLITE_OK ? HT_OK : hti_db_fail(db, rc, "open", err);
    if (!log_is_empty(db))
        return HT_FAIL(err, IO,
                       "%s: cannot read its unfinished log without permission to write; open it once as a user who "
                       "may write, or copy the directory",
                       db->path);
    hti_buffer name;
    hti_buffer_init(&name);
    immutable_name(&name, db->path);
    ht_status status = hti_buffer_status(&name, err);
    if (status == HT_OK) {
        (void)sqlite3_close(db->handle);
        db->handle = NULL;
        db->immutable = true;
        rc = open_handle(db, name.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
        if (rc != SQLITE_OK) status = hti_db_fail(db, rc, "open", err);
    }
    hti_buffer_deinit(&name);
    return status;
}

static ht_status open_writer(hti_db *db, ht_error *err)
{
    int rc = open_handle(db, db->path, SQLITE_OPEN_READWRITE | (db->mode == HTI_DB_CREATE ? SQLITE_OPEN_CREATE : 0));
    if (rc == SQLITE_OK) rc = sqlite3_exec(db->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    if (rc == SQLITE_OK && sqlite3_db_readonly(db->handle, "main") == 1) rc = SQLITE_READONLY;
    return rc == SQLITE_OK ? HT_OK : hti_db_fail(db, rc, "open for writing", err);
}

ht_status hti_db_open(const char *path, hti_db_mode mode, const hti_db_schema *schema, hti_db **out, ht_error *err)
{
    *out = NULL;
    uint64_t size;
    if (mode != HTI_DB_CREATE) HT_TRY(hti_file_size(path, &size, err));
    hti_db *db = HTI_NEW(hti_db);
    if (!db) return HTI_NO_MEMORY(err);
    const size_t len = strlen(path) + 1;
    db->mode = mode;
    db->path = hti_alloc(len);
    ht_status status = db->path ? HT_OK : HTI_NO_MEMORY(err);
    if (db->path) memcpy(db->path, path, len);
    if (status == HT_OK) status = mode == HTI_DB_READ ? open_reader(db, err) : open_writer(db, err);
    if (status == HT_OK) status = hti_db_settle_schema(db, schema, err);
    if (status != HT_OK) {
        hti_db_close(db);
        return status;
    }
    *out = db;
    return HT_OK;
}

void hti_db_close(hti_db *db)
{
    if (!db) return;
    (void)sqlite3_close_v2(db->handle); /* rolls back */
    hti_free(db->path);
    hti_free(db);
}

static ht_status run(hti_db *db, const char *sql, const char *what, ht_error *err)
{
    const int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? HT_OK : hti_db_fail(db, rc, what, err);
}

ht_status hti_db_begin(hti_db *db, ht_error *err)
{
    return run(db, db->mode == HTI_DB_READ ? "BEGIN" : "BEGIN IMMEDIATE", "begin a transaction", err);
}

ht_status hti_db_commit(hti_db *db, ht_error *err)
{
    const ht_status status = run(db, "COMMIT", "commit", err);
    if (status != HT_OK) hti_db_rollback(db);
    return status;
}

void hti_db_rollback(hti_db *db)
{
    if (hti_db_in_transaction(db)) (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool hti_db_in_transaction(const hti_db *db) { return sqlite3_get_autocommit(db->handle) == 0; }

void hti_db_checkpoint(hti_db *db)
{
    (void)sqlite3_busy_timeout(db->handle, CHECKPOINT_BUSY_MS);
    (void)sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(db->handle, BUSY_MS);
}

ht_status hti_db_run(hti_db *db, const char *sql, ht_error *err) { return run(db, sql, "write", err); }

int64_t hti_db_changes(const hti_db *db) { return sqlite3_changes64(db->handle); }

ht_status hti_db_relax(hti_db *db, ht_error *err) { return hti_db_run(db, "PRAGMA synchronous=NORMAL", err); }
