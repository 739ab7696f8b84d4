// A loop of MLIR's whose iterations could run at once runs one after another; what follows it is fused by rows.
// RUN: lowtide-opt %s --transform-interpreter --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s

// CHECK:      func.func private @loop_0(%[[X:.*]]: memref<1x8x4x2xi8>, %[[Y:.*]]: memref<1x8x4x2xi8>)
// CHECK-NEXT: arith.constant
// CHECK:      scf.for %{{.*}} = %c0 to %c4 step %c1 {
// CHECK-NEXT: scf.for %{{.*}} = %c0 to %c2 step %c1 {
// CHECK:      memref.load %[[X]]
// CHECK-NEXT: arith.index_cast
// CHECK:      memref.store %{{.*}}, %[[Y]]
// CHECK:      func.func @main(
// CHECK:      call @loop_0(%{{.*}}, %[[MADE:.*]]) :
// CHECK:      scf.for
// CHECK:      func.call @pool_0(%[[MADE]], %[[RING:.*]], %{{.*}}, %{{.*}}) : (memref<1x8x4x2xi8>, memref<1x3x4x2xi8>,
// CHECK-NEXT: func.call @pool_1(%[[RING]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x4x2xi8> {
    %e0 = tensor.empty() : tensor<1x8x4x2xi8>
    %0 = linalg.generic {indexing_maps = [affine_map<(a, b, c, d) -> (a, b, c, d)>, affine_map<(a, b, c, d) -> (a, b, c, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%x : tensor<1x8x4x2xi8>) outs(%e0 : tensor<1x8x4x2xi8>) {
    ^bb0(%a: i8, %b: i8):
      %row = linalg.index 1 : index
      %number = arith.index_cast %row : index to i8
      %sum = arith.addi %a, %number : i8
      linalg.yield %sum : i8
    } -> tensor<1x8x4x2xi8>
    %low = arith.constant -128 : i8
    %window = tensor.empty() : tensor<3x1xi8>
    %e1 = tensor.empty() : tensor<1x6x4x2xi8>
    %f1 = linalg.fill ins(%low : i8) outs(%e1 : tensor<1x6x4x2xi8>) -> tensor<1x6x4x2xi8>
    %1 = linalg.pooling_nhwc_max ins(%0, %window : tensor<1x8x4x2xi8>, tensor<3x1xi8>) outs(%f1 : tensor<1x6x4x2xi8>) -> tensor<1x6x4x2xi8>
    %e2 = tensor.empty() : tensor<1x4x4x2xi8>
    %f2 = linalg.fill ins(%low : i8) outs(%e2 : tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
    %2 = linalg.pooling_nhwc_max ins(%1, %window : tensor<1x6x4x2xi8>, tensor<3x1xi8>) outs(%f2 : tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
    return %2 : tensor<1x4x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %map = transform.structured.match ops{["linalg.generic"]} in %module : (!transform.any_op) -> !transform.any_op
    %tile, %loop = transform.structured.tile_using_forall %map tile_sizes [0, 2, 2] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    %pools = transform.structured.match ops{["linalg.pooling_nhwc_max"]} in %module : (!transform.any_op) -> !transform.any_op
    %fused = "lowtide.fuse_spatial"(%pools) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
