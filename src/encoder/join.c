/*
 * join.c - title and text as one string.
 *
 * Corpora often repeat the title at the head of the text; the model should see it once. Rule and whitespace are
 * those of
 * the measurements the default profile rests on: Python's str.strip, then startswith.
 */
#include "encoder_int.h"

#include <string.h>

/* Bytes of the whitespace character that begins at text.data, 0 if it is none. Text is valid UTF-8. */
static size_t space_len(ht_text text)
{
    const unsigned char *b = (const unsigned char *)text.data;
    if (text.len == 0) return 0;
    if (b[0] == ' ' || (b[0] >= 0x09 && b[0] <= 0x0D) || (b[0] >= 0x1C && b[0] <= 0x1F)) return 1;
    if (b[0] == 0xC2 && text.len >= 2) return b[1] == 0x85 || b[1] == 0xA0 ? 2 : 0; /* U+0085, U+00A0 */
    if (b[0] < 0xE1 || b[0] > 0xE3 || text.len < 3) return 0;
    const uint32_t c = (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (uint32_t)(b[2] & 0x3F);
    const bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
                       c == 0x205F || c == 0x3000;
    return space ? 3 : 0;
}

/* The same for the character that ends the text. */
static size_t last_space_len(ht_text text)
{
    for (size_t len = 1; len <= 3 && len <= text.len; len++) {
        const ht_text tail = {text.data + text.len - len, len};
        if (space_len(tail) == len) return len;
    }
    return 0;
}

ht_text hti_strip(ht_text text)
{
    size_t len;
    while ((len = space_len(text)) > 0) text = (ht_text){text.data + len, text.len - len};
    while ((len = last_space_len(text)) > 0) text.len -= len;
    return text;
}

void hti_join(hti_buffer *out, ht_text title, ht_text text)
{
    title = hti_strip(title);
    text = hti_strip(text);
    const bool repeated = title.len <= text.len && (title.len == 0 || memcmp(title.data, text.data, title.len) == 0);
    if (!repeated) {
        hti_buffer_append(out, title.data, title.len);
        if (text.len > 0) hti_buffer_append(out, " ", 1);
    }
    hti_buffer_append(out, text.data, text.len);
}
