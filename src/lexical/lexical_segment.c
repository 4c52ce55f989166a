/*
 * lexical_segment.c - opening one segment file: everything a reader relies on is checked here, once.
 *
 * Checked at open, in time proportional to terms / 16 + documents: header and section table (with their
 * checksum), every section's bounds, alignment and size against the counts, the dictionary's group
 * arrays, the place of every document's length. Left to the moment of use, because it touches the bulk:
 * a term's numbers (when its group is read), a block's bytes, widths and last document (when decoded).
 * Section checksums are read only by ht_lexical_verify.
 * Thread rule: an open segment is immutable.
 * Easy to get wrong: df above the number of documents with tokens makes idf negative, and search relies
 * on contributions above 0; the dictionary refuses such a term.
 */
#include "lexical_int.h"

#include <inttypes.h>

static const char *const section_names[HTI_N_SECTIONS] = {
    "lengths", "document lengths", "group keys", "groups", "terms", "block lasts", "block ends", "postings",
};

uint64_t hti_header_checksum(const unsigned char *header, size_t n_sections)
{
    unsigned char bytes[HTI_AT_CHECKSUM + HTI_MAX_SECTIONS * HTI_SECTION_BYTES];
    memcpy(bytes, header, HTI_AT_CHECKSUM);
    memcpy(bytes + HTI_AT_CHECKSUM, header + HTI_HEADER_BYTES, n_sections * HTI_SECTION_BYTES);
    return hti_hash(bytes, HTI_AT_CHECKSUM + n_sections * HTI_SECTION_BYTES);
}

ht_status hti_lexical_damaged(const hti_lexical_segment *segment, const void *at, const char *what, ht_error *err)
{
    const uint64_t byte = (uint64_t)((const unsigned char *)at - segment->map.data);
    return HT_FAIL(err, CORRUPT, "%s: byte %" PRIu64 ": %s; restore the file or index again", segment->path, byte,
                   what);
}

/* Magic, version, size and checksum; *n_sections is safe to use afterwards. */
static ht_status check_header(const hti_lexical_segment *segment, size_t *n_sections, ht_error *err)
{
    const unsigned char *header = segment->map.data;
    if (segment->map.len < HTI_HEADER_BYTES)
        return HT_FAIL(err, CORRUPT, "%s: %zu bytes are too few for an inverted index; index again", segment->path,
                       segment->map.len);
    if (memcmp(header + HTI_AT_MAGIC, HTI_SEGMENT_MAGIC, 8) != 0)
        return hti_lexical_damaged(segment, header, "not an inverted index, or one whose writing was cut short", err);
    const uint32_t version = hti_get_u32(header + HTI_AT_VERSION);
    if (version != HTI_SEGMENT_VERSION)
        return HT_FAIL(err, VERSION, "%s: inverted index of version %u, this program reads %d; index again",
                       segment->path, version, HTI_SEGMENT_VERSION);
    *n_sections = hti_get_u32(header + HTI_AT_N_SECTIONS);
    if (*n_sections > HTI_MAX_SECTIONS || segment->map.len < HTI_HEADER_BYTES + *n_sections * HTI_SECTION_BYTES)
        return hti_lexical_damaged(segment, header + HTI_AT_N_SECTIONS, "section table beyond the end", err);
    if (hti_get_u64(header + HTI_AT_CHECKSUM) != hti_header_checksum(header, *n_sections))
        return hti_lexical_damaged(segment, header + HTI_AT_CHECKSUM, "header checksum differs", err);
    if (hti_get_u64(header + HTI_AT_FILE_SIZE) != segment->map.len)
        return HT_FAIL(err, CORRUPT, "%s: %zu bytes, its header says %" PRIu64 "; restore the file or index again",
                       segment->path, segment->map.len, hti_get_u64(header + HTI_AT_FILE_SIZE));
    return HT_OK;
}

static ht_status read_counts(hti_lexical_segment *segment, ht_error *err)
{
    const unsigned char *header = segment->map.data;
    const uint64_t n_docs = hti_get_u64(header + HTI_AT_N_DOCS),
                   with_tokens = hti_get_u64(header + HTI_AT_N_DOCS_WITH_TOKENS);
    segment->n_tokens = hti_get_u64(header + HTI_AT_N_TOKENS);
    segment->n_postings = hti_get_u64(header + HTI_AT_N_POSTINGS);
    segment->n_blocks = hti_get_u64(header + HTI_AT_N_BLOCKS);
    segment->n_lengths = hti_get_u32(header + HTI_AT_N_LENGTHS);
    segment->fingerprint = hti_get_u64(header + HTI_AT_FINGERPRINT);
    memcpy(segment->analyzer, header + HTI_AT_ANALYZER, sizeof segment->analyzer);
    if (n_docs >= HTI_DOC_LIMIT || with_tokens > n_docs || segment->n_lengths > n_docs ||
        (n_docs > 0 && segment->n_lengths == 0))
        return hti_lexical_damaged(segment, header + HTI_AT_N_DOCS, "impossible number of documents or lengths", err);
    const bool counts_ascend = with_tokens <= segment->n_postings && segment->n_postings <= segment->n_tokens;
    if (!counts_ascend || segment->n_blocks > segment->n_postings / HTI_BLOCK_DOCS)
        return hti_lexical_damaged(segment, header + HTI_AT_N_TOKENS, "impossible number of tokens, postings or blocks",
                                   err);
    if (!memchr(segment->analyzer, '\0', sizeof segment->analyzer))
        return hti_lexical_damaged(segment, header + HTI_AT_ANALYZER, "analyzer name without an end", err);
    segment->n_docs = (uint32_t)n_docs;
    segment->n_docs_with_tokens = (uint32_t)with_tokens;
    return HT_OK;
}

