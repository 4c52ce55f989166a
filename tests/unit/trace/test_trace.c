/*
 * test_trace.c - the ring of spans: order, overwriting, names, many threads, memory that runs out.
 */
#include "base/base.h"
#include "os/os.h"
#include "trace/trace.h"

#include "fault_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static ht_error err;

static ht_trace *new_trace(size_t capacity)
{
    ht_trace *trace;
    assert_int_equal(ht_trace_new(capacity, &trace, &err), HT_OK);
    return trace;
}

static void add(ht_trace *trace, const char *name, uint64_t start, uint64_t end)
{
    const ht_span span = {HT_SPAN_NODE, 0, name, start, end, 7, 1, 0};
    hti_trace_add(trace, &span);
}

static size_t spans_of(ht_trace *trace, const ht_span **spans, uint64_t *lost)
{
    size_t n;
    assert_int_equal(ht_trace_spans(trace, spans, &n, lost, &err), HT_OK);
    return n;
}

static void spans_come_in_the_order_of_their_start(void **state)
{
    (void)state;
    const ht_span *spans;
    uint64_t lost;
    ht_trace *trace = new_trace(0);
    assert_int_equal(spans_of(trace, &spans, &lost), 0);
    const char *a = hti_trace_name(trace, "a");
    add(trace, a, 50, 60);
    add(trace, hti_trace_name(trace, "inner"), 10, 20);
    add(trace, hti_trace_name(trace, "outer"), 10, 90);
    add(trace, hti_trace_name(trace, "inner"), 30, 40);
    assert_int_equal(spans_of(trace, &spans, &lost), 4);
    assert_int_equal(lost, 0);
    static const char *const names[] = {"outer", "inner", "inner", "a"};
    static const uint64_t starts[] = {10, 10, 30, 50};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(spans[i].name, names[i]);
        assert_int_equal(spans[i].start_ns, starts[i]);
        assert_int_equal(spans[i].item, 7);
    }
    add(trace, a, 1, 2); /* after reading: the next reading has it */
    assert_int_equal(spans_of(trace, &spans, &lost), 5);
    assert_ptr_equal(spans[0].name, a);
    ht_trace_free(trace);
}

static void a_full_ring_keeps_the_last_spans_and_counts_the_others(void **state)
{
    (void)state;
    const ht_span *spans;
    uint64_t lost;
    ht_trace *trace = new_trace(5); /* rounded up to 8 */
    const char *name = hti_trace_name(trace, "node");
    for (uint64_t i = 0; i < 8; i++) add(trace, name, i, i);
    assert_int_equal(spans_of(trace, &spans, &lost), 8);
    assert_int_equal(lost, 0);
    for (uint64_t i = 8; i < 29; i++) add(trace, name, i, i);
    assert_int_equal(spans_of(trace, &spans, &lost), 8);
    assert_int_equal(lost, 21);
    for (size_t i = 0; i < 8; i++) assert_int_equal(spans[i].start_ns, 21 + i);
    hti_trace_begin(trace);
    assert_int_equal(spans_of(trace, &spans, &lost), 0);
    assert_int_equal(lost, 0);
    add(trace, name, 3, 4);
    assert_int_equal(spans_of(trace, &spans, &lost), 1);
    assert_string_equal(spans[0].name, "node"); /* names outlive a run */
    ht_trace_free(trace);
}

static void a_name_is_one_pointer(void **state)
{
    (void)state;
    ht_trace *trace = new_trace(1);
    char text[16] = "first";
    const char *first = hti_trace_name(trace, text);
    for (int i = 0; i < 1000; i++) {
        assert_true(snprintf(text, sizeof text, "name %d", i) > 0);
        assert_ptr_not_equal(hti_trace_name(trace, text), first);
    }
    assert_string_equal(first, "first");
    assert_ptr_equal(hti_trace_name(trace, "first"), first);
    ht_trace_free(trace);
    hti_trace_add(NULL, NULL);
    ht_trace_free(NULL);
}

