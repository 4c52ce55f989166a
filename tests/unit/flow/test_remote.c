/*
 * test_remote.c - maps and classes in other processes: this program is also its own worker.
 *
 * The same pipelines run on every engine and must give the same values, the same order, the same events and the same
 * words where something fails; children are made once, kept, and started again when they die.
 */
#include "flow/registry_int.h"
#include "flow_test.h"

#include <signal.h>
#include <unistd.h>

static ht_registry *registry;

/* ---- what runs there ---- */

/* A heavy class: 90 MB made by init out of a few bytes of arguments. */
typedef struct model {
    char *weights;
    int64_t scale, calls;
} model;

static ht_status model_init(void **self, ht_value args, ht_error *e)
{
    ht_value scale = ht_value_null();
    (void)ht_value_field(args, "scale", &scale);
    if (scale.kind != HT_KIND_INT) return HT_FAIL(e, INVALID, "a model needs a scale");
    model *m = calloc(1, sizeof *m);
    m->weights = malloc(90u << 20);
    memset(m->weights, 1, 90u << 20);
    m->scale = scale.as.integer;
    *self = m;
    return HT_OK;
}

static void model_fini(void *self)
{
    free(((model *)self)->weights);
    free(self);
}

static ht_status scale_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    if (in[0].as.integer == 13) return HT_FAIL(e, FAILED, "thirteen");
    out[0] = ht_value_int(in[0].as.integer * ((model *)self)->scale);
    return HT_OK;
}

static ht_status scale_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *e)
{
    for (size_t i = 0; i < n; i++) {
        const ht_status status = scale_row(self, &in[0].rows[i], &out[0][i], e);
        if (status != HT_OK) return status;
    }
    return HT_OK;
}

static ht_status pid_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)e;
    out[0] = ht_value_int(getpid());
    return HT_OK;
}

/* Kills its process, but only the first time that this file is absent. */
static ht_status die_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const char *path = ht_value_text(in[0]).data;
    (void)self;
    (void)e;
    if (!strcmp(path, "always") || access(path, F_OK) != 0) {
        FILE *file = strcmp(path, "always") ? fopen(path, "w") : NULL;
        if (file) fclose(file);
        raise(SIGKILL);
    }
    out[0] = ht_value_int(1);
    return HT_OK;
}

static ht_status sleep_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)e;
    hti_sleep_ns((uint64_t)in[0].as.integer * 1000000);
    out[0] = ht_value_int(1);
    return HT_OK;
}

static ht_status sum_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    const ht_tensor *tensor = ht_value_tensor_view(in[0]);
    double sum = 0;
    (void)self;
    (void)e;
    for (size_t i = 0; tensor && i < tensor->n; i++) sum += (double)((const float *)tensor->data)[i];
    out[0] = ht_value_float(sum);
    return HT_OK;
}

/* Keeps what it gets, and gives back what it was given: a tensor of the first elements of all that it has kept. */
static ht_status keep_row(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    static ht_value kept[20];
    static size_t n;
    const int64_t shape[] = {ht_value_tensor_view(in[0])->shape[0]};
    (void)self;
    kept[n++] = ht_value_retain(in[0]);
    const ht_status status = ht_value_tensor(HT_F32, 1, shape, NULL, out, e);
    if (status != HT_OK) return status;
    float *data = ht_value_tensor_view(*out)->data;
    for (size_t i = 0; i < n; i++) data[i] = ((const float *)ht_value_tensor_view(kept[i])->data)[shape[0] - 1];
    return HT_OK;
}

static const ht_method model_methods[] = {
    {"scale", 1, {.row = scale_row, .batch = scale_batch}},
    {"pid", 1, {.row = pid_row}},
    {"die", 1, {.row = die_row}},
    {"sleep", 1, {.row = sleep_row, .timeout_ms = 1500}},
    {"sum", 1, {.row = sum_row}},
    {"keep", 1, {.row = keep_row}},
    {"die_twice", 1, {.row = die_row, .max_retries = 2}},
};
static const ht_class away_class = {HT_DESC(ht_class),  .name = "test.Away",      .init = model_init,
                                    .fini = model_fini, .methods = model_methods, .n_methods = HTI_LEN(model_methods),
                                    .use_process = true};
