// lowtide.kernel notes a kernel on layers; the note survives fusion, and the code calls that kernel.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      "lowtide.fused"() ({
// CHECK:      }) {kind = "conv", label = "linalg.generic"}
// CHECK:      }) {kernel = "general", kind = "depthwise", label = "linalg.generic"}
// CHECK:      }) {kernel = "general", kind = "conv", label = "linalg.generic"}
// CHECK-NEXT: }) {axis = "channels"

// CODE:       func.func @main
// CODE:       call @conv_1_start_general(
// CODE:       scf.for
// CODE:       call @conv_0(
// CODE-NEXT:  call @depthwise_0_general(
// CODE-NEXT:  call @conv_1_accumulate_general(
// CODE:       call @conv_1_finish_general(
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %picked = "lowtide.layers"(%module) {numbers = [2, 3]} : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%picked) {kernel = "general"} : (!transform.any_op) -> ()
    %loop = "lowtide.fuse_channels"(%chain) {slice = 3} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
