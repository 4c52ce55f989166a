/*
 * session.c - calls: texts to tokens, tokens to blocks, blocks through the model on the pool, vectors out.
 *
 * Layout: the vectors of all texts stand behind each other in one array whose offsets are known before the model
 * runs (which
 * tokens are kept depends on ids alone), so every block writes its own part.
 * Blocks hold whole texts, at most max_rows rows. They are cut smaller when there are threads without work: block
 * cuts are
 * free to follow the thread count because they never change a text's bits (kernel/encoder_kernels.h).
 * Thread rule: a session serves one call at a time; inside, thread t of the pool uses forwards[t].
 * Lock order: `progress` alone.
 */
#include "encoder_int.h"

#include <string.h>

enum { BLOCK_ROWS = 512, MIN_BLOCK_ROWS = 96 };

typedef enum call_kind { CALL_VECTORS, CALL_HIDDEN, CALL_TOKENS } call_kind;

struct ht_encoder_session {
    const ht_encoder *encoder;
    hti_call_tokens tokens;
    hti_forward *forwards; /* [n_forwards], one a thread of the pool */
    size_t n_forwards;
    hti_mutex *progress;
    /* Result of the last call. */
    ht_encoding result;
    uint8_t *keep; /* [tokens] */
    size_t *offsets;
    uint32_t *ids, *starts, *ends, *n_tokens;
    float *vectors, *pooled;
    size_t *blocks; /* [n_blocks + 1]: first text of a block */
    size_t n_blocks;
    size_t cap_keep, cap_offsets, cap_ids, cap_starts, cap_ends, cap_n_tokens, cap_vectors, cap_pooled, cap_blocks;
};

/* ---- life ---- */

static ht_status make_forwards(ht_encoder_session *session, ht_error *err)
{
    const ht_encoder *encoder = session->encoder;
    const size_t n = ht_pool_threads(encoder->pool), max_text = encoder->info.max_tokens;
    session->forwards = hti_alloc_zero(hti_mul(n, sizeof *session->forwards));
    if (!session->forwards) return HTI_NO_MEMORY(err);
    session->n_forwards = n;
    for (size_t i = 0; i < n; i++)
        HT_TRY(hti_forward_init(&session->forwards[i], &encoder->weights, HTI_MAX(max_text, (size_t)BLOCK_ROWS),
                                max_text, err));
    return HT_OK;
}

ht_status ht_encoder_session_new(const ht_encoder *encoder, ht_encoder_session **out, ht_error *err)
{
    *out = NULL;
    ht_encoder_session *session = HTI_NEW(ht_encoder_session);
    if (!session) return HTI_NO_MEMORY(err);
    session->encoder = encoder;
    hti_call_tokens_init(&session->tokens, encoder);
    session->progress = hti_mutex_new();
    const ht_status status = session->progress ? make_forwards(session, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK)
        *out = session;
    else
        ht_encoder_session_free(session);
    return status;
}

void ht_encoder_session_free(ht_encoder_session *session)
{
    if (!session) return;
    hti_call_tokens_deinit(&session->tokens);
    for (size_t i = 0; i < session->n_forwards; i++) hti_forward_deinit(&session->forwards[i]);
    hti_free(session->forwards);
    hti_mutex_free(session->progress);
    void *const arrays[] = {session->keep,     session->offsets, session->ids,    session->starts, session->ends,
                            session->n_tokens, session->vectors, session->pooled, session->blocks};
    for (size_t i = 0; i < HTI_LEN(arrays); i++) hti_free(arrays[i]);
    hti_free(session);
}

/* ---- the shape of a result ---- */

/* Which tokens give vectors: all, but punctuation of documents. */
static ht_status mark_kept(ht_encoder_session *session, bool drop, ht_error *err)
{
    const hti_call_tokens *tokens = &session->tokens;
    const size_t n = tokens->offsets[tokens->n_texts];
    HT_TRY(hti_reserve(&session->keep, &session->cap_keep, n, 1, err));
    for (size_t i = 0; i < n; i++)
        session->keep[i] = !drop || !hti_bits_get(session->encoder->punctuation, tokens->ids[i]);
    return HT_OK;
}

static ht_status reserve_result(ht_encoder_session *session, size_t n_texts, size_t n_tokens, ht_error *err)
{
    HT_TRY(hti_reserve(&session->offsets, &session->cap_offsets, n_texts + 1, sizeof *session->offsets, err));
    HT_TRY(hti_reserve(&session->n_tokens, &session->cap_n_tokens, n_texts + 1, sizeof *session->n_tokens, err));
    HT_TRY(hti_reserve(&session->ids, &session->cap_ids, n_tokens + 1, sizeof *session->ids, err));
    HT_TRY(hti_reserve(&session->starts, &session->cap_starts, n_tokens + 1, sizeof *session->starts, err));
    return hti_reserve(&session->ends, &session->cap_ends, n_tokens + 1, sizeof *session->ends, err);
}

