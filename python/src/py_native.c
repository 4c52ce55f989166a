/*
 * py_native.c - classes and nodes of the library, called from Python without the interpreter's lock.
 *
 * Native(cls, args) is an instance of a class written in C: call(method, ...) is one row, batch(method, columns,
 * constants) many in one call. run_node(type, ...) is one call of a node's row form. Arguments name their shape
 * ("passages", "embedding", ...), as py_shapes.c reads it, and are copied or shared before the lock is let go.
 */
#include "py_core.h"

typedef struct hp_native {
    PyObject_HEAD ht_instance *instance;
} hp_native;

/* ---- arguments: (shape, object) ---- */

static int any_value(PyObject *object, ht_value *out)
{
    ht_value value;
    ht_error err = {0};
    ht_status status = hp_wrap(object, &value, &err);
    if (status == HT_OK) {
        status = hp_to_native(value, out, &err);
        ht_value_release(value);
    }
    return status == HT_OK ? 0 : PyErr_Occurred() ? -1 : hp_raise(&err);
}

static int passages_value(PyObject *object, ht_value *out) { return hp_passages(object, false, out); }
static int encoded_value(PyObject *object, ht_value *out) { return hp_passages(object, true, out); }

/* Lists of lists of hits, for fusion. */
static int lists_value(PyObject *object, ht_value *out)
{
    ht_error err = {0};
    PyObject *lists = PyUnicode_Check(object) || PyDict_Check(object) ? NULL : PySequence_Tuple(object);
    if (!lists) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "lists of hits are wanted");
        return -1;
    }
    const Py_ssize_t n = PyTuple_Size(lists);
    ht_value *items = PyMem_Malloc(((size_t)n + 1) * sizeof *items);
    Py_ssize_t made = 0;
    if (!items) PyErr_NoMemory();
    while (items && made < n && hp_hits(PyTuple_GetItem(lists, made), &items[made]) == 0) made++;
    int done = items && made == n ? 0 : -1;
    if (done == 0 && ht_value_list_take(items, (size_t)n, out, &err) != HT_OK)
        done = hp_raise(&err);
    else if (done < 0)
        for (Py_ssize_t i = 0; i < made; i++) ht_value_release(items[i]);
    PyMem_Free(items);
    Py_DECREF(lists);
    return done;
}

/* A value in the shape that is named; "any" is whatever native code can hold. */
static int shape_value(const char *shape, PyObject *object, ht_value *out)
{
    static const struct {
        const char *name;
        int (*make)(PyObject *, ht_value *);
    } shapes[] = {{"any", any_value},         {"embedding", hp_embedding}, {"passages", passages_value},
                  {"encoded", encoded_value}, {"hits", hp_hits},           {"lists", lists_value}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (!strcmp(shape, shapes[i].name)) return shapes[i].make(object, out);
    PyErr_Format(PyExc_ValueError, "no shape '%s'", shape);
    return -1;
}

/* Alternating shapes and objects from `at` on: values [n]; -1 with an exception and nothing made. */
static Py_ssize_t read_arguments(PyObject *args, Py_ssize_t at, ht_value *values)
{
    const Py_ssize_t n = (PyTuple_Size(args) - at) / 2;
    if (n > HP_MAX_INPUTS || at + 2 * n != PyTuple_Size(args)) {
        PyErr_SetString(PyExc_TypeError, "arguments are pairs of shape and object");
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *shape = hp_text(PyTuple_GetItem(args, at + 2 * i), "a shape");
        values[i] = ht_value_null();
        if (shape && shape_value(shape, PyTuple_GetItem(args, at + 2 * i + 1), &values[i]) == 0) continue;
        while (i-- > 0) ht_value_release(values[i]);
        return -1;
    }
    return n;
}

static void release_all(ht_value *values, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) ht_value_release(values[i]);
}

static PyObject *new_native(ht_instance *instance)
{
    hp_native *self = PyObject_New(hp_native, hp.native_type);
    if (self)
        self->instance = instance;
    else
        ht_instance_release(instance);
    return (PyObject *)self;
}

/* ---- calls ---- */

