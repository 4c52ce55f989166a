/*
 * target.c - one call of what a node or method offers: by its row, batch or start form, with retries.
 *
 * Everything that the runtime calls of a program goes through here, so counting, retries, and the rule that a failed
 * call leaves no output behind stand once.
 */
#include "registry_int.h"

#include <assert.h>

/* ---- a started call that somebody waits for ---- */

typedef struct waiter {
    hti_mutex *lock;
    hti_cond *ended;
    bool done;
    ht_value *out;
    size_t n_outputs;
    ht_status status;
    ht_error *err;
} waiter;

static void wake_waiter(void *ud, const ht_value *out, ht_status status, const char *message)
{
    waiter *w = ud;
    hti_mutex_lock(w->lock);
    for (size_t i = 0; out && i < w->n_outputs; i++) w->out[i] = out[i];
    w->status = status == HT_OK ? HT_OK : hti_fail(w->err, status, "%s", message);
    w->done = true;
    hti_cond_signal(w->ended);
    hti_mutex_unlock(w->lock);
}

static ht_status start_and_wait(const hti_target *target, void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    waiter w = {hti_mutex_new(), hti_cond_new(), false, out, target->n_outputs, HT_OK, err};
    ht_completion completion = {wake_waiter, &w};
    ht_status status = HT_OK;
    if (!w.lock || !w.ended) status = HTI_NO_MEMORY(err);
    if (status == HT_OK) status = target->forms->start(self, in, &completion, err);
    if (status == HT_OK) {
        hti_mutex_lock(w.lock);
        while (!w.done) hti_cond_wait(w.ended, w.lock);
        hti_mutex_unlock(w.lock);
        status = w.status;
    }
    hti_cond_free(w.ended);
    hti_mutex_free(w.lock);
    return status;
}

void ht_complete(ht_completion *completion, const ht_value *out) { completion->done(completion->ud, out, HT_OK, ""); }

void ht_complete_error(ht_completion *completion, ht_status status, const char *message)
{
    completion->done(completion->ud, NULL, status == HT_OK ? HT_FAILED : status, message ? message : "");
}

/* ---- one try ---- */

static ht_status call_row(const hti_target *target, void *self, const ht_column *in, ht_value *const *out,
                          ht_error *err)
{
    ht_value row[HTI_MAX_INPUTS], made[HTI_MAX_OUTPUTS];
    for (size_t i = 0; i < target->n_inputs; i++) {
        assert(in[i].rows);
        row[i] = in[i].rows[0];
    }
    for (size_t o = 0; o < target->n_outputs; o++) made[o] = ht_value_null();
    const ht_status status =
        target->forms->row ? target->forms->row(self, row, made, err) : start_and_wait(target, self, row, made, err);
    for (size_t o = 0; o < target->n_outputs; o++) out[o][0] = made[o];
    return status;
}

static ht_status call_once(const hti_target *target, void *self, size_t n, const ht_column *in, ht_value *const *out,
                           ht_error *err)
{
    const bool alone = n == 1 && target->forms->row;
    ht_instance_stats count = {0};
    if (target->forms->batch && !alone) {
        count.batches = 1;
        count.batch_rows = n;
    } else if (target->forms->row) {
        count.rows_alone = 1;
    } else {
        count.starts = 1;
    }
    if (target->instance) hti_instance_count(target->instance, count);
    if (target->instance && hti_instance_is_away(target->instance))
        return hti_target_call_away(target, n, in, out, err);
    return target->forms->batch && !alone ? target->forms->batch(self, n, in, out, err)
                                          : call_row(target, self, in, out, err);
}

/* Objects that this thread holds, the last taken first. */
typedef struct holding {
    const ht_instance *instance;
    const struct holding *before;
} holding;
static _Thread_local const holding *held;

