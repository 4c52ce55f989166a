/*
 * http.c - the client: its thread, its lists of calls, starting, cancelling, freeing.
 *
 * The way of a call: inbox -> queue -> active -> done, or active -> waiting -> queue for another attempt.
 * The thread sleeps in curl_multi_poll until a socket, curl's own timer, the next retry or a wake-up; no tick.
 * A call is found by its id in `places`, a table with generations, so that cancelling one that has ended, or
 * whose place is another's by now, does nothing.
 * Workload: tens to thousands of requests to few hosts, each of milliseconds to seconds; so connections and
 * easy handles are kept, and a start is one short lock and at most one wake-up for many.
 * Lock order: `lock` alone; done callbacks run without it. Other lists are the thread's own.
 * Easy to get wrong: a call may end by itself between hti_http_cancel and the thread's look at `cancelled`; it
 * is kept, `ended`, until taken from there. And one may be started and cancelled while the thread is
 * between emptying the inbox and looking at `cancelled`; it must leave the inbox under the lock.
 */
#include "net_int.h"

#include <string.h>

enum { MAX_CONCURRENCY = 10000, NS_PER_MS = 1000000, NO_PLACE = UINT32_MAX };

static _Thread_local const hti_http *mine;

bool hti_http_is_inside(const hti_http *client) { return mine == client; }

/* ---- places: id -> call ---- */

static ht_status take_place(hti_http *client, hti_call *call, ht_error *err)
{
    if (client->free_place == NO_PLACE) {
        if (client->n_places >= NO_PLACE) return HT_FAIL(err, LIMIT, "HTTP: too many requests at once");
        HT_TRY(hti_reserve(&client->places, &client->cap_places, client->n_places + 1, sizeof *client->places, err));
        client->places[client->n_places] = (hti_call_place){NULL, 1, NO_PLACE};
        client->free_place = (uint32_t)client->n_places++;
    }
    call->place = client->free_place;
    client->free_place = client->places[call->place].next_free;
    client->places[call->place].call = call;
    return HT_OK;
}

static void give_place(hti_http *client, hti_call *call)
{
    hti_call_place *place = &client->places[call->place];
    place->call = NULL;
    place->generation++;
    place->next_free = client->free_place;
    client->free_place = call->place;
}

/* ---- the end of a call ---- */

/* Tells the end of a call that is in no list. `status` HT_OK gives its response. */
static void end_call(hti_http *client, hti_call *call, ht_status status, ht_error *why)
{
    hti_mutex_lock(client->lock);
    give_place(client, call);
    const bool keep = call->cancelling;
    hti_mutex_unlock(client->lock);
    why->status = status;
    call->done(call->ud, status == HT_OK ? &call->response : NULL, status == HT_OK ? NULL : why);
    call->ended = true;
    if (!keep) hti_call_free(call);
}

/* For another call; it forgets this one, into which it has pointers. */
static void keep_easy(hti_http *client, CURL *easy)
{
    client->api->easy_reset(easy);
    client->idle[client->n_idle++] = easy;
}

/* Takes an active call out of curl's hands. */
static void stop_transfer(hti_http *client, hti_call *call)
{
    (void)client->api->multi_remove_handle(client->multi, call->easy);
    keep_easy(client, call->easy);
    call->easy = NULL;
    hti_call_unlink(call);
    client->n_active--;
}

static void end_with(hti_http *client, hti_call *call, ht_status status, const char *what)
{
    char shown[HTI_URL_SHOWN];
    hti_url_show(call->url, shown);
    ht_error why = {0};
    (void)hti_fail(&why, status, "%s %s: %s", call->method->name, shown, what);
    if (call->easy)
        stop_transfer(client, call);
    else
        hti_call_unlink(call);
    end_call(client, call, status, &why);
}

static void end_list(hti_http *client, hti_call_list *list, ht_status status, const char *what)
{
    while (list->first) end_with(client, list->first, status, what);
}

/* ---- the thread ---- */

/* The next call that somebody wants cancelled; NULL: none. */
static hti_call *take_cancelled(hti_http *client)
{
    hti_mutex_lock(client->lock);
    hti_call *call = client->cancelled;
    if (call) {
        client->cancelled = call->next_cancelled;
        call->cancelling = false;
        if (call->list == &client->inbox) hti_call_unlink(call); /* started after the inbox was emptied */
    }
    hti_mutex_unlock(client->lock);
    return call;
}

/* Takes over what other threads left; false when the client shall end. */
static bool take_messages(hti_http *client)
{
    hti_mutex_lock(client->lock);
    client->woken = false;
    while (client->inbox.first) {
        hti_call *call = client->inbox.first;
        hti_call_unlink(call);
        hti_call_append(&client->queue, call);
    }
    const bool stop = client->stop;
    hti_mutex_unlock(client->lock);
    /* One by one: a done callback may cancel more, which may be in this list already. */
    for (hti_call *call = take_cancelled(client); call; call = take_cancelled(client)) {
        if (call->ended)
            hti_call_free(call);
        else
            end_with(client, call, HT_CANCELLED, "cancelled");
    }
    return !stop;
}

