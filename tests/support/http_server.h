/*
 * http_server.h - a small HTTP/1.1 server on 127.0.0.1 that behaves as the path says, for tests.
 *
 *   /delay/MS      answers "delay MS" after MS milliseconds
 *   /status/N      answers with status N
 *   /flaky/N?KEY   503 for the first N requests of this very path, then "after N"
 *   /breaks/N?KEY  hangs up without an answer for the first N requests of this very path, then "after N"
 *   /close         always hangs up without an answer
 *   /echo          answers with the request as it came: its line, headers and body
 *   /big/N         N bytes with a Content-Length;  /chunked/N  N bytes without one
 *   /cut/N         promises N bytes, sends half of them and hangs up
 *   /headers/N     about N bytes of headers
 *   /slow          one byte every 20 ms, for ever
 *   /retry-after/SECONDS?KEY   429 with Retry-After for the first request of this very path, then "after"
 *   /redirect?URL  302 to URL
 *   /garbage       no HTTP at all
 * Anything else is 404. Connections are kept alive. Free ends what is still running.
 */
#ifndef HT_TESTS_HTTP_SERVER_H
#define HT_TESTS_HTTP_SERVER_H

#include <stddef.h>

typedef struct http_server http_server;

/* Aborts the program if the machine refuses. */
http_server *http_server_new(void);
void http_server_free(http_server *server);
int http_server_port(const http_server *server);
/* Requests so far: of this very path (query included), and the most being answered at one time. */
size_t http_server_hits(http_server *server, const char *path);
size_t http_server_most_at_once(http_server *server);

#endif
