// lowtide.fuse_channels: conv → depthwise → conv in int8 by three of seven channels: fan-out, slices, and an i32 fan-in.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s | FileCheck %s

// CHECK:      func.func private @conv_1_finish(tensor<1x5x4x4xi32>, {{.*}} tensor<1x5x4x4xi8>
// CHECK:      func.func private @conv_1_accumulate(tensor<1x5x4x3xi8>, {{.*}} tensor<1x5x4x4xi32>, index, index) {{.*}} {lowtide.body = @conv_1_accumulate, lowtide.by_channels, lowtide.reduction = [6]}
// CHECK:      func.func private @depthwise_0_rows({{.*}}tensor<1x5x4x3xi8>, {{.*}} index, index) {{.*}} {lowtide.body = @depthwise_0, lowtide.by_channels}
// CHECK:      func.func private @conv_0_rows(tensor<1x5x4x2xi8>, {{.*}} tensor<1x5x4x3xi8>, index, index) {{.*}} {lowtide.body = @conv_0, lowtide.by_channels}
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x5x4x2xi8>)
// CHECK:      %[[MEMORY:.*]] = bufferization.alloc_tensor() : tensor<1x5x4x4xi32>
// CHECK-NEXT: %[[START:.*]] = call @conv_1_start(%{{.*}}, %[[MEMORY]])
// CHECK:      %[[LOOP:.*]] = scf.for %{{.*}} = %c0 to %c3 step %c1 iter_args(%[[SUM:.*]] = %[[START]]) -> (tensor<1x5x4x4xi32>) {
// CHECK:      %[[OUT:.*]] = bufferization.alloc_tensor() : tensor<1x5x4x3xi8>
// CHECK-NEXT: %[[WIDE:.*]] = func.call @conv_0_rows(%[[X]], {{.*}}, %[[OUT]], %{{.*}}, %{{.*}})
// CHECK-NEXT: %[[SLICE:.*]] = bufferization.alloc_tensor() : tensor<1x5x4x3xi8>
// CHECK-NEXT: %[[DEEP:.*]] = func.call @depthwise_0_rows({{.*}}%[[WIDE]], {{.*}}%[[SLICE]], %{{.*}}, %{{.*}})
// CHECK-NEXT: %[[MORE:.*]] = func.call @conv_1_accumulate(%[[DEEP]], {{.*}}%[[SUM]], %{{.*}}, %{{.*}})
// CHECK-NEXT: scf.yield %[[MORE]]
// CHECK:      %[[Y:.*]] = call @conv_1_finish(%[[LOOP]],
// CHECK-NEXT: return %[[Y]]
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 3 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
