/*
 * py_series_share.c - columns shared with others without a copy: Arrow's PyCapsules, numpy, the buffer protocol.
 *
 * What comes in keeps its owner alive until the last series of it is gone; what goes out keeps the series.
 * Easy to get wrong: a producer of a stream may compute in threads that need the GIL, so streams are read without it.
 */
#include "py_series.h"

#include <stdlib.h>
#include <string.h>

/* ---- capsules out ---- */

static void free_schema(PyObject *capsule)
{
    struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema && schema->release) schema->release(schema);
    free(schema);
}

static void free_array(PyObject *capsule)
{
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array && array->release) array->release(array);
    free(array);
}

/* The series, or of objects the one that Arrow can have; new reference. */
static ht_series *for_arrow(hp_series *self)
{
    if (ht_series_dtype(self->series) != HT_DTYPE_OBJECT) return ht_series_retain(self->series);
    PyObject *list = hp_series_list(self->series);
    ht_series *made = list ? hp_build(list, NULL) : NULL;
    Py_XDECREF(list);
    if (made && ht_series_dtype(made) == HT_DTYPE_OBJECT) {
        ht_series_release(made);
        PyErr_SetString(PyExc_TypeError,
                        "these objects are of no one type that Arrow has; cast the series to a DataType");
        return NULL;
    }
    return made;
}

/* (schema, array), each in a capsule that owns it. */
static PyObject *capsules(PyObject *self, bool with_array)
{
    hp_series *s = (hp_series *)self;
    struct ArrowSchema *schema = calloc(1, sizeof *schema);
    struct ArrowArray *array = calloc(1, sizeof *array);
    PyObject *a = NULL, *b = NULL, *pair = NULL;
    ht_error err = {0};
    const char *name = s->name != Py_None ? PyUnicode_AsUTF8AndSize(s->name, NULL) : "";
    ht_series *series = schema && array && name ? for_arrow(s) : NULL;
    if (!schema || !array) PyErr_NoMemory();
    if (series && ht_series_export(series, name, schema, array, &err) != HT_OK)
        (void)hp_raise(&err);
    else if (series)
        a = PyCapsule_New(schema, "arrow_schema", free_schema);
    if (a) schema = NULL;
    if (a) b = PyCapsule_New(array, "arrow_array", free_array);
    if (b) array = NULL;
    ht_series_release(series);
    if (b && with_array) pair = PyTuple_Pack(2, a, b);
    if (b && !with_array) pair = Py_NewRef(a);
    Py_XDECREF(a);
    Py_XDECREF(b);
    if (schema && schema->release) schema->release(schema);
    if (array && array->release) array->release(array);
    free(schema);
    free(array);
    return pair;
}

/* __arrow_c_array__(requested_schema=None): a wish for another type may be ignored, and is. */
PyObject *hp_share_capsules(PyObject *self, PyObject *args)
{
    PyObject *wish = Py_None;
    if (!PyArg_ParseTuple(args, "|O:__arrow_c_array__", &wish)) return NULL;
    return capsules(self, true);
}

PyObject *hp_share_schema(PyObject *self, PyObject *unused)
{
    (void)unused;
    return capsules(self, false);
}

/* ---- capsules in ---- */

static PyObject *call_if_there(PyObject *object, const char *name)
{
    PyObject *way = PyObject_GetAttrString(object, name);
    if (!way) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
        return NULL;
    }
    PyObject *made = PyObject_CallNoArgs(way);
    Py_DECREF(way);
    return made;
}

static ht_series *from_pair(PyObject *pair)
{
    ht_series *series = NULL;
    ht_error err = {0};
    struct ArrowSchema *schema = NULL;
    struct ArrowArray *array = NULL;
    if (PyTuple_Check(pair) && PyTuple_Size(pair) == 2) {
        schema = PyCapsule_GetPointer(PyTuple_GetItem(pair, 0), "arrow_schema");
        array = schema ? PyCapsule_GetPointer(PyTuple_GetItem(pair, 1), "arrow_array") : NULL;
    } else {
        PyErr_SetString(PyExc_TypeError, "__arrow_c_array__ gives a tuple of two capsules");
    }
    if (array && ht_series_import(schema, array, &series, &err) != HT_OK) (void)hp_raise(&err);
    return series;
}

/* Destructors of capsules, which others write, may lose a pending exception. */
void hp_share_drop(PyObject *capsule)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_XDECREF(capsule);
    PyErr_Restore(type, value, traceback);
}

