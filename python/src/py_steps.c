/*
 * py_steps.c - what a frame of Python does with whole columns around the calls of methods: nodes known by name.
 *
 *   row method      finish(call(column, ...), type)
 *   batch method    join(call(cut(column, size), ...), like, size, type, flags), the call mapped over the pieces
 *
 * Cutting before the call leaves the pieces to the scheduler, which overlaps coroutines, repeats and nulls pieces, and
 * sends them to processes, with every argument that is a column cut alike. A column of results is typed where that is
 * exact (py_build.c), else the objects that came back.
 * Easy to get wrong: pieces of different types are joined as objects, or ints would become floats beside floats.
 */
#include "py_series.h"

#include <stdlib.h>
#include <string.h>

/* ---- arguments and results ---- */

/* A column, with a reference: a series, or the one row that stands for all. */
static ht_status column_of(ht_value value, ht_series **out, ht_error *err)
{
    ht_series *series = ht_value_series(value);
    if (!series) return ht_series_from_values(HT_DTYPE_OBJECT, &value, 1, out, err);
    *out = ht_series_retain(series);
    return HT_OK;
}

/* A type among the arguments, borrowed; NULL: none. */
static hp_dtype *type_of(ht_value value)
{
    PyObject *object = ht_value_object(value, &hp_object_type);
    return object && Py_TYPE(object) == hp.dtype_type ? (hp_dtype *)object : NULL;
}

/* Takes the series; NULL with an exception becomes a failure. */
static ht_status give_series(ht_series *series, ht_value *out, ht_error *err)
{
    if (!series) return hp_fail(err);
    const ht_status status = ht_series_value(series, out, err);
    ht_series_release(series);
    return status;
}

static size_t piece_of(ht_value size, size_t n)
{
    const size_t most = size.kind == HT_KIND_INT && size.as.integer > 0 ? (size_t)size.as.integer : n;
    return most ? most : 1;
}

/* ---- cut(column, size): a list of slices, none copied ---- */

static ht_status cut(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *whole;
    (void)self;
    ht_status status = column_of(in[0], &whole, err);
    if (status != HT_OK) return status;
    const size_t n = ht_series_len(whole), piece = piece_of(in[1], n), n_parts = (n + piece - 1) / piece;
    ht_value *parts = malloc((n_parts + 1) * sizeof *parts);
    size_t made = 0;
    if (!parts) {
        err->status = status = HT_NO_MEMORY;
        (void)PyOS_snprintf(err->message, sizeof err->message, "out of memory (pieces of a column)");
    }
    while (status == HT_OK && made < n_parts) {
        ht_series *part;
        const size_t first = made * piece;
        status = ht_series_slice(whole, first, n - first < piece ? n - first : piece, &part, err);
        if (status != HT_OK) break;
        status = ht_series_value(part, &parts[made], err);
        ht_series_release(part);
        made += status == HT_OK;
    }
    ht_series_release(whole);
    if (status == HT_OK)
        status = ht_value_list_take(parts, made, out, err);
    else
        for (size_t i = 0; i < made; i++) ht_value_release(parts[i]);
    free(parts);
    return status;
}

/* ---- join(results, like, size, type, flags) ---- */

static ht_series *nulls(size_t n, const hp_dtype *type)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++)
        if (PyList_SetItem(list, (Py_ssize_t)i, Py_NewRef(Py_None)) < 0) Py_CLEAR(list);
    ht_series *series = list ? hp_build(list, type) : NULL;
    Py_XDECREF(list);
    return series;
}

/* Takes the series of one row. */
static ht_series *repeated(ht_series *one, size_t n)
{
    size_t *zeros = PyMem_Calloc(n + 1, sizeof *zeros);
    ht_series *all = NULL;
    ht_error err = {0};
    if (!zeros) PyErr_NoMemory();
    if (zeros && ht_series_take(one, zeros, n, &all, &err) != HT_OK) (void)hp_raise(&err);
    PyMem_Free(zeros);
    ht_series_release(one);
    return all;
}

/* The rows that a batch method gave, or TypeError where it gave none. */
static ht_series *rows_of(PyObject *object, const hp_dtype *type)
{
    const bool has_rows = PySequence_Check(object) || PyObject_HasAttrString(object, "to_pylist") ||
                          PyObject_HasAttrString(object, "__arrow_c_array__") ||
                          PyObject_HasAttrString(object, "__arrow_c_stream__");
    if (has_rows && !PyUnicode_Check(object) && !PyBytes_Check(object)) return hp_series_from(object, type);
    PyErr_Format(PyExc_TypeError, "a batch method gives a list, an array or a Series of as many rows, not a %S",
                 (PyObject *)Py_TYPE(object));
    return NULL;
}

