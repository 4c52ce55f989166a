/*
 * porter.h - the Porter stemmer.
 */
#ifndef HTI_TEXT_PORTER_H
#define HTI_TEXT_PORTER_H

#include "base/base.h"

/* Stems a lower-case ASCII word in place; returns the stem's length, at most `len`. */
size_t hti_porter_stem_ascii(char *text, size_t len);
/* The same for valid UTF-8 of at most HTI_TOKEN_BYTES; letters outside ASCII count as consonants. */
size_t hti_porter_stem(char *text, size_t len);

#endif
