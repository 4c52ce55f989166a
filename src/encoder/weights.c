/*
 * weights.c - a model's tensors into the form that the kernels multiply, and their digest.
 *
 * Everything is one block of panels (bf16 or f32), in the order in which a forward pass reads them, and one block of
 * floats (biases, norms, positions). The work is cut into pieces that a pool runs in any order: some panels of one
 * linear layer, or the hash of some megabytes of one tensor. Workload: MiniLM has 10.6 M weights in 24 linear layers,
 * 42 MB of f32 in the file; opening must stay far below the 350 ms that a first answer may take, and is bound by page
 * faults of the mapping. Easy to get wrong: the columns of q, k and v are shuffled so that a head's stand side by
 * side, each head padded on its own; the output projection has the same padding in its rows.
 */
#include "encoder_int.h"

#include "codec/codec.h"

#include <string.h>

enum { PANELS_PER_PIECE = 12, HASH_PIECE = 4 << 20 };

/*
 * Columns that run at a time: with 512 rows what they need and make stays in a 2 MB L2. Never all, so that tiny models
 * in tests go the same road.
 */
enum { QKV_COLUMNS = 384, WIDE_COLUMNS_F32 = 384, WIDE_COLUMNS_BF16 = 192 };

typedef enum product_kind { PRODUCT_QKV, PRODUCT_OUT, PRODUCT_UP, PRODUCT_DOWN, N_PRODUCTS } product_kind;

typedef struct piece {
    const hti_tensor *tensor; /* to hash; NULL: panels of a product */
    size_t first, n;          /* bytes of the tensor, or panels */
    size_t layer;
    product_kind product;
    uint64_t hash;
} piece;

struct hti_packing {
    hti_weights *weights;
    const hti_model *model;
    piece *pieces; /* [n]; those of one tensor's hash are in order */
    size_t n, cap;
};

static hti_element element_of(const hti_tensor *tensor)
{
    return tensor->dtype == HTI_DTYPE_F16    ? HTI_ELEMENT_F16
           : tensor->dtype == HTI_DTYPE_BF16 ? HTI_ELEMENT_BF16
                                             : HTI_ELEMENT_F32;
}

static size_t element_size(const hti_tensor *tensor) { return tensor->dtype == HTI_DTYPE_F32 ? 4 : 2; }

/* Row `row` of a matrix, or a whole vector for row 0, as floats. */
static void widen_row(const hti_weights *w, const hti_tensor *tensor, size_t row, size_t n, float *out)
{
    w->kernels->widen(tensor->data + row * n * element_size(tensor), element_of(tensor), n, NULL, out);
}

static size_t columns_of(const hti_weights *w, product_kind product)
{
    return product == PRODUCT_QKV ? 3 * w->inner : product == PRODUCT_UP ? w->wide_pad : w->hidden_pad;
}

static size_t depth_of(const hti_weights *w, product_kind product)
{
    return product == PRODUCT_OUT ? w->inner : product == PRODUCT_DOWN ? w->wide_pad : w->hidden_pad;
}

/* ---- columns of a product: rows of the model's matrices ---- */

/* Where a column's weights come from; part NULL: padding. */
typedef struct column_source {
    const hti_linear_weights *part;
    size_t row, width; /* of its matrix */
    float *bias;
} column_source;

static column_source find_column(const hti_weights *w, size_t layer, product_kind product, size_t j)
{
    const hti_bert *bert = &w->model->bert;
    const hti_bert_layer *from = &bert->layers[layer];
    const hti_bert_packed_layer *to = &w->layers[layer];
    switch (product) {
    case PRODUCT_QKV: {
        const hti_linear_weights *parts[] = {&from->query, &from->key, &from->value};
        const size_t head = j / (3 * w->head_pad), d = j % w->head_pad;
        const bool real = d < w->head_dim;
        return (column_source){real ? parts[j / w->head_pad % 3] : NULL, head * w->head_dim + d, w->hidden,
                               &to->qkv_bias[j]};
    }
    case PRODUCT_OUT:
        return (column_source){j < w->hidden ? &from->attention_out : NULL, j, w->hidden, &to->out_bias[j]};
    case PRODUCT_UP: return (column_source){j < bert->intermediate ? &from->up : NULL, j, w->hidden, &to->up_bias[j]};
    default: return (column_source){j < w->hidden ? &from->down : NULL, j, bert->intermediate, &to->down_bias[j]};
    }
}

