/*
 * py_build.c - columns of Python objects: buffers of Arrow's layout that grow object by object.
 *
 * Without a type, only what a column gives back exactly becomes one: bool, int of 64 bits, float, str and bytes, all of
 * one exact type, with None. Everything else (numbers of both kinds, tuples, dicts, lists, big ints) stays the objects
 * it is. With a type, objects are converted where nothing is lost; what would be is an error that names the row.
 * Offsets are 64 bits wide while a column grows; at its end they become 32 bits where they fit.
 */
#include "py_series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
    const hp_dtype *type;
    int64_t n, n_nulls, cap;
    uint8_t *validity; /* [cap] bits, from the first null on */
    char *values;      /* [cap] numbers, bits, or [cap + 1] offsets */
    char *text;        /* bytes of all rows */
    size_t text_len, text_cap;
    struct builder *children; /* [n_children] */
    Py_ssize_t n_children;
} builder;

enum { FITS = 0, FAILED = -1, MISFIT = 1 };
static int append(builder *b, PyObject *object);

/* ---- memory ---- */

static void deinit(builder *b)
{
    for (Py_ssize_t i = 0; i < b->n_children; i++) deinit(&b->children[i]);
    free(b->children);
    free(b->validity);
    free(b->values);
    free(b->text);
    memset(b, 0, sizeof *b);
}

static int init(builder *b, const hp_dtype *type)
{
    memset(b, 0, sizeof *b);
    b->type = type;
    const Py_ssize_t n = type->types ? PyTuple_Size(type->types) : 0;
    b->children = calloc((size_t)n + 1, sizeof *b->children);
    if (!b->children) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (; b->n_children < n; b->n_children++)
        if (init(&b->children[b->n_children], hp_dtype_child(type, b->n_children)) < 0) return FAILED;
    return FITS;
}

static bool has_offsets(ht_dtype kind) { return kind >= HT_DTYPE_STRING && kind <= HT_DTYPE_LARGE_LIST; }

/* Bytes that n rows need in `values`. */
static size_t size_of_values(const builder *b, int64_t n)
{
    const ht_dtype kind = b->type->kind;
    if (kind == HT_DTYPE_BOOL) return ((size_t)n + 7) / 8;
    return has_offsets(kind) ? ((size_t)n + 1) * sizeof(int64_t) : (size_t)n * hp_dtype_width(kind);
}

static int grow(void **block, size_t from, size_t to)
{
    char *made = realloc(*block, to + 1);
    if (!made) {
        PyErr_NoMemory();
        return FAILED;
    }
    memset(made + from, 0, to - from);
    *block = made;
    return FITS;
}

static int reserve(builder *b, int64_t n)
{
    if (n <= b->cap && b->values) return FITS;
    int64_t cap = b->cap + b->cap / 2;
    if (cap < n) cap = n;
    if (grow((void **)&b->values, b->values ? size_of_values(b, b->cap) : 0, size_of_values(b, cap)) < 0) return FAILED;
    if (b->validity && grow((void **)&b->validity, ((size_t)b->cap + 7) / 8, ((size_t)cap + 7) / 8) < 0) return FAILED;
    b->cap = cap;
    return FITS;
}

static inline void set_bit(uint8_t *bits, int64_t at) { bits[at / 8] = (uint8_t)(bits[at / 8] | 1u << at % 8); }

/* Room for one more row; its bit of validity is set where there are any. */
static int next_row(builder *b)
{
    if (b->n == b->cap && reserve(b, b->n < 8 ? 8 : b->n + 1) < 0) return FAILED;
    if (b->validity) set_bit(b->validity, b->n);
    return FITS;
}

static void set_offset(builder *b, int64_t end)
{
    memcpy(b->values + (size_t)(b->n + 1) * sizeof end, &end, sizeof end);
}

/* ---- rows ---- */

static int append_null(builder *b)
{
    if (b->n == b->cap && reserve(b, b->n < 8 ? 8 : b->n + 1) < 0) return FAILED;
    if (!b->validity) {
        if (grow((void **)&b->validity, 0, ((size_t)b->cap + 7) / 8) < 0) return FAILED;
        for (int64_t i = 0; i < b->n; i++) set_bit(b->validity, i);
    }
    if (has_offsets(b->type->kind)) set_offset(b, b->n_children ? b->children[0].n : (int64_t)b->text_len);
    const Py_ssize_t each = b->type->kind == HT_DTYPE_FIXED_LIST ? b->type->list_len : 1;
    if (!has_offsets(b->type->kind))
        for (Py_ssize_t c = 0; c < b->n_children; c++)
            for (Py_ssize_t k = 0; k < each; k++)
                if (append_null(&b->children[c]) < 0) return FAILED;
    b->n++;
    b->n_nulls++;
    return FITS;
}

