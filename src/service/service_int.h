/*
 * service_int.h - what the files of this room share.
 */
#ifndef HTI_SERVICE_INT_H
#define HTI_SERVICE_INT_H

#include "base/base.h"
#include "os/os.h"
#include "store/store.h"

#include <houndstooth/collection.h>

/* Kinds of segment files and names of settings, as docs/formats/collection.md lists them. */
#define HTI_KIND_LEXICAL "lexical"
#define HTI_KIND_VECTORS "vectors"
#define HTI_SET_ANALYZER "analyzer"
#define HTI_SET_MODEL "model"
#define HTI_SET_MODEL_DIGEST "model_digest"
#define HTI_SET_MIX "mix"
#define HTI_SET_MAX_TOKENS "max_tokens"
#define HTI_SET_PUNCTUATION "keep_punctuation"
#define HTI_SET_VECTOR_TYPE "vector_type"

const char *hti_vector_type_name(ht_vector_type type);

struct ht_collection {
    hti_store *store;
    ht_collection_opts opts;
    char *model_override; /* copy of opts.model */
    ht_lexical *lexical;  /* NULL: no lexical index */
    ht_plaid *plaid;      /* NULL: no vectors */
    hti_mutex *loading;   /* held while the encoder is loaded */
    ht_encoder *encoder;  /* loaded on first need, never changed after */
};

/* The encoder with the profile the collection remembers, loaded by the first call. */
HT_CHECKED ht_status hti_collection_encoder(ht_collection *collection, const ht_encoder **out, ht_error *err);

/* The sorts of scores a search can compute; the order is that of ht_search_hit. */
enum { HTI_BM25, HTI_COSINE, HTI_MAXSIM, HTI_N_SIGNALS };

/* A query on its way: text, its vectors if the mode needs them. */
typedef struct hti_query {
    ht_text text;
    const float *vectors, *pooled; /* [n_vectors, dim], [dim]; NULL without an encoder */
    size_t n_vectors;
    const uint32_t *token_ids; /* [n_vectors] */
} hti_query;

struct ht_search_session {
    ht_collection *collection;
    ht_lexical_session *lexical;
    ht_plaid_session *plaid;
    ht_encoder_session *encoder, *explainer; /* made on first need; the explainer re-encodes documents */
    hti_arena arena;                         /* everything of the present result */
    ht_search_timing timing;
    ht_search_result result;
};

/* Fills parts and matches of every hit. */
HT_CHECKED ht_status hti_explain_hits(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                                      ht_search_hit *hits, size_t n_hits, ht_error *err);

#endif
