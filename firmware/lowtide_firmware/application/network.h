/* The network that is linked in. LT_NAME and LT_HEADER name it: `-DLT_NAME=net -DLT_HEADER="net.h"`. */
#ifndef LT_NETWORK_H
#define LT_NETWORK_H

#include LT_HEADER

#include "measure.h"

#define LT_PASTE_(name, suffix) name##suffix
#define LT_PASTE(name, suffix) LT_PASTE_(name, suffix)
/* LT_NET(_ARENA_BYTES) is net_ARENA_BYTES. */
#define LT_NET(suffix) LT_PASTE(LT_NAME, suffix)

/* Lets a network that remembers forget what earlier runs have left; others have nothing to forget. To be called before
   the first run, and before lt_network_open. Returns 0, or -1 where the network can't be loaded. */
int lt_network_reset(void *arena);

/* Fills `call` so that calling it runs the network on the arena. Returns 0, or -1 where it can't be loaded. */
int lt_network_open(void *arena, lt_call *call);

#endif
