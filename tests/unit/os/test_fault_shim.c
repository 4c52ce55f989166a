/*
 * test_fault_shim.c - the system-call shim and the failing allocator do what sweeps rely on.
 *
 * Runs with the shim preloaded (see tests/support/fault_shim.c).
 */
#include "fault_alloc.h"
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void (*arm)(uint64_t n, int errno_value, int all_after);
static uint64_t (*seen)(void);
static void (*watch_dir)(const char *path);
static char dir[] = "/tmp/ht_shim_XXXXXX", inside[64], outside[64];

static void find(const char *name, void *fn)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found) fail_msg("%s is missing: is the shim preloaded?", name);
    memcpy(fn, &found, sizeof found);
}

static int set_up(void **unused)
{
    (void)unused;
    find("ht_fault_arm", &arm);
    find("ht_fault_seen", &seen);
    find("ht_fault_dir", &watch_dir);
    if (!mkdtemp(dir)) return -1;
    snprintf(inside, sizeof inside, "%s/inside", dir);
    snprintf(outside, sizeof outside, "%s_outside", dir); /* shares the prefix, is not under it */
    watch_dir(dir);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    arm(0, EIO, 0);
    (void)unlink(inside);
    (void)unlink(outside);
    return rmdir(dir);
}

static ht_status replace(const char *path, ht_error *err) { return hti_replace_file(path, "abc", 3, err); }

static void test_each_call_of_a_replacement_fails_once(void **unused)
{
    (void)unused;
    ht_error err = {0};
    arm(0, EIO, 0);
    assert_int_equal(replace(inside, &err), HT_OK);
    const uint64_t whole = seen();
    assert_true(whole >= 5); /* create, write, fsync, rename, open and fsync of the directory */
    for (uint64_t n = 1; n <= whole; n++) {
        arm(n, EIO, 0);
        const ht_status status = replace(inside, &err);
        if (status != HT_IO)
            fail_msg("call %llu of %llu: %s", (unsigned long long)n, (unsigned long long)whole, ht_status_name(status));
        arm(0, EIO, 0);
        hti_buffer text;
        hti_buffer_init(&text);
        assert_int_equal(hti_read_file(inside, 100, &text, &err),
                         HT_OK); /* old and new content are the same three bytes */
        assert_int_equal(text.len, 3);
        hti_buffer_deinit(&text);
    }
    arm(whole + 1, EIO, 0);
    assert_int_equal(replace(inside, &err), HT_OK);
}

static void test_only_the_directory_counts(void **unused)
{
    (void)unused;
    ht_error err = {0};
    arm(1, EIO, 1);
    assert_int_equal(replace(outside, &err), HT_OK);
    assert_int_equal(seen(), 0);
    assert_int_equal(replace(inside, &err), HT_IO);
    arm(0, EIO, 0);
}

static void test_full_disk(void **unused)
{
    (void)unused;
    ht_error err = {0};
    arm(1, ENOSPC, 1);
    assert_int_equal(replace(inside, &err), HT_NO_SPACE);
    hti_buffer text;
    hti_buffer_init(&text);
    assert_int_equal(hti_read_file(inside, 100, &text, &err), HT_OK); /* reading takes no space */
    hti_buffer_deinit(&text);
    arm(0, EIO, 0);
}

static void test_descriptors_are_followed(void **unused)
{
    (void)unused;
    const int fd = open(inside, O_RDWR | O_CREAT, 0666), copy = dup(fd);
    arm(1, EIO, 0);
    errno = 0;
    assert_int_equal(write(copy, "x", 1), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(write(copy, "x", 1), 1);
    assert_int_equal(seen(), 2);
    close(fd);
    close(copy);
}

static void test_the_count_file_survives_a_kill(void **unused)
{
    (void)unused;
    char count[80], command[400], digits[32] = "";
    snprintf(count, sizeof count, "%s_count", dir);
    snprintf(command, sizeof command,
             "HT_FAULT_SYS=0 HT_FAULT_DIR=%s HT_FAULT_COUNT=%s HT_FAULT_CALLS=write "
             "sh -c 'echo a >%s; echo b >>%s; kill -9 $$'",
             dir, count, inside, inside);
    assert_int_not_equal(system(command), 0);
    const int fd = open(count, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, digits, sizeof digits), 21);
    assert_string_equal(digits, "00000000000000000002\n");
    close(fd);
    unlink(count);
}

static ht_status two_blocks(void *ud, ht_error *err)
{
    (void)ud;
    void *first = hti_alloc(10), *second = first ? hti_realloc(NULL, 20) : NULL;
    const ht_status status = second ? HT_OK : HTI_NO_MEMORY(err);
    hti_free(first);
    hti_free(second);
    return status;
}

static void test_allocator_sweep(void **unused)
{
    (void)unused;
    assert_int_equal(fault_alloc_sweep(two_blocks, NULL, false, 100), 2);
    assert_int_equal(fault_alloc_sweep(two_blocks, NULL, true, 100), 2);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static ht_status leak_on_failure(void *ud, ht_error *err)
{
    (void)ud;
    void *first = hti_alloc(10), *second = hti_alloc(20);
    if (!second) return HTI_NO_MEMORY(err);
    hti_free(first);
    hti_free(second);
    return HT_OK;
}

static void test_a_leak_is_noticed(void **unused)
{
    (void)unused;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        signal(SIGABRT, SIG_DFL);
        fault_alloc_sweep(leak_on_failure, NULL, false, 100);
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_false(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_of_a_replacement_fails_once),
        cmocka_unit_test(test_only_the_directory_counts),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_descriptors_are_followed),
        cmocka_unit_test(test_the_count_file_survives_a_kill),
        cmocka_unit_test(test_allocator_sweep),
        cmocka_unit_test(test_a_leak_is_noticed),
    };
    return cmocka_run_group_tests_name("fault_shim", tests, set_up, tear_down);
}
