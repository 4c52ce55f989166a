/*
 * py_read.c - rows of Arrow arrays as Python objects.
 *
 * Lists become lists, structs dicts, integers ints of any size. The arrays have been checked by ht_series_import, so
 * offsets stay within buffers.
 */
#include "py_series.h"

#include <math.h>
#include <string.h>

static bool is_null(const struct ArrowArray *array, int64_t row)
{
    const uint8_t *bits = array->null_count != 0 && array->n_buffers ? array->buffers[0] : NULL;
    return bits && !(bits[row / 8] >> row % 8 & 1);
}

static int64_t offset_of(const void *offsets, bool wide, int64_t at)
{
    int32_t narrow;
    int64_t value;
    if (wide) {
        memcpy(&value, (const char *)offsets + (size_t)at * sizeof value, sizeof value);
        return value;
    }
    memcpy(&narrow, (const char *)offsets + (size_t)at * sizeof narrow, sizeof narrow);
    return narrow;
}

/* Of 16 bits: sign, 5 bits of exponent, 10 of fraction. */
static double half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 0    ? ldexp(fraction, -24)
                        : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                         : ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -size : size;
}

static PyObject *read_text(const struct ArrowArray *array, char letter, int64_t row)
{
    const bool wide = letter == 'U' || letter == 'Z';
    const int64_t first = offset_of(array->buffers[1], wide, row), end = offset_of(array->buffers[1], wide, row + 1);
    const char *text = array->buffers[2] ? (const char *)array->buffers[2] + first : "";
    if (letter == 'z' || letter == 'Z') return PyBytes_FromStringAndSize(text, (Py_ssize_t)(end - first));
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)(end - first), "surrogateescape");
}

static PyObject *read_number(const struct ArrowArray *array, char letter, int64_t row)
{
    static const struct {
        char letter;
        uint8_t width;
    } widths[] = {{'c', 1}, {'C', 1}, {'s', 2}, {'S', 2}, {'i', 4}, {'I', 4},
                  {'l', 8}, {'L', 8}, {'e', 2}, {'f', 4}, {'g', 8}};
    union {
        int8_t c;
        uint8_t C;
        int16_t s;
        uint16_t S;
        int32_t i;
        uint32_t I;
        int64_t l;
        uint64_t L;
        float f;
        double g;
    } at = {.L = 0};
    for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
        if (widths[k].letter == letter)
            memcpy(&at, (const char *)array->buffers[1] + (size_t)row * widths[k].width, widths[k].width);
    switch (letter) {
    case 'c': return PyLong_FromLong(at.c);
    case 'C': return PyLong_FromLong(at.C);
    case 's': return PyLong_FromLong(at.s);
    case 'S': return PyLong_FromLong(at.S);
    case 'i': return PyLong_FromLong(at.i);
    case 'I': return PyLong_FromLongLong(at.I);
    case 'l': return PyLong_FromLongLong(at.l);
    case 'L': return PyLong_FromUnsignedLongLong(at.L);
    case 'e': return PyFloat_FromDouble(half_value(at.S));
    case 'f': return PyFloat_FromDouble((double)at.f);
    default: return PyFloat_FromDouble(at.g);
    }
}

static PyObject *read_items(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row)
{
    int64_t first, n, size;
    const ht_dtype kind = hp_kind_of_format(schema->format, &size);
    if (kind == HT_DTYPE_FIXED_LIST) {
        first = row * size;
        n = size;
    } else {
        first = offset_of(array->buffers[1], kind == HT_DTYPE_LARGE_LIST, row);
        n = offset_of(array->buffers[1], kind == HT_DTYPE_LARGE_LIST, row + 1) - first;
    }
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (int64_t i = 0; list && i < n; i++) {
        PyObject *item = hp_read_row(schema->children[0], array->children[0], first + i);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *read_fields(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row)
{
    PyObject *dict = PyDict_New();
    for (int64_t i = 0; dict && i < schema->n_children; i++) {
        PyObject *item = hp_read_row(schema->children[i], array->children[i], row);
        if (!item || PyDict_SetItemString(dict, schema->children[i]->name, item) < 0) Py_CLEAR(dict);
        Py_XDECREF(item);
    }
    return dict;
}

/* Depth is bounded by what ht_series_import accepts. */
PyObject *hp_read_row(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row)
{
    const char letter = schema->format[0];
    const int64_t at = row + array->offset;
    if (letter == 'n' || is_null(array, at)) return Py_NewRef(Py_None);
    switch (letter) {
    case 'b': return PyBool_FromLong(((const uint8_t *)array->buffers[1])[at / 8] >> at % 8 & 1);
    case 'u':
    case 'U':
    case 'z':
    case 'Z': return read_text(array, letter, at);
    case '+': return schema->format[1] == 's' ? read_fields(schema, array, at) : read_items(schema, array, at);
    default: return read_number(array, letter, at);
    }
}

PyObject *hp_read_list(const struct ArrowSchema *schema, const struct ArrowArray *array)
{
    const Py_ssize_t n = (Py_ssize_t)array->length;
    const bool plain =
        array->n_buffers > 1 && array->null_count == 0 && (uintptr_t)array->buffers[1] % sizeof(int64_t) == 0;
    const char letter = plain ? schema->format[0] : '\0';
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *item;
        if (letter == 'l') /* the two that most columns are, without the way around */
            item = PyLong_FromLongLong(((const int64_t *)array->buffers[1])[array->offset + i]);
        else if (letter == 'g')
            item = PyFloat_FromDouble(((const double *)array->buffers[1])[array->offset + i]);
        else
            item = hp_read_row(schema, array, i);
        if (!item || PyList_SetItem(list, i, item) < 0) Py_CLEAR(list);
    }
    return list;
}
