/*
 * search.c - one query through the indexes: first stages, fusion, reranking, fetching.
 *
 * A plan is a mode: a function that turns a query into hits. Everything of one result lives in the
 * session's arena, so the second identical search allocates nothing of ours (SQLite has its own).
 * Hybrid: the candidates are the best of the equal-weight min-max sum of two exhaustive lists, BM25
 * and pooled cosine, each WINDOW deep; then all three signals are computed exactly for every candidate,
 * min-max normalised over the candidates, and summed.
 * Thread rule: a session has one thread; the pool inside plaid and encoder is theirs.
 * Easy to get wrong: BM25's list ends where no term matches, so its minimum is only known when every
 * document matches; documents outside get 0, as the least of the list would.
 */
#include "service_int.h"

#include "codec/codec.h"

#include <math.h>
#include <string.h>

enum { WINDOW = 1000, QUERY_BATCH = 64 };

static const char *const mode_names[] = {"bm25", "dense", "maxsim", "rrf", "hybrid", "rerank"};

const char *ht_mode_name(ht_mode mode) { return (size_t)mode < HTI_LEN(mode_names) ? mode_names[mode] : NULL; }

ht_status ht_mode_find(const char *name, ht_mode *out, ht_error *err)
{
    for (size_t i = 0; i < HTI_LEN(mode_names); i++) {
        if (strcmp(name, mode_names[i]) != 0) continue;
        *out = (ht_mode)i;
        return HT_OK;
    }
    return HT_FAIL(err, NOT_FOUND, "no search mode \"%s\"; there are bm25, dense, maxsim, rrf, hybrid, rerank", name);
}

void ht_search_opts_init(ht_search_opts *opts)
{
    *opts = (ht_search_opts){HT_DESC(ht_search_opts), .mode = HT_MODE_HYBRID, .k = 10,
                             .bm25 = {1.2, 0.75},     .rerank_depth = 100,    .rrf_k = 60};
}

ht_status ht_search_session_new(ht_collection *collection, ht_search_session **out, ht_error *err)
{
    *out = NULL;
    ht_search_session *session = HTI_NEW(ht_search_session);
    if (!session) return HTI_NO_MEMORY(err);
    session->collection = collection;
    hti_arena_init(&session->arena);
    ht_status status = HT_OK;
    if (collection->lexical) status = ht_lexical_session_new(collection->lexical, &session->lexical, err);
    if (status == HT_OK && collection->plaid)
        status = ht_plaid_session_new(collection->plaid, collection->opts.pool, &session->plaid, err);
    if (status != HT_OK) {
        ht_search_session_free(session);
        return status;
    }
    *out = session;
    return HT_OK;
}

void ht_search_session_free(ht_search_session *session)
{
    if (!session) return;
    ht_encoder_session_free(session->explainer);
    ht_encoder_session_free(session->encoder);
    ht_plaid_session_free(session->plaid);
    ht_lexical_session_free(session->lexical);
    hti_arena_deinit(&session->arena);
    hti_free(session);
}

static void clock_into(uint64_t *sum, uint64_t since) { *sum += hti_clock_ns() - since; }

/* ---- first stages: the best k of one signal ---- */

typedef struct hit_list {
    ht_hit *hits;
    size_t len;
} hit_list;

