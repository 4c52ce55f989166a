/*
 * houndstooth/plaid.h - an index of token vectors, scored by MaxSim; pooled vectors beside them.
 *
 * MaxSim(q, d) = sum over query vectors of the largest dot product with a document vector
 * (Khattab and Zaharia, ColBERT, SIGIR 2020). Version 1 stores every vector as int8 with a scale, or as
 * f16, and scans exhaustively; formats/token-vectors.md is the file's specification.
 *
 * Segment files are immutable. One ht_plaid reads any number of them; document ordinals run through
 * all, in the order of the paths. Ties: higher score first, then lower ordinal.
 */
#ifndef HOUNDSTOOTH_PLAID_H
#define HOUNDSTOOTH_PLAID_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_vector_type { HT_VECTOR_INT8, HT_VECTOR_F16 } ht_vector_type;

typedef struct ht_plaid_info {
    uint32_t size;
    uint32_t dim;
    ht_vector_type vector_type;
    uint64_t n_docs, n_vectors, size_bytes;
    bool has_pooled;
} ht_plaid_info;

/* ---- building one segment file ---- */

typedef struct ht_plaid_builder ht_plaid_builder;
typedef struct ht_plaid_build_opts {
    uint32_t size;
    uint32_t dim; /* 1..4096 */
    ht_vector_type vector_type;
    bool has_pooled; /* each document brings a pooled vector */
} ht_plaid_build_opts;
HT_API void ht_plaid_build_opts_init(ht_plaid_build_opts *opts);

/* Starts a segment at `path`; the file is whole only after finish. Memory stays bounded: vectors are streamed out. */
HT_API HT_CHECKED ht_status ht_plaid_builder_new(const char *path, const ht_plaid_build_opts *opts,
                                                 ht_plaid_builder **out, ht_error *err);
/*
 * Adds the next document: vectors [n_vectors, dim], unit length (0 vectors allowed), pooled [dim] or NULL (not
 * looked at without has_pooled). NaN, infinity or what f16 cannot hold fails with INVALID and leaves the builder as
 * it was; any other failure is for good.
 */
HT_API HT_CHECKED ht_status ht_plaid_builder_add(ht_plaid_builder *builder, const float *vectors, size_t n_vectors,
                                                 const float *pooled, ht_error *err);
/* Completes and fsyncs the file and frees the builder, also on failure (then the file is removed). */
HT_API HT_CHECKED ht_status ht_plaid_builder_finish(ht_plaid_builder *builder, ht_plaid_info *info, ht_error *err);
/* Gives up: frees the builder and removes the file; NULL allowed. */
HT_API void ht_plaid_builder_abort(ht_plaid_builder *builder);

/* ---- reading ---- */

typedef struct ht_plaid ht_plaid;
typedef struct ht_plaid_session ht_plaid_session;

/*
 * Maps segment files of one kind (dim, vector type, pooled or not; else INVALID); n_paths 0 is an empty index. CORRUPT
 * and VERSION name file and byte.
 */
HT_API HT_CHECKED ht_status ht_plaid_open(const char *const *paths, size_t n_paths, ht_plaid **out, ht_error *err);
HT_API void ht_plaid_close(ht_plaid *plaid);
HT_API void ht_plaid_get_info(const ht_plaid *plaid, ht_plaid_info *info);
/* Number of vectors of a document. */
HT_API size_t ht_plaid_doc_len(const ht_plaid *plaid, uint32_t doc);
/* Verifies every checksum of every segment. */
HT_API HT_CHECKED ht_status ht_plaid_verify(const ht_plaid *plaid, const ht_monitor *monitor, ht_error *err);

/* Scratch of one searching thread; the pool (NULL allowed) is borrowed. */
HT_API HT_CHECKED ht_status ht_plaid_session_new(const ht_plaid *plaid, ht_pool *pool, ht_plaid_session **out,
                                                 ht_error *err);
HT_API void ht_plaid_session_free(ht_plaid_session *session);

/*
 * The k best documents by MaxSim over all (documents without vectors never match). query [n_query, dim],
 * n_query >= 1. `deleted` is NULL or a bit set over ordinals to leave out. *n_hits <= k, best first.
 * The second identical call allocates nothing.
 */
HT_API HT_CHECKED ht_status ht_plaid_search(ht_plaid_session *session, const float *query, size_t n_query,
                                            const uint64_t *deleted, size_t k, ht_hit *hits, size_t *n_hits,
                                            ht_error *err);
/* MaxSim of the given documents: scores [n_docs], -infinity for a document without vectors. */
HT_API HT_CHECKED ht_status ht_plaid_score(ht_plaid_session *session, const float *query, size_t n_query,
                                           const uint32_t *docs, size_t n_docs, double *scores, ht_error *err);
/*
 * For each query vector the document vector it matched best (lowest number on ties) and their dot product. INVALID for
 * a document without vectors.
 */
typedef struct ht_plaid_match {
    uint32_t doc_vector;
    float score;
} ht_plaid_match;
HT_API HT_CHECKED ht_status ht_plaid_matches(ht_plaid_session *session, const float *query, size_t n_query,
                                             uint32_t doc, ht_plaid_match *matches, ht_error *err);

/* The k best by dot product with the pooled vectors; query [dim]. UNSUPPORTED without pooled vectors. */
HT_API HT_CHECKED ht_status ht_plaid_search_pooled(ht_plaid_session *session, const float *query,
                                                   const uint64_t *deleted, size_t k, ht_hit *hits, size_t *n_hits,
                                                   ht_error *err);
HT_API HT_CHECKED ht_status ht_plaid_score_pooled(ht_plaid_session *session, const float *query, const uint32_t *docs,
                                                  size_t n_docs, double *scores, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
