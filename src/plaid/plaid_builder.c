/*
 * plaid_builder.c - writes one token-vector segment, streaming.
 *
 * Way of the data: a document's vectors are coded block by block and appended to the segment file; their scales and
 * the pooled vector go to two side files (PATH.scales, PATH.pooled), the offsets to memory (8 bytes a document).
 * finish() copies the side files behind the vectors, writes the offsets, and last of all the head over the zeros
 * that stood for it: a file without its magic is unfinished, whatever killed the writer.
 * Invariant: a document is checked whole before its first byte is written, so an INVALID one leaves the builder
 * as it was; a failed write or allocation is sticky and every later call reports it.
 * Workload: 250,000 vectors of 384 (Cranfield) to tens of millions; memory stays at one block and the file buffers.
 * Thread rule: one thread. Easy to get wrong: section checksums cover the padding, so zeros pass through the hasher.
 */
#include "plaid_int.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 256 * 1024 };

typedef enum spool_kind { SPOOL_SCALES, SPOOL_POOLED, N_SPOOLS } spool_kind;
static const char *const spool_suffix[N_SPOOLS] = {".scales", ".pooled"};

struct ht_plaid_builder {
    char *path, *spool_path[N_SPOOLS];
    hti_file *file, *spool[N_SPOOLS]; /* NULL: not open */
    bool made_file, made_spool[N_SPOOLS];
    hti_hasher *hasher;
    const hti_vector_store *store;
    const hti_maxsim_kernels *kernels;
    hti_plaid_head head;
    uint64_t *offsets; /* [n_docs + 1] */
    size_t cap_offsets, block_rows;
    unsigned char *block; /* [block_rows][row_bytes] */
    float *block_scales;  /* [block_rows] */
    float *pooled_row;    /* [hti_f32_row_floats(dim)] */
    ht_status failed;
    ht_error failure;
};

void ht_plaid_build_opts_init(ht_plaid_build_opts *opts)
{
    *opts = (ht_plaid_build_opts){HT_DESC(ht_plaid_build_opts), .vector_type = HT_VECTOR_INT8};
}

/* ---- start ---- */

static char *suffixed_path(const char *path, const char *suffix)
{
    const size_t size = hti_add(strlen(path), strlen(suffix) + 1);
    char *made = hti_alloc(size);
    if (made) (void)snprintf(made, size, "%s%s", path, suffix);
    return made;
}

