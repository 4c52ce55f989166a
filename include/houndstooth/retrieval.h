/*
 * houndstooth/retrieval.h - classes and nodes of retrieval for pipelines (docs/retrieval_nodes.md).
 */
#ifndef HOUNDSTOOTH_RETRIEVAL_H
#define HOUNDSTOOTH_RETRIEVAL_H

#include "registry.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Adds all of them: Encoder, TokenIndex, BM25Index, RRFFusion, ..., load_passages, encode_passage, ... EXISTS. */
HT_API HT_CHECKED ht_status ht_retrieval_register(ht_registry *registry, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
