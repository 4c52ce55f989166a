/*
 * py_stack.c - Python bodies that stop in their middle for a call, and go on with its result.
 *
 * A body whose arguments hold an instance runs in a greenlet: a stack of its own on this thread. A call of a method
 * with a batch form switches back to whoever runs the body, which parks it; when the answer is there, it switches in
 * again.
 * Greenlets are pooled per thread and run one body after the other, because making one costs several times what a
 * switch does. Each body runs in a copy of the context of whoever runs it (contextvars).
 * Easy to get wrong: greenlets move pieces of the C stack, so nothing may point into the stack across a switch: what
 * both sides read lives in hp_stack, on the heap. And a body may run a pipeline itself: then `current` is that one's
 * body inside, and this one again afterwards.
 * A greenlet belongs to its thread; the library resumes and drops bodies where they were made.
 */
#include "py_core.h"

enum { CONTEXT = 1, FUNCTION = 2, FIRST_ARG = 3 };

typedef struct hp_stack {
    PyObject *greenlet, *hub; /* owned; hub: who runs the body now */
    const hp_body *body;
    PyObject
        *args[FIRST_ARG + HP_MAX_INPUTS]; /* room, its context, the function, [n_params]; owned from the second on */
    PyObject *result, *exception;         /* of the body, or NULL */
    bool done, calls;
    /* the call that it stops for, and its answer */
    ht_value instance;
    const char *method;
    ht_value call_args[HP_MAX_INPUTS];
    size_t n_call_args;
    PyObject *answer, *answer_exception;
    PyObject *last_method; /* name of the method of its last call, borrowed for comparing */
    size_t n_in_row;       /* calls of it, one after the other */
    struct hp_stack *next;
} hp_stack;

static _Thread_local hp_stack *current; /* the body that this thread stands in */
static _Thread_local hp_stack *idle;
static _Thread_local size_t n_idle;
static _Thread_local bool watched; /* the idle ones go with the thread's present state */
enum { MAX_IDLE = 2048 };

/* ---- greenlet's C interface: a table of pointers in a capsule, at places that never change ---- */

enum { G_NEW = 3, G_CURRENT = 4, G_SWITCH = 6 };
static void **api;
static PyObject *copy_context, *str_run;

static int load_api(void)
{
    if (api) return 0;
    void **found = PyCapsule_Import("greenlet._C_API", 0);
    PyObject *contextvars = found ? PyImport_ImportModule("contextvars") : NULL;
    copy_context = contextvars ? PyObject_GetAttrString(contextvars, "copy_context") : NULL;
    str_run = copy_context ? PyUnicode_InternFromString("run") : NULL;
    Py_XDECREF(contextvars);
    if (!str_run) return -1;
    api = found;
    return 0;
}

static PyObject *greenlet_new(PyObject *run)
{
    PyObject *(*fn)(PyObject *, PyObject *);
    memcpy(&fn, &api[G_NEW], sizeof fn);
    return fn(run, NULL);
}
static PyObject *greenlet_current(void)
{
    PyObject *(*fn)(void);
    memcpy(&fn, &api[G_CURRENT], sizeof fn);
    return fn();
}
static PyObject *greenlet_switch(PyObject *to)
{
    PyObject *(*fn)(PyObject *, PyObject *, PyObject *);
    memcpy(&fn, &api[G_SWITCH], sizeof fn);
    return fn(to, NULL, NULL);
}

/* ---- inside the greenlet ---- */

static PyObject *take_exception(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) (void)PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static void raise_exception(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
}

/* One body after the other; what switches in has put the next one in place. */
static PyObject *stack_main(PyObject *capsule, PyObject *unused)
{
    hp_stack *s = PyCapsule_GetPointer(capsule, "houndstooth.stack");
    (void)unused;
    while (s) {
        s->result = PyObject_VectorcallMethod(
            str_run, s->args + CONTEXT,
            (size_t)(FIRST_ARG - CONTEXT + s->body->n_positional) | PY_VECTORCALL_ARGUMENTS_OFFSET, s->body->kwnames);
        if (!s->result) s->exception = take_exception();
        s->done = true;
        PyObject *woken = greenlet_switch(s->hub);
        if (!woken) return NULL; /* the greenlet is being ended */
        Py_DECREF(woken);
    }
    return NULL;
}

static PyMethodDef main_def = {"houndstooth_body", stack_main, METH_NOARGS, NULL};

/* ---- the pool ---- */

