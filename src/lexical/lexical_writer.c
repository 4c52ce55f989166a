/*
 * lexical_writer.c - from in-memory lists to the segment file, in one pass over the sorted terms.
 *
 * Order in the file: room for header and section table, postings (streamed, so the only big section is
 * never held twice), then the small sections, and last the header over the room left for it: a file
 * whose write was cut short has zeros where the magic belongs.
 * Memory beyond the inverter: 24 bytes a term for sorting, the coded dictionary (about 10 bytes a term),
 * 8 bytes a block of 128 postings, 2 or 4 bytes a document.
 * Thread rule: one thread.
 * Easy to get wrong: the dictionary's offsets count from the postings section, a block's end from its
 * own list, sections from the file.
 */
#include "lexical_writer.h"

enum { FLUSH_BYTES = 64 * 1024 };

typedef struct sort_item {
    uint64_t key;
    uint32_t number;
} sort_item;

typedef struct section_record {
    uint64_t off, size, checksum;
} section_record;

typedef struct writer {
    hti_file *file;
    const hti_inverter *inverter;
    hti_hasher *hasher;
    hti_dictionary_writer dictionary;
    hti_buffer coded, block_lasts, block_ends, lengths, doc_lengths;
    sort_item *terms, *spare;
    section_record sections[HTI_N_SECTIONS];
} writer;

/* ---- sorting terms and lengths: a merge sort by key, then by term bytes ---- */

static bool item_is_less(const hti_map *terms, const sort_item *a, const sort_item *b)
{
    if (a->key != b->key || !terms) return a->key < b->key;
    const hti_map_entry *x = &terms->entries[a->number], *y = &terms->entries[b->number];
    return hti_term_compare((ht_text){x->key, x->len}, (ht_text){y->key, y->len}) < 0;
}

static void merge_runs(const hti_map *terms, const sort_item *from, size_t middle, size_t n, sort_item *into)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < n; i++) {
        const bool take_right = left == middle || (right < n && item_is_less(terms, &from[right], &from[left]));
        into[i] = take_right ? from[right++] : from[left++];
    }
}

/* Sorts items [n]; `spare` [n] is scratch. `terms` (NULL allowed) breaks ties between equal keys. */
static void sort_items(const hti_map *terms, sort_item *items, sort_item *spare, size_t n)
{
    sort_item *from = items, *into = spare;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            const size_t len = HTI_MIN(2 * run, n - at);
            merge_runs(terms, from + at, HTI_MIN(run, len), len, into + at);
        }
        sort_item *const swap = from;
        from = into;
        into = swap;
    }
    if (from != items) memcpy(items, from, n * sizeof *items);
}

/* ---- sections ---- */

static ht_status begin_section(writer *w, hti_section kind, ht_error *err)
{
    HT_TRY(hti_file_pad(w->file, HTI_SECTION_ALIGN, err));
    w->sections[kind].off = hti_file_tell(w->file);
    return HT_OK;
}

static ht_status put_section(writer *w, hti_section kind, const hti_buffer *content, ht_error *err)
{
    HT_TRY(hti_buffer_status(content, err));
    HT_TRY(begin_section(w, kind, err));
    w->sections[kind].size = content->len;
    w->sections[kind].checksum = hti_hash(content->data, content->len);
    return hti_file_write(w->file, content->data, content->len, err);
}

static void append_u32(hti_buffer *buffer, uint32_t value)
{
    unsigned char bytes[4];
    hti_put_u32(bytes, value);
    hti_buffer_append(buffer, bytes, sizeof bytes);
}

/* ---- postings ---- */

static ht_status flush_coded(writer *w, ht_error *err)
{
    HT_TRY(hti_buffer_status(&w->coded, err));
    if (w->coded.len == 0) return HT_OK;
    hti_hasher_add(w->hasher, w->coded.data, w->coded.len);
    HT_TRY(hti_file_write(w->file, w->coded.data, w->coded.len, err));
    w->sections[HTI_SECTION_POSTINGS].size += w->coded.len;
    hti_buffer_clear(&w->coded);
    return HT_OK;
}

/* Codes one packed block from the reader and adds its last document and end; returns that document. */
static uint32_t put_block(writer *w, hti_list_reader *reader, uint32_t base, uint64_t *list_len)
{
    hti_postings block;
    unsigned char bytes[HTI_BLOCK_MAX_BYTES];
    uint32_t doc = base;
    for (size_t i = 0; i < HTI_BLOCK_DOCS; i++) {
        uint32_t gap, tf;
        hti_list_reader_next(reader, &gap, &tf);
        block.docs[i] = doc += gap;
        block.tf_less_1[i] = tf - 1;
    }
    const size_t len = hti_block_put(&block, base, bytes);
    hti_buffer_append(&w->coded, bytes, len);
    *list_len += len;
    append_u32(&w->block_lasts, doc);
    append_u32(&w->block_ends, (uint32_t)*list_len);
    return doc;
}

