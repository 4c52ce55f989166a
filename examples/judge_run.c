/* judge_run.c - a run judged by qrels.   judge_run QRELS RUN */
#include "common.h"

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: judge_run QRELS RUN\n"), 2;
    static const char *const names[] = {"ndcg@10", "map", "recall@100", "success@10"};
    enum { N = sizeof names / sizeof names[0] };
    ht_error err = {0};
    ht_measure measures[N];
    for (int i = 0; i < N; i++) or_die(ht_measure_parse(text_of(names[i]), &measures[i], &err), &err);
    ht_qrels *qrels;
    ht_run *run;
    ht_evaluation *judged;
    or_die(ht_qrels_read(argv[1], NULL, &qrels, &err), &err);
    or_die(ht_run_read(argv[2], NULL, &run, &err), &err);
    or_die(ht_evaluate(qrels, run, measures, N, NULL, &judged, &err), &err);
    for (int i = 0; i < N; i++) printf("%-12s %.4f\n", measures[i].name, judged->means[i]);
    ht_evaluation_free(judged);
    ht_run_free(run);
    ht_qrels_free(qrels);
    return 0;
}
