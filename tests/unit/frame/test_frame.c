/*
 * test_frame.c - frames: columns by methods of every form, rows that go and multiply, limits that run just enough, on
 * each engine; record batches in and out; every mistake told by name.
 */
#include "base/base.h"

#include <houndstooth/frame.h>
#include <houndstooth/registry.h>

#include "fault_alloc.h"
#include "flow_test.h"

/* ---- a class with methods of every form ---- */

static int n_row, n_batch, n_series, n_inits;
static size_t most_rows;

static void note(int *count, size_t rows)
{
    (void)__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    if (rows > most_rows) most_rows = rows;
}

static ht_status init(void **self, ht_value args, ht_error *e)
{
    (void)args, (void)e;
    (void)__atomic_add_fetch(&n_inits, 1, __ATOMIC_SEQ_CST);
    *self = &n_inits;
    return HT_OK;
}

static ht_status scale(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    note(&n_row, 1);
    if (in[0].kind == HT_KIND_NULL) return HT_OK;
    if (in[0].as.number < 0) return HT_FAIL(e, FAILED, "negative");
    *out = ht_value_float(in[0].as.number * in[1].as.number);
    return HT_OK;
}

static ht_status scale_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    note(&n_batch, n);
    for (size_t i = 0; i < n; i++) {
        const ht_value row[2] = {in[0].rows[i], in[1].rows[0]};
        HT_TRY(scale(self, row, &out[0][i], e));
    }
    return HT_OK;
}

static ht_status scale_series(void *self, size_t n, const ht_series_column *in, ht_series **out, ht_error *e)
{
    void *data;
    const double *from = ht_series_data(in[0].series, HT_DTYPE_FLOAT64);
    (void)self;
    note(&n_series, n);
    if (!from) return HT_FAIL(e, INVALID, "float64 is wanted");
    HT_TRY(ht_series_new(HT_DTYPE_FLOAT64, n, &data, out, e));
    for (size_t i = 0; i < n; i++) ((double *)data)[i] = from[i] * in[1].constant.as.number;
    return HT_OK;
}

static ht_status big(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self, (void)e;
    note(&n_row, 1);
    *out = in[0].kind == HT_KIND_NULL ? ht_value_null() : ht_value_bool(in[0].as.number >= in[1].as.number);
    return HT_OK;
}

static ht_status up_to(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_value items[16];
    (void)self;
    const size_t n = (size_t)in[0].as.number % 4;
    for (size_t i = 0; i < n; i++) items[i] = ht_value_int((int64_t)i);
    return ht_value_list(items, n, out, e);
}

static ht_status started(void *self, const ht_value *in, ht_completion *completion, ht_error *e)
{
    (void)self, (void)e;
    const ht_value out = ht_value_float(in[0].as.number + 1);
    ht_complete(completion, &out);
    return HT_OK;
}

static const ht_method methods[] = {
    {"by_row", 2, {.row = scale}},
    {"by_batch", 2, {.row = scale, .batch = scale_batch, .batch_size = 100}},
    {"by_series", 2, {.row = scale, .series = scale_series}},
    {"by_series_100", 2, {.series = scale_series, .batch_size = 100}},
    {"nulls", 2, {.batch = scale_batch, .on_error = HT_ON_ERROR_NULL}},
    {"skips", 2, {.batch = scale_batch, .on_error = HT_ON_ERROR_SKIP}},
    {"narrow", 2, {.row = scale, .returns = HT_DTYPE_FLOAT32}},
    {"big", 2, {.row = big}},
    {"up_to", 1, {.row = up_to}},
    {"started", 1, {.start = started}},
};
static const ht_class cls = {HT_DESC(ht_class), .name = "test.Scale", .init = init, .methods = methods,
                             .n_methods = HTI_LEN(methods)};

static ht_status inverse(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self, (void)e;
    *out = ht_value_float(-in[0].as.number);
    return HT_OK;
}
static const ht_node_desc inverse_node = {HT_DESC(ht_node_desc),
                                          .name = "test.inverse",
                                          .inputs = (const ht_input[]){{"x", NULL}},
                                          .n_inputs = 1,
                                          .outputs = (const char *const[]){"y"},
                                          .n_outputs = 1,
                                          .forms = {.row = inverse}};

