/*
 * plaid.h - the door of the token-vector index. Rooms above use the public header; nothing more is needed yet.
 */
#ifndef HTI_PLAID_PLAID_H
#define HTI_PLAID_PLAID_H

#include <houndstooth/plaid.h>

#endif
