/*
 * frame.c - one item on its way: step after step until it ends, fails, or waits for something.
 *
 * A step that cannot park runs at once, nested pipelines that cannot park included, as a plain loop would. Everything
 * else leaves the frame with one thing that it waits for: a batch, an asynchronous call, or a map.
 * Easy to get wrong: an asynchronous call may end before start returns, so nothing of the frame is touched behind it.
 */
#include "registry_int.h"
#include "run_int.h"

#include <stdlib.h>
#include <string.h>

ht_status hti_frames_push(hti_frames *frames, hti_frame *frame, ht_error *err)
{
    HT_TRY(hti_reserve(&frames->at, &frames->cap, frames->n + 1, sizeof(hti_frame *), err));
    frames->at[frames->n++] = frame;
    return HT_OK;
}

static int by_seq(const void *a, const void *b)
{
    const hti_frame *x = *(hti_frame *const *)a, *y = *(hti_frame *const *)b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void hti_frames_sort(hti_frames *frames)
{
    bool sorted = true; /* mostly they are */
    for (size_t i = 1; i < frames->n; i++) sorted &= frames->at[i - 1]->seq < frames->at[i]->seq;
    if (!sorted) qsort(frames->at, frames->n, sizeof(hti_frame *), by_seq);
}

/* For every map around, from the innermost; deep ones are cut. */
ht_status hti_frame_fail_around(const hti_frame *parent, ht_status status, ht_error *err)
{
    for (const hti_frame *frame = parent; frame; frame = frame->map->parent) {
        const char *name = frame->map->plan->steps[frame->step].node->name;
        status = frame->map->mapped ? hti_fail_context(err, status, "in '%s', item %llu", name,
                                                       (unsigned long long)hti_frame_item(frame))
                                    : hti_fail_context(err, status, "in '%s'", name);
    }
    return status;
}

ht_status hti_frame_fail(const hti_frame *frame, ht_status status, ht_error *err)
{
    const hti_step *step = &frame->map->plan->steps[frame->step];
    status = frame->map->mapped ? hti_fail_context(err, status, "node '%s', item %llu", step->node->name,
                                                   (unsigned long long)hti_frame_item(frame))
                                : hti_fail_context(err, status, "node '%s'", step->node->name);
    return hti_frame_fail_around(frame->map->parent, status, err);
}

void hti_body_drop(ht_body *body)
{
    if (body->slot && body->drop) body->drop(body->slot);
    body->slot = NULL;
}

void hti_body_free(ht_body *body)
{
    if (!body) return;
    hti_body_drop(body);
    for (size_t i = 0; i < body->n_answers; i++) {
        ht_value_release(body->answers[i].value);
        hti_free(body->answers[i].why);
    }
    hti_values_release(body->args, body->n_args);
    hti_free(body->args);
    hti_free(body->answers);
    hti_free(body);
}

void hti_frame_release(hti_frame *frame)
{
    hti_values_release(frame->values, frame->map->plan->n_own);
    hti_values_release(&frame->verdict, 1);
    hti_body_free(frame->body);
    frame->body = NULL;
    hti_free(frame->failure);
    frame->failure = NULL;
}

void hti_frame_free(hti_frame *frame)
{
    if (!frame) return;
    hti_free(frame->parts);
    hti_free(frame);
}

/* ---- awaiting bodies ---- */

ht_status hti_body_answer(ht_body *body, ht_value value, const ht_error *why, ht_error *err)
{
    ht_error *copy = NULL;
    ht_status made = hti_reserve(&body->answers, &body->cap_answers, body->n_answers + 1, sizeof(hti_answer), err);
    if (made == HT_OK && why && why->status != HT_OK) {
        copy = HTI_NEW(ht_error);
        if (copy)
            *copy = *why;
        else
            made = HTI_NO_MEMORY(err);
    }
    if (made != HT_OK) {
        ht_value_release(value);
        return made;
    }
    body->answers[body->n_answers++] = (hti_answer){value, copy};
    hti_values_release(body->args, body->n_args);
    body->n_args = 0;
    body->parked = false;
    return HT_OK;
}

static ht_status give_answer(ht_body *body, ht_value *out, ht_error *err)
{
    const hti_answer *answer = &body->answers[body->at++];
    *out = answer->value;
    return answer->why ? hti_fail_as(err, answer->why->status, answer->why) : HT_OK;
}

/* HT_PARKED, or what a call that need not wait gave: *made is the caller's. */
static ht_status call_or_park(ht_body *body, ht_value instance, const char *method, const ht_value *args, size_t n_args,
                              ht_value *made, ht_error *err)
{
    *made = ht_value_null();
    if (body->parked) return HT_FAIL(err, INVALID, "a body awaits again while it is parked: return HT_PARKED at once");
    ht_instance *object = ht_value_instance(instance);
    hti_chosen chosen;
    if (!object)
        return HT_FAIL(err, INVALID, "awaits '%s' of a %s, not of an instance", method, ht_kind_name(instance.kind));
    HT_TRY(hti_instance_method(object, method, &chosen, err));
    const ht_method *found = chosen.method;
    if (found->n_inputs != n_args)
        return HT_FAIL(err, INVALID, "method '%s' takes %zu arguments, not %zu", method, found->n_inputs, n_args);
    const hti_target target = hti_target_of_method(object, chosen);
    const bool plain = body->run->batch_max == 1 || !(hti_gathers(&found->forms) || found->forms.start);
    const bool alone = chosen.whole || (found->forms.row && plain);
    if (alone) {
        ht_column in[HTI_MAX_INPUTS];
        for (size_t i = 0; i < n_args; i++) in[i] = (ht_column){&args[i], false};
        return hti_target_call(&target, 1, in, &made, err);
    }
    HT_TRY(hti_reserve(&body->args, &body->cap_args, n_args, sizeof(ht_value), err));
    for (size_t i = 0; i < n_args; i++) body->args[i] = ht_value_retain(args[i]);
    body->n_args = n_args;
    body->target = target;
    body->parked = true;
    return HT_PARKED;
}

ht_status ht_await(ht_body *body, ht_value instance, const char *method, const ht_value *args, size_t n_args,
                   ht_value *out, ht_error *err)
{
    ht_error why = {0};
    ht_value made;
    *out = ht_value_null();
    if (body->at < body->n_answers) return give_answer(body, out, err);
    why.status = call_or_park(body, instance, method, args, n_args, &made, &why);
    if (why.status == HT_PARKED) return HT_PARKED;
    HT_TRY(hti_body_answer(body, made, &why, err));
    return give_answer(body, out, err);
}

void **ht_body_slot(ht_body *body) { return &body->slot; }

ht_status ht_body_call(ht_body *body, ht_value instance, const char *method, const ht_value *args, size_t n_args,
                       ht_value *out, ht_error *err)
{
    return call_or_park(body, instance, method, args, n_args, out, err);
}

ht_status ht_body_answer(ht_body *body, ht_value *out, ht_error *err)
{
    *out = ht_value_null();
    if (body->n_answers == 0) return HT_FAIL(err, INVALID, "a body asks for an answer without having parked");
    hti_answer *answer = &body->answers[--body->n_answers];
    const ht_status status = answer->why ? hti_fail_as(err, answer->why->status, answer->why) : HT_OK;
    *out = answer->value;
    hti_free(answer->why);
    return status;
}

/* ---- steps ---- */

static hti_target target_of_step(const hti_step *step)
{
    const hti_node *node = step->node;
    if (node->kind == HTI_NODE_METHOD) return hti_target_of_method(node->instance, node->chosen);
    return (hti_target){.forms = &node->forms,
                        .self = node->self,
                        .name = node->name,
                        .n_inputs = node->n_inputs,
                        .n_outputs = node->n_outputs};
}

static ht_status call_step_row(hti_frame *frame, const hti_step *step, ht_error *err)
{
    const hti_node *node = step->node;
    ht_value in[HTI_MAX_INPUTS], *out[HTI_MAX_OUTPUTS];
    for (size_t i = 0; i < node->n_inputs; i++) in[i] = hti_frame_value(frame, step->in[i]);
    if (node->kind == HTI_NODE_FUNCTION && node->forms.row && node->forms.max_retries == 0) {
        const ht_status status = node->forms.row(node->self, in, &frame->values[step->first_out], err);
        if (status != HT_OK) hti_values_release(&frame->values[step->first_out], node->n_outputs);
        return status == HT_PARKED ? HT_FAIL(err, INVALID, "awaits outside a body") : status;
    }
    const hti_target target = target_of_step(step);
    ht_column columns[HTI_MAX_INPUTS];
    for (size_t i = 0; i < node->n_inputs; i++) columns[i] = (ht_column){&in[i], false};
    for (size_t o = 0; o < node->n_outputs; o++) out[o] = &frame->values[step->first_out + o];
    return hti_target_call(&target, 1, columns, out, err);
}

ht_status hti_child_run(hti_run *run, hti_frame *frame, const hti_step *step, ht_error *err)
{
    hti_open_map *map;
    HT_TRY(hti_map_open(run, frame, step, &map, err));
    ht_status status = hti_map_run(run, map, err);
    if (status == HT_OK) status = hti_map_finish(map, frame, step, err);
    hti_map_close(map);
    return status;
}

static ht_status run_child_plain(hti_frame *frame, const hti_step *step, ht_error *err)
{
    return step->node->has_own ? hti_nested_run(frame, step, err) : hti_child_run(frame->run, frame, step, err);
}

ht_status hti_frame_settle(hti_frame *frame, const hti_step *step, ht_status status, const ht_error *why)
{
    if (status == HT_OK || status == HT_CANCELLED || status == HT_NO_MEMORY) return status;
    const ht_on_error policy = step->node->forms.on_error;
    frame->has_key = false;
    hti_run_tell(frame->run, &(ht_event){.kind = HT_EVENT_NODE_ERROR, .node = step->node->name, .why = why}, frame);
    if (policy == HT_ON_ERROR_NULL && !step->child) return HT_OK; /* the outputs are null already */
    if (policy == HT_ON_ERROR_SKIP && !step->child && frame->map->mapped) {
        frame->skipped = true;
        return HT_OK;
    }
    return status;
}

/* A step that never parks, which the cache had not. */
static ht_status run_step_plain(hti_frame *frame, const hti_step *step, ht_error *err)
{
    hti_run_event(frame->run, HT_EVENT_NODE_START, frame, step->node->name, 0);
    if (step->child) return hti_frame_settle(frame, step, run_child_plain(frame, step, err), err);
    const uint64_t start = hti_trace_now(frame->run);
    const ht_status status = call_step_row(frame, step, err);
    hti_trace_step(frame->run, HT_SPAN_NODE, frame, start, 1);
    return hti_frame_settle(frame, step, status, err);
}

static void drop_values(hti_frame *frame, const hti_step *step)
{
    for (size_t i = 0; i < step->n_drop; i++) {
        ht_value_release(frame->values[step->drop[i]]);
        frame->values[step->drop[i]] = ht_value_null();
    }
}

static void end_step(hti_frame *frame, const hti_step *step)
{
    hti_cache_keep(frame, step);
    drop_values(frame, step);
    hti_run_event(frame->run, HT_EVENT_NODE_END, frame, step->node->name, 0);
}

/* ---- a plan that never parks ---- */

static ht_status run_frame_plain(hti_frame *frame, ht_error *err)
{
    const ht_plan *plan = frame->map->plan;
    for (frame->step = 0; frame->step < plan->n_steps && !frame->skipped; frame->step++) {
        const hti_step *step = &plan->steps[frame->step];
        if (hti_cache_take(frame, step)) {
            drop_values(frame, step);
            continue;
        }
        const ht_status status = run_step_plain(frame, step, err);
        if (status != HT_OK) return step->child ? status : hti_frame_fail(frame, status, err);
        end_step(frame, step);
    }
    return HT_OK;
}

typedef struct plain_items {
    hti_run *run;
    hti_open_map *map;
    hti_open_map start; /* the map as it was: results are handed out of it while others begin */
    size_t per_chunk;
} plain_items;

/* The item ends as a failure. */
static ht_status keep_failure(hti_frame *frame, ht_status status, ht_error *err)
{
    const char *node = frame->map->plan->steps[frame->step].node->name;
    ht_error why = {0};
    (void)hti_fail_as(&why, status, err ? err : &why);
    HT_TRY(hti_failure_new(hti_frame_item(frame), node, &why, &frame->verdict, err));
    frame->skipped = frame->doomed = true;
    return HT_OK;
}

/* Items [chunk * per_chunk, ...): each chunk with a frame of its own. */
static ht_status run_chunk_plain(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    const plain_items *work = ud;
    hti_open_map *map = work->map;
    const size_t outer = hti_trace_worker(thread);
    ht_trace *before = hti_trace_enter(work->run->options->trace);
    hti_open_map part = work->start; /* admits its own items; outputs and shared values are the map's */
    part.next = chunk * work->per_chunk;
    part.spare = NULL;
    const size_t end = HTI_MIN(part.next + work->per_chunk, map->n);
    ht_status status = HT_OK;
    while (status == HT_OK && part.next < end) {
        hti_frame *frame;
        status = hti_run_check(work->run, err);
        if (status == HT_OK) status = hti_map_admit(work->run, &part, &frame, err);
        if (status != HT_OK) break;
        status = run_frame_plain(frame, err);
        if (status != HT_OK && !map->parent && map->mapped && hti_run_collects(work->run, status))
            status = keep_failure(frame, status, err);
        if (status == HT_OK) {
            hti_map_take(&part, frame);
            status = hti_map_deliver(work->run, map, err);
        } else {
            hti_frame_release(frame);
            hti_frame_free(frame);
        }
    }
    hti_frame_free(part.spare);
    (void)hti_trace_enter(before);
    (void)hti_trace_worker(outer);
    return status;
}

ht_status hti_map_run_plain(hti_run *run, hti_open_map *map, ht_error *err)
{
    /* On one thread one chunk; the cut never depends on how many threads there are. */
    const size_t per_chunk = run->pool ? HTI_MAX(map->n / 256, 1) : HTI_MAX(map->n, 1);
    plain_items work = {run, map, *map, per_chunk};
    const size_t n_chunks = (map->n + per_chunk - 1) / per_chunk;
    if (!run->pool) return n_chunks ? run_chunk_plain(&work, 0, 0, err) : HT_OK;
    return hti_pool_run(run->pool, n_chunks, run_chunk_plain, &work, err);
}

/* ---- steps that may park ---- */

typedef enum outcome { GOES_ON, WAITS, FAILED } outcome;

void hti_frame_tell_around(const hti_frame *frame)
{
    for (const hti_frame *f = frame->map->parent; f; f = f->map->parent)
        hti_run_event(f->run, HT_EVENT_NODE_ERROR, f, f->map->plan->steps[f->step].node->name, 0);
}

/* A root whose item has failed, by the lowest frame that failed: what works for it ends. */
static ht_status doom(hti_frame *frame, ht_status status, ht_error *why)
{
    hti_frame *root = frame->root;
    const char *node = frame->map->plan->steps[frame->step].node->name;
    ht_value verdict;
    why->status = status;
    HT_TRY(hti_failure_new(hti_frame_item(root), node, why, &verdict, why));
    hti_mutex_lock(frame->run->lock);
    const bool first = !root->doomed;
    if (first || frame->seq < root->doomed_by) {
        const ht_value old = root->verdict;
        root->verdict = verdict;
        verdict = old;
        root->doomed_by = frame->seq;
        root->doomed = true;
    }
    hti_mutex_unlock(frame->run->lock);
    ht_value_release(verdict);
    if (first) hti_frame_tell_around(frame);
    return HT_OK;
}

static outcome end_frame(hti_frame *frame, hti_found *found);

/* The failure of the frame's present step; a nested pipeline that ran at once has told where already. */
static outcome fail_with(hti_found *found, hti_frame *frame, ht_status status, ht_error *why)
{
    const hti_step *step = &frame->map->plan->steps[frame->step];
    if (hti_run_collects(frame->run, status) && frame->root->map->mapped) {
        status = doom(frame, status, why);
        if (status == HT_OK) return end_frame(frame, found);
    }
    if (!step->child) status = hti_frame_fail(frame, status, why);
    if (!found->failed || frame->seq < found->failed->seq) {
        found->failed = frame;
        found->status = status;
        found->err = *why;
    }
    return FAILED;
}

static outcome end_frame(hti_frame *frame, hti_found *found)
{
    ht_error why = {0};
    hti_body_free(frame->body); /* of a doomed one: on its own thread */
    frame->body = NULL;
    frame->skipped |= frame->root->doomed;
    const ht_status status = hti_frames_push(&found->ended, frame, &why);
    if (status == HT_OK) return WAITS;
    if (!found->failed) {
        found->failed = frame;
        found->status = status;
        found->err = why;
    }
    return FAILED;
}

/* A call that could not be started is one that failed. */
static outcome start_call(hti_frame *frame, const hti_step *step, hti_found *found)
{
    ht_error why = {0};
    ht_status status = hti_call_start(frame, found, &why);
    if (status == HT_OK) return WAITS;
    if (frame->body) {
        why.status = status;
        status = hti_body_answer(frame->body, ht_value_null(), &why, &why);
        frame->answered = true;
        return status == HT_OK ? GOES_ON : fail_with(found, frame, status, &why);
    }
    status = hti_frame_settle(frame, step, status, &why);
    return status == HT_OK ? GOES_ON : fail_with(found, frame, status, &why);
}

static outcome park(hti_frame *frame, const hti_step *step, hti_found *found)
{
    ht_error why = {0};
    if (frame->target.forms->start && !(frame->target.instance && hti_instance_is_away(frame->target.instance)))
        return start_call(frame, step, found);
    frame->parked_ns = hti_trace_now(frame->run);
    const ht_status status = hti_frames_push(&found->parked, frame, &why);
    return status == HT_OK ? WAITS : fail_with(found, frame, status, &why);
}

static bool new_body(hti_frame *frame, const hti_node *node)
{
    frame->body = HTI_NEW(ht_body);
    if (!frame->body) return false;
    frame->body->run = frame->run;
    frame->body->drop = node->forms.drop;
    return true;
}

static bool may_repeat(const hti_frame *frame, const hti_node *node, ht_status status)
{
    return status != HT_OK && status != HT_PARKED && status != HT_CANCELLED && status != HT_NO_MEMORY &&
           frame->tries < node->forms.max_retries;
}

static outcome run_body(hti_frame *frame, const hti_step *step, hti_found *found)
{
    const hti_node *node = step->node;
    ht_value in[HTI_MAX_INPUTS];
    ht_error why = {0};
    for (size_t i = 0; i < node->n_inputs; i++) in[i] = hti_frame_value(frame, step->in[i]);
    if (!frame->body && !new_body(frame, node)) return fail_with(found, frame, HTI_NO_MEMORY(&why), &why);
    for (;;) {
        frame->body->at = 0;
        const uint64_t start = hti_trace_now(frame->run), n = !frame->body->later; /* a later piece is no call */
        ht_status status = node->forms.body(node->self, frame->body, in, &frame->values[step->first_out], &why);
        hti_trace_step(frame->run, HT_SPAN_NODE, frame, start, n);
        if (status == HT_PARKED && frame->body->parked) {
            hti_values_release(&frame->values[step->first_out], node->n_outputs);
            frame->body->later = true;
            frame->body->thread = hti_this_worker();
            frame->target = frame->body->target;
            const outcome then = park(frame, step, found);
            if (then == GOES_ON) continue; /* it could not be started, and the body is told */
            return then;
        }
        hti_body_free(frame->body);
        frame->body = NULL;
        if (may_repeat(frame, node, status)) {
            if (!new_body(frame, node)) return fail_with(found, frame, HTI_NO_MEMORY(&why), &why);
            hti_values_release(&frame->values[step->first_out], node->n_outputs);
            hti_sleep_ns(hti_retry_wait_ns(node->forms.retry_wait_ms, frame->tries, &why));
            frame->tries++;
            continue;
        }
        frame->tries = 0;
        if (status == HT_PARKED) status = HT_FAIL(&why, INVALID, "a body returned HT_PARKED without ht_await");
        if (status != HT_OK) hti_values_release(&frame->values[step->first_out], node->n_outputs);
        status = hti_frame_settle(frame, step, status, &why);
        return status == HT_OK ? GOES_ON : fail_with(found, frame, status, &why);
    }
}

static outcome open_child(hti_frame *frame, const hti_step *step, hti_found *found)
{
    ht_error why = {0};
    if ((frame->run->n_workers && step->node->n_map_over) || step->node->has_own) {
        const ht_status ran = hti_frame_settle(frame, step, run_child_plain(frame, step, &why), &why);
        return ran == HT_OK ? GOES_ON : fail_with(found, frame, ran, &why);
    }
    hti_open_map *map = NULL;
    ht_status status =
        hti_reserve(&found->opened, &found->cap_opened, found->n_opened + 1, sizeof(hti_open_map *), &why);
    if (status == HT_OK) status = hti_map_open(frame->run, frame, step, &map, &why);
    if (status != HT_OK) {
        (void)hti_frame_settle(frame, step, status, &why);
        status = hti_frame_fail_around(frame->map->parent, status, &why);
        return fail_with(found, frame, status, &why);
    }
    found->opened[found->n_opened++] = map;
    return WAITS;
}

/* A step that may park, at its start. */
static outcome begin_step(hti_frame *frame, const hti_step *step, hti_found *found)
{
    hti_run_event(frame->run, HT_EVENT_NODE_START, frame, step->node->name, 0);
    if (step->child) return open_child(frame, step, found);
    if (step->node->forms.body) return run_body(frame, step, found);
    frame->target = target_of_step(step);
    return park(frame, step, found);
}

/* All that were started together have ended: the frame stands at the last of them, or at the first that failed. */
static outcome end_together(hti_frame *frame, hti_found *found)
{
    const hti_step *steps = frame->map->plan->steps;
    const uint32_t last = frame->step + steps[frame->step].n_together - 1;
    if (frame->failure) {
        ht_error why = *frame->failure;
        hti_free(frame->failure);
        frame->failure = NULL;
        frame->step = frame->failed_at;
        return fail_with(found, frame, why.status, &why);
    }
    for (; frame->step < last; frame->step++) end_step(frame, &steps[frame->step]);
    return GOES_ON;
}

/* Several calls that end later: all are started, in order. */
static outcome begin_together(hti_frame *frame, hti_found *found)
{
    const hti_step *steps = &frame->map->plan->steps[frame->step];
    const uint32_t first = frame->step, n = steps->n_together;
    frame->n_open = n;
    for (uint32_t j = 0; j < n; j++) {
        ht_error why = {0};
        frame->step = first + j;
        hti_run_event(frame->run, HT_EVENT_NODE_START, frame, steps[j].node->name, 0);
        frame->target = target_of_step(&steps[j]);
        why.status = hti_call_start(frame, found, &why);
        if (why.status == HT_OK) continue;
        frame->n_open--;
        why.status = hti_frame_settle(frame, &steps[j], why.status, &why);
        if (why.status == HT_OK || frame->failure) continue;
        frame->failure = HTI_NEW(ht_error);
        if (!frame->failure) return fail_with(found, frame, HTI_NO_MEMORY(&why), &why);
        *frame->failure = why;
        frame->failed_at = first + j;
    }
    frame->step = first;
    return frame->n_open ? WAITS : end_together(frame, found);
}

/* The present step's call has ended: its results are in place, or a failure. */
static outcome resume_step(hti_frame *frame, const hti_step *step, hti_found *found)
{
    ht_error why = {0};
    frame->answered = false;
    if (frame->body && frame->status == HT_OK) return run_body(frame, step, found);
    if (frame->failure) why = *frame->failure;
    hti_free(frame->failure);
    frame->failure = NULL;
    ht_status status = hti_frame_settle(frame, step, frame->status, &why);
    frame->status = HT_OK;
    return status == HT_OK ? GOES_ON : fail_with(found, frame, status, &why);
}

static outcome run_step(hti_frame *frame, const hti_step *step, hti_found *found)
{
    ht_error why = {0};
    if (frame->again) {
        frame->again = false;
        return start_call(frame, step, found);
    }
    if (step->n_together > 1 && !frame->run->cache) {
        if (!frame->answered) return begin_together(frame, found);
        frame->answered = false;
        return end_together(frame, found);
    }
    if (step->may_park) return frame->answered ? resume_step(frame, step, found) : begin_step(frame, step, found);
    const ht_status status = run_step_plain(frame, step, &why);
    return status == HT_OK ? GOES_ON : fail_with(found, frame, status, &why);
}

void hti_frame_run(hti_frame *frame, hti_found *found)
{
    const ht_plan *plan = frame->map->plan;
    ht_error why = {0};
    const ht_status status = hti_run_check(frame->run, &why);
    if (status != HT_OK) {
        found->failed = frame;
        found->status = status;
        found->err = why;
        return;
    }
    for (; frame->step < plan->n_steps && !frame->skipped && !frame->root->doomed; frame->step++) {
        const hti_step *step = &plan->steps[frame->step];
        const bool begins = !frame->answered && !frame->again;
        if (begins && hti_cache_take(frame, step)) {
            drop_values(frame, step);
            continue;
        }
        if (run_step(frame, step, found) != GOES_ON) return;
        end_step(frame, &plan->steps[frame->step]); /* of several the last */
    }
    (void)end_frame(frame, found);
}
