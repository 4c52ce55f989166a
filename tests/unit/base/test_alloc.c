/*
 * test_alloc.c - blocks, accounting, arenas and buffers, under an allocator that checks old_size.
 */
#include "base/base.h"
#include "fault_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_blocks_are_aligned_and_sized(void **unused)
{
    (void)unused;
    for (size_t size = 0; size < 300; size++) {
        char *block = hti_alloc(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        assert_int_equal(hti_alloc_size(block), size ? size : 1);
        memset(block, 1, size ? size : 1);
        hti_free(block);
    }
    assert_int_equal(hti_alloc_size(NULL), 0);
    hti_free(NULL);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static void test_zeroed_blocks_are_zero(void **unused)
{
    (void)unused; /* the hook fills new memory with 0xA5 */
    unsigned char *block = hti_alloc_zero(1000);
    assert_non_null(block);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(block[i], 0);
    hti_free(block);
}

static void test_resizing_keeps_content_and_tells_exact_sizes(void **unused)
{
    (void)unused; /* a wrong old_size aborts in the hook */
    uint64_t random = 3;
    unsigned char *block = NULL;
    size_t size = 0;
    for (int i = 0; i < 500; i++) {
        const size_t wanted = 1 + hti_random_next(&random) % 5000;
        unsigned char *made = hti_realloc(block, wanted);
        assert_non_null(made);
        for (size_t at = 0; at < HTI_MIN(size, wanted); at++) assert_int_equal(made[at], (unsigned char)at);
        for (size_t at = 0; at < wanted; at++) made[at] = (unsigned char)at;
        block = made;
        size = wanted;
    }
    hti_free(block);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static void test_a_failed_resize_leaves_the_block(void **unused)
{
    (void)unused;
    char *block = hti_alloc(10);
    memcpy(block, "unchanged", 10);
    fault_alloc_arm(1, false);
    assert_null(hti_realloc(block, 100000));
    fault_alloc_disarm();
    assert_string_equal(block, "unchanged");
    assert_int_equal(hti_alloc_size(block), 10);
    assert_null(hti_realloc(block, SIZE_MAX));
    assert_null(hti_alloc(SIZE_MAX / 2 + 1));
    hti_free(block);
}

static void test_statistics(void **unused)
{
    (void)unused;
    const hti_alloc_stats before = hti_alloc_get_stats();
    char *first = hti_alloc(1000), *second = hti_alloc(500);
    first = hti_realloc(first, 2000);
    assert_non_null(first);
    hti_alloc_stats now = hti_alloc_get_stats();
    assert_int_equal(now.live_bytes - before.live_bytes, 2500);
    assert_int_equal(now.n_calls - before.n_calls, 3);
    assert_true(now.peak_bytes >= before.live_bytes + 2500);
    hti_free(first);
    hti_free(second);
    now = hti_alloc_get_stats();
    assert_int_equal(now.live_bytes, before.live_bytes);
    assert_int_equal(now.n_calls - before.n_calls, 3); /* frees are no calls */
}

static void test_products_and_sums_saturate(void **unused)
{
    (void)unused;
    assert_true(hti_mul(SIZE_MAX / 2, 3) == SIZE_MAX);
    assert_true(hti_add(SIZE_MAX, 1) == SIZE_MAX);
    assert_int_equal(hti_mul(6, 7), 42);
    assert_int_equal(hti_mul(0, SIZE_MAX), 0);
    assert_null(HTI_NEW_ARRAY(uint64_t, SIZE_MAX / 4));
}

static void test_reserve_grows_by_doubling(void **unused)
{
    (void)unused;
    uint32_t *array = NULL;
    size_t cap = 0, n_growths = 0;
    ht_error err = {0};
    for (size_t n = 1; n <= 100000; n++) {
        const size_t before = cap;
        assert_int_equal(hti_reserve(&array, &cap, n, sizeof *array, &err), HT_OK);
        assert_true(cap >= n);
        n_growths += cap != before;
        array[n - 1] = (uint32_t)n;
    }
    assert_true(n_growths < 20);
    for (size_t i = 0; i < 100000; i++) assert_int_equal(array[i], i + 1);
    const size_t before = cap;
    uint32_t *same = array;
    assert_int_equal(hti_reserve(&array, &cap, SIZE_MAX / 2, sizeof *array, &err), HT_NO_MEMORY);
    assert_int_equal(hti_reserve(&array, &cap, SIZE_MAX, 1, &err), HT_NO_MEMORY);
    assert_ptr_equal(array, same);
    assert_int_equal(cap, before);
    hti_free(array);
}

/* ---- arenas ---- */

typedef struct piece {
    unsigned char *at;
    size_t size;
    unsigned char fill;
} piece;

/* Random sizes, a few of them huge: pieces are aligned and never overlap. */
static void use_arena(hti_arena *arena, uint64_t seed)
{
    enum { N = 300 };
    piece pieces[N];
    for (size_t i = 0; i < N; i++) {
        const uint64_t r = hti_random_next(&seed);
        pieces[i].size = r % 16 == 0 ? r % 300000 : r % 700;
        pieces[i].fill = (unsigned char)(i + 1);
        pieces[i].at = hti_arena_alloc(arena, pieces[i].size);
        assert_non_null(pieces[i].at);
        assert_int_equal((uintptr_t)pieces[i].at % 64, 0);
        memset(pieces[i].at, pieces[i].fill, pieces[i].size);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t at = 0; at < pieces[i].size; at++) assert_int_equal(pieces[i].at[at], pieces[i].fill);
}

static void test_arena_pieces_do_not_overlap(void **unused)
{
    (void)unused;
    hti_arena arena;
    hti_arena_init(&arena);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        use_arena(&arena, seed);
        hti_arena_reset(&arena);
    }
    hti_arena_deinit(&arena);
    hti_arena_reset(&arena); /* empty is fine */
    hti_arena_deinit(&arena);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

static void test_the_second_identical_use_allocates_nothing(void **unused)
{
    (void)unused;
    hti_arena arena;
    hti_arena_init(&arena);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        hti_arena_reset(&arena);
        use_arena(&arena, seed);
        const uint64_t before = hti_alloc_get_stats().n_calls;
        hti_arena_reset(&arena);
        use_arena(&arena, seed);
        assert_int_equal(hti_alloc_get_stats().n_calls, before);
        hti_arena_deinit(&arena);
    }
}

static void test_arena_refusals(void **unused)
{
    (void)unused;
    hti_arena arena;
    hti_arena_init(&arena);
    assert_null(hti_arena_alloc(&arena, SIZE_MAX));
    assert_null(hti_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(HTI_ARENA_ARRAY(&arena, double, SIZE_MAX / 4));
    fault_alloc_arm(1, false);
    assert_null(hti_arena_alloc(&arena, 100));
    fault_alloc_disarm();
    assert_non_null(hti_arena_alloc(&arena, 0));
    char *copy = hti_arena_text(&arena, (ht_text){"abcdef", 3});
    assert_string_equal(copy, "abc");
    assert_string_equal(hti_arena_text(&arena, (ht_text){NULL, 0}), "");
    hti_arena_deinit(&arena);
}

/* A refused large piece must not leave the arena at a small kept block with the fill of a large one. */
static void test_a_refused_piece_does_not_move_the_arena(void **unused)
{
    (void)unused;
    hti_arena arena;
    hti_arena_init(&arena);
    assert_non_null(hti_arena_alloc(&arena, 1 << 20)); /* a large block, then a small one */
    assert_non_null(hti_arena_alloc(&arena, 64));
    hti_arena_reset(&arena);
    unsigned char *first = hti_arena_alloc(&arena, 900 << 10);
    assert_non_null(first);
    memset(first, 7, 900 << 10);
    fault_alloc_arm(1, false);
    assert_null(hti_arena_alloc(&arena, 2 << 20));
    fault_alloc_disarm();
    unsigned char *next = hti_arena_alloc(&arena, 1000);
    assert_non_null(next);
    memset(next, 9, 1000); /* AddressSanitizer and the hook's marks watch */
    for (size_t i = 0; i < 900 << 10; i++) assert_int_equal(first[i], 7);
    hti_arena_deinit(&arena);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

/* ---- buffers ---- */

static void test_buffer_grows_and_ends_in_nul(void **unused)
{
    (void)unused;
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    assert_int_equal(hti_buffer_view(&buffer).len, 0);
    assert_non_null(hti_buffer_view(&buffer).data);
    for (int i = 0; i < 2000; i++) {
        hti_buffer_printf(&buffer, "%d,", i);
        assert_int_equal(buffer.data[buffer.len], '\0');
    }
    hti_buffer_append(&buffer, "a\0b", 3);
    hti_buffer_text(&buffer, "");
    hti_buffer_append(&buffer, NULL, 0);
    ht_error err;
    assert_int_equal(hti_buffer_status(&buffer, &err), HT_OK);
    size_t len = 3;
    for (int i = 0; i < 2000; i++) len += (size_t)snprintf(NULL, 0, "%d,", i);
    assert_int_equal(buffer.len, len);
    assert_memory_equal(buffer.data, "0,1,2,", 6);
    assert_memory_equal(buffer.data + len - 3, "a\0b", 4);
    hti_buffer_clear(&buffer);
    assert_int_equal(buffer.len, 0);
    hti_buffer_deinit(&buffer);
}

static void test_buffer_failure_sticks_until_cleared(void **unused)
{
    (void)unused;
    hti_buffer buffer;
    ht_error err = {0};
    hti_buffer_init(&buffer);
    hti_buffer_text(&buffer, "kept");
    fault_alloc_arm(1, false);
    hti_buffer_printf(&buffer, "%0500d", 1);
    fault_alloc_disarm();
    hti_buffer_text(&buffer, "lost although memory is back");
    assert_null(hti_buffer_room(&buffer, 1));
    assert_int_equal(buffer.len, 4);
    assert_string_equal(buffer.data, "kept");
    assert_int_equal(hti_buffer_status(&buffer, &err), HT_NO_MEMORY);
    assert_non_null(strstr(err.message, "memory"));
    hti_buffer_clear(&buffer);
    assert_int_equal(hti_buffer_status(&buffer, &err), HT_OK);
    assert_null(hti_buffer_room(&buffer, SIZE_MAX));
    assert_int_equal(hti_buffer_status(&buffer, NULL), HT_NO_MEMORY);
    hti_buffer_deinit(&buffer);
    assert_int_equal(fault_alloc_live_blocks(), 0);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_sized),
        cmocka_unit_test(test_zeroed_blocks_are_zero),
        cmocka_unit_test(test_resizing_keeps_content_and_tells_exact_sizes),
        cmocka_unit_test(test_a_failed_resize_leaves_the_block),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_products_and_sums_saturate),
        cmocka_unit_test(test_reserve_grows_by_doubling),
        cmocka_unit_test(test_arena_pieces_do_not_overlap),
        cmocka_unit_test(test_the_second_identical_use_allocates_nothing),
        cmocka_unit_test(test_arena_refusals),
        cmocka_unit_test(test_a_refused_piece_does_not_move_the_arena),
        cmocka_unit_test(test_buffer_grows_and_ends_in_nul),
        cmocka_unit_test(test_buffer_failure_sticks_until_cleared),
    };
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
