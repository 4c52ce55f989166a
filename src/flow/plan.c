/*
 * plan.c - a plan: what of a pipeline a run needs, every name resolved to a place.
 *
 * Walked backwards over the topological order, so that a nested pipeline is planned for exactly the outputs that
 * somebody reads before it says which inputs it needs itself. Then places are given: shared ones first (inputs that
 * are not mapped, constants), own ones behind (mapped inputs, outputs of steps). A mapped input stays even where
 * nothing reads it: it tells how many items there are. Easy to get wrong: a value given at a run wins over a bound
 * one, and that over a default; defaults belong to the node that declares them, not to the name.
 */
#include "flow_int.h"

#include <stdlib.h>
#include <string.h>

typedef struct planner {
    const ht_pipeline *pipeline;
    const hti_plan_request *request;
    hti_graph graph;
    hti_arena scratch;
    ht_plan *plan;
    bool *output_needed;  /* [outputs of the graph] */
    bool *given_used;     /* [n_given] */
    uint32_t *given_of;   /* [n_roots] number among the given, or UINT32_MAX */
    ht_plan **children;   /* [n_nodes] of nested pipelines that are needed, owned */
    bool *node_needed;    /* [n_nodes] */
    bool **input_needed;  /* [n_nodes][n_inputs] */
    const char **missing; /* [n_missing] */
    size_t n_missing, n_needed;
    uint32_t *own_at; /* [outputs of the graph] */
    size_t cap_constants;
} planner;

static uint32_t root_number(const hti_graph *graph, const char *name)
{
    size_t low = 0, high = graph->n_roots;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(graph->root_names[mid], name);
        if (order == 0) return (uint32_t)mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return UINT32_MAX;
}

/* ---- what is given ---- */

/* A value for what a node makes would be lost without a word. */
static ht_status refuse_made(const planner *p, const char *input, ht_error *err)
{
    const uint32_t made = hti_map_get(&p->graph.outputs, hti_text_of(input), UINT32_MAX);
    if (made == UINT32_MAX) return HT_OK;
    return HT_FAIL(err, INVALID, "pipeline '%s': input '%s' is what the node '%s' makes", p->pipeline->name, input,
                   p->pipeline->nodes[hti_graph_maker(&p->graph, made)]->name);
}

static ht_status check_given(planner *p, ht_error *err)
{
    const hti_plan_request *r = p->request;
    for (size_t i = 0; i < p->graph.n_roots; i++) p->given_of[i] = UINT32_MAX;
    for (size_t b = 0; b < p->pipeline->n_bound; b++) HT_TRY(refuse_made(p, p->pipeline->bound[b].name, err));
    for (size_t g = 0; g < r->n_given; g++) {
        const uint32_t root = root_number(&p->graph, r->given[g]);
        HT_TRY(refuse_made(p, r->given[g], err));
        if (root == UINT32_MAX) {
            (void)hti_fail_choices(err, "unknown input", r->given[g], p->graph.root_names, p->graph.n_roots);
            return hti_fail_context(err, HT_NOT_FOUND, "pipeline '%s'", p->pipeline->name);
        }
        if (p->given_of[root] != UINT32_MAX)
            return HT_FAIL(err, INVALID, "pipeline '%s': input '%s' is given twice", p->pipeline->name, r->given[g]);
        p->given_of[root] = (uint32_t)g;
        p->given_used[g] = r->mapped && r->mapped[g];
    }
    return HT_OK;
}

static ht_status mark_requested(planner *p, ht_error *err)
{
    const hti_plan_request *r = p->request;
    if (!r->outputs) {
        memset(p->output_needed, 1, p->graph.outputs.n);
        return HT_OK;
    }
    for (size_t i = 0; i < r->n_outputs; i++) {
        const uint32_t output = hti_map_get(&p->graph.outputs, hti_text_of(r->outputs[i]), UINT32_MAX);
        if (output != UINT32_MAX) {
            p->output_needed[output] = true;
            continue;
        }
        const char **names = HTI_ARENA_ARRAY(&p->scratch, const char *, p->graph.outputs.n);
        if (!names) return HTI_NO_MEMORY(err);
        for (size_t o = 0; o < p->graph.outputs.n; o++) names[o] = p->graph.outputs.entries[o].key;
        (void)hti_fail_choices(err, "unknown output", r->outputs[i], names, p->graph.outputs.n);
        return hti_fail_context(err, HT_NOT_FOUND, "pipeline '%s'", p->pipeline->name);
    }
    return HT_OK;
}

