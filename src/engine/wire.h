/*
 * wire.h - messages between a program and its worker processes (docs/formats/wire.md).
 */
#ifndef HTI_ENGINE_WIRE_H
#define HTI_ENGINE_WIRE_H

#include "base/base.h"
#include "os/os.h"

#include <houndstooth/value.h>

enum { HTI_WIRE_HEAD = 48, HTI_WIRE_INLINE = 65536, HTI_WIRE_VERSION = 1 };

typedef enum hti_wire_kind { HTI_WIRE_HELLO = 1, HTI_WIRE_JOB, HTI_WIRE_REQUEST, HTI_WIRE_REPLY } hti_wire_kind;

typedef struct hti_wire_message {
    hti_wire_kind kind;
    ht_status status; /* of a reply; its body is then the message */
    ht_key key;       /* of a job, and of a request for it */
    const void *body; /* [len] in the packet or in `memory` */
    size_t len;
    hti_shared_memory memory; /* of a body over HTI_WIRE_INLINE bytes */
} hti_wire_message;

/* Sends one; `memory` of the message is not looked at. */
HT_CHECKED ht_status hti_wire_send(int socket, const hti_wire_message *message, ht_error *err);
/* Waits for one. packet [HTI_WIRE_HEAD + HTI_WIRE_INLINE] holds small bodies. *open false: the other end is closed. */
HT_CHECKED ht_status hti_wire_receive(int socket, void *packet, hti_wire_message *out, bool *open, ht_error *err);
/* What a packet says; takes fd. PARSE where it is none of ours. */
HT_CHECKED ht_status hti_wire_parse(const void *packet, size_t len, int fd, hti_wire_message *out, ht_error *err);
void hti_wire_release(hti_wire_message *message);

#endif
