/*
 * yaml_scalar.c - scalars by the core schema of YAML 1.2.2, section 10.3.2.
 *
 *     null   null | Null | NULL | ~ | (nothing)
 *     bool   true | True | TRUE | false | False | FALSE
 *     int    [-+]? [0-9]+  |  0o [0-7]+  |  0x [0-9a-fA-F]+
 *     float  [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?  |  [-+]? .inf  |  .nan
 *
 * Everything else, and everything quoted, is a string: yes, no, on, off, 1_000, 0b1, 12:30:45 and dates too.
 * Easy to get wrong: 010 is ten here (it was eight in YAML 1.1); strtod follows the process's locale.
 */
#include "yaml_scalar.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char core[] = "tag:yaml.org,2002:";

static bool is_one_of(ht_text text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(words[i]) == text.len && memcmp(words[i], text.data, text.len) == 0) return true;
    return false;
}

static bool is_null(ht_text text)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return is_one_of(text, words, HTI_LEN(words));
}

static bool is_bool(ht_text text, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};
    *out = is_one_of(text, yes, HTI_LEN(yes));
    return *out || is_one_of(text, no, HTI_LEN(no));
}

/* Value of a digit, 16 if it is none. */
static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
    return 16;
}

/* Whether the text is an integer; *fits tells whether *out holds it. */
static bool is_int(ht_text text, int64_t *out, bool *fits)
{
    const bool sign = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    const bool minus = sign && text.data[0] == '-', prefix = text.len > 1 && text.data[0] == '0';
    const unsigned base = prefix && text.data[1] == 'x' ? 16 : prefix && text.data[1] == 'o' ? 8 : 10;
    size_t at = base != 10 ? 2 : sign;
    if (at == text.len) return false;
    *fits = true;
    *out = 0;
    for (; at < text.len; at++) {
        const unsigned digit = digit_of(text.data[at]);
        if (digit >= base) return false;
        const int64_t step = minus ? -(int64_t)digit : (int64_t)digit;
        if (__builtin_mul_overflow(*out, (int64_t)base, out) || __builtin_add_overflow(*out, step, out)) *fits = false;
    }
    return true;
}

static size_t skip_digits(ht_text text, size_t at)
{
    while (at < text.len && digit_of(text.data[at]) < 10) at++;
    return at;
}

static bool is_decimal(ht_text text)
{
    size_t at = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    const size_t whole = skip_digits(text, at);
    size_t n_digits = whole - at;
    at = whole;
    if (at < text.len && text.data[at] == '.') {
        const size_t end = skip_digits(text, at + 1);
        n_digits += end - at - 1;
        at = end;
    }
    if (n_digits == 0) return false;
    if (at == text.len) return true;
    if (text.data[at] != 'e' && text.data[at] != 'E') return false;
    at++;
    if (at < text.len && (text.data[at] == '-' || text.data[at] == '+')) at++;
    return at < text.len && skip_digits(text, at) == text.len;
}

static bool is_special(ht_text text, double *out)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"};
    static const char *const negative[] = {"-.inf", "-.Inf", "-.INF"}, *const nan[] = {".nan", ".NaN", ".NAN"};
    *out = is_one_of(text, nan, HTI_LEN(nan)) ? (double)NAN : (double)INFINITY;
    if (isnan(*out) || is_one_of(text, infinite, HTI_LEN(infinite))) return true;
    *out = -(double)INFINITY;
    return is_one_of(text, negative, HTI_LEN(negative));
}

static locale_t plain_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static void make_locale(void) { plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static ht_status resolve_decimal(ht_text text, hti_yaml_node *node, const char **why)
{
    (void)pthread_once(&locale_once, make_locale);
    if (!plain_locale) return HT_NO_MEMORY;
    node->kind = HTI_YAML_FLOAT;
    node->as.number = strtod_l(text.data, NULL, plain_locale);
    if (!isinf(node->as.number)) return HT_OK;
    *why = "a number beyond the range of a double; quote it if it is a text";
    return HT_LIMIT;
}

static ht_status resolve_plain(ht_text text, hti_yaml_node *node, const char **why)
{
    bool fits = true;
    *why = NULL;
    if (is_null(text)) {
        node->kind = HTI_YAML_NULL;
    } else if (is_bool(text, &node->as.boolean)) {
        node->kind = HTI_YAML_BOOL;
    } else if (is_int(text, &node->as.integer, &fits)) {
        node->kind = HTI_YAML_INT;
        if (fits) return HT_OK;
        *why = "an integer beyond 64 bits; quote it if it is a text";
        return HT_LIMIT;
    } else if (is_special(text, &node->as.number)) {
        node->kind = HTI_YAML_FLOAT;
    } else if (is_decimal(text)) {
        return resolve_decimal(text, node, why);
    } else {
        node->kind = HTI_YAML_STRING;
        node->as.text = text;
    }
    return HT_OK;
}

/* A tag on a scalar asks for a kind; the text must then be one of that kind. */
static ht_status resolve_tagged(ht_text text, hti_yaml_kind kind, hti_yaml_node *node, const char **why)
{
    const ht_status status = resolve_plain(text, node, why);
    if (kind == HTI_YAML_FLOAT && is_decimal(text)) return resolve_decimal(text, node, why);
    if (status != HT_OK || node->kind == kind) return status;
    *why = "the value does not fit its tag";
    return HT_PARSE;
}

ht_status hti_yaml_resolve(ht_text text, bool plain, const char *tag, hti_yaml_node *node, const char **why)
{
    static const struct {
        const char *name;
        hti_yaml_kind kind;
    } tags[] = {{"null", HTI_YAML_NULL}, {"bool", HTI_YAML_BOOL}, {"int", HTI_YAML_INT}, {"float", HTI_YAML_FLOAT}};
    if (!tag && plain) return resolve_plain(text, node, why);
    node->kind = HTI_YAML_STRING;
    node->as.text = text;
    if (!tag || strcmp(tag, "!") == 0) return HT_OK;
    const size_t lead = sizeof core - 1;
    if (strncmp(tag, core, lead) == 0) {
        if (strcmp(tag + lead, "str") == 0) return HT_OK;
        for (size_t i = 0; i < HTI_LEN(tags); i++)
            if (strcmp(tag + lead, tags[i].name) == 0) return resolve_tagged(text, tags[i].kind, node, why);
    }
    *why = "a tag that is none of !!null, !!bool, !!int, !!float, !!str";
    return HT_PARSE;
}

bool hti_yaml_collection_tag(const char *tag, hti_yaml_kind kind)
{
    if (!tag || strcmp(tag, "!") == 0) return true;
    if (strncmp(tag, core, sizeof core - 1) != 0) return false;
    return strcmp(tag + sizeof core - 1, kind == HTI_YAML_LIST ? "seq" : "map") == 0;
}
