/*
 * pipeline_file.c - YAML to pipelines: docs/pipeline_files.md.
 *
 * Every part is made by the same calls that a program makes; what they refuse is told with the place of the YAML node
 * that asked for it.
 */
#include "codec/codec.h"
#include "registry_int.h"

#include <houndstooth/pipeline_file.h>

enum { MAX_FILE = 10 << 20 };

typedef struct object {
    const char *name; /* of the YAML tree */
    ht_instance *instance;
    bool is_used;
} object;

struct ht_pipeline_file {
    hti_arena arena;
    ht_pipeline *pipeline;
    const char **outputs; /* [n_outputs] */
    size_t n_outputs;
    object *objects; /* [n_objects] */
    size_t n_objects;
};

typedef struct reader {
    const hti_yaml *yaml;
    ht_registry *registry;
    ht_pipeline_file *file;
} reader;

/* The reason of a call that failed, at a place. */
static ht_status fail_at(const reader *r, const hti_yaml_node *at, ht_status status, const ht_error *why, ht_error *err)
{
    if (status == HT_NO_MEMORY) return HTI_NO_MEMORY(err);
    return hti_yaml_fail(r->yaml, at, err, "%s", why->message);
}

/* ---- values ---- */

static ht_status value_of(const hti_yaml_node *node, ht_value *out, ht_error *err);

static ht_status items_of(const hti_yaml_node *node, const char *skip, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, node->n);
    const char **names = HTI_NEW_ARRAY(const char *, node->n);
    ht_status status = items && names ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    for (size_t i = 0; status == HT_OK && i < node->n; i++) {
        const bool named = node->kind == HTI_YAML_MAP;
        if (named && skip && !strcmp(node->as.entries[i].key.data, skip)) continue;
        names[made] = named ? node->as.entries[i].key.data : NULL;
        status = value_of(named ? node->as.entries[i].value : node->as.items[i], &items[made], err);
        made += status == HT_OK;
    }
    if (status == HT_OK)
        status = node->kind == HTI_YAML_MAP ? ht_value_struct(names, items, made, out, err)
                                            : ht_value_list(items, made, out, err);
    if (items) hti_values_release(items, made);
    hti_free(items);
    hti_free(names);
    return status;
}

/* Depth is bounded by HTI_YAML_MAX_DEPTH. */
static ht_status value_of(const hti_yaml_node *node, ht_value *out, ht_error *err)
{
    *out = ht_value_null();
    switch (node->kind) {
    case HTI_YAML_NULL: return HT_OK;
    case HTI_YAML_BOOL: *out = ht_value_bool(node->as.boolean); return HT_OK;
    case HTI_YAML_INT: *out = ht_value_int(node->as.integer); return HT_OK;
    case HTI_YAML_FLOAT: *out = ht_value_float(node->as.number); return HT_OK;
    case HTI_YAML_STRING: return ht_value_string(node->as.text, out, err);
    case HTI_YAML_LIST:
    case HTI_YAML_MAP: return items_of(node, NULL, out, err);
    }
    return HT_OK;
}

/* ---- lists and maps of names ---- */

/* A string, or a list of strings: names [*n]. */
static ht_status names_of(const reader *r, const hti_yaml_node *node, const char *what, const char **names, size_t cap,
                          size_t *n, ht_error *err)
{
    *n = 0;
    if (!node || node->kind == HTI_YAML_NULL) return HT_OK;
    const hti_yaml_node *const *items = node->kind == HTI_YAML_LIST ? node->as.items : &node;
    const size_t len = node->kind == HTI_YAML_LIST ? node->n : 1;
    if (len > cap) return hti_yaml_fail(r->yaml, node, err, "%zu names in %s; at most %zu", len, what, cap);
    for (size_t i = 0; i < len; i++) {
        HT_TRY(hti_yaml_expect(r->yaml, items[i], what, HTI_YAML_STRING, err));
        names[(*n)++] = items[i]->as.text.data;
    }
    return HT_OK;
}

