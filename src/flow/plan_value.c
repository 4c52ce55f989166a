/*
 * plan_value.c - a plan as a value, for JSON and for other processes, and back (docs/formats/plans.md).
 *
 * Steps stand in their order and say what they read by name: an input of the plan, an output of an earlier step, or a
 * value of their own. Reading gives places again in one walk; it trusts nothing, since a plan may come from a file.
 * What is code is named: node types and classes, looked up in a registry.
 */
#include "fields.h"
#include "registry_int.h"

/* ---- writing ---- */

ht_status hti_names_value(const char *const *names, size_t n, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    for (; status == HT_OK && made < n; made++) status = ht_value_string(hti_text_of(names[made]), &items[made], err);
    if (status == HT_OK)
        status = ht_value_list_take(items, n, out, err);
    else if (items)
        hti_values_release(items, made);
    hti_free(items);
    return status;
}

static void add_names(hti_fields *f, const char *name, const char *const *names, size_t n)
{
    ht_value list = ht_value_null();
    if (f->status == HT_OK) f->status = hti_names_value(names, n, &list, f->err);
    hti_fields_take(f, name, list);
}

static bool is_constant(const ht_plan *plan, uint32_t place)
{
    return place & HTI_SHARED && (place & ~HTI_SHARED) >= plan->n_shared - plan->n_constants;
}

/* Whether a run of the step reads input i: a nested plan may not need all that its node has. */
static bool reads(const hti_step *step, size_t i) { return step->in[i] != UINT32_MAX; }

/* Values that the step has of its own, by input: defaults and what is bound. */
static ht_status own_values(const ht_plan *plan, const hti_step *step, ht_value *out, ht_error *err)
{
    const char *names[HTI_MAX_INPUTS];
    ht_value values[HTI_MAX_INPUTS];
    size_t n = 0;
    for (size_t i = 0; i < step->node->n_inputs; i++) {
        if (!reads(step, i) || !is_constant(plan, step->in[i])) continue;
        names[n] = step->node->inputs[i].name;
        values[n++] = plan->constants[(step->in[i] & ~HTI_SHARED) - (plan->n_shared - plan->n_constants)];
    }
    return n ? ht_value_struct(names, values, n, out, err) : HT_OK;
}

static ht_status method_value(const hti_node *node, hti_fields *f)
{
    ht_value instance = ht_value_null();
    if (f->status == HT_OK) f->status = ht_instance_value(node->instance, &instance, f->err);
    hti_fields_take(f, "instance", instance);
    char name[HTI_METHOD_NAME];
    hti_method_name(node->chosen.method->name, node->chosen.whole, name);
    hti_fields_text(f, "method", name);
    return f->status;
}

static ht_status child_value(const hti_step *step, hti_fields *f)
{
    const hti_node *node = step->node;
    const char *names[HTI_MAX_INPUTS];
    ht_value inner = ht_value_null();
    size_t n = 0;
    for (size_t i = 0; i < node->n_inputs; i++)
        if (reads(step, i)) names[n++] = node->inner_inputs[i];
    add_names(f, "inner_inputs", names, n);
    n = 0;
    for (size_t o = 0; o < node->n_outputs; o++)
        if (step->child_out[o] != UINT32_MAX) names[n++] = node->inner_outputs[o];
    add_names(f, "inner_outputs", names, n);
    for (n = 0; n < node->n_map_over; n++) names[n] = node->inputs[node->map_over[n]].name;
    if (n) {
        add_names(f, "map_over", names, n);
        hti_fields_text(f, "map_mode", node->map_mode == HT_MAP_ZIP ? "zip" : "product");
    }
    if (f->status == HT_OK) f->status = hti_plan_value(step->child, &inner, f->err);
    hti_fields_take(f, "plan", inner);
    return f->status;
}

