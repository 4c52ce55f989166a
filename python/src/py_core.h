/*
 * py_core.h - what the files of the extension share.
 *
 * Values: a Python object goes through a pipeline as it is, by reference: None, bool, int of 64 bits and float inside
 * an ht_value, everything else as an opaque object of type "python.object". Values that native code makes become Python
 * objects where Python reads them, and the other way round (py_convert.c).
 * The GIL: whoever enters from Python holds it, and keeps it through the whole run; the library lets it go wherever a
 * thread waits (ht_blocking_set), and threads of the library take it for each call of Python. `hp_held` says whether
 * this thread holds it; where it says no, taking is always right.
 */
#ifndef HP_CORE_H
#define HP_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <houndstooth/houndstooth.h>

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { HP_MAX_INPUTS = 64 };

/* A slot's value is a void *, also where it is a function; ISO C has no such conversion, POSIX does. */
#define HP_SLOT(function) (__extension__(void *)(function))
#define HP_DOC(text) ((void *)(uintptr_t)(text))
/* What the limited API of 3.12 lacks. */
#ifndef Py_SETREF
#define Py_SETREF(to, value)                  \
    do {                                      \
        PyObject *hp_old_ = (PyObject *)(to); \
        (to) = (value);                       \
        Py_DECREF(hp_old_);                   \
    } while (0)
#endif
#ifndef Py_XSETREF
#define Py_XSETREF(to, value)                 \
    do {                                      \
        PyObject *hp_old_ = (PyObject *)(to); \
        (to) = (value);                       \
        Py_XDECREF(hp_old_);                  \
    } while (0)
#endif
#define HP_TPFLAGS_SEQUENCE (1UL << 5)
static inline PyObject *hp_call_one(PyObject *function, PyObject *argument)
{
    return PyObject_CallFunctionObjArgs(function, argument, NULL);
}
/* A function that takes keywords, as a method. */
#define HP_METHOD(function) ((PyCFunction)(void (*)(void))(function))
/* Keywords of a signature, which CPython before 3.13 takes as if it might write to them. */
#define HP_KEYWORDS(names) ((char **)(uintptr_t)(names))
#if PY_VERSION_HEX < 0x030C0000 /* the names that members have since 3.12 */
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_BOOL T_BOOL
#define Py_T_ULONGLONG T_ULONGLONG
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

/* Everything that lives once in the process; Python objects are owned. */
typedef struct hp_globals {
    PyTypeObject *body_type, *class_type, *instance_type, *call_type, *pipeline_type, *engine_type, *series_type,
        *value_type, *cache_type, *trace_type, *frame_type, *dtype_type, *coroutine_type, *native_type, *encoder_type,
        *collection_type;
    PyObject *causes;      /* {number: exception} of runs under way */
    PyObject *dumps;       /* cloudpickle's, from the first use on */
    PyObject *plain_dumps; /* pickle's */
    PyObject *loads;       /* pickle's */
    PyObject *cancelled;   /* exception class, a BaseException: raised at the call of a body that is given up */
    PyObject *spawn;       /* function(coroutine, completion): runs a coroutine on the loop of the run */
    PyObject *cache_key;   /* function(object): what stands for an object of an unknown class */
    PyObject *to_series;   /* function(sequence): a Series of it */
    PyObject *str_run, *str_append, *str_name;
} hp_globals;
extern hp_globals hp;

/* ---- module.c ---- */
/* A heap type of the module, added to it under its short name; NULL with an exception. */
PyTypeObject *hp_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base);

/* ---- py_gil.c ---- */
extern _Thread_local bool hp_held;
/* The GIL for this thread; what it gives is for hp_gil_give. */
typedef enum hp_gil { HP_GIL_HAD, HP_GIL_TAKEN, HP_GIL_NESTED, HP_GIL_FIRST } hp_gil;
hp_gil hp_gil_take(void);
void hp_gil_give(hp_gil taken);
/* Entering from Python: the old value of hp_held, to be put back when the call ends. */
static inline bool hp_enter(void)
{
    const bool before = hp_held;
    hp_held = true;
    return before;
}
static inline void hp_leave(bool before) { hp_held = before; }
/* Around long native work, which no Python is called in. */
#define HP_NATIVE_BEGIN                              \
    {                                                \
        const bool hp_was_held_ = hp_held;           \
        PyThreadState *hp_ts_ = PyEval_SaveThread(); \
        hp_held = false;
#define HP_NATIVE_END             \
    PyEval_RestoreThread(hp_ts_); \
    hp_held = hp_was_held_;       \
    }
int hp_gil_init(void);