static const ht_class here_class = {HT_DESC(ht_class),  .name = "test.Here",      .init = model_init,
                                    .fini = model_fini, .methods = model_methods, .n_methods = HTI_LEN(model_methods)};
static const ht_class stranger_class = {HT_DESC(ht_class),        .name = "test.Stranger",
                                        .init = model_init,       .fini = model_fini,
                                        .methods = model_methods, .n_methods = HTI_LEN(model_methods)};

static ht_status twice(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    if (in[0].as.integer == 77) return HT_FAIL(e, NOT_FOUND, "seventy-seven");
    out[0] = ht_value_int(in[0].as.integer * 2);
    return HT_OK;
}

static ht_status where(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    (void)e;
    out[0] = ht_value_int(getpid());
    return HT_OK;
}

static ht_status count_items(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    size_t n;
    (void)self;
    (void)e;
    (void)ht_value_items(in[0], &n);
    out[0] = ht_value_int((int64_t)n);
    return HT_OK;
}

static ht_status make_box(void *self, const ht_value *in, ht_value *out, ht_error *e);

static const ht_input x_input[] = {{"x", NULL}}, list_input[] = {{"list", NULL}};
static const char *const y_output[] = {"y"}, *const pid_output[] = {"pid"}, *const n_output[] = {"n"},
                         *const box_output[] = {"box"};
static const ht_node_desc twice_node = {HT_DESC(ht_node_desc),  .name = "test.twice", .inputs = x_input,
                                        .n_inputs = 1,          .outputs = y_output,  .n_outputs = 1,
                                        .forms = {.row = twice}};
static const ht_node_desc where_node = {HT_DESC(ht_node_desc),  .name = "test.where",  .inputs = x_input,
                                        .n_inputs = 1,          .outputs = pid_output, .n_outputs = 1,
                                        .forms = {.row = where}};
static const ht_node_desc count_node = {
    HT_DESC(ht_node_desc), .name = "test.count", .inputs = list_input,         .n_inputs = 1,
    .outputs = n_output,   .n_outputs = 1,       .forms = {.row = count_items}};
static const ht_node_desc box_node = {
    HT_DESC(ht_node_desc), .name = "test.box", .inputs = x_input,         .n_inputs = 1,
    .outputs = box_output, .n_outputs = 1,     .forms = {.row = make_box}};

static void release_box(void *object) { free(object); }
static const ht_type box_type = {HT_DESC(ht_type), .name = "test.Box", .release = release_box};

static ht_status make_box(void *self, const ht_value *in, ht_value *out, ht_error *e)
{
    (void)self;
    (void)in;
    return ht_value_opaque(&box_type, malloc(1), out, e);
}

static void make_registry(void)
{
    OK(ht_registry_new(&registry, &err));
    OK(ht_registry_add_class(registry, &away_class, &err));
    OK(ht_registry_add_class(registry, &here_class, &err));
    OK(ht_registry_add_node(registry, &twice_node, &err));
    OK(ht_registry_add_node(registry, &where_node, &err));
    OK(ht_registry_add_node(registry, &count_node, &err));
    OK(ht_registry_add_node(registry, &box_node, &err));
    OK(ht_registry_add_type(registry, &box_type, &err));
}

/* ---- helpers ---- */

static ht_instance *instance_of(const char *cls, int64_t scale)
{
    ht_instance *instance;
    ht_value args = struct_of("scale", ht_value_int(scale));
    OK(ht_registry_instance(registry, cls, args, &instance, &err));
    ht_value_release(args);
    return instance;
}

