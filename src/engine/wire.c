/*
 * wire.c - one message, one packet: a head of 48 bytes, and a body behind it or in shared memory.
 */
#include "wire.h"

#include <string.h>

/* Head: "HTW" version, kind, flags, 0, 0, status u32, 0 u32, len u64, key 16 bytes, 0 u64. Little-endian. */
enum { AT_KIND = 4, AT_FLAGS = 5, AT_STATUS = 8, AT_LEN = 16, AT_KEY = 24, FLAG_SHARED = 1 };
static const unsigned char magic[4] = {'H', 'T', 'W', HTI_WIRE_VERSION};

ht_status hti_wire_send(int socket, const hti_wire_message *message, ht_error *err)
{
    unsigned char head[HTI_WIRE_HEAD] = {0};
    hti_shared_memory shared = {NULL, 0, -1};
    const bool is_large = message->len > HTI_WIRE_INLINE;
    memcpy(head, magic, sizeof magic);
    head[AT_KIND] = (unsigned char)message->kind;
    head[AT_FLAGS] = is_large ? FLAG_SHARED : 0;
    hti_put_u32(head + AT_STATUS, (uint32_t)message->status);
    hti_put_u64(head + AT_LEN, message->len);
    hti_put_u64(head + AT_KEY, message->key.low);
    hti_put_u64(head + AT_KEY + 8, message->key.high);
    if (is_large) {
        HT_TRY(hti_shared_memory_make(message->len, &shared, err));
        memcpy(shared.data, message->body, message->len);
    }
    const ht_status status =
        hti_packet_send(socket, head, sizeof head, message->body, is_large ? 0 : message->len, shared.fd, err);
    hti_shared_memory_release(&shared);
    return status;
}

static ht_status parse_head(const unsigned char *head, size_t len, hti_wire_message *out, ht_error *err)
{
    if (len < HTI_WIRE_HEAD || memcmp(head, magic, 3) != 0) return HT_FAIL(err, PARSE, "a packet that is no message");
    if (head[3] != HTI_WIRE_VERSION)
        return HT_FAIL(err, VERSION, "a message of version %u; this speaks %d", head[3], HTI_WIRE_VERSION);
    const uint32_t status = hti_get_u32(head + AT_STATUS);
    if (head[AT_KIND] < HTI_WIRE_HELLO || head[AT_KIND] > HTI_WIRE_REPLY || head[AT_FLAGS] > FLAG_SHARED ||
        status > HT_TIMEOUT)
        return HT_FAIL(err, PARSE, "a message of unknown kind");
    *out = (hti_wire_message){.kind = (hti_wire_kind)head[AT_KIND], .status = (ht_status)status};
    out->memory.fd = -1;
    out->key = (ht_key){hti_get_u64(head + AT_KEY), hti_get_u64(head + AT_KEY + 8)};
    return HT_OK;
}

ht_status hti_wire_parse(const void *packet, size_t len, int fd, hti_wire_message *out, ht_error *err)
{
    const unsigned char *head = packet;
    ht_status status = parse_head(head, len, out, err);
    if (status == HT_OK) {
        const uint64_t body = hti_get_u64(head + AT_LEN);
        out->len = (size_t)body;
        out->body = head + HTI_WIRE_HEAD;
        if (head[AT_FLAGS] & FLAG_SHARED) {
            if (fd < 0 || len != HTI_WIRE_HEAD) status = HT_FAIL(err, PARSE, "a message without its shared memory");
            if (status == HT_OK) {
                status = hti_shared_memory_receive(fd, out->len, &out->memory, err);
                out->body = out->memory.data;
                fd = -1;
            }
        } else if (body != len - HTI_WIRE_HEAD) {
            status = HT_FAIL(err, PARSE, "a message of %zu bytes that announces %llu", len, (unsigned long long)body);
        }
    }
    hti_descriptor_close(fd);
    return status;
}

ht_status hti_wire_receive(int socket, void *packet, hti_wire_message *out, bool *open, ht_error *err)
{
    hti_packet got;
    *out = (hti_wire_message){.memory = {NULL, 0, -1}};
    HT_TRY(hti_packet_receive(socket, packet, HTI_WIRE_HEAD + HTI_WIRE_INLINE, &got, err));
    *open = got.len > 0;
    return *open ? hti_wire_parse(packet, got.len, got.fd, out, err) : HT_OK;
}

void hti_wire_release(hti_wire_message *message) { hti_shared_memory_release(&message->memory); }
