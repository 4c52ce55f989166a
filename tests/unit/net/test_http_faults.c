/*
 * test_http_faults.c - each allocation of ours fails once: making a client, a request, a batch with retries. Every
 * request still ends once, with NO_MEMORY or its answer, and nothing leaks.
 */
#include "fault_alloc.h"
#include "http_testing.h"

static http_server *server;

/* Client, batch of three of which one is refused and one is asked twice, and a fetch. */
static ht_status use_client(void *ud, ht_error *err)
{
    (void)ud;
    static unsigned turn;
    char urls[3][TESTING_URL_CAP], path[40];
    (void)snprintf(path, sizeof path, "/flaky/1?%u", turn++);
    const hti_http_header header = {"X-A", "b"};
    const hti_http_request requests[] = {
        {.url = testing_url(server, "/echo", urls[0]), .headers = &header, .n_headers = 1, .body = {"{}", 2}},
        {.url = testing_url(server, path, urls[1])},
        {.url = "ftp://refused/"},
    };
    const hti_http_options options = testing_options();
    hti_http_result results[3];
    hti_http *client;
    hti_http_response response = {0};
    HT_TRY(hti_http_new(&options, &client, err));
    ht_status status = hti_http_batch(client, requests, 3, 2, results, err);
    if (status == HT_OK) {
        for (size_t i = 0; i < 2 && status == HT_OK; i++) {
            if (results[i].status != HT_OK) status = hti_fail(err, results[i].status, "item %zu failed", i);
        }
        if (results[2].status != HT_INVALID && status == HT_OK) status = HTI_NO_MEMORY(err);
        hti_http_results_deinit(results, 3);
    }
    if (status == HT_OK) status = hti_http_fetch(client, &requests[0], &response, err);
    hti_http_response_deinit(&response);
    hti_http_free(client);
    return status;
}

static void test_no_memory(void **state)
{
    (void)state;
    ht_error err = {0};
    assert_int_equal(use_client(NULL, &err), HT_OK);
    assert_true(fault_alloc_sweep(use_client, NULL, false, 500) > 20);
    assert_true(fault_alloc_sweep(use_client, NULL, true, 500) > 20);
}

static int start_server(void **state)
{
    (void)state;
    server = http_server_new();
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    http_server_free(server);
    return 0;
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
