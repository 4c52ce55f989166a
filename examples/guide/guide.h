/* guide.h - what the guide's programs share: time, options, and the table at the end. */
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
static inline int guide_report(const char *program, guide_options options, const guide_way *ways, bool same)
{
    const double ratio = ways[1].seconds / ways[2].seconds;
    if (options.json) {
        printf("{\"program\": \"%s\", \"rows\": %zu, \"same\": %s, \"automatic_by_hand\": %.3f, "
               "\"rows_by_automatic\": %.1f, \"ways\": [",
               program, options.n, same ? "true" : "false", ratio, ways[0].seconds / ways[1].seconds);
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
