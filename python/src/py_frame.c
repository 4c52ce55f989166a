/*
 * py_frame.c - lazy frames as Python objects: columns in, expressions by their description (py_expr.c), results out.
 */
#include "py_series.h"

typedef struct hp_frame {
    PyObject_HEAD ht_frame *frame;
} hp_frame;

static PyObject *new_frame(ht_frame *frame)
{
    hp_frame *made = PyObject_New(hp_frame, hp.frame_type);
    if (!made) {
        ht_frame_release(frame);
        return NULL;
    }
    made->frame = frame;
    return (PyObject *)made;
}

static PyObject *give(ht_status status, ht_frame *frame, const ht_error *err)
{
    if (status == HT_OK) return new_frame(frame);
    (void)hp_raise(err);
    return NULL;
}

/* ---- expressions ---- */

/* All of a tuple of descriptions; NULL with an exception. */
static ht_expr **exprs_of(PyObject *described, Py_ssize_t *n)
{
    *n = PyTuple_Check(described) ? PyTuple_Size(described) : -1;
    if (*n < 0) {
        PyErr_SetString(PyExc_TypeError, "expressions are a tuple");
        return NULL;
    }
    ht_expr **made = PyMem_Calloc((size_t)*n + 1, sizeof(ht_expr *));
    if (!made) PyErr_NoMemory();
    for (Py_ssize_t i = 0; made && i < *n; i++) {
        made[i] = hp_expr_of(PyTuple_GetItem(described, i));
        if (made[i]) continue;
        for (Py_ssize_t k = 0; k < i; k++) ht_expr_free(made[k]);
        PyMem_Free(made);
        return NULL;
    }
    return made;
}

/* ---- making ---- */

/* from_columns(names, series) */
static PyObject *from_columns(PyObject *cls, PyObject *args)
{
    PyObject *names, *columns, *keep;
    const char **texts;
    ht_error err = {0};
    ht_frame *frame = NULL;
    (void)cls;
    if (!PyArg_ParseTuple(args, "OO!", &names, &PyTuple_Type, &columns)) return NULL;
    const Py_ssize_t n = hp_texts(names, "names of columns", &texts, &keep);
    ht_series **series = n >= 0 ? PyMem_Calloc((size_t)n + 1, sizeof(ht_series *)) : NULL;
    ht_status status = HT_FAILED;
    if (series && PyTuple_Size(columns) == n) {
        status = HT_OK;
        for (Py_ssize_t i = 0; status == HT_OK && i < n; i++) {
            series[i] = hp_series_of(PyTuple_GetItem(columns, i));
            if (!series[i]) status = HT_FAILED;
        }
        if (status == HT_OK) status = ht_frame_from_columns(texts, series, (size_t)n, &frame, &err);
    }
    PyMem_Free(series);
    PyMem_Free(texts);
    Py_XDECREF(keep);
    if (status != HT_OK && !err.message[0] && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "columns are as many Series as there are names");
    if (PyErr_Occurred()) return NULL;
    return give(status, frame, &err);
}

static PyObject *from_arrow(PyObject *cls, PyObject *object)
{
    PyObject *capsule = NULL;
    ht_frame *frame = NULL;
    ht_error err = {0};
    (void)cls;
    struct ArrowArrayStream *stream = hp_share_stream(object, &capsule);
    if (!stream) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "a table, or something with __arrow_c_stream__, is wanted, not a %S",
                         (PyObject *)Py_TYPE(object));
        return NULL;
    }
    ht_status status;
    HP_NATIVE_BEGIN /* a producer may compute in threads that need the GIL */
        status = ht_frame_from_arrow(stream, &frame, &err);
    HP_NATIVE_END
    hp_share_drop(capsule);
    return give(status, frame, &err);
}

/* ---- steps ---- */

/* with_columns(names, expressions) */
static PyObject *with_columns(PyObject *self, PyObject *args)
{
    PyObject *names, *described, *keep;
    const char **texts;
    ht_error err = {0};
    ht_frame *frame = NULL;
    Py_ssize_t n_exprs = 0;
    if (!PyArg_ParseTuple(args, "OO", &names, &described)) return NULL;
    const Py_ssize_t n = hp_texts(names, "names of columns", &texts, &keep);
    ht_expr **exprs = n >= 0 ? exprs_of(described, &n_exprs) : NULL;
    ht_status status = HT_FAILED;
    if (exprs) status = ht_frame_with_columns(((hp_frame *)self)->frame, texts, exprs, (size_t)n_exprs, &frame, &err);
    PyMem_Free(exprs);
    PyMem_Free(texts);
    Py_XDECREF(keep);
    if (!exprs) return NULL;
    return give(status, frame, &err);
}

/* select(expressions) */
static PyObject *select_columns(PyObject *self, PyObject *described)
{
    ht_error err = {0};
    ht_frame *frame = NULL;
    Py_ssize_t n;
    ht_expr **exprs = exprs_of(described, &n);
    if (!exprs) return NULL;
    const ht_status status = ht_frame_select(((hp_frame *)self)->frame, exprs, (size_t)n, &frame, &err);
    PyMem_Free(exprs);
    return give(status, frame, &err);
}

/* where(expression) */
static PyObject *where(PyObject *self, PyObject *described)
{
    ht_error err = {0};
    ht_frame *frame = NULL;
    ht_expr *expr = hp_expr_of(described);
    if (!expr) return NULL;
    const ht_status status = ht_frame_where(((hp_frame *)self)->frame, expr, &frame, &err);
    return give(status, frame, &err);
}

static PyObject *explode(PyObject *self, PyObject *name)
{
    ht_error err = {0};
    ht_frame *frame = NULL;
    const char *text = hp_text(name, "a column's name");
    if (!text) return NULL;
    const ht_status status = ht_frame_explode(((hp_frame *)self)->frame, text, &frame, &err);
    return give(status, frame, &err);
}