/* ---- what is needed, backwards ---- */

/* Whether anything but its default gives an input of a node its value. */
static bool is_provided(const planner *p, uint32_t at, size_t input)
{
    const hti_port *port = &p->pipeline->nodes[at]->inputs[input];
    if (!port->has_default || p->graph.from[at][input] != UINT32_MAX) return true;
    return p->given_of[root_number(&p->graph, port->name)] != UINT32_MAX || hti_pipeline_bound(p->pipeline, port->name);
}

/*
 * Plans the nested pipeline for the outputs that are read; only its plan's inputs are needed. What nobody provides is
 * not given to it, so that each node inside keeps its own default.
 */
static ht_status plan_child(planner *p, uint32_t at, ht_error *err)
{
    const hti_node *node = p->pipeline->nodes[at];
    const char **outputs = HTI_ARENA_ARRAY(&p->scratch, const char *, node->n_outputs);
    const char **given = HTI_ARENA_ARRAY(&p->scratch, const char *, node->n_inputs);
    bool *mapped = HTI_ARENA_ARRAY(&p->scratch, bool, node->n_inputs);
    size_t n_outputs = 0, n_given = 0;
    if (!outputs || !given || !mapped) return HTI_NO_MEMORY(err);
    for (size_t o = 0; o < node->n_outputs; o++)
        if (p->output_needed[p->graph.first_output[at] + o]) outputs[n_outputs++] = node->inner_outputs[o];
    for (size_t i = 0; i < node->n_inputs; i++) {
        if (!is_provided(p, at, i)) continue;
        mapped[n_given] = false;
        for (size_t m = 0; m < node->n_map_over; m++) mapped[n_given] |= node->map_over[m] == i;
        given[n_given++] = node->inner_inputs[i];
    }
    const hti_plan_request request = {outputs,          n_outputs, given, mapped, n_given, p->request->depth + 1,
                                      p->request->plain};
    if (request.depth > HTI_MAX_NESTING)
        return HT_FAIL(err, LIMIT, "pipelines are nested more than %d deep", HTI_MAX_NESTING);
    const ht_status status = hti_plan_make(node->inner, &request, &p->children[at], err);
    if (status != HT_OK) return hti_fail_context(err, status, "node '%s'", node->name);
    const ht_plan *child = p->children[at];
    for (size_t i = 0; i < node->n_inputs; i++)
        for (size_t c = 0; c < child->n_inputs; c++)
            if (!strcmp(child->inputs[c], node->inner_inputs[i])) p->input_needed[at][i] = true;
    return HT_OK;
}

/* A root input of a needed node: given, bound, defaulted, or missing. */
static void need_root(planner *p, uint32_t node, size_t input)
{
    const hti_port *port = &p->pipeline->nodes[node]->inputs[input];
    const uint32_t root = root_number(&p->graph, port->name), given = p->given_of[root];
    if (given != UINT32_MAX) {
        p->given_used[given] = true;
        return;
    }
    if (hti_pipeline_bound(p->pipeline, port->name) || port->has_default) return;
    for (size_t i = 0; i < p->n_missing; i++)
        if (!strcmp(p->missing[i], port->name)) return;
    p->missing[p->n_missing++] = port->name;
}

