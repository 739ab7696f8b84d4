// lowtide.fuse_spatial up to and through a global pool: start before the loop, accumulate in it, finish after it.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x5x4x2xf32>)
// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK:      %[[ROWS:.*]] = "lowtide.layer"
// CHECK:      {kind = "pool"
// CHECK:      linalg.pooling_nhwc_sum {{.*}} ins(%[[ROWS]],
// CHECK:      {kind = "pool"
// CHECK-NEXT: }) {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [], rows = 2 : i64}
// CHECK-NEXT: %[[Y:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 2 : i64} : (none) -> tensor<1x1x1x2xf32>
// CHECK-NEXT: return %[[Y]]

// CODE:       func.func @main
// CODE:       %[[SUM:.*]] = memref.view {{.*}} to memref<1x1x1x2xf32>
// CODE-DAG:   %[[X:.*]] = memref.view {{.*}} to memref<1x5x4x2xf32>
// CODE-DAG:   %[[ROWS:.*]] = memref.view {{.*}} to memref<1x2x4x2xf32>
// CODE:       call @pool_1_start(%[[SUM]])
// CODE-NEXT:  scf.for %{{.*}} = %c0 to %c3 step %c1 {
// CODE:       func.call @pool_0(%[[X]], %[[ROWS]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @pool_1_accumulate(%[[ROWS]], %[[SUM]], %{{.*}}, %{{.*}})
// CODE-NEXT:  }
// CODE-NEXT:  call @pool_1_finish(%[[SUM]],
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x5x4x2xf32>) -> tensor<1x1x1x2xf32> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x5x4x2xf32>) -> tensor<1x5x4x2xf32>
    %z = "tosa.const"() <{values = dense<0.0> : tensor<1xf32>}> : () -> tensor<1xf32>
    %1 = tosa.avg_pool2d %0, %z, %z {acc_type = f32, kernel = array<i64: 5, 4>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x5x4x2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x1x2xf32>
    return %1 : tensor<1x1x1x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 2} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
