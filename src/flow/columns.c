/*
 * columns.c - methods called over whole columns: by their batch names, alone, awaited, or as nodes.
 *
 * An argument that differs from row to row arrives as a list, a series or a tensor of one dimension. It is cut into
 * pieces of at most batch_size rows; a series form gets slices of it without a copy, every other form gets rows.
 */
#include "series_int.h"
#include "flow_int.h"

/* One call over columns. */
typedef struct whole {
    const hti_target *target;
    const ht_column *in; /* each with one value: the argument */
    uint64_t over;
    size_t n;          /* rows */
    bool gives_series; /* some argument is a series or tensor */
} whole;

ht_status hti_series_of(ht_value value, ht_dtype dtype, ht_series **out, ht_error *err)
{
    static const ht_dtype dtypes[] = {
        [HT_F32] = HT_DTYPE_FLOAT32, [HT_F64] = HT_DTYPE_FLOAT64, [HT_I8] = HT_DTYPE_INT8,
        [HT_U8] = HT_DTYPE_UINT8,    [HT_I32] = HT_DTYPE_INT32,   [HT_I64] = HT_DTYPE_INT64};
    size_t n;
    ht_series *series = ht_value_series(value);
    const ht_tensor *tensor = ht_value_tensor_view(value);
    const ht_value *items = ht_value_items(value, &n);
    void *data;
    *out = NULL;
    if (series) {
        *out = ht_series_retain(series);
        return HT_OK;
    }
    if (value.kind == HT_KIND_LIST) return ht_series_from_values(dtype, items, n, out, err);
    if (!tensor || tensor->n_dims != 1)
        return HT_FAIL(err, INVALID, "a list, series or tensor of one dimension is wanted, not a %s",
                       ht_kind_name(value.kind));
    HT_TRY(ht_series_new(dtypes[tensor->element], tensor->n, &data, out, err));
    if (tensor->n) memcpy(data, tensor->data, tensor->n * ht_element_size(tensor->element));
    return HT_OK;
}

static ht_status length_of(const whole *w, size_t i, size_t *n, ht_error *err)
{
    const ht_value value = w->in[i].rows[0];
    const ht_tensor *tensor = ht_value_tensor_view(value);
    const ht_series *series = ht_value_series(value);
    if (series)
        *n = ht_series_len(series);
    else if (tensor && tensor->n_dims == 1)
        *n = tensor->n;
    else if (value.kind == HT_KIND_LIST)
        (void)ht_value_items(value, n);
    else
        return HT_FAIL(err, INVALID,
                       "argument %zu of '%s' over columns is a %s; a list, series or tensor of one "
                       "dimension is wanted",
                       i + 1, w->target->name, ht_kind_name(value.kind));
    return HT_OK;
}

static ht_status measure(whole *w, ht_error *err)
{
    bool first = true;
    for (size_t i = 0; i < w->target->n_inputs; i++) {
        size_t n;
        if (!(w->over >> i & 1)) continue;
        HT_TRY(length_of(w, i, &n, err));
        if (!first && n != w->n)
            return HT_FAIL(err, INVALID, "columns of '%s' differ in length: %zu and %zu rows", w->target->name, w->n,
                           n);
        first = false;
        w->n = n;
        w->gives_series |= w->in[i].rows[0].kind != HT_KIND_LIST;
    }
    return first ? HT_FAIL(err, INVALID, "'%s' has no argument that differs from row to row", w->target->name) : HT_OK;
}

static size_t piece_of(const whole *w)
{
    const size_t size = w->target->forms->batch_size;
    return size ? size : HTI_MAX(w->n, 1);
}

/* ---- by the series form ---- */

static ht_status call_piece(const whole *w, ht_series *const *columns, size_t at, size_t n, ht_series **out,
                            ht_error *err)
{
    ht_series_column in[HTI_MAX_INPUTS];
    ht_status status = HT_OK;
    size_t made = 0;
    for (; status == HT_OK && made < w->target->n_inputs; made += status == HT_OK) {
        in[made] = (ht_series_column){NULL, w->in[made].rows[0]};
        if (columns[made]) status = ht_series_slice(columns[made], at, n, &in[made].series, err);
    }
    if (status == HT_OK) status = hti_target_call_series(w->target, n, in, out, err);
    for (size_t i = 0; i < made; i++) ht_series_release(in[i].series);
    return status;
}

