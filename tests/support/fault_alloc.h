/*
 * fault_alloc.h - an allocator for ht_allocator_set that fails on demand and checks its callers.
 *
 * Include it in one file of a test program. fault_alloc_install() comes first in main, before any
 * object of the library lives. Then, for n = 1, 2, ... until an operation is left alone:
 *
 *     fault_alloc_arm(n, false);          the n-th call for memory from here on fails
 *     status = operation();               must fail with NO_MEMORY or succeed, and leak nothing
 *     if (fault_alloc_disarm() == 0) ...  fewer than n calls were made: the sweep is over
 *
 * fault_alloc_sweep() is that loop. Every block carries its size, so a wrong `old_size`, a block freed
 * twice or a foreign pointer aborts with a message: these are bugs, not failures to report. New
 * memory is filled with 0xA5, freed memory with 0x5A. Set HT_FAULT_TRACE=N to stop in a debugger at
 * (raise SIGTRAP in) the call that fails as number N.
 * Thread rule: counters are atomic; which of several threads meets the n-th call may vary.
 */
#ifndef HT_TESTS_FAULT_ALLOC_H
#define HT_TESTS_FAULT_ALLOC_H

#include <houndstooth/base.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_ALLOC_MARK 0xFA17FA17A110C8EDULL

typedef struct fault_alloc_head {
    uint64_t mark, size;
} fault_alloc_head;

static struct {
    _Atomic uint64_t n_calls;  /* calls for memory since arm; frees do not count */
    _Atomic uint64_t n_failed; /* since arm */
    _Atomic uint64_t fail_at;  /* 0: never */
    _Atomic bool all_after;    /* every call from fail_at on fails */
    _Atomic int64_t live_blocks, live_bytes;
} fault_alloc_state;

static inline _Noreturn void fault_alloc_die(const char *what, size_t told, size_t kept)
{
    fprintf(stderr, "fault_alloc: %s (caller says %zu, block says %zu)\n", what, told, kept);
    abort();
}

static inline bool fault_alloc_should_fail(void)
{
    const uint64_t at = atomic_load(&fault_alloc_state.fail_at);
    const uint64_t n = atomic_fetch_add(&fault_alloc_state.n_calls, 1) + 1;
    if (at == 0 || n < at || (n > at && !atomic_load(&fault_alloc_state.all_after))) return false;
    atomic_fetch_add(&fault_alloc_state.n_failed, 1);
    const char *trace = getenv("HT_FAULT_TRACE");
    if (trace && strtoull(trace, NULL, 10) == n) (void)raise(SIGTRAP);
    return true;
}

/* Bytes in front of a payload; a multiple of the alignment, so that the payload stays aligned. */
static inline size_t fault_alloc_lead(size_t align)
{
    if (align < 16 || (align & (align - 1)) != 0) fault_alloc_die("alignment is no power of two from 16", align, 0);
    return align < sizeof(fault_alloc_head) ? sizeof(fault_alloc_head) : align;
}

static inline void *fault_alloc_make(size_t size, size_t align)
{
    const size_t lead = fault_alloc_lead(align);
    void *start = NULL;
    if (size > SIZE_MAX - lead || posix_memalign(&start, align, lead + size) != 0) return NULL;
    char *payload = (char *)start + lead;
    const fault_alloc_head head = {FAULT_ALLOC_MARK, size};
    memcpy(payload - sizeof head, &head, sizeof head);
    memset(payload, 0xA5, size);
    atomic_fetch_add(&fault_alloc_state.live_blocks, 1);
    atomic_fetch_add(&fault_alloc_state.live_bytes, (int64_t)size);
    return payload;
}

static inline void fault_alloc_release(void *ptr, size_t old_size, size_t align)
{
    static const fault_alloc_head gone;
    fault_alloc_head head;
    char *payload = ptr;
    memcpy(&head, payload - sizeof head, sizeof head);
    if (head.mark != FAULT_ALLOC_MARK) fault_alloc_die("not a live block", old_size, 0);
    if (head.size != old_size) fault_alloc_die("wrong old_size", old_size, (size_t)head.size);
    memcpy(payload - sizeof head, &gone, sizeof gone);
    memset(payload, 0x5A, old_size);
    atomic_fetch_sub(&fault_alloc_state.live_blocks, 1);
    atomic_fetch_sub(&fault_alloc_state.live_bytes, (int64_t)old_size);
    free(payload - fault_alloc_lead(align));
}

