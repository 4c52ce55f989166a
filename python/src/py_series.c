/*
 * py_series.c - Series: a column as a Python object.
 *
 * Around an ht_series; its Arrow structs are exported once, when rows are first looked at. A Series of objects holds
 * them by reference, and gives the same objects back.
 */
#include "py_series.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- for C ---- */

PyObject *hp_series_new(ht_series *series, PyObject *name)
{
    hp_series *self = series ? PyObject_GC_New(hp_series, hp.series_type) : NULL;
    if (!self) {
        ht_series_release(series);
        return NULL;
    }
    self->series = series;
    self->name = Py_NewRef(name ? name : Py_None);
    memset(&self->schema, 0, sizeof self->schema);
    memset(&self->array, 0, sizeof self->array);
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

PyObject *hp_series_of_values(const ht_value *rows, size_t n) { return hp_series_new(hp_build_values(rows, n), NULL); }

ht_series *hp_series_of(PyObject *object)
{
    return Py_TYPE(object) == hp.series_type ? ((hp_series *)object)->series : NULL;
}

int hp_series_look(hp_series *self)
{
    ht_error err = {0};
    if (self->schema.release || ht_series_dtype(self->series) == HT_DTYPE_OBJECT) return 0;
    if (ht_series_export(self->series, NULL, &self->schema, &self->array, &err) == HT_OK) return 0;
    return hp_raise(&err);
}

static PyObject *list_of_objects(ht_series *series)
{
    const size_t n = ht_series_len(series);
    PyObject *list = PyList_New((Py_ssize_t)n);
    ht_error err = {0};
    for (size_t i = 0; list && i < n; i++) {
        ht_value value;
        PyObject *item = NULL;
        if (ht_series_get(series, i, &value, &err) == HT_OK) {
            item = hp_unwrap(value);
            ht_value_release(value);
        } else {
            (void)hp_raise(&err);
        }
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

PyObject *hp_series_list(ht_series *series)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    ht_error err = {0};
    if (ht_series_dtype(series) == HT_DTYPE_OBJECT) return list_of_objects(series);
    if (ht_series_export(series, NULL, &schema, &array, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *list = hp_read_list(&schema, &array);
    schema.release(&schema);
    array.release(&array);
    return list;
}

ht_series *hp_series_cast(ht_series *series, const hp_dtype *type)
{
    hp_dtype *now = hp_dtype_of(series);
    const bool same = now && hp_dtype_equal(now, type);
    Py_XDECREF((PyObject *)now);
    if (!now) return NULL;
    if (same) return ht_series_retain(series);
    PyObject *list = hp_series_list(series);
    ht_series *made = list ? hp_build(list, type) : NULL;
    Py_XDECREF(list);
    return made;
}

/* Rows of anything else that has them. */
static PyObject *list_from(PyObject *data)
{
    static const char *const ways[] = {"to_pylist", "tolist"};
    if (PyUnicode_Check(data) || PyBytes_Check(data) || PyDict_Check(data)) {
        PyErr_Format(PyExc_TypeError, "a column is made of a list, an array or a Series, not of a %S", Py_TYPE(data));
        return NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        PyObject *way = PyObject_GetAttrString(data, ways[i]);
        PyObject *made = way ? PyObject_CallNoArgs(way) : NULL;
        if (!way) PyErr_Clear();
        Py_XDECREF(way);
        if (way) return made;
    }
    return PySequence_List(data);
}

/* An Arrow type that there is none of here is no error where its owner has rows as objects. */
static void forgive(PyObject *data)
{
    PyObject *type, *value, *traceback;
    if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_Exception)) return;
    PyErr_Fetch(&type, &value, &traceback);
    if (!PyObject_HasAttrString(data, "to_pylist")) { /* asking clears what is pending */
        PyErr_Restore(type, value, traceback);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

ht_series *hp_series_from(PyObject *data, const hp_dtype *type)
{
    ht_series *series = hp_series_of(data), *made;
    const bool is_list = PyList_Check(data) || PyTuple_Check(data);
    if (series) {
        series = ht_series_retain(series);
    } else if (!is_list && !PyBytes_Check(data)) {
        series = hp_share_arrow(data);
        if (!series) forgive(data);
        if (!series && !PyErr_Occurred()) series = hp_share_buffer(data);
    }
    if (PyErr_Occurred()) return NULL;
    if (!series) {
        PyObject *list = PyList_CheckExact(data) ? Py_NewRef(data) : is_list ? PySequence_List(data) : list_from(data);
        made = list ? hp_build(list, type) : NULL;
        Py_XDECREF(list);
        return made;
    }
    if (!type) return series;
    made = hp_series_cast(series, type);
    ht_series_release(series);
    return made;
}

/* ---- constructors ---- */

static int read_type(PyObject *object, hp_dtype **out)
{
    *out = object == Py_None ? NULL : (hp_dtype *)object;
    if (object == Py_None || Py_TYPE(object) == hp.dtype_type) return 0;
    PyErr_Format(PyExc_TypeError, "dtype is a DataType, not %R", object);
    return -1;
}

static PyObject *from_pylist(PyObject *cls, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"data", "name", "dtype", "pyobj", NULL};
    PyObject *data, *name = Py_None, *dtype = Py_None;
    hp_dtype *type;
    const char *pyobj = "allow";
    (void)cls;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOs:from_pylist", HP_KEYWORDS(names), &data, &name, &dtype,
                                     &pyobj) ||
        read_type(dtype, &type) < 0)
        return NULL;
    const bool force = !strcmp(pyobj, "force"), disallow = !strcmp(pyobj, "disallow");
    if (!force && !disallow && strcmp(pyobj, "allow") != 0) {
        PyErr_Format(PyExc_ValueError, "pyobj is 'allow', 'disallow' or 'force', not '%s'", pyobj);
        return NULL;
    }
    hp_dtype *objects = force ? hp_dtype_plain(HT_DTYPE_OBJECT) : NULL;
    ht_series *series = hp_series_from(data, force ? objects : type);
    Py_XDECREF((PyObject *)objects);
    if (series && disallow && !type && ht_series_dtype(series) == HT_DTYPE_OBJECT) {
        ht_series_release(series);
        PyErr_SetString(PyExc_TypeError, "the data is of no one type that Arrow has, and pyobj disallows objects");
        return NULL;
    }
    return hp_series_new(series, name);
}

static PyObject *from_numpy(PyObject *cls, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"data", "name", NULL};
    PyObject *data, *name = Py_None;
    (void)cls;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:from_numpy", HP_KEYWORDS(names), &data, &name)) return NULL;
    return hp_series_new(hp_series_from(data, NULL), name);
}

