/*
 * cmd_text.c - `hound tokenize`, `encode`, `analyze`: what the models and analyzers make of a text.
 *
 * Input: JSON lines {"text": ...} (a "title" is used too) from FILE, standard input, .gz or .zst; or one
 * text as an argument. Output: one JSON line a text.
 */
#include "rows.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

typedef struct text_args {
    const char *model, *role, *precision, *npy, *analyzer, *text;
    bool hidden, pooled, quiet;
    double mix;
    size_t jobs, max_tokens;
} text_args;

static const char *const roles[] = {"query", "document", NULL};
static const char *const precisions[] = {"auto", "f32", "bf16", NULL};

/* ---- a stream of texts ---- */

/* A batch of inputs, copied: the reader's record lives only until the next one. */
typedef struct text_batch {
    ht_encoder_input items[BATCH];
    char *copies[2 * BATCH];
    size_t len;
} text_batch;

static void clear_batch(text_batch *batch)
{
    for (size_t i = 0; i < 2 * batch->len; i++) free(batch->copies[i]);
    batch->len = 0;
}

static ht_status push_text(text_batch *batch, ht_text title, ht_text text, ht_error *err)
{
    char *first = malloc(title.len + 1), *second = malloc(text.len + 1);
    if (!first || !second) {
        free(first);
        free(second);
        return fail(err, HT_NO_MEMORY, "out of memory for a text of %zu bytes", text.len);
    }
    if (title.len) memcpy(first, title.data, title.len);
    if (text.len) memcpy(second, text.data, text.len);
    batch->copies[2 * batch->len] = first;
    batch->copies[2 * batch->len + 1] = second;
    batch->items[batch->len++] = (ht_encoder_input){{first, title.len}, {second, text.len}};
    return HT_OK;
}

typedef ht_status (*batch_fn)(void *ud, const text_batch *batch, ht_error *err);

static ht_status stream_file(const char *path, text_batch *batch, batch_fn fn, void *ud, ht_error *err)
{
    const ht_read_opts opts = {HT_DESC(ht_read_opts), .optional_id = true};
    ht_corpus_reader *reader;
    TRY(ht_corpus_open(path, &opts, &reader, err));
    ht_status status = HT_OK;
    for (bool more = true; status == HT_OK && more;) {
        ht_record record;
        status = ht_corpus_next(reader, &record, &more, err);
        if (status == HT_OK && more) status = push_text(batch, record.title, record.text, err);
        if (status == HT_OK && (batch->len == BATCH || (!more && batch->len > 0))) {
            status = fn(ud, batch, err);
            clear_batch(batch);
        }
    }
    ht_corpus_close(reader);
    return status;
}

static ht_status stream_texts(const char *path, const char *text, batch_fn fn, void *ud, ht_error *err)
{
    text_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return fail(err, HT_NO_MEMORY, "out of memory");
    ht_status status;
    if (text) {
        status = push_text(batch, (ht_text){NULL, 0}, (ht_text){text, strlen(text)}, err);
        if (status == HT_OK) status = fn(ud, batch, err);
    } else {
        status = stream_file(path, batch, fn, ud, err);
    }
    clear_batch(batch);
    free(batch);
    return status;
}

/* ---- tokenize and encode ---- */

typedef struct encode_job {
    const text_args *args;
    ht_role role;
    ht_encoder *encoder;
    ht_encoder_session *session;
    ht_npy_writer *npy;
    uint64_t n_texts, n_vectors;
    bool tokenize;
} encode_job;

static json_t *ids_json(const ht_encoding *made, size_t text)
{
    json_t *ids = json_array();
    for (size_t i = made->offsets[text]; i < made->offsets[text + 1]; i++)
        json_array_append_new(ids, json_integer(made->token_ids[i]));
    return ids;
}

static json_t *floats_json(const float *values, size_t n)
{
    json_t *row = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(row, json_real((double)values[i]));
    return row;
}

static ht_status print_tokens(encode_job *job, const ht_encoding *made, size_t text, ht_error *err)
{
    json_t *tokens = json_array();
    for (size_t i = made->offsets[text]; i < made->offsets[text + 1]; i++) {
        const ht_text token = ht_encoder_token_text(job->encoder, made->token_ids[i]);
        json_array_append_new(tokens, json_stringn(token.data ? token.data : "", token.len));
    }
    json_t *line = json_pack("{s:o, s:o}", "ids", ids_json(made, text), "tokens", tokens);
    if (line && made->truncated[text]) json_object_set_new(line, "truncated", json_true());
    return print_json(line, err);
}