static ht_status start_transfer(hti_http *client, hti_call *call, ht_error *err)
{
    const hti_curl_api *api = client->api;
    CURL *easy = client->n_idle > 0 ? client->idle[--client->n_idle] : api->easy_init();
    if (!easy) return HTI_NO_MEMORY(err);
    ht_status status = hti_transfer_setup(call, easy, err);
    if (status == HT_OK) {
        const CURLMcode code = api->multi_add_handle(client->multi, easy);
        if (code != CURLM_OK) status = HT_FAIL(err, NO_MEMORY, "HTTP: %s", api->multi_strerror(code));
    }
    if (status != HT_OK) {
        keep_easy(client, easy);
        return status;
    }
    call->easy = easy;
    hti_call_append(&client->active, call);
    client->n_active++;
    return HT_OK;
}

static void start_transfers(hti_http *client)
{
    const uint64_t now = client->waiting.first ? hti_clock_ns() : 0;
    while (client->waiting.first && client->waiting.first->due_ns <= now) {
        /* Older than what is queued, so in front of it; of several due the earliest stays first. */
        hti_call *last = client->waiting.first;
        while (last->next && last->next->due_ns <= now) last = last->next;
        hti_call_unlink(last);
        hti_call_prepend(&client->queue, last);
    }
    while (client->n_active < client->max_concurrency && client->queue.first) {
        hti_call *call = client->queue.first;
        hti_call_unlink(call);
        ht_error why = {0};
        const ht_status status = start_transfer(client, call, &why);
        if (status != HT_OK) end_call(client, call, status, &why);
    }
}

static void end_transfer(hti_http *client, hti_call *call, CURLcode code)
{
    ht_error why = {0};
    bool again;
    const ht_status status = hti_transfer_judge(call, call->easy, code, &again, &why);
    stop_transfer(client, call);
    if (again)
        hti_call_insert_due(&client->waiting, call);
    else
        end_call(client, call, status, &why);
}

