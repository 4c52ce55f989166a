/*
 * measure.c - what one query's ranking is worth: the table of measures, their names and formulas.
 *
 * Definitions are trec_eval's (Buckley, NIST); R = documents judged relevant (grade >= min_grade),
 * g(i) = grade at rank i, ranks from 1, rel(i) = 1 if relevant:
 *     ndcg      sum of max(g(i), 0) / log2(i + 1), over the same sum of the ideal order of all
 *               judged documents (Jarvelin and Kekalainen 2002, linear gain); min_grade plays no part
 *     map       1/R * sum of P@i over relevant ranks i; with a cut still over R
 *     bpref     1/R * sum over relevant ranks of 1 - min(n, R) / min(N, R), n = judged not relevant above,
 *               N = judged not relevant in all (Buckley and Voorhees 2004); negative grades are not judged
 *     iprec@x   highest precision at any rank with at least floor(x R + 0.9) relevant ones (version 9's rule)
 * A query without relevant documents counts 0 in every measure.
 * Easy to get wrong: P@k divides by k even where fewer documents came back; recall@k is the share of
 * relevant documents found, success@k the share of queries with one; papers have called both recall.
 * A new measure is one function and one row.
 */
#include "eval_int.h"

#include <math.h>
#include <stdio.h>

typedef double (*measure_fn)(const hti_ranking *r, size_t cut);
/* What stands behind the name: nothing, "@k" where one likes, "@k" always, "@x" with x in [0, 1]. */
typedef enum cut_kind { NO_CUT, MAY_CUT, MUST_CUT, RECALL_LEVEL } cut_kind;

static bool is_rel(const hti_ranking *r, size_t i) { return r->grades[i] >= r->min_grade; }
static double ratio(double a, double b) { return b > 0 ? a / b : 0.0; }
static double count(size_t n) { return (double)n; }

static size_t rel_in_top(const hti_ranking *r, size_t cut)
{
    size_t n = 0;
    for (size_t i = 0; i < HTI_MIN(cut, r->n_ret); i++) n += is_rel(r, i);
    return n;
}

static double gain(const int32_t *grades, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        if (grades[i] > 0) sum += grades[i] / log2((double)i + 2.0);
    return sum;
}

static double ndcg(const hti_ranking *r, size_t cut)
{
    return ratio(gain(r->grades, HTI_MIN(cut, r->n_ret)), gain(r->ideal, HTI_MIN(cut, r->n_ideal)));
}

static double average_precision(const hti_ranking *r, size_t cut)
{
    double sum = 0.0;
    size_t n = 0;
    for (size_t i = 0; i < HTI_MIN(cut, r->n_ret); i++)
        if (is_rel(r, i)) sum += count(++n) / count(i + 1);
    return ratio(sum, count(r->n_rel));
}

static double reciprocal_rank(const hti_ranking *r, size_t cut)
{
    for (size_t i = 0; i < HTI_MIN(cut, r->n_ret); i++)
        if (is_rel(r, i)) return 1.0 / count(i + 1);
    return 0.0;
}

static double precision(const hti_ranking *r, size_t cut) { return count(rel_in_top(r, cut)) / count(cut); }
static double recall(const hti_ranking *r, size_t cut) { return ratio(count(rel_in_top(r, cut)), count(r->n_rel)); }
static double success(const hti_ranking *r, size_t cut) { return rel_in_top(r, cut) > 0 ? 1.0 : 0.0; }

static double r_precision(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return ratio(count(rel_in_top(r, r->n_rel)), count(r->n_rel));
}

static double bpref(const hti_ranking *r, size_t cut)
{
    (void)cut;
    double sum = 0.0;
    size_t above = 0;
    for (size_t i = 0; i < r->n_ret; i++) {
        if (is_rel(r, i))
            sum += above == 0 ? 1.0 : 1.0 - count(HTI_MIN(above, r->n_rel)) / count(HTI_MIN(r->n_nonrel, r->n_rel));
        else
            above += r->grades[i] >= 0;
    }
    return ratio(sum, count(r->n_rel));
}

static double set_precision(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return ratio(count(r->n_rel_ret), count(r->n_ret));
}

static double set_recall(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return ratio(count(r->n_rel_ret), count(r->n_rel));
}

static double set_f(const hti_ranking *r, size_t cut)
{
    const double p = set_precision(r, cut), c = set_recall(r, cut);
    return ratio(2.0 * p * c, p + c);
}

static double set_map(const hti_ranking *r, size_t cut) { return set_precision(r, cut) * set_recall(r, cut); }