static ht_status step_value(const ht_plan *plan, const hti_step *step, ht_value *out, ht_error *err)
{
    const hti_node *node = step->node;
    const char *names[HTI_MAX_INPUTS > HTI_MAX_OUTPUTS ? HTI_MAX_INPUTS : HTI_MAX_OUTPUTS];
    ht_value own = ht_value_null();
    hti_fields f = {.err = err};
    size_t n = 0;
    hti_fields_take(&f, "step", ht_value_int(step->order));
    hti_fields_text(&f, "name", node->name);
    hti_fields_text(&f, "form", hti_step_form(step));
    if (node->code.kind != HT_KIND_NULL)
        hti_fields_take(&f, "code", ht_value_retain(node->code));
    else if (node->kind == HTI_NODE_FUNCTION)
        hti_fields_text(&f, "type", node->type);
    if (node->kind == HTI_NODE_METHOD) (void)method_value(node, &f);
    for (size_t i = 0; i < node->n_inputs; i++)
        if (reads(step, i)) names[n++] = node->inputs[i].name;
    add_names(&f, "inputs", names, n);
    n = 0;
    for (size_t o = 0; o < node->n_outputs; o++)
        if (!step->child || step->child_out[o] != UINT32_MAX) names[n++] = node->outputs[o];
    add_names(&f, "outputs", names, n);
    if (f.status == HT_OK) f.status = own_values(plan, step, &own, err);
    if (own.kind != HT_KIND_NULL) hti_fields_take(&f, "values", own);
    if (step->child) (void)child_value(step, &f);
    return hti_fields_end(&f, out);
}

static ht_status steps_value(const ht_plan *plan, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, plan->n_steps);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    for (; status == HT_OK && made < plan->n_steps; made++) {
        items[made] = ht_value_null();
        status = step_value(plan, &plan->steps[made], &items[made], err);
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, made, out, err);
    else if (items)
        hti_values_release(items, made);
    hti_free(items);
    return status;
}

/* Depth is bounded by HTI_MAX_NESTING. */
ht_status hti_plan_value(const ht_plan *plan, ht_value *out, ht_error *err)
{
    ht_value steps = ht_value_null();
    const char **mapped = HTI_NEW_ARRAY(const char *, plan->n_inputs);
    hti_fields f = {.err = err};
    size_t n = 0;
    if (!mapped) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_inputs; i++)
        if (!(plan->input_at[i] & HTI_SHARED)) mapped[n++] = plan->inputs[i];
    hti_fields_text(&f, "pipeline", plan->pipeline);
    add_names(&f, "inputs", plan->inputs, plan->n_inputs);
    if (n) add_names(&f, "mapped", mapped, n);
    add_names(&f, "outputs", plan->outputs, plan->n_outputs);
    hti_free(mapped);
    if (f.status == HT_OK) f.status = steps_value(plan, &steps, err);
    hti_fields_take(&f, "steps", steps);
    return hti_fields_end(&f, out);
}

/* ---- reading ---- */

typedef struct reader {
    ht_registry *registry;
    ht_plan *plan;
    hti_map made; /* name of an output -> own place */
    size_t cap_constants;
    bool plain; /* bodies with a row form never await */
} reader;

static ht_status read_plan(ht_registry *registry, ht_value value, bool plain, uint32_t depth, ht_plan **out,
                           ht_error *err);

/* A field that is a list of strings; absent is an empty one where allowed. */
static ht_status get_names(ht_value value, const char *name, bool optional, hti_arena *arena, const char ***out,
                           size_t *n, ht_error *err)
{
    ht_value list;
    *n = 0;
    if (!ht_value_field(value, name, &list)) {
        if (optional) return HT_OK;
        return HT_FAIL(err, PARSE, "'%s' is missing", name);
    }
    const ht_value *items = ht_value_items(list, n);
    *out = HTI_ARENA_ARRAY(arena, const char *, *n);
    if (!*out) return HTI_NO_MEMORY(err);
    bool strings = list.kind == HT_KIND_LIST;
    for (size_t i = 0; strings && i < *n; i++) strings = items[i].kind == HT_KIND_STRING;
    if (!strings) return HT_FAIL(err, PARSE, "'%s' is not a list of names", name);
    for (size_t i = 0; i < *n; i++) {
        (*out)[i] = hti_arena_text(arena, ht_value_text(items[i]));
        if (!(*out)[i]) return HTI_NO_MEMORY(err);
    }
    return HT_OK;
}

static ht_status get_text(ht_value value, const char *name, const char **out, ht_error *err)
{
    ht_value field;
    if (!ht_value_field(value, name, &field) || field.kind != HT_KIND_STRING)
        return HT_FAIL(err, PARSE, "'%s' is missing or not a string", name);
    *out = ht_value_text(field).data;
    return HT_OK;
}