static ht_status print_vectors(const encode_job *job, const ht_encoding *made, size_t text, ht_error *err)
{
    json_t *line = json_pack("{s:o}", "ids", ids_json(made, text));
    if (job->args->pooled) {
        json_object_set_new(line, "pooled", floats_json(made->pooled + text * made->dim, made->dim));
    } else {
        json_t *vectors = json_array();
        for (size_t i = made->offsets[text]; i < made->offsets[text + 1]; i++)
            json_array_append_new(vectors, floats_json(made->vectors + i * made->dim, made->dim));
        json_object_set_new(line, "vectors", vectors);
    }
    if (made->truncated[text]) json_object_set_new(line, "truncated", json_true());
    return print_json(line, err);
}

static ht_status write_npy(encode_job *job, const ht_encoding *made, ht_error *err)
{
    if (!job->npy) TRY(ht_npy_writer_new(job->args->npy, made->dim, &job->npy, err));
    const bool pooled = job->args->pooled;
    const size_t n_rows = pooled ? made->n_texts : made->n_vectors;
    TRY(ht_npy_writer_add(job->npy, pooled ? made->pooled : made->vectors, n_rows, err));
    for (size_t i = 0; i < made->n_texts; i++)
        TRY(print_json(json_pack("{s:o, s:I, s:I}", "ids", ids_json(made, i), "first_row",
                                 (json_int_t)(pooled ? job->n_texts + i : job->n_vectors + made->offsets[i]), "rows",
                                 (json_int_t)(pooled ? 1 : made->offsets[i + 1] - made->offsets[i])),
                       err));
    return HT_OK;
}

static ht_status encode_batch(void *ud, const text_batch *batch, ht_error *err)
{
    encode_job *job = ud;
    const ht_encoding *made;
    if (job->tokenize)
        TRY(ht_encoder_tokenize(job->session, job->role, batch->items, batch->len, &made, err));
    else if (job->args->hidden)
        TRY(ht_encoder_hidden(job->session, job->role, batch->items, batch->len, NULL, &made, err));
    else
        TRY(ht_encoder_encode(job->session, job->role, batch->items, batch->len, NULL, &made, err));
    if (job->args->npy && !job->tokenize) TRY(write_npy(job, made, err));
    for (size_t i = 0; i < made->n_texts && !(job->args->npy && !job->tokenize); i++)
        TRY(job->tokenize ? print_tokens(job, made, i, err) : print_vectors(job, made, i, err));
    job->n_texts += made->n_texts;
    job->n_vectors += made->n_vectors;
    return HT_OK;
}

static ht_status run_encode(encode_job *job, const char *path, ht_pool *pool, ht_error *err)
{
    char dir[4096];
    size_t precision;
    ht_encoder_opts opts;
    ht_encoder_opts_init(&opts);
    TRY(choose("precision", job->args->precision, precisions, &precision, err));
    opts.precision = (ht_precision)precision;
    opts.pool = pool;
    opts.mix = (float)job->args->mix;
    opts.max_tokens = (uint32_t)(job->args->max_tokens < UINT32_MAX ? job->args->max_tokens : UINT32_MAX);
    TRY(ht_model_find(job->args->model, dir, sizeof dir, err));
    TRY(ht_encoder_open(dir, &opts, &job->encoder, err));
    ht_status status = ht_encoder_session_new(job->encoder, &job->session, err);
    if (status == HT_OK) status = stream_texts(path, job->args->text, encode_batch, job, err);
    if (job->npy && status == HT_OK)
        status = ht_npy_writer_finish(job->npy, err);
    else
        ht_npy_writer_abort(job->npy);
    ht_encoder_session_free(job->session);
    ht_encoder_close(job->encoder);
    return status;
}

