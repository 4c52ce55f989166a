/*
 * py_pickle.c - Python objects as bytes for other processes and caches, and as digests for keys of caches.
 *
 * Bytes: houndstooth._pickle.dumps and loads, which know our own classes. Digests: plain containers, text, bytes,
 * numbers and arrays here, by kind and content, so that 1, 1.0, True, "1" and b"1" all differ; everything else by
 * houndstooth._digest.key_of.
 */
#include "py_core.h"

#include <string.h>

static PyObject *function_of(PyObject **slot, const char *module, const char *name)
{
    if (*slot) return *slot;
    PyObject *imported = PyImport_ImportModule(module);
    *slot = imported ? PyObject_GetAttrString(imported, name) : NULL;
    Py_XDECREF(imported);
    return *slot;
}

/* Of containers, text and numbers alone, which pickle itself takes anywhere. */
static bool is_plain(PyObject *object, int depth)
{
    enum { DEEP = 20 };
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (object == Py_None || PyUnicode_CheckExact(object) || PyLong_CheckExact(object) || PyFloat_CheckExact(object) ||
        PyBool_Check(object) || PyBytes_CheckExact(object))
        return true;
    if (depth > DEEP) return false;
    if (PyDict_CheckExact(object)) {
        while (PyDict_Next(object, &at, &key, &value))
            if (!is_plain(key, depth + 1) || !is_plain(value, depth + 1)) return false;
        return true;
    }
    const bool list = PyList_CheckExact(object);
    if (!list && !PyTuple_CheckExact(object)) return false;
    const Py_ssize_t n = list ? PyList_Size(object) : PyTuple_Size(object);
    for (; at < n; at++)
        if (!is_plain(list ? PyList_GetItem(object, at) : PyTuple_GetItem(object, at), depth + 1)) return false;
    return true;
}

ht_status hp_object_encode(const void *object, ht_writer *writer, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *dumps = is_plain((PyObject *)(uintptr_t)object, 0)
                          ? function_of(&hp.plain_dumps, "pickle", "dumps")
                          : function_of(&hp.dumps, "houndstooth._pickle", "dumps");
    PyObject *bytes = dumps ? hp_call_one(dumps, (PyObject *)(uintptr_t)object) : NULL;
    const ht_status status =
        bytes ? ht_writer_add(writer, PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes), err) : hp_fail(err);
    Py_XDECREF(bytes);
    hp_gil_give(gil);
    return status;
}

ht_status hp_object_decode(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err)
{
    (void)registry;
    const hp_gil gil = hp_gil_take();
    PyObject *loads = function_of(&hp.loads, "houndstooth._pickle", "loads");
    char *bytes = (char *)(uintptr_t)data; /* only read, and what is loaded has copies of it */
    PyObject *view = loads ? PyMemoryView_FromMemory(bytes, (Py_ssize_t)len, PyBUF_READ) : NULL;
    *object = view ? hp_call_one(loads, view) : NULL;
    const ht_status status = *object ? HT_OK : hp_fail(err);
    Py_XDECREF(view);
    hp_gil_give(gil);
    return status;
}

/* ---- digests ---- */

static int add(PyObject *object, int depth, ht_digest *digest);

static void add_head(ht_digest *digest, char kind, Py_ssize_t n)
{
    char head[1 + sizeof(int64_t)];
    const int64_t len = n;
    head[0] = kind;
    memcpy(head + 1, &len, sizeof len);
    ht_digest_add(digest, head, sizeof head);
}

static int add_items(PyObject *sequence, char kind, int depth, ht_digest *digest)
{
    PyObject *items = PySequence_Tuple(sequence);
    const Py_ssize_t n = items ? PyTuple_Size(items) : -1;
    int done = items ? 0 : -1;
    add_head(digest, kind, n);
    for (Py_ssize_t i = 0; done == 0 && i < n; i++) done = add(PyTuple_GetItem(items, i), depth + 1, digest);
    Py_XDECREF(items);
    return done;
}

