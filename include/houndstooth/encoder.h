/*
 * houndstooth/encoder.h - text in, token vectors out: tokenizer, transformer, normalisation.
 *
 *     ht_encoder *encoder;
 *     ht_encoder_session *session;
 *     const ht_encoding *result;
 *     ht_encoder_open("all-MiniLM-L6-v2", NULL, &encoder, &err);
 *     ht_encoder_session_new(encoder, &session, &err);
 *     ht_encoder_encode(session, HT_ROLE_QUERY, inputs, n_inputs, NULL, &result, &err);
 *
 * An encoder is immutable and shared by all threads; a session holds the scratch of one thread.
 * A text's vectors never depend on what else is in the call, nor on the number of threads.
 */
#ifndef HOUNDSTOOTH_ENCODER_H
#define HOUNDSTOOTH_ENCODER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_encoder ht_encoder;
typedef struct ht_encoder_session ht_encoder_session;

typedef enum ht_role { HT_ROLE_QUERY, HT_ROLE_DOCUMENT } ht_role;
/* AUTO takes bf16 where the CPU has AMX, else f32. */
typedef enum ht_precision { HT_PRECISION_AUTO, HT_PRECISION_F32, HT_PRECISION_BF16 } ht_precision;

typedef struct ht_encoder_opts {
    uint32_t size;
    ht_precision precision;
    ht_pool *pool; /* borrowed, must outlive the encoder; NULL: the calling thread alone */
    /*
     * share of the pooled vector added to each unit token vector before normalising again; < 0: the model's
     * default (0.5 for plain sentence-transformers models, 0 for ColBERT models)
     */
    float mix;
    uint32_t max_tokens;  /* ids a text, special tokens included; 0: the model's own limit */
    int keep_punctuation; /* on documents: 1 keeps the vectors of punctuation, 0 drops them, < 0: the model's default */
} ht_encoder_opts;
HT_API void ht_encoder_opts_init(ht_encoder_opts *opts);

typedef struct ht_encoder_info {
    uint32_t size;
    uint32_t dim; /* of a vector */
    uint32_t n_layers, hidden, vocab_size, max_tokens;
    ht_precision precision; /* in use: F32 or BF16 */
    float mix;
    bool keeps_punctuation;
    uint64_t n_parameters;
    char architecture[32]; /* for example "bert" */
    /* hex of XXH3-64 over weights, tokenizer and configuration: with an equal profile (mix, limits), vectors compare */
    char digest[17];
} ht_encoder_info;

/*
 * Opens a model folder (config.json, model.safetensors, tokenizer.json, ...). The weights are mapped
 * and packed once. Fails with NOT_FOUND, PARSE, CORRUPT or UNSUPPORTED, naming file and tensor.
 */
HT_API HT_CHECKED ht_status ht_encoder_open(const char *model_dir, const ht_encoder_opts *opts, ht_encoder **out,
                                            ht_error *err);
HT_API void ht_encoder_close(ht_encoder *encoder);
HT_API void ht_encoder_get_info(const ht_encoder *encoder, ht_encoder_info *info);

/* Scratch and output of one encoding thread; the encoder must outlive it. NULL may be freed. */
HT_API HT_CHECKED ht_status ht_encoder_session_new(const ht_encoder *encoder, ht_encoder_session **out, ht_error *err);
HT_API void ht_encoder_session_free(ht_encoder_session *session);

/* One text to encode. A title repeated at the head of the text is used once; both may be empty. Valid UTF-8. */
typedef struct ht_encoder_input {
    ht_text title, text;
} ht_encoder_input;

/* Result of one call; owned by the session, valid until its next call. */
typedef struct ht_encoding {
    size_t n_texts, n_vectors;
    uint32_t dim;
    const size_t *offsets;     /* [n_texts + 1]: vectors of text i are [offsets[i], offsets[i + 1]) */
    const float *vectors;      /* [n_vectors, dim] row-major, unit length */
    const float *pooled;       /* [n_texts, dim], mean over all tokens, unit length; zeros if there is none */
    const uint32_t *token_ids; /* [n_vectors] */
    const uint32_t *token_starts, *token_ends; /* [n_vectors]: bytes of the joined text; equal for special tokens */
    const uint32_t *n_tokens; /* [n_texts]: ids the model saw, special tokens and dropped ones included */
    const uint8_t *truncated; /* [n_texts]: 1 if the text was cut to max_tokens */
} ht_encoding;

/*
 * Encodes n texts. HT_LIMIT if one call holds more than 2^31 tokens; HT_CANCELLED by the monitor.
 * The second identical call allocates nothing.
 */
HT_API HT_CHECKED ht_status ht_encoder_encode(ht_encoder_session *session, ht_role role, const ht_encoder_input *inputs,
                                              size_t n_inputs, const ht_monitor *monitor, const ht_encoding **out,
                                              ht_error *err);

/* The same with the last hidden states as they are: every token, not normalised, no mix, dim = hidden. */
HT_API HT_CHECKED ht_status ht_encoder_hidden(ht_encoder_session *session, ht_role role, const ht_encoder_input *inputs,
                                              size_t n_inputs, const ht_monitor *monitor, const ht_encoding **out,
                                              ht_error *err);

/* Only the tokenizer: ids with special tokens; `vectors` and `pooled` are NULL. */
HT_API HT_CHECKED ht_status ht_encoder_tokenize(ht_encoder_session *session, ht_role role,
                                                const ht_encoder_input *inputs, size_t n_inputs,
                                                const ht_encoding **out, ht_error *err);

/* Text of a vocabulary id, for example "##ing"; {NULL, 0} if there is no such id. Lives as long as the encoder. */
HT_API ht_text ht_encoder_token_text(const ht_encoder *encoder, uint32_t id);

/* The joined text that token_starts and token_ends of the last call count in. */
HT_API ht_text ht_encoder_joined_text(const ht_encoder_session *session, size_t text);

#ifdef __cplusplus
}
#endif

#endif
