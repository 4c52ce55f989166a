/*
 * index.c - indexes as classes: token vectors and BM25.
 *
 * TokenIndex(path) opens PATH.vectors and PATH.ids; TokenIndex(passages) and BM25Index(passages) build their index at
 * the first call, in a file without a name. So an index that stands in a folder travels by its path alone.
 */
#include "index.h"

#include <stdio.h>

/* ---- files ---- */

char *hti_index_path(const char *path, const char *suffix)
{
    const size_t len = strlen(path), more = strlen(suffix) + 1;
    char *whole = hti_alloc(hti_add(len, more));
    if (!whole) return NULL;
    memcpy(whole, path, len);
    memcpy(whole + len, suffix, more);
    return whole;
}

/* A name that nobody else has, under TMPDIR or /tmp. */
static void temporary_path(char *path, size_t cap)
{
    static uint64_t counter;
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, cap, "%.900s/hound-%lld-%llu-%llu", dir && *dir ? dir : "/tmp", (long long)hti_process_id(),
                   (unsigned long long)hti_clock_ns(),
                   (unsigned long long)__atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
}

/* ---- building token vectors ---- */

static ht_status add_passage(ht_plaid_builder *builder, ht_value passage, uint32_t dim, bool has_pooled, ht_error *err)
{
    const ht_value embedding = hti_field(passage, "embedding");
    const ht_tensor *vectors = ht_value_tensor_view(hti_field(embedding, "vectors"));
    const ht_tensor *pooled = ht_value_tensor_view(hti_field(embedding, "pooled"));
    if (!vectors || vectors->element != HT_F32 || vectors->n_dims != 2 || vectors->shape[1] != (int64_t)dim ||
        (has_pooled && (!pooled || pooled->element != HT_F32 || pooled->n != dim)))
        return HT_FAIL(err, INVALID,
                       has_pooled ? "an embedding is {vectors: [n, %u] f32, pooled: [%u] f32}"
                                  : "an embedding is {vectors: [n, %u] f32}, as the first is",
                       dim, dim);
    return ht_plaid_builder_add(builder, vectors->data, (size_t)vectors->shape[0], has_pooled ? pooled->data : NULL,
                                err);
}

static ht_status add_passages(ht_plaid_builder *builder, ht_value passages, const ht_plaid_build_opts *opts,
                              ht_value *ids, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(passages, &n);
    ht_value *names = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = names ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        ht_text id;
        status = hti_text_field(items[i], "uuid", "a passage", &id, err);
        if (status == HT_OK) status = add_passage(builder, items[i], opts->dim, opts->has_pooled, err);
        names[i] = hti_field(items[i], "uuid");
        if (status != HT_OK) status = hti_fail_context(err, status, "passage %zu", i);
    }
    if (status == HT_OK) status = ht_value_list(names, n, ids, err);
    hti_free(names);
    return status;
}

ht_status hti_index_build(const char *path, ht_value passages, ht_value *ids, ht_error *err)
{
    ht_plaid_build_opts opts;
    ht_plaid_builder *builder;
    size_t n;
    const ht_value *items = ht_value_items(passages, &n);
    const ht_tensor *first = n ? ht_value_tensor_view(hti_field(hti_field(items[0], "embedding"), "vectors")) : NULL;
    *ids = ht_value_null();
    if (passages.kind != HT_KIND_LIST || (n && (!first || first->n_dims != 2)))
        return HT_FAIL(err, INVALID, "encoded passages are a list of {uuid, embedding}");
    ht_plaid_build_opts_init(&opts);
    opts.dim = first ? (uint32_t)first->shape[1] : 1;
    opts.has_pooled = !first || hti_field(hti_field(items[0], "embedding"), "pooled").kind != HT_KIND_NULL;
    HT_TRY(ht_plaid_builder_new(path, &opts, &builder, err));
    const ht_status status = add_passages(builder, passages, &opts, ids, err);
    if (status != HT_OK) {
        ht_plaid_builder_abort(builder);
        return status;
    }
    return ht_plaid_builder_finish(builder, NULL, err);
}

/* ---- TokenIndex ---- */

typedef struct token_index {
    ht_plaid *plaid;
    ht_plaid_session *session;
    ht_value ids; /* list of strings */
    hti_map numbers;
    uint32_t dim;
    size_t n;
} token_index;

static void token_fini(void *self)
{
    token_index *t = self;
    ht_plaid_session_free(t->session);
    if (t->plaid) ht_plaid_close(t->plaid);
    ht_value_release(t->ids);
    hti_map_deinit(&t->numbers);
    hti_free(t);
}

