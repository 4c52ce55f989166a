/*
 * query.c - nodes that build indexes, search them, fuse and rerank.
 *
 * Nodes are written for one query and await methods of the indexes, so that the queries of a map meet in one batch.
 * build_vector_index: one builder under a lock; it writes beside and renames, so who opens sees a whole index.
 */
#include "index.h"

#include <stdio.h>

/* ---- building ---- */

static ht_status instance_of(const ht_class *cls, const char *name, ht_value value, ht_value *out, ht_error *err)
{
    ht_value args;
    ht_instance *instance;
    HT_TRY(ht_value_struct(&name, &value, 1, &args, err));
    ht_status status = ht_instance_new(cls, args, &instance, err);
    ht_value_release(args);
    if (status != HT_OK) return status;
    status = ht_instance_value(instance, out, err);
    ht_instance_release(instance);
    return status;
}

static ht_status write_value(const char *base, const char *suffix, ht_value value, ht_error *err)
{
    ht_writer *writer;
    size_t len;
    char *path = hti_index_path(base, suffix);
    if (!path) return HTI_NO_MEMORY(err);
    ht_status status = ht_writer_new(&writer, err);
    if (status == HT_OK) {
        status = ht_value_encode(value, writer, err);
        const void *data = ht_writer_data(writer, &len);
        if (status == HT_OK) status = hti_replace_file(path, data, len, err);
        ht_writer_free(writer);
    }
    hti_free(path);
    return status;
}

static ht_status key_value(ht_value passages, ht_value *out, ht_error *err)
{
    ht_key key;
    HT_TRY(ht_value_digest(passages, &key, err));
    const ht_value halves[] = {ht_value_int((int64_t)key.low), ht_value_int((int64_t)key.high)};
    return ht_value_list(halves, 2, out, err);
}

/* Whether the index that is there was built from these passages; one that cannot be read was not. */
static ht_status is_same(const char *base, ht_value key, bool *same, ht_error *err)
{
    hti_buffer bytes;
    ht_value old;
    char *path = hti_index_path(base, ".key");
    if (!path) return HTI_NO_MEMORY(err);
    hti_buffer_init(&bytes);
    ht_status status = hti_read_file(path, 4096, &bytes, err);
    if (status == HT_OK) status = ht_value_decode(bytes.data, bytes.len, NULL, &old, err);
    *same = status == HT_OK && ht_value_equal(old, key);
    if (status == HT_OK) ht_value_release(old);
    hti_buffer_deinit(&bytes);
    hti_free(path);
    return status == HT_NO_MEMORY ? status : HT_OK;
}

static ht_status write_index(const char *base, ht_value passages, ht_value key, ht_error *err)
{
    ht_value ids;
    char *now = hti_index_path(base, ".vectors"), *next = hti_index_path(base, ".vectors.new");
    ht_status status = now && next ? hti_index_build(next, passages, &ids, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        status = write_value(base, ".ids", ids, err);
        if (status == HT_OK) status = hti_rename(next, now, err);
        if (status == HT_OK) status = write_value(base, ".key", key, err);
        ht_value_release(ids);
    }
    hti_free(now);
    hti_free(next);
    return status;
}

static ht_status build_under_lock(const char *base, ht_value passages, bool override, ht_error *err)
{
    ht_value key;
    bool same = false;
    char *path = hti_index_path(base, ".key");
    if (!path) return HTI_NO_MEMORY(err);
    const bool exists = hti_path_exists(path);
    hti_free(path);
    HT_TRY(key_value(passages, &key, err));
    ht_status status = exists ? is_same(base, key, &same, err) : HT_OK;
    if (status == HT_OK && exists && !same && !override)
        status = HT_FAIL(err, INVALID, "%s: an index of other passages is there; override=true replaces it", base);
    if (status == HT_OK && !same) status = write_index(base, passages, key, err);
    ht_value_release(key);
    return status;
}

static ht_status take_lock(const char *base, hti_lock **out, ht_error *err)
{
    enum { TRIES = 6000, WAIT_NS = 50000000 };
    char *path = hti_index_path(base, ".lock");
    ht_status status = path ? HT_BUSY : HTI_NO_MEMORY(err);
    for (int i = 0; status == HT_BUSY && i < TRIES; i++) {
        if (i) hti_sleep_ns(WAIT_NS);
        status = hti_lock_take(path, out, err);
    }
    hti_free(path);
    return status;
}

