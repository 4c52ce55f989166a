/*
 * alloc.h - the library's only way to memory: blocks, arenas, growing buffers.
 *
 * Long-lived objects use blocks, work per query or batch uses an arena, byte strings under
 * construction use a buffer. Sizes that are products go through hti_mul.
 */
#ifndef HTI_BASE_ALLOC_H
#define HTI_BASE_ALLOC_H

#include "status.h"

/* A block of `size` bytes (0 counts as 1), aligned to 64; NULL when memory is out. */
HT_CHECKED void *hti_alloc(size_t size);
/* The same, zeroed. */
HT_CHECKED void *hti_alloc_zero(size_t size);
/* Resizes a block (NULL allocates); on NULL the old block lives on. */
HT_CHECKED void *hti_realloc(void *ptr, size_t size);
/* Frees a block; NULL is allowed. */
void hti_free(void *ptr);
/* Bytes that the block holds. */
size_t hti_alloc_size(const void *ptr);
/* Bytes in live blocks and number of hti_alloc/realloc calls that reached the hook, process-wide. */
typedef struct hti_alloc_stats {
    uint64_t live_bytes, peak_bytes, n_calls;
} hti_alloc_stats;
hti_alloc_stats hti_alloc_get_stats(void);

/* a * b, or SIZE_MAX when that overflows (no allocation of SIZE_MAX ever succeeds). */
static inline size_t hti_mul(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* a + b, or SIZE_MAX when that overflows. */
static inline size_t hti_add(size_t a, size_t b)
{
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

/* Typed array of n elements. */
#define HTI_NEW_ARRAY(type, n) ((type *)hti_alloc(hti_mul((n), sizeof(type))))
#define HTI_NEW(type) ((type *)hti_alloc_zero(sizeof(type)))
#define HTI_NO_MEMORY(err) HT_FAIL(err, NO_MEMORY, "out of memory (%s)", __func__)

/*
 * Makes room for `need` elements of `elem` bytes in *array, whose capacity is *cap, at least
 * doubling it. On failure both stay as they were.
 */
HT_CHECKED ht_status hti_reserve(void *array_ptr, size_t *cap, size_t need, size_t elem, ht_error *err);

/* A bump allocator: everything given out lives until reset or deinit. One thread. */
typedef struct hti_arena_block hti_arena_block;
typedef struct hti_arena {
    hti_arena_block *first, *now;
    size_t used; /* in `now` */
} hti_arena;

void hti_arena_init(hti_arena *arena);
void hti_arena_deinit(hti_arena *arena);
/* Forgets what was given out and keeps the blocks: the second identical use allocates nothing. */
void hti_arena_reset(hti_arena *arena);
/* `size` bytes aligned to 64 (0 gives a valid pointer); NULL when memory is out. */
HT_CHECKED void *hti_arena_alloc(hti_arena *arena, size_t size);
#define HTI_ARENA_ARRAY(arena, type, n) ((type *)hti_arena_alloc((arena), hti_mul((n), sizeof(type))))
/* Copies text with a NUL behind it; NULL when memory is out. */
HT_CHECKED char *hti_arena_text(hti_arena *arena, ht_text text);

/*
 * A growing byte string with a sticky error: after the first failure every call does nothing, and
 * hti_buffer_status reports it once, at the end.
 */
typedef struct hti_buffer {
    char *data; /* [len], a NUL always follows when len > 0 */
    size_t len, cap;
    ht_status status;
} hti_buffer;

void hti_buffer_init(hti_buffer *buffer);
void hti_buffer_deinit(hti_buffer *buffer);
void hti_buffer_clear(hti_buffer *buffer);
void hti_buffer_append(hti_buffer *buffer, const void *data, size_t len);
void hti_buffer_text(hti_buffer *buffer, const char *text);
void hti_buffer_printf(hti_buffer *buffer, const char *fmt, ...) HT_PRINTF(2, 3);
/* Room for `len` more bytes, to be written by the caller and counted by adding to `len`; NULL when memory is out. */
HT_CHECKED char *hti_buffer_room(hti_buffer *buffer, size_t len);
HT_CHECKED ht_status hti_buffer_status(const hti_buffer *buffer, ht_error *err);
static inline ht_text hti_buffer_view(const hti_buffer *buffer)
{
    return (ht_text){buffer->len ? buffer->data : "", buffer->len};
}

#endif
