/*
 * totals.c - what the spans of a trace add up to, by kind and name.
 *
 * A wait is no work: it has no total of its own, and the longest one of a name stands with the calls of that name. A
 * body that awaits is several spans of kind NODE with n = 1, 0, 0, ...: one call.
 * Easy to get wrong: totals of different rows overlap (a map holds its nodes, a batch the load of its object, threads
 * run beside each other), so shares of the wall time need not add up to one.
 */
#include "trace_int.h"

#include <stdlib.h>
#include <string.h>

const char *ht_span_kind_name(ht_span_kind kind)
{
    static const char *const names[] = {"node", "batch", "async", "map", "load", "slice", "cache", "wait"};
    return (size_t)kind < HTI_LEN(names) ? names[kind] : "";
}

static uint64_t length_of(const ht_span *span)
{
    return span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
}

enum { KINDS = HT_SPAN_WAIT + 1 };
typedef struct table {
    hti_map names;
    ht_trace_total *rows; /* [names.n * KINDS]; those without a name are no rows */
    size_t cap;
} table;

static ht_status find_row(table *t, ht_span_kind kind, const char *name, ht_trace_total **out, ht_error *err)
{
    uint32_t entry;
    bool inserted;
    HT_TRY(hti_map_put(&t->names, (ht_text){name, strlen(name)}, 0, &entry, &inserted, err));
    HT_TRY(hti_reserve(&t->rows, &t->cap, hti_mul(t->names.n, KINDS), sizeof *t->rows, err));
    ht_trace_total *of_name = &t->rows[(size_t)entry * KINDS];
    if (inserted) memset(of_name, 0, KINDS * sizeof *of_name);
    *out = &of_name[kind];
    (*out)->kind = kind;
    (*out)->name = name;
    return HT_OK;
}

static void add_span(ht_trace_total *row, const ht_span *span)
{
    const uint64_t ns = length_of(span);
    row->calls += span->kind == HT_SPAN_NODE ? span->n : 1;
    row->rows += span->n;
    row->total_ns += ns;
    row->longest_ns = HTI_MAX(row->longest_ns, ns);
}

/* Moves the rows that are some to the front, with the waits of their names; gives how many. */
static size_t pack(ht_trace_total *rows, size_t n_names)
{
    size_t n = 0;
    for (size_t i = 0; i < n_names; i++) {
        ht_trace_total *kinds = &rows[i * KINDS];
        const uint64_t waited = kinds[HT_SPAN_WAIT].longest_ns;
        for (size_t k = 0; k < KINDS; k++) {
            if (!kinds[k].name || k == HT_SPAN_WAIT) continue;
            const bool waits = k == HT_SPAN_NODE || k == HT_SPAN_BATCH || k == HT_SPAN_ASYNC;
            ht_trace_total row = kinds[k];
            row.longest_wait_ns = waits ? waited : 0;
            rows[n++] = row; /* never ahead of what is read */
        }
    }
    return n;
}

static int by_total(const void *left, const void *right)
{
    const ht_trace_total *a = left, *b = right;
    if (a->total_ns != b->total_ns) return a->total_ns > b->total_ns ? -1 : 1;
    const int order = strcmp(a->name, b->name);
    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

static ht_status add_spans(table *t, const ht_span *spans, size_t n, ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ht_trace_total *row;
        HT_TRY(find_row(t, spans[i].kind, spans[i].name, &row, err));
        add_span(row, &spans[i]);
    }
    return HT_OK;
}

static uint64_t wall_of(const ht_span *spans, size_t n)
{
    uint64_t end = n ? spans[0].start_ns : 0;
    for (size_t i = 0; i < n; i++) end = HTI_MAX(end, spans[i].end_ns);
    return n ? end - spans[0].start_ns : 0;
}

ht_status ht_trace_totals(ht_trace *trace, const ht_trace_total **out, size_t *n, uint64_t *wall_ns, ht_error *err)
{
    const ht_span *spans;
    size_t n_spans;
    uint64_t lost;
    table t = {.rows = NULL};
    *out = NULL;
    *n = 0;
    *wall_ns = 0;
    HT_TRY(ht_trace_spans(trace, &spans, &n_spans, &lost, err));
    hti_map_init(&t.names);
    const ht_status status = add_spans(&t, spans, n_spans, err);
    if (status == HT_OK) {
        *n = pack(t.rows, t.names.n);
        if (*n) qsort(t.rows, *n, sizeof *t.rows, by_total);
        *wall_ns = wall_of(spans, n_spans);
        *out = t.rows;
        hti_trace_keep_totals(trace, t.rows);
    } else {
        hti_free(t.rows);
    }
    hti_map_deinit(&t.names);
    return status;
}
