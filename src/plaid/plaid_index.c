/*
 * plaid_index.c - opening segment files, telling about them, verifying them.
 *
 * Open validates what later reads rely on: the head, the place of every section and that the offsets never fall and
 * end at the number of vectors (8 bytes a document). It touches neither vectors nor scales: their bytes cannot lead
 * a kernel astray, only give wrong scores, which ht_plaid_verify finds.
 * Thread rule: an open index is immutable; any number of threads.
 * Easy to get wrong: segments without documents share their first ordinal with the next one.
 */
#include "plaid_int.h"

#include <string.h>

enum { VERIFY_STEP = 4 * 1024 * 1024 };

/* Document offsets rise from 0 to the number of vectors, by less than 2^32 a document. */
static ht_status check_offsets(const hti_plaid_segment *segment, ht_error *err)
{
    const uint64_t *offsets = segment->offsets;
    uint64_t before = 0;
    for (size_t i = 0; i <= segment->n_docs; i++) {
        const uint64_t most = i == 0 ? 0 : UINT32_MAX;
        const bool rises = offsets[i] >= before && offsets[i] - before <= most;
        if (!rises || (i == segment->n_docs && offsets[i] != segment->head.n_vectors))
            return HT_FAIL(err, CORRUPT,
                           "%s: byte %llu: document offsets do not rise from 0 to the number of vectors; "
                           "restore the file or index again",
                           segment->path,
                           (unsigned long long)(segment->head.parts[HTI_PLAID_OFFSETS].off + i * sizeof *offsets));
        before = offsets[i];
    }
    return HT_OK;
}

static const void *part_data(const hti_plaid_segment *segment, hti_plaid_part part)
{
    const hti_plaid_section *section = &segment->head.parts[part];
    return section->size_bytes ? segment->map.data + section->off : NULL;
}

static ht_status open_segment(const char *path, hti_plaid_segment *segment, ht_error *err)
{
    const size_t len = strlen(path) + 1;
    segment->path = hti_alloc(len);
    if (!segment->path) return HTI_NO_MEMORY(err);
    memcpy(segment->path, path, len);
    HT_TRY(hti_map_file(path, &segment->map, err));
    HT_TRY(hti_plaid_decode_head(path, segment->map.data, segment->map.len, &segment->head, err));
    segment->n_docs = (uint32_t)segment->head.n_docs;
    segment->offsets = part_data(segment, HTI_PLAID_OFFSETS);
    segment->pooled = part_data(segment, HTI_PLAID_POOLED);
    segment->rows = (hti_rows){
        .data = part_data(segment, HTI_PLAID_VECTORS),
        .scales = part_data(segment, HTI_PLAID_SCALES),
        .n_rows = (size_t)segment->head.n_vectors,
        .row_bytes = segment->head.row_bytes,
    };
    return check_offsets(segment, err);
}

/* Takes the first segment's kind for all and gives the ordinals out. */
static ht_status join_segment(ht_plaid *plaid, hti_plaid_segment *segment, ht_error *err)
{
    const hti_plaid_head *first = &plaid->segments[0].head, *head = &segment->head;
    if (head->dim != first->dim || head->vector_type != first->vector_type || head->has_pooled != first->has_pooled)
        return HT_FAIL(
            err, INVALID, "%s: %s vectors of %u dimensions%s, but %s has %s of %u%s: one index holds one kind",
            segment->path, hti_vector_store_of(head->vector_type)->name, head->dim,
            head->has_pooled ? " with pooled ones" : "", plaid->segments[0].path,
            hti_vector_store_of(first->vector_type)->name, first->dim, first->has_pooled ? " with pooled ones" : "");
    if (segment->n_docs >= UINT32_MAX - plaid->n_docs)
        return HT_FAIL(err, LIMIT, "%s: an index holds fewer than %u documents", segment->path, UINT32_MAX);
    plaid->dim = head->dim;
    plaid->has_pooled = head->has_pooled;
    plaid->store = hti_vector_store_of(head->vector_type);
    segment->first_doc = plaid->n_docs;
    plaid->n_docs += segment->n_docs;
    return HT_OK;
}

ht_status ht_plaid_open(const char *const *paths, size_t n_paths, ht_plaid **out, ht_error *err)
{
    *out = NULL;
    ht_plaid *plaid = HTI_NEW(ht_plaid);
    hti_plaid_segment *segments = hti_alloc_zero(hti_mul(n_paths, sizeof *segments));
    if (!plaid || !segments) {
        hti_free(plaid);
        hti_free(segments);
        return HTI_NO_MEMORY(err);
    }
    ht_status status = HT_OK;
    plaid->segments = segments;
    plaid->store = hti_vector_store_of(HT_VECTOR_INT8);
    for (size_t i = 0; i < n_paths && status == HT_OK; i++) {
        plaid->n_segments++; /* close frees what a failed open left */
        status = open_segment(paths[i], &plaid->segments[i], err);
        if (status == HT_OK) status = join_segment(plaid, &plaid->segments[i], err);
    }
    if (status != HT_OK) {
        ht_plaid_close(plaid);
        return status;
    }
    *out = plaid;
    return HT_OK;
}