static inline void *fault_alloc_fn(void *ud, void *ptr, size_t old_size, size_t new_size, size_t align)
{
    (void)ud;
    void *made = NULL;
    if (!ptr && old_size != 0) fault_alloc_die("old_size without a block", old_size, 0);
    if (new_size > 0) {
        if (fault_alloc_should_fail()) return NULL;
        made = fault_alloc_make(new_size, align);
        if (!made) return NULL;
        if (ptr) memcpy(made, ptr, old_size < new_size ? old_size : new_size);
    }
    if (ptr) fault_alloc_release(ptr, old_size, align);
    return made;
}

static inline void fault_alloc_install(void) { ht_allocator_set(fault_alloc_fn, NULL); }

/* From here on the n-th call for memory (n from 1) fails, and with `all_after` every later one too. */
static inline void fault_alloc_arm(uint64_t n, bool all_after)
{
    atomic_store(&fault_alloc_state.n_calls, 0);
    atomic_store(&fault_alloc_state.n_failed, 0);
    atomic_store(&fault_alloc_state.all_after, all_after);
    atomic_store(&fault_alloc_state.fail_at, n);
}

/* No failures any more; returns how many there were since arm. */
static inline uint64_t fault_alloc_disarm(void)
{
    atomic_store(&fault_alloc_state.fail_at, 0);
    return atomic_load(&fault_alloc_state.n_failed);
}

/* Calls for memory since arm (arm(0, false) counts without failing). */
static inline uint64_t fault_alloc_calls(void) { return atomic_load(&fault_alloc_state.n_calls); }
static inline int64_t fault_alloc_live_blocks(void) { return atomic_load(&fault_alloc_state.live_blocks); }
static inline int64_t fault_alloc_live_bytes(void) { return atomic_load(&fault_alloc_state.live_bytes); }

/*
 * Runs `operation` with the n-th call for memory failing for n = 1, 1 + stride, 1 + 2 * stride ... until
 * it is left alone, at most `max` times: it must give back everything it took, whatever happens, and
 * answer NO_MEMORY with a message, or OK. Returns how many n made it fail; prints the n and ends the
 * program where it misbehaves. `*reached_end` (NULL allowed) tells whether `max` sufficed.
 */
typedef ht_status (*fault_alloc_operation)(void *ud, ht_error *err);
static inline uint64_t fault_alloc_sweep_by(fault_alloc_operation operation, void *ud, bool all_after, uint64_t stride,
                                            uint64_t max, bool *reached_end)
{
    uint64_t n_refused = 0;
    if (reached_end) *reached_end = false;
    for (uint64_t i = 0; i < max; i++) {
        const uint64_t n = 1 + i * stride;
        ht_error err = {0};
        const int64_t before = fault_alloc_live_blocks();
        fault_alloc_arm(n, all_after);
        const ht_status status = operation(ud, &err);
        const uint64_t n_failed = fault_alloc_disarm();
        const char *wrong = NULL;
        if (fault_alloc_live_blocks() != before) wrong = "memory leaked";
        if (status != HT_OK && status != HT_NO_MEMORY) wrong = "a status that is neither OK nor NO_MEMORY";
        if (status != HT_OK && err.message[0] == '\0') wrong = "a failure without a message";
        if (status != HT_OK && n_failed == 0) wrong = "a failure without a cause";
        if (wrong) {
            fprintf(stderr, "fault_alloc_sweep: allocation %llu: %s; status %s: %s\n", (unsigned long long)n, wrong,
                    ht_status_name(status), err.message);
            abort();
        }
        if (reached_end) *reached_end = n_failed == 0;
        if (n_failed == 0) break;
        n_refused += status != HT_OK;
    }
    return n_refused;
}

/* The same with every n. */
static inline uint64_t fault_alloc_sweep(fault_alloc_operation operation, void *ud, bool all_after, uint64_t max)
{
    return fault_alloc_sweep_by(operation, ud, all_after, 1, max, NULL);
}

#endif
