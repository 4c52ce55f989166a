/*
 * cmd_trace.c - `hound trace`: a pipeline is run, and what took how long is told in a table, a page or Chrome's format.
 */
#include "run.h"

#include <jansson.h>
#include <string.h>

typedef struct trace_args {
    const char *path, *to;
    bool json;
} trace_args;

/* The totals of a trace with what stands in the table's last line. */
typedef struct trace_sums {
    const ht_trace_total *rows; /* [n] */
    size_t n, n_spans;
    uint64_t wall_ns, lost;
} trace_sums;

static double share_of(const trace_sums *sums, const ht_trace_total *row)
{
    return sums->wall_ns ? (double)row->total_ns / (double)sums->wall_ns : 0;
}

static ht_status print_sums_json(const trace_sums *sums, ht_error *err)
{
    json_t *totals = json_array();
    for (size_t i = 0; i < sums->n; i++) {
        const ht_trace_total *row = &sums->rows[i];
        (void)json_array_append_new(
            totals, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "kind", ht_span_kind_name(row->kind), "name",
                              row->name, "calls", (json_int_t)row->calls, "rows", (json_int_t)row->rows, "total_ns",
                              (json_int_t)row->total_ns, "longest_ns", (json_int_t)row->longest_ns, "longest_wait_ns",
                              (json_int_t)row->longest_wait_ns, "share", share_of(sums, row)));
    }
    return print_json(json_pack("{s:I, s:I, s:I, s:o}", "wall_ns", (json_int_t)sums->wall_ns, "spans",
                                (json_int_t)sums->n_spans, "lost", (json_int_t)sums->lost, "totals", totals),
                      err);
}

static void print_row(const trace_sums *sums, const ht_trace_total *row, int width)
{
    char per_call[32] = "-", wait[32] = "-";
    if (row->calls) (void)snprintf(per_call, sizeof per_call, "%.1f", (double)row->rows / (double)row->calls);
    if (row->longest_wait_ns) (void)snprintf(wait, sizeof wait, "%.3f", (double)row->longest_wait_ns * 1e-6);
    printf("%-6s %-*s %8llu %8llu %9s %12.3f %6.1f%% %12s\n", ht_span_kind_name(row->kind), width, row->name,
           (unsigned long long)row->calls, (unsigned long long)row->rows, per_call, (double)row->total_ns * 1e-6,
           100 * share_of(sums, row), wait);
}

static void print_sums(const trace_sums *sums)
{
    int width = 4;
    for (size_t i = 0; i < sums->n; i++) {
        const size_t len = strlen(sums->rows[i].name);
        if ((int)len > width && len < 60) width = (int)len;
    }
    printf("%-6s %-*s %8s %8s %9s %12s %7s %12s\n", "kind", width, "name", "calls", "rows", "rows/call", "total ms",
           "share", "waited ms");
    for (size_t i = 0; i < sums->n; i++) print_row(sums, &sums->rows[i], width);
    printf("%.3f ms, %zu spans", (double)sums->wall_ns * 1e-6, sums->n_spans);
    if (sums->lost) printf(", %llu older ones lost", (unsigned long long)sums->lost);
    printf("\n");
}

static ht_status tell_trace(void *ud, ht_value out, ht_trace *trace, ht_error *err)
{
    const trace_args *args = ud;
    const ht_span *spans;
    trace_sums sums;
    (void)out; /* `hound run` prints it */
    if (args->to) return write_trace(args->to, trace, args->path, err);
    TRY(ht_trace_spans(trace, &spans, &sums.n_spans, &sums.lost, err));
    TRY(ht_trace_totals(trace, &sums.rows, &sums.n, &sums.wall_ns, err));
    if (args->json) return print_sums_json(&sums, err);
    print_sums(&sums);
    return HT_OK;
}

ht_status hound_trace(int argc, char **argv, ht_error *err)
{
    run_args args = {.command = "trace", .traced = true};
    trace_args told = {NULL, NULL, false};
    text_list paths = {0};
    bool helped = false;
    const opt_row rows[] = {
        {"to", 'o', OPT_TEXT, &told.to, "OUT", "instead of the table: .html a waterfall, else Chrome's trace format"},
        {"json", 0, OPT_FLAG, &told.json, NULL, "the table as JSON, in nanoseconds"},
        RUN_ROWS(0, &args),
    };
    const opt_spec spec = {
        "trace FILE [options]",
        "Runs a pipeline and tells what took how long: calls, rows, time and its share of the run. "
        "Shares\noverlap: a map holds its nodes, a first batch the load of its object. \"waited\" is "
        "the longest that\nrows stood parked before their call.",
        "  hound trace examples/retrieval.yaml\n"
        "  hound trace examples/retrieval.yaml -o run.html",
        ROWS(rows),
        1,
        1};
    TRY(opt_parse(&spec, argc, argv, &paths, &helped, err));
    if (helped) return HT_OK;
    told.path = paths.items[0];
    return run_pipeline(&args, paths.items[0], tell_trace, &told, err);
}
