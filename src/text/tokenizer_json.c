/*
 * tokenizer_json.c - the parts of a `tokenizer.json` that all kinds of tokenizers share.
 *
 * Added tokens get the id that the vocabulary has for their text, else the next one behind the
 * vocabulary's size, in the file's order: the library does so too and takes no notice of the "id"
 * that stands there. Every name and number of the file is checked here, once.
 */
#include "tokenizer_int.h"

#include "unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ID = INT32_MAX, MAX_ADDED_LEN = 1000 };

static ht_status add_entry(hti_tokenizer *tokenizer, ht_text text, uint32_t id, bool added, ht_error *err)
{
    HT_TRY(hti_reserve(&tokenizer->entries, &tokenizer->cap_entries, tokenizer->n_entries + 1,
                       sizeof *tokenizer->entries, err));
    const size_t off = tokenizer->texts.len;
    if (text.len > UINT32_MAX - off) return HT_FAIL(err, LIMIT, "a vocabulary of more than 4 GB");
    hti_buffer_append(&tokenizer->texts, text.data, text.len);
    HT_TRY(hti_buffer_status(&tokenizer->texts, err));
    tokenizer->entries[tokenizer->n_entries++] = (hti_token_entry){id, (uint32_t)off, (uint32_t)text.len, added};
    return HT_OK;
}

ht_status hti_tokenizer_read_vocab(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err)
{
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    if (!json_is_object(vocab))
        return HT_FAIL(err, PARSE, "%s: \"model.vocab\" must be an object of token texts and ids", name);
    for (void *at = json_object_iter(vocab); at; at = json_object_iter_next(vocab, at)) {
        const ht_text text = {json_object_iter_key(at), json_object_iter_key_len(at)};
        const json_t *value = json_object_iter_value(at);
        const json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > MAX_ID)
            return HT_FAIL(err, PARSE, "%s: \"model.vocab\": the id of \"%.60s\" is no number from 0 to %d", name,
                           text.data, (int)MAX_ID);
        bool fresh;
        HT_TRY(hti_trie_put(&tokenizer->vocab, text, (uint32_t)id, &fresh, err));
        HT_TRY(add_entry(tokenizer, text, (uint32_t)id, false, err));
    }
    return HT_OK;
}

static ht_status read_one_added(hti_tokenizer *tokenizer, const json_t *json, uint32_t *next_id, const char *name,
                                ht_error *err)
{
    ht_text content;
    hti_added_token token = {0};
    HT_TRY(hti_json_text(json, name, "content", &content, err));
    HT_TRY(hti_json_bool(json, name, "single_word", false, &token.single_word, err));
    HT_TRY(hti_json_bool(json, name, "lstrip", false, &token.lstrip, err));
    HT_TRY(hti_json_bool(json, name, "rstrip", false, &token.rstrip, err));
    HT_TRY(hti_json_bool(json, name, "special", false, &token.special, err));
    HT_TRY(hti_json_bool(json, name, "normalized", !token.special, &token.normalized, err));
    if (!content.data) return HT_FAIL(err, PARSE, "%s: an entry of \"added_tokens\" has no \"content\"", name);
    if (content.len > MAX_ADDED_LEN)
        return HT_FAIL(err, LIMIT, "%s: an added token is longer than %d bytes", name, (int)MAX_ADDED_LEN);
    if (content.len == 0) return HT_OK;
    hti_added *added = &tokenizer->added;
    const uint32_t known = hti_trie_get(&added->names, content);
    if (known != HTI_TRIE_NONE) { /* written twice: the later entry counts */
        token.id = added->tokens[known].id;
        added->tokens[known] = token;
        return HT_OK;
    }
    token.id = hti_trie_get(&tokenizer->vocab, content);
    const bool in_vocab = token.id != HTI_TRIE_NONE;
    if (!in_vocab) token.id = (*next_id)++;
    HT_TRY(hti_reserve(&added->tokens, &added->cap, added->n + 1, sizeof *added->tokens, err));
    bool fresh;
    HT_TRY(hti_trie_put(&added->names, content, (uint32_t)added->n, &fresh, err));
    added->tokens[added->n++] = token;
    return in_vocab ? HT_OK : add_entry(tokenizer, content, token.id, true, err);
}

