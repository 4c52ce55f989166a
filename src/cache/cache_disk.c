/*
 * cache_disk.c - a cache in a directory: docs/formats/cache.md.
 *
 * cache.db (SQLite, write-ahead log) has a row for each entry with its value, or the checksum of the file under files/
 * that holds a larger one. Files are made, named and removed inside write transactions only, so whoever holds the
 * write lock sees no file in the making. A commit outlives the death of the process; after a power failure the newest
 * may be gone, and a value whose checksum is wrong counts as absent.
 * When something was used is kept here and written with the next put: a get writes nothing.
 * Thread rule: the cache's lock is held.
 */
#include "cache_int.h"
#include "db/db.h"

#include <stdio.h>
#include <string.h>

enum { LARGE = 65536, MOST_TOUCHES = 4096, NAME = 64, TRIES = 100 };
static const uint64_t CHECKPOINT_BYTES = 8 << 20;

static const char *const objects[] = {
    "CREATE TABLE entry (low INTEGER PRIMARY KEY, high INTEGER NOT NULL, node TEXT NOT NULL, made INTEGER NOT NULL, "
    "used INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, parts BLOB NOT NULL, value BLOB) STRICT",
};
static const hti_db_schema schema = {
    .name = "cache", .application_id = 0x48544348 /* "HTCH" */, .objects = objects, .n_objects = HTI_LEN(objects)};

typedef struct touch {
    int64_t low;
    uint64_t used;
} touch;

struct hti_cache_disk {
    char *path;
    hti_db *db;
    hti_query *get, *put, *touch, *drop, *count;
    touch *touches; /* [MOST_TOUCHES] */
    size_t n_touches;
    uint64_t tick;    /* tells uses of one second apart */
    uint64_t written; /* bytes since the last checkpoint */
    uint64_t room;    /* bytes that may still be put before the size is looked at */
};

/* ---- names ---- */

static char *path_of(const hti_cache_disk *d, const char *name)
{
    const size_t dir = strlen(d->path), len = strlen(name);
    char *path = hti_alloc(hti_add(dir + 2, len));
    if (!path) return NULL;
    memcpy(path, d->path, dir);
    path[dir] = '/';
    memcpy(path + dir + 1, name, len + 1);
    return path;
}

static void file_name(char *name, ht_key key, uint64_t checksum)
{
    (void)snprintf(name, NAME, "files/%016llx%016llx-%016llx", (unsigned long long)key.high,
                   (unsigned long long)key.low, (unsigned long long)checksum);
}

static ht_status remove_file(const hti_cache_disk *d, ht_key key, uint64_t checksum, ht_error *err)
{
    char name[NAME];
    file_name(name, key, checksum);
    char *path = path_of(d, name);
    if (!path) return HTI_NO_MEMORY(err);
    const ht_status status = hti_remove(path, err);
    hti_free(path);
    return status;
}

/* ---- opening ---- */

static ht_status open_db(hti_cache_disk *d, ht_error *err)
{
    char *path = path_of(d, "cache.db");
    if (!path) return HTI_NO_MEMORY(err);
    ht_status status = hti_db_open(path, HTI_DB_CREATE, &schema, &d->db, err);
    hti_free(path);
    return status == HT_OK ? hti_db_relax(d->db, err) : status;
}

static ht_status move_one(const hti_cache_disk *d, const char *name, const char *into, ht_error *err)
{
    char to[NAME];
    (void)snprintf(to, sizeof to, "%s/%s", into, name);
    char *from_path = path_of(d, name), *to_path = path_of(d, to);
    ht_status status = from_path && to_path ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK && hti_path_exists(from_path)) status = hti_rename(from_path, to_path, err);
    hti_free(from_path);
    hti_free(to_path);
    return status;
}