static const char *const over_x[] = {"x"};
static ht_run_options on_engine(ht_engine engine)
{
    return (ht_run_options){HT_DESC(ht_run_options), .engine = engine,   .n_workers = 2,
                            .registry = registry,    .map_over = over_x, .n_map_over = 1};
}

/* ---- classes in processes of their own ---- */

static void a_class_lives_in_a_child(void **state)
{
    ht_value out, x = ht_value_int(21);
    (void)state;
    ht_instance *instance = instance_of("test.Away", 3);
    OK(ht_instance_call(instance, "scale", &x, 1, &out, &err));
    assert_int_equal(out.as.integer, 63);
    OK(ht_instance_call(instance, "pid", &x, 1, &out, &err));
    const int64_t pid = out.as.integer;
    assert_int_not_equal(pid, getpid());
    OK(ht_instance_call(instance, "pid", &x, 1, &out, &err));
    assert_int_equal(out.as.integer, pid); /* the same child */
    ht_instance *again = instance_of("test.Away", 3);
    assert_ptr_equal(again, instance); /* equal arguments, one instance */
    hti_workers *workers;
    hti_work work;
    OK(hti_instance_workers(instance, &workers, &work, &err));
    assert_true(work.job_len < 1024);
    print_message("the spec of a 90 MB model takes %zu bytes\n", work.job_len);
    ht_instance_release(again);
    ht_instance_release(instance);
}

static void rows_go_there_in_batches(void **state)
{
    ht_value out, rows[500];
    (void)state;
    ht_instance *instance = instance_of("test.Away", 5);
    ht_pipeline *p = pipeline_of(NULL);
    OK(ht_pipeline_add_method(p, "scaled", instance, "scale", x_input, "y", &err));
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_THREADS; engine++) {
        const ht_run_options options = on_engine((ht_engine)engine);
        ht_value inputs;
        for (int i = 0; i < 500; i++) rows[i] = ht_value_int(i == 13 ? 14 : i);
        ht_value list;
        OK(ht_value_list(rows, 500, &list, &err));
        inputs = struct_of("x", list);
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        size_t n;
        const ht_value *items = ht_value_items(out, &n);
        assert_int_equal(n, 500);
        for (int i = 0; i < 500; i++) assert_int_equal(int_of(items[i], "y"), 5 * (i == 13 ? 14 : i));
        ht_value_release(out);
        ht_value_release(inputs);
    }
    assert_int_equal(ht_instance_get_stats(instance).batches, 2);
    ht_pipeline_release(p);
    ht_instance_release(instance);
}

static void large_arrays_go_through_shared_memory(void **state)
{
    const int64_t shape[] = {1 << 18};
    ht_value tensor, out;
    (void)state;
    OK(ht_value_tensor(HT_F32, 1, shape, NULL, &tensor, &err));
    float *data = ht_value_tensor_view(tensor)->data;
    for (int i = 0; i < 1 << 18; i++) data[i] = 1;
    ht_instance *instance = instance_of("test.Away", 1);
    OK(ht_instance_call(instance, "sum", &tensor, 1, &out, &err));
    assert_true(out.as.number == (double)(1 << 18));
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        const uint64_t start = hti_clock_ns();
        OK(ht_instance_call(instance, "sum", &tensor, 1, &out, &err));
        best = HTI_MIN(best, hti_clock_ns() - start);
    }
    print_message("1 MB of floats there and back: %.3f ms\n", (double)best / 1e6);
    ht_value_release(tensor);
    ht_instance_release(instance);
}

