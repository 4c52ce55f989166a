/*
 * inverter.c - term map, growing posting lists in a pool of slices, exact document lengths.
 *
 * Layout: a list's postings but the newest lie as tail codes (postings_codec.h) in a chain of slices
 * that grow from 16 to 512 bytes; a slice's last 4 bytes hold the place of the next one. Slices are cut
 * from pages of 64 kB and never freed or moved. The newest posting waits in the list's own struct,
 * because its frequency is known only when the next document with the term comes: a term that occurs in
 * one document, as half of all terms do, needs no slice.
 * Memory: about 1.2 times the coded postings, 28 + 24..48 bytes and the text of each term, 4 bytes a
 * document. Nothing is sorted while documents come in.
 * Workload: 50 tokens a document, 1e4..1e7 documents; the term map's lookup is most of the work.
 * Thread rule: one thread.
 * Easy to get wrong: a code may run over a slice's end, so bytes are written one by one; and page
 * tables address units of 8 bytes, which lets 32-bit places reach 32 GB.
 */
#include "inverter.h"

#include "postings_codec.h"

enum { UNIT = 8, PAGE_BYTES = 64 * 1024, PAGE_UNITS = PAGE_BYTES / UNIT, LINK = 4 };

/* Bytes of a slice by level; the last level repeats. */
static const uint16_t slice_bytes[] = {16, 24, 40, 64, 96, 144, 224, 336, 512};

void hti_inverter_init(hti_inverter *inverter)
{
    *inverter = (hti_inverter){0};
    hti_map_init(&inverter->terms);
    hti_map_init(&inverter->lengths);
}

void hti_inverter_deinit(hti_inverter *inverter)
{
    hti_map_deinit(&inverter->terms);
    hti_map_deinit(&inverter->lengths);
    for (size_t i = 0; i < inverter->n_pages; i++) hti_free(inverter->pages[i]);
    hti_free(inverter->pages);
    hti_free(inverter->lists);
    hti_free(inverter->doc_lengths);
    *inverter = (hti_inverter){0};
}

static unsigned char *slice_of(const hti_inverter *inverter, hti_pool_at place)
{
    return inverter->pages[place / PAGE_UNITS] + (size_t)(place % PAGE_UNITS) * UNIT;
}

static ht_status new_slice(hti_inverter *inverter, size_t level, hti_pool_at *place, ht_error *err)
{
    const size_t size = slice_bytes[level];
    if (inverter->n_pages == 0 || PAGE_BYTES - inverter->page_used < size) {
        if (inverter->n_pages >= HTI_POOL_NONE / PAGE_UNITS)
            return HT_FAIL(err, LIMIT, "a segment's postings exceed 32 GB in memory; build several segments");
        HT_TRY(
            hti_reserve(&inverter->pages, &inverter->cap_pages, inverter->n_pages + 1, sizeof *inverter->pages, err));
        unsigned char *page = hti_alloc(PAGE_BYTES);
        if (!page) return HTI_NO_MEMORY(err);
        inverter->pages[inverter->n_pages++] = page;
        inverter->page_used = 0;
    }
    *place = (hti_pool_at)((inverter->n_pages - 1) * PAGE_UNITS + inverter->page_used / UNIT);
    inverter->page_used += size;
    return HT_OK;
}

/* Puts a new slice behind the list's present one. */
static ht_status grow_list(hti_inverter *inverter, hti_inverted_list *list, ht_error *err)
{
    const bool is_first = list->first == HTI_POOL_NONE;
    const size_t level = is_first ? 0 : HTI_MIN((size_t)list->level + 1, HTI_LEN(slice_bytes) - 1);
    hti_pool_at place;
    HT_TRY(new_slice(inverter, level, &place, err));
    if (is_first)
        list->first = place;
    else
        hti_put_u32(slice_of(inverter, list->slice) + slice_bytes[list->level] - LINK, place);
    list->slice = place;
    list->level = (uint16_t)level;
    list->used = 0;
    return HT_OK;
}

