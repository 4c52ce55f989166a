/*
 * child.c - a worker process: requests one after the other, until the parent is gone.
 */
#include "engine.h"
#include "wire.h"

#include <string.h>

typedef struct server {
    hti_link link;
    hti_serve_fn serve;
    void *ud;
    unsigned char *packet;
    ht_key job_key; /* of the last job, which waits for its request */
    hti_kept job;
    bool has_job;
} server;

/* A job waits for its request, which will use the packet. */
static ht_status keep_job(server *s, const hti_wire_message *job, ht_error *err)
{
    hti_kept_take(&s->job, &job->body);
    s->job_key = job->key;
    s->has_job = true;
    return hti_kept_status(&s->job, err);
}

static ht_status answer(server *s, hti_wire_message *request, ht_error *err)
{
    ht_error why = {0};
    hti_reply reply = {.release = NULL};
    const bool fits = s->has_job && s->job_key.low == request->key.low && s->job_key.high == request->key.high;
    ht_status status = s->serve(s->ud, request->key, fits ? &s->job.body : NULL, &request->body, &reply, &why);
    const hti_wire_message message = {HTI_WIRE_REPLY, .status = status, .key = request->key};
    const ht_text text = {why.message, strlen(why.message)};
    if (status != HT_OK) reply.pieces = (hti_pieces){&text, text.len ? 1 : 0, text.len};
    hti_wire_release(request); /* its block goes back with the reply */
    status = hti_wire_send(&s->link, &message, &reply.pieces, err);
    if (reply.release) reply.release(reply.ud);
    return status;
}

static ht_status serve_all(server *s, ht_error *err)
{
    const hti_wire_message hello = {.kind = HTI_WIRE_HELLO};
    const hti_pieces nothing = {NULL, 0, 0};
    HT_TRY(hti_wire_send(&s->link, &hello, &nothing, err));
    for (;;) {
        hti_wire_message message;
        bool open;
        HT_TRY(hti_wire_receive(&s->link, s->packet, &message, &open, err));
        if (!open) return HT_OK;
        ht_status status = HT_OK;
        if (message.kind == HTI_WIRE_JOB) status = keep_job(s, &message, err);
        if (message.kind == HTI_WIRE_REQUEST) status = answer(s, &message, err);
        hti_wire_release(&message);
        HT_TRY(status);
    }
}

int hti_worker_serve(int fd, hti_serve_fn serve, void *ud)
{
    server s = {.serve = serve, .ud = ud, .packet = hti_alloc(HTI_WIRE_HEAD + HTI_WIRE_INLINE)};
    ht_error err = {0};
    hti_link_init(&s.link, fd);
    hti_kept_init(&s.job);
    hti_die_with_parent();
    const ht_status status = s.packet ? serve_all(&s, &err) : HTI_NO_MEMORY(&err);
    hti_kept_deinit(&s.job);
    hti_link_deinit(&s.link);
    hti_free(s.packet);
    /* A parent that went away in the middle is no failure of ours. */
    return status == HT_OK || status == HT_IO ? 0 : ht_status_exit_code(status);
}
