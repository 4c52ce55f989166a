/*
 * draw_model.c - what of a plan is drawn: boxes for steps, for inputs with the same readers, for results; edges.
 *
 * Each level is built after those inside it, so that an edge to a nested pipeline finds the box of inputs inside that
 * it goes on to. Items: the steps in the plan's order, then boxes of inputs, then results.
 * Easy to get wrong: a plan has one constant for each read of a bound input; here they are one again, by name.
 */
#include "draw_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One read of an input of the pipeline or a constant by a step. */
typedef struct read_of {
    uint32_t entry, step, input;
} read_of;

typedef struct builder {
    hti_drawing *drawing;
    hti_draw_level *level;
    hti_draw_entry *entries; /* [n_entries] */
    uint32_t *group_of;      /* [n_entries] the item */
    uint32_t *row_of;        /* [n_entries] */
    read_of *reads;          /* [n_reads] */
    uint32_t *first_read;    /* [n_entries + 1] after sorting by entry */
    size_t n_entries, n_reads;
    uint32_t *maker; /* [n_own] step that makes a place, or HTI_DRAW_NONE */
    hti_map bound;   /* name -> entry */
} builder;

/* ---- inputs ---- */

static uint32_t given_of(const ht_plan *plan, uint32_t place)
{
    for (uint32_t i = 0; i < plan->n_inputs; i++)
        if (plan->input_at[i] == place) return i;
    return HTI_DRAW_NONE;
}

/* The same value of the same making, as a plan keeps a default. */
static bool same_value(ht_value a, ht_value b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case HT_KIND_NULL: return true;
    case HT_KIND_BOOL: return a.as.boolean == b.as.boolean;
    case HT_KIND_INT: return a.as.integer == b.as.integer;
    case HT_KIND_FLOAT: return !(a.as.number < b.as.number) && !(a.as.number > b.as.number);
    case HT_KIND_STRING:
    case HT_KIND_BYTES:
    case HT_KIND_LIST:
    case HT_KIND_STRUCT:
    case HT_KIND_TENSOR:
    case HT_KIND_OPAQUE: return a.as.object == b.as.object;
    }
    return false;
}

/* What a trace tells of the methods of a class, whoever called them. */
static const char *class_figures(hti_drawing *drawing, const ht_class *cls)
{
    char name[200];
    hti_draw_times times = {0};
    for (size_t m = 0; m < cls->n_methods; m++) {
        (void)snprintf(name, sizeof name, "%.120s.%.70s", cls->name, cls->methods[m].name);
        hti_draw_add_times(&times, hti_draw_times_of(drawing, name));
    }
    return hti_draw_figures(&drawing->arena, &times);
}

static ht_status describe(builder *b, hti_draw_entry *entry, ht_error *err)
{
    hti_arena *arena = &b->drawing->arena;
    char text[200];
    const ht_instance *instance = entry->value ? ht_value_instance(*entry->value) : NULL;
    if (!entry->value) {
        entry->text = hti_draw_fit(arena, entry->name, HTI_DRAW_NOTE, HTI_DRAW_LABEL);
    } else if (instance) {
        const char *figures = class_figures(b->drawing, hti_instance_class(instance));
        const char *line = hti_draw_format(arena, "%s: %s%s%s", entry->name, hti_instance_class(instance)->name,
                                           figures && *figures ? " \xC2\xB7 " : "", figures ? figures : "");
        entry->mark = HTI_DRAW_INSTANCE;
        if (line && figures) entry->text = hti_draw_fit(arena, line, HTI_DRAW_NOTE, HTI_DRAW_LABEL);
    } else {
        ht_value_describe(*entry->value, text, sizeof text);
        const char *line = hti_draw_format(arena, "%s = %s", entry->name, text);
        if (line) entry->text = hti_draw_fit(arena, line, HTI_DRAW_NOTE, 0.8 * HTI_DRAW_LABEL);
    }
    return entry->text ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status add_entry(builder *b, hti_draw_entry entry, uint32_t *out, ht_error *err)
{
    *out = (uint32_t)b->n_entries;
    HT_TRY(describe(b, &entry, err));
    b->entries[b->n_entries++] = entry;
    return HT_OK;
}

/* The entry of an input that no step makes. */
static ht_status find_entry(builder *b, const hti_step *step, uint32_t input, uint32_t *out, ht_error *err)
{
    const ht_plan *plan = b->level->plan;
    const hti_port *port = &step->node->inputs[input];
    const uint32_t place = step->in[input], given = given_of(plan, place);
    if (given != HTI_DRAW_NONE) {
        *out = given; /* these stand first */
        return HT_OK;
    }
    const ht_value *value = &plan->constants[(place & ~HTI_SHARED) - (plan->n_shared - plan->n_constants)];
    if (port->has_default && same_value(*value, port->otherwise))
        return add_entry(b, (hti_draw_entry){HTI_DRAW_DEFAULT, HTI_DRAW_NONE, port->name, NULL, value}, out, err);
    uint32_t entry;
    bool inserted;
    HT_TRY(hti_map_put(&b->bound, hti_text_of(port->name), (uint32_t)b->n_entries, &entry, &inserted, err));
    *out = b->bound.entries[entry].value;
    if (!inserted) return HT_OK;
    return add_entry(b, (hti_draw_entry){HTI_DRAW_BOUND, HTI_DRAW_NONE, port->name, NULL, value}, out, err);
}

static ht_status collect_reads(builder *b, ht_error *err)
{
    const ht_plan *plan = b->level->plan;
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        const hti_draw_mark mark = plan->input_at[i] & HTI_SHARED ? HTI_DRAW_GIVEN : HTI_DRAW_EACH;
        uint32_t entry;
        HT_TRY(add_entry(b, (hti_draw_entry){mark, i, plan->inputs[i], NULL, NULL}, &entry, err));
    }
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        for (uint32_t j = 0; j < step->node->n_inputs; j++) {
            uint32_t entry;
            if (step->in[j] == UINT32_MAX) continue; /* pruned */
            if (!(step->in[j] & HTI_SHARED) && b->maker[step->in[j]] != HTI_DRAW_NONE) continue;
            HT_TRY(find_entry(b, step, j, &entry, err));
            b->reads[b->n_reads++] = (read_of){entry, s, j};
        }
    }
    return HT_OK;
}

