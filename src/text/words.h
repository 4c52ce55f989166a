/*
 * words.h - word segmentation of UAX #29, for analyzers that follow the standard itself.
 */
#ifndef HTI_TEXT_WORDS_H
#define HTI_TEXT_WORDS_H

#include "unicode.h"

/* Walks over the segments of a text; every byte belongs to exactly one. Zero-initialise `at`. */
typedef struct hti_words {
    ht_text text;
    size_t at; /* start of the next segment */
} hti_words;

/* The next segment (words, spaces, punctuation alike) into *segment; false at the end. */
bool hti_words_next(hti_words *words, ht_text *segment);

#endif
