/*
 * status.h - how failures travel: two macros, one formatter, one assert.
 */
#ifndef HTI_BASE_STATUS_H
#define HTI_BASE_STATUS_H

#include <houndstooth/base.h>

/* Fills `err` (NULL allowed) and returns `status`. Use through HT_FAIL. */
ht_status hti_fail(ht_error *err, ht_status status, const char *fmt, ...) HT_PRINTF(3, 4);

/* The same failure under another status; `err` NULL allowed, or `why` itself. */
ht_status hti_fail_as(ht_error *err, ht_status status, const ht_error *why);

/* Puts "context: " in front of the message that `err` holds (NULL allowed) and returns its status. */
ht_status hti_fail_context(ht_error *err, ht_status status, const char *fmt, ...) HT_PRINTF(3, 4);

/* Sends one formatted line to the log callback, if there is one. */
void hti_log(ht_log_level level, const char *fmt, ...) HT_PRINTF(2, 3);

/* The value is a constant, so that compilers and analyzers see that a failure is never HT_OK. */
#define HT_FAIL(err, status, ...) ((void)hti_fail((err), HT_##status, __VA_ARGS__), (ht_status)HT_##status)

#define HT_TRY(expr)                                  \
    do {                                              \
        const ht_status hti_status_ = (expr);         \
        if (hti_status_ != HT_OK) return hti_status_; \
    } while (0)

/* What cannot happen, whatever the input or the files hold. Checked in debug and sanitizer builds. */
#ifdef NDEBUG
#define HT_ASSERT(cond) ((void)sizeof(!(cond)))
#else
#include <assert.h>
#define HT_ASSERT(cond) assert(cond)
#endif

#define HTI_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define HTI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HTI_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
