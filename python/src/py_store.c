/*
 * py_store.c - caches and traces as Python objects.
 */
#include "py_core.h"

#include <stddef.h>

PyObject *hp_writer_text(ht_writer *writer, ht_status status, const ht_error *err)
{
    size_t len;
    PyObject *text = NULL;
    if (status == HT_OK) {
        const void *data = ht_writer_data(writer, &len);
        text = PyUnicode_DecodeUTF8(data, (Py_ssize_t)len, "replace");
    } else {
        (void)hp_raise(err);
    }
    ht_writer_free(writer);
    return text;
}

/* ---- caches ---- */

typedef struct hp_cache {
    PyObject_HEAD ht_cache *cache;
} hp_cache;

ht_cache *hp_cache_of(PyObject *object)
{
    return object && Py_TYPE(object) == hp.cache_type ? ((hp_cache *)object)->cache : NULL;
}

/* Cache(path or None, max_bytes, max_age_s) */
static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *path;
    unsigned long long max_bytes, max_age;
    ht_error err = {0};
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "zKK", &path, &max_bytes, &max_age)) return NULL;
    hp_cache *self = PyObject_New(hp_cache, type);
    if (!self) return NULL;
    const ht_cache_options options = {HT_DESC(ht_cache_options), .max_bytes = max_bytes, .max_age_s = max_age};
    self->cache = NULL;
    ht_status status;
    HP_NATIVE_BEGIN
    status = path ? ht_cache_open(path, &options, &self->cache, &err) : ht_cache_memory(&options, &self->cache, &err);
    HP_NATIVE_END
    if (status == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void cache_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ht_cache_close(((hp_cache *)self)->cache);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int key_of(PyObject *object, ht_key *out)
{
    ht_value value, wrapped;
    ht_error err = {0};
    ht_status status = hp_wrap(object, &value, &err);
    if (status == HT_OK) {
        wrapped = value;
        status = ht_value_digest(wrapped, out, &err);
        ht_value_release(value);
    }
    return status == HT_OK ? 0 : hp_raise(&err);
}

/* put(key, value): any objects; the key by its digest. */
static PyObject *cache_put(PyObject *self, PyObject *args)
{
    PyObject *key, *object;
    ht_value value;
    ht_writer *writer = NULL;
    ht_error err = {0};
    ht_cache_entry entry = {0};
    if (!PyArg_ParseTuple(args, "OO", &key, &object) || key_of(key, &entry.key) < 0) return NULL;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = hp_wrap(object, &value, &err);
    if (status == HT_OK) {
        status = ht_value_encode(value, writer, &err);
        ht_value_release(value);
    }
    entry.data = writer ? ht_writer_data(writer, &entry.len) : NULL;
    if (status == HT_OK) status = ht_cache_put(((hp_cache *)self)->cache, &entry, 1, &err);
    ht_writer_free(writer);
    if (status == HT_OK) Py_RETURN_NONE;
    (void)hp_raise(&err);
    return NULL;
}

/* get(key, default=None) */
static PyObject *cache_get(PyObject *self, PyObject *args)
{
    PyObject *key, *otherwise = Py_None, *result = NULL;
    ht_key at = {0};
    ht_value value;
    ht_writer *writer = NULL;
    bool found = false;
    size_t len;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "O|O", &key, &otherwise) || key_of(key, &at) < 0) return NULL;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_cache_get(((hp_cache *)self)->cache, at, writer, &found, &err);
    if (status == HT_OK && !found) result = Py_NewRef(otherwise);
    if (status == HT_OK && found) {
        const void *data = ht_writer_data(writer, &len);
        status = ht_value_decode(data, len, hp_registry(), &value, &err);
        if (status == HT_OK) {
            result = hp_unwrap(value);
            ht_value_release(value);
        }
    }
    if (status != HT_OK) (void)hp_raise(&err);
    ht_writer_free(writer);
    return result;
}

static PyObject *cache_has(PyObject *self, PyObject *key)
{
    ht_key at = {0};
    bool found;
    ht_error err = {0};
    if (key_of(key, &at) < 0) return NULL;
    if (ht_cache_has(((hp_cache *)self)->cache, at, &found, &err) == HT_OK) return PyBool_FromLong(found);
    (void)hp_raise(&err);
    return NULL;
}

