/*
 * remote.c - maps in worker processes: cut into slices here, run by serve.c there (docs/formats/slices.md).
 *
 * A slice is a run of items in order, cut at multiples of the plan's batch sizes, about four a worker, so that the cut
 * depends on the number of items and workers and never on time. What all slices share (the plan, values that are not
 * mapped) is a job that travels to each worker once. Results, events and failures are taken in the order of the slices,
 * whatever the order in which they come.
 */
#include "fields.h"
#include "registry_int.h"
#include "run_int.h"

enum { SLICES_PER_WORKER = 4, AHEAD_PER_WORKER = 2 };

/* ---- what may travel ---- */

ht_status hti_value_can_travel(ht_value value, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(value, &n);
    const ht_type *type = ht_value_type(value);
    if (type && !type->encode)
        return HT_FAIL(err, UNSUPPORTED, "'%s' has no codec, so it cannot leave this process", type->name);
    for (size_t i = 0; i < n; i++) HT_TRY(hti_value_can_travel(items[i], err));
    return HT_OK;
}

/*
 * Only the type's name travels, so a worker calls what its registry has under it: another version would be taken for
 * this one in a cache, other retries or limits would be forgotten.
 */
static ht_status check_type(const hti_node *node, const ht_node_desc *desc, ht_error *err)
{
    const ht_forms *a = &node->forms, *b = &desc->forms;
    if (a->row != b->row || a->batch != b->batch || a->series != b->series || a->start != b->start ||
        a->body != b->body || desc->self != node->self)
        return HT_FAIL(err, UNSUPPORTED, "the registry's type '%s' is another function", node->type);
    if (!node->version != !desc->version || (node->version && strcmp(node->version, desc->version) != 0))
        return HT_FAIL(err, UNSUPPORTED,
                       "the registry's type '%s' has another version; register this one under a name of "
                       "its own",
                       node->type);
    if (hti_over(a) != hti_over(b) || a->batch_size != b->batch_size || a->max_retries != b->max_retries ||
        a->on_error != b->on_error || a->retry_wait_ms != b->retry_wait_ms || a->timeout_ms != b->timeout_ms)
        return HT_FAIL(err, UNSUPPORTED,
                       "the registry's type '%s' has other batches, retries or time limits; register "
                       "this one under a name of its own",
                       node->type);
    return HT_OK;
}

static ht_status check_code(const hti_node *node, const ht_registry *registry, ht_error *err)
{
    if (node->kind == HTI_NODE_METHOD) {
        const ht_class *cls = hti_instance_class(node->instance);
        const ht_class *made = ht_registry_class(registry, cls->name);
        const ht_value args = ht_instance_args(node->instance);
        if (!made && hti_face() && ht_value_type(args)) HT_TRY(hti_face()->cls(hti_face()->ud, args, &made, err));
        if (made == cls) return hti_value_can_travel(args, err);
        return HT_FAIL(err, UNSUPPORTED, "class '%s' is not in the registry, so no other process can make it",
                       cls->name);
    }
    if (node->code.kind != HT_KIND_NULL && hti_face()) return hti_value_can_travel(node->code, err);
    const ht_node_desc *desc = ht_registry_node(registry, node->type);
    if (!desc)
        return HT_FAIL(err, UNSUPPORTED, "type '%s' is not in the registry, so no other process knows it", node->type);
    return check_type(node, desc, err);
}

/* Everything below a map; depth is bounded by HTI_MAX_NESTING. */
static ht_status check_mapped(const ht_plan *plan, const ht_registry *registry, ht_error *err)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        const ht_status status =
            step->child ? check_mapped(step->child, registry, err) : check_code(step->node, registry, err);
        if (status != HT_OK) return hti_fail_context(err, status, "node '%s'", step->node->name);
    }
    for (size_t i = 0; i < plan->n_constants; i++) HT_TRY(hti_value_can_travel(plan->constants[i], err));
    return HT_OK;
}

static bool maps_itself(const ht_plan *plan)
{
    for (size_t i = 0; i < plan->n_inputs; i++)
        if (!(plan->input_at[i] & HTI_SHARED)) return true;
    return false;
}

