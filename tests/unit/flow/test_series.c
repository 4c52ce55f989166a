/*
 * test_series.c - series: from values and back, slices, joins, picks, Arrow both ways, bytes, digests, and methods that
 * are called over whole columns.
 */
#include "base/base.h"

#include <houndstooth/flow.h>
#include <houndstooth/registry.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;
#define OK(call) assert_int_equal((call), HT_OK)

static ht_value json(const char *text)
{
    ht_value value;
    if (ht_value_from_json((ht_text){text, strlen(text)}, &value, &err) != HT_OK) fail_msg("%s: %s", text, err.message);
    return value;
}

static ht_series *series_of(const char *text)
{
    size_t n;
    ht_series *series;
    const ht_value list = json(text), *items = ht_value_items(list, &n);
    OK(ht_series_from_values(HT_DTYPE_INFER, items, n, &series, &err));
    ht_value_release(list);
    return series;
}

static ht_value list_of(const ht_series *series)
{
    const size_t n = ht_series_len(series);
    ht_value *rows = malloc((n + 1) * sizeof *rows), list;
    OK(ht_series_values(series, rows, &err));
    OK(ht_value_list_take(rows, n, &list, &err));
    free(rows);
    return list;
}

static void assert_rows(const ht_series *series, const char *text)
{
    const ht_value wanted = json(text), got = list_of(series);
    char shown[500];
    ht_value_describe(got, shown, sizeof shown);
    if (!ht_value_equal(wanted, got)) fail_msg("wanted %s, got %s", text, shown);
    ht_value_release(wanted);
    ht_value_release(got);
}

static const struct {
    const char *rows, *type;
} columns[] = {
    {"[]", "null"},
    {"[null, null]", "null"},
    {"[true, null, false, true, true, false, true, false, true, null]", "bool"},
    {"[1, -2, null, 9223372036854775807]", "int64"},
    {"[1.5, null, -0.0]", "float64"},
    {"[\"\", \"houndstooth\", null, \"caf\\u00e9\"]", "string"},
    {"[[1, 2], [], null, [3]]", "list<int64>"},
    {"[[[\"a\"], []], [], [[\"b\", null]]]", "list<list<string>>"},
    {"[{\"id\": \"a\", \"score\": 1.5}, null, {\"id\": \"b\", \"score\": null}]", "struct<id: string, score: float64>"},
    {"[{\"a\": 1}, {\"b\": 1}]", "object"},
    {"[3, 1, 2]", "int64"},
    {"[{\"n\": 1, \"x\": 1.5}, {\"n\": 2, \"x\": 0.5}, {\"n\": 3, \"x\": 2.5}]", "struct<n: int64, x: float64>"},
    {"[1, \"one\", null]", "object"},
    {"[{}, {}]", "object"},
};

static void values_go_in_and_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < HTI_LEN(columns); i++) {
        char type[100];
        ht_series *series = series_of(columns[i].rows);
        ht_series_describe_type(series, type, sizeof type);
        assert_string_equal(type, columns[i].type);
        assert_rows(series, columns[i].rows);
        ht_series_release(series);
    }
    ht_series *mixed = series_of("[1, 2.5]");
    assert_int_equal(ht_series_dtype(mixed), HT_DTYPE_FLOAT64);
    assert_rows(mixed, "[1.0, 2.5]");
    ht_series_release(mixed);
}

