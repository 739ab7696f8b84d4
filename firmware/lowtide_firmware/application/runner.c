/* Runs the network on the arenas that the host gives, one behind the other in arena.in, each followed by what arrives row by
   row. For each it appends a result to
   result.out and the arena to arena.out. Bytes around the arena tell whether something was written beside it. */
#include "memory.h"
#include "network.h"
#include "rows.h"
#include "semihosting.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static struct {
  unsigned char before[GUARD];
  unsigned char arena[LT_NET(_ARENA_BYTES)] __attribute__((aligned(LT_NET(_ARENA_ALIGNMENT))));
  unsigned char after[GUARD];
} memory __attribute__((aligned(GUARD), section(".arena")));

/* What result.out holds, once a run. */
typedef struct {
  int32_t return_code;
  uint32_t stack_bytes, intact;
  uint64_t instructions;
} result;

static uint32_t guards_intact(void) {
  for (int i = 0; i < GUARD; ++i) {
    if (memory.before[i] != GUARD_BYTE || memory.after[i] != GUARD_BYTE) {
      return 0;
    }
  }
  return 1;
}

/* The arena of the next run, and the rows that arrive in it; returns 0, or something else where there is none. */
static int next_arena(intptr_t given) {
  const int failed = lt_file_read(given, memory.arena, sizeof memory.arena);
#ifdef LT_STREAM_BYTES
  return failed != 0 ? failed : lt_file_read(given, lt_rows, sizeof lt_rows);
#else
  return failed;
#endif
}

/* Returns 0, or -1 where the network can't be loaded or a file can't be written. */
static int run_once(intptr_t results, intptr_t arenas) {
  lt_call call;
  if (lt_network_open(memory.arena, &call) != 0) {
    return -1;
  }
  memset(memory.before, GUARD_BYTE, GUARD);
  memset(memory.after, GUARD_BYTE, GUARD);
  const lt_measurement measured = lt_measure(&call);
  const result all = {measured.return_code, measured.stack_bytes, guards_intact(), measured.instructions};
  const int failed = lt_file_write(results, &all, sizeof all);
  return failed != 0 ? failed : lt_file_write(arenas, memory.arena, sizeof memory.arena);
}

int main(void) {
  const intptr_t given = lt_file_open("arena.in", LT_READ);
  const intptr_t results = lt_file_open("result.out", LT_WRITE), arenas = lt_file_open("arena.out", LT_WRITE);
  if (given == -1 || results == -1 || arenas == -1) {
    return 1;
  }
  int failed = 0;
  while (failed == 0 && next_arena(given) == 0) {
    failed = run_once(results, arenas);
  }
  lt_file_close(given);
  lt_file_close(results);
  lt_file_close(arenas);
  return failed == 0 ? 0 : 1;
}
