/*
 * wordpiece.c - BERT's tokenizer: words cut into the longest pieces of the vocabulary, from the left.
 *
 * Pre-tokenizer: words are what stands between white space; a punctuation character is a word of its
 * own. Model: the longest piece that the word starts with, then the longest behind it with "##" in
 * front (the same trie, entered at the node of the prefix), and so on; a word with a part that has
 * no piece, or of more than `max_chars` characters, is one unknown token.
 * Two roads: a word of ASCII is matched straight from the text, in one pass, through two tables that
 * hold what the normalizer makes of each ASCII character alone. A stretch with anything else goes,
 * up to the next ASCII space or punctuation, through the normalizer as characters. Both are equal
 * because no step looks beyond a character that is no mark (normalizer.h).
 * Workload: every text that is encoded; mostly ASCII.
 * Thread rule: the model is constant; everything else is the session's.
 * Easy to get wrong: the limit on ids is looked at only between words, since a later piece that is
 * missing turns the whole word into one unknown token.
 */
#include "tokenizer_int.h"
#include "unicode.h"

#include <string.h>

/* What an ASCII character is once normalized. */
enum { IN_WORD, SPACE, PUNCT, SLOW };

enum { STRETCH = 1024 };

typedef struct wordpiece {
    uint32_t unk, prefix_node; /* node 0: no piece has the prefix */
    size_t max_chars;
    uint8_t class[128], lower[128];
    bool may_start_added[256]; /* bytes that an added token may come from once the text is normalized */
} wordpiece;

/* ---- opening ---- */

static ht_status read_model(wordpiece *model, hti_tokenizer *tokenizer, const json_t *root, const char *name,
                            ht_error *err)
{
    const json_t *json = json_object_get(root, "model");
    ht_text unk, prefix;
    int64_t max_chars;
    HT_TRY(hti_json_text(json, name, "unk_token", &unk, err));
    HT_TRY(hti_json_text(json, name, "continuing_subword_prefix", &prefix, err));
    HT_TRY(hti_json_int(json, name, "max_input_chars_per_word", 100, &max_chars, err));
    if (!unk.data) unk = (ht_text){"[UNK]", 5};
    if (!prefix.data) prefix = (ht_text){"##", 2};
    if (max_chars < 0 || max_chars > INT32_MAX)
        return HT_FAIL(err, PARSE, "%s: \"model.max_input_chars_per_word\" is no number from 0 to %d", name, INT32_MAX);
    model->max_chars = (size_t)max_chars;
    model->prefix_node = hti_trie_node(&tokenizer->vocab, prefix);
    model->unk = tokenizer->unk = hti_trie_get(&tokenizer->vocab, unk);
    if (model->unk == HTI_TRIE_NONE)
        return HT_FAIL(err, PARSE, "%s: model.unk_token \"%.60s\" is not in \"model.vocab\"", name, unk.data);
    return HT_OK;
}

static ht_status check_pre_tokenizer(const json_t *root, const char *name, ht_error *err)
{
    ht_text type;
    HT_TRY(hti_json_text(json_object_get(root, "pre_tokenizer"), name, "type", &type, err));
    if (type.data && strcmp(type.data, "BertPreTokenizer") == 0) return HT_OK;
    return HT_FAIL(err, UNSUPPORTED, "%s: pre_tokenizer.type \"%.60s\" is not supported for WordPiece", name,
                   type.data ? type.data : "");
}

/* Normalizes each ASCII character alone. */
static ht_status make_tables(wordpiece *model, const hti_tokenizer *tokenizer, hti_norm_scratch *scratch, ht_error *err)
{
    for (unsigned c = 0; c < 128; c++) {
        const char text[1] = {(char)c};
        HT_TRY(hti_normalize(&tokenizer->normalizer, (ht_text){text, 1}, 0, 1, scratch, err));
        const uint32_t code = scratch->now.len == 1 ? scratch->now.chars[0].code : HTI_REPLACEMENT;
        const unsigned flags = hti_char_of(code)->flags;
        model->lower[c] = (uint8_t)(code < 128 ? code : c);
        model->class[c] = code >= 128 ? SLOW : flags & HTI_HF_SPACE ? SPACE : flags & HTI_HF_PUNCT ? PUNCT : IN_WORD;
    }
    for (unsigned c = 0; c < 256 && tokenizer->added.normalized.n > 0; c++)
        model->may_start_added[c] =
            c >= 128 || model->class[c] == SLOW || tokenizer->added.normalized.first[model->lower[c]];
    return HT_OK;
}