ht_status hti_tokenizer_read_added(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err)
{
    const json_t *list = json_object_get(root, "added_tokens");
    if (!list || json_is_null(list)) return HT_OK;
    if (!json_is_array(list)) return HT_FAIL(err, PARSE, "%s: \"added_tokens\" must be a list", name);
    uint32_t next_id = (uint32_t)HTI_MIN(tokenizer->n_entries, (size_t)MAX_ID);
    for (size_t i = 0; i < json_array_size(list); i++)
        HT_TRY(read_one_added(tokenizer, json_array_get(list, i), &next_id, name, err));
    return HT_OK;
}

static ht_status put_in_set(hti_added_set *set, ht_text text, uint32_t number, ht_error *err)
{
    if (text.len == 0) return HT_OK;
    bool fresh;
    HT_TRY(hti_trie_put(&set->trie, text, number, &fresh, err));
    set->first[(unsigned char)text.data[0]] = true;
    set->n += fresh;
    return HT_OK;
}

static ht_status put_normalized(hti_tokenizer *tokenizer, ht_text text, uint32_t number, hti_norm_scratch *scratch,
                                ht_error *err)
{
    HT_TRY(hti_normalize(&tokenizer->normalizer, text, 0, text.len, scratch, err));
    hti_buffer utf8;
    hti_buffer_init(&utf8);
    for (size_t i = 0; i < scratch->now.len; i++) {
        char bytes[HTI_UTF8_MAX];
        hti_buffer_append(&utf8, bytes, hti_utf8_encode(scratch->now.chars[i].code, bytes));
    }
    ht_status status = hti_buffer_status(&utf8, err);
    if (status == HT_OK) status = put_in_set(&tokenizer->added.normalized, hti_buffer_view(&utf8), number, err);
    hti_buffer_deinit(&utf8);
    return status;
}

ht_status hti_tokenizer_index_added(hti_tokenizer *tokenizer, ht_error *err)
{
    hti_norm_scratch scratch = {{NULL, 0, 0}, {NULL, 0, 0}};
    ht_status status = HT_OK;
    for (size_t i = 0; i < tokenizer->n_entries && status == HT_OK; i++) {
        const hti_token_entry *entry = &tokenizer->entries[i];
        const ht_text text = {tokenizer->texts.data + entry->off, entry->len};
        const uint32_t number = hti_trie_get(&tokenizer->added.names, text);
        if (number == HTI_TRIE_NONE) continue;
        status = tokenizer->added.tokens[number].normalized ? put_normalized(tokenizer, text, number, &scratch, err)
                                                            : put_in_set(&tokenizer->added.raw, text, number, err);
    }
    hti_norm_scratch_deinit(&scratch);
    return status;
}

static int by_id(const void *a, const void *b)
{
    const hti_token_entry *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (int)y->added - (int)x->added; /* of two with one id, the added token gives the text */
}

ht_status hti_tokenizer_sort_entries(hti_tokenizer *tokenizer, const char *name, ht_error *err)
{
    if (tokenizer->n_entries == 0) return HT_FAIL(err, PARSE, "%s: \"model.vocab\" is empty", name);
    qsort(tokenizer->entries, tokenizer->n_entries, sizeof *tokenizer->entries, by_id);
    for (size_t i = 1; i < tokenizer->n_entries; i++) {
        const hti_token_entry *one = &tokenizer->entries[i - 1], *two = &tokenizer->entries[i];
        if (one->id != two->id || one->added || two->added) continue;
        const char *texts = tokenizer->texts.data;
        return HT_FAIL(err, PARSE, "%s: \"model.vocab\": \"%.*s\" and \"%.*s\" have the same id %u", name,
                       (int)HTI_MIN(one->len, 60u), texts + one->off, (int)HTI_MIN(two->len, 60u), texts + two->off,
                       (unsigned)one->id);
    }
    return HT_OK;
}