static size_t find_name(const char *const *names, size_t n, const char *name)
{
    size_t at = 0;
    while (at < n && strcmp(names[at], name) != 0) at++;
    return at;
}

/* What a step says of itself; lists live in the plan's arena. */
typedef struct step_text {
    const char *name;
    const char **inputs, **outputs;
    size_t n_inputs, n_outputs;
} step_text;

/* A node made by a pipeline of it alone. */
static ht_status steal_node(const ht_pipeline *of, hti_node **out)
{
    *out = of->nodes[0];
    hti_node_retain(*out);
    return HT_OK;
}

/* What the face makes of a node's code. */
static ht_status read_code(ht_value code, const step_text *text, ht_pipeline *scratch, ht_error *err)
{
    ht_input inputs[HTI_MAX_INPUTS];
    ht_node_desc desc = {HT_DESC(ht_node_desc),
                         .name = text->name,
                         .inputs = inputs,
                         .code = code,
                         .n_inputs = text->n_inputs,
                         .outputs = text->outputs,
                         .n_outputs = text->n_outputs};
    const ht_face *face = hti_face();
    if (!face) return HT_FAIL(err, NOT_FOUND, "node '%s' is of another language than this process knows", text->name);
    for (size_t i = 0; i < text->n_inputs; i++) inputs[i] = (ht_input){text->inputs[i], NULL};
    HT_TRY(face->node(face->ud, code, &desc, err));
    return ht_pipeline_add_node(scratch, &desc, err);
}

static ht_status read_function(reader *r, ht_value value, const step_text *text, ht_pipeline *scratch, ht_error *err)
{
    const char *type;
    ht_value code;
    ht_input inputs[HTI_MAX_INPUTS];
    if (ht_value_field(value, "code", &code)) return read_code(code, text, scratch, err);
    HT_TRY(get_text(value, "type", &type, err));
    const ht_node_desc *desc = r->registry ? ht_registry_node(r->registry, type) : NULL;
    if (!desc && r->registry) return hti_registry_unknown(&r->registry->nodes, "no node type", type, err);
    if (!desc) return HT_FAIL(err, NOT_FOUND, "no node type '%s': there is no registry", type);
    if (desc->n_inputs != text->n_inputs || desc->n_outputs != text->n_outputs)
        return HT_FAIL(err, PARSE, "type '%s' has %zu inputs and %zu outputs, not %zu and %zu", type, desc->n_inputs,
                       desc->n_outputs, text->n_inputs, text->n_outputs);
    for (size_t i = 0; i < desc->n_inputs; i++) inputs[i] = (ht_input){text->inputs[i], NULL};
    ht_node_desc named = *desc;
    named.type = type;
    named.name = text->name;
    named.inputs = inputs;
    named.outputs = text->outputs;
    return ht_pipeline_add_node(scratch, &named, err);
}

static ht_status read_method(ht_value value, const step_text *text, ht_pipeline *scratch, ht_error *err)
{
    const char *method;
    hti_chosen chosen;
    ht_value instance;
    ht_input inputs[HTI_MAX_INPUTS];
    HT_TRY(get_text(value, "method", &method, err));
    (void)ht_value_field(value, "instance", &instance);
    ht_instance *object = ht_value_instance(instance);
    if (!object) return HT_FAIL(err, PARSE, "'instance' is a %s", ht_kind_name(instance.kind));
    HT_TRY(hti_instance_method(object, method, &chosen, err));
    const ht_method *found = chosen.method;
    if (found->n_inputs != text->n_inputs || text->n_outputs != 1)
        return HT_FAIL(err, PARSE, "method '%s' has %zu inputs and one output, not %zu and %zu", method,
                       found->n_inputs, text->n_inputs, text->n_outputs);
    for (size_t i = 0; i < found->n_inputs; i++) inputs[i] = (ht_input){text->inputs[i], NULL};
    return ht_pipeline_add_method(scratch, text->name, object, method, inputs, text->outputs[0], err);
}

/* ---- a nested plan ---- */

