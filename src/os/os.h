/*
 * os.h - the door of the only room with POSIX calls: files, mappings, locks, threads, CPU, clock.
 *
 * Every path is UTF-8 bytes with a NUL. Every failure names the path and the system's reason;
 * ENOSPC and EDQUOT become HT_NO_SPACE, ENOENT HT_NOT_FOUND, EEXIST HT_EXISTS.
 */
#ifndef HTI_OS_OS_H
#define HTI_OS_OS_H

#include "base/base.h"

/* Status that stands for an errno value. */
ht_status hti_os_status(int errno_value);
/* Fails with "PATH: cannot WHAT: reason" from the present errno. */
ht_status hti_os_fail(ht_error *err, const char *path, const char *what);

/* ---- files ---- */

/* A file being written sequentially under its final or a temporary name; buffered. One thread. */
typedef struct hti_file hti_file;
/* Creates or truncates. */
HT_CHECKED ht_status hti_file_create(const char *path, hti_file **out, ht_error *err);
HT_CHECKED ht_status hti_file_write(hti_file *file, const void *data, size_t len, ht_error *err);
/* Bytes written so far: the offset of the next write. */
uint64_t hti_file_tell(const hti_file *file);
/* Overwrites bytes already written, for headers whose content is known last. */
HT_CHECKED ht_status hti_file_write_at(hti_file *file, uint64_t off, const void *data, size_t len, ht_error *err);
/* Writes zeros up to the next multiple of `align` (a power of two). */
HT_CHECKED ht_status hti_file_pad(hti_file *file, size_t align, ht_error *err);
/* Flushes, and with `sync` also fsyncs, then closes. The file object is gone in any case. */
HT_CHECKED ht_status hti_file_close(hti_file *file, bool sync, ht_error *err);
/* Closes without a promise that anything reached the disk; NULL allowed. For error paths. */
void hti_file_abandon(hti_file *file);

/* A read-only mapping of a whole file; immutable, any thread. An empty file maps to len 0. */
typedef struct hti_mapping {
    const unsigned char *data; /* [len], 64-byte aligned */
    size_t len;
} hti_mapping;
HT_CHECKED ht_status hti_map_file(const char *path, hti_mapping *out, ht_error *err);
void hti_unmap_file(hti_mapping *mapping);

/* Whole file into a buffer (cleared first); fails with HT_LIMIT over max_bytes. */
HT_CHECKED ht_status hti_read_file(const char *path, size_t max_bytes, hti_buffer *out, ht_error *err);
/* Temporary name, fsync, rename, fsync of the directory: afterwards either the old or the new content is there. */
HT_CHECKED ht_status hti_replace_file(const char *path, const void *data, size_t len, ht_error *err);

bool hti_path_exists(const char *path);
bool hti_path_is_dir(const char *path);
HT_CHECKED ht_status hti_file_size(const char *path, uint64_t *out, ht_error *err);
HT_CHECKED ht_status hti_rename(const char *from, const char *to, ht_error *err);
/* Removing what is not there is success. */
HT_CHECKED ht_status hti_remove(const char *path, ht_error *err);
/* Removes a file on a path that fails already: nothing more can be told. */
void hti_discard(const char *path);
/* Creates the directory and its parents; existing is success. */
HT_CHECKED ht_status hti_make_dirs(const char *path, ht_error *err);
HT_CHECKED ht_status hti_sync_dir(const char *path, ht_error *err);
/* Calls fn for each entry name except "." and "..", in no order; stops when fn fails. */
typedef ht_status (*hti_dir_fn)(void *ud, const char *name, ht_error *err);
HT_CHECKED ht_status hti_list_dir(const char *path, hti_dir_fn fn, void *ud, ht_error *err);

/* An exclusive advisory lock on a file (created if need be); HT_BUSY at once if another holder lives. */
typedef struct hti_lock hti_lock;
HT_CHECKED ht_status hti_lock_take(const char *path, hti_lock **out, ht_error *err);
void hti_lock_release(hti_lock *lock);

/*
 * Reads bytes from a file descriptor that the room opened: "-" is standard input. Short reads happen
 * only at the end. Used by codec's decompressing reader.
 */
