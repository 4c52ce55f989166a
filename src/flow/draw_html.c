/*
 * draw_html.c - a placed drawing as one HTML page: the picture, a table of nodes, what is known of each.
 *
 * The picture is whole without its script, which opens and closes pipelines, moves and zooms. It gets sizes, ranks and
 * edges as JSON in which "<" is escaped, so that no name can end the script.
 */
#include "codec/codec.h"
#include "draw_int.h"

static const char head[] = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                           "<meta name=\"viewport\" content=\"width=device-width\"><title>";

static const char *const style[] = {
    "</title><style>\n"
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#636c76;--line:#d8dee4;--row:#f6f8fa;--hot:#3b7ddd}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#929ca7;--line:#30363d;--row:#161b22;"
    "--hot:#5c9bf5}}\n"
    "*{box-sizing:border-box}html,body{height:100%}body{margin:0;background:var(--bg);color:var(--fg);display:grid;"
    "grid-template:auto 1fr/1fr 340px;font:13px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,"
    "sans-serif}\n"
    "header{grid-column:1/3;display:flex;gap:8px;align-items:center;padding:10px 18px;border-bottom:1px solid "
    "var(--line)}h1{font-size:16px;margin:0 8px 0 0}header p{margin:0 auto 0 0;color:var(--dim)}\n"
    "button{font:inherit;color:var(--fg);background:var(--row);border:1px solid var(--line);border-radius:6px;"
    "padding:3px 11px;cursor:pointer}button:hover{border-color:var(--dim)}\n"
    "#svg{width:100%;height:100%;display:block;cursor:grab;touch-action:none;user-select:none;min-height:0}\n"
    "aside{border-left:1px solid var(--line);overflow:auto;min-height:0}h2{font-size:14px;margin:0;"
    "overflow-wrap:anywhere}#about{padding:14px 18px;border-bottom:1px solid var(--line)}#about p{margin:2px 0 8px;"
    "color:var(--dim)}\n",
    "table{border-collapse:collapse;width:100%}td{padding:4px 12px;vertical-align:top;overflow-wrap:anywhere}"
    "#detail td{padding:3px 0}#detail .key{color:var(--dim);width:96px;padding-right:10px}small{display:block;"
    "color:var(--dim);font-size:12px}.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "aside>table{margin-top:6px}"
    "#nodes tr{cursor:pointer;border-bottom:1px solid var(--line)}#nodes tr:hover,#nodes .on{background:var(--row)}"
    "#nodes td:nth-child(2){color:var(--dim);white-space:nowrap}\n"
    "#keys{padding:14px 18px;color:var(--dim)}#keys svg{width:20px;height:14px;vertical-align:-2px;margin-right:4px}"
    "#keys span{white-space:nowrap;margin-right:12px}\n"
    "#tip{position:fixed;display:none;pointer-events:none;background:var(--fg);color:var(--bg);padding:3px 8px;"
    "border-radius:5px;font-size:12px}\n"
    ".open>.shut,.closed>.wide{display:none}.nested{cursor:pointer}.sign{stroke-width:1.6}\n"
    ".level .edge.hot .line{stroke:var(--hot);stroke-width:2}.level .edge.hot .tip{fill:var(--hot)}\n"
    ".focus .edge:not(.hot) .line,.focus .edge:not(.hot) .tip{opacity:.45}.line,.tip{transition:opacity .12s}\n"
    ".item.hot>.card{stroke:var(--dim)}.item.chosen>.card{stroke:var(--hot);stroke-width:1.8}\n"
    "@media(max-width:900px){body{grid-template:auto 1fr 40%/1fr}header{grid-column:1}aside{border-left:0;"
    "border-top:1px solid var(--line)}}\n"};

static const char body[] =
    "<button id=\"open\">Open all</button><button id=\"close\">Close all</button><button id=\"fit\">Fit</button>"
    "</header>\n";

static const char panel[] =
    "<aside><section id=\"about\" hidden><h2 id=\"name\"></h2><p id=\"summary\"></p><table><tbody id=\"detail\">"
    "</tbody></table></section><table><tbody id=\"nodes\"></tbody></table><p id=\"keys\">"
    "<span><svg><circle class=\"m\" cx=\"9\" cy=\"7\" r=\"3\"/></svg>given</span>"
    "<span><svg><path class=\"m\" d=\"M5 4h7m-7 3h7m-7 3h7\"/></svg>each element</span>"
    "<span><svg><circle class=\"m b\" cx=\"9\" cy=\"7\" r=\"3\"/></svg>bound</span>"
    "<span><svg><circle class=\"m b\" cx=\"9\" cy=\"7\" r=\"1.5\"/></svg>default</span>"
    "<span><svg><path class=\"m i\" d=\"M9 3.4l3.6 3.6l-3.6 3.6l-3.6 -3.6z\"/></svg>object</span>"
    "<br>Wheel: zoom. Drag: move. Click: a pipeline opens, a node tells.</p></aside><div id=\"tip\"></div>\n"
    "<script>\nconst D=";

