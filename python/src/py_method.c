/*
 * py_method.c - methods in the classes of proxies: arguments bound by a signature, then a call in one of its ways.
 *
 * Called from a body that may stop, a method with a batch form or a coroutine stops it; with a column expression among
 * its arguments it makes an expression; else it is called at once.
 * As CPython's own functions, a Method takes its object as the first argument, so that `encoder.encode(x)` makes no
 * bound object.
 */
#include "py_core.h"

#include <stddef.h>
#include <string.h>

typedef struct hp_binder {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *name, *function, *params, *defaults; /* function: for its documentation; defaults: of the last ones */
    PyObject *expression;                /* function(instance, name, args): an expression, or NotImplemented */
    const char *auto_name, *direct_name; /* kept by `names` */
    PyObject *names;
    Py_ssize_t n_params, n_positional;
    char gathers;            /* calls of it may stop a body */
    char direct_only;        /* a batch method: a call of it is one call */
    unsigned long long over; /* parameters that its batch form takes as columns, by bit; 0: it has none */
    PyObject *auto_object;   /* auto_name as a str */
    PyObject *away;          /* function(instance, direct_name, args): what a call at once gives; NULL: its result */
} hp_binder;
static PyTypeObject *binder_type;

/* ---- binding ---- */

static Py_ssize_t index_of(const hp_binder *m, PyObject *name)
{
    for (Py_ssize_t i = 0; i < m->n_params; i++)
        if (PyTuple_GetItem(m->params, i) == name) return i;
    for (Py_ssize_t i = 0; i < m->n_params; i++)
        if (PyUnicode_Compare(PyTuple_GetItem(m->params, i), name) == 0) return i;
    return -1;
}

static int fail_missing(const hp_binder *m, PyObject *const *bound)
{
    for (Py_ssize_t i = 0; i < m->n_params; i++)
        if (!bound[i]) {
            PyErr_Format(PyExc_TypeError, "%U() missing required argument: '%U'", m->name,
                         PyTuple_GetItem(m->params, i));
            break;
        }
    return -1;
}

/* All parameters, borrowed from the call or the defaults. */
static int bind(const hp_binder *m, PyObject *const *args, Py_ssize_t n, PyObject *kwnames, PyObject **bound)
{
    const Py_ssize_t n_keywords = kwnames ? PyTuple_Size(kwnames) : 0, n_defaults = PyTuple_Size(m->defaults);
    if (n > m->n_positional) {
        PyErr_Format(PyExc_TypeError, "%U() takes %zd positional arguments but %zd were given", m->name,
                     m->n_positional, n);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) bound[i] = args[i];
    for (Py_ssize_t i = n; i < m->n_params; i++) bound[i] = NULL;
    for (Py_ssize_t k = 0; k < n_keywords; k++) {
        PyObject *name = PyTuple_GetItem(kwnames, k);
        const Py_ssize_t at = index_of(m, name);
        if (at < 0 || bound[at]) {
            PyErr_Format(PyExc_TypeError,
                         at < 0 ? "%U() got an unexpected keyword argument '%U'"
                                : "%U() got multiple values for argument '%U'",
                         m->name, name);
            return -1;
        }
        bound[at] = args[n + k];
    }
    bool whole = true;
    for (Py_ssize_t i = n; i < m->n_params; i++) {
        const Py_ssize_t d = i - (m->n_params - n_defaults);
        if (!bound[i] && d >= 0) {
            PyObject *value = PyTuple_GetItem(m->defaults, d);
            if (value != (PyObject *)binder_type) bound[i] = value; /* the type itself stands for no default */
        }
        whole &= bound[i] != NULL;
    }
    return whole ? 0 : fail_missing(m, bound);
}

/* ---- calling ---- */

/* Of a type that no column expression is of. */
static bool is_common(PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);
    return object == Py_None || type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
           type == &PyBool_Type || type == &PyList_Type || type == &PyDict_Type || type == &PyTuple_Type ||
           type == &PyBytes_Type;
}

static PyObject *tuple_of(const hp_binder *m, PyObject *const *bound)
{
    PyObject *args = PyTuple_New(m->n_params);
    for (Py_ssize_t i = 0; args && i < m->n_params; i++) PyTuple_SetItem(args, i, Py_NewRef(bound[i]));
    return args;
}

