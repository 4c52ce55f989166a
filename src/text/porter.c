/*
 * porter.c - M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the three
 * departures its author published with his own program: words of one or two letters are left alone,
 * "bli" becomes "ble" (the paper: "abli" -> "able"), and "logi" becomes "log".
 *
 * A word is [C](VC)^m[V]: runs of consonants and vowels; "y" is a vowel behind a consonant. A rule
 * "(condition) S1 -> S2" takes the longest suffix S1 of its step; if the condition fails for the
 * stem before it, the step ends. Of libstemmer, `porter` lacks the departures and `english` is
 * another algorithm, so the original is here.
 * Units: Lucene stems UTF-16 units, so a letter outside ASCII is one unit (or two, outside the BMP),
 * always a consonant. Only suffixes of ASCII letters are rewritten and the rest is only cut, so each
 * such unit is stood for by a byte >= 0x80 while the rules run.
 * Workload: every token that is indexed and is not a stop word; most words fall through all steps,
 * which therefore look at one letter first.
 * Easy to get wrong: in step 1b, "double consonant" compares whole letters, also outside ASCII.
 */
#include "porter.h"

#include "standard.h"

#include <string.h>

typedef struct word {
    char *b;
    size_t len;
} word;

static bool is_consonant(const word *w, size_t at)
{
    switch (w->b[at]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u': return false;
    case 'y': {
        /* A run of y alternates; it starts as a consonant unless a consonant stands before it. */
        size_t first = at;
        while (first > 0 && w->b[first - 1] == 'y') first--;
        const bool first_is_consonant = first == 0 || !is_consonant(w, first - 1);
        return ((at - first) % 2 == 0) == first_is_consonant;
    }
    default: return true;
    }
}

/* m of the first `len` letters, counted up to 2: no rule asks for more. */
static unsigned measure(const word *w, size_t len)
{
    unsigned m = 0;
    size_t at = 0;
    while (at < len && is_consonant(w, at)) at++;
    while (m < 2) {
        while (at < len && !is_consonant(w, at)) at++;
        if (at >= len) break;
        m++;
        while (at < len && is_consonant(w, at)) at++;
    }
    return m;
}

static bool has_vowel(const word *w, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_consonant(w, i)) return true;
    return false;
}

static bool ends_in_double_consonant(const word *w)
{
    return w->len >= 2 && w->b[w->len - 1] == w->b[w->len - 2] && is_consonant(w, w->len - 1);
}

/* *o: the first `len` letters end consonant, vowel, consonant, and the last is not w, x or y. */
static bool ends_cvc(const word *w, size_t len)
{
    if (len < 3 || !is_consonant(w, len - 1) || is_consonant(w, len - 2) || !is_consonant(w, len - 3)) return false;
    const char last = w->b[len - 1];
    return last != 'w' && last != 'x' && last != 'y';
}

/* Does the word end so? Tells the stem's length, which may be 0. */
static bool ends(const word *w, const char *suffix, size_t suffix_len, size_t *stem)
{
    if (suffix_len > w->len || memcmp(w->b + w->len - suffix_len, suffix, suffix_len) != 0) return false;
    *stem = w->len - suffix_len;
    return true;
}
#define ENDS(w, suffix, stem) ends((w), "" suffix, sizeof(suffix) - 1, (stem))

static void replace(word *w, size_t stem, const char *with)
{
    const size_t len = strlen(with);
    memcpy(w->b + stem, with, len);
    w->len = stem + len;
}

/* Step 1a: plurals. */
static void step_1a(word *w)
{
    size_t stem;
    if (w->b[w->len - 1] != 's') return;
    if (ENDS(w, "sses", &stem) || ENDS(w, "ies", &stem))
        w->len -= 2;
    else if (w->b[w->len - 2] != 's')
        w->len--;
}

