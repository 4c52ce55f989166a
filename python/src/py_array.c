/*
 * py_array.c - values of native code that Python holds: arrays, embeddings, failures, what native nodes pass on.
 *
 * An array is shared, never copied: by the buffer protocol, __array__ and DLPack. It is read-only, as a value may be in
 * use elsewhere. An embedding, the struct {vectors: [n, dim], pooled: [dim]}, is the array of its vectors and has both
 * by name, so that one object is the matrix that numpy wants and the struct that native nodes want.
 * Easy to get wrong: DLPack before its version 1 cannot say read-only, so who asks for it gets a copy or a refusal.
 */
#include "py_core.h"

#include <stdlib.h>
#include <string.h>

/* ---- native values that Python holds ---- */

PyObject *hp_value_new(ht_value value)
{
    hp_value *made = PyObject_GC_New(hp_value, hp.value_type);
    if (!made) return NULL;
    made->value = ht_value_retain(value);
    made->failure = NULL;
    PyObject_GC_Track((PyObject *)made);
    return (PyObject *)made;
}

/* With its exception, which is reachable only as long as the run. */
PyObject *hp_failure_new(ht_value value, const ht_failure *failure)
{
    ht_error why = {.status = failure->status, .cause = failure->cause};
    hp_value *made = (hp_value *)hp_value_new(value);
    (void)PyOS_snprintf(why.message, sizeof why.message, "%s", failure->message);
    PyObject *exception = made ? hp_exception_of(&why) : NULL;
    if (exception) made->failure = Py_BuildValue("(KsN)", (unsigned long long)failure->item, failure->node, exception);
    if (made && !made->failure) Py_CLEAR(made);
    return (PyObject *)made;
}

bool hp_is_embedding(ht_value value)
{
    size_t n;
    ht_value vectors, pooled;
    (void)ht_value_items(value, &n);
    if (value.kind != HT_KIND_STRUCT || n == 0 || n > 2 || !ht_value_field(value, "vectors", &vectors)) return false;
    const ht_tensor *matrix = ht_value_tensor_view(vectors);
    if (!matrix || matrix->n_dims != 2) return false;
    return n == 1 || (ht_value_field(value, "pooled", &pooled) && ht_value_tensor_view(pooled));
}

/* Its array: itself, or an embedding's vectors; NULL if there is none. */
static const ht_tensor *array_of(PyObject *self)
{
    const ht_value value = ((hp_value *)self)->value;
    ht_value vectors;
    if (value.kind != HT_KIND_STRUCT) return ht_value_tensor_view(value);
    return ht_value_field(value, "vectors", &vectors) ? ht_value_tensor_view(vectors) : NULL;
}

static void value_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ht_value_release(((hp_value *)self)->value);
    Py_XDECREF(((hp_value *)self)->failure);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* An exception's traceback may hold the frame whose list holds the failure that it is in. */
static int value_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((hp_value *)self)->failure);
    return 0;
}

static int value_clear(PyObject *self)
{
    Py_CLEAR(((hp_value *)self)->failure);
    return 0;
}

static PyObject *value_repr(PyObject *self)
{
    char text[300];
    ht_value_describe(((hp_value *)self)->value, text, sizeof text);
    return PyUnicode_FromFormat("<houndstooth value %s>", text);
}

static int value_buffer(PyObject *self, Py_buffer *view, int flags)
{
    static const char *const formats[] = {"f", "d", "b", "B", "i", "q"};
    const ht_tensor *tensor = array_of(self);
    if (!tensor || (flags & PyBUF_WRITABLE)) {
        PyErr_SetString(PyExc_BufferError, tensor ? "the array is read-only" : "the value is no array");
        return -1;
    }
    const Py_ssize_t item = (Py_ssize_t)ht_element_size(tensor->element);
    Py_ssize_t *dims = PyMem_Malloc(2 * HT_MAX_DIMS * sizeof *dims);
    if (!dims) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t stride = item;
    for (int i = (int)tensor->n_dims - 1; i >= 0; i--) {
        dims[i] = (Py_ssize_t)tensor->shape[i];
        dims[HT_MAX_DIMS + i] = stride;
        stride *= dims[i];
    }
    *view = (Py_buffer){.buf = tensor->data,
                        .obj = Py_NewRef(self),
                        .len = (Py_ssize_t)tensor->n * item,
                        .itemsize = item,
                        .readonly = 1,
                        .ndim = (int)tensor->n_dims,
                        .format = flags & PyBUF_FORMAT ? (char *)(uintptr_t)formats[tensor->element] : NULL,
                        .shape = dims,
                        .strides = flags & PyBUF_STRIDES ? dims + HT_MAX_DIMS : NULL,
                        .internal = dims};
    return 0;
}

