/* Reset and traps of an RV32 core in machine mode. */
  .section .vectors, "ax"
  .global lt_reset
lt_reset:
  la t0, fault
  csrw mtvec, t0
  /* FPU and vector unit on: mstatus.FS and .VS = initial. A core without them ignores it. */
  li t0, 0x2200
  csrs mstatus, t0
  la sp, lt_stack_top
  j lt_start

  .balign 4
fault:
  csrr a0, mcause
  csrr a1, mepc
  la sp, lt_stack_top
  j lt_fault
