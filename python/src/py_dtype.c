/*
 * py_dtype.c - DataType: what the rows of a column are, and the Arrow structs of such a type.
 */
#include "py_series.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kind_row {
    ht_dtype kind;
    const char *format, *name, *maker; /* maker: its constructor in Python; NULL: none */
    size_t width;
} kinds[] = {
    {HT_DTYPE_OBJECT, "", "Python", "python", 0},     {HT_DTYPE_NULL, "n", "Null", "null", 0},
    {HT_DTYPE_BOOL, "b", "Bool", "bool", 0},          {HT_DTYPE_INT8, "c", "Int8", "int8", 1},
    {HT_DTYPE_UINT8, "C", "UInt8", "uint8", 1},       {HT_DTYPE_INT16, "s", "Int16", "int16", 2},
    {HT_DTYPE_UINT16, "S", "UInt16", "uint16", 2},    {HT_DTYPE_INT32, "i", "Int32", "int32", 4},
    {HT_DTYPE_UINT32, "I", "UInt32", "uint32", 4},    {HT_DTYPE_INT64, "l", "Int64", "int64", 8},
    {HT_DTYPE_UINT64, "L", "UInt64", "uint64", 8},    {HT_DTYPE_FLOAT16, "e", "Float16", "float16", 2},
    {HT_DTYPE_FLOAT32, "f", "Float32", "float32", 4}, {HT_DTYPE_FLOAT64, "g", "Float64", "float64", 8},
    {HT_DTYPE_STRING, "u", "String", "string", 0},    {HT_DTYPE_LARGE_STRING, "U", "String", NULL, 0},
    {HT_DTYPE_BINARY, "z", "Binary", "binary", 0},    {HT_DTYPE_LARGE_BINARY, "Z", "Binary", NULL, 0},
    {HT_DTYPE_LIST, "+l", "List", NULL, 0},           {HT_DTYPE_LARGE_LIST, "+L", "List", NULL, 0},
    {HT_DTYPE_FIXED_LIST, "+w", "List", NULL, 0},     {HT_DTYPE_STRUCT, "+s", "Struct", NULL, 0},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };
static hp_dtype *plain[HT_DTYPE_STRUCT + 1];

static const struct kind_row *row_of(ht_dtype kind)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (kinds[i].kind == kind) return &kinds[i];
    return &kinds[0];
}

size_t hp_dtype_width(ht_dtype kind) { return row_of(kind)->width; }

ht_dtype hp_kind_of_format(const char *format, int64_t *list_len)
{
    *list_len = 0;
    if (!strncmp(format, "+w:", 3)) {
        *list_len = strtoll(format + 3, NULL, 10);
        return HT_DTYPE_FIXED_LIST;
    }
    for (size_t i = 1; i < N_KINDS; i++)
        if (!strcmp(kinds[i].format, format)) return kinds[i].kind;
    return HT_DTYPE_INFER;
}

/* ---- making ---- */

static hp_dtype *new_dtype(ht_dtype kind)
{
    hp_dtype *made = PyObject_New(hp_dtype, hp.dtype_type);
    if (!made) return NULL;
    made->kind = kind;
    made->list_len = 0;
    made->names = made->types = NULL;
    return made;
}

hp_dtype *hp_dtype_plain(ht_dtype kind)
{
    if (!plain[kind]) plain[kind] = new_dtype(kind);
    return (hp_dtype *)Py_XNewRef((PyObject *)plain[kind]);
}

hp_dtype *hp_dtype_list(ht_dtype kind, PyObject *item, Py_ssize_t list_len)
{
    if (Py_TYPE(item) != hp.dtype_type || ((hp_dtype *)item)->kind == HT_DTYPE_OBJECT) {
        PyErr_Format(PyExc_TypeError, "a list's items are of a DataType that Arrow has, not %R", item);
        return NULL;
    }
    hp_dtype *made = new_dtype(kind);
    if (!made) return NULL;
    made->list_len = list_len;
    made->names = Py_BuildValue("(s)", "item");
    made->types = PyTuple_Pack(1, item);
    if (made->names && made->types) return made;
    Py_DECREF((PyObject *)made);
    return NULL;
}

