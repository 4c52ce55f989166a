/*
 * test_wire.c - messages over a socket pair: large bodies come whole, in blocks that both ends use again and never
 * while somebody looks into them; a peer that says what cannot be is refused; no descriptor is left.
 */
#include "engine/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 200000 };

static ht_error err;
static unsigned char packet[HTI_WIRE_HEAD + HTI_WIRE_INLINE], bytes[HTI_WIRE_BLOCK_MAX + 1];

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t n = 0;
    while (readdir(dir)) n++;
    (void)closedir(dir);
    return n;
}

typedef struct ends {
    int sockets[2];
    hti_link a, b;
    size_t n_fds; /* before */
} ends;

static void open_ends(ends *e)
{
    const int size = 1 << 19;
    e->n_fds = count_fds();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, e->sockets), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(e->sockets[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    hti_link_init(&e->a, e->sockets[0]);
    hti_link_init(&e->b, e->sockets[1]);
}

static void close_ends(ends *e)
{
    hti_link_deinit(&e->a);
    hti_link_deinit(&e->b);
    (void)close(e->sockets[0]);
    (void)close(e->sockets[1]);
    assert_int_equal(count_fds(), e->n_fds);
}

/* `len` bytes of `fill` from one end to the other. */
static void pass(hti_link *from, hti_link *to, hti_wire_kind kind, size_t len, int fill, hti_wire_message *out)
{
    const hti_wire_message message = {kind, .key = {7, 8}};
    const ht_text parts[2] = {{(const char *)bytes, len / 3}, {(const char *)bytes + len / 3, len - len / 3}};
    const ht_text whole = {(const char *)bytes, len};
    const hti_pieces pieces = len > HTI_WIRE_INLINE ? (hti_pieces){parts, 2, len} : (hti_pieces){&whole, len > 0, len};
    bool open;
    memset(bytes, fill, len);
    assert_int_equal(hti_wire_send(from, &message, &pieces, &err), HT_OK);
    assert_int_equal(hti_wire_receive(to, packet, out, &open, &err), HT_OK);
    assert_true(open);
    assert_int_equal(out->kind, kind);
    assert_int_equal(out->key.high, 8);
    assert_int_equal(out->body.len, len);
    assert_memory_equal(out->body.data, bytes, len);
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, HTI_WIRE_INLINE, HTI_WIRE_INLINE + 1, LARGE, HTI_WIRE_BLOCK_MAX, HTI_WIRE_BLOCK_MAX + 1};
    ends e;
    open_ends(&e);
    for (size_t i = 0; i < HTI_LEN(sizes); i++) {
        hti_wire_message got;
        pass(&e.a, &e.b, HTI_WIRE_REQUEST, sizes[i], (int)i + 1, &got);
        assert_true(!got.block == (sizes[i] <= HTI_WIRE_INLINE));
        hti_wire_release(&got);
        pass(&e.b, &e.a, HTI_WIRE_REPLY, 3, 9, &got);
        hti_wire_release(&got);
    }
    assert_int_equal(e.a.out[1].memory.len, 0); /* one block that grew did for all */
    close_ends(&e);
}

static void test_used_again(void **state)
{
    (void)state;
    ends e;
    hti_wire_message got, reply;
    open_ends(&e);
    pass(&e.a, &e.b, HTI_WIRE_REQUEST, LARGE, 1, &got);
    const void *first = got.body.data;
    const size_t n_fds = count_fds();
    for (int i = 2; i < 20; i++) {
        hti_wire_release(&got);
        pass(&e.b, &e.a, HTI_WIRE_REPLY, LARGE, i, &reply);
        hti_wire_release(&reply);
        pass(&e.a, &e.b, HTI_WIRE_REQUEST, LARGE - 100 * (size_t)i, i, &got);
        assert_ptr_equal(got.body.data, first);
        assert_int_equal(count_fds(), n_fds);
    }
    hti_wire_release(&got);
    close_ends(&e);
}

