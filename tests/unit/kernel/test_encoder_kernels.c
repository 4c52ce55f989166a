/*
 * test_encoder_kernels.c - every encoder table of this machine against double arithmetic, against its own promises
 * (a row's bits depend on that row alone; AVX2 and AVX-512 agree to the bit), and at awkward widths.
 */
#include "kernel/kernel.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 20240611;

static float uniform(float size) { return (float)(2 * hti_random_unit(&seed) - 1) * size; }

static float *random_floats(size_t n, float size)
{
    float *made = hti_alloc(n * sizeof *made);
    for (size_t i = 0; i < n; i++) made[i] = uniform(size);
    return made;
}

static uint16_t *rounded(const float *from, size_t n)
{
    uint16_t *made = hti_alloc(n * sizeof *made);
    for (size_t i = 0; i < n; i++) made[i] = hti_bf16_from_float(from[i]);
    return made;
}

/* Back to float, so that references see what the kernel sees. */
static void round_in_place(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = hti_bf16_to_float(hti_bf16_from_float(x[i]));
}

static double gelu_of(double x) { return 0.5 * x * erfc(-x / sqrt(2.0)); }

typedef void (*table_test)(const hti_encoder_kernels *k);
static void each_table(table_test test)
{
    for (hti_cpu level = HTI_CPU_SCALAR; level <= hti_cpu_level(); level++) test(hti_encoder_kernels_at(level));
}

/* ---- functions of one number ---- */

static double ulps(float got, double want)
{
    const float near = (float)fabs(want);
    const double ulp = (double)(nextafterf(near, INFINITY) - near);
    return fabs((double)got - want) / ulp;
}

static void accuracy_of(const hti_encoder_kernels *k)
{
    enum { N = 200001 };
    float *x = hti_alloc(N * sizeof *x), *y = hti_alloc(N * sizeof *y);
    double worst_exp = 0, worst_gelu = 0, worst_short = 0;
    for (size_t i = 0; i < N; i++) x[i] = y[i] = -87.0f * (float)i / (N - 1);
    k->exp(y, N);
    for (size_t i = 0; i < N; i++) worst_exp = fmax(worst_exp, ulps(y[i], exp((double)x[i])));
    for (size_t i = 0; i < N; i++) x[i] = y[i] = -9.0f + 18.0f * (float)i / (N - 1);
    k->gelu(y, N);
    /* For x < 0 the result is x/2 (1 + erf), whose digits cancel in any f32 evaluation of the formula. */
    for (size_t i = 0; i < N; i++)
        worst_gelu = fmax(worst_gelu, fabs((double)y[i] - gelu_of((double)x[i])) /
                                          (fabs((double)x[i]) * (double)FLT_EPSILON + 1e-30));
    memcpy(y, x, N * sizeof *x);
    k->gelu_bf16(y, N);
    for (size_t i = 0; i < N; i++) worst_short = fmax(worst_short, fabs((double)y[i] - gelu_of((double)x[i])));
    print_message("%s: exp %.2f ulp, gelu %.2f eps|x|, gelu for bf16 %.1e\n", k->name, worst_exp, worst_gelu,
                  worst_short);
    assert_true(worst_exp <= 2.0);
    assert_true(worst_gelu <= 1.0);
    assert_true(worst_short <= 4e-5);
    float special[] = {-88.0f, -1e30f, -0.0f, -INFINITY};
    k->exp(special, HTI_LEN(special));
    assert_true(special[0] == 0.0f && special[1] == 0.0f && special[2] == 1.0f && special[3] == 0.0f);
    hti_free(x);
    hti_free(y);
}
static void test_accuracy(void **state)
{
    (void)state;
    each_table(accuracy_of);
}

/* ---- products ---- */

typedef struct product {
    size_t m, k, n;
    float *a, *weights, *bias, *c; /* weights [n, k] */
    void *packed;
} product;

static product product_new(const hti_encoder_kernels *k, size_t m, size_t depth, size_t n, bool bf16)
{
    product p = {m,
                 depth,
                 n,
                 random_floats((m + HTI_ROW_BLOCK) * depth, 1),
                 random_floats(n * depth, 0.1f),
                 random_floats(n, 1),
                 random_floats(m * n, 1),
                 NULL};
    if (bf16) {
        round_in_place(p.a, m * depth);
        round_in_place(p.weights, n * depth);
    }
    const size_t size = bf16 ? 2 : 4;
    p.packed = hti_alloc(n * depth * size);
    for (size_t panel = 0; panel < n; panel += HTI_PANEL) {
        char *to = (char *)p.packed + panel * depth * size;
        (bf16 ? k->pack_bf16 : k->pack)(p.weights + panel * depth, depth, depth, to);
    }
    return p;
}

