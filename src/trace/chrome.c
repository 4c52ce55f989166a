/*
 * chrome.c - a trace in Chrome's trace event format, for chrome://tracing and Perfetto.
 *
 * Format: {"traceEvents": [{"name", "cat", "ph": "X", "pid", "tid", "ts", "dur", "args"}]}, times in microseconds with
 * three decimals, from the first span on. What occupies its worker is a complete event ("X"), which must nest within a
 * thread; asynchronous calls, maps and waits overlap freely, so they are pairs of async events ("b", "e") told apart by
 * an id. The number of lost spans stands in "otherData".
 * Easy to get wrong: microseconds as doubles with %g lose nanoseconds after some seconds; they are written from
 * integers.
 */
#include "codec/codec.h"
#include "trace_int.h"

#include <inttypes.h>
#include <string.h>

static void put_time(hti_buffer *text, const char *key, uint64_t ns)
{
    hti_buffer_printf(text, ", \"%s\": %" PRIu64 ".%03" PRIu64, key, ns / 1000, ns % 1000);
}

/* The fields that all events of a span share, up to its time. */
static void put_head(hti_buffer *text, const ht_span *span, const char *phase)
{
    hti_buffer_text(text, "{\"name\": ");
    hti_json_quote(text, (ht_text){span->name, strlen(span->name)});
    hti_buffer_printf(text, ", \"cat\": \"%s\", \"ph\": \"%s\", \"pid\": 1, \"tid\": %" PRIu32,
                      ht_span_kind_name(span->kind), phase, span->worker);
}

static void put_args(hti_buffer *text, const ht_span *span)
{
    hti_buffer_printf(text, ", \"args\": {\"item\": %" PRIu64 ", \"n\": %" PRIu64 ", \"bytes\": %" PRIu64 "}}",
                      span->item, span->n, span->bytes);
}

static void put_event(hti_buffer *text, const ht_span *span, size_t id, uint64_t first_ns)
{
    const bool overlaps = span->kind == HT_SPAN_ASYNC || span->kind == HT_SPAN_MAP || span->kind == HT_SPAN_WAIT;
    put_head(text, span, overlaps ? "b" : "X");
    put_time(text, "ts", span->start_ns - first_ns);
    if (!overlaps) put_time(text, "dur", span->end_ns - span->start_ns);
    if (overlaps) hti_buffer_printf(text, ", \"id\": %zu", id);
    put_args(text, span);
    if (!overlaps) return;
    hti_buffer_text(text, ",\n");
    put_head(text, span, "e");
    put_time(text, "ts", span->end_ns - first_ns);
    hti_buffer_printf(text, ", \"id\": %zu}", id);
}

ht_status ht_trace_write_chrome(ht_trace *trace, ht_writer *writer, ht_error *err)
{
    const ht_span *spans;
    size_t n;
    uint64_t lost;
    HT_TRY(ht_trace_spans(trace, &spans, &n, &lost, err));
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_printf(&text, "{\"otherData\": {\"lost\": %" PRIu64 "}, \"traceEvents\": [", lost);
    for (size_t i = 0; i < n; i++) {
        hti_buffer_text(&text, i ? ",\n" : "\n");
        put_event(&text, &spans[i], i, spans[0].start_ns);
    }
    hti_buffer_text(&text, "\n]}\n");
    ht_status status = hti_buffer_status(&text, err);
    if (status == HT_OK) status = ht_writer_add(writer, text.data, text.len, err);
    hti_buffer_deinit(&text);
    return status;
}
