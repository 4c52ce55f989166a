/*
 * tokens.c - the texts of a call joined, checked and cut into ids.
 *
 * Layout: texts are shared out in equal runs, at most MAX_SHARES of them whatever the pool; each run has a
 * tokenizer session
 * and buffers of its own, so which thread does it leaves no trace; then all runs are copied behind each other.
 * Thread rule: a share is touched by one thread at a time; the flat arrays by the caller alone.
 * Easy to get wrong: buffers belong to shares, not threads, or a second identical call could allocate on the thread
 * that
 * got the long texts this time.
 */
#include "encoder_int.h"

#include "codec/codec.h"

#include <string.h>

enum { MAX_SHARES = 64, MIN_TEXTS = 32 };

typedef struct hti_token_share {
    hti_tokenizer_session *session;
    uint32_t *ids, *starts, *ends; /* [n] */
    size_t n, cap_ids, cap_starts, cap_ends;
} token_share;

void hti_call_tokens_init(hti_call_tokens *tokens, const ht_encoder *encoder)
{
    *tokens = (hti_call_tokens){.encoder = encoder};
    hti_buffer_init(&tokens->joined);
}

void hti_call_tokens_deinit(hti_call_tokens *tokens)
{
    for (size_t i = 0; i < tokens->n_shares; i++) {
        token_share *share = &tokens->shares[i];
        hti_tokenizer_session_free(share->session);
        hti_free(share->ids);
        hti_free(share->starts);
        hti_free(share->ends);
    }
    hti_free(tokens->shares);
    hti_buffer_deinit(&tokens->joined);
    hti_free(tokens->joined_offsets);
    hti_free(tokens->offsets);
    hti_free(tokens->truncated);
    hti_free(tokens->ids);
    hti_free(tokens->starts);
    hti_free(tokens->ends);
}

static ht_status check_text(ht_text text, const char *what, size_t n, ht_error *err)
{
    const size_t valid = text.len ? hti_utf8_valid(text) : 0;
    if (valid == text.len) return HT_OK;
    return HT_FAIL(err, INVALID, "%s of input %zu: not UTF-8 at byte %zu", what, n, valid);
}

static ht_status join_texts(hti_call_tokens *tokens, const ht_encoder_input *inputs, size_t n, ht_error *err)
{
    hti_buffer_clear(&tokens->joined);
    for (size_t i = 0; i < n; i++) {
        HT_TRY(check_text(inputs[i].title, "title", i, err));
        HT_TRY(check_text(inputs[i].text, "text", i, err));
        tokens->joined_offsets[i] = tokens->joined.len;
        hti_join(&tokens->joined, inputs[i].title, inputs[i].text);
    }
    tokens->joined_offsets[n] = tokens->joined.len;
    return hti_buffer_status(&tokens->joined, err);
}

/* Grows three arrays of one length together. */
static ht_status reserve_ids(token_share *share, size_t need, ht_error *err)
{
    HT_TRY(hti_reserve(&share->ids, &share->cap_ids, need, sizeof *share->ids, err));
    HT_TRY(hti_reserve(&share->starts, &share->cap_starts, need, sizeof *share->starts, err));
    return hti_reserve(&share->ends, &share->cap_ends, need, sizeof *share->ends, err);
}

static ht_status append_text(token_share *share, ht_text text, size_t max_ids, hti_token_ids *made, ht_error *err)
{
    const hti_encode_opts opts = {HT_DESC(hti_encode_opts), .max_ids = max_ids, .add_special = true};
    HT_TRY(hti_tokenizer_encode(share->session, text, &opts, made, err));
    HT_TRY(reserve_ids(share, share->n + made->len, err));
    memcpy(share->ids + share->n, made->ids, made->len * sizeof *share->ids);
    memcpy(share->starts + share->n, made->starts, made->len * sizeof *share->starts);
    memcpy(share->ends + share->n, made->ends, made->len * sizeof *share->ends);
    share->n += made->len;
    return HT_OK;
}

/* What a pool's chunk sees: share number `chunk` takes texts [chunk * per_share, ...). */
typedef struct share_job {
    hti_call_tokens *tokens;
    size_t per_share;
    const ht_monitor *monitor;
} share_job;

