/*
 * collection.c - a collection opened for reading: the store, its indexes, and the model when needed.
 *
 * Thread rule: an open collection is shared by all sessions; only loading the model changes it, so
 * that is behind a lock of its own.
 * Easy to get wrong: vectors of another model fit by shape and mean nothing, so the digest of the
 * weights is compared, not the folder's name.
 */
#include "service_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *hti_vector_type_name(ht_vector_type type) { return type == HT_VECTOR_F16 ? "f16" : "int8"; }

void ht_collection_opts_init(ht_collection_opts *opts)
{
    *opts = (ht_collection_opts){HT_DESC(ht_collection_opts), .mix = -1.0f};
}

/* The files of one kind of every segment, in order: [n_segments]. */
static ht_status segment_paths(hti_store *store, const char *kind, const char ***out, size_t *n, ht_error *err)
{
    (void)hti_store_segments(store, n);
    const char **paths = HTI_NEW_ARRAY(const char *, *n);
    if (!paths) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < *n; i++) {
        paths[i] = hti_store_segment_path(store, i, kind);
        if (paths[i]) continue;
        hti_free(paths);
        return HT_FAIL(err, CORRUPT, "segment %zu has no %s file; index the corpus anew", i, kind);
    }
    *out = paths;
    return HT_OK;
}

static ht_status check_counts(const ht_collection *collection, ht_error *err)
{
    const uint64_t n_docs = hti_store_n_docs(collection->store);
    ht_lexical_info lexical = {HT_DESC(ht_lexical_info)};
    ht_plaid_info vectors = {HT_DESC(ht_plaid_info)};
    if (collection->lexical) {
        ht_lexical_get_info(collection->lexical, &lexical);
        if (lexical.n_docs != n_docs)
            return HT_FAIL(err, CORRUPT, "the lexical index holds %llu documents, the collection %llu",
                           (unsigned long long)lexical.n_docs, (unsigned long long)n_docs);
    }
    if (collection->plaid) {
        ht_plaid_get_info(collection->plaid, &vectors);
        if (vectors.n_docs != n_docs)
            return HT_FAIL(err, CORRUPT, "the vector index holds %llu documents, the collection %llu",
                           (unsigned long long)vectors.n_docs, (unsigned long long)n_docs);
    }
    return HT_OK;
}

static ht_status open_indexes(ht_collection *collection, ht_error *err)
{
    hti_store *store = collection->store;
    const char **paths;
    size_t n;
    if (hti_store_setting(store, HTI_SET_ANALYZER)) {
        HT_TRY(segment_paths(store, HTI_KIND_LEXICAL, &paths, &n, err));
        const ht_status status = ht_lexical_open(paths, n, &collection->lexical, err);
        hti_free(paths);
        HT_TRY(status);
    }
    if (hti_store_setting(store, HTI_SET_MODEL_DIGEST)) {
        HT_TRY(segment_paths(store, HTI_KIND_VECTORS, &paths, &n, err));
        const ht_status status = ht_plaid_open(paths, n, &collection->plaid, err);
        hti_free(paths);
        HT_TRY(status);
    }
    return check_counts(collection, err);
}

ht_status ht_collection_open(const char *dir, const ht_collection_opts *opts, ht_collection **out, ht_error *err)
{
    *out = NULL;
    ht_collection *collection = HTI_NEW(ht_collection);
    if (!collection) return HTI_NO_MEMORY(err);
    ht_collection_opts_init(&collection->opts);
    if (opts) memcpy(&collection->opts, opts, HTI_MIN(opts->size, sizeof *opts));
    ht_status status = (collection->loading = hti_mutex_new()) ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK && collection->opts.model) {
        const size_t len = strlen(collection->opts.model) + 1;
        collection->model_override = hti_alloc(len);
        if (collection->model_override)
            memcpy(collection->model_override, collection->opts.model, len);
        else
            status = HTI_NO_MEMORY(err);
        collection->opts.model = collection->model_override;
    }
    if (status == HT_OK) status = hti_store_open(dir, HTI_STORE_READ, &collection->store, err);
    if (status == HT_OK) status = open_indexes(collection, err);
    if (status != HT_OK) {
        ht_collection_close(collection);
        return status;
    }
    *out = collection;
    return HT_OK;
}

void ht_collection_close(ht_collection *collection)
{
    if (!collection) return;
    ht_encoder_close(collection->encoder);
    ht_plaid_close(collection->plaid);
    ht_lexical_close(collection->lexical);
    hti_store_close(collection->store);
    hti_mutex_free(collection->loading);
    hti_free(collection->model_override);
    hti_free(collection);
}