/* Spreads [n_heads, head_dim] to [n_heads, head_pad], from the last head on, in place. */
static void spread_heads(const hti_weights *w, float *row)
{
    if (w->head_pad == w->head_dim) return;
    for (size_t head = w->n_heads; head-- > 0;) {
        memmove(row + head * w->head_pad, row + head * w->head_dim, w->head_dim * sizeof *row);
        memset(row + head * w->head_pad + w->head_dim, 0, (w->head_pad - w->head_dim) * sizeof *row);
    }
}

/* Column j of a product [depth], and its bias. */
static void load_column(const hti_weights *w, const piece *p, size_t j, float *column)
{
    const column_source from = find_column(w, p->layer, p->product, j);
    memset(column, 0, depth_of(w, p->product) * sizeof *column);
    *from.bias = 0;
    if (!from.part) return;
    widen_row(w, from.part->weight, from.row, from.width, column);
    if (p->product == PRODUCT_OUT) spread_heads(w, column);
    const unsigned char *bias = from.part->bias->data + from.row * element_size(from.part->bias);
    w->kernels->widen(bias, element_of(from.part->bias), 1, NULL, from.bias);
}

/* Place of the panel of columns [j, j + 32), rows [k, ...) of a product; k other than 0 only in `down`. */
static unsigned char *panel_place(const hti_weights *w, const piece *p, size_t j, size_t k)
{
    const hti_bert_packed_layer *layer = &w->layers[p->layer];
    if (p->product == PRODUCT_QKV) return layer->qkv + j * w->hidden_pad * w->element;
    if (p->product == PRODUCT_OUT) return layer->out + j * w->inner * w->element;
    const size_t first = (p->product == PRODUCT_UP ? j : k) / w->wide_step * w->wide_step;
    const size_t n = HTI_MIN(w->wide_pad - first, w->wide_step);
    unsigned char *chunk = layer->wide + first * 2 * w->hidden_pad * w->element;
    if (p->product == PRODUCT_UP) return chunk + (j - first) * w->hidden_pad * w->element;
    return chunk + n * (w->hidden_pad + j) * w->element;
}

static ht_status pack_piece(const hti_weights *w, const piece *p, ht_error *err)
{
    const size_t depth = depth_of(w, p->product), step = p->product == PRODUCT_DOWN ? w->wide_step : depth;
    float *columns = HTI_NEW_ARRAY(float, hti_mul(depth, HTI_PANEL));
    if (!columns) return HTI_NO_MEMORY(err);
    for (size_t j = p->first * HTI_PANEL; j < (p->first + p->n) * HTI_PANEL; j += HTI_PANEL) {
        for (size_t i = 0; i < HTI_PANEL; i++) load_column(w, p, j + i, columns + i * depth);
        for (size_t k = 0; k < depth; k += step)
            (w->bf16 ? w->kernels->pack_bf16 : w->kernels->pack)(columns + k, depth, HTI_MIN(depth - k, step),
                                                                 panel_place(w, p, j, k));
    }
    hti_free(columns);
    return HT_OK;
}

/* ---- sizes ---- */

static void describe_sizes(hti_weights *w, const hti_bert *bert)
{
    w->element = w->bf16 ? sizeof(uint16_t) : sizeof(float);
    w->hidden = bert->hidden;
    w->hidden_pad = hti_panel_round(bert->hidden);
    w->n_heads = bert->n_heads;
    w->head_dim = bert->hidden / bert->n_heads;
    w->head_pad = hti_panel_round(w->head_dim);
    w->inner = w->n_heads * w->head_pad;
    w->wide_pad = hti_panel_round(bert->intermediate);
    const size_t wide_columns = w->bf16 ? WIDE_COLUMNS_BF16 : WIDE_COLUMNS_F32;
    w->heads_step = HTI_MIN(HTI_MAX(QKV_COLUMNS / (3 * w->head_pad), (size_t)1), (w->n_heads + 1) / 2);
    w->wide_step = HTI_MIN(wide_columns, hti_panel_round((w->wide_pad + 1) / 2));
}

