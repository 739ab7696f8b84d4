// Handles to what no layer needs become empty when the network is cut; those to reshapes that move into a loop, or to
// operations that move into layers, go on meaning them.
// RUN: lowtide-opt %s --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:     "lowtide.fused"()
// CHECK:     tensor.empty() {seen}
// CHECK:     linalg.exp {seen}
// CHECK:     tensor.expand_shape {{.*}} {seen}
// CHECK:     "lowtide.output"
// CODE:      scf.for
// CODE-NOT:  "lowtide.layer"
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<6x4xf32>) -> tensor<6x2x2xf32> {
    %e = tensor.empty() : tensor<6x4xf32>
    %d = tensor.empty() : tensor<6x4xf32>
    %dead = linalg.exp ins(%x : tensor<6x4xf32>) outs(%d : tensor<6x4xf32>) -> tensor<6x4xf32>
    %0 = linalg.exp ins(%x : tensor<6x4xf32>) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
    %s = linalg.add ins(%0, %x : tensor<6x4xf32>, tensor<6x4xf32>) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
    %1 = tensor.expand_shape %s [[0], [1, 2]] output_shape [6, 2, 2] : tensor<6x4xf32> into tensor<6x2x2xf32>
    %2 = tensor.expand_shape %x [[0], [1, 2]] output_shape [6, 2, 2] : tensor<6x4xf32> into tensor<6x2x2xf32>
    %f = tensor.empty() : tensor<6x2x2xf32>
    %3 = linalg.add ins(%1, %2 : tensor<6x2x2xf32>, tensor<6x2x2xf32>) outs(%f : tensor<6x2x2xf32>) -> tensor<6x2x2xf32>
    return %3 : tensor<6x2x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %all = transform.structured.match ops{["linalg.exp", "tensor.empty", "tensor.expand_shape"]} in %module : (!transform.any_op) -> !transform.any_op
    %layers = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%layers) {rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.annotate %all "seen" : !transform.any_op
    transform.yield
  }
}
