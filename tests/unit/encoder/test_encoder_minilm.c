/*
 * test_encoder_minilm.c - all-MiniLM-L6-v2 itself against what transformers computed for 20 Cranfield documents and 10
 * queries: first values, norm, sum and weighted sum of each token's state, MaxSim of all pairs, pooled cosine; bf16
 * against f32 on texts of Cranfield. Skipped (77) where the weights are not on this machine.
 */
#include "encoder_testing.h"

enum { DIM = 384, N_DOCS = 20, N_QUERIES = 10, SKIPPED = 77 };

static char model_dir[1024];

static bool find_model(void)
{
    const char *home = getenv("HOUNDSTOOTH_HOME"), *user = getenv("HOME");
    if (home && *home)
        (void)snprintf(model_dir, sizeof model_dir, "%s/models/all-MiniLM-L6-v2", home);
    else
        (void)snprintf(model_dir, sizeof model_dir, "%s/.cache/houndstooth/models/all-MiniLM-L6-v2", user ? user : "");
    char weights[1100];
    (void)snprintf(weights, sizeof weights, "%s/model.safetensors", model_dir);
    return hti_path_exists(weights);
}

static ht_encoder *open_with(ht_precision precision, float mix, ht_pool *pool)
{
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    opts.precision = precision;
    opts.mix = mix;
    opts.pool = pool;
    return open_model(model_dir, &opts);
}

static bool has_bf16(void)
{
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    opts.precision = HT_PRECISION_BF16;
    ht_encoder *encoder;
    const ht_status status = ht_encoder_open(model_dir, &opts, &encoder, NULL);
    assert_true(status == HT_OK || status == HT_UNSUPPORTED);
    ht_encoder_close(encoder);
    return status == HT_OK;
}

/* Texts of one side of the golden file; borrowed from it. */
static void golden_texts(const json_t *items, const char **texts)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        texts[i] = json_string_value(json_object_get(json_array_get(items, i), "text"));
}

static double real_at(const json_t *array, size_t i) { return json_number_value(json_array_get(array, i)); }

static double check_states(const ht_encoding *made, size_t text, const json_t *item)
{
    const json_t *ids = json_object_get(item, "input_ids"), *first = json_object_get(item, "first8");
    const size_t n = made->offsets[text + 1] - made->offsets[text];
    assert_int_equal(n, json_array_size(ids));
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const float *state = made->vectors + (made->offsets[text] + i) * DIM;
        assert_int_equal(made->token_ids[made->offsets[text] + i], json_integer_value(json_array_get(ids, i)));
        double norm = 0, sum = 0, weighted = 0;
        for (size_t j = 0; j < DIM; j++) {
            const double x = (double)state[j];
            norm += x * x;
            sum += x;
            weighted += x * (double)(j + 1);
        }
        for (size_t j = 0; j < 8; j++) most = fmax(most, fabs((double)state[j] - real_at(json_array_get(first, i), j)));
        most = fmax(most, fabs(sqrt(norm) - real_at(json_object_get(item, "norm"), i)));
        most = fmax(most, fabs(sum - real_at(json_object_get(item, "sum"), i)) / 4);
        most = fmax(most, fabs(weighted - real_at(json_object_get(item, "weighted_sum"), i)) / 1000);
    }
    return most;
}