static ht_status build_vector_index(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    char base[2000];
    hti_lock *lock;
    ht_value path;
    (void)self;
    if (in[1].kind != HT_KIND_STRING || in[2].kind != HT_KIND_STRING || in[3].kind != HT_KIND_BOOL)
        return HT_FAIL(err, INVALID, "index_folder and index_name are strings, override is true or false");
    const ht_text folder = ht_value_text(in[1]), name = ht_value_text(in[2]);
    if (folder.len + name.len + 2 > sizeof base) return HT_FAIL(err, LIMIT, "index_folder and index_name are too long");
    HT_TRY(hti_make_dirs(folder.data, err));
    (void)snprintf(base, sizeof base, "%s/%s", folder.data, name.data);
    HT_TRY(take_lock(base, &lock, err));
    ht_status status = build_under_lock(base, in[0], in[3].as.boolean, err);
    hti_lock_release(lock);
    if (status != HT_OK) return status;
    HT_TRY(ht_value_string((ht_text){base, strlen(base)}, &path, err));
    status = instance_of(&hti_token_index_class, "path", path, &out[0], err);
    ht_value_release(path);
    return status;
}

static ht_status build_bm25_index(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return instance_of(&hti_bm25_index_class, "passages", in[0], &out[0], err);
}

static ht_status build_passage_lookup(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return instance_of(&hti_token_index_class, "passages", in[0], &out[0], err);
}

/* ---- one query ---- */

static ht_status take(ht_value found, ht_status status, ht_value *out)
{
    if (status == HT_OK) *out = ht_value_retain(found);
    return status;
}

static ht_status extract_query(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    static const char *const names[] = {"uuid", "text"};
    const ht_value values[] = {hti_field(in[0], "uuid"), hti_field(in[0], "text")};
    (void)self;
    return ht_value_struct(names, values, 2, &out[0], err);
}

/* A search method of the index in[1] for the in[2] best hits of the query's field. */
static ht_status search_by(ht_body *body, const char *method, const char *field, const ht_value *in, ht_value *out,
                           ht_error *err)
{
    const ht_value args[] = {hti_field(in[0], field), in[2]};
    ht_value hits;
    const ht_status status = ht_await(body, in[1], method, args, 2, &hits, err);
    return take(hits, status, out);
}

static ht_status retrieve_colbert(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return search_by(body, "search", "embedding", in, &out[0], err);
}

static ht_status retrieve_dense(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return search_by(body, "search_pooled", "embedding", in, &out[0], err);
}

static ht_status retrieve_bm25(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return search_by(body, "search", "text", in, &out[0], err);
}

static ht_status fuse_results(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    ht_value both, hits;
    (void)self;
    HT_TRY(ht_value_list(in, 2, &both, err));
    const ht_status status = ht_await(body, in[2], "fuse", &both, 1, &hits, err);
    ht_value_release(both);
    return take(hits, status, &out[0]);
}

/* The query is encoded (all queries of a map in one batch), then its hits are scored by their token vectors. */
static ht_status rerank_results(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    const ht_value encode_args[] = {in[0], ht_value_bool(true)};
    ht_value embedding, hits;
    (void)self;
    HT_TRY(ht_await(body, in[2], "encode", encode_args, 2, &embedding, err));
    const ht_value args[] = {embedding, in[1], in[4]};
    const ht_status status = ht_await(body, in[3], "rerank", args, 3, &hits, err);
    return take(hits, status, &out[0]);
}

typedef struct ranked {
    ht_value query;
    const ht_value *hits;
} ranked;

static ht_status prediction(const void *from, size_t i, ht_value *out, ht_error *err)
{
    static const char *const names[] = {"query_uuid", "passage_uuid", "score"};
    const ranked *r = from;
    const ht_value values[] = {hti_field(r->query, "uuid"), hti_field(r->hits[i], "id"),
                               hti_field(r->hits[i], "score")};
    return ht_value_struct(names, values, 3, out, err);
}

static ht_status hits_to_predictions(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    size_t n;
    const ranked all = {in[1], ht_value_items(in[0], &n)};
    (void)self;
    return hti_list_of(n, prediction, &all, &out[0], err);
}

