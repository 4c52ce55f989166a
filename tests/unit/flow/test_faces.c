/*
 * test_faces.c - what faces of other languages need of the runtime: bodies with a stack of their own, causes that stay
 * with a failure, objects that are mapped over or constant by their type, gathered results, items that are told, and
 * locks of the program that are let go.
 */
#include "flow_test.h"

#include <pthread.h>
#include <unistd.h>

/* ---- a body with a stack of its own: here a struct in the slot ---- */

typedef struct stack {
    pthread_t thread;
    int64_t sum;
    int at; /* calls made */
} stack;
static int n_stacks, n_dropped, n_elsewhere;

static void drop_stack(void *slot)
{
    stack *s = slot;
    if (!pthread_equal(s->thread, pthread_self())) __atomic_add_fetch(&n_elsewhere, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&n_dropped, 1, __ATOMIC_RELAXED);
    free(s);
}

/* Adds what `twice` gives for x, x + 1, x + 2: three calls, one after the other. */
static ht_status three_calls(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *e)
{
    void **slot = ht_body_slot(body);
    ht_value got;
    (void)self;
    stack *s = *slot;
    if (!s) {
        s = calloc(1, sizeof *s);
        assert_non_null(s);
        s->thread = pthread_self();
        *slot = s;
        __atomic_add_fetch(&n_stacks, 1, __ATOMIC_RELAXED);
    } else {
        if (!pthread_equal(s->thread, pthread_self())) __atomic_add_fetch(&n_elsewhere, 1, __ATOMIC_RELAXED);
        const ht_status answer = ht_body_answer(body, &got, e);
        if (answer != HT_OK) return answer;
        s->sum += got.as.integer;
    }
    while (s->at < 3) {
        const ht_value arg = ht_value_int(in[0].as.integer + s->at++);
        const ht_status status = ht_body_call(body, in[1], "twice", &arg, 1, &got, e);
        if (status != HT_OK) return status; /* parked, mostly */
        s->sum += got.as.integer;
    }
    out[0] = ht_value_int(s->sum);
    free(s);
    *slot = NULL;
    return HT_OK;
}

static ht_status twice_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    if (in[0].as.integer >= 1000) {
        (void)snprintf(e->message, sizeof e->message, "too large");
        e->status = HT_FAILED;
        e->cause = 77;
        return HT_FAILED;
    }
    out[0] = ht_value_int(2 * in[0].as.integer);
    return HT_OK;
}

static ht_status twice_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    for (size_t i = 0; i < n; i++) {
        const ht_status status = twice_row(self, &in[0].rows[i], &out[0][i], e);
        if (status != HT_OK) return status;
    }
    return HT_OK;
}

static ht_status no_init(void **self, ht_value args, ht_error *e)
{
    (void)args;
    (void)e;
    *self = NULL;
    return HT_OK;
}

static const ht_method methods[] = {{"twice", 1, {.row = twice_row, .batch = twice_batch, .batch_size = 7}}};
static const ht_class doubler = {HT_DESC(ht_class), .name = "doubler", .init = no_init, .methods = methods,
                                 .n_methods = 1};

static ht_status map_three(ht_engine engine, int64_t first, size_t n, ht_errors errors, ht_value *out)
{
    static const ht_input inputs[] = {{"x", NULL}, {"object", NULL}};
    static const char *const outputs[] = {"y"}, *const over[] = {"x"}, *const names[] = {"x", "object"};
    const ht_node_desc desc = {HT_DESC(ht_node_desc),
                               .name = "three",
                               .inputs = inputs,
                               .n_inputs = 2,
                               .outputs = outputs,
                               .n_outputs = 1,
                               .forms = {.body = three_calls, .drop = drop_stack}};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = engine, .n_workers = 3,
                                    .map_over = over,        .n_map_over = 1,  .errors = errors};
    ht_instance *instance;
    ht_pipeline *p;
    ht_value values[2], given;
    OK(ht_instance_new(&doubler, ht_value_null(), &instance, &err));
    OK(ht_instance_value(instance, &values[1], &err));
    values[0] = numbers_from(first, n);
    OK(ht_value_struct(names, values, 2, &given, &err));
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_node(p, &desc, &err));
    const ht_status status = ht_pipeline_map(p, given, &options, out, &err);
    ht_pipeline_release(p);
    ht_value_release(given);
    ht_value_release(values[0]);
    ht_value_release(values[1]);
    ht_instance_release(instance);
    return status;
}