/* More of them than there are blocks, held on both sides, and one child dies: each stays what it was. */
static void arrays_that_are_held_stay(void **state)
{
    enum { N = 20, LEN = 100000 };
    const int64_t shape[] = {LEN};
    ht_value out[N], tensor, x = ht_value_int(1), pid;
    (void)state;
    ht_instance *instance = instance_of("test.Away", 21);
    for (int i = 0; i < N; i++) {
        OK(ht_value_tensor(HT_F32, 1, shape, NULL, &tensor, &err));
        float *data = ht_value_tensor_view(tensor)->data;
        for (int k = 0; k < LEN; k++) data[k] = (float)(i + 1);
        OK(ht_instance_call(instance, "keep", &tensor, 1, &out[i], &err));
        ht_value_release(tensor);
    }
    OK(ht_instance_call(instance, "pid", &x, 1, &pid, &err));
    (void)kill((pid_t)pid.as.integer, SIGKILL);
    ht_status status = HT_FAILED; /* until its end is seen */
    while (status == HT_FAILED) status = ht_instance_call(instance, "scale", &x, 1, &pid, &err);
    assert_int_equal(status, HT_OK);
    for (int i = 0; i < N; i++) {
        const float *data = ht_value_tensor_view(out[i])->data;
        for (int k = 0; k < N; k++) assert_true(data[k] == (k <= i ? (float)(k + 1) : 0));
        ht_value_release(out[i]);
    }
    ht_instance_release(instance);
}

static void a_crash_is_an_error_and_the_child_comes_back(void **state)
{
    ht_value out, x = ht_value_int(2), path;
    (void)state;
    ht_instance *instance = instance_of("test.Away", 7);
    OK(ht_value_string((ht_text){"always", 6}, &path, &err));
    assert_int_equal(ht_instance_call(instance, "die", &path, 1, &out, &err), HT_FAILED);
    assert_non_null(strstr(err.message, "killed by signal 9"));
    OK(ht_instance_call(instance, "scale", &x, 1, &out, &err));
    assert_int_equal(out.as.integer, 14);
    ht_value_release(path);
    char file[] = "/tmp/ht_dieXXXXXX";
    close(mkstemp(file));
    unlink(file);
    OK(ht_value_string((ht_text){file, strlen(file)}, &path, &err));
    OK(ht_instance_call(instance, "die_twice", &path, 1, &out, &err)); /* a retry finds the file */
    assert_int_equal(out.as.integer, 1);
    unlink(file);
    ht_value_release(path);
    ht_instance_release(instance);
}

