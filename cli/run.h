/*
 * run.h - what `hound run` and `hound trace` share: their options and the run itself.
 */
#ifndef HOUND_RUN_H
#define HOUND_RUN_H

#include "rows.h"

typedef struct run_args {
    const char *command; /* for messages */
    text_list inputs, outputs, plugins;
    const char *engine, *address, *runner, *cache, *viz;
    size_t workers, window, batch;
    bool no_batch, quiet, progress, no_progress;
    bool traced;       /* a trace is kept, for `end` */
    ht_progress *bars; /* of the run; NULL: none are drawn */
} run_args;

/* `to` is a run_args *; `letter` that of --output. */
#define RUN_ROWS(letter, to)                                                                                          \
    INPUT_ROW(&(to)->inputs), OUTPUT_ROW((letter), &(to)->outputs),                                                   \
        ROW("engine", 'e', OPT_TEXT, &(to)->engine, "NAME", "sequential (default), threads, processes, dask, daft"),  \
        ROW("address", 0, OPT_TEXT, &(to)->address, "URL", "of a Dask scheduler; default a cluster of this machine"), \
        ROW("runner", 0, OPT_TEXT, &(to)->runner, "NAME", "of Daft: native (default) or ray"),                        \
        ROW("workers", 'w', OPT_COUNT, &(to)->workers, "N", "threads, processes or slices; default one a CPU"),       \
        ROW("cache", 0, OPT_TEXT, &(to)->cache, "DIR", "keep results of nodes there and take them from there"),       \
        ROW("viz", 0, OPT_TEXT, &(to)->viz, "FILE", "the pipeline with times and counts, drawn as by `hound viz`"),   \
        ROW("no-batch", 0, OPT_FLAG, &(to)->no_batch, NULL, "call every row alone"),                                  \
        ROW("batch", 0, OPT_COUNT, &(to)->batch, "N", "most rows of one call"),                                       \
        ROW("window", 0, OPT_COUNT, &(to)->window, "N", "items in flight; default 1024"), PLUGIN_ROW(&(to)->plugins), \
        ROW("progress", 0, OPT_FLAG, &(to)->progress, NULL, "tell how far it is, also where there is no terminal"),   \
        ROW("no-progress", 0, OPT_FLAG, &(to)->no_progress, NULL, "no bars on a terminal"),                           \
        ROW("quiet", 'q', OPT_FLAG, &(to)->quiet, NULL, "no warnings and no bars")

/* What a command makes of a run that did well: `out` is borrowed, `trace` NULL unless args->traced. */
typedef ht_status (*run_end_fn)(void *ud, ht_value out, ht_trace *trace, ht_error *err);
/* Runs the file as the options say, then `end`, then draws what --viz asks for. */
HT_CHECKED ht_status run_pipeline(const run_args *args, const char *path, run_end_fn end, void *ud, ht_error *err);
/* A page where the path ends in .html, else Chrome's format; "-" is standard output. */
HT_CHECKED ht_status write_trace(const char *path, ht_trace *trace, const char *title, ht_error *err);

#endif