static ht_status make_memory(ht_plaid_builder *builder, const char *path, ht_error *err)
{
    const size_t dim = builder->head.dim;
    builder->block_rows = HTI_MAX(BLOCK_BYTES / builder->store->row_bytes(dim), (size_t)1);
    builder->path = suffixed_path(path, "");
    for (size_t i = 0; i < N_SPOOLS; i++) {
        builder->spool_path[i] = suffixed_path(path, spool_suffix[i]);
        if (!builder->spool_path[i]) return HTI_NO_MEMORY(err);
    }
    builder->hasher = hti_hasher_new();
    builder->block = hti_alloc(builder->block_rows * builder->store->row_bytes(dim));
    builder->block_scales = HTI_NEW_ARRAY(float, builder->block_rows);
    builder->pooled_row = hti_alloc_zero(hti_f32_row_floats(dim) * sizeof(float));
    HT_TRY(hti_reserve(&builder->offsets, &builder->cap_offsets, 1, sizeof *builder->offsets, err));
    builder->offsets[0] = 0;
    const bool whole =
        builder->path && builder->hasher && builder->block && builder->block_scales && builder->pooled_row;
    return whole ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status make_files(ht_plaid_builder *builder, ht_error *err)
{
    static const unsigned char zeros[HTI_PLAID_HEAD_BYTES];
    const bool wanted[N_SPOOLS] = {builder->store->has_scales, builder->head.has_pooled};
    HT_TRY(hti_file_create(builder->path, &builder->file, err));
    builder->made_file = true;
    for (size_t i = 0; i < N_SPOOLS; i++) {
        if (!wanted[i]) continue;
        HT_TRY(hti_file_create(builder->spool_path[i], &builder->spool[i], err));
        builder->made_spool[i] = true;
    }
    return hti_file_write(builder->file, zeros, sizeof zeros, err);
}

ht_status ht_plaid_builder_new(const char *path, const ht_plaid_build_opts *opts, ht_plaid_builder **out, ht_error *err)
{
    *out = NULL;
    ht_plaid_build_opts mine;
    ht_plaid_build_opts_init(&mine);
    memcpy(&mine, opts, HTI_MIN((size_t)opts->size, sizeof mine));
    if (mine.dim < 1 || mine.dim > HTI_PLAID_MAX_DIM)
        return HT_FAIL(err, INVALID, "token vectors of %u dimensions: give 1 to %d", mine.dim, HTI_PLAID_MAX_DIM);
    if (mine.vector_type != HT_VECTOR_INT8 && mine.vector_type != HT_VECTOR_F16)
        return HT_FAIL(err, INVALID, "unknown vector type %d: give int8 or f16", (int)mine.vector_type);
    ht_plaid_builder *builder = HTI_NEW(ht_plaid_builder);
    if (!builder) return HTI_NO_MEMORY(err);
    builder->store = hti_vector_store_of(mine.vector_type);
    builder->kernels = hti_maxsim();
    builder->head = (hti_plaid_head){.dim = mine.dim, .vector_type = mine.vector_type, .has_pooled = mine.has_pooled};
    ht_status status = make_memory(builder, path, err);
    if (status == HT_OK) status = make_files(builder, err);
    if (status != HT_OK) {
        ht_plaid_builder_abort(builder);
        return status;
    }
    *out = builder;
    return HT_OK;
}

static void remove_quietly(const char *path)
{
    const ht_status ignored = hti_remove(path, NULL);
    (void)ignored;
}

static void free_builder(ht_plaid_builder *builder, bool keep_file)
{
    hti_file_abandon(builder->file);
    if (builder->made_file && !keep_file) remove_quietly(builder->path);
    for (size_t i = 0; i < N_SPOOLS; i++) {
        hti_file_abandon(builder->spool[i]);
        if (builder->made_spool[i]) remove_quietly(builder->spool_path[i]);
        hti_free(builder->spool_path[i]);
    }
    hti_hasher_free(builder->hasher);
    hti_free(builder->path);
    hti_free(builder->offsets);
    hti_free(builder->block);
    hti_free(builder->block_scales);
    hti_free(builder->pooled_row);
    hti_free(builder);
}

void ht_plaid_builder_abort(ht_plaid_builder *builder)
{
    if (builder) free_builder(builder, false);
}

/* ---- adding ---- */

/* True if every value is finite and no larger than `largest`. */
static bool all_within(const float *values, size_t n, float largest)
{
    unsigned n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += fabsf(values[i]) <= largest ? 0 : 1;
    return n_bad == 0;
}

static ht_status check_values(const ht_plaid_builder *builder, const float *vectors, size_t n_vectors,
                              const float *pooled, ht_error *err)
{
    const size_t dim = builder->head.dim;
    const unsigned long long doc = builder->head.n_docs;
    for (size_t i = 0; i < n_vectors; i++)
        if (!all_within(vectors + i * dim, dim, builder->store->largest))
            return HT_FAIL(err, INVALID,
                           "document %llu: vector %zu has a component that is not finite or too large for %s", doc, i,
                           builder->store->name);
    if (!builder->head.has_pooled) return HT_OK;
    if (!pooled) return HT_FAIL(err, INVALID, "document %llu brings no pooled vector, the segment wants one", doc);
    if (!all_within(pooled, dim, FLT_MAX))
        return HT_FAIL(err, INVALID, "document %llu: the pooled vector has a component that is not finite", doc);
    return HT_OK;
}

static ht_status check_counts(const ht_plaid_builder *builder, size_t n_vectors, ht_error *err)
{
    if (n_vectors > UINT32_MAX)
        return HT_FAIL(err, LIMIT, "a document of %zu vectors: at most %u", n_vectors, UINT32_MAX);
    if (builder->head.n_docs + 1 >= UINT32_MAX)
        return HT_FAIL(err, LIMIT, "a segment holds at most %u documents", UINT32_MAX - 1);
    return HT_OK;
}

static ht_status write_vectors(ht_plaid_builder *builder, const float *vectors, size_t n_vectors, ht_error *err)
{
    const size_t dim = builder->head.dim, row_bytes = builder->store->row_bytes(dim);
    for (size_t first = 0, n; first < n_vectors; first += n) {
        n = HTI_MIN(n_vectors - first, builder->block_rows);
        builder->store->encode(builder->kernels, vectors + first * dim, n, dim, builder->block, builder->block_scales);
        hti_hasher_add(builder->hasher, builder->block, n * row_bytes);
        HT_TRY(hti_file_write(builder->file, builder->block, n * row_bytes, err));
        if (builder->store->has_scales)
            HT_TRY(hti_file_write(builder->spool[SPOOL_SCALES], builder->block_scales, n * sizeof(float), err));
    }
    return HT_OK;
}

static ht_status write_document(ht_plaid_builder *builder, const float *vectors, size_t n_vectors, const float *pooled,
                                ht_error *err)
{
    const size_t n_docs = (size_t)builder->head.n_docs, dim = builder->head.dim;
    HT_TRY(hti_reserve(&builder->offsets, &builder->cap_offsets, n_docs + 2, sizeof *builder->offsets, err));
    HT_TRY(write_vectors(builder, vectors, n_vectors, err));
    if (builder->head.has_pooled) {
        memcpy(builder->pooled_row, pooled, dim * sizeof *pooled); /* what is behind stays zero */
        HT_TRY(hti_file_write(builder->spool[SPOOL_POOLED], builder->pooled_row,
                              hti_f32_row_floats(dim) * sizeof *pooled, err));
    }
    builder->head.n_docs++;
    builder->head.n_vectors += n_vectors;
    builder->offsets[n_docs + 1] = builder->head.n_vectors;
    return HT_OK;
}

/* Keeps the first failure for every later call. */
static ht_status fail_for_good(ht_plaid_builder *builder, ht_status status, ht_error *err)
{
    builder->failed = status;
    if (err) *err = builder->failure;
    return status;
}

static ht_status report_failure(const ht_plaid_builder *builder, ht_error *err)
{
    if (builder->failed != HT_OK && err) *err = builder->failure;
    return builder->failed;
}

ht_status ht_plaid_builder_add(ht_plaid_builder *builder, const float *vectors, size_t n_vectors, const float *pooled,
                               ht_error *err)
{
    HT_TRY(report_failure(builder, err));
    HT_TRY(check_counts(builder, n_vectors, err));
    HT_TRY(check_values(builder, vectors, n_vectors, pooled, err));
    const ht_status status = write_document(builder, vectors, n_vectors, pooled, &builder->failure);
    return status == HT_OK ? HT_OK : fail_for_good(builder, status, err);
}

/* ---- finish ---- */

/* Pads the section with zeros and notes its checksum. */
static ht_status end_section(ht_plaid_builder *builder, hti_plaid_part part, ht_error *err)
{
    static const unsigned char zeros[HTI_PLAID_ALIGN];
    const hti_plaid_section *section = &builder->head.parts[part];
    const uint64_t written = hti_file_tell(builder->file), end = section->off + section->size_bytes;
    HT_ASSERT(written <= end && end - written < HTI_PLAID_ALIGN);
    hti_hasher_add(builder->hasher, zeros, (size_t)(end - written));
    HT_TRY(hti_file_write(builder->file, zeros, (size_t)(end - written), err));
    builder->head.parts[part].hash = hti_hasher_finish(builder->hasher);
    hti_hasher_free(builder->hasher);
    builder->hasher = hti_hasher_new();
    return builder->hasher ? HT_OK : HTI_NO_MEMORY(err);
}

static ht_status copy_bytes(ht_plaid_builder *builder, const void *data, size_t len, ht_error *err)
{
    hti_hasher_add(builder->hasher, data, len);
    return hti_file_write(builder->file, data, len, err);
}

/* Appends a side file as a section; an absent one makes an empty section. */
static ht_status append_spool(ht_plaid_builder *builder, spool_kind kind, hti_plaid_part part, ht_error *err)
{
    if (!builder->spool[kind]) return end_section(builder, part, err);
    hti_file *spool = builder->spool[kind];
    builder->spool[kind] = NULL; /* close takes it, also on failure */
    HT_TRY(hti_file_close(spool, false, err));
    hti_mapping map;
    HT_TRY(hti_map_file(builder->spool_path[kind], &map, err));
    ht_status status = HT_OK;
    for (size_t at = 0, n; at < map.len && status == HT_OK; at += n) {
        n = HTI_MIN(map.len - at, (size_t)BLOCK_BYTES);
        status = copy_bytes(builder, map.data + at, n, err);
    }
    hti_unmap_file(&map);
    return status == HT_OK ? end_section(builder, part, err) : status;
}

static ht_status write_rest(ht_plaid_builder *builder, ht_error *err)
{
    unsigned char head[HTI_PLAID_HEAD_BYTES];
    HT_TRY(hti_plaid_layout(&builder->head, err));
    HT_TRY(end_section(builder, HTI_PLAID_VECTORS, err));
    HT_TRY(append_spool(builder, SPOOL_SCALES, HTI_PLAID_SCALES, err));
    HT_TRY(copy_bytes(builder, builder->offsets, ((size_t)builder->head.n_docs + 1) * sizeof *builder->offsets, err));
    HT_TRY(end_section(builder, HTI_PLAID_OFFSETS, err));
    HT_TRY(append_spool(builder, SPOOL_POOLED, HTI_PLAID_POOLED, err));
    hti_plaid_encode_head(&builder->head, head);
    HT_TRY(hti_file_write_at(builder->file, 0, head, sizeof head, err));
    hti_file *file = builder->file;
    builder->file = NULL;
    return hti_file_close(file, true, err);
}

static void tell_info(const hti_plaid_head *head, ht_plaid_info *info)
{
    const hti_plaid_section *last = &head->parts[HTI_PLAID_N_PARTS - 1];
    ht_plaid_info now = {
        .size = info->size ? info->size : (uint32_t)sizeof now,
        .dim = head->dim,
        .vector_type = head->vector_type,
        .n_docs = head->n_docs,
        .n_vectors = head->n_vectors,
        .size_bytes = last->off + last->size_bytes,
        .has_pooled = head->has_pooled,
    };
    memcpy(info, &now, HTI_MIN((size_t)now.size, sizeof now));
}

ht_status ht_plaid_builder_finish(ht_plaid_builder *builder, ht_plaid_info *info, ht_error *err)
{
    ht_status status = report_failure(builder, err);
    if (status == HT_OK) status = write_rest(builder, err);
    if (status == HT_OK && info) tell_info(&builder->head, info);
    free_builder(builder, status == HT_OK);
    return status;
}
