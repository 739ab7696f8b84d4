// lowtide-outline copies what can't be a buffer of its own: a returned input, a concat's destination that is read again.
// RUN: lowtide-opt %s --lowtide-outline | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<4xf32>, %[[Y:.*]]: tensor<2xf32>)
// CHECK:      %[[A:.*]] = "lowtide.layer"(%{{.*}}) ({
// CHECK:      linalg.copy {{.*}} ins(%[[X]] :
// CHECK:      {kind = "map"
// CHECK-NEXT: %[[B:.*]] = "lowtide.layer"(%[[A]]) ({
// CHECK-NEXT: tensor.insert_slice %[[Y]] into %[[A]]
// CHECK:      %[[C:.*]] = "lowtide.layer"(%{{.*}}) ({
// CHECK:      linalg.copy {{.*}} ins(%[[X]] :
// CHECK:      return %[[B]], %[[C]]
func.func @main(%x: tensor<4xf32>, %y: tensor<2xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = tensor.insert_slice %y into %x[1] [2] [1] : tensor<2xf32> into tensor<4xf32>
  return %0, %x : tensor<4xf32>, tensor<4xf32>
}
