/*
 * forward.c - the BERT encoder over a block of texts: token ids in, last hidden states out.
 *
 *   x = norm(word + position + type)
 *   each layer: x = norm(x + attention(x)),  x = norm(x + down(gelu(up(x))))
 * (Devlin et al. 2019; dropout is for training). Linear layers see one matrix [rows, hidden] of all tokens of the
 * block, text behind text without padding; attention runs text by text. In bf16 the states x stay f32 and are rounded
 * only as operands of a product. Easy to get wrong: x cannot itself be the operand, or a chunk of the feed-forward
 * part would see what the chunk before has added; `states` is its copy. Invariant: each kernel's row depends on that
 * row alone (attention: on that text alone), so where a text stands in a block, and with whom, never changes its bits.
 * Workload: 512 rows of 384. A layer's weights (3.5 MB in bf16) pass through a 2 MB L2, so some heads and some columns
 * of the feed-forward part run at a time, which keeps what passes between two products small, and each product brings
 * the weights of the next nearer. Thread rule: a hti_forward belongs to one thread; the weights are shared.
 */
#include "encoder_int.h"

#include <math.h>
#include <string.h>

/* Bytes of weights to look ahead while a product runs. */
enum { LOOK_AHEAD = 160 << 10 };

/* Bytes of an operand [rows, width] with the rows behind the last that a product may read, 64-byte aligned. */
static size_t operand_bytes(const hti_weights *w, size_t rows, size_t width)
{
    const size_t bytes = hti_mul(hti_mul(hti_add(rows, HTI_ROW_BLOCK), width), w->element);
    return hti_add(bytes, 63) / 64 * 64;
}

