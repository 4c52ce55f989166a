/*
 * batch.c - parked calls with the same callable, the same instance and equal constant arguments become one call.
 *
 * The parked frames are sorted by their numbers, grouped by a hash of the key, and each group is cut at the callable's
 * batch size. Full groups are called; if none is full, those of the callable that stands earliest in the plan, whatever
 * their size, so that later ones gather more.
 * A failing group is told to everyone in it, unless its policy spares the others: then it is halved until the rows that
 * fail stand alone.
 */
#include "run_int.h"

#include <string.h>

typedef struct group {
    uint64_t hash;
    uint32_t first, n; /* in `members` */
    uint32_t order;    /* of the earliest step that calls it */
    size_t most;       /* rows of one call */
} group;

typedef struct job {
    hti_frame **frames; /* [n] */
    size_t n;
} job;

typedef struct firing {
    hti_run *run;
    group *groups; /* [n_groups] */
    size_t n_groups;
    uint32_t *slots; /* [n_slots] a power of two: group, or UINT32_MAX */
    size_t n_slots;
    uint32_t *group_of;  /* [n_parked] */
    hti_frame **members; /* [n_parked] by group, then by number */
    job *jobs;           /* [n_jobs] */
    size_t n_jobs;
    hti_arena arena;
} firing;

/* ---- keys ---- */

/* Numbers and strings are equal by content, objects as their type says, everything else by identity. */
static bool same_constant(ht_value a, ht_value b)
{
    if (a.kind != b.kind) return false;
    if (a.kind <= HT_KIND_STRING) return ht_value_equal(a, b);
    if (a.as.object == b.as.object) return true;
    const ht_type *type = ht_value_type(a);
    return type && type->same && type == ht_value_type(b) &&
           type->same(ht_value_object(a, type), ht_value_object(b, type));
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    return hash ^ hash >> 32;
}

static uint64_t hash_constant(ht_value value)
{
    uint64_t bits = 0;
    if (value.kind == HT_KIND_STRING) {
        const ht_text text = ht_value_text(value);
        return hti_hash(text.data, text.len);
    }
    const ht_type *type = ht_value_type(value);
    if (type && type->same && type->hash) return type->hash(ht_value_object(value, type));
    if (value.kind == HT_KIND_BOOL) return value.as.boolean;
    if (value.kind != HT_KIND_NULL) memcpy(&bits, &value.as, sizeof bits);
    return bits;
}

static uint64_t hash_call(const hti_frame *frame)
{
    const hti_target *target = &frame->target;
    const uint64_t over = hti_over(target->forms);
    uint64_t hash = mix((uintptr_t)target->forms, (uintptr_t)target->instance);
    hash = mix(hash, (uintptr_t)target->self);
    for (size_t i = 0; i < target->n_inputs; i++)
        if (!(over >> i & 1)) {
            const ht_value value = hti_frame_argument(frame, i);
            hash = mix(mix(hash, value.kind), hash_constant(value));
        }
    return hash;
}

static bool same_call(const hti_frame *a, const hti_frame *b)
{
    const hti_target *x = &a->target, *y = &b->target;
    if (x->forms != y->forms || x->instance != y->instance || x->self != y->self) return false;
    const uint64_t over = hti_over(x->forms);
    for (size_t i = 0; i < x->n_inputs; i++)
        if (!(over >> i & 1) && !same_constant(hti_frame_argument(a, i), hti_frame_argument(b, i))) return false;
    return true;
}

/* ---- groups ---- */

static uint32_t find_group(firing *f, const hti_frame *frame)
{
    const hti_frames *parked = &f->run->parked;
    const uint64_t hash = hash_call(frame);
    size_t at = (size_t)hash & (f->n_slots - 1);
    for (; f->slots[at] != UINT32_MAX; at = (at + 1) & (f->n_slots - 1)) {
        const group *g = &f->groups[f->slots[at]];
        if (g->hash == hash && same_call(parked->at[g->first], frame)) return f->slots[at]; /* first: of `parked` yet */
    }
    f->slots[at] = (uint32_t)f->n_groups;
    f->groups[f->n_groups] = (group){.hash = hash, .order = UINT32_MAX};
    return (uint32_t)f->n_groups++;
}

static void group_frames(firing *f)
{
    const hti_frames *parked = &f->run->parked;
    for (uint32_t i = 0; i < parked->n; i++) {
        const hti_frame *frame = parked->at[i];
        const uint32_t order = frame->map->plan->steps[frame->step].order, at = find_group(f, frame);
        group *g = &f->groups[at];
        if (g->n++ == 0) {
            const ht_forms *forms = frame->target.forms;
            const size_t size = !hti_gathers(forms) ? 1 : forms->batch_size ? forms->batch_size : SIZE_MAX;
            g->first = i;
            g->most = HTI_MIN(size, f->run->batch_max);
        }
        g->order = HTI_MIN(g->order, order);
        f->group_of[i] = at;
    }
    uint32_t first = 0;
    for (size_t g = 0; g < f->n_groups; g++) {
        f->groups[g].first = first;
        first += f->groups[g].n;
        f->groups[g].n = 0;
    }
    for (uint32_t i = 0; i < parked->n; i++) {
        group *g = &f->groups[f->group_of[i]];
        f->members[g->first + g->n++] = parked->at[i];
    }
}

