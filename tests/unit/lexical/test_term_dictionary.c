/*
 * test_term_dictionary.c - the dictionary against a sorted array of the same terms.
 */
#include "lexical_support.h"

#include "lexical/postings_codec.h"
#include "lexical/term_dictionary.h"

enum { MAX_TERMS = 600, MAX_LEN = 40 };

typedef struct terms {
    char text[MAX_TERMS][MAX_LEN];
    ht_text view[MAX_TERMS];
    uint32_t df[MAX_TERMS], len[MAX_TERMS];
    size_t n;
} terms;

static int by_bytes(const void *a, const void *b) { return hti_term_compare(*(const ht_text *)a, *(const ht_text *)b); }

/* Terms over few letters, many with long common beginnings, some with bytes 0 and 255. */
static ht_text random_term(uint64_t *state, char *into)
{
    static const char *const stems[] = {"", "internationaliz", "aaaaaaaa", "aaaaaaaab", "\xFF\xFF", "a"};
    const char *stem = stems[random_below(state, HTI_LEN(stems))];
    size_t len = strlen(stem);
    memcpy(into, stem, len);
    const size_t more = random_below(state, 8);
    for (size_t i = 0; i < more; i++) into[len++] = "ab\0\xFE"[random_below(state, 4)];
    return (ht_text){into, len};
}

static void random_terms(uint64_t *state, terms *t, size_t wanted)
{
    t->n = 0;
    for (size_t i = 0; i < wanted; i++) t->view[i] = random_term(state, t->text[i]);
    qsort(t->view, wanted, sizeof *t->view, by_bytes);
    for (size_t i = 0; i < wanted; i++)
        if (t->n == 0 || hti_term_compare(t->view[t->n - 1], t->view[i]) != 0) t->view[t->n++] = t->view[i];
    for (size_t i = 0; i < t->n; i++) {
        t->df[i] = 1 + random_below(state, random_below(state, 4) ? 3 : 2000);
        t->len[i] = 1 + random_below(state, 5000);
    }
}

static hti_dictionary write_terms(const terms *t, hti_dictionary_writer *writer)
{
    hti_dictionary_writer_init(writer);
    for (size_t i = 0; i < t->n; i++) hti_dictionary_put(writer, t->view[i], t->df[i], t->len[i]);
    hti_dictionary_finish(writer);
    return (hti_dictionary){
        .keys = (const unsigned char *)writer->keys.data,
        .groups = (const unsigned char *)writer->groups.data,
        .terms = (const unsigned char *)writer->terms.data,
        .n_terms = t->n,
        .n_groups = hti_dictionary_groups_of(t->n),
        .terms_len = writer->terms.len,
        .postings_len = writer->postings_off,
        .n_blocks = writer->first_block,
        .max_df = 100000,
    };
}

static void check_all_found(const terms *t, const hti_dictionary *dictionary)
{
    uint64_t off = 0, block = 0, damaged_at;
    hti_term_entry entry;
    for (size_t i = 0; i < t->n; i++) {
        assert_int_equal(hti_dictionary_find(dictionary, t->view[i], &entry, &damaged_at), HTI_FIND_FOUND);
        assert_int_equal(entry.df, t->df[i]);
        assert_int_equal(entry.postings_len, t->len[i]);
        assert_int_equal(entry.postings_off, off);
        assert_int_equal(entry.first_block, block);
        off += t->len[i];
        block += t->df[i] / HTI_BLOCK_DOCS;
    }
}

static void check_walk(const terms *t, const hti_dictionary *dictionary)
{
    hti_dictionary_walk walk;
    hti_term_entry entry;
    ht_status status;
    size_t n = 0;
    hti_dictionary_walk_init(&walk, dictionary);
    while (hti_dictionary_walk_next(&walk, &entry, &status)) {
        assert_true(n < t->n);
        assert_int_equal(hti_term_compare(hti_buffer_view(&walk.term), t->view[n]), 0);
        assert_int_equal(entry.df, t->df[n]);
        n++;
    }
    assert_int_equal(status, HT_OK);
    assert_int_equal(n, t->n);
    hti_dictionary_walk_deinit(&walk);
}

