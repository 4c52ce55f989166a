/*
 * fuzz_value.c - values out of arbitrary bytes: what decodes must encode to the same bytes, and JSON must never crash.
 */
#include "base/base.h"

#include <houndstooth/value.h>

#include <stdlib.h>
#include <string.h>

static void check_decoded(const uint8_t *data, size_t size, ht_value value)
{
    ht_error err;
    ht_writer *writer;
    ht_key key;
    char text[100];
    size_t len;
    if (ht_writer_new(&writer, &err) != HT_OK) return;
    if (ht_value_encode(value, writer, &err) != HT_OK) abort();
    const void *again = ht_writer_data(writer, &len);
    if (len != size || memcmp(again, data, len) != 0) abort();
    if (ht_value_digest(value, &key, &err) != HT_OK) abort();
    ht_value_describe(value, text, sizeof text);
    ht_writer_free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ht_error err;
    ht_value value;
    if (ht_value_decode(data, size, NULL, &value, &err) == HT_OK) check_decoded(data, size, value);
    ht_value_release(value);
    if (ht_value_from_json((ht_text){(const char *)data, size}, &value, &err) == HT_OK && ht_value_equal(value, value))
        ht_value_release(value);
    if (hti_alloc_get_stats().live_bytes != 0) abort();
    return 0;
}
