/*
 * test_machine.c - CPU level and its limit HT_CPU, counts, clock, shared libraries.
 */
#include "os/os.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Level of a fresh process under a value of HT_CPU, because it is decided once. */
static int level_under(const char *wanted)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (wanted)
            setenv("HT_CPU", wanted, 1);
        else
            unsetenv("HT_CPU");
        _exit((int)hti_cpu_level());
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void test_ht_cpu_only_lowers(void **unused)
{
    (void)unused;
    static const char *const names[] = {"scalar", "avx2", "avx512", "amx"};
    const int best = level_under(NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(level_under(names[i]), i < best ? i : best);
    assert_int_equal(level_under("nonsense"), best);
    assert_int_equal(level_under(""), best);
    assert_string_equal(ht_cpu_name(), names[hti_cpu_level()]);
}

#if defined(__x86_64__)
static void test_the_level_agrees_with_the_compiler(void **unused)
{
    (void)unused; /* gcc's run-time detection is another implementation */
    const int best = level_under(NULL);
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vnni");
    assert_int_equal(best >= HTI_CPU_AVX2, avx2);
    assert_int_equal(best >= HTI_CPU_AVX512, avx512);
}
#endif

static void test_counts_and_clock(void **unused)
{
    (void)unused;
    assert_true(hti_cpu_count() >= 1);
    assert_non_null(hti_cpu_model());
    const uint64_t start = hti_clock_ns();
    usleep(20000);
    const uint64_t passed = hti_clock_ns() - start;
    assert_true(passed >= 20000000 && passed < 5000000000);
    const uint64_t before = hti_peak_memory();
    assert_true(before > 1 << 20);
    char *big = hti_alloc(64 << 20);
    assert_non_null(big);
    memset(big, 1, 64 << 20);
    assert_true(hti_peak_memory() >= 64 << 20);
    hti_free(big);
}

static void test_shared_libraries(void **unused)
{
    (void)unused;
    static const char *const names[] = {"libht_no_such_thing.so.9", "libm.so.6"};
    assert_null(hti_library_open(names, 1));
    hti_library *library = hti_library_open(names, 2);
    assert_non_null(library);
    double (*cosine)(double) = NULL;
    assert_true(hti_library_symbol(library, "cos", &cosine));
    assert_true(fabs(cosine(0.0) - 1.0) < 1e-12);
    assert_false(hti_library_symbol(library, "no_such_symbol", &cosine));
    assert_true(cosine == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_the_level_agrees_with_the_compiler), /* before this process decides its own */
#endif
        cmocka_unit_test(test_ht_cpu_only_lowers),
        cmocka_unit_test(test_counts_and_clock),
        cmocka_unit_test(test_shared_libraries),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
