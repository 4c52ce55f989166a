/*
 * term_dictionary.c - writing, searching and walking the front-coded term groups.
 *
 * Grammar of a group: up to 16 of { varint shared, varint suffix_len, suffix bytes, varint df,
 * varint postings_len }; shared = bytes in common with the term before, 0 for the first. Offsets of
 * postings and blocks are sums of the lengths before, starting from the group's record.
 * Invariant: terms ascend strictly in unsigned byte order over the whole dictionary.
 * Workload: 1e4..1e7 terms, about 10 bytes each all told; a query looks up 3..30. Keys of 1e6 terms
 * are 500 kB, so the binary search stays in the second-level cache; the group itself is 3 or 4 lines.
 * Comparing needs no copy of a term: while walking, `matched` is how much of the wanted term the
 * present one shares, and the next term's `shared` tells the order unless the two are equal.
 * Thread rule: views are immutable; a writer or walk has one thread.
 * Easy to get wrong: many terms can share one key ("internationalize", "internationally"), so several
 * groups can; among them the first terms themselves must be compared.
 */
#include "term_dictionary.h"

#include "postings_codec.h"

#include "codec/codec.h"

uint64_t hti_term_key(ht_text term)
{
    unsigned char head[HTI_GROUP_KEY_BYTES] = {0};
    if (term.len) memcpy(head, term.data, HTI_MIN(term.len, sizeof head));
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof head; i++) key = key << 8 | head[i];
    return key;
}

int hti_term_compare(ht_text a, ht_text b)
{
    const size_t shared = HTI_MIN(a.len, b.len);
    const int order = shared ? memcmp(a.data, b.data, shared) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- writing ---- */

void hti_dictionary_writer_init(hti_dictionary_writer *writer)
{
    *writer = (hti_dictionary_writer){0};
    hti_buffer_init(&writer->keys);
    hti_buffer_init(&writer->groups);
    hti_buffer_init(&writer->terms);
}

void hti_dictionary_writer_deinit(hti_dictionary_writer *writer)
{
    hti_buffer_deinit(&writer->keys);
    hti_buffer_deinit(&writer->groups);
    hti_buffer_deinit(&writer->terms);
}

static void put_group_record(hti_dictionary_writer *writer)
{
    unsigned char record[HTI_GROUP_BYTES];
    hti_put_u64(record, writer->terms.len);
    hti_put_u64(record + 8, writer->postings_off);
    hti_put_u64(record + 16, writer->first_block);
    hti_buffer_append(&writer->groups, record, sizeof record);
}

static size_t shared_prefix(ht_text a, ht_text b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.data[n] == b.data[n]) n++;
    return n;
}

void hti_dictionary_put(hti_dictionary_writer *writer, ht_text term, uint32_t df, uint32_t postings_len)
{
    size_t shared = 0;
    if (writer->n_terms % HTI_GROUP_TERMS == 0) {
        unsigned char key[HTI_GROUP_KEY_BYTES];
        hti_put_u64(key, hti_term_key(term));
        hti_buffer_append(&writer->keys, key, sizeof key);
        put_group_record(writer);
    } else {
        shared = shared_prefix(writer->last, term);
    }
    unsigned char head[2 * HTI_VARINT_MAX], rest[2 * HTI_VARINT_MAX];
    size_t n_head = hti_varint_put(head, (uint32_t)shared);
    n_head += hti_varint_put(head + n_head, (uint32_t)(term.len - shared));
    size_t n_rest = hti_varint_put(rest, df);
    n_rest += hti_varint_put(rest + n_rest, postings_len);
    hti_buffer_append(&writer->terms, head, n_head);
    hti_buffer_append(&writer->terms, term.data + shared, term.len - shared);
    hti_buffer_append(&writer->terms, rest, n_rest);
    writer->last = term;
    writer->n_terms++;
    writer->postings_off += postings_len;
    writer->first_block += df / HTI_BLOCK_DOCS;
}

void hti_dictionary_finish(hti_dictionary_writer *writer) { put_group_record(writer); }

/* ---- reading ---- */

typedef struct group_record {
    uint64_t terms_off, postings_off, first_block;
} group_record;

static group_record record_of(const hti_dictionary *dictionary, uint64_t group)
{
    const unsigned char *at = dictionary->groups + group * HTI_GROUP_BYTES;
    return (group_record){hti_get_u64(at), hti_get_u64(at + 8), hti_get_u64(at + 16)};
}

static uint64_t key_of(const hti_dictionary *dictionary, uint64_t group)
{
    return hti_get_u64(dictionary->keys + group * HTI_GROUP_KEY_BYTES);
}

