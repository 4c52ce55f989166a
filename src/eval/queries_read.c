/*
 * queries_read.c - queries from JSON lines {"_id" or "id", "text"} or from "qid<TAB>text".
 *
 * The first byte of the first line that is not blank decides: "{" means JSON. Ids must be fit for a
 * run file. An empty text is a query that finds nothing, not an error.
 * Layout: ids in a map, texts one behind the other in a buffer, text i at [ends[i - 1], ends[i]).
 * Thread rule: immutable once read.
 */
#include "eval_int.h"

enum { QUERY_LINE_MAX = 1 << 20 };

struct ht_queries {
    hti_map ids; /* entry i is query i */
    hti_buffer texts;
    size_t *ends; /* [ids.n] */
    size_t cap_ends;
};

typedef struct query_reader {
    ht_queries *queries;
    hti_lines *lines;
    hti_buffer scratch;
    hti_skipped skipped;
    bool lenient, form_known, is_json;
} query_reader;

static ht_status add_query(ht_queries *queries, ht_text id, ht_text text, hti_where where, ht_error *err)
{
    uint32_t entry;
    bool inserted;
    const char *fault = hti_id_fault(id);
    if (fault)
        return HTI_FAIL_AT(err, where, 1, "the query id \"%.*s\" %s; ids are words of visible characters",
                           hti_shown(id), id.data, fault);
    if (hti_map_find(&queries->ids, id) != HTI_MAP_NONE)
        return HT_FAIL(err, EXISTS, "%s:%llu: query \"%.*s\" is there already; keep one of the two", where.name,
                       (unsigned long long)where.line, hti_shown(id), id.data);
    HT_TRY(hti_reserve(&queries->ends, &queries->cap_ends, queries->ids.n + 1, sizeof *queries->ends, err));
    if (!hti_buffer_room(&queries->texts, text.len)) return hti_buffer_status(&queries->texts, err);
    HT_TRY(hti_map_put(&queries->ids, id, 0, &entry, &inserted, err));
    hti_buffer_append(&queries->texts, text.data, text.len);
    queries->ends[entry] = queries->texts.len;
    return HT_OK;
}

static ht_status json_query(query_reader *reader, ht_text line, hti_where where, ht_error *err)
{
    hti_json_record members;
    ht_text id, text;
    HT_TRY(hti_json_record_read(line, where, &reader->scratch, &members, err));
    HT_TRY(hti_record_id(&members, where, false, &id, err));
    HT_TRY(hti_record_text(&members, HTI_MEMBER_TEXT, where, false, &text, err));
    return add_query(reader->queries, id, text, where, err);
}

static ht_status tsv_query(query_reader *reader, ht_text line, hti_where where, ht_error *err)
{
    ht_text fields[2];
    HT_TRY(hti_check_utf8(line, where, err));
    const size_t n = hti_split_tabs(line, fields, 2);
    if (n != 2)
        return HTI_FAIL_AT(err, where, 1, "%zu field%s between tabs where queries have 2; write \"qid<TAB>text\"", n,
                           n == 1 ? "" : "s");
    return add_query(reader->queries, fields[0], fields[1], where, err);
}

static ht_status take_line(query_reader *reader, ht_text line, ht_error *err)
{
    const hti_where where = {hti_lines_name(reader->lines), hti_lines_number(reader->lines)};
    const size_t head = hti_blank_head(line);
    if (head == line.len) return HT_OK;
    if (!reader->form_known) reader->is_json = line.data[head] == '{';
    reader->form_known = true;
    return reader->is_json ? json_query(reader, line, where, err) : tsv_query(reader, line, where, err);
}

static ht_status take_lines(query_reader *reader, ht_error *err)
{
    for (;;) {
        ht_error why = {0};
        ht_text line;
        ht_status status = hti_lines_next(reader->lines, &line, &why);
        if (status == HT_OK && !line.data) return HT_OK;
        const bool bad_line = status == HT_OK || status == HT_LIMIT; /* else the stream itself is damaged */
        if (status == HT_OK) status = take_line(reader, line, &why);
        if (status == HT_OK || (bad_line && hti_skip_line(&reader->skipped, reader->lenient, status, &why))) continue;
        return hti_fail(err, status, "%s", why.message);
    }
}

static ht_status read_queries(query_reader *reader, const char *path, ht_error *err)
{
    HT_TRY(hti_lines_open(path, QUERY_LINE_MAX, &reader->lines, err));
    hti_buffer_init(&reader->scratch);
    ht_status status = take_lines(reader, err);
    if (status == HT_OK && reader->queries->ids.n == 0 && !reader->lenient)
        status = HT_FAIL(err, PARSE, "%s: no queries; write {\"_id\": ..., \"text\": ...} or \"qid<TAB>text\" lines",
                         hti_lines_name(reader->lines));
    if (status == HT_OK) hti_skipped_log(&reader->skipped, hti_lines_name(reader->lines));
    hti_buffer_deinit(&reader->scratch);
    hti_lines_close(reader->lines);
    return status;
}

ht_status ht_queries_read(const char *path, const ht_read_opts *opts, ht_queries **out, ht_error *err)
{
    *out = NULL;
    HTI_CHECK_OPTS(opts, err);
    ht_queries *queries = HTI_NEW(ht_queries);
    if (!queries) return HTI_NO_MEMORY(err);
    hti_map_init(&queries->ids);
    hti_buffer_init(&queries->texts);
    query_reader reader = {.queries = queries, .lenient = opts && opts->lenient};
    const ht_status status = read_queries(&reader, path, err);
    if (status != HT_OK) {
        ht_queries_free(queries);
        return status;
    }
    *out = queries;
    return HT_OK;
}

void ht_queries_free(ht_queries *queries)
{
    if (!queries) return;
    hti_map_deinit(&queries->ids);
    hti_buffer_deinit(&queries->texts);
    hti_free(queries->ends);
    hti_free(queries);
}

size_t ht_queries_len(const ht_queries *queries) { return queries->ids.n; }

ht_text ht_queries_at(const ht_queries *queries, size_t n, ht_text *text)
{
    if (text) *text = (ht_text){NULL, 0};
    if (n >= queries->ids.n) return (ht_text){NULL, 0};
    const size_t start = n ? queries->ends[n - 1] : 0;
    if (text) *text = (ht_text){queries->texts.data + start, queries->ends[n] - start};
    return hti_entry_text(&queries->ids, n);
}
