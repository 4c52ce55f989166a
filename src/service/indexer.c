/*
 * indexer.c - documents in, one new segment out: encode, add to both indexes, store, commit.
 *
 * Documents wait in a batch (text copied into an arena) until it is full, then the batch is encoded
 * over the pool and each document goes, in order, to the vector file, the inverted index and the store.
 * All three hold the same documents under the same ordinals, or the change is given up.
 * Workload: the encoder takes over 95 % of the time when there is a model, the store most of the rest.
 * Easy to get wrong: after any failed add the indexes may disagree by one document, so the change is
 * broken for good: only abort is left.
 */
#include "service_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_DOCS = 128, BATCH_BYTES = 1 << 20 };

typedef struct waiting {
    ht_text id, title, text;
    const char *file; /* for messages; NULL if added by hand */
    uint64_t line;
} waiting;

struct ht_indexer {
    hti_store *store;
    hti_change *change;
    ht_encoder *encoder; /* NULL: no vectors */
    ht_encoder_session *session;
    ht_plaid_builder *vectors;
    ht_lexical_builder *lexical;
    hti_arena arena; /* texts of the batch */
    waiting *batch;  /* [BATCH_DOCS] */
    ht_encoder_input *inputs;
    size_t n_batch, batch_bytes;
    uint64_t bytes_done, bytes_total; /* of the present file, for progress */
    ht_index_stats stats;
    bool broken;
};

void ht_index_opts_init(ht_index_opts *opts)
{
    *opts = (ht_index_opts){HT_DESC(ht_index_opts),        .model = "default", .analyzer = "english",
                            .vector_type = HT_VECTOR_INT8, .mix = -1.0f,       .keep_punctuation = -1};
}

/* ---- settings: the first change fixes them, later ones must agree ---- */

static ht_status agree(ht_indexer *indexer, const char *name, const char *value, ht_error *err)
{
    const char *set = hti_store_setting(indexer->store, name);
    if (hti_store_generation(indexer->store) == 0)
        return value ? hti_change_set(indexer->change, name, value, err) : HT_OK;
    const bool same = set && value ? strcmp(set, value) == 0 : set == value;
    if (same) return HT_OK;
    return HT_FAIL(err, INVALID, "the collection was made with %s = %s, not %s; use the same, or a new directory", name,
                   set ? set : "none", value ? value : "none");
}

static ht_status agree_model(ht_indexer *indexer, const char *path, const ht_index_opts *opts, ht_error *err)
{
    if (!indexer->encoder) return agree(indexer, HTI_SET_MODEL_DIGEST, NULL, err);
    ht_encoder_info info = {HT_DESC(ht_encoder_info)};
    ht_encoder_get_info(indexer->encoder, &info);
    char text[32];
    HT_TRY(agree(indexer, HTI_SET_MODEL_DIGEST, info.digest, err));
    (void)snprintf(text, sizeof text, "%.9g", (double)info.mix);
    HT_TRY(agree(indexer, HTI_SET_MIX, text, err));
    (void)snprintf(text, sizeof text, "%u", info.max_tokens);
    HT_TRY(agree(indexer, HTI_SET_MAX_TOKENS, text, err));
    HT_TRY(agree(indexer, HTI_SET_PUNCTUATION, info.keeps_punctuation ? "1" : "0", err));
    HT_TRY(agree(indexer, HTI_SET_VECTOR_TYPE, hti_vector_type_name(opts->vector_type), err));
    if (hti_store_generation(indexer->store) != 0) return HT_OK; /* the folder may have moved */
    return hti_change_set(indexer->change, HTI_SET_MODEL, path, err);
}

/* ---- opening ---- */

