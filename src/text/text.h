/*
 * text.h - the door of the room that turns text into tokens: model tokenizers and search analyzers.
 *
 * Model tokenizers read a Hugging Face `tokenizer.json` and give the same ids as the `tokenizers`
 * library does. The file's own truncation and padding are ignored: the length limit belongs to the
 * model, and nothing here pads. The analyzers' door is public: <houndstooth/lexical.h>.
 *
 * Every text must be valid UTF-8 (see hti_utf8_valid), at most 2^32 - 2 bytes.
 */
#ifndef HTI_TEXT_TEXT_H
#define HTI_TEXT_TEXT_H

#include "base/base.h"

#include <houndstooth/lexical.h>

/* ---- model tokenizers ---- */

/* Stands for "this tokenizer has no such token". */
#define HTI_TOKEN_NONE UINT32_MAX

/* Immutable; any thread. */
typedef struct hti_tokenizer hti_tokenizer;

typedef struct hti_tokenizer_opts {
    uint32_t size;
    /*
     * False (as Hugging Face does): "[MASK]" spelled out in a text becomes the mask token. True: what
     * spells a special token is plain text; added tokens that are not special are still cut out.
     */
    bool special_as_text;
} hti_tokenizer_opts;

typedef struct hti_tokenizer_info {
    const char *kind;                  /* "WordPiece"; lives as long as the program */
    uint32_t n_ids;                    /* largest id + 1: embedding rows that the ids may ask for */
    uint32_t n_tokens;                 /* tokens in the vocabulary, added ones included */
    uint32_t n_special;                /* ids that add_special puts round a text: [CLS] text [SEP] gives 2 */
    uint32_t cls, sep, mask, pad, unk; /* ids, HTI_TOKEN_NONE where missing */
} hti_tokenizer_info;

/*
 * Opens the file; `opts` NULL for the defaults. Malformed or inconsistent: PARSE; a normalizer,
 * pre-tokenizer, model or post-processor that is not written yet: UNSUPPORTED. Both name file and key.
 */
HT_CHECKED ht_status hti_tokenizer_open(const char *path, const hti_tokenizer_opts *opts, hti_tokenizer **out,
                                        ht_error *err);
/* The same from the file's text; `name` goes in front of messages. */
HT_CHECKED ht_status hti_tokenizer_parse(ht_text json, const char *name, const hti_tokenizer_opts *opts,
                                         hti_tokenizer **out, ht_error *err);
/* NULL allowed. No session may live on. */
void hti_tokenizer_close(hti_tokenizer *tokenizer);
hti_tokenizer_info hti_tokenizer_get_info(const hti_tokenizer *tokenizer);
/* Id of a token by its exact text ("##ing", "[CLS]"), HTI_TOKEN_NONE if unknown. */
uint32_t hti_tokenizer_token_id(const hti_tokenizer *tokenizer, ht_text token);
/* Text of an id, as written in the file; {NULL, 0} if no token has it. Lives as long as the tokenizer. */
ht_text hti_tokenizer_token_text(const hti_tokenizer *tokenizer, uint32_t id);

/* Scratch and output of one thread; the second identical use allocates nothing. */
typedef struct hti_tokenizer_session hti_tokenizer_session;
/* The tokenizer must outlive the session. */
HT_CHECKED ht_status hti_tokenizer_session_new(const hti_tokenizer *tokenizer, hti_tokenizer_session **out,
                                               ht_error *err);
void hti_tokenizer_session_free(hti_tokenizer_session *session);

/* Tokens of one text: arrays [len] owned by the session, valid until its next call. */
typedef struct hti_token_ids {
    const uint32_t *ids;
    const uint32_t *starts, *ends; /* bytes of the original text; start == end == 0 for ids that add_special put in */
    size_t len;
    bool truncated; /* ids were left out because of max_ids */
} hti_token_ids;

typedef struct hti_encode_opts {
    uint32_t size;
    size_t max_ids;   /* special ids count; the text's first max_ids - n_special ids are kept; 0 = no limit */
    bool add_special; /* puts [CLS] and [SEP] (whatever the file's post-processor says) round the text */
} hti_encode_opts;

/*
 * Encodes one text. INVALID if max_ids has no room for the special ids. As soon as it is known that
 * ids must be left out the rest of the text is not looked at.
 */
HT_CHECKED ht_status hti_tokenizer_encode(hti_tokenizer_session *session, ht_text text, const hti_encode_opts *opts,
                                          hti_token_ids *out, ht_error *err);

#endif