static ht_registry *registry;
static ht_instance *instance;
static ht_run_options engines[3];

static int set_up(void **state)
{
    (void)state;
    OK(ht_registry_instance(registry, "test.Scale", ht_value_null(), &instance, &err));
    engines[0] = (ht_run_options){HT_DESC(ht_run_options)};
    engines[1] = (ht_run_options){HT_DESC(ht_run_options), .engine = HT_ENGINE_THREADS, .n_workers = 4};
    engines[2] =
        (ht_run_options){HT_DESC(ht_run_options), .engine = HT_ENGINE_PROCESSES, .n_workers = 2, .registry = registry};
    return 0;
}

/* x: 0, 1, ... n - 1; every seventh null if asked; s: "0", "1", ... */
static ht_frame *numbers_frame(size_t n, bool nulls)
{
    ht_value *x = malloc((n + 1) * sizeof *x), *s = malloc((n + 1) * sizeof *s);
    ht_series *columns[2];
    ht_frame *frame;
    for (size_t i = 0; i < n; i++) {
        char text[30];
        x[i] = nulls && i % 7 == 3 ? ht_value_null() : ht_value_float((double)i);
        snprintf(text, sizeof text, "%zu", i);
        OK(ht_value_string((ht_text){text, strlen(text)}, &s[i], &err));
    }
    OK(ht_series_from_values(HT_DTYPE_FLOAT64, x, n, &columns[0], &err));
    OK(ht_series_from_values(HT_DTYPE_STRING, s, n, &columns[1], &err));
    OK(ht_frame_from_columns((const char *[]){"x", "s"}, columns, 2, &frame, &err));
    for (size_t i = 0; i < n; i++) ht_value_release(s[i]);
    ht_series_release(columns[0]);
    ht_series_release(columns[1]);
    free(x);
    free(s);
    return frame;
}

static ht_expr *call(const char *method, const char *column, double by)
{
    return ht_expr_call(instance, method, (ht_expr *[]){ht_expr_col(column), ht_expr_lit(ht_value_float(by))}, 2);
}

/* Gives up the frame for the next one. */
static ht_frame *then(ht_frame *frame, const char *name, ht_expr *expr)
{
    ht_frame *next;
    if (ht_frame_with_column(frame, name, expr, &next, &err) != HT_OK) fail_msg("%s", err.message);
    ht_frame_release(frame);
    return next;
}

static ht_frame *collected(ht_frame *frame, size_t engine)
{
    ht_frame *made;
    if (ht_frame_collect(frame, &engines[engine], &made, &err) != HT_OK)
        fail_msg("engine %zu: %s", engine, err.message);
    return made;
}

static double number_at(ht_frame *frame, const char *column, size_t row)
{
    ht_series *series;
    ht_value value;
    OK(ht_frame_column(frame, column, &series, &err));
    OK(ht_series_get(series, row, &value, &err));
    ht_series_release(series);
    return value.kind == HT_KIND_FLOAT ? value.as.number : value.kind == HT_KIND_NULL ? -1 : -2;
}

static void every_form_fills_a_column_on_every_engine(void **state)
{
    static const struct {
        const char *method;
        int rows, batches, series;
        size_t most;
    } cases[] = {{"by_row", 1000, 0, 0, 1},
                 {"by_batch", 1000, 10, 0, 100}, /* its rows call the row function */
                 {"by_batch_batch", 1000, 10, 0, 100},
                 {"by_series", 0, 0, 1, 1000},
                 {"by_series_batch", 0, 0, 1, 1000},
                 {"by_series_100", 0, 0, 10, 100}};
    (void)state;
    for (size_t i = 0; i < HTI_LEN(cases); i++)
        for (size_t e = 0; e < 3; e++) {
            n_row = n_batch = n_series = 0;
            most_rows = 0;
            ht_frame *frame = then(numbers_frame(1000, false), "y", call(cases[i].method, "x", 2)), *made;
            assert_int_equal(n_row + n_batch + n_series, 0); /* lazy */
            made = collected(frame, e);
            if (e < 2) {
                assert_int_equal(n_row, cases[i].rows);
                assert_int_equal(n_batch, cases[i].batches);
                assert_int_equal(n_series, cases[i].series);
                assert_int_equal(most_rows, cases[i].most);
            }
            assert_int_equal(ht_frame_n_rows(made), 1000);
            for (size_t row = 0; row < 1000; row += 37) assert_true(number_at(made, "y", row) == 2 * (double)row);
            ht_frame_release(made);
            ht_frame_release(frame);
        }
}

