/*
 * models.c - where models lie on this machine.
 *
 * Order: the argument itself as a folder, our own models folder, the Hugging Face cache. Nothing is
 * fetched here: getting a model is `scripts/get-model.sh`, which checks every file's SHA-256.
 * Easy to get wrong: a Hugging Face snapshot folder without config.json is a download that was cut off.
 */
#include "service_int.h"

#include <stdlib.h>
#include <string.h>

static ht_status give(const char *found, char *path, size_t path_cap, ht_error *err)
{
    const size_t len = strlen(found);
    if (len >= path_cap)
        return HT_FAIL(err, LIMIT, "path of a model is longer than %zu bytes: %s", path_cap - 1, found);
    memcpy(path, found, len + 1);
    return HT_OK;
}

static bool has_config(hti_buffer *path)
{
    const size_t len = path->len;
    hti_buffer_text(path, "/config.json");
    const bool has = path->status == HT_OK && hti_path_exists(path->data);
    if (path->status == HT_OK) {
        path->len = len;
        path->data[len] = '\0';
    }
    return has;
}

/* Appends $name, or ~/fallback when it is unset. */
static void append_home(hti_buffer *path, const char *name, const char *fallback)
{
    const char *set = getenv(name), *home = getenv("HOME");
    if (set && *set)
        hti_buffer_text(path, set);
    else
        hti_buffer_printf(path, "%s/%s", home && *home ? home : ".", fallback);
}

ht_status ht_model_home(char *path, size_t path_cap, ht_error *err)
{
    hti_buffer home;
    hti_buffer_init(&home);
    append_home(&home, "HOUNDSTOOTH_HOME", ".cache/houndstooth");
    hti_buffer_text(&home, "/models");
    ht_status status = hti_buffer_status(&home, err);
    if (status == HT_OK) status = give(home.data, path, path_cap, err);
    hti_buffer_deinit(&home);
    return status;
}

typedef struct snapshot_search {
    hti_buffer *path; /* of the snapshots folder; the found name is appended */
    bool found;
} snapshot_search;

static ht_status try_snapshot(void *ud, const char *name, ht_error *err)
{
    snapshot_search *search = ud;
    (void)err;
    if (search->found) return HT_OK;
    const size_t len = search->path->len;
    hti_buffer_printf(search->path, "/%s", name);
    search->found = has_config(search->path);
    if (!search->found && search->path->status == HT_OK) {
        search->path->len = len;
        search->path->data[len] = '\0';
    }
    return HT_OK;
}

/* sentence-transformers/NAME or ORG/NAME in the Hugging Face cache; appends its snapshot folder to `path`. */
static bool find_in_hub(const char *name, hti_buffer *path)
{
    append_home(path, "HF_HOME", ".cache/huggingface");
    hti_buffer_text(path, "/hub/models--");
    const char *slash = strchr(name, '/');
    if (slash)
        hti_buffer_printf(path, "%.*s--%s", (int)(slash - name), name, slash + 1);
    else
        hti_buffer_printf(path, "sentence-transformers--%s", name);
    hti_buffer_text(path, "/snapshots");
    if (path->status != HT_OK || !hti_path_is_dir(path->data)) return false;
    snapshot_search search = {path, false};
    ht_error ignored;
    return hti_list_dir(path->data, try_snapshot, &search, &ignored) == HT_OK && search.found;
}

static ht_status find_model(const char *name, hti_buffer *found, ht_error *err)
{
    hti_buffer_text(found, name);
    if (has_config(found)) return HT_OK;
    HT_TRY(hti_buffer_status(found, err));
    hti_buffer_clear(found);
    append_home(found, "HOUNDSTOOTH_HOME", ".cache/houndstooth");
    hti_buffer_printf(found, "/models/%s", name);
    if (has_config(found)) return HT_OK;
    HT_TRY(hti_buffer_status(found, err));
    hti_buffer_clear(found);
    if (find_in_hub(name, found)) return HT_OK;
    HT_TRY(hti_buffer_status(found, err));
    if (hti_path_is_dir(name)) return HT_FAIL(err, NOT_FOUND, "%s: not a model folder: it has no config.json", name);
    char home[HT_ERROR_TEXT / 2];
    HT_TRY(ht_model_home(home, sizeof home, err));
    return HT_FAIL(err, NOT_FOUND,
                   "model \"%s\" is not a folder, not in %s and not in the Hugging Face cache; "
                   "get the default model with `hound model get`, or give --model DIR",
                   name, home);
}

ht_status ht_model_find(const char *name, char *path, size_t path_cap, ht_error *err)
{
    if (!name || !*name) return HT_FAIL(err, INVALID, "the name of a model is empty");
    hti_buffer found;
    hti_buffer_init(&found);
    ht_status status = find_model(strcmp(name, "default") == 0 ? HT_DEFAULT_MODEL : name, &found, err);
    if (status == HT_OK) status = give(found.data, path, path_cap, err);
    hti_buffer_deinit(&found);
    return status;
}
