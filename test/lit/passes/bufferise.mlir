// lowtide-bufferise: one allocation for each buffer, no copies, constants as globals; the bodies stay tensors.
// RUN: lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-normalise --lowtide-outline --lowtide-bufferise | FileCheck %s
// RUN: not lowtide-opt %S/Inputs/convs.mlir --lowtide-import-tosa --lowtide-bufferise 2>&1 | FileCheck %s --check-prefix=EARLY

// CHECK:      memref.global "private" constant @[[BIAS:.*]] : memref<2xi32> = dense<[5, 6]>
// CHECK:      func.func @main(%[[X:.*]]: memref<1x4x4x2xi8>) -> memref<1x4x4x2xi8>
// CHECK-NEXT: %[[B:.*]] = memref.get_global @[[BIAS]]
// CHECK-NEXT: %[[A0:.*]] = memref.alloc()
// CHECK-NEXT: call @conv_0(%[[X]], %[[B]], %[[A0]]) {lowtide.layer = {{.*}}} : (memref<1x4x4x2xi8>, memref<2xi32>, memref<1x4x4x2xi8>) -> ()
// CHECK-NEXT: %[[A1:.*]] = memref.alloc()
// CHECK-NEXT: call @conv_0(%[[A0]], %[[B]], %[[A1]])
// CHECK-NEXT: return %[[A1]]
// CHECK:      module @layers
// CHECK-NEXT: func.func private @conv_0(%{{.*}}: tensor<1x4x4x2xi8>

// EARLY: bufferise: the module has no outlined layers
// EARLY: remedy: run lowtide-outline first