static void value_release_buffer(PyObject *self, Py_buffer *view)
{
    (void)self;
    PyMem_Free(view->internal);
}

static PyObject *value_shape(PyObject *self, void *unused)
{
    const ht_tensor *tensor = array_of(self);
    (void)unused;
    PyObject *shape = PyTuple_New(tensor ? tensor->n_dims : 0);
    for (uint32_t i = 0; shape && tensor && i < tensor->n_dims; i++)
        if (PyTuple_SetItem(shape, i, PyLong_FromLongLong(tensor->shape[i])) < 0) Py_CLEAR(shape);
    return shape;
}

static PyObject *value_failure(PyObject *self, void *unused)
{
    PyObject *failure = ((hp_value *)self)->failure;
    (void)unused;
    return Py_NewRef(failure ? failure : Py_None);
}

static PyObject *value_tolist(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *view = PyMemoryView_FromObject(self);
    PyObject *list = view ? PyObject_CallMethod(view, "tolist", NULL) : NULL;
    Py_XDECREF(view);
    return list;
}

/* to_numpy(), __array__(dtype=None, copy=None): numpy itself sees to both. */
static PyObject *value_numpy(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"dtype", "copy", NULL};
    PyObject *dtype = Py_None, *copy = Py_None, *array = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", HP_KEYWORDS(names), &dtype, &copy)) return NULL;
    PyObject *numpy = PyImport_ImportModule("numpy");
    PyObject *view = numpy ? PyMemoryView_FromObject(self) : NULL;
    if (view) array = PyObject_CallMethod(numpy, copy == Py_True ? "array" : "asarray", "OO", view, dtype);
    Py_XDECREF(view);
    Py_XDECREF(numpy);
    return array;
}

static Py_ssize_t value_len(PyObject *self)
{
    const ht_tensor *tensor = array_of(self);
    if (tensor && tensor->n_dims > 0) return (Py_ssize_t)tensor->shape[0];
    PyErr_SetString(PyExc_TypeError, "a value without rows has no length");
    return -1;
}

/* ---- parts ---- */

static void release_value(void *ud)
{
    ht_value_release(((hp_value *)ud)->value);
    free(ud);
}

