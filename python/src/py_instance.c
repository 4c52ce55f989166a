/*
 * py_instance.c - Python classes as classes of the library, and the proxies that stand for their instances.
 *
 * A Class describes the methods of a Python class once. Its instances are specs: the tuple (Class, args, kwargs) that
 * `init` makes the live object of, at the first call, wherever that is. A live object is an hp_object: the Python
 * object with a pair {object, method} for each method, because the library hands one pointer to a form.
 * Each method X with a batch form XB is there as X (rows that gather), "X:row", XB (one direct call, arguments as
 * given) and "XB:batch" (of pieces, which frames cut columns into). "(get)", "(set)" and "(call)" reach everything
 * else of an object, also in another process.
 * A Method is the descriptor in the proxy's class: called, it binds arguments by its signature and then stops the body
 * that it is called from (py_stack.c), builds an expression, or calls at once.
 */
#include "py_series.h"

#include <stddef.h>
#include <string.h>

typedef struct hp_method {
    const char *name; /* kept by `keep` */
    PyObject *function, *batch, *kwnames;
    Py_ssize_t n_params, n_positional, batch_positional;
    PyObject *batch_kwnames;
    bool as_list;             /* a batch method over pieces of columns, which wants lists */
    bool is_static;           /* a function of its own, which is given no object */
    bool as_series, is_whole; /* is_whole: a batch method that is called as it stands */
    uint64_t over;            /* of it: parameters that are columns */
} hp_method;

typedef struct hp_class {
    PyObject_HEAD ht_class desc;
    ht_method *methods; /* [desc.n_methods] */
    hp_method *python;  /* [desc.n_methods] */
    PyObject *target;   /* the Python class */
    PyObject *proxy;    /* the class of proxies, borrowed: it holds this; NULL before it is made */
    PyObject *keep;     /* the description it was made of */
    PyObject *name, *version;
    uint64_t failure; /* cause of a failed init, kept */
} hp_class;

typedef struct hp_object {
    PyObject *self;
    hp_class *cls;
    struct pair {
        struct hp_object *object;
        const hp_method *method;
    } pairs[]; /* [cls->desc.n_methods] */
} hp_object;

typedef struct hp_instance {
    PyObject_HEAD ht_instance *instance;
    PyObject *spec; /* (Class, args, kwargs); NULL of a class written in C */
    PyObject *weak;
} hp_instance;

static PyObject *proxies; /* {address of an ht_instance: address of its proxy} */

/* ---- live objects ---- */

static ht_status init_object(void **self, ht_value args, ht_error *err)
{
    PyObject *spec = ht_value_object(args, &hp_object_type);
    const hp_gil gil = hp_gil_take();
    hp_class *cls = (hp_class *)PyTuple_GetItem(spec, 0);
    hp_object *object = PyMem_Calloc(1, offsetof(hp_object, pairs) + cls->desc.n_methods * sizeof(struct pair));
    if (!object) PyErr_NoMemory();
    PyObject *made = object ? PyObject_Call(cls->target, PyTuple_GetItem(spec, 1), PyTuple_GetItem(spec, 2)) : NULL;
    ht_status status = HT_OK;
    if (!made) {
        PyMem_Free(object);
        status = hp_fail(err);
        hp_cause_keep(err->cause);
        if (cls->failure) hp_cause_drop(cls->failure);
        cls->failure = err->cause;
    } else {
        object->self = made;
        object->cls = (hp_class *)Py_NewRef((PyObject *)cls);
        for (size_t i = 0; i < cls->desc.n_methods; i++) object->pairs[i] = (struct pair){object, &cls->python[i]};
        *self = object;
    }
    hp_gil_give(gil);
    return status;
}

static void end_object(PyObject *self)
{
    PyObject *way = PyObject_GetAttrString(self, "__exit__");
    PyObject *done = way ? PyObject_CallFunctionObjArgs(way, Py_None, Py_None, Py_None, NULL) : NULL;
    if (!way) {
        PyErr_Clear();
        way = PyObject_GetAttrString(self, "close");
        done = way ? PyObject_CallNoArgs(way) : NULL;
    }
    if (!way)
        PyErr_Clear();
    else if (!done)
        PyErr_WriteUnraisable(self);
    Py_XDECREF(way);
    Py_XDECREF(done);
}