/* Offsets of the kept tokens, and these side by side. */
static ht_status lay_out(ht_encoder_session *session, ht_error *err)
{
    const hti_call_tokens *tokens = &session->tokens;
    HT_TRY(reserve_result(session, tokens->n_texts, tokens->offsets[tokens->n_texts], err));
    size_t at = 0;
    for (size_t text = 0; text < tokens->n_texts; text++) {
        session->offsets[text] = at;
        session->n_tokens[text] = (uint32_t)(tokens->offsets[text + 1] - tokens->offsets[text]);
        for (size_t i = tokens->offsets[text]; i < tokens->offsets[text + 1]; i++) {
            session->ids[at] = tokens->ids[i];
            session->starts[at] = tokens->starts[i];
            session->ends[at] = tokens->ends[i];
            at += session->keep[i];
        }
    }
    session->offsets[tokens->n_texts] = at;
    return HT_OK;
}

/* Whole texts in order, as many as fit. */
static ht_status cut_blocks(ht_encoder_session *session, ht_error *err)
{
    const hti_call_tokens *tokens = &session->tokens;
    const size_t fair = tokens->offsets[tokens->n_texts] / (2 * session->n_forwards);
    const size_t most =
        session->n_forwards == 1 ? BLOCK_ROWS : HTI_MIN(HTI_MAX(fair, (size_t)MIN_BLOCK_ROWS), (size_t)BLOCK_ROWS);
    HT_TRY(hti_reserve(&session->blocks, &session->cap_blocks, tokens->n_texts + 1, sizeof *session->blocks, err));
    session->n_blocks = 0;
    size_t rows = 0;
    for (size_t text = 0; text < tokens->n_texts; text++) {
        const size_t len = session->n_tokens[text];
        if (text == 0 || rows + len > most) {
            session->blocks[session->n_blocks++] = text;
            rows = 0;
        }
        rows += len;
    }
    session->blocks[session->n_blocks] = tokens->n_texts;
    return HT_OK;
}

/* ---- running ---- */

typedef struct encode_job {
    ht_encoder_session *session;
    const ht_monitor *monitor;
    call_kind kind;
    size_t n_done; /* texts, under `progress` */
} encode_job;

static void report(encode_job *job, size_t n)
{
    if (!job->monitor || !job->monitor->progress) return;
    hti_mutex_lock(job->session->progress);
    job->n_done += n;
    job->monitor->progress(job->monitor->ud, "encode", job->n_done, job->session->tokens.n_texts);
    hti_mutex_unlock(job->session->progress);
}

/* States of one text [n, hidden] -> its place in the result. */
static void write_text(const encode_job *job, size_t text, const float *states)
{
    ht_encoder_session *session = job->session;
    const hti_weights *w = &session->encoder->weights;
    float *vectors = session->vectors + session->offsets[text] * w->hidden;
    const size_t first = session->tokens.offsets[text], n = session->n_tokens[text];
    const hti_finish finish = {
        .hidden = states,
        .ld = w->hidden_pad,
        .n_tokens = n,
        .dim = w->hidden,
        .keep = session->keep + first,
        .mix = session->encoder->info.mix,
        .pool_first = session->encoder->model->pooling == HTI_POOLING_CLS,
        .pooled = session->pooled + text * w->hidden,
        .vectors = job->kind == CALL_VECTORS ? vectors : NULL,
    };
    w->kernels->finish(&finish);
    for (size_t i = 0; job->kind == CALL_HIDDEN && i < n; i++)
        memcpy(vectors + i * w->hidden, states + i * w->hidden_pad, w->hidden * sizeof *vectors);
}

static ht_status run_block(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    encode_job *job = ud;
    ht_encoder_session *session = job->session;
    const hti_call_tokens *tokens = &session->tokens;
    const size_t first = session->blocks[chunk], end = session->blocks[chunk + 1];
    const size_t *offsets = tokens->offsets + first;
    const hti_block block = {.ids = tokens->ids + offsets[0],
                             .offsets = offsets,
                             .n_texts = end - first,
                             .n_layers = SIZE_MAX,
                             .monitor = job->monitor};
    hti_forward *forward = &session->forwards[thread];
    HT_TRY(hti_forward_run(forward, &block, err));
    for (size_t text = first; text < end; text++)
        write_text(job, text, forward->x + (tokens->offsets[text] - offsets[0]) * session->encoder->weights.hidden_pad);
    report(job, end - first);
    return HT_OK;
}

