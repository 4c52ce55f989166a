/*
 * bench_encode.c - encodes documents and queries of a BEIR folder: JSON lines on stdout.
 *
 * usage: bench_encode MODEL FOLDER [--docs N] [--peer FILE]
 * Real lengths, the model's own limit. Documents are taken evenly over the corpus; one call encodes all of them;
 * the value
 * is the middle one of PASSES passes (least and most beside it) and counts true tokens, tokenizing included. f32,
 * and bf16
 * where the CPU has it; 1 and 2 threads. Queries go one at a time. --peer names a file of such lines by other engines
 * (bench/peers/encode_bench.py): each of the same name is repeated with our value / its value.
 */
#include <houndstooth/encoder.h>

#include "codec/codec.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 64 << 20, PASSES = 5, N_QUERIES = 60 };

typedef struct bench {
    const char *model, *folder, *peer;
    size_t n_docs_wanted;
    json_t *peer_lines, *docs, *queries; /* arrays of objects */
    ht_error err;
} bench;

static void print_one(const char *name, const double *value, const char *unit, const char *peer, double peer_value)
{
    printf("{\"bench\": \"encode\", \"name\": \"%s\", \"value\": %.6g, \"least\": %.6g, "
           "\"most\": %.6g, \"unit\": \"%s\", \"peer\": \"%s\", \"ratio\": ",
           name, value[1], value[0], value[2], unit, peer);
    if (peer_value > 0)
        printf("%.3f}\n", value[1] / peer_value);
    else
        printf("null}\n");
    fflush(stdout);
}

/* value: least, middle, most. */
static void print_line(const bench *b, const char *name, const double *value, const char *unit)
{
    bool met = false;
    for (size_t i = 0; i < json_array_size(b->peer_lines); i++) {
        const json_t *line = json_array_get(b->peer_lines, i);
        const char *line_name = json_string_value(json_object_get(line, "name")),
                   *peer = json_string_value(json_object_get(line, "peer"));
        if (!line_name || !peer || strcmp(line_name, name) != 0) continue;
        print_one(name, value, unit, peer, json_number_value(json_object_get(line, "value")));
        met = true;
    }
    if (!met) print_one(name, value, unit, "", 0);
}

static ht_status read_lines(bench *b, const char *path, json_t **out)
{
    hti_lines *lines;
    HT_TRY(hti_lines_open(path, MAX_LINE, &lines, &b->err));
    ht_status status = HT_OK;
    while (status == HT_OK) {
        ht_text line;
        json_t *object;
        status = hti_lines_next(lines, &line, &b->err);
        if (status != HT_OK || !line.data) break;
        status = hti_json_parse(line, path, hti_lines_number(lines), &object, &b->err);
        if (status != HT_OK) break;
        if (!*out) *out = json_array(); /* not before codec has set jansson's allocator */
        if (json_array_append_new(*out, object) != 0) status = HTI_NO_MEMORY(&b->err);
    }
    hti_lines_close(lines);
    return status;
}

static ht_text member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (ht_text){json_string_value(value), json_string_length(value)} : (ht_text){"", 0};
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static ht_status time_documents(bench *b, ht_encoder_session *session, const char *label)
{
    const size_t n = json_array_size(b->docs), every = HTI_MAX(n / b->n_docs_wanted, (size_t)1);
    ht_encoder_input *inputs = HTI_NEW_ARRAY(ht_encoder_input, n);
    if (!inputs) return HTI_NO_MEMORY(&b->err);
    size_t n_docs = 0, n_tokens = 0;
    for (size_t i = 0; i < n && n_docs < b->n_docs_wanted; i += every)
        inputs[n_docs++] =
            (ht_encoder_input){member(json_array_get(b->docs, i), "title"), member(json_array_get(b->docs, i), "text")};
    double rates[PASSES];
    ht_status status = HT_OK;
    for (size_t pass = 0; status == HT_OK && pass < PASSES + 1; pass++) { /* the first one warms up */
        const ht_encoding *made;
        const uint64_t start = hti_clock_ns();
        status = ht_encoder_encode(session, HT_ROLE_DOCUMENT, inputs, n_docs, NULL, &made, &b->err);
        const double seconds = (double)(hti_clock_ns() - start) / 1e9;
        n_tokens = 0;
        for (size_t i = 0; status == HT_OK && i < n_docs; i++) n_tokens += made->n_tokens[i];
        if (pass > 0) rates[pass - 1] = (double)n_tokens / seconds;
    }
    hti_free(inputs);
    HT_TRY(status);
    char name[96];
    qsort(rates, PASSES, sizeof *rates, compare_doubles);
    const double spread[] = {rates[0], rates[PASSES / 2], rates[PASSES - 1]};
    (void)snprintf(name, sizeof name, "%s tokens/s", label);
    print_line(b, name, spread, "1/s");
    return HT_OK;
}

