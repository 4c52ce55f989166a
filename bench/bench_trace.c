/*
 * bench_trace.c - what recording a span costs, beside reading the clock: JSON lines on stdout.
 *
 * usage: bench_trace
 * Nanoseconds a span, by one thread and by two at once in one trace, best of some passes. The ring is overwritten over
 * and over, so its lines come from the caches that a long run would find them in.
 */
#include "os/os.h"
#include "trace/trace.h"

#include <stdio.h>
#include <stdlib.h>

enum { PASSES = 15, N_SPANS = 1000000 };

static ht_error err;

static void need(ht_status status)
{
    if (status == HT_OK) return;
    fprintf(stderr, "bench_trace: %s\n", err.message);
    exit(ht_status_exit_code(status));
}

typedef struct worker {
    ht_trace *trace;
    uint32_t number;
} worker;

static void add_spans(void *ud)
{
    const worker *self = ud;
    ht_trace *trace = self->trace;
    ht_span span = {HT_SPAN_NODE, self->number, hti_trace_name(trace, "node"), 0, 0, 0, 1, 0};
    for (uint64_t i = 0; i < N_SPANS; i++) {
        span.start_ns = span.item = i;
        hti_trace_add(trace, &span);
    }
}

static double one_thread(ht_trace *trace)
{
    const uint64_t start = hti_clock_ns();
    add_spans(&(worker){trace, 0});
    return (double)(hti_clock_ns() - start) / N_SPANS;
}

static double two_threads(ht_trace *trace)
{
    hti_thread *other;
    const uint64_t start = hti_clock_ns();
    need(hti_thread_start(add_spans, &(worker){trace, 1}, &other, &err));
    add_spans(&(worker){trace, 0});
    hti_thread_join(other);
    return (double)(hti_clock_ns() - start) / N_SPANS; /* each adds N_SPANS: ns that one thread waits a span */
}

static double clock_reads(ht_trace *trace)
{
    (void)trace;
    uint64_t sum = 0;
    const uint64_t start = hti_clock_ns();
    for (int i = 0; i < N_SPANS; i++) sum += hti_clock_ns();
    const double ns = (double)(hti_clock_ns() - start) / N_SPANS;
    return sum ? ns : 0;
}

static double best_of(double (*measure)(ht_trace *), ht_trace *trace)
{
    double best = measure(trace);
    for (int i = 1; i < PASSES; i++) {
        const double now = measure(trace);
        best = now < best ? now : best;
    }
    return best;
}

int main(void)
{
    ht_trace *trace;
    need(ht_trace_new(0, &trace, &err));
    const double clock = best_of(clock_reads, trace);
    const struct {
        const char *name;
        double value;
    } lines[] = {
        {"clock", clock}, {"span", best_of(one_thread, trace)}, {"span_two_threads", best_of(two_threads, trace)}};
    for (size_t i = 0; i < HTI_LEN(lines); i++)
        printf("{\"bench\": \"trace\", \"name\": \"%s\", \"value\": %.3g, \"unit\": \"ns\", \"peer\": \"clock\", "
               "\"ratio\": %.3g}\n",
               lines[i].name, lines[i].value, lines[i].value / clock);
    ht_trace_free(trace);
    return 0;
}
