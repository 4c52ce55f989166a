/*
 * traced.c - spans of a run into its trace, where it has one.
 *
 * Names of steps are looked up once, when the run begins; other names (methods that bodies await) at each call.
 */
#include "registry_int.h"
#include "run_int.h"

#include <stdio.h>

static _Thread_local uint32_t this_worker; /* which thread of the run this is; 0: the caller's */
static _Thread_local ht_trace *this_trace; /* of the run that this thread works for, NULL: none */

size_t hti_trace_worker(size_t worker)
{
    const size_t before = this_worker;
    this_worker = (uint32_t)worker;
    return before;
}

size_t hti_this_worker(void) { return this_worker; }

ht_trace *hti_trace_enter(ht_trace *trace)
{
    ht_trace *before = this_trace;
    this_trace = trace;
    return before;
}

void hti_trace_load(const char *class_name, uint64_t start)
{
    const char *kept = this_trace ? hti_trace_name(this_trace, class_name) : NULL;
    const ht_span span = {
        .kind = HT_SPAN_LOAD, .worker = this_worker, .name = kept, .start_ns = start, .end_ns = hti_clock_ns(), .n = 1};
    if (kept) hti_trace_add(this_trace, &span);
}

static ht_status name_steps(hti_run *run, const ht_plan *plan, ht_error *err)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        const char *name = hti_trace_name(run->options->trace, step->node->name);
        if (!name) return HTI_NO_MEMORY(err);
        run->step_names[step->order] = name;
        if (step->child) HT_TRY(name_steps(run, step->child, err));
    }
    return HT_OK;
}

ht_status hti_trace_run(hti_run *run, const ht_plan *plan, ht_error *err)
{
    if (!run->options->trace) return HT_OK;
    run->step_names = HTI_NEW_ARRAY(const char *, hti_plan_count(plan));
    if (!run->step_names) return HTI_NO_MEMORY(err);
    hti_trace_begin(run->options->trace);
    return name_steps(run, plan, err);
}

uint64_t hti_trace_now(const hti_run *run) { return run->options->trace ? hti_clock_ns() : 0; }

void hti_trace_step(const hti_run *run, ht_span_kind kind, const hti_frame *frame, uint64_t start, uint64_t n)
{
    if (!run->options->trace) return;
    const ht_span span = {.kind = kind,
                          .worker = this_worker,
                          .name = run->step_names[frame->map->plan->steps[frame->step].order],
                          .start_ns = start,
                          .end_ns = hti_clock_ns(),
                          .item = hti_frame_item(frame),
                          .n = n};
    hti_trace_add(run->options->trace, &span);
}

void hti_trace_call(const hti_run *run, ht_span_kind kind, const hti_target *target, uint64_t start, uint64_t n)
{
    char name[200];
    if (!run->options->trace) return;
    if (target->class_name)
        (void)snprintf(name, sizeof name, "%.120s.%.70s", target->class_name, target->name);
    else
        (void)snprintf(name, sizeof name, "%.190s", target->name);
    const char *kept = hti_trace_name(run->options->trace, name);
    const ht_span span = {
        .kind = kind, .worker = this_worker, .name = kept, .start_ns = start, .end_ns = hti_clock_ns(), .n = n};
    if (kept) hti_trace_add(run->options->trace, &span);
}

/* ---- spans of other processes ---- */

ht_status hti_trace_value(ht_trace *trace, ht_value *out, ht_error *err)
{
    const ht_span *spans;
    size_t n, made = 0;
    uint64_t lost;
    HT_TRY(ht_trace_spans(trace, &spans, &n, &lost, err));
    ht_value *items = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    while (status == HT_OK && made < n) {
        const ht_span *span = &spans[made];
        ht_value parts[6] = {ht_value_int(span->kind),
                             ht_value_null(),
                             ht_value_int((int64_t)span->start_ns),
                             ht_value_int((int64_t)span->end_ns),
                             ht_value_int((int64_t)span->item),
                             ht_value_int((int64_t)span->n)};
        status = ht_value_string(hti_text_of(span->name), &parts[1], err);
        if (status == HT_OK) status = ht_value_list_take(parts, 6, &items[made], err);
        made += status == HT_OK;
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, n, out, err);
    else if (items)
        hti_values_release(items, made);
    hti_free(items);
    return status;
}

void hti_trace_take(const hti_run *run, uint32_t worker, ht_value spans)
{
    size_t n, n_parts;
    const ht_value *items = ht_value_items(spans, &n);
    for (size_t i = 0; run->options->trace && i < n; i++) {
        const ht_value *part = ht_value_items(items[i], &n_parts);
        if (n_parts != 6 || part[1].kind != HT_KIND_STRING) continue;
        if (part[0].as.integer < 0 || part[0].as.integer > HT_SPAN_WAIT) continue;
        const ht_span span = {.kind = (ht_span_kind)part[0].as.integer,
                              .worker = worker,
                              .name = hti_trace_name(run->options->trace, ht_value_text(part[1]).data),
                              .start_ns = (uint64_t)part[2].as.integer,
                              .end_ns = (uint64_t)part[3].as.integer,
                              .item = (uint64_t)part[4].as.integer,
                              .n = (uint64_t)part[5].as.integer};
        if (span.name) hti_trace_add(run->options->trace, &span);
    }
}
