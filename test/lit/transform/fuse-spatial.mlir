// lowtide.fuse_spatial: a convolution, a depthwise one with stride 2 and a convolution become one loop; two line buffers of
// three rows each, and each call gets the rows that it is to make.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --transform-interpreter -o %t
// RUN: FileCheck %s --input-file %t
// RUN: lowtide-opt %t --lowtide-allocate --lowtide-kernels | FileCheck %s --check-prefix=CODE

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x6x2xf32>) -> tensor<1x4x3x2xf32>
// CHECK:      %[[LOOP:.*]] = "lowtide.fused"() ({
// CHECK-NEXT: %[[E:.*]] = tensor.empty() : tensor<1x8x6x2xf32>
// CHECK-NEXT: %[[R0:.*]] = "lowtide.layer"(%[[E]])
// CHECK:      tensor.pad %[[X]]
// CHECK:      {kind = "conv", label = "linalg.conv_2d_nhwc_fhwc"}
// CHECK:      %[[R1:.*]] = "lowtide.layer"
// CHECK:      tensor.pad %[[R0]]
// CHECK:      {kind = "depthwise"
// CHECK:      "lowtide.layer"
// CHECK:      tensor.pad %[[R1]]
// CHECK:      {kind = "conv"
// CHECK-NEXT: }) {axis = "rows", columns = 0 : i64, direction = "forwards", recompute = [], rows = 1 : i64} : () -> none
// CHECK-NEXT: %[[Y:.*]] = "lowtide.output"(%[[LOOP]]) {layer = 3 : i64} : (none) -> tensor<1x4x3x2xf32>
// CHECK-NEXT: return %[[Y]]

// CODE:       func.func private @conv_0(%{{.*}}: memref<1x8x6x2xf32>, %{{.*}}: memref<2xf32>, %{{.*}}: memref<1x3x6x2xf32>, %{{.*}}: index, %{{.*}}: index)
// CODE:       func.func @main(%[[A:.*]]: memref<480xi8>)
// CODE-DAG:   %[[X:.*]] = memref.view %[[A]]{{.*}} to memref<1x8x6x2xf32>
// CODE-DAG:   %[[RING0:.*]] = memref.view %[[A]]{{.*}} to memref<1x3x6x2xf32>
// CODE-DAG:   %[[RING1:.*]] = memref.view %[[A]]{{.*}} to memref<1x3x3x2xf32>
// CODE-DAG:   %[[OUT:.*]] = memref.view %[[A]]{{.*}} to memref<1x4x3x2xf32>
// CODE:       scf.for %{{.*}} = %c-4 to %c7 step %c1 {
// CODE:       func.call @conv_0(%[[X]], %{{.*}}, %[[RING0]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @depthwise_0(%{{.*}}, %[[RING0]], %[[RING1]], %{{.*}}, %{{.*}})
// CODE-NEXT:  func.call @conv_1(%[[RING1]], %{{.*}}, %[[OUT]], %{{.*}}, %{{.*}})
// CODE-NEXT:  }
// CODE-NEXT:  return
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x6x2xf32>) -> tensor<1x4x3x2xf32> {
    %w = "tosa.const"() <{values = dense<0.5> : tensor<2x3x3x2xf32>}> : () -> tensor<2x3x3x2xf32>
    %v = "tosa.const"() <{values = dense<0.25> : tensor<3x3x2x1xf32>}> : () -> tensor<3x3x2x1xf32>
    %b = "tosa.const"() <{values = dense<[1.0, 2.0]> : tensor<2xf32>}> : () -> tensor<2xf32>
    %z = "tosa.const"() <{values = dense<0.0> : tensor<1xf32>}> : () -> tensor<1xf32>
    %0 = tosa.conv2d %x, %w, %b, %z, %z {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x6x2xf32>, tensor<2x3x3x2xf32>, tensor<2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x8x6x2xf32>
    %1 = tosa.depthwise_conv2d %0, %v, %b, %z, %z {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 1, 0, 1>, stride = array<i64: 2, 2>} : (tensor<1x8x6x2xf32>, tensor<3x3x2x1xf32>, tensor<2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x4x3x2xf32>
    %2 = tosa.conv2d %1, %w, %b, %z, %z {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x3x2xf32>, tensor<2x3x3x2xf32>, tensor<2xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x4x3x2xf32>
    return %2 : tensor<1x4x3x2xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %chain = "lowtide.layers"(%module) {numbers = [1, 2, 3]} : (!transform.any_op) -> !transform.any_op
    %loop = "lowtide.fuse_spatial"(%chain) {rows = 1} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
