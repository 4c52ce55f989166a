/*
 * server.h - a local HTTP server that answers after a while: "hello from PATH" to who brings the right bearer token,
 * else 401. A thread a connection; for the guide's programs alone.
 */
#ifndef EXAMPLES_GUIDE_SERVER_H
#define EXAMPLES_GUIDE_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct guide_server {
    int socket, port, delay_ms;
    const char *token;
    atomic_int n_requests;
} guide_server;

typedef struct guide_connection {
    guide_server *server;
    int socket;
} guide_connection;

static inline void guide_answer(guide_server *server, int to, const char *request)
{
    char path[200] = "", wanted[200], body[300], answer[600];
    const struct timespec delay = {server->delay_ms / 1000, server->delay_ms % 1000 * 1000000L};
    (void)sscanf(request, "GET %199s", path);
    (void)snprintf(wanted, sizeof wanted, "Authorization: Bearer %s\r\n", server->token);
    const int allowed = strstr(request, wanted) != NULL;
    (void)snprintf(body, sizeof body, allowed ? "hello from %s" : "who are you? %s", path);
    (void)snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nContent-Type: text/plain\r\n\r\n%s",
                   allowed ? "200 OK" : "401 Unauthorized", strlen(body), body);
    (void)nanosleep(&delay, NULL);
    (void)!write(to, answer, strlen(answer));
    atomic_fetch_add(&server->n_requests, 1);
}

static inline void *guide_serve(void *ud)
{
    guide_connection connection = *(guide_connection *)ud;
    char request[4096];
    size_t len = 0;
    free(ud);
    for (;;) {
        const ssize_t n = read(connection.socket, request + len, sizeof request - 1 - len);
        if (n <= 0) break;
        len += (size_t)n;
        request[len] = '\0';
        if (!strstr(request, "\r\n\r\n")) continue;
        guide_answer(connection.server, connection.socket, request);
        len = 0;
    }
    (void)close(connection.socket);
    return NULL;
}

static inline void *guide_accept(void *ud)
{
    guide_server *server = ud;
    for (;;) {
        pthread_t thread;
        guide_connection *connection = malloc(sizeof *connection);
        if (!connection) return NULL;
        *connection = (guide_connection){server, accept(server->socket, NULL, NULL)};
        if (connection->socket < 0 || pthread_create(&thread, NULL, guide_serve, connection) != 0) {
            free(connection);
            return NULL;
        }
        (void)pthread_detach(thread);
    }
}

/* Listens on a free port of this machine until the program ends. */
static inline void guide_server_start(guide_server *server, int delay_ms, const char *token)
{
    pthread_t thread;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    server->delay_ms = delay_ms;
    server->token = token;
    server->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (server->socket < 0 || bind(server->socket, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(server->socket, 512) != 0 || getsockname(server->socket, (struct sockaddr *)&at, &len) != 0 ||
        pthread_create(&thread, NULL, guide_accept, server) != 0) {
        perror("server");
        exit(1);
    }
    (void)pthread_detach(thread);
    server->port = ntohs(at.sin_port);
}

#endif
