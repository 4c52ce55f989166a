/*
 * run.c - runs from their inputs to their outputs, and the maps inside them: items in, results out.
 *
 * An open map holds what its items share, and a place for every result, so frames of one map write to it from several
 * threads without a lock: each item has its own places.
 */
#include "registry_int.h"
#include "run_int.h"

#include <string.h>

/* ---- what a map iterates ---- */

static ht_value tensor_element(const ht_tensor *tensor, size_t at)
{
    switch (tensor->element) {
    case HT_F32: return ht_value_float(((const float *)tensor->data)[at]);
    case HT_F64: return ht_value_float(((const double *)tensor->data)[at]);
    case HT_I8: return ht_value_int(((const int8_t *)tensor->data)[at]);
    case HT_U8: return ht_value_int(((const uint8_t *)tensor->data)[at]);
    case HT_I32: return ht_value_int(((const int32_t *)tensor->data)[at]);
    case HT_I64: return ht_value_int(((const int64_t *)tensor->data)[at]);
    }
    return ht_value_null();
}

/* Rows of a tensor as values: elements of one dimension, else tensors of one dimension less. */
static ht_status rows_of_tensor(const ht_tensor *tensor, ht_value *out, ht_error *err)
{
    const size_t n = (size_t)tensor->shape[0], size = ht_element_size(tensor->element);
    const size_t row = n ? tensor->n / n * size : 0;
    ht_value *rows = HTI_NEW_ARRAY(ht_value, n);
    ht_status status = HT_OK;
    size_t made = 0;
    if (!rows) return HTI_NO_MEMORY(err);
    for (; status == HT_OK && made < n; made++) {
        const unsigned char *at = (const unsigned char *)tensor->data + made * row;
        if (tensor->n_dims == 1)
            rows[made] = tensor_element(tensor, made);
        else
            status = ht_value_tensor(tensor->element, tensor->n_dims - 1, tensor->shape + 1, at, &rows[made], err);
    }
    if (status == HT_OK) {
        status = ht_value_list_take(rows, n, out, err);
    } else {
        hti_values_release(rows, made - 1);
    }
    hti_free(rows);
    return status;
}

/* The list that an input is mapped over, kept by the map. */
static ht_status take_list(hti_open_map *map, const char *name, ht_value value, size_t *n, const ht_value **items,
                           ht_error *err)
{
    const ht_tensor *tensor = ht_value_tensor_view(value);
    ht_series *series = ht_value_series(value);
    if (value.kind == HT_KIND_LIST) {
        map->lists[map->n_lists++] = ht_value_retain(value);
    } else if (tensor && tensor->n_dims > 0) {
        HT_TRY(rows_of_tensor(tensor, &map->lists[map->n_lists], err));
        map->n_lists++;
    } else if (series) {
        HT_TRY(hti_series_list(series, &map->lists[map->n_lists], err));
        map->n_lists++;
    } else if (ht_value_type(value) && ht_value_type(value)->rows) {
        const ht_type *type = ht_value_type(value);
        const ht_status status = type->rows(ht_value_object(value, type), &map->lists[map->n_lists], err);
        if (status != HT_OK) return hti_fail_context(err, status, "cannot map over '%s'", name);
        map->n_lists++;
    } else {
        return HT_FAIL(err, INVALID, "cannot map over '%s': a list, tensor or series is wanted, not a %s", name,
                       ht_kind_name(value.kind));
    }
    *items = ht_value_items(map->lists[map->n_lists - 1], n);
    return HT_OK;
}

/* ---- opening ---- */

static ht_status set_zip(hti_open_map *map, const hti_opening *o, ht_error *err)
{
    hti_buffer table;
    bool differ = false;
    map->n = o->n_over ? map->len[o->over[0]] : 1;
    for (size_t i = 0; i < o->n_over; i++) differ |= map->len[o->over[i]] != map->n;
    for (size_t i = 0; i < o->n_over; i++) map->stride[o->over[i]] = 1;
    if (!differ) return HT_OK;
    hti_buffer_init(&table);
    for (size_t i = 0; i < o->n_over; i++)
        hti_buffer_printf(&table, "%s%s: %zu", i ? ", " : "", o->plan->inputs[o->over[i]], map->len[o->over[i]]);
    const ht_status status =
        HT_FAIL(err, INVALID, "lists that are mapped together differ in length: %.700s", hti_buffer_view(&table).data);
    hti_buffer_deinit(&table);
    return status;
}

