/*
 * fuzz_run.c - run files: what is read is sound, and can be fused with itself and evaluated.
 */
#include "memory_file.h"

#include <houndstooth/eval.h>

#include <math.h>
#include <string.h>

static void require(bool held)
{
    if (!held) abort();
}

static void walk(const ht_run *run)
{
    for (size_t q = 0; q < ht_run_n_queries(run); q++) {
        size_t n;
        require(ht_run_query(run, q, &n).len > 0 && n > 0);
        for (size_t row = 0; row < n; row++) {
            double score;
            require(ht_run_row(run, q, row, &score).len > 0 && isfinite(score));
        }
    }
}

/* Judges the run's own first rows as relevant and evaluates; no value leaves [0, 1]. */
static void evaluate(const ht_run *run)
{
    static const char *const names[] = {"ndcg", "ndcg@3", "map", "bpref", "mrr", "P@2", "judged", "11pt_avg", "set_F"};
    ht_measure measures[sizeof names / sizeof names[0]];
    const size_t n_measures = sizeof names / sizeof names[0];
    ht_qrels *qrels;
    ht_evaluation *evaluation;
    require(ht_qrels_new(&qrels, NULL) == HT_OK);
    for (size_t m = 0; m < n_measures; m++) {
        const ht_text name = {names[m], strlen(names[m])};
        require(ht_measure_parse(name, &measures[m], NULL) == HT_OK);
    }
    for (size_t q = 0; q < ht_run_n_queries(run); q++) {
        const ht_text doc = ht_run_row(run, q, 0, NULL);
        require(ht_qrels_add(qrels, ht_run_query(run, q, NULL), doc, (int32_t)(q % 3), NULL) == HT_OK);
    }
    require(ht_evaluate(qrels, run, measures, n_measures, NULL, &evaluation, NULL) == HT_OK);
    require(evaluation->n_queries == ht_run_n_queries(run));
    for (size_t i = 0; i < evaluation->n_queries * n_measures; i++)
        require(evaluation->values[i] >= 0.0 && evaluation->values[i] <= 1.0 + 1e-12);
    ht_evaluation_free(evaluation);
    ht_qrels_free(qrels);
}

static void fuse(const ht_run *run)
{
    const ht_run *const runs[] = {run, run};
    for (int method = HT_FUSION_RRF; method <= HT_FUSION_COMBMNZ; method++) {
        ht_fusion_opts opts;
        ht_run *fused;
        ht_fusion_opts_init(&opts);
        opts.method = (ht_fusion)method;
        require(ht_fuse(runs, 2, &opts, &fused, NULL) == HT_OK);
        require(ht_run_n_queries(fused) == ht_run_n_queries(run));
        walk(fused);
        ht_run_free(fused);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory_file file = memory_file_open(data, size);
    for (int lenient = 0; lenient <= 1; lenient++) {
        const ht_read_opts opts = {HT_DESC(ht_read_opts), .lenient = lenient};
        ht_run *run;
        ht_error err = {0};
        if (ht_run_read(file.path, &opts, &run, &err) != HT_OK) {
            require(!run && err.message[0]);
            continue;
        }
        walk(run);
        evaluate(run);
        fuse(run);
        ht_run_free(run);
    }
    memory_file_close(&file);
    return 0;
}
