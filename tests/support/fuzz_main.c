/*
 * fuzz_main.c - replays a fuzz corpus as an ordinary test: every seed as it is, cut short, and with bits flipped.
 *
 *   fuzz_replay_<subject> CORPUS_DIR | FILE
 *
 * Workload: seeds of up to some 100 kB, a reader of 1 us to 1 ms. All seeds are run whole first; then they share
 * HT_FUZZ_SECONDS (default 4) in turn, in an order that depends on the files alone, so a slow machine runs the
 * head of the same sequence. Truncations come at every length up to 512 bytes, beyond that spread over the file.
 * Easy to get wrong: a crash must name its input, so what is running is kept in `running` and printed by the
 * sanitizers' death callback or the signal handler, and the input is written to fuzz-crash.bin.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Present in sanitized builds only. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

enum { MAX_SEEDS = 4096, DENSE = 512, SPREAD = 256, N_FLIPS = 1024 };

typedef struct seed {
    char *path;
    uint8_t *data;
    size_t len;
} seed;

static seed seeds[MAX_SEEDS];
static size_t n_seeds;
static struct {
    const char *path;
    const char *what;
    size_t at;
    const uint8_t *data;
    size_t len;
} running;
static unsigned long n_runs;

static void name_input(void)
{
    if (!running.path) return;
    char line[512];
    const int len =
        snprintf(line, sizeof line, "\nfuzz replay: failed on %s, %s %zu (%zu bytes, also in fuzz-crash.bin)\n",
                 running.path, running.what, running.at, running.len);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0) return;
    const int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return;
    if (write(fd, running.data, running.len) < 0) errno = 0;
    (void)close(fd);
}

static void on_signal(int number)
{
    name_input();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run(const seed *from, const char *what, size_t at, const uint8_t *data, size_t len)
{
    /* A block of exactly `len` bytes, so that the sanitizer sees a read one past the end. */
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact) abort();
    if (len) memcpy(exact, data, len);
    running.path = from->path;
    running.what = what;
    running.at = at;
    running.data = exact;
    running.len = len;
    (void)LLVMFuzzerTestOneInput(exact, len);
    n_runs++;
    running.path = NULL;
    free(exact);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

/* The n-th mutant of a seed; false when there are no more. */
static bool run_mutant(const seed *from, size_t n, uint8_t *scratch)
{
    if (from->len == 0) return false;
    const size_t n_cuts = from->len <= DENSE ? from->len : DENSE + SPREAD;
    if (n / 2 >= n_cuts && n / 2 >= N_FLIPS) return false;
    if (n % 2 == 0) {
        const size_t cut = n / 2;
        if (cut >= n_cuts) return true;
        const size_t len = cut < DENSE ? cut : DENSE + (from->len - DENSE) * (cut - DENSE) / SPREAD;
        run(from, "cut to", len, from->data, len);
        return true;
    }
    if (n / 2 >= N_FLIPS) return true;
    uint64_t state = n;
    (void)next_random(&state);
    memcpy(scratch, from->data, from->len);
    const size_t n_bits = 1 + n / 2 % 3;
    size_t at = 0;
    for (size_t i = 0; i < n_bits; i++) {
        /* Every other flip lies in the first 256 bytes, where headers are. */
        const size_t reach = n / 2 % 2 == 0 && from->len > 256 ? 256 : from->len;
        at = (size_t)next_random(&state) % reach;
        scratch[at] ^= (uint8_t)(1u << next_random(&state) % 8);
    }
    run(from, "bits flipped up to byte", at, scratch, from->len);
    return true;
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool load(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0 || n_seeds == MAX_SEEDS) {
        (void)fprintf(stderr, "fuzz replay: cannot load %s\n", path);
        if (file) (void)fclose(file);
        return false;
    }
    seed *made = &seeds[n_seeds++];
    made->path = strdup(path);
    made->len = (size_t)info.st_size;
    made->data = malloc(made->len + 1);
    const bool whole = made->path && made->data && fread(made->data, 1, made->len, file) == made->len;
    (void)fclose(file);
    return whole;
}

static int by_path(const void *a, const void *b)
{
    const seed *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static bool load_all(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) return load(path);
    DIR *dir = opendir(path);
    if (!dir) {
        (void)fprintf(stderr, "fuzz replay: cannot open the corpus %s\n", path);
        return false;
    }
    bool good = true;
    char file[4096];
    for (const struct dirent *entry; good && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        good = snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file && load(file);
    }
    (void)closedir(dir);
    qsort(seeds, n_seeds, sizeof seeds[0], by_path);
    return good;
}

static void run_mutants(double until)
{
    size_t longest = 1;
    for (size_t i = 0; i < n_seeds; i++) longest = seeds[i].len > longest ? seeds[i].len : longest;
    uint8_t *scratch = malloc(longest);
    if (!scratch) abort();
    bool more = true;
    for (size_t n = 0; more && seconds() < until; n++) {
        more = false;
        for (size_t i = 0; i < n_seeds && seconds() < until; i++) more |= run_mutant(&seeds[i], n, scratch);
        if (n % 64 == 0 && __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check()) {
            (void)fprintf(stderr, "fuzz replay: a leak among the first %lu inputs\n", n_runs);
            _exit(1);
        }
    }
    free(scratch);
}

int main(int argc, char **argv)
{
    if (argc != 2 || !load_all(argv[1])) return 2;
    if (n_seeds == 0) {
        (void)fprintf(stderr, "fuzz replay: %s holds no seed\n", argv[1]);
        return 2;
    }
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(name_input);
    } else {
        (void)signal(SIGSEGV, on_signal);
        (void)signal(SIGBUS, on_signal);
        (void)signal(SIGFPE, on_signal);
    }
    (void)signal(SIGABRT, on_signal);
    (void)signal(SIGALRM, on_signal);
    const char *limit = getenv("HT_FUZZ_SECONDS");
    const double started = seconds();
    const seed nothing = {(char *)(uintptr_t) "no bytes", NULL, 0};
    (void)alarm(100); /* an input that never ends is a finding too */
    run(&nothing, "length", 0, NULL, 0);
    for (size_t i = 0; i < n_seeds; i++) run(&seeds[i], "as it is, length", seeds[i].len, seeds[i].data, seeds[i].len);
    run_mutants(started + (limit ? strtod(limit, NULL) : 4.0));
    printf("%zu seeds, %lu inputs, %.1f s\n", n_seeds, n_runs, seconds() - started);
    for (size_t i = 0; i < n_seeds; i++) {
        free(seeds[i].path);
        free(seeds[i].data);
    }
    return 0;
}
