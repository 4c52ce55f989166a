/*
 * draw_int.h - a plan on its way to a picture: levels of items and edges, measured, placed, written.
 *
 * A level is one pipeline: the drawing's, or the inside of a nested one. Its items stand in layers along the main axis
 * (x from left to right, y top down), ordered along the cross axis. What passes a layer without stopping there has a
 * bend in it, an item without a box, so that lines keep clear of boxes. Everything lives in the drawing's arena.
 */
#ifndef HTI_FLOW_DRAW_INT_H
#define HTI_FLOW_DRAW_INT_H

#include "flow_int.h"

#include <houndstooth/draw.h>

#define HTI_DRAW_NONE UINT32_MAX

typedef enum hti_draw_kind {
    HTI_DRAW_NODE,   /* of a function */
    HTI_DRAW_METHOD, /* of an instance */
    HTI_DRAW_NESTED,
    HTI_DRAW_INPUTS, /* inputs of the pipeline with the same readers */
    HTI_DRAW_RESULT, /* an output of the pipeline; of a nested one a dot on its border */
    HTI_DRAW_BEND,
} hti_draw_kind;

typedef enum hti_draw_mark {
    HTI_DRAW_GIVEN, /* by the run, or by the pipeline around */
    HTI_DRAW_EACH,  /* the same, one element at a time */
    HTI_DRAW_BOUND,
    HTI_DRAW_DEFAULT,
    HTI_DRAW_INSTANCE, /* bound to an instance */
} hti_draw_mark;

/* What a trace tells of one name. */
typedef struct hti_draw_times {
    uint64_t calls, rows, batches, cached, items, ns;
} hti_draw_times;

/* One line of a box of inputs. */
typedef struct hti_draw_entry {
    hti_draw_mark mark;
    uint32_t input; /* of the plan where given, else HTI_DRAW_NONE */
    const char *name, *text;
    const ht_value *value; /* NULL: given */
} hti_draw_entry;

typedef struct hti_draw_level hti_draw_level;
typedef struct hti_draw_item {
    hti_draw_kind kind;
    uint32_t number; /* in the drawing; bends have none */
    const hti_step *step;
    hti_draw_level *inside; /* of a nested pipeline */
    bool open, at_border;   /* at_border: inputs that the pipeline around gives */
    hti_draw_entry *entries;
    uint32_t n_entries, output;                /* output: of a result, which of the plan's */
    const char *title, *each, *outs, *figures; /* lines of its box; NULL: none */
    const char *under;                         /* the title of an open pipeline: each and figures */
    hti_draw_times times;
    double share; /* of the longest time of all, 0..1 */
    uint32_t layer, rank;
    double natural[2], size[2], at[2]; /* x, y; `at` from the corner of the level's box */
} hti_draw_item;

/* From one item to another, at the ports of a nested pipeline's items where they are open. */
typedef struct hti_draw_edge {
    uint32_t number;
    uint32_t from, from_port, to, to_port, to_row;
    uint32_t first_bend; /* of the trunk that edges of one source share, at the layer behind it; or HTI_DRAW_NONE */
    const char *label;
} hti_draw_edge;

/* A piece of one or more edges between neighbouring layers. `edge` tells the ports at its two ends. */
typedef struct hti_draw_link {
    uint32_t from, to, edge;
} hti_draw_link;

struct hti_draw_level {
    const ht_plan *plan;
    uint32_t number, depth; /* depth 0: the outermost */
    hti_draw_item *items;   /* [n_items]: steps, inputs, results, then bends */
    size_t n_items, n_boxes;
    hti_draw_edge *edges; /* [n_edges], those of one source beside each other */
    size_t n_edges;
    hti_draw_link *links; /* [n_links] */
    size_t n_links;
    uint32_t **layers, *layer_len; /* [n_layers] items in their order */
    uint32_t n_layers;
    uint32_t *before, *before_at, *behind,
        *behind_at;                                 /* links that end (begin) at item i: [before_at[i], ...[i + 1]) */
    uint32_t *input_item, *input_row, *result_item; /* of each input and output of the plan; or HTI_DRAW_NONE */
    double *column_at, *column_size;                /* [n_layers] along the main axis */
    double header, least_width;                     /* height of what is above the items */
    double size[2];
};

