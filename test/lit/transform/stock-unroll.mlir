// A loop of MLIR's is unrolled twice before it becomes a layer.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @loop_0(%{{.*}}: memref<8x6xf32>, %{{.*}}: memref<6x4xf32>, %[[Y:.*]]: memref<8x4xf32>)
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      scf.for %[[ROW:.*]] = %c0 to %c8 step %c4 {
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c6 step %c2 {
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      arith.addi %[[ROW]], %c2
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c6 step %c2 {
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(
// CHECK:      call @loop_0(%{{.*}}, %{{.*}}, %[[MADE:.*]]) :
// CHECK-NEXT: call @map_0(%[[MADE]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>, %w: tensor<6x4xf32>) -> tensor<8x4xf32> {
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : tensor<8x4xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x4xf32>) -> tensor<8x4xf32>
    %0 = linalg.matmul ins(%x, %w : tensor<8x6xf32>, tensor<6x4xf32>) outs(%f0 : tensor<8x4xf32>) -> tensor<8x4xf32>
    %e1 = tensor.empty() : tensor<8x4xf32>
    %1 = linalg.abs ins(%0 : tensor<8x4xf32>) outs(%e1 : tensor<8x4xf32>) -> tensor<8x4xf32>
    return %1 : tensor<8x4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %product = transform.structured.match ops{["linalg.matmul"]} in %module : (!transform.any_op) -> !transform.any_op
    // two rows an iteration, and two of the summands
    %tile, %rows, %sums = transform.structured.tile_using_for %product tile_sizes [2, 0, 2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.loop.unroll %rows {factor = 2} : !transform.any_op
    %map = transform.structured.match ops{["linalg.abs"]} in %module : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%map) {kernel = "general"} : (!transform.any_op) -> ()
    "lowtide.allocate"(%module) {strategy = "first-fit"} : (!transform.any_op) -> ()
    transform.yield
  }
}
