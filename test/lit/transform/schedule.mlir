// lowtide.schedule cuts the network into layers and puts them into the order: see dialects/lowtide_dialect/schedule.md.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK:      func.func @main(%[[X:.*]]: tensor<1x4x4x2xi8>)
// CHECK-NEXT: bufferization.alloc_tensor
// CHECK-NEXT: %[[TALL:.*]] = call @pool_1(%[[X]],
// CHECK-NEXT: bufferization.alloc_tensor
// CHECK-NEXT: %[[SQUARE:.*]] = call @pool_0(%[[X]],
// CHECK-NEXT: return %[[SQUARE]], %[[TALL]]
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
