/*
 * store_testing.h - a naive twin of a collection, random changes to both, and their comparison.
 *
 * A document of the twin is an id out of a small set (so that ids repeat) and a version, from which
 * title and text follow; so a whole state is a small array, and states are compared in full.
 */
#ifndef HT_TESTS_STORE_TESTING_H
#define HT_TESTS_STORE_TESTING_H

#include "os/os.h"
#include "store/store.h"
#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TWIN_DOCS = 2000, TWIN_IDS = 150, TWIN_SEGMENTS = 200, TWIN_FIELD = 6000 };

typedef struct twin_doc {
    uint32_t id, version;
    bool deleted;
} twin_doc;

typedef struct twin {
    twin_doc docs[TWIN_DOCS];
    uint32_t n_docs;
    uint32_t segment_ends[TWIN_SEGMENTS]; /* ordinals behind each segment */
    uint32_t n_segments;
    uint32_t next_version;
    bool has_setting;
} twin;

typedef struct twin_fields {
    char id[64], title[64], text[TWIN_FIELD];
    hti_doc doc;
} twin_fields;

static inline void twin_fill(twin_doc doc, twin_fields *out)
{
    const int id_len = snprintf(out->id, sizeof out->id, doc.id % 7 == 0 ? "id \"%u\" \xC3\xA9" : "doc-%u", doc.id);
    const int title_len = doc.version % 5 == 0 ? 0 : snprintf(out->title, sizeof out->title, "title %u", doc.version);
    const size_t text_len = doc.version % 11 == 0 ? 0 : (size_t)doc.version * 37 % TWIN_FIELD;
    for (size_t i = 0; i < text_len; i++) out->text[i] = (char)('a' + (i * 7 + doc.version) % 26);
    out->doc = (hti_doc){{out->id, (size_t)id_len}, {out->title, (size_t)title_len}, {out->text, text_len}};
}

static inline uint32_t twin_find(const twin *state, uint32_t id)
{
    for (uint32_t i = 0; i < state->n_docs; i++)
        if (state->docs[i].id == id && !state->docs[i].deleted) return i;
    return UINT32_MAX;
}

/* Content of a segment's file, by where the segment ends. */
static inline size_t twin_file(uint32_t end, const char *kind, char *into, size_t cap)
{
    size_t len = (size_t)snprintf(into, cap, "%s of the segment that ends at %u\n", kind, end);
    const size_t wanted = 200 + end * 13 % 3000;
    while (len < wanted && len < cap) into[len] = (char)(len * 31 + end), len++;
    return len;
}

static inline void assert_text(ht_text got, ht_text expected)
{
    assert_int_equal(got.len, expected.len);
    if (got.len) assert_memory_equal(got.data, expected.data, got.len);
}

static inline void assert_file_equals(const char *path, uint32_t end, const char *kind)
{
    char expected[4096];
    ht_error err;
    hti_buffer got;
    hti_buffer_init(&got);
    assert_non_null(path);
    if (hti_read_file(path, 1 << 20, &got, &err) != HT_OK) fail_msg("%s", err.message);
    const size_t len = twin_file(end, kind, expected, sizeof expected);
    assert_text(hti_buffer_view(&got), (ht_text){expected, len});
    hti_buffer_deinit(&got);
}

/* Everything the store says about its generation equals the twin. */
static inline void assert_equals_twin(hti_store *store, const twin *state)
{
    static twin_fields expected;
    ht_error err;
    hti_arena arena;
    hti_arena_init(&arena);
    size_t n_segments;
    uint32_t n_deleted, n_dead = 0, doc;
    const hti_segment *segments = hti_store_segments(store, &n_segments);
    const uint64_t *deleted = hti_store_deleted(store, &n_deleted);
    assert_int_equal(hti_store_n_docs(store), state->n_docs);
    assert_int_equal(n_segments, state->n_segments);
    for (uint32_t i = 0, start = 0; i < n_segments; start = state->segment_ends[i++]) {
        assert_int_equal(segments[i].first_doc, start);
        assert_int_equal(segments[i].n_docs, state->segment_ends[i] - start);
        assert_file_equals(hti_store_segment_path(store, i, "words"), state->segment_ends[i], "words");
        assert_file_equals(hti_store_segment_path(store, i, "vectors"), state->segment_ends[i], "vectors");
        assert_null(hti_store_segment_path(store, i, "other"));
    }
    for (uint32_t i = 0; i < state->n_docs; i++) {
        hti_doc got;
        ht_text id;
        hti_arena_reset(&arena);
        twin_fill(state->docs[i], &expected);
        if (hti_store_doc(store, i, &arena, &got, &err) != HT_OK) fail_msg("%s", err.message);
        assert_text(got.id, expected.doc.id);
        assert_text(got.title, expected.doc.title);
        assert_text(got.text, expected.doc.text);
        assert_int_equal(hti_store_doc_id(store, i, &arena, &id, &err), HT_OK);
        assert_text(id, expected.doc.id);
        assert_int_equal(deleted && hti_bits_get(deleted, i), state->docs[i].deleted);
        n_dead += state->docs[i].deleted;
    }
    assert_int_equal(n_deleted, n_dead);
    assert_int_equal(deleted != NULL, n_dead > 0);
    for (uint32_t id = 0; id < TWIN_IDS; id++) {
        const uint32_t where = twin_find(state, id);
        twin_fill((twin_doc){id, 0, false}, &expected);
        const ht_status status = hti_store_find(store, expected.doc.id, &doc, &err);
        assert_int_equal(status, where == UINT32_MAX ? HT_NOT_FOUND : HT_OK);
        assert_int_equal(doc, where);
    }
    hti_doc beyond;
    assert_int_equal(hti_store_doc(store, state->n_docs, &arena, &beyond, &err), HT_NOT_FOUND);
    const char *setting = hti_store_setting(store, "analyzer");
    if (state->has_setting)
        assert_string_equal(setting, "english");
    else
        assert_null(setting);
    hti_arena_deinit(&arena);
}

