/*
 * py_async.c - coroutines that stand for calls of a run, and the completions that end them.
 *
 * A call that starts gives its coroutine to houndstooth._loop.spawn, which runs it on an event loop and calls the
 * completion object with what it came to, on the loop's thread.
 */
#include "py_core.h"

typedef struct completion {
    PyObject_HEAD ht_completion *completion; /* NULL: ended */
    Py_ssize_t n_outputs;
} completion;
static PyTypeObject *completion_type;

ht_status hp_spawn(PyObject *coroutine, ht_completion *to, Py_ssize_t n_outputs, ht_error *err)
{
    completion *made = NULL;
    PyObject *done = NULL;
    if (!hp.spawn) {
        PyObject *loop = PyImport_ImportModule("houndstooth._loop");
        hp.spawn = loop ? PyObject_GetAttrString(loop, "spawn") : NULL;
        Py_XDECREF(loop);
    }
    if (hp.spawn) made = PyObject_New(completion, completion_type);
    if (made) {
        made->completion = to;
        made->n_outputs = n_outputs;
        done = PyObject_CallFunctionObjArgs(hp.spawn, coroutine, (PyObject *)made, NULL);
    }
    ht_status status = HT_OK;
    if (!done) {
        if (made) made->completion = NULL;
        status = hp_fail(err);
    }
    Py_DECREF(coroutine);
    Py_XDECREF((PyObject *)made);
    Py_XDECREF(done);
    return status;
}

/* completion(result, exception) */
static PyObject *completion_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    completion *c = (completion *)self;
    PyObject *result, *exception;
    ht_completion *to = c->completion;
    ht_value out[HP_MAX_INPUTS];
    ht_error err = {0};
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO", &result, &exception)) return NULL;
    if (!to) Py_RETURN_NONE;
    c->completion = NULL;
    const bool before = hp_enter();
    ht_status status;
    for (Py_ssize_t o = 0; o < c->n_outputs; o++) out[o] = ht_value_null();
    if (exception != Py_None) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        status = hp_fail(&err);
    } else {
        status = hp_take_outputs(result, c->n_outputs, out, &err);
    }
    if (status == HT_OK) {
        ht_complete(to, out);
    } else {
        for (Py_ssize_t o = 0; o < c->n_outputs; o++) ht_value_release(out[o]);
        ht_complete_failure(to, &err);
    }
    hp_leave(before);
    Py_RETURN_NONE;
}

/* Nobody will call it any more, so its call would never end. */
static void completion_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    completion *c = (completion *)self;
    if (c->completion) ht_complete_error(c->completion, HT_CANCELLED, "the coroutine was dropped by its event loop");
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot completion_slots[] = {
    {Py_tp_call, HP_SLOT(completion_call)},
    {Py_tp_dealloc, HP_SLOT(completion_dealloc)},
    {Py_tp_doc, HP_DOC("Ends one asynchronous call: completion(result, exception).")},
    {0, NULL}};
static PyType_Spec completion_spec = {"houndstooth._core.Completion", sizeof(completion), 0,
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, completion_slots};

int hp_async_init(PyObject *module)
{
    PyObject *types = PyImport_ImportModule("types");
    hp.coroutine_type = types ? (PyTypeObject *)PyObject_GetAttrString(types, "CoroutineType") : NULL;
    Py_XDECREF(types);
    if (!hp.coroutine_type) return -1;
    completion_type = hp_add_type(module, &completion_spec, NULL);
    return completion_type ? 0 : -1;
}