struct ArrowArrayStream *hp_share_stream(PyObject *object, PyObject **capsule)
{
    *capsule = call_if_there(object, "__arrow_c_stream__");
    return *capsule ? PyCapsule_GetPointer(*capsule, "arrow_array_stream") : NULL;
}

/* The next chunk; NULL with *more false at the end. */
static ht_status next_chunk(struct ArrowArrayStream *stream, bool *more, ht_series **out, ht_error *err)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    *out = NULL;
    *more = false;
    int failed = stream->get_next(stream, &array);
    if (!failed && !array.release) return HT_OK;
    if (!failed) failed = stream->get_schema(stream, &schema);
    if (failed) {
        const char *why = stream->get_last_error(stream);
        if (array.release) array.release(&array);
        err->status = HT_FAILED;
        (void)PyOS_snprintf(err->message, sizeof err->message, "an Arrow stream: %.300s",
                            why ? why : "no reason given");
        return err->status;
    }
    *more = true;
    return ht_series_import(&schema, &array, out, err);
}

/* A stream without chunks has a type all the same. */
static ht_status empty_of(struct ArrowArrayStream *stream, ht_series **out, ht_error *err)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    hp_dtype *type = stream->get_schema(stream, &schema) == 0 ? hp_dtype_of_schema(&schema) : NULL;
    PyObject *none = type ? PyList_New(0) : NULL;
    if (schema.release) schema.release(&schema);
    *out = none ? hp_build(none, type) : NULL;
    Py_XDECREF((PyObject *)type);
    Py_XDECREF(none);
    (void)array;
    return *out ? HT_OK : hp_fail(err);
}

static ht_series *from_stream(struct ArrowArrayStream *stream)
{
    ht_series **parts = NULL, *whole = NULL;
    size_t n = 0, cap = 0;
    bool more = true;
    ht_error err = {0};
    ht_status status = HT_OK;
    while (more && status == HT_OK) {
        if (n == cap) {
            ht_series **made = realloc(parts, (cap = cap * 2 + 8) * sizeof(ht_series *));
            if (!made) {
                PyErr_NoMemory();
                status = hp_fail(&err);
                break;
            }
            parts = made;
        }
        HP_NATIVE_BEGIN
        status = next_chunk(stream, &more, &parts[n], &err);
        HP_NATIVE_END
        n += status == HT_OK && more;
    }
    if (status == HT_OK) status = n ? ht_series_concat(parts, n, &whole, &err) : empty_of(stream, &whole, &err);
    for (size_t i = 0; i < n; i++) ht_series_release(parts[i]);
    free(parts);
    if (stream->release) stream->release(stream);
    if (status != HT_OK) (void)hp_raise(&err);
    return whole;
}

ht_series *hp_share_arrow(PyObject *object)
{
    PyObject *pair = call_if_there(object, "__arrow_c_array__"), *capsule;
    if (pair) {
        ht_series *series = from_pair(pair);
        hp_share_drop(pair);
        return series;
    }
    if (PyErr_Occurred()) return NULL;
    struct ArrowArrayStream *stream = hp_share_stream(object, &capsule);
    ht_series *series = stream ? from_stream(stream) : NULL;
    hp_share_drop(capsule);
    return series;
}

/* ---- buffers in ---- */

static void release_view(void *ud)
{
    if (!Py_IsInitialized()) return;
    const hp_gil gil = hp_gil_take();
    PyBuffer_Release(ud);
    PyMem_Free(ud);
    hp_gil_give(gil);
}

static ht_dtype kind_of_format(const char *format, Py_ssize_t width)
{
    static const ht_dtype sized[] = {HT_DTYPE_INT8,  HT_DTYPE_UINT8,  HT_DTYPE_INT16, HT_DTYPE_UINT16,
                                     HT_DTYPE_INT32, HT_DTYPE_UINT32, HT_DTYPE_INT64, HT_DTYPE_UINT64};
    if (*format == '<' || *format == '=' || *format == '@') format++;
    if (!format[0] || format[1]) return HT_DTYPE_INFER;
    if (strchr("efd", format[0]))
        return format[0] == 'e' ? HT_DTYPE_FLOAT16 : format[0] == 'f' ? HT_DTYPE_FLOAT32 : HT_DTYPE_FLOAT64;
    const char *at = strchr("bBhHiIlLqQ", format[0]);
    if (!at) return HT_DTYPE_INFER;
    const size_t power = width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
    return sized[2 * power + ((at[0] >= 'A' && at[0] <= 'Z') ? 1 : 0)];
}