/* Finds the known sections and checks that each lies inside the file; unknown kinds are for later versions. */
static ht_status read_sections(hti_lexical_segment *segment, size_t n_sections, ht_error *err)
{
    bool seen[HTI_N_SECTIONS] = {false};
    for (size_t i = 0; i < n_sections; i++) {
        const unsigned char *record = segment->map.data + HTI_HEADER_BYTES + i * HTI_SECTION_BYTES;
        const uint32_t kind = hti_get_u32(record + HTI_AT_KIND);
        const uint64_t off = hti_get_u64(record + HTI_AT_OFF), size = hti_get_u64(record + HTI_AT_SIZE);
        if (off % HTI_SECTION_ALIGN != 0 || off > segment->map.len || size > segment->map.len - off)
            return hti_lexical_damaged(segment, record, "section beyond the end of the file", err);
        if (kind >= HTI_N_SECTIONS) continue;
        if (seen[kind]) return hti_lexical_damaged(segment, record, "the same section twice", err);
        seen[kind] = true;
        segment->sections[kind] = (hti_slice){segment->map.data + off, size};
    }
    for (size_t kind = 0; kind < HTI_N_SECTIONS; kind++)
        if (!seen[kind])
            return HT_FAIL(err, CORRUPT, "%s: no section '%s'; restore the file or index again", segment->path,
                           section_names[kind]);
    return HT_OK;
}

static ht_status check_sizes(const hti_lexical_segment *segment, uint64_t n_groups, ht_error *err)
{
    const uint64_t width = segment->n_lengths > 65536 ? 4 : 2;
    const struct {
        hti_section section;
        uint64_t count, width;
    } rows[] = {
        {HTI_SECTION_LENGTHS, segment->n_lengths, 4},
        {HTI_SECTION_DOC_LENGTHS, segment->n_docs, width},
        {HTI_SECTION_GROUP_KEYS, n_groups, HTI_GROUP_KEY_BYTES},
        {HTI_SECTION_GROUPS, n_groups + 1, HTI_GROUP_BYTES},
        {HTI_SECTION_BLOCK_LASTS, segment->n_blocks, 4},
        {HTI_SECTION_BLOCK_ENDS, segment->n_blocks, 4},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        const hti_slice *slice = &segment->sections[rows[i].section];
        if (slice->len % rows[i].width != 0 || slice->len / rows[i].width != rows[i].count)
            return HT_FAIL(err, CORRUPT,
                           "%s: section '%s' has %" PRIu64 " bytes, not %" PRIu64 " x %" PRIu64 "; index again",
                           segment->path, section_names[rows[i].section], slice->len, rows[i].count, rows[i].width);
    }
    return HT_OK;
}

static ht_status check_dictionary(hti_lexical_segment *segment, ht_error *err)
{
    const uint64_t n_terms = hti_get_u64(segment->map.data + HTI_AT_N_TERMS);
    if (n_terms > segment->n_postings) /* also keeps the products below from wrapping */
        return hti_lexical_damaged(segment, segment->map.data + HTI_AT_N_TERMS, "more terms than postings", err);
    const uint64_t n_groups = hti_dictionary_groups_of(n_terms);
    HT_TRY(check_sizes(segment, n_groups, err));
    segment->dictionary = (hti_dictionary){
        .keys = segment->sections[HTI_SECTION_GROUP_KEYS].data,
        .groups = segment->sections[HTI_SECTION_GROUPS].data,
        .terms = segment->sections[HTI_SECTION_TERMS].data,
        .n_terms = n_terms,
        .n_groups = n_groups,
        .terms_len = segment->sections[HTI_SECTION_TERMS].len,
        .postings_len = segment->sections[HTI_SECTION_POSTINGS].len,
        .n_blocks = segment->n_blocks,
        .max_df = segment->n_docs_with_tokens,
    };
    const int64_t bad = hti_dictionary_check(&segment->dictionary);
    if (bad < 0) return HT_OK;
    return hti_lexical_damaged(segment, segment->dictionary.groups + bad * HTI_GROUP_BYTES,
                               "dictionary groups out of order", err);
}

