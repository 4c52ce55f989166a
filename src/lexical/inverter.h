/*
 * inverter.h - turns documents' tokens into one posting list per term, in memory.
 */
#ifndef HTI_LEXICAL_INVERTER_H
#define HTI_LEXICAL_INVERTER_H

#include "base/base.h"

/* A place in the pool of list bytes, in units of 8 bytes. */
typedef uint32_t hti_pool_at;
#define HTI_POOL_NONE UINT32_MAX

/* What is known of one term; its number is its entry in `terms`. */
typedef struct hti_inverted_list {
    uint32_t df;
    uint32_t last_doc, gap, tf; /* the newest posting, not yet in the pool: its frequency may still grow */
    hti_pool_at first, slice;   /* first and present slice, HTI_POOL_NONE while df <= 1 */
    uint16_t used, level;       /* bytes written into the present slice, and its size class */
} hti_inverted_list;

typedef struct hti_inverter {
    hti_map terms;
    hti_inverted_list *lists; /* [terms.n] */
    unsigned char **pages;    /* [n_pages] */
    size_t cap_lists, n_pages, cap_pages, page_used;
    hti_map lengths;       /* distinct document lengths, 4-byte keys, in order of appearance */
    uint32_t *doc_lengths; /* [n_docs] entry of `lengths` */
    size_t cap_docs;
    uint64_t n_tokens, n_postings;
    uint32_t n_docs, n_docs_with_tokens;
} hti_inverter;

void hti_inverter_init(hti_inverter *inverter);
void hti_inverter_deinit(hti_inverter *inverter);
/*
 * One occurrence of a term in the document now being read, whose number is n_docs. After a failure
 * the inverter holds half a document and can only be thrown away.
 */
HT_CHECKED ht_status hti_inverter_token(hti_inverter *inverter, ht_text term, ht_error *err);
/* Ends the document, which had `len` tokens. */
HT_CHECKED ht_status hti_inverter_end_doc(hti_inverter *inverter, uint32_t len, ht_error *err);

/* Reads one term's list back in document order. */
typedef struct hti_list_reader {
    const hti_inverter *inverter;
    const hti_inverted_list *list;
    const unsigned char *slice; /* present slice, NULL behind the last */
    uint32_t at, level, n_read;
    uint32_t doc;
} hti_list_reader;
void hti_list_reader_init(hti_list_reader *reader, const hti_inverter *inverter, uint32_t term);
/* The next posting, df times. */
void hti_list_reader_next(hti_list_reader *reader, uint32_t *gap, uint32_t *tf);

#endif
