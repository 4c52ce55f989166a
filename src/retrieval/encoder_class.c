/*
 * encoder_class.c - the encoder as a class, and the nodes that encode one passage or query.
 *
 * encode(text, is_query): text is a string or a struct {text, title}. The batch form encodes all rows in one call; the
 * texts of one call are rows of the same matrices, but each row's vectors are its own (docs/pitfalls.md).
 */
#include "retrieval_int.h"

#include <houndstooth/collection.h>

typedef struct encoder {
    ht_encoder *model;
    ht_encoder_session *session;
    ht_pool *pool;
} encoder;

static void encoder_fini(void *self)
{
    encoder *e = self;
    ht_encoder_session_free(e->session);
    if (e->model) ht_encoder_close(e->model);
    ht_pool_free(e->pool);
    hti_free(e);
}

static ht_status open_model(encoder *e, ht_value args, ht_error *err)
{
    static const char *const precisions[] = {"auto", "f32", "bf16"};
    char path[4096];
    ht_encoder_opts opts;
    const char *precision = ht_value_text(hti_field(args, "precision")).data;
    const ht_value mix = hti_field(args, "mix");
    size_t at = 0, threads;
    ht_encoder_opts_init(&opts);
    while (at < HTI_LEN(precisions) && strcmp(precision, precisions[at]) != 0) at++;
    if (at == HTI_LEN(precisions))
        return HT_FAIL(err, INVALID, "precision is auto, f32 or bf16, not '%.60s'", precision);
    opts.precision = (ht_precision)at;
    opts.mix = mix.kind == HT_KIND_INT ? (float)mix.as.integer : (float)mix.as.number;
    HT_TRY(hti_count_of(hti_field(args, "threads"), "threads", 0, &threads, err));
    HT_TRY(ht_model_find(ht_value_text(hti_field(args, "model")).data, path, sizeof path, err));
    if (threads != 1) HT_TRY(ht_pool_new(threads, &e->pool, err));
    opts.pool = e->pool;
    HT_TRY(ht_encoder_open(path, &opts, &e->model, err));
    return ht_encoder_session_new(e->model, &e->session, err);
}

static ht_status encoder_init(void **self, ht_value args, ht_error *err)
{
    encoder *e = HTI_NEW(encoder);
    if (!e) return HTI_NO_MEMORY(err);
    const ht_status status = open_model(e, args, err);
    if (status == HT_OK)
        *self = e;
    else
        encoder_fini(e);
    return status;
}

static ht_status input_of(ht_value value, ht_encoder_input *out, ht_error *err)
{
    *out = (ht_encoder_input){{"", 0}, {"", 0}};
    if (value.kind == HT_KIND_STRING) {
        out->text = ht_value_text(value);
        return HT_OK;
    }
    HT_TRY(hti_text_field(value, "text", "a text to encode", &out->text, err));
    const ht_value title = hti_field(value, "title");
    if (title.kind == HT_KIND_STRING) out->title = ht_value_text(title);
    return HT_OK;
}

static ht_status embedding_of(const ht_encoding *made, size_t i, ht_value *out, ht_error *err)
{
    const size_t first = made->offsets[i];
    const int64_t shape[] = {(int64_t)(made->offsets[i + 1] - first), made->dim};
    ht_value vectors, pooled;
    HT_TRY(ht_value_tensor(HT_F32, 2, shape, made->vectors + first * made->dim, &vectors, err));
    const ht_status status = ht_value_tensor(HT_F32, 1, shape + 1, made->pooled + i * made->dim, &pooled, err);
    if (status != HT_OK) {
        ht_value_release(vectors);
        return status;
    }
    return hti_pair("vectors", vectors, "pooled", pooled, out, err);
}

static ht_status encode_batch(void *self, size_t n, const ht_column *in, ht_value *const *out, ht_error *err)
{
    encoder *e = self;
    const ht_encoding *made;
    const ht_role role = in[1].rows[0].as.boolean ? HT_ROLE_QUERY : HT_ROLE_DOCUMENT;
    if (in[1].rows[0].kind != HT_KIND_BOOL) return HT_FAIL(err, INVALID, "'is_query' is true or false");
    ht_encoder_input *inputs = HTI_NEW_ARRAY(ht_encoder_input, n);
    ht_status status = inputs ? HT_OK : HTI_NO_MEMORY(err);
    for (size_t i = 0; status == HT_OK && i < n; i++) status = input_of(in[0].rows[i], &inputs[i], err);
    if (status == HT_OK) status = ht_encoder_encode(e->session, role, inputs, n, NULL, &made, err);
    for (size_t i = 0; status == HT_OK && i < n; i++) status = embedding_of(made, i, &out[0][i], err);
    hti_free(inputs);
    return status;
}

static ht_status encode_row(void *self, const ht_value *in, ht_value *out, ht_error *err)
{
    const ht_column columns[] = {{&in[0], false}, {&in[1], true}};
    return encode_batch(self, 1, columns, &out, err);
}

static const ht_parameter parameters[] = {
    {"model", "string", "\"default\"", "name of an installed model, or its folder"},
    {"precision", "string", "\"auto\"", "auto, f32 or bf16"},
    {"mix", "float", "-1", "share of the pooled vector in each token's; negative: the model's own"},
    {"threads", "int", "0", "0: one a CPU"},
};
static const ht_method methods[] = {
    {"encode", 2, {.row = encode_row, .batch = encode_batch, .batch_size = 64}},
};
const ht_class hti_encoder_class = {HT_DESC(ht_class),        .name = "Encoder",
                                    .init = encoder_init,     .fini = encoder_fini,
                                    .methods = methods,       .n_methods = HTI_LEN(methods),
                                    .version = "1",           .summary = "token vectors and a pooled vector of texts",
                                    .parameters = parameters, .n_parameters = HTI_LEN(parameters)};

/* ---- nodes ---- */

static ht_status encode_one(ht_body *body, const ht_value *in, bool is_query, ht_value *out, ht_error *err)
{
    static const char *const names[] = {"uuid", "text", "embedding"};
    const ht_value args[] = {in[0], ht_value_bool(is_query)};
    ht_value embedding;
    const ht_status status = ht_await(body, in[1], "encode", args, 2, &embedding, err);
    if (status != HT_OK) return status; /* HT_PARKED too: the body runs again with the answer at hand */
    const ht_value values[] = {hti_field(in[0], "uuid"), hti_field(in[0], "text"), embedding};
    return ht_value_struct(names, values, 3, &out[0], err);
}

static ht_status encode_passage(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return encode_one(body, in, false, out, err);
}

static ht_status encode_query(void *self, ht_body *body, const ht_value *in, ht_value *out, ht_error *err)
{
    (void)self;
    return encode_one(body, in, true, out, err);
}

static const ht_input passage_in[] = {{"passage", NULL}, {"encoder", NULL}},
                      query_in[] = {{"query", NULL}, {"encoder", NULL}};
static const char *const passage_out[] = {"encoded_passage"}, *const query_out[] = {"encoded_query"};
static const ht_node_desc passage_node = HTI_BODY_NODE("encode_passage", passage_in, passage_out, encode_passage,
                                                       "a passage with its embedding, by encoder.encode");
static const ht_node_desc query_node =
    HTI_BODY_NODE("encode_query", query_in, query_out, encode_query, "a query with its embedding, by encoder.encode");
static const ht_node_desc *const nodes[] = {&passage_node, &query_node};
const hti_node_list hti_encode_nodes = {nodes, HTI_LEN(nodes)};
