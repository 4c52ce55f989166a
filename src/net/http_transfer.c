/*
 * http_transfer.c - one attempt: how curl is set up for it, what came back, whether to try again.
 *
 * Waits between attempts: retry_base_ms * 2^n, times a random factor in [0.5, 1) so that clients thrown out
 * together do not come back together; Retry-After raises it. A wait that would pass the deadline or
 * max_wait_ms is not begun: the answer at hand, or the failure, is given at once.
 * Thread rule: the client's thread only.
 * Easy to get wrong: curl's own limit on size counts what is announced, and only before decompression, so the
 * body is counted again as it comes; headers have no limit in curl 7.88 at all. And a redirect or a
 * "100 Continue" brings headers of its own: each status line begins anew.
 */
#include "net_int.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 256 * 1024, NS_PER_MS = 1000000 };

static size_t take_body(char *data, size_t one, size_t n, void *ud)
{
    hti_call *call = ud;
    const size_t len = one * n;
    hti_buffer *body = &call->response.body;
    if (len > call->client->max_response_bytes - body->len) {
        call->refused = HT_LIMIT;
        call->refused_what = "body";
        return CURL_WRITEFUNC_ERROR;
    }
    hti_buffer_append(body, data, len);
    if (body->status == HT_OK) return len;
    call->refused = body->status;
    return CURL_WRITEFUNC_ERROR;
}

static size_t take_header(char *data, size_t one, size_t n, void *ud)
{
    hti_call *call = ud;
    const size_t len = one * n;
    hti_buffer *headers = &call->response.headers;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        hti_buffer_clear(headers);
        return len;
    }
    if (len <= 2) return len; /* the empty line at the end */
    if (len > MAX_HEADER_BYTES - headers->len) {
        call->refused = HT_LIMIT;
        call->refused_what = "headers";
        return CURL_WRITEFUNC_ERROR;
    }
    hti_buffer_append(headers, data, len);
    if (headers->status == HT_OK) return len;
    call->refused = headers->status;
    return CURL_WRITEFUNC_ERROR;
}

/* Setting options, with a sticky failure. */
typedef struct setter {
    const hti_curl_api *api;
    CURL *easy;
    CURLcode code;
} setter;

static void set_long(setter *to, CURLoption option, long value)
{
    if (to->code == CURLE_OK) to->code = to->api->easy_setopt(to->easy, option, value);
}

static void set_off(setter *to, CURLoption option, size_t value)
{
    const curl_off_t off = value < (size_t)INT64_MAX ? (curl_off_t)value : (curl_off_t)INT64_MAX;
    if (to->code == CURLE_OK) to->code = to->api->easy_setopt(to->easy, option, off);
}

static void set_pointer(setter *to, CURLoption option, const void *value)
{
    if (to->code == CURLE_OK) to->code = to->api->easy_setopt(to->easy, option, value);
}

static void set_method(setter *to, const hti_call *call)
{
    const char *name = call->method->name;
    if (strcmp(name, "HEAD") == 0) {
        set_long(to, CURLOPT_NOBODY, 1);
        return; /* and no limit: the length told is that of a body that does not come */
    }
    set_off(to, CURLOPT_MAXFILESIZE_LARGE, call->client->max_response_bytes);
    if (call->body.len > 0 || call->method->always_body) {
        set_long(to, CURLOPT_POST, 1);
        set_pointer(to, CURLOPT_POSTFIELDS, call->body.data);
        set_off(to, CURLOPT_POSTFIELDSIZE_LARGE, call->body.len);
        if (strcmp(name, "POST") != 0) set_pointer(to, CURLOPT_CUSTOMREQUEST, name);
    } else if (strcmp(name, "GET") != 0) {
        set_pointer(to, CURLOPT_CUSTOMREQUEST, name);
    }
}