/* An expression where one is among the arguments; NULL without an exception where none is. */
static PyObject *try_expression(const hp_binder *m, PyObject *instance, PyObject *const *bound)
{
    static const PyTypeObject *last; /* the last uncommon type that was no expression */
    bool uncommon = false;
    for (Py_ssize_t i = 0; i < m->n_params; i++) uncommon |= !is_common(bound[i]) && Py_TYPE(bound[i]) != last;
    if (!uncommon) return NULL;
    PyObject *args = tuple_of(m, bound);
    PyObject *made = args ? PyObject_CallFunctionObjArgs(m->expression, instance, m->name, args, NULL) : NULL;
    Py_XDECREF(args);
    if (made != Py_NotImplemented) return made;
    Py_DECREF(made);
    for (Py_ssize_t i = 0; i < m->n_params; i++)
        if (!is_common(bound[i])) last = Py_TYPE(bound[i]);
    return NULL;
}

/* A coroutine or generator whose object is in another process, which gives what it comes to. */
static PyObject *call_away(const hp_binder *m, PyObject *object, PyObject *const *bound)
{
    PyObject *args = tuple_of(m, bound), *name = PyTuple_GetItem(m->names, 1);
    PyObject *made = args ? PyObject_CallFunctionObjArgs(m->away, object, name, args, NULL) : NULL;
    Py_XDECREF(args);
    return made;
}

static PyObject *call_bound(const hp_binder *m, PyObject *object, PyObject *const *bound)
{
    const bool parks = m->gathers && hp_can_park();
    if (m->away && !parks) return call_away(m, object, bound);
    ht_instance *instance = hp_instance_of(object);
    ht_value values[HP_MAX_INPUTS], out = ht_value_null();
    ht_error err = {0};
    Py_ssize_t made = 0;
    PyObject *result = NULL;
    const bool before = hp_enter();
    const uint64_t causes = parks ? 0 : hp_causes_begin();
    ht_status status = HT_OK;
    for (; status == HT_OK && made < m->n_params; made += status == HT_OK)
        status = hp_wrap(bound[made], &values[made], &err);
    if (status == HT_OK && parks) {
        ht_value self;
        status = ht_instance_value(instance, &self, &err);
        if (status == HT_OK && m->over && hp_count_call(m->name) < 0) {
            ht_value_release(self);
            for (Py_ssize_t i = 0; i < made; i++) ht_value_release(values[i]);
            hp_leave(before);
            return NULL;
        }
        if (status == HT_OK) {
            result = hp_park(self, m->auto_name, values, (size_t)made);
            hp_leave(before);
            return result;
        }
    }
    if (status == HT_OK) status = ht_instance_call(instance, m->direct_name, values, (size_t)made, &out, &err);
    for (Py_ssize_t i = 0; i < made; i++) ht_value_release(values[i]);
    if (status == HT_OK)
        result = hp_unwrap(out);
    else
        (void)hp_raise(&err);
    ht_value_release(out);
    if (!parks) hp_causes_end(causes);
    hp_leave(before);
    return result;
}

static PyObject *binder_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    const hp_binder *m = (const hp_binder *)self;
    const Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    PyObject *bound[HP_MAX_INPUTS];
    if (n < 1 || !hp_instance_of(args[0])) {
        PyErr_Format(PyExc_TypeError, "%U() needs an instance as its first argument", m->name);
        return NULL;
    }
    if (bind(m, args + 1, n - 1, kwnames, bound) < 0) return NULL;
    PyObject *expression = try_expression(m, args[0], bound);
    if (expression || PyErr_Occurred()) return expression;
    return call_bound(m, args[0], bound);
}

static PyObject *binder_get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    if (!object || object == Py_None) return Py_NewRef(self);
    return PyObject_CallFunctionObjArgs((PyObject *)hp.call_type, self, object, NULL);
}

/* ---- bound: what `encoder.encode` is where it is not called at once ---- */

typedef struct hp_call {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *method, *object;
} hp_call;

static PyObject *call_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    const hp_call *call = (const hp_call *)self;
    const hp_binder *m = (const hp_binder *)call->method;
    PyObject *bound[HP_MAX_INPUTS];
    if (bind(m, args, PyVectorcall_NARGS(nargsf), kwnames, bound) < 0) return NULL;
    PyObject *expression = try_expression(m, call->object, bound);
    if (expression || PyErr_Occurred()) return expression;
    return call_bound(m, call->object, bound);
}