static ht_status run_share(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    const share_job *job = ud;
    hti_call_tokens *tokens = job->tokens;
    token_share *share = &tokens->shares[chunk];
    const size_t first = chunk * job->per_share, end = HTI_MIN(first + job->per_share, tokens->n_texts);
    (void)thread;
    if (hti_cancelled(job->monitor)) return HT_FAIL(err, CANCELLED, "encoding was cancelled");
    if (!share->session) HT_TRY(hti_tokenizer_session_new(tokens->encoder->tokenizer, &share->session, err));
    share->n = 0;
    for (size_t i = first; i < end; i++) {
        const ht_text text = {tokens->joined.data + tokens->joined_offsets[i],
                              tokens->joined_offsets[i + 1] - tokens->joined_offsets[i]};
        hti_token_ids made;
        HT_TRY(append_text(share, text.len ? text : (ht_text){"", 0}, tokens->encoder->info.max_tokens, &made, err));
        tokens->truncated[i] = made.truncated;
        tokens->offsets[i + 1] = made.len; /* lengths for now */
    }
    return HT_OK;
}

static ht_status make_shares(hti_call_tokens *tokens, size_t n, ht_error *err)
{
    if (n <= tokens->n_shares) return HT_OK;
    token_share *grown = hti_realloc(tokens->shares, hti_mul(n, sizeof *grown));
    if (!grown) return HTI_NO_MEMORY(err);
    memset(grown + tokens->n_shares, 0, (n - tokens->n_shares) * sizeof *grown);
    tokens->shares = grown;
    tokens->n_shares = n;
    return HT_OK;
}

static ht_status flatten(hti_call_tokens *tokens, size_t n_shares, ht_error *err)
{
    tokens->offsets[0] = 0;
    for (size_t i = 0; i < tokens->n_texts; i++) tokens->offsets[i + 1] += tokens->offsets[i];
    const size_t n = tokens->offsets[tokens->n_texts];
    if (n > (size_t)1 << 31) return HT_FAIL(err, LIMIT, "%zu tokens in one call: at most 2^31", n);
    HT_TRY(hti_reserve(&tokens->ids, &tokens->cap_ids, n, sizeof *tokens->ids, err));
    HT_TRY(hti_reserve(&tokens->starts, &tokens->cap_starts, n, sizeof *tokens->starts, err));
    HT_TRY(hti_reserve(&tokens->ends, &tokens->cap_ends, n, sizeof *tokens->ends, err));
    size_t at = 0;
    for (size_t i = 0; i < n_shares; i++) {
        const token_share *share = &tokens->shares[i];
        if (share->n == 0) continue;
        memcpy(tokens->ids + at, share->ids, share->n * sizeof *share->ids);
        memcpy(tokens->starts + at, share->starts, share->n * sizeof *share->starts);
        memcpy(tokens->ends + at, share->ends, share->n * sizeof *share->ends);
        at += share->n;
    }
    HT_ASSERT(at == n);
    return HT_OK;
}

static ht_status reserve_texts(hti_call_tokens *tokens, size_t n, ht_error *err)
{
    if (n < tokens->cap_texts) return HT_OK;
    size_t caps[3] = {0, 0, 0}; /* all three grow to the same length */
    hti_free(tokens->joined_offsets);
    hti_free(tokens->offsets);
    hti_free(tokens->truncated);
    tokens->joined_offsets = tokens->offsets = NULL;
    tokens->truncated = NULL;
    tokens->cap_texts = 0;
    HT_TRY(hti_reserve(&tokens->joined_offsets, &caps[0], n + 1, sizeof *tokens->joined_offsets, err));
    HT_TRY(hti_reserve(&tokens->offsets, &caps[1], n + 1, sizeof *tokens->offsets, err));
    HT_TRY(hti_reserve(&tokens->truncated, &caps[2], n + 1, sizeof *tokens->truncated, err));
    tokens->cap_texts = n + 1;
    return HT_OK;
}

ht_status hti_call_tokens_run(hti_call_tokens *tokens, const ht_encoder_input *inputs, size_t n,
                              const ht_monitor *monitor, ht_error *err)
{
    tokens->n_texts = 0;
    HT_TRY(reserve_texts(tokens, n, err));
    HT_TRY(join_texts(tokens, inputs, n, err));
    tokens->n_texts = n;
    const size_t per_share = HTI_MAX((n + MAX_SHARES - 1) / MAX_SHARES, (size_t)MIN_TEXTS);
    const size_t n_shares = (n + per_share - 1) / per_share;
    HT_TRY(make_shares(tokens, n_shares, err));
    share_job job = {tokens, per_share, monitor};
    HT_TRY(hti_pool_run(tokens->encoder->pool, n_shares, run_share, &job, err));
    return flatten(tokens, n_shares, err);
}
