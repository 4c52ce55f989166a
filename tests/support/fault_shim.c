/*
 * fault_shim.c - a library for LD_PRELOAD that makes the n-th system call of a program fail.
 *
 *     LD_PRELOAD=build/.../libfault_shim.so HT_FAULT_DIR=/tmp/x HT_FAULT_SYS=7 HT_FAULT_ERRNO=ENOSPC hound index ...
 *
 *   HT_FAULT_DIR    only calls on paths under this directory (absolute) count; unset: all files
 *   HT_FAULT_SYS    which call fails, from 1; 0 or unset: none, calls are only counted
 *   HT_FAULT_ERRNO  EIO (default), ENOSPC, EDQUOT, EMFILE, EACCES, EROFS, ENOMEM, EINTR or a number
 *   HT_FAULT_ALL    1: every counted call from the n-th on fails, as a full or dying disk does
 *   HT_FAULT_SHORT  1: where the n-th call is a write of more than one byte, half is written and told
                   so, without an error: a short write that the caller must continue
 *   HT_FAULT_CALLS  which calls count, a list such as "write,fsync,rename"; unset: those that the errno
 *                   can come from (ENOSPC: those that take space), else all
 *   HT_FAULT_COUNT  a file that always holds the number of calls counted so far, 20 digits and a
 *                   newline; it survives kill -9. A sweep over n stops when the number is below n.
 *
 * Counted: open (of a new file: create), read, write, fsync, rename, mmap (of files), truncate,
 * fallocate, unlink, mkdir, stat, list. All variants (openat, pread64, writev, fdatasync ...) count
 * under that one name. Directories of file descriptors come from /proc/self/fd, so descriptors made
 * before, dup'ed or inherited are seen too.
 *
 * A test program that runs under the shim can steer it instead of the environment:
 *     void (*arm)(uint64_t n, int errno_value, int all_after) = dlsym(RTLD_DEFAULT, "ht_fault_arm");
 *     uint64_t (*seen)(void) = dlsym(RTLD_DEFAULT, "ht_fault_seen");     calls counted since arm
 *     void (*dir)(const char *path) = dlsym(RTLD_DEFAULT, "ht_fault_dir");
 *
 * Under AddressSanitizer set ASAN_OPTIONS=verify_asan_link_order=0. Thread rule: counters are atomic.
 * Easy to get wrong: the shim itself must use raw system calls, or it would count its own.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHIM __attribute__((visibility("default")))

enum call { OPEN, CREATE, READ, WRITE, FSYNC, RENAME, MMAP, TRUNCATE, FALLOCATE, UNLINK, MKDIR, STAT, LIST, N_CALLS };
static const char *const call_names[N_CALLS] = {"open",     "create",    "read",   "write", "fsync", "rename", "mmap",
                                                "truncate", "fallocate", "unlink", "mkdir", "stat",  "list"};
enum {
    ALL_CALLS = (1 << N_CALLS) - 1,
    SPACE_CALLS = 1 << CREATE | 1 << WRITE | 1 << FSYNC | 1 << RENAME | 1 << TRUNCATE | 1 << FALLOCATE | 1 << MKDIR,
    COUNT_LEN = 21
};

static _Atomic uint64_t n_seen, fail_at;
static _Atomic int fail_errno = EIO, fail_all, fail_short;
static unsigned counted = ALL_CALLS;
static char dir[PATH_MAX];
static size_t dir_len;
static char *count_text; /* a shared mapping of the count file */

static void set_dir(const char *path)
{
    dir_len = 0;
    if (!path || strlen(path) + 1 > sizeof dir) return;
    memcpy(dir, path, strlen(path) + 1);
    dir_len = strlen(dir);
    while (dir_len > 1 && dir[dir_len - 1] == '/') dir[--dir_len] = '\0';
}

static int errno_of_text(const char *text)
{
    static const struct {
        const char *name;
        int value;
    } known[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"EACCES", EACCES},
                 {"EROFS", EROFS}, {"ENOMEM", ENOMEM}, {"EINTR", EINTR},   {"ENOENT", ENOENT}};
    if (!text) return EIO;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(text, known[i].name) == 0) return known[i].value;
    const long value = strtol(text, NULL, 10);
    return value > 0 ? (int)value : EIO;
}

static unsigned calls_of_errno(int value)
{
    return value == ENOSPC || value == EDQUOT ? (unsigned)SPACE_CALLS : (unsigned)ALL_CALLS;
}

static unsigned calls_of_text(const char *text)
{
    unsigned set = 0;
    for (size_t i = 0; i < N_CALLS; i++) {
        const size_t len = strlen(call_names[i]);
        for (const char *at = text; (at = strstr(at, call_names[i])) != NULL; at += len)
            if ((at == text || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) set |= 1u << i;
    }
    return set;
}

static void map_count_file(const char *path)
{
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || syscall(SYS_ftruncate, fd, COUNT_LEN) != 0) return;
    const long at = syscall(SYS_mmap, NULL, COUNT_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at != -1) count_text = (char *)at;
}

