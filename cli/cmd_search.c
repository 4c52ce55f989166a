/*
 * cmd_search.c - `hound search`: one query to the terminal, or a file of queries to a TREC run.
 */
#include "rows.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct search_args {
    const char *queries, *run, *mode, *preset, *model, *precision;
    size_t k, rerank_depth, jobs;
    double mix, rrf_k;
    bool explain, json, quiet;
} search_args;

static const char *const precisions[] = {"auto", "f32", "bf16", NULL};

/* ---- one query, printed ---- */

static json_t *text_json(ht_text text) { return json_stringn(text.data ? text.data : "", text.len); }

static json_t *explain_json(const ht_search_hit *hit)
{
    json_t *parts = json_array(), *matches = json_array();
    for (size_t i = 0; i < hit->n_parts; i++) {
        const ht_lexical_part *part = &hit->parts[i];
        json_array_append_new(parts,
                              json_pack("{s:o, s:i, s:i, s:i, s:i, s:f, s:f, s:f}", "term", text_json(part->term),
                                        "query_tf", (int)part->query_tf, "tf", (int)part->tf, "df", (int)part->df,
                                        "doc_len", (int)part->doc_len, "idf", part->idf, "tf_part", part->tf_part,
                                        "contribution", part->contribution));
    }
    for (size_t i = 0; i < hit->n_matches; i++) {
        const ht_token_match *match = &hit->matches[i];
        json_array_append_new(matches,
                              json_pack("{s:o, s:o, s:i, s:i, s:f}", "query_token", text_json(match->query_token),
                                        "doc_token", text_json(match->doc_token), "start", (int)match->doc_start, "end",
                                        (int)match->doc_end, "score", (double)match->score));
    }
    return json_pack("{s:o, s:o}", "bm25", parts, "maxsim", matches);
}

static void add_signal(json_t *object, const char *name, double value)
{
    if (!isnan(value)) json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null());
}

static ht_status print_result_json(const char *query, const ht_search_result *result, bool explain, ht_error *err)
{
    json_t *hits = json_array();
    for (size_t i = 0; i < result->n_hits; i++) {
        const ht_search_hit *hit = &result->hits[i];
        json_t *object = json_pack("{s:i, s:o, s:f, s:o, s:o}", "rank", (int)i + 1, "id", text_json(hit->id), "score",
                                   hit->score, "title", text_json(hit->title), "text", text_json(hit->text));
        add_signal(object, "bm25", hit->bm25);
        add_signal(object, "cosine", hit->cosine);
        add_signal(object, "maxsim", hit->maxsim);
        if (explain) json_object_set_new(object, "explain", explain_json(hit));
        json_array_append_new(hits, object);
    }
    return print_json(
        json_pack("{s:s, s:o, s:f}", "query", query, "hits", hits, "ms", (double)result->timing.total_ns / 1e6), err);
}

static void print_matches(const ht_search_hit *hit)
{
    if (hit->n_parts) printf("     bm25 %.4f =", hit->bm25);
    for (size_t i = 0; i < hit->n_parts; i++)
        printf("%s %.*s %.4f (tf %u, df %u)", i ? " +" : "", (int)hit->parts[i].term.len, hit->parts[i].term.data,
               hit->parts[i].contribution, hit->parts[i].tf, hit->parts[i].df);
    if (hit->n_parts) printf("\n");
    if (hit->n_matches) printf("     maxsim");
    for (size_t i = 0; i < hit->n_matches; i++) {
        const ht_token_match *match = &hit->matches[i];
        printf(" %.*s~%.*s %.2f", (int)match->query_token.len, match->query_token.data, (int)match->doc_token.len,
               match->doc_token.data, (double)match->score);
    }
    if (hit->n_matches) printf("\n");
}

