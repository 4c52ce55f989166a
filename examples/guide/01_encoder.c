/*
 * 01_encoder.c - a class with a lazy init, its row and its batch form, in a frame.
 *
 * The encoder is a stand-in whose cost is that of many models: loading takes a while, a call has a fixed price, and a
 * row a small one. Nothing is loaded when the instance is made; one object is made at the first call and used for all
 * rows. The frame's column is written with the row method `encode`; the runtime calls its batch form.
 */
#include "guide.h"

enum { DIM = 8 };

static void busy(double seconds)
{
    for (const double end = seconds_now() + seconds; seconds_now() < end;) continue;
}

/* Runs once for each live object, at the first call. */
static ht_status load_model(void **self, ht_value args, ht_error *err)
{
    (void)err;
    static int model;
    (void)fprintf(stderr, "[worker] loading %s\n", ht_value_text(args).data);
    busy(0.02);
    *self = &model;
    return HT_OK;
}

static ht_status embed(ht_value text, ht_value *out, ht_error *err)
{
    const ht_text view = ht_value_text(text);
    float vector[DIM] = {0};
    for (size_t i = 0; i < view.len; i++) vector[(unsigned char)view.data[i] % DIM] += 1;
    busy(10e-6); /* the row's own work */
    return ht_value_tensor(HT_F32, 1, (int64_t[]){DIM}, vector, out, err);
}

static ht_status encode(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    busy(1e-3); /* the price of a call */
    return embed(in[0], out, err);
}

static ht_status encode_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    (void)self;
    busy(1e-3);
    for (size_t i = 0; i < n; i++) {
        const ht_status status = embed(in[0].rows[i], &out[0][i], err);
        if (status != HT_OK) return status;
    }
    return HT_OK;
}

static const ht_method methods[] = {{"encode", 1, {.row = encode, .batch = encode_batch}}};
static const ht_class encoder_class = {HT_DESC(ht_class), .name = "guide.Encoder", .init = load_model,
                                       .methods = methods, .n_methods = 1};

static ht_instance *new_encoder(ht_error *err)
{
    ht_value name;
    ht_instance *encoder;
    or_die(ht_value_string(text_of("my-model"), &name, err), err);
    or_die(ht_instance_new(&encoder_class, name, &encoder, err), err); /* a spec: nothing is loaded */
    ht_value_release(name);
    return encoder;
}

static ht_series *texts(size_t n, ht_error *err)
{
    ht_value *rows = malloc((n + 1) * sizeof *rows);
    ht_series *series;
    if (!rows) exit(1);
    for (size_t i = 0; i < n; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "passage number %zu", i);
        or_die(ht_value_string(text_of(text), &rows[i], err), err);
    }
    or_die(ht_series_from_values(HT_DTYPE_STRING, rows, n, &series, err), err);
    for (size_t i = 0; i < n; i++) ht_value_release(rows[i]);
    free(rows);
    return series;
}

/* df.with_column("emb", encoder.encode(col("text"))).collect() */
static ht_series *by_frame(ht_series *text, ht_instance *encoder, size_t batch_max, guide_way *way, ht_error *err)
{
    const char *name = "text";
    ht_frame *frame, *with, *done;
    ht_series *emb;
    ht_expr *arg = ht_expr_col("text");
    const ht_run_options options = {HT_DESC(ht_run_options), .batch_max = batch_max};
    or_die(ht_frame_from_columns(&name, &text, 1, &frame, err), err);
    or_die(ht_frame_with_column(frame, "emb", ht_expr_call(encoder, "encode", &arg, 1), &with, err), err);
    const double start = seconds_now();
    or_die(ht_frame_collect(with, &options, &done, err), err);
    way->seconds = seconds_now() - start;
    way->stats = ht_instance_get_stats(encoder);
    or_die(ht_frame_column(done, "emb", &emb, err), err);
    ht_frame_release(done);
    ht_frame_release(with);
    ht_frame_release(frame);
    ht_instance_release(encoder);
    return emb;
}

/* encoder.encode_batch(texts) */
static ht_series *by_hand(ht_series *text, ht_instance *encoder, guide_way *way, ht_error *err)
{
    ht_value column, out;
    or_die(ht_series_value(text, &column, err), err);
    const double start = seconds_now();
    or_die(ht_instance_call(encoder, "encode_batch", &column, 1, &out, err), err);
    way->seconds = seconds_now() - start;
    way->stats = ht_instance_get_stats(encoder);
    ht_series *emb = ht_series_retain(ht_value_series(out));
    ht_value_release(out);
    ht_value_release(column);
    ht_instance_release(encoder);
    return emb;
}

int main(int argc, char **argv)
{
    ht_error err = {0};
    const guide_options options = guide_parse(argc, argv, 200);
    guide_way ways[3] = {{.name = "row by row"}, {.name = "automatic"}, {.name = "by hand"}};
    ht_series *text = texts(options.n, &err);
    ht_series *rows = by_frame(text, new_encoder(&err), 1, &ways[0], &err); /* batch_max 1: every row alone */
    ht_series *automatic = by_frame(text, new_encoder(&err), 0, &ways[1], &err);
    ht_series *hand = by_hand(text, new_encoder(&err), &ways[2], &err);
    const bool same = same_series(rows, automatic, hand);
    guide_digest digest = {0};
    for (size_t i = 0; i < options.n; i++) {
        ht_value vector;
        or_die(ht_series_get(automatic, i, &vector, &err), &err);
        digest_floats(&digest, vector);
        ht_value_release(vector);
    }
    ht_series_release(rows);
    ht_series_release(automatic);
    ht_series_release(hand);
    ht_series_release(text);
    return guide_report("01_encoder", options, ways, same, digest);
}
