/*
 * model_int.h - a model folder while it is read: its JSON files and the tables of layouts and architectures.
 */
#ifndef HTI_MODEL_MODEL_INT_H
#define HTI_MODEL_MODEL_INT_H

#include "model.h"

#include "codec/codec.h"

/* A JSON file of the folder; value NULL where it is missing. `name` goes in front of messages. */
typedef struct hti_folder_file {
    json_t *value;
    char *name;
} hti_folder_file;

typedef struct hti_folder {
    const char *dir;
    hti_folder_file modules;               /* modules.json */
    hti_folder_file sentence_transformers; /* config_sentence_transformers.json */
    hti_folder_file config;                /* config.json, in the folder of the Transformer module */
    const char *transformer;               /* that folder, relative, "" for the root; lives in modules */
    bool has_artifact;                     /* artifact.metadata */
} hti_folder;

/* Reads and parses dir/part/file; {NULL, NULL} if it does not exist. */
HT_CHECKED ht_status hti_folder_load(const char *dir, const char *part, const char *file, hti_folder_file *out,
                                     ht_error *err);
void hti_folder_release(hti_folder_file *file);
/* "dir/part/file" in a new block; part may be "". NULL when memory is out. */
HT_CHECKED char *hti_folder_path(const char *dir, const char *part, const char *file);
HT_CHECKED ht_status hti_folder_has(const hti_folder *folder, const char *part, const char *file, bool *has,
                                    ht_error *err);

/*
 * A layout of model folders: how to know it, how to read what is particular to it (NULL: recognised, not written
 * yet).
 */
typedef struct hti_layout {
    const char *name;
    bool (*recognise)(const hti_folder *folder);
    ht_status (*read)(const hti_folder *folder, hti_model *model, ht_error *err);
} hti_layout;
/* In order of trial; the first that recognises the folder reads it. */
extern const hti_layout hti_layouts[];
extern const size_t hti_n_layouts;

/* An architecture by config.json's model_type: configuration and weights. */
typedef struct hti_architecture {
    const char *model_type;
    ht_status (*read)(const hti_folder *folder, hti_model *model, ht_error *err);
} hti_architecture;
ht_status hti_bert_read(const hti_folder *folder, hti_model *model, ht_error *err);

/* An integer of config.json within [low, high], required unless `otherwise` >= 0. */
typedef struct hti_int_rule {
    const char *key;
    int64_t otherwise, low, high;
} hti_int_rule;
HT_CHECKED ht_status hti_config_int(const hti_folder_file *file, hti_int_rule rule, uint32_t *out, ht_error *err);

/* True if a JSON text has exactly this content. */
bool hti_json_is(const json_t *value, const char *text);

#endif