/* ---- py_errors.c ---- */
/* The pending exception as a failure of the library; it stays reachable by err->cause until its run has ended. */
ht_status hp_fail(ht_error *err);
/* The same where it is sure that something failed. */
static inline ht_status hp_fail_surely(ht_error *err)
{
    const ht_status status = hp_fail(err);
    return status == HT_OK ? HT_FAILED : status;
}
static inline ht_status hp_no_memory(ht_error *err)
{
    PyErr_NoMemory();
    return hp_fail_surely(err);
}
/* A failure as a pending exception; -1. */
int hp_raise(const ht_error *err);
/* The exception object of a failure, new reference, never NULL with no exception pending. */
PyObject *hp_exception_of(const ht_error *err);
/* The exception that a cause stands for, as it was raised; NULL without an exception: none. New reference. */
PyObject *hp_cause_exception(uint64_t cause);
/* Whether it is a RetryAfterError. */
bool hp_is_retry_after(PyObject *exception);
/* Numbers of causes that a run may refer to: from its begin on, until its end. */
uint64_t hp_causes_begin(void);
void hp_causes_end(uint64_t at);
/* A cause that outlives its run, until hp_cause_drop. */
void hp_cause_keep(uint64_t cause);
void hp_cause_drop(uint64_t cause);
int hp_errors_init(PyObject *module);

/* ---- py_convert.c ---- */
extern const ht_type hp_object_type;
/* A Python object as a value, with a reference; INVALID and friends through err. */
ht_status hp_wrap(PyObject *object, ht_value *out, ht_error *err);
/* A value as a Python object, new reference; NULL with an exception. */
PyObject *hp_unwrap(ht_value value);
/* Deeply: a native value of None, numbers, str, bytes, lists, dicts, arrays, for nodes and classes written in C. */
ht_status hp_to_native(ht_value value, ht_value *out, ht_error *err);
/* How nested maps' results become a Python list; an ht_run_options.gather. */
ht_status hp_gather(void *ud, ht_value *items, size_t n, ht_value *out, ht_error *err);
/* A dict {str: object} as a struct of wrapped values. */
int hp_struct_of_dict(PyObject *dict, ht_value *out);
/* Text of a str, borrowed from it; NULL with an exception, TypeError where it is none. */
const char *hp_text(PyObject *object, const char *what);
/* A sequence of str as an array borrowed from it, kept by *keep; n -1 on failure. */
Py_ssize_t hp_texts(PyObject *sequence, const char *what, const char ***out, PyObject **keep);

/* ---- py_registry.c ---- */
ht_registry *hp_registry(void);
/* The table of a References object; NULL of None. */
ht_references *hp_references_of(PyObject *object);
int hp_registry_init(PyObject *module);

/* ---- py_elsewhere.c ---- */
/* Python functions of an ht_elsewhere, borrowed; its `ud`. */
typedef struct hp_ends {
    PyObject *submit, *flush;
} hp_ends;
ht_status hp_submit(void *ud, const ht_slice *slice, ht_error *err);
ht_status hp_flush(void *ud, ht_error *err);
int hp_elsewhere_init(PyObject *module);

/* ---- py_pickle.c: objects as bytes, and their digests ---- */
ht_status hp_object_digest(const void *object, ht_digest *digest, ht_error *err);
ht_status hp_object_encode(const void *object, ht_writer *writer, ht_error *err);
ht_status hp_object_decode(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err);

/* ---- py_body.c: Python functions as forms of nodes ---- */
typedef struct hp_body {
    PyObject_HEAD PyObject *function, *batch; /* batch: of a dual node, else NULL */
    PyObject *kwnames; /* names of parameters that go by keyword, behind the others; NULL: none */
    Py_ssize_t n_positional, n_params, n_outputs;
    bool is_async, parks; /* parks: instances are in its closure or globals */
    bool as_series;       /* what batch is given */
    bool coalesce;        /* its calls of instances may stop it */
    bool warned;          /* of many calls in a row */
} hp_body;
/* The forms of a body by what it is. */
ht_forms hp_body_forms(const hp_body *body);
bool hp_in_body(void); /* whether the thread stands in a node's function */
/* Python's result as n_outputs values; clears what it made on failure. */
ht_status hp_take_outputs(PyObject *result, Py_ssize_t n_outputs, ht_value *out, ht_error *err);
/* A batch's result as n rows: a list, or whatever gives one; RuntimeError where they are not n. */
ht_status hp_take_rows(PyObject *result, size_t n, ht_value *out, ht_error *err);
int hp_body_init(PyObject *module);

/* ---- py_series.c ---- */
/* Rows as a Series object, new reference. */
PyObject *hp_series_of_values(const ht_value *rows, size_t n);
int hp_series_init(PyObject *module);
/* ---- py_frame.c ---- */
int hp_frame_init(PyObject *module);