ht_status hti_plan_check_remote(const ht_plan *plan, const ht_registry *registry, ht_error *err)
{
    if (maps_itself(plan)) return check_mapped(plan, registry, err);
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        if (!step->child) continue;
        const ht_status status = hti_plan_check_remote(step->child, registry, err);
        if (status != HT_OK) return hti_fail_context(err, status, "node '%s'", step->node->name);
    }
    return HT_OK;
}

/* ---- the job ---- */

static ht_status shared_value(const hti_open_map *map, ht_value *out, ht_error *err)
{
    const ht_plan *plan = map->plan;
    return ht_value_list(map->shared, plan->n_shared - plan->n_constants, out, err);
}

static ht_status encode_job(const hti_run *run, const hti_open_map *map, ht_writer *writer, ht_error *err)
{
    hti_fields f = {.err = err};
    ht_value plan = ht_value_null(), shared = ht_value_null(), job = shared;
    f.status = hti_plan_value(map->plan, &plan, err);
    hti_fields_take(&f, "plan", plan);
    if (f.status == HT_OK) f.status = shared_value(map, &shared, err);
    hti_fields_take(&f, "shared", shared);
    hti_fields_take(&f, "window", ht_value_int((int64_t)run->window));
    hti_fields_take(&f, "batch_max", ht_value_int((int64_t)HTI_MIN(run->batch_max, (size_t)INT64_MAX)));
    hti_fields_take(&f, "collect", ht_value_bool(run->options->errors == HT_ERRORS_COLLECT && !map->parent));
    if (run->cache && ht_cache_path(run->cache)) hti_fields_text(&f, "cache", ht_cache_path(run->cache));
    hti_fields_take(&f, "plain", ht_value_bool(run->options->plain));
    hti_fields_take(&f, "trace", ht_value_bool(run->options->trace != NULL));
    hti_fields_take(&f, "events", ht_value_bool(run->options->event != NULL));
    HT_TRY(hti_fields_end(&f, &job));
    const ht_status status = ht_value_encode(job, writer, err);
    ht_value_release(job);
    return status;
}

ht_status hti_bytes_key(const void *data, size_t len, ht_key *out, ht_error *err)
{
    hti_hasher *hasher = hti_hasher_new();
    if (!hasher) return HTI_NO_MEMORY(err);
    hti_hasher_add(hasher, data, len);
    hti_hasher_finish128(hasher, &out->low, &out->high);
    hti_hasher_free(hasher);
    return HT_OK;
}

/* ---- slices ---- */

typedef struct slice {
    struct cutting *of;
    size_t first, n;
    ht_writer *data;
    bool sent, done;
    uint64_t sent_ns, done_ns; /* for the trace */
    ht_status status;
    hti_kept reply;
    hti_buffer message; /* of a failure */
} slice;

typedef struct cutting {
    hti_run *run;
    hti_open_map *map;
    ht_writer *job;
    ht_key key;
    slice *slices; /* [n_slices] */
    size_t n_slices, next;
} cutting;

static size_t largest_batch(const ht_plan *plan)
{
    size_t most = 1;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        most = HTI_MAX(most, step->child ? largest_batch(step->child) : step->node->forms.batch_size);
    }
    return most;
}

static ht_status cut(cutting *c, ht_error *err)
{
    const size_t n = c->map->n, workers = c->run->n_workers;
    const size_t batch = largest_batch(c->map->plan), wanted = SLICES_PER_WORKER * workers;
    const size_t per = ((n + wanted - 1) / wanted + batch - 1) / batch * batch;
    c->n_slices = (n + per - 1) / per;
    c->slices = hti_alloc_zero(hti_mul(c->n_slices, sizeof *c->slices));
    if (!c->slices) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < c->n_slices; i++) {
        c->slices[i] = (slice){.of = c, .first = i * per, .n = HTI_MIN(per, n - i * per)};
        hti_kept_init(&c->slices[i].reply);
        hti_buffer_init(&c->slices[i].message);
    }
    return HT_OK;
}

