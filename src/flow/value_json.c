/*
 * value_json.c - values and JSON text, and values as people read them.
 *
 * One printer serves both: strict for JSON, which refuses what has no form in it, and lenient for messages, which stops
 * when the room is used up.
 */
#include "codec/codec.h"
#include "value_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- out ---- */

typedef struct printer {
    hti_buffer *buffer;
    bool strict;
    size_t most; /* bytes; lenient only */
} printer;

static ht_status print_value(printer *p, ht_value value, ht_error *err);

static ht_status print_number(printer *p, double number, ht_error *err)
{
    char text[40];
    if (!isfinite(number)) {
        if (p->strict) return HT_FAIL(err, UNSUPPORTED, "JSON has no form for a number that is not finite");
        hti_buffer_text(p->buffer, isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
        return HT_OK;
    }
    /* The fewest digits that read back as the same number. */
    for (int digits = p->strict ? 15 : 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (!p->strict || strtod(text, NULL) == number) break;
    }
    hti_buffer_text(p->buffer, text);
    if (!strpbrk(text, ".e")) hti_buffer_text(p->buffer, ".0");
    return HT_OK;
}

static void print_base64(hti_buffer *buffer, ht_text bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t left = HTI_MIN(bytes.len - i, 3);
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++) word = word << 8 | (k < left ? (unsigned char)bytes.data[i + k] : 0);
        char four[4];
        for (int k = 0; k < 4; k++) four[k] = digits[word >> (18 - 6 * k) & 63];
        for (size_t k = left + 1; k < 4; k++) four[k] = '=';
        hti_buffer_append(buffer, four, 4);
    }
}

static ht_status print_element(printer *p, const ht_tensor *tensor, size_t at, ht_error *err)
{
    switch (tensor->element) {
    case HT_F32: return print_number(p, (double)((const float *)tensor->data)[at], err);
    case HT_F64: return print_number(p, ((const double *)tensor->data)[at], err);
    case HT_I8: hti_buffer_printf(p->buffer, "%d", ((const int8_t *)tensor->data)[at]); return HT_OK;
    case HT_U8: hti_buffer_printf(p->buffer, "%u", ((const uint8_t *)tensor->data)[at]); return HT_OK;
    case HT_I32: hti_buffer_printf(p->buffer, "%ld", (long)((const int32_t *)tensor->data)[at]); return HT_OK;
    case HT_I64: hti_buffer_printf(p->buffer, "%lld", (long long)((const int64_t *)tensor->data)[at]); return HT_OK;
    }
    return HT_OK;
}

static bool is_full(const printer *p) { return !p->strict && p->buffer->len > p->most; }

/* At most HT_MAX_DIMS deep. */
static ht_status print_rows(printer *p, const ht_tensor *tensor, uint32_t dim, size_t first, ht_error *err)
{
    if (dim == tensor->n_dims) return print_element(p, tensor, first, err);
    size_t below = 1;
    for (uint32_t d = dim + 1; d < tensor->n_dims; d++) below *= (size_t)tensor->shape[d];
    hti_buffer_text(p->buffer, "[");
    for (size_t i = 0; i < (size_t)tensor->shape[dim] && !is_full(p); i++) {
        if (i) hti_buffer_text(p->buffer, ", ");
        HT_TRY(print_rows(p, tensor, dim + 1, first + i * below, err));
    }
    hti_buffer_text(p->buffer, "]");
    return HT_OK;
}

static ht_status print_items(printer *p, ht_value value, ht_error *err)
{
    size_t n;
    const bool named = value.kind == HT_KIND_STRUCT;
    const ht_value *items = ht_value_items(value, &n);
    const char *name = (const char *)(items + n);
    hti_buffer_text(p->buffer, named ? "{" : "[");
    for (size_t i = 0; i < n && !is_full(p); i++) {
        if (i) hti_buffer_text(p->buffer, ", ");
        if (named) {
            hti_json_quote(p->buffer, (ht_text){name, strlen(name)});
            hti_buffer_text(p->buffer, ": ");
            name += strlen(name) + 1;
        }
        HT_TRY(print_value(p, items[i], err));
    }
    hti_buffer_text(p->buffer, named ? "}" : "]");
    return HT_OK;
}

static ht_status print_opaque(printer *p, ht_value value, ht_error *err)
{
    const ht_type *type = ht_value_type(value);
    char text[200] = "";
    if (p->strict) return HT_FAIL(err, UNSUPPORTED, "JSON has no form for a '%s'", type->name);
    if (type->describe) type->describe(ht_value_object(value, NULL), text, sizeof text);
    hti_buffer_printf(p->buffer, "<%s>", text[0] ? text : type->name);
    return HT_OK;
}

static ht_status print_value(printer *p, ht_value value, ht_error *err)
{
    switch (value.kind) {
    case HT_KIND_NULL: hti_buffer_text(p->buffer, "null"); return HT_OK;
    case HT_KIND_BOOL: hti_buffer_text(p->buffer, value.as.boolean ? "true" : "false"); return HT_OK;
    case HT_KIND_INT: hti_buffer_printf(p->buffer, "%lld", (long long)value.as.integer); return HT_OK;
    case HT_KIND_FLOAT: return print_number(p, value.as.number, err);
    case HT_KIND_STRING: hti_json_quote(p->buffer, ht_value_text(value)); return HT_OK;
    case HT_KIND_BYTES:
        hti_buffer_text(p->buffer, "{\"$bytes\": \"");
        print_base64(p->buffer, ht_value_text(value));
        hti_buffer_text(p->buffer, "\"}");
        return HT_OK;
    case HT_KIND_TENSOR: return print_rows(p, ht_value_tensor_view(value), 0, 0, err);
    case HT_KIND_LIST:
    case HT_KIND_STRUCT: return print_items(p, value, err);
    case HT_KIND_OPAQUE: return print_opaque(p, value, err);
    }
    return HT_FAIL(err, INVALID, "a value of unknown kind %d", (int)value.kind);
}