static void windows_joins_and_picks_are_the_same_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < HTI_LEN(columns); i++) {
        ht_series *all = series_of(columns[i].rows), *parts[8], *joined, *picked, *again;
        const size_t n = ht_series_len(all);
        if (n == 0) {
            ht_series_release(all);
            continue;
        }
        for (size_t cut = 0; cut <= n; cut++) {
            OK(ht_series_slice(all, 0, cut, &parts[0], &err));
            OK(ht_series_slice(all, cut, n - cut, &parts[1], &err));
            OK(ht_series_concat(parts, 2, &joined, &err));
            assert_true(ht_series_equal(joined, all));
            ht_series_release(joined);
            ht_series_release(parts[0]);
            ht_series_release(parts[1]);
        }
        size_t backwards[16], twice[32];
        for (size_t k = 0; k < n; k++) backwards[k] = n - 1 - k;
        for (size_t k = 0; k < 2 * n; k++) twice[k] = k % n;
        OK(ht_series_take(all, backwards, n, &picked, &err));
        OK(ht_series_take(picked, backwards, n, &again, &err));
        assert_true(ht_series_equal(again, all));
        ht_series_release(again);
        OK(ht_series_take(all, twice, 2 * n, &again, &err));
        OK(ht_series_slice(again, n, n, &parts[0], &err));
        assert_true(ht_series_equal(parts[0], all));
        ht_series_release(parts[0]);
        ht_series_release(again);
        ht_series_release(picked);
        assert_int_equal(ht_series_slice(all, 1, n, &again, &err), HT_INVALID);
        assert_int_equal(ht_series_take(all, (size_t[]){n}, 1, &again, &err), HT_INVALID);
        ht_series_release(all);
    }
}

static ht_key digest_of(ht_series *series)
{
    ht_value value;
    ht_key key;
    OK(ht_series_value(series, &value, &err));
    OK(ht_value_digest(value, &key, &err));
    ht_value_release(value);
    return key;
}

static void bytes_and_digests_are_those_of_the_window(void **state)
{
    ht_registry *registry;
    ht_writer *writer;
    (void)state;
    OK(ht_registry_new(&registry, &err));
    OK(ht_writer_new(&writer, &err));
    for (size_t i = 0; i < HTI_LEN(columns); i++) {
        ht_series *all = series_of(columns[i].rows);
        const size_t n = ht_series_len(all);
        for (size_t first = 0; first <= n; first++) {
            ht_series *window, *same;
            ht_value value, back;
            size_t len;
            OK(ht_series_slice(all, first, n - first, &window, &err));
            OK(ht_series_value(window, &value, &err));
            ht_writer_clear(writer);
            OK(ht_value_encode(value, writer, &err));
            const void *data = ht_writer_data(writer, &len);
            OK(ht_value_decode(data, len, registry, &back, &err));
            assert_true(ht_series_equal(ht_value_series(back), window));
            size_t rows[16];
            for (size_t k = first; k < n; k++) rows[k - first] = k;
            OK(ht_series_take(all, rows, n - first, &same, &err));
            const ht_key a = digest_of(window), b = digest_of(same), c = digest_of(ht_value_series(back));
            assert_true(a.low == b.low && a.high == b.high);
            assert_true(a.low == c.low && a.high == c.high);
            /* Every cut and every flipped byte is refused or gives something whole. */
            unsigned char *copy = malloc(len);
            memcpy(copy, data, len);
            ht_value_release(back);
            for (size_t cut = 0; cut < len; cut++)
                if (ht_value_decode(copy, cut, registry, &back, &err) == HT_OK) ht_value_release(back);
            for (size_t at = 0; at < len; at++) {
                copy[at] ^= 0x41;
                if (ht_value_decode(copy, len, registry, &back, &err) == HT_OK) ht_value_release(back);
                copy[at] ^= 0x41;
            }
            free(copy);
            ht_series_release(same);
            ht_value_release(value);
            ht_series_release(window);
        }
        ht_series_release(all);
    }
    ht_writer_free(writer);
    ht_registry_free(registry);
}

/* ---- Arrow ---- */

