/*
 * http_class.c - the HTTP client as a class: requests are started and end on the client's thread, so a pipeline's calls
 * of all items overlap, and none holds a thread.
 *
 * get(url) gives the body of the answer as a string; post(url, value) sends JSON and gives the answer's JSON as a
 * value. An answer that is not 2xx is a failure that names the request. Thread rule: as every class.
 * Easy to get wrong: the callback may come before start returns, and must not block.
 */
#include "net/net.h"
#include "retrieval_int.h"

typedef struct client {
    hti_http *http;
    hti_http_header *headers; /* [n_headers] borrowed from the arguments, which outlive the object */
    size_t n_headers;
} client;

static void client_fini(void *self)
{
    client *c = self;
    hti_http_free(c->http);
    hti_free(c->headers);
    hti_free(c);
}

static ht_status read_headers(client *c, ht_value headers, ht_error *err)
{
    size_t n;
    const ht_value *items = ht_value_items(headers, &n);
    if (headers.kind == HT_KIND_NULL) return HT_OK;
    c->headers = HTI_NEW_ARRAY(hti_http_header, n);
    if (!c->headers) return HTI_NO_MEMORY(err);
    for (; c->n_headers < n; c->n_headers++) {
        const ht_value value = items[c->n_headers];
        const char *name = ht_value_field_name(headers, c->n_headers).data;
        if (!name || value.kind != HT_KIND_STRING)
            return HT_FAIL(err, INVALID, "'headers' is a struct of strings; '%s' is a %s", name ? name : "it",
                           ht_kind_name(value.kind));
        c->headers[c->n_headers] = (hti_http_header){name, ht_value_text(value).data};
    }
    return HT_OK;
}

static ht_status open_client(client *c, ht_value args, ht_error *err)
{
    hti_http_options options;
    size_t timeout_ms, retries, concurrency;
    hti_http_options_init(&options);
    HT_TRY(hti_count_of(hti_field(args, "timeout_ms"), "timeout_ms", 0, &timeout_ms, err));
    HT_TRY(hti_count_of(hti_field(args, "max_retries"), "max_retries", 0, &retries, err));
    HT_TRY(hti_count_of(hti_field(args, "max_in_flight"), "max_in_flight", 1, &concurrency, err));
    HT_TRY(read_headers(c, hti_field(args, "headers"), err));
    const ht_text bearer = ht_value_text(hti_field(args, "bearer"));
    options.timeout_ms = (uint32_t)HTI_MIN(timeout_ms, UINT32_MAX);
    options.max_retries = (uint32_t)HTI_MIN(retries, 1000);
    options.max_concurrency = concurrency;
    options.headers = c->headers;
    options.n_headers = c->n_headers;
    if (bearer.len) options.bearer = bearer.data;
    return hti_http_new(&options, &c->http, err);
}

static ht_status client_init(void **self, ht_value args, ht_error *err)
{
    client *c = HTI_NEW(client);
    if (!c) return HTI_NO_MEMORY(err);
    const ht_status status = open_client(c, args, err);
    if (status == HT_OK)
        *self = c;
    else
        client_fini(c);
    return status;
}

/* ---- requests ---- */

typedef struct pending {
    ht_completion *completion;
    bool json;
    char url[]; /* for messages */
} pending;

static ht_status answer_value(const pending *p, const hti_http_response *response, ht_value *out, ht_error *err)
{
    const hti_http_request request = {.method = p->json ? "POST" : "GET", .url = p->url};
    const ht_text body = hti_buffer_view(&response->body);
    HT_TRY(hti_http_check(&request, response, err));
    if (!p->json) return ht_value_string(body, out, err);
    const ht_status status = ht_value_from_json(body, out, err);
    return status == HT_OK ? HT_OK : hti_fail_context(err, status, "answer of %.500s", p->url);
}

static void request_done(void *ud, hti_http_response *response, const ht_error *failure)
{
    pending *p = ud;
    ht_error why = {0};
    ht_value out = ht_value_null();
    ht_status status = failure ? failure->status : answer_value(p, response, &out, &why);
    if (status == HT_OK)
        ht_complete(p->completion, &out);
    else
        ht_complete_error(p->completion, status, failure ? failure->message : why.message);
    hti_free(p);
}

static ht_status start(client *c, ht_value url, ht_text body, bool json, ht_completion *completion, ht_error *err)
{
    if (url.kind != HT_KIND_STRING) return HT_FAIL(err, INVALID, "a URL is a string, not a %s", ht_kind_name(url.kind));
    const ht_text text = ht_value_text(url);
    pending *p = hti_alloc(hti_add(sizeof *p, text.len + 1));
    if (!p) return HTI_NO_MEMORY(err);
    p->completion = completion;
    p->json = json;
    memcpy(p->url, text.data, text.len + 1);
    const hti_http_request request = {.method = json ? "POST" : "GET", .url = p->url, .body = body};
    const ht_status status = hti_http_start(c->http, &request, request_done, p, NULL, err);
    if (status != HT_OK) hti_free(p);
    return status;
}

static ht_status start_get(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    return start(self, in[0], (ht_text){"", 0}, false, completion, err);
}

static ht_status start_post(void *self, const ht_value *in, ht_completion *completion, ht_error *err)
{
    ht_writer *writer;
    size_t len;
    HT_TRY(ht_writer_new(&writer, err));
    ht_status status = ht_value_to_json(in[1], writer, err);
    if (status == HT_OK) {
        const char *data = ht_writer_data(writer, &len);
        status = start(self, in[0], (ht_text){data, len}, true, completion, err);
    }
    ht_writer_free(writer);
    return status;
}

static const ht_parameter parameters[] = {
    {"bearer", "string", "\"\"", "token sent as Authorization: Bearer; empty: none"},
    {"headers", "any", "null", "struct of further headers"},
    {"timeout_ms", "int", "60000", "of one request, retries included; 0: none"},
    {"max_retries", "int", "2", "after a broken connection or 429, 502, 503, 504 to a GET"},
    {"max_in_flight", "int", "64", "requests under way at a time"},
};
static const ht_method methods[] = {
    {"get", 1, {.start = start_get}},
    {"post", 2, {.start = start_post, .over = 3}},
};
const ht_class hti_http_class = {HT_DESC(ht_class),
                                 .name = "HTTPClient",
                                 .init = client_init,
                                 .fini = client_fini,
                                 .methods = methods,
                                 .n_methods = HTI_LEN(methods),
                                 .summary = "get and post over HTTP, as many requests at once as asked for",
                                 .parameters = parameters,
                                 .n_parameters = HTI_LEN(parameters)};