static void print_result(const ht_search_result *result, bool explain)
{
    for (size_t i = 0; i < result->n_hits; i++) {
        const ht_search_hit *hit = &result->hits[i];
        char text[256];
        const bool repeated = hit->title.len && hit->text.len >= hit->title.len &&
                              memcmp(hit->title.data, hit->text.data, hit->title.len) == 0;
        printf("%2zu. %-12.*s %8.4f  %.*s\n", i + 1, (int)hit->id.len, hit->id.data, hit->score, (int)hit->title.len,
               hit->title.data ? hit->title.data : "");
        const ht_text body =
            repeated ? (ht_text){hit->text.data + hit->title.len, hit->text.len - hit->title.len} : hit->text;
        if (body.len) printf("     %s\n", snippet(body, 0, 110, text, sizeof text));
        if (explain) print_matches(hit);
    }
    const ht_search_timing *t = &result->timing;
    printf("%zu hits in %.1f ms (encode %.1f, bm25 %.1f, dense %.1f, maxsim %.1f, fetch %.1f)\n", result->n_hits,
           (double)t->total_ns / 1e6, (double)t->encode_ns / 1e6, (double)t->bm25_ns / 1e6, (double)t->dense_ns / 1e6,
           (double)t->maxsim_ns / 1e6, (double)t->fetch_ns / 1e6);
}

static ht_status search_one(ht_search_session *session, const char *query, const ht_search_opts *opts,
                            const search_args *args, ht_error *err)
{
    ht_search_opts with = *opts;
    with.with_fields = true;
    with.explain = args->explain;
    const ht_search_result *result;
    TRY(ht_search(session, (ht_text){query, strlen(query)}, &with, &result, err));
    if (args->json) return print_result_json(query, result, args->explain, err);
    if (result->n_hits == 0) (void)fprintf(stderr, "no hits: no document holds a term of the query\n");
    print_result(result, args->explain);
    return HT_OK;
}

/* ---- many queries, into a run ---- */

typedef struct run_sink {
    ht_run *run;
    const ht_queries *queries;
    double *ms; /* [n] latency of each query */
} run_sink;

