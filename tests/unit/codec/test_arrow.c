/*
 * test_arrow.c - Arrow arrays made by hand after the specification: read, refused when malformed; and ours: moved,
 * taken apart and released exactly once. arrow_oracle.py holds both against pyarrow.
 */
#include "codec/codec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault_alloc.h"

/* ---- a producer that owns nothing and counts its releases ---- */

static int n_released;
static void count_schema(struct ArrowSchema *schema)
{
    n_released++;
    schema->release = NULL;
}
static void count_array(struct ArrowArray *array)
{
    n_released++;
    array->release = NULL;
}

static struct ArrowSchema schema_of(const char *format, const char *name)
{
    return (struct ArrowSchema){.format = format, .name = name, .release = count_schema};
}

static struct ArrowArray array_of(int64_t length, int64_t n_buffers, const void **buffers)
{
    return (struct ArrowArray){
        .length = length, .null_count = -1, .n_buffers = n_buffers, .buffers = buffers, .release = count_array};
}

static hti_arena arena;
static hti_arrow_view view;
static ht_error err;

static void assert_sound(const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    if (hti_arrow_view_make(schema, array, &arena, &view, &err) != HT_OK) fail_msg("%s", err.message);
}

static void assert_refused(const struct ArrowSchema *schema, const struct ArrowArray *array, ht_status status,
                           const char *message)
{
    err = (ht_error){0};
    const ht_status got = hti_arrow_view_make(schema, array, &arena, &view, &err);
    assert_string_equal(err.message, message);
    assert_int_equal(got, status);
}

static void assert_int(int64_t row, int64_t wanted)
{
    int64_t got;
    if (hti_arrow_int(&view, row, &got, &err) != HT_OK) fail_msg("%s", err.message);
    assert_true(got == wanted);
}
static void assert_real(int64_t row, double wanted)
{
    double got;
    if (hti_arrow_real(&view, row, &got, &err) != HT_OK) fail_msg("%s", err.message);
    assert_true(got == wanted);
}
static void assert_text(const hti_arrow_view *of, int64_t row, const char *wanted)
{
    ht_text got;
    if (hti_arrow_text(of, row, &got, &err) != HT_OK) fail_msg("%s", err.message);
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.len);
}

/* ---- types ---- */

static void test_formats(void **unused)
{
    (void)unused;
    static const struct {
        const char *format, *name;
    } rows[] = {{"n", "null"},
                {"b", "bool"},
                {"c", "int8"},
                {"C", "uint8"},
                {"s", "int16"},
                {"S", "uint16"},
                {"i", "int32"},
                {"I", "uint32"},
                {"l", "int64"},
                {"L", "uint64"},
                {"e", "float16"},
                {"f", "float32"},
                {"g", "float64"},
                {"u", "utf8"},
                {"U", "large_utf8"},
                {"z", "binary"},
                {"Z", "large_binary"},
                {"+l", "list"},
                {"+L", "large_list"},
                {"+w:7", "fixed_size_list"},
                {"+s", "struct"},
                {"+w:0", "fixed_size_list"},
                {"+w:9223372036854775807", "fixed_size_list"}};
    hti_arrow_type type;
    int64_t list_len;
    char made[HTI_ARROW_FORMAT_CAP];
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        assert_int_equal(hti_arrow_format_parse(rows[i].format, &type, &list_len, NULL), HT_OK);
        assert_string_equal(hti_arrow_type_name(type), rows[i].name);
        hti_arrow_format_make(type, list_len, made);
        assert_string_equal(made, rows[i].format);
    }
    static const char *const bad[] = {"",     "x",   "+",  "+w:",     "+w:-1", "+w:1x", "+w:9223372036854775808",
                                      "tdD",  "w:4", "+m", "d:19,10", "vu",    "+r",    "ss",
                                      "+ud:0"};
    for (size_t i = 0; i < HTI_LEN(bad); i++)
        assert_int_equal(hti_arrow_format_parse(bad[i], &type, &list_len, &err), HT_UNSUPPORTED);
    assert_string_equal(err.message, "Arrow format \"+ud:0\" is not one of those read here; cast the column");
}

