/*
 * analyzer.c - search analyzers: a tokenizer and a chain of filters, by name.
 *
 *   english     StandardTokenizer, possessive, lower case, 33 stop words, Porter (Lucene's EnglishAnalyzer)
 *   standard    StandardTokenizer, lower case (Lucene's StandardAnalyzer, which stops nothing by default)
 *   whitespace  runs between Java's white space, cut at 255 units (Lucene's WhitespaceAnalyzer)
 *
 * A new analyzer is one row of `analyzers`; a new tokenizer or filter one function. A tokenizer gives
 * spans of the input; each span is copied into a fixed buffer, where the filters rewrite or drop it
 * (a token is at most 255 UTF-16 units and no filter makes it longer in units, so 765 bytes hold it).
 * Token texts stand one behind the other in one block that is sized before the run, so they never move.
 * Lower case can make a character one byte longer, at most 2 into 3, hence the factor 3/2.
 * Workload: every document and query; no allocation once the arrays have grown.
 * Thread rule: analyzers are constant; an ht_tokens has one thread.
 * Easy to get wrong: offsets are those of the span in the input, whatever the filters cut off; the
 * possessive filter comes before lower case, so it looks for 'S too.
 */
#include "text.h"

#include "porter.h"
#include "standard.h"
#include "unicode.h"

#include <string.h>

typedef struct term {
    char text[HTI_TOKEN_BYTES + 1];
    size_t len;
    bool ascii;
} term;

/* Finds the next token from a byte on. */
typedef bool (*next_fn)(ht_text text, size_t from, hti_span *out);
/* Rewrites a token in place; false drops it. */
typedef bool (*filter_fn)(term *t);

enum { MAX_FILTERS = 6 };

struct ht_analyzer {
    const char *name;
    next_fn next;
    const char *(*type_name)(hti_std_type type);
    filter_fn filters[MAX_FILTERS]; /* up to a NULL */
};

struct ht_tokens {
    ht_token *tokens; /* [n] */
    size_t n, cap;
    char *text; /* the tokens' texts, one behind the other */
    size_t text_len, text_cap;
};

/* ---- filters ---- */

/* Cuts 's, also with U+2019 or U+FF07 and with S. */
static bool possessive(term *t)
{
    if (t->len < 2 || (t->text[t->len - 1] | 0x20) != 's') return true;
    static const struct {
        char text[4];
        size_t len;
    } quotes[] = {{"'", 1}, {"\xE2\x80\x99", 3}, {"\xEF\xBC\x87", 3}};
    for (size_t i = 0; i < HTI_LEN(quotes); i++) {
        const size_t cut = quotes[i].len + 1;
        if (t->len >= cut && memcmp(t->text + t->len - cut, quotes[i].text, quotes[i].len) == 0) {
            t->len -= cut;
            return true;
        }
    }
    return true;
}

static bool lower_case(term *t)
{
    if (t->ascii) {
        for (size_t i = 0; i < t->len; i++)
            t->text[i] = (char)(t->text[i] | (t->text[i] >= 'A' && t->text[i] <= 'Z') << 5);
        return true;
    }
    char lower[HTI_TOKEN_BYTES + HTI_UTF8_MAX];
    size_t len = 0;
    const char *const end = t->text + t->len;
    for (const char *at = t->text; at < end && len <= HTI_TOKEN_BYTES;) {
        uint32_t code;
        at += hti_utf8_decode(at, end, &code);
        len += hti_utf8_encode(hti_to_lower(code), lower + len);
    }
    t->len = HTI_MIN(len, (size_t)HTI_TOKEN_BYTES);
    memcpy(t->text, lower, t->len);
    return true;
}

/* Lucene's English stop words by length; each padded with NULs to 8 bytes. */
static const char stop_words[][8] = {
    "a",    "an",   "as",   "at",   "be",   "by",   "if",   "in",   "is",    "it",    "no",
    "of",   "on",   "or",   "to",   "and",  "are",  "but",  "for",  "not",   "the",   "was",
    "into", "such", "that", "then", "they", "this", "will", "with", "their", "there", "these",
};
enum { STOP_LONGEST = 5 };
/* First stop word of each length. */
static const uint8_t stop_first[STOP_LONGEST + 2] = {0, 0, 1, 15, 22, 30, HTI_LEN(stop_words)};

static bool stop(term *t)
{
    if (t->len > STOP_LONGEST) return true;
    char padded[8] = {0};
    memcpy(padded, t->text, t->len);
    for (size_t i = stop_first[t->len]; i < stop_first[t->len + 1]; i++)
        if (memcmp(padded, stop_words[i], sizeof padded) == 0) return false;
    return true;
}

static bool porter(term *t)
{
    t->len = t->ascii ? hti_porter_stem_ascii(t->text, t->len) : hti_porter_stem(t->text, t->len);
    return true;
}

/* ---- white space ---- */

/* Java's Character.isWhitespace: separators but for the no-break ones, and the ASCII controls that separate. */
static bool is_java_space(uint32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
    return code != 0x85 && code != 0xA0 && code != 0x2007 && code != 0x202F &&
           (hti_char_of(code)->flags & HTI_HF_SPACE);
}

