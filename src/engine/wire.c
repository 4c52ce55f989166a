/*
 * wire.c - one message, one packet: a head of 48 bytes, and a body behind it or in shared memory.
 *
 * Each end owns up to 8 numbered blocks that the other maps once and keeps: making, mapping and faulting in a megabyte
 * anew costs several times what copying it does. A block is lent with a message and given back in the head of a later
 * one; where none is free, memory used once does. The smallest set of blocks that serves is kept: one too small is
 * replaced before a further number is taken.
 * Easy to get wrong: a block is written again once it is back, so the end that gives it back must have no value left
 * that looks into it; and the peer's word is checked: a block that is still held is never read anew.
 */
#include "wire.h"

#include <string.h>

/* Head: "HTW" version, kind, flags, number, 0, status u32, given back u32, len u64, key 16 bytes, memory u64. */
enum {
    AT_KIND = 4,
    AT_FLAGS = 5,
    AT_NUMBER = 6,
    AT_STATUS = 8,
    AT_BACK = 12,
    AT_LEN = 16,
    AT_KEY = 24,
    AT_MEMORY = 40
};
enum { FLAG_SHARED = 1, FLAG_NUMBERED = 2, ONCE = HTI_WIRE_BLOCKS };
static const unsigned char magic[4] = {'H', 'T', 'W', HTI_WIRE_VERSION};

/* ---- links ---- */

void hti_link_init(hti_link *link, int socket)
{
    *link = (hti_link){.socket = socket};
    for (size_t i = 0; i < HTI_WIRE_BLOCKS; i++) link->out[i].memory.fd = -1;
}

void hti_link_deinit(hti_link *link)
{
    for (size_t i = 0; i < HTI_WIRE_BLOCKS; i++) {
        hti_shared_memory_release(&link->out[i].memory);
        hti_block_drop(link->in[i].block);
    }
    hti_link_init(link, -1);
}

/* Blocks of theirs that nobody here looks into any more, a bit each. */
static uint32_t find_idle(const hti_link *link)
{
    uint32_t idle = 0;
    for (uint32_t i = 0; i < HTI_WIRE_BLOCKS; i++)
        if (link->in[i].held && hti_block_is_idle(link->in[i].block)) idle |= 1U << i;
    return idle;
}

/* ---- sending ---- */

/* The smallest free block that fits; else, to be replaced, the largest free one, or a number without a block. */
static size_t choose_block(const hti_link *link, size_t len)
{
    size_t fits = ONCE, other = ONCE;
    for (size_t i = 0; i < HTI_WIRE_BLOCKS; i++) {
        const size_t size = link->out[i].memory.len;
        if (link->out[i].lent) continue;
        if (size >= len && (fits == ONCE || size < link->out[fits].memory.len)) fits = i;
        if (size < len && (other == ONCE || size > link->out[other].memory.len)) other = i;
    }
    return fits != ONCE ? fits : other;
}

/* A little room above, so that bodies of nearly one size settle in one block. */
static size_t block_size(size_t len)
{
    size_t step = HTI_WIRE_INLINE / 8;
    while (step <= len / 16) step *= 2;
    return (len + step - 1) / step * step;
}

/* Where a large body went. */
typedef struct placing {
    hti_shared_memory once, *memory; /* that of its block, or `once` */
    size_t number;                   /* ONCE: of no block */
    bool is_fresh;                   /* they have not got it yet */
} placing;

static ht_status place_body(hti_link *link, hti_wire_kind kind, const hti_pieces *body, placing *out, ht_error *err)
{
    const size_t len = body->len;
    const bool passes = kind == HTI_WIRE_JOB || len > HTI_WIRE_BLOCK_MAX; /* a job would be held for long */
    out->number = passes ? ONCE : choose_block(link, len);
    if (out->number != ONCE) out->memory = &link->out[out->number].memory;
    out->is_fresh = out->memory->len < len;
    if (out->is_fresh) {
        hti_shared_memory_release(out->memory);
        HT_TRY(hti_shared_memory_make(out->number == ONCE ? len : block_size(len), out->memory, err));
    }
    unsigned char *at = out->memory->data;
    for (size_t i = 0; i < body->n; at += body->at[i++].len) memcpy(at, body->at[i].data, body->at[i].len);
    return HT_OK;
}

