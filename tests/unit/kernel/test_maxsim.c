/*
 * test_maxsim.c - the maxsim table of this machine (HT_CPU may lower it) against the scalar one, bit for bit, and
 * the scalar one against plain arithmetic in double.
 *
 * Rows lie at the very end of a mapping with a forbidden page behind, so that a kernel that reads past the last
 * row dies. HT_SEED repeats a run, HT_ITERS lengthens it.
 */
#include "kernel/kernel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static size_t below(uint64_t *state, size_t n) { return (size_t)(hti_random_next(state) % n); }
static float random_float(uint64_t *state) { return (float)(2.0 * hti_random_unit(state) - 1.0); }

static float *random_rows(uint64_t *state, size_t n, size_t dim)
{
    float *rows = HTI_NEW_ARRAY(float, n *dim + 1);
    assert_non_null(rows);
    for (size_t i = 0; i < n * dim; i++) rows[i] = random_float(state);
    return rows;
}

/* `size` bytes that end where a page without any access begins. */
typedef struct guarded {
    unsigned char *map, *data;
    size_t map_len;
} guarded;

static guarded guard(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (size + page - 1) / page * page;
    guarded made = {.map_len = body + page};
    made.map = mmap(NULL, made.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(made.map, MAP_FAILED);
    assert_int_equal(mprotect(made.map + body, page, PROT_NONE), 0);
    made.data = made.map + body - size;
    return made;
}

static void unguard(guarded *made) { assert_int_equal(munmap(made->map, made->map_len), 0); }

/* A random segment: rows of one type, spans over them (some empty, some overlapping), one query. */
typedef struct scene {
    size_t dim, n_query, n_rows, n_spans;
    float *query;
    guarded memory;
    hti_rows rows;
    float *scales;
    hti_row_span spans[12];
    hti_packed_query packed, scalar;
    void *packed_memory, *scalar_memory;
} scene;

static void make_spans(scene *made, uint64_t *state)
{
    made->n_spans = 1 + below(state, HTI_LEN(made->spans));
    for (size_t i = 0; i < made->n_spans; i++) {
        const size_t first = below(state, made->n_rows), left = made->n_rows - first;
        made->spans[i] = (hti_row_span){first, below(state, 8) == 0 ? 0 : 1 + below(state, left)};
    }
    made->spans[0] = (hti_row_span){0, made->n_rows};
}

static void make_scene(scene *made, uint64_t *state, bool int8, size_t max_rows)
{
    const hti_maxsim_kernels *table = hti_maxsim(), *scalar = hti_maxsim_at(HTI_CPU_SCALAR);
    *made =
        (scene){.dim = 1 + below(state, 400), .n_query = 1 + below(state, 70), .n_rows = 1 + below(state, max_rows)};
    const size_t row_bytes = int8 ? hti_int8_row_bytes(made->dim) : hti_f16_row_bytes(made->dim);
    float *vectors = random_rows(state, made->n_rows, made->dim);
    made->query = random_rows(state, made->n_query, made->dim);
    made->memory = guard(made->n_rows * row_bytes);
    made->scales = HTI_NEW_ARRAY(float, made->n_rows);
    made->packed_memory = hti_alloc(hti_packed_query_bytes(made->n_query, made->dim));
    made->scalar_memory = hti_alloc(hti_packed_query_bytes(made->n_query, made->dim));
    assert_true(made->scales && made->packed_memory && made->scalar_memory);
    if (below(state, 4) == 0) memset(vectors + below(state, made->n_rows) * made->dim, 0, made->dim * sizeof *vectors);
    if (below(state, 4) == 0) memset(made->query, 0, made->dim * sizeof *vectors);
    made->rows = (hti_rows){made->memory.data, int8 ? made->scales : NULL, made->n_rows, row_bytes};
    if (int8) {
        scalar->quantise(vectors, made->n_rows, made->dim, made->memory.data, made->scales);
        table->pack_int8(made->query, made->n_query, made->dim, made->packed_memory, &made->packed);
        scalar->pack_int8(made->query, made->n_query, made->dim, made->scalar_memory, &made->scalar);
    } else {
        scalar->to_f16(vectors, made->n_rows, made->dim, (uint16_t *)(void *)made->memory.data);
        table->pack_f16(made->query, made->n_query, made->dim, made->packed_memory, &made->packed);
        scalar->pack_f16(made->query, made->n_query, made->dim, made->scalar_memory, &made->scalar);
    }
    make_spans(made, state);
    hti_free(vectors);
}

static void free_scene(scene *made)
{
    unguard(&made->memory);
    hti_free(made->query);
    hti_free(made->scales);
    hti_free(made->packed_memory);
    hti_free(made->scalar_memory);
}

static bool same_scores(const scene *made, bool int8)
{
    const hti_maxsim_kernels *table = hti_maxsim(), *scalar = hti_maxsim_at(HTI_CPU_SCALAR);
    double got[12], want[12];
    (int8 ? table->maxsim_int8 : table->maxsim_f16)(&made->packed, &made->rows, made->spans, made->n_spans, got);
    (int8 ? scalar->maxsim_int8 : scalar->maxsim_f16)(&made->scalar, &made->rows, made->spans, made->n_spans, want);
    return memcmp(got, want, made->n_spans * sizeof *got) == 0;
}

static bool same_matches(const scene *made, bool int8)
{
    const hti_maxsim_kernels *table = hti_maxsim(), *scalar = hti_maxsim_at(HTI_CPU_SCALAR);
    hti_row_match got[70], want[70];
    for (size_t i = 0; i < made->n_spans; i++) {
        if (made->spans[i].n == 0) continue;
        (int8 ? table->match_int8 : table->match_f16)(&made->packed, &made->rows, made->spans[i], got);
        (int8 ? scalar->match_int8 : scalar->match_f16)(&made->scalar, &made->rows, made->spans[i], want);
        if (memcmp(got, want, made->n_query * sizeof *got) != 0) return false;
    }
    return true;
}

static void sweep(bool int8)
{
    const unsigned long seed = from_env("HT_SEED", 1), iters = from_env("HT_ITERS", 24);
    uint64_t state = seed;
    for (unsigned long i = 0; i < iters; i++) {
        scene made;
        make_scene(&made, &state, int8, i % 4 == 3 ? 150 : 40);
        if (!same_scores(&made, int8) || !same_matches(&made, int8))
            fail_msg("seed %lu, iteration %lu: dim %zu, %zu query vectors, %zu rows", seed, i, made.dim, made.n_query,
                     made.n_rows);
        free_scene(&made);
    }
}

static void test_int8_equals_scalar(void **unused)
{
    (void)unused;
    sweep(true);
}

static void test_f16_equals_scalar(void **unused)
{
    (void)unused;
    sweep(false);
}

/* Damaged files: any bytes as rows, any bits as scales. The tables still agree and nothing faults. */
static void test_any_bytes(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1) + 7;
    for (size_t i = 0; i < 24; i++) {
        const bool int8 = i % 2 == 0;
        scene made;
        make_scene(&made, &state, int8, 40);
        for (size_t k = 0; k < made.n_rows * made.rows.row_bytes; k++)
            made.memory.data[k] = (unsigned char)hti_random_next(&state);
        for (size_t k = 0; k < made.n_rows && below(&state, 2); k++) {
            const uint32_t bits = (uint32_t)hti_random_next(&state);
            memcpy(&made.scales[k], &bits, sizeof bits);
        }
        double scores[12];
        const hti_maxsim_kernels *table = hti_maxsim();
        (int8 ? table->maxsim_int8 : table->maxsim_f16)(&made.packed, &made.rows, made.spans, made.n_spans, scores);
        assert_true(same_matches(&made, int8));
        free_scene(&made);
    }
}

