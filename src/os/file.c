/*
 * file.c - files, mappings, atomic replacement, directories and locks.
 *
 * Invariant: hti_file keeps its first failure; close reports it, so a caller that checks only close
 * still sees a lost write. EINTR is retried; short writes go on.
 * Thread rule: a file, input or lock has one thread; mappings are immutable.
 * Easy to get wrong: after a failed fsync the pages may be dropped and marked clean, so the file is
 * given up, never synced again.
 */
#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BUFFER = 256 * 1024 };

ht_status hti_os_status(int errno_value)
{
    switch (errno_value) {
    case 0: return HT_OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return HT_NO_SPACE;
    case ENOENT:
    case ENOTDIR: return HT_NOT_FOUND;
    case EEXIST: return HT_EXISTS;
    case ENOMEM: return HT_NO_MEMORY;
    case EWOULDBLOCK: return HT_BUSY;
    default: return HT_IO;
    }
}

ht_status hti_os_fail(ht_error *err, const char *path, const char *what)
{
    const int number = errno ? errno : EIO;
    char text[128] = "";
    const char *reason = strerror_r(number, text, sizeof text); /* the GNU form: may return a constant */
    return hti_fail(err, hti_os_status(number), "%s: cannot %s: %s", path, what, reason);
}

struct hti_file {
    char *path, *buffer;
    size_t used;
    uint64_t off; /* of the buffer's start in the file */
    int fd;
    bool is_stream; /* a pipe or a terminal: bytes go out in order, and there is nothing to sync */
    ht_status failed;
};

static ht_status write_all(const hti_file *file, const char *data, size_t len, uint64_t off, ht_error *err)
{
    const char *path = file->path;
    while (len > 0) {
        const ssize_t n = file->is_stream ? write(file->fd, data, len) : pwrite(file->fd, data, len, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return hti_os_fail(err, path, "write");
        if (n == 0) {
            errno = EIO;
            return hti_os_fail(err, path, "write");
        }
        data += n;
        len -= (size_t)n;
        off += (uint64_t)n;
    }
    return HT_OK;
}

void hti_file_abandon(hti_file *file)
{
    if (!file) return;
    if (file->fd >= 0) (void)close(file->fd);
    hti_free(file->buffer);
    hti_free(file->path);
    hti_free(file);
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static char *copy_path(const char *path)
{
    const size_t len = strlen(path) + 1;
    char *copy = hti_alloc(len);
    if (copy) memcpy(copy, path, len);
    return copy;
}

ht_status hti_file_create(const char *path, hti_file **out, ht_error *err)
{
    *out = NULL;
    hti_file *file = HTI_NEW(hti_file);
    if (!file) return HTI_NO_MEMORY(err);
    file->fd = -1;
    file->path = copy_path(path);
    file->buffer = hti_alloc(FILE_BUFFER);
    struct stat info = {.st_mode = 0};
    ht_status status = HT_OK;
    if (!file->path || !file->buffer)
        status = HTI_NO_MEMORY(err);
    else if ((file->fd = open_retry(path, O_RDWR | O_CREAT | O_TRUNC, 0666)) < 0 || fstat(file->fd, &info) != 0)
        status = hti_os_fail(err, path, "create");
    if (status != HT_OK) {
        hti_file_abandon(file);
        return status;
    }
    file->is_stream = !S_ISREG(info.st_mode);
    *out = file;
    return HT_OK;
}

static ht_status flush_file(hti_file *file, ht_error *err)
{
    if (file->failed != HT_OK) return hti_fail(err, file->failed, "%s: an earlier write failed", file->path);
    const ht_status status = write_all(file, file->buffer, file->used, file->off, err);
    if (status != HT_OK) {
        file->failed = status;
        return status;
    }
    file->off += file->used;
    file->used = 0;
    return HT_OK;
}

ht_status hti_file_write(hti_file *file, const void *data, size_t len, ht_error *err)
{
    if (file->used + len > FILE_BUFFER) HT_TRY(flush_file(file, err));
    if (len >= FILE_BUFFER) {
        file->failed = write_all(file, data, len, file->off, err);
        file->off += len;
        return file->failed;
    }
    if (len) memcpy(file->buffer + file->used, data, len);
    file->used += len;
    return HT_OK;
}

uint64_t hti_file_tell(const hti_file *file) { return file->off + file->used; }

ht_status hti_file_write_at(hti_file *file, uint64_t off, const void *data, size_t len, ht_error *err)
{
    HT_TRY(flush_file(file, err));
    HT_ASSERT(off + len <= file->off);
    if (file->is_stream)
        return HT_FAIL(err, INVALID, "%s: not a regular file, and this format needs to go back in it", file->path);
    file->failed = write_all(file, data, len, off, err);
    return file->failed;
}

ht_status hti_file_pad(hti_file *file, size_t align, ht_error *err)
{
    static const char zeros[64];
    size_t left = (size_t)(-hti_file_tell(file)) & (align - 1);
    while (left > 0) {
        const size_t n = HTI_MIN(left, sizeof zeros);
        HT_TRY(hti_file_write(file, zeros, n, err));
        left -= n;
    }
    return HT_OK;
}

ht_status hti_file_close(hti_file *file, bool sync, ht_error *err)
{
    ht_status status = flush_file(file, err);
    if (status == HT_OK && sync && !file->is_stream && fsync(file->fd) != 0)
        status = hti_os_fail(err, file->path, "sync");
    const int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0 && status == HT_OK && errno != EINTR) status = hti_os_fail(err, file->path, "close");
    hti_file_abandon(file);
    return status;
}

ht_status hti_map_file(const char *path, hti_mapping *out, ht_error *err)
{
    *out = (hti_mapping){NULL, 0};
    const int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return hti_os_fail(err, path, "open");
    ht_status status = HT_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = hti_os_fail(err, path, "stat");
    } else if (!S_ISREG(info.st_mode)) {
        status = HT_FAIL(err, INVALID, "%s: not a regular file", path);
    } else if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            status = hti_os_fail(err, path, "map");
        else
            *out = (hti_mapping){data, (size_t)info.st_size};
    }
    (void)close(fd);
    return status;
}