static int fail_range(const builder *b, PyObject *object)
{
    PyErr_Format(PyExc_OverflowError, "%R is out of the range of %R", object, b->type);
    return FAILED;
}

/* An int of any kind as one of the column's width. */
static int put_integer(builder *b, PyObject *number)
{
    static const struct {
        int64_t least;
        uint64_t most;
    } ranges[] = {{INT8_MIN, INT8_MAX},   {0, UINT8_MAX},  {INT16_MIN, INT16_MAX}, {0, UINT16_MAX},
                  {INT32_MIN, INT32_MAX}, {0, UINT32_MAX}, {INT64_MIN, INT64_MAX}, {0, UINT64_MAX}};
    const size_t at = (size_t)(b->type->kind - HT_DTYPE_INT8);
    int overflow;
    const int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow);
    uint64_t bits = (uint64_t)value;
    if (value == -1 && PyErr_Occurred()) return FAILED;
    if (overflow > 0 && b->type->kind == HT_DTYPE_UINT64) {
        bits = PyLong_AsUnsignedLongLong(number);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            return fail_range(b, number);
        }
    } else if (overflow || value < ranges[at].least || (value > 0 && bits > ranges[at].most)) {
        return fail_range(b, number);
    }
    const size_t width = hp_dtype_width(b->type->kind);
    memcpy(b->values + (size_t)b->n * width, &bits, width); /* little-endian, as base.h requires */
    return FITS;
}

static int append_integer(builder *b, PyObject *object)
{
    PyObject *number = NULL;
    if (PyLong_Check(object)) {
        number = Py_NewRef(object);
    } else if (PyFloat_Check(object)) {
        number = PyNumber_Long(object); /* ValueError and OverflowError of nan and inf */
        const int same = number ? PyObject_RichCompareBool(number, object, Py_EQ) : -1;
        if (same == 0) PyErr_Format(PyExc_ValueError, "%R as %R would lose its fraction", object, b->type);
        if (same <= 0) Py_CLEAR(number);
    } else if (PyIndex_Check(object)) {
        number = PyNumber_Index(object);
    } else {
        return MISFIT;
    }
    const int done = number ? put_integer(b, number) : FAILED;
    Py_XDECREF(number);
    return done;
}

static int append_real(builder *b, PyObject *object)
{
    double value;
    if (PyFloat_CheckExact(object)) {
        value = PyFloat_AsDouble(object);
    } else {
        if (PyUnicode_Check(object) || PyBytes_Check(object) || !PyNumber_Check(object)) return MISFIT;
        value = PyFloat_AsDouble(object);
        if (value == -1.0 && PyErr_Occurred()) return FAILED;
    }
    if (b->type->kind == HT_DTYPE_FLOAT64) {
        memcpy(b->values + (size_t)b->n * sizeof value, &value, sizeof value);
    } else {
        const float small = (float)value;
        if (isinf(small) && !isinf(value)) return fail_range(b, object);
        memcpy(b->values + (size_t)b->n * sizeof small, &small, sizeof small);
    }
    return FITS;
}

static int append_bool(builder *b, PyObject *object)
{
    const bool is_number = PyNumber_Check(object) && !PyFloat_Check(object);
    if (!PyBool_Check(object) && !is_number) return MISFIT;
    const int value = PyObject_IsTrue(object);
    if (value < 0) return FAILED;
    if (PyLong_Check(object) && !PyBool_Check(object)) {
        const int one = PyObject_RichCompareBool(object, value ? Py_True : Py_False, Py_EQ);
        if (one <= 0) return one < 0 ? FAILED : fail_range(b, object);
    }
    if (value) set_bit((uint8_t *)b->values, b->n);
    return FITS;
}

static int reserve_text(builder *b, size_t len)
{
    if (b->text && b->text_len + len <= b->text_cap) return FITS;
    const size_t cap = b->text_len + len + b->text_cap / 2 + 64;
    char *made = realloc(b->text, cap);
    if (!made) {
        PyErr_NoMemory();
        return FAILED;
    }
    b->text = made;
    b->text_cap = cap;
    return FITS;
}

static int put_text(builder *b, const void *data, size_t len)
{
    if (reserve_text(b, len) < 0) return FAILED;
    memcpy(b->text + b->text_len, data, len);
    b->text_len += len;
    set_offset(b, (int64_t)b->text_len);
    return FITS;
}

