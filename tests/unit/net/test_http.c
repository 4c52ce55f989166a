/*
 * test_http.c - the client against a server that delays, fails, breaks off and drips: concurrency, order, retries,
 * limits, timeouts, cancelling, freeing, and that the bearer token goes to its host and nowhere else.
 */
#include "fault_alloc.h"
#include "http_testing.h"
#include "os/os.h"

enum { MS = 1000000 };

static http_server *server;
static ht_error err;

static hti_http_response fetch(hti_http *client, const char *method, const char *path)
{
    char url[TESTING_URL_CAP];
    const hti_http_request request = {.method = method, .url = testing_url(server, path, url)};
    hti_http_response response;
    if (hti_http_fetch(client, &request, &response, &err) != HT_OK) fail_msg("%s: %s", path, err.message);
    return response;
}

/* The request must fail with this status and words; no message may show the token. */
static void expect_failure(hti_http *client, const hti_http_request *request, ht_status status, const char *words)
{
    hti_http_response response;
    err.message[0] = '\0';
    assert_int_equal(hti_http_fetch(client, request, &response, &err), status);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, words)) fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    assert_null(strstr(err.message, TOKEN));
    assert_null(strstr(err.message, "secret"));
    assert_int_equal(response.body.len, 0);
}

static void expect_path_failure(hti_http *client, const char *path, ht_status status, const char *words)
{
    char url[TESTING_URL_CAP];
    const hti_http_request request = {.url = testing_url(server, path, url)};
    expect_failure(client, &request, status, words);
}

static bool body_is(const hti_http_response *response, const char *text)
{
    return response->body.len == strlen(text) && memcmp(response->body.data, text, strlen(text)) == 0;
}

static bool body_has(const hti_http_response *response, const char *text)
{
    return response->body.len > 0 && strstr(response->body.data, text) != NULL;
}

/* ---- what arrives ---- */

static void test_request_and_answer(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    const hti_http_header defaults[] = {{"X-Default", "one"}, {"X-Both", "default"}};
    options.headers = defaults;
    options.n_headers = 2;
    hti_http *client = testing_client(&options);
    char url[TESTING_URL_CAP];
    const hti_http_header own[] = {{"x-both", "own"}, {"X-Empty", ""}};
    const hti_http_request request = {.method = "POST",
                                      .url = testing_url(server, "/echo?a=b", url),
                                      .headers = own,
                                      .n_headers = 2,
                                      .body = {"{\"q\":1}", 7}};
    hti_http_response response;
    assert_int_equal(hti_http_fetch(client, &request, &response, &err), HT_OK);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.n_attempts, 1);
    assert_true(body_has(&response, "POST /echo?a=b HTTP/1.1\r\n"));
    assert_true(body_has(&response, "\r\nAuthorization: Bearer " TOKEN "\r\n"));
    assert_true(body_has(&response, "\r\nUser-Agent: houndstooth/"));
    assert_true(body_has(&response, "\r\nContent-Type: application/json\r\n"));
    assert_true(body_has(&response, "\r\nX-Default: one\r\n"));
    assert_true(body_has(&response, "\r\nx-both: own\r\n"));
    assert_true(body_has(&response, "\r\nX-Empty:"));
    assert_false(body_has(&response, "X-Both: default"));
    assert_true(body_has(&response, "\r\n\r\n{\"q\":1}"));
    const ht_text kind = hti_http_response_header(&response, "x-kind");
    assert_int_equal(kind.len, 4);
    assert_memory_equal(kind.data, "test", 4);
    assert_null(hti_http_response_header(&response, "x-kin").data);
    hti_http_response_deinit(&response);
    hti_http_free(client);
}

static void test_methods(void **state)
{
    (void)state;
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    static const char *const names[] = {"GET", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"};
    for (size_t i = 0; i < HTI_LEN(names); i++) {
        hti_http_response response = fetch(client, names[i], "/echo");
        assert_true(strncmp(response.body.data, names[i], strlen(names[i])) == 0);
        assert_false(body_has(&response, "Content-Type"));
        hti_http_response_deinit(&response);
    }
    hti_http_response response = fetch(client, "HEAD", "/big/100000000");
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.len, 0);
    hti_http_response_deinit(&response);
    hti_http_free(client);
}

