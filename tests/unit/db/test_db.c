/*
 * test_db.c - opening, schemas and migrations, transactions, and SQLite's results as statuses.
 */
#include "db/db.h"
#include "fast_dir.h"
#include "fault_alloc.h"
#include "fault_sqlite.h"
#include "os/os.h"
#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *const first_objects[] = {
    "CREATE TABLE item (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"};
static const hti_db_schema first = {.name = "thing", .application_id = 77, .objects = first_objects, .n_objects = 1};

/* Version 2 gives every item a colour. */
static const char *const second_objects[] = {
    "CREATE TABLE item (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, colour TEXT NOT NULL) STRICT",
    "CREATE INDEX item_colour ON item (colour)"};
static const char *const second_migrations[] = {
    "ALTER TABLE item RENAME TO old_item;"
    "CREATE TABLE item (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, colour TEXT NOT NULL) STRICT;"
    "INSERT INTO item SELECT number, name, 'grey' FROM old_item;"
    "DROP TABLE old_item;"
    "CREATE INDEX item_colour ON item (colour)"};
static const hti_db_schema second = {.name = "thing",
                                     .application_id = 77,
                                     .objects = second_objects,
                                     .n_objects = 2,
                                     .migrations = second_migrations,
                                     .n_migrations = 1};

static char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
static ht_error err;

static int set_up(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    temp_dir_path(dir, "odd name?#%.db", path); /* would break an unescaped URI */
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    assert_int_equal(fault_alloc_live_blocks(), 0);
    return 0;
}

static hti_db *open_as(hti_db_mode mode, const hti_db_schema *schema)
{
    hti_db *db;
    if (hti_db_open(path, mode, schema, &db, &err) != HT_OK) fail_msg("%s", err.message);
    return db;
}

static void assert_refused(hti_db_mode mode, const hti_db_schema *schema, ht_status status)
{
    hti_db *db;
    assert_int_equal(hti_db_open(path, mode, schema, &db, &err), status);
    assert_null(db);
    assert_non_null(strstr(err.message, "odd name"));
}

static int64_t read_number(hti_db *db, const char *sql)
{
    hti_query *query;
    bool row;
    assert_int_equal(hti_db_query(db, sql, &query, &err), HT_OK);
    assert_int_equal(hti_query_next(query, &row, &err), HT_OK);
    assert_true(row);
    const int64_t value = hti_query_int(query, 0);
    hti_query_free(query);
    return value;
}

static ht_status insert(hti_db *db, int64_t number, const char *name, ht_error *error)
{
    hti_query *query;
    HT_TRY(hti_db_query(db, "INSERT INTO item (number, name) VALUES (?, ?)", &query, error));
    hti_query_bind_int(query, 1, number);
    hti_query_bind_text(query, 2, (ht_text){name, strlen(name)});
    const ht_status status = hti_query_run(query, error);
    hti_query_free(query);
    return status;
}

/* Does something behind the room's back. */
static void meddle(const char *sql)
{
    sqlite3 *raw;
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    if (sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(raw));
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
}

static void test_open_modes(void **unused)
{
    (void)unused;
    assert_refused(HTI_DB_READ, &first, HT_NOT_FOUND);
    assert_refused(HTI_DB_WRITE, &first, HT_NOT_FOUND);
    assert_false(hti_path_exists(path));
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    assert_int_equal(read_number(db, "PRAGMA user_version"), 1);
    assert_int_equal(read_number(db, "PRAGMA synchronous"), 2);
    assert_int_equal(insert(db, 1, "one", &err), HT_OK);
    hti_db *reader = open_as(HTI_DB_READ, &first);
    assert_int_equal(read_number(reader, "SELECT count(*) FROM item"), 1);
    assert_int_equal(insert(reader, 2, "two", &err), HT_IO); /* read only */
    hti_db_close(reader);
    hti_db_close(db);
    db = open_as(HTI_DB_CREATE, &first);
    assert_int_equal(read_number(db, "SELECT number FROM item WHERE name = 'one'"), 1);
    hti_db_close(db);
    hti_db_close(NULL);
}

