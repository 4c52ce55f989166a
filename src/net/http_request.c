/*
 * http_request.c - a request checked, copied, and told in messages.
 *
 * What would let a caller's text become more than it should is refused here, before anything is sent: line
 * ends in headers, schemes other than http and https, user and password in a URL.
 * Messages: never a query (keys are often sent there), never a header's value, never a body.
 * Thread rule: any thread; a call is private to its maker until it is in the inbox.
 * Easy to get wrong: curl takes "Name:" for "do not send Name"; an empty value is written "Name;".
 */
#include "net_int.h"

#include <string.h>
#include <strings.h>

static const hti_http_method methods[] = {
    {"GET", true, false},     {"HEAD", true, false}, {"PUT", true, true},    {"DELETE", true, false},
    {"OPTIONS", true, false}, {"POST", false, true}, {"PATCH", false, true},
};

void hti_url_show(const char *url, char shown[HTI_URL_SHOWN])
{
    size_t n = 0;
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end ? scheme_end + 3 : url;
    const char *host = authority;
    const char *at = authority;
    for (; *at && !strchr("/?#", *at); at++) {
        if (*at == '@') host = at + 1;
    }
    for (const char *p = url; *p && *p != '?' && *p != '#' && n + 1 < HTI_URL_SHOWN; p++) {
        if (p == authority) p = host;
        if (!*p || *p == '?' || *p == '#') break;
        const unsigned char c = (unsigned char)*p;
        shown[n++] = c > 0x20 && c < 0x7f ? *p : '?';
    }
    shown[n] = '\0';
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    for (const char *p = text; *p; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *p)) return false;
    }
    return *text != '\0';
}

ht_status hti_header_append(hti_buffer *lines, const char *name, const char *value, ht_error *err)
{
    if (!name || !is_token(name)) return HT_FAIL(err, INVALID, "HTTP: a header's name is empty or has a bad character");
    if (!value) return HT_FAIL(err, INVALID, "HTTP: header %.100s has no value", name);
    for (const char *p = value; *p; p++) {
        const unsigned char c = (unsigned char)*p;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return HT_FAIL(err, INVALID, "HTTP: the value of header %.100s has a line end or control character", name);
    }
    if (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0)
        return HT_FAIL(err, INVALID, "HTTP: header %s is set by the client itself", name);
    if (*value)
        hti_buffer_printf(lines, "%s: %s", name, value);
    else
        hti_buffer_printf(lines, "%s;", name);
    hti_buffer_append(lines, "", 1);
    return HT_OK;
}

/* Whether both lines are headers of one name. */
static bool same_name(const char *a, const char *b)
{
    const size_t n = strcspn(a, ":;");
    return n == strcspn(b, ":;") && strncasecmp(a, b, n) == 0;
}

static bool has_name(const hti_buffer *lines, const char *line)
{
    for (size_t at = 0; at < lines->len; at += strlen(lines->data + at) + 1) {
        if (same_name(lines->data + at, line)) return true;
    }
    return false;
}

/* Adds the lines to the call's list, but those that `own` (NULL allowed) has of the same name. */
static bool add_lines(hti_call *call, const hti_buffer *lines, const hti_buffer *own)
{
    const hti_curl_api *api = call->client->api;
    for (size_t at = 0; at < lines->len; at += strlen(lines->data + at) + 1) {
        if (own && has_name(own, lines->data + at)) continue;
        struct curl_slist *longer = api->slist_append(call->headers, lines->data + at);
        if (!longer) return false;
        call->headers = longer;
    }
    return true;
}

