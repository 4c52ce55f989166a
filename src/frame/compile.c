/*
 * compile.c - the operations of a frame as a pipeline over one chunk of its table.
 *
 * Every column that any operation makes is a value of its own, with a name of its own: replacing a column makes a new
 * value, dropping rows makes new values of all. Values are first listed, in an order in which each needs only earlier
 * ones; then those that the frame's columns need become nodes.
 * A call becomes one node over the whole column where its method has a series form and only takes columns where rows
 * differ; else a nested pipeline mapped over the rows, so that the scheduler gathers, starts and retries them.
 */
#include "frame_int.h"

#include <stdio.h>

typedef struct column_value column_value;
typedef struct argument {
    column_value *from; /* NULL: a literal */
    ht_value literal;
} argument;

typedef enum value_kind { FROM_TABLE, BY_STEP, BY_CALL } value_kind;
struct column_value {
    value_kind kind;
    const char *name;
    uint32_t column;     /* of the table */
    hti_step_type step;  /* of BY_STEP */
    const ht_expr *expr; /* of BY_CALL */
    argument *args;      /* [n_args] */
    size_t n_args;
    bool needed, is_read; /* the latter: by a node */
};

typedef struct compiler {
    const hti_table *table;
    hti_compiled *out;
    column_value **values; /* [n_values] in the order of their making */
    size_t n_values, cap_values;
    hti_map taken;       /* names of values -> the last number behind each */
    const char **names;  /* [n_live] columns as they are now */
    column_value **live; /* [n_live] */
    size_t n_live;
} compiler;

/* ---- listing values ---- */

