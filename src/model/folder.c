/*
 * folder.c - files of a model folder.
 */
#include "model_int.h"

#include <string.h>

enum { CONFIG_MAX = 64 * 1024 * 1024 };

char *hti_folder_path(const char *dir, const char *part, const char *file)
{
    hti_buffer path;
    hti_buffer_init(&path);
    hti_buffer_text(&path, dir);
    if (*part) hti_buffer_printf(&path, "/%s", part);
    hti_buffer_printf(&path, "/%s", file);
    if (path.status == HT_OK) return path.data;
    hti_buffer_deinit(&path);
    return NULL;
}

ht_status hti_folder_has(const hti_folder *folder, const char *part, const char *file, bool *has, ht_error *err)
{
    char *path = hti_folder_path(folder->dir, part, file);
    if (!path) return HTI_NO_MEMORY(err);
    *has = hti_path_exists(path);
    hti_free(path);
    return HT_OK;
}

ht_status hti_folder_load(const char *dir, const char *part, const char *file, hti_folder_file *out, ht_error *err)
{
    *out = (hti_folder_file){NULL, NULL};
    char *path = hti_folder_path(dir, part, file);
    if (!path) return HTI_NO_MEMORY(err);
    if (!hti_path_exists(path)) {
        hti_free(path);
        return HT_OK;
    }
    const ht_status status = hti_json_load(path, CONFIG_MAX, &out->value, err);
    out->name = path;
    if (status != HT_OK) hti_folder_release(out);
    return status;
}

void hti_folder_release(hti_folder_file *file)
{
    json_decref(file->value);
    hti_free(file->name);
    *file = (hti_folder_file){NULL, NULL};
}

ht_status hti_config_int(const hti_folder_file *file, hti_int_rule rule, uint32_t *out, ht_error *err)
{
    int64_t value;
    HT_TRY(hti_json_int(file->value, file->name, rule.key, INT64_MIN, &value, err));
    if (value == INT64_MIN) value = rule.otherwise;
    if (value == -1 && rule.otherwise == -1) return HT_FAIL(err, PARSE, "%s: \"%s\" is missing", file->name, rule.key);
    if (value < rule.low || value > rule.high)
        return HT_FAIL(err, PARSE, "%s: \"%s\" is %lld, must be %lld to %lld", file->name, rule.key, (long long)value,
                       (long long)rule.low, (long long)rule.high);
    *out = (uint32_t)value;
    return HT_OK;
}

bool hti_json_is(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           strcmp(json_string_value(value), text) == 0;
}
