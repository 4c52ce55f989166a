/*
 * lexical_verify.c - reads every byte of an index: checksums first, then every term and posting.
 *
 * The checksums find a damaged disk; walking all lists also finds a file that was written wrong: terms
 * in order, documents and frequencies in range, the sums of frequencies equal to the exact lengths.
 * Thread rule: any thread; the index is immutable.
 */
#include "lexical_int.h"

#include <inttypes.h>

enum { POLL_POSTINGS = 1 << 20 };

typedef struct verifier {
    const hti_lexical_segment *segment;
    const ht_monitor *monitor;
    uint32_t *lengths;    /* [n_docs] sums of frequencies */
    uint64_t done, total; /* postings over all segments */
    uint64_t n_postings;  /* of this segment so far */
} verifier;

static ht_status poll_monitor(const verifier *v, ht_error *err)
{
    if (!v->monitor) return HT_OK;
    if (v->monitor->progress) v->monitor->progress(v->monitor->ud, "lexical", v->done, v->total);
    if (v->monitor->cancelled && v->monitor->cancelled(v->monitor->ud))
        return HT_FAIL(err, CANCELLED, "verification was cancelled");
    return HT_OK;
}

static ht_status verify_checksums(const verifier *v, ht_error *err)
{
    const unsigned char *header = v->segment->map.data;
    const size_t n_sections = hti_get_u32(header + HTI_AT_N_SECTIONS);
    for (size_t i = 0; i < n_sections; i++) {
        const unsigned char *record = header + HTI_HEADER_BYTES + i * HTI_SECTION_BYTES;
        const unsigned char *data = header + hti_get_u64(record + HTI_AT_OFF);
        HT_TRY(poll_monitor(v, err));
        if (hti_hash(data, (size_t)hti_get_u64(record + HTI_AT_SIZE)) != hti_get_u64(record + HTI_AT_SECTION_CHECKSUM))
            return hti_lexical_damaged(v->segment, data, "checksum of the section that starts here differs", err);
    }
    return HT_OK;
}

static ht_status verify_list(verifier *v, const hti_term_entry *entry, ht_error *err)
{
    hti_term_list list;
    hti_postings postings;
    hti_lexical_segment_list(v->segment, entry, &list);
    for (uint32_t block = 0; block <= list.n_blocks; block++) {
        HT_TRY(hti_term_list_decode(v->segment, &list, block, &postings, err));
        for (uint32_t i = 0; i < postings.n; i++) {
            const uint32_t doc = postings.docs[i], tf = postings.tf_less_1[i] + 1;
            const uint32_t len = hti_length_at(v->segment, hti_length_number(v->segment, doc));
            if (tf > len - v->lengths[doc])
                return hti_lexical_damaged(v->segment, list.postings, "more tokens than the document has", err);
            v->lengths[doc] += tf;
        }
        v->n_postings += postings.n;
        v->done += postings.n;
        if (v->n_postings / POLL_POSTINGS != (v->n_postings - postings.n) / POLL_POSTINGS) HT_TRY(poll_monitor(v, err));
    }
    return HT_OK;
}

static ht_status verify_terms(verifier *v, ht_error *err)
{
    hti_dictionary_walk walk;
    hti_term_entry entry;
    ht_status status = HT_OK, listed = HT_OK;
    hti_dictionary_walk_init(&walk, &v->segment->dictionary);
    while (listed == HT_OK && hti_dictionary_walk_next(&walk, &entry, &status)) listed = verify_list(v, &entry, err);
    if (listed == HT_OK && status == HT_CORRUPT)
        status = hti_lexical_damaged(v->segment, walk.at ? walk.at : v->segment->dictionary.terms, "damaged term group",
                                     err);
    else if (listed == HT_OK && status == HT_NO_MEMORY)
        status = HTI_NO_MEMORY(err);
    hti_dictionary_walk_deinit(&walk);
    return listed == HT_OK ? status : listed;
}

/* The counts of the header against what was found. */
static ht_status verify_counts(const verifier *v, ht_error *err)
{
    const hti_lexical_segment *segment = v->segment;
    uint64_t n_tokens = 0, n_docs_with_tokens = 0;
    for (uint32_t doc = 0; doc < segment->n_docs; doc++) {
        const uint32_t len = hti_length_at(segment, hti_length_number(segment, doc));
        if (v->lengths[doc] != len)
            return HT_FAIL(err, CORRUPT,
                           "%s: document %u has %u tokens in its postings, its length says %u; index again",
                           segment->path, doc, v->lengths[doc], len);
        n_tokens += len;
        n_docs_with_tokens += len > 0;
    }
    if (n_tokens != segment->n_tokens || n_docs_with_tokens != segment->n_docs_with_tokens ||
        v->n_postings != segment->n_postings)
        return hti_lexical_damaged(segment, segment->map.data + HTI_AT_N_DOCS, "counts differ from the content", err);
    return HT_OK;
}

static ht_status verify_segment(verifier *v, ht_error *err)
{
    HT_TRY(verify_checksums(v, err));
    v->n_postings = 0;
    v->lengths = hti_alloc_zero(hti_mul(v->segment->n_docs, sizeof *v->lengths));
    if (!v->lengths) return HTI_NO_MEMORY(err);
    ht_status status = verify_terms(v, err);
    if (status == HT_OK) status = verify_counts(v, err);
    hti_free(v->lengths);
    return status;
}

ht_status ht_lexical_verify(const ht_lexical *lexical, const ht_monitor *monitor, ht_error *err)
{
    verifier v = {.monitor = monitor};
    for (size_t i = 0; i < lexical->n_segments; i++) v.total += lexical->segments[i].n_postings;
    for (size_t i = 0; i < lexical->n_segments; i++) {
        v.segment = &lexical->segments[i];
        HT_TRY(verify_segment(&v, err));
    }
    return poll_monitor(&v, err);
}
