/*
 * instance.c - classes: a spec that becomes live objects at the first call that needs one.
 *
 * At most max_concurrency objects live; a call takes one for itself and gives it back, and waits while all are taken.
 * Making happens outside the lock with its place reserved, so that eight first calls of a class with one object make
 * one and wait for it. A failed making is kept: every later call gets the same error at once. Thread rule: any thread.
 */
#include "registry_int.h"
#include "value_int.h"

#include <stdio.h>
#include <string.h>

struct ht_instance {
    int n_refs;
    const ht_class *cls;
    ht_value args;
    hti_mutex *lock; /* guards what follows */
    hti_cond *changed;
    void **free; /* [n_free] objects that nobody uses */
    size_t n_free, n_made, limit;
    struct holding {
        void *self; /* of a live object */
        hti_gpus gpus;
        int32_t before; /* the device of what called it */
        bool is_live;
    } * held;              /* [limit] of a class with GPUs, else NULL; of one in processes, what its children hold */
    ht_error failure;      /* of the making; HT_OK: none */
    ht_registry *registry; /* that made it, NULL: none */
    hti_workers *workers;  /* of a class with processes of its own, from the first call on */
    ht_key key;            /* of its job there */
    ht_writer *job;
    ht_instance_stats stats;
};

static void free_instance(ht_instance *instance)
{
    for (size_t i = 0; i < instance->n_free; i++)
        if (instance->cls->fini) instance->cls->fini(instance->free[i]);
    hti_workers_free(instance->workers);
    for (size_t i = 0; instance->held && i < instance->limit; i++) hti_gpus_give(&instance->held[i].gpus);
    hti_free(instance->held);
    ht_writer_free(instance->job);
    ht_value_release(instance->args);
    hti_cond_free(instance->changed);
    hti_mutex_free(instance->lock);
    hti_free(instance->free);
    hti_free(instance);
}

ht_status hti_class_check(const ht_class *cls, ht_error *err)
{
    if (!cls->name || !*cls->name || !cls->init) return HT_FAIL(err, INVALID, "a class needs a name and init");
    HT_TRY(hti_gpus_check(cls->name, cls->gpus, err));
    for (size_t i = 0; i < cls->n_methods; i++) {
        const ht_method *method = &cls->methods[i];
        const ht_forms *forms = &method->forms;
        if (!method->name || !*method->name)
            return HT_FAIL(err, INVALID, "class '%s': a method without a name", cls->name);
        if (!forms->row && !hti_gathers(forms) && !forms->start)
            return HT_FAIL(err, INVALID, "method '%s.%s' has no function: give row, batch, series or start", cls->name,
                           method->name);
        if (forms->batch && forms->series)
            return HT_FAIL(err, INVALID, "method '%s.%s' has two batch forms: give batch or series", cls->name,
                           method->name);
        if (strlen(method->name) > HTI_METHOD_NAME - 8)
            return HT_FAIL(err, LIMIT, "the name of method '%s.%.40s...' is too long", cls->name, method->name);
        if (forms->body) return HT_FAIL(err, INVALID, "method '%s.%s': only nodes await", cls->name, method->name);
        if (method->n_inputs > HTI_MAX_INPUTS || (hti_gathers(forms) && method->n_inputs == 0))
            return HT_FAIL(err, INVALID, "method '%s.%s' has %zu inputs", cls->name, method->name, method->n_inputs);
    }
    return HT_OK;
}

ht_status ht_instance_new(const ht_class *cls, ht_value args, ht_instance **out, ht_error *err)
{
    *out = NULL;
    HT_TRY(hti_class_check(cls, err));
    ht_instance *instance = HTI_NEW(ht_instance);
    if (!instance) return HTI_NO_MEMORY(err);
    instance->n_refs = 1;
    instance->cls = cls;
    instance->limit = HTI_MAX(cls->max_concurrency, 1);
    instance->free = HTI_NEW_ARRAY(void *, instance->limit);
    if (cls->gpus > 0) instance->held = hti_alloc_zero(hti_mul(instance->limit, sizeof *instance->held));
    instance->lock = hti_mutex_new();
    instance->changed = hti_cond_new();
    if (!instance->free || !instance->lock || !instance->changed || (cls->gpus > 0 && !instance->held)) {
        free_instance(instance);
        return HTI_NO_MEMORY(err);
    }
    const ht_status status = hti_class_complete(cls, args, &instance->args, err);
    if (status == HT_OK)
        *out = instance;
    else
        free_instance(instance);
    return status;
}

void ht_instance_retain(ht_instance *instance) { (void)__atomic_add_fetch(&instance->n_refs, 1, __ATOMIC_RELAXED); }