/* Row `at` of an array, which it shares. */
static PyObject *row_of(PyObject *self, Py_ssize_t at)
{
    const ht_tensor *tensor = array_of(self);
    ht_error err = {0};
    ht_value row;
    const size_t n = tensor->n / (size_t)tensor->shape[0];
    char *data = (char *)tensor->data + (size_t)at * n * ht_element_size(tensor->element);
    if (tensor->n_dims == 1 && tensor->element == HT_F32)
        return PyFloat_FromDouble((double)((const float *)tensor->data)[at]);
    if (tensor->n_dims == 1 && tensor->element == HT_F64) return PyFloat_FromDouble(((const double *)tensor->data)[at]);
    hp_value *keep = malloc(sizeof *keep);
    if (!keep) return PyErr_NoMemory();
    keep->value = ht_value_retain(((hp_value *)self)->value);
    if (ht_value_tensor_foreign(tensor->element, tensor->n_dims - 1, tensor->shape + 1, data, release_value, keep, &row,
                                &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *made = hp_value_new(row);
    ht_value_release(row);
    return made;
}

static PyObject *value_item(PyObject *self, Py_ssize_t at)
{
    const Py_ssize_t n = value_len(self);
    if (n < 0) return NULL;
    if (at >= 0 && at < n) return row_of(self, at);
    PyErr_SetString(PyExc_IndexError, "the row is beyond the end of the array");
    return NULL;
}

/* value["vectors"], value[3] */
static PyObject *value_subscript(PyObject *self, PyObject *key)
{
    ht_value found;
    if (PyUnicode_Check(key)) {
        const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
        if (name && ht_value_field(((hp_value *)self)->value, name, &found)) return hp_unwrap(found);
        if (name) PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    const Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError), n = value_len(self);
    if ((at == -1 && PyErr_Occurred()) || n < 0) return NULL;
    return value_item(self, at < 0 ? at + n : at);
}

static PyObject *value_field(PyObject *self, void *name)
{
    ht_value found;
    if (ht_value_field(((hp_value *)self)->value, name, &found)) return hp_unwrap(found);
    PyErr_Format(PyExc_AttributeError, "the value has no %s", (const char *)name);
    return NULL;
}

/* ---- as bytes ---- */

static PyObject *value_reduce(PyObject *self, PyObject *unused)
{
    ht_writer *writer = NULL;
    ht_error err = {0};
    size_t len;
    PyObject *made = NULL, *module = PyImport_ImportModule("houndstooth._core");
    PyObject *load = module ? PyObject_GetAttrString(module, "_value_of_bytes") : NULL;
    (void)unused;
    ht_status status = ht_writer_new(&writer, &err);
    if (status == HT_OK) status = ht_value_encode(((hp_value *)self)->value, writer, &err);
    if (status != HT_OK) {
        (void)hp_raise(&err);
    } else if (load) {
        const void *data = ht_writer_data(writer, &len);
        made = Py_BuildValue("(O(y#))", load, (const char *)data, (Py_ssize_t)len);
    }
    ht_writer_free(writer);
    Py_XDECREF(load);
    Py_XDECREF(module);
    return made;
}

static PyObject *value_of_bytes(PyObject *module, PyObject *bytes)
{
    ht_value value;
    ht_error err = {0};
    (void)module;
    if (!PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "bytes of a value are wanted");
        return NULL;
    }
    if (ht_value_decode(PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes), hp_registry(), &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *made = hp_value_new(value);
    ht_value_release(value);
    return made;
}

/* ---- DLPack, as its header dlpack.h of version 1.0 lays it out ---- */

typedef struct dl_tensor {
    void *data;
    int32_t device_type, device_id;
    int32_t n_dims;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;
typedef struct dl_managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_managed *self);
} dl_managed;
typedef struct dl_versioned {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct dl_versioned *self);
    uint64_t flags; /* bit 0: read-only, bit 1: a copy */
    dl_tensor tensor;
} dl_versioned;
/* One block holds either form, its shape, and what keeps the memory. */
typedef struct dl_block {
    union {
        dl_managed plain;
        dl_versioned versioned;
    } as;
    int64_t shape[HT_MAX_DIMS], strides[HT_MAX_DIMS];
    ht_value value;
} dl_block;

static void free_plain(dl_managed *self)
{
    ht_value_release(((dl_block *)self->context)->value);
    free(self->context);
}
static void free_versioned(dl_versioned *self)
{
    ht_value_release(((dl_block *)self->context)->value);
    free(self->context);
}

static void drop_capsule(PyObject *capsule) /* that nobody has taken: who takes it renames it */
{
    if (PyCapsule_IsValid(capsule, "dltensor")) {
        dl_managed *plain = PyCapsule_GetPointer(capsule, "dltensor");
        plain->deleter(plain);
    } else if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        dl_versioned *versioned = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        versioned->deleter(versioned);
    }
}

static void describe_array(dl_block *block, const ht_tensor *tensor, dl_tensor *out)
{
    static const uint8_t codes[] = {2, 2, 0, 1, 0, 0}; /* float, float, int, unsigned, int, int */
    int64_t stride = 1;
    for (uint32_t i = tensor->n_dims; i-- > 0;) {
        block->shape[i] = tensor->shape[i];
        block->strides[i] = stride;
        stride *= tensor->shape[i];
    }
    *out = (dl_tensor){.data = tensor->data,
                       .device_type = 1,
                       .n_dims = (int32_t)tensor->n_dims,
                       .shape = block->shape,
                       .strides = block->strides};
    out->dtype.code = codes[tensor->element];
    out->dtype.bits = (uint8_t)(8 * ht_element_size(tensor->element));
    out->dtype.lanes = 1;
}

