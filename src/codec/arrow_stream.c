/*
 * arrow_stream.c - the Arrow C Stream Interface: reading somebody's stream, and giving one of ours.
 *
 * A stream of ours is a source, which is a table of functions, behind the interface's four callbacks. The interface
 * tells a failure as an errno and a text that lives until the next call: the private block keeps that text.
 * Thread rule: one thread at a time uses a stream; release may come from any, once.
 * Easy to get wrong: the end is a success that gives a released array, and a consumer may move the struct, so nothing
 * in the private block points back to it.
 */
#include "arrow.h"

#include <errno.h>

/* ---- reading ---- */

static ht_status refuse(struct ArrowArrayStream *stream, const char *what, int code, ht_error *err)
{
    const char *why = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    const ht_status status = code == ENOMEM ? HT_NO_MEMORY : code == ENOSYS ? HT_UNSUPPORTED : HT_FAILED;
    return hti_fail(err, status, "Arrow stream: its %s failed with error %d: %.800s", what, code,
                    why ? why : "no reason told");
}

ht_status hti_arrow_stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out, ht_error *err)
{
    *out = (struct ArrowSchema){0};
    if (!stream->release) return HT_FAIL(err, INVALID, "Arrow stream: it is released already, or moved");
    const int code = stream->get_schema(stream, out);
    if (code != 0) {
        *out = (struct ArrowSchema){0};
        return refuse(stream, "schema", code, err);
    }
    return out->release ? HT_OK : HT_FAIL(err, INVALID, "Arrow stream: it gave a released schema");
}

ht_status hti_arrow_stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out, ht_error *err)
{
    *out = (struct ArrowArray){0};
    if (!stream->release) return HT_FAIL(err, INVALID, "Arrow stream: it is released already, or moved");
    const int code = stream->get_next(stream, out);
    if (code == 0) return HT_OK;
    *out = (struct ArrowArray){0};
    return refuse(stream, "next array", code, err);
}

void hti_arrow_stream_release(struct ArrowArrayStream *stream)
{
    if (stream->release) stream->release(stream);
}

/* ---- making ---- */

typedef struct stream_private {
    hti_arrow_source source;
    ht_error error; /* of the last call; status HT_OK: none */
} stream_private;

/* The errno that says the most of a status. */
static int code_of(ht_status status)
{
    switch (status) {
    case HT_OK: return 0;
    case HT_NO_MEMORY: return ENOMEM;
    case HT_UNSUPPORTED: return ENOSYS;
    case HT_IO: return EIO;
    default: return EINVAL;
    }
}

static int give_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    stream_private *mine = stream->private_data;
    mine->error = (ht_error){0};
    *out = (struct ArrowSchema){0};
    mine->error.status = mine->source.schema(mine->source.ud, out, &mine->error);
    return code_of(mine->error.status);
}

static int give_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    stream_private *mine = stream->private_data;
    mine->error = (ht_error){0};
    *out = (struct ArrowArray){0};
    mine->error.status = mine->source.next(mine->source.ud, out, &mine->error);
    return code_of(mine->error.status);
}

static const char *last_error(struct ArrowArrayStream *stream)
{
    const stream_private *mine = stream->private_data;
    return mine->error.status == HT_OK ? NULL : mine->error.message;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    stream_private *mine = stream->private_data;
    mine->source.release(mine->source.ud);
    hti_free(mine);
    stream->private_data = NULL;
    stream->release = NULL;
}

ht_status hti_arrow_stream_make(const hti_arrow_source *source, struct ArrowArrayStream *out, ht_error *err)
{
    *out = (struct ArrowArrayStream){0};
    stream_private *mine = HTI_NEW(stream_private);
    if (!mine) {
        source->release(source->ud);
        return HTI_NO_MEMORY(err);
    }
    mine->source = *source;
    *out = (struct ArrowArrayStream){.get_schema = give_schema,
                                     .get_next = give_next,
                                     .get_last_error = last_error,
                                     .release = release_stream,
                                     .private_data = mine};
    return HT_OK;
}
