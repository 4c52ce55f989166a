/*
 * cmd_plan.c - `hound plan` and `nodes`: what a pipeline would do, and what there is to make one of.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- plan ---- */

typedef struct plan_args {
    text_list inputs, outputs, given, plugins;
    const char *cache, *to;
    size_t format;
} plan_args;

static ht_status print_plan(const plan_args *args, const ht_plan *plan, ht_error *err)
{
    ht_writer *writer;
    TRY(ht_writer_new(&writer, err));
    ht_status status = ht_plan_print(plan, (ht_plan_format)args->format, writer, err);
    if (status == HT_OK) status = write_output(args->to, writer, err);
    ht_writer_free(writer);
    return status;
}

static int64_t number(ht_value row, const char *name)
{
    ht_value found = ht_value_null();
    (void)ht_value_field(row, name, &found);
    return found.as.integer;
}

/* "passages 12, (code) 3": what the misses differ in. */
static void print_changed(ht_value row)
{
    ht_value changed;
    size_t n = 0;
    const ht_value *counts = ht_value_field(row, "changed", &changed) ? ht_value_items(changed, &n) : NULL;
    const int64_t fresh = number(row, "never_put");
    if (fresh) printf("  never kept before");
    if (n) printf("  changed:");
    for (size_t i = 0; i < n; i++)
        printf("%s %s (%lld)", i ? "," : "", ht_value_field_name(changed, i).data, (long long)counts[i].as.integer);
}

static void print_explained(ht_value rows)
{
    size_t n;
    const ht_value *items = ht_value_items(rows, &n);
    printf("%-44s %9s %9s %9s\n", "step", "hits", "misses", "unknown");
    for (size_t i = 0; i < n; i++) {
        ht_value name = ht_value_null(), cached = ht_value_null();
        (void)ht_value_field(items[i], "node", &name);
        (void)ht_value_field(items[i], "cached", &cached);
        char unknown[32];
        (void)snprintf(unknown, sizeof unknown, "%s%lld", number(items[i], "at_least") ? ">=" : "",
                       (long long)number(items[i], "unknown"));
        printf("%-44s %9lld %9lld %9s", ht_value_text(name).data, (long long)number(items[i], "hits"),
               (long long)number(items[i], "misses"), unknown);
        if (!cached.as.boolean) printf("  never cached");
        print_changed(items[i]);
        printf("\n");
    }
}

/* A dry run makes no cache where there is none. */
static ht_status explain_cache(const plan_args *args, const ht_plan *plan, ht_registry *registry, ht_error *err)
{
    ht_cache *cache;
    ht_value rows;
    if (access(args->cache, F_OK) != 0) return fail(err, HT_NOT_FOUND, "%s: there is no such cache", args->cache);
    TRY(ht_cache_open(args->cache, NULL, &cache, err));
    ht_status status = ht_plan_explain_cache(plan, ht_value_null(), cache, registry, &rows, err);
    if (status == HT_OK) {
        if ((ht_plan_format)args->format == HT_PLAN_JSON)
            status = print_value_json(rows, err);
        else
            print_explained(rows);
        ht_value_release(rows);
    }
    ht_cache_close(cache);
    return status;
}

static ht_status plan_file(const plan_args *args, const char *path, ht_registry *registry, ht_error *err)
{
    ht_pipeline_file *file;
    ht_plan *plan = NULL;
    TRY(ht_pipeline_file_load(path, registry, &file, err));
    ht_status status = bind_inputs(file, &args->inputs, err);
    if (status == HT_OK) status = make_plan(file, &args->outputs, &args->given, &plan, err);
    if (status == HT_OK) status = args->cache ? explain_cache(args, plan, registry, err) : print_plan(args, plan, err);
    ht_plan_release(plan);
    ht_pipeline_file_free(file);
    return status;
}

