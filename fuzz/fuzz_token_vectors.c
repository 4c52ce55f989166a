/*
 * fuzz_token_vectors.c - any bytes as a token-vector segment: open, verify, search, score, match, never a crash.
 *
 * The bytes are tried as they are and once more with the head's checksum made right, or no change of the head would
 * ever get past it.
 */
#include "memory_file.h"
#include "plaid/plaid.h"

#include "base/base.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_QUERY = 3, MAX_DIM = 4096, HEAD = 192, AT_HASH = 56, MAX_SIZE = 1 << 20 };

static void ask(const ht_plaid *plaid, const float *query)
{
    ht_plaid_info info = {HT_DESC(ht_plaid_info)};
    ht_plaid_session *session;
    ht_hit hits[8];
    size_t n_hits;
    double score;
    ht_plaid_match matches[N_QUERY];
    ht_plaid_get_info(plaid, &info);
    if (ht_plaid_session_new(plaid, NULL, &session, NULL) != HT_OK) return;
    if (ht_plaid_search(session, query, N_QUERY, NULL, 8, hits, &n_hits, NULL) == HT_OK)
        for (size_t i = 0; i < n_hits; i++)
            if (hits[i].doc >= info.n_docs || (i > 0 && hits[i].score > hits[i - 1].score)) __builtin_trap();
    const ht_status pooled = ht_plaid_search_pooled(session, query, NULL, 8, hits, &n_hits, NULL);
    if ((pooled == HT_OK) != info.has_pooled) __builtin_trap();
    for (uint32_t doc = 0; doc < info.n_docs && doc < 8; doc++) {
        const size_t len = ht_plaid_doc_len(plaid, doc);
        if (ht_plaid_score(session, query, N_QUERY, &doc, 1, &score, NULL) != HT_OK) __builtin_trap();
        if (ht_plaid_matches(session, query, N_QUERY, doc, matches, NULL) != HT_OK) continue;
        for (size_t t = 0; t < N_QUERY; t++)
            if (matches[t].doc_vector >= len) __builtin_trap();
    }
    ht_plaid_session_free(session);
}

static void open_and_ask(const uint8_t *data, size_t size)
{
    static float query[N_QUERY * MAX_DIM];
    for (size_t i = 0; i < HTI_LEN(query); i++) query[i] = (float)(i % 7) - 3.0f;
    memory_file file = memory_file_open(data, size);
    const char *const paths[2] = {file.path, file.path};
    ht_plaid *plaid;
    for (size_t n = 1; n <= 2; n++) { /* alone, and twice as two segments */
        if (ht_plaid_open(paths, n, &plaid, NULL) != HT_OK) break;
        const ht_status verified = ht_plaid_verify(plaid, NULL, NULL);
        if (verified != HT_OK && verified != HT_CORRUPT) __builtin_trap();
        ask(plaid, query);
        ht_plaid_close(plaid);
    }
    memory_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t copy[MAX_SIZE];
    if (size > MAX_SIZE) return 0;
    open_and_ask(data, size);
    if (size < HEAD) return 0;
    memcpy(copy, data, size);
    memset(copy + AT_HASH, 0, 8);
    hti_put_u64(copy + AT_HASH, hti_hash(copy, HEAD));
    open_and_ask(copy, size);
    return 0;
}
