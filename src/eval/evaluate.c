/*
 * evaluate.c - a run against judgements: per-query values and their means.
 *
 * Per query the run's rows are put in trec_eval's order (score descending as doubles, then document
 * id descending by unsigned bytes), each gets its grade, and every measure reads that one ranking.
 * Layout: documents of the run are matched to those of the judgements once, by id; per query the
 * judged grades are scattered into `grade_of`, indexed by the judgements' document number, and
 * `judged_in` tells which query an entry is from, so nothing is cleared in between.
 * Workload: thousands of queries, 1000 rows each, nearly always in order already: that is tested
 * first, and costs one comparison a row.
 * Easy to get wrong: -0.0 equals 0.0, and a longer id is greater than its own beginning.
 */
#include "eval_int.h"

typedef struct ranked_row {
    double score;
    ht_text id;
    uint32_t doc; /* of the judgements, HTI_MAP_NONE if it has none there */
} ranked_row;

typedef struct evaluator {
    const hti_table *qrels, *run;
    const ht_eval_opts *opts;
    const ht_measure *measures; /* [n_measures] */
    size_t n_measures;
    uint32_t *qrels_doc; /* [run documents] */
    int32_t *grade_of;   /* [judged documents] */
    uint32_t *judged_in; /* [judged documents] the query whose grade that is */
    ranked_row *ranked;  /* [cap_ranked] */
    int32_t *grades, *ideal;
    size_t cap_ranked, cap_grades, cap_ideal;
} evaluator;

typedef struct owned_evaluation {
    ht_evaluation is; /* first: what the caller holds */
    hti_arena arena;
    ht_text *queries;
    double *values, *means;
} owned_evaluation;

void ht_eval_opts_init(ht_eval_opts *opts) { *opts = (ht_eval_opts){HT_DESC(ht_eval_opts), .min_grade = 1}; }

static int compare_ids(ht_text a, ht_text b)
{
    const int order = memcmp(a.data, b.data, HTI_MIN(a.len, b.len)); /* ids are never empty */
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int best_first(const void *left, const void *right)
{
    const ranked_row *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return compare_ids(b->id, a->id);
}

static int highest_first(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a < b) - (a > b);
}

static void sort_ranked(ranked_row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (best_first(&rows[i - 1], &rows[i]) <= 0) continue;
        hti_heap_sort(rows, n, sizeof *rows, best_first);
        return;
    }
}

static ht_status match_documents(evaluator *e, ht_error *err)
{
    const hti_map *judged = &e->qrels->docs;
    e->qrels_doc = HTI_NEW_ARRAY(uint32_t, e->run->docs.n);
    e->grade_of = HTI_NEW_ARRAY(int32_t, judged->n);
    e->judged_in = HTI_NEW_ARRAY(uint32_t, judged->n);
    if (!e->qrels_doc || !e->grade_of || !e->judged_in) return HTI_NO_MEMORY(err);
    for (size_t d = 0; d < e->run->docs.n; d++)
        e->qrels_doc[d] = hti_map_find(judged, hti_entry_text(&e->run->docs, d));
    memset(e->judged_in, 0xFF, judged->n * sizeof *e->judged_in);
    return HT_OK;
}

/* Grades of query q by document, the ideal order, and what is counted over all judgements. */
static ht_status take_judgements(evaluator *e, size_t q, hti_ranking *r, ht_error *err)
{
    size_t n;
    const hti_row *rows = hti_table_rows(e->qrels, q, &n);
    HT_TRY(hti_reserve(&e->ideal, &e->cap_ideal, n, sizeof *e->ideal, err));
    for (size_t i = 0; i < n; i++) {
        const int32_t grade = rows[i].value < 0.0 ? HTI_POOLED : (int32_t)rows[i].value;
        e->grade_of[rows[i].doc] = grade;
        e->judged_in[rows[i].doc] = (uint32_t)q;
        r->n_rel += grade >= r->min_grade;
        r->n_nonrel += grade >= 0 && grade < r->min_grade;
        if (grade > 0) e->ideal[r->n_ideal++] = grade;
    }
    hti_heap_sort(e->ideal, r->n_ideal, sizeof *e->ideal, highest_first);
    r->ideal = e->ideal;
    return HT_OK;
}

/* The rows of the run's query in order, each with its grade. */
static ht_status take_ranking(evaluator *e, size_t q, uint32_t run_query, hti_ranking *r, ht_error *err)
{
    size_t n;
    const hti_row *rows = hti_table_rows(e->run, run_query, &n);
    HT_TRY(hti_reserve(&e->ranked, &e->cap_ranked, n, sizeof *e->ranked, err));
    HT_TRY(hti_reserve(&e->grades, &e->cap_grades, n, sizeof *e->grades, err));
    for (size_t i = 0; i < n; i++)
        e->ranked[i] =
            (ranked_row){rows[i].value, hti_entry_text(&e->run->docs, rows[i].doc), e->qrels_doc[rows[i].doc]};
    sort_ranked(e->ranked, n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t doc = e->ranked[i].doc;
        const bool known = doc != HTI_MAP_NONE && e->judged_in[doc] == q;
        e->grades[i] = known ? e->grade_of[doc] : HTI_UNJUDGED;
        r->n_rel_ret += e->grades[i] >= r->min_grade;
    }
    r->grades = e->grades;
    r->n_ret = n;
    return HT_OK;
}

