/*
 * waterfall.c - a trace as one HTML page: lanes of spans that zoom, and a table of what took how long.
 *
 * The page holds the spans as arrays of numbers and the names once, as JSON in which "<" is escaped, so that no name
 * can end the script. The script (waterfall_script.c) draws on a canvas.
 */
#include "codec/codec.h"
#include "trace_int.h"

#include <houndstooth/trace.h>

#include <string.h>

static const char head[] = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                           "<meta name=\"viewport\" content=\"width=device-width\"><title>";

static const char style[] =
    "</title><style>\n"
    ":root{--bg:#fff;--fg:#1b1f24;--dim:#656d76;--line:#d8dee4;--row:#f6f8fa}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;--line:#30363d;--row:#161b22}}\n"
    "body{margin:0;padding:20px 24px;background:var(--bg);color:var(--fg);font:14px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:20px;margin:0 0 4px}p{margin:0 0 12px;color:var(--dim)}\n"
    "#legend span{display:inline-block;margin-right:14px}#legend i{display:inline-block;width:11px;height:11px;"
    "border-radius:2px;margin-right:5px;vertical-align:-1px}\n"
    "canvas{width:100%;display:block;border:1px solid var(--line);border-radius:6px;cursor:grab;touch-action:none}\n"
    "table{border-collapse:collapse;margin-top:18px;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line)}\n"
    "th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}\n"
    "tbody tr:hover{background:var(--row)}th{color:var(--dim);font-weight:600}\n"
    "#tip{position:fixed;display:none;pointer-events:none;background:var(--fg);color:var(--bg);padding:5px 9px;"
    "border-radius:5px;font-size:13px;white-space:pre;z-index:2}\n"
    "</style></head><body><h1>";

static const char body[] =
    "</h1><p id=\"sum\"></p><p id=\"legend\"></p><canvas id=\"c\"></canvas><div id=\"tip\"></div>"
    "<table><thead><tr><th>name</th><th>kind</th><th>calls</th><th>rows</th><th>rows a call</th><th>total</th>"
    "<th>mean</th><th>longest wait</th>"
    "<th>share of the run</th></tr></thead><tbody id=\"t\"></tbody></table>\n<script>\nconst D=";

/* Text between tags. */
static void put_escaped(hti_buffer *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&\"", *text))
            hti_buffer_printf(out, "&#%d;", *text);
        else
            hti_buffer_append(out, text, 1);
    }
}

/* A JSON string in which no "<" stands. */
static void put_name(hti_buffer *out, const char *name)
{
    hti_buffer quoted;
    hti_buffer_init(&quoted);
    hti_json_quote(&quoted, (ht_text){name, strlen(name)});
    const ht_text view = hti_buffer_view(&quoted);
    for (size_t i = 0; i < view.len; i++) {
        if (view.data[i] == '<')
            hti_buffer_text(out, "\\u003c");
        else
            hti_buffer_append(out, view.data + i, 1);
    }
    hti_buffer_deinit(&quoted);
}

/* Microseconds with three digits. */
static void put_time(hti_buffer *out, uint64_t ns)
{
    hti_buffer_printf(out, "%llu.%03u", (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}

static ht_status put_spans(hti_buffer *out, hti_map *names, const ht_span *spans, size_t n, ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const ht_span *s = &spans[i];
        uint32_t name;
        bool inserted;
        HT_TRY(hti_map_put(names, (ht_text){s->name, strlen(s->name)}, 0, &name, &inserted, err));
        hti_buffer_printf(out, "%s[%d,%u,%u,", i ? "," : "", (int)s->kind, s->worker, name);
        put_time(out, s->start_ns - spans[0].start_ns);
        hti_buffer_text(out, ",");
        put_time(out, s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0);
        hti_buffer_printf(out, ",%llu,%llu]", (unsigned long long)s->item, (unsigned long long)s->n);
    }
    return HT_OK;
}

/* Behind the spans, whose names are known by then. */
static ht_status put_totals(hti_buffer *out, const hti_map *names, ht_trace *trace, ht_error *err)
{
    const ht_trace_total *totals;
    size_t n;
    uint64_t wall;
    HT_TRY(ht_trace_totals(trace, &totals, &n, &wall, err));
    hti_buffer_text(out, "],\"totals\":[");
    for (size_t i = 0; i < n; i++) {
        const ht_trace_total *t = &totals[i];
        hti_buffer_printf(out, "%s[%u,%d,%llu,%llu,", i ? "," : "",
                          hti_map_find(names, (ht_text){t->name, strlen(t->name)}), (int)t->kind,
                          (unsigned long long)t->calls, (unsigned long long)t->rows);
        put_time(out, t->total_ns);
        hti_buffer_text(out, ",");
        put_time(out, t->longest_wait_ns);
        hti_buffer_text(out, "]");
    }
    hti_buffer_text(out, "],\"wall\":");
    put_time(out, wall);
    return HT_OK;
}

static ht_status put_data(hti_buffer *out, ht_trace *trace, ht_error *err)
{
    const ht_span *spans;
    size_t n;
    uint64_t lost;
    hti_map names;
    HT_TRY(ht_trace_spans(trace, &spans, &n, &lost, err));
    hti_map_init(&names);
    hti_buffer_printf(out, "{\"lost\":%llu,\"kinds\":[", (unsigned long long)lost);
    for (int k = 0; k <= HT_SPAN_WAIT; k++)
        hti_buffer_printf(out, "%s\"%s\"", k ? "," : "", ht_span_kind_name((ht_span_kind)k));
    hti_buffer_text(out, "],\"spans\":[");
    ht_status status = put_spans(out, &names, spans, n, err);
    if (status == HT_OK) status = put_totals(out, &names, trace, err);
    hti_buffer_text(out, ",\"names\":[");
    for (size_t i = 0; i < names.n; i++) {
        if (i) hti_buffer_text(out, ",");
        put_name(out, names.entries[i].key);
    }
    hti_buffer_text(out, "]};\n");
    hti_map_deinit(&names);
    return status;
}

ht_status ht_trace_write_html(ht_trace *trace, const char *title, ht_writer *writer, ht_error *err)
{
    hti_buffer page;
    hti_buffer_init(&page);
    hti_buffer_text(&page, head);
    put_escaped(&page, title);
    hti_buffer_text(&page, style);
    put_escaped(&page, title);
    hti_buffer_text(&page, body);
    ht_status status = put_data(&page, trace, err);
    for (size_t i = 0; hti_waterfall_script[i]; i++) hti_buffer_text(&page, hti_waterfall_script[i]);
    hti_buffer_text(&page, "</script></body></html>\n");
    if (status == HT_OK) status = hti_buffer_status(&page, err);
    if (status == HT_OK) status = ht_writer_add(writer, page.data, page.len, err);
    hti_buffer_deinit(&page);
    return status;
}