/* A map of names to names. */
static ht_status renames_of(const reader *r, const hti_yaml_node *node, const char *what, ht_rename *renames,
                            size_t cap, size_t *n, ht_error *err)
{
    *n = 0;
    if (!node || node->kind == HTI_YAML_NULL) return HT_OK;
    HT_TRY(hti_yaml_expect(r->yaml, node, what, HTI_YAML_MAP, err));
    if (node->n > cap) return hti_yaml_fail(r->yaml, node, err, "%zu names in %s; at most %zu", node->n, what, cap);
    for (size_t i = 0; i < node->n; i++) {
        const hti_yaml_entry *entry = &node->as.entries[i];
        HT_TRY(hti_yaml_expect(r->yaml, entry->value, what, HTI_YAML_STRING, err));
        renames[(*n)++] = (ht_rename){entry->key.data, entry->value->as.text.data};
    }
    return HT_OK;
}

static const hti_yaml_node *value_at(const hti_yaml_node *map, const char *key)
{
    const hti_yaml_entry *entry = hti_yaml_find(map, key);
    return entry && entry->value->kind != HTI_YAML_NULL ? entry->value : NULL;
}

/* ---- objects ---- */

static ht_status read_object(reader *r, const hti_yaml_entry *entry, object *out, ht_error *err)
{
    ht_text cls = {NULL, 0};
    ht_value args;
    ht_error why = {0};
    const hti_yaml_node *node = entry->value, *at;
    HT_TRY(hti_yaml_expect(r->yaml, node, "an object", HTI_YAML_MAP, err));
    HT_TRY(hti_yaml_need(r->yaml, node, "class", HTI_YAML_STRING, &at, err));
    cls = at->as.text;
    HT_TRY(items_of(node, "class", &args, err));
    const ht_status status = ht_registry_instance(r->registry, cls.data, args, &out->instance, &why);
    ht_value_release(args);
    if (status != HT_OK) return fail_at(r, status == HT_NOT_FOUND ? at : node, status, &why, err);
    out->name = entry->key.data;
    return HT_OK;
}

static ht_status read_objects(reader *r, const hti_yaml_node *root, ht_error *err)
{
    const hti_yaml_node *map;
    ht_pipeline_file *file = r->file;
    HT_TRY(hti_yaml_get(r->yaml, root, "objects", HTI_YAML_MAP, &map, err));
    if (!map) return HT_OK;
    file->objects = HTI_ARENA_ARRAY(&file->arena, object, map->n);
    if (!file->objects) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < map->n; i++) {
        file->objects[i] = (object){0};
        HT_TRY(read_object(r, &map->as.entries[i], &file->objects[i], err));
        file->n_objects++;
    }
    return HT_OK;
}

static object *find_object(const reader *r, const char *name, size_t len)
{
    for (size_t i = 0; i < r->file->n_objects; i++) {
        object *o = &r->file->objects[i];
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) return o;
    }
    return NULL;
}

/* ---- nodes ---- */

static const char *renamed(const ht_rename *renames, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(renames[i].from, name)) return renames[i].to;
    return name;
}

/* Every renamed name must be one that there is. */
static ht_status check_renames(const reader *r, const hti_yaml_node *at, const ht_rename *renames, size_t n,
                               const char *what, const char *const *names, size_t n_names, ht_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ht_error why;
        size_t k = 0;
        while (k < n_names && strcmp(names[k], renames[i].from) != 0) k++;
        if (k < n_names) continue;
        const ht_status status = hti_fail_choices(&why, what, renames[i].from, names, n_names);
        return fail_at(r, at, status, &why, err);
    }
    return HT_OK;
}

