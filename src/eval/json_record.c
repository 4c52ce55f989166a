/*
 * json_record.c - one line of a corpus: the members _id, id, title and text of a JSON object.
 *
 * Two readers of the same line. The plain one scans it once, without a tree: it must be sure of every
 * byte, and gives no verdict where it is not (escaped keys, exponents, deep nesting, any error).
 * Then jansson reads the line, and its word stands, in what is refused as well as in what is read.
 * So the scanner may only ever accept a subset of jansson's language, with the same values; a fuzz
 * target and a property test hold the two against each other.
 * Layout: `open` holds for each nesting level its bracket and where its keys begin in `keys`, which
 * finds repeated keys at every level. Nothing recurses.
 * Workload: corpora of gigabytes, lines of 1 KB, most of it one string with few escapes: the search
 * for the next quote, backslash or control character takes eight bytes at a time.
 * Easy to get wrong: \u escapes above U+FFFF come as pairs; one without its other is an error.
 */
#include "eval_int.h"

enum { MAX_DEPTH = 16, MAX_KEYS = 64, MAX_DIGITS = 18, MAX_REAL = 40 };

static const char *const member_names[HTI_N_MEMBERS] = {"_id", "id", "title", "text"};

typedef struct scan {
    const char *at, *end;
    hti_buffer *scratch;
    size_t line_len;
    ht_text keys[MAX_KEYS];
    size_t n_keys, depth;
    struct {
        char close;
        size_t first_key;
    } open[MAX_DEPTH];
} scan;

static void skip_blank(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n')) s->at++;
}

/* First quote, backslash or control character. */
static const char *plain_end(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (uint64_t word; (size_t)(end - at) >= sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        const uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
        const uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word);
        if (hit & highs) break; /* false alarms are possible behind a hit, never in front of one */
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) at++;
    return at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits at `at`; -1 if they are not. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_value(at[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *to, int32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xE0 | code >> 12);
        } else {
            *to++ = (char)(0xF0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (code & 0x3F));
    return to;
}

/* Decodes the escape behind a backslash; NULL where jansson must look. */
static char *take_escape(scan *s, char *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (s->at == s->end) return NULL;
    const char c = *s->at++;
    if (c != 'u') {
        const char *name = c ? strchr(names, c) : NULL;
        if (!name) return NULL;
        *to = values[name - names];
        return to + 1;
    }
    int32_t code = hex4(s->at, s->end);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF)) return NULL;
    s->at += 4;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u') return NULL;
        const int32_t low = hex4(s->at + 2, s->end);
        if (low < 0xDC00 || low > 0xDFFF) return NULL;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        s->at += 6;
    }
    return put_utf8(to, code);
}

/*
 * A string behind its opening quote. Without escapes *out is a view of the line; else it is decoded
 * into `scratch`, which got room for the whole line at once (decoding never makes text longer), so
 * that it does not move.
 */
static bool take_string(scan *s, ht_text *out)
{
    const char *start = s->at;
    s->at = plain_end(s->at, s->end);
    if (s->at < s->end && *s->at == '"') {
        *out = (ht_text){start, (size_t)(s->at - start)};
        s->at++;
        return true;
    }
    if (s->scratch->len == 0 && !hti_buffer_room(s->scratch, s->line_len)) return false;
    char *const into = s->scratch->data + s->scratch->len;
    char *to = into;
    for (;;) {
        const size_t n = (size_t)(s->at - start);
        if (n) memcpy(to, start, n);
        to += n;
        if (s->at == s->end || (unsigned char)*s->at < 0x20) return false;
        if (*s->at++ == '"') break;
        if (!(to = take_escape(s, to))) return false;
        start = s->at;
        s->at = plain_end(s->at, s->end);
    }
    *out = (ht_text){into, (size_t)(to - into)};
    s->scratch->len += out->len;
    return true;
}

/* A key and its colon. Escaped keys, repeated ones and too many of them are jansson's. */
static bool take_key(scan *s, ht_text *out)
{
    if (s->at == s->end || *s->at++ != '"') return false;
    const char *start = s->at;
    s->at = plain_end(s->at, s->end);
    if (s->at == s->end || *s->at != '"' || s->n_keys == MAX_KEYS) return false;
    *out = (ht_text){start, (size_t)(s->at - start)};
    s->at++;
    for (size_t i = s->open[s->depth - 1].first_key; i < s->n_keys; i++)
        if (s->keys[i].len == out->len && memcmp(s->keys[i].data, out->data, out->len) == 0) return false;
    s->keys[s->n_keys++] = *out;
    skip_blank(s);
    return s->at < s->end && *s->at++ == ':';
}

