/*
 * value.c - values: made, shared, looked into, released, compared.
 *
 * Objects are immutable and counted, hold their content in the same allocation, and never contain themselves. The
 * depth is kept and bounded when they are made, so every walk may recurse. Thread rule: any thread; the count is
 * atomic, everything else never changes once a value is shared.
 */
#include "value_int.h"

#include <stddef.h>
#include <string.h>

const char *ht_kind_name(ht_kind kind)
{
    static const char *const names[] = {"null",  "bool",   "int",  "float",  "string",
                                        "bytes", "tensor", "list", "struct", "opaque object"};
    return (size_t)kind < HTI_LEN(names) ? names[kind] : "unknown kind";
}

static bool is_counted(ht_value value) { return value.kind >= HT_KIND_STRING; }

ht_value ht_value_retain(ht_value value)
{
    if (is_counted(value)) (void)__atomic_add_fetch(&value.as.object->n_refs, 1, __ATOMIC_RELAXED);
    return value;
}

static void free_object(ht_object *object)
{
    if (object->kind == HT_KIND_LIST || object->kind == HT_KIND_STRUCT) {
        for (size_t i = 0; i < object->n; i++) ht_value_release(object->as.items[i]);
    } else if (object->kind == HT_KIND_TENSOR) {
        if (object->as.tensor.release)
            object->as.tensor.release(object->as.tensor.ud);
        else
            hti_free(object->as.tensor.view.data);
    } else if (object->kind == HT_KIND_OPAQUE) {
        object->as.opaque.type->release(object->as.opaque.object);
    }
    hti_free(object);
}

void ht_value_release(ht_value value)
{
    if (!is_counted(value)) return;
    if (__atomic_sub_fetch(&value.as.object->n_refs, 1, __ATOMIC_ACQ_REL) == 0) free_object(value.as.object);
}

/* A head with `bytes` of content behind it. */
static ht_status new_object(ht_kind kind, size_t bytes, ht_value *out, ht_error *err)
{
    const size_t least = sizeof(ht_object), wanted = hti_add(offsetof(ht_object, as), bytes);
    ht_object *object = hti_alloc(HTI_MAX(least, wanted));
    *out = ht_value_null();
    if (!object) return HTI_NO_MEMORY(err);
    memset(object, 0, sizeof *object);
    object->n_refs = 1;
    object->kind = kind;
    out->kind = kind;
    out->as.object = object;
    return HT_OK;
}

/* ---- text ---- */

static ht_status new_text(ht_kind kind, const void *data, size_t len, ht_value *out, ht_error *err)
{
    HT_TRY(new_object(kind, hti_add(len, 1), out, err));
    ht_object *object = out->as.object;
    object->n = len;
    if (len) memcpy(object->as.text, data, len);
    object->as.text[len] = '\0';
    return HT_OK;
}

ht_status ht_value_string(ht_text text, ht_value *out, ht_error *err)
{
    return new_text(HT_KIND_STRING, text.data, text.len, out, err);
}

ht_status ht_value_bytes(const void *data, size_t len, ht_value *out, ht_error *err)
{
    return new_text(HT_KIND_BYTES, data, len, out, err);
}

ht_text ht_value_text(ht_value value)
{
    if (value.kind != HT_KIND_STRING && value.kind != HT_KIND_BYTES) return (ht_text){"", 0};
    return (ht_text){value.as.object->as.text, value.as.object->n};
}

/* ---- tensors ---- */

size_t ht_element_size(ht_element element)
{
    static const size_t sizes[] = {[HT_F32] = 4, [HT_F64] = 8, [HT_I8] = 1, [HT_U8] = 1, [HT_I32] = 4, [HT_I64] = 8};
    return (size_t)element < HTI_LEN(sizes) ? sizes[element] : 0;
}

static ht_status check_shape(ht_element element, uint32_t n_dims, const int64_t *shape, size_t *n, ht_error *err)
{
    *n = 1;
    if (ht_element_size(element) == 0) return HT_FAIL(err, INVALID, "a tensor of unknown elements (%d)", (int)element);
    if (n_dims > HT_MAX_DIMS) return HT_FAIL(err, LIMIT, "a tensor of %u dimensions; at most %d", n_dims, HT_MAX_DIMS);
    for (uint32_t i = 0; i < n_dims; i++) {
        if (shape[i] < 0) return HT_FAIL(err, INVALID, "a tensor with a dimension of %lld", (long long)shape[i]);
        *n = hti_mul(*n, (size_t)shape[i]);
    }
    if (hti_mul(*n, ht_element_size(element)) > (size_t)1 << 46) return HT_FAIL(err, LIMIT, "a tensor beyond 64 TiB");
    return HT_OK;
}

