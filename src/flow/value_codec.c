/*
 * value_codec.c - values as bytes: docs/formats/values.md, and their digest.
 *
 * The digest is XXH3-128 over a form like the encoding, in which an opaque object adds what its type digests instead of
 * what it encodes; every part is tagged and counted, so no two different values write the same bytes.
 * Decoding trusts nothing: lengths are checked against the bytes that are left before anything is allocated for them,
 * so an allocation is at most 16 times the input.
 */
#include "codec/codec.h"
#include "flow_int.h"
#include "value_int.h"

#include <houndstooth/registry.h>

#include <string.h>

enum { DIGEST_APART = 1024, SHARE = 8 };

enum tag { NIL, NO, YES, INTEGER, NUMBER, STRING, BYTES, TENSOR, LIST, STRUCT, OPAQUE, REFERENCE };

static const unsigned char magic[4] = {'H', 'T', 'V', 1};

/* ---- writing, to a writer or a hash ---- */

typedef struct sink {
    ht_writer *writer; /* NULL: a digest */
    ht_digest *digest;
    size_t start; /* of the encoding in what is written: tensors are aligned from there */
} sink;

static void put(sink *s, const void *data, size_t len)
{
    if (s->writer)
        hti_buffer_append(&s->writer->buffer, data, len);
    else if (s->digest)
        hti_hasher_add(s->digest->hasher, data, len);
}

static void put_tag(sink *s, enum tag tag)
{
    const unsigned char byte = (unsigned char)tag;
    put(s, &byte, 1);
}

static void put_count(sink *s, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    put(s, bytes, n);
}

static void put_word(sink *s, uint64_t word)
{
    unsigned char bytes[8];
    hti_put_u64(bytes, word);
    put(s, bytes, sizeof bytes);
}

static void put_text(sink *s, ht_text text)
{
    put_count(s, text.len);
    put(s, text.data, text.len);
}

/* XXH3-128 of the elements, kept with them: what many keys are made of is read once. */
static ht_status digest_elements(ht_value value, ht_key *out, ht_error *err)
{
    ht_object *object = value.as.object;
    const ht_tensor *tensor = &object->as.tensor.view;
    if (!__atomic_load_n(&object->as.tensor.is_digested, __ATOMIC_ACQUIRE)) {
        hti_hasher *hasher = hti_hasher_new();
        if (!hasher) return HTI_NO_MEMORY(err);
        hti_hasher_add(hasher, tensor->data, tensor->n * ht_element_size(tensor->element));
        hti_hasher_finish128(hasher, &out->low, &out->high);
        hti_hasher_free(hasher);
        __atomic_store_n(&object->as.tensor.low, out->low, __ATOMIC_RELAXED);
        __atomic_store_n(&object->as.tensor.high, out->high, __ATOMIC_RELAXED);
        __atomic_store_n(&object->as.tensor.is_digested, true, __ATOMIC_RELEASE);
    }
    out->low = __atomic_load_n(&object->as.tensor.low, __ATOMIC_RELAXED);
    out->high = __atomic_load_n(&object->as.tensor.high, __ATOMIC_RELAXED);
    return HT_OK;
}

/* Elements are little-endian, as every machine that we run on. A digest has large ones by their own digest. */
static ht_status put_tensor(sink *s, ht_value value, ht_error *err)
{
    const ht_tensor *tensor = ht_value_tensor_view(value);
    static const unsigned char zeros[64] = {0};
    const unsigned char head[2] = {(unsigned char)tensor->element, (unsigned char)tensor->n_dims};
    put(s, head, sizeof head);
    for (uint32_t i = 0; i < tensor->n_dims; i++) put_count(s, (uint64_t)tensor->shape[i]);
    if (s->writer) put(s, zeros, (64 - (hti_writer_len(s->writer) - s->start) % 64) % 64);
    const size_t bytes = tensor->n * ht_element_size(tensor->element);
    if (s->writer) {
        hti_writer_add_part(s->writer, tensor->data, bytes, value);
        return HT_OK;
    }
    if (bytes > DIGEST_APART) {
        ht_key key;
        HT_TRY(digest_elements(value, &key, err));
        put_word(s, key.low);
        put_word(s, key.high);
        return HT_OK;
    }
    if (bytes) put(s, tensor->data, bytes);
    return HT_OK;
}

