/*
 * fault_sqlite.h - SQLite's memory through hti_alloc, so that fault_alloc.h fails it and counts it.
 *
 * The library itself leaves SQLite's allocator alone (src/db/db_open.c says why); a test program owns its
 * process and may set it. fault_sqlite_install() comes after fault_alloc_install() and before any use
 * of SQLite. What SQLite keeps for the whole process is allocated then, so sweeps see no leak.
 */
#ifndef HT_TESTS_FAULT_SQLITE_H
#define HT_TESTS_FAULT_SQLITE_H

#include "base/base.h"

#include <sqlite3.h>
#include <stdlib.h>

static inline void *fault_sqlite_malloc(int size) { return size > 0 ? hti_alloc((size_t)size) : NULL; }
static inline void fault_sqlite_free(void *ptr) { hti_free(ptr); }
static inline void *fault_sqlite_realloc(void *ptr, int size) { return hti_realloc(ptr, (size_t)size); }
static inline int fault_sqlite_size(void *ptr) { return (int)hti_alloc_size(ptr); }
static inline int fault_sqlite_roundup(int size) { return (size + 7) & ~7; }
static inline int fault_sqlite_init(void *ud)
{
    (void)ud;
    return SQLITE_OK;
}
static inline void fault_sqlite_shutdown(void *ud) { (void)ud; }

static inline void fault_sqlite_install(void)
{
    static const sqlite3_mem_methods methods = {
        fault_sqlite_malloc,  fault_sqlite_free, fault_sqlite_realloc,  fault_sqlite_size,
        fault_sqlite_roundup, fault_sqlite_init, fault_sqlite_shutdown, NULL};
    sqlite3 *db = NULL;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK) abort();
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) abort();
    (void)sqlite3_close(db);
}

#endif