static ht_status open_model(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err)
{
    HT_TRY(check_pre_tokenizer(root, name, err));
    wordpiece *model = HTI_NEW(wordpiece);
    if (!model) return HTI_NO_MEMORY(err);
    tokenizer->model = model; /* closed with the tokenizer */
    HT_TRY(read_model(model, tokenizer, root, name, err));
    hti_norm_scratch scratch = {{NULL, 0, 0}, {NULL, 0, 0}};
    const ht_status status = make_tables(model, tokenizer, &scratch, err);
    hti_norm_scratch_deinit(&scratch);
    return status;
}

/* ---- words ---- */

/* Pieces of the ASCII word text[from, to), read through the table of lower case. */
static ht_status ascii_word(hti_tokenizer_session *s, ht_text text, size_t from, size_t to, ht_error *err)
{
    const wordpiece *model = s->tokenizer->model;
    const hti_trie *vocab = &s->tokenizer->vocab;
    const size_t n_before = s->out.n;
    HT_TRY(hti_ids_reserve(&s->out, to - from <= model->max_chars ? to - from : 1, err));
    bool whole = to - from <= model->max_chars;
    uint32_t start_node = HTI_TRIE_ROOT;
    for (size_t at = from; whole && at < to;) {
        uint32_t node = start_node, best = HTI_TRIE_NONE;
        size_t end = at;
        for (size_t i = at; i < to; i++) {
            const hti_trie_edge *edge = hti_trie_step(vocab, node, model->lower[(unsigned char)text.data[i]]);
            if (!edge) break;
            node = edge->child;
            if (edge->value == HTI_TRIE_NONE) continue;
            best = edge->value;
            end = i + 1;
        }
        whole = best != HTI_TRIE_NONE;
        if (whole) hti_ids_put(&s->out, best, (uint32_t)at, (uint32_t)end);
        at = end;
        start_node = model->prefix_node;
    }
    if (whole) return HT_OK;
    s->out.n = n_before;
    hti_ids_put(&s->out, model->unk, (uint32_t)from, (uint32_t)to);
    return HT_OK;
}

/* Goes from *node along a character; the edge that leads to the end of it, NULL if there is none. */
static const hti_trie_edge *step_char(const hti_trie *vocab, uint32_t node, uint32_t code)
{
    char bytes[HTI_UTF8_MAX];
    const size_t len = hti_utf8_encode(code, bytes);
    const hti_trie_edge *edge = NULL;
    for (size_t i = 0; i < len; i++) {
        edge = hti_trie_step(vocab, node, (unsigned char)bytes[i]);
        if (!edge) return NULL;
        node = edge->child;
    }
    return edge;
}

/* Pieces of a word of normalized characters [n > 0]. */
static ht_status char_word(hti_tokenizer_session *s, const hti_norm_char *chars, size_t n, ht_error *err)
{
    const wordpiece *model = s->tokenizer->model;
    const size_t n_before = s->out.n;
    bool whole = n <= model->max_chars;
    HT_TRY(hti_ids_reserve(&s->out, whole ? n : 1, err));
    uint32_t start_node = HTI_TRIE_ROOT;
    for (size_t at = 0; whole && at < n;) {
        uint32_t node = start_node, best = HTI_TRIE_NONE;
        size_t end = at;
        for (size_t i = at; i < n; i++) {
            const hti_trie_edge *edge = step_char(&s->tokenizer->vocab, node, chars[i].code);
            if (!edge) break;
            node = edge->child;
            if (edge->value == HTI_TRIE_NONE) continue;
            best = edge->value;
            end = i + 1;
        }
        whole = best != HTI_TRIE_NONE;
        if (whole) hti_ids_put(&s->out, best, chars[at].from, chars[end - 1].to);
        at = end;
        start_node = model->prefix_node;
    }
    if (whole) return HT_OK;
    s->out.n = n_before;
    hti_ids_put(&s->out, model->unk, chars[0].from, chars[n - 1].to);
    return HT_OK;
}

/* ---- pieces of text ---- */

/* Words of normalized characters [n]. */
static ht_status char_words(hti_tokenizer_session *s, const hti_norm_char *chars, size_t n, ht_error *err)
{
    for (size_t at = 0; at < n && !hti_session_full(s);) {
        const unsigned flags = hti_char_of(chars[at].code)->flags;
        size_t end = at + 1;
        if (!(flags & (HTI_HF_SPACE | HTI_HF_PUNCT)))
            while (end < n && !(hti_char_of(chars[end].code)->flags & (HTI_HF_SPACE | HTI_HF_PUNCT))) end++;
        if (!(flags & HTI_HF_SPACE)) HT_TRY(char_word(s, chars + at, end - at, err));
        at = end;
    }
    return HT_OK;
}

