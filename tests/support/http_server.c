/*
 * http_server.c - see http_server.h. One thread accepts, one a connection answers.
 *
 * Everything shared is under `lock`. Every wait is a poll that also watches `ending`, a pipe whose write
 * end is closed by http_server_free.
 */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_CAP = 1 << 20, MAX_PATHS = 4096, PATH_CAP = 200 };

typedef struct path_hits {
    char path[PATH_CAP];
    size_t n;
} path_hits;

struct http_server {
    int listener, port, ending[2];
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t n_connections, n_now, n_most, n_paths;
    path_hits paths[MAX_PATHS];
};

typedef struct connection {
    http_server *server;
    int fd;
    size_t len; /* bytes in `request` */
    char *request;
} connection;

static void die(const char *what)
{
    perror(what);
    abort();
}

/* Waits for `fd` (-1: for nothing) to be readable; 1 yes, 0 time is up, -1 the server is ending. */
static int wait_for(const http_server *server, int fd, int ms)
{
    struct pollfd fds[2] = {{.fd = server->ending[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int rc;
    do rc = poll(fds, 2, ms);
    while (rc < 0 && errno == EINTR);
    if (fds[0].revents) return -1;
    return rc > 0 ? 1 : 0;
}

static bool send_all(const connection *to, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool answer(const connection *to, int status, const char *more_headers, const char *body, size_t len)
{
    char head[1024];
    const int n = snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\nX-Kind: test\r\nContent-Length: %zu\r\n%s\r\n",
                           status, len, more_headers);
    return send_all(to, head, (size_t)n) && (strncmp(to->request, "HEAD ", 5) == 0 || send_all(to, body, len));
}

static bool answer_text(const connection *to, int status, const char *text)
{
    return answer(to, status, "", text, strlen(text));
}

static char *many_letters(size_t n)
{
    char *made = malloc(n + 1);
    if (!made) die("malloc");
    for (size_t i = 0; i < n; i++) made[i] = (char)('a' + i % 26);
    made[n] = '\0';
    return made;
}

static bool answer_big(const connection *to, size_t n, size_t n_sent)
{
    char *body = many_letters(n);
    char head[100];
    const int len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    bool good = send_all(to, head, (size_t)len);
    if (strncmp(to->request, "HEAD ", 5) != 0) good = good && send_all(to, body, n_sent);
    free(body);
    return good && n_sent == n;
}

static bool answer_chunked(const connection *to, size_t n)
{
    char *body = many_letters(n);
    bool good = send_all(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 47);
    for (size_t at = 0; at < n && good; at += 1000) {
        const size_t len = n - at < 1000 ? n - at : 1000;
        char size[20];
        good = send_all(to, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", len)) &&
               send_all(to, body + at, len) && send_all(to, "\r\n", 2);
    }
    free(body);
    return good && send_all(to, "0\r\n\r\n", 5);
}

static bool answer_headers(const connection *to, size_t n)
{
    bool good = send_all(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 36);
    for (size_t i = 0; i < n / 64 && good; i++) {
        char line[80];
        good = send_all(to, line, (size_t)snprintf(line, sizeof line, "X-Filler-%08zu: %044d\r\n", i, 0));
    }
    return good && send_all(to, "\r\n", 2);
}

static bool answer_slowly(const connection *to)
{
    bool good = send_all(to, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 44);
    while (good && wait_for(to->server, -1, 20) == 0) good = send_all(to, ".", 1);
    return false;
}

/* `nth` counts the requests of this path from 1. False: the connection is over. */
static bool behave(const connection *to, const char *path, size_t nth)
{
    const char *slash = strchr(path + 1, '/');
    const size_t n = slash ? strtoul(slash + 1, NULL, 10) : 0;
    char text[PATH_CAP + 40];
    (void)snprintf(text, sizeof text, "after %zu", n);
#define IS(prefix) (strncmp(path, prefix, strlen(prefix)) == 0)
    if (IS("/delay/")) {
        (void)snprintf(text, sizeof text, "delay %zu", n);
        return answer_text(to, 200, text);
    }
    if (IS("/status/")) return answer_text(to, (int)n, "as asked");
    if (IS("/flaky/")) return nth <= n ? answer_text(to, 503, "not yet") : answer_text(to, 200, text);
    if (IS("/breaks/")) return nth > n && answer_text(to, 200, text);
    if (IS("/close")) return false;
    if (IS("/echo")) return answer(to, 200, "", to->request, to->len);
    if (IS("/big/")) return answer_big(to, n, n);
    if (IS("/cut/")) return answer_big(to, n, n / 2);
    if (IS("/chunked/")) return answer_chunked(to, n);
    if (IS("/headers/")) return answer_headers(to, n);
    if (IS("/slow")) return answer_slowly(to);
    if (IS("/retry-after/")) {
        (void)snprintf(text, sizeof text, "Retry-After: %zu\r\n", n);
        return nth == 1 ? answer(to, 429, text, "", 0) : answer_text(to, 200, "after");
    }
    if (IS("/redirect?")) {
        (void)snprintf(text, sizeof text, "Location: %s\r\n", strchr(path, '?') + 1);
        return answer(to, 302, text, "", 0);
    }
    if (IS("/garbage")) return send_all(to, "I speak no such thing\r\n\r\n", 25) && false;
#undef IS
    return answer_text(to, 404, "no such path");
}

static path_hits *hits_of(http_server *server, const char *path)
{
    for (size_t i = 0; i < server->n_paths; i++) {
        if (strcmp(server->paths[i].path, path) == 0) return &server->paths[i];
    }
    if (server->n_paths == MAX_PATHS) die("too many paths");
    path_hits *made = &server->paths[server->n_paths++];
    (void)snprintf(made->path, PATH_CAP, "%s", path);
    return made;
}

/* Reads one request, its body included; its size, or 0 when there is no more. */
static size_t read_request(connection *from)
{
    for (;;) {
        from->request[from->len] = '\0';
        const char *end = strstr(from->request, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(from->request, "\r\ncontent-length:");
            const size_t size =
                (size_t)(end - from->request) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
            if (from->len >= size) return size;
        }
        if (from->len == REQUEST_CAP || wait_for(from->server, from->fd, -1) < 0) return 0;
        const ssize_t n = recv(from->fd, from->request + from->len, REQUEST_CAP - from->len, 0);
        if (n <= 0) return 0;
        from->len += (size_t)n;
    }
}

static bool serve_one(connection *with)
{
    http_server *server = with->server;
    const size_t size = read_request(with);
    if (size == 0) return false;
    with->len = size; /* no pipelining */
    char path[PATH_CAP] = "";
    const char *space = strchr(with->request, ' ');
    if (!space || sscanf(space, " %199s", path) != 1) return false;
    pthread_mutex_lock(&server->lock);
    const size_t nth = ++hits_of(server, path)->n;
    if (++server->n_now > server->n_most) server->n_most = server->n_now;
    pthread_mutex_unlock(&server->lock);
    /* The wait of /delay is here, as a request counts out before its answer can set the next one going. */
    const bool waits = strncmp(path, "/delay/", 7) == 0;
    if (waits && wait_for(server, -1, atoi(path + 7)) < 0) return false;
    pthread_mutex_lock(&server->lock);
    server->n_now--;
    pthread_mutex_unlock(&server->lock);
    const bool more = behave(with, path, nth);
    with->len = 0;
    return more;
}

static void *connection_main(void *arg)
{
    connection *with = arg;
    http_server *server = with->server;
    with->request = malloc(REQUEST_CAP + 1);
    if (!with->request) die("malloc");
    while (serve_one(with)) {
    }
    close(with->fd);
    free(with->request);
    free(with);
    pthread_mutex_lock(&server->lock);
    if (--server->n_connections == 0) pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void *acceptor_main(void *arg)
{
    http_server *server = arg;
    while (wait_for(server, server->listener, -1) >= 0) {
        const int fd = accept(server->listener, NULL, NULL);
        if (fd < 0) continue;
        connection *with = calloc(1, sizeof *with);
        if (!with) die("calloc");
        /* An answer in two writes would wait 40 ms for the acknowledgement of the first. */
        const int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *with = (connection){.server = server, .fd = fd};
        pthread_mutex_lock(&server->lock);
        server->n_connections++;
        pthread_mutex_unlock(&server->lock);
        pthread_attr_t attr;
        pthread_t thread;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&thread, &attr, connection_main, with) != 0) die("pthread_create");
        pthread_attr_destroy(&attr);
    }
    return NULL;
}

http_server *http_server_new(void)
{
    http_server *server = calloc(1, sizeof *server);
    if (!server) die("calloc");
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    if (pipe(server->ending) != 0) die("pipe");
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&at, size) != 0 ||
        listen(server->listener, 1024) != 0 || getsockname(server->listener, (struct sockaddr *)&at, &size) != 0)
        die("a socket on 127.0.0.1");
    server->port = ntohs(at.sin_port);
    if (pthread_create(&server->acceptor, NULL, acceptor_main, server) != 0) die("pthread_create");
    return server;
}

void http_server_free(http_server *server)
{
    close(server->ending[1]);
    pthread_join(server->acceptor, NULL);
    pthread_mutex_lock(&server->lock);
    while (server->n_connections > 0) pthread_cond_wait(&server->idle, &server->lock);
    pthread_mutex_unlock(&server->lock);
    close(server->listener);
    close(server->ending[0]);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->idle);
    free(server);
}

int http_server_port(const http_server *server) { return server->port; }

size_t http_server_hits(http_server *server, const char *path)
{
    pthread_mutex_lock(&server->lock);
    const size_t n = hits_of(server, path)->n;
    pthread_mutex_unlock(&server->lock);
    return n;
}

size_t http_server_most_at_once(http_server *server)
{
    pthread_mutex_lock(&server->lock);
    const size_t n = server->n_most;
    pthread_mutex_unlock(&server->lock);
    return n;
}
