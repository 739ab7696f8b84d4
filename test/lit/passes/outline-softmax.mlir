// lowtide-outline: a softmax, five operations in TOSA, is one layer.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<2x4xf32>)
// CHECK-NEXT: %[[B:.*]] = tensor.empty() : tensor<2x4xf32>
// CHECK-NEXT: %[[Y:.*]] = "lowtide.layer"(%[[B]])
// CHECK-NOT:  lowtide.layer
// CHECK:      {kind = "reduce"
// CHECK-NEXT: return %[[Y]]
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %s = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %0 = tosa.reduce_max %x {axis = 1 : i32} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %1 = tosa.sub %x, %0 : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %2 = tosa.exp %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = tosa.reduce_sum %2 {axis = 1 : i32} : (tensor<2x4xf32>) -> tensor<2x1xf32>
  %4 = tosa.reciprocal %3 : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %5 = tosa.mul %2, %4, %s : (tensor<2x4xf32>, tensor<2x1xf32>, tensor<1xi8>) -> tensor<2x4xf32>
  return %5 : tensor<2x4xf32>
}
