/*
 * py_convert.c - Python objects as values, and values as Python objects.
 *
 * By reference both ways wherever something holds one: an object that went in comes out as the same object. Lists that
 * a nested map makes are Python lists from the start (hp_gather), so every reader sees one object.
 * Easy to get wrong: int and float by exact type only, as a subclass (an enum, a numpy scalar) is more than its number.
 */
#include "py_series.h"

#include <string.h>

/* ---- the type of objects ---- */

static void release_object(void *object)
{
    if (!Py_IsInitialized()) return; /* the interpreter is gone, and so is what it was */
    const hp_gil gil = hp_gil_take();
    Py_DECREF((PyObject *)object);
    hp_gil_give(gil);
}

static void describe_object(const void *object, char *text, size_t cap)
{
    const hp_gil gil = hp_gil_take();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *repr = PyObject_Repr((PyObject *)(uintptr_t)object);
    const char *utf8 = repr ? PyUnicode_AsUTF8AndSize(repr, NULL) : NULL;
    if (cap) (void)PyOS_snprintf(text, cap, "%s", utf8 ? utf8 : "a Python object");
    PyErr_Clear();
    Py_XDECREF(repr);
    PyErr_Restore(type, value, traceback);
    hp_gil_give(gil);
}

/* Of str, bytes and int, whose comparison calls no code of anybody's; others are the same by identity. */
static bool is_plain(PyObject *object)
{
    return PyUnicode_CheckExact(object) || PyBytes_CheckExact(object) || PyLong_CheckExact(object);
}

static bool same_object(const void *a, const void *b)
{
    PyObject *x = (PyObject *)(uintptr_t)a, *y = (PyObject *)(uintptr_t)b;
    if (x == y) return true;
    if (Py_TYPE(x) != Py_TYPE(y) || !is_plain(x)) return false;
    const hp_gil gil = hp_gil_take();
    const int same = PyObject_RichCompareBool(x, y, Py_EQ);
    if (same < 0) PyErr_Clear();
    hp_gil_give(gil);
    return same > 0;
}

static uint64_t hash_object(const void *object)
{
    PyObject *x = (PyObject *)(uintptr_t)object;
    if (!is_plain(x)) return (uint64_t)(uintptr_t)x >> 4;
    const hp_gil gil = hp_gil_take();
    const Py_hash_t hash = PyObject_Hash(x);
    hp_gil_give(gil);
    return (uint64_t)hash;
}

/* What a map iterates: any iterable but text and dicts, whose elements nobody means. */
static ht_status rows_of_object(const void *object, ht_value *out, ht_error *err)
{
    PyObject *x = (PyObject *)(uintptr_t)object;
    const hp_gil gil = hp_gil_take();
    ht_status status = HT_OK;
    PyObject *fast = NULL;
    if (PyUnicode_Check(x) || PyBytes_Check(x) || PyDict_Check(x))
        PyErr_Format(PyExc_TypeError, "an iterable of items is wanted, not a %S", (PyObject *)Py_TYPE(x));
    else
        fast = PyList_CheckExact(x) ? Py_NewRef(x) : PySequence_List(x);
    if (!fast) {
        status = hp_fail(err);
        hp_gil_give(gil);
        return status;
    }
    const Py_ssize_t n = PyList_Size(fast);
    ht_value *items = PyMem_Malloc((size_t)(n + 1) * sizeof *items);
    Py_ssize_t made = 0;
    if (!items) status = hp_no_memory(err);
    for (; status == HT_OK && made < n; made += status == HT_OK)
        status = hp_wrap(PyList_GetItem(fast, made), &items[made], err);
    if (status == HT_OK)
        status = ht_value_list_take(items, (size_t)n, out, err);
    else
        for (Py_ssize_t i = 0; i < made; i++) ht_value_release(items[i]);
    PyMem_Free(items);
    Py_DECREF(fast);
    hp_gil_give(gil);
    return status;
}