static ht_status run_model(ht_encoder_session *session, call_kind kind, const ht_monitor *monitor, ht_error *err)
{
    const size_t dim = session->encoder->weights.hidden, n_texts = session->tokens.n_texts;
    HT_TRY(cut_blocks(session, err));
    HT_TRY(hti_reserve(&session->vectors, &session->cap_vectors, hti_mul(session->offsets[n_texts], dim), sizeof(float),
                       err));
    HT_TRY(hti_reserve(&session->pooled, &session->cap_pooled, hti_mul(n_texts, dim), sizeof(float), err));
    encode_job job = {session, monitor, kind, 0};
    HT_TRY(hti_pool_run(session->encoder->pool, session->n_blocks, run_block, &job, err));
    session->result.vectors = session->vectors;
    session->result.pooled = session->pooled;
    return HT_OK;
}

/* ---- the public door ---- */

typedef struct call_args {
    const ht_encoder_input *inputs; /* [n] */
    size_t n;
    call_kind kind;
    bool drop; /* punctuation */
    const ht_monitor *monitor;
} call_args;

static ht_status run_call(ht_encoder_session *session, const call_args *args, ht_error *err)
{
    hti_call_tokens *tokens = &session->tokens;
    HT_TRY(hti_call_tokens_run(tokens, args->inputs, args->n, args->monitor, err));
    HT_TRY(mark_kept(session, args->drop, err));
    HT_TRY(lay_out(session, err));
    if (args->kind != CALL_TOKENS) HT_TRY(run_model(session, args->kind, args->monitor, err));
    ht_encoding *result = &session->result;
    result->n_texts = args->n;
    result->n_vectors = session->offsets[args->n];
    result->dim = session->encoder->info.dim;
    result->offsets = session->offsets;
    result->token_ids = session->ids;
    result->token_starts = session->starts;
    result->token_ends = session->ends;
    result->n_tokens = session->n_tokens;
    result->truncated = tokens->truncated;
    return HT_OK;
}

/* On failure there is no last call. */
static ht_status call(ht_encoder_session *session, const call_args *args, const ht_encoding **out, ht_error *err)
{
    *out = NULL;
    session->result = (ht_encoding){0};
    const ht_status status = run_call(session, args, err);
    if (status == HT_OK)
        *out = &session->result;
    else
        session->tokens.n_texts = 0;
    return status;
}

ht_status ht_encoder_encode(ht_encoder_session *session, ht_role role, const ht_encoder_input *inputs, size_t n_inputs,
                            const ht_monitor *monitor, const ht_encoding **out, ht_error *err)
{
    const bool drop = role == HT_ROLE_DOCUMENT && !session->encoder->info.keeps_punctuation;
    return call(session, &(call_args){inputs, n_inputs, CALL_VECTORS, drop, monitor}, out, err);
}

ht_status ht_encoder_hidden(ht_encoder_session *session, ht_role role, const ht_encoder_input *inputs, size_t n_inputs,
                            const ht_monitor *monitor, const ht_encoding **out, ht_error *err)
{
    (void)role; /* the models supported so far take queries and documents alike */
    return call(session, &(call_args){inputs, n_inputs, CALL_HIDDEN, false, monitor}, out, err);
}

ht_status ht_encoder_tokenize(ht_encoder_session *session, ht_role role, const ht_encoder_input *inputs,
                              size_t n_inputs, const ht_encoding **out, ht_error *err)
{
    (void)role;
    return call(session, &(call_args){inputs, n_inputs, CALL_TOKENS, false, NULL}, out, err);
}

ht_text ht_encoder_joined_text(const ht_encoder_session *session, size_t text)
{
    const hti_call_tokens *tokens = &session->tokens;
    if (text >= tokens->n_texts) return (ht_text){NULL, 0};
    const size_t first = tokens->joined_offsets[text], len = tokens->joined_offsets[text + 1] - first;
    return len ? (ht_text){tokens->joined.data + first, len} : (ht_text){"", 0};
}

ht_status hti_encoder_forward_ids(ht_encoder_session *session, const hti_forward_input *input, float *hidden,
                                  ht_error *err)
{
    const hti_weights *w = &session->encoder->weights;
    if (input->n == 0 || input->n > session->encoder->info.max_tokens)
        return HT_FAIL(err, INVALID, "%zu ids: 1 to %u go through the model", input->n,
                       session->encoder->info.max_tokens);
    for (size_t i = 0; i < input->n; i++)
        if (input->ids[i] >= w->model->bert.vocab_size)
            return HT_FAIL(err, INVALID, "id %u is not in the vocabulary", input->ids[i]);
    const size_t offsets[] = {0, input->n};
    const hti_block block = {input->ids, offsets, input->attention, 1, input->n_layers, NULL};
    hti_forward *forward = &session->forwards[0];
    HT_TRY(hti_forward_run(forward, &block, err));
    for (size_t i = 0; i < input->n; i++)
        memcpy(hidden + i * w->hidden, forward->x + i * w->hidden_pad, w->hidden * sizeof *hidden);
    return HT_OK;
}