static ht_status move_aside(const hti_cache_disk *d, ht_error *err)
{
    char name[NAME];
    for (int n = 1; n < TRIES; n++) {
        (void)snprintf(name, sizeof name, "damaged-%d", n);
        char *path = path_of(d, name);
        if (!path) return HTI_NO_MEMORY(err);
        const bool taken = hti_path_exists(path);
        const ht_status status = taken ? HT_OK : hti_make_dirs(path, err);
        hti_free(path);
        if (taken) continue;
        HT_TRY(status);
        HT_TRY(move_one(d, "cache.db", name, err));
        HT_TRY(move_one(d, "cache.db-wal", name, err));
        return move_one(d, "cache.db-shm", name, err);
    }
    return HT_FAIL(err, CORRUPT, "%s: damaged, and so are the %d before it; remove them", d->path, TRIES - 1);
}

static ht_status take_lock(const hti_cache_disk *d, hti_lock **out, ht_error *err)
{
    enum { LOCK_TRIES = 5000, WAIT_NS = 2000000 };
    char *path = path_of(d, "lock");
    ht_status status = path ? HT_BUSY : HTI_NO_MEMORY(err);
    for (int i = 0; status == HT_BUSY && i < LOCK_TRIES; i++) {
        if (i) hti_sleep_ns(WAIT_NS);
        status = hti_lock_take(path, out, err);
    }
    hti_free(path);
    return status;
}

/* With the lock, so that nobody takes a database in the making for a damaged one. */
static ht_status open_or_replace(ht_cache *cache, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    const ht_status status = open_db(d, err);
    if (status != HT_CORRUPT) return status;
    cache->stats.damaged++;
    hti_db_close(d->db);
    d->db = NULL;
    HT_TRY(move_aside(d, err));
    return open_db(d, err);
}

static ht_status prepare(hti_cache_disk *d, ht_error *err)
{
    HT_TRY(hti_db_query(d->db, "SELECT high, made, checksum, bytes, value FROM entry WHERE low = ?1", &d->get, err));
    HT_TRY(hti_db_query(d->db,
                        "INSERT OR REPLACE INTO entry (low, high, node, made, used, bytes, checksum, parts, value) "
                        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                        &d->put, err));
    HT_TRY(hti_db_query(d->db, "UPDATE entry SET used = ?2 WHERE low = ?1 AND used < ?2", &d->touch, err));
    HT_TRY(hti_db_query(d->db, "DELETE FROM entry WHERE low = ?1", &d->drop, err));
    return hti_db_query(d->db, "SELECT count(*), coalesce(sum(bytes), 0) FROM entry", &d->count, err);
}

ht_status hti_disk_open(ht_cache *cache, const char *path, ht_error *err)
{
    hti_cache_disk *d = HTI_NEW(hti_cache_disk);
    const size_t len = strlen(path) + 1;
    if (!d) return HTI_NO_MEMORY(err);
    cache->disk = d;
    d->path = hti_alloc(len);
    d->touches = HTI_NEW_ARRAY(touch, MOST_TOUCHES);
    if (!d->path || !d->touches) return HTI_NO_MEMORY(err);
    memcpy(d->path, path, len);
    char *files = path_of(d, "files");
    ht_status status = files ? hti_make_dirs(files, err) : HTI_NO_MEMORY(err);
    hti_free(files);
    hti_lock *lock = NULL;
    if (status == HT_OK) status = take_lock(d, &lock, err);
    if (status == HT_OK) status = open_or_replace(cache, err);
    if (lock) hti_lock_release(lock);
    return status == HT_OK ? prepare(d, err) : status;
}

const char *hti_disk_path(const ht_cache *cache) { return cache->disk->path; }

/* ---- reading ---- */

typedef struct row {
    uint64_t high, made, checksum, bytes;
    bool is_file;
} row;

