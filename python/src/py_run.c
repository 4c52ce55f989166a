/*
 * py_run.c - runs of pipelines from Python: engines, what they are told, and results as dicts.
 *
 * The GIL is held through a run; the library lets it go wherever it waits. Signals are looked at as the run polls for
 * cancellation: what a handler raises ends the run and is raised by it.
 */
#include "py_core.h"

#include <stddef.h>
#include <string.h>

/* ---- engines ---- */

typedef struct hp_engine {
    PyObject_HEAD int kind; /* ht_engine */
    Py_ssize_t n_workers, window, batch_max;
    ht_pool *pool;                                              /* of threads, from the first run on */
    PyObject *cache, *trace, *event, *submit, *flush, *objects; /* NULL: none */
    unsigned long long timeout_ms;
} hp_engine;

static PyObject *optional(PyObject *object) { return object == Py_None ? NULL : Py_NewRef(object); }

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"kind",  "workers",    "window", "batch_max", "cache",   "trace",
                                        "event", "timeout_ms", "submit", "flush",     "objects", NULL};
    int kind;
    Py_ssize_t n_workers = 0, window = 0, batch_max = 0;
    PyObject *cache = Py_None, *trace = Py_None, *event = Py_None, *submit = Py_None, *flush = Py_None,
             *objects = Py_None;
    unsigned long long timeout_ms = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|nnnOOOKOOO", HP_KEYWORDS(names), &kind, &n_workers, &window,
                                     &batch_max, &cache, &trace, &event, &timeout_ms, &submit, &flush, &objects))
        return NULL;
    hp_engine *self = PyObject_New(hp_engine, type);
    if (!self) return NULL;
    self->kind = kind;
    self->n_workers = n_workers;
    self->window = window;
    self->batch_max = batch_max;
    self->pool = NULL;
    self->cache = optional(cache);
    self->trace = optional(trace);
    self->event = optional(event);
    self->submit = optional(submit);
    self->flush = optional(flush);
    self->objects = optional(objects);
    self->timeout_ms = timeout_ms;
    return (PyObject *)self;
}

static void engine_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    hp_engine *engine = (hp_engine *)self;
    const bool before = hp_enter(); /* threads may need the GIL to end */
    ht_pool_free(engine->pool);
    hp_leave(before);
    Py_XDECREF(engine->cache);
    Py_XDECREF(engine->trace);
    Py_XDECREF(engine->event);
    Py_XDECREF(engine->submit);
    Py_XDECREF(engine->flush);
    Py_XDECREF(engine->objects);
    PyObject_Free(self);
    Py_DECREF(type);
}

void hp_nested_settings(PyObject *object, ht_nested_run *out)
{
    hp_engine *engine = (hp_engine *)object;
    out->has_engine = true;
    out->engine = (ht_engine)engine->kind;
    out->n_workers = (size_t)engine->n_workers;
    out->has_cache = engine->cache != NULL;
    out->cache = hp_cache_of(engine->cache);
}

/* ---- one run ---- */

typedef struct run {
    ht_elsewhere elsewhere;
    hp_ends ends;
    PyObject *event, *result;  /* borrowed */
    const volatile char *stop; /* the byte that ends the run, of a bytearray that the caller keeps; or NULL */
    PyObject *interruption;    /* what a signal's handler, a callback or `result` raised; owned */
} run;

static void keep_interruption(run *r)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) (void)PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (r->interruption)
        Py_XDECREF(value);
    else
        r->interruption = value;
}

static bool is_cancelled(void *ud)
{
    run *r = ud;
    if (r->interruption) return true;
    if (r->stop && *r->stop) return true;
    if (!hp_held) return false; /* another thread: signals are the main thread's */
    if (PyErr_CheckSignals() == 0) return false;
    keep_interruption(r);
    return true;
}

/* {name: value} of what the event carries. */
static PyObject *values_of(const ht_event *event)
{
    const char *name;
    ht_value value;
    PyObject *dict = NULL;
    for (size_t i = 0; ht_event_value(event, i, &name, &value); i++) {
        if (!dict) dict = PyDict_New();
        PyObject *item = dict ? hp_unwrap(value) : NULL;
        if (!item || PyDict_SetItemString(dict, name, item) < 0) PyErr_Clear();
        Py_XDECREF(item);
    }
    if (!dict) PyErr_Clear();
    return dict ? dict : Py_NewRef(Py_None);
}

