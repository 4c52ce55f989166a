/*
 * cmd_run.c - `hound run` and `worker`: pipelines described in YAML.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

/* ---- what pipelines may name ---- */

ht_status make_registry(const text_list *plugins, ht_registry **out, ht_error *err)
{
    char name[] = "hound", *argv[] = {name, NULL};
    TRY(ht_registry_new(out, err));
    ht_status status = ht_retrieval_register(*out, err);
    for (size_t i = 0; status == HT_OK && i < plugins->len; i++)
        status = ht_registry_load(*out, plugins->items[i], err);
    (void)ht_worker_main(1, argv, *out); /* its workers are this program */
    if (status == HT_OK) return HT_OK;
    ht_registry_free(*out);
    *out = NULL;
    return status;
}

ht_status hound_registry(ht_registry **out, ht_error *err)
{
    static const text_list none;
    return make_registry(&none, out, err);
}

int hound_worker(int argc, char **argv)
{
    ht_registry *registry;
    ht_error err;
    if (hound_registry(&registry, &err) != HT_OK) {
        (void)fprintf(stderr, "hound worker: %s\n", err.message);
        return ht_status_exit_code(err.status);
    }
    const int code = ht_worker_main(argc, argv, registry);
    ht_registry_free(registry);
    return code < 0 ? ht_status_exit_code(HT_INVALID) : code;
}

/* ---- inputs and outputs ---- */

/* NAME=VALUE: VALUE as JSON where it is some, else as text. */
static ht_status bind_one(ht_pipeline *pipeline, const char *given, ht_error *err)
{
    char name[256];
    ht_value value;
    const char *sign = strchr(given, '=');
    const size_t len = sign ? (size_t)(sign - given) : 0;
    if (len == 0 || len >= sizeof name) return fail(err, HT_INVALID, "--input is NAME=VALUE, not \"%s\"", given);
    memcpy(name, given, len);
    name[len] = '\0';
    const ht_text text = {sign + 1, strlen(sign + 1)};
    if (ht_value_from_json(text, &value, NULL) != HT_OK) TRY(ht_value_string(text, &value, err));
    const ht_status status = ht_pipeline_bind(pipeline, name, value, err);
    ht_value_release(value);
    return status;
}

ht_status bind_inputs(ht_pipeline_file *file, const text_list *given, ht_error *err)
{
    for (size_t i = 0; i < given->len; i++) TRY(bind_one(ht_pipeline_file_pipeline(file), given->items[i], err));
    return HT_OK;
}

/* A list of more than a few items is told by its length: predictions are for programs, which say --json. */
static void print_value(const char *name, ht_value value)
{
    char text[2000];
    size_t n;
    (void)ht_value_items(value, &n);
    if (value.kind == HT_KIND_LIST && n > 20) {
        printf("%s: a list of %zu\n", name, n);
        return;
    }
    if (value.kind == HT_KIND_STRUCT) {
        const ht_value *items = ht_value_items(value, &n);
        printf("%s:\n", name);
        for (size_t i = 0; i < n; i++) {
            ht_value_describe(items[i], text, sizeof text);
            printf("  %-24s %s\n", ht_value_field_name(value, i).data, text);
        }
        return;
    }
    ht_value_describe(value, text, sizeof text);
    printf("%s: %s\n", name, text);
}

ht_status print_value_json(ht_value value, ht_error *err)
{
    ht_writer *writer;
    size_t len;
    TRY(ht_writer_new(&writer, err));
    const ht_status status = ht_value_to_json(value, writer, err);
    const char *text = ht_writer_data(writer, &len);
    if (status == HT_OK) printf("%.*s\n", (int)len, text);
    ht_writer_free(writer);
    return status;
}

static ht_status print_outputs(ht_value out, bool json, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(out, &n);
    if (json) return print_value_json(out, err);
    for (size_t i = 0; i < n; i++) print_value(ht_value_field_name(out, i).data, items[i]);
    return HT_OK;
}

