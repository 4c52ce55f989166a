/*
 * frame_oracle.c - for frame_oracle.py: a stream of record batches through a frame and back.
 */
#include <houndstooth/frame.h>

#include <stdio.h>

HT_API int oracle_frame(struct ArrowArrayStream *in, size_t limit, struct ArrowArrayStream *out, char *message,
                        size_t cap);

int oracle_frame(struct ArrowArrayStream *in, size_t limit, struct ArrowArrayStream *out, char *message, size_t cap)
{
    ht_error err = {0};
    ht_frame *frame = NULL, *cut = NULL, *made = NULL;
    ht_status status = ht_frame_from_arrow(in, &frame, &err);
    if (status == HT_OK) status = ht_frame_limit(frame, limit, &cut, &err);
    if (status == HT_OK) status = ht_frame_collect(cut, NULL, &made, &err);
    if (status == HT_OK) status = ht_frame_to_arrow(made, out, &err);
    ht_frame_release(frame);
    ht_frame_release(cut);
    ht_frame_release(made);
    snprintf(message, cap, "%s", err.message);
    return (int)status;
}
