/*
 * steps.c - the nodes that frames are made of beside the program's own, each over a chunk's columns.
 *
 * They have no state and are registered by name, so a frame's plan can travel.
 */
#include "frame_int.h"

static ht_status take_series(ht_series *series, ht_value *out, ht_error *err)
{
    const ht_status status = ht_series_value(series, out, err);
    ht_series_release(series);
    return status;
}

static ht_status as_column(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *series;
    (void)self;
    HT_TRY(hti_series_of(in[0], (ht_dtype)in[1].as.integer, &series, err));
    return take_series(series, out, err);
}

static ht_status same(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self, (void)err;
    out[0] = ht_value_retain(in[0]);
    return HT_OK;
}

static ht_status fill(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *one, *like, *all = NULL;
    (void)self;
    HT_TRY(hti_series_of(in[1], HT_DTYPE_INFER, &like, err));
    const size_t n = ht_series_len(like);
    ht_series_release(like);
    HT_TRY(ht_series_from_values(HT_DTYPE_INFER, in, 1, &one, err));
    size_t *zeros = hti_alloc_zero(hti_mul(n, sizeof *zeros));
    const ht_status status = zeros ? ht_series_take(one, zeros, n, &all, err) : HTI_NO_MEMORY(err);
    hti_free(zeros);
    ht_series_release(one);
    return status == HT_OK ? take_series(all, out, err) : status;
}

/* ---- rows that go and rows that multiply ---- */

/* Picks of a column; `rows` is freed. */
static ht_status pick(ht_value column, size_t *rows, size_t n, ht_value *out, ht_error *err)
{
    ht_series *from = NULL, *to = NULL;
    ht_status status = hti_series_of(column, HT_DTYPE_INFER, &from, err);
    if (status == HT_OK) status = ht_series_take(from, rows, n, &to, err);
    hti_free(rows);
    ht_series_release(from);
    return status == HT_OK ? take_series(to, out, err) : status;
}

static ht_status keep(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *mask;
    (void)self;
    HT_TRY(hti_series_of(in[0], HT_DTYPE_INFER, &mask, err));
    const size_t len = ht_series_len(mask);
    const ht_dtype dtype = ht_series_dtype(mask);
    size_t n = 0, *rows = HTI_NEW_ARRAY(size_t, len);
    ht_status status = rows ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK && dtype != HT_DTYPE_BOOL && dtype != HT_DTYPE_NULL)
        status = HT_FAIL(err, INVALID, "rows are kept by a bool, not by a column of type %s", ht_dtype_name(dtype));
    for (size_t i = 0; status == HT_OK && i < len; i++) {
        ht_value value;
        status = ht_series_get(mask, i, &value, err);
        if (status == HT_OK && value.kind == HT_KIND_BOOL && value.as.boolean) rows[n++] = i;
    }
    ht_series_release(mask);
    if (status == HT_OK) return pick(in[1], rows, n, out, err);
    hti_free(rows);
    return status;
}

/* An object that tells its rows as the list of them. */
static ht_status list_of_object(ht_value *value, ht_error *err)
{
    const ht_type *type = ht_value_type(*value);
    ht_value list = ht_value_null();
    if (!type || !type->rows) return HT_OK;
    const ht_status status = type->rows(ht_value_object(*value, type), &list, err);
    ht_value_release(*value);
    *value = status == HT_OK ? list : ht_value_null();
    return status;
}

/* Items of row i of a column of lists; a null or empty one counts as one item, null. */
static ht_status items_of(const ht_series *lists, size_t i, ht_value *list, size_t *n, ht_error *err)
{
    HT_TRY(ht_series_get(lists, i, list, err));
    HT_TRY(list_of_object(list, err));
    const ht_tensor *tensor = ht_value_tensor_view(*list);
    if (tensor)
        *n = tensor->n;
    else
        (void)ht_value_items(*list, n);
    const bool fits = tensor || list->kind == HT_KIND_LIST || list->kind == HT_KIND_NULL;
    if (!fits) {
        ht_value_release(*list);
        return HT_FAIL(err, INVALID, "row %zu is no list that could be exploded, but a %s", i,
                       ht_kind_name(list->kind));
    }
    return HT_OK;
}

