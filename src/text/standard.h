/*
 * standard.h - the words that Lucene's StandardTokenizer sees.
 */
#ifndef HTI_TEXT_STANDARD_H
#define HTI_TEXT_STANDARD_H

#include "unicode.h"

typedef enum hti_std_type {
    HTI_STD_TYPE_ALPHANUM,
    HTI_STD_TYPE_NUM,
    HTI_STD_TYPE_SOUTHEAST_ASIAN,
    HTI_STD_TYPE_IDEOGRAPHIC,
    HTI_STD_TYPE_HIRAGANA,
    HTI_STD_TYPE_KATAKANA,
    HTI_STD_TYPE_HANGUL,
    HTI_STD_TYPE_EMOJI
} hti_std_type;

/*
 * Longest token in UTF-16 units, as Lucene counts; longer ones are cut there. In UTF-8 that is at most
 * 3 bytes a unit.
 */
enum { HTI_TOKEN_UNITS = 255, HTI_TOKEN_BYTES = 3 * HTI_TOKEN_UNITS };

typedef struct hti_span {
    size_t start, end; /* bytes */
    hti_std_type type;
    bool ascii;
} hti_span;

/* The first token that starts at or behind `from`; false if there is none. */
bool hti_standard_next(ht_text text, size_t from, hti_span *out);

#endif
