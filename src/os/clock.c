/*
 * clock.c - the calendar's time, and sleeping.
 *
 * Easy to get wrong: a signal ends a sleep early, and going on with what is left over drifts; so the
 * sleep is until a time on the monotonic clock.
 */
#include "os.h"

#include <errno.h>
#include <time.h>

uint64_t hti_clock_wall_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void hti_sleep_ns(uint64_t ns)
{
    void *left = hti_block_leave();
    const uint64_t now = hti_clock_ns();
    const uint64_t until_ns = ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000U),
                                   .tv_nsec = (long)(until_ns % 1000000000U)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    hti_block_enter(left);
}
