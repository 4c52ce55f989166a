/*
 * houndstooth/draw.h - a plan as a picture: one SVG, or one HTML page that opens and closes nested pipelines.
 *
 * Both stand alone: no network, no fonts, no scripts from elsewhere. The same plan and options give the same bytes.
 */
#ifndef HOUNDSTOOTH_DRAW_H
#define HOUNDSTOOTH_DRAW_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_draw_format { HT_DRAW_SVG, HT_DRAW_HTML } ht_draw_format;
typedef enum ht_draw_orient { HT_DRAW_LEFT_RIGHT, HT_DRAW_TOP_DOWN } ht_draw_orient;
/* Of an SVG; AUTO follows the reader's scheme, as a page always does. */
typedef enum ht_draw_style { HT_DRAW_LIGHT, HT_DRAW_DARK, HT_DRAW_AUTO } ht_draw_style;

typedef struct ht_draw_options {
    uint32_t size;
    ht_draw_format format;
    ht_draw_orient orient;
    ht_draw_style style;
    uint32_t depth;    /* levels that are open: 1: nested pipelines are one box each; 0: all. A page opens the others */
    const char *title; /* NULL: the pipeline's name */
    ht_trace *trace;   /* of a run of this plan: times and counts on the nodes, by name; NULL: none */
} ht_draw_options;

/*
 * Writes the picture of a plan: nodes from left to right (or down) as their values flow, nested pipelines as boxes
 * around their nodes, inputs with the same readers in one box, bound ones with their values. options NULL: all
 * defaults. Time: O((nodes + edges) log nodes) for a fixed number of sweeps. Thread rule: a plan from any thread.
 */
HT_API HT_CHECKED ht_status ht_plan_draw(const ht_plan *plan, const ht_draw_options *options, ht_writer *writer,
                                         ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
