/* houndstooth.h - every public header of the library. */
#ifndef HOUNDSTOOTH_HOUNDSTOOTH_H
#define HOUNDSTOOTH_HOUNDSTOOTH_H

#include "base.h"
#include "bridge.h"
#include "cache.h"
#include "collection.h"
#include "draw.h"
#include "encoder.h"
#include "eval.h"
#include "flow.h"
#include "frame.h"
#include "lexical.h"
#include "pipeline_file.h"
#include "plaid.h"
#include "progress.h"
#include "registry.h"
#include "retrieval.h"
#include "series.h"
#include "trace.h"
#include "value.h"

#endif
