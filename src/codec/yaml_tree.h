/*
 * yaml_tree.h - YAML documents as trees that know where they stand; part of the door codec.h.
 *
 * YAML 1.2 with its core schema, of which a configuration needs a part: one document a text, every key a scalar. A
 * tree is immutable and belongs to its document; any thread may read it.
 */
#ifndef HTI_CODEC_YAML_TREE_H
#define HTI_CODEC_YAML_TREE_H

#include "base/base.h"

enum {
    HTI_YAML_MAX_DEPTH = 64,       /* lists and maps inside each other, aliases followed */
    HTI_YAML_MAX_NODES = 1000000,  /* nodes that a walk of the whole tree meets, aliases followed */
    HTI_YAML_MAX_ALLOWED_LEN = 64, /* bytes of a key up to which a similar name is looked for */
};

typedef enum hti_yaml_kind {
    HTI_YAML_NULL,
    HTI_YAML_BOOL,
    HTI_YAML_INT,
    HTI_YAML_FLOAT,
    HTI_YAML_STRING,
    HTI_YAML_LIST,
    HTI_YAML_MAP,
} hti_yaml_kind;

typedef struct hti_yaml_node hti_yaml_node;

/* One pair of a map. The key is the scalar as written: `8080`, "8080" and '8080' are the same key. */
typedef struct hti_yaml_entry {
    ht_text key;           /* a NUL follows */
    uint32_t line, column; /* of the key, from 1 */
    const hti_yaml_node *value;
} hti_yaml_entry;

/* An alias is no node of its own: two parents then share one, and its place is where the anchor stands. */
struct hti_yaml_node {
    hti_yaml_kind kind;
    uint32_t line, column; /* from 1; columns count characters, not bytes */
    uint32_t n_nodes;      /* in this subtree, itself among them, aliases followed */
    uint32_t height;       /* 0 for a scalar, 1 for an empty list or map, ... */
    size_t n;              /* items or entries */
    union {
        bool boolean;
        int64_t integer;
        double number;
        ht_text text; /* a NUL follows; it may hold NULs too */
        const hti_yaml_node *const *items;
        const hti_yaml_entry *entries; /* in the order of the text */
    } as;
};

typedef struct hti_yaml hti_yaml;

/*
 * Parses a text of at most max_bytes (more is LIMIT). `name` (a path) goes in front of a message, PARSE or LIMIT:
 * "NAME:LINE:COLUMN: reason". Refused: invalid UTF-8, repeated keys, keys that are lists, maps or aliases, merge keys
 * (<<), tags outside the core schema, a second document, an alias without its anchor or inside it, an integer beyond 64
 * bits or a float beyond a double, and what exceeds the limits above. An empty text is a null.
 */
HT_CHECKED ht_status hti_yaml_parse(ht_text text, const char *name, size_t max_bytes, hti_yaml **out, ht_error *err);
/* Reads and parses a file of at most max_bytes. */
HT_CHECKED ht_status hti_yaml_load(const char *path, size_t max_bytes, hti_yaml **out, ht_error *err);
void hti_yaml_free(hti_yaml *yaml);
/* Never NULL; lives as long as the document. */
const hti_yaml_node *hti_yaml_root(const hti_yaml *yaml);

/* "a string", "a list", ... for messages; never NULL. */
const char *hti_yaml_kind_text(hti_yaml_kind kind);
/* Fails with PARSE and "NAME:LINE:COLUMN: ..." at a node. */
ht_status hti_yaml_fail(const hti_yaml *yaml, const hti_yaml_node *at, ht_error *err, const char *fmt, ...)
    HT_PRINTF(4, 5);
/* PARSE unless the node is of this kind; `what` names it: `"nodes"`, `the pipeline`. An int serves as a float. */
HT_CHECKED ht_status hti_yaml_expect(const hti_yaml *yaml, const hti_yaml_node *node, const char *what,
                                     hti_yaml_kind kind, ht_error *err);

/* The entry of a map, or NULL; NULL too if the node is no map. */
const hti_yaml_entry *hti_yaml_find(const hti_yaml_node *map, const char *key);
/* The value of a key if it is of this kind. Missing or null: *out is NULL. A wrong kind, or `map` no map, is PARSE. */
HT_CHECKED ht_status hti_yaml_get(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, hti_yaml_kind kind,
                                  const hti_yaml_node **out, ht_error *err);
/* The same, and missing or null is PARSE. */
HT_CHECKED ht_status hti_yaml_need(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, hti_yaml_kind kind,
                                   const hti_yaml_node **out, ht_error *err);
/* The value of a key; *out stays as it is when the key is missing or null. An int serves as a float. */
HT_CHECKED ht_status hti_yaml_int(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, int64_t *out,
                                  ht_error *err);
HT_CHECKED ht_status hti_yaml_real(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, double *out,
                                   ht_error *err);
HT_CHECKED ht_status hti_yaml_bool(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, bool *out,
                                   ht_error *err);
HT_CHECKED ht_status hti_yaml_text(const hti_yaml *yaml, const hti_yaml_node *map, const char *key, ht_text *out,
                                   ht_error *err);

/* PARSE at the first key that is not among `allowed`, naming it, its place and the most similar name, or all. */
HT_CHECKED ht_status hti_yaml_unknown_key(const hti_yaml *yaml, const hti_yaml_node *map, const char *const *allowed,
                                          size_t n_allowed, ht_error *err);

#endif
