/*
 * flow_cases.h - pipelines of terms, which run on every engine and say what was done.
 *
 * A node is a line, "d=d(b,c=7)": outputs, name, inputs, a default behind '='. It gives the text of what it is: over
 * a=a(x) and x = 2, "d(a(2),7)". So a result tells which value went where. The first letter of the name says what a
 * node does; all but these give their term, with a ' for each output behind the first:
 *     i its input   n null   s the list 0 ... input - 1   z fails
 * and every one fails where its first input is 13.
 * Calls add their letter to one file, whatever the process: a row 'd', a batch 'D'.
 */
#ifndef HT_TESTS_FLOW_CASES_H
#define HT_TESTS_FLOW_CASES_H

#include "flow_test.h"
#include "temp_dir.h"

#include <fcntl.h>

static ht_registry *registry;

/* ---- engines ---- */

typedef struct engine_case {
    const char *name;
    ht_engine engine;
    size_t n_workers;
} engine_case;
static const engine_case engine_cases[] = {{"sequential", HT_ENGINE_SEQUENTIAL, 0},
                                           {"threads, 2", HT_ENGINE_THREADS, 2},
                                           {"threads, 4", HT_ENGINE_THREADS, 4},
                                           {"processes, 2", HT_ENGINE_PROCESSES, 2}};
static const engine_case *engine_now; /* of FOR_ENGINES: `on` and the expectations below follow it */
#define FOR_ENGINES for (engine_now = engine_cases; engine_now < engine_cases + HTI_LEN(engine_cases); engine_now++)

/* Options of the present engine; map_over [n] NULL: none. */
static inline ht_run_options on_engine(const char *const *map_over, size_t n)
{
    return (ht_run_options){HT_DESC(ht_run_options), .engine = engine_now->engine, .n_workers = engine_now->n_workers,
                            .registry = registry,    .map_over = map_over,         .n_map_over = n};
}
static inline ht_run_options on(void) { return on_engine(NULL, 0); }

/* ---- what was called ---- */

static int calls_fd = -1;
static char calls_dir[TEMP_DIR_CAP];

static inline void log_call(char letter)
{
    if (write(calls_fd, &letter, 1) != 1) abort();
}

static inline int by_letter(const void *a, const void *b) { return *(const char *)a - *(const char *)b; }

/* Letters since the last time, in order of calls where there is one thread, else of the alphabet. */
static inline const char *take_calls(void)
{
    static char letters[100000];
    const ssize_t n = pread(calls_fd, letters, sizeof letters - 1, 0);
    assert_true(n >= 0 && n < (ssize_t)sizeof letters - 1);
    letters[n] = '\0';
    if (engine_now && engine_now->engine != HT_ENGINE_SEQUENTIAL) qsort(letters, (size_t)n, 1, by_letter);
    assert_int_equal(ftruncate(calls_fd, 0), 0);
    return letters;
}

static inline size_t count_calls(const char *letters, char letter)
{
    size_t n = 0;
    for (; *letters; letters++) n += *letters == letter;
    return n;
}

/* `letters` in the order of one thread. */
static inline void expect_calls(const char *letters)
{
    char sorted[200];
    (void)snprintf(sorted, sizeof sorted, "%s", letters);
    if (engine_now->engine != HT_ENGINE_SEQUENTIAL) qsort(sorted, strlen(sorted), 1, by_letter);
    assert_string_equal(take_calls(), sorted);
}

/* ---- terms ---- */

typedef enum term_kind { ROW, BATCH, DUAL, KEPT, KEPT_DUAL, N_TERM_KINDS } term_kind; /* KEPT: has a version */
enum { TERM_INPUTS = 4, TERM_OUTPUTS = 2 };
typedef struct term {
    char letter, type[40];
    size_t n_inputs, n_outputs;
} term;
static term terms[N_TERM_KINDS][26][TERM_INPUTS + 1][TERM_OUTPUTS];
static ht_node_desc term_nodes[N_TERM_KINDS][26][TERM_INPUTS + 1][TERM_OUTPUTS];

static inline void write_value(hti_buffer *to, ht_value value)
{
    char text[200];
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    if (value.kind == HT_KIND_STRING) {
        hti_buffer_text(to, ht_value_text(value).data);
    } else if (value.kind == HT_KIND_LIST) {
        for (size_t i = 0; i < n; i++) {
            hti_buffer_text(to, i ? "," : "[");
            write_value(to, items[i]);
        }
        hti_buffer_text(to, n ? "]" : "[]");
    } else {
        ht_value_describe(value, text, sizeof text);
        hti_buffer_text(to, text);
    }
}