/* call(method, shape, object, ...) */
static PyObject *native_call(PyObject *self, PyObject *args)
{
    ht_value values[HP_MAX_INPUTS], out = ht_value_null();
    ht_error err = {0};
    ht_status status;
    PyObject *result = NULL;
    const char *method = PyTuple_Size(args) ? hp_text(PyTuple_GetItem(args, 0), "a method's name") : NULL;
    if (!method) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "call(method, shape, object, ...)");
        return NULL;
    }
    const bool before = hp_enter();
    const Py_ssize_t n = read_arguments(args, 1, values);
    if (n >= 0) {
        HP_NATIVE_BEGIN
        status = ht_instance_call(((hp_native *)self)->instance, method, values, (size_t)n, &out, &err);
        HP_NATIVE_END
        release_all(values, n);
        if (status == HT_OK)
            result = hp_unwrap_hits(out);
        else
            (void)hp_raise(&err);
        ht_value_release(out);
    }
    hp_leave(before);
    return result;
}

typedef struct batch {
    ht_column columns[HP_MAX_INPUTS];
    ht_value *rows[HP_MAX_INPUTS]; /* owned arrays, [n] or of one constant */
    Py_ssize_t made[HP_MAX_INPUTS], n_columns, n;
} batch;

static void free_batch(batch *b)
{
    for (Py_ssize_t c = 0; c < b->n_columns; c++) {
        release_all(b->rows[c], b->made[c]);
        PyMem_Free(b->rows[c]);
    }
}

/* A column of rows, or of one constant. */
static int read_column(batch *b, const char *shape, PyObject *rows)
{
    if (!rows) return -1;
    const bool differ = PyTuple_Check(rows);
    const Py_ssize_t c = b->n_columns++, n = differ ? PyTuple_Size(rows) : 1;
    b->made[c] = 0;
    b->rows[c] = PyMem_Malloc(((size_t)n + 1) * sizeof(ht_value));
    if (!b->rows[c]) {
        PyErr_NoMemory();
        return -1;
    }
    b->columns[c] = (ht_column){b->rows[c], !differ};
    if (differ && b->n >= 0 && n != b->n) {
        PyErr_Format(PyExc_ValueError, "columns of %zd and %zd rows", b->n, n);
        return -1;
    }
    if (differ) b->n = n;
    for (; b->made[c] < n; b->made[c]++) {
        PyObject *row = differ ? PyTuple_GetItem(rows, b->made[c]) : rows;
        if (shape_value(shape, row, &b->rows[c][b->made[c]]) < 0) return -1;
    }
    return 0;
}

static PyObject *call_rows(hp_native *self, const char *method, batch *b)
{
    ht_error err = {0};
    ht_status status;
    ht_value *out = PyMem_Calloc((size_t)b->n + 1, sizeof *out);
    if (!out) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < b->n; i++) out[i] = ht_value_null();
    HP_NATIVE_BEGIN
    status = ht_instance_call_batch(self->instance, method, (size_t)b->n, b->columns, (size_t)b->n_columns, out, &err);
    HP_NATIVE_END
    PyObject *list = status == HT_OK ? PyList_New(b->n) : NULL;
    for (Py_ssize_t i = 0; list && i < b->n; i++) {
        PyObject *item = hp_unwrap_hits(out[i]);
        if (!item || PyList_SetItem(list, i, item) < 0) Py_CLEAR(list);
    }
    if (status == HT_OK)
        release_all(out, b->n);
    else
        (void)hp_raise(&err);
    PyMem_Free(out);
    return list;
}

/* batch(method, shape, rows, ...): rows are a tuple where they differ, anything else is the same for all. */
static PyObject *native_batch(PyObject *self, PyObject *args)
{
    batch b = {.n = -1};
    PyObject *result = NULL;
    const Py_ssize_t n_args = PyTuple_Size(args);
    const char *method = n_args % 2 ? hp_text(PyTuple_GetItem(args, 0), "a method's name") : NULL;
    if (!method || n_args > 2 * HP_MAX_INPUTS) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "batch(method, shape, rows, ...)");
        return NULL;
    }
    const bool before = hp_enter();
    bool ok = true;
    for (Py_ssize_t i = 1; ok && i < n_args; i += 2) {
        const char *shape = hp_text(PyTuple_GetItem(args, i), "a shape");
        ok = shape && read_column(&b, shape, PyTuple_GetItem(args, i + 1)) == 0;
    }
    if (ok && b.n < 0) PyErr_SetString(PyExc_TypeError, "no column of rows");
    if (ok && b.n == 0) result = PyList_New(0);
    if (ok && b.n > 0) result = call_rows((hp_native *)self, method, &b);
    free_batch(&b);
    hp_leave(before);
    return result;
}

