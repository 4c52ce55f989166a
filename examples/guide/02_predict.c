/*
 * 02_predict.c - predict, row and over a float64 column, in a frame.
 *
 * `predict` has a row form and a series form, which reads and writes whole columns without a copy. The frame's column
 * is written with `predict`; the runtime calls the series form, a slice of at most 1,048,576 rows at a time.
 */
#include "guide.h"

#include <math.h>

typedef struct model {
    double weight, bias;
} model;

static ht_status load_model(void **self, ht_value args, ht_error *err)
{
    static model loaded = {0.25, -1};
    (void)args, (void)err;
    *self = &loaded;
    return HT_OK;
}

static double predict_one(const model *m, double x) { return 1 / (1 + exp(-(m->weight * x + m->bias))); }

static ht_status predict(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)err;
    *out = ht_value_float(predict_one(self, in[0].as.number));
    return HT_OK;
}

static ht_status predict_series(void *self, size_t n, const ht_series_column *in, ht_series **out, ht_error *err)
{
    void *data;
    const double *x = ht_series_data(in[0].series, HT_DTYPE_FLOAT64);
    const ht_status status = ht_series_new(HT_DTYPE_FLOAT64, n, &data, out, err);
    if (status != HT_OK) return status;
    for (size_t i = 0; i < n; i++) ((double *)data)[i] = predict_one(self, x[i]);
    return HT_OK;
}

static const ht_method methods[] = {
    {"predict", 1, {.row = predict, .series = predict_series, .returns = HT_DTYPE_FLOAT64}}};
static const ht_class model_class = {HT_DESC(ht_class), .name = "guide.Model", .init = load_model, .methods = methods,
                                     .n_methods = 1};

static ht_instance *new_model(ht_error *err)
{
    ht_instance *made;
    or_die(ht_instance_new(&model_class, ht_value_null(), &made, err), err);
    return made;
}

/* for x in xs: model.predict(x) */
static ht_series *by_rows(ht_series *x, guide_way *way, ht_error *err)
{
    void *data;
    ht_series *made;
    ht_instance *instance = new_model(err);
    const double *numbers = ht_series_data(x, HT_DTYPE_FLOAT64);
    const double start = seconds_now();
    or_die(ht_series_new(HT_DTYPE_FLOAT64, ht_series_len(x), &data, &made, err), err);
    for (size_t i = 0; i < ht_series_len(x); i++) {
        const ht_value row = ht_value_float(numbers[i]);
        ht_value out;
        or_die(ht_instance_call(instance, "predict", &row, 1, &out, err), err);
        ((double *)data)[i] = out.as.number;
    }
    way->seconds = seconds_now() - start;
    way->stats = ht_instance_get_stats(instance);
    ht_instance_release(instance);
    return made;
}

/* df.with_column("pred", model.predict(col("x"))).collect() */
static ht_series *by_frame(ht_series *x, guide_way *way, ht_error *err)
{
    const char *name = "x";
    ht_frame *frame, *with, *done;
    ht_series *made;
    ht_expr *arg = ht_expr_col("x");
    ht_instance *instance = new_model(err);
    or_die(ht_frame_from_columns(&name, &x, 1, &frame, err), err);
    or_die(ht_frame_with_column(frame, "pred", ht_expr_call(instance, "predict", &arg, 1), &with, err), err);
    const double start = seconds_now();
    or_die(ht_frame_collect(with, NULL, &done, err), err);
    way->seconds = seconds_now() - start;
    way->stats = ht_instance_get_stats(instance);
    or_die(ht_frame_column(done, "pred", &made, err), err);
    ht_frame_release(done);
    ht_frame_release(with);
    ht_frame_release(frame);
    ht_instance_release(instance);
    return made;
}

/* model.predict_batch(x) */
static ht_series *by_hand(ht_series *x, guide_way *way, ht_error *err)
{
    ht_value column, out;
    ht_instance *instance = new_model(err);
    or_die(ht_series_value(x, &column, err), err);
    const double start = seconds_now();
    or_die(ht_instance_call(instance, "predict_batch", &column, 1, &out, err), err);
    way->seconds = seconds_now() - start;
    way->stats = ht_instance_get_stats(instance);
    ht_series *made = ht_series_retain(ht_value_series(out));
    ht_value_release(out);
    ht_value_release(column);
    ht_instance_release(instance);
    return made;
}

/* The best of nine, since a millisecond is little. */
static ht_series *best(ht_series *(*run)(ht_series *, guide_way *, ht_error *), ht_series *x, guide_way *way,
                       ht_error *err)
{
    guide_way one = *way;
    ht_series *made = run(x, way, err);
    for (int i = 0; i < 8; i++) {
        ht_series_release(run(x, &one, err));
        if (one.seconds < way->seconds) *way = one;
    }
    return made;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    void *data;
    ht_series *x;
    const guide_options options = guide_parse(argc, argv, 1000000);
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    or_die(ht_series_new(HT_DTYPE_FLOAT64, options.n, &data, &x, &err), &err);
    for (size_t i = 0; i < options.n; i++) ((double *)data)[i] = 20.0 * (double)i / (double)options.n;
    ht_series *rows = best(by_rows, x, &ways[0], &err);
    ht_series *automatic = best(by_frame, x, &ways[1], &err);
    ht_series *hand = best(by_hand, x, &ways[2], &err);
    const bool same = same_series(rows, automatic, hand);
    guide_digest digest = {0};
    const double *predicted = ht_series_data(automatic, HT_DTYPE_FLOAT64);
    for (size_t i = 0; i < options.n; i++) digest_number(&digest, predicted[i]);
    ht_series_release(rows);
    ht_series_release(automatic);
    ht_series_release(hand);
    ht_series_release(x);
    return guide_report("02_predict", options, ways, same, digest);
}