static void test_a_cut_off_creation_is_no_database(void **unused)
{
    (void)unused;
    hti_file *file;
    assert_int_equal(hti_file_create(path, &file, &err), HT_OK);
    assert_int_equal(hti_file_close(file, false, &err), HT_OK);
    assert_refused(HTI_DB_READ, &first, HT_NOT_FOUND);
    assert_refused(HTI_DB_WRITE, &first, HT_NOT_FOUND);
    hti_db_close(open_as(HTI_DB_CREATE, &first));
    hti_db_close(open_as(HTI_DB_READ, &first));
}

static void test_foreign_files_are_refused(void **unused)
{
    (void)unused;
    assert_int_equal(
        hti_replace_file(path, "this is a text file, not a database, and longer than a header of one", 68, &err),
        HT_OK);
    assert_refused(HTI_DB_READ, &first, HT_CORRUPT);
    assert_refused(HTI_DB_CREATE, &first, HT_CORRUPT);
    assert_int_equal(hti_remove(path, &err), HT_OK);
    meddle("CREATE TABLE other (x); PRAGMA application_id = 5; PRAGMA user_version = 1");
    assert_refused(HTI_DB_READ, &first, HT_CORRUPT);
    assert_refused(HTI_DB_WRITE, &first, HT_CORRUPT);
    assert_refused(HTI_DB_CREATE, &first, HT_CORRUPT);
}

static void test_a_changed_schema_is_refused(void **unused)
{
    (void)unused;
    static const char *const changes[][2] = {
        {"CREATE VIEW trap AS SELECT 1", "DROP VIEW trap"},
        {"CREATE TRIGGER trap AFTER INSERT ON item BEGIN DELETE FROM item; END", "DROP TRIGGER trap"},
        {"CREATE TABLE more (x)", "DROP TABLE more"},
        {"ALTER TABLE item RENAME TO thing", "ALTER TABLE thing RENAME TO item"},
        {"CREATE INDEX more ON item (name, number)", "DROP INDEX more"}};
    for (size_t i = 0; i < HTI_LEN(changes); i++) {
        hti_db_close(open_as(HTI_DB_CREATE, &first));
        meddle(changes[i][0]);
        assert_refused(HTI_DB_READ, &first, HT_CORRUPT);
        assert_refused(HTI_DB_CREATE, &first, HT_CORRUPT);
        meddle(changes[i][1]);
        if (i == 3)
            temp_dir_remove(dir), assert_int_equal(hti_make_dirs(dir, &err), HT_OK); /* a rename changes the text */
    }
    hti_db_close(open_as(HTI_DB_CREATE, &first));
    meddle("ANALYZE"); /* SQLite's own tables are fine */
    hti_db_close(open_as(HTI_DB_READ, &first));
}

static void test_migration(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    assert_int_equal(insert(db, 1, "one", &err), HT_OK);
    assert_int_equal(insert(db, 2, "two", &err), HT_OK);
    hti_db_close(db);
    assert_refused(HTI_DB_READ, &second, HT_VERSION);
    db = open_as(HTI_DB_WRITE, &second);
    assert_int_equal(read_number(db, "PRAGMA user_version"), 2);
    assert_int_equal(read_number(db, "SELECT count(*) FROM item WHERE colour = 'grey'"), 2);
    hti_db_close(db);
    hti_db_close(open_as(HTI_DB_READ, &second));
    assert_refused(HTI_DB_READ, &first, HT_VERSION); /* the newer file in the older program */
    assert_refused(HTI_DB_CREATE, &first, HT_VERSION);
    hti_db_close(open_as(HTI_DB_CREATE, &second));
}