static void check_others_absent(uint64_t *state, const terms *t, const hti_dictionary *dictionary)
{
    for (int i = 0; i < 300; i++) {
        char text[MAX_LEN];
        const ht_text term = random_term(state, text);
        hti_term_entry entry;
        uint64_t damaged_at;
        const bool there = bsearch(&term, t->view, t->n, sizeof *t->view, by_bytes) != NULL;
        assert_int_equal(hti_dictionary_find(dictionary, term, &entry, &damaged_at),
                         there ? HTI_FIND_FOUND : HTI_FIND_NONE);
    }
}

static void test_equals_a_sorted_array(void **unused)
{
    (void)unused;
    static terms t;
    uint64_t state = env_number("HT_SEED", 1);
    for (size_t i = 0; i < env_number("HT_ITERS", 150); i++) {
        hti_dictionary_writer writer;
        random_terms(&state, &t, random_below(&state, i % 2 ? 40 : MAX_TERMS));
        const hti_dictionary dictionary = write_terms(&t, &writer);
        assert_int_equal(hti_dictionary_check(&dictionary), -1);
        check_all_found(&t, &dictionary);
        check_walk(&t, &dictionary);
        check_others_absent(&state, &t, &dictionary);
        hti_dictionary_writer_deinit(&writer);
    }
}

/* Flips bytes of each section: nothing may crash, and what is found keeps inside the sections. */
static void try_damaged(uint64_t *state, const terms *t, const hti_dictionary *dictionary)
{
    if (hti_dictionary_check(dictionary) >= 0) return;
    hti_dictionary_walk walk;
    hti_term_entry entry;
    ht_status status;
    for (size_t i = 0; i < 20 && t->n > 0; i++) {
        uint64_t damaged_at;
        const ht_text term = t->view[random_below(state, (uint32_t)t->n)];
        if (hti_dictionary_find(dictionary, term, &entry, &damaged_at) != HTI_FIND_FOUND) continue;
        assert_true(entry.postings_off + entry.postings_len <= dictionary->postings_len);
        assert_true(entry.first_block + entry.df / HTI_BLOCK_DOCS <= dictionary->n_blocks);
    }
    hti_dictionary_walk_init(&walk, dictionary);
    while (hti_dictionary_walk_next(&walk, &entry, &status))
        assert_true(entry.postings_off + entry.postings_len <= dictionary->postings_len);
    hti_dictionary_walk_deinit(&walk);
}

static void test_damage_is_refused_or_harmless(void **unused)
{
    (void)unused;
    static terms t;
    uint64_t state = env_number("HT_SEED", 2);
    for (size_t i = 0; i < env_number("HT_ITERS", 150); i++) {
        hti_dictionary_writer writer;
        random_terms(&state, &t, 1 + random_below(&state, 100));
        const hti_dictionary dictionary = write_terms(&t, &writer);
        hti_buffer *const sections[] = {&writer.keys, &writer.groups, &writer.terms};
        for (size_t round = 0; round < 30; round++) {
            hti_buffer *section = sections[random_below(&state, 3)];
            char *byte = section->data + random_below(&state, (uint32_t)section->len), old = *byte;
            *byte = (char)(*byte ^ (1 << random_below(&state, 8)));
            try_damaged(&state, &t, &dictionary);
            *byte = old;
        }
        hti_dictionary_writer_deinit(&writer);
    }
}

static void test_a_missing_term_is_noticed(void **unused)
{
    (void)unused;
    static terms t;
    uint64_t state = 7;
    hti_dictionary_writer writer;
    random_terms(&state, &t, 100);
    const ht_text kept = t.view[50];
    t.view[50] = t.view[49]; /* the dictionary has 49 twice, and 50 not at all */
    const hti_dictionary dictionary = write_terms(&t, &writer);
    hti_term_entry entry;
    uint64_t damaged_at;
    assert_int_equal(hti_dictionary_find(&dictionary, kept, &entry, &damaged_at), HTI_FIND_NONE);
    hti_dictionary_walk walk;
    ht_status status;
    hti_dictionary_walk_init(&walk, &dictionary);
    while (hti_dictionary_walk_next(&walk, &entry, &status)) {
    }
    assert_int_equal(status, HT_CORRUPT);
    hti_dictionary_walk_deinit(&walk);
    hti_dictionary_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_a_sorted_array),
        cmocka_unit_test(test_damage_is_refused_or_harmless),
        cmocka_unit_test(test_a_missing_term_is_noticed),
    };
    return cmocka_run_group_tests_name("term_dictionary", tests, NULL, NULL);
}