static void too_large_is_told(void **state)
{
    (void)state;
    ht_trace *trace;
    assert_int_equal(ht_trace_new(SIZE_MAX, &trace, &err), HT_LIMIT);
    assert_null(trace);
}

/* ---- threads ---- */

enum { N_THREADS = 4, N_EACH = 20000 };
typedef struct adder {
    ht_trace *trace;
    uint32_t number;
} adder;

static void add_many(void *ud)
{
    const adder *self = ud;
    char text[16];
    for (uint64_t i = 0; i < N_EACH; i++) {
        assert_true(snprintf(text, sizeof text, "node %u", (unsigned)(i % 10)) > 0);
        const uint64_t code = self->number * (uint64_t)N_EACH + i;
        const ht_span span = {HT_SPAN_NODE, self->number, hti_trace_name(self->trace, text), code, code + 1, code,
                              code,         code};
        hti_trace_add(self->trace, &span);
    }
}

/* A span torn by two writers would disagree with itself. */
static void check_whole(const ht_span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t code = spans[i].start_ns;
        assert_int_equal(spans[i].end_ns, code + 1);
        assert_int_equal(spans[i].item, code);
        assert_int_equal(spans[i].n, code);
        assert_int_equal(spans[i].bytes, code);
        assert_int_equal(spans[i].worker, code / N_EACH);
        assert_int_equal(spans[i].name[5] - '0', code % N_EACH % 10);
    }
}

static void many_threads(size_t capacity)
{
    const ht_span *spans;
    uint64_t lost;
    hti_thread *threads[N_THREADS];
    adder adders[N_THREADS];
    ht_trace *trace = new_trace(capacity);
    for (uint32_t t = 0; t < N_THREADS; t++) {
        adders[t] = (adder){trace, t};
        assert_int_equal(hti_thread_start(add_many, &adders[t], &threads[t], &err), HT_OK);
    }
    for (size_t t = 0; t < N_THREADS; t++) hti_thread_join(threads[t]);
    const size_t n = spans_of(trace, &spans, &lost);
    assert_int_equal(n + lost, N_THREADS * N_EACH);
    if (capacity >= (size_t)N_THREADS * N_EACH) {
        for (size_t i = 0; i < n; i++) assert_int_equal(spans[i].start_ns, i);
        assert_int_equal(lost, 0);
    } else {
        assert_true(n <= capacity);
        assert_true(n + capacity / 8 + 2 * N_THREADS >= capacity); /* rests of blocks stay empty */
    }
    check_whole(spans, n);
    ht_trace_free(trace);
}

static void many_threads_lose_nothing_while_there_is_room(void **state)
{
    (void)state;
    many_threads(131072);
}

static void many_threads_in_a_tiny_ring_tear_nothing(void **state)
{
    (void)state;
    many_threads(64);
    many_threads(4096);
    many_threads(1);
}

/* ---- memory ---- */

static ht_status life(void *ud, ht_error *e)
{
    (void)ud;
    ht_trace *trace;
    const ht_span *spans;
    size_t n;
    uint64_t lost;
    ht_status status = ht_trace_new(16, &trace, e);
    if (status != HT_OK) return status;
    const char *name = hti_trace_name(trace, "node");
    if (name) {
        add(trace, name, 1, 2);
        status = ht_trace_spans(trace, &spans, &n, &lost, e);
    } else {
        status = HT_FAIL(e, NO_MEMORY, "no name");
    }
    ht_trace_free(trace);
    return status;
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    assert_true(fault_alloc_sweep(life, NULL, false, 1000) >= 4);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_in_the_order_of_their_start),
        cmocka_unit_test(a_full_ring_keeps_the_last_spans_and_counts_the_others),
        cmocka_unit_test(a_name_is_one_pointer),
        cmocka_unit_test(too_large_is_told),
        cmocka_unit_test(many_threads_lose_nothing_while_there_is_room),
        cmocka_unit_test(many_threads_in_a_tiny_ring_tear_nothing),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
