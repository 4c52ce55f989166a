/*
 * test_map.c - the map against a naive twin (a list searched from the front), and under failing memory.
 */
#include "base/base.h"
#include "fault_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MAX_KEYS = 2500, MAX_KEY = 40 };

typedef struct twin {
    char keys[MAX_KEYS][MAX_KEY];
    size_t lens[MAX_KEYS];
    uint32_t values[MAX_KEYS];
    uint32_t n;
} twin;
static twin naive;

static uint32_t twin_find(ht_text key)
{
    for (uint32_t i = 0; i < naive.n; i++)
        if (naive.lens[i] == key.len && memcmp(naive.keys[i], key.data, key.len) == 0) return i;
    return HTI_MAP_NONE;
}

/* Short keys over two letters and NUL, so that many repeat and prefixes abound. */
static ht_text random_key(uint64_t *random, char *into)
{
    const size_t len = hti_random_next(random) % 14;
    for (size_t i = 0; i < len; i++) into[i] = "ab\0"[hti_random_next(random) % 3];
    return (ht_text){into, len};
}

static void test_equals_the_twin(void **unused)
{
    (void)unused;
    const char *seed = getenv("HT_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 10) : 11;
    hti_map map;
    ht_error err;
    char key_bytes[MAX_KEY];
    naive.n = 0;
    hti_map_init(&map);
    for (uint32_t step = 0; step < 12000 && naive.n < MAX_KEYS; step++) {
        const ht_text key = random_key(&random, key_bytes);
        const uint32_t expected = twin_find(key);
        assert_int_equal(hti_map_find(&map, key), expected);
        assert_int_equal(hti_map_get(&map, key, 77), expected == HTI_MAP_NONE ? 77 : naive.values[expected]);
        if (step % 2) continue;
        uint32_t entry;
        bool inserted;
        assert_int_equal(hti_map_put(&map, key, step, &entry, &inserted, &err), HT_OK);
        assert_int_equal(inserted, expected == HTI_MAP_NONE);
        assert_int_equal(entry, inserted ? naive.n : expected);
        if (!inserted) continue;
        memcpy(naive.keys[naive.n], key.data, key.len);
        naive.lens[naive.n] = key.len;
        naive.values[naive.n++] = step;
    }
    assert_int_equal(map.n, naive.n);
    assert_true(naive.n > 1000);
    for (uint32_t i = 0; i < naive.n; i++) { /* insertion order, keys whole */
        assert_int_equal(map.entries[i].len, naive.lens[i]);
        assert_memory_equal(map.entries[i].key, naive.keys[i], naive.lens[i]);
        assert_int_equal(map.entries[i].value, naive.values[i]);
    }
    hti_map_deinit(&map);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static void test_empty_and_long_keys(void **unused)
{
    (void)unused;
    hti_map map;
    ht_error err;
    uint32_t entry;
    bool inserted;
    hti_map_init(&map);
    assert_int_equal(hti_map_find(&map, (ht_text){NULL, 0}), HTI_MAP_NONE);
    assert_int_equal(hti_map_put(&map, (ht_text){NULL, 0}, 5, &entry, &inserted, &err), HT_OK);
    assert_int_equal(hti_map_get(&map, (ht_text){"", 0}, 0), 5);
    static char longer[100000];
    memset(longer, 'x', sizeof longer);
    for (size_t len = 99000; len <= sizeof longer; len += 500)
        assert_int_equal(hti_map_put(&map, (ht_text){longer, len}, (uint32_t)len, &entry, &inserted, &err), HT_OK);
    for (size_t len = 99000; len <= sizeof longer; len += 500)
        assert_int_equal(hti_map_get(&map, (ht_text){longer, len}, 0), len);
    hti_map_deinit(&map);
}

static ht_status fill_map(void *ud, ht_error *err)
{
    (void)ud;
    hti_map map;
    hti_map_init(&map);
    ht_status status = HT_OK;
    for (uint32_t i = 0; status == HT_OK && i < 3000; i++) {
        char key[32];
        uint32_t entry;
        bool inserted;
        const int len = snprintf(key, sizeof key, "key number %u", i);
        status = hti_map_put(&map, (ht_text){key, (size_t)len}, i, &entry, &inserted, err);
    }
    for (uint32_t i = 0; i < map.n; i++) { /* what is in stays findable after a failure */
        const ht_text key = {map.entries[i].key, map.entries[i].len};
        if (hti_map_find(&map, key) != i) abort();
    }
    hti_map_deinit(&map);
    return status;
}

static void test_failing_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(fill_map, NULL, false, 1000) > 10);
    assert_true(fault_alloc_sweep(fill_map, NULL, true, 1000) > 10);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_twin),
        cmocka_unit_test(test_empty_and_long_keys),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