static void on_event(void *ud, const ht_event *event)
{
    run *r = ud;
    const hp_gil gil = hp_gil_take();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *exception = event->why ? hp_exception_of(event->why) : Py_NewRef(Py_None);
    PyObject *args =
        Py_BuildValue("(isIKKKKKNN)", (int)event->kind, event->node, event->depth, (unsigned long long)event->item,
                      (unsigned long long)event->n, (unsigned long long)event->frame, (unsigned long long)event->parent,
                      (unsigned long long)event->time_ns, values_of(event), exception);
    PyObject *done = args ? PyObject_CallObject(r->event, args) : NULL;
    if (!done && PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_WriteUnraisable(r->event); /* of interest to whoever listens, not to the run */
    else if (!done)
        keep_interruption(r);
    Py_XDECREF(args);
    Py_XDECREF(done);
    PyErr_Restore(type, value, traceback);
    hp_gil_give(gil);
}

static ht_status on_result(void *ud, uint64_t item, ht_value value, ht_error *err)
{
    run *r = ud;
    const hp_gil gil = hp_gil_take();
    PyObject *object = hp_unwrap(value);
    PyObject *done = object ? PyObject_CallFunction(r->result, "KN", (unsigned long long)item, object) : NULL;
    ht_status status = HT_OK;
    if (!done) {
        (void)hp_fail(err);
        status = err->status = HT_CANCELLED;
    }
    Py_XDECREF(done);
    hp_gil_give(gil);
    return status;
}

/* ---- results ---- */

/* Structs of a list mostly have the same names: their keys are made once. */
typedef struct keys {
    PyObject *names[HP_MAX_INPUTS];
    const char *text[HP_MAX_INPUTS];
    size_t n;
} keys;

static PyObject *key_of(keys *k, size_t at, ht_text name)
{
    if (at < k->n && !strcmp(k->text[at], name.data)) return k->names[at];
    PyObject *made = PyUnicode_FromStringAndSize(name.data, (Py_ssize_t)name.len);
    if (!made || at >= HP_MAX_INPUTS || at > k->n) return made;
    PyUnicode_InternInPlace(&made);
    if (at < k->n)
        Py_DECREF(k->names[at]);
    else
        k->n++;
    k->names[at] = made;
    k->text[at] = PyUnicode_AsUTF8AndSize(made, NULL);
    return made;
}

static PyObject *dict_of(ht_value value, keys *k)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    if (value.kind != HT_KIND_STRUCT || n > HP_MAX_INPUTS) return hp_unwrap(value); /* a failure */
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < n; i++) {
        PyObject *key = key_of(k, i, ht_value_field_name(value, i)), *item = key ? hp_unwrap(items[i]) : NULL;
        if (!item || PyDict_SetItem(dict, key, item) < 0) Py_CLEAR(dict);
        Py_XDECREF(item);
    }
    return dict;
}

static PyObject *result_of(ht_value value, bool mapped)
{
    keys k = {.n = 0};
    PyObject *result;
    if (mapped && value.kind == HT_KIND_LIST) {
        size_t n;
        const ht_value *items = ht_value_items(value, &n);
        result = PyList_New((Py_ssize_t)n);
        for (size_t i = 0; result && i < n; i++) {
            PyObject *item = dict_of(items[i], &k);
            if (!item || PyList_SetItem(result, (Py_ssize_t)i, item) < 0) Py_CLEAR(result);
        }
    } else {
        result = value.kind == HT_KIND_STRUCT ? dict_of(value, &k) : hp_unwrap(value);
    }
    for (size_t i = 0; i < k.n; i++) Py_DECREF(k.names[i]);
    return result;
}

/* ---- from Python ---- */

typedef struct request {
    const char **outputs, **over;
    PyObject *keep_outputs, *keep_over;
    ht_value inputs;
} request;

static void free_request(request *q)
{
    PyMem_Free(q->outputs);
    PyMem_Free(q->over);
    Py_XDECREF(q->keep_outputs);
    Py_XDECREF(q->keep_over);
    ht_value_release(q->inputs);
}

int hp_engine_options(PyObject *object, ht_run_options *options)
{
    ht_error err = {0};
    hp_engine *engine = (hp_engine *)object;
    if (Py_TYPE(object) != hp.engine_type) {
        PyErr_SetString(PyExc_TypeError, "an Engine is wanted");
        return -1;
    }
    if (engine->kind == HT_ENGINE_THREADS && !engine->pool &&
        ht_pool_new((size_t)engine->n_workers, &engine->pool, &err) != HT_OK)
        return hp_raise(&err);
    options->engine = (ht_engine)engine->kind;
    options->pool = engine->pool;
    options->n_workers = (size_t)engine->n_workers;
    options->window = (size_t)engine->window;
    options->batch_max = (size_t)engine->batch_max;
    options->cache = hp_cache_of(engine->cache);
    options->trace = hp_trace_of(engine->trace);
    options->timeout_ms = engine->timeout_ms;
    options->registry = hp_registry();
    return 0;
}