/* One list for each mapped input, in the order of the plan's inputs. */
static ht_status encode_slice(const cutting *c, slice *s, ht_error *err)
{
    const hti_open_map *map = c->map;
    const ht_plan *plan = map->plan;
    ht_value lists[HTI_MAX_INPUTS], value = ht_value_null();
    ht_value *items = HTI_NEW_ARRAY(ht_value, s->n);
    ht_status status = items ? ht_writer_new(&s->data, err) : HTI_NO_MEMORY(err);
    size_t n_lists = 0;
    for (size_t i = 0; status == HT_OK && i < plan->n_inputs; i++) {
        if (!map->items[i]) continue;
        for (size_t k = 0; k < s->n; k++) items[k] = map->items[i][(s->first + k) / map->stride[i] % map->len[i]];
        status = ht_value_list(items, s->n, &lists[n_lists], err);
        if (status == HT_OK) n_lists++;
    }
    hti_fields f = {.err = err, .status = status};
    ht_value all = ht_value_null();
    if (status == HT_OK) f.status = ht_value_list(lists, n_lists, &all, err);
    hti_values_release(lists, n_lists);
    hti_free(items);
    hti_fields_take(&f, "first", ht_value_int((int64_t)(map->base + s->first)));
    hti_fields_take(&f, "lists", all);
    HT_TRY(hti_fields_end(&f, &value));
    if (!c->run->options->elsewhere) hti_writer_gather(s->data);
    status = ht_value_encode(value, s->data, err);
    ht_value_release(value);
    return status;
}

/* On the workers' thread. */
static void slice_done(void *ud, ht_status status, const hti_body *reply, const char *message)
{
    slice *s = ud;
    hti_run *run = s->of->run;
    if (status == HT_OK)
        hti_kept_take(&s->reply, reply);
    else
        hti_buffer_text(&s->message, message);
    hti_mutex_lock(run->lock);
    s->done_ns = hti_trace_now(run);
    s->status = status;
    s->done = true;
    hti_cond_signal(run->arrived);
    hti_mutex_unlock(run->lock);
}

static void slice_done_elsewhere(void *ud, ht_status status, const void *reply, size_t len, const char *message)
{
    const hti_body body = {.data = reply, .len = len};
    slice_done(ud, status, &body, message);
}

static ht_status send(cutting *c, slice *s, ht_error *err)
{
    const ht_elsewhere *elsewhere = c->run->options->elsewhere;
    HT_TRY(encode_slice(c, s, err));
    if (elsewhere) {
        ht_slice piece = {.key = c->key, .done = slice_done_elsewhere, .done_ud = s};
        piece.job = ht_writer_data(c->job, &piece.job_len);
        piece.data = ht_writer_data(s->data, &piece.data_len);
        s->sent_ns = hti_trace_now(c->run);
        s->sent = true; /* it may be done before submit returns */
        const ht_status status = elsewhere->submit(elsewhere->ud, &piece, err);
        if (status != HT_OK) s->sent = false;
        return status;
    }
    hti_work work = {.key = c->key, .crashes = 1, .done = slice_done, .ud = s};
    work.job = ht_writer_data(c->job, &work.job_len);
    HT_TRY(hti_writer_pieces(s->data, &work.data, err));
    HT_TRY(hti_workers_submit(c->run->workers, &work, err));
    s->sent = true;
    s->sent_ns = hti_trace_now(c->run);
    return HT_OK;
}

static void await(hti_run *run, const slice *s)
{
    hti_mutex_lock(run->lock);
    while (!s->done) hti_cond_wait(run->arrived, run->lock);
    hti_mutex_unlock(run->lock);
}

/* ---- what a slice gave ---- */

