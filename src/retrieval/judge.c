/*
 * judge.c - nodes that gather predictions and judge them by trec_eval's rules.
 */
#include "retrieval_int.h"

#include <stdio.h>

static ht_status flatten_predictions(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    size_t n, n_items, total = 0, at = 0;
    const ht_value *lists = ht_value_items(in[0], &n);
    (void)self;
    for (size_t i = 0; i < n; i++) {
        (void)ht_value_items(lists[i], &n_items);
        total += n_items;
    }
    ht_value *all = HTI_NEW_ARRAY(ht_value, total);
    if (!all) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) {
        const ht_value *items = ht_value_items(lists[i], &n_items);
        for (size_t k = 0; k < n_items; k++) all[at++] = items[k];
    }
    const ht_status status = ht_value_list(all, total, &out[0], err);
    hti_free(all);
    return status;
}

static ht_status run_of(ht_value predictions, ht_run **out, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(predictions, &n);
    HT_TRY(ht_run_new(out, err));
    for (size_t i = 0; i < n; i++) {
        ht_text query, passage;
        double score;
        HT_TRY(hti_text_field(items[i], "query_uuid", "a prediction", &query, err));
        HT_TRY(hti_text_field(items[i], "passage_uuid", "a prediction", &passage, err));
        HT_TRY(hti_number_field(items[i], "score", "a prediction", &score, err));
        HT_TRY(ht_run_add(*out, query, passage, score, err));
    }
    return HT_OK;
}

/* Means of measures [n] over the judged queries. */
static ht_status judge(ht_value predictions, ht_value truths, const ht_measure *measures, size_t n, double *means,
                       ht_error *err)
{
    ht_text path;
    ht_qrels *qrels = NULL;
    ht_run *run = NULL;
    ht_evaluation *made = NULL;
    HT_TRY(hti_text_field(truths, "path", "ground truths", &path, err));
    ht_status status = ht_qrels_read(path.data, NULL, &qrels, err);
    if (status == HT_OK) status = run_of(predictions, &run, err);
    if (status == HT_OK) status = ht_evaluate(qrels, run, measures, n, NULL, &made, err);
    for (size_t i = 0; status == HT_OK && i < n; i++) means[i] = made->means[i];
    if (made) ht_evaluation_free(made);
    ht_run_free(run);
    ht_qrels_free(qrels);
    return status;
}

static ht_status measure_at(const char *name, size_t k, ht_measure *out, ht_error *err)
{
    char text[40];
    const int len = snprintf(text, sizeof text, "%s@%zu", name, k);
    return ht_measure_parse((ht_text){text, (size_t)len}, out, err);
}

static ht_status compute_ndcg(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_measure measure;
    double mean;
    size_t k;
    (void)self;
    HT_TRY(hti_count_of(in[2], "ndcg_k", 1, &k, err));
    HT_TRY(measure_at("ndcg", k, &measure, err));
    HT_TRY(judge(in[0], in[1], &measure, 1, &mean, err));
    out[0] = ht_value_float(mean);
    return HT_OK;
}

static ht_status compute_recall(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    enum { MOST = 32 };
    ht_measure measures[MOST];
    double means[MOST];
    const char *names[MOST];
    ht_value values[MOST];
    size_t n, k;
    const ht_value *cuts = ht_value_items(in[2], &n);
    (void)self;
    if (in[2].kind != HT_KIND_LIST || n == 0 || n > MOST)
        return HT_FAIL(err, INVALID, "'recall_k_list' is a list of 1 to %d whole numbers", MOST);
    for (size_t i = 0; i < n; i++) {
        HT_TRY(hti_count_of(cuts[i], "recall_k_list", 1, &k, err));
        HT_TRY(measure_at("recall", k, &measures[i], err));
        names[i] = measures[i].name;
    }
    HT_TRY(judge(in[0], in[1], measures, n, means, err));
    for (size_t i = 0; i < n; i++) values[i] = ht_value_float(means[i]);
    return ht_value_struct(names, values, n, &out[0], err);
}

static ht_status combine(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    enum { MOST = 64 };
    const char *names[MOST] = {"ndcg", "ndcg_k"};
    ht_value values[MOST] = {in[0], in[2]};
    size_t n;
    const ht_value *recalls = ht_value_items(in[1], &n);
    (void)self;
    if (n + 2 > MOST) return HT_FAIL(err, LIMIT, "%zu recalls", n);
    for (size_t i = 0; i < n; i++) {
        names[2 + i] = ht_value_field_name(in[1], i).data;
        values[2 + i] = recalls[i];
    }
    return ht_value_struct(names, values, n + 2, &out[0], err);
}

static const ht_input flatten_in[] = {{"all_query_predictions", NULL}},
                      ndcg_in[] = {{"all_predictions", NULL}, {"ground_truths", NULL}, {"ndcg_k", NULL}},
                      recall_in[] = {{"all_predictions", NULL}, {"ground_truths", NULL}, {"recall_k_list", NULL}},
                      combine_in[] = {{"ndcg_score", NULL}, {"recall_metrics", NULL}, {"ndcg_k", NULL}};
static const char *const flatten_out[] = {"all_predictions"}, *const ndcg_out[] = {"ndcg_score"},
                         *const recall_out[] = {"recall_metrics"}, *const combine_out[] = {"evaluation_results"};
static const ht_node_desc flatten_node =
    HTI_ROW_NODE("flatten_predictions", flatten_in, flatten_out, flatten_predictions, "one list of the queries' lists");
static const ht_node_desc ndcg_node =
    HTI_ROW_NODE("compute_ndcg", ndcg_in, ndcg_out, compute_ndcg, "mean nDCG at ndcg_k, as trec_eval has it");
static const ht_node_desc recall_node =
    HTI_ROW_NODE("compute_recall", recall_in, recall_out, compute_recall, "mean recall at each of recall_k_list");
static const ht_node_desc combine_node =
    HTI_ROW_NODE("combine_evaluation_results", combine_in, combine_out, combine, "nDCG and recalls in one struct");
static const ht_node_desc *const nodes[] = {&flatten_node, &ndcg_node, &recall_node, &combine_node};
const hti_node_list hti_judge_nodes = {nodes, HTI_LEN(nodes)};
