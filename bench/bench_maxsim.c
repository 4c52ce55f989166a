/*
 * bench_maxsim.c - documents/s of the MaxSim kernels, one thread, every instruction set this machine has.
 *
 *     bench_maxsim [PEER_COMMAND]
 *
 * PEER_COMMAND, for example "python bench/peers/maxsim_numpy.py", prints the documents/s of numpy on the same shape; it
 * runs first, in the same command, so the ratio compares two figures of one run. HT_CPU lowers the instruction sets.
 * Data: 1,400 documents of 60 to 292 random unit vectors (Cranfield: 1,400 of 176 on average), 384 dimensions,
 * rows as in a segment file; 23 query vectors. "scan" passes over all (95 MB of int8), "rerank" over 20 documents
 * again and again, so it shows the kernel without the memory behind it.
 * Output: JSON lines {bench, name, value, unit, median, spread, peer, ratio}; value is the best pass, spread the best
 * over the slowest of the middle half.
 */
#include "kernel/kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 384, N_DOCS = 1400, N_QUERY = 23, MAX_PASSES = 400, RERANK_DOCS = 20 };
static const double pass_budget_s = 1.0;

typedef struct corpus {
    hti_row_span spans[N_DOCS];
    size_t n_rows;
    uint8_t *codes;
    uint16_t *halves;
    float *scales, *pooled, *query;
    void *packed;
} corpus;

static void unit_vector(uint64_t *state, float *row)
{
    double norm = 0.0;
    for (size_t k = 0; k < DIM; k++) {
        row[k] = (float)(hti_random_unit(state) - 0.5);
        norm += (double)row[k] * (double)row[k];
    }
    for (size_t k = 0; k < DIM; k++) row[k] = (float)((double)row[k] / sqrt(norm));
}

static bool make_corpus(corpus *made)
{
    uint64_t state = 1;
    float row[DIM];
    const hti_maxsim_kernels *table = hti_maxsim();
    made->n_rows = 0;
    for (size_t i = 0; i < N_DOCS; i++) {
        made->spans[i] = (hti_row_span){made->n_rows, 60 + (size_t)(hti_random_next(&state) % 233)};
        made->n_rows += made->spans[i].n;
    }
    made->codes = hti_alloc(made->n_rows * DIM);
    made->halves = hti_alloc(made->n_rows * DIM * sizeof *made->halves);
    made->scales = HTI_NEW_ARRAY(float, made->n_rows);
    made->pooled = HTI_NEW_ARRAY(float, (size_t)N_DOCS *DIM);
    made->query = HTI_NEW_ARRAY(float, (size_t)N_QUERY *DIM);
    made->packed = hti_alloc(hti_packed_query_bytes(N_QUERY, DIM));
    if (!made->codes || !made->halves || !made->scales || !made->pooled || !made->query || !made->packed) return false;
    for (size_t i = 0; i < made->n_rows; i++) {
        unit_vector(&state, row);
        table->quantise(row, 1, DIM, made->codes + i * DIM, &made->scales[i]);
        table->to_f16(row, 1, DIM, made->halves + i * DIM);
    }
    for (size_t i = 0; i < N_DOCS; i++) unit_vector(&state, made->pooled + i * DIM);
    for (size_t i = 0; i < N_QUERY; i++) unit_vector(&state, made->query + i * DIM);
    return true;
}

static void free_corpus(corpus *made)
{
    hti_free(made->codes);
    hti_free(made->halves);
    hti_free(made->scales);
    hti_free(made->pooled);
    hti_free(made->query);
    hti_free(made->packed);
}

typedef enum kind { INT8, F16, POOLED } kind;

/* One pass over documents [0, n_docs). */
static void one_pass(const hti_maxsim_kernels *table, const corpus *data, kind what, const hti_packed_query *packed,
                     size_t n_docs)
{
    static double scores[N_DOCS];
    static float dots[N_DOCS];
    const hti_rows codes = {data->codes, data->scales, data->n_rows, DIM},
                   halves = {data->halves, NULL, data->n_rows, 2 * DIM};
    if (what == INT8) table->maxsim_int8(packed, &codes, data->spans, n_docs, scores);
    if (what == F16) table->maxsim_f16(packed, &halves, data->spans, n_docs, scores);
    if (what == POOLED) table->dots_f32(data->query, data->pooled, n_docs, DIM, dots);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct case_of {
    const char *name;
    kind what;
    size_t n_docs;
} case_of;

static void measure(const hti_maxsim_kernels *table, const corpus *data, const case_of *test, double peer)
{
    double rates[MAX_PASSES];
    size_t n = 0;
    hti_packed_query packed = {0};
    if (test->what == INT8) table->pack_int8(data->query, N_QUERY, DIM, data->packed, &packed);
    if (test->what == F16) table->pack_f16(data->query, N_QUERY, DIM, data->packed, &packed);
    const uint64_t start = hti_clock_ns();
    do {
        const uint64_t before = hti_clock_ns();
        one_pass(table, data, test->what, &packed, test->n_docs);
        rates[n++] = (double)test->n_docs * 1e9 / (double)(hti_clock_ns() - before);
    } while (n < MAX_PASSES && (double)(hti_clock_ns() - start) < pass_budget_s * 1e9);
    qsort(rates, n, sizeof *rates, by_value);
    printf("{\"bench\": \"maxsim\", \"name\": \"%s %s, 1 thread\", \"value\": %.0f, \"unit\": \"documents/s\", "
           "\"median\": %.0f, \"spread\": %.3f",
           test->name, table->name, rates[n - 1], rates[n / 2], rates[n - 1 - n / 4] / rates[n / 4]);
    if (peer > 0.0 && test->what != POOLED) printf(", \"peer\": %.0f, \"ratio\": %.2f", peer, rates[n - 1] / peer);
    printf("}\n");
    (void)fflush(stdout);
}

/* The peer's figure: the number its command prints; 0 if there is none. */
static double run_peer(const char *command)
{
    FILE *out = popen(command, "r");
    char line[64] = "";
    if (!out || !fgets(line, sizeof line, out)) fprintf(stderr, "bench_maxsim: no figure from: %s\n", command);
    if (out) (void)pclose(out);
    return strtod(line, NULL);
}

int main(int argc, char **argv)
{
    static corpus data;
    static const case_of cases[] = {
        {"int8 scan", INT8, N_DOCS},
        {"int8 rerank", INT8, RERANK_DOCS},
        {"f16 scan", F16, N_DOCS},
        {"pooled f32 scan", POOLED, N_DOCS},
    };
    const double peer = argc > 1 ? run_peer(argv[1]) : 0.0;
    if (!make_corpus(&data)) {
        fprintf(stderr, "bench_maxsim: out of memory\n");
        free_corpus(&data);
        return 1;
    }
    fprintf(stderr, "%s, %s; %d documents, %zu vectors, %d dimensions, %d query vectors\n", hti_cpu_model(),
            ht_cpu_name(), N_DOCS, data.n_rows, DIM, N_QUERY);
    for (int level = 0; level <= (int)hti_cpu_level(); level++)
        for (size_t i = 0; i < HTI_LEN(cases); i++) measure(hti_maxsim_at((hti_cpu)level), &data, &cases[i], peer);
    free_corpus(&data);
    return 0;
}