static void fini_object(void *self)
{
    hp_object *object = self;
    if (!Py_IsInitialized()) return;
    const hp_gil gil = hp_gil_take();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    end_object(object->self);
    Py_DECREF(object->self);
    Py_DECREF((PyObject *)object->cls);
    PyMem_Free(object);
    PyErr_Restore(type, value, traceback);
    hp_gil_give(gil);
}

static void *self_for(void *object, const ht_forms *forms)
{
    hp_object *o = object;
    const ht_method *method = (const ht_method *)(const void *)((const char *)forms - offsetof(ht_method, forms));
    return &o->pairs[method - o->cls->methods];
}

/* ---- forms ---- */

/* A list, tuple or array as a Series in its place; NULL with an exception. */
static void as_column(PyObject **slot)
{
    PyObject *object = *slot;
    const bool is_array = PyObject_CheckBuffer(object) && !PyBytes_Check(object) && Py_TYPE(object) != hp.series_type;
    if (!PyList_Check(object) && !PyTuple_Check(object) && !is_array) return;
    if (!hp.to_series) {
        PyObject *module = PyImport_ImportModule("houndstooth._frame");
        hp.to_series = module ? PyObject_GetAttrString(module, "to_series") : NULL;
        Py_XDECREF(module);
    }
    *slot = hp.to_series ? hp_call_one(hp.to_series, object) : NULL;
    Py_DECREF(object);
}

/* args: room, the object, the arguments. */
static PyObject *call_method(const hp_method *m, PyObject *function, PyObject **args, Py_ssize_t n_positional,
                             PyObject *kwnames)
{
    const int skip = m->is_static;
    return PyObject_Vectorcall(function, args + 1 + skip,
                               (size_t)(n_positional + 1 - skip) | PY_VECTORCALL_ARGUMENTS_OFFSET, kwnames);
}

/* A Series as a list in its place; NULL with an exception. */
static void as_list(PyObject **slot)
{
    PyObject *series = *slot;
    *slot = hp_series_list(hp_series_of(series));
    Py_DECREF(series);
}

static PyObject *call_row(const struct pair *p, const ht_value *in)
{
    PyObject *args[HP_MAX_INPUTS + 2], *result = NULL;
    const hp_method *m = p->method;
    Py_ssize_t n = 0;
    args[0] = NULL;
    args[1] = p->object->self;
    for (; n < m->n_params; n++) {
        args[n + 2] = hp_unwrap(in[n]);
        if (args[n + 2] && m->is_whole && m->as_series && (m->over >> n & 1)) as_column(&args[n + 2]);
        if (args[n + 2] && m->as_list && hp_series_of(args[n + 2])) as_list(&args[n + 2]);
        if (!args[n + 2]) break;
    }
    if (n == m->n_params) result = call_method(m, m->function, args, m->n_positional, m->kwnames);
    for (Py_ssize_t i = 0; i < n; i++) Py_DECREF(args[i + 2]);
    return result;
}

static ht_status method_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *result = call_row(self, in);
    const ht_status status = result ? hp_wrap(result, out, err) : hp_fail(err);
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}

/* Rows of a batch method that is called as it stands: the length of its first argument. */
static size_t rows_of(ht_value first)
{
    const hp_gil gil = hp_gil_take();
    PyObject *column = hp_unwrap(first);
    const Py_ssize_t n = column && PySequence_Check(column) ? PyObject_Size(column) : 0;
    Py_XDECREF(column);
    PyErr_Clear();
    hp_gil_give(gil);
    return n > 0 ? (size_t)n : 0;
}

static ht_status method_start(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *coroutine = call_row(self, in);
    const ht_status status = coroutine ? hp_spawn(coroutine, completion, 1, err) : hp_fail(err);
    hp_gil_give(gil);
    return status;
}

