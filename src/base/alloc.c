/*
 * alloc.c - blocks over the allocator hook, arenas and buffers.
 *
 * Layout of a block: [64-byte head: size, mark][payload]. The head keeps the exact size, so the hook
 * gets `old_size` without the callers carrying it, and the payload stays aligned for 512-bit loads.
 * Workload: few, large, long-lived blocks; what is small and short-lived belongs in an arena.
 * Thread rule: blocks from any thread (counters are atomic); an arena or buffer has one thread.
 */
#include "alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64, ARENA_BLOCK = 64 * 1024 };
#define BLOCK_MARK 0x68746d656d626c6bULL

typedef struct block_head {
    uint64_t size, mark;
} block_head;

static void *default_allocator(void *ud, void *ptr, size_t old_size, size_t new_size, size_t align)
{
    (void)ud;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    void *made = NULL;
    if (posix_memalign(&made, align, new_size) != 0) return NULL;
    if (ptr) {
        memcpy(made, ptr, HTI_MIN(old_size, new_size));
        free(ptr);
    }
    return made;
}

static ht_allocator_fn hook = default_allocator;
static void *hook_ud;
static _Atomic uint64_t live_bytes, peak_bytes, n_calls;

void ht_allocator_set(ht_allocator_fn fn, void *ud)
{
    hook = fn ? fn : default_allocator;
    hook_ud = ud;
}

static void count(size_t old_size, size_t new_size)
{
    if (new_size > 0) atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed);
    const uint64_t change = (uint64_t)new_size - (uint64_t)old_size; /* wraps when it shrinks */
    const uint64_t live = atomic_fetch_add_explicit(&live_bytes, change, memory_order_relaxed) + change;
    uint64_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, live, memory_order_relaxed,
                                                                 memory_order_relaxed)) {
    }
}

hti_alloc_stats hti_alloc_get_stats(void)
{
    return (hti_alloc_stats){atomic_load(&live_bytes), atomic_load(&peak_bytes), atomic_load(&n_calls)};
}

static block_head *head_of(const void *ptr)
{
    block_head *head = (block_head *)(uintptr_t)((const char *)ptr - HEAD);
    HT_ASSERT(head->mark == BLOCK_MARK);
    return head;
}

size_t hti_alloc_size(const void *ptr) { return ptr ? head_of(ptr)->size : 0; }

void *hti_realloc(void *ptr, size_t size)
{
    if (size == 0) size = 1;
    if (size > SIZE_MAX / 2) return NULL;
    const size_t old_size = ptr ? head_of(ptr)->size : 0;
    const size_t old_whole = ptr ? old_size + HEAD : 0;
    char *made = hook(hook_ud, ptr ? (char *)ptr - HEAD : NULL, old_whole, size + HEAD, HEAD);
    if (!made) return NULL;
    *(block_head *)(void *)made = (block_head){size, BLOCK_MARK};
    count(old_size, size);
    return made + HEAD;
}

void *hti_alloc(size_t size) { return hti_realloc(NULL, size); }

void *hti_alloc_zero(size_t size)
{
    void *made = hti_alloc(size);
    if (made) memset(made, 0, size ? size : 1);
    return made;
}

void hti_free(void *ptr)
{
    if (!ptr) return;
    block_head *head = head_of(ptr);
    const size_t size = head->size;
    head->mark = 0;
    count(size, 0);
    (void)hook(hook_ud, head, size + HEAD, 0, HEAD);
}

ht_status hti_reserve(void *array_ptr, size_t *cap, size_t need, size_t elem, ht_error *err)
{
    if (need <= *cap) return HT_OK;
    void *old;
    memcpy(&old, array_ptr, sizeof old);
    const size_t grown = HTI_MAX(HTI_MAX(need, 2 * *cap), (size_t)16);
    void *made = hti_realloc(old, hti_mul(grown, elem));
    if (!made) return HT_FAIL(err, NO_MEMORY, "out of memory growing an array to %zu elements", grown);
    memcpy(array_ptr, &made, sizeof made);
    *cap = grown;
    return HT_OK;
}

struct hti_arena_block {
    hti_arena_block *next;
    size_t cap;
    _Alignas(64) char data[];
};

void hti_arena_init(hti_arena *arena) { *arena = (hti_arena){NULL, NULL, 0}; }

void hti_arena_deinit(hti_arena *arena)
{
    for (hti_arena_block *block = arena->first, *next; block; block = next) {
        next = block->next;
        hti_free(block);
    }
    hti_arena_init(arena);
}

void hti_arena_reset(hti_arena *arena)
{
    arena->now = arena->first;
    arena->used = 0;
}

/* The next kept block that can hold `size`, else a new one linked behind the last; the arena stays where it is. */
static hti_arena_block *next_block(hti_arena *arena, size_t size)
{
    hti_arena_block **link = arena->now ? &arena->now->next : &arena->first;
    for (; *link; link = &(*link)->next)
        if ((*link)->cap >= size) return *link;
    const size_t cap = HTI_MAX(size, (size_t)ARENA_BLOCK);
    hti_arena_block *made = hti_alloc(hti_add(sizeof *made, cap));
    if (!made) return NULL;
    made->next = NULL;
    made->cap = cap;
    *link = made;
    return made;
}

void *hti_arena_alloc(hti_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2) return NULL;
    size = (HTI_MAX(size, (size_t)1) + 63) & ~(size_t)63;
    if (!arena->now || arena->now->cap - arena->used < size) {
        hti_arena_block *block = next_block(arena, size);
        if (!block) return NULL;
        arena->now = block;
        arena->used = 0;
    }
    void *given = arena->now->data + arena->used;
    arena->used += size;
    return given;
}

char *hti_arena_text(hti_arena *arena, ht_text text)
{
    char *copy = hti_arena_alloc(arena, hti_add(text.len, 1));
    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return copy;
}

void hti_buffer_init(hti_buffer *buffer) { *buffer = (hti_buffer){NULL, 0, 0, HT_OK}; }

void hti_buffer_deinit(hti_buffer *buffer)
{
    hti_free(buffer->data);
    hti_buffer_init(buffer);
}

void hti_buffer_clear(hti_buffer *buffer)
{
    buffer->len = 0;
    buffer->status = HT_OK;
}

char *hti_buffer_room(hti_buffer *buffer, size_t len)
{
    if (buffer->status != HT_OK) return NULL;
    buffer->status = hti_reserve(&buffer->data, &buffer->cap, hti_add(hti_add(buffer->len, len), 1), 1, NULL);
    return buffer->status == HT_OK ? buffer->data + buffer->len : NULL;
}

void hti_buffer_append(hti_buffer *buffer, const void *data, size_t len)
{
    char *room = hti_buffer_room(buffer, len);
    if (!room) return;
    if (len) memcpy(room, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
}

void hti_buffer_text(hti_buffer *buffer, const char *text) { hti_buffer_append(buffer, text, strlen(text)); }

void hti_buffer_printf(hti_buffer *buffer, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *room = len < 0 ? NULL : hti_buffer_room(buffer, (size_t)len);
    if (room) {
        (void)vsnprintf(room, (size_t)len + 1, fmt, again);
        buffer->len += (size_t)len;
    }
    va_end(again);
}

ht_status hti_buffer_status(const hti_buffer *buffer, ht_error *err)
{
    if (buffer->status == HT_OK) return HT_OK;
    return HT_FAIL(err, NO_MEMORY, "out of memory growing a text of %zu bytes", buffer->len);
}
