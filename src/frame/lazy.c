/*
 * lazy.c - frames: each operation is a small immutable object that points to the one before.
 */
#include "frame_int.h"

ht_frame *ht_frame_retain(ht_frame *frame)
{
    (void)__atomic_add_fetch(&frame->n_refs, 1, __ATOMIC_RELAXED);
    return frame;
}

/* A chain of operations is released without recursion: it may be long. */
void ht_frame_release(ht_frame *frame)
{
    while (frame && __atomic_sub_fetch(&frame->n_refs, 1, __ATOMIC_ACQ_REL) == 0) {
        ht_frame *before = frame->before;
        for (size_t i = 0; i < frame->n_exprs; i++) ht_expr_free(frame->exprs[i]);
        hti_table_release(frame->table);
        hti_arena_deinit(&frame->arena);
        hti_free(frame);
        frame = before;
    }
}

static ht_frame *new_frame(hti_op op, ht_frame *before)
{
    ht_frame *frame = HTI_NEW(ht_frame);
    if (!frame) return NULL;
    frame->n_refs = 1;
    frame->op = op;
    frame->before = before ? ht_frame_retain(before) : NULL;
    hti_arena_init(&frame->arena);
    return frame;
}

static ht_status set_names(ht_frame *frame, const char *const *names, size_t n, ht_error *err)
{
    frame->names = HTI_ARENA_ARRAY(&frame->arena, const char *, n);
    if (!frame->names) return HTI_NO_MEMORY(err);
    for (frame->n_names = 0; frame->n_names < n; frame->n_names++) {
        frame->names[frame->n_names] = hti_arena_text(&frame->arena, hti_name_text(names[frame->n_names]));
        if (!frame->names[frame->n_names]) return HTI_NO_MEMORY(err);
    }
    return HT_OK;
}

static ht_status finish(ht_frame *frame, ht_status status, ht_frame **out)
{
    *out = status == HT_OK ? frame : NULL;
    if (status != HT_OK) ht_frame_release(frame);
    return status;
}

ht_status hti_frame_of_table(hti_table *table, ht_frame **out, ht_error *err)
{
    ht_frame *frame = new_frame(HTI_OP_TABLE, NULL);
    *out = NULL;
    if (!frame) {
        hti_table_release(table);
        return HTI_NO_MEMORY(err);
    }
    frame->table = table;
    return finish(frame, set_names(frame, table->names, table->n_columns, err), out);
}

/* ---- operations with expressions ---- */

/* Takes the expressions, also on failure. */
static ht_status new_with_exprs(hti_op op, ht_frame *before, ht_expr *const *exprs, size_t n, ht_frame **out,
                                ht_error *err)
{
    ht_frame *frame = new_frame(op, before);
    ht_expr **copy = frame ? HTI_ARENA_ARRAY(&frame->arena, ht_expr *, n) : NULL;
    *out = NULL;
    if (!copy) {
        for (size_t i = 0; i < n; i++) ht_expr_free(exprs[i]);
        ht_frame_release(frame);
        return HTI_NO_MEMORY(err);
    }
    for (size_t i = 0; i < n; i++) copy[i] = exprs[i];
    frame->exprs = copy;
    frame->n_exprs = n;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < n; i++)
        status = hti_expr_check(copy[i], before->names, before->n_names, 0, err);
    return finish(frame, status, out);
}

static ht_status check_twice(const char *const *names, size_t n, ht_error *err)
{
    for (size_t i = 1; i < n; i++)
        if (hti_find_name(names, i, names[i]) < i)
            return HT_FAIL(err, INVALID, "column '%s' stands twice; give one an alias", names[i]);
    return HT_OK;
}

static ht_status keep_set(ht_frame *frame, const char *const *names, ht_error *err)
{
    frame->set = HTI_ARENA_ARRAY(&frame->arena, const char *, frame->n_exprs);
    if (!frame->set) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < frame->n_exprs; i++) {
        frame->set[i] = hti_arena_text(&frame->arena, hti_name_text(names[i]));
        if (!frame->set[i]) return HTI_NO_MEMORY(err);
    }
    return check_twice(frame->set, frame->n_exprs, err);
}