/* ---- fusion ---- */

static ht_status fuser_new(void **self, ht_fusion method, double rrf_k, ht_error *err)
{
    ht_fusion_opts *opts = HTI_NEW(ht_fusion_opts);
    if (!opts) return HTI_NO_MEMORY(err);
    ht_fusion_opts_init(opts);
    opts->method = method;
    if (method == HT_FUSION_RRF) opts->rrf_k = rrf_k;
    *self = opts;
    return HT_OK;
}

static ht_status rrf_init(void **self, ht_value args, ht_error *err)
{
    size_t k;
    HT_TRY(hti_count_of(hti_field(args, "k"), "k", 0, &k, err));
    return fuser_new(self, HT_FUSION_RRF, (double)k, err);
}

static ht_status minmax_init(void **self, ht_value args, ht_error *err)
{
    (void)args;
    return fuser_new(self, HT_FUSION_MINMAX, 0, err);
}

static ht_status run_of(ht_value hits, ht_run **out, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(hits, &n);
    if (hits.kind != HT_KIND_LIST) return HT_FAIL(err, INVALID, "a %s is no list of hits", ht_kind_name(hits.kind));
    HT_TRY(ht_run_new(out, err));
    for (size_t i = 0; i < n; i++) {
        ht_text id;
        double score;
        HT_TRY(hti_text_field(items[i], "id", "a hit", &id, err));
        HT_TRY(hti_number_field(items[i], "score", "a hit", &score, err));
        HT_TRY(ht_run_add(*out, (ht_text){"q", 1}, id, score, err));
    }
    return HT_OK;
}

static ht_status fused_hit(const void *from, size_t i, ht_value *out, ht_error *err)
{
    double score;
    ht_value id;
    HT_TRY(ht_value_string(ht_run_row(from, 0, i, &score), &id, err));
    return hti_pair("id", id, "score", ht_value_float(score), out, err);
}

static ht_status hits_of(const ht_run *run, ht_value *out, ht_error *err)
{
    size_t n = 0;
    if (ht_run_n_queries(run)) (void)ht_run_query(run, 0, &n);
    return hti_list_of(n, fused_hit, run, out, err);
}

/* fuse(lists): lists of hits, best first, to one. */
static ht_status fuse_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    enum { MOST = 16 };
    ht_run *runs[MOST] = {NULL}, *fused = NULL;
    const ht_run *given[MOST];
    size_t n;
    const ht_value *lists = ht_value_items(in[0], &n);
    if (in[0].kind != HT_KIND_LIST)
        return HT_FAIL(err, INVALID, "lists of hits are to be fused, not a %s", ht_kind_name(in[0].kind));
    if (n > MOST) return HT_FAIL(err, LIMIT, "%zu lists to fuse; at most %d", n, MOST);
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < n; i++) {
        status = run_of(lists[i], &runs[i], err);
        given[i] = runs[i];
    }
    if (status == HT_OK) status = ht_fuse(given, n, self, &fused, err);
    if (status == HT_OK) status = hits_of(fused, &out[0], err);
    for (size_t i = 0; i < n; i++) ht_run_free(runs[i]);
    ht_run_free(fused);
    return status;
}

static ht_status fuse_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    return hti_rows_by_row(fuse_row, self, n, in, 1, out, err);
}

static const ht_method fuse_methods[] = {{"fuse", 1, {.row = fuse_row, .batch = fuse_batch}}};
static const ht_parameter rrf_parameters[] = {{"k", "int", "60", "of 1 / (k + rank)"}};
const ht_class hti_rrf_class = {HT_DESC(ht_class),
                                .name = "RRFFusion",
                                .init = rrf_init,
                                .fini = hti_free,
                                .methods = fuse_methods,
                                .n_methods = 1,
                                .version = "1",
                                .summary = "reciprocal rank fusion of lists of hits",
                                .parameters = rrf_parameters,
                                .n_parameters = 1};
const ht_class hti_minmax_class = {HT_DESC(ht_class),       .name = "MinMaxFusion",
                                   .init = minmax_init,     .fini = hti_free,
                                   .methods = fuse_methods, .n_methods = 1,
                                   .version = "1",          .summary = "mean of min-max normalised scores"};