static int append_text(builder *b, PyObject *object)
{
    Py_ssize_t len;
    if (PyUnicode_Check(object)) {
        const char *text = PyUnicode_AsUTF8AndSize(object, &len);
        return text ? put_text(b, text, (size_t)len) : FAILED;
    }
    if (!PyLong_Check(object) && !PyFloat_Check(object)) return MISFIT;
    PyObject *made = PyObject_Str(object);
    const char *text = made ? PyUnicode_AsUTF8AndSize(made, &len) : NULL;
    const int done = text ? put_text(b, text, (size_t)len) : FAILED;
    Py_XDECREF(made);
    return done;
}

static int append_bytes(builder *b, PyObject *object)
{
    Py_buffer view;
    if (PyBytes_Check(object)) return put_text(b, PyBytes_AsString(object), (size_t)PyBytes_Size(object));
    if (!PyObject_CheckBuffer(object)) return MISFIT;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) return FAILED;
    const int done = put_text(b, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return done;
}

/* ---- lists and structs ---- */

/* An array of just the items' type, by its bytes; MISFIT where it is another. */
static int append_array(builder *items, PyObject *object, int64_t *n)
{
    Py_buffer view;
    int64_t none;
    static const char letters[] = "bBhHiIlLqQfd";
    static const char arrow[] = "cCsSiIlLlLfg";
    if (!PyObject_CheckBuffer(object) || PyBytes_Check(object)) return MISFIT;
    if (PyObject_GetBuffer(object, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return MISFIT;
    }
    const char *format = view.format ? view.format : "B";
    const char *at = format[0] && !format[1] ? strchr(letters, format[0]) : NULL;
    const char name[2] = {at ? arrow[at - letters] : '?', '\0'};
    int done = MISFIT;
    if (view.ndim == 1 && at && hp_kind_of_format(name, &none) == items->type->kind &&
        (size_t)view.itemsize == hp_dtype_width(items->type->kind)) {
        *n = view.shape[0];
        done = reserve(items, items->n + *n);
        if (done == FITS) {
            memcpy(items->values + (size_t)items->n * (size_t)view.itemsize, view.buf, (size_t)view.len);
            for (int64_t i = 0; items->validity && i < *n; i++) set_bit(items->validity, items->n + i);
            items->n += *n;
        }
    }
    PyBuffer_Release(&view);
    return done;
}

static int append_items(builder *items, PyObject *object, int64_t *n)
{
    const int done = append_array(items, object, n);
    if (done != MISFIT) return done;
    if (PyUnicode_Check(object) || PyBytes_Check(object) || PyDict_Check(object) || !PySequence_Check(object))
        return MISFIT;
    PyObject *list = PyList_CheckExact(object) ? Py_NewRef(object) : PySequence_List(object);
    if (!list) return FAILED;
    int fits = FITS;
    *n = PyList_Size(list);
    for (Py_ssize_t i = 0; fits == FITS && i < PyList_Size(list); i++) fits = append(items, PyList_GetItem(list, i));
    Py_DECREF(list);
    return fits;
}

static int append_list(builder *b, PyObject *object)
{
    int64_t n = 0;
    const int fits = append_items(&b->children[0], object, &n);
    if (fits != FITS) return fits;
    if (b->type->kind != HT_DTYPE_FIXED_LIST) {
        set_offset(b, b->children[0].n);
    } else if (n != b->type->list_len) {
        PyErr_Format(PyExc_ValueError, "a list of %lld items where %R has %zd", (long long)n, b->type,
                     b->type->list_len);
        return FAILED;
    }
    return FITS;
}

static int append_struct(builder *b, PyObject *object)
{
    if (!PyDict_Check(object)) return MISFIT;
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < b->n_children; i++) {
        PyObject *value = PyDict_GetItemWithError(object, PyTuple_GetItem(b->type->names, i));
        if (!value && PyErr_Occurred()) return FAILED;
        found += value != NULL;
        const int fits = append(&b->children[i], value ? value : Py_None);
        if (fits != FITS) return fits;
    }
    if (found == PyDict_Size(object)) return FITS;
    PyErr_Format(PyExc_ValueError, "%R has a field that %R lacks", object, b->type);
    return FAILED;
}

