/*
 * http_wait.c - answers, and waiting for them: one request, or a batch with results in input order.
 *
 * A batch keeps at most max_in_flight requests started; each end starts the next from the client's thread,
 * so no thread is spent on waiting but the caller's own.
 * Lock order: the batch's lock alone; hti_http_start is called without it.
 * Easy to get wrong: the last end must not touch the batch after giving its lock back: the waiting caller
 * frees it then.
 */
#include "net_int.h"

#include <string.h>
#include <strings.h>

typedef struct batch batch;

/* What a done callback gets. */
typedef struct batch_item {
    batch *of;
    size_t at;
} batch_item;

struct batch {
    hti_http *client;
    const hti_http_request *requests; /* [n] */
    hti_http_result *results;         /* [n] */
    batch_item *items;                /* [n] */
    size_t n;

    hti_mutex *lock; /* guards this part */
    hti_cond *all_ended;
    size_t next, n_ended;
};

/* ---- answers ---- */

void hti_http_response_deinit(hti_http_response *response)
{
    hti_buffer_deinit(&response->body);
    hti_buffer_deinit(&response->headers);
    *response = (hti_http_response){0};
}

void hti_http_response_move(hti_http_response *from, hti_http_response *into)
{
    *into = *from;
    *from = (hti_http_response){0};
}

static ht_text without_blanks(ht_text text)
{
    while (text.len > 0 && strchr(" \t", *text.data)) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1])) text.len--;
    return text;
}

ht_text hti_http_response_header(const hti_http_response *response, const char *name)
{
    const size_t name_len = strlen(name);
    const ht_text all = hti_buffer_view(&response->headers);
    for (size_t at = 0; at < all.len;) {
        const char *line = all.data + at;
        const char *newline = memchr(line, '\n', all.len - at);
        const size_t len = newline ? (size_t)(newline - line) + 1 : all.len - at;
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0)
            return without_blanks((ht_text){line + name_len + 1, len - name_len - 1});
        at += len;
    }
    return (ht_text){NULL, 0};
}

ht_status hti_http_check(const hti_http_request *request, const hti_http_response *response, ht_error *err)
{
    const int code = response->status;
    if (code >= 200 && code < 300) return HT_OK;
    ht_status status = HT_IO;
    const char *hint = "";
    if (code == 404 || code == 410) {
        status = HT_NOT_FOUND;
    } else if (code == 413) {
        status = HT_LIMIT;
    } else if (code == 429 || code == 503) {
        status = HT_BUSY;
    } else if (code >= 400 && code < 500) {
        status = HT_INVALID;
        if (code == 401 || code == 403) hint = "; is the token right?";
    } else if (code >= 300 && code < 400) {
        hint = "; a redirect was not followed";
    }
    char shown[HTI_URL_SHOWN];
    hti_url_show(request->url, shown);
    const char *method = request->method ? request->method : "GET";
    (void)hti_fail(err, status, "%s %s: the server answered %d, attempt %u%s", method, shown, code,
                   (unsigned)response->n_attempts, hint);
    return status;
}

/* ---- batches ---- */

static void set_failure(hti_http_result *result, ht_status status, const char *message)
{
    result->status = status;
    const size_t size = strlen(message) + 1;
    result->message = hti_alloc(size);
    if (result->message) memcpy(result->message, message, size);
}

/* Under the lock. */
static void count_end(batch *of)
{
    if (++of->n_ended == of->n) hti_cond_signal(of->all_ended);
}

static void end_item(void *ud, hti_http_response *response, const ht_error *why);

/* Starts the next request; those that cannot be started end at once. The caller keeps the batch alive. */
static void start_next(batch *of)
{
    for (;;) {
        hti_mutex_lock(of->lock);
        const size_t at = of->next;
        if (at < of->n) of->next++;
        hti_mutex_unlock(of->lock);
        if (at >= of->n) return;
        ht_error why = {0};
        const ht_status status = hti_http_start(of->client, &of->requests[at], end_item, &of->items[at], NULL, &why);
        if (status == HT_OK) return;
        set_failure(&of->results[at], status, why.message);
        hti_mutex_lock(of->lock);
        count_end(of);
        hti_mutex_unlock(of->lock);
    }
}

static void end_item(void *ud, hti_http_response *response, const ht_error *why)
{
    const batch_item *item = ud;
    batch *of = item->of;
    hti_http_result *result = &of->results[item->at];
    if (response)
        hti_http_response_move(response, &result->response);
    else
        set_failure(result, why->status, why->message);
    start_next(of); /* before this end is counted: until then the batch is there */
    hti_mutex_lock(of->lock);
    count_end(of);
    hti_mutex_unlock(of->lock);
}

static ht_status run_batch(batch *of, size_t max_in_flight, ht_error *err)
{
    of->lock = hti_mutex_new();
    of->all_ended = hti_cond_new();
    of->items = HTI_NEW_ARRAY(batch_item, of->n);
    if (!of->lock || !of->all_ended || !of->items) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < of->n; i++) of->items[i] = (batch_item){of, i};
    const size_t n_at_once = max_in_flight ? max_in_flight : of->client->max_concurrency;
    for (size_t i = 0; i < n_at_once && i < of->n; i++) start_next(of);
    hti_mutex_lock(of->lock);
    while (of->n_ended < of->n) hti_cond_wait(of->all_ended, of->lock);
    hti_mutex_unlock(of->lock);
    return HT_OK;
}

ht_status hti_http_batch(hti_http *client, const hti_http_request *requests, size_t n, size_t max_in_flight,
                         hti_http_result *results, ht_error *err)
{
    for (size_t i = 0; i < n; i++) results[i] = (hti_http_result){.status = HT_OK};
    if (hti_http_is_inside(client))
        return HT_FAIL(err, INVALID, "HTTP: waiting inside a done callback would wait for itself; use hti_http_start");
    if (n == 0) return HT_OK;
    batch of = {.client = client, .requests = requests, .results = results, .n = n};
    const ht_status status = run_batch(&of, max_in_flight, err);
    hti_cond_free(of.all_ended);
    hti_mutex_free(of.lock);
    hti_free(of.items);
    return status;
}

void hti_http_results_deinit(hti_http_result *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hti_http_response_deinit(&results[i].response);
        hti_free(results[i].message);
        results[i].message = NULL;
    }
}

ht_status hti_http_fetch(hti_http *client, const hti_http_request *request, hti_http_response *out, ht_error *err)
{
    *out = (hti_http_response){0};
    hti_http_result result;
    HT_TRY(hti_http_batch(client, request, 1, 1, &result, err));
    if (result.status != HT_OK) {
        const char *message = result.message ? result.message : "out of memory";
        (void)hti_fail(err, result.status, "%s", message);
    } else {
        hti_http_response_move(&result.response, out);
    }
    hti_http_results_deinit(&result, 1);
    return result.status;
}