static ht_status room_for_hits(ht_search_session *session, size_t k, hit_list *list, ht_error *err)
{
    const size_t cap = HTI_MIN(k, (size_t)hti_store_n_docs(session->collection->store));
    *list = (hit_list){HTI_ARENA_ARRAY(&session->arena, ht_hit, cap), cap};
    return list->hits ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status first_stage(ht_search_session *session, const hti_query *query, const ht_search_opts *opts, int signal,
                             size_t k, hit_list *list, ht_error *err)
{
    HT_TRY(room_for_hits(session, k, list, err));
    const size_t cap = list->len;
    const uint64_t *deleted = hti_store_deleted(session->collection->store, NULL);
    const uint64_t since = hti_clock_ns();
    list->len = 0;
    if (cap == 0) return HT_OK;
    switch (signal) {
    case HTI_BM25:
        HT_TRY(
            ht_lexical_search(session->lexical, query->text, &opts->bm25, deleted, cap, list->hits, &list->len, err));
        clock_into(&session->timing.bm25_ns, since);
        return HT_OK;
    case HTI_COSINE:
        HT_TRY(ht_plaid_search_pooled(session->plaid, query->pooled, deleted, cap, list->hits, &list->len, err));
        clock_into(&session->timing.dense_ns, since);
        return HT_OK;
    default:
        HT_TRY(ht_plaid_search(session->plaid, query->vectors, query->n_vectors, deleted, cap, list->hits, &list->len,
                               err));
        clock_into(&session->timing.maxsim_ns, since);
        return HT_OK;
    }
}

/* ---- one signal of given documents ---- */

static ht_status score_docs(ht_search_session *session, const hti_query *query, const ht_search_opts *opts, int signal,
                            const uint32_t *docs, size_t n, double *scores, ht_error *err)
{
    const uint64_t since = hti_clock_ns();
    switch (signal) {
    case HTI_BM25:
        HT_TRY(ht_lexical_score(session->lexical, query->text, &opts->bm25, docs, n, scores, err));
        clock_into(&session->timing.bm25_ns, since);
        return HT_OK;
    case HTI_COSINE:
        HT_TRY(ht_plaid_score_pooled(session->plaid, query->pooled, docs, n, scores, err));
        clock_into(&session->timing.dense_ns, since);
        return HT_OK;
    default:
        HT_TRY(ht_plaid_score(session->plaid, query->vectors, query->n_vectors, docs, n, scores, err));
        clock_into(&session->timing.maxsim_ns, since);
        return HT_OK;
    }
}

/* ---- modes ---- */

/* Documents under consideration in the order of the first stage; a tie in the end keeps that order. */
typedef struct ranking {
    size_t len;
    uint32_t *docs;                 /* [len] */
    double *scores;                 /* [len] final scores */
    double *signals[HTI_N_SIGNALS]; /* [len] each; NaN: not computed */
} ranking;

static ht_status make_ranking(ht_search_session *session, hit_list list, ranking *out, ht_error *err)
{
    *out = (ranking){.len = list.len};
    out->docs = HTI_ARENA_ARRAY(&session->arena, uint32_t, list.len);
    out->scores = HTI_ARENA_ARRAY(&session->arena, double, list.len);
    if (!out->docs || !out->scores) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < list.len; i++) {
        out->docs[i] = list.hits[i].doc;
        out->scores[i] = list.hits[i].score;
    }
    for (int s = 0; s < HTI_N_SIGNALS; s++) {
        out->signals[s] = HTI_ARENA_ARRAY(&session->arena, double, list.len);
        if (!out->signals[s]) return HTI_NO_MEMORY(err);
        for (size_t i = 0; i < list.len; i++) out->signals[s][i] = (double)NAN;
    }
    return HT_OK;
}

static ht_status single_mode(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                             ranking *out, ht_error *err)
{
    const int signal = opts->mode == HT_MODE_BM25 ? HTI_BM25 : opts->mode == HT_MODE_DENSE ? HTI_COSINE : HTI_MAXSIM;
    hit_list list;
    HT_TRY(first_stage(session, query, opts, signal, opts->k, &list, err));
    HT_TRY(make_ranking(session, list, out, err));
    memcpy(out->signals[signal], out->scores, out->len * sizeof *out->scores);
    return HT_OK;
}

/* Fuses the window-deep lists of the first n_signals signals into the best k. */
static ht_status fused_stage(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                             int n_signals, size_t k, hit_list *out, ht_error *err)
{
    ht_hit_list lists[HTI_N_SIGNALS];
    for (int s = 0; s < n_signals; s++) {
        hit_list list;
        HT_TRY(first_stage(session, query, opts, s, HTI_MAX(k, (size_t)WINDOW), &list, err));
        lists[s] = (ht_hit_list){list.hits, list.len};
    }
    HT_TRY(room_for_hits(session, k, out, err));
    ht_fusion_opts fusion;
    ht_fusion_opts_init(&fusion);
    fusion.method = opts->mode == HT_MODE_RRF ? HT_FUSION_RRF : HT_FUSION_MINMAX;
    fusion.rrf_k = opts->rrf_k;
    const uint64_t since = hti_clock_ns();
    const size_t cap = out->len;
    out->len = 0;
    if (cap > 0) HT_TRY(ht_fuse_hits(lists, (size_t)n_signals, &fusion, out->hits, cap, &out->len, err));
    clock_into(&session->timing.fuse_ns, since);
    return HT_OK;
}

static ht_status rrf_mode(ht_search_session *session, const hti_query *query, const ht_search_opts *opts, ranking *out,
                          ht_error *err)
{
    hit_list fused;
    HT_TRY(fused_stage(session, query, opts, HTI_N_SIGNALS, opts->k, &fused, err));
    return make_ranking(session, fused, out, err);
}

/* Adds (value - min) / (max - min) / n_signals of one signal to every score; equal values count 1, as in fusion. */
static void add_normalised(ranking *ranked, const double *values)
{
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (size_t i = 0; i < ranked->len; i++) {
        if (!isfinite(values[i])) continue; /* a document without vectors */
        least = HTI_MIN(least, values[i]);
        most = HTI_MAX(most, values[i]);
    }
    for (size_t i = 0; i < ranked->len; i++) {
        if (!isfinite(values[i])) continue;
        const double share = most > least ? (values[i] - least) / (most - least) : 1.0;
        ranked->scores[i] += share / HTI_N_SIGNALS;
    }
}