static void failures_and_time_limits_come_home(void **state)
{
    ht_value out, x = ht_value_int(13);
    (void)state;
    ht_instance *instance = instance_of("test.Away", 9);
    assert_int_equal(ht_instance_call(instance, "scale", &x, 1, &out, &err), HT_FAILED);
    assert_string_equal(err.message, "thirteen");
    x = ht_value_int(20000);
    const uint64_t start = hti_clock_ns();
    assert_int_equal(ht_instance_call(instance, "sleep", &x, 1, &out, &err), HT_TIMEOUT);
    assert_true(hti_clock_ns() - start < 15000000000u);
    assert_non_null(strstr(err.message, "no answer within 1500 ms"));
    x = ht_value_int(1);
    OK(ht_instance_call(instance, "sleep", &x, 1, &out, &err));
    ht_instance_release(instance);
    ht_value args = ht_value_null();
    OK(ht_registry_instance(registry, "test.Away", args, &instance, &err));
    assert_int_equal(ht_instance_call(instance, "scale", &x, 1, &out, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "a model needs a scale"));
    ht_instance_release(instance);
    OK(ht_instance_new(&away_class, args, &instance, &err));
    assert_int_equal(ht_instance_call(instance, "scale", &x, 1, &out, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ht_registry_instance"));
    ht_instance_release(instance);
}

/* ---- maps ---- */

typedef struct heard {
    hti_buffer text;
} heard;

static void hear_event(void *ud, const ht_event *event)
{
    heard *h = ud;
    hti_buffer_printf(&h->text, "%d %s %u %llu %llu\n", (int)event->kind, event->node, event->depth,
                      (unsigned long long)event->item, (unsigned long long)event->n);
}

static void a_map_is_the_same_on_every_engine(void **state)
{
    ht_value expected = ht_value_null(), out;
    heard first = {0}, now = {0};
    (void)state;
    ht_pipeline *p = pipeline_of(&twice_node);
    hti_buffer_init(&first.text);
    hti_buffer_init(&now.text);
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine += 2) {
        ht_run_options options = on_engine((ht_engine)engine);
        ht_value inputs = struct_of("x", numbers_from(0, 50));
        options.event = hear_event;
        options.ud = engine ? &now : &first;
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        if (engine == HT_ENGINE_SEQUENTIAL) {
            expected = out;
        } else {
            assert_true(ht_value_equal(expected, out));
            ht_value_release(out);
        }
        ht_value_release(inputs);
    }
    assert_string_equal(hti_buffer_view(&first.text).data, hti_buffer_view(&now.text).data);
    hti_buffer_deinit(&first.text);
    hti_buffer_deinit(&now.text);
    ht_value_release(expected);
    ht_pipeline_release(p);
}

static void it_runs_elsewhere(void **state)
{
    ht_value out;
    size_t n;
    (void)state;
    ht_pipeline *p = pipeline_of(&where_node);
    const ht_run_options options = on_engine(HT_ENGINE_PROCESSES);
    ht_value inputs = struct_of("x", numbers_from(0, 100));
    OK(ht_pipeline_map(p, inputs, &options, &out, &err));
    const ht_value *items = ht_value_items(out, &n);
    assert_int_equal(n, 100);
    for (size_t i = 0; i < n; i++) assert_int_not_equal(int_of(items[i], "pid"), getpid());
    ht_value_release(out);
    ht_value_release(inputs);
    ht_pipeline_release(p);
}

static void the_same_words_where_an_item_fails(void **state)
{
    ht_value out;
    char words[HT_ERROR_TEXT] = "";
    (void)state;
    ht_pipeline *inner = pipeline_of(&twice_node), *p = pipeline_of(NULL);
    const ht_rename in = {"xs", "x"}, back = {"y", "ys"};
    const char *const over = "xs";
    OK(ht_pipeline_add_pipeline(p, inner,
                                &(ht_as_node){HT_DESC(ht_as_node), .name = "many", .inputs = &in, .n_inputs = 1,
                                              .outputs = &back, .n_outputs = 1, .map_over = &over, .n_map_over = 1},
                                &err));
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine++) {
        ht_run_options options = on_engine((ht_engine)engine);
        ht_value inputs = struct_of("xs", numbers_from(0, 100));
        assert_int_equal(ht_pipeline_run(p, inputs, &options, &out, &err), HT_NOT_FOUND);
        if (engine) assert_string_equal(err.message, words);
        memcpy(words, err.message, sizeof words);
        ht_value_release(inputs);
    }
    assert_non_null(strstr(words, "item 77"));
    assert_non_null(strstr(words, "seventy-seven"));
    ht_pipeline_release(inner);
    ht_pipeline_release(p);
}

static void failures_stand_in_their_places(void **state)
{
    ht_value out;
    size_t n;
    (void)state;
    ht_pipeline *p = pipeline_of(&twice_node);
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine++) {
        ht_run_options options = on_engine((ht_engine)engine);
        ht_value inputs = struct_of("x", numbers_from(0, 100));
        options.errors = HT_ERRORS_COLLECT;
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        const ht_value *items = ht_value_items(out, &n);
        assert_int_equal(n, 100);
        for (size_t i = 0; i < n; i++) {
            const ht_failure *failure = ht_value_failure(items[i]);
            if (i != 77) {
                assert_null(failure);
                assert_int_equal(int_of(items[i], "y"), 2 * i);
                continue;
            }
            assert_non_null(failure);
            assert_int_equal(failure->item, 77);
            assert_int_equal(failure->status, HT_NOT_FOUND);
            assert_string_equal(failure->node, "test.twice");
            assert_non_null(strstr(failure->message, "seventy-seven"));
        }
        ht_value_release(out);
        ht_value_release(inputs);
    }
    ht_pipeline_release(p);
}

typedef struct stream {
    uint64_t next;
} stream;

