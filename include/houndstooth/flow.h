/*
 * houndstooth/flow.h - nodes and classes written once, row by row; pipelines that wire them by name; a scheduler that
 * runs them lazily and in batches.
 *
 * A node is a function with named inputs and outputs. A class is a heavy object with methods: an instance is a spec
 * (class and arguments) until its first call in a worker loads it. Whatever has a batch form is called with many rows
 * at once, wherever the calls come from: items of a map, nested maps, or the middle of another node's body.
 *
 * Rounds (what decides who shares a batch; never time, never the number of threads): run every frame until it ends or
 * parks on a call; when none can run and no asynchronous call is outstanding, cut the parked calls of each callable
 * into groups of batch_size in frame order; all full groups are called, else those of the callable earliest in the
 * plan; wake the frames, admit more up to the window, and begin again. A group of one uses the row form if there is
 * one.
 */
#ifndef HOUNDSTOOTH_FLOW_H
#define HOUNDSTOOTH_FLOW_H

#include "cache.h"
#include "series.h"
#include "trace.h"
#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a program writes ---- */

/* What a call does when it fails after its retries. */
typedef enum ht_on_error {
    HT_ON_ERROR_RAISE, /* the run fails */
    HT_ON_ERROR_NULL,  /* its outputs become null */
    HT_ON_ERROR_SKIP,  /* the item leaves every output of the map that it belongs to; outside a map as RAISE */
} ht_on_error;

/* One row: in [n_inputs] borrowed, out [n_outputs] given as null, to be filled with references for the caller. */
typedef ht_status (*ht_row_fn)(void *self, const ht_value *in, ht_value *out, ht_error *err);

/* One input of a batch: rows [n], or the one value of all rows where constant. Borrowed. */
typedef struct ht_column {
    const ht_value *rows;
    bool constant;
} ht_column;
/* n rows: in [n_inputs]; out [n_outputs][n], given as null. On failure what was filled is released by the runtime. */
typedef ht_status (*ht_batch_fn)(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err);

/* One input of a batch as a whole column: series [n], or NULL and the one value of all rows. Borrowed. */
typedef struct ht_series_column {
    ht_series *series;
    ht_value constant;
} ht_series_column;
/* n rows as columns: in [n_inputs]; out [n_outputs], given as NULL, each to be set to a series of n rows. */
typedef ht_status (*ht_series_fn)(void *self, size_t n, const ht_series_column *in, ht_series **out, ht_error *err);

/*
 * One row that ends later, on any thread, by ht_complete or ht_complete_error, exactly once, unless start fails. A call
 * whose time is over, or whose run is cancelled, is given up and may end later all the same: its outputs are released
 * then. Its inputs are borrowed for the time of start only.
 */
typedef struct ht_completion ht_completion;
typedef ht_status (*ht_start_fn)(void *self, const ht_value *in, ht_completion *completion, ht_error *err);
/* Ends a started call with its outputs [n_outputs], whose references are taken. */
HT_API void ht_complete(ht_completion *completion, const ht_value *out);
HT_API void ht_complete_error(ht_completion *completion, ht_status status, const char *message);
HT_API void ht_complete_failure(ht_completion *completion, const ht_error *why); /* keeps the cause */

/*
 * One row whose body calls instances in its middle, by ht_await. A body that parks is run again from its start when the
 * answer is there; answers already known are given at once, so what stands before a call should be cheap and without
 * effect. The calls must come in the same order each time.
 */
typedef struct ht_body ht_body;
typedef ht_status (*ht_body_fn)(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err);
/*
 * Calls a method of the instance in `instance` with args [n_args], borrowed. *out is borrowed and lives as long as the
 * body. HT_PARKED: return it at once. A failure of the call arrives here and may be dealt with.
 */
HT_API HT_CHECKED ht_status ht_await(ht_body *body, ht_value instance, const char *method, const ht_value *args,
                                     size_t n_args, ht_value *out, ht_error *err);