ht_status ht_value_tensor_foreign(ht_element element, uint32_t n_dims, const int64_t *shape, void *data,
                                  void (*release)(void *ud), void *ud, ht_value *out, ht_error *err)
{
    size_t n;
    *out = ht_value_null();
    HT_TRY(check_shape(element, n_dims, shape, &n, err));
    HT_TRY(new_object(HT_KIND_TENSOR, 0, out, err));
    ht_object *object = out->as.object;
    object->as.tensor.view = (ht_tensor){.element = element, .n_dims = n_dims, .data = data, .n = n};
    memcpy(object->as.tensor.view.shape, shape, n_dims * sizeof *shape);
    object->as.tensor.release = release;
    object->as.tensor.ud = ud;
    return HT_OK;
}

ht_status ht_value_tensor(ht_element element, uint32_t n_dims, const int64_t *shape, const void *data, ht_value *out,
                          ht_error *err)
{
    size_t n;
    *out = ht_value_null();
    HT_TRY(check_shape(element, n_dims, shape, &n, err));
    const size_t bytes = n * ht_element_size(element);
    void *copy = data ? hti_alloc(bytes) : hti_alloc_zero(bytes);
    if (!copy) return HTI_NO_MEMORY(err);
    if (data && bytes) memcpy(copy, data, bytes);
    const ht_status status = ht_value_tensor_foreign(element, n_dims, shape, copy, NULL, NULL, out, err);
    if (status != HT_OK) hti_free(copy);
    return status;
}

const ht_tensor *ht_value_tensor_view(ht_value value)
{
    return value.kind == HT_KIND_TENSOR ? &value.as.object->as.tensor.view : NULL;
}

/* ---- lists and structs ---- */

static uint32_t depth_of(ht_value value) { return is_counted(value) ? value.as.object->depth : 0; }

/* Moves the items in; behind them `extra` bytes. On failure they are released. */
static ht_status new_items(ht_kind kind, const ht_value *items, size_t n, size_t extra, ht_value *out, ht_error *err)
{
    uint32_t depth = 0;
    for (size_t i = 0; i < n; i++) depth = HTI_MAX(depth, depth_of(items[i]));
    ht_status status = HT_OK;
    *out = ht_value_null();
    if (depth >= HTI_VALUE_DEPTH) status = HT_FAIL(err, LIMIT, "values nest more than %d deep", HTI_VALUE_DEPTH);
    if (status == HT_OK) status = new_object(kind, hti_add(hti_mul(n, sizeof *items), extra), out, err);
    if (status != HT_OK) {
        for (size_t i = 0; i < n; i++) ht_value_release(items[i]);
        return status;
    }
    out->as.object->depth = depth + 1;
    out->as.object->n = n;
    if (n) memcpy(out->as.object->as.items, items, n * sizeof *items);
    return HT_OK;
}

ht_status ht_value_list_take(const ht_value *items, size_t n, ht_value *out, ht_error *err)
{
    return new_items(HT_KIND_LIST, items, n, 0, out, err);
}

ht_status ht_value_list(const ht_value *items, size_t n, ht_value *out, ht_error *err)
{
    for (size_t i = 0; i < n; i++) (void)ht_value_retain(items[i]);
    return new_items(HT_KIND_LIST, items, n, 0, out, err);
}

const ht_value *ht_value_items(ht_value value, size_t *n)
{
    *n = 0;
    if (value.kind != HT_KIND_LIST && value.kind != HT_KIND_STRUCT) return NULL;
    *n = value.as.object->n;
    return value.as.object->as.items;
}

static ht_status check_names(const ht_text *names, size_t n, ht_error *err)
{
    hti_map seen;
    ht_status status = HT_OK;
    hti_map_init(&seen);
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        uint32_t entry;
        bool inserted = true;
        if (memchr(names[i].data, 0, names[i].len)) status = HT_FAIL(err, INVALID, "a field's name with a NUL inside");
        if (status == HT_OK) status = hti_map_put(&seen, names[i], 0, &entry, &inserted, err);
        if (status == HT_OK && !inserted)
            status = HT_FAIL(err, INVALID, "field '%.*s' stands twice", (int)HTI_MIN(names[i].len, 200), names[i].data);
    }
    hti_map_deinit(&seen);
    return status;
}

