/*
 * progress.c - bars of a run, counted from its events.
 *
 * The plan's steps, nested ones where they stand, are the rows; an event finds its row by depth and name, mostly the
 * row of the event before or the next one. Items of a row: those of the maps around it that have begun so far, so a
 * total grows while outer items begin theirs. Thread rule: as the events, one thread at a time.
 * Easy to get wrong: a drawing in place must know how many lines the last one had, and none may be longer than the
 * terminal is wide, since a wrapped line counts twice.
 */
#include "flow_int.h"

#include <houndstooth/progress.h>

#include <stdio.h>

enum { BAR = 20, LINE = 400 };

typedef struct bar_row {
    const char *name;       /* in the arena */
    uint32_t depth, parent; /* UINT32_MAX: of the outermost pipeline */
    bool is_map;
    uint64_t items;                /* of a map: begun with MAP_START */
    uint64_t done, cached, failed; /* ends, ends by the cache, errors */
    uint64_t started, ended;       /* 0: not yet */
} bar_row;

struct ht_progress {
    ht_progress_options options;
    hti_arena arena;
    bar_row whole;         /* items of a pipeline that is mapped itself; items 0: it is not, as far as known */
    bar_row *rows;         /* [n_rows] */
    uint32_t n_rows, last; /* the row of the last event */
    uint64_t began, drawn;
    uint32_t n_lines; /* of the last drawing */
    hti_buffer text;
};

static uint64_t now_of(const ht_progress *p)
{
    return p->options.clock ? p->options.clock->now(p->options.clock->ud) : hti_clock_ns();
}

/* ---- rows ---- */

/* Depth is bounded by HTI_MAX_NESTING. */
static uint32_t count_rows(const ht_plan *plan)
{
    uint32_t n = 0;
    for (size_t s = 0; s < plan->n_steps; s++) n += 1 + (plan->steps[s].child ? count_rows(plan->steps[s].child) : 0);
    return n;
}

static ht_status fill_rows(ht_progress *p, const ht_plan *plan, uint32_t depth, uint32_t parent, ht_error *err)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        const uint32_t at = p->n_rows++;
        p->rows[at] = (bar_row){.name = hti_arena_text(&p->arena, hti_text_of(step->node->name)),
                                .depth = depth,
                                .parent = parent,
                                .is_map = step->child && step->node->n_map_over > 0};
        if (!p->rows[at].name) return HTI_NO_MEMORY(err);
        if (step->child) HT_TRY(fill_rows(p, step->child, depth + 1, at, err));
    }
    return HT_OK;
}

ht_status ht_progress_new(const ht_plan *plan, const ht_progress_options *options, ht_progress **out, ht_error *err)
{
    *out = NULL;
    if (!options || !options->write) return HT_FAIL(err, INVALID, "progress needs a function that writes");
    ht_progress *p = HTI_NEW(ht_progress);
    if (!p) return HTI_NO_MEMORY(err);
    p->options = *options;
    if (!p->options.width) p->options.width = 80;
    if (!p->options.height) p->options.height = 24;
    if (!p->options.interval_ms) p->options.interval_ms = p->options.terminal ? 100 : 10000;
    hti_arena_init(&p->arena);
    hti_buffer_init(&p->text);
    p->rows = HTI_ARENA_ARRAY(&p->arena, bar_row, count_rows(plan));
    p->whole = (bar_row){.name = hti_arena_text(&p->arena, hti_text_of(plan->pipeline)), .parent = UINT32_MAX};
    ht_status status = p->rows && p->whole.name ? fill_rows(p, plan, 0, UINT32_MAX, err) : HTI_NO_MEMORY(err);
    p->began = p->drawn = now_of(p);
    if (status == HT_OK)
        *out = p;
    else
        ht_progress_free(p);
    return status;
}

void ht_progress_free(ht_progress *progress)
{
    if (!progress) return;
    hti_buffer_deinit(&progress->text);
    hti_arena_deinit(&progress->arena);
    hti_free(progress);
}

static bar_row *find_row(ht_progress *p, const ht_event *event)
{
    for (uint32_t i = 0; i < p->n_rows; i++) {
        const uint32_t at = (p->last + i) % p->n_rows;
        if (p->rows[at].depth != event->depth || strcmp(p->rows[at].name, event->node) != 0) continue;
        p->last = at;
        return &p->rows[at];
    }
    return NULL;
}

