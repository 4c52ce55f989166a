/*
 * py_collection.c - a collection opened for searching, without the interpreter's lock.
 *
 * Sessions are kept per collection and taken by one call at a time, so threads search side by side.
 */
#include "py_core.h"

#include <math.h>

enum { MAX_SESSIONS = 64 };

typedef struct hp_collection {
    PyObject_HEAD ht_collection *collection;
    ht_pool *pool;
    ht_search_session *idle[MAX_SESSIONS]; /* under the lock of the interpreter */
    size_t n_idle;
} hp_collection;

/* Collection(path, model=None, threads=0) */
static PyObject *collection_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"path", "model", "threads", NULL};
    const char *path;
    Py_ssize_t threads = 0;
    ht_collection_opts opts;
    ht_error err = {0};
    ht_status status = HT_OK;
    ht_collection_opts_init(&opts);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|zn", HP_KEYWORDS(names), &path, &opts.model, &threads))
        return NULL;
    hp_collection *self = PyObject_New(hp_collection, type);
    if (!self) return NULL;
    self->collection = NULL;
    self->pool = NULL;
    self->n_idle = 0;
    HP_NATIVE_BEGIN
    if (threads != 1) status = ht_pool_new((size_t)(threads < 0 ? 0 : threads), &self->pool, &err);
    opts.pool = self->pool;
    if (status == HT_OK) status = ht_collection_open(path, &opts, &self->collection, &err);
    HP_NATIVE_END
    if (status == HT_OK) return (PyObject *)self;
    (void)hp_raise(&err);
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void collection_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    hp_collection *self = (hp_collection *)object;
    while (self->n_idle) ht_search_session_free(self->idle[--self->n_idle]);
    if (self->collection) ht_collection_close(self->collection);
    ht_pool_free(self->pool);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* ---- results ---- */

static int put(PyObject *dict, const char *name, PyObject *value)
{
    const int done = value ? PyDict_SetItemString(dict, name, value) : -1;
    Py_XDECREF(value);
    return done;
}

static PyObject *text_object(ht_text text)
{
    return PyUnicode_DecodeUTF8(text.data ? text.data : "", (Py_ssize_t)text.len, "replace");
}

static int put_signal(PyObject *dict, const char *name, double value)
{
    return isnan(value) ? 0 : put(dict, name, PyFloat_FromDouble(value));
}