static ht_status put_opaque(sink *s, ht_value value, ht_error *err)
{
    const ht_type *type = ht_value_type(value);
    const void *object = ht_value_object(value, NULL);
    put_text(s, (ht_text){type->name, strlen(type->name)});
    if (!s->writer) {
        if (type->digest) return type->digest(object, s->digest, err);
        return HT_FAIL(err, UNSUPPORTED, "'%s' has no digest, so it cannot be part of a cache key", type->name);
    }
    if (!type->encode)
        return HT_FAIL(err, UNSUPPORTED, "'%s' has no codec, so it cannot leave this process", type->name);
    ht_writer *inner;
    HT_TRY(ht_writer_new(&inner, err));
    inner->gathers = s->writer->gathers && type == hti_series_type(); /* others may ask for their bytes back */
    ht_status status = type->encode(object, inner, err);
    if (status == HT_OK) status = hti_buffer_status(&inner->buffer, err);
    if (status != HT_OK) {
        ht_writer_free(inner);
        return status;
    }
    put_count(s, hti_writer_len(inner));
    hti_writer_add_writer(s->writer, inner);
    return HT_OK;
}

static ht_status put_value(sink *s, ht_value value, ht_error *err);

static ht_status put_items(sink *s, ht_value value, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    const char *name = (const char *)(items + n);
    put_count(s, n);
    for (size_t i = 0; i < n; i++) {
        if (value.kind == HT_KIND_STRUCT) {
            const ht_text text = {name, strlen(name)};
            if (hti_utf8_valid(text) != text.len) return HT_FAIL(err, INVALID, "a field's name is not valid UTF-8");
            put_text(s, text);
            name += text.len + 1;
        }
        HT_TRY(put_value(s, items[i], err));
    }
    return HT_OK;
}

/* At most HTI_VALUE_DEPTH deep. */
static ht_status put_value(sink *s, ht_value value, ht_error *err)
{
    uint64_t bits;
    switch (value.kind) {
    case HT_KIND_NULL: put_tag(s, NIL); return HT_OK;
    case HT_KIND_BOOL: put_tag(s, value.as.boolean ? YES : NO); return HT_OK;
    case HT_KIND_INT:
        put_tag(s, INTEGER);
        put_word(s, (uint64_t)value.as.integer);
        return HT_OK;
    case HT_KIND_FLOAT:
        put_tag(s, NUMBER);
        memcpy(&bits, &value.as.number, sizeof bits);
        put_word(s, bits);
        return HT_OK;
    case HT_KIND_STRING:
        if (hti_utf8_valid(ht_value_text(value)) != ht_value_text(value).len)
            return HT_FAIL(err, INVALID, "a string is not valid UTF-8 at byte %zu",
                           hti_utf8_valid(ht_value_text(value)));
        put_tag(s, STRING);
        put_text(s, ht_value_text(value));
        return HT_OK;
    case HT_KIND_BYTES:
        put_tag(s, BYTES);
        put_text(s, ht_value_text(value));
        return HT_OK;
    case HT_KIND_TENSOR: put_tag(s, TENSOR); return put_tensor(s, value, err);
    case HT_KIND_LIST: put_tag(s, LIST); return put_items(s, value, err);
    case HT_KIND_STRUCT: put_tag(s, STRUCT); return put_items(s, value, err);
    case HT_KIND_OPAQUE:
        if (s->writer && hti_reference_wanted()) {
            HT_TRY(hti_reference_put(value, &bits, err));
            put_tag(s, REFERENCE);
            put_word(s, bits);
            return HT_OK;
        }
        put_tag(s, OPAQUE);
        return put_opaque(s, value, err);
    }
    return HT_FAIL(err, INVALID, "a value of unknown kind %d", (int)value.kind);
}

ht_status ht_value_encode(ht_value value, ht_writer *writer, ht_error *err)
{
    sink s = {writer, NULL, hti_writer_len(writer)};
    put(&s, magic, sizeof magic);
    HT_TRY(put_value(&s, value, err));
    return hti_buffer_status(&writer->buffer, err);
}

ht_status hti_value_encode_whole(ht_value value, ht_writer *writer, ht_error *err)
{
    ht_references *before = ht_references_use(NULL);
    const ht_status status = ht_value_encode(value, writer, err);
    (void)ht_references_use(before);
    return status;
}

void ht_digest_add(ht_digest *digest, const void *data, size_t len) { hti_hasher_add(digest->hasher, data, len); }

ht_status ht_value_digest(ht_value value, ht_key *out, ht_error *err)
{
    ht_digest digest = {hti_hasher_new()};
    sink s = {NULL, &digest, 0};
    *out = (ht_key){0, 0};
    if (!digest.hasher) return HTI_NO_MEMORY(err);
    const ht_status status = put_value(&s, value, err);
    if (status == HT_OK) hti_hasher_finish128(digest.hasher, &out->low, &out->high);
    hti_hasher_free(digest.hasher);
    return status;
}

/* ---- reading ---- */