static ht_status hybrid_mode(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                             ranking *out, ht_error *err)
{
    hit_list candidates;
    HT_TRY(fused_stage(session, query, opts, HTI_MAXSIM, HTI_MAX(opts->k, opts->rerank_depth), &candidates, err));
    HT_TRY(make_ranking(session, candidates, out, err));
    for (size_t i = 0; i < out->len; i++) out->scores[i] = 0;
    for (int s = 0; s < HTI_N_SIGNALS; s++) {
        HT_TRY(score_docs(session, query, opts, s, out->docs, out->len, out->signals[s], err));
        add_normalised(out, out->signals[s]);
    }
    return HT_OK;
}

static ht_status rerank_mode(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                             ranking *out, ht_error *err)
{
    hit_list list;
    HT_TRY(first_stage(session, query, opts, HTI_BM25, opts->rerank_depth, &list, err));
    HT_TRY(make_ranking(session, list, out, err));
    memcpy(out->signals[HTI_BM25], out->scores, out->len * sizeof *out->scores);
    HT_TRY(score_docs(session, query, opts, HTI_MAXSIM, out->docs, out->len, out->scores, err));
    memcpy(out->signals[HTI_MAXSIM], out->scores, out->len * sizeof *out->scores);
    return HT_OK;
}

typedef ht_status (*mode_fn)(ht_search_session *, const hti_query *, const ht_search_opts *, ranking *, ht_error *);
typedef struct mode_row {
    mode_fn run;
    bool needs_lexical, needs_vectors;
} mode_row;
static const mode_row modes[] = {
    [HT_MODE_BM25] = {single_mode, true, false},   [HT_MODE_DENSE] = {single_mode, false, true},
    [HT_MODE_MAXSIM] = {single_mode, false, true}, [HT_MODE_RRF] = {rrf_mode, true, true},
    [HT_MODE_HYBRID] = {hybrid_mode, true, true},  [HT_MODE_RERANK] = {rerank_mode, true, true},
};

/* ---- the result ---- */

static ht_status fetch(ht_search_session *session, const ht_search_opts *opts, ht_search_hit *hit, ht_error *err)
{
    hti_store *store = session->collection->store;
    if (!opts->with_fields && !opts->explain) return hti_store_doc_id(store, hit->doc, &session->arena, &hit->id, err);
    hti_doc doc;
    HT_TRY(hti_store_doc(store, hit->doc, &session->arena, &doc, err));
    hit->id = doc.id;
    hit->title = doc.title;
    hit->text = doc.text;
    return HT_OK;
}

/* The best k of the ranking, fetched: higher score first, then the order of the first stage. */
static ht_status finish(ht_search_session *session, const ranking *ranked, const ht_search_opts *opts,
                        ht_search_hit **out, size_t *n_out, ht_error *err)
{
    const size_t k = HTI_MIN(opts->k, ranked->len);
    ht_hit *order = HTI_ARENA_ARRAY(&session->arena, ht_hit, k);
    ht_search_hit *hits = HTI_ARENA_ARRAY(&session->arena, ht_search_hit, k);
    if (!order || !hits) return HTI_NO_MEMORY(err);
    hti_topk topk;
    hti_topk_init(&topk, order, k);
    for (size_t i = 0; i < ranked->len; i++) (void)hti_topk_push(&topk, ranked->scores[i], (uint32_t)i);
    *n_out = hti_topk_finish(&topk);
    const uint64_t since = hti_clock_ns();
    for (size_t i = 0; i < *n_out; i++) {
        const uint32_t at = order[i].doc;
        hits[i] = (ht_search_hit){.doc = ranked->docs[at],
                                  .score = order[i].score,
                                  .bm25 = ranked->signals[HTI_BM25][at],
                                  .cosine = ranked->signals[HTI_COSINE][at],
                                  .maxsim = ranked->signals[HTI_MAXSIM][at]};
        HT_TRY(fetch(session, opts, &hits[i], err));
    }
    clock_into(&session->timing.fetch_ns, since);
    *out = hits;
    return HT_OK;
}

static ht_status search_one(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                            ht_error *err)
{
    hti_arena_reset(&session->arena);
    session->result = (ht_search_result){.n_hits = 0};
    ranking ranked;
    ht_search_hit *hits;
    size_t n_hits;
    HT_TRY(modes[opts->mode].run(session, query, opts, &ranked, err));
    HT_TRY(finish(session, &ranked, opts, &hits, &n_hits, err));
    if (opts->explain) HT_TRY(hti_explain_hits(session, query, opts, hits, n_hits, err));
    session->result.n_hits = n_hits;
    session->result.hits = hits;
    return HT_OK;
}

