/*
 * encoder.h - the door of the encoder's room: the public functions, and what tests of the forward pass need.
 */
#ifndef HTI_ENCODER_ENCODER_H
#define HTI_ENCODER_ENCODER_H

#include "base/base.h"

#include <houndstooth/encoder.h>

/* A model's input as ids, for comparison with reference libraries. */
typedef struct hti_forward_input {
    const uint32_t *ids;      /* [n] */
    const uint8_t *attention; /* [n] 0: not seen as a key; NULL: all are seen */
    size_t n;                 /* 1 .. max_tokens */
    size_t n_layers;          /* states behind so many layers; 0: behind the embeddings */
} hti_forward_input;

/* Hidden states [n, hidden] into `hidden`. INVALID for an id outside the vocabulary. */
HT_CHECKED ht_status hti_encoder_forward_ids(ht_encoder_session *session, const hti_forward_input *input, float *hidden,
                                             ht_error *err);

#endif
