/*
 * http_testing.h - a client and a server side by side, for the tests of the room.
 */
#ifndef HT_TESTS_HTTP_TESTING_H
#define HT_TESTS_HTTP_TESTING_H

#include "http_server.h"
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "s3cr3t-T0ken.value"

/* No proxy of the environment, retries after milliseconds. */
static inline hti_http_options testing_options(void)
{
    hti_http_options options;
    hti_http_options_init(&options);
    options.proxy = "";
    options.retry_base_ms = 2;
    options.bearer = TOKEN;
    return options;
}

static inline hti_http *testing_client(const hti_http_options *options)
{
    hti_http *client;
    ht_error err = {0};
    if (hti_http_new(options, &client, &err) != HT_OK) fail_msg("%s", err.message);
    return client;
}

enum { TESTING_URL_CAP = 400 };
static inline const char *testing_url(const http_server *server, const char *path, char url[TESTING_URL_CAP])
{
    (void)snprintf(url, TESTING_URL_CAP, "http://127.0.0.1:%d%s", http_server_port(server), path);
    return url;
}

#endif