/* ---- from text to queries ---- */

static ht_status check_mode(const ht_search_session *session, const ht_search_opts *opts, ht_error *err)
{
    if ((size_t)opts->mode >= HTI_LEN(modes)) return HT_FAIL(err, INVALID, "no search mode %d", (int)opts->mode);
    const mode_row *row = &modes[opts->mode];
    const char *name = ht_mode_name(opts->mode);
    if (row->needs_lexical && !session->lexical)
        return HT_FAIL(err, UNSUPPORTED, "mode %s needs a lexical index; this collection was made with --no-lexical",
                       name);
    if (row->needs_vectors && !session->plaid)
        return HT_FAIL(err, UNSUPPORTED,
                       "mode %s needs vectors; this collection was made with --no-vectors (bm25 works)", name);
    return HT_OK;
}

static ht_status need_encoder(ht_search_session *session, ht_error *err)
{
    if (session->encoder) return HT_OK;
    const ht_encoder *encoder;
    HT_TRY(hti_collection_encoder(session->collection, &encoder, err));
    return ht_encoder_session_new(encoder, &session->encoder, err);
}

static ht_status encode_queries(ht_search_session *session, const ht_text *texts, size_t n, hti_query *queries,
                                ht_error *err)
{
    HT_TRY(need_encoder(session, err));
    ht_encoder_input inputs[QUERY_BATCH];
    for (size_t i = 0; i < n; i++) inputs[i] = (ht_encoder_input){.text = texts[i]};
    const ht_encoding *made;
    HT_TRY(ht_encoder_encode(session->encoder, HT_ROLE_QUERY, inputs, n, NULL, &made, err));
    for (size_t i = 0; i < n; i++) {
        const size_t first = made->offsets[i];
        queries[i].vectors = made->vectors + first * made->dim;
        queries[i].pooled = made->pooled + i * made->dim;
        queries[i].n_vectors = made->offsets[i + 1] - first;
        queries[i].token_ids = made->token_ids + first;
    }
    return HT_OK;
}

static ht_status search_batch(ht_search_session *session, const ht_text *texts, size_t n, const ht_search_opts *opts,
                              size_t first, ht_result_fn fn, void *ud, ht_error *err)
{
    hti_query queries[QUERY_BATCH];
    memset(queries, 0, sizeof queries);
    for (size_t i = 0; i < n; i++) queries[i].text = texts[i];
    const uint64_t start = hti_clock_ns();
    if (modes[opts->mode].needs_vectors) HT_TRY(encode_queries(session, texts, n, queries, err));
    const uint64_t encode_ns = (hti_clock_ns() - start) / n;
    for (size_t i = 0; i < n; i++) {
        const uint64_t since = hti_clock_ns();
        session->timing = (ht_search_timing){.encode_ns = encode_ns};
        HT_TRY(search_one(session, &queries[i], opts, err));
        session->timing.total_ns = encode_ns + (hti_clock_ns() - since);
        session->result.timing = session->timing;
        if (fn) HT_TRY(fn(ud, first + i, &session->result, err));
    }
    return HT_OK;
}

ht_status ht_search_many(ht_search_session *session, const ht_text *queries, size_t n_queries,
                         const ht_search_opts *opts, const ht_monitor *monitor, ht_result_fn fn, void *ud,
                         ht_error *err)
{
    ht_search_opts mine;
    ht_search_opts_init(&mine);
    if (opts) memcpy(&mine, opts, HTI_MIN(opts->size, sizeof mine));
    HT_TRY(check_mode(session, &mine, err));
    for (size_t i = 0; i < n_queries; i++)
        if (hti_utf8_valid(queries[i]) != queries[i].len)
            return HT_FAIL(err, PARSE, "query %zu: byte %zu is not valid UTF-8", i + 1, hti_utf8_valid(queries[i]));
    for (size_t at = 0; at < n_queries; at += QUERY_BATCH) {
        if (monitor && monitor->cancelled && monitor->cancelled(monitor->ud))
            return HT_FAIL(err, CANCELLED, "cancelled");
        const size_t n = HTI_MIN(n_queries - at, (size_t)QUERY_BATCH);
        HT_TRY(search_batch(session, queries + at, n, &mine, at, fn, ud, err));
        if (monitor && monitor->progress) monitor->progress(monitor->ud, "search", at + n, n_queries);
    }
    return HT_OK;
}

ht_status ht_search(ht_search_session *session, ht_text query, const ht_search_opts *opts, const ht_search_result **out,
                    ht_error *err)
{
    *out = NULL;
    HT_TRY(ht_search_many(session, &query, 1, opts, NULL, NULL, NULL, err));
    *out = &session->result;
    return HT_OK;
}
