/*
 * encoder.c - opening a model: description, profile, tokenizer and packed weights, and what can be asked of it.
 *
 * Opening runs on the pool in one section: the tokenizer is piece 0, the packing and hashing of weights the rest,
 * so the
 * time to a first answer is the longer of the two and not their sum.
 * The digest covers what vectors depend on: tensors, tokenizer file and the configuration read; not the profile,
 * which its users keep beside it.
 * Easy to get wrong: precision is not in the digest, bf16 and f32 vectors of a model may meet.
 */
#include "encoder_int.h"

#include <stdio.h>
#include <string.h>

void ht_encoder_opts_init(ht_encoder_opts *opts)
{
    *opts = (ht_encoder_opts){HT_DESC(ht_encoder_opts), .precision = HT_PRECISION_AUTO, .mix = -1.0f,
                              .keep_punctuation = -1};
}

/* ---- options and profile ---- */

static ht_status read_opts(const ht_encoder_opts *given, ht_encoder_opts *out, ht_error *err)
{
    ht_encoder_opts_init(out);
    if (!given) return HT_OK;
    if (given->size < sizeof given->size || given->size > sizeof *given)
        return HT_FAIL(err, INVALID, "encoder options of %u bytes: call ht_encoder_opts_init first", given->size);
    memcpy(out, given, given->size);
    out->size = (uint32_t)sizeof *out;
    if (!(out->mix <= 1000.0f)) return HT_FAIL(err, INVALID, "mix %g is not a share", (double)out->mix);
    return HT_OK;
}

static ht_status choose_precision(const ht_encoder_opts *opts, hti_weights *weights, ht_error *err)
{
    weights->kernels = hti_encoder_kernels_get();
    const bool fast = hti_cpu_level() == HTI_CPU_AMX && weights->kernels->gemm_bf16;
    if (opts->precision == HT_PRECISION_BF16 && !fast)
        return HT_FAIL(err, UNSUPPORTED, "bf16 needs a CPU with AMX, this one gives %s; take f32 or auto",
                       ht_cpu_name());
    weights->bf16 = fast && opts->precision != HT_PRECISION_F32;
    return HT_OK;
}

static ht_status choose_profile(const ht_encoder_opts *opts, ht_encoder *encoder, ht_error *err)
{
    const hti_model *model = encoder->model;
    const hti_bert *bert = &model->bert;
    if (opts->max_tokens > bert->max_positions)
        return HT_FAIL(err, INVALID, "max_tokens is %u, the model has %u positions", opts->max_tokens,
                       bert->max_positions);
    encoder->info = (ht_encoder_info){
        HT_DESC(ht_encoder_info),
        .dim = bert->hidden,
        .n_layers = bert->n_layers,
        .hidden = bert->hidden,
        .vocab_size = bert->vocab_size,
        .max_tokens = opts->max_tokens ? opts->max_tokens : model->max_tokens,
        .precision = encoder->weights.bf16 ? HT_PRECISION_BF16 : HT_PRECISION_F32,
        .mix = opts->mix < 0 ? model->mix : opts->mix,
        .keeps_punctuation = opts->keep_punctuation < 0 ? !model->drops_punctuation : opts->keep_punctuation > 0,
        .n_parameters = model->n_parameters,
    };
    (void)snprintf(encoder->info.architecture, sizeof encoder->info.architecture, "%s", model->architecture);
    return HT_OK;
}

/* ---- pieces of opening ---- */

typedef struct open_job {
    ht_encoder *encoder;
    hti_packing *packing;
    uint64_t tokenizer_hash;
} open_job;

static ht_status open_tokenizer(open_job *job, ht_error *err)
{
    ht_encoder *encoder = job->encoder;
    HT_TRY(hti_model_tokenizer(encoder->model, &encoder->tokenizer, err));
    hti_mapping file;
    HT_TRY(hti_map_file(encoder->model->tokenizer_path, &file, err));
    job->tokenizer_hash = hti_hash(file.data, file.len);
    hti_unmap_file(&file);
    return HT_OK;
}

static ht_status run_piece(void *ud, size_t chunk, size_t thread, ht_error *err)
{
    open_job *job = ud;
    (void)thread;
    return chunk == 0 ? open_tokenizer(job, err) : hti_packing_run(job->packing, chunk - 1, err);
}