static void write_head(const hti_wire_message *message, size_t len, const placing *p, uint32_t idle,
                       unsigned char *head)
{
    memset(head, 0, HTI_WIRE_HEAD);
    memcpy(head, magic, sizeof magic);
    head[AT_KIND] = (unsigned char)message->kind;
    if (p->memory->len) head[AT_FLAGS] = p->number == ONCE ? FLAG_SHARED : FLAG_SHARED | FLAG_NUMBERED;
    head[AT_NUMBER] = (unsigned char)(p->number == ONCE ? 0 : p->number);
    hti_put_u32(head + AT_STATUS, (uint32_t)message->status);
    hti_put_u32(head + AT_BACK, idle);
    hti_put_u64(head + AT_LEN, len);
    hti_put_u64(head + AT_KEY, message->key.low);
    hti_put_u64(head + AT_KEY + 8, message->key.high);
    hti_put_u64(head + AT_MEMORY, p->is_fresh ? p->memory->len : 0);
}

ht_status hti_wire_send(hti_link *link, const hti_wire_message *message, const hti_pieces *body, ht_error *err)
{
    unsigned char head[HTI_WIRE_HEAD];
    placing p = {.once = {NULL, 0, -1}, .memory = &p.once, .number = ONCE};
    const bool is_large = body->len > HTI_WIRE_INLINE || (body->n > 1 && body->len > 0);
    if (is_large) HT_TRY(place_body(link, message->kind, body, &p, err));
    const uint32_t idle = find_idle(link);
    write_head(message, body->len, &p, idle, head);
    const ht_text inside = is_large || body->n == 0 ? (ht_text){NULL, 0} : body->at[0];
    const ht_status status =
        hti_packet_send(link->socket, head, sizeof head, inside.data, inside.len, p.is_fresh ? p.memory->fd : -1, err);
    if (status != HT_OK && p.is_fresh) hti_shared_memory_release(p.memory); /* they do not know of it */
    for (size_t i = 0; status == HT_OK && i < HTI_WIRE_BLOCKS; i++) link->in[i].held &= !(idle >> i & 1);
    if (status == HT_OK && p.number != ONCE) link->out[p.number].lent = true;
    hti_shared_memory_release(&p.once);
    if (p.number != ONCE) hti_shared_memory_seclude(p.memory);
    return status;
}

/* ---- receiving ---- */

static ht_status parse_head(const unsigned char *head, size_t len, hti_wire_message *out, ht_error *err)
{
    if (len < HTI_WIRE_HEAD || memcmp(head, magic, 3) != 0) return HT_FAIL(err, PARSE, "a packet that is no message");
    if (head[3] != HTI_WIRE_VERSION)
        return HT_FAIL(err, VERSION, "a message of version %u; this speaks %d", head[3], HTI_WIRE_VERSION);
    const uint32_t status = hti_get_u32(head + AT_STATUS);
    if (head[AT_KIND] < HTI_WIRE_HELLO || head[AT_KIND] > HTI_WIRE_REPLY || status > HT_TIMEOUT)
        return HT_FAIL(err, PARSE, "a message of unknown kind");
    out->kind = (hti_wire_kind)head[AT_KIND];
    out->status = (ht_status)status;
    out->key = (ht_key){hti_get_u64(head + AT_KEY), hti_get_u64(head + AT_KEY + 8)};
    return HT_OK;
}

static ht_status take_back(hti_link *link, uint32_t idle, ht_error *err)
{
    for (uint32_t i = 0; i < 32; i++) {
        if (!(idle >> i & 1)) continue;
        if (i >= HTI_WIRE_BLOCKS || !link->out[i].lent)
            return HT_FAIL(err, PARSE, "a block given back that was not lent");
        link->out[i].lent = false;
    }
    return HT_OK;
}

