/*
 * wire.h - messages between a program and its worker processes (docs/formats/wire.md).
 */
#ifndef HTI_ENGINE_WIRE_H
#define HTI_ENGINE_WIRE_H

#include "engine.h"
#include "os/os.h"

enum {
    HTI_WIRE_VERSION = 2,
    HTI_WIRE_HEAD = 48,
    HTI_WIRE_INLINE = 65536,      /* bytes of a body in the packet */
    HTI_WIRE_BLOCKS = 8,          /* numbered blocks of each end */
    HTI_WIRE_BLOCK_MAX = 1 << 24, /* bytes of one: what an idle link may keep is 8 times this a direction */
    HTI_WIRE_HELD_MIN = 1 << 23,  /* of memory used once: below, a copy is cheaper than a mapping kept */
};

/* ---- memory that the other end has written ---- */

struct hti_block {
    int n_holders; /* atomic */
    hti_shared_memory memory;
};

/* ---- one end of a socket ---- */

/* What both ends remember of each other. One thread; blocks may be dropped by any. */
typedef struct hti_link {
    int socket; /* borrowed */
    struct {
        hti_shared_memory memory; /* ours to write, theirs to read; len 0: none yet */
        bool lent;                /* they have not given it back */
    } out[HTI_WIRE_BLOCKS];
    struct {
        hti_block *block; /* theirs; NULL: none yet */
        bool held;        /* we have not given it back */
    } in[HTI_WIRE_BLOCKS];
} hti_link;
void hti_link_init(hti_link *link, int socket);
/* What is held stays mapped for its holders. A second time does nothing. */
void hti_link_deinit(hti_link *link);

typedef enum hti_wire_kind { HTI_WIRE_HELLO = 1, HTI_WIRE_JOB, HTI_WIRE_REQUEST, HTI_WIRE_REPLY } hti_wire_kind;

typedef struct hti_wire_message {
    hti_wire_kind kind;
    ht_status status; /* of a reply; its body is then the message */
    ht_key key;       /* of a job, and of a request for it */
    hti_body body;    /* in the packet or in `block` */
    hti_block *block; /* held by the message; NULL: the body came in the packet */
} hti_wire_message;

/* Sends one with this body; its own `body` and `block` are not looked at. */
HT_CHECKED ht_status hti_wire_send(hti_link *link, const hti_wire_message *message, const hti_pieces *body,
                                   ht_error *err);
/* Waits for one. packet [HTI_WIRE_HEAD + HTI_WIRE_INLINE] holds small bodies. *open false: the other end is closed. */
HT_CHECKED ht_status hti_wire_receive(hti_link *link, void *packet, hti_wire_message *out, bool *open, ht_error *err);
/* What a packet says; takes fd. PARSE where it is none of ours, then the link is of no use any more. */
HT_CHECKED ht_status hti_wire_parse(hti_link *link, const void *packet, size_t len, int fd, hti_wire_message *out,
                                    ht_error *err);
void hti_wire_release(hti_wire_message *message);

#endif
