/*
 * fuzz_analyzer.c - analyzers: tokens lie in order inside the text, on its characters, and are valid UTF-8.
 *
 * The longest valid prefix must be analyzed; the bytes as they are may be refused, but nothing more.
 */
#include "codec/codec.h"
#include "text/text.h"

#include <stdlib.h>

static void require(bool held)
{
    if (!held) abort();
}

static void check(ht_text text, const ht_tokens *tokens)
{
    size_t n, last = 0;
    const ht_token *view = ht_tokens_view(tokens, &n);
    for (size_t i = 0; i < n; i++) {
        const ht_token *t = &view[i];
        require(t->start >= last && t->end > t->start && t->end <= text.len && t->position_increment > 0);
        require(t->text.len > 0 && hti_utf8_valid(t->text) == t->text.len);
        require(((unsigned char)text.data[t->start] & 0xC0) != 0x80);
        require(t->end == text.len || ((unsigned char)text.data[t->end] & 0xC0) != 0x80);
        last = t->end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ht_text bytes = {(const char *)data, size};
    const ht_text text = {bytes.data, hti_utf8_valid(bytes)};
    ht_tokens *tokens;
    require(ht_tokens_new(&tokens, NULL) == HT_OK);
    for (size_t i = 0; ht_analyzer_name_at(i); i++) {
        const ht_analyzer *analyzer;
        require(ht_analyzer_find(ht_analyzer_name_at(i), &analyzer, NULL) == HT_OK);
        const ht_status status = ht_analyzer_run(analyzer, bytes, tokens, NULL);
        require(status == HT_OK || status == HT_INVALID);
        require(ht_analyzer_run(analyzer, text, tokens, NULL) == HT_OK);
        check(text, tokens);
    }
    ht_tokens_free(tokens);
    return 0;
}