static ht_status take_result(void *ud, uint64_t item, ht_value value, ht_error *e)
{
    stream *s = ud;
    assert_int_equal(item, s->next);
    s->next++;
    assert_int_equal(int_of(value, "y"), 2 * item);
    return item == 60 ? HT_FAIL(e, CANCELLED, "enough") : HT_OK;
}

static void results_come_in_order_as_they_are_there(void **state)
{
    ht_value out;
    (void)state;
    ht_pipeline *p = pipeline_of(&twice_node);
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine++) {
        stream s = {0};
        ht_run_options options = on_engine((ht_engine)engine);
        ht_value inputs = struct_of("x", numbers_from(0, 50));
        options.result = take_result;
        options.ud = &s;
        OK(ht_pipeline_map(p, inputs, &options, &out, &err));
        assert_int_equal(s.next, 50);
        assert_int_equal(out.kind, HT_KIND_NULL);
        ht_value_release(inputs);
        s.next = 0;
        inputs = struct_of("x", numbers_from(0, 70));
        assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_CANCELLED);
        assert_int_equal(s.next, 61);
        ht_value_release(inputs);
    }
    ht_pipeline_release(p);
}

static void nested_lists_keep_their_order_and_emptiness(void **state)
{
    enum { LISTS = 2000 };
    ht_value lists[LISTS], out, all, expected = ht_value_null();
    (void)state;
    ht_pipeline *inner = pipeline_of(&twice_node), *middle = pipeline_of(&count_node), *p = pipeline_of(NULL);
    const ht_rename in = {"list", "x"}, back = {"y", "ys"}, in_outer = {"lists", "list"};
    const char *const over = "list", *const over_lists = "lists";
    OK(ht_pipeline_add_pipeline(middle, inner,
                                &(ht_as_node){HT_DESC(ht_as_node), .name = "one_list", .inputs = &in, .n_inputs = 1,
                                              .outputs = &back, .n_outputs = 1, .map_over = &over, .n_map_over = 1},
                                &err));
    OK(ht_pipeline_add_pipeline(p, middle,
                                &(ht_as_node){HT_DESC(ht_as_node), .name = "all_lists", .inputs = &in_outer,
                                              .n_inputs = 1, .map_over = &over_lists, .n_map_over = 1},
                                &err));
    for (int i = 0; i < LISTS; i++) {
        ht_value items[100];
        const size_t n = i % 7 == 3 ? 0 : 100;
        for (size_t k = 0; k < n; k++) items[k] = ht_value_int(1000 + i + (int64_t)k);
        OK(ht_value_list(items, n, &lists[i], &err));
    }
    OK(ht_value_list_take(lists, LISTS, &all, &err));
    ht_value inputs = struct_of("lists", all);
    for (int engine = HT_ENGINE_SEQUENTIAL; engine <= HT_ENGINE_PROCESSES; engine++) {
        const ht_run_options options = on_engine((ht_engine)engine);
        const uint64_t start = hti_clock_ns();
        OK(ht_pipeline_run(p, inputs, &options, &out, &err));
        print_message("%d lists of 100 or none on engine %d: %.1f ms\n", LISTS, engine,
                      (double)(hti_clock_ns() - start) / 1e6);
        ht_value ys;
        size_t n, n_items;
        assert_true(ht_value_field(out, "ys", &ys));
        const ht_value *rows = ht_value_items(ys, &n);
        assert_int_equal(n, LISTS);
        for (size_t i = 0; i < n; i++) {
            const ht_value *items = ht_value_items(rows[i], &n_items);
            assert_int_equal(n_items, i % 7 == 3 ? 0 : 100);
            for (size_t k = 0; k < n_items; k++) assert_int_equal(items[k].as.integer, 2 * (1000 + i + k));
        }
        if (engine) {
            assert_true(ht_value_equal(expected, out));
            ht_value_release(out);
        } else {
            expected = out;
        }
    }
    ht_value_release(expected);
    ht_value_release(inputs);
    ht_pipeline_release(inner);
    ht_pipeline_release(middle);
    ht_pipeline_release(p);
}