typedef struct hti_input hti_input;
HT_CHECKED ht_status hti_input_open(const char *path, hti_input **out, ht_error *err);
HT_CHECKED ht_status hti_input_read(hti_input *input, void *into, size_t cap, size_t *len, ht_error *err);
void hti_input_close(hti_input *input);
/* Writes all bytes to standard output: only where a caller named it, as the path "-". */
HT_CHECKED ht_status hti_write_standard_output(const void *data, size_t len, ht_error *err);

/* What worker processes print, where nobody else takes it; a failure is nobody's to tell. */
void hti_write_standard_error(const void *data, size_t len);

/* ---- threads ---- */

/* Around whatever lets this thread wait for another: the program's own lock (ht_blocking_set) is let go meanwhile. */
void *hti_block_leave(void);
void hti_block_enter(void *left);
/* For each thread of ours, at its end. */
void hti_thread_ending(void);

/*
 * Runs fn(ud, chunk, thread) for every chunk in [0, n_chunks), each exactly once, over the pool
 * (NULL or a nested call: inline, in order). `thread` < ht_pool_threads(pool), for scratch per
 * thread. Chunks must not depend on the thread count. The status is that of the lowest failing
 * chunk; `err` holds its message. After a failure later chunks may be skipped.
 */
typedef ht_status (*hti_chunk_fn)(void *ud, size_t chunk, size_t thread, ht_error *err);
HT_CHECKED ht_status hti_pool_run(ht_pool *pool, size_t n_chunks, hti_chunk_fn fn, void *ud, ht_error *err);
/* Chunk i on thread i, for every thread of the pool; inline (NULL or a nested call) all on this one, in order. */
HT_CHECKED ht_status hti_pool_each(ht_pool *pool, hti_chunk_fn fn, void *ud, ht_error *err);

/* A plain lock; NULL when memory is out. */
typedef struct hti_mutex hti_mutex;
HT_CHECKED hti_mutex *hti_mutex_new(void);
void hti_mutex_free(hti_mutex *mutex);
void hti_mutex_lock(hti_mutex *mutex); /* a thread that has to wait lets the program's own lock go first */
void hti_mutex_unlock(hti_mutex *mutex);

/*
 * What a thread sleeps on until another changes what `mutex` guards; NULL when memory is out. Waiting
 * gives the mutex back meanwhile and may end for no reason: test the condition in a loop.
 */
typedef struct hti_cond hti_cond;
HT_CHECKED hti_cond *hti_cond_new(void);
void hti_cond_free(hti_cond *cond);
void hti_cond_wait(hti_cond *cond, hti_mutex *mutex);
/* The same until hti_clock_ns() reaches `until_ns` at the latest; false if that time has come. */
bool hti_cond_wait_until(hti_cond *cond, hti_mutex *mutex, uint64_t until_ns);
void hti_cond_signal(hti_cond *cond);
void hti_cond_broadcast(hti_cond *cond);

/*
 * A thread of an object's own. It runs fn(ud) with every signal blocked: signals are the program's, and
 * a peer that hangs up is an error, never SIGPIPE. It must be joined, which frees it.
 */
typedef struct hti_thread hti_thread;
HT_CHECKED ht_status hti_thread_start(void (*fn)(void *ud), void *ud, hti_thread **out, ht_error *err);
/* Waits for its end; NULL allowed. Not from the thread itself. */
void hti_thread_join(hti_thread *thread);

/* Runs fn once in the life of the process, however many threads ask; all return after it ended. Static, zero. */
typedef struct hti_once {
    int state;
} hti_once;
void hti_once_run(hti_once *once, void (*fn)(void));

/* ---- memory shared between processes ---- */

/* Memory of a fixed, sealed size behind a descriptor (close-on-exec) that may be passed to another process. */
typedef struct hti_shared_memory {
    void *data; /* [len]; written by its maker only, read-only (a write faults) for who received it */
    size_t len;
    int fd;
} hti_shared_memory;
/* `len` zeroed bytes, at least 1. Release also after a failure is allowed. */
HT_CHECKED ht_status hti_shared_memory_make(size_t len, hti_shared_memory *out, ht_error *err);
/* Maps what a peer sent and takes over `fd`, also on failure. HT_PARSE unless sealed and of `len` bytes exactly. */
HT_CHECKED ht_status hti_shared_memory_receive(int fd, size_t len, hti_shared_memory *out, ht_error *err);
/* Closes the descriptor; the bytes stay mapped until the release. */
void hti_shared_memory_seclude(hti_shared_memory *memory);
/* Unmaps and closes; a second release does nothing. */
void hti_shared_memory_release(hti_shared_memory *memory);