static void product_free(product *p)
{
    hti_free(p->a);
    hti_free(p->weights);
    hti_free(p->bias);
    hti_free(p->c);
    hti_free(p->packed);
}

static double sum_of(const product *p, size_t i, size_t j, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t d = 0; d < p->k; d++) {
        const double term = (double)p->a[i * p->k + d] * (double)p->weights[j * p->k + d];
        sum += term;
        *size += fabs(term);
    }
    return sum + (double)p->bias[j];
}

static void check_product(const hti_encoder_kernels *k, const product *p, hti_gemm_end end, bool bf16)
{
    const bool narrow = bf16 && end != HTI_GEMM_ADD;
    void *a = bf16 ? (void *)rounded(p->a, (p->m + HTI_ROW_BLOCK) * p->k) : (void *)p->a;
    float *c = hti_alloc(p->m * p->n * sizeof *c);
    memcpy(c, p->c, p->m * p->n * sizeof *c);
    const hti_gemm g = {.a = a,
                        .lda = p->k,
                        .m = p->m,
                        .b = p->packed,
                        .bias = p->bias,
                        .k = p->k,
                        .n = p->n,
                        .c = c,
                        .ldc = p->n,
                        .end = end};
    (bf16 ? k->gemm_bf16 : k->gemm)(&g);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double size, want = sum_of(p, i, j, &size);
            if (end == HTI_GEMM_GELU) want = gelu_of(want);
            if (end == HTI_GEMM_ADD) want += (double)p->c[i * p->n + j];
            const double got =
                narrow ? (double)hti_bf16_to_float(((uint16_t *)c)[i * p->n + j]) : (double)c[i * p->n + j];
            double room = 4 * (double)FLT_EPSILON * (sqrt((double)p->k) * size / 4 + fabs(want) + 4);
            if (narrow) room += fabs(want) / 256 + (end == HTI_GEMM_GELU ? 5e-5 : 0);
            if (fabs(got - want) > room)
                fail_msg("%s %zux%zux%zu end %d at %zu,%zu: %g, not %g", k->name, p->m, p->k, p->n, (int)end, i, j, got,
                         want);
        }
    hti_free(c);
    if (bf16) hti_free(a);
}

static void products_of(const hti_encoder_kernels *k)
{
    static const size_t shapes[][3] = {{1, 32, 32},   {7, 64, 96},   {14, 96, 32}, {15, 32, 64},
                                       {31, 384, 64}, {33, 160, 96}, {50, 64, 32}};
    for (int bf16 = 0; bf16 <= (k->gemm_bf16 != NULL); bf16++)
        for (size_t s = 0; s < HTI_LEN(shapes); s++) {
            product p = product_new(k, shapes[s][0], shapes[s][1], shapes[s][2], bf16);
            for (hti_gemm_end end = HTI_GEMM_STORE; end <= HTI_GEMM_ADD; end++) check_product(k, &p, end, bf16);
            product_free(&p);
        }
}
static void test_products(void **state)
{
    (void)state;
    each_table(products_of);
}

/* One row at every place of every number of rows, among random neighbours. */
static void row_bits_of(const hti_encoder_kernels *k)
{
    enum { DEPTH = 96, N = 64, MOST = 50 };
    const size_t most = strcmp(k->name, "scalar") == 0 ? 8 : MOST;
    for (int bf16 = 0; bf16 <= (k->gemm_bf16 != NULL); bf16++) {
        product p = product_new(k, MOST, DEPTH, N, bf16);
        const size_t size = bf16 ? 2 : 4;
        char *row = hti_alloc(DEPTH * 4), *a = hti_alloc((MOST + HTI_ROW_BLOCK) * DEPTH * 4),
             *c = hti_alloc(MOST * N * 4), *want = hti_alloc(N * 4);
        uint16_t *narrow = rounded(p.a, (MOST + HTI_ROW_BLOCK) * DEPTH);
        memcpy(a, bf16 ? (void *)narrow : (void *)p.a, (MOST + HTI_ROW_BLOCK) * DEPTH * size);
        memcpy(row, a, DEPTH * size);
        for (size_t m = 1; m <= most; m++)
            for (size_t at = 0; at < m; at++) {
                char kept[DEPTH * 4];
                memcpy(kept, a + at * DEPTH * size, DEPTH * size);
                memcpy(a + at * DEPTH * size, row, DEPTH * size);
                const hti_gemm g = {.a = a,
                                    .lda = DEPTH,
                                    .m = m,
                                    .b = p.packed,
                                    .bias = p.bias,
                                    .k = DEPTH,
                                    .n = N,
                                    .c = c,
                                    .ldc = N,
                                    .end = HTI_GEMM_GELU};
                (bf16 ? k->gemm_bf16 : k->gemm)(&g);
                if (m == 1) memcpy(want, c, N * size);
                assert_memory_equal(want, c + at * N * size, N * size);
                memcpy(a + at * DEPTH * size, kept, DEPTH * size);
            }
        hti_free(row);
        hti_free(a);
        hti_free(c);
        hti_free(want);
        hti_free(narrow);
        product_free(&p);
    }
}
static void test_row_bits(void **state)
{
    (void)state;
    each_table(row_bits_of);
}

