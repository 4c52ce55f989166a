/* word_vectors.h - what word_vectors.c gives to pipeline_steps.c. */
#ifndef EXAMPLES_WORD_VECTORS_H
#define EXAMPLES_WORD_VECTORS_H

#include "common.h"

/* Leaves the function with a call's status unless it did well; HT_PARKED leaves this way, too. */
#define TRY(call)                                   \
    do {                                            \
        const ht_status try_status = (call);        \
        if (try_status != HT_OK) return try_status; \
    } while (0)

/* {vectors: [words, 64], pooled: [64]} of the words of at least `least` letters, all of unit length. */
ht_status embed(ht_text text, size_t least, ht_value *out, ht_error *err);

/* encode(text, is_query): the first class has a row form only, the second a batch form as well. */
extern const ht_class words_by_row, words;

/* What makes a plug-in of word_vectors.c. */
HT_API ht_status ht_module_init(ht_registry *registry, ht_error *err);

static inline ht_value field(ht_value value, const char *name)
{
    ht_value found = ht_value_null();
    (void)ht_value_field(value, name, &found);
    return found;
}

#endif
