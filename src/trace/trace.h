/*
 * trace.h - the door of the room that keeps and shows traces: recording.
 */
#ifndef HTI_TRACE_TRACE_H
#define HTI_TRACE_TRACE_H

#include "base/base.h"

#include <houndstooth/trace.h>

/* Forgets all spans: a run begins. Names stay, and with them their pointers. */
void hti_trace_begin(ht_trace *trace);
/* A name that lives as long as the trace, the same pointer for the same text; NULL if memory is out. Any thread. */
const char *hti_trace_name(ht_trace *trace, const char *name);
/* Keeps a span; its name comes from hti_trace_name. Any thread, no lock; NULL trace: nothing. */
void hti_trace_add(ht_trace *trace, const ht_span *span);

#endif
