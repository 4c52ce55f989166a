/*
 * py_registry.c - what the process can name, and how Python code becomes code again in another one (ht_face).
 *
 * A node travels as its Node object, pickled; there `_described()` gives its Body and policies. An instance travels
 * as its spec (Class, args, kwargs). An exception travels pickled, with its traceback as a note; one that cannot be
 * pickled arrives as a RuntimeError of the same text.
 */
#include "py_core.h"

#include <malloc.h>

static ht_registry *registry;

ht_registry *hp_registry(void) { return registry; }

ht_status hp_registry_instance(const ht_class *cls, ht_value args, ht_instance **out, ht_error *err)
{
    return ht_registry_instance_of(registry, cls, args, out, err);
}

/* ---- nodes ---- */

/* (body, version, batch_size, max_retries, retry_wait_ms, on_error, timeout_ms) */
static int read_described(PyObject *described, ht_node_desc *out)
{
    PyObject *body;
    const char *version;
    Py_ssize_t batch_size;
    unsigned int max_retries, retry_wait_ms, on_error, timeout_ms;
    if (!PyArg_ParseTuple(described, "O!znIIII", hp.body_type, &body, &version, &batch_size, &max_retries,
                          &retry_wait_ms, &on_error, &timeout_ms))
        return -1;
    out->self = body; /* kept by the node, which `code` is */
    out->version = version;
    out->forms = hp_body_forms((hp_body *)body);
    out->forms.batch_size = (size_t)batch_size;
    out->forms.max_retries = max_retries;
    out->forms.retry_wait_ms = retry_wait_ms;
    out->forms.on_error = (ht_on_error)on_error;
    out->forms.timeout_ms = timeout_ms;
    return 0;
}

static ht_status make_node(void *ud, ht_value code, ht_node_desc *out, ht_error *err)
{
    (void)ud;
    const hp_gil gil = hp_gil_take();
    PyObject *node = ht_value_object(code, &hp_object_type);
    PyObject *described = node ? PyObject_CallMethod(node, "_described", NULL) : NULL;
    if (!node) PyErr_SetString(PyExc_TypeError, "a node's code is no Python object");
    /* The version's text belongs to the tuple, which the node keeps. */
    const ht_status status = described && read_described(described, out) == 0 ? HT_OK : hp_fail(err);
    Py_XDECREF(described);
    hp_gil_give(gil);
    return status;
}

static ht_status find_class(void *ud, ht_value args, const ht_class **out, ht_error *err)
{
    (void)ud;
    const hp_gil gil = hp_gil_take();
    ht_status status = HT_OK;
    *out = hp_class_of_spec(ht_value_object(args, &hp_object_type));
    if (!*out) {
        PyErr_SetString(PyExc_TypeError, "an instance's spec is not of a Python class");
        status = hp_fail(err);
    }
    hp_gil_give(gil);
    return status;
}

/* ---- exceptions ---- */

static ht_status give_cause(void *ud, uint64_t cause, ht_writer *writer, ht_error *err)
{
    (void)ud;
    const hp_gil gil = hp_gil_take();
    PyObject *exception = hp_cause_exception(cause);
    PyObject *module = exception ? PyImport_ImportModule("houndstooth._pickle") : NULL;
    PyObject *bytes = module ? PyObject_CallMethod(module, "dump_exception", "O", exception) : NULL;
    const ht_status status =
        bytes ? ht_writer_add(writer, PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes), err) : hp_fail(err);
    Py_XDECREF(bytes);
    Py_XDECREF(module);
    Py_XDECREF(exception);
    hp_gil_give(gil);
    return status;
}

static uint64_t take_cause(void *ud, const void *data, size_t len)
{
    (void)ud;
    ht_error err = {0};
    const hp_gil gil = hp_gil_take();
    PyObject *module = PyImport_ImportModule("houndstooth._pickle");
    PyObject *exception = module ? PyObject_CallMethod(module, "load_exception", "y#", data, (Py_ssize_t)len) : NULL;
    if (exception && PyExceptionInstance_Check(exception)) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        (void)hp_fail(&err);
    }
    PyErr_Clear();
    Py_XDECREF(exception);
    Py_XDECREF(module);
    hp_gil_give(gil);
    return err.cause;
}

