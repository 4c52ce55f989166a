/*
 * test_service_faults.c - every allocation of `index` and `search` failing in turn.
 *
 * Every n up to 2,000 (HT_ITERS), then sampled, until an operation is left alone. Whatever fails, memory is given back,
 * the answer is NO_MEMORY, and what was stored before stays readable.
 */
#include "fault_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "small_corpus.h"

static char dir[TEMP_DIR_CAP], corpus_path[2 * TEMP_DIR_CAP], more_path[2 * TEMP_DIR_CAP],
    collection_path[2 * TEMP_DIR_CAP];
static ht_error err;

static uint64_t n_dense(void)
{
    const char *text = getenv("HT_ITERS");
    return text ? strtoull(text, NULL, 10) : 2000;
}

typedef ht_status (*operation)(ht_error *err);

/* Runs the operation with call n failing, for n = 1, 2, ... then in growing steps; returns how many n were tried. */
static uint64_t sweep(const char *name, operation run, bool all_after, void (*after)(ht_status status))
{
    uint64_t tried = 0, refused = 0;
    for (uint64_t n = 1;; n += n < n_dense() ? 1 : n / 20) {
        const int64_t before = fault_alloc_live_blocks();
        err = (ht_error){0};
        fault_alloc_arm(n, all_after);
        const ht_status status = run(&err);
        const uint64_t n_failed = fault_alloc_disarm();
        tried++;
        refused += status != HT_OK;
        if (fault_alloc_live_blocks() != before)
            fail_msg("%s, allocation %llu: memory leaked (%s)", name, (unsigned long long)n, err.message);
        if (status != HT_OK && status != HT_NO_MEMORY)
            fail_msg("%s, allocation %llu: status %s: %s", name, (unsigned long long)n, ht_status_name(status),
                     err.message);
        if (status != HT_OK && err.message[0] == '\0')
            fail_msg("%s, allocation %llu: no message", name, (unsigned long long)n);
        if (after) after(status);
        if (n_failed == 0) break;
    }
    print_message("%s: %llu failing allocations tried, %llu refused\n", name, (unsigned long long)tried,
                  (unsigned long long)refused);
    assert_true(refused > 20);
    return tried;
}

static ht_status count_docs(uint32_t *n_docs, ht_error *error)
{
    ht_collection *collection;
    const ht_status status = ht_collection_open(collection_path, NULL, &collection, error);
    if (status != HT_OK) return status;
    ht_collection_info info = {HT_DESC(ht_collection_info)};
    ht_collection_get_info(collection, &info);
    *n_docs = info.n_docs;
    ht_collection_close(collection);
    return HT_OK;
}

static ht_status add_more(ht_error *error) { return small_corpus_index(collection_path, more_path, NULL, error); }

/* After a failed change the ten documents of before are served; after a good one they are put back. */
static void check_and_restore(ht_status status)
{
    uint32_t n_docs = 0;
    if (count_docs(&n_docs, &err) != HT_OK) fail_msg("the collection is lost: %s", err.message);
    assert_int_equal(n_docs, status == HT_OK ? 50 : 10);
    if (status != HT_OK) return;
    temp_dir_remove(collection_path);
    if (small_corpus_index(collection_path, corpus_path, NULL, &err) != HT_OK) fail_msg("%s", err.message);
}

static ht_status search_everything(ht_error *error)
{
    static const char query[] = "the lift of a wing in a slipstream";
    ht_collection *collection;
    ht_search_session *session;
    ht_status status = ht_collection_open(collection_path, NULL, &collection, error);
    if (status != HT_OK) return status;
    status = ht_search_session_new(collection, &session, error);
    for (int mode = HT_MODE_BM25; status == HT_OK && ht_mode_name((ht_mode)mode); mode++) {
        ht_search_opts opts;
        ht_search_opts_init(&opts);
        opts.mode = (ht_mode)mode;
        opts.explain = mode == HT_MODE_HYBRID;
        const ht_search_result *result;
        status = ht_search(session, (ht_text){query, sizeof query - 1}, &opts, &result, error);
    }
    if (session) ht_search_session_free(session);
    ht_collection_close(collection);
    return status;
}

static void test_index(void **unused)
{
    (void)unused;
    (void)sweep("index", add_more, false, check_and_restore);
}

static void test_search(void **unused)
{
    (void)unused;
    (void)sweep("search", search_everything, false, NULL);
    (void)sweep("search, all after", search_everything, true, NULL);
}

static int prepare(void **unused)
{
    (void)unused;
    fault_alloc_install();
    temp_dir_make(dir);
    (void)temp_dir_path(dir, "corpus.jsonl", corpus_path);
    (void)temp_dir_path(dir, "more.jsonl", more_path);
    (void)temp_dir_path(dir, "c.ht", collection_path);
    small_corpus_write(dir, "corpus.jsonl", 0, 10);
    small_corpus_write(dir, "more.jsonl", 10, 40);
    return small_corpus_index(collection_path, corpus_path, NULL, &err) == HT_OK ? 0 : -1;
}

static int clean_up(void **unused)
{
    (void)unused;
    temp_dir_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search), cmocka_unit_test(test_index)};
    return cmocka_run_group_tests_name("service under failing allocations", tests, prepare, clean_up);
}
