/*
 * lexical.h - the door of the inverted index: the public header is all of it.
 */
#ifndef HTI_LEXICAL_LEXICAL_H
#define HTI_LEXICAL_LEXICAL_H

#include <houndstooth/lexical.h>

#include "base/base.h"

#endif
