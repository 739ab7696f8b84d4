// lowtide-kernels: a pad whose value matters is a test of the subscript, not a copy.
// RUN: lowtide-opt %s --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @map_0(%[[X:.*]]: memref<4xf32>, %[[Y:.*]]: memref<6xf32>)
// CHECK:      %[[PAD:.*]] = arith.constant 7.0{{.*}} : f32
// CHECK:      scf.for %[[I:.*]] =
// CHECK:      %[[V:.*]] = scf.if %{{.*}} -> (f32) {
// CHECK:      memref.load %[[X]]
// CHECK:      } else {
// CHECK-NEXT: scf.yield %[[PAD]]
// CHECK:      memref.store %{{.*}}, %[[Y]][%[[I]]]
func.func @main(%x: tensor<4xf32>) -> tensor<6xf32> {
  %z = arith.constant 7.0 : f32
  %p = tensor.pad %x low[1] high[1] {
  ^bb0(%i: index):
    tensor.yield %z : f32
  } : tensor<4xf32> to tensor<6xf32>
  return %p : tensor<6xf32>
}
