/*
 * cmd_index.c - `hound index`: documents into a collection, all or nothing.
 */
#include "rows.h"

#include <jansson.h>
#include <string.h>

typedef struct index_args {
    text_list corpora, deletes;
    const char *model, *analyzer, *vector_type, *precision;
    bool no_vectors, no_lexical, keep_punctuation, json, quiet;
    double mix;
    size_t jobs, max_tokens;
} index_args;

static const char *const vector_types[] = {"int8", "f16", NULL};
static const char *const precisions[] = {"auto", "f32", "bf16", NULL};

static ht_status make_opts(const index_args *args, ht_index_opts *opts, ht_error *err)
{
    size_t type, precision;
    ht_index_opts_init(opts);
    TRY(choose("vector-type", args->vector_type, vector_types, &type, err));
    TRY(choose("precision", args->precision, precisions, &precision, err));
    opts->model = args->no_vectors ? NULL : args->model;
    opts->analyzer = args->no_lexical ? NULL : args->analyzer;
    opts->vector_type = (ht_vector_type)type;
    opts->precision = (ht_precision)precision;
    opts->mix = (float)args->mix;
    opts->max_tokens = (uint32_t)(args->max_tokens < UINT32_MAX ? args->max_tokens : UINT32_MAX);
    opts->keep_punctuation = args->keep_punctuation ? 1 : -1;
    return HT_OK;
}

static ht_status report(const char *dir, const ht_index_stats *stats, uint64_t wall_ns, bool json, ht_error *err)
{
    const double seconds = (double)wall_ns / 1e9;
    if (json)
        return print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "collection", dir,
                                    "documents", (json_int_t)stats->n_docs, "tokens", (json_int_t)stats->n_tokens,
                                    "vectors", (json_int_t)stats->n_vectors, "truncated",
                                    (json_int_t)stats->n_truncated, "seconds", seconds, "encode_seconds",
                                    (double)stats->encode_ns / 1e9, "vectors_seconds", (double)stats->vectors_ns / 1e9,
                                    "lexical_seconds", (double)stats->lexical_ns / 1e9, "store_seconds",
                                    (double)(stats->store_ns + stats->read_ns) / 1e9, "commit_seconds",
                                    (double)stats->commit_ns / 1e9),
                          err);
    printf("%s: %llu documents in %.2f s", dir, (unsigned long long)stats->n_docs, seconds);
    if (stats->n_tokens)
        printf(" (%llu tokens, %llu vectors)", (unsigned long long)stats->n_tokens,
               (unsigned long long)stats->n_vectors);
    printf("\n  read %.2f s, encode %.2f s, vectors %.2f s, lexical %.2f s, store %.2f s, commit %.2f s\n",
           (double)stats->read_ns / 1e9, (double)stats->encode_ns / 1e9, (double)stats->vectors_ns / 1e9,
           (double)stats->lexical_ns / 1e9, (double)stats->store_ns / 1e9, (double)stats->commit_ns / 1e9);
    if (stats->n_truncated)
        printf("  %llu documents were longer than the model's limit and were cut\n",
               (unsigned long long)stats->n_truncated);
    return HT_OK;
}

static ht_status add_everything(ht_indexer *indexer, const index_args *args, progress *bar, ht_error *err)
{
    for (size_t i = 0; i < args->deletes.len; i++)
        TRY(ht_indexer_delete(indexer, (ht_text){args->deletes.items[i], strlen(args->deletes.items[i])}, err));
    for (size_t i = 0; i < args->corpora.len; i++)
        TRY(ht_indexer_add_file(indexer, args->corpora.items[i], &bar->monitor, err));
    return HT_OK;
}

static ht_status index_into(const char *dir, const index_args *args, ht_pool *pool, ht_error *err)
{
    ht_index_opts opts;
    TRY(make_opts(args, &opts, err));
    opts.pool = pool;
    ht_indexer *indexer;
    progress bar;
    progress_init(&bar, args->quiet);
    const uint64_t start = now_ns();
    TRY(ht_indexer_new(dir, &opts, &indexer, err));
    ht_status status = add_everything(indexer, args, &bar, err);
    progress_end(&bar);
    if (status != HT_OK) {
        ht_indexer_abort(indexer);
        return status;
    }
    ht_index_stats stats = {HT_DESC(ht_index_stats)};
    TRY(ht_indexer_commit(indexer, &bar.monitor, &stats, err));
    progress_end(&bar);
    return report(dir, &stats, now_ns() - start, args->json, err);
}

ht_status hound_index(int argc, char **argv, ht_error *err)
{
    index_args args = {
        .model = "default", .analyzer = "english", .vector_type = "int8", .precision = "auto", .mix = -1};
    const opt_row rows[] = {
        {"corpus", 'c', OPT_LIST, &args.corpora, "FILE",
         "JSON lines {\"_id\", \"title\", \"text\"}; .gz, .zst, - for standard input"},
        {"delete", 0, OPT_LIST, &args.deletes, "ID", "delete a document by its id"},
        ENCODER_ROW(&args.model),
        {"no-vectors", 0, OPT_FLAG, &args.no_vectors, NULL, "lexical index only"},
        {"no-lexical", 0, OPT_FLAG, &args.no_lexical, NULL, "vectors only"},
        ANALYZER_ROW(&args.analyzer),
        {"vector-type", 0, OPT_TEXT, &args.vector_type, "TYPE", "int8 (default) or f16"},
        PRECISION_ROW(&args.precision),
        {"mix", 0, OPT_REAL, &args.mix, "X", "share of the pooled vector in each token vector (default: the model's)"},
        {"max-tokens", 0, OPT_COUNT, &args.max_tokens, "N", "tokens a document (default: the model's limit)"},
        {"keep-punctuation", 0, OPT_FLAG, &args.keep_punctuation, NULL, "keep the vectors of punctuation"},
        JOBS_ROW(&args.jobs),
        QUIET_ROW(&args.quiet),
        {"json", 0, OPT_FLAG, &args.json, NULL, "report as JSON"},
    };
    const opt_spec spec = {
        "index DIR --corpus FILE... [options]",
        "Adds documents to the collection in DIR, which is made if need be: all of them or none. Several\n"
        "runs add several segments; the model and the analyzer of the first run are kept.",
        "  hound index cranfield.ht --corpus data/cranfield/corpus.jsonl",
        ROWS(rows),
        1,
        LIST_CAP};
    text_list positional;
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    for (size_t i = 1; i < positional.len && args.corpora.len < LIST_CAP; i++)
        args.corpora.items[args.corpora.len++] = positional.items[i];
    if (args.corpora.len == 0 && args.deletes.len == 0)
        return fail(err, HT_INVALID, "no --corpus FILE given; see hound index --help");
    ht_pool *pool;
    TRY(make_pool(args.jobs, &pool, err));
    const ht_status status = index_into(positional.items[0], &args, pool, err);
    ht_pool_free(pool);
    return status;
}
