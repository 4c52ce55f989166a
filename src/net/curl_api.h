/*
 * curl_api.h - the functions of libcurl that the room uses, found at run time.
 */
#ifndef HTI_NET_CURL_API_H
#define HTI_NET_CURL_API_H

#include "base/base.h"

#define CURL_DISABLE_TYPECHECK 1
#include <curl/curl.h>

typedef struct hti_curl_api {
    CURLcode (*global_init)(long flags);
    curl_version_info_data *(*version_info)(CURLversion age);
    const char *(*easy_strerror)(CURLcode code);
    const char *(*multi_strerror)(CURLMcode code);
    CURL *(*easy_init)(void);
    void (*easy_reset)(CURL *easy);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_perform)(CURLM *multi, int *n_running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *n_left);
    CURLMcode (*multi_poll)(CURLM *multi, struct curl_waitfd *more, unsigned n_more, int timeout_ms, int *n_ready);
    CURLMcode (*multi_wakeup)(CURLM *multi);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    CURLU *(*url)(void);
    CURLUcode (*url_set)(CURLU *url, CURLUPart part, const char *text, unsigned flags);
    CURLUcode (*url_get)(CURLU *url, CURLUPart part, char **text, unsigned flags);
    void (*url_cleanup)(CURLU *url);
    void (*free)(void *ptr);
} hti_curl_api;

/* Loads and initialises libcurl, once in a process; HT_UNSUPPORTED if it is missing or too old. */
HT_CHECKED ht_status hti_curl_load(const hti_curl_api **out, ht_error *err);

#endif
