/*
 * trace_int.h - what the files of this room share.
 */
#ifndef HTI_TRACE_TRACE_INT_H
#define HTI_TRACE_TRACE_INT_H

#include "trace.h"

/* Takes totals in place of those before, to be freed with the trace or by the next run; NULL allowed. */
void hti_trace_keep_totals(ht_trace *trace, ht_trace_total *totals);

extern const char *const hti_waterfall_script[]; /* up to NULL */

#endif
