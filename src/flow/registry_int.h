/*
 * registry_int.h - the inside of a registry, for the files that fill and read it.
 */
#ifndef HTI_FLOW_REGISTRY_INT_H
#define HTI_FLOW_REGISTRY_INT_H

#include "flow_int.h"
#include "value_int.h"

#include <houndstooth/registry.h>

/* Borrowed descriptions in the order of their names. */
typedef struct hti_named {
    const void **items; /* [n] */
    size_t n, cap;
    const char *(*name_of)(const void *item);
} hti_named;

typedef struct hti_interned {
    const ht_class *cls;
    ht_key key; /* of the arguments */
    ht_instance *instance;
} hti_interned;

struct ht_registry {
    hti_named classes, nodes, types;
    hti_mutex *lock; /* guards what follows */
    hti_interned *interned;
    size_t n_interned, cap_interned;
    char **plugins; /* [n_plugins] paths, owned */
    size_t n_plugins, cap_plugins;
};

/* Fails with `what` "NAME" and the names there are. */
ht_status hti_registry_unknown(const hti_named *list, const char *what, const char *name, ht_error *err);

#endif