static ht_status read_ids(const char *path, ht_value *out, ht_error *err)
{
    hti_buffer bytes;
    char *whole = hti_index_path(path, ".ids");
    if (!whole) return HTI_NO_MEMORY(err);
    hti_buffer_init(&bytes);
    ht_status status = hti_read_file(whole, SIZE_MAX, &bytes, err);
    if (status == HT_OK) {
        status = ht_value_decode(bytes.data, bytes.len, NULL, out, err);
        if (status != HT_OK) status = hti_fail_context(err, HT_CORRUPT, "%s", whole);
    }
    hti_buffer_deinit(&bytes);
    hti_free(whole);
    return status;
}

static ht_status fail_twice(ht_text id, ht_error *err)
{
    return HT_FAIL(err, EXISTS, "the passage '%.200s' stands twice", id.data);
}

static ht_status open_vectors(token_index *t, const char *file, ht_error *err)
{
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    HT_TRY(ht_plaid_open(&file, 1, &t->plaid, err));
    HT_TRY(ht_plaid_session_new(t->plaid, NULL, &t->session, err));
    ht_plaid_get_info(t->plaid, &info);
    t->dim = info.dim;
    const ht_value *ids = ht_value_items(t->ids, &t->n);
    if (t->n != info.n_docs)
        return HT_FAIL(err, CORRUPT, "%s: %llu documents, %zu ids", file, (unsigned long long)info.n_docs, t->n);
    for (size_t i = 0; i < t->n; i++) {
        uint32_t entry;
        bool inserted;
        HT_TRY(hti_map_put(&t->numbers, ht_value_text(ids[i]), (uint32_t)i, &entry, &inserted, err));
        if (!inserted) return fail_twice(ht_value_text(ids[i]), err);
    }
    return HT_OK;
}

static ht_status token_open(token_index *t, ht_value args, ht_error *err)
{
    const char *path = ht_value_text(hti_field(args, "path")).data;
    const ht_value passages = hti_field(args, "passages");
    char temporary[1000];
    if (!*path && passages.kind != HT_KIND_LIST)
        return HT_FAIL(err, INVALID, "a TokenIndex needs a path or encoded passages");
    if (*path) {
        char *file = hti_index_path(path, ".vectors");
        ht_status status = file ? read_ids(path, &t->ids, err) : HTI_NO_MEMORY(err);
        if (status == HT_OK) status = open_vectors(t, file, err);
        hti_free(file);
        return status;
    }
    temporary_path(temporary, sizeof temporary);
    ht_status status = hti_index_build(temporary, passages, &t->ids, err);
    if (status == HT_OK) status = open_vectors(t, temporary, err);
    hti_discard(temporary);
    return status;
}

static ht_status token_init(void **self, ht_value args, ht_error *err)
{
    token_index *t = HTI_NEW(token_index);
    if (!t) return HTI_NO_MEMORY(err);
    t->ids = ht_value_null();
    hti_map_init(&t->numbers);
    const ht_status status = token_open(t, args, err);
    if (status == HT_OK)
        *self = t;
    else
        token_fini(t);
    return status;
}

static ht_status query_of(const token_index *t, ht_value embedding, const char *what, uint32_t n_dims,
                          const ht_tensor **out, ht_error *err)
{
    *out = ht_value_tensor_view(hti_field(embedding, what));
    if (!*out || (*out)->element != HT_F32 || (*out)->n_dims != n_dims || (*out)->shape[n_dims - 1] != (int64_t)t->dim)
        return HT_FAIL(err, INVALID, "a query's embedding has %s of %u float32 each", what, t->dim);
    return HT_OK;
}

static ht_status search_how(token_index *t, const ht_value *in, bool pooled, ht_value *out, ht_error *err)
{
    const ht_tensor *query;
    size_t k, n_ids, n_hits = 0;
    HT_TRY(hti_count_of(in[1], "k", 0, &k, err));
    if (k == 0 || t->n == 0) return ht_value_list(NULL, 0, out, err);
    HT_TRY(query_of(t, in[0], pooled ? "pooled" : "vectors", pooled ? 1 : 2, &query, err));
    ht_hit *hits = HTI_NEW_ARRAY(ht_hit, HTI_MIN(k, t->n));
    if (!hits) return HTI_NO_MEMORY(err);
    ht_status status = pooled
                           ? ht_plaid_search_pooled(t->session, query->data, NULL, HTI_MIN(k, t->n), hits, &n_hits, err)
                           : ht_plaid_search(t->session, query->data, (size_t)query->shape[0], NULL, HTI_MIN(k, t->n),
                                             hits, &n_hits, err);
    if (status == HT_OK) status = hti_hits_value(hits, n_hits, ht_value_items(t->ids, &n_ids), out, err);
    hti_free(hits);
    return status;
}

