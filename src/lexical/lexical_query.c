/*
 * lexical_query.c - sessions: from a query's text to weighted terms and their lists.
 *
 * BM25 (Robertson and Zaragoza 2009, as Lucene computes it since version 8):
 *   idf = ln(1 + (N - df + .5) / (df + .5)),  norm = k1 (1 - b + b len / avg),
 *   contribution = query_tf * idf * (tf / (tf + norm)),  score = sum in order of the terms' first
 *   occurrence in the query, in doubles, starting from 0.
 * That order holds in search, score and explain alike, so all three agree to the last bit, and so do
 * any two ways of cutting the documents into segments. Lengths take few distinct values (hundreds for
 * passages), so norms and the first rows of tf / (tf + norm) are tables, made once per (k1, b).
 * Thread rule: a session has one thread.
 * Easy to get wrong: a term's df is the sum over all segments, so every lookup comes before any scoring.
 */
#include "lexical_session.h"
#include "lexical_window.h"

#include "codec/codec.h"

#include <math.h>

#define MAX_K1 1e6 /* beyond it scores would lose their last bits against the largest lengths */

ht_status ht_lexical_session_new(const ht_lexical *lexical, ht_lexical_session **out, ht_error *err)
{
    *out = NULL;
    ht_lexical_session *session = HTI_NEW(ht_lexical_session);
    if (!session) return HTI_NO_MEMORY(err);
    session->lexical = lexical;
    session->bm25.k1 = -1.0;
    uint64_t n_lengths = 0;
    for (size_t i = 0; i < lexical->n_segments; i++) n_lengths += lexical->segments[i].n_lengths;
    session->scorers = HTI_NEW_ARRAY(hti_scorer, lexical->n_segments);
    session->tables = HTI_NEW_ARRAY(double, hti_mul((size_t)n_lengths, 1 + HTI_PART_ROWS));
    session->sums = hti_alloc_zero(HTI_WINDOW_DOCS * sizeof *session->sums);
    session->touched = HTI_NEW_ARRAY(uint32_t, HTI_WINDOW_DOCS + HTI_BLOCK_DOCS);
    ht_status status = ht_tokens_new(&session->tokens, err);
    if (status == HT_OK && (!session->scorers || !session->tables || !session->sums || !session->touched))
        status = HTI_NO_MEMORY(err);
    if (status != HT_OK) {
        ht_lexical_session_free(session);
        return status;
    }
    *out = session;
    return HT_OK;
}

void ht_lexical_session_free(ht_lexical_session *session)
{
    if (!session) return;
    ht_tokens_free(session->tokens);
    void *const arrays[] = {session->terms,   session->slots,   session->lists, session->tables,
                            session->scorers, session->cursors, session->sums,  session->touched,
                            session->order,   session->parts,   session->keys};
    for (size_t i = 0; i < HTI_LEN(arrays); i++) hti_free(arrays[i]);
    hti_free(session);
}

/* ---- the query ---- */

static bool same_text(ht_text a, ht_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* The slot of a token: that of its term, or the free one where the term belongs. */
static uint32_t *slot_of(const ht_lexical_session *session, size_t n_slots, ht_text token)
{
    size_t at = (size_t)hti_hash(token.data, token.len) & (n_slots - 1);
    while (session->slots[at] && !same_text(session->terms[session->slots[at] - 1].text, token))
        at = (at + 1) & (n_slots - 1);
    return &session->slots[at];
}

/* Distinct tokens in order of first occurrence, with counts. */
static ht_status collect_terms(ht_lexical_session *session, ht_error *err)
{
    size_t n_tokens, n_slots = 16;
    const ht_token *tokens = ht_tokens_view(session->tokens, &n_tokens);
    while (n_slots < 2 * n_tokens) n_slots *= 2;
    HT_TRY(hti_reserve(&session->terms, &session->cap_terms, n_tokens, sizeof *session->terms, err));
    HT_TRY(hti_reserve(&session->slots, &session->cap_slots, n_slots, sizeof *session->slots, err));
    memset(session->slots, 0, n_slots * sizeof *session->slots);
    session->n_terms = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        uint32_t *slot = slot_of(session, n_slots, tokens[i].text);
        if (*slot == 0) {
            session->terms[session->n_terms++] = (hti_query_term){.text = tokens[i].text};
            *slot = (uint32_t)session->n_terms;
        }
        session->terms[*slot - 1].query_tf++;
    }
    return HT_OK;
}

