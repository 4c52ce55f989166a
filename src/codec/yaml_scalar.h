/*
 * yaml_scalar.h - what a YAML scalar means; between yaml.c and yaml_scalar.c.
 */
#ifndef HTI_CODEC_YAML_SCALAR_H
#define HTI_CODEC_YAML_SCALAR_H

#include "yaml_tree.h"

/*
 * Sets kind and value of a scalar; a string stays the caller's text. `text` has a NUL behind it. `tag` is NULL, or the
 * tag in full. On PARSE and LIMIT *why is a constant text.
 */
HT_CHECKED ht_status hti_yaml_resolve(ht_text text, bool plain, const char *tag, hti_yaml_node *node, const char **why);
/* Whether a tag of a list or map is absent or that of the core schema. */
bool hti_yaml_collection_tag(const char *tag, hti_yaml_kind kind);

#endif
