/*
 * draw_place.c - sizes and places of what a level holds.
 *
 * Along the main axis each layer is a column as long as its longest item. Along the cross axis an item wants to stand
 * where the median of its neighbours' ports is; a layer grants these wishes as nearly as its order and the gaps allow:
 * least squares under x[i + 1] >= x[i] + size + gap, solved exactly by pooling adjacent violators (Ayer et al. 1955).
 * Sweeps go both ways, and a last one forward, so that single lines are straight; then sources move to their readers.
 * The script of a page (draw_script.c) does the same when a pipeline is opened or closed: change both together.
 */
#include "draw_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 6 };

/* ---- sizes ---- */

/* Width and height of the lines of a step's box. */
static void measure_lines(const hti_draw_item *item, double *width, double *height)
{
    const char *const lines[] = {item->each, item->outs, item->figures};
    *width = hti_draw_width(item->title, HTI_DRAW_TITLE, true);
    *height = 32;
    for (size_t i = 0; i < HTI_LEN(lines); i++) {
        if (!lines[i] || !*lines[i]) continue;
        *width = HTI_MAX(*width, hti_draw_width(lines[i], HTI_DRAW_NOTE, false));
        *height += 16;
    }
    *width += item->kind == HTI_DRAW_NESTED ? 44 : 28; /* with the sign that it opens */
}

static void measure(hti_draw_item *item, bool nested_result)
{
    double width = 0, height = 0;
    switch (item->kind) {
    case HTI_DRAW_NODE:
    case HTI_DRAW_METHOD:
    case HTI_DRAW_NESTED: measure_lines(item, &width, &height); break;
    case HTI_DRAW_INPUTS:
        for (size_t e = 0; e < item->n_entries; e++)
            width = HTI_MAX(width, hti_draw_width(item->entries[e].text, HTI_DRAW_NOTE, false));
        width += 34;
        height = HTI_DRAW_ROW * item->n_entries + 2 * HTI_DRAW_ROW_PAD;
        break;
    case HTI_DRAW_RESULT:
        width = nested_result ? 0 : hti_draw_width(item->title, HTI_DRAW_NOTE, true) + 36;
        height = nested_result ? 0 : 28;
        break;
    case HTI_DRAW_BEND: break;
    }
    item->natural[0] = ceil(width);
    item->natural[1] = ceil(height);
}

/* Boxes of one column are equally wide, but for what is open. */
static void even_widths(hti_draw_level *level, uint32_t layer)
{
    double widest = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t r = 0; r < level->layer_len[layer]; r++) {
            hti_draw_item *item = &level->items[level->layers[layer][r]];
            if (item->kind > HTI_DRAW_NESTED || item->open) continue;
            if (pass)
                item->size[0] = widest;
            else
                widest = HTI_MAX(widest, item->natural[0]);
        }
}

/* ---- the cross axis ---- */

double hti_draw_port(const hti_drawing *drawing, const hti_draw_level *level, const hti_draw_edge *edge, int end)
{
    const int c = 1 - drawing->main;
    const hti_draw_item *item = &level->items[end ? edge->to : edge->from];
    const uint32_t port = end ? edge->to_port : edge->from_port;
    if (!item->open || port == HTI_DRAW_NONE) return item->size[c] / 2;
    const hti_draw_item *inner = &item->inside->items[port];
    if (end && drawing->main == 0) return inner->at[c] + HTI_DRAW_ROW_PAD + HTI_DRAW_ROW * (edge->to_row + 0.5);
    return inner->at[c] + inner->size[c] / 2;
}

static double gap_between(const hti_draw_item *a, const hti_draw_item *b)
{
    if (a->kind == HTI_DRAW_BEND && b->kind == HTI_DRAW_BEND) return 18;
    return a->kind == HTI_DRAW_BEND || b->kind == HTI_DRAW_BEND ? 20 : 24;
}

/* Room that the title takes along an axis. */
static double header(const hti_draw_level *level, int axis) { return axis == 1 ? level->header : 0; }

