/*
 * fuse.c - several ranked lists of one query into one.
 *
 *     rrf       sum of w / (k + rank), rank from 1 (Cormack, Clarke and Buettcher, SIGIR 2009)
 *     minmax    sum of w * (s - min) / (max - min), weights 1/n by default: a convex sum
 *     combsum   the same with weights 1 (Fox and Shaw, TREC-2)
 *     combmnz   combsum times the number of lists that hold the document
 *
 * Ranks, minimum and maximum are over the window, the first rows of a list; a list of equal scores
 * becomes all 1; a document that a list lacks gets 0 from it. Scores are rounded to 12 decimals, so
 * that sums equal in real numbers tie whatever the order of their parts; ties go to the better input
 * rank, then to the lower ordinal or the id lower by bytes.
 * Layout: one entry a document, found through a hash table of entry numbers; both lie on the stack
 * for the depths of interactive search, so that fusing then allocates nothing.
 * Easy to get wrong: ties are the rule in RRF (1/(60+i) + 1/(60+j) is symmetric), so the tie rule
 * decides the order of nearly every query.
 */
#include "eval_int.h"

#include <math.h>

enum { SMALL = 512, SMALL_SLOTS = 2 * SMALL };

typedef struct fused {
    double score;
    uint32_t doc, best_rank, last_list, n_lists;
    ht_text id; /* {NULL, 0} among ordinals */
} fused;

typedef struct fuser {
    const ht_fusion_opts *opts;
    double default_weight;
    fused *entries;  /* [cap] */
    uint32_t *slots; /* [n_slots], a power of two: entry number or HTI_MAP_NONE */
    size_t n, cap, n_slots, cap_slots;
    fused small_entries[SMALL];
    uint32_t small_slots[SMALL_SLOTS];
} fuser;

/* One list as the fuser sees it: rank order, finite scores. */
typedef struct fuse_row {
    double score;
    uint32_t doc;
    ht_text id;
} fuse_row;
typedef fuse_row (*row_fn)(const void *list, size_t i);

typedef struct list_stats {
    double least, span; /* halved if the span of the scores is no finite double */
    double scale;
    bool flat;
} list_stats;

/* ---- methods ---- */

typedef double (*part_fn)(const ht_fusion_opts *opts, const list_stats *stats, double score, size_t rank);

static double rrf_part(const ht_fusion_opts *opts, const list_stats *stats, double score, size_t rank)
{
    (void)stats;
    (void)score;
    return 1.0 / (opts->rrf_k + (double)rank);
}

static double minmax_part(const ht_fusion_opts *opts, const list_stats *stats, double score, size_t rank)
{
    (void)opts;
    (void)rank;
    return stats->flat ? 1.0 : (score * stats->scale - stats->least) / stats->span;
}

typedef struct fusion_row {
    const char *name;
    part_fn part;
    bool convex, times_lists;
} fusion_row;

static const fusion_row fusion_rows[] = {
    [HT_FUSION_RRF] = {"rrf", rrf_part, false, false},
    [HT_FUSION_MINMAX] = {"minmax", minmax_part, true, false},
    [HT_FUSION_COMBSUM] = {"combsum", minmax_part, false, false},
    [HT_FUSION_COMBMNZ] = {"combmnz", minmax_part, false, true},
};

void ht_fusion_opts_init(ht_fusion_opts *opts)
{
    *opts = (ht_fusion_opts){HT_DESC(ht_fusion_opts), .method = HT_FUSION_RRF, .rrf_k = 60.0};
}

ht_status ht_fusion_find(const char *name, ht_fusion *out, ht_error *err)
{
    for (size_t i = 0; i < HTI_LEN(fusion_rows); i++) {
        if (strcmp(name, fusion_rows[i].name) != 0) continue;
        *out = (ht_fusion)i;
        return HT_OK;
    }
    return HT_FAIL(err, NOT_FOUND, "no fusion \"%.*s\"; there are: rrf, minmax, combsum, combmnz",
                   hti_shown((ht_text){name, strlen(name)}), name);
}