static void test_statuses(void **state)
{
    (void)state;
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    static const struct {
        int code;
        ht_status status;
    } rows[] = {{200, HT_OK},        {201, HT_OK},    {301, HT_IO}, {400, HT_INVALID}, {401, HT_INVALID},
                {404, HT_NOT_FOUND}, {413, HT_LIMIT}, {500, HT_IO}, {429, HT_BUSY}};
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        char path[40], url[TESTING_URL_CAP], words[20];
        (void)snprintf(path, sizeof path, "/status/%d?key=secret", rows[i].code);
        (void)snprintf(words, sizeof words, "answered %d", rows[i].code);
        hti_http_response response = fetch(client, NULL, path);
        assert_int_equal(response.status, rows[i].code);
        const hti_http_request request = {.url = testing_url(server, path, url)};
        assert_int_equal(hti_http_check(&request, &response, &err), rows[i].status);
        if (rows[i].status != HT_OK) assert_non_null(strstr(err.message, words));
        if (rows[i].status != HT_OK) assert_null(strstr(err.message, "secret"));
        hti_http_response_deinit(&response);
    }
    hti_http_free(client);
}

/* ---- retries: how often the server was asked is the oracle ---- */

static void expect_attempts(hti_http *client, const hti_http_request *request, const char *path, int code, size_t n)
{
    hti_http_response response;
    assert_int_equal(hti_http_fetch(client, request, &response, &err), HT_OK);
    assert_int_equal(response.status, code);
    assert_int_equal(response.n_attempts, n);
    assert_int_equal(http_server_hits(server, path), n);
    hti_http_response_deinit(&response);
}

static void test_retries(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.max_retries = 3;
    hti_http *client = testing_client(&options);
    static const struct {
        const char *method, *path;
        bool retry;
        int code;
        size_t n;
    } rows[] = {
        {"GET", "/flaky/2?a", false, 200, 3},       {"GET", "/flaky/3?b", false, 200, 4},
        {"GET", "/flaky/4?c", false, 503, 4},       {"POST", "/flaky/2?d", false, 503, 1},
        {"POST", "/flaky/2?e", true, 200, 3},       {"PUT", "/flaky/1?f", false, 200, 2},
        {"GET", "/status/429?g", false, 429, 4},    {"GET", "/status/502?h", false, 502, 4},
        {"GET", "/status/504?i", false, 504, 4},    {"GET", "/status/500?j", false, 500, 1},
        {"GET", "/status/404?k", false, 404, 1},    {"PATCH", "/status/503?l", false, 503, 1},
        {"GET", "/retry-after/0?n", false, 200, 2},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        char url[TESTING_URL_CAP];
        const hti_http_request request = {
            .method = rows[i].method, .url = testing_url(server, rows[i].path, url), .retry = rows[i].retry};
        expect_attempts(client, &request, rows[i].path, rows[i].code, rows[i].n);
    }
    hti_http_free(client);
}

/* A fresh client each, as curl itself asks once more where a connection that it kept turns out dead. */
static void test_broken_connections(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.max_retries = 3;
    static const struct {
        const char *method, *path;
        size_t n;
        bool answered;
    } rows[] = {{"GET", "/breaks/2?a", 3, true},
                {"GET", "/close?b", 4, false},
                {"POST", "/close?c", 1, false},
                {"POST", "/breaks/1?d", 1, false},
                {"GET", "/cut/1000?e", 4, false}};
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        hti_http *client = testing_client(&options);
        char url[TESTING_URL_CAP], words[40];
        const hti_http_request request = {.method = rows[i].method, .url = testing_url(server, rows[i].path, url)};
        (void)snprintf(words, sizeof words, "attempt %zu", rows[i].n);
        if (rows[i].answered)
            expect_attempts(client, &request, rows[i].path, 200, rows[i].n);
        else
            expect_failure(client, &request, HT_IO, words);
        assert_int_equal(http_server_hits(server, rows[i].path), rows[i].n);
        hti_http_free(client);
    }
}

