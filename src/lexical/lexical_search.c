/*
 * lexical_search.c - the k best documents of a query: term at a time over windows of documents.
 *
 * For each segment and each window that holds a posting, every term in turn adds its postings into the
 * window's sums, then the sums above the k-th best go to the collector. Terms come in query order, so a
 * document's sum is formed in the order that lexical_query.c promises.
 * Workload: 1e4..1e6 postings a query, k 10..1000; the cost follows the postings, not the number of
 * documents: windows without a posting are stepped over, sparse ones are not scanned.
 * Thread rule: as the session.
 * Easy to get wrong: a block reaches over the end of its window; the cursor keeps its place in it.
 */
#include "lexical_session.h"
#include "lexical_window.h"

enum { LISTING_RATIO = 4 }; /* fewer postings than documents / 4: list, else scan */

typedef struct search {
    ht_lexical_session *session;
    const hti_scorer *scorer;
    const uint64_t *deleted;
    hti_cursor *cursors; /* [n_cursors] terms that the segment has, in query order */
    size_t n_cursors;
    hti_window window;
    hti_best best;
} search;

/* Number of postings from `at` on whose document is below `end`. */
static uint32_t count_below(const hti_postings *postings, uint32_t at, uint32_t end)
{
    uint32_t low = at, n = postings->n - at;
    if (n > 0 && postings->docs[postings->n - 1] < end) return n;
    while (n > 0) {
        const uint32_t half = n / 2;
        const bool below = postings->docs[low + half] < end;
        low = below ? low + half + 1 : low;
        n = below ? n - half - 1 : half;
    }
    return low - at;
}

/* Adds what the cursor has below `end` into the window. */
static ht_status add_term(search *s, hti_cursor *cursor, uint32_t end, ht_error *err)
{
    while (cursor->postings.n > 0) {
        const uint32_t n = count_below(&cursor->postings, cursor->at, end);
        if (n > 0) hti_window_add(&s->window, s->scorer, cursor->weight, &cursor->postings, cursor->at, cursor->at + n);
        cursor->at += n;
        if (cursor->at < cursor->postings.n) break;
        HT_TRY(hti_cursor_refill(cursor, s->scorer->segment, err));
    }
    return HT_OK;
}

/* Lowest document that any cursor stands at; HTI_DOC_NONE when all are through. */
static uint32_t next_doc(const search *s)
{
    uint32_t lowest = HTI_DOC_NONE;
    for (size_t i = 0; i < s->n_cursors; i++) {
        const hti_cursor *cursor = &s->cursors[i];
        if (cursor->postings.n > 0) lowest = HTI_MIN(lowest, cursor->postings.docs[cursor->at]);
    }
    return lowest;
}

static ht_status open_cursors(search *s, size_t segment, ht_error *err)
{
    const ht_lexical_session *session = s->session;
    uint64_t n_postings = 0;
    s->n_cursors = 0;
    for (size_t t = 0; t < session->n_terms; t++) {
        const hti_term_list *list = &session->lists[segment * session->n_terms + t];
        if (list->df == 0) continue;
        hti_cursor *cursor = &s->cursors[s->n_cursors++];
        hti_cursor_init(cursor, list, session->terms[t].weight);
        HT_TRY(hti_cursor_refill(cursor, s->scorer->segment, err));
        n_postings += list->df;
    }
    s->window.listing = n_postings < s->scorer->segment->n_docs / LISTING_RATIO;
    return HT_OK;
}

static ht_status search_segment(search *s, size_t segment, ht_error *err)
{
    s->scorer = &s->session->scorers[segment];
    HT_TRY(open_cursors(s, segment, err));
    for (uint32_t doc; (doc = next_doc(s)) != HTI_DOC_NONE;) {
        s->window.first = doc / HTI_WINDOW_DOCS * HTI_WINDOW_DOCS;
        for (size_t i = 0; i < s->n_cursors; i++)
            HT_TRY(add_term(s, &s->cursors[i], s->window.first + HTI_WINDOW_DOCS, err));
        hti_window_collect(&s->window, s->scorer->segment->first_doc, s->deleted, &s->best);
    }
    return HT_OK;
}

/* Room for the collector of k hits in the session. */
static ht_status init_best(ht_lexical_session *session, size_t k, hti_best *best, ht_error *err)
{
    const size_t cap = hti_best_cap(k, session->lexical->n_docs), room = cap + HTI_BEST_SLACK;
    HT_TRY(hti_reserve(&session->keys, &session->cap_keys, hti_mul(3, room), sizeof *session->keys, err));
    *best = (hti_best){.keys = session->keys, .spare = session->keys + room, .k = k, .cap = cap};
    return HT_OK;
}

ht_status ht_lexical_search(ht_lexical_session *session, ht_text query, const ht_bm25 *bm25, const uint64_t *deleted,
                            size_t k, ht_hit *hits, size_t *n_hits, ht_error *err)
{
    *n_hits = 0;
    search s = {
        .session = session,
        .deleted = deleted,
        .window = {.sums = session->sums, .touched = session->touched},
    };
    HT_TRY(hti_session_prepare(session, query, bm25, err));
    HT_TRY(hti_reserve(&session->cursors, &session->cap_cursors, session->n_terms, sizeof *session->cursors, err));
    HT_TRY(init_best(session, k, &s.best, err));
    s.cursors = session->cursors;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && k > 0 && i < session->lexical->n_segments; i++)
        status = search_segment(&s, i, err);
    if (status == HT_OK)
        *n_hits = hti_best_finish(&s.best, hits);
    else
        memset(session->sums, 0, HTI_WINDOW_DOCS * sizeof *session->sums); /* what a damaged list left behind */
    return status;
}