ht_status write_output(const char *path, const ht_writer *writer, ht_error *err)
{
    size_t len;
    const void *data = ht_writer_data(writer, &len);
    if (!strcmp(path, "-")) {
        (void)fwrite(data, 1, len, stdout);
        return HT_OK;
    }
    FILE *file = fopen(path, "wb");
    if (!file) return fail(err, HT_IO, "%s: cannot be written", path);
    const bool good = fwrite(data, 1, len, file) == len;
    return fclose(file) == 0 && good ? HT_OK : fail(err, HT_NO_SPACE, "%s: cannot be written to its end", path);
}

/* Names that the file's pipeline still wants from a run are given, so that a plan of any file can be seen. */
ht_status make_plan(ht_pipeline_file *file, const text_list *outputs, const text_list *given, ht_plan **out,
                    ht_error *err)
{
    size_t n;
    const char *const *wanted = ht_pipeline_file_outputs(file, &n);
    return ht_plan_new(ht_pipeline_file_pipeline(file), outputs->len ? outputs->items : wanted,
                       outputs->len ? outputs->len : n, given->items, given->len, out, err);
}

/* ---- run ---- */

static void on_event(void *ud, const ht_event *event)
{
    const run_args *args = ud;
    if (event->kind == HT_EVENT_WARNING && !args->quiet)
        (void)fprintf(stderr, "hound %s: warning: %s\n", args->command, event->node);
    if (args->bars) ht_progress_event(args->bars, event);
}

ht_status write_trace(const char *path, ht_trace *trace, const char *title, ht_error *err)
{
    static const char html[] = ".html";
    const size_t len = strlen(path), n = sizeof html - 1;
    ht_writer *writer;
    TRY(ht_writer_new(&writer, err));
    ht_status status = len > n && !strcmp(path + len - n, html) ? ht_trace_write_html(trace, title, writer, err)
                                                                : ht_trace_write_chrome(trace, writer, err);
    if (status == HT_OK) status = write_output(path, writer, err);
    ht_writer_free(writer);
    return status;
}

enum { DASK = HT_ENGINE_PROCESSES + 1, DAFT };

static ht_status open_bridge(const run_args *args, size_t engine, ht_bridge **out, ht_error *err)
{
    const ht_bridge_options options = {HT_DESC(ht_bridge_options), .n_workers = args->workers,
                                       .plugins = args->plugins.items, .n_plugins = args->plugins.len};
    return engine == DASK ? ht_engine_dask(args->address, &options, out, err)
                          : ht_engine_daft(args->runner, &options, out, err);
}

static ht_status set_options(const run_args *args, ht_run_options *options, ht_bridge **bridge, ht_error *err)
{
    static const char *const engines[] = {"sequential", "threads", "processes", "dask", "daft", NULL};
    size_t engine = 0;
    if (args->engine) TRY(choose("--engine", args->engine, engines, &engine, err));
    if (args->address && engine != DASK) return fail(err, HT_INVALID, "--address goes with --engine dask");
    if (args->runner && engine != DAFT) return fail(err, HT_INVALID, "--runner goes with --engine daft");
    if (engine > HT_ENGINE_PROCESSES) {
        TRY(open_bridge(args, engine, bridge, err));
        options->elsewhere = ht_bridge_elsewhere(*bridge);
        engine = HT_ENGINE_PROCESSES;
    }
    options->engine = (ht_engine)engine;
    options->n_workers = args->workers;
    options->window = args->window;
    options->batch_max = args->no_batch ? 1 : args->batch;
    if (args->cache) TRY(ht_cache_open(args->cache, NULL, &options->cache, err));
    if (args->traced || args->viz) TRY(ht_trace_new(0, &options->trace, err));
    return HT_OK;
}

static ht_status draw_run(const run_args *args, ht_pipeline_file *file, ht_trace *trace, ht_error *err)
{
    static const text_list none;
    ht_plan *plan;
    TRY(make_plan(file, &args->outputs, &none, &plan, err)); /* inputs are bound by now */
    ht_draw_options options = {HT_DESC(ht_draw_options), .trace = trace, .style = HT_DRAW_AUTO};
    const ht_status status = draw_plan(plan, &options, args->viz, err);
    ht_plan_release(plan);
    return status;
}