static void arrow_takes_and_gives_without_a_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < HTI_LEN(columns); i++) {
        ht_series *all = series_of(columns[i].rows), *window, *back;
        struct ArrowSchema schema;
        struct ArrowArray array;
        if (ht_series_dtype(all) == HT_DTYPE_OBJECT) {
            assert_int_equal(ht_series_export(all, "x", &schema, &array, &err), HT_UNSUPPORTED);
            assert_non_null(strstr(err.message, "column 'x' holds objects"));
            ht_series_release(all);
            continue;
        }
        const size_t n = ht_series_len(all), first = n / 2;
        OK(ht_series_slice(all, first, n - first, &window, &err));
        OK(ht_series_export(window, "x", &schema, &array, &err));
        assert_string_equal(schema.name, "x");
        assert_int_equal(array.null_count, ht_series_n_nulls(window));
        const void *buffer = array.n_buffers > 1 ? array.buffers[1] : NULL;
        OK(ht_series_import(&schema, &array, &back, &err));
        assert_null(schema.release);
        assert_null(array.release);
        assert_true(ht_series_equal(back, window));
        ht_series_release(all);
        ht_series_release(window); /* the other side keeps what it needs */
        OK(ht_series_export(back, "y", &schema, &array, &err));
        if (buffer) assert_ptr_equal(array.buffers[1], buffer);
        ht_series_release(back);
        /* A child may outlive its parent. */
        struct ArrowArray child = {0};
        if (array.n_children) {
            child = *array.children[0];
            array.children[0]->release = NULL;
        }
        array.release(&array);
        if (child.release) child.release(&child);
        schema.release(&schema);
    }
}

static int n_released;
static void count_release(void *ud) { n_released += *(int *)ud; }

static void foreign_memory_is_released_once_with_its_last_user(void **state)
{
    double numbers[5] = {1, 2, 3, 4, 5};
    int one = 1;
    ht_series *series, *slice;
    struct ArrowSchema schema;
    struct ArrowArray array;
    (void)state;
    n_released = 0;
    OK(ht_series_foreign(HT_DTYPE_FLOAT64, 5, numbers, count_release, &one, &series, &err));
    assert_ptr_equal(ht_series_data(series, HT_DTYPE_FLOAT64), numbers);
    OK(ht_series_slice(series, 2, 3, &slice, &err));
    assert_ptr_equal(ht_series_data(slice, HT_DTYPE_FLOAT64), numbers + 2);
    assert_null(ht_series_data(slice, HT_DTYPE_INT64));
    ht_series_release(series);
    OK(ht_series_export(slice, NULL, &schema, &array, &err));
    ht_series_release(slice);
    assert_int_equal(n_released, 0);
    assert_ptr_equal(array.buffers[1], numbers);
    assert_int_equal(array.offset, 2);
    array.release(&array);
    schema.release(&schema);
    assert_int_equal(n_released, 1);
}

static void what_does_not_fit_is_told_by_its_row(void **state)
{
    const ht_value rows[] = {ht_value_int(1), ht_value_int(300)};
    ht_series *series;
    (void)state;
    assert_int_equal(ht_series_from_values(HT_DTYPE_UINT8, rows, 2, &series, &err), HT_INVALID);
    assert_string_equal(err.message, "row 1, 300, is no uint8");
    OK(ht_series_from_values(HT_DTYPE_INT16, rows, 2, &series, &err));
    assert_int_equal(((const int16_t *)ht_series_data(series, HT_DTYPE_INT16))[1], 300);
    ht_series_release(series);
    OK(ht_series_from_values(HT_DTYPE_FLOAT32, rows, 2, &series, &err));
    assert_rows(series, "[1.0, 300.0]");
    ht_series_release(series);
}

