/*
 * fuzz_collection.c - opens, reads and checks a collection whose files are the fuzzer's.
 *
 * The first byte says what the others are; a small sound collection lies beneath:
 *   0  the whole database          1  the write-ahead log beside the sound database
 *   2  the index of the log        3  a segment file
 *   else patches of the sound database, 4 bytes each: offset (3, little-endian), value to xor
 * What passes for whole (no warning, a check without findings) must give every document and find its id.
 */
#include "os/os.h"
#include "store/store.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static hti_buffer database;

static void must(ht_status status)
{
    if (status != HT_OK) abort();
}

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const void *data, size_t size)
{
    const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    (void)close(fd);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_all(void)
{
    (void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    hti_buffer_deinit(&database);
}

static void commit(hti_store *store, int first, int n)
{
    hti_change *change;
    const char *path;
    must(hti_change_begin(store, &change, NULL));
    must(hti_change_set(change, "analyzer", "english", NULL));
    for (int i = first; i < first + n; i++) {
        char id[16];
        uint32_t doc;
        const int len = snprintf(id, sizeof id, "doc-%d", i);
        const hti_doc fields = {{id, (size_t)len}, {"title", 5}, {"some text of a document", 23}};
        must(hti_change_add(change, &fields, &doc, NULL));
    }
    if (first > 0) must(hti_change_delete(change, (ht_text){"doc-0", 5}, NULL));
    must(hti_change_file(change, "words", &path, NULL));
    must(hti_replace_file(path, "words of a segment", 18, NULL));
    must(hti_change_commit(change, NULL));
}

static void prepare(void)
{
    hti_store *store;
    (void)snprintf(dir, sizeof dir, "%s/ht_fuzz_XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir)) abort();
    must(hti_store_open(dir, HTI_STORE_CREATE, &store, NULL));
    commit(store, 0, 3);
    commit(store, 3, 40);
    hti_store_close(store);
    hti_buffer_init(&database);
    must(hti_read_file(path_of("houndstooth.db"), 1 << 24, &database, NULL));
    (void)atexit(remove_all);
}

static void lay_out(const uint8_t *data, size_t size)
{
    const uint8_t kind = data[0];
    data++;
    size--;
    (void)unlink(path_of("houndstooth.db-wal"));
    (void)unlink(path_of("houndstooth.db-shm"));
    put("segment-000002.words", "words of a segment", 18);
    put("houndstooth.db", kind == 0 ? (const void *)data : database.data, kind == 0 ? size : database.len);
    if (kind == 1) put("houndstooth.db-wal", data, size);
    if (kind == 2) put("houndstooth.db-shm", data, size);
    if (kind == 3) put("segment-000002.words", data, size);
    if (kind <= 3) return;
    const int fd = open(path_of("houndstooth.db"), O_WRONLY);
    if (fd < 0) abort();
    for (size_t at = 0; at + 4 <= size; at += 4) {
        const size_t off = (data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16) % database.len;
        const char patched = (char)(database.data[off] ^ data[at + 3]);
        if (pwrite(fd, &patched, 1, (off_t)off) != 1) abort();
    }
    (void)close(fd);
}

static void ignore_problem(void *ud, const char *problem)
{
    if (problem[0] == '\0') abort();
    ++*(int *)ud;
}

static bool is_deleted(const hti_store *store, uint32_t doc)
{
    const uint64_t *deleted = hti_store_deleted(store, NULL);
    return deleted && hti_bits_get(deleted, doc);
}

static void use(hti_store *store)
{
    enum { MOST = 200 };
    int n_problems = 0;
    size_t n_segments;
    hti_arena arena;
    const bool whole = hti_store_check(store, NULL, ignore_problem, &n_problems, NULL) == HT_OK;
    if (whole && (n_problems > 0 || hti_store_warning(store))) abort();
    const hti_segment *segments = hti_store_segments(store, &n_segments);
    if (n_segments && segments[0].first_doc != 0) abort();
    hti_arena_init(&arena);
    for (uint32_t doc = 0; doc < hti_store_n_docs(store) && doc < MOST; doc++) {
        hti_doc got;
        uint32_t found;
        hti_arena_reset(&arena);
        const ht_status status = hti_store_doc(store, doc, &arena, &got, NULL);
        if (whole && status != HT_OK) abort();
        if (status != HT_OK) continue;
        const ht_status looked = hti_store_find(store, got.id, &found, NULL);
        if (whole && !is_deleted(store, doc) && (looked != HT_OK || found != doc)) abort();
    }
    hti_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hti_store *store;
    ht_error err;
    if (size == 0 || size > 1 << 20) return 0;
    if (dir[0] == '\0') prepare();
    lay_out(data, size);
    if (hti_store_open(dir, HTI_STORE_READ, &store, &err) != HT_OK) {
        if (err.message[0] == '\0' || strchr(err.message, '\n')) abort();
        return 0;
    }
    use(store);
    hti_store_close(store);
    return 0;
}