/* Waits for what a coroutine comes to; takes it. */
static PyObject *run_coroutine(PyObject *coroutine)
{
    PyObject *loop = PyImport_ImportModule("houndstooth._loop");
    PyObject *result = loop ? PyObject_CallMethod(loop, "wait", "O", coroutine) : NULL;
    Py_XDECREF(loop);
    Py_DECREF(coroutine);
    return result;
}

static PyObject *column_of(const hp_method *m, const ht_column *column, size_t n)
{
    if (column->constant) return hp_unwrap(column->rows[0]);
    if (m->as_series) return hp_series_of_values(column->rows, n);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap(column->rows[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

static ht_status method_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    const struct pair *p = self;
    const hp_method *m = p->method;
    const hp_gil gil = hp_gil_take();
    PyObject *args[HP_MAX_INPUTS + 2], *result = NULL;
    Py_ssize_t made = 0;
    args[0] = NULL;
    args[1] = p->object->self;
    for (; made < m->n_params; made++) {
        args[made + 2] = column_of(m, &in[made], n);
        if (!args[made + 2]) break;
    }
    if (made == m->n_params) result = call_method(m, m->batch, args, m->batch_positional, m->batch_kwnames);
    for (Py_ssize_t i = 0; i < made; i++) Py_DECREF(args[i + 2]);
    if (result && Py_TYPE(result) == hp.coroutine_type) result = run_coroutine(result);
    const ht_status status = result ? hp_take_rows(result, n, out[0], err) : hp_fail(err);
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}

/* ---- "(get)", "(set)", "(call)" ---- */

static PyObject *reach(const hp_object *object, int how, const ht_value *in)
{
    PyObject *name = hp_unwrap(in[0]), *result = NULL, *a = NULL, *b = NULL;
    if (name && how == 0) result = PyObject_GetAttr(object->self, name);
    if (name && how > 0) a = hp_unwrap(in[1]);
    if (a && how == 1 && PyObject_SetAttr(object->self, name, a) == 0) result = Py_NewRef(Py_None);
    if (a && how == 2) {
        PyObject *function = PyObject_GetAttr(object->self, name);
        b = function ? hp_unwrap(in[2]) : NULL;
        result = b ? PyObject_Call(function, a, b) : NULL;
        Py_XDECREF(function);
    }
    Py_XDECREF(name);
    Py_XDECREF(a);
    Py_XDECREF(b);
    return result;
}

static ht_status reach_row(const struct pair *p, int how, const ht_value *in, ht_value *out, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *result = reach(p->object, how, in);
    const ht_status status = result ? hp_wrap(result, out, err) : hp_fail(err);
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}
static ht_status get_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    return reach_row(self, 0, in, out, err);
}
static ht_status set_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    return reach_row(self, 1, in, out, err);
}
static ht_status call_any_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    return reach_row(self, 2, in, out, err);
}

/* ---- Class ---- */

static int need(PyObject *dict, const char *key, PyObject **out)
{
    *out = PyDict_GetItemString(dict, key); /* borrowed */
    if (*out) return 0;
    PyErr_Format(PyExc_KeyError, "a method's description lacks '%s'", key);
    return -1;
}

static unsigned long long number(PyObject *dict, const char *key)
{
    PyObject *value = PyDict_GetItemString(dict, key);
    return value && value != Py_None ? PyLong_AsUnsignedLongLong(value) : 0;
}

static bool flag(PyObject *dict, const char *key)
{
    PyObject *value = PyDict_GetItemString(dict, key);
    return value && PyObject_IsTrue(value) > 0;
}

static int read_names(PyObject *params, Py_ssize_t n_positional, PyObject **kwnames)
{
    const Py_ssize_t n = PyTuple_Size(params);
    if (n > HP_MAX_INPUTS) {
        PyErr_Format(PyExc_ValueError, "a method has at most %d parameters", HP_MAX_INPUTS);
        return -1;
    }
    *kwnames = n_positional < n ? PyTuple_GetSlice(params, n_positional, n) : NULL;
    return n_positional < n && !*kwnames ? -1 : 0;
}