static ht_status search_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    return search_how(self, in, false, out, err);
}
static ht_status search_pooled_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    return search_how(self, in, true, out, err);
}

/* Higher score first, then the earlier hit. */
static void sort_hits(ht_hit *hits, size_t n)
{
    for (size_t i = 1; i < n; i++) { /* insertion: lists are short and nearly in order */
        const ht_hit hit = hits[i];
        size_t at = i;
        for (; at > 0 && hits[at - 1].score < hit.score; at--) hits[at] = hits[at - 1];
        hits[at] = hit;
    }
}

static ht_status score_hits(token_index *t, const ht_tensor *query, uint32_t *docs, ht_hit *hits, size_t n,
                            ht_error *err)
{
    double *scores = HTI_NEW_ARRAY(double, n);
    if (!scores) return HTI_NO_MEMORY(err);
    const ht_status status = ht_plaid_score(t->session, query->data, (size_t)query->shape[0], docs, n, scores, err);
    for (size_t i = 0; status == HT_OK && i < n; i++) hits[i] = (ht_hit){scores[i], docs[i]};
    hti_free(scores);
    return status;
}

/* rerank(embedding, hits, k): the k best of the first hits by MaxSim. */
static ht_status rerank_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    token_index *t = self;
    const ht_tensor *query;
    size_t n, k, n_ids;
    const ht_value *items = ht_value_items(in[1], &n);
    HT_TRY(hti_count_of(in[2], "k", 0, &k, err));
    n = HTI_MIN(n, k);
    if (n == 0) return ht_value_list(NULL, 0, out, err);
    HT_TRY(query_of(t, in[0], "vectors", 2, &query, err));
    uint32_t *docs = HTI_NEW_ARRAY(uint32_t, n);
    ht_hit *hits = HTI_NEW_ARRAY(ht_hit, n);
    ht_status status = docs && hits ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        ht_text id;
        status = hti_text_field(items[i], "id", "a hit", &id, err);
        if (status == HT_OK) docs[i] = hti_map_get(&t->numbers, id, UINT32_MAX);
        if (status == HT_OK && docs[i] == UINT32_MAX)
            status = HT_FAIL(err, NOT_FOUND, "no passage '%.*s' in the index", (int)HTI_MIN(id.len, 200), id.data);
    }
    if (status == HT_OK) status = score_hits(t, query, docs, hits, n, err);
    if (status == HT_OK) {
        sort_hits(hits, n);
        status = hti_hits_value(hits, n, ht_value_items(t->ids, &n_ids), out, err);
    }
    hti_free(docs);
    hti_free(hits);
    return status;
}

static ht_status search_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    return hti_rows_by_row(search_row, self, n, in, 2, out, err);
}
static ht_status search_pooled_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    return hti_rows_by_row(search_pooled_row, self, n, in, 2, out, err);
}
static ht_status rerank_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    return hti_rows_by_row(rerank_row, self, n, in, 3, out, err);
}

static const ht_method token_methods[] = {
    {"search", 2, {.row = search_row, .batch = search_batch}},
    {"search_pooled", 2, {.row = search_pooled_row, .batch = search_pooled_batch}},
    {"rerank", 3, {.row = rerank_row, .batch = rerank_batch, .over = 3}},
};
static const ht_parameter token_parameters[] = {
    {"path", "path", "\"\"", "of an index made by build_vector_index, without its suffix"},
    {"passages", "any", "null", "instead: encoded passages, indexed at the first call"},
};
const ht_class hti_token_index_class = {HT_DESC(ht_class),
                                        .name = "TokenIndex",
                                        .init = token_init,
                                        .fini = token_fini,
                                        .methods = token_methods,
                                        .n_methods = HTI_LEN(token_methods),
                                        .version = "1",
                                        .summary = "exhaustive MaxSim over int8 token vectors",
                                        .parameters = token_parameters,
                                        .n_parameters = HTI_LEN(token_parameters)};

/* ---- BM25Index ---- */

typedef struct bm25_index {
    ht_lexical *lexical;
    ht_lexical_session *session;
    ht_value passages; /* kept for their ids */
    ht_value *ids;     /* [n] borrowed from them */
    size_t n;
    ht_bm25 bm25;
} bm25_index;

