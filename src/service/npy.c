/*
 * npy.c - a growing float32 array in NumPy's format.
 *
 * The number of rows is known last, so a header for the largest count is written first and
 * overwritten at the end; numpy allows any amount of blanks before its newline.
 */
#include "service_int.h"

#include "codec/codec.h"

#include <string.h>

struct ht_npy_writer {
    hti_file *file;
    char *path;
    uint32_t dim;
    uint64_t n_rows;
    size_t header_len;
};

static void free_writer(ht_npy_writer *writer)
{
    hti_free(writer->path);
    hti_free(writer);
}

void ht_npy_writer_abort(ht_npy_writer *writer)
{
    if (!writer) return;
    hti_file_abandon(writer->file);
    if (writer->path) hti_discard(writer->path);
    free_writer(writer);
}

static ht_status start(ht_npy_writer *writer, const char *path, ht_error *err)
{
    const size_t len = strlen(path) + 1;
    char *copy = hti_alloc(len);
    if (!copy) return HTI_NO_MEMORY(err);
    memcpy(copy, path, len);
    ht_status status = hti_file_create(path, &writer->file, err);
    if (status != HT_OK) { /* the path is kept only now: abort must not remove another's file */
        hti_free(copy);
        return status;
    }
    writer->path = copy;
    hti_buffer header;
    hti_buffer_init(&header);
    hti_npy_header(&header, UINT64_MAX, writer->dim);
    status = hti_buffer_status(&header, err);
    writer->header_len = header.len;
    if (status == HT_OK) status = hti_file_write(writer->file, header.data, header.len, err);
    hti_buffer_deinit(&header);
    return status;
}

ht_status ht_npy_writer_new(const char *path, uint32_t dim, ht_npy_writer **out, ht_error *err)
{
    *out = NULL;
    ht_npy_writer *writer = HTI_NEW(ht_npy_writer);
    if (!writer) return HTI_NO_MEMORY(err);
    writer->dim = dim;
    const ht_status status = start(writer, path, err);
    if (status != HT_OK) {
        ht_npy_writer_abort(writer);
        return status;
    }
    *out = writer;
    return HT_OK;
}

ht_status ht_npy_writer_add(ht_npy_writer *writer, const float *rows, size_t n_rows, ht_error *err)
{
    writer->n_rows += n_rows;
    return hti_file_write(writer->file, rows, hti_mul(hti_mul(n_rows, writer->dim), sizeof *rows), err);
}

/* A header of exactly header_len bytes: blanks fill it up before the newline. */
static ht_status write_header(ht_npy_writer *writer, ht_error *err)
{
    hti_buffer header;
    hti_buffer_init(&header);
    hti_npy_header(&header, writer->n_rows, writer->dim);
    ht_status status = hti_buffer_status(&header, err);
    if (status == HT_OK) {
        header.data[header.len - 1] = ' ';
        while (header.len < writer->header_len && header.status == HT_OK) hti_buffer_append(&header, " ", 1);
        status = hti_buffer_status(&header, err);
    }
    if (status == HT_OK) {
        header.data[header.len - 1] = '\n';
        hti_put_u16(header.data + 8, (uint16_t)(header.len - 10));
        status = hti_file_write_at(writer->file, 0, header.data, header.len, err);
    }
    hti_buffer_deinit(&header);
    return status;
}

ht_status ht_npy_writer_finish(ht_npy_writer *writer, ht_error *err)
{
    ht_status status = write_header(writer, err);
    if (status == HT_OK) {
        hti_file *file = writer->file;
        writer->file = NULL;
        status = hti_file_close(file, false, err);
    }
    if (status != HT_OK) {
        ht_npy_writer_abort(writer);
        return status;
    }
    free_writer(writer);
    return HT_OK;
}