static PyObject *parts_of(const ht_search_hit *hit)
{
    PyObject *list = PyList_New((Py_ssize_t)hit->n_parts);
    for (size_t i = 0; list && i < hit->n_parts; i++) {
        const ht_lexical_part *p = &hit->parts[i];
        PyObject *part = Py_BuildValue("{s:N,s:I,s:I,s:I,s:I,s:d,s:d,s:d}", "term", text_object(p->term), "query_tf",
                                       p->query_tf, "tf", p->tf, "df", p->df, "doc_len", p->doc_len, "idf", p->idf,
                                       "tf_part", p->tf_part, "contribution", p->contribution);
        if (!part || PyList_SetItem(list, (Py_ssize_t)i, part) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *matches_of(const ht_search_hit *hit)
{
    PyObject *list = PyList_New((Py_ssize_t)hit->n_matches);
    for (size_t i = 0; list && i < hit->n_matches; i++) {
        const ht_token_match *m = &hit->matches[i];
        PyObject *match = Py_BuildValue("{s:N,s:N,s:I,s:I,s:d}", "query_token", text_object(m->query_token),
                                        "doc_token", text_object(m->doc_token), "doc_start", m->doc_start, "doc_end",
                                        m->doc_end, "score", (double)m->score);
        if (!match || PyList_SetItem(list, (Py_ssize_t)i, match) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *hit_object(const ht_search_hit *hit, const ht_search_opts *opts)
{
    PyObject *id = text_object(hit->id);
    PyObject *dict = id ? Py_BuildValue("{s:O,s:O,s:d}", "id", id, "passage_uuid", id, "score", hit->score) : NULL;
    Py_XDECREF(id);
    if (!dict) return NULL;
    int done = put_signal(dict, "bm25", hit->bm25) | put_signal(dict, "cosine", hit->cosine) |
               put_signal(dict, "maxsim", hit->maxsim);
    if (opts->with_fields || opts->explain)
        done |= put(dict, "title", text_object(hit->title)) | put(dict, "text", text_object(hit->text));
    if (opts->explain)
        done |= put(dict, "parts", parts_of(hit)) | put(dict, "matches", matches_of(hit)) |
                put(dict, "encoded_text", text_object(hit->encoded_text));
    if (done < 0) Py_CLEAR(dict);
    return dict;
}

/* ---- searching ---- */

typedef struct answers {
    PyObject *list;
    const ht_search_opts *opts;
} answers;

/* One query's hits, told by a thread without the lock. */
static ht_status take_result(void *ud, size_t query, const ht_search_result *result, ht_error *err)
{
    const answers *a = ud;
    const hp_gil gil = hp_gil_take();
    PyObject *hits = PyList_New((Py_ssize_t)result->n_hits);
    for (size_t i = 0; hits && i < result->n_hits; i++) {
        PyObject *hit = hit_object(&result->hits[i], a->opts);
        if (!hit || PyList_SetItem(hits, (Py_ssize_t)i, hit) < 0) Py_CLEAR(hits);
    }
    const bool ok = hits && PyList_SetItem(a->list, (Py_ssize_t)query, hits) == 0 && PyErr_CheckSignals() == 0;
    const ht_status status = ok ? HT_OK : hp_fail(err);
    hp_gil_give(gil);
    return status;
}

static ht_search_session *take_session(hp_collection *self)
{
    ht_search_session *session = NULL;
    ht_error err = {0};
    if (self->n_idle) return self->idle[--self->n_idle];
    if (ht_search_session_new(self->collection, &session, &err) != HT_OK) (void)hp_raise(&err);
    return session;
}

static PyObject *search_all(hp_collection *self, PyObject *queries, const ht_search_opts *opts)
{
    ht_error err = {0};
    ht_status status = HT_OK;
    const Py_ssize_t n = PyTuple_Size(queries);
    ht_search_session *session = take_session(self);
    ht_text *texts = session ? PyMem_Calloc((size_t)n + 1, sizeof *texts) : NULL;
    answers a = {texts ? PyList_New(n) : NULL, opts};
    bool ok = a.list != NULL;
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        Py_ssize_t len;
        PyObject *query = PyTuple_GetItem(queries, i);
        ok = hp_text(query, "a query") != NULL;
        texts[i].data = ok ? PyUnicode_AsUTF8AndSize(query, &len) : NULL;
        if (ok) texts[i].len = (size_t)len;
    }
    if (ok) {
        const uint64_t causes = hp_causes_begin();
        HP_NATIVE_BEGIN
        status = ht_search_many(session, texts, (size_t)n, opts, NULL, take_result, &a, &err);
        HP_NATIVE_END
        if (status != HT_OK) (void)hp_raise(&err);
        hp_causes_end(causes);
    }
    if (!ok || status != HT_OK) Py_CLEAR(a.list);
    PyMem_Free(texts);
    if (session && self->n_idle < MAX_SESSIONS)
        self->idle[self->n_idle++] = session;
    else
        ht_search_session_free(session);
    return a.list;
}

/* search(queries, k, mode, *, rerank_depth, rrf_k, preset, fields, explain): a list of lists of hits */
static PyObject *collection_search(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"queries", "k",       "mode", "rerank_depth", "rrf_k", "preset",
                                        "fields",  "explain", NULL};
    PyObject *queries;
    const char *mode = "hybrid", *preset = "default";
    Py_ssize_t k = 10, depth = 100;
    int fields = 0, explain = 0;
    ht_search_opts opts;
    ht_error err = {0};
    ht_search_opts_init(&opts);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|nsndspp", HP_KEYWORDS(names), &PyTuple_Type, &queries, &k, &mode,
                                     &depth, &opts.rrf_k, &preset, &fields, &explain))
        return NULL;
    if (k < 1 || depth < 1) {
        PyErr_SetString(PyExc_ValueError, "k and rerank_depth are at least 1");
        return NULL;
    }
    opts.k = (size_t)k;
    opts.rerank_depth = (size_t)depth;
    opts.with_fields = fields;
    opts.explain = explain;
    ht_status status = ht_mode_find(mode, &opts.mode, &err);
    if (status == HT_OK) status = ht_bm25_preset(preset, &opts.bm25, &err);
    if (status != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    const bool before = hp_enter();
    PyObject *result = search_all((hp_collection *)self, queries, &opts);
    hp_leave(before);
    return result;
}

static PyObject *collection_info(PyObject *self, PyObject *unused)
{
    ht_collection_info i = {HT_DESC(ht_collection_info)};
    (void)unused;
    ht_collection_get_info(((hp_collection *)self)->collection, &i);
    return Py_BuildValue("{s:K,s:K,s:K,s:I,s:I,s:N,s:N,s:z,s:z,s:z,s:d}", "generation",
                         (unsigned long long)i.generation, "n_segments", (unsigned long long)i.n_segments, "size_bytes",
                         (unsigned long long)i.size_bytes, "n_docs", i.n_docs, "n_deleted", i.n_deleted, "has_lexical",
                         PyBool_FromLong(i.has_lexical), "has_vectors", PyBool_FromLong(i.has_vectors), "model",
                         i.model, "model_digest", i.model_digest, "warning", i.warning, "mix", i.mix);
}

static PyMethodDef collection_methods[] = {{"search", HP_METHOD(collection_search), METH_VARARGS | METH_KEYWORDS, NULL},
                                           {"info", collection_info, METH_NOARGS, NULL},
                                           {NULL, NULL, 0, NULL}};
static PyType_Slot collection_slots[] = {{Py_tp_new, HP_SLOT(collection_new)},
                                         {Py_tp_dealloc, HP_SLOT(collection_dealloc)},
                                         {Py_tp_methods, collection_methods},
                                         {0, NULL}};
static PyType_Spec collection_spec = {"houndstooth._core.Collection", sizeof(hp_collection), 0, Py_TPFLAGS_DEFAULT,
                                      collection_slots};

int hp_collection_init(PyObject *module)
{
    hp.collection_type = hp_add_type(module, &collection_spec, NULL);
    return hp.collection_type ? 0 : -1;
}
