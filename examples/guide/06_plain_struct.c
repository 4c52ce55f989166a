/*
 * 06_plain_struct.c - a plain struct with a manual ensure_loaded, on every engine.
 *
 * Not every heavy object is a class of the runtime. This one is the program's own: a name, and a model that is loaded
 * at first use. As an opaque value with an encoding of its name it flows through pipelines and to workers, which get a
 * struct that is not loaded yet and load it once.
 */
#include "guide.h"

#include <pthread.h>

typedef struct simple_encoder {
    char name[40];
    pthread_mutex_t lock;
    bool is_loaded;
    int n_loads;
} simple_encoder;

static void ensure_loaded(simple_encoder *encoder)
{
    (void)pthread_mutex_lock(&encoder->lock);
    if (!encoder->is_loaded) {
        const struct timespec load = {0, 20000000};
        (void)nanosleep(&load, NULL);
        encoder->is_loaded = true;
        encoder->n_loads++;
    }
    (void)pthread_mutex_unlock(&encoder->lock);
}

/* ---- as a value that travels ---- */

static ht_status new_encoder(const char *name, size_t len, simple_encoder **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return HT_NO_MEMORY;
    (void)snprintf((*out)->name, sizeof(*out)->name, "%.*s", (int)len, name);
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    return HT_OK;
}

static void release_encoder(void *object) { free(object); }

static ht_status encode_name(const void *object, ht_writer *writer, ht_error *err)
{
    const simple_encoder *encoder = object;
    return ht_writer_add(writer, encoder->name, strlen(encoder->name), err);
}

static ht_status decode_name(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err)
{
    simple_encoder *made;
    (void)registry, (void)err;
    const ht_status status = new_encoder(data, len, &made);
    *object = made;
    return status;
}

static const ht_type encoder_type = {HT_DESC(ht_type), .name = "guide.SimpleEncoder", .release = release_encoder,
                                     .encode = encode_name, .decode = decode_name};

/* ---- a node that uses it ---- */

static ht_status encode_passage(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    simple_encoder *encoder = ht_value_object(in[1], &encoder_type);
    (void)self, (void)err;
    ensure_loaded(encoder);
    *out = ht_value_int((int64_t)(ht_value_text(in[0]).len + strlen(encoder->name)));
    return HT_OK;
}

static const ht_input inputs[] = {{"passage", NULL}, {"encoder", NULL}};
static const char *const outputs[] = {"encoded"};
static const ht_node_desc node = {
    HT_DESC(ht_node_desc), .name = "guide.encode_passage",  .inputs = inputs, .n_inputs = 2, .outputs = outputs,
    .n_outputs = 1,        .forms = {.row = encode_passage}};

static ht_value run(ht_registry *registry, ht_engine engine, size_t n, int *n_loads, double *seconds, ht_error *err)
{
    static const char *const names[] = {"passage", "encoder"};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine,  .n_workers = 2,
                                    .registry = registry,    .map_over = names, .n_map_over = 1};
    simple_encoder *encoder;
    ht_pipeline *pipeline;
    ht_value values[2], given, out, *items = malloc((n + 1) * sizeof *items);
    if (!items || new_encoder("my-model", 8, &encoder) != HT_OK) exit(1);
    for (size_t i = 0; i < n; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "passage number %zu", i);
        or_die(ht_value_string(text_of(text), &items[i], err), err);
    }
    or_die(ht_value_list_take(items, n, &values[0], err), err);
    or_die(ht_value_opaque(&encoder_type, encoder, &values[1], err), err);
    or_die(ht_value_struct(names, values, 2, &given, err), err);
    or_die(ht_pipeline_new("simple", &pipeline, err), err);
    or_die(ht_pipeline_add_node(pipeline, &node, err), err);
    const double start = seconds_now();
    or_die(ht_pipeline_map(pipeline, given, &options, &out, err), err);
    *seconds = seconds_now() - start;
    *n_loads = encoder->n_loads;
    free(items);
    ht_pipeline_release(pipeline);
    ht_value_release(given);
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    return out;
}

static guide_digest digest_encoded(ht_value rows)
{
    guide_digest digest = {0};
    size_t n;
    const ht_value *items = ht_value_items(rows, &n);
    for (size_t i = 0; i < n; i++) {
        ht_value encoded = ht_value_null();
        (void)ht_value_field(items[i], "encoded", &encoded);
        digest_number(&digest, (double)encoded.as.integer);
    }
    return digest;
}

int main(int argc, char **argv)
{
    static const char *const engines[] = {"sequential", "threads", "processes"};
    ht_error err = {0};
    ht_registry *registry;
    ht_value out[3];
    bool good = true;
    or_die(ht_registry_new(&registry, &err), &err);
    or_die(ht_registry_add_type(registry, &encoder_type, &err), &err);
    or_die(ht_registry_add_node(registry, &node, &err), &err);
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    const guide_options options = guide_parse(argc, argv, 1000);
    for (int i = 0; i < 3; i++) {
        double seconds;
        int n_loads;
        out[i] = run(registry, (ht_engine)i, options.n, &n_loads, &seconds, &err);
        const bool right = ht_value_equal(out[0], out[i]) && n_loads == (i < 2 ? 1 : 0); /* workers load their own */
        if (!options.json)
            printf("%-12s %zu passages in %.3f s, loaded here %d time%s: %s\n", engines[i], options.n, seconds, n_loads,
                   n_loads == 1 ? "" : "s", right ? "as it must be" : "WRONG");
        good = good && right;
    }
    const guide_digest digest = digest_encoded(out[0]);
    if (options.json)
        printf("{\"program\": \"06_plain_struct\", \"rows\": %zu, \"same\": %s, \"digest\": %.17g}\n", options.n,
               good ? "true" : "false", digest.sum);
    for (int i = 0; i < 3; i++) ht_value_release(out[i]);
    ht_registry_free(registry);
    return good ? 0 : 1;
}
