/*
 * fuzz_pipeline_file.c - pipelines out of arbitrary YAML: loaded or refused with one line; what loads can be planned.
 */
#include "small_registry.h"

#include <houndstooth/pipeline_file.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ht_registry *registry = small_registry();
    ht_pipeline_file *file;
    ht_error err = {0};
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