/* ---- reading ---- */

static void test_numbers(void **unused)
{
    (void)unused;
    static const int8_t i8[] = {-128, 0, 127};
    static const int16_t i16[] = {-32768, 0, 32767};
    static const int32_t i32[] = {INT32_MIN, 0, INT32_MAX};
    static const int64_t i64[] = {INT64_MIN, 0, INT64_MAX};
    static const struct {
        const char *format;
        const void *values;
        int64_t least, most;
    } rows[] = {{"c", i8, INT8_MIN, INT8_MAX},    {"C", i8, 128, 127},
                {"s", i16, INT16_MIN, INT16_MAX}, {"S", i16, 32768, 32767},
                {"i", i32, INT32_MIN, INT32_MAX}, {"I", i32, 2147483648, 2147483647},
                {"l", i64, INT64_MIN, INT64_MAX}};
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        const void *buffers[] = {NULL, rows[i].values};
        const struct ArrowSchema schema = schema_of(rows[i].format, NULL);
        const struct ArrowArray array = array_of(3, 2, buffers);
        assert_sound(&schema, &array);
        assert_int(0, rows[i].least);
        assert_int(1, 0);
        assert_int(2, rows[i].most);
        assert_real(0, (double)rows[i].least);
        assert_int_equal(view.null_count, 0);
        assert_false(hti_arrow_is_null(&view, 2));
    }
    const void *buffers[] = {NULL, i64};
    const struct ArrowSchema schema = schema_of("L", "big");
    const struct ArrowArray array = array_of(3, 2, buffers);
    int64_t unused_int;
    assert_sound(&schema, &array);
    assert_int(2, INT64_MAX);
    assert_real(0, 9223372036854775808.0);
    assert_int_equal(hti_arrow_int(&view, 0, &unused_int, &err), HT_LIMIT);
    assert_string_equal(err.message, "Arrow array \"big\": 9223372036854775808 in row 0 is beyond a signed integer");
}

static void test_floats(void **unused)
{
    (void)unused;
    static const uint16_t f16[] = {0x3C00, 0xC000, 0x7C00, 0x0001};
    static const float f32[] = {1.0F, -2.0F, INFINITY, 0x1p-24F};
    static const double f64[] = {1.0, -2.0, (double)INFINITY, 0x1p-24};
    const void *const values[] = {f16, f32, f64};
    static const char *const formats[] = {"e", "f", "g"};
    for (size_t i = 0; i < 3; i++) {
        const void *buffers[] = {NULL, values[i]};
        const struct ArrowSchema schema = schema_of(formats[i], NULL);
        const struct ArrowArray array = array_of(4, 2, buffers);
        assert_sound(&schema, &array);
        for (int64_t row = 0; row < 4; row++) assert_real(row, f64[row]);
        int64_t integer;
        assert_int_equal(hti_arrow_int(&view, 0, &integer, &err), HT_INVALID);
    }
}

