/*
 * workers.c - the parent's side: a queue, up to n children, and the one thread that serves them.
 *
 * That thread alone starts, feeds, hears and buries children; callers only append to the queue and ring. A child has
 * one request at a time and has read it whole before it replies, and large bodies travel beside the socket, so neither
 * side ever waits for the other to read.
 * Easy to get wrong: a child may die between our sending and its reading: that is a crash of the work, not of us.
 */
#include "engine.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>

enum { KNOWN_JOBS = 8, PATIENCE_NS = 2000000000, MAX_WORKERS = 120 };

typedef struct piece {
    hti_work work;
    uint32_t crashes;
    struct piece *next;
} piece;

typedef struct child {
    hti_child os;
    hti_link link;
    bool is_ready;   /* it said hello */
    bool has_failed; /* to be buried: the text says why if it was our doing */
    piece *piece;    /* under way, NULL: idle */
    uint64_t until;  /* of that */
    bool sent_job;
    ht_key known[KNOWN_JOBS]; /* jobs that it has, the last used first */
    size_t n_known;
    hti_buffer line; /* printed, not ended yet */
    const char *timed_out;
} child;

struct hti_workers {
    char **argv, **env; /* NULL-ended copies */
    size_t n;
    void (*line)(void *ud, size_t worker, ht_text line);
    void *ud;
    hti_mutex *lock; /* guards the queue, `stop` and `pids` */
    piece *first, *last;
    bool stop;
    int64_t *pids; /* [n] */
    int bell;
    hti_thread *thread;
    child *children; /* [n]; the thread's from here on */
    unsigned char *packet;
    int *fds; /* [1 + 2n] */
    bool *ready;
};

/* ---- the queue ---- */

static void push_back(hti_workers *w, piece *p)
{
    p->next = NULL;
    *(w->last ? &w->last->next : &w->first) = p;
    w->last = p;
}

static void push_front(hti_workers *w, piece *p)
{
    hti_mutex_lock(w->lock);
    p->next = w->first;
    w->first = p;
    if (!w->last) w->last = p;
    hti_mutex_unlock(w->lock);
}

static piece *pop(hti_workers *w)
{
    hti_mutex_lock(w->lock);
    piece *p = w->first;
    if (p) w->first = p->next;
    if (!w->first) w->last = NULL;
    hti_mutex_unlock(w->lock);
    return p;
}

ht_status hti_workers_submit(hti_workers *workers, const hti_work *work, ht_error *err)
{
    piece *p = HTI_NEW(piece);
    if (!p) return HTI_NO_MEMORY(err);
    p->work = *work;
    hti_mutex_lock(workers->lock);
    push_back(workers, p);
    hti_mutex_unlock(workers->lock);
    hti_bell_ring(workers->bell);
    return HT_OK;
}

static void end_piece(piece *p, ht_status status, const hti_body *reply, const char *message)
{
    p->work.done(p->work.ud, status, reply, message);
    hti_free(p);
}

/* ---- what a child knows ---- */

/* Moves the key to the front; false if it was not there, then the oldest leaves. */
static bool knows(child *c, ht_key key)
{
    size_t at = 0;
    while (at < c->n_known && (c->known[at].low != key.low || c->known[at].high != key.high)) at++;
    const bool found = at < c->n_known;
    if (!found && c->n_known < KNOWN_JOBS) c->n_known++;
    for (size_t i = found ? at : c->n_known - 1; i > 0; i--) c->known[i] = c->known[i - 1];
    c->known[0] = key;
    return found;
}

static void set_pid(hti_workers *w, const child *c, int64_t pid)
{
    hti_mutex_lock(w->lock);
    w->pids[c - w->children] = pid;
    hti_mutex_unlock(w->lock);
}

int64_t hti_workers_pid(hti_workers *workers, size_t worker)
{
    hti_mutex_lock(workers->lock);
    const int64_t pid = worker < workers->n ? workers->pids[worker] : 0;
    hti_mutex_unlock(workers->lock);
    return pid;
}

/* ---- what children print ---- */

static void tell_line(hti_workers *w, const child *c, ht_text line)
{
    const size_t worker = (size_t)(c - w->children);
    hti_buffer text;
    if (w->line) {
        w->line(w->ud, worker, line);
        return;
    }
    hti_buffer_init(&text);
    hti_buffer_printf(&text, "[worker %zu] ", worker + 1);
    hti_buffer_append(&text, line.data, line.len);
    hti_buffer_append(&text, "\n", 1);
    hti_write_standard_error(text.data, text.len); /* one write: lines stay whole */
    hti_buffer_deinit(&text);
}