void ht_instance_release(ht_instance *instance)
{
    if (instance && __atomic_sub_fetch(&instance->n_refs, 1, __ATOMIC_ACQ_REL) == 0) free_instance(instance);
}

size_t hti_instance_limit(const ht_instance *instance) { return instance->limit; }
const ht_class *hti_instance_class(const ht_instance *instance) { return instance->cls; }
ht_value ht_instance_args(const ht_instance *instance) { return instance->args; }

void hti_instance_set_registry(ht_instance *instance, ht_registry *registry) { instance->registry = registry; }
ht_registry *hti_instance_registry(const ht_instance *instance) { return instance->registry; }
bool hti_instance_is_away(const ht_instance *instance)
{
    return instance->cls->use_process && !(instance->registry && instance->registry->in_worker);
}

/* ---- as a value ---- */

static void release_object(void *object) { ht_instance_release(object); }

static void describe_object(const void *object, char *text, size_t cap)
{
    const ht_instance *instance = object;
    hti_buffer buffer;
    hti_buffer_init(&buffer);
    char args[200];
    ht_value_describe(instance->args, args, sizeof args);
    hti_buffer_printf(&buffer, "%s(%s)", instance->cls->name, args);
    const ht_text view = hti_buffer_view(&buffer);
    const size_t len = cap ? HTI_MIN(view.len, cap - 1) : 0;
    if (cap) {
        memcpy(text, view.data, len);
        text[len] = '\0';
    }
    hti_buffer_deinit(&buffer);
}

/* Class, version and arguments: what a result of it depends on. */
static ht_status digest_object(const void *object, ht_digest *digest, ht_error *err)
{
    const ht_instance *instance = object;
    const ht_class *cls = instance->cls;
    ht_key key;
    if (!cls->version)
        return HT_FAIL(err, UNSUPPORTED, "class '%s' has no version, so it cannot be part of a cache key", cls->name);
    HT_TRY(ht_value_digest(instance->args, &key, err));
    ht_digest_add(digest, cls->name, strlen(cls->name) + 1);
    ht_digest_add(digest, cls->version, strlen(cls->version) + 1);
    ht_digest_add(digest, &key, sizeof key);
    return HT_OK;
}

/* The spec as it travels: a list of the class's name and the arguments (docs/formats/values.md). */
static ht_status encode_object(const void *object, ht_writer *writer, ht_error *err)
{
    const ht_instance *instance = object;
    ht_value pair[2] = {ht_value_null(), instance->args}, spec;
    HT_TRY(ht_value_string(hti_text_of(instance->cls->name), &pair[0], err));
    ht_status status = ht_value_list(pair, 2, &spec, err);
    ht_value_release(pair[0]);
    if (status != HT_OK) return status;
    status = ht_value_encode(spec, writer, err);
    ht_value_release(spec);
    return status;
}

static ht_status decode_object(const void *data, size_t len, ht_registry *registry, void **object, ht_error *err)
{
    ht_value spec;
    size_t n;
    ht_instance *instance = NULL;
    HT_TRY(ht_value_decode(data, len, registry, &spec, err));
    const ht_value *pair = ht_value_items(spec, &n);
    ht_status status = HT_OK;
    if (spec.kind != HT_KIND_LIST || n != 2 || pair[0].kind != HT_KIND_STRING)
        status = HT_FAIL(err, PARSE, "an instance that is not a list of class and arguments");
    else
        status = ht_registry_instance(registry, ht_value_text(pair[0]).data, pair[1], &instance, err);
    ht_value_release(spec);
    *object = instance;
    return status;
}

static const ht_type instance_type = {
    HT_DESC(ht_type),        .name = "houndstooth.Instance", .release = release_object,  .digest = digest_object,
    .encode = encode_object, .decode = decode_object,        .describe = describe_object};
const ht_type *hti_instance_type(void) { return &instance_type; }

ht_status ht_instance_value(ht_instance *instance, ht_value *out, ht_error *err)
{
    ht_instance_retain(instance);
    return ht_value_opaque(&instance_type, instance, out, err);
}

ht_instance *ht_value_instance(ht_value value) { return ht_value_object(value, &instance_type); }

/* ---- live objects ---- */

/* The record of a live object, or a free one for `self` NULL; NULL: the class has no GPUs. */
static struct holding *holding_of(const ht_instance *instance, bool is_live, const void *self)
{
    for (size_t i = 0; instance->held && i < instance->limit; i++)
        if (instance->held[i].is_live == is_live && (!is_live || instance->held[i].self == self))
            return &instance->held[i];
    return NULL;
}

