// lowtide.fuse_spatial: a convolution, a depthwise one with stride 2 and a convolution become one loop; two line buffers of
// three rows each are carried beside the output, and each call gets the rows that it is to make.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --transform-interpreter | FileCheck %s

// CHECK-DAG:  func.func private @conv_0_rows(tensor<1x8x6x2xf32>, tensor<2xf32>, tensor<1x3x6x2xf32>, index, index) -> tensor<1x3x6x2xf32> attributes {lowtide.body = @conv_0}
// CHECK:      func.func @main(%[[X:.*]]: tensor<1x8x6x2xf32>) -> tensor<1x4x3x2xf32>
// CHECK:      %[[RING0:.*]] = bufferization.alloc_tensor() : tensor<1x3x6x2xf32>
// CHECK-NEXT: %[[RING1:.*]] = bufferization.alloc_tensor() : tensor<1x3x3x2xf32>
// CHECK-NEXT: %[[OUT:.*]] = bufferization.alloc_tensor() : tensor<1x4x3x2xf32>
// CHECK:      %[[LOOP:.*]]:3 = scf.for %{{.*}} = %c-4 to %c7 step %c1 iter_args(%[[A:.*]] = %[[RING0]], %[[B:.*]] = %[[RING1]], %[[C:.*]] = %[[OUT]])
// CHECK:      %[[R0:.*]] = func.call @conv_0_rows(%[[X]], {{%.*}}, %[[A]], {{%.*}}, {{%.*}})
// CHECK-NEXT: %[[R1:.*]] = func.call @depthwise_0_rows({{%.*}}, %[[R0]], %[[B]], {{%.*}}, {{%.*}})
// CHECK-NEXT: %[[R2:.*]] = func.call @conv_1_rows(%[[R1]], {{%.*}}, %[[C]], {{%.*}}, {{%.*}})
// CHECK-NEXT: scf.yield %[[R0]], %[[R1]], %[[R2]]
// CHECK:      return %[[LOOP]]#2
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
    %loop = "lowtide.fuse_spatial"(%chain) {again = [], columns = 0 : i64, direction = "forwards", halo = "cache", rows = 1 : i64} : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