typedef struct placer {
    hti_drawing *drawing;
    hti_draw_level *level;
    double *wishes;                       /* [most links of an item] */
    double *wanted, *weight, *sum, *mass; /* [longest layer] */
    uint32_t *pool;                       /* [longest layer] members */
    int c;
} placer;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Where an item would stand if its neighbours of one side had their way; false if it has none there. */
static bool wish_of(const placer *p, uint32_t item, bool forward, double *out)
{
    const hti_draw_level *level = p->level;
    const uint32_t *at = forward ? level->before_at : level->behind_at, *list = forward ? level->before : level->behind;
    size_t n = 0;
    for (int inputs = 0; inputs < 2 && n == 0; inputs++) /* inputs count only where there is nothing else */
        for (uint32_t k = at[item]; k < at[item + 1]; k++) {
            const hti_draw_link *link = &level->links[list[k]];
            const hti_draw_edge *edge = &level->edges[link->edge];
            const hti_draw_item *other = &level->items[forward ? link->from : link->to];
            if ((other->kind == HTI_DRAW_INPUTS && !other->at_border) != inputs && forward) continue;
            const double from =
                level->items[link->from].kind == HTI_DRAW_BEND ? 0 : hti_draw_port(p->drawing, level, edge, 0);
            const bool bend = level->items[link->to].kind == HTI_DRAW_BEND;
            const double to = bend ? 0 : hti_draw_port(p->drawing, level, edge, 1);
            p->wishes[n++] = other->at[p->c] + (forward ? from - to : to - from);
        }
    if (n == 0) return false;
    qsort(p->wishes, n, sizeof *p->wishes, by_value);
    *out = (p->wishes[(n - 1) / 2] + p->wishes[n / 2]) / 2;
    return true;
}

/* Grants wanted[r] with weight[r] for a layer, least squares under its order and gaps. */
static void grant(const placer *p, uint32_t layer)
{
    const hti_draw_level *level = p->level;
    const uint32_t n = level->layer_len[layer];
    size_t n_pools = 0;
    double off = 0;
    for (uint32_t r = 0; r < n; r++) {
        const hti_draw_item *item = &level->items[level->layers[layer][r]];
        if (r) {
            const hti_draw_item *above = &level->items[level->layers[layer][r - 1]];
            off += above->size[p->c] + gap_between(above, item);
        }
        p->sum[n_pools] = (p->wanted[r] - off) * p->weight[r];
        p->mass[n_pools] = p->weight[r];
        p->pool[n_pools++] = 1;
        while (n_pools > 1 && p->sum[n_pools - 2] * p->mass[n_pools - 1] > p->sum[n_pools - 1] * p->mass[n_pools - 2]) {
            n_pools--;
            p->sum[n_pools - 1] += p->sum[n_pools];
            p->mass[n_pools - 1] += p->mass[n_pools];
            p->pool[n_pools - 1] += p->pool[n_pools];
        }
    }
    off = 0;
    for (uint32_t r = 0, k = 0, left = n ? p->pool[0] : 0; r < n; r++, left--) {
        hti_draw_item *item = &level->items[level->layers[layer][r]];
        if (left == 0) left = p->pool[++k];
        if (r) {
            const hti_draw_item *above = &level->items[level->layers[layer][r - 1]];
            off += above->size[p->c] + gap_between(above, item);
        }
        item->at[p->c] = p->sum[k] / p->mass[k] + off;
    }
}

typedef enum sweep_kind { SWEEP_FORWARD, SWEEP_BACK, SWEEP_SOURCES } sweep_kind;

/* In the last kind only what has nothing before it moves. */
static void sweep(const placer *p, sweep_kind kind)
{
    hti_draw_level *level = p->level;
    const bool forward = kind == SWEEP_FORWARD;
    for (uint32_t k = 0; k < level->n_layers; k++) {
        const uint32_t layer = forward ? k : level->n_layers - 1 - k;
        for (uint32_t r = 0; r < level->layer_len[layer]; r++) {
            const uint32_t item = level->layers[layer][r];
            const bool fixed = kind == SWEEP_SOURCES && level->before_at[item] < level->before_at[item + 1];
            const bool bend = level->items[item].kind == HTI_DRAW_BEND;
            p->wanted[r] = level->items[item].at[p->c];
            p->weight[r] = fixed ? 1e6 : 0.001;
            if (!fixed && wish_of(p, item, forward, &p->wanted[r])) p->weight[r] = bend ? 4 : 1;
        }
        grant(p, layer);
    }
}

