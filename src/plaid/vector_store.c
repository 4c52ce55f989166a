/*
 * vector_store.c - the table of vector types: int8 with a scale a vector, and f16.
 *
 * int8 is the default: over the token vectors of all-MiniLM-L6-v2 its MaxSim ranks Cranfield and CACM as f32 does, at
 * 388 bytes a vector of 384. f16 is for vectors whose components differ by more than int8's range of 127.
 * Thread rule: pure functions over immutable tables.
 */
#include "vector_store.h"

#include <float.h>

static void encode_int8(const hti_maxsim_kernels *kernels, const float *vectors, size_t n, size_t dim, void *rows,
                        float *scales)
{
    kernels->quantise(vectors, n, dim, rows, scales);
}

static void encode_f16(const hti_maxsim_kernels *kernels, const float *vectors, size_t n, size_t dim, void *rows,
                       float *scales __attribute__((unused)))
{
    kernels->to_f16(vectors, n, dim, rows);
}

static void prepare_int8(const float *query, size_t n_query, size_t dim, void *memory, hti_vector_query *out)
{
    out->kernels->pack_int8(query, n_query, dim, memory, &out->packed);
}

static void prepare_f16(const float *query, size_t n_query, size_t dim, void *memory, hti_vector_query *out)
{
    out->kernels->pack_f16(query, n_query, dim, memory, &out->packed);
}

static void score_int8(const hti_vector_query *query, const hti_rows *rows, const hti_row_span *docs, size_t n_docs,
                       double *scores)
{
    query->kernels->maxsim_int8(&query->packed, rows, docs, n_docs, scores);
}

static void score_f16(const hti_vector_query *query, const hti_rows *rows, const hti_row_span *docs, size_t n_docs,
                      double *scores)
{
    query->kernels->maxsim_f16(&query->packed, rows, docs, n_docs, scores);
}

static void matches_int8(const hti_vector_query *query, const hti_rows *rows, hti_row_span doc, hti_row_match *matches)
{
    query->kernels->match_int8(&query->packed, rows, doc, matches);
}

static void matches_f16(const hti_vector_query *query, const hti_rows *rows, hti_row_span doc, hti_row_match *matches)
{
    query->kernels->match_f16(&query->packed, rows, doc, matches);
}

static const hti_vector_store stores[] = {
    [HT_VECTOR_INT8] = {"int8", HT_VECTOR_INT8, true, FLT_MAX, hti_int8_row_bytes, encode_int8, hti_packed_query_bytes,
                        prepare_int8, score_int8, matches_int8},
    [HT_VECTOR_F16] = {"f16", HT_VECTOR_F16, false, 65504.0f, hti_f16_row_bytes, encode_f16, hti_packed_query_bytes,
                       prepare_f16, score_f16, matches_f16},
};

const hti_vector_store *hti_vector_store_of(ht_vector_type type)
{
    HT_ASSERT(type == HT_VECTOR_INT8 || type == HT_VECTOR_F16);
    return &stores[type];
}
