/*
 * py_errors.c - exceptions and failures: each becomes the other without losing what it was.
 *
 * An exception that ends a call of Python is kept under a number, the failure's cause, until the run that it belongs to
 * has ended; where the failure arrives in Python again, the same object is raised, with a note that says which node and
 * item it came from. Numbers only grow, and a run refers to none from before its begin, so what no run under way can
 * refer to is dropped.
 * Easy to get wrong: KeyboardInterrupt, SystemExit and the like are never repeated, nulled or collected; the library
 * knows them as CANCELLED.
 */
#include "py_core.h"

#include <string.h>

enum { MAX_RUNS = 256 };
static uint64_t next_cause = 1, first_cause = 1;
static uint64_t begun[MAX_RUNS];
static size_t n_begun;
static uint64_t kept[64];
static size_t n_kept;
static PyObject *exceptions[32]; /* classes by status, owned */

uint64_t hp_causes_begin(void)
{
    const uint64_t at = next_cause;
    if (n_begun < MAX_RUNS) begun[n_begun++] = at;
    return at;
}

static bool is_kept(uint64_t cause)
{
    for (size_t i = 0; i < n_kept; i++)
        if (kept[i] == cause) return true;
    return false;
}

static void forget(uint64_t cause)
{
    PyObject *number = PyLong_FromUnsignedLongLong(cause);
    if (number && PyDict_DelItem(hp.causes, number) < 0) PyErr_Clear();
    Py_XDECREF(number);
}

void hp_causes_end(uint64_t at)
{
    uint64_t least = next_cause;
    bool found = false;
    for (size_t i = 0; i < n_begun; i++)
        if (!found && begun[i] == at) {
            begun[i--] = begun[--n_begun];
            found = true;
        } else if (begun[i] < least) {
            least = begun[i];
        }
    for (; first_cause < least; first_cause++)
        if (!is_kept(first_cause)) forget(first_cause);
    if (n_begun == 0) hp_interned_end();
}

void hp_cause_keep(uint64_t cause)
{
    if (n_kept < sizeof kept / sizeof kept[0]) kept[n_kept++] = cause;
}

void hp_cause_drop(uint64_t cause)
{
    for (size_t i = 0; i < n_kept; i++)
        if (kept[i] == cause) {
            kept[i] = kept[--n_kept];
            if (cause < first_cause) forget(cause);
            return;
        }
}

/* "KeyError: 'x'" */
static void describe(PyObject *exception, ht_error *err)
{
    PyObject *name = PyObject_GetAttr((PyObject *)Py_TYPE(exception), hp.str_name);
    PyObject *text = PyObject_Str(exception);
    const char *n = name ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
    const char *t = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    (void)PyOS_snprintf(err->message, sizeof err->message, "%.100s%s%.800s", n ? n : "an exception",
                        t && *t ? ": " : "", t ? t : "");
    for (char *at = err->message; *at; at++)
        if ((unsigned char)*at < 0x20) *at = ' ';
    PyErr_Clear();
    Py_XDECREF(name);
    Py_XDECREF(text);
}

static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type) return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) (void)PyException_SetTraceback(value, traceback);
    Py_XDECREF(traceback);
    Py_DECREF(type);
    return value;
#endif
}

static void raise_object(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
#endif
}

ht_status hp_fail(ht_error *err)
{
    PyObject *exception = take_exception();
    ht_error mine;
    ht_error *to = err ? err : &mine;
    memset(to, 0, sizeof *to);
    if (!exception) {
        to->status = HT_INTERNAL;
        (void)PyOS_snprintf(to->message, sizeof to->message, "a call failed without an exception");
        return to->status;
    }
    to->status = !PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception) ? HT_CANCELLED
                 : PyErr_GivenExceptionMatches(exception, PyExc_MemoryError)     ? HT_NO_MEMORY
                                                                                 : HT_FAILED;
    describe(exception, to);
    to->cause = next_cause++;
    PyObject *number = PyLong_FromUnsignedLongLong(to->cause);
    if (!number || PyDict_SetItem(hp.causes, number, exception) < 0) {
        PyErr_Clear();
        to->cause = 0;
    }
    Py_XDECREF(number);
    Py_DECREF(exception);
    return to->status;
}