typedef struct span {
    double at, end;
    uint32_t item;
} span;

static int by_start(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->at < y->at || x->at > y->at) return x->at < y->at ? -1 : 1;
    return x->item < y->item ? -1 : 1;
}

/* Bands that no item stands in shrink: parts that hang together by nothing may lie far apart. */
static ht_status close_bands(const placer *p, ht_error *err)
{
    enum { BAND = 36 };
    hti_draw_level *level = p->level;
    span *spans;
    double end = INFINITY, shift = 0;
    HTI_DRAW_NEW(&p->drawing->arena, spans, span, level->n_items);
    for (uint32_t i = 0; i < level->n_items; i++) {
        const double at = level->items[i].at[p->c];
        spans[i] = (span){at, at + level->items[i].size[p->c], i};
    }
    if (level->n_items) qsort(spans, level->n_items, sizeof *spans, by_start);
    for (size_t i = 0; i < level->n_items; i++) {
        if (spans[i].at - end > BAND) shift += spans[i].at - end - BAND;
        end = i == 0 ? spans[i].end : HTI_MAX(end, spans[i].end);
        level->items[spans[i].item].at[p->c] -= shift;
    }
    return HT_OK;
}

static ht_status place_across(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    hti_arena *arena = &drawing->arena;
    placer p = {.drawing = drawing, .level = level, .c = 1 - drawing->main};
    uint32_t most = 0, longest = 0;
    double least = INFINITY;
    for (size_t i = 0; i < level->n_items; i++) {
        most = HTI_MAX(most, level->before_at[i + 1] - level->before_at[i]);
        most = HTI_MAX(most, level->behind_at[i + 1] - level->behind_at[i]);
        level->items[i].at[p.c] = 0;
    }
    for (uint32_t l = 0; l < level->n_layers; l++) longest = HTI_MAX(longest, level->layer_len[l]);
    HTI_DRAW_NEW(arena, p.wishes, double, most);
    HTI_DRAW_NEW(arena, p.wanted, double, longest);
    HTI_DRAW_NEW(arena, p.weight, double, longest);
    HTI_DRAW_NEW(arena, p.sum, double, longest);
    HTI_DRAW_NEW(arena, p.mass, double, longest);
    HTI_DRAW_NEW(arena, p.pool, uint32_t, longest);
    for (int s = 0; s < SWEEPS; s++) {
        sweep(&p, SWEEP_FORWARD);
        sweep(&p, SWEEP_BACK);
    }
    sweep(&p, SWEEP_FORWARD);
    sweep(&p, SWEEP_SOURCES);
    HT_TRY(close_bands(&p, err));
    const double pad = level->depth ? HTI_DRAW_PAD : HTI_DRAW_MARGIN, start = pad + header(level, p.c);
    double end = start;
    for (size_t i = 0; i < level->n_items; i++) least = HTI_MIN(least, level->items[i].at[p.c]);
    for (size_t i = 0; i < level->n_items; i++) {
        hti_draw_item *item = &level->items[i];
        item->at[p.c] = round((item->at[p.c] - least + start) * 2) / 2;
        end = HTI_MAX(end, item->at[p.c] + item->size[p.c]);
    }
    level->size[p.c] = end + pad;
    return HT_OK;
}

/* ---- the main axis ---- */

