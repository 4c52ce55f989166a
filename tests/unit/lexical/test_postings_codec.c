/*
 * test_postings_codec.c - blocks and tails: what goes in comes out, and damaged bytes are refused or
 * harmless. The damage tests live from ASan: every input lies in a block of exactly its size.
 */
#include "lexical_support.h"

#include "lexical/postings_codec.h"

/* A random block with gaps of up to `gap_bits` bits (as far as documents allow) and frequencies of `tf_bits`. */
static void random_block(uint64_t *state, unsigned gap_bits, unsigned tf_bits, uint32_t base, hti_postings *out)
{
    uint64_t next = base == HTI_DOC_NONE ? 0 : (uint64_t)base + 1;
    for (uint32_t i = 0; i < HTI_BLOCK_DOCS; i++) {
        const uint64_t room = HTI_DOC_LIMIT - 1 - next - (HTI_BLOCK_DOCS - 1 - i);
        const uint64_t gap = hti_random_next(state) & (((uint64_t)1 << gap_bits) - 1);
        next += gap < room ? gap : 0;
        out->docs[i] = (uint32_t)next++;
        out->tf_less_1[i] = (uint32_t)(hti_random_next(state) & (((uint64_t)1 << tf_bits) - 1));
    }
    out->n = HTI_BLOCK_DOCS;
}

static void test_blocks_of_every_width_come_back(void **unused)
{
    (void)unused;
    uint64_t state = env_number("HT_SEED", 1);
    hti_postings in, out;
    unsigned char bytes[HTI_BLOCK_MAX_BYTES];
    for (unsigned gap_bits = 0; gap_bits <= 31; gap_bits++) {
        for (unsigned tf_bits = 0; tf_bits <= 31; tf_bits++) {
            const uint32_t base = tf_bits % 2 ? HTI_DOC_NONE : random_below(&state, 1000);
            random_block(&state, gap_bits, tf_bits, base, &in);
            const size_t len = hti_block_put(&in, base, bytes);
            assert_true(len <= sizeof bytes);
            assert_ptr_equal(hti_block_get(bytes, bytes + len, base, in.docs[HTI_BLOCK_DOCS - 1], &out), bytes + len);
            assert_memory_equal(in.docs, out.docs, sizeof in.docs);
            assert_memory_equal(in.tf_less_1, out.tf_less_1, sizeof in.tf_less_1);
            assert_int_equal(out.n, HTI_BLOCK_DOCS);
            for (size_t i = 0; i < HTI_BLOCK_DOCS; i++) assert_true((uint64_t)out.tf_less_1[i] >> out.tf_bits == 0);
            assert_null(hti_block_get(bytes, bytes + len, base, in.docs[HTI_BLOCK_DOCS - 1] ^ 1, &out));
            assert_null(hti_block_get(bytes, bytes + len - 1, base, in.docs[HTI_BLOCK_DOCS - 1], &out));
        }
    }
}

/* The layout of the specification, spelled out bit by bit. */
static void test_layout_is_the_written_one(void **unused)
{
    (void)unused;
    uint64_t state = 3;
    hti_postings in;
    unsigned char bytes[HTI_BLOCK_MAX_BYTES];
    random_block(&state, 11, 5, 77, &in);
    (void)hti_block_put(&in, 77, bytes);
    const unsigned width = bytes[0];
    assert_true(width >= 10 && width <= 11);
    for (unsigned i = 0; i < HTI_BLOCK_DOCS; i++) {
        const unsigned lane = i % 4, row = i / 4;
        uint32_t value = 0;
        for (unsigned bit = 0; bit < width; bit++) {
            const unsigned at = row * width + bit, word = at / 32;
            const unsigned char *word_at = bytes + 2 + (size_t)(word * 4 + lane) * 4;
            value |= (hti_get_u32(word_at) >> (at % 32) & 1) << bit;
        }
        assert_int_equal(value, in.docs[i] - (i ? in.docs[i - 1] : 77) - 1);
    }
}