static hp_dtype *make_struct(PyObject *names, PyObject *types)
{
    hp_dtype *made = names && types ? new_dtype(HT_DTYPE_STRUCT) : NULL;
    if (!made) {
        Py_XDECREF(names);
        Py_XDECREF(types);
        return NULL;
    }
    made->names = names;
    made->types = types;
    return made;
}

/* Depth is bounded by what ht_series_import accepts. */
hp_dtype *hp_dtype_of_schema(const struct ArrowSchema *schema)
{
    int64_t list_len;
    const ht_dtype kind = hp_kind_of_format(schema->format, &list_len);
    if (kind == HT_DTYPE_INFER) {
        PyErr_Format(PyExc_TypeError, "there is no DataType for Arrow's format '%s'", schema->format);
        return NULL;
    }
    if (schema->n_children == 0 && kind != HT_DTYPE_STRUCT) return hp_dtype_plain(kind);
    PyObject *names = PyTuple_New((Py_ssize_t)schema->n_children), *types = PyTuple_New((Py_ssize_t)schema->n_children);
    bool ok = names && types;
    for (Py_ssize_t i = 0; ok && i < schema->n_children; i++) {
        const struct ArrowSchema *child = schema->children[i];
        PyObject *name = PyUnicode_FromString(child->name ? child->name : "");
        PyObject *type = (PyObject *)hp_dtype_of_schema(child);
        ok = name && type;
        PyTuple_SetItem(names, i, name);
        PyTuple_SetItem(types, i, type);
    }
    if (!ok) {
        Py_XDECREF(names);
        Py_XDECREF(types);
        return NULL;
    }
    hp_dtype *made = make_struct(names, types);
    if (!made) return NULL;
    made->kind = kind;
    made->list_len = (Py_ssize_t)list_len;
    return made;
}

hp_dtype *hp_dtype_of(ht_series *series)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    ht_error err = {0};
    const ht_dtype kind = ht_series_dtype(series);
    if (kind < HT_DTYPE_LIST) return hp_dtype_plain(kind);
    if (ht_series_export(series, NULL, &schema, &array, &err) != HT_OK) {
        (void)hp_raise(&err);
        return NULL;
    }
    hp_dtype *made = hp_dtype_of_schema(&schema);
    schema.release(&schema);
    array.release(&array);
    return made;
}

static ht_dtype small_kind(ht_dtype kind)
{
    const bool large = kind == HT_DTYPE_LARGE_STRING || kind == HT_DTYPE_LARGE_BINARY || kind == HT_DTYPE_LARGE_LIST;
    return large ? (ht_dtype)(kind - 1) : kind;
}

bool hp_dtype_equal(const hp_dtype *a, const hp_dtype *b)
{
    if (a == b) return true;
    if (small_kind(a->kind) != small_kind(b->kind) || a->list_len != b->list_len) return false;
    const Py_ssize_t n = a->types ? PyTuple_Size(a->types) : 0;
    if (n != (b->types ? PyTuple_Size(b->types) : 0)) return false;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (a->kind == HT_DTYPE_STRUCT &&
            PyUnicode_Compare(PyTuple_GetItem(a->names, i), PyTuple_GetItem(b->names, i)) != 0)
            return false;
        if (!hp_dtype_equal(hp_dtype_child(a, i), hp_dtype_child(b, i))) return false;
    }
    return true;
}

/* ---- Arrow's structs ---- */

typedef struct schema_block {
    struct ArrowSchema **children;
    char *text; /* format and name */
} schema_block;

static void release_schema(struct ArrowSchema *schema)
{
    schema_block *block = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child && child->release) child->release(child);
        free(child);
    }
    free(block->children);
    free(block->text);
    free(block);
    schema->release = NULL;
}

static int no_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

