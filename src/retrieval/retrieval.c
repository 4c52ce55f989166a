/*
 * retrieval.c - everything of this room in a registry, and what its files share.
 */
#include "retrieval_int.h"

ht_status ht_retrieval_register(ht_registry *registry, ht_error *err)
{
    static const ht_class *const classes[] = {&hti_encoder_class, &hti_token_index_class, &hti_bm25_index_class,
                                              &hti_rrf_class,     &hti_minmax_class,      &hti_http_class};
    static const hti_node_list *const lists[] = {&hti_load_nodes, &hti_encode_nodes, &hti_search_nodes,
                                                 &hti_judge_nodes};
    for (size_t i = 0; i < HTI_LEN(classes); i++) HT_TRY(ht_registry_add_class(registry, classes[i], err));
    for (size_t l = 0; l < HTI_LEN(lists); l++)
        for (size_t i = 0; i < lists[l]->n; i++) HT_TRY(ht_registry_add_node(registry, lists[l]->nodes[i], err));
    return HT_OK;
}

ht_status hti_text_field(ht_value value, const char *name, const char *what, ht_text *out, ht_error *err)
{
    const ht_value field = hti_field(value, name);
    if (field.kind != HT_KIND_STRING)
        return HT_FAIL(err, INVALID, "%s has no string '%s' (it is a %s)", what, name, ht_kind_name(value.kind));
    *out = ht_value_text(field);
    return HT_OK;
}

ht_status hti_number_field(ht_value value, const char *name, const char *what, double *out, ht_error *err)
{
    const ht_value field = hti_field(value, name);
    if (field.kind != HT_KIND_INT && field.kind != HT_KIND_FLOAT)
        return HT_FAIL(err, INVALID, "%s has no number '%s' (it is a %s)", what, name, ht_kind_name(field.kind));
    *out = field.kind == HT_KIND_INT ? (double)field.as.integer : field.as.number;
    return HT_OK;
}

ht_status hti_count_of(ht_value value, const char *name, int64_t least, size_t *out, ht_error *err)
{
    if (value.kind != HT_KIND_INT || value.as.integer < least)
        return HT_FAIL(err, INVALID, "'%s' must be a whole number of at least %lld", name, (long long)least);
    *out = (size_t)value.as.integer;
    return HT_OK;
}

ht_status hti_pair(const char *a, ht_value x, const char *b, ht_value y, ht_value *out, ht_error *err)
{
    const char *const names[] = {a, b};
    const ht_value values[] = {x, y};
    const ht_status status = ht_value_struct(names, values, 2, out, err);
    ht_value_release(x);
    ht_value_release(y);
    return status;
}

ht_status hti_list_of(size_t n, hti_item_fn *item, const void *from, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    while (status == HT_OK && made < n) {
        status = item(from, made, &items[made], err);
        made += status == HT_OK;
    }
    if (status == HT_OK) status = ht_value_list(items, n, out, err);
    for (size_t i = 0; i < made; i++) ht_value_release(items[i]);
    hti_free(items);
    return status;
}

typedef struct named_hits {
    const ht_hit *hits;
    const ht_value *ids;
} named_hits;

static ht_status named_hit(const void *from, size_t i, ht_value *out, ht_error *err)
{
    const named_hits *all = from;
    const ht_hit *hit = &all->hits[i];
    return hti_pair("id", ht_value_retain(all->ids[hit->doc]), "score", ht_value_float(hit->score), out, err);
}

ht_status hti_hits_value(const ht_hit *hits, size_t n, const ht_value *ids, ht_value *out, ht_error *err)
{
    const named_hits all = {hits, ids};
    return hti_list_of(n, named_hit, &all, out, err);
}

ht_status hti_rows_by_row(ht_row_fn row, void *self, size_t n, const ht_column *in, size_t n_inputs,
                          ht_value *const *out, ht_error *err)
{
    ht_value values[8];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n_inputs; k++) values[k] = in[k].rows[in[k].constant ? 0 : i];
        HT_TRY(row(self, values, &out[0][i], err));
    }
    return HT_OK;
}
