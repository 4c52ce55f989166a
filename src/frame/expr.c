/*
 * expr.c - expressions: made, checked against the columns they name, freed.
 *
 * An expression whose making ran out of memory is NULL, or lost where it had taken arguments by then; a frame tells it.
 */
#include "frame_int.h"

enum { MAX_DEPTH = 64 };

static char *copy_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = hti_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* Depth is bounded by hti_expr_check, and by memory. */
void ht_expr_free(ht_expr *expr)
{
    if (!expr) return;
    for (size_t i = 0; i < expr->n_args; i++) ht_expr_free(expr->args[i]);
    ht_value_release(expr->value);
    hti_free(expr->args);
    hti_free(expr->name);
    hti_free(expr->alias);
    hti_free(expr);
}

static ht_expr *new_expr(hti_expr_kind kind, const char *name)
{
    ht_expr *expr = HTI_NEW(ht_expr);
    if (!expr) return NULL;
    expr->kind = kind;
    expr->value = ht_value_null();
    expr->name = copy_text(name);
    if (expr->name) return expr;
    hti_free(expr);
    return NULL;
}

ht_expr *ht_expr_col(const char *name) { return new_expr(HTI_EXPR_COL, name); }

ht_expr *ht_expr_lit(ht_value value)
{
    ht_expr *expr = new_expr(HTI_EXPR_LIT, "literal");
    if (expr) expr->value = ht_value_retain(value);
    return expr;
}

/* Takes the arguments, also on failure. */
static ht_expr *take_args(ht_expr *expr, ht_expr *const *args, size_t n_args)
{
    ht_expr **copy = expr ? HTI_NEW_ARRAY(ht_expr *, n_args) : NULL;
    if (!copy) {
        for (size_t i = 0; i < n_args; i++) ht_expr_free(args[i]);
        ht_expr_free(expr);
        return NULL;
    }
    expr->args = copy;
    expr->n_args = n_args;
    for (size_t i = 0; i < n_args; i++) {
        copy[i] = args[i];
        expr->lost |= !args[i] || args[i]->lost;
    }
    return expr;
}

ht_expr *ht_expr_call(ht_instance *instance, const char *method, ht_expr *const *args, size_t n_args)
{
    ht_expr *expr = new_expr(HTI_EXPR_CALL, method);
    ht_value held;
    if (expr) {
        /* The instance as a value keeps it alive. */
        if (ht_instance_value(instance, &held, NULL) == HT_OK)
            expr->value = held;
        else
            expr->lost = true;
    }
    return take_args(expr, args, n_args);
}

ht_expr *ht_expr_apply(const ht_node_desc *desc, ht_expr *const *args, size_t n_args)
{
    ht_expr *expr = new_expr(HTI_EXPR_APPLY, desc->name);
    if (expr) expr->desc = desc;
    return take_args(expr, args, n_args);
}

ht_expr *ht_expr_whole(const ht_node_desc *desc, ht_expr *const *args, size_t n_args)
{
    ht_expr *expr = ht_expr_apply(desc, args, n_args);
    if (expr) expr->is_whole = true;
    return expr;
}

ht_expr *ht_expr_alias(ht_expr *expr, const char *name)
{
    if (!expr) return NULL;
    hti_free(expr->alias);
    expr->alias = copy_text(name);
    expr->lost |= !expr->alias;
    return expr;
}

const char *hti_expr_name(const ht_expr *expr) { return expr->alias ? expr->alias : expr->name; }

static ht_status check_call(const ht_expr *expr, ht_error *err)
{
    hti_chosen chosen = {NULL, false};
    const ht_forms *forms = expr->desc ? &expr->desc->forms : NULL;
    size_t n_inputs = expr->desc ? expr->desc->n_inputs : 0;
    if (!forms) {
        HT_TRY(hti_instance_method(ht_value_instance(expr->value), expr->name, &chosen, err));
        forms = &chosen.method->forms;
        n_inputs = chosen.method->n_inputs;
    } else if (expr->desc->n_outputs != 1) {
        return HT_FAIL(err, INVALID, "node '%s' has %zu outputs; a column is one", expr->name, expr->desc->n_outputs);
    }
    if (n_inputs != expr->n_args)
        return HT_FAIL(err, INVALID, "'%s' takes %zu arguments, not %zu", expr->name, n_inputs, expr->n_args);
    if (forms->on_error == HT_ON_ERROR_SKIP)
        return HT_FAIL(err, INVALID, "'%s' skips rows that fail, which would shift the others of a frame: null them",
                       expr->name);
    if (forms->body) return HT_FAIL(err, UNSUPPORTED, "node '%s' awaits; use it in a pipeline", expr->name);
    return HT_OK;
}

ht_status hti_expr_check(const ht_expr *expr, const char *const *names, size_t n, int depth, ht_error *err)
{
    if (!expr || expr->lost) return HT_FAIL(err, NO_MEMORY, "out of memory (an expression)");
    if (depth > MAX_DEPTH) return HT_FAIL(err, LIMIT, "an expression nested deeper than %d", MAX_DEPTH);
    if (expr->kind == HTI_EXPR_COL && hti_find_name(names, n, expr->name) == n)
        return hti_fail_choices(err, "no column", expr->name, names, n);
    if (expr->kind == HTI_EXPR_CALL || expr->kind == HTI_EXPR_APPLY) HT_TRY(check_call(expr, err));
    for (size_t i = 0; i < expr->n_args; i++) HT_TRY(hti_expr_check(expr->args[i], names, n, depth + 1, err));
    return HT_OK;
}
