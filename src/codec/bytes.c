/*
 * bytes.c - UTF-8 validation, varints and the npy header: small pure functions over bytes.
 */
#include "codec.h"

#include <string.h>

/* Length of the valid sequence at `at`, 0 if there is none. Table 3-7 of the Unicode standard. */
static size_t sequence_len(const unsigned char *at, size_t left)
{
    const unsigned char c = at[0];
    if (c < 0x80) return 1;
    const size_t len = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (len == 0 || len > left) return 0;
    const unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < len; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return len;
}

size_t hti_utf8_valid(ht_text text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.len) {
        uint64_t word;
        while (text.len - at >= sizeof word) { /* eight ASCII bytes at a time */
            memcpy(&word, data + at, sizeof word);
            if (word & 0x8080808080808080u) break;
            at += sizeof word;
        }
        if (at == text.len) break;
        const size_t len = sequence_len(data + at, text.len - at);
        if (len == 0) break;
        at += len;
    }
    return at;
}

size_t hti_varint_put(unsigned char *into, uint32_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) into[n++] = (unsigned char)(value | 0x80);
    into[n++] = (unsigned char)value;
    return n;
}

const unsigned char *hti_varint_get(const unsigned char *at, const unsigned char *end, uint32_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; at < end && shift < 35; shift += 7) {
        const unsigned char byte = *at++;
        sum |= (uint64_t)(byte & 0x7F) << shift;
        if (byte & 0x80) continue;
        *value = (uint32_t)sum;
        return sum <= UINT32_MAX ? at : NULL;
    }
    return NULL;
}

void hti_npy_header(hti_buffer *buffer, uint64_t n_rows, uint64_t dim)
{
    const size_t start = buffer->len;
    hti_buffer_append(buffer, "\x93NUMPY\x01\x00\0\0", 10);
    hti_buffer_printf(buffer, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %llu), }",
                      (unsigned long long)n_rows, (unsigned long long)dim);
    while ((buffer->len - start + 1) % 64 != 0 && buffer->status == HT_OK) hti_buffer_append(buffer, " ", 1);
    hti_buffer_append(buffer, "\n", 1);
    if (buffer->status != HT_OK) return;
    const size_t len = buffer->len - start - 10;
    buffer->data[start + 8] = (char)(len & 0xFF);
    buffer->data[start + 9] = (char)(len >> 8);
}
