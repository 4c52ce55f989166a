/*
 * rounds.c - who runs next (the rounds of <houndstooth/flow.h>).
 *
 * Frames are numbered as they are admitted, which happens only between phases and in the order of the open maps, so the
 * numbers, and with them every group, are the same for any number of threads. Maps opened since the last admission come
 * in the order of the frames that opened them, not of the moments.
 * Every open map may always hold one item, so parents that wait never fill the window.
 * Easy to get wrong: asynchronous calls that are under way hold frames; a failed run waits for them before it frees,
 * except where its time is over or its caller wants no more.
 */
#include "run_int.h"

#include <stdlib.h>

enum { FRAMES_PER_CHUNK = 16 };

static void found_deinit(hti_found *found)
{
    hti_free(found->parked.at);
    hti_free(found->ended.at);
    hti_free(found->opened);
}

/* ---- the frames of a map that are under way ---- */

static void link_frame(hti_frame *frame)
{
    hti_open_map *map = frame->map;
    frame->live_before = NULL;
    frame->live_after = map->live;
    if (map->live) map->live->live_before = frame;
    map->live = frame;
}

static void unlink_frame(hti_frame *frame)
{
    *(frame->live_before ? &frame->live_before->live_after : &frame->map->live) = frame->live_after;
    if (frame->live_after) frame->live_after->live_before = frame->live_before;
}

/* ---- maps ---- */

static void add_map(hti_run *run, hti_open_map *map)
{
    map->before = run->last;
    map->after = NULL;
    if (run->last)
        run->last->after = map;
    else
        run->first = map;
    run->last = map;
}

static void remove_map(hti_run *run, hti_open_map *map)
{
    *(map->before ? &map->before->after : &run->first) = map->after;
    *(map->after ? &map->after->before : &run->last) = map->before;
}

static int by_parent(const void *a, const void *b)
{
    const hti_open_map *x = *(hti_open_map *const *)a, *y = *(hti_open_map *const *)b;
    return x->parent->seq < y->parent->seq ? -1 : x->parent->seq > y->parent->seq;
}

/* Maps opened since the last admission, in the order of their parents: asynchronous calls open them in any. */
static ht_status sort_fresh_maps(hti_run *run, ht_error *err)
{
    const size_t n = run->n_fresh;
    run->n_fresh = 0;
    if (n < 2) return HT_OK;
    hti_open_map **maps = HTI_NEW_ARRAY(hti_open_map *, n), *map = run->last;
    if (!maps) return HTI_NO_MEMORY(err);
    for (size_t i = n; i-- > 0; map = map->before) maps[i] = map;
    qsort(maps, n, sizeof(hti_open_map *), by_parent);
    for (size_t i = 0; i < n; i++) remove_map(run, maps[i]);
    for (size_t i = 0; i < n; i++) add_map(run, maps[i]);
    hti_free(maps);
    return HT_OK;
}

/* A nested map that is done: its parent goes on. The outermost stays for its caller. */
static ht_status end_map(hti_run *run, hti_open_map *map, ht_error *err)
{
    hti_frame *parent = map->parent;
    remove_map(run, map);
    if (map == run->root) return HT_OK;
    const ht_status status = hti_map_finish(map, parent, &parent->map->plan->steps[parent->step], err);
    hti_map_close(map);
    parent->answered = true;
    parent->status = HT_OK;
    run->n_leaf++;
    HT_TRY(status);
    return hti_frames_push(&run->runnable, parent, err);
}

static ht_status admit_items(hti_run *run, ht_error *err)
{
    HT_TRY(sort_fresh_maps(run, err));
    for (hti_open_map *map = run->first, *after; map; map = after) {
        after = map->after;
        if (map != run->root && map->parent->root->doomed) { /* nobody wants the rest */
            map->n_done += map->n - map->next;
            map->next = map->n;
        }
        while (map->next < map->n && (map->next == map->n_done || run->n_leaf < run->window)) {
            hti_frame *frame;
            HT_TRY(hti_frames_push(&run->runnable, NULL, err)); /* room first: an admitted frame is never lost */
            run->runnable.n--;
            HT_TRY(hti_map_admit(run, map, &frame, err));
            frame->seq = run->next_seq++;
            link_frame(frame);
            run->runnable.at[run->runnable.n++] = frame;
            run->n_leaf++;
        }
        if (map->n_done == map->n) HT_TRY(end_map(run, map, err));
    }
    return HT_OK;
}

/* ---- one phase ---- */