static int64_t retry_after_ms(void *ud, uint64_t cause)
{
    (void)ud;
    const hp_gil gil = hp_gil_take();
    PyObject *exception = hp_cause_exception(cause), *seconds = NULL;
    if (exception && hp_is_retry_after(exception)) seconds = PyObject_GetAttrString(exception, "retry_after");
    const double wait = seconds ? PyFloat_AsDouble(seconds) : -1;
    PyErr_Clear();
    Py_XDECREF(seconds);
    Py_XDECREF(exception);
    hp_gil_give(gil);
    return wait >= 0 && wait < 1e9 ? (int64_t)(1000 * wait) : -1;
}

/* ---- workers ---- */

enum { MAX_WORDS = 8 };
static const char *worker_words[MAX_WORDS + 1];
static PyObject *worker_keep;
static ht_face face = {HT_DESC(ht_face),
                       .node = make_node,
                       .cls = find_class,
                       .give_cause = give_cause,
                       .take_cause = take_cause,
                       .worker = worker_words,
                       .retry_after_ms = retry_after_ms};

/* set_worker(words): the command that starts a worker. */
static PyObject *set_worker(PyObject *module, PyObject *words)
{
    const char **texts;
    PyObject *keep;
    (void)module;
    const Py_ssize_t n = hp_texts(words, "a worker's command", &texts, &keep);
    if (n < 0) return NULL;
    for (Py_ssize_t i = 0; i < n && i < MAX_WORDS; i++) worker_words[i] = texts[i];
    worker_words[n < MAX_WORDS ? n : MAX_WORDS] = NULL;
    PyMem_Free(texts);
    Py_XSETREF(worker_keep, keep);
    Py_RETURN_NONE;
}

/*
 * serve_worker(words): answers requests of the process that started this one until it ends; the exit code.
 * Arrays come and go with each request: without these two their memory would be given back and faulted in anew, which
 * costs more than what is done with it.
 */
static PyObject *serve_worker(PyObject *module, PyObject *words)
{
    const char **texts;
    PyObject *keep;
    int code;
    (void)module;
    const Py_ssize_t n = hp_texts(words, "a worker's arguments", &texts, &keep);
    if (n < 0) return NULL;
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
    HP_NATIVE_BEGIN
    code = ht_worker_main((int)n, (char **)(uintptr_t)texts, registry);
    HP_NATIVE_END
    PyMem_Free(texts);
    Py_XDECREF(keep);
    return PyLong_FromLong(code);
}

/* ---- slices ---- */

typedef struct hp_references {
    PyObject_HEAD ht_references *references;
} hp_references;
static PyTypeObject *references_type;

ht_references *hp_references_of(PyObject *object)
{
    return object && Py_TYPE(object) == references_type ? ((hp_references *)object)->references : NULL;
}

