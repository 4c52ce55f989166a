/*
 * db_int.h - what the files of the db room share.
 */
#ifndef HTI_DB_DB_INT_H
#define HTI_DB_DB_INT_H

#include "db.h"

#include <sqlite3.h>

struct hti_db {
    sqlite3 *handle;
    char *path;
    hti_db_mode mode;
    bool immutable;
};

/* Fails with the status that stands for SQLite's result `rc` and "PATH: cannot WHAT: reason; mend". */
ht_status hti_db_fail(const hti_db *db, int rc, const char *what, ht_error *err);
/* Brings the schema into being, checks it or migrates it. */
HT_CHECKED ht_status hti_db_settle_schema(hti_db *db, const hti_db_schema *schema, ht_error *err);

#endif