static ht_status need_node(planner *p, uint32_t at, ht_error *err)
{
    const hti_node *node = p->pipeline->nodes[at];
    p->node_needed[at] = true;
    p->n_needed++;
    p->input_needed[at] = HTI_ARENA_ARRAY(&p->scratch, bool, node->n_inputs);
    if (!p->input_needed[at]) return HTI_NO_MEMORY(err);
    memset(p->input_needed[at], node->kind != HTI_NODE_PIPELINE, node->n_inputs);
    if (node->kind == HTI_NODE_PIPELINE) HT_TRY(plan_child(p, at, err));
    for (size_t j = 0; j < node->n_inputs; j++) {
        if (!p->input_needed[at][j]) continue;
        const uint32_t from = p->graph.from[at][j];
        if (from != UINT32_MAX)
            p->output_needed[from] = true;
        else
            need_root(p, at, j);
    }
    return HT_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static ht_status find_needed(planner *p, ht_error *err)
{
    const size_t n = p->pipeline->n_nodes;
    for (size_t i = n; i-- > 0;) {
        const uint32_t at = p->graph.order[i];
        bool needed = false;
        for (uint32_t o = p->graph.first_output[at]; o < p->graph.first_output[at + 1]; o++)
            needed |= p->output_needed[o];
        if (needed) HT_TRY(need_node(p, at, err));
    }
    if (p->n_missing == 0) return HT_OK;
    hti_buffer list;
    hti_buffer_init(&list);
    qsort(p->missing, p->n_missing, sizeof *p->missing, by_name);
    for (size_t i = 0; i < p->n_missing; i++) hti_buffer_printf(&list, "%s%s", i ? ", " : "", p->missing[i]);
    const ht_status status = HT_FAIL(err, INVALID, "pipeline '%s': missing input%s: %.700s", p->pipeline->name,
                                     p->n_missing > 1 ? "s" : "", hti_buffer_view(&list).data);
    hti_buffer_deinit(&list);
    return status;
}

/* ---- places ---- */

static ht_status place_inputs(planner *p, ht_error *err)
{
    ht_plan *plan = p->plan;
    const hti_plan_request *r = p->request;
    plan->inputs = HTI_ARENA_ARRAY(&plan->arena, const char *, r->n_given);
    plan->input_at = HTI_ARENA_ARRAY(&plan->arena, uint32_t, r->n_given);
    if (!plan->inputs || !plan->input_at) return HTI_NO_MEMORY(err);
    for (size_t g = 0; g < r->n_given; g++) {
        if (!p->given_used[g]) continue;
        const bool mapped = r->mapped && r->mapped[g];
        const char *name = hti_arena_text(&plan->arena, hti_text_of(r->given[g]));
        if (!name) return HTI_NO_MEMORY(err);
        plan->inputs[plan->n_inputs] = name;
        plan->input_at[plan->n_inputs++] = mapped ? (uint32_t)plan->n_own++ : (uint32_t)plan->n_shared++ | HTI_SHARED;
    }
    return HT_OK;
}

static ht_status place_constant(planner *p, ht_value value, uint32_t *at, ht_error *err)
{
    ht_plan *plan = p->plan;
    HT_TRY(hti_reserve(&plan->constants, &p->cap_constants, plan->n_constants + 1, sizeof(ht_value), err));
    plan->constants[plan->n_constants++] = ht_value_retain(value);
    *at = (uint32_t)plan->n_shared++ | HTI_SHARED;
    return HT_OK;
}

static ht_status place_of(planner *p, uint32_t node, size_t input, uint32_t *at, ht_error *err)
{
    const uint32_t from = p->graph.from[node][input];
    const hti_port *port = &p->pipeline->nodes[node]->inputs[input];
    if (from != UINT32_MAX) {
        *at = p->own_at[from];
        return HT_OK;
    }
    if (p->given_of[root_number(&p->graph, port->name)] != UINT32_MAX) {
        size_t i = 0;
        while (strcmp(p->plan->inputs[i], port->name) != 0) i++;
        *at = p->plan->input_at[i];
        return HT_OK;
    }
    const ht_value *bound = hti_pipeline_bound(p->pipeline, port->name);
    return place_constant(p, bound ? *bound : port->otherwise, at, err);
}

/* Which of the step's inputs and outputs are the child's. */
static ht_status link_child(ht_plan *plan, hti_step *step, ht_error *err)
{
    const hti_node *node = step->node;
    const ht_plan *child = step->child;
    step->child_in = HTI_ARENA_ARRAY(&plan->arena, uint32_t, child->n_inputs);
    step->child_out = HTI_ARENA_ARRAY(&plan->arena, uint32_t, node->n_outputs);
    if (!step->child_in || !step->child_out) return HTI_NO_MEMORY(err);
    for (size_t c = 0; c < child->n_inputs; c++)
        for (size_t i = 0; i < node->n_inputs; i++)
            if (!strcmp(child->inputs[c], node->inner_inputs[i])) step->child_in[c] = (uint32_t)i;
    for (size_t o = 0; o < node->n_outputs; o++) {
        step->child_out[o] = UINT32_MAX;
        for (size_t c = 0; c < child->n_outputs; c++)
            if (!strcmp(child->outputs[c], node->inner_outputs[o])) step->child_out[o] = (uint32_t)c;
    }
    return HT_OK;
}

bool hti_step_may_park(const hti_step *step, bool plain)
{
    const ht_forms *forms = &step->node->forms;
    const bool awaits = forms->body && !(plain && forms->row);
    if (step->child) return step->child->may_park && !step->node->has_own;
    return !step->node->chosen.whole && (hti_gathers(forms) || forms->start || awaits);
}

static ht_status make_step(planner *p, uint32_t at, ht_error *err)
{
    ht_plan *plan = p->plan;
    hti_step *step = &plan->steps[plan->n_steps++];
    hti_node *node = p->pipeline->nodes[at];
    hti_node_retain(node);
    *step = (hti_step){.node = node, .child = p->children[at]};
    p->children[at] = NULL;
    step->in = HTI_ARENA_ARRAY(&plan->arena, uint32_t, node->n_inputs);
    if (!step->in) return HTI_NO_MEMORY(err);
    for (size_t j = 0; j < node->n_inputs; j++) {
        step->in[j] = UINT32_MAX; /* a pruned pipeline does not need it: never read */
        if (p->input_needed[at][j]) HT_TRY(place_of(p, at, j, &step->in[j], err));
    }
    step->first_out = (uint32_t)plan->n_own;
    for (size_t o = 0; o < node->n_outputs; o++) p->own_at[p->graph.first_output[at] + o] = (uint32_t)plan->n_own++;
    if (step->child) HT_TRY(link_child(plan, step, err));
    step->may_park = hti_step_may_park(step, p->request->plain);
    plan->may_park |= step->may_park;
    return HT_OK;
}

static ht_status place_outputs(planner *p, ht_error *err)
{
    ht_plan *plan = p->plan;
    plan->outputs = HTI_ARENA_ARRAY(&plan->arena, const char *, p->graph.outputs.n);
    plan->output_at = HTI_ARENA_ARRAY(&plan->arena, uint32_t, p->graph.outputs.n);
    bool *asked = HTI_ARENA_ARRAY(&p->scratch, bool, p->graph.outputs.n);
    if (!plan->outputs || !plan->output_at || !asked) return HTI_NO_MEMORY(err);
    memset(asked, p->request->outputs == NULL, p->graph.outputs.n);
    for (size_t i = 0; p->request->outputs && i < p->request->n_outputs; i++)
        asked[hti_map_get(&p->graph.outputs, hti_text_of(p->request->outputs[i]), 0)] = true;
    for (size_t i = 0; i < p->pipeline->n_nodes; i++) {
        const uint32_t at = p->graph.order[i], first = p->graph.first_output[at];
        for (uint32_t o = first; p->node_needed[at] && o < p->graph.first_output[at + 1]; o++) {
            if (!asked[o]) continue;
            plan->outputs[plan->n_outputs] = p->pipeline->nodes[at]->outputs[o - first];
            plan->output_at[plan->n_outputs++] = p->own_at[o];
        }
    }
    return HT_OK;
}

/* Whether all that a step does is one call that ends later. */
static bool only_starts(const hti_step *step)
{
    const hti_node *node = step->node;
    if (step->child || !node->forms.start || node->forms.max_retries || node->chosen.whole) return false;
    return node->kind != HTI_NODE_METHOD || !hti_instance_class(node->instance)->use_process;
}

static bool reads_any(const hti_step *step, uint32_t first, uint32_t end)
{
    for (size_t j = 0; j < step->node->n_inputs; j++)
        if (!(step->in[j] & HTI_SHARED) && step->in[j] >= first && step->in[j] < end) return true;
    return false;
}

/* Calls that end later and stand one behind the other, none of which reads another's outputs. */
void hti_plan_join_starts(ht_plan *plan)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        hti_step *step = &plan->steps[s];
        step->n_together = 1;
        uint32_t end = step->first_out + (uint32_t)step->node->n_outputs;
        for (size_t t = s + 1; only_starts(step) && t < plan->n_steps; t++) {
            const hti_step *next = &plan->steps[t];
            if (!only_starts(next) || reads_any(next, step->first_out, end)) break;
            end = next->first_out + (uint32_t)next->node->n_outputs;
            step->n_together++;
        }
    }
}

