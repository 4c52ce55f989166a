/*
 * test_trie.c - the trie against a plain list of strings.
 */
#include "text/trie.h"
#include "text_testing.h"

enum { N_STRINGS = 400, MAX_LEN = 8 };

typedef struct list {
    char text[N_STRINGS][MAX_LEN];
    size_t len[N_STRINGS], n;
} list;

/* Number of the string, in order of insertion, or HTI_TRIE_NONE. */
static uint32_t list_find(const list *l, const char *text, size_t len)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->len[i] == len && memcmp(l->text[i], text, len) == 0) return (uint32_t)i;
    return HTI_TRIE_NONE;
}

static void random_string(uint64_t *state, char *text, size_t *len, size_t cap)
{
    *len = hti_random_next(state) % cap + 1;
    for (size_t i = 0; i < *len; i++) text[i] = "abc\xC3\xFF"[hti_random_next(state) % 5];
}

static void check_longest(const hti_trie *trie, const list *l, ht_text text)
{
    uint32_t want = HTI_TRIE_NONE;
    size_t want_len = 0, len;
    for (size_t n = 1; n <= text.len; n++) {
        const uint32_t number = list_find(l, text.data, n);
        if (number == HTI_TRIE_NONE) continue;
        want = number;
        want_len = n;
    }
    assert_int_equal(hti_trie_longest(trie, text, 0, &len), want);
    assert_int_equal(len, want_len);
    assert_int_equal(hti_trie_get(trie, text), want_len == text.len && text.len > 0 ? want : HTI_TRIE_NONE);
}

static void test_against_a_list(void **unused)
{
    (void)unused;
    uint64_t state = from_env("HT_SEED", 1);
    static list l;
    hti_trie trie;
    ht_error err = {0};
    hti_trie_init(&trie);
    assert_int_equal(hti_trie_get(&trie, (ht_text){"a", 1}), HTI_TRIE_NONE);
    for (size_t i = 0; i < N_STRINGS; i++) {
        char text[MAX_LEN];
        size_t len;
        bool fresh;
        random_string(&state, text, &len, MAX_LEN);
        const bool known = list_find(&l, text, len) != HTI_TRIE_NONE;
        must(hti_trie_put(&trie, (ht_text){text, len}, (uint32_t)l.n, &fresh, &err), &err);
        assert_int_equal(fresh, !known);
        if (known) continue;
        memcpy(l.text[l.n], text, len);
        l.len[l.n++] = len;
    }
    for (size_t i = 0; i < 3000; i++) {
        char text[2 * MAX_LEN];
        size_t len;
        random_string(&state, text, &len, sizeof text);
        check_longest(&trie, &l, (ht_text){text, len});
    }
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(hti_trie_get(&trie, (ht_text){l.text[i], l.len[i]}), i);
        assert_true(hti_trie_node(&trie, (ht_text){l.text[i], l.len[i]}) > HTI_TRIE_ROOT);
    }
    assert_int_equal(hti_trie_node(&trie, (ht_text){NULL, 0}), HTI_TRIE_ROOT);
    hti_trie_deinit(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_list),
    };
    return cmocka_run_group_tests_name("trie", tests, NULL, NULL);
}