/* {name, params, n_positional, row, batch, batch_params, batch_positional, is_async, as_series, over, ...} */
static int read_method(PyObject *dict, ht_method *method, hp_method *m)
{
    PyObject *name, *params;
    if (need(dict, "name", &name) < 0 || need(dict, "params", &params) < 0) return -1;
    PyObject *row = PyDict_GetItemString(dict, "row"), *batch = PyDict_GetItemString(dict, "batch");
    m->name = hp_text(name, "a method's name");
    m->n_params = PyTuple_Size(params);
    m->n_positional = (Py_ssize_t)number(dict, "n_positional");
    m->function = row && row != Py_None ? row : NULL;
    m->batch = batch && batch != Py_None ? batch : NULL;
    m->as_series = flag(dict, "as_series");
    m->is_whole = flag(dict, "is_whole");
    m->over = number(dict, "over");
    if (!m->name || read_names(params, m->n_positional, &m->kwnames) < 0) return -1;
    if (m->batch) {
        PyObject *batch_params = PyDict_GetItemString(dict, "batch_params");
        m->batch_positional = (Py_ssize_t)number(dict, "batch_positional");
        if (!batch_params) batch_params = params;
        if (read_names(batch_params, m->batch_positional, &m->batch_kwnames) < 0) return -1;
    }
    *method = (ht_method){.name = m->name, .n_inputs = (size_t)m->n_params};
    ht_forms *forms = &method->forms;
    forms->self_for = self_for;
    if (m->function && flag(dict, "is_async"))
        forms->start = method_start;
    else if (m->function)
        forms->row = method_row;
    m->is_static = flag(dict, "is_static");
    m->as_list = flag(dict, "as_list");
    if (m->batch) forms->batch = method_batch;
    forms->returns = HT_DTYPE_OBJECT; /* as they are: py_steps.c makes columns of them */
    forms->over = number(dict, "over");
    if (m->is_whole && m->n_params) forms->rows_of = rows_of;
    forms->batch_size = (size_t)number(dict, "batch_size");
    forms->max_retries = (uint32_t)number(dict, "max_retries");
    forms->retry_wait_ms = (uint32_t)number(dict, "retry_wait_ms");
    forms->timeout_ms = (uint32_t)number(dict, "timeout_ms");
    forms->on_error = (ht_on_error)number(dict, "on_error");
    return PyErr_Occurred() ? -1 : 0;
}

static void add_reach(hp_class *cls, size_t at, const char *name, size_t n_inputs, ht_row_fn row)
{
    cls->methods[at] = (ht_method){.name = name, .n_inputs = n_inputs, .forms = {.row = row, .self_for = self_for}};
    cls->python[at] = (hp_method){.name = name, .n_params = (Py_ssize_t)n_inputs};
}

static void class_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_class *cls = (hp_class *)self;
    PyObject_GC_UnTrack(self);
    for (size_t i = 0; cls->python && i < cls->desc.n_methods; i++) {
        Py_XDECREF(cls->python[i].kwnames);
        Py_XDECREF(cls->python[i].batch_kwnames);
    }
    if (cls->failure) hp_cause_drop(cls->failure);
    PyMem_Free(cls->methods);
    PyMem_Free(cls->python);
    Py_XDECREF(cls->target);
    Py_XDECREF(cls->keep);
    Py_XDECREF(cls->name);
    Py_XDECREF(cls->version);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static int class_traverse(PyObject *self, visitproc visit, void *arg)
{
    hp_class *cls = (hp_class *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cls->target);
    Py_VISIT(cls->keep);
    return 0;
}

static int class_clear(PyObject *self)
{
    (void)self; /* what it holds, live objects may call: it goes with the last of them */
    return 0;
}

