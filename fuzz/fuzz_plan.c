/*
 * fuzz_plan.c - plans out of arbitrary JSON: one that loads prints, and what it prints loads and prints the same.
 */
#include "small_registry.h"

#include <string.h>

static ht_writer *print(const ht_plan *plan)
{
    ht_writer *writer;
    if (ht_writer_new(&writer, NULL) != HT_OK || ht_plan_print(plan, HT_PLAN_JSON, writer, NULL) != HT_OK) abort();
    return writer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ht_registry *registry = small_registry();
    ht_plan *plan, *again;
    size_t len, len_again;
    if (ht_plan_load((ht_text){(const char *)data, size}, registry, &plan, NULL) == HT_OK) {
        ht_writer *first = print(plan);
        const char *text = ht_writer_data(first, &len);
        if (ht_plan_load((ht_text){text, len}, registry, &again, NULL) != HT_OK) abort();
        ht_writer *second = print(again);
        const char *other = ht_writer_data(second, &len_again);
        if (len != len_again || memcmp(text, other, len) != 0) abort();
        ht_writer_free(first);
        ht_writer_free(second);
        ht_plan_release(again);
        ht_plan_release(plan);
    }
    ht_registry_free(registry);
    return 0;
}
