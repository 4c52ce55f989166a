/*
 * test_model.c - model folders: the tiny BERT as it is, and copies of it with one thing wrong each.
 */
#include "model/model.h"

#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY HT_TEST_DATA "/golden/bert_tiny"

static char dir[TEMP_DIR_CAP];

static void write_file(const char *name, const void *data, size_t len)
{
    char path[2 * TEMP_DIR_CAP];
    ht_error err = {0};
    if (hti_replace_file(temp_dir_path(dir, name, path), data, len, &err) != HT_OK) fail_msg("%s", err.message);
}

static void write_text(const char *name, const char *text) { write_file(name, text, strlen(text)); }

static void copy_file(const char *name)
{
    char path[1024];
    hti_buffer data;
    hti_buffer_init(&data);
    (void)snprintf(path, sizeof path, "%s/%s", TINY, name);
    assert_int_equal(hti_read_file(path, 1 << 24, &data, NULL), HT_OK);
    write_file(name, data.data, data.len);
    hti_buffer_deinit(&data);
}

static int fresh_folder(void **state)
{
    (void)state;
    temp_dir_make(dir);
    copy_file("config.json");
    copy_file("model.safetensors");
    copy_file("tokenizer.json");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

static void remove_file(const char *name)
{
    char path[2 * TEMP_DIR_CAP];
    assert_int_equal(hti_remove(temp_dir_path(dir, name, path), NULL), HT_OK);
}

/* Replaces the first `from` by a `to` of the same length in a file of the folder. */
static void change(const char *name, const char *from, const char *to)
{
    char path[2 * TEMP_DIR_CAP];
    hti_buffer data;
    hti_buffer_init(&data);
    assert_int_equal(hti_read_file(temp_dir_path(dir, name, path), 1 << 24, &data, NULL), HT_OK);
    char *at = memmem(data.data, data.len, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    write_file(name, data.data, data.len);
    hti_buffer_deinit(&data);
}

/* Opens model and tokenizer; the first failure's status, with its message in err. */
static ht_status open_all(ht_error *err)
{
    hti_model *model;
    hti_tokenizer *tokenizer = NULL;
    ht_status status = hti_model_open(dir, &model, err);
    if (status == HT_OK)
        status = hti_model_tokenizer(model, &tokenizer, err);
    else
        assert_null(model);
    hti_tokenizer_close(tokenizer);
    hti_model_close(model);
    return status;
}

static void expect(ht_status status, const char *why)
{
    ht_error err = {0};
    const ht_status got = open_all(&err);
    if (got != status || !strstr(err.message, why))
        fail_msg("%s: \"%s\", wanted %s: \"%s\"", ht_status_name(got), err.message, ht_status_name(status), why);
}

static void test_whole(void **state)
{
    (void)state;
    ht_error err = {0};
    hti_model *model;
    if (hti_model_open(dir, &model, &err) != HT_OK) fail_msg("%s", err.message);
    const hti_bert *bert = &model->bert;
    assert_true(model->kind == HTI_MODEL_TRANSFORMERS && model->pooling == HTI_POOLING_MEAN &&
                model->max_tokens == 256);
    assert_true(bert->n_layers == 2 && bert->hidden == 32 && bert->n_heads == 4 && bert->intermediate == 64 &&
                bert->vocab_size == 2000);
    assert_true(bert->words->dtype == HTI_DTYPE_F32 && bert->layers[1].down.weight->shape[1] == 64);
    assert_string_equal(bert->layers[1].output_norm.bias->name, "encoder.layer.1.output.LayerNorm.bias");
    hti_model_close(model);
    hti_model_close(NULL);
    assert_int_equal(open_all(&err), HT_OK);
}

static void test_old_names(void **state)
{
    (void)state;
    hti_model *model;
    assert_int_equal(hti_model_open(HT_TEST_DATA "/golden/bert_tiny_f16", &model, NULL), HT_OK);
    assert_string_equal(model->bert.layers[0].output_norm.weight->name, "bert.encoder.layer.0.output.LayerNorm.gamma");
    assert_true(model->bert.words->dtype == HTI_DTYPE_F16);
    hti_model_close(model);
}

static void test_no_model(void **state)
{
    (void)state;
    ht_error err = {0};
    hti_model *model;
    assert_int_equal(hti_model_open("/tmp/no/such/folder", &model, &err), HT_NOT_FOUND);
    assert_string_equal(err.message, "/tmp/no/such/folder: no such model folder");
    assert_int_equal(hti_model_open(TINY "/config.json", &model, &err), HT_INVALID);
    assert_non_null(strstr(err.message, "a file, not a model folder"));
    remove_file("config.json");
    expect(HT_NOT_FOUND, "looked for config.json, model.safetensors and tokenizer.json");
}

static void test_missing_files(void **state)
{
    (void)state;
    remove_file("tokenizer.json");
    expect(HT_NOT_FOUND, "tokenizer.json: no such file");
    remove_file("model.safetensors");
    expect(HT_NOT_FOUND, "no model.safetensors beside config.json");
    write_text("pytorch_model.bin", "x");
    expect(HT_UNSUPPORTED, "convert them");
    write_text("model.safetensors.index.json", "{}");
    expect(HT_UNSUPPORTED, "several files");
}

static void test_bad_config(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
        ht_status status;
    } cases[] = {
        {"", "not valid JSON", HT_PARSE},
        {"[]", "not an object", HT_PARSE},
        {"3", "config.json:1:1: not valid JSON", HT_PARSE},
        {"{}", "\"model_type\" is missing", HT_PARSE},
        {"{\"model_type\": 3}", "must be a string", HT_PARSE},
        {"{\"model_type\": \"modernbert\"}", "architecture \"modernbert\" is not supported", HT_UNSUPPORTED},
        {"{\"model_type\": \"bert\"}", "\"num_hidden_layers\" is missing", HT_PARSE},
        {"{\"model_type\": \"bert\", \"num_hidden_layers\": 0}", "\"num_hidden_layers\" is 0, must be 1 to 1024",
         HT_PARSE},
        {"{\"model_type\": \"bert\", \"num_hidden_layers\": 2.5}", "\"num_hidden_layers\" must be an integer",
         HT_PARSE},
        {"{\"architectures\": [\"HF_ColBERT\"]}", "Stanford ColBERT layout, which is not supported yet",
         HT_UNSUPPORTED},
    };
    for (size_t i = 0; i < HTI_LEN(cases); i++) {
        write_text("config.json", cases[i].text);
        expect(cases[i].status, cases[i].why);
    }
}

static void test_config_against_weights(void **state)
{
    (void)state;
    change("config.json", "\"vocab_size\": 2000", "\"vocab_size\": 2001");
    expect(HT_CORRUPT, "\"embeddings.word_embeddings.weight\" has shape [2000, 32], config.json asks for [2001, 32]");
    copy_file("config.json");
    change("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    expect(HT_CORRUPT, "no tensor \"encoder.layer.2.attention.self.query.weight\"");
    copy_file("config.json");
    change("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 5");
    expect(HT_PARSE, "not a multiple");
    copy_file("config.json");
    change("config.json", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"relu\"");
    expect(HT_UNSUPPORTED, "\"hidden_act\" is \"relu\"");
    copy_file("config.json");
    change("config.json", "\"is_decoder\": false", "\"is_decoder\":  true");
    expect(HT_UNSUPPORTED, "a decoder");
    copy_file("config.json");
    change("config.json", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": -1.00");
    expect(HT_PARSE, "layer_norm_eps");
}

static void test_bad_weights(void **state)
{
    (void)state;
    change("model.safetensors", "encoder.layer.1.output.LayerNorm.bias", "encoder.layer.1.output.LayerNorm.bios");
    expect(HT_CORRUPT, "model.safetensors: no tensor \"encoder.layer.1.output.LayerNorm.bias\"");
    copy_file("model.safetensors");
    change("model.safetensors", "embeddings.LayerNorm.bias\":{\"dtype\":\"F32\",\"shape\":[32]",
           "embeddings.LayerNorm.bias\":{\"dtype\":\"I32\",\"shape\":[32]");
    expect(HT_UNSUPPORTED, "\"embeddings.LayerNorm.bias\" is not F32, F16 or BF16");
    copy_file("model.safetensors");
    change("model.safetensors", "[64,32]", "[32,64]");
    expect(HT_CORRUPT, "has shape [32, 64], config.json asks for [64, 32]");
}

/* Cut at a hundred places: always an error that names the file, never a crash. */
static void test_cut_weights(void **state)
{
    (void)state;
    hti_buffer data;
    hti_buffer_init(&data);
    assert_int_equal(hti_read_file(TINY "/model.safetensors", 1 << 24, &data, NULL), HT_OK);
    for (size_t cut = 0; cut < data.len; cut += 1 + data.len / 100) {
        write_file("model.safetensors", data.data, cut);
        ht_error err = {0};
        const ht_status status = open_all(&err);
        assert_true(status == HT_CORRUPT || status == HT_PARSE);
        assert_non_null(strstr(err.message, "model.safetensors"));
    }
    hti_buffer_deinit(&data);
}

static void test_foreign_tokenizer(void **state)
{
    (void)state;
    hti_buffer data;
    hti_buffer_init(&data);
    assert_int_equal(hti_read_file(HT_TEST_DATA "/golden/tokenizers/minilm/tokenizer.json", 1 << 24, &data, NULL),
                     HT_OK);
    write_file("tokenizer.json", data.data, data.len);
    hti_buffer_deinit(&data);
    expect(HT_CORRUPT,
           "ids up to 30521 do not fit the 2000 rows of the embedding \"embeddings.word_embeddings.weight\"");
}

/* ---- layouts ---- */

static const char transformer[] =
    "{\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": \"sentence_transformers.models.Transformer\"}";

static void write_modules(const char *others)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "[%s%s]", transformer, others);
    write_text("modules.json", text);
}

