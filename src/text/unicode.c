/*
 * unicode.c - encoding, and lower case newer than the Unicode library's.
 *
 * utf8proc 2.8 knows Unicode 15.0, the programs that we must agree with know 16 or 17. Case pairs
 * are never changed once assigned, so the newer ones are a short list to add.
 * Thread rule: pure functions over constant tables.
 */
#include "unicode.h"

#include <utf8proc.h>

size_t hti_utf8_encode(uint32_t code, char into[HTI_UTF8_MAX])
{
    if (code < 0x80) {
        into[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        into[0] = (char)(0xC0 | code >> 6);
        into[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        into[0] = (char)(0xE0 | code >> 12);
        into[1] = (char)(0x80 | (code >> 6 & 0x3F));
        into[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    into[0] = (char)(0xF0 | code >> 18);
    into[1] = (char)(0x80 | (code >> 12 & 0x3F));
    into[2] = (char)(0x80 | (code >> 6 & 0x3F));
    into[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* Capitals assigned after Unicode 15.0 and the distance to their small letters. */
static const struct {
    uint32_t first, last;
    int32_t distance;
} newer_capitals[] = {
    {0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
    {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
    {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B},
};

uint32_t hti_to_lower(uint32_t code)
{
    if (code < 0x80) return code >= 'A' && code <= 'Z' ? code | 0x20 : code;
    const uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    if (lower != code || code < 0x1C89) return lower;
    for (size_t i = 0; i < HTI_LEN(newer_capitals); i++)
        if (code >= newer_capitals[i].first && code <= newer_capitals[i].last)
            return (uint32_t)((int32_t)code + newer_capitals[i].distance);
    return code;
}
