/*
 * test_topk.c - the collector against a plain sort, on random streams full of ties.
 *
 * HT_SEED repeats a run, HT_ITERS lengthens it. The last test proves that the comparison can fail.
 */
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX_PUSHES = 400 };

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

static int best_first(const void *a, const void *b)
{
    const ht_hit *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

/* One random stream into a collector of `cap`: does it equal the first `cap` of a sorted copy? */
static bool equals_sort(uint64_t *state, size_t cap, bool spoil)
{
    ht_hit all[MAX_PUSHES], kept[MAX_PUSHES];
    hti_topk topk;
    const size_t n = next_random(state) % MAX_PUSHES;
    hti_topk_init(&topk, kept, cap);
    for (size_t i = 0; i < n; i++) {
        all[i] = (ht_hit){(double)(next_random(state) % 20), (uint32_t)i};
        hti_topk_push(&topk, all[i].score + (spoil && i == 0 ? 100.0 : 0.0), all[i].doc);
    }
    const size_t len = hti_topk_finish(&topk);
    qsort(all, n, sizeof all[0], best_first);
    bool same = len == (n < cap ? n : cap);
    for (size_t i = 0; same && i < len; i++) same = all[i].score == kept[i].score && all[i].doc == kept[i].doc;
    return same;
}

static void test_equals_sorting(void **unused)
{
    (void)unused;
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 3000);
    uint64_t state = seed;
    for (unsigned long i = 0; i < iters; i++) {
        const size_t cap = next_random(&state) % 60;
        if (!equals_sort(&state, cap, false)) fail_msg("seed %lu, iteration %lu", seed, i);
    }
}

static void test_edges(void **unused)
{
    (void)unused;
    ht_hit kept[2];
    hti_topk topk;
    hti_topk_init(&topk, kept, 0);
    assert_false(hti_topk_push(&topk, 1.0, 0));
    hti_topk_init(&topk, kept, 2);
    assert_false(hti_topk_push(&topk, NAN, 0));
    assert_true(hti_topk_threshold(&topk) == -HUGE_VAL);
    assert_true(hti_topk_push(&topk, 1.0, 7));
    assert_true(hti_topk_push(&topk, 1.0, 9));
    assert_true(hti_topk_push(&topk, 1.0, 3)); /* ties are won by the lower ordinal */
    assert_int_equal(hti_topk_finish(&topk), 2);
    assert_int_equal(kept[0].doc, 3);
    assert_int_equal(kept[1].doc, 7);
}

static void test_a_wrong_stream_is_noticed(void **unused)
{
    (void)unused;
    uint64_t state = 5;
    size_t noticed = 0;
    for (int i = 0; i < 50; i++) noticed += !equals_sort(&state, 10, true);
    assert_true(noticed > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_sorting),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_a_wrong_stream_is_noticed),
    };
    return cmocka_run_group_tests_name("topk", tests, NULL, NULL);
}
