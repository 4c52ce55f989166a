/* index_search.c - a corpus into a collection, a query out of it.   index_search DIR CORPUS MODEL_DIR QUERY */
#include "common.h"

int main(int argc, char **argv)
{
    if (argc != 5) return fprintf(stderr, "usage: index_search DIR CORPUS MODEL_DIR QUERY\n"), 2;
    ht_error err = {0};
    ht_index_opts opts;
    ht_index_opts_init(&opts);
    opts.model = argv[3];
    ht_indexer *indexer;
    or_die(ht_indexer_new(argv[1], &opts, &indexer, &err), &err);
    or_die(ht_indexer_add_file(indexer, argv[2], NULL, &err), &err);
    ht_index_stats stats = {HT_DESC(ht_index_stats)};
    or_die(ht_indexer_commit(indexer, NULL, &stats, &err), &err);
    printf("%llu documents, %llu vectors\n", (unsigned long long)stats.n_docs, (unsigned long long)stats.n_vectors);

    ht_collection *collection;
    ht_search_session *session;
    or_die(ht_collection_open(argv[1], NULL, &collection, &err), &err);
    or_die(ht_search_session_new(collection, &session, &err), &err);
    ht_search_opts search;
    ht_search_opts_init(&search);
    search.k = 3;
    search.with_fields = true;
    const ht_search_result *result;
    or_die(ht_search(session, text_of(argv[4]), &search, &result, &err), &err);
    for (size_t i = 0; i < result->n_hits; i++)
        printf("%zu. %.*s  %.4f  %.*s\n", i + 1, (int)result->hits[i].id.len, result->hits[i].id.data,
               result->hits[i].score, (int)result->hits[i].title.len, result->hits[i].title.data);
    ht_search_session_free(session);
    ht_collection_close(collection);
    return 0;
}