/* For each own place the last step that reads it, or makes it and nobody reads it: there it is dropped. */
ht_status hti_plan_place_drops(ht_plan *plan, ht_error *err)
{
    bool *kept = HTI_NEW_ARRAY(bool, plan->n_own);
    uint32_t *found = HTI_NEW_ARRAY(uint32_t, plan->n_own);
    ht_status status = kept && found ? HT_OK : HTI_NO_MEMORY(err);
    if (kept) memset(kept, 0, plan->n_own);
    for (size_t i = 0; kept && i < plan->n_outputs; i++) kept[plan->output_at[i]] = true;
    for (size_t s = plan->n_steps; status == HT_OK && s-- > 0;) {
        hti_step *step = &plan->steps[s];
        size_t n = 0;
        for (size_t j = 0; j < step->node->n_inputs; j++) {
            if (step->in[j] & HTI_SHARED || kept[step->in[j]]) continue; /* UINT32_MAX has the bit too */
            kept[step->in[j]] = true;
            found[n++] = step->in[j];
        }
        for (uint32_t o = 0; o < step->node->n_outputs; o++) {
            if (kept[step->first_out + o]) continue;
            kept[step->first_out + o] = true;
            found[n++] = step->first_out + o;
        }
        step->drop = HTI_ARENA_ARRAY(&plan->arena, uint32_t, n);
        if (step->drop && n) memcpy(step->drop, found, n * sizeof *found);
        step->n_drop = step->drop ? n : 0;
        if (!step->drop) status = HTI_NO_MEMORY(err);
    }
    hti_free(kept);
    hti_free(found);
    return status;
}

