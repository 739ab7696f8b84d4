#include "measure.h"

#include "clock.h"

/* Set by the linker script. */
extern uint32_t lt_stack_limit[];

/* In assembly, because only there is it known what lies on the stack:
   paints the free stack down to `limit`, notes the stack pointer and calls. */
int lt_paint_and_call(const lt_call *call, uint32_t *limit, uint32_t **stack_pointer);
/* Returns 0 after two instructions. */
int lt_nothing(uintptr_t, uintptr_t, uintptr_t);

enum { STACK_PATTERN = 0x5a5aa5a5, INSTRUCTIONS_OF_NOTHING = 2 };

static lt_measurement run(const lt_call *call) {
  lt_measurement result;
  uint32_t *stack_pointer;
  const lt_instant before = lt_clock_read();
  result.return_code = lt_paint_and_call(call, lt_stack_limit, &stack_pointer);
  const lt_instant after = lt_clock_read();
  const uint32_t *lowest = lt_stack_limit;
  while (lowest < stack_pointer && *lowest == STACK_PATTERN) {
    ++lowest;
  }
  const uint32_t used = (uint32_t)(stack_pointer - lowest) * (uint32_t)sizeof *lowest;
  result.stack_bytes = lowest == lt_stack_limit ? LT_STACK_OVERFLOW : used;
  result.instructions = lt_clock_instructions(before, after);
  return result;
}

lt_measurement lt_measure(const lt_call *call) {
  static const lt_call nothing = {lt_nothing, {0}};
  /* Painting and reading the clock take instructions too, the same ones whatever is called: one place to call from,
     so that the stack pointer is the same. */
  const lt_call *const turns[2] = {&nothing, call};
  lt_measurement results[2];
  lt_clock_start();
  for (int turn = 0; turn < 2; ++turn) {
    results[turn] = run(turns[turn]);
  }
  results[1].instructions -= results[0].instructions - INSTRUCTIONS_OF_NOTHING;
  return results[1];
}
