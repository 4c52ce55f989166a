/*
 * plugin.c - a class and a node for `hound`: a shared library with ht_module_init.
 *
 *     make plugin.so
 *     hound nodes --plugin ./plugin.so Counter
 *     hound run --plugin ./plugin.so plugin.yaml
 */
#include "common.h"

#include <ctype.h>

/* Counter.count(text) -> words; its batch form takes many texts at once. */
static ht_status make_counter(void **self, ht_value args, ht_error *err)
{
    (void)err;
    size_t *least = malloc(sizeof *least);
    ht_value field;
    if (!least) return HT_NO_MEMORY;
    (void)ht_value_field(args, "least", &field); /* completed from the parameters below */
    *least = (size_t)field.as.integer;
    *self = least;
    return HT_OK;
}

static ht_value count_words(size_t least, ht_text text)
{
    int64_t n = 0;
    for (size_t i = 0, len = 0; i <= text.len; i++) {
        if (i < text.len && !isspace((unsigned char)text.data[i])) {
            len++;
        } else {
            n += len > 0 && len >= least;
            len = 0;
        }
    }
    return ht_value_int(n);
}

static ht_status count_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    (void)err;
    for (size_t i = 0; i < n; i++) out[0][i] = count_words(*(const size_t *)self, ht_value_text(in[0].rows[i]));
    return HT_OK;
}

static const ht_parameter parameters[] = {{"least", "int", "1", "letters that a word must have to count"}};
static const ht_method methods[] = {{"count", 1, {.batch = count_batch}}};
static const ht_class counter = {
    HT_DESC(ht_class),        .name = "Counter", .init = make_counter, .fini = free,
    .methods = methods,       .n_methods = 1,    .version = "1",       .summary = "counts words of texts",
    .parameters = parameters, .n_parameters = 1};

/* count_passage(passage, counter) -> n_words: written for one passage, gathered to batches by the runtime. */
static ht_status count_passage(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    ht_value text, answer;
    if (!ht_value_field(in[0], "text", &text)) return HT_INVALID;
    const ht_status status = ht_await(body, in[1], "count", &text, 1, &answer, err);
    if (status == HT_OK) *out = ht_value_retain(answer);
    return status; /* HT_PARKED too: the body runs again when the answer is there */
}

static const ht_input inputs[] = {{"passage", NULL}, {"counter", NULL}};
static const char *const outputs[] = {"n_words"};
static const ht_node_desc node = {HT_DESC(ht_node_desc),
                                  .name = "count_passage",
                                  .inputs = inputs,
                                  .n_inputs = 2,
                                  .outputs = outputs,
                                  .n_outputs = 1,
                                  .forms = {.body = count_passage},
                                  .version = "1",
                                  .summary = "words of a passage, by counter.count"};

HT_API ht_status ht_module_init(ht_registry *registry, ht_error *err);
ht_status ht_module_init(ht_registry *registry, ht_error *err)
{
    const ht_status status = ht_registry_add_class(registry, &counter, err);
    return status == HT_OK ? ht_registry_add_node(registry, &node, err) : status;
}
