/* houndstooth.h - every public header of the library. */
#ifndef HOUNDSTOOTH_HOUNDSTOOTH_H
#define HOUNDSTOOTH_HOUNDSTOOTH_H

#include "base.h"
#include "collection.h"
#include "encoder.h"
#include "eval.h"
#include "flow.h"
#include "lexical.h"
#include "plaid.h"
#include "value.h"

#endif
