// lowtide-allocate: every buffer gets a place in one arena, which an operation of the module describes; the layers stay.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline -o %t
// RUN: lowtide-opt %t --lowtide-allocate=overlap=0 -o %t.placed
// RUN: FileCheck %s --input-file %t.placed
// RUN: lowtide-opt %t --lowtide-allocate="overlap=0 keep-input" | FileCheck %s --check-prefix=KEEP
// RUN: lowtide-opt %t --lowtide-allocate="overlap=0 alignment=64" | FileCheck %s --check-prefix=ALIGN
// RUN: not lowtide-opt %t --lowtide-allocate=alignment=x 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not lowtide-opt %t.placed --lowtide-allocate 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-allocate 2>&1 | FileCheck %s --check-prefix=EARLY

// CHECK:      "lowtide.arena"() {alignment = 4 : i64, bound = 64 : i64, buffers =
// CHECK-SAME: {bytes = 32 : i64, first = 0 : i64, last = 1 : i64, name = "input_0", offset = [[IN:[0-9]+]] : i64}
// CHECK-SAME: {bytes = 32 : i64, first = 1 : i64, last = 2 : i64, name = "linalg.generic", offset = {{[0-9]+}} : i64}
// CHECK-SAME: {bytes = 32 : i64, first = 2 : i64, last = 3 : i64, name = "linalg.generic#2", offset = [[IN]] : i64}
// CHECK-SAME: bytes = 64 : i64, keep_input = false, overlap = false}
// CHECK:      func.func @main(%{{.*}}: tensor<1x4x4x2xi8>)
// CHECK:      "lowtide.layer"
// CHECK-NOT:  memref

// KEEP:  {bytes = 32 : i64, first = 0 : i64, last = 3 : i64, name = "input_0"
// KEEP-SAME: bytes = 96 : i64, keep_input = true, overlap = false}
// ALIGN: alignment = 64 : i64
// ALIGN-SAME: bytes = 96 : i64, keep_input
// VALUE: allocate: alignment is a number, not 'x'
// TWICE: allocate: the arena is allocated already
// TWICE: remedy: run this pass once
// EARLY: allocate: the network has not been cut into layers
// EARLY: remedy: run lowtide-outline first