static size_t take_digits(scan *s)
{
    const char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return (size_t)(s->at - start);
}

static bool take_number(scan *s, hti_value *out)
{
    const char *start = s->at;
    const bool minus = *s->at == '-';
    s->at += minus;
    const bool zero = s->at < s->end && *s->at == '0';
    const size_t n = take_digits(s);
    if (n == 0 || n > MAX_DIGITS || (zero && (n > 1 || minus))) return false;
    out->kind = HTI_VALUE_INT;
    out->text = (ht_text){start, (size_t)(s->at - start)};
    if (s->at == s->end || *s->at != '.') return true;
    s->at++;
    const size_t n_fraction = take_digits(s);
    out->kind = HTI_VALUE_OTHER;
    return n_fraction > 0 && n_fraction <= MAX_REAL;
}

static bool take_word(scan *s, const char *word, hti_value_kind kind, hti_value *out)
{
    const size_t len = strlen(word);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) return false;
    s->at += len;
    out->kind = kind;
    return true;
}

/* A value; an opening bracket only opens. */
static bool take_value(scan *s, hti_value *out)
{
    if (s->at == s->end) return false;
    *out = (hti_value){HTI_VALUE_OTHER, {NULL, 0}};
    switch (*s->at) {
    case '"':
        s->at++;
        out->kind = HTI_VALUE_TEXT;
        return take_string(s, &out->text);
    case '{':
    case '[':
        if (s->depth == MAX_DEPTH) return false;
        s->open[s->depth].close = *s->at == '{' ? '}' : ']';
        s->open[s->depth++].first_key = s->n_keys;
        s->at++;
        return true;
    case 't': return take_word(s, "true", HTI_VALUE_OTHER, out);
    case 'f': return take_word(s, "false", HTI_VALUE_OTHER, out);
    case 'n': return take_word(s, "null", HTI_VALUE_NULL, out);
    default: return take_number(s, out);
    }
}

/* Steps over "," or over closing brackets; *done behind the last. The next thing is an item. */
static bool take_separators(scan *s, bool *done)
{
    for (;;) {
        skip_blank(s);
        if (s->at == s->end) return false;
        const char c = *s->at++;
        if (c == ',') return true;
        if (c != s->open[s->depth - 1].close) return false;
        s->n_keys = s->open[--s->depth].first_key;
        if (s->depth == 0) return *done = true;
    }
}

static hti_value *member_of(hti_json_record *record, ht_text key)
{
    for (size_t i = 0; i < HTI_N_MEMBERS; i++)
        if (key.len == strlen(member_names[i]) && memcmp(key.data, member_names[i], key.len) == 0)
            return &record->members[i];
    return NULL;
}

/* Key and value, or an element; brackets that open are passed, and closed again when empty. */
static bool take_item(scan *s, hti_json_record *out, bool *done)
{
    hti_value value, *into = &value;
    const size_t depth = s->depth;
    skip_blank(s);
    if (s->open[depth - 1].close == '}') {
        ht_text key;
        if (!take_key(s, &key)) return false;
        if (depth == 1 && member_of(out, key)) into = member_of(out, key);
        skip_blank(s);
    }
    if (!take_value(s, into)) return false;
    if (s->depth == depth) return take_separators(s, done);
    skip_blank(s);
    return s->at < s->end && *s->at == s->open[s->depth - 1].close ? take_separators(s, done) : true;
}

bool hti_json_record_plain(ht_text line, hti_buffer *scratch, hti_json_record *out)
{
    scan s = {.at = line.data, .end = line.data + line.len, .scratch = scratch, .line_len = line.len};
    bool done = false;
    *out = (hti_json_record){0};
    hti_buffer_clear(scratch);
    skip_blank(&s);
    if (s.at == s.end || *s.at++ != '{') return false;
    s.open[0].close = '}';
    s.depth = 1;
    skip_blank(&s);
    if (s.at < s.end && *s.at == '}' && !take_separators(&s, &done)) return false;
    while (!done)
        if (!take_item(&s, out, &done)) return false;
    skip_blank(&s);
    return s.at == s.end;
}

/* ---- jansson ---- */

