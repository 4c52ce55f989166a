/*
 * added.c - finding added tokens as Hugging Face `tokenizers` does.
 *
 * The leftmost match wins, among those the longest; matches do not overlap, and one that its flags
 * turn down still uses up its text. lstrip and rstrip take in the white space beside the token.
 * Workload: a byte table is tried at each byte; BERT's tokens all start with "[", so a text is
 * walked at about the speed of memory.
 * Thread rule: constant after opening; a scan has one thread.
 * Easy to get wrong: rstrip moves where plain text goes on, but not where the search goes on.
 */
#include "added.h"

#include "unicode.h"

#include <string.h>

void hti_added_init(hti_added *added) { memset(added, 0, sizeof *added); }

void hti_added_deinit(hti_added *added)
{
    hti_free(added->tokens);
    hti_trie_deinit(&added->names);
    hti_trie_deinit(&added->raw.trie);
    hti_trie_deinit(&added->normalized.trie);
    hti_added_init(added);
}

/* Start of the character that ends at `at` > 0. */
static size_t char_before(ht_text text, size_t at)
{
    size_t start = at - 1;
    while (start > 0 && at - start < HTI_UTF8_MAX && ((unsigned char)text.data[start] & 0xC0) == 0x80) start--;
    return start;
}

static bool has_flag(ht_text text, size_t at, unsigned flag)
{
    uint32_t code;
    (void)hti_utf8_decode(text.data + at, text.data + text.len, &code);
    return hti_char_of(code)->flags & flag;
}

static bool is_single_word(ht_text text, size_t start, size_t stop)
{
    if (start > 0 && has_flag(text, char_before(text, start), HTI_HF_WORD)) return false;
    return stop == text.len || !has_flag(text, stop, HTI_HF_WORD);
}

static size_t strip_left(ht_text text, size_t start)
{
    while (start > 0) {
        const size_t before = char_before(text, start);
        if (!has_flag(text, before, HTI_HF_SPACE)) break;
        start = before;
    }
    return start;
}

static size_t strip_right(ht_text text, size_t stop)
{
    while (stop < text.len && has_flag(text, stop, HTI_HF_SPACE)) {
        uint32_t code;
        stop += hti_utf8_decode(text.data + stop, text.data + text.len, &code);
    }
    return stop;
}

bool hti_added_next(hti_added_scan *scan, hti_added_match *out)
{
    const ht_text text = scan->sentence;
    if (scan->set->n == 0) return false;
    while (scan->resume < text.len) {
        size_t len = 0;
        const size_t start = scan->resume;
        uint32_t number = HTI_TRIE_NONE;
        if (scan->set->first[(unsigned char)text.data[start]])
            number = hti_trie_longest(&scan->set->trie, text, start, &len);
        if (number == HTI_TRIE_NONE) {
            scan->resume++;
            continue;
        }
        const hti_added_token *token = &scan->added->tokens[number];
        scan->resume = start + len;
        if (scan->special_as_text && token->special) continue;
        if (token->single_word && !is_single_word(text, start, start + len)) continue;
        *out = (hti_added_match){number, start, start + len};
        if (token->lstrip) out->start = HTI_MAX(strip_left(text, start), scan->done);
        if (token->rstrip) out->stop = strip_right(text, out->stop);
        return true;
    }
    return false;
}