static PyObject *references_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    ht_error err = {0};
    (void)args;
    (void)kwargs;
    hp_references *self = PyObject_New(hp_references, type);
    if (!self) return NULL;
    self->references = NULL;
    if (ht_references_new(&self->references, &err) == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void references_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    const bool before = hp_enter();
    ht_references_free(((hp_references *)self)->references);
    hp_leave(before);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot references_slots[] = {
    {Py_tp_new, HP_SLOT(references_new)},
    {Py_tp_dealloc, HP_SLOT(references_dealloc)},
    {Py_tp_doc, HP_DOC("Objects that slices of this process name instead of encoding them.")},
    {0, NULL}};
static PyType_Spec references_spec = {"houndstooth._core.References", sizeof(hp_references), 0, Py_TPFLAGS_DEFAULT,
                                      references_slots};

/* serve(key, job, data, references): the reply to a slice. Any thread. */
static PyObject *serve(PyObject *module, PyObject *args)
{
    const char *key, *job, *data;
    Py_ssize_t key_len, job_len, data_len;
    PyObject *objects, *result = NULL;
    ht_writer *writer = NULL;
    ht_error err = {0};
    size_t len;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#y#y#O", &key, &key_len, &job, &job_len, &data, &data_len, &objects)) return NULL;
    ht_slice slice = {.job = job, .job_len = (size_t)job_len, .data = data, .data_len = (size_t)data_len};
    if (key_len != (Py_ssize_t)sizeof slice.key) {
        PyErr_SetString(PyExc_ValueError, "a slice's key has 16 bytes");
        return NULL;
    }
    memcpy(&slice.key, key, sizeof slice.key);
    const bool before = hp_enter();
    const uint64_t causes = hp_causes_begin();
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_serve(registry, &slice, hp_references_of(objects), writer, &err);
    if (status == HT_OK) {
        const void *bytes = ht_writer_data(writer, &len);
        result = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len);
    } else {
        (void)hp_raise(&err);
    }
    ht_writer_free(writer);
    hp_causes_end(causes);
    hp_leave(before);
    return result;
}

/* ---- bridges ---- */

/* What a bridge's function gives: bytes, or None where it lacks the job. */
static ht_status serve_by_function(void *ud, const ht_slice *slice, ht_writer *reply, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *job = slice->job ? PyBytes_FromStringAndSize(slice->job, (Py_ssize_t)slice->job_len) : Py_NewRef(Py_None);
    PyObject *result =
        job ? PyObject_CallFunction(ud, "y#Oy#", (const char *)&slice->key, (Py_ssize_t)sizeof slice->key, job,
                                    slice->data, (Py_ssize_t)slice->data_len)
            : NULL;
    ht_status status = HT_OK;
    if (!result)
        status = hp_fail(err);
    else if (result == Py_None)
        status = HT_PARKED;
    else if (PyBytes_Check(result))
        status = ht_writer_add(reply, PyBytes_AsString(result), (size_t)PyBytes_Size(result), err);
    else
        status = (PyErr_SetString(PyExc_TypeError, "a bridge's reply is bytes"), hp_fail(err));
    Py_XDECREF(result);
    Py_XDECREF(job);
    hp_gil_give(gil);
    return status;
}

/* serve_bridge(function): function(key, job or None, data) for each slice, until the parent ends; the exit code. */
static PyObject *serve_bridge(PyObject *module, PyObject *function)
{
    int code;
    (void)module;
    HP_NATIVE_BEGIN
    code = ht_bridge_serve(serve_by_function, function);
    HP_NATIVE_END
    return PyLong_FromLong(code);
}

static PyObject *load_plugin(PyObject *module, PyObject *path)
{
    ht_error err = {0};
    (void)module;
    const char *text = hp_text(path, "a plug-in's path");
    if (!text) return NULL;
    if (ht_registry_load(registry, text, &err) == HT_OK) Py_RETURN_NONE;
    (void)hp_raise(&err);
    return NULL;
}

static PyMethodDef functions[] = {
    {"set_worker", set_worker, METH_O, NULL},   {"serve_worker", serve_worker, METH_O, NULL},
    {"serve", serve, METH_VARARGS, NULL},       {"serve_bridge", serve_bridge, METH_O, NULL},
    {"load_plugin", load_plugin, METH_O, NULL}, {NULL, NULL, 0, NULL}};

int hp_registry_init(PyObject *module)
{
    ht_error err = {0};
    ht_status status = ht_registry_new(&registry, &err);
    if (status == HT_OK) status = ht_registry_add_type(registry, &hp_object_type, &err);
    if (status == HT_OK) status = ht_retrieval_register(registry, &err);
    if (status != HT_OK) return hp_raise(&err);
    ht_face_set(&face);
    references_type = hp_add_type(module, &references_spec, NULL);
    return references_type ? PyModule_AddFunctions(module, functions) : -1;
}