/* The row of a key, its value appended; *found false if there is none of this key. */
static ht_status read_row(const hti_cache_disk *d, ht_key key, row *out, hti_buffer *value, bool *found, ht_error *err)
{
    hti_query_bind_int(d->get, 1, (int64_t)key.low);
    HT_TRY(hti_query_next(d->get, found, err));
    if (!*found) return HT_OK;
    out->high = (uint64_t)hti_query_int(d->get, 0);
    out->made = (uint64_t)hti_query_int(d->get, 1);
    out->checksum = (uint64_t)hti_query_int(d->get, 2);
    out->bytes = (uint64_t)hti_query_int(d->get, 3);
    out->is_file = hti_query_is_null(d->get, 4);
    const ht_text text = hti_query_text(d->get, 4);
    if (value && !out->is_file) hti_buffer_append(value, text.data, text.len);
    hti_query_reset(d->get);
    *found = out->high == key.high;
    return value ? hti_buffer_status(value, err) : HT_OK;
}

static ht_status read_value(const hti_cache_disk *d, ht_key key, const row *r, hti_buffer *value, ht_error *err)
{
    if (r->is_file) {
        char name[NAME];
        file_name(name, key, r->checksum);
        char *path = path_of(d, name);
        if (!path) return HTI_NO_MEMORY(err);
        const ht_status status = hti_read_file(path, (size_t)r->bytes, value, err);
        hti_free(path);
        HT_TRY(status);
    }
    const ht_text view = hti_buffer_view(value);
    if (view.len != r->bytes || hti_hash(view.data, view.len) != r->checksum)
        return HT_FAIL(err, CORRUPT, "%s: a value whose checksum is wrong", d->path);
    return HT_OK;
}

static void note_use(ht_cache *cache, ht_key key)
{
    hti_cache_disk *d = cache->disk;
    const touch now = {(int64_t)key.low, hti_cache_now(cache) * 1000000 + d->tick++ % 1000000};
    if (d->n_touches < MOST_TOUCHES) d->touches[d->n_touches++] = now;
}

/* What cannot be read is absent; only memory and a busy database are failures. */
static ht_status forgive(ht_cache *cache, ht_status status)
{
    if (status == HT_OK || status == HT_NO_MEMORY || status == HT_BUSY) return status;
    cache->stats.damaged++;
    return HT_OK;
}

ht_status hti_disk_get(ht_cache *cache, ht_key key, ht_writer *into, bool *found, ht_error *err)
{
    const hti_cache_disk *d = cache->disk;
    hti_buffer value;
    row r = {0};
    bool there = false;
    hti_buffer_init(&value);
    ht_status status = read_row(d, key, &r, into ? &value : NULL, &there, err);
    there = status == HT_OK && there && r.made >= hti_cache_oldest(cache);
    if (there && into) status = read_value(d, key, &r, &value, err);
    if (there && status == HT_OK) {
        *found = true;
        if (into) {
            note_use(cache, key);
            status = ht_writer_add(into, value.data, value.len, err);
        }
    }
    hti_buffer_deinit(&value);
    return forgive(cache, status);
}

ht_status hti_disk_visit(ht_cache *cache, const char *node, size_t most, ht_cache_visit_fn visit, void *ud,
                         ht_error *err)
{
    enum { MOST_PARTS = 256 };
    uint64_t parts[MOST_PARTS];
    hti_query *list;
    bool found = true, more = true;
    HT_TRY(
        hti_db_query(cache->disk->db, "SELECT parts FROM entry WHERE node = ?1 ORDER BY used DESC, low", &list, err));
    hti_query_bind_text(list, 1, (ht_text){node, strlen(node)});
    ht_status status = HT_OK;
    for (size_t i = 0; i < most && more; i++) {
        status = hti_query_next(list, &found, err);
        if (status != HT_OK || !found) break;
        const ht_text blob = hti_query_text(list, 0);
        const size_t n = HTI_MIN(blob.len / sizeof *parts, MOST_PARTS);
        if (n) memcpy(parts, blob.data, n * sizeof *parts);
        more = visit(ud, parts, n);
    }
    hti_query_free(list);
    return forgive(cache, status);
}