static ht_status check_opts(const ht_fusion_opts *opts, size_t n_lists, ht_error *err)
{
    HTI_CHECK_OPTS(opts, err);
    if (n_lists == 0) return HT_FAIL(err, INVALID, "nothing to fuse: give at least one list");
    if ((size_t)opts->method >= HTI_LEN(fusion_rows))
        return HT_FAIL(err, INVALID, "no fusion number %d", (int)opts->method);
    if (!isfinite(opts->rrf_k) || opts->rrf_k < 0.0)
        return HT_FAIL(err, INVALID, "an RRF constant of %g: give 0 or more", opts->rrf_k);
    for (size_t i = 0; opts->weights && i < n_lists; i++)
        if (!isfinite(opts->weights[i]) || opts->weights[i] < 0.0)
            return HT_FAIL(err, INVALID, "weight %zu is %g: give 0 or more", i, opts->weights[i]);
    return HT_OK;
}

/* ---- one query ---- */

static void fuser_init(fuser *f, const ht_fusion_opts *opts, size_t n_lists)
{
    f->opts = opts;
    f->default_weight = fusion_rows[opts->method].convex ? 1.0 / (double)n_lists : 1.0;
    f->entries = f->small_entries;
    f->slots = f->small_slots;
    f->cap = SMALL;
    f->cap_slots = SMALL_SLOTS;
    f->n = 0;
}

static void fuser_deinit(fuser *f)
{
    if (f->entries != f->small_entries) hti_free(f->entries);
    if (f->slots != f->small_slots) hti_free(f->slots);
}

/* Empty, with room for n rows of all lists. */
static ht_status fuser_reset(fuser *f, size_t n, ht_error *err)
{
    f->n = 0;
    f->n_slots = 16;
    while (f->n_slots < 2 * n) f->n_slots = hti_mul(f->n_slots, 2);
    if (n > f->cap) {
        fused *entries = HTI_NEW_ARRAY(fused, n);
        if (!entries) return HTI_NO_MEMORY(err);
        if (f->entries != f->small_entries) hti_free(f->entries);
        f->entries = entries;
        f->cap = n;
    }
    if (f->n_slots > f->cap_slots) {
        uint32_t *slots = HTI_NEW_ARRAY(uint32_t, f->n_slots);
        if (!slots) return HTI_NO_MEMORY(err);
        if (f->slots != f->small_slots) hti_free(f->slots);
        f->slots = slots;
        f->cap_slots = f->n_slots;
    }
    memset(f->slots, 0xFF, f->n_slots * sizeof *f->slots);
    return HT_OK;
}

static fused *entry_of(fuser *f, uint32_t doc)
{
    uint64_t state = doc;
    size_t at = (size_t)hti_random_next(&state) & (f->n_slots - 1);
    while (f->slots[at] != HTI_MAP_NONE && f->entries[f->slots[at]].doc != doc) at = (at + 1) & (f->n_slots - 1);
    if (f->slots[at] == HTI_MAP_NONE) {
        f->slots[at] = (uint32_t)f->n;
        f->entries[f->n++] = (fused){.doc = doc, .best_rank = UINT32_MAX, .last_list = UINT32_MAX};
    }
    return &f->entries[f->slots[at]];
}

static list_stats stats_of(const void *list, size_t len, row_fn row_at)
{
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (size_t i = 0; i < len; i++) {
        const double score = row_at(list, i).score;
        least = HTI_MIN(least, score);
        most = HTI_MAX(most, score);
    }
    const double scale = len > 0 && isinf(most - least) ? 0.5 : 1.0;
    return (list_stats){least * scale, most * scale - least * scale, scale, most <= least};
}

/* Adds list number l; a document that comes twice in it counts where it stands first. */
static void add_list(fuser *f, size_t l, const void *list, size_t len, row_fn row_at)
{
    const fusion_row *method = &fusion_rows[f->opts->method];
    const double weight = f->opts->weights ? f->opts->weights[l] : f->default_weight;
    const list_stats stats = stats_of(list, len, row_at);
    for (size_t i = 0; i < len; i++) {
        const fuse_row row = row_at(list, i);
        fused *entry = entry_of(f, row.doc);
        if (entry->last_list == (uint32_t)l) continue;
        entry->last_list = (uint32_t)l;
        entry->id = row.id;
        entry->n_lists++;
        entry->best_rank = HTI_MIN(entry->best_rank, (uint32_t)i);
        entry->score += weight * method->part(f->opts, &stats, row.score, i + 1);
    }
}

