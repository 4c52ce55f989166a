/*
 * dry_run.c - a run without its calls: what a cache has, and which part of a key has changed where it has nothing.
 *
 * Walks the plan as a run does, item by item, with results from the cache in the places of calls. What depends on a
 * result that is not there stays unknown, so no step behind it is looked up.
 * The part that changed is found by comparing with what the same node has put before: the entry that differs in the
 * fewest parts counts. Oracle: the acceptance tests change one part at a time.
 */
#include "fields.h"
#include "run_int.h"

#include <stdio.h>
#include <string.h>

enum { MOST_SEEN = 4096, PATH = 400 };

typedef struct explained {
    uint64_t hits, misses, unknown;
    uint64_t fresh;    /* misses of a node that has put nothing yet */
    uint64_t *changed; /* [HTI_KEY_HEAD + inputs] misses that differ there from the nearest entry */
    bool uncached;     /* no version, or something without a digest */
    bool uncounted;    /* unknown items of an unknown number */
    bool loaded;
    uint64_t *seen; /* [n_seen][HTI_KEY_HEAD + inputs] of earlier entries, the last used first */
    size_t n_seen, cap_seen, n_parts;
} explained;

typedef struct explainer {
    hti_run run;
    hti_arena arena;
    explained *steps; /* [n_steps] by their order in the whole plan */
    size_t n_steps;
    ht_status status; /* of a visit */
    ht_error *err;
} explainer;

/* Which values of a map, or of a frame, are known. */
typedef struct knowledge {
    bool *shared, *own, *out; /* [n_shared], [n_own], [n_outputs] */
} knowledge;

static bool is_known(const knowledge *k, uint32_t place)
{
    return place & HTI_SHARED ? k->shared[place & ~HTI_SHARED] : k->own[place];
}

/* ---- what changed ---- */

typedef struct visit {
    explainer *x;
    explained *e;
} visit;

static bool see(void *ud, const uint64_t *parts, size_t n_parts)
{
    const visit *v = ud;
    explained *e = v->e;
    if (n_parts != e->n_parts) return true;
    v->x->status = hti_reserve(&e->seen, &e->cap_seen, (e->n_seen + 1) * n_parts, sizeof *e->seen, v->x->err);
    if (v->x->status != HT_OK) return false;
    memcpy(e->seen + e->n_seen++ * n_parts, parts, n_parts * sizeof *parts);
    return true;
}

static ht_status load_seen(explainer *x, explained *e, const hti_step *step)
{
    visit v = {x, e};
    if (e->loaded) return HT_OK;
    e->loaded = true;
    HT_TRY(ht_cache_visit(x->run.cache, step->node->name, MOST_SEEN, see, &v, x->err));
    return x->status;
}

static size_t count_changed(const uint64_t *a, const uint64_t *b, size_t n)
{
    size_t changed = 0;
    for (size_t i = 0; i < n; i++) changed += a[i] != b[i];
    return changed;
}

static ht_status note_miss(explainer *x, explained *e, const hti_frame *frame, const hti_step *step)
{
    size_t best = 0, fewest = SIZE_MAX;
    HT_TRY(load_seen(x, e, step));
    e->misses++;
    if (e->n_seen == 0) {
        e->fresh++;
        return HT_OK;
    }
    for (size_t i = 0; i < e->n_seen && fewest > 1; i++) {
        const size_t changed = count_changed(e->seen + i * e->n_parts, frame->parts, e->n_parts);
        if (changed >= fewest) continue;
        best = i;
        fewest = changed;
    }
    for (size_t p = 0; p < e->n_parts; p++) e->changed[p] += e->seen[best * e->n_parts + p] != frame->parts[p];
    return HT_OK;
}

/* ---- the walk ---- */

static ht_status explain_map(explainer *x, hti_open_map *map, knowledge *k);

/* Steps of a nested plan whose items are unknown. */
static void note_unknown(explainer *x, const ht_plan *plan)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        explained *e = &x->steps[plan->steps[s].order];
        e->uncached |= !plan->steps[s].child && !hti_step_version(&plan->steps[s]);
        e->unknown++;
        e->uncounted = true;
        if (plan->steps[s].child) note_unknown(x, plan->steps[s].child);
    }
}

