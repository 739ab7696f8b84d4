// lowtide.fuse_channels: a chain whose last layer takes channels as they come makes its own slice of the whole output.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK:      %[[MEMORY:.*]] = bufferization.alloc_tensor() : tensor<1x5x4x7xi8>
// CHECK:      %[[LOOP:.*]] = scf.for %{{.*}} iter_args(%[[WHOLE:.*]] = %[[MEMORY]]) -> (tensor<1x5x4x7xi8>) {
// CHECK:      %[[SLICE:.*]] = bufferization.alloc_tensor() : tensor<1x5x4x4xi8>
// CHECK-NEXT: %[[WIDE:.*]] = func.call @conv_0_rows({{.*}}%[[SLICE]], %{{.*}}, %{{.*}})
// CHECK-NEXT: %[[NEXT:.*]] = func.call @depthwise_0_rows({{.*}}%[[WIDE]], {{.*}}%[[WHOLE]], %{{.*}}, %{{.*}})
// CHECK-NEXT: scf.yield %[[NEXT]]
// CHECK:      call @conv_1(%[[LOOP]],
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 4 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