void hti_unmap_file(hti_mapping *mapping)
{
    if (mapping->len > 0) (void)munmap((void *)(uintptr_t)mapping->data, mapping->len);
    *mapping = (hti_mapping){NULL, 0};
}

struct hti_input {
    char *path;
    int fd;
};

ht_status hti_input_open(const char *path, hti_input **out, ht_error *err)
{
    *out = NULL;
    const bool standard = strcmp(path, "-") == 0;
    hti_input *input = HTI_NEW(hti_input);
    if (!input) return HTI_NO_MEMORY(err);
    input->fd = -1;
    input->path = copy_path(standard ? "standard input" : path);
    ht_status status = HT_OK;
    if (!input->path)
        status = HTI_NO_MEMORY(err);
    else if ((input->fd = standard ? 0 : open_retry(path, O_RDONLY, 0)) < 0)
        status = hti_os_fail(err, path, "open");
    if (status != HT_OK) {
        hti_input_close(input);
        return status;
    }
    *out = input;
    return HT_OK;
}

ht_status hti_input_read(hti_input *input, void *into, size_t cap, size_t *len, ht_error *err)
{
    *len = 0;
    while (*len < cap) {
        const ssize_t n = read(input->fd, (char *)into + *len, cap - *len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return hti_os_fail(err, input->path, "read");
        if (n == 0) break;
        *len += (size_t)n;
    }
    return HT_OK;
}

void hti_input_close(hti_input *input)
{
    if (!input) return;
    if (input->fd > 0) (void)close(input->fd);
    hti_free(input->path);
    hti_free(input);
}

ht_status hti_read_file(const char *path, size_t max_bytes, hti_buffer *out, ht_error *err)
{
    hti_buffer_clear(out);
    hti_input *input;
    HT_TRY(hti_input_open(path, &input, err));
    ht_status status = HT_OK;
    for (;;) {
        enum { STEP = 64 * 1024 };
        size_t len = 0;
        char *room = hti_buffer_room(out, STEP);
        if (!room) {
            status = hti_buffer_status(out, err);
            break;
        }
        status = hti_input_read(input, room, STEP, &len, err);
        if (status != HT_OK || len == 0) break;
        out->len += len;
        if (out->len > max_bytes) {
            status = HT_FAIL(err, LIMIT, "%s: larger than %zu bytes", path, max_bytes);
            break;
        }
    }
    hti_input_close(input);
    if (status == HT_OK) hti_buffer_append(out, "", 0);
    return status == HT_OK ? hti_buffer_status(out, err) : status;
}

/* Directory part of a path, "." if it has none. */
static char *parent_of(const char *path)
{
    char *copy = copy_path(path);
    if (!copy) return NULL;
    char *slash = strrchr(copy, '/');
    if (slash && slash != copy)
        *slash = '\0';
    else
        memcpy(copy, slash ? "/" : ".", 2); /* at least one byte and a NUL were there */
    return copy;
}

static ht_status replace_file(const char *path, const char *temp, const char *parent, const void *data, size_t len,
                              ht_error *err)
{
    hti_file *file;
    HT_TRY(hti_file_create(temp, &file, err));
    ht_status status = hti_file_write(file, data, len, err);
    if (status == HT_OK)
        status = hti_file_close(file, true, err);
    else
        hti_file_abandon(file);
    if (status == HT_OK) status = hti_rename(temp, path, err);
    if (status != HT_OK) {
        (void)unlink(temp);
        return status;
    }
    return hti_sync_dir(parent, err);
}

ht_status hti_replace_file(const char *path, const void *data, size_t len, ht_error *err)
{
    hti_buffer temp;
    hti_buffer_init(&temp);
    hti_buffer_printf(&temp, "%s.tmp%ld", path, (long)gettid()); /* threads may replace the same file */
    char *parent = parent_of(path);
    ht_status status = parent ? hti_buffer_status(&temp, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK) status = replace_file(path, temp.data, parent, data, len, err);
    hti_free(parent);
    hti_buffer_deinit(&temp);
    return status;
}

bool hti_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool hti_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

ht_status hti_file_size(const char *path, uint64_t *out, ht_error *err)
{
    struct stat info;
    *out = 0;
    if (stat(path, &info) != 0) return hti_os_fail(err, path, "stat");
    *out = (uint64_t)info.st_size;
    return HT_OK;
}

ht_status hti_rename(const char *from, const char *to, ht_error *err)
{
    return rename(from, to) == 0 ? HT_OK : hti_os_fail(err, to, "rename to");
}

ht_status hti_remove(const char *path, ht_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT) return HT_OK;
    return hti_os_fail(err, path, "remove");
}

