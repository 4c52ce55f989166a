/*
 * test_file.c - writing, mapping, reading, replacing, directories, locks and inputs.
 */
#include "fault_alloc.h"
#include "os/os.h"
#include "temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[TEMP_DIR_CAP];
static char path[2 * TEMP_DIR_CAP], other[2 * TEMP_DIR_CAP];
static ht_error err;

static int set_up(void **unused)
{
    (void)unused;
    temp_dir_make(dir);
    temp_dir_path(dir, "file", path);
    temp_dir_path(dir, "other", other);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    assert_int_equal(fault_alloc_live_blocks(), 0);
    return 0;
}

static void put(const char *where, const char *text)
{
    assert_int_equal(hti_replace_file(where, text, strlen(text), &err), HT_OK);
}

static void assert_holds(const char *where, const char *text)
{
    hti_buffer got;
    hti_buffer_init(&got);
    assert_int_equal(hti_read_file(where, 1 << 20, &got, &err), HT_OK);
    assert_int_equal(got.len, strlen(text));
    assert_memory_equal(hti_buffer_view(&got).data, text, got.len);
    hti_buffer_deinit(&got);
}

/* Random writes of every size, overwrites and pads, against the same done to memory. */
static void test_a_file_equals_its_twin_in_memory(void **unused)
{
    (void)unused;
    enum { CAP = 4 << 20 };
    static unsigned char twin[CAP], piece[700000];
    uint64_t random = 17;
    for (int round = 0; round < 6; round++) {
        hti_file *file;
        size_t len = 0;
        assert_int_equal(hti_file_create(path, &file, &err), HT_OK);
        while (len < CAP / 2) {
            const uint64_t kind = hti_random_next(&random) % 20;
            const size_t size = hti_random_next(&random) % (kind == 0 ? sizeof piece : 5000);
            for (size_t i = 0; i < size; i++) piece[i] = (unsigned char)hti_random_next(&random);
            if (kind == 1 && len > size) {
                const size_t at = hti_random_next(&random) % (len - size);
                assert_int_equal(hti_file_write_at(file, at, piece, size, &err), HT_OK);
                memcpy(twin + at, piece, size);
            } else if (kind == 2) {
                assert_int_equal(hti_file_pad(file, 64, &err), HT_OK);
                while (len % 64) twin[len++] = 0;
            } else {
                assert_int_equal(hti_file_write(file, piece, size, &err), HT_OK);
                memcpy(twin + len, piece, size);
                len += size;
            }
            assert_int_equal(hti_file_tell(file), len);
        }
        assert_int_equal(hti_file_close(file, round % 2, &err), HT_OK);
        hti_mapping map;
        uint64_t size;
        assert_int_equal(hti_map_file(path, &map, &err), HT_OK);
        assert_int_equal(map.len, len);
        assert_int_equal((uintptr_t)map.data % 64, 0);
        assert_memory_equal(map.data, twin, len);
        assert_int_equal(hti_file_size(path, &size, &err), HT_OK);
        assert_int_equal(size, len);
        hti_unmap_file(&map);
        assert_null(map.data);
        hti_unmap_file(&map); /* twice is harmless */
    }
}

static void test_creating_truncates(void **unused)
{
    (void)unused;
    hti_file *file;
    put(path, "something longer");
    assert_int_equal(hti_file_create(path, &file, &err), HT_OK);
    assert_int_equal(hti_file_write(file, "x", 1, &err), HT_OK);
    hti_file_abandon(file);
    hti_file_abandon(NULL);
    assert_holds(path, ""); /* abandoned: nothing was flushed */
}

