/*
 * registry_int.h - the inside of a registry, for the files that fill and read it.
 */
#ifndef HTI_FLOW_REGISTRY_INT_H
#define HTI_FLOW_REGISTRY_INT_H

#include "engine/engine.h"
#include "fields.h"
#include "flow_int.h"
#include "value_int.h"

#include <houndstooth/cache.h>
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

/* What a worker made of a job, kept for the next piece of it. */
typedef struct hti_kept_job {
    ht_key key;
    uint64_t used; /* larger: later */
    ht_plan *plan; /* NULL: a class's job */
    ht_value job;  /* all of it, decoded */
} hti_kept_job;
enum { HTI_KEPT_JOBS = 16 };

struct ht_registry {
    hti_named classes, nodes, types;
    bool is_program, in_worker; /* workers are this program; this is one */
    hti_kept_job jobs[HTI_KEPT_JOBS];
    uint64_t n_served;
    ht_cache *cache;  /* the one that jobs named last, NULL: none */
    hti_mutex *serve; /* guards jobs and cache */
    hti_mutex *lock;  /* guards what follows */
    struct hti_worker_set {
        hti_workers *workers;
        size_t n;
    } * sets; /* [n_sets] of the processes engine, by how many there are */
    size_t n_sets, cap_sets;
    hti_interned *interned;
    size_t n_interned, cap_interned;
    char **plugins; /* [n_plugins] paths, owned */
    size_t n_plugins, cap_plugins;
};

#define HTI_WORKER_FLAG "--hound-worker"
enum { HTI_WORKER_FD = 3 };
HT_CHECKED ht_status hti_bytes_key(const void *data, size_t len, ht_key *out, ht_error *err);
/* gpu_slots.c: what one object holds. */
typedef struct hti_gpus {
    uint64_t devices; /* by bit */
    double share;     /* of each */
} hti_gpus;
HT_CHECKED ht_status hti_gpus_check(const char *class_name, double gpus, ht_error *err);
/* UNSUPPORTED: there are not so many; LIMIT: others hold them. */
HT_CHECKED ht_status hti_gpus_take(const char *class_name, double gpus, hti_gpus *out, ht_error *err);
void hti_gpus_give(hti_gpus *gpus);
int32_t hti_gpus_first(const hti_gpus *gpus); /* -1: none */
/* "CUDA_VISIBLE_DEVICES=..." for a child that has these alone. */
void hti_gpus_variable(const hti_gpus *gpus, hti_buffer *into);
/* traced.c: the making of an object, into the trace of the run that this thread works for. */
void hti_trace_load(const char *class_name, uint64_t start);
/* What ht_current_device says from here on; the value before. */
int32_t hti_device_enter(int32_t device);
/* remote.c: the workers of maps, and those of an instance in processes of its own. */
HT_CHECKED ht_status hti_registry_workers(ht_registry *registry, size_t n, hti_workers **out, ht_error *err);
/* each: the `env` of hti_workers_options. */
HT_CHECKED ht_status hti_registry_start(ht_registry *registry, size_t n, const char *const *each, hti_workers **out,
                                        ht_error *err);
/* instance.c: whether calls go to another process, and its workers with the job of such a call. */
bool hti_instance_is_away(const ht_instance *instance);
ht_registry *hti_instance_registry(const ht_instance *instance); /* NULL: none made it */
void hti_instance_set_registry(ht_instance *instance, ht_registry *registry);
HT_CHECKED ht_status hti_instance_workers(ht_instance *instance, hti_workers **out, hti_work *work, ht_error *err);
/* away.c: one call there. */
HT_CHECKED ht_status hti_target_call_away(const hti_target *target, size_t n, const ht_column *in, ht_value *const *out,
                                          ht_error *err);
/* serve.c: what a worker answers; `ud` is the registry. */
ht_status hti_serve(void *ud, ht_key key, const hti_body *job, const hti_body *data, hti_reply *reply, ht_error *err);
void hti_serve_end(ht_registry *registry);

/* NULL: none. */
const ht_face *hti_face(void);
/* failure.c: a failure among the fields of a reply, and out of one; HT_OK: it tells none. */
void hti_put_failure(hti_fields *f, ht_status status, const ht_error *why);
HT_CHECKED ht_status hti_take_failure(ht_value reply, ht_error *err);
/* Before the next repetition, `tries` of them are over: what the failure asks for, else the form's wait, doubled. */
uint64_t hti_retry_wait_ns(uint32_t wait_ms, uint32_t tries, const ht_error *why);
/* Fails with `what` "NAME" and the names there are. */
ht_status hti_registry_unknown(const hti_named *list, const char *what, const char *name, ht_error *err);

#endif
