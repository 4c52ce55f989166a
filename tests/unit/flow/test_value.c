/*
 * test_value.c - values: made and shared, their encoding byte by byte as docs/formats/values.md has it, digests, JSON.
 */
#include "base/base.h"

#include <houndstooth/registry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;

static ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

static ht_value from_json(const char *json)
{
    ht_value value;
    if (ht_value_from_json(text_of(json), &value, &err) != HT_OK) fail_msg("%s", err.message);
    return value;
}

/* An opaque number. */
static int n_released;
static void release_box(void *object)
{
    n_released++;
    free(object);
}
static ht_status digest_box(const void *object, ht_digest *digest, ht_error *e)
{
    (void)e;
    ht_digest_add(digest, object, sizeof(int));
    return HT_OK;
}
static ht_status encode_box(const void *object, ht_writer *writer, ht_error *e)
{
    return ht_writer_add(writer, object, sizeof(int), e);
}
static ht_status decode_box(const void *data, size_t len, ht_registry *registry, void **object, ht_error *e)
{
    (void)e;
    (void)registry;
    if (len != sizeof(int)) return HT_PARSE;
    *object = malloc(len);
    memcpy(*object, data, len);
    return HT_OK;
}
static const ht_type box_type = {HT_DESC(ht_type),     .name = "test.Box",   .release = release_box,
                                 .digest = digest_box, .encode = encode_box, .decode = decode_box};
static const ht_type bare_type = {HT_DESC(ht_type), .name = "test.Bare", .release = release_box};

static ht_value box_of(const ht_type *type, int number)
{
    ht_value value;
    int *object = malloc(sizeof *object);
    *object = number;
    assert_int_equal(ht_value_opaque(type, object, &value, &err), HT_OK);
    return value;
}

/* ---- made and shared ---- */

static void lists_share_and_release(void **state)
{
    ht_value items[2], list, again;
    size_t n;
    (void)state;
    n_released = 0;
    items[0] = box_of(&box_type, 1);
    items[1] = ht_value_int(2);
    assert_int_equal(ht_value_list(items, 2, &list, &err), HT_OK);
    ht_value_release(items[0]);
    assert_int_equal(n_released, 0);
    again = ht_value_retain(list);
    ht_value_release(list);
    const ht_value *got = ht_value_items(again, &n);
    assert_int_equal(n, 2);
    assert_int_equal(*(int *)ht_value_object(got[0], &box_type), 1);
    assert_null(ht_value_object(got[0], &bare_type));
    ht_value_release(again);
    assert_int_equal(n_released, 1);
    assert_null(ht_value_items(ht_value_int(1), &n));
    assert_int_equal(n, 0);
}

static void structs_find_their_fields(void **state)
{
    static const char *const names[] = {"a", "", "long name"};
    const ht_value items[] = {ht_value_int(1), ht_value_null(), ht_value_float(2.5)};
    ht_value value, field;
    (void)state;
    assert_int_equal(ht_value_struct(names, items, 3, &value, &err), HT_OK);
    assert_true(ht_value_field(value, "long name", &field));
    assert_true(field.as.number == 2.5);
    assert_true(ht_value_field(value, "", &field));
    assert_false(ht_value_field(value, "b", &field));
    assert_string_equal(ht_value_field_name(value, 2).data, "long name");
    assert_null(ht_value_field_name(value, 3).data);
    ht_value_release(value);
    static const char *const twice[] = {"a", "a"};
    assert_int_equal(ht_value_struct(twice, items, 2, &value, &err), HT_INVALID);
    assert_string_equal(err.message, "field 'a' stands twice");
}

static void nesting_is_bounded(void **state)
{
    ht_value value = ht_value_null();
    int depth = 0;
    ht_status status = HT_OK;
    (void)state;
    for (; depth < 1000 && status == HT_OK; depth++) {
        ht_value outer;
        status = ht_value_list_take(&value, 1, &outer, &err);
        value = outer;
    }
    assert_int_equal(status, HT_LIMIT);
    assert_int_equal(depth, 257); /* the 257th was refused, and everything in it released */
    char json[1200];
    memset(json, '[', 500);
    memset(json + 500, ']', 500);
    assert_int_equal(ht_value_from_json((ht_text){json, 1000}, &value, &err), HT_LIMIT);
}