static void hear(hti_workers *w, child *c)
{
    enum { MAX_LINE = 65536 };
    char text[4096];
    size_t len;
    bool open;
    do {
        hti_pipe_read(c->os.output, text, sizeof text, &len, &open);
        for (size_t i = 0, start = 0; i < len; i++) {
            if (text[i] != '\n' && c->line.len + i - start < MAX_LINE && i + 1 < len) continue;
            hti_buffer_append(&c->line, text + start, i - start + (text[i] != '\n'));
            if (text[i] == '\n' || c->line.len >= MAX_LINE) {
                tell_line(w, c, hti_buffer_view(&c->line));
                hti_buffer_clear(&c->line);
            }
            start = i + 1;
        }
    } while (len > 0);
    if (open) return;
    hti_descriptor_close(c->os.output);
    c->os.output = -1;
}

/* ---- children ---- */

static bool is_alive(const child *c) { return c->os.pid != 0; }

static ht_status start_child(hti_workers *w, child *c, ht_error *err)
{
    const char *const *argv;
    const size_t at = (size_t)(c - w->children);
    size_t n_env = 0;
    while (n_env <= at && w->env[n_env]) n_env++;
    const char *const env[2] = {n_env > at ? w->env[at] : NULL, NULL};
    memcpy(&argv, &w->argv, sizeof argv);
    c->is_ready = c->has_failed = false;
    c->n_known = 0;
    c->timed_out = NULL;
    HT_TRY(hti_child_start(argv, env, &c->os, err));
    hti_link_init(&c->link, c->os.socket);
    set_pid(w, c, c->os.pid);
    return HT_OK;
}

static ht_status send_work(child *c, const hti_work *work, bool with_job, ht_error *err)
{
    const hti_wire_message job = {HTI_WIRE_JOB, .key = work->key}, request = {HTI_WIRE_REQUEST, .key = work->key};
    const ht_text whole = {work->job, work->job_len};
    const hti_pieces pieces = {&whole, work->job_len ? 1 : 0, work->job_len};
    if (with_job) HT_TRY(hti_wire_send(&c->link, &job, &pieces, err));
    return hti_wire_send(&c->link, &request, &work->data, err);
}

/* Time counts from when the child is ready: its start is ours. */
static void start_timer(child *c)
{
    const uint64_t limit = c->piece ? c->piece->work.timeout_ns : 0;
    c->until = c->is_ready && limit ? hti_clock_ns() + limit : UINT64_MAX;
}

static void feed(child *c, piece *p)
{
    ht_error err = {0};
    c->piece = p;
    c->sent_job = !knows(c, p->work.key);
    start_timer(c);
    const ht_status status = send_work(c, &p->work, c->sent_job, &err);
    if (status == HT_OK) return;
    if (status == HT_IO) { /* it is dead, which its socket tells us next */
        c->has_failed = true;
        return;
    }
    c->piece = NULL;
    c->n_known = 0;
    end_piece(p, status, NULL, err.message);
}

/* The piece that a dead child had: again, or no more. */
static void lose_piece(hti_workers *w, child *c, const char *how)
{
    piece *p = c->piece;
    char text[HT_ERROR_TEXT];
    c->piece = NULL;
    if (!p) return;
    const size_t worker = (size_t)(c - w->children) + 1;
    if (c->timed_out) {
        (void)snprintf(text, sizeof text, "no answer within %llu ms; worker %zu was ended",
                       (unsigned long long)(p->work.timeout_ns / 1000000), worker);
        end_piece(p, HT_TIMEOUT, NULL, text);
    } else if (!c->is_ready) {
        (void)snprintf(text, sizeof text, "worker %zu (%.200s) %s before it was ready", worker, w->argv[0], how);
        end_piece(p, HT_FAILED, NULL, text);
    } else if (p->crashes++ < p->work.crashes) {
        push_front(w, p);
    } else {
        (void)snprintf(text, sizeof text, "worker %zu %s", worker, how);
        end_piece(p, HT_FAILED, NULL, text);
    }
}

static void bury(hti_workers *w, child *c)
{
    char how[200] = "ended";
    hti_child_kill(&c->os); /* nothing if it has ended; a child that only closed its socket is of no use */
    while (!hti_child_ended(&c->os, how, sizeof how)) hti_sleep_ns(100000);
    if (c->os.output >= 0) hear(w, c);
    if (c->line.len) tell_line(w, c, hti_buffer_view(&c->line));
    hti_buffer_clear(&c->line);
    hti_child_close(&c->os);
    hti_link_deinit(&c->link);
    set_pid(w, c, 0);
    lose_piece(w, c, how);
}