static void write_pooling(const char *text)
{
    char path[2 * TEMP_DIR_CAP];
    assert_int_equal(hti_make_dirs(temp_dir_path(dir, "1_Pooling", path), NULL), HT_OK);
    write_text("1_Pooling/config.json", text);
}

static const char pooling_module[] =
    ", {\"path\": \"1_Pooling\", \"type\": \"sentence_transformers.base.modules.Pooling\"}, "
    "{\"path\": \"2_Normalize\", \"type\": \"sentence_transformers.models.Normalize\"}";

static void test_sentence_transformers(void **state)
{
    (void)state;
    hti_model *model;
    write_modules(pooling_module);
    expect(HT_NOT_FOUND, "no 1_Pooling/config.json");
    write_pooling("{\"pooling_mode_cls_token\": false, \"pooling_mode_mean_tokens\": true}");
    write_text("sentence_bert_config.json", "{\"max_seq_length\": 100, \"do_lower_case\": false}");
    assert_int_equal(hti_model_open(dir, &model, NULL), HT_OK);
    assert_true(model->kind == HTI_MODEL_SENTENCE_TRANSFORMERS && model->max_tokens == 100 &&
                model->pooling == HTI_POOLING_MEAN);
    assert_true(model->mix == 0.5f && model->drops_punctuation);
    hti_model_close(model);
    write_text("sentence_bert_config.json", "{\"max_seq_length\": 1000, \"do_lower_case\": true}");
    write_pooling("{\"pooling_mode\": \"cls\"}");
    assert_int_equal(hti_model_open(dir, &model, NULL), HT_OK);
    assert_true(model->max_tokens == 256 && model->pooling == HTI_POOLING_CLS);
    hti_model_close(model);
    write_pooling("{\"pooling_mode_max_tokens\": true}");
    expect(HT_UNSUPPORTED, "pooling mode \"max_tokens\"");
    write_pooling("{\"pooling_mode_mean_tokens\": true, \"pooling_mode_cls_token\": true}");
    expect(HT_UNSUPPORTED, "and others");
    write_text("sentence_bert_config.json", "{\"max_seq_length\": \"long\"}");
    write_pooling("{\"pooling_mode\": \"mean\"}");
    expect(HT_PARSE, "\"max_seq_length\" must be an integer");
}