/* ---- special ids round a text ---- */

static ht_status add_special(hti_tokenizer *tokenizer, const json_t *id, const char *name, ht_error *err)
{
    const json_int_t value = json_integer_value(id);
    if (!json_is_integer(id) || value < 0 || value > MAX_ID)
        return HT_FAIL(err, PARSE, "%s: \"post_processor\": an id is no number from 0 to %d", name, (int)MAX_ID);
    if (tokenizer->n_special == HTI_SPECIAL_MAX)
        return HT_FAIL(err, UNSUPPORTED, "%s: \"post_processor\" adds more than %d ids", name, (int)HTI_SPECIAL_MAX);
    tokenizer->special[tokenizer->n_special++] = (uint32_t)value;
    return HT_OK;
}

/* The ids that one special token of a template stands for. */
static ht_status add_template_token(hti_tokenizer *tokenizer, const json_t *processor, const json_t *piece,
                                    const char *name, ht_error *err)
{
    ht_text id;
    HT_TRY(hti_json_text(piece, name, "id", &id, err));
    const json_t *token = id.data ? json_object_get(json_object_get(processor, "special_tokens"), id.data) : NULL;
    const json_t *ids = json_object_get(token, "ids");
    if (!json_is_array(ids))
        return HT_FAIL(err, PARSE, "%s: \"post_processor.special_tokens\" has no ids for \"%.60s\"", name,
                       id.data ? id.data : "");
    for (size_t i = 0; i < json_array_size(ids); i++) HT_TRY(add_special(tokenizer, json_array_get(ids, i), name, err));
    return HT_OK;
}

static ht_status read_template(hti_tokenizer *tokenizer, const json_t *processor, const char *name, ht_error *err)
{
    const json_t *single = json_object_get(processor, "single");
    if (!json_is_array(single)) return HT_FAIL(err, PARSE, "%s: \"post_processor.single\" must be a list", name);
    size_t n_sequences = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *piece = json_array_get(single, i);
        const json_t *special = json_object_get(piece, "SpecialToken"), *sequence = json_object_get(piece, "Sequence");
        if (special) {
            HT_TRY(add_template_token(tokenizer, processor, special, name, err));
            continue;
        }
        ht_text id;
        HT_TRY(hti_json_text(sequence, name, "id", &id, err));
        if (!id.data || strcmp(id.data, "A") != 0 || n_sequences++ > 0)
            return HT_FAIL(err, UNSUPPORTED, "%s: \"post_processor.single\" must hold the sequence A once", name);
        tokenizer->n_before = tokenizer->n_special;
    }
    if (n_sequences != 1)
        return HT_FAIL(err, UNSUPPORTED, "%s: \"post_processor.single\" must hold the sequence A once", name);
    return HT_OK;
}

/* "cls": ["[CLS]", 101], "sep": ["[SEP]", 102] */
static ht_status read_bert(hti_tokenizer *tokenizer, const json_t *processor, const char *name, ht_error *err)
{
    const json_t *cls = json_object_get(processor, "cls"), *sep = json_object_get(processor, "sep");
    HT_TRY(add_special(tokenizer, json_array_get(cls, 1), name, err));
    tokenizer->n_before = 1;
    return add_special(tokenizer, json_array_get(sep, 1), name, err);
}

ht_status hti_tokenizer_read_special(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err)
{
    const json_t *processor = json_object_get(root, "post_processor");
    if (!processor || json_is_null(processor)) return HT_OK;
    ht_text type;
    HT_TRY(hti_json_text(processor, name, "type", &type, err));
    if (!type.data) return HT_FAIL(err, PARSE, "%s: \"post_processor\" has no \"type\"", name);
    if (strcmp(type.data, "TemplateProcessing") == 0) return read_template(tokenizer, processor, name, err);
    if (strcmp(type.data, "BertProcessing") == 0) return read_bert(tokenizer, processor, name, err);
    return HT_FAIL(err, UNSUPPORTED, "%s: post_processor.type \"%.60s\" is not supported", name, type.data);
}
