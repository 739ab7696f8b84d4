// lowtide-allocate: a layer writes over what it no longer reads of a dying input, forwards or backwards.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-allocate -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-kernels | FileCheck %s --check-prefix=CODE

// Two images of 32 bytes fit into 44: a row and a pixel apart.
// CHECK: "lowtide.arena"() {{.*}} bytes = 44 : i64, keep_input
// CHECK: {direction = "backwards", kind = "conv"
// CHECK: {kind = "conv"

// CODE: call @conv_0_backwards(
// CODE-NEXT: call @conv_0(
