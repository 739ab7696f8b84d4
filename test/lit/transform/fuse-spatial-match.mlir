// lowtide.fuse_spatial takes linalg operations as they are matched: the network is cut into layers, the rest is the default.
// RUN: lowtide-opt %s --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x6x2xf32>
// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK:      %[[ROWS:.*]] = "lowtide.layer"
// CHECK:      linalg.conv_2d_nhwc_hwcf {matched} ins(%[[X]],
// CHECK:      }) {kind = "conv"
// CHECK:      linalg.conv_2d_nhwc_hwcf {matched} ins(%[[ROWS]],
// CHECK:      }) {kind = "conv"
// CHECK-NEXT: }) {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [], rows = 1 : i64} : () -> none
// CHECK-NEXT: %[[Y:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 2 : i64}
// CHECK-NEXT: return %[[Y]]

// CODE:       func.func @main
// CODE:       %[[RING:.*]] = memref.view {{.*}} to memref<1x3x4x2xf32>
// CODE:       scf.for %{{.*}} = %c-2 to %c4 step %c1 {
// CODE:       func.call @conv_0(%{{.*}}, %{{.*}}, %[[RING]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @conv_1(%[[RING]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x6x2xf32>, %w: tensor<3x3x2x2xf32>) -> tensor<1x4x2x2xf32> {
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : tensor<1x6x4x2xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<1x6x4x2xf32>) -> tensor<1x6x4x2xf32>
    %0 = linalg.conv_2d_nhwc_hwcf ins(%x, %w : tensor<1x8x6x2xf32>, tensor<3x3x2x2xf32>) outs(%f0 : tensor<1x6x4x2xf32>) -> tensor<1x6x4x2xf32>
    %e1 = tensor.empty() : tensor<1x4x2x2xf32>
    %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x4x2x2xf32>) -> tensor<1x4x2x2xf32>
    %1 = linalg.conv_2d_nhwc_hwcf ins(%0, %w : tensor<1x6x4x2xf32>, tensor<3x3x2x2xf32>) outs(%f1 : tensor<1x4x2x2xf32>) -> tensor<1x4x2x2xf32>
    return %1 : tensor<1x4x2x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %convs = transform.structured.match ops{["linalg.conv_2d_nhwc_hwcf"]} in %module : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%convs) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.annotate %convs "matched" : !transform.any_op
    transform.yield
  }
}