/* Hands out floats one after the other; base NULL only counts. */
typedef struct float_cutter {
    float *base;
    size_t used;
} float_cutter;

static float *cut(float_cutter *cutter, size_t n)
{
    float *at = cutter->base ? cutter->base + cutter->used : NULL;
    cutter->used += (n + 15) / 16 * 16;
    return at;
}

static void cut_norm(const hti_weights *w, float_cutter *cutter, hti_norm_weights *norm)
{
    norm->weight = cut(cutter, w->hidden);
    norm->bias = cut(cutter, w->hidden);
}

static void cut_floats(hti_weights *w, const hti_bert *bert, float_cutter *cutter)
{
    cutter->used = 0;
    w->positions = cut(cutter, (size_t)bert->max_positions * w->hidden);
    w->zeros = cut(cutter, w->hidden_pad);
    cut_norm(w, cutter, &w->embedding_norm);
    for (size_t i = 0; i < bert->n_layers; i++) {
        hti_bert_packed_layer *layer = &w->layers[i];
        layer->qkv_bias = cut(cutter, 3 * w->inner);
        layer->out_bias = cut(cutter, w->hidden_pad);
        layer->up_bias = cut(cutter, w->wide_pad);
        layer->down_bias = cut(cutter, w->hidden_pad);
        cut_norm(w, cutter, &layer->attention_norm);
        cut_norm(w, cutter, &layer->output_norm);
    }
}

static ht_status make_memory(hti_weights *w, const hti_bert *bert, ht_error *err)
{
    const size_t attention = hti_mul(w->inner, 4), columns = hti_add(attention, hti_mul(w->wide_pad, 2));
    const size_t layer_bytes = hti_mul(hti_mul(columns, w->hidden_pad), w->element);
    float_cutter cutter = {NULL, 0};
    cut_floats(w, bert, &cutter);
    w->panels_bytes = hti_mul(layer_bytes, bert->n_layers);
    w->panels = hti_alloc(w->panels_bytes);
    w->floats = HTI_NEW_ARRAY(float, cutter.used);
    if (!w->panels || !w->floats) return HTI_NO_MEMORY(err);
    cutter.base = w->floats;
    cut_floats(w, bert, &cutter);
    for (size_t i = 0; i < bert->n_layers; i++) {
        hti_bert_packed_layer *layer = &w->layers[i];
        layer->qkv = w->panels + i * layer_bytes;
        layer->out = layer->qkv + 3 * w->inner * w->hidden_pad * w->element;
        layer->wide = layer->out + w->inner * w->hidden_pad * w->element;
    }
    return HT_OK;
}

/* ---- small weights, at once ---- */

static void widen_norm(const hti_weights *w, const hti_linear_weights *from, const hti_norm_weights *to)
{
    widen_row(w, from->weight, 0, w->hidden, to->weight);
    widen_row(w, from->bias, 0, w->hidden, to->bias);
}

/* Positions with token type 0 added: every token of ours is of type 0. `types` is a row of scratch. */
static void widen_small(const hti_weights *w, const hti_bert *bert)
{
    float *types = w->embedding_norm.weight; /* filled below */
    widen_row(w, bert->types, 0, w->hidden, types);
    for (size_t i = 0; i < bert->max_positions; i++) {
        const unsigned char *row = bert->positions->data + i * w->hidden * element_size(bert->positions);
        w->kernels->widen(row, element_of(bert->positions), w->hidden, types, w->positions + i * w->hidden);
    }
    widen_norm(w, &bert->embedding_norm, &w->embedding_norm);
    memset(w->zeros, 0, w->hidden_pad * sizeof *w->zeros);
    for (size_t i = 0; i < bert->n_layers; i++) {
        widen_norm(w, &bert->layers[i].attention_norm, &w->layers[i].attention_norm);
        widen_norm(w, &bert->layers[i].output_norm, &w->layers[i].output_norm);
    }
}

/* ---- pieces ---- */

