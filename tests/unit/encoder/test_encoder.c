/*
 * test_encoder.c - the public door on the tiny model: titles, offsets, punctuation, mix, truncation, progress,
 * cancelling,
 * bad input, no allocation the second time, and the same bits with any neighbours and any number of threads.
 */
#include "encoder_testing.h"

#define TINY HT_TEST_DATA "/golden/bert_tiny"
enum { DIM = 32 };

static ht_encoder_opts default_opts(void)
{
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    return opts;
}

/* ---- joining ---- */

static void check_join(ht_encoder_session *session, const char *title, const char *text, const char *want)
{
    const ht_encoder_input input = {text_of(title), text_of(text)};
    const ht_encoding *made;
    OK(ht_encoder_tokenize(session, HT_ROLE_DOCUMENT, &input, 1, &made, &err));
    const ht_text joined = ht_encoder_joined_text(session, 0);
    if (joined.len != strlen(want) || memcmp(joined.data, want, joined.len) != 0)
        fail_msg("\"%s\" + \"%s\" gave \"%.*s\", wanted \"%s\"", title, text, (int)joined.len, joined.data, want);
    assert_null(ht_encoder_joined_text(session, 1).data);
    assert_null(made->vectors);
    assert_null(made->pooled);
}

static void test_join(void **state)
{
    (void)state;
    ht_encoder *encoder = open_model(TINY, NULL);
    ht_encoder_session *session = new_session(encoder);
    check_join(session, "", "", "");
    check_join(session, "wing", "", "wing");
    check_join(session, "", "the wing", "the wing");
    check_join(session, "wing", "the wing", "wing the wing");
    check_join(session, " wing of \n", "\twing of a plane ", "wing of a plane");
    check_join(session, "wings", "wing", "wings wing");
    check_join(session, "  ", "  ", "");
    /* str.strip: no-break space, em space, ideographic space, information separators; not the zero-width space. */
    check_join(session, "\xC2\xA0\xE2\x80\x83 a\xE3\x80\x80",
               "\x1C\x1F"
               "b\xE2\x80\xA8\xC2\x85",
               "a b");
    check_join(session, "\xE2\x80\x8B", "x", "\xE2\x80\x8B x");
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
}

/* ---- offsets ---- */

static void test_offsets(void **state)
{
    (void)state;
    ht_encoder *encoder = open_model(TINY, NULL);
    ht_encoder_session *session = new_session(encoder);
    const ht_encoder_input inputs[] = {{text_of("Heat"), text_of("transfer, (fast)!")},
                                       {{NULL, 0}, text_of("")},
                                       {{NULL, 0}, text_of("Caf\xC3\xA9 x")}};
    const ht_encoding *made;
    OK(ht_encoder_encode(session, HT_ROLE_QUERY, inputs, HTI_LEN(inputs), NULL, &made, &err));
    assert_int_equal(made->n_texts, 3);
    assert_int_equal(made->offsets[3], made->n_vectors);
    assert_int_equal(made->n_tokens[1], 2); /* [CLS] [SEP] */
    for (size_t text = 0; text < 3; text++) {
        const ht_text joined = ht_encoder_joined_text(session, text);
        const size_t first = made->offsets[text], end = made->offsets[text + 1];
        assert_int_equal(made->n_tokens[text], end - first);
        assert_int_equal(made->token_starts[first], made->token_ends[first]);
        assert_int_equal(made->token_starts[end - 1], made->token_ends[end - 1]);
        uint32_t behind = 0;
        for (size_t i = first + 1; i + 1 < end; i++) {
            assert_true(made->token_starts[i] >= behind && made->token_ends[i] > made->token_starts[i] &&
                        made->token_ends[i] <= joined.len);
            behind = made->token_ends[i];
        }
    }
    const ht_text joined = ht_encoder_joined_text(session, 0);
    const size_t comma = made->offsets[0] + 1;
    bool found = false;
    for (size_t i = comma; i < made->offsets[1]; i++)
        found |= made->token_ends[i] - made->token_starts[i] == 1 && joined.data[made->token_starts[i]] == ',';
    assert_true(found); /* queries keep punctuation */
    assert_true(ht_encoder_token_text(encoder, made->token_ids[0]).len == 5);
    assert_memory_equal(ht_encoder_token_text(encoder, made->token_ids[0]).data, "[CLS]", 5);
    assert_null(ht_encoder_token_text(encoder, 1u << 30).data);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
}

/* ---- profile ---- */

static double length(const float *v)
{
    double squares = 0;
    for (size_t j = 0; j < DIM; j++) squares += (double)v[j] * (double)v[j];
    return sqrt(squares);
}

