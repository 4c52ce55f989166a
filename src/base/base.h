/*
 * base.h - the door of the bottom room: everything a room above may use of it.
 */
#ifndef HTI_BASE_BASE_H
#define HTI_BASE_BASE_H

#include "alloc.h"
#include "bits.h"
#include "map.h"
#include "status.h"
#include "topk.h"

#endif
