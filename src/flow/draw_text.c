/*
 * draw_text.c - how wide texts are, how they are cut, and what a trace adds up to, for pictures of plans.
 *
 * The reader's font is not known. Widths are those of DejaVu Sans, the widest of the common ones, rounded up, so that
 * what fits here fits everywhere.
 */
#include "codec/codec.h"
#include "draw_int.h"

#include <stdarg.h>
#include <stdio.h>

/* Thousandths of the font size, from space to "~". */
static const uint16_t widths[95] = {
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361,  318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635,  611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352,  635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592,  525, 636, 337, 636, 838,
};

/* Bytes of the character that text begins with; 1 where it is no valid UTF-8. */
static size_t character(const char *text)
{
    const unsigned char c = (unsigned char)*text;
    const size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80) return 1;
    return len;
}

static double width_of(const char *at, size_t len)
{
    const unsigned char c = (unsigned char)*at;
    if (len == 1) return c >= 0x20 && c < 0x7F ? widths[c - 0x20] / 1000.0 : 1.05;
    return len == 2 ? 0.85 : 1.05;
}

double hti_draw_width(const char *text, double font_size, bool bold)
{
    double width = 0;
    while (*text) {
        const size_t len = character(text);
        width += width_of(text, len);
        text += len;
    }
    return width * font_size * (bold ? 1.13 : 1.01);
}

const char *hti_draw_format(hti_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = hti_arena_alloc(arena, (size_t)HTI_MAX(len, 0) + 1);
    if (text) (void)vsnprintf(text, (size_t)HTI_MAX(len, 0) + 1, fmt, again);
    va_end(again);
    return text;
}

const char *hti_draw_fit(hti_arena *arena, const char *text, double font_size, double width)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    size_t kept = 0;
    double used = width_of(ellipsis, 3);
    const char *at = text;
    while (*at) {
        const size_t len = character(at);
        used += width_of(at, len);
        if (used * font_size * 1.13 <= width) kept = (size_t)(at - text) + len;
        at += len;
    }
    if ((used - width_of(ellipsis, 3)) * font_size * 1.13 <= width) return hti_arena_text(arena, hti_text_of(text));
    return hti_draw_format(arena, "%.*s%s", (int)kept, text, ellipsis);
}

/* U+FFFD stands for what XML cannot hold: control characters, bytes that are no UTF-8, U+FFFE and U+FFFF. */
void hti_draw_escaped(hti_buffer *out, const char *text)
{
    while (*text) {
        const unsigned char c = (unsigned char)*text;
        const size_t len = character(text);
        const bool good = hti_utf8_valid((ht_text){text, len}) == len && (c >= 0x20 || c == '\n') && c != 0x7F &&
                          memcmp(text, "\xEF\xBF\xBE", HTI_MIN(len, 3)) != 0 &&
                          memcmp(text, "\xEF\xBF\xBF", HTI_MIN(len, 3)) != 0;
        if (!good)
            hti_buffer_text(out, "\xEF\xBF\xBD");
        else if (strchr("<>&\"'", c))
            hti_buffer_printf(out, "&#%d;", c);
        else
            hti_buffer_append(out, text, len);
        text += len;
    }
}

/* ---- times ---- */

void hti_draw_add_times(hti_draw_times *into, hti_draw_times more)
{
    into->calls += more.calls;
    into->rows += more.rows;
    into->batches += more.batches;
    into->cached += more.cached;
    into->items += more.items;
    into->ns += more.ns;
}

static hti_draw_times times_of_span(const ht_span *span)
{
    const uint64_t ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
    switch (span->kind) {
    case HT_SPAN_NODE: return (hti_draw_times){.calls = span->n, .rows = span->n, .ns = ns};
    case HT_SPAN_ASYNC: return (hti_draw_times){.calls = 1, .rows = span->n, .ns = ns};
    case HT_SPAN_BATCH: return (hti_draw_times){.batches = 1, .rows = span->n, .ns = ns};
    case HT_SPAN_MAP: return (hti_draw_times){.items = span->n, .ns = ns};
    case HT_SPAN_CACHE: return (hti_draw_times){.cached = span->n};
    case HT_SPAN_LOAD:
    case HT_SPAN_SLICE:
    case HT_SPAN_WAIT: break;
    }
    return (hti_draw_times){0};
}

ht_status hti_draw_sum_times(hti_drawing *drawing, ht_error *err)
{
    const ht_span *spans;
    size_t n;
    if (!drawing->options.trace) return HT_OK;
    HT_TRY(ht_trace_spans(drawing->options.trace, &spans, &n, &drawing->n_lost, err));
    for (size_t i = 0; i < n; i++) {
        uint32_t entry;
        bool inserted;
        HT_TRY(hti_map_put(&drawing->names, hti_text_of(spans[i].name), 0, &entry, &inserted, err));
        HT_TRY(hti_reserve(&drawing->times, &drawing->cap_times, drawing->names.n, sizeof(hti_draw_times), err));
        if (inserted) drawing->times[entry] = (hti_draw_times){0};
        hti_draw_add_times(&drawing->times[entry], times_of_span(&spans[i]));
    }
    return HT_OK;
}

hti_draw_times hti_draw_times_of(const hti_drawing *drawing, const char *name)
{
    const uint32_t entry = hti_map_find(&drawing->names, hti_text_of(name));
    return entry == HTI_MAP_NONE ? (hti_draw_times){0} : drawing->times[entry];
}

static const char *duration(hti_arena *arena, uint64_t ns)
{
    const double s = (double)ns * 1e-9;
    if (s >= 99.95) return hti_draw_format(arena, "%.0f s", s);
    if (s >= 1) return hti_draw_format(arena, "%.2f s", s);
    if (s >= 1e-3) return hti_draw_format(arena, s >= 0.09995 ? "%.0f ms" : "%.1f ms", s * 1e3);
    return hti_draw_format(arena, "%.0f \xC2\xB5s", s * 1e6);
}

const char *hti_draw_figures(hti_arena *arena, const hti_draw_times *times)
{
    hti_buffer text;
    const double batched = (double)(times->rows - times->calls); /* rows */
    const struct {
        uint64_t n;
        const char *one, *many;
    } parts[] = {{times->items, "item", "items"},
                 {times->calls, "call", "calls"},
                 {times->batches, "batch", "batches"},
                 {times->cached, "cached", "cached"}};
    hti_buffer_init(&text);
    for (size_t i = 0; i < HTI_LEN(parts); i++) {
        if (parts[i].n == 0) continue;
        hti_buffer_printf(&text, "%s%llu %s", text.len ? ", " : "", (unsigned long long)parts[i].n,
                          parts[i].n == 1 ? parts[i].one : parts[i].many);
        if (i == 2) hti_buffer_printf(&text, " of %.3g", batched / (double)times->batches);
    }
    const char *time = times->ns ? duration(arena, times->ns) : "";
    if (times->ns && time) hti_buffer_printf(&text, "%s%s", text.len ? " \xC2\xB7 " : "", time);
    const char *kept = time && text.status == HT_OK ? hti_arena_text(arena, hti_buffer_view(&text)) : NULL;
    hti_buffer_deinit(&text);
    return kept;
}