/* ---- all of it ---- */

static ht_status prepare(planner *p, ht_error *err)
{
    const size_t n_nodes = p->pipeline->n_nodes, n_outputs = p->graph.outputs.n;
    hti_arena *a = &p->scratch;
    p->output_needed = HTI_ARENA_ARRAY(a, bool, n_outputs);
    p->given_used = HTI_ARENA_ARRAY(a, bool, p->request->n_given);
    p->given_of = HTI_ARENA_ARRAY(a, uint32_t, p->graph.n_roots);
    p->children = HTI_ARENA_ARRAY(a, ht_plan *, n_nodes);
    p->node_needed = HTI_ARENA_ARRAY(a, bool, n_nodes);
    p->input_needed = HTI_ARENA_ARRAY(a, bool *, n_nodes);
    p->missing = HTI_ARENA_ARRAY(a, const char *, p->graph.n_roots);
    p->own_at = HTI_ARENA_ARRAY(a, uint32_t, n_outputs);
    if (!p->children) return HTI_NO_MEMORY(err);
    memset(p->children, 0, n_nodes * sizeof(ht_plan *)); /* read on every way out */
    if (!p->output_needed || !p->given_used || !p->given_of || !p->node_needed || !p->input_needed || !p->missing ||
        !p->own_at)
        return HTI_NO_MEMORY(err);
    memset(p->output_needed, 0, n_outputs);
    memset(p->node_needed, 0, n_nodes);
    return HT_OK;
}