static ht_status make_knowledge(explainer *x, const ht_plan *plan, knowledge *out)
{
    out->shared = HTI_ARENA_ARRAY(&x->arena, bool, plan->n_shared);
    out->own = HTI_ARENA_ARRAY(&x->arena, bool, plan->n_own);
    out->out = HTI_ARENA_ARRAY(&x->arena, bool, plan->n_outputs);
    if (!out->shared || !out->own || !out->out) return HTI_NO_MEMORY(x->err);
    memset(out->shared, true, plan->n_shared);
    memset(out->own, false, plan->n_own);
    memset(out->out, true, plan->n_outputs);
    return HT_OK;
}

static ht_status explain_nested(explainer *x, hti_frame *frame, const hti_step *step, knowledge *k)
{
    const ht_plan *child = step->child;
    explained *e = &x->steps[step->order];
    hti_open_map *map;
    knowledge inner;
    for (size_t m = 0; m < step->node->n_map_over; m++) {
        if (is_known(k, step->in[step->node->map_over[m]])) continue;
        e->unknown++;
        note_unknown(x, child);
        return HT_OK;
    }
    HT_TRY(make_knowledge(x, child, &inner));
    HT_TRY(hti_map_open(&x->run, frame, step, &map, x->err));
    for (size_t c = 0; c < child->n_inputs; c++)
        if (child->input_at[c] & HTI_SHARED)
            inner.shared[child->input_at[c] & ~HTI_SHARED] = is_known(k, step->in[step->child_in[c]]);
    ht_status status = explain_map(x, map, &inner);
    if (status == HT_OK) status = hti_map_finish(map, frame, step, x->err);
    hti_map_close(map);
    for (size_t o = 0; o < step->node->n_outputs; o++)
        k->own[step->first_out + o] = step->child_out[o] != UINT32_MAX && inner.out[step->child_out[o]];
    return status;
}

static ht_status explain_step(explainer *x, hti_frame *frame, const hti_step *step, knowledge *k)
{
    explained *e = &x->steps[step->order];
    bool known = true;
    if (step->child) return explain_nested(x, frame, step, k);
    if (!hti_step_version(step)) {
        e->uncached = true;
        e->unknown++;
        return HT_OK;
    }
    for (size_t i = 0; i < step->node->n_inputs; i++) known &= is_known(k, step->in[i]);
    if (!known) {
        e->unknown++;
        return HT_OK;
    }
    if (hti_cache_take(frame, step)) {
        e->hits++;
        memset(k->own + step->first_out, true, step->node->n_outputs);
        return HT_OK;
    }
    if (frame->has_key) return note_miss(x, e, frame, step);
    e->uncached = true; /* an input without a digest */
    e->unknown++;
    return HT_OK;
}

/* `k` knows what is shared; out: outputs that all items have. */
static ht_status explain_map(explainer *x, hti_open_map *map, knowledge *k)
{
    const ht_plan *plan = map->plan;
    while (map->next < map->n) {
        hti_frame *frame;
        HT_TRY(hti_map_admit(&x->run, map, &frame, x->err));
        ht_status status = HT_OK;
        memset(k->own, false, plan->n_own);
        for (size_t i = 0; i < plan->n_inputs; i++)
            if (!(plan->input_at[i] & HTI_SHARED)) k->own[plan->input_at[i]] = true;
        for (; status == HT_OK && frame->step < plan->n_steps; frame->step++)
            status = explain_step(x, frame, &plan->steps[frame->step], k);
        frame->has_key = false;
        for (size_t o = 0; o < plan->n_outputs; o++) k->out[o] &= is_known(k, plan->output_at[o]);
        hti_map_take(map, frame);
        HT_TRY(status);
    }
    return HT_OK;
}

/* ---- told as a value ---- */

static ht_status changed_value(const explained *e, const hti_node *node, ht_value *out, ht_error *err)
{
    const char *names[HTI_KEY_HEAD + HTI_MAX_INPUTS];
    ht_value counts[HTI_KEY_HEAD + HTI_MAX_INPUTS];
    size_t n = 0;
    for (size_t p = 0; p < e->n_parts; p++) {
        if (!e->changed[p]) continue;
        names[n] = p == HTI_KEY_CODE        ? "(code)"
                   : p == HTI_KEY_ARGUMENTS ? "(arguments)"
                                            : node->inputs[p - HTI_KEY_HEAD].name;
        counts[n++] = ht_value_int((int64_t)e->changed[p]);
    }
    return ht_value_struct(names, counts, n, out, err);
}

