/*
 * bench_plaid.c - the token-vector index end to end: build, open, search, rerank, pooled search.
 *
 *     bench_plaid [PATH]      PATH: where the segment is written (default bench_plaid.segment; removed at the end)
 *
 * Data as in bench_maxsim: 1,400 documents of 60 to 292 random unit vectors of 384 dimensions, 23 query vectors.
 * Searches run with 1 and 2 threads on the mapped file, in the page cache. Output: JSON lines {bench, name, value,
 * unit, median}; value is the best pass.
 */
#include "os/os.h"
#include "plaid/plaid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 384, N_DOCS = 1400, N_QUERY = 23, MAX_VECTORS = 292, PASSES = 40, K = 100 };

static ht_error err;

static void need(ht_status status)
{
    if (status == HT_OK) return;
    fprintf(stderr, "bench_plaid: %s\n", err.message);
    exit(ht_status_exit_code(status));
}

static void unit_vectors(uint64_t *state, float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++, rows += DIM) {
        double norm = 0.0;
        for (size_t k = 0; k < DIM; k++) {
            rows[k] = (float)(hti_random_unit(state) - 0.5);
            norm += (double)rows[k] * (double)rows[k];
        }
        for (size_t k = 0; k < DIM; k++) rows[k] = (float)((double)rows[k] / sqrt(norm));
    }
}

static void print_line(const char *name, double best, double median, const char *unit)
{
    printf("{\"bench\": \"plaid\", \"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", \"median\": %.4g}\n", name,
           best, unit, median);
    (void)fflush(stdout);
}

static void build(const char *path, const char *type_name, ht_vector_type type)
{
    static float vectors[MAX_VECTORS * DIM];
    char name[64];
    uint64_t state = 1, spent = 0;
    ht_plaid_builder *builder;
    ht_plaid_build_opts opts;
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    ht_plaid_build_opts_init(&opts);
    opts.dim = DIM;
    opts.vector_type = type;
    opts.has_pooled = true;
    need(ht_plaid_builder_new(path, &opts, &builder, &err));
    for (size_t i = 0; i < N_DOCS; i++) {
        const size_t n = 60 + (size_t)(hti_random_next(&state) % 233);
        unit_vectors(&state, vectors, n);
        const uint64_t before = hti_clock_ns();
        need(ht_plaid_builder_add(builder, vectors, n, vectors, &err));
        spent += hti_clock_ns() - before;
    }
    const uint64_t before = hti_clock_ns();
    need(ht_plaid_builder_finish(builder, &info, &err));
    const double synced = (double)(hti_clock_ns() - before) * 1e-6, rate = N_DOCS * 1e9 / (double)spent;
    (void)snprintf(name, sizeof name, "add %s, 1 thread", type_name);
    print_line(name, rate, rate, "documents/s");
    (void)snprintf(name, sizeof name, "finish and fsync %s", type_name);
    print_line(name, synced, synced, "ms");
    (void)snprintf(name, sizeof name, "size %s", type_name);
    print_line(name, (double)info.size_bytes / N_DOCS, (double)info.size_bytes / N_DOCS, "bytes/document");
}

typedef enum question { OPEN, SEARCH, RERANK, POOLED, MATCHES, N_QUESTIONS } question;
static const char *const question_names[N_QUESTIONS] = {"open", "search k=100", "score 100 documents",
                                                        "pooled search k=100", "matches of a document"};

typedef struct subject {
    const char *path;
    ht_plaid *plaid;
    ht_plaid_session *session;
    const float *query;
} subject;

static void ask(const subject *now, question what)
{
    static ht_hit hits[K];
    static double scores[K];
    static ht_plaid_match matches[N_QUERY];
    uint32_t docs[K];
    size_t n_hits;
    ht_plaid *opened;
    for (uint32_t i = 0; i < K; i++) docs[i] = i * 997 % N_DOCS;
    switch (what) {
    case OPEN:
        need(ht_plaid_open(&now->path, 1, &opened, &err));
        ht_plaid_close(opened);
        break;
    case SEARCH: need(ht_plaid_search(now->session, now->query, N_QUERY, NULL, K, hits, &n_hits, &err)); break;
    case RERANK: need(ht_plaid_score(now->session, now->query, N_QUERY, docs, K, scores, &err)); break;
    case POOLED: need(ht_plaid_search_pooled(now->session, now->query, NULL, K, hits, &n_hits, &err)); break;
    default: need(ht_plaid_matches(now->session, now->query, N_QUERY, 7, matches, &err)); break;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const subject *now, const char *type_name, size_t n_threads)
{
    for (int what = 0; what < N_QUESTIONS; what++) {
        double ms[PASSES];
        char name[64];
        for (size_t i = 0; i < PASSES; i++) {
            const uint64_t before = hti_clock_ns();
            ask(now, (question)what);
            ms[i] = (double)(hti_clock_ns() - before) * 1e-6;
        }
        qsort(ms, PASSES, sizeof *ms, by_value);
        (void)snprintf(name, sizeof name, "%s %s, %zu thread%s", question_names[what], type_name, n_threads,
                       n_threads == 1 ? "" : "s");
        print_line(name, ms[0], ms[PASSES / 2], "ms");
    }
}

int main(int argc, char **argv)
{
    static float query[N_QUERY * DIM];
    static const char *const type_names[] = {[HT_VECTOR_INT8] = "int8", [HT_VECTOR_F16] = "f16"};
    subject now = {.path = argc > 1 ? argv[1] : "bench_plaid.segment", .query = query};
    uint64_t state = 2;
    unit_vectors(&state, query, N_QUERY);
    for (int type = 0; type < 2; type++) {
        build(now.path, type_names[type], (ht_vector_type)type);
        need(ht_plaid_open(&now.path, 1, &now.plaid, &err));
        for (size_t n_threads = 1; n_threads <= 2; n_threads++) {
            ht_pool *pool;
            need(ht_pool_new(n_threads, &pool, &err));
            need(ht_plaid_session_new(now.plaid, pool, &now.session, &err));
            measure(&now, type_names[type], n_threads);
            ht_plaid_session_free(now.session);
            ht_pool_free(pool);
        }
        ht_plaid_close(now.plaid);
    }
    print_line("peak memory", (double)hti_peak_memory() * 1e-6, (double)hti_peak_memory() * 1e-6, "MB");
    need(hti_remove(now.path, &err));
    return 0;
}