static void free_stack(hp_stack *s)
{
    Py_XDECREF(s->greenlet);
    PyMem_Free(s);
}

/* With the thread's state: its idle greenlets can end on no other thread, and what they saved points into that state.
 * A thread that others started has a new state each time that it comes back to Python. */
static void free_idle(PyObject *capsule)
{
    (void)capsule;
    watched = false;
    while (idle && Py_IsInitialized()) {
        hp_stack *s = idle;
        idle = s->next;
        n_idle--;
        free_stack(s);
    }
}

/* Once for each state of the thread. */
static int watch_thread(void)
{
    PyObject *dict = watched ? NULL : PyThreadState_GetDict(); /* borrowed */
    if (!dict) return 0;
    PyObject *capsule = PyCapsule_New(&idle, "houndstooth.idle", free_idle);
    const int status = capsule ? PyDict_SetItemString(dict, "houndstooth.idle", capsule) : -1;
    Py_XDECREF(capsule);
    watched = status == 0;
    return status;
}

static hp_stack *take_stack(void)
{
    hp_stack *s = idle;
    if (s) {
        idle = s->next;
        n_idle--;
        return s;
    }
    if (watch_thread() < 0) return NULL;
    s = PyMem_Calloc(1, sizeof *s);
    if (!s) {
        PyErr_NoMemory();
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(s, "houndstooth.stack", NULL);
    PyObject *run = capsule ? PyCFunction_NewEx(&main_def, capsule, NULL) : NULL;
    s->greenlet = run ? greenlet_new(run) : NULL;
    Py_XDECREF(run);
    Py_XDECREF(capsule);
    if (!s->greenlet) {
        free_stack(s);
        return NULL;
    }
    return s;
}

/* Its body has ended. */
static void put_stack(hp_stack *s)
{
    for (Py_ssize_t i = CONTEXT; i < FIRST_ARG + s->body->n_params; i++) Py_CLEAR(s->args[i]);
    Py_CLEAR(s->result);
    Py_CLEAR(s->exception);
    Py_CLEAR(s->answer);
    Py_CLEAR(s->answer_exception);
    Py_DECREF((PyObject *)(uintptr_t)s->body);
    s->body = NULL;
    s->done = s->calls = false;
    if (n_idle >= MAX_IDLE) {
        free_stack(s);
        return;
    }
    s->next = idle;
    idle = s;
    n_idle++;
}

static hp_stack *begin(const hp_body *body, const ht_value *in)
{
    hp_stack *s = take_stack();
    if (!s) return NULL;
    s->body = (const hp_body *)Py_NewRef((PyObject *)(uintptr_t)body);
    s->last_method = NULL;
    s->args[CONTEXT] = PyObject_CallNoArgs(copy_context);
    s->args[FUNCTION] = Py_NewRef(body->function);
    bool ok = s->args[CONTEXT] != NULL;
    for (Py_ssize_t i = 0; ok && i < body->n_params; i++) {
        s->args[FIRST_ARG + i] = hp_unwrap(in[i]);
        ok = s->args[FIRST_ARG + i] != NULL;
    }
    if (ok) return s;
    put_stack(s);
    return NULL;
}

/* ---- switching ---- */

/* Until it is done or calls; -1 with an exception where the switch itself failed. */
static int resume(hp_stack *s)
{
    hp_stack *before = current;
    s->hub = greenlet_current();
    if (!s->hub) return -1;
    s->calls = false;
    current = s;
    PyObject *back = greenlet_switch(s->greenlet);
    current = before;
    Py_CLEAR(s->hub);
    Py_XDECREF(back);
    return back ? 0 : -1;
}

bool hp_can_park(void)
{
    if (!current) return false;
    PyObject *now = greenlet_current();
    const bool inside = now == current->greenlet;
    Py_XDECREF(now);
    return inside;
}

int hp_count_call(PyObject *method)
{
    enum { MANY = 32 };
    hp_stack *s = current;
    hp_body *body = (hp_body *)(uintptr_t)s->body;
    s->n_in_row = method == s->last_method ? s->n_in_row + 1 : 1;
    s->last_method = method;
    if (s->n_in_row <= MANY || body->warned) return 0;
    body->warned = true;
    return PyErr_WarnFormat(PyExc_UserWarning, 1,
                            "%d calls of %U in a row, each of which waits for the one before: they are one batch as "
                            "[x.%U(value) for value in values] or x.%U.map(values)",
                            MANY + 1, method, method, method);
}

PyObject *hp_park(ht_value instance, const char *method, ht_value *args, size_t n_args)
{
    hp_stack *s = current;
    s->instance = instance;
    s->method = method;
    s->n_call_args = n_args;
    for (size_t i = 0; i < n_args; i++) s->call_args[i] = args[i];
    s->calls = true;
    PyObject *woken = greenlet_switch(s->hub);
    if (!woken) return NULL;
    Py_DECREF(woken);
    if (s->answer_exception) {
        PyObject *exception = s->answer_exception;
        s->answer_exception = NULL;
        raise_exception(exception);
        return NULL;
    }
    PyObject *answer = s->answer;
    s->answer = NULL;
    if (!answer) PyErr_SetString(PyExc_RuntimeError, "a call came back without an answer");
    return answer;
}

static void release_call(hp_stack *s)
{
    for (size_t i = 0; i < s->n_call_args; i++) ht_value_release(s->call_args[i]);
    s->n_call_args = 0;
    ht_value_release(s->instance);
    s->instance = ht_value_null();
}

static void set_answer(hp_stack *s, ht_status status, ht_value value, const ht_error *why)
{
    s->answer = status == HT_OK ? hp_unwrap(value) : NULL;
    if (status == HT_OK && !s->answer) s->answer_exception = take_exception();
    if (status != HT_OK) s->answer_exception = hp_exception_of(why);
    ht_value_release(value);
}

/* ---- as a form of a node ---- */

static bool has_instance(const hp_body *body, const ht_value *in)
{
    if (body->parks) return true;
    for (Py_ssize_t i = 0; i < body->n_params; i++)
        if (in[i].kind == HT_KIND_OPAQUE && ht_value_instance(in[i])) return true;
    return false;
}

static ht_status finish(hp_stack *s, ht_value *out, ht_error *err)
{
    ht_status status;
    if (s->result) {
        status = hp_take_outputs(s->result, s->body->n_outputs, out, err);
    } else {
        PyObject *exception = s->exception;
        s->exception = NULL;
        raise_exception(exception);
        status = hp_fail(err);
    }
    put_stack(s);
    return status;
}

static ht_status run_stack(hp_stack *s, ht_body *body, ht_value *out, ht_error *err)
{
    void **slot = ht_body_slot(body);
    for (;;) {
        *slot = s; /* also where it is given up while it runs */
        if (resume(s) < 0) {
            *slot = NULL;
            return hp_fail(err);
        }
        *slot = NULL;
        if (s->done) return finish(s, out, err);
        ht_value got = ht_value_null();
        ht_error why = {0};
        const ht_status status = ht_body_call(body, s->instance, s->method, s->call_args, s->n_call_args, &got, &why);
        release_call(s);
        if (status == HT_PARKED) {
            *slot = s;
            return HT_PARKED;
        }
        set_answer(s, status, got, &why);
    }
}

ht_status hp_body_run(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    const hp_body *code = self;
    hp_stack *s = *ht_body_slot(body);
    if (!s && !has_instance(code, in)) return hp_body_forms(code).row(self, in, out, err);
    const hp_gil gil = hp_gil_take();
    ht_status status = HT_OK;
    if (!s) {
        s = load_api() == 0 ? begin(code, in) : NULL;
        if (!s) status = hp_fail_surely(err);
    } else {
        ht_value got;
        ht_error why = {0};
        const ht_status answer = ht_body_answer(body, &got, &why);
        set_answer(s, answer, got, &why);
    }
    if (status == HT_OK) status = run_stack(s, body, out, err);
    hp_gil_give(gil);
    return status;
}

/* The body is given up: Cancelled is raised at its call, so that what it has to tidy up is done; if it goes on calling,
 * again. */
void hp_body_drop(void *slot)
{
    enum { PATIENCE = 1000 };
    hp_stack *s = slot;
    if (!Py_IsInitialized()) return;
    const hp_gil gil = hp_gil_take();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    for (int i = 0; !s->done && i < PATIENCE; i++) {
        s->answer_exception = PyObject_CallFunction(hp.cancelled, "s", "the run was given up");
        if (!s->answer_exception || resume(s) < 0) {
            PyErr_Clear();
            break;
        }
        if (s->calls) release_call(s);
    }
    if (s->done) put_stack(s);
    PyErr_Restore(type, value, traceback);
    hp_gil_give(gil);
}