static void operations_compose(void **state)
{
    (void)state;
    for (size_t e = 0; e < 3; e++) {
        /* x of 0..49; y = 3x; z = -y; kept where z's opposite is at least 60; exploded; selected */
        ht_frame *frame = then(numbers_frame(50, false), "y", call("by_series", "x", 3)), *next;
        frame = then(frame, "z", ht_expr_apply(&inverse_node, (ht_expr *[]){ht_expr_col("y")}, 1));
        frame = then(frame, "x", call("by_row", "x", 10)); /* replaced */
        frame = then(frame, "k", ht_expr_lit(ht_value_int(7)));
        OK(ht_frame_where(frame, call("big", "y", 60), &next, &err));
        ht_frame_release(frame);
        frame = then(next, "l", ht_expr_call(instance, "up_to", (ht_expr *[]){ht_expr_col("y")}, 1));
        OK(ht_frame_explode(frame, "l", &next, &err));
        ht_frame_release(frame);
        frame = next;
        ht_expr *const picks[] = {ht_expr_col("l"), ht_expr_alias(ht_expr_col("x"), "ten"), ht_expr_col("z"),
                                  ht_expr_col("s"), ht_expr_col("k")};
        OK(ht_frame_select(frame, picks, 5, &next, &err));
        ht_frame_release(frame);
        ht_frame *made = collected(next, e);
        /* y = 60, 63, ..., 147: 30 rows of y % 4 items, none counting as one */
        size_t n = 0;
        for (int x = 20; x < 50; x++) {
            const int items = 3 * x % 4;
            for (int k = 0; k < HTI_MAX(items, 1); k++, n++) {
                ht_series *series;
                ht_value value;
                char text[20];
                assert_true(number_at(made, "ten", n) == 10 * x);
                assert_true(number_at(made, "z", n) == -3 * x);
                OK(ht_frame_column(made, "l", &series, &err));
                OK(ht_series_get(series, n, &value, &err));
                assert_true(ht_value_equal(value, items ? ht_value_int(k) : ht_value_null()));
                ht_series_release(series);
                OK(ht_frame_column(made, "s", &series, &err));
                snprintf(text, sizeof text, "%d", x);
                assert_string_equal(ht_series_text(series, n).len ? text : "", text);
                assert_memory_equal(ht_series_text(series, n).data, text, strlen(text));
                ht_series_release(series);
                OK(ht_frame_column(made, "k", &series, &err));
                assert_int_equal(((const int64_t *)ht_series_data(series, HT_DTYPE_INT64))[n], 7);
                ht_series_release(series);
            }
        }
        assert_int_equal(ht_frame_n_rows(made), n);
        ht_frame_release(made);
        ht_frame_release(next);
    }
}

static void chunks_meet_in_order(void **state)
{
    (void)state;
    for (size_t e = 0; e < 3; e++) {
        ht_frame *frame = then(numbers_frame(300000, false), "y", call("by_series", "x", 2)),
                 *made = collected(frame, e);
        ht_series *series;
        assert_int_equal(ht_frame_n_chunks(made), e ? 3 : 1);
        OK(ht_frame_column(made, "y", &series, &err));
        const double *y = ht_series_data(series, HT_DTYPE_FLOAT64);
        for (size_t i = 0; i < 300000; i++)
            if (y[i] != 2 * (double)i) fail_msg("row %zu is %f", i, y[i]);
        ht_series_release(series);
        ht_frame_release(made);
        ht_frame_release(frame);
    }
}