static void test_retry_after(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    uint64_t begin = hti_clock_ns();
    hti_http_response response = fetch(client, NULL, "/retry-after/1?w");
    assert_true(hti_clock_ns() - begin >= (uint64_t)1000 * MS);
    assert_int_equal(response.status, 200);
    assert_true(response.elapsed_ns >= (uint64_t)1000 * MS);
    hti_http_response_deinit(&response);
    hti_http_free(client);

    /* Longer than the timeout or than max_wait_ms: the answer at hand at once. */
    for (int i = 0; i < 2; i++) {
        options.max_wait_ms = i ? 60000 : 5000;
        options.timeout_ms = i ? 5000 : 60000;
        client = testing_client(&options);
        begin = hti_clock_ns();
        response = fetch(client, NULL, i ? "/retry-after/30?x" : "/retry-after/30?y");
        assert_true(hti_clock_ns() - begin < (uint64_t)4000 * MS);
        assert_int_equal(response.status, 429);
        assert_int_equal(response.n_attempts, 1);
        hti_http_response_deinit(&response);
        hti_http_free(client);
    }
}

/* ---- failures ---- */

static void test_timeouts(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.timeout_ms = 150;
    hti_http *client = testing_client(&options);
    const uint64_t begin = hti_clock_ns();
    expect_path_failure(client, "/delay/5000?t1", HT_TIMEOUT, "timed out after 150 ms");
    expect_path_failure(client, "/slow?t2", HT_TIMEOUT, "timed out after 150 ms");
    assert_int_equal(http_server_hits(server, "/delay/5000?t1"), 1);
    assert_int_equal(http_server_hits(server, "/slow?t2"), 1);
    char url[TESTING_URL_CAP];
    const hti_http_request longer = {.url = testing_url(server, "/delay/400", url), .timeout_ms = 20000};
    hti_http_response response;
    assert_int_equal(hti_http_fetch(client, &longer, &response, &err), HT_OK);
    assert_true(body_is(&response, "delay 400"));
    hti_http_response_deinit(&response);
    assert_true(hti_clock_ns() - begin < (uint64_t)5000 * MS);
    hti_http_free(client);
}

static void test_refused_connection(void **state)
{
    (void)state;
    http_server *gone = http_server_new();
    char url[TESTING_URL_CAP];
    const hti_http_request request = {.url = testing_url(gone, "/x?key=secret", url)};
    http_server_free(gone); /* nobody listens at its port any more */
    hti_http_options options = testing_options();
    options.connect_timeout_ms = 100;
    hti_http *client = testing_client(&options);
    expect_failure(client, &request, HT_IO, "attempt 3");
    assert_non_null(strstr(err.message, "GET http://127.0.0.1:"));
    expect_path_failure(client, "/garbage", HT_IO, "GET http://127.0.0.1");
    /* No TLS there: a certificate that cannot be seen is a failure, not a plain connection. */
    char https[TESTING_URL_CAP];
    (void)snprintf(https, sizeof https, "https://127.0.0.1:%d/echo", http_server_port(server));
    const hti_http_request tls = {.url = https};
    expect_failure(client, &tls, HT_IO, "attempt 3");
    hti_http_free(client);
}

static void test_limits(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.max_response_bytes = 5000;
    hti_http *client = testing_client(&options);
    hti_http_response response = fetch(client, NULL, "/big/5000");
    assert_int_equal(response.body.len, 5000);
    hti_http_response_deinit(&response);
    response = fetch(client, NULL, "/chunked/5000");
    assert_int_equal(response.body.len, 5000);
    for (size_t i = 0; i < 5000; i++) assert_int_equal(response.body.data[i], (char)('a' + i % 26));
    hti_http_response_deinit(&response);
    expect_path_failure(client, "/big/5001", HT_LIMIT, "longer than 5000 bytes");
    expect_path_failure(client, "/chunked/5001", HT_LIMIT, "longer than 5000 bytes");
    expect_path_failure(client, "/headers/400000", HT_LIMIT, "headers are longer");
    assert_int_equal(http_server_hits(server, "/big/5001"), 1);
    response = fetch(client, NULL, "/headers/20000");
    assert_int_equal(response.status, 200);
    hti_http_response_deinit(&response);
    hti_http_free(client);
}

