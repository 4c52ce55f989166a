/*
 * fuzz_tokenizer_json.c - tokenizer files: opening arbitrary bytes, and encoding with what opens.
 *
 * The bytes up to the first NUL are the file, those behind it the text (a fixed one if there are none).
 */
#include "codec/codec.h"
#include "text/text.h"

#include <stdlib.h>
#include <string.h>

static void require(bool held)
{
    if (!held) abort();
}

static void encode(const hti_tokenizer *tokenizer, ht_text text, size_t max_ids)
{
    const hti_encode_opts opts = {HT_DESC(hti_encode_opts), .max_ids = max_ids, .add_special = max_ids != 1};
    hti_tokenizer_session *session;
    hti_token_ids ids;
    require(hti_tokenizer_session_new(tokenizer, &session, NULL) == HT_OK);
    const hti_tokenizer_info info = hti_tokenizer_get_info(tokenizer);
    const ht_status status = hti_tokenizer_encode(session, text, &opts, &ids, NULL);
    require(status == HT_OK || (status == HT_INVALID && max_ids > 0 && max_ids < info.n_special));
    require(max_ids == 0 || ids.len <= max_ids);
    for (size_t i = 0; i < ids.len; i++)
        require(ids.ids[i] < info.n_ids && ids.starts[i] <= ids.ends[i] && ids.ends[i] <= text.len);
    hti_tokenizer_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fixed[] = "The naïve [MASK] e\u0301 technologies, 中文 [Q] foo\tbar \u0130!";
    const char *bytes = (const char *)data;
    const char *nul = size ? memchr(bytes, 0, size) : NULL;
    const size_t len = nul ? (size_t)(nul - bytes) : size;
    ht_text text = {fixed, sizeof fixed - 1};
    if (nul) text = (ht_text){nul + 1, size - len - 1};
    text.len = hti_utf8_valid(text);
    const hti_tokenizer_opts opts = {HT_DESC(hti_tokenizer_opts), .special_as_text = size % 2 == 0};
    hti_tokenizer *tokenizer;
    ht_error err = {0};
    if (hti_tokenizer_parse((ht_text){bytes, len}, "fuzz", &opts, &tokenizer, &err) != HT_OK) {
        require(tokenizer == NULL && err.message[0] != '\0');
        return 0;
    }
    for (size_t max_ids = 0; max_ids < 4; max_ids++) encode(tokenizer, text, max_ids);
    hti_tokenizer_close(tokenizer);
    return 0;
}
