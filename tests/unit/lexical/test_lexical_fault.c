/*
 * test_lexical_fault.c - memory that runs out at every possible call, writes that fail, and searches
 * that must not ask for memory at all the second time.
 */
#include "lexical_support.h"

#include "fault_alloc.h"
#include "os/os.h"

#include <signal.h>
#include <sys/resource.h>

static folder files;
static corpus documents;

static ht_status build(void *ud, ht_error *err)
{
    (void)ud;
    return build_segment(&documents, 0, documents.n_docs, files.paths[1], NULL, err);
}

static ht_status use_session(ht_lexical_session *session, ht_error *err)
{
    static const char query[] = "w0 w3 w3 w9 w17 nothing";
    const ht_text text = {query, sizeof query - 1};
    const uint32_t docs[] = {9, 3, 200, 3, 77};
    double scores[HTI_LEN(docs)], score;
    ht_hit hits[30];
    const ht_lexical_part *parts;
    size_t n;
    HT_TRY(ht_lexical_search(session, text, NULL, NULL, HTI_LEN(hits), hits, &n, err));
    HT_TRY(ht_lexical_score(session, text, NULL, docs, HTI_LEN(docs), scores, err));
    return ht_lexical_explain(session, text, NULL, 9, &parts, &n, &score, err);
}

static ht_status open_and_search(void *ud, ht_error *err)
{
    (void)ud;
    ht_lexical *lexical;
    ht_lexical_session *session = NULL;
    HT_TRY(ht_lexical_open(files.list, 1, &lexical, err));
    ht_status status = ht_lexical_session_new(lexical, &session, err);
    if (status == HT_OK) status = use_session(session, err);
    if (status == HT_OK) status = ht_lexical_verify(lexical, NULL, err);
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
    return status;
}

static void test_building_without_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(build, NULL, false, 2000) > 20);
    assert_true(fault_alloc_sweep(build, NULL, true, 2000) > 20);
}

static void test_searching_without_memory(void **unused)
{
    (void)unused;
    assert_true(fault_alloc_sweep(open_and_search, NULL, false, 2000) > 10);
    assert_true(fault_alloc_sweep(open_and_search, NULL, true, 2000) > 10);
}

/* A builder that ran out of memory says so again at finish and leaves no file. */
static void test_a_spoiled_builder_leaves_no_file(void **unused)
{
    (void)unused;
    size_t n_spoiled = 0;
    for (uint64_t n = 1; n < 200; n++) {
        ht_error err = {0};
        ht_lexical_builder *builder;
        const ht_text part = {"a b c d e", 9};
        fault_alloc_arm(n, false);
        ht_status status = ht_lexical_builder_new(files.paths[2], "whitespace", &builder, &err);
        if (status == HT_OK) status = ht_lexical_builder_add(builder, &part, 1, &err);
        (void)fault_alloc_disarm();
        if (!builder) continue;
        const ht_status finished = ht_lexical_builder_finish(builder, NULL, &err);
        if (finished == HT_OK) continue;
        assert_int_equal(finished, HT_NO_MEMORY);
        assert_int_equal(status, HT_NO_MEMORY);
        assert_int_not_equal(access(files.paths[2], F_OK), 0);
        n_spoiled++;
    }
    assert_true(n_spoiled > 0);
}

static void test_the_second_search_allocates_nothing(void **unused)
{
    (void)unused;
    ht_error err = {0};
    ht_lexical *lexical;
    ht_lexical_session *session;
    assert_ht_ok(ht_lexical_open(files.list, 1, &lexical, &err));
    assert_ht_ok(ht_lexical_session_new(lexical, &session, &err));
    assert_ht_ok(use_session(session, &err));
    fault_alloc_arm(1, true);
    assert_ht_ok(use_session(session, &err));
    assert_int_equal(fault_alloc_calls(), 0);
    (void)fault_alloc_disarm();
    ht_lexical_session_free(session);
    ht_lexical_close(lexical);
}

/* Every write beyond `limit` bytes fails as on a full disk, for limits from 0 to the whole file. */
static void test_building_on_a_full_disk(void **unused)
{
    (void)unused;
    struct rlimit old;
    uint64_t size, n_refused = 0;
    ht_error err = {0};
    assert_ht_ok(hti_file_size(files.paths[0], &size, &err));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (uint64_t limit = 0; limit <= size; limit += 97) {
        const struct rlimit now = {limit, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
        const ht_status status = build(NULL, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (status == HT_OK) continue;
        assert_int_equal(status, HT_NO_SPACE);
        assert_int_not_equal(access(files.paths[1], F_OK), 0);
        n_refused++;
    }
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_true(n_refused > 20);
}

/* A build holds less than twice the finished file, where postings are many (a million) and terms few. */
static void test_building_needs_what_the_index_needs(void **unused)
{
    (void)unused;
    uint64_t state = 5;
    ht_error err = {0};
    ht_lexical_builder *builder;
    ht_lexical_info info = {HT_DESC(ht_lexical_info)};
    hti_buffer text;
    hti_buffer_init(&text);
    assert_ht_ok(ht_lexical_builder_new(files.paths[3], "whitespace", &builder, &err));
    const uint64_t before = hti_alloc_get_stats().live_bytes;
    for (uint32_t d = 0; d < 40000; d++) {
        uint32_t words[25];
        for (size_t i = 0; i < HTI_LEN(words); i++) words[i] = random_below(&state, 2000);
        put_words(&text, words, HTI_LEN(words));
        const ht_text part = hti_buffer_view(&text);
        assert_ht_ok(ht_lexical_builder_add(builder, &part, 1, &err));
    }
    const uint64_t held = hti_alloc_get_stats().live_bytes - before;
    assert_ht_ok(ht_lexical_builder_finish(builder, &info, &err));
    assert_true(held < 2 * info.size_bytes);
    hti_buffer_deinit(&text);
}

static int set_up(void **unused)
{
    (void)unused;
    uint64_t state = 4;
    ht_error err = {0};
    make_folder(&files);
    documents = random_corpus(&state, 300, 80, 12);
    assert_ht_ok(build_segment(&documents, 0, documents.n_docs, files.paths[0], NULL, &err));
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    free_corpus(&documents);
    drop_folder(&files);
    return 0;
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_building_without_memory),
        cmocka_unit_test(test_searching_without_memory),
        cmocka_unit_test(test_a_spoiled_builder_leaves_no_file),
        cmocka_unit_test(test_the_second_search_allocates_nothing),
        cmocka_unit_test(test_building_on_a_full_disk),
        cmocka_unit_test(test_building_needs_what_the_index_needs),
    };
    return cmocka_run_group_tests_name("lexical_fault", tests, set_up, tear_down);
}
