/*
 * py_pipeline.c - pipelines as Python holds them: nodes, methods and nested pipelines added by name.
 *
 * What a node borrows (its Body, the instance's class) is kept in a list as long as the pipeline, and pipelines that
 * have it inside keep that list too.
 */
#include "py_core.h"

#include <stddef.h>
#include <string.h>

/* ---- inputs with defaults ---- */

typedef struct ports {
    ht_input *inputs; /* [n] */
    ht_value *defaults;
    Py_ssize_t n;
    PyObject *keep;
    const char **names;
} ports;

static void free_ports(ports *p)
{
    for (Py_ssize_t i = 0; p->defaults && i < p->n; i++) ht_value_release(p->defaults[i]);
    PyMem_Free(p->inputs);
    PyMem_Free(p->defaults);
    PyMem_Free(p->names);
    Py_XDECREF(p->keep);
}

/* names: a tuple; defaults: {name: value} */
static int read_ports(PyObject *names, PyObject *defaults, ports *out)
{
    ht_error err = {0};
    *out = (ports){0};
    out->n = hp_texts(names, "inputs", &out->names, &out->keep);
    if (out->n < 0) return -1;
    out->inputs = PyMem_Calloc((size_t)out->n + 1, sizeof *out->inputs);
    out->defaults = PyMem_Calloc((size_t)out->n + 1, sizeof *out->defaults);
    if (!out->inputs || !out->defaults) {
        PyErr_NoMemory();
        free_ports(out);
        return -1;
    }
    for (Py_ssize_t i = 0; i < out->n; i++) {
        PyObject *value = defaults != Py_None ? PyDict_GetItemString(defaults, out->names[i]) : NULL;
        out->inputs[i].name = out->names[i];
        if (!value) continue;
        if (hp_wrap(value, &out->defaults[i], &err) != HT_OK) {
            (void)hp_raise(&err);
            free_ports(out);
            return -1;
        }
        out->inputs[i].otherwise = &out->defaults[i];
    }
    return 0;
}

/* ---- adding ---- */

static ht_pipeline *inside(PyObject *self) { return ((hp_pipeline *)self)->pipeline; }

static PyObject *done(ht_status status, const ht_error *err)
{
    if (status == HT_OK) Py_RETURN_NONE;
    (void)hp_raise(err);
    return NULL;
}

static PyObject *add_node(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"body",       "name",       "inputs",      "defaults",      "outputs",
                                        "version",    "batch_size", "max_retries", "retry_wait_ms", "on_error",
                                        "timeout_ms", "code",       NULL};
    PyObject *body, *inputs, *defaults, *outputs, *code = Py_None;
    ht_value code_value = ht_value_null();
    ht_error err = {0};
    const char *name, *version = NULL;
    Py_ssize_t batch_size = 0;
    unsigned int max_retries = 0, retry_wait_ms = 0, on_error = 0, timeout_ms = 0;
    ports p;
    const char **out_names;
    PyObject *keep;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!sOOO|znIIIIO", HP_KEYWORDS(names), hp.body_type, &body, &name,
                                     &inputs, &defaults, &outputs, &version, &batch_size, &max_retries, &retry_wait_ms,
                                     &on_error, &timeout_ms, &code))
        return NULL;
    if (read_ports(inputs, defaults, &p) < 0) return NULL;
    const Py_ssize_t n_out = hp_texts(outputs, "outputs", &out_names, &keep);
    if (n_out < 0) {
        free_ports(&p);
        return NULL;
    }
    (void)hp_wrap(code, &code_value, &err); /* a reference, which does not fail short of memory */
    ht_forms forms = hp_body_forms((hp_body *)body);
    forms.batch_size = (size_t)batch_size;
    forms.max_retries = max_retries;
    forms.retry_wait_ms = retry_wait_ms;
    forms.on_error = (ht_on_error)on_error;
    forms.timeout_ms = timeout_ms;
    const ht_node_desc desc = {
        HT_DESC(ht_node_desc),      .name = name, .inputs = p.inputs, .n_inputs = (size_t)p.n, .outputs = out_names,
        .n_outputs = (size_t)n_out, .self = body, .forms = forms,     .version = version,      .code = code_value};
    ht_status status = ht_pipeline_add_node(inside(self), &desc, &err);
    ht_value_release(code_value);
    PyMem_Free(out_names);
    Py_XDECREF(keep);
    free_ports(&p);
    if (status == HT_OK && PyList_Append(((hp_pipeline *)self)->keep, body) < 0) return NULL;
    return done(status, &err);
}