static ht_status link_inputs(reader *r, hti_step *step, const char *const *inner, size_t n, ht_error *err)
{
    const ht_plan *child = step->child;
    if (n != step->node->n_inputs || child->n_inputs != n)
        return HT_FAIL(err, PARSE, "'inner_inputs' and the inner plan's inputs are not those of the step");
    step->child_in = HTI_ARENA_ARRAY(&r->plan->arena, uint32_t, n);
    if (!step->child_in) return HTI_NO_MEMORY(err);
    for (size_t c = 0; c < n; c++) {
        const size_t at = find_name(inner, n, child->inputs[c]);
        if (at == n) return HT_FAIL(err, PARSE, "the inner plan's input '%s' comes from nowhere", child->inputs[c]);
        step->child_in[c] = (uint32_t)at;
    }
    return HT_OK;
}

static ht_status link_outputs(reader *r, hti_step *step, const char *const *inner, size_t n, ht_error *err)
{
    const ht_plan *child = step->child;
    if (n != step->node->n_outputs) return HT_FAIL(err, PARSE, "'inner_outputs' are not as many as 'outputs'");
    step->child_out = HTI_ARENA_ARRAY(&r->plan->arena, uint32_t, n);
    if (!step->child_out) return HTI_NO_MEMORY(err);
    for (size_t o = 0; o < n; o++) {
        const size_t at = find_name(child->outputs, child->n_outputs, inner[o]);
        if (at == child->n_outputs) return HT_FAIL(err, PARSE, "the inner plan has no output '%s'", inner[o]);
        for (size_t i = 0; i < o; i++)
            if (step->child_out[i] == at) return HT_FAIL(err, PARSE, "the inner output '%s' stands twice", inner[o]);
        step->child_out[o] = (uint32_t)at;
    }
    return HT_OK;
}

/* map_over of the step must be just what the inner plan has as mapped. */
static ht_status link_map(reader *r, ht_value value, hti_step *step, ht_error *err)
{
    hti_node *node = step->node;
    const char **over = NULL, *mode = "zip";
    HT_TRY(get_names(value, "map_over", true, &r->plan->arena, &over, &node->n_map_over, err));
    node->map_over = HTI_ARENA_ARRAY(&node->arena, uint32_t, node->n_map_over);
    if (!node->map_over) return HTI_NO_MEMORY(err);
    if (node->n_map_over) HT_TRY(get_text(value, "map_mode", &mode, err));
    if (strcmp(mode, "zip") != 0 && strcmp(mode, "product") != 0)
        return HT_FAIL(err, PARSE, "'map_mode' is zip or product, not '%.60s'", mode);
    node->map_mode = strcmp(mode, "zip") != 0 ? HT_MAP_PRODUCT : HT_MAP_ZIP;
    bool mapped[HTI_MAX_INPUTS] = {false};
    for (size_t m = 0; m < node->n_map_over; m++) {
        size_t at = 0;
        while (at < node->n_inputs && strcmp(node->inputs[at].name, over[m]) != 0) at++;
        if (at == node->n_inputs || mapped[at])
            return HT_FAIL(err, PARSE, "'map_over' names '%.100s', which is no input or stands twice", over[m]);
        mapped[at] = true;
        node->map_over[m] = (uint32_t)at;
    }
    for (size_t c = 0; c < step->child->n_inputs; c++)
        if (mapped[step->child_in[c]] == ((step->child->input_at[c] & HTI_SHARED) != 0))
            return HT_FAIL(err, PARSE, "'map_over' and what the inner plan maps differ in '%s'",
                           step->child->inputs[c]);
    return HT_OK;
}

static ht_status read_child(reader *r, ht_value value, const step_text *text, uint32_t depth, hti_step *step,
                            ht_error *err)
{
    const char **inner_inputs = NULL, **inner_outputs = NULL;
    size_t n_inputs, n_outputs;
    ht_value inner;
    hti_node *node = hti_node_new(HTI_NODE_PIPELINE, text->name, text->n_inputs, text->n_outputs);
    if (!node) return HTI_NO_MEMORY(err);
    step->node = node;
    for (size_t i = 0; i < text->n_inputs; i++) HT_TRY(hti_node_add_input(node, text->inputs[i], NULL, err));
    for (size_t o = 0; o < text->n_outputs; o++) HT_TRY(hti_node_add_output(node, text->outputs[o], err));
    HT_TRY(get_names(value, "inner_inputs", false, &node->arena, &inner_inputs, &n_inputs, err));
    HT_TRY(get_names(value, "inner_outputs", false, &node->arena, &inner_outputs, &n_outputs, err));
    node->inner_inputs = inner_inputs;
    node->inner_outputs = inner_outputs;
    (void)ht_value_field(value, "plan", &inner);
    HT_TRY(read_plan(r->registry, inner, r->plain, depth + 1, &step->child, err));
    HT_TRY(link_inputs(r, step, inner_inputs, n_inputs, err));
    HT_TRY(link_outputs(r, step, inner_outputs, n_outputs, err));
    return link_map(r, value, step, err);
}

