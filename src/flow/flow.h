/*
 * flow.h - the door of the pipeline runtime, for the rooms above: what they need beside the public headers.
 */
#ifndef HTI_FLOW_FLOW_H
#define HTI_FLOW_FLOW_H

#include <houndstooth/flow.h>

enum { HTI_MAX_INPUTS = 64, HTI_MAX_OUTPUTS = 64 };

/* A method, to be called for a row or, by its batch name, for whole columns. */
typedef struct hti_chosen {
    const ht_method *method;
    bool whole;
} hti_chosen;
/* Method by name; NOT_FOUND names the class and its methods. */
HT_CHECKED ht_status hti_instance_method(const ht_instance *instance, const char *name, hti_chosen *out, ht_error *err);
/* The name by which it was chosen, or another that chooses the same. `whole`: with "_batch" behind it. */
enum { HTI_METHOD_NAME = 256 };
void hti_method_name(const char *method, bool whole, char into[HTI_METHOD_NAME]);
/* Which inputs differ from row to row in a batch. */
static inline uint64_t hti_over(const ht_forms *forms) { return forms->over ? forms->over : 1; }

/* A list, series or tensor as a series; INVALID names what it is instead. */
HT_CHECKED ht_status hti_series_of(ht_value value, ht_dtype dtype, ht_series **out, ht_error *err);
/* Fails with `what` "NAME" and the names to choose from. */
ht_status hti_fail_choices(ht_error *err, const char *what, const char *name, const char *const *choices, size_t n);

#endif