const ht_type hp_object_type = {
    HT_DESC(ht_type),           .name = "python.object",    .release = release_object,   .digest = hp_object_digest,
    .encode = hp_object_encode, .decode = hp_object_decode, .describe = describe_object, .same = same_object,
    .hash = hash_object,        .rows = rows_of_object};

/* ---- into values ---- */

ht_status hp_wrap(PyObject *object, ht_value *out, ht_error *err)
{
    if (object == Py_None) {
        *out = ht_value_null();
        return HT_OK;
    }
    if (PyFloat_CheckExact(object)) {
        *out = ht_value_float(PyFloat_AsDouble(object));
        return HT_OK;
    }
    if (PyBool_Check(object)) {
        *out = ht_value_bool(object == Py_True);
        return HT_OK;
    }
    if (PyLong_CheckExact(object)) {
        int overflow;
        const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (!overflow) {
            *out = ht_value_int(number);
            return HT_OK;
        }
    } else if (Py_TYPE(object) == hp.value_type) {
        *out = ht_value_retain(((hp_value *)object)->value);
        return HT_OK;
    } else {
        ht_instance *instance = hp_instance_of(object);
        if (instance) return ht_instance_value(instance, out, err);
        if (PyErr_Occurred()) return hp_fail(err);
    }
    return ht_value_opaque(&hp_object_type, Py_NewRef(object), out, err);
}

/* ---- out of values ---- */