static ht_status make_headers(hti_call *call, const hti_http_request *request, ht_error *err)
{
    hti_buffer own;
    hti_buffer_init(&own);
    ht_status status = HT_OK;
    for (size_t i = 0; i < request->n_headers && status == HT_OK; i++)
        status = hti_header_append(&own, request->headers[i].name, request->headers[i].value, err);
    if (status != HT_OK) goto done;
    if (!has_name(&own, "content-type:") && !has_name(&call->client->defaults, "content-type:")) {
        /* Without a body curl would call a POST a form; the empty line keeps it from that. */
        const char *line = call->body.len > 0 ? "Content-Type: application/json" : "Content-Type:";
        hti_buffer_append(&own, line, strlen(line) + 1);
    }
    status = hti_buffer_status(&own, err);
    if (status == HT_OK && (!add_lines(call, &own, NULL) || !add_lines(call, &call->client->defaults, &own)))
        status = HTI_NO_MEMORY(err);
done:
    hti_buffer_deinit(&own);
    return status;
}

/* The scheme, and that there is no user in it; `why` [cap] says what is wrong. */
static ht_status judge_url(const hti_curl_api *api, CURLU *parsed, const char *url, const char **why)
{
    char *scheme = NULL, *user = NULL, *password = NULL;
    const CURLUcode code = api->url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    ht_status status = HT_INVALID;
    if (code == CURLUE_OUT_OF_MEMORY) {
        status = HT_NO_MEMORY;
        *why = "out of memory";
    } else if (code != CURLUE_OK) {
        *why = "it is not an absolute URL (http://host/path or https://host/path)";
    } else if (api->url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
               (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        *why = "only http and https are supported";
    } else if (api->url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK ||
               api->url_get(parsed, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK) {
        *why = "a user or password in it would leak into logs; send a header instead";
    } else {
        status = HT_OK;
    }
    api->free(scheme);
    api->free(user);
    api->free(password);
    return status;
}

static ht_status check_url(const hti_curl_api *api, const char *url, ht_error *err)
{
    if (!url || !*url) return HT_FAIL(err, INVALID, "HTTP: a request without a URL");
    CURLU *parsed = api->url();
    if (!parsed) return HTI_NO_MEMORY(err);
    const char *why = "";
    const ht_status status = judge_url(api, parsed, url, &why);
    api->url_cleanup(parsed);
    if (status == HT_OK) return HT_OK;
    char shown[HTI_URL_SHOWN];
    hti_url_show(url, shown);
    return hti_fail(err, status, "HTTP: URL \"%s\": %s", shown, why), status;
}

static const hti_http_method *find_method(const char *name)
{
    if (!name) return &methods[0];
    for (size_t i = 0; i < HTI_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) return &methods[i];
    }
    return NULL;
}

ht_status hti_call_new(hti_http *client, const hti_http_request *request, hti_call **out, ht_error *err)
{
    *out = NULL;
    const hti_http_method *method = find_method(request->method);
    if (!method) return HT_FAIL(err, INVALID, "HTTP: method \"%.20s\" is not one of those known", request->method);
    if (request->body.len > 0 && strcmp(method->name, "HEAD") == 0)
        return HT_FAIL(err, INVALID, "HTTP: a HEAD request with a body");
    HT_TRY(check_url(client->api, request->url, err));
    const size_t url_size = strlen(request->url) + 1;
    const size_t size = hti_add(sizeof(hti_call) + url_size, request->body.len);
    hti_call *call = hti_alloc(size);
    if (!call) return HTI_NO_MEMORY(err);
    memset(call, 0, sizeof *call);
    call->client = client;
    call->method = method;
    call->may_retry = request->retry || method->idempotent;
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : client->timeout_ms;
    memcpy(call->text, request->url, url_size);
    call->url = call->text;
    if (request->body.len > 0) memcpy(call->text + url_size, request->body.data, request->body.len);
    call->body = (ht_text){call->text + url_size, request->body.len};
    hti_buffer_init(&call->response.body);
    hti_buffer_init(&call->response.headers);
    const ht_status status = make_headers(call, request, err);
    if (status != HT_OK) {
        hti_call_free(call);
        return status;
    }
    *out = call;
    return HT_OK;
}

void hti_call_free(hti_call *call)
{
    call->client->api->slist_free_all(call->headers);
    hti_http_response_deinit(&call->response);
    hti_free(call);
}
