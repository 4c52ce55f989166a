/*
 * module.c - houndstooth._core: the extension's definition and its initialisation.
 *
 * Multi-phase initialisation, so that a module object owns its state and nothing static holds a Python object.
 * Written to the limited API of 3.12, which is one binary for that version and all later ones; 3.11 gets a build
 * of its own, because the limited API had no vector calls before.
 * Thread rule: the GIL is held wherever Python is called. A build of CPython without it is refused twice: at
 * compile time, and on import, where an extension for the usual build would otherwise fail in obscure ways.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <houndstooth/base.h>

#include <string.h>

#ifdef Py_GIL_DISABLED
#error "houndstooth needs a CPython with the global interpreter lock; free-threaded builds are not supported"
#endif

static PyObject *version(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(ht_version());
}

static PyMethodDef functions[] = {
    {"version", version, METH_NOARGS, "version($module, /)\n--\n\nThe library's version, for example \"0.1.0\"."},
    {NULL, NULL, 0, NULL},
};

/* Fails with ImportError on a free-threaded interpreter: 't' among sys.abiflags. */
static int check_interpreter(PyObject *module)
{
    (void)module;
    PyObject *flags = PySys_GetObject("abiflags"); /* borrowed; NULL where there is none, without an exception */
    const char *text = flags ? PyUnicode_AsUTF8AndSize(flags, NULL) : "";
    if (!text) return -1;
    if (!strchr(text, 't')) return 0;
    PyErr_SetString(PyExc_ImportError, "houndstooth needs a CPython with the global interpreter lock; this one is a "
                                       "free-threaded build: use the usual build of the same version");
    return -1;
}

/* A slot's value is a void *, also where it is a function; ISO C has no such conversion, POSIX does. */
#define SLOT_FUNCTION(function) (__extension__(void *)(function))

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, SLOT_FUNCTION(check_interpreter)},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "houndstooth._core", .m_methods = functions,
                                 .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
