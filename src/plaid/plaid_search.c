/*
 * plaid_search.c - sessions: exhaustive MaxSim and pooled search, scores of a list, matches of a document.
 *
 *     score(q, d) = sum over query vectors t of max over vectors j of d of q_t . d_j     (ColBERT, SIGIR 2020)
 *
 * Workload: 1,400 to some 100,000 documents of 176 vectors against 23 query vectors; some microseconds a
 * document. Chunks of 64 documents (1,024 pooled vectors) go over the pool; each thread keeps its own top k.
 * Determinism: a document's score does not depend on its chunk, and the order (score, then ordinal) is total, so
 * the k best of all threads' k best are one set, whichever thread saw which chunk.
 * Thread rule: a session has one thread; the index under it is shared. The second identical call allocates
 * nothing: buffers only grow.
 * Easy to get wrong: a document without vectors never enters a result, but keeps its place in a list of scores.
 */
#include "plaid_int.h"

#include <math.h>
#include <string.h>

enum { CHUNK_DOCS = 64, CHUNK_POOLED = 1024 };

/* A thread's k best; apart from its neighbours by a cache line. */
typedef struct collector {
    _Alignas(64) hti_topk topk;
} collector;

struct ht_plaid_session {
    const ht_plaid *plaid;
    ht_pool *pool;
    hti_vector_query query;
    void *memory; /* of the prepared query, or the padded pooled query */
    size_t cap_memory;
    collector *collectors; /* [n_threads] */
    size_t n_threads;
    ht_hit *hits; /* [n_threads][k] */
    size_t cap_hits;
    hti_row_match *matches;
    size_t cap_matches;
};

ht_status ht_plaid_session_new(const ht_plaid *plaid, ht_pool *pool, ht_plaid_session **out, ht_error *err)
{
    *out = NULL;
    ht_plaid_session *session = HTI_NEW(ht_plaid_session);
    if (!session) return HTI_NO_MEMORY(err);
    session->plaid = plaid;
    session->pool = pool;
    session->query.kernels = hti_maxsim();
    session->n_threads = ht_pool_threads(pool);
    session->collectors = HTI_NEW_ARRAY(collector, session->n_threads);
    if (!session->collectors) {
        ht_plaid_session_free(session);
        return HTI_NO_MEMORY(err);
    }
    *out = session;
    return HT_OK;
}

void ht_plaid_session_free(ht_plaid_session *session)
{
    if (!session) return;
    hti_free(session->memory);
    hti_free(session->collectors);
    hti_free(session->hits);
    hti_free(session->matches);
    hti_free(session);
}

/* ---- the query ---- */

static bool all_finite(const float *values, size_t n)
{
    unsigned n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += isfinite(values[i]) ? 0 : 1;
    return n_bad == 0;
}

static ht_status grow_memory(ht_plaid_session *session, size_t size_bytes, ht_error *err)
{
    return hti_reserve(&session->memory, &session->cap_memory, size_bytes, 1, err);
}

static ht_status prepare_query(ht_plaid_session *session, const float *query, size_t n_query, ht_error *err)
{
    const ht_plaid *plaid = session->plaid;
    if (n_query == 0) return HT_FAIL(err, INVALID, "a query without vectors: give at least one");
    HT_TRY(grow_memory(session, plaid->store->query_bytes(n_query, plaid->dim), err));
    for (size_t t = 0; t < n_query; t++)
        if (!all_finite(query + t * plaid->dim, plaid->dim))
            return HT_FAIL(err, INVALID, "query vector %zu has a component that is not finite", t);
    plaid->store->prepare(query, n_query, plaid->dim, session->memory, &session->query);
    return HT_OK;
}

static ht_status prepare_pooled(ht_plaid_session *session, const float *query, ht_error *err)
{
    const ht_plaid *plaid = session->plaid;
    const size_t width = hti_f32_row_floats(plaid->dim);
    if (!plaid->has_pooled)
        return HT_FAIL(err, UNSUPPORTED, "this index has no pooled vectors; build it with them to search by them");
    HT_TRY(grow_memory(session, width * sizeof(float), err));
    if (!all_finite(query, plaid->dim))
        return HT_FAIL(err, INVALID, "the pooled query vector has a component that is not finite");
    memset(session->memory, 0, width * sizeof(float));
    memcpy(session->memory, query, plaid->dim * sizeof(float));
    return HT_OK;
}

/* ---- documents of a chunk ---- */

/* Up to CHUNK_DOCS documents of one segment, waiting to be scored together. */
typedef struct batch {
    const hti_plaid_segment *segment;
    size_t n;
    hti_row_span rows[CHUNK_DOCS];
    size_t place[CHUNK_DOCS]; /* where the score goes: an ordinal, or an index of the caller's list */
    double scores[CHUNK_DOCS];
} batch;

static void score_batch(const ht_plaid_session *session, batch *now)
{
    if (now->n) session->plaid->store->score_docs(&session->query, &now->segment->rows, now->rows, now->n, now->scores);
}

/* ---- searching ---- */