typedef struct source {
    const unsigned char *start, *at, *end;
    ht_registry *registry;
    hti_block *block; /* where the bytes are, if they may be kept; else NULL */
    bool outlives;    /* the bytes are there longer than the value */
} source;

static ht_status fail_at(const source *s, const char *what, ht_error *err)
{
    return HT_FAIL(err, PARSE, "byte %zu: %s", (size_t)(s->at - s->start), what);
}

static ht_status get_count(source *s, uint64_t *out, ht_error *err)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (s->at == s->end) return fail_at(s, "cut short in a count", err);
        const unsigned char byte = *s->at++;
        if (shift == 63 && byte > 1) break;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return byte || shift == 0 ? HT_OK : fail_at(s, "a count that is longer than it need be", err);
    }
    return fail_at(s, "a count beyond 64 bits", err);
}

static ht_status get_text(source *s, ht_text *out, ht_error *err)
{
    uint64_t len;
    HT_TRY(get_count(s, &len, err));
    if (len > (uint64_t)(s->end - s->at)) return fail_at(s, "a text that is longer than the rest", err);
    *out = (ht_text){(const char *)s->at, (size_t)len};
    s->at += len;
    return HT_OK;
}

static ht_status get_utf8(source *s, ht_text *out, ht_error *err)
{
    HT_TRY(get_text(s, out, err));
    return hti_utf8_valid(*out) == out->len ? HT_OK : fail_at(s, "a string that is not UTF-8", err);
}

static ht_status get_word(source *s, uint64_t *out, ht_error *err)
{
    if (s->end - s->at < 8) return fail_at(s, "cut short in a number", err);
    *out = hti_get_u64(s->at);
    s->at += 8;
    return HT_OK;
}

static void drop_block(void *ud) { hti_block_drop(ud); }
static void drop_nothing(void *ud) { (void)ud; }

/*
 * Elements that are much of a block are looked at there; a copy of what is little of it frees the rest for the next
 * message. Aligned they are, since the block is and the encoding begins with it.
 */
static ht_status get_elements(source *s, ht_element element, uint32_t n_dims, const int64_t *shape, size_t bytes,
                              ht_value *out, ht_error *err)
{
    const bool stays = s->block && bytes >= HTI_LARGE && bytes >= (size_t)(s->end - s->start) / SHARE;
    void *data;
    memcpy(&data, &s->at, sizeof data); /* read-only, as every tensor that is shared */
    if (s->outlives) return ht_value_tensor_foreign(element, n_dims, shape, data, drop_nothing, NULL, out, err);
    if (!stays) return ht_value_tensor(element, n_dims, shape, data, out, err);
    HT_TRY(ht_value_tensor_foreign(element, n_dims, shape, data, drop_block, s->block, out, err));
    (void)hti_block_hold(s->block);
    return HT_OK;
}

static ht_status get_tensor(source *s, ht_value *out, ht_error *err)
{
    int64_t shape[HT_MAX_DIMS];
    if (s->end - s->at < 2) return fail_at(s, "cut short in a tensor", err);
    const ht_element element = (ht_element)s->at[0];
    const uint32_t n_dims = s->at[1];
    s->at += 2;
    const size_t size = ht_element_size(element);
    if (size == 0 || n_dims > HT_MAX_DIMS)
        return fail_at(s, "a tensor of unknown elements or too many dimensions", err);
    size_t bytes = size;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t dim;
        HT_TRY(get_count(s, &dim, err));
        if (dim > INT64_MAX) return fail_at(s, "a dimension beyond 63 bits", err);
        shape[i] = (int64_t)dim;
        bytes = hti_mul(bytes, (size_t)dim);
    }
    for (; (s->at - s->start) % 64 != 0; s->at++)
        if (s->at == s->end || *s->at != 0) return fail_at(s, "a tensor's padding that is not zeros", err);
    if (bytes > (size_t)(s->end - s->at)) return fail_at(s, "a tensor that is larger than the rest", err);
    HT_TRY(get_elements(s, element, n_dims, shape, bytes, out, err));
    s->at += bytes;
    return HT_OK;
}

static ht_status get_opaque(source *s, ht_value *out, ht_error *err)
{
    ht_text name, data;
    HT_TRY(get_utf8(s, &name, err));
    HT_TRY(get_text(s, &data, err));
    char text[HTI_TYPE_NAME];
    const ht_type *type = NULL;
    if (name.len < sizeof text && s->registry) {
        memcpy(text, name.data, name.len);
        text[name.len] = '\0';
        type = ht_registry_type(s->registry, text);
    }
    if (type && type->decode) {
        void *object;
        HT_TRY(type->decode(data.data, data.len, s->registry, &object, err));
        return ht_value_opaque(type, object, out, err);
    }
    return HT_FAIL(err, NOT_FOUND, "byte %zu: no type '%.*s' with a codec is known here", (size_t)(s->at - s->start),
                   (int)HTI_MIN(name.len, 200), name.data);
}