/* ---- writing, in a transaction ---- */

/* The file of an entry that leaves. */
static ht_status remove_old(const hti_cache_disk *d, ht_key key, uint64_t keep, ht_error *err)
{
    row r;
    bool found;
    hti_query_bind_int(d->get, 1, (int64_t)key.low);
    HT_TRY(hti_query_next(d->get, &found, err));
    if (!found) return HT_OK;
    r.high = (uint64_t)hti_query_int(d->get, 0);
    r.checksum = (uint64_t)hti_query_int(d->get, 2);
    r.is_file = hti_query_is_null(d->get, 4);
    hti_query_reset(d->get);
    const ht_key old = {key.low, r.high};
    const bool same = old.high == key.high && r.checksum == keep;
    return r.is_file && !same ? remove_file(d, old, r.checksum, err) : HT_OK;
}

static ht_status write_file(const hti_cache_disk *d, const ht_cache_entry *entry, uint64_t checksum, ht_error *err)
{
    char name[NAME];
    hti_file *file;
    file_name(name, entry->key, checksum);
    char *path = path_of(d, name), *temporary = path_of(d, "files/new");
    ht_status status = path && temporary ? hti_file_create(temporary, &file, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        status = hti_file_write(file, entry->data, entry->len, err);
        if (status == HT_OK)
            status = hti_file_close(file, false, err);
        else
            hti_file_abandon(file);
        if (status == HT_OK) status = hti_rename(temporary, path, err);
        if (status != HT_OK) hti_discard(temporary);
    }
    hti_free(path);
    hti_free(temporary);
    return status;
}

static ht_status put_one(ht_cache *cache, const ht_cache_entry *entry, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    const uint64_t checksum = hti_hash(entry->data, entry->len), now = hti_cache_now(cache);
    const char *node = entry->node ? entry->node : "";
    HT_TRY(remove_old(d, entry->key, checksum, err));
    if (entry->len > LARGE) HT_TRY(write_file(d, entry, checksum, err));
    hti_query_bind_int(d->put, 1, (int64_t)entry->key.low);
    hti_query_bind_int(d->put, 2, (int64_t)entry->key.high);
    hti_query_bind_text(d->put, 3, (ht_text){node, strlen(node)});
    hti_query_bind_int(d->put, 4, (int64_t)now);
    hti_query_bind_int(d->put, 5, (int64_t)(now * 1000000 + d->tick++ % 1000000));
    hti_query_bind_int(d->put, 6, (int64_t)entry->len);
    hti_query_bind_int(d->put, 7, (int64_t)checksum);
    hti_query_bind_blob(d->put, 8, entry->n_parts ? (const void *)entry->parts : "", entry->n_parts * sizeof(uint64_t));
    if (entry->len <= LARGE) hti_query_bind_blob(d->put, 9, entry->data, entry->len);
    d->written += entry->len;
    const ht_status status = hti_query_run(d->put, err);
    if (status == HT_OK) hti_query_reset(d->put);
    return status;
}

static ht_status write_touches(hti_cache_disk *d, ht_error *err)
{
    for (size_t i = 0; i < d->n_touches; i++) {
        hti_query_bind_int(d->touch, 1, d->touches[i].low);
        hti_query_bind_int(d->touch, 2, (int64_t)d->touches[i].used);
        HT_TRY(hti_query_run(d->touch, err));
        hti_query_reset(d->touch);
    }
    d->n_touches = 0;
    return HT_OK;
}

static ht_status count(const hti_cache_disk *d, uint64_t *entries, uint64_t *bytes, ht_error *err)
{
    bool found;
    HT_TRY(hti_query_next(d->count, &found, err));
    *entries = (uint64_t)hti_query_int(d->count, 0);
    *bytes = (uint64_t)hti_query_int(d->count, 1);
    hti_query_reset(d->count);
    return HT_OK;
}