/* Cuts what is called now; the rest stays parked. */
static void cut_jobs(firing *f)
{
    uint32_t earliest = UINT32_MAX;
    bool full = false;
    size_t kept = 0;
    for (size_t g = 0; g < f->n_groups; g++) {
        full |= f->groups[g].n >= f->groups[g].most;
        earliest = HTI_MIN(earliest, f->groups[g].order);
    }
    for (size_t i = 0; i < f->n_groups; i++) {
        const group *g = &f->groups[i];
        size_t at = 0;
        while (full ? g->n - at >= g->most : g->order == earliest && at < g->n) {
            const size_t n = HTI_MIN(g->most, g->n - at);
            f->jobs[f->n_jobs++] = (job){f->members + g->first + at, n};
            at += n;
        }
        for (; at < g->n; at++) f->run->parked.at[kept++] = f->members[g->first + at];
    }
    f->run->parked.n = kept;
}

/* ---- calls ---- */

static ht_status tell(hti_frame *frame, const ht_error *why, ht_error *err)
{
    if (frame->body && frame->target.forms->on_error == HT_ON_ERROR_NULL) why = NULL;
    frame->answered = true;
    frame->status = HT_OK;
    if (frame->body) return hti_body_answer(frame->body, ht_value_null(), why, err);
    frame->status = why->status;
    frame->failure = HTI_NEW(ht_error);
    if (!frame->failure) return HTI_NO_MEMORY(err);
    *frame->failure = *why;
    return HT_OK;
}

static ht_status give(hti_frame *frame, ht_value *const *out, size_t row, ht_error *err)
{
    frame->answered = true;
    frame->status = HT_OK;
    if (frame->body) {
        const ht_value value = out[0][row];
        out[0][row] = ht_value_null();
        return hti_body_answer(frame->body, value, NULL, err);
    }
    const uint32_t first = frame->map->plan->steps[frame->step].first_out;
    for (size_t o = 0; o < frame->target.n_outputs; o++) {
        frame->values[first + o] = out[o][row];
        out[o][row] = ht_value_null();
    }
    return HT_OK;
}

/* Whether an input of all rows stands in one place of their map, or of several with the same in it. */
static bool is_shared(const job *j, size_t input)
{
    for (size_t k = 0; k < j->n; k++) {
        const hti_frame *frame = j->frames[k];
        if (frame->body || !(frame->map->plan->steps[frame->step].in[input] & HTI_SHARED)) return false;
        if (!same_constant(hti_frame_argument(j->frames[0], input), hti_frame_argument(frame, input))) return false;
    }
    return true;
}

/* Arrays of one call: rows of the inputs that differ, and of the outputs. */
static ht_status gather(const job *j, hti_arena *arena, ht_column *in, ht_value **out, ht_error *err)
{
    const hti_target *target = &j->frames[0]->target;
    const uint64_t over = hti_gathers(target->forms) ? hti_over(target->forms) : UINT64_MAX;
    for (size_t i = 0; i < target->n_inputs; i++) {
        const bool constant = !(over >> i & 1) || (target->forms->shared_constant && is_shared(j, i));
        const size_t n = constant ? 1 : j->n;
        ht_value *rows = HTI_ARENA_ARRAY(arena, ht_value, n);
        if (!rows) return HTI_NO_MEMORY(err);
        for (size_t k = 0; k < n; k++) rows[k] = hti_frame_argument(j->frames[k], i);
        in[i] = (ht_column){rows, constant};
    }
    for (size_t o = 0; o < target->n_outputs; o++) {
        out[o] = HTI_ARENA_ARRAY(arena, ht_value, j->n);
        if (!out[o]) return HTI_NO_MEMORY(err);
        for (size_t k = 0; k < j->n; k++) out[o][k] = ht_value_null();
    }
    return HT_OK;
}

static void tell_event(hti_run *run, const job *j)
{
    const hti_target *target = &j->frames[0]->target;
    char name[200];
    if (!run->options->event || (j->n == 1 && target->forms->row)) return;
    hti_buffer text;
    hti_buffer_init(&text);
    hti_buffer_printf(&text, "%s%s%s", target->class_name ? target->class_name : "", target->class_name ? "." : "",
                      target->name);
    const ht_text view = hti_buffer_view(&text);
    const size_t len = HTI_MIN(view.len, sizeof name - 1);
    memcpy(name, view.data, len);
    name[len] = '\0';
    hti_buffer_deinit(&text);
    hti_run_event(run, HT_EVENT_BATCH, j->frames[0], name, j->n);
}

/* From the first row's parking to now. */
static void trace_wait(const hti_run *run, const job *j)
{
    uint64_t first = UINT64_MAX;
    if (!run->options->trace) return;
    for (size_t k = 0; k < j->n; k++) first = HTI_MIN(first, j->frames[k]->parked_ns);
    hti_trace_call(run, HT_SPAN_WAIT, &j->frames[0]->target, first, j->n);
}