/* ---- attention ---- */

typedef struct attention_case {
    size_t n_tokens, n_heads, head_dim;
    bool some_unseen;
} attention_case;

static void reference_attention(const attention_case *c, const float *qkv, const uint8_t *seen, float scale,
                                double *out)
{
    const size_t width = c->n_heads * c->head_dim;
    for (size_t h = 0; h < c->n_heads; h++)
        for (size_t i = 0; i < c->n_tokens; i++) {
            double weights[600], sum = 0, largest = -1e300;
            for (size_t j = 0; j < c->n_tokens; j++) {
                weights[j] = 0;
                for (size_t d = 0; d < c->head_dim; d++)
                    weights[j] += (double)qkv[i * 3 * width + h * 3 * c->head_dim + d] *
                                  (double)qkv[j * 3 * width + (h * 3 + 1) * c->head_dim + d];
                weights[j] *= (double)scale;
                if (!seen || seen[j]) largest = fmax(largest, weights[j]);
            }
            for (size_t j = 0; j < c->n_tokens; j++)
                sum += weights[j] = !seen || seen[j] ? exp(weights[j] - largest) : 0;
            for (size_t d = 0; d < c->head_dim; d++) {
                double value = 0;
                for (size_t j = 0; j < c->n_tokens; j++)
                    value += weights[j] * (double)qkv[j * 3 * width + (h * 3 + 2) * c->head_dim + d];
                out[i * width + h * c->head_dim + d] = value / sum;
            }
        }
}

static void check_attention(const hti_encoder_kernels *k, const attention_case *c, bool bf16)
{
    const size_t width = c->n_heads * c->head_dim, n = c->n_tokens;
    float *qkv = random_floats((n + HTI_ROW_BLOCK) * 3 * width, 2), *out = hti_alloc(n * width * 4);
    if (bf16) round_in_place(qkv, n * 3 * width);
    uint16_t *narrow = rounded(qkv, (n + HTI_ROW_BLOCK) * 3 * width);
    /* Rows behind the text belong to a neighbour, here a poisonous one. */
    for (size_t i = n * 3 * width; i < (n + HTI_ROW_BLOCK) * 3 * width; i++) {
        qkv[i] = NAN;
        narrow[i] = 0x7FC0;
    }
    uint8_t *seen = hti_alloc(n);
    for (size_t i = 0; i < n; i++) seen[i] = i == 0 || i % 3 != 1;
    double *want = hti_alloc(n * width * sizeof *want);
    const float scale = 1.0f / sqrtf((float)c->head_dim);
    reference_attention(c, qkv, c->some_unseen ? seen : NULL, scale, want);
    void *scratch = hti_alloc(hti_attention_scratch(n, c->head_dim));
    const hti_attention t = {bf16 ? (void *)narrow : (void *)qkv, 3 * width, n,     c->n_heads, c->head_dim, scale,
                             c->some_unseen ? seen : NULL,        out,       width, scratch};
    (bf16 ? k->attend_bf16 : k->attend)(&t);
    for (size_t i = 0; i < n * width; i++) {
        const double got = bf16 ? (double)hti_bf16_to_float(((uint16_t *)out)[i]) : (double)out[i];
        if (!(fabs(got - want[i]) <= (bf16 ? 2e-2 : 5e-6)))
            fail_msg("%s bf16 %d, %zu tokens, dim %zu, at %zu: %g, not %g", k->name, bf16, n, c->head_dim, i, got,
                     want[i]);
    }
    hti_free(qkv);
    hti_free(narrow);
    hti_free(out);
    hti_free(seen);
    hti_free(want);
    hti_free(scratch);
}

