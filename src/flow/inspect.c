/*
 * inspect.c - a pipeline described as a value, for programs and people who did not build it.
 */
#include "fields.h"

/* {name, required, bound?, default?}: the last two only where there is one, since null is a value too. */
static ht_status input_value(const ht_pipeline *pipeline, const char *name, ht_value *out, ht_error *err)
{
    const ht_value *bound = hti_pipeline_bound(pipeline, name), *otherwise = hti_pipeline_default(pipeline, name);
    hti_fields f = {.err = err};
    hti_fields_text(&f, "name", name);
    hti_fields_take(&f, "required", ht_value_bool(!bound && !otherwise));
    if (bound) hti_fields_take(&f, "bound", ht_value_retain(*bound));
    if (otherwise) hti_fields_take(&f, "default", ht_value_retain(*otherwise));
    return hti_fields_end(&f, out);
}

static ht_status inputs_value(const hti_graph *graph, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, graph->n_roots);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    while (status == HT_OK && made < graph->n_roots) {
        status = input_value(graph->pipeline, graph->root_names[made], &items[made], err);
        made += status == HT_OK;
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, made, out, err);
    else if (items)
        hti_values_release(items, made);
    hti_free(items);
    return status;
}

/* Names of the nodes in their order, or those of what they make. */
static ht_status add_ordered(hti_fields *f, const char *field, const hti_graph *graph, bool outputs)
{
    const size_t n_nodes = graph->pipeline->n_nodes;
    const char **names = HTI_NEW_ARRAY(const char *, outputs ? graph->outputs.n : n_nodes);
    ht_value list = ht_value_null();
    size_t n = 0;
    if (f->status == HT_OK && !names) f->status = HTI_NO_MEMORY(f->err);
    for (size_t i = 0; f->status == HT_OK && i < n_nodes; i++) {
        const hti_node *node = graph->pipeline->nodes[graph->order[i]];
        if (!outputs) names[n++] = node->name;
        for (size_t o = 0; outputs && o < node->n_outputs; o++) names[n++] = node->outputs[o];
    }
    if (f->status == HT_OK) f->status = hti_names_value(names, n, &list, f->err);
    hti_free(names);
    hti_fields_take(f, field, list);
    return f->status;
}

ht_status ht_pipeline_inspect(const ht_pipeline *pipeline, ht_value *out, ht_error *err)
{
    hti_arena arena;
    hti_graph graph;
    ht_value inputs = ht_value_null();
    *out = inputs;
    hti_arena_init(&arena);
    ht_status status = hti_graph_make(pipeline, &arena, &graph, err);
    if (status == HT_OK) {
        hti_fields f = {.err = err};
        hti_fields_text(&f, "name", pipeline->name);
        (void)add_ordered(&f, "nodes", &graph, false);
        if (f.status == HT_OK) f.status = inputs_value(&graph, &inputs, err);
        hti_fields_take(&f, "inputs", inputs);
        (void)add_ordered(&f, "outputs", &graph, true);
        status = hti_fields_end(&f, out);
        hti_graph_deinit(&graph);
    }
    hti_arena_deinit(&arena);
    return status;
}