/* By entry, keeping the order of steps: a counting sort. */
static ht_status sort_reads(builder *b, ht_error *err)
{
    hti_arena *arena = &b->drawing->arena;
    read_of *sorted;
    HTI_DRAW_NEW(arena, sorted, read_of, b->n_reads);
    HTI_DRAW_NEW(arena, b->first_read, uint32_t, b->n_entries + 2);
    for (size_t r = 0; r < b->n_reads; r++) b->first_read[b->reads[r].entry + 2]++;
    for (size_t e = 2; e < b->n_entries + 2; e++) b->first_read[e] += b->first_read[e - 1];
    for (size_t r = 0; r < b->n_reads; r++) sorted[b->first_read[b->reads[r].entry + 1]++] = b->reads[r];
    b->reads = sorted;
    return HT_OK;
}

/* ---- boxes of inputs: one for each set of readers ---- */

static ht_status add_to_group(builder *b, hti_map *groups, hti_buffer *key, uint32_t entry, ht_error *err)
{
    hti_draw_level *level = b->level;
    const bool at_border = level->depth > 0 && b->entries[entry].input != HTI_DRAW_NONE;
    uint32_t found;
    bool inserted;
    hti_buffer_clear(key);
    hti_buffer_append(key, &at_border, 1);
    for (uint32_t r = b->first_read[entry]; r < b->first_read[entry + 1]; r++)
        if (r == b->first_read[entry] || b->reads[r].step != b->reads[r - 1].step)
            hti_buffer_append(key, &b->reads[r].step, sizeof b->reads[r].step);
    HT_TRY(hti_buffer_status(key, err));
    HT_TRY(hti_map_put(groups, hti_buffer_view(key), (uint32_t)level->n_items, &found, &inserted, err));
    hti_draw_item *item = &level->items[groups->entries[found].value];
    if (inserted) {
        *item = (hti_draw_item){.kind = HTI_DRAW_INPUTS, .at_border = at_border};
        level->n_items++;
    }
    b->group_of[entry] = groups->entries[found].value;
    b->row_of[entry] = item->n_entries++;
    return HT_OK;
}

static ht_status make_groups(builder *b, ht_error *err)
{
    hti_draw_level *level = b->level;
    hti_arena *arena = &b->drawing->arena;
    hti_map groups;
    hti_buffer key;
    ht_status status = HT_OK;
    const size_t first = level->n_items;
    hti_map_init(&groups);
    hti_buffer_init(&key);
    for (uint32_t e = 0; status == HT_OK && e < b->n_entries; e++) status = add_to_group(b, &groups, &key, e, err);
    hti_map_deinit(&groups);
    hti_buffer_deinit(&key);
    if (status != HT_OK) return status;
    for (size_t g = first; g < level->n_items; g++)
        HTI_DRAW_NEW(arena, level->items[g].entries, hti_draw_entry, level->items[g].n_entries);
    for (uint32_t e = 0; e < b->n_entries; e++) {
        level->items[b->group_of[e]].entries[b->row_of[e]] = b->entries[e];
        if (b->entries[e].input == HTI_DRAW_NONE) continue;
        level->input_item[b->entries[e].input] = b->group_of[e];
        level->input_row[b->entries[e].input] = b->row_of[e];
    }
    return HT_OK;
}

