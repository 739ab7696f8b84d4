/* The files that the firmware carries, as they are. The build also defines LT_FILES_HASH, for a compiler's cache knows
   the command, but not the bytes of these files. */
  .section .rodata.blob, "a"

#ifdef LT_INPUT_FILE
  .global lt_input, lt_input_end
  .balign 16
lt_input:
  .incbin LT_INPUT_FILE, LT_INPUT_SKIP
lt_input_end:
#endif

#ifdef LT_ELF_FILE
  .global lt_elf_image
  .balign 16
lt_elf_image:
  .incbin LT_ELF_FILE
#endif