/* ---- what cannot travel ---- */

static void what_cannot_travel_is_refused_before_anything_runs(void **state)
{
    ht_value out, boxes[2], list;
    const ht_run_options options = on_engine(HT_ENGINE_PROCESSES);
    (void)state;
    ht_pipeline *p = pipeline_of(&where_node);
    for (int i = 0; i < 2; i++) OK(ht_value_opaque(&box_type, malloc(1), &boxes[i], &err));
    OK(ht_value_list_take(boxes, 2, &list, &err));
    ht_value inputs = struct_of("x", list);
    assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_UNSUPPORTED);
    assert_string_equal(err.message, "input 'x': 'test.Box' has no codec, so it cannot leave this process");
    ht_value_release(inputs);
    ht_pipeline_release(p);

    ht_node_desc unknown = twice_node;
    unknown.name = "test.unknown";
    p = pipeline_of(&unknown);
    inputs = struct_of("x", numbers_from(0, 3));
    assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "node 'test.unknown': type 'test.unknown' is not in the registry"));
    ht_pipeline_release(p);

    for (int i = 0; i < 2; i++) { /* a worker would run what its own registry has */
        ht_node_desc other = twice_node;
        if (i)
            other.forms.on_error = HT_ON_ERROR_NULL;
        else
            other.version = "2";
        p = pipeline_of(&other);
        assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_UNSUPPORTED);
        assert_non_null(strstr(err.message, i ? "'test.twice' has other batches" : "'test.twice' has another version"));
        ht_pipeline_release(p);
    }

    ht_instance *instance;
    ht_value args = struct_of("scale", ht_value_int(1));
    OK(ht_instance_new(&stranger_class, args, &instance, &err));
    p = pipeline_of(NULL);
    OK(ht_pipeline_add_method(p, "scaled", instance, "scale", x_input, "y", &err));
    assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "class 'test.Stranger' is not in the registry"));
    ht_value_release(args);
    ht_instance_release(instance);
    ht_pipeline_release(p);

    p = pipeline_of(&box_node); /* known only when it is made */
    assert_int_equal(ht_pipeline_map(p, inputs, &options, &out, &err), HT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'test.Box' has no codec"));
    ht_pipeline_release(p);
    ht_value_release(inputs);
    ht_run_options without = options;
    without.registry = NULL;
    p = pipeline_of(&twice_node);
    inputs = struct_of("x", numbers_from(0, 3));
    assert_int_equal(ht_pipeline_map(p, inputs, &without, &out, &err), HT_INVALID);
    ht_value_release(inputs);
    ht_pipeline_release(p);
}

static int after_all(void **state)
{
    (void)state;
    ht_registry_free(registry);
    registry = NULL;
    return hti_alloc_get_stats().live_bytes == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    make_registry();
    const int code = ht_worker_main(argc, argv, registry);
    if (code >= 0) {
        ht_registry_free(registry);
        return code;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_lives_in_a_child),
        cmocka_unit_test(rows_go_there_in_batches),
        cmocka_unit_test(large_arrays_go_through_shared_memory),
        cmocka_unit_test(arrays_that_are_held_stay),
        cmocka_unit_test(a_crash_is_an_error_and_the_child_comes_back),
        cmocka_unit_test(failures_and_time_limits_come_home),
        cmocka_unit_test(a_map_is_the_same_on_every_engine),
        cmocka_unit_test(it_runs_elsewhere),
        cmocka_unit_test(the_same_words_where_an_item_fails),
        cmocka_unit_test(failures_stand_in_their_places),
        cmocka_unit_test(results_come_in_order_as_they_are_there),
        cmocka_unit_test(nested_lists_keep_their_order_and_emptiness),
        cmocka_unit_test(what_cannot_travel_is_refused_before_anything_runs),
    };
    return cmocka_run_group_tests(tests, NULL, after_all);
}