/* ---- steps ---- */

/* "for each a in xs", "for each a, b in zip(xs, ys)". Inner names before "in", outer ones behind. */
static const char *map_text(hti_arena *arena, const hti_step *step)
{
    const hti_node *node = step->node;
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_text(&text, "for each ");
    for (size_t m = 0; m < node->n_map_over; m++) {
        const char *inner = node->inputs[node->map_over[m]].name;
        for (size_t c = 0; c < step->child->n_inputs; c++)
            if (step->child_in[c] == node->map_over[m]) inner = step->child->inputs[c];
        hti_buffer_printf(&text, "%s%s", m ? ", " : "", inner);
    }
    const bool zip = node->n_map_over > 1 && node->map_mode == HT_MAP_ZIP;
    hti_buffer_text(&text, zip ? " in zip(" : " in ");
    for (size_t m = 0; m < node->n_map_over; m++)
        hti_buffer_printf(&text, "%s%s", m == 0 ? "" : zip ? ", " : " \xC3\x97 ", node->inputs[node->map_over[m]].name);
    if (zip) hti_buffer_text(&text, ")");
    const char *kept = text.status == HT_OK ? hti_draw_fit(arena, text.data, HTI_DRAW_NOTE, HTI_DRAW_LABEL) : NULL;
    hti_buffer_deinit(&text);
    return kept;
}

static const char *outs_text(hti_arena *arena, const hti_node *node)
{
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_text(&text, "\xE2\x86\x92 ");
    for (size_t o = 0; o < node->n_outputs; o++) hti_buffer_printf(&text, "%s%s", o ? ", " : "", node->outputs[o]);
    const char *kept =
        text.status == HT_OK ? hti_draw_fit(arena, text.data, HTI_DRAW_NOTE, 0.8 * HTI_DRAW_LABEL) : NULL;
    hti_buffer_deinit(&text);
    return kept;
}

