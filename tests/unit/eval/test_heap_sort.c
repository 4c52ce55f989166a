/*
 * test_heap_sort.c - the room's sort against the C library's, on random and on awkward inputs.
 */
#include "eval_testing.h"

enum { MAX_N = 300 };

static int by_value(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

typedef struct wide {
    int32_t key;
    char rest[44];
} wide;

static void test_equals_qsort(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    for (unsigned long it = 0; it < from_env("HT_ITERS", 1000); it++) {
        int32_t a[MAX_N], b[MAX_N];
        wide c[MAX_N];
        const size_t n = below(&state, MAX_N), span = 1 + below(&state, 500), shape = below(&state, 3);
        for (size_t i = 0; i < n; i++) {
            const size_t value = shape == 0   ? below(&state, span)
                                 : shape == 1 ? i
                                              : n - i; /* random, sorted, reversed */
            a[i] = b[i] = c[i].key = (int32_t)value - 100;
            memset(c[i].rest, (int)(value % 128), sizeof c[i].rest);
        }
        qsort(a, n, sizeof *a, by_value);
        hti_heap_sort(b, n, sizeof *b, by_value);
        hti_heap_sort(c, n, sizeof *c, by_value);
        for (size_t i = 0; i < n; i++)
            if (a[i] != b[i] || a[i] != c[i].key || c[i].rest[43] != (a[i] + 100) % 128) fail_msg("iteration %lu", it);
    }
    hti_heap_sort(NULL, 0, 4, by_value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals_qsort)};
    return cmocka_run_group_tests_name("heap_sort", tests, NULL, NULL);
}