/* Depth is bounded by that of the type. */
static int append(builder *b, PyObject *object)
{
    int fits;
    if (object == Py_None) return append_null(b);
    if (next_row(b) < 0) return FAILED;
    switch (b->type->kind) {
    case HT_DTYPE_BOOL: fits = append_bool(b, object); break;
    case HT_DTYPE_FLOAT32:
    case HT_DTYPE_FLOAT64: fits = append_real(b, object); break;
    case HT_DTYPE_STRING:
    case HT_DTYPE_LARGE_STRING: fits = append_text(b, object); break;
    case HT_DTYPE_BINARY:
    case HT_DTYPE_LARGE_BINARY: fits = append_bytes(b, object); break;
    case HT_DTYPE_LIST:
    case HT_DTYPE_LARGE_LIST:
    case HT_DTYPE_FIXED_LIST: fits = append_list(b, object); break;
    case HT_DTYPE_STRUCT: fits = append_struct(b, object); break;
    case HT_DTYPE_NULL:
    case HT_DTYPE_FLOAT16: fits = MISFIT; break;
    default: fits = append_integer(b, object); break;
    }
    b->n += fits == FITS;
    return fits;
}

/* ---- the finished column ---- */

/* Offsets to 32 bits, in place, or the large form of the type where they do not fit. */
static void finish_offsets(builder *b, struct ArrowSchema *schema)
{
    const ht_dtype kind = b->type->kind;
    const bool large = kind == HT_DTYPE_LARGE_STRING || kind == HT_DTYPE_LARGE_BINARY || kind == HT_DTYPE_LARGE_LIST;
    int64_t wide;
    memcpy(&wide, b->values + (size_t)b->n * sizeof wide, sizeof wide);
    if (large) return;
    if (wide > INT32_MAX) {
        schema->format = kind == HT_DTYPE_STRING ? "U" : kind == HT_DTYPE_BINARY ? "Z" : "+L";
        return;
    }
    for (int64_t i = 0; i <= b->n; i++) {
        memcpy(&wide, b->values + (size_t)i * sizeof wide, sizeof wide);
        const int32_t narrow = (int32_t)wide;
        memcpy(b->values + (size_t)i * sizeof narrow, &narrow, sizeof narrow);
    }
}

/* Moves the buffers into an array. */
static int finish(builder *b, struct ArrowSchema *schema, struct ArrowArray *out)
{
    const ht_dtype kind = b->type->kind;
    hp_buffers buffers = {.length = b->n, .n_nulls = b->n_nulls, .n_children = b->n_children, .n_blocks = 1};
    memset(out, 0, sizeof *out);
    if (reserve(b, b->n) < 0) return FAILED; /* an empty column has buffers too */
    if (has_offsets(kind)) finish_offsets(b, schema);
    if (kind >= HT_DTYPE_STRING && kind <= HT_DTYPE_LARGE_BINARY && reserve_text(b, 0) < 0) return FAILED;
    const bool has_validity = kind != HT_DTYPE_NULL;
    const bool has_values = has_validity && kind != HT_DTYPE_STRUCT && kind != HT_DTYPE_FIXED_LIST;
    buffers.blocks[0] = b->validity;
    buffers.n_blocks = has_validity;
    if (has_values) buffers.blocks[buffers.n_blocks++] = b->values;
    if (b->text) buffers.blocks[buffers.n_blocks++] = b->text;
    if (hp_array_make(&buffers, out) < 0) return FAILED;
    if (!has_validity) free(b->validity);
    if (!has_values) free(b->values);
    b->validity = NULL;
    b->values = b->text = NULL;
    for (Py_ssize_t i = 0; i < b->n_children; i++)
        if (finish(&b->children[i], schema->children[i], out->children[i]) < 0) {
            out->release(out);
            return FAILED;
        }
    return FITS;
}

static ht_series *import(builder *b)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    ht_series *series = NULL;
    ht_error err = {0};
    if (hp_schema_make(b->type, "", &schema) < 0) return NULL;
    if (finish(b, &schema, &array) < 0) {
        schema.release(&schema);
        return NULL;
    }
    if (ht_series_import(&schema, &array, &series, &err) != HT_OK) (void)hp_raise(&err);
    return series;
}

/* Which row it was, in front of what is wrong with it. */
static void name_row(Py_ssize_t row)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    if (text &&
        (PyErr_GivenExceptionMatches(type, PyExc_ValueError) || PyErr_GivenExceptionMatches(type, PyExc_TypeError) ||
         PyErr_GivenExceptionMatches(type, PyExc_OverflowError)) &&
        !PyErr_GivenExceptionMatches(type, PyExc_UnicodeError)) {
        PyErr_Format(type, "row %zd: %U", row, text);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    } else {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(text);
}

