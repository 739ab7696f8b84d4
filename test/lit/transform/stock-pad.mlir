// Tiles that don't divide the product are padded to one size, by MLIR, in a loop that becomes a layer.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK-NOT:  memref.alloc
// CHECK:      func.func private @loop_0({{.*}}, %[[Y:.*]]: memref<5x7xf32>, %[[X:.*]]: memref<2x6xf32>, %{{.*}}: memref<6x4xf32>, %[[TILE:.*]]: memref<2x4xf32>)
// CHECK:      scf.for %{{.*}} = %c0 to %c5 step %c2 {
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c7 step %c4 {
// CHECK:      %[[ROWS:.*]] = arith.minsi
// CHECK:      scf.for %{{.*}} = %c0 to %c2 step %c1 {
// CHECK:      memref.store %cst, %[[X]]
// CHECK:      scf.for %{{.*}} = %c0 to %[[ROWS]] step %c1 {
// CHECK:      memref.store %{{.*}}, %[[X]]
// CHECK:      memref.store %{{.*}}, %[[TILE]]
// CHECK:      scf.for %{{.*}} = %c0 to %[[ROWS]] step %c1 {
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(
// CHECK:      call @loop_0(%{{.*}}, %{{.*}}, %[[MADE:[^,]*]], %{{.*}}, %{{.*}}, %{{.*}}) :
// CHECK-NEXT: call @map_0(%[[MADE]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<5x6xf32>, %w: tensor<6x7xf32>) -> tensor<5x7xf32> {
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : tensor<5x7xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<5x7xf32>) -> tensor<5x7xf32>
    %0 = linalg.matmul ins(%x, %w : tensor<5x6xf32>, tensor<6x7xf32>) outs(%f0 : tensor<5x7xf32>) -> tensor<5x7xf32>
    %e1 = tensor.empty() : tensor<5x7xf32>
    %1 = linalg.exp ins(%0 : tensor<5x7xf32>) outs(%e1 : tensor<5x7xf32>) -> tensor<5x7xf32>
    return %1 : tensor<5x7xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %product = transform.structured.match ops{["linalg.matmul"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %rows, %columns = transform.structured.tile_using_for %product tile_sizes [2, 4] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    %padded, %pads, %copied = transform.structured.pad %tile {
      padding_values = [0.0 : f32, 0.0 : f32, 0.0 : f32], padding_dimensions = [0, 1], copy_back_op = "linalg.copy"
    } : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    %curve = transform.structured.match ops{["linalg.exp"]} in %module : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%curve) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}
