/*
 * draw_svg.c - a placed drawing as SVG.
 *
 * Looks are classes with rules in one <style>, so that a page can follow the reader's colours. Numbers are written by
 * hand: a program's locale must not put commas into paths. A level is a group in its box's own coordinates:
 * edges first, then boxes above them; a line keeps to columns in straight pieces and climbs only between them.
 */
#include "draw_int.h"

#include <math.h>

/* ---- looks ---- */

typedef struct palette {
    const char *bg, *card, *line, *text, *dim, *edge, *node, *method, *input, *input_line, *result, *result_line, *heat,
        *box[2];
} palette;

static const palette light = {"#ffffff", "#ffffff", "#d0d7de", "#1f2328", "#636c76", "#a3adb8", "#3b7ddd",
                              "#8250df", "#fbf6ea", "#e3d6b4", "#e9f5ec", "#a9d6b5", "#e8793a", {"#f6f8fa", "#eceff2"}};
static const palette dark = {"#0d1117", "#181e26", "#353d47", "#e6edf3", "#929ca7", "#5d6773", "#5c9bf5",
                             "#a98bf0", "#211f17", "#4d4630", "#13231a", "#2b5a3a", "#f0935a", {"#12171e", "#0b0f14"}};

static void put_palette(hti_buffer *out, const palette *p)
{
    hti_buffer_printf(out, ".bg{fill:%s}.card{fill:%s;stroke:%s}.t{fill:%s}.d{fill:%s}", p->bg, p->card, p->line,
                      p->text, p->dim);
    hti_buffer_printf(out, ".line{stroke:%s}.tip,.dot{fill:%s}.node>.k{fill:%s}.method>.k{fill:%s}", p->edge, p->edge,
                      p->node, p->method);
    hti_buffer_printf(out, ".in>.card{fill:%s;stroke:%s}.out>.card{fill:%s;stroke:%s}.heat{fill:%s}", p->input,
                      p->input_line, p->result, p->result_line, p->heat);
    hti_buffer_printf(out, ".m{stroke:%s}.m.b{fill:%s}.m.i{fill:%s;stroke:%s}\n", p->dim, p->dim, p->method, p->method);
    for (int i = 0; i < 2; i++) /* lines that pass a title keep off its letters */
        hti_buffer_printf(out, ".open.o%d>.card{fill:%s}.open.o%d>.wide>text{stroke:%s}\n", i, p->box[i], i, p->box[i]);
}

void hti_draw_rules(hti_buffer *out, ht_draw_style style)
{
    hti_buffer_text(
        out, "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:11px}\n"
             ".h{font-size:18px;font-weight:600}.n{font-size:13px;font-weight:600}.s{font-weight:600}\n"
             ".line,.hit,.m{fill:none}.line{stroke-width:1.4}.hit{stroke-width:11;stroke-opacity:0;stroke:#888;"
             "pointer-events:stroke}.m{stroke-width:1.2}.wide>text{paint-order:stroke;stroke-width:4}\n");
    put_palette(out, style == HT_DRAW_DARK ? &dark : &light);
    if (style != HT_DRAW_AUTO) return;
    hti_buffer_text(out, "@media(prefers-color-scheme:dark){");
    put_palette(out, &dark);
    hti_buffer_text(out, "}\n");
}

/* ---- small pieces ---- */

/* At most one digit behind the point. */
static void put_number(hti_buffer *out, double value)
{
    const long long tenths = llround(value * 10), whole = tenths < 0 ? -tenths : tenths;
    hti_buffer_printf(out, "%s%lld", tenths < 0 ? "-" : "", whole / 10);
    if (whole % 10) hti_buffer_printf(out, ".%lld", whole % 10);
}

static void put_attribute(hti_buffer *out, const char *name, double value)
{
    hti_buffer_printf(out, " %s=\"", name);
    put_number(out, value);
    hti_buffer_text(out, "\"");
}

static void put_rect(hti_buffer *out, const char *class_name, const double *size, double radius)
{
    hti_buffer_printf(out, "<rect class=\"%s\"", class_name);
    put_attribute(out, "width", size[0]);
    put_attribute(out, "height", size[1]);
    put_attribute(out, "rx", radius);
    hti_buffer_text(out, "/>");
}

static void put_text(hti_buffer *out, const char *class_name, double x, double y, const char *text)
{
    if (!text || !*text) return;
    hti_buffer_printf(out, "<text class=\"%s\"", class_name);
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    hti_buffer_text(out, ">");
    hti_draw_escaped(out, text);
    hti_buffer_text(out, "</text>");
}

