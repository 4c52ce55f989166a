/*
 * houndstooth/lexical.h - analyzers and the inverted index with BM25.
 *
 * BM25 as Lucene has computed it since version 8:
 *   idf = ln(1 + (N - df + 0.5) / (df + 0.5)),  score = sum over query tokens of idf * tf / (tf + k1 (1 - b + b
 * len / avg))
 * with exact document lengths and N, avg over documents with at least one token. A repeated query
 * token counts as often as it occurs. Ties: higher score first, then lower ordinal.
 */
#ifndef HOUNDSTOOTH_LEXICAL_H
#define HOUNDSTOOTH_LEXICAL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- analyzers ---- */

/* Immutable; any thread. */
typedef struct ht_analyzer ht_analyzer;
/* A token: its text after all filters, where it came from, and how far it stands behind the one before. */
typedef struct ht_token {
    ht_text text;
    uint32_t start, end;         /* bytes of the input */
    uint32_t position_increment; /* 1, or more where tokens were dropped */
    const char *type;            /* "<ALPHANUM>", "<NUM>", ...: Lucene's names */
} ht_token;
/* Tokens of one text; reusable: the second identical use allocates nothing. */
typedef struct ht_tokens ht_tokens;

/* A registered analyzer by name: "english", "standard", "whitespace"; NOT_FOUND lists the names. Never freed. */
HT_API HT_CHECKED ht_status ht_analyzer_find(const char *name, const ht_analyzer **out, ht_error *err);
/* Name of the n-th registered analyzer, NULL behind the last. */
HT_API const char *ht_analyzer_name_at(size_t n);
HT_API HT_CHECKED ht_status ht_tokens_new(ht_tokens **out, ht_error *err);
HT_API void ht_tokens_free(ht_tokens *tokens);
/* Analyses valid UTF-8 into `tokens` (what it held is forgotten). */
HT_API HT_CHECKED ht_status ht_analyzer_run(const ht_analyzer *analyzer, ht_text text, ht_tokens *tokens,
                                            ht_error *err);
/* The tokens [*n] of the last run. */
HT_API const ht_token *ht_tokens_view(const ht_tokens *tokens, size_t *n);

/* ---- building one segment file ---- */

typedef struct ht_lexical_info {
    uint32_t size;
    uint64_t n_docs, n_docs_with_tokens, n_tokens, n_terms, n_postings, size_bytes;
    char analyzer[32];
} ht_lexical_info;

typedef struct ht_lexical_builder ht_lexical_builder;
/* Starts a segment at `path` (whole only after finish); analyzer by name, NULL for "english". */
HT_API HT_CHECKED ht_status ht_lexical_builder_new(const char *path, const char *analyzer, ht_lexical_builder **out,
                                                   ht_error *err);
/*
 * Adds the next document: its parts joined by a newline, empty parts left out. INVALID for what is not
 * UTF-8 and LIMIT for more than 2 GB leave the builder as it was; NO_MEMORY spoils it.
 */
HT_API HT_CHECKED ht_status ht_lexical_builder_add(ht_lexical_builder *builder, const ht_text *parts, size_t n_parts,
                                                   ht_error *err);
/* Completes and fsyncs the file and frees the builder, also on failure (then the file is removed). */
HT_API HT_CHECKED ht_status ht_lexical_builder_finish(ht_lexical_builder *builder, ht_lexical_info *info,
                                                      ht_error *err);
HT_API void ht_lexical_builder_abort(ht_lexical_builder *builder);

/* ---- reading ---- */

typedef struct ht_lexical ht_lexical;
typedef struct ht_lexical_session ht_lexical_session;

/*
 * Maps segment files made with one analyzer; ordinals run through all in order, statistics are summed
 * (n_terms, too: a term in two segments counts twice). No segment at all is an index that finds nothing.
 */
HT_API HT_CHECKED ht_status ht_lexical_open(const char *const *paths, size_t n_paths, ht_lexical **out, ht_error *err);
HT_API void ht_lexical_close(ht_lexical *lexical);
HT_API void ht_lexical_get_info(const ht_lexical *lexical, ht_lexical_info *info);
HT_API HT_CHECKED ht_status ht_lexical_verify(const ht_lexical *lexical, const ht_monitor *monitor, ht_error *err);
HT_API HT_CHECKED ht_status ht_lexical_session_new(const ht_lexical *lexical, ht_lexical_session **out, ht_error *err);
HT_API void ht_lexical_session_free(ht_lexical_session *session);

/* 0 <= k1 <= 1e6, 0 <= b <= 1, else INVALID; where a call takes a pointer, NULL is the preset "default". */
typedef struct ht_bm25 {
    double k1, b;
} ht_bm25;
/* Presets: "default" 1.2/.75, "anserini" .9/.4; NOT_FOUND lists them. */
HT_API HT_CHECKED ht_status ht_bm25_preset(const char *name, ht_bm25 *out, ht_error *err);

/*
 * The k best documents that hold a token of the query; `deleted` is NULL or a bit set over ordinals
 * to leave out (statistics still count them). *n_hits <= k, best first; 0 if no token is known.
 * The second identical call allocates nothing.
 */
HT_API HT_CHECKED ht_status ht_lexical_search(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25,
                                              const uint64_t *deleted, size_t k, ht_hit *hits, size_t *n_hits,
                                              ht_error *err);
/* BM25 of the given documents, in any order: scores [n_docs], 0 where no token matches. */
HT_API HT_CHECKED ht_status ht_lexical_score(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25,
                                             const uint32_t *docs, size_t n_docs, double *scores, ht_error *err);

/* One query token's part of a score; `contribution` sums to the score over the parts, to the last bit. */
typedef struct ht_lexical_part {
    ht_text term;
    uint32_t query_tf, tf, df, doc_len;
    double idf, tf_part, contribution; /* contribution = query_tf * idf * tf_part */
} ht_lexical_part;
/* Parts of one document's score in query order; owned by the session until its next call. */
HT_API HT_CHECKED ht_status ht_lexical_explain(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25,
                                               uint32_t doc, const ht_lexical_part **parts, size_t *n_parts,
                                               double *score, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