/* The last listed varies fastest. */
static ht_status set_product(hti_open_map *map, const hti_opening *o, ht_error *err)
{
    map->n = 1;
    for (size_t i = o->n_over; i-- > 0;) {
        map->stride[o->over[i]] = HTI_MAX(map->n, 1);
        map->n = hti_mul(map->n, map->len[o->over[i]]);
    }
    return map->n > SIZE_MAX / sizeof(ht_value) / 64 ? HT_FAIL(err, LIMIT, "a product of too many items") : HT_OK;
}

static ht_status fill_map(hti_open_map *map, const hti_opening *o, ht_error *err)
{
    const ht_plan *plan = o->plan;
    map->shared = HTI_ARENA_ARRAY(&map->arena, ht_value, plan->n_shared);
    map->items = HTI_ARENA_ARRAY(&map->arena, const ht_value *, plan->n_inputs);
    map->stride = HTI_ARENA_ARRAY(&map->arena, size_t, plan->n_inputs);
    map->len = HTI_ARENA_ARRAY(&map->arena, size_t, plan->n_inputs);
    map->lists = HTI_ARENA_ARRAY(&map->arena, ht_value, o->n_over);
    if (!map->shared) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_shared; i++) map->shared[i] = ht_value_null();
    if (!map->items || !map->stride || !map->len || !map->lists) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_inputs; i++) {
        const uint32_t at = plan->input_at[i];
        map->items[i] = NULL;
        if (at & HTI_SHARED) map->shared[at & ~HTI_SHARED] = ht_value_retain(o->values[i]);
    }
    for (size_t i = 0; i < plan->n_constants; i++)
        map->shared[plan->n_shared - plan->n_constants + i] = ht_value_retain(plan->constants[i]);
    for (size_t i = 0; i < o->n_over; i++) {
        const uint32_t at = o->over[i];
        HT_TRY(take_list(map, plan->inputs[at], o->values[at], &map->len[at], &map->items[at], err));
    }
    HT_TRY(o->mode == HT_MAP_PRODUCT ? set_product(map, o, err) : set_zip(map, o, err));
    map->state = HTI_ARENA_ARRAY(&map->arena, uint8_t, map->n);
    ht_value *out = HTI_ARENA_ARRAY(&map->arena, ht_value, hti_mul(plan->n_outputs, map->n));
    if (!map->state || !out) return HTI_NO_MEMORY(err);
    memset(map->state, HTI_ITEM_OPEN, map->n);
    for (size_t i = 0; i < plan->n_outputs * map->n; i++) out[i] = ht_value_null();
    map->out = out;
    return HT_OK;
}

ht_status hti_map_open_with(hti_run *run, const hti_opening *o, hti_open_map **out, ht_error *err)
{
    hti_open_map *map = HTI_NEW(hti_open_map);
    if (!map) return HTI_NO_MEMORY(err);
    hti_arena_init(&map->arena);
    map->plan = o->plan;
    map->node = o->node;
    map->parent = o->parent;
    map->mapped = o->n_over > 0;
    map->base = o->base;
    map->opened_ns = hti_trace_now(run);
    map->depth = o->parent ? o->parent->map->depth + 1 : 0;
    ht_status status = fill_map(map, o, err);
    if (status == HT_OK) status = hti_cache_open_map(run, map, err);
    if (status != HT_OK) {
        hti_map_close(map);
        return status;
    }
    if (map->mapped && o->parent) hti_run_event(run, HT_EVENT_MAP_START, o->parent, o->node->name, map->n);
    *out = map;
    return HT_OK;
}