/* In the order of the keys, where they have one: which was put in first is no difference. */
static int add_dict(PyObject *dict, int depth, ht_digest *digest)
{
    PyObject *keys = PyDict_Keys(dict);
    if (!keys) return -1;
    if (PyList_Sort(keys) < 0) PyErr_Clear();
    const Py_ssize_t n = PyList_Size(keys);
    int done = 0;
    add_head(digest, 'd', n);
    for (Py_ssize_t i = 0; done == 0 && i < n; i++) {
        PyObject *key = PyList_GetItem(keys, i), *value = PyDict_GetItemWithError(dict, key);
        done = value ? add(key, depth + 1, digest) : -1;
        if (done == 0) done = add(value, depth + 1, digest);
    }
    Py_DECREF(keys);
    return done;
}

static int add_text(PyObject *text, ht_digest *digest)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    if (!bytes) return -1;
    add_head(digest, 's', PyBytes_Size(bytes));
    ht_digest_add(digest, PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes));
    Py_DECREF(bytes);
    return 0;
}

/* By element type, shape and content; its class is part of it, as a matrix is no array. */
static int add_array(PyObject *object, ht_digest *digest)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) return -1;
    const char *format = view.format ? view.format : "B";
    add_head(digest, 'a', view.ndim);
    ht_digest_add(digest, format, strlen(format) + 1);
    for (int i = 0; i < view.ndim; i++) add_head(digest, 'n', view.shape[i]);
    ht_digest_add(digest, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return 0;
}

/* By what it is to native code: an embedding with its pooled vector. */
static int add_value(ht_value value, ht_digest *digest)
{
    ht_key key;
    ht_error err = {0};
    if (ht_value_digest(value, &key, &err) != HT_OK) return hp_raise(&err);
    add_head(digest, 'v', 0);
    ht_digest_add(digest, &key, sizeof key);
    return 0;
}

static int add_by_python(PyObject *object, int depth, ht_digest *digest)
{
    PyObject *key_of = function_of(&hp.cache_key, "houndstooth._digest", "key_of");
    PyObject *key = key_of ? hp_call_one(key_of, object) : NULL;
    int done = -1;
    if (key) {
        add_head(digest, 'o', 0);
        done = add(key, depth + 1, digest);
    }
    Py_XDECREF(key);
    return done;
}

static int add(PyObject *object, int depth, ht_digest *digest)
{
    if (depth > 100) {
        PyErr_SetString(PyExc_RecursionError, "a value is nested too deeply to be part of a cache key");
        return -1;
    }
    if (PyUnicode_CheckExact(object)) return add_text(object, digest);
    if (PyBytes_CheckExact(object)) {
        add_head(digest, 'b', PyBytes_Size(object));
        ht_digest_add(digest, PyBytes_AsString(object), (size_t)PyBytes_Size(object));
        return 0;
    }
    if (PyList_CheckExact(object)) return add_items(object, 'l', depth, digest);
    if (PyTuple_CheckExact(object)) return add_items(object, 't', depth, digest);
    if (PyDict_CheckExact(object)) return add_dict(object, depth, digest);
    if (object == Py_None || PyBool_Check(object)) {
        add_head(digest, object == Py_None ? 'N' : object == Py_True ? 'T' : 'F', 0);
        return 0;
    }
    if (PyLong_CheckExact(object)) {
        PyObject *text = PyObject_Str(object);
        if (!text) return -1;
        add_head(digest, 'i', 0);
        const int done = add_text(text, digest);
        Py_DECREF(text);
        return done;
    }
    if (PyFloat_CheckExact(object)) {
        const double number = PyFloat_AsDouble(object);
        add_head(digest, 'f', 0);
        ht_digest_add(digest, &number, sizeof number);
        return 0;
    }
    if (Py_TYPE(object) == hp.value_type) return add_value(((hp_value *)object)->value, digest);
    if (PyObject_CheckBuffer(object)) {
        if (add_array(object, digest) == 0) return 0;
        PyErr_Clear();
    }
    return add_by_python(object, depth, digest);
}

ht_status hp_object_digest(const void *object, ht_digest *digest, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    const int done = add((PyObject *)(uintptr_t)object, 0, digest);
    ht_status status = HT_OK;
    if (done < 0) {
        status = hp_fail(err);
        if (status == HT_FAILED) status = err->status = HT_UNSUPPORTED;
    }
    hp_gil_give(gil);
    return status;
}