/* ---- replies ---- */

static void take_reply(child *c, const hti_wire_message *reply)
{
    piece *p = c->piece;
    char text[HT_ERROR_TEXT];
    ht_error err = {0};
    if (reply->status == HT_PARKED && !c->sent_job) { /* it has dropped the job */
        c->sent_job = true;
        if (send_work(c, &p->work, true, &err) != HT_OK) c->has_failed = true;
        return;
    }
    if (reply->status != HT_OK) c->n_known = 0; /* the job itself may be what it could not read */
    c->piece = NULL;
    const size_t len = HTI_MIN(reply->body.len, sizeof text - 1);
    if (reply->status != HT_OK && len) memcpy(text, reply->body.data, len);
    text[reply->status == HT_OK ? 0 : len] = '\0';
    end_piece(p, reply->status, reply->status == HT_OK ? &reply->body : NULL, text);
}

static void listen_to(hti_workers *w, child *c)
{
    hti_wire_message message;
    bool open = false;
    ht_error err = {0};
    const ht_status status = hti_wire_receive(&c->link, w->packet, &message, &open, &err);
    if (status != HT_OK || !open) {
        c->has_failed = true;
        return;
    }
    if (message.kind == HTI_WIRE_HELLO) {
        c->is_ready = true;
        start_timer(c);
    } else if (message.kind == HTI_WIRE_REPLY && c->piece) {
        take_reply(c, &message);
    } else {
        c->has_failed = true;
    }
    hti_wire_release(&message);
}

/* ---- the thread ---- */

/* An idle child, or one that can be started; NULL if all are busy. */
static child *find_child(hti_workers *w, const piece *p)
{
    child *idle = NULL, *unborn = NULL;
    for (size_t i = 0; i < w->n; i++) {
        child *c = &w->children[i];
        if (!is_alive(c)) {
            if (!unborn) unborn = c;
        } else if (!c->piece && !c->has_failed) {
            for (size_t k = 0; k < c->n_known; k++)
                if (c->known[k].low == p->work.key.low && c->known[k].high == p->work.key.high) return c;
            if (!idle) idle = c;
        }
    }
    return idle ? idle : unborn;
}

static void hand_out(hti_workers *w)
{
    for (;;) {
        ht_error err = {0};
        piece *p = pop(w);
        if (!p) return;
        child *c = find_child(w, p);
        if (!c) {
            push_front(w, p);
            return;
        }
        const ht_status status = is_alive(c) ? HT_OK : start_child(w, c, &err);
        if (status == HT_OK)
            feed(c, p);
        else
            end_piece(p, status, NULL, err.message);
    }
}

static uint64_t next_deadline(hti_workers *w)
{
    uint64_t until = UINT64_MAX;
    for (size_t i = 0; i < w->n; i++) {
        const child *c = &w->children[i];
        if (c->has_failed && is_alive(c)) return 0;
        if (c->piece) until = HTI_MIN(until, c->until);
    }
    return until;
}

static void wait_for_something(hti_workers *w)
{
    const uint64_t until = next_deadline(w);
    w->fds[0] = w->bell;
    for (size_t i = 0; i < w->n; i++) {
        const child *c = &w->children[i];
        w->fds[1 + 2 * i] = is_alive(c) && !c->has_failed ? c->os.socket : -1;
        w->fds[2 + 2 * i] = is_alive(c) ? c->os.output : -1;
    }
    hti_wait_readable(w->fds, w->ready, 1 + 2 * w->n, until);
    if (w->ready[0]) hti_bell_quiet(w->bell);
    for (size_t i = 0; i < w->n; i++) {
        if (w->ready[2 + 2 * i]) hear(w, &w->children[i]);
        if (w->ready[1 + 2 * i]) listen_to(w, &w->children[i]);
    }
}

static void check_children(hti_workers *w)
{
    const uint64_t now = hti_clock_ns();
    for (size_t i = 0; i < w->n; i++) {
        child *c = &w->children[i];
        if (c->piece && c->until <= now) {
            c->timed_out = "yes";
            c->has_failed = true;
        }
        if (c->has_failed && is_alive(c)) bury(w, c);
    }
}

static bool is_stopped(hti_workers *w)
{
    hti_mutex_lock(w->lock);
    const bool stop = w->stop;
    hti_mutex_unlock(w->lock);
    return stop;
}

