/*
 * show.c - frames for people: the first rows as a table, and what would run.
 */
#include "frame_int.h"

#include <stdio.h>

enum { CELL = 32, MOST_SHOWN = 1000 };

/* Columns that a text takes on a terminal, counted by code points; control characters become spaces. */
static size_t width_of(char *text)
{
    size_t width = 0;
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20) *at = ' ';
        width += ((unsigned char)*at & 0xC0) != 0x80;
    }
    return width;
}

/* Cuts a text to CELL columns, with an ellipsis. */
static void cut_cell(char *text)
{
    size_t width = 0;
    if (width_of(text) <= CELL) return;
    for (char *at = text; *at; at++) {
        width += ((unsigned char)*at & 0xC0) != 0x80;
        if (width < CELL) continue;
        memcpy(at, "\xE2\x80\xA6", 4); /* ... in one character; three bytes and the NUL fit: more text stood here */
        return;
    }
}

typedef struct cells {
    hti_arena arena;
    char **text; /* [(n_rows + 2) * n_columns]: names, types, rows */
    size_t n_rows, n_columns, *width;
} cells;

static ht_status put_cell(cells *c, size_t row, size_t column, const char *text, ht_error *err)
{
    char *copy = hti_arena_alloc(&c->arena, strlen(text) + 4);
    if (!copy) return HTI_NO_MEMORY(err);
    memcpy(copy, text, strlen(text) + 1);
    cut_cell(copy);
    const size_t width = width_of(copy);
    c->width[column] = HTI_MAX(c->width[column], width);
    c->text[row * c->n_columns + column] = copy;
    return HT_OK;
}

static ht_status fill_cells(cells *c, const hti_table *table, ht_error *err)
{
    c->n_rows = HTI_MIN(table->n_rows, MOST_SHOWN);
    c->n_columns = table->n_columns;
    c->text = HTI_ARENA_ARRAY(&c->arena, char *, (c->n_rows + 2) * c->n_columns);
    c->width = HTI_ARENA_ARRAY(&c->arena, size_t, c->n_columns);
    if (!c->text || !c->width) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < c->n_columns; i++) {
        char text[256];
        ht_series *series;
        c->width[i] = 1;
        HT_TRY(hti_table_column(table, i, &series, err));
        ht_series_describe_type(series, text, sizeof text);
        ht_status status = put_cell(c, 0, i, table->names[i], err);
        if (status == HT_OK) status = put_cell(c, 1, i, text, err);
        for (size_t row = 0; status == HT_OK && row < c->n_rows; row++) {
            ht_value value;
            status = ht_series_get(series, row, &value, err);
            if (status != HT_OK) break;
            const ht_text plain = ht_value_text(value);
            if (value.kind == HT_KIND_STRING)
                (void)snprintf(text, sizeof text, "%.*s", (int)HTI_MIN(plain.len, 200), plain.data);
            else
                ht_value_describe(value, text, sizeof text);
            ht_value_release(value);
            status = put_cell(c, row + 2, i, text, err);
        }
        ht_series_release(series);
        HT_TRY(status);
    }
    return HT_OK;
}

static ht_status write_cells(const cells *c, ht_writer *writer, ht_error *err)
{
    hti_buffer text;
    hti_buffer_init(&text);
    for (size_t row = 0; row < c->n_rows + 2; row++) {
        for (size_t i = 0; i < c->n_columns; i++) {
            char *cell = c->text[row * c->n_columns + i];
            hti_buffer_printf(&text, "%s%s", i ? "  " : "", cell);
            if (i + 1 < c->n_columns) hti_buffer_printf(&text, "%*s", (int)(c->width[i] - width_of(cell)), "");
        }
        hti_buffer_text(&text, "\n");
        for (size_t i = 0; row == 1 && i < c->n_columns; i++) {
            for (size_t k = 0; k < c->width[i]; k++) hti_buffer_text(&text, "-");
            hti_buffer_text(&text, i + 1 < c->n_columns ? "  " : "\n");
        }
    }
    ht_status status = hti_buffer_status(&text, err);
    if (status == HT_OK) status = ht_writer_add(writer, hti_buffer_view(&text).data, text.len, err);
    hti_buffer_deinit(&text);
    return status;
}

ht_status ht_frame_show(ht_frame *frame, size_t n, const ht_run_options *options, ht_writer *writer, ht_error *err)
{
    hti_table *table;
    cells c = {0};
    HT_TRY(hti_frame_rows(frame, HTI_MIN(n, MOST_SHOWN), options, &table, err));
    hti_arena_init(&c.arena);
    ht_status status = fill_cells(&c, table, err);
    if (status == HT_OK) status = write_cells(&c, writer, err);
    hti_arena_deinit(&c.arena);
    hti_table_release(table);
    return status;
}

/* ---- explain ---- */

static ht_status explain_ops(const ht_frame *frame, ht_writer *writer, ht_error *err);

static ht_status explain_base(const ht_frame *base, hti_table **like, ht_writer *writer, ht_error *err)
{
    char line[120];
    int len;
    if (base->op == HTI_OP_TABLE) {
        len = snprintf(line, sizeof line, "table of %zu rows in %zu chunks, %zu columns\n", base->table->n_rows,
                       base->table->n_chunks, base->table->n_columns);
    } else {
        HT_TRY(explain_ops(base->before, writer, err));
        len = snprintf(line, sizeof line, "the first %zu rows\n", base->n_limit);
    }
    HT_TRY(hti_table_new(base->names, base->n_names, 0, like, err));
    return ht_writer_add(writer, line, (size_t)len, err);
}

static ht_status explain_plan(const hti_compiled *compiled, ht_writer *writer, ht_error *err)
{
    ht_plan *plan;
    static const char none[] = "nothing to compute\n";
    if (compiled->n_steps == 0) return ht_writer_add(writer, none, sizeof none - 1, err);
    const char **asked = HTI_NEW_ARRAY(const char *, compiled->n_outputs);
    size_t n = 0;
    if (!asked) return HTI_NO_MEMORY(err);
    for (size_t o = 0; o < compiled->n_outputs; o++)
        if (compiled->output_of[o] == UINT32_MAX && hti_find_name(asked, n, compiled->outputs[o]) == n)
            asked[n++] = compiled->outputs[o];
    ht_status status = ht_plan_new(compiled->pipeline, asked, n, compiled->inputs, compiled->n_inputs, &plan, err);
    hti_free(asked);
    if (status != HT_OK) return status;
    status = ht_plan_print(plan, HT_PLAN_TEXT, writer, err);
    ht_plan_release(plan);
    return status;
}

static ht_status explain_ops(const ht_frame *frame, ht_writer *writer, ht_error *err)
{
    const ht_frame **ops, *base;
    size_t n_ops;
    hti_arena arena;
    hti_table *like = NULL;
    hti_compiled compiled;
    hti_arena_init(&arena);
    ht_status status = hti_frame_ops(frame, &arena, &ops, &n_ops, &base, err);
    if (status == HT_OK) status = explain_base(base, &like, writer, err);
    if (status == HT_OK) status = hti_compile(like, ops, n_ops, &compiled, err);
    if (status == HT_OK) {
        status = explain_plan(&compiled, writer, err);
        hti_compiled_deinit(&compiled);
    }
    hti_table_release(like);
    hti_arena_deinit(&arena);
    return status;
}

ht_status ht_frame_explain(ht_frame *frame, ht_writer *writer, ht_error *err)
{
    return explain_ops(frame, writer, err);
}