static ht_status open_encoder(ht_indexer *indexer, const char *path, const ht_index_opts *opts, ht_error *err)
{
    ht_encoder_opts encoder_opts;
    ht_encoder_opts_init(&encoder_opts);
    encoder_opts.precision = opts->precision;
    encoder_opts.pool = opts->pool;
    encoder_opts.mix = opts->mix;
    encoder_opts.max_tokens = opts->max_tokens;
    encoder_opts.keep_punctuation = opts->keep_punctuation;
    HT_TRY(ht_encoder_open(path, &encoder_opts, &indexer->encoder, err));
    return ht_encoder_session_new(indexer->encoder, &indexer->session, err);
}

static ht_status open_builders(ht_indexer *indexer, const ht_index_opts *opts, ht_error *err)
{
    const char *path;
    if (opts->analyzer) {
        HT_TRY(hti_change_file(indexer->change, HTI_KIND_LEXICAL, &path, err));
        HT_TRY(ht_lexical_builder_new(path, opts->analyzer, &indexer->lexical, err));
    }
    if (!indexer->encoder) return HT_OK;
    ht_encoder_info info = {HT_DESC(ht_encoder_info)};
    ht_encoder_get_info(indexer->encoder, &info);
    ht_plaid_build_opts build;
    ht_plaid_build_opts_init(&build);
    build.dim = info.dim;
    build.vector_type = opts->vector_type;
    build.has_pooled = true;
    HT_TRY(hti_change_file(indexer->change, HTI_KIND_VECTORS, &path, err));
    return ht_plaid_builder_new(path, &build, &indexer->vectors, err);
}

static ht_status open_indexer(ht_indexer *indexer, const char *dir, const ht_index_opts *opts, ht_error *err)
{
    char path[4096] = "";
    indexer->batch = HTI_NEW_ARRAY(waiting, BATCH_DOCS);
    indexer->inputs = HTI_NEW_ARRAY(ht_encoder_input, BATCH_DOCS);
    if (!indexer->batch || !indexer->inputs) return HTI_NO_MEMORY(err);
    const ht_analyzer *analyzer; /* what may be wrong is told before anything is made on disk */
    if (opts->analyzer) HT_TRY(ht_analyzer_find(opts->analyzer, &analyzer, err));
    if (opts->model) {
        HT_TRY(ht_model_find(opts->model, path, sizeof path, err));
        HT_TRY(open_encoder(indexer, path, opts, err));
    }
    HT_TRY(hti_store_open(dir, HTI_STORE_CREATE, &indexer->store, err));
    HT_TRY(hti_change_begin(indexer->store, &indexer->change, err));
    HT_TRY(agree(indexer, HTI_SET_ANALYZER, opts->analyzer, err));
    HT_TRY(agree_model(indexer, path, opts, err));
    return open_builders(indexer, opts, err);
}

ht_status ht_indexer_new(const char *dir, const ht_index_opts *opts, ht_indexer **out, ht_error *err)
{
    *out = NULL;
    ht_index_opts mine;
    ht_index_opts_init(&mine);
    if (opts) memcpy(&mine, opts, HTI_MIN(opts->size, sizeof mine));
    if (!mine.model && !mine.analyzer)
        return HT_FAIL(err, INVALID, "nothing to index: both vectors and lexical are off");
    ht_indexer *indexer = HTI_NEW(ht_indexer);
    if (!indexer) return HTI_NO_MEMORY(err);
    indexer->stats.size = sizeof indexer->stats;
    const ht_status status = open_indexer(indexer, dir, &mine, err);
    if (status != HT_OK) {
        ht_indexer_abort(indexer);
        return status;
    }
    *out = indexer;
    return HT_OK;
}

void ht_indexer_abort(ht_indexer *indexer)
{
    if (!indexer) return;
    ht_plaid_builder_abort(indexer->vectors);
    ht_lexical_builder_abort(indexer->lexical);
    hti_change_abort(indexer->change);
    hti_store_close(indexer->store);
    ht_encoder_session_free(indexer->session);
    ht_encoder_close(indexer->encoder);
    hti_arena_deinit(&indexer->arena);
    hti_free(indexer->batch);
    hti_free(indexer->inputs);
    hti_free(indexer);
}

