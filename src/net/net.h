/*
 * net.h - the door of the room that speaks HTTP: a client with one thread of its own.
 *
 * A request is started and its end told by a callback from the client's thread: nothing waits in between.
 * At most max_concurrency transfers are in flight; the rest is queued in the order of starting. Only http
 * and https; certificates and host names are always verified. Plain strings are UTF-8 with a NUL.
 */
#ifndef HTI_NET_NET_H
#define HTI_NET_NET_H

#include "base/base.h"

typedef struct hti_http hti_http;

typedef struct hti_http_header {
    const char *name, *value;
} hti_http_header;

/* Borrowed until hti_http_new returns. hti_http_options_init fills in what is said in brackets. */
typedef struct hti_http_options {
    size_t max_concurrency;      /* transfers in flight, 1 to 10,000 (64) */
    uint32_t connect_timeout_ms; /* of one connection, 0: none but timeout_ms (10,000) */
    uint32_t timeout_ms;         /* from the first attempt's start to the end, retries included, 0: none (60,000) */
    /*
     * Attempts after the first (2): where the connection failed or broke, or the answer is 429, 502, 503 or
     * 504, and the method is idempotent (GET, HEAD, PUT, DELETE, OPTIONS) or the request allows it.
     */
    uint32_t max_retries;
    uint32_t retry_base_ms; /* wait before the first retry, doubled each time, times 0.5 to 1 at random (100) */
    uint32_t max_wait_ms; /* no wait is longer; an answer whose Retry-After asks for more is given as it is (60,000) */
    uint64_t seed;        /* of the random waits (1) */
    size_t max_response_bytes; /* of a body after decompression; more fails with HT_LIMIT (64 MiB) */
    uint32_t max_redirects;    /* 0: a redirect is an answer like any other (0) */
    const char *user_agent;    /* ("houndstooth/VERSION") */
    /*
     * Sent as "Authorization: Bearer ..." unless a request has an Authorization of its own; NULL: none. It is in
     * no message, and a redirect to another host, port or scheme does not get it. Other headers do go there.
     */
    const char *bearer;
    const char *proxy;   /* URL; "": none; NULL: what the environment says (http_proxy, https_proxy, no_proxy) */
    const char *ca_file; /* PEM file of trusted authorities instead of the system's; NULL */
    const hti_http_header *headers; /* [n_headers] of every request that has none of that name; NULL */
    size_t n_headers;
} hti_http_options;
void hti_http_options_init(hti_http_options *options);

/* What is asked for; zero but for the url is a GET. Copied by hti_http_start. */
typedef struct hti_http_request {
    const char *method;             /* GET, HEAD, PUT, DELETE, OPTIONS, POST, PATCH; NULL: GET */
    const char *url;                /* absolute, without user and password */
    const hti_http_header *headers; /* [n_headers] */
    size_t n_headers;
    ht_text body;        /* sent as application/json unless a header says otherwise */
    bool retry;          /* the request may be sent again even if its method is not idempotent */
    uint32_t timeout_ms; /* instead of the client's, if not 0 */
} hti_http_request;

/* An answer of whatever status; release with hti_http_response_deinit. {0} is an empty one. */
typedef struct hti_http_response {
    int status;               /* 200, 404, ... */
    uint32_t n_attempts;      /* at least 1 */
    uint64_t elapsed_ns;      /* from the first attempt's start to the end */
    hti_buffer body, headers; /* headers: the lines of the last answer, "Name: value\r\n" each */
} hti_http_response;
void hti_http_response_deinit(hti_http_response *response);
/* Moves the content into *into (overwritten); the source is empty afterwards. */
void hti_http_response_move(hti_http_response *from, hti_http_response *into);
/* Value of a header, any case of letters, without blanks around it; {NULL, 0} if missing. Borrowed. */
ht_text hti_http_response_header(const hti_http_response *response, const char *name);
/* HT_OK if the status is 2xx, else a failure that names request and status, and nothing of the body. */
HT_CHECKED ht_status hti_http_check(const hti_http_request *request, const hti_http_response *response, ht_error *err);

/* Starts the thread. HT_UNSUPPORTED if this machine has no libcurl, which is loaded here for the first time. */
HT_CHECKED ht_status hti_http_new(const hti_http_options *options, hti_http **out, ht_error *err);
/*
 * Ends the thread: every request not yet ended is told HT_CANCELLED first, from that thread. NULL allowed. Not
 * from a done callback, and not beside other calls on the client.
 */
void hti_http_free(hti_http *client);

/*
 * Told once per started request, from the client's thread with no lock held. Just one of response and err is
 * given: err if there was no whole answer (HT_IO: no connection, broken off; HT_TIMEOUT; HT_LIMIT: too long;
 * HT_CANCELLED; HT_NO_MEMORY). Both end with the call, but the response may be moved out. It MUST NOT BLOCK:
 * every other transfer of the client waits meanwhile. It may start and cancel requests.
 */
typedef void (*hti_http_done)(void *ud, hti_http_response *response, const ht_error *err);

/*
 * Starts a request and returns at once, from any thread. A failure (a bad URL or header, no memory) means
 * that `done` is never called. *id (NULL allowed) is for hti_http_cancel; it is there before `done` is called.
 */
HT_CHECKED ht_status hti_http_start(hti_http *client, const hti_http_request *request, hti_http_done done, void *ud,
                                    uint64_t *id, ht_error *err);
/* Asks for the end of a request with HT_CANCELLED, which is told soon from the client's thread. Nothing if it has
 * ended, so it may come at any time from any thread. */
void hti_http_cancel(hti_http *client, uint64_t id);

/* Waits for one request. Not from a done callback, which is refused (HT_INVALID). */
HT_CHECKED ht_status hti_http_fetch(hti_http *client, const hti_http_request *request, hti_http_response *out,
                                    ht_error *err);

/* How one request of a batch ended: a response if status is HT_OK, else a message (NULL if memory was out). */
typedef struct hti_http_result {
    ht_status status;
    hti_http_response response;
    char *message;
} hti_http_result;
/*
 * Runs n requests, at most max_in_flight at a time (0: what the client allows), and waits for all of them.
 * results [n] is in the order of the requests; a failure of one is in its result and stops nothing. Only
 * what keeps the whole from running is a failure here, and then there is no result. Not from a done callback.
 */
HT_CHECKED ht_status hti_http_batch(hti_http *client, const hti_http_request *requests, size_t n, size_t max_in_flight,
                                    hti_http_result *results, ht_error *err);
void hti_http_results_deinit(hti_http_result *results, size_t n);

#endif
