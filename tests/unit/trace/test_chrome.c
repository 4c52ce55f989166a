/*
 * test_chrome.c - a trace as Chrome's JSON: read back by the reader of values, hostile names and exact times included.
 */
#include "base/base.h"
#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static ht_error err;

static ht_value field(ht_value value, const char *name)
{
    ht_value found;
    assert_true(ht_value_field(value, name, &found));
    return found;
}

static ht_value written(ht_trace *trace)
{
    ht_writer *writer;
    ht_value out;
    size_t len;
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    assert_int_equal(ht_trace_write_chrome(trace, writer, &err), HT_OK);
    const char *json = ht_writer_data(writer, &len);
    assert_int_equal(ht_value_from_json((ht_text){json, len}, &out, &err), HT_OK);
    ht_writer_free(writer);
    return out;
}

static void times_names_and_arguments(void **state)
{
    (void)state;
    static const char hostile[] = "</script><b>\"x\\\"\n\x01 caf\xC3\xA9 \xFF";
    static const char read_back[] = "</script><b>\"x\\\"\n\x01 caf\xC3\xA9 \xEF\xBF\xBD";
    ht_trace *trace;
    size_t n;
    assert_int_equal(ht_trace_new(8, &trace, &err), HT_OK);
    const char *name = hti_trace_name(trace, hostile);
    const uint64_t zero = 123456789012345678;
    hti_trace_add(trace, &(ht_span){HT_SPAN_BATCH, 3, name, zero, zero + 2001, 4, 50, 600});
    hti_trace_add(trace, &(ht_span){HT_SPAN_ASYNC, 1, name, zero + 1500, zero + 9000000000125, 0, 1, 0});
    const ht_value root = written(trace);
    const ht_value *events = ht_value_items(field(root, "traceEvents"), &n);
    assert_int_equal(n, 3); /* an async span is two events */
    for (size_t i = 0; i < n; i++) assert_string_equal(ht_value_text(field(events[i], "name")).data, read_back);
    assert_string_equal(ht_value_text(field(events[0], "ph")).data, "X");
    assert_string_equal(ht_value_text(field(events[0], "cat")).data, "batch");
    assert_int_equal(field(events[0], "tid").as.integer, 3);
    assert_true(field(events[0], "ts").as.number == 0.0);
    assert_true(field(events[0], "dur").as.number == 2.001);
    assert_int_equal(field(field(events[0], "args"), "item").as.integer, 4);
    assert_int_equal(field(field(events[0], "args"), "n").as.integer, 50);
    assert_int_equal(field(field(events[0], "args"), "bytes").as.integer, 600);
    assert_string_equal(ht_value_text(field(events[1], "ph")).data, "b");
    assert_true(field(events[1], "ts").as.number == 1.5);
    assert_string_equal(ht_value_text(field(events[2], "ph")).data, "e");
    assert_true(field(events[2], "ts").as.number == 9000000000.125);
    ht_value_release(root);
    ht_trace_free(trace);
}

static void an_empty_trace_and_lost_spans(void **state)
{
    (void)state;
    ht_trace *trace;
    size_t n;
    assert_int_equal(ht_trace_new(2, &trace, &err), HT_OK);
    ht_value root = written(trace);
    (void)ht_value_items(field(root, "traceEvents"), &n);
    assert_int_equal(n, 0);
    ht_value_release(root);
    const char *name = hti_trace_name(trace, "node");
    for (uint64_t i = 0; i < 5; i++) hti_trace_add(trace, &(ht_span){HT_SPAN_NODE, 0, name, i, i, 0, 1, 0});
    root = written(trace);
    assert_int_equal(field(field(root, "otherData"), "lost").as.integer, 3);
    ht_value_release(root);
    ht_trace_free(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_names_and_arguments),
        cmocka_unit_test(an_empty_trace_and_lost_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
