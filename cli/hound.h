/*
 * hound.h - what the command's files share: commands, options, terminal.
 *
 * The command uses the library's public headers only. Results go to standard output, everything else
 * to standard error; exit codes are those of the status table.
 */
#ifndef HOUND_H
#define HOUND_H

#include <houndstooth/houndstooth.h>

#include <stdio.h>

/* ---- commands ---- */

typedef ht_status (*hound_fn)(int argc, char **argv, ht_error *err);
typedef struct hound_command {
    const char *name, *summary;
    hound_fn run;
} hound_command;

ht_status hound_index(int argc, char **argv, ht_error *err);
ht_status hound_search(int argc, char **argv, ht_error *err);
ht_status hound_evaluate(int argc, char **argv, ht_error *err);
ht_status hound_fuse(int argc, char **argv, ht_error *err);
ht_status hound_tokenize(int argc, char **argv, ht_error *err);
ht_status hound_encode(int argc, char **argv, ht_error *err);
ht_status hound_analyze(int argc, char **argv, ht_error *err);
ht_status hound_info(int argc, char **argv, ht_error *err);
ht_status hound_check(int argc, char **argv, ht_error *err);
ht_status hound_model(int argc, char **argv, ht_error *err);
ht_status hound_demo(int argc, char **argv, ht_error *err);
ht_status hound_run(int argc, char **argv, ht_error *err);
ht_status hound_plan(int argc, char **argv, ht_error *err);
ht_status hound_nodes(int argc, char **argv, ht_error *err);
ht_status hound_trace(int argc, char **argv, ht_error *err);
ht_status hound_viz(int argc, char **argv, ht_error *err);
/* A worker process of another hound: serves until that ends; the exit code. */
int hound_worker(int argc, char **argv);

/* ---- options ---- */

typedef enum opt_kind {
    OPT_FLAG,  /* bool *: set to true */
    OPT_TEXT,  /* const char ** */
    OPT_COUNT, /* size_t *: a whole number */
    OPT_REAL,  /* double * */
    OPT_LIST   /* text_list *: may be given several times */
} opt_kind;

enum { LIST_CAP = 64 };
typedef struct text_list {
    const char *items[LIST_CAP];
    size_t len;
} text_list;

typedef struct opt_row {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    opt_kind kind;
    void *target;
    const char *metavar, *help;
} opt_row;

typedef struct opt_spec {
    const char *usage;   /* behind "hound ", for example "search DIR QUERY [options]" */
    const char *about;   /* one paragraph */
    const char *example; /* one or more lines */
    const opt_row *rows;
    size_t n_rows;
    size_t min_args, max_args; /* positional */
} opt_spec;

/*
 * Parses options in any order. Positional arguments end up in `args` (argv's own strings). `--help`
 * prints the page and sets *helped: the command returns HT_OK at once.
 */
HT_CHECKED ht_status opt_parse(const opt_spec *spec, int argc, char **argv, text_list *args, bool *helped,
                               ht_error *err);

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])
#define TRY(expr)                                     \
    do {                                              \
        const ht_status try_status_ = (expr);         \
        if (try_status_ != HT_OK) return try_status_; \
    } while (0)

/* Fills the error with a formatted line. */
ht_status fail(ht_error *err, ht_status status, const char *fmt, ...) HT_PRINTF(3, 4);

/* Choice of a word out of a NULL-terminated list; INVALID names the option and the words. */
HT_CHECKED ht_status choose(const char *option, const char *given, const char *const *words, size_t *out,
                            ht_error *err);

/* ---- terminal ---- */

/* Watches work: a bar on a terminal, plain lines otherwise, nothing with `quiet`; Ctrl-C cancels. */
typedef struct progress {
    ht_monitor monitor;
    bool quiet, terminal, open;
    const char *stage;
    uint64_t started_ns, shown_ns;
    unsigned shown_percent;
} progress;
void progress_init(progress *bar, bool quiet);
/* Ends the line of the present bar. */
void progress_end(progress *bar);
/* Ctrl-C and SIGTERM set a flag that monitors poll; a second Ctrl-C ends the process at once. */
void catch_signals(void);

uint64_t now_ns(void);
/* "1.2 MB", "345 kB". */
const char *human_bytes(uint64_t bytes, char *text, size_t cap);
/* For libraries that write through a function. */
void write_standard_error(void *ud, const char *text, size_t len);
/* Whether standard error is a terminal; its size where it is known. */
bool terminal_size(uint32_t *width, uint32_t *height);
/* Whether standard output is a terminal that shows colours (NO_COLOR turns them off). */
bool colours(void);

/* ---- shared pieces ---- */

/* What pipelines may name, without plug-ins; this program serves as its workers. */
HT_CHECKED ht_status hound_registry(ht_registry **out, ht_error *err);
/* The same with plug-ins. */
HT_CHECKED ht_status make_registry(const text_list *plugins, ht_registry **out, ht_error *err);
/* NAME=VALUE, each bound to the pipeline: VALUE as JSON where it is some, else as text. */
HT_CHECKED ht_status bind_inputs(ht_pipeline_file *file, const text_list *given, ht_error *err);
/* A value as JSON on a line of standard output. */
HT_CHECKED ht_status print_value_json(ht_value value, ht_error *err);
/* The plan of a file's pipeline for `outputs` (none: the file's own), where a run will bring `given`. */
HT_CHECKED ht_status make_plan(ht_pipeline_file *file, const text_list *outputs, const text_list *given, ht_plan **out,
                               ht_error *err);
/* Everything in `writer` to a file, or to standard output for "-". */
HT_CHECKED ht_status write_output(const char *path, const ht_writer *writer, ht_error *err);
/* How `hound viz` draws, by the ending of a file's name; INVALID names the endings. */
typedef struct viz_format {
    const char *ending;
    bool drawn; /* by ht_plan_draw, else by ht_plan_print */
    ht_draw_format drawing;
    ht_plan_format text;
} viz_format;
HT_CHECKED ht_status viz_format_of(const char *path, const viz_format **out, ht_error *err);
/* The picture of a plan in a file; options' format is set by the ending. */
HT_CHECKED ht_status draw_plan(const ht_plan *plan, ht_draw_options *options, const char *path, ht_error *err);
/* A pool of `jobs` threads (0: one a CPU); NULL-safe to free. */
HT_CHECKED ht_status make_pool(size_t jobs, ht_pool **pool, ht_error *err);
/* Prints a JSON object on one line and releases it; `json` is a jansson value. */
struct json_t;
ht_status print_json(struct json_t *json, ht_error *err);
/* A short piece of text around byte `at`, whitespace flattened; text holds cap bytes. */
const char *snippet(ht_text from, size_t at, size_t width, char *text, size_t cap);

#endif
