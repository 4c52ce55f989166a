/*
 * tokenizer.c - opening a `tokenizer.json`, and the frame of encoding that all kinds share.
 *
 * encode: special ids in front | for each piece of the text between added tokens: the kind's ids |
 * special ids behind. Ids go into arrays of the session, so that the second identical call allocates
 * nothing. A kind may run a word beyond the limit before it stops; the surplus is cut off here.
 * Thread rule: a tokenizer is constant once opened; a session has one thread.
 * Easy to get wrong: the limit counts special ids, and these still come behind a text that was cut.
 */
#include "tokenizer_int.h"

#include "os/os.h"

#include <string.h>

enum { MAX_FILE = 256 * 1024 * 1024 };

static const hti_tokenizer_kind *const kinds[] = {&hti_wordpiece};

/* ---- opening ---- */

/* The kind that "model.type" names; files older than that key are told by a key of WordPiece. */
static ht_status find_kind(const json_t *root, const char *name, const hti_tokenizer_kind **out, ht_error *err)
{
    const json_t *model = json_object_get(root, "model");
    if (!json_is_object(model)) return HT_FAIL(err, PARSE, "%s: \"model\" is missing: this is no tokenizer file", name);
    ht_text type;
    HT_TRY(hti_json_text(model, name, "type", &type, err));
    if (!type.data && json_object_get(model, "max_input_chars_per_word")) type.data = "WordPiece";
    for (size_t i = 0; type.data && i < HTI_LEN(kinds); i++) {
        if (strcmp(kinds[i]->name, type.data) != 0) continue;
        *out = kinds[i];
        return HT_OK;
    }
    return HT_FAIL(err, UNSUPPORTED, "%s: model.type \"%.60s\" is not supported", name, type.data ? type.data : "");
}

static ht_status read_file(hti_tokenizer *tokenizer, const json_t *root, const char *name, ht_error *err)
{
    ht_text version;
    HT_TRY(hti_json_text(root, name, "version", &version, err));
    if (version.data && strcmp(version.data, "1.0") != 0)
        return HT_FAIL(err, VERSION, "%s: version \"%.20s\"; this program reads \"1.0\"", name, version.data);
    HT_TRY(find_kind(root, name, &tokenizer->kind, err));
    HT_TRY(hti_tokenizer_read_vocab(tokenizer, root, name, err));
    HT_TRY(hti_tokenizer_read_added(tokenizer, root, name, err));
    HT_TRY(hti_tokenizer_read_special(tokenizer, root, name, err));
    HT_TRY(hti_normalizer_parse(json_object_get(root, "normalizer"), name, &tokenizer->normalizer, err));
    HT_TRY(hti_tokenizer_index_added(tokenizer, err));
    HT_TRY(hti_tokenizer_sort_entries(tokenizer, name, err));
    return tokenizer->kind->open(tokenizer, root, name, err);
}

ht_status hti_tokenizer_parse(ht_text json, const char *name, const hti_tokenizer_opts *opts, hti_tokenizer **out,
                              ht_error *err)
{
    *out = NULL;
    json_t *root = NULL;
    hti_tokenizer *tokenizer = HTI_NEW(hti_tokenizer);
    if (!tokenizer) return HTI_NO_MEMORY(err);
    hti_buffer_init(&tokenizer->texts);
    tokenizer->unk = HTI_TOKEN_NONE;
    tokenizer->special_as_text = opts && opts->special_as_text;
    ht_status status = hti_json_parse(json, name, 0, &root, err);
    if (status == HT_OK) status = read_file(tokenizer, root, name, err);
    json_decref(root);
    if (status == HT_OK)
        *out = tokenizer;
    else
        hti_tokenizer_close(tokenizer);
    return status;
}

ht_status hti_tokenizer_open(const char *path, const hti_tokenizer_opts *opts, hti_tokenizer **out, ht_error *err)
{
    *out = NULL;
    hti_buffer file;
    hti_buffer_init(&file);
    ht_status status = hti_read_file(path, MAX_FILE, &file, err);
    if (status == HT_OK) status = hti_tokenizer_parse(hti_buffer_view(&file), path, opts, out, err);
    hti_buffer_deinit(&file);
    return status;
}

void hti_tokenizer_close(hti_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    if (tokenizer->model) tokenizer->kind->free(tokenizer->model);
    hti_trie_deinit(&tokenizer->vocab);
    hti_added_deinit(&tokenizer->added);
    hti_free(tokenizer->entries);
    hti_buffer_deinit(&tokenizer->texts);
    hti_free(tokenizer);
}

/* ---- what it knows ---- */

uint32_t hti_tokenizer_token_id(const hti_tokenizer *tokenizer, ht_text token)
{
    const uint32_t number = hti_trie_get(&tokenizer->added.names, token);
    return number != HTI_TRIE_NONE ? tokenizer->added.tokens[number].id : hti_trie_get(&tokenizer->vocab, token);
}

