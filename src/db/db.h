/*
 * db.h - the door of the room that holds SQLite: open and migrate, transact, query, check.
 *
 * What SQLite reports becomes a status: FULL (and ENOSPC below any I/O error) NO_SPACE, CORRUPT and
 * NOTADB CORRUPT, BUSY and LOCKED BUSY, NOMEM NO_MEMORY, CONSTRAINT EXISTS, TOOBIG LIMIT, INTERRUPT
 * CANCELLED, anything else IO. Every message names the database file.
 * Thread rule: one thread at a time for a database and its queries.
 */
#ifndef HTI_DB_DB_H
#define HTI_DB_DB_H

#include "base/base.h"

typedef struct hti_db hti_db;
typedef struct hti_query hti_query;

typedef enum hti_db_mode { HTI_DB_READ, HTI_DB_WRITE, HTI_DB_CREATE } hti_db_mode;

/*
 * What a database of one kind looks like. `objects` are the CREATE statements of the present version,
 * text for text: a database whose schema differs is refused, so a hostile file brings no view, trigger
 * or generated column. migrations[i] turns version i + 1 into i + 2; the present version (SQLite's
 * user_version) is n_migrations + 1. All of it lives as long as the database object.
 */
typedef struct hti_db_schema {
    const char *name; /* of the kind, for messages: "collection" */
    uint32_t application_id;
    const char *const *objects; /* [n_objects] */
    size_t n_objects;
    const char *const *migrations; /* [n_migrations] */
    size_t n_migrations;
} hti_db_schema;

/*
 * Opens the database at `path`. READ and WRITE fail with NOT_FOUND if there is no file or only one whose
 * creation was cut off; CREATE makes it. WRITE and CREATE migrate an older version in one transaction;
 * READ fails with VERSION on one. A newer version fails with VERSION, another application's database
 * or an unknown schema with CORRUPT. The journal is a write-ahead log, so readers never wait for a
 * writer; a commit is durable (synchronous = FULL). Whoever meets a lock waits for up to 5 s, then BUSY.
 * READ needs no permission to write: where the log's index cannot be made and the log is empty,
 * the file is read as immutable.
 */
HT_CHECKED ht_status hti_db_open(const char *path, hti_db_mode mode, const hti_db_schema *schema, hti_db **out,
                                 ht_error *err);
/* Rolls back what is open and closes; free the queries first. NULL allowed. */
void hti_db_close(hti_db *db);

/* Starts a transaction: a snapshot for a READ database, the write lock otherwise. */
HT_CHECKED ht_status hti_db_begin(hti_db *db, ht_error *err);
/* After a failure the transaction is rolled back, but a crash of the system may still let it appear. */
HT_CHECKED ht_status hti_db_commit(hti_db *db, ht_error *err);
/* Does nothing where no transaction is open. */
void hti_db_rollback(hti_db *db);
/* True between begin and commit; SQLite ends a transaction by itself on some failures. */
bool hti_db_in_transaction(const hti_db *db);
/* Moves the log into the database file and empties it, as far as readers let it; nothing is lost if not. */
void hti_db_checkpoint(hti_db *db);
/* Runs statements that give no rows. */
HT_CHECKED ht_status hti_db_run(hti_db *db, const char *sql, ht_error *err);

/* Commits may be lost when the power fails, not when the process dies; the database stays whole in any case. */
HT_CHECKED ht_status hti_db_relax(hti_db *db, ht_error *err);

/* Prepares one statement, kept for many runs. */
HT_CHECKED ht_status hti_db_query(hti_db *db, const char *sql, hti_query **out, ht_error *err);
void hti_query_free(hti_query *query);
/* Parameters from 1; a failure is kept and told by the next hti_query_next. Text must live until reset. */
void hti_query_bind_int(hti_query *query, int at, int64_t value);
void hti_query_bind_text(hti_query *query, int at, ht_text text);
void hti_query_bind_blob(hti_query *query, int at, const void *data, size_t len);
/* Moves to the next row; *row is false behind the last. Then, and on failure, the query is reset. */
HT_CHECKED ht_status hti_query_next(hti_query *query, bool *row, ht_error *err);
/* Runs a query that gives no row (a row is passed over) and resets it. */
HT_CHECKED ht_status hti_query_run(hti_query *query, ht_error *err);
/* Ready for the next run; parameters become NULL. */
void hti_query_reset(hti_query *query);
/* Columns of the present row, from 0; text is borrowed until the next call on the query. NULL gives 0 or {NULL, 0}. */
int64_t hti_query_int(const hti_query *query, int column);
ht_text hti_query_text(const hti_query *query, int column);
bool hti_query_is_null(const hti_query *query, int column);
/* Rows that the last INSERT, UPDATE or DELETE changed. */
int64_t hti_db_changes(const hti_db *db);

/* SQLite's integrity check; `fn` gets each problem as one line. OK also if there are problems: count them. */
typedef void (*hti_db_problem_fn)(void *ud, const char *problem);
HT_CHECKED ht_status hti_db_check(hti_db *db, const ht_monitor *monitor, hti_db_problem_fn fn, void *ud, ht_error *err);

#endif
