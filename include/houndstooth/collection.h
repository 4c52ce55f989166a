/*
 * houndstooth/collection.h - a collection as its users see it: index, search, explain, check.
 *
 *     ht_indexer_new("cranfield.ht", &index_opts, &indexer, &err);
 *     ht_indexer_add_file(indexer, "corpus.jsonl", NULL, &err);
 *     ht_indexer_commit(indexer, NULL, &stats, &err);
 *
 *     ht_collection_open("cranfield.ht", NULL, &collection, &err);
 *     ht_search_session_new(collection, &session, &err);
 *     ht_search(session, query, &search_opts, &result, &err);
 *
 * A collection is a directory (docs/formats/collection.md). One writer at a time; readers are not disturbed: an open
 * collection keeps serving the generation it was opened with.
 */
#ifndef HOUNDSTOOTH_COLLECTION_H
#define HOUNDSTOOTH_COLLECTION_H

#include "base.h"
#include "encoder.h"
#include "eval.h"
#include "lexical.h"
#include "plaid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- models on this machine ---- */

#define HT_DEFAULT_MODEL "all-MiniLM-L6-v2"

/*
 * Folder of a model, written NUL-terminated into path [path_cap]. `name` is a folder, "default", or a
 * name looked for in ${HOUNDSTOOTH_HOME:-~/.cache/houndstooth}/models and in the Hugging Face cache.
 * NOT_FOUND lists the places.
 */
HT_API HT_CHECKED ht_status ht_model_find(const char *name, char *path, size_t path_cap, ht_error *err);
/* Folder in which models are installed, even if it does not exist yet. */
HT_API HT_CHECKED ht_status ht_model_home(char *path, size_t path_cap, ht_error *err);

/* ---- arrays on disk ---- */

/* Writes a float32 array of rows [dim] in NumPy's npy format 1.0, row by row; the file is whole after finish. */
typedef struct ht_npy_writer ht_npy_writer;
HT_API HT_CHECKED ht_status ht_npy_writer_new(const char *path, uint32_t dim, ht_npy_writer **out, ht_error *err);
HT_API HT_CHECKED ht_status ht_npy_writer_add(ht_npy_writer *writer, const float *rows, size_t n_rows, ht_error *err);
/* Completes the header and closes; frees the writer, also on failure. */
HT_API HT_CHECKED ht_status ht_npy_writer_finish(ht_npy_writer *writer, ht_error *err);
/* Gives up and removes the file; NULL allowed. */
HT_API void ht_npy_writer_abort(ht_npy_writer *writer);

/* ---- indexing ---- */

typedef struct ht_index_opts {
    uint32_t size;
    const char *model;    /* as ht_model_find takes it; NULL: no vectors */
    const char *analyzer; /* NULL: no lexical index */
    ht_vector_type vector_type;
    ht_precision precision;
    float mix;            /* < 0: the model's default */
    uint32_t max_tokens;  /* 0: the model's limit */
    int keep_punctuation; /* < 0: the model's default */
    ht_pool *pool;        /* borrowed; NULL: one thread */
} ht_index_opts;
/* Defaults: model "default", analyzer "english", int8, AUTO. */
HT_API void ht_index_opts_init(ht_index_opts *opts);

typedef struct ht_index_stats {
    uint32_t size;
    uint64_t n_docs, n_tokens, n_vectors, n_truncated; /* of this change; tokens as the encoder counts them */
    uint64_t read_ns, encode_ns, vectors_ns, lexical_ns, store_ns, commit_ns; /* time per stage */
} ht_index_stats;

typedef struct ht_indexer ht_indexer;
/*
 * Opens or makes the collection for one change and takes its lock (BUSY if another writer has it).
 * Settings of an existing collection must agree with `opts`, else INVALID names the one that differs.
 */
HT_API HT_CHECKED ht_status ht_indexer_new(const char *dir, const ht_index_opts *opts, ht_indexer **out, ht_error *err);
/* Adds one document. EXISTS if the id is already there. Text must be valid UTF-8 without NUL in the id. */
HT_API HT_CHECKED ht_status ht_indexer_add(ht_indexer *indexer, const ht_record *record, const ht_monitor *monitor,
                                           ht_error *err);
/* Adds a corpus of JSON lines ("-": standard input; .gz and .zst are read). An error names file and line. */
HT_API HT_CHECKED ht_status ht_indexer_add_file(ht_indexer *indexer, const char *path, const ht_monitor *monitor,
                                                ht_error *err);
/* Deletes a document of an earlier change by its id; NOT_FOUND. */
HT_API HT_CHECKED ht_status ht_indexer_delete(ht_indexer *indexer, ht_text id, ht_error *err);
/* Makes the change durable and visible, all of it or nothing, and frees the indexer in any case. */
HT_API HT_CHECKED ht_status ht_indexer_commit(ht_indexer *indexer, const ht_monitor *monitor, ht_index_stats *stats,
                                              ht_error *err);
/* Gives up the change; NULL allowed. */
HT_API void ht_indexer_abort(ht_indexer *indexer);

/* ---- a collection opened for reading ---- */

