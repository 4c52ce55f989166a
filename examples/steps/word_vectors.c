/*
 * word_vectors.c - an encoder without a model, as a class: docs/guide_pipelines.md builds it step by step.
 *
 * A word's vector is made of the 64 bits of its hash. The same word is the same vector, two others are nearly
 * orthogonal, so MaxSim over these vectors counts a query's words that a passage has.
 *
 *     make steps/word_vectors.so
 */
#include "word_vectors.h"

#include <ctype.h>
#include <math.h>

enum { DIM = 64 };

/* ---- vectors ---- */

/* The hash of the next word from *at on; false at the end. */
static bool next_word(ht_text text, size_t least, size_t *at, uint64_t *hash)
{
    for (size_t i = *at; i < text.len; i++) {
        const size_t first = i;
        *hash = 0xCBF29CE484222325; /* FNV-1a */
        for (; i < text.len && isalnum((unsigned char)text.data[i]); i++)
            *hash = (*hash ^ (uint64_t)tolower((unsigned char)text.data[i])) * 0x100000001B3;
        *hash = (*hash ^ *hash >> 29) * 0xBF58476D1CE4E5B9;
        *hash ^= *hash >> 32;
        *at = i;
        if (i > first && i - first >= least) return true;
    }
    return false;
}

static void put_word(uint64_t hash, float *vector, float *sum)
{
    for (int d = 0; d < DIM; d++) {
        vector[d] = hash >> d & 1 ? .125F : -.125F;
        sum[d] += vector[d];
    }
}

static void to_unit_length(float *vector)
{
    float square = 0;
    for (int d = 0; d < DIM; d++) square += vector[d] * vector[d];
    for (int d = 0; d < DIM && square > 0; d++) vector[d] /= sqrtf(square);
}

ht_status embed(ht_text text, size_t least, ht_value *out, ht_error *err)
{
    static const char *const names[] = {"vectors", "pooled"};
    int64_t shape[] = {0, DIM};
    float pooled[DIM] = {0};
    ht_value parts[2] = {ht_value_null(), ht_value_null()};
    uint64_t hash;
    for (size_t at = 0; next_word(text, least, &at, &hash);) shape[0]++;
    TRY(ht_value_tensor(HT_F32, 2, shape, NULL, &parts[0], err));
    float *row = ht_value_tensor_view(parts[0])->data;
    for (size_t at = 0; next_word(text, least, &at, &hash); row += DIM) put_word(hash, row, pooled);
    to_unit_length(pooled);
    ht_status status = ht_value_tensor(HT_F32, 1, &shape[1], pooled, &parts[1], err);
    if (status == HT_OK) status = ht_value_struct(names, parts, 2, out, err);
    ht_value_release(parts[0]);
    ht_value_release(parts[1]);
    return status;
}

/* ---- the class ---- */

static ht_status load(void **self, ht_value args, ht_error *err)
{
    (void)err;
    size_t *least = malloc(sizeof *least);
    if (!least) return HT_NO_MEMORY;
    *least = (size_t)field(args, "least").as.integer;
    *self = least;
    return HT_OK;
}

static ht_status encode(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const ht_value text = in[0].kind == HT_KIND_STRUCT ? field(in[0], "text") : in[0];
    return embed(ht_value_text(text), *(const size_t *)self, &out[0], err); /* in[1]: is_query, all one to us */
}

static const ht_method row_methods[] = {{"encode", 2, {.row = encode}}};
static const ht_parameter parameters[] = {{"least", "int", "1", "letters that a word must have"}};

const ht_class words_by_row = {
    HT_DESC(ht_class),        .name = "WordsByRow", .init = load,   .fini = free,
    .methods = row_methods,   .n_methods = 1,       .version = "1", .summary = "vectors of words, row by row",
    .parameters = parameters, .n_parameters = 1};

/* ---- the same with a batch form ---- */

static ht_status encode_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    for (size_t i = 0; i < n; i++) TRY(encode(self, &in[0].rows[i], &out[0][i], err));
    return HT_OK;
}

static const ht_method methods[] = {{"encode", 2, {.row = encode, .batch = encode_batch}}};

const ht_class words = {HT_DESC(ht_class),        .name = "Words",  .init = load,   .fini = free,
                        .methods = methods,       .n_methods = 1,   .version = "1", .summary = "vectors of words",
                        .parameters = parameters, .n_parameters = 1};

/* ---- the plug-in ---- */

ht_status ht_module_init(ht_registry *registry, ht_error *err) { return ht_registry_add_class(registry, &words, err); }