/* The numbered block, by its descriptor if that came along; takes *fd. */
static ht_status find_block(hti_link *link, size_t number, size_t size, int *fd, hti_block **out, ht_error *err)
{
    *out = NULL;
    if (number >= HTI_WIRE_BLOCKS || link->in[number].held)
        return HT_FAIL(err, PARSE, "a message in block %zu, which is not free", number);
    if (*fd >= 0) {
        hti_block *made;
        const int taken = *fd;
        *fd = -1;
        HT_TRY(hti_block_receive(taken, size, &made, err));
        hti_block_drop(link->in[number].block);
        link->in[number].block = made;
    }
    if (!link->in[number].block) return HT_FAIL(err, PARSE, "a message in block %zu, which was never sent", number);
    link->in[number].held = true;
    *out = hti_block_hold(link->in[number].block);
    return HT_OK;
}

static ht_status find_body(hti_link *link, const unsigned char *head, size_t packet_len, int *fd, hti_wire_message *out,
                           ht_error *err)
{
    const uint64_t len = hti_get_u64(head + AT_LEN), size = hti_get_u64(head + AT_MEMORY);
    out->body = (hti_body){.data = head + HTI_WIRE_HEAD, .len = (size_t)len};
    if (head[AT_FLAGS] == 0) {
        if (len == packet_len - HTI_WIRE_HEAD) return HT_OK;
        return HT_FAIL(err, PARSE, "a message of %zu bytes that announces %llu", packet_len, (unsigned long long)len);
    }
    if (packet_len != HTI_WIRE_HEAD) return HT_FAIL(err, PARSE, "a message in and beside its packet");
    if (head[AT_FLAGS] == (FLAG_SHARED | FLAG_NUMBERED)) {
        HT_TRY(find_block(link, head[AT_NUMBER], (size_t)size, fd, &out->block, err));
    } else if (head[AT_FLAGS] == FLAG_SHARED && *fd >= 0) {
        const int taken = *fd;
        *fd = -1;
        HT_TRY(hti_block_receive(taken, (size_t)size, &out->block, err));
    } else {
        return HT_FAIL(err, PARSE, "a message without its shared memory");
    }
    if (len > out->block->memory.len)
        return HT_FAIL(err, PARSE, "a message of %llu bytes in memory of %zu", (unsigned long long)len,
                       out->block->memory.len);
    out->body.data = out->block->memory.data;
    if (head[AT_FLAGS] & FLAG_NUMBERED || len >= HTI_WIRE_HELD_MIN) out->body.block = out->block;
    return HT_OK;
}

ht_status hti_wire_parse(hti_link *link, const void *packet, size_t len, int fd, hti_wire_message *out, ht_error *err)
{
    const unsigned char *head = packet;
    *out = (hti_wire_message){.block = NULL};
    ht_status status = parse_head(head, len, out, err);
    if (status == HT_OK) status = take_back(link, hti_get_u32(head + AT_BACK), err);
    if (status == HT_OK) status = find_body(link, head, len, &fd, out, err);
    if (status != HT_OK) hti_wire_release(out);
    hti_descriptor_close(fd);
    return status;
}

ht_status hti_wire_receive(hti_link *link, void *packet, hti_wire_message *out, bool *open, ht_error *err)
{
    hti_packet got;
    *out = (hti_wire_message){.block = NULL};
    HT_TRY(hti_packet_receive(link->socket, packet, HTI_WIRE_HEAD + HTI_WIRE_INLINE, &got, err));
    *open = got.len > 0;
    return *open ? hti_wire_parse(link, packet, got.len, got.fd, out, err) : HT_OK;
}

void hti_wire_release(hti_wire_message *message)
{
    hti_block_drop(message->block);
    message->block = message->body.block = NULL;
}
