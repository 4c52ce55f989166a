/*
 * bench_lexical.c - builds an inverted index of a BEIR folder and searches it: JSON lines on stdout.
 *
 * usage: bench_lexical FOLDER [--index FILE] [--analyzer NAME] [--preset NAME] [--max-queries N] [--peer FILE]
 * One thread. Building counts the builder's time (analysis, inversion, writing, fsync), not the reading
 * of JSON. Each query runs three times; p50 and p99 are over each query's best time, queries/s is the
 * middle pass. Query times include analysis. --peer names a file of such lines by another engine
 * (bench/peers/bm25s_bench.py); lines of the same name then carry its name and our value / its value.
 */
#include <houndstooth/lexical.h>

#include "codec/codec.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 64 << 20, PASSES = 3, WARM_UP = 30 };

typedef struct bench {
    const char *folder, *index, *analyzer, *preset, *peer;
    size_t max_queries;
    json_t *peer_lines; /* array of objects */
    char **queries;     /* [n_queries] */
    size_t n_queries, cap_queries, n_docs;
    ht_error err;
} bench;

static int fail(const bench *b)
{
    fprintf(stderr, "bench_lexical: %s\n", b->err.message);
    return ht_status_exit_code(b->err.status);
}

static void print_line(const bench *b, const char *name, double value, const char *unit)
{
    const char *peer = "";
    double peer_value = 0.0;
    for (size_t i = 0; i < json_array_size(b->peer_lines); i++) {
        const json_t *line = json_array_get(b->peer_lines, i);
        const char *line_name = json_string_value(json_object_get(line, "name"));
        if (!line_name || strcmp(line_name, name) != 0) continue;
        peer = json_string_value(json_object_get(line, "peer"));
        peer_value = json_number_value(json_object_get(line, "value"));
    }
    printf("{\"bench\": \"lexical\", \"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"peer\": \"%s\", ", name,
           value, unit, peer ? peer : "");
    if (peer_value > 0.0)
        printf("\"ratio\": %.3f}\n", value / peer_value);
    else
        printf("\"ratio\": null}\n");
    fflush(stdout);
}

typedef ht_status (*line_fn)(bench *b, const json_t *object, const char *path, void *ud, ht_error *err);

static ht_status each_line(bench *b, const char *path, line_fn fn, void *ud)
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
        status = fn(b, object, path, ud, &b->err);
        json_decref(object);
    }
    hti_lines_close(lines);
    return status;
}

typedef struct build {
    ht_lexical_builder *builder;
    uint64_t ns;
} build;

static ht_status add_doc(bench *b, const json_t *object, const char *path, void *ud, ht_error *err)
{
    build *now = ud;
    ht_text parts[2];
    HT_TRY(hti_json_text(object, path, "title", &parts[0], err));
    HT_TRY(hti_json_text(object, path, "text", &parts[1], err));
    const uint64_t start = hti_clock_ns();
    const ht_status status = ht_lexical_builder_add(now->builder, parts, 2, err);
    now->ns += hti_clock_ns() - start;
    b->n_docs++;
    return status;
}

static ht_status run_build(bench *b)
{
    char path[4096];
    build now = {0};
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    (void)snprintf(path, sizeof path, "%s/corpus.jsonl", b->folder);
    HT_TRY(ht_lexical_builder_new(b->index, b->analyzer, &now.builder, &b->err));
    const ht_status status = each_line(b, path, add_doc, &now);
    if (status != HT_OK) {
        ht_lexical_builder_abort(now.builder);
        return status;
    }
    const uint64_t before = hti_alloc_get_stats().live_bytes, start = hti_clock_ns();
    HT_TRY(ht_lexical_builder_finish(now.builder, &info, &b->err));
    const uint64_t finish_ns = hti_clock_ns() - start;
    now.ns += finish_ns;
    print_line(b, "build documents/s", (double)b->n_docs * 1e9 / (double)now.ns, "1/s");
    print_line(b, "build finish", (double)finish_ns / 1e9, "s");
    print_line(b, "build memory before finish", (double)before, "bytes");
    print_line(b, "build memory peak", (double)hti_alloc_get_stats().peak_bytes, "bytes");
    print_line(b, "index bytes", (double)info.size_bytes, "bytes");
    print_line(b, "bits a posting", (double)info.size_bytes * 8.0 / (double)info.n_postings, "bits");
    print_line(b, "postings", (double)info.n_postings, "1");
    print_line(b, "terms", (double)info.n_terms, "1");
    return HT_OK;
}