void ht_plaid_close(ht_plaid *plaid)
{
    if (!plaid) return;
    for (size_t i = 0; i < plaid->n_segments; i++) {
        hti_unmap_file(&plaid->segments[i].map);
        hti_free(plaid->segments[i].path);
    }
    hti_free(plaid->segments);
    hti_free(plaid);
}

void ht_plaid_get_info(const ht_plaid *plaid, ht_plaid_info *info)
{
    ht_plaid_info now = {
        .size = info->size ? info->size : (uint32_t)sizeof now,
        .dim = plaid->dim,
        .vector_type = plaid->store->type,
        .n_docs = plaid->n_docs,
        .has_pooled = plaid->has_pooled,
    };
    for (size_t i = 0; i < plaid->n_segments; i++) {
        now.n_vectors += plaid->segments[i].head.n_vectors;
        now.size_bytes += plaid->segments[i].map.len;
    }
    memcpy(info, &now, HTI_MIN((size_t)now.size, sizeof now));
}

const hti_plaid_segment *hti_plaid_segment_of(const ht_plaid *plaid, uint32_t doc)
{
    HT_ASSERT(doc < plaid->n_docs);
    size_t low = 0, high = plaid->n_segments; /* the last segment with first_doc <= doc is in [low, high) */
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (plaid->segments[middle].first_doc <= doc)
            low = middle;
        else
            high = middle;
    }
    return &plaid->segments[low];
}

size_t ht_plaid_doc_len(const ht_plaid *plaid, uint32_t doc)
{
    if (doc >= plaid->n_docs) return 0;
    const hti_plaid_segment *segment = hti_plaid_segment_of(plaid, doc);
    return hti_plaid_doc_rows(segment, doc - segment->first_doc).n;
}

/* ---- verify ---- */

typedef struct verify_state {
    const ht_monitor *monitor; /* NULL allowed */
    uint64_t done, total;
} verify_state;

static ht_status watch(verify_state *state, size_t more, ht_error *err)
{
    const ht_monitor *monitor = state->monitor;
    state->done += more;
    if (!monitor) return HT_OK;
    if (monitor->cancelled && monitor->cancelled(monitor->ud))
        return HT_FAIL(err, CANCELLED, "verifying vectors was cancelled");
    if (monitor->progress) monitor->progress(monitor->ud, "verify vectors", state->done, state->total);
    return HT_OK;
}

static ht_status hash_part(const hti_plaid_segment *segment, hti_plaid_part part, hti_hasher *hasher,
                           verify_state *state, ht_error *err)
{
    const hti_plaid_section *section = &segment->head.parts[part];
    for (uint64_t at = 0, n; at < section->size_bytes; at += n) {
        n = HTI_MIN(section->size_bytes - at, (uint64_t)VERIFY_STEP);
        hti_hasher_add(hasher, segment->map.data + section->off + at, (size_t)n);
        HT_TRY(watch(state, (size_t)n, err));
    }
    if (hti_hasher_finish(hasher) == section->hash) return HT_OK;
    return HT_FAIL(err, CORRUPT,
                   "%s: bytes %llu to %llu: the %s do not match their checksum; restore the file or index again",
                   segment->path, (unsigned long long)section->off,
                   (unsigned long long)(section->off + section->size_bytes), hti_plaid_part_name(part));
}

static ht_status verify_segment(const hti_plaid_segment *segment, verify_state *state, ht_error *err)
{
    for (int part = 0; part < HTI_PLAID_N_PARTS; part++) {
        hti_hasher *hasher = hti_hasher_new();
        if (!hasher) return HTI_NO_MEMORY(err);
        const ht_status status = hash_part(segment, (hti_plaid_part)part, hasher, state, err);
        hti_hasher_free(hasher);
        HT_TRY(status);
    }
    return HT_OK;
}

ht_status ht_plaid_verify(const ht_plaid *plaid, const ht_monitor *monitor, ht_error *err)
{
    verify_state state = {.monitor = monitor};
    for (size_t i = 0; i < plaid->n_segments; i++) state.total += plaid->segments[i].map.len - HTI_PLAID_HEAD_BYTES;
    for (size_t i = 0; i < plaid->n_segments; i++) HT_TRY(verify_segment(&plaid->segments[i], &state, err));
    return HT_OK;
}