static void a_stack_goes_on_where_it_is(void **state)
{
    (void)state;
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_THREADS; engine++) {
        ht_value out, y;
        size_t n;
        n_stacks = n_dropped = n_elsewhere = 0;
        OK(map_three((ht_engine)engine, 0, 500, HT_ERRORS_RAISE, &out));
        const ht_value *items = ht_value_items(out, &n);
        assert_int_equal(n, 500);
        for (size_t i = 0; i < n; i++) {
            assert_true(ht_value_field(items[i], "y", &y));
            assert_int_equal(y.as.integer, 6 * (int64_t)i + 6);
        }
        assert_int_equal(n_stacks, 500);
        assert_int_equal(n_dropped, 0);
        assert_int_equal(n_elsewhere, 0);
        ht_value_release(out);
    }
}

static void stacks_that_are_given_up_end_on_their_threads(void **state)
{
    (void)state;
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_THREADS; engine++)
        for (int errors = HT_ERRORS_RAISE; errors <= HT_ERRORS_COLLECT; errors++) {
            ht_value out;
            size_t n, n_failed = 0;
            n_stacks = n_dropped = n_elsewhere = 0;
            const ht_status status = map_three((ht_engine)engine, 900, 200, (ht_errors)errors, &out);
            assert_int_equal(status, errors ? HT_OK : HT_FAILED);
            const ht_value *items = ht_value_items(out, &n);
            for (size_t i = 0; i < n; i++) {
                const ht_failure *failure = ht_value_failure(items[i]);
                n_failed += failure != NULL;
                if (failure) assert_int_equal(failure->cause, 77);
            }
            if (!errors) assert_int_equal(err.cause, 77);
            if (errors) assert_true(n_failed >= 100 && n_failed < 200);
            assert_int_equal(n_dropped > 0, true);
            assert_int_equal(n_elsewhere, 0);
            ht_value_release(out);
        }
}

/* ---- objects by their type ---- */

typedef struct box {
    int64_t number;
} box;

static void free_box(void *object) { free(object); }
static bool same_box(const void *a, const void *b) { return ((const box *)a)->number == ((const box *)b)->number; }
static uint64_t hash_box(const void *object) { return (uint64_t)((const box *)object)->number; }
static ht_status rows_of_box(const void *object, ht_value *out, ht_error *e)
{
    (void)e;
    *out = numbers_from(0, (size_t)((const box *)object)->number);
    return HT_OK;
}
static const ht_type box_type = {HT_DESC(ht_type), .name = "box",    .release = free_box,
                                 .same = same_box, .hash = hash_box, .rows = rows_of_box};

static ht_value new_box(int64_t number)
{
    ht_value value;
    box *made = malloc(sizeof *made);
    assert_non_null(made);
    made->number = number;
    OK(ht_value_opaque(&box_type, made, &value, &err));
    return value;
}

static size_t batches[8], n_batches;
static bool was_constant;

static ht_status add_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    (void)self;
    (void)e;
    batches[n_batches++ % 8] = n;
    was_constant = in[1].constant;
    for (size_t i = 0; i < n; i++) {
        const box *b = ht_value_object(in[1].rows[in[1].constant ? 0 : i], &box_type);
        out[0][i] = ht_value_int(in[0].rows[i].as.integer + b->number);
    }
    return HT_OK;
}

static ht_status make_box(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    out[0] = new_box(in[0].as.integer % 2);
    return HT_OK;
}

