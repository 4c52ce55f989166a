/*
 * test_lines.c - lines of plain, gzip and zstd input against a naive split of the same text.
 *
 * HT_SEED repeats a run, HT_ITERS lengthens it.
 */
#include "codec/codec.h"

#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault_alloc.h"
#include "squeeze.h"

enum { MAX_LINE = 1 << 20 };
typedef enum form { PLAIN_FORM, GZIP_FORM, ZSTD_FORM, N_FORMS } form;

static char path[] = "/tmp/ht-lines-XXXXXX";

static const char *write_bytes(const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return path;
}

static hti_lines *open_bytes(const void *data, size_t len, size_t max_line)
{
    hti_lines *lines;
    ht_error err = {0};
    if (hti_lines_open(write_bytes(data, len), max_line, &lines, &err) != HT_OK) fail_msg("%s", err.message);
    return lines;
}

static void assert_line(hti_lines *lines, const char *wanted)
{
    ht_text line;
    ht_error err = {0};
    if (hti_lines_next(lines, &line, &err) != HT_OK) fail_msg("%s", err.message);
    if (!line.data || line.len != strlen(wanted) || memcmp(line.data, wanted, line.len) != 0)
        fail_msg("\"%.*s\" where \"%s\" was expected", (int)line.len, line.data ? line.data : "(end)", wanted);
}

static void assert_end(hti_lines *lines)
{
    ht_text line = {"x", 1};
    assert_int_equal(hti_lines_next(lines, &line, NULL), HT_OK);
    assert_null(line.data);
}

static void squeeze_as(form as, squeezed *to, const void *data, size_t len)
{
    if (as == GZIP_FORM) squeeze_gzip(to, data, len);
    if (as == ZSTD_FORM) squeeze_zstd(to, data, len);
    if (as == PLAIN_FORM) {
        memcpy(squeeze_room(to, len + 1), data, len);
        to->len += len;
    }
}

/* ---- forms of lines ---- */

static void check_small(const char *text, size_t n, const char *const *wanted)
{
    for (form as = PLAIN_FORM; as < N_FORMS; as++) {
        squeezed file = {NULL, 0};
        squeeze_as(as, &file, text, strlen(text));
        hti_lines *lines = open_bytes(file.data, file.len, MAX_LINE);
        for (size_t i = 0; i < n; i++) {
            assert_line(lines, wanted[i]);
            assert_int_equal(hti_lines_number(lines), i + 1);
        }
        assert_end(lines);
        assert_end(lines);
        assert_int_equal(hti_lines_number(lines), n);
        uint64_t done, total;
        hti_lines_progress(lines, &done, &total);
        assert_true(done == file.len && total == file.len);
        assert_string_equal(hti_lines_name(lines), path);
        hti_lines_close(lines);
        free(file.data);
    }
}

static void test_small_texts(void **unused)
{
    (void)unused;
    check_small("", 0, NULL);
    check_small("\n", 1, (const char *const[]){""});
    check_small("a", 1, (const char *const[]){"a"});
    check_small("a\n\nb\n", 3, (const char *const[]){"a", "", "b"});
    check_small("a\r\n\r\nb\rc\r\n", 3, (const char *const[]){"a", "", "b\rc"});
    check_small("a\r", 1, (const char *const[]){"a"});
    check_small("a\r\r\n", 1, (const char *const[]){"a\r"});
    check_small("\xEF\xBB\xBF"
                "a\n\xEF\xBB\xBF"
                "b",
                2,
                (const char *const[]){"a", "\xEF\xBB\xBF"
                                           "b"}); /* a mark only at the start */
    check_small("\xEF\xBB\xBF\r\nb", 2, (const char *const[]){"", "b"});
    check_small("\xEF\xBB\xBF", 1, (const char *const[]){""});
    check_small("\xEF\xBB", 1, (const char *const[]){"\xEF\xBB"});
    check_small("\x1F", 1, (const char *const[]){"\x1F"});
    check_small("\x28\xB5\x2F", 1, (const char *const[]){"\x28\xB5\x2F"});
}

/* ---- random texts in random members ---- */

static size_t below(uint64_t *state, size_t n) { return (size_t)(hti_random_next(state) % n); }