static void put_title(hti_buffer *out, const char *title)
{
    hti_buffer_text(out, "<title>");
    hti_draw_escaped(out, title);
    hti_buffer_text(out, "</title>");
}

/* ---- lines ---- */

typedef struct pen {
    hti_buffer *out;
    int main;
    double at_m, at_c; /* along and across */
} pen;

static void put_point(const pen *p, double m, double c)
{
    put_number(p->out, p->main ? c : m);
    hti_buffer_text(p->out, " ");
    put_number(p->out, p->main ? m : c);
}

static void straight_to(pen *p, double m)
{
    if (fabs(m - p->at_m) < 0.05) return;
    hti_buffer_text(p->out, p->main ? "V" : "H");
    put_number(p->out, m);
    p->at_m = m;
}

static void climb_to(pen *p, double m, double c)
{
    if (fabs(c - p->at_c) < 0.05) {
        straight_to(p, m);
        return;
    }
    const double middle = (p->at_m + m) / 2;
    hti_buffer_text(p->out, "C");
    put_point(p, middle, p->at_c);
    hti_buffer_text(p->out, " ");
    put_point(p, middle, c);
    hti_buffer_text(p->out, " ");
    put_point(p, m, c);
    p->at_m = m;
    p->at_c = c;
}

/* Straight through columns, climbing between them. The last point is left in the pen. */
static void put_path(const hti_drawing *drawing, const hti_draw_level *level, const hti_draw_edge *edge, pen *p,
                     double tip)
{
    const int m = drawing->main, c = 1 - m;
    const hti_draw_item *from = &level->items[edge->from], *to = &level->items[edge->to];
    const double end = to->at[c] + hti_draw_port(drawing, level, edge, 1);
    p->at_m = from->at[m] + from->size[m];
    p->at_c = from->at[c] + hti_draw_port(drawing, level, edge, 0);
    hti_buffer_text(p->out, " d=\"M");
    put_point(p, p->at_m, p->at_c);
    for (uint32_t l = from->layer; l < to->layer; l++) {
        const bool bend = edge->first_bend != HTI_DRAW_NONE && l + 1 < to->layer;
        if (!bend && l + 1 < to->layer) continue; /* a trunk without bends */
        straight_to(p, HTI_MAX(p->at_m, level->column_at[l] + level->column_size[l]));
        const double next =
            l + 1 < to->layer ? level->column_at[l + 1] : HTI_MIN(level->column_at[l + 1], to->at[m] - tip);
        climb_to(p, next, bend ? level->items[edge->first_bend + l - from->layer].at[c] : end);
    }
    straight_to(p, to->at[m] - tip);
    p->at_m = to->at[m];
    hti_buffer_text(p->out, "\"/>");
}

/* Where edges of one trunk have one name: its place beside the first bend in a column with room. */
static void put_label(const hti_drawing *drawing, const hti_draw_level *level, size_t e, hti_buffer *out)
{
    const hti_draw_edge *edge = &level->edges[e];
    size_t k = e;
    if (e > 0 && level->edges[e - 1].from == edge->from && level->edges[e - 1].from_port == edge->from_port) return;
    uint32_t bend = HTI_DRAW_NONE, farthest = 0;
    for (; k < level->n_edges && level->edges[k].from == edge->from && level->edges[k].from_port == edge->from_port;
         k++) {
        if (strcmp(level->edges[k].label, edge->label) != 0) return;
        if (level->edges[k].first_bend != HTI_DRAW_NONE) bend = level->edges[k].first_bend;
        farthest = HTI_MAX(farthest, level->items[level->edges[k].to].layer);
    }
    if (bend == HTI_DRAW_NONE || drawing->main) return;
    const double width = hti_draw_width(edge->label, HTI_DRAW_NOTE, false) + 16;
    for (uint32_t l = level->items[edge->from].layer + 1; l < farthest; l++, bend++) {
        if (level->column_size[l] < width) continue;
        put_text(out, "d", level->column_at[l] + 8, level->items[bend].at[1] - 5, edge->label);
        return;
    }
}