static void limits_run_just_enough(void **state)
{
    (void)state;
    ht_frame *frame = then(numbers_frame(100000, false), "y", call("by_row", "x", 2)), *cut, *more, *last, *made;
    n_row = 0;
    OK(ht_frame_limit(frame, 10, &cut, &err));
    made = collected(cut, 0);
    assert_int_equal(ht_frame_n_rows(made), 10);
    assert_int_equal(n_row, 10);
    ht_frame_release(made);
    /* behind a filter a chunk, and what follows a limit sees only its rows */
    OK(ht_frame_where(frame, call("big", "y", 100), &more, &err));
    ht_frame_release(cut);
    OK(ht_frame_limit(more, 20, &cut, &err));
    last = then(ht_frame_retain(cut), "z", call("by_row", "y", 1));
    n_row = 0;
    made = collected(last, 0);
    assert_int_equal(ht_frame_n_rows(made), 20);
    assert_true(number_at(made, "z", 0) == 100);
    assert_true(n_row < 3 * 4096);
    ht_frame_release(made);
    ht_frame_release(cut);
    OK(ht_frame_limit(frame, 0, &cut, &err));
    made = collected(cut, 0);
    assert_int_equal(ht_frame_n_rows(made), 0);
    ht_frame_release(made);
    ht_frame_release(cut);
    ht_frame_release(last);
    ht_frame_release(more);
    ht_frame_release(frame);
}

static void columns_that_nobody_asks_for_are_not_computed(void **state)
{
    (void)state;
    ht_frame *frame = then(then(numbers_frame(10, false), "y", call("by_row", "x", 2)), "z", call("by_batch", "x", 3)),
             *next;
    OK(ht_frame_select(frame, (ht_expr *[]){ht_expr_col("s"), ht_expr_col("z")}, 2, &next, &err));
    n_row = n_batch = 0;
    ht_frame *made = collected(next, 0);
    assert_int_equal(n_batch, 1);
    assert_int_equal(n_row, 10); /* the batch's own */
    ht_frame_release(made);
    ht_frame_release(next);
    ht_frame_release(frame);
}

static ht_status halves(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_series *parts[2] = {NULL, NULL}, *whole = ht_value_series(in[0]);
    const size_t n = ht_series_len(whole), cut = (size_t)in[1].as.integer;
    ht_value list[2];
    (void)self;
    OK(ht_series_slice(whole, 0, cut, &parts[0], e));
    OK(ht_series_slice(whole, cut, n - cut, &parts[1], e));
    for (int i = 0; i < 2; i++) {
        OK(ht_series_value(parts[i], &list[i], e));
        ht_series_release(parts[i]);
    }
    return ht_value_list_take(list, 2, out, e);
}

static ht_status turned(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_series *parts[2], *whole;
    size_t n;
    const ht_value *pieces = ht_value_items(in[0], &n);
    (void)self;
    assert_int_equal(n, 2);
    for (int i = 0; i < 2; i++) parts[1 - i] = ht_value_series(pieces[i]);
    OK(ht_series_concat(parts, 2, &whole, e));
    const ht_status status = ht_series_value(whole, out, e);
    ht_series_release(whole);
    return status;
}

/* A column as a list of two pieces, which another node turns around; both see columns, and a literal as it is. */
static void nodes_over_whole_columns(void **state)
{
    static const ht_input two[] = {{"column", NULL}, {"at", NULL}}, one[] = {{"pieces", NULL}};
    static const char *const outputs[] = {"out"};
    static const ht_node_desc cutter = {HT_DESC(ht_node_desc),   .name = "test.halves", .inputs = two,
                                        .n_inputs = 2,           .outputs = outputs,    .n_outputs = 1,
                                        .forms = {.row = halves}};
    static const ht_node_desc turner = {HT_DESC(ht_node_desc),   .name = "test.turned", .inputs = one,
                                        .n_inputs = 1,           .outputs = outputs,    .n_outputs = 1,
                                        .forms = {.row = turned}};
    (void)state;
    ht_expr *pieces = ht_expr_whole(&cutter, (ht_expr *[]){ht_expr_col("x"), ht_expr_lit(ht_value_int(4))}, 2);
    ht_frame *frame = then(numbers_frame(10, false), "y", ht_expr_whole(&turner, &pieces, 1));
    ht_frame *made = collected(frame, 0);
    for (size_t row = 0; row < 10; row++)
        assert_true(number_at(made, "y", row) == (double)(row < 6 ? row + 4 : row - 6));
    ht_frame_release(made);
    ht_frame_release(frame);
}