static void never_called(void *ud, hti_http_response *response, const ht_error *why)
{
    (void)ud;
    (void)response;
    fail_msg("done was called for a request that did not start: %s", why ? why->message : "");
}

static void test_bad_requests(void **state)
{
    (void)state;
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    const hti_http_header line_end = {"X-A", "secret\r\nX-B: injected"}, no_name = {"", "x"}, blank = {"X A", "x"};
    const hti_http_header length = {"Content-Length", "3"}, no_value = {"X-A", NULL};
    const struct {
        hti_http_request request;
        const char *words;
    } rows[] = {
        {{.url = NULL}, "without a URL"},
        {{.url = ""}, "without a URL"},
        {{.url = "nonsense"}, "not an absolute URL"},
        {{.url = "/relative"}, "not an absolute URL"},
        {{.url = "http://"}, "not an absolute URL"},
        {{.url = "http://host:99999/"}, "not an absolute URL"},
        {{.url = "http://ho st/"}, "not an absolute URL"},
        {{.url = "ftp://host/x"}, "only http and https"},
        {{.url = "file:///etc/passwd"}, "only http and https"},
        {{.url = "http://me:secret@host/x?key=secret"}, "http://host/x\": a user or password"},
        {{.url = "http://h/x", .method = "BREW"}, "method \"BREW\""},
        {{.url = "http://h/x", .method = "get"}, "method \"get\""},
        {{.url = "http://h/x", .method = "HEAD", .body = {"x", 1}}, "HEAD request with a body"},
        {{.url = "http://h/x", .headers = &line_end, .n_headers = 1}, "header X-A has a line end"},
        {{.url = "http://h/x", .headers = &no_name, .n_headers = 1}, "a header's name"},
        {{.url = "http://h/x", .headers = &blank, .n_headers = 1}, "a header's name"},
        {{.url = "http://h/x", .headers = &length, .n_headers = 1}, "set by the client"},
        {{.url = "http://h/x", .headers = &no_value, .n_headers = 1}, "has no value"},
    };
    for (size_t i = 0; i < HTI_LEN(rows); i++) {
        assert_int_equal(hti_http_start(client, &rows[i].request, never_called, NULL, NULL, &err), HT_INVALID);
        expect_failure(client, &rows[i].request, HT_INVALID, rows[i].words);
    }
    hti_http_free(client);
}

static void test_bad_options(void **state)
{
    (void)state;
    hti_http *client;
    hti_http_options options = testing_options();
    options.max_concurrency = 0;
    assert_int_equal(hti_http_new(&options, &client, &err), HT_INVALID);
    assert_null(client);
    options = testing_options();
    static const char *const tokens[] = {"", "secret with blanks", "secret\nX-A: b", "secret\xC3\xA9"};
    for (size_t i = 0; i < HTI_LEN(tokens); i++) {
        options.bearer = tokens[i];
        assert_int_equal(hti_http_new(&options, &client, &err), HT_INVALID);
        assert_null(strstr(err.message, "secret"));
    }
    hti_http_free(NULL);
}

/* ---- redirects ---- */

static void test_redirects(void **state)
{
    (void)state;
    http_server *other = http_server_new();
    char target[TESTING_URL_CAP], path[TESTING_URL_CAP + 20];
    hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    hti_http_response response = fetch(client, NULL, "/redirect?/echo");
    assert_int_equal(response.status, 302);
    hti_http_response_deinit(&response);
    hti_http_free(client);

    options.max_redirects = 3;
    client = testing_client(&options);
    response = fetch(client, NULL, "/redirect?/echo?own");
    assert_true(body_has(&response, "GET /echo?own "));
    assert_true(body_has(&response, TOKEN));
    hti_http_response_deinit(&response);

    (void)snprintf(path, sizeof path, "/redirect?%s", testing_url(other, "/echo", target));
    response = fetch(client, NULL, path);
    assert_true(body_has(&response, "GET /echo "));
    assert_false(body_has(&response, TOKEN)); /* another port is another host */
    assert_false(body_has(&response, "Authorization"));
    hti_http_response_deinit(&response);
    (void)snprintf(path, sizeof path, "/redirect?http://localhost:%d/echo", http_server_port(server));
    response = fetch(client, NULL, path);
    assert_true(body_has(&response, "GET /echo "));
    assert_false(body_has(&response, TOKEN)); /* another name is another host */
    hti_http_response_deinit(&response);

    expect_path_failure(client, "/redirect?/redirect?/redirect?/redirect?/redirect?/echo", HT_LIMIT, "3 redirects");
    expect_path_failure(client, "/redirect?file:///etc/passwd", HT_IO, "GET http://127.0.0.1");
    expect_path_failure(client, "/redirect?http://me:secret@127.0.0.1:1/", HT_IO, "GET http://127.0.0.1");
    hti_http_free(client);
    http_server_free(other);
}

