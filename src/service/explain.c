/*
 * explain.c - why a hit is a hit: BM25's parts and the document token that each query token matched.
 *
 * The index keeps vectors, not tokens, so the texts of the hits are encoded once more: the vectors of
 * that pass are dropped, its token offsets are what is wanted, and they align with the stored vectors
 * because the profile is the same.
 * Workload: ten hits a query, on request only.
 */
#include "service_int.h"

#include <string.h>

/* Copies the parts: the lexical session's own live only until its next call. */
static ht_status explain_bm25(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                              ht_search_hit *hit, ht_error *err)
{
    const ht_lexical_part *parts;
    size_t n;
    HT_TRY(ht_lexical_explain(session->lexical, query->text, &opts->bm25, hit->doc, &parts, &n, &hit->bm25, err));
    ht_lexical_part *copy = HTI_ARENA_ARRAY(&session->arena, ht_lexical_part, n);
    if (!copy) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) {
        copy[i] = parts[i];
        copy[i].term.data = hti_arena_text(&session->arena, parts[i].term);
        if (!copy[i].term.data) return HTI_NO_MEMORY(err);
    }
    hit->parts = copy;
    hit->n_parts = n;
    return HT_OK;
}

static ht_status explain_maxsim(ht_search_session *session, const hti_query *query, const ht_encoding *encoding,
                                size_t at, ht_search_hit *hit, ht_error *err)
{
    const ht_encoder *encoder = session->collection->encoder;
    const size_t first = encoding->offsets[at], n_vectors = encoding->offsets[at + 1] - first;
    if (n_vectors != ht_plaid_doc_len(session->collection->plaid, hit->doc))
        return HT_FAIL(err, CORRUPT, "document %.*s has %zu stored vectors but its text gives %zu", (int)hit->id.len,
                       hit->id.data, ht_plaid_doc_len(session->collection->plaid, hit->doc), n_vectors);
    const ht_text joined = ht_encoder_joined_text(session->explainer, at);
    hit->encoded_text = (ht_text){hti_arena_text(&session->arena, joined), joined.len};
    ht_plaid_match *found = HTI_ARENA_ARRAY(&session->arena, ht_plaid_match, query->n_vectors);
    ht_token_match *matches = HTI_ARENA_ARRAY(&session->arena, ht_token_match, query->n_vectors);
    if (!hit->encoded_text.data || !found || !matches) return HTI_NO_MEMORY(err);
    if (n_vectors == 0) return HT_OK;
    HT_TRY(ht_plaid_matches(session->plaid, query->vectors, query->n_vectors, hit->doc, found, err));
    for (size_t q = 0; q < query->n_vectors; q++) {
        const size_t vector = first + found[q].doc_vector;
        matches[q] = (ht_token_match){.query_token = ht_encoder_token_text(encoder, query->token_ids[q]),
                                      .doc_token = ht_encoder_token_text(encoder, encoding->token_ids[vector]),
                                      .doc_start = encoding->token_starts[vector],
                                      .doc_end = encoding->token_ends[vector],
                                      .score = found[q].score};
    }
    hit->matches = matches;
    hit->n_matches = query->n_vectors;
    return HT_OK;
}

static ht_status encode_hits(ht_search_session *session, const ht_search_hit *hits, size_t n_hits,
                             const ht_encoding **out, ht_error *err)
{
    const ht_encoder *encoder;
    HT_TRY(hti_collection_encoder(session->collection, &encoder, err));
    if (!session->explainer) HT_TRY(ht_encoder_session_new(encoder, &session->explainer, err));
    ht_encoder_input *inputs = HTI_ARENA_ARRAY(&session->arena, ht_encoder_input, n_hits);
    if (!inputs) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n_hits; i++) inputs[i] = (ht_encoder_input){hits[i].title, hits[i].text};
    return ht_encoder_encode(session->explainer, HT_ROLE_DOCUMENT, inputs, n_hits, NULL, out, err);
}

ht_status hti_explain_hits(ht_search_session *session, const hti_query *query, const ht_search_opts *opts,
                           ht_search_hit *hits, size_t n_hits, ht_error *err)
{
    if (session->lexical && opts->mode != HT_MODE_DENSE && opts->mode != HT_MODE_MAXSIM)
        for (size_t i = 0; i < n_hits; i++) HT_TRY(explain_bm25(session, query, opts, &hits[i], err));
    if (!query->vectors || opts->mode == HT_MODE_DENSE || n_hits == 0) return HT_OK;
    const ht_encoding *encoding;
    HT_TRY(encode_hits(session, hits, n_hits, &encoding, err));
    for (size_t i = 0; i < n_hits; i++) HT_TRY(explain_maxsim(session, query, encoding, i, &hits[i], err));
    return HT_OK;
}