static PyObject *call_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *method, *object;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!O", binder_type, &method, &object)) return NULL;
    hp_call *self = PyObject_GC_New(hp_call, type);
    if (!self) return NULL;
    self->vectorcall = call_vectorcall;
    self->method = Py_NewRef(method);
    self->object = Py_NewRef(object);
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

static int call_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((hp_call *)self)->method);
    Py_VISIT(((hp_call *)self)->object);
    return 0;
}

static int call_clear(PyObject *self)
{
    Py_CLEAR(((hp_call *)self)->method);
    Py_CLEAR(((hp_call *)self)->object);
    return 0;
}

static void call_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)call_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* What a method has that a function has: its name, documentation, signature. */
static PyObject *call_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
    PyErr_Clear();
    PyObject *function = ((hp_binder *)((hp_call *)self)->method)->function;
    return PyObject_GetAttr(function, name);
}

static PyObject *call_repr(PyObject *self)
{
    const hp_call *call = (const hp_call *)self;
    return PyUnicode_FromFormat("<method %U of %R>", ((hp_binder *)call->method)->name, call->object);
}

/* Rows as columns: the first parameter, and others that the batch form takes as columns, have a value a row. */
static PyObject *call_rows(const hp_call *call, PyObject *rows, PyObject *const *bound)
{
    const hp_binder *m = (const hp_binder *)call->method;
    const size_t n = (size_t)PyList_Size(rows), n_params = (size_t)m->n_params;
    ht_value *values = PyMem_Calloc(n * (n_params + 1) + n_params, sizeof *values), *out = values;
    ht_column columns[HP_MAX_INPUTS];
    ht_error err = {0};
    ht_status status = HT_OK;
    size_t made = 0;
    if (!values) return PyErr_NoMemory();
    ht_value *next = out + n;
    for (size_t i = 0; status == HT_OK && i < n_params; i++) {
        const bool is_column = i == 0 || (i < 64 && (m->over >> i & 1));
        columns[i] = (ht_column){next, !is_column};
        for (size_t row = 0; status == HT_OK && row < (is_column ? n : 1); row++, next++)
            status = hp_wrap(i == 0 ? PyList_GetItem(rows, (Py_ssize_t)row) : bound[i], next, &err);
        made = (size_t)(next - values) - n;
    }
    if (status == HT_OK)
        status = ht_instance_call_batch(hp_instance_of(call->object), m->auto_name, n, columns, n_params, out, &err);
    PyObject *list = status == HT_OK ? PyList_New((Py_ssize_t)n) : NULL;
    if (status != HT_OK) (void)hp_raise(&err);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap(out[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    for (size_t i = status == HT_OK ? 0 : n; i < n + made; i++) ht_value_release(values[i]);
    PyMem_Free(values);
    return list;
}

/* One call after the other. */
static PyObject *call_each(PyObject *call, PyObject *rows, PyObject *rest, PyObject *kwargs)
{
    const Py_ssize_t n = PyList_Size(rows);
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *front = PyTuple_Pack(1, PyList_GetItem(rows, i));
        PyObject *all = front ? PySequence_Concat(front, rest) : NULL;
        PyObject *item = all ? PyObject_Call(call, all, kwargs) : NULL;
        if (!item || PyList_SetItem(list, i, item) < 0) Py_CLEAR(list);
        Py_XDECREF(front);
        Py_XDECREF(all);
    }
    return list;
}

/* map(values, ...): one call of the batch form where there is one, in pieces of its batch_size. */
static PyObject *call_map(PyObject *self, PyObject *args, PyObject *kwargs)
{
    const hp_call *call = (const hp_call *)self;
    const hp_binder *m = (const hp_binder *)call->method;
    const Py_ssize_t n = PyTuple_Size(args), n_keywords = kwargs ? PyDict_Size(kwargs) : 0;
    PyObject *given[2 * HP_MAX_INPUTS] = {NULL}, *bound[HP_MAX_INPUTS] = {NULL}, *key, *value;
    if (n < 1 || n > HP_MAX_INPUTS || n_keywords > HP_MAX_INPUTS) {
        PyErr_Format(PyExc_TypeError, "%U.map() takes the values, then what is the same for all of them", m->name);
        return NULL;
    }
    PyObject *rows = PySequence_List(PyTuple_GetItem(args, 0)), *result = NULL;
    PyObject *kwnames = rows ? PyTuple_New(n_keywords) : NULL;
    Py_ssize_t at = 0, k = 0;
    for (Py_ssize_t i = 0; i < n; i++) given[i] = PyTuple_GetItem(args, i);
    for (; kwnames && kwargs && PyDict_Next(kwargs, &at, &key, &value); k++) {
        given[n + k] = value;
        (void)PyTuple_SetItem(kwnames, k, Py_NewRef(key));
    }
    if (kwnames && m->over == 0) {
        PyObject *rest = PyTuple_GetSlice(args, 1, n);
        result = rest ? call_each(self, rows, rest, kwargs) : NULL;
        Py_XDECREF(rest);
    } else if (kwnames && bind(m, given, n, kwnames, bound) == 0) {
        const bool before = hp_enter();
        const uint64_t causes = hp_causes_begin();
        result = PyList_Size(rows) ? call_rows(call, rows, bound) : PyList_New(0);
        hp_causes_end(causes);
        hp_leave(before);
    }
    Py_XDECREF(kwnames);
    Py_XDECREF(rows);
    return result;
}

/* As Python's own methods: the object and the name. */
static PyObject *call_reduce(PyObject *self, PyObject *unused)
{
    const hp_call *call = (const hp_call *)self;
    (void)unused;
    PyObject *builtins = PyEval_GetBuiltins(), *getter = PyDict_GetItemString(builtins, "getattr"); /* borrowed */
    return Py_BuildValue("O(OO)", getter, call->object, ((const hp_binder *)call->method)->name);
}

/* The same method of a copy of its object whose class has other options, {name: value}; takes them. */
static PyObject *changed(PyObject *self, PyObject *options)
{
    PyObject *module = options ? PyImport_ImportModule("houndstooth._cls") : NULL;
    PyObject *change = module ? PyObject_GetAttrString(module, "changed") : NULL, *args = PyTuple_Pack(1, self);
    PyObject *made = change && args ? PyObject_Call(change, args, options) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(change);
    Py_XDECREF(module);
    Py_XDECREF(options);
    return made;
}

static PyObject *call_with_concurrency(PyObject *self, PyObject *n)
{
    return changed(self, Py_BuildValue("{sO}", "max_concurrency", n));
}

static PyObject *call_with_ray_options(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *options = kwargs ? Py_NewRef(kwargs) : PyDict_New();
    if (!options || !PyArg_ParseTuple(args, "")) {
        Py_XDECREF(options);
        return NULL;
    }
    return changed(self, Py_BuildValue("{sN}", "ray_options", options));
}

static PyMemberDef call_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(hp_call, vectorcall), Py_READONLY, NULL},
    {"__func__", Py_T_OBJECT_EX, offsetof(hp_call, method), Py_READONLY, NULL},
    {"__self__", Py_T_OBJECT_EX, offsetof(hp_call, object), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyMethodDef call_methods[] = {
    {"map", HP_METHOD(call_map), METH_VARARGS | METH_KEYWORDS,
     "map(values, ...)\n--\n\nResults for each of the values, in order; other arguments are the same for all."},
    {"with_concurrency", call_with_concurrency, METH_O,
     "with_concurrency(max_concurrency)\n--\n\nThe same of a copy of its object, with this max_concurrency of `cls`."},
    {"with_ray_options", HP_METHOD(call_with_ray_options), METH_VARARGS | METH_KEYWORDS,
     "with_ray_options(**options)\n--\n\nThe same of a copy of its object, with these besides its ray_options."},
    {"__reduce__", call_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyType_Slot call_slots[] = {{Py_tp_new, HP_SLOT(call_new)},         {Py_tp_call, HP_SLOT(PyVectorcall_Call)},
                                   {Py_tp_dealloc, HP_SLOT(call_dealloc)}, {Py_tp_traverse, HP_SLOT(call_traverse)},
                                   {Py_tp_clear, HP_SLOT(call_clear)},     {Py_tp_getattro, HP_SLOT(call_getattro)},
                                   {Py_tp_repr, HP_SLOT(call_repr)},       {Py_tp_members, call_members},
                                   {Py_tp_methods, call_methods},          {0, NULL}};
static PyType_Spec call_spec = {"houndstooth._core.BoundMethod", sizeof(hp_call), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, call_slots};

/* ---- the descriptor's own object ---- */

static PyObject *binder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"name",      "function",    "params",  "n_positional", "defaults",
                                        "auto_name", "direct_name", "gathers", "expression",   "direct_only",
                                        "over",      "away",        NULL};
    PyObject *name, *function, *params, *defaults, *auto_name, *direct_name, *expression, *away = Py_None;
    Py_ssize_t n_positional;
    int gathers, direct_only = 0;
    unsigned long long over = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "UOO!nO!UUpO|pKO", HP_KEYWORDS(names), &name, &function,
                                     &PyTuple_Type, &params, &n_positional, &PyTuple_Type, &defaults, &auto_name,
                                     &direct_name, &gathers, &expression, &direct_only, &over, &away))
        return NULL;
    if (PyTuple_Size(params) > HP_MAX_INPUTS) {
        PyErr_Format(PyExc_ValueError, "a method has at most %d parameters", HP_MAX_INPUTS);
        return NULL;
    }
    PyObject *keep = PyTuple_Pack(2, auto_name, direct_name);
    hp_binder *m = keep ? PyObject_GC_New(hp_binder, type) : NULL;
    if (!m) {
        Py_XDECREF(keep);
        return NULL;
    }
    m->vectorcall = binder_vectorcall;
    m->name = Py_NewRef(name);
    m->function = Py_NewRef(function);
    m->params = Py_NewRef(params);
    m->defaults = Py_NewRef(defaults);
    m->expression = Py_NewRef(expression);
    m->names = keep;
    m->auto_name = PyUnicode_AsUTF8AndSize(auto_name, NULL);
    m->direct_name = PyUnicode_AsUTF8AndSize(direct_name, NULL);
    m->n_params = PyTuple_Size(params);
    m->n_positional = n_positional;
    m->gathers = (char)gathers;
    m->direct_only = (char)direct_only;
    m->over = over;
    m->away = away == Py_None ? NULL : Py_NewRef(away);
    m->auto_object = PyTuple_GetItem(keep, 0);
    PyObject_GC_Track((PyObject *)m);
    return (PyObject *)m;
}

