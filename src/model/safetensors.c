/*
 * safetensors.c - a file of named tensors, mapped.
 *
 * Grammar: u64 little-endian length n of the header; n bytes of JSON, an object from each tensor's name to {"dtype",
 * "shape", "data_offsets": [begin, end]} and perhaps "__metadata__", an object of strings; then the data, to which the
 * offsets are relative. The tensors cover the data without holes or overlaps.
 * Invariants: after open every tensor lies inside the file, and shape x size of type equals its bytes.
 * Thread rule: immutable after open.
 * Easy to get wrong: nothing aligns a tensor's data, so readers must load unaligned; and a shape's product overflows
 * long before a byte count does, unless a dimension of 0 hides it.
 */
#include "model.h"

#include "codec/codec.h"

#include <stdlib.h>
#include <string.h>

struct hti_safetensors {
    hti_mapping mapping; /* {NULL, 0} over memory that is not ours */
    const unsigned char *data;
    size_t data_len;
    json_t *header;      /* owns the tensors' names */
    hti_tensor *tensors; /* [n], by place of data */
    size_t n;
    hti_map by_name; /* -> number in tensors */
    char *name;
};

enum { HEADER_MAX = 100 * 1000 * 1000 }; /* the limit of the reference implementation */

static const struct {
    const char *name;
    size_t size;
    hti_dtype dtype;
} dtypes[] = {
    {"F32", 4, HTI_DTYPE_F32},   {"F16", 2, HTI_DTYPE_F16},       {"BF16", 2, HTI_DTYPE_BF16},
    {"I64", 8, HTI_DTYPE_OTHER}, {"I32", 4, HTI_DTYPE_OTHER},     {"I16", 2, HTI_DTYPE_OTHER},
    {"I8", 1, HTI_DTYPE_OTHER},  {"U64", 8, HTI_DTYPE_OTHER},     {"U32", 4, HTI_DTYPE_OTHER},
    {"U16", 2, HTI_DTYPE_OTHER}, {"U8", 1, HTI_DTYPE_OTHER},      {"BOOL", 1, HTI_DTYPE_OTHER},
    {"F64", 8, HTI_DTYPE_OTHER}, {"F8_E4M3", 1, HTI_DTYPE_OTHER}, {"F8_E5M2", 1, HTI_DTYPE_OTHER},
};

#define BAD_TENSOR(err, file, tensor, fmt, ...) \
    HT_FAIL(err, CORRUPT, "%s: tensor \"%s\": " fmt, (file)->name, (tensor)->name, __VA_ARGS__)

static ht_status read_dtype(const hti_safetensors *file, const json_t *entry, hti_tensor *tensor, size_t *size,
                            ht_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (size_t i = 0; name && i < HTI_LEN(dtypes); i++) {
        if (strcmp(dtypes[i].name, name) != 0) continue;
        tensor->dtype = dtypes[i].dtype;
        *size = dtypes[i].size;
        return HT_OK;
    }
    return BAD_TENSOR(err, file, tensor, "unknown type %s", name ? name : "(no \"dtype\" text)");
}

/* Shape -> n_elements, with a product that cannot overflow. */
static ht_status read_shape(const hti_safetensors *file, const json_t *entry, hti_tensor *tensor, ht_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) return BAD_TENSOR(err, file, tensor, "%s", "no \"shape\" array");
    if (json_array_size(shape) > HTI_TENSOR_DIMS)
        return BAD_TENSOR(err, file, tensor, "%zu dimensions, at most %d are known", json_array_size(shape),
                          (int)HTI_TENSOR_DIMS);
    tensor->n_dims = (uint32_t)json_array_size(shape);
    size_t product = 1;
    bool empty = false;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        const json_t *value = json_array_get(shape, i);
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return BAD_TENSOR(err, file, tensor, "dimension %u is not a count", i);
        tensor->shape[i] = (uint64_t)json_integer_value(value);
        if (tensor->shape[i] == 0)
            empty = true;
        else
            product = hti_mul(product, (size_t)tensor->shape[i]);
    }
    if (product == SIZE_MAX) return BAD_TENSOR(err, file, tensor, "%s", "shape overflows");
    tensor->n_elements = empty ? 0 : product;
    return HT_OK;
}

static bool read_offset(const json_t *offsets, size_t at, uint64_t *out)
{
    const json_t *value = json_array_get(offsets, at);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static ht_status read_tensor(const hti_safetensors *file, const json_t *entry, hti_tensor *tensor, ht_error *err)
{
    if (!json_is_object(entry)) return BAD_TENSOR(err, file, tensor, "%s", "its entry is not an object");
    size_t size = 0;
    HT_TRY(read_dtype(file, entry, tensor, &size, err));
    HT_TRY(read_shape(file, entry, tensor, err));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t begin, end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !read_offset(offsets, 0, &begin) ||
        !read_offset(offsets, 1, &end))
        return BAD_TENSOR(err, file, tensor, "%s", "\"data_offsets\" must be two counts");
    if (begin > end || end > file->data_len)
        return BAD_TENSOR(err, file, tensor,
                          "bytes %llu to %llu lie outside the %zu bytes of data: file cut short or damaged",
                          (unsigned long long)begin, (unsigned long long)end, file->data_len);
    if (hti_mul(tensor->n_elements, size) != end - begin)
        return BAD_TENSOR(err, file, tensor, "its shape needs %zu bytes, its offsets give %llu",
                          hti_mul(tensor->n_elements, size), (unsigned long long)(end - begin));
    tensor->data = file->data + begin;
    tensor->size_bytes = (size_t)(end - begin);
    return HT_OK;
}

