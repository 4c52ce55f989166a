/*
 * fast_dir.h - temporary directories in memory, for sweeps that sync thousands of times.
 *
 * Call fast_dir_use() first in main; temp_dir_make() and others that look at TMPDIR follow it. A TMPDIR
 * that is set stays. Processes that are killed lose nothing there: memory outlives them.
 */
#ifndef HT_TESTS_FAST_DIR_H
#define HT_TESTS_FAST_DIR_H

#include <stdlib.h>
#include <unistd.h>

static inline void fast_dir_use(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
}

#endif
