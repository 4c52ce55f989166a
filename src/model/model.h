/*
 * model.h - the door of the room that reads model folders: weights and configuration of every layout in one
 * description.
 *
 * Nothing in a folder is trusted: offsets, types and shapes are checked once, at open, and a tensor that is handed
 * out has
 * the shape that the configuration asks for. Errors name file, tensor and reason.
 */
#ifndef HTI_MODEL_MODEL_H
#define HTI_MODEL_MODEL_H

#include "base/base.h"
#include "os/os.h"
#include "text/text.h"

/* ---- safetensors ---- */

/* Types that weights may have; OTHER is a known type that no weight of ours has (integers, F64, F8). */
typedef enum hti_dtype { HTI_DTYPE_F32, HTI_DTYPE_F16, HTI_DTYPE_BF16, HTI_DTYPE_OTHER } hti_dtype;

enum { HTI_TENSOR_DIMS = 8 };

typedef struct hti_tensor {
    const char *name;
    const unsigned char *data; /* little-endian, any alignment, row-major */
    size_t size_bytes, n_elements;
    uint64_t shape[HTI_TENSOR_DIMS];
    uint32_t n_dims;
    hti_dtype dtype;
} hti_tensor;

/* A mapped safetensors file; immutable, any thread. */
typedef struct hti_safetensors hti_safetensors;
HT_CHECKED ht_status hti_safetensors_open(const char *path, hti_safetensors **out, ht_error *err);
/* The same over bytes in memory, which must outlive it; `name` goes in front of messages. */
HT_CHECKED ht_status hti_safetensors_view(const void *data, size_t len, const char *name, hti_safetensors **out,
                                          ht_error *err);
void hti_safetensors_close(hti_safetensors *file);
/* A tensor by name; NULL if there is none. */
const hti_tensor *hti_safetensors_find(const hti_safetensors *file, const char *name);
/* Tensors in the order of their data. */
const hti_tensor *hti_safetensors_all(const hti_safetensors *file, size_t *n);
const char *hti_safetensors_name(const hti_safetensors *file);

/* ---- models ---- */

typedef enum hti_model_kind {
    HTI_MODEL_TRANSFORMERS,          /* config.json and weights alone */
    HTI_MODEL_SENTENCE_TRANSFORMERS, /* modules.json: Transformer, Pooling, perhaps Normalize */
} hti_model_kind;

typedef enum hti_pooling { HTI_POOLING_MEAN, HTI_POOLING_CLS } hti_pooling;

/* Weight [n_out, n_in] and bias [n_out] of a linear layer: y = W x + b. */
typedef struct hti_linear_weights {
    const hti_tensor *weight, *bias;
} hti_linear_weights;

/* BERT as transformers' BertModel computes it: post-norm, exact GELU, learned positions. */
typedef struct hti_bert_layer {
    hti_linear_weights query, key, value, attention_out, up, down;
    hti_linear_weights attention_norm, output_norm; /* [hidden] both */
} hti_bert_layer;

typedef struct hti_bert {
    uint32_t n_layers, hidden, n_heads, intermediate, vocab_size, max_positions;
    float norm_eps;
    const hti_tensor *words;     /* [vocab_size, hidden] */
    const hti_tensor *positions; /* [max_positions, hidden] */
    const hti_tensor *types;     /* [>= 1, hidden]: row 0 counts */
    hti_linear_weights embedding_norm;
    hti_bert_layer *layers; /* [n_layers] */
} hti_bert;

typedef struct hti_model {
    hti_model_kind kind;
    const char *architecture; /* "bert"; a row of the table of architectures */
    hti_bert bert;
    hti_pooling pooling;
    uint32_t max_tokens;    /* ids a text, special ones included */
    float mix;              /* share of the pooled vector in each token vector */
    bool drops_punctuation; /* of documents */
    uint64_t n_parameters;  /* elements of all float tensors in the file */
    hti_safetensors *file;
    char *tokenizer_path;
} hti_model;

/*
 * Reads a model folder: recognises the layout, checks configuration and every tensor the model needs. NOT_FOUND
 * names what
 * was looked for; UNSUPPORTED names a layout or architecture that is recognised but not written yet.
 */
HT_CHECKED ht_status hti_model_open(const char *dir, hti_model **out, ht_error *err);
void hti_model_close(hti_model *model);
/* Opens the model's tokenizer and checks that its ids fit the embeddings and that it adds special ids. */
HT_CHECKED ht_status hti_model_tokenizer(const hti_model *model, hti_tokenizer **out, ht_error *err);

#endif
