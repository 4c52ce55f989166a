/*
 * small_registry.h - a registry with one node `t` (x -> y) and one class `C` (k: int; method m), for what names them.
 */
#ifndef FUZZ_SMALL_REGISTRY_H
#define FUZZ_SMALL_REGISTRY_H

#include "base/base.h"

#include <houndstooth/registry.h>

#include <stdlib.h>

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

/* Aborts if it cannot be made: free it with ht_registry_free. */
static ht_registry *small_registry(void)
{
    static const ht_input inputs[] = {{"x", NULL}};
    static const char *const outputs[] = {"y"};
    static const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = "t",    .inputs = inputs,     .n_inputs = 1,
                                      .outputs = outputs,    .n_outputs = 1, .forms = {.row = row}};
    static const ht_method methods[] = {{"m", 1, {.row = row}}};
    static const ht_parameter parameters[] = {{"k", "int", "1", ""}};
    static const ht_class cls = {HT_DESC(ht_class),  .name = "C",    .init = init,
                                 .methods = methods, .n_methods = 1, .parameters = parameters,
                                 .n_parameters = 1};
    ht_registry *registry;
    if (ht_registry_new(&registry, NULL) != HT_OK || ht_registry_add_node(registry, &desc, NULL) != HT_OK ||
        ht_registry_add_class(registry, &cls, NULL) != HT_OK)
        abort();
    return registry;
}

#endif
