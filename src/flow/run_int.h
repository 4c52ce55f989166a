/*
 * run_int.h - a run: open maps, frames, parked calls, and who does what with them.
 *
 * run.c makes runs and ends them; frame.c brings one frame as far as it gets; rounds.c decides who runs next; batch.c
 * cuts parked calls into groups and calls them.
 */
#ifndef HTI_FLOW_RUN_INT_H
#define HTI_FLOW_RUN_INT_H

#include "engine/engine.h"
#include "flow_int.h"
#include "trace/trace.h"

#include <houndstooth/cache.h>

typedef struct hti_frame hti_frame;
typedef struct hti_run hti_run;
typedef struct hti_shared_key hti_shared_key;

/* A plan being run for its items: one item if it is not mapped. */
typedef struct hti_open_map {
    const ht_plan *plan;
    const hti_node *node; /* NULL: the outermost pipeline */
    hti_frame *parent;    /* parked on it, NULL: the outermost */
    bool mapped;
    uint32_t depth;
    uint64_t base;          /* number of its first item: of a slice not 0 */
    size_t n, next, n_done; /* items: all, admitted, ended */
    ht_value *shared;       /* [plan's n_shared] owned */
    struct hti_shared_key {
        ht_key key;
        bool known;
    } * shared_keys;        /* [plan's n_shared] digests, NULL without a cache */
    const ht_value **items; /* [plan's n_inputs] of each mapped input, borrowed from the lists that `lists` keep */
    size_t *stride, *len;   /* [plan's n_inputs] item i takes element i / stride % len */
    ht_value *lists;        /* [n_lists] owned */
    size_t n_lists;
    ht_value *out;      /* [plan's n_outputs][n] owned; of a failed item the first is the failure */
    uint8_t *state;     /* [n] hti_item_state; set by one thread, read by others */
    size_t n_given;     /* items whose results were handed out already */
    hti_frame *spare;   /* ended frames, used again */
    hti_frame *live;    /* frames under way in rounds */
    hti_arena arena;    /* the arrays above */
    uint64_t opened_ns; /* for the trace */
    struct hti_open_map *before, *after;
} hti_open_map;

typedef enum hti_item_state { HTI_ITEM_OPEN, HTI_ITEM_DONE, HTI_ITEM_SKIPPED, HTI_ITEM_FAILED } hti_item_state;

/* What an awaited call gave. */
typedef struct hti_answer {
    ht_value value; /* owned */
    ht_error *why;  /* owned, NULL on success */
} hti_answer;

/* A body in the middle: the answers it has had, and the call it waits for. */
struct ht_body {
    hti_run *run;
    hti_answer *answers; /* [n_answers] */
    size_t n_answers, cap_answers, at;
    hti_target target;
    ht_value *args; /* [n_args] owned */
    size_t n_args, cap_args;
    bool parked, later; /* later: it has parked before */
    void *slot;         /* of a body with a stack of its own, on `thread` */
    void (*drop)(void *slot);
    size_t thread;
};

/* A started call; it may outlive its frame and its run (call.c). */
typedef struct hti_call {
    ht_completion completion;
    int state; /* hti_call_state: whoever changes it first decides */
    hti_run *run;
    hti_frame *frame;
    ht_instance *instance;          /* kept until it ends, NULL: none */
    uint64_t until;                 /* of the run's clock; UINT64_MAX: no limit */
    struct hti_call *next, *before; /* under way */
    struct hti_call *after;         /* finished */
    uint64_t started_ns;            /* for the trace */
    hti_target target;
    uint32_t step; /* of the frame's plan */
    ht_status status;
    ht_error *failure; /* NULL on success */
    size_t n_outputs;
    ht_value out[]; /* [n_outputs] owned */
} hti_call;
typedef enum hti_call_state { HTI_CALL_OPEN, HTI_CALL_ENDED, HTI_CALL_ABANDONED } hti_call_state;