/*
 * For bodies with a stack of their own, as other languages have. A body that sets its slot, NULL at first, is resumed
 * on the thread that set it, and `drop` of its forms ends what is in it where the run gives it up. ht_body_call is
 * ht_await for it: *out is the caller's. After HT_PARKED, when the body is called again, ht_body_answer gives what the
 * call came to.
 */
HT_API void **ht_body_slot(ht_body *body);
HT_API HT_CHECKED ht_status ht_body_call(ht_body *body, ht_value instance, const char *method, const ht_value *args,
                                         size_t n_args, ht_value *out, ht_error *err);
HT_API HT_CHECKED ht_status ht_body_answer(ht_body *body, ht_value *out, ht_error *err);

/*
 * Forms of one piece of work: any one of them suffices; start wins over batch or series, these over row where rows can
 * gather.
 */
typedef struct ht_forms {
    ht_row_fn row;
    ht_batch_fn batch;
    ht_start_fn start;
    ht_body_fn body;          /* nodes only */
    void (*drop)(void *slot); /* of a body that has one */
    ht_series_fn series;      /* a batch form over columns, without a copy where the rows are one; in place of batch */
    /*
     * Inputs that differ from row to row of a batch, by bit (bit 0: the first); 0 means the first only. Others are
     * equal.
     */
    uint64_t over;
    bool shared_constant; /* an input that all rows have in common comes as a constant, whatever `over` says */
    size_t batch_size;    /* most rows of one call; 0: no limit */
    /* Of a row form that is given whole columns: the rows in its first one; a call counts as a batch. NULL: one row. */
    size_t (*rows_of)(ht_value first);
    uint32_t max_retries;
    ht_on_error on_error;
    uint32_t retry_wait_ms; /* before the first repetition, doubled for each further one; 0: at once */
    uint32_t timeout_ms;    /* of one started call, or one call in another process; 0: none */
    ht_dtype returns;       /* of the rows, where they become a series; INFER: found out */
    /* Of a class's method: what its forms, these, are given as `self`, made of the object; NULL: the object itself. */
    void *(*self_for)(void *object, const struct ht_forms *forms);
} ht_forms;

/*
 * A method X is called row by row under its own name, and over whole columns as X_batch or batch_X, unless the class
 * has methods of these names: an argument that differs from row to row is then a list, a series or a tensor of one
 * dimension, and the result is a series if one of them is, else a list. Alone, awaited, or as a node.
 */
typedef struct ht_method {
    const char *name;
    size_t n_inputs;
    ht_forms forms; /* `self` is what the class's init made; one output */
} ht_method;

/* One named argument, for lists of what there is and for checking. */
typedef struct ht_parameter {
    const char *name;
    const char *type;      /* "string", "path", "int", "float", "bool", "list", "struct", "any" */
    const char *otherwise; /* JSON of the default; NULL: required */
    const char *help;      /* one line */
} ht_parameter;

/*
 * A class: `init` runs once for each live object, at the first call that needs it; its failure is kept and told again.
 */
typedef struct ht_class {
    uint32_t size;
    const char *name; /* of the type, as it travels: "mine.Encoder" */
    ht_status (*init)(void **self, ht_value args, ht_error *err);
    void (*fini)(void *self); /* NULL: nothing to do */
    const ht_method *methods; /* [n_methods] */
    size_t n_methods;
    uint32_t max_concurrency; /* live objects, each called by one thread at a time; 0: 1 */
    const char *version;      /* part of cache keys: change it when results change. NULL: results are never cached */
    const char *summary;      /* one line, NULL: none */
    const ht_parameter *parameters; /* [n_parameters] of the arguments, a struct: checked and completed by defaults */
    size_t n_parameters;            /* 0: any arguments */
    bool use_process;               /* objects live in processes of their own; needs ht_registry_instance */
    double gpus;                    /* that an object holds from its making on: a share of one, or a whole number */
} ht_class;