static ht_status rows_of_object(const void *object, ht_value *out, ht_error *e)
{
    const ht_value items[] = {ht_value_int(1), ht_value_float(2.5)};
    return ht_value_list(items, *(const size_t *)object, out, e);
}
static void keep_object(void *object) { (void)object; }

/* Objects that tell their rows explode, and the rows stay of the kinds that they are. */
static void objects_explode(void **state)
{
    static const ht_type type = {HT_DESC(ht_type), .name = "test.rows", .release = keep_object, .rows = rows_of_object};
    static size_t lens[] = {2, 0};
    static const ht_kind kinds[] = {HT_KIND_INT, HT_KIND_FLOAT, HT_KIND_NULL};
    ht_value objects[2], value;
    ht_series *column;
    ht_frame *frame, *next;
    (void)state;
    for (size_t i = 0; i < 2; i++) OK(ht_value_opaque(&type, &lens[i], &objects[i], &err));
    OK(ht_series_from_values(HT_DTYPE_OBJECT, objects, 2, &column, &err));
    for (size_t i = 0; i < 2; i++) ht_value_release(objects[i]);
    OK(ht_frame_from_columns((const char *[]){"l"}, &column, 1, &frame, &err));
    ht_series_release(column);
    OK(ht_frame_explode(frame, "l", &next, &err));
    ht_frame_release(frame);
    frame = collected(next, 0);
    OK(ht_frame_column(frame, "l", &column, &err));
    assert_int_equal(ht_series_len(column), 3);
    for (size_t row = 0; row < 3; row++) {
        OK(ht_series_get(column, row, &value, &err));
        assert_int_equal(value.kind, kinds[row]);
    }
    ht_series_release(column);
    ht_frame_release(frame);
    ht_frame_release(next);
}

static void policies_types_and_started_calls_hold_in_frames(void **state)
{
    ht_series *series;
    ht_frame *made, *next;
    (void)state;
    ht_frame *frame =
        then(numbers_frame(8, false), "minus", ht_expr_apply(&inverse_node, (ht_expr *[]){ht_expr_col("x")}, 1));
    frame = then(then(then(frame, "a", call("nulls", "minus", 2)), "b", call("narrow", "x", 0.5)), "c",
                 ht_expr_call(instance, "started", (ht_expr *[]){ht_expr_col("x")}, 1));
    frame =
        then(frame, "twice", ht_expr_call(instance, "by_row", (ht_expr *[]){ht_expr_col("x"), ht_expr_col("x")}, 2));
    made = collected(frame, 0);
    OK(ht_frame_column(made, "a", &series, &err));
    assert_int_equal(ht_series_n_nulls(series), 7); /* all but -0 */
    ht_series_release(series);
    OK(ht_frame_column(made, "b", &series, &err));
    assert_int_equal(ht_series_dtype(series), HT_DTYPE_FLOAT32);
    ht_series_release(series);
    assert_true(number_at(made, "c", 5) == 6);
    assert_true(number_at(made, "twice", 5) == 25);
    ht_frame_release(made);
    next = then(ht_frame_retain(frame), "bad", call("by_row", "minus", 1));
    assert_int_equal(ht_frame_collect(next, NULL, &made, &err), HT_FAILED);
    assert_non_null(strstr(err.message, "negative"));
    assert_non_null(strstr(err.message, "item 1"));
    assert_non_null(strstr(err.message, "bad"));
    ht_frame_release(next);
    ht_frame_release(frame);
}

