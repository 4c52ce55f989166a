/*
 * plan_json.c - a plan as JSON and back: the struct of plan_value.c, with values that JSON has no form for wrapped.
 *
 * {"$value": {"$bytes": BASE64}, "is": TEXT} holds any value in its binary form (docs/formats/values.md): tensors,
 * bytes, numbers that are not finite, instances, and structs whose first name begins with "$". TEXT is for people. An
 * object without a codec prints with null bytes; such a plan does not load.
 */
#include "codec/codec.h"
#include "fields.h"

#include <houndstooth/registry.h>

#include <math.h>

/* ---- writing ---- */

static bool is_plain(ht_value value)
{
    switch (value.kind) {
    case HT_KIND_NULL:
    case HT_KIND_BOOL:
    case HT_KIND_INT:
    case HT_KIND_STRING:
    case HT_KIND_LIST: return true;
    case HT_KIND_FLOAT: return isfinite(value.as.number);
    case HT_KIND_STRUCT: return !ht_value_field_name(value, 0).data || ht_value_field_name(value, 0).data[0] != '$';
    case HT_KIND_BYTES:
    case HT_KIND_TENSOR:
    case HT_KIND_OPAQUE: return false;
    }
    return false;
}

static ht_status wrap(ht_value value, ht_value *out, ht_error *err)
{
    char text[200];
    ht_writer *writer;
    ht_error why;
    size_t len;
    hti_fields f = {.err = err};
    ht_value bytes = ht_value_null();
    HT_TRY(ht_writer_new(&writer, err));
    f.status = ht_value_encode(value, writer, &why);
    if (f.status == HT_OK) {
        const void *data = ht_writer_data(writer, &len);
        f.status = ht_value_bytes(data, len, &bytes, err);
    } else if (f.status == HT_UNSUPPORTED) {
        f.status = HT_OK;
    } else if (err) {
        *err = why;
    }
    ht_writer_free(writer);
    ht_value_describe(value, text, sizeof text);
    hti_fields_take(&f, "$value", bytes);
    const ht_text view = hti_text_of(text);
    hti_fields_text(&f, "is", hti_utf8_valid(view) == view.len ? text : ht_kind_name(value.kind));
    return hti_fields_end(&f, out);
}

/* Depth is that of the value, which is bounded. */
static ht_status plain_of(ht_value value, ht_value *out, ht_error *err)
{
    size_t n, made = 0;
    *out = ht_value_null();
    if (!is_plain(value)) return wrap(value, out, err);
    if (value.kind != HT_KIND_LIST && value.kind != HT_KIND_STRUCT) {
        *out = ht_value_retain(value);
        return HT_OK;
    }
    const ht_value *items = ht_value_items(value, &n);
    ht_value *made_items = HTI_NEW_ARRAY(ht_value, n);
    const char **names = HTI_NEW_ARRAY(const char *, n);
    ht_status status = made_items && names ? HT_OK : HTI_NO_MEMORY(err);
    for (; status == HT_OK && made < n; made++) {
        names[made] = ht_value_field_name(value, made).data;
        status = plain_of(items[made], &made_items[made], err);
    }
    if (status == HT_OK)
        status = value.kind == HT_KIND_LIST ? ht_value_list(made_items, n, out, err)
                                            : ht_value_struct(names, made_items, n, out, err);
    if (made_items) hti_values_release(made_items, made);
    hti_free(made_items);
    hti_free(names);
    return status;
}

ht_status hti_plan_json(const ht_plan *plan, ht_writer *writer, ht_error *err)
{
    ht_value value, plain;
    HT_TRY(hti_plan_value(plan, &value, err));
    ht_status status = plain_of(value, &plain, err);
    ht_value_release(value);
    if (status != HT_OK) return status;
    status = ht_value_to_json(plain, writer, err);
    ht_value_release(plain);
    return status == HT_OK ? ht_writer_add(writer, "\n", 1, err) : status;
}

/* ---- reading ---- */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Appends the bytes of one group of four digits; false if it is none. */
static bool read_four(const char *four, bool last, hti_buffer *into)
{
    const size_t n = four[3] != '=' || !last ? 3 : four[2] != '=' ? 2 : 1;
    uint32_t word = 0;
    for (size_t k = 0; k < 4; k++) {
        const int digit = k <= n ? digit_of(four[k]) : 0;
        if (digit < 0) return false;
        word = word << 6 | (uint32_t)digit;
    }
    const unsigned char bytes[3] = {(unsigned char)(word >> 16), (unsigned char)(word >> 8), (unsigned char)word};
    hti_buffer_append(into, bytes, n);
    return true;
}

static ht_status unwrap(ht_registry *registry, ht_value wrapped, ht_value *out, ht_error *err)
{
    ht_value data, text;
    if (!ht_value_field(wrapped, "$value", &data)) return HT_FAIL(err, PARSE, "a struct begins with '$'");
    if (data.kind == HT_KIND_NULL) {
        (void)ht_value_field(wrapped, "is", &text);
        return HT_FAIL(err, UNSUPPORTED, "the plan holds %.200s, which has no codec",
                       text.kind == HT_KIND_STRING ? ht_value_text(text).data : "an object");
    }
    const ht_text digits = ht_value_field(data, "$bytes", &text) ? ht_value_text(text) : (ht_text){"", 0};
    hti_buffer bytes;
    hti_buffer_init(&bytes);
    bool good = digits.len > 0 && digits.len % 4 == 0;
    for (size_t i = 0; good && i < digits.len; i += 4) good = read_four(digits.data + i, i + 4 == digits.len, &bytes);
    ht_status status = good ? hti_buffer_status(&bytes, err) : HT_FAIL(err, PARSE, "'$value' is not base64");
    if (status == HT_OK) status = ht_value_decode(bytes.data, bytes.len, registry, out, err);
    hti_buffer_deinit(&bytes);
    return status;
}

static ht_status value_of(ht_registry *registry, ht_value plain, ht_value *out, ht_error *err)
{
    size_t n, made = 0;
    *out = ht_value_null();
    const ht_value *items = ht_value_items(plain, &n);
    if (plain.kind == HT_KIND_STRUCT && n && ht_value_field_name(plain, 0).data[0] == '$')
        return unwrap(registry, plain, out, err);
    if (!items) {
        *out = ht_value_retain(plain);
        return HT_OK;
    }
    ht_value *made_items = HTI_NEW_ARRAY(ht_value, n);
    const char **names = HTI_NEW_ARRAY(const char *, n);
    ht_status status = made_items && names ? HT_OK : HTI_NO_MEMORY(err);
    for (; status == HT_OK && made < n; made++) {
        names[made] = ht_value_field_name(plain, made).data;
        status = value_of(registry, items[made], &made_items[made], err);
    }
    if (status == HT_OK)
        status = plain.kind == HT_KIND_LIST ? ht_value_list(made_items, n, out, err)
                                            : ht_value_struct(names, made_items, n, out, err);
    if (made_items) hti_values_release(made_items, made);
    hti_free(made_items);
    hti_free(names);
    return status;
}

ht_status ht_plan_load(ht_text json, ht_registry *registry, ht_plan **out, ht_error *err)
{
    ht_value plain, value;
    *out = NULL;
    HT_TRY(ht_value_from_json(json, &plain, err));
    ht_status status = value_of(registry, plain, &value, err);
    ht_value_release(plain);
    if (status != HT_OK) return status;
    status = hti_plan_of_value(registry, value, false, out, err);
    ht_value_release(value);
    return status;
}
