/*
 * plan_print.c - a plan for people: indented text, Mermaid, DOT.
 *
 * One walk over the steps, each format a table of three functions; nested pipelines are clusters. Names are escaped as
 * the format wants it, so a hostile name stays a label.
 */
#include "flow_int.h"

#include <string.h>

typedef struct printer {
    ht_plan_format format;
    hti_buffer text;
} printer;

static void indent(printer *p, uint32_t depth)
{
    for (uint32_t i = 0; i < depth; i++) hti_buffer_text(&p->text, "  ");
}

/* Mermaid and DOT labels: quotes, angle brackets, backslashes and control characters cannot end a label. */
static void label(printer *p, const char *name)
{
    hti_buffer_text(&p->text, "\"");
    for (; *name; name++) {
        const unsigned char c = (unsigned char)*name;
        if (c < 0x20 || strchr("\"\\<>&#;[]{}()|`", c))
            hti_buffer_printf(&p->text, "&#%u;", c);
        else
            hti_buffer_append(&p->text, name, 1);
    }
    hti_buffer_text(&p->text, "\"");
}

const char *hti_step_form(const hti_step *step)
{
    const ht_forms *forms = &step->node->forms;
    if (step->child) return "pipeline";
    if (step->node->chosen.whole) return "columns";
    if (forms->body) return "awaits";
    if (forms->start) return "asynchronous";
    if (hti_gathers(forms)) return forms->row ? "row or batch" : "batch";
    return "row";
}

/* ---- text ---- */

static void print_names(printer *p, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) hti_buffer_printf(&p->text, "%s%s", i ? ", " : "", names[i]);
}

static void print_text(printer *p, const ht_plan *plan, uint32_t depth)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        const hti_node *node = step->node;
        indent(p, depth);
        hti_buffer_printf(&p->text, "%u. %s(", step->order + 1, node->name);
        for (size_t i = 0; i < node->n_inputs; i++)
            hti_buffer_printf(&p->text, "%s%s", i ? ", " : "", node->inputs[i].name);
        hti_buffer_text(&p->text, ") -> ");
        print_names(p, node->outputs, node->n_outputs);
        hti_buffer_printf(&p->text, "  [%s", hti_step_form(step));
        if (hti_gathers(&node->forms) && node->forms.batch_size)
            hti_buffer_printf(&p->text, " of %zu", node->forms.batch_size);
        for (size_t m = 0; m < node->n_map_over; m++)
            hti_buffer_printf(&p->text, "%s%s", m ? (node->map_mode == HT_MAP_ZIP ? " zip " : " x ") : " over ",
                              node->inputs[node->map_over[m]].name);
        hti_buffer_text(&p->text, "]\n");
        if (step->child) print_text(p, step->child, depth + 1);
    }
}

/* ---- graphs ---- */

/* The step that makes an own place, NULL for an input of the plan. */
static const hti_step *maker_of(const ht_plan *plan, uint32_t place)
{
    for (size_t s = 0; s < plan->n_steps && !(place & HTI_SHARED); s++) {
        const hti_step *step = &plan->steps[s];
        if (place >= step->first_out && place < step->first_out + step->node->n_outputs) return step;
    }
    return NULL;
}

static void print_edge(printer *p, uint32_t depth, const hti_step *from, const hti_step *to, const char *name)
{
    indent(p, depth);
    hti_buffer_printf(&p->text, p->format == HT_PLAN_DOT ? "s%u -> s%u [label=" : "s%u -- ", from->order, to->order);
    label(p, name);
    if (p->format == HT_PLAN_DOT)
        hti_buffer_text(&p->text, "];\n");
    else
        hti_buffer_printf(&p->text, " --> s%u\n", to->order);
}

static void print_graph(printer *p, const ht_plan *plan, uint32_t depth)
{
    const bool dot = p->format == HT_PLAN_DOT;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        if (step->child) {
            indent(p, depth);
            hti_buffer_printf(&p->text, dot ? "subgraph cluster_%u {\n" : "subgraph c%u\n", step->order);
            print_graph(p, step->child, depth + 1);
            indent(p, depth);
            hti_buffer_text(&p->text, dot ? "}\n" : "end\n");
        }
        indent(p, depth);
        hti_buffer_printf(&p->text, dot ? "s%u [label=" : "s%u[", step->order);
        label(p, step->node->name);
        hti_buffer_text(&p->text, dot ? "];\n" : "]\n");
        for (size_t i = 0; i < step->node->n_inputs; i++) {
            const hti_step *from = maker_of(plan, step->in[i]);
            if (from) print_edge(p, depth, from, step, step->node->inputs[i].name);
        }
    }
}

ht_status ht_plan_print(const ht_plan *plan, ht_plan_format format, ht_writer *writer, ht_error *err)
{
    if (format == HT_PLAN_JSON) return hti_plan_json(plan, writer, err);
    printer p = {.format = format};
    hti_buffer_init(&p.text);
    switch (format) {
    case HT_PLAN_TEXT: print_text(&p, plan, 0); break;
    case HT_PLAN_MERMAID:
        hti_buffer_text(&p.text, "flowchart TB\n");
        print_graph(&p, plan, 1);
        break;
    case HT_PLAN_DOT:
        hti_buffer_text(&p.text, "digraph pipeline {\n  node [shape=box];\n");
        print_graph(&p, plan, 1);
        hti_buffer_text(&p.text, "}\n");
        break;
    default: return HT_FAIL(err, INVALID, "no plan format %d", (int)format);
    }
    ht_status status = hti_buffer_status(&p.text, err);
    if (status == HT_OK) status = ht_writer_add(writer, p.text.data, p.text.len, err);
    hti_buffer_deinit(&p.text);
    return status;
}
