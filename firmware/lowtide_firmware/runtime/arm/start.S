/* Vector table and reset of a Cortex-M. */
  .syntax unified
  .thumb

  .section .vectors, "a"
  .word lt_stack_top
  .word lt_reset
  .rept 14 /* the architecture's own exceptions; no interrupt is ever enabled */
  .word fault
  .endr

  .section .text.lt_reset, "ax"
  .global lt_reset
  .type lt_reset, %function
  .thumb_func
lt_reset:
  /* Full access to the coprocessors 10 and 11: FPU and MVE. A core without them ignores it. */
  ldr r0, =0xe000ed88
  ldr r1, [r0]
  orr r1, r1, #0xf00000
  str r1, [r0]
  dsb
  isb
  bl lt_start

  .type fault, %function
  .thumb_func
fault:
  /* The exception number, and the address that the core pushed. The stack may be what is broken: start it anew. */
  mrs r0, ipsr
  ldr r2, =lt_stack_limit
  ldr r3, =lt_stack_top
  mov r1, #0
  cmp sp, r2
  it hs
  ldrhs r1, [sp, #24]
  mov sp, r3
  bl lt_fault