ht_status hti_map_open(hti_run *run, hti_frame *parent, const hti_step *step, hti_open_map **out, ht_error *err)
{
    const hti_node *node = step->node;
    const ht_plan *plan = step->child;
    ht_value values[HTI_MAX_INPUTS] = {0};
    uint32_t over[HTI_MAX_INPUTS] = {0};
    for (size_t c = 0; c < plan->n_inputs; c++) {
        values[c] = hti_frame_value(parent, step->in[step->child_in[c]]);
        for (size_t m = 0; m < node->n_map_over; m++)
            if (node->map_over[m] == step->child_in[c]) over[m] = (uint32_t)c;
    }
    const hti_opening o = {plan, parent, node, values, over, node->n_map_over, node->map_mode, 0};
    const ht_status status = hti_map_open_with(run, &o, out, err);
    return status == HT_OK ? HT_OK : hti_fail_context(err, status, "node '%s'", node->name);
}

void hti_map_close(hti_open_map *map)
{
    if (!map) return;
    while (map->spare) {
        hti_frame *frame = map->spare;
        map->spare = frame->next;
        hti_frame_free(frame);
    }
    hti_values_release(map->shared, map->shared ? map->plan->n_shared : 0);
    hti_values_release(map->lists, map->n_lists);
    hti_values_release(map->out, map->out ? map->plan->n_outputs * map->n : 0);
    hti_arena_deinit(&map->arena);
    hti_free(map);
}

/* ---- items ---- */

ht_status hti_map_admit(hti_run *run, hti_open_map *map, hti_frame **out, ht_error *err)
{
    const ht_plan *plan = map->plan;
    hti_frame *frame = map->spare;
    if (frame) {
        map->spare = frame->next;
    } else {
        frame = hti_alloc(hti_add(sizeof *frame, hti_mul(plan->n_own, sizeof(ht_value))));
        if (!frame) return HTI_NO_MEMORY(err);
        memset(frame, 0, sizeof *frame);
        for (size_t i = 0; i < plan->n_own; i++) frame->values[i] = ht_value_null();
    }
    frame->run = run;
    frame->map = map;
    frame->root = map->parent && map->parent->run == run ? map->parent->root : frame;
    frame->next = NULL;
    frame->item = map->next++;
    frame->step = 0;
    frame->tries = 0;
    frame->skipped = frame->doomed = frame->again = frame->answered = false;
    frame->n_open = 0;
    frame->verdict = ht_value_null();
    if (run->options->event) frame->serial = __atomic_add_fetch(run->serials, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < plan->n_inputs && map->mapped; i++)
        if (map->items[i])
            frame->values[plan->input_at[i]] =
                ht_value_retain(map->items[i][frame->item / map->stride[i] % map->len[i]]);
    *out = frame;
    if (map->mapped && run->options->item_events)
        hti_run_event(run, HT_EVENT_ITEM_START, frame, map->node ? map->node->name : plan->pipeline, map->n);
    return HT_OK;
}

void hti_map_take(hti_open_map *map, hti_frame *frame)
{
    const ht_plan *plan = map->plan;
    const hti_item_state state = !frame->skipped ? HTI_ITEM_DONE : frame->doomed ? HTI_ITEM_FAILED : HTI_ITEM_SKIPPED;
    if (state == HTI_ITEM_FAILED) {
        map->out[frame->item] = frame->verdict;
        frame->verdict = ht_value_null();
    }
    for (size_t o = 0; o < plan->n_outputs && !frame->skipped; o++) {
        map->out[o * map->n + frame->item] = frame->values[plan->output_at[o]];
        frame->values[plan->output_at[o]] = ht_value_null();
    }
    __atomic_store_n(&map->state[frame->item], (uint8_t)state, __ATOMIC_RELEASE);
    if (map->mapped && frame->run->options->item_events)
        hti_run_event(frame->run, HT_EVENT_ITEM_END, frame, map->node ? map->node->name : plan->pipeline, map->n);
    hti_frame_release(frame);
    frame->next = map->spare;
    map->spare = frame;
}

/* Moves the results of items that are done together; how many. */
static size_t compact(const hti_open_map *map, ht_value *results)
{
    size_t n = 0;
    for (size_t i = 0; i < map->n; i++) {
        if (map->state[i] != HTI_ITEM_DONE) continue;
        const ht_value value = results[i];
        results[i] = ht_value_null();
        results[n++] = value;
    }
    return n;
}