/* Lines of any length, now and then longer than the buffers. */
static void random_text(uint64_t *state, hti_buffer *text)
{
    static const size_t spans[] = {3, 3, 80, 80, 3000, 300000};
    hti_buffer_clear(text);
    for (size_t n = below(state, 40); n > 0; n--) {
        size_t len = below(state, spans[below(state, HTI_LEN(spans))]);
        char *room = hti_buffer_room(text, len);
        assert_non_null(room);
        for (size_t i = 0; i < len; i++) room[i] = (char)('a' + below(state, 3));
        text->len += len;
        hti_buffer_text(text, n > 1 || below(state, 2) ? "\n" : "");
    }
}

static void compare(hti_lines *lines, const hti_buffer *text, form as, unsigned long iteration)
{
    size_t at = 0;
    for (;;) {
        ht_text line;
        ht_error err = {0};
        if (hti_lines_next(lines, &line, &err) != HT_OK)
            fail_msg("form %d, iteration %lu: %s", (int)as, iteration, err.message);
        if (at == text->len) {
            if (line.data) fail_msg("form %d, iteration %lu: a line behind the end", (int)as, iteration);
            return;
        }
        const char *end = memchr(text->data + at, '\n', text->len - at);
        const size_t len = end ? (size_t)(end - text->data) - at : text->len - at;
        if (!line.data || line.len != len || memcmp(line.data, text->data + at, len) != 0)
            fail_msg("form %d, iteration %lu: wrong line at byte %zu", (int)as, iteration, at);
        at += len + (end != NULL);
    }
}

static void test_random_members(void **unused)
{
    (void)unused;
    const char *seed_text = getenv("HT_SEED"), *iters_text = getenv("HT_ITERS");
    uint64_t state = seed_text ? strtoul(seed_text, NULL, 10) : 1;
    const unsigned long iters = iters_text ? strtoul(iters_text, NULL, 10) : 15;
    hti_buffer text;
    hti_buffer_init(&text);
    for (unsigned long i = 0; i < iters; i++) {
        random_text(&state, &text);
        for (form as = PLAIN_FORM; as < N_FORMS; as++) {
            squeezed file = {NULL, 0};
            for (size_t at = 0, n_members = 1 + below(&state, 4); n_members > 0; n_members--) {
                const size_t len = n_members > 1 ? below(&state, text.len - at + 1) : text.len - at; /* may be empty */
                squeeze_as(as, &file, text.len ? text.data + at : "", len);
                at += len;
            }
            hti_lines *lines = open_bytes(file.data, file.len, MAX_LINE);
            compare(lines, &text, as, i);
            hti_lines_close(lines);
            free(file.data);
        }
    }
    hti_buffer_deinit(&text);
}

/* ---- damage ---- */

/* All lines of the file; its status. */
static ht_status read_through(const void *data, size_t len, ht_error *err)
{
    hti_lines *lines;
    ht_text line = {"", 0};
    ht_status status = hti_lines_open(write_bytes(data, len), MAX_LINE, &lines, err);
    if (status != HT_OK) return status;
    while (status == HT_OK && line.data) status = hti_lines_next(lines, &line, err);
    hti_lines_close(lines);
    return status;
}

static void test_cut_short(void **unused)
{
    (void)unused;
    char text[3000];
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof text; i++) text[i] = below(&state, 20) ? (char)('a' + below(&state, 26)) : '\n';
    for (form as = GZIP_FORM; as < N_FORMS; as++) {
        squeezed file = {NULL, 0};
        squeeze_as(as, &file, text, sizeof text);
        const size_t first = file.len;
        squeeze_as(as, &file, text, 100);
        for (size_t len = 4; len < file.len; len++) {
            ht_error err = {0};
            const ht_status status = read_through(file.data, len, &err);
            if (status != (len == first ? HT_OK : HT_PARSE))
                fail_msg("form %d cut to %zu: %s", (int)as, len, ht_status_name(status));
        }
        ht_error err = {0};
        char wanted[200];
        assert_int_equal(read_through(file.data, first - 1, &err), HT_PARSE);
        (void)snprintf(wanted, sizeof wanted, "%s: byte %zu: damaged %s stream: cut short", path, first - 1,
                       as == GZIP_FORM ? "gzip" : "zstd");
        assert_string_equal(err.message, wanted);
        free(file.data);
    }
}

