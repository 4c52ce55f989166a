/*
 * cmd_evaluate.c - `hound evaluate` and `hound fuse`: judging and combining runs.
 */
#include "rows.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MEASURES = 64, FLIPS = 100000 };
#define DEFAULT_METRICS "ndcg@10,ndcg@20,recall@100,success@10,map,mrr"

typedef struct evaluate_args {
    const char *qrels, *run, *run2, *metrics;
    bool per_query, json, complete, lenient;
    size_t min_grade, seed;
} evaluate_args;

static ht_status parse_metrics(const char *list, ht_measure *measures, size_t *n, ht_error *err)
{
    *n = 0;
    for (const char *at = list; *at;) {
        const size_t len = strcspn(at, ",");
        if (*n == MAX_MEASURES) return fail(err, HT_LIMIT, "more than %d measures", MAX_MEASURES);
        if (len > 0) TRY(ht_measure_parse((ht_text){at, len}, &measures[(*n)++], err));
        at += len + (at[len] == ',');
    }
    return *n ? HT_OK : fail(err, HT_INVALID, "--metrics is empty");
}

static void print_table(const ht_evaluation *all, const ht_measure *measures, bool per_query)
{
    for (size_t q = 0; per_query && q < all->n_queries; q++)
        for (size_t m = 0; m < all->n_measures; m++)
            printf("%-16s %-20.*s %.4f\n", measures[m].name, (int)all->queries[q].len, all->queries[q].data,
                   all->values[q * all->n_measures + m]);
    for (size_t m = 0; m < all->n_measures; m++) printf("%-16s %-20s %.4f\n", measures[m].name, "all", all->means[m]);
    if (all->n_missing) printf("%zu judged queries are not in the run\n", all->n_missing);
    if (all->n_unjudged) printf("%zu queries of the run have no judgements and were left out\n", all->n_unjudged);
}

static json_t *evaluation_json(const ht_evaluation *all, const ht_measure *measures, bool per_query)
{
    json_t *means = json_object(), *object = json_object();
    for (size_t m = 0; m < all->n_measures; m++) json_object_set_new(means, measures[m].name, json_real(all->means[m]));
    json_object_set_new(object, "queries", json_integer((json_int_t)all->n_queries));
    json_object_set_new(object, "missing", json_integer((json_int_t)all->n_missing));
    json_object_set_new(object, "all", means);
    if (!per_query) return object;
    json_t *queries = json_object();
    for (size_t q = 0; q < all->n_queries; q++) {
        json_t *row = json_object();
        for (size_t m = 0; m < all->n_measures; m++)
            json_object_set_new(row, measures[m].name, json_real(all->values[q * all->n_measures + m]));
        char id[512];
        (void)snprintf(id, sizeof id, "%.*s", (int)all->queries[q].len, all->queries[q].data);
        json_object_set_new(queries, id, row);
    }
    json_object_set_new(object, "per_query", queries);
    return object;
}

/* Both evaluations list the queries of one qrels in its order, so equal ids are met by walking both. */
static size_t pair_values(const ht_evaluation *a, const ht_evaluation *b, size_t measure, double *x, double *y)
{
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a->n_queries; i++) {
        for (size_t probe = j; probe < b->n_queries; probe++) {
            if (a->queries[i].len != b->queries[probe].len ||
                memcmp(a->queries[i].data, b->queries[probe].data, a->queries[i].len) != 0)
                continue;
            x[n] = a->values[i * a->n_measures + measure];
            y[n++] = b->values[probe * b->n_measures + measure];
            j = probe + 1;
            break;
        }
    }
    return n;
}

