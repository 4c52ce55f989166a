/*
 * opt.c - options from tables, parsed by getopt_long, and the help page that the same table makes.
 */
#include "hound.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 40 };

ht_status fail(ht_error *err, ht_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    err->status = status;
    return status;
}

static void print_help(const opt_spec *spec)
{
    printf("usage: hound %s\n\n%s\n\noptions:\n", spec->usage, spec->about);
    for (size_t i = 0; i < spec->n_rows; i++) {
        const opt_row *row = &spec->rows[i];
        char left[64], letter[8] = "    ";
        if (row->letter) (void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
        (void)snprintf(left, sizeof left, "%s--%s %s", letter, row->name, row->metavar ? row->metavar : "");
        printf("  %-32s %s\n", left, row->help);
    }
    printf("  %-32s %s\n\nexample:\n%s\n", "    --help", "this page", spec->example);
}

static ht_status set_count(const opt_row *row, const char *value, ht_error *err)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (errno || end == value || *end || value[0] == '-' || number > SIZE_MAX / 2)
        return fail(err, HT_INVALID, "--%s takes a whole number, not \"%s\"", row->name, value);
    *(size_t *)row->target = (size_t)number;
    return HT_OK;
}

static ht_status set_real(const opt_row *row, const char *value, ht_error *err)
{
    char *end;
    errno = 0;
    const double number = strtod(value, &end);
    if (errno || end == value || *end || !(number - number == 0.0))
        return fail(err, HT_INVALID, "--%s takes a number, not \"%s\"", row->name, value);
    *(double *)row->target = number;
    return HT_OK;
}

static ht_status set_option(const opt_row *row, const char *value, ht_error *err)
{
    switch (row->kind) {
    case OPT_FLAG: *(bool *)row->target = true; return HT_OK;
    case OPT_TEXT: *(const char **)row->target = value; return HT_OK;
    case OPT_COUNT: return set_count(row, value, err);
    case OPT_REAL: return set_real(row, value, err);
    case OPT_LIST: break;
    }
    text_list *list = row->target;
    if (list->len == LIST_CAP) return fail(err, HT_LIMIT, "--%s given more than %d times", row->name, LIST_CAP);
    list->items[list->len++] = value;
    return HT_OK;
}

/* Builds getopt's two tables; the value returned for row i is 256 + i. */
static void make_tables(const opt_spec *spec, struct option *longs, char *shorts)
{
    size_t at = 0;
    shorts[at++] = ':';
    for (size_t i = 0; i < spec->n_rows; i++) {
        const opt_row *row = &spec->rows[i];
        const int takes = row->kind == OPT_FLAG ? no_argument : required_argument;
        longs[i] = (struct option){row->name, takes, NULL, 256 + (int)i};
        if (!row->letter) continue;
        shorts[at++] = row->letter;
        if (takes == required_argument) shorts[at++] = ':';
    }
    longs[spec->n_rows] = (struct option){"help", no_argument, NULL, 'h'};
    shorts[at++] = 'h';
    shorts[at] = '\0';
}

static const opt_row *row_of(const opt_spec *spec, int code)
{
    if (code >= 256) return &spec->rows[code - 256];
    for (size_t i = 0; i < spec->n_rows; i++)
        if (spec->rows[i].letter == code) return &spec->rows[i];
    return NULL;
}

static ht_status take_args(const opt_spec *spec, int argc, char **argv, text_list *args, ht_error *err)
{
    for (int i = optind; i < argc; i++) {
        if (args->len == spec->max_args || args->len == LIST_CAP)
            return fail(err, HT_INVALID, "unexpected argument \"%s\"; usage: hound %s", argv[i], spec->usage);
        args->items[args->len++] = argv[i];
    }
    if (args->len < spec->min_args) return fail(err, HT_INVALID, "too few arguments; usage: hound %s", spec->usage);
    return HT_OK;
}

ht_status opt_parse(const opt_spec *spec, int argc, char **argv, text_list *args, bool *helped, ht_error *err)
{
    struct option longs[MAX_ROWS + 2] = {{0}};
    char shorts[2 * MAX_ROWS + 3];
    *helped = false;
    args->len = 0;
    if (spec->n_rows > MAX_ROWS) return fail(err, HT_INTERNAL, "too many options in a table");
    make_tables(spec, longs, shorts);
    opterr = 0;
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (code == 'h') {
            print_help(spec);
            *helped = true;
            return HT_OK;
        }
        if (code == ':')
            return fail(err, HT_INVALID, "option %s needs a value; see hound %s --help", argv[optind - 1], argv[0]);
        const opt_row *row = code == '?' ? NULL : row_of(spec, code);
        if (!row) return fail(err, HT_INVALID, "unknown option %s; see hound %s --help", argv[optind - 1], argv[0]);
        TRY(set_option(row, optarg, err));
    }
    return take_args(spec, argc, argv, args, err);
}

ht_status choose(const char *option, const char *given, const char *const *words, size_t *out, ht_error *err)
{
    char all[256] = "";
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(given, words[i]) == 0) {
            *out = i;
            return HT_OK;
        }
        const size_t len = strlen(all);
        (void)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", words[i]);
    }
    return fail(err, HT_INVALID, "--%s \"%s\": it must be one of %s", option, given, all);
}
