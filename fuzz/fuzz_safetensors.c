/*
 * fuzz_safetensors.c - any bytes as a safetensors file: no crash, and every tensor that is given out can be read whole.
 */
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hti_safetensors *file;
    if (hti_safetensors_view(data, size, "fuzz", &file, NULL) != HT_OK) return 0;
    size_t n;
    const hti_tensor *tensors = hti_safetensors_all(file, &n);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < tensors[i].size_bytes; j++) sum += tensors[i].data[j];
        if (hti_safetensors_find(file, tensors[i].name) != &tensors[i]) __builtin_trap();
    }
    hti_safetensors_close(file);
    return sum == UINT64_MAX; /* keeps the reads */
}
