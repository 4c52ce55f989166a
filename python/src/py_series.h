/*
 * py_series.h - what the files about columns share: types, building from objects, reading into objects, Series.
 *
 * Arrow's structs are made and read here by the public ABI alone; a Series wraps an ht_series, which is made of them.
 */
#ifndef HP_SERIES_H
#define HP_SERIES_H

#include "py_core.h"

/* ---- py_dtype.c ---- */

/* DataType. Large variants of text, binary and lists are the same type to Python: they differ in their offsets only. */
typedef struct hp_dtype {
    PyObject_HEAD ht_dtype kind;
    Py_ssize_t list_len;     /* of FIXED_LIST */
    PyObject *names, *types; /* tuples of the children; NULL without any */
} hp_dtype;
/* A type without children, new reference. */
hp_dtype *hp_dtype_plain(ht_dtype kind);
/* A type of a list (list_len counts for FIXED_LIST), new reference. */
hp_dtype *hp_dtype_list(ht_dtype kind, PyObject *item, Py_ssize_t list_len);
/* What a schema says, new reference; NULL with TypeError for types that there is none of. */
hp_dtype *hp_dtype_of_schema(const struct ArrowSchema *schema);
/* A series' type, new reference. */
hp_dtype *hp_dtype_of(ht_series *series);
bool hp_dtype_equal(const hp_dtype *a, const hp_dtype *b);
/* Bytes of a row of numbers; 0 of every other type. */
size_t hp_dtype_width(ht_dtype kind);
/* Type by the letters of Arrow's C format; INFER for those that there is none of. */
ht_dtype hp_kind_of_format(const char *format, int64_t *list_len);
/* A child's type, borrowed. */
static inline hp_dtype *hp_dtype_child(const hp_dtype *type, Py_ssize_t at)
{
    return (hp_dtype *)PyTuple_GetItem(type->types, at);
}
/* A new Arrow schema; -1 with an exception. */
int hp_schema_make(const hp_dtype *type, const char *name, struct ArrowSchema *out);
/*
 * A new Arrow array around blocks of malloc, which it owns, or memory that release(ud) gives back; children are zero,
 * for the caller to fill. NULL among blocks: no such buffer. -1 with MemoryError: nothing is taken.
 */
typedef struct hp_buffers {
    int64_t length, n_nulls, n_children;
    int n_blocks;
    void *blocks[3];
    void (*release)(void *ud); /* NULL: the blocks are malloc's */
    void *ud;
} hp_buffers;
int hp_array_make(const hp_buffers *from, struct ArrowArray *out);
int hp_dtype_init(PyObject *module);

/* ---- py_build.c ---- */

/*
 * A series of a list's objects. type NULL: the one that they are all of (bool, int of 64 bits, float, str, bytes, None
 * among them), else OBJECT. A given type: TypeError, ValueError or OverflowError name the row that does not fit.
 */
ht_series *hp_build(PyObject *list, const hp_dtype *type);
/* Objects as they are. */
ht_series *hp_build_objects(PyObject *list);
/* Series of n rows as a runtime has them: typed where all are of one inline kind, else shared. */
ht_series *hp_build_values(const ht_value *rows, size_t n);

/* ---- py_read.c ---- */

/* A row as a Python object, new reference; row counts from the array's offset. */
PyObject *hp_read_row(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row);
/* All rows as a list. */
PyObject *hp_read_list(const struct ArrowSchema *schema, const struct ArrowArray *array);

/* ---- py_series.c ---- */

typedef struct hp_series {
    PyObject_HEAD ht_series *series;
    PyObject *name;            /* str or None */
    struct ArrowSchema schema; /* from the first look on, with array; release NULL before, and of objects */
    struct ArrowArray array;
} hp_series;
/* A Series around a series, which it takes, also on failure; NULL with an exception, also where series is NULL. */
PyObject *hp_series_new(ht_series *series, PyObject *name);
/* The series in a Series, borrowed; NULL without an exception where it is none. */
ht_series *hp_series_of(PyObject *object);
/* Its Arrow structs are there; 0 of objects, -1 with an exception. */
int hp_series_look(hp_series *self);
/* All rows as a list. */
PyObject *hp_series_list(ht_series *series);
/* A list, tuple, array, Series, or anything that Arrow or numpy know, as a series; type NULL: as it is. */
ht_series *hp_series_from(PyObject *data, const hp_dtype *type);
/* The same rows of another type; a series of that type already is shared. */
ht_series *hp_series_cast(ht_series *series, const hp_dtype *type);

/* ---- py_steps.c: what frames of Python do with whole columns ---- */

typedef enum hp_step { HP_STEP_CUT, HP_STEP_JOIN, HP_STEP_FINISH, HP_STEP_OPERATE, HP_N_STEPS } hp_step;
const ht_node_desc *hp_step_desc(hp_step step);
enum { HP_BROADCAST = 1, HP_NULL_PIECES = 2 }; /* flags of JOIN: one result may stand for all rows; null for a piece */
/* Operators: Py_LT to Py_GE, then these. None in gives None. */
enum { HP_ADD = 6, HP_XOR = 15, HP_NEGATE, HP_INVERT, HP_IS_NULL, HP_NOT_NULL, HP_ITEM };
/* Makes the steps known by name; -1 with an exception. */
int hp_steps_init(void);

/* ---- py_expr.c ---- */

/* An expression out of its description, for one frame; NULL with an exception. */
ht_expr *hp_expr_of(PyObject *described);

/* ---- py_series_share.c: Arrow, numpy, the buffer protocol ---- */

/* By __arrow_c_array__ or __arrow_c_stream__; NULL without an exception where it has neither. */
ht_series *hp_share_arrow(PyObject *object);
/* By the buffer protocol, numbers of one or two dimensions; NULL without an exception where that does not fit. */
ht_series *hp_share_buffer(PyObject *object);
PyObject *hp_share_capsules(PyObject *self, PyObject *args);
PyObject *hp_share_schema(PyObject *self, PyObject *unused);
PyObject *hp_share_numpy(PyObject *self, PyObject *unused);
PyObject *hp_share_array(PyObject *self, PyObject *args, PyObject *kwargs);
PyObject *hp_share_pyarrow(PyObject *self, PyObject *unused);
int hp_share_view(PyObject *self, Py_buffer *view, int flags);
void hp_share_release(PyObject *self, Py_buffer *view);
/* The stream in a capsule of __arrow_c_stream__, borrowed; capsule is the caller's. NULL with an exception. */
struct ArrowArrayStream *hp_share_stream(PyObject *object, PyObject **capsule);
/* Gives a capsule back; a pending exception stays. */
void hp_share_drop(PyObject *capsule);

#endif