static int fill_class(hp_class *cls, PyObject *methods)
{
    const Py_ssize_t n = PyTuple_Size(methods);
    const size_t all = (size_t)n + 3;
    cls->methods = PyMem_Calloc(all, sizeof *cls->methods);
    cls->python = PyMem_Calloc(all, sizeof *cls->python);
    if (!cls->methods || !cls->python) {
        PyErr_NoMemory();
        return -1;
    }
    cls->desc.n_methods = all;
    for (Py_ssize_t i = 0; i < n; i++)
        if (read_method(PyTuple_GetItem(methods, i), &cls->methods[i], &cls->python[i]) < 0) return -1;
    add_reach(cls, (size_t)n, "(get)", 1, get_row);
    add_reach(cls, (size_t)n + 1, "(set)", 2, set_row);
    add_reach(cls, (size_t)n + 2, "(call)", 3, call_any_row);
    cls->desc.methods = cls->methods;
    return 0;
}

static PyObject *class_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"target",      "name", "methods", "max_concurrency",
                                        "use_process", "gpus", "version", NULL};
    PyObject *target, *name, *methods, *version = Py_None;
    unsigned int max_concurrency = 0;
    int use_process = 0;
    double gpus = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OUO!|IpdO", HP_KEYWORDS(names), &target, &name, &PyTuple_Type,
                                     &methods, &max_concurrency, &use_process, &gpus, &version))
        return NULL;
    hp_class *cls = PyObject_GC_New(hp_class, type);
    if (!cls) return NULL;
    memset((char *)cls + sizeof(PyObject), 0, sizeof *cls - sizeof(PyObject));
    cls->target = Py_NewRef(target);
    cls->keep = Py_NewRef(methods);
    cls->name = Py_NewRef(name);
    cls->version = Py_NewRef(version);
    cls->desc = (ht_class){HT_DESC(ht_class),          .init = init_object,
                           .fini = fini_object,        .max_concurrency = max_concurrency,
                           .use_process = use_process, .gpus = gpus};
    PyObject_GC_Track((PyObject *)cls);
    cls->desc.name = hp_text(name, "a class's name");
    if (version != Py_None) cls->desc.version = hp_text(version, "a class's version");
    if (!cls->desc.name || PyErr_Occurred() || fill_class(cls, methods) < 0) {
        Py_DECREF((PyObject *)cls);
        return NULL;
    }
    return (PyObject *)cls;
}

static PyObject *class_set_proxy(PyObject *self, PyObject *proxy)
{
    ((hp_class *)self)->proxy = proxy; /* borrowed: the proxy holds the class */
    Py_RETURN_NONE;
}

static PyObject *class_get_proxy(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *proxy = ((hp_class *)self)->proxy;
    return Py_NewRef(proxy ? proxy : Py_None);
}

