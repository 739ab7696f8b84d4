// lowtide.schedule cuts the network into layers and puts them into the order: see dialects/lowtide_dialect/schedule.md.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x4x4x2xi8>)
// CHECK-NEXT: tensor.empty
// CHECK-NEXT: %[[TALL:.*]] = "lowtide.layer"
// CHECK:      tensor<3x1xi8>
// CHECK:      tensor.empty
// CHECK:      %[[SQUARE:.*]] = "lowtide.layer"
// CHECK:      tensor<3x3xi8>
// CHECK:      return %[[SQUARE]], %[[TALL]]
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x4x4x2xi8>) -> (tensor<1x4x4x2xi8>, tensor<1x4x4x2xi8>) {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
    %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x4x4x2xi8>) -> tensor<1x4x4x2xi8>
    return %0, %1 : tensor<1x4x4x2xi8>, tensor<1x4x4x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    "lowtide.schedule"(%module) {order = [2, 1]} : (!transform.any_op) -> ()
    transform.yield
  }
}
