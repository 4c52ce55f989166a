/*
 * weights.c - a model's tensors into the form that the kernels multiply, and their digest.
 *
 * Everything is one block of panels (bf16 or f32) and one block of floats (biases, norms, positions). The work is
 * cut into
 * pieces that a pool runs in any order: some panels of one linear layer, or the hash of some megabytes of one tensor.
 * Workload: MiniLM has 10.6 M weights in 24 linear layers, 42 MB of f32 in the file; opening must stay far below the
 * 350 ms that a first answer may take, and is bound by page faults of the mapping.
 * Easy to get wrong: q, k and v stand in one matrix, part after part, each head padded on its own; the output
 * projection
 * has the same padding in its columns.
 */
#include "encoder_int.h"

#include "codec/codec.h"

#include <string.h>

enum { PANELS_PER_PIECE = 12, HASH_PIECE = 4 << 20 };

/* One linear layer to pack: its rows come from 1 or 3 tensors. */
typedef struct linear_source {
    hti_linear *linear;
    hti_linear_weights parts[3];
    size_t n_parts, part_rows;    /* rows of a part, padded */
    size_t n_rows, n_columns;     /* of a part's tensor */
    bool head_rows, head_columns; /* rows or columns stand in padded heads */
} linear_source;

typedef struct piece {
    const linear_source *source; /* NULL: hash */
    size_t first, n;             /* panels, or bytes of the tensor */
    const hti_tensor *tensor;
    uint64_t hash;
} piece;

