/*
 * houndstooth/view.h - pipelines and runs for people: pictures of plans, progress bars.
 */
#ifndef HOUNDSTOOTH_VIEW_H
#define HOUNDSTOOTH_VIEW_H

#include "flow.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_picture { HT_PICTURE_SVG, HT_PICTURE_HTML } ht_picture;
typedef struct ht_picture_options {
    uint32_t size;
    const char *title; /* NULL: the pipeline's name */
    uint32_t depth;    /* nested pipelines opened at first; 0: 1 */
    bool across;       /* left to right instead of top to bottom */
    ht_trace *trace;   /* of a run of this plan: times and counts on the nodes; NULL: none */
} ht_picture_options;
/* Self-contained: SVG, or an HTML page in which nested pipelines open and close. options NULL: defaults. */
HT_API HT_CHECKED ht_status ht_plan_draw(const ht_plan *plan, ht_picture format, const ht_picture_options *options,
                                         ht_writer *writer, ht_error *err);

/* Progress of maps and nodes on a terminal (bars, redrawn in place) or as plain lines (at most one a second). */
typedef struct ht_progress ht_progress;
/* Writes to file descriptor fd; `terminal` false: plain lines. */
HT_API HT_CHECKED ht_status ht_progress_new(int fd, bool terminal, ht_progress **out, ht_error *err);
/* To be given as ht_run_options.event, with the progress as its ud. */
HT_API void ht_progress_event(void *progress, const ht_event *event);
/* Draws the last state and ends the lines. NULL allowed. */
HT_API void ht_progress_free(ht_progress *progress);

#ifdef __cplusplus
}
#endif

#endif