static void constants_are_the_same_by_their_type(void **state)
{
    static const ht_input x[] = {{"x", NULL}}, both[] = {{"x", NULL}, {"b", NULL}};
    static const char *const b_out[] = {"b"}, *const y_out[] = {"y"}, *const over[] = {"x"};
    const ht_node_desc nodes[] = {{HT_DESC(ht_node_desc), .name = "box", .inputs = x, .n_inputs = 1, .outputs = b_out,
                                   .n_outputs = 1, .forms = {.row = make_box}},
                                  {HT_DESC(ht_node_desc), .name = "add", .inputs = both, .n_inputs = 2,
                                   .outputs = y_out, .n_outputs = 1, .forms = {.batch = add_batch}}};
    const ht_run_options options = {HT_DESC(ht_run_options), .map_over = over, .n_map_over = 1};
    ht_pipeline *p;
    ht_value list = numbers_from(0, 10), given, out;
    (void)state;
    n_batches = 0;
    OK(ht_value_struct(over, &list, 1, &given, &err));
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_node(p, &nodes[0], &err));
    OK(ht_pipeline_add_node(p, &nodes[1], &err));
    OK(ht_pipeline_map(p, given, &options, &out, &err));
    assert_int_equal(n_batches, 2); /* ten boxes, two numbers */
    assert_int_equal(batches[0] + batches[1], 10);
    assert_true(was_constant);
    ht_value_release(out);
    ht_value_release(given);
    ht_value_release(list);
    ht_pipeline_release(p);
}

static void shared_inputs_come_as_constants(void **state)
{
    static const ht_input both[] = {{"x", NULL}, {"b", NULL}};
    static const char *const y_out[] = {"y"}, *const over[] = {"x", "b"};
    const ht_node_desc add = {HT_DESC(ht_node_desc),
                              .name = "add",
                              .inputs = both,
                              .n_inputs = 2,
                              .outputs = y_out,
                              .n_outputs = 1,
                              .forms = {.batch = add_batch, .over = 3, .shared_constant = true}};
    ht_value boxes[3] = {new_box(5), new_box(5), new_box(7)}, list, out, given;
    ht_pipeline *p;
    (void)state;
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_node(p, &add, &err));
    for (size_t n_over = 1; n_over <= 2; n_over++) {
        ht_value pair[2] = {numbers_from(0, 3), boxes[0]};
        OK(ht_value_list(boxes, 3, &list, &err));
        if (n_over == 2) pair[1] = list;
        const ht_run_options options = {HT_DESC(ht_run_options), .map_over = over, .n_map_over = n_over};
        OK(ht_value_struct(over, pair, 2, &given, &err));
        n_batches = 0;
        OK(ht_pipeline_map(p, given, &options, &out, &err));
        assert_int_equal(n_batches, 1);
        assert_int_equal(was_constant, n_over == 1);
        ht_value_release(out);
        ht_value_release(given);
        ht_value_release(list);
        ht_value_release(pair[0]);
    }
    for (int i = 0; i < 3; i++) ht_value_release(boxes[i]);
    ht_pipeline_release(p);
}

/* ---- rows, gathered results, items that are told ---- */

static ht_status gather_box(void *ud, ht_value *items, size_t n, ht_value *out, ht_error *e)
{
    int64_t sum = 0;
    (void)ud;
    (void)e;
    for (size_t i = 0; i < n; i++) sum += items[i].as.integer;
    *out = new_box(sum);
    return HT_OK;
}

static struct told {
    size_t starts, ends, inputs, outputs, items, parents;
    ht_error why;
} told;

static void on_event(void *ud, const ht_event *event)
{
    const char *name;
    ht_value value;
    size_t at = 0;
    (void)ud;
    while (ht_event_value(event, at, &name, &value)) {
        assert_true(strlen(name) == 1 || !strcmp(name, "list") || !strcmp(name, "sum"));
        at++;
    }
    if (event->kind == HT_EVENT_NODE_START) told.starts++, told.inputs += at;
    if (event->kind == HT_EVENT_NODE_END) told.ends++, told.outputs += at;
    if (event->kind == HT_EVENT_ITEM_END) told.items++, told.parents += event->parent != 0;
}