void ht_collection_get_info(const ht_collection *collection, ht_collection_info *info)
{
    ht_collection_info now = {HT_DESC(ht_collection_info)};
    const hti_store *store = collection->store;
    now.generation = hti_store_generation(store);
    size_t n_segments;
    (void)hti_store_segments(store, &n_segments);
    now.n_segments = n_segments;
    now.size_bytes = hti_store_size_bytes(store);
    now.n_docs = hti_store_n_docs(store);
    (void)hti_store_deleted(store, &now.n_deleted);
    now.has_lexical = collection->lexical != NULL;
    now.has_vectors = collection->plaid != NULL;
    now.lexical.size = sizeof now.lexical;
    now.vectors.size = sizeof now.vectors;
    if (now.has_lexical) ht_lexical_get_info(collection->lexical, &now.lexical);
    if (now.has_vectors) ht_plaid_get_info(collection->plaid, &now.vectors);
    now.model = hti_store_setting(store, HTI_SET_MODEL);
    now.model_digest = hti_store_setting(store, HTI_SET_MODEL_DIGEST);
    now.warning = hti_store_warning(store);
    const char *mix = hti_store_setting(store, HTI_SET_MIX);
    now.mix = mix ? strtod(mix, NULL) : 0.0;
    const uint32_t size = (uint32_t)HTI_MIN(info->size ? info->size : sizeof now, sizeof now);
    memcpy(info, &now, size);
    info->size = size;
}

static uint32_t setting_u32(const hti_store *store, const char *name)
{
    const char *value = hti_store_setting(store, name);
    return value ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

/* The remembered folder, or the default model's if that folder is gone: the digest decides in the end. */
static ht_status model_path(const ht_collection *collection, char *path, size_t cap, ht_error *err)
{
    const char *remembered = hti_store_setting(collection->store, HTI_SET_MODEL);
    if (collection->opts.model) return ht_model_find(collection->opts.model, path, cap, err);
    if (remembered && ht_model_find(remembered, path, cap, err) == HT_OK) return HT_OK;
    const char *name = remembered ? strrchr(remembered, '/') : NULL;
    if (name && ht_model_find(name + 1, path, cap, NULL) == HT_OK) return HT_OK;
    return ht_model_find(remembered ? remembered : "default", path, cap, err);
}

static ht_status load_encoder(ht_collection *collection, ht_error *err)
{
    char path[4096];
    HT_TRY(model_path(collection, path, sizeof path, err));
    const char *mix = hti_store_setting(collection->store, HTI_SET_MIX);
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    opts.precision = collection->opts.precision;
    opts.pool = collection->opts.pool;
    opts.mix = collection->opts.mix >= 0 ? collection->opts.mix : mix ? strtof(mix, NULL) : -1.0f;
    opts.max_tokens = setting_u32(collection->store, HTI_SET_MAX_TOKENS);
    opts.keep_punctuation = (int)setting_u32(collection->store, HTI_SET_PUNCTUATION);
    ht_encoder *encoder;
    HT_TRY(ht_encoder_open(path, &opts, &encoder, err));
    ht_encoder_info info = {HT_DESC(ht_encoder_info)};
    ht_encoder_get_info(encoder, &info);
    const char *digest = hti_store_setting(collection->store, HTI_SET_MODEL_DIGEST);
    if (digest && strcmp(digest, info.digest) != 0) {
        ht_encoder_close(encoder);
        return HT_FAIL(err, INVALID,
                       "%s: not the model this collection was made with (digest %s, not %s); give --model DIR", path,
                       info.digest, digest);
    }
    collection->encoder = encoder;
    return HT_OK;
}

ht_status hti_collection_encoder(ht_collection *collection, const ht_encoder **out, ht_error *err)
{
    hti_mutex_lock(collection->loading);
    const ht_status status = collection->encoder ? HT_OK : load_encoder(collection, err);
    *out = collection->encoder;
    hti_mutex_unlock(collection->loading);
    return status;
}

ht_status ht_collection_check(const char *dir, const ht_monitor *monitor, ht_problem_fn fn, void *ud, ht_error *err)
{
    hti_store *store;
    HT_TRY(hti_store_open(dir, HTI_STORE_READ, &store, err));
    ht_status status = hti_store_check(store, monitor, fn, ud, err);
    hti_store_close(store);
    if (status != HT_OK) return status;
    ht_collection *collection;
    status = ht_collection_open(dir, NULL, &collection, err);
    if (status == HT_OK && collection->lexical) status = ht_lexical_verify(collection->lexical, monitor, err);
    if (status == HT_OK && collection->plaid) status = ht_plaid_verify(collection->plaid, monitor, err);
    if (status == HT_CORRUPT && err) fn(ud, err->message);
    ht_collection_close(collection);
    return status;
}
