/*
 * status.c - the status table, error formatting and the log hook.
 *
 * Thread rule: an ht_error belongs to one caller; the log callback is set once, before threads start.
 * Easy to get wrong: a message must stay one line of valid UTF-8 however it is cut, since front ends
 * print it as it is.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_row {
    ht_status status;
    const char *name, *text, *python;
    int exit_code, http;
} status_row;

static const status_row status_rows[] = {
#define ROW(name, number, text, exit_code, http, python) {HT_##name, #name, text, python, exit_code, http},
    HT_STATUS_LIST(ROW)
#undef ROW
};

static const status_row *row_of(ht_status status)
{
    const size_t at = (size_t)status;
    return at < HTI_LEN(status_rows) ? &status_rows[at] : &status_rows[HT_INTERNAL];
}

const char *ht_status_text(ht_status status) { return row_of(status)->text; }
const char *ht_status_name(ht_status status) { return row_of(status)->name; }
int ht_status_exit_code(ht_status status) { return row_of(status)->exit_code; }
int ht_status_http(ht_status status) { return row_of(status)->http; }
const char *ht_status_python(ht_status status) { return row_of(status)->python; }

#define TEXT_OF(x) TEXT_OF_(x)
#define TEXT_OF_(x) #x
const char *ht_version(void)
{
    return TEXT_OF(HT_VERSION_MAJOR) "." TEXT_OF(HT_VERSION_MINOR) "." TEXT_OF(HT_VERSION_PATCH);
}

/* Bytes of the UTF-8 character at `at` (RFC 3629), 0 if there is none; *cut if the text's end cut it in two. */
static size_t character_len(const unsigned char *at, bool *cut)
{
    const unsigned char lead = at[0];
    const size_t len = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < len; i++) {
        const unsigned char low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        *cut = at[i] == '\0';
        if (at[i] < low || at[i] > high) return 0;
    }
    return len;
}

/* Control characters become spaces, bytes that are no UTF-8 "?"; a character cut in two at the end is dropped. */
static void make_one_line(char *text)
{
    unsigned char *at = (unsigned char *)text;
    while (*at) {
        bool cut = false;
        const size_t len = character_len(at, &cut);
        if (*at < 0x20 || *at == 0x7F) *at = ' ';
        if (len == 0) *at = cut ? '\0' : '?';
        at += len ? len : !cut;
    }
}

HT_PRINTF(2, 0) static void format_into(char *text, const char *fmt, va_list args)
{
    const int n = vsnprintf(text, HT_ERROR_TEXT, fmt, args);
    if (n < 0) text[0] = '\0';
    make_one_line(text);
}

ht_status hti_fail(ht_error *err, ht_status status, const char *fmt, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    format_into(err->message, fmt, args);
    va_end(args);
    err->status = status;
    err->cause = 0;
    return status;
}

ht_status hti_fail_as(ht_error *err, ht_status status, const ht_error *why)
{
    if (!err) return status;
    if (err != why) *err = *why;
    err->status = status;
    return status;
}

ht_status hti_fail_context(ht_error *err, ht_status status, const char *fmt, ...)
{
    if (!err) return status;
    char context[HT_ERROR_TEXT], whole[2 * HT_ERROR_TEXT + 2];
    const uint64_t cause = err->cause;
    va_list args;
    va_start(args, fmt);
    format_into(context, fmt, args);
    va_end(args);
    (void)snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    (void)hti_fail(err, status, "%s", whole);
    err->cause = cause;
    return status;
}

static ht_log_fn log_fn;
static void *log_ud;

void ht_log_set(ht_log_fn fn, void *ud)
{
    log_fn = fn;
    log_ud = ud;
}

void hti_log(ht_log_level level, const char *fmt, ...)
{
    if (!log_fn) return;
    char text[HT_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    format_into(text, fmt, args);
    va_end(args);
    log_fn(log_ud, level, text);
}