/* A method that calls its own instance would wait for itself. */
static ht_status check_held(const hti_target *target, ht_error *err)
{
    size_t n = 0;
    for (const holding *h = held; h; h = h->before) n += h->instance == target->instance;
    if (n < hti_instance_limit(target->instance)) return HT_OK;
    return HT_FAIL(err, INVALID,
                   "'%s.%s' is called by a method of the same instance, whose %zu object%s this thread holds",
                   target->class_name, target->name, n, n == 1 ? "" : "s");
}

/* The call and its repetitions; a failed one leaves no output. */
static ht_status call_repeatedly(const hti_target *target, void *self, size_t n, const ht_column *in,
                                 ht_value *const *out, ht_error *err)
{
    ht_status status = HT_OK;
    for (uint32_t try = 0; try <= target->forms->max_retries; try++) {
        ht_error why = {HT_OK, ""};
        if (try) hti_sleep_ns((uint64_t)target->forms->retry_wait_ms * 1000000 << HTI_MIN(try - 1, 10));
        status = call_once(target, self, n, in, out, &why);
        if (status == HT_OK) break;
        for (size_t o = 0; o < target->n_outputs; o++) hti_values_release(out[o], n);
        if (status == HT_PARKED) status = hti_fail(&why, HT_INVALID, "awaits outside a body");
        (void)hti_fail(err, status, "%s", why.message);
        if (status == HT_CANCELLED || status == HT_NO_MEMORY) break;
    }
    return status;
}

ht_status hti_target_call(const hti_target *target, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    if (!target->instance || hti_instance_is_away(target->instance))
        return call_repeatedly(target, target->self, n, in, out, err);
    void *self;
    HT_TRY(check_held(target, err));
    HT_TRY(hti_instance_take(target->instance, &self, err));
    const holding mine = {target->instance, held};
    held = &mine;
    const ht_status status = call_repeatedly(target, self, n, in, out, err);
    held = mine.before;
    hti_instance_give(target->instance, self);
    return status;
}

/* ---- methods called by the program itself ---- */

static ht_status method_target(ht_instance *instance, const char *method, size_t n_args, hti_target *out, ht_error *err)
{
    const ht_method *found;
    HT_TRY(hti_instance_method(instance, method, &found, err));
    *out = hti_target_of_method(instance, found);
    if (found->n_inputs != n_args)
        return HT_FAIL(err, INVALID, "method '%s.%s' takes %zu arguments, not %zu", out->class_name, method,
                       found->n_inputs, n_args);
    return HT_OK;
}

ht_status ht_instance_call(ht_instance *instance, const char *method, const ht_value *args, size_t n_args,
                           ht_value *out, ht_error *err)
{
    hti_target target;
    ht_column in[HTI_MAX_INPUTS];
    *out = ht_value_null();
    HT_TRY(method_target(instance, method, n_args, &target, err));
    for (size_t i = 0; i < target.n_inputs; i++)
        in[i] = (ht_column){&args[i], target.forms->batch && !(hti_over(target.forms) >> i & 1)};
    return hti_target_call(&target, 1, in, &out, err);
}

ht_status ht_instance_call_batch(ht_instance *instance, const char *method, size_t n, const ht_column *args,
                                 size_t n_args, ht_value *out, ht_error *err)
{
    hti_target target;
    ht_column in[HTI_MAX_INPUTS] = {{NULL, false}};
    HT_TRY(method_target(instance, method, n_args, &target, err));
    for (size_t i = 0; i < n; i++) out[i] = ht_value_null();
    const size_t most = !target.forms->batch ? 1 : target.forms->batch_size ? target.forms->batch_size : n;
    for (size_t at = 0; at < n; at += most) {
        const size_t len = HTI_MIN(most, n - at);
        ht_value *to = out + at;
        for (size_t i = 0; i < n_args; i++)
            in[i] = (ht_column){args[i].constant ? args[i].rows : args[i].rows + at, args[i].constant};
        const ht_status status = hti_target_call(&target, len, in, &to, err);
        if (status == HT_OK) continue;
        hti_values_release(out, at);
        return status;
    }
    return HT_OK;
}