/* Items that a row is to do, as far as known. */
static uint64_t total_of(const ht_progress *p, const bar_row *row)
{
    while (row->parent != UINT32_MAX) {
        row = &p->rows[row->parent];
        if (row->is_map) return row->items;
    }
    return p->whole.items ? p->whole.items : 1;
}

/* ---- text ---- */

/* Cuts to `width` characters at a boundary of UTF-8. */
static size_t cut(const char *line, size_t len, size_t width)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)line[i] & 0xC0) != 0x80;
        if (n > width) return i;
    }
    return len;
}

/* A bar of `width` characters in eighths. */
static void put_bar(hti_buffer *text, uint64_t done, uint64_t total, size_t width)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const uint64_t eighths = total ? HTI_MIN(done, total) * 8 * width / total : 0;
    size_t used = (size_t)(eighths / 8);
    hti_buffer_text(text, "▕");
    for (size_t i = 0; i < used; i++) hti_buffer_text(text, "█");
    if (eighths % 8) {
        hti_buffer_text(text, parts[eighths % 8]);
        used++;
    }
    for (; used < width; used++) hti_buffer_text(text, " ");
    hti_buffer_text(text, "▏");
}

static void put_time(hti_buffer *text, double seconds)
{
    if (seconds < 60)
        hti_buffer_printf(text, "%.1f s", seconds);
    else
        hti_buffer_printf(text, "%.0f:%02.0f min", (double)(uint64_t)(seconds / 60),
                          seconds - 60 * (double)(uint64_t)(seconds / 60));
}

/* "120/1400  452/s  12 % cached  2 failed  3.1 s  2.8 s left" */
static void put_counts(const ht_progress *p, const bar_row *row, uint64_t now, hti_buffer *text)
{
    const uint64_t total = total_of(p, row), until = row->ended ? row->ended : now;
    const double seconds = (double)(until - row->started) / 1e9;
    const double rate = seconds > 0 ? (double)row->done / seconds : 0;
    hti_buffer_printf(text, "%llu/%llu", (unsigned long long)row->done, (unsigned long long)total);
    if (total > 1 && seconds >= 0.1) hti_buffer_printf(text, "  %.*f/s", rate < 10 ? 1 : 0, rate);
    if (row->cached)
        hti_buffer_printf(text, "  %.0f %% cached", 100 * (double)row->cached / (double)HTI_MAX(row->done, 1));
    if (row->failed) hti_buffer_printf(text, "  %llu failed", (unsigned long long)row->failed);
    hti_buffer_text(text, "  ");
    put_time(text, seconds);
    if (row->done < total && rate > 0 && seconds >= 1) {
        hti_buffer_text(text, "  ");
        put_time(text, (double)(total - row->done) / rate);
        hti_buffer_text(text, " left");
    }
}

/* ---- a terminal ---- */

static bool is_shown(const bar_row *row) { return row->started != 0; }

static void put_line(ht_progress *p, const bar_row *row, uint64_t now, size_t name_width)
{
    hti_buffer line;
    hti_buffer_init(&line);
    hti_buffer_printf(&line, "%*s%s", (int)(2 * row->depth), "", row->name);
    const size_t used = 2 * (size_t)row->depth + strlen(row->name);
    hti_buffer_printf(&line, "%*s", (int)(name_width > used ? name_width - used : 0) + 1, "");
    put_bar(&line, row->done, total_of(p, row), p->options.width < 60 ? BAR / 2 : BAR);
    hti_buffer_text(&line, " ");
    put_counts(p, row, now, &line);
    const ht_text view = hti_buffer_view(&line);
    hti_buffer_append(&p->text, view.data, cut(view.data, view.len, p->options.width - 1));
    hti_buffer_text(&p->text, "\033[K\n");
    hti_buffer_deinit(&line);
}

static void draw(ht_progress *p, uint64_t now)
{
    uint32_t n_shown = 0, n_skip = 0;
    size_t name_width = 0;
    n_shown += is_shown(&p->whole);
    if (is_shown(&p->whole)) name_width = strlen(p->whole.name);
    for (uint32_t i = 0; i < p->n_rows; i++) {
        n_shown += is_shown(&p->rows[i]);
        name_width = HTI_MAX(name_width, 2 * (size_t)p->rows[i].depth + strlen(p->rows[i].name));
    }
    name_width = HTI_MIN(name_width, p->options.width / 3);
    if (n_shown > p->options.height - 1) n_skip = n_shown - (p->options.height - 1); /* the oldest */
    hti_buffer_clear(&p->text);
    if (p->n_lines) hti_buffer_printf(&p->text, "\033[%uA\r", p->n_lines);
    p->n_lines = n_shown - n_skip;
    for (uint32_t at = 0; at <= p->n_rows; at++) {
        const bar_row *row = at ? &p->rows[at - 1] : &p->whole;
        if (!is_shown(row)) continue;
        if (n_skip) {
            n_skip--;
            continue;
        }
        put_line(p, row, now, name_width);
    }
    if (p->text.status == HT_OK && p->text.len) p->options.write(p->options.ud, p->text.data, p->text.len);
    p->drawn = now;
}