ht_status ht_frame_with_columns(ht_frame *frame, const char *const *names, ht_expr *const *exprs, size_t n,
                                ht_frame **out, ht_error *err)
{
    ht_frame *made;
    HT_TRY(new_with_exprs(HTI_OP_COLUMNS, frame, exprs, n, &made, err));
    ht_status status = keep_set(made, names, err);
    const char **all = HTI_ARENA_ARRAY(&made->arena, const char *, frame->n_names + n);
    if (status == HT_OK && !all) status = HTI_NO_MEMORY(err);
    size_t n_all = frame->n_names;
    for (size_t i = 0; status == HT_OK && i < n_all; i++) all[i] = frame->names[i];
    for (size_t i = 0; status == HT_OK && i < n; i++)
        if (hti_find_name(frame->names, frame->n_names, names[i]) == frame->n_names) all[n_all++] = names[i];
    if (status == HT_OK) status = set_names(made, all, n_all, err);
    return finish(made, status, out);
}

ht_status ht_frame_with_column(ht_frame *frame, const char *name, ht_expr *expr, ht_frame **out, ht_error *err)
{
    return ht_frame_with_columns(frame, &name, &expr, 1, out, err);
}

ht_status ht_frame_select(ht_frame *frame, ht_expr *const *exprs, size_t n, ht_frame **out, ht_error *err)
{
    ht_frame *made;
    HT_TRY(new_with_exprs(HTI_OP_SELECT, frame, exprs, n, &made, err));
    const char **names = HTI_ARENA_ARRAY(&made->arena, const char *, n);
    ht_status status = names ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n; i++) names[i] = hti_expr_name(made->exprs[i]);
    if (status == HT_OK) status = keep_set(made, names, err);
    if (status == HT_OK) status = set_names(made, names, n, err);
    return finish(made, status, out);
}

ht_status ht_frame_where(ht_frame *frame, ht_expr *expr, ht_frame **out, ht_error *err)
{
    ht_frame *made;
    HT_TRY(new_with_exprs(HTI_OP_WHERE, frame, &expr, 1, &made, err));
    return finish(made, set_names(made, frame->names, frame->n_names, err), out);
}

/* ---- operations without ---- */

ht_status ht_frame_explode(ht_frame *frame, const char *column, ht_frame **out, ht_error *err)
{
    *out = NULL;
    if (hti_find_name(frame->names, frame->n_names, column) == frame->n_names)
        return hti_fail_choices(err, "no column", column, frame->names, frame->n_names);
    ht_frame *made = new_frame(HTI_OP_EXPLODE, frame);
    if (!made) return HTI_NO_MEMORY(err);
    ht_status status = set_names(made, frame->names, frame->n_names, err);
    made->set = HTI_ARENA_ARRAY(&made->arena, const char *, 1);
    if (status == HT_OK && !made->set) status = HTI_NO_MEMORY(err);
    if (status == HT_OK) made->set[0] = made->names[hti_find_name(frame->names, frame->n_names, column)];
    return finish(made, status, out);
}

ht_status ht_frame_limit(ht_frame *frame, size_t n, ht_frame **out, ht_error *err)
{
    ht_frame *made = new_frame(HTI_OP_LIMIT, frame);
    *out = NULL;
    if (!made) return HTI_NO_MEMORY(err);
    made->n_limit = n;
    return finish(made, set_names(made, frame->names, frame->n_names, err), out);
}

/* ---- looking ---- */

size_t ht_frame_n_columns(const ht_frame *frame) { return frame->n_names; }
const char *ht_frame_column_name(const ht_frame *frame, size_t at)
{
    return at < frame->n_names ? frame->names[at] : NULL;
}
size_t ht_frame_n_rows(const ht_frame *frame) { return frame->table ? frame->table->n_rows : SIZE_MAX; }
size_t ht_frame_n_chunks(const ht_frame *frame) { return frame->table ? frame->table->n_chunks : 0; }

static ht_status find_column(const ht_frame *frame, const char *name, size_t *at, ht_error *err)
{
    *at = hti_find_name(frame->names, frame->n_names, name);
    if (*at == frame->n_names) return hti_fail_choices(err, "no column", name, frame->names, frame->n_names);
    return frame->table ? HT_OK : HT_FAIL(err, INVALID, "the frame is not collected, so column '%s' has no rows", name);
}

ht_status ht_frame_column(const ht_frame *frame, const char *name, ht_series **out, ht_error *err)
{
    size_t at;
    *out = NULL;
    HT_TRY(find_column(frame, name, &at, err));
    return hti_table_column(frame->table, at, out, err);
}

ht_status ht_frame_chunk(const ht_frame *frame, size_t chunk, const char *name, ht_series **out, ht_error *err)
{
    size_t at;
    *out = NULL;
    HT_TRY(find_column(frame, name, &at, err));
    if (chunk >= frame->table->n_chunks)
        return HT_FAIL(err, INVALID, "chunk %zu of a frame of %zu", chunk, frame->table->n_chunks);
    *out = ht_series_retain(frame->table->parts[chunk * frame->table->n_columns + at]);
    return HT_OK;
}