/* Vectors, pooled and mixed, by hand from the hidden states. */
static void test_profile(void **state)
{
    (void)state;
    static const char *const texts[] = {"boundary-layer control, by (suction).", "...", "a"};
    ht_encoder *encoder = open_model(TINY, NULL);
    ht_encoder_session *raw = new_session(encoder), *session = new_session(encoder);
    ht_encoder_input inputs[3];
    for (size_t i = 0; i < 3; i++) inputs[i] = (ht_encoder_input){.text = text_of(texts[i])};
    const ht_encoding *h, *made;
    OK(ht_encoder_hidden(raw, HT_ROLE_DOCUMENT, inputs, 3, NULL, &h, &err));
    OK(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, 3, NULL, &made, &err));
    size_t at = 0, n_dropped = 0;
    for (size_t text = 0; text < 3; text++) {
        double mean[DIM] = {0}, norm = 0;
        const size_t first = h->offsets[text], n = h->offsets[text + 1] - first;
        for (size_t i = first; i < first + n; i++)
            for (size_t j = 0; j < DIM; j++) mean[j] += (double)h->vectors[i * DIM + j];
        for (size_t j = 0; j < DIM; j++) norm += mean[j] * mean[j];
        for (size_t j = 0; j < DIM; j++) {
            assert_true(fabs((double)made->pooled[text * DIM + j] - mean[j] / sqrt(norm)) < 1e-6);
            assert_true(made->pooled[text * DIM + j] == h->pooled[text * DIM + j]);
        }
        for (size_t i = first; i < first + n; i++) {
            const ht_text token = ht_encoder_token_text(encoder, h->token_ids[i]);
            if (token.len == 1 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", token.data[0])) {
                n_dropped++;
                continue;
            }
            double u[DIM], squares = 0;
            for (size_t j = 0; j < DIM; j++)
                u[j] = (double)h->vectors[i * DIM + j] / length(h->vectors + i * DIM) + 0.5 * mean[j] / sqrt(norm);
            for (size_t j = 0; j < DIM; j++) squares += u[j] * u[j];
            for (size_t j = 0; j < DIM; j++)
                assert_true(fabs((double)made->vectors[at * DIM + j] - u[j] / sqrt(squares)) < 1e-6);
            assert_int_equal(made->token_ids[at], h->token_ids[i]);
            assert_int_equal(made->token_starts[at], h->token_starts[i]);
            at++;
        }
        assert_int_equal(made->n_tokens[text], n);
        assert_int_equal(made->offsets[text + 1], at);
    }
    assert_true(n_dropped == 8 && at == made->n_vectors && made->offsets[2] - made->offsets[1] == 2);
    ht_encoder_session_free(raw);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
}

static void test_options(void **state)
{
    (void)state;
    ht_encoder_opts opts = default_opts();
    ht_encoder_info info = {HT_DESC(ht_encoder_info)}, other = info;
    ht_encoder *encoder = open_model(TINY, &opts);
    ht_encoder_get_info(encoder, &info);
    assert_true(info.mix == 0.5f && !info.keeps_punctuation && info.max_tokens == 256 && info.dim == DIM &&
                info.n_layers == 2);
    ht_encoder_close(encoder);
    opts.mix = 0;
    opts.keep_punctuation = 1;
    opts.max_tokens = 8;
    encoder = open_model(TINY, &opts);
    ht_encoder_get_info(encoder, &other);
    assert_true(other.mix == 0.0f && other.keeps_punctuation && other.max_tokens == 8);
    assert_string_equal(info.digest, other.digest); /* the model is the same, the profile is told beside it */
    ht_encoder_session *session = new_session(encoder);
    static const char *const texts[] = {"a, b, c, d, e, f, g, h", "a, b"};
    const ht_encoding *made = encode(session, HT_ROLE_DOCUMENT, texts, 2);
    assert_true(made->n_tokens[0] == 8 && made->truncated[0] == 1 && made->n_tokens[1] == 5 && made->truncated[1] == 0);
    assert_int_equal(made->n_vectors, 13);
    for (size_t i = 0; i < made->n_vectors; i++) assert_true(fabs(length(made->vectors + i * DIM) - 1) < 1e-6);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    const ht_encoding *none;
    encoder = open_model(TINY, NULL);
    session = new_session(encoder);
    OK(ht_encoder_encode(session, HT_ROLE_QUERY, NULL, 0, NULL, &none, &err));
    assert_true(none->n_texts == 0 && none->n_vectors == 0 && none->offsets[0] == 0);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
}