static int n_foreign;
static void release_foreign(void *ud) { n_foreign += *(int *)ud; }

static void tensors_of_others_are_not_copied(void **state)
{
    static const int64_t shape[] = {2, 3}, wrong[] = {-1}, huge[] = {INT64_MAX, 4};
    float data[6] = {0};
    int by = 5;
    ht_value value;
    (void)state;
    n_foreign = 0;
    assert_int_equal(ht_value_tensor_foreign(HT_F32, 2, shape, data, release_foreign, &by, &value, &err), HT_OK);
    assert_ptr_equal(ht_value_tensor_view(value)->data, data);
    assert_int_equal(ht_value_tensor_view(value)->n, 6);
    ht_value_release(ht_value_retain(value));
    assert_int_equal(n_foreign, 0);
    ht_value_release(value);
    assert_int_equal(n_foreign, 5);
    assert_int_equal(ht_value_tensor(HT_F32, 1, wrong, NULL, &value, &err), HT_INVALID);
    assert_int_equal(ht_value_tensor(HT_F32, 2, huge, NULL, &value, &err), HT_LIMIT);
    assert_int_equal(ht_value_tensor(HT_F32, 9, shape, NULL, &value, &err), HT_LIMIT);
}

/* ---- equality and digests ---- */

static void kinds_never_meet(void **state)
{
    static const char *const all[] = {"null",       "false",  "true",       "0",        "1",
                                      "0.0",        "-0.0",   "1.0",        "\"1\"",    "\"\"",
                                      "[]",         "[1]",    "{}",         "[[]]",     "{\"a\": 1}",
                                      "{\"b\": 1}", "[null]", "[1, \"1\"]", "[\"11\"]", "[\"1\", \"1\"]"};
    ht_key keys[HTI_LEN(all)];
    ht_value values[HTI_LEN(all)];
    (void)state;
    for (size_t i = 0; i < HTI_LEN(all); i++) {
        values[i] = from_json(all[i]);
        assert_int_equal(ht_value_digest(values[i], &keys[i], &err), HT_OK);
        for (size_t j = 0; j < i; j++) {
            assert_false(ht_value_equal(values[i], values[j]));
            assert_false(keys[i].low == keys[j].low && keys[i].high == keys[j].high);
        }
        ht_value same = from_json(all[i]);
        ht_key key;
        assert_true(ht_value_equal(values[i], same));
        assert_int_equal(ht_value_digest(same, &key, &err), HT_OK);
        assert_memory_equal(&key, &keys[i], sizeof key);
        ht_value_release(same);
    }
    for (size_t i = 0; i < HTI_LEN(all); i++) ht_value_release(values[i]);
    ht_value box = box_of(&box_type, 3), bare = box_of(&bare_type, 3);
    ht_key key;
    assert_int_equal(ht_value_digest(box, &key, &err), HT_OK);
    assert_int_equal(ht_value_digest(bare, &key, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "test.Bare"));
    ht_value_release(box);
    ht_value_release(bare);
}

/* ---- the encoding ---- */

static ht_writer *encode(ht_value value)
{
    ht_writer *writer;
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    if (ht_value_encode(value, writer, &err) != HT_OK) fail_msg("%s", err.message);
    return writer;
}