/* A slice of rows 3..12 of 16, with nulls; odd addresses. */
static void test_slices(void **unused)
{
    (void)unused;
    static const uint8_t validity[] = {0xF7, 0xCF}; /* rows 3, 12 and 13 are null */
    static const uint8_t bits[] = {0x50, 0x01};     /* rows 4, 6 and 8 are true */
    const void *buffers[] = {validity, bits};
    struct ArrowSchema schema = schema_of("b", "flags");
    struct ArrowArray array = array_of(10, 2, buffers);
    array.offset = 3;
    array.null_count = 2;
    assert_sound(&schema, &array);
    assert_int_equal(view.null_count, 2);
    assert_true(hti_arrow_is_null(&view, 0) && hti_arrow_is_null(&view, 9));
    static const int wanted[] = {0, 1, 0, 1, 0, 1, 0, 0, 0};
    for (int64_t i = 1; i < 9; i++) assert_int(i, wanted[i]);
    int64_t value;
    assert_int_equal(hti_arrow_int(&view, 0, &value, &err), HT_INVALID);
    assert_string_equal(err.message, "Arrow array \"flags\": row 0 is null");
    assert_int_equal(hti_arrow_int(&view, 10, &value, &err), HT_INVALID);
    assert_int_equal(hti_arrow_int(&view, -1, &value, &err), HT_INVALID);
    array.null_count = 1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"flags\": 1 nulls told, 2 in its bits");
    unsigned char odd[1 + 4 * sizeof(int32_t)];
    const int32_t numbers[] = {5, 6, 7, 8};
    memcpy(odd + 1, numbers, sizeof numbers);
    buffers[0] = NULL;
    buffers[1] = odd + 1;
    schema = schema_of("i", NULL);
    array = array_of(2, 2, buffers);
    array.offset = 2;
    assert_sound(&schema, &array);
    assert_int(0, 7);
    assert_int(1, 8);
}

/* Null counts over words, heads and tails against a loop over bits. */
static void test_null_counts(void **unused)
{
    (void)unused;
    uint8_t validity[40];
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof validity; i++) validity[i] = (uint8_t)hti_random_next(&state);
    static const uint8_t values[320];
    const void *buffers[] = {validity, values};
    const struct ArrowSchema schema = schema_of("c", NULL);
    for (int64_t offset = 0; offset < 20; offset++)
        for (int64_t length = 0; length <= 300; length += 1 + length / 9) {
            int64_t n = 0;
            for (int64_t i = offset; i < offset + length; i++) n += !(validity[i / 8] >> (i % 8) & 1);
            struct ArrowArray array = array_of(length, 2, buffers);
            array.offset = offset;
            array.null_count = n;
            assert_sound(&schema, &array);
            assert_int_equal(view.null_count, n);
        }
}

static void test_text(void **unused)
{
    (void)unused;
    static const char data[] = "xxabc\xC3\xA9\xFFz";
    static const int32_t offsets[] = {2, 2, 5, 7, 8, 9};
    static const int64_t wide[] = {2, 2, 5, 7, 8, 9};
    static const uint8_t validity[] = {0xF7}; /* row 3, which is no UTF-8, is null */
    const void *buffers[] = {validity, offsets, data};
    struct ArrowSchema schema = schema_of("u", "t");
    struct ArrowArray array = array_of(5, 3, buffers);
    for (int large = 0; large <= 1; large++) {
        buffers[1] = large ? (const void *)wide : offsets;
        schema.format = large ? "U" : "u";
        assert_sound(&schema, &array);
        assert_text(&view, 0, "");
        assert_text(&view, 1, "abc");
        assert_text(&view, 2, "\xC3\xA9");
        assert_true(hti_arrow_is_null(&view, 3));
        assert_text(&view, 4, "z");
    }
    buffers[0] = NULL;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"t\": row 3 is no UTF-8");
    schema.format = "Z";
    assert_sound(&schema, &array);
    assert_text(&view, 3, "\xFF");
    double real;
    assert_int_equal(hti_arrow_real(&view, 0, &real, &err), HT_INVALID);
    assert_string_equal(err.message, "Arrow array \"t\": large_binary, where a number is wanted");
    array.length = 0;
    buffers[1] = buffers[2] = NULL;
    assert_sound(&schema, &array);
    array.length = 1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"t\": no buffer of offsets");
}

static void test_null_type(void **unused)
{
    (void)unused;
    const struct ArrowSchema schema = schema_of("n", NULL);
    struct ArrowArray array = array_of(4, 0, NULL);
    array.offset = 2;
    assert_sound(&schema, &array);
    assert_int_equal(view.null_count, 4);
    assert_true(hti_arrow_is_null(&view, 3));
    array.null_count = 3;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"\": 3 nulls in 4 rows of type null");
}

