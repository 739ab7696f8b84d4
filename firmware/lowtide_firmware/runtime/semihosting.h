/* What the firmware asks of the machine that emulates or debugs it: text out, files, the end. */
#ifndef LT_SEMIHOSTING_H
#define LT_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

void lt_print(const char *text);
void lt_print_number(uint64_t value);
void lt_print_hex(const void *bytes, size_t count);

/* Ends the program; the emulator's exit status is `status`. */
__attribute__((noreturn)) void lt_exit(int status);

/* Files of the host, by the name relative to the emulator's working directory. */
typedef enum { LT_READ = 1, LT_WRITE = 5 } lt_file_mode;

/* Handle, or -1. */
intptr_t lt_file_open(const char *name, lt_file_mode mode);
/* 0 where all `count` bytes were read or written, -1 otherwise. */
int lt_file_read(intptr_t file, void *bytes, size_t count);
int lt_file_write(intptr_t file, const void *bytes, size_t count);
void lt_file_close(intptr_t file);

#endif
