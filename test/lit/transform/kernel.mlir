// lowtide.kernel notes a kernel on layers; the note survives fusion and bufferisation.
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s | FileCheck %s
// RUN: lowtide-opt %S/Inputs/inverted-residual.mlir --lowtide-import-tosa --lowtide-normalise --transform-script=%s --lowtide-outline --lowtide-bufferise | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK:      call @conv_1_start({{.*}}) {lowtide.layer = "linalg.generic"}
// CHECK:      scf.for
// CHECK:      call @conv_0_rows({{.*}}) {lowtide.layer = "linalg.generic"}
// CHECK:      call @depthwise_0_rows({{.*}}) {lowtide.kernel = "pull", lowtide.layer = "linalg.generic"}
// CHECK:      call @conv_1_accumulate({{.*}}) {lowtide.kernel = "pull", lowtide.layer = "linalg.generic"}
// CHECK:      call @conv_1_finish({{.*}}) {lowtide.layer = "linalg.generic"}
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %picked = "lowtide.layers"(%module) {numbers = [2, 3]} : (!transform.any_op) -> !transform.any_op
    "lowtide.kernel"(%picked) {kernel = "pull"} : (!transform.any_op) -> ()
    %loop = "lowtide.fuse_channels"(%chain) {slice = 3 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