static void test_missing_and_impossible_paths(void **unused)
{
    (void)unused;
    hti_file *file;
    hti_mapping map;
    hti_input *input;
    uint64_t size;
    char deep[3 * TEMP_DIR_CAP];
    temp_dir_path(dir, "absent/file", deep);
    assert_int_equal(hti_file_create(deep, &file, &err), HT_NOT_FOUND);
    assert_null(file);
    assert_non_null(strstr(err.message, deep));
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(hti_map_file(deep, &map, &err), HT_NOT_FOUND);
    assert_int_equal(hti_input_open(deep, &input, &err), HT_NOT_FOUND);
    assert_null(input);
    assert_int_equal(hti_file_size(deep, &size, &err), HT_NOT_FOUND);
    assert_int_equal(hti_rename(deep, path, &err), HT_NOT_FOUND);
    assert_int_equal(hti_remove(deep, &err), HT_OK);
    assert_int_equal(hti_sync_dir(deep, &err), HT_NOT_FOUND);
    assert_int_equal(hti_map_file(dir, &map, &err), HT_INVALID);
    assert_false(hti_path_exists(deep));
    assert_false(hti_path_is_dir(path));
    assert_true(hti_path_is_dir(dir));
}

static void test_empty_files_map_and_read(void **unused)
{
    (void)unused;
    hti_mapping map;
    put(path, "");
    assert_int_equal(hti_map_file(path, &map, &err), HT_OK);
    assert_int_equal(map.len, 0);
    hti_unmap_file(&map);
    assert_holds(path, "");
}

static void test_reading_has_a_limit(void **unused)
{
    (void)unused;
    hti_buffer got;
    hti_buffer_init(&got);
    put(path, "0123456789");
    assert_int_equal(hti_read_file(path, 10, &got, &err), HT_OK);
    assert_int_equal(got.len, 10);
    assert_int_equal(got.data[10], '\0');
    assert_int_equal(hti_read_file(path, 9, &got, &err), HT_LIMIT);
    assert_int_equal(hti_read_file(dir, 9, &got, &err), HT_IO); /* a directory */
    hti_buffer_deinit(&got);
}

static ht_status count_entries(void *ud, const char *name, ht_error *error)
{
    (void)error;
    ++*(int *)ud;
    assert_true(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    return HT_OK;
}

static ht_status stop_listing(void *ud, const char *name, ht_error *error)
{
    ++*(int *)ud;
    return HT_FAIL(error, CANCELLED, "stopped at %s", name);
}

static void test_replacing_leaves_nothing_behind(void **unused)
{
    (void)unused;
    int n = 0;
    put(path, "old");
    put(path, "new");
    assert_holds(path, "new");
    assert_int_equal(hti_list_dir(dir, count_entries, &n, &err), HT_OK);
    assert_int_equal(n, 1);
    put(other, "x");
    n = 0;
    assert_int_equal(hti_list_dir(dir, stop_listing, &n, &err), HT_CANCELLED);
    assert_int_equal(n, 1);
    assert_int_equal(hti_rename(other, path, &err), HT_OK);
    assert_holds(path, "x");
    assert_int_equal(hti_remove(path, &err), HT_OK);
    assert_int_equal(hti_remove(path, &err), HT_OK);
    assert_false(hti_path_exists(path));
}

static ht_status replace_one(void *ud, size_t chunk, size_t thread, ht_error *error)
{
    (void)ud;
    (void)thread;
    char text[20000];
    memset(text, 'a' + (int)(chunk % 26), sizeof text);
    return hti_replace_file(path, text, sizeof text, error);
}

static void test_threads_may_replace_the_same_file(void **unused)
{
    (void)unused;
    ht_pool *pool;
    hti_mapping map;
    assert_int_equal(ht_pool_new(4, &pool, &err), HT_OK);
    assert_int_equal(hti_pool_run(pool, 60, replace_one, NULL, &err), HT_OK);
    ht_pool_free(pool);
    assert_int_equal(hti_map_file(path, &map, &err), HT_OK);
    assert_int_equal(map.len, 20000);
    for (size_t i = 0; i < map.len; i++) assert_int_equal(map.data[i], map.data[0]); /* one writer's text, whole */
    hti_unmap_file(&map);
    int n = 0;
    assert_int_equal(hti_list_dir(dir, count_entries, &n, &err), HT_OK);
    assert_int_equal(n, 1);
}

static void test_directories(void **unused)
{
    (void)unused;
    char deep[3 * TEMP_DIR_CAP];
    temp_dir_path(dir, "a//b/c/", deep);
    assert_int_equal(hti_make_dirs(deep, &err), HT_OK);
    assert_true(hti_path_is_dir(deep));
    assert_int_equal(hti_make_dirs(deep, &err), HT_OK);
    assert_int_equal(hti_make_dirs("/", &err), HT_OK);
    assert_int_equal(hti_make_dirs(".", &err), HT_OK);
    assert_int_equal(hti_make_dirs("", &err), HT_INVALID);
    put(path, "a file in the way");
    temp_dir_path(dir, "file/sub", deep);
    assert_true(hti_make_dirs(deep, &err) != HT_OK);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(hti_make_dirs(path, &err), HT_EXISTS);
    assert_int_equal(hti_sync_dir(dir, &err), HT_OK);
}

static void test_a_lock_has_one_holder(void **unused)
{
    (void)unused;
    hti_lock *first, *second;
    assert_int_equal(hti_lock_take(path, &first, &err), HT_OK);
    assert_int_equal(hti_lock_take(path, &second, &err), HT_BUSY); /* even in the same process */
    assert_null(second);
    assert_non_null(strstr(err.message, path));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) _exit(hti_lock_take(path, &second, NULL) == HT_BUSY ? 0 : 1);
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    hti_lock_release(first);
    assert_int_equal(hti_lock_take(path, &second, &err), HT_OK);
    hti_lock_release(second);
    hti_lock_release(NULL);
}

