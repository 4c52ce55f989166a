/*
 * normalizer.c - normalizers as Hugging Face `tokenizers` runs them.
 *
 * A normalizer is a list of steps; each reads one array of characters and writes another. A
 * character made of another one (a part of a decomposition, a space round an ideograph) takes that
 * one's place in the original. Categories are those of Unicode 8.0 and the normal form that of 9.0,
 * which the library's crates are fixed to (unicode.h).
 * Workload: the parts of a text that are not plain ASCII; those never come here.
 * Thread rule: a normalizer is constant; scratch has one thread.
 * Easy to get wrong: marks are sorted after decomposition, but places are not: the n-th original
 * character's place goes to the n-th character that begins a decomposition, as the library counts.
 */
#include "normalizer.h"

#include "unicode.h"

#include <utf8proc.h>

#include <string.h>

typedef ht_status (*step_fn)(const hti_norm_text *in, hti_norm_text *out, ht_error *err);

void hti_norm_scratch_deinit(hti_norm_scratch *scratch)
{
    hti_free(scratch->now.chars);
    hti_free(scratch->next.chars);
    *scratch = (hti_norm_scratch){{NULL, 0, 0}, {NULL, 0, 0}};
}

static ht_status reserve(hti_norm_text *text, size_t len, ht_error *err)
{
    return hti_reserve(&text->chars, &text->cap, len, sizeof *text->chars, err);
}

/* Appends one character. */
static ht_status push(hti_norm_text *text, hti_norm_char c, ht_error *err)
{
    if (text->len == text->cap) HT_TRY(reserve(text, text->len + 1, err));
    text->chars[text->len++] = c;
    return HT_OK;
}

static unsigned flags_of(uint32_t code) { return hti_char_of(code)->flags; }

/* ---- steps ---- */

/* Drops control characters, U+0000 and U+FFFD; white space becomes a space. */
static ht_status clean(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    for (size_t i = 0; i < in->len; i++) {
        hti_norm_char c = in->chars[i];
        const unsigned flags = flags_of(c.code);
        const bool kept_control = c.code == '\t' || c.code == '\n' || c.code == '\r';
        if ((flags & HTI_HF_OTHER) && !kept_control) continue;
        if (flags & HTI_HF_SPACE) c.code = ' ';
        HT_TRY(push(out, c, err));
    }
    return HT_OK;
}

/* Spaces round each ideograph. */
static ht_status space_cjk(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    for (size_t i = 0; i < in->len; i++) {
        const hti_norm_char c = in->chars[i], space = {' ', c.from, c.to};
        const bool cjk = flags_of(c.code) & HTI_HF_CJK;
        if (cjk) HT_TRY(push(out, space, err));
        HT_TRY(push(out, c, err));
        if (cjk) HT_TRY(push(out, space, err));
    }
    return HT_OK;
}

static ht_status drop(const hti_norm_text *in, hti_norm_text *out, unsigned flag, ht_error *err)
{
    for (size_t i = 0; i < in->len; i++)
        if (!(flags_of(in->chars[i].code) & flag)) HT_TRY(push(out, in->chars[i], err));
    return HT_OK;
}

static ht_status drop_nonspacing(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    return drop(in, out, HTI_HF_MN, err);
}
static ht_status drop_marks(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    return drop(in, out, HTI_HF_MARK, err);
}

/* Full lower case of one character: U+0130 gives two, all others one. */
static ht_status lower_case(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    for (size_t i = 0; i < in->len; i++) {
        hti_norm_char c = in->chars[i];
        const bool dotted = c.code == 0x130;
        c.code = dotted ? 'i' : hti_to_lower(c.code);
        HT_TRY(push(out, c, err));
        c.code = 0x307;
        if (dotted) HT_TRY(push(out, c, err));
    }
    return HT_OK;
}

enum { DECOMPOSED_MAX = 4 };

/* Canonical decomposition of one character into `parts`; returns how many, at least 1. */
static size_t decompose(uint32_t code, utf8proc_int32_t parts[DECOMPOSED_MAX])
{
    parts[0] = (utf8proc_int32_t)code;
    if (code < 0xC0 || (flags_of(code) & HTI_HF_NEW)) return 1;
    int boundary = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code, parts, DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &boundary);
    if (n >= 1 && n <= DECOMPOSED_MAX) return (size_t)n;
    parts[0] = (utf8proc_int32_t)code;
    return 1;
}

static unsigned combining_class(uint32_t code)
{
    if (code < 0x300 || (flags_of(code) & HTI_HF_NEW)) return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)code)->combining_class & 0xFF;
}

/* While the form is being made, `from` holds the combining class and `to` tells a part that begins no decomposition. */
#define CLASS from
#define EXTRA to

/* Sorts the marks out->chars[first, first + n) by class, equal ones in their order. */
static ht_status sort_marks(hti_norm_text *out, size_t first, size_t n, ht_error *err)
{
    bool sorted = true;
    for (size_t i = first + 1; i < first + n; i++) sorted = sorted && out->chars[i - 1].CLASS <= out->chars[i].CLASS;
    if (sorted) return HT_OK;
    HT_TRY(reserve(out, out->len + n, err));
    hti_norm_char *marks = out->chars + first, *spare = out->chars + out->len;
    size_t at[257] = {0};
    for (size_t i = 0; i < n; i++) at[marks[i].CLASS + 1]++;
    for (size_t i = 1; i < HTI_LEN(at); i++) at[i] += at[i - 1];
    for (size_t i = 0; i < n; i++) spare[at[marks[i].CLASS]++] = marks[i];
    memcpy(marks, spare, n * sizeof *marks);
    return HT_OK;
}

