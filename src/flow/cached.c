/*
 * cached.c - results of nodes taken from a cache, and put into it.
 *
 * The key of one row is the digest of the node's type and version and of every value that it reads; an instance counts
 * as its class, version and arguments. Values that all items of a map share are digested once, when the map opens, and
 * a nested map takes over what its parent knows. Rows that hit leave before any call is grouped.
 * Puts gather and are written together: before the next batches are called, and when the last writing is 5 ms ago, so
 * that what a killed run loses took it no longer than that.
 */
#include "fields.h"
#include "registry_int.h"
#include "value_int.h"
#include "run_int.h"

enum { MOST_PUTS = 256, MOST_BYTES = 1 << 20, PUT_AFTER_NS = 5000000, FORMAT = 2 };

/* ---- what may be cached ---- */

const char *hti_step_version(const hti_step *step) { return step->child ? NULL : step->node->version; }

/* ---- digests of shared values ---- */

static void digest_shared(ht_value value, hti_shared_key *out)
{
    out->known = ht_value_digest(value, &out->key, NULL) == HT_OK;
}

/* Where the parent has an input of the nested plan as a shared value, its digest. */
static const hti_shared_key *parent_key(const hti_open_map *map, size_t input)
{
    const hti_frame *parent = map->parent;
    if (!parent || !parent->map->shared_keys) return NULL;
    const hti_step *step = &parent->map->plan->steps[parent->step];
    const uint32_t place = step->in[step->child_in[input]];
    return place & HTI_SHARED ? &parent->map->shared_keys[place & ~HTI_SHARED] : NULL;
}

ht_status hti_cache_open_map(hti_run *run, hti_open_map *map, ht_error *err)
{
    const ht_plan *plan = map->plan;
    if (!run->cache) return HT_OK;
    map->shared_keys = HTI_ARENA_ARRAY(&map->arena, hti_shared_key, plan->n_shared);
    if (!map->shared_keys) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < plan->n_inputs; i++) {
        const uint32_t at = plan->input_at[i];
        if (!(at & HTI_SHARED)) continue;
        const hti_shared_key *known = parent_key(map, i);
        if (known)
            map->shared_keys[at & ~HTI_SHARED] = *known;
        else
            digest_shared(map->shared[at & ~HTI_SHARED], &map->shared_keys[at & ~HTI_SHARED]);
    }
    for (size_t i = plan->n_shared - plan->n_constants; i < plan->n_shared; i++)
        digest_shared(map->shared[i], &map->shared_keys[i]);
    return HT_OK;
}

/* ---- keys ---- */

static void add_text(hti_hasher *hasher, const char *text) { hti_hasher_add(hasher, text, strlen(text) + 1); }

/* The digest of a node's code: format, version, type or class and method. */
static bool code_key(const hti_step *step, ht_key *out)
{
    const hti_node *node = step->node;
    const unsigned char head[2] = {FORMAT, (unsigned char)node->n_outputs};
    char name[HTI_METHOD_NAME];
    hti_hasher *hasher = hti_hasher_new();
    if (!hasher) return false;
    hti_hasher_add(hasher, head, sizeof head);
    add_text(hasher, node->version);
    if (node->kind == HTI_NODE_METHOD) {
        hti_method_name(node->chosen.method->name, node->chosen.whole, name);
        add_text(hasher, hti_instance_class(node->instance)->name);
        add_text(hasher, name);
    } else {
        add_text(hasher, node->type);
    }
    hti_hasher_finish128(hasher, &out->low, &out->high);
    hti_hasher_free(hasher);
    return true;
}

static bool input_key(const hti_frame *frame, uint32_t at, ht_key *out)
{
    if (!(at & HTI_SHARED)) return ht_value_digest(frame->values[at], out, NULL) == HT_OK;
    const hti_shared_key *shared = &frame->map->shared_keys[at & ~HTI_SHARED];
    *out = shared->key;
    return shared->known;
}

/* The key of the frame's step, and its parts; false where something has no digest. */
static bool make_key(hti_frame *frame, const hti_step *step)
{
    const hti_node *node = step->node;
    ht_key part = {0, 0};
    if (!frame->parts) frame->parts = HTI_NEW_ARRAY(uint64_t, HTI_KEY_HEAD + HTI_MAX_INPUTS);
    hti_hasher *hasher = frame->parts ? hti_hasher_new() : NULL;
    bool known = hasher && code_key(step, &part);
    if (known) {
        frame->parts[HTI_KEY_CODE] = part.low;
        hti_hasher_add(hasher, &part, sizeof part);
        part = (ht_key){0, 0};
        if (node->kind == HTI_NODE_METHOD)
            known = ht_value_digest(ht_instance_args(node->instance), &part, NULL) == HT_OK;
    }
    for (size_t i = 0; known; i++) {
        frame->parts[HTI_KEY_ARGUMENTS + i] = part.low;
        hti_hasher_add(hasher, &part, sizeof part);
        if (i == node->n_inputs) break;
        known = input_key(frame, step->in[i], &part);
    }
    if (known) hti_hasher_finish128(hasher, &frame->key.low, &frame->key.high);
    hti_hasher_free(hasher);
    return known;
}