/* By place; an empty tensor before the one that begins at the same byte; then by name. */
static int by_place(const void *a, const void *b)
{
    const hti_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    if (x->size_bytes != y->size_bytes) return x->size_bytes < y->size_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static ht_status check_cover(const hti_safetensors *file, ht_error *err)
{
    const unsigned char *at = file->data;
    for (size_t i = 0; i < file->n; i++) {
        const hti_tensor *tensor = &file->tensors[i];
        if (tensor->data < at)
            return BAD_TENSOR(err, file, tensor, "begins at data byte %zu, inside \"%s\"",
                              (size_t)(tensor->data - file->data), file->tensors[i - 1].name);
        if (tensor->data > at)
            return HT_FAIL(err, CORRUPT, "%s: data bytes %zu to %zu belong to no tensor", file->name,
                           (size_t)(at - file->data), (size_t)(tensor->data - file->data));
        at = tensor->data + tensor->size_bytes;
    }
    if (at == file->data + file->data_len) return HT_OK;
    return HT_FAIL(err, CORRUPT, "%s: the last %zu bytes belong to no tensor", file->name,
                   (size_t)(file->data + file->data_len - at));
}

static ht_status read_tensors(hti_safetensors *file, ht_error *err)
{
    file->tensors = HTI_NEW_ARRAY(hti_tensor, json_object_size(file->header));
    if (!file->tensors) return HTI_NO_MEMORY(err);
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        hti_tensor *tensor = &file->tensors[file->n++];
        *tensor = (hti_tensor){.name = name};
        HT_TRY(read_tensor(file, entry, tensor, err));
    }
    if (file->n > 1) qsort(file->tensors, file->n, sizeof *file->tensors, by_place);
    HT_TRY(check_cover(file, err));
    for (size_t i = 0; i < file->n; i++) {
        const ht_text key = {file->tensors[i].name, strlen(file->tensors[i].name)};
        uint32_t at;
        bool inserted;
        HT_TRY(hti_map_put(&file->by_name, key, (uint32_t)i, &at, &inserted, err));
    }
    return HT_OK;
}

static ht_status read_header(hti_safetensors *file, const unsigned char *bytes, size_t len, ht_error *err)
{
    if (len < 8) return HT_FAIL(err, CORRUPT, "%s: %zu bytes are too short for a safetensors file", file->name, len);
    const uint64_t header_len = hti_get_u64(bytes);
    if (header_len > HEADER_MAX)
        return HT_FAIL(err, CORRUPT, "%s: a header of %llu bytes: not a safetensors file", file->name,
                       (unsigned long long)header_len);
    if (header_len > len - 8)
        return HT_FAIL(err, CORRUPT, "%s: cut short: the header needs %llu bytes, %zu are there", file->name,
                       (unsigned long long)header_len, len - 8);
    file->data = bytes + 8 + header_len;
    file->data_len = len - 8 - (size_t)header_len;
    const ht_text text = {(const char *)bytes + 8, (size_t)header_len};
    HT_TRY(hti_json_parse(text, file->name, 0, &file->header, err));
    if (!json_is_object(file->header)) return HT_FAIL(err, CORRUPT, "%s: the header is not an object", file->name);
    return read_tensors(file, err);
}

static ht_status new_file(const char *name, hti_safetensors **out, ht_error *err)
{
    *out = NULL;
    hti_safetensors *file = HTI_NEW(hti_safetensors);
    if (!file) return HTI_NO_MEMORY(err);
    hti_map_init(&file->by_name);
    const size_t size = strlen(name) + 1;
    file->name = hti_alloc(size);
    if (!file->name) {
        hti_safetensors_close(file);
        return HTI_NO_MEMORY(err);
    }
    memcpy(file->name, name, size);
    *out = file;
    return HT_OK;
}

static ht_status finish_open(hti_safetensors *file, ht_status status, hti_safetensors **out)
{
    if (status == HT_OK)
        *out = file;
    else
        hti_safetensors_close(file);
    return status;
}

ht_status hti_safetensors_open(const char *path, hti_safetensors **out, ht_error *err)
{
    *out = NULL;
    hti_safetensors *file;
    HT_TRY(new_file(path, &file, err));
    ht_status status = hti_map_file(path, &file->mapping, err);
    if (status == HT_OK) status = read_header(file, file->mapping.data, file->mapping.len, err);
    return finish_open(file, status, out);
}

ht_status hti_safetensors_view(const void *data, size_t len, const char *name, hti_safetensors **out, ht_error *err)
{
    *out = NULL;
    hti_safetensors *file;
    HT_TRY(new_file(name, &file, err));
    return finish_open(file, read_header(file, data, len, err), out);
}

void hti_safetensors_close(hti_safetensors *file)
{
    if (!file) return;
    hti_map_deinit(&file->by_name);
    hti_free(file->tensors);
    json_decref(file->header);
    hti_unmap_file(&file->mapping);
    hti_free(file->name);
    hti_free(file);
}

const hti_tensor *hti_safetensors_find(const hti_safetensors *file, const char *name)
{
    const uint32_t at = hti_map_get(&file->by_name, (ht_text){name, strlen(name)}, HTI_MAP_NONE);
    return at == HTI_MAP_NONE ? NULL : &file->tensors[at];
}

const hti_tensor *hti_safetensors_all(const hti_safetensors *file, size_t *n)
{
    *n = file->n;
    return file->tensors;
}

const char *hti_safetensors_name(const hti_safetensors *file) { return file->name; }