/* ---- what the script places ---- */

/* A JSON string in which no "<" stands. */
static void put_string(hti_buffer *out, const char *text)
{
    hti_buffer quoted;
    hti_buffer_init(&quoted);
    hti_json_quote(&quoted, hti_text_of(text));
    const ht_text view = hti_buffer_view(&quoted);
    for (size_t i = 0; i < view.len; i++) {
        if (view.data[i] == '<')
            hti_buffer_text(out, "\\u003c");
        else
            hti_buffer_append(out, view.data + i, 1);
    }
    if (quoted.status != HT_OK) out->status = quoted.status;
    hti_buffer_deinit(&quoted);
}

static int number_of(uint32_t at) { return at == HTI_DRAW_NONE ? -1 : (int)at; }

static void put_shape(const hti_draw_level *level, hti_buffer *out)
{
    hti_buffer_printf(out, "%s{number:%u,depth:%u,header:%.0f,least:%.0f,items:[", level->number ? ",\n" : "",
                      level->number, level->depth, level->header, level->least_width);
    for (size_t i = 0; i < level->n_items; i++) {
        const hti_draw_item *x = &level->items[i];
        hti_buffer_printf(out, "%s[%u,%d,%u,%u,%.0f,%.0f,%d,%d,%d]", i ? "," : "", x->number, (int)x->kind, x->layer,
                          x->rank, x->natural[0], x->natural[1], x->inside ? (int)x->inside->number : -1, x->open,
                          x->at_border);
    }
    hti_buffer_text(out, "],edges:[");
    for (size_t e = 0; e < level->n_edges; e++) {
        const hti_draw_edge *x = &level->edges[e];
        hti_buffer_printf(out, "%s[%u,%u,%d,%u,%d,%u,%d]", e ? "," : "", x->number, x->from, number_of(x->from_port),
                          x->to, number_of(x->to_port), x->to_row, number_of(x->first_bend));
    }
    hti_buffer_text(out, "],links:[");
    for (size_t l = 0; l < level->n_links; l++)
        hti_buffer_printf(out, "%s[%u,%u,%u]", l ? "," : "", level->links[l].from, level->links[l].to,
                          level->links[l].edge);
    hti_buffer_text(out, "]}");
    for (size_t i = 0; i < level->n_boxes; i++) /* in the order of their numbers */
        if (level->items[i].inside) put_shape(level->items[i].inside, out);
}

/* ---- what is known of a node ---- */

static void put_row(hti_buffer *out, const char *key, const char *value, const char *note)
{
    if (out->len && out->data[out->len - 1] != '[') hti_buffer_text(out, ",");
    hti_buffer_text(out, "[");
    put_string(out, key);
    hti_buffer_text(out, ",");
    put_string(out, value);
    hti_buffer_text(out, ",");
    put_string(out, note ? note : "");
    hti_buffer_text(out, "]");
}

static void put_count(hti_buffer *out, const char *key, uint64_t count, const char *unit)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%llu%s", (unsigned long long)count, unit);
    if (count) put_row(out, key, text, NULL);
}

static void put_forms(hti_buffer *out, const ht_forms *forms)
{
    static const char *const words[] = {NULL, "gives null", "drops the item"};
    put_count(out, "batch size", forms->batch ? forms->batch_size : 0, "");
    put_count(out, "retries", forms->max_retries, "");
    put_count(out, "timeout", forms->timeout_ms, " ms");
    if ((size_t)forms->on_error < HTI_LEN(words) && words[forms->on_error])
        put_row(out, "on error", words[forms->on_error], NULL);
}

static const ht_parameter *parameter_of(const ht_class *cls, const char *name)
{
    for (size_t p = 0; p < cls->n_parameters; p++)
        if (!strcmp(cls->parameters[p].name, name)) return &cls->parameters[p];
    return NULL;
}

static void put_instance(hti_buffer *out, const ht_instance *instance)
{
    char text[200], note[300];
    size_t n;
    const ht_class *cls = hti_instance_class(instance);
    const ht_value args = ht_instance_args(instance);
    const ht_value *items = ht_value_items(args, &n);
    put_row(out, "class", cls->name, cls->summary);
    for (size_t i = 0; args.kind == HT_KIND_STRUCT && i < n; i++) {
        const char *name = ht_value_field_name(args, i).data;
        const ht_parameter *p = parameter_of(cls, name);
        ht_value_describe(items[i], text, sizeof text);
        (void)snprintf(note, sizeof note, "%s%s%s", p ? p->type : "", p && p->help ? ": " : "",
                       p && p->help ? p->help : "");
        put_row(out, name, text, note);
    }
}

/* The value of what no step makes, "" else. */
static void put_input(hti_buffer *out, const hti_draw_level *level, const hti_step *step, size_t input)
{
    char text[200] = "";
    const ht_plan *plan = level->plan;
    const uint32_t place = step->in[input], first = (uint32_t)(plan->n_shared - plan->n_constants);
    if (place == UINT32_MAX) return;
    const bool constant = place & HTI_SHARED && (place & ~HTI_SHARED) >= first;
    if (constant) ht_value_describe(plan->constants[(place & ~HTI_SHARED) - first], text, sizeof text);
    put_row(out, "reads", step->node->inputs[input].name, text);
}