/* Step 1b: -eed, -ed, -ing, and the tidying up behind the latter two. */
static void step_1b(word *w)
{
    size_t stem;
    const char last = w->b[w->len - 1];
    if (last != 'd' && last != 'g') return;
    if (ENDS(w, "eed", &stem)) {
        if (measure(w, stem) > 0) w->len--;
        return;
    }
    if (!(ENDS(w, "ed", &stem) || ENDS(w, "ing", &stem)) || !has_vowel(w, stem)) return;
    w->len = stem;
    size_t unused;
    const bool wants_e = ENDS(w, "at", &unused) || ENDS(w, "bl", &unused) || ENDS(w, "iz", &unused);
    if (!wants_e && ends_in_double_consonant(w)) {
        const char twice = w->b[w->len - 1];
        if (twice != 'l' && twice != 's' && twice != 'z') w->len--;
    } else if (wants_e || (measure(w, w->len) == 1 && ends_cvc(w, w->len))) {
        w->b[w->len++] = 'e';
    }
}

/* Step 1c. */
static void step_1c(word *w)
{
    if (w->b[w->len - 1] == 'y' && has_vowel(w, w->len - 1)) w->b[w->len - 1] = 'i';
}

typedef struct rule {
    char from[8], to[5];
    uint8_t len;  /* of `from` */
    uint8_t kept; /* letters of `from` that count as stem */
} rule;
#define RULE(from, to)                \
    {                                 \
        from, to, sizeof(from) - 1, 0 \
    }
#define RULE_KEEPING(from, to)                     \
    {                                              \
        from, to, sizeof(from) - 1, sizeof(to) - 1 \
    }
#define NO_MORE      \
    {                \
        "", "", 0, 0 \
    }

/*
 * Steps 2 to 4 by the letter that tells their suffixes apart: the last but one, in step 3 the last.
 * A longer suffix stands before one that it ends in.
 */
static const rule step_2_a[] = {RULE("ational", "ate"), RULE("tional", "tion"), NO_MORE};
static const rule step_2_c[] = {RULE("enci", "ence"), RULE("anci", "ance"), NO_MORE};
static const rule step_2_e[] = {RULE("izer", "ize"), NO_MORE};
static const rule step_2_g[] = {RULE("logi", "log"), NO_MORE};
static const rule step_2_l[] = {
    RULE("bli", "ble"), RULE("alli", "al"), RULE("entli", "ent"), RULE("eli", "e"), RULE("ousli", "ous"), NO_MORE,
};
static const rule step_2_o[] = {RULE("ization", "ize"), RULE("ation", "ate"), RULE("ator", "ate"), NO_MORE};
static const rule step_2_s[] = {
    RULE("alism", "al"), RULE("iveness", "ive"), RULE("fulness", "ful"), RULE("ousness", "ous"), NO_MORE,
};
static const rule step_2_t[] = {RULE("aliti", "al"), RULE("iviti", "ive"), RULE("biliti", "ble"), NO_MORE};
static const rule step_3_e[] = {RULE("icate", "ic"), RULE("ative", ""), RULE("alize", "al"), NO_MORE};
static const rule step_3_i[] = {RULE("iciti", "ic"), NO_MORE};
static const rule step_3_l[] = {RULE("ical", "ic"), RULE("ful", ""), NO_MORE};
static const rule step_3_s[] = {RULE("ness", ""), NO_MORE};
static const rule step_4_a[] = {RULE("al", ""), NO_MORE};
static const rule step_4_c[] = {RULE("ance", ""), RULE("ence", ""), NO_MORE};
static const rule step_4_e[] = {RULE("er", ""), NO_MORE};
static const rule step_4_i[] = {RULE("ic", ""), NO_MORE};
static const rule step_4_l[] = {RULE("able", ""), RULE("ible", ""), NO_MORE};
static const rule step_4_n[] = {RULE("ant", ""), RULE("ement", ""), RULE("ment", ""), RULE("ent", ""), NO_MORE};
static const rule step_4_o[] = {RULE_KEEPING("sion", "s"), RULE_KEEPING("tion", "t"), RULE("ou", ""), NO_MORE};
static const rule step_4_s[] = {RULE("ism", ""), NO_MORE};
static const rule step_4_t[] = {RULE("ate", ""), RULE("iti", ""), NO_MORE};
static const rule step_4_u[] = {RULE("ous", ""), NO_MORE};
static const rule step_4_v[] = {RULE("ive", ""), NO_MORE};
static const rule step_4_z[] = {RULE("ize", ""), NO_MORE};