/* list<struct<a: int8 (sliced), pair: fixed_size_list<int8>[2] (sliced)>>, itself sliced. */
typedef struct nested {
    int8_t a[10], pair[20];
    int32_t offsets[5];
    const void *buffers[5][2];
    struct ArrowSchema schemas[5], *schema_children[4];
    struct ArrowArray arrays[5], *array_children[4];
} nested;

static void make_nested(nested *n)
{
    for (size_t i = 0; i < 20; i++) {
        if (i < 10) n->a[i] = (int8_t)i;
        n->pair[i] = (int8_t)(50 + i);
    }
    const int32_t offsets[] = {0, 1, 3, 3, 6};
    memcpy(n->offsets, offsets, sizeof offsets);
    const void *const seconds[5] = {n->offsets, NULL, n->a, NULL, n->pair};
    const char *const formats[] = {"+l", "+s", "c", "+w:2", "c"}, *const names[] = {"rows", "item", "a", "pair", "v"};
    const int64_t lengths[] = {3, 6, 9, 8, 19}, n_buffers[] = {2, 1, 2, 1, 2}, n_children[] = {1, 2, 0, 1, 0};
    const int64_t offsets_of[] = {1, 1, 1, 1, 1};
    static const size_t first_child[] = {0, 1, 0, 3, 0};
    for (size_t i = 0; i < 5; i++) {
        n->buffers[i][0] = NULL;
        n->buffers[i][1] = seconds[i];
        n->schemas[i] = schema_of(formats[i], names[i]);
        n->arrays[i] = array_of(lengths[i], n_buffers[i], n->buffers[i]);
        n->arrays[i].offset = offsets_of[i];
        n->schemas[i].n_children = n->arrays[i].n_children = n_children[i];
        n->schemas[i].children = n->schema_children + first_child[i];
        n->arrays[i].children = n->array_children + first_child[i];
        if (i > 0) n->schema_children[i - 1] = &n->schemas[i];
        if (i > 0) n->array_children[i - 1] = &n->arrays[i];
    }
}

static void test_nested(void **unused)
{
    (void)unused;
    nested n;
    make_nested(&n);
    assert_sound(n.schemas, n.arrays);
    int64_t first, count, value;
    assert_int_equal(hti_arrow_list(&view, 0, &first, &count, NULL), HT_OK);
    assert_true(first == 1 && count == 2);
    assert_int_equal(hti_arrow_list(&view, 1, &first, &count, NULL), HT_OK);
    assert_true(first == 3 && count == 0);
    assert_int_equal(hti_arrow_list(&view, 2, &first, &count, NULL), HT_OK);
    assert_true(first == 3 && count == 3);
    const hti_arrow_view *item = &view.children[0], *a = &item->children[0], *pair = &item->children[1];
    assert_true(item->length == 6 && a->length == 6 && pair->length == 6 && pair->children[0].length == 12);
    assert_string_equal(pair->name, "pair");
    /* The struct is sliced by 1 and a by 1 more: row 3 of the struct is physical row 5. */
    assert_int_equal(hti_arrow_int(a, 3, &value, NULL), HT_OK);
    assert_int_equal(value, 5);
    /* pair: 3 + 1 + 1 lists of 2, and its values are sliced by 1: physical value 11. */
    assert_int_equal(hti_arrow_list(pair, 3, &first, &count, NULL), HT_OK);
    assert_true(first == 6 && count == 2);
    assert_int_equal(hti_arrow_int(&pair->children[0], first, &value, NULL), HT_OK);
    assert_int_equal(value, 50 + 11);
    assert_int_equal(hti_arrow_list(a, 0, &first, &count, &err), HT_INVALID);
    assert_int_equal(n_released, 0);
}

