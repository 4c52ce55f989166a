/*
 * fuzz_wire.c - packets of arbitrary bytes: parsed to a message whose body lies inside the packet or its memory, or
 * refused.
 *
 * A first byte says what the packet comes with: bit 0: sealed memory of 256 bytes, bit 1: of 300, bit 2: block 0 is
 * known already, bit 3: block 1 was lent to the sender. The rest is the packet.
 */
#include "engine/wire.h"

#include <fcntl.h>
#include <stdlib.h>

enum { MEMORY = 1, ODD_MEMORY = 2, KNOWN = 4, LENT = 8 };

static int memory_of(size_t len)
{
    hti_shared_memory made;
    if (hti_shared_memory_make(len, &made, NULL) != HT_OK) abort();
    const int fd = fcntl(made.fd, F_DUPFD_CLOEXEC, 0);
    hti_shared_memory_release(&made);
    return fd;
}

static void check_body(const hti_wire_message *message, const uint8_t *packet, size_t size)
{
    const uint8_t *body = message->body.data, *start = message->block ? message->block->memory.data : packet;
    const size_t room = message->block ? message->block->memory.len : size;
    uint8_t sum = 0;
    if (body < start || message->body.len > (size_t)(start + room - body)) abort();
    for (size_t i = 0; i < message->body.len; i++) sum = (uint8_t)(sum + body[i]);
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hti_wire_message message;
    hti_link link;
    if (size == 0) return 0;
    const uint8_t with = data[0];
    const int fd = with & (MEMORY | ODD_MEMORY) ? memory_of(with & MEMORY ? 256 : 300) : -1;
    hti_link_init(&link, -1);
    if (with & KNOWN && hti_block_receive(memory_of(512), 512, &link.in[0].block, NULL) != HT_OK) abort();
    link.out[1].lent = with & LENT;
    const ht_status status = hti_wire_parse(&link, data + 1, size - 1, fd, &message, NULL);
    if (status == HT_OK) check_body(&message, data + 1, size - 1);
    hti_wire_release(&message);
    hti_link_deinit(&link);
    return 0;
}