static ht_status put_list(writer *w, uint32_t number, ht_error *err)
{
    const hti_map_entry *term = &w->inverter->terms.entries[number];
    const uint32_t df = w->inverter->lists[number].df;
    hti_list_reader reader;
    hti_list_reader_init(&reader, w->inverter, number);
    uint64_t list_len = 0;
    uint32_t base = HTI_DOC_NONE;
    for (uint32_t block = 0; block < df / HTI_BLOCK_DOCS; block++) {
        base = put_block(w, &reader, base, &list_len);
        if (w->coded.len >= FLUSH_BYTES) HT_TRY(flush_coded(w, err));
    }
    for (uint32_t i = 0; i < df % HTI_BLOCK_DOCS; i++) {
        unsigned char bytes[HTI_TAIL_MAX_BYTES];
        uint32_t gap, tf;
        hti_list_reader_next(&reader, &gap, &tf);
        const size_t len = hti_tail_put(gap, tf, bytes);
        hti_buffer_append(&w->coded, bytes, len);
        list_len += len;
    }
    if (list_len > UINT32_MAX) return HT_FAIL(err, LIMIT, "one term's postings exceed 4 GB; build several segments");
    hti_dictionary_put(&w->dictionary, (ht_text){term->key, term->len}, df, (uint32_t)list_len);
    return w->coded.len >= FLUSH_BYTES ? flush_coded(w, err) : HT_OK;
}

static ht_status write_postings(writer *w, ht_error *err)
{
    const hti_map *terms = &w->inverter->terms;
    w->terms = HTI_NEW_ARRAY(sort_item, terms->n);
    w->spare = HTI_NEW_ARRAY(sort_item, terms->n);
    if (!w->terms || !w->spare) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < terms->n; i++)
        w->terms[i] = (sort_item){hti_term_key((ht_text){terms->entries[i].key, terms->entries[i].len}), (uint32_t)i};
    sort_items(terms, w->terms, w->spare, terms->n);
    HT_TRY(begin_section(w, HTI_SECTION_POSTINGS, err));
    for (size_t i = 0; i < terms->n; i++) HT_TRY(put_list(w, w->terms[i].number, err));
    HT_TRY(flush_coded(w, err));
    w->sections[HTI_SECTION_POSTINGS].checksum = hti_hasher_finish(w->hasher);
    hti_dictionary_finish(&w->dictionary);
    return HT_OK;
}

/* ---- lengths ---- */

/* Sorts the distinct lengths and numbers each document's length by its place among them. */
static ht_status code_lengths(writer *w, ht_error *err)
{
    const hti_map *lengths = &w->inverter->lengths;
    const size_t n = lengths->n;
    sort_item *items = HTI_NEW_ARRAY(sort_item, n), *spare = HTI_NEW_ARRAY(sort_item, n);
    uint32_t *places = HTI_NEW_ARRAY(uint32_t, n);
    const size_t width = n > 65536 ? 4 : 2;
    char *numbers = hti_buffer_room(&w->doc_lengths, hti_mul(w->inverter->n_docs, width));
    ht_status status = HT_OK;
    if (!items || !spare || !places || !numbers) {
        status = HTI_NO_MEMORY(err);
        goto done;
    }
    for (size_t i = 0; i < n; i++) items[i] = (sort_item){lengths->entries[i].value, (uint32_t)i};
    sort_items(NULL, items, spare, n);
    for (size_t i = 0; i < n; i++) {
        append_u32(&w->lengths, (uint32_t)items[i].key);
        places[items[i].number] = (uint32_t)i;
    }
    for (size_t doc = 0; doc < w->inverter->n_docs; doc++) {
        const uint32_t place = places[w->inverter->doc_lengths[doc]];
        if (width == 4)
            hti_put_u32(numbers + 4 * doc, place);
        else
            hti_put_u16(numbers + 2 * doc, (uint16_t)place);
    }
    w->doc_lengths.len = w->inverter->n_docs * width;
done:
    hti_free(items);
    hti_free(spare);
    hti_free(places);
    return status;
}

/* ---- header ---- */

