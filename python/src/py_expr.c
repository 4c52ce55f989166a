/*
 * py_expr.c - expressions of frames out of their descriptions.
 *
 * Python keeps a description, tuples, because the library's own expressions are used up by the frame they are given to:
 *   ("col", name)    ("lit", value)    ("alias", expression, name)    ("cast", expression, type or None)
 *   ("op", operator, a, b)
 *   ("call", instance, method, arguments, type)
 *   ("batch", instance, method, arguments, type, size, flags)
 * The numbers of operators and flags are py_series.h's. The library takes NULL among the arguments of an expression;
 * what is NULL with an exception ends in hp_expr_of.
 */
#include "py_series.h"

#include <string.h>

enum { MAX_DEPTH = 64 };
static ht_expr *expr_of(PyObject *described, int depth);

static const char *kind_of(PyObject *described)
{
    if (!PyTuple_Check(described) || PyTuple_Size(described) < 2) return "";
    PyObject *kind = PyTuple_GetItem(described, 0);
    const char *text = PyUnicode_Check(kind) ? PyUnicode_AsUTF8AndSize(kind, NULL) : "";
    return text ? text : "";
}

static PyObject *part(PyObject *described, Py_ssize_t at)
{
    return at < PyTuple_Size(described) ? PyTuple_GetItem(described, at) : Py_None;
}

/* A column that it depends on, as its name, borrowed; NULL: none. Depth is bounded as in expr_of. */
static PyObject *column_in(PyObject *described, int depth)
{
    const char *kind = kind_of(described);
    PyObject *found = NULL;
    if (depth > MAX_DEPTH || !*kind || !strcmp(kind, "lit")) return NULL;
    if (!strcmp(kind, "col")) return part(described, 1);
    const bool calls = !strcmp(kind, "call") || !strcmp(kind, "batch");
    PyObject *inner = calls ? part(described, 3) : described;
    for (Py_ssize_t i = calls ? 0 : 1; !found && PyTuple_Check(inner) && i < PyTuple_Size(inner); i++)
        found = column_in(part(inner, i), depth + 1);
    return found;
}

static ht_expr *lit_of(PyObject *object)
{
    ht_value value;
    ht_error err = {0};
    if (hp_wrap(object, &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    ht_expr *made = ht_expr_lit(value);
    ht_value_release(value);
    return made;
}

static ht_expr *step_of(hp_step step, ht_expr *first, ht_expr *const *others, size_t n_others)
{
    ht_expr *args[6] = {first};
    memcpy(args + 1, others, n_others * sizeof(ht_expr *));
    return ht_expr_whole(hp_step_desc(step), args, n_others + 1);
}

static ht_expr *finish_of(ht_expr *inner, PyObject *type)
{
    ht_expr *const others[] = {lit_of(type)};
    return step_of(HP_STEP_FINISH, inner, others, 1);
}

static ht_expr *operate_of(PyObject *described, int depth)
{
    ht_expr *const others[] = {expr_of(part(described, 2), depth), expr_of(part(described, 3), depth)};
    return step_of(HP_STEP_OPERATE, lit_of(part(described, 1)), others, 2);
}

/* The call alone; with a size, of pieces of that many rows. */
static ht_expr *call_of(PyObject *described, int depth, PyObject *size)
{
    ht_expr *args[HP_MAX_INPUTS];
    ht_instance *instance = hp_instance_of(part(described, 1));
    const char *method = hp_text(part(described, 2), "a method's name");
    PyObject *inner = part(described, 3);
    const Py_ssize_t n = PyTuple_Check(inner) ? PyTuple_Size(inner) : -1;
    if (!instance || !method || n < 0 || n > HP_MAX_INPUTS) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a call is of an instance, a method and arguments");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        args[i] = expr_of(part(inner, i), depth);
        if (!size || !column_in(part(inner, i), depth)) continue;
        ht_expr *const others[] = {lit_of(size)};
        args[i] = step_of(HP_STEP_CUT, args[i], others, 1);
    }
    return ht_expr_call(instance, method, args, (size_t)n);
}

static ht_expr *batch_of(PyObject *described, int depth)
{
    PyObject *like = column_in(described, depth), *size = part(described, 5);
    const char *name = like ? hp_text(like, "a column's name") : NULL;
    if (!name) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a batch method in a frame needs a column to work on");
        return NULL;
    }
    ht_expr *const others[] = {ht_expr_col(name), lit_of(size), lit_of(part(described, 4)), lit_of(part(described, 6))};
    return step_of(HP_STEP_JOIN, call_of(described, depth, size), others, 4);
}

static ht_expr *alias_of(PyObject *described, int depth)
{
    const char *name = hp_text(part(described, 2), "a column's name");
    return name ? ht_expr_alias(expr_of(part(described, 1), depth), name) : NULL;
}

static ht_expr *expr_of(PyObject *described, int depth)
{
    const char *kind = kind_of(described);
    if (depth > MAX_DEPTH) {
        PyErr_Format(PyExc_RecursionError, "an expression nested deeper than %d", MAX_DEPTH);
        return NULL;
    }
    if (!strcmp(kind, "lit")) return lit_of(part(described, 1));
    if (!strcmp(kind, "alias")) return alias_of(described, depth + 1);
    if (!strcmp(kind, "cast")) return finish_of(expr_of(part(described, 1), depth + 1), part(described, 2));
    if (!strcmp(kind, "op")) return operate_of(described, depth + 1);
    if (!strcmp(kind, "batch")) return batch_of(described, depth + 1);
    if (!strcmp(kind, "call")) return finish_of(call_of(described, depth + 1, NULL), part(described, 4));
    const char *name = !strcmp(kind, "col") ? hp_text(part(described, 1), "a column's name") : NULL;
    if (name) return ht_expr_col(name);
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "an expression is described by a tuple");
    return NULL;
}

ht_expr *hp_expr_of(PyObject *described)
{
    ht_expr *made = expr_of(described, 0);
    if (made && PyErr_Occurred()) { /* something inside could not be made */
        ht_expr_free(made);
        return NULL;
    }
    if (!made && !PyErr_Occurred()) PyErr_NoMemory();
    return made;
}