static int prepare(hp_engine *engine, run *r, ht_run_options *options)
{
    if (hp_engine_options((PyObject *)engine, options) < 0) return -1;
    if (engine->submit) {
        r->ends = (hp_ends){engine->submit, engine->flush};
        r->elsewhere = (ht_elsewhere){.ud = &r->ends,
                                      .n_workers = (size_t)engine->n_workers,
                                      .objects = hp_references_of(engine->objects),
                                      .submit = hp_submit,
                                      .flush = engine->flush ? hp_flush : NULL};
        options->elsewhere = &r->elsewhere;
    }
    r->event = engine->event;
    if (engine->event) {
        options->event = on_event;
        options->item_events = true;
    }
    return 0;
}

/* None or a function (item, result); or it and a bytearray that ends the run. */
static bool is_result(PyObject *object)
{
    if (!PyTuple_Check(object)) return object == Py_None || PyCallable_Check(object);
    if (PyTuple_Size(object) != 2) return false;
    PyObject *stop = PyTuple_GetItem(object, 1);
    return PyByteArray_Check(stop) && PyByteArray_Size(stop) > 0;
}

PyObject *hp_pipeline_run(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    request q = {.inputs = ht_value_null()};
    run r = {0};
    ht_error err = {0};
    ht_value out = ht_value_null();
    PyObject *result = NULL;
    if (n_args != 8 || !PyDict_Check(args[0]) || Py_TYPE(args[2]) != hp.engine_type || !is_result(args[7])) {
        PyErr_SetString(PyExc_TypeError, "run(inputs, outputs, engine, plain, map_over, product, collect, result)");
        return NULL;
    }
    const ht_monitor monitor = {.ud = &r, .cancelled = is_cancelled};
    ht_run_options options = {HT_DESC(ht_run_options), .ud = &r, .monitor = &monitor, .gather = hp_gather};
    const bool mapped = args[4] != Py_None, before = hp_enter();
    const uint64_t causes = hp_causes_begin();
    Py_ssize_t n_outputs = hp_texts(args[1], "outputs", &q.outputs, &q.keep_outputs), n_over = 0;
    if (n_outputs >= 0) n_over = hp_texts(args[4], "map_over", &q.over, &q.keep_over);
    if (n_outputs >= 0 && n_over >= 0 && hp_struct_of_dict(args[0], &q.inputs) == 0 &&
        prepare((hp_engine *)args[2], &r, &options) == 0) {
        options.outputs = q.outputs;
        options.n_outputs = (size_t)n_outputs;
        options.plain = args[3] == Py_True;
        options.map_over = q.over;
        options.n_map_over = (size_t)n_over;
        options.map_mode = args[5] == Py_True ? HT_MAP_PRODUCT : HT_MAP_ZIP;
        options.errors = args[6] == Py_True ? HT_ERRORS_COLLECT : HT_ERRORS_RAISE;
        r.result = args[7];
        if (PyTuple_Check(args[7])) { /* (function, bytearray) */
            r.result = PyTuple_GetItem(args[7], 0);
            r.stop = PyByteArray_AsString(PyTuple_GetItem(args[7], 1));
        }
        if (r.result != Py_None) options.result = on_result;
        const ht_pipeline *pipeline = ((hp_pipeline *)self)->pipeline;
        const ht_status status = mapped ? ht_pipeline_map(pipeline, q.inputs, &options, &out, &err)
                                        : ht_pipeline_run(pipeline, q.inputs, &options, &out, &err);
        if (r.interruption)
            PyErr_SetObject((PyObject *)Py_TYPE(r.interruption), r.interruption);
        else if (status == HT_OK)
            result = result_of(out, mapped);
        else
            (void)hp_raise(&err);
    }
    Py_XDECREF(r.interruption);
    ht_value_release(out);
    free_request(&q);
    hp_causes_end(causes);
    hp_leave(before);
    return result;
}

static PyMemberDef engine_members[] = {{"_trace", Py_T_OBJECT_EX, offsetof(hp_engine, trace), Py_READONLY, NULL},
                                       {"_cache", Py_T_OBJECT_EX, offsetof(hp_engine, cache), Py_READONLY, NULL},
                                       {NULL, 0, 0, 0, NULL}};
static PyType_Slot engine_slots[] = {{Py_tp_new, HP_SLOT(engine_new)},
                                     {Py_tp_dealloc, HP_SLOT(engine_dealloc)},
                                     {Py_tp_members, engine_members},
                                     {Py_tp_doc, HP_DOC("Engine(kind, workers=0, window=0, batch_max=0, cache=None, "
                                                        "trace=None, event=None, timeout_ms=0)")},
                                     {0, NULL}};
static PyType_Spec engine_spec = {"houndstooth._core.Engine", sizeof(hp_engine), 0, Py_TPFLAGS_DEFAULT, engine_slots};

int hp_run_init(PyObject *module)
{
    hp.engine_type = hp_add_type(module, &engine_spec, NULL);
    return hp.engine_type ? 0 : -1;
}