/* ---- changes ---- */

static inline ht_status write_segment_file(hti_change *change, uint32_t end, const char *kind, ht_error *err)
{
    char content[4096];
    const char *path;
    hti_file *file;
    HT_TRY(hti_change_file(change, kind, &path, err));
    HT_TRY(hti_file_create(path, &file, err));
    const ht_status status = hti_file_write(file, content, twin_file(end, kind, content, sizeof content), err);
    if (status == HT_OK) return hti_file_close(file, true, err);
    hti_file_abandon(file);
    return status;
}

static inline ht_status twin_add(hti_change *change, twin *state, uint32_t id, ht_error *err)
{
    static twin_fields fields;
    uint32_t doc;
    const twin_doc made = {id, state->next_version, false};
    twin_fill(made, &fields);
    HT_TRY(hti_change_add(change, &fields.doc, &doc, err));
    if (doc != state->n_docs) return HT_FAIL(err, INTERNAL, "ordinal %u, should be %u", doc, state->n_docs);
    state->docs[state->n_docs++] = made;
    state->next_version++;
    return HT_OK;
}

static inline ht_status twin_delete(hti_change *change, twin *state, uint32_t id, ht_error *err)
{
    static twin_fields fields;
    twin_fill((twin_doc){id, 0, false}, &fields);
    HT_TRY(hti_change_delete(change, fields.doc.id, err));
    state->docs[twin_find(state, id)].deleted = true;
    return HT_OK;
}

/*
 * One change of n_steps random adds and deletes to store and `state`, without its commit. A refused id
 * is checked against the twin. On failure `state` is left somewhere in between.
 */
static inline ht_status twin_change(hti_change *change, twin *state, uint64_t *random, size_t n_steps, ht_error *err)
{
    const uint32_t before = state->n_docs;
    if (!state->has_setting) HT_TRY(hti_change_set(change, "analyzer", "english", err));
    state->has_setting = true;
    for (size_t i = 0; i < n_steps && state->n_docs < TWIN_DOCS; i++) {
        const uint32_t id = (uint32_t)(hti_random_next(random) % TWIN_IDS);
        const bool there = twin_find(state, id) != UINT32_MAX;
        const bool adds = hti_random_next(random) % 4 != 0;
        const ht_status status = adds ? twin_add(change, state, id, err) : twin_delete(change, state, id, err);
        const ht_status expected = adds ? (there ? HT_EXISTS : HT_OK) : (there ? HT_OK : HT_NOT_FOUND);
        if (status == expected) continue;
        if (status != HT_OK && status != HT_EXISTS && status != HT_NOT_FOUND) return status;
        return HT_FAIL(err, INTERNAL, "step %zu: %s, should be %s", i, ht_status_name(status),
                       ht_status_name(expected));
    }
    if (state->n_docs == before) return HT_OK;
    HT_TRY(write_segment_file(change, state->n_docs, "words", err));
    HT_TRY(write_segment_file(change, state->n_docs, "vectors", err));
    state->segment_ends[state->n_segments++] = state->n_docs;
    return HT_OK;
}

/* Begins, changes at random and commits; on failure `state` is as before. */
static inline ht_status twin_commit(hti_store *store, twin *state, uint64_t *random, size_t n_steps, ht_error *err)
{
    static twin after;
    hti_change *change;
    after = *state;
    HT_TRY(hti_change_begin(store, &change, err));
    ht_status status = twin_change(change, &after, random, n_steps, err);
    if (status != HT_OK)
        hti_change_abort(change);
    else
        status = hti_change_commit(change, err);
    if (status == HT_OK) *state = after;
    return status;
}

static inline hti_store *open_store(const char *dir, hti_store_mode mode)
{
    ht_error err;
    hti_store *store;
    if (hti_store_open(dir, mode, &store, &err) != HT_OK) fail_msg("%s", err.message);
    return store;
}

static inline void print_problem(void *ud, const char *problem)
{
    (void)ud;
    print_message("problem: %s\n", problem);
}

static inline void assert_whole(hti_store *store)
{
    ht_error err;
    assert_null(hti_store_warning(store));
    if (hti_store_check(store, NULL, print_problem, NULL, &err) != HT_OK) fail_msg("%s", err.message);
}

/* A fresh collection of a few generations at `dir`; the twin goes along. */
static inline void make_collection(const char *dir, twin *state, uint64_t seed, int n_changes)
{
    ht_error err;
    memset(state, 0, sizeof *state);
    hti_store *store = open_store(dir, HTI_STORE_CREATE);
    for (int i = 0; i < n_changes; i++)
        if (twin_commit(store, state, &seed, 30, &err) != HT_OK) fail_msg("%s", err.message);
    hti_store_close(store);
}

static inline uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

#endif
