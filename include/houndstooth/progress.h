/*
 * houndstooth/progress.h - how far a run is: a bar for every map and every node inside, from a run's events.
 *
 * A pipeline that is mapped itself has a bar too, which needs ht_run_options.item_events.
 * On a terminal the lines are drawn again in place; elsewhere a line is written when a map begins, when it ends, and
 * now and then between. Nothing is written but through the caller's function.
 */
#ifndef HOUNDSTOOTH_PROGRESS_H
#define HOUNDSTOOTH_PROGRESS_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_progress ht_progress;
typedef struct ht_progress_options {
    uint32_t size;
    void (*write)(void *ud, const char *text, size_t len); /* called by one thread at a time; must be given */
    void *ud;
    bool terminal;          /* lines are drawn in place, with ANSI escapes */
    uint32_t width, height; /* of the terminal in characters; 0: 80 and 24 */
    uint32_t interval_ms;   /* between drawings; 0: 100 on a terminal, 10,000 elsewhere */
    const ht_clock *clock;  /* NULL: the machine's */
} ht_progress_options;

/* For runs of this plan, whose names it takes over. INVALID without a write function. */
HT_API HT_CHECKED ht_status ht_progress_new(const ht_plan *plan, const ht_progress_options *options, ht_progress **out,
                                            ht_error *err);
/* To be called with every event of the run: as ht_run_options.event, its ud being the progress, or from there. */
HT_API void ht_progress_event(void *progress, const ht_event *event);
/* Draws for the last time, which a run that failed needs too. */
HT_API void ht_progress_finish(ht_progress *progress);
HT_API void ht_progress_free(ht_progress *progress); /* NULL allowed */

#ifdef __cplusplus
}
#endif

#endif
