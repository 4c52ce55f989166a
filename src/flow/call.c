/*
 * call.c - asynchronous calls: started by whoever runs the frame, ended by any thread, taken by the run's own thread.
 *
 * A call is an object of its own, because a run may give it up (its time is over, the run is cancelled) while the
 * program still works on it. One exchange of `state` decides: who ends an abandoned call frees it, who abandons an
 * ended one finds it among the finished.
 * Easy to get wrong: a call may end before start returns; results wait in the call until the run's thread takes them.
 */
#include "registry_int.h"
#include "run_int.h"

static void free_call(hti_call *call)
{
    hti_values_release(call->out, call->n_outputs);
    ht_instance_release(call->instance);
    hti_free(call->failure);
    hti_free(call);
}

static void unlink_call(hti_run *run, hti_call *call)
{
    hti_mutex_lock(run->lock);
    *(call->before ? &call->before->next : &run->calls) = call->next;
    if (call->next) call->next->before = call->before;
    hti_mutex_unlock(run->lock);
}

/* On whatever thread. */
static void call_done(void *ud, const ht_value *out, const ht_error *why)
{
    hti_call *call = ud;
    hti_run *run = call->run;
    int open = HTI_CALL_OPEN;
    for (size_t o = 0; out && o < call->n_outputs; o++) call->out[o] = out[o];
    call->status = why ? why->status : HT_OK;
    if (why) {
        call->failure = HTI_NEW(ht_error);
        if (call->failure)
            *call->failure = *why;
        else
            call->status = HT_NO_MEMORY;
    }
    if (!__atomic_compare_exchange_n(&call->state, &open, HTI_CALL_ENDED, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        free_call(call);
        return;
    }
    hti_mutex_lock(run->lock);
    call->after = run->finished;
    run->finished = call;
    hti_cond_signal(run->arrived);
    hti_mutex_unlock(run->lock);
}

static hti_call *new_call(hti_frame *frame)
{
    const hti_target *target = &frame->target;
    hti_run *run = frame->run;
    hti_call *call = hti_alloc_zero(hti_add(sizeof *call, hti_mul(target->n_outputs, sizeof(ht_value))));
    if (!call) return NULL;
    call->completion = (ht_completion){call_done, call};
    call->run = run;
    call->frame = frame;
    call->n_outputs = target->n_outputs;
    call->target = *target;
    call->step = frame->step;
    call->until = UINT64_MAX;
    call->started_ns = hti_trace_now(run);
    for (size_t o = 0; o < call->n_outputs; o++) call->out[o] = ht_value_null();
    if (target->forms->timeout_ms) call->until = hti_run_now(run) + (uint64_t)target->forms->timeout_ms * 1000000;
    if (target->instance) {
        call->instance = target->instance;
        ht_instance_retain(target->instance);
    }
    hti_mutex_lock(run->lock);
    call->next = run->calls;
    if (call->next) call->next->before = call;
    run->calls = call;
    run->next_timer = HTI_MIN(run->next_timer, call->until);
    hti_mutex_unlock(run->lock);
    return call;
}

ht_status hti_call_start(hti_frame *frame, hti_found *found, ht_error *err)
{
    ht_value in[HTI_MAX_INPUTS];
    void *self = frame->target.self;
    ht_instance *instance = frame->target.instance;
    for (size_t i = 0; i < frame->target.n_inputs; i++) in[i] = hti_frame_argument(frame, i);
    if (instance) {
        hti_instance_count(instance, (ht_instance_stats){.starts = 1});
        HT_TRY(hti_instance_take(instance, &self, err));
    }
    hti_call *call = new_call(frame);
    ht_status status = HTI_NO_MEMORY(err);
    if (call) {
        found->n_async++;
        void *to = instance ? hti_forms_self(frame->target.forms, self) : self;
        status = frame->target.forms->start(to, in, &call->completion, err);
    }
    if (instance) hti_instance_give(instance, self); /* a starter is called by one thread, its calls overlap */
    if (!call || status == HT_OK) return status;
    found->n_async--;
    unlink_call(frame->run, call);
    free_call(call);
    return status;
}

/* ---- on the run's own thread ---- */

static bool may_retry(const hti_frame *frame, ht_status status)
{
    return status != HT_OK && status != HT_CANCELLED && status != HT_NO_MEMORY &&
           frame->tries < frame->target.forms->max_retries && !frame->root->doomed;
}

/* One of several: its outputs into their places. The frame goes on with the last one. */
static ht_status take_together(hti_run *run, hti_call *call, ht_error *err)
{
    hti_frame *frame = call->frame;
    const uint32_t first = frame->step;
    const hti_step *step = &frame->map->plan->steps[call->step];
    for (size_t o = 0; call->status == HT_OK && o < call->n_outputs; o++) {
        frame->values[step->first_out + o] = call->out[o];
        call->out[o] = ht_value_null();
    }
    frame->step = call->step;
    const ht_status status = hti_frame_settle(frame, step, call->status, call->failure);
    frame->step = first;
    if (status != HT_OK && (!frame->failure || call->step < frame->failed_at)) {
        hti_free(frame->failure);
        frame->failure = call->failure;
        frame->failed_at = call->step;
        call->failure = NULL;
    }
    if (--frame->n_open) return HT_OK;
    frame->answered = true;
    frame->status = HT_OK;
    return hti_frames_push(&run->runnable, frame, err);
}

/* The frame goes on with what the call gave, or sleeps before the call is started again. */
static ht_status take_call(hti_run *run, hti_call *call, ht_error *err)
{
    hti_frame *frame = call->frame;
    if (frame->n_open) return take_together(run, call, err);
    if (may_retry(frame, call->status)) {
        const uint64_t wait = hti_retry_wait_ns(frame->target.forms->retry_wait_ms, frame->tries, call->failure);
        frame->wake = wait ? hti_run_now(run) + wait : 0;
        frame->tries++;
        frame->again = true;
        return hti_frames_push(&run->sleeping, frame, err);
    }
    frame->tries = 0;
    frame->answered = true;
    frame->status = HT_OK;
    HT_TRY(hti_frames_push(&run->runnable, frame, err));
    if (frame->body) {
        const ht_value value = call->status == HT_OK ? call->out[0] : ht_value_null();
        if (call->status == HT_OK) call->out[0] = ht_value_null();
        return hti_body_answer(frame->body, value, call->failure, err);
    }
    const uint32_t first = frame->map->plan->steps[frame->step].first_out;
    for (size_t o = 0; call->status == HT_OK && o < call->n_outputs; o++) {
        frame->values[first + o] = call->out[o];
        call->out[o] = ht_value_null();
    }
    frame->status = call->status;
    frame->failure = call->failure;
    call->failure = NULL;
    return HT_OK;
}

ht_status hti_calls_take(hti_run *run, ht_error *err)
{
    ht_status status = HT_OK;
    hti_mutex_lock(run->lock);
    hti_call *call = run->finished;
    run->finished = NULL;
    hti_mutex_unlock(run->lock);
    for (hti_call *after; call; call = after) {
        after = call->after;
        run->n_async--;
        unlink_call(run, call);
        hti_trace_call(run, HT_SPAN_ASYNC, &call->target, call->started_ns, 1);
        if (status == HT_OK) status = take_call(run, call, err);
        free_call(call);
    }
    return status;
}

/* False: it has ended just now and is, or will be, among the finished. */
static bool abandon(hti_run *run, hti_call *call)
{
    int open = HTI_CALL_OPEN;
    unlink_call(run, call);
    if (__atomic_compare_exchange_n(&call->state, &open, HTI_CALL_ABANDONED, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        run->n_async--;
        return true;
    }
    hti_mutex_lock(run->lock);
    call->before = NULL;
    call->next = run->calls;
    if (call->next) call->next->before = call;
    run->calls = call;
    hti_mutex_unlock(run->lock);
    return false;
}

/* A stand-in for a call that was given up tells the frame why. */
static ht_status tell_timeout(hti_run *run, hti_frame *frame, uint32_t step, uint32_t timeout_ms, ht_error *err)
{
    hti_call *call = hti_alloc_zero(sizeof *call);
    if (call) call->failure = HTI_NEW(ht_error);
    if (!call || !call->failure) {
        hti_free(call);
        return HTI_NO_MEMORY(err);
    }
    call->frame = frame;
    call->step = step;
    call->status = hti_fail(call->failure, HT_TIMEOUT, "no answer within %u ms", timeout_ms);
    const ht_status status = take_call(run, call, err);
    free_call(call);
    return status;
}

ht_status hti_calls_expire(hti_run *run, ht_error *err)
{
    const uint64_t now = hti_run_now(run);
    size_t kept = 0;
    ht_status status = HT_OK;
    for (size_t i = 0; i < run->sleeping.n; i++) {
        hti_frame *frame = run->sleeping.at[i];
        if (frame->wake > now)
            run->sleeping.at[kept++] = frame;
        else if (status == HT_OK)
            status = hti_frames_push(&run->runnable, frame, err);
    }
    run->sleeping.n = kept;
    if (run->next_timer > now) return status;
    run->next_timer = UINT64_MAX;
    for (hti_call *call = run->calls, *next; call; call = next) {
        hti_frame *frame = call->frame;
        const uint32_t step = call->step, timeout_ms = call->target.forms->timeout_ms;
        next = call->next;
        if (call->until > now)
            run->next_timer = HTI_MIN(run->next_timer, call->until);
        else if (abandon(run, call) && status == HT_OK)
            status = tell_timeout(run, frame, step, timeout_ms, err);
    }
    return status;
}

uint64_t hti_calls_until(const hti_run *run)
{
    uint64_t until = HTI_MIN(run->next_timer, run->deadline);
    for (size_t i = 0; i < run->sleeping.n; i++) until = HTI_MIN(until, run->sleeping.at[i]->wake);
    return until;
}

void hti_calls_abandon(hti_run *run)
{
    for (hti_call *call = run->calls, *next; call; call = next) {
        next = call->next;
        (void)abandon(run, call);
    }
}