static PyMemberDef class_members[] = {
    {"target", Py_T_OBJECT_EX, offsetof(hp_class, target), Py_READONLY, "The Python class."},
    {"name", Py_T_OBJECT_EX, offsetof(hp_class, name), Py_READONLY, NULL},
    {"version", Py_T_OBJECT_EX, offsetof(hp_class, version), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyGetSetDef class_fields[] = {{"proxy", class_get_proxy, NULL, "The class of its instances.", NULL},
                                     {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef class_methods[] = {{"set_proxy", class_set_proxy, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot class_slots[] = {
    {Py_tp_new, HP_SLOT(class_new)},
    {Py_tp_dealloc, HP_SLOT(class_dealloc)},
    {Py_tp_traverse, HP_SLOT(class_traverse)},
    {Py_tp_clear, HP_SLOT(class_clear)},
    {Py_tp_members, class_members},
    {Py_tp_getset, class_fields},
    {Py_tp_methods, class_methods},
    {Py_tp_doc, HP_DOC("Class(target, name, methods, max_concurrency=0, use_process=False, "
                       "gpus=0, version=None)")},
    {0, NULL}};
static PyType_Spec class_spec = {"houndstooth._core.Class", sizeof(hp_class), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, class_slots};

/* ---- proxies ---- */

ht_instance *hp_instance_of(PyObject *object)
{
    if (Py_TYPE(object) == hp.instance_type || PyObject_TypeCheck(object, hp.instance_type))
        return ((hp_instance *)object)->instance;
    return NULL;
}

const ht_class *hp_class_of_spec(PyObject *spec)
{
    if (!spec || !PyTuple_CheckExact(spec) || PyTuple_Size(spec) != 3) return NULL;
    PyObject *cls = PyTuple_GetItem(spec, 0);
    return Py_TYPE(cls) == hp.class_type ? &((hp_class *)cls)->desc : NULL;
}

static int note_proxy(hp_instance *self)
{
    PyObject *key = PyLong_FromVoidPtr(self->instance), *value = PyLong_FromVoidPtr(self);
    const int done = key && value ? PyDict_SetItem(proxies, key, value) : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return done;
}

static PyObject *find_proxy(const ht_instance *instance)
{
    PyObject *key = PyLong_FromVoidPtr((void *)(uintptr_t)instance);
    PyObject *found = key ? PyDict_GetItemWithError(proxies, key) : NULL;
    Py_XDECREF(key);
    return found ? Py_NewRef((PyObject *)PyLong_AsVoidPtr(found)) : NULL;
}

static hp_instance *new_proxy(PyTypeObject *type, ht_instance *instance, PyObject *spec)
{
    allocfunc alloc;
    void *slot = PyType_GetSlot(type, Py_tp_alloc);
    memcpy(&alloc, &slot, sizeof alloc);
    hp_instance *self = (hp_instance *)alloc(type, 0);
    if (!self) return NULL;
    self->instance = instance;
    self->spec = Py_XNewRef(spec);
    if (note_proxy(self) == 0) return self;
    self->instance = NULL;
    Py_DECREF((PyObject *)self);
    return NULL;
}

PyObject *hp_proxy_of(ht_value value)
{
    ht_instance *instance = ht_value_instance(value);
    PyObject *found = find_proxy(instance);
    if (found || PyErr_Occurred()) return found;
    PyObject *spec = ht_value_object(ht_instance_args(instance), &hp_object_type);
    PyTypeObject *type = hp.instance_type;
    if (spec && PyTuple_CheckExact(spec) && Py_TYPE(PyTuple_GetItem(spec, 0)) == hp.class_type) {
        PyObject *proxy = ((hp_class *)PyTuple_GetItem(spec, 0))->proxy;
        if (proxy) type = (PyTypeObject *)proxy;
    }
    ht_instance_retain(instance);
    PyObject *made = (PyObject *)new_proxy(type, instance, spec);
    if (!made) ht_instance_release(instance);
    return made;
}

/* ---- instances that bodies make ---- */

/*
 * One made anew for every item would load anew for every item, so equal arguments give the same one: plain values are
 * equal by type and value, other objects where they are the same object. Instances of plain values alone live on, of
 * others until no run is under way, because such objects may change in between. {key: proxy}, oldest first.
 */
enum { MAX_INTERNED = 64 };
static PyObject *interned[2]; /* of plain values; of objects */

static PyObject *key_of_argument(PyObject *argument, bool *is_plain)
{
    if (PyFloat_CheckExact(argument)) return Py_BuildValue("(ON)", Py_TYPE(argument), PyObject_Repr(argument));
    if (argument == Py_None || PyBool_Check(argument) || PyLong_CheckExact(argument) ||
        PyUnicode_CheckExact(argument) || PyBytes_CheckExact(argument))
        return PyTuple_Pack(2, Py_TYPE(argument), argument);
    if (PyObject_TypeCheck(argument, hp.instance_type))
        return Py_BuildValue("(iN)", 0, PyLong_FromVoidPtr(((hp_instance *)argument)->instance));
    *is_plain = false;
    return Py_BuildValue("(iN)", 1, PyLong_FromVoidPtr(argument));
}

/* A key for `interned`, and which of the two. */
static PyObject *key_of_spec(PyObject *cls, PyObject *args, PyObject *keywords, size_t *which)
{
    PyObject *key = PyList_New(0), *name, *value;
    Py_ssize_t at = 0;
    bool is_plain = true, good = key && PyList_Append(key, cls) == 0;
    for (Py_ssize_t i = 0; good && i < PyTuple_Size(args); i++) {
        PyObject *part = key_of_argument(PyTuple_GetItem(args, i), &is_plain);
        good = part && PyList_Append(key, part) == 0;
        Py_XDECREF(part);
    }
    while (good && PyDict_Next(keywords, &at, &name, &value)) {
        PyObject *part = key_of_argument(value, &is_plain);
        good = part && PyList_Append(key, name) == 0 && PyList_Append(key, part) == 0;
        Py_XDECREF(part);
    }
    PyObject *tuple = good ? PyList_AsTuple(key) : NULL;
    Py_XDECREF(key);
    *which = is_plain ? 0 : 1;
    return tuple;
}

/* Takes `made` and gives what stands for the key from now on. */
static PyObject *intern(PyObject *key, size_t which, PyObject *made)
{
    if (!interned[which]) interned[which] = PyDict_New();
    PyObject *const table = interned[which];
    PyObject *old = table ? PyDict_GetItemWithError(table, key) : NULL; /* another thread may have been here */
    PyObject *oldest = NULL, *unused;
    Py_ssize_t at = 0;
    bool good = table && !PyErr_Occurred();
    if (old) {
        Py_INCREF(old);
        Py_DECREF(made);
        return old;
    }
    if (good && PyDict_Size(table) >= MAX_INTERNED && PyDict_Next(table, &at, &oldest, &unused)) {
        Py_INCREF(oldest);
        good = PyDict_DelItem(table, oldest) == 0;
        Py_DECREF(oldest);
    }
    if (good && PyDict_SetItem(table, key, made) == 0) return made;
    Py_DECREF(made);
    return NULL;
}

void hp_interned_end(void)
{
    PyObject *table = interned[1];
    interned[1] = NULL;
    Py_XDECREF(table);
}

static PyObject *make_instance(PyTypeObject *type, PyObject *cls, PyObject *args, PyObject *keywords);

static PyObject *interned_instance(PyTypeObject *type, PyObject *cls, PyObject *args, PyObject *keywords)
{
    size_t which = 0;
    PyObject *key = key_of_spec(cls, args, keywords, &which), *made = NULL;
    if (key && interned[which]) made = Py_XNewRef(PyDict_GetItemWithError(interned[which], key));
    if (key && !made && !PyErr_Occurred()) {
        made = make_instance(type, cls, args, keywords);
        if (made) made = intern(key, which, made);
    }
    Py_XDECREF(key);
    return made;
}

/* Instance.__new__(cls, *args, **kwargs): a spec, nothing is loaded. */
static PyObject *instance_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *cls = PyObject_GetAttrString((PyObject *)type, "__ht_class__"), *made = NULL;
    if (cls && Py_TYPE(cls) != hp.class_type) {
        PyErr_SetString(PyExc_TypeError, "instances are made by classes that houndstooth.cls decorates");
        Py_CLEAR(cls);
    }
    PyObject *keywords = !cls ? NULL : kwargs ? PyDict_Copy(kwargs) : PyDict_New();
    if (keywords)
        made = hp_in_body() ? interned_instance(type, cls, args, keywords) : make_instance(type, cls, args, keywords);
    Py_XDECREF(keywords);
    Py_XDECREF(cls);
    return made;
}

static PyObject *make_instance(PyTypeObject *type, PyObject *cls, PyObject *args, PyObject *keywords)
{
    ht_value value;
    ht_error err = {0};
    ht_instance *instance = NULL;
    PyObject *spec = PyTuple_Pack(3, cls, args, keywords);
    if (spec) {
        ht_status status = ht_value_opaque(&hp_object_type, Py_NewRef(spec), &value, &err);
        if (status == HT_OK) {
            status = hp_registry_instance(&((hp_class *)cls)->desc, value, &instance, &err);
            ht_value_release(value);
        }
        if (status != HT_OK) (void)hp_raise(&err);
    }
    hp_instance *self = instance ? new_proxy(type, instance, spec) : NULL;
    if (instance && !self) ht_instance_release(instance);
    Py_XDECREF(spec);
    return (PyObject *)self;
}

static int instance_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((hp_instance *)self)->spec);
    return 0;
}

static int instance_clear(PyObject *self)
{
    Py_CLEAR(((hp_instance *)self)->spec);
    return 0;
}

static void instance_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_instance *proxy = (hp_instance *)self;
    PyObject_GC_UnTrack(self);
    if (proxy->weak) PyObject_ClearWeakRefs(self);
    if (proxy->instance) {
        PyObject *key = PyLong_FromVoidPtr(proxy->instance);
        PyObject *noted = key ? PyDict_GetItemWithError(proxies, key) : NULL;
        if (noted && PyLong_AsVoidPtr(noted) == (void *)self && PyDict_DelItem(proxies, key) < 0) PyErr_Clear();
        Py_XDECREF(key);
        const bool before = hp_enter();
        ht_instance_release(proxy->instance);
        hp_leave(before);
    }
    (void)instance_clear(self);
    freefunc release;
    void *slot = PyType_GetSlot(type, Py_tp_free);
    memcpy(&release, &slot, sizeof release);
    release(self);
    Py_DECREF(type);
}

/* _call(name, *args): a method of the library's by its name, at once. */
static PyObject *instance_call(PyObject *self, PyObject *args)
{
    const Py_ssize_t n = PyTuple_Size(args) - 1;
    ht_value values[HP_MAX_INPUTS], out = ht_value_null();
    ht_error err = {0};
    Py_ssize_t made = 0;
    const char *name = n >= 0 && n <= HP_MAX_INPUTS ? hp_text(PyTuple_GetItem(args, 0), "a method's name") : NULL;
    if (!name) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "_call(name, *args)");
        return NULL;
    }
    const bool before = hp_enter();
    const uint64_t causes = hp_causes_begin();
    ht_status status = HT_OK;
    for (; status == HT_OK && made < n; made += status == HT_OK)
        status = hp_wrap(PyTuple_GetItem(args, made + 1), &values[made], &err);
    if (status == HT_OK)
        status = ht_instance_call(((hp_instance *)self)->instance, name, values, (size_t)n, &out, &err);
    for (Py_ssize_t i = 0; i < made; i++) ht_value_release(values[i]);
    PyObject *result = status == HT_OK ? hp_unwrap(out) : NULL;
    ht_value_release(out);
    if (status != HT_OK) (void)hp_raise(&err);
    hp_causes_end(causes);
    hp_leave(before);
    return result;
}

