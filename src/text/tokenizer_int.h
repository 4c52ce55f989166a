/*
 * tokenizer_int.h - what the files of the model tokenizers share.
 */
#ifndef HTI_TEXT_TOKENIZER_INT_H
#define HTI_TEXT_TOKENIZER_INT_H

#include "added.h"
#include "normalizer.h"
#include "text.h"
#include "trie.h"

enum { HTI_SPECIAL_MAX = 16 };

/* A token of the vocabulary or an added one. */
typedef struct hti_token_entry {
    uint32_t id, off, len; /* text in tokenizer->texts */
    bool added;
} hti_token_entry;

/*
 * One model of tokenizer: a row of `kinds` in tokenizer.c and a file. `open` reads its part of the
 * file ("model", "pre_tokenizer", "normalizer") when the vocabulary and the added tokens are there;
 * `encode` appends the ids of text[from, to), which holds no raw added token, and may stop when
 * session->out.n exceeds session->limit.
 */
typedef struct hti_tokenizer_kind {
    const char *name;
    ht_status (*open)(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err);
    ht_status (*encode)(hti_tokenizer_session *session, ht_text text, size_t from, size_t to, ht_error *err);
    void (*free)(void *model);
} hti_tokenizer_kind;

struct hti_tokenizer {
    const hti_tokenizer_kind *kind;
    void *model;    /* of the kind */
    hti_trie vocab; /* the model's tokens -> id, added ones left out */
    hti_added added;
    hti_normalizer normalizer;
    hti_token_entry *entries; /* [n_entries], by id once opened */
    size_t n_entries, cap_entries;
    hti_buffer texts;
    uint32_t special[HTI_SPECIAL_MAX]; /* [n_special]: n_before, then those behind the text */
    size_t n_special, n_before;
    uint32_t unk;
    bool special_as_text;
};

typedef struct hti_ids {
    uint32_t *ids, *starts, *ends; /* [n] */
    size_t n, cap;
} hti_ids;

struct hti_tokenizer_session {
    const hti_tokenizer *tokenizer;
    hti_ids out;
    size_t limit; /* ids wanted before the closing special ones; SIZE_MAX: all */
    hti_norm_scratch norm;
    hti_buffer normalized; /* UTF-8 of a normalized piece, where added tokens are looked for in it */
};

/* Room for `n` more ids. */
HT_CHECKED ht_status hti_ids_reserve(hti_ids *out, size_t n, ht_error *err);
/* Appends where room has been made. */
static inline void hti_ids_put(hti_ids *out, uint32_t id, uint32_t start, uint32_t end)
{
    out->ids[out->n] = id;
    out->starts[out->n] = start;
    out->ends[out->n++] = end;
}
HT_CHECKED ht_status hti_ids_push(hti_ids *out, uint32_t id, uint32_t start, uint32_t end, ht_error *err);

static inline bool hti_session_full(const hti_tokenizer_session *session) { return session->out.n > session->limit; }

/* Reads "model.vocab" (an object), "added_tokens" and "post_processor" into the tokenizer. */
HT_CHECKED ht_status hti_tokenizer_read_vocab(hti_tokenizer *tokenizer, const json_t *root, const char *name,
                                              ht_error *err);
HT_CHECKED ht_status hti_tokenizer_read_added(hti_tokenizer *tokenizer, const json_t *root, const char *name,
                                              ht_error *err);
HT_CHECKED ht_status hti_tokenizer_read_special(hti_tokenizer *tokenizer, const json_t *root, const char *name,
                                                ht_error *err);
/* Puts the added tokens into their sets; needs the normalizer. */
HT_CHECKED ht_status hti_tokenizer_index_added(hti_tokenizer *tokenizer, ht_error *err);
/* Sorts the entries by id; PARSE if two tokens share one. */
HT_CHECKED ht_status hti_tokenizer_sort_entries(hti_tokenizer *tokenizer, const char *name, ht_error *err);

extern const hti_tokenizer_kind hti_wordpiece;

#endif