/* One line of the result; zeros for a query that the run lacks. */
static ht_status evaluate_query(evaluator *e, size_t q, uint32_t run_query, double *values, ht_error *err)
{
    hti_ranking ranking = {.min_grade = e->opts->min_grade};
    memset(values, 0, e->n_measures * sizeof *values);
    if (run_query == HTI_MAP_NONE) return HT_OK;
    HT_TRY(take_judgements(e, q, &ranking, err));
    HT_TRY(take_ranking(e, q, run_query, &ranking, err));
    for (size_t m = 0; m < e->n_measures; m++) values[m] = hti_measure_value(&e->measures[m], &ranking);
    return HT_OK;
}

static ht_status evaluate_all(evaluator *e, owned_evaluation *out, ht_error *err)
{
    ht_evaluation *is = &out->is;
    for (size_t q = 0; q < e->qrels->queries.n; q++) {
        const ht_text id = hti_entry_text(&e->qrels->queries, q);
        const uint32_t run_query = hti_map_find(&e->run->queries, id);
        is->n_missing += run_query == HTI_MAP_NONE;
        if (run_query == HTI_MAP_NONE && !e->opts->complete) continue;
        char *copy = hti_arena_text(&out->arena, id);
        if (!copy) return HTI_NO_MEMORY(err);
        out->queries[is->n_queries] = (ht_text){copy, id.len};
        double *values = out->values + is->n_queries * e->n_measures;
        HT_TRY(evaluate_query(e, q, run_query, values, err));
        for (size_t m = 0; m < e->n_measures; m++) out->means[m] += values[m];
        is->n_queries++;
    }
    is->n_unjudged = e->run->queries.n - (e->qrels->queries.n - is->n_missing);
    for (size_t m = 0; m < e->n_measures; m++)
        if (is->n_queries > 0 && !hti_measure_is_sum(&e->measures[m])) out->means[m] /= (double)is->n_queries;
    return HT_OK;
}

static ht_status new_evaluation(size_t n_queries, size_t n_measures, owned_evaluation **out, ht_error *err)
{
    owned_evaluation *made = HTI_NEW(owned_evaluation);
    if (!made) return HTI_NO_MEMORY(err);
    hti_arena_init(&made->arena);
    made->queries = HTI_ARENA_ARRAY(&made->arena, ht_text, n_queries);
    made->values = HTI_ARENA_ARRAY(&made->arena, double, hti_mul(n_queries, n_measures));
    made->means = HTI_ARENA_ARRAY(&made->arena, double, n_measures);
    if (!made->queries || !made->values || !made->means) {
        ht_evaluation_free(&made->is);
        return HTI_NO_MEMORY(err);
    }
    memset(made->means, 0, n_measures * sizeof *made->means);
    made->is = (ht_evaluation){
        .n_measures = n_measures, .queries = made->queries, .values = made->values, .means = made->means};
    *out = made;
    return HT_OK;
}

ht_status ht_evaluate(const ht_qrels *qrels, const ht_run *run, const ht_measure *measures, size_t n_measures,
                      const ht_eval_opts *opts, ht_evaluation **out, ht_error *err)
{
    *out = NULL;
    ht_eval_opts defaults;
    ht_eval_opts_init(&defaults);
    if (!opts) opts = &defaults;
    HTI_CHECK_OPTS(opts, err);
    if (opts->min_grade < 1)
        return HT_FAIL(err, INVALID, "a relevant grade of %d: it must be at least 1, for 0 says not relevant",
                       opts->min_grade);
    for (size_t m = 0; m < n_measures; m++)
        if (measures[m].kind < 0 || !ht_measure_at((size_t)measures[m].kind, NULL))
            return HT_FAIL(err, INVALID, "measure %zu was not made by ht_measure_parse", m);
    evaluator e = {
        .qrels = &qrels->table, .run = &run->table, .opts = opts, .measures = measures, .n_measures = n_measures};
    owned_evaluation *made = NULL;
    ht_status status = new_evaluation(e.qrels->queries.n, n_measures, &made, err);
    if (status == HT_OK) status = match_documents(&e, err);
    if (status == HT_OK) status = evaluate_all(&e, made, err);
    hti_free(e.qrels_doc);
    hti_free(e.grade_of);
    hti_free(e.judged_in);
    hti_free(e.ranked);
    hti_free(e.grades);
    hti_free(e.ideal);
    if (status == HT_OK)
        *out = &made->is;
    else if (made)
        ht_evaluation_free(&made->is);
    return status;
}

void ht_evaluation_free(ht_evaluation *evaluation)
{
    if (!evaluation) return;
    owned_evaluation *owned = (owned_evaluation *)(void *)evaluation;
    hti_arena_deinit(&owned->arena);
    hti_free(owned);
}
