/*
 * houndstooth/frame.h - frames: named columns and lazy expressions over them, run by the pipeline scheduler.
 *
 * A frame is a table and what is to be done with it; nothing runs before ht_frame_collect or ht_frame_show. A method of
 * a class is called over a column by its series form, slice by slice without a copy, or row by row as a mapped node
 * would: gathered to batches, asynchronous ones together, with its retries and policies. Columns that nobody asks for
 * are not computed. Frames are immutable and counted. Not a query engine: no joins, groups or files.
 */
#ifndef HOUNDSTOOTH_FRAME_H
#define HOUNDSTOOTH_FRAME_H

#include "flow.h"
#include "series.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- expressions ---- */

/*
 * What a column is computed from. Makers return NULL where memory is out; whatever takes an expression takes NULL too,
 * so that they nest, and the frame tells NO_MEMORY. Each is used once: it is taken by what it is given to, also on
 * failure.
 */
typedef struct ht_expr ht_expr;
HT_API ht_expr *ht_expr_col(const char *name);
/* The same value in every row; as an argument of a call it stays one value. */
HT_API ht_expr *ht_expr_lit(ht_value value);
/* A method over its arguments, by its name or batch name, which mean the same here. args [n_args] */
HT_API ht_expr *ht_expr_call(ht_instance *instance, const char *method, ht_expr *const *args, size_t n_args);
/* A node with one output; what it describes must outlive the frame. args [n_args] */
HT_API ht_expr *ht_expr_apply(const ht_node_desc *desc, ht_expr *const *args, size_t n_args);
/*
 * A node with a row form and one output, called once over whole columns: it gets a series where an argument is a
 * column, else the one value, and gives a series of as many rows, or any value that only another of these takes, or
 * that a call is mapped over. args [n_args]
 */
HT_API ht_expr *ht_expr_whole(const ht_node_desc *desc, ht_expr *const *args, size_t n_args);
/* Under another name, for ht_frame_select. */
HT_API ht_expr *ht_expr_alias(ht_expr *expr, const char *name);
HT_API void ht_expr_free(ht_expr *expr); /* only of one that was given to nobody; NULL allowed */

/* ---- frames ---- */

typedef struct ht_frame ht_frame;
/* One more reference; gives the frame back. */
HT_API ht_frame *ht_frame_retain(ht_frame *frame);
HT_API void ht_frame_release(ht_frame *frame); /* NULL allowed */

/* columns [n] of equal length, shared. INVALID: lengths, which are all told, or a name that stands twice. */
HT_API HT_CHECKED ht_status ht_frame_from_columns(const char *const *names, ht_series *const *columns, size_t n,
                                                  ht_frame **out, ht_error *err);
/* All of a stream of record batches, without a copy; the stream is taken, also on failure. */
HT_API HT_CHECKED ht_status ht_frame_from_arrow(struct ArrowArrayStream *stream, ht_frame **out, ht_error *err);

/*
 * Each gives a new frame and runs nothing. NOT_FOUND names a column or method that is not there, with the choices;
 * INVALID where a call's arguments are not as many as its method has, or its policy is to skip rows (null them, and
 * keep those that are not).
 */
HT_API HT_CHECKED ht_status ht_frame_with_column(ht_frame *frame, const char *name, ht_expr *expr, ht_frame **out,
                                                 ht_error *err); /* added behind, or in the place of that name */
HT_API HT_CHECKED ht_status ht_frame_with_columns(ht_frame *frame, const char *const *names, ht_expr *const *exprs,
                                                  size_t n, ht_frame **out, ht_error *err); /* none sees the others */
/* Just these, named by alias, column, or method. */
HT_API HT_CHECKED ht_status ht_frame_select(ht_frame *frame, ht_expr *const *exprs, size_t n, ht_frame **out,
                                            ht_error *err);
/* The rows where a bool is true; null counts as false. */
HT_API HT_CHECKED ht_status ht_frame_where(ht_frame *frame, ht_expr *expr, ht_frame **out, ht_error *err);
/* A row for each item of a list column, other columns repeated; an empty list or null gives one row with null. */
HT_API HT_CHECKED ht_status ht_frame_explode(ht_frame *frame, const char *column, ht_frame **out, ht_error *err);
/* The first n rows; no more of the others are computed than a chunk. */
HT_API HT_CHECKED ht_status ht_frame_limit(ht_frame *frame, size_t n, ht_frame **out, ht_error *err);

/* Columns in order; NULL behind the last. */
HT_API size_t ht_frame_n_columns(const ht_frame *frame);
HT_API const char *ht_frame_column_name(const ht_frame *frame, size_t at);

/* ---- running ---- */

/*
 * Runs it; *out is a frame whose columns are there, in chunks of at most 1,048,576 rows, or 131,072 where several
 * workers share them. options NULL: defaults; engine, workers, window, batch_max, monitor, event, timeout, clock, trace
 * and cache count. For the processes engine call ht_frame_register in the program and its workers first.
 */
HT_API HT_CHECKED ht_status ht_frame_collect(ht_frame *frame, const ht_run_options *options, ht_frame **out,
                                             ht_error *err);
/* Rows of a frame whose columns are there, as after collect; SIZE_MAX of one that is still to be run. */
HT_API size_t ht_frame_n_rows(const ht_frame *frame);
HT_API size_t ht_frame_n_chunks(const ht_frame *frame);
/* A column, its chunks joined; or one chunk of it, shared. INVALID before collect; NOT_FOUND names the columns. */
HT_API HT_CHECKED ht_status ht_frame_column(const ht_frame *frame, const char *name, ht_series **out, ht_error *err);
HT_API HT_CHECKED ht_status ht_frame_chunk(const ht_frame *frame, size_t chunk, const char *name, ht_series **out,
                                           ht_error *err);
/* A collected frame as a stream of record batches, a chunk each, no copy. UNSUPPORTED names a column of objects. */
HT_API HT_CHECKED ht_status ht_frame_to_arrow(ht_frame *frame, struct ArrowArrayStream *out, ht_error *err);

/* The first n rows as a table for people; runs just enough. */
HT_API HT_CHECKED ht_status ht_frame_show(ht_frame *frame, size_t n, const ht_run_options *options, ht_writer *writer,
                                          ht_error *err);
/* What would run: the steps of each chunk's plan. */
HT_API HT_CHECKED ht_status ht_frame_explain(ht_frame *frame, ht_writer *writer, ht_error *err);
/* The node types that frames are made of, for other processes. */
HT_API HT_CHECKED ht_status ht_frame_register(ht_registry *registry, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
