/*
 * plaid_int.h - the open index, as its own files see it.
 *
 * An index is a list of immutable segments; ordinals run through them. Version 1 scores every document; what a
 * larger collection needs fits behind the same doors: clustering (plaid_codebook) and its postings add sections to
 * the segment and a step that names candidates; the residual codec is a row in vector_store.c; exact scoring of
 * candidates is ht_plaid_score's path as it stands.
 */
#ifndef HTI_PLAID_INT_H
#define HTI_PLAID_INT_H

#include "os/os.h"

#include "plaid.h"
#include "plaid_format.h"
#include "vector_store.h"

typedef struct hti_plaid_segment {
    char *path;
    hti_mapping map;
    hti_plaid_head head;
    uint32_t first_doc, n_docs; /* ordinals [first_doc, first_doc + n_docs) */
    hti_rows rows;
    const uint64_t *offsets; /* [n_docs + 1]: rows of a document, validated at open */
    const float *pooled;     /* [n_docs][hti_f32_row_floats(dim)], NULL without */
} hti_plaid_segment;

struct ht_plaid {
    hti_plaid_segment *segments; /* [n_segments] */
    size_t n_segments;
    uint32_t n_docs, dim;
    const hti_vector_store *store;
    bool has_pooled;
};

/* The segment that holds an ordinal below n_docs. */
const hti_plaid_segment *hti_plaid_segment_of(const ht_plaid *plaid, uint32_t doc);

/* Rows of document `at` of a segment. */
static inline hti_row_span hti_plaid_doc_rows(const hti_plaid_segment *segment, uint32_t at)
{
    return (hti_row_span){segment->offsets[at], segment->offsets[at + 1] - segment->offsets[at]};
}

#endif