typedef struct phase {
    hti_run *run;
    hti_found *found; /* [n_chunks], and behind them one for each thread's own frames */
    size_t n_chunks, next;
    struct pinned {
        hti_frame *frame;
        size_t thread;
    } * own; /* [n_own] bodies with a stack of their own go on where that is; taken out of the runnable ones */
    size_t n_own;
} phase;

static bool is_pinned(const hti_frame *frame) { return frame->body && frame->body->slot; }

static ht_status run_chunk(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    const phase *now = ud;
    const hti_frames *runnable = &now->run->runnable;
    hti_found *found = &now->found[chunk];
    const size_t end = HTI_MIN((chunk + 1) * FRAMES_PER_CHUNK, runnable->n);
    (void)err;
    const size_t outer = hti_trace_worker(thread);
    ht_trace *before = hti_trace_enter(now->run->options->trace);
    for (size_t i = chunk * FRAMES_PER_CHUNK; i < end && !found->failed; i++)
        if (runnable->at[i]) hti_frame_run(runnable->at[i], found);
    (void)hti_trace_enter(before);
    (void)hti_trace_worker(outer);
    return HT_OK; /* a failure is told by the lowest frame, not the first chunk */
}

/* A thread's own frames, then chunks of the others. */
static ht_status run_own(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    phase *now = ud;
    hti_found *found = &now->found[now->n_chunks + chunk];
    const size_t outer = hti_trace_worker(thread);
    ht_trace *before = hti_trace_enter(now->run->options->trace);
    for (size_t i = 0; i < now->n_own && !found->failed; i++)
        if (now->own[i].thread == chunk) hti_frame_run(now->own[i].frame, found);
    (void)hti_trace_enter(before);
    (void)hti_trace_worker(outer);
    for (size_t next; (next = __atomic_fetch_add(&now->next, 1, __ATOMIC_RELAXED)) < now->n_chunks;)
        HT_TRY(run_chunk(now, next, thread, err));
    return HT_OK;
}

static ht_status run_over_pool(phase *now, ht_error *err)
{
    const hti_frames *runnable = &now->run->runnable;
    size_t n = 0;
    for (size_t i = 0; i < runnable->n; i++) n += is_pinned(runnable->at[i]);
    if (n == 0) return hti_pool_run(now->run->pool, now->n_chunks, run_chunk, now, err);
    now->own = HTI_NEW_ARRAY(struct pinned, n);
    if (!now->own) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < runnable->n; i++) {
        if (!is_pinned(runnable->at[i])) continue;
        now->own[now->n_own++] = (struct pinned){runnable->at[i], runnable->at[i]->body->thread};
        runnable->at[i] = NULL;
    }
    const ht_status status = hti_pool_each(now->run->pool, run_own, now, err);
    hti_free(now->own);
    return status;
}

static ht_status keep_parked(hti_run *run, const hti_frames *parked, ht_error *err)
{
    for (size_t i = 0; i < parked->n; i++) HT_TRY(hti_frames_push(&run->parked, parked->at[i], err));
    return HT_OK;
}

static ht_status merge(hti_run *run, hti_found *found, ht_error *err)
{
    run->n_async += found->n_async;
    for (size_t i = 0; i < found->n_opened; i++) add_map(run, found->opened[i]);
    run->n_fresh += found->n_opened;
    run->n_leaf -= found->n_opened;
    for (size_t i = 0; i < found->ended.n; i++) {
        hti_open_map *map = found->ended.at[i]->map;
        unlink_frame(found->ended.at[i]);
        hti_map_take(map, found->ended.at[i]);
        map->n_done++;
    }
    run->n_leaf -= found->ended.n;
    return keep_parked(run, &found->parked, err);
}

/* Every runnable frame until it parks or ends. */
static ht_status run_phase(hti_run *run, ht_error *err)
{
    const size_t n_chunks = (run->runnable.n + FRAMES_PER_CHUNK - 1) / FRAMES_PER_CHUNK;
    const size_t n_found = n_chunks + (run->pool ? ht_pool_threads(run->pool) : 0);
    hti_found *found = hti_alloc_zero(hti_mul(n_found, sizeof *found));
    if (!found) return HTI_NO_MEMORY(err);
    phase now = {.run = run, .found = found, .n_chunks = n_chunks};
    hti_frames_sort(&run->runnable);
    ht_status status = HT_OK;
    if (run->pool) {
        status = run_over_pool(&now, err);
    } else {
        for (size_t i = 0; i < n_chunks && (i == 0 || !found[i - 1].failed); i++) (void)run_chunk(&now, i, 0, err);
    }
    run->runnable.n = 0;
    const hti_found *failed = NULL;
    for (size_t i = 0; i < n_found; i++) {
        const ht_status merged = merge(run, &found[i], err);
        if (status == HT_OK) status = merged;
        if (found[i].failed && (!failed || found[i].failed->seq < failed->failed->seq)) failed = &found[i];
    }
    if (failed) {
        status = failed->status;
        if (err) *err = failed->err;
        if (status != HT_CANCELLED && status != HT_NO_MEMORY) hti_frame_tell_around(failed->failed);
    }
    for (size_t i = 0; i < n_found; i++) found_deinit(&found[i]);
    hti_free(found);
    return status;
}

