/*
 * trace_int.h - what the files of this room share.
 */
#ifndef HTI_TRACE_TRACE_INT_H
#define HTI_TRACE_TRACE_INT_H

#include "trace.h"

#endif