/* A spec: class and arguments (any value, usually a struct), nothing loaded. The class must outlive it. Counted. */
typedef struct ht_instance ht_instance;
HT_API HT_CHECKED ht_status ht_instance_new(const ht_class *cls, ht_value args, ht_instance **out, ht_error *err);
HT_API void ht_instance_retain(ht_instance *instance);
HT_API void ht_instance_release(ht_instance *instance);        /* the last one runs fini; NULL allowed */
HT_API ht_value ht_instance_args(const ht_instance *instance); /* borrowed */
/* The instance as a value, with a reference of its own; and back, borrowed, NULL if the value is none. */
HT_API HT_CHECKED ht_status ht_instance_value(ht_instance *instance, ht_value *out, ht_error *err);
HT_API ht_instance *ht_value_instance(ht_value value);
/* One row, now, on this thread; waits for a free object. By the row form, else a batch of one, else start and wait. */
HT_API HT_CHECKED ht_status ht_instance_call(ht_instance *instance, const char *method, const ht_value *args,
                                             size_t n_args, ht_value *out, ht_error *err);
/* n rows in one call of the batch form, in calls of batch_size; row by row if there is none. out [n]. */
HT_API HT_CHECKED ht_status ht_instance_call_batch(ht_instance *instance, const char *method, size_t n,
                                                   const ht_column *args, size_t n_args, ht_value *out, ht_error *err);
/* How a started call ended: `out` is the callee's from then on; message "" unless it failed. Must not block. */
typedef void (*ht_done_fn)(void *ud, ht_status status, ht_value out, const char *message);
/*
 * One row that ends later: `done` is told once, by a start form from the thread that ends it, by every other form
 * before this returns. On failure to start it is not called. The instance is kept until then; nothing is repeated.
 */
HT_API HT_CHECKED ht_status ht_instance_start(ht_instance *instance, const char *method, const ht_value *args,
                                              size_t n_args, ht_done_fn done, void *ud, ht_error *err);
/*
 * The first GPU that the object being made or called on this thread holds, numbered as this process sees them; -1:
 * none. A class with use_process sees its own alone (CUDA_VISIBLE_DEVICES is set for its processes).
 */
HT_API int32_t ht_current_device(void);
typedef struct ht_instance_stats {
    uint64_t objects, rows_alone, batches, batch_rows, starts; /* objects made; calls by form */
} ht_instance_stats;
HT_API ht_instance_stats ht_instance_get_stats(ht_instance *instance);

/* ---- pipelines ---- */

typedef struct ht_input {
    const char *name;
    const ht_value *otherwise; /* the default; NULL: required */
} ht_input;

typedef struct ht_node_desc {
    uint32_t size;
    const char *name;
    const ht_input *inputs; /* [n_inputs] */
    size_t n_inputs;
    const char *const *outputs; /* [n_outputs], at least one */
    size_t n_outputs;
    void *self; /* handed to the forms; must outlive the pipeline */
    ht_forms forms;
    const char *type;    /* its name in a registry; NULL: `name` */
    const char *version; /* part of cache keys: change it when results change. NULL: results are never cached */
    const char *summary; /* one line, NULL: none */
    ht_value code;       /* what the face makes it of in another process (ht_face); null: it is named by its type */
} ht_node_desc;

typedef enum ht_map_mode {
    HT_MAP_ZIP,     /* item i takes element i of every list; lengths must agree */
    HT_MAP_PRODUCT, /* every combination, the last listed varies fastest */
} ht_map_mode;

/* A pair of names {from, to}. */
typedef struct ht_rename {
    const char *from, *to;
} ht_rename;

typedef enum ht_engine {
    HT_ENGINE_SEQUENTIAL,
    HT_ENGINE_THREADS,
    HT_ENGINE_PROCESSES, /* outermost maps are cut into slices that run in worker processes; the rest runs here */
} ht_engine;

/*
 * Settings of one nested pipeline that differ from those of the run around it. Its rows then gather among themselves
 * alone. Not part of a plan's JSON; in worker processes the run's own settings hold.
 */
typedef struct ht_nested_run {
    uint32_t size;
    bool has_engine;  /* false: engine and n_workers are the run's */
    ht_engine engine; /* processes: with the run's registry */
    size_t n_workers; /* as in ht_run_options */
    bool has_cache;   /* false: the run's */
    ht_cache *cache;  /* NULL: none; must outlive the pipelines that it is in */
} ht_nested_run;