static ht_status take_outputs(cutting *c, const slice *s, ht_value reply, ht_error *err)
{
    hti_open_map *map = c->map;
    ht_value lists, skipped;
    size_t n_lists, n, n_skipped;
    if (!ht_value_field(reply, "out", &lists) || !ht_value_field(reply, "skipped", &skipped))
        return HT_FAIL(err, INTERNAL, "a worker's reply is not whole");
    const ht_value *columns = ht_value_items(lists, &n_lists);
    if (n_lists != map->plan->n_outputs) return HT_FAIL(err, INTERNAL, "a worker's reply has %zu columns", n_lists);
    for (size_t o = 0; o < n_lists; o++) {
        const ht_value *rows = ht_value_items(columns[o], &n);
        if (n != s->n) return HT_FAIL(err, INTERNAL, "a worker's reply has %zu rows, not %zu", n, s->n);
        for (size_t k = 0; k < n; k++) map->out[o * map->n + s->first + k] = ht_value_retain(rows[k]);
    }
    for (size_t k = 0; k < s->n; k++) {
        const bool failed = n_lists && ht_value_failure(map->out[s->first + k]) && c->run->options->errors;
        map->state[s->first + k] = failed ? HTI_ITEM_FAILED : HTI_ITEM_DONE;
    }
    const ht_value *at = ht_value_items(skipped, &n_skipped);
    for (size_t k = 0; k < n_skipped; k++) {
        if (at[k].kind != HT_KIND_INT || at[k].as.integer < 0 || (size_t)at[k].as.integer >= s->n)
            return HT_FAIL(err, INTERNAL, "a worker's reply skips what it was not given");
        map->state[s->first + (size_t)at[k].as.integer] = HTI_ITEM_SKIPPED;
    }
    return HT_OK;
}

/* kind, node, depth, item, n, frame, parent, time, failure; false if it is no such list. `why` holds the failure. */
static bool read_event(ht_value value, ht_event *out, ht_error *why)
{
    enum { NODE = 1, FAILURE = 8 };
    size_t n;
    const ht_value *part = ht_value_items(value, &n);
    bool good = n == FAILURE + 1 && part[NODE].kind == HT_KIND_STRING;
    for (size_t i = 0; good && i < FAILURE; i++) good = i == NODE || part[i].kind == HT_KIND_INT;
    if (!good) return false;
    *out = (ht_event){.kind = (ht_event_kind)part[0].as.integer,
                      .node = ht_value_text(part[1]).data,
                      .depth = (uint32_t)part[2].as.integer,
                      .item = (uint64_t)part[3].as.integer,
                      .n = (uint64_t)part[4].as.integer,
                      .frame = (uint64_t)part[5].as.integer,
                      .parent = (uint64_t)part[6].as.integer,
                      .time_ns = (uint64_t)part[7].as.integer};
    if (why && part[FAILURE].kind != HT_KIND_NULL && hti_take_failure(part[FAILURE], why) != HT_OK) out->why = why;
    return true;
}

/* A slice's events as this run's: its frames get numbers of their own here, its items are the map's. */
static void replay(hti_run *run, const hti_open_map *map, ht_value reply)
{
    ht_value events;
    size_t n;
    uint64_t n_frames = 0;
    ht_event event;
    if (!run->options->event || !ht_value_field(reply, "events", &events)) return;
    const ht_value *list = ht_value_items(events, &n);
    for (size_t i = 0; i < n; i++)
        if (read_event(list[i], &event, NULL)) n_frames = HTI_MAX(n_frames, event.frame);
    const uint64_t base = __atomic_fetch_add(run->serials, n_frames, __ATOMIC_RELAXED);
    for (size_t i = 0; i < n; i++) {
        ht_error why = {0};
        if (!read_event(list[i], &event, &why)) continue;
        const bool is_item = event.kind == HT_EVENT_ITEM_START || event.kind == HT_EVENT_ITEM_END;
        if (is_item && !run->options->item_events) continue;
        if (is_item && event.depth == 0) {
            event.n = map->n;
            event.node = map->node ? map->node->name : map->plan->pipeline;
        }
        event.depth += map->depth;
        if (event.parent)
            event.parent += base;
        else if (map->parent)
            event.parent = map->parent->serial;
        if (event.frame) event.frame += base;
        hti_mutex_lock(run->lock);
        run->options->event(run->options->ud, &event);
        hti_mutex_unlock(run->lock);
    }
}

