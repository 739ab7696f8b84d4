// lowtide.fuse_spatial over a residual: the skipped rows wait in a ring as long as the other branch lags.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      "lowtide.fused"() ({
// CHECK:      %[[P:.*]] = "lowtide.layer"
// CHECK:      {kind = "pool"
// CHECK:      %[[SKIP:.*]] = "lowtide.layer"
// CHECK:      ins(%[[P]],
// CHECK:      %[[Q:.*]] = "lowtide.layer"
// CHECK:      tensor.pad %[[SKIP]]
// CHECK:      ins(%[[SKIP]], %[[Q]] :
// CHECK:      }) {axis = "rows"
// CHECK-NEXT: "lowtide.output"(%{{.*}}) {layer = 4 : i64}

// CODE:       func.func @main
// CODE-DAG:   %[[X:.*]] = memref.view {{.*}} to memref<1x8x4x2xi8>
// CODE-DAG:   %[[P:.*]] = memref.view {{.*}} to memref<1x1x4x2xi8>
// CODE-DAG:   %[[RING:.*]] = memref.view {{.*}} to memref<1x3x4x2xi8>
// CODE:       scf.for %{{.*}} = %c-1 to %c8 step %c1 {
// CODE:       func.call @pool_0(%[[X]], %[[P]],
// CODE-NEXT:  func.call @map_0(%[[P]], %[[X]], %[[RING]],
// CODE-NEXT:  func.call @pool_0_rows(%[[RING]], %[[Q:.*]], %{{.*}}, %{{.*}}) : (memref<1x3x4x2xi8>, memref<1x1x4x2xi8>,
// CODE-NEXT:  func.call @map_0_rows(%[[RING]], %[[Q]], {{.*}}memref<1x8x4x2xi8>, index, index)
// CODE-NEXT:  }
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
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