ht_status hti_map_result(const hti_run *run, hti_open_map *map, size_t output, ht_value *out, ht_error *err)
{
    ht_value *results = map->out + output * map->n;
    if (!map->mapped) {
        *out = results[0];
        results[0] = ht_value_null();
        return HT_OK;
    }
    const size_t n = compact(map, results);
    const ht_run_options *options = run->options;
    const ht_status status =
        options->gather ? options->gather(options->ud, results, n, out, err) : ht_value_list_take(results, n, out, err);
    for (size_t i = 0; i < n; i++) results[i] = ht_value_null(); /* taken, also on failure */
    return status;
}

ht_status hti_map_finish(hti_open_map *map, hti_frame *parent, const hti_step *step, ht_error *err)
{
    for (size_t o = 0; o < step->node->n_outputs; o++)
        if (step->child_out[o] != UINT32_MAX)
            HT_TRY(hti_map_result(parent->run, map, step->child_out[o], &parent->values[step->first_out + o], err));
    if (map->mapped) {
        hti_trace_step(parent->run, HT_SPAN_MAP, parent, map->opened_ns, map->n);
        hti_run_event(parent->run, HT_EVENT_MAP_END, parent, map->node->name, map->n);
    }
    return HT_OK;
}

/* ---- events ---- */

void hti_run_event(hti_run *run, ht_event_kind kind, const hti_frame *frame, const char *node, uint64_t n)
{
    if (!run->options->event) return;
    hti_run_tell(run, &(ht_event){.kind = kind, .node = node, .n = n}, frame);
}

void hti_run_tell(hti_run *run, const ht_event *what, const hti_frame *frame)
{
    ht_event event = *what;
    if (!run->options->event) return;
    event.time_ns = hti_run_now(run);
    if (frame) {
        event.depth = frame->map->depth;
        event.item = hti_frame_item(frame);
        event.frame = frame->serial;
        event.parent = frame->map->parent ? frame->map->parent->serial : 0;
        event.inside = frame;
    }
    hti_mutex_lock(run->lock);
    run->options->event(run->options->ud, &event);
    hti_mutex_unlock(run->lock);
}

bool ht_event_value(const ht_event *event, size_t at, const char **name, ht_value *out)
{
    const hti_frame *frame = event->inside;
    const bool starts = event->kind == HT_EVENT_NODE_START;
    if (!frame || (!starts && event->kind != HT_EVENT_NODE_END && event->kind != HT_EVENT_NODE_CACHED)) return false;
    const hti_step *step = &frame->map->plan->steps[frame->step];
    if (at >= (starts ? step->node->n_inputs : step->node->n_outputs)) return false;
    *name = starts ? step->node->inputs[at].name : step->node->outputs[at];
    if (starts)
        *out = step->in[at] == UINT32_MAX ? ht_value_null() : hti_frame_value(frame, step->in[at]);
    else
        *out = frame->values[step->first_out + at];
    return true;
}

/* ---- whole runs ---- */

ht_status hti_map_run(hti_run *run, hti_open_map *root, ht_error *err)
{
    if (run->n_workers && root->mapped) return hti_map_run_remote(run, root, err);
    /* Threads that run items as they come to them would keep results without limit for one that is slow. */
    const bool is_bounded = run->pool && run->options->result && root->mapped && !root->parent;
    if (!root->plan->may_park && !is_bounded) return hti_map_run_plain(run, root, err);
    return hti_rounds_run(run, root, err);
}

static ht_status collect_struct(hti_open_map *root, ht_value *out, ht_error *err)
{
    const ht_plan *plan = root->plan;
    ht_value *values = HTI_NEW_ARRAY(ht_value, plan->n_outputs);
    if (!values) return HTI_NO_MEMORY(err);
    for (size_t o = 0; o < plan->n_outputs; o++) values[o] = root->out[o];
    const ht_status status = ht_value_struct(plan->outputs, values, plan->n_outputs, out, err);
    hti_free(values);
    return status;
}

