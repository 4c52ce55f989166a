/*
 * parameters.c - arguments of a class against its list of parameters: checked, and completed by defaults.
 */
#include "registry_int.h"

static bool fits(ht_value value, const char *type)
{
    if (!strcmp(type, "string") || !strcmp(type, "path")) return value.kind == HT_KIND_STRING;
    if (!strcmp(type, "int")) return value.kind == HT_KIND_INT;
    if (!strcmp(type, "float")) return value.kind == HT_KIND_FLOAT || value.kind == HT_KIND_INT;
    if (!strcmp(type, "bool")) return value.kind == HT_KIND_BOOL;
    if (!strcmp(type, "list")) return value.kind == HT_KIND_LIST;
    if (!strcmp(type, "struct")) return value.kind == HT_KIND_STRUCT;
    return true;
}

static ht_status check_names(const ht_class *cls, ht_value args, ht_error *err)
{
    const char *names[HTI_MAX_INPUTS];
    size_t n;
    (void)ht_value_items(args, &n);
    for (size_t p = 0; p < cls->n_parameters; p++) names[p] = cls->parameters[p].name;
    for (size_t i = 0; i < n; i++) {
        const char *name = ht_value_field_name(args, i).data;
        size_t p = 0;
        while (p < cls->n_parameters && strcmp(names[p], name) != 0) p++;
        if (p == cls->n_parameters) {
            const ht_status status = hti_fail_choices(err, "no parameter", name, names, cls->n_parameters);
            (void)status;
            return hti_fail_context(err, HT_INVALID, "class '%s'", cls->name);
        }
    }
    return HT_OK;
}

static ht_status fail_missing(const ht_class *cls, ht_value args, ht_error *err)
{
    hti_buffer list;
    ht_value value;
    hti_buffer_init(&list);
    for (size_t p = 0; p < cls->n_parameters; p++) {
        const ht_parameter *parameter = &cls->parameters[p];
        if (!parameter->otherwise && !ht_value_field(args, parameter->name, &value))
            hti_buffer_printf(&list, "%s%s", list.len ? ", " : "", parameter->name);
    }
    const ht_status status =
        HT_FAIL(err, INVALID, "class '%s': missing: %.700s", cls->name, hti_buffer_view(&list).data);
    hti_buffer_deinit(&list);
    return status;
}

static ht_status value_of(const ht_class *cls, const ht_parameter *parameter, ht_value args, ht_value *out,
                          ht_error *err)
{
    const bool given = ht_value_field(args, parameter->name, out);
    if (!given && !parameter->otherwise) return fail_missing(cls, args, err);
    if (!given) return ht_value_from_json(hti_text_of(parameter->otherwise), out, err);
    if (!fits(*out, parameter->type))
        return HT_FAIL(err, INVALID, "class '%s': '%s' is of type %s, not a %s", cls->name, parameter->name,
                       parameter->type, ht_kind_name(out->kind));
    *out = ht_value_retain(*out);
    return HT_OK;
}

ht_status hti_class_complete(const ht_class *cls, ht_value args, ht_value *out, ht_error *err)
{
    const char *names[HTI_MAX_INPUTS];
    ht_value values[HTI_MAX_INPUTS];
    size_t n = 0;
    *out = ht_value_null();
    if (cls->n_parameters == 0) {
        *out = ht_value_retain(args);
        return HT_OK;
    }
    if (cls->n_parameters > HTI_MAX_INPUTS)
        return HT_FAIL(err, LIMIT, "class '%s' has %zu parameters", cls->name, cls->n_parameters);
    if (args.kind != HT_KIND_STRUCT && args.kind != HT_KIND_NULL)
        return HT_FAIL(err, INVALID, "class '%s': arguments are a struct, not a %s", cls->name,
                       ht_kind_name(args.kind));
    HT_TRY(check_names(cls, args, err));
    ht_status status = HT_OK;
    while (status == HT_OK && n < cls->n_parameters) {
        names[n] = cls->parameters[n].name;
        status = value_of(cls, &cls->parameters[n], args, &values[n], err);
        n += status == HT_OK;
    }
    if (status == HT_OK) status = ht_value_struct(names, values, n, out, err);
    hti_values_release(values, n);
    return status;
}
