/* NAME.o, linked in. */
#include "network.h"

int lt_network_reset(void *arena) {
#if LT_NET(_STATE_BYTES) > 0
  return LT_NET(_reset)(arena);
#else
  (void)arena;
  return 0;
#endif
}

int lt_network_open(void *arena, lt_call *call) {
  /* Called without a function in between, which would count as the network's stack and instructions: on these cores
     a function of one word may be called with three. */
  *call = (lt_call){(lt_function)(uintptr_t)&LT_NET(_run), {(uintptr_t)arena}};
  return 0;
}
