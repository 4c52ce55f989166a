/*
 * words.c - default word boundaries of Unicode Standard Annex #29.
 *
 * One pass from the left. What the rules look back on is kept in `state`: the last character as it
 * stands (rules WB3 to WB3d), and the last two that count, that is without the extenders, formats
 * and joiners that WB4 skips. Three rules look ahead over at most one skipped run (WB6, WB7b, WB12).
 * Pairs of regional indicators (WB15, WB16) are counted inside a segment, since a boundary falls
 * behind each pair. Conformance: every line of WordBreakTest.txt, tests/unit/text/test_words.c.
 * Thread rule: the iterator has one thread; tables are constant.
 * Easy to get wrong: an extender at the start of the text or behind a line end is not skipped; it
 * counts as a character of its own.
 */
#include "words.h"

typedef struct state {
    uint8_t raw;           /* class of the last character */
    uint8_t last, earlier; /* classes of the last two that count */
    unsigned n_regional;   /* regional indicators in a row that count, up to `last` */
} state;

static bool is_line_end(uint8_t wb) { return wb == HTI_WB_CR || wb == HTI_WB_LF || wb == HTI_WB_NEWLINE; }
static bool is_skipped(uint8_t wb) { return wb == HTI_WB_EXTEND || wb == HTI_WB_FORMAT || wb == HTI_WB_ZWJ; }
static bool is_letter(uint8_t wb) { return wb == HTI_WB_ALETTER || wb == HTI_WB_HEBREW; }
static bool is_mid_num_let_q(uint8_t wb) { return wb == HTI_WB_MIDNUMLET || wb == HTI_WB_SQ; }
static bool is_mid_letter(uint8_t wb) { return wb == HTI_WB_MIDLETTER || is_mid_num_let_q(wb); }
static bool is_mid_num(uint8_t wb) { return wb == HTI_WB_MIDNUM || is_mid_num_let_q(wb); }

/* Class of the first character from `at` on that counts, or OTHER at the end. */
static uint8_t class_ahead(const char *at, const char *end)
{
    while (at < end) {
        uint32_t code;
        at += hti_utf8_decode(at, end, &code);
        const uint8_t wb = hti_char_of(code)->wb;
        if (!is_skipped(wb)) return wb;
    }
    return HTI_WB_OTHER;
}

/* WB5 to WB7c: letters and what stands between them. */
static bool joins_letters(const state *s, uint8_t wb, const char *behind, const char *end)
{
    if (is_letter(s->last) && is_letter(wb)) return true;
    if (is_letter(s->last) && is_mid_letter(wb) && is_letter(class_ahead(behind, end))) return true;
    if (is_letter(s->earlier) && is_mid_letter(s->last) && is_letter(wb)) return true;
    if (s->last == HTI_WB_HEBREW && wb == HTI_WB_SQ) return true;
    if (s->last == HTI_WB_HEBREW && wb == HTI_WB_DQ && class_ahead(behind, end) == HTI_WB_HEBREW) return true;
    return s->earlier == HTI_WB_HEBREW && s->last == HTI_WB_DQ && wb == HTI_WB_HEBREW;
}

/* WB8 to WB12: digits. */
static bool joins_digits(const state *s, uint8_t wb, const char *behind, const char *end)
{
    if (s->last == HTI_WB_NUMERIC && (wb == HTI_WB_NUMERIC || is_letter(wb))) return true;
    if (is_letter(s->last) && wb == HTI_WB_NUMERIC) return true;
    if (s->earlier == HTI_WB_NUMERIC && is_mid_num(s->last) && wb == HTI_WB_NUMERIC) return true;
    return s->last == HTI_WB_NUMERIC && is_mid_num(wb) && class_ahead(behind, end) == HTI_WB_NUMERIC;
}

/* WB13 to WB13b: Katakana and connectors. */
static bool joins_connectors(const state *s, uint8_t wb)
{
    const bool word = is_letter(s->last) || s->last == HTI_WB_NUMERIC || s->last == HTI_WB_KATAKANA;
    if (s->last == HTI_WB_KATAKANA && wb == HTI_WB_KATAKANA) return true;
    if (wb == HTI_WB_EXTENDNUMLET) return word || s->last == HTI_WB_EXTENDNUMLET;
    return s->last == HTI_WB_EXTENDNUMLET && (is_letter(wb) || wb == HTI_WB_NUMERIC || wb == HTI_WB_KATAKANA);
}

/* Is there no boundary between what `s` has seen and the next character, which is followed by `behind`? */
static bool joins(const state *s, const hti_char *next, const char *behind, const char *end)
{
    const uint8_t wb = next->wb;
    if (s->raw == HTI_WB_CR && wb == HTI_WB_LF) return true;
    if (is_line_end(s->raw) || is_line_end(wb)) return false;
    if (s->raw == HTI_WB_ZWJ && (next->flags & HTI_EXT_PICT)) return true;
    if (s->raw == HTI_WB_WSEGSPACE && wb == HTI_WB_WSEGSPACE) return true;
    if (is_skipped(wb)) return true;
    if (s->last == HTI_WB_RI && wb == HTI_WB_RI) return s->n_regional % 2 == 1;
    return joins_letters(s, wb, behind, end) || joins_digits(s, wb, behind, end) || joins_connectors(s, wb);
}

bool hti_words_next(hti_words *words, ht_text *segment)
{
    if (words->at >= words->text.len) return false;
    const char *const end = words->text.data + words->text.len, *const start = words->text.data + words->at;
    uint32_t code;
    const char *at = start + hti_utf8_decode(start, end, &code);
    const uint8_t first = hti_char_of(code)->wb;
    state s = {first, first, HTI_WB_OTHER, first == HTI_WB_RI};
    while (at < end) {
        const char *behind = at + hti_utf8_decode(at, end, &code);
        const hti_char *next = hti_char_of(code);
        if (!joins(&s, next, behind, end)) break;
        s.raw = next->wb;
        if (!is_skipped(next->wb)) {
            s.n_regional = next->wb == HTI_WB_RI ? s.n_regional + 1 : 0;
            s.earlier = s.last;
            s.last = next->wb;
        }
        at = behind;
    }
    *segment = (ht_text){start, (size_t)(at - start)};
    words->at += segment->len;
    return true;
}