static ht_status get_value(source *s, int depth, ht_value *out, ht_error *err);

static ht_status get_items(source *s, bool named, int depth, ht_value *out, ht_error *err)
{
    uint64_t n;
    size_t made = 0;
    HT_TRY(get_count(s, &n, err));
    if (n > (uint64_t)(s->end - s->at)) return fail_at(s, "more items than bytes", err);
    if (depth >= HTI_VALUE_DEPTH) return fail_at(s, "nested too deep", err);
    ht_value *items = HTI_NEW_ARRAY(ht_value, (size_t)n);
    ht_text *names = HTI_NEW_ARRAY(ht_text, named ? (size_t)n : 0);
    ht_status status = items && names ? HT_OK : HTI_NO_MEMORY(err);
    while (status == HT_OK && made < n) {
        if (named) status = get_utf8(s, &names[made], err);
        if (status == HT_OK) status = get_value(s, depth + 1, &items[made], err);
        if (status == HT_OK) made++;
    }
    if (status == HT_OK) {
        status =
            named ? hti_value_struct_take(names, items, made, out, err) : ht_value_list_take(items, made, out, err);
        if (status == HT_INVALID) status = fail_at(s, "a struct whose names are not all different", err);
    } else {
        for (size_t i = 0; i < made; i++) ht_value_release(items[i]);
    }
    hti_free(items);
    hti_free(names);
    return status;
}

static ht_status get_value(source *s, int depth, ht_value *out, ht_error *err)
{
    uint64_t bits;
    ht_text text;
    double number;
    *out = ht_value_null();
    if (s->at == s->end) return fail_at(s, "cut short", err);
    switch (*s->at++) {
    case NIL: return HT_OK;
    case NO: *out = ht_value_bool(false); return HT_OK;
    case YES: *out = ht_value_bool(true); return HT_OK;
    case INTEGER:
        HT_TRY(get_word(s, &bits, err));
        *out = ht_value_int((int64_t)bits);
        return HT_OK;
    case NUMBER:
        HT_TRY(get_word(s, &bits, err));
        memcpy(&number, &bits, sizeof number);
        *out = ht_value_float(number);
        return HT_OK;
    case STRING: HT_TRY(get_utf8(s, &text, err)); return ht_value_string(text, out, err);
    case BYTES: HT_TRY(get_text(s, &text, err)); return ht_value_bytes(text.data, text.len, out, err);
    case TENSOR: return get_tensor(s, out, err);
    case LIST: return get_items(s, false, depth, out, err);
    case STRUCT: return get_items(s, true, depth, out, err);
    case OPAQUE: return get_opaque(s, out, err);
    case REFERENCE:
        HT_TRY(get_word(s, &bits, err));
        return hti_reference_get(bits, out) ? HT_OK : fail_at(s, "a reference to an object that is not here", err);
    default: s->at--; return fail_at(s, "an unknown tag", err);
    }
}

static ht_status decode(source *s, ht_value *out, ht_error *err)
{
    const size_t len = (size_t)(s->end - s->start);
    *out = ht_value_null();
    if (len < sizeof magic || memcmp(s->start, magic, 3) != 0)
        return HT_FAIL(err, PARSE, "byte 0: not an encoded value");
    if (s->start[3] != magic[3])
        return HT_FAIL(err, VERSION, "a value of format version %u; this reads 1", s->start[3]);
    s->at += sizeof magic;
    HT_TRY(get_value(s, 0, out, err));
    if (s->at == s->end) return HT_OK;
    ht_value_release(*out);
    *out = ht_value_null();
    return fail_at(s, "bytes behind the value", err);
}

ht_status hti_value_decode_body(const hti_body *body, ht_registry *registry, ht_value *out, ht_error *err)
{
    const unsigned char *bytes = body->data;
    source s = {bytes, bytes, bytes + body->len, registry, body->block, false};
    return decode(&s, out, err);
}

ht_status hti_value_decode_view(const void *data, size_t len, ht_registry *registry, ht_value *out, ht_error *err)
{
    const unsigned char *bytes = data;
    const bool is_struct = len > sizeof magic && bytes[sizeof magic] == STRUCT;
    source s = {bytes, bytes, bytes + len, registry, NULL, is_struct};
    return decode(&s, out, err);
}

ht_status ht_value_decode(const void *data, size_t len, ht_registry *registry, ht_value *out, ht_error *err)
{
    const hti_body body = {data, len, NULL};
    return hti_value_decode_body(&body, registry, out, err);
}