static bool whitespace_next(ht_text text, size_t from, hti_span *out)
{
    size_t at = from, units = 0;
    bool inside = false;
    *out = (hti_span){from, from, HTI_STD_TYPE_ALPHANUM, true};
    while (at < text.len) {
        uint32_t code;
        const size_t len = hti_utf8_decode(text.data + at, text.data + text.len, &code);
        const bool space = is_java_space(code);
        if (space && inside) break;
        if (!space) {
            if (!inside) out->start = at;
            inside = true;
            units += code >= 0x10000 ? 2 : 1;
            out->ascii = out->ascii && code < 0x80;
        }
        at += len;
        out->end = at;
        if (units >= HTI_TOKEN_UNITS) break;
    }
    return inside;
}

/* ---- the registry ---- */

static const char *standard_type(hti_std_type type)
{
    static const char *const names[] = {
        [HTI_STD_TYPE_ALPHANUM] = "<ALPHANUM>",
        [HTI_STD_TYPE_NUM] = "<NUM>",
        [HTI_STD_TYPE_SOUTHEAST_ASIAN] = "<SOUTHEAST_ASIAN>",
        [HTI_STD_TYPE_IDEOGRAPHIC] = "<IDEOGRAPHIC>",
        [HTI_STD_TYPE_HIRAGANA] = "<HIRAGANA>",
        [HTI_STD_TYPE_KATAKANA] = "<KATAKANA>",
        [HTI_STD_TYPE_HANGUL] = "<HANGUL>",
        [HTI_STD_TYPE_EMOJI] = "<EMOJI>",
    };
    return names[type];
}

static const char *plain_type(hti_std_type type)
{
    (void)type;
    return "word";
}

static const ht_analyzer analyzers[] = {
    {"english", hti_standard_next, standard_type, {possessive, lower_case, stop, porter}},
    {"standard", hti_standard_next, standard_type, {lower_case}},
    {"whitespace", whitespace_next, plain_type, {NULL}},
};

const char *ht_analyzer_name_at(size_t n) { return n < HTI_LEN(analyzers) ? analyzers[n].name : NULL; }

ht_status ht_analyzer_find(const char *name, const ht_analyzer **out, ht_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < HTI_LEN(analyzers); i++) {
        if (strcmp(analyzers[i].name, name) != 0) continue;
        *out = &analyzers[i];
        return HT_OK;
    }
    hti_buffer names;
    hti_buffer_init(&names);
    for (size_t i = 0; i < HTI_LEN(analyzers); i++) hti_buffer_printf(&names, "%s%s", i ? ", " : "", analyzers[i].name);
    const ht_status status =
        HT_FAIL(err, NOT_FOUND, "no analyzer \"%.100s\": the analyzers are %s", name, hti_buffer_view(&names).data);
    hti_buffer_deinit(&names);
    return status;
}

/* ---- running ---- */

ht_status ht_tokens_new(ht_tokens **out, ht_error *err)
{
    *out = HTI_NEW(ht_tokens);
    return *out ? HT_OK : HTI_NO_MEMORY(err);
}

void ht_tokens_free(ht_tokens *tokens)
{
    if (!tokens) return;
    hti_free(tokens->tokens);
    hti_free(tokens->text);
    hti_free(tokens);
}

const ht_token *ht_tokens_view(const ht_tokens *tokens, size_t *n)
{
    *n = tokens->n;
    return tokens->tokens;
}

static ht_status keep(ht_tokens *tokens, const term *t, ht_token token, ht_error *err)
{
    HT_TRY(hti_reserve(&tokens->tokens, &tokens->cap, tokens->n + 1, sizeof *tokens->tokens, err));
    if (t->len > tokens->text_cap - tokens->text_len)
        return HT_FAIL(err, INVALID, "the text is not valid UTF-8"); /* else it cannot grow so much */
    char *text = tokens->text + tokens->text_len;
    memcpy(text, t->text, t->len);
    tokens->text_len += t->len;
    token.text = (ht_text){text, t->len};
    tokens->tokens[tokens->n++] = token;
    return HT_OK;
}

static bool pass_filters(const ht_analyzer *analyzer, term *t)
{
    for (const filter_fn *filter = analyzer->filters; *filter; filter++)
        if (!(*filter)(t)) return false;
    return true;
}

ht_status ht_analyzer_run(const ht_analyzer *analyzer, ht_text text, ht_tokens *tokens, ht_error *err)
{
    tokens->n = tokens->text_len = 0;
    if (text.len >= UINT32_MAX)
        return HT_FAIL(err, LIMIT, "a text of %zu bytes: at most 4 GB can be analyzed", text.len);
    HT_TRY(hti_reserve(&tokens->text, &tokens->text_cap, text.len + text.len / 2 + HTI_TOKEN_BYTES, 1, err));
    uint32_t increment = 0;
    hti_span span;
    for (size_t at = 0; analyzer->next(text, at, &span); at = span.end) {
        term t;
        t.len = HTI_MIN(span.end - span.start, (size_t)HTI_TOKEN_BYTES);
        t.ascii = span.ascii;
        memcpy(t.text, text.data + span.start, t.len);
        increment++;
        if (!pass_filters(analyzer, &t)) continue;
        const ht_token token = {
            {NULL, 0}, (uint32_t)span.start, (uint32_t)span.end, increment, analyzer->type_name(span.type)};
        HT_TRY(keep(tokens, &t, token, err));
        increment = 0;
    }
    return HT_OK;
}