/* ---- taking ---- */

/* The outputs out of what is kept; a failure counts as a miss. */
static bool read_outputs(hti_frame *frame, const hti_step *step, const ht_writer *bytes)
{
    size_t len, n;
    ht_value list;
    const void *data = ht_writer_data(bytes, &len);
    if (ht_value_decode(data, len, frame->run->options->registry, &list, NULL) != HT_OK) return false;
    const ht_value *items = ht_value_items(list, &n);
    const bool fits = list.kind == HT_KIND_LIST && n == step->node->n_outputs;
    for (size_t o = 0; fits && o < n; o++) frame->values[step->first_out + o] = ht_value_retain(items[o]);
    ht_value_release(list);
    return fits;
}

bool hti_cache_take(hti_frame *frame, const hti_step *step)
{
    hti_run *run = frame->run;
    ht_writer *bytes;
    bool found = false;
    const uint64_t start = hti_trace_now(run);
    frame->has_key = false;
    if (!run->cache || !hti_step_version(step) || !make_key(frame, step)) return false;
    if (ht_writer_new(&bytes, NULL) != HT_OK) return false;
    if (ht_cache_get(run->cache, frame->key, bytes, &found, NULL) != HT_OK) found = false;
    if (found) found = read_outputs(frame, step, bytes);
    ht_writer_free(bytes);
    frame->has_key = !found;
    if (found) hti_trace_step(run, HT_SPAN_CACHE, frame, start, 1);
    if (found) hti_run_event(run, HT_EVENT_NODE_CACHED, frame, step->node->name, 0);
    return found;
}

/* ---- putting ---- */

static void free_puts(hti_puts *puts)
{
    for (size_t i = 0; i < puts->n; i++) hti_free(puts->bytes[i]);
    hti_free(puts->bytes);
    hti_free(puts->entries);
    *puts = (hti_puts){0};
}

static void warn(hti_run *run, const ht_error *why)
{
    hti_mutex_lock(run->lock);
    const bool first = !run->has_warned;
    run->has_warned = true;
    hti_mutex_unlock(run->lock);
    if (first) hti_run_event(run, HT_EVENT_WARNING, NULL, why->message, 0);
}

/* Writes what has gathered; a cache that cannot keep it is no failure of the run. */
void hti_cache_flush(hti_run *run)
{
    ht_error why = {0};
    if (!run->cache) return;
    hti_mutex_lock(run->lock);
    hti_puts puts = run->puts;
    run->puts = (hti_puts){.written = hti_clock_ns()};
    hti_mutex_unlock(run->lock);
    if (puts.n && ht_cache_put(run->cache, puts.entries, puts.n, &why) != HT_OK) warn(run, &why);
    free_puts(&puts);
}

static ht_status add_put(hti_run *run, const hti_frame *frame, const hti_step *step, const void *data, size_t len)
{
    hti_puts *puts = &run->puts;
    HT_TRY(hti_reserve(&puts->entries, &puts->cap_entries, puts->n + 1, sizeof *puts->entries, NULL));
    HT_TRY(hti_reserve(&puts->bytes, &puts->cap_bytes, puts->n + 1, sizeof *puts->bytes, NULL));
    const size_t n_parts = HTI_KEY_HEAD + step->node->n_inputs;
    uint64_t *copy = hti_alloc(n_parts * sizeof *copy + len); /* parts, then the value */
    if (!copy) return HT_NO_MEMORY;
    memcpy(copy, frame->parts, n_parts * sizeof *copy);
    memcpy(copy + n_parts, data, len);
    puts->bytes[puts->n] = copy;
    puts->entries[puts->n++] = (ht_cache_entry){.key = frame->key,
                                                .data = copy + n_parts,
                                                .len = len,
                                                .node = step->node->name,
                                                .parts = copy,
                                                .n_parts = n_parts};
    puts->n_bytes += len;
    return HT_OK;
}

void hti_cache_keep(hti_frame *frame, const hti_step *step)
{
    hti_run *run = frame->run;
    ht_writer *writer;
    ht_value list = ht_value_null();
    if (!frame->has_key) return;
    frame->has_key = false;
    if (ht_writer_new(&writer, NULL) != HT_OK) return;
    ht_status status = ht_value_list(&frame->values[step->first_out], step->node->n_outputs, &list, NULL);
    if (status == HT_OK) status = hti_value_encode_whole(list, writer, NULL); /* what has no codec is not kept */
    ht_value_release(list);
    bool full = false;
    if (status == HT_OK) {
        size_t len;
        const void *data = ht_writer_data(writer, &len);
        hti_mutex_lock(run->lock);
        (void)add_put(run, frame, step, data, len);
        full = run->puts.n >= MOST_PUTS || run->puts.n_bytes >= MOST_BYTES ||
               (run->puts.n && hti_clock_ns() - run->puts.written >= PUT_AFTER_NS);
        hti_mutex_unlock(run->lock);
    }
    ht_writer_free(writer);
    if (full) hti_cache_flush(run);
}
