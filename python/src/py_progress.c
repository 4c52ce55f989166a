/*
 * py_progress.c - bars of a run: the library's progress, fed by the events that a run hands to Python.
 *
 * Thread rule: the GIL; events come one at a time.
 */
#include "py_core.h"

#include <houndstooth/progress.h>

typedef struct hp_progress {
    PyObject_HEAD ht_progress *progress;
    PyObject *write; /* function(text) */
} hp_progress;

/* What cannot be shown is reported and ends nothing. */
static void write_text(void *ud, const char *text, size_t len)
{
    hp_progress *self = ud;
    PyObject *string = PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, "replace");
    PyObject *done = string ? PyObject_CallFunctionObjArgs(self->write, string, NULL) : NULL;
    if (!done) PyErr_WriteUnraisable(self->write);
    Py_XDECREF(string);
    Py_XDECREF(done);
}

static PyObject *progress_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"pipeline", "outputs", "given",       "write", "terminal",
                                        "width",    "height",  "interval_ms", NULL};
    PyObject *pipeline, *outputs, *given, *write;
    int terminal = 0;
    unsigned int width = 0, height = 0, interval_ms = 0;
    ht_error err = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OOO|pIII", HP_KEYWORDS(names), hp.pipeline_type, &pipeline,
                                     &outputs, &given, &write, &terminal, &width, &height, &interval_ms))
        return NULL;
    ht_plan *plan = hp_plan_of(pipeline, outputs, given);
    hp_progress *self = plan ? PyObject_GC_New(hp_progress, type) : NULL;
    if (!self) {
        ht_plan_release(plan);
        return NULL;
    }
    self->progress = NULL;
    self->write = Py_NewRef(write);
    PyObject_GC_Track((PyObject *)self);
    const ht_progress_options options = {HT_DESC(ht_progress_options), .write = write_text, .ud = self,
                                         .terminal = terminal,         .width = width,      .height = height,
                                         .interval_ms = interval_ms};
    const ht_status status = ht_progress_new(plan, &options, &self->progress, &err);
    ht_plan_release(plan);
    if (status == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static int progress_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((hp_progress *)self)->write);
    return 0;
}

static int progress_clear(PyObject *self)
{
    (void)self; /* `write` is called until the last event: it goes with the object */
    return 0;
}

static void progress_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ht_progress_free(((hp_progress *)self)->progress);
    Py_XDECREF(((hp_progress *)self)->write);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *progress_event(PyObject *self, PyObject *args)
{
    int kind;
    unsigned long long item, n, frame, parent, time_ns;
    PyObject *values, *exception;
    ht_event event = {0};
    if (!PyArg_ParseTuple(args, "isIKKKKKOO", &kind, &event.node, &event.depth, &item, &n, &frame, &parent, &time_ns,
                          &values, &exception))
        return NULL;
    event.kind = (ht_event_kind)kind;
    event.item = item;
    event.n = n;
    event.frame = frame;
    event.parent = parent;
    event.time_ns = time_ns;
    ht_progress_event(((hp_progress *)self)->progress, &event);
    Py_RETURN_NONE;
}

static PyObject *progress_finish(PyObject *self, PyObject *unused)
{
    (void)unused;
    ht_progress_finish(((hp_progress *)self)->progress);
    Py_RETURN_NONE;
}

static PyMethodDef progress_methods[] = {{"event", progress_event, METH_VARARGS, NULL},
                                         {"finish", progress_finish, METH_NOARGS, NULL},
                                         {NULL, NULL, 0, NULL}};
static PyType_Slot progress_slots[] = {
    {Py_tp_new, HP_SLOT(progress_new)},
    {Py_tp_dealloc, HP_SLOT(progress_dealloc)},
    {Py_tp_traverse, HP_SLOT(progress_traverse)},
    {Py_tp_clear, HP_SLOT(progress_clear)},
    {Py_tp_methods, progress_methods},
    {Py_tp_doc,
     HP_DOC("Progress(pipeline, outputs, given, write, terminal=False, width=0, height=0, interval_ms=0)"
            "\n\nBars of one run, given to write(text); event() takes what a run's event function is told.")},
    {0, NULL}};
static PyType_Spec progress_spec = {"houndstooth._core.Progress", sizeof(hp_progress), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, progress_slots};

int hp_progress_init(PyObject *module) { return hp_add_type(module, &progress_spec, NULL) ? 0 : -1; }
