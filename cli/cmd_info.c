/*
 * cmd_info.c - `hound info`, `check` and `model`.
 */
#include "hound.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- info ---- */

static ht_status info_json(const char *dir, const ht_collection_info *info, ht_error *err)
{
    json_t *object =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "collection", dir, "generation", (json_int_t)info->generation,
                  "segments", (json_int_t)info->n_segments, "documents", (json_int_t)(info->n_docs - info->n_deleted),
                  "deleted", (json_int_t)info->n_deleted, "bytes", (json_int_t)info->size_bytes);
    if (info->has_lexical)
        json_object_set_new(
            object, "lexical",
            json_pack("{s:s, s:I, s:I, s:I, s:I}", "analyzer", info->lexical.analyzer, "terms",
                      (json_int_t)info->lexical.n_terms, "postings", (json_int_t)info->lexical.n_postings, "tokens",
                      (json_int_t)info->lexical.n_tokens, "bytes", (json_int_t)info->lexical.size_bytes));
    if (info->has_vectors)
        json_object_set_new(object, "vectors",
                            json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:f}", "model", info->model ? info->model : "",
                                      "digest", info->model_digest ? info->model_digest : "", "dim",
                                      (json_int_t)info->vectors.dim, "vectors", (json_int_t)info->vectors.n_vectors,
                                      "type", info->vectors.vector_type == HT_VECTOR_F16 ? "f16" : "int8", "bytes",
                                      (json_int_t)info->vectors.size_bytes, "mix", info->mix));
    if (info->warning) json_object_set_new(object, "warning", json_string(info->warning));
    return print_json(object, err);
}

static void info_text(const char *dir, const ht_collection_info *info)
{
    char size[32];
    printf("%s: generation %llu, %u documents", dir, (unsigned long long)info->generation,
           info->n_docs - info->n_deleted);
    if (info->n_deleted) printf(" (%u deleted)", info->n_deleted);
    printf(", %llu segments, %s\n", (unsigned long long)info->n_segments,
           human_bytes(info->size_bytes, size, sizeof size));
    if (info->has_lexical)
        printf("  lexical  analyzer %s, %llu terms, %llu postings, %llu tokens, %s\n", info->lexical.analyzer,
               (unsigned long long)info->lexical.n_terms, (unsigned long long)info->lexical.n_postings,
               (unsigned long long)info->lexical.n_tokens, human_bytes(info->lexical.size_bytes, size, sizeof size));
    if (info->has_vectors) {
        printf("  vectors  %llu of %u dimensions, %s, mix %g, %s", (unsigned long long)info->vectors.n_vectors,
               info->vectors.dim, info->vectors.vector_type == HT_VECTOR_F16 ? "f16" : "int8", info->mix,
               human_bytes(info->vectors.size_bytes, size, sizeof size));
        if (info->n_docs)
            printf(" (%llu bytes a document)", (unsigned long long)(info->vectors.size_bytes / info->n_docs));
        printf("\n  model    %s, digest %s\n", info->model ? info->model : "",
               info->model_digest ? info->model_digest : "");
    }
}

ht_status hound_info(int argc, char **argv, ht_error *err)
{
    bool json = false, helped;
    const opt_row rows[] = {{"json", 0, OPT_FLAG, &json, NULL, "as JSON"}};
    const opt_spec spec = {"info DIR [--json]",
                           "What a collection holds: documents, indexes, model, bytes.",
                           "  hound info cranfield.ht",
                           ROWS(rows),
                           1,
                           1};
    text_list positional;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    ht_collection *collection;
    TRY(ht_collection_open(positional.items[0], NULL, &collection, err));
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(collection, &info);
    ht_status status = HT_OK;
    if (json)
        status = info_json(positional.items[0], &info, err);
    else
        info_text(positional.items[0], &info);
    if (info.warning) (void)fprintf(stderr, "hound info: warning: %s\n", info.warning);
    ht_collection_close(collection);
    return status;
}

/* ---- check ---- */

static void print_problem(void *ud, const char *problem)
{
    (*(size_t *)ud)++;
    printf("%s\n", problem);
}

