/*
 * process.c - child processes and the sockets to them.
 *
 * Spawned, never forked: the parent has threads. Descriptors are moved out of the way first, because the child's end
 * must become number 3 whatever is open here. Thread rule: a child belongs to one thread.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FD = 3, OUT_OF_THE_WAY = 16, MAX_PACKET = 1 << 17 };

/* ---- starting ---- */

/* The same descriptor under a number that no file action touches; the old one is closed. */
static ht_status move_up(int *fd, ht_error *err)
{
    const int moved = fcntl(*fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    if (moved < 0) return hti_os_fail(err, "descriptor", "copy");
    (void)close(*fd);
    *fd = moved;
    return HT_OK;
}

typedef struct ends {
    int ours, theirs, output, print; /* sockets, and the pipe's two ends */
} ends;

static void close_ends(ends *e)
{
    hti_descriptor_close(e->ours);
    hti_descriptor_close(e->theirs);
    hti_descriptor_close(e->output);
    hti_descriptor_close(e->print);
}

static ht_status open_ends(ends *e, ht_error *err)
{
    int pair[2], tube[2];
    const int size = 4 * MAX_PACKET;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return hti_os_fail(err, "socket pair", "make");
    e->ours = pair[0];
    e->theirs = pair[1];
    if (pipe2(tube, O_CLOEXEC) != 0) return hti_os_fail(err, "pipe", "make");
    e->output = tube[0];
    e->print = tube[1];
    for (int i = 0; i < 2; i++)
        if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) != 0)
            return hti_os_fail(err, "socket pair", "size");
    if (fcntl(e->output, F_SETFL, O_NONBLOCK) != 0) return hti_os_fail(err, "pipe", "set up");
    HT_TRY(move_up(&e->theirs, err));
    return move_up(&e->print, err);
}

static int add_actions(posix_spawn_file_actions_t *actions, const ends *e)
{
    int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, e->print, 1);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, e->print, 2);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, e->theirs, CHILD_FD);
    if (!failed) failed = posix_spawn_file_actions_addclosefrom_np(actions, CHILD_FD + 1);
    return failed;
}

static int add_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int failed = posix_spawnattr_setsigmask(attributes, &none);
    if (!failed) failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failed) failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setflags(attributes,
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return failed;
}

/* Ours without what env names anew, then env. The strings are borrowed. */
static ht_status merge_environment(const char *const *env, char ***out, ht_error *err)
{
    size_t n_ours = 0, n_added = 0, n = 0;
    while (environ && environ[n_ours]) n_ours++;
    while (env && env[n_added]) n_added++;
    char **merged = HTI_NEW_ARRAY(char *, n_ours + n_added + 1);
    if (!merged) return HTI_NO_MEMORY(err);
    for (size_t i = 0; i < n_ours; i++) {
        bool replaced = false;
        for (size_t k = 0; k < n_added; k++) {
            const size_t len = strcspn(env[k], "=") + 1;
            replaced |= strncmp(environ[i], env[k], len) == 0;
        }
        if (!replaced) merged[n++] = environ[i];
    }
    for (size_t k = 0; k < n_added; k++) memcpy(&merged[n++], &env[k], sizeof *merged);
    merged[n] = NULL;
    *out = merged;
    return HT_OK;
}

static ht_status spawn(const char *const *argv, char *const *env, const ends *e, int64_t *pid, ht_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t made = 0;
    char *const *arguments;
    memcpy(&arguments, &argv, sizeof arguments); /* posix_spawn changes neither */
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed) return HTI_NO_MEMORY(err);
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = add_actions(&actions, e);
        if (!failed) failed = add_attributes(&attributes);
        if (!failed) failed = posix_spawnp(&made, argv[0], &actions, &attributes, arguments, env);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    *pid = made;
    errno = failed;
    return failed ? hti_os_fail(err, argv[0], "start") : HT_OK;
}

ht_status hti_child_start(const char *const *argv, const char *const *env, hti_child *out, ht_error *err)
{
    ends e = {-1, -1, -1, -1};
    char **merged = NULL;
    *out = (hti_child){0, -1, -1};
    ht_status status = open_ends(&e, err);
    if (status == HT_OK) status = merge_environment(env, &merged, err);
    if (status == HT_OK) status = spawn(argv, merged, &e, &out->pid, err);
    if (status == HT_OK) {
        out->socket = e.ours;
        out->output = e.output;
        e.ours = e.output = -1;
    }
    close_ends(&e);
    hti_free(merged);
    return status;
}