static inline ht_status write_term(const term *t, const ht_value *in, size_t output, ht_value *out, ht_error *e)
{
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_printf(&text, "%c%s(", t->letter, output ? "'" : "");
    for (size_t i = 0; i < t->n_inputs; i++) {
        if (i) hti_buffer_text(&text, ",");
        write_value(&text, in[i]);
    }
    hti_buffer_text(&text, ")");
    const ht_status status = ht_value_string(hti_buffer_view(&text), out, e);
    hti_buffer_deinit(&text);
    return status;
}

static inline ht_status do_term(const term *t, const ht_value *in, ht_value *const *out, size_t row, ht_error *e)
{
    if (t->n_inputs && in[0].kind == HT_KIND_INT && in[0].as.integer == 13)
        return HT_FAIL(e, FAILED, "thirteen is refused");
    if (t->letter == 'z') return HT_FAIL(e, FAILED, "z always fails");
    if (t->letter == 'n') return HT_OK; /* outputs are null until they are filled */
    if (t->letter == 'i') {
        out[0][row] = ht_value_retain(in[0]);
        return HT_OK;
    }
    if (t->letter == 's') {
        ht_value items[100];
        const size_t n = HTI_MIN((size_t)in[0].as.integer, HTI_LEN(items));
        for (size_t i = 0; i < n; i++) items[i] = ht_value_int((int64_t)i);
        return ht_value_list(items, n, &out[0][row], e);
    }
    for (size_t o = 0; o < t->n_outputs; o++) HT_TRY(write_term(t, in, o, &out[o][row], e));
    return HT_OK;
}

static inline ht_status term_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    ht_value *places[TERM_OUTPUTS];
    for (size_t o = 0; o < TERM_OUTPUTS; o++) places[o] = &out[o];
    log_call(((const term *)self)->letter);
    return do_term(self, in, places, 0, e);
}

/* Inputs behind the first are constant, and that is what they must be told as. */
static inline ht_status term_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    const term *t = self;
    log_call((char)(t->letter - 'a' + 'A'));
    for (size_t i = 1; i < t->n_inputs; i++)
        if (!in[i].constant) return HT_FAIL(e, INTERNAL, "input %zu of a batch is not constant", i);
    for (size_t row = 0; row < n; row++) {
        ht_value values[TERM_INPUTS];
        for (size_t i = 0; i < t->n_inputs; i++) values[i] = in[i].rows[in[i].constant ? 0 : row];
        HT_TRY(do_term(t, values, out, row, e));
    }
    return HT_OK;
}

static inline void register_terms(void)
{
    static const char *const names[] = {"w", "x", "y", "z"}, *const outputs[] = {"o", "p"};
    static ht_input inputs[TERM_INPUTS];
    for (size_t i = 0; i < TERM_INPUTS; i++) inputs[i].name = names[i];
    for (int kind = 0; kind < N_TERM_KINDS; kind++)
        for (int letter = 0; letter < 26; letter++)
            for (size_t i = kind == BATCH || kind == DUAL || kind == KEPT_DUAL; i <= TERM_INPUTS; i++)
                for (size_t o = 0; o < TERM_OUTPUTS; o++) {
                    term *t = &terms[kind][letter][i][o];
                    *t = (term){.letter = (char)('a' + letter), .n_inputs = i, .n_outputs = o + 1};
                    (void)snprintf(t->type, sizeof t->type, "term.%d%c%zu%zu", kind, t->letter, i, o);
                    term_nodes[kind][letter][i][o] =
                        (ht_node_desc){HT_DESC(ht_node_desc),
                                       .name = t->type,
                                       .inputs = inputs,
                                       .n_inputs = i,
                                       .outputs = outputs,
                                       .n_outputs = o + 1,
                                       .self = t,
                                       .forms = {.row = kind == BATCH ? NULL : term_row,
                                                 .batch = kind == ROW || kind == KEPT ? NULL : term_batch},
                                       .version = kind == KEPT || kind == KEPT_DUAL ? "1" : NULL};
                    OK(ht_registry_add_node(registry, &term_nodes[kind][letter][i][o], &err));
                }
}