/* Busy children are killed; idle ones see the end of their socket and get time to leave. */
static void end_children(hti_workers *w)
{
    const uint64_t until = hti_clock_ns() + PATIENCE_NS;
    char how[200];
    for (size_t i = 0; i < w->n; i++) {
        child *c = &w->children[i];
        if (!is_alive(c)) continue;
        if (c->piece) {
            hti_child_kill(&c->os);
            end_piece(c->piece, HT_CANCELLED, NULL, "cancelled");
            c->piece = NULL;
        }
        hti_descriptor_close(c->os.socket);
        c->os.socket = -1;
    }
    for (size_t i = 0; i < w->n; i++) {
        child *c = &w->children[i];
        while (is_alive(c) && hti_clock_ns() < until) {
            if (c->os.output >= 0) hear(w, c);
            if (!hti_child_ended(&c->os, how, sizeof how)) hti_sleep_ns(200000);
        }
        if (is_alive(c) || c->os.output >= 0) bury(w, c);
        hti_link_deinit(&c->link);
        set_pid(w, c, 0);
    }
}

static void serve_children(void *ud)
{
    hti_workers *w = ud;
    while (!is_stopped(w)) {
        hand_out(w);
        wait_for_something(w);
        check_children(w);
    }
    end_children(w);
    for (piece *p = pop(w); p; p = pop(w)) end_piece(p, HT_CANCELLED, NULL, "cancelled");
}

/* ---- making and ending ---- */

/* A copy of a NULL-ended list of texts; NULL stays an empty one. */
static char **copy_list(const char *const *list)
{
    size_t n = 0, bytes = 0;
    while (list && list[n]) bytes += strlen(list[n++]) + 1;
    char **copy = hti_alloc(hti_add(hti_mul(n + 1, sizeof(char *)), bytes));
    if (!copy) return NULL;
    char *at = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(list[i]) + 1;
        memcpy(at, list[i], len);
        copy[i] = at;
        at += len;
    }
    copy[n] = NULL;
    return copy;
}

static ht_status fill(hti_workers *w, const hti_workers_options *options, ht_error *err)
{
    w->n = HTI_MIN(HTI_MAX(options->n, 1), MAX_WORKERS);
    w->line = options->line;
    w->ud = options->ud;
    w->argv = copy_list(options->argv);
    w->env = copy_list(options->env);
    w->lock = hti_mutex_new();
    w->children = hti_alloc_zero(hti_mul(w->n, sizeof *w->children));
    w->pids = hti_alloc_zero(hti_mul(w->n, sizeof *w->pids));
    w->packet = hti_alloc(HTI_WIRE_HEAD + HTI_WIRE_INLINE);
    w->fds = HTI_NEW_ARRAY(int, 1 + 2 * w->n);
    w->ready = HTI_NEW_ARRAY(bool, 1 + 2 * w->n);
    if (!w->argv || !w->env || !w->lock || !w->children || !w->pids || !w->packet || !w->fds || !w->ready)
        return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < w->n; i++) {
        w->children[i].os = (hti_child){0, -1, -1};
        hti_link_init(&w->children[i].link, -1);
        hti_buffer_init(&w->children[i].line);
    }
    HT_TRY(hti_bell_new(&w->bell, err));
    return hti_thread_start(serve_children, w, &w->thread, err);
}

ht_status hti_workers_new(const hti_workers_options *options, hti_workers **out, ht_error *err)
{
    hti_workers *w = HTI_NEW(hti_workers);
    *out = NULL;
    if (!w) return HTI_NO_MEMORY(err);
    w->bell = -1;
    const ht_status status = fill(w, options, err);
    if (status == HT_OK)
        *out = w;
    else
        hti_workers_free(w);
    return status;
}

void hti_workers_free(hti_workers *workers)
{
    if (!workers) return;
    if (workers->thread) {
        hti_mutex_lock(workers->lock);
        workers->stop = true;
        hti_mutex_unlock(workers->lock);
        hti_bell_ring(workers->bell);
        hti_thread_join(workers->thread);
    }
    for (size_t i = 0; workers->children && i < workers->n; i++) hti_buffer_deinit(&workers->children[i].line);
    hti_descriptor_close(workers->bell);
    hti_mutex_free(workers->lock);
    hti_free(workers->argv);
    hti_free(workers->env);
    hti_free(workers->children);
    hti_free(workers->pids);
    hti_free(workers->packet);
    hti_free(workers->fds);
    hti_free(workers->ready);
    hti_free(workers);
}
