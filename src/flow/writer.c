/*
 * writer.c - bytes under construction, whole or in pieces.
 *
 * A writer that gathers leaves large parts where they are and remembers where they belong, so that a megabyte on its
 * way to another process is copied once, into the memory that both share. Values that own such parts are held until
 * the writer is cleared. One thread.
 */
#include "value_int.h"

#include <string.h>

ht_status ht_writer_new(ht_writer **out, ht_error *err)
{
    *out = HTI_NEW(ht_writer);
    if (!*out) return HTI_NO_MEMORY(err);
    hti_buffer_init(&(*out)->buffer);
    return HT_OK;
}

void ht_writer_clear(ht_writer *writer)
{
    for (size_t i = 0; i < writer->n_outside; i++) ht_value_release(writer->outside[i].owner);
    for (ht_writer *inner = writer->inner, *next; inner; inner = next) {
        next = inner->next;
        ht_writer_free(inner);
    }
    writer->inner = NULL;
    writer->n_outside = writer->n_outside_bytes = 0;
    hti_buffer_clear(&writer->buffer);
}

void ht_writer_free(ht_writer *writer)
{
    if (!writer) return;
    ht_writer_clear(writer);
    hti_buffer_deinit(&writer->buffer);
    hti_free(writer->outside);
    hti_free(writer->pieces);
    hti_free(writer);
}

const void *ht_writer_data(const ht_writer *writer, size_t *len)
{
    HT_ASSERT(!writer->gathers);
    const ht_text view = hti_buffer_view(&writer->buffer);
    *len = view.len;
    return view.data;
}

ht_status ht_writer_add(ht_writer *writer, const void *data, size_t len, ht_error *err)
{
    hti_buffer_append(&writer->buffer, data, len);
    return hti_buffer_status(&writer->buffer, err);
}

/* ---- in pieces ---- */

void hti_writer_gather(ht_writer *writer) { writer->gathers = true; }

size_t hti_writer_len(const ht_writer *writer) { return hti_add(writer->buffer.len, writer->n_outside_bytes); }

static void add_outside(ht_writer *writer, const void *data, size_t len, ht_value owner)
{
    hti_buffer *buffer = &writer->buffer;
    if (buffer->status != HT_OK) return;
    buffer->status =
        hti_reserve(&writer->outside, &writer->cap_outside, writer->n_outside + 1, sizeof *writer->outside, NULL);
    if (buffer->status != HT_OK) return;
    writer->outside[writer->n_outside++] = (hti_outside){buffer->len, {data, len}, ht_value_retain(owner)};
    writer->n_outside_bytes = hti_add(writer->n_outside_bytes, len);
}

void hti_writer_add_part(ht_writer *writer, const void *data, size_t len, ht_value owner)
{
    if (writer->gathers && len >= HTI_LARGE)
        add_outside(writer, data, len, owner);
    else
        hti_buffer_append(&writer->buffer, data, len);
}

void hti_writer_add_writer(ht_writer *writer, ht_writer *inner)
{
    hti_pieces pieces;
    const size_t n_before = writer->n_outside;
    if (hti_writer_pieces(inner, &pieces, NULL) != HT_OK) writer->buffer.status = HT_NO_MEMORY;
    for (size_t i = 0; writer->buffer.status == HT_OK && i < pieces.n; i++)
        hti_writer_add_part(writer, pieces.at[i].data, pieces.at[i].len, ht_value_null());
    if (writer->n_outside == n_before) { /* nothing of it is needed any more */
        ht_writer_free(inner);
        return;
    }
    inner->next = writer->inner;
    writer->inner = inner;
}

ht_status hti_writer_pieces(ht_writer *writer, hti_pieces *out, ht_error *err)
{
    const hti_buffer *buffer = &writer->buffer;
    size_t n = 0, from = 0;
    *out = (hti_pieces){0};
    HT_TRY(hti_buffer_status(buffer, err));
    HT_TRY(hti_reserve(&writer->pieces, &writer->cap_pieces, 2 * writer->n_outside + 1, sizeof *writer->pieces, err));
    for (size_t i = 0; i < writer->n_outside; i++) {
        const hti_outside *outside = &writer->outside[i];
        if (outside->at > from) writer->pieces[n++] = (ht_text){buffer->data + from, outside->at - from};
        writer->pieces[n++] = outside->bytes;
        from = outside->at;
    }
    if (buffer->len > from) writer->pieces[n++] = (ht_text){buffer->data + from, buffer->len - from};
    *out = (hti_pieces){writer->pieces, n, hti_writer_len(writer)};
    return HT_OK;
}
