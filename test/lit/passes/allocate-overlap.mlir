// lowtide-allocate: a layer writes over what it no longer reads of a dying input, forwards or backwards.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-bufferise --lowtide-allocate | FileCheck %s

// Two images of 32 bytes fit into 44: a row and a pixel apart.
// CHECK: lowtide.arena_bytes = 44
// CHECK: call @conv_0{{.*}}lowtide.direction = "backwards"
// CHECK: call @conv_0