ht_status hti_value_struct_take(const ht_text *names, const ht_value *items, size_t n, ht_value *out, ht_error *err)
{
    size_t bytes = 0;
    *out = ht_value_null();
    for (size_t i = 0; i < n; i++) bytes = hti_add(bytes, hti_add(names[i].len, 1));
    const ht_status status = check_names(names, n, err);
    if (status != HT_OK) {
        for (size_t i = 0; i < n; i++) ht_value_release(items[i]);
        return status;
    }
    HT_TRY(new_items(HT_KIND_STRUCT, items, n, bytes, out, err));
    char *at = (char *)(out->as.object->as.items + n);
    for (size_t i = 0; i < n; i++) {
        if (names[i].len) memcpy(at, names[i].data, names[i].len);
        at[names[i].len] = '\0';
        at += names[i].len + 1;
    }
    return HT_OK;
}

ht_status ht_value_struct(const char *const *names, const ht_value *items, size_t n, ht_value *out, ht_error *err)
{
    ht_text *texts = HTI_NEW_ARRAY(ht_text, n);
    *out = ht_value_null();
    if (!texts) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) {
        texts[i] = (ht_text){names[i], strlen(names[i])};
        (void)ht_value_retain(items[i]);
    }
    const ht_status status = hti_value_struct_take(texts, items, n, out, err);
    hti_free(texts);
    return status;
}

ht_text ht_value_field_name(ht_value value, size_t at)
{
    if (value.kind != HT_KIND_STRUCT || at >= value.as.object->n) return (ht_text){NULL, 0};
    const char *name = (const char *)(value.as.object->as.items + value.as.object->n);
    for (; at > 0; at--) name += strlen(name) + 1;
    return (ht_text){name, strlen(name)};
}

bool ht_value_field(ht_value value, const char *name, ht_value *out)
{
    if (value.kind != HT_KIND_STRUCT) return false;
    const ht_object *object = value.as.object;
    const char *at = (const char *)(object->as.items + object->n);
    for (size_t i = 0; i < object->n; i++, at += strlen(at) + 1) {
        if (strcmp(at, name) != 0) continue;
        *out = object->as.items[i];
        return true;
    }
    return false;
}

/* ---- opaque objects ---- */

ht_status ht_value_opaque(const ht_type *type, void *object, ht_value *out, ht_error *err)
{
    const ht_status status = new_object(HT_KIND_OPAQUE, 0, out, err);
    if (status != HT_OK) {
        type->release(object);
        return status;
    }
    out->as.object->as.opaque.type = type;
    out->as.object->as.opaque.object = object;
    return HT_OK;
}

void *ht_value_object(ht_value value, const ht_type *type)
{
    if (value.kind != HT_KIND_OPAQUE || (type && value.as.object->as.opaque.type != type)) return NULL;
    return value.as.object->as.opaque.object;
}

const ht_type *ht_value_type(ht_value value)
{
    return value.kind == HT_KIND_OPAQUE ? value.as.object->as.opaque.type : NULL;
}

/* ---- equality ---- */

static bool same_tensor(const ht_tensor *a, const ht_tensor *b)
{
    if (a->element != b->element || a->n_dims != b->n_dims) return false;
    if (memcmp(a->shape, b->shape, a->n_dims * sizeof a->shape[0]) != 0) return false;
    return a->n == 0 || memcmp(a->data, b->data, a->n * ht_element_size(a->element)) == 0;
}

static bool same_items(const ht_object *a, const ht_object *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!ht_value_equal(a->as.items[i], b->as.items[i])) return false;
    if (a->kind == HT_KIND_LIST) return true;
    const char *x = (const char *)(a->as.items + a->n), *y = (const char *)(b->as.items + b->n);
    for (size_t i = 0; i < a->n; i++, x += strlen(x) + 1, y += strlen(y) + 1)
        if (strcmp(x, y) != 0) return false;
    return true;
}

static uint64_t number_bits(ht_value value)
{
    uint64_t bits;
    memcpy(&bits, &value.as.number, sizeof bits);
    return bits;
}

bool ht_value_equal(ht_value a, ht_value b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == HT_KIND_NULL) return true;
    if (a.kind == HT_KIND_BOOL) return a.as.boolean == b.as.boolean;
    if (a.kind == HT_KIND_INT) return a.as.integer == b.as.integer;
    if (a.kind == HT_KIND_FLOAT) return number_bits(a) == number_bits(b);
    const ht_object *x = a.as.object, *y = b.as.object;
    if (x == y) return true;
    if (a.kind == HT_KIND_TENSOR) return same_tensor(&x->as.tensor.view, &y->as.tensor.view);
    if (a.kind == HT_KIND_OPAQUE) return x->as.opaque.object == y->as.opaque.object;
    if (a.kind == HT_KIND_LIST || a.kind == HT_KIND_STRUCT) return same_items(x, y);
    return x->n == y->n && memcmp(x->as.text, y->as.text, x->n) == 0;
}