/* ---- elsewhere ---- */

static void tell(ht_progress *p, const bar_row *row, const char *what, uint64_t now)
{
    hti_buffer_clear(&p->text);
    hti_buffer_printf(&p->text, "%s: %s", row->name, what);
    if (*what == '\0') put_counts(p, row, now, &p->text);
    hti_buffer_text(&p->text, "\n");
    if (p->text.status == HT_OK) p->options.write(p->options.ud, p->text.data, p->text.len);
}

static void tell_event(ht_progress *p, const bar_row *row, ht_event_kind kind, uint64_t now)
{
    char what[60];
    const bool outermost = row->depth == 0;
    if (p->whole.items) return; /* its items say enough */
    if (kind == HT_EVENT_MAP_START && outermost) {
        (void)snprintf(what, sizeof what, "%llu items", (unsigned long long)row->items);
        tell(p, row, what, now);
        p->drawn = now;
    } else if (outermost && row->is_map && (kind == HT_EVENT_NODE_END || kind == HT_EVENT_NODE_CACHED)) {
        (void)snprintf(what, sizeof what, "done in %.1f s%s", (double)(now - row->started) / 1e9,
                       kind == HT_EVENT_NODE_CACHED ? ", cached" : "");
        tell(p, row, what, now);
        p->drawn = now;
    } else if (!outermost && now - p->drawn >= (uint64_t)p->options.interval_ms * 1000000) {
        tell(p, row, "", now);
        p->drawn = now;
    }
}

/* ---- events ---- */

static void count(bar_row *row, const ht_event *event, uint64_t now)
{
    if (!row->started) row->started = now;
    switch (event->kind) {
    case HT_EVENT_MAP_START: row->items += event->n; break;
    case HT_EVENT_NODE_CACHED:
        row->cached++;
        row->done++;
        row->ended = now;
        break;
    case HT_EVENT_NODE_END:
        row->done++;
        row->ended = now;
        break;
    case HT_EVENT_NODE_ERROR: row->failed++; break;
    case HT_EVENT_NODE_START:
    case HT_EVENT_MAP_END:
    case HT_EVENT_ITEM_START:
    case HT_EVENT_ITEM_END:
    case HT_EVENT_BATCH:
    case HT_EVENT_WARNING: break;
    }
}

/* An item of the whole pipeline begins or ends; items of nested maps are counted by their nodes. */
static void count_item(ht_progress *p, const ht_event *event, uint64_t now)
{
    bar_row *row = &p->whole;
    const bool first = !row->started;
    if (event->depth > 0) return;
    row->items = event->n;
    if (first) row->started = now;
    if (event->kind == HT_EVENT_ITEM_END) {
        row->done++;
        row->ended = now;
    }
    if (p->options.terminal || (!first && now - p->drawn < (uint64_t)p->options.interval_ms * 1000000)) return;
    char what[40] = "";
    if (first) (void)snprintf(what, sizeof what, "%llu items", (unsigned long long)row->items);
    tell(p, row, what, now);
    p->drawn = now;
}

void ht_progress_event(void *progress, const ht_event *event)
{
    ht_progress *p = progress;
    if (event->kind == HT_EVENT_BATCH || event->kind == HT_EVENT_WARNING) return;
    if (event->kind == HT_EVENT_ITEM_START || event->kind == HT_EVENT_ITEM_END) {
        count_item(p, event, now_of(p));
        return;
    }
    bar_row *row = find_row(p, event);
    if (!row) return;
    const uint64_t now = now_of(p);
    count(row, event, now);
    if (!p->options.terminal)
        tell_event(p, row, event->kind, now);
    else if (now - p->drawn >= (uint64_t)p->options.interval_ms * 1000000)
        draw(p, now);
}

void ht_progress_finish(ht_progress *progress)
{
    const uint64_t now = now_of(progress);
    if (progress->options.terminal)
        draw(progress, now);
    else if (is_shown(&progress->whole))
        tell(progress, &progress->whole, "", now);
}