static ht_status keep_result(void *ud, size_t query, const ht_search_result *result, ht_error *err)
{
    run_sink *sink = ud;
    const ht_text id = ht_queries_at(sink->queries, query, NULL);
    for (size_t i = 0; i < result->n_hits; i++)
        TRY(ht_run_add(sink->run, id, result->hits[i].id, result->hits[i].score, err));
    sink->ms[query] = (double)result->timing.total_ns / 1e6;
    return HT_OK;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ht_status search_queries(ht_search_session *session, ht_queries *queries, const ht_search_opts *opts,
                                const search_args *args, run_sink *sink, ht_error *err)
{
    const size_t n = ht_queries_len(queries);
    ht_text *texts = calloc(n ? n : 1, sizeof *texts);
    sink->ms = calloc(n ? n : 1, sizeof *sink->ms);
    ht_status status = texts && sink->ms ? HT_OK : fail(err, HT_NO_MEMORY, "out of memory for %zu queries", n);
    for (size_t i = 0; status == HT_OK && i < n; i++) (void)ht_queries_at(queries, i, &texts[i]);
    progress bar;
    progress_init(&bar, args->quiet);
    const uint64_t start = now_ns();
    if (status == HT_OK) status = ht_search_many(session, texts, n, opts, &bar.monitor, keep_result, sink, err);
    const double seconds = (double)(now_ns() - start) / 1e9;
    progress_end(&bar);
    if (status == HT_OK) status = ht_run_write(sink->run, args->run, ht_mode_name(opts->mode), err);
    if (status == HT_OK && !args->quiet && n > 0) {
        qsort(sink->ms, n, sizeof *sink->ms, by_size);
        (void)fprintf(stderr, "%zu queries in %.2f s: %.0f queries/s, p50 %.2f ms, p99 %.2f ms\n", n, seconds,
                      (double)n / seconds, sink->ms[n / 2], sink->ms[n - 1 - n / 100]);
    }
    free(texts);
    free(sink->ms);
    return status;
}

static ht_status search_file(ht_search_session *session, const ht_search_opts *opts, const search_args *args,
                             ht_error *err)
{
    ht_queries *queries;
    TRY(ht_queries_read(args->queries, NULL, &queries, err));
    run_sink sink = {.queries = queries};
    ht_status status = ht_run_new(&sink.run, err);
    if (status == HT_OK) status = search_queries(session, queries, opts, args, &sink, err);
    ht_run_free(sink.run);
    ht_queries_free(queries);
    return status;
}

/* ---- the command ---- */

static ht_status make_opts(const search_args *args, ht_search_opts *opts, ht_collection_opts *open, ht_error *err)
{
    size_t precision;
    ht_search_opts_init(opts);
    ht_collection_opts_init(open);
    TRY(ht_mode_find(args->mode, &opts->mode, err));
    TRY(ht_bm25_preset(args->preset, &opts->bm25, err));
    TRY(choose("precision", args->precision, precisions, &precision, err));
    if (args->k == 0) return fail(err, HT_INVALID, "-k must be at least 1");
    opts->k = args->k;
    opts->rerank_depth = args->rerank_depth;
    opts->rrf_k = args->rrf_k;
    open->model = args->model;
    open->mix = (float)args->mix;
    open->precision = (ht_precision)precision;
    return HT_OK;
}

static ht_status search_in(const char *dir, const char *query, const search_args *args, ht_pool *pool, ht_error *err)
{
    ht_search_opts opts;
    ht_collection_opts open;
    TRY(make_opts(args, &opts, &open, err));
    open.pool = pool;
    ht_collection *collection;
    TRY(ht_collection_open(dir, &open, &collection, err));
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(collection, &info);
    if (info.warning) (void)fprintf(stderr, "hound search: warning: %s\n", info.warning);
    ht_search_session *session;
    ht_status status = ht_search_session_new(collection, &session, err);
    if (status == HT_OK) {
        status = query ? search_one(session, query, &opts, args, err) : search_file(session, &opts, args, err);
        ht_search_session_free(session);
    }
    ht_collection_close(collection);
    return status;
}

ht_status hound_search(int argc, char **argv, ht_error *err)
{
    search_args args = {.mode = "hybrid",
                        .preset = "default",
                        .precision = "auto",
                        .k = 0,
                        .rerank_depth = 100,
                        .mix = -1,
                        .rrf_k = 60};
    const opt_row rows[] = {
        {"queries", 0, OPT_TEXT, &args.queries, "FILE", "JSON lines {\"_id\", \"text\"} or TSV; - for standard input"},
        {"run", 0, OPT_TEXT, &args.run, "FILE", "where the TREC run of --queries goes (- for standard output)"},
        {"k", 'k', OPT_COUNT, &args.k, "N", "hits a query (default: 10, with --queries 1000)"},
        {"mode", 0, OPT_TEXT, &args.mode, "MODE", "bm25, dense, maxsim, rrf, hybrid (default), rerank"},
        {"rerank-depth", 0, OPT_COUNT, &args.rerank_depth, "N", "candidates of rerank and hybrid (default 100)"},
        {"preset", 0, OPT_TEXT, &args.preset, "NAME", "BM25: default (1.2/.75) or anserini (.9/.4)"},
        RRF_K_ROW(&args.rrf_k),
        {"mix", 0, OPT_REAL, &args.mix, "X", "share of the pooled vector in query vectors (default: as indexed)"},
        {"model", 'm', OPT_TEXT, &args.model, "NAME|DIR", "where the collection's model lies now"},
        PRECISION_ROW(&args.precision),
        {"explain", 'e', OPT_FLAG, &args.explain, NULL, "BM25's parts and the tokens that matched"},
        JOBS_ROW(&args.jobs),
        {"quiet", 'q', OPT_FLAG, &args.quiet, NULL, "no progress, no summary"},
        {"json", 0, OPT_FLAG, &args.json, NULL, "hits as JSON"},
    };
    const opt_spec spec = {
        "search DIR QUERY | DIR --queries FILE --run OUT [options]",
        "Searches the collection in DIR. The default mode, hybrid, takes candidates by BM25 and pooled cosine\n"
        "and ranks them by BM25, cosine and MaxSim together.",
        "  hound search cranfield.ht \"what is a boundary layer\" --explain\n"
        "  hound search cranfield.ht --queries data/cranfield/queries.jsonl --run hybrid.run",
        ROWS(rows),
        1,
        2};
    text_list positional;
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    const char *query = positional.len == 2 ? positional.items[1] : NULL;
    if (!query == !args.queries)
        return fail(err, HT_INVALID, "give either a QUERY or --queries FILE; see hound search --help");
    if (args.queries && !args.run) return fail(err, HT_INVALID, "--queries needs --run FILE (or --run -)");
    if (args.k == 0) args.k = query ? 10 : 1000;
    ht_pool *pool;
    TRY(make_pool(args.jobs, &pool, err));
    const ht_status status = search_in(positional.items[0], query, &args, pool, err);
    ht_pool_free(pool);
    return status;
}