static ht_status check_lengths(const hti_lexical_segment *segment, ht_error *err)
{
    const unsigned char *lengths = segment->sections[HTI_SECTION_LENGTHS].data;
    for (uint32_t i = 1; i < segment->n_lengths; i++)
        if (hti_length_at(segment, i) <= hti_length_at(segment, i - 1))
            return hti_lexical_damaged(segment, lengths + 4 * (size_t)i, "document lengths out of order", err);
    uint32_t highest = 0;
    for (uint32_t doc = 0; doc < segment->n_docs; doc++) highest = HTI_MAX(highest, hti_length_number(segment, doc));
    if (segment->n_docs > 0 && highest >= segment->n_lengths)
        return hti_lexical_damaged(segment, segment->sections[HTI_SECTION_DOC_LENGTHS].data,
                                   "a document of unknown length", err);
    return HT_OK;
}

static ht_status open_mapped(hti_lexical_segment *segment, ht_error *err)
{
    size_t n_sections;
    HT_TRY(check_header(segment, &n_sections, err));
    HT_TRY(read_counts(segment, err));
    HT_TRY(read_sections(segment, n_sections, err));
    HT_TRY(check_dictionary(segment, err));
    return check_lengths(segment, err);
}

ht_status hti_lexical_segment_open(const char *path, hti_lexical_segment *out, ht_error *err)
{
    *out = (hti_lexical_segment){0};
    const size_t path_size = strlen(path) + 1;
    out->path = hti_alloc(path_size);
    if (!out->path) return HTI_NO_MEMORY(err);
    memcpy(out->path, path, path_size);
    ht_status status = hti_map_file(path, &out->map, err);
    if (status == HT_OK) status = open_mapped(out, err);
    if (status != HT_OK) hti_lexical_segment_close(out);
    return status;
}

void hti_lexical_segment_close(hti_lexical_segment *segment)
{
    hti_unmap_file(&segment->map);
    hti_free(segment->path);
    *segment = (hti_lexical_segment){0};
}

/* ---- one term's postings ---- */

static const uint32_t *u32_array(const hti_lexical_segment *segment, hti_section section, uint64_t at)
{
    return (const uint32_t *)(const void *)segment->sections[section].data + at; /* 64-byte aligned, little-endian */
}

void hti_lexical_segment_list(const hti_lexical_segment *segment, const hti_term_entry *entry, hti_term_list *out)
{
    const unsigned char *postings = segment->sections[HTI_SECTION_POSTINGS].data + entry->postings_off;
    *out = (hti_term_list){
        .postings = postings,
        .end = postings + entry->postings_len,
        .block_lasts = u32_array(segment, HTI_SECTION_BLOCK_LASTS, entry->first_block),
        .block_ends = u32_array(segment, HTI_SECTION_BLOCK_ENDS, entry->first_block),
        .df = entry->df,
        .n_blocks = entry->df / HTI_BLOCK_DOCS,
    };
}

ht_status hti_lexical_segment_find(const hti_lexical_segment *segment, ht_text term, hti_term_list *out, ht_error *err)
{
    hti_term_entry entry;
    uint64_t damaged_at;
    *out = (hti_term_list){0};
    switch (hti_dictionary_find(&segment->dictionary, term, &entry, &damaged_at)) {
    case HTI_FIND_FOUND: hti_lexical_segment_list(segment, &entry, out); return HT_OK;
    case HTI_FIND_DAMAGED:
        return hti_lexical_damaged(segment, segment->dictionary.terms + damaged_at, "damaged term group", err);
    default: return HT_OK;
    }
}

ht_status hti_term_list_decode(const hti_lexical_segment *segment, const hti_term_list *list, uint32_t block,
                               hti_postings *out, ht_error *err)
{
    const size_t size = (size_t)(list->end - list->postings), start = block ? list->block_ends[block - 1] : 0;
    const bool is_tail = block == list->n_blocks;
    const size_t end = is_tail ? size : list->block_ends[block];
    if (start > end || end > size)
        return hti_lexical_damaged(segment, list->postings, "posting blocks out of order", err);
    const unsigned char *from = list->postings + start, *behind = list->postings + end;
    const uint32_t base = block ? list->block_lasts[block - 1] : HTI_DOC_NONE;
    bool whole;
    if (is_tail) {
        whole = hti_tail_get(from, behind, base, list->df % HTI_BLOCK_DOCS, segment->n_docs, out);
    } else {
        const uint32_t last = list->block_lasts[block];
        whole = last < segment->n_docs && hti_block_get(from, behind, base, last, out) == behind;
    }
    return whole ? HT_OK : hti_lexical_damaged(segment, from, "damaged posting block", err);
}