int hp_schema_make(const hp_dtype *type, const char *name, struct ArrowSchema *out)
{
    const Py_ssize_t n = type->types ? PyTuple_Size(type->types) : 0;
    const size_t room = strlen(name) + 40;
    schema_block *block = calloc(1, sizeof *block);
    memset(out, 0, sizeof *out);
    if (!block) return no_memory();
    block->text = malloc(room);
    block->children = calloc((size_t)n + 1, sizeof(void *));
    *out = (struct ArrowSchema){.flags = ARROW_FLAG_NULLABLE, .release = release_schema, .private_data = block};
    bool ok = block->text && block->children;
    if (ok) {
        const char *format = row_of(type->kind)->format;
        int at = type->kind == HT_DTYPE_FIXED_LIST ? snprintf(block->text, room, "+w:%zd", type->list_len)
                                                   : snprintf(block->text, room, "%s", format);
        (void)snprintf(block->text + at + 1, room - (size_t)at - 1, "%s", name);
        out->format = block->text;
        out->name = block->text + at + 1;
        out->children = block->children;
    }
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        const char *child_name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(type->names, i), NULL);
        out->children[i] = child_name ? calloc(1, sizeof **out->children) : NULL;
        out->n_children = i + 1;
        ok = out->children[i] && hp_schema_make(hp_dtype_child(type, i), child_name, out->children[i]) == 0;
    }
    if (ok) return 0;
    if (!PyErr_Occurred()) PyErr_NoMemory();
    release_schema(out);
    return -1;
}

typedef struct array_block {
    const void *buffers[3];
    void *blocks[3];
    struct ArrowArray **children;
    void (*release)(void *ud);
    void *ud;
} array_block;

static void release_array(struct ArrowArray *array)
{
    array_block *block = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = array->children[i];
        if (child && child->release) child->release(child);
        free(child);
    }
    if (block->release) block->release(block->ud);
    for (int i = 0; !block->release && i < 3; i++) free(block->blocks[i]);
    free(block->children);
    free(block);
    array->release = NULL;
}

int hp_array_make(const hp_buffers *from, struct ArrowArray *out)
{
    array_block *block = calloc(1, sizeof *block);
    memset(out, 0, sizeof *out);
    if (!block) return no_memory();
    block->children = calloc((size_t)from->n_children + 1, sizeof(void *));
    bool ok = block->children != NULL;
    for (int64_t i = 0; ok && i < from->n_children; i++) {
        block->children[i] = calloc(1, sizeof **block->children);
        ok = block->children[i] != NULL;
    }
    if (!ok) {
        for (int64_t i = 0; block->children && i < from->n_children; i++) free(block->children[i]);
        free(block->children);
        free(block);
        return no_memory();
    }
    for (int i = 0; i < from->n_blocks; i++) block->buffers[i] = block->blocks[i] = from->blocks[i];
    block->release = from->release;
    block->ud = from->ud;
    *out = (struct ArrowArray){.length = from->length,
                               .null_count = from->n_nulls,
                               .n_buffers = from->n_blocks,
                               .n_children = from->n_children,
                               .buffers = block->buffers,
                               .children = block->children,
                               .release = release_array,
                               .private_data = block};
    return 0;
}

/* ---- as an object ---- */

static void dtype_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((hp_dtype *)self)->names);
    Py_XDECREF(((hp_dtype *)self)->types);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *dtype_repr(PyObject *self)
{
    const hp_dtype *type = (hp_dtype *)self;
    const char *name = row_of(type->kind)->name;
    if (!type->types) return PyUnicode_FromString(name);
    if (type->kind == HT_DTYPE_FIXED_LIST)
        return PyUnicode_FromFormat("List[%R; %zd]", hp_dtype_child(type, 0), type->list_len);
    if (type->kind != HT_DTYPE_STRUCT) return PyUnicode_FromFormat("List[%R]", hp_dtype_child(type, 0));
    PyObject *text = PyUnicode_FromString("Struct[");
    for (Py_ssize_t i = 0; text && i < PyTuple_Size(type->types); i++) {
        PyObject *more = PyUnicode_FromFormat("%U%s%U: %R", text, i ? ", " : "", PyTuple_GetItem(type->names, i),
                                              hp_dtype_child(type, i));
        Py_SETREF(text, more);
    }
    PyObject *whole = text ? PyUnicode_FromFormat("%U]", text) : NULL;
    Py_XDECREF(text);
    return whole;
}