/* Where it came from, as the message of the library says in front of what the exception says itself. */
static void add_note(PyObject *exception, const ht_error *err)
{
    ht_error own = {0};
    describe(exception, &own);
    const char *at = strstr(err->message, own.message);
    size_t len = at ? (size_t)(at - err->message) : strlen(err->message);
    while (len && (err->message[len - 1] == ' ' || err->message[len - 1] == ':')) len--;
    if (len == 0) return;
    PyObject *note = PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)len, "replace");
    PyObject *notes = PyObject_GetAttrString(exception, "__notes__");
    if (!notes) PyErr_Clear();
    const int has = notes && note && PyList_Check(notes) ? PySequence_Contains(notes, note) : 0;
    PyObject *done = note && has == 0 ? PyObject_CallMethod(exception, "add_note", "O", note) : NULL;
    if (!done) PyErr_Clear();
    Py_XDECREF(done);
    Py_XDECREF(notes);
    Py_XDECREF(note);
}

PyObject *hp_cause_exception(uint64_t cause)
{
    PyObject *number = cause ? PyLong_FromUnsignedLongLong(cause) : NULL;
    PyObject *exception = number ? PyDict_GetItemWithError(hp.causes, number) : NULL; /* borrowed */
    Py_XDECREF(number);
    return Py_XNewRef(exception);
}

bool hp_is_retry_after(PyObject *exception)
{
    static PyObject *type;
    if (!type) {
        PyObject *module = PyImport_ImportModule("houndstooth.exceptions");
        type = module ? PyObject_GetAttrString(module, "RetryAfterError") : NULL;
        Py_XDECREF(module);
        if (!type) PyErr_Clear();
    }
    return type && PyObject_TypeCheck(exception, (PyTypeObject *)type);
}

/* After its last try, what stood behind a wish to be called again. */
static PyObject *without_wish(PyObject *exception)
{
    if (!hp_is_retry_after(exception)) return exception;
    PyObject *original = PyObject_GetAttrString(exception, "original");
    if (!original) PyErr_Clear();
    if (!original || !PyExceptionInstance_Check(original)) {
        Py_XDECREF(original);
        return exception;
    }
    Py_DECREF(exception);
    return original;
}

PyObject *hp_exception_of(const ht_error *err)
{
    PyObject *exception = hp_cause_exception(err->cause);
    if (exception) {
        exception = without_wish(exception);
        add_note(exception, err);
        return exception;
    }
    PyErr_Clear();
    const size_t status = (size_t)err->status;
    PyObject *type = status < sizeof exceptions / sizeof exceptions[0] && exceptions[status] ? exceptions[status]
                                                                                             : PyExc_RuntimeError;
    exception = PyObject_CallFunction(type, "s", err->message[0] ? err->message : ht_status_text(err->status));
    return exception ? exception : take_exception();
}

int hp_raise(const ht_error *err)
{
    PyObject *exception = hp_exception_of(err);
    if (exception) raise_object(exception);
    return -1;
}

static PyObject *class_of(PyObject *module, ht_status status)
{
    const char *name = ht_status_python(status);
    if (status == HT_PARKED || status == HT_OK) return NULL;
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *base = builtins ? PyObject_GetAttrString(builtins, name) : NULL;
    Py_XDECREF(builtins);
    (void)module;
    return base;
}

static PyObject *unraisable(PyObject *module, PyObject *args)
{
    PyObject *exception, *where;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &exception, &where)) return NULL;
    raise_object(Py_NewRef(exception));
    PyErr_WriteUnraisable(where);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"unraisable", unraisable, METH_VARARGS,
     "unraisable(exception, where)\n--\n\nReports an exception that nobody can catch, by sys.unraisablehook."},
    {NULL, NULL, 0, NULL}};

int hp_errors_init(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0) return -1;
    hp.causes = PyDict_New();
    hp.str_name = PyUnicode_InternFromString("__name__");
    if (!hp.causes || !hp.str_name) return -1;
    for (int s = HT_OK + 1; s <= HT_TIMEOUT; s++) {
        exceptions[s] = class_of(module, (ht_status)s);
        if (PyErr_Occurred()) return -1;
    }
    /* FileNotFoundError fits files; names that are not there are ValueErrors in what HyperNodes does. */
    Py_XSETREF(exceptions[HT_NOT_FOUND], Py_NewRef(PyExc_ValueError));
    Py_XSETREF(exceptions[HT_EXISTS], Py_NewRef(PyExc_ValueError));
    hp.cancelled = PyErr_NewExceptionWithDoc(
        "houndstooth.Cancelled", "Raised inside a node whose run was given up, at the call that it waits for.",
        PyExc_BaseException, NULL);
    if (!hp.cancelled) return -1;
    return PyModule_AddObjectRef(module, "Cancelled", hp.cancelled);
}
