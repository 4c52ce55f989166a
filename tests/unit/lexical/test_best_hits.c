/*
 * test_best_hits.c - the collector of search against a plain sort, on streams full of ties.
 */
#include "lexical_support.h"

#include "lexical/best_hits.h"

enum { MAX_OFFERS = 3000 };

static int best_first(const void *a, const void *b)
{
    const ht_hit *x = a, *y = b;
    return hti_hit_is_worse(*x, *y) ? 1 : hti_hit_is_worse(*y, *x) ? -1 : 0;
}

typedef enum shape { RANDOM, TIES, RISING, FALLING, ZIGZAG, N_SHAPES } shape;

static double score_of(uint64_t *state, shape kind, size_t i, size_t n)
{
    switch (kind) {
    case TIES: return 1.0 + random_below(state, 4);
    case RISING: return 1.0 + (double)i;
    case FALLING: return 1.0 + (double)(n - i);
    case ZIGZAG: return i % 2 ? 1.0 + (double)i : 1.0 / (1.0 + (double)i);
    default: return 1e-300 + hti_random_unit(state) * 50.0;
    }
}

/* One stream, offered in steps of up to eight as search does; documents ascend or come shuffled. */
static bool equals_sort(uint64_t *state, size_t n, size_t k, shape kind, bool spoil)
{
    static ht_hit all[MAX_OFFERS], kept[MAX_OFFERS];
    const size_t cap = hti_best_cap(k, n), room = cap + HTI_BEST_SLACK;
    hti_hit_key *keys = malloc(3 * room * sizeof *keys);
    hti_best best = {.keys = keys, .spare = keys + room, .k = k, .cap = cap};
    const bool ascending = random_below(state, 2) == 0;
    for (size_t i = 0; i < n; i++)
        all[i] = (ht_hit){score_of(state, kind, i, n), (uint32_t)(ascending ? i : (i * 7919) % n * 3 + i % 3)};
    for (size_t i = 0; i < n;) {
        for (size_t step = 1 + random_below(state, HTI_BEST_SLACK); step > 0 && i < n; step--, i++)
            hti_best_offer(&best, all[i].score + (spoil && i == 0 ? 1e6 : 0.0), all[i].doc, all[i].score >= best.bar);
        hti_best_settle(&best);
    }
    const size_t len = hti_best_finish(&best, kept);
    qsort(all, n, sizeof *all, best_first);
    bool same = len == HTI_MIN(n, k);
    for (size_t i = 0; same && i < len; i++) same = all[i].score == kept[i].score && all[i].doc == kept[i].doc;
    free(keys);
    return same;
}

/* A prime count keeps the shuffled documents different. */
static size_t random_prime(uint64_t *state)
{
    static const size_t primes[] = {2, 3, 17, 61, 67, 131, 257, 509, 1021, 2027, 2999};
    return primes[random_below(state, HTI_LEN(primes))];
}

static void test_equals_sorting(void **unused)
{
    (void)unused;
    const uint64_t seed = env_number("HT_SEED", 1), iters = env_number("HT_ITERS", 1500);
    uint64_t state = seed;
    for (uint64_t i = 0; i < iters; i++) {
        const size_t n = random_prime(&state), k = 1 + random_below(&state, random_below(&state, 2) ? 20 : 1200);
        const shape kind = (shape)random_below(&state, N_SHAPES);
        if (!equals_sort(&state, n, k, kind, false))
            fail_msg("seed %llu, iteration %llu", (unsigned long long)seed, (unsigned long long)i);
    }
}

static void test_a_wrong_stream_is_noticed(void **unused)
{
    (void)unused;
    uint64_t state = 5;
    size_t noticed = 0;
    for (int i = 0; i < 50; i++) noticed += !equals_sort(&state, 509, 10, RANDOM, true);
    assert_true(noticed > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_sorting),
        cmocka_unit_test(test_a_wrong_stream_is_noticed),
    };
    return cmocka_run_group_tests_name("best_hits", tests, NULL, NULL);
}
