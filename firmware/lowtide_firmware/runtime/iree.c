#include "iree.h"

enum { LIBRARY_VERSION = 6 };

/* The head of iree_hal_executable_library_v0_t. */
typedef struct {
  const uint32_t *header;
  uint32_t import_count;
  const char *const *imports;
  uint32_t export_count;
  const uintptr_t *exports;
} library;

typedef const library *(*query_function)(uint32_t version, const lt_iree_environment *environment);

int lt_iree_prepare(void *query, void *arena, size_t arena_bytes, uint32_t ordinal, lt_iree_state *state,
                    lt_call *call) {
  const library *found = ((query_function)(uintptr_t)query)(LIBRARY_VERSION, &state->environment);
  if (found == NULL || found->import_count != 0 || found->export_count <= ordinal) {
    return -1;
  }
  state->bindings[0] = arena;
  state->lengths[0] = arena_bytes;
  state->dispatch = (lt_iree_dispatch){
      .workgroup_size_x = 1,
      .workgroup_size_y = 1,
      .workgroup_size_z = 1,
      .workgroup_count_x = 1,
      .workgroup_count_y = 1,
      .workgroup_count_z = 1,
      .concurrency = 1,
      .binding_count = 1,
      .bindings = state->bindings,
      .lengths = state->lengths,
  };
  call->function = (lt_function)found->exports[ordinal];
  call->arguments[0] = (uintptr_t)&state->environment;
  call->arguments[1] = (uintptr_t)&state->dispatch;
  call->arguments[2] = (uintptr_t)&state->workgroup;
  return 0;
}