static ht_status compare(const ht_evaluation *a, const ht_evaluation *b, const ht_measure *measures,
                         const evaluate_args *args, ht_error *err)
{
    double *x = calloc(a->n_queries + 1, sizeof *x), *y = calloc(a->n_queries + 1, sizeof *y);
    ht_status status = x && y ? HT_OK : fail(err, HT_NO_MEMORY, "out of memory comparing two runs");
    json_t *rows = args->json ? json_array() : NULL;
    if (status == HT_OK && !rows)
        printf("\n%-16s %8s %8s %9s %6s %6s %6s %9s %9s\n", "measure", "run", "run2", "change", "wins", "losses",
               "ties", "t-test p", "flip p");
    for (size_t m = 0; status == HT_OK && m < a->n_measures; m++) {
        const size_t n = pair_values(a, b, m, x, y);
        ht_significance test;
        status = ht_significance_test(y, x, n, FLIPS, args->seed, &test, err);
        if (status != HT_OK) break;
        if (rows)
            json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:i, s:i, s:i, s:f, s:f, s:i}", "measure",
                                                  measures[m].name, "run", a->means[m], "run2", b->means[m],
                                                  "difference", test.mean_difference, "wins", (int)test.wins, "losses",
                                                  (int)test.losses, "ties", (int)test.ties, "t_p", test.t_p, "flip_p",
                                                  test.flip_p, "n", (int)n));
        else
            printf("%-16s %8.4f %8.4f %+9.4f %6zu %6zu %6zu %9.4g %9.4g\n", measures[m].name, a->means[m], b->means[m],
                   test.mean_difference, test.wins, test.losses, test.ties, test.t_p, test.flip_p);
    }
    free(x);
    free(y);
    if (rows && status == HT_OK) return print_json(rows, err);
    json_decref(rows);
    return status;
}

typedef struct judged {
    ht_run *runs[2];
    ht_qrels *qrels;
    ht_evaluation *all[2];
} judged;

static void free_judged(judged *files)
{
    for (int i = 0; i < 2; i++) {
        ht_evaluation_free(files->all[i]);
        ht_run_free(files->runs[i]);
    }
    ht_qrels_free(files->qrels);
}

static ht_status judge(const evaluate_args *args, const ht_measure *measures, size_t n, judged *files, ht_error *err)
{
    const ht_read_opts read = {HT_DESC(ht_read_opts), .lenient = args->lenient};
    ht_eval_opts opts;
    ht_eval_opts_init(&opts);
    opts.complete = args->complete;
    opts.min_grade = (int32_t)args->min_grade;
    TRY(ht_qrels_read(args->qrels, &read, &files->qrels, err));
    const char *const paths[] = {args->run, args->run2};
    for (int i = 0; i < 2 && paths[i]; i++) {
        TRY(ht_run_read(paths[i], &read, &files->runs[i], err));
        TRY(ht_evaluate(files->qrels, files->runs[i], measures, n, &opts, &files->all[i], err));
    }
    if (args->json && !args->run2) return print_json(evaluation_json(files->all[0], measures, args->per_query), err);
    if (!args->json) print_table(files->all[0], measures, args->per_query);
    return files->all[1] ? compare(files->all[0], files->all[1], measures, args, err) : HT_OK;
}

ht_status hound_evaluate(int argc, char **argv, ht_error *err)
{
    evaluate_args args = {.metrics = DEFAULT_METRICS, .min_grade = 1, .seed = 1};
    const opt_row rows[] = {
        {"qrels", 0, OPT_TEXT, &args.qrels, "FILE", "judgements: TREC, or BEIR's TSV"},
        {"run", 0, OPT_TEXT, &args.run, "FILE", "TREC run"},
        {"run2", 0, OPT_TEXT, &args.run2, "FILE", "a second run to compare with the first, with p-values"},
        {"metrics", 0, OPT_TEXT, &args.metrics, "LIST", "comma-separated (default " DEFAULT_METRICS ")"},
        {"per-query", 0, OPT_FLAG, &args.per_query, NULL, "values of each query"},
        {"complete", 'c', OPT_FLAG, &args.complete, NULL, "average over all judged queries, missing ones counting 0"},
        {"min-grade", 'l', OPT_COUNT, &args.min_grade, "N", "relevant from this grade (default 1)"},
        {"seed", 0, OPT_COUNT, &args.seed, "N", "of the randomisation test (default 1)"},
        {"lenient", 0, OPT_FLAG, &args.lenient, NULL, "skip malformed lines"},
        {"json", 0, OPT_FLAG, &args.json, NULL, "as JSON"},
    };
    const opt_spec spec = {
        "evaluate --qrels FILE --run FILE [--run2 FILE] [options]",
        "Measures of trec_eval, exactly: ndcg, ndcg@k, P@k, recall@k, success@k, map, mrr, Rprec, bpref, ...\n"
        "recall@k is the share of relevant documents found; success@k the share of queries with one in the top k.",
        "  hound evaluate --qrels data/cranfield/qrels/test.tsv --run hybrid.run --run2 bm25.run",
        ROWS(rows),
        0,
        0};
    text_list positional;
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    if (!args.qrels || !args.run)
        return fail(err, HT_INVALID, "--qrels FILE and --run FILE are needed; see hound evaluate --help");
    ht_measure measures[MAX_MEASURES];
    size_t n;
    TRY(parse_metrics(args.metrics, measures, &n, err));
    judged files = {{NULL, NULL}, NULL, {NULL, NULL}};
    const ht_status status = judge(&args, measures, n, &files, err);
    free_judged(&files);
    return status;
}