static ht_status copy_member(const json_t *value, hti_buffer *scratch, hti_value *out, ht_error *err)
{
    out->kind = !value                   ? HTI_VALUE_MISSING
                : json_is_null(value)    ? HTI_VALUE_NULL
                : json_is_string(value)  ? HTI_VALUE_TEXT
                : json_is_integer(value) ? HTI_VALUE_INT
                                         : HTI_VALUE_OTHER;
    const size_t start = scratch->len;
    if (out->kind == HTI_VALUE_TEXT) hti_buffer_append(scratch, json_string_value(value), json_string_length(value));
    if (out->kind == HTI_VALUE_INT) hti_buffer_printf(scratch, "%lld", (long long)json_integer_value(value));
    HT_TRY(hti_buffer_status(scratch, err));
    out->text = (ht_text){scratch->data ? scratch->data + start : NULL, scratch->len - start};
    return HT_OK;
}

ht_status hti_json_record_slow(ht_text line, hti_where where, hti_buffer *scratch, hti_json_record *out, ht_error *err)
{
    ht_error why = {0};
    json_t *root;
    *out = (hti_json_record){0};
    hti_buffer_clear(scratch);
    if (!hti_buffer_room(scratch, line.len)) return hti_buffer_status(scratch, err); /* texts must not move */
    const ht_status parsed = hti_json_parse(line, where.name, where.line, &root, &why);
    if (parsed != HT_OK)
        return hti_fail(err, parsed, "%s%s", why.message, parsed == HT_PARSE ? "; write one JSON object a line" : "");
    ht_status status = HT_OK;
    if (!json_is_object(root)) status = HTI_FAIL_AT(err, where, 1, "%s", "a JSON array; write one JSON object a line");
    for (size_t i = 0; status == HT_OK && i < HTI_N_MEMBERS; i++)
        status = copy_member(json_object_get(root, member_names[i]), scratch, &out->members[i], err);
    json_decref(root);
    return status;
}

ht_status hti_json_record_read(ht_text line, hti_where where, hti_buffer *scratch, hti_json_record *out, ht_error *err)
{
    HT_TRY(hti_check_utf8(line, where, err));
    if (hti_json_record_plain(line, scratch, out)) return HT_OK;
    return hti_json_record_slow(line, where, scratch, out, err);
}

/* ---- what a record must have ---- */

ht_status hti_record_id(const hti_json_record *record, hti_where where, bool optional, ht_text *id, ht_error *err)
{
    const bool underscored = record->members[HTI_MEMBER__ID].kind > HTI_VALUE_NULL;
    const hti_value *value = &record->members[underscored ? HTI_MEMBER__ID : HTI_MEMBER_ID];
    const char *name = member_names[underscored ? HTI_MEMBER__ID : HTI_MEMBER_ID];
    *id = (ht_text){"", 0};
    if (value->kind <= HTI_VALUE_NULL) {
        if (optional) return HT_OK;
        return HTI_FAIL_AT(err, where, 1, "%s",
                           "no \"_id\"; give every record an \"_id\" (or \"id\"), a text or a whole number");
    }
    if (value->kind == HTI_VALUE_OTHER)
        return HTI_FAIL_AT(err, where, 1, "\"%s\" must be a text or a whole number; put it in quotes", name);
    if (value->text.len == 0) {
        if (optional) return HT_OK;
        return HTI_FAIL_AT(err, where, 1, "\"%s\" is empty; give every record an id of its own", name);
    }
    for (size_t i = 0; i < value->text.len; i++)
        if ((unsigned char)value->text.data[i] < 0x20 || value->text.data[i] == 0x7F)
            return HTI_FAIL_AT(err, where, 1, "\"%s\" holds a control character; remove it", name);
    *id = value->text;
    return HT_OK;
}

ht_status hti_record_text(const hti_json_record *record, int member, hti_where where, bool optional, ht_text *out,
                          ht_error *err)
{
    const hti_value *value = &record->members[member];
    *out = (ht_text){"", 0};
    if (value->kind == HTI_VALUE_NULL || (value->kind == HTI_VALUE_MISSING && optional)) return HT_OK;
    if (value->kind == HTI_VALUE_MISSING)
        return HTI_FAIL_AT(err, where, 1, "no \"%s\"; write \"%s\": \"\" where it is empty", member_names[member],
                           member_names[member]);
    if (value->kind != HTI_VALUE_TEXT)
        return HTI_FAIL_AT(err, where, 1, "\"%s\" must be a text; put it in quotes", member_names[member]);
    if (value->text.len > 0) *out = value->text;
    return HT_OK;
}