static PyObject *list_of(ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap(items[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *dict_of(ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < n; i++) {
        const ht_text name = ht_value_field_name(value, i);
        PyObject *key = PyUnicode_FromStringAndSize(name.data, (Py_ssize_t)name.len), *item = hp_unwrap(items[i]);
        if (!key || !item || PyDict_SetItem(dict, key, item) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    return dict;
}

PyObject *hp_unwrap(ht_value value)
{
    switch (value.kind) {
    case HT_KIND_NULL: return Py_NewRef(Py_None);
    case HT_KIND_BOOL: return PyBool_FromLong(value.as.boolean);
    case HT_KIND_INT: return PyLong_FromLongLong(value.as.integer);
    case HT_KIND_FLOAT: return PyFloat_FromDouble(value.as.number);
    case HT_KIND_STRING: {
        const ht_text text = ht_value_text(value);
        return PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.len, "surrogateescape");
    }
    case HT_KIND_BYTES: {
        const ht_text bytes = ht_value_text(value);
        return PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.len);
    }
    case HT_KIND_LIST: return list_of(value);
    case HT_KIND_STRUCT: return hp_is_embedding(value) ? hp_value_new(value) : dict_of(value);
    case HT_KIND_TENSOR: return hp_value_new(value);
    case HT_KIND_OPAQUE: break;
    }
    PyObject *object = ht_value_object(value, &hp_object_type);
    if (object) return Py_NewRef(object);
    const ht_failure *failure = ht_value_failure(value);
    if (failure) return hp_failure_new(value, failure);
    if (ht_value_instance(value)) return hp_proxy_of(value);
    ht_series *series = ht_value_series(value);
    return series ? hp_series_new(ht_series_retain(series), NULL) : hp_value_new(value);
}

/* ---- results of nested maps ---- */

ht_status hp_gather(void *ud, ht_value *items, size_t n, ht_value *out, ht_error *err)
{
    (void)ud;
    const hp_gil gil = hp_gil_take();
    PyObject *list = PyList_New((Py_ssize_t)n);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        PyObject *item = hp_unwrap(items[i]);
        ok = item && PyList_SetItem(list, (Py_ssize_t)i, item) == 0;
    }
    for (size_t i = 0; i < n; i++) ht_value_release(items[i]);
    ht_status status = ok ? HT_OK : hp_fail(err);
    if (ok)
        status = ht_value_opaque(&hp_object_type, list, out, err);
    else
        Py_XDECREF(list);
    hp_gil_give(gil);
    return status;
}

/* ---- deeply, for native code ---- */

static ht_status native_of(PyObject *object, int depth, ht_value *out, ht_error *err);

static ht_status native_list(PyObject *list, int depth, ht_value *out, ht_error *err)
{
    PyObject *fast = PySequence_List(list);
    if (!fast) return hp_fail(err);
    const Py_ssize_t n = PyList_Size(fast);
    ht_value *items = PyMem_Malloc((size_t)(n + 1) * sizeof *items);
    ht_status status = HT_OK;
    Py_ssize_t made = 0;
    if (!items) status = hp_no_memory(err);
    for (; status == HT_OK && made < n; made += status == HT_OK)
        status = native_of(PyList_GetItem(fast, made), depth + 1, &items[made], err);
    if (status == HT_OK)
        status = ht_value_list_take(items, (size_t)n, out, err);
    else
        for (Py_ssize_t i = 0; items && i < made; i++) ht_value_release(items[i]);
    PyMem_Free(items);
    Py_DECREF(fast);
    return status;
}

static ht_status native_struct(PyObject *dict, int depth, ht_value *out, ht_error *err)
{
    const Py_ssize_t n = PyDict_Size(dict);
    const char **names = PyMem_Malloc((size_t)(n + 1) * sizeof *names);
    ht_value *items = PyMem_Malloc((size_t)(n + 1) * sizeof *items);
    PyObject *key, *value;
    Py_ssize_t at = 0, made = 0;
    ht_status status = HT_OK;
    if (!names || !items) status = hp_no_memory(err);
    while (names && items && status == HT_OK && PyDict_Next(dict, &at, &key, &value)) {
        names[made] = hp_text(key, "a dict's key");
        status = names[made] ? native_of(value, depth + 1, &items[made], err) : hp_fail_surely(err);
        if (status == HT_OK) made++;
    }
    if (status == HT_OK) status = ht_value_struct(names, items, (size_t)made, out, err);
    for (Py_ssize_t i = 0; items && i < made; i++) ht_value_release(items[i]);
    PyMem_Free(names);
    PyMem_Free(items);
    return status;
}

/* Element types by the letters of struct and the buffer protocol. */
static bool element_of(const char *format, ht_element *out)
{
    static const struct {
        char letter;
        ht_element element;
    } known[] = {{'f', HT_F32}, {'d', HT_F64}, {'b', HT_I8}, {'B', HT_U8}, {'i', HT_I32}, {'l', HT_I64}, {'q', HT_I64}};
    if (*format == '<' || *format == '=' || *format == '@') format++;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (format[0] == known[i].letter && format[1] == '\0') {
            *out = known[i].element;
            return true;
        }
    return false;
}

static void release_buffer(void *ud)
{
    if (!Py_IsInitialized()) return;
    const hp_gil gil = hp_gil_take();
    PyBuffer_Release(ud);
    PyMem_Free(ud);
    hp_gil_give(gil);
}

/* An array in one piece, shared. */
static ht_status native_array(PyObject *object, ht_value *out, ht_error *err)
{
    Py_buffer *view = PyMem_Malloc(sizeof *view);
    int64_t shape[HT_MAX_DIMS];
    ht_element element;
    if (!view || PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        PyMem_Free(view);
        return hp_fail(err);
    }
    if (!element_of(view->format ? view->format : "B", &element) || view->ndim > HT_MAX_DIMS) {
        PyErr_Format(PyExc_TypeError, "an array of format '%s' and %d dimensions cannot go to native code",
                     view->format ? view->format : "B", view->ndim);
        release_buffer(view);
        return hp_fail(err);
    }
    for (int i = 0; i < view->ndim; i++) shape[i] = view->shape[i];
    return ht_value_tensor_foreign(element, (uint32_t)view->ndim, shape, view->buf, release_buffer, view, out, err);
}

static ht_status native_of(PyObject *object, int depth, ht_value *out, ht_error *err)
{
    if (depth > 64) {
        PyErr_SetString(PyExc_RecursionError, "a value is nested too deeply for native code");
        return hp_fail(err);
    }
    if (PyUnicode_Check(object)) {
        Py_ssize_t len;
        const char *text = PyUnicode_AsUTF8AndSize(object, &len);
        return text ? ht_value_string((ht_text){text, (size_t)len}, out, err) : hp_fail(err);
    }
    if (PyBytes_Check(object)) return ht_value_bytes(PyBytes_AsString(object), (size_t)PyBytes_Size(object), out, err);
    if (PyList_Check(object) || PyTuple_Check(object)) return native_list(object, depth, out, err);
    if (PyDict_Check(object)) return native_struct(object, depth, out, err);
    if (PyFloat_Check(object)) {
        *out = ht_value_float(PyFloat_AsDouble(object));
        return HT_OK;
    }
    ht_value value;
    ht_status status = hp_wrap(object, &value, err);
    if (status != HT_OK) return status;
    if (ht_value_object(value, &hp_object_type) != object) {
        *out = value;
        return HT_OK;
    }
    ht_value_release(value);
    if (PyObject_CheckBuffer(object)) return native_array(object, out, err);
    PyErr_Format(PyExc_TypeError, "a %S cannot go to native code", (PyObject *)Py_TYPE(object));
    return hp_fail(err);
}

ht_status hp_to_native(ht_value value, ht_value *out, ht_error *err)
{
    PyObject *object = ht_value_object(value, &hp_object_type);
    if (!object) {
        *out = ht_value_retain(value);
        return HT_OK;
    }
    const hp_gil gil = hp_gil_take();
    const ht_status status = native_of(object, 0, out, err);
    hp_gil_give(gil);
    return status;
}

/* ---- names ---- */

const char *hp_text(PyObject *object, const char *what)
{
    if (PyUnicode_Check(object)) return PyUnicode_AsUTF8AndSize(object, NULL);
    PyErr_Format(PyExc_TypeError, "%s is a str, not a %S", what, (PyObject *)Py_TYPE(object));
    return NULL;
}

Py_ssize_t hp_texts(PyObject *sequence, const char *what, const char ***out, PyObject **keep)
{
    *out = NULL;
    *keep = NULL;
    if (!sequence || sequence == Py_None) return 0;
    if (PyUnicode_Check(sequence)) {
        PyErr_Format(PyExc_TypeError, "%s is a list of str", what);
        return -1;
    }
    PyObject *list = PySequence_Tuple(sequence);
    if (!list) return -1;
    const Py_ssize_t n = PyTuple_Size(list);
    const char **names = PyMem_Malloc((size_t)(n + 1) * sizeof *names);
    bool ok = names != NULL;
    if (!ok) PyErr_NoMemory();
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        names[i] = hp_text(PyTuple_GetItem(list, i), what);
        ok = names[i] != NULL;
    }
    if (!ok) {
        PyMem_Free(names);
        Py_DECREF(list);
        return -1;
    }
    *out = names;
    *keep = list;
    return n;
}

