/*
 * normalizer.h - the normalizers of tokenizer files, with each character's place in the original text.
 */
#ifndef HTI_TEXT_NORMALIZER_H
#define HTI_TEXT_NORMALIZER_H

#include "codec/codec.h"

/* A normalized character and the bytes of the original that it stands for. */
typedef struct hti_norm_char {
    uint32_t code, from, to;
} hti_norm_char;

typedef struct hti_norm_text {
    hti_norm_char *chars; /* [len] */
    size_t len, cap;
} hti_norm_text;

/* Two texts that the steps read and write in turn; the result is in `now`. */
typedef struct hti_norm_scratch {
    hti_norm_text now, next;
} hti_norm_scratch;

void hti_norm_scratch_deinit(hti_norm_scratch *scratch);

enum { HTI_NORM_STEPS = 32 };

/* Immutable after parsing. */
typedef struct hti_normalizer {
    uint8_t steps[HTI_NORM_STEPS]; /* [n_steps], private to normalizer.c */
    size_t n_steps;
} hti_normalizer;

/*
 * Reads the "normalizer" of a tokenizer file (NULL or null: none): BertNormalizer, Lowercase, NFD,
 * StripAccents, or a Sequence of them. Others: UNSUPPORTED.
 */
HT_CHECKED ht_status hti_normalizer_parse(const json_t *json, const char *name, hti_normalizer *out, ht_error *err);

/*
 * Normalizes text[from, to) into scratch->now. No step looks beyond a character that is not a
 * combining mark, so a text may be cut before any ASCII character and done in parts.
 */
HT_CHECKED ht_status hti_normalize(const hti_normalizer *normalizer, ht_text text, size_t from, size_t to,
                                   hti_norm_scratch *scratch, ht_error *err);

#endif