/* How a pipeline becomes a node of another. Outer names on the outside: map_over too. */
typedef struct ht_as_node {
    uint32_t size;
    const char *name;        /* NULL: the inner pipeline's */
    const ht_rename *inputs; /* [n_inputs] {outer, inner} */
    size_t n_inputs;
    const ht_rename *outputs; /* [n_outputs] {inner, outer}; none: every output under its own name */
    size_t n_outputs;
    const char *const *map_over; /* [n_map_over]; none: run once */
    size_t n_map_over;
    ht_map_mode map_mode;
    const ht_nested_run *own; /* copied; NULL: everything is the run's */
} ht_as_node;

typedef struct ht_pipeline ht_pipeline;
/* An empty pipeline; name NULL: "pipeline". */
HT_API HT_CHECKED ht_status ht_pipeline_new(const char *name, ht_pipeline **out, ht_error *err);
HT_API void ht_pipeline_release(ht_pipeline *pipeline); /* NULL allowed */
/* Descriptions are copied. EXISTS: an output that another node has already, both named. */
HT_API HT_CHECKED ht_status ht_pipeline_add_node(ht_pipeline *pipeline, const ht_node_desc *desc, ht_error *err);
/* A method as a node: inputs [the method's n_inputs], one output. */
HT_API HT_CHECKED ht_status ht_pipeline_add_method(ht_pipeline *pipeline, const char *name, ht_instance *instance,
                                                   const char *method, const ht_input *inputs, const char *output,
                                                   ht_error *err);
/*
 * Keeps a reference to `inner` as it is now; later changes of it are not seen. NOT_FOUND names a mapping's wrong name.
 */
HT_API HT_CHECKED ht_status ht_pipeline_add_pipeline(ht_pipeline *pipeline, const ht_pipeline *inner,
                                                     const ht_as_node *as_node, ht_error *err);
/* Gives an input a value, which a run's own input overrides; NOT_FOUND if nothing takes it. */
HT_API HT_CHECKED ht_status ht_pipeline_bind(ht_pipeline *pipeline, const char *input, ht_value value, ht_error *err);
/* Forgets it; an input that was not bound is no error. */
HT_API void ht_pipeline_unbind(ht_pipeline *pipeline, const char *input);
/*
 * What it is, without running it: {name, nodes, inputs, outputs}. nodes and outputs: names in the order of a run of all
 * of it. inputs, by name: {name, required, bound, default}; the last two only where there is such a value. Inputs that
 * a nested pipeline binds itself are not among them. EXISTS, INVALID: it cannot be wired. *out is owned by the caller.
 */
HT_API HT_CHECKED ht_status ht_pipeline_inspect(const ht_pipeline *pipeline, ht_value *out, ht_error *err);

/* ---- plans ---- */

/*
 * What would run: a pure function of pipeline, requested outputs and given inputs. Steps in topological order, ready
 * ones by name; only what the requested outputs need. Immutable, any thread.
 */
typedef struct ht_plan ht_plan;
/* outputs [n_outputs]; none: all. given [n_given]: names of inputs that the run will bring. All that misses at once. */
HT_API HT_CHECKED ht_status ht_plan_new(const ht_pipeline *pipeline, const char *const *outputs, size_t n_outputs,
                                        const char *const *given, size_t n_given, ht_plan **out, ht_error *err);
HT_API void ht_plan_release(ht_plan *plan);
typedef enum ht_plan_format { HT_PLAN_TEXT, HT_PLAN_JSON, HT_PLAN_MERMAID, HT_PLAN_DOT } ht_plan_format;
HT_API HT_CHECKED ht_status ht_plan_print(const ht_plan *plan, ht_plan_format format, ht_writer *writer, ht_error *err);
/*
 * A plan printed as JSON, back (docs/formats/plans.md). Node types and classes come from the registry, NOT_FOUND names
 * what it lacks; PARSE where the text is no plan; UNSUPPORTED where it held an object without a codec.
 */
