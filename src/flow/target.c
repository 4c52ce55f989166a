/*
 * target.c - one call of what a node or method offers: by its row, batch or start form, with retries.
 *
 * Everything that the runtime calls of a program goes through here, so counting, retries, and the rule that a failed
 * call leaves no output behind stand once.
 */
#include "registry_int.h"

#include <assert.h>

/* ---- started calls that somebody waits for ---- */

typedef struct waiter {
    hti_mutex *lock;
    hti_cond *ended;
    size_t n_open, n_outputs, failed; /* the lowest row that failed */
    ht_value *const *out;             /* [n_outputs][n] */
    ht_status status;
    ht_error *err;
} waiter;

typedef struct waited_call {
    ht_completion completion;
    waiter *waiter;
    size_t row;
} waited_call;

static void wake_waiter(void *ud, const ht_value *out, const ht_error *why)
{
    const waited_call *call = ud;
    waiter *w = call->waiter;
    hti_mutex_lock(w->lock);
    for (size_t o = 0; out && o < w->n_outputs; o++) w->out[o][call->row] = out[o];
    if (why && call->row < w->failed) {
        w->failed = call->row;
        w->status = hti_fail_as(w->err, why->status, why);
    }
    w->n_open--;
    hti_cond_signal(w->ended);
    hti_mutex_unlock(w->lock);
}

static void start_each(const hti_target *target, void *self, size_t n, const ht_column *in, waited_call *calls,
                       waiter *w)
{
    ht_value row[HTI_MAX_INPUTS];
    for (size_t k = 0; k < n; k++) {
        ht_error why = {0};
        for (size_t i = 0; i < target->n_inputs; i++) row[i] = in[i].rows[in[i].constant ? 0 : k];
        calls[k] = (waited_call){{wake_waiter, &calls[k]}, w, k};
        why.status = target->forms->start(self, row, &calls[k].completion, &why);
        if (why.status != HT_OK) wake_waiter(&calls[k], NULL, &why);
    }
}

/* All rows are under way together. */
static ht_status start_and_wait(const hti_target *target, void *self, size_t n, const ht_column *in,
                                ht_value *const *out, ht_error *err)
{
    waiter w = {hti_mutex_new(), hti_cond_new(), n, target->n_outputs, SIZE_MAX, out, HT_OK, err};
    waited_call *calls = HTI_NEW_ARRAY(waited_call, n);
    ht_status status = w.lock && w.ended && calls ? HT_OK : HTI_NO_MEMORY(err);
    if (status == HT_OK) {
        start_each(target, self, n, in, calls, &w);
        hti_mutex_lock(w.lock);
        while (w.n_open) hti_cond_wait(w.ended, w.lock);
        hti_mutex_unlock(w.lock);
        status = w.status;
    }
    hti_free(calls);
    hti_cond_free(w.ended);
    hti_mutex_free(w.lock);
    return status;
}

void ht_complete(ht_completion *completion, const ht_value *out) { completion->done(completion->ud, out, NULL); }

void ht_complete_error(ht_completion *completion, ht_status status, const char *message)
{
    ht_error why = {0};
    (void)hti_fail(&why, status == HT_OK ? HT_FAILED : status, "%s", message ? message : "");
    completion->done(completion->ud, NULL, &why);
}

void ht_complete_failure(ht_completion *completion, const ht_error *why)
{
    ht_error mine = *why;
    if (mine.status == HT_OK) mine.status = HT_FAILED;
    completion->done(completion->ud, NULL, &mine);
}

/* ---- one try ---- */

/* A call with its rows as values or as columns. */
typedef struct attempt {
    const hti_target *target;
    size_t n;
    const ht_column *in;
    ht_value *const *out;            /* [n_outputs][n] */
    const ht_series_column *columns; /* NULL: rows */
    ht_series **made;                /* [n_outputs] */
} attempt;

static ht_status call_row(const attempt *a, void *self, ht_error *err)
{
    ht_value row[HTI_MAX_INPUTS], made[HTI_MAX_OUTPUTS];
    const hti_target *target = a->target;
    for (size_t i = 0; i < target->n_inputs; i++) {
        assert(a->in[i].rows);
        row[i] = a->in[i].rows[0];
    }
    for (size_t o = 0; o < target->n_outputs; o++) made[o] = ht_value_null();
    const ht_status status = target->forms->row(self, row, made, err);
    for (size_t o = 0; o < target->n_outputs; o++) a->out[o][0] = made[o];
    return status;
}