/* With the lock held: makes one object in the place that the caller reserved in n_made. */
static ht_status make_object(ht_instance *instance, struct holding *holding, void **self, ht_error *err)
{
    ht_error why = {0};
    void *made = NULL;
    hti_mutex_unlock(instance->lock);
    const int32_t before = hti_device_enter(holding ? hti_gpus_first(&holding->gpus) : ht_current_device());
    const uint64_t start = hti_clock_ns();
    const ht_status status = instance->cls->init(&made, instance->args, &why);
    hti_trace_load(instance->cls->name, start);
    (void)hti_device_enter(before);
    hti_mutex_lock(instance->lock);
    if (status == HT_OK) {
        instance->stats.objects++;
        if (holding) holding->self = made;
        *self = made;
        return HT_OK;
    }
    if (holding) {
        hti_gpus_give(&holding->gpus);
        holding->is_live = false;
    }
    instance->n_made--;
    (void)hti_fail_as(&instance->failure, status, &why);
    (void)hti_fail_context(&instance->failure, status, "class '%s' cannot be initialised", instance->cls->name);
    hti_cond_broadcast(instance->changed);
    if (err) *err = instance->failure;
    return status;
}

/* With the lock held: GPUs for one more object. Where there are too few, the others are waited for, if any. */
static ht_status reserve_gpus(ht_instance *instance, struct holding **out, bool *wait, ht_error *err)
{
    hti_gpus gpus;
    *out = NULL;
    *wait = false;
    if (!instance->held) return HT_OK;
    const ht_status status = hti_gpus_take(instance->cls->name, instance->cls->gpus, &gpus, err);
    *wait = status == HT_LIMIT && instance->n_made > 0;
    if (status != HT_OK) return *wait ? HT_OK : status;
    *out = holding_of(instance, false, NULL);
    HT_ASSERT(*out);
    **out = (struct holding){.gpus = gpus, .is_live = true};
    return HT_OK;
}

/* With the lock held: an object that is free, or a place for a new one (*self NULL). */
static ht_status find_place(ht_instance *instance, void **self, struct holding **holding, bool *made, ht_error *err)
{
    for (;;) {
        bool wait = instance->n_made == instance->limit;
        *made = instance->n_free > 0;
        if (instance->failure.status != HT_OK) {
            if (err) *err = instance->failure;
            return instance->failure.status;
        }
        if (*made) {
            *self = instance->free[--instance->n_free];
            return HT_OK;
        }
        if (!wait) HT_TRY(reserve_gpus(instance, holding, &wait, err));
        if (!wait) {
            instance->n_made++;
            return HT_OK;
        }
        hti_cond_wait(instance->changed, instance->lock);
    }
}

ht_status hti_instance_take(ht_instance *instance, void **self, ht_error *err)
{
    struct holding *holding = NULL;
    bool made;
    *self = NULL;
    hti_mutex_lock(instance->lock);
    ht_status status = find_place(instance, self, &holding, &made, err);
    if (status == HT_OK && !made) status = make_object(instance, holding, self, err);
    if (status == HT_OK && instance->held) {
        holding = holding_of(instance, true, *self);
        if (holding) holding->before = hti_device_enter(hti_gpus_first(&holding->gpus));
    }
    hti_mutex_unlock(instance->lock);
    return status;
}

void hti_instance_give(ht_instance *instance, void *self)
{
    hti_mutex_lock(instance->lock);
    const struct holding *holding = holding_of(instance, true, self);
    if (holding) (void)hti_device_enter(holding->before);
    instance->free[instance->n_free++] = self;
    hti_cond_signal(instance->changed);
    hti_mutex_unlock(instance->lock);
}

/* ---- processes of its own ---- */

/* With the lock held: as many children as there are GPUs for, each with its own; without GPUs an empty list. */
static ht_status start_children(ht_instance *instance, ht_error *err)
{
    hti_arena arena;
    ht_status status = HT_OK;
    size_t n = 0;
    hti_arena_init(&arena);
    const char **each = HTI_ARENA_ARRAY(&arena, const char *, instance->limit + 1);
    if (!each) status = HTI_NO_MEMORY(err);
    for (; status == HT_OK && n < instance->limit; n++) {
        hti_gpus gpus = {.share = 0};
        hti_buffer text;
        if (instance->held) {
            status = hti_gpus_take(instance->cls->name, instance->cls->gpus, &gpus, err);
            if (status != HT_OK) break;
            instance->held[n].gpus = gpus;
        }
        hti_buffer_init(&text);
        hti_gpus_variable(&gpus, &text);
        status = hti_buffer_status(&text, err);
        each[n] = status == HT_OK ? hti_arena_text(&arena, hti_buffer_view(&text)) : NULL;
        hti_buffer_deinit(&text);
        if (status == HT_OK && !each[n]) status = HTI_NO_MEMORY(err);
    }
    if (status == HT_LIMIT && n > 0) status = HT_OK; /* fewer, then */
    if (each) each[n] = NULL;
    if (status == HT_OK) status = hti_registry_start(instance->registry, n, each, &instance->workers, err);
    for (size_t i = 0; status != HT_OK && instance->held && i < instance->limit; i++)
        hti_gpus_give(&instance->held[i].gpus);
    hti_arena_deinit(&arena);
    return status;
}