static void set_safety(setter *to, const hti_call *call)
{
    const hti_http *client = call->client;
    /* Never from https down to http, where everybody on the way reads along. */
    const bool tls = strncmp(call->url, "http:", 5) != 0 && strncmp(call->url, "HTTP:", 5) != 0;
    set_pointer(to, CURLOPT_PROTOCOLS_STR, "http,https");
    set_pointer(to, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    set_long(to, CURLOPT_FOLLOWLOCATION, client->max_redirects > 0);
    set_long(to, CURLOPT_MAXREDIRS, (long)HTI_MIN(client->max_redirects, 1000U));
    set_long(to, CURLOPT_DISALLOW_USERNAME_IN_URL, 1);
    set_long(to, CURLOPT_SSL_VERIFYPEER, 1);
    set_long(to, CURLOPT_SSL_VERIFYHOST, 2);
    if (client->proxy) set_pointer(to, CURLOPT_PROXY, client->proxy);
    if (client->ca_file) set_pointer(to, CURLOPT_CAINFO, client->ca_file);
}

static uint64_t left_ms(const hti_call *call, uint64_t now)
{
    if (call->deadline_ns == UINT64_MAX) return 0;
    return now >= call->deadline_ns ? 1 : (call->deadline_ns - now) / NS_PER_MS + 1;
}

ht_status hti_transfer_setup(hti_call *call, CURL *easy, ht_error *err)
{
    const uint64_t now = hti_clock_ns();
    if (call->begin_ns == 0) {
        call->begin_ns = now;
        call->deadline_ns = call->timeout_ms ? now + (uint64_t)call->timeout_ms * NS_PER_MS : UINT64_MAX;
    }
    call->response.n_attempts++;
    call->response.status = 0;
    hti_buffer_clear(&call->response.body);
    hti_buffer_clear(&call->response.headers);
    call->why[0] = '\0';
    setter to = {call->client->api, easy, CURLE_OK};
    set_pointer(&to, CURLOPT_PRIVATE, call);
    set_pointer(&to, CURLOPT_ERRORBUFFER, call->why);
    set_long(&to, CURLOPT_NOSIGNAL, 1);
    set_pointer(&to, CURLOPT_URL, call->url);
    set_pointer(&to, CURLOPT_HTTPHEADER, call->headers);
    set_pointer(&to, CURLOPT_USERAGENT, call->client->user_agent);
    set_pointer(&to, CURLOPT_ACCEPT_ENCODING, "");
    set_long(&to, CURLOPT_CONNECTTIMEOUT_MS, (long)call->client->connect_timeout_ms);
    set_long(&to, CURLOPT_TIMEOUT_MS, (long)left_ms(call, now));
    set_pointer(&to, CURLOPT_WRITEDATA, call);
    set_pointer(&to, CURLOPT_HEADERDATA, call);
    if (to.code == CURLE_OK) to.code = to.api->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    if (to.code == CURLE_OK) to.code = to.api->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    set_method(&to, call);
    set_safety(&to, call);
    if (to.code == CURLE_OK) return HT_OK;
    if (to.code == CURLE_OUT_OF_MEMORY) return HTI_NO_MEMORY(err);
    return HT_FAIL(err, UNSUPPORTED, "HTTP: libcurl refuses an option: %s", to.api->easy_strerror(to.code));
}

/* Whether a further attempt at due_ns is allowed; then it is noted. */
static bool plan_retry(hti_call *call, uint64_t asked_ms)
{
    hti_http *client = call->client;
    const uint32_t n = call->response.n_attempts; /* made so far */
    if (!call->may_retry || n > client->max_retries) return false;
    const double unit = hti_random_unit(&client->random);
    const uint64_t doubled = (uint64_t)client->retry_base_ms << HTI_MIN(n - 1, 20U);
    const uint64_t backoff_ms = HTI_MIN(doubled, client->max_wait_ms);
    if (asked_ms > client->max_wait_ms) return false;
    const uint64_t backoff_ns = (uint64_t)((double)backoff_ms * NS_PER_MS * (0.5 + 0.5 * unit));
    const uint64_t due = hti_clock_ns() + HTI_MAX(backoff_ns, asked_ms * NS_PER_MS);
    if (due >= call->deadline_ns) return false;
    call->due_ns = due;
    return true;
}

static bool is_busy(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

static bool is_connection(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    case CURLE_OPERATION_TIMEDOUT: return true; /* of the connection: the deadline forbids others */
    default: return false;
    }
}

static ht_status fail_attempt(const hti_call *call, CURLcode code, const char *target, ht_error *err)
{
    const hti_http *client = call->client;
    if (call->refused == HT_LIMIT || code == CURLE_FILESIZE_EXCEEDED) {
        if (code == CURLE_FILESIZE_EXCEEDED || strcmp(call->refused_what, "body") == 0)
            return HT_FAIL(err, LIMIT, "%s: the answer's body is longer than %zu bytes (max_response_bytes)", target,
                           client->max_response_bytes);
        return HT_FAIL(err, LIMIT, "%s: the answer's headers are longer than %d bytes", target, MAX_HEADER_BYTES);
    }
    if (call->refused != HT_OK || code == CURLE_OUT_OF_MEMORY)
        return HT_FAIL(err, NO_MEMORY, "%s: out of memory", target);
    if (code == CURLE_OPERATION_TIMEDOUT && hti_clock_ns() + NS_PER_MS >= call->deadline_ns)
        return HT_FAIL(err, TIMEOUT, "%s: timed out after %u ms, attempt %u", target, (unsigned)call->timeout_ms,
                       (unsigned)call->response.n_attempts);
    if (code == CURLE_TOO_MANY_REDIRECTS)
        return HT_FAIL(err, LIMIT, "%s: more than %u redirects", target, (unsigned)client->max_redirects);
    return HT_FAIL(err, IO, "%s: %s, attempt %u", target, call->why[0] ? call->why : client->api->easy_strerror(code),
                   (unsigned)call->response.n_attempts);
}

ht_status hti_transfer_judge(hti_call *call, CURL *easy, CURLcode code, bool *again, ht_error *err)
{
    const hti_curl_api *api = call->client->api;
    call->response.elapsed_ns = hti_clock_ns() - call->begin_ns;
    *again = false;
    if (code != CURLE_OK) {
        if (call->refused == HT_OK && is_connection(code) && plan_retry(call, 0)) {
            *again = true;
            return HT_OK;
        }
        char shown[HTI_URL_SHOWN], target[HTI_URL_SHOWN + 16];
        hti_url_show(call->url, shown);
        (void)snprintf(target, sizeof target, "%s %s", call->method->name, shown);
        return fail_attempt(call, code, target, err);
    }
    long status = 0;
    (void)api->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    call->response.status = (int)status;
    if (!is_busy(call->response.status)) return HT_OK;
    curl_off_t seconds = 0;
    (void)api->easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    const uint64_t asked_ms = seconds <= 0 ? 0 : (uint64_t)HTI_MIN(seconds, (curl_off_t)INT32_MAX) * 1000;
    *again = plan_retry(call, asked_ms);
    return HT_OK;
}
