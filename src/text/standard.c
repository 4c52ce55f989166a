/*
 * standard.c - words as Lucene's StandardTokenizer (10.4) cuts them.
 *
 * Its grammar is a set of regular expressions over character classes of Unicode 12.1,
 * tried at each position: the longest match wins, the earlier rule on a tie, and a character that
 * no rule takes is skipped. (It follows UAX #29 but is not the same: words.c is that.) Here:
 *   words    one automaton for numbers, words, Hangul and Katakana; what has been seen tells the type
 *   emoji    a set of automaton states in the bits of a word, tried where an emoji can start
 *   runs     South East Asian characters together; Han and Hiragana one by one
 * Every element of a rule may be followed by extenders, formats and joiners (class EXT), which keep
 * the automaton where it is. A match may not reach beyond 255 UTF-16 units: Lucene's buffer.
 * Workload: mostly ASCII, one table step a byte; other characters cost a decode and two look-ups.
 * Thread rule: pure functions over constant tables.
 * Easy to get wrong: a Hebrew letter that a middle mark has just joined is no longer free to take the
 * quote behind it (state A against H).
 */
#include "standard.h"

/* ---- words ---- */

/*
 * States of the word automaton. E* only at the start; behind a middle mark the match ends before the
 * mark unless the right class follows.
 */
enum {
    START, /* nothing but connectors */
    A,     /* a letter */
    H,     /* a Hebrew letter that may still take a quote */
    N,     /* a digit */
    K,     /* Katakana */
    E,     /* a connector behind a word */
    D,     /* a Hebrew letter and its quote */
    N_STATES_ACCEPTING = D + 1,
    A_MID = N_STATES_ACCEPTING, /* a letter and a mark that wants a letter */
    N_MID,                      /* a digit and a mark that wants a digit */
    H_DQ,                       /* a Hebrew letter and a double quote */
    N_STATES,
    DEAD = N_STATES
};

#define X DEAD
static const uint8_t step[N_STATES][HTI_STD_CLASSES] = {
    /*          other letter Hebrew digit Kata conn midL   midN   midNL  '      "     ext */
    [START] = {X, A, H, N, K, START, X, X, X, X, X, START},
    [A] = {X, A, H, N, X, E, A_MID, X, A_MID, A_MID, X, A},
    [H] = {X, A, H, N, X, E, A_MID, X, A_MID, D, H_DQ, H},
    [N] = {X, A, H, N, X, E, X, N_MID, N_MID, N_MID, X, N},
    [K] = {X, X, X, X, K, E, X, X, X, X, X, K},
    [E] = {X, A, H, N, K, E, X, X, X, X, X, E},
    [D] = {X, A, H, N, X, E, X, X, X, X, X, D},
    [A_MID] = {X, A, A, X, X, X, X, X, X, X, X, A_MID},
    [N_MID] = {X, X, X, N, X, X, X, X, X, X, X, N_MID},
    [H_DQ] = {X, X, D, X, X, X, X, X, X, X, X, H_DQ},
};
#undef X

/* Class of each ASCII character, as in the table of all characters: 1 is HTI_STD_ALETTER, 3 HTI_STD_NUMERIC. */
/* clang-format off */
static const uint8_t ascii_class[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, HTI_STD_DQ, 0, 0, 0, 0, HTI_STD_SQ, 0, 0, 0, 0, HTI_STD_MIDNUM, 0, HTI_STD_MIDNUMLET, 0,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, HTI_STD_MIDLETTER, HTI_STD_MIDNUM, 0, 0, 0, 0,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, HTI_STD_EXTENDNUMLET,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
};
/* clang-format on */

/* What a word is made of, for its type. */
enum { SEEN_LETTER = 1, SEEN_DIGIT = 2, SEEN_KATAKANA = 4, SEEN_HANGUL = 8, SEEN_CONNECTOR = 16, SEEN_MID = 32 };
static const uint8_t seen_of_class[HTI_STD_CLASSES] = {
    [HTI_STD_ALETTER] = SEEN_LETTER,         [HTI_STD_HEBREW] = SEEN_LETTER, [HTI_STD_NUMERIC] = SEEN_DIGIT,
    [HTI_STD_KATAKANA] = SEEN_KATAKANA,      [HTI_STD_MIDLETTER] = SEEN_MID, [HTI_STD_MIDNUM] = SEEN_MID,
    [HTI_STD_EXTENDNUMLET] = SEEN_CONNECTOR, [HTI_STD_SQ] = SEEN_MID,        [HTI_STD_DQ] = SEEN_MID,
    [HTI_STD_MIDNUMLET] = SEEN_MID,
};