static void show_count(uint64_t n)
{
    if (!count_text) return;
    count_text[COUNT_LEN - 1] = '\n';
    for (int i = COUNT_LEN - 2; i >= 0; i--, n /= 10) count_text[i] = (char)('0' + n % 10);
}

__attribute__((constructor)) static void start(void)
{
    const char *text;
    set_dir(getenv("HT_FAULT_DIR"));
    fail_errno = errno_of_text(getenv("HT_FAULT_ERRNO"));
    counted = (text = getenv("HT_FAULT_CALLS")) ? calls_of_text(text) : calls_of_errno(fail_errno);
    if ((text = getenv("HT_FAULT_COUNT"))) map_count_file(text);
    show_count(0);
    fail_all = (text = getenv("HT_FAULT_ALL")) && *text == '1';
    fail_short = (text = getenv("HT_FAULT_SHORT")) && *text == '1';
    if ((text = getenv("HT_FAULT_SYS"))) fail_at = strtoull(text, NULL, 10);
}

/* ---- the doors for test programs ---- */

SHIM void ht_fault_arm(uint64_t n, int errno_value, int all_after);
SHIM void ht_fault_arm(uint64_t n, int errno_value, int all_after)
{
    fail_at = 0;
    n_seen = 0;
    fail_errno = errno_value;
    fail_all = all_after;
    if (!getenv("HT_FAULT_CALLS")) counted = calls_of_errno(errno_value);
    fail_at = n;
}
SHIM uint64_t ht_fault_seen(void);
SHIM uint64_t ht_fault_seen(void) { return n_seen; }
SHIM void ht_fault_dir(const char *path);
SHIM void ht_fault_dir(const char *path) { set_dir(path); }

/* ---- deciding ---- */

static bool under_dir(const char *path)
{
    if (dir_len == 0) return true;
    char whole[PATH_MAX];
    if (path[0] != '/') {
        const long n = syscall(SYS_getcwd, whole, sizeof whole);
        if (n <= 0 || (size_t)n + strlen(path) + 2 > sizeof whole) return false;
        whole[n - 1] = '/';
        memcpy(whole + n, path, strlen(path) + 1);
        path = whole;
    }
    return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || path[dir_len] == '\0');
}

static bool fd_under_dir(int fd)
{
    char name[40], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const long n = syscall(SYS_readlinkat, AT_FDCWD, name, path, sizeof path - 1);
    if (n <= 0) return false;
    path[n] = '\0';
    const bool is_file = path[0] == '/' && (strncmp(path, "/dev/", 5) != 0 || strncmp(path, "/dev/shm/", 9) == 0);
    return is_file && under_dir(path); /* no pipes, no terminals */
}

/* Counts one call and says whether it must fail; errno is set then, and kept otherwise. */
static bool must_fail(enum call call)
{
    if (!(counted >> call & 1)) return false;
    const uint64_t at = fail_at, n = ++n_seen;
    show_count(n);
    if (at == 0 || n < at || (n > at && !fail_all)) return false;
    errno = fail_errno;
    return true;
}

static bool path_fails(enum call call, const char *path)
{
    const int before = errno;
    const bool here = path && under_dir(path);
    errno = before;
    return here && must_fail(call);
}

static bool at_fails(enum call call, int at, const char *path)
{
    const int before = errno;
    const bool here = path && (path[0] == '/' || at == AT_FDCWD ? under_dir(path) : fd_under_dir(at));
    errno = before;
    return here && must_fail(call);
}

static bool fd_fails(enum call call, int fd)
{
    const int before = errno;
    const bool here = fd >= 0 && fd_under_dir(fd);
    errno = before;
    return here && must_fail(call);
}

/* ---- the calls ---- */

/* Address of the next definition of `name`; programs without it never get here. */
static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

#define REAL(name)                     \
    static void *cached;               \
    if (!cached) cached = next(#name); \
    __typeof__(&name) real;            \
    memcpy(&real, &cached, sizeof real)

/* Only a new file takes space: opening one that is there never meets ENOSPC, O_CREAT or not. */
static enum call open_kind(int at, const char *path, int flags)
{
    return (flags & O_CREAT) && path && syscall(SYS_faccessat, at, path, F_OK) != 0 ? CREATE : OPEN;
}

#define OPEN_BODY(name)                    \
    REAL(name);                            \
    mode_t mode = 0;                       \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list args;                      \
        va_start(args, flags);             \
        mode = va_arg(args, mode_t);       \
        va_end(args);                      \
    }
SHIM int open(const char *path, int flags, ...)
{
    OPEN_BODY(open)
    return path_fails(open_kind(AT_FDCWD, path, flags), path) ? -1 : real(path, flags, mode);
}
SHIM int open64(const char *path, int flags, ...)
{
    OPEN_BODY(open64)
    return path_fails(open_kind(AT_FDCWD, path, flags), path) ? -1 : real(path, flags, mode);
}
SHIM int openat(int at, const char *path, int flags, ...)
{
    OPEN_BODY(openat)
    return at_fails(open_kind(at, path, flags), at, path) ? -1 : real(at, path, flags, mode);
}
SHIM int openat64(int at, const char *path, int flags, ...)
{
    OPEN_BODY(openat64)
    return at_fails(open_kind(at, path, flags), at, path) ? -1 : real(at, path, flags, mode);
}
SHIM FILE *fopen(const char *path, const char *mode)
{
    REAL(fopen);
    return path_fails(open_kind(AT_FDCWD, path, mode[0] == 'r' ? 0 : O_CREAT), path) ? NULL : real(path, mode);
}
SHIM FILE *fopen64(const char *path, const char *mode)
{
    REAL(fopen64);
    return path_fails(open_kind(AT_FDCWD, path, mode[0] == 'r' ? 0 : O_CREAT), path) ? NULL : real(path, mode);
}