static ht_status add_piece(hti_packing *packing, piece p, ht_error *err)
{
    HT_TRY(hti_reserve(&packing->pieces, &packing->cap, packing->n + 1, sizeof p, err));
    packing->pieces[packing->n++] = p;
    return HT_OK;
}

static ht_status list_pieces(hti_packing *packing, ht_error *err)
{
    for (size_t i = 0; i < packing->model->bert.n_layers; i++)
        for (product_kind product = PRODUCT_QKV; product < N_PRODUCTS; product++) {
            const size_t n_panels = columns_of(packing->weights, product) / HTI_PANEL;
            for (size_t first = 0; first < n_panels; first += PANELS_PER_PIECE) {
                const size_t n = HTI_MIN(n_panels - first, (size_t)PANELS_PER_PIECE);
                HT_TRY(add_piece(packing, (piece){.first = first, .n = n, .layer = i, .product = product}, err));
            }
        }
    size_t n_tensors;
    const hti_tensor *tensors = hti_safetensors_all(packing->model->file, &n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        size_t first = 0;
        do { /* a tensor without bytes has one piece too */
            const size_t n = HTI_MIN(tensors[i].size_bytes - first, (size_t)HASH_PIECE);
            HT_TRY(add_piece(packing, (piece){.tensor = &tensors[i], .first = first, .n = n}, err));
            first += n;
        } while (first < tensors[i].size_bytes);
    }
    return HT_OK;
}

static ht_status prepare(hti_packing *packing, ht_error *err)
{
    hti_weights *w = packing->weights;
    const hti_bert *bert = &packing->model->bert;
    describe_sizes(w, bert);
    w->layers = hti_alloc_zero(hti_mul(bert->n_layers, sizeof *w->layers));
    if (!w->layers) return HTI_NO_MEMORY(err);
    HT_TRY(make_memory(w, bert, err));
    widen_small(w, bert);
    return list_pieces(packing, err);
}

ht_status hti_packing_new(hti_weights *weights, const hti_model *model, hti_packing **out, ht_error *err)
{
    *out = NULL;
    hti_packing *packing = HTI_NEW(hti_packing);
    if (!packing) return HTI_NO_MEMORY(err);
    packing->weights = weights;
    packing->model = weights->model = model;
    const ht_status status = prepare(packing, err);
    if (status == HT_OK)
        *out = packing;
    else
        hti_packing_free(packing);
    return status;
}

size_t hti_packing_pieces(const hti_packing *packing) { return packing->n; }

ht_status hti_packing_run(hti_packing *packing, size_t at, ht_error *err)
{
    piece *p = &packing->pieces[at];
    if (!p->tensor) return pack_piece(packing->weights, p, err);
    p->hash = hti_hash(p->tensor->data + p->first, p->n);
    return HT_OK;
}

ht_status hti_packing_digest(const hti_packing *packing, uint64_t *out, ht_error *err)
{
    hti_hasher *hasher = hti_hasher_new();
    if (!hasher) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < packing->n; i++) {
        const piece *p = &packing->pieces[i];
        if (!p->tensor) continue;
        char numbers[16 + 8 * HTI_TENSOR_DIMS];
        hti_put_u64(numbers, p->hash);
        hti_put_u32(numbers + 8, (uint32_t)p->tensor->dtype);
        hti_put_u32(numbers + 12, p->tensor->n_dims);
        for (size_t d = 0; d < HTI_TENSOR_DIMS; d++) hti_put_u64(numbers + 16 + 8 * d, p->tensor->shape[d]);
        hti_hasher_add(hasher, p->tensor->name, strlen(p->tensor->name) + 1);
        hti_hasher_add(hasher, numbers, sizeof numbers);
    }
    *out = hti_hasher_finish(hasher);
    hti_hasher_free(hasher);
    return HT_OK;
}

void hti_packing_free(hti_packing *packing)
{
    if (!packing) return;
    hti_free(packing->pieces);
    hti_free(packing);
}

void hti_weights_deinit(hti_weights *weights)
{
    hti_free(weights->layers);
    hti_free(weights->panels);
    hti_free(weights->floats);
    *weights = (hti_weights){0};
}