/* `cut` is the recall level in percent. */
static double interpolated_precision(const hti_ranking *r, size_t cut)
{
    const size_t need = (size_t)(count(cut) / 100.0 * count(r->n_rel) + 0.9);
    double best = 0.0;
    size_t n = 0;
    for (size_t i = 0; i < r->n_ret; i++) {
        n += is_rel(r, i);
        if (n >= need) best = HTI_MAX(best, count(n) / count(i + 1));
    }
    return best;
}

static double eleven_points(const hti_ranking *r, size_t cut)
{
    (void)cut;
    double sum = 0.0;
    for (size_t level = 0; level <= 100; level += 10) sum += interpolated_precision(r, level);
    return sum / 11.0;
}

static double judged(const hti_ranking *r, size_t cut)
{
    const size_t n = HTI_MIN(cut, r->n_ret);
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += r->grades[i] != HTI_UNJUDGED;
    return ratio(count(sum), count(n));
}

static double num_ret(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return count(r->n_ret);
}

static double num_rel(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return count(r->n_rel);
}

static double num_rel_ret(const hti_ranking *r, size_t cut)
{
    (void)cut;
    return count(r->n_rel_ret);
}

enum { MAX_ALIASES = 5 };
typedef struct measure_row {
    const char *name;
    const char *aliases[MAX_ALIASES]; /* trec_eval's own names and others in use, any case */
    cut_kind cut;
    bool is_sum;
    measure_fn fn;
    const char *meaning;
} measure_row;

static const measure_row measure_rows[] = {
    {"ndcg",
     {"ndcg_cut"},
     MAY_CUT,
     false,
     ndcg,
     "normalised discounted cumulative gain, linear gain, of the top k or all"},
    {"P", {"precision"}, MUST_CUT, false, precision, "share of relevant documents in the top k, always over k"},
    {"recall", {"R"}, MUST_CUT, false, recall, "share of the relevant documents that are in the top k"},
    {"map", {"map_cut", "ap"}, MAY_CUT, false, average_precision, "mean average precision, of the top k or all"},
    {"mrr",
     {"recip_rank", "rr"},
     MAY_CUT,
     false,
     reciprocal_rank,
     "1 / rank of the first relevant document in the top k or all"},
    {"success",
     {"hit", "hits", "hit_rate"},
     MUST_CUT,
     false,
     success,
     "share of queries with a relevant document in the top k"},
    {"Rprec",
     {"R-prec", "r_precision"},
     NO_CUT,
     false,
     r_precision,
     "precision at rank R, the number of relevant documents"},
    {"bpref", {NULL}, NO_CUT, false, bpref, "share of relevant documents preferred to judged irrelevant ones"},
    {"iprec",
     {"iprec_at_recall"},
     RECALL_LEVEL,
     false,
     interpolated_precision,
     "interpolated precision at recall x from 0 to 1"},
    {"11pt_avg", {"11pt"}, NO_CUT, false, eleven_points, "mean interpolated precision at recall 0, 0.1, ... 1"},
    {"judged", {NULL}, MAY_CUT, false, judged, "share of judged documents among those in the top k or all"},
    {"set_P", {"setp"}, NO_CUT, false, set_precision, "share of relevant documents among all returned"},
    {"set_recall", {"setr"}, NO_CUT, false, set_recall, "share of relevant documents returned"},
    {"set_F", {"setf"}, NO_CUT, false, set_f, "harmonic mean of set_P and set_recall"},
    {"set_map", {"setap"}, NO_CUT, false, set_map, "set_P times set_recall"},
    {"num_ret", {"numret"}, NO_CUT, true, num_ret, "documents returned, summed over queries"},
    {"num_rel", {"numrel"}, NO_CUT, true, num_rel, "relevant documents, summed over queries"},
    {"num_rel_ret", {"numrelret"}, NO_CUT, true, num_rel_ret, "relevant documents returned, summed over queries"},
};

double hti_measure_value(const ht_measure *measure, const hti_ranking *ranking)
{
    const measure_row *row = &measure_rows[measure->kind];
    const size_t whole = row->cut == MAY_CUT && measure->cut == 0 ? SIZE_MAX : measure->cut;
    return row->fn(ranking, whole);
}

bool hti_measure_is_sum(const ht_measure *measure) { return measure_rows[measure->kind].is_sum; }

const char *ht_measure_at(size_t n, const char **meaning)
{
    if (meaning) *meaning = n < HTI_LEN(measure_rows) ? measure_rows[n].meaning : NULL;
    return n < HTI_LEN(measure_rows) ? measure_rows[n].name : NULL;
}

/* ---- names ---- */