/* ---- fuse ---- */

static ht_status fuse_runs(const text_list *inputs, const ht_fusion_opts *opts, const char *out, ht_error *err)
{
    ht_run *runs[LIST_CAP] = {NULL}, *fused = NULL;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < inputs->len; i++)
        status = ht_run_read(inputs->items[i], NULL, &runs[i], err);
    if (status == HT_OK) status = ht_fuse((const ht_run *const *)runs, inputs->len, opts, &fused, err);
    if (status == HT_OK) status = ht_run_write(fused, out, "fused", err);
    for (size_t i = 0; i < inputs->len; i++) ht_run_free(runs[i]);
    ht_run_free(fused);
    return status;
}

static ht_status parse_weights(const text_list *given, size_t n_runs, double *weights, ht_error *err)
{
    if (given->len != n_runs) return fail(err, HT_INVALID, "%zu --weight for %zu runs", given->len, n_runs);
    for (size_t i = 0; i < given->len; i++) {
        char *end;
        weights[i] = strtod(given->items[i], &end);
        if (end == given->items[i] || *end || !isfinite(weights[i]))
            return fail(err, HT_INVALID, "--weight \"%s\" is not a number", given->items[i]);
    }
    return HT_OK;
}

ht_status hound_fuse(int argc, char **argv, ht_error *err)
{
    const char *method = "rrf", *out = "-";
    text_list weights = {.len = 0}, inputs;
    double numbers[LIST_CAP];
    ht_fusion_opts opts;
    ht_fusion_opts_init(&opts);
    const opt_row rows[] = {
        {"method", 0, OPT_TEXT, &method, "NAME", "rrf (default), minmax, combsum, combmnz"},
        {"weight", 'w', OPT_LIST, &weights, "X", "weight of each run, in order"},
        RRF_K_ROW(&opts.rrf_k),
        {"window", 0, OPT_COUNT, &opts.window, "N", "rows of each run that count (default: all)"},
        {"k", 'k', OPT_COUNT, &opts.k, "N", "rows kept a query (default: all)"},
        {"out", 'o', OPT_TEXT, &out, "FILE", "fused run (default: standard output)"},
    };
    const opt_spec spec = {"fuse RUN RUN... [options]",
                           "Fuses TREC runs query by query. Ranks are those of the files' order; ties go to the best\n"
                           "input rank, then the id.",
                           "  hound fuse bm25.run maxsim.run --method minmax -w 0.3 -w 0.7 -o fused.run",
                           ROWS(rows),
                           2,
                           LIST_CAP};
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &inputs, &helped, err));
    if (helped) return HT_OK;
    TRY(ht_fusion_find(method, &opts.method, err));
    if (weights.len) {
        TRY(parse_weights(&weights, inputs.len, numbers, err));
        opts.weights = numbers;
    }
    return fuse_runs(&inputs, &opts, out, err);
}