SHIM ssize_t read(int fd, void *into, size_t len)
{
    REAL(read);
    return fd_fails(READ, fd) ? -1 : real(fd, into, len);
}
SHIM ssize_t pread(int fd, void *into, size_t len, off_t off)
{
    REAL(pread);
    return fd_fails(READ, fd) ? -1 : real(fd, into, len, off);
}
SHIM ssize_t pread64(int fd, void *into, size_t len, off64_t off)
{
    REAL(pread64);
    return fd_fails(READ, fd) ? -1 : real(fd, into, len, off);
}

SHIM ssize_t write(int fd, const void *data, size_t len)
{
    REAL(write);
    if (!fd_fails(WRITE, fd)) return real(fd, data, len);
    return fail_short && len > 1 ? real(fd, data, len / 2) : -1;
}
SHIM ssize_t pwrite(int fd, const void *data, size_t len, off_t off)
{
    REAL(pwrite);
    if (!fd_fails(WRITE, fd)) return real(fd, data, len, off);
    return fail_short && len > 1 ? real(fd, data, len / 2, off) : -1;
}
SHIM ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
    REAL(pwrite64);
    if (!fd_fails(WRITE, fd)) return real(fd, data, len, off);
    return fail_short && len > 1 ? real(fd, data, len / 2, off) : -1;
}
SHIM ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    return fd_fails(WRITE, fd) ? -1 : real(fd, parts, n);
}

SHIM int fsync(int fd)
{
    REAL(fsync);
    return fd_fails(FSYNC, fd) ? -1 : real(fd);
}
SHIM int fdatasync(int fd)
{
    REAL(fdatasync);
    return fd_fails(FSYNC, fd) ? -1 : real(fd);
}

SHIM int rename(const char *from, const char *to)
{
    REAL(rename);
    return path_fails(RENAME, to) ? -1 : real(from, to);
}
SHIM int renameat(int from_at, const char *from, int to_at, const char *to)
{
    REAL(renameat);
    return at_fails(RENAME, to_at, to) ? -1 : real(from_at, from, to_at, to);
}

SHIM void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t off)
{
    REAL(mmap);
    return fd >= 0 && fd_fails(MMAP, fd) ? MAP_FAILED : real(at, len, protection, flags, fd, off);
}
SHIM void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t off)
{
    REAL(mmap64);
    return fd >= 0 && fd_fails(MMAP, fd) ? MAP_FAILED : real(at, len, protection, flags, fd, off);
}

SHIM int ftruncate(int fd, off_t len)
{
    REAL(ftruncate);
    return fd_fails(TRUNCATE, fd) ? -1 : real(fd, len);
}
SHIM int ftruncate64(int fd, off64_t len)
{
    REAL(ftruncate64);
    return fd_fails(TRUNCATE, fd) ? -1 : real(fd, len);
}
SHIM int posix_fallocate(int fd, off_t off, off_t len)
{
    REAL(posix_fallocate);
    const int before = errno;
    if (!fd_fails(FALLOCATE, fd)) return real(fd, off, len);
    errno = before; /* this one returns its error */
    return fail_errno;
}
SHIM int fallocate(int fd, int mode, off_t off, off_t len)
{
    REAL(fallocate);
    return fd_fails(FALLOCATE, fd) ? -1 : real(fd, mode, off, len);
}

SHIM int unlink(const char *path)
{
    REAL(unlink);
    return path_fails(UNLINK, path) ? -1 : real(path);
}
SHIM int unlinkat(int at, const char *path, int flags)
{
    REAL(unlinkat);
    return at_fails(UNLINK, at, path) ? -1 : real(at, path, flags);
}
SHIM int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return path_fails(MKDIR, path) ? -1 : real(path, mode);
}

SHIM int stat(const char *path, struct stat *info)
{
    REAL(stat);
    return path_fails(STAT, path) ? -1 : real(path, info);
}
SHIM int stat64(const char *path, struct stat64 *info)
{
    REAL(stat64);
    return path_fails(STAT, path) ? -1 : real(path, info);
}
SHIM int fstat(int fd, struct stat *info)
{
    REAL(fstat);
    return fd_fails(STAT, fd) ? -1 : real(fd, info);
}
SHIM int fstat64(int fd, struct stat64 *info)
{
    REAL(fstat64);
    return fd_fails(STAT, fd) ? -1 : real(fd, info);
}
SHIM DIR *opendir(const char *path)
{
    REAL(opendir);
    return path_fails(LIST, path) ? NULL : real(path);
}
