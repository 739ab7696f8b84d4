/* Loads the embedded ELF that lowtide ships: position-independent, RELATIVE relocations only, nothing imported. */
#ifndef LT_ELF_H
#define LT_ELF_H

#include <stddef.h>

/* Bytes of memory the loaded image takes; 0 where `image` is no 32-bit shared object. */
size_t lt_elf_bytes(const void *image);

/* Copies the image to `memory` (16-byte aligned, lt_elf_bytes long, executable) and relocates it.
   Returns the address of the exported `symbol`, or NULL where there is none or a relocation is of another kind.
   Where caches are on (Cortex-M7), clean the data cache and invalidate the instruction cache before the first call. */
void *lt_elf_load(const void *image, void *memory, const char *symbol);

#endif