static ht_status plus_one(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    out[0] = ht_value_int(in[0].as.integer + 1);
    return HT_OK;
}

static void objects_are_mapped_and_results_gathered(void **state)
{
    static const ht_input x[] = {{"x", NULL}};
    static const char *const y_out[] = {"y"}, *const over[] = {"list"};
    static const ht_rename in[] = {{"list", "x"}}, renamed[] = {{"y", "sum"}};
    const ht_node_desc plus = {
        HT_DESC(ht_node_desc),     .name = "plus", .inputs = x, .n_inputs = 1, .outputs = y_out, .n_outputs = 1,
        .forms = {.row = plus_one}};
    const ht_as_node how = {HT_DESC(ht_as_node), .name = "each", .inputs = in,     .n_inputs = 1,
                            .outputs = renamed,  .n_outputs = 1, .map_over = over, .n_map_over = 1};
    const ht_run_options options = {HT_DESC(ht_run_options), .gather = gather_box, .event = on_event,
                                    .item_events = true};
    ht_pipeline *inner, *outer;
    ht_value four = new_box(4), given, out, sum;
    (void)state;
    told = (struct told){0};
    OK(ht_value_struct(over, &four, 1, &given, &err));
    OK(ht_pipeline_new("inner", &inner, &err));
    OK(ht_pipeline_add_node(inner, &plus, &err));
    OK(ht_pipeline_new("outer", &outer, &err));
    OK(ht_pipeline_add_pipeline(outer, inner, &how, &err));
    OK(ht_pipeline_run(outer, given, &options, &out, &err));
    assert_true(ht_value_field(out, "sum", &sum));
    assert_int_equal(((const box *)ht_value_object(sum, &box_type))->number, 1 + 2 + 3 + 4);
    assert_int_equal(told.starts, 5);
    assert_int_equal(told.ends, 5);
    assert_int_equal(told.inputs, 5);
    assert_int_equal(told.outputs, 5);
    assert_int_equal(told.items, 4);
    assert_int_equal(told.parents, 4);
    ht_value_release(out);
    ht_value_release(given);
    ht_value_release(four);
    ht_pipeline_release(inner);
    ht_pipeline_release(outer);
}

/* ---- independent nodes that end later ---- */

enum { N_LATER = 5 };
static ht_completion *open_calls[N_LATER];
static size_t n_started;

/* The last one that starts ends all, the last first; node i gives x + i, or fails where its bit of `self` is set. */
static ht_status start_later(void *self, const ht_value *in, ht_completion *completion, ht_error *e)
{
    (void)e;
    open_calls[n_started++] = completion;
    for (size_t i = N_LATER; n_started == N_LATER && i-- > 0;) {
        const ht_value out = ht_value_int(in[0].as.integer + (int64_t)i);
        if (*(unsigned *)self >> i & 1)
            ht_complete_failure(open_calls[i], &(ht_error){HT_FAILED, "it broke", 90 + i});
        else
            ht_complete(open_calls[i], &out);
    }
    return HT_OK;
}

static ht_status run_later(unsigned failing, ht_on_error policy, ht_value *out)
{
    static const ht_input x[] = {{"x", NULL}};
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    ht_pipeline *p;
    const ht_value inputs = struct_of("x", ht_value_int(10));
    const ht_run_options options = {HT_DESC(ht_run_options), .event = on_event};
    n_started = 0;
    told = (struct told){0};
    OK(ht_pipeline_new("p", &p, &err));
    for (size_t i = 0; i < N_LATER; i++) {
        const ht_node_desc desc = {HT_DESC(ht_node_desc), .name = names[i],
                                   .inputs = x,           .n_inputs = 1,
                                   .outputs = &names[i],  .n_outputs = 1,
                                   .self = &failing,      .forms = {.start = start_later, .on_error = policy}};
        OK(ht_pipeline_add_node(p, &desc, &err));
    }
    const ht_status status = ht_pipeline_run(p, inputs, &options, out, &err);
    ht_pipeline_release(p);
    ht_value_release(inputs);
    return status;
}

