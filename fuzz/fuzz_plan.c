/*
 * fuzz_plan.c - plans out of arbitrary JSON: one that loads prints, and what it prints loads and prints the same.
 */
#include "base/base.h"

#include <houndstooth/registry.h>

#include <stdlib.h>
#include <string.h>

static ht_status row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    (void)err;
    out[0] = ht_value_retain(in[0]);
    return HT_OK;
}

static ht_status init(void **self, ht_value args, ht_error *err)
{
    (void)args;
    (void)err;
    *self = NULL;
    return HT_OK;
}

static ht_writer *print(const ht_plan *plan)
{
    ht_writer *writer;
    if (ht_writer_new(&writer, NULL) != HT_OK || ht_plan_print(plan, HT_PLAN_JSON, writer, NULL) != HT_OK) abort();
    return writer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ht_input inputs[] = {{"x", NULL}};
    static const char *const outputs[] = {"y"};
    static const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = "t",    .inputs = inputs,     .n_inputs = 1,
                                      .outputs = outputs,    .n_outputs = 1, .forms = {.row = row}};
    static const ht_method methods[] = {{"m", 1, {.row = row}}};
    static const ht_class cls = {HT_DESC(ht_class), .name = "C", .init = init, .methods = methods, .n_methods = 1};
    ht_registry *registry;
    ht_plan *plan, *again;
    size_t len, len_again;
    if (ht_registry_new(&registry, NULL) != HT_OK || ht_registry_add_node(registry, &desc, NULL) != HT_OK ||
        ht_registry_add_class(registry, &cls, NULL) != HT_OK)
        abort();
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