static ht_status step_times(hti_drawing *drawing, hti_draw_item *item, ht_error *err)
{
    const hti_node *node = item->step->node;
    item->times = hti_draw_times_of(drawing, node->name);
    if (node->instance) {
        const char *name = hti_draw_format(&drawing->arena, "%.120s.%.70s", hti_instance_class(node->instance)->name,
                                           node->chosen.method->name);
        if (!name) return HTI_NO_MEMORY(err);
        hti_draw_add_times(&item->times, hti_draw_times_of(drawing, name));
    }
    if (item->kind != HTI_DRAW_NESTED) drawing->longest_ns = HTI_MAX(drawing->longest_ns, item->times.ns);
    item->figures = hti_draw_figures(&drawing->arena, &item->times);
    return item->figures ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status make_level(hti_drawing *drawing, const ht_plan *plan, uint32_t depth, hti_draw_level **out,
                            ht_error *err);

static ht_status make_step(hti_drawing *drawing, hti_draw_level *level, const hti_step *step, ht_error *err)
{
    hti_arena *arena = &drawing->arena;
    hti_draw_item *item = &level->items[level->n_items++];
    const hti_node *node = step->node;
    *item = (hti_draw_item){.kind = step->child      ? HTI_DRAW_NESTED
                                    : node->instance ? HTI_DRAW_METHOD
                                                     : HTI_DRAW_NODE,
                            .step = step};
    item->title = hti_draw_fit(arena, node->name, HTI_DRAW_TITLE, HTI_DRAW_LABEL);
    item->outs = outs_text(arena, node);
    if (!item->title || !item->outs) return HTI_NO_MEMORY(err);
    HT_TRY(step_times(drawing, item, err));
    if (!step->child) return HT_OK;
    if (node->n_map_over) item->each = map_text(arena, step);
    if (node->n_map_over && !item->each) return HTI_NO_MEMORY(err);
    const bool both = item->each && *item->figures;
    item->under =
        hti_draw_format(arena, "%s%s%s", item->each ? item->each : "", both ? " \xC2\xB7 " : "", item->figures);
    if (!item->under) return HTI_NO_MEMORY(err);
    item->open = drawing->options.depth == 0 || level->depth + 1 < drawing->options.depth;
    return make_level(drawing, step->child, level->depth + 1, &item->inside, err);
}

/* ---- results ---- */

/* Which outputs get a box: those of a nested pipeline; of the outermost, where all were asked for, those unread. */
static ht_status make_results(builder *b, ht_error *err)
{
    hti_draw_level *level = b->level;
    const ht_plan *plan = level->plan;
    size_t n_made = 0;
    bool *read;
    HTI_DRAW_NEW(&b->drawing->arena, read, bool, plan->n_own);
    for (size_t s = 0; s < plan->n_steps; s++) {
        n_made += plan->steps[s].node->n_outputs;
        for (size_t j = 0; j < plan->steps[s].node->n_inputs; j++)
            if (!(plan->steps[s].in[j] & HTI_SHARED)) read[plan->steps[s].in[j]] = true;
    }
    for (uint32_t o = 0; o < plan->n_outputs; o++) {
        const bool all = level->depth > 0 || plan->n_outputs < n_made;
        level->result_item[o] = HTI_DRAW_NONE;
        if (!all && read[plan->output_at[o]]) continue;
        level->result_item[o] = (uint32_t)level->n_items;
        hti_draw_item *item = &level->items[level->n_items++];
        *item = (hti_draw_item){.kind = HTI_DRAW_RESULT, .output = o};
        item->title = hti_draw_fit(&b->drawing->arena, plan->outputs[o], HTI_DRAW_NOTE, HTI_DRAW_LABEL);
        if (!item->title) return HTI_NO_MEMORY(err);
    }
    return HT_OK;
}

/* ---- edges ---- */

/* Adds an edge that ends at an input of a step; inside an open pipeline it goes on to the box of that input. */
static void add_edge(builder *b, hti_draw_edge edge, uint32_t input)
{
    const hti_step *step = &b->level->plan->steps[edge.to];
    const hti_draw_level *inside = b->level->items[edge.to].inside;
    edge.to_port = HTI_DRAW_NONE;
    edge.to_row = 0;
    edge.label = step->node->inputs[input].name;
    for (size_t c = 0; inside && c < step->child->n_inputs; c++)
        if (step->child_in[c] == input) {
            edge.to_port = inside->input_item[c];
            edge.to_row = inside->input_row[c];
        }
    b->level->edges[b->level->n_edges++] = edge;
}

/* The result inside an item that a place of the level comes from. */
static uint32_t port_of(const hti_draw_item *item, uint32_t place)
{
    if (!item->inside) return HTI_DRAW_NONE;
    const uint32_t out = item->step->child_out[place - item->step->first_out];
    return out == UINT32_MAX ? HTI_DRAW_NONE : item->inside->result_item[out];
}

static int by_ends(const void *a, const void *b)
{
    const hti_draw_edge *x = a, *y = b;
    const uint32_t left[] = {x->from, x->from_port, x->to, x->to_port, x->to_row};
    const uint32_t right[] = {y->from, y->from_port, y->to, y->to_port, y->to_row};
    for (size_t i = 0; i < HTI_LEN(left); i++)
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    return strcmp(x->label, y->label);
}

/* Edges with the same ends are one, under all their names. */
static ht_status merge_edges(builder *b, ht_error *err)
{
    hti_draw_level *level = b->level;
    size_t n = 0;
    if (level->n_edges) qsort(level->edges, level->n_edges, sizeof *level->edges, by_ends);
    for (size_t i = 0; i < level->n_edges; i++) {
        hti_draw_edge *last = n ? &level->edges[n - 1] : NULL;
        const hti_draw_edge *e = &level->edges[i];
        if (last && last->from == e->from && last->from_port == e->from_port && last->to == e->to &&
            last->to_port == e->to_port && last->to_row == e->to_row) {
            last->label = hti_draw_format(&b->drawing->arena, "%s, %s", last->label, e->label);
            if (!last->label) return HTI_NO_MEMORY(err);
        } else {
            level->edges[n++] = *e;
        }
    }
    level->n_edges = n;
    for (size_t i = 0; i < n; i++) level->edges[i].number = b->drawing->n_edges++;
    return HT_OK;
}

static ht_status make_edges(builder *b, ht_error *err)
{
    hti_draw_level *level = b->level;
    const ht_plan *plan = level->plan;
    for (uint32_t s = 0; s < plan->n_steps; s++)
        for (uint32_t j = 0; j < plan->steps[s].node->n_inputs; j++) {
            const uint32_t place = plan->steps[s].in[j];
            if (place & HTI_SHARED || b->maker[place] == HTI_DRAW_NONE) continue;
            const uint32_t from = b->maker[place];
            add_edge(b, (hti_draw_edge){.from = from, .from_port = port_of(&level->items[from], place), .to = s}, j);
        }
    for (size_t r = 0; r < b->n_reads; r++)
        add_edge(
            b,
            (hti_draw_edge){.from = b->group_of[b->reads[r].entry], .from_port = HTI_DRAW_NONE, .to = b->reads[r].step},
            b->reads[r].input);
    for (uint32_t o = 0; o < plan->n_outputs; o++) {
        if (level->result_item[o] == HTI_DRAW_NONE) continue;
        const uint32_t place = plan->output_at[o], from = b->maker[place];
        level->edges[level->n_edges++] = (hti_draw_edge){.from = from,
                                                         .from_port = port_of(&level->items[from], place),
                                                         .to = level->result_item[o],
                                                         .to_port = HTI_DRAW_NONE,
                                                         .label = plan->outputs[o]};
    }
    return merge_edges(b, err);
}

/* ---- a level ---- */

static ht_status fill_level(builder *b, ht_error *err)
{
    hti_drawing *drawing = b->drawing;
    hti_draw_level *level = b->level;
    const ht_plan *plan = level->plan;
    hti_arena *arena = &drawing->arena;
    size_t n_in = 0;
    for (size_t s = 0; s < plan->n_steps; s++) n_in += plan->steps[s].node->n_inputs;
    HTI_DRAW_NEW(arena, level->items, hti_draw_item, plan->n_steps + n_in + plan->n_inputs + plan->n_outputs);
    HTI_DRAW_NEW(arena, level->edges, hti_draw_edge, n_in + plan->n_outputs);
    HTI_DRAW_NEW(arena, level->input_item, uint32_t, plan->n_inputs);
    HTI_DRAW_NEW(arena, level->input_row, uint32_t, plan->n_inputs);
    HTI_DRAW_NEW(arena, level->result_item, uint32_t, plan->n_outputs);
    HTI_DRAW_NEW(arena, b->entries, hti_draw_entry, n_in + plan->n_inputs);
    HTI_DRAW_NEW(arena, b->group_of, uint32_t, n_in + plan->n_inputs);
    HTI_DRAW_NEW(arena, b->row_of, uint32_t, n_in + plan->n_inputs);
    HTI_DRAW_NEW(arena, b->reads, read_of, n_in);
    HTI_DRAW_NEW(arena, b->maker, uint32_t, plan->n_own);
    memset(b->maker, 0xFF, plan->n_own * sizeof *b->maker);
    for (uint32_t s = 0; s < plan->n_steps; s++) {
        for (uint32_t o = 0; o < plan->steps[s].node->n_outputs; o++) b->maker[plan->steps[s].first_out + o] = s;
        HT_TRY(make_step(drawing, level, &plan->steps[s], err));
    }
    HT_TRY(collect_reads(b, err));
    HT_TRY(sort_reads(b, err));
    HT_TRY(make_groups(b, err));
    HT_TRY(make_results(b, err));
    for (size_t i = 0; i < level->n_items; i++) level->items[i].number = drawing->n_items++;
    level->n_boxes = level->n_items;
    return make_edges(b, err);
}

/* Depth is bounded by HTI_MAX_NESTING. */
static ht_status make_level(hti_drawing *drawing, const ht_plan *plan, uint32_t depth, hti_draw_level **out,
                            ht_error *err)
{
    hti_draw_level *level;
    HTI_DRAW_NEW(&drawing->arena, level, hti_draw_level, 1);
    level->plan = plan;
    level->depth = depth;
    level->number = drawing->n_levels++;
    builder b = {.drawing = drawing, .level = level};
    hti_map_init(&b.bound);
    const ht_status status = fill_level(&b, err);
    hti_map_deinit(&b.bound);
    *out = level;
    return status;
}

static void share_times(hti_draw_level *level, double longest)
{
    for (size_t i = 0; i < level->n_items; i++) {
        if (longest > 0) level->items[i].share = HTI_MIN((double)level->items[i].times.ns / longest, 1.0);
        if (level->items[i].inside) share_times(level->items[i].inside, longest);
    }
}

ht_status hti_draw_model(hti_drawing *drawing, const ht_plan *plan, ht_error *err)
{
    HT_TRY(make_level(drawing, plan, 0, &drawing->root, err));
    share_times(drawing->root, (double)drawing->longest_ns);
    return HT_OK;
}