static ht_status check_column(const hti_target *target, const ht_series *made, size_t n, ht_error *err)
{
    if (made && ht_series_len(made) == n) return HT_OK;
    if (!made) return HT_FAIL(err, INVALID, "'%s' gave no series for %zu rows", target->name, n);
    return HT_FAIL(err, INVALID, "'%s' gave a series of %zu rows for %zu", target->name, ht_series_len(made), n);
}

static ht_status call_columns(const attempt *a, void *self, ht_error *err)
{
    ht_status status = a->target->forms->series(self, a->n, a->columns, a->made, err);
    for (size_t o = 0; status == HT_OK && o < a->target->n_outputs; o++)
        status = check_column(a->target, a->made[o], a->n, err);
    for (size_t o = 0; status != HT_OK && o < a->target->n_outputs; o++) {
        ht_series_release(a->made[o]);
        a->made[o] = NULL;
    }
    return status;
}

/* Rows as columns, by the series form, and its columns as rows. */
static ht_status call_packed(const attempt *a, void *self, ht_error *err)
{
    ht_series_column columns[HTI_MAX_INPUTS];
    ht_series *made[HTI_MAX_OUTPUTS] = {NULL};
    const attempt packed = {.target = a->target, .n = a->n, .columns = columns, .made = made};
    ht_status status = HT_OK;
    size_t n_in = 0;
    for (; status == HT_OK && n_in < a->target->n_inputs; n_in += status == HT_OK) {
        columns[n_in] = (ht_series_column){NULL, ht_value_null()};
        if (a->in[n_in].constant)
            columns[n_in].constant = a->in[n_in].rows[0];
        else
            status = ht_series_from_values(HT_DTYPE_INFER, a->in[n_in].rows, a->n, &columns[n_in].series, err);
    }
    if (status == HT_OK) status = call_columns(&packed, self, err);
    for (size_t o = 0; status == HT_OK && o < a->target->n_outputs; o++)
        status = ht_series_values(made[o], a->out[o], err);
    for (size_t o = 0; o < a->target->n_outputs; o++) ht_series_release(made[o]);
    for (size_t i = 0; i < n_in; i++) ht_series_release(columns[i].series);
    return status;
}

