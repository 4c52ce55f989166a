/*
 * fuzz_pipeline_file.c - pipelines out of arbitrary YAML: loaded or refused with one line; what loads can be planned.
 */
#include "base/base.h"

#include <houndstooth/pipeline_file.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
    ht_pipeline_file *file;
    ht_error err = {HT_OK, ""};
    if (ht_registry_new(&registry, NULL) != HT_OK || ht_registry_add_node(registry, &desc, NULL) != HT_OK ||
        ht_registry_add_class(registry, &cls, NULL) != HT_OK)
        abort();
    if (ht_pipeline_file_parse((ht_text){(const char *)data, size}, "f", registry, &file, &err) == HT_OK) {
        ht_plan *plan;
        size_t n;
        const char *const *wanted = ht_pipeline_file_outputs(file, &n);
        if (ht_plan_new(ht_pipeline_file_pipeline(file), wanted, n, NULL, 0, &plan, NULL) == HT_OK)
            ht_plan_release(plan);
        ht_pipeline_file_free(file);
    } else if (!err.message[0]) {
        abort();
    }
    ht_registry_free(registry);
    return 0;
}
