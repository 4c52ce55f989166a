/*
 * fuzz_series.c - series out of arbitrary bytes: every row of what decodes can be read, given to Arrow and taken back,
 * and sent again, equal each time.
 */
#include "base/base.h"

#include <houndstooth/registry.h>

#include <stdlib.h>

static void require(bool held)
{
    if (!held) abort();
}

static void check_arrow(ht_series *series)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    ht_series *back;
    const ht_status status = ht_series_export(series, "x", &schema, &array, NULL);
    require((status == HT_OK) == (ht_series_dtype(series) != HT_DTYPE_OBJECT));
    if (status != HT_OK) return;
    require(ht_series_import(&schema, &array, &back, NULL) == HT_OK);
    require(ht_series_equal(series, back));
    ht_series_release(back);
}

static void check_again(ht_registry *registry, ht_series *series, ht_value value)
{
    ht_writer *writer;
    ht_value again;
    size_t len;
    require(ht_writer_new(&writer, NULL) == HT_OK);
    if (ht_value_encode(value, writer, NULL) == HT_OK) {
        const void *data = ht_writer_data(writer, &len);
        require(ht_value_decode(data, len, registry, &again, NULL) == HT_OK);
        require(ht_series_equal(series, ht_value_series(again)));
        ht_value_release(again);
    }
    ht_writer_free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ht_registry *registry;
    ht_value value;
    ht_error err;
    require(ht_registry_new(&registry, &err) == HT_OK);
    if (ht_value_decode(data, size, registry, &value, &err) == HT_OK && ht_value_series(value)) {
        ht_series *series = ht_value_series(value), *whole, *parts[2];
        const size_t n = ht_series_len(series), middle = n / 2;
        require(ht_series_slice(series, 0, middle, &parts[0], &err) == HT_OK);
        require(ht_series_slice(series, middle, n - middle, &parts[1], &err) == HT_OK);
        if (n < 100000 && ht_series_concat(parts, 2, &whole, &err) == HT_OK) {
            check_arrow(series);
            check_again(registry, series, value);
            ht_series_release(whole);
        }
        ht_series_release(parts[0]);
        ht_series_release(parts[1]);
    }
    ht_value_release(value);
    ht_registry_free(registry);
    require(hti_alloc_get_stats().live_bytes == 0);
    return 0;
}
