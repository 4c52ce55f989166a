/*
 * fuzz_yaml.c - YAML texts: what is read is a sound tree within the limits; what is not gives a message with a place.
 */
#include "codec/codec.h"

#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held) abort();
}

/* Walks a tree whose height is bounded by the promise under test; `room` is what is left of it. */
static size_t walk(const hti_yaml_node *node, size_t room)
{
    require(node->line > 0 && node->column > 0 && node->height <= room);
    size_t n = 1;
    if (node->kind == HTI_YAML_STRING) {
        require(node->as.text.data[node->as.text.len] == '\0' && hti_utf8_valid(node->as.text) == node->as.text.len);
    } else if (node->kind == HTI_YAML_LIST) {
        for (size_t i = 0; i < node->n; i++) n += walk(node->as.items[i], room - 1);
    } else if (node->kind == HTI_YAML_MAP) {
        for (size_t i = 0; i < node->n; i++) {
            const hti_yaml_entry *entry = &node->as.entries[i];
            require(entry->line > 0 && entry->column > 0 && entry->key.data[entry->key.len] == '\0');
            n += walk(entry->value, room - 1);
        }
    }
    require(n == node->n_nodes);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const allowed[] = {"nodes", "inputs"};
    hti_yaml *yaml;
    ht_error err = {0};
    const ht_status status = hti_yaml_parse((ht_text){(const char *)data, size}, "f", 1 << 20, &yaml, &err);
    if (status != HT_OK) {
        require(!yaml && (status == HT_PARSE || status == HT_LIMIT) && strncmp(err.message, "f:", 2) == 0);
        return 0;
    }
    const hti_yaml_node *root = hti_yaml_root(yaml);
    require(walk(root, HTI_YAML_MAX_DEPTH) <= HTI_YAML_MAX_NODES);
    if (hti_yaml_unknown_key(yaml, root, allowed, HTI_LEN(allowed), &err) == HT_OK) require(root->kind == HTI_YAML_MAP);
    hti_yaml_free(yaml);
    return 0;
}
