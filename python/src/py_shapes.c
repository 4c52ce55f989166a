/*
 * py_shapes.c - passages, embeddings and hits as Python has them, for the retrieval classes in C, and back.
 *
 * docs/retrieval_nodes.md has the native shapes. Python is met half way: embeddings may be any float array or lists of
 * numbers, a hit's id may be called "id" or "passage_uuid", and fields that retrieval does not read may hold anything.
 * What comes back has both names of the id, so that code written for either reads it.
 */
#include "py_core.h"

static int failed(const ht_error *err) { return PyErr_Occurred() ? -1 : hp_raise(err); }

/* ---- arrays ---- */

static int bad_array(PyObject *object)
{
    PyErr_Format(PyExc_TypeError,
                 "an embedding is an encoder's, a float array [n_tokens, dim] or [dim], or lists of numbers, not a %S",
                 (PyObject *)Py_TYPE(object));
    return -1;
}

/* Numbers of a sequence into to [dim]. */
static int fill_row(PyObject *row, float *to, Py_ssize_t dim)
{
    PyObject *items = PySequence_Tuple(row);
    if (!items) return -1;
    int done = PyTuple_Size(items) == dim ? 0 : -1;
    if (done < 0) PyErr_Format(PyExc_ValueError, "vectors of %zd and %zd numbers", dim, PyTuple_Size(items));
    for (Py_ssize_t i = 0; done == 0 && i < dim; i++) {
        const double number = PyFloat_AsDouble(PyTuple_GetItem(items, i));
        if (number == -1.0 && PyErr_Occurred()) done = -1;
        to[i] = (float)number;
    }
    Py_DECREF(items);
    return done;
}

/* [n_dims 1 or 2] from lists of numbers or of rows. */
static int tensor_of_lists(PyObject *object, ht_value *out)
{
    PyObject *rows = PySequence_Tuple(object);
    ht_error err = {0};
    if (!rows) return -1;
    const Py_ssize_t n = PyTuple_Size(rows);
    PyObject *first = n ? PyTuple_GetItem(rows, 0) : NULL;
    const bool is_flat = first && (PyFloat_Check(first) || PyLong_Check(first));
    const Py_ssize_t dim = !first ? 0 : is_flat ? n : PySequence_Size(first);
    const int64_t shape[] = {is_flat ? 1 : n, dim};
    int done = dim > 0 ? 0 : -1;
    if (done < 0 && !PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "an embedding without a vector");
    if (done == 0 && ht_value_tensor(HT_F32, 2, shape, NULL, out, &err) != HT_OK) done = hp_raise(&err);
    if (done == 0) {
        float *to = ht_value_tensor_view(*out)->data;
        if (is_flat) done = fill_row(rows, to, dim);
        for (Py_ssize_t i = 0; !is_flat && done == 0 && i < n; i++)
            done = fill_row(PyTuple_GetItem(rows, i), to + i * dim, dim);
        if (done < 0) ht_value_release(*out);
    }
    Py_DECREF(rows);
    return done;
}

/* The same numbers as float32 with n_dims dimensions, 1 or 2: shared where they are that already. Takes the value. */
static int shaped(ht_value value, uint32_t n_dims, ht_value *out)
{
    const ht_tensor *tensor = ht_value_tensor_view(value);
    ht_error err = {0};
    const bool is_float = tensor->element == HT_F32 || tensor->element == HT_F64;
    int done = is_float && tensor->n_dims >= 1 && tensor->n_dims <= 2 ? 0 : -1;
    if (done < 0) PyErr_SetString(PyExc_ValueError, "an embedding is float32 or float64, [n_tokens, dim] or [dim]");
    if (done == 0 && tensor->element == HT_F32 && tensor->n_dims == n_dims) {
        *out = value;
        return 0;
    }
    if (done == 0) {
        const int64_t dim = tensor->shape[tensor->n_dims - 1], rows = tensor->n_dims == 2 ? tensor->shape[0] : 1;
        const int64_t shape[] = {n_dims == 2 ? rows : (int64_t)tensor->n, dim};
        if (ht_value_tensor(HT_F32, n_dims, shape, NULL, out, &err) != HT_OK) done = hp_raise(&err);
    }
    if (done == 0) {
        float *to = ht_value_tensor_view(*out)->data;
        for (size_t i = 0; i < tensor->n; i++)
            to[i] =
                tensor->element == HT_F32 ? ((const float *)tensor->data)[i] : (float)((const double *)tensor->data)[i];
    }
    ht_value_release(value);
    return done;
}