static PyObject *add_method(PyObject *self, PyObject *args)
{
    PyObject *object, *inputs, *defaults;
    const char *name, *method, *output;
    ports p;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "sOsOOs", &name, &object, &method, &inputs, &defaults, &output)) return NULL;
    ht_instance *instance = hp_instance_of(object);
    if (!instance) {
        PyErr_SetString(PyExc_TypeError, "an instance of a class that houndstooth.cls decorates is wanted");
        return NULL;
    }
    if (read_ports(inputs, defaults, &p) < 0) return NULL;
    const ht_status status = ht_pipeline_add_method(inside(self), name, instance, method, p.inputs, output, &err);
    free_ports(&p);
    if (status == HT_OK && PyList_Append(((hp_pipeline *)self)->keep, object) < 0) return NULL;
    return done(status, &err);
}

/* {from: to} as renames, borrowed. */
static ht_rename *read_renames(PyObject *dict, size_t *n)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    *n = 0;
    ht_rename *pairs = PyMem_Calloc(dict == Py_None ? 1 : (size_t)PyDict_Size(dict) + 1, sizeof *pairs);
    if (!pairs) {
        PyErr_NoMemory();
        return NULL;
    }
    while (dict != Py_None && PyDict_Next(dict, &at, &key, &value)) {
        pairs[*n].from = hp_text(key, "a mapped name");
        pairs[*n].to = pairs[*n].from ? hp_text(value, "a mapped name") : NULL;
        if (!pairs[*n].to) {
            PyMem_Free(pairs);
            return NULL;
        }
        ++*n;
    }
    return pairs;
}

static PyObject *add_pipeline(PyObject *self, PyObject *args)
{
    PyObject *inner, *in, *out, *over, *keep = NULL, *engine = Py_None;
    const char *name, **names = NULL;
    int product;
    ht_error err = {0};
    ht_status status = HT_OK;
    ht_as_node how = {HT_DESC(ht_as_node)};
    ht_nested_run own = {HT_DESC(ht_nested_run)};
    if (!PyArg_ParseTuple(args, "O!zOOOp|O", hp.pipeline_type, &inner, &name, &in, &out, &over, &product, &engine))
        return NULL;
    ht_rename *inputs = read_renames(in, &how.n_inputs), *outputs = inputs ? read_renames(out, &how.n_outputs) : NULL;
    const Py_ssize_t n = outputs ? hp_texts(over, "map_over", &names, &keep) : -1;
    how.name = name;
    how.inputs = inputs;
    how.outputs = outputs;
    how.map_over = names;
    how.n_map_over = n > 0 ? (size_t)n : 0;
    how.map_mode = product ? HT_MAP_PRODUCT : HT_MAP_ZIP;
    if (engine != Py_None) {
        hp_nested_settings(engine, &own);
        how.own = &own;
    }
    if (n >= 0) status = ht_pipeline_add_pipeline(inside(self), ((hp_pipeline *)inner)->pipeline, &how, &err);
    PyMem_Free(inputs);
    PyMem_Free(outputs);
    PyMem_Free(names);
    Py_XDECREF(keep);
    if (n < 0 || PyErr_Occurred()) return NULL;
    if (status == HT_OK && (PyList_Append(((hp_pipeline *)self)->keep, ((hp_pipeline *)inner)->keep) < 0 ||
                            PyList_Append(((hp_pipeline *)self)->keep, engine) < 0))
        return NULL;
    return done(status, &err);
}

static PyObject *bind_input(PyObject *self, PyObject *args)
{
    const char *name;
    PyObject *object;
    ht_value value;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "sO", &name, &object)) return NULL;
    ht_status status = hp_wrap(object, &value, &err);
    if (status == HT_OK) {
        status = ht_pipeline_bind(inside(self), name, value, &err);
        ht_value_release(value);
    }
    return done(status, &err);
}

static PyObject *inspect(PyObject *self, PyObject *unused)
{
    ht_value out;
    ht_error err = {0};
    (void)unused;
    if (ht_pipeline_inspect(inside(self), &out, &err) != HT_OK) return done(err.status, &err);
    PyObject *result = hp_unwrap(out);
    ht_value_release(out);
    return result;
}

/* ---- plans ---- */