int64_t hti_dictionary_check(const hti_dictionary *dictionary)
{
    group_record before = record_of(dictionary, 0);
    if (before.terms_off != 0 || before.postings_off != 0 || before.first_block != 0) return 0;
    for (uint64_t group = 1; group <= dictionary->n_groups; group++) {
        const group_record now = record_of(dictionary, group);
        const bool keys_ascend =
            group == dictionary->n_groups || key_of(dictionary, group - 1) <= key_of(dictionary, group);
        if (!keys_ascend || now.terms_off <= before.terms_off || now.postings_off <= before.postings_off ||
            now.first_block < before.first_block)
            return (int64_t)group;
        before = now;
    }
    const bool ends_fit = before.terms_off == dictionary->terms_len &&
                          before.postings_off == dictionary->postings_len && before.first_block == dictionary->n_blocks;
    return ends_fit ? -1 : (int64_t)dictionary->n_groups;
}

/* One term's code: what the bytes say, before offsets are added up. */
typedef struct coded_term {
    uint32_t shared, suffix_len, df, postings_len;
    const unsigned char *suffix;
} coded_term;

/* Decodes one term; returns the byte behind it, NULL if damaged. */
static const unsigned char *get_term(const unsigned char *at, const unsigned char *end, coded_term *out)
{
    at = hti_varint_get(at, end, &out->shared);
    if (at) at = hti_varint_get(at, end, &out->suffix_len);
    if (!at || out->suffix_len > (size_t)(end - at)) return NULL;
    out->suffix = at;
    at = hti_varint_get(at + out->suffix_len, end, &out->df);
    return at ? hti_varint_get(at, end, &out->postings_len) : NULL;
}

/* Moves `entry` to this term's numbers if they stay inside the group that ends at `limit`. */
static bool take_entry(const hti_dictionary *dictionary, const coded_term *term, group_record limit,
                       hti_term_entry *entry)
{
    entry->postings_off += entry->postings_len;
    entry->first_block += entry->df / HTI_BLOCK_DOCS;
    entry->df = term->df;
    entry->postings_len = term->postings_len;
    return term->df > 0 && term->df <= dictionary->max_df && term->postings_len > 0 &&
           term->postings_len <= limit.postings_off - entry->postings_off &&
           term->df / HTI_BLOCK_DOCS <= limit.first_block - entry->first_block;
}

static hti_term_entry entry_before(group_record record)
{
    return (hti_term_entry){.postings_off = record.postings_off, .first_block = record.first_block};
}