static hti_std_type type_of_word(unsigned seen)
{
    if (!(seen & (SEEN_LETTER | SEEN_HANGUL | SEEN_KATAKANA))) return HTI_STD_TYPE_NUM;
    if (seen == SEEN_HANGUL) return HTI_STD_TYPE_HANGUL;
    return seen == SEEN_KATAKANA ? HTI_STD_TYPE_KATAKANA : HTI_STD_TYPE_ALPHANUM;
}

/* Where a match may reach: `at` moves over characters until the text or Lucene's buffer ends. */
typedef struct window {
    const char *at, *end;
    size_t units; /* UTF-16 units consumed */
} window;

/* The next character; false at the end of the window. */
static bool take(window *w, uint32_t *code)
{
    if (w->at == w->end) return false;
    const size_t len = hti_utf8_decode(w->at, w->end, code);
    const size_t units = *code >= 0x10000 ? 2 : 1;
    if (w->units + units > HTI_TOKEN_UNITS) return false;
    w->units += units;
    w->at += len;
    return true;
}

/* Bytes of the longest word at the window's start, 0 if there is none. */
static size_t match_word(window w, hti_std_type *type, bool *ascii)
{
    const char *const first = w.at;
    const char *accepted = first;
    unsigned seen = 0, seen_accepted = 0, high = 0, high_accepted = 0;
    for (unsigned state = START;;) {
        unsigned class, mark;
        if (w.at < w.end && w.units < HTI_TOKEN_UNITS && (unsigned char)*w.at < 0x80) {
            class = ascii_class[(unsigned char)*w.at++];
            w.units++;
            mark = seen_of_class[class];
        } else {
            uint32_t code;
            if (!take(&w, &code)) break;
            const hti_char *c = hti_char_of(code);
            class = c->std;
            mark = c->flags & HTI_STD_HANGUL ? SEEN_HANGUL : seen_of_class[class];
            high = 1;
            if (class == HTI_STD_EXT && seen == 0) break; /* an element first */
        }
        state = step[state][class];
        if (state == DEAD) break;
        seen |= mark;
        if (state != START && state < N_STATES_ACCEPTING) {
            accepted = w.at;
            seen_accepted = seen;
            high_accepted = high;
        }
    }
    *type = type_of_word(seen_accepted);
    *ascii = high_accepted == 0;
    return (size_t)(accepted - first);
}

/* ---- emoji ---- */

/* What a character may be in an emoji sequence; several at once. */
enum {
    PICTURE = 1 << 0, /* an emoji by itself */
    BASE = 1 << 1,    /* takes a skin tone */
    TONE = 1 << 2,
    JOINER = 1 << 3,
    SELECTOR = 1 << 4,  /* U+FE0F, asks for the picture */
    PLAIN_EXT = 1 << 5, /* an extender other than the two selectors */
    ANY_EXT = 1 << 6,
    TAG = 1 << 7,
    TAG_END = 1 << 8,
    KEY = 1 << 9,     /* 0-9 # * */
    KEYCAP = 1 << 10, /* U+20E3 */
    REGIONAL = 1 << 11
};

/* States: F.. of the first emoji (it may take tags), C.. of one behind a joiner, .._EXT with extenders. */
enum {
    S_START,
    S_JOINED,     /* joiners in front */
    S_FIRST,      /* a picture */
    S_FIRST_BASE, /* a base that waits for its tone */
    S_FIRST_TONE,
    S_FIRST_SEL, /* a picture and its selector */
    S_TAGS,
    S_TAG_END,
    S_CHAIN,      /* behind the joiner of a chain */
    S_CHAIN_MORE, /* further joiners */
    S_NEXT,
    S_NEXT_BASE,
    S_NEXT_TONE,
    S_NEXT_SEL,
    S_KEY,
    S_KEY_SEL,
    S_KEYCAP,
    S_FLAG_HALF,
    S_FLAG
};
#define S(name) (1U << S_##name)
enum {
    S_ACCEPTING = S(FIRST) | S(FIRST_TONE) | S(FIRST_SEL) | S(TAG_END) | S(NEXT) | S(NEXT_TONE) | S(NEXT_SEL) |
                  S(KEYCAP) | S(FLAG)
};

