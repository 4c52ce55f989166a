/*
 * db_schema.c - is this our database, which version, and does its schema say what we expect?
 *
 * The schema is compared text for text with the CREATE statements we would run. SQLite keeps those texts
 * as they were given, so a difference means another program or a damaged page, and nothing from such a
 * file (view, trigger, generated column, virtual table) is ever run. Tables of SQLite itself
 * (sqlite_stat1 ...) are let through.
 * A database whose creation was cut off has neither an application id nor objects.
 */
#include "db_int.h"

#include <string.h>

typedef struct db_identity {
    int64_t application_id, version, n_objects;
} db_identity;

static ht_status read_one(hti_db *db, const char *sql, int64_t *out, ht_error *err)
{
    hti_query *query;
    bool row = false;
    HT_TRY(hti_db_query(db, sql, &query, err));
    const ht_status status = hti_query_next(query, &row, err);
    *out = status == HT_OK && row ? hti_query_int(query, 0) : 0;
    hti_query_free(query);
    return status;
}

static ht_status read_identity(hti_db *db, db_identity *out, ht_error *err)
{
    HT_TRY(read_one(db, "PRAGMA application_id", &out->application_id, err));
    HT_TRY(read_one(db, "PRAGMA user_version", &out->version, err));
    return read_one(db, "SELECT count(*) FROM sqlite_schema", &out->n_objects, err);
}

static ht_status set_identity(hti_db *db, const hti_db_schema *schema, ht_error *err)
{
    hti_buffer sql;
    hti_buffer_init(&sql);
    hti_buffer_printf(&sql, "PRAGMA application_id=%lu; PRAGMA user_version=%zu", (unsigned long)schema->application_id,
                      schema->n_migrations + 1);
    ht_status status = hti_buffer_status(&sql, err);
    if (status == HT_OK) status = hti_db_run(db, sql.data, err);
    hti_buffer_deinit(&sql);
    return status;
}

static ht_status create_objects(hti_db *db, const hti_db_schema *schema, ht_error *err)
{
    for (size_t i = 0; i < schema->n_objects; i++) HT_TRY(hti_db_run(db, schema->objects[i], err));
    return set_identity(db, schema, err);
}

static ht_status migrate_from(hti_db *db, const hti_db_schema *schema, size_t version, ht_error *err)
{
    for (size_t i = version - 1; i < schema->n_migrations; i++) HT_TRY(hti_db_run(db, schema->migrations[i], err));
    return set_identity(db, schema, err);
}

static bool is_known(const hti_db_schema *schema, ht_text sql)
{
    for (size_t i = 0; i < schema->n_objects; i++)
        if (strlen(schema->objects[i]) == sql.len && memcmp(schema->objects[i], sql.data, sql.len) == 0) return true;
    return false;
}

/* Every object is one of ours and none is missing (texts differ from one another, so counting them suffices). */
static ht_status check_objects(hti_db *db, const hti_db_schema *schema, ht_error *err)
{
    hti_query *query;
    HT_TRY(hti_db_query(db,
                        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
                        &query, err));
    size_t n = 0;
    bool row = true, known = true;
    ht_status status = HT_OK;
    while (known && (status = hti_query_next(query, &row, err)) == HT_OK && row) {
        known = is_known(schema, hti_query_text(query, 0));
        n++;
    }
    hti_query_free(query);
    if (status == HT_OK && (!known || n != schema->n_objects))
        return HT_FAIL(err, CORRUPT, "%s: its tables are not those of a %s; restore a copy or make it anew", db->path,
                       schema->name);
    return status;
}

static ht_status write_schema(hti_db *db, const hti_db_schema *schema, ht_error *err)
{
    db_identity is;
    HT_TRY(hti_db_begin(db, err));
    ht_status status = read_identity(db, &is, err); /* again: another process may have been faster */
    if (status == HT_OK && is.version == 0 && is.n_objects == 0)
        status = create_objects(db, schema, err);
    else if (status == HT_OK && is.version > 0 && (uint64_t)is.version <= schema->n_migrations)
        status = migrate_from(db, schema, (size_t)is.version, err);
    if (status == HT_OK) return hti_db_commit(db, err);
    hti_db_rollback(db);
    return status;
}

ht_status hti_db_settle_schema(hti_db *db, const hti_db_schema *schema, ht_error *err)
{
    db_identity is;
    const int64_t present = (int64_t)schema->n_migrations + 1;
    HT_TRY(read_identity(db, &is, err));
    const bool unfinished = is.application_id == 0 && is.version == 0 && is.n_objects == 0;
    if (unfinished && db->mode != HTI_DB_CREATE)
        return HT_FAIL(err, NOT_FOUND, "%s: an empty database; its creation was cut off", db->path);
    if (!unfinished && (uint32_t)is.application_id != schema->application_id)
        return HT_FAIL(err, CORRUPT, "%s: not the database of a %s (application id %lld)", db->path, schema->name,
                       (long long)is.application_id);
    if (is.version > present)
        return HT_FAIL(err, VERSION, "%s: version %lld, but this program knows versions up to %lld; use a newer one",
                       db->path, (long long)is.version, (long long)present);
    const bool older = is.version < present;
    if (older && db->mode == HTI_DB_READ)
        return HT_FAIL(err, VERSION,
                       "%s: version %lld is older than %lld; open it once for writing to bring it up to date", db->path,
                       (long long)is.version, (long long)present);
    if (older) HT_TRY(write_schema(db, schema, err));
    return check_objects(db, schema, err);
}
