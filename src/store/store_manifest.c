/*
 * store_manifest.c - one generation out of the database, proved whole before anyone sees it.
 *
 * What proves it: the rows fit together (consecutive ordinals, one file a kind, names that this room
 * gives), an XXH3-64 over all of them equals the generation's checksum (SQLite has none of its own), and
 * every file is there with its size. Contents of files are left to their readers and to check.
 * Workload: at every open; a few rows a segment. Deleted documents cost one index row each.
 * Easy to get wrong: rows come from an untrusted file. Order must strictly rise, so that a damaged B-tree
 * that leads in a circle ends, and numbers are range-checked before they are narrowed.
 */
#include "store_int.h"

#include <string.h>

typedef struct loader {
    hti_db *db;
    const char *dir;
    hti_manifest *made;
    int64_t n_deleted;   /* as the generation's row says */
    size_t file_segment; /* position of the segment whose files are being read */
} loader;

static ht_status misfit(const loader *load, const char *what, ht_error *err)
{
    return HT_FAIL(err, CORRUPT, "%s/%s: generation %llu: %s", load->dir, HTI_STORE_DB,
                   (unsigned long long)load->made->generation, what);
}

static const char *keep(const loader *load, ht_text text) { return hti_arena_text(&load->made->arena, text); }

/* Runs `sql` with the generation as its only parameter and hands each row to `take`. */
typedef ht_status (*row_fn)(loader *load, const hti_query *row, ht_error *err);
static ht_status each_row(loader *load, const char *sql, row_fn take, ht_error *err)
{
    hti_query *query;
    bool row = true;
    HT_TRY(hti_db_query(load->db, sql, &query, err));
    hti_query_bind_int(query, 1, (int64_t)load->made->generation);
    ht_status status = HT_OK;
    while (status == HT_OK && (status = hti_query_next(query, &row, err)) == HT_OK && row)
        status = take(load, query, err);
    hti_query_free(query);
    return status;
}

static ht_status take_head(loader *load, const hti_query *row, ht_error *err)
{
    hti_manifest *made = load->made;
    const int64_t n_docs = hti_query_int(row, 1);
    if (n_docs < 0 || n_docs >= UINT32_MAX) return misfit(load, "impossible number of documents", err);
    made->created = hti_query_int(row, 0);
    made->n_docs = (uint32_t)n_docs;
    load->n_deleted = hti_query_int(row, 2);
    made->checksum = (uint64_t)hti_query_int(row, 3);
    return HT_OK;
}

static ht_status take_segment(loader *load, const hti_query *row, ht_error *err)
{
    hti_manifest *made = load->made;
    const size_t n = made->n_segments;
    const int64_t number = hti_query_int(row, 0), first = hti_query_int(row, 1), n_docs = hti_query_int(row, 2);
    const int64_t before = n ? (int64_t)made->segments[n - 1].first_doc + made->segments[n - 1].n_docs : 0;
    if (hti_query_is_null(row, 1)) return misfit(load, "a segment is missing from the table", err);
    if (number <= 0 || (n && (uint64_t)number <= made->segments[n - 1].number) || first != before || n_docs <= 0 ||
        n_docs > (int64_t)made->n_docs - before)
        return misfit(load, "its segments do not follow one another", err);
    HT_TRY(hti_reserve(&made->segments, &made->cap_segments, n + 1, sizeof *made->segments, err));
    HT_TRY(hti_reserve(&made->doc_checksums, &made->cap_checksums, n + 1, sizeof *made->doc_checksums, err));
    made->doc_checksums[n] = (uint64_t)hti_query_int(row, 3);
    made->segments[n] = (hti_segment){(uint64_t)number, (uint32_t)first, (uint32_t)n_docs};
    made->n_segments++;
    return HT_OK;
}

static ht_status keep_file(loader *load, const hti_query *row, hti_manifest_file *file, ht_error *err)
{
    const ht_text name = hti_query_text(row, 2);
    file->kind = keep(load, hti_query_text(row, 1));
    file->name = keep(load, name);
    file->size = (uint64_t)hti_query_int(row, 3);
    file->checksum = (uint64_t)hti_query_int(row, 4);
    if (!file->kind || !file->name) return HTI_NO_MEMORY(err);
    if (strlen(file->name) != name.len || !hti_store_is_segment_name(file->name))
        return misfit(load, "a file name that no segment can have", err);
    char *path = hti_store_path(load->dir, file->name);
    file->path = path ? keep(load, (ht_text){path, strlen(path)}) : NULL;
    hti_free(path);
    return file->path ? HT_OK : HTI_NO_MEMORY(err);
}