/* The struct of a done item, or its failure. */
static ht_status item_result(const hti_open_map *root, size_t item, ht_value *out, ht_error *err)
{
    const ht_plan *plan = root->plan;
    if (root->state[item] == HTI_ITEM_FAILED) {
        *out = ht_value_retain(root->out[item]);
        return HT_OK;
    }
    ht_value few[8] = {{HT_KIND_NULL, {0}}};
    ht_value *values = plan->n_outputs <= HTI_LEN(few) ? few : HTI_NEW_ARRAY(ht_value, plan->n_outputs);
    if (!values) return HTI_NO_MEMORY(err);
    for (size_t o = 0; o < plan->n_outputs; o++) values[o] = root->out[o * root->n + item];
    const ht_status status = ht_value_struct(plan->outputs, values, plan->n_outputs, out, err);
    if (values != few) hti_free(values);
    return status;
}

static ht_status collect_list(hti_open_map *root, ht_value *out, ht_error *err)
{
    ht_value *items = HTI_NEW_ARRAY(ht_value, root->n);
    ht_status status = items ? HT_OK : HTI_NO_MEMORY(err);
    size_t n = 0;
    for (size_t i = 0; status == HT_OK && i < root->n; i++) {
        if (root->state[i] == HTI_ITEM_SKIPPED) continue;
        status = item_result(root, i, &items[n], err);
        if (status == HT_OK) n++;
    }
    if (status == HT_OK)
        status = ht_value_list_take(items, n, out, err);
    else
        hti_values_release(items, n);
    hti_free(items);
    return status;
}

ht_status hti_map_deliver(hti_run *run, hti_open_map *map, ht_error *err)
{
    const ht_run_options *options = run->options;
    ht_status status = HT_OK;
    if (!options->result || map->parent) return HT_OK;
    hti_mutex_lock(run->lock);
    for (; !run->closed && map->n_given < map->n; map->n_given++) {
        const size_t i = map->n_given;
        const uint8_t state = __atomic_load_n(&map->state[i], __ATOMIC_ACQUIRE);
        ht_value value;
        if (state == HTI_ITEM_OPEN) break;
        if (state == HTI_ITEM_SKIPPED) continue;
        status = item_result(map, i, &value, err);
        run->closed = status != HT_OK;
        if (run->closed) break;
        for (size_t o = 0; o < map->plan->n_outputs; o++) hti_values_release(&map->out[o * map->n + i], 1);
        status = options->result(options->result_ud ? options->result_ud : options->ud, map->base + i, value, err);
        run->closed = status != HT_OK;
        ht_value_release(value);
    }
    hti_mutex_unlock(run->lock);
    return status;
}

/* The inputs as the plan wants them, and which of them are mapped in which order. */
typedef struct root_inputs {
    const char **names; /* [n] */
    ht_value *values;   /* borrowed */
    bool *mapped;
    size_t n;
    hti_arena arena;
} root_inputs;

/* A list that is bound is mapped as a given one is. pipeline NULL: nothing is bound. */
static ht_status read_inputs(root_inputs *in, ht_value inputs, const ht_pipeline *pipeline,
                             const ht_run_options *options, ht_error *err)
{
    if (inputs.kind != HT_KIND_STRUCT && inputs.kind != HT_KIND_NULL)
        return HT_FAIL(err, INVALID, "inputs are a struct, not a %s", ht_kind_name(inputs.kind));
    const ht_value *given = ht_value_items(inputs, &in->n);
    const size_t most = in->n + options->n_map_over;
    in->values = HTI_ARENA_ARRAY(&in->arena, ht_value, most);
    in->names = HTI_ARENA_ARRAY(&in->arena, const char *, most);
    in->mapped = HTI_ARENA_ARRAY(&in->arena, bool, most);
    if (!in->values || !in->names || !in->mapped) return HTI_NO_MEMORY(err);
    memset(in->mapped, 0, most);
    for (size_t i = 0; i < in->n; i++) in->names[i] = ht_value_field_name(inputs, i).data;
    for (size_t i = 0; i < in->n; i++) in->values[i] = given[i];
    for (size_t m = 0; m < options->n_map_over; m++) {
        size_t at = 0;
        while (at < in->n && strcmp(in->names[at], options->map_over[m]) != 0) at++;
        const ht_value *bound = pipeline ? hti_pipeline_bound(pipeline, options->map_over[m]) : NULL;
        if (at == in->n && bound) {
            in->names[in->n] = options->map_over[m];
            in->values[in->n++] = *bound;
        }
        if (at == in->n)
            return hti_fail_choices(err, "map over an unknown input", options->map_over[m], in->names, in->n);
        if (in->mapped[at]) return HT_FAIL(err, INVALID, "map_over names '%s' twice", options->map_over[m]);
        in->mapped[at] = true;
    }
    return HT_OK;
}