static ht_status call_once(const attempt *a, void *self, ht_error *err)
{
    const hti_target *target = a->target;
    const bool gathered = hti_gathers(target->forms) && !(a->n == 1 && target->forms->row && !a->columns);
    ht_instance_stats count = {0};
    if (gathered) {
        count.batches = 1;
        count.batch_rows = a->n;
    } else if (target->forms->rows_of) {
        count.batches = 1;
        count.batch_rows = target->n_inputs ? target->forms->rows_of(a->in[0].rows[0]) : 0;
    } else if (target->forms->row) {
        count.rows_alone = 1;
    } else {
        count.starts = a->n;
    }
    if (target->instance) hti_instance_count(target->instance, count);
    if (target->instance && hti_instance_is_away(target->instance))
        return hti_target_call_away(target, a->n, a->in, a->out, err);
    if (a->columns) return call_columns(a, self, err);
    if (!gathered)
        return target->forms->row ? call_row(a, self, err) : start_and_wait(target, self, a->n, a->in, a->out, err);
    return target->forms->batch ? target->forms->batch(self, a->n, a->in, a->out, err) : call_packed(a, self, err);
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
static ht_status call_repeatedly(const attempt *a, void *self, ht_error *err)
{
    const hti_target *target = a->target;
    ht_status status = HT_OK;
    const uint32_t retries = target->once ? 0 : target->forms->max_retries;
    ht_error why = {0};
    for (uint32_t try = 0; try <= retries; try++) {
        if (try) hti_sleep_ns(hti_retry_wait_ns(target->forms->retry_wait_ms, try - 1, &why));
        why = (ht_error){0};
        status = call_once(a, self, &why);
        if (status == HT_OK) break;
        for (size_t o = 0; a->out && o < target->n_outputs; o++) hti_values_release(a->out[o], a->n);
        if (status == HT_PARKED) status = hti_fail(&why, HT_INVALID, "awaits outside a body");
        (void)hti_fail_as(err, status, &why);
        if (status == HT_CANCELLED || status == HT_NO_MEMORY) break;
    }
    return status;
}

static ht_status call_with_object(const attempt *a, ht_error *err)
{
    const hti_target *target = a->target;
    void *self;
    if (!target->instance || hti_instance_is_away(target->instance)) return call_repeatedly(a, target->self, err);
    HT_TRY(check_held(target, err));
    HT_TRY(hti_instance_take(target->instance, &self, err));
    const holding mine = {target->instance, held};
    held = &mine;
    const ht_status status = call_repeatedly(a, hti_forms_self(target->forms, self), err);
    held = mine.before;
    hti_instance_give(target->instance, self);
    return status;
}

ht_status hti_target_call(const hti_target *target, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    const bool away = target->instance && hti_instance_is_away(target->instance);
    if (target->whole && !away) return hti_target_call_whole(target, in, out[0], err);
    const attempt a = {.target = target, .n = n, .in = in, .out = out};
    return call_with_object(&a, err);
}

ht_status hti_target_call_series(const hti_target *target, size_t n, const ht_series_column *in, ht_series **out,
                                 ht_error *err)
{
    const attempt a = {.target = target, .n = n, .columns = in, .made = out};
    return call_with_object(&a, err);
}

/* ---- methods called by the program itself ---- */

static ht_status method_target(ht_instance *instance, const char *method, size_t n_args, hti_target *out, ht_error *err)
{
    hti_chosen chosen;
    HT_TRY(hti_instance_method(instance, method, &chosen, err));
    *out = hti_target_of_method(instance, chosen);
    if (out->n_inputs != n_args)
        return HT_FAIL(err, INVALID, "method '%s.%s' takes %zu arguments, not %zu", out->class_name, method,
                       out->n_inputs, n_args);
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
        in[i] = (ht_column){&args[i], hti_gathers(target.forms) && !(hti_over(target.forms) >> i & 1)};
    return hti_target_call(&target, 1, in, &out, err);
}

/* A call that the program started. */
typedef struct direct_call {
    ht_completion completion;
    ht_instance *instance; /* kept */
    ht_done_fn done;
    void *ud;
} direct_call;

static void end_direct(void *ud, const ht_value *out, const ht_error *why)
{
    direct_call *call = ud;
    call->done(call->ud, why ? why->status : HT_OK, out ? out[0] : ht_value_null(), why ? why->message : "");
    ht_instance_release(call->instance);
    hti_free(call);
}

static ht_status start_direct(const hti_target *target, const ht_value *args, ht_done_fn done, void *ud, ht_error *err)
{
    void *self;
    direct_call *call = HTI_NEW(direct_call);
    if (!call) return HTI_NO_MEMORY(err);
    *call = (direct_call){{end_direct, call}, target->instance, done, ud};
    ht_instance_retain(target->instance);
    ht_status status = hti_instance_take(target->instance, &self, err);
    if (status == HT_OK) {
        hti_instance_count(target->instance, (ht_instance_stats){.starts = 1});
        status = target->forms->start(hti_forms_self(target->forms, self), args, &call->completion, err);
        hti_instance_give(target->instance, self);
        if (status == HT_OK) return HT_OK; /* it may have ended already */
    }
    ht_instance_release(target->instance);
    hti_free(call);
    return status;
}

ht_status ht_instance_start(ht_instance *instance, const char *method, const ht_value *args, size_t n_args,
                            ht_done_fn done, void *ud, ht_error *err)
{
    hti_target target;
    ht_value out;
    HT_TRY(method_target(instance, method, n_args, &target, err));
    if (target.forms->start && !target.whole && !hti_instance_is_away(instance))
        return start_direct(&target, args, done, ud, err);
    HT_TRY(ht_instance_call(instance, method, args, n_args, &out, err));
    done(ud, HT_OK, out, "");
    return HT_OK;
}

ht_status ht_instance_call_batch(ht_instance *instance, const char *method, size_t n, const ht_column *args,
                                 size_t n_args, ht_value *out, ht_error *err)
{
    hti_target target;
    ht_column in[HTI_MAX_INPUTS] = {{NULL, false}};
    HT_TRY(method_target(instance, method, n_args, &target, err));
    for (size_t i = 0; i < n; i++) out[i] = ht_value_null();
    target.whole = false; /* these are rows already, by whatever name they are called */
    const size_t most = !hti_gathers(target.forms) ? 1 : target.forms->batch_size ? target.forms->batch_size : n;
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