/* Until a started call has ended or a time has come. */
static ht_status wait_for_calls(hti_run *run, ht_error *err)
{
    enum { LOOK_NS = 50000000 }; /* how long a cancellation may go unseen */
    const ht_clock *clock = run->options->clock;
    const bool looks = run->options->monitor || run->deadline != UINT64_MAX;
    const uint64_t until = hti_calls_until(run);
    hti_mutex_lock(run->lock);
    while (!run->finished && hti_run_now(run) < until) {
        if (clock) {
            hti_mutex_unlock(run->lock);
            clock->wait(clock->ud, until);
            hti_mutex_lock(run->lock);
        } else if (until == UINT64_MAX && !looks) {
            hti_cond_wait(run->arrived, run->lock);
        } else {
            (void)hti_cond_wait_until(run->arrived, run->lock, HTI_MIN(until, hti_clock_ns() + LOOK_NS));
        }
        if (looks && hti_run_check(run, NULL) != HT_OK) break;
    }
    hti_mutex_unlock(run->lock);
    HT_TRY(hti_run_check(run, err));
    HT_TRY(hti_calls_take(run, err));
    return hti_calls_expire(run, err);
}

/*
 * Items are admitted only while no asynchronous call is outstanding, or the time that one takes would decide which
 * items stand in a group.
 */
static ht_status run_all(hti_run *run, hti_open_map *root, ht_error *err)
{
    for (;;) {
        if (run->runnable.n) {
            HT_TRY(run_phase(run, err));
            HT_TRY(hti_map_deliver(run, root, err));
        } else if (run->n_async || run->sleeping.n) {
            HT_TRY(wait_for_calls(run, err));
        } else {
            HT_TRY(admit_items(run, err));
            if (run->runnable.n) continue;
            if (root->n_done == root->n) return HT_OK;
            hti_cache_flush(run);
            HT_TRY(hti_batches_fire(run, err));
        }
    }
}

/* Bodies that stand in their middle, on the threads that their stacks belong to; each reads no more of the others'
 * bodies than which thread that is. */
static ht_status drop_bodies(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    const hti_run *run = ud;
    (void)thread;
    (void)err;
    for (const hti_open_map *map = run->last; map; map = map->before)
        for (hti_frame *frame = map->live; frame; frame = frame->live_after)
            if (frame->body && (!run->pool || frame->body->thread == chunk)) hti_body_drop(frame->body);
    return HT_OK;
}

/* What a failed run leaves: calls under way, frames everywhere, nested maps. */
static void abandon(hti_run *run, const hti_open_map *root, ht_status why)
{
    const ht_clock *clock = run->options->clock;
    if (why == HT_CANCELLED || why == HT_TIMEOUT) hti_calls_abandon(run);
    while (run->n_async) { /* what frames and the program share must not go before they end */
        hti_mutex_lock(run->lock);
        while (!run->finished) {
            if (clock) {
                hti_mutex_unlock(run->lock);
                clock->wait(clock->ud, UINT64_MAX);
                hti_mutex_lock(run->lock);
            } else {
                hti_cond_wait(run->arrived, run->lock);
            }
        }
        hti_mutex_unlock(run->lock);
        if (hti_calls_take(run, NULL) != HT_OK) run->runnable.n = 0;
    }
    const ht_status dropped =
        run->pool ? hti_pool_each(run->pool, drop_bodies, run, NULL) : drop_bodies(run, 0, 0, NULL);
    HT_ASSERT(dropped == HT_OK);
    (void)dropped;
    while (run->last) { /* nested maps before those that their parents belong to */
        hti_open_map *map = run->last;
        remove_map(run, map);
        while (map->live) {
            hti_frame *frame = map->live;
            unlink_frame(frame);
            hti_frame_release(frame);
            hti_frame_free(frame);
        }
        if (map != root) hti_map_close(map);
    }
}

ht_status hti_rounds_run(hti_run *run, hti_open_map *root, ht_error *err)
{
    run->root = root;
    add_map(run, root);
    const ht_status status = run_all(run, root, err);
    if (status != HT_OK) abandon(run, root, status);
    return status;
}
