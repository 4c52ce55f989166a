/*
 * draw_rank.c - layers of a level, bends of its long edges, and the order inside layers.
 *
 * Layers by the longest path; a node that reads no more than it feeds moves as late as its readers allow, so that side
 * branches stand beside what they join. Orders by barycentres (Sugiyama, Tagawa, Toda 1981), swept both ways a fixed
 * number of times, the one with the fewest crossings kept (counted by a Fenwick tree: Barth, Jünger, Mutzel 2004).
 * Edges of one source share one trunk, so there are at most boxes x layers bends; where even that is more than a
 * multiple of the boxes and edges, trunks go straight and have none.
 */
#include "draw_int.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 12, BENDS_PER_PART = 32 };

static bool is_step(const hti_draw_item *item) { return item->kind <= HTI_DRAW_NESTED; }

/* ---- layers ---- */

/* Edges begin at their sources in the order of items, and steps are in topological order: one pass each way. */
static void step_layers(hti_draw_level *level, uint32_t *n_before, uint32_t *n_behind, uint32_t *limit)
{
    const size_t n_steps = level->plan->n_steps;
    for (size_t i = 0; i < level->n_items; i++) {
        level->items[i].layer = is_step(&level->items[i]);
        limit[i] = UINT32_MAX;
    }
    for (size_t e = 0; e < level->n_edges; e++) {
        const hti_draw_edge *edge = &level->edges[e];
        if (edge->from >= n_steps || edge->to >= n_steps) continue;
        level->items[edge->to].layer = HTI_MAX(level->items[edge->to].layer, level->items[edge->from].layer + 1);
        n_before[edge->to]++;
        n_behind[edge->from]++;
    }
    for (size_t e = level->n_edges; e-- > 0;) { /* all edges of a source, from its last to its first, then it moves */
        const hti_draw_edge *edge = &level->edges[e];
        if (edge->from >= n_steps) continue;
        if (edge->to < n_steps) limit[edge->from] = HTI_MIN(limit[edge->from], level->items[edge->to].layer);
        const bool last = e == 0 || level->edges[e - 1].from != edge->from;
        if (last && limit[edge->from] != UINT32_MAX && n_before[edge->from] <= n_behind[edge->from])
            level->items[edge->from].layer = limit[edge->from] - 1;
    }
}

static ht_status make_layers(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    uint32_t *n_before, *n_behind, *limit, last = 0, first = UINT32_MAX;
    HTI_DRAW_NEW(&drawing->arena, n_before, uint32_t, level->n_items);
    HTI_DRAW_NEW(&drawing->arena, n_behind, uint32_t, level->n_items);
    HTI_DRAW_NEW(&drawing->arena, limit, uint32_t, level->n_items);
    step_layers(level, n_before, n_behind, limit);
    for (size_t i = 0; i < level->n_items; i++)
        if (level->items[i].kind == HTI_DRAW_INPUTS && !level->items[i].at_border) level->items[i].layer = UINT32_MAX;
    for (size_t e = 0; e < level->n_edges; e++) {
        hti_draw_item *from = &level->items[level->edges[e].from];
        if (from->kind == HTI_DRAW_INPUTS && !from->at_border)
            from->layer = HTI_MIN(from->layer, level->items[level->edges[e].to].layer - 1);
    }
    for (size_t i = 0; i < level->n_items; i++) {
        if (level->items[i].layer == UINT32_MAX) level->items[i].layer = 0; /* inputs that nobody reads */
        last = HTI_MAX(last, level->items[i].layer);
        if (level->items[i].kind != HTI_DRAW_RESULT) first = HTI_MIN(first, level->items[i].layer);
    }
    if (first == UINT32_MAX) first = 0;
    bool results = false;
    for (size_t i = 0; i < level->n_items; i++) {
        results |= level->items[i].kind == HTI_DRAW_RESULT;
        level->items[i].layer =
            level->items[i].kind == HTI_DRAW_RESULT ? last + 1 - first : level->items[i].layer - first;
    }
    level->n_layers = level->n_items ? last - first + 1 + results : 0;
    return HT_OK;
}

/* ---- bends and links ---- */

/* The last edge behind e of the same source and port, and the farthest layer that they reach. */
static size_t trunk_end(const hti_draw_level *level, size_t e, uint32_t *farthest)
{
    const hti_draw_edge *edges = level->edges;
    size_t end = e;
    *farthest = 0;
    for (; end < level->n_edges && edges[end].from == edges[e].from && edges[end].from_port == edges[e].from_port;
         end++)
        *farthest = HTI_MAX(*farthest, level->items[edges[end].to].layer);
    return end;
}

static size_t count_bends(const hti_draw_level *level)
{
    size_t n = 0;
    uint32_t farthest;
    for (size_t e = 0, end; e < level->n_edges; e = end) {
        end = trunk_end(level, e, &farthest);
        n += farthest - level->items[level->edges[e].from].layer - 1;
    }
    return n;
}

static void add_link(hti_draw_level *level, uint32_t from, uint32_t to, uint32_t edge)
{
    level->links[level->n_links++] = (hti_draw_link){from, to, edge};
}

