/*
 * eval_int.h - what the files of the evaluation room share; nothing outside includes it but tests.
 */
#ifndef HTI_EVAL_EVAL_INT_H
#define HTI_EVAL_EVAL_INT_H

#include "base/base.h"
#include "codec/codec.h"

#include <houndstooth/eval.h>

/* An option struct whose size was never set would silently read as defaults: refuse it. */
#define HTI_CHECK_OPTS(opts, err)                                                               \
    do {                                                                                        \
        if ((opts) && (opts)->size < sizeof *(opts))                                            \
            return HT_FAIL((err), INVALID, "%s: set the size of the options struct", __func__); \
    } while (0)

/* ---- rows per query, with interned ids (run_table.c) ---- */

typedef struct hti_row {
    double value; /* score or grade */
    uint32_t doc; /* entry of `docs` */
} hti_row;

typedef struct hti_row_list {
    size_t first, n, cap; /* rows[first .. first + n), room for cap */
} hti_row_list;

typedef struct hti_table {
    hti_map queries;     /* entry q is list q */
    hti_map docs;        /* value: the last query that took the document */
    hti_row_list *lists; /* [queries.n] */
    hti_row *rows;
    uint64_t *pairs; /* [n_slots] set of (query, document), once queries interleave; else NULL */
    size_t cap_lists, n_rows, cap_rows, n_slots, n_pairs;
    uint32_t last_query; /* HTI_MAP_NONE before the first row */
} hti_table;

struct ht_run {
    hti_table table;
};
struct ht_qrels {
    hti_table table;
};

/* Adds a row; EXISTS if the query has the document. Any value. */
HT_CHECKED ht_status hti_table_add(hti_table *table, ht_text query, ht_text doc, double value, ht_error *err);
/* Rows of query q, [*n], in order of addition; valid until the next addition. */
const hti_row *hti_table_rows(const hti_table *table, size_t q, size_t *n);
static inline ht_text hti_entry_text(const hti_map *map, size_t entry)
{
    return (ht_text){map->entries[entry].key, map->entries[entry].len};
}
/*
 * Like ht_run_add, but takes infinite scores too, which order as one expects. For tests of the
 * measures: trec_eval accepts them, our files and our public door do not.
 */
HT_CHECKED ht_status hti_run_add_any(ht_run *run, ht_text query, ht_text doc, double score, ht_error *err);

/* ---- fields of text lines (eval_text.c) ---- */

/* A place in a file, for messages. */
typedef struct hti_where {
    const char *name;
    uint64_t line;
} hti_where;

/* Fails with "name:line:column: ...", columns counted in bytes from 1. */
#define HTI_FAIL_AT(err, where, column, fmt, ...)                                                                \
    HT_FAIL((err), PARSE, "%s:%llu:%zu: " fmt, (where).name, (unsigned long long)(where).line, (size_t)(column), \
            __VA_ARGS__)

/* Bytes of a text to show in a message: at most 60, no character cut. For "%.*s". */
int hti_shown(ht_text text);
/* Bytes of blanks at the head of a line; its length if it is blank. */
size_t hti_blank_head(ht_text line);
/* Splits at blanks; stores up to `cap` fields and returns how many there are. */
size_t hti_split_blank(ht_text line, ht_text *fields, size_t cap);
/* Splits at tabs, blanks around a field dropped; same return. */
size_t hti_split_tabs(ht_text line, ht_text *fields, size_t cap);
/* Fails where a line is not UTF-8. */
HT_CHECKED ht_status hti_check_utf8(ht_text line, hti_where where, ht_error *err);
/* NULL if the id can stand in a run file: not empty, no blanks, no control characters; else the reason. */
const char *hti_id_fault(ht_text id);
/* A whole field as a number: true and the nearest double (infinite when too large); any locale. */
bool hti_parse_real(ht_text text, double *out);
/* A whole field as a decimal integer that fits. */
bool hti_parse_int32(ht_text text, int32_t *out);
/* Appends a finite double with 17 significant digits and a point in any locale. */
void hti_put_real(hti_buffer *buffer, double value);
bool hti_same_letters(ht_text text, const char *word); /* ASCII letters of either case */

