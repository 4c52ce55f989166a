/*
 * houndstooth/base.h - what every other public header builds on: status, error, text, memory, log.
 *
 * Every function that can fail returns ht_status and, when the caller passes one, fills an ht_error
 * with one line that names what was wrong, where, and how to mend it. The library never prints,
 * exits or aborts on bad input.
 */
#ifndef HOUNDSTOOTH_BASE_H
#define HOUNDSTOOTH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HT_VERSION_MAJOR 0
#define HT_VERSION_MINOR 1
#define HT_VERSION_PATCH 0

#if defined(__GNUC__)
#define HT_API __attribute__((visibility("default")))
#define HT_CHECKED __attribute__((warn_unused_result))
#define HT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define HT_API
#define HT_CHECKED
#define HT_PRINTF(fmt, args)
#endif

/*
 * The one list of statuses: name, number, text, exit code of `hound`, HTTP status, Python exception.
 * Numbers and exit codes are stable; new rows go at the end.
 */
#define HT_STATUS_LIST(X)                                                      \
    X(OK, 0, "success", 0, 200, "")                                            \
    X(INVALID, 1, "invalid argument", 2, 400, "ValueError")                    \
    X(NOT_FOUND, 2, "not found", 3, 404, "FileNotFoundError")                  \
    X(EXISTS, 3, "already exists", 4, 409, "FileExistsError")                  \
    X(PARSE, 4, "malformed input", 5, 422, "ValueError")                       \
    X(CORRUPT, 5, "damaged file", 6, 500, "OSError")                           \
    X(VERSION, 6, "unsupported format version", 7, 501, "NotImplementedError") \
    X(IO, 7, "input/output error", 8, 500, "OSError")                          \
    X(NO_SPACE, 8, "no space left", 9, 507, "OSError")                         \
    X(NO_MEMORY, 9, "out of memory", 10, 503, "MemoryError")                   \
    X(BUSY, 10, "in use by another writer", 11, 423, "BlockingIOError")        \
    X(CANCELLED, 11, "cancelled", 130, 499, "KeyboardInterrupt")               \
    X(UNSUPPORTED, 12, "not supported", 12, 501, "NotImplementedError")        \
    X(LIMIT, 13, "limit exceeded", 13, 413, "OverflowError")                   \
    X(INTERNAL, 14, "internal error", 70, 500, "RuntimeError")                 \
    X(PARKED, 15, "waiting for an answer", 70, 500, "RuntimeError")            \
    X(FAILED, 16, "failed in the program's own code", 16, 500, "RuntimeError") \
    X(TIMEOUT, 17, "timed out", 17, 504, "TimeoutError")

typedef enum ht_status {
#define HT_STATUS_ENUM(name, number, text, exit_code, http, python) HT_##name = number,
    HT_STATUS_LIST(HT_STATUS_ENUM)
#undef HT_STATUS_ENUM
} ht_status;

/* Short English text of a status; never NULL. */
HT_API const char *ht_status_text(ht_status status);
/* Constant name of a status, for example "CORRUPT"; never NULL. */
HT_API const char *ht_status_name(ht_status status);
/* Exit code that `hound` uses for a status. */
HT_API int ht_status_exit_code(ht_status status);
/* HTTP status code for a status. */
HT_API int ht_status_http(ht_status status);
/* Name of the Python exception class for a status; "" for success. */
HT_API const char *ht_status_python(ht_status status);

enum { HT_ERROR_TEXT = 1000 };

/*
 * Owned by the caller; `{0}` is a valid empty error. The message is one line of UTF-8, cut to fit. `cause` is a mark
 * that a function of the program set when it failed (an exception's number, say): it stays with the failure wherever
 * that goes in this process, also where calls around it are named in the message. 0: none.
 */
typedef struct ht_error {
    ht_status status;
    char message[HT_ERROR_TEXT];
    uint64_t cause;
} ht_error;

/* A borrowed slice of UTF-8 text, not NUL-terminated; {NULL, 0} is the empty text. */
typedef struct ht_text {
    const char *data;
    size_t len; /* bytes */
} ht_text;

/* One result: a document ordinal inside one index or collection and its score, higher is better. */
typedef struct ht_hit {
    double score;
    uint32_t doc;
} ht_hit;

/*
 * The allocator hook: size 0 in `new_size` frees, NULL in `ptr` allocates, both given resizes.
 * `old_size` is exact, so accounting needs no table. Returns NULL on failure (then `ptr` lives on).
 * Must be thread-safe. `align` is a power of two, at least 16.
 */
typedef void *(*ht_allocator_fn)(void *ud, void *ptr, size_t old_size, size_t new_size, size_t align);

/*
 * Replaces the allocator of the whole library; NULL brings back the default. Call it before any
 * other function of the library, with no object alive: a block must be freed by the hook that made it.
 */
HT_API void ht_allocator_set(ht_allocator_fn fn, void *ud);

/*
 * For programs whose threads call the library with a lock of their own held, an interpreter's: `leave` lets it go
 * before a thread waits for another one, and `enter` takes it again afterwards, given what `leave` returned. Both are
 * called on the waiting thread. `ending` is called by each thread of the library's own, as the last thing that it does.
 * NULL: none. To be set before threads start.
 */
HT_API void ht_blocking_set(void *(*leave)(void), void (*enter)(void *left), void (*ending)(void));

typedef enum ht_log_level { HT_LOG_WARNING, HT_LOG_INFO } ht_log_level;

/* Receives one-line messages (no newline); silent until set. May be called from any thread. */
typedef void (*ht_log_fn)(void *ud, ht_log_level level, const char *message);
HT_API void ht_log_set(ht_log_fn fn, void *ud);

/*
 * How long work is watched and stopped. Both callbacks may be NULL. `cancelled` is polled from any
 * thread, at least every few hundred milliseconds; true ends the work with HT_CANCELLED.
 * `progress` is called by one thread at a time; `total` is 0 while unknown.
 */
typedef struct ht_monitor {
    void *ud;
    bool (*cancelled)(void *ud);
    void (*progress)(void *ud, const char *stage, uint64_t done, uint64_t total);
} ht_monitor;

/*
 * A pool of threads, passed explicitly; n_threads 0 takes one a CPU that this process may use. The
 * calling thread counts as one of them, so a pool of 1 starts no thread. Results never depend on
 * the number of threads. A pool may serve several objects; one parallel section runs at a time and
 * nested ones run inline.
 */
typedef struct ht_pool ht_pool;
HT_API HT_CHECKED ht_status ht_pool_new(size_t n_threads, ht_pool **out, ht_error *err);
HT_API void ht_pool_free(ht_pool *pool);
HT_API size_t ht_pool_threads(const ht_pool *pool);

/* Version as text, for example "0.1.0". */
HT_API const char *ht_version(void);
/* Name of the instruction set the kernels use: "scalar", "avx2", "avx512" or "amx". HT_CPU may lower it. */
HT_API const char *ht_cpu_name(void);

/* Option and descriptor structs start with their size, so that they can grow. */
#define HT_DESC(type) .size = (uint32_t)sizeof(type)

#ifdef __cplusplus
}
#endif

#endif