static ht_status call_job(hti_run *run, const job *j, ht_error *err);

static ht_status call_halves(hti_run *run, const job *j, ht_error *err)
{
    const job left = {j->frames, j->n / 2}, right = {j->frames + j->n / 2, j->n - j->n / 2};
    HT_TRY(call_job(run, &left, err));
    return call_job(run, &right, err);
}

static ht_status share_failure(const job *j, ht_status status, ht_error *why, ht_error *err)
{
    why->status = status;
    if (j->n > 1) (void)hti_fail_context(why, status, "in a batch of %zu", j->n);
    for (size_t k = 0; k < j->n; k++) HT_TRY(tell(j->frames[k], why, err));
    return HT_OK;
}

/* Halving goes at most log2(n) deep. */
static ht_status call_job(hti_run *run, const job *j, ht_error *err)
{
    const hti_target *target = &j->frames[0]->target;
    ht_column in[HTI_MAX_INPUTS];
    ht_value *out[HTI_MAX_OUTPUTS];
    ht_error why = {0};
    hti_arena arena;
    hti_arena_init(&arena);
    ht_status status = gather(j, &arena, in, out, err);
    if (status != HT_OK) {
        hti_arena_deinit(&arena);
        return status;
    }
    tell_event(run, j);
    trace_wait(run, j);
    const uint64_t start = hti_trace_now(run);
    const ht_status called = hti_target_call(target, j->n, in, out, &why);
    hti_trace_call(run, j->n == 1 && target->forms->row ? HT_SPAN_NODE : HT_SPAN_BATCH, target, start, j->n);
    for (size_t k = 0; called == HT_OK && status == HT_OK && k < j->n; k++) status = give(j->frames[k], out, k, err);
    for (size_t o = 0; o < target->n_outputs; o++) hti_values_release(out[o], j->n);
    hti_arena_deinit(&arena);
    if (called == HT_OK) return status;
    const bool spares = hti_run_collects(run, called) || (target->forms->on_error != HT_ON_ERROR_RAISE &&
                                                          called != HT_CANCELLED && called != HT_NO_MEMORY);
    return spares && j->n > 1 ? call_halves(run, j, err) : share_failure(j, called, &why, err);
}

static ht_status run_job(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    const firing *f = ud;
    const size_t outer = hti_trace_worker(thread);
    ht_trace *before = hti_trace_enter(f->run->options->trace);
    const ht_status status = call_job(f->run, &f->jobs[chunk], err);
    (void)hti_trace_enter(before);
    (void)hti_trace_worker(outer);
    return status;
}

/* ---- all of it ---- */

static ht_status prepare(firing *f, ht_error *err)
{
    const size_t n = f->run->parked.n;
    f->n_slots = 16;
    while (f->n_slots < 2 * n) f->n_slots *= 2;
    f->groups = HTI_ARENA_ARRAY(&f->arena, group, n);
    f->slots = HTI_ARENA_ARRAY(&f->arena, uint32_t, f->n_slots);
    f->group_of = HTI_ARENA_ARRAY(&f->arena, uint32_t, n);
    f->members = HTI_ARENA_ARRAY(&f->arena, hti_frame *, n);
    f->jobs = HTI_ARENA_ARRAY(&f->arena, job, n);
    if (!f->groups || !f->slots || !f->group_of || !f->members || !f->jobs) return HTI_NO_MEMORY(err);
    memset(f->slots, 0xff, f->n_slots * sizeof *f->slots);
    return HT_OK;
}

static ht_status fire(firing *f, ht_error *err)
{
    hti_run *run = f->run;
    HT_TRY(prepare(f, err));
    hti_frames_sort(&run->parked);
    group_frames(f);
    cut_jobs(f);
    for (size_t i = 0; i < f->n_jobs; i++)
        for (size_t k = 0; k < f->jobs[i].n; k++) HT_TRY(hti_frames_push(&run->runnable, f->jobs[i].frames[k], err));
    if (run->pool) return hti_pool_run(run->pool, f->n_jobs, run_job, f, err);
    for (size_t i = 0; i < f->n_jobs; i++) HT_TRY(call_job(run, &f->jobs[i], err));
    return HT_OK;
}

/* Frames that work for a failed item end instead; true if there were any. */
static ht_status spare_doomed(hti_run *run, bool *any, ht_error *err)
{
    size_t kept = 0;
    *any = false;
    for (size_t i = 0; i < run->parked.n; i++) {
        hti_frame *frame = run->parked.at[i];
        if (frame->root->doomed) {
            HT_TRY(hti_frames_push(&run->runnable, frame, err));
            *any = true;
        } else {
            run->parked.at[kept++] = frame;
        }
    }
    run->parked.n = kept;
    return HT_OK;
}

ht_status hti_batches_fire(hti_run *run, ht_error *err)
{
    firing f = {.run = run};
    bool any = false;
    if (run->options->errors == HT_ERRORS_COLLECT) HT_TRY(spare_doomed(run, &any, err));
    if (any) return HT_OK;
    hti_arena_init(&f.arena);
    const ht_status status = fire(&f, err);
    hti_arena_deinit(&f.arena);
    return status;
}