static void test_states(void **state)
{
    (void)state;
    json_t *golden = load_json(HT_TEST_DATA "/golden/minilm/golden.json");
    ht_encoder *encoder = open_with(HT_PRECISION_F32, 0, NULL);
    ht_encoder_session *session = new_session(encoder);
    static const char *const sides[] = {"documents", "queries"};
    double most = 0;
    for (size_t side = 0; side < 2; side++) {
        const json_t *items = json_object_get(golden, sides[side]);
        const char *texts[N_DOCS];
        ht_encoder_input inputs[N_DOCS];
        golden_texts(items, texts);
        for (size_t i = 0; i < json_array_size(items); i++) inputs[i] = (ht_encoder_input){.text = text_of(texts[i])};
        const ht_encoding *made;
        OK(ht_encoder_hidden(session, HT_ROLE_DOCUMENT, inputs, json_array_size(items), NULL, &made, &err));
        for (size_t i = 0; i < json_array_size(items); i++)
            most = fmax(most, check_states(made, i, json_array_get(items, i)));
    }
    print_message("token values: largest difference %.1e\n", most);
    assert_true(most <= 1e-4);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    json_decref(golden);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (size_t j = 0; j < DIM; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

static double max_sim(const ht_encoding *q, size_t query, const ht_encoding *d, size_t doc)
{
    double sum = 0;
    for (size_t i = q->offsets[query]; i < q->offsets[query + 1]; i++) {
        double best = -2;
        for (size_t j = d->offsets[doc]; j < d->offsets[doc + 1]; j++)
            best = fmax(best, dot(q->vectors + i * DIM, d->vectors + j * DIM));
        sum += best;
    }
    return sum;
}

/* All tokens, no mix: the golden file's matrix. Queries in one session, documents in another. */
static void check_scores(ht_precision precision, double room)
{
    json_t *golden = load_json(HT_TEST_DATA "/golden/minilm/golden.json");
    ht_encoder *encoder = open_with(precision, 0, NULL);
    ht_encoder_session *queries = new_session(encoder), *documents = new_session(encoder);
    const char *q_texts[N_QUERIES], *d_texts[N_DOCS];
    golden_texts(json_object_get(golden, "queries"), q_texts);
    golden_texts(json_object_get(golden, "documents"), d_texts);
    const ht_encoding *q = encode(queries, HT_ROLE_QUERY, q_texts, N_QUERIES),
                      *d = encode(documents, HT_ROLE_QUERY, d_texts, N_DOCS);
    double most = 0, most_cosine = 0;
    for (size_t i = 0; i < N_QUERIES; i++)
        for (size_t j = 0; j < N_DOCS; j++) {
            most = fmax(most,
                        fabs(max_sim(q, i, d, j) - real_at(json_array_get(json_object_get(golden, "maxsim"), i), j)));
            const double cosine = dot(q->pooled + i * DIM, d->pooled + j * DIM);
            most_cosine =
                fmax(most_cosine, fabs(cosine - real_at(json_array_get(json_object_get(golden, "cosine"), i), j)));
        }
    print_message("MaxSim: largest difference %.1e, cosine %.1e\n", most, most_cosine);
    assert_true(most <= room && most_cosine <= room);
    ht_encoder_session_free(queries);
    ht_encoder_session_free(documents);
    ht_encoder_close(encoder);
    json_decref(golden);
}
static void test_scores(void **state)
{
    (void)state;
    check_scores(HT_PRECISION_F32, 1e-3);
}
static void test_bf16_scores(void **state)
{
    (void)state;
    if (!has_bf16()) skip();
    check_scores(HT_PRECISION_BF16, 0.1);
}

/* Every 14th document of Cranfield, token by token. */
static void test_bf16_against_f32(void **state)
{
    (void)state;
    if (!has_bf16()) skip();
    enum { MOST = 100, EVERY = 14 };
    static char *texts[MOST];
    size_t n = 0;
    hti_lines *lines;
    OK(hti_lines_open(HT_SOURCE_DIR "/data/cranfield/corpus.jsonl", 1 << 20, &lines, &err));
    for (size_t i = 0; n < MOST; i++) {
        ht_text line, text;
        OK(hti_lines_next(lines, &line, &err));
        if (!line.data) break;
        if (i % EVERY != 0) continue;
        json_t *object;
        OK(hti_json_parse(line, "corpus", 0, &object, &err));
        OK(hti_json_text(object, "corpus", "text", &text, &err));
        texts[n++] = strdup(text.data);
        json_decref(object);
    }
    hti_lines_close(lines);
    ht_pool *pool;
    OK(ht_pool_new(2, &pool, &err));
    ht_encoder *encoders[2] = {open_with(HT_PRECISION_F32, -1, pool), open_with(HT_PRECISION_BF16, -1, pool)};
    ht_encoder_session *sessions[2] = {new_session(encoders[0]), new_session(encoders[1])};
    ht_encoder_info infos[2] = {{HT_DESC(ht_encoder_info)}, {HT_DESC(ht_encoder_info)}};
    for (size_t i = 0; i < 2; i++) ht_encoder_get_info(encoders[i], &infos[i]);
    assert_string_equal(infos[0].digest, infos[1].digest);
    const ht_encoding *f32 = encode(sessions[0], HT_ROLE_DOCUMENT, (const char *const *)texts, n);
    const ht_encoding *bf16 = encode(sessions[1], HT_ROLE_DOCUMENT, (const char *const *)texts, n);
    assert_true(n == MOST && f32->n_vectors == bf16->n_vectors && f32->n_vectors > 10000);
    double least = 1, mean = 0;
    size_t n_far = 0;
    for (size_t i = 0; i < f32->n_vectors; i++) {
        const double cosine = dot(f32->vectors + i * DIM, bf16->vectors + i * DIM);
        least = fmin(least, cosine);
        n_far += cosine < 0.9999;
        mean += cosine / (double)f32->n_vectors;
    }
    double least_pooled = 1;
    for (size_t i = 0; i < n; i++)
        least_pooled = fmin(least_pooled, dot(f32->pooled + i * DIM, bf16->pooled + i * DIM));
    print_message("bf16 to f32 over %zu vectors: mean cosine %.6f, least %.6f, %zu below 0.9999, pooled least %.6f\n",
                  f32->n_vectors, mean, least, n_far, least_pooled);
    assert_true(mean >= 0.99995 && least >= 0.9995 && n_far <= f32->n_vectors / 1000 && least_pooled >= 0.9999);
    for (size_t i = 0; i < 2; i++) {
        ht_encoder_session_free(sessions[i]);
        ht_encoder_close(encoders[i]);
    }
    for (size_t i = 0; i < n; i++) free(texts[i]);
    ht_pool_free(pool);
}

static void test_info(void **state)
{
    (void)state;
    ht_encoder *encoder = open_with(HT_PRECISION_F32, -1, NULL);
    ht_encoder_info info = {HT_DESC(ht_encoder_info)};
    ht_encoder_get_info(encoder, &info);
    assert_true(info.dim == DIM && info.n_layers == 6 && info.hidden == DIM && info.vocab_size == 30522 &&
                info.max_tokens == 256);
    assert_true(info.mix == 0.5f && !info.keeps_punctuation && info.precision == HT_PRECISION_F32);
    assert_true(info.n_parameters == 22713216);
    assert_string_equal(info.architecture, "bert");
    assert_int_equal(strlen(info.digest), 16);
    ht_encoder_close(encoder);
}

int main(void)
{
    if (!find_model()) {
        print_message("skipped: no weights in %s (scripts/get-model.sh fetches them)\n", model_dir);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),        cmocka_unit_test(test_states),           cmocka_unit_test(test_scores),
        cmocka_unit_test(test_bf16_scores), cmocka_unit_test(test_bf16_against_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