static const struct {
    uint32_t from;
    uint16_t on;
    uint32_t to;
} emoji_steps[] = {
    {S(START) | S(JOINED), JOINER, S(JOINED)},
    {S(START) | S(JOINED), PICTURE, S(FIRST)},
    {S(START) | S(JOINED), BASE, S(FIRST_BASE)},
    {S(START) | S(FIRST_BASE), TONE, S(FIRST_TONE)},
    {S(FIRST), PLAIN_EXT, S(FIRST)},
    {S(FIRST_BASE), PLAIN_EXT, S(FIRST_BASE)},
    {S(FIRST_TONE), PLAIN_EXT, S(FIRST_TONE)},
    {S(FIRST), SELECTOR, S(FIRST_SEL)},
    {S(FIRST) | S(FIRST_TONE) | S(FIRST_SEL) | S(TAGS), TAG, S(TAGS)},
    {S(TAGS), TAG_END, S(TAG_END)},
    {S(FIRST) | S(FIRST_TONE) | S(FIRST_SEL) | S(NEXT) | S(NEXT_TONE) | S(NEXT_SEL), JOINER, S(CHAIN)},
    {S(CHAIN) | S(CHAIN_MORE), JOINER, S(CHAIN_MORE)},
    {S(CHAIN) | S(CHAIN_MORE), PICTURE, S(NEXT)},
    {S(CHAIN) | S(CHAIN_MORE), BASE, S(NEXT_BASE)},
    {S(CHAIN) | S(NEXT_BASE), TONE, S(NEXT_TONE)},
    {S(NEXT), PLAIN_EXT, S(NEXT)},
    {S(NEXT_BASE), PLAIN_EXT, S(NEXT_BASE)},
    {S(NEXT_TONE), PLAIN_EXT, S(NEXT_TONE)},
    {S(NEXT), SELECTOR, S(NEXT_SEL)},
    {S(START), KEY, S(KEY)},
    {S(KEY), PLAIN_EXT, S(KEY)},
    {S(KEY), SELECTOR, S(KEY_SEL)},
    {S(KEY) | S(KEY_SEL), KEYCAP, S(KEYCAP)},
    {S(KEYCAP), PLAIN_EXT, S(KEYCAP)},
    {S(START), REGIONAL, S(FLAG_HALF)},
    {S(FLAG_HALF), ANY_EXT, S(FLAG_HALF)},
    {S(FLAG_HALF), REGIONAL, S(FLAG)},
    {S(FLAG), ANY_EXT, S(FLAG)},
};

static unsigned emoji_roles(uint32_t code)
{
    const hti_char *c = hti_char_of(code);
    unsigned roles = 0;
    if (c->flags & HTI_STD_EMOJI) roles |= PICTURE;
    if (c->flags & HTI_STD_EMOJI_BASE) roles |= BASE;
    if (c->flags & HTI_STD_EMOJI_MOD) roles |= TONE;
    if (code == 0x200D) roles |= JOINER;
    if (code == 0xFE0F) roles |= SELECTOR;
    if (c->std == HTI_STD_EXT) roles |= code == 0xFE0E || code == 0xFE0F ? ANY_EXT : ANY_EXT | PLAIN_EXT;
    if (code >= 0xE0020 && code <= 0xE007E) roles |= TAG;
    if (code == 0xE007F) roles |= TAG_END;
    if ((code >= '0' && code <= '9') || code == '#' || code == '*') roles |= KEY;
    if (code == 0x20E3) roles |= KEYCAP;
    if (c->wb == HTI_WB_RI) roles |= REGIONAL;
    return roles;
}