static ht_status encode_command(const opt_spec *spec, int argc, char **argv, text_args *args, bool tokenize,
                                ht_error *err)
{
    text_list positional;
    bool helped;
    size_t role;
    TRY(opt_parse(spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    TRY(choose("role", args->role, roles, &role, err));
    encode_job job = {.args = args, .role = role == 0 ? HT_ROLE_QUERY : HT_ROLE_DOCUMENT, .tokenize = tokenize};
    ht_pool *pool;
    TRY(make_pool(args->jobs, &pool, err));
    const ht_status status = run_encode(&job, positional.len ? positional.items[0] : "-", pool, err);
    ht_pool_free(pool);
    return status;
}

ht_status hound_tokenize(int argc, char **argv, ht_error *err)
{
    text_args args = {.model = "default", .role = "document", .precision = "auto", .mix = -1, .jobs = 1};
    const opt_row rows[] = {
        MODEL_ROW(&args.model),
        ROLE_ROW(&args.role),
        ONE_TEXT_ROW(&args.text),
        {"max-tokens", 0, OPT_COUNT, &args.max_tokens, "N", "ids a text (default: the model's limit)"},
    };
    const opt_spec spec = {
        "tokenize [FILE] [options]",
        "Reads JSON lines {\"text\": ...} (default: standard input) and prints the ids a model sees.",
        "  hound tokenize --text \"supersonic flow\"",
        ROWS(rows),
        0,
        1};
    return encode_command(&spec, argc, argv, &args, true, err);
}

ht_status hound_encode(int argc, char **argv, ht_error *err)
{
    text_args args = {.model = "default", .role = "document", .precision = "auto", .mix = -1};
    const opt_row rows[] = {
        MODEL_ROW(&args.model),
        ROLE_ROW(&args.role),
        ONE_TEXT_ROW(&args.text),
        {"precision", 0, OPT_TEXT, &args.precision, "P", "auto (default), f32, bf16"},
        {"hidden", 0, OPT_FLAG, &args.hidden, NULL, "last hidden states as they are"},
        {"pooled", 0, OPT_FLAG, &args.pooled, NULL, "the pooled vector instead of the token vectors"},
        {"mix", 0, OPT_REAL, &args.mix, "X", "share of the pooled vector (default: the model's)"},
        {"max-tokens", 0, OPT_COUNT, &args.max_tokens, "N", "tokens a text (default: the model's limit)"},
        {"npy", 0, OPT_TEXT, &args.npy, "FILE", "vectors as one float32 array; JSON lines then tell the rows"},
        JOBS_ROW(&args.jobs),
    };
    const opt_spec spec = {
        "encode [FILE] [options]",
        "Reads JSON lines {\"text\": ...} (default: standard input) and prints {\"ids\": [...], \"vectors\": [[...]]}.",
        "  hound encode corpus.jsonl --npy vectors.npy > rows.jsonl",
        ROWS(rows),
        0,
        1};
    return encode_command(&spec, argc, argv, &args, false, err);
}

/* ---- analyze ---- */

typedef struct analyze_job {
    const ht_analyzer *analyzer;
    ht_tokens *tokens;
} analyze_job;

static ht_status analyze_batch(void *ud, const text_batch *batch, ht_error *err)
{
    analyze_job *job = ud;
    for (size_t i = 0; i < batch->len; i++) {
        TRY(ht_analyzer_run(job->analyzer, batch->items[i].text, job->tokens, err));
        size_t n;
        const ht_token *tokens = ht_tokens_view(job->tokens, &n);
        json_t *list = json_array();
        for (size_t t = 0; t < n; t++)
            json_array_append_new(list, json_pack("{s:o, s:i, s:i, s:i, s:s}", "token",
                                                  json_stringn(tokens[t].text.data, tokens[t].text.len), "start",
                                                  (int)tokens[t].start, "end", (int)tokens[t].end, "increment",
                                                  (int)tokens[t].position_increment, "type", tokens[t].type));
        TRY(print_json(json_pack("{s:o}", "tokens", list), err));
    }
    return HT_OK;
}

ht_status hound_analyze(int argc, char **argv, ht_error *err)
{
    text_args args = {.analyzer = "english"};
    const opt_row rows[] = {
        ANALYZER_ROW(&args.analyzer),
        ONE_TEXT_ROW(&args.text),
    };
    const opt_spec spec = {
        "analyze [FILE] [options]",
        "Reads JSON lines {\"text\": ...} (default: standard input) and prints the terms with their byte offsets.",
        "  hound analyze --text \"The boundary layer's thickness\"",
        ROWS(rows),
        0,
        1};
    text_list positional;
    bool helped;
    TRY(opt_parse(&spec, argc, argv, &positional, &helped, err));
    if (helped) return HT_OK;
    analyze_job job;
    TRY(ht_analyzer_find(args.analyzer, &job.analyzer, err));
    TRY(ht_tokens_new(&job.tokens, err));
    const ht_status status =
        stream_texts(positional.len ? positional.items[0] : "-", args.text, analyze_batch, &job, err);
    ht_tokens_free(job.tokens);
    return status;
}
