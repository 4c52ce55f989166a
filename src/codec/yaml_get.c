/*
 * yaml_get.c - reading a YAML tree: members by key with messages that say where and what was expected.
 *
 * Maps are searched from the front: configurations have a few keys, and each is asked for once.
 * Easy to get wrong: a key that is missing and one that is null are the same to callers, one of the wrong kind is not.
 */
#include "yaml_tree.h"

#include <stdio.h>
#include <string.h>

const char *hti_yaml_kind_text(hti_yaml_kind kind)
{
    static const char *const texts[] = {"null",     "true or false", "an integer", "a number",
                                        "a string", "a list",        "a map"};
    return (size_t)kind < HTI_LEN(texts) ? texts[kind] : "unknown";
}

static const char *found_text(hti_yaml_kind kind)
{
    return kind == HTI_YAML_BOOL ? "a bool" : hti_yaml_kind_text(kind);
}

ht_status hti_yaml_expect(const hti_yaml *yaml, const hti_yaml_node *node, const char *what, hti_yaml_kind kind,
                          ht_error *err)
{
    if (node->kind == kind || (kind == HTI_YAML_FLOAT && node->kind == HTI_YAML_INT)) return HT_OK;
    return hti_yaml_fail(yaml, node, err, "%s must be %s, not %s", what, hti_yaml_kind_text(kind),
                         found_text(node->kind));
}

const hti_yaml_entry *hti_yaml_find(const hti_yaml_node *map, const char *key)
{
    if (map->kind != HTI_YAML_MAP) return NULL;
    const size_t len = strlen(key);
    for (size_t i = 0; i < map->n; i++) {
        const hti_yaml_entry *entry = &map->as.entries[i];
        if (entry->key.len == len && memcmp(entry->key.data, key, len) == 0) return entry;
    }
    return NULL;
}

ht_status hti_yaml_get(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, hti_yaml_kind kind,
                       const hti_yaml_node **out, ht_error *err)
{
    *out = NULL;
    if (map->kind != HTI_YAML_MAP)
        return hti_yaml_fail(yaml, map, err, "a map with the key \"%s\" must stand here, not %s", key,
                             found_text(map->kind));
    const hti_yaml_entry *entry = hti_yaml_find(map, key);
    if (!entry || entry->value->kind == HTI_YAML_NULL) return HT_OK;
    char what[HTI_YAML_MAX_ALLOWED_LEN + 3];
    (void)snprintf(what, sizeof what, "\"%s\"", key);
    HT_TRY(hti_yaml_expect(yaml, entry->value, what, kind, err));
    *out = entry->value;
    return HT_OK;
}

ht_status hti_yaml_need(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, hti_yaml_kind kind,
                        const hti_yaml_node **out, ht_error *err)
{
    HT_TRY(hti_yaml_get(yaml, map, key, kind, out, err));
    if (*out) return HT_OK;
    const hti_yaml_entry *entry = hti_yaml_find(map, key);
    if (!entry)
        return hti_yaml_fail(yaml, map, err, "the key \"%s\" is missing; it must be %s", key, hti_yaml_kind_text(kind));
    return hti_yaml_fail(yaml, entry->value, err, "\"%s\" must be %s, not null", key, hti_yaml_kind_text(kind));
}

ht_status hti_yaml_int(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, int64_t *out, ht_error *err)
{
    const hti_yaml_node *value;
    HT_TRY(hti_yaml_get(yaml, map, key, HTI_YAML_INT, &value, err));
    if (value) *out = value->as.integer;
    return HT_OK;
}

ht_status hti_yaml_real(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, double *out, ht_error *err)
{
    const hti_yaml_node *value;
    HT_TRY(hti_yaml_get(yaml, map, key, HTI_YAML_FLOAT, &value, err));
    if (value) *out = value->kind == HTI_YAML_INT ? (double)value->as.integer : value->as.number;
    return HT_OK;
}

ht_status hti_yaml_bool(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, bool *out, ht_error *err)
{
    const hti_yaml_node *value;
    HT_TRY(hti_yaml_get(yaml, map, key, HTI_YAML_BOOL, &value, err));
    if (value) *out = value->as.boolean;
    return HT_OK;
}

ht_status hti_yaml_text(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, ht_text *out, ht_error *err)
{
    const hti_yaml_node *value;
    HT_TRY(hti_yaml_get(yaml, map, key, HTI_YAML_STRING, &value, err));
    if (value) *out = value->as.text;
    return HT_OK;
}

/*
 * Edits between two names: insert, delete, replace, swap of neighbours (optimal string alignment). Both of at most
 * HTI_YAML_MAX_ALLOWED_LEN bytes; three rows of the table are kept.
 */
static size_t edit_distance(ht_text a, ht_text b)
{
    size_t rows[3][HTI_YAML_MAX_ALLOWED_LEN + 1];
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = last[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            best = HTI_MIN(best, last[j] + 1);
            best = HTI_MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                best = HTI_MIN(best, before[j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[a.len % 3][b.len];
}

/* The nearest allowed name within a third of the key's length (at least one edit); NULL if none is near. */
static const char *similar_name(ht_text key, const char *const *allowed, size_t n_allowed)
{
    const char *nearest = NULL;
    size_t least = HTI_MAX(key.len / 3, (size_t)1) + 1;
    if (key.len > HTI_YAML_MAX_ALLOWED_LEN) return NULL;
    for (size_t i = 0; i < n_allowed; i++) {
        const ht_text name = {allowed[i], strlen(allowed[i])};
        const size_t distance = name.len > HTI_YAML_MAX_ALLOWED_LEN ? SIZE_MAX : edit_distance(key, name);
        if (distance < least && distance < name.len) {
            least = distance;
            nearest = allowed[i];
        }
    }
    return nearest;
}

static ht_status refuse_key(const hti_yaml *yaml, const hti_yaml_entry *entry, const char *const *allowed,
                            size_t n_allowed, ht_error *err)
{
    const hti_yaml_node at = {.line = entry->line, .column = entry->column};
    const int len = (int)HTI_MIN(entry->key.len, (size_t)60);
    const char *nearest = similar_name(entry->key, allowed, n_allowed);
    if (nearest)
        return hti_yaml_fail(yaml, &at, err, "unknown key \"%.*s\"; did you mean \"%s\"?", len, entry->key.data,
                             nearest);
    hti_buffer names;
    hti_buffer_init(&names);
    for (size_t i = 0; i < n_allowed; i++) hti_buffer_printf(&names, "%s%s", i > 0 ? ", " : "", allowed[i]);
    ht_status status = hti_buffer_status(&names, err);
    if (status == HT_OK)
        status = hti_yaml_fail(yaml, &at, err, "unknown key \"%.*s\"; allowed: %s", len, entry->key.data,
                               names.len ? names.data : "none");
    hti_buffer_deinit(&names);
    return status;
}

ht_status hti_yaml_unknown_key(const hti_yaml *yaml, const hti_yaml_node *map, const char *const *allowed,
                               size_t n_allowed, ht_error *err)
{
    HT_TRY(hti_yaml_expect(yaml, map, "this", HTI_YAML_MAP, err));
    for (size_t i = 0; i < map->n; i++) {
        const ht_text key = map->as.entries[i].key;
        bool known = false;
        for (size_t k = 0; k < n_allowed && !known; k++)
            known = strlen(allowed[k]) == key.len && memcmp(allowed[k], key.data, key.len) == 0;
        if (!known) return refuse_key(yaml, &map->as.entries[i], allowed, n_allowed, err);
    }
    return HT_OK;
}