ht_status hound_plan(int argc, char **argv, ht_error *err)
{
    static const char *const formats[] = {"text", "json", "mermaid", "dot", NULL};
    plan_args args = {.to = "-"};
    text_list paths = {0};
    const char *format = "text";
    bool helped = false;
    ht_registry *registry;
    const opt_row rows[] = {
        INPUT_ROW(&args.inputs),
        OUTPUT_ROW('o', &args.outputs),
        GIVEN_ROW(&args.given),
        {"cache", 0, OPT_TEXT, &args.cache, "DIR", "what a run would find there, and what changed since; text or json"},
        {"format", 'f', OPT_TEXT, &format, "NAME", "text, json, mermaid or dot; default text"},
        {"to", 0, OPT_TEXT, &args.to, "FILE", "where to write the plan; default standard output"},
        PLUGIN_ROW(&args.plugins),
    };
    const opt_spec spec = {"plan FILE [options]",
                           "Shows what a pipeline would run, and how, without running it.",
                           "  hound plan examples/retrieval.yaml\n"
                           "  hound plan examples/retrieval.yaml --cache kept",
                           ROWS(rows),
                           1,
                           1};
    TRY(opt_parse(&spec, argc, argv, &paths, &helped, err));
    if (helped) return HT_OK;
    TRY(choose("--format", format, formats, &args.format, err));
    TRY(make_registry(&args.plugins, &registry, err));
    const ht_status status = plan_file(&args, paths.items[0], registry, err);
    ht_registry_free(registry);
    return status;
}

/* ---- nodes ---- */

static void print_class(const ht_class *cls)
{
    printf("class %s: %s\n", cls->name, cls->summary ? cls->summary : "");
    for (size_t i = 0; i < cls->n_parameters; i++) {
        const ht_parameter *p = &cls->parameters[i];
        printf("  %-12s %-7s %s%s%s\n", p->name, p->type, p->help ? p->help : "", p->otherwise ? "; default " : "",
               p->otherwise ? p->otherwise : " (required)");
    }
    for (size_t i = 0; i < cls->n_methods; i++) {
        const ht_method *m = &cls->methods[i];
        printf("  .%s: %zu input%s%s\n", m->name, m->n_inputs, m->n_inputs == 1 ? "" : "s",
               m->forms.start   ? ", asynchronous"
               : m->forms.batch ? ", in batches"
                                : "");
    }
}

static void print_node(const ht_node_desc *desc)
{
    printf("node %s(", desc->type ? desc->type : desc->name);
    for (size_t i = 0; i < desc->n_inputs; i++) printf("%s%s", i ? ", " : "", desc->inputs[i].name);
    printf(") -> ");
    for (size_t i = 0; i < desc->n_outputs; i++) printf("%s%s", i ? ", " : "", desc->outputs[i]);
    printf("%s%s\n", desc->summary ? ": " : "", desc->summary ? desc->summary : "");
}

ht_status hound_nodes(int argc, char **argv, ht_error *err)
{
    text_list names = {0}, plugins = {0};
    bool helped = false;
    ht_registry *registry;
    const opt_row rows[] = {
        PLUGIN_ROW(&plugins),
    };
    const opt_spec spec = {"nodes [NAME] [options]",
                           "Lists the classes and nodes that pipelines may name.",
                           "  hound nodes Encoder",
                           ROWS(rows),
                           0,
                           1};
    TRY(opt_parse(&spec, argc, argv, &names, &helped, err));
    if (helped) return HT_OK;
    TRY(make_registry(&plugins, &registry, err));
    const char *wanted = names.len ? names.items[0] : NULL;
    size_t n_found = 0;
    const ht_class *cls;
    const ht_node_desc *desc;
    for (size_t i = 0; (cls = ht_registry_class_at(registry, i)); i++) {
        if (wanted && strcmp(wanted, cls->name) != 0) continue;
        print_class(cls);
        n_found++;
    }
    for (size_t i = 0; (desc = ht_registry_node_at(registry, i)); i++) {
        if (wanted && strcmp(wanted, desc->type ? desc->type : desc->name) != 0) continue;
        print_node(desc);
        n_found++;
    }
    ht_registry_free(registry);
    return n_found ? HT_OK : fail(err, HT_NOT_FOUND, "no class or node \"%s\"; `hound nodes` lists them", wanted);
}