/* ---- a step ---- */

static ht_status read_node(reader *r, ht_value value, const step_text *text, hti_step *step, ht_error *err)
{
    ht_value ignored;
    ht_pipeline *scratch;
    HT_TRY(ht_pipeline_new(NULL, &scratch, err));
    ht_status status = ht_value_field(value, "instance", &ignored) ? read_method(value, text, scratch, err)
                                                                   : read_function(r, value, text, scratch, err);
    if (status == HT_OK) status = steal_node(scratch, &step->node);
    ht_pipeline_release(scratch);
    return status;
}

/* The place of what a step reads: made before, given, or its own value. */
static ht_status place_input(reader *r, const char *name, ht_value own, uint32_t *at, ht_error *err)
{
    ht_plan *plan = r->plan;
    ht_value constant;
    if (ht_value_field(own, name, &constant)) {
        HT_TRY(hti_reserve(&plan->constants, &r->cap_constants, plan->n_constants + 1, sizeof(ht_value), err));
        plan->constants[plan->n_constants++] = ht_value_retain(constant);
        *at = (uint32_t)plan->n_shared++ | HTI_SHARED;
        return HT_OK;
    }
    const size_t given = find_name(plan->inputs, plan->n_inputs, name);
    *at = given < plan->n_inputs ? plan->input_at[given] : hti_map_get(&r->made, hti_text_of(name), UINT32_MAX);
    return *at != UINT32_MAX ? HT_OK : HT_FAIL(err, PARSE, "input '%.100s' comes from nowhere", name);
}

static ht_status place_step(reader *r, ht_value value, hti_step *step, ht_error *err)
{
    ht_plan *plan = r->plan;
    const hti_node *node = step->node;
    ht_value own = ht_value_null();
    (void)ht_value_field(value, "values", &own);
    step->in = HTI_ARENA_ARRAY(&plan->arena, uint32_t, node->n_inputs);
    if (!step->in) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < node->n_inputs; i++) HT_TRY(place_input(r, node->inputs[i].name, own, &step->in[i], err));
    step->first_out = (uint32_t)plan->n_own;
    for (size_t o = 0; o < node->n_outputs; o++) {
        bool inserted;
        uint32_t entry;
        const char *name = node->outputs[o];
        if (find_name(plan->inputs, plan->n_inputs, name) < plan->n_inputs)
            return HT_FAIL(err, PARSE, "output '%.100s' is an input too", name);
        HT_TRY(hti_map_put(&r->made, hti_text_of(name), (uint32_t)plan->n_own++, &entry, &inserted, err));
        if (!inserted) return HT_FAIL(err, PARSE, "output '%.100s' stands twice", name);
    }
    step->may_park = hti_step_may_park(step, r->plain);
    plan->may_park |= step->may_park;
    return HT_OK;
}

static ht_status read_step(reader *r, ht_value value, uint32_t depth, ht_error *err)
{
    hti_step *step = &r->plan->steps[r->plan->n_steps++];
    hti_arena *arena = &r->plan->arena;
    step_text text = {0};
    ht_value ignored;
    *step = (hti_step){0};
    HT_TRY(get_text(value, "name", &text.name, err));
    HT_TRY(get_names(value, "inputs", false, arena, &text.inputs, &text.n_inputs, err));
    HT_TRY(get_names(value, "outputs", false, arena, &text.outputs, &text.n_outputs, err));
    if (text.n_inputs > HTI_MAX_INPUTS || text.n_outputs > HTI_MAX_OUTPUTS || text.n_outputs == 0)
        return HT_FAIL(err, LIMIT, "%zu inputs and %zu outputs", text.n_inputs, text.n_outputs);
    HT_TRY(ht_value_field(value, "plan", &ignored) ? read_child(r, value, &text, depth, step, err)
                                                   : read_node(r, value, &text, step, err));
    return place_step(r, value, step, err);
}

/* ---- a plan ---- */