typedef struct rules {
    unsigned min_measure; /* of the stem */
    unsigned key;         /* 1: by the last letter, 2: by the last but one */
    const rule *of_letter[26];
} rules;
#define KEY(letter) [(letter) - 'a']
static const rules step_2 = {
    1,
    2,
    {KEY('a') = step_2_a, KEY('c') = step_2_c, KEY('e') = step_2_e, KEY('g') = step_2_g, KEY('l') = step_2_l,
     KEY('o') = step_2_o, KEY('s') = step_2_s, KEY('t') = step_2_t},
};
static const rules step_3 = {
    1, 1, {KEY('e') = step_3_e, KEY('i') = step_3_i, KEY('l') = step_3_l, KEY('s') = step_3_s}};
static const rules step_4 = {
    2,
    2,
    {KEY('a') = step_4_a, KEY('c') = step_4_c, KEY('e') = step_4_e, KEY('i') = step_4_i, KEY('l') = step_4_l,
     KEY('n') = step_4_n, KEY('o') = step_4_o, KEY('s') = step_4_s, KEY('t') = step_4_t, KEY('u') = step_4_u,
     KEY('v') = step_4_v, KEY('z') = step_4_z},
};

/* One step: the first suffix that is there decides. */
static void apply(word *w, const rules *step)
{
    if (w->len < step->key) return;
    const char key = w->b[w->len - step->key];
    const rule *r = key >= 'a' && key <= 'z' ? step->of_letter[key - 'a'] : NULL;
    size_t stem;
    for (; r && r->len > 0; r++) {
        if (!ends(w, r->from, r->len, &stem)) continue;
        if (measure(w, stem + r->kept) >= step->min_measure) replace(w, stem, r->to);
        return;
    }
}

/* Step 5: a final e, and -ll. */
static void step_5(word *w)
{
    if (w->b[w->len - 1] == 'e') {
        const unsigned m = measure(w, w->len - 1);
        if (m > 1 || (m == 1 && !ends_cvc(w, w->len - 1))) w->len--;
    }
    if (w->b[w->len - 1] == 'l' && ends_in_double_consonant(w) && measure(w, w->len - 1) > 1) w->len--;
}

size_t hti_porter_stem_ascii(char *text, size_t len)
{
    word w = {.len = len};
    w.b = text;
    if (len <= 2) return len;
    step_1a(&w);
    step_1b(&w);
    step_1c(&w);
    apply(&w, &step_2);
    apply(&w, &step_3);
    apply(&w, &step_4);
    step_5(&w);
    return w.len;
}

size_t hti_porter_stem(char *text, size_t len)
{
    char units[HTI_TOKEN_UNITS];
    uint16_t offsets[HTI_TOKEN_UNITS + 1]; /* [n + 1] of each unit in `text` */
    size_t n = 0;
    uint32_t last = 0;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        const size_t code_len = hti_utf8_decode(text + at, text + len, &code), n_units = code >= 0x10000 ? 2 : 1;
        if (n + n_units > HTI_TOKEN_UNITS) return len;
        for (size_t i = 0; i < n_units; i++, n++) {
            /* Neighbours get the same stand-in only if they are the same letter; the halves of a pair never are. */
            const bool same = n_units == 1 && code == last;
            const unsigned char before = n ? (unsigned char)units[n - 1] : 0;
            units[n] = code < 0x80 ? (char)code : (char)(same ? before : before == 0x80 ? 0x81 : 0x80);
            offsets[n] = (uint16_t)at;
        }
        last = code;
        at += code_len;
    }
    offsets[n] = (uint16_t)len;
    const size_t stem = hti_porter_stem_ascii(units, n);
    size_t kept = stem; /* units up to the last one outside ASCII are as they were */
    while (kept > 0 && (unsigned char)units[kept - 1] < 0x80) kept--;
    const size_t head = offsets[kept], tail = stem - kept;
    memcpy(text + head, units + kept, tail);
    return head + tail;
}
