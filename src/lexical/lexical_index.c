/*
 * lexical_index.c - several segments as one index, the analyzer they were made with, BM25 presets.
 *
 * Ordinals run through the segments in the order given and the statistics of BM25 (documents with
 * tokens, tokens, document frequencies) are summed over all of them, so a score does not depend on how
 * the documents are spread over segments. An index of no segments is valid and finds nothing.
 * Thread rule: an open index is immutable and shared by sessions of any thread.
 */
#include "lexical_int.h"

#include <inttypes.h>

/*
 * Touches what analyzers differ in: case, possessives, stems, stop words, numbers, marks, scripts. Part of
 * the format: with another text every index made before would be refused.
 */
static const char probe_text[] =
    "The Hound's quick-brown FOXES weren't running over 3.14 of U.S.A. foo_bar's lakes, C++ and caf\xC3\xA9"
    "s; generously dying news, technology possibly rational relational children\xE2\x80\x99s skies \xC3\x9C"
    "BERGR\xC3\x96SSE \xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xE3\x82\xAB\xE3\x82\xBF"
    "\xEA\xB0\x80 \xF0\x9F\x90\xB6 x@y.org 1,000 e-mail";

ht_status hti_analyzer_fingerprint(const ht_analyzer *analyzer, uint64_t *out, ht_error *err)
{
    ht_tokens *tokens;
    hti_buffer all;
    HT_TRY(ht_tokens_new(&tokens, err));
    hti_buffer_init(&all);
    ht_status status = ht_analyzer_run(analyzer, (ht_text){probe_text, sizeof probe_text - 1}, tokens, err);
    size_t n = 0;
    const ht_token *view = status == HT_OK ? ht_tokens_view(tokens, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        hti_buffer_append(&all, view[i].text.data, view[i].text.len);
        hti_buffer_append(&all, "\n", 1);
    }
    if (status == HT_OK) status = hti_buffer_status(&all, err);
    if (status == HT_OK) *out = hti_hash(all.data, all.len);
    hti_buffer_deinit(&all);
    ht_tokens_free(tokens);
    return status;
}

/* Takes the first segment's analyzer and checks that this program's is still the same one. */
static ht_status find_analyzer(ht_lexical *lexical, ht_error *err)
{
    const hti_lexical_segment *first = &lexical->segments[0];
    uint64_t fingerprint;
    if (ht_analyzer_find(first->analyzer, &lexical->analyzer, err) != HT_OK)
        return hti_fail_context(err, HT_NOT_FOUND, "%s", first->path);
    HT_TRY(hti_analyzer_fingerprint(lexical->analyzer, &fingerprint, err));
    if (fingerprint != first->fingerprint)
        return HT_FAIL(err, VERSION, "%s: made by another version of the analyzer '%s'; index again", first->path,
                       first->analyzer);
    return HT_OK;
}

/* Opens the next segment and adds its numbers. */
static ht_status add_segment(ht_lexical *lexical, const char *path, ht_error *err)
{
    hti_lexical_segment *segment = &lexical->segments[lexical->n_segments];
    HT_TRY(hti_lexical_segment_open(path, segment, err));
    lexical->n_segments++;
    const hti_lexical_segment *first = &lexical->segments[0];
    if (strcmp(first->analyzer, segment->analyzer) != 0 || first->fingerprint != segment->fingerprint)
        return HT_FAIL(err, INVALID,
                       "%s was made with the analyzer '%s', %s with '%s' or another version of it; index again",
                       segment->path, segment->analyzer, first->path, first->analyzer);
    if (lexical->n_docs + segment->n_docs > UINT32_MAX)
        return HT_FAIL(err, LIMIT, "%s: more than %u documents in one index", segment->path, UINT32_MAX);
    if (segment->n_tokens > UINT64_MAX - lexical->n_tokens)
        return HT_FAIL(err, CORRUPT, "%s: impossible number of tokens; index again", segment->path);
    segment->first_doc = (uint32_t)lexical->n_docs;
    lexical->n_docs += segment->n_docs;
    lexical->n_docs_with_tokens += segment->n_docs_with_tokens;
    lexical->n_tokens += segment->n_tokens;
    return HT_OK;
}

ht_status ht_lexical_open(const char *const *paths, size_t n_paths, ht_lexical **out, ht_error *err)
{
    *out = NULL;
    ht_lexical *lexical = HTI_NEW(ht_lexical);
    if (!lexical) return HTI_NO_MEMORY(err);
    ht_status status = HT_OK;
    lexical->segments = HTI_NEW_ARRAY(hti_lexical_segment, n_paths);
    if (!lexical->segments) status = HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n_paths; i++) status = add_segment(lexical, paths[i], err);
    if (status == HT_OK && n_paths > 0) status = find_analyzer(lexical, err);
    if (status != HT_OK) {
        ht_lexical_close(lexical);
        return status;
    }
    lexical->average_length =
        lexical->n_docs_with_tokens ? (double)lexical->n_tokens / (double)lexical->n_docs_with_tokens : 1.0;
    *out = lexical;
    return HT_OK;
}

void ht_lexical_close(ht_lexical *lexical)
{
    if (!lexical) return;
    for (size_t i = 0; i < lexical->n_segments; i++) hti_lexical_segment_close(&lexical->segments[i]);
    hti_free(lexical->segments);
    hti_free(lexical);
}

void ht_lexical_get_info(const ht_lexical *lexical, ht_lexical_info *info)
{
    ht_lexical_info now = {
        .size = info->size,
        .n_docs = lexical->n_docs,
        .n_docs_with_tokens = lexical->n_docs_with_tokens,
        .n_tokens = lexical->n_tokens,
    };
    for (size_t i = 0; i < lexical->n_segments; i++) {
        const hti_lexical_segment *segment = &lexical->segments[i];
        now.n_terms += segment->dictionary.n_terms;
        now.n_postings += segment->n_postings;
        now.size_bytes += segment->map.len;
    }
    if (lexical->n_segments > 0) memcpy(now.analyzer, lexical->segments[0].analyzer, sizeof now.analyzer);
    memcpy(info, &now, HTI_MIN((size_t)info->size, sizeof now));
}

static const struct {
    const char *name;
    ht_bm25 bm25;
} presets[] = {
    {"default", {1.2, .75}},
    {"anserini", {.9, .4}},
};

ht_status ht_bm25_preset(const char *name, ht_bm25 *out, ht_error *err)
{
    for (size_t i = 0; i < HTI_LEN(presets); i++) {
        if (strcmp(presets[i].name, name) != 0) continue;
        *out = presets[i].bm25;
        return HT_OK;
    }
    return HT_FAIL(err, NOT_FOUND, "no BM25 preset '%s'; there are %s and %s", name, presets[0].name, presets[1].name);
}
