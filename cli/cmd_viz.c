/*
 * cmd_viz.c - `hound viz`: a pipeline as a picture.
 */
#include "rows.h"

#include <string.h>

ht_status viz_format_of(const char *path, const viz_format **out, ht_error *err)
{
    static const viz_format formats[] = {{".svg", true, HT_DRAW_SVG, HT_PLAN_TEXT},
                                         {".html", true, HT_DRAW_HTML, HT_PLAN_TEXT},
                                         {".mmd", false, HT_DRAW_SVG, HT_PLAN_MERMAID},
                                         {".dot", false, HT_DRAW_SVG, HT_PLAN_DOT}};
    const size_t len = strlen(path);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const size_t n = strlen(formats[i].ending);
        *out = &formats[i];
        if (!strcmp(path, "-") || (len > n && !strcmp(path + len - n, formats[i].ending))) return HT_OK;
    }
    return fail(err, HT_INVALID, "%s: a picture ends in .svg, .html, .mmd or .dot", path);
}

ht_status draw_plan(const ht_plan *plan, ht_draw_options *options, const char *path, ht_error *err)
{
    const viz_format *format;
    ht_writer *writer;
    TRY(viz_format_of(path, &format, err));
    TRY(ht_writer_new(&writer, err));
    options->format = format->drawing;
    ht_status status =
        format->drawn ? ht_plan_draw(plan, options, writer, err) : ht_plan_print(plan, format->text, writer, err);
    if (status == HT_OK) status = write_output(path, writer, err);
    ht_writer_free(writer);
    return status;
}

typedef struct viz_args {
    text_list outputs, given, plugins;
    const char *to, *orient, *style, *title;
    size_t depth;
} viz_args;

static ht_status set_options(const viz_args *args, ht_draw_options *options, ht_error *err)
{
    static const char *const orients[] = {"lr", "td", NULL}, *const styles[] = {"light", "dark", "auto", NULL};
    size_t orient = 0, style = 0;
    if (args->orient) TRY(choose("--orient", args->orient, orients, &orient, err));
    if (args->style) TRY(choose("--style", args->style, styles, &style, err));
    options->orient = (ht_draw_orient)orient;
    options->style = (ht_draw_style)style;
    options->depth = args->depth < UINT32_MAX ? (uint32_t)args->depth : 0;
    options->title = args->title;
    return HT_OK;
}

static ht_status draw_file(const viz_args *args, const char *path, ht_registry *registry, ht_error *err)
{
    ht_draw_options options = {HT_DESC(ht_draw_options)};
    ht_pipeline_file *file;
    ht_plan *plan = NULL;
    TRY(set_options(args, &options, err));
    TRY(ht_pipeline_file_load(path, registry, &file, err));
    ht_status status = make_plan(file, &args->outputs, &args->given, &plan, err);
    if (status == HT_OK) status = draw_plan(plan, &options, args->to, err);
    ht_plan_release(plan);
    ht_pipeline_file_free(file);
    return status;
}

ht_status hound_viz(int argc, char **argv, ht_error *err)
{
    viz_args args = {.to = "-"};
    text_list paths = {0};
    bool helped = false;
    const viz_format *format;
    ht_registry *registry;
    const opt_row rows[] = {
        {"to", 'o', OPT_TEXT, &args.to, "OUT", ".svg, .html, .mmd or .dot; default an SVG to standard output"},
        {"depth", 'd', OPT_COUNT, &args.depth, "N", "levels shown open; 1: nested pipelines closed; default all"},
        {"orient", 0, OPT_TEXT, &args.orient, "NAME", "lr (left to right) or td (top down); default lr"},
        {"style", 0, OPT_TEXT, &args.style, "NAME", "of an SVG: light, dark or auto; default light"},
        {"title", 0, OPT_TEXT, &args.title, "TEXT", "default the pipeline's name"},
        OUTPUT_ROW(0, &args.outputs),
        GIVEN_ROW(&args.given),
        PLUGIN_ROW(&args.plugins),
    };
    const opt_spec spec = {
        "viz FILE [options]",
        "Draws what a pipeline would run: an SVG, an HTML page whose nested pipelines open and close, "
        "or text for Mermaid and DOT. `hound run --viz OUT` draws it with times and counts.",
        "  hound viz examples/retrieval.yaml -o pipeline.html",
        ROWS(rows),
        1,
        1};
    TRY(opt_parse(&spec, argc, argv, &paths, &helped, err));
    if (helped) return HT_OK;
    TRY(viz_format_of(args.to, &format, err));
    TRY(make_registry(&args.plugins, &registry, err));
    const ht_status status = draw_file(&args, paths.items[0], registry, err);
    ht_registry_free(registry);
    return status;
}
