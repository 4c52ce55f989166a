/*
 * model.c - a model folder from its path to one description.
 *
 * Order: the folder's JSON files, the layout (what kind of model), the weights file, the architecture
 * (configuration and
 * tensors), then what the layout says about lengths and pooling. Nothing heavy happens here: weights stay mapped.
 * Easy to get wrong: the Transformer module of older sentence-transformers folders lies in 0_Transformer/, and its
 * config.json, weights and tokenizer with it; and a path in modules.json must not lead out of the folder.
 */
#include "model_int.h"

#include <string.h>

static const hti_architecture architectures[] = {
    {"bert", hti_bert_read},
};

static void release_folder(hti_folder *folder)
{
    hti_folder_release(&folder->modules);
    hti_folder_release(&folder->sentence_transformers);
    hti_folder_release(&folder->config);
}

/* Paths of modules: relative, and down. */
static ht_status check_module_paths(const hti_folder *folder, ht_error *err)
{
    size_t i;
    const json_t *module;
    json_array_foreach(folder->modules.value, i, module)
    {
        const json_t *path = json_object_get(module, "path");
        if (!json_is_string(path) || json_string_value(path)[0] == '/' || strstr(json_string_value(path), ".."))
            return HT_FAIL(err, PARSE, "%s: module %zu has no \"path\" inside the folder", folder->modules.name, i);
    }
    return HT_OK;
}

static ht_status load_modules(hti_folder *folder, ht_error *err)
{
    HT_TRY(hti_folder_load(folder->dir, "", "modules.json", &folder->modules, err));
    if (!folder->modules.value) return HT_OK;
    if (!json_is_array(folder->modules.value)) return HT_FAIL(err, PARSE, "%s: not an array", folder->modules.name);
    HT_TRY(check_module_paths(folder, err));
    const json_t *first = json_array_get(folder->modules.value, 0);
    const char *type = json_string_value(json_object_get(first, "type"));
    if (!type || !strstr(type, "Transformer"))
        return HT_FAIL(err, UNSUPPORTED, "%s: the first module is \"%s\", not a Transformer", folder->modules.name,
                       type ? type : "");
    folder->transformer = json_string_value(json_object_get(first, "path"));
    return HT_OK;
}

static ht_status load_folder(hti_folder *folder, ht_error *err)
{
    if (!hti_path_exists(folder->dir)) return HT_FAIL(err, NOT_FOUND, "%s: no such model folder", folder->dir);
    if (!hti_path_is_dir(folder->dir))
        return HT_FAIL(err, INVALID,
                       "%s: a file, not a model folder (one with config.json, model.safetensors, tokenizer.json)",
                       folder->dir);
    HT_TRY(load_modules(folder, err));
    HT_TRY(hti_folder_load(folder->dir, "", "config_sentence_transformers.json", &folder->sentence_transformers, err));
    HT_TRY(hti_folder_load(folder->dir, folder->transformer, "config.json", &folder->config, err));
    HT_TRY(hti_folder_has(folder, "", "artifact.metadata", &folder->has_artifact, err));
    if (!folder->config.value)
        return HT_FAIL(
            err, NOT_FOUND,
            "%s: not a model folder: no %s%sconfig.json (looked for config.json, model.safetensors and tokenizer.json)",
            folder->dir, folder->transformer, *folder->transformer ? "/" : "");
    return HT_OK;
}

static const hti_layout *find_layout(const hti_folder *folder)
{
    size_t i = 0;
    while (!hti_layouts[i].recognise(folder)) i++; /* the last row recognises every folder */
    return &hti_layouts[i];
}

/* Says what is there instead of model.safetensors. */
static ht_status no_weights(const hti_folder *folder, ht_error *err)
{
    bool sharded, pickled;
    HT_TRY(hti_folder_has(folder, folder->transformer, "model.safetensors.index.json", &sharded, err));
    HT_TRY(hti_folder_has(folder, folder->transformer, "pytorch_model.bin", &pickled, err));
    if (sharded)
        return HT_FAIL(
            err, UNSUPPORTED,
            "%s: weights in several files (model.safetensors.index.json); one model.safetensors is supported",
            folder->dir);
    if (pickled)
        return HT_FAIL(err, UNSUPPORTED, "%s: weights as pytorch_model.bin; convert them to model.safetensors",
                       folder->dir);
    return HT_FAIL(err, NOT_FOUND, "%s: not a model folder: no model.safetensors beside config.json", folder->dir);
}