/* First group in [low, high) for which the wanted term lies below its first term; `high` if none. -1: damaged. */
static int64_t first_group_above(const hti_dictionary *dictionary, ht_text term, uint64_t low, uint64_t high)
{
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        coded_term first;
        const unsigned char *at = dictionary->terms + record_of(dictionary, middle).terms_off;
        if (!get_term(at, dictionary->terms + record_of(dictionary, middle + 1).terms_off, &first)) return -1;
        if (hti_term_compare(term, (ht_text){(const char *)first.suffix, first.suffix_len}) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return (int64_t)low;
}

/* Number of groups whose key is below `key` (or, with `equal`, at most `key`). */
static uint64_t count_keys_below(const hti_dictionary *dictionary, uint64_t key, bool equal)
{
    uint64_t low = 0, n = dictionary->n_groups;
    while (n > 0) {
        const uint64_t half = n / 2, middle = key_of(dictionary, low + half);
        const bool below = equal ? middle <= key : middle < key;
        low = below ? low + half + 1 : low;
        n = below ? n - half - 1 : half;
    }
    return low;
}

/* The one group that may hold the term; n_groups if none can, -1 if damaged. */
static int64_t group_of(const hti_dictionary *dictionary, ht_text term)
{
    const uint64_t key = hti_term_key(term);
    const uint64_t above = count_keys_below(dictionary, key, true);
    if (above == 0) return (int64_t)dictionary->n_groups;
    if (key_of(dictionary, above - 1) != key) return (int64_t)above - 1;
    const int64_t behind = first_group_above(dictionary, term, count_keys_below(dictionary, key, false), above);
    if (behind < 0) return -1;
    return behind == 0 ? (int64_t)dictionary->n_groups : behind - 1;
}

static hti_find find_in_group(const hti_dictionary *dictionary, uint64_t group, ht_text term, hti_term_entry *out)
{
    const group_record start = record_of(dictionary, group), limit = record_of(dictionary, group + 1);
    const unsigned char *at = dictionary->terms + start.terms_off, *end = dictionary->terms + limit.terms_off;
    *out = entry_before(start);
    size_t matched = 0; /* bytes of `term` that the term before shares; it lies below `term` */
    while (at < end) {
        coded_term now;
        at = get_term(at, end, &now);
        if (!at || !take_entry(dictionary, &now, limit, out)) return HTI_FIND_DAMAGED;
        if (now.shared > matched) continue;
        if (now.shared < matched) return HTI_FIND_NONE;
        size_t i = 0;
        const unsigned char *want = (const unsigned char *)term.data + matched;
        const size_t left = term.len - matched;
        while (i < left && i < now.suffix_len && want[i] == now.suffix[i]) i++;
        if (i == left) return i == now.suffix_len ? HTI_FIND_FOUND : HTI_FIND_NONE;
        if (i < now.suffix_len && want[i] < now.suffix[i]) return HTI_FIND_NONE;
        matched += i;
    }
    return HTI_FIND_NONE;
}

hti_find hti_dictionary_find(const hti_dictionary *dictionary, ht_text term, hti_term_entry *out, uint64_t *damaged_at)
{
    if (term.len == 0) term.data = "";
    const int64_t group = group_of(dictionary, term);
    if (group == (int64_t)dictionary->n_groups) return HTI_FIND_NONE;
    const hti_find found = group < 0 ? HTI_FIND_DAMAGED : find_in_group(dictionary, (uint64_t)group, term, out);
    if (found == HTI_FIND_DAMAGED) *damaged_at = group < 0 ? 0 : record_of(dictionary, (uint64_t)group).terms_off;
    return found;
}

/* ---- walking ---- */

void hti_dictionary_walk_init(hti_dictionary_walk *walk, const hti_dictionary *dictionary)
{
    *walk = (hti_dictionary_walk){.dictionary = dictionary};
    hti_buffer_init(&walk->term);
}

void hti_dictionary_walk_deinit(hti_dictionary_walk *walk) { hti_buffer_deinit(&walk->term); }

/* Replaces the present term by one that shares a prefix with it; false if that is not above it. */
static bool step_term(hti_dictionary_walk *walk, const coded_term *now)
{
    hti_buffer *term = &walk->term;
    if (now->shared > term->len) return false;
    if (walk->n_seen > 0) {
        const ht_text old_rest = {term->data ? term->data + now->shared : "", term->len - now->shared};
        if (hti_term_compare(old_rest, (ht_text){(const char *)now->suffix, now->suffix_len}) >= 0) return false;
    }
    term->len = now->shared;
    hti_buffer_append(term, now->suffix, now->suffix_len);
    return true;
}

static void enter_group(hti_dictionary_walk *walk)
{
    const group_record start = record_of(walk->dictionary, walk->group);
    walk->at = walk->dictionary->terms + start.terms_off;
    walk->end = walk->dictionary->terms + record_of(walk->dictionary, walk->group + 1).terms_off;
    walk->next = entry_before(start);
}

bool hti_dictionary_walk_next(hti_dictionary_walk *walk, hti_term_entry *out, ht_status *status)
{
    const hti_dictionary *dictionary = walk->dictionary;
    *status = HT_OK;
    if (walk->n_seen == dictionary->n_terms) return false;
    *status = HT_CORRUPT;
    const bool starts_group = walk->n_seen % HTI_GROUP_TERMS == 0;
    if (starts_group) enter_group(walk);
    const group_record limit = record_of(dictionary, walk->group + 1);
    coded_term now;
    walk->at = get_term(walk->at, walk->end, &now);
    if (!walk->at || (starts_group && now.shared > 0) || !take_entry(dictionary, &now, limit, &walk->next))
        return false;
    if (!step_term(walk, &now)) return false;
    *status = hti_buffer_status(&walk->term, NULL);
    if (*status != HT_OK) return false;
    *status = HT_CORRUPT;
    if (starts_group && hti_term_key(hti_buffer_view(&walk->term)) != key_of(dictionary, walk->group)) return false;
    walk->n_seen++;
    const bool ends_group = walk->n_seen % HTI_GROUP_TERMS == 0 || walk->n_seen == dictionary->n_terms;
    *out = walk->next;
    const bool group_is_used_up = walk->at == walk->end &&
                                  out->postings_off + out->postings_len == limit.postings_off &&
                                  out->first_block + out->df / HTI_BLOCK_DOCS == limit.first_block;
    if (ends_group && !group_is_used_up) return false;
    walk->group += ends_group;
    *status = HT_OK;
    return true;
}
