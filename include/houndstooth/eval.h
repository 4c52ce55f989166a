/*
 * houndstooth/eval.h - runs, judgements, measures, significance, fusion, and the readers of their files.
 *
 * Measures are those of trec_eval 9/10, exactly: a run's order is score descending as doubles, then
 * document id descending by unsigned bytes; its rank column is ignored.
 */
#ifndef HOUNDSTOOTH_EVAL_H
#define HOUNDSTOOTH_EVAL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- runs and judgements ---- */

/* A run: for each query, documents with scores. A qrels: for each query, documents with grades. */
typedef struct ht_run ht_run;
typedef struct ht_qrels ht_qrels;

/* An empty run, freed by its owner; NULL may be freed. */
HT_API HT_CHECKED ht_status ht_run_new(ht_run **out, ht_error *err);
HT_API void ht_run_free(ht_run *run);
/* Adds one row; NaN and infinity fail with INVALID, a repeated document of a query with EXISTS. */
HT_API HT_CHECKED ht_status ht_run_add(ht_run *run, ht_text query, ht_text doc, double score, ht_error *err);
/* Queries with at least one row. */
HT_API size_t ht_run_n_queries(const ht_run *run);
/* Id and number of rows of the n-th query, in order of first appearance. */
HT_API ht_text ht_run_query(const ht_run *run, size_t n, size_t *n_rows);
/* Row of the n-th query in file order. */
HT_API ht_text ht_run_row(const ht_run *run, size_t n, size_t row, double *score);

/* Empty judgements, freed by their owner; NULL may be freed. */
HT_API HT_CHECKED ht_status ht_qrels_new(ht_qrels **out, ht_error *err);
HT_API void ht_qrels_free(ht_qrels *qrels);
/* Adds one judgement; a repeated document of a query fails with EXISTS. */
HT_API HT_CHECKED ht_status ht_qrels_add(ht_qrels *qrels, ht_text query, ht_text doc, int32_t grade, ht_error *err);
/* Queries with at least one judgement; id and number of judgements of the n-th, in order of first appearance. */
HT_API size_t ht_qrels_n_queries(const ht_qrels *qrels);
HT_API ht_text ht_qrels_query(const ht_qrels *qrels, size_t n, size_t *n_docs);
/* Document and grade of a judgement of the n-th query, in order of addition; {NULL, 0} and 0 behind the last. */
HT_API ht_text ht_qrels_row(const ht_qrels *qrels, size_t n, size_t row, int32_t *grade);

typedef struct ht_read_opts {
    uint32_t size;
    bool lenient;     /* skip bad lines (counted, logged) where strict reading fails with file, line and reason */
    bool optional_id; /* corpora: a record without an id gets an empty one */
} ht_read_opts;

/*
 * TREC run "qid Q0 docid rank score tag" and qrels "qid 0 docid grade", or BEIR qrels TSV with its
 * header; plain, .gz or .zst; "-" is standard input. A byte order mark and CR are dropped.
 */
HT_API HT_CHECKED ht_status ht_run_read(const char *path, const ht_read_opts *opts, ht_run **out, ht_error *err);
HT_API HT_CHECKED ht_status ht_qrels_read(const char *path, const ht_read_opts *opts, ht_qrels **out, ht_error *err);
/*
 * Writes a run in TREC form, atomically ("-" is standard output): rows in their order, which becomes the
 * rank; scores with 17 significant digits, so that reading gives the same doubles; tag NULL is "houndstooth".
 * INVALID for an id or tag that is no word.
 */
HT_API HT_CHECKED ht_status ht_run_write(const ht_run *run, const char *path, const char *tag, ht_error *err);

/* ---- corpora and queries ---- */

/* One record of a corpus: JSON lines {"_id" or "id", "title", "text", ...}, as BEIR has them. */
typedef struct ht_record {
    ht_text id, title, text; /* valid until the next record */
    uint64_t line;
} ht_record;
typedef struct ht_corpus_reader ht_corpus_reader;
HT_API HT_CHECKED ht_status ht_corpus_open(const char *path, const ht_read_opts *opts, ht_corpus_reader **out,
                                           ht_error *err);
/*
 * The next record, or *more = false at the end. Lines over 64 MB, invalid UTF-8 or JSON, a missing id fail
 * with file:line; the call after a failure goes on behind that line.
 */
HT_API HT_CHECKED ht_status ht_corpus_next(ht_corpus_reader *reader, ht_record *record, bool *more, ht_error *err);
/* Compressed bytes read and in all (0 if unknown). */
HT_API void ht_corpus_progress(const ht_corpus_reader *reader, uint64_t *done, uint64_t *total);
HT_API void ht_corpus_close(ht_corpus_reader *reader);

/* Queries: JSON lines {"_id" or "id", "text"}, or TSV "qid<TAB>text"; told by the first byte. */
typedef struct ht_queries ht_queries;
HT_API HT_CHECKED ht_status ht_queries_read(const char *path, const ht_read_opts *opts, ht_queries **out,
                                            ht_error *err);
HT_API void ht_queries_free(ht_queries *queries);
HT_API size_t ht_queries_len(const ht_queries *queries);
HT_API ht_text ht_queries_at(const ht_queries *queries, size_t n, ht_text *text);