/* Flipped bits are noticed (gzip: by its checksum at the latest), and an error stays one. */
static void test_flipped_bits(void **unused)
{
    (void)unused;
    squeezed file = {NULL, 0};
    char text[2000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i * i % 23);
    squeeze_gzip(&file, text, sizeof text);
    size_t n_refused = 0;
    for (size_t bit = 8 * 10; bit < 8 * file.len; bit++) { /* behind the head, whose time and flags are free */
        ht_error err = {0};
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        n_refused += read_through(file.data, file.len, &err) == HT_PARSE;
        file.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_true(n_refused + 7 >= 8 * (file.len - 10)); /* up to 7 bits behind the last block fill its byte */
    free(file.data);
    static const char junk[] = "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03\xFF\xFF\xFF\xFF";
    hti_lines *lines = open_bytes(junk, sizeof junk - 1, MAX_LINE);
    ht_text line;
    assert_int_equal(hti_lines_next(lines, &line, NULL), HT_PARSE);
    assert_null(line.data);
    assert_int_equal(hti_lines_next(lines, &line, NULL), HT_PARSE);
    hti_lines_close(lines);
}

/* ---- lines too long ---- */

static void test_long_lines(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *plan; /* a letter a line: '+' is given, '-' refused */
    } rows[] = {
        {"12345678\nabc\n", "++"}, {"123456789\nabc\n", "-+"},
        {"abc\n123456789", "+-"},  {"123456789\n123456789\n1\n123456789", "--+-"},
        {"12345678", "+"},         {"\n\n123456789\n\n", "++-+"},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        hti_lines *lines = open_bytes(rows[i].text, strlen(rows[i].text), 8);
        for (const char *plan = rows[i].plan; *plan; plan++) {
            ht_text line;
            ht_error err = {0};
            const ht_status status = hti_lines_next(lines, &line, &err);
            if (status != (*plan == '+' ? HT_OK : HT_LIMIT) || !line.data != (*plan == '-'))
                fail_msg("row %zu, line %zu", i, (size_t)(plan - rows[i].plan));
            assert_int_equal(hti_lines_number(lines), plan - rows[i].plan + 1);
            char wanted[100];
            (void)snprintf(wanted, sizeof wanted, "%s:%zu: line longer than 8 bytes; shorten or split it", path,
                           (size_t)(plan - rows[i].plan) + 1);
            if (status == HT_LIMIT) assert_string_equal(err.message, wanted);
        }
        assert_end(lines);
        hti_lines_close(lines);
    }
}

/* A line of megabytes that is refused must not be held in memory. */
static void test_long_lines_cost_nothing(void **unused)
{
    (void)unused;
    const size_t len = 20u << 20;
    char *text = malloc(len + 3);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text + len, "\nb", 3);
    for (form as = PLAIN_FORM; as < N_FORMS; as++) {
        squeezed file = {NULL, 0};
        squeeze_as(as, &file, text, len + 2);
        hti_lines *lines = open_bytes(file.data, file.len, 1000);
        ht_text line;
        const int64_t before = fault_alloc_live_bytes();
        assert_int_equal(hti_lines_next(lines, &line, NULL), HT_LIMIT);
        assert_line(lines, "b");
        assert_true(fault_alloc_live_bytes() - before < 1 << 20);
        assert_int_equal(hti_lines_number(lines), 2);
        assert_end(lines);
        hti_lines_close(lines);
        free(file.data);
    }
    free(text);
}

/* ---- the rest ---- */

static void test_no_file(void **unused)
{
    (void)unused;
    hti_lines *lines = (hti_lines *)1;
    ht_error err = {0};
    assert_int_equal(hti_lines_open("/nonexistent/x", MAX_LINE, &lines, &err), HT_NOT_FOUND);
    assert_null(lines);
    assert_int_equal(hti_lines_open("/tmp", MAX_LINE, &lines, &err), HT_IO);
    assert_null(lines);
    assert_string_equal(err.message, "/tmp: cannot read: Is a directory");
    hti_lines_close(NULL);
}

static ht_status sweep_form(void *ud, ht_error *err)
{
    const squeezed *file = ud;
    return read_through(file->data, file->len, err);
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    for (form as = PLAIN_FORM; as < N_FORMS; as++) {
        squeezed file = {NULL, 0};
        squeeze_as(as, &file, "one\ntwo\nthree", 13);
        assert_true(fault_alloc_sweep(sweep_form, &file, false, 100) >= 4);
        free(file.data);
    }
}

int main(void)
{
    fault_alloc_install();
    const int fd = mkstemp(path);
    if (fd < 0) return 1;
    (void)close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_texts), cmocka_unit_test(test_random_members),
        cmocka_unit_test(test_cut_short),   cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_long_lines),  cmocka_unit_test(test_long_lines_cost_nothing),
        cmocka_unit_test(test_no_file),     cmocka_unit_test(test_out_of_memory),
    };
    const int rc = cmocka_run_group_tests_name("lines", tests, NULL, NULL);
    (void)unlink(path);
    return rc;
}