/* ---- py_stack.c: bodies that stop in their middle ---- */
/* The body form of nodes: with a stack of its own where an instance is among the arguments. */
ht_status hp_body_run(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err);
void hp_body_drop(void *slot);
/* Whether this thread stands in a body that may stop for a call. */
bool hp_can_park(void);
/* Counts a call of a method with a batch form in that body: many in a row are warned of once; -1 with an exception. */
int hp_count_call(PyObject *method);
/* The call's result, new reference, after the body has stopped for it; NULL with an exception. Takes the values. */
PyObject *hp_park(ht_value instance, const char *method, ht_value *args, size_t n_args);

/* ---- py_instance.c: classes and their instances ---- */
void hp_interned_end(void); /* no run is under way: instances made in bodies of objects that may change are let go */
/* The instance of a proxy object, borrowed; NULL if it is none. */
ht_instance *hp_instance_of(PyObject *object);
/* The class that a spec (Class, args, kwargs) is of; NULL if it is none. */
const ht_class *hp_class_of_spec(PyObject *spec);
/* A value that is an instance as its proxy, new reference. */
PyObject *hp_proxy_of(ht_value value);
int hp_instance_init(PyObject *module);

/* Makes the instance of a class whose description lives as long as it. */
ht_status hp_registry_instance(const ht_class *cls, ht_value args, ht_instance **out, ht_error *err);
int hp_method_init(PyObject *module); /* method.c */

/* ---- py_array.c ---- */
/* A native value that Python holds: an array, an embedding, a failure, what native nodes pass on. */
typedef struct hp_value {
    PyObject_HEAD ht_value value;
    PyObject *failure; /* (item, node, exception) of a failed item; NULL: it is none */
} hp_value;
/* With a reference of its own; NULL with an exception. */
PyObject *hp_value_new(ht_value value);
PyObject *hp_failure_new(ht_value value, const ht_failure *failure);
/* A struct {vectors: [n, dim], pooled: [dim]}, or of vectors alone. */
bool hp_is_embedding(ht_value value);
int hp_array_init(PyObject *module);

/* ---- py_shapes.c: what retrieval takes, of what Python has; -1 with an exception ---- */
/* An encoder's embedding, a dict {vectors, pooled}, an array [n, dim] or [dim], or lists of numbers. */
int hp_embedding(PyObject *object, ht_value *out);
/* A sequence of dicts {uuid, text, title}; encoded: {uuid, text, embedding}. */
int hp_passages(PyObject *sequence, bool encoded, ht_value *out);
/* A sequence of dicts with "id" or "passage_uuid", and a score, or of ids alone. */
int hp_hits(PyObject *sequence, ht_value *out);
/* Structs {id, score}, also in lists, as dicts {id, passage_uuid, score}; everything else as hp_unwrap. */
PyObject *hp_unwrap_hits(ht_value value);
/* The text of a str field, borrowed from the dict; 0 where there is none, -1 with an exception where it is no str. */
int hp_field_text(PyObject *dict, const char *name, ht_text *out);

/* ---- retrieval in C as Python types ---- */
int hp_native_init(PyObject *module);     /* py_native.c */
int hp_encoder_init(PyObject *module);    /* py_encoder.c */
int hp_eval_init(PyObject *module);       /* py_eval.c */
int hp_collection_init(PyObject *module); /* py_collection.c */

/* ---- py_store.c: caches and traces ---- */
ht_trace *hp_trace_of(PyObject *object); /* NULL of None */
ht_cache *hp_cache_of(PyObject *object);
/* What a writer holds as a str; frees it. A failure becomes an exception. */
PyObject *hp_writer_text(ht_writer *writer, ht_status status, const ht_error *err);
int hp_store_init(PyObject *module);

/* ---- py_pipeline.c, run.c ---- */
/* Settings of a run out of an Engine, without events. -1 with an exception. */
int hp_engine_options(PyObject *object, ht_run_options *options);
/* Settings of a nested pipeline out of an Engine. */
void hp_nested_settings(PyObject *object, ht_nested_run *out);
typedef struct hp_pipeline {
    PyObject_HEAD ht_pipeline *pipeline;
    PyObject *keep; /* list of what its nodes borrow */
} hp_pipeline;
/* The plan of a Pipeline for these outputs (None: all) and given inputs; NULL with an exception. */
ht_plan *hp_plan_of(PyObject *self, PyObject *outputs, PyObject *given);
int hp_pipeline_init(PyObject *module);
/* ---- py_progress.c ---- */
int hp_progress_init(PyObject *module);
PyObject *hp_pipeline_run(PyObject *self, PyObject *const *args, Py_ssize_t n_args);
int hp_run_init(PyObject *module);

/* ---- py_async.c ---- */
/* Starts the coroutine that a call gave; takes it. The completion ends when it does. */
ht_status hp_spawn(PyObject *coroutine, ht_completion *to, Py_ssize_t n_outputs, ht_error *err);
int hp_async_init(PyObject *module);

#endif