/* One item on its way through a plan. It waits for at most one thing. */
struct hti_frame {
    hti_run *run;
    hti_open_map *map;
    hti_frame *root; /* of the outermost map, that this one works for; itself there */
    hti_frame *next; /* in the list of spare ones */
    hti_frame *live_before, *live_after;
    uint64_t item, seq;
    uint64_t serial; /* for events */
    uint32_t step;
    bool answered; /* the call of the present step has ended: go on behind it */
    bool skipped;
    bool doomed;        /* of a root: something inside has failed, and failures are collected */
    uint64_t doomed_by; /* number of the frame that failed */
    ht_value verdict;   /* of a doomed root, owned */
    bool again;         /* the call of the present step is to be started again */
    uint32_t n_open;    /* calls under way that were started together */
    uint32_t failed_at; /* the first step of them that failed, with `failure` */
    uint32_t tries;     /* that failed already */
    uint64_t wake;      /* when to start again */
    uint64_t parked_ns; /* for the trace */
    ht_key key;         /* of the present step's results in the cache */
    uint64_t *parts;    /* [HTI_KEY_HEAD + inputs] what it was made of; NULL before the first key */
    bool has_key;       /* they are to be kept there */
    ht_status status;   /* of the answered call */
    ht_error *failure;
    hti_target target; /* of the call it waits for */
    ht_body *body;
    ht_value values[]; /* [plan's n_own] owned */
};

typedef struct hti_frames {
    hti_frame **at; /* [n] */
    size_t n, cap;
} hti_frames;

/* What one thread found while it ran frames. */
typedef struct hti_found {
    hti_frames parked, ended;
    hti_open_map **opened; /* [n_opened] */
    size_t n_opened, cap_opened, n_async;
    hti_frame *failed; /* the first that failed */
    ht_status status;
    ht_error err;
} hti_found;

/* Results that go to the cache together. */
typedef struct hti_puts {
    ht_cache_entry *entries; /* [n] */
    void **bytes;            /* [n] owned */
    size_t n, cap_entries, cap_bytes, n_bytes;
    uint64_t written; /* when the last ones were */
} hti_puts;

struct hti_run {
    ht_cache *cache; /* NULL: none */
    hti_puts puts;   /* guarded by `lock` */
    bool has_warned;
    const char **step_names; /* of the trace, by the steps' order; NULL without a trace */
    const ht_run_options *options;
    ht_trace *outer_trace; /* of the thread that made the run */
    ht_pool *pool;         /* NULL: one thread */
    hti_workers *workers;  /* [n_workers] of the processes engine, else NULL */
    size_t n_workers;
    size_t window, batch_max;
    const hti_open_map *root;   /* of rounds */
    hti_open_map *first, *last; /* open maps, in the order in which they admit items */
    size_t n_fresh;             /* of the last ones, opened since the last admission */
    size_t n_leaf;
    uint64_t next_seq, next_serial;
    uint64_t *serials; /* `next_serial` of the outermost run, so that events tell frames of nested ones apart */
    hti_frames runnable, parked;
    hti_mutex *lock; /* guards `finished`, `calls`, `next_timer`, `puts` and the callbacks */
    bool closed;     /* under lock: a result was refused, so no later one is given */
    hti_cond *arrived;
    hti_call *finished;  /* ended, newest first */
    hti_call *calls;     /* under way or finished */
    uint64_t next_timer; /* no call's time is over before; UINT64_MAX: none has a limit */
    size_t n_async;      /* calls that the run has not taken yet */
    hti_frames sleeping; /* their calls are to be started again later */
    uint64_t deadline;   /* UINT64_MAX: none */
};

static inline ht_value hti_frame_value(const hti_frame *frame, uint32_t place)
{
    return place & HTI_SHARED ? frame->map->shared[place & ~HTI_SHARED] : frame->values[place];
}
/* Its number in the whole map, which may be cut into slices. */
static inline uint64_t hti_frame_item(const hti_frame *frame) { return frame->map->base + frame->item; }
/* An argument of the call that a frame waits for. */
static inline ht_value hti_frame_argument(const hti_frame *frame, size_t i)
{
    return frame->body ? frame->body->args[i] : hti_frame_value(frame, frame->map->plan->steps[frame->step].in[i]);
}