static void vectors_are_lists_of_one_length(void **state)
{
    const float numbers[2][3] = {{1, 2, 3}, {4, 5, 6}};
    ht_value rows[3], back;
    ht_series *series, *child;
    char type[60];
    (void)state;
    for (int i = 0; i < 2; i++) OK(ht_value_tensor(HT_F32, 1, (int64_t[]){3}, numbers[i], &rows[i], &err));
    rows[2] = ht_value_null();
    OK(ht_series_from_values(HT_DTYPE_INFER, rows, 3, &series, &err));
    ht_series_describe_type(series, type, sizeof type);
    assert_string_equal(type, "fixed_size_list<float32>[3]");
    OK(ht_series_child(series, 0, &child, &err));
    assert_int_equal(ht_series_len(child), 9);
    assert_memory_equal(ht_series_data(child, HT_DTYPE_FLOAT32), numbers, sizeof numbers);
    OK(ht_series_get(series, 1, &back, &err));
    assert_int_equal(back.kind, HT_KIND_TENSOR);
    assert_true(ht_value_equal(back, rows[1]));
    ht_value_release(back);
    ht_series_release(child);
    ht_series_release(series);
    for (int i = 0; i < 2; i++) ht_value_release(rows[i]);
}

/* ---- methods over columns ---- */

static size_t n_calls, most_rows;

static ht_status make(void **self, ht_value args, ht_error *e)
{
    (void)args, (void)e;
    *self = &n_calls;
    return HT_OK;
}

static ht_status double_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self, (void)e;
    n_calls++;
    most_rows = HTI_MAX(most_rows, 1);
    *out = ht_value_float(in[0].as.number * in[1].as.number);
    return HT_OK;
}

static ht_status double_series(void *self, size_t n, const ht_series_column *in, ht_series **out, ht_error *e)
{
    (void)self;
    double *to;
    const double *from = ht_series_data(in[0].series, HT_DTYPE_FLOAT64);
    n_calls++;
    most_rows = HTI_MAX(most_rows, n);
    if (!from) return HT_FAIL(e, INVALID, "no doubles");
    void *data;
    HT_TRY(ht_series_new(HT_DTYPE_FLOAT64, n, &data, out, e));
    to = data;
    for (size_t i = 0; i < n; i++) to[i] = from[i] * in[1].constant.as.number;
    return HT_OK;
}

static ht_status bad_series(void *self, size_t n, const ht_series_column *in, ht_series **out, ht_error *e)
{
    (void)self;
    return ht_series_slice(in[0].series, 0, n - 1, out, e);
}

static const ht_method methods[] = {
    {"times", 2, {.row = double_row, .series = double_series}},
    {"times3", 2, {.series = double_series, .batch_size = 3}},
    {"rows", 2, {.row = double_row, .returns = HT_DTYPE_FLOAT32}},
    {"bad", 1, {.series = bad_series}},
};
static const ht_class times_class = {HT_DESC(ht_class), .name = "test.Times", .init = make, .methods = methods,
                                     .n_methods = HTI_LEN(methods)};

static void batch_names_take_whole_columns(void **state)
{
    static const struct {
        const char *method;
        size_t n_calls, most;
        ht_dtype dtype;
    } cases[] = {{"times_batch", 1, 7, HT_DTYPE_FLOAT64},
                 {"batch_times", 1, 7, HT_DTYPE_FLOAT64},
                 {"times3_batch", 3, 3, HT_DTYPE_FLOAT64},
                 {"rows_batch", 7, 1, HT_DTYPE_FLOAT32}};
    ht_instance *instance;
    (void)state;
    OK(ht_instance_new(&times_class, ht_value_null(), &instance, &err));
    ht_series *series = series_of("[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]");
    ht_value args[2] = {{0}}, list = list_of(series), out;
    args[1] = ht_value_float(2);
    for (size_t i = 0; i < HTI_LEN(cases); i++) {
        n_calls = most_rows = 0;
        OK(ht_series_value(series, &args[0], &err));
        OK(ht_instance_call(instance, cases[i].method, args, 2, &out, &err));
        assert_int_equal(n_calls, cases[i].n_calls);
        assert_int_equal(most_rows, cases[i].most);
        assert_int_equal(ht_series_dtype(ht_value_series(out)), cases[i].dtype);
        assert_rows(ht_value_series(out), "[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]");
        ht_value_release(out);
        ht_value_release(args[0]);
        args[0] = list; /* a list in, a list out */
        OK(ht_instance_call(instance, cases[i].method, args, 2, &out, &err));
        const ht_value wanted = json("[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]");
        assert_true(ht_value_equal(out, wanted));
        ht_value_release(wanted);
        ht_value_release(out);
    }
    args[0] = ht_value_int(3);
    assert_int_equal(ht_instance_call(instance, "times_batch", args, 2, &out, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "argument 1 of 'times' over columns is a int"));
    args[0] = list;
    assert_int_equal(ht_instance_call(instance, "bad_batch", args, 1, &out, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "gave a series of 6 rows for 7"));
    assert_int_equal(ht_instance_call(instance, "times_batches", args, 2, &out, &err), HT_NOT_FOUND);
    ht_value_release(list);
    ht_series_release(series);
    ht_instance_release(instance);
}

