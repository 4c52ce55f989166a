/*
 * cmd_demo.c - `hound demo`: the main job on a real collection: index, search in every mode, judge.
 *
 * The collection is kept, so a second run starts at the searches. Runs are 1,000 hits deep and made in batches;
 * times are of ten hits, one query after the other.
 */
#include "demo.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct demo_args {
    const char *data, *dir, *model, *query;
    size_t jobs;
    bool quiet;
} demo_args;

typedef struct demo_paths {
    char corpus[4096], queries[4096], qrels[4096];
} demo_paths;

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static void print_stages(const ht_index_stats *stats, uint64_t wall_ns)
{
    const double seconds = (double)wall_ns / 1e9, encode = (double)stats->encode_ns / 1e9;
    printf("Indexed %llu documents in %.1f s\n", (unsigned long long)stats->n_docs, seconds);
    printf("  %-10s %8.2f s  %9.0f documents/s  %9.0f tokens/s\n", "encode", encode, (double)stats->n_docs / encode,
           (double)stats->n_tokens / encode);
    printf("  %-10s %8.2f s  %9.0f documents/s\n", "vectors", (double)stats->vectors_ns / 1e9,
           (double)stats->n_docs * 1e9 / (double)stats->vectors_ns);
    printf("  %-10s %8.2f s  %9.0f documents/s\n", "lexical", (double)stats->lexical_ns / 1e9,
           (double)stats->n_docs * 1e9 / (double)stats->lexical_ns);
    printf("  %-10s %8.2f s  (read %.2f s, commit %.2f s)\n", "store", (double)stats->store_ns / 1e9,
           (double)stats->read_ns / 1e9, (double)stats->commit_ns / 1e9);
    printf("  %llu of %llu documents were longer than the model's limit and were cut\n",
           (unsigned long long)stats->n_truncated, (unsigned long long)stats->n_docs);
}

static ht_status build_index(const demo_args *args, const demo_paths *paths, ht_pool *pool, ht_error *err)
{
    ht_index_opts opts;
    ht_index_opts_init(&opts);
    opts.model = args->model;
    opts.pool = pool;
    ht_indexer *indexer;
    progress bar;
    progress_init(&bar, args->quiet);
    const uint64_t start = now_ns();
    TRY(ht_indexer_new(args->dir, &opts, &indexer, err));
    const ht_status status = ht_indexer_add_file(indexer, paths->corpus, &bar.monitor, err);
    progress_end(&bar);
    if (status != HT_OK) {
        ht_indexer_abort(indexer);
        return status;
    }
    ht_index_stats stats = {HT_DESC(ht_index_stats)};
    TRY(ht_indexer_commit(indexer, &bar.monitor, &stats, err));
    progress_end(&bar);
    print_stages(&stats, now_ns() - start);
    return HT_OK;
}

/* Opens the collection; one that is not there, or holds nothing, is made first. */
static ht_status open_or_build(const demo_args *args, const demo_paths *paths, ht_pool *pool, ht_collection **out,
                               ht_error *err)
{
    ht_collection_opts opts;
    ht_collection_opts_init(&opts);
    opts.model = args->model;
    opts.pool = pool;
    ht_status status = ht_collection_open(args->dir, &opts, out, err);
    if (status == HT_OK) {
        ht_collection_info info = {HT_DESC(ht_collection_info)};
        ht_collection_get_info(*out, &info);
        if (info.n_docs > 0) {
            printf("Collection %s is there: %u documents (delete it to index again)\n", args->dir, info.n_docs);
            return HT_OK;
        }
        ht_collection_close(*out);
    } else if (status != HT_NOT_FOUND) {
        return status;
    }
    TRY(build_index(args, paths, pool, err));
    return ht_collection_open(args->dir, &opts, out, err);
}

/* Where the hits of a mode's queries go. */
typedef struct demo_sink {
    ht_run *run;
    const ht_queries *queries;
} demo_sink;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ht_status keep_hits(void *ud, size_t query, const ht_search_result *result, ht_error *err)
{
    demo_sink *sink = ud;
    const ht_text id = ht_queries_at(sink->queries, query, NULL);
    for (size_t i = 0; i < result->n_hits; i++)
        TRY(ht_run_add(sink->run, id, result->hits[i].id, result->hits[i].score, err));
    return HT_OK;
}

/* Ten hits a query, one query at a time, as a user would meet them: the times are theirs. */
static ht_status time_queries(ht_search_session *session, const ht_text *texts, size_t n, demo_mode *mode, double *ms,
                              ht_error *err)
{
    ht_search_opts opts;
    ht_search_opts_init(&opts);
    opts.mode = mode->mode;
    for (size_t q = 0; q < n; q++) {
        const ht_search_result *result;
        TRY(ht_search(session, texts[q], &opts, &result, err));
        ms[q] = (double)result->timing.total_ns / 1e6;
        mode->ms_mean += ms[q] / (double)n;
    }
    qsort(ms, n, sizeof *ms, by_size);
    mode->ms_p50 = n ? ms[n / 2] : 0;
    return HT_OK;
}

