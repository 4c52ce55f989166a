/*
 * eval_text.c - fields of a text line: splitting, ids, numbers, and what a message may show of them.
 *
 * Workload: runs of millions of rows; splitting and numbers decide the speed of reading one. A score
 * of up to 15 digits is exact in one multiplication (Clinger 1990: both factors are exact doubles);
 * longer ones go to the C library.
 * Easy to get wrong: strtod and printf follow the process's locale, and a host program may have set
 * one with a decimal comma; strtod accepts "nan", "inf" and hexadecimal, which are not scores.
 * Thread rule: pure functions.
 */
#include "eval_int.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_MAX = 60, EXACT_DIGITS = 15, EXACT_POWER = 22, REAL_MAX = 400 };

int hti_shown(ht_text text)
{
    size_t len = HTI_MIN(text.len, (size_t)SHOWN_MAX);
    while (len > 0 && len < text.len && ((unsigned char)text.data[len] & 0xC0) == 0x80) len--;
    return (int)len;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

size_t hti_blank_head(ht_text line)
{
    size_t at = 0;
    while (at < line.len && is_blank(line.data[at])) at++;
    return at;
}

size_t hti_split_blank(ht_text line, ht_text *fields, size_t cap)
{
    size_t n = 0, at = 0;
    for (;;) {
        while (at < line.len && is_blank(line.data[at])) at++;
        if (at == line.len) return n;
        const size_t start = at;
        while (at < line.len && !is_blank(line.data[at])) at++;
        if (n < cap) fields[n] = (ht_text){line.data + start, at - start};
        n++;
    }
}

size_t hti_split_tabs(ht_text line, ht_text *fields, size_t cap)
{
    size_t n = 0, at = 0;
    for (;;) {
        size_t start = at, end = at;
        while (end < line.len && line.data[end] != '\t') end++;
        at = end + 1;
        while (start < end && is_blank(line.data[start])) start++;
        while (end > start && is_blank(line.data[end - 1])) end--;
        if (n < cap) fields[n] = (ht_text){line.data + start, end - start};
        n++;
        if (at > line.len) return n;
    }
}

ht_status hti_check_utf8(ht_text line, hti_where where, ht_error *err)
{
    const size_t valid = hti_utf8_valid(line);
    if (valid == line.len) return HT_OK;
    return HTI_FAIL_AT(err, where, valid + 1, "byte 0x%02X is not valid UTF-8; convert the file to UTF-8",
                       (unsigned char)line.data[valid]);
}

const char *hti_id_fault(ht_text id)
{
    if (id.len == 0) return "is empty";
    for (size_t i = 0; i < id.len; i++) {
        const unsigned char c = (unsigned char)id.data[i];
        if (is_blank(id.data[i])) return "holds a blank";
        if (c < 0x20 || c == 0x7F) return "holds a control character";
    }
    return NULL;
}

/* ---- numbers ---- */

static locale_t plain_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static void make_locale(void) { plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

typedef struct decimal {
    uint64_t digits; /* of the first 19 significant ones */
    int power, n_digits;
} decimal;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void take_digit(decimal *number, char c, bool fraction)
{
    if (number->n_digits < 19) {
        number->digits = number->digits * 10 + (uint64_t)(c - '0');
        number->n_digits += number->digits > 0;
        number->power -= fraction;
    } else {
        number->power += !fraction;
        number->n_digits++; /* no longer exact */
    }
}

/* [+-] digits [. digits] [e [+-] digits], at least one digit in front of the exponent; all of the text. */
static bool scan_real(ht_text text, decimal *number)
{
    const char *at = text.data, *const end = text.data + text.len;
    size_t seen = 0;
    *number = (decimal){0, 0, 0};
    if (at < end && (*at == '+' || *at == '-')) at++;
    for (; at < end && is_digit(*at); at++, seen++) take_digit(number, *at, false);
    if (at < end && *at == '.')
        for (at++; at < end && is_digit(*at); at++, seen++) take_digit(number, *at, true);
    if (seen == 0) return false;
    if (at == end) return true;
    if (*at != 'e' && *at != 'E') return false;
    at++;
    const bool minus = at < end && *at == '-';
    if (at < end && (*at == '+' || *at == '-')) at++;
    if (at == end) return false;
    int exponent = 0;
    for (; at < end && is_digit(*at); at++) exponent = HTI_MIN(exponent * 10 + (*at - '0'), 100000);
    number->power += minus ? -exponent : exponent;
    return at == end;
}

static bool slow_real(ht_text text, double *out)
{
    char copy[REAL_MAX + 1];
    if (text.len > REAL_MAX) return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    (void)pthread_once(&locale_once, make_locale);
    *out = plain_locale ? strtod_l(copy, NULL, plain_locale) : strtod(copy, NULL);
    return true;
}

bool hti_parse_real(ht_text text, double *out)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal number;
    if (text.len == 0 || !scan_real(text, &number)) return false;
    const int power = number.power;
    if (number.n_digits > EXACT_DIGITS || power > EXACT_POWER || power < -EXACT_POWER) return slow_real(text, out);
    const double digits = (double)number.digits;
    const double value = power < 0 ? digits / powers[-power] : digits * powers[power];
    *out = text.data[0] == '-' ? -value : value;
    return true;
}

bool hti_parse_int32(ht_text text, int32_t *out)
{
    size_t at = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    int64_t value = 0;
    if (at == text.len) return false;
    for (; at < text.len; at++) {
        if (!is_digit(text.data[at])) return false;
        value = value * 10 + (text.data[at] - '0');
        if (value > (int64_t)INT32_MAX + 1) return false;
    }
    if (text.data[0] == '-') value = -value;
    if (value > INT32_MAX) return false;
    *out = (int32_t)value;
    return true;
}

void hti_put_real(hti_buffer *buffer, double value)
{
    char text[48];
    (void)snprintf(text, sizeof text, "%.17g", value);
    const char *radix = text + strspn(text, "+-0123456789");
    const size_t head = (size_t)(radix - text);
    hti_buffer_append(buffer, text, head);
    if (*radix == '\0') return;
    const char *tail = radix + strcspn(radix, "0123456789e");
    if (tail > radix) hti_buffer_append(buffer, ".", 1); /* whatever the locale's decimal point is */
    hti_buffer_text(buffer, tail);
}

bool hti_same_letters(ht_text text, const char *word)
{
    size_t i = 0;
    for (; i < text.len && word[i] != '\0'; i++) {
        const char a = text.data[i], b = word[i];
        const bool same = a == b || ((a ^ b) == 0x20 && (a | 0x20) >= 'a' && (a | 0x20) <= 'z');
        if (!same) return false;
    }
    return i == text.len && word[i] == '\0';
}

/* ---- lenient reading ---- */

bool hti_skip_line(hti_skipped *skipped, bool lenient, ht_status status, const ht_error *err)
{
    if (!lenient || status == HT_NO_MEMORY || status == HT_IO) return false;
    if (skipped->n++ == 0) memcpy(skipped->first, err->message, sizeof skipped->first);
    return true;
}

void hti_skipped_log(hti_skipped *skipped, const char *name)
{
    if (skipped->n == 0) return;
    hti_log(HT_LOG_WARNING, "%s: skipped %llu bad line%s; the first: %s", name, (unsigned long long)skipped->n,
            skipped->n == 1 ? "" : "s", skipped->first);
    skipped->n = 0;
}
