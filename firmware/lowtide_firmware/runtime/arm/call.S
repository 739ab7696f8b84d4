  .syntax unified
  .thumb

/* intptr_t lt_semihosting_call(uintptr_t operation, const void *arguments) */
  .section .text.lt_semihosting_call, "ax"
  .global lt_semihosting_call
  .type lt_semihosting_call, %function
  .thumb_func
lt_semihosting_call:
  bkpt 0xab
  bx lr

/* int lt_paint_and_call(const lt_call *call, uint32_t *limit, uint32_t **stack_pointer) */
  .section .text.lt_paint_and_call, "ax"
  .global lt_paint_and_call
  .type lt_paint_and_call, %function
  .thumb_func
lt_paint_and_call:
  push {r4, lr}
  mov r4, sp
  str r4, [r2]
  ldr r2, =0x5a5aa5a5
paint:
  str r2, [r1], #4
  cmp r1, r4
  blo paint
  ldr r3, [r0, #0]
  ldr r1, [r0, #8]
  ldr r2, [r0, #12]
  ldr r0, [r0, #4]
  blx r3
  pop {r4, pc}

/* int lt_nothing(uintptr_t, uintptr_t, uintptr_t) */
  .section .text.lt_nothing, "ax"
  .global lt_nothing
  .type lt_nothing, %function
  .thumb_func
lt_nothing:
  movs r0, #0
  bx lr
