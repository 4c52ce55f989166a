/*
 * fuzz_wire.c - packets of arbitrary bytes: parsed to a message whose body lies inside the packet, or refused.
 */
#include "engine/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hti_wire_message message;
    if (hti_wire_parse(data, size, -1, &message, NULL) == HT_OK) {
        const uint8_t *body = message.body;
        uint8_t sum = 0;
        if (body < data || message.len > (size_t)(data + size - body)) abort();
        for (size_t i = 0; i < message.len; i++) sum = (uint8_t)(sum + body[i]);
        (void)sum;
        hti_wire_release(&message);
    }
    return 0;
}