static ht_status run_mode(ht_search_session *session, demo_data *data, demo_mode *mode, const ht_monitor *monitor,
                          ht_error *err)
{
    const size_t n = ht_queries_len(data->queries);
    ht_text *texts = calloc(n + 1, sizeof *texts);
    double *ms = calloc(n + 1, sizeof *ms);
    ht_status status = HT_NO_MEMORY;
    if (texts && ms) {
        for (size_t q = 0; q < n; q++) (void)ht_queries_at(data->queries, q, &texts[q]);
        ht_search_opts opts;
        ht_search_opts_init(&opts);
        opts.mode = mode->mode;
        opts.k = DEMO_K;
        status = ht_run_new(&mode->run, err);
        demo_sink sink = {mode->run, data->queries};
        if (status == HT_OK) status = ht_search_many(session, texts, n, &opts, monitor, keep_hits, &sink, err);
        if (status == HT_OK) status = time_queries(session, texts, n, mode, ms, err);
    }
    free(texts);
    free(ms);
    return status;
}

static ht_status judge_modes(ht_search_session *session, demo_data *data, bool quiet, ht_error *err)
{
    ht_measure measures[DEMO_MEASURES];
    for (size_t m = 0; m < DEMO_MEASURES; m++)
        TRY(ht_measure_parse((ht_text){demo_measures[m], strlen(demo_measures[m])}, &measures[m], err));
    ht_eval_opts opts;
    ht_eval_opts_init(&opts);
    opts.complete = true;
    progress bar;
    progress_init(&bar, quiet);
    for (size_t i = 0; i < DEMO_MODES; i++) {
        data->modes[i].mode = (ht_mode)i;
        const ht_status status = run_mode(session, data, &data->modes[i], &bar.monitor, err);
        progress_end(&bar);
        TRY(status);
        TRY(ht_evaluate(data->qrels, data->modes[i].run, measures, DEMO_MEASURES, &opts, &data->modes[i].judged, err));
    }
    return HT_OK;
}

static void print_sizes(const ht_collection *collection)
{
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(collection, &info);
    if (info.n_docs == 0) return;
    char all[32];
    printf("\nIndex: %s in all; bytes a document: vectors %llu, lexical %llu, everything %llu\n",
           human_bytes(info.size_bytes, all, sizeof all), (unsigned long long)(info.vectors.size_bytes / info.n_docs),
           (unsigned long long)(info.lexical.size_bytes / info.n_docs),
           (unsigned long long)(info.size_bytes / info.n_docs));
}

static ht_status search_and_report(ht_collection *collection, const demo_args *args, demo_data *data, ht_error *err)
{
    ht_search_session *session;
    TRY(ht_search_session_new(collection, &session, err));
    ht_status status = judge_modes(session, data, args->quiet, err);
    if (status == HT_OK) status = demo_print_quality(data, err);
    if (status == HT_OK) {
        print_sizes(collection);
        demo_print_queries(data);
        status = demo_print_sample(session, args->query, err);
    }
    ht_search_session_free(session);
    return status;
}

static ht_status run_demo(const demo_args *args, ht_pool *pool, ht_error *err)
{
    demo_paths paths;
    (void)snprintf(paths.corpus, sizeof paths.corpus, "%s/corpus.jsonl", args->data);
    (void)snprintf(paths.queries, sizeof paths.queries, "%s/queries.jsonl", args->data);
    (void)snprintf(paths.qrels, sizeof paths.qrels, "%s/qrels/test.tsv", args->data);
    if (!exists(paths.corpus))
        return fail(err, HT_NOT_FOUND,
                    "%s is not there; give --data DIR with corpus.jsonl, queries.jsonl and qrels/test.tsv",
                    paths.corpus);
    demo_data data;
    memset(&data, 0, sizeof data);
    ht_collection *collection = NULL;
    ht_status status = open_or_build(args, &paths, pool, &collection, err);
    if (status == HT_OK) status = ht_queries_read(paths.queries, NULL, &data.queries, err);
    if (status == HT_OK) status = ht_qrels_read(paths.qrels, NULL, &data.qrels, err);
    if (status == HT_OK) status = search_and_report(collection, args, &data, err);
    for (size_t i = 0; i < DEMO_MODES; i++) {
        ht_evaluation_free(data.modes[i].judged);
        ht_run_free(data.modes[i].run);
    }
    ht_qrels_free(data.qrels);
    ht_queries_free(data.queries);
    ht_collection_close(collection);
    if (status == HT_OK) status = demo_flow(paths.corpus, args->model, err);
    return status;
}

ht_status hound_demo(int argc, char **argv, ht_error *err)
{
    demo_args args = {
        .data = "data/cranfield",
        .dir = "build/demo/cranfield.ht",
        .model = "default",
        .query =
            "what similarity laws must be obeyed when constructing aeroelastic models of heated high speed aircraft"};
    const opt_row rows[] = {
        {"data", 0, OPT_TEXT, &args.data, "DIR", "BEIR folder (default data/cranfield)"},
        {"dir", 0, OPT_TEXT, &args.dir, "DIR", "where the collection is kept (default build/demo/cranfield.ht)"},
        ENCODER_ROW(&args.model),
        {"query", 0, OPT_TEXT, &args.query, "TEXT", "the sample query"},
        JOBS_ROW(&args.jobs),
        QUIET_ROW(&args.quiet),
    };
    const opt_spec spec = {
        "demo [options]",
        "Indexes a real collection, searches it in every mode, judges the runs with the collection's relevance\n"
        "judgements and prints quality, time per stage and a sample; then encodes row by row, by a pipeline on each\n"
        "engine, and by hand.",
        "  hound demo",
        ROWS(rows),
        0,
        0};
    text_list positional;
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    ht_pool *pool;
    TRY(make_pool(args.jobs, &pool, err));
    const ht_status status = run_demo(&args, pool, err);
    ht_pool_free(pool);
    return status;
}