/* "text", "text#2", ...: the smallest number that is free, behind the last one of that text. */
static ht_status unique_name(compiler *c, const char *name, const char **out, ht_error *err)
{
    char text[300];
    uint32_t first, entry;
    bool is_free;
    (void)snprintf(text, sizeof text, "%.200s", name);
    HT_TRY(hti_map_put(&c->taken, hti_name_text(text), 1, &first, &is_free, err));
    while (!is_free) {
        (void)snprintf(text, sizeof text, "%.200s#%u", name, ++c->taken.entries[first].value);
        HT_TRY(hti_map_put(&c->taken, hti_name_text(text), 1, &entry, &is_free, err));
    }
    *out = hti_arena_text(&c->out->arena, hti_name_text(text));
    return *out ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status add_value(compiler *c, value_kind kind, const char *name, size_t n_args, column_value **out,
                           ht_error *err)
{
    column_value *made = hti_arena_alloc(&c->out->arena, sizeof *made);
    *out = NULL;
    if (!made) return HTI_NO_MEMORY(err);
    *made = (column_value){.kind = kind, .n_args = n_args};
    made->args = HTI_ARENA_ARRAY(&c->out->arena, argument, n_args);
    if (!made->args) return HTI_NO_MEMORY(err);
    HT_TRY(unique_name(c, name, &made->name, err));
    HT_TRY(hti_reserve(&c->values, &c->cap_values, c->n_values + 1, sizeof(column_value *), err));
    c->values[c->n_values++] = *out = made;
    return HT_OK;
}

static ht_status add_step(compiler *c, hti_step_type step, const char *name, argument first, argument second,
                          column_value **out, ht_error *err)
{
    const size_t n = hti_frame_step(step)->n_inputs;
    if (n > 1 && first.from && second.from == first.from) /* an input has one name */
        HT_TRY(add_step(c, HTI_STEP_SAME, name, second, first, &second.from, err));
    HT_TRY(add_value(c, BY_STEP, name, n, out, err));
    (*out)->step = step;
    (*out)->args[0] = first;
    if (n > 1) (*out)->args[1] = second;
    return HT_OK;
}

static argument column(column_value *from) { return (argument){from, ht_value_null()}; }
static argument literal(ht_value value) { return (argument){NULL, value}; }

static ht_status spread(compiler *c, const char *name, argument what, column_value **out, ht_error *err)
{
    if (c->n_live == 0) return HT_FAIL(err, INVALID, "a literal needs a column beside it, which says how many rows");
    return add_step(c, HTI_STEP_FILL, name, what, column(c->live[0]), out, err);
}

static ht_status list_expr(compiler *c, const ht_expr *expr, const char *name, column_value **out, ht_error *err);

/* Values of the arguments; a value that stands twice gets a twin, since an input has one name. */
static ht_status list_call(compiler *c, const ht_expr *expr, const char *name, column_value **out, ht_error *err)
{
    argument args[HTI_MAX_INPUTS];
    bool any = false;
    for (size_t i = 0; i < expr->n_args; i++) {
        const ht_expr *arg = expr->args[i];
        args[i] = literal(arg->value);
        if (arg->kind == HTI_EXPR_LIT) continue;
        HT_TRY(list_expr(c, arg, hti_expr_name(arg), &args[i].from, err));
        any = true;
        for (size_t k = 0; k < i; k++)
            if (args[k].from == args[i].from)
                HT_TRY(add_step(c, HTI_STEP_SAME, hti_expr_name(arg), column(args[i].from), literal(ht_value_null()),
                                &args[i].from, err));
    }
    HT_TRY(add_value(c, BY_CALL, any ? name : expr->name, expr->n_args, out, err));
    (*out)->expr = expr;
    memcpy((*out)->args, args, expr->n_args * sizeof *args);
    return any ? HT_OK : spread(c, name, column(*out), out, err);
}

/* Depth is bounded by hti_expr_check. */
static ht_status list_expr(compiler *c, const ht_expr *expr, const char *name, column_value **out, ht_error *err)
{
    switch (expr->kind) {
    case HTI_EXPR_COL: *out = c->live[hti_find_name(c->names, c->n_live, expr->name)]; return HT_OK;
    case HTI_EXPR_LIT: return spread(c, name, literal(expr->value), out, err);
    default: return list_call(c, expr, name, out, err);
    }
}

/* ---- operations ---- */

static ht_status list_columns(compiler *c, const ht_frame *op, ht_error *err)
{
    const bool adds = op->op == HTI_OP_COLUMNS;
    column_value **live = HTI_ARENA_ARRAY(&c->out->arena, column_value *, op->n_names);
    if (!live) return HTI_NO_MEMORY(err);
    for (size_t i = 0; adds && i < c->n_live; i++) live[i] = c->live[i];
    for (size_t i = 0; i < op->n_exprs; i++) {
        const size_t at = hti_find_name(op->names, op->n_names, op->set[i]);
        HT_TRY(list_expr(c, op->exprs[i], op->set[i], &live[at], err));
    }
    c->live = live;
    c->names = op->names;
    c->n_live = op->n_names;
    return HT_OK;
}

static ht_status list_rows(compiler *c, const ht_frame *op, ht_error *err)
{
    column_value *by;
    const bool where = op->op == HTI_OP_WHERE;
    column_value **live = HTI_ARENA_ARRAY(&c->out->arena, column_value *, c->n_live);
    if (!live) return HTI_NO_MEMORY(err);
    c->out->keeps_rows = false;
    const size_t at = where ? c->n_live : hti_find_name(c->names, c->n_live, op->set[0]);
    if (where)
        HT_TRY(list_expr(c, op->exprs[0], "mask", &by, err));
    else
        by = c->live[at];
    for (size_t i = 0; i < c->n_live; i++) {
        const hti_step_type step = where ? HTI_STEP_KEEP : i == at ? HTI_STEP_FLATTEN : HTI_STEP_REPEAT;
        HT_TRY(add_step(c, step, c->names[i], column(by), column(c->live[i]), &live[i], err));
    }
    c->live = live;
    return HT_OK;
}

static ht_status list_table(compiler *c, ht_error *err)
{
    const hti_table *table = c->table;
    c->live = HTI_ARENA_ARRAY(&c->out->arena, column_value *, table->n_columns);
    if (!c->live) return HTI_NO_MEMORY(err);
    for (uint32_t i = 0; i < table->n_columns; i++) {
        HT_TRY(add_value(c, FROM_TABLE, table->names[i], 0, &c->live[i], err));
        c->live[i]->column = i;
    }
    c->names = table->names;
    c->n_live = table->n_columns;
    return HT_OK;
}

/* ---- nodes ---- */

static ht_status emit_step(compiler *c, const column_value *v, ht_error *err)
{
    char text[320];
    ht_input inputs[2];
    ht_node_desc desc = *hti_frame_step(v->step);
    for (size_t i = 0; i < v->n_args; i++) {
        inputs[i] = (ht_input){v->args[i].from ? v->args[i].from->name : NULL, NULL};
        if (v->args[i].from) continue;
        (void)snprintf(text, sizeof text, "%s.%s", v->name, desc.inputs[i].name);
        inputs[i].name = hti_arena_text(&c->out->arena, hti_name_text(text));
        inputs[i].otherwise = &v->args[i].literal;
        if (!inputs[i].name) return HTI_NO_MEMORY(err);
    }
    desc.type = desc.name;
    desc.name = v->name;
    desc.inputs = inputs;
    desc.outputs = (const char *const *)&v->name;
    return ht_pipeline_add_node(c->out->pipeline, &desc, err);
}

/* Inputs of a call: columns by the names given, literals as defaults. */
static ht_status call_inputs(compiler *c, const column_value *v, bool inner, ht_input *inputs, ht_error *err)
{
    for (size_t i = 0; i < v->n_args; i++) {
        char text[320];
        const argument *arg = &v->args[i];
        inputs[i] = (ht_input){arg->from ? arg->from->name : NULL, arg->from ? NULL : &arg->literal};
        if (arg->from && !inner) continue;
        if (inner)
            (void)snprintf(text, sizeof text, "argument %zu", i + 1);
        else
            (void)snprintf(text, sizeof text, "%s.argument %zu", v->name, i + 1);
        inputs[i].name = hti_arena_text(&c->out->arena, hti_name_text(text));
        if (!inputs[i].name) return HTI_NO_MEMORY(err);
    }
    return HT_OK;
}

static ht_status add_callee(ht_pipeline *into, const column_value *v, const char *method, const ht_input *inputs,
                            const char *output, ht_error *err)
{
    if (!v->expr->desc)
        return ht_pipeline_add_method(into, v->expr->name, ht_value_instance(v->expr->value), method, inputs, output,
                                      err);
    ht_node_desc desc = *v->expr->desc;
    if (!desc.type) desc.type = desc.name;
    desc.inputs = inputs;
    desc.outputs = &output;
    return ht_pipeline_add_node(into, &desc, err);
}

/* Whether the call may be one over whole columns; then `method` is the name for it. */
static bool is_whole(const column_value *v, char method[HTI_METHOD_NAME])
{
    hti_chosen chosen, again;
    if (v->expr->desc) return v->expr->is_whole;
    ht_instance *instance = ht_value_instance(v->expr->value);
    if (hti_instance_method(instance, v->expr->name, &chosen, NULL) != HT_OK) return false;
    const ht_forms *forms = &chosen.method->forms;
    if (!forms->series || forms->on_error != HT_ON_ERROR_RAISE) return false;
    for (size_t i = 0; i < v->n_args; i++)
        if ((v->args[i].from != NULL) != (hti_over(forms) >> i & 1)) return false;
    hti_method_name(chosen.method->name, true, method);
    return hti_instance_method(instance, method, &again, NULL) == HT_OK && again.whole;
}

/* The method's own name, where it was chosen by its batch name. */
static const char *row_name(const column_value *v)
{
    hti_chosen chosen;
    if (v->expr->desc) return NULL;
    const ht_status status = hti_instance_method(ht_value_instance(v->expr->value), v->expr->name, &chosen, NULL);
    return status == HT_OK ? chosen.method->name : v->expr->name;
}

static ht_dtype returns_of(const column_value *v)
{
    hti_chosen chosen;
    if (v->expr->desc) return v->expr->desc->forms.returns;
    const ht_status status = hti_instance_method(ht_value_instance(v->expr->value), v->expr->name, &chosen, NULL);
    return status == HT_OK ? chosen.method->forms.returns : HT_DTYPE_INFER;
}

static ht_status emit_rows(compiler *c, const column_value *v, const ht_input *inputs, const char *rows, ht_error *err)
{
    ht_pipeline *inner;
    ht_rename renames[HTI_MAX_INPUTS];
    const char *over[HTI_MAX_INPUTS];
    size_t n = 0;
    HT_TRY(ht_pipeline_new(v->expr->name, &inner, err));
    ht_status status = add_callee(inner, v, row_name(v), inputs, "row", err);
    for (size_t i = 0; i < v->n_args; i++) {
        if (!v->args[i].from) continue;
        over[n] = v->args[i].from->name;
        renames[n++] = (ht_rename){v->args[i].from->name, inputs[i].name};
    }
    const ht_rename output = {"row", rows};
    const ht_as_node as = {HT_DESC(ht_as_node), .name = v->name, .inputs = renames, .n_inputs = n,
                           .outputs = &output,  .n_outputs = 1,  .map_over = over,  .n_map_over = n};
    if (status == HT_OK) status = ht_pipeline_add_pipeline(c->out->pipeline, inner, &as, err);
    ht_pipeline_release(inner);
    return status;
}

static ht_status emit_call(compiler *c, const column_value *v, ht_error *err)
{
    char method[HTI_METHOD_NAME], text[320];
    ht_input inputs[HTI_MAX_INPUTS];
    size_t n_columns = 0;
    for (size_t i = 0; i < v->n_args; i++) n_columns += v->args[i].from != NULL;
    const bool whole = n_columns && is_whole(v, method);
    HT_TRY(call_inputs(c, v, n_columns && !whole, inputs, err));
    if (whole) return add_callee(c->out->pipeline, v, method, inputs, v->name, err);
    if (n_columns == 0) return add_callee(c->out->pipeline, v, row_name(v), inputs, v->name, err);
    (void)snprintf(text, sizeof text, "%s, rows", v->name);
    const char *rows = hti_arena_text(&c->out->arena, hti_name_text(text));
    if (!rows) return HTI_NO_MEMORY(err);
    HT_TRY(emit_rows(c, v, inputs, rows, err));
    column_value as_rows = {.name = rows};
    argument args[2] = {column(&as_rows), literal(ht_value_int(returns_of(v)))};
    const column_value column_of_rows = {
        .kind = BY_STEP, .name = v->name, .step = HTI_STEP_COLUMN, .args = args, .n_args = 2};
    return emit_step(c, &column_of_rows, err);
}

static ht_status emit(compiler *c, ht_error *err)
{
    hti_compiled *out = c->out;
    for (size_t i = 0; i < c->n_live; i++) c->live[i]->needed = true;
    for (size_t i = c->n_values; i-- > 0;)
        for (size_t a = 0; c->values[i]->needed && a < c->values[i]->n_args; a++)
            if (c->values[i]->args[a].from)
                c->values[i]->args[a].from->needed = c->values[i]->args[a].from->is_read = true;
    out->inputs = HTI_ARENA_ARRAY(&out->arena, const char *, c->n_values);
    out->input_of = HTI_ARENA_ARRAY(&out->arena, uint32_t, c->n_values);
    out->outputs = HTI_ARENA_ARRAY(&out->arena, const char *, c->n_live);
    out->output_of = HTI_ARENA_ARRAY(&out->arena, uint32_t, c->n_live);
    if (!out->inputs || !out->input_of || !out->outputs || !out->output_of) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < c->n_values; i++) {
        const column_value *v = c->values[i];
        if (!v->needed) continue;
        if (v->kind == FROM_TABLE && !v->is_read) continue;
        if (v->kind == FROM_TABLE) {
            out->input_of[out->n_inputs] = v->column;
            out->inputs[out->n_inputs++] = v->name;
            continue;
        }
        out->n_steps++;
        HT_TRY(v->kind == BY_STEP ? emit_step(c, v, err) : emit_call(c, v, err));
    }
    for (; out->n_outputs < c->n_live; out->n_outputs++) {
        const column_value *v = c->live[out->n_outputs];
        out->outputs[out->n_outputs] = v->name;
        out->output_of[out->n_outputs] = v->kind == FROM_TABLE ? v->column : UINT32_MAX;
    }
    return HT_OK;
}

ht_status hti_compile(const hti_table *table, const ht_frame *const *ops, size_t n_ops, hti_compiled *out,
                      ht_error *err)
{
    compiler c = {.table = table, .out = out};
    *out = (hti_compiled){.keeps_rows = true};
    hti_map_init(&c.taken);
    hti_arena_init(&out->arena);
    ht_status status = ht_pipeline_new("frame", &out->pipeline, err);
    if (status == HT_OK) status = list_table(&c, err);
    for (size_t i = 0; status == HT_OK && i < n_ops; i++)
        status = ops[i]->op == HTI_OP_COLUMNS || ops[i]->op == HTI_OP_SELECT ? list_columns(&c, ops[i], err)
                                                                             : list_rows(&c, ops[i], err);
    if (status == HT_OK) status = emit(&c, err);
    hti_free(c.values);
    hti_map_deinit(&c.taken);
    if (status != HT_OK) hti_compiled_deinit(out);
    return status;
}

void hti_compiled_deinit(hti_compiled *compiled)
{
    ht_pipeline_release(compiled->pipeline);
    hti_arena_deinit(&compiled->arena);
    *compiled = (hti_compiled){0};
}