/* ---- the table ---- */

static const ht_input vector_in[] = {{"encoded_passages", NULL},
                                     {"index_folder", NULL},
                                     {"index_name", NULL},
                                     {"override", NULL}},
                      passages_in[] = {{"passages", NULL}}, lookup_in[] = {{"encoded_passages", NULL}},
                      encoded_in[] = {{"encoded_query", NULL}},
                      colbert_in[] = {{"encoded_query", NULL}, {"vector_index", NULL}, {"top_k", NULL}},
                      bm25_in[] = {{"query", NULL}, {"bm25_index", NULL}, {"top_k", NULL}},
                      fuse_in[] = {{"colbert_hits", NULL}, {"bm25_hits", NULL}, {"rrf", NULL}},
                      rerank_in[] = {{"query", NULL},
                                     {"fused_hits", NULL},
                                     {"encoder", NULL},
                                     {"passage_lookup", NULL},
                                     {"rerank_k", NULL}},
                      predict_in[] = {{"reranked_hits", NULL}, {"query", NULL}};
static const char *const vector_out[] = {"vector_index"}, *const bm25_index_out[] = {"bm25_index"},
                         *const lookup_out[] = {"passage_lookup"}, *const query_out[] = {"query"},
                         *const colbert_out[] = {"colbert_hits"}, *const dense_out[] = {"dense_hits"},
                         *const bm25_out[] = {"bm25_hits"}, *const fused_out[] = {"fused_hits"},
                         *const reranked_out[] = {"reranked_hits"}, *const predictions_out[] = {"predictions"};
/* No version: an index on disk is an effect, which a cache must not skip, and a spec is made faster than found. */
static const ht_node_desc vector_node = {HT_DESC(ht_node_desc),
                                         .name = "build_vector_index",
                                         .inputs = vector_in,
                                         .n_inputs = 4,
                                         .outputs = vector_out,
                                         .n_outputs = 1,
                                         .forms = {.row = build_vector_index},
                                         .summary = "token vectors in a folder, as a TokenIndex"};
static const ht_node_desc bm25_index_node =
    HTI_ROW_NODE("build_bm25_index", passages_in, bm25_index_out, build_bm25_index, "a BM25Index of passages");
static const ht_node_desc lookup_node = {HT_DESC(ht_node_desc),
                                         .name = "build_passage_lookup",
                                         .inputs = lookup_in,
                                         .n_inputs = 1,
                                         .outputs = lookup_out,
                                         .n_outputs = 1,
                                         .forms = {.row = build_passage_lookup},
                                         .summary = "a TokenIndex in memory, for reranking"};
static const ht_node_desc extract_node =
    HTI_ROW_NODE("extract_query", encoded_in, query_out, extract_query, "{uuid, text} of an encoded query");
static const ht_node_desc colbert_node =
    HTI_BODY_NODE("retrieve_colbert", colbert_in, colbert_out, retrieve_colbert, "the top_k passages by MaxSim");
static const ht_node_desc dense_node =
    HTI_BODY_NODE("retrieve_dense", colbert_in, dense_out, retrieve_dense, "the top_k passages by pooled vectors");
static const ht_node_desc bm25_node =
    HTI_BODY_NODE("retrieve_bm25", bm25_in, bm25_out, retrieve_bm25, "the top_k passages by BM25");
static const ht_node_desc fuse_node =
    HTI_BODY_NODE("fuse_results", fuse_in, fused_out, fuse_results, "two lists of hits as one, by rrf.fuse");
static const ht_node_desc rerank_node = HTI_BODY_NODE("rerank_results", rerank_in, reranked_out, rerank_results,
                                                      "the first rerank_k hits, ordered by MaxSim");
static const ht_node_desc predictions_node =
    HTI_ROW_NODE("hits_to_predictions", predict_in, predictions_out, hits_to_predictions,
                 "hits as {query_uuid, passage_uuid, score}");
static const ht_node_desc *const nodes[] = {&vector_node,  &bm25_index_node, &lookup_node, &extract_node,
                                            &colbert_node, &dense_node,      &bm25_node,   &fuse_node,
                                            &rerank_node,  &predictions_node};
const hti_node_list hti_search_nodes = {nodes, HTI_LEN(nodes)};
