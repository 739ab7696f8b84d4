// lowtide.fuse_channels: a chain whose last layer takes channels as they come makes its own slice of the whole output.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK:      {kind = "conv"
// CHECK:      {kind = "depthwise"
// CHECK-NEXT: }) {axis = "channels", {{.*}}, rows = 4 : i64} : () -> none
// CHECK-NEXT: %[[DEEP:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 2 : i64} : (none) -> tensor<1x5x4x7xi8>
// CHECK:      %[[Y:.*]] = "lowtide.layer"
// CHECK:      ins(%[[DEEP]],
// CHECK:      return %[[Y]]

// CODE:       func.func @main
// CODE:       %[[WHOLE:.*]] = memref.view {{.*}} to memref<1x5x4x7xi8>
// CODE:       scf.for
// CODE:       func.call @conv_0({{.*}}, %[[SLICE:.*]], %{{.*}}, %{{.*}}) : ({{.*}}memref<1x5x4x4xi8>, index, index)
// CODE-NEXT:  func.call @depthwise_0(%{{.*}}, %[[SLICE]], %{{.*}}, %[[WHOLE]], %{{.*}}, %{{.*}})
// CODE-NEXT:  }
// CODE-NEXT:  call @conv_1(%[[WHOLE]],
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 4} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