/* Which child had a slice, by what it says of itself. */
static uint32_t worker_of(const hti_run *run, ht_value reply)
{
    ht_value pid = ht_value_null();
    size_t worker = 0;
    (void)ht_value_field(reply, "process", &pid);
    while (run->workers && worker < run->n_workers && hti_workers_pid(run->workers, worker) != pid.as.integer) worker++;
    return (uint32_t)(1000 + worker);
}

static void trace_slice(const cutting *c, const slice *s, ht_value reply)
{
    ht_value spans;
    const char *name = c->map->node ? c->map->node->name : c->map->plan->pipeline;
    if (!c->run->options->trace) return;
    const uint32_t worker = worker_of(c->run, reply);
    const ht_span span = {.kind = HT_SPAN_SLICE,
                          .worker = worker,
                          .name = hti_trace_name(c->run->options->trace, name),
                          .start_ns = s->sent_ns,
                          .end_ns = s->done_ns,
                          .item = c->map->base + s->first,
                          .n = s->n};
    if (span.name) hti_trace_add(c->run->options->trace, &span);
    if (ht_value_field(reply, "spans", &spans)) hti_trace_take(c->run, worker, spans);
}

static ht_status take_slice(cutting *c, slice *s, ht_error *err)
{
    ht_value reply;
    HT_TRY(hti_buffer_status(&s->message, err));
    HT_TRY(hti_kept_status(&s->reply, err));
    if (s->status != HT_OK) { /* the worker itself: it knows no item that is to blame */
        const uint64_t first = c->map->base + s->first;
        ht_status status = hti_fail(err, s->status, "%s", hti_buffer_view(&s->message).data);
        status = s->n == 1 ? hti_fail_context(err, status, "item %llu", (unsigned long long)first)
                           : hti_fail_context(err, status, "items %llu to %llu", (unsigned long long)first,
                                              (unsigned long long)(first + s->n - 1));
        return hti_frame_fail_around(c->map->parent, status, err);
    }
    HT_TRY(hti_value_decode_body(&s->reply.body, c->run->options->registry, &reply, err));
    const ht_status failed = hti_take_failure(reply, err);
    const ht_status status =
        failed == HT_OK ? take_outputs(c, s, reply, err) : hti_frame_fail_around(c->map->parent, failed, err);
    if (status == HT_OK || failed != HT_OK) replay(c->run, c->map, reply);
    if (status == HT_OK || failed != HT_OK) trace_slice(c, s, reply);
    ht_value_release(reply);
    hti_kept_clear(&s->reply);
    return status;
}

/* Keeps a few slices ahead of the one that is taken; the first failure in their order ends it. */
static ht_status run_slices(cutting *c, ht_error *err)
{
    const ht_elsewhere *elsewhere = c->run->options->elsewhere;
    const bool at_once = elsewhere && elsewhere->flush;
    const size_t ahead = at_once ? c->n_slices : AHEAD_PER_WORKER * c->run->n_workers;
    ht_status status = HT_OK;
    for (size_t i = 0; status == HT_OK && i < c->n_slices; i++) {
        HT_TRY(hti_run_check(c->run, err));
        for (; status == HT_OK && c->next < HTI_MIN(i + ahead, c->n_slices); c->next++)
            status = send(c, &c->slices[c->next], err);
        if (status == HT_OK && at_once && i == 0) status = elsewhere->flush(elsewhere->ud, err);
        if (status != HT_OK) return status;
        await(c->run, &c->slices[i]);
        status = take_slice(c, &c->slices[i], err);
        if (status == HT_OK) status = hti_map_deliver(c->run, c->map, err);
    }
    return status;
}

static void end_cutting(cutting *c)
{
    for (size_t i = 0; c->slices && i < c->n_slices; i++) {
        slice *s = &c->slices[i];
        if (s->sent) await(c->run, s);
        ht_writer_free(s->data);
        hti_kept_deinit(&s->reply);
        hti_buffer_deinit(&s->message);
    }
    hti_free(c->slices);
    ht_writer_free(c->job);
}