/* ---- many ---- */

enum { MANY = 100 };

static double run_many(hti_http *client, size_t max_in_flight, const char *key)
{
    static hti_http_request requests[MANY];
    static hti_http_result results[MANY];
    static char urls[MANY][TESTING_URL_CAP];
    for (size_t i = 0; i < MANY; i++) {
        char path[60];
        /* Every tenth is not found. */
        (void)snprintf(path, sizeof path, i % 10 == 3 ? "/status/404?%s%zu" : "/delay/10?%s%zu", key, i);
        requests[i] = (hti_http_request){.url = testing_url(server, path, urls[i])};
    }
    requests[50].url = "ftp://refused/";
    const uint64_t begin = hti_clock_ns();
    assert_int_equal(hti_http_batch(client, requests, MANY, max_in_flight, results, &err), HT_OK);
    const double ms = (double)(hti_clock_ns() - begin) / MS;
    for (size_t i = 0; i < MANY; i++) {
        if (i == 50) {
            assert_int_equal(results[i].status, HT_INVALID);
            assert_non_null(strstr(results[i].message, "only http"));
            continue;
        }
        assert_int_equal(results[i].status, HT_OK);
        assert_null(results[i].message);
        assert_int_equal(results[i].response.status, i % 10 == 3 ? 404 : 200);
        assert_true(body_is(&results[i].response, i % 10 == 3 ? "as asked" : "delay 10"));
    }
    hti_http_results_deinit(results, MANY);
    return ms;
}

static void test_many_at_once(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.max_concurrency = MANY;
    hti_http *client = testing_client(&options);
    double best = run_many(client, 0, "m");
    print_message("%d requests of 10 ms at once: %.1f ms with new connections\n", MANY, best);
    for (int i = 0; i < 3; i++) best = HTI_MIN(best, run_many(client, 0, "m"));
    print_message("%d requests of 10 ms at once: %.1f ms at best of 4\n", MANY, best);
    assert_true(best < 500);
    hti_http_free(client);
}

static void check_at_once(size_t max_concurrency, size_t max_in_flight, size_t most)
{
    http_server *usual = server;
    server = http_server_new();
    hti_http_options options = testing_options();
    options.max_concurrency = max_concurrency;
    hti_http *client = testing_client(&options);
    (void)run_many(client, max_in_flight, "b");
    assert_true(http_server_most_at_once(server) <= most);
    assert_true(http_server_most_at_once(server) > most / 2);
    hti_http_free(client);
    http_server_free(server);
    server = usual;
}

static void test_bounds(void **state)
{
    (void)state;
    check_at_once(1, 0, 1);
    check_at_once(7, 0, 7);
    check_at_once(50, 4, 4);
}

/* Results stand where their request stood, though the last ends first. */
static void test_order(void **state)
{
    (void)state;
    enum { N = 12 };
    hti_http_request requests[N];
    hti_http_result results[N];
    char urls[N][TESTING_URL_CAP];
    for (size_t i = 0; i < N; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/delay/%zu", (N - i) * 10);
        requests[i] = (hti_http_request){.url = testing_url(server, path, urls[i])};
    }
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    assert_int_equal(hti_http_batch(client, requests, N, 0, results, &err), HT_OK);
    for (size_t i = 0; i < N; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "delay %zu", (N - i) * 10);
        assert_true(body_is(&results[i].response, text));
    }
    hti_http_results_deinit(results, N);
    assert_int_equal(hti_http_batch(client, NULL, 0, 0, NULL, &err), HT_OK);
    hti_http_free(client);
}