static void test_bad_modules(void **state)
{
    (void)state;
    write_modules(", {\"path\": \"1_Dense\", \"type\": \"sentence_transformers.models.Dense\"}");
    expect(HT_UNSUPPORTED, "module 1 is \"Dense\"");
    write_modules(", {\"path\": \"../out\", \"type\": \"sentence_transformers.models.Pooling\"}");
    expect(HT_PARSE, "module 1 has no \"path\" inside the folder");
    write_modules(", {\"type\": \"sentence_transformers.models.Pooling\"}");
    expect(HT_PARSE, "module 1 has no \"path\"");
    write_text("modules.json", "{}");
    expect(HT_PARSE, "modules.json: not an array");
    write_text("modules.json", "[]");
    expect(HT_UNSUPPORTED, "not a Transformer");
    write_text("modules.json", "[3]");
    expect(HT_PARSE, "no \"path\"");
}

static void test_layouts_to_come(void **state)
{
    (void)state;
    write_modules(", {\"path\": \"1_Dense\", \"type\": \"pylate.models.Dense.Dense\"}");
    expect(HT_UNSUPPORTED, "PyLate ColBERT layout, which is not supported yet");
    write_modules(", {\"path\": \"1_Mask\", \"type\": \"sentence_transformers.multi_vector.MultiVectorMask\"}");
    expect(HT_UNSUPPORTED, "Sentence-Transformers multi-vector layout");
    write_modules(pooling_module);
    write_text("config_sentence_transformers.json", "{\"query_prefix\": \"[Q] \"}");
    expect(HT_UNSUPPORTED, "PyLate ColBERT layout");
    write_text("config_sentence_transformers.json", "{\"model_type\": \"ColBERT\"}");
    expect(HT_UNSUPPORTED, "PyLate ColBERT layout");
    remove_file("config_sentence_transformers.json");
    remove_file("modules.json");
    write_text("artifact.metadata", "{}");
    expect(HT_UNSUPPORTED, "Stanford ColBERT layout");
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, fresh_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_whole),
        FOLDER_TEST(test_old_names),
        FOLDER_TEST(test_no_model),
        FOLDER_TEST(test_missing_files),
        FOLDER_TEST(test_bad_config),
        FOLDER_TEST(test_config_against_weights),
        FOLDER_TEST(test_bad_weights),
        FOLDER_TEST(test_cut_weights),
        FOLDER_TEST(test_foreign_tokenizer),
        FOLDER_TEST(test_sentence_transformers),
        FOLDER_TEST(test_bad_modules),
        FOLDER_TEST(test_layouts_to_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