static ht_status fill_plan(planner *p, ht_error *err)
{
    ht_plan *plan = p->plan;
    HT_TRY(prepare(p, err));
    HT_TRY(check_given(p, err));
    HT_TRY(mark_requested(p, err));
    HT_TRY(find_needed(p, err));
    HT_TRY(place_inputs(p, err));
    plan->steps = HTI_ARENA_ARRAY(&plan->arena, hti_step, p->n_needed);
    if (!plan->steps) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < p->pipeline->n_nodes; i++)
        if (p->node_needed[p->graph.order[i]]) HT_TRY(make_step(p, p->graph.order[i], err));
    HT_TRY(place_outputs(p, err));
    hti_plan_join_starts(plan);
    return hti_plan_place_drops(plan, err);
}

ht_plan *hti_plan_new(const char *pipeline)
{
    ht_plan *plan = HTI_NEW(ht_plan);
    if (!plan) return NULL;
    plan->n_refs = 1;
    hti_arena_init(&plan->arena);
    plan->pipeline = hti_arena_text(&plan->arena, hti_text_of(pipeline));
    if (plan->pipeline) return plan;
    ht_plan_release(plan);
    return NULL;
}

ht_status hti_plan_make(const ht_pipeline *pipeline, const hti_plan_request *request, ht_plan **out, ht_error *err)
{
    planner p = {.pipeline = pipeline, .request = request, .plan = hti_plan_new(pipeline->name)};
    *out = NULL;
    if (!p.plan) return HTI_NO_MEMORY(err);
    hti_arena_init(&p.scratch);
    ht_status status = hti_graph_make(pipeline, &p.scratch, &p.graph, err);
    if (status == HT_OK) {
        status = fill_plan(&p, err);
        for (size_t i = 0; p.children && i < pipeline->n_nodes; i++) ht_plan_release(p.children[i]);
        hti_graph_deinit(&p.graph);
    }
    hti_arena_deinit(&p.scratch);
    if (status == HT_OK)
        *out = p.plan;
    else
        ht_plan_release(p.plan);
    return status;
}

void hti_plan_retain(ht_plan *plan) { (void)__atomic_add_fetch(&plan->n_refs, 1, __ATOMIC_RELAXED); }

void ht_plan_release(ht_plan *plan)
{
    if (!plan || __atomic_sub_fetch(&plan->n_refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (size_t i = 0; i < plan->n_steps; i++) {
        ht_plan_release(plan->steps[i].child);
        hti_node_release(plan->steps[i].node);
    }
    hti_values_release(plan->constants, plan->n_constants);
    hti_free(plan->constants);
    hti_arena_deinit(&plan->arena);
    hti_free(plan);
}

/* Depth is bounded by HTI_MAX_NESTING. */
uint32_t hti_plan_number(ht_plan *plan, uint32_t next)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        plan->steps[i].order = next++;
        if (plan->steps[i].child) next = hti_plan_number(plan->steps[i].child, next);
    }
    return next;
}

size_t hti_plan_count(const ht_plan *plan)
{
    size_t n = plan->n_steps;
    for (size_t i = 0; i < plan->n_steps; i++) n += plan->steps[i].child ? hti_plan_count(plan->steps[i].child) : 0;
    return n;
}

ht_status hti_plan_make_root(const ht_pipeline *pipeline, const hti_plan_request *request, ht_plan **out, ht_error *err)
{
    HT_TRY(hti_plan_make(pipeline, request, out, err));
    (void)hti_plan_number(*out, 0);
    return HT_OK;
}

ht_status ht_plan_new(const ht_pipeline *pipeline, const char *const *outputs, size_t n_outputs,
                      const char *const *given, size_t n_given, ht_plan **out, ht_error *err)
{
    const hti_plan_request request = {n_outputs ? outputs : NULL, n_outputs, given, NULL, n_given, 0, false};
    return hti_plan_make_root(pipeline, &request, out, err);
}