/* An entry that leaves: low, high, checksum, bytes, whether it is in a file. */
typedef struct leaving {
    ht_key key;
    uint64_t checksum, bytes;
    bool is_file;
} leaving;

static ht_status drop_entry(ht_cache *cache, const leaving *e, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    if (e->is_file) HT_TRY(remove_file(d, e->key, e->checksum, err));
    hti_query_bind_int(d->drop, 1, (int64_t)e->key.low);
    HT_TRY(hti_query_run(d->drop, err));
    hti_query_reset(d->drop);
    cache->stats.evicted++;
    return HT_OK;
}

/* Drops entries that `sql` lists, in its order, as long as they are too old or the sum of bytes is over `most`. */
static ht_status drop_listed(ht_cache *cache, const char *sql, uint64_t most, uint64_t *bytes, ht_error *err)
{
    const uint64_t oldest = hti_cache_oldest(cache);
    hti_query *list;
    leaving *gone = NULL;
    size_t n = 0, cap = 0;
    bool found = true;
    HT_TRY(hti_db_query(cache->disk->db, sql, &list, err));
    ht_status status = HT_OK;
    while (status == HT_OK && (status = hti_query_next(list, &found, err)) == HT_OK && found) {
        const leaving e = {{(uint64_t)hti_query_int(list, 0), (uint64_t)hti_query_int(list, 1)},
                           (uint64_t)hti_query_int(list, 2),
                           (uint64_t)hti_query_int(list, 3),
                           hti_query_int(list, 4) != 0};
        const bool old = (uint64_t)hti_query_int(list, 5) < oldest;
        if (!old && *bytes <= most) continue;
        status = hti_reserve(&gone, &cap, n + 1, sizeof *gone, err);
        if (status != HT_OK) break;
        gone[n++] = e;
        *bytes -= HTI_MIN(e.bytes, *bytes);
    }
    hti_query_free(list);
    for (size_t i = 0; status == HT_OK && i < n; i++) status = drop_entry(cache, &gone[i], err);
    hti_free(gone);
    return status;
}

/* Down to nine tenths of the limit, so that this is rare. */
static ht_status evict(ht_cache *cache, bool always, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    uint64_t entries, bytes;
    HT_TRY(count(d, &entries, &bytes, err));
    if (bytes > cache->max_bytes || always)
        HT_TRY(drop_listed(cache,
                           "SELECT low, high, checksum, bytes, value IS NULL, made FROM entry ORDER BY used, low",
                           bytes > cache->max_bytes ? cache->max_bytes / 10 * 9 : cache->max_bytes, &bytes, err));
    d->room = cache->max_bytes > bytes ? cache->max_bytes - bytes : 0;
    return HT_OK;
}

static ht_status put_all(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        HT_TRY(put_one(cache, &entries[i], err));
        bytes = hti_add(bytes, entries[i].len);
    }
    HT_TRY(write_touches(d, err));
    if (bytes > d->room) return evict(cache, false, err);
    d->room -= bytes;
    return HT_OK;
}

/* Commits what went well, rolls back what did not. */
static ht_status end_transaction(hti_cache_disk *d, ht_status status, ht_error *err)
{
    if (status == HT_OK) status = hti_db_commit(d->db, err);
    if (status != HT_OK) {
        hti_query_reset(d->get);
        hti_query_reset(d->put);
        hti_query_reset(d->touch);
        hti_query_reset(d->drop);
        hti_db_rollback(d->db);
        d->room = 0; /* look again */
    }
    return status;
}

static void checkpoint(hti_cache_disk *d)
{
    if (d->written < CHECKPOINT_BYTES) return;
    hti_db_checkpoint(d->db);
    d->written = 0;
}

ht_status hti_disk_put(ht_cache *cache, const ht_cache_entry *entries, size_t n, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    HT_TRY(hti_db_begin(d->db, err));
    HT_TRY(end_transaction(d, put_all(cache, entries, n, err), err));
    d->written += n * 200; /* rows have a size of their own */
    checkpoint(d);
    return HT_OK;
}

