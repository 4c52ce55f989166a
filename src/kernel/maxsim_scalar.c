/*
 * maxsim_scalar.c - the specification of the maxsim kernels, written for reading.
 *
 * MaxSim (Khattab and Zaharia, ColBERT, SIGIR 2020): score(q, d) = sum over t of max over j of q_t . d_j.
 * Packed query, int8: signed codes [n_query][row_bytes]; f16: floats [n_query][dim]. Both row-major.
 * Thread rule: pure functions.
 * Easy to get wrong: `value > best ? value : best` is exactly vmaxps(value, best), also for NaN and for
 * zeros of both signs; fmaxf is not. fmaf, not a * b + c: the vector tables use fused instructions.
 */
#include "maxsim_int.h"

#include <string.h>

static void quantise_row(const float *row, size_t dim, uint8_t *codes, float *scale)
{
    float largest = 0.0f;
    for (size_t k = 0; k < dim; k++) largest = fabsf(row[k]) > largest ? fabsf(row[k]) : largest;
    *scale = largest / 127.0f;
    memset(codes, 128, hti_int8_row_bytes(dim));
    if (*scale == 0.0f) return; /* all zeros, or too small for a float scale */
    for (size_t k = 0; k < dim; k++) {
        float q = rintf(row[k] / *scale);
        q = q < 127.0f ? q : 127.0f; /* a subnormal scale is coarse: the quotient may pass 127 */
        q = q > -127.0f ? q : -127.0f;
        codes[k] = (uint8_t)((int)q + 128);
    }
}

static void quantise(const float *rows, size_t n_rows, size_t dim, uint8_t *codes, float *scales)
{
    for (size_t i = 0; i < n_rows; i++)
        quantise_row(rows + i * dim, dim, codes + i * hti_int8_row_bytes(dim), &scales[i]);
}

static void to_f16(const float *rows, size_t n_rows, size_t dim, uint16_t *halves)
{
    const size_t width = hti_f16_row_bytes(dim) / 2;
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < dim; k++) halves[i * width + k] = hti_half_from_float(rows[i * dim + k]);
        memset(halves + i * width + dim, 0, (width - dim) * sizeof *halves);
    }
}

static void pack_int8(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    const size_t row_bytes = hti_int8_row_bytes(dim);
    uint8_t *codes = memory;
    float *scales = (float *)(void *)(codes + n_query * row_bytes);
    int32_t *offsets = (int32_t *)(void *)(scales + n_query);
    quantise(query, n_query, dim, codes, scales);
    for (size_t t = 0; t < n_query; t++) {
        int32_t sum = 0;
        for (size_t k = 0; k < row_bytes; k++) {
            sum += codes[t * row_bytes + k] - 128;
            codes[t * row_bytes + k] = (uint8_t)(codes[t * row_bytes + k] - 128); /* two's complement */
        }
        offsets[t] = -128 * sum;
    }
    *out = (hti_packed_query){n_query, dim, scales, offsets, codes};
}

static void pack_f16(const float *query, size_t n_query, size_t dim, void *memory, hti_packed_query *out)
{
    float *rows = memory, *scales = rows + n_query * dim;
    memcpy(rows, query, n_query * dim * sizeof *rows);
    for (size_t t = 0; t < n_query; t++) scales[t] = 1.0f;
    *out = (hti_packed_query){n_query, dim, scales, NULL, rows};
}

static float value_int8(const hti_packed_query *query, size_t token, const hti_rows *rows, size_t row)
{
    const int8_t *q = (const int8_t *)query->data + token * rows->row_bytes;
    const uint8_t *d = (const uint8_t *)rows->data + row * rows->row_bytes;
    int32_t dot = query->offsets[token];
    for (size_t k = 0; k < rows->row_bytes; k++) dot += q[k] * d[k];
    return (float)dot * rows->scales[row];
}

static float value_f16(const hti_packed_query *query, size_t token, const hti_rows *rows, size_t row)
{
    const float *q = (const float *)query->data + token * query->dim;
    const uint16_t *d = (const uint16_t *)rows->data + row * (rows->row_bytes / sizeof *d);
    float dot = 0.0f;
    for (size_t k = 0; k < query->dim; k++) dot = fmaf(hti_half_to_float(d[k]), q[k], dot);
    return dot;
}

typedef float (*value_fn)(const hti_packed_query *query, size_t token, const hti_rows *rows, size_t row);

static hti_row_match best_row(value_fn value, const hti_packed_query *query, size_t token, const hti_rows *rows,
                              hti_row_span span)
{
    hti_row_match best = {-INFINITY, 0};
    for (size_t i = 0; i < span.n; i++) {
        const float now = value(query, token, rows, span.first + i);
        if (now > best.score) best = (hti_row_match){now, (uint32_t)i};
    }
    return best;
}

static void maxsim(value_fn value, const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans,
                   size_t n_spans, double *scores)
{
    for (size_t i = 0; i < n_spans; i++) {
        scores[i] = spans[i].n ? 0.0 : (double)-INFINITY;
        for (size_t t = 0; t < query->n_query && spans[i].n; t++) {
            const float best = best_row(value, query, t, rows, spans[i]).score;
            scores[i] = hti_maxsim_sum(scores[i], &best, &query->scales[t], 1);
        }
    }
}

static void maxsim_int8(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                        double *scores)
{
    maxsim(value_int8, query, rows, spans, n_spans, scores);
}

static void maxsim_f16(const hti_packed_query *query, const hti_rows *rows, const hti_row_span *spans, size_t n_spans,
                       double *scores)
{
    maxsim(value_f16, query, rows, spans, n_spans, scores);
}

static void match(value_fn value, const hti_packed_query *query, const hti_rows *rows, hti_row_span span,
                  hti_row_match *matches)
{
    for (size_t t = 0; t < query->n_query; t++) {
        matches[t] = best_row(value, query, t, rows, span);
        matches[t].score = hti_match_score(matches[t].score, query->scales[t]);
    }
}

static void match_int8(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    match(value_int8, query, rows, span, matches);
}

static void match_f16(const hti_packed_query *query, const hti_rows *rows, hti_row_span span, hti_row_match *matches)
{
    match(value_f16, query, rows, span, matches);
}

static float dot_f32(const float *query, const float *row, size_t width)
{
    float sums[16] = {0};
    for (size_t k = 0; k < width; k++) sums[k % 16] = fmaf(row[k], query[k], sums[k % 16]);
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++) sums[l] += sums[l + half];
    return sums[0];
}

static void dots_f32(const float *query, const float *rows, size_t n_rows, size_t width, float *out)
{
    for (size_t i = 0; i < n_rows; i++) out[i] = dot_f32(query, rows + i * width, width);
}

const hti_maxsim_kernels hti_maxsim_scalar = {
    .name = "scalar",
    .quantise = quantise,
    .to_f16 = to_f16,
    .pack_int8 = pack_int8,
    .pack_f16 = pack_f16,
    .maxsim_int8 = maxsim_int8,
    .maxsim_f16 = maxsim_f16,
    .match_int8 = match_int8,
    .match_f16 = match_f16,
    .dots_f32 = dots_f32,
};
