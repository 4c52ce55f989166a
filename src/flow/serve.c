/*
 * serve.c - the other end of remote.c: what a worker process does with a job and its pieces.
 *
 * A job is decoded once and kept, least recently used out first; its pieces name it by key. Two kinds: {plan, shared,
 * ...} whose pieces are slices of a map, and {instance} whose pieces are calls of a method in a process of its own.
 * Everything is checked as it comes: the parent is trusted to be a program of ours, not to be free of faults.
 */
#include "fields.h"
#include "registry_int.h"
#include "run_int.h"

/* ---- jobs ---- */

static void drop_job(hti_kept_job *job)
{
    ht_plan_release(job->plan);
    ht_value_release(job->job);
    *job = (hti_kept_job){.job = ht_value_null()};
}

void hti_serve_end(ht_registry *registry)
{
    for (size_t i = 0; i < HTI_KEPT_JOBS; i++) drop_job(&registry->jobs[i]);
    ht_cache_close(registry->cache);
    registry->cache = NULL;
}

static bool true_field(ht_value value, const char *name)
{
    ht_value field;
    return ht_value_field(value, name, &field) && field.kind == HT_KIND_BOOL && field.as.boolean;
}

static ht_status read_job(ht_registry *registry, const hti_body *data, hti_kept_job *out, ht_error *err)
{
    ht_value plan;
    HT_TRY(hti_value_decode_body(data, registry, &out->job, err));
    if (!ht_value_field(out->job, "plan", &plan)) return HT_OK;
    return hti_plan_of_value(registry, plan, true_field(out->job, "plain"), &out->plan, err);
}

static ht_status find_job(ht_registry *registry, ht_key key, const hti_body *data, hti_kept_job **out, ht_error *err)
{
    hti_kept_job *oldest = &registry->jobs[0];
    for (size_t i = 0; i < HTI_KEPT_JOBS; i++) {
        hti_kept_job *job = &registry->jobs[i];
        if (job->used && job->key.low == key.low && job->key.high == key.high) {
            job->used = ++registry->n_served;
            *out = job;
            return HT_OK;
        }
        if (job->used < oldest->used) oldest = job;
    }
    if (!data) return HT_FAIL(err, PARKED, "the job is not known here"); /* asks for it */
    drop_job(oldest);
    const ht_status status = read_job(registry, data, oldest, err);
    if (status != HT_OK) {
        drop_job(oldest);
        return status;
    }
    oldest->key = key;
    oldest->used = ++registry->n_served;
    *out = oldest;
    return HT_OK;
}

static int64_t int_field(ht_value value, const char *name, int64_t otherwise)
{
    ht_value field;
    return ht_value_field(value, name, &field) && field.kind == HT_KIND_INT ? field.as.integer : otherwise;
}

/* ---- events ---- */

typedef struct event_list {
    ht_value *events; /* [n] */
    size_t n, cap;
    ht_status status;
} event_list;

/* Why a node failed, as replies tell failures; null: not known, or it cannot be told. */
static ht_value failure_of(const ht_event *event)
{
    hti_fields f = {0};
    ht_value told = ht_value_null();
    if (!event->why) return told;
    hti_put_failure(&f, event->why->status, event->why);
    return hti_fields_end(&f, &told) == HT_OK ? told : ht_value_null();
}

static void note_event(void *ud, const ht_event *event)
{
    event_list *list = ud;
    ht_value parts[] = {ht_value_int(event->kind),
                        ht_value_null(),
                        ht_value_int(event->depth),
                        ht_value_int((int64_t)event->item),
                        ht_value_int((int64_t)event->n),
                        ht_value_int((int64_t)event->frame),
                        ht_value_int((int64_t)event->parent),
                        ht_value_int((int64_t)event->time_ns),
                        ht_value_null()};
    if (list->status == HT_OK)
        list->status = hti_reserve(&list->events, &list->cap, list->n + 1, sizeof *list->events, NULL);
    if (list->status == HT_OK) list->status = ht_value_string(hti_text_of(event->node), &parts[1], NULL);
    if (list->status == HT_OK) parts[HTI_LEN(parts) - 1] = failure_of(event);
    if (list->status == HT_OK) list->status = ht_value_list_take(parts, HTI_LEN(parts), &list->events[list->n], NULL);
    if (list->status == HT_OK) list->n++;
}

/* ---- a slice ---- */

