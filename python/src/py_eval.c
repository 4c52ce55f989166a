/*
 * py_eval.c - runs and judgements as Python has them, judged by the measures of the library (trec_eval's rules).
 *
 * A run is a list of predictions {query_uuid, paragraph_uuid or passage_uuid, score}, a dict of queries, each a dict of
 * documents and scores, or a file's path. Judgements are the same with label_score or whole grades, or what
 * load_ground_truths gives, {path, queries}.
 */
#include "py_core.h"

#include <limits.h>

/* One table under construction: either of the two. */
typedef struct table {
    ht_run *run;
    ht_qrels *qrels;
} table;

static int add_row(const table *t, ht_text query, ht_text doc, PyObject *value)
{
    ht_error err = {0};
    ht_status status;
    if (!value || value == Py_None) {
        PyErr_SetString(PyExc_ValueError, t->run ? "a prediction has no 'score'" : "a judgement has no 'label_score'");
        return -1;
    }
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) return -1;
    if (t->run) {
        status = ht_run_add(t->run, query, doc, number, &err);
    } else {
        if (!(number >= INT_MIN && number <= INT_MAX) || number != (double)(int32_t)number) {
            PyErr_Format(PyExc_ValueError, "a grade is a whole number, not %R", value);
            return -1;
        }
        status = ht_qrels_add(t->qrels, query, doc, (int32_t)number, &err);
    }
    return status == HT_OK ? 0 : hp_raise(&err);
}

/* {query_uuid, paragraph_uuid, score} */
static int add_dict(const table *t, PyObject *row)
{
    ht_text query, doc;
    if (!PyDict_Check(row)) {
        PyErr_Format(PyExc_TypeError, "a prediction or judgement is a dict, not a %S", (PyObject *)Py_TYPE(row));
        return -1;
    }
    const int has_query = hp_field_text(row, "query_uuid", &query);
    if (has_query < 0) return -1;
    int has_doc = hp_field_text(row, "paragraph_uuid", &doc);
    if (has_doc == 0) has_doc = hp_field_text(row, "passage_uuid", &doc);
    if (has_doc < 0) return -1;
    if (!has_query || !has_doc) {
        PyErr_SetString(PyExc_ValueError, "a prediction or judgement has a 'query_uuid' and a 'paragraph_uuid'");
        return -1;
    }
    return add_row(t, query, doc, PyDict_GetItemString(row, t->run ? "score" : "label_score"));
}

static int text_of(PyObject *object, const char *what, ht_text *out)
{
    Py_ssize_t len;
    if (!hp_text(object, what)) return -1;
    out->data = PyUnicode_AsUTF8AndSize(object, &len);
    out->len = (size_t)len;
    return 0;
}

/* {query: {document: value}} */
static int add_nested(const table *t, PyObject *dict)
{
    PyObject *query, *rows, *doc, *value;
    Py_ssize_t at = 0, inner;
    ht_text q, d;
    while (PyDict_Next(dict, &at, &query, &rows)) {
        if (text_of(query, "a query's id", &q) < 0) return -1;
        if (!PyDict_Check(rows)) {
            PyErr_Format(PyExc_TypeError, "documents of a query are a dict, not a %S", (PyObject *)Py_TYPE(rows));
            return -1;
        }
        inner = 0;
        while (PyDict_Next(rows, &inner, &doc, &value))
            if (text_of(doc, "a document's id", &d) < 0 || add_row(t, q, d, value) < 0) return -1;
    }
    return 0;
}

static int add_all(const table *t, PyObject *source)
{
    if (PyDict_Check(source)) return add_nested(t, source);
    PyObject *rows = PySequence_Tuple(source);
    int done = rows ? 0 : -1;
    for (Py_ssize_t i = 0; done == 0 && i < PyTuple_Size(rows); i++) done = add_dict(t, PyTuple_GetItem(rows, i));
    Py_XDECREF(rows);
    return done;
}

/* The path of a file that `source` names; NULL where it is none. */
static const char *path_in(PyObject *source)
{
    if (PyDict_Check(source)) {
        PyObject *path = PyDict_GetItemString(source, "path"), *n = PyDict_GetItemString(source, "queries");
        if (!path || !n || !PyUnicode_Check(path) || PyDict_Check(n)) return NULL;
        source = path;
    }
    return PyUnicode_Check(source) ? PyUnicode_AsUTF8AndSize(source, NULL) : NULL;
}

static int read_table(PyObject *source, bool is_run, table *out)
{
    ht_error err = {0};
    ht_status status;
    const char *path = path_in(source);
    *out = (table){NULL, NULL};
    if (!path && PyErr_Occurred()) return -1;
    HP_NATIVE_BEGIN
    if (path)
        status = is_run ? ht_run_read(path, NULL, &out->run, &err) : ht_qrels_read(path, NULL, &out->qrels, &err);
    else
        status = is_run ? ht_run_new(&out->run, &err) : ht_qrels_new(&out->qrels, &err);
    HP_NATIVE_END
    if (status != HT_OK) return hp_raise(&err);
    return path ? 0 : add_all(out, source);
}

