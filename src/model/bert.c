/*
 * bert.c - BERT's configuration and the places of its weights.
 *
 * Names as in transformers: [bert.]embeddings.word_embeddings.weight,
 * [bert.]encoder.layer.N.attention.self.query.weight, ...;
 * very old files call the norms' weight and bias gamma and beta. Weights of heads (pooler, cls) are left alone.
 * Easy to get wrong: max_position_embeddings in config.json may be less than the rows of the table, never more.
 */
#include "model_int.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_LEN = 128 };

typedef struct weight_loader {
    const hti_safetensors *file;
    const char *prefix; /* "" or "bert." */
} weight_loader;

static void shape_text(const hti_tensor *tensor, char *text, size_t cap)
{
    size_t len = (size_t)snprintf(text, cap, "[");
    for (uint32_t i = 0; i < tensor->n_dims && len < cap; i++)
        len += (size_t)snprintf(text + len, cap - len, i ? ", %llu" : "%llu", (unsigned long long)tensor->shape[i]);
    if (len < cap) (void)snprintf(text + len, cap - len, "]");
}

/* A float tensor of shape [rows, columns], or [rows] if columns is 0. */
static ht_status check_weight(const weight_loader *loader, const hti_tensor *tensor, uint64_t rows, uint64_t columns,
                              ht_error *err)
{
    char found[160];
    const char *name = hti_safetensors_name(loader->file);
    if (tensor->dtype == HTI_DTYPE_OTHER)
        return HT_FAIL(err, UNSUPPORTED, "%s: tensor \"%s\" is not F32, F16 or BF16", name, tensor->name);
    const bool matrix = columns > 0;
    if (tensor->n_dims == (matrix ? 2u : 1u) && tensor->shape[0] == rows && (!matrix || tensor->shape[1] == columns))
        return HT_OK;
    shape_text(tensor, found, sizeof found);
    if (matrix)
        return HT_FAIL(err, CORRUPT, "%s: tensor \"%s\" has shape %s, config.json asks for [%llu, %llu]", name,
                       tensor->name, found, (unsigned long long)rows, (unsigned long long)columns);
    return HT_FAIL(err, CORRUPT, "%s: tensor \"%s\" has shape %s, config.json asks for [%llu]", name, tensor->name,
                   found, (unsigned long long)rows);
}

/* The tensor prefix + name, or with `old_end` in place of the name's last part. */
static ht_status find_weight(const weight_loader *loader, const char *name, const char *old_end, const hti_tensor **out,
                             ht_error *err)
{
    char full[NAME_MAX_LEN], old[NAME_MAX_LEN];
    (void)snprintf(full, sizeof full, "%s%s", loader->prefix, name);
    *out = hti_safetensors_find(loader->file, full);
    if (*out) return HT_OK;
    if (old_end) {
        (void)snprintf(old, sizeof old, "%.*s%s", (int)(strrchr(full, '.') - full) + 1, full, old_end);
        *out = hti_safetensors_find(loader->file, old);
        if (*out) return HT_OK;
    }
    return HT_FAIL(err, CORRUPT, "%s: no tensor \"%s\"", hti_safetensors_name(loader->file), full);
}

static ht_status load_pair(const weight_loader *loader, const char *name, uint64_t rows, uint64_t columns,
                           hti_linear_weights *out, ht_error *err)
{
    char full[NAME_MAX_LEN];
    (void)snprintf(full, sizeof full, "%s.weight", name);
    HT_TRY(find_weight(loader, full, columns ? NULL : "gamma", &out->weight, err));
    HT_TRY(check_weight(loader, out->weight, rows, columns, err));
    (void)snprintf(full, sizeof full, "%s.bias", name);
    HT_TRY(find_weight(loader, full, columns ? NULL : "beta", &out->bias, err));
    return check_weight(loader, out->bias, rows, 0, err);
}

static ht_status load_layer(const weight_loader *loader, const hti_bert *bert, uint32_t n, hti_bert_layer *layer,
                            ht_error *err)
{
    const uint64_t hidden = bert->hidden, wide = bert->intermediate;
    const struct {
        const char *name;
        uint64_t rows, columns;
        hti_linear_weights *into;
    } parts[] = {
        {"attention.self.query", hidden, hidden, &layer->query},
        {"attention.self.key", hidden, hidden, &layer->key},
        {"attention.self.value", hidden, hidden, &layer->value},
        {"attention.output.dense", hidden, hidden, &layer->attention_out},
        {"attention.output.LayerNorm", hidden, 0, &layer->attention_norm},
        {"intermediate.dense", wide, hidden, &layer->up},
        {"output.dense", hidden, wide, &layer->down},
        {"output.LayerNorm", hidden, 0, &layer->output_norm},
    };
    for (size_t i = 0; i < HTI_LEN(parts); i++) {
        char name[NAME_MAX_LEN - 32];
        (void)snprintf(name, sizeof name, "encoder.layer.%u.%s", n, parts[i].name);
        HT_TRY(load_pair(loader, name, parts[i].rows, parts[i].columns, parts[i].into, err));
    }
    return HT_OK;
}