static void test_nested_refused(void **unused)
{
    (void)unused;
    nested n;
    make_nested(&n);
    n.arrays[2].length = 6;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"a\": 6 rows; its parent needs 7");
    make_nested(&n);
    n.arrays[4].length = 15;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"v\": 15 rows; its parent needs 16");
    n.arrays[4].length = 16;
    assert_sound(n.schemas, n.arrays);
    n.arrays[1].length = 5;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"item\": 5 rows; its parent needs 6");
    make_nested(&n);
    n.offsets[3] = 2;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"rows\": offset 2 behind 3 at row 1");
    make_nested(&n);
    n.offsets[1] = -1;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"rows\": offset -1 in front of row 0");
    make_nested(&n);
    n.arrays[3].release = NULL;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"pair\": it is released already, or moved");
    make_nested(&n);
    n.schemas[2].release = NULL;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"\": its schema is released already");
    make_nested(&n);
    n.array_children[1] = NULL;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"a\": no array");
    make_nested(&n);
    n.arrays[1].n_children = 1;
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"item\": 1 children, its schema has 2");
    make_nested(&n);
    n.schemas[3].format = "+w:4611686018427387904";
    assert_refused(n.schemas, n.arrays, HT_INVALID, "Arrow array \"pair\": 6 rows of 4611686018427387904 values");
    make_nested(&n);
    n.schema_children[0] = &n.schemas[0]; /* a list of itself */
    n.array_children[0] = &n.arrays[0];
    memset(n.offsets, 0, sizeof n.offsets);
    assert_refused(n.schemas, n.arrays, HT_LIMIT, "Arrow array \"rows\": more than 64 types inside each other");
}

static void test_refused(void **unused)
{
    (void)unused;
    static const int32_t values[4];
    const void *buffers[] = {NULL, values};
    struct ArrowSchema schema = schema_of("i", "x");
    const struct ArrowArray sound = array_of(4, 2, buffers);
    struct ArrowArray array = sound;
    assert_sound(&schema, &array);
    assert_refused(NULL, &array, HT_INVALID, "Arrow array \"\": no schema");
    assert_refused(&schema, NULL, HT_INVALID, "Arrow array \"x\": no array");
    array.length = -1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": length -1 with offset 0");
    array.length = 2;
    array.offset = INT64_MAX;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": length 2 with offset 9223372036854775807");
    array.offset = INT64_MAX - 2;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": 9223372036854775807 rows of 4 bytes");
    array = sound;
    array.null_count = 5;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": 5 nulls in 4 rows");
    array.null_count = -2;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": -2 nulls in 4 rows");
    array.null_count = 1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": nulls without a validity buffer");
    array = sound;
    array.n_buffers = 3;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": 3 buffers; int32 has 2");
    array = sound;
    array.buffers = NULL;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": no pointer to its buffers");
    array = sound;
    buffers[1] = NULL;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": no buffer of values");
    schema.n_children = array.n_children = 1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": 1 children; int32 has 0");
    schema.format = "+s";
    array.n_buffers = 1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": no pointer to its children");
    schema.n_children = array.n_children = -1;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": -1 children");
    schema = schema_of("i", "x");
    array = sound;
    array.dictionary = &array;
    assert_refused(&schema, &array, HT_UNSUPPORTED, "Arrow array \"x\": dictionary-encoded; decode it first");
    schema.format = NULL;
    assert_refused(&schema, &array, HT_INVALID, "Arrow array \"x\": a schema without a format");
}

/* ---- making ---- */

static int n_kept;
static void keep(void *ud)
{
    (void)ud;
    n_kept++;
}

