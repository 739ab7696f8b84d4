/* The files that the firmware carries, as they are. */
  .section .rodata.blob, "a"

#ifdef LT_INPUT_FILE
  .global lt_input
  .balign 16
lt_input:
  .incbin LT_INPUT_FILE
#endif

#ifdef LT_ELF_FILE
  .global lt_elf_image
  .balign 16
lt_elf_image:
  .incbin LT_ELF_FILE
#endif