/* ---- cancelling and freeing ---- */

typedef struct ends {
    hti_mutex *lock;
    hti_cond *told;
    size_t n, n_cancelled, n_answers;
    hti_http *client;
    uint64_t ids[8];
    size_t n_ids;
    bool again; /* start another from the callback */
    size_t n_refused;
    ht_status waiting_inside;
} ends;

static void ends_open(ends *of)
{
    *of = (ends){.lock = hti_mutex_new(), .told = hti_cond_new()};
    assert_non_null(of->lock);
    assert_non_null(of->told);
}

static void ends_close(ends *of)
{
    hti_cond_free(of->told);
    hti_mutex_free(of->lock);
}

static void note_end(void *ud, hti_http_response *response, const ht_error *why)
{
    ends *of = ud;
    char url[TESTING_URL_CAP];
    const hti_http_request request = {.url = testing_url(server, "/delay/1?again", url)};
    if (of->client) {
        ht_error inside;
        hti_http_response none;
        of->waiting_inside = hti_http_fetch(of->client, &request, &none, &inside);
        for (size_t i = 0; i < of->n_ids; i++) hti_http_cancel(of->client, of->ids[i]);
        if (of->again && hti_http_start(of->client, &request, note_end, of, NULL, &inside) != HT_OK) of->n_refused++;
        of->again = false;
    }
    hti_mutex_lock(of->lock);
    of->n++;
    if (why && why->status == HT_CANCELLED && strstr(why->message, "cancelled")) of->n_cancelled++;
    if (response && !why && response->status == 200) of->n_answers++;
    hti_cond_signal(of->told);
    hti_mutex_unlock(of->lock);
}

static void wait_for_ends(ends *of, size_t n)
{
    hti_mutex_lock(of->lock);
    while (of->n < n) hti_cond_wait(of->told, of->lock);
    hti_mutex_unlock(of->lock);
}

static uint64_t start(hti_http *client, const char *path, ends *of)
{
    char url[TESTING_URL_CAP];
    const hti_http_request request = {.url = testing_url(server, path, url)};
    uint64_t id = 0;
    assert_int_equal(hti_http_start(client, &request, note_end, of, &id, &err), HT_OK);
    assert_true(id != 0);
    return id;
}

static void wait_for_hit(const char *path)
{
    while (http_server_hits(server, path) == 0) {
    }
}

static void test_cancel(void **state)
{
    (void)state;
    hti_http_options options = testing_options();
    options.max_concurrency = 2;
    options.retry_base_ms = 60000;
    hti_http *client = testing_client(&options);
    ends of;
    ends_open(&of);
    const uint64_t begin = hti_clock_ns();
    const uint64_t waiting = start(client, "/flaky/9?cancel", &of); /* waits for its retry */
    wait_for_hit("/flaky/9?cancel");
    const uint64_t active = start(client, "/slow?cancel", &of);
    const uint64_t other = start(client, "/delay/20000?cancel", &of);
    wait_for_hit("/slow?cancel");
    wait_for_hit("/delay/20000?cancel");
    const uint64_t queued = start(client, "/delay/1?never", &of);
    hti_http_cancel(client, queued);
    wait_for_ends(&of, 1);
    hti_http_cancel(client, active);
    hti_http_cancel(client, active); /* twice is once */
    hti_http_cancel(client, waiting);
    hti_http_cancel(client, other);
    wait_for_ends(&of, 4);
    assert_int_equal(of.n_cancelled, 4);
    assert_int_equal(http_server_hits(server, "/delay/1?never"), 0);
    /* An id of before means nobody, even where its place is taken again. */
    const uint64_t new_ids[] = {start(client, "/delay/50?new", &of), start(client, "/delay/50?new", &of)};
    const uint64_t old[] = {queued, active, waiting, other, 0, UINT64_MAX};
    for (size_t i = 0; i < HTI_LEN(old); i++) hti_http_cancel(client, old[i]);
    wait_for_ends(&of, 6);
    assert_int_equal(of.n_answers, 2);
    hti_http_cancel(client, new_ids[0]);
    assert_true(hti_clock_ns() - begin < (uint64_t)10000 * MS);
    hti_http_free(client);
    assert_int_equal(of.n, 6);
    ends_close(&of);
}