/* Rows of a view as an array, which owns the view. */
static int array_of_view(Py_buffer *view, struct ArrowArray *out)
{
    const int64_t each = view->ndim == 2 ? view->shape[1] : 1;
    hp_buffers values = {.length = view->shape[0] * each,
                         .n_blocks = 2,
                         .blocks = {NULL, view->buf},
                         .release = release_view,
                         .ud = view};
    if (view->ndim == 1) return hp_array_make(&values, out);
    const hp_buffers rows = {.length = view->shape[0], .n_blocks = 1, .n_children = 1};
    if (hp_array_make(&rows, out) < 0) return -1;
    if (hp_array_make(&values, out->children[0]) == 0) return 0;
    out->release(out);
    return -1;
}

static ht_series *series_of_view(Py_buffer *view, ht_dtype kind)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    ht_series *series = NULL;
    ht_error err = {0};
    hp_dtype *type = hp_dtype_plain(kind);
    if (type && view->ndim == 2) {
        hp_dtype *rows = hp_dtype_list(HT_DTYPE_FIXED_LIST, (PyObject *)type, view->shape[1]);
        Py_DECREF((PyObject *)type);
        type = rows;
    }
    int done = type ? hp_schema_make(type, "", &schema) : -1;
    if (done == 0 && (done = array_of_view(view, &array)) < 0) schema.release(&schema);
    Py_XDECREF((PyObject *)type);
    if (done < 0) {
        release_view(view);
        return NULL;
    }
    if (ht_series_import(&schema, &array, &series, &err) != HT_OK) (void)hp_raise(&err);
    return series;
}

ht_series *hp_share_buffer(PyObject *object)
{
    if (!PyObject_CheckBuffer(object)) return NULL;
    Py_buffer *view = PyMem_Malloc(sizeof *view);
    if (!view) {
        PyErr_NoMemory();
        return NULL;
    }
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        PyErr_Clear(); /* of objects, or not in one piece */
        PyMem_Free(view);
        return NULL;
    }
    const ht_dtype kind = kind_of_format(view->format ? view->format : "B", view->itemsize);
    const bool fits = kind != HT_DTYPE_INFER && (view->ndim == 1 || (view->ndim == 2 && view->shape[1] > 0)) &&
                      (uintptr_t)view->buf % (size_t)view->itemsize == 0;
    if (fits) return series_of_view(view, kind);
    release_view(view);
    return NULL;
}

/* ---- buffers out ---- */

static const char *buffer_format(ht_dtype kind)
{
    static const char *const formats[] = {"b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d"};
    return kind >= HT_DTYPE_INT8 && kind <= HT_DTYPE_FLOAT64 ? formats[kind - HT_DTYPE_INT8] : NULL;
}

/* A count of -1 is not known. */
static bool may_hold_nulls(const struct ArrowArray *array)
{
    return array->null_count > 0 || (array->null_count < 0 && array->buffers[0]);
}

/* The memory of numbers without nulls, or of fixed-size lists of such; NULL of everything else. */
static const void *dense(hp_series *self, ht_dtype *kind, Py_ssize_t *each)
{
    int64_t size;
    const struct ArrowArray *array = &self->array;
    if (hp_series_look(self) < 0 || !self->schema.release) return NULL;
    *kind = hp_kind_of_format(self->schema.format, &size);
    *each = 0;
    int64_t first = array->offset;
    if (*kind != HT_DTYPE_FIXED_LIST && !buffer_format(*kind)) return NULL;
    if (may_hold_nulls(array)) return NULL;
    if (*kind == HT_DTYPE_FIXED_LIST) {
        *kind = hp_kind_of_format(self->schema.children[0]->format, &(int64_t){0});
        *each = (Py_ssize_t)size;
        array = array->children[0];
        if (!buffer_format(*kind) || may_hold_nulls(array)) return NULL;
        first = first * size + array->offset;
    }
    return array->buffers[1] ? (const char *)array->buffers[1] + (size_t)first * hp_dtype_width(*kind) : "";
}

