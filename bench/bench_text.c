/*
 * bench_text.c - analyzers and the WordPiece tokenizer on Cranfield's texts, one thread, in MB/s of UTF-8.
 *
 *     bench_text [PEER_COMMAND]
 *
 * PEER_COMMAND, for example "python bench/peers/wordpiece_hf.py", prints the MB/s of the Hugging Face library on the
 * same texts and tokenizer file; it runs first, in the same command, so the ratio compares two figures of one run.
 * Run it from the source root. Output: JSON lines {bench, name, value, unit, median, spread, peer, ratio}; value is the
 * best pass, spread the slowest over the best of the middle half.
 */
#include "codec/codec.h"
#include "os/os.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "data/cranfield/corpus.jsonl"
#define TOKENIZER "tests/data/golden/tokenizers/minilm/tokenizer.json"

enum { N_PASSES = 21, MAX_LINE = 1 << 20 };

typedef struct texts {
    hti_arena arena;
    ht_text *texts; /* [n] */
    size_t n, cap, bytes;
} texts;

static ht_status add_line(texts *made, ht_text line, ht_error *err)
{
    json_t *doc;
    HT_TRY(hti_json_parse(line, CORPUS, 0, &doc, err));
    const json_t *text = json_object_get(doc, "text");
    const ht_text value = {json_string_value(text), json_string_length(text)};
    ht_status status = hti_reserve(&made->texts, &made->cap, made->n + 1, sizeof *made->texts, err);
    const char *copy = status == HT_OK ? hti_arena_text(&made->arena, value) : NULL;
    if (copy) {
        made->texts[made->n++] = (ht_text){copy, value.len};
        made->bytes += value.len;
    } else if (status == HT_OK) {
        status = HTI_NO_MEMORY(err);
    }
    json_decref(doc);
    return status;
}

static ht_status read_texts(texts *made, ht_error *err)
{
    hti_lines *lines;
    HT_TRY(hti_lines_open(CORPUS, MAX_LINE, &lines, err));
    ht_status status = HT_OK;
    for (ht_text line = {"", 0}; status == HT_OK;) {
        status = hti_lines_next(lines, &line, err);
        if (status != HT_OK || !line.data) break;
        status = add_line(made, line, err);
    }
    hti_lines_close(lines);
    return status;
}

/* One pass over the texts. */
typedef ht_status (*pass_fn)(void *ud, const texts *all, ht_error *err);

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ht_status measure(const char *name, pass_fn pass, void *ud, const texts *all, double peer, ht_error *err)
{
    double seconds[N_PASSES];
    for (size_t i = 0; i < N_PASSES; i++) {
        const uint64_t start = hti_clock_ns();
        HT_TRY(pass(ud, all, err));
        seconds[i] = (double)(hti_clock_ns() - start) * 1e-9;
    }
    qsort(seconds, N_PASSES, sizeof *seconds, ascending);
    const double megabytes = (double)all->bytes * 1e-6, best = megabytes / seconds[0];
    printf("{\"bench\": \"text\", \"name\": \"%s\", \"value\": %.1f, \"unit\": \"MB/s\", "
           "\"median\": %.1f, \"spread\": %.3f",
           name, best, megabytes / seconds[N_PASSES / 2], seconds[3 * N_PASSES / 4] / seconds[0]);
    if (peer > 0.0) printf(", \"peer\": %.1f, \"ratio\": %.2f", peer, best / peer);
    puts("}");
    return HT_OK;
}

typedef struct analysis {
    const ht_analyzer *analyzer;
    ht_tokens *tokens;
} analysis;

static ht_status analyze(void *ud, const texts *all, ht_error *err)
{
    const analysis *a = ud;
    for (size_t i = 0; i < all->n; i++) HT_TRY(ht_analyzer_run(a->analyzer, all->texts[i], a->tokens, err));
    return HT_OK;
}

static ht_status encode(void *session, const texts *all, ht_error *err)
{
    const hti_encode_opts opts = {HT_DESC(hti_encode_opts), .add_special = true};
    hti_token_ids ids;
    for (size_t i = 0; i < all->n; i++) HT_TRY(hti_tokenizer_encode(session, all->texts[i], &opts, &ids, err));
    return HT_OK;
}

static ht_status bench_analyzers(const texts *all, ht_error *err)
{
    analysis a;
    HT_TRY(ht_tokens_new(&a.tokens, err));
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && ht_analyzer_name_at(i); i++) {
        status = ht_analyzer_find(ht_analyzer_name_at(i), &a.analyzer, err);
        if (status == HT_OK) status = measure(ht_analyzer_name_at(i), analyze, &a, all, 0.0, err);
    }
    ht_tokens_free(a.tokens);
    return status;
}

static ht_status bench_wordpiece(const texts *all, double peer, ht_error *err)
{
    hti_tokenizer *tokenizer;
    hti_tokenizer_session *session = NULL;
    HT_TRY(hti_tokenizer_open(TOKENIZER, NULL, &tokenizer, err));
    ht_status status = hti_tokenizer_session_new(tokenizer, &session, err);
    if (status == HT_OK) status = measure("wordpiece", encode, session, all, peer, err);
    hti_tokenizer_session_free(session);
    hti_tokenizer_close(tokenizer);
    return status;
}

/* The number that the peer prints, 0 without one. */
static double run_peer(const char *command)
{
    char line[64] = "";
    FILE *pipe = command ? popen(command, "r") : NULL;
    if (!pipe) return 0.0;
    const bool told = fgets(line, sizeof line, pipe) != NULL;
    return pclose(pipe) == 0 && told ? strtod(line, NULL) : 0.0;
}

int main(int argc, char **argv)
{
    const double peer = run_peer(argc > 1 ? argv[1] : NULL);
    texts all = {.n = 0};
    ht_error err = {0};
    ht_status status = read_texts(&all, &err);
    if (status == HT_OK) status = bench_analyzers(&all, &err);
    if (status == HT_OK) status = bench_wordpiece(&all, peer, &err);
    if (status != HT_OK) fprintf(stderr, "bench_text: %s\n", err.message);
    hti_free(all.texts);
    hti_arena_deinit(&all.arena);
    return ht_status_exit_code(status);
}