/* -> series, or NULL: MISFIT in *fits without an exception where `exact`, else an exception. */
static ht_series *build(PyObject *list, const hp_dtype *type, bool exact, int *fits)
{
    builder b;
    ht_series *series = NULL;
    const Py_ssize_t n = PyList_Size(list);
    Py_ssize_t at = 0;
    *fits = init(&b, type);
    if (*fits == FITS) *fits = reserve(&b, n);
    for (; *fits == FITS && at < PyList_Size(list); at += *fits == FITS) *fits = append(&b, PyList_GetItem(list, at));
    if (*fits == FITS) {
        series = import(&b);
    } else if (exact) {
        PyErr_Clear(); /* an int of more than 64 bits, or text that is no UTF-8 */
    } else {
        if (*fits == MISFIT)
            PyErr_Format(PyExc_TypeError, "%R does not fit a column of type %R", PyList_GetItem(list, at), type);
        name_row(at);
    }
    deinit(&b);
    return series;
}

/* ---- which type ---- */

/* The type that all are exactly of; OBJECT: none. */
static ht_dtype infer(PyObject *list)
{
    const PyTypeObject *only = NULL;
    const Py_ssize_t n = PyList_Size(list);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyList_GetItem(list, i);
        if (item == Py_None) continue;
        if (only && Py_TYPE(item) != only) return HT_DTYPE_OBJECT;
        only = Py_TYPE(item);
    }
    if (!only) return HT_DTYPE_NULL;
    return only == &PyUnicode_Type ? HT_DTYPE_STRING
           : only == &PyLong_Type  ? HT_DTYPE_INT64
           : only == &PyFloat_Type ? HT_DTYPE_FLOAT64
           : only == &PyBool_Type  ? HT_DTYPE_BOOL
           : only == &PyBytes_Type ? HT_DTYPE_BINARY
                                   : HT_DTYPE_OBJECT;
}

ht_series *hp_build_objects(PyObject *list)
{
    const Py_ssize_t n = PyList_Size(list);
    ht_value *values = PyMem_Malloc((size_t)(n + 1) * sizeof *values);
    ht_series *series = NULL;
    ht_error err = {0};
    ht_status status = HT_OK;
    Py_ssize_t made = 0;
    if (!values) {
        PyErr_NoMemory();
        return NULL;
    }
    for (; status == HT_OK && made < n; made += status == HT_OK)
        status = hp_wrap(PyList_GetItem(list, made), &values[made], &err);
    if (status == HT_OK) status = ht_series_from_values(HT_DTYPE_OBJECT, values, (size_t)n, &series, &err);
    for (Py_ssize_t i = 0; i < made; i++) ht_value_release(values[i]);
    PyMem_Free(values);
    if (status != HT_OK) (void)hp_raise(&err);
    return series;
}

ht_series *hp_build(PyObject *list, const hp_dtype *type)
{
    int fits;
    if (type && type->kind != HT_DTYPE_OBJECT) return build(list, type, false, &fits);
    const ht_dtype kind = type ? HT_DTYPE_OBJECT : infer(list);
    if (kind == HT_DTYPE_OBJECT) return hp_build_objects(list);
    hp_dtype *plain = hp_dtype_plain(kind);
    if (!plain) return NULL;
    ht_series *series = build(list, plain, true, &fits);
    Py_DECREF((PyObject *)plain);
    return series || fits == FITS ? series : hp_build_objects(list);
}

ht_series *hp_build_values(const ht_value *rows, size_t n)
{
    static const ht_dtype of_kind[] = {
        [HT_KIND_NULL] = HT_DTYPE_NULL,     [HT_KIND_BOOL] = HT_DTYPE_BOOL,     [HT_KIND_INT] = HT_DTYPE_INT64,
        [HT_KIND_FLOAT] = HT_DTYPE_FLOAT64, [HT_KIND_STRING] = HT_DTYPE_STRING, [HT_KIND_BYTES] = HT_DTYPE_BINARY};
    ht_kind only = HT_KIND_NULL;
    bool objects = false;
    ht_series *series = NULL;
    ht_error err = {0};
    for (size_t i = 0; !objects && i < n; i++) {
        if (rows[i].kind == HT_KIND_NULL) continue;
        objects = rows[i].kind > HT_KIND_BYTES || (only != HT_KIND_NULL && rows[i].kind != only);
        only = rows[i].kind;
    }
    if (ht_series_from_values(objects ? HT_DTYPE_OBJECT : of_kind[only], rows, n, &series, &err) != HT_OK)
        (void)hp_raise(&err);
    return series;
}
