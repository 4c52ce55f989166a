/*
 * test_totals.c - what the spans of a trace add up to: by kind and name, bodies in pieces, waits beside their calls.
 */
#include "fault_alloc.h"
#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static ht_error err;

static void add(ht_trace *trace, ht_span_kind kind, const char *name, uint64_t start, uint64_t end, uint64_t n)
{
    const ht_span span = {.kind = kind, .name = hti_trace_name(trace, name), .start_ns = start, .end_ns = end, .n = n};
    hti_trace_add(trace, &span);
}

static void assert_total(const ht_trace_total *row, ht_trace_total wanted)
{
    assert_int_equal(row->kind, wanted.kind);
    assert_string_equal(row->name, wanted.name);
    assert_int_equal(row->calls, wanted.calls);
    assert_int_equal(row->rows, wanted.rows);
    assert_int_equal(row->total_ns, wanted.total_ns);
    assert_int_equal(row->longest_ns, wanted.longest_ns);
    assert_int_equal(row->longest_wait_ns, wanted.longest_wait_ns);
}

static void by_kind_and_name(void **state)
{
    const ht_trace_total *rows;
    size_t n;
    uint64_t wall;
    ht_trace *trace;
    (void)state;
    assert_int_equal(ht_trace_new(0, &trace, &err), HT_OK);
    hti_trace_begin(trace);
    add(trace, HT_SPAN_MAP, "all", 1000, 1900, 2);
    add(trace, HT_SPAN_NODE, "body", 1000, 1010, 1); /* two items, three pieces */
    add(trace, HT_SPAN_NODE, "body", 1010, 1030, 1);
    add(trace, HT_SPAN_NODE, "body", 1800, 1805, 0);
    add(trace, HT_SPAN_WAIT, "C.m", 1005, 1100, 2);
    add(trace, HT_SPAN_WAIT, "C.m", 1700, 1710, 1);
    add(trace, HT_SPAN_BATCH, "C.m", 1100, 1400, 64);
    add(trace, HT_SPAN_BATCH, "C.m", 1710, 1760, 6);
    add(trace, HT_SPAN_LOAD, "C", 1100, 1150, 1);
    add(trace, HT_SPAN_NODE, "all", 1900, 1950, 1); /* the same name, another kind */
    assert_int_equal(ht_trace_totals(trace, &rows, &n, &wall, &err), HT_OK);
    assert_int_equal(wall, 950);
    assert_int_equal(n, 5); /* a wait is none */
    assert_total(&rows[0], (ht_trace_total){HT_SPAN_MAP, "all", 1, 2, 900, 900, 0});
    assert_total(&rows[1], (ht_trace_total){HT_SPAN_BATCH, "C.m", 2, 70, 350, 300, 95});
    assert_total(&rows[2], (ht_trace_total){HT_SPAN_LOAD, "C", 1, 1, 50, 50, 0}); /* equal totals: by name */
    assert_total(&rows[3], (ht_trace_total){HT_SPAN_NODE, "all", 1, 1, 50, 50, 0});
    assert_total(&rows[4], (ht_trace_total){HT_SPAN_NODE, "body", 2, 2, 35, 20, 0});
    ht_trace_free(trace);
}

static void many_names_and_none(void **state)
{
    const ht_trace_total *rows;
    size_t n;
    uint64_t wall;
    ht_trace *trace;
    (void)state;
    assert_int_equal(ht_trace_new(0, &trace, &err), HT_OK);
    assert_int_equal(ht_trace_totals(trace, &rows, &n, &wall, &err), HT_OK);
    assert_int_equal(n, 0);
    assert_int_equal(wall, 0);
    for (uint64_t i = 0; i < 300; i++) {
        char name[8] = {(char)('a' + i % 26), (char)('a' + i / 26 % 26), '\0'};
        add(trace, HT_SPAN_NODE, name, 10 + i, 10 + 2 * i, 1);
        add(trace, HT_SPAN_CACHE, name, 10 + i, 10 + i, 1);
    }
    assert_int_equal(ht_trace_totals(trace, &rows, &n, &wall, &err), HT_OK);
    assert_int_equal(n, 600);
    assert_int_equal(rows[0].total_ns, 299);
    uint64_t sum = 0, calls = 0;
    for (size_t i = 0; i < n; i++) {
        sum += rows[i].total_ns;
        calls += rows[i].calls;
    }
    assert_int_equal(sum, 299 * 300 / 2);
    assert_int_equal(calls, 600);
    ht_trace_free(trace);
}

/* Totals and the page that shows them. */
static ht_status life(void *ud, ht_error *e)
{
    const ht_trace_total *rows;
    ht_trace *trace;
    ht_writer *writer;
    size_t n;
    uint64_t wall;
    (void)ud;
    ht_status status = ht_trace_new(16, &trace, e);
    if (status != HT_OK) return status;
    const char *name = hti_trace_name(trace, "node");
    if (name) hti_trace_add(trace, &(ht_span){.kind = HT_SPAN_NODE, .name = name, .end_ns = 5, .n = 1});
    status = name ? ht_trace_totals(trace, &rows, &n, &wall, e) : HT_FAIL(e, NO_MEMORY, "no name");
    if (status == HT_OK) status = ht_writer_new(&writer, e);
    if (status == HT_OK) {
        status = ht_trace_write_html(trace, "page", writer, e);
        ht_writer_free(writer);
    }
    ht_trace_free(trace);
    return status;
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    assert_true(fault_alloc_sweep(life, NULL, false, 1000) >= 8);
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_kind_and_name),
        cmocka_unit_test(many_names_and_none),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