static int binder_traverse(PyObject *self, visitproc visit, void *arg)
{
    hp_binder *m = (hp_binder *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(m->function);
    Py_VISIT(m->defaults);
    Py_VISIT(m->expression);
    Py_VISIT(m->away);
    return 0;
}

static void binder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_binder *m = (hp_binder *)self;
    PyObject_GC_UnTrack(self);
    Py_DECREF(m->name);
    Py_DECREF(m->function);
    Py_DECREF(m->params);
    Py_DECREF(m->defaults);
    Py_DECREF(m->expression);
    Py_XDECREF(m->away);
    Py_DECREF(m->names);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *binder_getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
    PyErr_Clear();
    return PyObject_GetAttr(((hp_binder *)self)->function, name);
}

static PyMemberDef binder_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(hp_binder, vectorcall), Py_READONLY, NULL},
    {"__wrapped__", Py_T_OBJECT_EX, offsetof(hp_binder, function), Py_READONLY, NULL},
    {"params", Py_T_OBJECT_EX, offsetof(hp_binder, params), Py_READONLY, NULL},
    {"defaults", Py_T_OBJECT_EX, offsetof(hp_binder, defaults), Py_READONLY, NULL},
    {"name", Py_T_OBJECT_EX, offsetof(hp_binder, name), Py_READONLY, NULL},
    {"auto_name", Py_T_OBJECT_EX, offsetof(hp_binder, auto_object), Py_READONLY, NULL},
    {"direct_only", Py_T_BOOL, offsetof(hp_binder, direct_only), Py_READONLY, NULL},
    {"gathers", Py_T_BOOL, offsetof(hp_binder, gathers), Py_READONLY, NULL},
    {"over", Py_T_ULONGLONG, offsetof(hp_binder, over), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot binder_slots[] = {{Py_tp_new, HP_SLOT(binder_new)},
                                     {Py_tp_call, HP_SLOT(PyVectorcall_Call)},
                                     {Py_tp_dealloc, HP_SLOT(binder_dealloc)},
                                     {Py_tp_traverse, HP_SLOT(binder_traverse)},
                                     {Py_tp_getattro, HP_SLOT(binder_getattro)},
                                     {Py_tp_descr_get, HP_SLOT(binder_get)},
                                     {Py_tp_members, binder_members},
                                     {0, NULL}};
static PyType_Spec binder_spec = {
    "houndstooth._core.Method", sizeof(hp_binder), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR, binder_slots};

int hp_method_init(PyObject *module)
{
    binder_type = hp_add_type(module, &binder_spec, NULL);
    hp.call_type = hp_add_type(module, &call_spec, NULL);
    return binder_type && hp.call_type ? 0 : -1;
}
