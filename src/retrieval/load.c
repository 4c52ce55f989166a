/*
 * load.c - nodes that read corpora, queries and judgements.
 */
#include "retrieval_int.h"

typedef struct rows {
    ht_value *items; /* [n] owned */
    size_t n, cap;
} rows;

static ht_status add_row(rows *list, ht_value value, ht_error *err)
{
    const ht_status status = hti_reserve(&list->items, &list->cap, list->n + 1, sizeof *list->items, err);
    if (status == HT_OK)
        list->items[list->n++] = value;
    else
        ht_value_release(value);
    return status;
}

static ht_status end_rows(rows *list, ht_status status, ht_value *out, ht_error *err)
{
    if (status == HT_OK) status = ht_value_list(list->items, list->n, out, err);
    for (size_t i = 0; i < list->n; i++) ht_value_release(list->items[i]);
    hti_free(list->items);
    return status;
}

static ht_status record_value(ht_text id, const ht_text *title, ht_text text, ht_value *out, ht_error *err)
{
    static const char *const names[] = {"uuid", "text", "title"};
    ht_value values[3] = {ht_value_null(), ht_value_null(), ht_value_null()};
    ht_status status = ht_value_string(id, &values[0], err);
    if (status == HT_OK) status = ht_value_string(text, &values[1], err);
    if (status == HT_OK && title) status = ht_value_string(*title, &values[2], err);
    if (status == HT_OK) status = ht_value_struct(names, values, title ? 3 : 2, out, err);
    for (int i = 0; i < 3; i++) ht_value_release(values[i]);
    return status;
}

static ht_status path_of(ht_value value, const char *name, const char **out, ht_error *err)
{
    if (value.kind != HT_KIND_STRING)
        return HT_FAIL(err, INVALID, "'%s' is a path, not a %s", name, ht_kind_name(value.kind));
    *out = ht_value_text(value).data;
    return HT_OK;
}

static ht_status read_corpus(ht_corpus_reader *reader, rows *list, ht_error *err)
{
    for (;;) {
        ht_record record;
        ht_value value;
        bool more;
        HT_TRY(ht_corpus_next(reader, &record, &more, err));
        if (!more) return HT_OK;
        HT_TRY(record_value(record.id, &record.title, record.text, &value, err));
        HT_TRY(add_row(list, value, err));
    }
}

static ht_status load_passages(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const char *path;
    ht_corpus_reader *reader;
    rows list = {0};
    (void)self;
    HT_TRY(path_of(in[0], "corpus_path", &path, err));
    HT_TRY(ht_corpus_open(path, NULL, &reader, err));
    const ht_status status = read_corpus(reader, &list, err);
    ht_corpus_close(reader);
    return end_rows(&list, status, &out[0], err);
}

static ht_status query_value(const void *from, size_t i, ht_value *out, ht_error *err)
{
    ht_text text;
    const ht_text id = ht_queries_at(from, i, &text);
    return record_value(id, NULL, text, out, err);
}

static ht_status load_queries(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const char *path;
    ht_queries *queries;
    (void)self;
    HT_TRY(path_of(in[0], "queries_path", &path, err));
    HT_TRY(ht_queries_read(path, NULL, &queries, err));
    const ht_status status = hti_list_of(ht_queries_len(queries), query_value, queries, &out[0], err);
    ht_queries_free(queries);
    return status;
}

/* The judgements stay a file's: who computes measures reads them with trec_eval's rules. */
static ht_status load_ground_truths(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const char *path;
    ht_qrels *qrels;
    (void)self;
    HT_TRY(path_of(in[0], "qrels_path", &path, err));
    HT_TRY(ht_qrels_read(path, NULL, &qrels, err));
    const ht_value n = ht_value_int((int64_t)ht_qrels_n_queries(qrels));
    ht_qrels_free(qrels);
    return hti_pair("path", ht_value_retain(in[0]), "queries", n, &out[0], err);
}

static const ht_input corpus_in[] = {{"corpus_path", NULL}}, queries_in[] = {{"queries_path", NULL}},
                      qrels_in[] = {{"qrels_path", NULL}};
static const char *const passages_out[] = {"passages"}, *const queries_out[] = {"queries"},
                         *const truths_out[] = {"ground_truths"};
static const ht_node_desc passages_node =
    HTI_ROW_NODE("load_passages", corpus_in, passages_out, load_passages, "JSON lines to {uuid, text, title}");
static const ht_node_desc queries_node =
    HTI_ROW_NODE("load_queries", queries_in, queries_out, load_queries, "JSON lines or TSV to {uuid, text}");
static const ht_node_desc truths_node =
    HTI_ROW_NODE("load_ground_truths", qrels_in, truths_out, load_ground_truths, "TREC or BEIR judgements, checked");
static const ht_node_desc *const nodes[] = {&passages_node, &queries_node, &truths_node};
const hti_node_list hti_load_nodes = {nodes, HTI_LEN(nodes)};
