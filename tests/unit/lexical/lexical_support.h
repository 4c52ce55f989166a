/*
 * lexical_support.h - small collections for the lexical tests: made of words w0, w1, ..., indexed with
 * the whitespace analyzer, and scored by brute force from the formula alone.
 */
#ifndef HT_TESTS_LEXICAL_SUPPORT_H
#define HT_TESTS_LEXICAL_SUPPORT_H

#include "base/base.h"

#include <houndstooth/lexical.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "temp_dir.h"

static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static inline uint32_t random_below(uint64_t *state, uint32_t n) { return (uint32_t)(hti_random_next(state) % n); }

/* Fails the test with the library's message. */
#define assert_ht_ok(expr)                                                                            \
    do {                                                                                              \
        const ht_status status_of_expr = (expr);                                                      \
        if (status_of_expr != HT_OK) fail_msg("%s: %s", ht_status_name(status_of_expr), err.message); \
    } while (0)

enum { MAX_SEGMENTS = 8 };

/* A folder with room for segment files, removed with drop_folder. */
typedef struct folder {
    char dir[TEMP_DIR_CAP];
    char paths[MAX_SEGMENTS][2 * TEMP_DIR_CAP];
    const char *list[MAX_SEGMENTS];
} folder;

static inline void make_folder(folder *f)
{
    temp_dir_make(f->dir);
    for (size_t i = 0; i < MAX_SEGMENTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "segment%zu", i);
        f->list[i] = temp_dir_path(f->dir, name, f->paths[i]);
    }
}

static inline void drop_folder(folder *f) { temp_dir_remove(f->dir); }

/* Documents as word numbers: document d has words[starts[d] .. starts[d + 1]). From malloc, not the library. */
typedef struct corpus {
    uint32_t n_docs, n_words; /* words are 0 .. n_words - 1 */
    size_t *starts;           /* [n_docs + 1] */
    uint32_t *words;
} corpus;

static inline void free_corpus(corpus *c)
{
    free(c->starts);
    free(c->words);
}

/* Lengths 0 .. max_len, words skewed towards low numbers, some repeated in a row. */
static inline corpus random_corpus(uint64_t *state, uint32_t n_docs, uint32_t n_words, uint32_t max_len)
{
    corpus c = {n_docs, n_words, malloc(((size_t)n_docs + 1) * sizeof *c.starts),
                malloc(((size_t)n_docs * max_len + 1) * sizeof *c.words)};
    size_t at = 0;
    for (uint32_t d = 0; d < n_docs; d++) {
        c.starts[d] = at;
        const uint32_t len = random_below(state, max_len + 1);
        for (uint32_t i = 0; i < len; i++) {
            const double u = hti_random_unit(state);
            const bool repeats = i > 0 && random_below(state, 5) == 0;
            c.words[at] = repeats ? c.words[at - 1] : (uint32_t)(u * u * u * n_words);
            at++;
        }
    }
    c.starts[n_docs] = at;
    return c;
}

static inline void put_words(hti_buffer *text, const uint32_t *words, size_t n)
{
    hti_buffer_clear(text);
    for (size_t i = 0; i < n; i++) hti_buffer_printf(text, i ? " w%u" : "w%u", words[i]);
}

/* Indexes documents [from, to) into one segment file. */
static inline ht_status build_segment(const corpus *c, uint32_t from, uint32_t to, const char *path,
                                      ht_lexical_info *info, ht_error *err)
{
    ht_lexical_builder *builder;
    hti_buffer text;
    HT_TRY(ht_lexical_builder_new(path, "whitespace", &builder, err));
    hti_buffer_init(&text);
    ht_status status = HT_OK;
    for (uint32_t d = from; status == HT_OK && d < to; d++) {
        put_words(&text, c->words + c->starts[d], c->starts[d + 1] - c->starts[d]);
        status = hti_buffer_status(&text, err);
        const ht_text part = hti_buffer_view(&text);
        if (status == HT_OK) status = ht_lexical_builder_add(builder, &part, 1, err);
    }
    hti_buffer_deinit(&text);
    if (status == HT_OK) return ht_lexical_builder_finish(builder, info, err);
    ht_lexical_builder_abort(builder);
    return status;
}

/* The formula of <houndstooth/lexical.h> over all documents, word by word of the query in order. scores [n_docs]. */
static inline void brute_force(const corpus *c, const uint32_t *query, size_t n_query, ht_bm25 bm25, double *scores)
{
    double n = 0.0, tokens = 0.0;
    for (uint32_t d = 0; d < c->n_docs; d++) {
        const size_t len = c->starts[d + 1] - c->starts[d];
        n += len > 0;
        tokens += (double)len;
        scores[d] = 0.0;
    }
    const double average = n > 0.0 ? tokens / n : 1.0;
    for (size_t q = 0; q < n_query; q++) {
        double df = 0.0;
        for (uint32_t d = 0; d < c->n_docs; d++) {
            bool has = false;
            for (size_t i = c->starts[d]; i < c->starts[d + 1]; i++) has |= c->words[i] == query[q];
            df += has;
        }
        const double idf = log(1.0 + (n - df + 0.5) / (df + 0.5));
        for (uint32_t d = 0; d < c->n_docs; d++) {
            double tf = 0.0;
            for (size_t i = c->starts[d]; i < c->starts[d + 1]; i++) tf += c->words[i] == query[q];
            const double len = (double)(c->starts[d + 1] - c->starts[d]);
            if (tf > 0.0) scores[d] += idf * tf / (tf + bm25.k1 * (1.0 - bm25.b + bm25.b * len / average));
        }
    }
}

#endif