ht_status hti_map_run_remote(hti_run *run, hti_open_map *map, ht_error *err)
{
    cutting c = {.run = run, .map = map};
    size_t len;
    if (map->n == 0) return HT_OK;
    const ht_elsewhere *elsewhere = run->options->elsewhere;
    ht_references *before = elsewhere ? ht_references_use(elsewhere->objects) : NULL;
    ht_status status = ht_writer_new(&c.job, err);
    if (status == HT_OK) status = encode_job(run, map, c.job, err);
    if (status == HT_OK) {
        const void *data = ht_writer_data(c.job, &len);
        status = hti_bytes_key(data, len, &c.key, err);
    }
    if (status == HT_OK) status = cut(&c, err);
    if (status == HT_OK) status = run_slices(&c, err);
    end_cutting(&c);
    if (elsewhere) (void)ht_references_use(before);
    return status;
}

/* ---- workers ---- */

ht_status hti_registry_start(ht_registry *registry, size_t n, const char *const *each, hti_workers **out, ht_error *err)
{
    const ht_face *face = hti_face();
    size_t n_words = 0, k = 0;
    while (face && face->worker && face->worker[n_words]) n_words++;
    const char **argv = HTI_NEW_ARRAY(const char *, n_words + 3 + 2 * registry->n_plugins);
    *out = NULL;
    if (!argv) return HTI_NO_MEMORY(err);
    for (; k < n_words; k++) argv[k] = face->worker[k];
    if (k == 0) argv[k++] = registry->is_program ? "/proc/self/exe" : "hound";
    argv[k++] = n_words || registry->is_program ? HTI_WORKER_FLAG : "worker";
    for (size_t i = 0; i < registry->n_plugins; i++) {
        argv[k++] = "--plugin";
        argv[k++] = registry->plugins[i];
    }
    argv[k] = NULL;
    const hti_workers_options options = {.argv = argv, .n = n, .env = each};
    const ht_status status = hti_workers_new(&options, out, err);
    hti_free(argv);
    return status;
}

/* Workers of maps share the GPUs in turn. */
static ht_status start_sharing(ht_registry *registry, size_t n, hti_workers **out, ht_error *err)
{
    const size_t n_gpus = hti_gpu_count();
    hti_arena arena;
    hti_arena_init(&arena);
    const char **each = n_gpus ? HTI_ARENA_ARRAY(&arena, const char *, n + 1) : NULL;
    ht_status status = n_gpus && !each ? HTI_NO_MEMORY(err) : HT_OK;
    if (each) each[n] = NULL;
    for (size_t w = 0; status == HT_OK && w < n && n_gpus; w++) {
        const hti_gpus one = {.devices = (uint64_t)1 << w % n_gpus};
        hti_buffer text;
        hti_buffer_init(&text);
        hti_gpus_variable(&one, &text);
        status = hti_buffer_status(&text, err);
        each[w] = status == HT_OK ? hti_arena_text(&arena, hti_buffer_view(&text)) : NULL;
        hti_buffer_deinit(&text);
        if (status == HT_OK && !each[w]) status = HTI_NO_MEMORY(err);
    }
    if (status == HT_OK) status = hti_registry_start(registry, n, each, out, err);
    hti_arena_deinit(&arena);
    return status;
}

/* With the lock held. Other runs may be using sets of other sizes, so each stays. */
static ht_status find_set(ht_registry *registry, size_t n, hti_workers **out, ht_error *err)
{
    for (size_t i = 0; i < registry->n_sets; i++) {
        *out = registry->sets[i].workers;
        if (registry->sets[i].n == n) return HT_OK;
    }
    HT_TRY(hti_reserve(&registry->sets, &registry->cap_sets, registry->n_sets + 1, sizeof *registry->sets, err));
    HT_TRY(start_sharing(registry, n, out, err));
    registry->sets[registry->n_sets].workers = *out;
    registry->sets[registry->n_sets++].n = n;
    return HT_OK;
}

ht_status hti_registry_workers(ht_registry *registry, size_t n, hti_workers **out, ht_error *err)
{
    hti_mutex_lock(registry->lock);
    const ht_status status = find_set(registry, n, out, err);
    hti_mutex_unlock(registry->lock);
    return status;
}
