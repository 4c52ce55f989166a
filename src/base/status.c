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

/* Newlines become spaces, and a character that was cut in two at the end is dropped. */
static void make_one_line(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20) text[i] = ' ';
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
    if (start == 0) return;
    const unsigned char lead = (unsigned char)text[start - 1];
    const size_t need = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (need > len - start) text[start - 1] = '\0';
}

static void format_into(char *text, const char *fmt, va_list args)
{
    const int n = vsnprintf(text, HT_ERROR_TEXT, fmt, args);
    if (n < 0) text[0] = '\0';
    make_one_line(text, strlen(text));
}

ht_status hti_fail(ht_error *err, ht_status status, const char *fmt, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    format_into(err->message, fmt, args);
    va_end(args);
    err->status = status;
    return status;
}

ht_status hti_fail_context(ht_error *err, ht_status status, const char *fmt, ...)
{
    if (!err) return status;
    char context[HT_ERROR_TEXT], whole[2 * HT_ERROR_TEXT + 2];
    va_list args;
    va_start(args, fmt);
    format_into(context, fmt, args);
    va_end(args);
    (void)snprintf(whole, sizeof whole, "%s: %s", context, err->message);
    return hti_fail(err, status, "%s", whole);
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