/* Native(cls, names, shape, object, ...): nothing is loaded before the first call. */
static PyObject *native_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    ht_value values[HP_MAX_INPUTS], given;
    ht_error err = {0};
    ht_instance *instance = NULL;
    const char **names;
    PyObject *keep;
    (void)type;
    (void)kwargs;
    const char *name = PyTuple_Size(args) >= 2 ? hp_text(PyTuple_GetItem(args, 0), "a class's name") : NULL;
    if (!name) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "Native(cls, names, shape, object, ...)");
        return NULL;
    }
    const ht_class *cls = ht_registry_class(hp_registry(), name);
    if (!cls) return PyErr_Format(PyExc_ValueError, "the library has no class '%s'", name);
    const Py_ssize_t n_names = hp_texts(PyTuple_GetItem(args, 1), "names", &names, &keep);
    if (n_names < 0) return NULL;
    const bool before = hp_enter();
    const Py_ssize_t n = read_arguments(args, 2, values);
    if (n >= 0 && n != n_names) PyErr_SetString(PyExc_TypeError, "as many names as arguments are wanted");
    if (n >= 0 && n == n_names) {
        ht_status status = ht_value_struct(names, values, (size_t)n, &given, &err);
        if (status == HT_OK) {
            status = ht_instance_new(cls, given, &instance, &err);
            ht_value_release(given);
        }
        if (status != HT_OK) (void)hp_raise(&err);
    }
    if (n > 0) release_all(values, n);
    hp_leave(before);
    PyMem_Free(names);
    Py_XDECREF(keep);
    return instance ? new_native(instance) : NULL;
}

static void native_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    const bool before = hp_enter();
    ht_instance_release(((hp_native *)self)->instance);
    hp_leave(before);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* ---- nodes ---- */

/* run_node(type, shape, object, ...): its outputs, one alone as it is, an instance as a Native. */
static PyObject *run_node(PyObject *module, PyObject *args)
{
    ht_value values[HP_MAX_INPUTS], out = ht_value_null();
    ht_error err = {0};
    ht_status status;
    PyObject *result = NULL;
    (void)module;
    const char *type = PyTuple_Size(args) ? hp_text(PyTuple_GetItem(args, 0), "a node's type") : NULL;
    if (!type) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "run_node(type, shape, object, ...)");
        return NULL;
    }
    const ht_node_desc *node = ht_registry_node(hp_registry(), type);
    if (!node || !node->forms.row || node->n_outputs != 1)
        return PyErr_Format(PyExc_ValueError, "the library has no node '%s' of one row", type);
    const bool before = hp_enter();
    const Py_ssize_t n = read_arguments(args, 1, values);
    if (n >= 0 && (size_t)n != node->n_inputs) PyErr_Format(PyExc_TypeError, "%s has %zu inputs", type, node->n_inputs);
    if (n >= 0 && (size_t)n == node->n_inputs) {
        HP_NATIVE_BEGIN
        status = node->forms.row(node->self, values, &out, &err);
        HP_NATIVE_END
        ht_instance *instance = status == HT_OK ? ht_value_instance(out) : NULL;
        if (status != HT_OK) (void)hp_raise(&err);
        if (instance) ht_instance_retain(instance);
        if (status == HT_OK) result = instance ? new_native(instance) : hp_unwrap(out);
        ht_value_release(out);
    }
    if (n > 0) release_all(values, n);
    hp_leave(before);
    return result;
}

/* find_model(name): its folder. */
static PyObject *find_model(PyObject *module, PyObject *name)
{
    char path[4096];
    ht_error err = {0};
    const char *text = hp_text(name, "a model's name");
    (void)module;
    if (!text) return NULL;
    if (ht_model_find(text, path, sizeof path, &err) == HT_OK) return PyUnicode_DecodeFSDefault(path);
    (void)hp_raise(&err);
    return NULL;
}

static PyMethodDef native_methods[] = {
    {"call", native_call, METH_VARARGS, NULL}, {"batch", native_batch, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot native_slots[] = {{Py_tp_new, HP_SLOT(native_new)},
                                     {Py_tp_dealloc, HP_SLOT(native_dealloc)},
                                     {Py_tp_methods, native_methods},
                                     {0, NULL}};
static PyType_Spec native_spec = {"houndstooth._core.Native", sizeof(hp_native), 0, Py_TPFLAGS_DEFAULT, native_slots};
static PyMethodDef functions[] = {
    {"run_node", run_node, METH_VARARGS, NULL}, {"find_model", find_model, METH_O, NULL}, {NULL, NULL, 0, NULL}};

int hp_native_init(PyObject *module)
{
    hp.native_type = hp_add_type(module, &native_spec, NULL);
    return hp.native_type ? PyModule_AddFunctions(module, functions) : -1;
}