typedef struct search_task {
    ht_plaid_session *session;
    const uint64_t *deleted;
    size_t k;
} search_task;

static ht_status start_collectors(ht_plaid_session *session, size_t k, ht_error *err)
{
    HT_TRY(hti_reserve(&session->hits, &session->cap_hits, hti_mul(session->n_threads, k), sizeof *session->hits, err));
    for (size_t i = 0; i < session->n_threads; i++)
        hti_topk_init(&session->collectors[i].topk, session->hits ? session->hits + i * k : NULL, k);
    return HT_OK;
}

/* The k best of what all threads kept, into the caller's hits. */
static void merge_collectors(const ht_plaid_session *session, size_t k, ht_hit *hits, size_t *n_hits)
{
    hti_topk best;
    hti_topk_init(&best, hits, k);
    for (size_t i = 0; i < session->n_threads; i++) {
        const hti_topk *kept = &session->collectors[i].topk;
        for (size_t h = 0; h < kept->len; h++) (void)hti_topk_push(&best, kept->hits[h].score, kept->hits[h].doc);
    }
    *n_hits = hti_topk_finish(&best);
}

static bool is_deleted(const search_task *task, size_t doc)
{
    return task->deleted && hti_bits_get(task->deleted, doc);
}

/* Scores what is gathered, offers it and starts the batch again. */
static void collect_batch(const search_task *task, batch *now, hti_topk *topk)
{
    score_batch(task->session, now);
    for (size_t i = 0; i < now->n; i++)
        if (now->scores[i] > (double)-INFINITY) (void)hti_topk_push(topk, now->scores[i], (uint32_t)now->place[i]);
    now->n = 0;
}

static ht_status search_chunk(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    (void)err;
    const search_task *task = ud;
    const ht_plaid *plaid = task->session->plaid;
    hti_topk *topk = &task->session->collectors[thread].topk;
    const size_t first = chunk * CHUNK_DOCS, end = HTI_MIN(first + CHUNK_DOCS, (size_t)plaid->n_docs);
    batch now = {.segment = hti_plaid_segment_of(plaid, (uint32_t)first)};
    for (size_t doc = first; doc < end; doc++) {
        if (doc - now.segment->first_doc >= now.segment->n_docs) {
            collect_batch(task, &now, topk);
            now.segment = hti_plaid_segment_of(plaid, (uint32_t)doc);
        }
        const hti_row_span rows = hti_plaid_doc_rows(now.segment, (uint32_t)(doc - now.segment->first_doc));
        if (rows.n == 0 || is_deleted(task, doc)) continue;
        now.rows[now.n] = rows;
        now.place[now.n++] = doc;
    }
    collect_batch(task, &now, topk);
    return HT_OK;
}

static ht_status pooled_chunk(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    (void)err;
    const search_task *task = ud;
    const ht_plaid *plaid = task->session->plaid;
    hti_topk *topk = &task->session->collectors[thread].topk;
    const size_t width = hti_f32_row_floats(plaid->dim),
                 end = HTI_MIN((chunk + 1) * CHUNK_POOLED, (size_t)plaid->n_docs);
    float scores[CHUNK_POOLED];
    for (size_t doc = chunk * CHUNK_POOLED, n; doc < end; doc += n) {
        const hti_plaid_segment *segment = hti_plaid_segment_of(plaid, (uint32_t)doc);
        const size_t at = doc - segment->first_doc;
        n = HTI_MIN(end - doc, segment->n_docs - at);
        task->session->query.kernels->dots_f32(task->session->memory, segment->pooled + at * width, n, width, scores);
        for (size_t i = 0; i < n; i++)
            if (!is_deleted(task, doc + i)) (void)hti_topk_push(topk, (double)scores[i], (uint32_t)(doc + i));
    }
    return HT_OK;
}

static size_t n_chunks_of(size_t n, size_t chunk) { return n / chunk + (n % chunk != 0); }

static ht_status run_search(search_task *task, hti_chunk_fn fn, size_t chunk, ht_hit *hits, size_t *n_hits,
                            ht_error *err)
{
    ht_plaid_session *session = task->session;
    task->k = HTI_MIN(task->k, (size_t)session->plaid->n_docs);
    HT_TRY(start_collectors(session, task->k, err));
    HT_TRY(hti_pool_run(session->pool, n_chunks_of(session->plaid->n_docs, chunk), fn, task, err));
    merge_collectors(session, task->k, hits, n_hits);
    return HT_OK;
}

ht_status ht_plaid_search(ht_plaid_session *session, const float *query, size_t n_query, const uint64_t *deleted,
                          size_t k, ht_hit *hits, size_t *n_hits, ht_error *err)
{
    *n_hits = 0;
    if (session->plaid->n_segments == 0) return HT_OK;
    HT_TRY(prepare_query(session, query, n_query, err));
    search_task task = {session, deleted, k};
    return run_search(&task, search_chunk, CHUNK_DOCS, hits, n_hits, err);
}

