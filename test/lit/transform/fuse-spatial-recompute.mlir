// lowtide.fuse_spatial with the halo computed again: nothing is carried but the output, each iteration makes the four rows it needs.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x4x2xi8>)
// CHECK:      scf.for {{.*}} iter_args(%[[OUT:.*]] = {{%.*}}) -> (tensor<1x4x2x2xi8>)
// CHECK:      %[[NEW:.*]] = bufferization.alloc_tensor() : tensor<1x4x4x2xi8>
// CHECK-NEXT: %[[P:.*]] = func.call @pool_0_rows(%[[X]], %[[NEW]], {{.*}} -> tensor<1x4x4x2xi8>
// CHECK:      %[[Y:.*]] = func.call @pool_1_rows(%[[P]], %[[OUT]],
// CHECK-NEXT: scf.yield %[[Y]]
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %1 = tosa.max_pool2d %0 {kernel = array<i64: 4, 4>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %1 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {again = [], columns = 0 : i64, direction = "forwards", halo = "recompute", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
