/*
 * houndstooth/trace.h - what a run did and when: a ring of events, always cheap, shown as a waterfall.
 *
 * A trace keeps the last `capacity` spans (a few less where many threads record); older ones are overwritten and
 * counted. Recording a span takes 30 ns or less. One run at a time records into a trace; it is read after the run.
 */
#ifndef HOUNDSTOOTH_TRACE_H
#define HOUNDSTOOTH_TRACE_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_trace ht_trace;
/* capacity: spans kept, rounded up to a power of two; 0: 65,536. */
HT_API HT_CHECKED ht_status ht_trace_new(size_t capacity, ht_trace **out, ht_error *err);
HT_API void ht_trace_free(ht_trace *trace); /* NULL allowed */

typedef enum ht_span_kind {
    HT_SPAN_NODE,  /* a row form's call or a piece of a body; n: 1, but 0 for a body's later pieces */
    HT_SPAN_BATCH, /* one call of a batch form; n: its rows */
    HT_SPAN_ASYNC, /* from the start of an asynchronous call to its completion */
    HT_SPAN_MAP,   /* a map from opening to its last item; n: its items */
    HT_SPAN_LOAD,  /* the making of an instance */
    HT_SPAN_SLICE, /* a slice of a map in another process; n: its items */
    HT_SPAN_CACHE, /* results taken from the cache; n: how many */
    HT_SPAN_WAIT,  /* from the parking of a batch's first row to the batch's call; n: its rows */
} ht_span_kind;

typedef struct ht_span {
    ht_span_kind kind;
    uint32_t worker;           /* thread of the run, 0: the caller's; of slices: 1000 + process */
    const char *name;          /* "node" or "Class.method"; lives as long as the trace */
    uint64_t start_ns, end_ns; /* monotonic clock */
    uint64_t item, n, bytes;
} ht_span;
/* Spans in the order of their start; *n of them, *lost that were overwritten. Borrowed until the next run. */
HT_API HT_CHECKED ht_status ht_trace_spans(ht_trace *trace, const ht_span **out, size_t *n, uint64_t *lost,
                                           ht_error *err);

/* Its word: "node", "batch", ...; never NULL. */
HT_API const char *ht_span_kind_name(ht_span_kind kind);

/* What the spans of one kind and name add up to. Waits have no total: the longest stands with the calls of its name. */
typedef struct ht_trace_total {
    ht_span_kind kind;
    const char *name;     /* lives as long as the trace */
    uint64_t calls, rows; /* a body that awaits is one call, in however many pieces it ran */
    uint64_t total_ns, longest_ns;
    uint64_t longest_wait_ns; /* from the first row's parking to the call; 0: none waited */
} ht_trace_total;
/*
 * Totals [*n], the greatest first; *wall_ns: from the start of the first span to the end of the last. They overlap: a
 * map holds its nodes, the first batch of a class the load of its object. Borrowed until the next run or call of this.
 */
HT_API HT_CHECKED ht_status ht_trace_totals(ht_trace *trace, const ht_trace_total **out, size_t *n, uint64_t *wall_ns,
                                            ht_error *err);

/* Chrome's trace event format, for chrome://tracing and Perfetto. */
HT_API HT_CHECKED ht_status ht_trace_write_chrome(ht_trace *trace, ht_writer *writer, ht_error *err);
/* One self-contained HTML page: a waterfall of the spans, and a table of their totals. */
HT_API HT_CHECKED ht_status ht_trace_write_html(ht_trace *trace, const char *title, ht_writer *writer, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