/* What a call gave for a piece of n rows as a series of as many; NULL with an exception. */
static ht_series *part_of(ht_value result, size_t n, const hp_dtype *type, int64_t flags)
{
    if (result.kind == HT_KIND_NULL && (flags & HP_NULL_PIECES)) return nulls(n, type);
    PyObject *object = hp_unwrap(result);
    ht_series *part = object ? rows_of(object, type) : NULL;
    Py_XDECREF(object);
    if (!part) return NULL;
    const size_t len = ht_series_len(part);
    if (len == n) return part;
    if (len == 1 && (flags & HP_BROADCAST)) return repeated(part, n);
    ht_series_release(part);
    PyErr_Format(PyExc_RuntimeError, "a batch of %zu rows gave %zu results", n, len);
    return NULL;
}

/* Whether joining keeps what the rows are: one type, nulls apart. */
static bool is_one_type(ht_series *const *parts, size_t n)
{
    hp_dtype *first = NULL;
    bool same = true;
    for (size_t i = 0; same && i < n; i++) {
        hp_dtype *type = hp_dtype_of(parts[i]);
        same = type && (!first || type->kind == HT_DTYPE_NULL || hp_dtype_equal(first, type));
        if (!first && type && type->kind != HT_DTYPE_NULL)
            first = type;
        else
            Py_XDECREF((PyObject *)type);
    }
    Py_XDECREF((PyObject *)first);
    return same && !PyErr_Occurred();
}

static ht_series *joined(ht_series **parts, size_t n)
{
    ht_series *whole = NULL;
    ht_error err = {0};
    if (!is_one_type(parts, n)) {
        hp_dtype *objects = PyErr_Occurred() ? NULL : hp_dtype_plain(HT_DTYPE_OBJECT);
        for (size_t i = 0; objects && i < n; i++) {
            ht_series *as = hp_series_cast(parts[i], objects);
            if (!as) break;
            ht_series_release(parts[i]);
            parts[i] = as;
        }
        Py_XDECREF((PyObject *)objects);
        if (PyErr_Occurred()) return NULL;
    }
    if (ht_series_concat(parts, n, &whole, &err) != HT_OK) (void)hp_raise(&err);
    return whole;
}

static ht_series *join_parts(ht_series *results, size_t n, const ht_value *in)
{
    const size_t piece = piece_of(in[2], n), n_parts = ht_series_len(results);
    const hp_dtype *type = type_of(in[3]);
    ht_series **parts = PyMem_Calloc(n_parts + 1, sizeof(ht_series *)), *whole = NULL;
    size_t made = 0;
    ht_error err = {0};
    if (!parts) PyErr_NoMemory();
    for (; parts && made < n_parts; made++) {
        ht_value result;
        const size_t first = made * piece;
        if (ht_series_get(results, made, &result, &err) != HT_OK) {
            (void)hp_raise(&err);
            break;
        }
        parts[made] = part_of(result, n - first < piece ? n - first : piece, type, in[4].as.integer);
        ht_value_release(result);
        if (!parts[made]) break;
    }
    if (parts && made == n_parts) whole = n_parts ? joined(parts, made) : nulls(0, type);
    for (size_t i = 0; parts && i < n_parts; i++) ht_series_release(parts[i]);
    PyMem_Free(parts);
    return whole;
}

static ht_status join(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *results, *like;
    (void)self;
    ht_status status = column_of(in[0], &results, err);
    if (status != HT_OK) return status;
    status = column_of(in[1], &like, err);
    if (status != HT_OK) {
        ht_series_release(results);
        return status;
    }
    const hp_gil gil = hp_gil_take();
    status = give_series(join_parts(results, ht_series_len(like), in), out, err);
    ht_series_release(results);
    ht_series_release(like);
    hp_gil_give(gil);
    return status;
}

/* ---- finish(column, type): rows as they came, as a column ---- */

static ht_series *finished(ht_series *column, const hp_dtype *type)
{
    const size_t n = ht_series_len(column);
    ht_series *made = NULL;
    ht_error err = {0};
    if (type) return hp_series_cast(column, type);
    if (ht_series_dtype(column) != HT_DTYPE_OBJECT) return ht_series_retain(column);
    ht_value *values = PyMem_Malloc((n + 1) * sizeof *values);
    if (!values) {
        PyErr_NoMemory();
        return NULL;
    }
    if (ht_series_values(column, values, &err) == HT_OK) {
        made = hp_build_values(values, n);
        for (size_t i = 0; i < n; i++) ht_value_release(values[i]);
    } else {
        (void)hp_raise(&err);
    }
    PyMem_Free(values);
    if (!made || ht_series_dtype(made) != HT_DTYPE_OBJECT) return made;
    PyObject *list = hp_series_list(made); /* text, for one */
    ht_series_release(made);
    made = list ? hp_build(list, NULL) : NULL;
    Py_XDECREF(list);
    return made;
}