/* ---- ending ---- */

bool hti_child_ended(hti_child *child, char *text, size_t cap)
{
    int how;
    if (child->pid == 0) return true;
    const pid_t got = waitpid((pid_t)child->pid, &how, WNOHANG);
    if (got == 0) return false;
    if (got > 0 && WIFSIGNALED(how))
        (void)snprintf(text, cap, "was killed by signal %d (%s)", WTERMSIG(how), strsignal(WTERMSIG(how)));
    else
        (void)snprintf(text, cap, "ended with code %d", got > 0 ? WEXITSTATUS(how) : -1);
    child->pid = 0;
    return true;
}

void hti_child_kill(const hti_child *child)
{
    if (child->pid > 0) (void)kill((pid_t)child->pid, SIGKILL);
}

void hti_child_close(hti_child *child)
{
    hti_descriptor_close(child->socket);
    hti_descriptor_close(child->output);
    child->socket = child->output = -1;
}

void hti_die_with_parent(void) { (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

int64_t hti_process_id(void) { return getpid(); }

/* ---- messages ---- */

ht_status hti_packet_send(int socket, const void *head, size_t head_len, const void *body, size_t len, int fd,
                          ht_error *err)
{
    struct iovec parts[2];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = len ? 2 : 1};
    memcpy(&parts[0].iov_base, &head, sizeof head);
    parts[0].iov_len = head_len;
    memcpy(&parts[1].iov_base, &body, sizeof body);
    parts[1].iov_len = len;
    if (head_len + len > MAX_PACKET) return HT_FAIL(err, LIMIT, "a message of %zu bytes", head_len + len);
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(first), &fd, sizeof fd);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? hti_os_fail(err, "socket", "write") : HT_OK;
}

static int received_fd(struct msghdr *message)
{
    int fd = -1;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS || at->cmsg_len != CMSG_LEN(sizeof(int)))
            continue;
        hti_descriptor_close(fd);
        memcpy(&fd, CMSG_DATA(at), sizeof fd);
    }
    return fd;
}

ht_status hti_packet_receive(int socket, void *into, size_t cap, hti_packet *out, ht_error *err)
{
    struct iovec part = {into, cap};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    *out = (hti_packet){0, -1};
    ssize_t got;
    do {
        message.msg_controllen = sizeof control.bytes;
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == ECONNRESET) return HT_OK;
    if (got < 0) return hti_os_fail(err, "socket", "read");
    out->fd = received_fd(&message);
    if (message.msg_flags & MSG_TRUNC) {
        hti_descriptor_close(out->fd);
        out->fd = -1;
        return HT_FAIL(err, LIMIT, "a message of more than %zu bytes", cap);
    }
    out->len = (size_t)got;
    return HT_OK;
}

void hti_pipe_read(int fd, void *into, size_t cap, size_t *len, bool *open)
{
    ssize_t got;
    do {
        got = read(fd, into, cap);
    } while (got < 0 && errno == EINTR);
    *len = got > 0 ? (size_t)got : 0;
    *open = got > 0 || (got < 0 && errno == EAGAIN);
}

void hti_descriptor_close(int fd)
{
    if (fd >= 0) (void)close(fd);
}

/* ---- waiting ---- */

ht_status hti_bell_new(int *out, ht_error *err)
{
    *out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *out < 0 ? hti_os_fail(err, "event", "make") : HT_OK;
}

void hti_bell_ring(int bell)
{
    const uint64_t one = 1;
    while (write(bell, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void hti_bell_quiet(int bell)
{
    uint64_t rings;
    while (read(bell, &rings, sizeof rings) < 0 && errno == EINTR) continue;
}

void hti_wait_readable(const int *fds, bool *ready, size_t n, uint64_t until_ns)
{
    enum { AT_ONCE = 256 };
    struct pollfd polled[AT_ONCE];
    if (n > AT_ONCE) n = AT_ONCE;
    for (size_t i = 0; i < n; i++) polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    const uint64_t now = hti_clock_ns();
    const uint64_t left = until_ns > now ? (until_ns - now + 999999) / 1000000 : 0;
    const int got = poll(polled, (nfds_t)n, until_ns == UINT64_MAX ? -1 : (int)HTI_MIN(left, 3600000));
    for (size_t i = 0; i < n; i++) ready[i] = got > 0 && fds[i] >= 0 && polled[i].revents != 0;
}