static void independent_calls_are_under_way_together(void **state)
{
    ht_value out;
    (void)state;
    OK(run_later(0, HT_ON_ERROR_RAISE, &out)); /* would wait for ever if they followed one another */
    expect_json(out, "{\"a\": 10, \"b\": 11, \"c\": 12, \"d\": 13, \"e\": 14}");
    assert_int_equal(told.starts, 5);
    assert_int_equal(told.ends, 5);
    ht_value_release(out);
    assert_int_equal(run_later(1 << 1 | 1 << 3, HT_ON_ERROR_RAISE, &out), HT_FAILED);
    assert_string_equal(err.message, "node 'b': it broke"); /* the first, though it ended behind the other */
    assert_int_equal(err.cause, 91);
    OK(run_later(1 << 1 | 1 << 3, HT_ON_ERROR_NULL, &out));
    expect_json(out, "{\"a\": 10, \"b\": null, \"c\": 12, \"d\": null, \"e\": 14}");
    ht_value_release(out);
}

/* ---- slices elsewhere, objects by reference ---- */

static ht_registry *registry;
static size_t n_slices;

static ht_status add_box(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const box *b = ht_value_object(in[1], &box_type);
    (void)self;
    (void)e;
    if (in[0].as.integer == 77) return (void)snprintf(e->message, sizeof e->message, "unlucky"), HT_FAILED;
    out[0] = new_box(in[0].as.integer + b->number);
    return HT_OK;
}

static void *serve_slice(void *arg)
{
    ht_slice *slice = arg;
    ht_error why = {0};
    ht_writer *reply;
    size_t len;
    OK(ht_writer_new(&reply, &err));
    const ht_status status = ht_serve(registry, slice, *(ht_references **)slice->done_ud, reply, &why);
    const void *data = ht_writer_data(reply, &len);
    slice->done(*(void **)((char *)slice->done_ud + sizeof(void *)), status, data, len, why.message);
    ht_writer_free(reply);
    free(slice->done_ud);
    free(slice);
    return NULL;
}

/* A thread for each slice, which ends while others wait. */
static ht_status submit_slice(void *ud, const ht_slice *slice, ht_error *e)
{
    pthread_t thread;
    ht_slice *mine = malloc(sizeof *mine);
    void **pair = malloc(2 * sizeof *pair);
    (void)e;
    assert_non_null(mine);
    assert_non_null(pair);
    *mine = *slice;
    pair[0] = ud;
    pair[1] = slice->done_ud;
    mine->done_ud = pair;
    n_slices++;
    assert_int_equal(pthread_create(&thread, NULL, serve_slice, mine), 0);
    assert_int_equal(pthread_detach(thread), 0);
    return HT_OK;
}

static void slices_run_elsewhere_on_the_same_objects(void **state)
{
    static const ht_input both[] = {{"x", NULL}, {"b", NULL}};
    static const char *const y_out[] = {"y"}, *const over[] = {"x"}, *const names[] = {"x", "b"};
    const ht_node_desc add = {HT_DESC(ht_node_desc), .name = "add",  .inputs = both,           .n_inputs = 2,
                              .outputs = y_out,      .n_outputs = 1, .forms = {.row = add_box}};
    ht_references *objects;
    ht_value five = new_box(5), out, y;
    ht_pipeline *p;
    size_t n;
    (void)state;
    OK(ht_references_new(&objects, &err));
    OK(ht_registry_new(&registry, &err));
    OK(ht_registry_add_type(registry, &box_type, &err));
    OK(ht_registry_add_node(registry, &add, &err));
    const ht_elsewhere elsewhere = {objects, 2, objects, submit_slice, NULL};
    const ht_run_options options = {HT_DESC(ht_run_options), .engine = HT_ENGINE_PROCESSES,
                                    .registry = registry,    .elsewhere = &elsewhere,
                                    .map_over = over,        .n_map_over = 1};
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_node(p, &add, &err));
    for (size_t items = 70; items <= 80; items += 10) {
        ht_value pair[2] = {numbers_from(0, items), five}, given;
        OK(ht_value_struct(names, pair, 2, &given, &err));
        n_slices = 0;
        const ht_status status = ht_pipeline_map(p, given, &options, &out, &err);
        assert_int_equal(status, items == 70 ? HT_OK : HT_FAILED);
        if (items == 80) assert_string_equal(err.message, "node 'add', item 77: unlucky");
        const ht_value *rows = ht_value_items(out, &n);
        for (size_t i = 0; i < n; i++) {
            assert_true(ht_value_field(rows[i], "y", &y));
            assert_int_equal(((const box *)ht_value_object(y, &box_type))->number, i + 5);
        }
        assert_true(n_slices >= 7);
        ht_value_release(out);
        ht_value_release(given);
        ht_value_release(pair[0]);
    }
    ht_value_release(five);
    ht_pipeline_release(p);
    ht_registry_free(registry);
    ht_references_free(objects);
}

