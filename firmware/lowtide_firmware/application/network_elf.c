/* NAME.elf, in flash as a blob, loaded to the free RAM behind the arena. */
#include "elf.h"
#include "iree.h"
#include "network.h"

extern const unsigned char lt_elf_image[];
/* Set by the linker script. */
extern unsigned char lt_free_start[], lt_free_end[];

static lt_iree_state state;

enum { RUN, RESET };

/* Loads the network and fills `call` for one of its exports. */
static int prepare(void *arena, uint32_t ordinal, lt_call *call) {
  const size_t bytes = lt_elf_bytes(lt_elf_image);
  if (bytes == 0 || bytes > (size_t)(lt_free_end - lt_free_start)) {
    return -1;
  }
  void *query = lt_elf_load(lt_elf_image, lt_free_start, LT_IREE_QUERY);
  return query == NULL ? -1 : lt_iree_prepare(query, arena, LT_NET(_ARENA_BYTES), ordinal, &state, call);
}

int lt_network_reset(void *arena) {
#if LT_NET(_STATE_BYTES) > 0
  lt_call call;
  return prepare(arena, RESET, &call) != 0 ? -1 : (int)call.function(call.arguments[0], call.arguments[1], call.arguments[2]);
#else
  (void)arena;
  return 0;
#endif
}

int lt_network_open(void *arena, lt_call *call) { return prepare(arena, RUN, call); }