/* To 12 decimals; above 2^12 a double has no more than that. */
static double round_score(double score) { return fabs(score) < 4096.0 ? round(score * 1e12) / 1e12 : score; }

static int best_first(const void *left, const void *right)
{
    const fused *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->best_rank != b->best_rank) return a->best_rank < b->best_rank ? -1 : 1;
    if (!a->id.data) return (a->doc > b->doc) - (a->doc < b->doc);
    const int order = memcmp(a->id.data, b->id.data, HTI_MIN(a->id.len, b->id.len));
    return order ? order : (a->id.len > b->id.len) - (a->id.len < b->id.len);
}

/* Orders the entries and returns how many to keep. */
static size_t fuser_finish(fuser *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const double times = fusion_rows[f->opts->method].times_lists ? (double)f->entries[i].n_lists : 1.0;
        f->entries[i].score = round_score(f->entries[i].score * times);
    }
    hti_heap_sort(f->entries, f->n, sizeof *f->entries, best_first);
    return f->opts->k ? HTI_MIN(f->n, f->opts->k) : f->n;
}

static size_t in_window(const ht_fusion_opts *opts, size_t len)
{
    return opts->window ? HTI_MIN(len, opts->window) : len;
}

/* ---- hits ---- */

static fuse_row hit_row(const void *list, size_t i)
{
    const ht_hit *hits = list;
    return (fuse_row){hits[i].score, hits[i].doc, {NULL, 0}};
}

/* Rows that count: within the window, and without those of score -infinity, which stand last. */
static ht_status list_len(const ht_fusion_opts *opts, ht_hit_list list, size_t l, size_t *len, ht_error *err)
{
    *len = in_window(opts, list.len);
    while (*len > 0 && list.hits[*len - 1].score == -HUGE_VAL) --*len;
    for (size_t i = 0; i < *len; i++)
        if (!isfinite(list.hits[i].score))
            return HT_FAIL(err, INVALID, "list %zu, hit %zu: a score of %g cannot be fused", l, i, list.hits[i].score);
    return HT_OK;
}

static ht_status fuse_hits(fuser *f, const ht_hit_list *lists, size_t n_lists, ht_error *err)
{
    size_t sum = 0, len;
    for (size_t l = 0; l < n_lists; l++) {
        HT_TRY(list_len(f->opts, lists[l], l, &len, err));
        sum += len;
    }
    if (sum >= UINT32_MAX / 4) return HT_FAIL(err, LIMIT, "%zu hits to fuse: at most 2^30", sum);
    HT_TRY(fuser_reset(f, sum, err));
    for (size_t l = 0; l < n_lists; l++) {
        HT_TRY(list_len(f->opts, lists[l], l, &len, err));
        add_list(f, l, lists[l].hits, len, hit_row);
    }
    return HT_OK;
}

ht_status ht_fuse_hits(const ht_hit_list *lists, size_t n_lists, const ht_fusion_opts *opts, ht_hit *out,
                       size_t out_cap, size_t *n_out, ht_error *err)
{
    *n_out = 0;
    ht_fusion_opts defaults;
    ht_fusion_opts_init(&defaults);
    if (!opts) opts = &defaults;
    HT_TRY(check_opts(opts, n_lists, err));
    fuser f;
    fuser_init(&f, opts, n_lists);
    const ht_status status = fuse_hits(&f, lists, n_lists, err);
    if (status == HT_OK) {
        const size_t n = fuser_finish(&f);
        *n_out = HTI_MIN(n, out_cap);
        for (size_t i = 0; i < *n_out; i++) out[i] = (ht_hit){f.entries[i].score, f.entries[i].doc};
    }
    fuser_deinit(&f);
    return status;
}

/* ---- runs ---- */

/* One query of a run; documents of all runs are numbered together. */
typedef struct run_list {
    const hti_table *table;
    const uint32_t *numbers; /* [table's documents] */
    const hti_row *rows;
} run_list;

