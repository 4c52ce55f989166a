/*
 * demo.h - what the two halves of `hound demo` share: running and reporting.
 */
#ifndef HOUND_DEMO_H
#define HOUND_DEMO_H

#include "hound.h"

enum { DEMO_MODES = 6, DEMO_K = 1000 };

/* One mode's run with its measures. */
typedef struct demo_mode {
    ht_mode mode;
    ht_run *run;
    ht_evaluation *judged;
    double ms_p50, ms_mean; /* a query, one at a time */
} demo_mode;

typedef struct demo_data {
    ht_queries *queries;
    ht_qrels *qrels;
    demo_mode modes[DEMO_MODES];
    bool json;
} demo_data;

extern const char *const demo_measures[];
enum { DEMO_MEASURES = 11 };

/* The table of modes by measures, with the difference to bm25 and its p-value. */
HT_CHECKED ht_status demo_print_quality(const demo_data *data, ht_error *err);
void demo_print_queries(const demo_data *data);
/* The passages of a corpus encoded row by row, by the pipeline on each engine, and by hand: a table. */
HT_CHECKED ht_status demo_flow(const char *corpus, const char *model, ht_error *err);
/* One query with its best hits, snippets and matched tokens. */
HT_CHECKED ht_status demo_print_sample(ht_search_session *session, const char *query, ht_error *err);

#endif
