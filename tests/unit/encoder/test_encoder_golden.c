/*
 * test_encoder_golden.c - the tiny BERT models against what transformers computed: ids, states after every layer, unit
 * vectors, keys that are not seen. tests/data/golden/README.md says how the files were made.
 */
#include "encoder_testing.h"

enum { HIDDEN = 32 };

/* Largest difference between states [n, HIDDEN] and JSON's. */
static double difference(const float *got, const json_t *want, size_t n)
{
    double *values = numbers_of(want, n * HIDDEN), most = 0;
    for (size_t i = 0; i < n * HIDDEN; i++) most = fmax(most, fabs((double)got[i] - values[i]));
    hti_free(values);
    return most;
}

static double unit_difference(const float *got, const json_t *want, size_t n)
{
    double *values = numbers_of(want, n * HIDDEN), most = 0;
    for (size_t i = 0; i < n; i++) {
        double squares = 0;
        for (size_t j = 0; j < HIDDEN; j++) squares += values[i * HIDDEN + j] * values[i * HIDDEN + j];
        for (size_t j = 0; j < HIDDEN; j++)
            most = fmax(most, fabs((double)got[i * HIDDEN + j] - values[i * HIDDEN + j] / sqrt(squares)));
    }
    hti_free(values);
    return most;
}

static size_t read_input(const json_t *test, uint32_t *ids, uint8_t *attention)
{
    const size_t n = json_array_size(json_object_get(test, "input_ids"));
    for (size_t i = 0; i < n; i++) {
        ids[i] = (uint32_t)json_integer_value(json_array_get(json_object_get(test, "input_ids"), i));
        attention[i] = (uint8_t)json_integer_value(json_array_get(json_object_get(test, "attention_mask"), i));
    }
    return n;
}

static double check_ids(ht_encoder_session *session, const json_t *test)
{
    uint32_t ids[256];
    uint8_t attention[256];
    float hidden[256 * HIDDEN];
    const size_t n = read_input(test, ids, attention);
    hti_forward_input input = {ids, attention, n, SIZE_MAX};
    OK(hti_encoder_forward_ids(session, &input, hidden, &err));
    double most = difference(hidden, json_object_get(test, "last_hidden_state"), n);
    const json_t *states = json_object_get(test, "hidden_states");
    for (size_t layer = 0; layer < json_array_size(states); layer++) {
        input.n_layers = layer;
        OK(hti_encoder_forward_ids(session, &input, hidden, &err));
        most = fmax(most, difference(hidden, json_array_get(states, layer), n));
    }
    return most;
}

/* The same from the text; the case with masks is given as ids only. */
static void check_text(ht_encoder_session *session, const json_t *test, double *most, double *most_unit)
{
    if (json_object_get(test, "note")) return;
    uint32_t ids[256];
    uint8_t attention[256];
    const size_t n = read_input(test, ids, attention);
    const ht_encoder_input input = {.text = text_of(json_string_value(json_object_get(test, "text")))};
    const ht_encoding *made;
    OK(ht_encoder_hidden(session, HT_ROLE_QUERY, &input, 1, NULL, &made, &err));
    assert_int_equal(made->n_vectors, n);
    assert_memory_equal(made->token_ids, ids, n * sizeof *ids);
    *most = fmax(*most, difference(made->vectors, json_object_get(test, "last_hidden_state"), n));
    OK(ht_encoder_encode(session, HT_ROLE_QUERY, &input, 1, NULL, &made, &err));
    *most_unit = fmax(*most_unit, unit_difference(made->vectors, json_object_get(test, "last_hidden_state"), n));
}

static void check_folder(const char *dir, const char *golden, ht_precision precision)
{
    json_t *file = load_json(golden);
    const json_t *cases = json_object_get(file, "cases");
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    opts.precision = precision;
    opts.mix = 0;
    opts.max_tokens = (uint32_t)json_integer_value(json_object_get(file, "max_length"));
    ht_encoder *encoder = open_model(dir, &opts);
    ht_encoder_session *session = new_session(encoder);
    double by_ids = 0, by_text = 0, unit = 0;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        by_ids = fmax(by_ids, check_ids(session, json_array_get(cases, i)));
        check_text(session, json_array_get(cases, i), &by_text, &unit);
    }
    const bool f32 = precision == HT_PRECISION_F32;
    print_message("%s %s: states %.1e by ids, %.1e by text, unit vectors %.1e\n", dir, f32 ? "f32" : "bf16", by_ids,
                  by_text, unit);
    assert_true(json_array_size(cases) > 10);
    assert_true(by_ids <= (f32 ? 1e-4 : 0.1) && by_text <= (f32 ? 1e-4 : 0.1));
    assert_true(unit <= (f32 ? 2e-5 : 2e-2));
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    json_decref(file);
}

static void test_f32(void **state)
{
    (void)state;
    check_folder(HT_TEST_DATA "/golden/bert_tiny", HT_TEST_DATA "/golden/bert_tiny/golden.json", HT_PRECISION_F32);
}

/* Half-precision weights, prefix "bert.", gamma and beta. */
static void test_f16_weights(void **state)
{
    (void)state;
    check_folder(HT_TEST_DATA "/golden/bert_tiny_f16", HT_TEST_DATA "/golden/bert_tiny_f16/golden.json",
                 HT_PRECISION_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    if (hti_cpu_level() < HTI_CPU_AMX) {
        print_message("no AMX here: bf16 is not tested\n");
        skip();
    }
    check_folder(HT_TEST_DATA "/golden/bert_tiny", HT_TEST_DATA "/golden/bert_tiny/golden.json", HT_PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_f16_weights),
                                       cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