static ht_status step_value(const explained *e, const hti_step *step, const char *path, ht_value *out, ht_error *err)
{
    hti_fields f = {.err = err};
    ht_value changed = ht_value_null();
    hti_fields_text(&f, "node", path);
    hti_fields_take(&f, "cached", ht_value_bool(!e->uncached));
    hti_fields_take(&f, "hits", ht_value_int((int64_t)e->hits));
    hti_fields_take(&f, "misses", ht_value_int((int64_t)e->misses));
    hti_fields_take(&f, "unknown", ht_value_int((int64_t)e->unknown));
    hti_fields_take(&f, "at_least", ht_value_bool(e->uncounted));
    hti_fields_take(&f, "never_put", ht_value_int((int64_t)e->fresh));
    if (f.status == HT_OK) f.status = changed_value(e, step->node, &changed, err);
    hti_fields_take(&f, "changed", changed);
    return hti_fields_end(&f, out);
}

/* Steps that call something, in order; nested ones by their path. */
static ht_status add_steps(const explainer *x, const ht_plan *plan, const char *around, ht_value *items, size_t *n)
{
    char path[PATH];
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        (void)snprintf(path, sizeof path, "%s%s%s", around, *around ? "/" : "", step->node->name);
        if (step->child) {
            HT_TRY(add_steps(x, step->child, path, items, n));
            continue;
        }
        HT_TRY(step_value(&x->steps[step->order], step, path, &items[*n], x->err));
        ++*n;
    }
    return HT_OK;
}

static ht_status tell(const explainer *x, const ht_plan *plan, ht_value *out)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, x->n_steps);
    size_t n = 0;
    if (!items) return HTI_NO_MEMORY(x->err);
    ht_status status = add_steps(x, plan, "", items, &n);
    if (status == HT_OK)
        status = ht_value_list_take(items, n, out, x->err);
    else
        hti_values_release(items, n);
    hti_free(items);
    return status;
}

/* ---- the door ---- */

static ht_status make_steps(explainer *x, const ht_plan *plan)
{
    for (size_t s = 0; s < plan->n_steps; s++) {
        const hti_step *step = &plan->steps[s];
        explained *e = &x->steps[step->order];
        e->n_parts = HTI_KEY_HEAD + step->node->n_inputs;
        e->changed = HTI_ARENA_ARRAY(&x->arena, uint64_t, e->n_parts);
        if (!e->changed) return HTI_NO_MEMORY(x->err);
        memset(e->changed, 0, e->n_parts * sizeof *e->changed);
        if (step->child) HT_TRY(make_steps(x, step->child));
    }
    return HT_OK;
}

static ht_status explain(explainer *x, const ht_plan *plan, ht_value inputs, ht_run_options *options, ht_value *out)
{
    hti_open_map *root = NULL;
    knowledge k;
    x->n_steps = hti_plan_count(plan);
    x->steps = hti_alloc_zero(hti_mul(x->n_steps, sizeof *x->steps));
    if (!x->steps) return HTI_NO_MEMORY(x->err);
    HT_TRY(make_steps(x, plan));
    HT_TRY(make_knowledge(x, plan, &k));
    HT_TRY(hti_plan_open(plan, inputs, options, &x->run, &root, x->err));
    ht_status status = explain_map(x, root, &k);
    if (status == HT_OK) status = tell(x, plan, out);
    hti_map_close(root);
    return status;
}

ht_status ht_plan_explain_cache(const ht_plan *plan, ht_value inputs, ht_cache *cache, ht_registry *registry,
                                ht_value *out, ht_error *err)
{
    ht_run_options options = {HT_DESC(ht_run_options), .cache = cache, .registry = registry};
    explainer x = {.err = err};
    *out = ht_value_null();
    if (!cache) return HT_FAIL(err, INVALID, "there is no cache to look into");
    hti_arena_init(&x.arena);
    ht_status status = hti_run_init(&x.run, &options, err);
    if (status == HT_OK) status = explain(&x, plan, inputs, &options, out);
    for (size_t s = 0; x.steps && s < x.n_steps; s++) hti_free(x.steps[s].seen);
    hti_free(x.steps);
    hti_run_deinit(&x.run);
    hti_arena_deinit(&x.arena);
    return status;
}
