/*
 * shared_memory.c - memory without a name that two processes map: the maker writes, receivers read.
 *
 * Layout: one memfd, sealed against shrinking, growing and further seals, then mapped. The descriptor is
 * what travels to the other process, who maps it read-only.
 * Workload: arrays of a batch on their way to a worker and back, 64 KiB to some hundred MiB.
 * Thread rule: an object belongs to one thread at a time; its bytes may be read by any.
 * Easy to get wrong: a descriptor from a peer may be any file. A file that can still shrink kills its reader
 * with SIGBUS, so the seal and the size are looked at before the first byte.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static const char what_it_is[] = "shared memory";

static ht_status map_fd(hti_shared_memory *memory, size_t len, int protection, ht_error *err)
{
    void *data = mmap(NULL, len, protection, MAP_SHARED | MAP_POPULATE, memory->fd, 0);
    if (data == MAP_FAILED) return hti_os_fail(err, what_it_is, "map");
    memory->data = data;
    memory->len = len;
    return HT_OK;
}

static ht_status size_and_seal(int fd, size_t len, ht_error *err)
{
    if (ftruncate(fd, (off_t)len) != 0) return hti_os_fail(err, what_it_is, "size");
    if (fcntl(fd, F_ADD_SEALS, SEALS) != 0) return hti_os_fail(err, what_it_is, "seal");
    return HT_OK;
}

ht_status hti_shared_memory_make(size_t len, hti_shared_memory *out, ht_error *err)
{
    *out = (hti_shared_memory){.data = NULL, .len = 0, .fd = -1};
    if (len == 0 || len > PTRDIFF_MAX)
        return HT_FAIL(err, INVALID, "shared memory of %zu bytes: must be 1 to %td", len, PTRDIFF_MAX);
    out->fd = memfd_create("houndstooth", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (out->fd < 0) return hti_os_fail(err, what_it_is, "make");
    ht_status status = size_and_seal(out->fd, len, err);
    if (status == HT_OK) status = map_fd(out, len, PROT_READ | PROT_WRITE, err);
    if (status != HT_OK) hti_shared_memory_release(out);
    return status;
}

static ht_status check_received(int fd, size_t len, ht_error *err)
{
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
        return HT_FAIL(err, PARSE, "a received descriptor is not shared memory whose size is sealed");
    struct stat info;
    if (fstat(fd, &info) != 0) return hti_os_fail(err, what_it_is, "stat");
    if (len == 0 || info.st_size < 0 || (uint64_t)info.st_size != len)
        return HT_FAIL(err, PARSE, "received shared memory has %lld bytes, %zu were announced", (long long)info.st_size,
                       len);
    return HT_OK;
}

ht_status hti_shared_memory_receive(int fd, size_t len, hti_shared_memory *out, ht_error *err)
{
    *out = (hti_shared_memory){.data = NULL, .len = 0, .fd = fd};
    ht_status status = check_received(fd, len, err);
    if (status == HT_OK) status = map_fd(out, len, PROT_READ, err);
    if (status != HT_OK) hti_shared_memory_release(out);
    return status;
}

void hti_shared_memory_seclude(hti_shared_memory *memory)
{
    if (memory->fd >= 0) (void)close(memory->fd);
    memory->fd = -1;
}

void hti_shared_memory_release(hti_shared_memory *memory)
{
    if (memory->data) (void)munmap(memory->data, memory->len);
    hti_shared_memory_seclude(memory);
    *memory = (hti_shared_memory){.data = NULL, .len = 0, .fd = -1};
}