static ht_status open_root(hti_run *run, const ht_plan *plan, const root_inputs *in, hti_open_map **out, ht_error *err)
{
    const ht_run_options *options = run->options;
    ht_value values[HTI_MAX_INPUTS] = {0};
    uint32_t over[HTI_MAX_INPUTS] = {0};
    if (plan->n_inputs > HTI_MAX_INPUTS)
        return HT_FAIL(err, LIMIT, "a run with %zu inputs; at most %d", plan->n_inputs, HTI_MAX_INPUTS);
    for (size_t p = 0; p < plan->n_inputs; p++) {
        values[p] = ht_value_null(); /* every input of the plan is among the given ones */
        for (size_t i = 0; i < in->n; i++)
            if (!strcmp(in->names[i], plan->inputs[p])) values[p] = in->values[i];
        for (size_t m = 0; m < options->n_map_over; m++)
            if (!strcmp(options->map_over[m], plan->inputs[p])) over[m] = (uint32_t)p;
    }
    const hti_opening o = {plan, NULL, NULL, values, over, options->n_map_over, options->map_mode, 0};
    return hti_map_open_with(run, &o, out, err);
}

static ht_status run_planned(hti_run *run, const ht_plan *plan, const root_inputs *in, ht_value *out, ht_error *err)
{
    hti_open_map *root;
    HT_TRY(hti_trace_run(run, plan, err));
    HT_TRY(open_root(run, plan, in, &root, err));
    ht_status status = hti_map_run(run, root, err);
    hti_cache_flush(run);
    if (status == HT_OK) status = hti_map_deliver(run, root, err);
    if (status == HT_OK && !run->options->result)
        status = root->mapped ? collect_list(root, out, err) : collect_struct(root, out, err);
    hti_map_close(root);
    return status;
}

ht_status hti_run_init(hti_run *run, const ht_run_options *options, ht_error *err)
{
    *run = (hti_run){.options = options};
    run->serials = &run->next_serial;
    run->window = options->window ? options->window : HTI_WINDOW;
    run->batch_max = options->batch_max ? options->batch_max : SIZE_MAX;
    run->cache = options->cache;
    run->outer_trace = hti_trace_enter(options->trace);
    run->deadline = run->next_timer = UINT64_MAX;
    if (options->timeout_ms) run->deadline = hti_run_now(run) + options->timeout_ms * 1000000;
    run->lock = hti_mutex_new();
    run->arrived = hti_cond_new();
    return run->lock && run->arrived ? HT_OK : HTI_NO_MEMORY(err);
}

void hti_run_deinit(hti_run *run)
{
    (void)hti_trace_enter(run->outer_trace);
    hti_cond_free(run->arrived);
    hti_mutex_free(run->lock);
    hti_free(run->runnable.at);
    hti_free(run->parked.at);
    hti_free(run->sleeping.at);
    hti_free(run->step_names);
}

/* What travels to other processes is looked at before anything runs. */
static ht_status check_workers(const ht_run_options *options, const ht_plan *plan, const root_inputs *in, ht_error *err)
{
    if (!options->registry) return HT_FAIL(err, INVALID, "the processes engine needs a registry");
    HT_TRY(hti_plan_check_remote(plan, options->registry, err));
    const bool stays = options->elsewhere && options->elsewhere->objects;
    for (size_t i = 0; i < in->n && !stays; i++) {
        const ht_status status = hti_value_can_travel(in->values[i], err);
        if (status != HT_OK) return hti_fail_context(err, status, "input '%s'", in->names[i]);
    }
    return HT_OK;
}

