// Steps of MLIR's own come before the network is cut, and their handles are chains: generalize, interchange, canonicalization.
// RUN: lowtide-opt %s --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK-DAG:  #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1 + d5, d2 + d6, d4)>
// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x6x2xf32>
// CHECK-NOT:  linalg.conv
// CHECK:      "lowtide.fused"() ({
// CHECK:      %[[ROWS:.*]] = "lowtide.layer"
// CHECK:      linalg.generic {indexing_maps = [#[[IN]], {{.*}} ins(%[[X]],
// CHECK:      linalg.generic {indexing_maps = [#[[IN]], {{.*}} ins(%[[ROWS]],
// CHECK:      }) {axis = "rows"

// CODE:       func.func @main
// CODE:       %[[RING:.*]] = memref.view {{.*}} to memref<1x3x4x2xf32>
// CODE:       scf.for %{{.*}} = %c-2 to %c4 step %c1 {
// CODE:       func.call @{{.*}}(%{{.*}}, %{{.*}}, %[[RING]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @{{.*}}(%[[RING]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
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
    %loops = transform.structured.generalize %convs : (!transform.any_op) -> !transform.any_op
    // the channels of the input before the window
    %turned = transform.structured.interchange %loops iterator_interchange = [0, 1, 2, 3, 6, 4, 5] : (!transform.any_op) -> !transform.any_op
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    transform.apply_patterns to %main {
      transform.apply_patterns.canonicalization
    } : !transform.any_op
    %loop = "lowtide.fuse_spatial"(%turned) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
