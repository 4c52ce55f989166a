/*
 * flow_int.h - the inside of the runtime: nodes, plans, frames, calls.
 *
 * A pipeline is a list of nodes; a plan is what a run needs of it, with every name resolved to a place. While it runs,
 * a frame is one item on its way through a plan. Values that are the same for all items of a map (constants, inputs
 * that are not mapped) stand once, in the open map; a frame holds only what is its own.
 */
#ifndef HTI_FLOW_FLOW_INT_H
#define HTI_FLOW_FLOW_INT_H

#include "base/base.h"
#include "flow.h"
#include "os/os.h"

#include <string.h>

enum { HTI_MAX_NESTING = 64, HTI_WINDOW = 1024 };

static inline ht_text hti_text_of(const char *text) { return (ht_text){text, strlen(text)}; }

/* ---- nodes ---- */

typedef struct hti_port {
    const char *name;
    bool has_default;
    ht_value otherwise; /* owned */
} hti_port;

typedef enum hti_node_kind { HTI_NODE_FUNCTION, HTI_NODE_METHOD, HTI_NODE_PIPELINE } hti_node_kind;

/* Immutable after its making, shared by pipelines and plans. */
typedef struct hti_node {
    int n_refs;
    hti_node_kind kind;
    hti_arena arena; /* names and arrays */
    const char *name;
    const char *type, *version; /* of a function; a method has its class's. version NULL: never cached */
    const char *summary;        /* of a function; NULL: none */
    ht_value code;              /* of a function of the face's, owned */
    hti_port *inputs;           /* [n_inputs] */
    size_t n_inputs;
    const char **outputs; /* [n_outputs] */
    size_t n_outputs;
    ht_forms forms; /* of a function; of a method, its class's */
    void *self;
    ht_instance *instance; /* of a method, owned */
    hti_chosen chosen;
    ht_pipeline *inner;                         /* of a pipeline, owned, changed by nobody */
    const char **inner_inputs, **inner_outputs; /* the inner name of each input and output */
    uint32_t *map_over;                         /* [n_map_over] inputs, in the order given */
    size_t n_map_over;
    ht_map_mode map_mode;
    bool has_own; /* settings of a nested run */
    ht_nested_run own;
} hti_node;

void hti_node_retain(hti_node *node);
void hti_node_release(hti_node *node);
/* A node with room for its names, NULL if memory is out; then its ports, whose names are copied. */
hti_node *hti_node_new(hti_node_kind kind, const char *name, size_t n_inputs, size_t n_outputs);
HT_CHECKED ht_status hti_node_add_input(hti_node *node, const char *name, const ht_value *otherwise, ht_error *err);
HT_CHECKED ht_status hti_node_add_output(hti_node *node, const char *name, ht_error *err);

struct ht_pipeline {
    int n_refs;
    char *name;
    hti_node **nodes; /* [n_nodes], owned references */
    size_t n_nodes, cap_nodes;
    struct hti_binding {
        char *name;
        ht_value value;
    } * bound; /* [n_bound] */
    size_t n_bound, cap_bound;
};

void hti_pipeline_retain(ht_pipeline *pipeline);
/* The value bound to an input, NULL if none. */
const ht_value *hti_pipeline_bound(const ht_pipeline *pipeline, const char *input);
/* The default of an input where every node that takes it has one, the first one's; else NULL. */
const ht_value *hti_pipeline_default(const ht_pipeline *pipeline, const char *input);

/* ---- graph: names of one pipeline resolved ---- */

/* What of a pipeline wants what: nodes by name, their order, its free inputs. Lives in an arena. */
typedef struct hti_graph {
    const ht_pipeline *pipeline;
    uint32_t *order;         /* [n_nodes] topological, ready ones by name */
    uint32_t *first_output;  /* [n_nodes + 1] number of a node's first output */
    uint32_t **from;         /* [n_nodes][n_inputs] output number that feeds an input, or UINT32_MAX */
    const char **root_names; /* [n_roots] inputs that no node makes, by name */
    size_t n_roots;
    hti_map outputs; /* name -> output number */
} hti_graph;
HT_CHECKED ht_status hti_graph_make(const ht_pipeline *pipeline, hti_arena *arena, hti_graph *out, ht_error *err);
void hti_graph_deinit(hti_graph *graph);
/* Node that makes an output. */
uint32_t hti_graph_maker(const hti_graph *graph, uint32_t output);

/* ---- plans ---- */

/* Where a value stands: the frame's own at [at], or with HTI_SHARED the map's. */
#define HTI_SHARED ((uint32_t)0x80000000u)

typedef struct hti_step {
    hti_node *node;     /* owned reference */
    uint32_t *in;       /* [n_inputs] */
    uint32_t first_out; /* the frame's own, [n_outputs] */
    uint32_t *drop;     /* [n_drop] own values that nobody reads later */
    size_t n_drop;
    uint32_t order; /* number of the step in the whole plan, nested plans where they stand */
    bool may_park;
    uint32_t n_together; /* steps from this one on that are started at once; 1: it alone */
    ht_plan *child;      /* of a nested pipeline */
    uint32_t *child_in;  /* [child's inputs] which of `in` */
    uint32_t *child_out; /* [n_outputs] which of the child's outputs, or UINT32_MAX: pruned */
} hti_step;

struct ht_plan {
    int n_refs;
    hti_arena arena;
    const char *pipeline; /* its name */
    hti_step *steps;      /* [n_steps] */
    size_t n_steps;
    const char **inputs; /* [n_inputs] names that a run must bring */
    size_t n_inputs;
    uint32_t *input_at;  /* [n_inputs] shared, or own of a mapped one */
    ht_value *constants; /* [n_constants], owned: shared places behind those of the inputs */
    size_t n_constants;
    size_t n_shared, n_own; /* shared: inputs that are not mapped, then constants */
    const char **outputs;   /* [n_outputs] */
    uint32_t *output_at;    /* [n_outputs] */
    size_t n_outputs;
    bool may_park; /* some step may */
};

