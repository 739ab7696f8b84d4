/* The functions that compilers call on their own, and that the runtime uses too: there is no C library here. */
#ifndef LT_MEMORY_H
#define LT_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

#endif
