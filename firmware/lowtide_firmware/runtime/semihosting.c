#include "semihosting.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

/* The trap itself, in assembly: see arm/ and riscv/. */
intptr_t lt_semihosting_call(uintptr_t operation, const void *arguments);

void lt_print(const char *text) { lt_semihosting_call(SYS_WRITE0, text); }

void lt_print_number(uint64_t value) {
  char digits[21];
  char *first = digits + sizeof digits - 1;
  *first = '\0';
  do {
    *--first = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  lt_print(first);
}

void lt_print_hex(const void *bytes, size_t count) {
  static const char digit[] = "0123456789abcdef";
  const uint8_t *byte = bytes;
  /* A call into the host is slow: 32 bytes at a time. */
  char text[65];
  while (count != 0) {
    size_t length = 0;
    for (; count != 0 && length < sizeof text - 1; --count, ++byte) {
      text[length++] = digit[*byte >> 4];
      text[length++] = digit[*byte & 15];
    }
    text[length] = '\0';
    lt_print(text);
  }
}

void lt_exit(int status) {
  const uintptr_t arguments[2] = {ADP_STOPPED_APPLICATION_EXIT, (uintptr_t)status};
  lt_semihosting_call(SYS_EXIT_EXTENDED, arguments);
  for (;;) {
  }
}

intptr_t lt_file_open(const char *name, lt_file_mode mode) {
  size_t length = 0;
  while (name[length] != '\0') {
    ++length;
  }
  const uintptr_t arguments[3] = {(uintptr_t)name, (uintptr_t)mode, length};
  return lt_semihosting_call(SYS_OPEN, arguments);
}

int lt_file_read(intptr_t file, void *bytes, size_t count) {
  const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)bytes, count};
  return lt_semihosting_call(SYS_READ, arguments) == 0 ? 0 : -1;
}

int lt_file_write(intptr_t file, const void *bytes, size_t count) {
  const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)bytes, count};
  return lt_semihosting_call(SYS_WRITE, arguments) == 0 ? 0 : -1;
}

void lt_file_close(intptr_t file) {
  const uintptr_t arguments[1] = {(uintptr_t)file};
  lt_semihosting_call(SYS_CLOSE, arguments);
}