HT_API HT_CHECKED ht_status ht_plan_load(ht_text json, ht_registry *registry, ht_plan **out, ht_error *err);

/* ---- running ---- */

typedef enum ht_event_kind {
    HT_EVENT_NODE_START,
    HT_EVENT_NODE_END,
    HT_EVENT_NODE_ERROR,
    HT_EVENT_MAP_START, /* n: items */
    HT_EVENT_MAP_END,
    HT_EVENT_BATCH,       /* n: rows of one call of a batch form */
    HT_EVENT_NODE_CACHED, /* instead of start and end: its outputs came from the cache */
    HT_EVENT_WARNING,     /* node: what is wrong, in words; told once a run */
    HT_EVENT_ITEM_START,  /* only with item_events: of a map, and of a whole pipeline that is mapped (node: its name) */
    HT_EVENT_ITEM_END,
} ht_event_kind;
typedef struct ht_event {
    ht_event_kind kind;
    const char *node; /* its name, or "Class.method" of a batch */
    uint32_t depth;   /* 0: the outermost pipeline */
    uint64_t item;    /* index in the innermost map, 0 outside */
    uint64_t n;
    /* The way through a pipeline that it belongs to, and the one that opened that; from 1 on, 0: none. */
    uint64_t frame, parent;
    const ht_error *why; /* of NODE_ERROR, where it is known; else NULL */
    uint64_t time_ns;    /* when it happened, by the run's clock; of another process: by that machine's */
    const void *inside;  /* the library's: what ht_event_value reads */
} ht_event;
/* Inputs of a node that starts, outputs of one that ends: the value, borrowed, and its name; false behind the last. */
HT_API bool ht_event_value(const ht_event *event, size_t at, const char **name, ht_value *out);

/* Time of a run, for tests: both functions or none. */
typedef struct ht_clock {
    void *ud;
    uint64_t (*now)(void *ud); /* nanoseconds, never going back */
    /* The run can do nothing before `until` (UINT64_MAX: no time is awaited) unless a started call ends meanwhile. */
    void (*wait)(void *ud, uint64_t until);
} ht_clock;

/* What a map does with an item that fails. */
typedef enum ht_errors {
    HT_ERRORS_RAISE,   /* the run fails */
    HT_ERRORS_COLLECT, /* a failure value (ht_value_failure) stands in the item's place, the others go on */
} ht_errors;
typedef struct ht_failure {
    ht_status status;
    uint64_t item; /* index in the outermost map */
    const char *node, *message;
    uint64_t cause; /* as in ht_error; 0 of one that came from another process */
} ht_failure;
/* NULL unless the value is a failure. Borrowed. */
HT_API const ht_failure *ht_value_failure(ht_value value);

/* A slice of a map on its way to another place, where ht_serve makes the reply; borrowed until `done`. */
typedef struct ht_slice {
    ht_key key;
    const void *job; /* [job_len] what all slices of a map share; `key` is its digest */
    size_t job_len;
    const void *data; /* [data_len] */
    size_t data_len;
    /* To be called once, from any thread: reply [len] borrowed, or with another status than HT_OK a message. */
    void (*done)(void *ud, ht_status status, const void *reply, size_t len, const char *message);
    void *done_ud;
} ht_slice;
/* Who takes slices instead of worker processes of this machine: a cluster, say. */
typedef struct ht_elsewhere {
    void *ud;
    size_t n_workers;       /* a map is cut into four slices for each, two of which are under way */
    ht_references *objects; /* that slices and replies are encoded with; NULL: none */
    ht_status (*submit)(void *ud, const ht_slice *slice, ht_error *err);
    /* Called when all slices of a map are submitted, for what runs them in one go; NULL: they run as they come. */
    ht_status (*flush)(void *ud, ht_error *err);
} ht_elsewhere;
/*
 * The reply to a slice, into `reply`; what was in it stays in front. Any thread. objects: as of the sender, NULL: none.
 */
HT_API HT_CHECKED ht_status ht_serve(ht_registry *registry, const ht_slice *slice, ht_references *objects,
                                     ht_writer *reply, ht_error *err);

