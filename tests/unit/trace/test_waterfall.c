/*
 * test_waterfall.c - the HTML page of a trace: whole, and no name leaves its place.
 */
#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

static char *page_of(ht_trace *trace, const char *title)
{
    ht_error err = {0};
    ht_writer *writer;
    size_t len;
    assert_int_equal(ht_writer_new(&writer, &err), HT_OK);
    assert_int_equal(ht_trace_write_html(trace, title, writer, &err), HT_OK);
    const void *data = ht_writer_data(writer, &len);
    char *text = calloc(len + 1, 1);
    memcpy(text, data, len);
    ht_writer_free(writer);
    return text;
}

static void hostile_names_stay_names(void **state)
{
    static const char evil[] = "</script><b>\"x\" & 'y'\\";
    ht_error err = {0};
    ht_trace *trace;
    (void)state;
    assert_int_equal(ht_trace_new(0, &trace, &err), HT_OK);
    hti_trace_begin(trace);
    const ht_span span = {
        .kind = HT_SPAN_BATCH, .name = hti_trace_name(trace, evil), .start_ns = 5, .end_ns = 1505, .n = 7};
    hti_trace_add(trace, &span);
    char *page = page_of(trace, evil);
    assert_int_equal(count(page, "</script>"), 1); /* the page's own */
    assert_int_equal(count(page, "<b>"), 0);
    assert_non_null(strstr(page, "\\u003c/script>\\u003cb>\\\"x\\\""));
    assert_non_null(strstr(page, "[1,0,0,0.000,1.500,0,7]"));
    assert_non_null(strstr(page, "\"totals\":[[0,1,1,7,1.500,0.000]],\"wall\":1.500,"));
    assert_int_equal(count(page, "</html>"), 1);
    assert_null(strstr(page, "http")); /* nothing from elsewhere */
    free(page);
    ht_trace_free(trace);
}

static void an_empty_trace_is_a_page(void **state)
{
    ht_error err = {0};
    ht_trace *trace;
    (void)state;
    assert_int_equal(ht_trace_new(0, &trace, &err), HT_OK);
    hti_trace_begin(trace);
    char *page = page_of(trace, "nothing");
    assert_non_null(strstr(page, "\"spans\":[]"));
    free(page);
    ht_trace_free(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hostile_names_stay_names),
                                       cmocka_unit_test(an_empty_trace_is_a_page)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