ht_text hti_tokenizer_token_text(const hti_tokenizer *tokenizer, uint32_t id)
{
    size_t low = 0, high = tokenizer->n_entries;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (tokenizer->entries[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == tokenizer->n_entries || tokenizer->entries[low].id != id) return (ht_text){NULL, 0};
    return (ht_text){tokenizer->texts.data + tokenizer->entries[low].off, tokenizer->entries[low].len};
}

/* Id of the first of two usual names that the tokenizer has. */
static uint32_t either(const hti_tokenizer *tokenizer, const char *one, const char *other)
{
    const uint32_t id = hti_tokenizer_token_id(tokenizer, (ht_text){one, strlen(one)});
    return id != HTI_TOKEN_NONE ? id : hti_tokenizer_token_id(tokenizer, (ht_text){other, strlen(other)});
}

hti_tokenizer_info hti_tokenizer_get_info(const hti_tokenizer *tokenizer)
{
    uint32_t n_ids = tokenizer->entries[tokenizer->n_entries - 1].id + 1;
    for (size_t i = 0; i < tokenizer->n_special; i++) n_ids = HTI_MAX(n_ids, tokenizer->special[i] + 1);
    return (hti_tokenizer_info){
        .kind = tokenizer->kind->name,
        .n_ids = n_ids,
        .n_tokens = (uint32_t)tokenizer->n_entries,
        .n_special = (uint32_t)tokenizer->n_special,
        .cls = either(tokenizer, "[CLS]", "<s>"),
        .sep = either(tokenizer, "[SEP]", "</s>"),
        .mask = either(tokenizer, "[MASK]", "<mask>"),
        .pad = either(tokenizer, "[PAD]", "<pad>"),
        .unk = tokenizer->unk,
    };
}

/* ---- encoding ---- */

ht_status hti_ids_reserve(hti_ids *out, size_t n, ht_error *err)
{
    const size_t need = hti_add(out->n, n);
    if (need <= out->cap) return HT_OK;
    size_t caps[3] = {out->cap, out->cap, out->cap};
    uint32_t **arrays[3] = {&out->ids, &out->starts, &out->ends};
    for (size_t i = 0; i < HTI_LEN(arrays); i++) {
        /* an earlier failure may have left the arrays of different size: the blocks know theirs */
        caps[i] = hti_alloc_size(*arrays[i]) / sizeof(uint32_t);
        HT_TRY(hti_reserve(arrays[i], &caps[i], need, sizeof(uint32_t), err));
    }
    out->cap = HTI_MIN(caps[0], HTI_MIN(caps[1], caps[2]));
    return HT_OK;
}

ht_status hti_ids_push(hti_ids *out, uint32_t id, uint32_t start, uint32_t end, ht_error *err)
{
    if (out->n == out->cap) HT_TRY(hti_ids_reserve(out, 1, err));
    hti_ids_put(out, id, start, end);
    return HT_OK;
}

ht_status hti_tokenizer_session_new(const hti_tokenizer *tokenizer, hti_tokenizer_session **out, ht_error *err)
{
    hti_tokenizer_session *session = HTI_NEW(hti_tokenizer_session);
    *out = session;
    if (!session) return HTI_NO_MEMORY(err);
    session->tokenizer = tokenizer;
    hti_buffer_init(&session->normalized);
    return HT_OK;
}

void hti_tokenizer_session_free(hti_tokenizer_session *session)
{
    if (!session) return;
    hti_free(session->out.ids);
    hti_free(session->out.starts);
    hti_free(session->out.ends);
    hti_norm_scratch_deinit(&session->norm);
    hti_buffer_deinit(&session->normalized);
    hti_free(session);
}

/* The text: pieces between added tokens, and these. */
static ht_status encode_text(hti_tokenizer_session *session, ht_text text, ht_error *err)
{
    const hti_tokenizer *tokenizer = session->tokenizer;
    hti_added_scan scan = {&tokenizer->added, &tokenizer->added.raw, text, tokenizer->special_as_text, 0, 0};
    hti_added_match match;
    while (!hti_session_full(session) && hti_added_next(&scan, &match)) {
        if (scan.done < match.start) HT_TRY(tokenizer->kind->encode(session, text, scan.done, match.start, err));
        const uint32_t id = tokenizer->added.tokens[match.number].id;
        HT_TRY(hti_ids_push(&session->out, id, (uint32_t)match.start, (uint32_t)match.stop, err));
        scan.done = match.stop;
    }
    if (hti_session_full(session) || scan.done >= text.len) return HT_OK;
    return tokenizer->kind->encode(session, text, scan.done, text.len, err);
}

ht_status hti_tokenizer_encode(hti_tokenizer_session *session, ht_text text, const hti_encode_opts *opts,
                               hti_token_ids *out, ht_error *err)
{
    *out = (hti_token_ids){0};
    const hti_tokenizer *tokenizer = session->tokenizer;
    const size_t n_special = opts->add_special ? tokenizer->n_special : 0,
                 n_before = opts->add_special ? tokenizer->n_before : 0;
    if (text.len >= UINT32_MAX)
        return HT_FAIL(err, LIMIT, "a text of %zu bytes: at most 4 GB can be encoded", text.len);
    if (opts->max_ids > 0 && opts->max_ids < n_special)
        return HT_FAIL(err, INVALID, "a limit of %zu ids leaves no room for the %zu special ones", opts->max_ids,
                       n_special);
    session->out.n = 0;
    session->limit = opts->max_ids > 0 ? opts->max_ids - n_special + n_before : SIZE_MAX;
    for (size_t i = 0; i < n_before; i++) HT_TRY(hti_ids_push(&session->out, tokenizer->special[i], 0, 0, err));
    HT_TRY(encode_text(session, text, err));
    const bool truncated = hti_session_full(session);
    if (truncated) session->out.n = session->limit;
    for (size_t i = n_before; i < n_special; i++) HT_TRY(hti_ids_push(&session->out, tokenizer->special[i], 0, 0, err));
    *out = (hti_token_ids){session->out.ids, session->out.starts, session->out.ends, session->out.n, truncated};
    return HT_OK;
}
