/*
 * py_body.c - Python functions as nodes: called for a row, started as a coroutine, or called for a batch.
 *
 * A Body holds the function and how its parameters go to it; the node that has it keeps it alive. Arguments are handed
 * over by position where the signature allows it, which is the cheapest call CPython has.
 */
#include "py_core.h"

#include <string.h>

#define FIELD(name) offsetof(hp_body, name)

/* ---- results ---- */

static ht_status fail_length(Py_ssize_t n, Py_ssize_t wanted, ht_error *err)
{
    PyErr_Format(PyExc_ValueError, "%zd outputs are named, but %zd values were returned", wanted, n);
    return hp_fail(err);
}

ht_status hp_take_outputs(PyObject *result, Py_ssize_t n_outputs, ht_value *out, ht_error *err)
{
    if (n_outputs == 1) return hp_wrap(result, &out[0], err);
    if (PyDict_Check(result) || PyUnicode_Check(result)) {
        PyErr_Format(PyExc_TypeError, "%zd outputs are named: a tuple of as many values is wanted, not a %S", n_outputs,
                     (PyObject *)Py_TYPE(result));
        return hp_fail(err);
    }
    PyObject *items = PySequence_Tuple(result);
    if (!items) return hp_fail(err);
    const Py_ssize_t n = PyTuple_Size(items);
    ht_status status = n == n_outputs ? HT_OK : fail_length(n, n_outputs, err);
    for (Py_ssize_t i = 0; status == HT_OK && i < n; i++) status = hp_wrap(PyTuple_GetItem(items, i), &out[i], err);
    Py_DECREF(items);
    return status;
}

/* ---- rows ---- */

static _Thread_local unsigned int inside; /* bodies without a stack of their own that this thread stands in */

bool hp_in_body(void) { return inside > 0 || hp_can_park(); }

static PyObject *call_function(const hp_body *body, const ht_value *in)
{
    PyObject *args[HP_MAX_INPUTS + 1];
    Py_ssize_t n = 0;
    args[0] = NULL; /* room for a bound method's self */
    PyObject *result = NULL;
    for (; n < body->n_params; n++) {
        args[n + 1] = hp_unwrap(in[n]);
        if (!args[n + 1]) break;
    }
    inside++;
    if (n == body->n_params)
        result = PyObject_Vectorcall(body->function, args + 1,
                                     (size_t)body->n_positional | PY_VECTORCALL_ARGUMENTS_OFFSET, body->kwnames);
    inside--;
    for (Py_ssize_t i = 0; i < n; i++) Py_DECREF(args[i + 1]);
    return result;
}

static ht_status body_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const hp_body *body = self;
    const hp_gil gil = hp_gil_take();
    PyObject *result = call_function(body, in);
    const ht_status status = result ? hp_take_outputs(result, body->n_outputs, out, err) : hp_fail(err);
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}

static ht_status body_start(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    const hp_body *body = self;
    const hp_gil gil = hp_gil_take();
    PyObject *coroutine = call_function(body, in);
    const ht_status status = coroutine ? hp_spawn(coroutine, completion, body->n_outputs, err) : hp_fail(err);
    hp_gil_give(gil);
    return status;
}

/* ---- batches ---- */