static PyObject *from_arrow(PyObject *cls, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"data", "name", NULL};
    PyObject *data, *name = Py_None;
    (void)cls;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:from_arrow", HP_KEYWORDS(names), &data, &name)) return NULL;
    if (!PyObject_HasAttrString(data, "__arrow_c_array__") && !PyObject_HasAttrString(data, "__arrow_c_stream__")) {
        PyErr_Format(PyExc_TypeError, "an array with __arrow_c_array__ or __arrow_c_stream__ is wanted, not a %S",
                     Py_TYPE(data));
        return NULL;
    }
    return hp_series_new(hp_series_from(data, NULL), name);
}

static PyObject *concat(PyObject *cls, PyObject *parts)
{
    (void)cls;
    PyObject *list = PySequence_Tuple(parts), *name = Py_None;
    const Py_ssize_t n = list ? PyTuple_Size(list) : 0;
    ht_series **all = list ? PyMem_Malloc((size_t)(n + 1) * sizeof(ht_series *)) : NULL, *whole = NULL;
    ht_error err = {0};
    Py_ssize_t made = 0;
    for (; all && made < n; made++) {
        PyObject *part = PyTuple_GetItem(list, made);
        all[made] = hp_series_of(part);
        if (!all[made]) {
            PyErr_Format(PyExc_TypeError, "a list of Series is wanted; number %zd is a %S", made, Py_TYPE(part));
            break;
        }
        if (made == 0) name = ((hp_series *)part)->name;
    }
    if (all && made == n && ht_series_concat(all, (size_t)n, &whole, &err) != HT_OK) (void)hp_raise(&err);
    PyObject *result = hp_series_new(whole, name);
    PyMem_Free(all);
    Py_XDECREF(list);
    return result;
}