static ht_status repeat(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *lists;
    size_t *rows = NULL, cap = 0, n_rows = 0;
    (void)self;
    HT_TRY(hti_series_of(in[0], HT_DTYPE_INFER, &lists, err));
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < ht_series_len(lists); i++) {
        ht_value list;
        size_t n;
        status = items_of(lists, i, &list, &n, err);
        if (status != HT_OK) break;
        ht_value_release(list);
        n = HTI_MAX(n, 1);
        status = hti_reserve(&rows, &cap, n_rows + n, sizeof *rows, err);
        for (size_t k = 0; status == HT_OK && k < n; k++) rows[n_rows++] = i;
    }
    ht_series_release(lists);
    if (status == HT_OK) return pick(in[1], rows, n_rows, out, err);
    hti_free(rows);
    return status;
}

typedef struct growing_rows {
    ht_value *at; /* [n] owned */
    size_t n, cap;
} growing_rows;

static ht_status add_items(growing_rows *rows, ht_value list, ht_error *err)
{
    size_t n;
    ht_series *series = NULL;
    const ht_value *items = ht_value_items(list, &n);
    if (ht_value_tensor_view(list)) {
        HT_TRY(hti_series_of(list, HT_DTYPE_INFER, &series, err));
        n = ht_series_len(series);
    }
    ht_status status = hti_reserve(&rows->at, &rows->cap, rows->n + HTI_MAX(n, 1), sizeof *rows->at, err);
    if (status == HT_OK && n == 0) rows->at[rows->n++] = ht_value_null();
    for (size_t k = 0; status == HT_OK && k < n; k++) {
        if (series)
            status = ht_series_get(series, k, &rows->at[rows->n], err);
        else
            rows->at[rows->n] = ht_value_retain(items[k]);
        if (status == HT_OK) rows->n++;
    }
    ht_series_release(series);
    return status;
}

static ht_status flatten(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_series *lists, *made;
    growing_rows rows = {0};
    (void)self;
    HT_TRY(hti_series_of(in[0], HT_DTYPE_INFER, &lists, err));
    /* What was in objects stays the values it is. */
    const ht_dtype as = ht_series_dtype(lists) == HT_DTYPE_OBJECT ? HT_DTYPE_OBJECT : HT_DTYPE_INFER;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < ht_series_len(lists); i++) {
        ht_value list;
        size_t n;
        status = items_of(lists, i, &list, &n, err);
        if (status != HT_OK) break;
        status = add_items(&rows, list, err);
        ht_value_release(list);
    }
    ht_series_release(lists);
    if (status == HT_OK) status = ht_series_from_values(as, rows.at, rows.n, &made, err);
    for (size_t i = 0; i < rows.n; i++) ht_value_release(rows.at[i]);
    hti_free(rows.at);
    return status == HT_OK ? take_series(made, out, err) : status;
}

/* ---- as nodes ---- */

#define STEP(at, type_name, function, a, n)                                                                      \
    [at] = {HT_DESC(ht_node_desc), .name = type_name,          .inputs = a,   .n_inputs = n, .outputs = outputs, \
            .n_outputs = 1,        .forms = {.row = function}, .version = "1"}

const ht_node_desc *hti_frame_step(hti_step_type type)
{
    static const ht_input rows[] = {{"rows", NULL}, {"dtype", NULL}}, mask[] = {{"mask", NULL}, {"column", NULL}},
                          lists[] = {{"lists", NULL}, {"column", NULL}}, like[] = {{"value", NULL}, {"like", NULL}};
    static const char *const outputs[] = {"out"};
    static const ht_node_desc steps[HTI_N_STEPS] = {
        STEP(HTI_STEP_COLUMN, "houndstooth.frame.column", as_column, rows, 2),
        STEP(HTI_STEP_KEEP, "houndstooth.frame.keep", keep, mask, 2),
        STEP(HTI_STEP_FLATTEN, "houndstooth.frame.flatten", flatten, lists, 1),
        STEP(HTI_STEP_REPEAT, "houndstooth.frame.repeat", repeat, lists, 2),
        STEP(HTI_STEP_FILL, "houndstooth.frame.fill", fill, like, 2),
        STEP(HTI_STEP_SAME, "houndstooth.frame.same", same, rows, 1),
    };
    return &steps[type];
}

ht_status ht_frame_register(ht_registry *registry, ht_error *err)
{
    for (int type = 0; type < HTI_N_STEPS; type++)
        HT_TRY(ht_registry_add_node(registry, hti_frame_step((hti_step_type)type), err));
    return HT_OK;
}
