// What lowtide.concat refuses: a part twice, other elements, an empty handle, a wrong type.
// RUN: not lowtide-opt %s --split-input-file 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: concat-refused.mlir:10:5: error: 'lowtide.concat': the parts are numbered from 1, and each is named once
    "lowtide.concat"(%module) {copied = [1, 3, 3]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: concat-refused.mlir:22:5: error: 'lowtide.concat': the parts are not a list of integers
    "lowtide.concat"(%module) {copied = ["conv"]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %none = transform.structured.match ops{["scf.for"]} in %module : (!transform.any_op) -> !transform.any_op
    // CHECK: concat-refused.mlir:35:5: error: 'lowtide.concat': the handle is empty
    "lowtide.concat"(%none) {copied = [1]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: concat-refused.mlir:47:5: error: expected base attribute 'builtin.array' but got 'builtin.integer'
    "lowtide.concat"(%module) {copied = 3} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %e = tensor.empty() : tensor<4xf32>
    %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
    return %y : tensor<4xf32>
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    %all = "lowtide.layers"(%module) : (!transform.any_op) -> !transform.any_op
    // CHECK: error: 'lowtide.concat': the network has been cut into layers already; this comes before other steps
    "lowtide.concat"(%module) {copied = [1]} : (!transform.any_op) -> ()
    transform.yield
  }
}
