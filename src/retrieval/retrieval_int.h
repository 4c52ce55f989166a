/*
 * retrieval_int.h - what the files of this room share: values in short, and the tables that retrieval.c registers.
 *
 * Shapes: a passage or query is a struct {uuid, text, title?}; an embedding {vectors: tensor [n, dim] f32, pooled:
 * tensor [dim] f32}; a hit {id, score}; a prediction {query_uuid, passage_uuid, score}.
 */
#ifndef HTI_RETRIEVAL_RETRIEVAL_INT_H
#define HTI_RETRIEVAL_RETRIEVAL_INT_H

#include "base/base.h"
#include "os/os.h"

#include <houndstooth/encoder.h>
#include <houndstooth/eval.h>
#include <houndstooth/lexical.h>
#include <houndstooth/plaid.h>
#include <houndstooth/retrieval.h>

#include <string.h>

extern const ht_class hti_encoder_class, hti_token_index_class, hti_bm25_index_class, hti_rrf_class, hti_minmax_class,
    hti_http_class;

typedef struct hti_node_list {
    const ht_node_desc *const *nodes; /* [n] */
    size_t n;
} hti_node_list;
extern const hti_node_list hti_load_nodes, hti_encode_nodes, hti_search_nodes, hti_judge_nodes;

/* A field of a struct, null if it is not there. */
static inline ht_value hti_field(ht_value value, const char *name)
{
    ht_value found = ht_value_null();
    (void)ht_value_field(value, name, &found);
    return found;
}
/* Text of a string field; INVALID says what of is wrong. */
HT_CHECKED ht_status hti_text_field(ht_value value, const char *name, const char *what, ht_text *out, ht_error *err);
/* A field that is a number, whole or not; INVALID says what of is wrong. */
HT_CHECKED ht_status hti_number_field(ht_value value, const char *name, const char *what, double *out, ht_error *err);
/* A whole number of at least `least`; INVALID names it. */
HT_CHECKED ht_status hti_count_of(ht_value value, const char *name, int64_t least, size_t *out, ht_error *err);
/* {a: x, b: y}; takes both values, also on failure. */
HT_CHECKED ht_status hti_pair(const char *a, ht_value x, const char *b, ht_value y, ht_value *out, ht_error *err);
/* Hits as a list of {id, score}; ids [all documents]. */
HT_CHECKED ht_status hti_hits_value(const ht_hit *hits, size_t n, const ht_value *ids, ht_value *out, ht_error *err);
/* Item `i` of a list, out of what `from` is. */
typedef ht_status hti_item_fn(const void *from, size_t i, ht_value *out, ht_error *err);
/* The list of n items that `item` makes. */
HT_CHECKED ht_status hti_list_of(size_t n, hti_item_fn *item, const void *from, ht_value *out, ht_error *err);
/* Rows of a batch one after the other by the row form. */
HT_CHECKED ht_status hti_rows_by_row(ht_row_fn row, void *self, size_t n, const ht_column *in, size_t n_inputs,
                                     ht_value *const *out, ht_error *err);
#define HTI_ROW_NODE(type_name, ins, outs, fn, text)                                                                 \
    {                                                                                                                \
        HT_DESC(ht_node_desc), .name = (type_name), .inputs = (ins), .n_inputs = HTI_LEN(ins), .outputs = (outs),    \
                               .n_outputs = HTI_LEN(outs), .forms = {.row = (fn)}, .version = "1", .summary = (text) \
    }
#define HTI_BODY_NODE(type_name, ins, outs, fn, text)                                                                 \
    {                                                                                                                 \
        HT_DESC(ht_node_desc), .name = (type_name), .inputs = (ins), .n_inputs = HTI_LEN(ins), .outputs = (outs),     \
                               .n_outputs = HTI_LEN(outs), .forms = {.body = (fn)}, .version = "1", .summary = (text) \
    }

#endif
