// lowtide-outline: each part of a concat is written into its place in one tensor; what makes a part is inlined.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise --lowtide-outline | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x4xf32>, %[[Y:.*]]: tensor<1x2xf32>)
// CHECK-NEXT: %[[B:.*]] = bufferization.alloc_tensor() : tensor<1x6xf32>
// CHECK-NEXT: %[[C:.*]] = call @concat_0(%[[X]], %[[B]])
// CHECK-NEXT: %[[D:.*]] = call @concat_1(%[[Y]], %[[C]])
// CHECK-NEXT: return %[[D]]
// CHECK:      func.func private @concat_1(%[[P:.*]]: tensor<1x2xf32>, %[[T:.*]]: tensor<1x6xf32>)
// CHECK:      math.exp
// CHECK:      tensor.insert_slice %{{.*}} into %[[T]][0, 4] [1, 2] [1, 1]
func.func @main(%x: tensor<1x4xf32>, %y: tensor<1x2xf32>) -> tensor<1x6xf32> {
  %0 = tosa.exp %y : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %1 = tosa.concat %x, %0 {axis = 1 : i32} : (tensor<1x4xf32>, tensor<1x2xf32>) -> tensor<1x6xf32>
  return %1 : tensor<1x6xf32>
}