static ht_status read_function(reader *r, const hti_yaml_node *node, ht_pipeline *into, ht_error *err)
{
    static const char *const keys[] = {"node", "name", "inputs", "outputs"};
    const hti_yaml_node *type, *in = value_at(node, "inputs"), *out = value_at(node, "outputs");
    ht_rename in_names[HTI_MAX_INPUTS], out_names[HTI_MAX_OUTPUTS];
    ht_input inputs[HTI_MAX_INPUTS];
    const char *outputs[HTI_MAX_OUTPUTS], *own[HTI_MAX_INPUTS];
    size_t n_in, n_out;
    ht_text name = {NULL, 0};
    ht_error why = {0};
    HT_TRY(hti_yaml_unknown_key(r->yaml, node, keys, HTI_LEN(keys), err));
    HT_TRY(hti_yaml_need(r->yaml, node, "node", HTI_YAML_STRING, &type, err));
    HT_TRY(hti_yaml_text(r->yaml, node, "name", &name, err));
    HT_TRY(renames_of(r, in, "\"inputs\"", in_names, HTI_LEN(in_names), &n_in, err));
    HT_TRY(renames_of(r, out, "\"outputs\"", out_names, HTI_LEN(out_names), &n_out, err));
    const ht_node_desc *desc = ht_registry_node(r->registry, type->as.text.data);
    if (!desc) {
        const ht_status status = hti_registry_unknown(&r->registry->nodes, "no node type", type->as.text.data, &why);
        return fail_at(r, type, status, &why, err);
    }
    for (size_t i = 0; i < desc->n_inputs; i++) {
        own[i] = desc->inputs[i].name;
        inputs[i] = (ht_input){renamed(in_names, n_in, own[i]), desc->inputs[i].otherwise};
    }
    for (size_t o = 0; o < desc->n_outputs; o++) outputs[o] = renamed(out_names, n_out, desc->outputs[o]);
    HT_TRY(check_renames(r, in, in_names, n_in, "no input", own, desc->n_inputs, err));
    HT_TRY(check_renames(r, out, out_names, n_out, "no output", desc->outputs, desc->n_outputs, err));
    ht_node_desc named = *desc;
    named.type = type->as.text.data;
    named.name = name.data ? name.data : named.type;
    named.inputs = inputs;
    named.outputs = outputs;
    const ht_status status = ht_pipeline_add_node(into, &named, &why);
    return status == HT_OK ? HT_OK : fail_at(r, node, status, &why, err);
}

static ht_status read_method(reader *r, const hti_yaml_node *node, ht_pipeline *into, ht_error *err)
{
    static const char *const keys[] = {"method", "name", "inputs", "output"};
    const hti_yaml_node *method, *output;
    const char *names[HTI_MAX_INPUTS];
    ht_input inputs[HTI_MAX_INPUTS];
    hti_chosen chosen;
    size_t n;
    ht_text name = {NULL, 0};
    ht_error why = {0};
    HT_TRY(hti_yaml_unknown_key(r->yaml, node, keys, HTI_LEN(keys), err));
    HT_TRY(hti_yaml_need(r->yaml, node, "method", HTI_YAML_STRING, &method, err));
    HT_TRY(hti_yaml_need(r->yaml, node, "output", HTI_YAML_STRING, &output, err));
    HT_TRY(hti_yaml_text(r->yaml, node, "name", &name, err));
    HT_TRY(names_of(r, value_at(node, "inputs"), "\"inputs\"", names, HTI_LEN(names), &n, err));
    const char *text = method->as.text.data, *dot = strchr(text, '.');
    object *o = dot ? find_object(r, text, (size_t)(dot - text)) : NULL;
    if (!o) return hti_yaml_fail(r->yaml, method, err, "\"%s\" is not OBJECT.METHOD of an object above", text);
    o->is_used = true;
    ht_status status = hti_instance_method(o->instance, dot + 1, &chosen, &why);
    if (status != HT_OK) return fail_at(r, method, status, &why, err);
    if (chosen.method->n_inputs != n)
        return hti_yaml_fail(r->yaml, node, err, "\"%s\" takes %zu inputs, not %zu", text, chosen.method->n_inputs, n);
    for (size_t i = 0; i < n; i++) inputs[i] = (ht_input){names[i], NULL};
    status = ht_pipeline_add_method(into, name.data ? name.data : dot + 1, o->instance, dot + 1, inputs,
                                    output->as.text.data, &why);
    return status == HT_OK ? HT_OK : fail_at(r, node, status, &why, err);
}

