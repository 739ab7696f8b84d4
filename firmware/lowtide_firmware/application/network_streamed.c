/* NAME.o, linked in, of a network whose inputs arrive row by row. A run brings the rows of `lt_rows`: it hands them over one
   by one, or with LT_PULL the network asks for them. */
#include "memory.h"
#include "network.h"
#include "rows.h"

typedef struct {
  int rows, row_bytes;
} stream;

static const stream streams[] = {LT_STREAMS};
enum { STREAMS = sizeof streams / sizeof *streams };

unsigned char lt_rows[LT_STREAM_BYTES] __attribute__((section(".arena")));

static const unsigned char *rows_of(int input) {
  const unsigned char *first = lt_rows;
  for (int before = 0; before < input; ++before) {
    first += streams[before].rows * streams[before].row_bytes;
  }
  return first;
}

#ifdef LT_PULL

static int read_rows(void *context, void *destination, int first_row, int rows) {
  const int input = (int)(uintptr_t)context, size = streams[input].row_bytes;
  memcpy(destination, rows_of(input) + first_row * size, (size_t)(rows * size));
  return 0;
}

static int run(uintptr_t arena, uintptr_t unused, uintptr_t unused_too) {
  (void)unused;
  (void)unused_too;
  LT_NET(_io) io[STREAMS];
  for (int input = 0; input < STREAMS; ++input) {
    io[input] = (LT_NET(_io)){read_rows, (void *)(uintptr_t)input};
  }
  const int state = LT_NET(_run_stream)((void *)arena, io);
  return state == 1 ? 0 : state;
}

#else

static int run(uintptr_t arena, uintptr_t unused, uintptr_t unused_too) {
  (void)unused;
  (void)unused_too;
  int next[STREAMS] = {0};
  int state = LT_NET(_begin)((void *)arena);
  while (state == 0) {
    const int input = LT_NET(_wants)((void *)arena);
    const unsigned char *row = rows_of(input) + next[input] * streams[input].row_bytes;
    state = LT_NET(_feed)((void *)arena, input, row, next[input]);
    ++next[input];
  }
  return state == 1 ? 0 : state;
}

#endif

int lt_network_reset(void *arena) {
#if LT_NET(_STATE_BYTES) > 0
  return LT_NET(_reset)(arena);
#else
  (void)arena;
  return 0;
#endif
}

int lt_network_open(void *arena, lt_call *call) {
  *call = (lt_call){run, {(uintptr_t)arena}};
  return 0;
}
