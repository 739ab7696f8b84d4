// What lowtide.schedule refuses: an order that is none, other elements, an empty handle, a wrong type.
// RUN: not lowtide-opt %s --split-input-file 2>&1 | FileCheck %s

module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: schedule-refused.mlir:10:5: error: 'lowtide.schedule': the order does not name each of 3 layers once, from 1 on
    "lowtide.schedule"(%module) {order = [1, 3, 3]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: schedule-refused.mlir:22:5: error: 'lowtide.schedule': the order is not a list of integers
    "lowtide.schedule"(%module) {order = ["conv"]} : (!transform.any_op) -> ()
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
    // CHECK: schedule-refused.mlir:35:5: error: 'lowtide.schedule': the handle is empty
    "lowtide.schedule"(%none) {order = [1]} : (!transform.any_op) -> ()
    transform.yield
  }
}

// -----
module attributes {transform.with_named_sequence} {
  func.func @payload() {
    return
  }
  transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {
    // CHECK: schedule-refused.mlir:47:5: error: expected base attribute 'builtin.array' but got 'builtin.integer'
    "lowtide.schedule"(%module) {order = 3} : (!transform.any_op) -> ()
    transform.yield
  }
}
