// MLIR's own tiling makes a loop of three operations: one layer, whose tile of the product has its bytes in the arena.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK-NOT:  memref.alloc
// CHECK:      func.func private @dense_0(%{{.*}}: memref<8x8xf32>
// CHECK:      func.func private @loop_0(%[[X:.*]]: memref<8x6xf32>, %[[W:.*]]: memref<6x8xf32>, %[[Y:.*]]: memref<8x8xf32>, %[[TILE:.*]]: memref<2x8xf32>)
// CHECK:      scf.for %[[ROW:.*]] = %c0 to %c8 step %c2 {
// CHECK:      memref.store %{{.*}}, %[[TILE]]
// CHECK:      memref.load %[[X]]
// CHECK:      memref.load %[[W]]
// CHECK:      memref.store %{{.*}}, %[[TILE]]
// CHECK:      math.exp
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(%[[ARENA:.*]]: memref<704xi8>)
// CHECK:      %[[MADE:.*]] = memref.view %[[ARENA]]{{.*}} to memref<8x8xf32>
// CHECK:      %[[ROWS:.*]] = memref.view %[[ARENA]]{{.*}} to memref<2x8xf32>
// CHECK:      call @loop_0(%{{.*}}, %{{.*}}, %[[MADE]], %[[ROWS]])
// CHECK-NEXT: call @dense_0(%[[MADE]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>, %w: tensor<6x8xf32>) -> tensor<8x2xf32> {
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : tensor<8x8xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x8xf32>) -> tensor<8x8xf32>
    %0 = linalg.matmul ins(%x, %w : tensor<8x6xf32>, tensor<6x8xf32>) outs(%f0 : tensor<8x8xf32>) -> tensor<8x8xf32>
    %e1 = tensor.empty() : tensor<8x8xf32>
    %1 = linalg.tanh ins(%0 : tensor<8x8xf32>) outs(%e1 : tensor<8x8xf32>) -> tensor<8x8xf32>
    %v = arith.constant dense<[[1.0, -1.0], [2.0, 0.5], [3.0, 0.0], [4.0, 1.5], [-1.0, 2.0], [0.0, 1.0], [1.0, 1.0], [2.0, -2.0]]> : tensor<8x2xf32>
    %e2 = tensor.empty() : tensor<8x2xf32>
    %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<8x2xf32>) -> tensor<8x2xf32>
    %2 = linalg.matmul ins(%1, %v : tensor<8x8xf32>, tensor<8x2xf32>) outs(%f2 : tensor<8x2xf32>) -> tensor<8x2xf32>
    return %2 : tensor<8x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match ops{["linalg.matmul"]} in %module : (!transform.any_op) -> !transform.any_op
    %first, %second = transform.split_handle %products : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %fill = transform.get_producer_of_operand %first[2] : (!transform.any_op) -> !transform.any_op
    %curve = transform.structured.match ops{["linalg.tanh"]} in %module : (!transform.any_op) -> !transform.any_op
    %tiled, %rows = transform.structured.tile_using_for %curve tile_sizes [2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %product, %with = transform.structured.fuse_into_containing_op %first into %rows : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    %filled, %all = transform.structured.fuse_into_containing_op %fill into %with : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    "lowtide.kernel"(%second) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}
