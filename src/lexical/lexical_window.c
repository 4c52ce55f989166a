/*
 * lexical_window.c - the inner loops of exhaustive BM25 over a window of 4,096 documents.
 *
 * A window's sums are 32 kB of doubles and stay in the first-level cache together with the tables of
 * tf / (tf + norm). A contribution is always above 0 (idf > 0 because df <= N, k1 is bounded), so a sum
 * of 0 means "not touched". Dense windows are scanned whole, eight sums at a time; sparse ones keep a
 * list of touched places, so that a query of rare terms costs what its postings cost.
 * Thread rule: as the session.
 * Easy to get wrong: only `score < bar` may be dropped where documents come out of order; with the list
 * they do, and an equal score with a lower document still wins.
 */
#include "lexical_window.h"

enum { STEP = 8 };

typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_mask __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) void add_postings(hti_window *window, const hti_scorer *scorer,
                                                               double weight, const hti_postings *postings,
                                                               const uint32_t range[2], bool wide, bool in_table,
                                                               bool listing)
{
    const unsigned char *numbers = scorer->segment->sections[HTI_SECTION_DOC_LENGTHS].data;
    const size_t n_lengths = scorer->segment->n_lengths;
    double *sums = window->sums;
    const uint32_t first = window->first;
    uint32_t n_touched = window->n_touched;
    for (uint32_t i = range[0]; i < range[1]; i++) {
        const uint32_t doc = postings->docs[i], tf_less_1 = postings->tf_less_1[i], place = doc - first;
        const size_t number = wide ? hti_get_u32(numbers + 4 * (size_t)doc) : hti_get_u16(numbers + 2 * (size_t)doc);
        double part;
        if (in_table || tf_less_1 < HTI_PART_ROWS) {
            part = scorer->parts[tf_less_1 * n_lengths + number];
        } else {
            const double tf = (double)tf_less_1 + 1.0;
            part = tf / (tf + scorer->norms[number]);
        }
        if (listing) {
            window->touched[n_touched] = place;
            n_touched += sums[place] == 0.0;
        }
        sums[place] += weight * part;
    }
    window->n_touched = n_touched;
}

void hti_window_add(hti_window *window, const hti_scorer *scorer, double weight, const hti_postings *postings,
                    uint32_t from, uint32_t to)
{
    const uint32_t range[2] = {from, to};
    const bool wide = scorer->segment->n_lengths > 65536, in_table = postings->tf_bits <= HTI_PART_ROW_BITS;
    if (wide)
        add_postings(window, scorer, weight, postings, range, true, false, window->listing);
    else if (window->listing)
        add_postings(window, scorer, weight, postings, range, false, false, true);
    else if (in_table)
        add_postings(window, scorer, weight, postings, range, false, true, false);
    else
        add_postings(window, scorer, weight, postings, range, false, false, false);
}

static inline bool is_deleted(const uint64_t *deleted, uint32_t doc) { return deleted && hti_bits_get(deleted, doc); }

static void collect_listed(hti_window *window, uint32_t first_doc, const uint64_t *deleted, hti_best *best)
{
    for (uint32_t i = 0; i < window->n_touched; i++) {
        const uint32_t place = window->touched[i], doc = first_doc + window->first + place;
        const double score = window->sums[place];
        window->sums[place] = 0.0;
        hti_best_offer(best, score, doc, score >= best->bar && !is_deleted(deleted, doc));
        hti_best_settle(best);
    }
    window->n_touched = 0;
}

/* Is any of eight sums above the bar? */
static inline bool any_above(const double *sums, double bar)
{
    pair_mask any = {0, 0};
    for (size_t i = 0; i < STEP; i += 2) {
        pair values;
        memcpy(&values, sums + i, sizeof values);
        any |= values > bar;
    }
    return (any[0] | any[1]) != 0;
}

/* Documents come in ascending order here, so a score equal to the bar is too late. */
static void collect_scanned(hti_window *window, uint32_t first_doc, const uint64_t *deleted, hti_best *best)
{
    for (uint32_t place = 0; place < HTI_WINDOW_DOCS; place += STEP) {
        double *sums = window->sums + place;
        if (any_above(sums, best->bar)) {
            const uint32_t doc = first_doc + window->first + place;
            for (uint32_t i = 0; i < STEP; i++)
                hti_best_offer(best, sums[i], doc + i, sums[i] > best->bar && !is_deleted(deleted, doc + i));
            hti_best_settle(best);
        }
        memset(sums, 0, STEP * sizeof *sums);
    }
}

void hti_window_collect(hti_window *window, uint32_t first_doc, const uint64_t *deleted, hti_best *best)
{
    if (window->listing)
        collect_listed(window, first_doc, deleted, best);
    else
        collect_scanned(window, first_doc, deleted, best);
}
