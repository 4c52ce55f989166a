/* common.h - what keeps the examples short: stop with the library's own message. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <houndstooth/houndstooth.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void or_die(ht_status status, const ht_error *err)
{
    if (status == HT_OK) return;
    (void)fprintf(stderr, "error: %s\n", err->message);
    exit(ht_status_exit_code(status));
}

static inline ht_text text_of(const char *text) { return (ht_text){text, strlen(text)}; }

#endif