static void mistakes_are_told_when_they_are_made(void **state)
{
    ht_frame *frame = numbers_frame(3, true), *out;
    ht_series *x, *s, *cut;
    (void)state;
    assert_int_equal(ht_frame_with_column(frame, "y", ht_expr_col("xx"), &out, &err), HT_NOT_FOUND);
    assert_string_equal(err.message, "no column 'xx'; there is x, s");
    assert_int_equal(ht_frame_with_column(frame, "y", call("scales", "x", 1), &out, &err), HT_NOT_FOUND);
    assert_int_equal(ht_frame_with_column(frame, "y", call("up_to", "x", 1), &out, &err), HT_INVALID);
    assert_string_equal(err.message, "'up_to' takes 1 arguments, not 2");
    assert_int_equal(ht_frame_with_column(frame, "y", call("skips", "x", 1), &out, &err), HT_INVALID);
    assert_int_equal(ht_frame_with_column(frame, "y", NULL, &out, &err), HT_NO_MEMORY);
    assert_int_equal(ht_frame_explode(frame, "y", &out, &err), HT_NOT_FOUND);
    assert_int_equal(ht_frame_select(frame, (ht_expr *[]){ht_expr_col("x"), ht_expr_col("x")}, 2, &out, &err),
                     HT_INVALID);
    assert_int_equal(ht_frame_column(frame, "q", &x, &err), HT_NOT_FOUND);
    OK(ht_frame_column(frame, "x", &x, &err));
    OK(ht_frame_column(frame, "s", &s, &err));
    OK(ht_series_slice(s, 0, 2, &cut, &err));
    assert_int_equal(ht_frame_from_columns((const char *[]){"x", "s"}, (ht_series *[]){x, cut}, 2, &out, &err),
                     HT_INVALID);
    assert_string_equal(err.message, "columns of a frame differ in length: x: 3, s: 2");
    ht_series_release(cut);
    /* of another type than a bool */
    OK(ht_frame_where(frame, ht_expr_col("s"), &out, &err));
    ht_frame *made;
    assert_int_equal(ht_frame_collect(out, NULL, &made, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "kept by a bool, not by a column of type string"));
    assert_int_equal(ht_frame_n_rows(out), SIZE_MAX);
    assert_int_equal(ht_frame_column(out, "x", &cut, &err), HT_INVALID);
    ht_frame_release(out);
    ht_series_release(x);
    ht_series_release(s);
    OK(ht_frame_column(frame, "x", &x, &err));
    ht_series_release(x);
    ht_frame_release(frame);
    OK(ht_frame_from_columns(NULL, NULL, 0, &frame, &err));
    assert_int_equal(ht_frame_n_rows(frame), 0);
    ht_frame_release(frame);
}

static void shown_and_explained(void **state)
{
    ht_writer *writer;
    size_t len;
    (void)state;
    ht_frame *frame = then(then(numbers_frame(100, true), "y", call("by_series", "x", 2)), "z", call("by_row", "x", 2));
    OK(ht_writer_new(&writer, &err));
    if (ht_frame_show(frame, 3, NULL, writer, &err) != HT_OK) fail_msg("%s", err.message);
    assert_string_equal((const char *)ht_writer_data(writer, &len), "x        s       y        z\n"
                                                                    "float64  string  float64  float64\n"
                                                                    "-------  ------  -------  -------\n"
                                                                    "0.0      0       0.0      0.0\n"
                                                                    "1.0      1       2.0      2.0\n"
                                                                    "2.0      2       4.0      4.0\n");
    ht_writer_clear(writer);
    OK(ht_frame_explain(frame, writer, &err));
    const char *text = ht_writer_data(writer, &len);
    assert_non_null(strstr(text, "table of 100 rows in 1 chunks, 2 columns"));
    assert_non_null(strstr(text, "by_series"));
    assert_non_null(strstr(text, "columns"));
    ht_writer_free(writer);
    ht_frame_release(frame);
}

