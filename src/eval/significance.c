/*
 * significance.c - is a mean difference of paired values more than chance?
 *
 * Paired t: t = mean / (s / sqrt(n)), s with n - 1. Randomisation (Fisher's sign flips; Smucker, Allan
 * and Carterette, CIKM 2007): were the two systems alike, every difference could as well have the
 * other sign; p is the share of sign patterns whose |sum| reaches the one seen. Zero differences
 * change no sum and are left out; with at most 20 others all patterns are counted and p is exact,
 * else patterns are drawn, and the one seen counts among them: (count + 1) / (n_flips + 1).
 * Layout: differences in groups of 8; sums[g][b] is group g's sum where bit i of b set means +, so a
 * pattern costs one addition for 8 differences, and its bits are its bytes.
 * Determinism: pattern f takes words f * w ... f * w + w - 1 of the SplitMix64 stream of the seed,
 * and a pattern's groups are added in order, so p never depends on how the work is shared out.
 * Easy to get wrong: patterns that tie the one seen in real numbers may miss it by rounding; sums count
 * as reached within 1e-12 of the sum of absolute values.
 */
#include "eval_int.h"

#include <math.h>

enum { GROUP = 8, PATTERNS = 1 << GROUP, EXACT_MAX = 20 };

typedef struct flipper {
    double *sums; /* [n_groups, PATTERNS] */
    size_t n_groups;
    double reach; /* a pattern counts if its |sum| is at least this */
} flipper;

static double pattern_sum(const flipper *f, const unsigned char *bytes)
{
    double sum = 0.0;
    for (size_t g = 0; g < f->n_groups; g++) sum += f->sums[g * PATTERNS + bytes[g]];
    return sum;
}

/* Sums of every pattern of every group of the n differences. */
static ht_status make_flipper(const double *d, size_t n, flipper *f, unsigned char *bytes, ht_error *err)
{
    f->n_groups = (n + GROUP - 1) / GROUP;
    f->sums = HTI_NEW_ARRAY(double, hti_mul(f->n_groups, PATTERNS));
    if (!f->sums) return HTI_NO_MEMORY(err);
    double whole = 0.0;
    for (size_t g = 0; g < f->n_groups; g++) {
        const size_t len = HTI_MIN(n - g * GROUP, (size_t)GROUP);
        for (size_t pattern = 0; pattern < PATTERNS; pattern++) {
            double sum = 0.0;
            for (size_t i = 0; i < len; i++) sum += pattern >> i & 1 ? d[g * GROUP + i] : -d[g * GROUP + i];
            f->sums[g * PATTERNS + pattern] = sum;
        }
    }
    for (size_t i = 0; i < n; i++) whole += fabs(d[i]);
    memset(bytes, 0xFF, f->n_groups);
    f->reach = fabs(pattern_sum(f, bytes)) - 1e-12 * whole;
    return HT_OK;
}

/* Every pattern of n <= 20 signs. Bits behind the n-th choose nothing and stay 0. */
static uint64_t count_all(const flipper *f, size_t n, unsigned char *bytes)
{
    uint64_t reached = 0;
    for (uint32_t pattern = 0; pattern < (uint32_t)1 << n; pattern++) {
        hti_put_u32(bytes, pattern);
        reached += fabs(pattern_sum(f, bytes)) >= f->reach;
    }
    return reached;
}

static uint64_t count_drawn(const flipper *f, uint64_t n_flips, uint64_t seed, unsigned char *bytes)
{
    const size_t n_words = (f->n_groups + 7) / 8;
    uint64_t reached = 0, state = seed;
    for (uint64_t flip = 0; flip < n_flips; flip++) {
        for (size_t w = 0; w < n_words; w++) hti_put_u64(bytes + 8 * w, hti_random_next(&state));
        reached += fabs(pattern_sum(f, bytes)) >= f->reach;
    }
    return reached;
}

/* `changed` holds the n differences that are not zero. */
static ht_status randomise(const double *changed, size_t n, uint64_t n_flips, uint64_t seed, ht_significance *out,
                           ht_error *err)
{
    out->flip_p = 1.0;
    out->n_flips = n <= EXACT_MAX ? (uint64_t)1 << n : n_flips;
    if (n == 0) return HT_OK;
    flipper f = {0};
    unsigned char *bytes = hti_alloc_zero(n / GROUP + 16); /* whole words of one bit each */
    ht_status status = bytes ? make_flipper(changed, n, &f, bytes, err) : HTI_NO_MEMORY(err);
    if (status == HT_OK && n <= EXACT_MAX)
        out->flip_p = (double)count_all(&f, n, bytes) / (double)out->n_flips;
    else if (status == HT_OK)
        out->flip_p = (double)(count_drawn(&f, n_flips, seed, bytes) + 1) / ((double)n_flips + 1.0);
    hti_free(f.sums);
    hti_free(bytes);
    return status;
}

static void student(const double *d, size_t n, ht_significance *out)
{
    double square = 0.0;
    out->t = (double)NAN;
    out->t_p = 1.0;
    for (size_t i = 0; i < n; i++) square += (d[i] - out->mean_difference) * (d[i] - out->mean_difference);
    if (n < 2) return;
    const double error = sqrt(square / (double)(n - 1) / (double)n);
    if (error == 0.0 && out->mean_difference == 0.0) return;
    out->t = out->mean_difference / error; /* infinite where all differences are equal */
    out->t_p = ht_student_t_p(out->t, (double)(n - 1));
}

static ht_status take_differences(const double *a, const double *b, size_t n, double *d, ht_significance *out,
                                  ht_error *err)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return HT_FAIL(err, INVALID, "value %zu of the two systems is not finite; leave the query out of both", i);
        d[i] = a[i] - b[i];
        sum += d[i];
        out->wins += d[i] > 0.0;
        out->losses += d[i] < 0.0;
    }
    out->ties = n - out->wins - out->losses;
    out->mean_difference = sum / (double)n;
    return HT_OK;
}

ht_status ht_significance_test(const double *a, const double *b, size_t n, uint64_t n_flips, uint64_t seed,
                               ht_significance *out, ht_error *err)
{
    *out = (ht_significance){.n = n, .t = (double)NAN, .t_p = 1.0, .flip_p = 1.0, .n_flips = 1};
    if (n == 0) return HT_OK;
    if (n_flips == 0) return HT_FAIL(err, INVALID, "0 random flips: give at least 1, better 100000");
    double *d = HTI_NEW_ARRAY(double, n);
    if (!d) return HTI_NO_MEMORY(err);
    ht_status status = take_differences(a, b, n, d, out, err);
    if (status == HT_OK) {
        student(d, n, out);
        size_t n_changed = 0;
        for (size_t i = 0; i < n; i++)
            if (d[i] != 0.0) d[n_changed++] = d[i];
        status = randomise(d, n_changed, n_flips, seed, out, err);
    }
    hti_free(d);
    return status;
}