struct hti_packing {
    hti_weights *weights;
    const hti_model *model;
    linear_source *sources; /* [4 n_layers] */
    piece *pieces;          /* [n]; those of one tensor's hash are in order */
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

/* ---- rows of a linear layer ---- */

/* Row of the tensor for row `r` of a part, or SIZE_MAX where there is only padding. */
static size_t source_row(const hti_weights *w, const linear_source *s, size_t r)
{
    if (s->head_rows) {
        const size_t head = r / w->head_pad, d = r % w->head_pad;
        return d < w->head_dim ? head * w->head_dim + d : SIZE_MAX;
    }
    return r < s->n_rows ? r : SIZE_MAX;
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

/* Row j of the packed matrix [k], and its bias. */
static void load_row(const hti_weights *w, const linear_source *s, size_t j, float *row)
{
    const hti_linear_weights *part = &s->parts[j / s->part_rows];
    const size_t from = source_row(w, s, j % s->part_rows);
    memset(row, 0, s->linear->k * sizeof *row);
    s->linear->bias[j] = 0;
    if (from == SIZE_MAX) return;
    widen_row(w, part->weight, from, s->n_columns, row);
    if (s->head_columns) spread_heads(w, row);
    const unsigned char *bias = part->bias->data + from * element_size(part->bias);
    w->kernels->widen(bias, element_of(part->bias), 1, NULL, &s->linear->bias[j]);
}

static ht_status pack_piece(const hti_weights *w, const piece *p, ht_error *err)
{
    const linear_source *s = p->source;
    const size_t k = s->linear->k, size = w->bf16 ? sizeof(uint16_t) : sizeof(float);
    float *rows = HTI_NEW_ARRAY(float, hti_mul(k, HTI_PANEL));
    if (!rows) return HTI_NO_MEMORY(err);
    for (size_t panel = p->first; panel < p->first + p->n; panel++) {
        for (size_t j = 0; j < HTI_PANEL; j++) load_row(w, s, panel * HTI_PANEL + j, rows + j * k);
        (w->bf16 ? w->kernels->pack_bf16 : w->kernels->pack)(rows, k, s->linear->panels + panel * HTI_PANEL * k * size);
    }
    hti_free(rows);
    return HT_OK;
}

/* ---- sizes ---- */

static linear_source square(hti_linear *linear, const hti_linear_weights *part, size_t rows, size_t columns)
{
    return (linear_source){.linear = linear, .parts = {*part}, .n_parts = 1, .n_rows = rows, .n_columns = columns};
}

/* Names the sources of a layer's four products and their padded widths. */
static void describe_layer(const hti_weights *w, const hti_bert *bert, size_t n, linear_source *s)
{
    const hti_bert_layer *from = &bert->layers[n];
    hti_bert_packed_layer *to = &w->layers[n];
    to->qkv = (hti_linear){.k = w->hidden_pad, .n = 3 * w->inner};
    to->out = (hti_linear){.k = w->inner, .n = w->hidden_pad};
    to->up = (hti_linear){.k = w->hidden_pad, .n = w->wide_pad};
    to->down = (hti_linear){.k = w->wide_pad, .n = w->hidden_pad};
    s[0] = square(&to->qkv, &from->query, bert->hidden, bert->hidden);
    s[0].parts[1] = from->key;
    s[0].parts[2] = from->value;
    s[0].n_parts = 3;
    s[0].head_rows = true;
    s[1] = square(&to->out, &from->attention_out, bert->hidden, bert->hidden);
    s[1].head_columns = true;
    s[2] = square(&to->up, &from->up, bert->intermediate, bert->hidden);
    s[3] = square(&to->down, &from->down, bert->hidden, bert->intermediate);
    for (size_t i = 0; i < 4; i++) s[i].part_rows = s[i].linear->n / s[i].n_parts;
}

static void describe_sizes(hti_weights *w, const hti_bert *bert)
{
    w->hidden = bert->hidden;
    w->hidden_pad = hti_panel_round(bert->hidden);
    w->n_heads = bert->n_heads;
    w->head_dim = bert->hidden / bert->n_heads;
    w->head_pad = hti_panel_round(w->head_dim);
    w->inner = w->n_heads * w->head_pad;
    w->wide_pad = hti_panel_round(bert->intermediate);
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
    cut_norm(w, cutter, &w->embedding_norm);
    for (size_t i = 0; i < bert->n_layers; i++) {
        hti_bert_packed_layer *layer = &w->layers[i];
        hti_linear *linears[] = {&layer->qkv, &layer->out, &layer->up, &layer->down};
        for (size_t j = 0; j < HTI_LEN(linears); j++) linears[j]->bias = cut(cutter, linears[j]->n);
        cut_norm(w, cutter, &layer->attention_norm);
        cut_norm(w, cutter, &layer->output_norm);
    }
}

static ht_status make_memory(hti_packing *packing, ht_error *err)
{
    hti_weights *w = packing->weights;
    const hti_bert *bert = &packing->model->bert;
    size_t size = 0;
    for (size_t i = 0; i < 4 * (size_t)bert->n_layers; i++) {
        const hti_linear *linear = packing->sources[i].linear;
        size = hti_add(size, hti_mul(hti_mul(linear->k, linear->n), w->bf16 ? 2 : 4));
    }
    float_cutter cutter = {NULL, 0};
    cut_floats(w, bert, &cutter);
    w->memory = hti_alloc(size);
    w->floats = HTI_NEW_ARRAY(float, cutter.used);
    if (!w->memory || !w->floats) return HTI_NO_MEMORY(err);
    cutter.base = w->floats;
    cut_floats(w, bert, &cutter);
    unsigned char *at = w->memory;
    for (size_t i = 0; i < 4 * (size_t)bert->n_layers; i++) {
        hti_linear *linear = packing->sources[i].linear;
        linear->panels = at;
        at += linear->k * linear->n * (w->bf16 ? 2 : 4);
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
    for (size_t i = 0; i < 4 * (size_t)packing->model->bert.n_layers; i++) {
        const linear_source *source = &packing->sources[i];
        const size_t n_panels = source->linear->n / HTI_PANEL;
        for (size_t first = 0; first < n_panels; first += PANELS_PER_PIECE) {
            const size_t n = HTI_MIN(n_panels - first, (size_t)PANELS_PER_PIECE);
            HT_TRY(add_piece(packing, (piece){.source = source, .first = first, .n = n}, err));
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
    packing->sources = HTI_NEW_ARRAY(linear_source, 4 * (size_t)bert->n_layers);
    if (!w->layers || !packing->sources) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < bert->n_layers; i++) describe_layer(w, bert, i, packing->sources + 4 * i);
    HT_TRY(make_memory(packing, err));
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
    if (p->source) return pack_piece(packing->weights, p, err);
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
    hti_free(packing->sources);
    hti_free(packing->pieces);
    hti_free(packing);
}

void hti_weights_deinit(hti_weights *weights)
{
    hti_free(weights->layers);
    hti_free(weights->memory);
    hti_free(weights->floats);
    *weights = (hti_weights){0};
}