/* Takes the value, whose array it is. */
static PyObject *capsule_of(ht_value value, const ht_tensor *tensor, bool versioned, bool copied)
{
    dl_block *block = calloc(1, sizeof *block);
    if (!block) {
        ht_value_release(value);
        return PyErr_NoMemory();
    }
    block->value = value;
    if (versioned) {
        block->as.versioned =
            (dl_versioned){.major = 1, .context = block, .deleter = free_versioned, .flags = copied ? 2 : 1};
        describe_array(block, tensor, &block->as.versioned.tensor);
    } else {
        block->as.plain = (dl_managed){.context = block, .deleter = free_plain};
        describe_array(block, tensor, &block->as.plain.tensor);
    }
    PyObject *capsule = PyCapsule_New(block, versioned ? "dltensor_versioned" : "dltensor", drop_capsule);
    if (capsule) return capsule;
    ht_value_release(value);
    free(block);
    return NULL;
}

/* __dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None) */
static PyObject *value_dlpack(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *copy = Py_None;
    const ht_tensor *tensor = array_of(self);
    unsigned int major = 0, minor = 0;
    ht_value value;
    ht_error err = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO", HP_KEYWORDS(names), &stream, &max_version, &device, &copy))
        return NULL;
    if (max_version != Py_None && !PyArg_ParseTuple(max_version, "II", &major, &minor)) return NULL;
    const bool copies = copy == Py_True;
    if (!tensor || stream != Py_None || (major < 1 && !copies)) {
        PyErr_SetString(PyExc_BufferError,
                        !tensor             ? "the value is no array"
                        : stream != Py_None ? "memory of the CPU has no stream"
                                            : "the array is read-only, which only DLPack 1.0 can say: give copy=True "
                                              "or max_version=(1, 0)");
        return NULL;
    }
    if (!copies) return capsule_of(ht_value_retain(((hp_value *)self)->value), tensor, true, false);
    if (ht_value_tensor(tensor->element, tensor->n_dims, tensor->shape, tensor->data, &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    return capsule_of(value, ht_value_tensor_view(value), major >= 1, true);
}

static PyObject *value_dlpack_device(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return Py_BuildValue("(ii)", 1, 0); /* the CPU */
}

/* ---- the type ---- */

static PyGetSetDef value_fields[] = {{"shape", value_shape, NULL, "Dimensions of an array.", NULL},
                                     {"vectors", value_field, NULL, "An embedding's token vectors.", HP_DOC("vectors")},
                                     {"pooled", value_field, NULL, "An embedding's pooled vector.", HP_DOC("pooled")},
                                     {"_failure", value_failure, NULL, "(item, node, exception) of a failure.", NULL},
                                     {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef value_methods[] = {
    {"tolist", value_tolist, METH_NOARGS, "The array as nested lists of numbers."},
    {"to_numpy", HP_METHOD(value_numpy), METH_VARARGS | METH_KEYWORDS, "The array as a numpy array, without a copy."},
    {"__dlpack__", HP_METHOD(value_dlpack), METH_VARARGS | METH_KEYWORDS, NULL},
    {"__dlpack_device__", value_dlpack_device, METH_NOARGS, NULL},
    {"__reduce__", value_reduce, METH_NOARGS, NULL},
    {"__array__", HP_METHOD(value_numpy), METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL}};
static PyType_Slot value_slots[] = {
    {Py_tp_dealloc, HP_SLOT(value_dealloc)},
    {Py_tp_traverse, HP_SLOT(value_traverse)},
    {Py_tp_clear, HP_SLOT(value_clear)},
    {Py_tp_repr, HP_SLOT(value_repr)},
    {Py_tp_getset, value_fields},
    {Py_tp_methods, value_methods},
    {Py_sq_length, HP_SLOT(value_len)},
    {Py_sq_item, HP_SLOT(value_item)},
    {Py_mp_length, HP_SLOT(value_len)},
    {Py_mp_subscript, HP_SLOT(value_subscript)},
    {Py_bf_getbuffer, HP_SLOT(value_buffer)},
    {Py_bf_releasebuffer, HP_SLOT(value_release_buffer)},
    {Py_tp_doc, HP_DOC("A value of native code: an array, a failed item, or an object that native nodes pass on.")},
    {0, NULL}};
static PyType_Spec value_spec = {"houndstooth._core.Value", sizeof(hp_value), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 value_slots};

int hp_array_init(PyObject *module)
{
    static PyMethodDef functions[] = {{"_value_of_bytes", value_of_bytes, METH_O, NULL}, {NULL, NULL, 0, NULL}};
    hp.value_type = hp_add_type(module, &value_spec, NULL);
    return hp.value_type ? PyModule_AddFunctions(module, functions) : -1;
}
