/*
 * lines.c - one line at a time out of a plain, gzip or zstd stream.
 *
 * Layout: compressed bytes -> `in`, plain bytes -> `out` [start, end). A line is found in place; what
 * is left moves to the front before the next refill, so memory is bounded by the longest line.
 * Workload: corpora of gigabytes in lines of about 1 KB; the decompressor dominates.
 * Easy to get wrong: gzip and zstd files may hold several members one behind the other; the end of a
 * member is not the end of the input, and an input that ends inside a member is damaged.
 */
#include "codec.h"

#include "os/os.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_CAP = 128 * 1024, OUT_STEP = 128 * 1024, SNIFF = 4 };
typedef enum stream_kind { PLAIN, GZIP, ZSTD } stream_kind;

struct hti_lines {
    hti_input *input;
    char *path;
    size_t max_line;
    stream_kind kind;
    unsigned char *in; /* [IN_CAP] */
    size_t in_at, in_len;
    char *out; /* [out_cap] */
    size_t start, end, out_cap;
    bool in_done, member_open, skipping;
    uint64_t number, bytes_done, bytes_total;
    z_stream gz;
    bool gz_ready;
    ZSTD_DCtx *zstd;
};

static void *zlib_alloc(void *ud, unsigned n, unsigned size)
{
    (void)ud;
    return hti_alloc(hti_mul(n, size));
}

static void zlib_free(void *ud, void *ptr)
{
    (void)ud;
    hti_free(ptr);
}

static ht_status fill_input(hti_lines *lines, ht_error *err)
{
    if (lines->in_at < lines->in_len || lines->in_done) return HT_OK;
    lines->in_at = 0;
    HT_TRY(hti_input_read(lines->input, lines->in, IN_CAP, &lines->in_len, err));
    lines->bytes_done += lines->in_len;
    lines->in_done = lines->in_len == 0;
    return HT_OK;
}

static ht_status prepare_stream(hti_lines *lines, ht_error *err)
{
    HT_TRY(fill_input(lines, err));
    const unsigned char *head = lines->in;
    if (lines->in_len >= 2 && head[0] == 0x1F && head[1] == 0x8B) lines->kind = GZIP;
    if (lines->in_len >= SNIFF && memcmp(head, "\x28\xB5\x2F\xFD", SNIFF) == 0) lines->kind = ZSTD;
    if (lines->kind == GZIP) {
        lines->gz.zalloc = zlib_alloc;
        lines->gz.zfree = zlib_free;
        if (inflateInit2(&lines->gz, 15 + 16) != Z_OK) return HTI_NO_MEMORY(err);
        lines->gz_ready = true;
    }
    if (lines->kind == ZSTD && !(lines->zstd = ZSTD_createDCtx())) return HTI_NO_MEMORY(err);
    return HT_OK;
}

static ht_status damaged(const hti_lines *lines, const char *what, ht_error *err)
{
    return HT_FAIL(err, PARSE, "%s: byte %llu: damaged %s stream: %s", lines->path,
                   (unsigned long long)(lines->bytes_done - lines->in_len + lines->in_at),
                   lines->kind == GZIP ? "gzip" : "zstd", what);
}

static ht_status inflate_some(hti_lines *lines, ht_error *err)
{
    z_stream *gz = &lines->gz;
    gz->next_in = lines->in + lines->in_at;
    gz->avail_in = (unsigned)(lines->in_len - lines->in_at);
    gz->next_out = (unsigned char *)lines->out + lines->end;
    gz->avail_out = (unsigned)HTI_MIN(lines->out_cap - lines->end, (size_t)1 << 30);
    const unsigned room = gz->avail_out;
    const int rc = inflate(gz, Z_NO_FLUSH);
    lines->in_at = lines->in_len - gz->avail_in;
    lines->end += room - gz->avail_out;
    lines->member_open = rc != Z_STREAM_END;
    if (rc == Z_STREAM_END) return inflateReset(gz) == Z_OK ? HT_OK : damaged(lines, "cannot reset", err);
    if (rc == Z_MEM_ERROR) return HTI_NO_MEMORY(err);
    if (rc != Z_OK && rc != Z_BUF_ERROR) return damaged(lines, gz->msg ? gz->msg : "unknown", err);
    return HT_OK;
}

static ht_status unzstd_some(hti_lines *lines, ht_error *err)
{
    ZSTD_inBuffer in = {lines->in, lines->in_len, lines->in_at};
    ZSTD_outBuffer out = {lines->out, lines->out_cap, lines->end};
    const size_t rc = ZSTD_decompressStream(lines->zstd, &out, &in);
    lines->in_at = in.pos;
    lines->end = out.pos;
    if (ZSTD_isError(rc)) return damaged(lines, ZSTD_getErrorName(rc), err);
    lines->member_open = rc != 0;
    return HT_OK;
}