static void test_transactions(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first), *reader = open_as(HTI_DB_READ, &first);
    assert_int_equal(hti_db_begin(db, &err), HT_OK);
    assert_true(hti_db_in_transaction(db));
    assert_int_equal(insert(db, 1, "one", &err), HT_OK);
    assert_int_equal(read_number(reader, "SELECT count(*) FROM item"), 0);
    assert_int_equal(insert(db, 1, "two", &err), HT_EXISTS);
    assert_int_equal(insert(db, 2, "one", &err), HT_EXISTS);
    assert_true(hti_db_in_transaction(db));
    assert_int_equal(hti_db_begin(reader, &err), HT_OK);
    assert_int_equal(read_number(reader, "SELECT count(*) FROM item"), 0);
    assert_int_equal(hti_db_commit(db, &err), HT_OK);
    hti_db_checkpoint(db);
    assert_int_equal(read_number(reader, "SELECT count(*) FROM item"), 0); /* its snapshot */
    hti_db_rollback(reader);
    assert_int_equal(read_number(reader, "SELECT count(*) FROM item"), 1);
    assert_int_equal(hti_db_begin(db, &err), HT_OK);
    assert_int_equal(hti_db_run(db, "DELETE FROM item", &err), HT_OK);
    assert_int_equal(hti_db_changes(db), 1);
    hti_db_rollback(db);
    assert_false(hti_db_in_transaction(db));
    hti_db_rollback(db);
    assert_int_equal(read_number(db, "SELECT count(*) FROM item"), 1);
    hti_db_close(reader);
    hti_db_close(db);
}

static void test_values_keep_every_byte(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    hti_query *query;
    bool row;
    static const char odd[] = "nul \0 inside, and \xF0\x9F\x90\x95";
    assert_int_equal(hti_db_query(db, "INSERT INTO item VALUES (?, ?)", &query, &err), HT_OK);
    hti_query_bind_int(query, 1, INT64_MIN);
    hti_query_bind_text(query, 2, (ht_text){odd, sizeof odd - 1});
    assert_int_equal(hti_query_run(query, &err), HT_OK);
    hti_query_bind_int(query, 1, INT64_MAX);
    hti_query_bind_text(query, 2, (ht_text){NULL, 0}); /* the empty text, not NULL */
    assert_int_equal(hti_query_run(query, &err), HT_OK);
    hti_query_bind_int(query, 3, 1); /* no such parameter: told by the run, then forgotten */
    assert_int_not_equal(hti_query_run(query, &err), HT_OK);
    assert_int_equal(hti_query_run(query, &err), HT_EXISTS); /* reset: parameters are NULL, which the column refuses */
    hti_query_free(query);
    assert_int_equal(hti_db_query(db, "SELECT number, name, NULL FROM item ORDER BY number", &query, &err), HT_OK);
    assert_int_equal(hti_query_next(query, &row, &err), HT_OK);
    assert_true(row && hti_query_int(query, 0) == INT64_MIN);
    assert_int_equal(hti_query_text(query, 1).len, sizeof odd - 1);
    assert_memory_equal(hti_query_text(query, 1).data, odd, sizeof odd - 1);
    assert_true(hti_query_is_null(query, 2) && !hti_query_is_null(query, 1));
    assert_null(hti_query_text(query, 2).data);
    assert_int_equal(hti_query_next(query, &row, &err), HT_OK);
    assert_true(row && hti_query_int(query, 0) == INT64_MAX);
    assert_non_null(hti_query_text(query, 1).data);
    assert_int_equal(hti_query_text(query, 1).len, 0);
    assert_int_equal(hti_query_next(query, &row, &err), HT_OK);
    assert_false(row);
    hti_query_free(query);
    hti_query_free(NULL);
    hti_db_close(db);
}

static void test_a_full_database_has_no_space(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    hti_query *query;
    bool row;
    static char big[100000];
    memset(big, 'x', sizeof big - 1);
    assert_int_equal(hti_db_query(db, "PRAGMA max_page_count = 10", &query, &err), HT_OK);
    assert_int_equal(hti_query_next(query, &row, &err), HT_OK);
    hti_query_free(query);
    assert_int_equal(insert(db, 1, big, &err), HT_NO_SPACE);
    assert_non_null(strstr(err.message, "odd name"));
    assert_int_equal(read_number(db, "SELECT count(*) FROM item"), 0);
    hti_db_close(db);
}

