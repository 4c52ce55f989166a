/*
 * module.c - houndstooth._core: the extension's definition and its initialisation.
 *
 * One process has one of it: what lives once (types, the registry, the GIL's hooks) is static, because the library
 * beneath has one state for the process too.
 * Written to the limited API of 3.12, which is one binary for that version and all later ones; 3.11 gets a build
 * of its own, because the limited API had no vector calls before.
 * Thread rule: the GIL is held wherever Python is called. A build of CPython without it is refused twice: at
 * compile time, and on import, where an extension for the usual build would otherwise fail in obscure ways.
 */
#include "py_core.h"

#ifdef Py_GIL_DISABLED
#error "houndstooth needs a CPython with the global interpreter lock; free-threaded builds are not supported"
#endif

static PyObject *version(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(ht_version());
}

/* {kernels, models, default_model}; a folder that cannot be told is None. */
static PyObject *config(PyObject *module, PyObject *unused)
{
    char home[4096], model[4096];
    (void)module;
    (void)unused;
    const bool has_home = ht_model_home(home, sizeof home, NULL) == HT_OK;
    const bool has_model = ht_model_find("default", model, sizeof model, NULL) == HT_OK;
    return Py_BuildValue("{s:s,s:z,s:z}", "kernels", ht_cpu_name(), "models", has_home ? home : NULL, "default_model",
                         has_model ? model : NULL);
}

static PyMethodDef functions[] = {
    {"config", config, METH_NOARGS,
     "config($module, /)\n--\n\nWhat the library found: kernels, folder of models, the default model's or None."},
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

hp_globals hp;

PyTypeObject *hp_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyObject *bases = base ? PyTuple_Pack(1, (PyObject *)base) : NULL;
    PyObject *type = PyType_FromModuleAndSpec(module, spec, bases);
    const char *dot = strrchr(spec->name, '.');
    Py_XDECREF(bases);
    if (type && PyModule_AddObjectRef(module, dot ? dot + 1 : spec->name, type) < 0) Py_CLEAR(type);
    return (PyTypeObject *)type; /* the caller's reference stays for good */
}

static int fill_module(PyObject *module)
{
    static int (*const inits[])(PyObject *) = {
        hp_errors_init,   hp_array_init,    hp_body_init,    hp_instance_init, hp_store_init,      hp_run_init,
        hp_pipeline_init, hp_progress_init, hp_async_init,   hp_registry_init, hp_elsewhere_init,  hp_series_init,
        hp_frame_init,    hp_native_init,   hp_encoder_init, hp_eval_init,     hp_collection_init,
    };
    if (hp_gil_init() < 0) return -1;
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++)
        if (inits[i](module) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, HP_SLOT(check_interpreter)},
    {Py_mod_exec, HP_SLOT(fill_module)},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "houndstooth._core", .m_methods = functions,
                                 .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
