/* Counts instructions. RISC-V has a counter for them; on Arm a board's timer does, since QEMU with `-icount shift=7`
   lets each instruction take 128 ns. A tick of a timer is shorter than half of that, so that rounding gives the
   exact count. The board says which clock it has, where, and that an instruction is LT_CLOCK_NUMERATOR / 2^LT_CLOCK_SHIFT
   of a tick. */
#ifndef LT_CLOCK_H
#define LT_CLOCK_H

#include <stdint.h>

typedef struct {
  uint32_t low, high;
} lt_instant;

static inline volatile uint32_t *lt_register(uintptr_t address) { return (volatile uint32_t *)address; }

#if defined(LT_CLOCK_MINSTRET)

static inline void lt_clock_start(void) {}

/* The halves are read apart: the high one changes only every 2^32 instructions, and is read again where it did. */
static inline lt_instant lt_clock_read(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile("csrr %0, minstreth\n csrr %1, minstret\n csrr %2, minstreth" : "=r"(high), "=r"(low), "=r"(again));
  } while (high != again);
  return (lt_instant){low, high};
}

static inline uint64_t lt_clock_instructions(lt_instant from, lt_instant to) {
  return (((uint64_t)to.high << 32) | to.low) - (((uint64_t)from.high << 32) | from.low);
}

#elif defined(LT_CLOCK_SSE)

/* The system counter of Arm's SSE-300: 64 bits, upwards. */
static inline void lt_clock_start(void) { *lt_register(LT_CLOCK_CONTROL) = 1; }

static inline lt_instant lt_clock_read(void) {
  const uint32_t low = *lt_register(LT_CLOCK_SSE);
  return (lt_instant){low, *lt_register(LT_CLOCK_SSE + 4)};
}

static inline uint64_t lt_clock_instructions(lt_instant from, lt_instant to) {
  /* One carry may fall between the two reads; a run of 2^32 ticks is told from it by the sign. */
  const uint64_t ticks = (((uint64_t)to.high << 32) | to.low) - (((uint64_t)from.high << 32) | from.low);
  return (ticks * LT_CLOCK_NUMERATOR + (1u << (LT_CLOCK_SHIFT - 1))) >> LT_CLOCK_SHIFT;
}

#elif defined(LT_CLOCK_CMSDK)

/* Arm's dual timer: two counters of 32 bits, downwards. The second ticks 256 times slower: it tells how often the
   first one wrapped, so that 2^40 ticks can be told apart. */
enum { LT_TIMER_VALUE = 0x04, LT_TIMER_CONTROL = 0x08, LT_TIMER_SECOND = 0x20 };
enum { LT_TIMER_ENABLE_32_BITS = 0x82, LT_TIMER_BY_256 = 0x08 };

static inline void lt_clock_start(void) {
  *lt_register(LT_CLOCK_CMSDK + LT_TIMER_CONTROL) = LT_TIMER_ENABLE_32_BITS;
  *lt_register(LT_CLOCK_CMSDK + LT_TIMER_SECOND + LT_TIMER_CONTROL) = LT_TIMER_ENABLE_32_BITS | LT_TIMER_BY_256;
}

static inline lt_instant lt_clock_read(void) {
  const uint32_t fine = *lt_register(LT_CLOCK_CMSDK + LT_TIMER_VALUE);
  return (lt_instant){fine, *lt_register(LT_CLOCK_CMSDK + LT_TIMER_SECOND + LT_TIMER_VALUE)};
}

static inline uint64_t lt_clock_instructions(lt_instant from, lt_instant to) {
  const uint32_t fine = from.low - to.low;
  const uint64_t about = (uint64_t)(from.high - to.high) << 8;
  const uint64_t wraps = (about + (1u << 31) - fine) >> 32;
  const uint64_t ticks = (wraps << 32) + fine;
  return (ticks * LT_CLOCK_NUMERATOR + (1u << (LT_CLOCK_SHIFT - 1))) >> LT_CLOCK_SHIFT;
}

#else
#error "the board has no clock: define one of LT_CLOCK_MINSTRET, LT_CLOCK_SSE, LT_CLOCK_CMSDK"
#endif

#endif
