/*
 * test_store_damage.c - missing, cut, grown and flipped files: named, survived, never believed.
 *
 * The property behind all of it: if a collection opens without a warning and its check finds nothing, then
 * it equals the twin. HT_ITERS is the number of flips of the database, HT_SEED repeats a run.
 */
#include "fast_dir.h"
#include "store_testing.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_STATES = 4, N_CHANGES = 3 };

static char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
static ht_error err;
static twin states[N_STATES]; /* by generation */
static hti_buffer kept;       /* the file being damaged, as it was */

static int set_up(void **unused)
{
    (void)unused;
    uint64_t random = 21;
    temp_dir_make(dir);
    hti_buffer_init(&kept);
    memset(states, 0, sizeof states);
    hti_store *store = open_store(dir, HTI_STORE_CREATE);
    for (int i = 1; i <= N_CHANGES; i++) {
        states[i] = states[i - 1];
        if (twin_commit(store, &states[i], &random, 40, &err) != HT_OK) fail_msg("%s", err.message);
    }
    hti_store_close(store);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    hti_buffer_deinit(&kept);
    temp_dir_remove(dir);
    return 0;
}

static void keep_file(const char *name)
{
    (void)temp_dir_path(dir, name, path);
    assert_int_equal(hti_read_file(path, 1 << 28, &kept, &err), HT_OK);
}

