/*
 * test_encoder_faults.c - opening and encoding while the n-th allocation fails, for every n until none does.
 */
#include "encoder_testing.h"

#include "fault_alloc.h"

#define TINY HT_TEST_DATA "/golden/bert_tiny"

static ht_status open_and_encode(void *ud, ht_error *err)
{
    (void)ud;
    static const ht_encoder_input inputs[] = {{{"heat", 4}, {"transfer, of heat", 17}}, {{NULL, 0}, {"x", 1}}};
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    ht_encoder *encoder = NULL;
    ht_encoder_session *session = NULL;
    const ht_encoding *made;
    ht_status status = ht_encoder_open(TINY, &opts, &encoder, err);
    if (status == HT_OK) status = ht_encoder_session_new(encoder, &session, err);
    if (status == HT_OK)
        status = ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, HTI_LEN(inputs), NULL, &made, err);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    return status;
}

static void test_sweep(void **state)
{
    (void)state;
    ht_error err = {0};
    bool reached_end;
    fault_alloc_arm(0, false);
    assert_int_equal(open_and_encode(NULL, &err), HT_OK);
    const uint64_t n = fault_alloc_calls();
    fault_alloc_disarm();
    /* Most calls are the JSON of the tokenizer's vocabulary: a sample of these, all others. */
    const uint64_t refused = fault_alloc_sweep_by(open_and_encode, NULL, false, 23, n, &reached_end);
    print_message("%llu allocations, %llu refusals\n", (unsigned long long)n, (unsigned long long)refused);
    assert_true(reached_end);
    fault_alloc_sweep_by(open_and_encode, NULL, false, 1, 200, NULL);
    for (uint64_t last = n > 150 ? n - 150 : 1; last <= n; last++) {
        const int64_t before = fault_alloc_live_blocks();
        fault_alloc_arm(last, false);
        const ht_status status = open_and_encode(NULL, &err);
        fault_alloc_disarm();
        assert_true(status == HT_NO_MEMORY || status == HT_OK);
        assert_int_equal(fault_alloc_live_blocks(), before);
    }
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