void hti_discard(const char *path) { (void)unlink(path); }

/* Makes one directory, durably: its parent is synced when it is new. */
static ht_status make_dir(const char *path, ht_error *err)
{
    if (mkdir(path, 0777) != 0) {
        struct stat info;
        const int reason = errno;
        if (reason == EEXIST && stat(path, &info) != 0) return hti_os_fail(err, path, "stat");
        if (reason == EEXIST && S_ISDIR(info.st_mode)) return HT_OK;
        errno = reason;
        return hti_os_fail(err, path, "create directory");
    }
    char *parent = parent_of(path);
    if (!parent) return HTI_NO_MEMORY(err);
    const ht_status status = hti_sync_dir(parent, err);
    hti_free(parent);
    return status;
}

ht_status hti_make_dirs(const char *path, ht_error *err)
{
    const size_t len = strlen(path);
    if (len == 0) return HT_FAIL(err, INVALID, "a directory needs a name");
    char *copy = copy_path(path);
    if (!copy) return HTI_NO_MEMORY(err);
    ht_status status = HT_OK;
    for (size_t i = 1; status == HT_OK && i <= len; i++) {
        if ((copy[i] != '/' && copy[i] != '\0') || copy[i - 1] == '/') continue;
        const char kept = copy[i];
        copy[i] = '\0';
        status = make_dir(copy, err);
        copy[i] = kept;
    }
    hti_free(copy);
    return status;
}

ht_status hti_sync_dir(const char *path, ht_error *err)
{
    const int fd = open_retry(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return hti_os_fail(err, path, "open directory");
    const bool done = fsync(fd) == 0 || errno == EINVAL; /* EINVAL: a file system without such a thing */
    const ht_status status = done ? HT_OK : hti_os_fail(err, path, "sync directory");
    (void)close(fd);
    return status;
}

ht_status hti_list_dir(const char *path, hti_dir_fn fn, void *ud, ht_error *err)
{
    DIR *dir = opendir(path);
    if (!dir) return hti_os_fail(err, path, "list");
    ht_status status = HT_OK;
    while (status == HT_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno) status = hti_os_fail(err, path, "list");
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) status = fn(ud, entry->d_name, err);
    }
    (void)closedir(dir);
    return status;
}

struct hti_lock {
    int fd;
};

ht_status hti_lock_take(const char *path, hti_lock **out, ht_error *err)
{
    *out = NULL;
    hti_lock *lock = HTI_NEW(hti_lock);
    if (!lock) return HTI_NO_MEMORY(err);
    lock->fd = open_retry(path, O_RDWR | O_CREAT, 0666);
    if (lock->fd < 0) {
        const ht_status status = hti_os_fail(err, path, "open lock");
        hti_free(lock);
        return status;
    }
    int rc;
    do rc = flock(lock->fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        const ht_status status = errno == EWOULDBLOCK
                                     ? HT_FAIL(err, BUSY, "%s: held by another writer; wait for it to end", path)
                                     : hti_os_fail(err, path, "lock");
        hti_lock_release(lock);
        return status;
    }
    *out = lock;
    return HT_OK;
}

void hti_lock_release(hti_lock *lock)
{
    if (!lock) return;
    (void)close(lock->fd);
    hti_free(lock);
}