typedef struct ht_collection ht_collection;
typedef struct ht_collection_opts {
    uint32_t size;
    const char *model; /* instead of the folder the collection remembers; its weights must be the same */
    ht_precision precision;
    float mix;     /* of query vectors; < 0: as the documents were made */
    ht_pool *pool; /* borrowed; NULL: one thread */
} ht_collection_opts;
HT_API void ht_collection_opts_init(ht_collection_opts *opts);

/* Opens a collection; the model is loaded by the first search that needs it. */
HT_API HT_CHECKED ht_status ht_collection_open(const char *dir, const ht_collection_opts *opts, ht_collection **out,
                                               ht_error *err);
HT_API void ht_collection_close(ht_collection *collection);

typedef struct ht_collection_info {
    uint32_t size;
    uint64_t generation, n_segments, size_bytes;
    uint32_t n_docs, n_deleted; /* n_docs counts deleted ones too */
    bool has_lexical, has_vectors;
    ht_lexical_info lexical;
    ht_plaid_info vectors;
    const char *model, *model_digest, *warning; /* NULL if none; live as long as the collection */
    double mix;
} ht_collection_info;
HT_API void ht_collection_get_info(const ht_collection *collection, ht_collection_info *info);

/* Called for each problem found, one line each. */
typedef void (*ht_problem_fn)(void *ud, const char *problem);
/* Reads every byte of a collection and reports what is damaged; CORRUPT if anything was. */
HT_API HT_CHECKED ht_status ht_collection_check(const char *dir, const ht_monitor *monitor, ht_problem_fn fn, void *ud,
                                                ht_error *err);

/* ---- searching ---- */

typedef enum ht_mode {
    HT_MODE_BM25,   /* the inverted index */
    HT_MODE_DENSE,  /* cosine of pooled vectors */
    HT_MODE_MAXSIM, /* token vectors, exhaustive */
    HT_MODE_RRF,    /* reciprocal rank fusion of the three */
    HT_MODE_HYBRID, /* candidates by the min-max sum of BM25 and cosine; then that of all three signals */
    HT_MODE_RERANK  /* BM25's best, ordered by MaxSim */
} ht_mode;
/* Name of a mode, "bm25" ...; NULL behind the last. */
HT_API const char *ht_mode_name(ht_mode mode);
HT_API HT_CHECKED ht_status ht_mode_find(const char *name, ht_mode *out, ht_error *err);

typedef struct ht_search_opts {
    uint32_t size;
    ht_mode mode;        /* default HYBRID */
    size_t k;            /* hits wanted; default 10 */
    ht_bm25 bm25;        /* default: preset "default" */
    size_t rerank_depth; /* RERANK: how many of BM25's best; HYBRID: how many candidates, at least k. Default 100 */
    double rrf_k;        /* default 60 */
    bool with_fields;    /* fetch title and text of each hit */
    bool explain;        /* BM25 parts and token matches of each hit (implies with_fields) */
} ht_search_opts;
HT_API void ht_search_opts_init(ht_search_opts *opts);

/* Which document token one query token matched best. */
typedef struct ht_token_match {
    ht_text query_token, doc_token; /* vocabulary text */
    uint32_t doc_start, doc_end;    /* bytes of `encoded_text` */
    float score;
} ht_token_match;

typedef struct ht_search_hit {
    uint32_t doc; /* ordinal */
    double score;
    double bm25, cosine, maxsim;  /* NaN where the mode did not compute it */
    ht_text id, title, text;      /* title and text only with with_fields */
    const ht_lexical_part *parts; /* [n_parts], with explain */
    size_t n_parts;
    const ht_token_match *matches; /* [n_matches], with explain */
    size_t n_matches;
    ht_text encoded_text; /* title and text as the encoder joined them, with explain */
} ht_search_hit;

typedef struct ht_search_timing {
    uint64_t encode_ns, bm25_ns, dense_ns, maxsim_ns, fuse_ns, fetch_ns, total_ns;
} ht_search_timing;

typedef struct ht_search_result {
    size_t n_hits;
    const ht_search_hit *hits; /* best first */
    ht_search_timing timing;
} ht_search_result;

typedef struct ht_search_session ht_search_session;
/* Scratch of one searching thread. */
HT_API HT_CHECKED ht_status ht_search_session_new(ht_collection *collection, ht_search_session **out, ht_error *err);
HT_API void ht_search_session_free(ht_search_session *session);
/*
 * Searches for one query of valid UTF-8. The result is owned by the session until its next call. UNSUPPORTED if the
 * collection lacks the index that the mode needs. An empty query or one without known terms gives no BM25 hits.
 */
HT_API HT_CHECKED ht_status ht_search(ht_search_session *session, ht_text query, const ht_search_opts *opts,
                                      const ht_search_result **out, ht_error *err);
/*
 * The same for many queries: encodes them in batches and hands each result, in order, to fn, which may stop by
 * failing.
 */
typedef ht_status (*ht_result_fn)(void *ud, size_t query, const ht_search_result *result, ht_error *err);
HT_API HT_CHECKED ht_status ht_search_many(ht_search_session *session, const ht_text *queries, size_t n_queries,
                                           const ht_search_opts *opts, const ht_monitor *monitor, ht_result_fn fn,
                                           void *ud, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
