/* encode.c - the MaxSim of a query and a document, from their token vectors.   encode MODEL_DIR QUERY DOCUMENT */
#include "common.h"

/* Copies the vectors: the session's next call takes them back. */
static float *encode(ht_encoder_session *session, ht_role role, const char *text, size_t *n, uint32_t *dim)
{
    ht_error err = {0};
    const ht_encoder_input input = {.text = text_of(text)};
    const ht_encoding *made;
    or_die(ht_encoder_encode(session, role, &input, 1, NULL, &made, &err), &err);
    *n = made->n_vectors;
    *dim = made->dim;
    float *copy = malloc(*n * *dim * sizeof *copy);
    if (!copy) exit(1);
    memcpy(copy, made->vectors, *n * *dim * sizeof *copy);
    return copy;
}

int main(int argc, char **argv)
{
    if (argc != 4) return fprintf(stderr, "usage: encode MODEL_DIR QUERY DOCUMENT\n"), 2;
    ht_error err = {0};
    ht_encoder *encoder;
    ht_encoder_session *session;
    or_die(ht_encoder_open(argv[1], NULL, &encoder, &err), &err);
    or_die(ht_encoder_session_new(encoder, &session, &err), &err);

    size_t n_query, n_doc;
    uint32_t dim;
    float *query = encode(session, HT_ROLE_QUERY, argv[2], &n_query, &dim);
    float *doc = encode(session, HT_ROLE_DOCUMENT, argv[3], &n_doc, &dim);
    double sum = 0;
    for (size_t q = 0; q < n_query; q++) {
        double best = -2;
        for (size_t d = 0; d < n_doc; d++) {
            double dot = 0;
            for (uint32_t i = 0; i < dim; i++) dot += (double)query[q * dim + i] * (double)doc[d * dim + i];
            if (dot > best) best = dot;
        }
        sum += best;
    }
    printf("%zu x %zu vectors of %u: MaxSim %.4f\n", n_query, n_doc, dim, sum);
    free(query);
    free(doc);
    ht_encoder_session_free(session);
    ht_encoder_close(encoder);
    return 0;
}