static ht_status call_pieces(const whole *w, ht_series *const *columns, ht_series **out, ht_error *err)
{
    const size_t piece = piece_of(w), n_parts = (w->n + piece - 1) / piece;
    ht_series **parts = hti_alloc_zero(hti_mul(n_parts, sizeof(ht_series *)));
    ht_status status = parts ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n_parts; i++)
        status = call_piece(w, columns, i * piece, HTI_MIN(piece, w->n - i * piece), &parts[i], err);
    if (status == HT_OK) status = ht_series_concat(parts, n_parts, out, err);
    for (size_t i = 0; parts && i < n_parts; i++) ht_series_release(parts[i]);
    hti_free(parts);
    return status;
}

ht_status hti_series_list(const ht_series *series, ht_value *out, ht_error *err)
{
    const size_t n = ht_series_len(series);
    ht_value *rows = HTI_NEW_ARRAY(ht_value, n);
    if (!rows) return HTI_NO_MEMORY(err);
    ht_status status = ht_series_values(series, rows, err);
    if (status == HT_OK) status = ht_value_list_take(rows, n, out, err);
    hti_free(rows);
    return status;
}

static ht_status call_by_series(const whole *w, ht_value *out, ht_error *err)
{
    ht_series *columns[HTI_MAX_INPUTS] = {NULL}, *made = NULL;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < w->target->n_inputs; i++)
        if (w->over >> i & 1) status = hti_series_of(w->in[i].rows[0], HT_DTYPE_INFER, &columns[i], err);
    if (status == HT_OK) status = call_pieces(w, columns, &made, err);
    if (status == HT_OK) status = w->gives_series ? ht_series_value(made, out, err) : hti_series_list(made, out, err);
    ht_series_release(made);
    for (size_t i = 0; i < w->target->n_inputs; i++) ht_series_release(columns[i]);
    return status;
}

/* ---- by every other form ---- */

static ht_status call_rows(const whole *w, const ht_value *const *rows, ht_value *out, ht_error *err)
{
    hti_target target = *w->target;
    ht_column in[HTI_MAX_INPUTS];
    target.whole = false;
    const bool alone = !hti_gathers(target.forms) && target.forms->row;
    const size_t piece = alone ? 1 : piece_of(w);
    for (size_t at = 0; at < w->n; at += piece) {
        ht_value *to = out + at;
        for (size_t i = 0; i < target.n_inputs; i++)
            in[i] = rows[i] ? (ht_column){rows[i] + at, false} : (ht_column){w->in[i].rows, true};
        const ht_status status = hti_target_call(&target, HTI_MIN(piece, w->n - at), in, &to, err);
        if (status == HT_OK) continue;
        hti_values_release(out, at);
        return status;
    }
    return HT_OK;
}

/* Takes the rows, also on failure. */
static ht_status finish_rows(const whole *w, ht_value *rows, ht_value *out, ht_error *err)
{
    ht_series *series;
    if (!w->gives_series) return ht_value_list_take(rows, w->n, out, err);
    ht_status status = ht_series_from_values(w->target->forms->returns, rows, w->n, &series, err);
    hti_values_release(rows, w->n);
    if (status != HT_OK) return status;
    status = ht_series_value(series, out, err);
    ht_series_release(series);
    return status;
}

static ht_status call_by_rows(const whole *w, ht_value *out, ht_error *err)
{
    ht_value lists[HTI_MAX_INPUTS];
    const ht_value *rows[HTI_MAX_INPUTS] = {NULL};
    ht_status status = HT_OK;
    size_t made = 0, n;
    for (; status == HT_OK && made < w->target->n_inputs; made += status == HT_OK) {
        ht_series *series;
        lists[made] = ht_value_null();
        rows[made] = NULL;
        if (!(w->over >> made & 1)) continue;
        if (w->in[made].rows[0].kind == HT_KIND_LIST) {
            lists[made] = ht_value_retain(w->in[made].rows[0]);
        } else {
            status = hti_series_of(w->in[made].rows[0], HT_DTYPE_INFER, &series, err);
            if (status == HT_OK) status = hti_series_list(series, &lists[made], err);
            ht_series_release(series);
        }
        rows[made] = ht_value_items(lists[made], &n);
    }
    ht_value *results = status == HT_OK ? HTI_NEW_ARRAY(ht_value, w->n) : NULL;
    if (status == HT_OK && !results) status = HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < w->n; i++) results[i] = ht_value_null();
    if (status == HT_OK) status = call_rows(w, rows, results, err);
    if (status == HT_OK) status = finish_rows(w, results, out, err);
    hti_free(results);
    hti_values_release(lists, made);
    return status;
}

ht_status hti_target_call_whole(const hti_target *target, const ht_column *in, ht_value *out, ht_error *err)
{
    whole w = {.target = target, .in = in, .over = hti_over(target->forms)};
    *out = ht_value_null();
    HT_TRY(measure(&w, err));
    return target->forms->series ? call_by_series(&w, out, err) : call_by_rows(&w, out, err);
}
