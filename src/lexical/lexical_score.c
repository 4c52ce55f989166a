/*
 * lexical_score.c - BM25 of given documents, and one score taken apart.
 *
 * Documents are visited in ascending order, term by term, with the cursors' block skipping: cost is
 * about one decoded block a document and term at worst. Contributions are added in query order, as
 * search does, so the sums are equal to the last bit.
 * Thread rule: as the session.
 * Easy to get wrong: the same document may be asked for twice; seeking to where the cursor stands is
 * allowed.
 */
#include "lexical_session.h"

/* ---- sorting the documents: a merge sort of document << 32 | place, skipped where they ascend ---- */

static void merge_runs(const uint64_t *from, size_t middle, size_t n, uint64_t *into)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < n; i++) {
        const bool take_right = left == middle || (right < n && from[right] < from[left]);
        into[i] = take_right ? from[right++] : from[left++];
    }
}

/* Sorts [n] in one of two arrays of [n] each, and returns that one. */
static const uint64_t *sort_numbers(uint64_t *numbers, uint64_t *spare, size_t n)
{
    size_t ascending = 1;
    while (ascending < n && numbers[ascending - 1] <= numbers[ascending]) ascending++;
    if (ascending >= n) return numbers;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t len = HTI_MIN(2 * run, n - at);
            merge_runs(numbers + at, HTI_MIN(run, len), len, spare + at);
        }
        uint64_t *const swap = numbers;
        numbers = spare;
        spare = swap;
    }
    return numbers;
}

/* ---- scoring ---- */

/* Adds one term's contributions to the documents order[from, to) of one segment. */
static ht_status add_term(hti_cursor *cursor, const hti_scorer *scorer, const uint64_t *order, size_t n, double *scores,
                          ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t doc = (uint32_t)(order[i] >> 32) - scorer->segment->first_doc;
        bool found;
        HT_TRY(hti_cursor_seek(cursor, scorer->segment, doc, &found, err));
        if (found)
            scores[(uint32_t)order[i]] +=
                cursor->weight * hti_tf_part(scorer, doc, cursor->postings.tf_less_1[cursor->at]);
        if (cursor->postings.n == 0) break;
    }
    return HT_OK;
}

/* Number of documents in order [n] below the ordinal `end`. */
static size_t count_below(const uint64_t *order, size_t n, uint64_t end)
{
    size_t low = 0;
    while (n > 0) {
        const size_t half = n / 2;
        const bool below = order[low + half] >> 32 < end;
        low = below ? low + half + 1 : low;
        n = below ? n - half - 1 : half;
    }
    return low;
}

static ht_status check_docs(const ht_lexical_session *session, const uint32_t *docs, size_t n_docs, ht_error *err)
{
    if (n_docs > UINT32_MAX) return HT_FAIL(err, LIMIT, "%zu documents to score at once", n_docs);
    for (size_t i = 0; i < n_docs; i++)
        if (docs[i] >= session->lexical->n_docs)
            return HT_FAIL(err, INVALID, "document %u; the index has %llu", docs[i],
                           (unsigned long long)session->lexical->n_docs);
    return HT_OK;
}

static ht_status score_sorted(ht_lexical_session *session, const uint64_t *order, size_t n_docs, double *scores,
                              ht_error *err)
{
    hti_cursor *cursor = session->cursors;
    for (size_t s = 0; s < session->lexical->n_segments && n_docs > 0; s++) {
        const hti_scorer *scorer = &session->scorers[s];
        const size_t n = count_below(order, n_docs, (uint64_t)scorer->segment->first_doc + scorer->segment->n_docs);
        for (size_t t = 0; n > 0 && t < session->n_terms; t++) {
            const hti_term_list *list = &session->lists[s * session->n_terms + t];
            if (list->df == 0) continue;
            hti_cursor_init(cursor, list, session->terms[t].weight);
            HT_TRY(add_term(cursor, scorer, order, n, scores, err));
        }
        order += n;
        n_docs -= n;
    }
    return HT_OK;
}

ht_status ht_lexical_score(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25, const uint32_t *docs,
                           size_t n_docs, double *scores, ht_error *err)
{
    for (size_t i = 0; i < n_docs; i++) scores[i] = 0.0;
    HT_TRY(check_docs(session, docs, n_docs, err));
    HT_TRY(hti_session_prepare(session, query, bm25, err));
    HT_TRY(hti_reserve(&session->cursors, &session->cap_cursors, 1, sizeof *session->cursors, err));
    HT_TRY(hti_reserve(&session->order, &session->cap_order, hti_mul(2, n_docs), sizeof *session->order, err));
    for (size_t i = 0; i < n_docs; i++) session->order[i] = (uint64_t)docs[i] << 32 | i;
    const uint64_t *order = sort_numbers(session->order, session->order + n_docs, n_docs);
    const ht_status status = score_sorted(session, order, n_docs, scores, err);
    for (size_t i = 0; status != HT_OK && i < n_docs; i++) scores[i] = 0.0;
    return status;
}

/* ---- explaining ---- */

static ht_status explain_term(ht_lexical_session *session, size_t segment, size_t t, uint32_t doc, ht_error *err)
{
    const hti_scorer *scorer = &session->scorers[segment];
    const hti_query_term *term = &session->terms[t];
    const hti_term_list *list = &session->lists[segment * session->n_terms + t];
    ht_lexical_part *part = &session->parts[t];
    *part = (ht_lexical_part){
        .term = term->text,
        .query_tf = term->query_tf,
        .df = term->df,
        .doc_len = hti_length_at(scorer->segment, hti_length_number(scorer->segment, doc)),
        .idf = term->idf,
    };
    if (list->df == 0) return HT_OK;
    hti_cursor *cursor = session->cursors;
    bool found;
    hti_cursor_init(cursor, list, term->weight);
    HT_TRY(hti_cursor_seek(cursor, scorer->segment, doc, &found, err));
    if (!found) return HT_OK;
    part->tf = cursor->postings.tf_less_1[cursor->at] + 1;
    part->tf_part = hti_tf_part(scorer, doc, part->tf - 1);
    part->contribution = term->weight * part->tf_part;
    return HT_OK;
}

ht_status ht_lexical_explain(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25, uint32_t doc,
                             const ht_lexical_part **parts, size_t *n_parts, double *score, ht_error *err)
{
    *parts = NULL;
    *n_parts = 0;
    *score = 0.0;
    HT_TRY(check_docs(session, &doc, 1, err));
    HT_TRY(hti_session_prepare(session, query, bm25, err));
    HT_TRY(hti_reserve(&session->cursors, &session->cap_cursors, 1, sizeof *session->cursors, err));
    HT_TRY(hti_reserve(&session->parts, &session->cap_parts, session->n_terms, sizeof *session->parts, err));
    size_t segment = 0;
    while (doc - session->lexical->segments[segment].first_doc >= session->lexical->segments[segment].n_docs) segment++;
    const uint32_t place = doc - session->lexical->segments[segment].first_doc;
    double sum = 0.0;
    for (size_t t = 0; t < session->n_terms; t++) {
        HT_TRY(explain_term(session, segment, t, place, err));
        sum += session->parts[t].contribution;
    }
    *parts = session->parts;
    *n_parts = session->n_terms;
    *score = sum;
    return HT_OK;
}