/* How a plan is made; names in `given` may be bound or defaulted ones too. */
typedef struct hti_plan_request {
    const char *const *outputs; /* NULL: all */
    size_t n_outputs;
    const char *const *given;
    const bool *mapped; /* [n_given]; NULL: none */
    size_t n_given;
    uint32_t depth;
    bool plain; /* bodies with a row form never await */
} hti_plan_request;
HT_CHECKED ht_status hti_plan_make(const ht_pipeline *pipeline, const hti_plan_request *request, ht_plan **out,
                                   ht_error *err);
/* The same for the outermost pipeline: steps are numbered throughout. */
HT_CHECKED ht_status hti_plan_make_root(const ht_pipeline *pipeline, const hti_plan_request *request, ht_plan **out,
                                        ht_error *err);

void hti_plan_retain(ht_plan *plan);
/* A plan without steps, NULL if memory is out. */
ht_plan *hti_plan_new(const char *pipeline);
/* When all places are given: which steps are started together. */
void hti_plan_join_starts(ht_plan *plan);
/* When all places are given: where each own value is dropped. */
HT_CHECKED ht_status hti_plan_place_drops(ht_plan *plan, ht_error *err);
/* Numbers the steps from `next`, nested ones where they stand; the number behind the last. */
uint32_t hti_plan_number(ht_plan *plan, uint32_t next);
/* Steps in all, nested ones included. */
size_t hti_plan_count(const ht_plan *plan);
bool hti_step_may_park(const hti_step *step, bool plain);
/* For people: "row", "batch", ... */
const char *hti_step_form(const hti_step *step);
/* A list of strings. */
HT_CHECKED ht_status hti_names_value(const char *const *names, size_t n, ht_value *out, ht_error *err);
/* A plan as a struct, and back with the code that the registry names (docs/formats/plans.md). */
HT_CHECKED ht_status hti_plan_value(const ht_plan *plan, ht_value *out, ht_error *err);
HT_CHECKED ht_status hti_plan_json(const ht_plan *plan, ht_writer *writer, ht_error *err);
HT_CHECKED ht_status hti_plan_of_value(ht_registry *registry, ht_value value, bool plain, ht_plan **out, ht_error *err);

/* Whether every map's plan can be named to another process; says which node cannot and why. */
HT_CHECKED ht_status hti_plan_check_remote(const ht_plan *plan, const ht_registry *registry, ht_error *err);
/* UNSUPPORTED, naming the type, where an object without a codec is inside. */
HT_CHECKED ht_status hti_value_can_travel(ht_value value, ht_error *err);

/* ---- instances ---- */

/* A live object taken for one call; give it back. The first call makes it. */
HT_CHECKED ht_status hti_instance_take(ht_instance *instance, void **self, ht_error *err);
void hti_instance_give(ht_instance *instance, void *self);
/* What the forms of a method are called with. */
static inline void *hti_forms_self(const ht_forms *forms, void *object)
{
    return forms->self_for ? forms->self_for(object, forms) : object;
}
const ht_type *hti_instance_type(void);
const ht_type *hti_failure_type(void);
const ht_type *hti_series_type(void);
/* INVALID where the description is not whole. */
HT_CHECKED ht_status hti_class_check(const ht_class *cls, ht_error *err);
/* Arguments with defaults in their places; INVALID names what is unknown, missing or of another type. */
HT_CHECKED ht_status hti_class_complete(const ht_class *cls, ht_value args, ht_value *out, ht_error *err);
const ht_class *hti_instance_class(const ht_instance *instance);
size_t hti_instance_limit(const ht_instance *instance); /* live objects at most */
void hti_instance_count(ht_instance *instance, ht_instance_stats added);

/* One call of a row, batch or awaited start form, whoever it belongs to. */
typedef struct hti_target {
    const ht_forms *forms;
    ht_instance *instance; /* NULL: a node's own function, called with self */
    void *self;
    const char *class_name, *name; /* of the class: NULL for a node */
    size_t n_inputs, n_outputs;
    bool whole; /* arguments are columns, and so is the result: never parks, never gathers */
    bool once;  /* whoever asked repeats what fails */
} hti_target;
hti_target hti_target_of_method(ht_instance *instance, hti_chosen chosen);
/* What a started call tells when it ends; `out` NULL on failure. */
struct ht_completion {
    void (*done)(void *ud, const ht_value *out, const ht_error *why); /* why NULL: it did not fail */
    void *ud;
};
/* Whether rows can gather to one call. */
static inline bool hti_gathers(const ht_forms *forms) { return forms->batch || forms->series; }
/* n rows by one call of the row form (n = 1) or batch form. out [n_outputs][n]. */
HT_CHECKED ht_status hti_target_call(const hti_target *target, size_t n, const ht_column *in, ht_value *const *out,
                                     ht_error *err);
/* The same by the series form: out [n_outputs], given as NULL. */
HT_CHECKED ht_status hti_target_call_series(const hti_target *target, size_t n, const ht_series_column *in,
                                            ht_series **out, ht_error *err);
/* columns.c: all rows as a list. */
HT_CHECKED ht_status hti_series_list(const ht_series *series, ht_value *out, ht_error *err);
/* columns.c: a call whose arguments are whole columns, in calls of at most batch_size rows. */
HT_CHECKED ht_status hti_target_call_whole(const hti_target *target, const ht_column *in, ht_value *out, ht_error *err);
void hti_values_release(ht_value *values, size_t n);

#endif