static PyObject *limit(PyObject *self, PyObject *count)
{
    ht_error err = {0};
    ht_frame *frame = NULL;
    const Py_ssize_t n = PyNumber_AsSsize_t(count, PyExc_OverflowError);
    if (n < 0) return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "limit is not negative: %zd", n);
    const ht_status status = ht_frame_limit(((hp_frame *)self)->frame, (size_t)n, &frame, &err);
    return give(status, frame, &err);
}

/* ---- running and reading ---- */

static PyObject *collect(PyObject *self, PyObject *engine)
{
    ht_error err = {0};
    ht_frame *frame = NULL;
    ht_run_options options = {HT_DESC(ht_run_options)};
    if (hp_engine_options(engine, &options) < 0) return NULL;
    const bool before = hp_enter();
    const uint64_t causes = hp_causes_begin();
    const ht_status status = ht_frame_collect(((hp_frame *)self)->frame, &options, &frame, &err);
    PyObject *made = give(status, frame, &err);
    hp_causes_end(causes);
    hp_leave(before);
    return made;
}

static PyObject *column(PyObject *self, PyObject *name)
{
    ht_error err = {0};
    ht_series *series = NULL;
    const char *text = hp_text(name, "a column's name");
    if (!text) return NULL;
    if (ht_frame_column(((hp_frame *)self)->frame, text, &series, &err) == HT_OK) return hp_series_new(series, name);
    (void)hp_raise(&err);
    return NULL;
}

static PyObject *names(PyObject *self, void *unused)
{
    const ht_frame *frame = ((hp_frame *)self)->frame;
    const size_t n = ht_frame_n_columns(frame);
    (void)unused;
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *name = PyUnicode_FromString(ht_frame_column_name(frame, i));
        if (!name || PyList_SetItem(list, (Py_ssize_t)i, name) < 0) Py_CLEAR(list);
    }
    return list;
}

/* Rows of a collected frame; None before. */
static PyObject *n_rows(PyObject *self, void *unused)
{
    const size_t n = ht_frame_n_rows(((hp_frame *)self)->frame);
    (void)unused;
    return n == SIZE_MAX ? Py_NewRef(Py_None) : PyLong_FromSize_t(n);
}

static PyObject *explain(PyObject *self, PyObject *unused)
{
    ht_writer *writer = NULL;
    ht_error err = {0};
    (void)unused;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_frame_explain(((hp_frame *)self)->frame, writer, &err);
    return hp_writer_text(writer, status, &err);
}

/* show(n, engine): the first rows as a table. */
static PyObject *show(PyObject *self, PyObject *args)
{
    PyObject *engine;
    Py_ssize_t n;
    ht_writer *writer = NULL;
    ht_error err = {0};
    ht_run_options options = {HT_DESC(ht_run_options)};
    if (!PyArg_ParseTuple(args, "nO", &n, &engine) || hp_engine_options(engine, &options) < 0) return NULL;
    const bool before = hp_enter();
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_frame_show(((hp_frame *)self)->frame, (size_t)n, &options, writer, &err);
    hp_leave(before);
    return hp_writer_text(writer, status, &err);
}

static void free_stream(PyObject *capsule)
{
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (!stream) return;
    if (stream->release) stream->release(stream);
    PyMem_Free(stream);
}

static PyObject *arrow_stream(PyObject *self, PyObject *args)
{
    ht_error err = {0};
    (void)args;
    struct ArrowArrayStream *stream = PyMem_Calloc(1, sizeof *stream);
    if (!stream) return PyErr_NoMemory();
    if (ht_frame_to_arrow(((hp_frame *)self)->frame, stream, &err) == HT_OK)
        return PyCapsule_New(stream, "arrow_array_stream", free_stream);
    PyMem_Free(stream);
    (void)hp_raise(&err);
    return NULL;
}

static void frame_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ht_frame_release(((hp_frame *)self)->frame);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef frame_methods[] = {{"from_columns", from_columns, METH_VARARGS | METH_STATIC, NULL},
                                      {"from_arrow", from_arrow, METH_O | METH_STATIC, NULL},
                                      {"with_columns", with_columns, METH_VARARGS, NULL},
                                      {"select", select_columns, METH_O, NULL},
                                      {"where", where, METH_O, NULL},
                                      {"explode", explode, METH_O, NULL},
                                      {"limit", limit, METH_O, NULL},
                                      {"collect", collect, METH_O, NULL},
                                      {"column", column, METH_O, NULL},
                                      {"explain", explain, METH_NOARGS, NULL},
                                      {"show", show, METH_VARARGS, NULL},
                                      {"__arrow_c_stream__", arrow_stream, METH_VARARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
static PyGetSetDef frame_fields[] = {{"names", names, NULL, "Names of the columns.", NULL},
                                     {"n_rows", n_rows, NULL, "Rows, None before it is collected.", NULL},
                                     {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot frame_slots[] = {{Py_tp_dealloc, HP_SLOT(frame_dealloc)},
                                    {Py_tp_methods, frame_methods},
                                    {Py_tp_getset, frame_fields},
                                    {Py_tp_doc, HP_DOC("A lazy frame of columns.")},
                                    {0, NULL}};
static PyType_Spec frame_spec = {"houndstooth._core.Frame", sizeof(hp_frame), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, frame_slots};

int hp_frame_init(PyObject *module)
{
    ht_error err = {0};
    hp.frame_type = hp_add_type(module, &frame_spec, NULL);
    if (!hp.frame_type) return -1;
    if (ht_frame_register(hp_registry(), &err) != HT_OK) return hp_raise(&err);
    return hp_steps_init();
}