static void test_tails_come_back(void **unused)
{
    (void)unused;
    uint64_t state = env_number("HT_SEED", 1);
    hti_postings out;
    for (uint32_t n = 0; n < HTI_BLOCK_DOCS; n++) {
        unsigned char bytes[HTI_BLOCK_DOCS * HTI_TAIL_MAX_BYTES];
        uint32_t docs[HTI_BLOCK_DOCS], tfs[HTI_BLOCK_DOCS];
        const uint32_t base = n % 2 ? HTI_DOC_NONE : 5, widest = n % 3 ? 100 : HTI_DOC_LIMIT / HTI_BLOCK_DOCS;
        uint32_t doc = base;
        size_t len = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t gap = 1 + random_below(&state, widest - 1);
            doc += gap;
            docs[i] = doc;
            tfs[i] = random_below(&state, 3) ? 1 : 1 + random_below(&state, 100000);
            len += hti_tail_put(gap, tfs[i], bytes + len);
        }
        assert_true(hti_tail_get(bytes, bytes + len, base, n, HTI_DOC_LIMIT - 1, &out));
        assert_int_equal(out.n, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(out.docs[i], docs[i]);
            assert_int_equal(out.tf_less_1[i], tfs[i] - 1);
            assert_true((uint64_t)out.tf_less_1[i] >> out.tf_bits == 0);
        }
        if (n == 0) continue;
        assert_false(hti_tail_get(bytes, bytes + len, base, n, docs[n - 1], &out));       /* beyond the last document */
        assert_false(hti_tail_get(bytes, bytes + len - 1, base, n, HTI_DOC_LIMIT, &out)); /* cut short */
        assert_false(hti_tail_get(bytes, bytes + len, base, n - 1, HTI_DOC_LIMIT, &out)); /* bytes left over */
    }
}

/* Decodes a copy in a block of its own size; if it is accepted, the documents must be what everybody relies on. */
static void decode_damaged(const unsigned char *bytes, size_t len, uint32_t base, uint32_t last, uint32_t n)
{
    hti_postings out;
    unsigned char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    const bool taken = n == HTI_BLOCK_DOCS ? hti_block_get(copy, copy + len, base, last, &out) != NULL
                                           : hti_tail_get(copy, copy + len, base, n, last + 1, &out);
    uint64_t next = base == HTI_DOC_NONE ? 0 : (uint64_t)base + 1;
    for (uint32_t i = 0; taken && i < out.n; i++) {
        assert_true(out.docs[i] >= next && out.docs[i] <= last);
        next = (uint64_t)out.docs[i] + 1;
        assert_true(out.tf_less_1[i] < HTI_DOC_LIMIT);
    }
    free(copy);
}

static void test_damage_is_refused_or_harmless(void **unused)
{
    (void)unused;
    uint64_t state = env_number("HT_SEED", 1);
    const uint64_t iters = env_number("HT_ITERS", 20000);
    for (uint64_t i = 0; i < iters; i++) {
        unsigned char bytes[HTI_BLOCK_MAX_BYTES];
        hti_postings in;
        const uint32_t base = random_below(&state, 2) ? HTI_DOC_NONE : random_below(&state, 1u << 30);
        random_block(&state, random_below(&state, 32), random_below(&state, 6), base, &in);
        size_t len = hti_block_put(&in, base, bytes);
        const uint32_t last = in.docs[HTI_BLOCK_DOCS - 1];
        const uint32_t n = random_below(&state, 2) ? HTI_BLOCK_DOCS : random_below(&state, HTI_BLOCK_DOCS);
        if (random_below(&state, 4) == 0) len = random_below(&state, (uint32_t)len + 1);
        if (random_below(&state, 4) == 0) bytes[random_below(&state, 2)] = (unsigned char)hti_random_next(&state);
        if (len > 0) bytes[random_below(&state, (uint32_t)len)] ^= (unsigned char)(1u << random_below(&state, 8));
        decode_damaged(bytes, len, base, last, n);
    }
}

/* Gaps of 32 bits whose sum wraps round to the right last document: only the 64-bit sum sees it. */
static void test_gaps_that_wrap_are_refused(void **unused)
{
    (void)unused;
    hti_postings in = {.n = HTI_BLOCK_DOCS}, out;
    unsigned char bytes[HTI_BLOCK_MAX_BYTES];
    uint32_t doc = HTI_DOC_NONE;
    for (uint32_t i = 0; i < HTI_BLOCK_DOCS; i++) in.docs[i] = doc += i == 3 || i == 5 ? 0x80000000u : 1;
    const size_t len = hti_block_put(&in, HTI_DOC_NONE, bytes);
    assert_true(in.docs[HTI_BLOCK_DOCS - 1] < 1000);
    assert_null(hti_block_get(bytes, bytes + len, HTI_DOC_NONE, in.docs[HTI_BLOCK_DOCS - 1], &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_of_every_width_come_back),
        cmocka_unit_test(test_layout_is_the_written_one),
        cmocka_unit_test(test_tails_come_back),
        cmocka_unit_test(test_damage_is_refused_or_harmless),
        cmocka_unit_test(test_gaps_that_wrap_are_refused),
    };
    return cmocka_run_group_tests_name("postings_codec", tests, NULL, NULL);
}
