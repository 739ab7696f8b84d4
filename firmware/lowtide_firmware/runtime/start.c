/* From reset to main, in C: the assembly before it has set the stack and switched the FPU on. */
#include <stdint.h>

#include "semihosting.h"

/* Set by the linker script. */
extern uint32_t lt_data_start[], lt_data_end[], lt_bss_start[], lt_bss_end[];
extern const uint32_t lt_data_load[];

int main(void);

__attribute__((noreturn)) void lt_start(void) {
  const uint32_t *from = lt_data_load;
  for (uint32_t *to = lt_data_start; to < lt_data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = lt_bss_start; to < lt_bss_end; ++to) {
    *to = 0;
  }
  lt_exit(main());
}

/* Every fault ends here: what happened and where, then out. */
__attribute__((noreturn)) void lt_fault(uintptr_t cause, uintptr_t address) {
  lt_print("fault ");
  lt_print_number(cause);
  lt_print(" at ");
  lt_print_number(address);
  lt_print("\n");
  lt_exit(70);
}