/* One component that is off by one in the best row of one query vector shows in the score: the test can fail. */
static void test_can_fail(void **unused)
{
    (void)unused;
    uint64_t state = 3;
    size_t n_seen = 0;
    for (size_t i = 0; i < 20; i++) {
        scene made;
        hti_row_match matches[70];
        double before, after;
        make_scene(&made, &state, true, 30);
        hti_maxsim()->maxsim_int8(&made.packed, &made.rows, made.spans, 1, &before);
        hti_maxsim()->match_int8(&made.packed, &made.rows, made.spans[0], matches);
        made.memory.data[matches[made.n_query - 1].row * made.rows.row_bytes + made.dim - 1] ^= 1;
        hti_maxsim()->maxsim_int8(&made.packed, &made.rows, made.spans, 1, &after);
        n_seen += before != after;
        free_scene(&made);
    }
    assert_true(n_seen >= 15); /* some rows and query vectors are zeros */
}

/* Scores from the definition, in double: exact integers for int8, a rounding bound for f16. */
static double reference_score(const scene *made, bool int8, hti_row_span span, const uint8_t *codes,
                              const float *scales)
{
    double sum = 0.0;
    for (size_t t = 0; t < made->n_query; t++) {
        double best = (double)-INFINITY;
        for (size_t j = span.first; j < span.first + span.n; j++) {
            double dot = 0.0;
            for (size_t k = 0; k < made->dim; k++) {
                const unsigned char *row = made->memory.data + j * made->rows.row_bytes;
                const double q = int8 ? (codes[t * hti_int8_row_bytes(made->dim) + k] - 128.0) * (double)scales[t]
                                      : (double)made->query[t * made->dim + k];
                const double d = int8 ? (row[k] - 128.0) * (double)made->scales[j]
                                      : (double)hti_half_to_float(hti_get_u16(row + 2 * k));
                dot += q * d;
            }
            best = dot > best ? dot : best;
        }
        sum += best;
    }
    return sum;
}

