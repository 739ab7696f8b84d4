// A sum over columns of sums over rows is one reduction; so it is not where the first one is read twice.
// RUN: lowtide-opt %s --lowtide-import-tosa --lowtide-normalise | FileCheck %s

// CHECK-LABEL: func.func @main(
// CHECK-SAME:    %[[X:.*]]: tensor<1x4x5x6xi32>
// CHECK:       linalg.reduce ins(%[[X]] : tensor<1x4x5x6xi32>) outs({{.*}} : tensor<1x6xi32>) dimensions = [1, 2]
// CHECK:       tensor.expand_shape {{.*}} {{\[\[}}0, 1], [2, 3]]
// the axes in any order, the last among them
// CHECK:       linalg.reduce {{.*}} outs({{.*}} : tensor<1x4xi32>) dimensions = [2, 3]
// CHECK:       tensor.expand_shape {{.*}} {{\[\[}}0], [1, 2, 3]]
// three of them
// CHECK:       linalg.reduce {{.*}} outs({{.*}} : tensor<1xi32>) dimensions = [1, 2, 3]
// read twice
// CHECK:       linalg.reduce {{.*}} dimensions = [1]
// CHECK:       linalg.reduce {{.*}} dimensions = [2]
// a maximum is no sum
// CHECK:       linalg.reduce {{.*}} dimensions = [1]
// CHECK:       linalg.reduce {{.*}} dimensions = [2]
// CHECK-NOT:   linalg.reduce
func.func @main(%x: tensor<1x4x5x6xi32>) -> (tensor<1x1x1x6xi32>, tensor<1x4x1x1xi32>, tensor<1x1x1x1xi32>, tensor<1x1x5x6xi32>, tensor<1x1x1x6xi32>, tensor<1x1x1x6xi32>) {
  %a = tosa.reduce_sum %x {axis = 1 : i32} : (tensor<1x4x5x6xi32>) -> tensor<1x1x5x6xi32>
  %b = tosa.reduce_sum %a {axis = 2 : i32} : (tensor<1x1x5x6xi32>) -> tensor<1x1x1x6xi32>
  %c = tosa.reduce_sum %x {axis = 3 : i32} : (tensor<1x4x5x6xi32>) -> tensor<1x4x5x1xi32>
  %d = tosa.reduce_sum %c {axis = 2 : i32} : (tensor<1x4x5x1xi32>) -> tensor<1x4x1x1xi32>
  %y = tosa.abs %x : (tensor<1x4x5x6xi32>) -> tensor<1x4x5x6xi32>
  %e = tosa.reduce_sum %y {axis = 3 : i32} : (tensor<1x4x5x6xi32>) -> tensor<1x4x5x1xi32>
  %f = tosa.reduce_sum %e {axis = 1 : i32} : (tensor<1x4x5x1xi32>) -> tensor<1x1x5x1xi32>
  %g = tosa.reduce_sum %f {axis = 2 : i32} : (tensor<1x1x5x1xi32>) -> tensor<1x1x1x1xi32>
  %z = tosa.abs %y : (tensor<1x4x5x6xi32>) -> tensor<1x4x5x6xi32>
  %h = tosa.reduce_sum %z {axis = 1 : i32} : (tensor<1x4x5x6xi32>) -> tensor<1x1x5x6xi32>
  %i = tosa.reduce_sum %h {axis = 2 : i32} : (tensor<1x1x5x6xi32>) -> tensor<1x1x1x6xi32>
  %j = tosa.reduce_max %x {axis = 1 : i32} : (tensor<1x4x5x6xi32>) -> tensor<1x1x5x6xi32>
  %k = tosa.reduce_max %j {axis = 2 : i32} : (tensor<1x1x5x6xi32>) -> tensor<1x1x1x6xi32>
  return %b, %d, %g, %h, %i, %k : tensor<1x1x1x6xi32>, tensor<1x4x1x1xi32>, tensor<1x1x1x1xi32>, tensor<1x1x5x6xi32>, tensor<1x1x1x6xi32>, tensor<1x1x1x6xi32>
}
