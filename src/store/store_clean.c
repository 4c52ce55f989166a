/*
 * store_clean.c - what a dead writer left behind, and what may be removed.
 *
 * Invariant: a file that one of the two newest generations names is never removed; a name is never given
 * twice. Only names of this room's form are looked at, so foreign files in the directory are safe.
 * Easy to get wrong: a commit that failed (a failed fsync, say) may still come back from the log after
 * a crash of the system, and would then miss the files removed here. So a write is committed first: it
 * lands where those frames of the log were, and from then on they cannot come back.
 */
#include "store_int.h"

#include <string.h>

bool hti_store_is_segment_name(const char *name)
{
    const size_t len = strlen(HTI_STORE_PREFIX);
    if (strncmp(name, HTI_STORE_PREFIX, len) != 0 || name[len] < '0' || name[len] > '9') return false;
    for (const char *at = name + len; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || strchr("._-", *at))) return false;
    return true;
}

static ht_status refuse_foreign_name(void *ud, const char *name, ht_error *err)
{
    static const char *const ours[] = {HTI_STORE_DB, HTI_STORE_DB "-wal", HTI_STORE_DB "-shm", HTI_STORE_LOCK};
    for (size_t i = 0; i < HTI_LEN(ours); i++)
        if (strcmp(name, ours[i]) == 0) return HT_OK;
    if (hti_store_is_segment_name(name)) return HT_OK;
    return HT_FAIL(err, EXISTS, "%s: holds other files (%s) and no collection; name a new or an empty directory",
                   (const char *)ud, name);
}

ht_status hti_store_refuse_foreign(const char *dir, ht_error *err)
{
    char *copy = hti_store_copy(dir);
    if (!copy) return HTI_NO_MEMORY(err);
    const ht_status status = hti_list_dir(dir, refuse_foreign_name, copy, err);
    hti_free(copy);
    return status;
}

ht_status hti_store_prune(hti_db *db, uint64_t oldest_kept, ht_error *err)
{
    static const char *const statements[] = {
        "DELETE FROM generation WHERE number < ?1",
        "DELETE FROM member WHERE generation < ?1",
        "DELETE FROM segment WHERE ?1 AND number NOT IN (SELECT segment FROM member)",
        "DELETE FROM file WHERE ?1 AND segment NOT IN (SELECT segment FROM member)",
    };
    for (size_t i = 0; i < HTI_LEN(statements); i++) {
        hti_query *query;
        HT_TRY(hti_db_query(db, statements[i], &query, err));
        hti_query_bind_int(query, 1, (int64_t)oldest_kept);
        const ht_status status = hti_query_run(query, err);
        hti_query_free(query);
        HT_TRY(status);
    }
    return HT_OK;
}

typedef struct leftover_list {
    hti_query *named;
    hti_arena arena;
    char **names;
    size_t n, cap;
} leftover_list;

static ht_status note_leftover(void *ud, const char *name, ht_error *err)
{
    leftover_list *list = ud;
    if (!hti_store_is_segment_name(name)) return HT_OK;
    bool named = false;
    hti_query_bind_text(list->named, 1, (ht_text){name, strlen(name)});
    HT_TRY(hti_query_next(list->named, &named, err));
    if (named) {
        hti_query_reset(list->named);
        return HT_OK;
    }
    HT_TRY(hti_reserve(&list->names, &list->cap, list->n + 1, sizeof *list->names, err));
    char *copy = hti_arena_text(&list->arena, (ht_text){name, strlen(name)});
    if (!copy) return HTI_NO_MEMORY(err);
    list->names[list->n++] = copy;
    return HT_OK;
}

/* Burns a segment number: their numbers are never given again, and the log moves on. */
static ht_status commit_something(hti_db *db, ht_error *err)
{
    int64_t next;
    HT_TRY(hti_db_begin(db, err));
    ht_status status = hti_store_counter(db, "segment", 1, &next, err);
    if (status == HT_OK) status = hti_store_set_counter(db, "segment", next + 1, err);
    if (status == HT_OK) return hti_db_commit(db, err);
    hti_db_rollback(db);
    return status;
}

static ht_status remove_listed(const hti_store *store, const leftover_list *list, ht_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        char *path = hti_store_path(store->dir, list->names[i]);
        if (!path) return HTI_NO_MEMORY(err);
        const ht_status status = hti_remove(path, err);
        hti_free(path);
        HT_TRY(status);
    }
    return HT_OK;
}

ht_status hti_store_clean(hti_store *store, ht_error *err)
{
    leftover_list list = {.n = 0};
    hti_arena_init(&list.arena);
    ht_status status = hti_db_query(store->db, "SELECT 1 FROM file WHERE name = ?", &list.named, err);
    if (status == HT_OK) status = hti_list_dir(store->dir, note_leftover, &list, err);
    if (status == HT_OK && list.n > 0) status = commit_something(store->db, err);
    if (status == HT_OK) status = remove_listed(store, &list, err);
    hti_query_free(list.named);
    hti_arena_deinit(&list.arena);
    hti_free(list.names);
    return status;
}
