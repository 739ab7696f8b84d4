/* Calls a library that IREE's compiler made: the part of its convention that one export on one arena needs. */
#ifndef LT_IREE_H
#define LT_IREE_H

#include <stddef.h>
#include <stdint.h>

#include "measure.h"

#define LT_IREE_QUERY "iree_hal_executable_library_query"

/* The convention wants the three structures 16-byte aligned. */
#define LT_ALIGNED __attribute__((aligned(16)))

typedef struct {
  const uint32_t *constants;
  int (*import_thunk)(void *function, void *parameters);
  void *const *imports;
  uint64_t processor[8];
} lt_iree_environment;

typedef struct {
  uint32_t workgroup_size_x, workgroup_size_y;
  uint16_t workgroup_size_z, constant_count;
  uint32_t workgroup_count_x, workgroup_count_y;
  uint16_t workgroup_count_z;
  uint8_t concurrency, binding_count;
  const uint32_t *constants;
  void *const *bindings;
  const size_t *lengths;
} lt_iree_dispatch;

typedef struct {
  uint32_t id_x, id_y;
  uint16_t id_z, reserved;
  uint32_t processor;
  void *local_memory;
  size_t local_memory_bytes;
} lt_iree_workgroup;

/* What a dispatch reads; must outlive it. */
typedef struct {
  lt_iree_environment environment LT_ALIGNED;
  lt_iree_dispatch dispatch LT_ALIGNED;
  lt_iree_workgroup workgroup LT_ALIGNED;
  void *bindings[1];
  size_t lengths[1];
} lt_iree_state;

/* Fills the zeroed `state`, and `call` so that calling it runs one of the library's exports on the
   arena: 0 is the network, 1 the reset of one that remembers. `query` is what LT_IREE_QUERY names. Returns 0, or -1
   where the library is of another version, imports functions, or has no such export. */
int lt_iree_prepare(void *query, void *arena, size_t arena_bytes, uint32_t ordinal, lt_iree_state *state,
                    lt_call *call);

#endif
