/*
 * trec_io.c - runs and judgements from and to text files.
 *
 *     run     qid Q0 docid rank score tag       blanks or tabs between; the rank is not read
 *     qrels   qid 0 docid grade                 as TREC has them
 *             query-id<TAB>corpus-id<TAB>score  as BEIR has them, its first row the header
 *
 * The first line with something on it decides between the two forms of judgements: three fields make
 * it BEIR's, and any tab then makes tabs the only separator. Blank lines are passed over. Whatever
 * trec_eval would read otherwise than written (a score "abc" as 0, a grade "1.5" as 1, a document
 * twice) is an error here.
 * Easy to get wrong: a first row that only looks like a header; it must begin with a known name, or a
 * judgement with a bad grade would vanish silently.
 * Thread rule: none beyond the objects'.
 */
#include "eval_int.h"

#include "os/os.h"

#include <math.h>

enum { LINE_MAX_BYTES = 1 << 20, RUN_FIELDS = 6, TREC_FIELDS = 4, BEIR_FIELDS = 3 };

typedef struct line_reader {
    hti_lines *lines;
    bool lenient, form_known, by_tabs;
    size_t n_fields; /* of the form of judgements */
    uint64_t n_rows;
    hti_skipped skipped;
} line_reader;

static ht_status add_context(hti_where where, ht_status status, ht_error *err)
{
    return hti_fail_context(err, status, "%s:%llu", where.name, (unsigned long long)where.line);
}

static ht_status check_id(const char *what, ht_text id, ht_text line, hti_where where, ht_error *err)
{
    const char *fault = hti_id_fault(id);
    if (!fault) return HT_OK;
    return HTI_FAIL_AT(err, where, id.data - line.data + 1,
                       "the %s id \"%.*s\" %s; ids are words of visible characters", what, hti_shown(id), id.data,
                       fault);
}

/* ---- runs ---- */

static ht_status read_score(ht_text field, ht_text line, hti_where where, double *score, ht_error *err)
{
    const size_t column = (size_t)(field.data - line.data) + 1;
    if (!hti_parse_real(field, score))
        return HTI_FAIL_AT(err, where, column,
                           "the score \"%.*s\" is not a finite decimal number; correct it or remove the line",
                           hti_shown(field), field.data);
    if (isinf(*score))
        return HTI_FAIL_AT(err, where, column, "the score \"%.*s\" is too large for a double; scale the scores",
                           hti_shown(field), field.data);
    return HT_OK;
}

static ht_status run_line(ht_run *run, line_reader *reader, ht_text line, hti_where where, ht_error *err)
{
    ht_text fields[RUN_FIELDS];
    double score;
    const size_t n = hti_split_blank(line, fields, RUN_FIELDS);
    if (n == 0) return HT_OK;
    HT_TRY(hti_check_utf8(line, where, err));
    if (n != RUN_FIELDS)
        return HTI_FAIL_AT(err, where, 1, "%zu field%s where a run has 6; write \"qid Q0 docid rank score tag\"", n,
                           n == 1 ? "" : "s");
    HT_TRY(check_id("query", fields[0], line, where, err));
    HT_TRY(check_id("document", fields[2], line, where, err));
    HT_TRY(read_score(fields[4], line, where, &score, err));
    const ht_status status = ht_run_add(run, fields[0], fields[2], score, err);
    reader->n_rows += status == HT_OK;
    return status == HT_OK ? status : add_context(where, status, err);
}

/* ---- judgements ---- */

/* Does the row name columns? Only known names count. */
static bool is_header(const ht_text *fields, size_t n)
{
    static const char *const names[] = {"query-id", "query_id", "queryid", "qid", "query", "topic", "topic_id"};
    int32_t grade;
    if (hti_parse_int32(fields[n - 1], &grade)) return false;
    for (size_t i = 0; i < HTI_LEN(names); i++)
        if (hti_same_letters(fields[0], names[i])) return true;
    return false;
}

static void choose_form(line_reader *reader, ht_text line)
{
    ht_text fields[TREC_FIELDS];
    reader->form_known = true;
    reader->by_tabs = hti_split_tabs(line, fields, TREC_FIELDS) == BEIR_FIELDS;
    const bool beir = reader->by_tabs || hti_split_blank(line, fields, TREC_FIELDS) == BEIR_FIELDS;
    reader->n_fields = beir ? BEIR_FIELDS : TREC_FIELDS;
}

static ht_status wrong_count(const line_reader *reader, size_t n, hti_where where, ht_error *err)
{
    const char *form = reader->n_fields == TREC_FIELDS
                           ? "\"qid 0 docid grade\", or \"query-id<TAB>corpus-id<TAB>score\""
                       : reader->by_tabs ? "\"query-id<TAB>corpus-id<TAB>score\" as the first row"
                                         : "\"query-id corpus-id score\" as the first row";
    return HTI_FAIL_AT(err, where, 1, "%zu field%s where these judgements have %zu; write %s", n, n == 1 ? "" : "s",
                       reader->n_fields, form);
}