/* With the lock held: the job {instance} and the children that know it. */
static ht_status start_away(ht_instance *instance, ht_error *err)
{
    ht_value value, job;
    size_t len;
    static const char *const names[] = {"instance"};
    if (!instance->registry)
        return HT_FAIL(err, UNSUPPORTED, "class '%s' runs in processes: make its instances with ht_registry_instance",
                       instance->cls->name);
    if (!instance->job) {
        HT_TRY(ht_writer_new(&instance->job, err));
        HT_TRY(ht_instance_value(instance, &value, err));
        ht_status status = ht_value_struct(names, &value, 1, &job, err);
        ht_value_release(value);
        if (status != HT_OK) return status;
        status = hti_value_encode_whole(job, instance->job, err);
        ht_value_release(job);
        if (status != HT_OK) {
            ht_writer_clear(instance->job);
            return status;
        }
    }
    const void *data = ht_writer_data(instance->job, &len);
    HT_TRY(hti_bytes_key(data, len, &instance->key, err));
    return start_children(instance, err);
}

ht_status hti_instance_workers(ht_instance *instance, hti_workers **out, hti_work *work, ht_error *err)
{
    hti_mutex_lock(instance->lock);
    const ht_status status = instance->workers ? HT_OK : start_away(instance, err);
    hti_mutex_unlock(instance->lock);
    if (status != HT_OK) return status;
    *out = instance->workers;
    work->key = instance->key;
    work->job = ht_writer_data(instance->job, &work->job_len);
    return HT_OK;
}

void hti_instance_count(ht_instance *instance, ht_instance_stats added)
{
    hti_mutex_lock(instance->lock);
    instance->stats.rows_alone += added.rows_alone;
    instance->stats.batches += added.batches;
    instance->stats.batch_rows += added.batch_rows;
    instance->stats.starts += added.starts;
    hti_mutex_unlock(instance->lock);
}

ht_instance_stats ht_instance_get_stats(ht_instance *instance)
{
    hti_mutex_lock(instance->lock);
    const ht_instance_stats stats = instance->stats;
    hti_mutex_unlock(instance->lock);
    return stats;
}

void hti_method_name(const char *method, bool whole, char into[HTI_METHOD_NAME])
{
    (void)snprintf(into, HTI_METHOD_NAME, "%s%s", method, whole ? "_batch" : "");
}

/* Whether `name` is X_batch or batch_X of the method X. */
static bool is_batch_name(const char *method, const char *name)
{
    static const char word[] = "batch";
    const size_t len = strlen(method), lead = sizeof word - 1;
    if (!strncmp(name, method, len) && name[len] == '_') return !strcmp(name + len + 1, word);
    return !strncmp(name, word, lead) && name[lead] == '_' && !strcmp(name + lead + 1, method);
}

ht_status hti_instance_method(const ht_instance *instance, const char *name, hti_chosen *out, ht_error *err)
{
    const ht_class *cls = instance->cls;
    hti_buffer what;
    for (size_t i = 0; i < cls->n_methods; i++)
        if (!strcmp(cls->methods[i].name, name)) {
            *out = (hti_chosen){&cls->methods[i], false};
            return HT_OK;
        }
    for (size_t i = 0; i < cls->n_methods; i++)
        if (is_batch_name(cls->methods[i].name, name) && cls->methods[i].n_inputs > 0) {
            *out = (hti_chosen){&cls->methods[i], true};
            return HT_OK;
        }
    hti_buffer_init(&what);
    for (size_t i = 0; i < cls->n_methods; i++) hti_buffer_printf(&what, "%s%s", i ? ", " : "", cls->methods[i].name);
    const ht_status status = HT_FAIL(err, NOT_FOUND, "class '%s' has no method '%s'; there is %s", cls->name, name,
                                     cls->n_methods ? hti_buffer_view(&what).data : "none");
    hti_buffer_deinit(&what);
    return status;
}

hti_target hti_target_of_method(ht_instance *instance, hti_chosen chosen)
{
    const ht_method *method = chosen.method;
    return (hti_target){.forms = &method->forms,
                        .instance = instance,
                        .class_name = instance->cls->name,
                        .name = method->name,
                        .n_inputs = method->n_inputs,
                        .n_outputs = 1,
                        .whole = chosen.whole};
}