static PyObject *dtype_compare(PyObject *self, PyObject *other, int op)
{
    if (Py_TYPE(other) != hp.dtype_type || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong(hp_dtype_equal((hp_dtype *)self, (hp_dtype *)other) == (op == Py_EQ));
}

static Py_hash_t dtype_hash(PyObject *self)
{
    PyObject *text = dtype_repr(self);
    const Py_hash_t hash = text ? PyObject_Hash(text) : -1;
    Py_XDECREF(text);
    return hash;
}

static PyObject *make_list(PyObject *cls, PyObject *item)
{
    (void)cls;
    return (PyObject *)hp_dtype_list(HT_DTYPE_LIST, item, 0);
}

static PyObject *make_fixed(PyObject *cls, PyObject *args)
{
    PyObject *item;
    Py_ssize_t n;
    (void)cls;
    if (!PyArg_ParseTuple(args, "On:fixed_size_list", &item, &n)) return NULL;
    if (n > 0 && n <= INT32_MAX) return (PyObject *)hp_dtype_list(HT_DTYPE_FIXED_LIST, item, n);
    PyErr_Format(PyExc_ValueError, "a fixed-size list has at least one item and at most 2147483647, not %zd", n);
    return NULL;
}

static PyObject *make_fields(PyObject *cls, PyObject *fields)
{
    PyObject *key, *value;
    Py_ssize_t at = 0, i = 0;
    (void)cls;
    if (!PyDict_Check(fields) || PyDict_Size(fields) == 0) {
        PyErr_SetString(PyExc_TypeError, "a struct's fields are a dict of at least one {name: DataType}");
        return NULL;
    }
    PyObject *names = PyTuple_New(PyDict_Size(fields)), *types = PyTuple_New(PyDict_Size(fields));
    bool ok = names && types;
    for (; ok && PyDict_Next(fields, &at, &key, &value); i++) {
        ok = PyUnicode_Check(key) && Py_TYPE(value) == hp.dtype_type && ((hp_dtype *)value)->kind != HT_DTYPE_OBJECT;
        if (!ok) {
            PyErr_Format(PyExc_TypeError, "a field is a name and a DataType that Arrow has, not %R: %R", key, value);
            break;
        }
        PyTuple_SetItem(names, i, Py_NewRef(key));
        PyTuple_SetItem(types, i, Py_NewRef(value));
    }
    if (ok) return (PyObject *)make_struct(names, types);
    Py_XDECREF(names);
    Py_XDECREF(types);
    return NULL;
}

/* DataType._of(name): a type without children by its constructor's name. */
static PyObject *dtype_of_name(PyObject *cls, PyObject *name)
{
    (void)cls;
    const char *text = hp_text(name, "a type's name");
    if (!text) return NULL;
    for (size_t i = 0; i < N_KINDS; i++)
        if (kinds[i].maker && !strcmp(kinds[i].maker, text)) return (PyObject *)hp_dtype_plain(kinds[i].kind);
    PyErr_Format(PyExc_ValueError, "there is no DataType '%s'", text);
    return NULL;
}

/* DataType._fields(): {name: DataType} of a struct, None of another type. */
static PyObject *dtype_fields(PyObject *self, PyObject *unused)
{
    const hp_dtype *type = (hp_dtype *)self;
    (void)unused;
    if (type->kind != HT_DTYPE_STRUCT) Py_RETURN_NONE;
    PyObject *fields = PyDict_New();
    for (Py_ssize_t i = 0; fields && i < PyTuple_Size(type->types); i++)
        if (PyDict_SetItem(fields, PyTuple_GetItem(type->names, i), PyTuple_GetItem(type->types, i)) < 0)
            Py_CLEAR(fields);
    return fields;
}

static PyObject *dtype_reduce(PyObject *self, PyObject *unused)
{
    const hp_dtype *type = (hp_dtype *)self;
    PyObject *cls = (PyObject *)hp.dtype_type, *of = NULL, *result = NULL;
    (void)unused;
    if (!type->types) {
        const struct kind_row *row = row_of(small_kind(type->kind));
        of = PyObject_GetAttrString(cls, "_of");
        result = of ? Py_BuildValue("(O(s))", of, row->maker) : NULL;
    } else if (type->kind == HT_DTYPE_STRUCT) {
        PyObject *fields = dtype_fields(self, NULL);
        of = fields ? PyObject_GetAttrString(cls, "struct") : NULL;
        result = of ? Py_BuildValue("(O(N))", of, fields) : NULL;
    } else if (type->kind == HT_DTYPE_FIXED_LIST) {
        of = PyObject_GetAttrString(cls, "fixed_size_list");
        result = of ? Py_BuildValue("(O(On))", of, hp_dtype_child(type, 0), type->list_len) : NULL;
    } else {
        of = PyObject_GetAttrString(cls, "list");
        result = of ? Py_BuildValue("(O(O))", of, hp_dtype_child(type, 0)) : NULL;
    }
    Py_XDECREF(of);
    return result;
}

#define MAKER(name, kind)                                         \
    static PyObject *make_##name(PyObject *cls, PyObject *unused) \
    {                                                             \
        (void)cls;                                                \
        (void)unused;                                             \
        return (PyObject *)hp_dtype_plain(kind);                  \
    }
MAKER(python, HT_DTYPE_OBJECT)
MAKER(null, HT_DTYPE_NULL)
MAKER(bool, HT_DTYPE_BOOL)
MAKER(int8, HT_DTYPE_INT8)
MAKER(uint8, HT_DTYPE_UINT8)
MAKER(int16, HT_DTYPE_INT16)
MAKER(uint16, HT_DTYPE_UINT16)
MAKER(int32, HT_DTYPE_INT32)
MAKER(uint32, HT_DTYPE_UINT32)
MAKER(int64, HT_DTYPE_INT64)
MAKER(uint64, HT_DTYPE_UINT64)
MAKER(float16, HT_DTYPE_FLOAT16)
MAKER(float32, HT_DTYPE_FLOAT32)
MAKER(float64, HT_DTYPE_FLOAT64)
MAKER(string, HT_DTYPE_STRING)
MAKER(binary, HT_DTYPE_BINARY)

#define PLAIN(name)                                                       \
    {                                                                     \
#name, make_##name, METH_NOARGS | METH_STATIC, #name "()\n--\n\n" \
    }
static PyMethodDef dtype_methods[] = {
    PLAIN(python),
    PLAIN(null),
    PLAIN(bool),
    PLAIN(int8),
    PLAIN(uint8),
    PLAIN(int16),
    PLAIN(uint16),
    PLAIN(int32),
    PLAIN(uint32),
    PLAIN(int64),
    PLAIN(uint64),
    PLAIN(float16),
    PLAIN(float32),
    PLAIN(float64),
    PLAIN(string),
    PLAIN(binary),
    {"list", make_list, METH_O | METH_STATIC, "list(dtype)\n--\n\nLists of any length."},
    {"fixed_size_list", make_fixed, METH_VARARGS | METH_STATIC,
     "fixed_size_list(dtype, size)\n--\n\nLists of one length."},
    {"struct", make_fields, METH_O | METH_STATIC, "struct(fields)\n--\n\nDicts of the same fields: {name: DataType}."},
    {"_of", dtype_of_name, METH_O | METH_STATIC, NULL},
    {"_fields", dtype_fields, METH_NOARGS, NULL},
    {"__reduce__", dtype_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyType_Slot dtype_slots[] = {
    {Py_tp_dealloc, HP_SLOT(dtype_dealloc)},
    {Py_tp_repr, HP_SLOT(dtype_repr)},
    {Py_tp_richcompare, HP_SLOT(dtype_compare)},
    {Py_tp_hash, HP_SLOT(dtype_hash)},
    {Py_tp_methods, dtype_methods},
    {Py_tp_doc,
     HP_DOC("What the rows of a column are: ``DataType.int64()``, ``DataType.list(DataType.float32())``, ...\n\n"
            "``DataType.python()`` is any objects, kept as they are.")},
    {0, NULL}};
static PyType_Spec dtype_spec = {"houndstooth._core.DataType", sizeof(hp_dtype), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, dtype_slots};

int hp_dtype_init(PyObject *module)
{
    hp.dtype_type = hp_add_type(module, &dtype_spec, NULL);
    return hp.dtype_type ? 0 : -1;
}