/* x -> times(x, 2) for each x of a series: the rows gather to one column. */
static void rows_of_a_map_gather_to_columns(void **state)
{
    static const ht_engine engines[] = {HT_ENGINE_SEQUENTIAL, HT_ENGINE_THREADS};
    ht_instance *instance;
    ht_pipeline *pipeline;
    ht_value inputs, out, field, series_value;
    (void)state;
    const ht_value two = ht_value_float(2);
    const ht_input in[2] = {{"x", NULL}, {"by", &two}};
    OK(ht_instance_new(&times_class, ht_value_null(), &instance, &err));
    OK(ht_pipeline_new(NULL, &pipeline, &err));
    OK(ht_pipeline_add_method(pipeline, "times", instance, "times", in, "y", &err));
    OK(ht_pipeline_add_method(pipeline, "rows", instance, "rows_batch", (ht_input[]){{"all", NULL}, {"by", &two}}, "z",
                              &err));
    ht_series *series = series_of("[0.0, 1.0, 2.0]");
    OK(ht_series_value(series, &series_value, &err));
    for (size_t e = 0; e < HTI_LEN(engines); e++) {
        n_calls = most_rows = 0;
        const ht_run_options options = {HT_DESC(ht_run_options), .engine = engines[e],
                                        .n_workers = 2,          .outputs = (const char *[]){"y", "z"},
                                        .n_outputs = 2,          .map_over = (const char *[]){"x"},
                                        .n_map_over = 1};
        OK(ht_value_struct((const char *[]){"x", "all"}, (ht_value[]){series_value, series_value}, 2, &inputs, &err));
        const ht_status status = ht_pipeline_map(pipeline, inputs, &options, &out, &err);
        if (status != HT_OK) fail_msg("%s", err.message);
        assert_int_equal(n_calls, 1 + 3 * 3); /* one of three rows, and the column by rows for each item */
        size_t n;
        const ht_value *items = ht_value_items(out, &n);
        assert_int_equal(n, 3);
        for (size_t i = 0; i < n; i++) {
            assert_true(ht_value_field(items[i], "y", &field));
            assert_true(ht_value_equal(field, ht_value_float(2 * (double)i)));
            assert_true(ht_value_field(items[i], "z", &field));
            assert_rows(ht_value_series(field), "[0.0, 2.0, 4.0]");
        }
        ht_value_release(out);
        ht_value_release(inputs);
    }
    ht_value_release(series_value);
    ht_series_release(series);
    ht_pipeline_release(pipeline);
    ht_instance_release(instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_in_and_come_back),
        cmocka_unit_test(windows_joins_and_picks_are_the_same_rows),
        cmocka_unit_test(bytes_and_digests_are_those_of_the_window),
        cmocka_unit_test(arrow_takes_and_gives_without_a_copy),
        cmocka_unit_test(foreign_memory_is_released_once_with_its_last_user),
        cmocka_unit_test(what_does_not_fit_is_told_by_its_row),
        cmocka_unit_test(vectors_are_lists_of_one_length),
        cmocka_unit_test(batch_names_take_whole_columns),
        cmocka_unit_test(rows_of_a_map_gather_to_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