static ht_status find_terms(ht_lexical_session *session, ht_error *err)
{
    const ht_lexical *lexical = session->lexical;
    HT_TRY(hti_reserve(&session->lists, &session->cap_lists, hti_mul(lexical->n_segments, session->n_terms),
                       sizeof *session->lists, err));
    for (size_t t = 0; t < session->n_terms; t++) {
        hti_query_term *term = &session->terms[t];
        for (size_t s = 0; s < lexical->n_segments; s++) {
            hti_term_list *list = &session->lists[s * session->n_terms + t];
            HT_TRY(hti_lexical_segment_find(&lexical->segments[s], term->text, list, err));
            term->df += list->df;
        }
        const double n = (double)lexical->n_docs_with_tokens, df = (double)term->df;
        term->idf = log1p((n - df + 0.5) / (df + 0.5));
        term->weight = (double)term->query_tf * term->idf;
    }
    return HT_OK;
}

/* ---- tables ---- */

static ht_status check_bm25(const ht_bm25 *bm25, ht_error *err)
{
    if (!(bm25->k1 >= 0.0 && bm25->k1 <= MAX_K1))
        return HT_FAIL(err, INVALID, "BM25 k1 = %g; it must lie between 0 and %g", bm25->k1, MAX_K1);
    if (!(bm25->b >= 0.0 && bm25->b <= 1.0))
        return HT_FAIL(err, INVALID, "BM25 b = %g; it must lie between 0 and 1", bm25->b);
    return HT_OK;
}

static void fill_tables(ht_lexical_session *session, const ht_bm25 *bm25)
{
    double *table = session->tables;
    for (size_t s = 0; s < session->lexical->n_segments; s++) {
        const hti_lexical_segment *segment = &session->lexical->segments[s];
        const size_t n = segment->n_lengths;
        double *norms = table, *parts = table + n;
        for (size_t i = 0; i < n; i++) {
            const double len = (double)hti_length_at(segment, (uint32_t)i);
            norms[i] = bm25->k1 * (1.0 - bm25->b + bm25->b * len / session->lexical->average_length);
        }
        for (size_t row = 0; row < HTI_PART_ROWS; row++) {
            const double tf = (double)(row + 1);
            for (size_t i = 0; i < n; i++) parts[row * n + i] = tf / (tf + norms[i]);
        }
        session->scorers[s] = (hti_scorer){segment, norms, parts};
        table += n * (1 + HTI_PART_ROWS);
    }
    session->bm25 = *bm25;
}

ht_status hti_session_prepare(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25, ht_error *err)
{
    ht_bm25 preset = {0.0, 0.0};
    if (!bm25) {
        HT_TRY(ht_bm25_preset("default", &preset, err));
        bm25 = &preset;
    }
    HT_TRY(check_bm25(bm25, err));
    const size_t valid = hti_utf8_valid(query);
    if (valid < query.len) return HT_FAIL(err, INVALID, "query: not UTF-8 at byte %zu", valid);
    session->n_terms = 0;
    if (!session->lexical->analyzer) return HT_OK;
    HT_TRY(ht_analyzer_run(session->lexical->analyzer, query, session->tokens, err));
    HT_TRY(collect_terms(session, err));
    HT_TRY(find_terms(session, err));
    if (bm25->k1 != session->bm25.k1 || bm25->b != session->bm25.b) fill_tables(session, bm25);
    return HT_OK;
}

/* ---- cursors ---- */

void hti_cursor_init(hti_cursor *cursor, const hti_term_list *list, double weight)
{
    cursor->list = *list;
    cursor->weight = weight;
    cursor->next_block = 0;
    cursor->at = 0;
    cursor->postings.n = 0;
}

ht_status hti_cursor_refill(hti_cursor *cursor, const hti_lexical_segment *segment, ht_error *err)
{
    cursor->at = 0;
    cursor->postings.n = 0;
    if (cursor->next_block > cursor->list.n_blocks) return HT_OK;
    return hti_term_list_decode(segment, &cursor->list, cursor->next_block++, &cursor->postings, err);
}

/* First block at or behind `from` whose last document is not below `doc`; n_blocks (the tail) if none. */
static uint32_t block_holding(const hti_term_list *list, uint32_t from, uint32_t doc)
{
    uint32_t low = from, step = 1;
    while (low + step < list->n_blocks && list->block_lasts[low + step - 1] < doc) { /* gallop: targets ascend */
        low += step;
        step *= 2;
    }
    uint32_t high = HTI_MIN(low + step, list->n_blocks);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (list->block_lasts[middle] < doc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

ht_status hti_cursor_seek(hti_cursor *cursor, const hti_lexical_segment *segment, uint32_t doc, bool *found,
                          ht_error *err)
{
    const hti_postings *postings = &cursor->postings;
    if (postings->n == 0 || postings->docs[postings->n - 1] < doc) {
        if (cursor->next_block < cursor->list.n_blocks)
            cursor->next_block = block_holding(&cursor->list, cursor->next_block, doc);
        HT_TRY(hti_cursor_refill(cursor, segment, err));
    }
    while (cursor->at < postings->n && postings->docs[cursor->at] < doc) cursor->at++;
    *found = cursor->at < postings->n && postings->docs[cursor->at] == doc;
    return HT_OK;
}