static ht_status open_slice(hti_run *run, const hti_kept_job *job, ht_value slice, hti_open_map **out, ht_error *err)
{
    const ht_plan *plan = job->plan;
    ht_value values[HTI_MAX_INPUTS] = {0}, shared_list, list_list;
    uint32_t over[HTI_MAX_INPUTS] = {0};
    size_t n_shared, n_lists, n_over = 0;
    if (!ht_value_field(job->job, "shared", &shared_list) || !ht_value_field(slice, "lists", &list_list))
        return HT_FAIL(err, PARSE, "a slice without its values");
    const ht_value *shared = ht_value_items(shared_list, &n_shared), *lists = ht_value_items(list_list, &n_lists);
    if (plan->n_inputs > HTI_MAX_INPUTS || n_shared != plan->n_shared - plan->n_constants ||
        n_lists + n_shared != plan->n_inputs)
        return HT_FAIL(err, PARSE, "a slice whose values are not those of its plan");
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        const uint32_t at = plan->input_at[i];
        if (!(at & HTI_SHARED)) over[n_over] = i;
        values[i] = at & HTI_SHARED ? shared[at & ~HTI_SHARED] : lists[n_over++];
    }
    const int64_t first = int_field(slice, "first", 0);
    const hti_opening o = {plan, NULL, NULL, values, over, n_over, HT_MAP_ZIP, first < 0 ? 0 : (uint64_t)first};
    return hti_map_open_with(run, &o, out, err);
}

static ht_status columns_of(const hti_open_map *map, ht_value *out, ht_error *err)
{
    const size_t n = map->plan->n_outputs;
    ht_value *columns = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = columns ? HT_OK : HTI_NO_MEMORY(err);
    size_t made = 0;
    while (status == HT_OK && made < n) {
        status = ht_value_list(map->out + made * map->n, map->n, &columns[made], err);
        made += status == HT_OK;
    }
    if (status == HT_OK) status = ht_value_list(columns, n, out, err);
    if (columns) hti_values_release(columns, made);
    hti_free(columns);
    return status;
}

static ht_status skipped_of(const hti_open_map *map, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, map->n);
    size_t n = 0;
    if (!items) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < map->n; i++)
        if (map->state[i] == HTI_ITEM_SKIPPED) items[n++] = ht_value_int((int64_t)i);
    const ht_status status = ht_value_list(items, n, out, err);
    hti_free(items);
    return status;
}

/* Behind the fields that are there, what was seen of the slice. */
static ht_status end_reply(hti_fields *f, const event_list *events, ht_trace *trace, ht_writer *writer)
{
    ht_value list = ht_value_null(), spans = list, reply = list;
    if (f->status == HT_OK) f->status = ht_value_list(events->events, events->n, &list, f->err);
    hti_fields_take(f, "events", list);
    hti_fields_take(f, "process", ht_value_int(hti_process_id()));
    if (trace && f->status == HT_OK) f->status = hti_trace_value(trace, &spans, f->err);
    hti_fields_take(f, "spans", spans);
    HT_TRY(hti_fields_end(f, &reply));
    const ht_status status = ht_value_encode(reply, writer, f->err);
    ht_value_release(reply);
    return status;
}

static ht_status reply_slice(const hti_open_map *map, const event_list *events, ht_trace *trace, ht_writer *writer,
                             ht_error *err)
{
    ht_value columns = ht_value_null(), skipped = columns;
    hti_fields f = {.err = err};
    f.status = columns_of(map, &columns, err);
    hti_fields_take(&f, "out", columns);
    if (f.status == HT_OK) f.status = skipped_of(map, &skipped, err);
    hti_fields_take(&f, "skipped", skipped);
    return end_reply(&f, events, trace, writer);
}

/* A failure of the items is an answer, too, so that what was seen before it is not lost. */
static ht_status reply_failure(ht_status why, const event_list *events, ht_trace *trace, ht_writer *writer,
                               ht_error *err)
{
    hti_fields f = {.err = err};
    hti_put_failure(&f, why, err);
    return end_reply(&f, events, trace, writer);
}

/*
 * The cache that the job names; one that cannot be opened here is done without. Where other threads may be using the
 * one that is open, another is this slice's alone: *own.
 */
