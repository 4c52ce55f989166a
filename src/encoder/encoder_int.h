/*
 * encoder_int.h - what the files of the encoder share: packed weights, the forward pass, a call's tokens.
 *
 * Widths are padded with zeros to multiples of HTI_PANEL so that the kernels need no edges: hidden, intermediate,
 * and each
 * head on its own (a head of 8 becomes 32 wide). Padding adds zeros to sums and changes no result.
 */
#ifndef HTI_ENCODER_ENCODER_INT_H
#define HTI_ENCODER_ENCODER_INT_H

#include "encoder.h"

#include "kernel/kernel.h"
#include "model/model.h"
#include "os/os.h"
#include "text/text.h"

typedef struct hti_norm_weights {
    float *weight, *bias; /* [hidden] */
} hti_norm_weights;

/*
 * A layer's products, packed for one kernel table, in the order in which they run. q, k and v of a head stand side by
 * side: columns [n_heads, 3, head_pad]. The two products of the feed-forward part run in chunks of wide_step columns:
 * `wide` holds for each chunk the panels that make its columns [hidden_pad, n], then those that take them back [n,
 * hidden_pad].
 */
typedef struct hti_bert_packed_layer {
    unsigned char *qkv, *out, *wide;
    float *qkv_bias, *out_bias, *up_bias, *down_bias; /* [3 inner], [hidden_pad], [wide_pad], [hidden_pad] */
    hti_norm_weights attention_norm, output_norm;
} hti_bert_packed_layer;

/* Immutable once packed. */
typedef struct hti_weights {
    const hti_encoder_kernels *kernels;
    const hti_model *model;
    bool bf16;
    size_t element;                                                          /* bytes of an operand's element */
    size_t hidden, hidden_pad, n_heads, head_dim, head_pad, inner, wide_pad; /* inner = n_heads * head_pad */
    size_t heads_step, wide_step; /* heads and feed-forward columns that run at a time */
    float *positions;             /* [max_positions, hidden], type 0 added */
    float *zeros;                 /* [hidden_pad] */
    hti_norm_weights embedding_norm;
    hti_bert_packed_layer *layers; /* [n_layers] */
    unsigned char *panels;         /* [panels_bytes], layer behind layer */
    size_t panels_bytes;
    float *floats; /* everything else */
} hti_weights;

struct ht_encoder {
    hti_model *model;
    hti_tokenizer *tokenizer;
    ht_pool *pool; /* borrowed, may be NULL */
    hti_weights weights;
    ht_encoder_info info;
    uint64_t *punctuation; /* bit set over ids [vocab_size]: tokens that documents drop */
};

/* ---- weights.c ---- */

/*
 * Opening in two steps: prepare sizes the memory and lists the pieces of work; each piece may then run on any
 * thread, once.
 */
typedef struct hti_packing hti_packing;
HT_CHECKED ht_status hti_packing_new(hti_weights *weights, const hti_model *model, hti_packing **out, ht_error *err);
size_t hti_packing_pieces(const hti_packing *packing);
HT_CHECKED ht_status hti_packing_run(hti_packing *packing, size_t piece, ht_error *err);
/* Hash over all tensors: names, types, shapes, data; after all pieces ran. */
HT_CHECKED ht_status hti_packing_digest(const hti_packing *packing, uint64_t *out, ht_error *err);
void hti_packing_free(hti_packing *packing);
void hti_weights_deinit(hti_weights *weights);

/* ---- forward.c ---- */

/* Buffers of one thread for blocks of at most max_rows rows in texts of at most max_text. */
typedef struct hti_forward {
    const hti_weights *weights;
    size_t max_rows, n_rows;
    float *x;     /* [max_rows, hidden_pad], and the result */
    void *states; /* the same as an operand: bf16, or a copy */
    void *qkv, *context, *wide;
    void *scratch; /* attention */
    void *memory;
} hti_forward;

/* Texts one behind the other, never padded. */
typedef struct hti_block {
    const uint32_t *ids;   /* [n_rows] */
    const size_t *offsets; /* [n_texts + 1], the first is taken off: rows of text i are offsets[i] - offsets[0] .. */
    const uint8_t *seen;   /* [n_rows] 0: a key that nothing attends to; NULL: all are seen */
    size_t n_texts;
    size_t n_layers; /* run so many, at most the model's */
    const ht_monitor *monitor;
} hti_block;

HT_CHECKED ht_status hti_forward_init(hti_forward *forward, const hti_weights *weights, size_t max_rows,
                                      size_t max_text, ht_error *err);
void hti_forward_deinit(hti_forward *forward);
/* Leaves the last hidden states in forward->x. CANCELLED by the monitor. */
HT_CHECKED ht_status hti_forward_run(hti_forward *forward, const hti_block *block, ht_error *err);

static inline bool hti_cancelled(const ht_monitor *monitor)
{
    return monitor && monitor->cancelled && monitor->cancelled(monitor->ud);
}

/* ---- join.c ---- */

/* Text without whitespace at both ends, as Python's str.strip. */
ht_text hti_strip(ht_text text);
/* Appends the text that the model sees: title and text stripped; the text alone if the title is empty or its head. */
void hti_join(hti_buffer *out, ht_text title, ht_text text);

/* ---- tokens.c ---- */

/* Tokens of all texts of a call, in order. Reused: the second identical call allocates nothing. */
typedef struct hti_call_tokens {
    const ht_encoder *encoder;
    hti_buffer joined;
    size_t *joined_offsets; /* [n_texts + 1] */
    size_t cap_texts;
    size_t *offsets;               /* [n_texts + 1] */
    uint8_t *truncated;            /* [n_texts] */
    uint32_t *ids, *starts, *ends; /* [offsets[n_texts]] */
    size_t cap_ids, cap_starts, cap_ends;
    struct hti_token_share *shares; /* [n_shares] */
    size_t n_shares;
    size_t n_texts;
} hti_call_tokens;

void hti_call_tokens_init(hti_call_tokens *tokens, const ht_encoder *encoder);
void hti_call_tokens_deinit(hti_call_tokens *tokens);
HT_CHECKED ht_status hti_call_tokens_run(hti_call_tokens *tokens, const ht_encoder_input *inputs, size_t n_inputs,
                                         const ht_monitor *monitor, ht_error *err);

#endif