static PyObject *cache_stats(PyObject *self, PyObject *unused)
{
    ht_cache_stats s;
    ht_error err = {0};
    (void)unused;
    if (ht_cache_get_stats(((hp_cache *)self)->cache, &s, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "entries", (unsigned long long)s.entries, "bytes",
                         (unsigned long long)s.bytes, "hits", (unsigned long long)s.hits, "misses",
                         (unsigned long long)s.misses, "puts", (unsigned long long)s.puts, "evicted",
                         (unsigned long long)s.evicted, "damaged", (unsigned long long)s.damaged);
}

static PyObject *cache_prune(PyObject *self, PyObject *unused)
{
    uint64_t freed;
    ht_error err = {0};
    (void)unused;
    if (ht_cache_prune(((hp_cache *)self)->cache, &freed, &err) == HT_OK) return PyLong_FromUnsignedLongLong(freed);
    (void)hp_raise(&err);
    return NULL;
}

static PyObject *cache_clear_all(PyObject *self, PyObject *unused)
{
    ht_error err = {0};
    (void)unused;
    if (ht_cache_clear(((hp_cache *)self)->cache, &err) == HT_OK) Py_RETURN_NONE;
    (void)hp_raise(&err);
    return NULL;
}

static PyMethodDef cache_methods[] = {{"put", cache_put, METH_VARARGS, NULL},
                                      {"get", cache_get, METH_VARARGS, NULL},
                                      {"has", cache_has, METH_O, NULL},
                                      {"stats", cache_stats, METH_NOARGS, NULL},
                                      {"prune", cache_prune, METH_NOARGS, NULL},
                                      {"clear", cache_clear_all, METH_NOARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
static PyType_Slot cache_slots[] = {{Py_tp_new, HP_SLOT(cache_new)},
                                    {Py_tp_dealloc, HP_SLOT(cache_dealloc)},
                                    {Py_tp_methods, cache_methods},
                                    {0, NULL}};
static PyType_Spec cache_spec = {"houndstooth._core.Cache", sizeof(hp_cache), 0, Py_TPFLAGS_DEFAULT, cache_slots};

/* ---- traces ---- */

typedef struct hp_trace {
    PyObject_HEAD ht_trace *trace;
} hp_trace;

ht_trace *hp_trace_of(PyObject *object)
{
    return object && Py_TYPE(object) == hp.trace_type ? ((hp_trace *)object)->trace : NULL;
}

static PyObject *trace_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t n = 0;
    ht_error err = {0};
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "|n", &n)) return NULL;
    hp_trace *self = PyObject_New(hp_trace, type);
    if (!self) return NULL;
    self->trace = NULL;
    if (ht_trace_new((size_t)n, &self->trace, &err) == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void trace_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ht_trace_free(((hp_trace *)self)->trace);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* spans(): [(kind, worker, name, start_ns, end_ns, item, n)] */
static PyObject *trace_spans(PyObject *self, PyObject *unused)
{
    static const char *const kinds[] = {"node", "batch", "async", "map", "load", "slice", "cache", "wait"};
    const ht_span *spans;
    size_t n;
    uint64_t lost;
    ht_error err = {0};
    (void)unused;
    if (ht_trace_spans(((hp_trace *)self)->trace, &spans, &n, &lost, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        const ht_span *s = &spans[i];
        PyObject *row =
            Py_BuildValue("(sIsKKKK)", kinds[s->kind], s->worker, s->name, (unsigned long long)s->start_ns,
                          (unsigned long long)s->end_ns, (unsigned long long)s->item, (unsigned long long)s->n);
        if (!row || PyList_SetItem(list, (Py_ssize_t)i, row) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *trace_chrome(PyObject *self, PyObject *unused)
{
    ht_writer *writer = NULL;
    ht_error err = {0};
    (void)unused;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_trace_write_chrome(((hp_trace *)self)->trace, writer, &err);
    return hp_writer_text(writer, status, &err);
}

static PyObject *trace_html(PyObject *self, PyObject *args)
{
    const char *title = NULL;
    ht_writer *writer = NULL;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "|z", &title)) return NULL;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK)
        status = ht_trace_write_html(((hp_trace *)self)->trace, title ? title : "What ran", writer, &err);
    return hp_writer_text(writer, status, &err);
}

static PyMethodDef trace_methods[] = {{"spans", trace_spans, METH_NOARGS, NULL},
                                      {"chrome", trace_chrome, METH_NOARGS, NULL},
                                      {"html", trace_html, METH_VARARGS, NULL},
                                      {NULL, NULL, 0, NULL}};
static PyType_Slot trace_slots[] = {{Py_tp_new, HP_SLOT(trace_new)},
                                    {Py_tp_dealloc, HP_SLOT(trace_dealloc)},
                                    {Py_tp_methods, trace_methods},
                                    {0, NULL}};
static PyType_Spec trace_spec = {"houndstooth._core.Trace", sizeof(hp_trace), 0, Py_TPFLAGS_DEFAULT, trace_slots};

static PyObject *digest(PyObject *module, PyObject *object)
{
    ht_key key;
    (void)module;
    return key_of(object, &key) < 0 ? NULL : PyBytes_FromStringAndSize((const char *)&key, sizeof key);
}

static PyObject *current_device(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromLong(ht_current_device());
}

static PyMethodDef functions[] = {
    {"digest", digest, METH_O, "digest(object)\n--\n\n16 bytes that stand for an object's kind and content."},
    {"current_device", current_device, METH_NOARGS,
     "current_device()\n--\n\nThe first GPU that the object called on this thread holds; -1: none."},
    {NULL, NULL, 0, NULL}};

int hp_store_init(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0) return -1;
    hp.cache_type = hp_add_type(module, &cache_spec, NULL);
    hp.trace_type = hp_add_type(module, &trace_spec, NULL);
    return hp.cache_type && hp.trace_type ? 0 : -1;
}
