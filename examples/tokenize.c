/* tokenize.c - the ids and pieces that a model sees.   tokenize MODEL_DIR TEXT */
#include "common.h"

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: tokenize MODEL_DIR TEXT\n"), 2;
    ht_error err = {0};
    ht_encoder *encoder;
    ht_encoder_session *session;
    or_die(ht_encoder_open(argv[1], NULL, &encoder, &err), &err);
    or_die(ht_encoder_session_new(encoder, &session, &err), &err);

    const ht_encoder_input input = {.text = text_of(argv[2])};
    const ht_encoding *made;
    or_die(ht_encoder_tokenize(session, HT_ROLE_QUERY, &input, 1, &made, &err), &err);
    for (size_t i = 0; i < made->n_vectors; i++) {
        const ht_text piece = ht_encoder_token_text(encoder, made->token_ids[i]);
        printf("%6u  %.*s\n", made->token_ids[i], (int)piece.len, piece.data);
    }
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    return 0;
}
