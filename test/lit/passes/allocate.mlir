// lowtide-allocate: buffers become views of one arena; sizes and places are noted on the module.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-bufferise -o %t
// RUN: lowtide-opt %t --lowtide-allocate=overlap=0 | FileCheck %s
// RUN: lowtide-opt %t --lowtide-allocate="overlap=0 keep-input" | FileCheck %s --check-prefix=KEEP
// RUN: lowtide-opt %t --lowtide-allocate="overlap=0 alignment=64" | FileCheck %s --check-prefix=ALIGN
// RUN: not lowtide-opt %t --lowtide-allocate=alignment=x 2>&1 | FileCheck %s --check-prefix=VALUE

// CHECK:      lowtide.arena_bytes = 64
// CHECK-SAME: lowtide.buffers = {{.}}["input_0", [32, [[IN:[0-9]+]], 0, 1, {{[0-9, ]+}}]], ["linalg.generic", [32, [[MID:[0-9]+]], 1, 2, {{[0-9, ]+}}]], ["linalg.generic#2", [32, [[IN]], 2, 3, {{[0-9, ]+}}]]]
// CHECK-SAME: lowtide.input_offsets = {{.}}[[IN]]], lowtide.loops = {{.*}}lowtide.output_offsets = {{.}}[[IN]]]
// CHECK:      func.func @main(%[[A:.*]]: memref<64xi8>) {
// CHECK:      memref.view %[[A]]{{.*}} : memref<64xi8> to memref<1x4x4x2xi8>
// CHECK-NOT:  memref.alloc
// CHECK:      return
// CHECK-NEXT: }

// KEEP:  lowtide.arena_bytes = 96
// KEEP:  ["input_0", [32, {{[0-9]+}}, 0, 3, {{[0-9, ]+}}]]
// ALIGN: lowtide.arena_bytes = 96
// VALUE: allocate: alignment is a number, not 'x'