int hp_struct_of_dict(PyObject *dict, ht_value *out)
{
    const Py_ssize_t n = PyDict_Size(dict);
    const char *few_names[16];
    ht_value few_items[16];
    const bool small = n <= 16;
    const char **names = small ? few_names : PyMem_Malloc((size_t)n * sizeof *names);
    ht_value *items = small ? few_items : PyMem_Malloc((size_t)n * sizeof *items);
    PyObject *key, *value;
    Py_ssize_t at = 0, made = 0;
    ht_error err = {0};
    ht_status status = HT_OK;
    *out = ht_value_null();
    if (!names || !items) {
        PyErr_NoMemory();
        status = HT_NO_MEMORY;
    }
    while (status == HT_OK && PyDict_Next(dict, &at, &key, &value)) {
        names[made] = hp_text(key, "an input's name");
        items[made] = ht_value_null();
        status = names[made] ? hp_wrap(value, &items[made], &err) : HT_FAILED;
        if (status == HT_OK) made++;
    }
    if (status == HT_OK) status = ht_value_struct(names, items, (size_t)made, out, &err);
    for (Py_ssize_t i = 0; i < made; i++) ht_value_release(items[i]);
    if (!small) {
        PyMem_Free(names);
        PyMem_Free(items);
    }
    if (status == HT_OK) return 0;
    return PyErr_Occurred() ? -1 : hp_raise(&err);
}
