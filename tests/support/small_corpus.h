/*
 * small_corpus.h - the first documents of Cranfield and the tiny BERT, for tests that need a whole collection.
 */
#ifndef HT_TESTS_SMALL_CORPUS_H
#define HT_TESTS_SMALL_CORPUS_H

#include <houndstooth/houndstooth.h>

#include "temp_dir.h"

#define SMALL_MODEL HT_TEST_DATA "/golden/bert_tiny"
#define CRANFIELD HT_SOURCE_DIR "/data/cranfield"

/* Writes lines [first, first + n) of the Cranfield corpus to DIR/NAME. */
static inline void small_corpus_write(const char *dir, const char *name, size_t first, size_t n)
{
    char path[2 * TEMP_DIR_CAP];
    FILE *in = fopen(CRANFIELD "/corpus.jsonl", "r"), *out = fopen(temp_dir_path(dir, name, path), "w");
    char *line = NULL;
    size_t cap = 0;
    if (!in || !out) abort();
    for (size_t i = 0; i < first + n && getline(&line, &cap, in) > 0; i++)
        if (i >= first && fputs(line, out) < 0) abort();
    free(line);
    (void)fclose(in);
    if (fclose(out) != 0) abort();
}

/* Adds one corpus file to a collection as one change. */
static inline ht_status small_corpus_index(const char *collection, const char *corpus, ht_pool *pool, ht_error *err)
{
    ht_index_opts opts;
    ht_index_opts_init(&opts);
    opts.model = SMALL_MODEL;
    opts.pool = pool;
    ht_indexer *indexer;
    ht_status status = ht_indexer_new(collection, &opts, &indexer, err);
    if (status != HT_OK) return status;
    status = ht_indexer_add_file(indexer, corpus, NULL, err);
    if (status != HT_OK) {
        ht_indexer_abort(indexer);
        return status;
    }
    return ht_indexer_commit(indexer, NULL, NULL, err);
}

#endif
