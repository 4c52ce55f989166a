/*
 * maxsim.h - scoring kernels of token vectors: quantise, pack a query, MaxSim over spans of rows, pooled dots.
 *
 * One table per instruction set, picked once by hti_maxsim(); callers hoist it out of their loops. Every entry
 * gives the same bits from every table; maxsim_scalar.c is the specification. Nothing here allocates or fails:
 * sizes are the caller's duty. Any bytes may stand in the rows: damaged data gives wrong scores, never a fault.
 *
 * int8 row (`hti_int8_row_bytes`): component q in [-127, 127] as the byte q + 128, padded with 128 to a multiple
 * of 64. The offset form makes the document the unsigned operand of vpdpbusd, tdpbusd; the correction,
 * 128 * sum(query), is then a constant of the query vector and costs nothing per document.
 * f16 row (`hti_f16_row_bytes`): IEEE halves padded with zeros to a multiple of 32 elements.
 * f32 row (`hti_f32_row_floats`): padded with zeros to a multiple of 16 elements.
 */
#ifndef HTI_KERNEL_MAXSIM_H
#define HTI_KERNEL_MAXSIM_H

#include "base/base.h"
#include "os/os.h"

enum { HTI_MAXSIM_MAX_DIM = 4096 };

static inline size_t hti_int8_row_bytes(size_t dim) { return (dim + 63) & ~(size_t)63; }
static inline size_t hti_f16_row_bytes(size_t dim) { return 2 * ((dim + 31) & ~(size_t)31); }
static inline size_t hti_f32_row_floats(size_t dim) { return (dim + 15) & ~(size_t)15; }

/* A query made ready by a table's pack entry; it points into the caller's memory and belongs to that table. */
typedef struct hti_packed_query {
    size_t n_query, dim;
    const float *scales;    /* [n_query], 1 for f16 */
    const int32_t *offsets; /* int8 only: what the offset form of the rows adds, negated, in the table's own layout */
    const void *data;       /* the table's own layout */
} hti_packed_query;

/* Bytes (64-aligned) that a pack entry needs; SIZE_MAX when that overflows. */
static inline size_t hti_packed_query_bytes(size_t n_query, size_t dim)
{
    const size_t padded = hti_add(n_query, 31) & ~(size_t)31;
    return hti_mul(hti_add(padded, 32), hti_int8_row_bytes(dim) * sizeof(float) + 128);
}

/* Stored vectors of one segment. */
typedef struct hti_rows {
    const void *data;    /* [n_rows][row_bytes], 64-aligned */
    const float *scales; /* [n_rows]; NULL for f16 */
    size_t n_rows, row_bytes;
} hti_rows;

/* The rows [first, first + n) of one document. */
typedef struct hti_row_span {
    size_t first, n;
} hti_row_span;

/* Row (counted from the span's first) that a query vector matched best, and their dot product. */
typedef struct hti_row_match {
    float score;
    uint32_t row;
} hti_row_match;

typedef struct hti_maxsim_kernels {
    const char *name;
    /*
     * rows [n_rows, dim] f32, finite -> codes [n_rows][hti_int8_row_bytes(dim)], scales [n_rows]:
     * scale = max|x| / 127, q = x / scale rounded half to even, at most 127; a zero row has scale 0.
     */
    void (*quantise)(const float *rows, size_t n_rows, size_t dim, uint8_t *codes, float *scales);
    /* rows [n_rows, dim] f32 -> halves [n_rows][hti_f16_row_bytes(dim)], rounded half to even. */
    void (*to_f16)(const float *rows, size_t n_rows, size_t dim, uint16_t *halves);
    /* query [n_query, dim] f32, finite, n_query >= 1; memory [hti_packed_query_bytes], 64-aligned. */
    void (*pack_int8)(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out);
    void (*pack_f16)(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out);
    /*
     * scores [n_spans]: best[t] = max over the span of (float)dot_i32 * row scale, in f32; score = sum over t, in
     * order, of best[t] * query scale[t], in f64. An empty span scores -infinity.
     */
    void (*maxsim_int8)(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores);
    /* As above with dot = fused multiply-adds in order of the dimension, in f32. */
    void (*maxsim_f16)(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                       double *scores);
    /* matches [n_query] of one span, n >= 1; the lowest row wins a tie. Row 0, -infinity if every value is NaN. */
    void (*match_int8)(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches);
    void (*match_f16)(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches);
    /*
     * out [n_rows]: dot products of query [width] with rows [n_rows][width], width a multiple of 16: 16 running
     * sums of fused multiply-adds, then lane l + lane l+8, +4, +2, +1.
     */
    void (*dots_f32)(const float *query, const float *rows, size_t n_rows, size_t width, float *out);
} hti_maxsim_kernels;

/* The table of this machine (hti_cpu_level). */
const hti_maxsim_kernels *hti_maxsim(void);
/* The table of one instruction set, which the machine must have; NULL if it is not built in. */
const hti_maxsim_kernels *hti_maxsim_at(hti_cpu level);

#endif