/* A line, "o,p=name(in,in=7)", and what it means. */
static inline ht_status add_as(ht_pipeline *p, term_kind kind, const char *line)
{
    static const ht_value seven = {HT_KIND_INT, {.integer = 7}};
    char text[200], *save;
    ht_input inputs[TERM_INPUTS];
    const char *outputs[TERM_OUTPUTS];
    size_t n_inputs = 0, n_outputs = 0;
    (void)snprintf(text, sizeof text, "%s", line);
    char *left = strtok_r(text, "=", &save), *name = strtok_r(NULL, "(", &save), *inside = strtok_r(NULL, ")", &save);
    for (char *word = strtok_r(left, ",", &save); word; word = strtok_r(NULL, ",", &save)) outputs[n_outputs++] = word;
    for (char *word = inside ? strtok_r(inside, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
        char *otherwise = strchr(word, '=');
        if (otherwise) *otherwise = '\0';
        inputs[n_inputs++] = (ht_input){word, otherwise ? &seven : NULL};
    }
    ht_node_desc desc = term_nodes[kind][name[0] - 'a'][n_inputs][n_outputs - 1];
    desc.type = desc.name;
    desc.name = name;
    desc.inputs = inputs;
    desc.outputs = outputs;
    return ht_pipeline_add_node(p, &desc, &err);
}
static inline void add(ht_pipeline *p, const char *line) { OK(add_as(p, ROW, line)); }

/* ---- pipelines of pipelines ---- */

#define NAMES(...) ((const char *const[]){__VA_ARGS__})
#define N_NAMES(...) HTI_LEN(NAMES(__VA_ARGS__))
#define RENAMES(...) ((const ht_rename[]){__VA_ARGS__})
/* Designated initialisers of ht_as_node. */
#define INPUTS(...) .inputs = RENAMES(__VA_ARGS__), .n_inputs = HTI_LEN(RENAMES(__VA_ARGS__))
#define OUTPUTS(...) .outputs = RENAMES(__VA_ARGS__), .n_outputs = HTI_LEN(RENAMES(__VA_ARGS__))
#define OVER(...) .map_over = NAMES(__VA_ARGS__), .n_map_over = N_NAMES(__VA_ARGS__)
#define AS_NODE(...) (&(ht_as_node){HT_DESC(ht_as_node), __VA_ARGS__})
/* Designated initialisers of ht_run_options too. */
#define ASKED(...) .outputs = NAMES(__VA_ARGS__), .n_outputs = N_NAMES(__VA_ARGS__)

static inline void nest(ht_pipeline *outer, const ht_pipeline *inner, const ht_as_node *as)
{
    OK(ht_pipeline_add_pipeline(outer, inner, as, &err));
}

/* ---- expectations ---- */

static inline ht_status run_it(const ht_pipeline *p, const char *inputs, const ht_run_options *options, ht_value *out)
{
    const ht_value in = from_json(inputs);
    const ht_status status =
        options->n_map_over ? ht_pipeline_map(p, in, options, out, &err) : ht_pipeline_run(p, in, options, out, &err);
    ht_value_release(in);
    return status;
}

/* Runs with these options (maps where they say so) and compares the result with JSON. */
static inline void expect_with(const ht_pipeline *p, const char *inputs, ht_run_options options, const char *result)
{
    ht_value out;
    if (run_it(p, inputs, &options, &out) != HT_OK) fail_msg("%s: %s", engine_now->name, err.message);
    expect_json(out, result);
    ht_value_release(out);
}
static inline void expect(const ht_pipeline *p, const char *inputs, const char *result)
{
    expect_with(p, inputs, on(), result);
}

/* Runs, must fail with the status, and the message must hold `words`. */
static inline void refuse_with(const ht_pipeline *p, const char *inputs, ht_run_options options, ht_status status,
                               const char *words)
{
    ht_value out;
    const ht_status got = run_it(p, inputs, &options, &out);
    if (got != status)
        fail_msg("%s: status %d, not %d: %s", engine_now->name, (int)got, (int)status, got ? err.message : "");
    assert_int_equal(out.kind, HT_KIND_NULL);
    if (!strstr(err.message, words)) fail_msg("%s: '%s' does not say '%s'", engine_now->name, err.message, words);
}
static inline void refuse(const ht_pipeline *p, const char *inputs, ht_status status, const char *words)
{
    refuse_with(p, inputs, on(), status, words);
}

/* ---- the program ---- */

/* To be called first in main; -1 in the program itself, the exit code in a worker of it. `more` registers what else. */
static inline int cases_begin(int argc, char **argv, void (*more)(void))
{
    char path[2 * TEMP_DIR_CAP];
    const char *dir = getenv("HT_CASES_DIR");
    if (!dir) {
        temp_dir_make(calls_dir);
        (void)setenv("HT_CASES_DIR", calls_dir, 1); /* for the workers */
        dir = calls_dir;
    }
    calls_fd = open(temp_dir_path(dir, "calls", path), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    OK(ht_registry_new(&registry, &err));
    register_terms();
    if (more) more();
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) ht_registry_free(registry);
    return code;
}

/* The exit code: tests that failed, or that something is still allocated. */
static inline int cases_end(int failed)
{
    ht_registry_free(registry);
    temp_dir_remove(calls_dir);
    if (failed == 0 && hti_alloc_get_stats().live_bytes != 0) {
        (void)fprintf(stderr, "%zu bytes are still allocated\n", (size_t)hti_alloc_get_stats().live_bytes);
        return 1;
    }
    return failed;
}

#endif
