/*
 * py_encoder.c - the encoder as a Python type: text in, embeddings out, without the interpreter's lock.
 *
 * One model is shared by all threads. Each call takes a session, scratch that is kept for the next one, so calls of
 * several threads run side by side. A call with many texts goes through the model BATCH at a time, which bounds memory
 * and lets signals in; a text's vectors do not depend on what it is encoded with.
 */
#include "py_core.h"

enum { BATCH = 64, MAX_SESSIONS = 64 };

typedef struct hp_encoder {
    PyObject_HEAD ht_encoder *model;
    ht_pool *pool;
    ht_encoder_session *idle[MAX_SESSIONS]; /* under the lock of the interpreter */
    size_t n_idle;
    PyObject *weak;
} hp_encoder;

/* Encoder(folder, precision=0, mix=-1.0, threads=0, max_tokens=0) */
static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"folder", "precision", "mix", "threads", "max_tokens", NULL};
    const char *folder, *precision = "auto";
    static const char *const precisions[] = {"auto", "f32", "bf16"};
    ht_encoder_opts opts;
    ht_error err = {0};
    ht_status status = HT_OK;
    Py_ssize_t threads = 0;
    size_t at = 0;
    ht_encoder_opts_init(&opts);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|sfnI", HP_KEYWORDS(names), &folder, &precision, &opts.mix,
                                     &threads, &opts.max_tokens))
        return NULL;
    while (at < 3 && strcmp(precision, precisions[at]) != 0) at++;
    if (at == 3 || threads < 0) {
        PyErr_SetString(PyExc_ValueError, at == 3 ? "precision is 'auto', 'f32' or 'bf16'" : "threads is at least 0");
        return NULL;
    }
    opts.precision = (ht_precision)at;
    hp_encoder *self = PyObject_New(hp_encoder, type);
    if (!self) return NULL;
    self->model = NULL;
    self->pool = NULL;
    self->n_idle = 0;
    self->weak = NULL;
    HP_NATIVE_BEGIN
    if (threads != 1) status = ht_pool_new((size_t)threads, &self->pool, &err);
    opts.pool = self->pool;
    if (status == HT_OK) status = ht_encoder_open(folder, &opts, &self->model, &err);
    HP_NATIVE_END
    if (status == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void encoder_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    hp_encoder *self = (hp_encoder *)object;
    if (self->weak) PyObject_ClearWeakRefs(object);
    while (self->n_idle) ht_encoder_session_free(self->idle[--self->n_idle]);
    if (self->model) ht_encoder_close(self->model);
    ht_pool_free(self->pool);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* ---- encoding ---- */

/* A str, or a dict {text, title}: borrowed from it. */
static int input_of(PyObject *item, ht_encoder_input *out)
{
    Py_ssize_t len;
    *out = (ht_encoder_input){{"", 0}, {"", 0}};
    if (PyUnicode_Check(item)) {
        out->text.data = PyUnicode_AsUTF8AndSize(item, &len);
        out->text.len = out->text.data ? (size_t)len : 0;
        return out->text.data ? 0 : -1;
    }
    const int has = PyDict_Check(item) ? hp_field_text(item, "text", &out->text) : 0;
    if (has > 0) return hp_field_text(item, "title", &out->title) < 0 ? -1 : 0;
    if (has == 0)
        PyErr_Format(PyExc_TypeError, "a text to encode is a str or a dict with a 'text', not a %S",
                     (PyObject *)Py_TYPE(item));
    return -1;
}

static PyObject *tensor_object(uint32_t n_dims, const int64_t *shape, const float *data)
{
    ht_value value;
    ht_error err = {0};
    if (ht_value_tensor(HT_F32, n_dims, shape, data, &value, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *made = hp_value_new(value);
    ht_value_release(value);
    return made;
}

static PyObject *embedding_object(const ht_encoding *made, size_t i)
{
    static const char *const names[] = {"vectors", "pooled"};
    const size_t first = made->offsets[i];
    const int64_t shape[] = {(int64_t)(made->offsets[i + 1] - first), made->dim};
    ht_value parts[2], whole;
    ht_error err = {0};
    ht_status status = ht_value_tensor(HT_F32, 2, shape, made->vectors + first * made->dim, &parts[0], &err);
    if (status == HT_OK) {
        status = ht_value_tensor(HT_F32, 1, shape + 1, made->pooled + i * made->dim, &parts[1], &err);
        if (status == HT_OK) status = ht_value_struct(names, parts, 2, &whole, &err);
        if (status == HT_OK) ht_value_release(parts[1]);
        ht_value_release(parts[0]);
    }
    if (status != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    PyObject *object = hp_value_new(whole);
    ht_value_release(whole);
    return object;
}

static ht_encoder_session *take_session(hp_encoder *self)
{
    ht_encoder_session *session = NULL;
    ht_error err = {0};
    if (self->n_idle) return self->idle[--self->n_idle];
    if (ht_encoder_session_new(self->model, &session, &err) != HT_OK) (void)hp_raise(&err);
    return session;
}

static void give_session(hp_encoder *self, ht_encoder_session *session)
{
    if (self->n_idle < MAX_SESSIONS)
        self->idle[self->n_idle++] = session;
    else
        ht_encoder_session_free(session);
}

typedef struct request {
    PyObject *texts; /* tuple */
    ht_role role;
    float *pooled;  /* [n, dim] where only they are wanted, else NULL */
    PyObject *list; /* else filled */
    uint32_t dim;
} request;

/* Texts [first, first + n) of a request. */
static int encode_some(ht_encoder_session *session, const request *r, Py_ssize_t first, size_t n)
{
    ht_encoder_input inputs[BATCH];
    const ht_encoding *made = NULL;
    ht_error err = {0};
    ht_status status;
    for (size_t i = 0; i < n; i++)
        if (input_of(PyTuple_GetItem(r->texts, first + (Py_ssize_t)i), &inputs[i]) < 0) return -1;
    HP_NATIVE_BEGIN
    status = ht_encoder_encode(session, r->role, inputs, n, NULL, &made, &err);
    HP_NATIVE_END
    if (status != HT_OK) return hp_raise(&err);
    if (r->pooled) {
        memcpy(r->pooled + (size_t)first * r->dim, made->pooled, n * r->dim * sizeof(float));
        return PyErr_CheckSignals();
    }
    for (size_t i = 0; i < n; i++) {
        PyObject *item = embedding_object(made, i);
        if (!item || PyList_SetItem(r->list, first + (Py_ssize_t)i, item) < 0) return -1;
    }
    return PyErr_CheckSignals();
}

static int encode_all(hp_encoder *self, const request *r)
{
    const Py_ssize_t n = PyTuple_Size(r->texts);
    const bool before = hp_enter();
    ht_encoder_session *session = take_session(self);
    int done = session ? 0 : -1;
    for (Py_ssize_t at = 0; done == 0 && at < n; at += BATCH)
        done = encode_some(session, r, at, (size_t)(n - at < BATCH ? n - at : BATCH));
    if (session) give_session(self, session);
    hp_leave(before);
    return done;
}

static PyObject *texts_of(PyObject *object)
{
    if (!PyUnicode_Check(object) && !PyDict_Check(object) && !PyBytes_Check(object)) return PySequence_Tuple(object);
    PyErr_Format(PyExc_TypeError, "a list of texts is wanted, not a %S", (PyObject *)Py_TYPE(object));
    return NULL;
}

/* encode(texts, is_query): a list of embeddings */
static PyObject *encoder_encode(PyObject *self, PyObject *args)
{
    PyObject *texts;
    int is_query = 0;
    if (!PyArg_ParseTuple(args, "O|p", &texts, &is_query)) return NULL;
    request r = {.texts = texts_of(texts), .role = is_query ? HT_ROLE_QUERY : HT_ROLE_DOCUMENT};
    if (r.texts) r.list = PyList_New(PyTuple_Size(r.texts));
    if (r.list && encode_all((hp_encoder *)self, &r) < 0) Py_CLEAR(r.list);
    Py_XDECREF(r.texts);
    return r.list;
}

/* pooled(texts, is_query): one array [n, dim] */
static PyObject *encoder_pooled(PyObject *self, PyObject *args)
{
    PyObject *texts, *array = NULL;
    int is_query = 0;
    ht_encoder_info info = {HT_DESC(ht_encoder_info)};
    if (!PyArg_ParseTuple(args, "O|p", &texts, &is_query)) return NULL;
    ht_encoder_get_info(((hp_encoder *)self)->model, &info);
    request r = {.texts = texts_of(texts), .role = is_query ? HT_ROLE_QUERY : HT_ROLE_DOCUMENT, .dim = info.dim};
    const int64_t shape[] = {r.texts ? PyTuple_Size(r.texts) : 0, info.dim};
    if (r.texts) array = tensor_object(2, shape, NULL);
    if (array) {
        r.pooled = ht_value_tensor_view(((hp_value *)array)->value)->data;
        if (encode_all((hp_encoder *)self, &r) < 0) Py_CLEAR(array);
    }
    Py_XDECREF(r.texts);
    return array;
}

static PyObject *encoder_info(PyObject *self, PyObject *unused)
{
    ht_encoder_info i = {HT_DESC(ht_encoder_info)};
    (void)unused;
    ht_encoder_get_info(((hp_encoder *)self)->model, &i);
    return Py_BuildValue("{s:I,s:I,s:I,s:I,s:I,s:s,s:d,s:K,s:s,s:s}", "dim", i.dim, "n_layers", i.n_layers, "hidden",
                         i.hidden, "vocab_size", i.vocab_size, "max_tokens", i.max_tokens, "precision",
                         i.precision == HT_PRECISION_BF16 ? "bf16" : "f32", "mix", (double)i.mix, "n_parameters",
                         (unsigned long long)i.n_parameters, "architecture", i.architecture, "digest", i.digest);
}

static PyMemberDef encoder_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(hp_encoder, weak), Py_READONLY, NULL}, {NULL, 0, 0, 0, NULL}};
static PyMethodDef encoder_methods[] = {{"encode", encoder_encode, METH_VARARGS, NULL},
                                        {"pooled", encoder_pooled, METH_VARARGS, NULL},
                                        {"info", encoder_info, METH_NOARGS, NULL},
                                        {NULL, NULL, 0, NULL}};
static PyType_Slot encoder_slots[] = {{Py_tp_new, HP_SLOT(encoder_new)},
                                      {Py_tp_dealloc, HP_SLOT(encoder_dealloc)},
                                      {Py_tp_members, encoder_members},
                                      {Py_tp_methods, encoder_methods},
                                      {0, NULL}};
static PyType_Spec encoder_spec = {"houndstooth._core.Encoder", sizeof(hp_encoder), 0, Py_TPFLAGS_DEFAULT,
                                   encoder_slots};

int hp_encoder_init(PyObject *module)
{
    hp.encoder_type = hp_add_type(module, &encoder_spec, NULL);
    return hp.encoder_type ? 0 : -1;
}