static ht_status open_weights(const hti_folder *folder, hti_model *model, ht_error *err)
{
    bool has;
    HT_TRY(hti_folder_has(folder, folder->transformer, "model.safetensors", &has, err));
    if (!has) return no_weights(folder, err);
    char *path = hti_folder_path(folder->dir, folder->transformer, "model.safetensors");
    if (!path) return HTI_NO_MEMORY(err);
    const ht_status status = hti_safetensors_open(path, &model->file, err);
    hti_free(path);
    if (status != HT_OK) return status;
    size_t n;
    const hti_tensor *tensors = hti_safetensors_all(model->file, &n);
    for (size_t i = 0; i < n; i++)
        if (tensors[i].dtype != HTI_DTYPE_OTHER) model->n_parameters += tensors[i].n_elements;
    return HT_OK;
}

static ht_status read_architecture(const hti_folder *folder, hti_model *model, ht_error *err)
{
    ht_text type;
    HT_TRY(hti_json_text(folder->config.value, folder->config.name, "model_type", &type, err));
    if (!type.data)
        return HT_FAIL(err, PARSE, "%s: \"model_type\" is missing: not the configuration of a transformers model",
                       folder->config.name);
    for (size_t i = 0; i < HTI_LEN(architectures); i++) {
        if (strcmp(type.data, architectures[i].model_type) != 0) continue;
        model->architecture = architectures[i].model_type;
        return architectures[i].read(folder, model, err);
    }
    return HT_FAIL(err, UNSUPPORTED, "%s: architecture \"%s\" is not supported (supported: bert)", folder->config.name,
                   type.data);
}

static ht_status read_model(hti_folder *folder, hti_model *model, ht_error *err)
{
    HT_TRY(load_folder(folder, err));
    if (!json_is_object(folder->config.value)) return HT_FAIL(err, PARSE, "%s: not an object", folder->config.name);
    const hti_layout *layout = find_layout(folder);
    if (!layout->read)
        return HT_FAIL(err, UNSUPPORTED, "%s: a model of the %s layout, which is not supported yet", folder->dir,
                       layout->name);
    model->mix = 0.5f;
    model->drops_punctuation = true;
    model->pooling = HTI_POOLING_MEAN;
    model->tokenizer_path = hti_folder_path(folder->dir, folder->transformer, "tokenizer.json");
    if (!model->tokenizer_path) return HTI_NO_MEMORY(err);
    HT_TRY(open_weights(folder, model, err));
    HT_TRY(read_architecture(folder, model, err));
    return layout->read(folder, model, err);
}

ht_status hti_model_open(const char *dir, hti_model **out, ht_error *err)
{
    *out = NULL;
    hti_model *model = HTI_NEW(hti_model);
    if (!model) return HTI_NO_MEMORY(err);
    hti_folder folder = {.dir = dir, .transformer = ""};
    const ht_status status = read_model(&folder, model, err);
    release_folder(&folder);
    if (status == HT_OK)
        *out = model;
    else
        hti_model_close(model);
    return status;
}

void hti_model_close(hti_model *model)
{
    if (!model) return;
    hti_safetensors_close(model->file);
    hti_free(model->bert.layers);
    hti_free(model->tokenizer_path);
    hti_free(model);
}

static ht_status check_tokenizer(const hti_model *model, const hti_tokenizer *tokenizer, ht_error *err)
{
    const hti_tokenizer_info info = hti_tokenizer_get_info(tokenizer);
    if (info.n_ids > model->bert.vocab_size)
        return HT_FAIL(err, CORRUPT,
                       "%s: ids up to %u do not fit the %u rows of the embedding \"%s\" in %s: files of two models",
                       model->tokenizer_path, info.n_ids - 1, model->bert.vocab_size, model->bert.words->name,
                       hti_safetensors_name(model->file));
    if (info.n_special == 0 || info.n_special >= model->max_tokens)
        return HT_FAIL(err, CORRUPT, "%s: %u special tokens round a text of at most %u ids", model->tokenizer_path,
                       info.n_special, model->max_tokens);
    return HT_OK;
}

ht_status hti_model_tokenizer(const hti_model *model, hti_tokenizer **out, ht_error *err)
{
    *out = NULL;
    if (!hti_path_exists(model->tokenizer_path))
        return HT_FAIL(err, NOT_FOUND, "%s: no such file (the tokenizer; vocab.txt alone is not read)",
                       model->tokenizer_path);
    hti_tokenizer *tokenizer;
    HT_TRY(hti_tokenizer_open(model->tokenizer_path, NULL, &tokenizer, err));
    const ht_status status = check_tokenizer(model, tokenizer, err);
    if (status == HT_OK)
        *out = tokenizer;
    else
        hti_tokenizer_close(tokenizer);
    return status;
}