ht_status ht_plaid_search_pooled(ht_plaid_session *session, const float *query, const uint64_t *deleted, size_t k,
                                 ht_hit *hits, size_t *n_hits, ht_error *err)
{
    *n_hits = 0;
    if (session->plaid->n_segments == 0) return HT_OK;
    HT_TRY(prepare_pooled(session, query, err));
    search_task task = {session, deleted, k};
    return run_search(&task, pooled_chunk, CHUNK_POOLED, hits, n_hits, err);
}

/* ---- scoring a list ---- */

typedef struct list_task {
    ht_plaid_session *session;
    const uint32_t *docs; /* [n_docs] */
    size_t n_docs;
    double *scores; /* [n_docs] */
} list_task;

static ht_status check_list(const ht_plaid *plaid, const uint32_t *docs, size_t n_docs, ht_error *err)
{
    for (size_t i = 0; i < n_docs; i++)
        if (docs[i] >= plaid->n_docs)
            return HT_FAIL(err, INVALID, "document %u at place %zu: the index has %u documents", docs[i], i,
                           plaid->n_docs);
    return HT_OK;
}

static void place_batch(const list_task *task, batch *now)
{
    score_batch(task->session, now);
    for (size_t i = 0; i < now->n; i++) task->scores[now->place[i]] = now->scores[i];
    now->n = 0;
}

static ht_status score_chunk(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    (void)thread;
    (void)err;
    const list_task *task = ud;
    const size_t end = HTI_MIN((chunk + 1) * CHUNK_DOCS, task->n_docs);
    batch now = {.segment = hti_plaid_segment_of(task->session->plaid, task->docs[chunk * CHUNK_DOCS])};
    for (size_t i = chunk * CHUNK_DOCS; i < end; i++) {
        const hti_plaid_segment *segment = hti_plaid_segment_of(task->session->plaid, task->docs[i]);
        if (segment != now.segment) place_batch(task, &now);
        now.segment = segment;
        now.rows[now.n] = hti_plaid_doc_rows(segment, task->docs[i] - segment->first_doc);
        now.place[now.n++] = i;
    }
    place_batch(task, &now);
    return HT_OK;
}

static ht_status score_pooled_chunk(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    (void)thread;
    (void)err;
    const list_task *task = ud;
    const ht_plaid *plaid = task->session->plaid;
    const size_t width = hti_f32_row_floats(plaid->dim), end = HTI_MIN((chunk + 1) * CHUNK_POOLED, task->n_docs);
    for (size_t i = chunk * CHUNK_POOLED; i < end; i++) {
        const hti_plaid_segment *segment = hti_plaid_segment_of(plaid, task->docs[i]);
        const float *row = segment->pooled + (size_t)(task->docs[i] - segment->first_doc) * width;
        float score;
        task->session->query.kernels->dots_f32(task->session->memory, row, 1, width, &score);
        task->scores[i] = (double)score;
    }
    return HT_OK;
}

ht_status ht_plaid_score(ht_plaid_session *session, const float *query, size_t n_query, const uint32_t *docs,
                         size_t n_docs, double *scores, ht_error *err)
{
    HT_TRY(check_list(session->plaid, docs, n_docs, err));
    if (n_docs == 0) return HT_OK;
    HT_TRY(prepare_query(session, query, n_query, err));
    list_task task = {.session = session, .docs = docs, .n_docs = n_docs};
    task.scores = scores;
    return hti_pool_run(session->pool, n_chunks_of(n_docs, CHUNK_DOCS), score_chunk, &task, err);
}

ht_status ht_plaid_score_pooled(ht_plaid_session *session, const float *query, const uint32_t *docs, size_t n_docs,
                                double *scores, ht_error *err)
{
    HT_TRY(check_list(session->plaid, docs, n_docs, err));
    if (n_docs == 0) return HT_OK;
    HT_TRY(prepare_pooled(session, query, err));
    list_task task = {.session = session, .docs = docs, .n_docs = n_docs};
    task.scores = scores;
    return hti_pool_run(session->pool, n_chunks_of(n_docs, CHUNK_POOLED), score_pooled_chunk, &task, err);
}

ht_status ht_plaid_matches(ht_plaid_session *session, const float *query, size_t n_query, uint32_t doc,
                           ht_plaid_match *matches, ht_error *err)
{
    HT_TRY(check_list(session->plaid, &doc, 1, err));
    const hti_plaid_segment *segment = hti_plaid_segment_of(session->plaid, doc);
    const hti_row_span rows = hti_plaid_doc_rows(segment, doc - segment->first_doc);
    if (rows.n == 0) return HT_FAIL(err, INVALID, "document %u has no vectors to match", doc);
    HT_TRY(prepare_query(session, query, n_query, err));
    HT_TRY(hti_reserve(&session->matches, &session->cap_matches, n_query, sizeof *session->matches, err));
    session->plaid->store->matches(&session->query, &segment->rows, rows, session->matches);
    for (size_t t = 0; t < n_query; t++)
        matches[t] = (ht_plaid_match){session->matches[t].row, session->matches[t].score};
    return HT_OK;
}
