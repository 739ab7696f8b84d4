// What lowtide.kernel refuses: names of no kernel, an empty handle, other operations, a wrong type.
// RUN: not lowtide-opt %s --split-input-file --lowtide-import-tosa --transform-interpreter 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xi8>) -> tensor<4xi8> {
    %0 = tosa.reverse %x {axis = 0 : i32} : (tensor<4xi8>) -> tensor<4xi8>
    return %0 : tensor<4xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %layer = "lowtide.layers"(%module) {numbers = [1]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.kernel': unknown kernel 'gemm'; choose one of register_tiled, prepacked_i16, winograd, map, pool, general
    "lowtide.kernel"(%layer) {kernel = "gemm"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xi8>) -> tensor<4xi8> {
    %0 = tosa.reverse %x {axis = 0 : i32} : (tensor<4xi8>) -> tensor<4xi8>
    return %0 : tensor<4xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %none = transform.structured.match ops{["scf.for"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.kernel': the handle is empty: there is no layer to pick a kernel for
    "lowtide.kernel"(%none) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xi8>) -> tensor<4xi8> {
    %0 = tosa.reverse %x {axis = 0 : i32} : (tensor<4xi8>) -> tensor<4xi8>
    return %0 : tensor<4xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.kernel': the handle has 'func.func', which is no layer and in none
    "lowtide.kernel"(%main) {kernel = "general"} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xi8>) -> tensor<4xi8> {
    %0 = tosa.reverse %x {axis = 0 : i32} : (tensor<4xi8>) -> tensor<4xi8>
    return %0 : tensor<4xi8>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %layer = "lowtide.layers"(%module) {numbers = [1]} : (!transform.any_op) -> !transform.any_op
    // CHECK: error: expected base attribute 'builtin.string' but got 'builtin.integer'
    "lowtide.kernel"(%layer) {kernel = 1} : (!transform.any_op) -> ()
    transform.yield
  }
}