ht_status hti_forward_init(hti_forward *forward, const hti_weights *w, size_t max_rows, size_t max_text, ht_error *err)
{
    *forward = (hti_forward){.weights = w, .max_rows = max_rows};
    const size_t sizes[] = {
        hti_mul(hti_mul(max_rows, w->hidden_pad), sizeof(float)),
        operand_bytes(w, max_rows, w->hidden_pad),
        operand_bytes(w, max_rows, 3 * w->head_pad * w->heads_step),
        operand_bytes(w, max_rows, w->inner),
        operand_bytes(w, max_rows, w->wide_step),
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
    forward->states = parts[1];
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

/* Norms x and leaves it as the operand of what follows. */
static void run_norm(const hti_forward *f, const hti_norm_weights *norm)
{
    const hti_weights *w = f->weights;
    const hti_norm job = {.x = f->x,
                          .ld = w->hidden_pad,
                          .n_rows = f->n_rows,
                          .width = w->hidden,
                          .weight = norm->weight,
                          .bias = norm->bias,
                          .eps = w->model->bert.norm_eps,
                          .rounded = w->bf16 ? f->states : NULL};
    w->kernels->norm(&job);
    if (!w->bf16) memcpy(f->states, f->x, f->n_rows * w->hidden_pad * sizeof *f->x);
}

/* Runs g over all rows; its panels lie in the order of use, so what follows them is needed next. */
static void run_product(const hti_forward *f, hti_gemm g)
{
    const hti_weights *w = f->weights;
    const unsigned char *end = (const unsigned char *)g.b + g.k * g.n * w->element;
    g.m = f->n_rows;
    g.next = end;
    g.next_bytes = HTI_MIN((size_t)LOOK_AHEAD, (size_t)(w->panels + w->panels_bytes - end));
    (w->bf16 ? w->kernels->gemm_bf16 : w->kernels->gemm)(&g);
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

/* Heads [first, first + n) of every text; their q, k and v are in f->qkv. */
static void run_heads(const hti_forward *f, const hti_block *block, size_t first, size_t n)
{
    const hti_weights *w = f->weights;
    hti_attention job = {.ld = 3 * n * w->head_pad,
                         .n_heads = n,
                         .head_dim = w->head_pad,
                         .scale = 1.0f / sqrtf((float)w->head_dim),
                         .ldo = w->inner,
                         .scratch = f->scratch};
    for (size_t i = 0; i < block->n_texts; i++) {
        const size_t row = block->offsets[i] - block->offsets[0];
        job.n_tokens = block->offsets[i + 1] - block->offsets[i];
        if (job.n_tokens == 0) continue;
        job.qkv = (const char *)f->qkv + row * job.ld * w->element;
        job.out = (char *)f->context + (row * job.ldo + first * w->head_pad) * w->element;
        job.seen = block->seen ? block->seen + row : NULL;
        (w->bf16 ? w->kernels->attend_bf16 : w->kernels->attend)(&job);
    }
}

/* x += attention(x) */
static void run_attention(const hti_forward *f, const hti_block *block, const hti_bert_packed_layer *layer)
{
    const hti_weights *w = f->weights;
    for (size_t first = 0; first < w->n_heads; first += w->heads_step) {
        const size_t n_heads = HTI_MIN(w->n_heads - first, w->heads_step), n = 3 * n_heads * w->head_pad;
        const size_t column = 3 * first * w->head_pad;
        run_product(f, (hti_gemm){.a = f->states,
                                  .lda = w->hidden_pad,
                                  .k = w->hidden_pad,
                                  .b = layer->qkv + column * w->hidden_pad * w->element,
                                  .bias = layer->qkv_bias + column,
                                  .n = n,
                                  .c = f->qkv,
                                  .ldc = n,
                                  .end = HTI_GEMM_STORE});
        run_heads(f, block, first, n_heads);
    }
    run_product(f, (hti_gemm){.a = f->context,
                              .lda = w->inner,
                              .k = w->inner,
                              .b = layer->out,
                              .bias = layer->out_bias,
                              .n = w->hidden_pad,
                              .c = f->x,
                              .ldc = w->hidden_pad,
                              .end = HTI_GEMM_ADD});
}

/* x += down(gelu(up(x))), some columns of the middle at a time; the first brings down's bias. */
static void run_feed_forward(const hti_forward *f, const hti_bert_packed_layer *layer)
{
    const hti_weights *w = f->weights;
    for (size_t first = 0; first < w->wide_pad; first += w->wide_step) {
        const size_t n = HTI_MIN(w->wide_pad - first, w->wide_step);
        const unsigned char *panels = layer->wide + first * 2 * w->hidden_pad * w->element;
        run_product(f, (hti_gemm){.a = f->states,
                                  .lda = w->hidden_pad,
                                  .k = w->hidden_pad,
                                  .b = panels,
                                  .bias = layer->up_bias + first,
                                  .n = n,
                                  .c = f->wide,
                                  .ldc = n,
                                  .end = HTI_GEMM_GELU});
        run_product(f, (hti_gemm){.a = f->wide,
                                  .lda = n,
                                  .k = n,
                                  .b = panels + n * w->hidden_pad * w->element,
                                  .bias = first == 0 ? layer->down_bias : w->zeros,
                                  .n = w->hidden_pad,
                                  .c = f->x,
                                  .ldc = w->hidden_pad,
                                  .end = HTI_GEMM_ADD});
    }
}

ht_status hti_forward_run(hti_forward *f, const hti_block *block, ht_error *err)
{
    const hti_weights *w = f->weights;
    const size_t n_layers = HTI_MIN(block->n_layers, (size_t)w->model->bert.n_layers);
    f->n_rows = block->offsets[block->n_texts] - block->offsets[0];
    HT_ASSERT(f->n_rows <= f->max_rows);
    embed(f, block);
    run_norm(f, &w->embedding_norm);
    for (size_t i = 0; i < n_layers; i++) {
        const hti_bert_packed_layer *layer = &w->layers[i];
        if (hti_cancelled(block->monitor)) return HT_FAIL(err, CANCELLED, "encoding was cancelled");
        run_attention(f, block, layer);
        run_norm(f, &layer->attention_norm);
        run_feed_forward(f, layer);
        run_norm(f, &layer->output_norm);
    }
    return HT_OK;
}