/* ---- measures ---- */

static PyObject *row_dict(const ht_measure *measures, size_t n, const double *values)
{
    PyObject *dict = PyDict_New();
    for (size_t m = 0; dict && m < n; m++) {
        PyObject *value = PyFloat_FromDouble(values[m]);
        if (!value || PyDict_SetItemString(dict, measures[m].name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *results_of(const ht_evaluation *made, const ht_measure *measures, bool per_query)
{
    if (!per_query) return row_dict(measures, made->n_measures, made->means);
    PyObject *all = PyDict_New();
    for (size_t q = 0; all && q < made->n_queries; q++) {
        PyObject *key = PyUnicode_DecodeUTF8(made->queries[q].data, (Py_ssize_t)made->queries[q].len, "replace");
        PyObject *row = key ? row_dict(measures, made->n_measures, made->values + q * made->n_measures) : NULL;
        if (!row || PyDict_SetItem(all, key, row) < 0) Py_CLEAR(all);
        Py_XDECREF(key);
        Py_XDECREF(row);
    }
    return all;
}

static PyObject *judge(const table *run, const table *qrels, const char **names, size_t n, const ht_eval_opts *opts,
                       bool per_query)
{
    ht_error err = {0};
    ht_status status = HT_OK;
    ht_evaluation *made = NULL;
    PyObject *result = NULL;
    ht_measure *measures = PyMem_Malloc((n + 1) * sizeof *measures);
    if (!measures) return PyErr_NoMemory();
    for (size_t i = 0; status == HT_OK && i < n; i++)
        status = ht_measure_parse((ht_text){names[i], strlen(names[i])}, &measures[i], &err);
    if (status == HT_OK) {
        HP_NATIVE_BEGIN
        status = ht_evaluate(qrels->qrels, run->run, measures, n, opts, &made, &err);
        HP_NATIVE_END
    }
    if (status == HT_OK)
        result = results_of(made, measures, per_query);
    else
        (void)hp_raise(&err);
    if (made) ht_evaluation_free(made);
    PyMem_Free(measures);
    return result;
}

/* evaluate(run, qrels, measures, min_grade=1, complete=False, per_query=False) */
static PyObject *evaluate(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"run", "qrels", "measures", "min_grade", "complete", "per_query", NULL};
    PyObject *run, *qrels, *wanted, *keep, *result = NULL;
    int complete = 0, per_query = 0, min_grade = 1;
    const char **texts;
    table tables[2] = {{NULL, NULL}, {NULL, NULL}};
    ht_eval_opts opts;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|ipp", HP_KEYWORDS(names), &run, &qrels, &wanted, &min_grade,
                                     &complete, &per_query))
        return NULL;
    ht_eval_opts_init(&opts);
    opts.min_grade = min_grade;
    opts.complete = complete;
    const Py_ssize_t n = hp_texts(wanted, "measures", &texts, &keep);
    if (n < 0) return NULL;
    const bool before = hp_enter();
    if (read_table(run, true, &tables[0]) == 0 && read_table(qrels, false, &tables[1]) == 0)
        result = judge(&tables[0], &tables[1], texts, (size_t)n, &opts, per_query);
    hp_leave(before);
    ht_run_free(tables[0].run);
    ht_qrels_free(tables[1].qrels);
    PyMem_Free(texts);
    Py_XDECREF(keep);
    return result;
}

/* read_qrels(path): [{query_uuid, paragraph_uuid, label_score}, ...] in the file's order within each query */
static PyObject *read_qrels(PyObject *module, PyObject *path)
{
    table t;
    (void)module;
    if (!hp_text(path, "a path") || read_table(path, false, &t) < 0) return NULL;
    PyObject *list = PyList_New(0);
    for (size_t q = 0; list && q < ht_qrels_n_queries(t.qrels); q++) {
        size_t n;
        const ht_text query = ht_qrels_query(t.qrels, q, &n);
        for (size_t i = 0; list && i < n; i++) {
            int32_t grade;
            const ht_text doc = ht_qrels_row(t.qrels, q, i, &grade);
            PyObject *row = Py_BuildValue("{s:s#,s:s#,s:i}", "query_uuid", query.data, (Py_ssize_t)query.len,
                                          "paragraph_uuid", doc.data, (Py_ssize_t)doc.len, "label_score", (int)grade);
            if (!row || PyList_Append(list, row) < 0) Py_CLEAR(list);
            Py_XDECREF(row);
        }
    }
    ht_qrels_free(t.qrels);
    return list;
}

static PyMethodDef functions[] = {{"evaluate", HP_METHOD(evaluate), METH_VARARGS | METH_KEYWORDS, NULL},
                                  {"read_qrels", read_qrels, METH_O, NULL},
                                  {NULL, NULL, 0, NULL}};

int hp_eval_init(PyObject *module) { return PyModule_AddFunctions(module, functions); }