static PyObject *column_of(const hp_body *body, const ht_column *column, size_t n)
{
    if (column->constant) return hp_unwrap(column->rows[0]);
    if (body->as_series) return hp_series_of_values(column->rows, n);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap(column->rows[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

static ht_status body_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    const hp_body *body = self;
    const hp_gil gil = hp_gil_take();
    PyObject *args[HP_MAX_INPUTS + 1], *result = NULL;
    Py_ssize_t made = 0;
    args[0] = NULL;
    for (; made < body->n_params; made++) {
        args[made + 1] = column_of(body, &in[made], n);
        if (!args[made + 1]) break;
    }
    if (made == body->n_params)
        result = PyObject_Vectorcall(body->batch, args + 1, (size_t)body->n_positional | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                     body->kwnames);
    for (Py_ssize_t i = 0; i < made; i++) Py_DECREF(args[i + 1]);
    ht_status status = result ? HT_OK : hp_fail(err);
    if (result && body->n_outputs == 1) {
        status = hp_take_rows(result, n, out[0], err);
    } else if (result && !PyTuple_Check(result)) { /* a list may be one of rows, which looks the same for n rows */
        PyErr_Format(PyExc_TypeError, "%zd outputs are named: a tuple of as many columns is wanted, not a %S",
                     body->n_outputs, ((PyObject *)Py_TYPE(result)));
        status = hp_fail(err);
    } else if (result) {
        const Py_ssize_t n_columns = PyTuple_Size(result);
        status = n_columns == body->n_outputs ? HT_OK : fail_length(n_columns, body->n_outputs, err);
        for (Py_ssize_t o = 0; status == HT_OK && o < n_columns; o++)
            status = hp_take_rows(PyTuple_GetItem(result, o), n, out[o], err);
    }
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}

ht_status hp_take_rows(PyObject *result, size_t n, ht_value *out, ht_error *err)
{
    static const char *const ways[] = {"to_pylist", "tolist"};
    PyObject *list = NULL;
    if (PyList_Check(result) || PyTuple_Check(result)) list = PySequence_Tuple(result);
    for (size_t i = 0; !list && i < 2 && !PyErr_Occurred(); i++) {
        PyObject *way = PyObject_GetAttrString(result, ways[i]);
        if (!way) {
            PyErr_Clear();
            continue;
        }
        PyObject *made = PyObject_CallNoArgs(way);
        list = made ? PySequence_Tuple(made) : NULL;
        Py_XDECREF(made);
        Py_DECREF(way);
    }
    if (!list && !PyErr_Occurred()) list = PySequence_Tuple(result);
    if (!list) return hp_fail(err);
    const Py_ssize_t got = PyTuple_Size(list);
    ht_status status = HT_OK;
    if ((size_t)got != n) {
        PyErr_Format(PyExc_RuntimeError, "a batch of %zu rows gave %zd results", n, got);
        status = hp_fail(err);
    }
    for (Py_ssize_t i = 0; status == HT_OK && i < got; i++) status = hp_wrap(PyTuple_GetItem(list, i), &out[i], err);
    Py_DECREF(list);
    return status;
}

ht_forms hp_body_forms(const hp_body *body)
{
    ht_forms forms = {0};
    if (body->is_async) {
        forms.start = body_start;
    } else {
        forms.row = body_row;
        if (body->batch) {
            forms.batch = body_batch;
            forms.over = body->n_params < 64 ? ((uint64_t)1 << body->n_params) - 1 : UINT64_MAX;
            forms.shared_constant = true;
        } else if (body->coalesce) {
            forms.body = hp_body_run;
            forms.drop = hp_body_drop;
        }
    }
    return forms;
}

/* ---- the object ---- */

static int body_traverse(PyObject *self, visitproc visit, void *arg)
{
    hp_body *body = (hp_body *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(body->function);
    Py_VISIT(body->batch);
    return 0;
}

static int body_clear(PyObject *self)
{
    hp_body *body = (hp_body *)self;
    Py_CLEAR(body->function);
    Py_CLEAR(body->batch);
    return 0;
}

static void body_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_body *body = (hp_body *)self;
    PyObject_GC_UnTrack(self);
    (void)body_clear(self);
    Py_XDECREF(body->kwnames);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *body_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"function", "params", "n_positional", "n_outputs", "batch",
                                        "is_async", "parks",  "as_series",    "coalesce",  NULL};
    PyObject *function, *params, *batch = Py_None;
    Py_ssize_t n_positional, n_outputs;
    int is_async = 0, parks = 0, as_series = 1, coalesce = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!nn|Opppp", HP_KEYWORDS(names), &function, &PyTuple_Type, &params,
                                     &n_positional, &n_outputs, &batch, &is_async, &parks, &as_series, &coalesce))
        return NULL;
    const Py_ssize_t n = PyTuple_Size(params);
    if (n > HP_MAX_INPUTS || n_outputs > HP_MAX_INPUTS || n_positional > n || n_positional < 0 || n_outputs < 1) {
        PyErr_Format(PyExc_ValueError, "a node has at most %d parameters and outputs, and at least one output",
                     HP_MAX_INPUTS);
        return NULL;
    }
    PyObject *kwnames = n_positional < n ? PyTuple_GetSlice(params, n_positional, n) : NULL;
    if (n_positional < n && !kwnames) return NULL;
    hp_body *body = PyObject_GC_New(hp_body, type);
    if (!body) {
        Py_XDECREF(kwnames);
        return NULL;
    }
    body->function = Py_NewRef(function);
    body->batch = batch == Py_None ? NULL : Py_NewRef(batch);
    body->kwnames = kwnames;
    body->n_positional = n_positional;
    body->n_params = n;
    body->n_outputs = n_outputs;
    body->is_async = is_async;
    body->parks = parks;
    body->as_series = as_series;
    body->coalesce = coalesce;
    body->warned = false;
    PyObject_GC_Track((PyObject *)body);
    return (PyObject *)body;
}

static PyMemberDef body_members[] = {
    {"function", Py_T_OBJECT_EX, FIELD(function), Py_READONLY, NULL},
    {"batch", Py_T_OBJECT_EX, FIELD(batch), Py_READONLY, NULL},
    {"parks", Py_T_BOOL, FIELD(parks), 0, "Whether its globals or closure hold instances."},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot body_slots[] = {
    {Py_tp_new, HP_SLOT(body_new)},
    {Py_tp_dealloc, HP_SLOT(body_dealloc)},
    {Py_tp_traverse, HP_SLOT(body_traverse)},
    {Py_tp_clear, HP_SLOT(body_clear)},
    {Py_tp_members, body_members},
    {Py_tp_doc, HP_DOC("Body(function, params, n_positional, n_outputs, batch=None, "
                       "is_async=False, parks=False, as_series=True, coalesce=True)\n\nA function "
                       "as a node's work: its parameters' names, the first n_positional of "
                       "which go by position.")},
    {0, NULL}};
static PyType_Spec body_spec = {"houndstooth._core.Body", sizeof(hp_body), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                body_slots};

int hp_body_init(PyObject *module)
{
    hp.body_type = hp_add_type(module, &body_spec, NULL);
    return hp.body_type ? 0 : -1;
}
