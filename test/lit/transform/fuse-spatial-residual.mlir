// lowtide.fuse_spatial over a residual: the skipped rows wait in a ring as long as the other branch lags.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x4x2xi8>)
// CHECK:      %[[LOOP:.*]]:2 = scf.for {{.*}} iter_args(%[[RING:.*]] = {{%.*}}, %[[OUT:.*]] = {{%.*}}) -> (tensor<1x3x4x2xi8>, tensor<1x8x4x2xi8>)
// CHECK:      %[[P:.*]] = func.call @pool_0_rows(%[[X]], {{.*}} -> tensor<1x1x4x2xi8>
// CHECK-NEXT: %[[SKIP:.*]] = func.call @map_0_rows(%[[P]], %[[X]], %[[RING]], {{.*}} -> tensor<1x3x4x2xi8>
// CHECK:      %[[Q:.*]] = func.call @pool_0_rows_2(%[[SKIP]], {{.*}} -> tensor<1x1x4x2xi8>
// CHECK-NEXT: %[[Y:.*]] = func.call @map_0_rows_2(%[[SKIP]], %[[Q]], %[[OUT]], {{.*}} -> tensor<1x8x4x2xi8>
// CHECK-NEXT: scf.yield %[[SKIP]], %[[Y]]
// CHECK:      return %[[LOOP]]#1
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %1 = tosa.maximum %0, %x : (tensor<1x8x4x2xi8>, tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %2 = tosa.max_pool2d %1 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %3 = tosa.maximum %1, %2 : (tensor<1x8x4x2xi8>, tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    return %3 : tensor<1x8x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3, 4]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {again = [], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
