/*
 * layouts.c - the layouts of model folders, and what each says about lengths, pooling and token vectors.
 *
 * Source: docs and code of sentence-transformers, PyLate and Stanford ColBERT. The order matters: a PyLate folder
 * also has
 * modules.json, and every layout has config.json.
 * Easy to get wrong: module types are Python paths that moved between versions ("sentence_transformers.models.Pooling",
 * "sentence_transformers.base.modules.Dense"), so only the last part counts.
 */
#include "model_int.h"

#include <string.h>

static const char *last_part(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot ? dot + 1 : type;
}

static const char *module_type(const json_t *module)
{
    const char *type = json_string_value(json_object_get(module, "type"));
    return type ? last_part(type) : "";
}

static const json_t *find_module(const hti_folder *folder, const char *type)
{
    size_t i;
    const json_t *module;
    json_array_foreach(folder->modules.value, i, module) if (strcmp(module_type(module), type) == 0) return module;
    return NULL;
}

/* ---- recognising ---- */

static bool is_pylate(const hti_folder *folder)
{
    const json_t *config = folder->sentence_transformers.value;
    if (hti_json_is(json_object_get(config, "model_type"), "ColBERT")) return true;
    if (json_object_get(config, "query_prefix") || json_object_get(config, "document_prefix")) return true;
    size_t i;
    const json_t *module;
    json_array_foreach(folder->modules.value, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type"));
        if (type && strncmp(type, "pylate.", 7) == 0) return true;
    }
    return false;
}

static bool is_stanford(const hti_folder *folder)
{
    const json_t *architectures = json_object_get(folder->config.value, "architectures");
    return folder->has_artifact || hti_json_is(json_array_get(architectures, 0), "HF_ColBERT");
}

static bool is_multi_vector(const hti_folder *folder) { return find_module(folder, "MultiVectorMask") != NULL; }
static bool is_sentence_transformers(const hti_folder *folder) { return folder->modules.value != NULL; }
static bool is_transformers(const hti_folder *folder)
{
    (void)folder;
    return true;
}

/* ---- plain sentence-transformers ---- */

static ht_status check_modules(const hti_folder *folder, ht_error *err)
{
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
    size_t i;
    const json_t *module;
    json_array_foreach(folder->modules.value, i, module)
    {
        const char *type = module_type(module);
        bool found = false;
        for (size_t j = 0; j < HTI_LEN(known); j++) found |= strcmp(type, known[j]) == 0;
        if (!found)
            return HT_FAIL(err, UNSUPPORTED,
                           "%s: module %zu is \"%s\"; only Transformer, Pooling and Normalize are supported",
                           folder->modules.name, i, type);
    }
    return HT_OK;
}

/* "pooling_mode": "mean", or in older files one true among pooling_mode_*. */
static ht_status read_pooling_mode(const hti_folder_file *file, hti_pooling *out, ht_error *err)
{
    static const char prefix[] = "pooling_mode_";
    const char *mode = json_string_value(json_object_get(file->value, "pooling_mode")), *key;
    json_t *value;
    size_t n = mode ? 1 : 0;
    json_object_foreach(file->value, key, value)
    {
        if (strncmp(key, prefix, sizeof prefix - 1) != 0 || !json_is_true(value)) continue;
        mode = key + sizeof prefix - 1;
        n++;
    }
    if (n == 1 && (strcmp(mode, "mean") == 0 || strcmp(mode, "mean_tokens") == 0)) {
        *out = HTI_POOLING_MEAN;
        return HT_OK;
    }
    if (n == 1 && (strcmp(mode, "cls") == 0 || strcmp(mode, "cls_token") == 0)) {
        *out = HTI_POOLING_CLS;
        return HT_OK;
    }
    return HT_FAIL(err, UNSUPPORTED, "%s: pooling mode \"%s\"%s; mean and cls are supported", file->name,
                   mode ? mode : "(none)", n > 1 ? " and others" : "");
}

static ht_status read_pooling(const hti_folder *folder, hti_model *model, ht_error *err)
{
    const json_t *module = find_module(folder, "Pooling");
    if (!module) return HT_OK;
    const char *path = json_string_value(json_object_get(module, "path"));
    hti_folder_file file;
    HT_TRY(hti_folder_load(folder->dir, path ? path : "1_Pooling", "config.json", &file, err));
    if (!file.value)
        return HT_FAIL(err, NOT_FOUND, "%s: no %s/config.json, which %s names", folder->dir, path ? path : "1_Pooling",
                       folder->modules.name);
    const ht_status status = read_pooling_mode(&file, &model->pooling, err);
    hti_folder_release(&file);
    return status;
}

/* do_lower_case asks for lower-casing before the tokenizer, which changes nothing if the tokenizer does it. */
static ht_status check_lower_case(const hti_folder *folder, const hti_folder_file *limits, ht_error *err)
{
    bool lower;
    HT_TRY(hti_json_bool(limits->value, limits->name, "do_lower_case", false, &lower, err));
    if (!lower) return HT_OK;
    hti_folder_file tokenizer;
    HT_TRY(hti_folder_load(folder->dir, folder->transformer, "tokenizer.json", &tokenizer, err));
    const bool does = json_is_true(json_object_get(json_object_get(tokenizer.value, "normalizer"), "lowercase"));
    hti_folder_release(&tokenizer);
    if (does) return HT_OK;
    return HT_FAIL(err, UNSUPPORTED, "%s: \"do_lower_case\" with a tokenizer that keeps case", limits->name);
}

static ht_status read_limits(const hti_folder *folder, hti_model *model, ht_error *err)
{
    hti_folder_file limits;
    HT_TRY(hti_folder_load(folder->dir, folder->transformer, "sentence_bert_config.json", &limits, err));
    if (!limits.value) return HT_OK;
    uint32_t most = 0;
    const hti_int_rule rule = {"max_seq_length", 0, 0, 1 << 20};
    ht_status status = hti_config_int(&limits, rule, &most, err);
    if (status == HT_OK && most > 0) model->max_tokens = HTI_MIN(model->max_tokens, most);
    if (status == HT_OK) status = check_lower_case(folder, &limits, err);
    hti_folder_release(&limits);
    return status;
}

static void warn_of_prompts(const hti_folder *folder)
{
    const char *name;
    json_t *prompt;
    json_object_foreach(json_object_get(folder->sentence_transformers.value, "prompts"), name, prompt)
    {
        if (json_string_length(prompt) == 0) continue;
        hti_log(HT_LOG_WARNING, "%s: prompts (\"%s\") are not put in front of texts",
                folder->sentence_transformers.name, name);
        return;
    }
}

static ht_status read_sentence_transformers(const hti_folder *folder, hti_model *model, ht_error *err)
{
    model->kind = HTI_MODEL_SENTENCE_TRANSFORMERS;
    HT_TRY(check_modules(folder, err));
    HT_TRY(read_pooling(folder, model, err));
    warn_of_prompts(folder);
    return read_limits(folder, model, err);
}

static ht_status read_transformers(const hti_folder *folder, hti_model *model, ht_error *err)
{
    (void)folder;
    (void)err;
    model->kind = HTI_MODEL_TRANSFORMERS;
    return HT_OK;
}

const hti_layout hti_layouts[] = {
    {"PyLate ColBERT", is_pylate, NULL},
    {"Stanford ColBERT", is_stanford, NULL},
    {"Sentence-Transformers multi-vector", is_multi_vector, NULL},
    {"Sentence-Transformers", is_sentence_transformers, read_sentence_transformers},
    {"transformers", is_transformers, read_transformers},
};
const size_t hti_n_layouts = HTI_LEN(hti_layouts);