/* struct<id: int64, text: utf8> of 3 rows, a null in each column; a keeper on the first column. */
static ht_status make_table(struct ArrowSchema *schema, struct ArrowArray *array, ht_error *why)
{
    static const int64_t ids[] = {7, 0, 9};
    static const int32_t offsets[] = {0, 2, 2, 5};
    const hti_arrow_field fields[] = {{.type = HTI_ARROW_STRUCT, .name = "table", .n_children = 2},
                                      {.type = HTI_ARROW_INT64, .name = "id", .nullable = true},
                                      {.type = HTI_ARROW_UTF8, .name = "text", .nullable = true}};
    *array = (struct ArrowArray){0};
    HT_TRY(hti_arrow_schema_make(&fields[0], schema, why));
    ht_status status = hti_arrow_array_make(HTI_ARROW_STRUCT, 3, 2, array, why);
    for (int64_t i = 0; i < 2 && status == HT_OK; i++) {
        struct ArrowArray made;
        status = hti_arrow_schema_make(&fields[1 + i], schema->children[i], why);
        if (status == HT_OK) status = hti_arrow_array_make(fields[1 + i].type, 3, 0, &made, why);
        if (status != HT_OK) break;
        hti_arrow_array_keep(&made, keep, NULL);
        uint8_t *validity = hti_alloc(1);
        char *text = hti_alloc(5);
        hti_arrow_array_take(&made, 0, validity);
        if (i == 0) hti_arrow_array_lend(&made, 1, ids);
        if (i == 0) hti_free(text);
        if (i == 1) hti_arrow_array_lend(&made, 1, offsets);
        if (i == 1) hti_arrow_array_take(&made, 2, text);
        if (!validity || (i == 1 && !text)) status = HTI_NO_MEMORY(why);
        if (validity) validity[0] = i == 0 ? 5 : 6; /* row 1 of id is null, row 0 of text */
        if (validity) hti_arrow_array_finish(&made);
        if (i == 1 && text) memcpy(text, "abxyz", 5);
        hti_arrow_array_move(&made, array->children[i]);
    }
    if (status == HT_OK) {
        hti_arrow_array_finish(array);
        return HT_OK;
    }
    hti_arrow_schema_release(schema);
    hti_arrow_array_release(array);
    return status;
}

static void assert_table(const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    int64_t id;
    assert_sound(schema, array);
    assert_true(view.length == 3 && view.null_count == 0 && view.n_children == 2);
    const hti_arrow_view *ids = &view.children[0], *text = &view.children[1];
    assert_true(ids->null_count == 1 && hti_arrow_is_null(ids, 1) && text->null_count == 1);
    assert_int_equal(hti_arrow_int(ids, 2, &id, NULL), HT_OK);
    assert_int_equal(id, 9);
    assert_text(text, 1, "");
    assert_text(text, 2, "xyz");
    assert_string_equal(text->name, "text");
}

static void test_made(void **unused)
{
    (void)unused;
    struct ArrowSchema schema, moved_schema;
    struct ArrowArray array, moved;
    n_kept = 0;
    const int64_t before = fault_alloc_live_blocks();
    assert_int_equal(make_table(&schema, &array, &err), HT_OK);
    assert_true(array.children[0]->null_count == 1 && schema.children[0]->flags == ARROW_FLAG_NULLABLE);
    hti_arrow_array_move(&array, &moved);
    hti_arrow_schema_move(&schema, &moved_schema);
    assert_true(!array.release && !schema.release);
    assert_table(&moved_schema, &moved);
    assert_refused(&moved_schema, &array, HT_INVALID, "Arrow array \"table\": it is released already, or moved");
    hti_arrow_array_release(&array);
    moved.release(&moved);
    moved_schema.release(&moved_schema);
    assert_true(!moved.release && !moved_schema.release);
    hti_arrow_array_release(&moved);
    assert_int_equal(n_kept, 2);
    assert_int_equal(fault_alloc_live_blocks(), before);
}

