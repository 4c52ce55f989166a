/*
 * term.c - progress, signals and small formatting.
 *
 * Easy to get wrong: the bar goes to standard error, so that piping results never mixes with it, and
 * is redrawn at most ten times a second.
 */
#include "hound.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    if (stop_asked) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    stop_asked = 1;
}

void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
}

uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_cancelled(void *ud)
{
    (void)ud;
    return stop_asked != 0;
}

static void draw_bar(const char *stage, uint64_t done, uint64_t total, double seconds)
{
    enum { WIDTH = 30 };
    if (total == 0) {
        (void)fprintf(stderr, "\r%-10s %llu  %.1f s\033[K", stage, (unsigned long long)done, seconds);
        return;
    }
    const double share = (double)done / (double)total;
    const int filled = (int)(share * WIDTH);
    const double left = share > 0.02 ? seconds / share - seconds : 0.0;
    (void)fprintf(stderr, "\r%-10s [%.*s%*s] %3.0f %%  %.1f s", stage, filled, "##############################",
                  WIDTH - filled, "", 100 * share, seconds);
    if (left >= 1) (void)fprintf(stderr, "  %.0f s left", left);
    (void)fputs("\033[K", stderr);
}

static void on_progress(void *ud, const char *stage, uint64_t done, uint64_t total)
{
    progress *bar = ud;
    const uint64_t now = now_ns();
    if (!bar->stage || strcmp(bar->stage, stage) != 0) {
        progress_end(bar);
        bar->stage = stage;
        bar->started_ns = bar->shown_ns = now;
        bar->shown_percent = 0;
    }
    const double seconds = (double)(now - bar->started_ns) / 1e9;
    if (bar->terminal) {
        if (now - bar->shown_ns < 100000000u && done != total) return;
        draw_bar(stage, done, total, seconds);
        bar->open = true;
        bar->shown_ns = now;
        return;
    }
    const unsigned percent = total ? (unsigned)(100 * done / total) : 0;
    const bool step = total ? percent >= bar->shown_percent + 25 : now - bar->shown_ns > 5000000000u;
    if (!step || now - bar->started_ns < 1000000000u) return;
    bar->shown_percent = percent;
    bar->shown_ns = now;
    if (total)
        (void)fprintf(stderr, "%s: %u %%, %.1f s\n", stage, percent, seconds);
    else
        (void)fprintf(stderr, "%s: %llu, %.1f s\n", stage, (unsigned long long)done, seconds);
}

void progress_init(progress *bar, bool quiet)
{
    *bar = (progress){.quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1};
    bar->monitor = (ht_monitor){bar, is_cancelled, quiet ? NULL : on_progress};
}

void progress_end(progress *bar)
{
    if (bar->open) (void)fputc('\n', stderr);
    bar->open = false;
    bar->stage = NULL;
}

void write_standard_error(void *ud, const char *text, size_t len)
{
    (void)ud;
    (void)fwrite(text, 1, len, stderr);
    (void)fflush(stderr);
}

bool terminal_size(uint32_t *width, uint32_t *height)
{
    struct winsize size;
    if (isatty(STDERR_FILENO) != 1) return false;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
        *width = size.ws_col;
        *height = size.ws_row;
    }
    return true;
}

bool colours(void)
{
    const char *off = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && !(off && *off);
}

const char *human_bytes(uint64_t bytes, char *text, size_t cap)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(text, cap, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

ht_status make_pool(size_t jobs, ht_pool **pool, ht_error *err) { return ht_pool_new(jobs, pool, err); }

ht_status print_json(struct json_t *json, ht_error *err)
{
    const int rc = json ? json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) : -1;
    json_decref(json);
    if (rc != 0) return fail(err, HT_IO, "cannot write JSON to standard output");
    (void)putchar('\n');
    return HT_OK;
}

const char *snippet(ht_text from, size_t at, size_t width, char *text, size_t cap)
{
    size_t start = at > width / 3 ? at - width / 3 : 0;
    while (start > 0 && start < from.len && ((unsigned char)from.data[start] & 0xC0) == 0x80) start--;
    size_t len = 0;
    for (size_t i = start; i < from.len && len + 5 < cap && len < width; i++) {
        const char c = from.data[i];
        const bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
        if (blank && (len == 0 || text[len - 1] == ' ')) continue;
        text[len++] = blank ? ' ' : c;
    }
    while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80) len--; /* a character cut in two goes whole */
    if (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0xC0) len--;
    text[len] = '\0';
    return text;
}