int hp_share_view(PyObject *self, Py_buffer *view, int flags)
{
    ht_dtype kind;
    Py_ssize_t each;
    const void *data = dense((hp_series *)self, &kind, &each);
    if (!data || (flags & PyBUF_WRITABLE)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_BufferError,
                            data ? "a series is read-only" : "only numbers without nulls are one buffer");
        return -1;
    }
    Py_ssize_t *dims = PyMem_Malloc(4 * sizeof *dims);
    if (!dims) {
        PyErr_NoMemory();
        return -1;
    }
    const Py_ssize_t item = (Py_ssize_t)hp_dtype_width(kind);
    const Py_ssize_t n = (Py_ssize_t)ht_series_len(((hp_series *)self)->series);
    dims[0] = n;
    dims[1] = each;
    dims[2] = each ? each * item : item;
    dims[3] = item;
    *view = (Py_buffer){.buf = (void *)(uintptr_t)data,
                        .obj = Py_NewRef(self),
                        .len = n * dims[2],
                        .itemsize = item,
                        .readonly = 1,
                        .ndim = each ? 2 : 1,
                        .format = flags & PyBUF_FORMAT ? (char *)(uintptr_t)buffer_format(kind) : NULL,
                        .shape = dims,
                        .strides = flags & PyBUF_STRIDES ? dims + 2 : NULL,
                        .internal = dims};
    return 0;
}

void hp_share_release(PyObject *self, Py_buffer *view)
{
    (void)self;
    PyMem_Free(view->internal);
}

/* ---- numpy and pyarrow ---- */

static bool is_float(ht_dtype kind) { return kind >= HT_DTYPE_FLOAT16 && kind <= HT_DTYPE_FLOAT64; }

/* Numbers with nulls as float64, null as nan; bools as bools; everything else as objects. */
static PyObject *copied_array(PyObject *numpy, hp_series *self)
{
    const ht_dtype kind = ht_series_dtype(self->series);
    const bool nulls = ht_series_n_nulls(self->series) > 0;
    const char *type = is_float(kind) || (buffer_format(kind) && nulls) ? "float64"
                       : kind == HT_DTYPE_BOOL && !nulls                ? "bool"
                                                                        : "object";
    PyObject *list = hp_series_list(self->series);
    for (Py_ssize_t i = 0; list && type[0] == 'f' && i < PyList_Size(list); i++)
        if (PyList_GetItem(list, i) == Py_None && PyList_SetItem(list, i, PyFloat_FromDouble(Py_NAN)) < 0)
            Py_CLEAR(list);
    PyObject *array = list ? PyObject_CallMethod(numpy, "fromiter", "Osn", list, type, PyList_Size(list)) : NULL;
    Py_XDECREF(list);
    return array;
}

PyObject *hp_share_numpy(PyObject *self, PyObject *unused)
{
    ht_dtype kind;
    Py_ssize_t each;
    (void)unused;
    PyObject *numpy = PyImport_ImportModule("numpy"), *array = NULL;
    if (numpy && dense((hp_series *)self, &kind, &each)) {
        PyObject *view = PyMemoryView_FromObject(self);
        array = view ? PyObject_CallMethod(numpy, "asarray", "N", view) : NULL;
    } else if (numpy && !PyErr_Occurred()) {
        array = copied_array(numpy, (hp_series *)self);
    }
    Py_XDECREF(numpy);
    return array;
}

/* __array__(dtype=None, copy=None) */
PyObject *hp_share_array(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"dtype", "copy", NULL};
    PyObject *dtype = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:__array__", HP_KEYWORDS(names), &dtype, &copy)) return NULL;
    PyObject *array = hp_share_numpy(self, NULL);
    if (array && dtype != Py_None) {
        PyObject *cast = PyObject_CallMethod(array, "astype", "O", dtype);
        Py_DECREF(array);
        array = cast;
    } else if (array && copy == Py_True) {
        PyObject *twin = PyObject_CallMethod(array, "copy", NULL);
        Py_DECREF(array);
        array = twin;
    }
    return array;
}

PyObject *hp_share_pyarrow(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *pyarrow = PyImport_ImportModule("pyarrow"), *array;
    if (!pyarrow) {
        if (!PyErr_ExceptionMatches(PyExc_ImportError)) return NULL;
        PyErr_Clear();
        return Py_NewRef(self);
    }
    if (ht_series_dtype(((hp_series *)self)->series) == HT_DTYPE_OBJECT) {
        PyObject *list = hp_series_list(((hp_series *)self)->series);
        array = list ? PyObject_CallMethod(pyarrow, "array", "N", list) : NULL;
    } else {
        array = PyObject_CallMethod(pyarrow, "array", "O", self);
    }
    Py_DECREF(pyarrow);
    return array;
}
