/*
 * child.c - a worker process: requests one after the other, until the parent is gone.
 */
#include "engine.h"
#include "wire.h"

#include <string.h>

typedef struct server {
    int fd;
    hti_serve_fn serve;
    void *ud;
    unsigned char *packet;
    hti_wire_message job; /* the last one, until its request has come */
    hti_buffer job_body;
    bool has_job;
} server;

/* A job waits for its request; small bodies leave the packet, which the request will use. */
static ht_status keep_job(server *s, hti_wire_message *job, ht_error *err)
{
    hti_wire_release(&s->job);
    hti_buffer_clear(&s->job_body);
    s->job = *job;
    s->has_job = true;
    if (job->memory.data) return HT_OK;
    hti_buffer_append(&s->job_body, job->body, job->len);
    s->job.body = s->job_body.data;
    return hti_buffer_status(&s->job_body, err);
}

static ht_status answer(server *s, const hti_wire_message *request, ht_writer *writer, ht_error *err)
{
    ht_error why = {0};
    const bool fits = s->has_job && s->job.key.low == request->key.low && s->job.key.high == request->key.high;
    ht_writer_clear(writer);
    const ht_status status = s->serve(s->ud, request->key, fits ? s->job.body : NULL, fits ? s->job.len : 0,
                                      request->body, request->len, writer, &why);
    hti_wire_message reply = {.kind = HTI_WIRE_REPLY, .status = status, .key = request->key};
    if (status == HT_OK) {
        reply.body = ht_writer_data(writer, &reply.len);
    } else {
        reply.body = why.message;
        reply.len = strlen(why.message);
    }
    return hti_wire_send(s->fd, &reply, err);
}

static ht_status serve_all(server *s, ht_writer *writer, ht_error *err)
{
    const hti_wire_message hello = {.kind = HTI_WIRE_HELLO};
    HT_TRY(hti_wire_send(s->fd, &hello, err));
    for (;;) {
        hti_wire_message message;
        bool open;
        HT_TRY(hti_wire_receive(s->fd, s->packet, &message, &open, err));
        if (!open) return HT_OK;
        ht_status status = HT_OK;
        if (message.kind == HTI_WIRE_JOB) {
            status = keep_job(s, &message, err);
            if (status != HT_OK) return status;
            continue;
        }
        if (message.kind == HTI_WIRE_REQUEST) status = answer(s, &message, writer, err);
        hti_wire_release(&message);
        HT_TRY(status);
    }
}

int hti_worker_serve(int fd, hti_serve_fn serve, void *ud)
{
    server s = {.fd = fd, .serve = serve, .ud = ud, .packet = hti_alloc(HTI_WIRE_HEAD + HTI_WIRE_INLINE)};
    ht_writer *writer = NULL;
    ht_error err = {0};
    s.job.memory.fd = -1;
    hti_buffer_init(&s.job_body);
    hti_die_with_parent();
    ht_status status = s.packet ? ht_writer_new(&writer, &err) : HTI_NO_MEMORY(&err);
    if (status == HT_OK) status = serve_all(&s, writer, &err);
    ht_writer_free(writer);
    hti_wire_release(&s.job);
    hti_buffer_deinit(&s.job_body);
    hti_free(s.packet);
    /* A parent that went away in the middle is no failure of ours. */
    return status == HT_OK || status == HT_IO ? 0 : ht_status_exit_code(status);
}