/* Rows come by segment and kind; file_starts counts files a segment until load_rows sums it up. */
static ht_status take_file(loader *load, const hti_query *row, ht_error *err)
{
    hti_manifest *made = load->made;
    const uint64_t number = (uint64_t)hti_query_int(row, 0);
    size_t *at = &load->file_segment;
    while (*at < made->n_segments && made->segments[*at].number != number) ++*at;
    if (*at == made->n_segments || hti_query_int(row, 3) < 0)
        return misfit(load, "a file that belongs to no segment", err);
    HT_TRY(hti_reserve(&made->files, &made->cap_files, made->n_files + 1, sizeof *made->files, err));
    hti_manifest_file *file = &made->files[made->n_files];
    HT_TRY(keep_file(load, row, file, err));
    if (made->file_starts[*at + 1] > 0 && strcmp(file[-1].kind, file->kind) >= 0)
        return misfit(load, "its files are out of order", err);
    made->file_starts[*at + 1]++;
    made->n_files++;
    return HT_OK;
}

static ht_status take_setting(loader *load, const hti_query *row, ht_error *err)
{
    hti_manifest *made = load->made;
    HT_TRY(hti_reserve(&made->settings, &made->cap_settings, made->n_settings + 1, sizeof *made->settings, err));
    hti_manifest_setting *setting = &made->settings[made->n_settings];
    *setting = (hti_manifest_setting){keep(load, hti_query_text(row, 0)), keep(load, hti_query_text(row, 1))};
    if (!setting->name || !setting->value) return HTI_NO_MEMORY(err);
    if (made->n_settings > 0 && strcmp(setting[-1].name, setting->name) >= 0)
        return misfit(load, "its settings are out of order", err);
    made->n_settings++;
    return HT_OK;
}

static ht_status take_deleted(loader *load, const hti_query *row, ht_error *err)
{
    hti_manifest *made = load->made;
    const int64_t ordinal = hti_query_int(row, 0);
    if (!made->deleted) {
        const size_t n_words = hti_bits_words(made->n_docs);
        made->deleted = hti_alloc_zero(hti_mul(n_words, sizeof *made->deleted));
        if (!made->deleted) return HTI_NO_MEMORY(err);
    }
    if (ordinal < 0 || ordinal >= (int64_t)made->n_docs || hti_bits_get(made->deleted, (size_t)ordinal))
        return misfit(load, "an impossible deleted document", err);
    hti_bits_set(made->deleted, (size_t)ordinal);
    made->n_deleted++;
    return HT_OK;
}

static void hash_number(hti_hasher *hasher, uint64_t value)
{
    unsigned char bytes[8];
    hti_put_u64(bytes, value);
    hti_hasher_add(hasher, bytes, sizeof bytes);
}

static void hash_text(hti_hasher *hasher, const char *text)
{
    hash_number(hasher, strlen(text));
    hti_hasher_add(hasher, text, strlen(text));
}

/* docs/formats/collection.md, "Checksum of a generation". */
static ht_status compute_checksum(const hti_manifest *made, uint64_t *out, ht_error *err)
{
    hti_hasher *hasher = hti_hasher_new();
    if (!hasher) return HTI_NO_MEMORY(err);
    hash_number(hasher, made->generation);
    hash_number(hasher, (uint64_t)made->created);
    hash_number(hasher, made->n_docs);
    hash_number(hasher, made->n_deleted);
    hash_number(hasher, made->n_settings);
    for (size_t i = 0; i < made->n_settings; i++) {
        hash_text(hasher, made->settings[i].name);
        hash_text(hasher, made->settings[i].value);
    }
    hash_number(hasher, made->n_segments);
    for (size_t i = 0; i < made->n_segments; i++) {
        hash_number(hasher, made->segments[i].number);
        hash_number(hasher, made->segments[i].first_doc);
        hash_number(hasher, made->segments[i].n_docs);
        hash_number(hasher, made->doc_checksums[i]);
        hash_number(hasher, made->file_starts[i + 1] - made->file_starts[i]);
        for (size_t f = made->file_starts[i]; f < made->file_starts[i + 1]; f++) {
            hash_text(hasher, made->files[f].kind);
            hash_text(hasher, made->files[f].name);
            hash_number(hasher, made->files[f].size);
            hash_number(hasher, made->files[f].checksum);
        }
    }
    const size_t n_words = made->deleted ? hti_bits_words(made->n_docs) : 0;
    for (size_t i = 0; i < n_words; i++) hash_number(hasher, made->deleted[i]);
    *out = hti_hasher_finish(hasher);
    hti_hasher_free(hasher);
    return HT_OK;
}