ht_status ht_value_to_json(ht_value value, ht_writer *writer, ht_error *err)
{
    printer p = {&writer->buffer, true, 0};
    HT_TRY(print_value(&p, value, err));
    return hti_buffer_status(&writer->buffer, err);
}

/* Bytes of text that fit into `most`, no character cut. */
static size_t whole_characters(ht_text text, size_t most)
{
    size_t len = HTI_MIN(text.len, most);
    while (len > 0 && len < text.len && ((unsigned char)text.data[len] & 0xc0) == 0x80) len--;
    return len;
}

void ht_value_describe(ht_value value, char *text, size_t cap)
{
    hti_buffer buffer;
    if (cap == 0) return;
    hti_buffer_init(&buffer);
    printer p = {&buffer, false, cap};
    ht_error unheard;
    const ht_status status = print_value(&p, value, &unheard);
    const ht_text all = status == HT_OK ? hti_buffer_view(&buffer) : (ht_text){"?", 1};
    const bool fits = all.len < cap;
    const size_t len = whole_characters(all, fits || cap < 4 ? cap - 1 : cap - 4);
    memcpy(text, all.data, len);
    memcpy(text + len, fits || cap < 4 ? "" : "...", fits || cap < 4 ? 1 : 4);
    hti_buffer_deinit(&buffer);
}

/* ---- in ---- */

static ht_status from_json(json_t *json, int depth, ht_value *out, ht_error *err);

static ht_status from_object(json_t *json, int depth, ht_value *out, ht_error *err)
{
    const size_t n = json_object_size(json);
    size_t made = 0;
    const char *key;
    json_t *member;
    ht_value *items = HTI_NEW_ARRAY(ht_value, n);
    ht_text *names = HTI_NEW_ARRAY(ht_text, n);
    ht_status status = items && names ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        json_object_foreach(json, key, member)
        {
            names[made] = (ht_text){key, strlen(key)};
            status = from_json(member, depth + 1, &items[made], err);
            if (status != HT_OK) break;
            made++;
        }
    }
    if (status == HT_OK)
        status = hti_value_struct_take(names, items, made, out, err);
    else
        for (size_t i = 0; i < made; i++) ht_value_release(items[i]);
    hti_free(items);
    hti_free(names);
    return status;
}

static ht_status from_array(const json_t *json, int depth, ht_value *out, ht_error *err)
{
    const size_t n = json_array_size(json);
    size_t made = 0;
    ht_value *items = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    while (status == HT_OK && made < n) {
        status = from_json(json_array_get(json, made), depth + 1, &items[made], err);
        if (status == HT_OK) made++;
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, made, out, err);
    else
        for (size_t i = 0; i < made; i++) ht_value_release(items[i]);
    hti_free(items);
    return status;
}

static ht_status from_json(json_t *json, int depth, ht_value *out, ht_error *err)
{
    *out = ht_value_null();
    if (depth > HTI_VALUE_DEPTH) return HT_FAIL(err, LIMIT, "JSON nested more than %d deep", HTI_VALUE_DEPTH);
    switch (json_typeof(json)) {
    case JSON_OBJECT: return from_object(json, depth, out, err);
    case JSON_ARRAY: return from_array(json, depth, out, err);
    case JSON_STRING: return ht_value_string((ht_text){json_string_value(json), json_string_length(json)}, out, err);
    case JSON_INTEGER: *out = ht_value_int(json_integer_value(json)); return HT_OK;
    case JSON_REAL: *out = ht_value_float(json_real_value(json)); return HT_OK;
    case JSON_TRUE: *out = ht_value_bool(true); return HT_OK;
    case JSON_FALSE: *out = ht_value_bool(false); return HT_OK;
    case JSON_NULL: return HT_OK;
    }
    return HT_FAIL(err, INTERNAL, "JSON of an unknown type");
}

/* The parser wants a list or object outside, so anything else is put into a list of one. */
static ht_status parse_scalar(ht_text json, json_t **out, ht_error *err)
{
    hti_buffer wrapped;
    hti_buffer_init(&wrapped);
    hti_buffer_text(&wrapped, "[");
    hti_buffer_append(&wrapped, json.data, json.len);
    hti_buffer_text(&wrapped, "]");
    ht_status status = hti_buffer_status(&wrapped, err);
    if (status == HT_OK) status = hti_json_parse(hti_buffer_view(&wrapped), "JSON", 0, out, err);
    hti_buffer_deinit(&wrapped);
    HT_TRY(status);
    if (json_array_size(*out) == 1) return HT_OK;
    json_decref(*out);
    return HT_FAIL(err, PARSE, "JSON: one value is wanted");
}

ht_status ht_value_from_json(ht_text json, ht_value *out, ht_error *err)
{
    json_t *parsed;
    size_t at = 0;
    *out = ht_value_null();
    while (at < json.len && memchr(" \t\r\n", json.data[at], 4)) at++;
    const bool scalar = at == json.len || (json.data[at] != '[' && json.data[at] != '{');
    HT_TRY(scalar ? parse_scalar(json, &parsed, err) : hti_json_parse(json, "JSON", 0, &parsed, err));
    json_t *top = scalar ? json_array_get(parsed, 0) : parsed;
    const ht_status status = from_json(top, 0, out, err);
    json_decref(parsed);
    return status;
}