typedef struct ht_run_options {
    uint32_t size;
    const char *const *outputs; /* [n_outputs] asked for; none: all */
    size_t n_outputs;
    ht_engine engine;
    ht_pool *pool;         /* of the threads engine; NULL: one for this run with n_workers threads */
    size_t n_workers;      /* threads or processes; 0: one a CPU */
    ht_registry *registry; /* of the processes engine: names what travels, keeps the workers */
    size_t window;         /* leaf frames in flight; 0: 1024 */
    size_t batch_max;      /* no batch form is given more rows; 0: no limit, 1: every row alone */
    const ht_monitor *monitor;
    void *ud;
    void (*event)(void *ud, const ht_event *event); /* called by one thread at a time; NULL: none */
    const char *const *map_over;                    /* ht_pipeline_map only, as in ht_as_node */
    size_t n_map_over;
    ht_map_mode map_mode;
    ht_errors errors; /* ht_pipeline_map only */
    /*
     * ht_pipeline_map only: each item's struct (or failure) in input order as soon as it and all before it are there,
     * by one thread at a time; a failure of it ends the run. *out is then null and no more than a window is kept.
     */
    ht_status (*result)(void *ud, uint64_t item, ht_value value, ht_error *err);
    void *result_ud;       /* given to `result`; NULL: ud */
    uint64_t timeout_ms;   /* of the whole run: TIMEOUT, checked between calls; 0: none */
    const ht_clock *clock; /* NULL: the machine's */
    ht_trace *trace;       /* gets what the run does and when; NULL: none */
    ht_cache *cache;       /* of nodes and classes with a version; NULL: none. In processes only one on disk counts */
    const ht_elsewhere *elsewhere; /* of the processes engine: its workers; NULL: processes of this machine */
    bool item_events;              /* items of maps are told too */
    bool plain;                    /* nodes with a body and a row form run by the row form: nothing awaits */
    /* How the results of a nested map become one value; takes the items, given `ud`. NULL: a list. */
    ht_status (*gather)(void *ud, ht_value *items, size_t n, ht_value *out, ht_error *err);
} ht_run_options;

/*
 * Runs once. inputs: a struct. *out: a struct of the outputs asked for, in the order in which their nodes stand in the
 * plan. A failure names the node and the item. options NULL: all defaults.
 */
HT_API HT_CHECKED ht_status ht_pipeline_run(const ht_pipeline *pipeline, ht_value inputs, const ht_run_options *options,
                                            ht_value *out, ht_error *err);
/* The same for a plan, made or loaded; its outputs are the plan's, and inputs that it maps are mapped. */
HT_API HT_CHECKED ht_status ht_plan_run(const ht_plan *plan, ht_value inputs, const ht_run_options *options,
                                        ht_value *out, ht_error *err);
/*
 * What a run of the plan with these inputs would find in the cache, without a call: a list with a struct for each step
 * that calls something, in order. node: its name, behind those of the pipelines around it ("outer/inner"). hits, misses
 * and unknown: rows; unknown ones depend on a result that is not there, with at_least true also on how many there are.
 * cached: false where a version or a digest is lacking. changed: a struct {part: misses that differ there from the
 * nearest entry that the node has put before}, parts "(code)", "(arguments)" of its class, or an input's name;
 * never_put: misses of a node that has put nothing. registry: as in a run, NULL allowed.
 * The nearest entry is the one with the fewest different parts among the last 4,096 used.
 */
HT_API HT_CHECKED ht_status ht_plan_explain_cache(const ht_plan *plan, ht_value inputs, ht_cache *cache,
                                                  ht_registry *registry, ht_value *out, ht_error *err);
/* Runs for every item; *out: a list of such structs in input order. Inputs that are not mapped are the same for all. */
HT_API HT_CHECKED ht_status ht_pipeline_map(const ht_pipeline *pipeline, ht_value inputs, const ht_run_options *options,
                                            ht_value *out, ht_error *err);

#ifdef __cplusplus
}
#endif

#endif