static void test_equals_definition(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1) + 21;
    for (size_t i = 0; i < 12; i++) {
        const bool int8 = i % 2 == 0;
        scene made;
        make_scene(&made, &state, int8, 30);
        uint8_t *codes = hti_alloc(made.n_query * hti_int8_row_bytes(made.dim));
        float *scales = HTI_NEW_ARRAY(float, made.n_query);
        assert_true(codes && scales);
        hti_maxsim()->quantise(made.query, made.n_query, made.dim, codes, scales);
        double got[12];
        (int8 ? hti_maxsim()->maxsim_int8 : hti_maxsim()->maxsim_f16)(&made.packed, &made.rows, made.spans,
                                                                      made.n_spans, got);
        for (size_t s = 0; s < made.n_spans; s++) {
            if (made.spans[s].n == 0) {
                assert_true(got[s] == (double)-INFINITY);
                continue;
            }
            const double want = reference_score(&made, int8, made.spans[s], codes, scales);
            /* f32 roundings of each dot: sum |a b| <= dim, c n eps with n = 2 for int8, dim for f16 */
            const double bound =
                (double)made.n_query * (double)made.dim * 0x1p-23 * (int8 ? 2.0 : 0.25 * (double)made.dim);
            if (fabs(got[s] - want) > bound) fail_msg("%.9g is not %.9g (bound %.3g)", got[s], want, bound);
        }
        hti_free(codes);
        hti_free(scales);
        free_scene(&made);
    }
}

static void check_quantised(const float *row, size_t dim, const uint8_t *codes, float scale)
{
    float largest = 0.0f;
    int largest_code = 0;
    for (size_t k = 0; k < dim; k++) largest = fabsf(row[k]) > largest ? fabsf(row[k]) : largest;
    for (size_t k = 0; k < dim; k++) {
        const int q = codes[k] - 128;
        assert_in_range(codes[k], 1, 255);
        largest_code = abs(q) > largest_code ? abs(q) : largest_code;
        assert_true(fabs((double)row[k] - q * (double)scale) <= 0.5001 * (double)scale);
    }
    for (size_t k = dim; k < hti_int8_row_bytes(dim); k++) assert_int_equal(codes[k], 128);
    assert_int_equal(largest_code, scale > 0.0f ? 127 : 0);
    assert_true(scale == largest / 127.0f);
}

static void test_quantise(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1) + 5;
    for (size_t i = 0; i < 300; i++) {
        const size_t dim = 1 + below(&state, 400), n = 1 + below(&state, 4), row_bytes = hti_int8_row_bytes(dim);
        float *rows = random_rows(&state, n, dim), scales[4], want_scales[4];
        uint8_t *codes = hti_alloc(n * row_bytes), *want = hti_alloc(n * row_bytes);
        assert_true(codes && want);
        for (size_t k = 0; k < n * dim; k++) rows[k] *= powf(2.0f, (float)below(&state, 40) - 20.0f);
        if (i % 10 == 0) memset(rows, 0, dim * sizeof *rows);
        hti_maxsim()->quantise(rows, n, dim, codes, scales);
        hti_maxsim_at(HTI_CPU_SCALAR)->quantise(rows, n, dim, want, want_scales);
        assert_memory_equal(codes, want, n * row_bytes);
        assert_memory_equal(scales, want_scales, n * sizeof *scales);
        for (size_t r = 0; r < n; r++) check_quantised(rows + r * dim, dim, codes + r * row_bytes, scales[r]);
        hti_free(codes);
        hti_free(want);
        hti_free(rows);
    }
}

/* Ties go to even; a scale that is subnormal or vanishes does no harm. */
static void test_quantise_edges(void **unused)
{
    (void)unused;
    const float ties[8] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f};
    const uint8_t want[8] = {255, 128, 130, 130, 128, 126, 126, 254};
    const float tiny[3] = {190.0f * 0x1p-149f, -190.0f * 0x1p-149f, 0.0f}, vanishing[2] = {0x1p-149f, 0.0f};
    uint8_t codes[64];
    float scale;
    for (int level = 0; level <= (int)hti_cpu_level(); level++) {
        const hti_maxsim_kernels *table = hti_maxsim_at((hti_cpu)level);
        table->quantise(ties, 1, 8, codes, &scale);
        assert_true(scale == 1.0f);
        assert_memory_equal(codes, want, 8);
        table->quantise(tiny, 1, 3, codes, &scale);
        assert_true(scale == 0x1p-149f);
        assert_int_equal(codes[0], 255);
        assert_int_equal(codes[1], 1);
        table->quantise(vanishing, 1, 2, codes, &scale);
        assert_true(scale == 0.0f);
        assert_int_equal(codes[0], 128);
    }
}

