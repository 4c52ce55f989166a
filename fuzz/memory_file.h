/*
 * memory_file.h - gives a fuzz target's bytes a path, for readers that open one. Nothing touches a disk.
 */
#ifndef HT_FUZZ_MEMORY_FILE_H
#define HT_FUZZ_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct memory_file {
    int fd;
    char path[32];
} memory_file;

static inline memory_file memory_file_open(const uint8_t *data, size_t size)
{
    memory_file file;
    file.fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (file.fd < 0) abort();
    for (size_t at = 0; at < size;) {
        const ssize_t n = write(file.fd, data + at, size - at);
        if (n <= 0) abort();
        at += (size_t)n;
    }
    (void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

static inline void memory_file_close(memory_file *file) { (void)close(file->fd); }

#endif