static void write_bytes(const char *data, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void restore_file(void) { write_bytes(kept.data, kept.len); }

static void note_problem(void *ud, const char *problem)
{
    hti_buffer *all = ud;
    hti_buffer_text(all, problem);
    hti_buffer_text(all, "\n");
}

/* The damaged file `name` belongs to the newest generation alone: the one before is served. */
static void assert_older_is_served(const char *name)
{
    hti_change *change;
    hti_store *store = open_store(dir, HTI_STORE_READ);
    assert_int_equal(hti_store_generation(store), 2);
    assert_non_null(hti_store_warning(store));
    assert_non_null(strstr(hti_store_warning(store), name));
    assert_non_null(strstr(hti_store_warning(store), "generation 2"));
    assert_equals_twin(store, &states[2]);
    hti_buffer problems;
    hti_buffer_init(&problems);
    assert_int_equal(hti_store_check(store, NULL, note_problem, &problems, &err), HT_CORRUPT);
    assert_non_null(strstr(problems.data, name));
    hti_buffer_deinit(&problems);
    hti_store_close(store);
    store = open_store(dir, HTI_STORE_WRITE); /* opening for writing removes nothing and changes nothing */
    assert_equals_twin(store, &states[2]);
    assert_int_equal(hti_change_begin(store, &change, &err), HT_CORRUPT);
    assert_non_null(strstr(err.message, name));
    hti_store_close(store);
}

static void assert_nothing_is_served(const char *name)
{
    hti_store *store;
    assert_int_equal(hti_store_open(dir, HTI_STORE_READ, &store, &err), HT_CORRUPT);
    assert_non_null(strstr(err.message, name));
    assert_int_equal(hti_store_open(dir, HTI_STORE_WRITE, &store, &err), HT_CORRUPT);
}

static void test_missing_and_cut_segment_files(void **unused)
{
    (void)unused;
    for (int segment = 1; segment <= N_CHANGES; segment++) {
        for (int kind = 0; kind < 2; kind++) {
            char name[64];
            (void)snprintf(name, sizeof name, "segment-%06d.%s", segment, kind ? "words" : "vectors");
            keep_file(name);
            for (int damage = 0; damage < 4; damage++) {
                if (damage == 0) assert_int_equal(unlink(path), 0);
                if (damage == 1) write_bytes(kept.data, kept.len - 1);
                if (damage == 2) write_bytes("", 0);
                if (damage == 3) write_bytes(kept.data, kept.len + 1); /* the NUL behind it */
                if (segment == N_CHANGES)
                    assert_older_is_served(name);
                else
                    assert_nothing_is_served(name);
                restore_file();
            }
        }
    }
    hti_store *store = open_store(dir, HTI_STORE_WRITE); /* all is back */
    assert_equals_twin(store, &states[3]);
    assert_whole(store);
    hti_store_close(store);
}

static void test_every_flip_of_a_segment_file_is_found(void **unused)
{
    (void)unused;
    static const char name[] = "segment-000002.words";
    keep_file(name);
    hti_store *store = open_store(dir, HTI_STORE_READ);
    for (size_t at = 0; at < kept.len; at += 1 + kept.len / 150) {
        char *copy = malloc(kept.len);
        memcpy(copy, kept.data, kept.len);
        copy[at] = (char)(copy[at] ^ 1 << at % 8);
        write_bytes(copy, kept.len);
        free(copy);
        hti_buffer problems;
        hti_buffer_init(&problems);
        assert_int_equal(hti_store_check(store, NULL, note_problem, &problems, &err), HT_CORRUPT);
        assert_non_null(strstr(problems.data, name));
        assert_ptr_equal(strchr(problems.data, '\n'), problems.data + problems.len - 1); /* one problem, one line */
        hti_buffer_deinit(&problems);
    }
    restore_file();
    assert_whole(store);
    hti_store_close(store);
}

static void ignore_problem(void *ud, const char *problem)
{
    (void)ud;
    assert_true(problem[0] != '\0');
}

typedef struct outcome {
    uint64_t refused, warned, found, harmless;
} outcome;

/* Opens, uses and checks what is there; what passes for whole must equal the state of its generation. */
static void try_damaged(outcome *count, uint64_t lowest)
{
    hti_store *store;
    hti_arena arena;
    hti_doc doc;
    uint32_t ordinal;
    const ht_status status = hti_store_open(dir, HTI_STORE_READ, &store, &err);
    if (status != HT_OK) {
        assert_true(status == HT_CORRUPT || status == HT_VERSION || status == HT_NOT_FOUND || status == HT_IO);
        assert_non_null(strstr(err.message, dir));
        count->refused++;
        return;
    }
    const uint64_t generation = hti_store_generation(store);
    hti_arena_init(&arena);
    for (uint32_t i = 0; i < hti_store_n_docs(store); i++) { /* no lookup may crash */
        hti_arena_reset(&arena);
        if (hti_store_doc(store, i, &arena, &doc, &err) == HT_OK) (void)!hti_store_find(store, doc.id, &ordinal, &err);
    }
    hti_arena_deinit(&arena);
    const ht_status checked = hti_store_check(store, NULL, ignore_problem, NULL, &err);
    if (checked == HT_OK) {
        assert_null(hti_store_warning(store));
        if (generation < lowest || generation >= N_STATES) fail_msg("generation %d", (int)generation);
        assert_equals_twin(store, &states[generation]);
        count->harmless++;
    } else {
        assert_int_equal(checked, HT_CORRUPT);
        if (hti_store_warning(store)) {
            assert_true(generation <= N_CHANGES); /* the newest too, where only the counter is damaged */
            count->warned++;
        } else {
            count->found++;
        }
    }
    hti_store_close(store);
}

static void forget_log(void)
{
    char name[2 * TEMP_DIR_CAP];
    (void)unlink(temp_dir_path(dir, "houndstooth.db-wal", name));
    (void)unlink(temp_dir_path(dir, "houndstooth.db-shm", name));
}

static void test_flips_of_the_database_are_found_or_harmless(void **unused)
{
    (void)unused;
    outcome count = {0, 0, 0, 0};
    const uint64_t iters = from_env("HT_ITERS", 500), seed = from_env("HT_SEED", 1);
    uint64_t random = seed;
    keep_file("houndstooth.db");
    char *copy = malloc(kept.len);
    for (uint64_t i = 0; i < iters; i++) {
        /* every byte of the first header first, then page headers and cell pointers as often as anything else */
        size_t at = hti_random_next(&random) % kept.len;
        if (i < 100)
            at = i;
        else if (i % 2)
            at = at / 4096 * 4096 + at % 64;
        memcpy(copy, kept.data, kept.len);
        copy[at] = (char)(copy[at] ^ (i % 3 ? 1 << hti_random_next(&random) % 8 : 0xFF));
        write_bytes(copy, kept.len);
        forget_log();
        try_damaged(&count, N_CHANGES);
    }
    free(copy);
    print_message("seed %llu: %llu refused, %llu older served, %llu found by check, %llu harmless\n",
                  (unsigned long long)seed, (unsigned long long)count.refused, (unsigned long long)count.warned,
                  (unsigned long long)count.found, (unsigned long long)count.harmless);
    assert_true(iters < 500 || (count.refused > 20 && count.found > 20 && count.harmless > 20));
}

/* Every value of the manifest's rows, changed as a stray write would: what no structure of SQLite's guards. */
static void test_every_value_of_the_manifest_is_guarded(void **unused)
{
    (void)unused;
    static const char *const changes[] = {
        "UPDATE generation SET created = created + 1 WHERE number = 3",
        "UPDATE generation SET n_docs = n_docs + 1 WHERE number = 3",
        "UPDATE generation SET n_docs = -1 WHERE number = 3",
        "UPDATE generation SET n_docs = 4294967296 + n_docs WHERE number = 3",
        "UPDATE generation SET n_deleted = n_deleted + 1 WHERE number = 3",
        "UPDATE generation SET checksum = checksum + 1 WHERE number = 3",
        "UPDATE generation SET number = 4 WHERE number = 3",
        "UPDATE generation SET number = -3 WHERE number = 3",
        "DELETE FROM generation WHERE number = 3",
        "DELETE FROM generation",
        "DELETE FROM member WHERE generation = 3 AND segment = 3",
        "DELETE FROM member WHERE generation = 3",
        "INSERT INTO member VALUES (3, 77)",
        "DELETE FROM segment WHERE number = 3",
        "UPDATE segment SET first_doc = first_doc - 1 WHERE number = 3",
        "UPDATE segment SET n_docs = n_docs - 1 WHERE number = 3",
        "UPDATE segment SET n_docs = 4294967296 + n_docs WHERE number = 3",
        "UPDATE segment SET checksum = checksum + 1 WHERE number = 3",
        "UPDATE file SET size = size + 1 WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET size = -1 WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET checksum = checksum + 1 WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET kind = 'work' WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET kind = '' WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET name = 'segment-000002.words' WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET name = '../segment-000003.words' WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET name = 'segment-3/../../../../etc/passwd' WHERE segment = 3 AND kind = 'words'",
        "UPDATE file SET name = CAST(x'7365676d656e742d3100' AS TEXT) WHERE segment = 3 AND kind = 'words'",
        "DELETE FROM file WHERE segment = 3 AND kind = 'words'",
        "INSERT INTO file VALUES (3, 'zzz', 'segment-000003.words', 5, 5)",
        "UPDATE setting SET value = 'standard'",
        "UPDATE setting SET name = 'analyser'",
        "UPDATE setting SET generation = 99",
        "DELETE FROM setting",
        "INSERT INTO setting VALUES ('more', 'x', 3)",
        "UPDATE counter SET value = value + 1 WHERE name = 'generation'",
        "DELETE FROM counter",
        "UPDATE document SET deleted = 1, live = NULL WHERE ordinal = "
        "(SELECT max(ordinal) FROM document WHERE live = 1)",
        "UPDATE document SET deleted = NULL WHERE ordinal = (SELECT min(ordinal) FROM document WHERE deleted < 3)",
        "UPDATE document SET deleted = 9 WHERE ordinal = (SELECT min(ordinal) FROM document WHERE deleted < 3)",
        "UPDATE document SET live = NULL WHERE ordinal = (SELECT min(ordinal) FROM document WHERE deleted IS NULL)",
        "UPDATE document SET live = 2 WHERE ordinal = (SELECT min(ordinal) FROM document WHERE deleted IS NULL)",
        "UPDATE document SET id = 'other' WHERE ordinal = 3",
        "UPDATE document SET ordinal = 99999 WHERE ordinal = 3",
        "DELETE FROM document WHERE ordinal = 3",
        "INSERT INTO document VALUES (99999, 'extra', 1, NULL)",
        "UPDATE content SET title = title || 'x' WHERE ordinal = 3",
        "UPDATE content SET text = 5 WHERE ordinal = 3",
        "UPDATE content SET encoding = 1 WHERE ordinal = 3",
        "DELETE FROM content WHERE ordinal = 3",
        "INSERT INTO content VALUES (99999, 0, 'x', 'y')",
    };
    for (size_t i = 0; i < HTI_LEN(changes); i++) {
        outcome count = {0, 0, 0, 0};
        sqlite3 *raw;
        keep_file("houndstooth.db");
        assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
        if (sqlite3_exec(raw, changes[i], NULL, NULL, NULL) != SQLITE_OK || sqlite3_total_changes(raw) == 0)
            fail_msg("%s: %s", changes[i], sqlite3_errmsg(raw));
        assert_int_equal(sqlite3_close(raw), SQLITE_OK);
        try_damaged(&count, N_CHANGES);
        if (count.harmless) fail_msg("not noticed: %s", changes[i]);
        restore_file();
        forget_log();
    }
    hti_store *store = open_store(dir, HTI_STORE_WRITE);
    assert_whole(store);
    hti_store_close(store);
}

static void test_a_database_cut_anywhere(void **unused)
{
    (void)unused;
    outcome count = {0, 0, 0, 0};
    keep_file("houndstooth.db");
    for (size_t len = 0; len < kept.len; len += len < 200 ? 7 : 1021) {
        write_bytes(kept.data, len);
        forget_log();
        try_damaged(&count, N_CHANGES);
    }
    assert_int_equal(count.harmless, 0); /* the last page holds something */
}

/* Zeroed and exchanged pages, as a confused disk leaves them. */
static void test_whole_pages_of_the_database(void **unused)
{
    (void)unused;
    outcome count = {0, 0, 0, 0};
    keep_file("houndstooth.db");
    const size_t n_pages = kept.len / 4096;
    char *copy = malloc(kept.len);
    for (size_t page = 0; page < n_pages; page++) {
        memcpy(copy, kept.data, kept.len);
        memset(copy + page * 4096, 0, 4096);
        write_bytes(copy, kept.len);
        forget_log();
        try_damaged(&count, N_CHANGES);
        memcpy(copy + page * 4096, kept.data + (page + 5) % n_pages * 4096, 4096);
        write_bytes(copy, kept.len);
        forget_log();
        try_damaged(&count, N_CHANGES);
    }
    free(copy);
    assert_true(count.harmless <= 4); /* pages on the free list */
}

/* A writer that dies while a reader keeps its log from being moved: generation 3 is in the log alone. */
static void die_with_a_log(void)
{
    temp_dir_remove(dir);
    assert_int_equal(hti_make_dirs(dir, &err), HT_OK);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        uint64_t random = 21;
        hti_store *store;
        sqlite3 *raw;
        if (hti_store_open(dir, HTI_STORE_CREATE, &store, NULL) != HT_OK) _exit(1);
        for (int i = 1; i <= N_CHANGES; i++) {
            if (i == N_CHANGES &&
                (sqlite3_open(temp_dir_path(dir, "houndstooth.db", path), &raw) != SQLITE_OK ||
                 sqlite3_exec(raw, "BEGIN; SELECT 1 FROM sqlite_schema", NULL, NULL, NULL) != SQLITE_OK))
                _exit(2);
            if (twin_commit(store, &states[0], &random, 40, NULL) != HT_OK) _exit(3);
        }
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

static void test_flips_and_cuts_of_the_log_lose_the_last_commit_at_most(void **unused)
{
    (void)unused;
    outcome count = {0, 0, 0, 0};
    uint64_t random = from_env("HT_SEED", 1), seen[N_STATES] = {0};
    die_with_a_log();
    keep_file("houndstooth.db-wal");
    assert_true(kept.len > 10000);
    char *copy = malloc(kept.len), index_path[2 * TEMP_DIR_CAP];
    (void)temp_dir_path(dir, "houndstooth.db-shm", index_path);
    for (uint64_t i = 0; i < 150; i++) {
        const size_t at = i < 40 ? i : hti_random_next(&random) % kept.len;
        memcpy(copy, kept.data, kept.len);
        copy[at] = (char)(copy[at] ^ 0x40);
        write_bytes(copy, i % 2 ? kept.len : at);
        (void)unlink(index_path);
        try_damaged(&count, N_CHANGES - 1);
        hti_store *store = open_store(dir, HTI_STORE_READ);
        seen[hti_store_generation(store)]++;
        assert_equals_twin(store, &states[hti_store_generation(store)]);
        hti_store_close(store);
    }
    free(copy);
    assert_int_equal(count.refused + count.found + count.warned, 0); /* frames have checksums of their own */
    assert_true(seen[2] > 50);
    restore_file();
    (void)unlink(index_path);
    hti_store *store = open_store(dir, HTI_STORE_READ);
    assert_equals_twin(store, &states[3]);
    assert_whole(store);
    hti_store_close(store);
}

static void test_a_spoilt_log_index_is_made_anew(void **unused)
{
    (void)unused;
    die_with_a_log();
    keep_file("houndstooth.db-shm");
    char *copy = malloc(kept.len);
    for (int i = 0; i < 30; i++) {
        memset(copy, i % 2 ? 0xFF : i, kept.len);
        write_bytes(copy, i < 20 ? kept.len : (size_t)i);
        hti_store *store = open_store(dir, HTI_STORE_READ);
        assert_equals_twin(store, &states[3]);
        assert_whole(store);
        hti_store_close(store);
    }
    free(copy);
}

int main(void)
{
    fast_dir_use();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_missing_and_cut_segment_files),
        TEST(test_every_flip_of_a_segment_file_is_found),
        TEST(test_flips_of_the_database_are_found_or_harmless),
        TEST(test_every_value_of_the_manifest_is_guarded),
        TEST(test_a_database_cut_anywhere),
        TEST(test_whole_pages_of_the_database),
        TEST(test_flips_and_cuts_of_the_log_lose_the_last_commit_at_most),
        TEST(test_a_spoilt_log_index_is_made_anew),
    };
    return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
