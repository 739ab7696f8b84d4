/* Weak: an object that brings its own keeps them. */
#include "memory.h"

#include <stdint.h>

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  uint8_t *target = to;
  const uint8_t *source = from;
  while (count-- != 0) {
    *target++ = *source++;
  }
  return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t count) {
  uint8_t *target = to;
  const uint8_t *source = from;
  if ((uintptr_t)to <= (uintptr_t)from) {
    return memcpy(to, from, count);
  }
  while (count-- != 0) {
    target[count] = source[count];
  }
  return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t count) {
  uint8_t *target = to;
  while (count-- != 0) {
    *target++ = (uint8_t)value;
  }
  return to;
}