static PyObject *instance_stats(PyObject *self, PyObject *unused)
{
    (void)unused;
    const ht_instance_stats s = ht_instance_get_stats(((hp_instance *)self)->instance);
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K}", "objects", (unsigned long long)s.objects, "row_calls",
                         (unsigned long long)s.rows_alone, "batch_calls", (unsigned long long)s.batches, "batch_rows",
                         (unsigned long long)s.batch_rows, "starts", (unsigned long long)s.starts);
}

static PyMemberDef instance_members[] = {
    {"_spec", Py_T_OBJECT_EX, offsetof(hp_instance, spec), Py_READONLY, "(Class, args, kwargs)"},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(hp_instance, weak), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyMethodDef instance_methods[] = {
    {"_call", instance_call, METH_VARARGS, NULL}, {"_stats", instance_stats, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot instance_slots[] = {{Py_tp_new, HP_SLOT(instance_new)},
                                       {Py_tp_dealloc, HP_SLOT(instance_dealloc)},
                                       {Py_tp_traverse, HP_SLOT(instance_traverse)},
                                       {Py_tp_clear, HP_SLOT(instance_clear)},
                                       {Py_tp_members, instance_members},
                                       {Py_tp_methods, instance_methods},
                                       {Py_tp_doc, HP_DOC("An instance of a class that houndstooth.cls decorates.")},
                                       {0, NULL}};
static PyType_Spec instance_spec = {"houndstooth._core.Instance", sizeof(hp_instance), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, instance_slots};

int hp_instance_init(PyObject *module)
{
    proxies = PyDict_New();
    hp.class_type = hp_add_type(module, &class_spec, NULL);
    hp.instance_type = hp_add_type(module, &instance_spec, NULL);
    return proxies && hp.class_type && hp.instance_type ? hp_method_init(module) : -1;
}