/* ---- child processes ---- */

/* A spawned program with one socket to us at its descriptor 3, and what it prints (both streams) on a pipe. */
typedef struct hti_child {
    int64_t pid;        /* 0: none */
    int socket, output; /* -1: closed */
} hti_child;
/*
 * argv and env NULL-ended; env (NULL: none) comes on top of ours. Default signals, a process group of its own, no other
 * descriptor of ours, empty standard input. NOT_FOUND: no such program. Call it from a thread that lives as long as the
 * child, which dies with that thread if it asks to (hti_die_with_parent).
 */
HT_CHECKED ht_status hti_child_start(const char *const *argv, const char *const *env, hti_child *out, ht_error *err);
/* True once it has ended, with how in `text` ("was killed by signal 9 (Killed)"); then its pid is gone. */
bool hti_child_ended(hti_child *child, char *text, size_t cap);
void hti_child_kill(const hti_child *child);
/* Closes our ends; the process goes on. */
void hti_child_close(hti_child *child);
/* In a child: the kernel kills this process when the thread that started it ends. */
void hti_die_with_parent(void);
/* Of this process. */
int64_t hti_process_id(void);

/* What an end of a socket that keeps messages apart got: bytes, and perhaps a descriptor (-1: none). */
typedef struct hti_packet {
    size_t len; /* 0: the other end is closed */
    int fd;
} hti_packet;
/* Sends head and body as one message of at most 128 KiB, with a copy of fd unless it is -1. IO: nobody listens. */
HT_CHECKED ht_status hti_packet_send(int socket, const void *head, size_t head_len, const void *body, size_t len,
                                     int fd, ht_error *err);
/* Waits for a message. LIMIT: longer than cap. */
HT_CHECKED ht_status hti_packet_receive(int socket, void *into, size_t cap, hti_packet *out, ht_error *err);
/* Reads what is there now; *len 0 and *open false at the end of it. */
void hti_pipe_read(int fd, void *into, size_t cap, size_t *len, bool *open);
void hti_descriptor_close(int fd);

/* Wakes a thread that waits for descriptors, from any thread. */
HT_CHECKED ht_status hti_bell_new(int *out, ht_error *err);
void hti_bell_ring(int bell);
void hti_bell_quiet(int bell);
/* Waits until one of fds [n] (-1: none) can be read, which `ready` [n] tells, or until hti_clock_ns() is `until_ns`. */
void hti_wait_readable(const int *fds, bool *ready, size_t n, uint64_t until_ns);

/* ---- machine ---- */

typedef enum hti_cpu { HTI_CPU_SCALAR, HTI_CPU_AVX2, HTI_CPU_AVX512, HTI_CPU_AMX } hti_cpu;
/*
 * Best instruction set of this machine that HT_CPU (scalar|avx2|avx512|amx) allows; decided once.
 * AVX2 means AVX2+FMA+F16C; AVX512 means F+BW+DQ+VL+VNNI; AMX adds tiles with int8 and bf16, for
 * which the kernel's permission has been asked.
 */
hti_cpu hti_cpu_level(void);
/* CPUs that this process may run on, at least 1. */
size_t hti_cpu_count(void);
/* GPUs that this process may use (HT_GPUS, CUDA_VISIBLE_DEVICES, the driver's device files), and a device's name. */
enum { HTI_MAX_GPUS = 64 };
size_t hti_gpu_count(void);
void hti_gpu_name(size_t device, char *text, size_t cap);
/* The processor's name as the system tells it, "" if unknown; static. */
const char *hti_cpu_model(void);

/* Monotonic nanoseconds. */
uint64_t hti_clock_ns(void);
/* Nanoseconds since 1970 on the wall clock, which may be set back: for people to read, never for deadlines. */
uint64_t hti_clock_wall_ns(void);
/* Sleeps this long at least; signals do not shorten it. */
void hti_sleep_ns(uint64_t ns);
/* Peak resident memory of this process in bytes. */
uint64_t hti_peak_memory(void);

/* Opens a shared library by the first name that loads; NULL if none does. Symbols by hti_symbol. */
typedef struct hti_library hti_library;
hti_library *hti_library_open(const char *const *names, size_t n_names);
/* Writes the symbol's address into *fn (any pointer type); false if missing. */
bool hti_library_symbol(hti_library *library, const char *name, void *fn);

#endif
