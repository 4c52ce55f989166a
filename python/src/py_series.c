/*
 * py_series.c - columns as Python objects.
 */
#include "py_core.h"

PyObject *hp_series_of_values(const ht_value *rows, size_t n)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = hp_unwrap(rows[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}