static void test_a_lock_ends_with_its_process(void **unused)
{
    (void)unused;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        hti_lock *lock;
        if (hti_lock_take(path, &lock, NULL) == HT_OK && write(ready[1], "x", 1) == 1) pause(); /* until killed */
        _exit(1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    hti_lock *lock;
    assert_int_equal(hti_lock_take(path, &lock, &err), HT_BUSY);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(hti_lock_take(path, &lock, &err), HT_OK);
    hti_lock_release(lock);
    close(ready[0]);
    close(ready[1]);
}

static void test_inputs_read_pipes_to_the_end(void **unused)
{
    (void)unused;
    assert_int_equal(mkfifo(path, 0600), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int fd = open(path, O_WRONLY);
        for (int i = 0; i < 100; i++)
            if (write(fd, "0123456789", 10) != 10) _exit(1);
        _exit(0);
    }
    hti_input *input;
    char got[4096];
    size_t len;
    assert_int_equal(hti_input_open(path, &input, &err), HT_OK);
    assert_int_equal(hti_input_read(input, got, 999, &len, &err), HT_OK);
    assert_int_equal(len, 999); /* short reads only at the end */
    assert_int_equal(hti_input_read(input, got, sizeof got, &len, &err), HT_OK);
    assert_int_equal(len, 1);
    assert_int_equal(hti_input_read(input, got, sizeof got, &len, &err), HT_OK);
    assert_int_equal(len, 0);
    hti_input_close(input);
    hti_input_close(NULL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_files_may_be_pipes(void **unused)
{
    (void)unused;
    assert_int_equal(mkfifo(path, 0600), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        hti_file *file;
        static char big[300000];
        bool good = hti_file_create(path, &file, NULL) == HT_OK && hti_file_write(file, "head", 4, NULL) == HT_OK &&
                    hti_file_write(file, big, sizeof big, NULL) == HT_OK &&
                    hti_file_write_at(file, 0, "x", 1, NULL) == HT_INVALID;
        good = good && hti_file_close(file, true, NULL) == HT_OK;
        _exit(good ? 0 : 1);
    }
    hti_buffer got;
    hti_buffer_init(&got);
    assert_int_equal(hti_read_file(path, 1 << 20, &got, &err), HT_OK);
    assert_int_equal(got.len, 300004);
    assert_memory_equal(got.data, "head", 4);
    hti_buffer_deinit(&got);
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

/* A limit on file size stands for a full disk: the failure is told at the write or at close, not lost. */
static void test_a_full_disk_is_told_by_close(void **unused)
{
    (void)unused;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        const struct rlimit small = {1000, 1000};
        setrlimit(RLIMIT_FSIZE, &small);
        hti_file *file;
        char text[5000] = "";
        ht_error error = {0};
        if (hti_file_create(path, &file, &error) != HT_OK) _exit(1);
        if (hti_file_write(file, text, sizeof text, &error) != HT_OK) _exit(2); /* buffered */
        if (hti_file_close(file, true, &error) != HT_NO_SPACE) _exit(3);
        if (!strstr(error.message, path)) _exit(4);
        if (hti_replace_file(other, text, sizeof text, &error) != HT_NO_SPACE) _exit(5);
        if (hti_path_exists(other)) _exit(6);
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    int n = 0;
    assert_int_equal(hti_list_dir(dir, count_entries, &n, &err), HT_OK);
    assert_int_equal(n, 1); /* `file`; no temporary file of `other` */
}

static void test_a_failed_file_stays_failed(void **unused)
{
    (void)unused;
    hti_file *file;
    assert_int_equal(hti_file_create("/dev/full", &file, &err), HT_OK);
    static char big[300000];
    assert_int_equal(hti_file_write(file, big, sizeof big, &err), HT_NO_SPACE);
    assert_int_equal(hti_file_write(file, big, sizeof big, &err), HT_NO_SPACE);
    assert_int_equal(hti_file_write(file, "x", 1, &err), HT_OK); /* buffered, and told below */
    assert_int_equal(hti_file_close(file, false, &err), HT_NO_SPACE);
}

static ht_status work_with_files(void *ud, ht_error *error)
{
    (void)ud;
    hti_buffer got;
    hti_lock *lock = NULL;
    hti_buffer_init(&got);
    ht_status status = hti_make_dirs(dir, error);
    if (status == HT_OK) status = hti_replace_file(path, "abc", 3, error);
    if (status == HT_OK) status = hti_read_file(path, 100, &got, error);
    if (status == HT_OK) status = hti_lock_take(other, &lock, error);
    hti_lock_release(lock);
    hti_buffer_deinit(&got);
    return status;
}

static void test_failing_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(work_with_files, NULL, false, 1000) > 8);
    assert_true(fault_alloc_sweep(work_with_files, NULL, true, 1000) > 8);
    int n = 0;
    assert_int_equal(hti_list_dir(dir, count_entries, &n, &err), HT_OK);
    assert_int_equal(n, 2); /* no temporary file stayed */
}

static void test_errno_becomes_a_status(void **unused)
{
    (void)unused;
    static const struct {
        int number;
        ht_status status;
    } rows[] = {{0, HT_OK},          {ENOSPC, HT_NO_SPACE},  {EDQUOT, HT_NO_SPACE}, {ENOENT, HT_NOT_FOUND},
                {EEXIST, HT_EXISTS}, {ENOMEM, HT_NO_MEMORY}, {EIO, HT_IO},          {EACCES, HT_IO},
                {EROFS, HT_IO}};
    for (size_t i = 0; i < HTI_LEN(rows); i++) assert_int_equal(hti_os_status(rows[i].number), rows[i].status);
    errno = EACCES;
    assert_int_equal(hti_os_fail(&err, "/x", "frobnicate"), HT_IO);
    assert_string_equal(err.message, "/x: cannot frobnicate: Permission denied");
}

int main(void)
{
    fault_alloc_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_equals_its_twin_in_memory),
        TEST(test_creating_truncates),
        TEST(test_missing_and_impossible_paths),
        TEST(test_empty_files_map_and_read),
        TEST(test_reading_has_a_limit),
        TEST(test_replacing_leaves_nothing_behind),
        TEST(test_threads_may_replace_the_same_file),
        TEST(test_directories),
        TEST(test_a_lock_has_one_holder),
        TEST(test_a_lock_ends_with_its_process),
        TEST(test_inputs_read_pipes_to_the_end),
        TEST(test_files_may_be_pipes),
        TEST(test_a_full_disk_is_told_by_close),
        TEST(test_a_failed_file_stays_failed),
        TEST(test_failing_memory),
        TEST(test_errno_becomes_a_status),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
