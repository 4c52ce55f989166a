/*
 * net_int.h - what the files of the room share: the client, its calls and their life.
 *
 * A call is a request from hti_http_start until its done callback has returned. It is in one list at a time:
 * inbox (started, not yet seen by the thread), queue (ready, waiting for a free place), waiting (for the
 * time of its retry) or active (in curl's hands).
 */
#ifndef HTI_NET_NET_INT_H
#define HTI_NET_NET_INT_H

#include "net.h"

#include "curl_api.h"
#include "os/os.h"

typedef struct hti_http_method {
    const char *name;
    bool idempotent, always_body; /* always_body: sent with a length of 0 where there is none */
} hti_http_method;

typedef struct hti_call_list hti_call_list;

typedef struct hti_call {
    struct hti_call *next, *prev;
    struct hti_call *next_cancelled; /* in client->cancelled */
    hti_call_list *list;             /* that holds it; NULL: none. The thread's, but the inbox: under the lock */
    bool cancelling;                 /* under the lock: it is in client->cancelled */
    bool ended;                      /* done was called; kept only because it is in client->cancelled */

    hti_http *client;
    hti_http_done done;
    void *ud;
    uint32_t place; /* in client->places */

    const hti_http_method *method;
    const char *url;            /* in `text` */
    ht_text body;               /* in `text` */
    struct curl_slist *headers; /* owned */
    bool may_retry;
    uint32_t timeout_ms;

    CURL *easy;           /* while active */
    uint64_t begin_ns;    /* of the first attempt, 0: none yet */
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t due_ns;      /* of the retry, while waiting */
    hti_http_response response;
    ht_status refused;         /* why a callback stopped the transfer; HT_OK: none did */
    const char *refused_what;  /* "body" or "headers" */
    char why[CURL_ERROR_SIZE]; /* curl's own words */
    char text[];               /* url with its NUL, then the body */
} hti_call;

struct hti_call_list {
    hti_call *first, *last;
};

void hti_call_append(hti_call_list *list, hti_call *call);
void hti_call_prepend(hti_call_list *list, hti_call *call);
/* Puts it behind the last one that is due no later. */
void hti_call_insert_due(hti_call_list *list, hti_call *call);
/* Takes it out of the list that holds it, if one does. */
void hti_call_unlink(hti_call *call);

/* Where a live call is found by its id: generation in the upper half, number of the place in the lower. */
typedef struct hti_call_place {
    hti_call *call; /* NULL: free */
    uint32_t generation, next_free;
} hti_call_place;

struct hti_http {
    const hti_curl_api *api;
    CURLM *multi;
    hti_thread *thread;

    /* Fixed after hti_http_new. */
    size_t max_concurrency, max_response_bytes;
    uint32_t connect_timeout_ms, timeout_ms, max_retries, retry_base_ms, max_wait_ms, max_redirects;
    char *user_agent, *proxy, *ca_file; /* proxy and ca_file may be NULL */
    hti_buffer defaults;                /* header lines, each with a NUL behind it */

    hti_mutex *lock; /* guards this part; nothing is called while it is held but curl's wake-up */
    hti_call_list inbox;
    hti_call *cancelled;
    bool stop, woken;
    hti_call_place *places; /* [n_places] of cap_places */
    size_t n_places, cap_places;
    uint32_t free_place;

    /* The thread's own. */
    hti_call_list queue, waiting, active;
    size_t n_active, n_idle;
    CURL **idle; /* [n_idle] of max_concurrency: handles to use again */
    uint64_t random;
};

/* ---- http_request.c ---- */

enum { HTI_URL_SHOWN = 200 };
/* Writes the URL as messages may show it: without user, password, query and fragment, cut to fit. */
void hti_url_show(const char *url, char shown[HTI_URL_SHOWN]);
/* Appends "Name: value" and a NUL; refuses what could not be one header line. */
HT_CHECKED ht_status hti_header_append(hti_buffer *lines, const char *name, const char *value, ht_error *err);
/* A checked copy of the request. */
HT_CHECKED ht_status hti_call_new(hti_http *client, const hti_http_request *request, hti_call **out, ht_error *err);
void hti_call_free(hti_call *call);

/* ---- http_transfer.c: on the client's thread ---- */

/* Sets the call's attempt up on an easy handle. */
HT_CHECKED ht_status hti_transfer_setup(hti_call *call, CURL *easy, ht_error *err);
/*
 * Judges an attempt that ended with `code`: HT_OK with *again when it shall be tried again at call->due_ns, HT_OK
 * when call->response is the answer, or the failure.
 */
HT_CHECKED ht_status hti_transfer_judge(hti_call *call, CURL *easy, CURLcode code, bool *again, ht_error *err);

/* ---- http.c ---- */

/* Whether the calling thread is the client's own. */
bool hti_http_is_inside(const hti_http *client);

#endif