/* Normalizes text[from, to), which no word crosses. */
static ht_status slow_stretch(hti_tokenizer_session *s, ht_text text, size_t from, size_t to, ht_error *err)
{
    HT_TRY(hti_normalize(&s->tokenizer->normalizer, text, from, to, &s->norm, err));
    return char_words(s, s->norm.now.chars, s->norm.now.len, err);
}

/* Where normalized text has added tokens: they are looked for in its UTF-8. */
static ht_status with_added(hti_tokenizer_session *s, ht_text text, size_t from, size_t to, ht_error *err)
{
    const hti_added *added = &s->tokenizer->added;
    HT_TRY(hti_normalize(&s->tokenizer->normalizer, text, from, to, &s->norm, err));
    const hti_norm_char *chars = s->norm.now.chars;
    hti_buffer_clear(&s->normalized);
    for (size_t i = 0; i < s->norm.now.len; i++) {
        char bytes[HTI_UTF8_MAX];
        hti_buffer_append(&s->normalized, bytes, hti_utf8_encode(chars[i].code, bytes));
    }
    HT_TRY(hti_buffer_status(&s->normalized, err));
    hti_added_scan scan = {added, &added->normalized, hti_buffer_view(&s->normalized), s->tokenizer->special_as_text, 0,
                           0};
    hti_added_match match;
    size_t n_seen = 0, byte = 0; /* characters, and their bytes */
    while (!hti_session_full(s)) {
        const bool found = hti_added_next(&scan, &match);
        const size_t plain_end = found ? match.start : scan.sentence.len;
        size_t marks[3] = {scan.done, plain_end, found ? match.stop : plain_end}, index[3];
        for (size_t i = 0; i < 3; i++) {
            if (byte > marks[i]) n_seen = byte = 0; /* a token inside space that the one before stripped */
            for (; byte < marks[i]; n_seen++) {
                char bytes[HTI_UTF8_MAX];
                byte += hti_utf8_encode(chars[n_seen].code, bytes);
            }
            index[i] = n_seen;
        }
        if (index[0] < index[1]) HT_TRY(char_words(s, chars + index[0], index[1] - index[0], err));
        if (!found) break;
        HT_TRY(
            hti_ids_push(&s->out, added->tokens[match.number].id, chars[index[1]].from, chars[index[2] - 1].to, err));
        scan.done = match.stop;
    }
    return HT_OK;
}

/*
 * End of the stretch from `at` that the tables cannot do: up to an ASCII space or punctuation; a
 * long one ends before any character that no word goes on over, so that scratch stays small.
 */
static size_t stretch_end(const hti_tokenizer *tokenizer, ht_text text, size_t at, size_t to)
{
    const wordpiece *model = tokenizer->model;
    for (size_t i = at; i < to;) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c < 128 && (model->class[c] == SPACE || model->class[c] == PUNCT)) return i;
        uint32_t code;
        const size_t len = hti_utf8_decode(text.data + i, text.data + to, &code);
        const unsigned flags = hti_char_of(code)->flags;
        if (i - at >= STRETCH && c >= 128 && (flags & (HTI_HF_SPACE | HTI_HF_PUNCT)) && !(flags & HTI_HF_OTHER))
            return i;
        i += len;
    }
    return to;
}

static bool may_hold_added(const wordpiece *model, ht_text text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (model->may_start_added[(unsigned char)text.data[i]]) return true;
    return false;
}

static ht_status encode(hti_tokenizer_session *s, ht_text text, size_t from, size_t to, ht_error *err)
{
    const wordpiece *model = s->tokenizer->model;
    if (s->tokenizer->added.normalized.n > 0 && may_hold_added(model, text, from, to))
        return with_added(s, text, from, to, err);
    for (size_t at = from; at < to && !hti_session_full(s);) {
        size_t end = at;
        unsigned char c = (unsigned char)text.data[at];
        unsigned class = c < 128 ? model->class[c] : SLOW;
        if (class == SPACE) {
            at++;
            continue;
        }
        if (class == PUNCT) {
            HT_TRY(ascii_word(s, text, at, at + 1, err));
            at++;
            continue;
        }
        while (class == IN_WORD && ++end < to) {
            c = (unsigned char)text.data[end];
            class = c < 128 ? model->class[c] : SLOW;
        }
        if (class == SLOW) {
            end = stretch_end(s->tokenizer, text, at, to);
            HT_TRY(slow_stretch(s, text, at, end, err));
        } else {
            HT_TRY(ascii_word(s, text, at, end, err));
        }
        at = end;
    }
    return HT_OK;
}

const hti_tokenizer_kind hti_wordpiece = {"WordPiece", open_model, encode, hti_free};
