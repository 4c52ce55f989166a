/*
 * added.h - added tokens: strings that are cut out of a text before the model sees the rest.
 */
#ifndef HTI_TEXT_ADDED_H
#define HTI_TEXT_ADDED_H

#include "normalizer.h"
#include "trie.h"

typedef struct hti_added_token {
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} hti_added_token;

/* Strings to look for; values are numbers of tokens. */
typedef struct hti_added_set {
    hti_trie trie;
    bool first[256]; /* bytes that one of them starts with */
    size_t n;
} hti_added_set;

typedef struct hti_added {
    hti_added_token *tokens; /* [n] */
    size_t n, cap;
    hti_trie names;                /* content -> number */
    hti_added_set raw, normalized; /* looked for in the text as it is, and as normalized */
} hti_added;

void hti_added_init(hti_added *added);
void hti_added_deinit(hti_added *added);

/* A search in one sentence; `done` is where the next piece of plain text starts. */
typedef struct hti_added_scan {
    const hti_added *added;
    const hti_added_set *set;
    ht_text sentence;
    bool special_as_text;
    size_t resume, done;
} hti_added_scan;

/* Token number and the bytes it takes, the space it strips included. */
typedef struct hti_added_match {
    uint32_t number;
    size_t start, stop;
} hti_added_match;

/* The next match, leftmost and then longest. The caller sets scan->done to match.stop when it has dealt with it. */
bool hti_added_next(hti_added_scan *scan, hti_added_match *out);

#endif