static void expect_refusal(const ht_encoder_opts *opts, ht_status status, const char *why)
{
    ht_encoder *encoder;
    ht_error err = {0};
    assert_int_equal(ht_encoder_open(TINY, opts, &encoder, &err), status);
    assert_null(encoder);
    if (!strstr(err.message, why)) fail_msg("%s", err.message);
}

static void test_bad_options(void **state)
{
    (void)state;
    ht_encoder_opts opts = default_opts();
    opts.max_tokens = 257;
    expect_refusal(&opts, HT_INVALID, "256 positions");
    opts.max_tokens = 2;
    expect_refusal(&opts, HT_INVALID, "no room beside 2 special tokens");
    opts = default_opts();
    opts.mix = NAN;
    expect_refusal(&opts, HT_INVALID, "mix");
    opts = default_opts();
    opts.size = 0;
    expect_refusal(&opts, HT_INVALID, "ht_encoder_opts_init");
    opts = default_opts();
    opts.precision = HT_PRECISION_BF16;
    if (hti_cpu_level() < HTI_CPU_AMX) expect_refusal(&opts, HT_UNSUPPORTED, "AMX");
}

static void test_bad_text(void **state)
{
    (void)state;
    ht_encoder *encoder = open_model(TINY, NULL);
    ht_encoder_session *session = new_session(encoder);
    const ht_encoder_input inputs[] = {{{NULL, 0}, text_of("fine")}, {{NULL, 0}, text_of("ab\xFF")}};
    const ht_encoding *made;
    ht_error err = {0};
    assert_int_equal(ht_encoder_encode(session, HT_ROLE_QUERY, inputs, 2, NULL, &made, &err), HT_INVALID);
    assert_null(made);
    assert_string_equal(err.message, "text of input 1: not UTF-8 at byte 2");
    assert_null(ht_encoder_joined_text(session, 0).data);
    const uint32_t ids[] = {2000};
    float hidden[DIM];
    const hti_forward_input input = {ids, NULL, 1, SIZE_MAX};
    assert_int_equal(hti_encoder_forward_ids(session, &input, hidden, &err), HT_INVALID);
    ht_encoder_session_free(session);
    ht_encoder_session_free(NULL);
    ht_encoder_close(encoder);
    ht_encoder_close(NULL);
}

/* ---- determinism ---- */

enum { N_TEXTS = 60 };
static char random_texts[N_TEXTS][1500];
static uint64_t seed = 7;

static void make_texts(void)
{
    static const char *const words[] = {"boundary",   "layer", "heat", "of",         "the",    "a",
                                        "supersonic", "wing,", "x",    "flow-field", "(1957)", "theory."};
    for (size_t i = 0; i < N_TEXTS; i++) {
        const size_t n = hti_random_next(&seed) % 8 == 0 ? hti_random_next(&seed) % 120 : hti_random_next(&seed) % 25;
        size_t len = 0;
        for (size_t j = 0; j < n; j++)
            len += (size_t)snprintf(random_texts[i] + len, sizeof random_texts[i] - len, "%s ",
                                    words[hti_random_next(&seed) % HTI_LEN(words)]);
    }
}

/* Every text alone; then random selections in random order, over pools of 1 to 3 threads: the same bits. */
static void check_same_bits(ht_precision precision)
{
    ht_encoder_opts opts = default_opts();
    opts.precision = precision;
    make_texts();
    const size_t n_rounds = hti_cpu_level() == HTI_CPU_SCALAR ? 1 : 12;
    float *alone[N_TEXTS], *pooled[N_TEXTS];
    size_t n_alone[N_TEXTS];
    ht_encoder *encoder = open_model(TINY, &opts);
    ht_encoder_session *session = new_session(encoder);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char *text = random_texts[i];
        const ht_encoding *made = encode(session, HT_ROLE_DOCUMENT, &text, 1);
        n_alone[i] = made->n_vectors;
        alone[i] = HTI_NEW_ARRAY(float, made->n_vectors *DIM);
        pooled[i] = HTI_NEW_ARRAY(float, DIM);
        memcpy(alone[i], made->vectors, made->n_vectors * DIM * sizeof(float));
        memcpy(pooled[i], made->pooled, DIM * sizeof(float));
    }
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    for (size_t threads = 1; threads <= 3; threads++) {
        OK(ht_pool_new(threads, &opts.pool, &err));
        encoder = open_model(TINY, &opts);
        session = new_session(encoder);
        for (size_t round = 0; round < n_rounds; round++) {
            const char *texts[2 * N_TEXTS];
            size_t which[2 * N_TEXTS];
            const size_t n = 1 + hti_random_next(&seed) % (2 * N_TEXTS - 1);
            for (size_t i = 0; i < n; i++) {
                which[i] = hti_random_next(&seed) % N_TEXTS;
                texts[i] = random_texts[which[i]];
            }
            const ht_encoding *made = encode(session, HT_ROLE_DOCUMENT, texts, n);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(made->offsets[i + 1] - made->offsets[i], n_alone[which[i]]);
                assert_memory_equal(made->vectors + made->offsets[i] * DIM, alone[which[i]],
                                    n_alone[which[i]] * DIM * sizeof(float));
                assert_memory_equal(made->pooled + i * DIM, pooled[which[i]], DIM * sizeof(float));
            }
        }
        ht_encoder_session_free(session);
        ht_encoder_close(encoder);
        ht_pool_free(opts.pool);
    }
    for (size_t i = 0; i < N_TEXTS; i++) {
        hti_free(alone[i]);
        hti_free(pooled[i]);
    }
}
static void test_same_bits(void **state)
{
    (void)state;
    check_same_bits(HT_PRECISION_F32);
}
static void test_same_bits_auto(void **state)
{
    (void)state;
    check_same_bits(HT_PRECISION_AUTO);
}