static ht_status read_inputs(reader *r, ht_value value, ht_error *err)
{
    ht_plan *plan = r->plan;
    const char **mapped = NULL;
    size_t n_mapped, n_found = 0;
    HT_TRY(get_names(value, "inputs", false, &plan->arena, &plan->inputs, &plan->n_inputs, err));
    HT_TRY(get_names(value, "mapped", true, &plan->arena, &mapped, &n_mapped, err));
    plan->input_at = HTI_ARENA_ARRAY(&plan->arena, uint32_t, plan->n_inputs);
    if (!plan->input_at) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_inputs; i++) {
        const bool is_mapped = find_name(mapped, n_mapped, plan->inputs[i]) < n_mapped;
        if (find_name(plan->inputs, i, plan->inputs[i]) < i)
            return HT_FAIL(err, PARSE, "input '%.100s' stands twice", plan->inputs[i]);
        n_found += is_mapped;
        plan->input_at[i] = is_mapped ? (uint32_t)plan->n_own++ : (uint32_t)plan->n_shared++ | HTI_SHARED;
    }
    return n_found == n_mapped ? HT_OK : HT_FAIL(err, PARSE, "'mapped' names what is no input");
}

static ht_status read_outputs(reader *r, ht_value value, ht_error *err)
{
    ht_plan *plan = r->plan;
    HT_TRY(get_names(value, "outputs", false, &plan->arena, &plan->outputs, &plan->n_outputs, err));
    plan->output_at = HTI_ARENA_ARRAY(&plan->arena, uint32_t, plan->n_outputs);
    if (!plan->output_at) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_outputs; i++) {
        plan->output_at[i] = hti_map_get(&r->made, hti_text_of(plan->outputs[i]), UINT32_MAX);
        if (plan->output_at[i] == UINT32_MAX || find_name(plan->outputs, i, plan->outputs[i]) < i)
            return HT_FAIL(err, PARSE, "output '%.100s' is made by no step or stands twice", plan->outputs[i]);
    }
    return HT_OK;
}

static ht_status read_steps(reader *r, ht_value value, uint32_t depth, ht_error *err)
{
    ht_value list;
    size_t n = 0;
    const ht_value *items = ht_value_field(value, "steps", &list) ? ht_value_items(list, &n) : NULL;
    if (!items) return HT_FAIL(err, PARSE, "'steps' is missing or not a list");
    r->plan->steps = HTI_ARENA_ARRAY(&r->plan->arena, hti_step, n);
    if (!r->plan->steps) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) {
        const ht_status status = read_step(r, items[i], depth, err);
        if (status != HT_OK) return hti_fail_context(err, status, "step %zu", i + 1);
    }
    return HT_OK;
}

static ht_status fill_read(reader *r, ht_value value, uint32_t depth, ht_error *err)
{
    HT_TRY(read_inputs(r, value, err));
    HT_TRY(read_steps(r, value, depth, err));
    HT_TRY(read_outputs(r, value, err));
    hti_plan_join_starts(r->plan);
    return hti_plan_place_drops(r->plan, err);
}

static ht_status read_plan(ht_registry *registry, ht_value value, bool plain, uint32_t depth, ht_plan **out,
                           ht_error *err)
{
    const char *name;
    *out = NULL;
    if (value.kind != HT_KIND_STRUCT)
        return HT_FAIL(err, PARSE, "a plan is a struct, not a %s", ht_kind_name(value.kind));
    if (depth > HTI_MAX_NESTING) return HT_FAIL(err, LIMIT, "plans are nested more than %d deep", HTI_MAX_NESTING);
    HT_TRY(get_text(value, "pipeline", &name, err));
    reader r = {.registry = registry, .plan = hti_plan_new(name), .plain = plain};
    if (!r.plan) return HTI_NO_MEMORY(err);
    hti_map_init(&r.made);
    const ht_status status = fill_read(&r, value, depth, err);
    hti_map_deinit(&r.made);
    if (status == HT_OK)
        *out = r.plan;
    else
        ht_plan_release(r.plan);
    return status;
}

ht_status hti_plan_of_value(ht_registry *registry, ht_value value, bool plain, ht_plan **out, ht_error *err)
{
    HT_TRY(read_plan(registry, value, plain, 0, out, err));
    (void)hti_plan_number(*out, 0);
    return HT_OK;
}
