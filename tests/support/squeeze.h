/*
 * squeeze.h - gzip and zstd in memory, for tests of what reads them.
 *
 * Both append one member (gzip) or frame (zstd) to a block from malloc; calling again with the same
 * block gives a file of several. A failure ends the test program.
 */
#ifndef HT_TESTS_SQUEEZE_H
#define HT_TESTS_SQUEEZE_H

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

typedef struct squeezed {
    unsigned char *data; /* from malloc */
    size_t len;
} squeezed;

static inline unsigned char *squeeze_room(squeezed *to, size_t more)
{
    to->data = realloc(to->data, to->len + more);
    if (!to->data) abort();
    return to->data + to->len;
}

static inline void squeeze_gzip(squeezed *to, const void *data, size_t len)
{
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    const size_t room = deflateBound(&stream, len);
    stream.next_in = (unsigned char *)(size_t)data;
    stream.avail_in = (unsigned)len;
    stream.next_out = squeeze_room(to, room);
    stream.avail_out = (unsigned)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) abort();
    to->len += room - stream.avail_out;
    (void)deflateEnd(&stream);
}

static inline void squeeze_zstd(squeezed *to, const void *data, size_t len)
{
    const size_t room = ZSTD_compressBound(len);
    const size_t made = ZSTD_compress(squeeze_room(to, room), room, data, len, 3);
    if (ZSTD_isError(made)) abort();
    to->len += made;
}

#endif