static ht_status add_query(bench *b, const json_t *object, const char *path, void *ud, ht_error *err)
{
    (void)ud;
    ht_text text;
    if (b->n_queries >= b->max_queries) return HT_OK;
    HT_TRY(hti_json_text(object, path, "text", &text, err));
    HT_TRY(hti_reserve(&b->queries, &b->cap_queries, b->n_queries + 1, sizeof *b->queries, err));
    char *copy = hti_alloc(text.len + 1);
    if (!copy) return HTI_NO_MEMORY(err);
    if (text.len) memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    b->queries[b->n_queries++] = copy;
    return HT_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* One k: times of every query in PASSES passes. best [n_queries]. */
static ht_status time_queries(bench *b, ht_lexical_session *session, const ht_bm25 *bm25, size_t k, double *best)
{
    ht_hit *hits = HTI_NEW_ARRAY(ht_hit, k);
    if (!hits) return HTI_NO_MEMORY(&b->err);
    double passes[PASSES] = {0};
    ht_status status = HT_OK;
    for (size_t pass = 0; status == HT_OK && pass < PASSES + 1; pass++) { /* the first one warms up */
        const size_t n = pass ? b->n_queries : HTI_MIN(b->n_queries, (size_t)WARM_UP);
        for (size_t i = 0; status == HT_OK && i < n; i++) {
            size_t n_hits;
            const uint64_t start = hti_clock_ns();
            status = ht_lexical_search(session, (ht_text){b->queries[i], strlen(b->queries[i])}, bm25, NULL, k, hits,
                                       &n_hits, &b->err);
            const double ns = (double)(hti_clock_ns() - start);
            if (pass == 0) continue;
            passes[pass - 1] += ns;
            if (pass == 1 || ns < best[i]) best[i] = ns;
        }
    }
    hti_free(hits);
    HT_TRY(status);
    char name[64];
    qsort(passes, PASSES, sizeof *passes, compare_doubles);
    qsort(best, b->n_queries, sizeof *best, compare_doubles);
    (void)snprintf(name, sizeof name, "k=%zu queries/s", k);
    print_line(b, name, (double)b->n_queries * 1e9 / passes[PASSES / 2], "1/s");
    (void)snprintf(name, sizeof name, "k=%zu p50", k);
    print_line(b, name, best[b->n_queries / 2] / 1e3, "us");
    (void)snprintf(name, sizeof name, "k=%zu p99", k);
    print_line(b, name, best[b->n_queries * 99 / 100] / 1e3, "us");
    return HT_OK;
}

static ht_status run_search(bench *b)
{
    static const size_t depths[] = {10, 100, 1000};
    char path[4096];
    ht_bm25 bm25;
    ht_lexical *lexical = NULL;
    ht_lexical_session *session = NULL;
    (void)snprintf(path, sizeof path, "%s/queries.jsonl", b->folder);
    HT_TRY(ht_bm25_preset(b->preset, &bm25, &b->err));
    HT_TRY(each_line(b, path, add_query, NULL));
    if (b->n_queries == 0) return HT_FAIL(&b->err, INVALID, "%s: no queries", path);
    const uint64_t start = hti_clock_ns();
    ht_status status = ht_lexical_open(&b->index, 1, &lexical, &b->err);
    if (status == HT_OK) status = ht_lexical_session_new(lexical, &session, &b->err);
    print_line(b, "open", (double)(hti_clock_ns() - start) / 1e3, "us");
    double *best = HTI_NEW_ARRAY(double, b->n_queries);
    if (status == HT_OK && !best) status = HTI_NO_MEMORY(&b->err);
    for (size_t i = 0; status == HT_OK && i < HTI_LEN(depths); i++)
        status = time_queries(b, session, &bm25, depths[i], best);
    print_line(b, "process peak memory", (double)hti_peak_memory(), "bytes");
    hti_free(best);
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
    return status;
}

static ht_status add_peer(bench *b, const json_t *object, const char *path, void *ud, ht_error *err)
{
    (void)path;
    (void)ud;
    if (!b->peer_lines) b->peer_lines = json_array(); /* not before codec has set jansson's allocator */
    return json_array_append(b->peer_lines, (json_t *)(uintptr_t)object) == 0 ? HT_OK : HTI_NO_MEMORY(err);
}

int main(int argc, char **argv)
{
    bench b = {
        .index = "/tmp/bench_lexical.index", .analyzer = "english", .preset = "anserini", .max_queries = SIZE_MAX};
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (has_value && strcmp(argv[i], "--index") == 0)
            b.index = argv[++i];
        else if (has_value && strcmp(argv[i], "--analyzer") == 0)
            b.analyzer = argv[++i];
        else if (has_value && strcmp(argv[i], "--preset") == 0)
            b.preset = argv[++i];
        else if (has_value && strcmp(argv[i], "--peer") == 0)
            b.peer = argv[++i];
        else if (has_value && strcmp(argv[i], "--max-queries") == 0)
            b.max_queries = (size_t)strtoull(argv[++i], NULL, 10);
        else
            b.folder = argv[i];
    }
    if (!b.folder) {
        fprintf(stderr,
                "usage: bench_lexical FOLDER [--index FILE] [--analyzer NAME] [--preset NAME] [--max-queries N]\n"
                "                     [--peer FILE]\n");
        return 2;
    }
    ht_status status = b.peer ? each_line(&b, b.peer, add_peer, NULL) : HT_OK;
    if (status == HT_OK) status = run_build(&b);
    if (status == HT_OK) status = run_search(&b);
    for (size_t i = 0; i < b.n_queries; i++) hti_free(b.queries[i]);
    hti_free(b.queries);
    json_decref(b.peer_lines);
    return status == HT_OK ? 0 : fail(&b);
}
