/* Calls a function and says how much stack it used and how many instructions it took. */
#ifndef LT_MEASURE_H
#define LT_MEASURE_H

#include <stdint.h>

/* A function of up to three words that returns 0 when done. */
typedef int (*lt_function)(uintptr_t, uintptr_t, uintptr_t);

typedef struct {
  lt_function function;
  uintptr_t arguments[3];
} lt_call;

typedef struct {
  int return_code;
  /* From the call to the lowest byte written; LT_STACK_OVERFLOW where that was the last byte of the stack. */
  uint32_t stack_bytes;
  /* From the call to the return, both included. Right under QEMU with the `-icount shift` of boards.json, not on a real Arm. */
  uint64_t instructions;
} lt_measurement;

#define LT_STACK_OVERFLOW UINT32_MAX

lt_measurement lt_measure(const lt_call *call);

#endif