/* Room for the lines between a layer and the next: more where they climb far. */
static double gap_behind(const hti_drawing *drawing, const hti_draw_level *level, uint32_t layer)
{
    const int c = 1 - drawing->main;
    double climb = 0;
    for (uint32_t r = 0; r < level->layer_len[layer]; r++) {
        const uint32_t item = level->layers[layer][r];
        for (uint32_t k = level->behind_at[item]; k < level->behind_at[item + 1]; k++) {
            const hti_draw_link *link = &level->links[level->behind[k]];
            const hti_draw_item *from = &level->items[link->from], *to = &level->items[link->to];
            const double begin = from->at[c] + from->size[c] / 2, end = to->at[c] + to->size[c] / 2;
            climb = HTI_MAX(climb, fabs(end - begin));
        }
    }
    return 44 + HTI_MIN(48, climb / 7);
}

static void place_along(hti_drawing *drawing, hti_draw_level *level)
{
    const int m = drawing->main;
    double at = header(level, m) + (level->depth ? HTI_DRAW_PAD : HTI_DRAW_MARGIN), end = at;
    for (uint32_t l = 0; l < level->n_layers; l++) {
        double size = 0, start = at;
        for (uint32_t r = 0; r < level->layer_len[l]; r++) {
            const hti_draw_item *item = &level->items[level->layers[l][r]];
            if (item->at_border) start = header(level, m);
        }
        for (uint32_t r = 0; r < level->layer_len[l]; r++)
            size = HTI_MAX(size, level->items[level->layers[l][r]].size[m]);
        level->column_at[l] = at = start;
        level->column_size[l] = size;
        for (uint32_t r = 0; r < level->layer_len[l]; r++) {
            hti_draw_item *item = &level->items[level->layers[l][r]];
            const double slack = size - item->size[m];
            item->at[m] = at + (item->at_border ? 0 : item->kind == HTI_DRAW_INPUTS ? slack : floor(slack / 2));
        }
        end = at + size;
        const bool border = level->depth && l + 2 == level->n_layers; /* its results stand there, as dots */
        at = end + (border ? 20 : l + 1 < level->n_layers ? gap_behind(drawing, level, l) : 0);
    }
    level->size[m] = end + (level->depth ? HTI_DRAW_PAD : HTI_DRAW_MARGIN);
}

/* A nested pipeline's results are dots on its far border. */
static void move_results(const hti_drawing *drawing, hti_draw_level *level)
{
    const int m = drawing->main;
    for (size_t i = 0; level->depth && i < level->n_boxes; i++)
        if (level->items[i].kind == HTI_DRAW_RESULT) level->items[i].at[m] = level->size[m];
    if (level->depth && level->n_layers) level->column_at[level->n_layers - 1] = level->size[m];
}

void hti_draw_measure(hti_draw_level *level)
{
    for (size_t i = 0; i < level->n_boxes; i++) {
        hti_draw_item *item = &level->items[i];
        measure(item, level->depth > 0);
        if (!item->inside) continue;
        item->inside->header = *item->under ? 46 : 30;
        item->inside->least_width = ceil(60 + HTI_MAX(hti_draw_width(item->title, HTI_DRAW_TITLE, true),
                                                      hti_draw_width(item->under, HTI_DRAW_NOTE, false)));
        hti_draw_measure(item->inside);
    }
}

ht_status hti_draw_place(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    HTI_DRAW_NEW(&drawing->arena, level->column_at, double, level->n_layers);
    HTI_DRAW_NEW(&drawing->arena, level->column_size, double, level->n_layers);
    for (size_t i = 0; i < level->n_boxes; i++) {
        hti_draw_item *item = &level->items[i];
        memcpy(item->size, item->natural, sizeof item->size);
        if (!item->open && (!item->inside || drawing->options.format == HT_DRAW_SVG)) continue;
        HT_TRY(hti_draw_place(drawing, item->inside, err));
        if (item->open) memcpy(item->size, item->inside->size, sizeof item->size);
    }
    for (uint32_t l = 0; drawing->main == 0 && l < level->n_layers; l++) even_widths(level, l);
    HT_TRY(place_across(drawing, level, err));
    place_along(drawing, level);
    level->size[0] = ceil(HTI_MAX(level->size[0], level->least_width));
    level->size[1] = ceil(level->size[1]);
    move_results(drawing, level);
    return HT_OK;
}