/* Moves the newest posting into the pool. */
static ht_status store_newest(hti_inverter *inverter, hti_inverted_list *list, ht_error *err)
{
    unsigned char code[HTI_TAIL_MAX_BYTES];
    const size_t len = hti_tail_put(list->gap, list->tf, code);
    for (size_t i = 0; i < len; i++) {
        if (list->first == HTI_POOL_NONE || list->used == slice_bytes[list->level] - LINK)
            HT_TRY(grow_list(inverter, list, err));
        slice_of(inverter, list->slice)[list->used++] = code[i];
    }
    return HT_OK;
}

ht_status hti_inverter_token(hti_inverter *inverter, ht_text term, ht_error *err)
{
    HT_TRY(hti_reserve(&inverter->lists, &inverter->cap_lists, inverter->terms.n + 1, sizeof *inverter->lists, err));
    uint32_t number;
    bool is_new;
    HT_TRY(hti_map_put(&inverter->terms, term, 0, &number, &is_new, err));
    hti_inverted_list *list = &inverter->lists[number];
    const uint32_t doc = inverter->n_docs;
    if (is_new) {
        *list = (hti_inverted_list){
            .df = 1, .last_doc = doc, .gap = doc + 1, .tf = 1, .first = HTI_POOL_NONE, .slice = HTI_POOL_NONE};
    } else if (list->last_doc == doc) {
        list->tf++;
        return HT_OK;
    } else {
        HT_TRY(store_newest(inverter, list, err));
        list->df++;
        list->gap = doc - list->last_doc;
        list->last_doc = doc;
        list->tf = 1;
    }
    inverter->n_postings++;
    return HT_OK;
}

ht_status hti_inverter_end_doc(hti_inverter *inverter, uint32_t len, ht_error *err)
{
    HT_TRY(hti_reserve(&inverter->doc_lengths, &inverter->cap_docs, (size_t)inverter->n_docs + 1,
                       sizeof *inverter->doc_lengths, err));
    unsigned char key[sizeof len];
    hti_put_u32(key, len);
    uint32_t entry;
    bool is_new;
    HT_TRY(hti_map_put(&inverter->lengths, (ht_text){(const char *)key, sizeof key}, len, &entry, &is_new, err));
    inverter->doc_lengths[inverter->n_docs++] = entry;
    inverter->n_docs_with_tokens += len > 0;
    inverter->n_tokens += len;
    return HT_OK;
}

/* ---- reading back ---- */

void hti_list_reader_init(hti_list_reader *reader, const hti_inverter *inverter, uint32_t term)
{
    const hti_inverted_list *list = &inverter->lists[term];
    *reader = (hti_list_reader){.inverter = inverter,
                                .list = list,
                                .slice = list->first == HTI_POOL_NONE ? NULL : slice_of(inverter, list->first)};
}

static unsigned char next_byte(hti_list_reader *reader)
{
    const size_t room = (size_t)slice_bytes[reader->level] - LINK;
    if (reader->at == room) {
        reader->slice = slice_of(reader->inverter, hti_get_u32(reader->slice + room));
        reader->level = (uint32_t)HTI_MIN((size_t)reader->level + 1, HTI_LEN(slice_bytes) - 1);
        reader->at = 0;
    }
    return reader->slice[reader->at++];
}

static uint32_t next_varint(hti_list_reader *reader)
{
    uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        const unsigned char byte = next_byte(reader);
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
}

void hti_list_reader_next(hti_list_reader *reader, uint32_t *gap, uint32_t *tf)
{
    const hti_inverted_list *list = reader->list;
    if (++reader->n_read == list->df) {
        *gap = list->gap;
        *tf = list->tf;
        return;
    }
    const uint32_t code = next_varint(reader);
    *gap = (code >> 1) + 1;
    *tf = code & 1 ? 1 : next_varint(reader) + 2;
}
