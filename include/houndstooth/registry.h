/*
 * houndstooth/registry.h - what can be named: classes, nodes and opaque types of a program and of its plug-ins.
 *
 * A pipeline in YAML or JSON, a worker process and a plug-in know code by these names alone. What is registered is
 * borrowed and must outlive the registry; names are unique, and lists come in the order of names.
 * Thread rule: adding by one thread before others look; looking from any thread.
 */
#ifndef HOUNDSTOOTH_REGISTRY_H
#define HOUNDSTOOTH_REGISTRY_H

#include "flow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An empty registry, which knows instances as values. */
HT_API HT_CHECKED ht_status ht_registry_new(ht_registry **out, ht_error *err);
/* Ends what it keeps: interned instances, worker processes, plug-ins. NULL allowed. */
HT_API void ht_registry_free(ht_registry *registry);

/* EXISTS: the name is taken. INVALID: the description is not whole. */
HT_API HT_CHECKED ht_status ht_registry_add_class(ht_registry *registry, const ht_class *cls, ht_error *err);
/* Under desc->type, or its name where that is NULL. */
HT_API HT_CHECKED ht_status ht_registry_add_node(ht_registry *registry, const ht_node_desc *desc, ht_error *err);
HT_API HT_CHECKED ht_status ht_registry_add_type(ht_registry *registry, const ht_type *type, ht_error *err);

/* NULL if there is none of this name, or none at this place. */
HT_API const ht_class *ht_registry_class(const ht_registry *registry, const char *name);
HT_API const ht_node_desc *ht_registry_node(const ht_registry *registry, const char *type);
HT_API const ht_type *ht_registry_type(const ht_registry *registry, const char *name);
HT_API const ht_class *ht_registry_class_at(const ht_registry *registry, size_t at);
HT_API const ht_node_desc *ht_registry_node_at(const ht_registry *registry, size_t at);

/*
 * The instance of a class by name with these arguments; the same one for equal arguments, as long as the registry
 * lives. NOT_FOUND names the classes there are. The caller gets a reference.
 */
HT_API HT_CHECKED ht_status ht_registry_instance(ht_registry *registry, const char *cls, ht_value args,
                                                 ht_instance **out, ht_error *err);

/* The same for a class that is described here, and never shared with an equal one. */
HT_API HT_CHECKED ht_status ht_registry_instance_of(ht_registry *registry, const ht_class *cls, ht_value args,
                                                    ht_instance **out, ht_error *err);

/*
 * Code that has no name beforehand, as another language's has: nodes with `code`, and classes whose arguments say what
 * they are, are made again in other processes by these functions. One for the process, set before anything runs.
 */
typedef struct ht_face {
    uint32_t size;
    void *ud;
    /* Forms, self, policies and version of the node that `code` is; names are those of the plan. */
    ht_status (*node)(void *ud, ht_value code, ht_node_desc *out, ht_error *err);
    /* The class of an instance with these arguments; it lives as long as they do. */
    ht_status (*cls)(void *ud, ht_value args, const ht_class **out, ht_error *err);
    /* A failure's cause as bytes for the process that asked, and its number there; 0: lost. */
    ht_status (*give_cause)(void *ud, uint64_t cause, ht_writer *out, ht_error *err);
    uint64_t (*take_cause)(void *ud, const void *data, size_t len);
    const char *const *worker; /* NULL-ended command that starts a worker of this face; it calls ht_worker_main */
    /* Milliseconds that a failed call asks to wait before it is repeated; negative: it does not say. May be NULL. */
    int64_t (*retry_after_ms)(void *ud, uint64_t cause);
} ht_face;
HT_API void ht_face_set(const ht_face *face);

/* What a plug-in exports as `ht_module_init`: adds its classes, nodes and types. */
typedef ht_status (*ht_module_init_fn)(ht_registry *registry, ht_error *err);
/* Loads a shared library and calls its ht_module_init. NOT_FOUND: no such file, or no such function in it. */
HT_API HT_CHECKED ht_status ht_registry_load(ht_registry *registry, const char *path, ht_error *err);

/*
 * To be called first in main by a program whose classes or maps run in processes: in a worker it serves until its
 * parent ends and returns the exit code; in the program itself it returns -1 and notes that workers are this program.
 * Where it was not called, workers are `hound worker` with the registry's plug-ins.
 */
HT_API int ht_worker_main(int argc, char **argv, ht_registry *registry);

#ifdef __cplusplus
}
#endif

#endif