static ht_status load_rows(loader *load, ht_error *err)
{
    hti_manifest *made = load->made;
    HT_TRY(
        each_row(load, "SELECT created, n_docs, n_deleted, checksum FROM generation WHERE number = ?", take_head, err));
    HT_TRY(each_row(load,
                    "SELECT member.segment, first_doc, n_docs, checksum FROM member LEFT JOIN segment "
                    "ON segment.number = member.segment WHERE generation = ? ORDER BY member.segment",
                    take_segment, err));
    made->file_starts = hti_alloc_zero(hti_mul(made->n_segments + 1, sizeof *made->file_starts));
    if (!made->file_starts) return HTI_NO_MEMORY(err);
    HT_TRY(each_row(
        load,
        "SELECT file.segment, kind, name, size, checksum FROM member JOIN file ON file.segment = member.segment "
        "WHERE generation = ? ORDER BY file.segment, kind",
        take_file, err));
    for (size_t i = 0; i < made->n_segments; i++) made->file_starts[i + 1] += made->file_starts[i];
    HT_TRY(each_row(load, "SELECT name, value FROM setting WHERE generation <= ? ORDER BY name", take_setting, err));
    HT_TRY(
        each_row(load, "SELECT ordinal FROM document WHERE deleted IS NOT NULL AND deleted <= ?", take_deleted, err));
    const hti_segment *last = made->n_segments ? &made->segments[made->n_segments - 1] : NULL;
    if ((last ? last->first_doc + last->n_docs : 0) != made->n_docs)
        return misfit(load, "its segments do not hold all its documents", err);
    return HT_OK;
}

static ht_status check_files(const loader *load, ht_error *err)
{
    hti_manifest *made = load->made;
    for (size_t i = 0; i < made->n_files; i++) {
        const hti_manifest_file *file = &made->files[i];
        uint64_t size = 0;
        const ht_status status = hti_file_size(file->path, &size, err);
        if (status == HT_NOT_FOUND)
            return HT_FAIL(err, CORRUPT, "%s: missing, generation %llu needs it", file->path,
                           (unsigned long long)made->generation);
        HT_TRY(status);
        if (size != file->size)
            return HT_FAIL(err, CORRUPT, "%s: %llu bytes, should be %llu", file->path, (unsigned long long)size,
                           (unsigned long long)file->size);
        made->size_bytes += size;
    }
    return HT_OK;
}

static ht_status load_checked(loader *load, hti_manifest_trust trust, ht_error *err)
{
    uint64_t computed;
    HT_TRY(load_rows(load, err));
    HT_TRY(compute_checksum(load->made, &computed, err));
    if (trust != HTI_MANIFEST_NEW && (computed != load->made->checksum || load->n_deleted != load->made->n_deleted))
        return misfit(load, "its checksum does not match its rows", err);
    load->made->checksum = computed;
    return trust == HTI_MANIFEST_ROWS ? HT_OK : check_files(load, err);
}

ht_status hti_manifest_load(hti_db *db, const char *dir, uint64_t generation, hti_manifest_trust trust,
                            hti_manifest **out, ht_error *err)
{
    *out = NULL;
    hti_manifest *made = HTI_NEW(hti_manifest);
    if (!made) return HTI_NO_MEMORY(err);
    hti_arena_init(&made->arena);
    made->generation = generation;
    loader load = {db, dir, made, 0, 0};
    const ht_status status = generation ? load_checked(&load, trust, err) : HT_OK;
    if (status != HT_OK) {
        hti_manifest_free(made);
        return status;
    }
    *out = made;
    return HT_OK;
}

void hti_manifest_free(hti_manifest *manifest)
{
    if (!manifest) return;
    hti_free(manifest->segments);
    hti_free(manifest->doc_checksums);
    hti_free(manifest->file_starts);
    hti_free(manifest->files);
    hti_free(manifest->settings);
    hti_free(manifest->deleted);
    hti_arena_deinit(&manifest->arena);
    hti_free(manifest);
}

ht_status hti_manifest_list(hti_db *db, const char *db_path, uint64_t **out, size_t *n, ht_error *err)
{
    hti_query *query;
    size_t cap = 0;
    bool row = true;
    *out = NULL;
    *n = 0;
    HT_TRY(hti_db_query(db, "SELECT number FROM generation ORDER BY number DESC", &query, err));
    ht_status status = HT_OK;
    while (status == HT_OK && (status = hti_query_next(query, &row, err)) == HT_OK && row) {
        const int64_t number = hti_query_int(query, 0);
        if (number <= 0 || (*n && (uint64_t)number >= (*out)[*n - 1]))
            status = HT_FAIL(err, CORRUPT, "%s: generations out of order", db_path);
        else if ((status = hti_reserve(out, &cap, *n + 1, sizeof **out, err)) == HT_OK)
            (*out)[(*n)++] = (uint64_t)number;
    }
    hti_query_free(query);
    if (status == HT_OK) return HT_OK;
    hti_free(*out);
    *out = NULL;
    *n = 0;
    return status;
}
