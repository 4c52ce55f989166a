/*
 * fuzz_cache.c - a cache whose database was overwritten in places: it opens, gives whole values or none, and works.
 *
 * Input: a place (u32) and a length (u8) before each run of bytes that goes over what is there.
 */
#include "os/os.h"

#include <houndstooth/cache.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "temp_dir.h"

static void damage(const char *path, const uint8_t *data, size_t size)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    while (size > 5) {
        const off_t at = (off_t)(hti_get_u32(data) % 16384);
        const size_t len = HTI_MIN((size_t)data[4], size - 5);
        if (pwrite(fd, data + 5, len, at) < 0) abort();
        data += 5 + len;
        size -= 5 + len;
    }
    (void)close(fd);
}

static void check(ht_cache *cache, uint64_t i, const char *expected, size_t len)
{
    ht_writer *writer;
    bool found;
    size_t got;
    if (ht_writer_new(&writer, NULL) != HT_OK) abort();
    if (ht_cache_get(cache, (ht_key){i, i}, writer, &found, NULL) == HT_OK && found) {
        const void *data = ht_writer_data(writer, &got);
        if (got != len || memcmp(data, expected, len) != 0) abort();
    }
    ht_writer_free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "a value that must come back whole or not at all";
    char dir[TEMP_DIR_CAP], path[2 * TEMP_DIR_CAP];
    ht_cache *cache;
    temp_dir_make(dir);
    if (ht_cache_open(dir, NULL, &cache, NULL) != HT_OK) abort();
    for (uint64_t i = 0; i < 40; i++) {
        const ht_cache_entry entry = {.key = {i, i}, .data = text, .len = sizeof text, .node = "n"};
        if (ht_cache_put(cache, &entry, 1, NULL) != HT_OK) abort();
    }
    ht_cache_close(cache);
    damage(temp_dir_path(dir, "cache.db", path), data, size);
    if (ht_cache_open(dir, NULL, &cache, NULL) == HT_OK) {
        const ht_cache_entry entry = {.key = {100, 100}, .data = text, .len = sizeof text, .node = "n"};
        for (uint64_t i = 0; i < 40; i++) check(cache, i, text, sizeof text);
        if (ht_cache_put(cache, &entry, 1, NULL) == HT_OK) check(cache, 100, text, sizeof text);
        ht_cache_close(cache);
    }
    temp_dir_remove(dir);
    return 0;
}