static void bm25_fini(void *self)
{
    bm25_index *b = self;
    ht_lexical_session_free(b->session);
    if (b->lexical) ht_lexical_close(b->lexical);
    ht_value_release(b->passages);
    hti_free(b->ids);
    hti_free(b);
}

static ht_status add_texts(bm25_index *b, ht_lexical_builder *builder, const ht_value *items, hti_map *seen,
                           ht_error *err)
{
    uint32_t entry;
    bool inserted;
    for (size_t i = 0; i < b->n; i++) {
        ht_text parts[2] = {{"", 0}, {"", 0}}, id;
        const ht_value title = hti_field(items[i], "title");
        HT_TRY(hti_text_field(items[i], "uuid", "a passage", &id, err));
        HT_TRY(hti_text_field(items[i], "text", "a passage", &parts[1], err));
        if (title.kind == HT_KIND_STRING) parts[0] = ht_value_text(title);
        b->ids[i] = hti_field(items[i], "uuid");
        HT_TRY(hti_map_put(seen, id, 0, &entry, &inserted, err));
        if (!inserted) return fail_twice(id, err);
        HT_TRY(ht_lexical_builder_add(builder, parts, 2, err));
    }
    return HT_OK;
}

static ht_status build_lexical(bm25_index *b, const char *path, const char *analyzer, ht_error *err)
{
    ht_lexical_builder *builder;
    const ht_value *items = ht_value_items(b->passages, &b->n);
    b->ids = HTI_NEW_ARRAY(ht_value, b->n);
    if (!b->ids) return HTI_NO_MEMORY(err);
    HT_TRY(ht_lexical_builder_new(path, analyzer, &builder, err));
    hti_map seen;
    hti_map_init(&seen);
    const ht_status status = add_texts(b, builder, items, &seen, err);
    hti_map_deinit(&seen);
    if (status != HT_OK) {
        ht_lexical_builder_abort(builder);
        return status;
    }
    HT_TRY(ht_lexical_builder_finish(builder, NULL, err));
    HT_TRY(ht_lexical_open(&path, 1, &b->lexical, err));
    return ht_lexical_session_new(b->lexical, &b->session, err);
}

static ht_status bm25_init(void **self, ht_value args, ht_error *err)
{
    char temporary[1000];
    bm25_index *b = HTI_NEW(bm25_index);
    if (!b) return HTI_NO_MEMORY(err);
    b->passages = ht_value_retain(hti_field(args, "passages"));
    temporary_path(temporary, sizeof temporary);
    ht_status status = ht_bm25_preset(ht_value_text(hti_field(args, "preset")).data, &b->bm25, err);
    if (status == HT_OK) status = build_lexical(b, temporary, ht_value_text(hti_field(args, "analyzer")).data, err);
    hti_discard(temporary);
    if (status == HT_OK)
        *self = b;
    else
        bm25_fini(b);
    return status;
}

static ht_status bm25_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    bm25_index *b = self;
    size_t k, n_hits = 0;
    HT_TRY(hti_count_of(in[1], "k", 0, &k, err));
    if (in[0].kind != HT_KIND_STRING)
        return HT_FAIL(err, INVALID, "a query is a string, not a %s", ht_kind_name(in[0].kind));
    k = HTI_MIN(k, b->n);
    ht_hit *hits = HTI_NEW_ARRAY(ht_hit, k);
    ht_status status = hits ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK && k)
        status = ht_lexical_search(b->session, ht_value_text(in[0]), &b->bm25, NULL, k, hits, &n_hits, err);
    if (status == HT_OK) status = hti_hits_value(hits, n_hits, b->ids, out, err);
    hti_free(hits);
    return status;
}

static ht_status bm25_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    return hti_rows_by_row(bm25_row, self, n, in, 2, out, err);
}

static const ht_method bm25_methods[] = {{"search", 2, {.row = bm25_row, .batch = bm25_batch}}};
static const ht_parameter bm25_parameters[] = {
    {"passages", "list", NULL, "of {uuid, text, title?}, indexed at the first call"},
    {"analyzer", "string", "\"english\"", "english, standard or whitespace"},
    {"preset", "string", "\"default\"", "of k1 and b: default or anserini"},
};
const ht_class hti_bm25_index_class = {HT_DESC(ht_class),
                                       .name = "BM25Index",
                                       .init = bm25_init,
                                       .fini = bm25_fini,
                                       .methods = bm25_methods,
                                       .n_methods = HTI_LEN(bm25_methods),
                                       .version = "1",
                                       .summary = "BM25 over an inverted index",
                                       .parameters = bm25_parameters,
                                       .n_parameters = HTI_LEN(bm25_parameters)};