static ht_status set_engine(hti_run *run, const ht_run_options *options, ht_pool **own_pool, ht_error *err)
{
    if (options->engine == HT_ENGINE_THREADS) {
        if (!options->pool) HT_TRY(ht_pool_new(options->n_workers, own_pool, err));
        run->pool = options->pool ? options->pool : *own_pool;
    }
    if (options->engine != HT_ENGINE_PROCESSES) return HT_OK;
    if (!options->registry) return HT_FAIL(err, INVALID, "the processes engine needs a registry");
    if (options->elsewhere) {
        run->n_workers = HTI_MAX(options->elsewhere->n_workers, 1);
        return HT_OK;
    }
    run->n_workers = options->n_workers ? options->n_workers : hti_cpu_count();
    return hti_registry_workers(options->registry, run->n_workers, &run->workers, err);
}

static ht_status start_run(const ht_run_options *options, const ht_plan *plan, const root_inputs *in, ht_value *out,
                           ht_error *err)
{
    hti_run run;
    ht_pool *own = NULL;
    ht_status status = hti_run_init(&run, options, err);
    if (status == HT_OK && options->engine == HT_ENGINE_PROCESSES) status = check_workers(options, plan, in, err);
    if (status == HT_OK) status = set_engine(&run, options, &own, err);
    if (status == HT_OK) status = run_planned(&run, plan, in, out, err);
    ht_pool_free(own);
    hti_run_deinit(&run);
    return status;
}

/* What happens inside is told to those around, one thread at a time. */
static void tell_outer(void *ud, const ht_event *event)
{
    hti_run *outer = ud;
    hti_mutex_lock(outer->lock);
    outer->options->event(outer->options->ud, event);
    hti_mutex_unlock(outer->lock);
}

ht_status hti_nested_run(hti_frame *frame, const hti_step *step, ht_error *err)
{
    hti_run *outer = frame->run, run;
    const ht_nested_run *own = &step->node->own;
    ht_run_options options = *outer->options;
    ht_pool *own_pool = NULL;
    if (own->has_engine) {
        options.engine = own->engine;
        options.n_workers = own->n_workers;
        options.pool = NULL;
    } else {
        options.pool = outer->pool;
    }
    if (own->has_cache) options.cache = own->cache;
    options.errors = HT_ERRORS_RAISE;
    options.result = NULL;
    options.timeout_ms = 0;
    if (options.event) options.event = tell_outer;
    options.ud = outer;
    ht_status status = hti_run_init(&run, &options, err);
    run.deadline = outer->deadline;
    run.serials = outer->serials;
    run.step_names = outer->step_names;
    if (status == HT_OK) status = set_engine(&run, &options, &own_pool, err);
    if (status == HT_OK && run.n_workers) status = hti_plan_check_remote(step->child, options.registry, err);
    if (status == HT_OK) status = hti_child_run(&run, frame, step, err);
    hti_cache_flush(&run);
    ht_pool_free(own_pool);
    run.step_names = NULL; /* the outer run's */
    hti_run_deinit(&run);
    return status;
}

static ht_status check_options(const ht_run_options *options, ht_error *err)
{
    if (options->map_mode != HT_MAP_ZIP && options->map_mode != HT_MAP_PRODUCT)
        return HT_FAIL(err, INVALID, "the map mode is zip or product, not %d", (int)options->map_mode);
    if (options->engine < HT_ENGINE_SEQUENTIAL || options->engine > HT_ENGINE_PROCESSES)
        return HT_FAIL(err, INVALID, "the engine is sequential, threads or processes, not %d", (int)options->engine);
    return HT_OK;
}

static ht_status run_pipeline(const ht_pipeline *pipeline, ht_value inputs, const ht_run_options *options,
                              ht_value *out, ht_error *err)
{
    root_inputs in = {0};
    ht_plan *plan = NULL;
    HT_TRY(check_options(options, err));
    hti_arena_init(&in.arena);
    ht_status status = read_inputs(&in, inputs, pipeline, options, err);
    const hti_plan_request request = {
        options->n_outputs ? options->outputs : NULL, options->n_outputs, in.names, in.mapped, in.n, 0, options->plain};
    if (status == HT_OK) status = hti_plan_make_root(pipeline, &request, &plan, err);
    if (status == HT_OK) status = start_run(options, plan, &in, out, err);
    ht_plan_release(plan);
    hti_arena_deinit(&in.arena);
    return status;
}

