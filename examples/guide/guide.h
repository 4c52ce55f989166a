/* guide.h - what the guide's programs share: time, options, a digest of results, and the table at the end. */
#ifndef EXAMPLES_GUIDE_H
#define EXAMPLES_GUIDE_H

#include "common.h"

#include <time.h>

static inline double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One way of doing the work: what it took and what was called. */
typedef struct guide_way {
    const char *name;
    double seconds;
    ht_instance_stats stats;
} guide_way;

/* A figure that tells results apart: number i, from 0, counts 1 + i mod 7 times; a text is the sum of its bytes. */
typedef struct guide_digest {
    double sum;
    size_t n;
} guide_digest;

static inline void digest_number(guide_digest *digest, double number)
{
    digest->sum += number * (double)(1 + digest->n++ % 7);
}

static inline void digest_text(guide_digest *digest, ht_text text)
{
    double sum = 0;
    for (size_t i = 0; i < text.len; i++) sum += (unsigned char)text.data[i];
    digest_number(digest, sum);
}

static inline void digest_floats(guide_digest *digest, ht_value tensor)
{
    const ht_tensor *view = ht_value_tensor_view(tensor);
    size_t n = 1;
    for (uint32_t i = 0; i < view->n_dims; i++) n *= (size_t)view->shape[i];
    for (size_t i = 0; i < n; i++) digest_number(digest, ((const float *)view->data)[i]);
}

/* NAME [--json] [--model FOLDER] [ROWS] */
typedef struct guide_options {
    size_t n;
    bool json;
    const char *model; /* a folder, or the name of an installed model */
} guide_options;

static inline guide_options guide_parse(int argc, char **argv, size_t n)
{
    guide_options options = {n, false, "default"};
    for (int i = 1; i < argc; i++) {
        char *end;
        if (!strcmp(argv[i], "--json")) {
            options.json = true;
            continue;
        }
        if (!strcmp(argv[i], "--model") && i + 1 < argc) {
            options.model = argv[++i];
            continue;
        }
        options.n = strtoull(argv[i], &end, 10);
        if (*end == '\0' && options.n > 0) continue;
        (void)fprintf(stderr, "usage: %s [--json] [--model FOLDER] [ROWS]\n", argv[0]);
        exit(2);
    }
    return options;
}

/* The table, and automatic beside by hand: ways [3] are row by row, automatic, by hand. Ends the program. */
static inline int guide_report(const char *program, guide_options options, const guide_way *ways, bool same,
                               guide_digest digest)
{
    const double ratio = ways[1].seconds / ways[2].seconds;
    if (options.json) {
        printf("{\"program\": \"%s\", \"rows\": %zu, \"same\": %s, \"digest\": %.17g, \"automatic_by_hand\": %.3f, "
               "\"rows_by_automatic\": %.1f, \"ways\": [",
               program, options.n, same ? "true" : "false", digest.sum, ratio, ways[0].seconds / ways[1].seconds);
        for (int i = 0; i < 3; i++)
            printf("%s{\"way\": \"%s\", \"seconds\": %.6f, \"instances\": %llu, \"row_calls\": %llu, "
                   "\"batch_calls\": %llu, \"starts\": %llu}",
                   i ? ", " : "", ways[i].name, ways[i].seconds, (unsigned long long)ways[i].stats.objects,
                   (unsigned long long)ways[i].stats.rows_alone, (unsigned long long)ways[i].stats.batches,
                   (unsigned long long)ways[i].stats.starts);
        printf("]}\n");
        return same ? 0 : 1;
    }
    printf("%-12s %10s %10s %11s %8s %10s\n", "", "instances", "row calls", "batch calls", "starts", "seconds");
    for (int i = 0; i < 3; i++)
        printf("%-12s %10llu %10llu %11llu %8llu %10.4f\n", ways[i].name, (unsigned long long)ways[i].stats.objects,
               (unsigned long long)ways[i].stats.rows_alone, (unsigned long long)ways[i].stats.batches,
               (unsigned long long)ways[i].stats.starts, ways[i].seconds);
    printf("automatic / by hand: %.2f; row by row / automatic: %.1f; results %s\n", ratio,
           ways[0].seconds / ways[1].seconds, same ? "equal" : "DIFFER");
    return same ? 0 : 1;
}

static inline bool same_series(const ht_series *a, const ht_series *b, const ht_series *c)
{
    return ht_series_equal(a, b) && ht_series_equal(b, c);
}

#endif