static void attentions_of(const hti_encoder_kernels *k)
{
    static const attention_case cases[] = {
        {1, 1, 32, false},  {2, 2, 32, false},  {15, 1, 64, true},  {16, 1, 32, false}, {17, 2, 32, true},
        {33, 1, 96, false}, {47, 3, 32, false}, {64, 1, 128, true}, {130, 2, 32, true}, {257, 1, 64, false}};
    for (int bf16 = 0; bf16 <= (k->attend_bf16 != NULL); bf16++)
        for (size_t i = 0; i < HTI_LEN(cases); i++) check_attention(k, &cases[i], bf16);
}
static void test_attention(void **state)
{
    (void)state;
    each_table(attentions_of);
}

/* ---- norms, vectors, widening ---- */

static void norms_of(const hti_encoder_kernels *k)
{
    static const size_t widths[] = {1, 5, 16, 30, 32, 47, 64, 384};
    for (size_t w = 0; w < HTI_LEN(widths); w++) {
        const size_t width = widths[w], ld = hti_panel_round(width), rows = 3;
        float *x = random_floats(rows * ld, 5), *weight = random_floats(width, 1), *bias = random_floats(width, 1);
        float *before = hti_alloc(rows * ld * 4);
        memcpy(before, x, rows * ld * 4);
        uint16_t *narrow = hti_alloc(rows * ld * 2);
        const hti_norm norm = {x, ld, rows, width, weight, bias, 1e-12f, narrow};
        k->norm(&norm);
        for (size_t i = 0; i < rows; i++) {
            double mean = 0, variance = 0;
            for (size_t j = 0; j < width; j++) mean += (double)before[i * ld + j] / (double)width;
            for (size_t j = 0; j < width; j++) variance += pow((double)before[i * ld + j] - mean, 2) / (double)width;
            for (size_t j = 0; j < ld; j++) {
                const double y =
                    j < width ? ((double)before[i * ld + j] - mean) / sqrt(variance + 1e-12) * (double)weight[j] +
                                    (double)bias[j]
                              : (double)before[i * ld + j];
                if (width > 1) assert_true(fabs((double)x[i * ld + j] - y) <= 4e-6);
                assert_int_equal(narrow[i * ld + j], j < width ? hti_bf16_from_float(x[i * ld + j]) : 0);
            }
        }
        hti_free(x);
        hti_free(before);
        hti_free(weight);
        hti_free(bias);
        hti_free(narrow);
    }
}
static void test_norms(void **state)
{
    (void)state;
    each_table(norms_of);
}

static void check_unit(const float *got, const double *want, size_t dim)
{
    double squares = 0;
    for (size_t j = 0; j < dim; j++) squares += want[j] * want[j];
    for (size_t j = 0; j < dim; j++) assert_true(fabs((double)got[j] - want[j] / fmax(sqrt(squares), 1e-12)) <= 1e-6);
}

static void finishes_of(const hti_encoder_kernels *k)
{
    static const size_t dims[] = {1, 3, 16, 30, 32, 100, 384};
    for (size_t c = 0; c < HTI_LEN(dims) * 4; c++) {
        const size_t dim = dims[c / 4], ld = hti_panel_round(dim), n = 6;
        const bool mixes = c & 1, first = c & 2;
        float *hidden = random_floats(n * ld, 3), vectors[6 * 384], pooled[384];
        const uint8_t keep[] = {1, 1, 0, 1, 0, 1};
        const hti_finish f = {hidden, ld, n, dim, keep, mixes ? 0.5f : 0.0f, first, pooled, vectors};
        k->finish(&f);
        double mean[384] = {0}, length = 0;
        for (size_t i = 0; i < (first ? 1 : n); i++)
            for (size_t j = 0; j < dim; j++) mean[j] += (double)hidden[i * ld + j];
        check_unit(pooled, mean, dim);
        for (size_t j = 0; j < dim; j++) length += mean[j] * mean[j];
        const float *at = vectors;
        for (size_t i = 0; i < n; i++) {
            if (!keep[i]) continue;
            double u[384], squares = 0;
            for (size_t j = 0; j < dim; j++) squares += pow((double)hidden[i * ld + j], 2);
            for (size_t j = 0; j < dim; j++)
                u[j] = (double)hidden[i * ld + j] / sqrt(squares) + (mixes ? 0.5 * mean[j] / sqrt(length) : 0);
            check_unit(at, u, dim);
            at += dim;
        }
        hti_free(hidden);
    }
}
static void test_finishes(void **state)
{
    (void)state;
    each_table(finishes_of);
}

