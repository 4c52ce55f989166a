/*
 * index.h - files of token indexes, for who builds and who opens them.
 */
#ifndef HTI_RETRIEVAL_INDEX_H
#define HTI_RETRIEVAL_INDEX_H

#include "retrieval_int.h"

#include <stdlib.h>

/* path + suffix, to be freed; NULL if memory is out. */
char *hti_index_path(const char *path, const char *suffix);
/* Writes a segment of token vectors from encoded passages; *ids: their ids in order. */
HT_CHECKED ht_status hti_index_build(const char *path, ht_value passages, ht_value *ids, ht_error *err);

#endif