/* ---- memory ---- */

static void test_second_call_allocates_nothing(void **state)
{
    (void)state;
    make_texts();
    const char *texts[N_TEXTS];
    for (size_t i = 0; i < N_TEXTS; i++) texts[i] = random_texts[i];
    ht_encoder *encoder = open_model(TINY, NULL);
    ht_encoder_session *session = new_session(encoder);
    ht_encoder_input inputs[N_TEXTS];
    for (size_t i = 0; i < N_TEXTS; i++) inputs[i] = (ht_encoder_input){.text = text_of(texts[i])};
    const ht_encoding *made;
    OK(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, N_TEXTS, NULL, &made, &err));
    const uint64_t before = hti_alloc_get_stats().n_calls;
    OK(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, N_TEXTS, NULL, &made, &err));
    OK(ht_encoder_encode(session, HT_ROLE_QUERY, inputs, 1, NULL, &made, &err));
    OK(ht_encoder_tokenize(session, HT_ROLE_QUERY, inputs, N_TEXTS, &made, &err));
    assert_int_equal(hti_alloc_get_stats().n_calls, before);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
}

/* ---- watching and stopping ---- */

typedef struct watch {
    uint64_t done, total;
    size_t n_calls, n_polls, cancel_at;
} watch;

static void note_progress(void *ud, const char *stage, uint64_t done, uint64_t total)
{
    watch *w = ud;
    assert_string_equal(stage, "encode");
    assert_true(done > w->done && total == N_TEXTS);
    w->done = done;
    w->total = total;
    w->n_calls++;
}

static bool poll_cancel(void *ud)
{
    watch *w = ud;
    return __atomic_add_fetch(&w->n_polls, 1, __ATOMIC_RELAXED) >= w->cancel_at;
}

static void test_monitor(void **state)
{
    (void)state;
    make_texts();
    ht_encoder_opts opts = default_opts();
    OK(ht_pool_new(2, &opts.pool, &err));
    ht_encoder *encoder = open_model(TINY, &opts);
    ht_encoder_session *session = new_session(encoder);
    ht_encoder_input inputs[N_TEXTS];
    for (size_t i = 0; i < N_TEXTS; i++) inputs[i] = (ht_encoder_input){.text = text_of(random_texts[i])};
    watch w = {.cancel_at = SIZE_MAX};
    const ht_monitor monitor = {&w, poll_cancel, note_progress};
    const ht_encoding *made;
    OK(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, N_TEXTS, &monitor, &made, &err));
    assert_true(w.done == N_TEXTS && w.n_calls > 1 && w.n_polls > 4);
    const size_t polls = w.n_polls;
    for (size_t at = 1; at < polls; at += 1 + polls / 7) {
        w = (watch){.cancel_at = at};
        ht_error err = {0};
        assert_int_equal(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, N_TEXTS, &monitor, &made, &err),
                         HT_CANCELLED);
        assert_null(made);
    }
    OK(ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, N_TEXTS, NULL, &made, &err));
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    ht_pool_free(opts.pool);
}

int main(void)
{
    if (getenv("HT_SEED")) seed = strtoull(getenv("HT_SEED"), NULL, 10);
    print_message("HT_SEED=%llu, %s\n", (unsigned long long)seed, ht_cpu_name());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_same_bits_auto),
        cmocka_unit_test(test_second_call_allocates_nothing),
        cmocka_unit_test(test_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
