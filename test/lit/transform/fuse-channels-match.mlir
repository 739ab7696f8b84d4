// lowtide.fuse_channels takes linalg operations as they are matched, of several kinds too, and cuts the network.
// RUN: lowtide-opt %s --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-outline --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      "lowtide.fused"() ({
// CHECK:      %[[WIDE:.*]] = "lowtide.layer"
// CHECK:      }) {kind = "conv"
// CHECK:      linalg.pooling_nhwc_max ins(%[[WIDE]],
// CHECK:      }) {kind = "pool"
// CHECK-NEXT: }) {axis = "channels", columns = 0 : i64, direction = "forwards", recompute = [], rows = 2 : i64}

// CODE:       func.func @main
// CODE:       scf.for
// CODE:       func.call @conv_0(%{{.*}}, %{{.*}}, %[[SLICE:.*]], %{{.*}}, %{{.*}}) : ({{.*}}, memref<1x4x4x2xf32>, index, index)
// CODE-NEXT:  func.call @pool_0(%[[SLICE]], %{{.*}}, %{{.*}}, %{{.*}}) : (memref<1x4x4x2xf32>, memref<1x2x2x6xf32>, index, index)
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x2xf32>, %w: tensor<1x1x2x6xf32>) -> tensor<1x2x2x6xf32> {
    %zero = arith.constant 0.0 : f32
    %k = tensor.empty() : tensor<3x3xf32>
    %e0 = tensor.empty() : tensor<1x4x4x6xf32>
    %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<1x4x4x6xf32>) -> tensor<1x4x4x6xf32>
    %0 = linalg.conv_2d_nhwc_hwcf ins(%x, %w : tensor<1x4x4x2xf32>, tensor<1x1x2x6xf32>) outs(%f0 : tensor<1x4x4x6xf32>) -> tensor<1x4x4x6xf32>
    %e1 = tensor.empty() : tensor<1x2x2x6xf32>
    %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x2x2x6xf32>) -> tensor<1x2x2x6xf32>
    %1 = linalg.pooling_nhwc_max ins(%0, %k : tensor<1x4x4x6xf32>, tensor<3x3xf32>) outs(%f1 : tensor<1x2x2x6xf32>) -> tensor<1x2x2x6xf32>
    return %1 : tensor<1x2x2x6xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = transform.structured.match ops{["linalg.conv_2d_nhwc_hwcf", "linalg.pooling_nhwc_max"]} in %module : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_channels"(%chain) {slice = 2} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
