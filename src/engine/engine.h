/*
 * engine.h - the door of the room of worker processes: bytes go to a child, bytes come back.
 *
 * The parent keeps up to n children, each a program of its own (spawned, never forked) with one socket at descriptor 3.
 * One thread of the parent serves all sockets; a child serves one request at a time. The messages are
 * docs/formats/wire.md. Nothing here knows what the bytes mean.
 */
#ifndef HTI_ENGINE_ENGINE_H
#define HTI_ENGINE_ENGINE_H

#include "base/base.h"

#include <houndstooth/value.h> /* ht_key */

/* ---- bytes that came from another process ---- */

/* Memory that it wrote: mapped read-only as long as somebody holds it. Any thread. */
typedef struct hti_block hti_block;
/*
 * Both do nothing for NULL; hold gives its argument back. Whoever holds a block of a child's reply keeps that child
 * from writing it again.
 */
hti_block *hti_block_hold(hti_block *block);
void hti_block_drop(hti_block *block);
/* Takes fd, also on failure; one holder. PARSE unless it is sealed memory of `len` bytes. */
HT_CHECKED ht_status hti_block_receive(int fd, size_t len, hti_block **out, ht_error *err);
const void *hti_block_data(const hti_block *block);
/* One holder is left: of a block that a message came in, the link that maps it. */
bool hti_block_is_idle(const hti_block *block);

/* What a message says; borrowed from the call that tells it. */
typedef struct hti_body {
    const void *data; /* [len], 64-byte aligned in a block */
    size_t len;
    hti_block *block; /* the bytes stay as long as it is held; NULL: they end with the call */
} hti_body;

/* A body that outlives its call: its block held, or its bytes copied. */
typedef struct hti_kept {
    hti_body body;
    hti_buffer copy;
} hti_kept;
void hti_kept_init(hti_kept *kept);
/* Instead of what it kept; memory that is out is told by the status, once. */
void hti_kept_take(hti_kept *kept, const hti_body *body);
HT_CHECKED ht_status hti_kept_status(const hti_kept *kept, ht_error *err);
void hti_kept_clear(hti_kept *kept);
void hti_kept_deinit(hti_kept *kept);

/* ---- bytes on their way ---- */

/* In several pieces, so that what is large need not be copied together first. */
typedef struct hti_pieces {
    const ht_text *at; /* [n] in order, none empty */
    size_t n, len;     /* len: bytes of all */
} hti_pieces;

/* ---- the parent's side ---- */

typedef struct hti_workers hti_workers;

typedef struct hti_workers_options {
    const char *const *argv; /* NULL-ended; argv[0] is the program's path, or looked up in PATH where it has no slash */
    size_t n;                /* children at most, each started when there is work for it; at least 1 */
    const char *const *env;  /* [n + 1], NULL-ended: for each child a "NAME=value" on top of ours; NULL: none */
    /* Whole lines that a child prints; called by one thread at a time. NULL: to our stderr as "[worker 1] line". */
    void (*line)(void *ud, size_t worker, ht_text line);
    void *ud;
} hti_workers_options;
/* Copies the options; starts nothing but the thread. */
HT_CHECKED ht_status hti_workers_new(const hti_workers_options *options, hti_workers **out, ht_error *err);
/* Work that waits or runs ends with CANCELLED; children are asked to end, and killed after 2 s. NULL allowed. */
void hti_workers_free(hti_workers *workers);

/* Called once on the workers' thread; must not block. reply is borrowed, NULL after a failure, which has a message. */
typedef void (*hti_work_done)(void *ud, ht_status status, const hti_body *reply, const char *message);

/* A piece of work. `job` is what many pieces have in common: it travels to each child once, known by its key. */
typedef struct hti_work {
    ht_key key;
    const void *job; /* [job_len] borrowed until done, as are the pieces of data */
    size_t job_len;
    hti_pieces data;
    uint64_t timeout_ns; /* of the piece once a child has it; then the child is killed: HT_TIMEOUT. 0: none */
    uint32_t crashes;    /* tries after a child's crash on it; then FAILED with how it ended */
    hti_work_done done;
    void *ud;
} hti_work;
/* Queues it for the next free child, first come first served. Any thread. */
HT_CHECKED ht_status hti_workers_submit(hti_workers *workers, const hti_work *work, ht_error *err);

/* The process id of a live child, 0 if it is not running: for tests and for people. */
int64_t hti_workers_pid(hti_workers *workers, size_t worker);

/* ---- the child's side ---- */

/* What a server answers; the bytes are its own, until the release. */
typedef struct hti_reply {
    hti_pieces pieces;
    void (*release)(void *ud); /* called once the reply was sent; NULL allowed */
    void *ud;
} hti_reply;

/*
 * In a child: answers requests at `fd` until the parent closes it, then returns 0; another value is an exit code.
 * `job` is NULL where this key came before: the server keeps what it made of it (at least the 8 keys last used; a
 * server that has dropped one answers PARKED, which no failure is, and gets the job again). Failures travel as status
 * and message.
 */
typedef ht_status (*hti_serve_fn)(void *ud, ht_key key, const hti_body *job, const hti_body *data, hti_reply *reply,
                                  ht_error *err);
int hti_worker_serve(int fd, hti_serve_fn serve, void *ud);

#endif