static ht_status read_pipeline(reader *r, const hti_yaml_node *map, const char *name, ht_pipeline **out, ht_error *err);

static ht_status read_mode(const reader *r, const hti_yaml_node *node, ht_map_mode *out, ht_error *err)
{
    const hti_yaml_node *mode;
    HT_TRY(hti_yaml_get(r->yaml, node, "mode", HTI_YAML_STRING, &mode, err));
    *out = mode && !strcmp(mode->as.text.data, "product") ? HT_MAP_PRODUCT : HT_MAP_ZIP;
    if (mode && *out == HT_MAP_ZIP && strcmp(mode->as.text.data, "zip") != 0)
        return hti_yaml_fail(r->yaml, mode, err, "\"mode\" is zip or product");
    return HT_OK;
}

static ht_status read_engine(const reader *r, const hti_yaml_node *node, ht_nested_run *out, ht_error *err)
{
    static const char *const names[] = {"sequential", "threads", "processes"};
    const hti_yaml_node *engine, *workers;
    size_t at = 0;
    HT_TRY(hti_yaml_get(r->yaml, node, "engine", HTI_YAML_STRING, &engine, err));
    HT_TRY(hti_yaml_get(r->yaml, node, "workers", HTI_YAML_INT, &workers, err));
    if (workers && !engine) return hti_yaml_fail(r->yaml, workers, err, "\"workers\" without \"engine\"");
    if (workers && (workers->as.integer < 1 || workers->as.integer > 4096))
        return hti_yaml_fail(r->yaml, workers, err, "\"workers\" is 1 to 4096");
    if (!engine) return HT_OK;
    while (at < HTI_LEN(names) && strcmp(engine->as.text.data, names[at]) != 0) at++;
    if (at == HTI_LEN(names))
        return hti_yaml_fail(r->yaml, engine, err, "\"engine\" is sequential, threads or processes");
    out->has_engine = true;
    out->engine = (ht_engine)at;
    out->n_workers = workers ? (size_t)workers->as.integer : 0;
    return HT_OK;
}

static ht_status read_nested(reader *r, const hti_yaml_node *node, ht_pipeline *into, ht_error *err)
{
    static const char *const keys[] = {"pipeline", "name", "inputs", "outputs",
                                       "map_over", "mode", "engine", "workers"};
    const hti_yaml_node *inner;
    ht_rename in_names[HTI_MAX_INPUTS], out_names[HTI_MAX_OUTPUTS];
    const char *over[HTI_MAX_INPUTS];
    ht_text name = {"pipeline", 8};
    ht_as_node as = {HT_DESC(ht_as_node), .inputs = in_names, .outputs = out_names, .map_over = over};
    ht_pipeline *made;
    ht_nested_run own = {HT_DESC(ht_nested_run)};
    ht_error why = {0};
    HT_TRY(hti_yaml_unknown_key(r->yaml, node, keys, HTI_LEN(keys), err));
    HT_TRY(hti_yaml_need(r->yaml, node, "pipeline", HTI_YAML_MAP, &inner, err));
    HT_TRY(hti_yaml_text(r->yaml, node, "name", &name, err));
    HT_TRY(renames_of(r, value_at(node, "inputs"), "\"inputs\"", in_names, HTI_LEN(in_names), &as.n_inputs, err));
    HT_TRY(renames_of(r, value_at(node, "outputs"), "\"outputs\"", out_names, HTI_LEN(out_names), &as.n_outputs, err));
    HT_TRY(names_of(r, value_at(node, "map_over"), "\"map_over\"", over, HTI_LEN(over), &as.n_map_over, err));
    HT_TRY(read_mode(r, node, &as.map_mode, err));
    HT_TRY(read_engine(r, node, &own, err));
    if (own.has_engine) as.own = &own;
    as.name = name.data;
    HT_TRY(read_pipeline(r, inner, name.data, &made, err));
    const ht_status status = ht_pipeline_add_pipeline(into, made, &as, &why);
    ht_pipeline_release(made);
    return status == HT_OK ? HT_OK : fail_at(r, node, status, &why, err);
}

