/*
 * registry.c - classes, nodes and opaque types by name; instances by class and arguments; plug-ins.
 *
 * Each list is an array of pointers to borrowed descriptions, kept in the order of names: lookups are a binary search,
 * and listings need no sorting. Instances are interned by the digest of their arguments, so that a spec that arrives
 * twice in a worker loads once.
 */
#include "registry_int.h"

#include <string.h>

static const ht_face *the_face;

void ht_face_set(const ht_face *face) { the_face = face; }
const ht_face *hti_face(void) { return the_face; }

/* ---- lists of named things ---- */

static const char *name_of_class(const void *item) { return ((const ht_class *)item)->name; }
static const char *name_of_type(const void *item) { return ((const ht_type *)item)->name; }
static const char *name_of_node(const void *item)
{
    const ht_node_desc *desc = item;
    return desc->type ? desc->type : desc->name;
}

/* Place of the first item whose name is not before `name`. */
static size_t lower_bound(const hti_named *list, const char *name)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(list->name_of(list->items[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const void *find_named(const hti_named *list, const char *name)
{
    const size_t at = lower_bound(list, name);
    return at < list->n && !strcmp(list->name_of(list->items[at]), name) ? list->items[at] : NULL;
}

static ht_status add_named(hti_named *list, const void *item, const char *what, ht_error *err)
{
    const char *name = list->name_of(item);
    if (!name || !*name) return HT_FAIL(err, INVALID, "a %s without a name cannot be registered", what);
    if (strlen(name) >= HTI_TYPE_NAME) return HT_FAIL(err, LIMIT, "the name of %s '%.40s...' is too long", what, name);
    if (find_named(list, name)) return HT_FAIL(err, EXISTS, "%s '%s' is registered already", what, name);
    const size_t at = lower_bound(list, name);
    HT_TRY(hti_reserve(&list->items, &list->cap, list->n + 1, sizeof *list->items, err));
    memmove(list->items + at + 1, list->items + at, (list->n - at) * sizeof *list->items);
    list->items[at] = item;
    list->n++;
    return HT_OK;
}

/* ---- the registry ---- */

ht_status ht_registry_new(ht_registry **out, ht_error *err)
{
    ht_registry *registry = HTI_NEW(ht_registry);
    *out = NULL;
    if (!registry) return HTI_NO_MEMORY(err);
    registry->classes.name_of = name_of_class;
    registry->nodes.name_of = name_of_node;
    registry->types.name_of = name_of_type;
    registry->lock = hti_mutex_new();
    registry->serve = hti_mutex_new();
    ht_status status = registry->lock && registry->serve ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) status = ht_registry_add_type(registry, hti_instance_type(), err);
    if (status == HT_OK) status = ht_registry_add_type(registry, hti_failure_type(), err);
    if (status == HT_OK) status = ht_registry_add_type(registry, hti_series_type(), err);
    if (status == HT_OK)
        *out = registry;
    else
        ht_registry_free(registry);
    return status;
}

void ht_registry_free(ht_registry *registry)
{
    if (!registry) return;
    for (size_t i = 0; i < registry->n_sets; i++) hti_workers_free(registry->sets[i].workers);
    hti_free(registry->sets);
    hti_serve_end(registry);
    for (size_t i = 0; i < registry->n_interned; i++) ht_instance_release(registry->interned[i].instance);
    for (size_t i = 0; i < registry->n_plugins; i++) hti_free(registry->plugins[i]);
    hti_free(registry->interned);
    hti_free(registry->plugins);
    hti_free(registry->classes.items);
    hti_free(registry->nodes.items);
    hti_free(registry->types.items);
    hti_mutex_free(registry->lock);
    hti_mutex_free(registry->serve);
    hti_free(registry);
}

ht_status ht_registry_add_class(ht_registry *registry, const ht_class *cls, ht_error *err)
{
    HT_TRY(hti_class_check(cls, err));
    return add_named(&registry->classes, cls, "class", err);
}

ht_status ht_registry_add_node(ht_registry *registry, const ht_node_desc *desc, ht_error *err)
{
    ht_pipeline *trial; /* a pipeline of it alone tells whether the description is whole */
    HT_TRY(ht_pipeline_new(NULL, &trial, err));
    ht_status status = ht_pipeline_add_node(trial, desc, err);
    ht_pipeline_release(trial);
    if (status == HT_OK) status = add_named(&registry->nodes, desc, "node", err);
    return status;
}

ht_status ht_registry_add_type(ht_registry *registry, const ht_type *type, ht_error *err)
{
    return add_named(&registry->types, type, "type", err);
}

const ht_class *ht_registry_class(const ht_registry *registry, const char *name)
{
    return find_named(&registry->classes, name);
}
const ht_node_desc *ht_registry_node(const ht_registry *registry, const char *type)
{
    return find_named(&registry->nodes, type);
}
const ht_type *ht_registry_type(const ht_registry *registry, const char *name)
{
    return find_named(&registry->types, name);
}
const ht_class *ht_registry_class_at(const ht_registry *registry, size_t at)
{
    return at < registry->classes.n ? registry->classes.items[at] : NULL;
}
const ht_node_desc *ht_registry_node_at(const ht_registry *registry, size_t at)
{
    return at < registry->nodes.n ? registry->nodes.items[at] : NULL;
}

ht_status hti_registry_unknown(const hti_named *list, const char *what, const char *name, ht_error *err)
{
    const char **names = HTI_NEW_ARRAY(const char *, list->n);
    if (!names) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < list->n; i++) names[i] = list->name_of(list->items[i]);
    const ht_status status = hti_fail_choices(err, what, name, names, list->n);
    hti_free(names);
    return status;
}

/* ---- instances ---- */

/* With the lock held. */
static ht_status intern(ht_registry *registry, const ht_class *cls, ht_value args, ht_key key, ht_instance **out,
                        ht_error *err)
{
    for (size_t i = 0; i < registry->n_interned; i++) {
        const hti_interned *old = &registry->interned[i];
        if (old->cls != cls || old->key.low != key.low || old->key.high != key.high) continue;
        *out = old->instance;
        return HT_OK;
    }
    HT_TRY(hti_reserve(&registry->interned, &registry->cap_interned, registry->n_interned + 1,
                       sizeof *registry->interned, err));
    HT_TRY(ht_instance_new(cls, args, out, err));
    hti_instance_set_registry(*out, registry);
    registry->interned[registry->n_interned++] = (hti_interned){cls, key, *out};
    return HT_OK;
}

ht_status ht_registry_instance(ht_registry *registry, const char *cls, ht_value args, ht_instance **out, ht_error *err)
{
    const ht_class *found = ht_registry_class(registry, cls);
    ht_key key;
    *out = NULL;
    if (!found && the_face && ht_value_type(args)) HT_TRY(the_face->cls(the_face->ud, args, &found, err));
    if (!found) return hti_registry_unknown(&registry->classes, "no class", cls, err);
    HT_TRY(hti_class_complete(found, args, &args, err));
    ht_status status;
    if (ht_value_digest(args, &key, NULL) == HT_OK) {
        hti_mutex_lock(registry->lock);
        status = intern(registry, found, args, key, out, err);
        if (status == HT_OK) ht_instance_retain(*out);
        hti_mutex_unlock(registry->lock);
    } else {
        status = ht_instance_new(found, args, out, err);
        if (status == HT_OK) hti_instance_set_registry(*out, registry);
    }
    ht_value_release(args);
    return status;
}

ht_status ht_registry_instance_of(ht_registry *registry, const ht_class *cls, ht_value args, ht_instance **out,
                                  ht_error *err)
{
    HT_TRY(ht_instance_new(cls, args, out, err));
    hti_instance_set_registry(*out, registry);
    return HT_OK;
}

/* ---- plug-ins ---- */

ht_status ht_registry_load(ht_registry *registry, const char *path, ht_error *err)
{
    ht_module_init_fn init;
    const size_t len = strlen(path);
    HT_TRY(hti_reserve(&registry->plugins, &registry->cap_plugins, registry->n_plugins + 1, sizeof *registry->plugins,
                       err));
    char *name = hti_alloc(len + 1);
    if (!name) return HTI_NO_MEMORY(err);
    memcpy(name, path, len + 1);
    registry->plugins[registry->n_plugins++] = name;
    const char *const names[] = {path};
    hti_library *library = hti_library_open(names, 1); /* stays: what it registers is code of it */
    if (!library) return HT_FAIL(err, NOT_FOUND, "%s: cannot be loaded as a plug-in", path);
    if (!hti_library_symbol(library, "ht_module_init", (void *)&init))
        return HT_FAIL(err, NOT_FOUND, "%s: has no function ht_module_init", path);
    return init(registry, err);
}
