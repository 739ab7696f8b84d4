// lowtide.layers cuts the network, where that has not been done, and gives handles to its layers by their numbers.
// RUN: lowtide-opt %s --lowtide-import-tosa --transform-interpreter | FileCheck %s

// CHECK:      func.func @main
// CHECK-COUNT-1: "lowtide.layer"
// CHECK:      {kind = "pool", label = {{.*}}, second}
// CHECK:      "lowtide.layer"
// CHECK:      {first, kind = "pool", label = {{[^,]*}}}
// CHECK-NEXT: return
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8> {
    %0 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
    %1 = tosa.max_pool2d %0 {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>} : (tensor<1x8x4x2xi8>) -> tensor<1x4x2x2xi8>
    return %1 : tensor<1x4x2x2xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %last = "lowtide.layers"(%module) {numbers = [2]} : (!transform.any_op) -> !transform.any_op
    %all = "lowtide.layers"(%module) {numbers = [2, 1]} : (!transform.any_op) -> !transform.any_op
    %2, %1 = transform.split_handle %all : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.annotate %last "first" : !transform.any_op
    transform.annotate %1 "second" : !transform.any_op
    transform.yield
  }
}