static ht_status read_node(reader *r, const hti_yaml_node *node, ht_pipeline *into, ht_error *err)
{
    HT_TRY(hti_yaml_expect(r->yaml, node, "a node", HTI_YAML_MAP, err));
    if (value_at(node, "node")) return read_function(r, node, into, err);
    if (value_at(node, "method")) return read_method(r, node, into, err);
    if (value_at(node, "pipeline")) return read_nested(r, node, into, err);
    return hti_yaml_fail(r->yaml, node, err,
                         "a node has \"node\" (a type), \"method\" (OBJECT.METHOD) or \"pipeline\"");
}

/* ---- pipelines ---- */

static ht_status bind_inputs(reader *r, const hti_yaml_node *map, ht_pipeline *p, ht_error *err)
{
    const hti_yaml_node *inputs;
    HT_TRY(hti_yaml_get(r->yaml, map, "inputs", HTI_YAML_MAP, &inputs, err));
    for (size_t i = 0; inputs && i < inputs->n; i++) {
        const hti_yaml_entry *entry = &inputs->as.entries[i];
        ht_error why = {0};
        ht_value value;
        HT_TRY(value_of(entry->value, &value, err));
        const ht_status status = ht_pipeline_bind(p, entry->key.data, value, &why);
        ht_value_release(value);
        if (status != HT_OK) return fail_at(r, entry->value, status, &why, err);
    }
    return HT_OK;
}

static ht_status fill_pipeline(reader *r, const hti_yaml_node *map, ht_pipeline *p, ht_error *err)
{
    const hti_yaml_node *nodes;
    HT_TRY(hti_yaml_need(r->yaml, map, "nodes", HTI_YAML_LIST, &nodes, err));
    for (size_t i = 0; i < nodes->n; i++) HT_TRY(read_node(r, nodes->as.items[i], p, err));
    return bind_inputs(r, map, p, err);
}

static ht_status read_pipeline(reader *r, const hti_yaml_node *map, const char *name, ht_pipeline **out, ht_error *err)
{
    static const char *const keys[] = {"nodes", "inputs"};
    if (map != hti_yaml_root(r->yaml)) HT_TRY(hti_yaml_unknown_key(r->yaml, map, keys, HTI_LEN(keys), err));
    HT_TRY(ht_pipeline_new(name, out, err));
    const ht_status status = fill_pipeline(r, map, *out, err);
    if (status == HT_OK) return HT_OK;
    ht_pipeline_release(*out);
    *out = NULL;
    return status;
}

/* Objects are inputs by their names. */
static ht_status bind_objects(reader *r, const hti_yaml_node *root, ht_error *err)
{
    for (size_t i = 0; i < r->file->n_objects; i++) {
        const object *o = &r->file->objects[i];
        ht_value value;
        ht_error why = {0};
        HT_TRY(ht_instance_value(o->instance, &value, err));
        const ht_status status = ht_pipeline_bind(r->file->pipeline, o->name, value, &why);
        ht_value_release(value);
        if (status == HT_NO_MEMORY) return HTI_NO_MEMORY(err);
        if (status != HT_OK && !o->is_used) {
            const hti_yaml_node *at = value_at(value_at(root, "objects"), o->name);
            return hti_yaml_fail(r->yaml, at, err, "the object \"%s\" is used by no node", o->name);
        }
    }
    return HT_OK;
}

/* Whether it can be planned at all, with its outputs; what a run still has to bring is no failure. */
static ht_status try_plan(reader *r, const hti_yaml_node *root, ht_error *err)
{
    hti_graph graph;
    hti_arena arena;
    ht_error why = {0};
    hti_arena_init(&arena);
    ht_status status = hti_graph_make(r->file->pipeline, &arena, &graph, &why);
    if (status == HT_OK) {
        for (size_t i = 0; status == HT_OK && i < r->file->n_outputs; i++)
            if (hti_map_find(&graph.outputs, hti_text_of(r->file->outputs[i])) == HTI_MAP_NONE)
                status = HT_FAIL(&why, NOT_FOUND, "no node makes the output '%s'", r->file->outputs[i]);
        hti_graph_deinit(&graph);
    }
    hti_arena_deinit(&arena);
    const hti_yaml_node *at = status == HT_NOT_FOUND ? value_at(root, "outputs") : value_at(root, "nodes");
    return status == HT_OK ? HT_OK : fail_at(r, at ? at : root, status, &why, err);
}