static void bytes_are_as_documented(void **state)
{
    /* written by hand from the format page */
    static const unsigned char should[] = {'H', 'T', 'V', 1,    9,    5, /* struct of five */
                                           1,   'n', 0,                  /* n: null */
                                           1,   'i', 3,   0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* i: -2 */
                                           1,   'f', 4,   0,    0,    0,    0,    0,    0,    0xf8, 0x3f, /* f: 1.5 */
                                           1,   's', 5,   2,    0xc3, 0xa9, /* s: e acute */
                                           1,   'l', 8,   2,    1,    2};   /* l: [false, true] */
    ht_value value = from_json("{\"n\": null, \"i\": -2, \"f\": 1.5, \"s\": \"\xc3\xa9\", \"l\": [false, true]}"), back;
    ht_writer *writer = encode(value);
    size_t len;
    (void)state;
    const void *data = ht_writer_data(writer, &len);
    assert_int_equal(len, sizeof should);
    assert_memory_equal(data, should, len);
    assert_int_equal(ht_value_decode(data, len, NULL, &back, &err), HT_OK);
    assert_true(ht_value_equal(value, back));
    ht_value_release(back);
    for (size_t cut = 0; cut < len; cut++) { /* cut anywhere it is refused */
        assert_int_not_equal(ht_value_decode(data, cut, NULL, &back, &err), HT_OK);
        assert_int_equal(back.kind, HT_KIND_NULL);
    }
    ht_value_release(value);
    ht_writer_free(writer);
}

