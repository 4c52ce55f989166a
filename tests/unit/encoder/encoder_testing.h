/*
 * encoder_testing.h - what the encoder's tests share: opening with a message, texts, golden JSON.
 */
#ifndef HT_TESTS_ENCODER_TESTING_H
#define HT_TESTS_ENCODER_TESTING_H

#include "codec/codec.h"
#include "encoder/encoder.h"
#include "os/os.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK(expr)                                                     \
    do {                                                             \
        ht_error err = {0};                                          \
        if ((expr) != HT_OK) fail_msg("%s: %s", #expr, err.message); \
    } while (0)

static inline ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

static inline ht_encoder *open_model(const char *dir, const ht_encoder_opts *opts)
{
    ht_encoder *encoder;
    OK(ht_encoder_open(dir, opts, &encoder, &err));
    return encoder;
}

static inline ht_encoder_session *new_session(const ht_encoder *encoder)
{
    ht_encoder_session *session;
    OK(ht_encoder_session_new(encoder, &session, &err));
    return session;
}

static inline const ht_encoding *encode(ht_encoder_session *session, ht_role role, const char *const *texts, size_t n)
{
    ht_encoder_input *inputs = HTI_NEW_ARRAY(ht_encoder_input, n);
    const ht_encoding *made;
    for (size_t i = 0; i < n; i++) inputs[i] = (ht_encoder_input){.text = text_of(texts[i])};
    OK(ht_encoder_encode(session, role, inputs, n, NULL, &made, &err));
    hti_free(inputs);
    return made;
}

static inline json_t *load_json(const char *path)
{
    json_t *value;
    OK(hti_json_load(path, (size_t)1 << 30, &value, &err));
    return value;
}

/* Numbers of an array (of arrays ...) in order, into a new block. */
static inline void append_numbers(const json_t *value, double *out, size_t *n)
{
    if (!json_is_array(value)) {
        out[(*n)++] = json_number_value(value);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) append_numbers(json_array_get(value, i), out, n);
}

static inline double *numbers_of(const json_t *value, size_t most)
{
    double *out = HTI_NEW_ARRAY(double, most);
    size_t n = 0;
    append_numbers(value, out, &n);
    assert_int_equal(n, most);
    return out;
}

#endif