/* ---- rows ---- */

static Py_ssize_t series_len(PyObject *self) { return (Py_ssize_t)ht_series_len(((hp_series *)self)->series); }

static PyObject *series_item(PyObject *self, Py_ssize_t at)
{
    hp_series *s = (hp_series *)self;
    ht_value value;
    ht_error err = {0};
    if (at < 0 || at >= series_len(self)) {
        PyErr_Format(PyExc_IndexError, "row %zd of a series of %zd", at, series_len(self));
        return NULL;
    }
    if (hp_series_look(s) < 0) return NULL;
    if (s->schema.release) return hp_read_row(&s->schema, &s->array, at);
    if (ht_series_get(s->series, (size_t)at, &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *item = hp_unwrap(value);
    ht_value_release(value);
    return item;
}

static PyObject *slice_of(PyObject *self, Py_ssize_t first, Py_ssize_t end)
{
    const Py_ssize_t n = series_len(self);
    ht_series *made = NULL;
    ht_error err = {0};
    first = first < 0 ? 0 : first > n ? n : first;
    end = end < first ? first : end > n ? n : end;
    if (ht_series_slice(((hp_series *)self)->series, (size_t)first, (size_t)(end - first), &made, &err) != HT_OK)
        (void)hp_raise(&err);
    return hp_series_new(made, ((hp_series *)self)->name);
}

/* Rows by numbers [n], which are freed. */
static PyObject *take_rows(PyObject *self, size_t *rows, size_t n)
{
    ht_series *made = NULL;
    ht_error err = {0};
    if (rows && ht_series_take(((hp_series *)self)->series, rows, n, &made, &err) != HT_OK) (void)hp_raise(&err);
    PyMem_Free(rows);
    return hp_series_new(made, ((hp_series *)self)->name);
}

static size_t *new_rows(Py_ssize_t n)
{
    size_t *rows = PyMem_Malloc((size_t)(n + 1) * sizeof *rows);
    if (!rows) PyErr_NoMemory();
    return rows;
}

static PyObject *series_subscript(PyObject *self, PyObject *key)
{
    Py_ssize_t first, end, step;
    if (!PySlice_Check(key)) {
        const Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (at == -1 && PyErr_Occurred()) return NULL;
        return series_item(self, at < 0 ? at + series_len(self) : at);
    }
    if (PySlice_Unpack(key, &first, &end, &step) < 0) return NULL;
    const Py_ssize_t n = PySlice_AdjustIndices(series_len(self), &first, &end, step);
    if (step == 1) return slice_of(self, first, end);
    size_t *rows = new_rows(n);
    for (Py_ssize_t i = 0; rows && i < n; i++) rows[i] = (size_t)(first + i * step);
    return take_rows(self, rows, (size_t)n);
}

static PyObject *series_slice(PyObject *self, PyObject *args)
{
    Py_ssize_t first, end;
    return PyArg_ParseTuple(args, "nn:slice", &first, &end) ? slice_of(self, first, end) : NULL;
}

static PyObject *to_pylist(PyObject *self, PyObject *unused)
{
    (void)unused;
    hp_series *s = (hp_series *)self;
    if (hp_series_look(s) < 0) return NULL;
    return s->schema.release ? hp_read_list(&s->schema, &s->array) : hp_series_list(s->series);
}

static PyObject *series_iter(PyObject *self)
{
    PyObject *list = to_pylist(self, NULL), *iterator = list ? PyObject_GetIter(list) : NULL;
    Py_XDECREF(list);
    return iterator;
}

/* The rows of a list, an array or a Series, as a list. */
static PyObject *rows_list(PyObject *object)
{
    if (hp_series_of(object)) return to_pylist(object, NULL);
    return PyList_CheckExact(object) ? Py_NewRef(object) : list_from(object);
}

static PyObject *series_take(PyObject *self, PyObject *indices)
{
    PyObject *list = rows_list(indices);
    const Py_ssize_t n = list ? PyList_Size(list) : 0;
    size_t *rows = list ? new_rows(n) : NULL;
    for (Py_ssize_t i = 0; rows && i < n; i++) {
        const Py_ssize_t at = PyNumber_AsSsize_t(PyList_GetItem(list, i), PyExc_IndexError);
        const bool failed = at == -1 && PyErr_Occurred();
        rows[i] = (size_t)(at < 0 ? at + series_len(self) : at);
        if (!failed && rows[i] < (size_t)series_len(self)) continue;
        if (!failed) PyErr_Format(PyExc_IndexError, "row %zd of a series of %zd", at, series_len(self));
        PyMem_Free(rows);
        rows = NULL;
    }
    Py_XDECREF(list);
    return take_rows(self, rows, (size_t)n);
}

static PyObject *series_filter(PyObject *self, PyObject *mask)
{
    PyObject *list = rows_list(mask);
    const Py_ssize_t n = list ? PyList_Size(list) : 0;
    size_t n_kept = 0, *rows = NULL;
    if (list && n != series_len(self))
        PyErr_Format(PyExc_ValueError, "a mask of %zd rows for a series of %zd", n, series_len(self));
    else if (list)
        rows = new_rows(n);
    for (Py_ssize_t i = 0; rows && i < n; i++) {
        PyObject *keep = PyList_GetItem(list, i);
        const int is_true = keep == Py_None ? 0 : PyObject_IsTrue(keep);
        if (is_true > 0) rows[n_kept++] = (size_t)i;
        if (is_true >= 0) continue;
        PyMem_Free(rows);
        rows = NULL;
    }
    Py_XDECREF(list);
    return take_rows(self, rows, n_kept);
}

static PyObject *series_cast(PyObject *self, PyObject *dtype)
{
    hp_dtype *type;
    if (read_type(dtype, &type) < 0) return NULL;
    if (!type) return Py_NewRef(self);
    return hp_series_new(hp_series_cast(((hp_series *)self)->series, type), ((hp_series *)self)->name);
}

static PyObject *series_is_null(PyObject *self, PyObject *unused)
{
    (void)unused;
    const Py_ssize_t n = series_len(self);
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++)
        if (PyList_SetItem(list, i, PyBool_FromLong(ht_series_is_null(((hp_series *)self)->series, (size_t)i))) < 0)
            Py_CLEAR(list);
    PyObject *result = list ? hp_series_new(hp_build(list, NULL), ((hp_series *)self)->name) : NULL;
    Py_XDECREF(list);
    return result;
}

/* As a sequence: equal to a list, tuple or Series of equal rows. */
static PyObject *series_compare(PyObject *self, PyObject *other, int op)
{
    const bool is_series = hp_series_of(other) != NULL;
    if ((op != Py_EQ && op != Py_NE) || (!is_series && !PyList_Check(other) && !PyTuple_Check(other)))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *a = to_pylist(self, NULL), *b = NULL;
    if (a) b = PyTuple_Check(other) ? PySequence_List(other) : rows_list(other);
    PyObject *result = b ? PyObject_RichCompare(a, b, op) : NULL;
    Py_XDECREF(a);
    Py_XDECREF(b);
    return result;
}

/* ---- what it is ---- */

static PyObject *series_name(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(((hp_series *)self)->name);
}

static PyObject *series_rename(PyObject *self, PyObject *name)
{
    if (!hp_text(name, "a series' name")) return NULL;
    return hp_series_new(ht_series_retain(((hp_series *)self)->series), name);
}

static PyObject *series_dtype(PyObject *self, void *unused)
{
    (void)unused;
    return (PyObject *)hp_dtype_of(((hp_series *)self)->series);
}

static PyObject *series_datatype(PyObject *self, PyObject *unused)
{
    (void)unused;
    return series_dtype(self, NULL);
}

static PyObject *series_repr(PyObject *self)
{
    enum { SHOWN = 10 };
    PyObject *head = slice_of(self, 0, SHOWN), *list = head ? to_pylist(head, NULL) : NULL;
    PyObject *type = list ? series_dtype(self, NULL) : NULL, *text = NULL;
    const Py_ssize_t n = series_len(self);
    if (type)
        text = PyUnicode_FromFormat("Series(%R, %R, %zd row%s%s)", list, type, n, n == 1 ? "" : "s",
                                    n > SHOWN ? ", the first 10 shown" : "");
    Py_XDECREF(head);
    Py_XDECREF(list);
    Py_XDECREF(type);
    return text;
}

/* ---- pickling ---- */

static PyObject *restore(PyObject *cls, PyObject *args)
{
    const char *data;
    Py_ssize_t len;
    PyObject *name, *result = NULL;
    ht_value value;
    ht_error err = {0};
    (void)cls;
    if (!PyArg_ParseTuple(args, "y#O", &data, &len, &name)) return NULL;
    if (ht_value_decode(data, (size_t)len, hp_registry(), &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    ht_series *series = ht_value_series(value);
    if (series)
        result = hp_series_new(ht_series_retain(series), name);
    else
        PyErr_SetString(PyExc_ValueError, "these bytes are no series");
    ht_value_release(value);
    return result;
}

static PyObject *series_reduce(PyObject *self, PyObject *unused)
{
    ht_value value;
    ht_writer *writer = NULL;
    ht_error err = {0};
    size_t len;
    PyObject *result = NULL, *way = PyObject_GetAttrString((PyObject *)hp.series_type, "_restore");
    (void)unused;
    ht_status status = way ? ht_writer_new(&writer, &err) : hp_fail(&err);
    if (status == HT_OK) status = ht_series_value(((hp_series *)self)->series, &value, &err);
    if (status == HT_OK) {
        status = ht_value_encode(value, writer, &err);
        ht_value_release(value);
    }
    if (status == HT_OK) {
        const char *data = ht_writer_data(writer, &len);
        result = Py_BuildValue("(O(y#O))", way, data, (Py_ssize_t)len, ((hp_series *)self)->name);
    } else {
        (void)hp_raise(&err);
    }
    ht_writer_free(writer);
    Py_XDECREF(way);
    return result;
}

/* ---- the type ---- */

static int series_traverse(PyObject *self, visitproc visit, void *arg)
{
    (void)self; /* objects in a series are the library's to count */
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void series_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_series *s = (hp_series *)self;
    PyObject_GC_UnTrack(self);
    if (s->schema.release) {
        s->schema.release(&s->schema);
        s->array.release(&s->array);
    }
    ht_series_release(s->series);
    Py_XDECREF(s->name);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS
static PyMethodDef series_methods[] = {
    {"from_pylist", KEYWORDS(from_pylist) | METH_STATIC,
     "from_pylist(data, name=None, dtype=None, pyobj='allow')\n--\n\n"
     "A series of a list's objects, or of the rows of an array.\n\n"
     "Objects that are all bool, int of 64 bits, float, str or bytes (None among them) become a typed column; others\n"
     "stay the objects they are: mixed types, big ints, tuples, dicts, lists. With a dtype they are converted where\n"
     "nothing is lost.\n\nParameters\n----------\ndtype : DataType\npyobj : 'allow', 'disallow' or 'force'\n"
     "    Whether the rows may be, or must be, objects.\n\nRaises\n------\nTypeError, ValueError, OverflowError\n"
     "    A row does not fit the dtype; the message names it."},
    {"from_numpy", KEYWORDS(from_numpy) | METH_STATIC,
     "from_numpy(data, name=None)\n--\n\nA series of an array [n] or [n, k] (fixed-size lists), sharing its memory."},
    {"from_arrow", KEYWORDS(from_arrow) | METH_STATIC,
     "from_arrow(data, name=None)\n--\n\nA series of anything with ``__arrow_c_array__`` or ``__arrow_c_stream__``,\n"
     "whose memory it shares; chunks are joined."},
    {"concat", concat, METH_O | METH_STATIC, "concat(series)\n--\n\nAll rows of several series, in order."},
    {"to_pylist", to_pylist, METH_NOARGS, "to_pylist()\n--\n\nThe rows; objects are the same objects."},
    {"to_arrow", hp_share_pyarrow, METH_NOARGS,
     "to_arrow()\n--\n\nA pyarrow Array of the same memory; without pyarrow the series itself, which has `to_numpy`."},
    {"to_numpy", hp_share_numpy, METH_NOARGS,
     "to_numpy()\n--\n\nAn array [n], or [n, k] of fixed-size lists: of the same memory where the rows are numbers\n"
     "without nulls. Numbers with nulls become float64 with nan; text, lists and objects an array of objects."},
    {"__array__", KEYWORDS(hp_share_array), NULL},
    {"__arrow_c_array__", hp_share_capsules, METH_VARARGS, NULL},
    {"__arrow_c_schema__", hp_share_schema, METH_NOARGS, NULL},
    {"name", series_name, METH_NOARGS, "name()\n--\n\nIts name, or None."},
    {"rename", series_rename, METH_O, "rename(name)\n--\n\nThe same rows under another name."},
    {"datatype", series_datatype, METH_NOARGS, "datatype()\n--\n\nThe rows' DataType."},
    {"cast", series_cast, METH_O,
     "cast(dtype)\n--\n\nThe rows as another type. What would lose something is an error that names the row."},
    {"slice", series_slice, METH_VARARGS, "slice(start, end)\n--\n\nRows [start, end), without a copy."},
    {"take", series_take, METH_O, "take(indices)\n--\n\nRows by number, any order, any number of times."},
    {"filter", series_filter, METH_O, "filter(mask)\n--\n\nRows where the mask is true; None counts as false."},
    {"is_null", series_is_null, METH_NOARGS, "is_null()\n--\n\nBools: whether a row is None."},
    {"_restore", restore, METH_VARARGS | METH_STATIC, NULL},
    {"__reduce__", series_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef series_fields[] = {{"dtype", series_dtype, NULL, "The rows' DataType.", NULL},
                                      {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot series_slots[] = {
    {Py_tp_dealloc, HP_SLOT(series_dealloc)},
    {Py_tp_traverse, HP_SLOT(series_traverse)},
    {Py_tp_repr, HP_SLOT(series_repr)},
    {Py_tp_iter, HP_SLOT(series_iter)},
    {Py_tp_hash, HP_SLOT(PyObject_HashNotImplemented)},
    {Py_tp_richcompare, HP_SLOT(series_compare)},
    {Py_tp_methods, series_methods},
    {Py_tp_getset, series_fields},
    {Py_mp_length, HP_SLOT(series_len)},
    {Py_mp_subscript, HP_SLOT(series_subscript)},
    {Py_sq_length, HP_SLOT(series_len)},
    {Py_sq_item, HP_SLOT(series_item)},
    {Py_bf_getbuffer, HP_SLOT(hp_share_view)},
    {Py_bf_releasebuffer, HP_SLOT(hp_share_release)},
    {Py_tp_doc, HP_DOC("A column of rows: numbers, text, lists and structs as Arrow has them, or "
                       "any objects.\n\nImmutable, and a sequence: length, index, slices, "
                       "iteration, ``==`` with a list.")},
    {0, NULL}};
static PyType_Spec series_spec = {
    "houndstooth._core.Series", sizeof(hp_series), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | HP_TPFLAGS_SEQUENCE, series_slots};

int hp_series_init(PyObject *module)
{
    if (hp_dtype_init(module) < 0) return -1;
    hp.series_type = hp_add_type(module, &series_spec, NULL);
    return hp.series_type ? 0 : -1;
}