static void put_step(hti_buffer *out, const hti_draw_level *level, const hti_draw_item *item)
{
    const hti_node *node = item->step->node;
    put_string(out, node->name);
    hti_buffer_text(out, ",summary:");
    put_string(out, node->summary ? node->summary : "");
    hti_buffer_text(out, ",runs:");
    put_string(out, hti_step_form(item->step));
    hti_buffer_text(out, ",time:");
    put_string(out, item->figures);
    hti_buffer_text(out, ",rows:[");
    if (node->type && strcmp(node->type, node->name) != 0) put_row(out, "type", node->type, NULL);
    if (node->instance) put_row(out, "method", node->chosen.method->name, NULL);
    put_row(out, "runs as", hti_step_form(item->step), item->each);
    if (*item->figures) put_row(out, "took", item->figures, NULL);
    for (size_t i = 0; i < node->n_inputs; i++) put_input(out, level, item->step, i);
    for (size_t o = 0; o < node->n_outputs; o++) put_row(out, "makes", node->outputs[o], NULL);
    if (node->version) put_row(out, "version", node->version, "results can be cached");
    if (!item->step->child) put_forms(out, node->instance ? &node->chosen.method->forms : &node->forms);
    if (node->instance) put_instance(out, node->instance);
}

static void put_inputs(hti_buffer *out, const hti_draw_item *item)
{
    static const char *const words[] = {"given", "each element", "bound", "default", "object"};
    char text[200];
    put_string(out, item->n_entries == 1 ? item->entries[0].name : "inputs");
    hti_buffer_text(out, ",summary:\"\",rows:[");
    for (size_t e = 0; e < item->n_entries; e++) {
        const hti_draw_entry *entry = &item->entries[e];
        const ht_instance *instance = entry->value ? ht_value_instance(*entry->value) : NULL;
        (void)snprintf(text, sizeof text, "%s", words[entry->mark]);
        if (entry->value && !instance) ht_value_describe(*entry->value, text, sizeof text);
        put_row(out, entry->name, text, entry->value && !instance ? ht_kind_name(entry->value->kind) : NULL);
        if (instance) put_instance(out, instance);
    }
}

static void put_info(const hti_draw_level *level, hti_buffer *out)
{
    for (size_t i = 0; i < level->n_boxes; i++) {
        const hti_draw_item *item = &level->items[i];
        if (!item->step && item->kind != HTI_DRAW_INPUTS) continue;
        hti_buffer_printf(out, "%u:{name:", item->number);
        if (item->step)
            put_step(out, level, item);
        else
            put_inputs(out, item);
        hti_buffer_text(out, "]},\n");
        if (item->inside) put_info(item->inside, out);
    }
}

/* ---- the page ---- */

static size_t count_steps(const ht_plan *plan)
{
    size_t n = plan->n_steps;
    for (size_t s = 0; s < plan->n_steps; s++) n += plan->steps[s].child ? count_steps(plan->steps[s].child) : 0;
    return n;
}

ht_status hti_draw_html(hti_drawing *drawing, hti_buffer *out, ht_error *err)
{
    const size_t n = count_steps(drawing->root->plan);
    hti_buffer_text(out, head);
    hti_draw_escaped(out, drawing->title);
    for (size_t i = 0; i < HTI_LEN(style); i++) hti_buffer_text(out, style[i]);
    hti_draw_rules(out, HT_DRAW_AUTO);
    hti_buffer_text(out, "</style></head><body><header><h1>");
    hti_draw_escaped(out, drawing->title);
    hti_buffer_printf(out, "</h1><p>%zu node%s", n, n == 1 ? "" : "s");
    if (drawing->n_lost) hti_buffer_printf(out, ", %llu older spans lost", (unsigned long long)drawing->n_lost);
    hti_buffer_text(out, "</p>");
    hti_buffer_text(out, body);
    hti_buffer_printf(out, "<svg id=\"svg\" role=\"img\" viewBox=\"0 0 %.0f %.0f\"><g id=\"view\">\n",
                      drawing->root->size[0], drawing->root->size[1]);
    hti_draw_picture(drawing, true, out);
    hti_buffer_text(out, "</g></svg>\n");
    hti_buffer_text(out, panel);
    hti_buffer_printf(out, "{main:%d,levels:[", drawing->main);
    put_shape(drawing->root, out);
    hti_buffer_text(out, "],\ninfo:{");
    put_info(drawing->root, out);
    hti_buffer_text(out, "}};\n");
    for (size_t i = 0; hti_draw_script[i]; i++) hti_buffer_text(out, hti_draw_script[i]);
    hti_buffer_text(out, "</script></body></html>\n");
    return hti_buffer_status(out, err);
}
