/*
 * unicode.h - code points: decoding, lower case, and the generated properties (unicode_table.c).
 *
 * One record a code point serves three consumers that follow three Unicode versions; the head of
 * scripts/gen_unicode.py says which and why. The order of the names here is the order there.
 */
#ifndef HTI_TEXT_UNICODE_H
#define HTI_TEXT_UNICODE_H

#include "base/base.h"

/* Word_Break of UAX #29, the version of the data files. */
enum {
    HTI_WB_OTHER,
    HTI_WB_CR,
    HTI_WB_LF,
    HTI_WB_NEWLINE,
    HTI_WB_EXTEND,
    HTI_WB_ZWJ,
    HTI_WB_FORMAT,
    HTI_WB_RI,
    HTI_WB_KATAKANA,
    HTI_WB_HEBREW,
    HTI_WB_ALETTER,
    HTI_WB_SQ,
    HTI_WB_DQ,
    HTI_WB_MIDNUMLET,
    HTI_WB_MIDLETTER,
    HTI_WB_MIDNUM,
    HTI_WB_NUMERIC,
    HTI_WB_EXTENDNUMLET,
    HTI_WB_WSEGSPACE
};

/* Classes of Lucene's StandardTokenizer (Unicode 12.1); EXT is Extend, Format and the zero width joiner. */
enum {
    HTI_STD_OTHER,
    HTI_STD_ALETTER,
    HTI_STD_HEBREW,
    HTI_STD_NUMERIC,
    HTI_STD_KATAKANA,
    HTI_STD_EXTENDNUMLET,
    HTI_STD_MIDLETTER,
    HTI_STD_MIDNUM,
    HTI_STD_MIDNUMLET,
    HTI_STD_SQ,
    HTI_STD_DQ,
    HTI_STD_EXT,
    HTI_STD_CLASSES
};

enum {
    HTI_EXT_PICT = 1 << 0,
    HTI_STD_HANGUL = 1 << 1,
    HTI_STD_HAN = 1 << 2,
    HTI_STD_HIRAGANA = 1 << 3,
    HTI_STD_COMPLEX = 1 << 4,
    HTI_STD_EMOJI = 1 << 5,
    HTI_STD_EMOJI_BASE = 1 << 6,
    HTI_STD_EMOJI_MOD = 1 << 7,
    HTI_HF_OTHER = 1 << 8,  /* removed by the BERT normalizer's cleaning; tab and line ends are SPACE too and stay */
    HTI_HF_PUNCT = 1 << 9,  /* a word of its own for the BERT pre-tokenizer */
    HTI_HF_MN = 1 << 10,    /* an accent for the BERT normalizer */
    HTI_HF_SPACE = 1 << 11, /* White_Space */
    HTI_HF_WORD = 1 << 12,  /* \w of a regular expression */
    HTI_HF_MARK = 1 << 13,  /* an accent for the StripAccents normalizer */
    HTI_HF_NEW = 1 << 14,   /* unknown to its normalization: class 0, no decomposition */
    HTI_HF_CJK = 1 << 15    /* gets spaces round it from the BERT normalizer */
};

typedef struct hti_char {
    uint8_t wb, std;
    uint16_t flags;
} hti_char;

enum { HTI_UNICODE_BLOCK = 128 };
extern const hti_char hti_unicode_chars[];
extern const uint16_t hti_unicode_blocks[];
extern const uint8_t hti_unicode_index[];

/* Properties of a code point <= U+10FFFF. */
static inline const hti_char *hti_char_of(uint32_t code)
{
    const size_t block = hti_unicode_blocks[code / HTI_UNICODE_BLOCK];
    return &hti_unicode_chars[hti_unicode_index[block * HTI_UNICODE_BLOCK + code % HTI_UNICODE_BLOCK]];
}

enum { HTI_REPLACEMENT = 0xFFFD, HTI_UTF8_MAX = 4 };

/*
 * The code point at `at` < `end` into *code; returns its length in bytes. Stays inside [at, end) and
 * below U+110000 even where the text is not valid UTF-8 (then U+FFFD, one byte).
 */
static inline size_t hti_utf8_decode(const char *at, const char *end, uint32_t *code)
{
    const unsigned char *b = (const unsigned char *)at;
    const size_t have = (size_t)(end - at);
    if (b[0] < 0x80) {
        *code = b[0];
        return 1;
    }
    if (b[0] >= 0xC0 && b[0] < 0xE0 && have >= 2) {
        *code = (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
        return 2;
    }
    if (b[0] >= 0xE0 && b[0] < 0xF0 && have >= 3) {
        *code = (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
        return 3;
    }
    *code = HTI_REPLACEMENT;
    if (b[0] < 0xF0 || have < 4) return 1;
    const uint32_t big =
        (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 | (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3F);
    if (big > 0x10FFFF) return 1;
    *code = big;
    return 4;
}

/* Writes a code point <= U+10FFFF as 1..4 bytes and returns how many. */
size_t hti_utf8_encode(uint32_t code, char into[HTI_UTF8_MAX]);

/* Simple lower case mapping of Unicode 17 (today's Java and Rust map alike, but for U+0130). */
uint32_t hti_to_lower(uint32_t code);

#endif