typedef struct run_fusion {
    const ht_run *const *runs;
    size_t n_runs;
    hti_map queries, docs; /* of all runs, in order of appearance */
    uint32_t **numbers;    /* [n_runs][documents of the run] */
    ht_run *result;
} run_fusion;

static fuse_row run_row(const void *list, size_t i)
{
    const run_list *is = list;
    const uint32_t doc = is->rows[i].doc;
    return (fuse_row){is->rows[i].value, is->numbers[doc], hti_entry_text(&is->table->docs, doc)};
}

/* Numbers queries and documents of all runs together. */
static ht_status number_runs(run_fusion *r, ht_error *err)
{
    uint32_t entry;
    bool inserted;
    r->numbers = hti_alloc_zero(hti_mul(r->n_runs, sizeof *r->numbers));
    if (!r->numbers) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < r->n_runs; i++) {
        const hti_table *table = &r->runs[i]->table;
        r->numbers[i] = HTI_NEW_ARRAY(uint32_t, table->docs.n);
        if (!r->numbers[i]) return HTI_NO_MEMORY(err);
        for (size_t q = 0; q < table->queries.n; q++)
            HT_TRY(hti_map_put(&r->queries, hti_entry_text(&table->queries, q), 0, &entry, &inserted, err));
        for (size_t d = 0; d < table->docs.n; d++)
            HT_TRY(hti_map_put(&r->docs, hti_entry_text(&table->docs, d), 0, &r->numbers[i][d], &inserted, err));
    }
    return HT_OK;
}

static size_t list_of(const run_fusion *r, size_t i, ht_text query, const ht_fusion_opts *opts, run_list *list)
{
    size_t n = 0;
    const hti_table *table = &r->runs[i]->table;
    const uint32_t q = hti_map_find(&table->queries, query);
    *list = (run_list){table, r->numbers[i], q == HTI_MAP_NONE ? NULL : hti_table_rows(table, q, &n)};
    return in_window(opts, n);
}

static ht_status fuse_query(run_fusion *r, fuser *f, ht_text query, ht_error *err)
{
    run_list list;
    size_t sum = 0;
    for (size_t i = 0; i < r->n_runs; i++) sum += list_of(r, i, query, f->opts, &list);
    HT_TRY(fuser_reset(f, sum, err));
    for (size_t i = 0; i < r->n_runs; i++) {
        const size_t len = list_of(r, i, query, f->opts, &list);
        add_list(f, i, &list, len, run_row);
    }
    const size_t n = fuser_finish(f);
    for (size_t i = 0; i < n; i++) HT_TRY(ht_run_add(r->result, query, f->entries[i].id, f->entries[i].score, err));
    return HT_OK;
}

static ht_status fuse_all(run_fusion *r, const ht_fusion_opts *opts, ht_error *err)
{
    HT_TRY(number_runs(r, err));
    fuser *f = HTI_NEW(fuser);
    if (!f) return HTI_NO_MEMORY(err);
    fuser_init(f, opts, r->n_runs);
    ht_status status = HT_OK;
    for (size_t q = 0; status == HT_OK && q < r->queries.n; q++)
        status = fuse_query(r, f, hti_entry_text(&r->queries, q), err);
    fuser_deinit(f);
    hti_free(f);
    return status;
}

ht_status ht_fuse(const ht_run *const *runs, size_t n_runs, const ht_fusion_opts *opts, ht_run **out, ht_error *err)
{
    *out = NULL;
    ht_fusion_opts defaults;
    ht_fusion_opts_init(&defaults);
    if (!opts) opts = &defaults;
    HT_TRY(check_opts(opts, n_runs, err));
    run_fusion r = {.runs = runs, .n_runs = n_runs};
    HT_TRY(ht_run_new(&r.result, err));
    hti_map_init(&r.queries);
    hti_map_init(&r.docs);
    const ht_status status = fuse_all(&r, opts, err);
    for (size_t i = 0; r.numbers && i < n_runs; i++) hti_free(r.numbers[i]);
    hti_free(r.numbers);
    hti_map_deinit(&r.queries);
    hti_map_deinit(&r.docs);
    if (status == HT_OK)
        *out = r.result;
    else
        ht_run_free(r.result);
    return status;
}
