/*
 * codec.h - the door of the room that turns bytes into values: JSON, YAML, Arrow, compressed lines, npy, varints.
 */
#ifndef HTI_CODEC_CODEC_H
#define HTI_CODEC_CODEC_H

#include "arrow.h"
#include "base/base.h"
#include "yaml_tree.h"

#include <jansson.h>

/* ---- JSON (jansson): strict UTF-8, duplicate keys refused ---- */

/* Parses a text; `name` (a path) and, when > 0, `line` go in front of a message. Release with json_decref. */
HT_CHECKED ht_status hti_json_parse(ht_text text, const char *name, uint64_t line, json_t **out, ht_error *err);
/* Reads and parses a file of at most max_bytes. */
HT_CHECKED ht_status hti_json_load(const char *path, size_t max_bytes, json_t **out, ht_error *err);
/* A member of an object with a fallback for missing or null; a wrong type fails and names file and key. */
HT_CHECKED ht_status hti_json_int(const json_t *object, const char *name, const char *key, int64_t otherwise,
                                  int64_t *out, ht_error *err);
HT_CHECKED ht_status hti_json_real(const json_t *object, const char *name, const char *key, double otherwise,
                                   double *out, ht_error *err);
HT_CHECKED ht_status hti_json_bool(const json_t *object, const char *name, const char *key, bool otherwise, bool *out,
                                   ht_error *err);
/* Borrowed text that lives as long as the object; {NULL, 0} if missing or null. */
HT_CHECKED ht_status hti_json_text(const json_t *object, const char *name, const char *key, ht_text *out,
                                   ht_error *err);
/* Appends a quoted, escaped JSON string. Invalid UTF-8 becomes U+FFFD. */
void hti_json_quote(hti_buffer *buffer, ht_text text);

/* ---- UTF-8 ---- */

/* Length of the longest valid UTF-8 prefix (RFC 3629: no surrogates, no overlong forms). */
size_t hti_utf8_valid(ht_text text);

/* ---- lines of a plain, gzip or zstd file, or of standard input ("-") ---- */

typedef struct hti_lines hti_lines;
/* The format is told by the first bytes, not the name. max_line bounds a line in bytes. */
HT_CHECKED ht_status hti_lines_open(const char *path, size_t max_line, hti_lines **out, ht_error *err);
/*
 * The next line without its "\n" or "\r\n"; valid until the next call. At the end *line has data
 * NULL. A UTF-8 byte order mark at the start of the input is dropped. A longer line fails with
 * HT_LIMIT and is skipped: the next call gives the line behind it.
 */
HT_CHECKED ht_status hti_lines_next(hti_lines *lines, ht_text *line, ht_error *err);
/* Number of the last line given, from 1. */
uint64_t hti_lines_number(const hti_lines *lines);
/* Compressed bytes read so far and their total (0 if unknown), for progress. */
void hti_lines_progress(const hti_lines *lines, uint64_t *done, uint64_t *total);
const char *hti_lines_name(const hti_lines *lines);
void hti_lines_close(hti_lines *lines);

/* ---- varints (LEB128, least significant group first) ---- */

enum { HTI_VARINT_MAX = 5 };
/* Writes 1..5 bytes and returns how many. */
size_t hti_varint_put(unsigned char *into, uint32_t value);
/* Reads one value from [at, end); returns the byte behind it, or NULL if cut short or over 32 bits. */
const unsigned char *hti_varint_get(const unsigned char *at, const unsigned char *end, uint32_t *value);

/* ---- npy (NumPy format 1.0) ---- */

/* Appends a header for a C-ordered float32 array of shape [n_rows, dim], 64-byte aligned. */
void hti_npy_header(hti_buffer *buffer, uint64_t n_rows, uint64_t dim);

#endif