static ht_status qrels_line(ht_qrels *qrels, line_reader *reader, ht_text line, hti_where where, ht_error *err)
{
    ht_text fields[TREC_FIELDS];
    int32_t grade;
    if (hti_blank_head(line) == line.len) return HT_OK;
    HT_TRY(hti_check_utf8(line, where, err));
    const bool first = !reader->form_known;
    if (first) choose_form(reader, line);
    const size_t n =
        reader->by_tabs ? hti_split_tabs(line, fields, TREC_FIELDS) : hti_split_blank(line, fields, TREC_FIELDS);
    if (n != reader->n_fields) {
        reader->form_known = !first; /* a bad first line decides nothing */
        return wrong_count(reader, n, where, err);
    }
    if (first && is_header(fields, n)) return HT_OK;
    const ht_text doc = fields[n - 2], last = fields[n - 1];
    HT_TRY(check_id("query", fields[0], line, where, err));
    HT_TRY(check_id("document", doc, line, where, err));
    if (!hti_parse_int32(last, &grade))
        return HTI_FAIL_AT(err, where, last.data - line.data + 1,
                           "the grade \"%.*s\" is not a whole number of 32 bits; correct it or remove the line",
                           hti_shown(last), last.data);
    const ht_status status = ht_qrels_add(qrels, fields[0], doc, grade, err);
    reader->n_rows += status == HT_OK;
    return status == HT_OK ? status : add_context(where, status, err);
}

/* ---- both ---- */

static ht_status take_line(void *object, bool is_run, line_reader *reader, ht_text line, ht_error *err)
{
    const hti_where where = {hti_lines_name(reader->lines), hti_lines_number(reader->lines)};
    return is_run ? run_line(object, reader, line, where, err) : qrels_line(object, reader, line, where, err);
}

static ht_status take_lines(void *object, bool is_run, line_reader *reader, ht_error *err)
{
    for (;;) {
        ht_error why = {0};
        ht_text line;
        ht_status status = hti_lines_next(reader->lines, &line, &why);
        if (status == HT_OK && !line.data) return HT_OK;
        const bool bad_line = status == HT_OK || status == HT_LIMIT; /* else the stream itself is damaged */
        if (status == HT_OK) status = take_line(object, is_run, reader, line, &why);
        if (status == HT_OK || (bad_line && hti_skip_line(&reader->skipped, reader->lenient, status, &why))) continue;
        return hti_fail(err, status, "%s", why.message);
    }
}

static ht_status read_rows(void *object, bool is_run, const char *path, const ht_read_opts *opts, ht_error *err)
{
    HTI_CHECK_OPTS(opts, err);
    line_reader reader = {.lenient = opts && opts->lenient};
    HT_TRY(hti_lines_open(path, LINE_MAX_BYTES, &reader.lines, err));
    ht_status status = take_lines(object, is_run, &reader, err);
    if (status == HT_OK && reader.n_rows == 0 && !reader.lenient)
        status = HT_FAIL(err, PARSE, "%s: no rows; write one \"%s\" a line", hti_lines_name(reader.lines),
                         is_run ? "qid Q0 docid rank score tag" : "qid 0 docid grade");
    if (status == HT_OK) hti_skipped_log(&reader.skipped, hti_lines_name(reader.lines));
    hti_lines_close(reader.lines);
    return status;
}

ht_status ht_run_read(const char *path, const ht_read_opts *opts, ht_run **out, ht_error *err)
{
    HT_TRY(ht_run_new(out, err));
    const ht_status status = read_rows(*out, true, path, opts, err);
    if (status == HT_OK) return HT_OK;
    ht_run_free(*out);
    *out = NULL;
    return status;
}

ht_status ht_qrels_read(const char *path, const ht_read_opts *opts, ht_qrels **out, ht_error *err)
{
    HT_TRY(ht_qrels_new(out, err));
    const ht_status status = read_rows(*out, false, path, opts, err);
    if (status == HT_OK) return HT_OK;
    ht_qrels_free(*out);
    *out = NULL;
    return status;
}

/* ---- writing ---- */

static ht_status check_written_id(const char *what, ht_text id, ht_error *err)
{
    const char *fault = hti_id_fault(id);
    if (!fault) return HT_OK;
    return HT_FAIL(err, INVALID, "the %s \"%.*s\" %s and cannot stand in a run file; rename it", what, hti_shown(id),
                   id.data, fault);
}

static ht_status put_query(const hti_table *table, size_t q, const char *tag, hti_buffer *text, ht_error *err)
{
    size_t n;
    const ht_text query = hti_entry_text(&table->queries, q);
    const hti_row *rows = hti_table_rows(table, q, &n);
    HT_TRY(check_written_id("query id", query, err));
    for (size_t i = 0; i < n; i++) {
        const ht_text doc = hti_entry_text(&table->docs, rows[i].doc);
        HT_TRY(check_written_id("document id", doc, err));
        hti_buffer_append(text, query.data, query.len);
        hti_buffer_append(text, " Q0 ", 4);
        hti_buffer_append(text, doc.data, doc.len);
        hti_buffer_printf(text, " %zu ", i + 1);
        hti_put_real(text, rows[i].value);
        hti_buffer_append(text, " ", 1);
        hti_buffer_text(text, tag);
        hti_buffer_append(text, "\n", 1);
    }
    return HT_OK;
}

ht_status ht_run_write(const ht_run *run, const char *path, const char *tag, ht_error *err)
{
    if (!tag) tag = "houndstooth";
    HT_TRY(check_written_id("tag", (ht_text){tag, strlen(tag)}, err));
    hti_buffer text;
    hti_buffer_init(&text);
    ht_status status = HT_OK;
    for (size_t q = 0; status == HT_OK && q < run->table.queries.n; q++)
        status = put_query(&run->table, q, tag, &text, err);
    if (status == HT_OK) status = hti_buffer_status(&text, err);
    const ht_text all = hti_buffer_view(&text);
    if (status == HT_OK)
        status = strcmp(path, "-") == 0 ? hti_write_standard_output(all.data, all.len, err)
                                        : hti_replace_file(path, all.data, all.len, err);
    hti_buffer_deinit(&text);
    return status;
}
