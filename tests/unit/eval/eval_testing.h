/*
 * eval_testing.h - what the tests of this room share: short names, temporary files, golden files.
 */
#ifndef HT_TESTS_EVAL_TESTING_H
#define HT_TESTS_EVAL_TESTING_H

#include "eval/eval_int.h"
#include "os/os.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN HT_TEST_DATA "/golden_eval/"
#define MUST(expr)                                                    \
    do {                                                              \
        ht_error must_err = {0}, *err = &must_err;                    \
        if ((expr) != HT_OK) fail_msg("%s: %s", #expr, err->message); \
    } while (0)

static inline ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

static inline void assert_text(ht_text got, const char *wanted)
{
    if (got.len != strlen(wanted) || memcmp(got.data, wanted, got.len) != 0)
        fail_msg("\"%.*s\" where \"%s\" was expected", (int)got.len, got.len ? got.data : "", wanted);
}

static inline unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static inline size_t below(uint64_t *state, size_t n) { return (size_t)(hti_random_next(state) % n); }

/* One temporary file, rewritten by each call and removed at exit; the path is constant. */
static char temp_path[64];
static inline void temp_remove(void) { (void)unlink(temp_path); }
static inline const char *temp_file(const void *data, size_t len)
{
    if (!temp_path[0]) {
        (void)snprintf(temp_path, sizeof temp_path, "/tmp/ht-eval-XXXXXX");
        const int fd = mkstemp(temp_path);
        assert_true(fd >= 0);
        (void)close(fd);
        (void)atexit(temp_remove);
    }
    FILE *file = fopen(temp_path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return temp_path;
}
static inline const char *temp_text(const char *text) { return temp_file(text, strlen(text)); }

/* Compares a message with "PATH" standing for the temporary file's path. */
static inline void assert_message(const ht_error *err, const char *wanted)
{
    char whole[2000];
    const char *mark = strstr(wanted, "PATH");
    if (mark)
        (void)snprintf(whole, sizeof whole, "%.*s%s%s", (int)(mark - wanted), wanted, temp_path, mark + 4);
    else
        (void)snprintf(whole, sizeof whole, "%s", wanted);
    assert_string_equal(err->message, whole);
}

/* A golden JSON file; its literal Infinity, which is not JSON, becomes the text "inf". */
static inline json_t *golden_json(const char *path)
{
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    MUST(hti_read_file(path, 64 << 20, &buffer, err));
    for (char *at = buffer.data; (at = strstr(at, "Infinity")) != NULL; at += 8) memcpy(at, "\"inf\"   ", 8);
    json_t *root;
    MUST(hti_json_parse(hti_buffer_view(&buffer), path, 0, &root, err));
    hti_buffer_deinit(&buffer);
    return root;
}

static inline double number_of(const json_t *value)
{
    return json_is_string(value) ? (double)INFINITY : json_number_value(value);
}
static inline double member_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("no number \"%s\"", key);
    return json_number_value(value);
}

static inline ht_measure measure_of(const char *name)
{
    ht_measure measure;
    MUST(ht_measure_parse(text_of(name), &measure, err));
    return measure;
}

/* Values of one measure for every query of a golden run, in the order of the judgements; freed by the caller. */
static inline double *golden_values(const char *run_path, const char *qrels_path, const char *name, size_t *n)
{
    ht_run *run;
    ht_qrels *qrels;
    ht_evaluation *evaluation;
    const ht_measure measure = measure_of(name);
    MUST(ht_run_read(run_path, NULL, &run, err));
    MUST(ht_qrels_read(qrels_path, NULL, &qrels, err));
    MUST(ht_evaluate(qrels, run, &measure, 1, NULL, &evaluation, err));
    double *values = malloc(evaluation->n_queries * sizeof *values);
    assert_non_null(values);
    memcpy(values, evaluation->values, evaluation->n_queries * sizeof *values);
    *n = evaluation->n_queries;
    ht_evaluation_free(evaluation);
    ht_qrels_free(qrels);
    ht_run_free(run);
    return values;
}

#define QRELS_CRANFIELD HT_SOURCE_DIR "/data/cranfield/qrels/test.tsv"
#define QRELS_CACM HT_TEST_DATA "/cacm/qrels/test.tsv"

#endif