static ht_status time_queries(bench *b, ht_encoder_session *session, const char *label)
{
    double times[N_QUERIES];
    const size_t n = HTI_MIN(json_array_size(b->queries), (size_t)N_QUERIES);
    for (size_t pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < n; i++) {
            const ht_encoder_input input = {.text = member(json_array_get(b->queries, i), "text")};
            const ht_encoding *made;
            const uint64_t start = hti_clock_ns();
            HT_TRY(ht_encoder_encode(session, HT_ROLE_QUERY, &input, 1, NULL, &made, &b->err));
            const double ms = (double)(hti_clock_ns() - start) / 1e6;
            times[i] = pass == 0 || ms < times[i] ? ms : times[i];
        }
    if (n == 0) return HT_OK;
    char name[96];
    qsort(times, n, sizeof *times, compare_doubles);
    const double spread[] = {times[0], times[n / 2], times[n - 1]};
    (void)snprintf(name, sizeof name, "%s query p50", label);
    print_line(b, name, spread, "ms");
    return HT_OK;
}

static ht_status time_all(bench *b, ht_pool *pool, ht_precision precision, const char *label)
{
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    opts.precision = precision;
    opts.pool = pool;
    ht_encoder *encoder;
    double open[3];
    for (size_t pass = 0;; pass++) {
        const uint64_t start = hti_clock_ns();
        const ht_status status = ht_encoder_open(b->model, &opts, &encoder, &b->err);
        if (status == HT_UNSUPPORTED) return HT_OK; /* no bf16 here */
        HT_TRY(status);
        open[pass] = (double)(hti_clock_ns() - start) / 1e6;
        if (pass == 2) break;
        ht_encoder_close(encoder);
    }
    char name[96];
    qsort(open, 3, sizeof *open, compare_doubles);
    (void)snprintf(name, sizeof name, "%s open", label);
    print_line(b, name, open, "ms");
    ht_encoder_session *session;
    ht_status status = ht_encoder_session_new(encoder, &session, &b->err);
    if (status == HT_OK) status = time_documents(b, session, label);
    if (status == HT_OK) status = time_queries(b, session, label);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    return status;
}

static ht_status run(bench *b)
{
    static const struct {
        ht_precision precision;
        const char *name;
    } precisions[] = {{HT_PRECISION_F32, "f32"}, {HT_PRECISION_BF16, "bf16"}};
    char path[4096], label[64];
    (void)snprintf(path, sizeof path, "%s/corpus.jsonl", b->folder);
    HT_TRY(read_lines(b, path, &b->docs));
    (void)snprintf(path, sizeof path, "%s/queries.jsonl", b->folder);
    HT_TRY(read_lines(b, path, &b->queries));
    if (b->peer) HT_TRY(read_lines(b, b->peer, &b->peer_lines));
    for (size_t threads = 1; threads <= 2; threads++)
        for (size_t i = 0; i < HTI_LEN(precisions); i++) {
            ht_pool *pool;
            HT_TRY(ht_pool_new(threads, &pool, &b->err));
            (void)snprintf(label, sizeof label, "%s, %zu thread%s:", precisions[i].name, threads,
                           threads > 1 ? "s" : "");
            const ht_status status = time_all(b, pool, precisions[i].precision, label);
            ht_pool_free(pool);
            HT_TRY(status);
        }
    const double peak = (double)hti_peak_memory(), spread[] = {peak, peak, peak};
    print_line(b, "process peak memory", spread, "bytes");
    return HT_OK;
}

int main(int argc, char **argv)
{
    bench b = {.n_docs_wanted = 350};
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (has_value && strcmp(argv[i], "--docs") == 0)
            b.n_docs_wanted = (size_t)strtoull(argv[++i], NULL, 10);
        else if (has_value && strcmp(argv[i], "--peer") == 0)
            b.peer = argv[++i];
        else if (!b.model)
            b.model = argv[i];
        else
            b.folder = argv[i];
    }
    if (!b.model || !b.folder || b.n_docs_wanted == 0) {
        fprintf(stderr, "usage: bench_encode MODEL FOLDER [--docs N] [--peer FILE]\n");
        return 2;
    }
    const ht_status status = run(&b);
    json_decref(b.docs);
    json_decref(b.queries);
    json_decref(b.peer_lines);
    if (status != HT_OK) fprintf(stderr, "bench_encode: %s\n", b.err.message);
    return ht_status_exit_code(status);
}
