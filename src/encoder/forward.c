/*
 * forward.c - the BERT encoder over a block of texts: token ids in, last hidden states out.
 *
 *   x = norm(word + position + type)
 *   each layer: x = norm(x + attention(x)),  x = norm(x + down(gelu(up(x))))
 * (Devlin et al. 2019; dropout is for training). Linear layers see one matrix [rows, hidden] of all tokens of the
 * block,
 * text behind text without padding; attention runs text by text. In bf16 the states x stay f32 and are rounded only as
 * operands of a product.
 * Invariant: each kernel's row depends on that row alone (attention: on that text alone), so where a text stands in a
 * block, and with whom, never changes its bits.
 * Workload: 256 to 512 rows; x, x16 and one layer's weights (3.5 MB in bf16) pass through a 2 MB L2.
 * Thread rule: a hti_forward belongs to one thread; the weights are shared.
 */
#include "encoder_int.h"

#include <math.h>

static size_t operand_size(const hti_weights *w) { return w->bf16 ? sizeof(uint16_t) : sizeof(float); }

/* Bytes of an operand [rows, width] with the rows behind the last that a product may read, 64-byte aligned. */
static size_t operand_bytes(const hti_weights *w, size_t rows, size_t width)
{
    const size_t bytes = hti_mul(hti_mul(hti_add(rows, HTI_ROW_BLOCK), width), operand_size(w));
    return hti_add(bytes, 63) / 64 * 64;
}

ht_status hti_forward_init(hti_forward *forward, const hti_weights *w, size_t max_rows, size_t max_text, ht_error *err)
{
    *forward = (hti_forward){.weights = w, .max_rows = max_rows};
    const size_t sizes[] = {
        hti_mul(hti_mul(max_rows, w->hidden_pad), sizeof(float)),
        w->bf16 ? operand_bytes(w, max_rows, w->hidden_pad) : 0,
        operand_bytes(w, max_rows, 3 * w->inner),
        operand_bytes(w, max_rows, w->inner),
        operand_bytes(w, max_rows, w->wide_pad),
        hti_attention_scratch(max_text, w->head_pad),
    };
    size_t total = 0;
    for (size_t i = 0; i < HTI_LEN(sizes); i++) total = hti_add(total, sizes[i]);
    forward->memory = hti_alloc(total);
    if (!forward->memory) return HTI_NO_MEMORY(err);
    void *parts[HTI_LEN(sizes)];
    char *at = forward->memory;
    for (size_t i = 0; i < HTI_LEN(sizes); at += sizes[i], i++) parts[i] = at;
    forward->x = parts[0];
    forward->x16 = w->bf16 ? parts[1] : NULL;
    forward->qkv = parts[2];
    forward->context = parts[3];
    forward->wide = parts[4];
    forward->scratch = parts[5];
    return HT_OK;
}

void hti_forward_deinit(hti_forward *forward)
{
    hti_free(forward->memory);
    *forward = (hti_forward){0};
}

static void run_norm(const hti_forward *f, size_t n_rows, const hti_norm_weights *norm)
{
    const hti_weights *w = f->weights;
    const hti_norm job = {f->x,       w->hidden_pad,           n_rows, w->hidden, norm->weight,
                          norm->bias, w->model->bert.norm_eps, f->x16};
    w->kernels->norm(&job);
}

/* c = end(a x linear); strides are the padded widths. */
static void run_linear(const hti_forward *f, size_t n_rows, const void *a, const hti_linear *linear, void *c,
                       hti_gemm_end end)
{
    const hti_weights *w = f->weights;
    const hti_gemm job = {a, linear->k, n_rows, linear->panels, linear->bias, linear->k, linear->n, c, linear->n, end};
    (w->bf16 ? w->kernels->gemm_bf16 : w->kernels->gemm)(&job);
}

static void embed(const hti_forward *f, const hti_block *block)
{
    const hti_weights *w = f->weights;
    const hti_tensor *words = w->model->bert.words;
    const hti_element type = words->dtype == HTI_DTYPE_F16    ? HTI_ELEMENT_F16
                             : words->dtype == HTI_DTYPE_BF16 ? HTI_ELEMENT_BF16
                                                              : HTI_ELEMENT_F32;
    const size_t row_bytes = w->hidden * (words->dtype == HTI_DTYPE_F32 ? 4 : 2);
    float *x = f->x;
    for (size_t i = 0; i < block->n_texts; i++)
        for (size_t row = block->offsets[i]; row < block->offsets[i + 1]; row++, x += w->hidden_pad) {
            const uint32_t id = block->ids[row - block->offsets[0]];
            const float *position = w->positions + (row - block->offsets[i]) * w->hidden;
            w->kernels->widen(words->data + id * row_bytes, type, w->hidden, position, x);
            for (size_t j = w->hidden; j < w->hidden_pad; j++) x[j] = 0;
        }
}

static void run_attention(const hti_forward *f, const hti_block *block)
{
    const hti_weights *w = f->weights;
    const size_t size = operand_size(w);
    hti_attention job = {.ld = 3 * w->inner,
                         .n_heads = w->n_heads,
                         .head_dim = w->head_pad,
                         .scale = 1.0f / sqrtf((float)w->head_dim),
                         .ldo = w->inner,
                         .scratch = f->scratch};
    for (size_t i = 0; i < block->n_texts; i++) {
        const size_t first = block->offsets[i] - block->offsets[0];
        job.n_tokens = block->offsets[i + 1] - block->offsets[i];
        if (job.n_tokens == 0) continue;
        job.qkv = (const char *)f->qkv + first * job.ld * size;
        job.out = (char *)f->context + first * job.ldo * size;
        job.seen = block->seen ? block->seen + first : NULL;
        (w->bf16 ? w->kernels->attend_bf16 : w->kernels->attend)(&job);
    }
}

ht_status hti_forward_run(hti_forward *f, const hti_block *block, ht_error *err)
{
    const hti_weights *w = f->weights;
    const size_t n_rows = block->offsets[block->n_texts] - block->offsets[0];
    const size_t n_layers = HTI_MIN(block->n_layers, (size_t)w->model->bert.n_layers);
    const void *states = w->bf16 ? (const void *)f->x16 : (const void *)f->x;
    HT_ASSERT(n_rows <= f->max_rows);
    embed(f, block);
    run_norm(f, n_rows, &w->embedding_norm);
    for (size_t i = 0; i < n_layers; i++) {
        const hti_bert_packed_layer *layer = &w->layers[i];
        if (hti_cancelled(block->monitor)) return HT_FAIL(err, CANCELLED, "encoding was cancelled");
        run_linear(f, n_rows, states, &layer->qkv, f->qkv, HTI_GEMM_STORE);
        run_attention(f, block);
        run_linear(f, n_rows, f->context, &layer->out, f->x, HTI_GEMM_ADD);
        run_norm(f, n_rows, &layer->attention_norm);
        run_linear(f, n_rows, states, &layer->up, f->wide, HTI_GEMM_GELU);
        run_linear(f, n_rows, f->wide, &layer->down, f->x, HTI_GEMM_ADD);
        run_norm(f, n_rows, &layer->output_norm);
    }
    return HT_OK;
}