/* What is held is not written; more than there are blocks travels in memory used once, and so does a job. */
static void test_held(void **state)
{
    (void)state;
    ends e;
    hti_wire_message got[HTI_WIRE_BLOCKS], more, reply;
    open_ends(&e);
    for (int i = 0; i < HTI_WIRE_BLOCKS; i++) {
        pass(&e.a, &e.b, HTI_WIRE_REQUEST, LARGE, i + 1, &got[i]);
        assert_non_null(got[i].body.block);
    }
    pass(&e.b, &e.a, HTI_WIRE_REPLY, 3, 0, &reply); /* gives nothing back */
    pass(&e.a, &e.b, HTI_WIRE_REQUEST, LARGE, 99, &more);
    assert_null(more.body.block);
    hti_wire_release(&more);
    for (int i = 0; i < HTI_WIRE_BLOCKS; i++) {
        const unsigned char *data = got[i].body.data;
        assert_int_equal(data[0], i + 1);
        assert_int_equal(data[LARGE - 1], i + 1);
    }
    const void *third = got[3].body.data;
    hti_wire_release(&got[3]);
    pass(&e.b, &e.a, HTI_WIRE_REPLY, 3, 0, &reply);
    pass(&e.a, &e.b, HTI_WIRE_JOB, LARGE, 55, &more);
    assert_null(more.body.block);
    hti_wire_release(&more);
    pass(&e.a, &e.b, HTI_WIRE_REQUEST, LARGE, 100, &got[3]);
    assert_ptr_equal(got[3].body.data, third);
    hti_kept kept;
    hti_kept_init(&kept);
    hti_kept_take(&kept, &got[5].body);
    for (int i = 0; i < HTI_WIRE_BLOCKS; i++) hti_wire_release(&got[i]);
    close_ends(&e); /* the other end may be gone: what is kept stays */
    assert_int_equal(((const unsigned char *)kept.body.data)[LARGE - 1], 6);
    hti_kept_deinit(&kept);
}

/* ---- a peer that is at fault ---- */

typedef struct fault {
    const char *what;
    size_t at; /* in the head */
    unsigned char byte;
    bool has_memory;
} fault;

static int sealed(size_t len)
{
    hti_shared_memory made;
    assert_int_equal(hti_shared_memory_make(len, &made, &err), HT_OK);
    const int fd = fcntl(made.fd, F_DUPFD_CLOEXEC, 0);
    hti_shared_memory_release(&made);
    return fd;
}

static void test_refused(void **state)
{
    (void)state;
    /* Each is one byte away from a message in 256 bytes of memory that is taken. */
    static const fault faults[] = {
        {"no such block", 6, HTI_WIRE_BLOCKS, true},
        {"unknown flag", 5, 7, true},
        {"numbered, not shared", 5, 2, true},
        {"inline of other length", 5, 0, true},
        {"version 1", 3, 1, true},
        {"unknown kind", 4, 5, true},
        {"more bytes than memory", 17, 2, true},
        {"memory of other size", 41, 2, true},
        {"a block never sent", 6, 0, false},
        {"memory used once that is missing", 5, 1, false},
        {"given back what was not lent", 12, 1, true},
        {"given back what cannot be", 15, 128, true},
    };
    const size_t n_fds = count_fds();
    hti_wire_message first, got;
    hti_link link;
    unsigned char head[HTI_WIRE_HEAD] = {'H', 'T', 'W', HTI_WIRE_VERSION, HTI_WIRE_REPLY, 3};
    head[17] = head[41] = 1; /* 256 */
    hti_link_init(&link, -1);
    assert_int_equal(hti_wire_parse(&link, head, sizeof head, sealed(256), &first, &err), HT_OK);
    assert_int_equal(hti_wire_parse(&link, head, sizeof head, -1, &got, &err), HT_PARSE); /* it is not given back */
    hti_wire_release(&first);
    hti_link_deinit(&link);
    for (size_t i = 0; i < HTI_LEN(faults); i++) {
        unsigned char bad[HTI_WIRE_HEAD];
        memcpy(bad, head, sizeof bad);
        bad[faults[i].at] = faults[i].byte;
        hti_link_init(&link, -1);
        const ht_status status =
            hti_wire_parse(&link, bad, sizeof bad, faults[i].has_memory ? sealed(256) : -1, &got, &err);
        if (status != HT_PARSE && status != HT_VERSION) fail_msg("%s was taken", faults[i].what);
        assert_null(got.block);
        hti_link_deinit(&link);
    }
    assert_int_equal(count_fds(), n_fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_used_again),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
