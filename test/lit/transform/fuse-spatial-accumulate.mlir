// lowtide.fuse_spatial up to and through a global pool: start before the loop, accumulate in it, finish after it; what lives
// within an iteration alone is allocated there.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK-DAG:  @pool_1_accumulate(tensor<1x2x4x2xf32>, tensor<1x1x1x2xf32>, index, index) -> tensor<1x1x1x2xf32> attributes {lowtide.body = @pool_1_accumulate, lowtide.reduction = [4]}
// CHECK:      func.func @main(%[[X:.*]]: tensor<1x5x4x2xf32>)
// CHECK:      %[[ZERO:.*]] = call @pool_1_start(
// CHECK:      %[[SUM:.*]] = scf.for {{.*}} iter_args(%[[A:.*]] = %[[ZERO]]) -> (tensor<1x1x1x2xf32>)
// CHECK:      %[[NEW:.*]] = bufferization.alloc_tensor() : tensor<1x2x4x2xf32>
// CHECK-NEXT: %[[ROWS:.*]] = func.call @pool_0_rows(%[[X]], %[[NEW]],
// CHECK-NEXT: %[[MORE:.*]] = func.call @pool_1_accumulate(%[[ROWS]], %[[A]],
// CHECK-NEXT: scf.yield %[[MORE]]
// CHECK:      %[[Y:.*]] = call @pool_1_finish(%[[SUM]],
// CHECK-NEXT: return %[[Y]]
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x5x4x2xf32>) -> tensor<1x1x1x2xf32> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x5x4x2xf32>) -> tensor<1x5x4x2xf32>
    %z = "tosa.const"() <{values = dense<0.0> : tensor<1xf32>}> : () -> tensor<1xf32>
    %1 = tosa.avg_pool2d %0, %z, %z {acc_type = f32, kernel = array<i64: 5, 4>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x5x4x2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x1x2xf32>
    return %1 : tensor<1x1x1x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {again = [], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 2 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