/* ---- measures ---- */

/*
 * One measure by name: "ndcg", "ndcg@10", "P@5", "recall@100", "map", "map@100", "mrr" (recip_rank), "mrr@10",
 * "success@20" (share of queries with a relevant document in the top k; some call it recall@k), "Rprec",
 * "bpref", "num_ret", "num_rel", "num_rel_ret", "set_P", "set_recall", "set_F", "judged@10", ...;
 * trec_eval's own names ("ndcg_cut_10", "recip_rank") are accepted too.
 */
typedef struct ht_measure {
    int kind;      /* row of the table of measures */
    uint32_t cut;  /* 0: no cut */
    char name[32]; /* canonical */
} ht_measure;
HT_API HT_CHECKED ht_status ht_measure_parse(ht_text name, ht_measure *out, ht_error *err);
/* Name and one-line meaning of the n-th row of the table; NULL behind the last. */
HT_API const char *ht_measure_at(size_t n, const char **meaning);

typedef struct ht_eval_opts {
    uint32_t size;
    int32_t min_grade; /* relevant from this grade; default 1 */
    bool complete;     /* average over all queries of the qrels, missing ones counting 0 (trec_eval -c) */
} ht_eval_opts;
HT_API void ht_eval_opts_init(ht_eval_opts *opts);

/* Per-query values and means. Owned by the caller. */
typedef struct ht_evaluation {
    size_t n_queries, n_measures;
    const ht_text *queries; /* [n_queries] in order of the qrels */
    const double *values;   /* [n_queries, n_measures] */
    const double *means;    /* [n_measures]; sums for num_ measures */
    size_t n_missing;       /* qrels queries without a row in the run */
    size_t n_unjudged;      /* run queries without judgements: ignored */
} ht_evaluation;
HT_API HT_CHECKED ht_status ht_evaluate(const ht_qrels *qrels, const ht_run *run, const ht_measure *measures,
                                        size_t n_measures, const ht_eval_opts *opts, ht_evaluation **out,
                                        ht_error *err);
HT_API void ht_evaluation_free(ht_evaluation *evaluation);

/* ---- significance of paired differences d[i] = a[i] - b[i] ---- */

typedef struct ht_significance {
    size_t n, wins, losses, ties;
    double mean_difference;
    double t, t_p;    /* paired two-sided t-test, n - 1 degrees of freedom; NaN / 1 where undefined */
    double flip_p;    /* sign flips: exact if at most 20 differences are not 0, else (count + 1) / (n_flips + 1) */
    uint64_t n_flips; /* 2^(n - ties) when exact */
} ht_significance;
HT_API HT_CHECKED ht_status ht_significance_test(const double *a, const double *b, size_t n, uint64_t n_flips,
                                                 uint64_t seed, ht_significance *out, ht_error *err);
/* Two-sided tail probability of Student's t. */
HT_API double ht_student_t_p(double t, double degrees);

/* ---- fusion ---- */

typedef enum ht_fusion { HT_FUSION_RRF, HT_FUSION_MINMAX, HT_FUSION_COMBSUM, HT_FUSION_COMBMNZ } ht_fusion;
typedef struct ht_fusion_opts {
    uint32_t size;
    ht_fusion method;
    double rrf_k;          /* RRF: sum of weight / (k + rank), rank from 1; default 60 (Cormack 2009) */
    const double *weights; /* [n_runs] or NULL for equal: 1/n_runs for MINMAX (convex), 1 for the others */
    size_t window;         /* rows of each input that count; 0: all */
    size_t k;              /* rows kept of the result; 0: all */
} ht_fusion_opts;
HT_API void ht_fusion_opts_init(ht_fusion_opts *opts);
/*
 * Name to method: "rrf", "minmax", "combsum", "combmnz"; NOT_FOUND lists them. COMBSUM and COMBMNZ sum
 * min-max normalised scores.
 */
HT_API HT_CHECKED ht_status ht_fusion_find(const char *name, ht_fusion *out, ht_error *err);
/*
 * Fuses runs query by query. Input ranks are file order. Min-max is per query over the window; a list of equal
 * scores becomes all 1. A missing document adds 0. Scores are rounded to 12 decimals; order: score
 * descending, best input rank ascending, document id ascending by bytes.
 */
HT_API HT_CHECKED ht_status ht_fuse(const ht_run *const *runs, size_t n_runs, const ht_fusion_opts *opts, ht_run **out,
                                    ht_error *err);

/*
 * The same for one query over ordinals: lists [n_lists] of hits, best first; out [out_cap]. Ties by best
 * input rank, then ordinal. A hit at the end with score -infinity matched nothing and is left out; other
 * scores that are not finite fail with INVALID. Allocates nothing up to 512 hits in all. Used by hybrid search.
 */
typedef struct ht_hit_list {
    const ht_hit *hits;
    size_t len;
} ht_hit_list;
HT_API HT_CHECKED ht_status ht_fuse_hits(const ht_hit_list *lists, size_t n_lists, const ht_fusion_opts *opts,
                                         ht_hit *out, size_t out_cap, size_t *n_out, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