/* Every input of the plan must be there, and nothing else. */
static ht_status match_inputs(const ht_plan *plan, const root_inputs *in, ht_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t at = 0;
        while (at < plan->n_inputs && strcmp(plan->inputs[at], in->names[i]) != 0) at++;
        if (at == plan->n_inputs)
            return hti_fail_choices(err, "unknown input", in->names[i], plan->inputs, plan->n_inputs);
    }
    for (size_t p = 0; p < plan->n_inputs; p++) {
        size_t at = 0;
        while (at < in->n && strcmp(plan->inputs[p], in->names[at]) != 0) at++;
        if (at == in->n)
            return HT_FAIL(err, INVALID, "plan of '%s': missing input: %s", plan->pipeline, plan->inputs[p]);
    }
    return HT_OK;
}

/* A plan says itself what is mapped: over [HTI_MAX_INPUTS] gets the names. */
static ht_status plan_inputs(const ht_plan *plan, ht_value inputs, ht_run_options *options, const char **over,
                             root_inputs *in, ht_error *err)
{
    options->n_map_over = 0;
    options->map_over = over;
    HT_TRY(check_options(options, err));
    if (options->n_outputs) return HT_FAIL(err, INVALID, "the outputs of a plan are chosen where it is made");
    if (plan->n_inputs > HTI_MAX_INPUTS)
        return HT_FAIL(err, LIMIT, "a run with %zu inputs; at most %d", plan->n_inputs, HTI_MAX_INPUTS);
    for (size_t i = 0; i < plan->n_inputs; i++)
        if (!(plan->input_at[i] & HTI_SHARED)) over[options->n_map_over++] = plan->inputs[i];
    HT_TRY(read_inputs(in, inputs, NULL, options, err));
    return match_inputs(plan, in, err);
}

ht_status ht_plan_run(const ht_plan *plan, ht_value inputs, const ht_run_options *options, ht_value *out, ht_error *err)
{
    ht_run_options own = options ? *options : (ht_run_options){HT_DESC(ht_run_options)};
    const char *over[HTI_MAX_INPUTS];
    root_inputs in = {0};
    *out = ht_value_null();
    hti_arena_init(&in.arena);
    ht_status status = plan_inputs(plan, inputs, &own, over, &in, err);
    if (status == HT_OK) status = start_run(&own, plan, &in, out, err);
    hti_arena_deinit(&in.arena);
    return status;
}

ht_status hti_plan_open(const ht_plan *plan, ht_value inputs, ht_run_options *options, hti_run *run, hti_open_map **out,
                        ht_error *err)
{
    const char *over[HTI_MAX_INPUTS];
    root_inputs in = {0};
    *out = NULL;
    hti_arena_init(&in.arena);
    ht_status status = plan_inputs(plan, inputs, options, over, &in, err);
    if (status == HT_OK) status = open_root(run, plan, &in, out, err);
    hti_arena_deinit(&in.arena);
    options->map_over = NULL;
    return status;
}

ht_status ht_pipeline_run(const ht_pipeline *pipeline, ht_value inputs, const ht_run_options *options, ht_value *out,
                          ht_error *err)
{
    ht_run_options once = options ? *options : (ht_run_options){HT_DESC(ht_run_options)};
    *out = ht_value_null();
    once.n_map_over = 0;
    once.map_mode = HT_MAP_ZIP;
    once.errors = HT_ERRORS_RAISE;
    once.result = NULL;
    return run_pipeline(pipeline, inputs, &once, out, err);
}

ht_status ht_pipeline_map(const ht_pipeline *pipeline, ht_value inputs, const ht_run_options *options, ht_value *out,
                          ht_error *err)
{
    *out = ht_value_null();
    if (!options || options->n_map_over == 0)
        return HT_FAIL(err, INVALID, "a map needs map_over: the inputs whose elements are the items");
    return run_pipeline(pipeline, inputs, options, out, err);
}