static ht_status read_outputs(reader *r, const hti_yaml_node *root, ht_error *err)
{
    const char *names[HTI_MAX_OUTPUTS] = {NULL};
    ht_pipeline_file *file = r->file;
    HT_TRY(names_of(r, value_at(root, "outputs"), "\"outputs\"", names, HTI_LEN(names), &file->n_outputs, err));
    file->outputs = HTI_ARENA_ARRAY(&file->arena, const char *, file->n_outputs);
    if (!file->outputs) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < file->n_outputs; i++) {
        file->outputs[i] = names[i] ? hti_arena_text(&file->arena, hti_text_of(names[i])) : NULL;
        if (!file->outputs[i]) return HTI_NO_MEMORY(err);
    }
    return HT_OK;
}

static ht_status read_root(reader *r, ht_error *err)
{
    static const char *const keys[] = {"name", "objects", "inputs", "nodes", "outputs"};
    const hti_yaml_node *root = hti_yaml_root(r->yaml);
    ht_text name = {"pipeline", 8};
    HT_TRY(hti_yaml_expect(r->yaml, root, "the pipeline", HTI_YAML_MAP, err));
    HT_TRY(hti_yaml_unknown_key(r->yaml, root, keys, HTI_LEN(keys), err));
    HT_TRY(hti_yaml_text(r->yaml, root, "name", &name, err));
    HT_TRY(read_objects(r, root, err));
    HT_TRY(read_pipeline(r, root, name.data, &r->file->pipeline, err));
    HT_TRY(read_outputs(r, root, err));
    HT_TRY(bind_objects(r, root, err));
    return try_plan(r, root, err);
}

static ht_status read_all(const hti_yaml *yaml, ht_registry *registry, ht_pipeline_file **out, ht_error *err)
{
    reader r = {yaml, registry, HTI_NEW(ht_pipeline_file)};
    if (!r.file) return HTI_NO_MEMORY(err);
    hti_arena_init(&r.file->arena);
    const ht_status status = read_root(&r, err);
    if (status == HT_OK)
        *out = r.file;
    else
        ht_pipeline_file_free(r.file);
    return status;
}

ht_status ht_pipeline_file_parse(ht_text text, const char *name, ht_registry *registry, ht_pipeline_file **out,
                                 ht_error *err)
{
    hti_yaml *yaml = NULL;
    *out = NULL;
    HT_TRY(hti_yaml_parse(text, name, MAX_FILE, &yaml, err));
    const ht_status status = read_all(yaml, registry, out, err);
    hti_yaml_free(yaml);
    return status;
}

ht_status ht_pipeline_file_load(const char *path, ht_registry *registry, ht_pipeline_file **out, ht_error *err)
{
    hti_yaml *yaml = NULL;
    *out = NULL;
    HT_TRY(hti_yaml_load(path, MAX_FILE, &yaml, err));
    const ht_status status = read_all(yaml, registry, out, err);
    hti_yaml_free(yaml);
    return status;
}

void ht_pipeline_file_free(ht_pipeline_file *file)
{
    if (!file) return;
    ht_pipeline_release(file->pipeline);
    for (size_t i = 0; i < file->n_objects; i++) ht_instance_release(file->objects[i].instance);
    hti_arena_deinit(&file->arena);
    hti_free(file);
}

ht_pipeline *ht_pipeline_file_pipeline(ht_pipeline_file *file) { return file->pipeline; }

const char *const *ht_pipeline_file_outputs(const ht_pipeline_file *file, size_t *n)
{
    *n = file->n_outputs;
    return file->outputs;
}