/* Bars on a terminal, or where they are asked for. */
static ht_status make_bars(run_args *args, ht_pipeline_file *file, ht_error *err)
{
    static const text_list none;
    ht_progress_options options = {HT_DESC(ht_progress_options), .write = write_standard_error};
    ht_plan *plan;
    options.terminal = terminal_size(&options.width, &options.height);
    if (args->no_progress || args->quiet || !(options.terminal || args->progress)) return HT_OK;
    TRY(make_plan(file, &args->outputs, &none, &plan, err));
    const ht_status status = ht_progress_new(plan, &options, &args->bars, err);
    ht_plan_release(plan);
    return status;
}

static ht_status run_file(run_args *args, ht_pipeline_file *file, ht_run_options *options, ht_value *out, ht_error *err)
{
    size_t n;
    const char *const *wanted = ht_pipeline_file_outputs(file, &n);
    TRY(bind_inputs(file, &args->inputs, err));
    options->outputs = args->outputs.len ? args->outputs.items : wanted;
    options->n_outputs = args->outputs.len ? args->outputs.len : n;
    TRY(make_bars(args, file, err));
    const ht_status status = ht_pipeline_run(ht_pipeline_file_pipeline(file), ht_value_null(), options, out, err);
    if (args->bars) ht_progress_finish(args->bars);
    return status;
}

static ht_status run_with(const run_args *args, const char *path, ht_registry *registry, run_end_fn end, void *ud,
                          ht_error *err)
{
    ht_pipeline_file *file = NULL;
    run_args heard = *args;
    ht_run_options options = {HT_DESC(ht_run_options), .registry = registry, .event = on_event, .ud = &heard};
    ht_value out = ht_value_null();
    progress cancel;
    progress_init(&cancel, true);
    options.monitor = &cancel.monitor;
    ht_bridge *bridge = NULL;
    ht_status status = set_options(args, &options, &bridge, err);
    if (status == HT_OK) status = ht_pipeline_file_load(path, registry, &file, err);
    if (status == HT_OK) status = run_file(&heard, file, &options, &out, err);
    if (status == HT_OK) status = end(ud, out, options.trace, err);
    if (status == HT_OK && args->viz) status = draw_run(args, file, options.trace, err);
    ht_value_release(out);
    ht_progress_free(heard.bars);
    ht_pipeline_file_free(file);
    ht_trace_free(options.trace);
    ht_cache_close(options.cache);
    ht_bridge_close(bridge);
    return status;
}

ht_status run_pipeline(const run_args *args, const char *path, run_end_fn end, void *ud, ht_error *err)
{
    const viz_format *format;
    ht_registry *registry;
    if (args->viz) TRY(viz_format_of(args->viz, &format, err)); /* before it runs for long */
    TRY(make_registry(&args->plugins, &registry, err));
    const ht_status status = run_with(args, path, registry, end, ud, err);
    ht_registry_free(registry);
    return status;
}

typedef struct run_end {
    const char *path, *trace;
    bool json;
} run_end;

static ht_status print_run(void *ud, ht_value out, ht_trace *trace, ht_error *err)
{
    const run_end *end = ud;
    TRY(print_outputs(out, end->json, err));
    return end->trace ? write_trace(end->trace, trace, end->path, err) : HT_OK;
}

ht_status hound_run(int argc, char **argv, ht_error *err)
{
    run_args args = {.command = "run"};
    run_end end = {NULL, NULL, false};
    text_list paths = {0};
    bool helped = false;
    const opt_row rows[] = {
        RUN_ROWS('o', &args),
        {"trace", 0, OPT_TEXT, &end.trace, "FILE", "what ran when: .html a waterfall, else Chrome's trace format"},
        {"json", 0, OPT_FLAG, &end.json, NULL, "outputs as one JSON object"},
    };
    const opt_spec spec = {"run FILE [options]",
                           "Runs a pipeline described in YAML (docs/pipeline_files.md).",
                           "  hound run examples/retrieval.yaml --trace run.html",
                           ROWS(rows),
                           1,
                           1};
    TRY(opt_parse(&spec, argc, argv, &paths, &helped, err));
    if (helped) return HT_OK;
    end.path = paths.items[0];
    args.traced = end.trace != NULL;
    return run_pipeline(&args, paths.items[0], print_run, &end, err);
}