/* Bends of one trunk from its source to the layer before the farthest, and the links to all its targets. */
static void lay_trunk(hti_draw_level *level, size_t e, size_t end, uint32_t farthest, bool bends)
{
    const uint32_t layer = level->items[level->edges[e].from].layer;
    const uint32_t first = (uint32_t)level->n_items;
    for (uint32_t at = layer + 1; bends && at < farthest; at++) {
        const uint32_t bend = (uint32_t)level->n_items++;
        level->items[bend] = (hti_draw_item){.kind = HTI_DRAW_BEND, .layer = at};
        add_link(level, at == layer + 1 ? level->edges[e].from : bend - 1, bend, (uint32_t)e);
    }
    for (; e < end; e++) {
        hti_draw_edge *edge = &level->edges[e];
        const uint32_t to = level->items[edge->to].layer;
        edge->first_bend = bends && to > layer + 1 ? first : HTI_DRAW_NONE;
        if (to == layer + 1)
            add_link(level, edge->from, edge->to, (uint32_t)e);
        else if (bends)
            add_link(level, first + to - layer - 2, edge->to, (uint32_t)e);
    }
}

static ht_status make_bends(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    const size_t n = count_bends(level), limit = 1000 + BENDS_PER_PART * (level->n_items + level->n_edges);
    const bool bends = n <= limit;
    const hti_draw_item *boxes = level->items;
    uint32_t farthest;
    HTI_DRAW_NEW(&drawing->arena, level->items, hti_draw_item, level->n_boxes + (bends ? n : 0));
    if (level->n_boxes) memcpy(level->items, boxes, level->n_boxes * sizeof *boxes);
    HTI_DRAW_NEW(&drawing->arena, level->links, hti_draw_link, level->n_edges + (bends ? n : 0));
    for (size_t e = 0, end; e < level->n_edges; e = end) {
        end = trunk_end(level, e, &farthest);
        lay_trunk(level, e, end, farthest, bends);
    }
    return HT_OK;
}

/* Links by their ends, as lists in arrays: key 0: `to`, 1: `from`. */
static ht_status list_links(hti_drawing *drawing, hti_draw_level *level, int key, ht_error *err)
{
    uint32_t *at, *list;
    HTI_DRAW_NEW(&drawing->arena, at, uint32_t, level->n_items + 2);
    HTI_DRAW_NEW(&drawing->arena, list, uint32_t, level->n_links);
    for (size_t l = 0; l < level->n_links; l++) at[(key ? level->links[l].from : level->links[l].to) + 2]++;
    for (size_t i = 2; i < level->n_items + 2; i++) at[i] += at[i - 1];
    for (uint32_t l = 0; l < level->n_links; l++) list[at[(key ? level->links[l].from : level->links[l].to) + 1]++] = l;
    *(key ? &level->behind_at : &level->before_at) = at;
    *(key ? &level->behind : &level->before) = list;
    return HT_OK;
}

/* ---- order ---- */

typedef struct sorter {
    hti_draw_level *level;
    struct keyed {
        double key;
        uint32_t item, rank;
    } * keys;       /* [n_items] */
    uint32_t *tree; /* [longest layer + 1] of Fenwick */
    uint32_t *best; /* [n_items] ranks */
    uint32_t *ends; /* [n_links] */
} sorter;

/* Where on an item a link ends, 0..1: among the items inside that stand at its border. */
static double port_share(const hti_draw_level *level, const hti_draw_link *link, bool source)
{
    const hti_draw_edge *edge = &level->edges[link->edge];
    const hti_draw_item *item = &level->items[source ? link->from : link->to];
    const uint32_t port = source ? edge->from_port : edge->to_port;
    if (item->kind != HTI_DRAW_NESTED || port == HTI_DRAW_NONE) return 0.5;
    const hti_draw_level *inside = item->inside;
    const double row = source ? 0.5 : (edge->to_row + 0.5) / inside->items[port].n_entries;
    return (inside->items[port].rank + row) / inside->layer_len[inside->items[port].layer];
}

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key < y->key || x->key > y->key) return x->key < y->key ? -1 : 1;
    return x->rank < y->rank ? -1 : 1;
}