static void tensors_and_opaques_travel(void **state)
{
    static const int64_t shape[] = {3};
    static const int32_t numbers[] = {1, -2, 3};
    ht_registry *registry;
    ht_value items[3], list, back;
    size_t len;
    (void)state;
    assert_int_equal(ht_registry_new(&registry, &err), HT_OK);
    assert_int_equal(ht_registry_add_type(registry, &bare_type, &err), HT_OK);
    assert_int_equal(ht_value_tensor(HT_I32, 1, shape, numbers, &items[0], &err), HT_OK);
    items[1] = box_of(&box_type, 77);
    assert_int_equal(ht_value_bytes("\0\xff", 2, &items[2], &err), HT_OK);
    assert_int_equal(ht_value_list_take(items, 3, &list, &err), HT_OK);
    ht_writer *writer = encode(list);
    const unsigned char *data = ht_writer_data(writer, &len);
    assert_memory_equal(data + 64, numbers, sizeof numbers); /* aligned */
    assert_int_equal(ht_value_decode(data, len, registry, &back, &err), HT_NOT_FOUND);
    assert_non_null(strstr(err.message, "'test.Box'"));
    assert_int_equal(ht_value_decode(data, len, NULL, &back, &err), HT_NOT_FOUND);
    assert_int_equal(ht_registry_add_type(registry, &box_type, &err), HT_OK);
    assert_int_equal(ht_value_decode(data, len, registry, &back, &err), HT_OK);
    size_t n;
    const ht_value *got = ht_value_items(back, &n);
    assert_int_equal(n, 3);
    assert_true(ht_value_equal(got[0], ht_value_items(list, &n)[0]));
    assert_int_equal(*(int *)ht_value_object(got[1], &box_type), 77);
    assert_int_equal(ht_value_text(got[2]).len, 2);
    ht_value_release(back);
    ht_registry_free(registry);
    ht_writer_free(writer);
    ht_value_release(list);
    ht_value bare = box_of(&bare_type, 1);
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    assert_int_equal(ht_value_encode(bare, writer, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'test.Bare' has no codec"));
    ht_writer_free(writer);
    ht_value_release(bare);
}

static void hostile_bytes_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } cases[] = {
        {"", 0, "not an encoded value"},
        {"HTX\1\0", 5, "not an encoded value"},
        {"HTV\2\0", 5, "format version 2"},
        {"HTV\1\x0c", 5, "unknown tag"},
        {"HTV\1\x0b\x01\0\0\0\0\0\0\0", 13, "not here"},
        {"HTV\1\0\0", 6, "bytes behind the value"},
        {"HTV\1\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 14, "more items than bytes"},
        {"HTV\1\x05\x80\x00", 7, "longer than it need be"},
        {"HTV\1\x05\x02\xc3\x28", 8, "not UTF-8"},
        {"HTV\1\x09\x02\x01"
         "a\0\x01"
         "a\0",
         12, "names are not all different"},
        {"HTV\1\x07\x09\x00", 7, "unknown elements"},
        {"HTV\1\x07\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 16, "padding"},
    };
    ht_value out;
    (void)state;
    for (size_t i = 0; i < HTI_LEN(cases); i++) {
        assert_int_not_equal(ht_value_decode(cases[i].bytes, cases[i].len, NULL, &out, &err), HT_OK);
        if (!strstr(err.message, cases[i].words)) fail_msg("%zu: '%s'", i, err.message);
    }
    unsigned char deep[700] = {'H', 'T', 'V', 1};
    for (size_t i = 4; i + 1 < sizeof deep; i += 2) {
        deep[i] = 8;
        deep[i + 1] = 1;
    }
    assert_int_equal(ht_value_decode(deep, sizeof deep, NULL, &out, &err), HT_PARSE);
    assert_non_null(strstr(err.message, "nested too deep"));
}

/* ---- JSON ---- */

static void json_there_and_back(void **state)
{
    static const char *const texts[] = {"{\"a\": [1, -2, 9007199254740993], \"b\": {\"c\": null}, \"d\": \"q\\\"\"}",
                                        "[1.5, 0.1, 0.30000000000000004, 1e+300]",
                                        "[]",
                                        "{}",
                                        "true",
                                        "\"\""};
    (void)state;
    for (size_t i = 0; i < HTI_LEN(texts); i++) {
        ht_value value = from_json(texts[i]);
        ht_writer *writer;
        size_t len;
        assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
        assert_int_equal(ht_value_to_json(value, writer, &err), HT_OK);
        const char *json = ht_writer_data(writer, &len);
        assert_int_equal(len, strlen(texts[i]));
        assert_memory_equal(json, texts[i], len);
        ht_writer_free(writer);
        ht_value_release(value);
    }
    ht_value value;
    assert_int_equal(ht_value_from_json(text_of("{\"a\": 1, \"a\": 2}"), &value, &err), HT_PARSE);
    assert_int_equal(ht_value_from_json(text_of("[1"), &value, &err), HT_PARSE);
    assert_int_equal(ht_value_from_json(text_of("1, 2"), &value, &err), HT_PARSE);
    assert_int_equal(ht_value_from_json(text_of(" "), &value, &err), HT_PARSE);
}

static void descriptions_fit(void **state)
{
    static const float numbers[] = {1, 2};
    static const int64_t shape[] = {2, 1};
    char text[40];
    ht_value items[3], list;
    (void)state;
    assert_int_equal(ht_value_tensor(HT_F32, 2, shape, numbers, &items[0], &err), HT_OK);
    assert_int_equal(
        ht_value_string(text_of("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"),
                        &items[1], &err),
        HT_OK);
    items[2] = box_of(&box_type, 1);
    assert_int_equal(ht_value_list_take(items, 3, &list, &err), HT_OK);
    ht_value_describe(list, text, sizeof text);
    assert_int_equal(strlen(text), 39);
    assert_string_equal(text + 36, "...");
    ht_value_describe(list, text, 39);
    assert_int_equal(strlen(text), 37); /* a character is never cut */
    ht_value_describe(ht_value_items(list, &(size_t){0})[0], text, sizeof text);
    assert_string_equal(text, "[[1.0], [2.0]]");
    ht_value_describe(ht_value_items(list, &(size_t){0})[2], text, sizeof text);
    assert_string_equal(text, "<test.Box>");
    ht_value_describe(list, text, 1);
    assert_string_equal(text, "");
    ht_value_release(list);
}

static int nothing_leaked(void **state)
{
    (void)state;
    return hti_alloc_get_stats().live_bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_share_and_release),    cmocka_unit_test(structs_find_their_fields),
        cmocka_unit_test(nesting_is_bounded),         cmocka_unit_test(tensors_of_others_are_not_copied),
        cmocka_unit_test(kinds_never_meet),           cmocka_unit_test(bytes_are_as_documented),
        cmocka_unit_test(tensors_and_opaques_travel), cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(json_there_and_back),        cmocka_unit_test(descriptions_fit),
    };
    return cmocka_run_group_tests(tests, NULL, nothing_leaked);
}
