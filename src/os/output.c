/*
 * output.c - bytes to standard output, which may be a pipe: no seeking, no truncation, no fsync.
 *
 * Only for callers that named it (the path "-"); the library prints nothing of its own.
 */
#include "os.h"

#include <errno.h>
#include <unistd.h>

void hti_write_standard_error(const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        const ssize_t n = write(STDERR_FILENO, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return;
        at += n;
        len -= (size_t)n;
    }
}

ht_status hti_write_standard_output(const void *data, size_t len, ht_error *err)
{
    const char *at = data;
    while (len > 0) {
        const ssize_t n = write(STDOUT_FILENO, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return hti_os_fail(err, "standard output", "write");
        at += n;
        len -= (size_t)n;
    }
    return HT_OK;
}
