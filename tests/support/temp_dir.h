/*
 * temp_dir.h - a directory of a test's own, removed with all it holds.
 */
#ifndef HT_TESTS_TEMP_DIR_H
#define HT_TESTS_TEMP_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEMP_DIR_CAP = 256 };

/* Makes the directory and writes its path into `path` [TEMP_DIR_CAP]; aborts if it cannot. */
static inline void temp_dir_make(char *path)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, TEMP_DIR_CAP, "%s/ht_test_XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path)) {
        perror(path);
        abort();
    }
}

static inline int temp_dir_remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline void temp_dir_remove(const char *path)
{
    (void)nftw(path, temp_dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* "DIR/NAME" into `path` [2 * TEMP_DIR_CAP]. */
static inline const char *temp_dir_path(const char *dir, const char *name, char *path)
{
    (void)snprintf(path, 2 * TEMP_DIR_CAP, "%s/%s", dir, name);
    return path;
}

#endif
