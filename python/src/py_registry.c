/*
 * py_registry.c - what the process can name: Python objects as a type, the library's retrieval nodes and classes.
 */
#include "py_core.h"

static ht_registry *registry;

ht_registry *hp_registry(void) { return registry; }

ht_status hp_registry_instance(const ht_class *cls, ht_value args, ht_instance **out, ht_error *err)
{
    return ht_instance_new(cls, args, out, err);
}

int hp_registry_init(PyObject *module)
{
    ht_error err = {0};
    (void)module;
    ht_status status = ht_registry_new(&registry, &err);
    if (status == HT_OK) status = ht_registry_add_type(registry, &hp_object_type, &err);
    return status == HT_OK ? 0 : hp_raise(&err);
}
