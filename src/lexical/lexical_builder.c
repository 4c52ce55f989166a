/*
 * lexical_builder.c - documents in, one segment file out.
 *
 * A document's parts are joined by a newline, analysed, and its tokens go to the inverter; the file is
 * created at once, so that an unwritable place is told before the work, and written at finish.
 * Invariant: a document that is refused (not UTF-8, too long) leaves no trace and the builder goes on;
 * running out of memory in the middle of one spoils the builder, which finish then reports again.
 * Thread rule: one thread.
 * Easy to get wrong: an empty part brings no newline, or a document without a title would start with one.
 */
#include "inverter.h"
#include "lexical_int.h"
#include "lexical_writer.h"

#include "codec/codec.h"

struct ht_lexical_builder {
    char *path;
    hti_file *file;
    const char *analyzer_name;
    const ht_analyzer *analyzer;
    uint64_t fingerprint;
    ht_tokens *tokens;
    hti_buffer joined;
    hti_inverter inverter;
    ht_error failure; /* the first one that spoiled the builder */
};

/* An unfinished file is of no use; that it cannot be removed is told by nobody. */
static void remove_quietly(const char *path)
{
    const ht_status ignored = hti_remove(path, NULL);
    (void)ignored;
}

/* Frees everything and removes the file unless it was closed. */
static void free_builder(ht_lexical_builder *builder)
{
    if (builder->file) {
        hti_file_abandon(builder->file);
        remove_quietly(builder->path);
    }
    hti_inverter_deinit(&builder->inverter);
    hti_buffer_deinit(&builder->joined);
    ht_tokens_free(builder->tokens);
    hti_free(builder->path);
    hti_free(builder);
}

static ht_status prepare(ht_lexical_builder *builder, const char *path, ht_error *err)
{
    if (strlen(builder->analyzer_name) >= HTI_ANALYZER_NAME_BYTES)
        return HT_FAIL(err, INVALID, "analyzer name '%s' is longer than %d bytes", builder->analyzer_name,
                       HTI_ANALYZER_NAME_BYTES - 1);
    const size_t path_size = strlen(path) + 1;
    builder->path = hti_alloc(path_size);
    if (!builder->path) return HTI_NO_MEMORY(err);
    memcpy(builder->path, path, path_size);
    HT_TRY(hti_analyzer_fingerprint(builder->analyzer, &builder->fingerprint, err));
    HT_TRY(ht_tokens_new(&builder->tokens, err));
    return hti_file_create(path, &builder->file, err);
}

ht_status ht_lexical_builder_new(const char *path, const char *analyzer, ht_lexical_builder **out, ht_error *err)
{
    *out = NULL;
    const char *name = analyzer ? analyzer : "english";
    const ht_analyzer *found;
    HT_TRY(ht_analyzer_find(name, &found, err));
    ht_lexical_builder *builder = HTI_NEW(ht_lexical_builder);
    if (!builder) return HTI_NO_MEMORY(err);
    builder->analyzer = found;
    builder->analyzer_name = name;
    for (size_t i = 0; ht_analyzer_name_at(i); i++) /* the registry's own text outlives the caller's */
        if (strcmp(ht_analyzer_name_at(i), name) == 0) builder->analyzer_name = ht_analyzer_name_at(i);
    hti_buffer_init(&builder->joined);
    hti_inverter_init(&builder->inverter);
    const ht_status status = prepare(builder, path, err);
    if (status != HT_OK) {
        free_builder(builder);
        return status;
    }
    *out = builder;
    return HT_OK;
}

/* The parts as one text: borrowed if only one has content, else joined in the builder's buffer. */
static ht_status join_parts(ht_lexical_builder *builder, const ht_text *parts, size_t n_parts, ht_text *out,
                            ht_error *err)
{
    size_t n_full = 0, only = 0, len = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len == 0) continue;
        n_full++;
        only = i;
        len = hti_add(hti_add(len, parts[i].len), 1);
    }
    if (len > HTI_DOC_LIMIT)
        return HT_FAIL(err, LIMIT, "a document of %zu bytes; at most 2 GB are indexed as one", len);
    if (n_full <= 1) {
        *out = n_full ? parts[only] : (ht_text){"", 0};
        return HT_OK;
    }
    hti_buffer_clear(&builder->joined);
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len == 0) continue;
        if (builder->joined.len > 0) hti_buffer_append(&builder->joined, "\n", 1);
        hti_buffer_append(&builder->joined, parts[i].data, parts[i].len);
    }
    *out = hti_buffer_view(&builder->joined);
    return hti_buffer_status(&builder->joined, err);
}

static ht_status add_tokens(ht_lexical_builder *builder, ht_error *err)
{
    size_t n;
    const ht_token *tokens = ht_tokens_view(builder->tokens, &n);
    for (size_t i = 0; i < n; i++) HT_TRY(hti_inverter_token(&builder->inverter, tokens[i].text, err));
    return hti_inverter_end_doc(&builder->inverter, (uint32_t)n, err);
}

ht_status ht_lexical_builder_add(ht_lexical_builder *builder, const ht_text *parts, size_t n_parts, ht_error *err)
{
    if (builder->failure.status != HT_OK) return hti_fail(err, builder->failure.status, "%s", builder->failure.message);
    if (builder->inverter.n_docs >= HTI_DOC_LIMIT - 1)
        return HT_FAIL(err, LIMIT, "%s: a segment holds at most %u documents", builder->path, HTI_DOC_LIMIT - 1);
    for (size_t i = 0; i < n_parts; i++) {
        const size_t valid = hti_utf8_valid(parts[i]);
        if (valid < parts[i].len)
            return HT_FAIL(err, INVALID, "document %u, part %zu: not UTF-8 at byte %zu", builder->inverter.n_docs,
                           i + 1, valid);
    }
    ht_text text;
    HT_TRY(join_parts(builder, parts, n_parts, &text, err));
    HT_TRY(ht_analyzer_run(builder->analyzer, text, builder->tokens, err));
    const ht_status status = add_tokens(builder, &builder->failure);
    return status == HT_OK ? HT_OK : hti_fail(err, status, "%s", builder->failure.message);
}

ht_status ht_lexical_builder_finish(ht_lexical_builder *builder, ht_lexical_info *info, ht_error *err)
{
    ht_lexical_info made;
    ht_status status;
    if (builder->failure.status != HT_OK) {
        status = hti_fail(err, builder->failure.status, "%s: not written: %s", builder->path, builder->failure.message);
    } else {
        status = hti_lexical_write(builder->file, &builder->inverter, builder->analyzer_name, builder->fingerprint,
                                   &made, err);
    }
    if (status == HT_OK) {
        status = hti_file_close(builder->file, true, err);
        builder->file = NULL;
        if (status != HT_OK) remove_quietly(builder->path);
    }
    if (status == HT_OK && info) {
        made.size = info->size;
        memcpy(info, &made, HTI_MIN((size_t)info->size, sizeof made));
    }
    free_builder(builder);
    return status;
}

void ht_lexical_builder_abort(ht_lexical_builder *builder)
{
    if (builder) free_builder(builder);
}