static void fill_header(const writer *w, const char *analyzer, uint64_t fingerprint, unsigned char *header)
{
    memcpy(header + HTI_AT_MAGIC, HTI_SEGMENT_MAGIC, 8);
    hti_put_u32(header + HTI_AT_VERSION, HTI_SEGMENT_VERSION);
    hti_put_u32(header + HTI_AT_N_SECTIONS, HTI_N_SECTIONS);
    hti_put_u64(header + HTI_AT_FILE_SIZE, hti_file_tell(w->file));
    hti_put_u64(header + HTI_AT_N_DOCS, w->inverter->n_docs);
    hti_put_u64(header + HTI_AT_N_DOCS_WITH_TOKENS, w->inverter->n_docs_with_tokens);
    hti_put_u64(header + HTI_AT_N_TOKENS, w->inverter->n_tokens);
    hti_put_u64(header + HTI_AT_N_TERMS, w->inverter->terms.n);
    hti_put_u64(header + HTI_AT_N_POSTINGS, w->inverter->n_postings);
    hti_put_u64(header + HTI_AT_N_BLOCKS, w->dictionary.first_block);
    hti_put_u32(header + HTI_AT_N_LENGTHS, (uint32_t)w->inverter->lengths.n);
    memcpy(header + HTI_AT_ANALYZER, analyzer, strnlen(analyzer, HTI_ANALYZER_NAME_BYTES - 1));
    hti_put_u64(header + HTI_AT_FINGERPRINT, fingerprint);
    for (size_t i = 0; i < HTI_N_SECTIONS; i++) {
        unsigned char *record = header + HTI_HEADER_BYTES + i * HTI_SECTION_BYTES;
        hti_put_u32(record + HTI_AT_KIND, (uint32_t)i);
        hti_put_u64(record + HTI_AT_OFF, w->sections[i].off);
        hti_put_u64(record + HTI_AT_SIZE, w->sections[i].size);
        hti_put_u64(record + HTI_AT_SECTION_CHECKSUM, w->sections[i].checksum);
    }
    hti_put_u64(header + HTI_AT_CHECKSUM, hti_header_checksum(header, HTI_N_SECTIONS));
}

static ht_status write_all_sections(writer *w, const char *analyzer, uint64_t fingerprint, ht_error *err)
{
    unsigned char header[HTI_HEADER_BYTES + HTI_N_SECTIONS * HTI_SECTION_BYTES] = {0};
    HT_TRY(hti_file_write(w->file, header, sizeof header, err));
    HT_TRY(write_postings(w, err));
    HT_TRY(code_lengths(w, err));
    HT_TRY(put_section(w, HTI_SECTION_BLOCK_LASTS, &w->block_lasts, err));
    HT_TRY(put_section(w, HTI_SECTION_BLOCK_ENDS, &w->block_ends, err));
    HT_TRY(put_section(w, HTI_SECTION_GROUPS, &w->dictionary.groups, err));
    HT_TRY(put_section(w, HTI_SECTION_TERMS, &w->dictionary.terms, err));
    HT_TRY(put_section(w, HTI_SECTION_GROUP_KEYS, &w->dictionary.keys, err));
    HT_TRY(put_section(w, HTI_SECTION_LENGTHS, &w->lengths, err));
    HT_TRY(put_section(w, HTI_SECTION_DOC_LENGTHS, &w->doc_lengths, err));
    fill_header(w, analyzer, fingerprint, header);
    return hti_file_write_at(w->file, 0, header, sizeof header, err);
}

static void fill_info(const hti_inverter *inverter, const char *analyzer, uint64_t size_bytes, ht_lexical_info *info)
{
    *info = (ht_lexical_info){
        HT_DESC(ht_lexical_info),
        .n_docs = inverter->n_docs,
        .n_docs_with_tokens = inverter->n_docs_with_tokens,
        .n_tokens = inverter->n_tokens,
        .n_terms = inverter->terms.n,
        .n_postings = inverter->n_postings,
        .size_bytes = size_bytes,
    };
    memcpy(info->analyzer, analyzer, strnlen(analyzer, sizeof info->analyzer - 1));
}

ht_status hti_lexical_write(hti_file *file, const hti_inverter *inverter, const char *analyzer, uint64_t fingerprint,
                            ht_lexical_info *info, ht_error *err)
{
    writer w = {.file = file, .inverter = inverter, .hasher = hti_hasher_new()};
    hti_dictionary_writer_init(&w.dictionary);
    hti_buffer *const buffers[] = {&w.coded, &w.block_lasts, &w.block_ends, &w.lengths, &w.doc_lengths};
    for (size_t i = 0; i < HTI_LEN(buffers); i++) hti_buffer_init(buffers[i]);
    ht_status status;
    if (w.hasher)
        status = write_all_sections(&w, analyzer, fingerprint, err);
    else
        status = HTI_NO_MEMORY(err);
    if (status == HT_OK) fill_info(inverter, analyzer, hti_file_tell(file), info);
    for (size_t i = 0; i < HTI_LEN(buffers); i++) hti_buffer_deinit(buffers[i]);
    hti_dictionary_writer_deinit(&w.dictionary);
    hti_free(w.terms);
    hti_free(w.spare);
    hti_hasher_free(w.hasher);
    return status;
}