ht_status hound_check(int argc, char **argv, ht_error *err)
{
    bool quiet = false, helped;
    const opt_row rows[] = {{"quiet", 'q', OPT_FLAG, &quiet, NULL, "no progress, nothing said when all is whole"}};
    const opt_spec spec = {"check DIR [--quiet]",
                           "Reads every byte of a collection: checksums, structure, and that its parts agree.",
                           "  hound check cranfield.ht",
                           ROWS(rows),
                           1,
                           1};
    text_list positional;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    progress bar;
    progress_init(&bar, quiet);
    size_t n_problems = 0;
    const ht_status status = ht_collection_check(positional.items[0], &bar.monitor, print_problem, &n_problems, err);
    progress_end(&bar);
    if (status == HT_OK && !quiet) printf("%s: whole\n", positional.items[0]);
    if (status == HT_CORRUPT && n_problems > 0)
        return fail(err, HT_CORRUPT, "%s: %zu problem%s", positional.items[0], n_problems, n_problems == 1 ? "" : "s");
    return status;
}

/* ---- model ---- */

static ht_status list_models(ht_error *err)
{
    char home[4096];
    TRY(ht_model_home(home, sizeof home, err));
    DIR *dir = opendir(home);
    size_t n = 0;
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[8192];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s/%s/config.json", home, entry->d_name);
        if (entry->d_name[0] == '.' || stat(path, &info) != 0) continue;
        printf("%s\n", entry->d_name);
        n++;
    }
    if (dir) (void)closedir(dir);
    if (n == 0) (void)fprintf(stderr, "no models in %s; `hound model get` fetches %s\n", home, HT_DEFAULT_MODEL);
    return HT_OK;
}

/* Path of get-model.sh in an installed tree, from where this program lies; "" where /proc does not tell. */
static void installed_script(char *path, size_t size)
{
    char self[4096];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    path[0] = '\0';
    if (len <= 0) return;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return;
    *slash = '\0';
    if ((size_t)snprintf(path, size, "%s/" HT_TO_SCRIPTS "/get-model.sh", self) >= size) path[0] = '\0';
}

static ht_status run_script(const char *script, ht_error *err)
{
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        (void)execl(script, script, (char *)NULL);
        _exit(127);
    }
    int outcome = -1;
    if (child < 0 || waitpid(child, &outcome, 0) < 0 || !WIFEXITED(outcome) || WEXITSTATUS(outcome) != 0)
        return fail(err, HT_IO, "%s failed; its message is above", script);
    return HT_OK;
}

static ht_status get_model(ht_error *err)
{
    char installed[8192];
    installed_script(installed, sizeof installed);
    if (access(installed, X_OK) == 0) return run_script(installed, err);
#ifdef HT_SOURCE_DIR
    if (access(HT_SOURCE_DIR "/scripts/get-model.sh", X_OK) == 0)
        return run_script(HT_SOURCE_DIR "/scripts/get-model.sh", err);
#endif
    return fail(err, HT_NOT_FOUND, "get-model.sh is not in its place, %s", installed);
}

ht_status hound_model(int argc, char **argv, ht_error *err)
{
    bool helped;
    const opt_spec spec = {"model path [NAME] | list | get",
                           "path prints the folder of a model (default: " HT_DEFAULT_MODEL
                           "), list the models installed, get fetches the default\n"
                           "model (Apache-2.0, 91 MB) and checks the SHA-256 of every file.",
                           "  hound model path",
                           NULL,
                           0,
                           1,
                           2};
    text_list positional;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    const char *what = positional.items[0];
    if (strcmp(what, "list") == 0 && positional.len == 1) return list_models(err);
    if (strcmp(what, "get") == 0 && positional.len == 1) return get_model(err);
    if (strcmp(what, "path") != 0) return fail(err, HT_INVALID, "\"%s\": give path [NAME], list or get", what);
    char path[4096];
    TRY(ht_model_find(positional.len == 2 ? positional.items[1] : "default", path, sizeof path, err));
    printf("%s\n", path);
    return HT_OK;
}
