// lowtide-import-tosa leaves linalg, tensor and arith alone, and drops the importer's attributes.
// RUN: lowtide-opt %s --lowtide-import-tosa | FileCheck %s
// RUN: not lowtide-opt %S/Inputs/custom.mlir --lowtide-import-tosa 2>&1 | FileCheck %s --check-prefix=CUSTOM

// CHECK-NOT:   tfl
// CHECK-LABEL: func.func @main
// CHECK-NOT:   tosa
// CHECK:       linalg.conv_2d_nhwc_fhwc
// CHECK-NOT:   tosa
// CHECK:       return
module attributes {tfl.schema_version = 3 : i32} {
  func.func @main(%x: tensor<1x4x4x2xf32>) -> tensor<1x4x4x3xf32> {
    %w = "tosa.const"() <{values = dense<0.5> : tensor<3x1x1x2xf32>}> : () -> tensor<3x1x1x2xf32>
    %b = "tosa.const"() <{values = dense<0.0> : tensor<3xf32>}> : () -> tensor<3xf32>
    %z = "tosa.const"() <{values = dense<0.0> : tensor<1xf32>}> : () -> tensor<1xf32>
    %y = tosa.conv2d %x, %w, %b, %z, %z {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x4x4x2xf32>, tensor<3x1x1x2xf32>, tensor<3xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x4x4x3xf32>
    return %y : tensor<1x4x4x3xf32>
  }
}

// CUSTOM: custom.mlir:2:8: error: failed to legalize operation 'tosa.custom'
// CUSTOM: remedy: cut the network before it (--until TENSOR for a .tflite)