/* The 32 ASCII punctuation marks, as far as each is a token of its own. */
static ht_status find_punctuation(ht_encoder *encoder, ht_error *err)
{
    static const char marks[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    encoder->punctuation = hti_alloc_zero(hti_mul(hti_bits_words(encoder->info.vocab_size), sizeof(uint64_t)));
    if (!encoder->punctuation) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < sizeof marks - 1; i++) {
        const uint32_t id = hti_tokenizer_token_id(encoder->tokenizer, (ht_text){marks + i, 1});
        if (id != HTI_TOKEN_NONE) hti_bits_set(encoder->punctuation, id);
    }
    return HT_OK;
}

static ht_status make_digest(const open_job *job, ht_error *err)
{
    ht_encoder_info *info = &job->encoder->info;
    const hti_model *model = job->encoder->model;
    unsigned char facts[64] = {0};
    uint64_t weights;
    HT_TRY(hti_packing_digest(job->packing, &weights, err));
    hti_put_u64(facts, weights);
    hti_put_u64(facts + 8, job->tokenizer_hash);
    hti_put_u32(facts + 16, model->bert.n_layers);
    hti_put_u32(facts + 20, model->bert.n_heads);
    hti_put_f32(facts + 24, model->bert.norm_eps);
    hti_put_u32(facts + 28, (uint32_t)model->pooling);
    memcpy(facts + 48, model->architecture, HTI_MIN(strlen(model->architecture), (size_t)16));
    (void)snprintf(info->digest, sizeof info->digest, "%016llx", (unsigned long long)hti_hash(facts, sizeof facts));
    return HT_OK;
}

static ht_status open_parts(ht_encoder *encoder, open_job *job, ht_error *err)
{
    HT_TRY(hti_packing_new(&encoder->weights, encoder->model, &job->packing, err));
    HT_TRY(hti_pool_run(encoder->pool, 1 + hti_packing_pieces(job->packing), run_piece, job, err));
    const hti_tokenizer_info tokenizer = hti_tokenizer_get_info(encoder->tokenizer);
    if (tokenizer.n_special >= encoder->info.max_tokens)
        return HT_FAIL(err, INVALID, "max_tokens is %u: no room beside %u special tokens", encoder->info.max_tokens,
                       tokenizer.n_special);
    HT_TRY(find_punctuation(encoder, err));
    return make_digest(job, err);
}

static ht_status open_encoder(ht_encoder *encoder, const char *model_dir, const ht_encoder_opts *given, ht_error *err)
{
    ht_encoder_opts opts;
    HT_TRY(read_opts(given, &opts, err));
    encoder->pool = opts.pool;
    HT_TRY(choose_precision(&opts, &encoder->weights, err));
    HT_TRY(hti_model_open(model_dir, &encoder->model, err));
    HT_TRY(choose_profile(&opts, encoder, err));
    open_job job = {encoder, NULL, 0};
    const ht_status status = open_parts(encoder, &job, err);
    hti_packing_free(job.packing);
    return status;
}

ht_status ht_encoder_open(const char *model_dir, const ht_encoder_opts *opts, ht_encoder **out, ht_error *err)
{
    *out = NULL;
    ht_encoder *encoder = HTI_NEW(ht_encoder);
    if (!encoder) return HTI_NO_MEMORY(err);
    const ht_status status = open_encoder(encoder, model_dir, opts, err);
    if (status == HT_OK)
        *out = encoder;
    else
        ht_encoder_close(encoder);
    return status;
}

void ht_encoder_close(ht_encoder *encoder)
{
    if (!encoder) return;
    hti_weights_deinit(&encoder->weights);
    hti_tokenizer_close(encoder->tokenizer);
    hti_model_close(encoder->model);
    hti_free(encoder->punctuation);
    hti_free(encoder);
}

/* ---- asking ---- */

void ht_encoder_get_info(const ht_encoder *encoder, ht_encoder_info *info)
{
    const uint32_t size = HTI_MIN(info->size, (uint32_t)sizeof *info);
    memcpy(info, &encoder->info, size);
    info->size = size;
}

ht_text ht_encoder_token_text(const ht_encoder *encoder, uint32_t id)
{
    return hti_tokenizer_token_text(encoder->tokenizer, id);
}
