// Tiles that don't divide the rows: the last iteration is peeled off, and every slice has a size that is known.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @concat_0(%{{.*}}: memref<2x6xf32>,
// CHECK:      func.func private @loop_0(%{{.*}}: memref<8x6xf32>, %{{.*}}: memref<8x6xf32>, %[[Y:.*]]: memref<8x6xf32>, %[[SUM:.*]]: memref<3x6xf32>)
// CHECK:      scf.for %{{.*}} = %c0 to %c6 step %c3 {
// CHECK:      memref.store %{{.*}}, %[[SUM]]
// CHECK:      math.exp
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(
// CHECK:      call @loop_0(%[[X:.*]], %{{.*}}, %[[MADE:.*]], %{{.*}}) :
// CHECK:      call @concat_0(%{{.*}}, %[[MADE]], %[[ALL:.*]]) :
// CHECK-NEXT: call @map_{{.*}}(%[[ALL]], %[[X]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<8x6xf32>, %y: tensor<8x6xf32>) -> tensor<8x6xf32> {
    %e0 = tensor.empty() : tensor<8x6xf32>
    %0 = linalg.add ins(%x, %y : tensor<8x6xf32>, tensor<8x6xf32>) outs(%e0 : tensor<8x6xf32>) -> tensor<8x6xf32>
    %e1 = tensor.empty() : tensor<8x6xf32>
    %1 = linalg.exp ins(%0 : tensor<8x6xf32>) outs(%e1 : tensor<8x6xf32>) -> tensor<8x6xf32>
    %e2 = tensor.empty() : tensor<8x6xf32>
    %2 = linalg.mul ins(%1, %x : tensor<8x6xf32>, tensor<8x6xf32>) outs(%e2 : tensor<8x6xf32>) -> tensor<8x6xf32>
    return %2 : tensor<8x6xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %sum = transform.structured.match ops{["linalg.add"]} in %module : (!transform.any_op) -> !transform.any_op
    %curve = transform.structured.match ops{["linalg.exp"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %rows = transform.structured.tile_using_for %curve tile_sizes [3] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %fused, %loop = transform.structured.fuse_into_containing_op %sum into %rows : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    %counted = transform.cast %loop : !transform.any_op to !transform.op<"scf.for">
    %most, %rest = transform.loop.peel %counted : (!transform.op<"scf.for">) -> (!transform.any_op, !transform.any_op)
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    transform.apply_patterns to %main {
      transform.apply_patterns.canonicalization
    } : !transform.any_op
    %layers = "lowtide.layers"(%module) {kinds = ["map"]} : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%layers) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}
