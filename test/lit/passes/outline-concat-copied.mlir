// lowtide-outline writes a convolution straight into its place in a concat, but for the parts noted on the module.
// RUN: lowtide-opt %s --lowtide-outline | FileCheck %s

// CHECK-NOT:   lowtide.copied
module attributes {lowtide.copied = [2]} {
  // CHECK:      func.func @main(%[[X:.*]]: tensor<1x3x3x1xf32>, %[[Y:.*]]: tensor<1x3x3x1xf32>,
  // CHECK-NEXT: %[[B:.*]] = tensor.empty() : tensor<1x2x2x1xf32>
  // CHECK-NEXT: %[[P:.*]] = "lowtide.layer"(%[[B]])
  // CHECK:      linalg.conv_2d_nhwc_hwcf ins(%[[Y]],
  // CHECK:      {kind = "conv", label = "linalg.conv_2d_nhwc_hwcf"}
  // CHECK-NEXT: %[[C:.*]] = tensor.empty() : tensor<1x2x2x2xf32>
  // CHECK-NEXT: %[[D:.*]] = "lowtide.layer"(%[[C]])
  // CHECK:      %[[OWN:.*]] = linalg.conv_2d_nhwc_hwcf ins(%[[X]],
  // CHECK-NEXT: tensor.insert_slice %[[OWN]] into %[[C]]
  // CHECK:      {kind = "conv", {{.*}}, part = 1 : i64}
  // CHECK-NEXT: %[[E:.*]] = "lowtide.layer"(%[[D]])
  // CHECK-NEXT: tensor.insert_slice %[[P]] into %[[D]]
  // CHECK:      {kind = "concat", {{.*}}, part = 2 : i64}
  // CHECK-NEXT: return %[[E]]
  func.func @main(%x: tensor<1x3x3x1xf32>, %y: tensor<1x3x3x1xf32>, %w: tensor<2x2x1x1xf32>) -> tensor<1x2x2x2xf32> {
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<1x2x2x1xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32>
    %a = linalg.conv_2d_nhwc_hwcf ins(%x, %w : tensor<1x3x3x1xf32>, tensor<2x2x1x1xf32>) outs(%f : tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32>
    %b = linalg.conv_2d_nhwc_hwcf ins(%y, %w : tensor<1x3x3x1xf32>, tensor<2x2x1x1xf32>) outs(%f : tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32>
    %c0 = tensor.empty() : tensor<1x2x2x2xf32>
    %c1 = tensor.insert_slice %a into %c0[0, 0, 0, 0] [1, 2, 2, 1] [1, 1, 1, 1] : tensor<1x2x2x1xf32> into tensor<1x2x2x2xf32>
    %c2 = tensor.insert_slice %b into %c1[0, 0, 0, 1] [1, 2, 2, 1] [1, 1, 1, 1] : tensor<1x2x2x1xf32> into tensor<1x2x2x2xf32>
    return %c2 : tensor<1x2x2x2xf32>
  }
}