static void move_transfers(hti_http *client)
{
    const hti_curl_api *api = client->api;
    int n_running, n_left;
    const CURLMcode code = api->multi_perform(client->multi, &n_running);
    if (code != CURLM_OK) {
        end_list(client, &client->active, HT_IO, api->multi_strerror(code));
        return;
    }
    const CURLMsg *message;
    while ((message = api->multi_info_read(client->multi, &n_left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        const CURLcode result = message->data.result; /* the message goes with its handle */
        hti_call *call = NULL;
        (void)api->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        end_transfer(client, call, result);
    }
}

static void sleep_until_needed(hti_http *client)
{
    uint64_t ms = INT32_MAX;
    if (client->queue.first && client->n_active < client->max_concurrency) return;
    if (client->waiting.first) {
        const uint64_t now = hti_clock_ns(), due = client->waiting.first->due_ns;
        ms = due <= now ? 0 : HTI_MIN((due - now) / NS_PER_MS + 1, ms);
    }
    const CURLMcode code = client->api->multi_poll(client->multi, NULL, 0, (int)ms, NULL);
    if (code != CURLM_OK) end_list(client, &client->active, HT_IO, client->api->multi_strerror(code));
}

static void client_main(void *ud)
{
    hti_http *client = ud;
    mine = client;
    while (take_messages(client)) {
        start_transfers(client);
        move_transfers(client);
        sleep_until_needed(client);
    }
    const char *what = "cancelled: the client is being freed";
    end_list(client, &client->active, HT_CANCELLED, what);
    end_list(client, &client->waiting, HT_CANCELLED, what);
    end_list(client, &client->queue, HT_CANCELLED, what);
    (void)take_messages(client); /* what was cancelled meanwhile and has ended */
}

/* ---- the door ---- */

void hti_http_options_init(hti_http_options *options)
{
    *options = (hti_http_options){
        .max_concurrency = 64,
        .connect_timeout_ms = 10000,
        .timeout_ms = 60000,
        .max_retries = 2,
        .retry_base_ms = 100,
        .max_wait_ms = 60000,
        .seed = 1,
        .max_response_bytes = (size_t)64 << 20,
    };
}

static ht_status copy_text(const char *text, char **out, ht_error *err)
{
    if (!text) return HT_OK;
    const size_t size = strlen(text) + 1;
    *out = hti_alloc(size);
    if (!*out) return HTI_NO_MEMORY(err);
    memcpy(*out, text, size);
    return HT_OK;
}

static ht_status append_bearer(hti_buffer *lines, const char *bearer, ht_error *err)
{
    if (!bearer) return HT_OK;
    for (const char *p = bearer; *p || p == bearer; p++) {
        if (*p <= 0x20 || *p >= 0x7f)
            return HT_FAIL(err, INVALID, "HTTP: the bearer token is empty or has a blank or another bad character");
    }
    hti_buffer_text(lines, "Authorization: Bearer ");
    hti_buffer_append(lines, bearer, strlen(bearer) + 1);
    return HT_OK;
}

static ht_status copy_options(hti_http *client, const hti_http_options *options, ht_error *err)
{
    if (options->max_concurrency < 1 || options->max_concurrency > MAX_CONCURRENCY)
        return HT_FAIL(err, INVALID, "HTTP: max_concurrency %zu; 1 to %d", options->max_concurrency, MAX_CONCURRENCY);
    client->max_concurrency = options->max_concurrency;
    client->max_response_bytes = options->max_response_bytes;
    client->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : INT32_MAX;
    client->timeout_ms = options->timeout_ms;
    client->max_retries = options->max_retries;
    client->retry_base_ms = options->retry_base_ms;
    client->max_wait_ms = options->max_wait_ms;
    client->max_redirects = options->max_redirects;
    client->random = options->seed;
    HT_TRY(copy_text(options->proxy, &client->proxy, err));
    HT_TRY(copy_text(options->ca_file, &client->ca_file, err));
    hti_buffer agent;
    hti_buffer_init(&agent);
    hti_buffer_printf(&agent, "houndstooth/%s", ht_version());
    ht_status status = hti_buffer_status(&agent, err);
    if (status == HT_OK)
        status = copy_text(options->user_agent ? options->user_agent : agent.data, &client->user_agent, err);
    hti_buffer_deinit(&agent);
    HT_TRY(status);
    /* curl would wait a second for "100 Continue" before a long body. */
    hti_buffer_append(&client->defaults, "Expect:", sizeof "Expect:");
    for (size_t i = 0; i < options->n_headers; i++)
        HT_TRY(hti_header_append(&client->defaults, options->headers[i].name, options->headers[i].value, err));
    HT_TRY(append_bearer(&client->defaults, options->bearer, err));
    return hti_buffer_status(&client->defaults, err);
}

static ht_status open_client(hti_http *client, const hti_http_options *options, ht_error *err)
{
    HT_TRY(copy_options(client, options, err));
    HT_TRY(hti_curl_load(&client->api, err));
    client->lock = hti_mutex_new();
    client->idle = HTI_NEW_ARRAY(CURL *, client->max_concurrency);
    if (!client->lock || !client->idle) return HTI_NO_MEMORY(err);
    client->multi = client->api->multi_init();
    if (!client->multi) return HTI_NO_MEMORY(err);
    /* Connections kept open between requests: as many as may be in use at once. */
    (void)client->api->multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->max_concurrency);
    return hti_thread_start(client_main, client, &client->thread, err);
}

ht_status hti_http_new(const hti_http_options *options, hti_http **out, ht_error *err)
{
    *out = NULL;
    hti_http *client = HTI_NEW(hti_http);
    if (!client) return HTI_NO_MEMORY(err);
    hti_buffer_init(&client->defaults);
    client->free_place = NO_PLACE;
    const ht_status status = open_client(client, options, err);
    if (status != HT_OK) {
        hti_http_free(client);
        return status;
    }
    *out = client;
    return HT_OK;
}

void hti_http_free(hti_http *client)
{
    if (!client) return;
    HT_ASSERT(!hti_http_is_inside(client));
    if (client->thread) {
        hti_mutex_lock(client->lock);
        client->stop = true;
        (void)client->api->multi_wakeup(client->multi);
        hti_mutex_unlock(client->lock);
        hti_thread_join(client->thread);
    }
    for (size_t i = 0; i < client->n_idle; i++) client->api->easy_cleanup(client->idle[i]);
    if (client->multi) (void)client->api->multi_cleanup(client->multi);
    hti_mutex_free(client->lock);
    hti_free(client->idle);
    hti_free(client->places);
    hti_free(client->user_agent);
    hti_free(client->proxy);
    hti_free(client->ca_file);
    hti_buffer_deinit(&client->defaults);
    hti_free(client);
}

/* Under the lock. One wake-up serves all until the thread has looked. */
static void wake(hti_http *client)
{
    if (client->woken) return;
    client->woken = true;
    (void)client->api->multi_wakeup(client->multi);
}

ht_status hti_http_start(hti_http *client, const hti_http_request *request, hti_http_done done, void *ud, uint64_t *id,
                         ht_error *err)
{
    hti_call *call;
    HT_TRY(hti_call_new(client, request, &call, err));
    call->done = done;
    call->ud = ud;
    hti_mutex_lock(client->lock);
    ht_status status = client->stop ? HT_FAIL(err, CANCELLED, "HTTP: the client is being freed") : HT_OK;
    if (status == HT_OK) status = take_place(client, call, err);
    if (status == HT_OK) {
        if (id) *id = (uint64_t)client->places[call->place].generation << 32 | call->place;
        hti_call_append(&client->inbox, call);
        wake(client);
    }
    hti_mutex_unlock(client->lock);
    if (status != HT_OK) hti_call_free(call);
    return status;
}

void hti_http_cancel(hti_http *client, uint64_t id)
{
    const uint32_t place = (uint32_t)id;
    hti_mutex_lock(client->lock);
    hti_call *call = place < client->n_places ? client->places[place].call : NULL;
    if (call && client->places[place].generation == (uint32_t)(id >> 32) && !call->cancelling) {
        call->cancelling = true;
        call->next_cancelled = client->cancelled;
        client->cancelled = call;
        wake(client);
    }
    hti_mutex_unlock(client->lock);
}
