/*
 * fields.h - structs built field by field, with a sticky failure.
 */
#ifndef HTI_FLOW_FIELDS_H
#define HTI_FLOW_FIELDS_H

#include "flow_int.h"

enum { HTI_MAX_FIELDS = 24 };

typedef struct hti_fields {
    const char *names[HTI_MAX_FIELDS];
    ht_value values[HTI_MAX_FIELDS];
    size_t n;
    ht_status status;
    ht_error *err;
} hti_fields;

/* Takes the value, also on failure; the name is borrowed until the end. At most HTI_MAX_FIELDS. */
static inline void hti_fields_take(hti_fields *f, const char *name, ht_value value)
{
    f->names[f->n] = name;
    f->values[f->n++] = value;
}

static inline void hti_fields_text(hti_fields *f, const char *name, const char *text)
{
    ht_value value = ht_value_null();
    if (f->status == HT_OK) f->status = ht_value_string(hti_text_of(text), &value, f->err);
    hti_fields_take(f, name, value);
}

/* The struct, or the first failure. */
static inline ht_status hti_fields_end(hti_fields *f, ht_value *out)
{
    if (f->status == HT_OK) f->status = ht_value_struct(f->names, f->values, f->n, out, f->err);
    hti_values_release(f->values, f->n);
    return f->status;
}

#endif
