/* The network that is linked in. LT_NAME and LT_HEADER name it: `-DLT_NAME=net -DLT_HEADER="net.h"`. */
#ifndef LT_NETWORK_H
#define LT_NETWORK_H

#include LT_HEADER

#include "measure.h"

#define LT_PASTE_(name, suffix) name##suffix
#define LT_PASTE(name, suffix) LT_PASTE_(name, suffix)
/* LT_NET(_ARENA_BYTES) is net_ARENA_BYTES. */
#define LT_NET(suffix) LT_PASTE(LT_NAME, suffix)

/* Fills `call` so that calling it runs the network on the arena. Returns 0, or -1 where it can't be loaded. */
int lt_network_open(void *arena, lt_call *call);

#endif