HT_CHECKED ht_status hti_frames_push(hti_frames *frames, hti_frame *frame, ht_error *err);
/* By number. */
void hti_frames_sort(hti_frames *frames);

/* What opens a map: a value for each of the plan's inputs; `over` lists the mapped ones in their order. */
typedef struct hti_opening {
    const ht_plan *plan;
    hti_frame *parent;
    const hti_node *node;
    const ht_value *values; /* [plan's n_inputs] borrowed */
    const uint32_t *over;   /* [n_over] */
    size_t n_over;
    ht_map_mode mode;
    uint64_t base;
} hti_opening;

/* failure.c */
uint64_t hti_run_now(const hti_run *run);
/* TIMEOUT when the run's time is over, CANCELLED when its caller wants no more. */
HT_CHECKED ht_status hti_run_check(const hti_run *run, ht_error *err);
/* A failure as a value. */
HT_CHECKED ht_status hti_failure_new(uint64_t item, const char *node, const ht_error *why, ht_value *out,
                                     ht_error *err);
/* Whether items of the outermost map may fail alone with this status. */
bool hti_run_collects(const hti_run *run, ht_status status);

/* run.c: runs and maps */
HT_CHECKED ht_status hti_run_init(hti_run *run, const ht_run_options *options, ht_error *err);
void hti_run_deinit(hti_run *run); /* also after a failed init */
/* The outermost map of a plan that nobody runs; `options`, which the run has, are changed. */
HT_CHECKED ht_status hti_plan_open(const ht_plan *plan, ht_value inputs, ht_run_options *options, hti_run *run,
                                   hti_open_map **out, ht_error *err);
HT_CHECKED ht_status hti_map_open_with(hti_run *run, const hti_opening *o, hti_open_map **out, ht_error *err);
/* All items of the outermost map, however the run's engine does it. */
HT_CHECKED ht_status hti_map_run(hti_run *run, hti_open_map *root, ht_error *err);
HT_CHECKED ht_status hti_map_open(hti_run *run, hti_frame *parent, const hti_step *step, hti_open_map **out,
                                  ht_error *err);
/* A fresh or spare frame of the map's next item, its mapped inputs in place. */
HT_CHECKED ht_status hti_map_admit(hti_run *run, hti_open_map *map, hti_frame **out, ht_error *err);
/* The frame's outputs into the map's; the frame becomes spare. */
void hti_map_take(hti_open_map *map, hti_frame *frame);
/* Of the outermost map: gives results of items that are done, in order, to who wants them early. */
HT_CHECKED ht_status hti_map_deliver(hti_run *run, hti_open_map *map, ht_error *err);
/* A map whose items have all ended: one value for each of the plan's outputs. */
HT_CHECKED ht_status hti_map_result(const hti_run *run, hti_open_map *map, size_t output, ht_value *out, ht_error *err);
/* A nested pipeline with settings of its own, from its inputs to its outputs, on this thread. */
HT_CHECKED ht_status hti_nested_run(hti_frame *frame, const hti_step *step, ht_error *err);
/* Its results into the step's outputs of the parent. */
HT_CHECKED ht_status hti_map_finish(hti_open_map *map, hti_frame *parent, const hti_step *step, ht_error *err);
void hti_map_close(hti_open_map *map);
void hti_run_event(hti_run *run, ht_event_kind kind, const hti_frame *frame, const char *node, uint64_t n);
/* The same for what more there is to tell; `frame` fills in where it stands. */
void hti_run_tell(hti_run *run, const ht_event *what, const hti_frame *frame);