/* A child outlives its parent, or goes before it. */
static void test_children_moved(void **unused)
{
    (void)unused;
    for (int parent_first = 0; parent_first <= 1; parent_first++) {
        struct ArrowSchema schema, field;
        struct ArrowArray array, column;
        n_kept = 0;
        const int64_t before = fault_alloc_live_blocks();
        assert_int_equal(make_table(&schema, &array, &err), HT_OK);
        hti_arrow_array_move(array.children[1], &column);
        hti_arrow_schema_move(schema.children[1], &field);
        assert_refused(&schema, &array, HT_INVALID, "Arrow array \"\": its schema is released already");
        if (parent_first) {
            array.release(&array);
            schema.release(&schema);
            assert_int_equal(n_kept, 1);
        }
        assert_sound(&field, &column);
        assert_text(&view, 2, "xyz");
        column.release(&column);
        field.release(&field);
        assert_int_equal(n_kept, 1 + parent_first);
        if (!parent_first) {
            array.release(&array);
            schema.release(&schema);
        }
        assert_int_equal(n_kept, 2);
        assert_int_equal(fault_alloc_live_blocks(), before);
    }
}

/* A child of another producer is released by its own callback. */
static void test_foreign_child(void **unused)
{
    (void)unused;
    struct ArrowArray list, child;
    static const int64_t values[4];
    const void *buffers[] = {NULL, values};
    n_released = 0;
    assert_int_equal(hti_arrow_array_make(HTI_ARROW_FIXED_LIST, 2, 1, &list, NULL), HT_OK);
    child = array_of(4, 2, buffers);
    hti_arrow_array_move(&child, list.children[0]);
    assert_int_equal(n_released, 0);
    hti_arrow_array_release(&list);
    assert_int_equal(n_released, 1);
    n_released = 0;
}

static void test_made_refused(void **unused)
{
    (void)unused;
    struct ArrowSchema schema;
    struct ArrowArray array;
    assert_int_equal(hti_arrow_array_make(HTI_ARROW_INT8, -1, 0, &array, &err), HT_INVALID);
    assert_int_equal(hti_arrow_array_make(HTI_ARROW_INT8, 1, 1, &array, &err), HT_INVALID);
    assert_int_equal(hti_arrow_array_make(HTI_ARROW_LIST, 1, 0, &array, &err), HT_INVALID);
    assert_int_equal(hti_arrow_array_make(HTI_ARROW_STRUCT, 1, INT64_MAX, &array, &err), HT_INVALID);
    assert_null(array.release);
    const hti_arrow_field field = {.type = HTI_ARROW_FIXED_LIST, .list_len = -1};
    assert_int_equal(hti_arrow_schema_make(&field, &schema, &err), HT_INVALID);
    assert_null(schema.release);
}

static ht_status make_and_view(void *ud, ht_error *why)
{
    (void)ud;
    struct ArrowSchema schema;
    struct ArrowArray array;
    hti_arena own;
    hti_arrow_view seen;
    HT_TRY(make_table(&schema, &array, why));
    hti_arena_init(&own);
    const ht_status status = hti_arrow_view_make(&schema, &array, &own, &seen, why);
    hti_arena_deinit(&own);
    hti_arrow_schema_release(&schema);
    hti_arrow_array_release(&array);
    return status;
}

static void test_no_memory(void **unused)
{
    (void)unused;
    for (int all = 0; all <= 1; all++) assert_true(fault_alloc_sweep(make_and_view, NULL, all, 1000) > 12);
}

static int set_up(void **unused)
{
    (void)unused;
    hti_arena_reset(&arena);
    return hti_arena_alloc(&arena, 1) ? 0 : -1; /* the block that all views fit in */
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_null_counts),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_null_type),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_nested_refused),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup(test_made, set_up),
        cmocka_unit_test_setup(test_children_moved, set_up),
        cmocka_unit_test(test_foreign_child),
        cmocka_unit_test(test_made_refused),
        cmocka_unit_test(test_no_memory),
    };
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    hti_arena_deinit(&arena);
    return n_failed;
}