static ht_cache *cache_of(ht_registry *registry, const hti_kept_job *job, ht_cache **own)
{
    ht_value path;
    ht_cache *found = NULL;
    if (!ht_value_field(job->job, "cache", &path) || path.kind != HT_KIND_STRING) return NULL;
    const char *name = ht_value_text(path).data;
    hti_mutex_lock(registry->serve);
    if (registry->cache && registry->in_worker && strcmp(ht_cache_path(registry->cache), name) != 0) {
        ht_cache_close(registry->cache);
        registry->cache = NULL;
    }
    if (!registry->cache && ht_cache_open(name, NULL, &registry->cache, NULL) != HT_OK) registry->cache = NULL;
    if (registry->cache && !strcmp(ht_cache_path(registry->cache), name))
        found = registry->cache;
    else if (ht_cache_open(name, NULL, own, NULL) == HT_OK)
        found = *own;
    hti_mutex_unlock(registry->serve);
    return found;
}

static ht_status serve_slice(ht_registry *registry, const hti_kept_job *job, ht_value slice, ht_writer *reply,
                             ht_error *err)
{
    event_list events = {0};
    ht_run_options options = {HT_DESC(ht_run_options)};
    hti_run run;
    hti_open_map *map = NULL;
    options.window = (size_t)HTI_MAX(int_field(job->job, "window", 0), 0);
    options.batch_max = (size_t)HTI_MAX(int_field(job->job, "batch_max", 0), 0);
    ht_cache *own_cache = NULL;
    options.cache = cache_of(registry, job, &own_cache);
    options.registry = registry;
    if (true_field(job->job, "collect")) options.errors = HT_ERRORS_COLLECT;
    if (true_field(job->job, "events")) {
        options.event = note_event;
        options.item_events = true;
        options.ud = &events;
    }
    ht_status status = HT_OK;
    if (true_field(job->job, "trace")) status = ht_trace_new(0, &options.trace, err);
    const ht_status begun = hti_run_init(&run, &options, err);
    if (status == HT_OK) status = begun;
    if (status == HT_OK) status = hti_trace_run(&run, job->plan, err);
    if (status == HT_OK) status = open_slice(&run, job, slice, &map, err);
    const ht_status ran = status == HT_OK ? hti_map_run(&run, map, err) : status;
    hti_cache_flush(&run);
    if (status == HT_OK && events.status != HT_OK) status = HTI_NO_MEMORY(err);
    if (status == HT_OK)
        status = ran == HT_OK ? reply_slice(map, &events, options.trace, reply, err)
                              : reply_failure(ran, &events, options.trace, reply, err);
    hti_map_close(map);
    hti_run_deinit(&run);
    ht_trace_free(options.trace);
    ht_cache_close(own_cache);
    hti_values_release(events.events, events.n);
    hti_free(events.events);
    return status;
}

/* ---- a call of a class in a process of its own ---- */

static ht_status read_columns(ht_value call, ht_column *in, size_t *n_inputs, size_t n, ht_error *err)
{
    ht_value list, constant;
    size_t n_constant;
    if (!ht_value_field(call, "columns", &list) || !ht_value_field(call, "constant", &constant))
        return HT_FAIL(err, PARSE, "a call without columns");
    const ht_value *columns = ht_value_items(list, n_inputs), *flags = ht_value_items(constant, &n_constant);
    if (*n_inputs > HTI_MAX_INPUTS || n_constant != *n_inputs) return HT_FAIL(err, PARSE, "a call with odd columns");
    for (size_t i = 0; i < *n_inputs; i++) {
        size_t rows;
        in[i] = (ht_column){ht_value_items(columns[i], &rows), flags[i].as.boolean};
        if (rows != (in[i].constant ? 1 : n)) return HT_FAIL(err, PARSE, "a call's column of %zu rows", rows);
    }
    return HT_OK;
}

static ht_status reply_call(const ht_value *out, size_t n, ht_writer *writer, ht_error *err)
{
    ht_value list;
    HT_TRY(ht_value_list(out, n, &list, err));
    const ht_status status = ht_value_encode(list, writer, err);
    ht_value_release(list);
    return status;
}

/* A failure with a cause: an answer of its own, as a message alone would lose it. */
static ht_status fail_call(ht_status why, ht_writer *writer, ht_error *err)
{
    hti_fields f = {.err = err};
    ht_value reply = ht_value_null();
    hti_put_failure(&f, why, err);
    HT_TRY(hti_fields_end(&f, &reply));
    const ht_status status = ht_value_encode(reply, writer, err);
    ht_value_release(reply);
    return status;
}