static void test_a_held_lock_is_busy(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        sqlite3 *raw;
        sqlite3_open(path, &raw);
        sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (write(ready[1], "x", 1) == 1) pause(); /* until killed */
        _exit(0);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(read_number(db, "SELECT count(*) FROM item"), 0); /* readers go on */
    assert_int_equal(hti_db_begin(db, &err), HT_BUSY);                 /* after 5 s */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(hti_db_begin(db, &err), HT_OK); /* the lock died with its holder */
    hti_db_close(db);
}

static void count_problem(void *ud, const char *problem)
{
    ++*(int *)ud;
    assert_non_null(strstr(problem, "odd name"));
}

static bool always(void *ud)
{
    (void)ud;
    return true;
}

static void test_check(void **unused)
{
    (void)unused;
    hti_db *db = open_as(HTI_DB_CREATE, &first);
    int n = 0;
    char name[200];
    assert_int_equal(hti_db_begin(db, &err), HT_OK);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "%0150d", i);
        assert_int_equal(insert(db, i, name, &err), HT_OK);
    }
    assert_int_equal(hti_db_commit(db, &err), HT_OK);
    assert_int_equal(hti_db_check(db, NULL, count_problem, &n, &err), HT_OK);
    assert_int_equal(n, 0);
    const ht_monitor stop = {NULL, always, NULL};
    assert_int_equal(hti_db_check(db, &stop, count_problem, &n, &err), HT_CANCELLED);
    hti_db_checkpoint(db);
    hti_db_close(db);
    hti_buffer bytes; /* spoil a page in the middle */
    hti_buffer_init(&bytes);
    assert_int_equal(hti_read_file(path, 1 << 24, &bytes, &err), HT_OK);
    assert_true(bytes.len > 100 * 4096);
    memset(bytes.data + 50 * 4096, 0xEE, 4096);
    assert_int_equal(hti_replace_file(path, bytes.data, bytes.len, &err), HT_OK);
    hti_buffer_deinit(&bytes);
    db = open_as(HTI_DB_READ, &first);
    assert_int_equal(hti_db_check(db, NULL, count_problem, &n, &err), HT_OK);
    assert_true(n > 0);
    hti_db_close(db);
}

static ht_status whole_life(void *ud, ht_error *error)
{
    (void)ud;
    hti_db *db;
    temp_dir_remove(dir);
    HT_TRY(hti_make_dirs(dir, error));
    ht_status status = hti_db_open(path, HTI_DB_CREATE, &first, &db, error);
    if (status == HT_OK) status = hti_db_begin(db, error);
    if (status == HT_OK) status = insert(db, 1, "one", error);
    if (status == HT_OK) status = hti_db_commit(db, error);
    hti_db_close(db);
    if (status != HT_OK) return status;
    HT_TRY(hti_db_open(path, HTI_DB_READ, &first, &db, error));
    hti_db_close(db);
    HT_TRY(hti_db_open(path, HTI_DB_WRITE, &second, &db, error));
    hti_db_close(db);
    return HT_OK;
}

static void test_failing_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(whole_life, NULL, false, 5000) > 100);
    assert_true(fault_alloc_sweep(whole_life, NULL, true, 300) > 100);
}

int main(void)
{
    fast_dir_use();
    fault_alloc_install();
    fault_sqlite_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_open_modes),
        TEST(test_a_cut_off_creation_is_no_database),
        TEST(test_foreign_files_are_refused),
        TEST(test_a_changed_schema_is_refused),
        TEST(test_migration),
        TEST(test_transactions),
        TEST(test_values_keep_every_byte),
        TEST(test_a_full_database_has_no_space),
        TEST(test_a_held_lock_is_busy),
        TEST(test_check),
        TEST(test_failing_memory),
    };
    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