/* ---- adding ---- */

/* Adds the time since *since to *sum and moves *since on. */
static void clock_into(uint64_t *sum, uint64_t *since)
{
    const uint64_t now = hti_clock_ns();
    *sum += now - *since;
    *since = now;
}

static ht_status add_document(ht_indexer *indexer, size_t at, const ht_encoding *encoding, uint64_t *since,
                              ht_error *err)
{
    const waiting *doc = &indexer->batch[at];
    const hti_doc fields = {doc->id, doc->title, doc->text};
    uint32_t ordinal;
    const ht_status status = hti_change_add(indexer->change, &fields, &ordinal, err);
    if (status != HT_OK && doc->file)
        return hti_fail_context(err, status, "%s:%llu", doc->file, (unsigned long long)doc->line);
    HT_TRY(status);
    clock_into(&indexer->stats.store_ns, since);
    if (indexer->lexical) {
        const ht_text parts[] = {doc->title, doc->text};
        HT_TRY(ht_lexical_builder_add(indexer->lexical, parts, HTI_LEN(parts), err));
        clock_into(&indexer->stats.lexical_ns, since);
    }
    if (!encoding) return HT_OK;
    const size_t first = encoding->offsets[at], n = encoding->offsets[at + 1] - first;
    HT_TRY(ht_plaid_builder_add(indexer->vectors, encoding->vectors + first * encoding->dim, n,
                                encoding->pooled + at * encoding->dim, err));
    clock_into(&indexer->stats.vectors_ns, since);
    indexer->stats.n_tokens += encoding->n_tokens[at];
    indexer->stats.n_vectors += n;
    indexer->stats.n_truncated += encoding->truncated[at];
    return HT_OK;
}

static ht_status flush_batch(ht_indexer *indexer, const ht_monitor *monitor, ht_error *err)
{
    if (monitor && monitor->cancelled && monitor->cancelled(monitor->ud)) return HT_FAIL(err, CANCELLED, "cancelled");
    uint64_t since = hti_clock_ns();
    const ht_encoding *encoding = NULL;
    if (indexer->encoder && indexer->n_batch > 0) {
        for (size_t i = 0; i < indexer->n_batch; i++)
            indexer->inputs[i] = (ht_encoder_input){indexer->batch[i].title, indexer->batch[i].text};
        const ht_monitor quiet = {monitor ? monitor->ud : NULL, monitor ? monitor->cancelled : NULL, NULL};
        HT_TRY(ht_encoder_encode(indexer->session, HT_ROLE_DOCUMENT, indexer->inputs, indexer->n_batch, &quiet,
                                 &encoding, err));
        clock_into(&indexer->stats.encode_ns, &since);
    }
    for (size_t i = 0; i < indexer->n_batch; i++) HT_TRY(add_document(indexer, i, encoding, &since, err));
    indexer->stats.n_docs += indexer->n_batch;
    indexer->n_batch = 0;
    indexer->batch_bytes = 0;
    hti_arena_reset(&indexer->arena);
    if (monitor && monitor->progress) {
        const bool by_bytes = indexer->bytes_total > 0;
        monitor->progress(monitor->ud, "index", by_bytes ? indexer->bytes_done : indexer->stats.n_docs,
                          by_bytes ? indexer->bytes_total : 0);
    }
    return HT_OK;
}

static ht_status keep_text(ht_indexer *indexer, ht_text text, ht_text *out, ht_error *err)
{
    char *copy = hti_arena_text(&indexer->arena, text);
    if (!copy) return HTI_NO_MEMORY(err);
    *out = (ht_text){copy, text.len};
    indexer->batch_bytes += text.len;
    return HT_OK;
}