static void test_halves_and_dots(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1) + 9;
    for (size_t i = 0; i < 60; i++) {
        const size_t dim = 1 + below(&state, 400), n = 1 + below(&state, 9), width = hti_f32_row_floats(dim);
        float *rows = random_rows(&state, n, dim), *query = random_rows(&state, 1, width), got[9], want[9];
        const size_t half_bytes = n * hti_f16_row_bytes(dim);
        uint16_t *halves = hti_alloc(half_bytes), *want_halves = hti_alloc(half_bytes);
        assert_true(halves && want_halves);
        for (size_t k = 0; k < n * dim; k++) rows[k] *= powf(2.0f, 8.0f - (float)below(&state, 30));
        hti_maxsim()->to_f16(rows, n, dim, halves);
        hti_maxsim_at(HTI_CPU_SCALAR)->to_f16(rows, n, dim, want_halves);
        assert_memory_equal(halves, want_halves, half_bytes);
        const size_t n_whole = n * dim / width;
        guarded memory = guard(n_whole * width * sizeof *rows);
        memcpy(memory.data, rows, n_whole * width * sizeof *rows);
        const float *whole = (const float *)(void *)memory.data;
        hti_maxsim()->dots_f32(query, whole, n_whole, width, got);
        hti_maxsim_at(HTI_CPU_SCALAR)->dots_f32(query, whole, n_whole, width, want);
        assert_memory_equal(got, want, n_whole * sizeof *got);
        for (size_t r = 0; r < n_whole; r++) {
            double dot = 0.0, size = 0.0;
            for (size_t k = 0; k < width; k++) {
                dot += (double)whole[r * width + k] * (double)query[k];
                size += fabs((double)whole[r * width + k] * (double)query[k]);
            }
            assert_true(fabs((double)got[r] - dot) <= (double)width * 0x1p-24 * size);
        }
        unguard(&memory);
        hti_free(rows);
        hti_free(query);
        hti_free(halves);
        hti_free(want_halves);
    }
}

/* The largest dimension and full-scale codes: sums fit, tiles and blocks end where they should. */
static void test_largest_dim(void **unused)
{
    (void)unused;
    enum { DIM = HTI_MAXSIM_MAX_DIM, N_ROWS = 35, N_QUERY = 41 };
    float *ones = HTI_NEW_ARRAY(float, N_QUERY *DIM), scales[N_ROWS];
    void *memory = hti_alloc(hti_packed_query_bytes(N_QUERY, DIM));
    guarded codes = guard((size_t)N_ROWS * DIM);
    assert_true(ones && memory);
    for (size_t i = 0; i < (size_t)N_QUERY * DIM; i++) ones[i] = i / DIM % 2 ? -1.0f : 1.0f;
    for (size_t i = 0; i < N_ROWS; i++) scales[i] = 1.0f / 127.0f;
    memset(codes.data, 255, (size_t)N_ROWS * DIM);
    hti_packed_query packed;
    const hti_rows rows = {codes.data, scales, N_ROWS, DIM};
    const hti_row_span span = {0, N_ROWS};
    hti_maxsim()->pack_int8(ones, N_QUERY, DIM, memory, &packed);
    double score;
    hti_maxsim()->maxsim_int8(&packed, &rows, &span, 1, &score);
    assert_true(fabs(score - DIM) <= DIM * 1e-5); /* 21 vectors of +1, 20 of -1 */
    hti_free(ones);
    hti_free(memory);
    unguard(&codes);
}

static void test_level(void **unused)
{
    (void)unused;
    assert_string_equal(hti_maxsim()->name, ht_cpu_name());
    assert_ptr_equal(hti_maxsim(), hti_maxsim_at(hti_cpu_level()));
    assert_true(hti_packed_query_bytes(SIZE_MAX / 8, 4096) == SIZE_MAX);
    assert_true(hti_packed_query_bytes(SIZE_MAX, 1) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int8_equals_scalar), cmocka_unit_test(test_f16_equals_scalar),
        cmocka_unit_test(test_any_bytes),          cmocka_unit_test(test_can_fail),
        cmocka_unit_test(test_equals_definition),  cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_quantise_edges),     cmocka_unit_test(test_halves_and_dots),
        cmocka_unit_test(test_largest_dim),        cmocka_unit_test(test_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