static void put_edge(const hti_drawing *drawing, const hti_draw_level *level, size_t e, hti_buffer *out)
{
    const hti_draw_edge *edge = &level->edges[e];
    const hti_draw_item *to = &level->items[edge->to];
    const bool tip = to->kind != HTI_DRAW_RESULT || !level->depth;
    pen p = {.out = out, .main = drawing->main};
    hti_buffer_printf(out, "<g class=\"edge\" id=\"e%u\">", edge->number);
    put_title(out, edge->label);
    hti_buffer_text(out, "<path class=\"hit\"");
    put_path(drawing, level, edge, &p, 0);
    hti_buffer_text(out, "<path class=\"line\"");
    put_path(drawing, level, edge, &p, tip ? 5 : 0);
    if (tip) {
        hti_buffer_text(out, "<path class=\"tip\" d=\"M");
        put_point(&p, p.at_m, p.at_c);
        hti_buffer_text(out, p.main ? "l-3.6 -7h7.2z\"/>" : "l-7 -3.6v7.2z\"/>");
    }
    put_label(drawing, level, e, out);
    hti_buffer_text(out, "</g>\n");
}

/* ---- boxes ---- */

static void put_lines(const hti_draw_item *item, double x, hti_buffer *out)
{
    double y = 20;
    put_text(out, "t n", x, y, item->title);
    for (int i = 0; i < 3; i++) {
        const char *text = i == 0 ? item->each : i == 1 ? item->outs : item->figures;
        if (text && *text) put_text(out, "d", x, y += 16, text);
    }
}

static void put_heat(const hti_draw_item *item, hti_buffer *out)
{
    if (item->share < 0.02 || item->kind == HTI_DRAW_NESTED) return;
    hti_buffer_text(out, "<rect class=\"heat\" rx=\"1.5\" height=\"3\" x=\"14\"");
    put_attribute(out, "y", item->size[1] - 5.5);
    put_attribute(out, "width", HTI_MAX(3, item->share * (item->size[0] - 28)));
    hti_buffer_text(out, "/>");
}

static void put_entry(const hti_draw_entry *entry, double y, hti_buffer *out)
{
    const size_t len = strlen(entry->name);
    switch (entry->mark) {
    case HTI_DRAW_GIVEN:
    case HTI_DRAW_DEFAULT:
    case HTI_DRAW_BOUND:
        hti_buffer_printf(out, "<circle class=\"m%s\" cx=\"14\" r=\"%s\"", entry->mark == HTI_DRAW_GIVEN ? "" : " b",
                          entry->mark == HTI_DRAW_DEFAULT ? "1.5" : "3");
        put_attribute(out, "cy", y);
        hti_buffer_text(out, "/>");
        break;
    case HTI_DRAW_EACH:
        hti_buffer_text(out, "<path class=\"m\" d=\"M10.5 ");
        put_number(out, y - 3);
        hti_buffer_text(out, "h7m-7 3h7m-7 3h7\"/>");
        break;
    case HTI_DRAW_INSTANCE:
        hti_buffer_text(out, "<path class=\"m i\" d=\"M14 ");
        put_number(out, y - 3.6);
        hti_buffer_text(out, "l3.6 3.6l-3.6 3.6l-3.6 -3.6z\"/>");
        break;
    }
    hti_buffer_text(out, "<text class=\"d\" x=\"24\"");
    put_attribute(out, "y", y + 4);
    hti_buffer_text(out, "><tspan class=\"t\">");
    if (strncmp(entry->text, entry->name, len) != 0) { /* cut inside the name */
        hti_draw_escaped(out, entry->text);
        hti_buffer_text(out, "</tspan></text>");
        return;
    }
    hti_draw_escaped(out, entry->name);
    hti_buffer_text(out, "</tspan>");
    hti_draw_escaped(out, entry->text + len);
    hti_buffer_text(out, "</text>");
}

static void put_inputs(const hti_draw_item *item, hti_buffer *out)
{
    put_rect(out, "card", item->size, 7);
    for (size_t e = 0; e < item->n_entries; e++)
        put_entry(&item->entries[e], HTI_DRAW_ROW_PAD + HTI_DRAW_ROW * ((double)e + 0.5), out);
}

static void put_level(const hti_drawing *drawing, const hti_draw_level *level, bool all, hti_buffer *out);

/* From the border to the boxes of inputs, where the title stands between. */
static void put_stubs(const hti_drawing *drawing, const hti_draw_level *level, hti_buffer *out)
{
    for (size_t i = 0; drawing->main == 1 && i < level->n_boxes; i++) {
        const hti_draw_item *item = &level->items[i];
        if (!item->at_border) continue;
        hti_buffer_printf(out, "<path class=\"line\" id=\"s%u\" d=\"M", item->number);
        put_number(out, item->at[0] + item->size[0] / 2);
        hti_buffer_text(out, " 0V");
        put_number(out, item->at[1]);
        hti_buffer_text(out, "\"/>");
    }
}