ht_status hti_disk_count(ht_cache *cache, ht_cache_stats *out, ht_error *err)
{
    return count(cache->disk, &out->entries, &out->bytes, err);
}

/* ---- tidying ---- */

typedef struct sweeping {
    ht_cache *cache;
    uint64_t freed;
} sweeping;

static bool read_hex(const char *text, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 16; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

/* A file that no row names goes. */
static ht_status sweep_file(void *ud, const char *name, ht_error *err)
{
    sweeping *s = ud;
    const hti_cache_disk *d = s->cache->disk;
    ht_key key;
    uint64_t checksum, size;
    row r = {0};
    bool found = false;
    char path[NAME + 300];
    if (strlen(name) == 49 && read_hex(name, &key.high) && read_hex(name + 16, &key.low) &&
        read_hex(name + 33, &checksum))
        HT_TRY(read_row(d, key, &r, NULL, &found, err));
    if (found && r.is_file && r.checksum == checksum) return HT_OK;
    (void)snprintf(path, sizeof path, "files/%.255s", name);
    char *whole = path_of(d, path);
    if (!whole) return HTI_NO_MEMORY(err);
    if (hti_file_size(whole, &size, NULL) == HT_OK) s->freed += size;
    const ht_status status = hti_remove(whole, err);
    hti_free(whole);
    return status;
}

static ht_status prune(ht_cache *cache, uint64_t *freed, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    uint64_t entries, before, after;
    sweeping s = {cache, 0};
    HT_TRY(write_touches(d, err));
    HT_TRY(count(d, &entries, &before, err));
    HT_TRY(evict(cache, true, err));
    HT_TRY(count(d, &entries, &after, err));
    char *files = path_of(d, "files");
    if (!files) return HTI_NO_MEMORY(err);
    const ht_status status = hti_list_dir(files, sweep_file, &s, err);
    hti_free(files);
    *freed = before - after + s.freed;
    return status;
}

ht_status hti_disk_prune(ht_cache *cache, uint64_t *freed, ht_error *err)
{
    HT_TRY(hti_db_begin(cache->disk->db, err));
    HT_TRY(end_transaction(cache->disk, prune(cache, freed, err), err));
    hti_db_checkpoint(cache->disk->db);
    return HT_OK;
}

static ht_status clear(ht_cache *cache, ht_error *err)
{
    hti_cache_disk *d = cache->disk;
    sweeping s = {cache, 0};
    d->n_touches = 0;
    HT_TRY(hti_db_run(d->db, "DELETE FROM entry", err));
    char *files = path_of(d, "files");
    if (!files) return HTI_NO_MEMORY(err);
    const ht_status status = hti_list_dir(files, sweep_file, &s, err);
    hti_free(files);
    d->room = cache->max_bytes;
    return status;
}

ht_status hti_disk_clear(ht_cache *cache, ht_error *err)
{
    HT_TRY(hti_db_begin(cache->disk->db, err));
    HT_TRY(end_transaction(cache->disk, clear(cache, err), err));
    hti_db_checkpoint(cache->disk->db);
    return HT_OK;
}

void hti_disk_close(ht_cache *cache)
{
    hti_cache_disk *d = cache->disk;
    ht_error unheard;
    if (!d) return;
    if (d->count && d->n_touches && hti_db_begin(d->db, &unheard) == HT_OK)
        (void)!end_transaction(d, write_touches(d, &unheard), &unheard);
    hti_query_free(d->get);
    hti_query_free(d->put);
    hti_query_free(d->touch);
    hti_query_free(d->drop);
    hti_query_free(d->count);
    if (d->db) hti_db_checkpoint(d->db);
    hti_db_close(d->db);
    hti_free(d->touches);
    hti_free(d->path);
    hti_free(d);
}
