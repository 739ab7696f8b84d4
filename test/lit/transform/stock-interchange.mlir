// A product made generic, its loops turned, cut along the sum: each iteration adds to what the one before has left.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @map_0_general(
// CHECK:      func.func private @loop_0(%[[X:.*]]: memref<4x6xi8>, %{{.*}}: memref<6x8xi8>, %[[Y:.*]]: memref<4x8xi32>)
// CHECK:      scf.for %[[SUM:.*]] = %c0 to %c6 step %c3 {
// CHECK-NEXT: scf.for %[[PART:.*]] = %c0 to %c3 step %c1 {
// CHECK:      %[[PLACE:.*]] = arith.addi %[[SUM]], %[[PART]]
// CHECK-NEXT: memref.load %[[X]][%{{.*}}, %[[PLACE]]]
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(
// CHECK:      call @loop_0(%{{.*}}, %{{.*}}, %[[MADE:.*]]) :
// CHECK-NEXT: call @map_0_general(%[[MADE]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4x6xi8>, %w: tensor<6x8xi8>, %b: tensor<4x8xi32>) -> tensor<4x8xi32> {
    %zero = arith.constant 0 : i32
    %e0 = tensor.empty() : tensor<4x8xi32>
    %f0 = linalg.fill ins(%zero : i32) outs(%e0 : tensor<4x8xi32>) -> tensor<4x8xi32>
    %0 = linalg.matmul ins(%x, %w : tensor<4x6xi8>, tensor<6x8xi8>) outs(%f0 : tensor<4x8xi32>) -> tensor<4x8xi32>
    %e1 = tensor.empty() : tensor<4x8xi32>
    %1 = linalg.add ins(%0, %b : tensor<4x8xi32>, tensor<4x8xi32>) outs(%e1 : tensor<4x8xi32>) -> tensor<4x8xi32>
    return %1 : tensor<4x8xi32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %product = transform.structured.match ops{["linalg.matmul"]} in %module : (!transform.any_op) -> !transform.any_op
    %loops = transform.structured.generalize %product : (!transform.any_op) -> !transform.any_op
    %turned = transform.structured.interchange %loops iterator_interchange = [2, 0, 1] : (!transform.any_op) -> !transform.any_op
    %tile, %sums, %columns = transform.structured.tile_using_for %turned tile_sizes [3, 0, 4] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.loop.unroll %columns {factor = 2} : !transform.any_op
    %sum = transform.structured.match ops{["linalg.add"]} in %module : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%sum) {kernel = "general"} : (!transform.any_op) -> ()
    "lowtide.allocate"(%module) : (!transform.any_op) -> ()
    transform.yield
  }
}