static ht_status nfd(const hti_norm_text *in, hti_norm_text *out, ht_error *err)
{
    for (size_t i = 0; i < in->len; i++) {
        utf8proc_int32_t parts[DECOMPOSED_MAX];
        const size_t n = decompose(in->chars[i].code, parts);
        for (size_t k = 0; k < n; k++) {
            const uint32_t code = (uint32_t)parts[k];
            HT_TRY(push(out, (hti_norm_char){code, .CLASS = combining_class(code), .EXTRA = k > 0}, err));
        }
    }
    for (size_t i = 0, run = 0; i <= out->len; i++) {
        if (i < out->len && out->chars[i].CLASS != 0) continue;
        if (i - run > 1) HT_TRY(sort_marks(out, run, i - run, err));
        run = i + 1;
    }
    size_t n_begun = 0;
    for (size_t i = 0; i < out->len; i++) {
        if (!out->chars[i].EXTRA) n_begun++;
        const hti_norm_char *source = &in->chars[n_begun ? n_begun - 1 : 0];
        out->chars[i] = (hti_norm_char){out->chars[i].code, source->from, source->to};
    }
    return HT_OK;
}

enum { CLEAN, SPACE_CJK, NFD, DROP_NONSPACING, DROP_MARKS, LOWER_CASE };
static const step_fn step_fns[] = {
    [CLEAN] = clean,           [SPACE_CJK] = space_cjk,   [NFD] = nfd, [DROP_NONSPACING] = drop_nonspacing,
    [DROP_MARKS] = drop_marks, [LOWER_CASE] = lower_case,
};

ht_status hti_normalize(const hti_normalizer *normalizer, ht_text text, size_t from, size_t to,
                        hti_norm_scratch *scratch, ht_error *err)
{
    hti_norm_text *now = &scratch->now;
    HT_TRY(reserve(now, to - from, err));
    now->len = 0;
    for (size_t at = from; at < to;) {
        uint32_t code;
        const size_t len = hti_utf8_decode(text.data + at, text.data + to, &code);
        now->chars[now->len++] = (hti_norm_char){code, (uint32_t)at, (uint32_t)(at + len)};
        at += len;
    }
    for (size_t i = 0; i < normalizer->n_steps; i++) {
        scratch->next.len = 0;
        HT_TRY(step_fns[normalizer->steps[i]](&scratch->now, &scratch->next, err));
        const hti_norm_text done = scratch->next;
        scratch->next = scratch->now;
        scratch->now = done;
    }
    return HT_OK;
}

/* ---- parsing ---- */

static ht_status add(hti_normalizer *out, uint8_t step, const char *name, ht_error *err)
{
    if (out->n_steps == HTI_NORM_STEPS)
        return HT_FAIL(err, LIMIT, "%s: \"normalizer\" has more than %d steps", name, (int)HTI_NORM_STEPS);
    out->steps[out->n_steps++] = step;
    return HT_OK;
}

static ht_status parse_bert(const json_t *json, const char *name, hti_normalizer *out, ht_error *err)
{
    bool clean_text, cjk, lower, strip;
    HT_TRY(hti_json_bool(json, name, "clean_text", true, &clean_text, err));
    HT_TRY(hti_json_bool(json, name, "handle_chinese_chars", true, &cjk, err));
    HT_TRY(hti_json_bool(json, name, "lowercase", true, &lower, err));
    HT_TRY(hti_json_bool(json, name, "strip_accents", lower, &strip, err));
    if (clean_text) HT_TRY(add(out, CLEAN, name, err));
    if (cjk) HT_TRY(add(out, SPACE_CJK, name, err));
    if (strip) HT_TRY(add(out, NFD, name, err));
    if (strip) HT_TRY(add(out, DROP_NONSPACING, name, err));
    return lower ? add(out, LOWER_CASE, name, err) : HT_OK;
}

/* One normalizer that is not a sequence. */
static ht_status parse_one(const json_t *json, const char *name, hti_normalizer *out, ht_error *err)
{
    ht_text type;
    HT_TRY(hti_json_text(json, name, "type", &type, err));
    if (!type.data) return HT_FAIL(err, PARSE, "%s: \"normalizer\" has no \"type\"", name);
    if (strcmp(type.data, "BertNormalizer") == 0) return parse_bert(json, name, out, err);
    if (strcmp(type.data, "Lowercase") == 0) return add(out, LOWER_CASE, name, err);
    if (strcmp(type.data, "NFD") == 0) return add(out, NFD, name, err);
    if (strcmp(type.data, "StripAccents") == 0) return add(out, DROP_MARKS, name, err);
    return HT_FAIL(err, UNSUPPORTED, "%s: normalizer.type \"%.60s\" is not supported", name, type.data);
}

ht_status hti_normalizer_parse(const json_t *json, const char *name, hti_normalizer *out, ht_error *err)
{
    out->n_steps = 0;
    if (!json || json_is_null(json)) return HT_OK;
    ht_text type;
    HT_TRY(hti_json_text(json, name, "type", &type, err));
    if (!type.data || strcmp(type.data, "Sequence") != 0) return parse_one(json, name, out, err);
    const json_t *members = json_object_get(json, "normalizers");
    if (!json_is_array(members)) return HT_FAIL(err, PARSE, "%s: \"normalizer.normalizers\" must be a list", name);
    for (size_t i = 0; i < json_array_size(members); i++) HT_TRY(parse_one(json_array_get(members, i), name, out, err));
    return HT_OK;
}