static ht_status add_record(ht_indexer *indexer, const ht_record *record, const char *file, const ht_monitor *monitor,
                            ht_error *err)
{
    waiting *doc = &indexer->batch[indexer->n_batch];
    *doc = (waiting){.file = file, .line = record->line};
    HT_TRY(keep_text(indexer, record->id, &doc->id, err));
    HT_TRY(keep_text(indexer, record->title, &doc->title, err));
    HT_TRY(keep_text(indexer, record->text, &doc->text, err));
    indexer->n_batch++;
    if (indexer->n_batch < BATCH_DOCS && indexer->batch_bytes < BATCH_BYTES) return HT_OK;
    return flush_batch(indexer, monitor, err);
}

static ht_status refuse_broken(const ht_indexer *indexer, ht_error *err)
{
    if (!indexer->broken) return HT_OK;
    return HT_FAIL(err, INVALID, "an earlier document failed, so this change can only be given up");
}

ht_status ht_indexer_add(ht_indexer *indexer, const ht_record *record, const ht_monitor *monitor, ht_error *err)
{
    HT_TRY(refuse_broken(indexer, err));
    const ht_status status = add_record(indexer, record, NULL, monitor, err);
    indexer->broken = status != HT_OK;
    return status;
}

static ht_status add_all(ht_indexer *indexer, ht_corpus_reader *reader, const char *path, const ht_monitor *monitor,
                         ht_error *err)
{
    for (;;) {
        uint64_t since = hti_clock_ns();
        ht_record record;
        bool more;
        HT_TRY(ht_corpus_next(reader, &record, &more, err));
        ht_corpus_progress(reader, &indexer->bytes_done, &indexer->bytes_total);
        clock_into(&indexer->stats.read_ns, &since);
        if (!more) return flush_batch(indexer, monitor, err); /* `path` is borrowed: nothing may wait on */
        HT_TRY(add_record(indexer, &record, path, monitor, err));
    }
}

ht_status ht_indexer_add_file(ht_indexer *indexer, const char *path, const ht_monitor *monitor, ht_error *err)
{
    HT_TRY(refuse_broken(indexer, err));
    ht_corpus_reader *reader;
    HT_TRY(ht_corpus_open(path, NULL, &reader, err));
    const ht_status status = add_all(indexer, reader, strcmp(path, "-") == 0 ? "standard input" : path, monitor, err);
    ht_corpus_close(reader);
    indexer->broken = status != HT_OK;
    return status;
}

ht_status ht_indexer_delete(ht_indexer *indexer, ht_text id, ht_error *err)
{
    HT_TRY(refuse_broken(indexer, err));
    return hti_change_delete(indexer->change, id, err);
}

/* ---- the end ---- */

static ht_status commit(ht_indexer *indexer, const ht_monitor *monitor, ht_error *err)
{
    HT_TRY(refuse_broken(indexer, err));
    HT_TRY(flush_batch(indexer, monitor, err));
    uint64_t since = hti_clock_ns();
    if (indexer->vectors) {
        ht_plaid_builder *builder = indexer->vectors;
        indexer->vectors = NULL;
        HT_TRY(ht_plaid_builder_finish(builder, NULL, err));
        clock_into(&indexer->stats.vectors_ns, &since);
    }
    if (indexer->lexical) {
        ht_lexical_builder *builder = indexer->lexical;
        indexer->lexical = NULL;
        HT_TRY(ht_lexical_builder_finish(builder, NULL, err));
        clock_into(&indexer->stats.lexical_ns, &since);
    }
    hti_change *change = indexer->change;
    indexer->change = NULL;
    HT_TRY(hti_change_commit(change, err));
    clock_into(&indexer->stats.commit_ns, &since);
    return HT_OK;
}

ht_status ht_indexer_commit(ht_indexer *indexer, const ht_monitor *monitor, ht_index_stats *stats, ht_error *err)
{
    const ht_status status = commit(indexer, monitor, err);
    if (stats) {
        const size_t size = HTI_MIN(stats->size ? stats->size : sizeof *stats, sizeof *stats);
        memcpy(stats, &indexer->stats, size);
    }
    ht_indexer_abort(indexer);
    return status;
}