typedef struct hti_drawing {
    hti_arena arena;
    ht_draw_options options;
    int main; /* axis along which values flow: 0: x, 1: y */
    hti_draw_level *root;
    uint32_t n_items, n_edges, n_levels;
    hti_map names; /* of spans -> times */
    hti_draw_times *times;
    size_t cap_times;
    uint64_t n_lost, longest_ns;
    const char *title;
} hti_drawing;

/* A zeroed array in the arena; leaves the function if memory is out. */
#define HTI_DRAW_NEW(arena, out, type, n)                    \
    do {                                                     \
        (out) = HTI_ARENA_ARRAY((arena), type, (n));         \
        if (!(out)) return HTI_NO_MEMORY(err);               \
        if (n) memset((void *)(out), 0, (n) * sizeof(type)); \
    } while (0)

/* ---- measures, in pixels ---- */

enum {
    HTI_DRAW_TITLE = 13, /* font sizes */
    HTI_DRAW_NOTE = 11,
    HTI_DRAW_ROW = 20,    /* of a box of inputs */
    HTI_DRAW_ROW_PAD = 5, /* above the first and below the last */
    HTI_DRAW_PAD = 18,    /* inside a nested pipeline */
    HTI_DRAW_MARGIN = 24, /* around all of it */
    HTI_DRAW_LABEL = 320, /* longest text in a box */
};

/* Width of a text in a wide common font: in others it is narrower. */
double hti_draw_width(const char *text, double font_size, bool bold);
/* The text, cut with an ellipsis where it is wider; NULL if memory is out. */
const char *hti_draw_fit(hti_arena *arena, const char *text, double font_size, double width);
const char *hti_draw_format(hti_arena *arena, const char *fmt, ...) HT_PRINTF(2, 3);

/* ---- the steps of drawing ---- */

HT_CHECKED ht_status hti_draw_sum_times(hti_drawing *drawing, ht_error *err);
/* What spans of this name add up to; zeros if there are none. */
hti_draw_times hti_draw_times_of(const hti_drawing *drawing, const char *name);
void hti_draw_add_times(hti_draw_times *into, hti_draw_times more);
/* "12 calls, 3 batches, 1.2 s"; "" if nothing is known. NULL if memory is out. */
const char *hti_draw_figures(hti_arena *arena, const hti_draw_times *times);

HT_CHECKED ht_status hti_draw_model(hti_drawing *drawing, const ht_plan *plan, ht_error *err);
/* Layers, bends and orders of a level and those inside it. */
HT_CHECKED ht_status hti_draw_rank(hti_drawing *drawing, hti_draw_level *level, ht_error *err);
/* Natural sizes of all boxes, open or not. */
void hti_draw_measure(hti_draw_level *level);
/* Sizes and places, for what is open. */
HT_CHECKED ht_status hti_draw_place(hti_drawing *drawing, hti_draw_level *level, ht_error *err);
/* Where an edge meets its source (end 0) or target (end 1), along the cross axis from the item's corner. */
double hti_draw_port(const hti_drawing *drawing, const hti_draw_level *level, const hti_draw_edge *edge, int end);

void hti_draw_svg(const hti_drawing *drawing, hti_buffer *out);
HT_CHECKED ht_status hti_draw_html(hti_drawing *drawing, hti_buffer *out, ht_error *err);
extern const char *const hti_draw_script[]; /* up to NULL */
/* The picture itself, and the rules of its looks. `all`: also what is closed, for a script to open. */
void hti_draw_picture(const hti_drawing *drawing, bool all, hti_buffer *out);
void hti_draw_rules(hti_buffer *out, ht_draw_style style);
/* Text between tags or in an attribute: well-formed whatever the name holds. */
void hti_draw_escaped(hti_buffer *out, const char *text);

#endif