/* A callback may start and cancel, all others at once too; waiting in it is refused. */
static void test_inside_a_callback(void **state)
{
    (void)state;
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    ends of;
    ends_open(&of);
    for (size_t i = 0; i < HTI_LEN(of.ids); i++) of.ids[i] = start(client, "/slow?inside", &of);
    of.n_ids = HTI_LEN(of.ids);
    of.client = client;
    of.again = true;
    hti_http_cancel(client, of.ids[5]);
    wait_for_ends(&of, HTI_LEN(of.ids) + 1);
    assert_int_equal(of.n_cancelled, HTI_LEN(of.ids));
    assert_int_equal(of.n_answers, 1);
    assert_int_equal(of.waiting_inside, HT_INVALID);
    hti_http_free(client);
    ends_close(&of);
}

static void test_free_in_flight(void **state)
{
    (void)state;
    for (size_t round = 0; round < 4; round++) {
        hti_http_options options = testing_options();
        options.max_concurrency = 3;
        options.retry_base_ms = 60000;
        hti_http *client = testing_client(&options);
        ends of;
        ends_open(&of);
        for (size_t i = 0; i < 20; i++)
            of.ids[i % HTI_LEN(of.ids)] = start(client, i < 2 ? "/flaky/9999?free" : "/slow?free", &of);
        if (round > 0) wait_for_hit("/slow?free");
        if (round > 1) {
            of.client = client;
            of.again = true; /* refused: the client is being freed */
            of.n_ids = round > 2 ? HTI_LEN(of.ids) : 0;
        }
        hti_http_free(client);
        assert_int_equal(of.n, 20);
        assert_int_equal(of.n_cancelled, 20);
        if (round > 1) assert_int_equal(of.n_refused, 1);
        ends_close(&of);
    }
}

typedef struct starter {
    hti_http *client;
    ends *of;
    size_t n_good;
} starter;

static void start_and_cancel(void *ud)
{
    starter *mine = ud;
    ht_error why;
    for (size_t i = 0; i < 200; i++) {
        char url[TESTING_URL_CAP];
        const hti_http_request request = {.url = testing_url(server, "/delay/1?race", url)};
        uint64_t id;
        if (hti_http_start(mine->client, &request, note_end, mine->of, &id, &why) == HT_OK) mine->n_good++;
        if (i % 2) hti_http_cancel(mine->client, id);
    }
}

/* Cancelling races with ending: each request still ends once. */
static void test_threads(void **state)
{
    (void)state;
    enum { N = 4 };
    const hti_http_options options = testing_options();
    hti_http *client = testing_client(&options);
    ends of;
    ends_open(&of);
    starter starters[N];
    hti_thread *threads[N];
    for (size_t i = 0; i < N; i++) {
        starters[i] = (starter){client, &of, 0};
        assert_int_equal(hti_thread_start(start_and_cancel, &starters[i], &threads[i], &err), HT_OK);
    }
    for (size_t i = 0; i < N; i++) hti_thread_join(threads[i]);
    for (size_t i = 0; i < N; i++) assert_int_equal(starters[i].n_good, 200);
    wait_for_ends(&of, (size_t)N * 200);
    assert_int_equal(of.n_answers + of.n_cancelled, of.n);
    assert_true(of.n_answers >= (size_t)N * 100);
    hti_http_free(client);
    assert_int_equal(of.n, N * 200);
    ends_close(&of);
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
    if (fault_alloc_live_blocks() != 0) print_error("%lld blocks leaked\n", (long long)fault_alloc_live_blocks());
    return fault_alloc_live_blocks() != 0;
}

int main(void)
{
    fault_alloc_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_answer),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_inside_a_callback),
        cmocka_unit_test(test_free_in_flight),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
