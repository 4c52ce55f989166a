/*
 * encoder_kernels.h - the matrix products and row operations of a transformer, one table per instruction set.
 *
 * Promise that the encoder's determinism rests on: what a kernel writes for a row (of a product, a norm, a
 * text's attention) depends on that row's inputs alone, bit for bit, not on the other rows, on how many there
 * are or on where the row stands. Every sum over k is one chain in order of k, or a fixed tree of 16 lanes.
 * AVX2 and AVX-512 give the same bits. Widths (k, n, head_dim) are multiples of HTI_PANEL: callers pad with zeros.
 * All functions: any thread, no allocation, cannot fail.
 */
#ifndef HTI_KERNEL_ENCODER_KERNELS_H
#define HTI_KERNEL_ENCODER_KERNELS_H

#include "os/os.h"

enum { HTI_PANEL = 32 };

/* This many rows behind the last row of a bf16 operand may be read (never written, never used). */
enum { HTI_ROW_BLOCK = 32 };

static inline size_t hti_panel_round(size_t n) { return (n + HTI_PANEL - 1) / HTI_PANEL * HTI_PANEL; }

/* Number formats of weights in model files, little-endian, any alignment. */
typedef enum hti_element { HTI_ELEMENT_F32, HTI_ELEMENT_F16, HTI_ELEMENT_BF16 } hti_element;

/* What a product does with its sums s[i][j] (bias included) on their way out. */
typedef enum hti_gemm_end {
    HTI_GEMM_STORE, /* c = s */
    HTI_GEMM_GELU,  /* c = gelu(s) = s (1 + erf(s / sqrt 2)) / 2 */
    HTI_GEMM_ADD,   /* c = c + s */
} hti_gemm_end;

/*
 * c [m, n] = end(a [m, k] x b [k, n] + bias [n]), row-major with row strides lda, ldc in elements.
 * Single precision: a, c f32. bf16: a bf16, products summed in f32, c bf16 for STORE and GELU, f32 for ADD.
 * b is n / HTI_PANEL panels of k * HTI_PANEL elements, so columns can be cut at panels.
 */
typedef struct hti_gemm {
    const void *a;
    size_t lda, m;
    const void *b; /* packed by the same table */
    const float *bias;
    size_t k, n;
    void *c;
    size_t ldc;
    hti_gemm_end end;
    const void *next; /* bytes that will be read soon after, NULL if unknown: they may be brought into L2 meanwhile */
    size_t next_bytes;
} hti_gemm;

/*
 * Self-attention of one text over some heads: out = softmax(q kT scale) v. Row i of qkv [n_tokens, n_heads, 3,
 * head_dim] holds q, k and v of each head; out [n_tokens, n_heads, head_dim]. Strides of rows in elements; both f32,
 * or both bf16.
 */
typedef struct hti_attention {
    const void *qkv;
    size_t ld, n_tokens, n_heads, head_dim;
    float scale;
    const uint8_t *seen; /* [n_tokens] 0: no query attends to this key; NULL: all are seen */
    void *out;
    size_t ldo;
    void *scratch; /* hti_attention_scratch(n_tokens, head_dim) bytes, 64-byte aligned */
} hti_attention;

size_t hti_attention_scratch(size_t n_tokens, size_t head_dim);

/* x = (x - mean) / sqrt(variance + eps) weight + bias in each row, over `width`; columns behind stay as they are. */
typedef struct hti_norm {
    float *x;
    size_t ld, n_rows, width;
    const float *weight, *bias; /* [width] */
    float eps;
    uint16_t *rounded; /* NULL, or the new rows also as bf16, same stride, over hti_panel_round(width) columns */
} hti_norm;

/*
 * Token vectors of one text: u = h / |h|, then, if mix > 0, u = (u + mix p) / |u + mix p|, where p is the unit pooled
 * vector: the mean of all rows, or the first row. Norms below 1e-12 count as 1e-12.
 */
typedef struct hti_finish {
    const float *hidden; /* [n_tokens, dim], stride ld */
    size_t ld, n_tokens, dim;
    const uint8_t *keep; /* [n_tokens] 0: no vector for this row; NULL: all */
    float mix;
    bool pool_first;
    float *pooled;  /* [dim] */
    float *vectors; /* [kept, dim]; NULL: only the pooled vector */
} hti_finish;

typedef struct hti_encoder_kernels {
    const char *name;
    /* out [n] = in [n] as f32, + add [n] if that is not NULL. */
    void (*widen)(const void *in, hti_element type, size_t n, const float *add, float *out);
    /*
     * One panel of weights from rows [HTI_PANEL, k], `stride` apart (row j is column j of b): k * HTI_PANEL elements.
     * pack_bf16 is NULL where bf16 is missing, as are the two _bf16 below.
     */
    void (*pack)(const float *rows, size_t stride, size_t k, void *panel);
    void (*pack_bf16)(const float *rows, size_t stride, size_t k, void *panel);
    void (*gemm)(const hti_gemm *gemm);
    void (*gemm_bf16)(const hti_gemm *gemm);
    void (*attend)(const hti_attention *attention);
    void (*attend_bf16)(const hti_attention *attention);
    void (*norm)(const hti_norm *norm);
    void (*finish)(const hti_finish *finish);
    /* The functions inside, for tests of accuracy; exp for x <= 0, 0 below -87. */
    void (*exp)(float *x, size_t n);
    void (*gelu)(float *x, size_t n);
    void (*gelu_bf16)(float *x, size_t n); /* what gemm_bf16 uses: to 4e-5 */
} hti_encoder_kernels;

/* The table of hti_cpu_level(). */
const hti_encoder_kernels *hti_encoder_kernels_get(void);
/* The table of a level at or below the machine's, for tests; NULL above it. */
const hti_encoder_kernels *hti_encoder_kernels_at(hti_cpu level);

#endif
