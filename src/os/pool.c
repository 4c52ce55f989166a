/*
 * pool.c - a pool of threads that share out numbered chunks.
 *
 * Layout: workers sleep on `wake`; a section publishes {fn, n_chunks} under the lock and raises
 * `epoch`; everyone, the caller included, takes the next chunk number from an atomic counter.
 * Determinism: chunks are fixed by the caller, so only which thread runs a chunk varies.
 * Lock order: `section` (one section at a time) before `lock`; nothing else is held inside.
 * Easy to get wrong: a chunk that starts a section of its own must not wait for it, or it would wait for itself, or for
 * a chunk of the other pool that waits for this one. So it takes a section that is free, of a pool that others work for
 * (an encoder's, below an engine's), and else runs inline; one that stands two deep always does. `inside` tells how
 * deep a thread stands. fork() leaves a pool without threads: a child must make its own.
 */
#include "os.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct ht_pool {
    pthread_mutex_t section, lock;
    pthread_cond_t wake, done;
    pthread_t *threads; /* [n_threads - 1] */
    size_t n_threads, n_started;
    uint64_t epoch;
    size_t n_busy;
    bool stop, each; /* each: chunk i belongs to thread i */
    unsigned depth;  /* of the section: 1, or 2 where a chunk of another pool began it */
    hti_chunk_fn fn;
    void *ud;
    size_t n_chunks;
    _Atomic size_t next;
    size_t failed_chunk; /* lowest failing chunk, under `lock` */
    ht_error failure;
};

typedef struct worker_arg {
    ht_pool *pool;
    size_t thread;
} worker_arg;

static _Thread_local unsigned inside;

static void note_failure(ht_pool *pool, size_t chunk, ht_status status, const ht_error *err)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->failure.status == HT_OK || chunk < pool->failed_chunk) {
        pool->failed_chunk = chunk;
        pool->failure = *err;
        pool->failure.status = status;
    }
    pthread_mutex_unlock(&pool->lock);
    atomic_store(&pool->next, pool->n_chunks); /* the rest is skipped; lower chunks are already taken */
}

static void take_chunk(ht_pool *pool, size_t chunk, size_t thread)
{
    ht_error err;
    err.status = HT_OK;
    err.message[0] = '\0';
    err.cause = 0;
    const ht_status status = pool->fn(pool->ud, chunk, thread, &err);
    if (status != HT_OK) note_failure(pool, chunk, status, &err);
}

static void take_chunks(ht_pool *pool, size_t thread)
{
    const unsigned before = inside;
    inside = pool->depth;
    if (pool->each) {
        take_chunk(pool, thread, thread);
    } else {
        for (size_t chunk; (chunk = atomic_fetch_add(&pool->next, 1)) < pool->n_chunks;)
            take_chunk(pool, chunk, thread);
    }
    inside = before;
}

static void *worker_main(void *arg)
{
    const worker_arg mine = *(worker_arg *)arg;
    hti_free(arg);
    ht_pool *pool = mine.pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->epoch == seen) pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->stop) break;
        seen = pool->epoch;
        pthread_mutex_unlock(&pool->lock);
        take_chunks(pool, mine.thread);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_busy == 0) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    hti_thread_ending();
    return NULL;
}

static ht_status start_workers(ht_pool *pool, ht_error *err)
{
    for (size_t i = 1; i < pool->n_threads; i++) {
        worker_arg *arg = HTI_NEW(worker_arg);
        if (!arg) return HTI_NO_MEMORY(err);
        *arg = (worker_arg){pool, i};
        const int rc = pthread_create(&pool->threads[i - 1], NULL, worker_main, arg);
        if (rc != 0) {
            hti_free(arg);
            return HT_FAIL(err, IO, "cannot start thread %zu of %zu: error %d", i, pool->n_threads, rc);
        }
        pool->n_started++;
    }
    return HT_OK;
}

ht_status ht_pool_new(size_t n_threads, ht_pool **out, ht_error *err)
{
    *out = NULL;
    if (n_threads == 0) n_threads = hti_cpu_count();
    if (n_threads > 1024) return HT_FAIL(err, INVALID, "a pool of %zu threads: at most 1024", n_threads);
    ht_pool *pool = HTI_NEW(ht_pool);
    if (!pool) return HTI_NO_MEMORY(err);
    pthread_mutex_init(&pool->section, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->n_threads = n_threads;
    pool->threads = HTI_NEW_ARRAY(pthread_t, n_threads);
    const ht_status status = pool->threads ? start_workers(pool, err) : HTI_NO_MEMORY(err);
    if (status != HT_OK) {
        ht_pool_free(pool);
        return status;
    }
    *out = pool;
    return HT_OK;
}

void ht_pool_free(ht_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    void *left = hti_block_leave();
    for (size_t i = 0; i < pool->n_started; i++) (void)pthread_join(pool->threads[i], NULL);
    hti_block_enter(left);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->section);
    hti_free(pool->threads);
    hti_free(pool);
}

size_t ht_pool_threads(const ht_pool *pool) { return pool ? pool->n_threads : 1; }

static ht_status run_inline(size_t n_chunks, hti_chunk_fn fn, void *ud, ht_error *err)
{
    for (size_t chunk = 0; chunk < n_chunks; chunk++) HT_TRY(fn(ud, chunk, 0, err));
    return HT_OK;
}

/* Waiting for a section of another caller, or for the others at its end, is told; the short lock inside is not. */
static ht_status run_section(ht_pool *pool, size_t n_chunks, bool each, hti_chunk_fn fn, void *ud, ht_error *err)
{
    if (pthread_mutex_trylock(&pool->section) != 0) {
        if (inside) return run_inline(n_chunks, fn, ud, err);
        void *left = hti_block_leave();
        pthread_mutex_lock(&pool->section);
        hti_block_enter(left);
    }
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->ud = ud;
    pool->each = each;
    pool->depth = inside + 1;
    pool->n_chunks = n_chunks;
    pool->failure.status = HT_OK;
    pool->n_busy = pool->n_started;
    atomic_store(&pool->next, 0);
    pool->epoch++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    take_chunks(pool, 0);
    void *left = hti_block_leave();
    pthread_mutex_lock(&pool->lock);
    while (pool->n_busy > 0) pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    hti_block_enter(left);
    const ht_status status = pool->failure.status;
    if (status != HT_OK && err) *err = pool->failure;
    pthread_mutex_unlock(&pool->section);
    return status;
}

ht_status hti_pool_run(ht_pool *pool, size_t n_chunks, hti_chunk_fn fn, void *ud, ht_error *err)
{
    if (!pool || pool->n_threads == 1 || n_chunks <= 1 || inside > 1) return run_inline(n_chunks, fn, ud, err);
    return run_section(pool, n_chunks, false, fn, ud, err);
}

ht_status hti_pool_each(ht_pool *pool, hti_chunk_fn fn, void *ud, ht_error *err)
{
    const size_t n = ht_pool_threads(pool);
    if (n == 1 || inside) return run_inline(n, fn, ud, err);
    return run_section(pool, n, true, fn, ud, err);
}