/* ---- the program's own lock ---- */

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool holds;
static int n_left, n_ended;
static void ending(void) { __atomic_add_fetch(&n_ended, 1, __ATOMIC_RELAXED); }

static void *leave(void)
{
    if (!holds) return NULL;
    holds = false;
    __atomic_add_fetch(&n_left, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&own);
    return &own;
}
static void enter(void *left)
{
    assert_ptr_equal(left, &own);
    pthread_mutex_lock(&own);
    holds = true;
}

static void take_own(void)
{
    pthread_mutex_lock(&own);
    holds = true;
}
static void give_own(void)
{
    holds = false;
    pthread_mutex_unlock(&own);
}

/* A body that needs the program's lock, as the run's caller holds it and others do not. */
static ht_status locked_plus(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const bool had = holds;
    if (!had) take_own();
    const ht_status status = plus_one(self, in, out, e);
    if (!had) give_own();
    return status;
}
static void locked_event(void *ud, const ht_event *event)
{
    const bool had = holds;
    (void)event;
    if (!had) take_own();
    ++*(int *)ud;
    if (!had) give_own();
}

static void nobody_waits_with_the_programs_lock(void **state)
{
    static const ht_input x[] = {{"x", NULL}};
    static const char *const y_out[] = {"y"}, *const over[] = {"x"};
    const ht_node_desc plus = {
        HT_DESC(ht_node_desc),        .name = "plus", .inputs = x, .n_inputs = 1, .outputs = y_out, .n_outputs = 1,
        .forms = {.row = locked_plus}};
    int n_events = 0;
    const ht_run_options options = {
        HT_DESC(ht_run_options), .engine = HT_ENGINE_THREADS, .n_workers = 4, .map_over = over,
        .n_map_over = 1,         .event = locked_event,       .ud = &n_events};
    ht_pipeline *p;
    ht_value list = numbers_from(0, 3000), given, out;
    (void)state;
    OK(ht_value_struct(over, &list, 1, &given, &err));
    OK(ht_pipeline_new("p", &p, &err));
    OK(ht_pipeline_add_node(p, &plus, &err));
    ht_blocking_set(leave, enter, ending);
    take_own();
    OK(ht_pipeline_map(p, given, &options, &out, &err));
    assert_true(holds);
    give_own();
    ht_blocking_set(NULL, NULL, NULL);
    assert_int_equal(n_ended, 3); /* the run's own pool of four */
    assert_int_equal(n_events, 6000);
    assert_true(n_left > 0);
    ht_value_release(out);
    ht_value_release(given);
    ht_value_release(list);
    ht_pipeline_release(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_goes_on_where_it_is),
        cmocka_unit_test(stacks_that_are_given_up_end_on_their_threads),
        cmocka_unit_test(constants_are_the_same_by_their_type),
        cmocka_unit_test(shared_inputs_come_as_constants),
        cmocka_unit_test(objects_are_mapped_and_results_gathered),
        cmocka_unit_test(independent_calls_are_under_way_together),
        cmocka_unit_test(slices_run_elsewhere_on_the_same_objects),
        cmocka_unit_test(nobody_waits_with_the_programs_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