static void put_nested(const hti_drawing *drawing, const hti_draw_item *item, bool all, hti_buffer *out)
{
    put_rect(out, "card", item->size, 9);
    hti_buffer_printf(out, "<path class=\"sign m\" d=\"%s\"/>",
                      item->open ? "M12 13.5l4 4l4 -4" : "M13.5 11.5l4 4l-4 4");
    if (all || !item->open) {
        hti_buffer_text(out, "<g class=\"shut\">");
        put_lines(item, 28, out);
        hti_buffer_text(out, "</g>");
    }
    if (!all && !item->open) return;
    hti_buffer_text(out, "<g class=\"wide\">");
    put_stubs(drawing, item->inside, out);
    put_text(out, "t n", 28, 20, item->title);
    put_text(out, "d", 28, 36, item->under);
    put_level(drawing, item->inside, all, out);
    hti_buffer_text(out, "</g>");
}

static void put_item(const hti_drawing *drawing, const hti_draw_level *level, const hti_draw_item *item, bool all,
                     hti_buffer *out)
{
    static const char *const classes[] = {"node", "method", "nested", "in", "out", ""};
    const bool dot = item->kind == HTI_DRAW_RESULT && level->depth;
    hti_buffer_printf(out, "<g class=\"item %s", dot ? "port" : classes[item->kind]);
    if (item->kind == HTI_DRAW_NESTED)
        hti_buffer_printf(out, " %s o%u", item->open ? "open" : "closed", level->depth % 2);
    hti_buffer_printf(out, "\" id=\"n%u\" transform=\"translate(", item->number);
    put_number(out, item->at[0]);
    hti_buffer_text(out, " ");
    put_number(out, item->at[1]);
    hti_buffer_text(out, ")\">");
    if (item->step)
        put_title(out, item->step->node->name);
    else if (item->kind == HTI_DRAW_RESULT)
        put_title(out, level->plan->outputs[item->output]);
    switch (item->kind) {
    case HTI_DRAW_NODE:
    case HTI_DRAW_METHOD:
        put_rect(out, "card", item->size, 7);
        hti_buffer_text(out, "<rect class=\"k\" width=\"3\" rx=\"1.5\" x=\"5\" y=\"8\"");
        put_attribute(out, "height", item->size[1] - 16);
        hti_buffer_text(out, "/>");
        put_lines(item, 16, out);
        put_heat(item, out);
        break;
    case HTI_DRAW_NESTED: put_nested(drawing, item, all, out); break;
    case HTI_DRAW_INPUTS: put_inputs(item, out); break;
    case HTI_DRAW_RESULT:
        if (!dot) put_rect(out, "card", item->size, 14);
        if (!dot) put_text(out, "t s", 18, 18, item->title);
        if (dot) hti_buffer_text(out, "<circle class=\"dot\" r=\"3.5\"/>");
        break;
    case HTI_DRAW_BEND: break;
    }
    hti_buffer_text(out, "</g>\n");
}

/* Depth is bounded by HTI_MAX_NESTING. */
static void put_level(const hti_drawing *drawing, const hti_draw_level *level, bool all, hti_buffer *out)
{
    hti_buffer_printf(out, "<g class=\"level\" id=\"l%u\">\n", level->number);
    for (size_t e = 0; e < level->n_edges; e++) put_edge(drawing, level, e, out);
    for (size_t i = 0; i < level->n_boxes; i++) put_item(drawing, level, &level->items[i], all, out);
    hti_buffer_text(out, "</g>\n");
}

void hti_draw_picture(const hti_drawing *drawing, bool all, hti_buffer *out)
{
    put_level(drawing, drawing->root, all, out);
}

void hti_draw_svg(const hti_drawing *drawing, hti_buffer *out)
{
    const double *size = drawing->root->size;
    hti_buffer_text(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
    put_attribute(out, "width", size[0]);
    put_attribute(out, "height", size[1]);
    hti_buffer_text(out, " viewBox=\"0 0 ");
    put_number(out, size[0]);
    hti_buffer_text(out, " ");
    put_number(out, size[1]);
    hti_buffer_text(out, "\">");
    put_title(out, drawing->title);
    hti_buffer_text(out, "\n<style>\n");
    hti_draw_rules(out, drawing->options.style);
    hti_buffer_text(out, "</style>\n");
    put_rect(out, "bg", size, 0);
    put_text(out, "t h", HTI_DRAW_MARGIN, 38, drawing->title);
    hti_draw_picture(drawing, false, out);
    hti_buffer_text(out, "</svg>\n");
}