/* Sorts in place; compare as for qsort (heap_sort.c). Elements of at most 64 bytes. */
typedef int (*hti_compare_fn)(const void *left, const void *right);
void hti_heap_sort(void *base, size_t n, size_t size, hti_compare_fn compare);

/* Bad lines of a lenient reading: how many, and what was wrong with the first. */
typedef struct hti_skipped {
    uint64_t n;
    char first[HT_ERROR_TEXT];
} hti_skipped;
/* True if `status` is a bad line's and may be skipped; counts it. */
bool hti_skip_line(hti_skipped *skipped, bool lenient, ht_status status, const ht_error *err);
/* Logs the sum, once. */
void hti_skipped_log(hti_skipped *skipped, const char *name);

/* ---- one JSON line as a record (json_record.c) ---- */

typedef enum hti_value_kind {
    HTI_VALUE_MISSING,
    HTI_VALUE_NULL,
    HTI_VALUE_TEXT,
    HTI_VALUE_INT,
    HTI_VALUE_OTHER
} hti_value_kind;
typedef struct hti_value {
    hti_value_kind kind;
    ht_text text; /* of TEXT, and digits of INT */
} hti_value;
enum { HTI_MEMBER__ID, HTI_MEMBER_ID, HTI_MEMBER_TITLE, HTI_MEMBER_TEXT, HTI_N_MEMBERS };
typedef struct hti_json_record {
    hti_value members[HTI_N_MEMBERS];
} hti_json_record;

/*
 * Reads a line of valid UTF-8 that is certain to be what jansson would accept, and gives the same
 * members; false: no verdict, ask hti_json_record_slow. Texts point into the line or into `scratch`.
 */
bool hti_json_record_plain(ht_text line, hti_buffer *scratch, hti_json_record *out);
/* The same through jansson, with its verdict. */
HT_CHECKED ht_status hti_json_record_slow(ht_text line, hti_where where, hti_buffer *scratch, hti_json_record *out,
                                          ht_error *err);
/* Line to members, one way or the other; checks UTF-8 first. */
HT_CHECKED ht_status hti_json_record_read(ht_text line, hti_where where, hti_buffer *scratch, hti_json_record *out,
                                          ht_error *err);
/* The id of a record: "_id", else "id"; a text or an integer. *id is empty if there is none and `optional`. */
HT_CHECKED ht_status hti_record_id(const hti_json_record *record, hti_where where, bool optional, ht_text *id,
                                   ht_error *err);
/* A member that is text; null, or missing if `optional`, is the empty text. */
HT_CHECKED ht_status hti_record_text(const hti_json_record *record, int member, hti_where where, bool optional,
                                     ht_text *out, ht_error *err);

/* ---- one query's ranking, as measures see it (measure.c, evaluate.c) ---- */

enum { HTI_UNJUDGED = -1, HTI_POOLED = -2 }; /* grades of documents without judgement, and below 0 */

typedef struct hti_ranking {
    const int32_t *grades; /* [n_ret], best document first */
    const int32_t *ideal;  /* [n_ideal], all grades over 0 of the query, highest first */
    size_t n_ret, n_ideal;
    size_t n_rel, n_rel_ret; /* relevant in all, and returned */
    size_t n_nonrel;         /* judged and not relevant, in all */
    int32_t min_grade;       /* relevant from here */
} hti_ranking;

/* Value of a parsed measure. */
double hti_measure_value(const ht_measure *measure, const hti_ranking *ranking);
/* True if the value over queries is a sum, not a mean. */
bool hti_measure_is_sum(const ht_measure *measure);

#endif
