// lowtide.fuse_channels: conv → depthwise → conv in int8 by three of seven channels: fan-out, slices, and an i32 fan-in.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x5x4x2xi8>)
// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK:      %[[WIDE:.*]] = "lowtide.layer"
// CHECK:      ins(%[[X]],
// CHECK:      {kind = "conv"
// CHECK:      %[[DEEP:.*]] = "lowtide.layer"
// CHECK:      tensor.pad %[[WIDE]]
// CHECK:      {kind = "depthwise"
// CHECK:      "lowtide.layer"
// CHECK:      ins(%[[DEEP]],
// CHECK:      {kind = "conv"
// CHECK-NEXT: }) {axis = "channels", columns = 0 : i64, direction = "forwards", recompute = [], rows = 3 : i64} : () -> none
// CHECK-NEXT: %[[Y:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 3 : i64} : (none) -> tensor<1x5x4x4xi8>
// CHECK-NEXT: return %[[Y]]

// CODE:       func.func @main
// CODE-DAG:   %[[X:.*]] = memref.view {{.*}} to memref<1x5x4x2xi8>
// CODE-DAG:   %[[SUM:.*]] = memref.view {{.*}} to memref<1x5x4x4xi32>
// CODE-DAG:   %[[Y:.*]] = memref.view {{.*}} to memref<1x5x4x4xi8>
// CODE:       call @conv_1_start(%{{.*}}, %[[SUM]])
// CODE-NEXT:  scf.for %{{.*}} = %c0 to %c3 step %c1 {
// CODE:       func.call @conv_0(%[[X]], {{.*}}, %[[A:.*]], %{{.*}}, %{{.*}}) : ({{.*}}memref<1x5x4x3xi8>, index, index)
// CODE-NEXT:  func.call @depthwise_0(%{{.*}}, %[[A]], %{{.*}}, %[[B:.*]], %{{.*}}, %{{.*}}) : ({{.*}}memref<1x5x4x3xi8>, index, index)
// CODE-NEXT:  func.call @conv_1_accumulate(%[[B]], {{.*}}, %[[SUM]], %{{.*}}, %{{.*}})
// CODE-NEXT:  }
// CODE-NEXT:  call @conv_1_finish(%[[SUM]], {{.*}}, %[[Y]])
// CODE-NEXT:  return
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 3} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