static void sort_layer(const sorter *s, uint32_t layer, bool forward)
{
    hti_draw_level *level = s->level;
    uint32_t *items = level->layers[layer];
    const uint32_t n = level->layer_len[layer];
    const uint32_t *at = forward ? level->before_at : level->behind_at, *list = forward ? level->before : level->behind;
    for (uint32_t r = 0; r < n; r++) {
        double sum = 0;
        for (uint32_t k = at[items[r]]; k < at[items[r] + 1]; k++) {
            const hti_draw_link *link = &level->links[list[k]];
            const uint32_t other = forward ? link->from : link->to;
            sum += level->items[other].rank + port_share(level, link, forward) - 0.5;
        }
        const uint32_t degree = at[items[r] + 1] - at[items[r]];
        s->keys[r] = (struct keyed){degree ? sum / degree : r, items[r], r};
    }
    qsort(s->keys, n, sizeof *s->keys, by_key);
    for (uint32_t r = 0; r < n; r++) {
        items[r] = s->keys[r].item;
        level->items[items[r]].rank = r;
    }
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Pairs of links between a layer and the next that cross. */
static uint64_t crossings_behind(const sorter *s, uint32_t layer)
{
    const hti_draw_level *level = s->level;
    const uint32_t n = level->layer_len[layer + 1];
    uint64_t crossings = 0, n_ends = 0;
    memset(s->tree, 0, (n + 1) * sizeof *s->tree);
    for (uint32_t r = 0; r < level->layer_len[layer]; r++) {
        const uint32_t item = level->layers[layer][r], first = level->behind_at[item];
        const uint32_t degree = level->behind_at[item + 1] - first;
        for (uint32_t k = 0; k < degree; k++) s->ends[k] = level->items[level->links[level->behind[first + k]].to].rank;
        qsort(s->ends, degree, sizeof *s->ends, by_number);
        for (uint32_t k = 0; k < degree; k++) {
            uint64_t not_above = 0;
            for (uint32_t i = s->ends[k] + 1; i > 0; i &= i - 1) not_above += s->tree[i];
            crossings += n_ends - not_above;
        }
        for (uint32_t k = 0; k < degree; k++)
            for (uint32_t i = s->ends[k] + 1; i <= n; i += i & (0 - i)) s->tree[i]++;
        n_ends += degree;
    }
    return crossings;
}

static void keep_if_best(const sorter *s, uint64_t *fewest)
{
    uint64_t crossings = 0;
    for (uint32_t l = 0; l + 1 < s->level->n_layers; l++) crossings += crossings_behind(s, l);
    if (crossings > *fewest) return;
    *fewest = crossings;
    for (size_t i = 0; i < s->level->n_items; i++) s->best[i] = s->level->items[i].rank;
}

/* From one item to all that hang together with it, so that the first order keeps neighbours together. */
static void first_order(const sorter *s, uint32_t *stack, bool *seen)
{
    hti_draw_level *level = s->level;
    for (uint32_t root = 0; root < level->n_items; root++) {
        size_t n = 0;
        if (!seen[root]) stack[n++] = root;
        seen[root] = true;
        while (n) {
            const uint32_t item = stack[--n], layer = level->items[item].layer;
            level->items[item].rank = level->layer_len[layer];
            level->layers[layer][level->layer_len[layer]++] = item;
            for (uint32_t k = level->behind_at[item + 1]; k-- > level->behind_at[item];) {
                const uint32_t to = level->links[level->behind[k]].to;
                if (!seen[to]) stack[n++] = to;
                seen[to] = true;
            }
        }
    }
}

static ht_status make_order(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    hti_arena *arena = &drawing->arena;
    sorter s = {.level = level};
    uint32_t *stack;
    bool *seen;
    uint64_t fewest = UINT64_MAX;
    HTI_DRAW_NEW(arena, s.keys, struct keyed, level->n_items);
    HTI_DRAW_NEW(arena, s.tree, uint32_t, level->n_items + 2);
    HTI_DRAW_NEW(arena, s.best, uint32_t, level->n_items);
    HTI_DRAW_NEW(arena, s.ends, uint32_t, level->n_links);
    HTI_DRAW_NEW(arena, stack, uint32_t, level->n_items);
    HTI_DRAW_NEW(arena, seen, bool, level->n_items);
    HTI_DRAW_NEW(arena, level->layers, uint32_t *, level->n_layers);
    HTI_DRAW_NEW(arena, level->layer_len, uint32_t, level->n_layers);
    for (size_t i = 0; i < level->n_items; i++) level->layer_len[level->items[i].layer]++;
    for (uint32_t l = 0; l < level->n_layers; l++) {
        HTI_DRAW_NEW(arena, level->layers[l], uint32_t, level->layer_len[l]);
        level->layer_len[l] = 0;
    }
    first_order(&s, stack, seen);
    for (int sweep = 0; sweep < SWEEPS && level->n_layers; sweep++) {
        const bool forward = sweep % 2 == 0;
        keep_if_best(&s, &fewest);
        for (uint32_t k = 1; k < level->n_layers; k++) sort_layer(&s, forward ? k : level->n_layers - 1 - k, forward);
    }
    if (level->n_layers) keep_if_best(&s, &fewest);
    for (uint32_t i = 0; i < level->n_items; i++) {
        level->items[i].rank = s.best[i];
        level->layers[level->items[i].layer][s.best[i]] = i;
    }
    return HT_OK;
}

/* Those inside first: ports are told by their ranks. */
ht_status hti_draw_rank(hti_drawing *drawing, hti_draw_level *level, ht_error *err)
{
    for (size_t i = 0; i < level->n_boxes; i++)
        if (level->items[i].inside) HT_TRY(hti_draw_rank(drawing, level->items[i].inside, err));
    HT_TRY(make_layers(drawing, level, err));
    HT_TRY(make_bends(drawing, level, err));
    HT_TRY(list_links(drawing, level, 0, err));
    HT_TRY(list_links(drawing, level, 1, err));
    return make_order(drawing, level, err);
}
