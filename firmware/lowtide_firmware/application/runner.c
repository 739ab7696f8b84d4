/* Runs the network on an arena that the host gives, for tests: reads arena.in, writes result.out and arena.out.
   Bytes around the arena tell whether something was written beside it. */
#include "memory.h"
#include "network.h"
#include "semihosting.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static struct {
  unsigned char before[GUARD];
  unsigned char arena[LT_NET(_ARENA_BYTES)] __attribute__((aligned(LT_NET(_ARENA_ALIGNMENT))));
  unsigned char after[GUARD];
} memory __attribute__((aligned(GUARD), section(".arena")));

/* What result.out holds. */
typedef struct {
  int32_t return_code;
  uint32_t stack_bytes, intact;
  uint64_t instructions;
} result;

static int load_arena(void) {
  memset(&memory, GUARD_BYTE, sizeof memory);
  const intptr_t file = lt_file_open("arena.in", LT_READ);
  if (file == -1) {
    return -1;
  }
  const int failed = lt_file_read(file, memory.arena, sizeof memory.arena);
  lt_file_close(file);
  return failed;
}

static int save(const char *name, const void *bytes, size_t count) {
  const intptr_t file = lt_file_open(name, LT_WRITE);
  if (file == -1) {
    return -1;
  }
  const int failed = lt_file_write(file, bytes, count);
  lt_file_close(file);
  return failed;
}

static uint32_t guards_intact(void) {
  for (int i = 0; i < GUARD; ++i) {
    if (memory.before[i] != GUARD_BYTE || memory.after[i] != GUARD_BYTE) {
      return 0;
    }
  }
  return 1;
}

int main(void) {
  lt_call call;
  if (load_arena() != 0 || lt_network_open(memory.arena, &call) != 0) {
    return 1;
  }
  const lt_measurement measured = lt_measure(&call);
  const result all = {measured.return_code, measured.stack_bytes, guards_intact(), measured.instructions};
  return save("result.out", &all, sizeof all) != 0 || save("arena.out", memory.arena, sizeof memory.arena) != 0;
}