static ht_status load_embeddings(const weight_loader *loader, hti_bert *bert, ht_error *err)
{
    HT_TRY(find_weight(loader, "embeddings.word_embeddings.weight", NULL, &bert->words, err));
    HT_TRY(check_weight(loader, bert->words, bert->vocab_size, bert->hidden, err));
    HT_TRY(find_weight(loader, "embeddings.position_embeddings.weight", NULL, &bert->positions, err));
    HT_TRY(check_weight(loader, bert->positions, bert->max_positions, bert->hidden, err));
    HT_TRY(find_weight(loader, "embeddings.token_type_embeddings.weight", NULL, &bert->types, err));
    const uint64_t n_types = bert->types->n_dims > 0 ? bert->types->shape[0] : 0;
    HT_TRY(check_weight(loader, bert->types, HTI_MAX(n_types, 1u), bert->hidden, err));
    return load_pair(loader, "embeddings.LayerNorm", bert->hidden, 0, &bert->embedding_norm, err);
}

/* What changes the arithmetic and is not written here must be refused, not ignored. */
static ht_status check_variant(const hti_folder_file *config, ht_error *err)
{
    ht_text act, position;
    bool decoder;
    HT_TRY(hti_json_text(config->value, config->name, "hidden_act", &act, err));
    if (act.data && strcmp(act.data, "gelu") != 0)
        return HT_FAIL(err, UNSUPPORTED, "%s: \"hidden_act\" is \"%s\"; \"gelu\" is supported", config->name, act.data);
    HT_TRY(hti_json_text(config->value, config->name, "position_embedding_type", &position, err));
    if (position.data && strcmp(position.data, "absolute") != 0)
        return HT_FAIL(err, UNSUPPORTED, "%s: \"position_embedding_type\" is \"%s\"; \"absolute\" is supported",
                       config->name, position.data);
    HT_TRY(hti_json_bool(config->value, config->name, "is_decoder", false, &decoder, err));
    if (decoder) return HT_FAIL(err, UNSUPPORTED, "%s: a decoder, not an encoder", config->name);
    return HT_OK;
}

static ht_status read_config(const hti_folder_file *config, hti_bert *bert, ht_error *err)
{
    const struct {
        hti_int_rule rule;
        uint32_t *into;
    } rules[] = {
        {{"num_hidden_layers", -1, 1, 1024}, &bert->n_layers},
        {{"hidden_size", -1, 1, 1 << 16}, &bert->hidden},
        {{"num_attention_heads", -1, 1, 1 << 12}, &bert->n_heads},
        {{"intermediate_size", -1, 1, 1 << 18}, &bert->intermediate},
        {{"vocab_size", -1, 1, 1 << 28}, &bert->vocab_size},
        {{"max_position_embeddings", -1, 2, 1 << 20}, &bert->max_positions},
    };
    for (size_t i = 0; i < HTI_LEN(rules); i++) HT_TRY(hti_config_int(config, rules[i].rule, rules[i].into, err));
    if (bert->hidden % bert->n_heads != 0)
        return HT_FAIL(err, PARSE, "%s: \"hidden_size\" %u is not a multiple of \"num_attention_heads\" %u",
                       config->name, bert->hidden, bert->n_heads);
    double eps;
    HT_TRY(hti_json_real(config->value, config->name, "layer_norm_eps", 1e-12, &eps, err));
    if (!(eps >= 0 && eps <= 1)) return HT_FAIL(err, PARSE, "%s: \"layer_norm_eps\" is %g", config->name, eps);
    bert->norm_eps = (float)eps;
    return check_variant(config, err);
}

ht_status hti_bert_read(const hti_folder *folder, hti_model *model, ht_error *err)
{
    hti_bert *bert = &model->bert;
    HT_TRY(read_config(&folder->config, bert, err));
    weight_loader loader = {model->file, ""};
    if (hti_safetensors_find(model->file, "bert.embeddings.word_embeddings.weight")) loader.prefix = "bert.";
    HT_TRY(load_embeddings(&loader, bert, err));
    bert->layers = HTI_NEW_ARRAY(hti_bert_layer, bert->n_layers);
    if (!bert->layers) return HTI_NO_MEMORY(err);
    for (uint32_t i = 0; i < bert->n_layers; i++) HT_TRY(load_layer(&loader, bert, i, &bert->layers[i], err));
    model->max_tokens = bert->max_positions;
    return HT_OK;
}