static int array_value(PyObject *object, uint32_t n_dims, ht_value *out)
{
    ht_value value, native;
    ht_error err = {0};
    if (PyUnicode_Check(object) || PyBytes_Check(object)) return bad_array(object);
    if (PyObject_CheckBuffer(object)) {
        PyObject *dense = PyMemoryView_GetContiguous(object, PyBUF_READ, 'C'); /* a copy only where it is not */
        if (!dense) return -1;
        const ht_status wrapped = hp_wrap(dense, &value, &err);
        Py_DECREF(dense);
        if (wrapped != HT_OK) return failed(&err);
        const ht_status status = hp_to_native(value, &native, &err);
        ht_value_release(value);
        if (status != HT_OK) return failed(&err);
        if (ht_value_tensor_view(native)) return shaped(native, n_dims, out);
        ht_value_release(native);
        return bad_array(object);
    }
    if (!PySequence_Check(object)) return bad_array(object);
    if (tensor_of_lists(object, &value) < 0) return -1;
    return shaped(value, n_dims, out);
}

int hp_embedding(PyObject *object, ht_value *out)
{
    static const char *const names[] = {"vectors", "pooled"};
    ht_value parts[2];
    ht_error err = {0};
    size_t n = 1;
    if (Py_TYPE(object) == hp.value_type && hp_is_embedding(((hp_value *)object)->value)) {
        *out = ht_value_retain(((hp_value *)object)->value);
        return 0;
    }
    PyObject *vectors = object, *pooled = NULL;
    if (PyDict_Check(object)) {
        vectors = PyDict_GetItemString(object, "vectors");
        pooled = PyDict_GetItemString(object, "pooled");
        if (!vectors) return bad_array(object);
    }
    if (array_value(vectors, 2, &parts[0]) < 0) return -1;
    if (pooled && pooled != Py_None && array_value(pooled, 1, &parts[n++]) < 0) {
        ht_value_release(parts[0]);
        return -1;
    }
    const ht_status status = ht_value_struct(names, parts, n, out, &err);
    for (size_t i = 0; i < n; i++) ht_value_release(parts[i]);
    return status == HT_OK ? 0 : hp_raise(&err);
}

/* ---- dicts ---- */

int hp_field_text(PyObject *dict, const char *name, ht_text *out)
{
    Py_ssize_t len;
    PyObject *field = PyDict_GetItemString(dict, name); /* borrowed */
    *out = (ht_text){"", 0};
    if (!field || field == Py_None) return 0;
    if (!PyUnicode_Check(field)) {
        PyErr_Format(PyExc_TypeError, "'%s' is a str, not a %S", name, (PyObject *)Py_TYPE(field));
        return -1;
    }
    const char *text = PyUnicode_AsUTF8AndSize(field, &len);
    if (!text) return -1;
    *out = (ht_text){text, (size_t)len};
    return 1;
}

/* The list of what `item` makes of each element of a sequence. */
static int list_value(PyObject *sequence, const char *what, int (*item)(PyObject *, ht_value *), ht_value *out)
{
    ht_error err = {0};
    PyObject *rows = NULL;
    if (PyUnicode_Check(sequence) || PyDict_Check(sequence) || PyBytes_Check(sequence))
        PyErr_Format(PyExc_TypeError, "%s are a list, not a %S", what, (PyObject *)Py_TYPE(sequence));
    else
        rows = PySequence_Tuple(sequence);
    if (!rows) return -1;
    const Py_ssize_t n = PyTuple_Size(rows);
    ht_value *items = PyMem_Malloc(((size_t)n + 1) * sizeof *items);
    Py_ssize_t made = 0;
    if (!items) PyErr_NoMemory();
    while (items && made < n && item(PyTuple_GetItem(rows, made), &items[made]) == 0) made++;
    int done = items && made == n ? 0 : -1;
    if (done == 0 && ht_value_list_take(items, (size_t)n, out, &err) != HT_OK)
        done = hp_raise(&err);
    else if (done < 0)
        for (Py_ssize_t i = 0; i < made; i++) ht_value_release(items[i]);
    PyMem_Free(items);
    Py_DECREF(rows);
    return done;
}

