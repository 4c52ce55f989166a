/*
 * fuzz_inverted_index.c - bytes as a segment of the inverted index: open, search, score, explain, verify.
 *
 * The header's checksum is put right first, or nothing behind it would ever be reached. The queries are
 * words that the seeds hold, so that damaged lists are decoded, not only looked for.
 */
#include "memory_file.h"

#include <houndstooth/lexical.h>

#include "lexical/lexical_int.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const ht_lexical *lexical, ht_lexical_session *session)
{
    static const char *const queries[] = {"w0 w1 w2", "w3 w3 w17 w40", "w9 w12 w33 w58 absent", "hound"};
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    ht_lexical_get_info(lexical, &info);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const ht_text query = {queries[i], strlen(queries[i])};
        const uint32_t docs[] = {7, 0, 130, 2};
        const ht_lexical_part *parts;
        ht_hit hits[10];
        double scores[4], score;
        size_t n;
        const ht_status status = ht_lexical_search(session, query, NULL, NULL, 10, hits, &n, NULL);
        for (size_t hit = 0; status == HT_OK && hit < n; hit++)
            if (hits[hit].doc >= info.n_docs || !isfinite(hits[hit].score)) abort();
        (void)!ht_lexical_score(session, query, NULL, docs, 4, scores, NULL);
        (void)!ht_lexical_explain(session, query, NULL, 1, &parts, &n, &score, NULL);
    }
}

/* A copy whose header carries this program's analyzer and the checksum that belongs to its bytes. */
static unsigned char *with_fitting_header(const uint8_t *data, size_t size)
{
    const ht_analyzer *whitespace;
    uint64_t fingerprint;
    unsigned char *copy = malloc(size + 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    if (size < HTI_HEADER_BYTES) return copy;
    if (ht_analyzer_find("whitespace", &whitespace, NULL) != HT_OK) abort();
    if (hti_analyzer_fingerprint(whitespace, &fingerprint, NULL) != HT_OK) abort();
    hti_put_u64(copy + HTI_AT_FINGERPRINT, fingerprint);
    const uint32_t n_sections = hti_get_u32(copy + HTI_AT_N_SECTIONS);
    if (n_sections <= HTI_MAX_SECTIONS && size >= HTI_HEADER_BYTES + n_sections * HTI_SECTION_BYTES)
        hti_put_u64(copy + HTI_AT_CHECKSUM, hti_header_checksum(copy, n_sections));
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *fitted = with_fitting_header(data, size);
    memory_file file = memory_file_open(fitted, size);
    const char *const paths[] = {file.path, file.path};
    for (size_t n_paths = 1; n_paths <= 2; n_paths++) {
        ht_lexical *lexical;
        ht_lexical_session *session;
        if (ht_lexical_open(paths, n_paths, &lexical, NULL) != HT_OK) break;
        if (ht_lexical_session_new(lexical, &session, NULL) == HT_OK) use(lexical, session);
        (void)!ht_lexical_verify(lexical, NULL, NULL);
        ht_lexical_session_free(session);
        ht_lexical_close(lexical);
    }
    memory_file_close(&file);
    free(fitted);
    return 0;
}
