/* Runs the network once and prints what came out and what it took. The inputs are the bytes of a file that is linked
   in, one input behind the other; without a file each input counts up from 0. */
#include "memory.h"
#include "network.h"
#include "semihosting.h"

static unsigned char arena[LT_NET(_ARENA_BYTES)] __attribute__((aligned(LT_NET(_ARENA_ALIGNMENT)), section(".arena")));

typedef struct {
  size_t offset, bytes;
} place;

#define PLACE(kind) \
  { LT_NET(kind##_OFFSET), LT_NET(kind##_BYTES) }
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const place inputs[] = {
    PLACE(_INPUT0),
#if LT_NET(_INPUT_COUNT) > 1
    PLACE(_INPUT1),
#endif
#if LT_NET(_INPUT_COUNT) > 2
    PLACE(_INPUT2),
#endif
#if LT_NET(_INPUT_COUNT) > 3
#error "the example has room for three inputs: add the others here"
#endif
};

static const place outputs[] = {
    PLACE(_OUTPUT0),
#if LT_NET(_OUTPUT_COUNT) > 1
    PLACE(_OUTPUT1),
#endif
#if LT_NET(_OUTPUT_COUNT) > 2
    PLACE(_OUTPUT2),
#endif
#if LT_NET(_OUTPUT_COUNT) > 3
#error "the example has room for three outputs: add the others here"
#endif
};

#ifdef LT_INPUT_FILE

extern const unsigned char lt_input[], lt_input_end[];

/* Returns 0, or -1 where the file hasn't the inputs' size. */
static int fill_inputs(void) {
  const unsigned char *next = lt_input;
  for (size_t i = 0; i < COUNT(inputs); ++i) {
    if ((size_t)(lt_input_end - next) < inputs[i].bytes) {
      return -1;
    }
    memcpy(arena + inputs[i].offset, next, inputs[i].bytes);
    next += inputs[i].bytes;
  }
  return next == lt_input_end ? 0 : -1;
}

#else

static int fill_inputs(void) {
  for (size_t i = 0; i < COUNT(inputs); ++i) {
    for (size_t at = 0; at < inputs[i].bytes; ++at) {
      arena[inputs[i].offset + at] = (unsigned char)at;
    }
  }
  return 0;
}

#endif

static void print_figure(const char *name, uint64_t value) {
  lt_print(name);
  lt_print_number(value);
  lt_print("\n");
}

int main(void) {
  lt_call call;
  if (lt_network_reset(arena) != 0 || lt_network_open(arena, &call) != 0) {
    lt_print("the network can't be loaded\n");
    return 1;
  }
  if (fill_inputs() != 0) {
    lt_print("the input file has not the size of the network's inputs\n");
    return 1;
  }
  const lt_measurement measured = lt_measure(&call);
  print_figure("return code: ", (uint32_t)measured.return_code);
  for (size_t i = 0; i < COUNT(outputs); ++i) {
    lt_print("output: ");
    lt_print_hex(arena + outputs[i].offset, outputs[i].bytes);
    lt_print("\n");
  }
  print_figure("arena bytes: ", sizeof arena);
  print_figure("stack bytes: ", measured.stack_bytes);
  print_figure("instructions: ", measured.instructions);
  if (measured.stack_bytes == LT_STACK_OVERFLOW) {
    lt_print("the stack overflowed\n");
    return 1;
  }
  return measured.return_code == 0 ? 0 : 1;
}
