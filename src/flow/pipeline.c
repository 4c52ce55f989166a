/*
 * pipeline.c - nodes and pipelines as a program builds them: descriptions are copied and checked here, wired in
 * graph.c.
 *
 * A node never changes after its making and is counted, so adding a pipeline to another copies the list of nodes and
 * nothing else: what the outer one holds is the inner one as it was then.
 * Thread rule: one thread builds; a pipeline that nobody changes may be planned and run from any thread.
 */
#include "flow_int.h"

#include <string.h>

void hti_values_release(ht_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ht_value_release(values[i]);
        values[i] = ht_value_null();
    }
}

/* ---- nodes ---- */

void hti_node_retain(hti_node *node) { (void)__atomic_add_fetch(&node->n_refs, 1, __ATOMIC_RELAXED); }

void hti_node_release(hti_node *node)
{
    if (!node || __atomic_sub_fetch(&node->n_refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (size_t i = 0; i < node->n_inputs; i++) ht_value_release(node->inputs[i].otherwise);
    ht_value_release(node->code);
    ht_instance_release(node->instance);
    ht_pipeline_release(node->inner);
    hti_arena_deinit(&node->arena);
    hti_free(node);
}

static const char *keep(hti_node *node, const char *name) { return hti_arena_text(&node->arena, hti_text_of(name)); }

/* A node with room for its names; nothing of it is read before they are set. */
hti_node *hti_node_new(hti_node_kind kind, const char *name, size_t n_inputs, size_t n_outputs)
{
    hti_node *node = HTI_NEW(hti_node);
    if (!node) return NULL;
    hti_arena_init(&node->arena);
    node->n_refs = 1;
    node->kind = kind;
    node->name = keep(node, name);
    node->inputs = HTI_ARENA_ARRAY(&node->arena, hti_port, n_inputs);
    node->outputs = HTI_ARENA_ARRAY(&node->arena, const char *, n_outputs);
    if (!node->name || !node->inputs || !node->outputs) {
        hti_node_release(node);
        return NULL;
    }
    memset(node->inputs, 0, n_inputs * sizeof *node->inputs);
    return node;
}

ht_status hti_node_add_input(hti_node *node, const char *name, const ht_value *otherwise, ht_error *err)
{
    if (!name || !*name) return HT_FAIL(err, INVALID, "node '%s': an input without a name", node->name);
    for (size_t i = 0; i < node->n_inputs; i++)
        if (!strcmp(node->inputs[i].name, name))
            return HT_FAIL(err, INVALID, "node '%s': input '%s' stands twice", node->name, name);
    hti_port *port = &node->inputs[node->n_inputs];
    port->name = keep(node, name);
    if (!port->name) return HTI_NO_MEMORY(err);
    port->has_default = otherwise != NULL;
    port->otherwise = otherwise ? ht_value_retain(*otherwise) : ht_value_null();
    node->n_inputs++;
    return HT_OK;
}

ht_status hti_node_add_output(hti_node *node, const char *name, ht_error *err)
{
    if (!name || !*name) return HT_FAIL(err, INVALID, "node '%s': an output without a name", node->name);
    for (size_t i = 0; i < node->n_outputs; i++)
        if (!strcmp(node->outputs[i], name))
            return HT_FAIL(err, EXISTS, "node '%s': output '%s' stands twice", node->name, name);
    node->outputs[node->n_outputs] = keep(node, name);
    if (!node->outputs[node->n_outputs]) return HTI_NO_MEMORY(err);
    node->n_outputs++;
    return HT_OK;
}

static ht_status check_forms(const hti_node *node, ht_error *err)
{
    const ht_forms *forms = &node->forms;
    if (!forms->row && !hti_gathers(forms) && !forms->start && !forms->body)
        return HT_FAIL(err, INVALID, "node '%s' has no function: give row, batch, series, start or body", node->name);
    if (forms->batch && forms->series)
        return HT_FAIL(err, INVALID, "node '%s' has two batch forms: give batch or series", node->name);
    if (forms->body && (hti_gathers(forms) || forms->start))
        return HT_FAIL(err, INVALID, "node '%s': a body that awaits stands alone or beside a row form", node->name);
    if (hti_gathers(forms) && forms->over >> HTI_MIN(node->n_inputs, 63) && node->n_inputs < HTI_MAX_INPUTS)
        return HT_FAIL(err, INVALID, "node '%s': over names an input behind the last of %zu", node->name,
                       node->n_inputs);
    if (hti_gathers(forms) && node->n_inputs == 0)
        return HT_FAIL(err, INVALID, "node '%s': a batch form needs an input that differs from row to row", node->name);
    return HT_OK;
}

static ht_status fill_function(hti_node *node, const ht_node_desc *desc, ht_error *err)
{
    node->forms = desc->forms;
    node->self = desc->self;
    node->type = keep(node, desc->type ? desc->type : desc->name);
    node->code = ht_value_retain(desc->code);
    node->version = desc->version ? keep(node, desc->version) : NULL;
    node->summary = desc->summary ? keep(node, desc->summary) : NULL;
    if (!node->type || (desc->version && !node->version) || (desc->summary && !node->summary))
        return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < desc->n_inputs; i++)
        HT_TRY(hti_node_add_input(node, desc->inputs[i].name, desc->inputs[i].otherwise, err));
    for (size_t i = 0; i < desc->n_outputs; i++) HT_TRY(hti_node_add_output(node, desc->outputs[i], err));
    if (node->n_outputs == 0) return HT_FAIL(err, INVALID, "node '%s' has no output", node->name);
    return check_forms(node, err);
}

/* ---- the list of a pipeline ---- */

ht_status ht_pipeline_new(const char *name, ht_pipeline **out, ht_error *err)
{
    *out = NULL;
    ht_pipeline *pipeline = HTI_NEW(ht_pipeline);
    const size_t len = strlen(name ? name : "pipeline");
    char *copy = pipeline ? hti_alloc(len + 1) : NULL;
    if (!copy) {
        hti_free(pipeline);
        return HTI_NO_MEMORY(err);
    }
    memcpy(copy, name ? name : "pipeline", len + 1);
    pipeline->name = copy;
    pipeline->n_refs = 1;
    *out = pipeline;
    return HT_OK;
}

void hti_pipeline_retain(ht_pipeline *pipeline) { (void)__atomic_add_fetch(&pipeline->n_refs, 1, __ATOMIC_RELAXED); }

void ht_pipeline_release(ht_pipeline *pipeline)
{
    if (!pipeline || __atomic_sub_fetch(&pipeline->n_refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (size_t i = 0; i < pipeline->n_nodes; i++) hti_node_release(pipeline->nodes[i]);
    for (size_t i = 0; i < pipeline->n_bound; i++) {
        hti_free(pipeline->bound[i].name);
        ht_value_release(pipeline->bound[i].value);
    }
    hti_free(pipeline->nodes);
    hti_free(pipeline->bound);
    hti_free(pipeline->name);
    hti_free(pipeline);
}

/* Takes the node, also on failure. */
static ht_status append(ht_pipeline *pipeline, hti_node *node, ht_error *err)
{
    const ht_status status =
        hti_reserve(&pipeline->nodes, &pipeline->cap_nodes, pipeline->n_nodes + 1, sizeof(hti_node *), err);
    if (status != HT_OK) {
        hti_node_release(node);
        return status;
    }
    pipeline->nodes[pipeline->n_nodes++] = node;
    return HT_OK;
}

static ht_status check_size(const char *name, size_t n_inputs, size_t n_outputs, ht_error *err)
{
    if (!name || !*name) return HT_FAIL(err, INVALID, "a node needs a name");
    if (n_inputs > HTI_MAX_INPUTS || n_outputs > HTI_MAX_OUTPUTS)
        return HT_FAIL(err, LIMIT, "node '%s' has %zu inputs and %zu outputs; at most %d and %d", name, n_inputs,
                       n_outputs, HTI_MAX_INPUTS, HTI_MAX_OUTPUTS);
    return HT_OK;
}

ht_status ht_pipeline_add_node(ht_pipeline *pipeline, const ht_node_desc *desc, ht_error *err)
{
    HT_TRY(check_size(desc->name, desc->n_inputs, desc->n_outputs, err));
    hti_node *node = hti_node_new(HTI_NODE_FUNCTION, desc->name, desc->n_inputs, desc->n_outputs);
    if (!node) return HTI_NO_MEMORY(err);
    const ht_status status = fill_function(node, desc, err);
    if (status != HT_OK) {
        hti_node_release(node);
        return status;
    }
    return append(pipeline, node, err);
}

ht_status ht_pipeline_add_method(ht_pipeline *pipeline, const char *name, ht_instance *instance, const char *method,
                                 const ht_input *inputs, const char *output, ht_error *err)
{
    hti_chosen chosen;
    HT_TRY(hti_instance_method(instance, method, &chosen, err));
    const ht_method *found = chosen.method;
    HT_TRY(check_size(name, found->n_inputs, 1, err));
    hti_node *node = hti_node_new(HTI_NODE_METHOD, name, found->n_inputs, 1);
    if (!node) return HTI_NO_MEMORY(err);
    ht_instance_retain(instance);
    node->instance = instance;
    node->chosen = chosen;
    const ht_node_desc desc = {
        HT_DESC(ht_node_desc), .name = name,   .inputs = inputs,      .n_inputs = found->n_inputs,
        .outputs = &output,    .n_outputs = 1, .forms = found->forms, .version = hti_instance_class(instance)->version};
    const ht_status status = fill_function(node, &desc, err);
    if (status != HT_OK) {
        hti_node_release(node);
        return status;
    }
    return append(pipeline, node, err);
}

/* ---- a pipeline as a node ---- */

/* The same nodes and bindings under a count of its own. */
static ht_status clone(const ht_pipeline *from, ht_pipeline **out, ht_error *err)
{
    HT_TRY(ht_pipeline_new(from->name, out, err));
    ht_pipeline *to = *out;
    ht_status status = hti_reserve(&to->nodes, &to->cap_nodes, from->n_nodes, sizeof(hti_node *), err);
    for (size_t i = 0; status == HT_OK && i < from->n_nodes; i++) {
        hti_node_retain(from->nodes[i]);
        to->nodes[to->n_nodes++] = from->nodes[i];
    }
    for (size_t i = 0; status == HT_OK && i < from->n_bound; i++)
        status = ht_pipeline_bind(to, from->bound[i].name, from->bound[i].value, err);
    if (status == HT_OK) return HT_OK;
    ht_pipeline_release(to);
    *out = NULL;
    return status;
}

static const char *inner_name_of(const ht_as_node *as, const char *outer)
{
    for (size_t i = 0; i < as->n_inputs; i++)
        if (!strcmp(as->inputs[i].from, outer)) return as->inputs[i].to;
    return outer;
}

static const char *outer_name_of(const ht_as_node *as, const char *inner)
{
    for (size_t i = 0; i < as->n_inputs; i++)
        if (!strcmp(as->inputs[i].to, inner)) return as->inputs[i].from;
    return inner;
}

const ht_value *hti_pipeline_default(const ht_pipeline *pipeline, const char *input)
{
    const ht_value *found = NULL;
    for (size_t i = 0; i < pipeline->n_nodes; i++)
        for (size_t j = 0; j < pipeline->nodes[i]->n_inputs; j++) {
            const hti_port *port = &pipeline->nodes[i]->inputs[j];
            if (strcmp(port->name, input) != 0) continue;
            if (!port->has_default) return NULL;
            if (!found) found = &port->otherwise;
        }
    return found;
}

/* Inputs: the inner one's free and unbound inputs by name, under their outer names. */
static ht_status fill_inputs(hti_node *node, const hti_graph *graph, const ht_as_node *as, ht_error *err)
{
    for (size_t i = 0; i < graph->n_roots; i++) {
        const char *inner = graph->root_names[i], *outer = outer_name_of(as, inner);
        bool wanted = !hti_pipeline_bound(node->inner, inner);
        for (size_t m = 0; m < as->n_map_over; m++) wanted |= !strcmp(as->map_over[m], outer);
        if (!wanted) continue;
        node->inner_inputs[node->n_inputs] = keep(node, inner);
        if (!node->inner_inputs[node->n_inputs]) return HTI_NO_MEMORY(err);
        const ht_value *otherwise = hti_pipeline_default(node->inner, inner);
        for (size_t m = 0; m < as->n_map_over; m++)
            if (!strcmp(as->map_over[m], outer)) otherwise = NULL;
        HT_TRY(hti_node_add_input(node, outer, otherwise, err));
    }
    for (size_t i = 0; i < as->n_inputs; i++) {
        bool known = false;
        for (size_t r = 0; r < graph->n_roots; r++) known |= !strcmp(graph->root_names[r], as->inputs[i].to);
        if (!known)
            return hti_fail_choices(err, "input mapping to an unknown inner input", as->inputs[i].to, graph->root_names,
                                    graph->n_roots);
    }
    return HT_OK;
}

static ht_status fill_outputs(hti_node *node, const hti_graph *graph, const ht_as_node *as, ht_error *err)
{
    const size_t n = as->n_outputs ? as->n_outputs : graph->outputs.n;
    for (size_t i = 0; i < n; i++) {
        const char *inner = as->n_outputs ? as->outputs[i].from : graph->outputs.entries[i].key;
        if (hti_map_find(&graph->outputs, hti_text_of(inner)) == HTI_MAP_NONE)
            return HT_FAIL(err, NOT_FOUND, "node '%s': output mapping from '%s', which the pipeline does not make",
                           node->name, inner);
        node->inner_outputs[i] = keep(node, inner);
        if (!node->inner_outputs[i]) return HTI_NO_MEMORY(err);
        HT_TRY(hti_node_add_output(node, as->n_outputs ? as->outputs[i].to : inner, err));
    }
    return HT_OK;
}

static ht_status fill_map(hti_node *node, const ht_as_node *as, ht_error *err)
{
    if (as->map_mode != HT_MAP_ZIP && as->map_mode != HT_MAP_PRODUCT)
        return HT_FAIL(err, INVALID, "node '%s': the map mode is zip or product, not %d", node->name,
                       (int)as->map_mode);
    node->map_mode = as->map_mode;
    node->map_over = HTI_ARENA_ARRAY(&node->arena, uint32_t, as->n_map_over);
    if (!node->map_over) return HTI_NO_MEMORY(err);
    for (size_t m = 0; m < as->n_map_over; m++) {
        size_t at = 0;
        while (at < node->n_inputs && strcmp(node->inputs[at].name, as->map_over[m]) != 0) at++;
        for (size_t i = 0; i < m; i++)
            if (!strcmp(as->map_over[i], as->map_over[m]))
                return HT_FAIL(err, INVALID, "node '%s': map_over names '%s' twice", node->name, as->map_over[m]);
        if (at == node->n_inputs)
            return HT_FAIL(err, NOT_FOUND, "node '%s': map_over '%s' is no input of it (inner name '%s')", node->name,
                           as->map_over[m], inner_name_of(as, as->map_over[m]));
        node->map_over[m] = (uint32_t)at;
    }
    node->n_map_over = as->n_map_over;
    return HT_OK;
}

static ht_status fill_pipeline(hti_node *node, const hti_graph *graph, const ht_as_node *as, ht_error *err)
{
    node->inner_inputs = HTI_ARENA_ARRAY(&node->arena, const char *, graph->n_roots);
    node->inner_outputs = HTI_ARENA_ARRAY(&node->arena, const char *, HTI_MAX(as->n_outputs, graph->outputs.n));
    if (!node->inner_inputs || !node->inner_outputs) return HTI_NO_MEMORY(err);
    HT_TRY(fill_inputs(node, graph, as, err));
    HT_TRY(fill_outputs(node, graph, as, err));
    return fill_map(node, as, err);
}

static ht_status make_pipeline_node(ht_pipeline *inner, const ht_as_node *as, const hti_graph *graph, hti_node **out,
                                    ht_error *err)
{
    const char *name = as->name ? as->name : inner->name;
    const size_t n_outputs = HTI_MAX(as->n_outputs, graph->outputs.n);
    HT_TRY(check_size(name, graph->n_roots, n_outputs, err));
    hti_node *node = hti_node_new(HTI_NODE_PIPELINE, name, graph->n_roots, n_outputs);
    if (!node) return HTI_NO_MEMORY(err);
    hti_pipeline_retain(inner);
    node->inner = inner;
    node->has_own = as->own != NULL;
    if (as->own) node->own = *as->own;
    const ht_status status = fill_pipeline(node, graph, as, err);
    if (status != HT_OK) {
        hti_node_release(node);
        return status;
    }
    *out = node;
    return HT_OK;
}

ht_status ht_pipeline_add_pipeline(ht_pipeline *pipeline, const ht_pipeline *inner, const ht_as_node *as_node,
                                   ht_error *err)
{
    static const ht_as_node plain = {HT_DESC(ht_as_node)};
    ht_pipeline *copy;
    hti_graph graph;
    hti_arena arena;
    hti_node *node = NULL;
    HT_TRY(clone(inner, &copy, err));
    hti_arena_init(&arena);
    ht_status status = hti_graph_make(copy, &arena, &graph, err);
    if (status == HT_OK) {
        status = make_pipeline_node(copy, as_node ? as_node : &plain, &graph, &node, err);
        hti_graph_deinit(&graph);
    }
    hti_arena_deinit(&arena);
    ht_pipeline_release(copy);
    return status == HT_OK ? append(pipeline, node, err) : status;
}

/* ---- bound inputs ---- */

const ht_value *hti_pipeline_bound(const ht_pipeline *pipeline, const char *input)
{
    for (size_t i = 0; i < pipeline->n_bound; i++)
        if (!strcmp(pipeline->bound[i].name, input)) return &pipeline->bound[i].value;
    return NULL;
}

void ht_pipeline_unbind(ht_pipeline *pipeline, const char *input)
{
    for (size_t i = 0; i < pipeline->n_bound; i++) {
        if (strcmp(pipeline->bound[i].name, input) != 0) continue;
        hti_free(pipeline->bound[i].name);
        ht_value_release(pipeline->bound[i].value);
        pipeline->bound[i] = pipeline->bound[--pipeline->n_bound];
        return;
    }
}

static bool takes(const ht_pipeline *pipeline, const char *input)
{
    for (size_t i = 0; i < pipeline->n_nodes; i++)
        for (size_t j = 0; j < pipeline->nodes[i]->n_inputs; j++)
            if (!strcmp(pipeline->nodes[i]->inputs[j].name, input)) return true;
    return false;
}

ht_status ht_pipeline_bind(ht_pipeline *pipeline, const char *input, ht_value value, ht_error *err)
{
    if (!takes(pipeline, input))
        return HT_FAIL(err, NOT_FOUND, "pipeline '%s': no node takes the input '%s'", pipeline->name, input);
    HT_TRY(hti_reserve(&pipeline->bound, &pipeline->cap_bound, pipeline->n_bound + 1, sizeof *pipeline->bound, err));
    const size_t len = strlen(input);
    char *name = hti_alloc(len + 1);
    if (!name) return HTI_NO_MEMORY(err);
    memcpy(name, input, len + 1);
    ht_pipeline_unbind(pipeline, input);
    pipeline->bound[pipeline->n_bound].name = name;
    pipeline->bound[pipeline->n_bound++].value = ht_value_retain(value);
    return HT_OK;
}