/* Bytes of the longest emoji sequence at the window's start, 0 if there is none. */
static size_t match_emoji(window w)
{
    const char *const first = w.at;
    const char *accepted = first;
    uint32_t states = S(START), code;
    while (take(&w, &code)) {
        const unsigned roles = emoji_roles(code);
        uint32_t next = 0;
        for (size_t i = 0; roles != 0 && i < HTI_LEN(emoji_steps); i++)
            if ((states & emoji_steps[i].from) && (roles & emoji_steps[i].on)) next |= emoji_steps[i].to;
        states = next;
        if (states == 0) break;
        if (states & S_ACCEPTING) accepted = w.at;
    }
    return (size_t)(accepted - first);
}

/* ---- runs and single characters ---- */

/* Bytes of a character with one of `flags` and its extenders, with `repeat` of all such that follow; 0 if none. */
static size_t match_run(window w, unsigned flags, bool repeat)
{
    const char *const first = w.at;
    const char *accepted = first;
    uint32_t code;
    while (take(&w, &code)) {
        const hti_char *c = hti_char_of(code);
        const bool element = (c->flags & flags) && (repeat || accepted == first);
        if (!element && !(accepted != first && c->std == HTI_STD_EXT)) break;
        accepted = w.at;
    }
    return (size_t)(accepted - first);
}

/* ---- the tokenizer ---- */

typedef struct match {
    size_t len; /* bytes, 0: none */
    hti_std_type type;
    bool ascii;
} match;

static void keep_longer(match *best, size_t len, hti_std_type type)
{
    if (len > best->len) *best = (match){len, type, false};
}

/* The longest match at `at` of all rules, in their order; length 0 if no rule takes the character there. */
static match match_any(const char *at, const char *end)
{
    const window w = {at, end, 0};
    match best = {0, HTI_STD_TYPE_EMOJI, false}, word;
    uint32_t code;
    (void)hti_utf8_decode(at, end, &code);
    const unsigned flags = hti_char_of(code)->flags;
    if (emoji_roles(code) & (PICTURE | BASE | TONE | JOINER | KEY | REGIONAL)) best.len = match_emoji(w);
    word.len = match_word(w, &word.type, &word.ascii);
    if (word.len > best.len) best = word;
    if (flags & HTI_STD_COMPLEX) keep_longer(&best, match_run(w, HTI_STD_COMPLEX, true), HTI_STD_TYPE_SOUTHEAST_ASIAN);
    if (flags & HTI_STD_HAN) keep_longer(&best, match_run(w, HTI_STD_HAN, false), HTI_STD_TYPE_IDEOGRAPHIC);
    if (flags & HTI_STD_HIRAGANA) keep_longer(&best, match_run(w, HTI_STD_HIRAGANA, false), HTI_STD_TYPE_HIRAGANA);
    return best;
}

/* What an ASCII character can start: nothing, a word, or also an emoji (a keycap). */
enum { NOTHING, WORD, ANYTHING };
static int starts(unsigned char c)
{
    if (c >= 0x80) return ANYTHING;
    if (ascii_class[c] == HTI_STD_ALETTER || c == '_') return WORD;
    return ascii_class[c] == HTI_STD_NUMERIC || c == '#' || c == '*' ? ANYTHING : NOTHING;
}

bool hti_standard_next(ht_text text, size_t from, hti_span *out)
{
    const char *const end = text.data + text.len;
    for (const char *at = text.data + from; at < end;) {
        const int what = starts((unsigned char)*at);
        match found = {0, HTI_STD_TYPE_ALPHANUM, false};
        if (what == WORD ||
            (what == ANYTHING && at + 1 < end && (unsigned char)at[0] < 0x80 && (unsigned char)at[1] < 0x80))
            found.len = match_word((window){at, end, 0}, &found.type, &found.ascii);
        else if (what == ANYTHING)
            found = match_any(at, end);
        if (found.len > 0) {
            const size_t start = (size_t)(at - text.data);
            *out = (hti_span){start, start + found.len, found.type, found.ascii};
            return true;
        }
        uint32_t code;
        at += hti_utf8_decode(at, end, &code);
    }
    return false;
}