static int want_dict(PyObject *object, const char *what)
{
    if (PyDict_Check(object)) return 0;
    PyErr_Format(PyExc_TypeError, "%s is a dict, not a %S", what, (PyObject *)Py_TYPE(object));
    return -1;
}

static int passage_value(PyObject *object, bool encoded, ht_value *out)
{
    const char *const names[] = {"uuid", "text", encoded ? "embedding" : "title"};
    ht_value values[3];
    const char *kept[3];
    ht_error err = {0};
    size_t n = 0;
    int done = want_dict(object, "a passage");
    for (int i = 0; done == 0 && i < (encoded ? 2 : 3); i++) {
        ht_text text;
        const int has = hp_field_text(object, names[i], &text);
        if (has < 0) done = -1;
        if (has <= 0) continue;
        kept[n] = names[i];
        if (ht_value_string(text, &values[n], &err) == HT_OK)
            n++;
        else
            done = hp_raise(&err);
    }
    PyObject *embedding = done == 0 && encoded ? PyDict_GetItemString(object, "embedding") : NULL;
    if (done == 0 && encoded && !embedding) {
        PyErr_SetString(PyExc_ValueError, "an encoded passage has an 'embedding'");
        done = -1;
    }
    if (embedding) {
        kept[n] = names[2];
        done = hp_embedding(embedding, &values[n]);
        n += done == 0;
    }
    if (done == 0 && ht_value_struct(kept, values, n, out, &err) != HT_OK) done = hp_raise(&err);
    for (size_t i = 0; i < n; i++) ht_value_release(values[i]);
    return done;
}

static int plain_passage(PyObject *object, ht_value *out) { return passage_value(object, false, out); }
static int encoded_passage(PyObject *object, ht_value *out) { return passage_value(object, true, out); }

int hp_passages(PyObject *sequence, bool encoded, ht_value *out)
{
    return list_value(sequence, "passages", encoded ? encoded_passage : plain_passage, out);
}

/* ---- hits ---- */

static int hit_value(PyObject *object, ht_value *out)
{
    static const char *const names[] = {"id", "score"};
    ht_value values[2];
    ht_error err = {0};
    ht_text id = {"", 0};
    double score = 0;
    int has = 0;
    if (PyUnicode_Check(object)) {
        Py_ssize_t len;
        id.data = PyUnicode_AsUTF8AndSize(object, &len);
        has = id.data ? 1 : -1;
        id.len = has > 0 ? (size_t)len : 0;
    } else if (want_dict(object, "a hit") == 0) {
        PyObject *number = PyDict_GetItemString(object, "score");
        has = hp_field_text(object, "passage_uuid", &id);
        if (has == 0) has = hp_field_text(object, "id", &id);
        if (has > 0 && number) score = PyFloat_AsDouble(number);
        if (has == 0) PyErr_SetString(PyExc_ValueError, "a hit has neither 'id' nor 'passage_uuid'");
    }
    if (has <= 0 || PyErr_Occurred()) return -1;
    if (ht_value_string(id, &values[0], &err) != HT_OK) return hp_raise(&err);
    values[1] = ht_value_float(score);
    const ht_status status = ht_value_struct(names, values, 2, out, &err);
    ht_value_release(values[0]);
    return status == HT_OK ? 0 : hp_raise(&err);
}

int hp_hits(PyObject *sequence, ht_value *out) { return list_value(sequence, "hits", hit_value, out); }

static bool is_hit(ht_value value)
{
    size_t n;
    (void)ht_value_items(value, &n);
    return value.kind == HT_KIND_STRUCT && n == 2 && !strcmp(ht_value_field_name(value, 0).data, "id") &&
           !strcmp(ht_value_field_name(value, 1).data, "score");
}

PyObject *hp_unwrap_hits(ht_value value)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    if (is_hit(value)) {
        PyObject *id = hp_unwrap(items[0]);
        return id ? Py_BuildValue("{s:O,s:N,s:N}", "id", id, "passage_uuid", id, "score", hp_unwrap(items[1])) : NULL;
    }
    if (value.kind != HT_KIND_LIST) return hp_unwrap(value);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap_hits(items[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}