static ht_status finish(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *column;
    (void)self;
    ht_status status = column_of(in[0], &column, err);
    if (status != HT_OK) return status;
    const hp_gil gil = hp_gil_take();
    status = give_series(finished(column, type_of(in[1])), out, err);
    ht_series_release(column);
    hp_gil_give(gil);
    return status;
}

/* ---- operate(operator, a, b): Python's operators row by row ---- */

static PyObject *power(PyObject *a, PyObject *b) { return PyNumber_Power(a, b, Py_None); }

static PyObject *operate_row(int64_t op, PyObject *a, PyObject *b)
{
    static PyObject *(*const binary[])(PyObject *, PyObject *) = {PyNumber_Add,
                                                                  PyNumber_Subtract,
                                                                  PyNumber_Multiply,
                                                                  PyNumber_TrueDivide,
                                                                  PyNumber_FloorDivide,
                                                                  PyNumber_Remainder,
                                                                  power,
                                                                  PyNumber_And,
                                                                  PyNumber_Or,
                                                                  PyNumber_Xor};
    if (op == HP_IS_NULL || op == HP_NOT_NULL) return PyBool_FromLong((a == Py_None) == (op == HP_IS_NULL));
    if (a == Py_None) return Py_NewRef(Py_None);
    if (op == HP_NEGATE) return PyNumber_Negative(a);
    if (op == HP_INVERT && PyBool_Check(a)) return PyBool_FromLong(a == Py_False);
    if (op == HP_INVERT) return PyNumber_Invert(a);
    if (b == Py_None) return Py_NewRef(Py_None);
    if (op == HP_ITEM) return PyObject_GetItem(a, b);
    return op <= Py_GE ? PyObject_RichCompare(a, b, (int)op) : binary[op - HP_ADD](a, b);
}

/* The rows of an argument, or NULL and the one value; -1 with an exception. */
static int operand(ht_value value, PyObject **rows, PyObject **one)
{
    ht_series *series = ht_value_series(value);
    *rows = series ? hp_series_list(series) : NULL;
    *one = series ? NULL : hp_unwrap(value);
    return *rows || *one ? 0 : -1;
}

static ht_status operate(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    PyObject *rows[2] = {NULL, NULL}, *one[2] = {NULL, NULL}, *list = NULL;
    (void)self;
    const hp_gil gil = hp_gil_take();
    const bool ready = operand(in[1], &rows[0], &one[0]) == 0 && operand(in[2], &rows[1], &one[1]) == 0;
    const Py_ssize_t n = rows[0] ? PyList_Size(rows[0]) : rows[1] ? PyList_Size(rows[1]) : 1;
    if (ready) list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *a = rows[0] ? PyList_GetItem(rows[0], i) : one[0], *b = rows[1] ? PyList_GetItem(rows[1], i) : one[1];
        PyObject *row = operate_row(in[0].as.integer, a, b);
        if (!row || PyList_SetItem(list, i, row) < 0) Py_CLEAR(list);
    }
    ht_status status;
    if (!list)
        status = hp_fail(err);
    else if (rows[0] || rows[1])
        status = give_series(hp_build(list, NULL), out, err);
    else
        status = hp_wrap(PyList_GetItem(list, 0), out, err);
    for (int i = 0; i < 2; i++) {
        Py_XDECREF(rows[i]);
        Py_XDECREF(one[i]);
    }
    Py_XDECREF(list);
    hp_gil_give(gil);
    return status;
}

/* ---- as nodes ---- */

#define STEP(at, type_name, function, a, n)                                                                   \
    [at] = {HT_DESC(ht_node_desc), .name = type_name,         .inputs = a, .n_inputs = n, .outputs = outputs, \
            .n_outputs = 1,        .forms = {.row = function}}

const ht_node_desc *hp_step_desc(hp_step step)
{
    static const ht_input of_cut[] = {{"column", NULL}, {"size", NULL}},
                          of_join[] = {{"results", NULL},
                                       {"like", NULL},
                                       {"size", NULL},
                                       {"type", NULL},
                                       {"flags", NULL}},
                          of_finish[] = {{"column", NULL}, {"type", NULL}},
                          of_operate[] = {{"operator", NULL}, {"a", NULL}, {"b", NULL}};
    static const char *const outputs[] = {"out"};
    static const ht_node_desc steps[HP_N_STEPS] = {
        STEP(HP_STEP_CUT, "python.frame.cut", cut, of_cut, 2),
        STEP(HP_STEP_JOIN, "python.frame.join", join, of_join, 5),
        STEP(HP_STEP_FINISH, "python.frame.finish", finish, of_finish, 2),
        STEP(HP_STEP_OPERATE, "python.frame.operate", operate, of_operate, 3),
    };
    return &steps[step];
}

int hp_steps_init(void)
{
    ht_error err = {0};
    for (int step = 0; step < HP_N_STEPS; step++)
        if (ht_registry_add_node(hp_registry(), hp_step_desc((hp_step)step), &err) != HT_OK) return hp_raise(&err);
    return 0;
}