static ht_status serve_call(const hti_kept_job *job, ht_value call, ht_writer *reply, ht_error *err)
{
    ht_value instance = ht_value_null(), method = ht_value_null();
    hti_chosen chosen;
    ht_column in[HTI_MAX_INPUTS];
    size_t n_inputs;
    const size_t n = (size_t)HTI_MAX(int_field(call, "n", 0), 0);
    (void)ht_value_field(job->job, "instance", &instance);
    (void)ht_value_field(call, "method", &method);
    ht_instance *object = ht_value_instance(instance);
    if (!object || method.kind != HT_KIND_STRING || n == 0) return HT_FAIL(err, PARSE, "a call that is not whole");
    HT_TRY(hti_instance_method(object, ht_value_text(method).data, &chosen, err));
    const ht_method *found = chosen.method;
    HT_TRY(read_columns(call, in, &n_inputs, n, err));
    if (n_inputs != found->n_inputs || (n > 1 && (chosen.whole || !hti_gathers(&found->forms))))
        return HT_FAIL(err, PARSE, "a call of other form");
    ht_value *out = HTI_NEW_ARRAY(ht_value, n);
    if (!out) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n; i++) out[i] = ht_value_null();
    hti_target target = hti_target_of_method(object, chosen);
    target.once = true; /* the parent repeats what fails */
    ht_status status = hti_target_call(&target, n, in, &out, err);
    if (status == HT_OK)
        status = reply_call(out, n, reply, err);
    else if (err && err->cause)
        status = fail_call(status, reply, err);
    hti_values_release(out, n);
    hti_free(out);
    return status;
}

static void free_reply(void *ud) { ht_writer_free(ud); }

/* A job of this thread's own, which others may push out of the kept ones meanwhile. */
static ht_status borrow_job(ht_registry *registry, ht_key key, const hti_body *data, hti_kept_job *out, ht_error *err)
{
    hti_kept_job *kept = NULL;
    hti_mutex_lock(registry->serve);
    const ht_status status = find_job(registry, key, data, &kept, err);
    if (status == HT_OK) {
        *out = *kept;
        (void)ht_value_retain(out->job);
        if (out->plan) hti_plan_retain(out->plan);
    }
    hti_mutex_unlock(registry->serve);
    return status;
}

static ht_status serve(ht_registry *registry, const hti_kept_job *job, const hti_body *data, ht_writer *writer,
                       ht_error *err)
{
    ht_value piece;
    HT_TRY(hti_value_decode_body(data, registry, &piece, err));
    const ht_status status =
        job->plan ? serve_slice(registry, job, piece, writer, err) : serve_call(job, piece, writer, err);
    ht_value_release(piece);
    return status;
}

ht_status hti_serve(void *ud, ht_key key, const hti_body *job, const hti_body *data, hti_reply *reply, ht_error *err)
{
    ht_registry *registry = ud;
    hti_kept_job kept;
    ht_writer *writer;
    HT_TRY(borrow_job(registry, key, job, &kept, err));
    ht_status status = ht_writer_new(&writer, err);
    if (status == HT_OK) {
        hti_writer_gather(writer);
        status = serve(registry, &kept, data, writer, err);
        if (status == HT_OK) status = hti_writer_pieces(writer, &reply->pieces, err);
    }
    drop_job(&kept);
    *reply = (hti_reply){reply->pieces, free_reply, writer};
    return status;
}

ht_status ht_serve(ht_registry *registry, const ht_slice *slice, ht_references *objects, ht_writer *reply,
                   ht_error *err)
{
    const hti_body job = {.data = slice->job, .len = slice->job_len},
                   data = {.data = slice->data, .len = slice->data_len};
    hti_kept_job kept;
    HT_TRY(borrow_job(registry, slice->key, &job, &kept, err));
    ht_references *before = ht_references_use(objects);
    const ht_status status = serve(registry, &kept, &data, reply, err);
    (void)ht_references_use(before);
    drop_job(&kept);
    return status;
}

int ht_worker_main(int argc, char **argv, ht_registry *registry)
{
    if (argc < 2 || strcmp(argv[1], HTI_WORKER_FLAG) != 0) {
        registry->is_program = true;
        return -1;
    }
    registry->in_worker = true;
    for (int i = 2; i + 1 < argc; i += 2) {
        ht_error err = {0};
        if (strcmp(argv[i], "--plugin") != 0 || ht_registry_load(registry, argv[i + 1], &err) == HT_OK) continue;
        hti_write_standard_error(err.message, strlen(err.message));
        return ht_status_exit_code(err.status);
    }
    return hti_worker_serve(HTI_WORKER_FD, hti_serve, registry);
}