/* frame.c */
/* Runs the frame until it ends, fails or parks, and notes in `found` which. */
void hti_frame_run(hti_frame *frame, hti_found *found);
/* A nested pipeline in `run`, from its inputs to its outputs, on this thread; its steps must not wait for others. */
HT_CHECKED ht_status hti_child_run(hti_run *run, hti_frame *frame, const hti_step *step, ht_error *err);
/* What becomes of the frame's failed step: HT_OK and the frame goes on or is skipped, or the failure. */
ht_status hti_frame_settle(hti_frame *frame, const hti_step *step, ht_status status, const ht_error *why);
/* Puts "node 'x', item 3" in front of a message. */
ht_status hti_frame_fail(const hti_frame *frame, ht_status status, ht_error *err);
/* The same for the maps around a frame: "in 'x', item 3". */
ht_status hti_frame_fail_around(const hti_frame *parent, ht_status status, ht_error *err);
/* An error of each node around the frame. */
void hti_frame_tell_around(const hti_frame *frame);
void hti_frame_release(hti_frame *frame); /* its values; it may be used again */
void hti_frame_free(hti_frame *frame);    /* NULL allowed */
void hti_body_drop(ht_body *body);        /* the stack that it stands on, if it does; on that stack's thread */
void hti_body_free(ht_body *body);
/* The answer of an awaited call; takes value, copies the failure. why NULL, or HT_OK: success. */
HT_CHECKED ht_status hti_body_answer(ht_body *body, ht_value value, const ht_error *why, ht_error *err);
/* All items of a map that never parks, in order on this thread or over the pool. */
HT_CHECKED ht_status hti_map_run_plain(hti_run *run, hti_open_map *map, ht_error *err);

/* The pool's thread that this is, as its runs count them. */
size_t hti_this_worker(void);
/* traced.c; all do nothing without a trace */
HT_CHECKED ht_status hti_trace_run(hti_run *run, const ht_plan *plan, ht_error *err);
uint64_t hti_trace_now(const hti_run *run);
/* A span of the frame's present step, of a call, from `start` to now. */
void hti_trace_step(const hti_run *run, ht_span_kind kind, const hti_frame *frame, uint64_t start, uint64_t n);
void hti_trace_call(const hti_run *run, ht_span_kind kind, const hti_target *target, uint64_t start, uint64_t n);
/* What an instance's making is told to on this thread; the one before. */
ht_trace *hti_trace_enter(ht_trace *trace);
/* The thread that runs this is number `worker` of the run; the number before, to be set again at the end. */
size_t hti_trace_worker(size_t worker);
/* Spans of another process: as a value there, and into the trace here. */
HT_CHECKED ht_status hti_trace_value(ht_trace *trace, ht_value *out, ht_error *err);
void hti_trace_take(const hti_run *run, uint32_t worker, ht_value spans);

/* cached.c; all do nothing without a cache */
enum { HTI_KEY_CODE, HTI_KEY_ARGUMENTS, HTI_KEY_HEAD }; /* parts of a key in front of its inputs */
/* NULL: its results are never cached. */
const char *hti_step_version(const hti_step *step);
/* Digests what the items of a map share. */
HT_CHECKED ht_status hti_cache_open_map(hti_run *run, hti_open_map *map, ht_error *err);
/* The outputs of the frame's step, where the cache has them; else its key, for hti_cache_keep. */
bool hti_cache_take(hti_frame *frame, const hti_step *step);
void hti_cache_keep(hti_frame *frame, const hti_step *step);
void hti_cache_flush(hti_run *run);

/* call.c */
/* Starts the call that the frame waits for. */
HT_CHECKED ht_status hti_call_start(hti_frame *frame, hti_found *found, ht_error *err);
/* What has ended: its frames become runnable, or sleep before they try again. */
HT_CHECKED ht_status hti_calls_take(hti_run *run, ht_error *err);
/* Frames that have slept enough, and calls whose time is over. */
HT_CHECKED ht_status hti_calls_expire(hti_run *run, ht_error *err);
/* When hti_calls_expire has to be called next, or the run's time is over. */
uint64_t hti_calls_until(const hti_run *run);
/* All that are under way are given up; those that just ended are still to be taken. */
void hti_calls_abandon(hti_run *run);

/* batch.c: calls some of the parked frames, which become runnable in frame order; the others stay. */
HT_CHECKED ht_status hti_batches_fire(hti_run *run, ht_error *err);

/* remote.c: all items of a map in worker processes; what may not go there is told before. */
HT_CHECKED ht_status hti_map_run_remote(hti_run *run, hti_open_map *map, ht_error *err);

/* rounds.c: until the map is done. */
HT_CHECKED ht_status hti_rounds_run(hti_run *run, hti_open_map *root, ht_error *err);

#endif
