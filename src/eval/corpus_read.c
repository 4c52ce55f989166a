/*
 * corpus_read.c - a corpus of JSON lines, one record after the other.
 *
 * A record is a JSON object with "_id" or "id" (a text or a whole number), "text", and perhaps
 * "title"; other members are passed over, blank lines too. Whether an id comes twice is the business
 * of whoever keeps ids.
 * Layout: a record's texts point into the line the codec holds or into `scratch`, where escapes were
 * decoded: nothing is copied that need not be. Both live until the next record.
 * Workload: gigabytes, once; one thread, memory bounded by the longest line.
 */
#include "eval_int.h"

enum { CORPUS_LINE_MAX = 64 << 20 };

struct ht_corpus_reader {
    hti_lines *lines;
    hti_buffer scratch;
    hti_skipped skipped;
    bool lenient, optional_id;
};

ht_status ht_corpus_open(const char *path, const ht_read_opts *opts, ht_corpus_reader **out, ht_error *err)
{
    *out = NULL;
    HTI_CHECK_OPTS(opts, err);
    ht_corpus_reader *reader = HTI_NEW(ht_corpus_reader);
    if (!reader) return HTI_NO_MEMORY(err);
    hti_buffer_init(&reader->scratch);
    reader->lenient = opts && opts->lenient;
    reader->optional_id = opts && opts->optional_id;
    const ht_status status = hti_lines_open(path, CORPUS_LINE_MAX, &reader->lines, err);
    if (status != HT_OK) {
        ht_corpus_close(reader);
        return status;
    }
    *out = reader;
    return HT_OK;
}

static ht_status read_record(ht_corpus_reader *reader, ht_text line, ht_record *record, ht_error *err)
{
    const hti_where where = {hti_lines_name(reader->lines), hti_lines_number(reader->lines)};
    hti_json_record members;
    HT_TRY(hti_json_record_read(line, where, &reader->scratch, &members, err));
    record->line = where.line;
    HT_TRY(hti_record_id(&members, where, reader->optional_id, &record->id, err));
    HT_TRY(hti_record_text(&members, HTI_MEMBER_TITLE, where, true, &record->title, err));
    return hti_record_text(&members, HTI_MEMBER_TEXT, where, false, &record->text, err);
}

ht_status ht_corpus_next(ht_corpus_reader *reader, ht_record *record, bool *more, ht_error *err)
{
    *more = false;
    for (;;) {
        ht_error why = {0};
        ht_text line;
        *record = (ht_record){{"", 0}, {"", 0}, {"", 0}, 0};
        ht_status status = hti_lines_next(reader->lines, &line, &why);
        if (status == HT_OK && !line.data) {
            hti_skipped_log(&reader->skipped, hti_lines_name(reader->lines));
            return HT_OK;
        }
        const bool bad_line = status == HT_OK || status == HT_LIMIT; /* else the stream itself is damaged */
        if (status == HT_OK && hti_blank_head(line) == line.len) continue;
        if (status == HT_OK) status = read_record(reader, line, record, &why);
        if (status == HT_OK) {
            *more = true;
            return HT_OK;
        }
        if (bad_line && hti_skip_line(&reader->skipped, reader->lenient, status, &why)) continue;
        return hti_fail(err, status, "%s", why.message);
    }
}

void ht_corpus_progress(const ht_corpus_reader *reader, uint64_t *done, uint64_t *total)
{
    hti_lines_progress(reader->lines, done, total);
}

void ht_corpus_close(ht_corpus_reader *reader)
{
    if (!reader) return;
    if (reader->lines) hti_skipped_log(&reader->skipped, hti_lines_name(reader->lines));
    hti_lines_close(reader->lines);
    hti_buffer_deinit(&reader->scratch);
    hti_free(reader);
}
