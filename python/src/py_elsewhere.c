/*
 * py_elsewhere.c - slices of maps handed to Python, which has them run by a cluster.
 *
 * `submit(key, job, data, done)` of an engine takes a slice and returns at once or later; done(reply, None), or
 * done(None, exception), is called once, from any thread. A done that is dropped unused ends its slice as lost.
 */
#include "py_core.h"

typedef struct hp_done {
    PyObject_HEAD void (*done)(void *ud, ht_status status, const void *reply, size_t len, const char *message);
    void *ud;
} hp_done;
static PyTypeObject *done_type;

static void end(hp_done *d, ht_status status, const void *reply, size_t len, const char *message)
{
    void (*done)(void *, ht_status, const void *, size_t, const char *) = d->done;
    d->done = NULL;
    if (done) done(d->ud, status, reply, len, message);
}

static PyObject *done_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *reply, *exception;
    hp_done *d = (hp_done *)self;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO", &reply, &exception)) return NULL;
    const bool before = hp_enter();
    if (exception != Py_None) {
        ht_error err;
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        const ht_status status = hp_fail(&err);
        end(d, status, NULL, 0, err.message);
    } else if (PyBytes_Check(reply)) {
        end(d, HT_OK, PyBytes_AsString(reply), (size_t)PyBytes_Size(reply), NULL);
    } else {
        end(d, HT_INTERNAL, NULL, 0, "a worker's reply is not bytes");
    }
    hp_leave(before);
    Py_RETURN_NONE;
}

static void done_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    end((hp_done *)self, HT_CANCELLED, NULL, 0, "a slice was dropped by what ran it");
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot done_slots[] = {{Py_tp_call, HP_SLOT(done_call)},
                                   {Py_tp_dealloc, HP_SLOT(done_dealloc)},
                                   {Py_tp_doc, HP_DOC("Ends a slice: done(reply, None) or done(None, exception).")},
                                   {0, NULL}};
static PyType_Spec done_spec = {"houndstooth._core.Done", sizeof(hp_done), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, done_slots};

ht_status hp_submit(void *ud, const ht_slice *slice, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    ht_status status = HT_OK;
    hp_done *done = PyObject_New(hp_done, done_type);
    PyObject *result = NULL;
    if (done) {
        done->done = slice->done;
        done->ud = slice->done_ud;
        result = PyObject_CallFunction(((const hp_ends *)ud)->submit, "y#y#y#O", (const char *)&slice->key,
                                       (Py_ssize_t)sizeof slice->key, slice->job, (Py_ssize_t)slice->job_len,
                                       slice->data, (Py_ssize_t)slice->data_len, (PyObject *)done);
    }
    if (!result) {
        status = hp_fail(err);
        if (done && done->done)
            done->done = NULL; /* the caller knows */
        else if (done)
            status = HT_OK; /* it has been told already */
    }
    Py_XDECREF(result);
    Py_XDECREF((PyObject *)done);
    hp_gil_give(gil);
    return status;
}

ht_status hp_flush(void *ud, ht_error *err)
{
    const hp_gil gil = hp_gil_take();
    PyObject *result = PyObject_CallNoArgs(((const hp_ends *)ud)->flush);
    const ht_status status = result ? HT_OK : hp_fail(err);
    Py_XDECREF(result);
    hp_gil_give(gil);
    return status;
}

int hp_elsewhere_init(PyObject *module)
{
    done_type = hp_add_type(module, &done_spec, NULL);
    return done_type ? 0 : -1;
}
