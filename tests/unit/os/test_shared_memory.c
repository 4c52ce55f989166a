/*
 * test_shared_memory.c - what the maker writes a receiver reads, through a second descriptor; a receiver
 * refuses what is not sealed or has another size; no descriptor is left; a sleep lasts as long as asked.
 */
#include "os/os.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static ht_error err;

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t n = 0;
    while (readdir(dir)) n++;
    (void)closedir(dir);
    return n;
}

static void test_round(void **state)
{
    (void)state;
    const size_t before = count_fds(), len = 100001;
    hti_shared_memory made, got;
    assert_int_equal(hti_shared_memory_make(len, &made, &err), HT_OK);
    memset(made.data, 7, len);
    const int fd = fcntl(made.fd, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(hti_shared_memory_receive(fd, len, &got, &err), HT_OK);
    hti_shared_memory_release(&made);
    const unsigned char *bytes = got.data;
    assert_int_equal(bytes[0], 7);
    assert_int_equal(bytes[len - 1], 7);
    assert_int_not_equal(ftruncate(got.fd, 1), 0); /* sealed */
    assert_int_not_equal(ftruncate(got.fd, (off_t)len + 1), 0);
    hti_shared_memory_release(&got);
    hti_shared_memory_release(&got);
    assert_int_equal(count_fds(), before);
}

static void test_refused(void **state)
{
    (void)state;
    const size_t before = count_fds();
    hti_shared_memory made, got;
    assert_int_equal(hti_shared_memory_make(0, &made, &err), HT_INVALID);
    assert_int_equal(hti_shared_memory_make(SIZE_MAX, &made, &err), HT_INVALID);
    assert_int_equal(hti_shared_memory_make(4096, &made, &err), HT_OK);
    const size_t wrong[] = {0, 4095, 4097, SIZE_MAX};
    for (size_t i = 0; i < HTI_LEN(wrong); i++) {
        assert_int_equal(hti_shared_memory_receive(dup(made.fd), wrong[i], &got, &err), HT_PARSE);
        assert_non_null(strstr(err.message, "4096 bytes"));
    }
    hti_shared_memory_release(&made);
    const int unsealed = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(unsealed, 4096), 0);
    assert_int_equal(hti_shared_memory_receive(unsealed, 4096, &got, &err), HT_PARSE);
    assert_int_equal(hti_shared_memory_receive(open("/dev/null", O_RDONLY), 4096, &got, &err), HT_PARSE);
    assert_int_equal(hti_shared_memory_receive(-1, 4096, &got, &err), HT_PARSE);
    assert_non_null(strstr(err.message, "sealed"));
    assert_int_equal(count_fds(), before);
}

static void on_alarm(int number) { (void)number; }

/* Signals every 5 ms must not shorten a sleep of 50 ms. */
static void test_sleep(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_handler = on_alarm};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    const struct itimerval ticks = {.it_interval = {0, 5000}, .it_value = {0, 5000}};
    assert_int_equal(setitimer(ITIMER_REAL, &ticks, NULL), 0);
    const uint64_t begin = hti_clock_ns();
    hti_sleep_ns(50 * UINT64_C(1000000));
    const uint64_t took = hti_clock_ns() - begin;
    const struct itimerval off = {.it_value = {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_true(took >= 50 * UINT64_C(1000000));
    assert_true(took < 10 * UINT64_C(1000000000));
    const uint64_t seconds = hti_clock_wall_ns() / 1000000000U;
    const uint64_t now = (uint64_t)time(NULL);
    assert_true(seconds <= now + 1 && now <= seconds + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