/* A row of zeros must not become NaN. */
static void zeros_of(const hti_encoder_kernels *k)
{
    float hidden[32] = {0}, vectors[32], pooled[32];
    const hti_finish f = {hidden, 32, 1, 32, NULL, 0.5f, false, pooled, vectors};
    k->finish(&f);
    for (size_t j = 0; j < 32; j++) assert_true(vectors[j] == 0.0f && pooled[j] == 0.0f);
}
static void test_zeros(void **state)
{
    (void)state;
    each_table(zeros_of);
}

static void widening_of(const hti_encoder_kernels *k)
{
    for (size_t n = 1; n < 40; n++) {
        unsigned char bytes[40 * 4 + 1];
        float *add = random_floats(n, 1), out[40];
        for (hti_element type = HTI_ELEMENT_F32; type <= HTI_ELEMENT_BF16; type++) {
            float want[40];
            for (size_t i = 0; i < n; i++) {
                const float x = uniform(100);
                if (type == HTI_ELEMENT_F32) {
                    want[i] = x;
                    hti_put_f32(bytes + 1 + 4 * i, x);
                } else {
                    const uint16_t h = type == HTI_ELEMENT_F16 ? hti_half_from_float(x) : hti_bf16_from_float(x);
                    want[i] = type == HTI_ELEMENT_F16 ? hti_half_to_float(h) : hti_bf16_to_float(h);
                    hti_put_u16(bytes + 1 + 2 * i, h);
                }
            }
            k->widen(bytes + 1, type, n, NULL, out);
            assert_memory_equal(out, want, n * sizeof *out);
            k->widen(bytes + 1, type, n, add, out);
            for (size_t i = 0; i < n; i++) assert_true(out[i] == want[i] + add[i]);
        }
        hti_free(add);
    }
}
static void test_widening(void **state)
{
    (void)state;
    each_table(widening_of);
}

/* ---- AVX2 and AVX-512 ---- */

static void test_same_bits(void **state)
{
    (void)state;
    const hti_encoder_kernels *two = hti_encoder_kernels_at(HTI_CPU_AVX2),
                              *five = hti_encoder_kernels_at(HTI_CPU_AVX512);
    if (!two || !five) return;
    enum { M = 45, DEPTH = 160, N = 96, TOKENS = 45, WIDTH = 64 };
    product p = product_new(two, M, DEPTH, N, false), q = p;
    float *c[2] = {hti_alloc(M * N * 4), hti_alloc(M * N * 4)};
    for (hti_gemm_end end = HTI_GEMM_STORE; end <= HTI_GEMM_ADD; end++) {
        for (int i = 0; i < 2; i++) {
            memcpy(c[i], q.c, M * N * 4);
            const hti_gemm g = {.a = q.a,
                                .lda = DEPTH,
                                .m = M,
                                .b = q.packed,
                                .bias = q.bias,
                                .k = DEPTH,
                                .n = N,
                                .c = c[i],
                                .ldc = N,
                                .end = end};
            (i ? five : two)->gemm(&g);
        }
        assert_memory_equal(c[0], c[1], M * N * 4);
    }
    float *qkv = random_floats(TOKENS * 3 * WIDTH, 2);
    void *scratch = hti_alloc(hti_attention_scratch(TOKENS, 32));
    for (int i = 0; i < 2; i++) {
        const hti_attention t = {qkv, 3 * WIDTH, TOKENS, 2, 32, 0.2f, NULL, c[i], WIDTH, scratch};
        (i ? five : two)->attend(&t);
        const hti_norm norm = {c[i], WIDTH, TOKENS, 50, p.bias, p.weights, 1e-12f, NULL};
        (i ? five : two)->norm(&norm);
    }
    assert_memory_equal(c[0], c[1], TOKENS * WIDTH * 4);
    float vectors[2][TOKENS * 50], pooled[2][50];
    for (int i = 0; i < 2; i++) {
        const hti_finish f = {c[0], WIDTH, TOKENS, 50, NULL, 0.5f, false, pooled[i], vectors[i]};
        (i ? five : two)->finish(&f);
    }
    assert_memory_equal(vectors[0], vectors[1], sizeof vectors[0]);
    assert_memory_equal(pooled[0], pooled[1], sizeof pooled[0]);
    hti_free(c[0]);
    hti_free(c[1]);
    hti_free(qkv);
    hti_free(scratch);
    product_free(&p);
}

int main(void)
{
    if (getenv("HT_SEED")) seed = strtoull(getenv("HT_SEED"), NULL, 10);
    print_message("HT_SEED=%llu, %s\n", (unsigned long long)seed, ht_cpu_name());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),  cmocka_unit_test(test_products), cmocka_unit_test(test_row_bits),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_norms),    cmocka_unit_test(test_finishes),
        cmocka_unit_test(test_zeros),     cmocka_unit_test(test_widening), cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
