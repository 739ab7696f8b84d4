// lowtide-outline: each part of a concat is written into its place in one tensor; what makes a part is in its layer.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x4xf32>, %[[Y:.*]]: tensor<1x2xf32>)
// CHECK-NEXT: %[[B:.*]] = tensor.empty() : tensor<1x6xf32>
// CHECK-NEXT: %[[C:.*]] = "lowtide.layer"(%[[B]])
// CHECK-NEXT: tensor.insert_slice %[[X]] into %[[B]][0, 0] [1, 4] [1, 1]
// CHECK:      %[[D:.*]] = "lowtide.layer"(%[[C]])
// CHECK:      linalg.generic {{.*}} ins(%[[Y]] :
// CHECK:      math.exp
// CHECK:      tensor.insert_slice %{{.*}} into %[[C]][0, 4] [1, 2] [1, 1]
// CHECK:      return %[[D]]
func.func @main(%x: tensor<1x4xf32>, %y: tensor<1x2xf32>) -> tensor<1x6xf32> {
  %0 = tosa.exp %y : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %1 = tosa.concat %x, %0 {axis = 1 : i32} : (tensor<1x4xf32>, tensor<1x2xf32>) -> tensor<1x6xf32>
  return %1 : tensor<1x6xf32>
}