static void record_batches_go_round(void **state)
{
    struct ArrowArrayStream stream;
    ht_frame *back, *next, *made;
    ht_series *a, *b;
    (void)state;
    ht_frame *frame =
        then(numbers_frame(200000, true), "l", ht_expr_call(instance, "up_to", (ht_expr *[]){ht_expr_col("x")}, 1));
    made = collected(frame, 1);
    OK(ht_frame_to_arrow(made, &stream, &err));
    ht_frame_release(frame);
    OK(ht_frame_from_arrow(&stream, &back, &err));
    assert_int_equal(ht_frame_n_rows(back), 200000);
    for (size_t i = 0; i < 3; i++) {
        OK(ht_frame_column(made, ht_frame_column_name(made, i), &a, &err));
        OK(ht_frame_column(back, ht_frame_column_name(back, i), &b, &err));
        assert_true(ht_series_equal(a, b));
        ht_series_release(a);
        ht_series_release(b);
    }
    /* without a copy: the same memory came back */
    OK(ht_frame_chunk(made, 0, "x", &a, &err));
    OK(ht_frame_chunk(back, 0, "x", &b, &err));
    assert_ptr_equal(ht_series_data(a, HT_DTYPE_FLOAT64), ht_series_data(b, HT_DTYPE_FLOAT64));
    ht_series_release(a);
    ht_series_release(b);
    ht_frame_release(back);
    ht_frame_release(made);
    /* objects cannot go */
    ht_value mixed[2] = {ht_value_int(1), ht_value_bool(true)};
    OK(ht_series_from_values(HT_DTYPE_INFER, mixed, 2, &a, &err));
    OK(ht_frame_from_columns((const char *[]){"o"}, &a, 1, &next, &err));
    assert_int_equal(ht_frame_to_arrow(next, &stream, &err), HT_UNSUPPORTED);
    assert_string_equal(err.message, "column 'o' holds objects, which Arrow has no type for");
    ht_series_release(a);
    ht_frame_release(next);
}

/* ---- memory refused at the n-th request ---- */

static ht_status much_of_it(void *ud, ht_error *e)
{
    (void)ud;
    static const double numbers[6] = {1, 2, 3, 4, 5, 6};
    ht_series *x = NULL;
    ht_frame *frame = NULL, *a = NULL, *b = NULL, *c = NULL, *made = NULL;
    struct ArrowArrayStream stream = {0};
    ht_status status = ht_series_foreign(HT_DTYPE_FLOAT64, 6, numbers, NULL, NULL, &x, e);
    if (status == HT_OK) status = ht_frame_from_columns((const char *[]){"x"}, &x, 1, &frame, e);
    if (status == HT_OK) status = ht_frame_with_column(frame, "y", call("by_series", "x", 2), &a, e);
    if (status == HT_OK) status = ht_frame_with_column(a, "z", call("by_batch", "y", 2), &b, e);
    if (status == HT_OK) status = ht_frame_where(b, call("big", "z", 12), &c, e);
    if (status == HT_OK) status = ht_frame_collect(c, NULL, &made, e);
    if (status == HT_OK) status = ht_frame_to_arrow(made, &stream, e);
    if (stream.release) stream.release(&stream);
    ht_frame_release(made);
    ht_frame_release(c);
    ht_frame_release(b);
    ht_frame_release(a);
    ht_frame_release(frame);
    ht_series_release(x);
    return status;
}

static void refused_memory_is_told_and_nothing_leaks(void **state)
{
    bool reached_end;
    ht_error e;
    (void)state;
    OK(much_of_it(NULL, &e)); /* the object of the class is made before */
    const uint64_t refused = fault_alloc_sweep_by(much_of_it, NULL, false, 1, 20000, &reached_end);
    print_message("%llu runs refused\n", (unsigned long long)refused);
    assert_true(reached_end);
    assert_true(refused > 100);
}

int main(int argc, char **argv)
{
    fault_alloc_install();
    OK(ht_registry_new(&registry, &err));
    OK(ht_registry_add_class(registry, &cls, &err));
    OK(ht_registry_add_node(registry, &inverse_node, &err));
    OK(ht_frame_register(registry, &err));
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    set_up(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_fills_a_column_on_every_engine),
        cmocka_unit_test(operations_compose),
        cmocka_unit_test(chunks_meet_in_order),
        cmocka_unit_test(limits_run_just_enough),
        cmocka_unit_test(columns_that_nobody_asks_for_are_not_computed),
        cmocka_unit_test(nodes_over_whole_columns),
        cmocka_unit_test(objects_explode),
        cmocka_unit_test(policies_types_and_started_calls_hold_in_frames),
        cmocka_unit_test(mistakes_are_told_when_they_are_made),
        cmocka_unit_test(shown_and_explained),
        cmocka_unit_test(record_batches_go_round),
        cmocka_unit_test(refused_memory_is_told_and_nothing_leaks),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_instance_release(instance);
    ht_registry_free(registry);
    return failed;
}
