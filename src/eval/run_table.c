/*
 * run_table.c - runs and judgements in memory: interned ids and rows per query.
 *
 * Layout: two maps give queries and documents small numbers; all rows lie in one array, each query's
 * together, in order of addition: list q = rows[first, first + n). A list at the end of the array
 * grows in place; one that is no longer there moves to the end with twice the room, so a file
 * grouped by query has no holes and any other at most as many as rows.
 * Invariant: a query holds a document once. docs[d].value is the last query that took d, which
 * settles that while queries come in groups; from the moment a query comes back, a set of
 * (query, document) pairs does. Both are O(1) a row whatever the order.
 * Workload: runs of 1e4..1e7 rows, grouped by query; judgements of 1e3..1e6.
 * Thread rule: readers may share a table that nobody changes.
 */
#include "eval_int.h"

#include <math.h>

#define NO_PAIR UINT64_MAX /* no query has number 2^32 - 1 */

static uint64_t pair_of(uint32_t query, uint32_t doc) { return (uint64_t)query << 32 | doc; }

/* Slot that holds the pair, or the free one where it belongs. */
static size_t pair_slot(const uint64_t *slots, size_t n_slots, uint64_t pair)
{
    uint64_t state = pair;
    size_t at = (size_t)hti_random_next(&state) & (n_slots - 1);
    while (slots[at] != NO_PAIR && slots[at] != pair) at = (at + 1) & (n_slots - 1);
    return at;
}

/* A set of twice the room with the same pairs, plus every row so far if there was no set. */
static ht_status grow_pairs(hti_table *table, ht_error *err)
{
    size_t n_slots = 64;
    while (n_slots < 4 * (table->n_pairs + 1)) n_slots = hti_mul(n_slots, 2);
    uint64_t *slots = HTI_NEW_ARRAY(uint64_t, n_slots);
    if (!slots) return HTI_NO_MEMORY(err);
    memset(slots, 0xFF, n_slots * sizeof *slots);
    for (size_t q = 0; q < table->queries.n; q++) {
        size_t n;
        const hti_row *rows = hti_table_rows(table, q, &n);
        for (size_t i = 0; i < n; i++) {
            const uint64_t pair = pair_of((uint32_t)q, rows[i].doc);
            slots[pair_slot(slots, n_slots, pair)] = pair;
        }
    }
    hti_free(table->pairs);
    table->pairs = slots;
    table->n_slots = n_slots;
    return HT_OK;
}

/* Is the document in the query's list? */
static ht_status find_row(hti_table *table, uint32_t query, uint32_t doc, bool is_new, bool *found, ht_error *err)
{
    const bool returns = !is_new && query != table->last_query;
    if ((returns && !table->pairs) || (table->pairs && 2 * (table->n_pairs + 1) > table->n_slots))
        HT_TRY(grow_pairs(table, err));
    if (!table->pairs)
        *found = !is_new && table->docs.entries[doc].value == query;
    else
        *found = table->pairs[pair_slot(table->pairs, table->n_slots, pair_of(query, doc))] != NO_PAIR;
    return HT_OK;
}

static ht_status append_row(hti_table *table, hti_row_list *list, hti_row row, ht_error *err)
{
    if (list->n == list->cap && list->first + list->cap == table->n_rows) {
        HT_TRY(hti_reserve(&table->rows, &table->cap_rows, table->n_rows + 1, sizeof *table->rows, err));
        table->n_rows++;
        list->cap++;
    } else if (list->n == list->cap) {
        const size_t cap = HTI_MAX(2 * list->n, (size_t)4);
        HT_TRY(hti_reserve(&table->rows, &table->cap_rows, hti_add(table->n_rows, cap), sizeof *table->rows, err));
        memcpy(table->rows + table->n_rows, table->rows + list->first, list->n * sizeof *table->rows);
        list->first = table->n_rows;
        list->cap = cap;
        table->n_rows += cap;
    }
    table->rows[list->first + list->n++] = row;
    return HT_OK;
}

ht_status hti_table_add(hti_table *table, ht_text query, ht_text doc, double value, ht_error *err)
{
    uint32_t q, d;
    bool new_query, new_doc, found;
    if (query.len == 0 || doc.len == 0)
        return HT_FAIL(err, INVALID, "the id of a query or document is empty; give it one");
    HT_TRY(hti_reserve(&table->lists, &table->cap_lists, table->queries.n + 1, sizeof *table->lists, err));
    HT_TRY(hti_map_put(&table->queries, query, 0, &q, &new_query, err));
    if (new_query) table->lists[q] = (hti_row_list){table->n_rows, 0, 0};
    HT_TRY(hti_map_put(&table->docs, doc, HTI_MAP_NONE, &d, &new_doc, err));
    HT_TRY(find_row(table, q, d, new_query, &found, err));
    if (found)
        return HT_FAIL(err, EXISTS, "query \"%.*s\" holds document \"%.*s\" already; keep one of the two",
                       hti_shown(query), query.data, hti_shown(doc), doc.data);
    HT_TRY(append_row(table, &table->lists[q], (hti_row){value, d}, err));
    if (table->pairs) table->pairs[pair_slot(table->pairs, table->n_slots, pair_of(q, d))] = pair_of(q, d);
    table->n_pairs++;
    table->docs.entries[d].value = q;
    table->last_query = q;
    return HT_OK;
}

