/*
 * frame_int.h - the inside of frames: tables, expressions, and the list of operations that a frame is.
 */
#ifndef HTI_FRAME_FRAME_INT_H
#define HTI_FRAME_FRAME_INT_H

#include "base/base.h"
#include "codec/codec.h"
#include "flow/flow.h"

#include <houndstooth/frame.h>
#include <houndstooth/registry.h>

#include <string.h>

static inline ht_text hti_name_text(const char *name) { return (ht_text){name, strlen(name)}; }

/* ---- tables: columns that are there ---- */

typedef struct hti_table {
    int n_refs;
    hti_arena arena;
    const char **names; /* [n_columns] */
    size_t n_columns, n_chunks, n_rows;
    ht_series **parts; /* [n_chunks][n_columns] owned */
    size_t *lens;      /* [n_chunks] rows */
} hti_table;
/* Room for names and parts, which are NULL; the names are copied. */
HT_CHECKED ht_status hti_table_new(const char *const *names, size_t n_columns, size_t n_chunks, hti_table **out,
                                   ht_error *err);
hti_table *hti_table_retain(hti_table *table);
void hti_table_release(hti_table *table); /* NULL allowed */
/* The first n rows, shared. */
HT_CHECKED ht_status hti_table_head(hti_table *table, size_t n, hti_table **out, ht_error *err);
HT_CHECKED ht_status hti_table_column(const hti_table *table, size_t column, ht_series **out, ht_error *err);
/* Place of a name; n if there is none. */
size_t hti_find_name(const char *const *names, size_t n, const char *name);

/* ---- expressions ---- */

typedef enum hti_expr_kind { HTI_EXPR_COL, HTI_EXPR_LIT, HTI_EXPR_CALL, HTI_EXPR_APPLY } hti_expr_kind;
struct ht_expr {
    hti_expr_kind kind;
    char *name;  /* of a column; of a call its method's */
    char *alias; /* NULL: none */
    ht_value value;
    const ht_node_desc *desc;
    ht_expr **args; /* [n_args] owned */
    size_t n_args;
    bool is_whole; /* of a node: over whole columns */
    bool lost;     /* memory was out in its making */
};
/* Everything it names is there, and can be called so; depth is bounded here. */
HT_CHECKED ht_status hti_expr_check(const ht_expr *expr, const char *const *names, size_t n, int depth, ht_error *err);
/* What a column of it is called where nobody says. */
const char *hti_expr_name(const ht_expr *expr);

/* ---- frames ---- */

typedef enum hti_op {
    HTI_OP_TABLE,
    HTI_OP_COLUMNS, /* added or replaced */
    HTI_OP_SELECT,
    HTI_OP_WHERE,
    HTI_OP_EXPLODE,
    HTI_OP_LIMIT,
} hti_op;

struct ht_frame {
    int n_refs;
    hti_op op;
    hti_arena arena;
    const char **names; /* [n_names] columns behind this operation */
    size_t n_names;
    ht_frame *before;        /* owned, NULL of a table */
    hti_table *table;        /* owned, NULL of everything else */
    const char **set;        /* [n_exprs] names of COLUMNS and SELECT; EXPLODE: one */
    ht_expr **exprs;         /* [n_exprs] owned */
    size_t n_exprs, n_limit; /* rows of a LIMIT */
};
/* A frame around a table, which is taken, also on failure. */
HT_CHECKED ht_status hti_frame_of_table(hti_table *table, ht_frame **out, ht_error *err);

/* ---- compile.c: the operations behind a table as a pipeline over one chunk of it ---- */

typedef struct hti_compiled {
    ht_pipeline *pipeline;
    hti_arena arena;
    const char **inputs; /* [n_inputs] columns of the table that some node reads */
    size_t n_inputs;
    uint32_t *input_of;   /* [n_inputs] the table's column */
    const char **outputs; /* [n_outputs] the value of each column of the frame */
    uint32_t *output_of;  /* [n_outputs] the table's column that it is, unchanged; UINT32_MAX: computed */
    size_t n_outputs;
    bool keeps_rows; /* row i comes from row i */
    size_t n_steps;
} hti_compiled;
/* ops [n_ops] in order, none a table or limit. */
HT_CHECKED ht_status hti_compile(const hti_table *table, const ht_frame *const *ops, size_t n_ops, hti_compiled *out,
                                 ht_error *err);
void hti_compiled_deinit(hti_compiled *compiled);

/* steps.c: nodes that every frame may need */
typedef enum hti_step_type {
    HTI_STEP_COLUMN,  /* rows, dtype -> series */
    HTI_STEP_KEEP,    /* mask, column -> column */
    HTI_STEP_FLATTEN, /* lists -> their items */
    HTI_STEP_REPEAT,  /* lists, column -> column */
    HTI_STEP_FILL,    /* value, like -> column */
    HTI_STEP_SAME,    /* column -> column */
    HTI_N_STEPS,
} hti_step_type;
const ht_node_desc *hti_frame_step(hti_step_type type);

/* collect.c: at most `want` rows of a frame, in chunks. */
HT_CHECKED ht_status hti_frame_rows(const ht_frame *frame, size_t want, const ht_run_options *options, hti_table **out,
                                    ht_error *err);
/* The operations behind the nearest table or limit, in order, in the arena; the base is that table or limit. */
HT_CHECKED ht_status hti_frame_ops(const ht_frame *frame, hti_arena *arena, const ht_frame ***ops, size_t *n_ops,
                                   const ht_frame **base, ht_error *err);

#endif