static bool row_has_name(const measure_row *row, ht_text name)
{
    if (hti_same_letters(name, row->name)) return true;
    for (size_t i = 0; i < MAX_ALIASES && row->aliases[i]; i++)
        if (hti_same_letters(name, row->aliases[i])) return true;
    return false;
}

static int find_row(ht_text name)
{
    for (size_t i = 0; i < HTI_LEN(measure_rows); i++)
        if (row_has_name(&measure_rows[i], name)) return (int)i;
    return -1;
}

/*
 * Takes "@10", "_10", ".10" or "_0.10" from the end; an empty *cut if there is none. "@" parts a name
 * wherever it stands; the others only in front of digits.
 */
static ht_text split_name(ht_text name, ht_text *cut)
{
    size_t at = name.len;
    *cut = (ht_text){NULL, 0};
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '@') at = i;
    if (at == name.len) {
        size_t digits = name.len;
        while (digits > 0 &&
               ((name.data[digits - 1] >= '0' && name.data[digits - 1] <= '9') || name.data[digits - 1] == '.'))
            digits--;
        if (digits == name.len || digits == 0) return name;
        if (name.data[digits] == '.' && name.data[digits - 1] != '_') digits++; /* "ndcg_cut.10" */
        at = digits - 1;
        if (name.data[at] != '_' && name.data[at] != '.') return name;
    }
    *cut = (ht_text){name.data + at + 1, name.len - at - 1};
    return (ht_text){name.data, at};
}

static ht_status unknown_measure(ht_text name, ht_error *err)
{
    char known[400];
    size_t len = 0;
    known[0] = '\0';
    for (size_t i = 0; i < HTI_LEN(measure_rows) && len < sizeof known; i++) {
        static const char *const tails[] = {"", "[@k]", "@k", "@x"};
        const int n = snprintf(known + len, sizeof known - len, "%s%s%s", i ? ", " : "", measure_rows[i].name,
                               tails[measure_rows[i].cut]);
        len += n > 0 ? (size_t)n : 0;
    }
    return HT_FAIL(err, NOT_FOUND, "no measure \"%.*s\"; there are: %s", hti_shown(name), name.data, known);
}

/* A recall level x in [0, 1] with at most two decimals, as percent. */
static bool parse_level(ht_text text, uint32_t *percent)
{
    double level;
    if (!hti_parse_real(text, &level) || !(level >= 0.0 && level <= 1.0)) return false;
    *percent = (uint32_t)lround(level * 100.0);
    return fabs(*percent / 100.0 - level) < 1e-9;
}

static ht_status parse_cut(const measure_row *row, ht_text name, ht_text stem, ht_text text, ht_measure *out,
                           ht_error *err)
{
    int32_t cut;
    if (row->cut == RECALL_LEVEL) {
        if (!parse_level(text, &out->cut))
            return HT_FAIL(err, INVALID,
                           "measure \"%.*s\": write a recall level from 0.00 to 1.00, for example \"%s@0.10\"",
                           hti_shown(name), name.data, row->name);
        (void)snprintf(out->name, sizeof out->name, "%s@%u.%02u", row->name, out->cut / 100, out->cut % 100);
        return HT_OK;
    }
    if (!text.data) {
        if (row->cut == MUST_CUT || (stem.len > 4 && memcmp(stem.data + stem.len - 4, "_cut", 4) == 0))
            return HT_FAIL(err, INVALID, "measure \"%.*s\" needs a depth; write for example \"%s@10\"", hti_shown(name),
                           name.data, row->name);
        (void)snprintf(out->name, sizeof out->name, "%s", row->name);
        return HT_OK;
    }
    if (row->cut == NO_CUT)
        return HT_FAIL(err, INVALID, "measure \"%.*s\" takes no depth; write \"%s\"", hti_shown(name), name.data,
                       row->name);
    if (!hti_parse_int32(text, &cut) || cut < 1)
        return HT_FAIL(err, INVALID, "measure \"%.*s\": the depth must be a whole number from 1, for example \"%s@10\"",
                       hti_shown(name), name.data, row->name);
    out->cut = (uint32_t)cut;
    (void)snprintf(out->name, sizeof out->name, "%s@%u", row->name, out->cut);
    return HT_OK;
}

ht_status ht_measure_parse(ht_text name, ht_measure *out, ht_error *err)
{
    ht_text cut = {NULL, 0}, stem = name;
    *out = (ht_measure){.kind = find_row(name)};
    if (out->kind < 0) {
        stem = split_name(name, &cut);
        out->kind = find_row(stem);
    }
    if (out->kind < 0 || stem.len == 0) return unknown_measure(name, err);
    return parse_cut(&measure_rows[out->kind], name, stem, cut, out, err);
}