const hti_row *hti_table_rows(const hti_table *table, size_t q, size_t *n)
{
    *n = table->lists[q].n;
    return *n ? table->rows + table->lists[q].first : NULL;
}

static void table_init(hti_table *table)
{
    *table = (hti_table){.last_query = HTI_MAP_NONE};
    hti_map_init(&table->queries);
    hti_map_init(&table->docs);
}

static void table_deinit(hti_table *table)
{
    hti_map_deinit(&table->queries);
    hti_map_deinit(&table->docs);
    hti_free(table->lists);
    hti_free(table->rows);
    hti_free(table->pairs);
}

/* Id of the n-th query, {NULL, 0} behind the last. */
static ht_text query_at(const hti_table *table, size_t n, size_t *n_rows)
{
    if (n_rows) *n_rows = n < table->queries.n ? table->lists[n].n : 0;
    return n < table->queries.n ? hti_entry_text(&table->queries, n) : (ht_text){NULL, 0};
}

/* Document and value of a row of the n-th query, {NULL, 0} and 0 behind the last. */
static ht_text row_at(const hti_table *table, size_t n, size_t row, double *value)
{
    size_t n_rows = 0;
    const hti_row *rows = n < table->queries.n ? hti_table_rows(table, n, &n_rows) : NULL;
    *value = row < n_rows ? rows[row].value : 0.0;
    return row < n_rows ? hti_entry_text(&table->docs, rows[row].doc) : (ht_text){NULL, 0};
}

/* ---- runs ---- */

ht_status ht_run_new(ht_run **out, ht_error *err)
{
    *out = HTI_NEW(ht_run);
    if (!*out) return HTI_NO_MEMORY(err);
    table_init(&(*out)->table);
    return HT_OK;
}

void ht_run_free(ht_run *run)
{
    if (!run) return;
    table_deinit(&run->table);
    hti_free(run);
}

ht_status hti_run_add_any(ht_run *run, ht_text query, ht_text doc, double score, ht_error *err)
{
    if (isnan(score))
        return HT_FAIL(err, INVALID, "query \"%.*s\": the score of document \"%.*s\" is NaN; give a finite number",
                       hti_shown(query), query.data, hti_shown(doc), doc.data);
    return hti_table_add(&run->table, query, doc, score, err);
}

ht_status ht_run_add(ht_run *run, ht_text query, ht_text doc, double score, ht_error *err)
{
    if (isinf(score))
        return HT_FAIL(err, INVALID, "query \"%.*s\": the score of document \"%.*s\" is infinite; give a finite number",
                       hti_shown(query), query.data, hti_shown(doc), doc.data);
    return hti_run_add_any(run, query, doc, score, err);
}

size_t ht_run_n_queries(const ht_run *run) { return run->table.queries.n; }
ht_text ht_run_query(const ht_run *run, size_t n, size_t *n_rows) { return query_at(&run->table, n, n_rows); }

ht_text ht_run_row(const ht_run *run, size_t n, size_t row, double *score)
{
    double value;
    const ht_text doc = row_at(&run->table, n, row, &value);
    if (score) *score = value;
    return doc;
}

/* ---- judgements ---- */

ht_status ht_qrels_new(ht_qrels **out, ht_error *err)
{
    *out = HTI_NEW(ht_qrels);
    if (!*out) return HTI_NO_MEMORY(err);
    table_init(&(*out)->table);
    return HT_OK;
}

void ht_qrels_free(ht_qrels *qrels)
{
    if (!qrels) return;
    table_deinit(&qrels->table);
    hti_free(qrels);
}

ht_status ht_qrels_add(ht_qrels *qrels, ht_text query, ht_text doc, int32_t grade, ht_error *err)
{
    return hti_table_add(&qrels->table, query, doc, grade, err);
}

size_t ht_qrels_n_queries(const ht_qrels *qrels) { return qrels->table.queries.n; }
ht_text ht_qrels_query(const ht_qrels *qrels, size_t n, size_t *n_docs) { return query_at(&qrels->table, n, n_docs); }

ht_text ht_qrels_row(const ht_qrels *qrels, size_t n, size_t row, int32_t *grade)
{
    double value;
    const ht_text doc = row_at(&qrels->table, n, row, &value);
    if (grade) *grade = (int32_t)value;
    return doc;
}