/* Moves more plain bytes into `out`; *ended when there are none left. */
static ht_status refill(hti_lines *lines, bool *ended, ht_error *err)
{
    if (lines->start > 0) {
        memmove(lines->out, lines->out + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    HT_TRY(hti_reserve(&lines->out, &lines->out_cap, lines->end + OUT_STEP, 1, err));
    HT_TRY(fill_input(lines, err));
    const size_t before = lines->end;
    if (lines->kind == PLAIN) {
        const size_t n = HTI_MIN(lines->in_len - lines->in_at, lines->out_cap - lines->end);
        if (n) memcpy(lines->out + lines->end, lines->in + lines->in_at, n);
        lines->in_at += n;
        lines->end += n;
    } else if (lines->in_at < lines->in_len || lines->member_open) {
        const size_t in_before = lines->in_at;
        HT_TRY(lines->kind == GZIP ? inflate_some(lines, err) : unzstd_some(lines, err));
        const bool stuck = lines->end == before && lines->in_at == in_before;
        if (stuck && lines->in_done && lines->member_open) return damaged(lines, "cut short", err);
    }
    *ended = lines->end == before && lines->in_done;
    return HT_OK;
}

ht_status hti_lines_open(const char *path, size_t max_line, hti_lines **out, ht_error *err)
{
    *out = NULL;
    hti_lines *lines = HTI_NEW(hti_lines);
    if (!lines) return HTI_NO_MEMORY(err);
    lines->max_line = max_line;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    lines->path = hti_alloc(strlen(name) + 1);
    lines->in = hti_alloc(IN_CAP);
    ht_status status = lines->path && lines->in ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        memcpy(lines->path, name, strlen(name) + 1);
        status = hti_input_open(path, &lines->input, err);
    }
    if (status == HT_OK && strcmp(path, "-") != 0) status = hti_file_size(path, &lines->bytes_total, err);
    if (status == HT_OK) status = prepare_stream(lines, err);
    if (status != HT_OK) {
        hti_lines_close(lines);
        return status;
    }
    *out = lines;
    return HT_OK;
}

/* Gives [start, at) as a line and steps over `skip` bytes of line end. */
static void give_line(hti_lines *lines, size_t at, size_t skip, ht_text *line)
{
    size_t len = at - lines->start;
    if (len > 0 && lines->out[lines->start + len - 1] == '\r') len--;
    *line = (ht_text){lines->out + lines->start, len};
    if (lines->number == 1 && len >= 3 && memcmp(line->data, "\xEF\xBB\xBF", 3) == 0)
        *line = (ht_text){line->data + 3, len - 3};
    lines->start = at + skip;
}

static ht_status too_long(hti_lines *lines, ht_error *err)
{
    return HT_FAIL(err, LIMIT, "%s:%llu: line longer than %zu bytes; shorten or split it", lines->path,
                   (unsigned long long)lines->number, lines->max_line);
}

ht_status hti_lines_next(hti_lines *lines, ht_text *line, ht_error *err)
{
    *line = (ht_text){NULL, 0};
    size_t searched = lines->start;
    lines->number++;
    for (;;) {
        const char *newline = lines->end > searched ? memchr(lines->out + searched, '\n', lines->end - searched) : NULL;
        if (newline && lines->skipping) { /* the rest of a line that was too long */
            lines->skipping = false;
            lines->start = searched = (size_t)(newline - lines->out) + 1;
            continue;
        }
        if (newline) {
            const size_t at = (size_t)(newline - lines->out);
            const bool fits = at - lines->start <= lines->max_line;
            give_line(lines, at, 1, line);
            if (fits) return HT_OK;
            *line = (ht_text){NULL, 0};
            return too_long(lines, err);
        }
        if (lines->skipping) lines->start = lines->end;
        if (lines->end - lines->start > lines->max_line) {
            lines->skipping = true;
            lines->start = lines->end;
            return too_long(lines, err);
        }
        const size_t held = lines->end - lines->start;
        bool ended = false;
        HT_TRY(refill(lines, &ended, err));
        searched = lines->start + held;
        if (!ended) continue;
        if (lines->end > lines->start) { /* a last line without its newline */
            give_line(lines, lines->end, 0, line);
            return HT_OK;
        }
        lines->number--;
        return HT_OK;
    }
}

uint64_t hti_lines_number(const hti_lines *lines) { return lines->number; }
const char *hti_lines_name(const hti_lines *lines) { return lines->path; }

void hti_lines_progress(const hti_lines *lines, uint64_t *done, uint64_t *total)
{
    *done = lines->bytes_done;
    *total = lines->bytes_total;
}

void hti_lines_close(hti_lines *lines)
{
    if (!lines) return;
    if (lines->gz_ready) (void)inflateEnd(&lines->gz);
    (void)ZSTD_freeDCtx(lines->zstd);
    hti_input_close(lines->input);
    hti_free(lines->out);
    hti_free(lines->in);
    hti_free(lines->path);
    hti_free(lines);
}
