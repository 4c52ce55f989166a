/*
 * vector_store.h - how token vectors of one type are coded and scored: one row of a table a type.
 *
 * The builder and the search know types only through this table. A residual codec (centroid number and a few bits a
 * component) becomes one more row: `prepare` also computes its query x centroid products, `score_docs` decodes and
 * scores; a posting scan then hands its candidates to the same `score_docs`.
 */
#ifndef HTI_PLAID_VECTOR_STORE_H
#define HTI_PLAID_VECTOR_STORE_H

#include "kernel/kernel.h"

#include <houndstooth/plaid.h>

/* A query made ready for one vector store; lives in its session's memory. */
typedef struct hti_vector_query {
    const hti_maxsim_kernels *kernels;
    hti_packed_query packed;
} hti_vector_query;

typedef struct hti_vector_store {
    const char *name;
    ht_vector_type type;
    bool has_scales;
    float largest; /* largest magnitude of a component that can be coded */
    size_t (*row_bytes)(size_t dim);
    /* vectors [n, dim] -> rows [n][row_bytes], scales [n] if it has them. */
    void (*encode)(const hti_maxsim_kernels *kernels, const float *vectors, size_t n, size_t dim, void *rows,
                   float *scales);
    /* Bytes that prepare needs; SIZE_MAX when that overflows. */
    size_t (*query_bytes)(size_t n_query, size_t dim);
    /* query [n_query, dim], finite; out->kernels is set. */
    void (*prepare)(const float *query, size_t n_query, size_t dim, void *memory, hti_vector_query *out);
    /* MaxSim of documents given as row spans; -infinity for an empty one. Pure; any thread. */
    void (*score_docs)(const hti_vector_query *query, const hti_rows *rows, const hti_row_span *docs, size_t n_docs,
                       double *scores);
    /* Best row for each query vector of one document that has rows. */
    void (*matches)(const hti_vector_query *query, const hti_rows *rows, hti_row_span doc, hti_row_match *matches);
} hti_vector_store;

/* The store of a type that the file format knows. */
const hti_vector_store *hti_vector_store_of(ht_vector_type type);

#endif