ht_plan *hp_plan_of(PyObject *self, PyObject *outputs, PyObject *given)
{
    const char **out_names = NULL, **in_names = NULL;
    PyObject *keep_out = NULL, *keep_in = NULL;
    ht_plan *plan = NULL;
    ht_error err = {0};
    const Py_ssize_t n_out = hp_texts(outputs, "outputs", &out_names, &keep_out);
    const Py_ssize_t n_in = n_out >= 0 ? hp_texts(given, "inputs", &in_names, &keep_in) : -1;
    if (n_in >= 0 && ht_plan_new(inside(self), out_names, (size_t)n_out, in_names, (size_t)n_in, &plan, &err) != HT_OK)
        (void)hp_raise(&err);
    PyMem_Free(out_names);
    PyMem_Free(in_names);
    Py_XDECREF(keep_out);
    Py_XDECREF(keep_in);
    return plan;
}

/* plan(outputs, given, format) */
static PyObject *print_plan(PyObject *self, PyObject *args)
{
    PyObject *outputs, *given;
    int format;
    ht_writer *writer = NULL;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "OOi", &outputs, &given, &format)) return NULL;
    ht_plan *plan = hp_plan_of(self, outputs, given);
    if (!plan) return NULL;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_plan_print(plan, (ht_plan_format)format, writer, &err);
    ht_plan_release(plan);
    return hp_writer_text(writer, status, &err);
}

/* draw(outputs, given, format, orient, style, depth, title, trace) */
static PyObject *draw_plan(PyObject *self, PyObject *args)
{
    PyObject *outputs, *given, *trace;
    int format, orient, style;
    unsigned int depth;
    const char *title;
    ht_writer *writer = NULL;
    ht_error err = {0};
    if (!PyArg_ParseTuple(args, "OOiiiIzO", &outputs, &given, &format, &orient, &style, &depth, &title, &trace))
        return NULL;
    ht_plan *plan = hp_plan_of(self, outputs, given);
    if (!plan) return NULL;
    const ht_draw_options options = {HT_DESC(ht_draw_options),
                                     .format = (ht_draw_format)format,
                                     .orient = (ht_draw_orient)orient,
                                     .style = (ht_draw_style)style,
                                     .depth = depth,
                                     .title = title,
                                     .trace = hp_trace_of(trace)};
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_plan_draw(plan, &options, writer, &err);
    ht_plan_release(plan);
    return hp_writer_text(writer, status, &err);
}

/* ---- the object ---- */

static PyObject *pipeline_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *name = NULL;
    ht_error err = {0};
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "|z", &name)) return NULL;
    hp_pipeline *self = PyObject_GC_New(hp_pipeline, type);
    if (!self) return NULL;
    self->pipeline = NULL;
    self->keep = PyList_New(0);
    PyObject_GC_Track((PyObject *)self);
    if (self->keep && ht_pipeline_new(name, &self->pipeline, &err) == HT_OK) return (PyObject *)self;
    if (self->keep) (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static int pipeline_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((hp_pipeline *)self)->keep);
    return 0;
}

static int pipeline_clear(PyObject *self)
{
    (void)self; /* the C pipeline borrows from `keep`, which goes behind it */
    return 0;
}

static void pipeline_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ht_pipeline_release(((hp_pipeline *)self)->pipeline);
    Py_XDECREF(((hp_pipeline *)self)->keep);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef pipeline_methods[] = {{"add_node", HP_METHOD(add_node), METH_VARARGS | METH_KEYWORDS, NULL},
                                         {"add_method", add_method, METH_VARARGS, NULL},
                                         {"add_pipeline", add_pipeline, METH_VARARGS, NULL},
                                         {"bind", bind_input, METH_VARARGS, NULL},
                                         {"inspect", inspect, METH_NOARGS, NULL},
                                         {"plan", print_plan, METH_VARARGS, NULL},
                                         {"draw", draw_plan, METH_VARARGS, NULL},
                                         {"run", HP_METHOD(hp_pipeline_run), METH_FASTCALL,
                                          "run(inputs, outputs, engine, plain, map_over, product, collect, result)"},
                                         {NULL, NULL, 0, NULL}};
static PyType_Slot pipeline_slots[] = {{Py_tp_new, HP_SLOT(pipeline_new)},
                                       {Py_tp_dealloc, HP_SLOT(pipeline_dealloc)},
                                       {Py_tp_traverse, HP_SLOT(pipeline_traverse)},
                                       {Py_tp_clear, HP_SLOT(pipeline_clear)},
                                       {Py_tp_methods, pipeline_methods},
                                       {0, NULL}};
static PyType_Spec pipeline_spec = {"houndstooth._core.Pipeline", sizeof(hp_pipeline), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, pipeline_slots};

int hp_pipeline_init(PyObject *module)
{
    hp.pipeline_type = hp_add_type(module, &pipeline_spec, NULL);
    return hp.pipeline_type ? 0 : -1;
}
